using System.Globalization;
using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>Tells a run: its spans, its approvals in one sentence each, its ledger entries, and where it first went wrong. Pure.</summary>
internal static class StoryBuilder
{
    public static RunStory Build(string runId, IReadOnlyList<MergedSpan> spans, IReadOnlyList<MarkedSpan> entries, SpanReader reader, ToolRegistry tools, PriceBook prices)
    {
        var summary = RunSummary.Of(spans.Select(s => s.Span), tools, prices);
        var marks = entries.ToLookup(e => e.Span, e => e.Mark.Seq);
        return new RunStory(
            summary.View with { RunId = runId },
            [.. spans.OrderBy(s => s.Span.StartNanos).ThenBy(s => s.Span.SpanId.Value).Select(s => reader.View(s, [.. marks[s.Span.Key()]]))],
            [.. summary.Approvals.Select(Tell)],
            [.. entries.Select(e => e.Mark)],
            FirstWrong(summary),
            summary.MissingParents,
            summary.Evals);
    }

    private static ApprovalView Tell(ApprovalCase held) => new()
    {
        ApprovalId = held.ApprovalId,
        Tool = held.Tool ?? "an action",
        State = held.State,
        RequestedTime = Time(held.Requested),
        DecidedTime = Time(held.Decided),
        WaitMs = held.Decided >= held.Requested ? (held.Decided!.Value - held.Requested!.Value) / 1e6 : null,
        ApproverId = held.ApproverId,
        ApproverRole = held.ApproverRole,
        Reason = held.ReasonCode,
        ReasonPayload = held.ReasonRef,
        ExecutedTime = Time(held.Executed),
        ExecutionStatus = held.ExecutionStatus,
        RequestSpanId = Span(held.RequestSpan),
        ExecutedSpanId = Span(held.ExecutionSpan),
        ArgsMatch = held.ArgsMatch,
        Sentence = Sentence(held),
    };

    /// <summary>
    /// "refund.submit proposed 10:39:58, approved 10:42:07 by s_901 (support_lead, reported by the agent), executed 800 ms later, arguments match".
    /// </summary>
    private static string Sentence(ApprovalCase held)
    {
        var parts = new List<string> { held.Requested is { } requested ? $"{held.Tool ?? "an action"} proposed {Clock(requested)}" : held.Tool ?? "an action" };
        if (held.Decided is { } decided)
        {
            string by = held.State == "expired" ? "" // nobody decided
                : $" by {held.ApproverId ?? "an approver who was not named"} ({(held.ApproverRole is { } role ? role + ", " : "")}reported by the agent)";
            parts.Add($"{held.State} {Clock(decided)}{by}");
        }
        else
        {
            parts.Add("no decision known");
        }

        if (held.Executed is { } executed)
        {
            string verb = held.ExecutionStatus is "failure" or "timeout" ? "attempted" : "executed";
            parts.Add(held.Decided is not { } since ? $"{verb} {Clock(executed)}"
                : executed >= since ? $"{verb} {Span(executed - since)} later" : $"{verb} {Span(since - executed)} before the decision");
            parts.Add(held.ArgsMatch switch { true => "arguments match", false => "arguments differ", null => "arguments not comparable" });
        }
        else if (held.IsGranted)
        {
            parts.Add("not executed yet");
        }

        return string.Join(", ", parts);
    }

    // The earliest of the things that explain a bad end, a root only when nothing beneath it does; a run that ended well and broke no rule has none.
    private static FirstWrong? FirstWrong(RunSummary summary)
    {
        var candidates = new List<Candidate>();
        void Add(StoredSpan? span, string why)
        {
            if (span is not null)
            {
                candidates.Add(new Candidate(span, why));
            }
        }

        Add(summary.WritesWithoutApproval.FirstOrDefault(), "it changed something outside without a granted approval");
        foreach (var held in summary.Approvals.Where(a => a.ArgsMatch == false))
        {
            Add(summary.Spans.FirstOrDefault(s => s.Key().ToString() == held.ExecutionSpan), "the executed arguments are not the approved ones");
        }

        Add(summary.LoopStart(), "the same tool was called a third time with the same arguments");
        if (summary.View.Outcome is not ("success" or "running" or "interrupted"))
        {
            Add(summary.Spans.FirstOrDefault(s => s.Text(Field.ErrorClass) == "authz_denied"), "access was denied");
            Add(summary.Spans.FirstOrDefault(RunSummary.IsGuardrailBlock), "a guardrail blocked it");
            Add(summary.Spans.FirstOrDefault(s => s.Flag(Field.VerifyPassed) == false), "verification did not pass");
            Add(summary.Spans.FirstOrDefault(RunSummary.IsBudgetExhausted), "the budget was exhausted");
            var parents = new HashSet<SpanKey>();
            foreach (var failed in summary.Spans.Where(s => s.IsFailed()))
            {
                if (failed.ParentSpanId is { } parent)
                {
                    parents.Add(new SpanKey(failed.TraceId, parent));
                }
            }

            Add(summary.Spans.FirstOrDefault(s => s.IsFailed() && !parents.Contains(s.Key())), "it failed, and nothing beneath it did"); // a parent's error is its child's
        }

        Add(summary.Spans.FirstOrDefault(RunSummary.IsFailedEval), "an evaluation did not pass");
        return candidates.Count == 0 ? null : candidates.OrderBy(c => c.Span.ParentSpanId is null).ThenBy(c => c.Span.StartNanos).Select(c => new FirstWrong(c.Span.SpanId.ToString(), c.Why)).First();
    }

    private static string? Time(ulong? nanos) => nanos is { } n ? Rfc3339.FormatMillis((long)(n / 1_000_000)) : null;

    private static string Clock(ulong nanos) => Rfc3339.FormatMillis((long)(nanos / 1_000_000)).Substring(11, 8);

    private static string Span(ulong nanos) => nanos switch
    {
        < 10_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanos / 1_000_000} ms"),
        < 120_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanos / 1_000_000_000} s"),
        < 7_200_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanos / 60_000_000_000} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanos / 3_600_000_000_000} h"),
    };

    private static string? Span(string? key) => SpanKey.TryParse(key, out var parsed) ? parsed.Span.ToString() : null;

    private sealed record Candidate(StoredSpan Span, string Why);
}
