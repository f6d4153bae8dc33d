using Evident.Ingest;

namespace Evident.Store;

/// <summary>Tokens and cost of a run.</summary>
/// <param name="CostUsd">Null when nothing is known of any call.</param>
/// <param name="Source"><c>reported</c>, <c>computed</c>, <c>mixed</c>; null without a cost.</param>
/// <param name="Unpriced">Calls that used tokens and of whose cost nothing is known: the cost is a lower bound then.</param>
internal readonly record struct RunTotals(long TokensIn, long TokensOut, double? CostUsd, string? Source, int Unpriced);

/// <summary>
/// The one place where tokens and cost are summed. A span's tokens count when no descendant reports any (semantic-conventions 8.3), so an agent's total never adds to the calls beneath it; one
/// call that two instrumentations report counts once. Of costs, a reported one of a span stands for all beneath it that nobody reported, and computed ones count only where nothing above was reported.
/// </summary>
internal static class RunUsage
{
    public static RunTotals Of(IReadOnlyDictionary<SpanKey, StoredSpan> spans, PriceBook prices)
    {
        long tokensIn = 0, tokensOut = 0;
        foreach (var span in Leaves(spans, static s => (s.Integer(Field.TokensIn) ?? s.Integer(Field.TokensOut)) is not null))
        {
            var tokens = TokenCounts.Of(span);
            tokensIn = TokenCounts.Add(tokensIn, tokens.Input);
            tokensOut = TokenCounts.Add(tokensOut, tokens.Output);
        }

        double reported = 0, computed = 0;
        int counted = 0, computedCalls = 0, unpriced = 0;
        var told = new HashSet<SpanKey>();
        var calls = new Dictionary<(TraceId, SpanId?, long, long, double), StoredSpan>();
        foreach (var span in Leaves(spans, static s => SpanCost.Reported(s) is not null))
        {
            reported += SpanCost.Reported(span)!.Value;
            counted++;
            told.Add(span.Key());
            calls[Call(span)] = span;
        }

        var covered = new Dictionary<SpanKey, bool>();
        foreach (var span in Leaves(spans, s => SpanCost.UsedTokens(s) || SpanCost.Amount(s, prices) is not null))
        {
            if (SpanCost.Reported(span) is not null || IsCovered(span, spans, told, covered) || IsToldElsewhere(span, calls))
            {
                continue;
            }

            if (SpanCost.Amount(span, prices) is not { } amount)
            {
                unpriced++;
            }
            else if (amount.Computed)
            {
                computed += amount.Usd;
                computedCalls++;
            }
            else
            {
                reported += amount.Usd; // a reported 0 for which there is no price
                counted++;
            }
        }

        double? cost = counted + computedCalls > 0 ? Math.Round(reported + computed, 9) : null;
        return new RunTotals(tokensIn, tokensOut, cost, cost is null ? null : computedCalls == 0 ? "reported" : counted == 0 ? "computed" : "mixed", unpriced);
    }

    // The span or one above it is among the reported. Walks up once per span: what was found is kept.
    private static bool IsCovered(StoredSpan span, IReadOnlyDictionary<SpanKey, StoredSpan> spans, HashSet<SpanKey> told, Dictionary<SpanKey, bool> known)
    {
        var path = new List<SpanKey>();
        bool covered = false;
        for (var at = span; ;)
        {
            var key = at.Key();
            if (known.TryGetValue(key, out covered))
            {
                break;
            }

            known[key] = false; // a circle of parents ends here
            path.Add(key);
            covered = told.Contains(key);
            if (covered || at.ParentSpanId is not { } parent || !spans.TryGetValue(new SpanKey(at.TraceId, parent), out at))
            {
                break;
            }
        }

        foreach (var key in path)
        {
            known[key] = covered;
        }

        return covered;
    }

    // The same call, told by another instrumentation that knows its cost.
    private static bool IsToldElsewhere(StoredSpan span, Dictionary<(TraceId, SpanId?, long, long, double), StoredSpan> calls) =>
        calls.TryGetValue(Call(span), out var other) && other.InstrumentationScope != span.InstrumentationScope && span.StartNanos < other.EndNanos && other.StartNanos < span.EndNanos;

    private static (TraceId, SpanId?, long, long, double) Call(StoredSpan span) => (span.TraceId, span.ParentSpanId, span.Integer(Field.TokensIn) ?? -1, span.Integer(Field.TokensOut) ?? -1, -1);

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
}
