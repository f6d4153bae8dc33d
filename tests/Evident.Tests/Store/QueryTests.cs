using System.Text.Json;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>FindRuns against a naive model, projections against their own rebuild, reading beside writing.</summary>
public sealed class QueryTests
{
    private static readonly string[] Workflows = ["triage_v7", "refund_v2", "search_x"], Outcomes = ["success", "failure", "interrupted", "rejected"],
        Tools = ["gmail.send", "crm.lookup", "refund.submit"], Environments = ["prod", "staging"];

    private static List<List<Sent>> RandomTraces(int seed, int count)
    {
        var random = new Random(seed);
        var traces = new List<List<Sent>>();
        for (int i = 1; i <= count; i++)
        {
            ulong trace = (ulong)i;
            double start = random.Next(0, 20_000) / 10.0;
            var root = new Sent(trace, 1, "agent.run " + random.Next(10)) { At = start, Until = start + 10 }
                .With(("agent.run_id", $"run_{seed}_{i}"), ("agent.workflow_id", Workflows[random.Next(3)]), ("outcome", Outcomes[random.Next(4)]),
                    ("deployment.environment", Environments[random.Next(2)]));
            root = random.Next(3) == 0 ? root.With(("session.id", "sess-" + random.Next(8))) : root;
            root = random.Next(4) == 0 ? root.With(("agent.tenant_id", "t" + random.Next(3))) : root;
            var spans = new List<Sent> { root };
            for (int s = 0; s < random.Next(4); s++)
            {
                spans.Add(new Sent(trace, (ulong)s + 2, "tool.call") { Parent = 1, At = start + s, Until = start + s + 0.5 }.With(("tool.name", Tools[random.Next(3)])));
            }

            traces.Add(spans);
        }

        return traces;
    }

    // Late, repeated, out of order and over several days.
    private static void SendShuffled(TemporaryStore at, List<List<Sent>> traces, int seed)
    {
        var random = new Random(seed);
        var spans = traces.SelectMany(t => t).OrderBy(_ => random.Next()).ToList();
        for (int i = 0; i < spans.Count;)
        {
            int take = Math.Min(spans.Count - i, random.Next(1, 12));
            var batch = spans.GetRange(i, take);
            if (random.Next(4) == 0)
            {
                batch.Add(spans[random.Next(i + take)]);
            }

            at.Send([.. batch]);
            i += take;
            if (random.Next(15) == 0)
            {
                at.Clock.Now = at.Clock.Now.AddHours(9);
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Every_filter_agrees_with_a_naive_model_over_all_pages(int seed)
    {
        using var at = new TemporaryStore();
        var traces = RandomTraces(seed, 120);
        SendShuffled(at, traces, seed);
        var all = at.Runs();
        Assert.Equal(120, all.Count);
        var random = new Random(seed + 100);
        string? Maybe(params string[] values) => random.Next(3) == 0 ? values[random.Next(values.Length)] : null;
        string[] tenants = [.. all.Select(r => r.TenantId).OfType<string>().Distinct()];
        int nonEmpty = 0;
        for (int round = 0; round < 200; round++)
        {
            var filter = new SpanQuery(
                Maybe(Workflows), Maybe(Outcomes), Maybe("sess-1", "sess-2", "sess-3"), Maybe(Tools), Maybe("RUN_", "gmail", "h_x", "%", "run_1_1", "refund", "\\"), null,
                Maybe(tenants), Maybe(Environments), random.Next(4) == 0 ? StoreClock.Start.AddSeconds(random.Next(1500)) : null,
                random.Next(4) == 0 ? StoreClock.Start.AddSeconds(500 + random.Next(1500)) : null, random.Next(1, 40));
            var expected = traces.Select(t => t[0]).Where(r => Matches(r, traces, filter, all)).Select(r => (string)r.Attributes["agent.run_id"]).Order().ToArray();
            var pages = new List<RunView>();
            string? cursor = null;
            do
            {
                var page = at.Store.FindRuns(filter with { Cursor = cursor }, default);
                Assert.True(page.Runs.Count <= filter.Limit);
                pages.AddRange(page.Runs);
                cursor = page.Next;
            }
            while (cursor is not null);
            Assert.Equal(expected, pages.Select(r => r.RunId).Order());
            Assert.Equal(pages.OrderByDescending(r => r.StartTime, StringComparer.Ordinal).ThenByDescending(r => r.RunId, StringComparer.Ordinal).Select(r => r.RunId), pages.Select(r => r.RunId));
            nonEmpty += pages.Count > 0 ? 1 : 0;
        }

        Assert.True(nonEmpty > 50, $"only {nonEmpty} of 200 filters matched anything");
    }

    private static bool Matches(Sent root, List<List<Sent>> traces, SpanQuery filter, IReadOnlyList<RunView> all)
    {
        string Of(string key) => root.Attributes.TryGetValue(key, out object? value) ? (string)value : "";
        string id = Of("agent.run_id");
        var tools = traces.Single(t => t[0] == root).Skip(1).Select(s => (string)s.Attributes["tool.name"]).ToArray();
        var shown = all.Single(r => r.RunId == id);
        var start = StoreClock.Start.AddSeconds(root.At);
        string[] names = [root.Name, id, Of("agent.workflow_id"), Of("session.id"), Of("deployment.environment"), shown.TenantId ?? "", Sent.TraceHex(root.Trace), "support-agent", "tool.call", .. tools];
        return (filter.Workflow is null || filter.Workflow == Of("agent.workflow_id")) && (filter.Outcome is null || filter.Outcome == Of("outcome"))
            && (filter.Session is null || filter.Session == Of("session.id")) && (filter.Environment is null || filter.Environment == Of("deployment.environment"))
            && (filter.TenantId is null || filter.TenantId == shown.TenantId) && (filter.Tool is null || tools.Contains(filter.Tool)) && (filter.From is null || start >= filter.From)
            && (filter.To is null || start <= filter.To)
            && (filter.Text is null || names.Any(n => n.Contains(filter.Text, StringComparison.OrdinalIgnoreCase)));
    }

    [Fact]
    public void An_id_that_is_kept_as_a_pseudonym_is_found_as_it_was_sent()
    {
        using var at = new TemporaryStore();
        foreach (var (trace, tenant) in new[] { (1UL, "acme"), (2UL, "Größe GmbH") })
        {
            at.Send(new Sent(trace, 1, "agent.run").With(("agent.run_id", $"run of {trace}"), ("session.id", "Ticket 9421"), ("agent.tenant_id", tenant)) with { Until = 1 });
        }

        var found = at.Runs(new SpanQuery(Session: "Ticket 9421"));
        Assert.Equal(2, found.Count);
        Assert.All(found, run => Assert.StartsWith("k_", run.SessionId, StringComparison.Ordinal));
        Assert.Equal(found[0].RunId, Assert.Single(at.Runs(new SpanQuery(Session: found[0].SessionId))).RunId);
        Assert.Single(at.Runs(new SpanQuery(TenantId: "Größe GmbH")));
        Assert.Equal(Sent.TraceHex(2), Assert.Single(at.Runs(new SpanQuery(RunId: "run of 2"))).TraceIds[0]);
        Assert.Equal(Sent.TraceHex(1), at.Story("run of 1").Run.TraceIds[0]);
        Assert.Empty(at.Runs(new SpanQuery(Session: "Ticket 9422")));
    }

    [Fact]
    public void Pages_stay_right_while_new_runs_arrive()
    {
        using var at = new TemporaryStore();
        var traces = RandomTraces(5, 40);
        SendShuffled(at, traces, 5);
        var before = at.Runs().Select(r => r.RunId).ToArray();
        var seen = new List<string>();
        string? cursor = null;
        ulong fresh = 1000;
        do
        {
            var page = at.Store.FindRuns(new SpanQuery(Limit: 7, Cursor: cursor), default);
            seen.AddRange(page.Runs.Select(r => r.RunId));
            cursor = page.Next;
            at.Send(new Sent(fresh++, 1, "agent.run") { At = 5_000, Until = 5_001 }); // newer than all of them
        }
        while (cursor is not null);
        Assert.Equal(before, seen);
        Assert.Throws<StoreException>(() => at.Store.FindRuns(new SpanQuery(Cursor: "bm9wZQ"), default));
        Assert.Throws<StoreException>(() => at.Store.FindRuns(new SpanQuery(Cursor: "***"), default));
    }

    [Theory]
    [InlineData("deleted")]
    [InlineData("garbage")]
    [InlineData("other version")]
    public void Lost_projections_are_rebuilt_with_equal_rows(string how)
    {
        using var at = new TemporaryStore();
        SendShuffled(at, RandomTraces(7, 60), 7);
        at.Send(new Sent(900, 1, "agent.run") { Until = 5 }.With(("session.id", "z"), ("outcome", "interrupted")),
            new Sent(901, 1, "agent.run") { At = 6, Until = 9 }.With(("session.id", "z")), new Sent(902, 1, "agent.run") { At = 7, Until = 9, Link = (900, 1) });
        string before = Snapshot(at);
        at.Store.Close();
        string path = Path.Combine(at.Data, "outcomes.db");
        switch (how)
        {
            case "deleted":
                File.Delete(path);
                break;
            case "garbage":
                File.WriteAllText(path, new string('?', 10_000));
                break;
            default:
                using (var connection = Sqlite.OpenWriter(path, full: false))
                {
                    Sqlite.Execute(connection, "PRAGMA user_version = 77");
                }

                break;
        }

        at.Reopen();
        Assert.Equal(before, Snapshot(at));
    }

    private static string Snapshot(TemporaryStore at)
    {
        var runs = at.Runs();
        return string.Join('\n', runs.Select(r => JsonSerializer.Serialize(r, StoreJson.Default.RunView)))
            + string.Join('\n', runs.Select(r => JsonSerializer.Serialize(at.Story(r.RunId), StoreJson.Default.RunStory)));
    }

    [Fact]
    public async Task Readers_beside_the_writer_see_everything_acknowledged_at_once()
    {
        using var at = new TemporaryStore();
        var store = at.Store;
        var writers = Enumerable.Range(0, 2).Select(worker => Task.Run(async () =>
        {
            for (int i = 1; i <= 100; i++)
            {
                ulong trace = (ulong)((worker * 1000) + i);
                await TemporaryStore.SendAsync(store, [new Sent(trace, 1, "agent.run") { Until = 2 }, new Sent(trace, 2, "tool.call") { Parent = 1 }.With(("tool.name", "gmail.send"))]);
                var page = store.FindRuns(new SpanQuery(RunId: Sent.TraceHex(trace)), default);
                Assert.Equal(2, Assert.Single(page.Runs).Spans);
                Assert.Single(store.GetRun(Sent.TraceHex(trace), default)!.Ledger);
            }
        })).ToArray();
        await Task.WhenAll(writers);
        Assert.Equal(200, at.Runs().Count);
    }

    [Fact]
    public async Task A_cancelled_query_says_so()
    {
        using var at = new TemporaryStore();
        at.Send(new Sent(1, 1, "agent.run"));
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();
        Assert.ThrowsAny<OperationCanceledException>(() => at.Store.FindRuns(new SpanQuery(), gone.Token));
        Assert.Single(at.Runs());
    }
}
