using System.Diagnostics;
using System.Globalization;
using Evident.Platform;
using Evident.Store;
using Evident.Vault;

namespace Evident.Benchmarks;

/// <summary>What one look at a payload of 64 KB costs, its durable ledger entry included (bar: 5 ms), in a vault with many other payloads.</summary>
internal static class ReadFigures
{
    private const int Rounds = 60;

    public static void Print(long others, string? directory)
    {
        string root = Path.Combine(directory ?? Path.GetTempPath(), "evident-read-" + Guid.NewGuid().ToString("N"));
        try
        {
            string first = Fill(root, others, out string last);
            using var store = EvidentStore.Open(new StoreOptions { DataDirectory = root }, SystemClock.Instance, static (_, _) => { });
            Measure.Title(string.Create(CultureInfo.InvariantCulture, $"reads of 64 KB in a vault of {others:N0} other payloads"));
            Line("the newest one, median", store, last);
            Line("the oldest one, median", store, first);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static void Line(string what, EvidentStore store, string reference)
    {
        var times = new List<double>();
        for (int i = 0; i < Rounds; i++)
        {
            long start = Stopwatch.GetTimestamp();
            _ = store.ReadPayloadAsync(reference, "benchmark", new Actor("1000", "uid"), default).GetAwaiter().GetResult();
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what,-40} {Measure.Median(times) / 1000,10:F2} ms"));
    }

    private static string Fill(string root, long others, out string last)
    {
        using var vault = VaultStore.Open(new VaultOptions { Directory = Path.Combine(root, "vault"), KeysDirectory = Path.Combine(root, "keys") }, SystemClock.Instance);
        var scope = vault.ResolveScope("default", "acme"u8);
        byte[] large = new byte[64 << 10], small = new byte[100], reference = new byte[SealedBatch.RefLength], commitment = new byte[32];
        new Random(1).NextBytes(large);
        string first = "";
        for (long made = -1; made <= others;)
        {
            using var batch = vault.NewBatch();
            for (int i = 0; i < 4_096 && made <= others; i++, made++)
            {
                bool own = made == -1 || made == others;
                batch.Seal(scope, "tool.args", keepLong: false, own ? large : small, reference, commitment);
                first = made == -1 ? System.Text.Encoding.ASCII.GetString(reference) : first;
            }

            vault.Append(batch.Records);
            vault.Sync();
        }

        last = System.Text.Encoding.ASCII.GetString(reference);
        return first;
    }
}
