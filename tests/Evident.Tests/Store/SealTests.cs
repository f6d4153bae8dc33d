using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evident.Ledger;
using Evident.Store;
using Microsoft.Data.Sqlite;

namespace Evident.Tests.Store;

/// <summary>Seals over stored spans: what they say, that every span comes under one exactly once, and that no crash changes that.</summary>
public sealed class SealTests
{
    private static Sent Plain(ulong trace, ulong span) => new Sent(trace, span, "step").With(("input.value", $"say {trace} {span}")) with { At = span, Until = span + 1 };

    private static Sent Write(ulong trace) => new Sent(trace, 1, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", $$"""{"n":{{trace}}}"""));

    [Fact]
    public void A_published_head_seals_what_was_stored_since_the_last_one()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1), Plain(1, 2), Write(2));
        at.Clock.Now = at.Clock.Now.AddSeconds(30);
        at.Send(Plain(1, 3));
        Assert.DoesNotContain(at.Entries(), e => e.Type == "ledger.traces");
        Publish(at);
        var seal = Assert.Single(Seals(at));
        Assert.Equal(("2026-05-06", 0, 4), (seal.GetProperty("partition").GetString(), seal.GetProperty("first").GetInt64(), seal.GetProperty("spans").GetInt64()));
        Assert.Equal(("2026-05-06T10:30:00.000Z", "2026-05-06T10:30:30.000Z"), (seal.GetProperty("from").GetString(), seal.GetProperty("to").GetString()));
        Check(at);
    }

    [Fact]
    public void Nothing_new_is_not_sealed_and_publishing_comes_to_rest()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, Step = o.Step, IdleMillis = 1, HeartbeatSeconds = 86_400 } };
        at.Send(Plain(1, 1));
        Publish(at);
        int entries = at.Entries().Count;
        int looked = 0;
        for (int minute = 0; minute < 3; minute++)
        {
            at.Clock.Now = at.Clock.Now.AddMinutes(2);
            at.Send(Plain(1, 1)); // a duplicate: the writer has looked at the clock after it
            at.Send(Plain(1, 1));
            looked++;
        }

        Assert.Equal(3, looked);
        Assert.Equal(entries, at.Entries().Count);
        Check(at);
    }

    [Fact]
    public void A_day_is_sealed_to_its_end_before_the_next_one_begins()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1), Plain(1, 2));
        at.Clock.Now = at.Clock.Now.AddDays(1);
        at.Send(Plain(2, 1));
        Assert.Equal(["2026-05-06"], Seals(at).Select(s => s.GetProperty("partition").GetString()));
        at.Clock.Now = at.Clock.Now.AddDays(1);
        at.Reopen(); // the stop seals the day before, the start begins a new one
        at.Send(Plain(3, 1));
        at.Close();
        Assert.Equal(["2026-05-06", "2026-05-07", "2026-05-08"], Seals(at).Select(s => s.GetProperty("partition").GetString()));
        Check(at);
    }

    [Theory]
    [InlineData(nameof(WriteStep.BeforeSeal), false)]
    [InlineData(nameof(WriteStep.BeforeSealCommit), false)]
    [InlineData(nameof(WriteStep.AfterSealCommit), true)]
    [InlineData(nameof(WriteStep.AfterSealEntry), true)]
    [InlineData(nameof(WriteStep.AfterPublish), true)]
    public void A_crash_in_a_seal_loses_no_span_and_seals_none_twice(string step, bool sealedAlready)
    {
        foreach (bool nextDay in (bool[])[false, true])
        {
            using var first = new TemporaryStore();
            first.Send(Plain(1, 1), Write(1));
            Publish(first);
            first.Send(Plain(2, 1), Plain(2, 2), Write(2));
            string crashed = first.Data + "-crash";
            Exception? fatal = null;
            first.Store.Fatal += e => fatal = e;
            first.OnStep = reached =>
            {
                if (reached.ToString() == step && !Directory.Exists(crashed))
                {
                    TemporaryStore.CopyDirectory(first.Data, crashed);
                    throw new IOException("injected");
                }
            };
            first.Clock.Now = first.Clock.Now.AddSeconds(61);
            Assert.True(SpinWait.SpinUntil(() => fatal is not null, 10_000));

            using var second = new TemporaryStore(copyOf: crashed) { Clock = { Now = first.Clock.Now.AddDays(nextDay ? 1 : 0) } };
            second.Send(Plain(3, 1));
            second.Close();
            var seals = Seals(second);
            Assert.Equal(nextDay || sealedAlready ? [2L, 3L, 1L] : [2L, 4L], seals.Select(s => s.GetProperty("spans").GetInt64()));
            Check(second);
            Directory.Delete(crashed, recursive: true);
        }
    }

    [Theory]
    [InlineData(nameof(WriteStep.AfterVault))]
    [InlineData(nameof(WriteStep.BeforeCommit))]
    [InlineData(nameof(WriteStep.AfterCommit))]
    [InlineData(nameof(WriteStep.AfterLedger))]
    [InlineData(nameof(WriteStep.BeforeReceipts))]
    public async Task A_crash_in_a_group_leaves_what_the_next_seal_covers(string step)
    {
        using var first = new TemporaryStore();
        first.Send(Plain(1, 1), Write(1));
        string crashed = first.Data + "-crash";
        first.OnStep = reached =>
        {
            if (reached.ToString() == step)
            {
                TemporaryStore.CopyDirectory(first.Data, crashed);
                throw new IOException("injected");
            }
        };
        await Assert.ThrowsAsync<StoreStoppedException>(() => first.SendAsync([Plain(2, 1), Write(2)]));
        using var second = new TemporaryStore(copyOf: crashed);
        Check(second);
        second.Send(Plain(2, 1), Write(2));
        second.Close();
        Assert.Equal(4, Seals(second).Sum(s => s.GetProperty("spans").GetInt64()));
        Check(second);
        Directory.Delete(crashed, recursive: true);
    }

    [Fact]
    public void A_file_of_the_day_that_was_set_aside_is_not_sealed_anew_from_zero()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1), Plain(1, 2));
        at.Close();
        File.WriteAllText(Path.Combine(at.Data, "traces", "2026-05-06.db"), new string('x', 5000));
        at.Send(Plain(2, 1));
        at.Close();
        Assert.Equal([(0L, 2L), (2L, 1L)], Seals(at).Select(s => (s.GetProperty("first").GetInt64(), s.GetProperty("spans").GetInt64())));
    }

    [Fact]
    public void Unsealed_spans_that_cannot_be_read_after_a_crash_stop_nothing()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1));
        at.Send(Plain(1, 2));
        string crashed = at.Data + "-crash";
        at.OnStep = step =>
        {
            if (step == WriteStep.BeforeVault)
            {
                TemporaryStore.CopyDirectory(at.Data, crashed);
                at.OnStep = null;
            }
        };
        at.Send(Plain(9, 9));
        using (var file = Sqlite.OpenWriter(Path.Combine(crashed, "traces", "2026-05-06.db"), full: true))
        {
            Sqlite.Execute(file, "UPDATE block SET data = X'00' WHERE id = 1");
        }

        using var second = new TemporaryStore(copyOf: crashed);
        second.Send(Plain(3, 1));
        second.Close();
        Assert.Contains(second.Log, l => l.Contains("spans 0 to 1", StringComparison.Ordinal));
        Assert.Equal([(2L, 1L)], Seals(second).Select(s => (s.GetProperty("first").GetInt64(), s.GetProperty("spans").GetInt64())));
        Directory.Delete(crashed, recursive: true);
    }

    private static void Publish(TemporaryStore at)
    {
        at.Clock.Now = at.Clock.Now.AddSeconds(61);
        Assert.True(SpinWait.SpinUntil(() => at.Store.LedgerHead() is var head && head.PublishedSize == head.Size, 10_000));
    }

    private static JsonElement[] Seals(TemporaryStore at) => [.. at.Entries().Where(e => e.Type == "ledger.traces").Select(e => e.Json.GetProperty("traces"))];

    // What docs/store.md says, written here from that text: every seal is recomputed from the file, and the seals of a partition follow each other without gap.
    private static void Check(TemporaryStore at)
    {
        var seals = Seals(at);
        at.Close();
        foreach (var day in seals.GroupBy(s => s.GetProperty("partition").GetString()!))
        {
            var digests = new List<byte[]>();
            using (var file = new SqliteConnection($"Data Source={Path.Combine(at.Data, "traces", day.Key + ".db")};Mode=ReadOnly;Pooling=False"))
            {
                file.Open();
                using var query = file.CreateCommand();
                query.CommandText = "SELECT first, received, (SELECT name FROM workspace WHERE id = workspace), codec, plain, data FROM block ORDER BY id";
                using var rows = query.ExecuteReader();
                while (rows.Read())
                {
                    Assert.Equal(digests.Count, rows.GetInt64(0));
                    byte[] received = new byte[8];
                    BinaryPrimitives.WriteInt64BigEndian(received, rows.GetInt64(1));
                    string workspace = rows.GetString(2);
                    SpanBlock.Read(rows.GetInt64(3), rows.GetInt64(4), (byte[])rows[5], (_, encoded) =>
                    {
                        int at = 1;
                        byte[] core = Part(encoded, ref at), seal = Part(encoded, ref at);
                        Assert.Equal(encoded.Length, at);
                        digests.Add(SHA256.HashData([0, .. "evident/span/v1\n"u8, .. Encoding.UTF8.GetBytes(workspace), 0, .. received, .. SHA256.HashData(core), .. seal]));
                    });
                }
            }

            long next = 0;
            foreach (var seal in day)
            {
                long first = seal.GetProperty("first").GetInt64(), spans = seal.GetProperty("spans").GetInt64();
                Assert.Equal(next, first);
                Assert.True(spans > 0);
                Assert.Equal(Convert.ToHexStringLower(Root(digests.GetRange((int)first, (int)spans))), seal.GetProperty("root").GetString()!["sha256:".Length..]);
                next = first + spans;
            }

            Assert.Equal(digests.Count, next); // the store was stopped: nothing is left unsealed
        }

        var report = LedgerVerifier.Verify(new VerifyRequest { Path = at.Data, Audits = [context => TraceAudit.Run(at.Data, context)] });
        Assert.DoesNotContain(report.Findings, f => f.Code >= Verdict.RolledBack);
        Assert.Equal(Verdict.Unanchored, report.VerdictCode);
    }

    private static byte[] Part(ReadOnlySpan<byte> encoded, ref int at)
    {
        int length = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = encoded[at++];
            length |= (next & 0x7f) << shift;
            if (next < 0x80)
            {
                break;
            }
        }

        at += length;
        return encoded.Slice(at - length, length).ToArray();
    }

    // RFC 6962 2.1 over leaf hashes.
    private static byte[] Root(List<byte[]> leaves)
    {
        if (leaves.Count == 1)
        {
            return leaves[0];
        }

        int k = 1;
        while (k * 2 < leaves.Count)
        {
            k *= 2;
        }

        return SHA256.HashData([1, .. Root(leaves.GetRange(0, k)), .. Root(leaves.GetRange(k, leaves.Count - k))]);
    }
}
