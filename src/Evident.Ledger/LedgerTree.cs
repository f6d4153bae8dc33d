using System.Numerics;

namespace Evident.Ledger;

/// <summary>
/// Hashes of subtrees of a ledger directory, beside its running writer. Keeps the roots of all complete subtrees of 256, 65,536 ...
/// entries that it has come past (32 bytes for 256 entries), so that a proof costs O(256 log n) once the entries below its size were
/// read; it reads on from where the last one ended. Thread safe: one thread reads on, those that need no more than is there do not wait.
/// </summary>
public sealed class LedgerTree(string directory)
{
    /// <summary>Entries under one kept root, and kept roots under one of the next level: a tile of height 8.</summary>
    public const int Width = 256;

    private readonly Lock growing = new();

    // levels[l] holds the roots of the complete subtrees of 256^(l+1) entries. Written by the holder of growing; an array is only ever replaced by a longer
    // copy, and blocks is published after the roots it counts: whoever reads blocks first finds them.
    private readonly byte[][] levels = [[], [], [], [], [], []];
    private long blocks;

    /// <summary>Root of the first <paramref name="size"/> entries, which must be durable.</summary>
    /// <exception cref="LedgerStateException">The files do not hold them.</exception>
    public byte[] Root(long size) => size == 0 ? Merkle.EmptyRoot : Subtree(0, size);

    /// <summary>Root of the entries [start, end), which must be durable.</summary>
    /// <exception cref="ArgumentException">No RFC 6962 tree has such a subtree: start is not aligned to the power of two that holds the range.</exception>
    public byte[] Subtree(long start, long end)
    {
        if (start < 0 || end <= start || start % (long)BitOperations.RoundUpToPowerOf2((ulong)(end - start)) != 0)
        {
            throw new ArgumentException($"[{start}, {end}) is no subtree.");
        }

        Grow(end);
        return Hash(start, end, new LeafBlocks(directory, end));
    }

    /// <summary>RFC 9162 2.1.3 path of an entry in the tree of <paramref name="size"/> entries, leaf sibling first, and the entry's own hash.</summary>
    public List<byte[]> InclusionPath(long seq, long size, out byte[] leaf)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(seq);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(seq, size);
        Grow(size);
        var leaves = new LeafBlocks(directory, size);
        leaf = leaves.Of(seq).ToArray();
        return Merkle.InclusionPath(seq, size, (start, end) => Hash(start, end, leaves));
    }

    /// <summary>RFC 9162 2.1.4 path from one size to another; empty when they are equal or the old one is 0.</summary>
    public List<byte[]> ConsistencyPath(long oldSize, long newSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(oldSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(oldSize, newSize);
        if (oldSize == 0 || oldSize == newSize)
        {
            return [];
        }

        Grow(newSize);
        var leaves = new LeafBlocks(directory, newSize);
        return Merkle.ConsistencyPath(oldSize, newSize, (start, end) => Hash(start, end, leaves));
    }

    private byte[] Hash(long start, long end, LeafBlocks leaves)
    {
        long count = end - start;
        if (count < Width)
        {
            return leaves.Root(start, end);
        }

        if (BitOperations.IsPow2(count))
        {
            int level = BitOperations.Log2((ulong)count) / 8; // 256^level entries under each of the roots that are folded
            long first = start >> (8 * level);
            return Fold(Volatile.Read(ref levels[level - 1]).AsSpan((int)(first * 32), (int)(count >> (8 * level)) * 32));
        }

        long k = (long)BitOperations.RoundUpToPowerOf2((ulong)count) / 2;
        byte[] node = Hash(start, start + k, leaves);
        Merkle.Node(node, Hash(start + k, end, leaves), node);
        return node;
    }

    /// <summary>Root over the hashes, whose number is a power of two.</summary>
    private static byte[] Fold(ReadOnlySpan<byte> hashes)
    {
        var frontier = new MerkleFrontier();
        for (int i = 0; i < hashes.Length; i += 32)
        {
            frontier.Append(hashes.Slice(i, 32));
        }

        return frontier.Root();
    }

    /// <summary>Reads on until the roots of all complete blocks below the size are there. What was read stays when a later entry cannot be read.</summary>
    private void Grow(long size)
    {
        long wanted = size / Width;
        if (Volatile.Read(ref blocks) >= wanted)
        {
            return;
        }

        lock (growing)
        {
            if (blocks >= wanted)
            {
                return;
            }

            using var entries = new EntryCursor(directory, blocks * Width, wanted * Width);
            var block = new MerkleFrontier();
            Span<byte> leaf = stackalloc byte[32];
            while (entries.NextEntry())
            {
                Merkle.LeafOfPrefixed(entries.Prefixed, leaf);
                block.Append(leaf);
                if (block.Size == Width)
                {
                    Keep(block.Root());
                    block = new MerkleFrontier();
                }
            }
        }
    }

    private void Keep(byte[] root)
    {
        long index = blocks;
        for (int level = 0; level < levels.Length; level++, index >>= 8)
        {
            byte[] held = levels[level];
            int offset = checked((int)index * 32);
            if (offset == held.Length)
            {
                byte[] longer = new byte[Math.Max(64 * 32, 2 * held.Length)];
                held.CopyTo(longer, 0);
                held = longer;
            }

            root.CopyTo(held, offset);
            Volatile.Write(ref levels[level], held);
            if ((index & (Width - 1)) != Width - 1)
            {
                break;
            }

            root = Fold(held.AsSpan((int)(index - (Width - 1)) * 32, Width * 32));
        }

        Volatile.Write(ref blocks, blocks + 1);
    }

    /// <summary>Leaf hashes of the few blocks that one proof looks into, each read once.</summary>
    private sealed class LeafBlocks(string directory, long size)
    {
        private readonly List<(long Start, byte[] Hashes)> read = [];

        public ReadOnlySpan<byte> Of(long seq) => Block(seq).AsSpan((int)(seq % Width) * 32, 32);

        /// <summary>Root of a range inside one block.</summary>
        public byte[] Root(long start, long end)
        {
            byte[] block = Block(start);
            var tree = new MerkleFrontier();
            for (long i = start % Width; i < (start % Width) + end - start; i++)
            {
                tree.Append(block.AsSpan((int)i * 32, 32));
            }

            return tree.Root();
        }

        private byte[] Block(long seq)
        {
            long start = seq - (seq % Width);
            foreach (var known in read)
            {
                if (known.Start == start)
                {
                    return known.Hashes;
                }
            }

            long end = Math.Min(start + Width, size);
            byte[] hashes = new byte[(int)(end - start) * 32];
            using (var entries = new EntryCursor(directory, start, end))
            {
                while (entries.NextEntry())
                {
                    Merkle.LeafOfPrefixed(entries.Prefixed, hashes.AsSpan((int)(entries.Seq - start) * 32, 32));
                }
            }

            read.Add((start, hashes));
            return hashes;
        }
    }
}
