using Evident.Ledger;
using Evident.Tests.Ledger;

namespace Evident.Tests.Differential;

/// <summary>The ledgers that the differential test starts from, as the appliance writes them, each with the heads that an auditor kept on the way.</summary>
internal static class BaseLedgers
{
    private static readonly string One = new('a', 32), Two = new('b', 32);

    public sealed record Base(string Name, LedgerCase Case, List<byte[]> Kept);

    public static List<Base> Make() =>
    [
        Write("genesis", 1 << 20, static (_, _) => { }),
        Write("compact", 3200, static (log, _) =>
        {
            log.Append([LedgerScratch.Short(1), LedgerScratch.Short(2)]);
            log.Rotate("operator");
            log.Append([LedgerScratch.Call(3, One)]);
            log.Append([LedgerScratch.Short(4), LedgerScratch.Call(5, One), LedgerScratch.Short(6)]);
        }),
        Write("day", 6000, static (log, scratch) => Day(log, scratch)),
        Write("unpublished", 1 << 20, static (log, scratch) =>
        {
            Day(log, scratch);
            log.Publish();
            log.Append([LedgerScratch.Short(90)]);
            log.Append([LedgerScratch.Short(91), LedgerScratch.Short(92)]);
        }, close: false),
        Recovered(),
        KeyLost(),
        Incarnation(),
    ];

    /// <summary>Heartbeats, clock entries, scopes, counted records, seals, two rotations, published sizes.</summary>
    private static void Day(LedgerLog log, LedgerScratch scratch)
    {
        Heartbeat(log, "started");
        Pass(scratch, 1000);
        log.Append([LedgerScratch.Call(0, One), LedgerScratch.Call(1, Two), LedgerScratch.Short(2)]);
        log.Publish();
        scratch.Clock.UnixMillis -= 3_600_000;
        log.Append([LedgerScratch.Call(2, One)]);
        Pass(scratch, 250_000);
        Heartbeat(log, "running");
        log.Rotate("operator");
        log.Append([LedgerScratch.Short(3), LedgerScratch.Call(3, Two)]);
        Seal(log, 0, 12);
        log.Publish();
        log.Append([LedgerScratch.Short(4)]);
        log.Rotate("operator");
        Seal(log, 12, 3);
        log.Append([LedgerScratch.Call(4, One), LedgerScratch.Short(5)]);
        Pass(scratch, 200_000);
        Heartbeat(log, "stopping");
    }

    private static void Pass(LedgerScratch scratch, long millis)
    {
        scratch.Clock.UnixMillis += millis;
        scratch.Clock.MonotonicMillis += millis;
    }

    private static void Heartbeat(LedgerLog log, string state) =>
        log.AppendOwn("ledger.heartbeat", b => b.Set("heartbeat", h => h.Set("state", state).Set("interval_ms", 300_000)));

    private static void Seal(LedgerLog log, long first, long spans) => log.AppendOwn("ledger.traces", b => b.Set("traces", t => t
        .Set("root", "sha256:" + new string('5', 64)).Set("first", first).Set("spans", spans).Set("partition", "2026-05-06")));

    private static Base Write(string name, long segmentBytes, Action<LedgerLog, LedgerScratch> story, bool close = true)
    {
        using var scratch = new LedgerScratch();
        var kept = new List<byte[]>();
        using (var log = LedgerLog.Open(scratch.Options(segmentBytes, epochEntries: 12), null, null, scratch.Clock, out _))
        {
            story(log, scratch);
            if (close)
            {
                log.Close();
            }
        }

        return Take(name, scratch, kept);
    }

    private static Base Take(string name, LedgerScratch scratch, List<byte[]> kept)
    {
        var read = LedgerCase.Read(scratch.Data, "ledger");
        kept.AddRange(read.Notes().Where(n => n.StartsWith("ledger/checkpoints/", StringComparison.Ordinal)).Select(n => read.Files[n]!));
        return new Base(name, read, kept);
    }

    /// <summary>A stop in the middle of a group, and the next start.</summary>
    private static Base Recovered()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open(segmentBytes: 5000))
        {
            Heartbeat(log, "started");
            log.Append([LedgerScratch.Call(0, One), LedgerScratch.Short(1)]);
            log.Publish();
            log.Append([LedgerScratch.Short(2), LedgerScratch.Short(3)]);
        }

        string segment = scratch.Segments[^1];
        byte[] bytes = File.ReadAllBytes(segment);
        File.WriteAllBytes(segment, bytes[..^300]);
        using (var log = scratch.Open(segmentBytes: 5000))
        {
            Heartbeat(log, "started");
            log.Append([LedgerScratch.Call(1, One)]);
            log.Close();
        }

        return Take("recovered", scratch, []);
    }

    private static Base KeyLost()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.Publish();
            log.Append([LedgerScratch.Short(2)]);
            log.Close();
        }

        File.Delete(Path.Combine(scratch.Keys, "ledger-epoch-1.key"));
        using (var log = scratch.Open())
        {
            log.Append([LedgerScratch.Short(3), LedgerScratch.Short(4)]);
            log.Close();
        }

        return Take("key lost", scratch, []);
    }

    /// <summary>An old copy was restored, the loss was accepted, and it went on; the lost head is among those that were kept.</summary>
    private static Base Incarnation()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 2));
            log.Close();
        }

        var old = LedgerCase.Read(scratch.Data, "ledger");
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(2, 2));
            log.Close();
        }

        var lost = LedgerCase.Read(scratch.Data, "ledger");
        Directory.Delete(scratch.Ledger, recursive: true);
        foreach (var (name, content) in old.Files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(scratch.Data, name))!);
            File.WriteAllBytes(Path.Combine(scratch.Data, name), content!);
        }

        Directory.CreateDirectory(Path.Combine(scratch.Ledger, "anchors"));
        Directory.CreateDirectory(Path.Combine(scratch.Ledger, "quarantine"));
        byte[] lostNote = lost.Files["ledger/checkpoints/" + LedgerFormat.PublishedName(5)]!;
        Assert.True(SignedNote.TryParse(lostNote, out var note, out _));
        Assert.True(Checkpoint.TryParse(note.Text, out var head));
        var floor = new LedgerHead(head.Size, head.Root);
        var loss = LedgerIncarnation.Survey(scratch.Options(), floor);
        LedgerIncarnation.Accept(scratch.Options(), loss, floor, scratch.Clock, static () => { }, b => b.Set("actor", a => a.Set("kind", "uid").Set("id", "0")));
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(4, 2));
            log.Close();
        }

        return Take("incarnation", scratch, [lostNote]);
    }
}
