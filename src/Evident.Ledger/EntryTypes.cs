using static Evident.Ledger.EntryShapes;
using static Evident.Ledger.ValueForm;

namespace Evident.Ledger;

/// <summary>
/// Every entry type of version 1 with its closed members, as data. The tables of docs/ledger-format.md are written from it and a test
/// compares them. A version is never extended in place: a new member or type is version 2.
/// </summary>
public static class EntryTypes
{
    private static readonly ValueForm Custody = OneOf("file", "passphrase", "systemd-creds", "tpm2", "pkcs11");
    private static readonly ValueForm Destruction = OneOf("L0", "L1", "L2", "L3");
    private static readonly ValueForm Selector = OneOf("ref", "run", "subject", "tenant", "expiry", "session");
    private static readonly ValueForm Layer = OneOf("traces", "vault", "outcomes", "logs");
    private static readonly ValueForm Window = new EntryShape(
        "window", Req("from", Time, "first moment"), Req("to", Time, "last moment"), Req("count", Ordinal, "how many were folded together"));

    private static readonly EntryShape DebugSession = new(
        "debug_session", Req("session_id", Token, "id of the debug session"), Opt("duration_ms", Ordinal, "how long it may last"),
        Opt("workflow_id", Token, "only this workflow"), Opt("until", Time, "when it closes by itself"),
        Opt("payloads", Count, "payloads captured in full for its tenant"));

    private static readonly EntryShape Copy = new(
        "copy", Req("backup_id", Token, "id"), Req("head", Head, "ledger head in it"), Opt("manifest_sha256", Hash, "SHA-256 of its manifest"),
        Opt("incremental", Flag, "rests on an earlier one"), Opt("keystore", Count, "keystore generation in it"));

    private static readonly EntryShape Access = new(
        "access", Opt("user_id", Token, "opaque id of the account"), Opt("role", Token, "role"), Opt("token_id", Token, "opaque id of the token"), Opt("session_id", Token, "opaque id of the session"),
        Opt("change", OneOf("created", "changed", "revoked", "granted", "removed", "locked", "unlocked", "expired"), "what changed"),
        Opt("method", Code, "how identity was shown"), Opt("permission", Code, "permission concerned"), Opt("cause", Code, "why it was refused or ended"),
        Opt("remote", Hex32, "keyed pseudonym of the remote address"), Opt("until", Time, "end of what was given"), Opt("second", Token, "opaque id of the second person"));

    private static readonly EntryShape Key = new(
        "key", Req("name", Code, "which key"), Opt("custody", Custody, "how it is kept"), Opt("generation", Count, "generation"),
        Opt("level", Destruction, "destruction level of the old one"), Opt("fingerprint", Hash, "SHA-256 of the public part"));

    private static readonly EntryShape Alert = new(
        "alert", Req("rule", Token, "rule"), Req("alert_id", Token, "id of this alert"), Opt("severity", OneOf("info", "warning", "critical"), "severity"),
        Opt("value_micros", Signed, "value times 1,000,000"), Opt("limit_micros", Signed, "limit times 1,000,000"), Opt("tenant_id", Token, "tenant"),
        Opt("workflow_id", Token, "workflow"), Opt("tool_name", Token, "tool"), Opt("run_id", Token, "run"), Opt("from", Time, "start of the interval"), Opt("to", Time, "its end"));

    /// <summary>All types, in the order of the document.</summary>
    public static readonly IReadOnlyList<EntryType> All =
    [
        // ---- what agents did ------------------------------------------------------------------------------------------------
        Run("tool.intent", "an act is about to happen, written before the effect",
            Req("action", ToolAction, "the act"), Opt("approval", Approval, "its approval, as far as known"),
            Opt("policy", EntryShapes.Policy, "policy that let it pass"), Opt("payload", Payload, "sealed arguments")),
        Run("tool.call", "a tool with level write, irreversible or unknown was called",
            Req("action", ToolAction, "the act"), Opt("approval", Approval, "its approval, as far as known"),
            Opt("policy", EntryShapes.Policy, "policy that let it pass"), Opt("payload", Payload, "sealed arguments and result"),
            Opt("result", Result, "how it ended"), Opt("refers", Refers, "related entries")),
        Run("tool.result", "the outcome of an intent; an intent without one is a finding",
            Req("action", ToolAction, "the act"), Req("refers", Refers, "the intent"), Req("result", Result, "how it ended"),
            Opt("payload", Payload, "sealed result")),
        Run("approval.request", "an approval was asked for",
            Req("approval", Approval, "state requested"), Opt("action", ToolAction, "the act that waits"), Opt("payload", Payload, "what was shown"),
            Opt("policy", EntryShapes.Policy, "policy that demands it")),
        Run("approval.decision", "an approval was decided or expired",
            Req("approval", Approval, "state approved, rejected, edited or expired"), Opt("action", ToolAction, "the act"),
            Opt("payload", Payload, "reason in words, edited arguments"), Opt("policy", EntryShapes.Policy, "policy or note it rests on"),
            Opt("refers", Refers, "the request")),
        Run("approval.execution", "what was approved was executed",
            Req("approval", Approval, "with args_match"), Req("action", ToolAction, "the act"), Opt("result", Result, "how it ended"),
            Opt("payload", Payload, "sealed arguments and result"), Opt("refers", Refers, "request, decision, call")),
        Run("policy.decision", "a policy or guardrail decided",
            Req("policy", EntryShapes.Policy, "policy and decision"), Opt("action", ToolAction, "the act it is about"), Opt("payload", Payload, "sealed evidence")),
        Run("span.revised", "a span that has ledger entries was sent again with other content; nothing is replaced",
            Req("revision", new EntryShape("revision", Req("number", Ordinal, "revision, from 2"), Opt("commitment", Commitment, "keyed digest of the revision")), "the revision"),
            Opt("action", ToolAction, "the act, as the revision tells it"), Opt("refers", Refers, "the entry concerned"),
            Opt("payload", Payload, "sealed arguments and result of the revision"), Opt("result", Result, "how it ended, as the revision tells it")),

        // ---- the vault ------------------------------------------------------------------------------------------------------
        Act("vault.read", "a payload was opened; durable before the plaintext is returned",
            Req("vault", new EntryShape("vault_read", Req("ref", VaultRef, "payload"), Opt("role", Token, "what the payload is"),
                Opt("first_byte", Count, "range start"), Opt("bytes", Size, "size bucket of what was returned")), "what was opened"),
            Opt("run_id", Token, "run it belongs to"), Opt("trace_id", Hex32, "trace it belongs to"), Opt("span_id", Hex16, "span it belongs to")),
        Act("vault.denied", "reads were refused; folded per minute",
            Req("vault", new EntryShape("vault_denied", Req("cause", Code, "why it was refused"), Opt("ref", VaultRef, "payload, when it was one")), "what was refused"),
            Opt("window", Window, "how many, when several were folded")),
        Act("vault.disclose", "one payload and its salt were handed out",
            Req("vault", new EntryShape("vault_disclose", Req("ref", VaultRef, "payload"), Opt("recipient", Token, "opaque id of the recipient"),
                Opt("export_id", Token, "export it is part of")), "what was handed out")),
        Act("vault.shred.intent", "payloads are about to be destroyed; a crash resumes from here",
            Req("shred", new EntryShape("shred_intent", Req("by", Selector, "what selects them"), Opt("value", Token, "the selector's value or pseudonym"),
                Req("count", Count, "payloads"), Req("refs_root", Hash, "RFC 6962 root over the sorted references"),
                Req("keystore_before", Count, "keystore generation before")), "what and how")),
        Act("vault.shred.done", "they are destroyed",
            Req("refers", Refers, "the intent"),
            Req("shred", new EntryShape("shred_done", Req("count", Count, "payloads"), Req("refs_root", Hash, "as in the intent"),
                Req("keystore_after", Count, "keystore generation from which they are gone"), Req("level", Destruction, "destruction level reached")), "the receipt")),
        Act("vault.hold", "a legal hold was placed or released",
            Req("hold", new EntryShape("hold", Req("state", OneOf("placed", "released"), "state"), Req("by", Selector, "what selects"),
                Req("value", Token, "the selector's value or pseudonym"), Opt("hold_id", Token, "id of the hold")), "the hold")),
        Self("vault.promote", "payloads of runs that are kept longer were re-wrapped for a later expiry",
            Req("promote", new EntryShape("promote", Req("from", Code, "class before"), Req("to", Code, "class after"), Req("count", Ordinal, "payloads"),
                Req("refs_root", Hash, "RFC 6962 root over the sorted references"), Req("expires", Day, "new expiry day")), "what and until when"),
            Opt("run_id", Token, "run, when it was one"), Opt("tenant_id", Token, "tenant")),
        Act("identity.reveal", "the name behind a staff id was looked up in the sealed identity register",
            Req("reveal", new EntryShape("reveal", Req("staff_id", Token, "opaque staff id")), "whose name")),
        Act("capture.policy", "what is captured was changed",
            Req("capture", new EntryShape("capture", Req("mode", OneOf("structure", "redacted", "full", "opt_out"), "mode"),
                Opt("workflow_id", Token, "only this workflow"), Opt("until", Time, "end")), "mode and range"),
            Req("document", Document, "the whole policy after the change")),
        Act("debug.session.requested", "full capture was asked for", Req("session", DebugSession, "the session")),
        Act("debug.session.approved", "a second person agreed", Req("session", DebugSession, "the session"), Opt("refers", Refers, "the request")),
        Act("debug.session.rejected", "a second person refused", Req("session", DebugSession, "the session"), Opt("refers", Refers, "the request")),
        Act("debug.session.opened", "full capture began", Req("session", DebugSession, "the session")),
        Act("debug.session.closed", "full capture ended", Req("session", DebugSession, "the session"),
            Req("cause", OneOf("expired", "closed", "restart"), "why it ended"), Opt("payloads", Count, "payloads captured in full")),
        Act("redaction.rules", "the redaction rule set in force changed", Req("document", Document, "the rule set")),
        Act("tools.registry", "the side-effect levels in force changed", Req("document", Document, "the registry")),

        // ---- the ledger itself ----------------------------------------------------------------------------------------------
        Self("ledger.genesis", "entry 0, alone in its group",
            Req("genesis", new EntryShape("genesis", Req("identity_key", PublicKey, "identity key; its fingerprint is in the origin"),
                Req("epoch_key", PublicKey, "key of epoch 1"), Req("custody", Custody, "how the epoch key is kept"),
                Req("epoch_entries", Ordinal, "an epoch holds at most this many entries"),
                Req("epoch_ms", Ordinal, "and lasts at most this long within one boot"), Opt("version", Token, "version of the appliance")), "keys and limits")),
        Self("ledger.epoch", "a new epoch begins with this entry, alone in its group, signed by the old and the new key",
            Req("rotation", new EntryShape("rotation", Req("epoch_key", PublicKey, "key of the new epoch"), Req("custody", Custody, "how it is kept"),
                Req("reason", OneOf("age", "entries", "unclean_start", "operator", "key_lost"), "why")), "the new key")),
        Self("ledger.heartbeat", "written at intervals even when idle: silence is evidence",
            Req("heartbeat", new EntryShape("heartbeat", Req("state", OneOf("started", "running", "stopping"), "first of a run of the appliance, in between, last before a clean stop"),
                Req("interval_ms", Ordinal, "time to the next one"), Opt("version", Token, "version of the appliance"), Opt("scrubbed_to", Count, "entries re-read from disk since the start"),
                Opt("scrub_errors", Count, "damage found"), Opt("orphan_payloads", Count, "sealed payloads without a row"),
                Opt("spans", Count, "spans stored since the start"), Opt("refused", Count, "requests refused since the start")), "state")),
        Self("ledger.clock", "the wall clock jumped",
            Req("clock", new EntryShape("clock", Req("before", Time, "last wall time before"), Req("after", Time, "first wall time after"),
                Req("mono_delta_ms", Count, "monotonic time between"), Opt("confirmed", Flag, "an operator confirmed the jump")), "the jump")),
        Self("ledger.recovery", "the appliance started after a stop that was not clean",
            Req("recovery", new EntryShape("recovery", Req("prior_head", Head, "newest durable head found"),
                Req("quarantined_bytes", Count, "bytes of a torn tail that were moved away"), Opt("quarantine_file", Token, "file in quarantine/"),
                Opt("quarantined_sha256", Hash, "its SHA-256")), "what was found")),
        Act("ledger.incarnation", "an operator accepted a ledger that lost entries",
            Req("incarnation", new EntryShape("incarnation", Req("found", Head, "head that was found"), Req("lost", Head, "newest head that is known to have existed"),
                Req("number", Ordinal, "incarnation, from 1")), "what was lost")),
        Act("ledger.anchor", "a confirmation of a head from outside was filed",
            Req("anchor", new EntryShape("anchor", Req("kind", OneOf("cosignature", "rfc3161", "paper", "mirror"), "what confirms it"), Req("head", Head, "which head"),
                Opt("witness", Token, "name of the witness"), Opt("key_id", Hex8, "its key id"), Opt("time", Time, "the witness's time"),
                Opt("file", Token, "file in anchors/"), Opt("sha256", Hash, "its SHA-256")), "the confirmation")),
        Act("ledger.config", "the configuration in force",
            Req("document", Document, "the effective configuration, secrets masked"),
            Opt("fail_closed", OneOf("all", "irreversible", "none"), "what stops when the ledger cannot be written"),
            Opt("forced", ListOf(Code, 16), "safety checks that the operator switched off")),
        Self("ledger.traces", "seal over the spans stored since the last one",
            Req("traces", new EntryShape("traces", Req("root", Hash, "RFC 6962 root over the span digests in order of storage"), Req("spans", Count, "leaves"),
                Req("partition", Token, "partition they are in"), Req("first", Count, "number of the first span in it"),
                Opt("from", Time, "first receipt"), Opt("to", Time, "last receipt")), "the seal")),

        // ---- retention, copies ----------------------------------------------------------------------------------------------
        Act("retention.policy", "how long things are kept was changed", Req("document", Document, "the policy")),
        Self("retention.drop", "stored data was deleted by policy",
            Req("drop", new EntryShape("drop", Req("layer", Layer, "where"), Req("policy_hash", Hash, "policy that says so"), Opt("partition", Token, "partition or pack"),
                Opt("class", Code, "data class"), Req("runs", Count, "runs"), Req("spans", Count, "spans"), Opt("payloads", Count, "payloads"), Opt("bytes", Size, "size bucket"),
                Opt("digests_root", Hash, "RFC 6962 root over the digests of what went")), "what went")),
        Self("retention.compact", "a closed day was compacted: kept runs moved, the rest deleted",
            Req("compact", new EntryShape("compact", Req("from", Token, "partition before"), Req("to", Token, "partition after"), Req("policy_hash", Hash, "policy that says so"),
                Req("kept_runs", Count, "runs kept"), Req("dropped_runs", Count, "runs dropped"), Req("kept_spans", Count, "spans kept"), Req("dropped_spans", Count, "spans dropped"),
                Opt("digests_root", Hash, "RFC 6962 root over all span digests of the day")), "what was kept")),
        Act("backup.made", "a backup was written", Req("backup", Copy, "the backup")),
        Act("backup.restored", "a backup was restored", Req("backup", Copy, "the backup")),
        Act("export.made", "a bundle for an auditor was written",
            Req("export", new EntryShape("export", Req("export_id", Token, "id"), Req("from", Count, "first seq"), Req("to", Count, "first seq not in it"), Req("head", Head, "head it rests on"),
                Opt("manifest_sha256", Hash, "SHA-256 of its manifest"), Opt("payloads", Count, "payloads opened in it"), Opt("runs", Count, "runs, when runs were exported")), "the export")),
        Act("import.made", "records were imported from files",
            Req("import", new EntryShape("import", Req("format", Code, "format"), Req("files", Ordinal, "files"), Req("sha256", Hash, "SHA-256 over the files' hashes in order"),
                Req("accepted", Count, "records stored"), Req("rejected", Count, "records refused"), Req("duplicates", Count, "records that were there")), "the import")),

        // ---- access ---------------------------------------------------------------------------------------------------------
        Act("access.login", "a person signed in", Opt("access", Access, "session and method")),
        Act("access.logout", "a person signed out or was signed out", Opt("access", Access, "session and cause")),
        Act("access.failed", "sign-ins or tokens were refused; folded per minute", Req("access", Access, "what was refused"), Opt("window", Window, "how many")),
        Act("access.denied", "acts were refused for lack of a permission; folded per minute", Req("access", Access, "what was refused"), Opt("window", Window, "how many")),
        Act("access.role", "a role was given or taken", Req("access", Access, "whose and which")),
        Act("access.token", "a token was made, changed or revoked", Req("access", Access, "which")),
        Act("access.user", "an account was made, changed or locked", Req("access", Access, "which")),
        Act("access.policy", "rules of access were changed", Req("document", Document, "the rules")),
        Act("access.breakglass", "a sealed payload was opened on an emergency reason or with a second person's consent", Req("access", Access, "who consented"), Opt("refers", Refers, "the read")),
        Act("keys.rotated", "a key of the vault was replaced", Req("key", Key, "which")),
        Act("keys.custody", "the way a key is kept was changed", Req("key", Key, "which")),
        Act("keys.sealed", "the vault was sealed", Opt("key", Key, "which")),
        Act("keys.unsealed", "the vault was opened", Opt("key", Key, "which")),

        // ---- outcomes -------------------------------------------------------------------------------------------------------
        Run("eval.result", "an evaluation scored a run",
            Req("eval", new EntryShape("eval", Req("name", Token, "evaluation"), Opt("suite", Token, "suite"), Opt("label", Token, "label"), Opt("passed", Flag, "verdict"),
                Opt("score_micros", Signed, "score times 1,000,000"), Opt("version", Token, "version of the evaluation")), "the result"), Opt("payload", Payload, "sealed evidence")),
        Run("eval.label", "a person labelled a run",
            Req("label", new EntryShape("label", Req("name", Token, "label set"), Req("value", Token, "label"), Opt("removed", Flag, "the label was taken away")), "the label"),
            Opt("payload", Payload, "comment")),
        Run("eval.feedback", "a user rated a run",
            Req("feedback", new EntryShape("feedback", Req("kind", Code, "thumbs, rating, comment ..."), Opt("value_micros", Signed, "value times 1,000,000"), Opt("label", Token, "value as a word")), "the rating"),
            Opt("payload", Payload, "comment")),
        Self("alert.raised", "an alert rule fired", Req("alert", Alert, "the alert")),
        Self("alert.closed", "an alert ended", Req("alert", Alert, "the alert"), Opt("actor", Actor, "who closed it"), Opt("refers", Refers, "where it was raised")),
        Act("cost.table", "the price table in force changed", Req("document", Document, "the table")),
    ];

    private static EntryType Run(string name, string meaning, params EntryField[] own) => Make(name, meaning, [.. Context, .. own]);

    private static EntryType Act(string name, string meaning, params EntryField[] own) => Make(name, meaning, [.. Admin, .. own]);

    private static EntryType Self(string name, string meaning, params EntryField[] own) => Make(name, meaning, own);

    private static EntryType Make(string name, string meaning, EntryField[] own) =>
        new(name, meaning, new EntryShape(name, [.. Common, .. own]), own);
}
