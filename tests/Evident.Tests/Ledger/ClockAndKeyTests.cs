using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>Clock entries (T28) and the loss of an epoch key.</summary>
public class ClockAndKeyTests
{
    private const long Hour = 60 * 60 * 1000;

    private static string[] Types(LedgerScratch scratch, long size) =>
        [.. LedgerReader.Read(scratch.Ledger, 0, 1000, size).Select(l => System.Text.Json.JsonDocument.Parse(l.Json).RootElement.GetProperty("type").GetString()!)];

    [Theory]
    [InlineData(-Hour, 0, true)] // set back, daylight saving by hand
    [InlineData(10L * 365 * 24 * Hour, 1000, true)]
    [InlineData(0, 3000, true)] // frozen while time passes
    [InlineData(1000, 0, false)] // a leap second smeared, or repeated
    [InlineData(-1999, 0, false)]
    [InlineData(300_150, 300_000, false)] // slewed by NTP between two heartbeats
    public void A_jump_of_the_wall_clock_is_on_the_record_before_what_follows(long wall, long mono, bool jump)
    {
        using var scratch = new LedgerScratch();
        using var log = scratch.Open();
        log.Append(LedgerScratch.Calls(0, 2));
        long before = scratch.Clock.UnixMillis;
        scratch.Clock.UnixMillis += wall;
        scratch.Clock.MonotonicMillis += mono;
        log.Append(LedgerScratch.Calls(2, 2)); // recording goes on whatever the clock says
        string[] expected = jump
            ? ["ledger.genesis", "tool.call", "tool.call", "ledger.clock", "tool.call", "tool.call"]
            : ["ledger.genesis", "tool.call", "tool.call", "tool.call", "tool.call"];
        Assert.Equal(expected, Types(scratch, log.Head.Size));
        if (jump)
        {
            string entry = Encoding.UTF8.GetString(LedgerReader.Read(scratch.Ledger, 3, 1, log.Head.Size).Single().Json.Span);
            Assert.Contains($"\"before\":\"{Rfc3339.FormatMillis(before)}\",\"mono_delta_ms\":{mono}", entry);
            Assert.Contains($"\"after\":\"{Rfc3339.FormatMillis(before + wall)}\"", entry);
        }

        log.Close();
        string head = scratch.KeepHead("first.note");
        Assert.Equal(0, scratch.Verify(head).ExitCode);
    }

    [Fact]
    public void A_process_that_sleeps_at_any_moment_never_writes_an_epoch_that_is_too_old()
    {
        const long Sleep = 40L * 24 * Hour; // a machine that is suspended between two readings of the clock
        int slept = 0;
        for (int at = 1; at <= 24; at++)
        {
            using var scratch = new LedgerScratch(inMemory: true);
            using (var log = scratch.Open())
            {
                log.Append(LedgerScratch.Calls(0, 2));
                int reads = 0;
                scratch.Clock.Read = () =>
                {
                    if (++reads == at)
                    {
                        slept++;
                        scratch.Clock.UnixMillis += Sleep;
                        scratch.Clock.Read = null;
                        scratch.Clock.MonotonicMillis += Sleep;
                    }
                };
                log.Append(LedgerScratch.Calls(2, 2));
                log.AppendOwn("ledger.heartbeat", b => b.Set("heartbeat", h => h.Set("state", "running").Set("interval_ms", 300_000)));
                log.Append(LedgerScratch.Calls(4, LedgerFormat.MaxGroupEntries + 2)); // two groups
                log.AppendOwn("ledger.heartbeat", b => b.Set("heartbeat", h => h.Set("state", "running").Set("interval_ms", 300_000)));
                log.Close();
            }

            scratch.Clock.Read = null;
            Assert.Equal(0, scratch.Verify(scratch.KeepHead("last.note")).ExitCode);
            using var again = scratch.Open();
            again.Append(LedgerScratch.Calls(10_000, 1));
        }

        Assert.True(slept > 4, $"the clock was read only {slept} times");
    }

    [Fact]
    public void A_jump_after_the_anchor_is_a_note()
    {
        using var scratch = new LedgerScratch();
        using var log = scratch.Open();
        log.Publish();
        string head = scratch.KeepHead();
        scratch.Clock.UnixMillis -= Hour;
        log.Append(LedgerScratch.Calls(0, 1));
        log.Close();
        Assert.Equal(12, scratch.Verify(head).ExitCode);
    }

    [Theory]
    [InlineData(true, 5 * 1000, 5 * 1000, false)] // restarted in the same boot
    [InlineData(true, Hour, 5 * 1000, true)] // set forward while stopped
    [InlineData(false, Hour, 0, false)] // another boot, later
    [InlineData(false, -Hour, 0, true)] // another boot whose clock is behind the record
    public void What_the_clock_did_while_the_appliance_was_stopped_is_seen_at_the_first_append(bool sameBoot, long wall, long mono, bool jump)
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.AppendOwn("ledger.heartbeat", b => b.Set("heartbeat", h => h.Set("state", "stopping").Set("interval_ms", 300_000)));
            log.Close();
        }

        scratch.Clock.UnixMillis += wall;
        scratch.Clock.MonotonicMillis = sameBoot ? scratch.Clock.MonotonicMillis + mono : 17;
        scratch.Clock.BootId = sameBoot ? scratch.Clock.BootId : "00c0ffee";
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(2, 1));
            Assert.Equal(jump, Types(scratch, log.Head.Size).Contains("ledger.clock"));
            log.Close();
        }

        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_lost_epoch_key_is_replaced_under_the_identity_key_and_told(bool cleanStop)
    {
        using var scratch = new LedgerScratch();
        string head;
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.Publish();
            head = scratch.KeepHead();
            log.Append(LedgerScratch.Calls(2, 2));
            if (cleanStop)
            {
                log.Close();
            }
        }

        File.Delete(Path.Combine(scratch.Keys, "ledger-epoch-1.key"));
        using (var log = scratch.Open(out var recovery))
        {
            Assert.True(recovery.KeyLost);
            Assert.Equal(cleanStop, recovery.Clean);
            Assert.Equal(2, log.Epoch);
            log.Append(LedgerScratch.Calls(4, 2));
            log.Close();
        }

        string[] types = Types(scratch, scratch.Verify().Entries);
        Assert.Equal("ledger.epoch", types[5]);
        Assert.Equal(!cleanStop, types.Contains("ledger.recovery"));
        Assert.Equal(12, scratch.Verify(head).ExitCode); // for a person to look at
        Assert.Equal(0, scratch.Verify(scratch.KeepHead("later.note")).ExitCode);
        Assert.Equal(10, scratch.Verify().ExitCode);

        // The next start finds nothing to do.
        using var again = scratch.Open(out var second);
        Assert.True(second.Clean && !second.KeyLost);
        again.Close();
    }


    [Fact]
    public void A_stop_that_was_not_clean_has_its_active_segment_written_anew()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open(segmentBytes: 4000))
        {
            for (int i = 0; i < 4; i++)
            {
                log.Append(LedgerScratch.Calls(i * 2, 2));
            }
        }

        string active = scratch.Segments[^1];
        byte[] before = File.ReadAllBytes(active);
        long inode = Inode(active);
        File.WriteAllText(active + ".tmp", "what an interrupted start left");
        Assert.Equal(10, scratch.Verify().ExitCode); // the unfinished copy says nothing
        using (var log = scratch.Open())
        {
            Assert.NotEqual(inode, Inode(active));
            Assert.Equal(before, File.ReadAllBytes(active)[..before.Length]);
            log.Close();
        }

        Assert.False(File.Exists(active + ".tmp"));
        inode = Inode(active);
        scratch.Open().Dispose();
        Assert.Equal(inode, Inode(active)); // after a clean stop it stays what it is
        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
    }

    private static long Inode(string path)
    {
        var stat = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("stat", ["-c", "%i", path]) { RedirectStandardOutput = true })!;
        return long.Parse(stat.StandardOutput.ReadToEnd(), System.Globalization.CultureInfo.InvariantCulture);
    }
}
