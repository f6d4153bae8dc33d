using System.Diagnostics;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Benchmarks;

/// <summary>
/// Group commit against its raw parts of the same run: one write and fdatasync of as many bytes in a file beside the ledger, SHA-256 and
/// LJ-1 encoding of the entries, one signature. All of them take turns, so that they see the same disk and the same
/// neighbours; medians are compared.
/// </summary>
internal static class CommitFigures
{
    private const int Warmup = 20;

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

        byte[] bytes = [];
        List<double> syncs = [], hashes = [], encodings = [], signatures = [], times = [];
        long offset = 0;
        double cpu = 0, drafted = 0;
        for (int i = -Warmup; i < commits; i++)
        {
            long from = (long)(i + Warmup) * group;
            var (_, made) = Measure.Once(() => drafts = SampleLedger.Calls(from, group));
            double encodeAndHash = Measure.Once(() =>
            {
                writer.Clear();
                foreach (var draft in drafts)
                {
                    writer.Add(draft, place, 1_000, draft.Scope is null ? -1 : 7, previous);
                }
            }).WallMicros;
            bytes = writer.Bytes.ToArray();
            double hash1 = Measure.Once(() =>
            {
                for (int at = 0; at < bytes.Length;)
                {
                    int length = bytes.AsSpan(at).IndexOf((byte)'\n');
                    Sha256.Hash(bytes.AsSpan(at, length), digest);
                    at += length + 1;
                }
            }).WallMicros;
            double sign1 = Measure.Once(() => key.Sign(note)).WallMicros;
            double sync1 = Measure.Once(() =>
            {
                raw.WriteAt(offset, bytes);
                raw.SyncData();
            }).WallMicros;
            offset += bytes.Length;
            var (wall, used) = Measure.Once(() => log.Append(drafts));
            if (i >= 0)
            {
                syncs.Add(sync1);
                hashes.Add(hash1);
                encodings.Add(Math.Max(0, encodeAndHash - hash1));
                signatures.Add(sign1);
                times.Add(wall);
                cpu += used;
                drafted += made;
            }
        }

        double hash = Measure.Median(hashes), encode = Measure.Median(encodings), sign = Measure.Median(signatures);
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
