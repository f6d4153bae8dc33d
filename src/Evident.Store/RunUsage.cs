using Evident.Ingest;

namespace Evident.Store;

/// <summary>
/// Tokens and cost of a run, counted on leaf usage only (semantic-conventions 8.3): a span's usage counts when no descendant reports usage, so an
/// agent's total never adds to the calls beneath it; one call that two instrumentations report counts once.
/// </summary>
internal static class RunUsage
{
    public static (long In, long Out, double? Cost) Of(IReadOnlyDictionary<SpanKey, StoredSpan> spans)
    {
        long tokensIn = 0, tokensOut = 0;
        foreach (var span in Leaves(spans, static s => (s.Integer(Field.TokensIn) ?? s.Integer(Field.TokensOut)) is not null))
        {
            var (spanIn, spanOut) = Tokens(span);
            tokensIn = SaturatingAdd(tokensIn, spanIn);
            tokensOut = SaturatingAdd(tokensOut, spanOut);
        }

        double? cost = null;
        foreach (var span in Leaves(spans, static s => s.Number(Field.CostUsd) is { } c && double.IsFinite(c)))
        {
            cost = (cost ?? 0) + span.Number(Field.CostUsd);
        }

        return (tokensIn, tokensOut, cost is { } sum ? Math.Round(sum, 9) : null);
    }

    /// <summary>
    /// Inclusive counts. More cached tokens than input tokens means that the source counts them apart (semantic-conventions 8.2): they are added.
    /// </summary>
    public static (long In, long Out) Tokens(StoredSpan span)
    {
        long tokensIn = Math.Max(0, span.Integer(Field.TokensIn) ?? 0), tokensOut = Math.Max(0, span.Integer(Field.TokensOut) ?? 0);
        long cached = SaturatingAdd(Math.Max(0, span.Integer(Field.TokensCacheRead) ?? 0), Math.Max(0, span.Integer(Field.TokensCacheWrite) ?? 0));
        return (cached > tokensIn ? SaturatingAdd(tokensIn, cached) : tokensIn, tokensOut);
    }

    private static List<StoredSpan> Leaves(IReadOnlyDictionary<SpanKey, StoredSpan> spans, Func<StoredSpan, bool> reports)
    {
        var above = new HashSet<SpanKey>(); // spans with a reporting descendant; the walk up stops where an earlier one has been
        foreach (var span in spans.Values)
        {
            if (reports(span))
            {
                var parent = span.ParentSpanId;
                while (parent is { } id && above.Add(new SpanKey(span.TraceId, id)))
                {
                    parent = spans.TryGetValue(new SpanKey(span.TraceId, id), out var next) ? next.ParentSpanId : null;
                }
            }
        }

        var leaves = new List<StoredSpan>();
        var seen = new Dictionary<(TraceId, SpanId?, long, long, double), StoredSpan>();
        foreach (var span in spans.Values.OrderBy(s => s.StartNanos).ThenBy(s => s.SpanId.Value))
        {
            if (!reports(span) || above.Contains(span.Key()))
            {
                continue;
            }

            var call = (span.TraceId, span.ParentSpanId, span.Integer(Field.TokensIn) ?? -1, span.Integer(Field.TokensOut) ?? -1, span.Number(Field.CostUsd) ?? -1);
            if (seen.TryGetValue(call, out var twin) && twin.InstrumentationScope != span.InstrumentationScope && span.StartNanos < twin.EndNanos)
            {
                continue;
            }

            seen[call] = span;
            leaves.Add(span);
        }

        return leaves;
    }

    private static long SaturatingAdd(long a, long b) => a > long.MaxValue - b ? long.MaxValue : a + b;
}
