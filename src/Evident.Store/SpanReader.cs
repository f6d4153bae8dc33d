using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>One span with its revisions merged.</summary>
internal sealed record MergedSpan(StoredSpan Span, int Revisions);

/// <summary>Reads spans straight from the partitions, newest first, and shows them as the API does. Thread safe.</summary>
internal sealed class SpanReader(PartitionSet partitions, ToolRegistry tools, PriceBook prices, Action<string, Exception?> log)
{
    /// <summary>Every span of a trace that a serving partition holds, in order of start.</summary>
    /// <param name="firstDay">Older partitions are not looked at; null looks at all.</param>
    public IReadOnlyList<MergedSpan> Read(string workspace, TraceId trace, string? firstDay, CancellationToken cancellation)
    {
        var days = new List<List<StoredSpan>>();
        var files = partitions.Files;
        for (int i = files.Count - 1; i >= 0 && (firstDay is null || string.CompareOrdinal(files[i].Name, firstDay) >= 0); i--)
        {
            cancellation.ThrowIfCancellationRequested();
            var found = new List<StoredSpan>();
            files[i].TryRead(reader => reader.ReadTrace(trace, workspace, long.MaxValue, found, cancellation), log);
            days.Add(found);
        }

        days.Reverse(); // later receipt wins: oldest first for the merge
        return [.. days.SelectMany(d => d).GroupBy(s => s.SpanId).Select(g => g.ToArray())
            .Select(g => new MergedSpan(g.Length == 1 ? g[0] : StoredSpan.Merge(g), g.Length))
            .OrderBy(m => m.Span.StartNanos).ThenBy(m => m.Span.SpanId.Value)];
    }

    /// <summary>The encoding of every revision of every span of the trace, oldest receipt first.</summary>
    public void ReadEncoded(string workspace, TraceId trace, string? firstDay, PlacedSpan each, CancellationToken cancellation)
    {
        foreach (var file in partitions.Files)
        {
            if (firstDay is null || string.CompareOrdinal(file.Name, firstDay) >= 0)
            {
                file.TryRead(reader => reader.ReadTrace(trace, workspace, long.MaxValue, each, cancellation), log);
            }
        }
    }

    /// <summary>Every payload that any revision of a span of the trace names.</summary>
    public IReadOnlyList<string> ReferencesOf(string workspace, TraceId trace, string? firstDay, CancellationToken cancellation)
    {
        var references = new List<string>();
        foreach (var file in partitions.Files)
        {
            if (firstDay is null || string.CompareOrdinal(file.Name, firstDay) >= 0)
            {
                var found = new List<StoredSpan>();
                file.TryRead(reader => reader.ReadTrace(trace, workspace, long.MaxValue, found, cancellation), log);
                foreach (var span in found)
                {
                    references.AddRange(span.Payloads.Where(p => !p.IsElsewhere).Select(p => p.Ref));
                }
            }
        }

        return references;
    }

    public SpanView View(MergedSpan merged, IReadOnlyList<long> ledger)
    {
        var span = merged.Span;
        ulong end = Math.Max(span.StartNanos, span.EndNanos);
        bool tool = span.Kind == StepKind.Tool;
        var cost = SpanCost.Of(span, prices);
        return new SpanView
        {
            TraceId = span.TraceId.ToString(),
            SpanId = span.SpanId.ToString(),
            ParentSpanId = span.ParentSpanId?.ToString(),
            Name = span.Name,
            Kind = span.Kind.ToName(),
            OtlpKind = span.OtlpKind.ToName(),
            StartTime = Rfc3339.FormatNanos(span.StartNanos),
            EndTime = Rfc3339.FormatNanos(end),
            DurationMs = (end - span.StartNanos) / 1e6,
            Status = span.Status.ToName(),
            Outcome = span.Text(Field.Outcome),
            ToolName = span.Text(Field.ToolName),
            Model = span.Text(Field.ModelUsed) ?? span.Text(Field.ModelRequested),
            SideEffectLevel = tool ? tools.Decide(span.Text(Field.ToolName), span.Text(Field.SideEffectLevel)).ToName() : null,
            TokensIn = span.Integer(Field.TokensIn),
            TokensOut = span.Integer(Field.TokensOut),
            CostUsd = cost?.Usd,
            Cost = cost,
            ErrorClass = span.Text(Field.ErrorClass),
            Attempt = span.Integer(Field.Attempt),
            ApprovalState = span.Text(Field.ApprovalState),
            Attributes = Attributes(span),
            Resource = Attributes(span.ResourceAttributes),
            Scope = span.InstrumentationScope,
            Events = [.. span.Events.Select(e => new SpanEventView(Rfc3339.FormatNanos(e.TimeNanos), e.Name, Attributes(e.Attributes)))],
            Links = [.. span.Links.Select(l => new SpanLinkView(l.TraceId.ToString(), l.SpanId.ToString()))],
            Payloads = Payloads(span),
            References = References(span),
            Capture = span.Capture == CaptureMode.Redacted ? null : span.Capture.ToName(),
            Ledger = ledger,
            Revisions = merged.Revisions,
        };
    }

    private static List<ReferenceView>? References(StoredSpan span)
    {
        List<ReferenceView>? shown = null;
        foreach (var attribute in span.Attributes)
        {
            if (attribute.Value.Text is { } uri && Conventions.Default.Elsewhere(attribute.Key) is { } role)
            {
                (shown ??= []).Add(new ReferenceView(role, attribute.Key, uri));
            }
        }

        return shown;
    }

    private static List<PayloadView> Payloads(StoredSpan span)
    {
        var shown = new List<PayloadView>(span.Payloads.Count + span.Uncaptured.Count);
        foreach (var payload in span.Payloads)
        {
            shown.Add(payload.IsElsewhere ? new PayloadView(payload.Role, null, payload.Hash, payload.Bytes) { Elsewhere = payload.Ref } : new PayloadView(payload.Role, payload.Ref, payload.Hash, payload.Bytes));
        }

        foreach (var payload in span.Uncaptured)
        {
            shown.Add(new PayloadView(payload.Role, null, payload.Fingerprint, payload.Bytes));
        }

        return shown;
    }

    // Canonical names first: a sender's own attribute never stands in for one.
    private static Dictionary<string, AttributeValue> Attributes(StoredSpan span)
    {
        var shown = new Dictionary<string, AttributeValue>(StringComparer.Ordinal);
        foreach (var (field, value) in span.Fields)
        {
            shown[field.ToName()] = value;
        }

        foreach (var attribute in span.Attributes)
        {
            shown.TryAdd(attribute.Key, attribute.Value);
        }

        return shown;
    }

    private static Dictionary<string, AttributeValue> Attributes(IReadOnlyList<SpanAttribute> attributes)
    {
        var shown = new Dictionary<string, AttributeValue>(StringComparer.Ordinal);
        foreach (var attribute in attributes)
        {
            shown[attribute.Key] = attribute.Value;
        }

        return shown;
    }
}
