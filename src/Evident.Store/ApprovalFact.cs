using Evident.Ingest;

namespace Evident.Store;

/// <summary>What one span says about an approval. Times are Unix nanoseconds as the sender claims them.</summary>
internal sealed record ApprovalFact(
    SpanKey Span, string? ApprovalId, string? CallId, string? RunId, string? SessionId, string? Tool, ulong? Requested, ulong? Decided, string State,
    string? ApproverId, string? ApproverRole, string? ReasonCode, string? ReasonRef, string? Risk, string? ArgsHash, string ScopeId, bool FromTool)
{
    /// <summary>Null when the span says nothing about an approval.</summary>
    public static ApprovalFact? Of(StoredSpan span)
    {
        string? state = span.Text(Field.ApprovalState);
        bool fromTool = span.Kind == StepKind.Tool;
        if (span.Kind == StepKind.Approval)
        {
            // An approver is never invented: a wait that ended without a word about the decision stays a request.
            state ??= span.Text(Field.Outcome) switch { "rejected" => "rejected", "timeout" => "expired", _ => "requested" };
        }
        else if (fromTool && state is null && span.Text(Field.InterruptReason) == "approval_required")
        {
            state = "requested";
        }

        if (state is not ("requested" or "approved" or "rejected" or "edited" or "expired") || !(fromTool || span.Kind == StepKind.Approval))
        {
            return null;
        }

        bool decided = state != "requested";
        ulong start = span.StartNanos, end = Math.Max(span.StartNanos, span.EndNanos);
        ulong? waited = span.Number(Field.ApprovalLatencyMs) is { } ms and >= 0 and < 1e12 ? (ulong)(ms * 1e6) : null;
        ulong? decidedAt = decided ? (fromTool ? start : end) : null;
        ulong? requestedAt =
            !decided ? start
            : waited is { } wait && wait <= decidedAt ? decidedAt - wait
            : !fromTool && end > start ? start
            : null; // a momentary decision, or a decision told on the call itself: when it was asked for is not known from this span
        return new ApprovalFact(
            new SpanKey(span.TraceId, span.SpanId), span.Text(Field.ApprovalId), span.Text(Field.ToolCallId), span.Text(Field.RunId), span.Text(Field.SessionId),
            span.Text(Field.ToolName), requestedAt, decidedAt, state, span.Text(Field.ApproverId), span.Text(Field.ApproverRole), span.Text(Field.ApprovalReason),
            span.Payload("approval.reason")?.Ref, span.Text(Field.RiskLevel), span.Fingerprint("approval.args") ?? (fromTool ? null : span.Fingerprint("tool.args")),
            span.ScopeId, fromTool);
    }
}

/// <summary>One call of a tool that took place.</summary>
internal sealed record ExecutionFact(
    SpanKey Span, string? ApprovalId, string? CallId, string? RunId, string? SessionId, string? Tool, ulong Start, ulong End, string? ArgsHash, string ScopeId,
    string Status, SideEffectLevel Level, bool Required, long Attempt)
{
    /// <summary>
    /// Null when the span is no tool call, or one that did not take place: refused, still waiting, or stopped by an authorisation or a guardrail.
    /// </summary>
    public static ExecutionFact? Of(StoredSpan span, ToolRegistry tools)
    {
        if (span.Kind != StepKind.Tool)
        {
            return null;
        }

        string? outcome = span.Text(Field.Outcome);
        bool heldBack = span.Text(Field.ApprovalState) is "rejected" or "expired" or "requested" && outcome != "success";
        if (outcome is "rejected" or "interrupted" || heldBack || span.Text(Field.ErrorClass) is "authz_denied" or "guardrail_blocked" or "policy_denied")
        {
            return null;
        }

        return new ExecutionFact(
            new SpanKey(span.TraceId, span.SpanId), span.Text(Field.ApprovalId), span.Text(Field.ToolCallId), span.Text(Field.RunId), span.Text(Field.SessionId),
            span.Text(Field.ToolName), span.StartNanos, Math.Max(span.StartNanos, span.EndNanos), span.Fingerprint("tool.args"), span.ScopeId,
            span.Result(), tools.Decide(span.Text(Field.ToolName), span.Text(Field.SideEffectLevel)), span.Flag(Field.ApprovalRequired) == true,
            span.Integer(Field.Attempt) ?? 1);
    }
}

internal static class StoredSpanReading
{
    public static PayloadReference? Payload(this StoredSpan span, string role)
    {
        foreach (var payload in span.Payloads)
        {
            if (payload.Role == role)
            {
                return payload;
            }
        }

        return null;
    }

    /// <summary>The span's own outcome: what the sender says, else what its status means; <c>unknown</c> when neither says anything.</summary>
    public static string Result(this StoredSpan span) => span.Text(Field.Outcome) ?? span.Status switch
    {
        OtlpStatus.Ok => "success",
        OtlpStatus.Error => span.Text(Field.ErrorClass) == "timeout" ? "timeout" : "failure",
        _ => "unknown",
    };

    /// <summary>The span itself went wrong. An interruption or a refusal by an approver is not a failure.</summary>
    public static bool IsFailed(this StoredSpan span) => span.Text(Field.Outcome) switch
    {
        "failure" or "timeout" => true,
        "interrupted" or "rejected" or "success" or "partial" => false,
        _ => span.Status == OtlpStatus.Error,
    };

    public static SpanKey Key(this StoredSpan span) => new(span.TraceId, span.SpanId);
}
