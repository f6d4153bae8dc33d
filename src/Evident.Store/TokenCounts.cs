using Evident.Ingest;

namespace Evident.Store;

/// <summary>
/// The tokens of one call, each counted once: <see cref="Input"/> holds the cached ones and <see cref="Output"/> the reasoning ones, whatever the sender's way of counting
/// (docs/prices.md, "Counting tokens once"; semantic-conventions 8.2).
/// </summary>
internal readonly record struct TokenCounts(long Input, long Output, long CacheRead, long CacheWrite, long Reasoning)
{
    // Instrumentations that bring every provider's counts to inclusive ones, by the beginning of their scope's name.
    private static readonly string[] Inclusive = ["opentelemetry.instrumentation.", "@opentelemetry/", "openinference", "@arizeai/", "ai", "gen_ai", "langsmith", "langfuse", "pydantic-ai", "logfire"];

    // Providers whose own usage leaves cached tokens out of the input; and whose output leaves reasoning out.
    private static readonly string[] CacheApart = ["anthropic", "aws.bedrock", "aws_bedrock", "bedrock"];
    private static readonly string[] ReasoningApart = ["gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai", "gemini", "vertex_ai", "google", "google_genai"];

    public static TokenCounts Of(StoredSpan span)
    {
        long input = Count(span, Field.TokensIn), output = Count(span, Field.TokensOut), read = Count(span, Field.TokensCacheRead), write = Count(span, Field.TokensCacheWrite);
        long reasoning = Count(span, Field.TokensReasoning), cached = Add(read, write);
        bool dialect = Begins(span.InstrumentationScope), cacheApart = !dialect && Is(span, CacheApart), reasoningApart = !dialect && Is(span, ReasoningApart);
        if (span.Integer(Field.TokensTotal) is { } total and > 0)
        {
            // The sender's own total says what stands inside what; the provider's way is asked first where two readings give the same sum.
            foreach (var (apart, thoughts) in ((bool, bool)[])[(cacheApart, reasoningApart), (false, false), (true, false), (false, true), (true, true)])
            {
                if (Add(Add(input, output), Add(apart ? cached : 0, thoughts ? reasoning : 0)) == total)
                {
                    (cacheApart, reasoningApart) = (apart, thoughts);
                    break;
                }
            }
        }

        cacheApart |= cached > input; // more cached than input: it cannot stand inside
        reasoningApart |= reasoning > output;
        return new TokenCounts(cacheApart ? Add(input, cached) : input, reasoningApart ? Add(output, reasoning) : output, read, write, reasoning);
    }

    public static long Add(long a, long b) => a > long.MaxValue - b ? long.MaxValue : a + b;

    private static long Count(StoredSpan span, Field field) => Math.Max(0, span.Integer(field) ?? 0);

    private static bool Is(StoredSpan span, string[] providers) => span.Text(Field.Provider) is { } provider && Array.Exists(providers, p => p.Equals(provider, StringComparison.OrdinalIgnoreCase));

    // "ai" is a whole name, with a version behind it; the others are beginnings.
    private static bool Begins(string? scope) => scope is not null
        && Array.Exists(Inclusive, b => scope.StartsWith(b, StringComparison.OrdinalIgnoreCase) && (b.Length > 2 || scope.Length == 2 || scope[2] == ' '));
}
