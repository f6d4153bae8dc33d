using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>A crash is told from tampering by what it can and cannot leave behind.</summary>
public class TornTailTests
{
    /// <summary>Returns the bytes of the only segment and where its last group starts.</summary>
    private static (byte[] Whole, int LastGroup) Write(LedgerScratch scratch, bool rotationLast = false)
    {
        using var log = scratch.Open();
        log.Append(LedgerScratch.Calls(0, 2));
        log.Publish();
        scratch.KeepHead();
        int start = (int)new FileInfo(scratch.Segments[0]).Length;
        if (rotationLast)
        {
            string old = Path.Combine(scratch.Keys, "ledger-epoch-1.key"), kept = File.ReadAllText(old);
            log.Rotate("operator");
            File.WriteAllText(old, kept); // the crash that tore the group came before the old key was destroyed
        }
        else
        {
            log.Append(LedgerScratch.Calls(2, 3));
        }

        return (File.ReadAllBytes(scratch.Segments[0]), start);
    }

    [Fact]
    public void A_cut_after_a_clean_stop_is_torn_for_the_verifier_and_a_loss_for_the_appliance()
    {
        using var scratch = new LedgerScratch(inMemory: true);
        int start;
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.Publish();
            scratch.KeepHead();
            start = (int)new FileInfo(scratch.Segments[0]).Length;
            log.Append(LedgerScratch.Calls(2, 3));
            log.Close();
        }

        string early = Path.Combine(scratch.Data, "known.note");
        string published = Directory.GetFiles(Path.Combine(scratch.Ledger, "checkpoints")).Order(StringComparer.Ordinal).Last();
        byte[] whole = File.ReadAllBytes(scratch.Segments[0]);
        for (int cut = start + 1; cut < whole.Length; cut += 37)
        {
            File.WriteAllBytes(scratch.Segments[0], whole[..cut]);
            Assert.Equal(10, scratch.Verify().ExitCode);
            Assert.Equal(12, scratch.Verify(early).ExitCode);
            Assert.Equal(30, scratch.Verify(published).ExitCode);
            Assert.Throws<LedgerStateException>(() => scratch.Open());
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_cut_inside_the_last_group_is_torn_and_recovered(bool rotationLast)
    {
        using var scratch = new LedgerScratch(inMemory: true);
        var (whole, start) = Write(scratch, rotationLast);
        string known = Path.Combine(scratch.Data, "known.note"), segment = scratch.Segments[0];
        var keys = Directory.GetFiles(scratch.Keys).ToDictionary(k => k, File.ReadAllText);
        var clean = Directory.GetFiles(scratch.Ledger).ToDictionary(k => k, File.ReadAllBytes);
        for (int cut = start + 1; cut < whole.Length; cut++)
        {
            bool end = cut == start + 1 || cut >= whole.Length - 3;
            if (!end && !LedgerScratch.Exhaustive && cut % 3 != 0)
            {
                continue;
            }

            File.WriteAllBytes(segment, whole[..cut]);
            Assert.Equal(10, scratch.Verify().ExitCode);
            var report = scratch.Verify(known);
            Assert.True(report.ExitCode == 12, $"cut at {cut}: {report.ToText()}");
            if (!end && cut % (LedgerScratch.Exhaustive ? 7 : 21) != 0)
            {
                continue; // reopening is slower
            }

            using (var log = scratch.Open(out var recovery))
            {
                Assert.Equal((false, cut - start), (recovery.Clean, recovery.QuarantinedBytes));
                Assert.Equal(2, log.Epoch);
                log.Append(LedgerScratch.Calls(2, 1));
                log.Close();
            }

            string moved = Directory.GetFiles(Path.Combine(scratch.Ledger, "quarantine")).Single();
            Assert.Equal(whole[start..cut], File.ReadAllBytes(moved));
            Assert.Equal(12, scratch.Verify(known).ExitCode);
            Assert.Equal(0, scratch.Verify(scratch.KeepHead("after.note")).ExitCode);

            Directory.Delete(scratch.Ledger, true);
            Directory.CreateDirectory(Path.Combine(scratch.Ledger, "checkpoints"));
            foreach (string file in Directory.GetFiles(scratch.Keys))
            {
                File.Delete(file);
            }

            foreach (var (path, content) in keys)
            {
                File.WriteAllText(path, content);
            }

            foreach (var (path, content) in clean)
            {
                File.WriteAllBytes(path, content);
            }
        }
    }

    [Fact]
    public void A_torn_tail_below_a_known_head_is_rolled_back()
    {
        using var scratch = new LedgerScratch(inMemory: true);
        string known;
        byte[] whole;
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 3));
            log.Close();
            known = scratch.KeepHead();
            whole = File.ReadAllBytes(scratch.Segments[0]);
        }

        scratch.RemoveHeads();
        File.WriteAllBytes(scratch.Segments[0], whole[..^1]);
        Assert.Equal(30, scratch.Verify(known).ExitCode);
        Assert.Equal(10, scratch.Verify().ExitCode);
    }

    [Fact]
    public void A_crash_between_quarantine_cut_and_recovery_entry_is_recorded_by_the_next_start()
    {
        using var scratch = new LedgerScratch(inMemory: true);
        var (whole, start) = Write(scratch);
        string name = $"{3:D20}-0011223344556677.torn";
        File.WriteAllBytes(Path.Combine(scratch.Ledger, "quarantine", name), whole[start..^5]);
        File.WriteAllBytes(scratch.Segments[0], whole[..start]);
        using (var log = scratch.Open(out var recovery))
        {
            Assert.Equal((false, whole.Length - 5 - start, name), (recovery.Clean, recovery.QuarantinedBytes, recovery.QuarantineFile));
            log.Close();
        }

        using (var log = scratch.Open(out var second))
        {
            Assert.True(second.Clean);
        }

        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
    }

    private static int WithTail(Func<byte[], int, byte[]> change, bool known = true)
    {
        using var scratch = new LedgerScratch(inMemory: true);
        var (whole, start) = Write(scratch);
        File.WriteAllBytes(scratch.Segments[0], change(whole, start));
        var before = scratch.Picture();
        int code = (known ? scratch.Verify(Path.Combine(scratch.Data, "known.note")) : scratch.Verify()).ExitCode;
        if (code == 12)
        {
            using var log = scratch.Open(out var recovery);
            Assert.False(recovery.Clean);
            log.Close();
            Assert.Equal(0, scratch.Verify(scratch.KeepHead("after.note")).ExitCode);
        }
        else if (code >= 30)
        {
            Assert.Throws<LedgerStateException>(() => scratch.Open());
            Assert.Equal(before, scratch.Picture());
        }

        return code;
    }

    private static byte[] Zero(byte[] whole, int from, int to)
    {
        byte[] copy = [.. whole];
        copy.AsSpan(from, to - from).Clear();
        return copy;
    }

    [Fact]
    public void Lost_sectors_are_torn_and_other_zeros_are_not()
    {
        static int Up(int at) => (at + 511) / 512 * 512;

        Assert.Equal(12, WithTail((w, s) => Zero(w, s, w.Length)));                       // the whole group
        Assert.Equal(12, WithTail((w, s) => Zero(w, s, Up(s + 1))));                      // its first sector
        Assert.Equal(12, WithTail((w, s) => Zero(w, Up(s + 1), Up(s + 1) + 512)));        // one in the middle
        Assert.Equal(12, WithTail((w, s) => Zero(w, Up(s + 1), w.Length)));               // all but the first
        Assert.Equal(12, WithTail((w, s) => Zero(Zero(w, s, Up(s + 1)), Up(s + 1) + 512, Up(s + 1) + 1024)));
        Assert.Equal(12, WithTail((w, s) => [.. w[..s], .. new byte[700]]));              // grown, nothing written

        Assert.Equal(34, WithTail((w, s) => Zero(w, s + 1, Up(s + 1))));                  // not from the group's start
        Assert.Equal(34, WithTail((w, s) => Zero(w, Up(s + 1), Up(s + 1) + 100)));        // ends inside a sector
        Assert.Equal(34, WithTail((w, s) => Zero(w, Up(s + 1) + 5, Up(s + 1) + 6)));      // one byte
        Assert.Equal(34, WithTail((w, s) =>
        {
            byte[] holed = Zero(w, Up(s + 1), Up(s + 1) + 512);
            holed[s + 20] ^= 0x80;                                                        // and another change before it
            return holed;
        }));
    }

    [Fact]
    public void What_no_crash_can_leave_is_not_torn()
    {
        Assert.Equal(34, WithTail((w, _) => [.. w, .. "garbage"u8]));
        Assert.Equal(34, WithTail((w, _) => [.. w, .. "{\"batch\":99,"u8]));
        Assert.Equal(12, WithTail((w, _) => [.. w, .. "{\"batch\":3,"u8]));               // exactly how the next group would begin
        Assert.Equal(34, WithTail((w, s) => [.. w[..s], .. w[(s + 100)..(s + 300)]]));
        Assert.Equal(34, WithTail((w, _) => [.. w[..^1], (byte)'X']));
        Assert.Equal(32, WithTail((w, s) =>
        {
            // an entry in front of a cut was changed: the next one does not chain to it
            byte[] cut = [.. w[..^3]];
            int at = s + cut.AsSpan(s).IndexOf("\"id\":\"call-2"u8) + "\"id\":\"call-".Length;
            cut[at] = (byte)'7';
            return cut;
        }));
    }
}
