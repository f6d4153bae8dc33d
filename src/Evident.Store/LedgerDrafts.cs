using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>A stored span with what its ledger entries need beside it.</summary>
/// <param name="Digest">Content digest of this revision.</param>
/// <param name="Recorded">The appliance's time of receipt, Unix milliseconds.</param>
/// <param name="Context">Run, session and workflow: the span's own, else what its trace's root has said so far.</param>
internal sealed record LedgeredSpan(StoredSpan Span, ContentDigest Digest, Scope Scope, IngestSource Source, long Recorded, TraceContext Context);

/// <summary>
/// Derives ledger entries from stored spans (docs/ledger-format.md has each type's members). Every string that a sender chose stands as it is only when
/// it is safe to publish for ever, else as a pseudonym under its scope's key. An id is a hash of what the entry is about, so that every attempt to
/// record the same fact has the same id. Pure.
/// </summary>
internal sealed class LedgerDrafts(ToolRegistry tools)
{
    private const string Claimed = "claimed";
    private const int MaxNameLength = 128; // of the form "name"; a longer one becomes its pseudonym

    /// <summary>Null when the span is no tool call or its tool only reads.</summary>
    public EntryDraft? ToolCall(LedgeredSpan at, Joined? joined)
    {
        var span = at.Span;
        if (span.Kind != StepKind.Tool || !Level(span).IsLedgered())
        {
            return null;
        }

        var known = joined?.Case;
        return EntryDraft.Create("tool.call", Id(at, "tool.call"), entry =>
        {
            Context(entry, at);
            entry.Set("action", action => Action(action, at));
            if (known is { State: not "unknown" } || span.Flag(Field.ApprovalRequired) is not null || span.Text(Field.ApprovalState) is not null)
            {
                entry.Set("approval", approval =>
                {
                    if (known is { State: not "unknown" })
                    {
                        Approval(approval, at.Scope, known, span.Flag(Field.ApprovalRequired), matched: known.ExecutionSpan == span.Key().ToString() ? known.ArgsMatch
                            : known.Compare(span.Fingerprint("tool.args"), span.ScopeId));
                    }
                    else
                    {
                        approval.Set("state", span.Text(Field.ApprovalState) is "not_required" ? "not_required" : "unknown").SetIf("required", span.Flag(Field.ApprovalRequired));
                    }
                });
            }

            Policy(entry, at);
            Payload(entry, ("args", span.Payload("tool.args")), ("result", span.Payload("tool.result")));
            entry.Set("result", result => Result(result, span));
            if (known is not null && (known.RequestEntry ?? known.DecisionEntry) is not null)
            {
                entry.Set("refers", refers => refers.SetIf("request", known.RequestEntry).SetIf("decision", known.DecisionEntry));
            }
        });
    }

    public EntryDraft ApprovalRequest(LedgeredSpan at, ApprovalCase known)
    {
        var span = at.Span;
        return EntryDraft.Create("approval.request", Id(at, "approval.request"), entry =>
        {
            Context(entry, at, known.Requested);
            entry.Set("approval", approval => approval.Set("state", "requested").Set("required", span.Flag(Field.ApprovalRequired) ?? true)
                .SetIf("approval_id", Clean(at.Scope, span.Text(Field.ApprovalId))).SetIf("requested", Time(known.Requested))
                .SetIf("risk_level", Clean(at.Scope, span.Text(Field.RiskLevel))));
            entry.Set("action", action => Action(action, at));
            Payload(entry, ("approval_args", span.Payload("approval.args")), ("args", span.Payload("tool.args")));
            Policy(entry, at);
        });
    }

    public EntryDraft ApprovalDecision(LedgeredSpan at, ApprovalCase known)
    {
        var span = at.Span;
        return EntryDraft.Create("approval.decision", Id(at, "approval.decision"), entry =>
        {
            Context(entry, at, known.Decided);
            entry.Set("approval", approval => Approval(approval, at.Scope, known, span.Flag(Field.ApprovalRequired), matched: null));
            entry.Set("action", action => Action(action, at));
            Payload(entry, ("reason", span.Payload("approval.reason")), (known.State == "edited" ? "edited_args" : "approval_args", span.Payload("approval.args")));
            Policy(entry, at);
            if (known.RequestEntry is not null)
            {
                entry.Set("refers", refers => refers.Set("request", known.RequestEntry));
            }
        });
    }

    /// <summary>Decision and execution are both known. The execution's own span is at hand, or what was kept of it when it came first.</summary>
    public EntryDraft ApprovalExecution(string workspace, ApprovalCase known, IReadOnlyDictionary<string, string> execution, bool? matched, Scope scope, long recorded)
    {
        string id = Hash(workspace, execution.GetValueOrDefault("span_key", known.ExecutionSpan!), "approval.execution", $"{known.Id}:{(matched is null ? "uncompared" : $"{known.ApprovedArgs}:{known.ExecutedArgs}")}");
        return EntryDraft.Create("approval.execution", id, entry =>
        {
            entry.Set("recorded", Rfc3339.FormatMillis(recorded));
            foreach (string member in ContextMembers)
            {
                entry.SetIf(member, execution.GetValueOrDefault(member));
            }

            if (execution.TryGetValue("actor_kind", out string? kind))
            {
                entry.Set("actor", actor => actor.Set("kind", kind).SetIf("id", execution.GetValueOrDefault("actor_id")).Set("identity_source", Claimed));
            }

            entry.Set("approval", approval => Approval(approval, scope, known, null, matched));
            entry.Set("action", action =>
            {
                action.Set("type", "tool.call").Set("side_effect_level", execution["side_effect_level"]);
                foreach (string member in ActionMembers)
                {
                    action.SetIf(member, execution.GetValueOrDefault(member));
                }
            });
            entry.Set("result", result => result.Set("status", execution["status"]));
            entry.Set("refers", refers => refers.SetIf("request", known.RequestEntry).SetIf("decision", known.DecisionEntry)
                .SetIf("call", execution.GetValueOrDefault("call_entry")));
        });
    }

    private static readonly string[] ContextMembers =
        ["workspace", "scope", "timestamp", "environment", "tenant_id", "workflow_id", "run_id", "session_id", "trace_id", "span_id", "src", "subject", "release"];

    private static readonly string[] ActionMembers = ["level_source", "claimed_level", "tool_name", "target", "tool_call_id", "idempotency_key", "schema_version"];

    /// <summary>What <see cref="ApprovalExecution"/> needs of a call when its decision may arrive later; strings as they stand in the ledger.</summary>
    public Dictionary<string, string> ExecutionContext(LedgeredSpan at, string? callEntry)
    {
        var kept = new Dictionary<string, string>(StringComparer.Ordinal);
        void Keep(string name, string? value)
        {
            if (value is not null)
            {
                kept[name] = value;
            }
        }

        foreach (var (name, value) in ContextOf(at, null))
        {
            Keep(name, value);
        }

        var span = at.Span;
        var (actorKind, actorId) = ActorOf(at);
        Keep("actor_kind", actorKind);
        Keep("actor_id", actorId);
        foreach (var (name, value) in ActionOf(at))
        {
            Keep(name, value);
        }

        Keep("status", Status(span));
        Keep("call_entry", callEntry);
        Keep("span_key", span.Key().ToString());
        return kept;
    }

    /// <summary>Null when no policy or guardrail decided anything in this span.</summary>
    public EntryDraft? PolicyDecision(LedgeredSpan at)
    {
        var span = at.Span;
        if (span.Kind is not (StepKind.Policy or StepKind.Guardrail) && span.Text(Field.PolicyDecision) is null && span.Text(Field.GuardrailDecision) is null)
        {
            return null;
        }

        return EntryDraft.Create("policy.decision", Id(at, "policy.decision"), entry =>
        {
            Context(entry, at);
            entry.Set("policy", policy => PolicyMembers(policy, at));
            if (span.Kind == StepKind.Tool || span.Text(Field.ToolName) is not null)
            {
                entry.Set("action", action => Action(action, at));
            }

            Payload(entry, ("evidence", span.Payload("output") ?? span.Payload("input")));
        });
    }

    /// <param name="number">2 for the first revision.</param>
    public EntryDraft SpanRevised(LedgeredSpan at, int number)
    {
        var span = at.Span;
        Span<byte> digest = stackalloc byte[32], mac = stackalloc byte[32];
        at.Digest.Write(digest);
        Sodium.HmacSha256(mac, digest, at.Scope.FingerprintKey);
        string commitment = "hmac-sha256:" + Convert.ToHexStringLower(mac);
        return EntryDraft.Create("span.revised", Id(at, "span.revised"), entry =>
        {
            Context(entry, at);
            entry.Set("revision", revision => revision.Set("number", number).Set("commitment", commitment));
            if (span.Kind == StepKind.Tool)
            {
                entry.Set("action", action => Action(action, at));
                entry.Set("result", result => Result(result, span));
                Payload(entry, ("args", span.Payload("tool.args")), ("result", span.Payload("tool.result")));
            }
        });
    }

    public SideEffectLevel Level(StoredSpan span) => tools.Decide(span.Text(Field.ToolName), span.Text(Field.SideEffectLevel));

    private static void Context(Lj1ObjectBuilder entry, LedgeredSpan at, ulong? happened = null)
    {
        entry.Set("recorded", Rfc3339.FormatMillis(at.Recorded));
        foreach (var (name, value) in ContextOf(at, happened))
        {
            entry.SetIf(name, value);
        }

        entry.SetIf("src_seq", SourceNumber(at.Span));

        var (kind, id) = ActorOf(at);
        entry.Set("actor", actor => actor.Set("kind", kind).SetIf("id", id).Set("identity_source", Claimed));
    }

    private static IEnumerable<(string Name, string? Value)> ContextOf(LedgeredSpan at, ulong? happened)
    {
        var span = at.Span;
        yield return ("workspace", Clean(at.Scope, at.Source.Workspace));
        yield return ("scope", at.Scope.Id);
        yield return ("timestamp", Time(happened ?? span.StartNanos));
        yield return ("environment", Clean(at.Scope, span.Text(Field.Environment)));
        yield return ("tenant_id", Clean(at.Scope, span.Text(Field.TenantId)));
        yield return ("workflow_id", Clean(at.Scope, at.Context.WorkflowId));
        yield return ("run_id", Clean(at.Scope, at.Context.RunId));
        yield return ("session_id", Clean(at.Scope, at.Context.SessionId));
        yield return ("trace_id", span.TraceId.ToString());
        yield return ("span_id", span.SpanId.ToString());
        yield return ("src", SourceStream(at));
        yield return ("subject", Clean(at.Scope, span.Text(Field.UserId)));
        yield return ("release", Clean(at.Scope, span.Text(Field.Release)));
    }

    private static long? SourceNumber(StoredSpan span) => span.Integer(Field.SrcSeq) is >= 0 and <= LedgerFormat.MaxInteger and var number ? number : null;

    // A sender that counts does so per process: its numbers make sense only within that stream, which the name tells (docs/conventions.md, "Counting senders").
    private static string? SourceStream(LedgeredSpan at)
    {
        string? source = Clean(at.Scope, at.Source.Name), instance = null;
        if (source is null || SourceNumber(at.Span) is null)
        {
            return source;
        }

        foreach (var attribute in at.Span.ResourceAttributes)
        {
            if (attribute.Key == "service.instance.id")
            {
                instance = attribute.Value.Text;
            }
        }

        instance = Clean(at.Scope, instance ?? at.Span.Text(Field.ServiceName));
        return instance is null ? source : $"{source}#{instance}" is var stream && stream.Length <= MaxNameLength ? stream : Clean(at.Scope, stream);
    }

    private static (string Kind, string? Id) ActorOf(LedgeredSpan at)
    {
        var span = at.Span;
        return span.Flag(Field.ActorIsAgent) == false
            ? ("user", Clean(at.Scope, span.Text(Field.UserId)))
            : ("agent", Clean(at.Scope, span.Text(Field.AgentId) ?? span.Text(Field.AgentName) ?? span.Text(Field.ServiceName)));
    }

    private void Action(Lj1ObjectBuilder action, LedgeredSpan at)
    {
        foreach (var (name, value) in ActionOf(at))
        {
            action.SetIf(name, value);
        }

        action.Set("type", at.Span.Kind == StepKind.Tool ? "tool.call" : at.Span.Kind.ToName());
        action.SetIf("attempt", at.Span.Integer(Field.Attempt) is { } attempt and >= 1 and <= LedgerFormat.MaxInteger ? attempt : null);
    }

    private IEnumerable<(string Name, string? Value)> ActionOf(LedgeredSpan at)
    {
        var span = at.Span;
        string? tool = span.Text(Field.ToolName), claim = span.Text(Field.SideEffectLevel);
        var level = Level(span);
        bool registered = tool is not null && tools.Levels.ContainsKey(tool);
        bool raised = ToolRegistry.TryParse(claim, out var claimed) && claimed == level && level != tools.Decide(tool, null);
        yield return ("side_effect_level", level.ToName());
        yield return ("level_source", raised ? "sender" : registered ? "registry" : "default");
        yield return ("claimed_level", claim is not null && ToolRegistry.TryParse(claim, out _) ? claim : null);
        yield return ("tool_name", Clean(at.Scope, tool));
        yield return ("target", Clean(at.Scope, span.Text(Field.Target)));
        yield return ("tool_call_id", Clean(at.Scope, span.Text(Field.ToolCallId)));
        yield return ("idempotency_key", Clean(at.Scope, span.Text(Field.IdempotencyKey)));
        yield return ("schema_version", Clean(at.Scope, span.Text(Field.ToolSchemaVersion)));
    }

    private static void Approval(Lj1ObjectBuilder approval, Scope scope, ApprovalCase known, bool? required, bool? matched)
    {
        approval.Set("state", known.State).SetIf("required", required).SetIf("approval_id", Clean(scope, known.ApprovalId))
            .SetIf("approver_id", Clean(scope, known.ApproverId)).SetIf("approver_role", Clean(scope, known.ApproverRole)).SetIf("args_match", matched)
            .SetIf("requested", Time(known.Requested)).SetIf("decided", Time(known.Decided))
            .SetIf("latency_ms", known.Decided >= known.Requested ? (long)((known.Decided.Value - known.Requested.Value) / 1_000_000) : null)
            .SetIf("risk_level", Clean(scope, known.Risk)).SetIf("reason_code", Code(scope, known.ReasonCode));
        if (known.ApproverId is not null)
        {
            approval.Set("identity_source", Claimed);
        }
    }

    private static void Policy(Lj1ObjectBuilder entry, LedgeredSpan at)
    {
        if (at.Span.Text(Field.PolicyDecision) is not null)
        {
            entry.Set("policy", policy => PolicyMembers(policy, at));
        }
    }

    private static void PolicyMembers(Lj1ObjectBuilder policy, LedgeredSpan at)
    {
        var span = at.Span;
        bool guardrail = span.Kind == StepKind.Guardrail || (span.Kind != StepKind.Policy && span.Text(Field.PolicyDecision) is null);
        policy.Set("decision", Clean(at.Scope, span.Text(guardrail ? Field.GuardrailDecision : Field.PolicyDecision) ?? span.Text(Field.PolicyDecision)
                ?? span.Text(Field.GuardrailDecision) ?? span.Text(Field.Outcome)) ?? "unknown")
            .SetIf("name", Clean(at.Scope, guardrail ? span.Text(Field.GuardrailName) ?? span.Text(Field.PolicyName) : span.Text(Field.PolicyName)))
            .SetIf("version", Clean(at.Scope, span.Text(Field.PolicyVersion))).Set("kind", guardrail ? "guardrail" : "policy");
    }

    private static void Payload(Lj1ObjectBuilder entry, params ReadOnlySpan<(string Name, PayloadReference? Payload)> payloads)
    {
        var present = new List<(string Name, PayloadReference Payload)>();
        foreach (var (name, payload) in payloads)
        {
            if (payload is { IsElsewhere: false }) // this vault can answer for it
            {
                present.Add((name, payload));
            }
        }

        if (present.Count > 0)
        {
            entry.Set("payload", list =>
            {
                foreach (var (name, payload) in present)
                {
                    list.Set(name, one => Sealed(one, payload.Ref, payload.Commitment, payload.Bytes));
                }
            });
        }
    }

    /// <summary>A payload as the ledger tells of it: its reference, its commitment and a size bucket.</summary>
    public static void Sealed(Lj1ObjectBuilder one, string reference, ReadOnlySpan<byte> commitment, long bytes) => one.Set("ref", reference)
        .Set("commitment", "hmac-sha256:" + Convert.ToHexStringLower(commitment)).Set("bytes", ValueForm.Bucket(bytes));

    private static void Result(Lj1ObjectBuilder result, StoredSpan span)
    {
        result.Set("status", Status(span)).SetIf("error_class", span.Text(Field.ErrorClass) is { } error && LedgerText.IsClean(Encoding.UTF8.GetBytes(error)) ? error : null)
            .SetIf("latency_ms", span.EndNanos >= span.StartNanos ? (long)((span.EndNanos - span.StartNanos) / 1_000_000) : null);
    }

    private static string Status(StoredSpan span) =>
        span.Result() is var status and ("success" or "failure" or "partial" or "timeout" or "rejected" or "interrupted") ? status : "unknown";

    private static string? Time(ulong? unixNanos) => unixNanos is null or 0 ? null : Rfc3339.FormatMillis((long)(unixNanos.Value / 1_000_000));

    /// <summary>The text itself when it may be published for ever, else its pseudonym under the scope's key.</summary>
    public static string? Clean(Scope scope, string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        return LedgerText.IsClean(utf8) ? text : Pseudonym.Of(scope.PseudonymKey, "k_", utf8);
    }

    private static string? Code(Scope scope, string? text) =>
        Clean(scope, text) is not { } clean ? null
        : clean.Length <= 64 && !clean.AsSpan().ContainsAnyExcept("abcdefghijklmnopqrstuvwxyz0123456789._-") ? clean
        : Pseudonym.Of(scope.PseudonymKey, "k_", Encoding.UTF8.GetBytes(clean));

    private static string Id(LedgeredSpan at, string type) => Hash(at.Source.Workspace, at.Span.Key().ToString(), type, at.Digest.ToString());

    private static string Hash(string workspace, string span, string type, string content) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{workspace}\n{span}\n{type}\n{content}")).AsSpan(0, 16));
}
