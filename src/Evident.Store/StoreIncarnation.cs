using Evident.Ledger;

namespace Evident.Store;

/// <summary>
/// The store's side of an accepted incarnation: the ledger was found shorter than the partitions remember (an old copy was restored), and an operator accepted the loss.
/// Until this has run, a start refuses the ledger as rolled back.
/// </summary>
public static class StoreIncarnation
{
    /// <summary>
    /// Brings what the partitions remember of the ledger down to the head that was found. The data directory must not be open, and the caller holds its lock. Each partition is
    /// changed in one transaction, newest last, so that a crash is finished by doing it again; done twice it changes nothing more.
    /// <list type="bullet">
    /// <item>The remembered head becomes <paramref name="found"/>, the hint for a quick start is dropped.</item>
    /// <item>Entries in the outbox stay owed: the next start appends those that the ledger lacks, each once. Nothing else that was lost comes back by itself; what is
    /// stored and has no entry any more is told by <c>evident verify --traces</c>.</item>
    /// <item>Seals that were lost count as never made: the next start seals those spans again, in order, from where the seals that are left end.</item>
    /// <item><c>outcomes.db</c> is deleted and rebuilt by the next start: it knows entries by numbers that are given to others now.</item>
    /// </list>
    /// </summary>
    /// <param name="dataDirectory">DATA.</param>
    /// <param name="found">Size and root of the ledger as it was found, before anything is appended to it.</param>
    /// <param name="log">Gets one sentence about each partition that cannot be read; it is left as it is.</param>
    /// <returns>Names of the partitions that remembered more, oldest first.</returns>
    /// <exception cref="LedgerStateException">The ledger does not hold that many entries.</exception>
    public static IReadOnlyList<string> Accept(string dataDirectory, LedgerHead found, Action<string, Exception?> log)
    {
        OutcomesFile.Delete(Path.Combine(dataDirectory, "outcomes.db")); // first: nothing may be served from it once the partitions fit the ledger again
        string traces = Path.Combine(dataDirectory, "traces");
        string[] ahead = Directory.Exists(traces) ? Ahead(traces, found, log) : [];
        if (ahead.Length == 0)
        {
            return [];
        }

        string oldest = Path.GetFileNameWithoutExtension(ahead[0]);
        if (ahead.Length > 1)
        {
            using var newest = Partition.Open(ahead[^1], static () => 0);
            newest.Reseal(string.CompareOrdinal(newest.ResealFrom ?? oldest, oldest) < 0 ? newest.ResealFrom : oldest); // before any of them forgets
        }

        var ends = SealTrail.EndsSince(Path.Combine(dataDirectory, "ledger"), found.Size, oldest);
        foreach (string path in ahead)
        {
            using var partition = Partition.Open(path, static () => 0);
            partition.Accept(found, ends.GetValueOrDefault(partition.Name));
        }

        return [.. ahead.Select(p => Path.GetFileNameWithoutExtension(p))];
    }

    // The partitions that remember a ledger beyond that head, oldest first.
    private static string[] Ahead(string traces, LedgerHead found, Action<string, Exception?> log)
    {
        var ahead = new List<string>();
        using var partitions = new PartitionSet(traces);
        for (int i = partitions.Files.Count - 1; i >= 0; i--)
        {
            LedgerHead? head = null;
            partitions.Files[i].TryRead(reader => head = reader.Head, log);
            if (head is not null && (head.Size < found.Size || (head.Size == found.Size && head.Root.AsSpan().SequenceEqual(found.Root))))
            {
                break; // older ones remember less
            }

            if (head is not null)
            {
                ahead.Insert(0, partitions.Files[i].Path);
            }
        }

        return [.. ahead];
    }
}
