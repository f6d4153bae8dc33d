using static Evident.Ledger.ValueForm;

namespace Evident.Ledger;

/// <summary>The members and objects that several entry types share; data, like <see cref="EntryTypes"/>.</summary>
public static class EntryShapes
{
    internal static EntryField Req(string name, ValueForm form, string meaning) => new(name, true, form, meaning);

    internal static EntryField Opt(string name, ValueForm form, string meaning) => new(name, false, form, meaning);

    private static EntryField Log(string name, bool required, ValueForm form, string meaning) => new(name, required, form, meaning, assigned: true);

    private static readonly ValueForm Source = OneOf("claimed", "token", "session", "uid");

    public static readonly EntryShape Actor = new(
        "actor",
        Req("kind", OneOf("agent", "service", "user", "staff", "uid", "system", "unknown"), "what acted"),
        Opt("id", Token, "opaque id or pseudonym; never a name or an address"),
        Opt("role", Token, "role in which it acted"),
        Opt("identity_source", Source, "how the identity is known; claimed = the agent says so"));

    public static readonly EntryShape Sealed = new(
        "sealed",
        Req("ref", VaultRef, "vault reference"),
        Req("commitment", Commitment, "salted commitment to the sealed bytes; its salt dies with the payload's key"),
        Req("bytes", Size, "size bucket of the sealed bytes"));

    public static readonly EntryShape Payload = new(
        "payload",
        Opt("args", Sealed, "arguments of the tool call"),
        Opt("result", Sealed, "its result"),
        Opt("approval_args", Sealed, "arguments as they were shown to the approver"),
        Opt("edited_args", Sealed, "arguments as the approver changed them"),
        Opt("reason", Sealed, "reason in words"),
        Opt("input", Sealed, "what went in"),
        Opt("output", Sealed, "what came out"),
        Opt("comment", Sealed, "comment of a reviewer"),
        Opt("evidence", Sealed, "other text that the decision rests on"));

    public static readonly EntryShape ToolAction = new(
        "action",
        Req("type", Token, "kind of act, e.g. tool.call"),
        Req("side_effect_level", OneOf("none", "read", "unknown", "write", "irreversible"), "level that the appliance decided on"),
        Opt("level_source", OneOf("registry", "sender", "default"), "where that level comes from"),
        Opt("claimed_level", OneOf("none", "read", "unknown", "write", "irreversible"), "level that the sender claimed"),
        Opt("tool_name", Token, "tool"),
        Opt("target", Token, "what it acts on"),
        Opt("tool_call_id", Token, "the sender's id of the call"),
        Opt("idempotency_key", Token, "stable key against doing it twice"),
        Opt("schema_version", Token, "version of the tool's schema"),
        Opt("attempt", Ordinal, "number of the attempt, from 1"));

    public static readonly EntryShape Approval = new(
        "approval",
        Req("state", OneOf("not_required", "requested", "approved", "rejected", "edited", "expired", "unknown"), "state"),
        Opt("required", Flag, "an approval was required"),
        Opt("approval_id", Token, "id that ties request, decision and execution"),
        Opt("approver_id", Token, "opaque staff id or pseudonym"),
        Opt("approver_role", Token, "role of the approver"),
        Opt("identity_source", Source, "how the approver's identity is known"),
        Opt("args_match", Flag, "the fingerprints of approved and executed arguments are equal"),
        Opt("requested", Time, "when it was asked for"),
        Opt("decided", Time, "when it was decided"),
        Opt("latency_ms", Count, "waiting time"),
        Opt("risk_level", Token, "risk that was shown"),
        Opt("reason_code", Code, "reason of the decision, as a code"));

    public static readonly EntryShape Policy = new(
        "policy",
        Req("decision", Token, "allow, deny, escalate, require_approval, warn or the policy's own word"),
        Opt("name", Token, "policy or guardrail"),
        Opt("version", Token, "its version"),
        Opt("rule", Token, "rule inside it"),
        Opt("kind", OneOf("policy", "guardrail", "authorization", "budget"), "what decided"),
        Opt("reason_code", Code, "why, as a code"));

    public static readonly EntryShape Result = new(
        "result",
        Req("status", OneOf("success", "failure", "partial", "timeout", "rejected", "interrupted", "unknown"), "how it ended"),
        Opt("error_class", Token, "normalised class of the error"),
        Opt("latency_ms", Count, "duration"));

    public static readonly EntryShape Refers = new(
        "refers",
        Opt("request", Token, "id of the approval.request"),
        Opt("decision", Token, "id of the approval.decision"),
        Opt("intent", Token, "id of the intent that this completes"),
        Opt("call", Token, "id of the tool.call"),
        Opt("entry", Token, "id of the entry that this corrects or closes"));

    public static readonly EntryShape Document = new(
        "document",
        Req("version", Token, "version"),
        Req("hash", Hash, "SHA-256 of its canonical text"),
        Opt("previous_hash", Hash, "hash of what it replaces"),
        Opt("items", Count, "how many rules, tools or prices it holds"),
        Opt("changed", ListOf(Token, 64), "names of what changed; never values"));

    public static readonly EntryShape Head = new(
        "head",
        Req("size", Count, "entries"),
        Req("root", Hash, "RFC 6962 root of that size"));

    /// <summary>Members that every entry may have; "assigned" ones come from the log.</summary>
    public static readonly IReadOnlyList<EntryField> Common =
    [
        Req("type", Token, "entry type, one of the sections below"),
        Req("v", One, "schema version; selects the closed member list together with type"),
        Req("id", Token, "name of the recorded fact, the same in every attempt to record it, unique in the ledger"),
        Req("recorded", Time, "the appliance's clock at receipt: the only time that rules use"),
        Opt("workspace", Token, "security boundary, from the credential"),
        Log("log", true, Origin, "origin of this ledger: an entry cannot move to another one"),
        Log("seq", true, Count, "position in the ledger, from 0, no gap"),
        Log("batch", true, Count, "number of the group commit, from 0, +1 after each checkpoint line"),
        Log("epoch", true, Ordinal, "epoch whose key signs this entry's group; a rotation entry carries the new number"),
        Log("boot", true, Hex8, "boot of the machine that appended the entry"),
        Log("mono", true, Count, "milliseconds of that boot's monotonic clock at append"),
        Log("integrity", true, new EntryShape("integrity", Req("prev_hash", Hash, "this_hash of the entry before; 64 zeros for entry 0")), "chain"),
        Opt("scope", Hex32, "vault scope (workspace and tenant) as an opaque random id"),
        Log("scope_seq", false, Count, "position among the entries of that scope, from 0, no gap; present exactly when scope is"),
    ];

    /// <summary>Members of every type that belongs to a run of an agent. All strings are clean or scope-keyed pseudonyms.</summary>
    public static readonly IReadOnlyList<EntryField> Context =
    [
        Opt("timestamp", Time, "when the sender claims it happened"),
        Opt("environment", Token, "deployment environment"),
        Opt("tenant_id", Token, "tenant that the sender asserts, or its pseudonym"),
        Opt("workflow_id", Token, "versioned workflow"),
        Opt("run_id", Token, "run"),
        Opt("session_id", Token, "session, or its pseudonym"),
        Opt("trace_id", Hex32, "W3C trace id"),
        Opt("span_id", Hex16, "span id inside the trace"),
        Opt("src", Token, "credential and protocol that the record came through, e.g. otlp:token_4"),
        Opt("src_seq", Count, "the sender's own counter, where it stamps one"),
        Opt("actor", Actor, "who acted"),
        Opt("subject", Token, "erasable pseudonym of the end user concerned"),
        Opt("release", Token, "release of the agent"),
    ];

    /// <summary>Members of administrative types: who did it and through what.</summary>
    public static readonly IReadOnlyList<EntryField> Admin =
    [
        Req("actor", Actor, "who acted"),
        Opt("tenant_id", Token, "tenant concerned, or its pseudonym"),
        Opt("environment", Token, "deployment environment concerned"),
        Opt("reason_code", Code, "why, as a code"),
        Opt("ticket", Token, "reference in the customer's ticket system"),
        Opt("channel", OneOf("cli", "http", "socket", "system"), "the way the act came in"),
        Opt("payload", Payload, "sealed texts, e.g. the reason in words"),
    ];
}
