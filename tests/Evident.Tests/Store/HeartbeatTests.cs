using Evident.Ledger;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>The ledger's pulse: every run begins, goes on and ends with a word, whether anything happens or not.</summary>
public sealed class HeartbeatTests
{
    private static Sent Write(ulong trace) => new Sent(trace, 1, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", """{"to":"x"}"""));

    [Fact]
    public void An_idle_appliance_has_a_pulse()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, Step = o.Step, IdleMillis = 1, HeartbeatSeconds = 90, Version = "1.2.3+abc" } };
        Assert.Equal(["started"], at.Store.LedgerEntries(0, 10).Select(l => l.Json).Where(j => j.Span.IndexOf("ledger.heartbeat"u8) > 0).Select(_ => "started"));
        for (int i = 2; i < 5; i++)
        {
            at.Clock.Now = at.Clock.Now.AddSeconds(90);
            Assert.True(SpinWait.SpinUntil(() => at.Beats().Length == i, 10_000));
        }

        at.Reopen();
        Assert.Equal(["started", "running", "running", "running", "stopping", "started"], at.Beats());
        var beat = at.Entries().Last(e => e.Type == "ledger.heartbeat").Json.GetProperty("heartbeat");
        Assert.Equal((90_000, "1.2.3+abc", 0, 0), (beat.GetProperty("interval_ms").GetInt64(), beat.GetProperty("version").GetString(), beat.GetProperty("spans").GetInt64(), beat.GetProperty("refused").GetInt64()));
        Assert.Equal(at.Entries().Count, at.Entries().Select(e => e.Json.GetProperty("id").GetString()).Distinct().Count());
        Verify(at.Data);
    }

    [Fact]
    public void It_tells_what_was_stored_and_read_again_since_the_start()
    {
        using var at = new TemporaryStore();
        at.Send(Write(1), Write(2));
        at.Send(Write(3));
        long size = at.Store.LedgerHead().Size;
        at.Close();
        at.Reopen();
        at.Close();
        var beats = at.Entries().Where(e => e.Type == "ledger.heartbeat").Select(e => e.Json.GetProperty("heartbeat")).ToArray();
        Assert.Equal([0, 3, 0, 0, 0], beats.Select(b => b.GetProperty("spans").GetInt64()));
        Assert.Equal(size + 2, beats[2].GetProperty("scrubbed_to").GetInt64()); // this start read the ledger whole
        Assert.All(beats, b => Assert.Equal(0, b.GetProperty("scrub_errors").GetInt64()));
    }

    [Fact]
    public async Task What_a_crash_left_owed_comes_after_the_first_heartbeat_of_the_next_run()
    {
        using var first = new TemporaryStore();
        first.Send(Write(1));
        string crashed = first.Data + "-crash";
        first.OnStep = step =>
        {
            if (step == WriteStep.AfterCommit)
            {
                TemporaryStore.CopyDirectory(first.Data, crashed);
                throw new IOException("injected");
            }
        };
        await Assert.ThrowsAsync<StoreStoppedException>(() => first.SendAsync([Write(2)]));
        using var second = new TemporaryStore(copyOf: crashed);
        Assert.Equal(["ledger.recovery", "ledger.heartbeat", "tool.call"], second.Entries().TakeLast(3).Select(e => e.Type));
        Assert.Equal(["started", "started"], second.Beats());
        second.Close();
        Assert.Equal("stopping", second.Beats()[^2]); // the last one is of the run that reads
        Directory.Delete(crashed, recursive: true);
    }

    private static void Verify(string data)
    {
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = data });
        Assert.True(report.ExitCode == Verdict.Unanchored, report.ToText());
    }
}
