using Evident.Ledger;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary><c>verify --traces</c> after somebody has changed the trace store, the index or the ledger behind the appliance's back.</summary>
public sealed class TraceAuditTests : IClassFixture<TraceAuditTests.Sample>
{
    private const string First = "2026-05-06", Second = "2026-05-07";

    /// <summary>Two days in four seals, made once; every test works on a copy.</summary>
    public sealed class Sample : IDisposable
    {
        private readonly TemporaryStore made = new();

        public Sample()
        {
            for (ulong hour = 0; hour < 3; hour++)
            {
                for (ulong i = 1; i <= 3; i++)
                {
                    made.Send([.. Run((hour * 10) + i)]);
                }

                made.Clock.Now = made.Clock.Now.AddHours(hour == 1 ? 24 : 1);
                SpinWait.SpinUntil(() => made.Store.LedgerHead() is var head && head.PublishedSize == head.Size, 10_000);
            }

            made.Send([.. Run(40)]);
            made.Close();
        }

        public string Data => made.Data;

        public void Dispose() => made.Dispose();
    }

    private readonly string data;

    public TraceAuditTests(Sample sample) => data = sample.Data;

    private static IEnumerable<Sent> Run(ulong trace) =>
    [
        new Sent(trace, 1, "agent.run").With(("agent.run_id", $"run-{trace}")) with { Until = 5 },
        new Sent(trace, 2, "tool.call").With(("tool.name", "gmail.send"), ("tool.side_effect_level", "write"), ("tool.args", $$"""{"n":{{trace}}}""")) with { Parent = 1, At = 1, Until = 2 },
        new Sent(trace, 3, "tool.call").With(("tool.name", "crm.lookup"), ("tool.args", $$"""{"n":{{trace}}}""")) with { Parent = 1, At = 2, Until = 3 },
    ];

    [Fact]
    public void An_untouched_store_agrees_and_nothing_is_written()
    {
        using var at = new TemporaryStore(copyOf: data);
        var before = Picture(at.Data);
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.Unanchored, report.ToText());
        var told = Assert.Single(report.Findings, f => f.Sentence.StartsWith("trace store: ", StringComparison.Ordinal));
        Assert.Equal("trace store: 30 spans are those that 4 seals say; 0 stored since the last seal rest on nothing yet; 10 tool calls stand in both; "
            + "10 tool spans without an entry were harmless by the appliance's own tool registry.", told.Sentence);
        Assert.Equal(before, Picture(at.Data));
    }

    [Theory]
    [InlineData("UPDATE block SET data = X'' WHERE id = 2", First, "spans 0 to 8 of partition 2026-05-06 are not those that entry", "block 2, spans 3 to 5")]
    [InlineData("UPDATE block SET data = (SELECT data FROM block WHERE id = 5), plain = (SELECT plain FROM block WHERE id = 5), codec = (SELECT codec FROM block WHERE id = 5) WHERE id = 4", First, "spans 9 to 17", "changed")]
    [InlineData("UPDATE block SET received = received + 1 WHERE id = 1", First, "spans 0 to 8", "changed")]
    [InlineData("UPDATE workspace SET name = 'other'", First, "spans 0 to 8", "changed")]
    [InlineData("DELETE FROM block WHERE id = 2", First, "spans 0 to 8", "spans 3 to 5 are not there")]
    [InlineData("DELETE FROM block WHERE id = 6", First, "spans 9 to 17", "only 6 are there")]
    [InlineData("UPDATE block SET spans = 2 WHERE id = 5", First, "spans 9 to 17", "block 5")]
    [InlineData("UPDATE block SET first = 100 WHERE id = 3", First, "spans 0 to 8", "spans 6 to 8 are not there")]
    [InlineData("UPDATE block SET id = 99 WHERE id = 1; UPDATE block SET id = 1 WHERE id = 2; UPDATE block SET id = 2 WHERE id = 99", First, "spans 0 to 8", "block 1 begins with span 3 where span 0 is due; spans 3 to 5 are not there")]
    [InlineData("UPDATE block SET id = 99, first = 3 WHERE id = 1; UPDATE block SET id = 1, first = 0 WHERE id = 2; UPDATE block SET id = 2 WHERE id = 99", First, "spans 0 to 8", "changed")]
    [InlineData("INSERT INTO block SELECT 7, 18, received, workspace, spans, codec, plain, data FROM block WHERE id = 1", First, "holds spans after the last one that was sealed", "spans 18 to 20")]
    [InlineData("INSERT INTO block SELECT 7, first, received, workspace, spans, codec, plain, data FROM block WHERE id = 1", First, "holds spans after the last one that was sealed", "block 7 begins with span 0 where span 18 is due")]
    public void Changed_removed_added_and_moved_spans_are_an_alteration(string change, string day, string where, string what)
    {
        using var at = new TemporaryStore(copyOf: data);
        Change(at.Data, day, change);
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.Altered, report.ToText());
        var accusation = Assert.Single(report.Findings, f => f.Code == Verdict.Altered && f.Sentence.Contains(where, StringComparison.Ordinal));
        Assert.Contains(what, accusation.Sentence, StringComparison.Ordinal);
        Assert.Equal($"traces/{day}.db", accusation.Segment);
        Assert.DoesNotContain(report.Findings, f => f.Segment == $"traces/{Second}.db"); // the other day is not blamed
        bool everySeal = change.StartsWith("UPDATE workspace", StringComparison.Ordinal);
        Assert.Equal(everySeal ? 2 : 1, report.Findings.Count(f => f.Code == Verdict.Altered));
    }

    [Fact]
    public void One_changed_bit_in_a_stored_span_names_its_seal_and_the_traces_in_it()
    {
        using var at = new TemporaryStore(copyOf: data);
        using (var file = Sqlite.OpenWriter(Partition(at.Data, First), full: true))
        {
            byte[] bytes = (byte[])Sqlite.Scalar(file, "SELECT data FROM block WHERE id = 5")!;
            var plain = new MemoryStream();
            SpanBlock.Read((long)Sqlite.Scalar(file, "SELECT codec FROM block WHERE id = 5")!, (long)Sqlite.Scalar(file, "SELECT plain FROM block WHERE id = 5")!, bytes, (_, encoded) =>
            {
                plain.Write(BitConverter.GetBytes(encoded.Length));
                plain.Write(encoded);
            });
            byte[] changed = plain.ToArray();
            changed[^1] ^= 1; // in the seal of the last span: a vault commitment
            Sqlite.Execute(file, $"UPDATE block SET codec = 0, plain = {changed.Length}, data = X'{Convert.ToHexString(changed)}' WHERE id = 5");
        }

        var accusation = Assert.Single(Verify(at.Data).Findings, f => f.Code == Verdict.Altered);
        Assert.Contains("spans 9 to 17", accusation.Sentence, StringComparison.Ordinal);
        Assert.Contains($"Traces: {Sent.TraceHex(11)}, {Sent.TraceHex(12)}, {Sent.TraceHex(13)}.", accusation.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_day_is_an_alteration_unless_retention_accounts_for_it()
    {
        using var at = new TemporaryStore(copyOf: data);
        File.Delete(Partition(at.Data, First));
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.Altered, report.ToText());
        Assert.Contains("partition 2026-05-06 is missing: 18 spans", Assert.Single(report.Findings, f => f.Code == Verdict.Altered).Sentence, StringComparison.Ordinal);

        AppendOwn(at, "retention.drop", entry => entry.Set("drop", drop => drop.Set("layer", "traces").Set("policy_hash", "sha256:" + new string('a', 64))
            .Set("partition", First).Set("runs", 6).Set("spans", 18)));
        report = Verify(at.Data);
        Assert.DoesNotContain(report.Findings, f => f.Code >= Verdict.RolledBack);
        Assert.Contains("12 spans are those that 4 seals say", report.ToText(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_day_that_no_seal_names_was_smuggled_in()
    {
        using var at = new TemporaryStore(copyOf: data);
        File.Copy(Partition(at.Data, First), Partition(at.Data, "2026-05-01"));
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.Altered, report.ToText());
        Assert.Contains("2026-05-01 holds spans that no seal names", Assert.Single(report.Findings, f => f.Code == Verdict.Altered).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_cannot_be_read_accuses_nobody()
    {
        using var at = new TemporaryStore(copyOf: data);
        File.WriteAllBytes(Partition(at.Data, First), new byte[8192].Select((_, i) => unchecked((byte)i)).ToArray());
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.Incomplete, report.ToText());
        Assert.Contains("2026-05-06 cannot be read", Assert.Single(report.Findings, f => f.Code == Verdict.Incomplete).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_the_day_that_was_set_aside_is_a_gap_and_no_accusation()
    {
        using var at = new TemporaryStore(copyOf: data) { Clock = { Now = StoreClock.Start.AddDays(1).AddHours(3) } };
        File.WriteAllText(Partition(at.Data, Second), new string('x', 5000));
        at.Send([.. Run(50)]);
        at.Close();
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.Incomplete, report.ToText());
        Assert.All(report.Findings.Where(f => f.Code == Verdict.Incomplete), f => Assert.Contains("set aside as damaged", f.Sentence, StringComparison.Ordinal));
        Assert.Contains("21 spans are those that", report.ToText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DELETE FROM trace_block WHERE block = 2", "does not list 3 of the spans 0 to 8")]
    [InlineData("UPDATE trace_block SET entries = substr(entries, 1, 20) WHERE block = 2", "does not list 2 of the spans 0 to 8")]
    [InlineData("UPDATE trace_block SET entries = CAST(substr(entries, 1, 8) || X'0000000000000000' || substr(entries, 17) AS BLOB) WHERE block = 2", "does not list 1 of the spans 0 to 8")]
    [InlineData("INSERT INTO trace_block SELECT X'00000000000000aa00000000000000ff', workspace, 77, entries FROM trace_block WHERE block = 1", "lists 1 blocks of traces that are not there")]
    [InlineData("INSERT INTO trace_block SELECT X'00000000000000aa00000000000000ff', workspace, block, entries FROM trace_block WHERE block = 1", "lists 1 blocks of traces that are not there")]
    public void An_index_that_hides_or_invents_spans_is_a_mismatch(string change, string what)
    {
        using var at = new TemporaryStore(copyOf: data);
        Change(at.Data, First, change);
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.IndexMismatch, report.ToText());
        Assert.Contains(what, Assert.Single(report.Findings, f => f.Code == Verdict.IndexMismatch).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tool_span_without_its_entry_is_named()
    {
        // An appliance that was made to leave entries out: the spans are stored and sealed, the outbox was emptied behind its back.
        using var at = new TemporaryStore();
        at.Send([.. Run(1)]);
        at.OnStep = step =>
        {
            if (step == WriteStep.AfterCommit)
            {
                throw new IOException("stopped before the ledger");
            }
        };
        Assert.Throws<StoreStoppedException>(() => at.Send([.. Run(2)]));
        at.OnStep = null;
        at.Close();
        Change(at.Data, First, "DELETE FROM outbox");
        _ = at.Store;
        at.Close();
        var report = Verify(at.Data);
        Assert.True(report.VerdictCode == Verdict.IndexMismatch, report.ToText());
        Assert.Contains($"span {Sent.TraceHex(2)}/{Sent.SpanHex(2)} of partition 2026-05-06 is a tool call that can change something", Assert.Single(report.Findings, f => f.Code == Verdict.IndexMismatch).Sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_tool_call_without_its_span_is_named(bool beforeASeal)
    {
        using var at = new TemporaryStore(copyOf: data);
        AppendOwn(at, "tool.call", entry => entry.Set("trace_id", Sent.TraceHex(77)).Set("span_id", Sent.SpanHex(7)).Set("action", action => action.Set("type", "tool.call").Set("side_effect_level", "write")));
        if (beforeASeal)
        {
            using var more = new TemporaryStore(copyOf: at.Data) { Clock = { Now = StoreClock.Start.AddDays(1).AddHours(3) } };
            more.Send([.. Run(60)]);
            more.Close();
            Check(more.Data);
        }
        else
        {
            Check(at.Data);
        }

        static void Check(string data)
        {
            var report = Verify(data);
            Assert.True(report.VerdictCode == Verdict.IndexMismatch, report.ToText());
            Assert.Contains($"the tool call {Sent.TraceHex(77)}/{Sent.SpanHex(7)}, and no such tool span", Assert.Single(report.Findings, f => f.Code == Verdict.IndexMismatch).Sentence, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Beside_a_running_appliance_nothing_is_accused_and_nothing_written()
    {
        using var at = new TemporaryStore(copyOf: data) { Clock = { Now = StoreClock.Start.AddDays(1).AddHours(3) } };
        at.Send([.. Run(70)]);
        for (ulong trace = 71; trace < 80; trace++)
        {
            at.Send([.. Run(trace)]);
            var report = Verify(at.Data);
            Assert.DoesNotContain(report.Findings, f => f.Code >= Verdict.RolledBack);
        }

        // As much as a killed process leaves: a log that is not folded in, with and without its index.
        string copy = at.Data + "-copy";
        TemporaryStore.CopyDirectory(at.Data, copy);
        string index = Partition(at.Data, Second) + "-shm";
        foreach (bool indexed in new[] { false, true })
        {
            if (indexed)
            {
                File.Copy(index, Partition(copy, Second) + "-shm");
            }

            var before = Picture(copy);
            Assert.DoesNotContain(Verify(copy).Findings, f => f.Code >= Verdict.RolledBack);
            Assert.Contains("30 stored since the last seal rest on nothing yet", Verify(copy).ToText(), StringComparison.Ordinal);
            Assert.Equal(before, Picture(copy));
        }

        Directory.Delete(copy, recursive: true);
    }

    [Fact]
    public void Entries_that_are_owed_when_the_process_dies_are_not_missing()
    {
        using var at = new TemporaryStore();
        at.Send([.. Run(1)]);
        string copy = at.Data + "-copy";
        at.OnStep = step =>
        {
            if (step == WriteStep.AfterCommit)
            {
                TemporaryStore.CopyDirectory(at.Data, copy);
                File.Copy(Partition(at.Data, First) + "-shm", Partition(copy, First) + "-shm");
            }
        };
        at.Send([.. Run(2)]);
        at.OnStep = null;
        var report = Verify(copy);
        Assert.DoesNotContain(report.Findings, f => f.Code >= Verdict.RolledBack);
        Assert.Contains("6 stored since the last seal rest on nothing yet; 1 tool calls stand in both", report.ToText(), StringComparison.Ordinal);
        Directory.Delete(copy, recursive: true);
    }

    [Fact]
    public void A_damaged_ledger_is_not_compared()
    {
        using var at = new TemporaryStore(copyOf: data);
        string segment = Directory.GetFiles(Path.Combine(at.Data, "ledger"), "*.jsonl").Single();
        byte[] bytes = File.ReadAllBytes(segment);
        bytes[bytes.AsSpan().IndexOf("\"type\":\"tool.call\""u8) + 9] ^= 1;
        File.WriteAllBytes(segment, bytes);
        Change(at.Data, First, "DELETE FROM block");
        var report = Verify(at.Data);
        Assert.DoesNotContain(report.Findings, f => f.Segment.StartsWith("traces/", StringComparison.Ordinal));
        Assert.Contains("was not compared", report.ToText(), StringComparison.Ordinal);
    }

    [Fact]
    public void Altered_spans_do_not_cover_up_a_fork()
    {
        static EntryDraft Closed(string id) => EntryDraft.Create("alert.closed", id, entry => entry.Set("recorded", "2026-05-07T12:30:00.000Z").Set("alert", alert => alert.Set("rule", "r").Set("alert_id", id)));
        using TemporaryStore one = new(copyOf: data), other = new(copyOf: data);
        Append(one, log => log.Append([Closed("a")]));
        Append(other, log => log.Append([Closed("b"), Closed("c")])); // no checkpoint where the first one's head is
        string head = Path.Combine(one.Data, "kept.note");
        File.WriteAllText(head, LedgerReader.NewestPublished(Path.Combine(one.Data, "ledger"))!);
        Change(other.Data, First, "DELETE FROM block WHERE id = 2");
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = other.Data, KnownHeads = [head], Audits = [context => TraceAudit.Run(other.Data, context)] });
        Assert.True(report.VerdictCode == Verdict.Forked, report.ToText());
        Assert.Contains(report.Findings, f => f.Code == Verdict.Altered && f.Segment == $"traces/{First}.db");
    }

    [Fact]
    public void Seals_of_strange_partitions_open_no_file()
    {
        using var at = new TemporaryStore(copyOf: data);
        AppendOwn(at, "ledger.traces", entry => entry.Set("traces", traces => traces.Set("root", "sha256:" + new string('0', 64)).Set("spans", 5).Set("partition", "../keys/master.key").Set("first", 0)));
        AppendOwn(at, "ledger.traces", entry => entry.Set("traces", traces => traces.Set("root", "sha256:" + new string('0', 64)).Set("spans", 9_000_000_000_000_000).Set("partition", First).Set("first", 0)));
        var report = Verify(at.Data);
        Assert.Equal(2, report.Findings.Count(f => f.Code == Verdict.Notes && f.Sentence.Contains("no day or not in order", StringComparison.Ordinal)));
        Assert.DoesNotContain(report.Findings, f => f.Code >= Verdict.RolledBack);
    }

    private static VerifyReport Verify(string data) => LedgerVerifier.Verify(new VerifyRequest { Path = data, Audits = [context => TraceAudit.Run(data, context)] });

    private static string Partition(string data, string day) => Path.Combine(data, "traces", day + ".db");

    private static void Change(string data, string day, string sql)
    {
        using var file = Sqlite.OpenWriter(Partition(data, day), full: true);
        Sqlite.Execute(file, sql);
    }

    // As an appliance that has the keys would: a signed ledger with that at its end.
    private static void AppendOwn(TemporaryStore at, string type, Action<Lj1ObjectBuilder> fields) => Append(at, log => log.AppendOwn(type, fields));

    private static void Append(TemporaryStore at, Action<LedgerLog> append)
    {
        using var log = LedgerLog.Open(
            new LedgerOptions { Directory = Path.Combine(at.Data, "ledger"), KeysDirectory = Path.Combine(at.Data, "keys") }, null, null, new StoreClock { Now = StoreClock.Start.AddDays(1).AddHours(2) }, out _);
        append(log);
        log.Close();
    }

    private static Dictionary<string, string> Picture(string data) => Directory.GetFiles(data, "*", SearchOption.AllDirectories)
        .ToDictionary(f => f, f => $"{File.GetLastWriteTimeUtc(f):O} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(f)))}");
}
