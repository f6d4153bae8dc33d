using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>The ledger is read from the disk again and again while the appliance runs.</summary>
public sealed class ScrubberTests
{
    private static Sent Write(ulong trace) => new Sent(trace, 1, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", """{"to":"x"}"""));

    private static StoreOptions Quick(StoreOptions o) => new() { DataDirectory = o.DataDirectory, Step = o.Step, IdleMillis = 1, ScrubHours = 2, QuickStartLedgerBytes = 0 };

    [Fact]
    public void A_round_follows_a_quick_start_and_another_one_after_the_interval()
    {
        using var at = new TemporaryStore { Adjust = Quick };
        at.Send(Write(1));
        at.Close();
        long size = at.Store.LedgerHead().Size;
        Assert.True(SpinWait.SpinUntil(() => at.Store.Scrub.FinishedUnixMillis == at.Clock.UnixMillis, 10_000));
        Assert.InRange(at.Store.Scrub.ScrubbedTo, size - 1, size);
        at.Send(Write(2), Write(3));
        at.Clock.Now = at.Clock.Now.AddHours(2);
        Assert.True(SpinWait.SpinUntil(() => at.Store.Scrub.FinishedUnixMillis == at.Clock.UnixMillis, 10_000));
        Assert.True(at.Store.Scrub.ScrubbedTo >= size + 2);
        Assert.Equal(0, at.Store.Scrub.Errors);
    }

    [Fact]
    public async Task What_is_altered_while_it_runs_stops_the_process()
    {
        using var at = new TemporaryStore { Adjust = Quick };
        at.Send(Write(1));
        var found = new TaskCompletionSource<Exception>();
        at.Store.Fatal += e => found.TrySetResult(e);
        string segment = Directory.GetFiles(Path.Combine(at.Data, "ledger"), "*.jsonl").Single();
        using (var file = new FileStream(segment, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            byte[] bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            file.Position = bytes.AsSpan().IndexOf("\"type\":\"tool.call\""u8) + 9;
            file.WriteByte((byte)(bytes[file.Position] ^ 1));
        }

        Assert.False(found.Task.IsCompleted); // what was read at the start is not read again at once
        at.Clock.Now = at.Clock.Now.AddHours(2);
        Assert.IsType<Evident.Ledger.LedgerStateException>(await found.Task.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal((ReadyState.Failed, 1), (at.Store.Ready, at.Store.Scrub.Errors));
    }
}
