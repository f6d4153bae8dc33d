using System.Text;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>What a call costs: reported wins, computed shows its sum, and no token is counted twice, in each provider's way of counting (semantic-conventions 8.2 to 8.6).</summary>
public sealed class CostTests
{
    private static SpanView Call(string provider, string model, params (string Key, object Value)[] usage)
    {
        using var at = new TemporaryStore();
        at.Send(new Sent(1, 1, "chat").With(("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", provider), ("gen_ai.request.model", model)).With(usage) with { Until = 2 });
        return at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans.Single();
    }

    public static TheoryData<string, string, (string, object)[], string, double> Vectors => new()
    {
        // OpenAI: cached tokens stand in the input, reasoning in the output.
        { "openai", "gpt-4o-mini", [("gen_ai.usage.input_tokens", 1000), ("gen_ai.usage.cache_read.input_tokens", 400), ("gen_ai.usage.output_tokens", 500), ("gen_ai.usage.reasoning.output_tokens", 200)],
            "600 input × $0.15/M + 400 cache read × $0.075/M + 300 output × $0.6/M + 200 reasoning × $0.6/M = $0.00042", 0.00042 },
        // Anthropic: cached tokens stand beside the input.
        { "anthropic", "claude-3-5-sonnet-20241022", [("gen_ai.usage.input_tokens", 1000), ("gen_ai.usage.cache_read.input_tokens", 400), ("gen_ai.usage.cache_creation.input_tokens", 100), ("gen_ai.usage.output_tokens", 500)],
            "1000 input × $3/M + 400 cache read × $0.3/M + 100 cache write × $3.75/M + 500 output × $15/M = $0.010995", 0.010995 },
        // The same provider through an instrumentation whose total says that they stand inside.
        { "anthropic", "claude-3-5-sonnet-20241022", [("gen_ai.usage.input_tokens", 1500), ("gen_ai.usage.cache_read.input_tokens", 400), ("gen_ai.usage.cache_creation.input_tokens", 100), ("gen_ai.usage.output_tokens", 500), ("gen_ai.usage.total_tokens", 2000)],
            "1000 input × $3/M + 400 cache read × $0.3/M + 100 cache write × $3.75/M + 500 output × $15/M = $0.010995", 0.010995 },
        // Google: thoughts stand beside the output.
        { "gcp.gemini", "gemini-2.5-flash", [("gen_ai.usage.input_tokens", 1000), ("gen_ai.usage.output_tokens", 500), ("gen_ai.usage.reasoning.output_tokens", 200)],
            "1000 input × $0.3/M + 500 output × $2.5/M + 200 reasoning × $2.5/M = $0.00205", 0.00205 },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Cached_and_reasoning_tokens_are_counted_once(string provider, string model, (string, object)[] usage, string formula, double usd)
    {
        var cost = Call(provider, model, usage).Cost!;
        Assert.Equal(("computed", formula), (cost.Source, cost.Formula));
        Assert.Equal(usd, cost.Usd, 12);
        Assert.Equal(PriceTable.BuiltIn.Version, cost.Price!.Table);
    }

    [Fact]
    public void What_the_sender_reports_wins_unless_it_is_nothing_for_a_call_that_used_tokens()
    {
        (string, object)[] usage = [("gen_ai.usage.input_tokens", 1000), ("gen_ai.usage.output_tokens", 500)];
        Assert.Equal(("reported", 0.5, null), Call("openai", "gpt-4o-mini", [.. usage, ("gen_ai.usage.cost", 0.5)]).Cost is { } said ? (said.Source, said.Usd, said.Formula) : default);
        Assert.Equal("computed", Call("openai", "gpt-4o-mini", [.. usage, ("gen_ai.usage.cost", 0.0)]).Cost!.Source);
        Assert.Null(Call("openai", "a model that nobody knows", usage).Cost);
        Assert.Null(Call("my-own-provider", "gpt-4o-mini", usage).Cost); // another's model of the same name has no price here
    }

    [Fact]
    public async Task An_imported_table_holds_from_its_import_on()
    {
        using var at = new TemporaryStore();
        at.Send(new Sent(1, 1, "chat").With(("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "local"), ("gen_ai.request.model", "llama"), ("gen_ai.usage.input_tokens", 10)) with { Until = 2 });
        at.Clock.Now += TimeSpan.FromMinutes(1);
        await at.Store.ImportPricesAsync(Encoding.UTF8.GetBytes("# Version: ours-1\nlocal\tllama*\t\t\t\t\t\t\t\t\t0.001\nopenai\tgpt-4o-mini\t\t\t\t1\t2\n"), new Actor("1000", "uid"));
        at.Send(new Sent(2, 1, "chat").With(("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "local"), ("gen_ai.request.model", "llama-3"), ("gen_ai.usage.input_tokens", 10)) with { At = 120, Until = 124 });
        CostView? Cost(ulong trace) => at.Store.GetTrace(Sent.TraceOf(trace), default)!.Spans.Single().Cost;
        Assert.Null(Cost(1)); // before it there was no price for it, and there is none now
        Assert.Equal("4 s × $0.001/s = $0.004", Cost(2)!.Formula);
        at.Reopen();
        Assert.Equal(("ours-1", 0.004), (Cost(2)!.Price!.Table, Cost(2)!.Usd));
        Assert.Equal(0.004, at.Runs().Single(r => r.TraceIds.Contains(Sent.TraceHex(2))).CostUsd);
        Assert.Throws<PriceFormatException>(() => PriceTable.Parse("local\tllama\t2026-13-01\n"u8.ToArray()));
        Assert.Throws<PriceFormatException>(() => PriceTable.Parse("# nothing\n"u8.ToArray()));
    }

    /// <summary>Rows of the shipped table against figures that stand on the providers' own pages, and all of its rows against its own form.</summary>
    [Theory]
    [InlineData("openai", "gpt-4o-mini-2024-07-18", 0.15, 0.6)]
    [InlineData("azure.ai.openai", "o1-2024-12-17", 15, 60)]
    [InlineData("anthropic", "claude-3-5-sonnet-latest", 3, 15)]
    [InlineData("gcp.vertex_ai", "gemini-2.5-flash", 0.3, 2.5)]
    public void A_price_is_found_by_the_names_that_spans_have(string provider, string model, double input, double output)
    {
        var row = PriceTable.BuiltIn.Find(provider, model, new DateOnly(2026, 11, 27), 1000)!;
        Assert.Equal(((decimal)input, (decimal)output), (row.Input, row.Output));
    }
}
