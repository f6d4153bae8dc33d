using System.Text.Json;
using Evident.Ledger;
using Evident.Platform;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>Entries are found by what they say: against a plain reading of the whole ledger.</summary>
public sealed class LedgerSearchTests
{
    [Fact]
    public void Every_filter_finds_what_a_plain_reading_finds()
    {
        using var at = new TemporaryStore();
        LedgerData.Append(at, LedgerData.Random(5, 1_500));
        var all = Plain(at);
        var random = new Random(6);
        string?[] tenants = [null, "t_1", "t_3", "t_none"], types = [null, "tool.call", "approval.", "vault.", "ledger.", "alert.raised"];
        int found = 0;
        for (int i = 0; i < 120; i++)
        {
            T Pick<T>(params T[] of) => random.Next(3) == 0 ? of[random.Next(of.Length)] : of[0];
            DateTimeOffset? Moment() => random.Next(5) > 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(1_778_047_200_000 + random.Next(-50_000_000, 100_000_000));
            var filter = new LedgerFilter(
                Pick(tenants), Pick(null, "refund_v7", "none"), Pick(types), Pick(null, "s_901", "a_1", "1000"), Pick(null, "uid", "agent"), Pick(null, "approved", "rejected"), Pick(null, "run_1", "run_39"),
                Pick(null, "refund.submit", "gmail.send"), Pick(null, "irreversible"), Pick<bool?>(null, true, false), Moment(), Moment(), random.Next(1, 120));
            if (filter.IsEmpty)
            {
                continue;
            }

            var expected = all.Where(e => Meets(e.Json, filter)).Select(e => e.Seq).Reverse().ToArray();
            var pages = Pages(at, filter, out var first);
            Assert.Equal(expected, pages);
            Assert.Equal(Math.Min(expected.Length, 1_000), Math.Min(first.Matches!.Value, 1_000));
            Assert.Equal(expected.Length <= 1_000 && first.MatchesComplete, first.MatchesComplete);
            found += expected.Length;
        }

        Assert.True(found > 1_000, $"only {found} entries were found in all: the filters are no test");
    }

    [Fact]
    public void Entries_are_the_ledgers_own_lines_with_both_hashes()
    {
        using var at = new TemporaryStore();
        LedgerData.Append(at, LedgerData.Random(1, 300));
        var lines = at.Store.LedgerEntries(0, 1_000).ToDictionary(l => l.Seq);
        foreach (var entry in at.Store.FindEntries(new LedgerFilter(Type: "approval.", Limit: 500), default).Entries)
        {
            Assert.Equal(lines[entry.Seq].Json.ToArray(), entry.Json.ToArray());
            Assert.Equal(lines[entry.Seq].ThisHash, entry.ThisHash);
        }
    }

    [Fact]
    public void A_cursor_stays_while_the_ledger_grows()
    {
        using var at = new TemporaryStore();
        LedgerData.Append(at, LedgerData.Random(2, 400));
        foreach (var filter in new[] { new LedgerFilter(Tool: "gmail.send", Limit: 7), new LedgerFilter(Limit: 7) })
        {
            var before = Pages(at, filter, out _);
            var seen = new List<long>();
            string? cursor = null;
            ulong trace = 1;
            do
            {
                var page = at.Store.FindEntries(filter with { Cursor = cursor }, default);
                seen.AddRange(page.Entries.Select(e => e.Seq));
                cursor = page.Next;
                at.Send(new Sent(trace++, 1, "tool.call").With(("tool.name", "gmail.send")));
            }
            while (cursor is not null);
            Assert.Equal(before, seen);
        }

        Assert.Throws<StoreException>(() => at.Store.FindEntries(new LedgerFilter(Cursor: "bm9wZQ"), default));
        Assert.Throws<StoreException>(() => at.Store.FindEntries(new LedgerFilter(Cursor: "***", Tool: "x"), default));
    }

    [Fact]
    public void A_search_stops_at_its_limit_says_how_far_it_came_and_goes_on()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, Tools = o.Tools, LedgerSearchRows = 100 } };
        LedgerData.Append(at, LedgerData.Random(3, 1_000));
        var filter = new LedgerFilter(Level: "irreversible", ActorKind: "agent", Limit: 500); // neither has an index of its own
        var all = Plain(at);
        var first = at.Store.FindEntries(filter, default);
        Assert.False(first.MatchesComplete);
        Assert.InRange(first.LookedTo, all.Count - 101, all.Count - 99);
        Assert.NotNull(first.Next);
        Assert.Equal(all.Where(e => Meets(e.Json, filter)).Select(e => e.Seq).Reverse(), Pages(at, filter, out _));
        Assert.Equal(100, at.Store.FindEntries(new LedgerFilter(Type: "tool.", Limit: 500), default).Entries.Count);
    }

    [Fact]
    public void Without_a_filter_the_newest_come_first_and_all_are_counted()
    {
        using var at = new TemporaryStore();
        LedgerData.Append(at, LedgerData.Random(4, 100));
        long size = at.Store.LedgerHead().Size;
        var page = at.Store.FindEntries(new LedgerFilter(Limit: 10), default);
        Assert.Equal(Enumerable.Range(0, 10).Select(i => size - 1 - i), page.Entries.Select(e => e.Seq));
        Assert.Equal((size, true, size - 10), (page.Matches!.Value, page.MatchesComplete, page.LookedTo));
        Assert.Equal(Enumerable.Range(0, (int)size).Select(i => size - 1 - i), Pages(at, new LedgerFilter(Limit: 9), out _));
    }

    [Fact]
    public void The_head_names_the_last_heartbeat_and_the_largest_anchor()
    {
        using var at = new TemporaryStore();
        Assert.Null(at.Store.LedgerHead().Anchored);
        LedgerData.Append(at, LedgerData.Random(8, 500));
        at.Store.FindEntries(new LedgerFilter(Type: "ledger."), default); // the index has followed
        var all = Plain(at);
        var head = at.Store.LedgerHead();
        var beat = all.Last(e => e.Json.GetProperty("type").GetString() == "ledger.heartbeat");
        Assert.Equal((beat.Seq, beat.Json.GetProperty("recorded").GetString()), (head.LastHeartbeat!.Seq, head.LastHeartbeat.Recorded));
        Assert.Equal(beat.Json.GetProperty("heartbeat").GetProperty("interval_ms").GetInt64(), head.LastHeartbeat.IntervalMs);
        Assert.Equal(beat.Json.GetProperty("heartbeat").GetProperty("state").GetString(), head.LastHeartbeat.State);
        var anchors = all.Where(e => e.Json.GetProperty("type").GetString() == "ledger.anchor").ToArray();
        long largest = anchors.Max(e => e.Json.GetProperty("anchor").GetProperty("head").GetProperty("size").GetInt64());
        Assert.Equal((largest, "auditor-1", "0a1b2c3d", false), (head.Anchored!.Size, head.Anchored.Witness, head.Anchored.KeyId, head.Anchored.FileThere));
        Directory.CreateDirectory(Path.Combine(at.Data, "ledger", "anchors"));
        File.WriteAllText(Path.Combine(at.Data, "ledger", "anchors", "none.note"), "");
        at.Reopen();
        at.Store.FindEntries(new LedgerFilter(Type: "ledger."), default);
        Assert.True(at.Store.LedgerHead().Anchored!.FileThere);
    }

    [Theory]
    [InlineData("UPDATE entry SET hash = zeroblob(32) WHERE seq = 7")]
    [InlineData("UPDATE entry SET tool = (SELECT id FROM word WHERE text = 'gmail.send') WHERE type = (SELECT id FROM word WHERE text = 'tool.call')")]
    [InlineData("INSERT INTO entry (seq, hash, recorded, tool) SELECT 100000, hash, recorded, tool FROM entry WHERE tool = (SELECT id FROM word WHERE text = 'gmail.send') LIMIT 1")]
    public void A_row_that_lies_is_told_and_not_shown(string sql)
    {
        using var at = new TemporaryStore();
        LedgerData.Append(at, [.. LedgerData.Random(9, 60)]);
        at.Store.FindEntries(new LedgerFilter(Tool: "gmail.send"), default);
        at.Store.Close();
        using (var connection = Sqlite.OpenWriter(Path.Combine(at.Data, OutcomesFile.Name), full: false))
        {
            Sqlite.Execute(connection, sql);
        }

        at.Reopen();
        var lie = Assert.Throws<LedgerIndexException>(() =>
        {
            at.Store.FindEntries(new LedgerFilter(Tool: "gmail.send", Limit: 500), default);
            at.Store.FindEntries(new LedgerFilter(Since: DateTimeOffset.UnixEpoch, Limit: 500), default);
        });
        Assert.Contains("verify", lie.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_index_of_another_history_is_made_anew()
    {
        using var at = new TemporaryStore();
        LedgerData.Append(at, LedgerData.Random(10, 50));
        var before = Pages(at, new LedgerFilter(Type: "tool."), out _);
        foreach (string sql in new[] { "UPDATE watermark SET position = 5000 WHERE source = 'ledger'; DELETE FROM entry WHERE seq % 2 = 0", "UPDATE entry SET hash = zeroblob(32) WHERE seq = (SELECT position - 1 FROM watermark WHERE source = 'ledger'); DELETE FROM zone" })
        {
            at.Store.Close();
            using (var connection = Sqlite.OpenWriter(Path.Combine(at.Data, OutcomesFile.Name), full: false))
            {
                Sqlite.Execute(connection, sql);
            }

            at.Reopen();
            Assert.Equal(before, Pages(at, new LedgerFilter(Type: "tool."), out _));
            Assert.Contains(at.Log, l => l.Contains("is rebuilt", StringComparison.Ordinal));
            at.Log.Clear();
        }
    }

    private static List<long> Pages(TemporaryStore at, LedgerFilter filter, out LedgerPage first)
    {
        first = at.Store.FindEntries(filter, default);
        var seen = first.Entries.Select(e => e.Seq).ToList();
        for (string? cursor = first.Next; cursor is not null;)
        {
            var page = at.Store.FindEntries(filter with { Cursor = cursor }, default);
            Assert.Null(page.Matches);
            seen.AddRange(page.Entries.Select(e => e.Seq));
            cursor = page.Next;
        }

        return seen;
    }

    private static List<(long Seq, JsonElement Json)> Plain(TemporaryStore at)
    {
        var all = new List<(long, JsonElement)>();
        for (long from = 0; at.Store.LedgerEntries(from, 1_000) is { Count: > 0 } page; from = page[^1].Seq + 1)
        {
            all.AddRange(page.Select(l => (l.Seq, JsonDocument.Parse(l.Json).RootElement)));
        }

        return all;
    }

    // Written from the description of the filters, not from the code.
    private static bool Meets(JsonElement e, LedgerFilter f)
    {
        string? At(params string[] path)
        {
            var here = e;
            foreach (string name in path)
            {
                if (here.ValueKind != JsonValueKind.Object || !here.TryGetProperty(name, out here))
                {
                    return null;
                }
            }

            return here.ValueKind == JsonValueKind.String ? here.GetString() : here.GetRawText();
        }

        bool Is(string? wanted, params string?[] found) => wanted is null || found.Contains(wanted);
        Rfc3339.TryParse(At("recorded"), out var recorded);
        return Is(f.Tenant, At("tenant_id") ?? At("alert", "tenant_id")) && Is(f.Workflow, At("workflow_id") ?? At("alert", "workflow_id")) && Is(f.Run, At("run_id") ?? At("alert", "run_id"))
            && (f.Type is null || (f.Type.EndsWith('.') ? At("type")!.StartsWith(f.Type, StringComparison.Ordinal) : At("type") == f.Type))
            && Is(f.Actor, At("actor", "id"), At("approval", "approver_id")) && Is(f.ActorKind, At("actor", "kind")) && Is(f.Approval, At("approval", "state"))
            && Is(f.Tool, At("action", "tool_name") ?? At("alert", "tool_name")) && Is(f.Level, At("action", "side_effect_level"))
            && Is(f.ArgsMatch is { } match ? (match ? "true" : "false") : null, At("approval", "args_match"))
            && (f.Since is null || recorded >= f.Since) && (f.Until is null || recorded <= f.Until);
    }
}
