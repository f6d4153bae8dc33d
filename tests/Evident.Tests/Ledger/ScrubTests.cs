using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>What one more reading of the ledger says: altered, unreadable, or sound up to where it was durable.</summary>
public sealed class ScrubTests
{
    [Fact]
    public void A_sound_ledger_is_read_to_its_durable_end_and_tells_how_far()
    {
        using var at = new LedgerScratch();
        using var log = at.Open(segmentBytes: 20_000);
        log.Append(LedgerScratch.Calls(0, 50));
        log.Append(LedgerScratch.Calls(50, 10));
        var told = new List<long>();
        var found = LedgerScrub.Check(at.Ledger, log.Head.Size, new Told(told.Add), default);
        Assert.Equal(new ScrubResult(61, null, null), found);
        Assert.Equal([1, 51, 61], told);
    }

    [Fact]
    public void A_segment_that_cannot_be_read_accuses_nobody_and_one_that_is_missing_does()
    {
        using var at = new LedgerScratch();
        using var log = at.Open(segmentBytes: 20_000);
        for (int i = 0; i < 6; i++)
        {
            log.Append(LedgerScratch.Calls(i * 10, 10));
        }

        Assert.True(at.Segments.Length > 2);
        string middle = at.Segments[1];

        // Gone between the listing and the reading, as a failing disk would have it.
        var vanished = LedgerScrub.Check(at.Ledger, log.Head.Size, new Told(_ => File.Move(middle, middle + ".gone", overwrite: true), once: true), default);
        Assert.Null(vanished.Altered);
        Assert.Contains(Path.GetFileName(middle), vanished.Unreadable, StringComparison.Ordinal);

        var missing = LedgerScrub.Check(at.Ledger, log.Head.Size, null, default);
        Assert.StartsWith("ALTERED", missing.Altered, StringComparison.Ordinal);
    }

    [Fact]
    public void Lost_entries_at_the_end_are_an_alteration()
    {
        using var at = new LedgerScratch();
        using var log = at.Open();
        log.Append(LedgerScratch.Calls(0, 3));
        Assert.Null(LedgerScrub.Check(at.Ledger, 4, null, default).Altered);
        Assert.Contains("only 4 of 5", LedgerScrub.Check(at.Ledger, 5, null, default).Altered, StringComparison.Ordinal);
    }

    [Fact]
    public void It_can_be_cancelled_between_two_groups()
    {
        using var at = new LedgerScratch();
        using var log = at.Open();
        for (int i = 0; i < 30; i++)
        {
            log.Append(LedgerScratch.Calls(i * 20, 20));
        }

        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => LedgerScrub.Check(at.Ledger, log.Head.Size, new Told(_ => stop.Cancel()), stop.Token));
    }

    private sealed class Told(Action<long> act, bool once = false) : IProgress<long>
    {
        private bool done;

        public void Report(long value)
        {
            if (!done || !once)
            {
                done = true;
                act(value);
            }
        }
    }
}
