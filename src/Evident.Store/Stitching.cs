using Evident.Ingest;

namespace Evident.Store;

/// <summary>What decides which run a trace belongs to.</summary>
/// <param name="Waiting">The trace ended interrupted, or waits for an approval.</param>
internal sealed record TraceFacts(
    TraceId Trace, string? RunId, string? SessionId, string? WorkflowId, ulong Start, ulong End, bool HasRoot, bool Waiting, IReadOnlyList<TraceId> Links)
{
    private const int MaxLinks = 64; // of one trace; a consumer of thousands of messages must not tie all their senders together

    /// <param name="summary">Of all spans of one trace, as if it were a run of its own.</param>
    public static TraceFacts Of(RunSummary summary)
    {
        var spans = summary.Spans;
        var root = summary.Root;
        var trace = spans[0].TraceId;
        return new TraceFacts(
            trace, root?.Text(Field.RunId) ?? Known(summary, Field.RunId), root?.Text(Field.SessionId) ?? Known(summary, Field.SessionId), summary.View.WorkflowId,
            summary.StartNanos, spans.Max(s => Math.Max(s.StartNanos, s.EndNanos)), root is not null, summary.View.Outcome == "interrupted",
            LinksOf(spans, trace));
    }

    // The traces that this one links to, in the order of their ids.
    private static List<TraceId> LinksOf(IReadOnlyList<StoredSpan> spans, TraceId trace)
    {
        var found = new HashSet<TraceId>();
        foreach (var span in spans)
        {
            foreach (var link in span.Links)
            {
                if (link.TraceId != trace)
                {
                    found.Add(link.TraceId);
                }
            }
        }

        List<TraceId> links = [.. found];
        links.Sort((a, b) => a.High != b.High ? a.High.CompareTo(b.High) : a.Low.CompareTo(b.Low));
        return links.Count > MaxLinks ? links[..MaxLinks] : links;
    }

    private static string? Known(RunSummary summary, Field field) => summary.Spans.Select(s => s.Text(field)).FirstOrDefault(v => !string.IsNullOrEmpty(v));
}

/// <summary>
/// Puts traces into runs (docs/store.md): the same run id; span links; a session's interrupted trace and the one that resumes it. Two different run ids
/// are never one run. A pure function: the same traces give the same runs in whatever order they arrived.
/// </summary>
internal static class Stitching
{
    /// <param name="traces">A closed neighbourhood: everything that could be tied to anything in it.</param>
    public static IReadOnlyList<IReadOnlyList<TraceFacts>> Group(IEnumerable<TraceFacts> traces)
    {
        var ordered = traces.OrderBy(t => t.Start).ThenBy(t => t.Trace.ToString(), StringComparer.Ordinal).ToArray();
        var groups = new List<Joined>();
        var groupOf = new Dictionary<TraceId, Joined>();

        void Join(Joined a, Joined b)
        {
            if (a == b || (a.RunId is not null && b.RunId is not null && a.RunId != b.RunId))
            {
                return;
            }

            a.RunId ??= b.RunId;
            a.Traces.AddRange(b.Traces);
            foreach (var moved in b.Traces)
            {
                groupOf[moved.Trace] = a;
            }

            groups.Remove(b);
        }

        foreach (var trace in ordered)
        {
            var own = new Joined { RunId = trace.RunId };
            own.Traces.Add(trace);
            groups.Add(own);
            groupOf.Add(trace.Trace, own);
        }

        var byRunId = new Dictionary<string, Joined>(StringComparer.Ordinal);
        foreach (var trace in ordered)
        {
            if (trace.RunId is { } run)
            {
                if (byRunId.TryGetValue(run, out var first))
                {
                    Join(first, groupOf[trace.Trace]);
                }
                else
                {
                    byRunId.Add(run, groupOf[trace.Trace]);
                    if (TraceId.TryParse(run, out var named) && groupOf.TryGetValue(named, out var target) && run == named.ToString())
                    {
                        Join(groupOf[trace.Trace], target); // the sender uses the first trace's id as the run id
                    }
                }
            }
        }

        foreach (var trace in ordered)
        {
            foreach (var link in trace.Links)
            {
                if (groupOf.TryGetValue(link, out var target))
                {
                    Join(groupOf[trace.Trace], target);
                }
            }
        }

        foreach (var session in ordered.Where(t => t.SessionId is not null).GroupBy(t => t.SessionId))
        {
            Resume([.. session], groupOf, Join);
        }

        return [.. groups.Select(g => g.Traces.OrderBy(t => t.Start).ThenBy(t => t.Trace.ToString(), StringComparer.Ordinal).ToArray())];
    }

    // Neighbours in time within one session: the earlier one waits and the later one begins after it, or has no root of its own.
    private static void Resume(TraceFacts[] session, Dictionary<TraceId, Joined> groupOf, Action<Joined, Joined> join)
    {
        for (int i = 1; i < session.Length; i++)
        {
            var (earlier, later) = (session[i - 1], session[i]);
            bool sameWork = earlier.WorkflowId is null || later.WorkflowId is null || earlier.WorkflowId == later.WorkflowId;
            if (earlier.Waiting && sameWork && (later.Start >= earlier.End || !later.HasRoot))
            {
                join(groupOf[earlier.Trace], groupOf[later.Trace]);
            }
        }
    }

    private sealed class Joined
    {
        public string? RunId { get; set; }
        public List<TraceFacts> Traces { get; } = [];
    }
}
