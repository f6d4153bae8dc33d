using System.Globalization;
using System.Text;
using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>What a call cost, and how that is known.</summary>
/// <param name="Source"><c>reported</c> by the sender, or <c>computed</c> here from tokens and the price table.</param>
/// <param name="Formula">Only of a computed cost: the sum in words.</param>
public sealed record CostView(string Source, double Usd, string? Formula, PriceView? Price);

/// <summary>The row of the price table that a cost was computed with.</summary>
/// <param name="Table">Version of the table.</param>
/// <param name="TableFrom">Since when that table is in force; null for the one that ships with the build.</param>
/// <param name="From">First day for which the row holds; null: open.</param>
/// <param name="To">First day for which it no longer does; null: open.</param>
public sealed record PriceView(string Provider, string Model, string Table, string? TableFrom, string? From, string? To);

/// <summary>
/// The cost of one span (docs/prices.md): what the sender reports, else computed at the time of reading, so that no stored byte and no digest depends on a price. A reported 0 with tokens is
/// taken as "not known" when there is a price. Pure.
/// </summary>
internal static class SpanCost
{
    /// <summary>What the sender says; null when it says nothing, or only 0 for a call that used tokens.</summary>
    public static double? Reported(StoredSpan span) => Said(span) is { } said && (said > 0 || !UsedTokens(span)) ? said : null;

    /// <summary>Null when nothing is reported and no price fits.</summary>
    public static CostView? Of(StoredSpan span, PriceBook prices)
    {
        if (Reported(span) is { } reported)
        {
            return new CostView("reported", reported, null, null);
        }

        return Computed(span, prices, explain: true) ?? (Said(span) is { } zero ? new CostView("reported", zero, null, null) : null);
    }

    /// <summary>The amount alone, and whether it was computed.</summary>
    public static (double Usd, bool Computed)? Amount(StoredSpan span, PriceBook prices) =>
        Reported(span) is { } reported ? (reported, false) : Computed(span, prices, explain: false) is { } computed ? (computed.Usd, true) : Said(span) is { } zero ? (zero, false) : null;

    /// <summary>A call that costs something somewhere: it used tokens, or it is a call of a model.</summary>
    public static bool UsedTokens(StoredSpan span) => span.Integer(Field.TokensIn) > 0 || span.Integer(Field.TokensOut) > 0;

    private static double? Said(StoredSpan span) => span.Number(Field.CostUsd) is { } said && double.IsFinite(said) ? said : null;

    private static CostView? Computed(StoredSpan span, PriceBook prices, bool explain)
    {
        bool call = span.Kind is StepKind.Llm or StepKind.Embedding or StepKind.Rerank;
        if (!call && !UsedTokens(span))
        {
            return null;
        }

        string? provider = span.Text(Field.Provider);
        var edition = prices.At(span.StartNanos);
        var day = DateOnly.FromDateTime(DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Min(span.StartNanos / 1_000_000, 253_402_300_799_999)).UtcDateTime);
        var tokens = TokenCounts.Of(span);
        PriceRow? row = null;
        string model = "";
        foreach (string? name in (ReadOnlySpan<string?>)[span.Text(Field.ModelUsed), span.Text(Field.ModelRequested)])
        {
            if (row is null && name is not null && edition.Table.Find(provider, name, day, tokens.Input) is { } found)
            {
                (row, model) = (found, name);
            }
        }

        if (row is null || (row.PerSecond < 0 && !UsedTokens(span)))
        {
            return null;
        }

        var sum = new Sum(explain);
        long plain = Math.Max(0, tokens.Input - TokenCounts.Add(tokens.CacheRead, tokens.CacheWrite)), text = Math.Max(0, tokens.Output - tokens.Reasoning);
        if (row.Input >= 0 || row.Output >= 0)
        {
            sum.Tokens(plain, "input", row.Input);
            sum.Tokens(tokens.CacheRead, "cache read", row.CacheRead >= 0 ? row.CacheRead : row.Input);
            sum.Tokens(tokens.CacheWrite, "cache write", row.CacheWrite >= 0 ? row.CacheWrite : row.Input);
            sum.Tokens(text, "output", row.Output);
            sum.Tokens(tokens.Reasoning, "reasoning", row.Reasoning >= 0 ? row.Reasoning : row.Output);
        }

        if (row.PerSecond >= 0)
        {
            sum.Seconds(span.EndNanos > span.StartNanos ? span.EndNanos - span.StartNanos : 0, row.PerSecond);
        }

        double usd = (double)sum.Usd;
        return new CostView("computed", usd, explain ? sum.Text : null, explain ? new PriceView(row.Provider, model, edition.Table.Version,
            edition.FromUnixMillis == 0 ? null : Rfc3339.FormatMillis(edition.FromUnixMillis), row.From?.ToString("O", CultureInfo.InvariantCulture), row.To?.ToString("O", CultureInfo.InvariantCulture)) : null);
    }

    // Decimal: 28 digits, so nothing is lost before the end.
    private sealed class Sum(bool explain)
    {
        private readonly StringBuilder? terms = explain ? new StringBuilder() : null;

        public decimal Usd { get; private set; }

        public string Text => terms is { Length: > 0 } ? terms.Append(CultureInfo.InvariantCulture, $" = ${Usd:0.############}").ToString() : "$0";

        public void Tokens(long count, string what, decimal perMillion)
        {
            if (count > 0 && perMillion >= 0)
            {
                Usd += count * perMillion / 1_000_000;
                Term(count.ToString(CultureInfo.InvariantCulture), what, perMillion, "M");
            }
        }

        public void Seconds(ulong nanos, decimal perSecond)
        {
            decimal seconds = nanos / 1_000_000_000m;
            Usd += seconds * perSecond;
            Term(seconds.ToString("0.#########", CultureInfo.InvariantCulture), "s", perSecond, "s");
        }

        private void Term(string count, string what, decimal price, string unit) =>
            terms?.Append(terms.Length > 0 ? " + " : "").Append(count).Append(' ').Append(what).Append(" × $").Append(price.ToString("0.############", CultureInfo.InvariantCulture)).Append('/').Append(unit);
    }
}
