using System.Security.Cryptography;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// Reads entries that are durable. Safe beside the writer: segments only grow, and nothing at or beyond the durable size is looked at.
/// An entry is found by its segment's name and a binary search over the segment's bytes; nothing is held between calls.
/// </summary>
public static class LedgerReader
{
    /// <summary>Entries <paramref name="from"/>, <paramref name="from"/> + 1 ... below <paramref name="durableSize"/>, at most <paramref name="limit"/>.</summary>
    /// <exception cref="LedgerStateException">The files do not hold the entries that the durable size promises.</exception>
    public static IEnumerable<LedgerLine> Read(string directory, long from, int limit, long durableSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        long end = Math.Min(durableSize, from + Math.Max(limit, 0));
        if (from >= end)
        {
            yield break;
        }

        using var entries = new EntryCursor(directory, from, end);
        while (entries.NextEntry())
        {
            yield return Line(entries);
        }
    }

    /// <summary>RFC 6962 inclusion path of an entry in the tree of <paramref name="size"/> entries, which must end a group.</summary>
    /// <param name="tree">Kept by who asks again and again; without one, every entry below the size is hashed once.</param>
    /// <exception cref="ArgumentOutOfRangeException">The entry is not below the size.</exception>
    /// <exception cref="LedgerStateException">No checkpoint of that size exists, or entries are missing.</exception>
    public static InclusionProof Prove(string directory, long seq, long size, LedgerTree? tree = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(seq);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(seq, size);
        string note = Published(directory, size) ?? CheckpointAt(directory, size)
            ?? throw new LedgerStateException($"no checkpoint of size {size} is in '{directory}'; ask for the size of a checkpoint.");
        var path = (tree ?? new LedgerTree(directory)).InclusionPath(seq, size, out byte[] leaf);
        return new InclusionProof(seq, size, leaf, path, note);
    }

    /// <summary>
    /// RFC 9162 2.1.4 consistency path, in the order of the specification: that the tree of <paramref name="newSize"/> entries extends that of
    /// <paramref name="oldSize"/>. Empty when the sizes are equal or the old one is 0. Both must be durable; that they end groups is the caller's business.
    /// </summary>
    /// <param name="tree">As for <see cref="Prove"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The old size is negative or above the new one.</exception>
    /// <exception cref="LedgerStateException">Entries below the new size are missing.</exception>
    public static IReadOnlyList<byte[]> ProveConsistency(string directory, long oldSize, long newSize, LedgerTree? tree = null) =>
        (tree ?? new LedgerTree(directory)).ConsistencyPath(oldSize, newSize);

    /// <summary>Text of the newest published checkpoint, or null when none was published.</summary>
    public static string? NewestPublished(string directory)
    {
        long newest = -1;
        foreach (long size in PublishedSizes(directory))
        {
            newest = Math.Max(newest, size);
        }

        return newest < 0 ? null : Published(directory, newest);
    }

    /// <summary>The smallest published size that covers the entry, or -1 when none does.</summary>
    public static long PublishedAbove(string directory, long seq)
    {
        long smallest = -1;
        foreach (long size in PublishedSizes(directory))
        {
            smallest = size > seq && (smallest < 0 || size < smallest) ? size : smallest;
        }

        return smallest;
    }

    /// <summary>Text of the published checkpoint of exactly that size, or null when that size was not published. Of a longer file than a note may be, its beginning.</summary>
    public static string? Published(string directory, long size) => Published(new DirectoryFolder(directory), size);

    internal static string? Published(LedgerFolder folder, long size) => PublishedNote(folder, size) is { } note ? Encoding.UTF8.GetString(note) : null;

    /// <summary>The signed note of the checkpoint line for exactly that size, or null when no group ends there.</summary>
    public static string? CheckpointAt(string directory, long size) => CheckpointAt(new DirectoryFolder(directory), size);

    internal static string? CheckpointAt(LedgerFolder folder, long size) => Locate(folder, size)?.Note is { } note ? Encoding.UTF8.GetString(note) : null;

    /// <summary>First entry and one past the last entry of the group that an entry below <paramref name="size"/>, itself the end of a group, belongs to.</summary>
    internal static (long First, long End) GroupOf(string directory, long seq, long size)
    {
        long batch = BatchOf(directory, seq, size), low = Math.Max(0, seq - LedgerFormat.MaxGroupEntries + 1), high = seq;
        while (low < high)
        {
            long middle = low + ((high - low) / 2);
            (low, high) = BatchOf(directory, middle, size) < batch ? (middle + 1, high) : (low, middle);
        }

        using var lines = new EntryCursor(directory, seq, size);
        while (lines.NextLine() && !lines.IsCheckpoint)
        {
        }

        return (low, lines.Seq + 1);
    }

    /// <summary>Number of the group that an entry belongs to.</summary>
    internal static long BatchOf(string directory, long seq, long size)
    {
        using var at = new EntryCursor(directory, seq, size);
        var parser = new Lj1Parser();
        return at.NextEntry() && parser.Parse(at.Line) == Lj1Error.None
            ? parser.Integer(at.Line, "batch"u8)
            : throw new LedgerStateException($"entry {seq} in '{directory}' is not well formed. Run `evident verify`.");
    }

    internal sealed record Place(SegmentName Segment, long OffsetAfter, byte[] Note, byte[] LastEntryHash);

    /// <summary>Where the checkpoint line of that size ends, with the hash of the entry before it.</summary>
    internal static Place? Locate(string directory, long size) => Locate(new DirectoryFolder(directory), size);

    private static Place? Locate(LedgerFolder folder, long size)
    {
        var segments = Segments(folder);
        int at = segments.FindLastIndex(s => s.First < size);
        if (size <= 0 || at < 0)
        {
            return null;
        }

        long offset = OffsetOf(folder, segments[at].Name, size - 1);
        using var lines = new SegmentLines(folder.Open(segments[at].Name), offset);
        if (!lines.Next() || !lines.Complete || lines.TooLong)
        {
            return null;
        }

        byte[] hash = new byte[32];
        Merkle.LeafOfPrefixed(lines.Prefixed, hash);
        if (!lines.Next() || !lines.Complete || !CheckpointLine.TryParse(lines.Line, new Lj1Parser(), out var note, out _)
            || !Checkpoint.TryParse(note.Text, out var checkpoint) || checkpoint.Size != size)
        {
            return null;
        }

        return new Place(segments[at], lines.Offset + lines.LineLength + 1, note.Encode(), hash);
    }

    /// <summary>The first entry of the epoch that the newest entry below <paramref name="size"/> belongs to; epochs only rise.</summary>
    internal static LedgerLine FirstOfEpoch(string directory, long epoch, long size)
    {
        var parser = new Lj1Parser();
        long low = 0, high = size - 1;
        while (low < high)
        {
            long middle = low + ((high - low) / 2);
            var line = Read(directory, middle, 1, size).First();
            _ = parser.Parse(line.Json.Span);
            (low, high) = parser.Integer(line.Json.Span, "epoch"u8) < epoch ? (middle + 1, high) : (low, middle);
        }

        return Read(directory, low, 1, size).First();
    }

    private static List<long> PublishedSizes(string directory)
    {
        var sizes = new List<long>();
        string folder = Path.Combine(directory, "checkpoints");
        if (Directory.Exists(folder))
        {
            foreach (string path in Directory.EnumerateFiles(folder, "*" + LedgerFormat.NoteSuffix))
            {
                if (LedgerFormat.TryParseName(Path.GetFileName(path.AsSpan()), LedgerFormat.NoteSuffix, out long size))
                {
                    sizes.Add(size);
                }
            }
        }

        return sizes;
    }

    /// <summary>The published checkpoint of exactly that size, or null.</summary>
    internal static byte[]? PublishedNote(LedgerFolder folder, long size)
    {
        string name = "checkpoints/" + LedgerFormat.PublishedName(size);
        return folder.Has(name) ? folder.Read(name, SignedNote.MaxBytes + 1) : null;
    }

    internal static List<SegmentName> Segments(LedgerFolder folder)
    {
        var segments = new List<SegmentName>();
        foreach (var item in folder.List())
        {
            if (LedgerFormat.TryParseName(item.Name, LedgerFormat.SegmentSuffix, out long first))
            {
                segments.Add(new SegmentName(item.Name, first)); // names of 20 digits: their order is that of the numbers
            }
        }

        return segments;
    }

    private static LedgerLine Line(EntryCursor entries)
    {
        byte[] hash = new byte[SHA256.HashSizeInBytes];
        Merkle.LeafOfPrefixed(entries.Prefixed, hash);
        return new LedgerLine(entries.Seq, entries.Line.ToArray(), LedgerFormat.HashText(hash));
    }

    /// <summary>Byte offset of an entry's line: halves the range until one buffer holds it, then goes line by line.</summary>
    internal static long OffsetOf(LedgerFolder folder, string name, long seq)
    {
        var parser = new Lj1Parser();
        long low = 0; // start of a line whose seq is not above the one sought
        using (var file = folder.Open(name))
        {
            byte[] window = new byte[4 * (LedgerFormat.MaxLineBytes + 1)];
            long high = file.Length;
            while (high - low > window.Length)
            {
                long middle = low + ((high - low) / 2);
                int read = file.ReadAt(middle, window);
                if (!TryFirstEntry(window.AsSpan(0, read), parser, out int start, out long found) || found > seq)
                {
                    high = middle;
                }
                else
                {
                    low = middle + start;
                }
            }
        }

        using var lines = new SegmentLines(folder.Open(name), low);
        while (lines.Next() && lines.Complete)
        {
            if (!lines.TooLong && parser.Parse(lines.Line) == Lj1Error.None && parser.Integer(lines.Line, "seq"u8) == seq)
            {
                return lines.Offset;
            }
        }

        throw new LedgerStateException($"entry {seq} is not in '{folder.Path}/{name}', where its number says it must be. Run `evident verify`.");
    }

    private static bool TryFirstEntry(ReadOnlySpan<byte> window, Lj1Parser parser, out int start, out long seq)
    {
        (start, seq) = (0, -1);
        int feed = window.IndexOf((byte)'\n');
        while (feed >= 0)
        {
            start += feed + 1;
            window = window[(feed + 1)..];
            feed = window.IndexOf((byte)'\n');
            if (feed >= 0 && parser.Parse(window[..feed]) == Lj1Error.None)
            {
                seq = parser.Integer(window[..feed], "seq"u8);
                if (seq >= 0)
                {
                    return true;
                }
            }
        }

        return false;
    }
}
