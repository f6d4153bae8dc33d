using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Evident.Platform;
using Evident.Store;
using Evident.Vault;

namespace Evident.Benchmarks;

/// <summary>What ending a day of payloads costs (bar: 1 s for a million): finding them, the root over their references for the receipt, the generation without their keys, the packs.</summary>
internal static class ExpiryFigures
{
    private sealed class Clock : IClock
    {
        public long UnixMillis { get; set; } = 1_795_240_800_000;

        public long MonotonicMillis => UnixMillis;

        public string BootId => "00000001";
    }

    public static void Print(long payloads, string? directory)
    {
        string root = Path.Combine(directory ?? Path.GetTempPath(), "evident-expiry-" + Guid.NewGuid().ToString("N"));
        var clock = new Clock();
        try
        {
            using var vault = VaultStore.Open(new VaultOptions { Directory = Path.Combine(root, "vault"), KeysDirectory = Path.Combine(root, "keys") }, clock);
            var scope = vault.ResolveScope("default", "acme"u8);
            byte[] payload = new byte[100], reference = new byte[SealedBatch.RefLength], commitment = new byte[32];
            for (long made = 0; made < payloads;)
            {
                using var batch = vault.NewBatch();
                for (int i = 0; i < 4_096 && made < payloads; i++, made++)
                {
                    BinaryPrimitives.WriteInt64BigEndian(payload, made);
                    batch.Seal(scope, "tool.args", keepLong: false, payload, reference, commitment);
                }

                vault.Append(batch.Records);
                vault.Sync();
            }

            clock.UnixMillis += 3 * 86_400_000L;
            var shredding = new VaultShredding(vault);
            Measure.Title(string.Create(CultureInfo.InvariantCulture, $"expiry of {payloads:N0} payloads"));
            long start = Stopwatch.GetTimestamp();
            var over = shredding.Packs();
            var references = new ReferenceList();
            foreach (var pack in over)
            {
                shredding.ReadWraps(pack, (one, _, offset, _) => references.Add(one, offset));
            }

            Line("reading their wraps", start);
            start = Stopwatch.GetTimestamp();
            references.Sort();
            _ = references.Root();
            Line("root over their references", start);
            start = Stopwatch.GetTimestamp();
            var names = new List<string>();
            foreach (var pack in over)
            {
                names.Add(pack.Name);
            }

            shredding.Expire(VaultShredding.DayOf(clock.UnixMillis), names);
            Line("keys destroyed, packs removed", start);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static void Line(string what, long start) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what,-40} {Stopwatch.GetElapsedTime(start).TotalMilliseconds,10:F0} ms"));
}
