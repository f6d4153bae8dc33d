namespace Evident.Ingest;

/// <content>What the decided fields say together: the kind, the outcome, the error class, who approved.</content>
internal sealed partial class CleaningDesk
{
    private bool Has(Field field) => winners[(int)field] != 0;

    private ReadOnlySpan<byte> Of(Field field) => Has(field) && values[(int)field].Kind == ValueKind.Text ? gate.Text(values[(int)field]) : default;

    private void Set(Field field, in CleanValue value)
    {
        if (!Has(field)) present.Add(field);
        winners[(int)field] = int.MaxValue;
        values[(int)field] = value;
    }

    private void Set(Field field, string text) => Set(field, gate.Append(System.Text.Encoding.ASCII.GetBytes(text)));

    // semantic-conventions 6.11: the sender's own kinds in their order, then the name, then what attributes imply.
    private StepKind DecideKind(in DirtySpan span)
    {
        int best = int.MaxValue;
        var kind = StepKind.Span;
        foreach (var candidate in candidates)
        {
            if (candidate.Row.Special != SpecialAlias.StepKind || candidate.Priority >= best || !candidate.OfSpan) continue;
            ref readonly var attribute = ref Attribute(candidate);
            if (attribute.Kind != ValueKind.Text || !Meaning.Kinds.TryGet(batch.Bytes(attribute.Text), out var said)) continue;
            best = candidate.Priority;
            kind = said;
        }
        if (kind == StepKind.Span) kind = Meaning.KindOfName(batch.Bytes(span.Name));
        if (kind != StepKind.Span) return kind;
        bool model = Has(Field.ModelRequested) || Has(Field.ModelUsed);
        if (Has(Field.ToolName) && !model) return StepKind.Tool;
        if (model) return StepKind.Llm;
        if (Has(Field.ApprovalState) || Has(Field.ApproverId)) return StepKind.Approval;
        if (sawDb) return StepKind.Db;
        return sawHttp ? StepKind.Http : StepKind.Span;
    }

    private void Derive(in DirtySpan span, StepKind kind)
    {
        Normalise(Field.SideEffectLevel, Meaning.SideEffect(Of(Field.SideEffectLevel)) ?? "unknown");
        Decision(kind);
        if (Has(Field.ApprovalState)) Normalise(Field.ApprovalState, Meaning.Approval(Of(Field.ApprovalState)));
        bool approval = kind == StepKind.Approval || Has(Field.ApprovalState) || Has(Field.ApproverId);
        if (!approval)
        {
            parts.Demote(PayloadRole.ApprovalReason, "reason"u8);
            parts.Demote(PayloadRole.ApprovalReason, "note"u8);
            parts.Demote(PayloadRole.ApprovalReason, "comment"u8);
        }
        // A reason that is a code may stay in the open.
        if (!gate.IsStrict && !Has(Field.ApprovalReason) && parts.TryGetText(PayloadRole.ApprovalReason, out var reason) && gate.KeepsKey(batch.Bytes(reason.Text), default) && gate.Unknown(batch, reason, out var code))
        {
            Set(Field.ApprovalReason, code);
            parts.Remove(PayloadRole.ApprovalReason);
        }

        string? outcome = Meaning.Outcome(Of(Field.Outcome)) ?? Meaning.Outcome(Of(Field.StatusText));
        if (Meaning.IsFallback(Of(Field.Outcome)) || Meaning.IsFallback(Of(Field.StatusText)) || kind == StepKind.Fallback)
            if (!Has(Field.Fallback)) Set(Field.Fallback, new CleanValue(ValueKind.Flag, 1, 0, 0));
        if (Has(Field.Outcome) && Meaning.Outcome(Of(Field.Outcome)) is null && !Has(Field.StatusText)) Set(Field.StatusText, values[(int)Field.Outcome]);
        if (Has(Field.InterruptReason)) outcome ??= "interrupted";

        string? error = Meaning.ErrorClass(Of(Field.ErrorClass)) ?? Meaning.ErrorClass(Of(Field.ErrorType));
        if (Has(Field.ErrorClass) && !Has(Field.ErrorType)) Set(Field.ErrorType, values[(int)Field.ErrorClass]);
        if (span.Status == OtlpStatus.Error || outcome == "failure" || Has(Field.ErrorType))
            error ??= kind switch { StepKind.Tool => "tool_error", StepKind.Llm or StepKind.Embedding or StepKind.Rerank => "provider_error", _ => "unknown" };
        if (error is not null) Set(Field.ErrorClass, error);

        if (span.Status == OtlpStatus.Error) outcome ??= error == "timeout" ? "timeout" : "failure";
        if (span.Status == OtlpStatus.Ok) outcome ??= "success";
        if (outcome is not null) Set(Field.Outcome, outcome);
        else winners[(int)Field.Outcome] = 0;
    }

    private void Normalise(Field field, string? value)
    {
        if (!Has(field)) return;
        if (value is not null) Set(field, value);
        else winners[(int)field] = 0;
    }

    // "decision" says what its span is about: a policy, a guardrail, or an approval.
    private void Decision(StepKind kind)
    {
        foreach (var candidate in candidates)
        {
            if (candidate.Row.Special != SpecialAlias.Decision) continue;
            ref readonly var attribute = ref Attribute(candidate);
            var field = kind switch { StepKind.Policy => Field.PolicyDecision, StepKind.Guardrail => Field.GuardrailDecision, _ => Field.ApprovalState };
            if (!Has(field) && gate.Structural(batch, attribute, out var value) && value.Kind == ValueKind.Text
                && (field != Field.ApprovalState || Meaning.Approval(gate.Text(value)) is not null)) Set(field, value);
            else if (candidate.OfSpan) Keep(SpanEncoding.Attribute, core, batch.Bytes(attribute.Key), attribute, PayloadRole.Attributes);
        }
    }

    private bool KeepLong(in DirtySpan span) => span.Status == OtlpStatus.Error || Of(Field.Outcome) is var outcome
        && (outcome.SequenceEqual("failure"u8) || outcome.SequenceEqual("rejected"u8) || outcome.SequenceEqual("timeout"u8) || outcome.SequenceEqual("interrupted"u8)
            || Of(Field.ApprovalState).SequenceEqual("rejected"u8) || Of(Field.ApprovalState).SequenceEqual("expired"u8));
}
