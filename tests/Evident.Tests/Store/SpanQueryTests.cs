using System.Globalization;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>FindSpans and the filters of runs against a naive model over what was sent: late, repeated, revised and orphan spans over several days.</summary>
public sealed class SpanQueryTests
{
    private static readonly string[] Tools = ["gmail.send", "crm.lookup", "refund.submit"], Models = ["gpt-4o", "claude-sonnet"], Errors = ["timeout", "validation"],
        Workflows = ["triage_v7", "refund_v2"], Releases = ["r1", "r2"], Agents = ["planner", "critic"];

    // What the store should know of a span: the union of its revisions.
    private static List<Sent> Random(int seed, int traces)
    {
        var random = new Random(seed);
        var spans = new List<Sent>();
        for (int t = 1; t <= traces; t++)
        {
            double start = random.Next(0, 20_000) / 10.0;
            spans.Add(new Sent((ulong)t, 1, "agent.run") { At = start, Until = start + random.Next(1, 20) }.With(
                ("agent.run_id", $"run_{t}"), ("agent.workflow_id", Workflows[random.Next(2)]), ("agent.release", Releases[random.Next(2)]),
                ("agent.name", Agents[random.Next(2)]), ("outcome", random.Next(3) == 0 ? "failure" : "success")));
            for (ulong s = 2; s < (ulong)random.Next(3, 9); s++)
            {
                // Every eighth names a parent that never comes.
                var span = new Sent((ulong)t, s, random.Next(2) == 0 ? "tool.call" : "llm.call") { Parent = random.Next(8) == 0 ? 99UL : 1, At = start + s, Until = start + s + (random.Next(0, 3000) / 1000.0), Status = random.Next(5) == 0 ? 2 : 0 };
                span = span.Name == "tool.call" ? span.With(("tool.name", Tools[random.Next(3)]), ("shard", random.Next(3)), ("cache_hit", random.Next(2) == 0), ("side_effect_level", random.Next(2) == 0 ? "write" : "irreversible"))
                    : span.With(("gen_ai.request.model", Models[random.Next(2)]), ("gen_ai.usage.input_tokens", random.Next(1, 500)), ("cost.usd", random.Next(1, 100) / 1000.0), ("region", random.Next(2) == 0 ? "eu-north" : "eu-south"));
                spans.Add(random.Next(4) == 0 ? span.With(("error_class", Errors[random.Next(2)])) : span);
            }
        }

        return spans;
    }

    // Some arrive in two revisions, of which the second adds the rest; all shuffled, some twice, over days.
    private static void Send(TemporaryStore at, List<Sent> spans, int seed)
    {
        var random = new Random(seed);
        var parts = new List<Sent>();
        var later = new List<Sent>();
        foreach (var span in spans)
        {
            if (random.Next(4) == 0 && span.Attributes.Count > 1)
            {
                var first = span.Attributes.Take(1).ToDictionary();
                parts.Add(span with { Attributes = first });
                later.Add(random.Next(2) == 0 ? span : span with { Attributes = span.Attributes.Skip(1).ToDictionary() });
            }
            else
            {
                parts.Add(span);
                if (random.Next(10) == 0)
                {
                    later.Add(span);
                }
            }
        }

        foreach (var round in (List<Sent>[])[parts, later])
        {
            foreach (var batch in round.OrderBy(_ => random.Next()).Chunk(random.Next(3, 15)))
            {
                at.Send(batch);
                if (random.Next(4) == 0)
                {
                    at.Clock.Now = at.Clock.Now.AddHours(7);
                }
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Spans_and_runs_agree_with_a_naive_model(int seed)
    {
        using var at = new TemporaryStore();
        var spans = Random(seed, 60);
        Send(at, spans, seed);
        Assert.True(at.Store.Partitions.Count > 1);
        var random = new Random(seed + 50);
        T? Maybe<T>(params T[] values) where T : class => random.Next(4) == 0 ? values[random.Next(values.Length)] : null;
        int hits = 0, runHits = 0;
        for (int round = 0; round < 150; round++)
        {
            var query = new SpanQuery(Limit: random.Next(1, 30), Tool: Maybe(Tools), Model: Maybe(Models), ErrorClass: Maybe(Errors), Workflow: Maybe(Workflows), Release: Maybe(Releases),
                Agent: Maybe(Agents), Outcome: Maybe("failure", "success"), SideEffect: Maybe("write", "irreversible"), Text: Maybe("GMAIL", "call", "run_1"),
                From: random.Next(5) == 0 ? StoreClock.Start.AddSeconds(random.Next(1500)) : null, To: random.Next(5) == 0 ? StoreClock.Start.AddSeconds(500 + random.Next(1500)) : null);
            query = random.Next(4) == 0 ? query.With("duration", (string[])[">1s", "<500ms", "200..1500", ">=0.5s"] is var d ? d[random.Next(4)] : "")! : query;
            query = random.Next(6) == 0 ? query.With("tokens", ">200")! : query;
            query = random.Next(6) == 0 ? query.With("cost", "<=0.05")! : query;
            var runs = spans.Where(s => s.Span == 1).Where(root => RunMatches(root, spans, query)).Select(r => $"run_{r.Trace}").Order().ToArray();
            var foundRuns = Pages(q => at.Store.FindRuns(q, default) is var p ? (p.Runs.Select(r => r.RunId), p.Next) : default, query).Order().ToArray();
            Assert.True(runs.SequenceEqual(foundRuns), $"{query}: {string.Join(' ', runs)} expected, {string.Join(' ', foundRuns)} found");
            runHits += runs.Length > 0 ? 1 : 0;

            query = random.Next(3) == 0 ? query with { Kind = random.Next(2) == 0 ? StepKind.Tool : StepKind.Llm } : query;
            if (random.Next(3) == 0)
            {
                var (key, value) = ((string, string)[])[("shard", "1"), ("region", "eu-north"), ("tool.name", "crm.lookup"), ("cache_hit", "true"), ("gen_ai.request.model", "gpt-4o"), ("gen_ai.tool.name", "gmail.send")] is var a ? a[random.Next(6)] : default;
                query = query.With("attr." + key, value)!;
            }

            var expected = spans.Where(s => SpanMatches(s, spans, query)).Select(s => $"{s.Trace}/{s.Span}").Order().ToArray();
            var found = Pages(q => at.Store.FindSpans(q, default) is var p ? (p.Spans.Select(s => $"{ulong.Parse(s.TraceId[16..], NumberStyles.HexNumber, CultureInfo.InvariantCulture)}/{ulong.Parse(s.SpanId, NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 0xffff}"), p.Next) : default, query);
            Assert.True(expected.SequenceEqual(found.Order()), $"{query} {string.Join(' ', query.Attributes ?? [])}: {string.Join(' ', expected)} expected, {string.Join(' ', found.Order())} found");
            hits += expected.Length > 0 ? 1 : 0;
        }

        Assert.True(hits > 40 && runHits > 30, $"only {hits} and {runHits} of 150 queries matched anything");
    }

    [Fact]
    public void A_search_goes_on_where_it_ended_while_others_write()
    {
        using var at = new TemporaryStore();
        for (ulong i = 1; i <= 40; i++)
        {
            at.Send(new Sent(i, 1, "tool.call") { Until = 2, Status = i % 2 == 0 ? 2 : 0 }.With(("tool.name", "crm.lookup")));
        }

        var query = new SpanQuery(Tool: "crm.lookup", Outcome: "failure", Limit: 6).With("duration", ">1s")!; // all failed calls of a tool slower than a second
        var seen = new List<string>();
        for (string? cursor = null; ;)
        {
            var page = at.Store.FindSpans(query with { Cursor = cursor }, default);
            seen.AddRange(page.Spans.Select(s => s.TraceId));
            at.Send(new Sent(100 + (ulong)seen.Count, 1, "tool.call") { Until = 2, Status = 2 }.With(("tool.name", "crm.lookup")));
            if ((cursor = page.Next) is null)
            {
                break;
            }
        }

        Assert.Equal(Enumerable.Range(1, 20).Select(i => Sent.TraceHex((ulong)(42 - (2 * i)))), seen);
    }

    [Fact]
    public void A_page_whose_time_is_over_says_so_and_the_next_goes_on()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, Tools = o.Tools, IdleMillis = 2, SearchMillis = 0 } };
        for (ulong i = 1; i <= 5; i++)
        {
            at.Send(new Sent(i, 1, "tool.call").With(("tool.name", "crm.lookup"))); // a block each
        }

        var first = at.Store.FindSpans(new SpanQuery(Tool: "crm.lookup"), default);
        Assert.False(first.Complete);
        Assert.NotNull(first.Next);
        Assert.Single(first.Spans);
        Assert.Equal(5, Pages(q => at.Store.FindSpans(q, default) is var p ? (p.Spans.Select(s => s.TraceId), p.Next) : default, new SpanQuery(Tool: "crm.lookup")).Distinct().Count());
    }

    [Fact]
    public void A_caller_who_has_left_ends_the_search()
    {
        using var at = new TemporaryStore();
        at.Send(new Sent(1, 1, "tool.call"));
        using var gone = new CancellationTokenSource();
        gone.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => at.Store.FindSpans(new SpanQuery(), gone.Token));
    }

    [Theory]
    [InlineData("duration", ">soon")]
    [InlineData("duration", "1s..")]
    [InlineData("cost", "-1")]
    [InlineData("kind", "nothing")]
    [InlineData("side_effect", "huge")]
    [InlineData("outcome", "maybe")]
    [InlineData("limit", "501")]
    [InlineData("from", "yesterday")]
    public void A_filter_that_cannot_be_understood_is_named(string name, string value) =>
        Assert.Contains(name, Assert.Throws<QueryFormatException>(() => new SpanQuery().With(name, value)).Message, StringComparison.Ordinal);

    [Fact]
    public void Ranges_and_units()
    {
        Assert.Equal(new QueryRange(1_000, 5_000), new SpanQuery().With("duration", "1s..5s")!.DurationMs);
        Assert.True(new SpanQuery().With("duration", ">2m")!.DurationMs is { Least: > 120_000 and < 120_000.001, Most: null });
        Assert.Equal(new QueryRange(null, 250), new SpanQuery().With("duration", "<=250ms")!.DurationMs);
        Assert.Null(new SpanQuery().With("colour", "red"));
        Assert.Throws<QueryFormatException>(() => RunsOf(new SpanQuery().With("attr.a", "b")!));
        Assert.Throws<StoreException>(() => SpansOf(new SpanQuery(Cursor: "bm9wZQ")));
    }

    private static void RunsOf(SpanQuery query)
    {
        using var at = new TemporaryStore();
        at.Store.FindRuns(query, default);
    }

    private static void SpansOf(SpanQuery query)
    {
        using var at = new TemporaryStore();
        at.Store.FindSpans(query, default);
    }

    private static List<string> Pages(Func<SpanQuery, (IEnumerable<string>, string?)> ask, SpanQuery query)
    {
        var all = new List<string>();
        string? cursor = null;
        do
        {
            var (items, next) = ask(query with { Cursor = cursor });
            all.AddRange(items);
            cursor = next;
        }
        while (cursor is not null);
        return all;
    }

    private static string? Of(Sent span, string key) => span.Attributes.TryGetValue(key, out object? value) ? Convert.ToString(value, CultureInfo.InvariantCulture) : null;

    // A sender may raise what the registry of the fixture says, never lower it.
    private static string? Level(Sent span) => Of(span, "tool.name") == "refund.submit" ? "irreversible" : Of(span, "side_effect_level");

    private static bool Failed(Sent span) => Of(span, "outcome") is { } told ? told == "failure" : span.Status == 2;

    private static bool InRun(Sent root, SpanQuery query) => (query.Workflow is null || Of(root, "agent.workflow_id") == query.Workflow)
        && (query.Release is null || Of(root, "agent.release") == query.Release) && (query.Agent is null || Of(root, "agent.name") == query.Agent);

    private static bool RunMatches(Sent root, List<Sent> spans, SpanQuery query)
    {
        var mine = spans.Where(s => s.Trace == root.Trace).ToArray();
        double end = mine.Max(s => Math.Max(s.At, s.Until)), start = mine.Min(s => s.At);
        double? cost = mine.Any(s => Of(s, "cost.usd") is not null) ? mine.Sum(s => (double?)s.Attributes.GetValueOrDefault("cost.usd") ?? 0) : null;
        return InRun(root, query) && (query.Outcome is null || Of(root, "outcome") == query.Outcome)
            && (query.Tool is null || mine.Any(s => Of(s, "tool.name") == query.Tool)) && (query.Model is null || mine.Any(s => Of(s, "gen_ai.request.model") == query.Model))
            && (query.ErrorClass is null || mine.Any(s => Of(s, "error_class") == query.ErrorClass)) && (query.SideEffect is null || mine.Any(s => Level(s) == query.SideEffect))
            && (query.From is null || StoreClock.Start.AddSeconds(start) >= query.From) && (query.To is null || StoreClock.Start.AddSeconds(start) <= query.To)
            && query.DurationMs.Holds((end - start) * 1000) && query.Tokens.Holds(mine.Sum(s => (int?)s.Attributes.GetValueOrDefault("gen_ai.usage.input_tokens") ?? 0))
            && (query.CostUsd.IsOpen || query.CostUsd.Holds(cost is { } c ? Math.Round(c, 9) : null))
            && (query.Text is null || mine.Any(s => HasText(s, query.Text)));
    }

    private static bool HasText(Sent span, string text) => span.Name.Contains(text, StringComparison.OrdinalIgnoreCase)
        || span.Attributes.Values.OfType<string>().Any(v => v.Contains(text, StringComparison.OrdinalIgnoreCase));

    private static bool SpanMatches(Sent span, List<Sent> spans, SpanQuery query)
    {
        double? tokens = (int?)span.Attributes.GetValueOrDefault("gen_ai.usage.input_tokens");
        return InRun(spans.Single(s => s.Trace == span.Trace && s.Span == 1), query)
            && (query.Kind is null || (query.Kind == StepKind.Tool ? span.Name == "tool.call" : span.Name == "llm.call"))
            && (query.Outcome is null || (query.Outcome == "failure" ? Failed(span) : !Failed(span)))
            && (query.Tool is null || Of(span, "tool.name") == query.Tool) && (query.Model is null || Of(span, "gen_ai.request.model") == query.Model)
            && (query.ErrorClass is null || Of(span, "error_class") == query.ErrorClass) && (query.SideEffect is null || Level(span) == query.SideEffect)
            && (query.From is null || StoreClock.Start.AddSeconds(span.At) >= query.From) && (query.To is null || StoreClock.Start.AddSeconds(span.At) <= query.To)
            && query.DurationMs.Holds(Math.Round((span.Until - span.At) * 1000, 3)) && query.Tokens.Holds(tokens)
            && query.CostUsd.Holds((double?)span.Attributes.GetValueOrDefault("cost.usd"))
            && (query.Text is null || HasText(span, query.Text))
            && (query.Attributes is null || query.Attributes.All(a => a.Key switch
            {
                "cache_hit" => span.Attributes.GetValueOrDefault("cache_hit") is true,
                "gen_ai.tool.name" => Of(span, "tool.name") == a.Value,
                _ => Of(span, a.Key) == a.Value,
            }));
    }
}
