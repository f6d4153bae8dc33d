using Evident.Ingest;

namespace Evident.Store;

/// <summary>Runs and traces as they are asked for: found in the directory, read from the partitions, told as a story. Thread safe.</summary>
internal sealed class RunReads(StoreOptions options, Projections projections, RunDirectory directory, SearchedId ids, SpanReader spans, SpanSearch search, PriceBook prices)
{
    private const int TraceWaitMillis = 100; // a trace is read from its partition; only its run and its ledger numbers come from the directory

    /// <summary>Newest first. What was acknowledged before the call is in the answer, unless the projections lag by more than the query wait.</summary>
    public RunPage Find(SpanQuery query, CancellationToken cancellation)
    {
        projections.CatchUp(options.QueryWaitMillis, cancellation);
        return directory.Find(query, cancellation);
    }

    /// <inheritdoc cref="SpanSearch.Find"/>
    public SpanPage FindSpans(SpanQuery query, CancellationToken cancellation)
    {
        projections.CatchUp(options.QueryWaitMillis, cancellation);
        return search.Find(query, cancellation);
    }

    /// <summary>The payloads of a run, by its shown id.</summary>
    public IReadOnlyList<string> ReferencesOf(string runId, CancellationToken cancellation)
    {
        projections.CatchUp(options.QueryWaitMillis, cancellation);
        return [.. directory.TracesOf(IngestSource.DefaultWorkspace, runId, cancellation).SelectMany(t => spans.ReferencesOf(IngestSource.DefaultWorkspace, t.Trace, t.FirstDay, cancellation))];
    }

    /// <summary>The runs of an end user. The pseudonym is 32 random-looking digits: a run that has them in its searched text has a span of that user, or one that names the user otherwise.</summary>
    public List<string> OfUser(string pseudonym, CancellationToken cancellation)
    {
        var runs = new List<string>();
        for (var filter = new SpanQuery(Text: pseudonym, Limit: 500); ;)
        {
            var page = Find(filter, cancellation);
            foreach (var run in page.Runs)
            {
                runs.Add(run.RunId);
            }

            if (page.Next is null)
            {
                return runs;
            }

            filter = filter with { Cursor = page.Next };
        }
    }

    /// <summary>By the shown id, or by the id of one of the run's traces; null when there is no such run.</summary>
    public RunStory? Get(string runId, CancellationToken cancellation)
    {
        projections.CatchUp(options.QueryWaitMillis, cancellation);
        var (shown, traces) = Resolve(runId, cancellation);
        runId = shown;
        var merged = traces.SelectMany(t => spans.Read(IngestSource.DefaultWorkspace, t.Trace, t.FirstDay, cancellation)).ToArray();
        return merged.Length == 0 ? null : StoryBuilder.Build(runId, merged, directory.EntriesOf(traces.Select(t => t.Trace), cancellation), spans, options.Tools, prices);
    }

    // By the shown id, by the id as it was sent, or by that of one of its traces.
    private (string RunId, IReadOnlyList<TracePlace> Traces) Resolve(string runId, CancellationToken cancellation)
    {
        var traces = directory.TracesOf(IngestSource.DefaultWorkspace, runId, cancellation);
        if (traces.Count == 0)
        {
            foreach (string stored in ids.Forms(runId, SearchedId.Identifier).Skip(1))
            {
                if (directory.TracesOf(IngestSource.DefaultWorkspace, stored, cancellation) is { Count: > 0 } found)
                {
                    (runId, traces) = (stored, found); // asked for as it was sent, kept as a pseudonym
                    break;
                }
            }
        }

        if (traces.Count == 0 && TraceId.TryParse(runId, out var member) && directory.PlaceOf(IngestSource.DefaultWorkspace, member, cancellation)?.Run is { } owner)
        {
            runId = owner; // asked for by the id of one of its traces
            traces = directory.TracesOf(IngestSource.DefaultWorkspace, runId, cancellation);
        }

        return (runId, traces);
    }

    /// <summary>A run as <c>otlp-json</c>, <c>jsonl</c> or <c>csv</c> (without its head line); null when there is no such run.</summary>
    /// <exception cref="RunExportException">It is too large.</exception>
    public byte[]? Export(string runId, string format, CancellationToken cancellation)
    {
        projections.CatchUp(options.QueryWaitMillis, cancellation);
        var (shown, traces) = Resolve(runId, cancellation);
        var merged = format == RunExport.Otlp ? [] : traces.SelectMany(t => spans.Read(IngestSource.DefaultWorkspace, t.Trace, t.FirstDay, cancellation)).ToArray();
        return traces.Count == 0 ? null : RunExport.Write(format, shown, merged, traces, IngestSource.DefaultWorkspace, spans, cancellation);
    }

    /// <summary>Every stored span of a trace; null when there is none.</summary>
    public TraceView? GetTrace(TraceId trace, CancellationToken cancellation)
    {
        projections.CatchUp(TraceWaitMillis, cancellation);
        var place = directory.PlaceOf(IngestSource.DefaultWorkspace, trace, cancellation);
        var merged = spans.Read(IngestSource.DefaultWorkspace, trace, place?.FirstDay, cancellation);
        if (merged.Count == 0)
        {
            return null;
        }

        var marks = directory.EntriesOf([trace], cancellation).ToLookup(e => e.Span, e => e.Mark.Seq);
        return new TraceView(trace.ToString(), place?.Run ?? trace.ToString(), [.. merged.Select(m => spans.View(m, [.. marks[m.Span.Key()]]))]);
    }
}
