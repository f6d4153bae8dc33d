using System.Numerics;
using System.Security.Cryptography;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>RFC 6962 hashes: leaf = SHA-256(0x00 || bytes), node = SHA-256(0x01 || left || right), empty = SHA-256("").</summary>
public static class Merkle
{
    public static byte[] EmptyRoot => SHA256.HashData([]);

    public static byte[] Leaf(ReadOnlySpan<byte> entry)
    {
        byte[] hash = new byte[32];
        byte[] prefixed = new byte[entry.Length + 1];
        entry.CopyTo(prefixed.AsSpan(1));
        LeafOfPrefixed(prefixed, hash);
        return hash;
    }

    /// <summary>Leaf hash of an entry that already stands behind its 0x00: no copy.</summary>
    internal static void LeafOfPrefixed(ReadOnlySpan<byte> zeroAndEntry, Span<byte> hash) => Sha256.Hash(zeroAndEntry, hash);

    public static void Node(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, Span<byte> hash)
    {
        Span<byte> input = stackalloc byte[65];
        input[0] = 1;
        left.CopyTo(input[1..]);
        right.CopyTo(input[33..]);
        Sha256.Hash(input, hash);
    }

    /// <summary>True when the path leads from the leaf at <paramref name="index"/> of a tree of <paramref name="size"/> to the root (RFC 9162 2.1.3.2).</summary>
    public static bool VerifyInclusion(long index, long size, ReadOnlySpan<byte> leaf, IReadOnlyList<byte[]> path, ReadOnlySpan<byte> root)
    {
        if (index < 0 || index >= size)
        {
            return false;
        }

        long fn = index, sn = size - 1;
        byte[] r = leaf.ToArray();
        foreach (byte[] sibling in path)
        {
            if (sn == 0 || sibling.Length != 32)
            {
                return false;
            }

            if ((fn & 1) == 1 || fn == sn)
            {
                Node(sibling, r, r);
                while ((fn & 1) == 0 && fn != 0)
                {
                    fn >>= 1;
                    sn >>= 1;
                }
            }
            else
            {
                Node(r, sibling, r);
            }

            fn >>= 1;
            sn >>= 1;
        }

        return sn == 0 && root.SequenceEqual(r);
    }

    /// <summary>
    /// Root of the tree that ends with this leaf, from its valid inclusion path in a larger tree of <paramref name="size"/>: what stands to the left of a leaf is the
    /// same in both.
    /// </summary>
    public static byte[] RootAt(long index, long size, ReadOnlySpan<byte> leaf, IReadOnlyList<byte[]> path)
    {
        long fn = index, sn = size - 1;
        byte[] r = leaf.ToArray();
        foreach (byte[] sibling in path)
        {
            if ((fn & 1) == 1 || fn == sn)
            {
                Node(sibling, r, r);
                while ((fn & 1) == 0 && fn != 0)
                {
                    fn >>= 1;
                    sn >>= 1;
                }
            }

            fn >>= 1;
            sn >>= 1;
        }

        return r;
    }

    /// <summary>True when the tree of size <paramref name="n"/> extends the tree of size <paramref name="m"/> (RFC 9162 2.1.4.2).</summary>
    public static bool VerifyConsistency(long m, ReadOnlySpan<byte> rootM, long n, ReadOnlySpan<byte> rootN, IReadOnlyList<byte[]> path)
    {
        if (m < 0 || m > n)
        {
            return false;
        }

        if (m == n)
        {
            return path.Count == 0 && rootM.SequenceEqual(rootN);
        }

        if (m == 0)
        {
            return path.Count == 0;
        }

        if (path.Count == 0 || path[0].Length != 32)
        {
            return false;
        }

        var steps = new List<byte[]>(path.Count + 1);
        if (BitOperations.IsPow2(m))
        {
            steps.Add(rootM.ToArray());
        }

        steps.AddRange(path);
        long fn = m - 1, sn = n - 1;
        while ((fn & 1) == 1)
        {
            fn >>= 1;
            sn >>= 1;
        }

        byte[] fr = [.. steps[0]], sr = [.. steps[0]];
        foreach (byte[] c in steps.Skip(1))
        {
            if (sn == 0 || c.Length != 32)
            {
                return false;
            }

            if ((fn & 1) == 1 || fn == sn)
            {
                Node(c, fr, fr);
                Node(c, sr, sr);
                while ((fn & 1) == 0 && fn != 0)
                {
                    fn >>= 1;
                    sn >>= 1;
                }
            }
            else
            {
                Node(sr, c, sr);
            }

            fn >>= 1;
            sn >>= 1;
        }

        return sn == 0 && rootM.SequenceEqual(fr) && rootN.SequenceEqual(sr);
    }

    /// <summary>Inclusion path of a leaf, leaf sibling first. <paramref name="subtree"/> gives the root of leaves [start, end).</summary>
    public static List<byte[]> InclusionPath(long index, long size, Func<long, long, byte[]> subtree)
    {
        var path = new List<byte[]>();
        Descend(index, 0, size);
        return path;

        void Descend(long i, long start, long end)
        {
            if (end - start <= 1)
            {
                return;
            }

            long k = LargestPowerBelow(end - start);
            if (i < start + k)
            {
                Descend(i, start, start + k);
                path.Add(subtree(start + k, end));
            }
            else
            {
                Descend(i, start + k, end);
                path.Add(subtree(start, start + k));
            }
        }
    }

    /// <summary>Consistency path from size <paramref name="m"/> to <paramref name="n"/> (RFC 6962 2.1.2), 0 &lt; m &lt; n.</summary>
    public static List<byte[]> ConsistencyPath(long m, long n, Func<long, long, byte[]> subtree)
    {
        var path = new List<byte[]>();
        Descend(m, 0, n, whole: true);
        return path;

        void Descend(long size, long start, long end, bool whole)
        {
            if (size == end - start)
            {
                if (!whole)
                {
                    path.Add(subtree(start, end));
                }

                return;
            }

            long k = LargestPowerBelow(end - start);
            if (size <= k)
            {
                Descend(size, start, start + k, whole);
                path.Add(subtree(start + k, end));
            }
            else
            {
                Descend(size - k, start + k, end, whole: false);
                path.Add(subtree(start, start + k));
            }
        }
    }

    /// <summary>Root over leaf hashes that are all in memory.</summary>
    public static byte[] Root(IReadOnlyList<byte[]> leaves)
    {
        var frontier = new MerkleFrontier();
        foreach (byte[] leaf in leaves)
        {
            frontier.Append(leaf);
        }

        return frontier.Root();
    }

    private static long LargestPowerBelow(long n) => 1L << (63 - BitOperations.LeadingZeroCount((ulong)(n - 1)));
}

/// <summary>The right edge of a growing tree: one hash per set bit of the size, largest subtree first in <see cref="ToHashes"/>.</summary>
public sealed class MerkleFrontier
{
    private readonly byte[] hashes = new byte[64 * 32]; // level l at l * 32, meaningful when bit l of Size is set

    public long Size { get; private set; }

    public void Append(ReadOnlySpan<byte> leaf) => AppendSubtree(0, leaf);

    /// <summary>Appends a complete subtree of 2^<paramref name="level"/> leaves by its root; the size must be a multiple of that.</summary>
    public void AppendSubtree(int level, ReadOnlySpan<byte> root)
    {
        long leaves = 1L << level;
        if (Size % leaves != 0)
        {
            throw new ArgumentException($"a subtree of {leaves} leaves cannot stand at {Size}.", nameof(level));
        }

        Span<byte> carry = stackalloc byte[32];
        root.CopyTo(carry);
        for (long bits = Size >> level; (bits & 1) == 1; bits >>= 1, level++)
        {
            Merkle.Node(hashes.AsSpan(level * 32, 32), carry, carry);
        }

        carry.CopyTo(hashes.AsSpan(level * 32));
        Size += leaves;
    }

    public void Root(Span<byte> root)
    {
        bool any = false;
        for (int level = 0; level < 63; level++)
        {
            if ((Size >> level & 1) == 0)
            {
                continue;
            }

            var node = hashes.AsSpan(level * 32, 32);
            if (any)
            {
                Merkle.Node(node, root, root);
            }
            else
            {
                node.CopyTo(root);
                any = true;
            }
        }

        if (!any)
        {
            SHA256.HashData([], root);
        }
    }

    public byte[] Root()
    {
        byte[] root = new byte[32];
        Root(root);
        return root;
    }

    /// <summary>One hash per set bit of the size, from the largest subtree to the smallest.</summary>
    public byte[][] ToHashes()
    {
        var list = new List<byte[]>();
        for (int level = 62; level >= 0; level--)
        {
            if ((Size >> level & 1) == 1)
            {
                list.Add(hashes.AsSpan(level * 32, 32).ToArray());
            }
        }

        return [.. list];
    }

    /// <summary>The frontier that <see cref="ToHashes"/> gave; null when the number of hashes does not fit the size.</summary>
    public static MerkleFrontier? FromHashes(long size, IReadOnlyList<byte[]> list)
    {
        if (size < 0 || BitOperations.PopCount((ulong)size) != list.Count || list.Any(h => h.Length != 32))
        {
            return null;
        }

        var frontier = new MerkleFrontier { Size = size };
        int next = 0;
        for (int level = 62; level >= 0; level--)
        {
            if ((size >> level & 1) == 1)
            {
                list[next++].CopyTo(frontier.hashes.AsSpan(level * 32));
            }
        }

        return frontier;
    }

    public void CopyFrom(MerkleFrontier other)
    {
        other.hashes.CopyTo(hashes, 0);
        Size = other.Size;
    }
}
