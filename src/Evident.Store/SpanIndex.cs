using Evident.Ingest;

namespace Evident.Store;

/// <summary>
/// What is already stored of a trace, for dedup: the current partition, the one before it, and, for spans that would be ledgered and say they began
/// earlier than that, the days since they began, so that a very late repetition cannot get a second ledger entry. Owned by the writer thread.
/// </summary>
internal sealed class SpanIndex(PartitionSet partitions, Action<string, Exception?> log)
{
    private const ulong NanosPerDay = 86_400_000_000_000;
    private PartitionFile? previous;
    private PartitionFile[] older = [];
    private ulong horizonNanos;

    /// <summary>A new day began: what was current is now the previous one.</summary>
    public void Rolled(string day)
    {
        var before = partitions.Files.Where(f => string.CompareOrdinal(f.Name, day) < 0).ToArray();
        previous = before.Length > 0 ? before[^1] : null;
        older = before.Length > 1 ? before[..^1] : [];
        horizonNanos = previous is null ? 0 : StartOf(previous.Name);
    }

    /// <summary>Stored spans of the trace, oldest first.</summary>
    /// <param name="ledgeredSince">Start of the earliest span of the trace in this group that would be ledgered, Unix nanoseconds; null for none.</param>
    public void Find(Partition current, TraceId trace, string workspace, ulong? ledgeredSince, List<TraceEntry> into)
    {
        if (ledgeredSince < horizonNanos)
        {
            foreach (var file in older)
            {
                if (StartOf(file.Name) + NanosPerDay > ledgeredSince)
                {
                    file.TryRead(reader => reader.FindEntries(trace, workspace, into), log);
                }
            }
        }

        previous?.TryRead(reader => reader.FindEntries(trace, workspace, into), log);
        current.FindTrace(trace, workspace, into);
    }

    private static ulong StartOf(string day) =>
        (ulong)new DateTimeOffset(DateOnly.Parse(day, System.Globalization.CultureInfo.InvariantCulture).ToDateTime(TimeOnly.MinValue), TimeSpan.Zero)
            .ToUnixTimeMilliseconds() * 1_000_000;
}
