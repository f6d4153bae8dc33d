using System.Text;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>Prices, formulas and tokens that are counted once, per provider.</summary>
public sealed class PriceTests
{
    private static StoredSpan Call(params (string Key, object Value)[] attributes)
    {
        using var at = new TemporaryStore();
        at.Send(new Sent(1, 1, "chat") { At = 0, Until = 2.5 }.With(attributes));
        StoredSpan? found = null;
        at.Close();
        using var reader = new PartitionReader(Directory.EnumerateFiles(Path.Combine(at.Data, "traces"), "*.db").Single());
        foreach (var block in reader.ReadBlocks(0, 8))
        {
            found = block.Spans[0];
        }

        return found!;
    }

    private static PriceBook Book(string rows, long from = 0) => PriceBook.Of(new PriceEdition(PriceTable.Parse(Encoding.UTF8.GetBytes("# Version: test-1\n" + rows)), from));

    // provider, input, output, cache read, cache write, reasoning, total -> input and output that hold everything once
    [Theory]
    [InlineData("openai", 1000, 300, 800, 0, 100, 1300, 1000, 300)] // cached and reasoning tokens stand inside
    [InlineData("openai", 1000, 300, 800, 0, 100, 0, 1000, 300)]
    [InlineData("anthropic", 100, 300, 50, 20, 0, 0, 170, 300)] // input leaves cache read and creation out
    [InlineData("anthropic", 100, 300, 800, 20, 0, 0, 920, 300)]
    [InlineData("anthropic", 1000, 300, 800, 0, 0, 1300, 1000, 300)] // the sender's own total says that it added them
    [InlineData("aws.bedrock", 100, 300, 50, 0, 0, 0, 150, 300)]
    [InlineData("gcp.gemini", 1000, 300, 200, 0, 120, 1420, 1000, 420)] // thoughts are apart from candidates, cached content is inside
    [InlineData("gcp.gemini", 1000, 420, 200, 0, 120, 1420, 1000, 420)]
    [InlineData("gcp.gemini", 1000, 300, 200, 0, 120, 0, 1000, 420)]
    [InlineData("unheard", 100, 300, 800, 0, 0, 0, 900, 300)] // more cached than input cannot stand inside
    public void Tokens_are_counted_once(string provider, int input, int output, int read, int write, int reasoning, int total, long allIn, long allOut)
    {
        var attributes = new List<(string, object)>
        {
            ("gen_ai.provider.name", provider), ("gen_ai.request.model", "m"), ("gen_ai.usage.input_tokens", input), ("gen_ai.usage.output_tokens", output),
            ("gen_ai.usage.cache_read.input_tokens", read), ("gen_ai.usage.cache_creation.input_tokens", write), ("gen_ai.usage.reasoning.output_tokens", reasoning),
        };
        if (total > 0)
        {
            attributes.Add(("gen_ai.usage.total_tokens", total));
        }

        var tokens = TokenCounts.Of(Call([.. attributes]));
        Assert.Equal((allIn, allOut), (tokens.Input, tokens.Output));
    }

    [Fact]
    public void A_computed_cost_shows_its_formula_and_a_reported_one_wins()
    {
        (string, object)[] usage = [("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-4o-mini-2024-07-18"), ("gen_ai.usage.input_tokens", 1000), ("gen_ai.usage.output_tokens", 300), ("gen_ai.usage.cache_read.input_tokens", 800)];
        var prices = Book("openai\tgpt-4o-mini\t\t\t\t0.15\t0.6\t0.075\n");
        var computed = SpanCost.Of(Call(usage), prices)!;
        Assert.Equal("computed", computed.Source);
        Assert.Equal(0.00027, computed.Usd, 12);
        Assert.Equal("200 input × $0.15/M + 800 cache read × $0.075/M + 300 output × $0.6/M = $0.00027", computed.Formula);
        Assert.Equal("test-1", computed.Price!.Table);
        var reported = SpanCost.Of(Call([.. usage, ("cost_usd", 0.5)]), prices)!;
        Assert.Equal(("reported", 0.5, null), (reported.Source, reported.Usd, reported.Formula));
        Assert.Equal("computed", SpanCost.Of(Call([.. usage, ("cost_usd", 0.0)]), prices)!.Source); // 0 for a call with tokens is "not known"
        Assert.Null(SpanCost.Of(Call(("gen_ai.provider.name", "ollama"), ("gen_ai.request.model", "gpt-4o-mini"), ("gen_ai.usage.input_tokens", 5)), prices));
        Assert.Equal(0.005, SpanCost.Of(Call(("gen_ai.provider.name", "ollama"), ("gen_ai.request.model", "llama3:8b")), Book("ollama\tllama3*\t\t\t\t\t\t\t\t\t0.002\n"))!.Usd, 12);
    }

    [Fact]
    public void Rows_hold_for_their_days_and_above_their_limit()
    {
        var table = PriceTable.Parse("p\tm\t\t2026-02-01\t\t1\t2\np\tm\t2026-02-01\t\t\t3\t4\np\tm\t2026-02-01\t\t200000\t5\t6\n"u8.ToArray());
        Assert.Equal(1, table.Find("p", "m", new DateOnly(2026, 1, 31), 10)!.Input);
        Assert.Equal(3, table.Find("p", "m", new DateOnly(2026, 2, 1), 200_000)!.Input);
        Assert.Equal(5, table.Find("p", "m-2026-03-04", new DateOnly(2026, 2, 1), 200_001)!.Input);
        Assert.Null(table.Find("p", "m-mini", new DateOnly(2026, 2, 1), 1)); // another model, not a form of this one
        foreach (string bad in (string[])["p\tm\n", "p\tm\t\t\t\tx\t1\n", "p\tm\t2026-13-01\t\t\t1\t1\n", "p\tm\t\t\t\t-1\n"])
        {
            Assert.StartsWith("line 2: ", Assert.Throws<PriceFormatException>(() => PriceTable.Parse(Encoding.UTF8.GetBytes("# c\n" + bad))).Message, StringComparison.Ordinal);
        }

        Assert.True(PriceTable.BuiltIn.Rows > 100);
        Assert.NotNull(PriceTable.BuiltIn.Find("openai", "gpt-4o-mini", new DateOnly(2026, 5, 6), 1));
    }

    [Fact]
    public async Task An_import_prices_what_starts_later_and_is_in_the_ledger()
    {
        using var at = new TemporaryStore();
        Sent Span(ulong trace, double start) => new Sent(trace, 1, "chat") { At = start, Until = start + 1 }.With(("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-4o-mini"), ("gen_ai.usage.input_tokens", 1_000_000), ("agent.run_id", $"run_{trace}"));
        at.Send(Span(1, 0));
        at.Clock.Now = StoreClock.Start.AddSeconds(60);
        await at.Store.ImportPricesAsync("# Version: ours-2\nopenai\tgpt-4o-mini\t\t\t\t7\t8\n"u8.ToArray(), new Actor("7", "uid"));
        at.Send(Span(2, 120));
        Assert.Equal((0.15, 7.0), (at.Run("run_1").CostUsd!.Value, at.Run("run_2").CostUsd!.Value));
        Assert.Equal("computed", at.Run("run_2").CostSource);
        at.Reopen();
        Assert.Equal((0.15, 7.0), (at.Run("run_1").CostUsd!.Value, at.Run("run_2").CostUsd!.Value));
        Assert.Equal("ours-2", at.Ledger().Single(e => e.Type == "cost.table").Json.GetProperty("document").GetProperty("version").GetString());
    }
}
