using System.Diagnostics;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Benchmarks;

/// <summary>
/// Group commit against its raw parts of the same run: one write and fdatasync of as many bytes in a file beside the ledger, SHA-256 and
/// LJ-1 encoding of the entries, one signature. Raw syncs and commits take turns, so that both see the same disk; medians are compared.
/// </summary>
internal static class CommitFigures
{
    public static void Print(string? directory)
    {
        foreach (int group in (int[])[1, 16, 256])
        {
            Print(directory, group, commits: group == 256 ? 200 : 400);
        }
    }

    private static void Print(string? directory, int group, int commits)
    {
        Measure.Title($"group commit: {group} tool calls a group");
        using var ledger = new SampleLedger(directory, 1L << 30);
        using var log = ledger.Open();
        using var raw = DurableFile.CreateNew(Path.Combine(ledger.Data, "raw"));
        using var seed = SecretBytes.Random(32);
        using var key = new SigningKey("benchmark", seed);
        var writer = new GroupWriter();
        var place = new GroupWriter.Place(log.Origin, "00000000", 1, 1, 1);
        byte[] previous = new byte[32], digest = new byte[32], note = new byte[150];
        var drafts = SampleLedger.Calls(0, group);

        double Encode() => Measure.BestMicros(200, () =>
        {
            writer.Clear();
            foreach (var draft in drafts)
            {
                writer.Add(draft, place, 1_000, draft.Scope is null ? -1 : 7, previous);
            }
        });
        double encodeAndHash = Encode();
        byte[] bytes = writer.Bytes.ToArray();
        double hash = Measure.BestMicros(200, () =>
        {
            for (int at = 0; at < bytes.Length;)
            {
                int length = bytes.AsSpan(at).IndexOf((byte)'\n');
                Sha256.Hash(bytes.AsSpan(at, length), digest);
                at += length + 1;
            }
        });
        double encode = Math.Max(0, encodeAndHash - hash);
        double sign = Measure.BestMicros(200, () => key.Sign(note));

        var syncs = new List<double>();
        var times = new List<double>();
        long offset = 0;
        double cpu = 0, drafted = 0;
        for (int i = 0; i < commits; i++)
        {
            long start = Stopwatch.GetTimestamp();
            raw.WriteAt(offset, bytes);
            raw.SyncData();
            syncs.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            offset += bytes.Length;

            long from = (long)i * group;
            drafted += Measure.Once(() => drafts = SampleLedger.Calls(from, group)).CpuMicros;
            var (wall, used) = Measure.Once(() => log.Append(drafts));
            times.Add(wall);
            cpu += used;
        }

        double sync = Measure.Median(syncs), commit = Measure.Median(times);
        Measure.Line("raw write + fdatasync of the same bytes, median", sync, "us");
        Measure.Line("raw SHA-256 of its entries", hash, "us");
        Measure.Line("LJ-1 encoding of its entries", encode, "us");
        Measure.Line("one signature", sign, "us");
        Measure.Bar("commit, median, us", commit, sync + (2 * (hash + encode + sign)), atMost: true);
        Measure.Line("processor time of the append, its sync included", cpu / commits / group, "us/entry");
        Measure.Line("processor time of making the drafts, schema checked", drafted / commits / group, "us/entry");
        if (group == 256)
        {
            Measure.Bar("processor time per entry, drafts and append", (cpu + drafted) / commits / group, 12, atMost: true);
        }
    }
}
