using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>T27: an old copy is refused; it goes on only after an operator has accepted the loss, and the ledger says so.</summary>
public class IncarnationTests
{
    private static void Act(Lj1ObjectBuilder entry) => entry.Set("actor", a => a.Set("kind", "uid").Set("id", "0").Set("identity_source", "uid"));

    /// <summary>Ledger of 3 entries kept as a copy, then grown; the copy is put back with or without the newest head beside it.</summary>
    private static (LedgerLoss? Loss, LedgerHead Lost, string OldHead, string LostHead) Restore(LedgerScratch scratch, bool withHeads, bool keepCheckpoints, int rotations = 0)
    {
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.Close();
        }

        string copy = scratch.Data + ".copy";
        Copy(scratch.Ledger, copy);
        string oldHead = scratch.KeepHead("old.note");
        LedgerHead lost;
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(2, 4));
            for (int i = 0; i < rotations; i++)
            {
                log.Rotate("operator");
            }

            log.Close();
            lost = log.Head;
        }

        string lostHead = scratch.KeepHead("lost.note");
        string aside = scratch.Data + ".aside";
        Directory.Move(scratch.Ledger, aside);
        Directory.Move(copy, scratch.Ledger);
        if (withHeads)
        {
            File.Copy(Path.Combine(aside, "head.a"), Path.Combine(scratch.Ledger, "head.a"), overwrite: true);
            File.Copy(Path.Combine(aside, "head.b"), Path.Combine(scratch.Ledger, "head.b"), overwrite: true);
        }

        if (keepCheckpoints)
        {
            foreach (string note in Directory.GetFiles(Path.Combine(aside, "checkpoints")))
            {
                File.Copy(note, Path.Combine(scratch.Ledger, "checkpoints", Path.GetFileName(note)), overwrite: true);
            }
        }

        Directory.Delete(aside, recursive: true);
        return (null, lost, oldHead, lostHead);
    }

    private static void Copy(string from, string to)
    {
        foreach (string directory in Directory.GetDirectories(from, "*", SearchOption.AllDirectories).Prepend(from))
        {
            Directory.CreateDirectory(to + directory[from.Length..]);
            foreach (string file in Directory.GetFiles(directory))
            {
                File.Copy(file, to + file[from.Length..]);
            }
        }
    }

    [Theory]
    [InlineData(true, true, 0)]
    [InlineData(true, true, 0, -3_600_000L)] // restored by a machine whose clock is an hour behind
    [InlineData(true, true, 3, -3_600_000L)]
    [InlineData(true, false, 0)]
    [InlineData(false, true, 0)]
    [InlineData(false, false, 0)] // only another store knows
    [InlineData(true, true, 3)] // and the key of the found epoch was destroyed long ago
    public void An_old_copy_is_refused_until_the_loss_is_accepted(bool withHeads, bool keepCheckpoints, int rotations, long clock = 0)
    {
        using var scratch = new LedgerScratch();
        var (_, lost, oldHead, lostHead) = Restore(scratch, withHeads, keepCheckpoints, rotations);
        var before = scratch.Picture();
        Assert.Contains("ROLLED-BACK", Assert.Throws<LedgerStateException>(() => scratch.Open(floor: lost)).Message);
        Assert.Equal(before, scratch.Picture());

        var loss = LedgerIncarnation.Survey(scratch.Options(), lost);
        Assert.Equal(before, scratch.Picture());
        Assert.Equal((3, lost.Size), (loss.Found.Size, loss.Lost.Size));
        Assert.Equal(lost.Root, loss.Lost.Root);
        bool forgotten = false;
        scratch.Clock.UnixMillis += clock;
        int told = clock != 0 && rotations == 0 ? 1 : 0; // ledger.clock, before the rotation
        var head = LedgerIncarnation.Accept(scratch.Options(), loss, lost, scratch.Clock, () => forgotten = true, Act);
        Assert.True(forgotten);
        Assert.Equal(5 + told, head.Size);

        string[] types = [.. LedgerReader.Read(scratch.Ledger, 3 + told, 2, head.Size).Select(l => Encoding.UTF8.GetString(l.Json.Span))];
        Assert.Contains(rotations > 0 ? "\"reason\":\"key_lost\"" : "\"reason\":\"operator\"", types[0]);
        Assert.Contains(told == 0 ? $"\"found\":{{\"root\":\"{LedgerFormat.HashText(loss.Found.Root)}\",\"size\":3}}" : "\"size\":4}", types[1]);
        Assert.Contains($"\"lost\":{{\"root\":\"{LedgerFormat.HashText(lost.Root)}\",\"size\":{lost.Size}}},\"number\":1", types[1]);
        Assert.Equal(2, Directory.GetFiles(scratch.Keys).Length);
        Assert.Equal(10, scratch.Verify().ExitCode);
        Assert.Equal(12, scratch.Verify(oldHead).ExitCode); // anchored, and the loss after the anchor is told
        Assert.Contains(scratch.Verify(lostHead).ExitCode, new[] { 30, 31 }); // what was lost stays lost, whoever accepted it
        Assert.Equal(0, scratch.Verify(scratch.KeepHead("new.note")).ExitCode);

        using var log = scratch.Open(out var recovery);
        Assert.True(recovery.Clean);
        log.Append(LedgerScratch.Calls(10, 3));
        log.Close();
        Assert.Equal(10, scratch.Verify().ExitCode);
        Assert.Throws<LedgerStateException>(() => LedgerIncarnation.Survey(scratch.Options(), null));
    }

    [Fact]
    public void Another_history_in_the_ledgers_place_is_accepted_the_same_way()
    {
        using var scratch = new LedgerScratch();
        var (_, lost, _, _) = Restore(scratch, withHeads: false, keepCheckpoints: false);
        using (var log = scratch.Open()) // goes on from the copy, where nobody remembers: as large as the lost one in the end
        {
            log.Append(LedgerScratch.Calls(20, (int)(lost.Size - log.Head.Size)));
            log.Close();
        }

        Assert.Contains("FORKED", Assert.Throws<LedgerStateException>(() => scratch.Open(floor: lost)).Message);
        var loss = LedgerIncarnation.Survey(scratch.Options(), lost);
        Assert.Equal(lost.Size, loss.Found.Size);
        LedgerIncarnation.Accept(scratch.Options(), loss, lost, scratch.Clock, () => { }, Act);
        Assert.Equal(10, scratch.Verify().ExitCode);
    }

    [Fact]
    public void Nothing_lost_and_damage_are_no_loss_to_accept()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 4));
            log.Close();
        }

        Assert.Contains("nothing is lost", Assert.Throws<LedgerStateException>(() => LedgerIncarnation.Survey(scratch.Options(), null)).Message);
        byte[] bytes = File.ReadAllBytes(scratch.Segments[0]);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(scratch.Segments[0], bytes);
        Assert.Throws<LedgerStateException>(() => LedgerIncarnation.Survey(scratch.Options(), new LedgerHead(100, new byte[32])));
    }

    /// <summary>Every state that a crash inside the acceptance can leave: a start refuses, the acceptance can be repeated, and one incarnation is told.</summary>
    [Theory]
    [InlineData("pending")]
    [InlineData("moved")]
    [InlineData("forgotten")]
    [InlineData("rotated")]
    [InlineData("appended")]
    public void A_crash_inside_the_acceptance_is_finished_by_repeating_it(string crash)
    {
        using var scratch = new LedgerScratch();
        var (_, lost, oldHead, _) = Restore(scratch, withHeads: true, keepCheckpoints: true);
        var loss = LedgerIncarnation.Survey(scratch.Options(), lost);
        var layer = new CountingLayer();
        LedgerHead? floor = lost;
        try
        {
            void Forget()
            {
                if (crash is "pending" or "moved")
                {
                    throw new IOException("crash");
                }

                floor = null;
                layer.Fault = crash == "forgotten" ? "sync" : ""; // before anything is appended
            }

            var options = scratch.Options(wrap: layer.Wrap);
            LedgerIncarnation.Accept(options, loss, lost, scratch.Clock, Forget, b =>
            {
                Act(b);
                if (crash == "rotated")
                {
                    throw new IOException("crash");
                }
            });
        }
        catch (Exception e) when (e is IOException or LedgerPoisonedException)
        {
            Assert.NotEqual("appended", crash);
        }

        string pending = Path.Combine(scratch.Ledger, "incarnation.pending");
        if (crash == "pending")
        {
            foreach (string note in Directory.GetFiles(Path.Combine(scratch.Ledger, "quarantine"), "*.note"))
            {
                File.Move(note, Path.Combine(scratch.Ledger, "checkpoints", Path.GetFileName(note)[..20] + ".note"), overwrite: true);
            }
        }
        else if (crash == "appended")
        {
            // The entry is durable, its publication is not: the notes of the new head are gone again.
            File.WriteAllText(pending, $"evident incarnation pending v1\n{lost.Size}\n{LedgerFormat.HashText(lost.Root)}\n");
            foreach (string head in (string[])["head.a", "head.b", "checkpoints/" + LedgerFormat.PublishedName(5)])
            {
                File.Delete(Path.Combine(scratch.Ledger, head));
            }
        }

        Assert.True(File.Exists(pending));
        Assert.Contains("accept-incarnation", Assert.Throws<LedgerStateException>(() => scratch.Open(floor: floor)).Message);

        var again = LedgerIncarnation.Survey(scratch.Options(), floor);
        Assert.Equal(lost.Size, again.Lost.Size);
        LedgerIncarnation.Accept(scratch.Options(), again, floor, scratch.Clock, () => { }, Act);
        using (var log = scratch.Open())
        {
            string all = string.Concat(LedgerReader.Read(scratch.Ledger, 0, 100, log.Head.Size).Select(l => Encoding.UTF8.GetString(l.Json.Span)));
            Assert.Equal(2, all.Split("\"type\":\"ledger.incarnation\"").Length);
            log.Close();
        }

        Assert.Equal(12, scratch.Verify(oldHead).ExitCode);
        Assert.Equal(0, scratch.Verify(scratch.KeepHead("new.note")).ExitCode);
    }

    [Fact]
    public void A_torn_tail_beside_a_loss_is_quarantined_and_told_too()
    {
        using var scratch = new LedgerScratch();
        var (_, lost, _, _) = Restore(scratch, withHeads: true, keepCheckpoints: true);
        using (var file = new FileStream(scratch.Segments[^1], FileMode.Append))
        {
            file.Write("{\"action\":{"u8);
        }

        LedgerIncarnation.Accept(scratch.Options(), LedgerIncarnation.Survey(scratch.Options(), lost), lost, scratch.Clock, () => { }, Act);
        Assert.Single(Directory.GetFiles(Path.Combine(scratch.Ledger, "quarantine"), "*.torn"));
        Assert.Equal(10, scratch.Verify().ExitCode);
        using var log = scratch.Open(out var recovery);
        Assert.True(recovery.Clean);
    }
}
