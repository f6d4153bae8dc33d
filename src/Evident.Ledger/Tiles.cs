using System.Buffers.Binary;
using System.Globalization;

namespace Evident.Ledger;

/// <summary>Names of C2SP tlog-tiles v0.1.0, tiles of height 8: 256 hashes or entries in a full one.</summary>
public static class TileName
{
    /// <param name="level">0: leaf hashes; above: roots of full tiles of the level below.</param>
    /// <param name="index">Number of the tile in its level.</param>
    /// <param name="width">Hashes in it; 256 is a full tile, less a partial one.</param>
    public static string Hashes(int level, long index, int width) =>
        string.Create(CultureInfo.InvariantCulture, $"tile/{level}/{Path(index)}{Partial(width)}");

    /// <summary>The entry bundle with as many entries.</summary>
    public static string Entries(long index, int width) => $"tile/entries/{Path(index)}{Partial(width)}";

    /// <summary>Groups of three digits, all but the last with an x before them: 1234067 is <c>x001/x234/067</c>.</summary>
    private static string Path(long index)
    {
        string path = (index % 1_000).ToString("D3", CultureInfo.InvariantCulture);
        for (index /= 1_000; index > 0; index /= 1_000)
        {
            path = string.Create(CultureInfo.InvariantCulture, $"x{index % 1_000:D3}/{path}");
        }

        return path;
    }

    private static string Partial(int width) => width == LedgerTree.Width ? "" : string.Create(CultureInfo.InvariantCulture, $".p/{width}");
}

/// <summary>
/// Makes the tiles and entry bundles of a log from its entries, in one pass and flat memory: one tile for each level and one bundle (4 MiB at
/// most) are held. A tile is written when it is full; <see cref="Finish"/> writes the partial ones.
/// </summary>
internal sealed class TileWriter(FileSink sink)
{
    private const int MaxLevels = 7; // 2^53 entries

    private readonly byte[][] tiles = new byte[MaxLevels][];
    private readonly int[] counts = new int[MaxLevels];
    private readonly long[] done = new long[MaxLevels];
    private byte[] bundle = new byte[64 * 1024];
    private int bundled;

    public long Size { get; private set; }

    /// <param name="entry">The entry's line without its line feed.</param>
    /// <param name="leaf">Its leaf hash.</param>
    public void Add(ReadOnlySpan<byte> entry, ReadOnlySpan<byte> leaf)
    {
        if (bundled + 2 + entry.Length > bundle.Length)
        {
            Array.Resize(ref bundle, Math.Max(2 * bundle.Length, bundled + 2 + entry.Length));
        }

        BinaryPrimitives.WriteUInt16BigEndian(bundle.AsSpan(bundled), checked((ushort)entry.Length));
        entry.CopyTo(bundle.AsSpan(bundled + 2));
        bundled += 2 + entry.Length;
        Size++;
        Push(0, leaf);
    }

    private void Push(int level, ReadOnlySpan<byte> hash)
    {
        byte[] tile = tiles[level] ??= new byte[LedgerTree.Width * 32];
        hash.CopyTo(tile.AsSpan(counts[level] * 32));
        if (++counts[level] < LedgerTree.Width)
        {
            return;
        }

        Emit(level);
        var above = new MerkleFrontier();
        for (int i = 0; i < LedgerTree.Width; i++)
        {
            above.Append(tile.AsSpan(i * 32, 32));
        }

        counts[level] = 0;
        done[level]++;
        Push(level + 1, above.Root());
    }

    private void Emit(int level)
    {
        int width = counts[level];
        sink.Add(TileName.Hashes(level, done[level], width), tiles[level].AsSpan(0, width * 32));
        if (level == 0)
        {
            sink.Add(TileName.Entries(done[0], width), bundle.AsSpan(0, bundled));
            bundled = 0;
        }
    }

    /// <summary>Writes the partial tiles and returns the root over all entries. Nothing may be added afterwards.</summary>
    public byte[] Finish()
    {
        var tree = new MerkleFrontier();
        for (int level = MaxLevels - 1; level >= 0; level--)
        {
            for (int i = 0; i < counts[level]; i++)
            {
                tree.AppendSubtree(8 * level, tiles[level].AsSpan(i * 32, 32));
            }
        }

        for (int level = 0; level < MaxLevels; level++)
        {
            if (counts[level] > 0)
            {
                Emit(level);
            }
        }

        return tree.Root();
    }
}
