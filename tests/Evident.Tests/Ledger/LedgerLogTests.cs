using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

public class LedgerLogTests
{
    [Fact]
    public void A_new_ledger_verifies_and_reopens_clean()
    {
        using var scratch = new LedgerScratch();
        LedgerResume hint;
        using (var log = scratch.Open(out var recovery))
        {
            Assert.True(recovery.Created);
            Assert.Equal(1, log.Head.Size);
            var appended = log.Append(LedgerScratch.Calls(0, 5));
            Assert.Equal([1, 2, 3, 4, 5], appended.Select(a => a.Seq));
            hint = log.Close();
        }

        Assert.Equal(10, scratch.Verify().ExitCode);
        var report = scratch.Verify(scratch.KeepHead());
        Assert.Equal(0, report.ExitCode);
        Assert.Equal(6, report.Entries);
        using var again = scratch.Open(out var second, hint);
        Assert.True(second.Clean && !second.Created);
        Assert.Equal(1, again.Epoch);
        again.Append(LedgerScratch.Calls(5, 3));
        again.Close();
        Assert.Equal(10, scratch.Verify().ExitCode);
    }

    [Fact]
    public void One_group_is_one_write_and_one_sync()
    {
        using var scratch = new LedgerScratch();
        var layer = new CountingLayer();
        using var log = LedgerLog.Open(scratch.Options(wrap: layer.Wrap), null, null, scratch.Clock, out _);
        (layer.Writes, layer.Syncs) = (0, 0);
        log.Append(LedgerScratch.Calls(0, 256));
        Assert.Equal((1, 1), (layer.Writes, layer.Syncs));
    }

    [Fact]
    public void The_hint_changes_nothing_but_the_time()
    {
        using var scratch = new LedgerScratch();
        LedgerResume hint;
        using (var log = scratch.Open(segmentBytes: 4000))
        {
            for (int i = 0; i < 10; i++)
            {
                log.Append(LedgerScratch.Calls(i * 3, 3));
            }

            hint = log.Close();
        }

        LedgerResume hinted, scanned;
        using (var log = scratch.Open(hint))
        {
            hinted = log.Resume();
        }

        using (var log = scratch.Open())
        {
            scanned = log.Resume();
        }

        Assert.Equal(hinted.Root, scanned.Root);
        Assert.Equal(hinted.Frontier, scanned.Frontier);
        Assert.Equal(hinted.ScopeSeq, scanned.ScopeSeq);
        Assert.Equal((hinted.LastEntryHash, hinted.NextBatch), (scanned.LastEntryHash, scanned.NextBatch));
        Assert.Equal(15, hinted.ScopeSeq[new string('a', 32)]);
    }

    [Fact]
    public void A_forged_hint_is_not_used()
    {
        using var scratch = new LedgerScratch();
        LedgerResume hint;
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 5));
            hint = log.Close();
        }

        var wrongFrontier = hint with { Frontier = [.. hint.Frontier.Select(_ => new byte[32])] };
        using (var log = scratch.Open(wrongFrontier))
        {
            Assert.Equal(hint.Root, log.Head.Root);
            Assert.Equal(hint.Frontier, log.Resume().Frontier);
        }

        using (var log = scratch.Open(hint with { LastEntryHash = LedgerFormat.ZeroHash }))
        {
            Assert.Equal(hint.LastEntryHash, log.Resume().LastEntryHash);
        }
    }

    [Fact]
    public void After_an_unclean_stop_a_new_epoch_and_a_recovery_entry_follow_and_the_old_key_is_gone()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 5)); // never published: the process died
        }

        using (var log = scratch.Open(out var recovery))
        {
            Assert.False(recovery.Clean);
            Assert.Equal(0, recovery.QuarantinedBytes);
            Assert.Equal(2, log.Epoch);
            Assert.Equal(8, log.Head.Size);
            log.Append(LedgerScratch.Calls(5, 1));
            log.Close();
        }

        Assert.Equal(["ledger-epoch-2.key", "ledger-identity.key"], Directory.GetFiles(scratch.Keys).Select(Path.GetFileName).Order());
        string[] types = [.. LedgerReader.Read(scratch.Ledger, 5, 10, 9).Select(l => Encoding.UTF8.GetString(l.Json.Span))];
        Assert.Contains("\"type\":\"ledger.epoch\"", types[1]);
        Assert.Contains("\"type\":\"ledger.recovery\"", types[2]);
        var report = scratch.Verify(scratch.KeepHead());
        Assert.Equal(0, report.ExitCode);
        Assert.Contains("2 ", report.ToText());
    }

    [Theory]
    [InlineData("write")]
    [InlineData("sync")]
    public void Any_io_error_poisons_and_the_next_start_knows_better(string fault)
    {
        using var scratch = new LedgerScratch();
        var layer = new CountingLayer();
        using (var log = LedgerLog.Open(scratch.Options(wrap: layer.Wrap), null, null, scratch.Clock, out _))
        {
            log.Append(LedgerScratch.Calls(0, 2));
            layer.Fault = fault;
            Assert.Throws<LedgerPoisonedException>(() => log.Append(LedgerScratch.Calls(2, 2)));
            layer.Fault = "";
            Assert.Throws<LedgerPoisonedException>(() => log.Append(LedgerScratch.Calls(2, 2)));
            Assert.Throws<LedgerPoisonedException>(log.Publish);
            Assert.Throws<LedgerPoisonedException>(() => log.Close());
            Assert.Equal(3, log.Head.Size);
        }

        using var again = scratch.Open(out var recovery);
        Assert.False(recovery.Clean);
        Assert.Equal(2, again.Epoch);
        again.Close();
        Assert.True(scratch.Verify(scratch.KeepHead()).ExitCode is 0);
    }

    [Fact]
    public void Memory_that_changes_between_encoding_and_signing_is_never_signed()
    {
        using var scratch = new LedgerScratch();
        using var log = scratch.Open();
        log.BeforeSigning = writer => writer.Raw[100] ^= 4;
        long before = new FileInfo(scratch.Segments[0]).Length;
        Assert.Throws<LedgerPoisonedException>(() => log.Append(LedgerScratch.Calls(0, 2)));
        Assert.Equal(before, new FileInfo(scratch.Segments[0]).Length);
    }

    [Fact]
    public void Segments_roll_at_group_bounds_and_sealed_ones_are_read_only()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open(segmentBytes: 3000))
        {
            for (int i = 0; i < 8; i++)
            {
                log.Append(LedgerScratch.Calls(i * 2, 2));
            }

            log.Close();
        }

        Assert.True(scratch.Segments.Length > 3);
        foreach (string sealedSegment in scratch.Segments[..^1])
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead, File.GetUnixFileMode(sealedSegment));
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(scratch.Segments[^1]));
        foreach (string key in Directory.GetFiles(scratch.Keys))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));
        }

        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
        using var again = scratch.Open(segmentBytes: 3000);
        again.Append(LedgerScratch.Calls(16, 2));
        again.Close();
        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
    }

    [Fact]
    public void A_full_epoch_rotates_before_the_group_that_would_overflow_it()
    {
        using var scratch = new LedgerScratch();
        using (var log = LedgerLog.Open(scratch.Options(epochEntries: 10), null, null, scratch.Clock, out _))
        {
            for (int i = 0; i < 12; i++)
            {
                log.Append(LedgerScratch.Calls(i * 3, 3));
            }

            Assert.True(log.Epoch > 3);
            scratch.Clock.MonotonicMillis += 25L * 60 * 60 * 1000;
            int before = log.Epoch;
            log.Append(LedgerScratch.Calls(100, 1));
            Assert.Equal(before + 1, log.Epoch);
            log.Close();
        }

        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
    }

    [Fact]
    public void Rolled_back_states_are_refused_and_nothing_is_touched()
    {
        using var scratch = new LedgerScratch();
        LedgerHead head;
        long boundary;
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            boundary = new FileInfo(scratch.Segments[0]).Length;
            log.Append(LedgerScratch.Calls(2, 2));
            head = log.Head;
            log.Close();
        }

        // Another store knows more, or something else.
        Assert.Throws<LedgerStateException>(() => scratch.Open(null, new LedgerHead(head.Size + 1, head.Root)));
        Assert.Throws<LedgerStateException>(() => scratch.Open(null, new LedgerHead(head.Size, new byte[32])));
        Assert.Throws<LedgerStateException>(() => scratch.Open(null, new LedgerHead(head.Size - 1, head.Root)));

        // Cut at a group boundary: acknowledged entries are gone, the head store knows.
        using (var file = new FileStream(scratch.Segments[0], FileMode.Open))
        {
            file.SetLength(boundary);
        }

        var before = scratch.Picture();
        Assert.Contains("ROLLED-BACK", Assert.Throws<LedgerStateException>(() => scratch.Open()).Message);
        Assert.Equal(before, scratch.Picture());
        Assert.Equal(30, scratch.Verify().ExitCode);
    }

    [Fact]
    public void A_born_ledger_never_begins_again()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.Close();
        }

        Directory.Move(scratch.Ledger, scratch.Ledger + ".away");
        Assert.Throws<LedgerStateException>(() => scratch.Open());
        Directory.Move(scratch.Ledger + ".away", scratch.Ledger);
        string identity = Path.Combine(scratch.Keys, "ledger-identity.key");
        File.Move(identity, identity + ".away");
        Assert.Throws<LedgerStateException>(() => scratch.Open());
        File.Move(identity + ".away", identity);
        using var back = scratch.Open(out var recovery);
        Assert.True(recovery.Clean);
    }

    [Fact]
    public void A_crash_at_any_step_of_birth_is_finished_by_the_next_start()
    {
        using var whole = new LedgerScratch();
        using (var log = whole.Open())
        {
            log.Close();
        }

        string[] made = ["ledger-identity.new", "ledger-epoch-1.key", "segment", "checkpoints", "genesis.note", "head.a", "ledger-identity.key"];
        for (int done = 1; done <= made.Length; done++)
        {
            using var scratch = new LedgerScratch();
            Directory.CreateDirectory(scratch.Keys);
            Directory.CreateDirectory(Path.Combine(scratch.Ledger, "checkpoints"));
            foreach (string step in made[..done])
            {
                string relative = step switch
                {
                    "segment" => "ledger/" + LedgerFormat.SegmentName(0),
                    "checkpoints" => "ledger/checkpoints/" + LedgerFormat.PublishedName(1),
                    "ledger-identity.new" => "keys/ledger-identity.key",
                    _ when step.StartsWith("ledger-", StringComparison.Ordinal) => "keys/" + step,
                    _ => "ledger/" + step,
                };
                string target = step == "ledger-identity.new" ? "keys/ledger-identity.new" : relative;
                File.Copy(Path.Combine(whole.Data, relative), Path.Combine(scratch.Data, target));
            }

            using (var log = scratch.Open())
            {
                log.Append(LedgerScratch.Calls(0, 2));
                log.Close();
            }

            Assert.False(File.Exists(Path.Combine(scratch.Keys, "ledger-identity.new")));
            Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_crash_inside_a_rotation_is_finished_by_the_next_start(int step)
    {
        using var scratch = new LedgerScratch();
        string oldKey = Path.Combine(scratch.Keys, "ledger-epoch-1.key"), kept;
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.Publish();
            kept = File.ReadAllText(oldKey);
            if (step == 2)
            {
                log.Rotate("operator");
            }
        }

        File.WriteAllText(oldKey, kept); // as if step 3 had not come
        if (step == 1)
        {
            File.WriteAllText(Path.Combine(scratch.Keys, "ledger-epoch-2.key"), kept); // made, never used
        }

        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(2, 2));
            Assert.Equal(step == 1 ? 1 : 3, log.Epoch);
            log.Close();
        }

        Assert.Equal(2, Directory.GetFiles(scratch.Keys).Length);
        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
    }

    [Fact]
    public void Ids_and_entries_are_found_again()
    {
        using var scratch = new LedgerScratch();
        using var log = scratch.Open(segmentBytes: 20_000);
        for (int i = 0; i < 30; i++)
        {
            log.Append(LedgerScratch.Calls(i * 7, 7));
        }

        Assert.Equal(Enumerable.Range(0, 210).Select(i => $"call-{i}").Order(), log.IdsSince(1).Order());
        Assert.Equal(["call-208", "call-209"], log.IdsSince(209).Order());
        for (long from = 0; from < log.Head.Size; from++)
        {
            var line = LedgerReader.Read(scratch.Ledger, from, 1, log.Head.Size).Single();
            Assert.Equal(from, line.Seq);
            Assert.Contains($"\"seq\":{from},", Encoding.UTF8.GetString(line.Json.Span));
        }

        Assert.Empty(LedgerReader.Read(scratch.Ledger, log.Head.Size, 5, log.Head.Size));
        foreach (long seq in (long[])[0, 1, 100, 210])
        {
            var proof = LedgerReader.Prove(scratch.Ledger, seq, log.Head.Size);
            Assert.True(Merkle.VerifyInclusion(seq, proof.Size, proof.LeafHash, proof.Path, log.Head.Root));
            Assert.Contains(Convert.ToBase64String(log.Head.Root), proof.Checkpoint);
        }

        log.Close();
    }
}

/// <summary>Counts and breaks the three calls on the active segment.</summary>
internal sealed class CountingLayer
{
    public int Writes, Syncs;
    public string Fault = "";

    public ISegmentFile Wrap(DurableFile file) => new Layer(this, file);

    private sealed class Layer(CountingLayer owner, DurableFile file) : ISegmentFile
    {
        private readonly DurableSegment inner = new(file);

        public void WriteAt(long offset, ReadOnlySpan<byte> bytes)
        {
            owner.Writes++;
            if (owner.Fault == "write")
            {
                inner.WriteAt(offset, bytes[..(bytes.Length / 2)]);
                throw new PosixException("write", file.Path, 28);
            }

            inner.WriteAt(offset, bytes);
        }

        public void SyncData()
        {
            owner.Syncs++;
            if (owner.Fault == "sync")
            {
                throw new PosixException("fdatasync", file.Path, 30);
            }

            inner.SyncData();
        }

        public void Seal() => inner.Seal();

        public void Dispose() => inner.Dispose();
    }
}
