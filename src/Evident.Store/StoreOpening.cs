using System.Globalization;
using System.Text.Json;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>What a start finds in a data directory before there is a store: where its parts lie, what of them is sound, and what they remember.</summary>
internal static class StoreOpening
{
    private const int ApprovalDays = 32; // partitions whose approvals are taken back at the start
    private const int SettledApprovals = 2_048; // executed ones and lone calls taken back from each of the two newest

    public static LedgerOptions OfLedger(StoreOptions options) => new() { Directory = LedgerPath(options), KeysDirectory = Path.Combine(options.DataDirectory, "keys") };

    public static VaultStore OpenVault(StoreOptions options, IClock clock, bool hasTraces) => VaultStore.Open(
        new VaultOptions
        {
            Directory = Path.Combine(options.DataDirectory, "vault"), KeysDirectory = Path.Combine(options.DataDirectory, "keys"), ShortDays = options.VaultShortDays,
            LongDays = options.VaultLongDays, MaxScopes = options.MaxScopes, Passphrase = options.Passphrase, MasterCredential = options.MasterCredential,
            KeystoreFloor = hasTraces ? 1 : 0, // the first partition is made after the first keystore: a vault without one has been lost
        },
        clock);

    public static string LedgerPath(StoreOptions options) => Path.Combine(options.DataDirectory, "ledger");

    public static long LedgerBytes(StoreOptions options) => Directory.Exists(LedgerPath(options))
        ? Directory.EnumerateFiles(LedgerPath(options), "*" + LedgerFormat.SegmentSuffix).Sum(file => new FileInfo(file).Length)
        : 0;

    // What is to be written to must be sound. A damaged file is kept under another name for whoever wants to salvage it.
    public static void SetDamagedAside(string traces, string today, IClock clock, Action<string, Exception?> log)
    {
        string path = Path.Combine(traces, today + ".db");
        if (!File.Exists(path))
        {
            return;
        }

        try
        {
            using var reader = new PartitionReader(path);
            _ = reader.Head;
        }
        catch (Exception damage) when (PartitionFile.IsDamage(damage) && damage is not StoreException)
        {
            string aside = string.Create(CultureInfo.InvariantCulture, $"{path}.damaged-{clock.UnixMillis}");
            foreach (string suffix in (ReadOnlySpan<string>)["-wal", "-shm", ""])
            {
                if (File.Exists(path + suffix))
                {
                    File.Move(path + suffix, aside + suffix);
                }
            }

            DurableDirectory.Sync(traces);
            log($"the partition of today cannot be read and was set aside as '{Path.GetFileName(aside)}'; what it holds is not shown: {damage.Message}", damage);
        }
    }

    // The newest partition that can be read says how far the ledger was durable: a ledger below that was rolled back.
    public static (LedgerHead? Floor, LedgerResume? Hint) Remembered(PartitionSet partitions, Action<string, Exception?> log)
    {
        LedgerHead? floor = null;
        LedgerResume? hint = null;
        for (int i = partitions.Files.Count - 1; i >= 0 && floor is null; i--)
        {
            partitions.Files[i].TryRead(
                reader =>
                {
                    floor = reader.Head;
                    hint = reader.Resume;
                },
                log);
        }

        return (floor, hint?.Size == floor?.Size ? hint : null);
    }

    // Every open approval of the last days, and of the rest what was touched last. A newer file's word on an approval stands against an older one's.
    public static ApprovalBook OpenApprovals(StoreOptions options, PartitionSet partitions, Action<string, Exception?> log)
    {
        var found = new List<ApprovalCase>();
        var newer = new List<PartitionFile>();
        foreach (var file in partitions.Files.Reverse().Take(ApprovalDays))
        {
            var bodies = new List<(string Id, byte[] Body)>();
            file.TryRead(
                reader =>
                {
                    bodies.AddRange(reader.ReadApprovals(open: true, options.OpenApprovals));
                    bodies.AddRange(newer.Count < 2 ? reader.ReadApprovals(open: false, SettledApprovals) : []);
                },
                log);
            foreach (var (id, body) in bodies)
            {
                bool superseded = false;
                foreach (var later in newer)
                {
                    later.TryRead(reader => superseded |= reader.HasApproval(id), log);
                }

                if (!superseded)
                {
                    found.Add(JsonSerializer.Deserialize(body, StoreState.Default.ApprovalCase)!);
                }
            }

            newer.Add(file);
        }

        found.Reverse(); // oldest first: the book forgets the oldest when it is full
        var book = new ApprovalBook(options.OpenApprovals);
        var told = found.Where(c => (c.RequestSpan ?? c.DecisionSpan) is not null).Select(c => c.ExecutionSpan).ToHashSet();
        foreach (var stored in found)
        {
            // A call that was joined to its approval on a later day still stands alone in its own day's file.
            if ((stored.RequestSpan ?? stored.DecisionSpan) is not null || !told.Contains(stored.ExecutionSpan))
            {
                book.Restore(stored);
            }
        }

        return book;
    }
}
