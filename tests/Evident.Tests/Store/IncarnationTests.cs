using Evident.Ledger;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>The store goes on with a ledger that lost its end once somebody has accepted that: nothing is told twice, and what is stored is sealed again.</summary>
public sealed class IncarnationTests
{
    private static Sent[] Request(ulong trace) =>
    [
        new Sent(trace, 1, "agent.run").With(("agent.run_id", $"run-{trace}")) with { Until = 5 },
        new Sent(trace, 2, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", $$"""{"n":{{trace}}}""")) with { Parent = 1, At = 1, Until = 2 },
    ];

    [Fact]
    public void A_ledger_of_yesterday_is_refused_until_it_is_accepted_and_then_sealed_up_to_today()
    {
        using var at = new TemporaryStore { Clock = { Now = new DateTimeOffset(2026, 5, 6, 22, 0, 0, TimeSpan.Zero) } };
        at.Send(Request(1));
        at.Close();
        string old = at.Data + "-old";
        TemporaryStore.CopyDirectory(Path.Combine(at.Data, "ledger"), old);
        at.Send(Request(2));
        for (int day = 0; day < 2; day++)
        {
            at.Clock.Now = at.Clock.Now.AddHours(3 + (day * 6)); // 01:00, 10:00
            at.Send(Request(3 + (ulong)day));
        }

        at.Close();
        var head = Restore(at, old);
        Assert.Throws<LedgerStateException>(at.Reopen);
        at.Close();
        using (var history = LostHistory.Open(new StoreOptions { DataDirectory = at.Data }, at.Clock, (_, _) => { }))
        {
            Assert.Equal(head.Size, history.Loss.Found.Size);
            history.Accept("restored from Tuesday's copy", new Actor("1000", "uid"));
        }

        Assert.False(File.Exists(Path.Combine(at.Data, "outcomes.db")));
        at.Send(Request(5));
        Assert.Equal(["ledger.epoch", "ledger.incarnation", "ledger.heartbeat", "ledger.traces", "tool.call"], at.Entries().Skip((int)head.Size).Select(e => e.Type).Where(t => t != "ledger.clock"));
        Assert.Equal(["run-1", "run-2", "run-3", "run-4", "run-5"], at.Runs().Select(r => r.RunId).Order());
        at.Reopen();
        at.Close();
        Assert.Equal(
            [("2026-05-06", 0, 2), ("2026-05-06", 2, 2), ("2026-05-07", 0, 6)],
            at.Entries().Where(e => e.Type == "ledger.traces").Select(e => e.Json.GetProperty("traces")).Select(t => (t.GetProperty("partition").GetString()!, t.GetProperty("first").GetInt32(), t.GetProperty("spans").GetInt32())));
        at.Close();

        // Sound, and the calls whose entries were lost are named: 2, 3 and 4.
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = at.Data, Audits = [context => TraceAudit.Run(at.Data, context)] });
        Assert.DoesNotContain(report.Findings, f => f.Code is Verdict.Altered or Verdict.Incomplete);
        Assert.Equal([2UL, 3, 4], report.Findings.Where(f => f.Code == Verdict.IndexMismatch).Select(f => ulong.Parse(f.Sentence.AsSpan(5 + 16, 16), System.Globalization.NumberStyles.HexNumber)));
    }

    [Theory]
    [InlineData(nameof(WriteStep.AfterCommit))]
    [InlineData(nameof(WriteStep.AfterLedger))]
    [InlineData(nameof(WriteStep.AfterSealCommit))]
    public void What_is_owed_stays_owed_and_is_appended_once(string step)
    {
        using var at = new TemporaryStore();
        at.Send(Request(1));
        at.Close();
        string old = at.Data + "-old";
        TemporaryStore.CopyDirectory(Path.Combine(at.Data, "ledger"), old);
        at.Send(Request(2));
        Exception? fatal = null;
        at.Store.Fatal += e => fatal = e;
        at.OnStep = reached =>
        {
            if (reached.ToString() == step)
            {
                throw new IOException("injected");
            }
        };
        try
        {
            at.Send(Request(3));
            at.Clock.Now = at.Clock.Now.AddSeconds(61);
            Assert.True(SpinWait.SpinUntil(() => fatal is not null, 10_000));
        }
        catch (StoreStoppedException)
        {
            // the steps of a group
        }

        at.OnStep = null;
        at.Close();
        var head = Restore(at, old);
        StoreIncarnation.Accept(at.Data, head, (_, _) => { });
        for (int starts = 0; starts < 2; starts++)
        {
            at.Reopen();
            bool owed = step != nameof(WriteStep.AfterSealCommit); // by then the group's own entries were in the ledger that is lost
            Assert.Equal(owed ? ["run-1", "run-3"] : ["run-1"], at.Ledger().Select(e => e.Json.GetProperty("run_id").GetString()!));
        }

        at.Close();
        Assert.Equal([2L, 4L], at.Entries().Where(e => e.Type == "ledger.traces").Select(e => e.Json.GetProperty("traces").GetProperty("spans").GetInt64()));
    }

    [Fact]
    public void An_accepting_that_was_interrupted_is_finished_by_doing_it_again()
    {
        using var at = new TemporaryStore { Clock = { Now = new DateTimeOffset(2026, 5, 6, 22, 0, 0, TimeSpan.Zero) } };
        at.Send(Request(1));
        at.Close();
        string old = at.Data + "-old";
        TemporaryStore.CopyDirectory(Path.Combine(at.Data, "ledger"), old);
        at.Send(Request(2));
        at.Clock.Now = at.Clock.Now.AddHours(3);
        at.Send(Request(3));
        at.Close();
        var head = Restore(at, old);
        at.Close();

        // The newest partition is back as it was after the first of its two changes.
        string newest = Path.Combine(at.Data, "traces", "2026-05-07.db"), before = newest + ".before";
        using (var partition = Evident.Store.Partition.Open(newest, static () => 0))
        {
            partition.Reseal("2026-05-06");
        }

        File.Copy(newest, before);
        StoreIncarnation.Accept(at.Data, head, (_, _) => { });
        File.Move(before, newest, overwrite: true);
        Assert.Equal(["2026-05-07"], StoreIncarnation.Accept(at.Data, head, (_, _) => { }));
        at.Reopen();
        at.Close();
        Assert.Equal([("2026-05-06", 2), ("2026-05-06", 2), ("2026-05-07", 2)], at.Entries().Where(e => e.Type == "ledger.traces").Select(e => e.Json.GetProperty("traces"))
            .Select(t => (t.GetProperty("partition").GetString()!, t.GetProperty("spans").GetInt32())));
    }

    private static LedgerHead Restore(TemporaryStore at, string old)
    {
        string ledger = Path.Combine(at.Data, "ledger");
        Directory.Delete(ledger, recursive: true);
        Directory.Move(old, ledger);
        Assert.True(SignedNote.TryParse(System.Text.Encoding.UTF8.GetBytes(LedgerReader.NewestPublished(ledger)!), out var note, out _));
        Assert.True(Checkpoint.TryParse(note.Text, out var checkpoint));
        return new LedgerHead(checkpoint.Size, checkpoint.Root);
    }
}
