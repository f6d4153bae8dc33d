using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Evident.Store;

/// <summary>
/// Finds spans by what they say. It goes through the partitions from the newest block back and looks into a span only when its bytes hold the longest value that is asked for; no index of attributes is kept, so a query costs the
/// inflation of the days it covers. A span of several revisions is judged as they are merged, and given once. Thread safe.
/// </summary>
internal sealed class SpanSearch(
    StoreOptions options, PartitionSet partitions, OutcomesReaders readers, RunDirectory directory, SearchedId ids, SpanReader spans, PriceBook prices, Action<string, Exception?> log)
{
    /// <summary>Newest receipt first. A page ends when it is full, at the last day, or when its time is over; <see cref="SpanPage.Complete"/> says which.</summary>
    /// <exception cref="StoreException">The cursor is none of ours.</exception>
    /// <exception cref="OperationCanceledException">The caller has left.</exception>
    public SpanPage Find(SpanQuery query, CancellationToken cancellation)
    {
        var from = Place.Read(query.Cursor);
        var runs = RunConditions.OfSpans(query, ids);
        var found = new List<MergedSpan>();
        Place last = from;
        long looked = 0;
        bool complete = readers.Query(cancellation, connection =>
        {
            using var match = new SpanMatch(query, runs, connection, spans, options.Tools, prices, cancellation);
            long deadline = Environment.TickCount64 + options.SearchMillis;
            string? firstDay = query.From is { } since ? PartitionSet.DayOf(since.AddDays(-1).ToUnixTimeMilliseconds()) : null; // a sender's clock may be ahead by a day
            var files = partitions.Files;
            for (int i = files.Count - 1; i >= 0; i--)
            {
                var file = files[i];
                if (string.CompareOrdinal(file.Name, from.Day) > 0 || string.CompareOrdinal(file.Name, firstDay) < 0)
                {
                    continue;
                }

                long before = file.Name != from.Day ? long.MaxValue : from.Ordinal > 0 ? from.Block + 1 : from.Block; // each page gets past one block at least
                while (Read(file, before, match.Needle) is { } block)
                {
                    cancellation.ThrowIfCancellationRequested();
                    looked += block.Looked;
                    int below = file.Name == from.Day && block.Id == from.Block ? from.Ordinal : int.MaxValue;
                    for (int at = block.Workspace == query.Workspace ? block.Spans.Count - 1 : -1; at >= 0; at--)
                    {
                        var span = block.Spans[at];
                        if (span.Ordinal < below && match.Take(file.Name, block.Id, span) is { } merged)
                        {
                            found.Add(merged);
                            if (found.Count == query.PageSize)
                            {
                                last = new Place(file.Name, block.Id, span.Ordinal);
                                return false;
                            }
                        }
                    }

                    last = new Place(file.Name, before = block.Id, 0);
                    if (Environment.TickCount64 >= deadline)
                    {
                        return false;
                    }
                }
            }

            return true;
        });
        var marks = directory.EntriesOf(found.Select(m => m.Span.TraceId).Distinct(), cancellation).ToLookup(e => e.Span, e => e.Mark.Seq);
        return new SpanPage([.. found.Select(m => spans.View(m, [.. marks[m.Span.Key()]]))], complete ? null : last.Write(), looked, complete || found.Count == query.PageSize);
    }

    // Only what is wrong with the partition may be taken for its damage: the run directory is asked outside.
    private FoundBlock? Read(PartitionFile file, long before, byte[] needle)
    {
        FoundBlock? block = null;
        return file.TryRead(partition => block = partition.FindBefore(before, needle), log) ? block : null;
    }

    // The last span that was looked at; what comes next lies before it.
    private readonly record struct Place(string Day, long Block, int Ordinal)
    {
        private static readonly Place Newest = new("9999-12-31", long.MaxValue - 1, int.MaxValue);

        public string Write() => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"s1:{Day}:{Block}:{Ordinal}")));

        public static Place Read(string? cursor)
        {
            if (cursor is null)
            {
                return Newest;
            }

            if (Base64Url.IsValid(cursor))
            {
                string[] parts = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor)).Split(':');
                if (parts.Length == 4 && parts[0] == "s1" && PartitionSet.IsDay(parts[1]) && long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out long block)
                    && block < long.MaxValue && int.TryParse(parts[3], NumberStyles.None, CultureInfo.InvariantCulture, out int ordinal))
                {
                    return new Place(parts[1], block, ordinal);
                }
            }

            throw new StoreException("the cursor is none that this store gave out: leave it away to start from the newest span.");
        }
    }
}
