namespace Evident.AppTests;

/// <summary>Runs in the words that agents use, for the ledger tests.</summary>
public static class AgentRun
{
    public const string Arguments = """{"amount":240.0,"currency":"EUR","order":"4711"}""";
    public const string OtherArguments = """{"amount":9999.0,"currency":"EUR","order":"4711"}""";

    public static OtlpSpan Tool(string runId, string tool, string arguments, string? level = "write")
    {
        var span = new OtlpSpan { Name = "execute_tool " + tool }
            .With("gen_ai.operation.name", "execute_tool").With("tool.name", tool).With("agent.run_id", runId).With("agent.workflow_id", "refund_v7").With("tool.args", arguments);
        return level is null ? span : span.With("tool.side_effect_level", level);
    }

    /// <summary>Proposed, decided and, when approved, executed 800 ms later; three spans of one trace.</summary>
    public static OtlpRequest Approval(string runId, string decision, string? executed)
    {
        var trace = Ids.Trace();
        var at = Ids.Now() - 60_000_000_000;
        var id = Ids.Unique("appr_");
        OtlpSpan Step(string name, string kind, ulong start, ulong end) => new OtlpSpan { TraceId = trace, Name = name, Start = start, End = end }
            .With("event_type", kind).With("agent.run_id", runId).With("agent.workflow_id", "refund_v7").With("approval.id", id).With("tool.name", "refund.submit");
        var request = Step("approval_request", "approval_request", at, at + 1_000_000)
            .With("approval.state", "requested").With("approval.required", true).With("approval.args", Arguments).With("approval.risk_level", "high").With("tool.side_effect_level", "irreversible");
        var answer = Step("approval_decision", "approval_decision", at + 10_000_000_000, at + 10_001_000_000)
            .With("approval.state", decision).With("approver_id", "maria.planted@staff.example").With("approver_role", "support_lead").With("approval.reason", "the parcel was lost, see the carrier's mail");
        var spans = new List<OtlpSpan> { request, answer };
        if (executed is not null)
            spans.Add(new OtlpSpan { TraceId = trace, Name = "execute_tool refund.submit", Start = at + 10_801_000_000, End = at + 11_000_000_000 }
                .With("event_type", "tool_call").With("agent.run_id", runId).With("agent.workflow_id", "refund_v7").With("tool.name", "refund.submit").With("tool.args", executed)
                .With("tool.side_effect_level", "irreversible").With("approval.id", id).With("approval.state", decision).With("approval.required", true));
        return new OtlpRequest { Spans = spans };
    }
}
