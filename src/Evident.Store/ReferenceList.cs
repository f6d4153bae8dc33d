using System.Buffers.Binary;
using Evident.Ledger;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// Many references to payloads, 24 bytes each with where their newest wrap is; sorted, they are found by halving and give the root that receipts name. What is kept longer is marked. Not a dictionary: a day
/// may have ten million of them. Not thread safe.
/// </summary>
internal sealed class ReferenceList
{
    private struct Item
    {
        public ulong High, Low;
        public long Offset;

        public readonly int CompareTo(in Item other) => High != other.High ? High.CompareTo(other.High) : Low != other.Low ? Low.CompareTo(other.Low) : Offset.CompareTo(other.Offset);
    }

    private Item[] items = new Item[256];
    private bool[] kept = [];

    public int Count { get; private set; }

    /// <summary>Adds 16 bytes of a reference; of one that is added again the highest offset counts.</summary>
    public void Add(ReadOnlySpan<byte> reference, long offset) => Add(new Item
    {
        High = BinaryPrimitives.ReadUInt64BigEndian(reference), Low = BinaryPrimitives.ReadUInt64BigEndian(reference[8..]), Offset = offset,
    });

    /// <summary>Adds what the other list did not mark as kept.</summary>
    public void AddEnded(ReferenceList other)
    {
        for (int i = 0; i < other.Count; i++)
        {
            if (!other.kept[i])
            {
                Add(other.items[i]);
            }
        }
    }

    /// <summary>Brings them in ascending order, each once; nothing is kept yet.</summary>
    public void Sort()
    {
        Sort(0, Count - 1);
        int last = -1;
        for (int i = 0; i < Count; i++)
        {
            if (last >= 0 && items[last].High == items[i].High && items[last].Low == items[i].Low)
            {
                items[last] = items[i];
            }
            else
            {
                items[++last] = items[i];
            }
        }

        Count = last + 1;
        kept = new bool[Count];
    }

    /// <summary>Its place in a sorted list, or -1.</summary>
    public int Find(ReadOnlySpan<byte> reference)
    {
        ulong high = BinaryPrimitives.ReadUInt64BigEndian(reference), low = BinaryPrimitives.ReadUInt64BigEndian(reference[8..]);
        int from = 0, to = Count - 1;
        while (from <= to)
        {
            int middle = from + ((to - from) / 2);
            ref readonly Item item = ref items[middle];
            int order = item.High != high ? item.High.CompareTo(high) : item.Low.CompareTo(low);
            if (order == 0)
            {
                return middle;
            }

            (from, to) = order < 0 ? (middle + 1, to) : (from, middle - 1);
        }

        return -1;
    }

    public bool IsKept(int index) => kept[index];

    public void Keep(int index, bool keep = true) => kept[index] = keep;

    public long Offset(int index) => items[index].Offset;

    /// <summary>The text form of a reference.</summary>
    public string Name(int index)
    {
        Span<byte> id = stackalloc byte[16];
        Write(index, id);
        return VaultShredding.Name(id);
    }

    /// <summary>RFC 6962 root over them in their order, 29 ASCII bytes a leaf; <c>sha256:</c> and hex.</summary>
    public string Root()
    {
        var tree = new MerkleFrontier();
        Span<byte> id = stackalloc byte[16], line = stackalloc byte[SealedBatch.RefLength];
        for (int i = 0; i < Count; i++)
        {
            Write(i, id);
            VaultShredding.Write(id, line);
            tree.Append(Merkle.Leaf(line));
        }

        return LedgerFormat.HashText(tree.Root());
    }

    /// <summary>The same of references as text.</summary>
    public static string RootOf(IEnumerable<string> references)
    {
        var list = new ReferenceList();
        Span<byte> id = stackalloc byte[16];
        foreach (string reference in references)
        {
            if (!VaultShredding.TryParse(reference, id))
            {
                throw new ArgumentException($"'{reference}' is no reference.", nameof(references));
            }

            list.Add(id, 0);
        }

        list.Sort();
        return list.Root();
    }

    private void Add(in Item item)
    {
        if (Count == items.Length)
        {
            Array.Resize(ref items, items.Length * 2);
        }

        items[Count++] = item;
    }

    private void Write(int index, Span<byte> id)
    {
        BinaryPrimitives.WriteUInt64BigEndian(id, items[index].High);
        BinaryPrimitives.WriteUInt64BigEndian(id[8..], items[index].Low);
    }

    // Quicksort: references are random bytes of our own, so the middle one divides well. The larger half waits in the loop, which bounds the depth.
    private void Sort(int from, int to)
    {
        while (from < to)
        {
            Item pivot = items[from + ((to - from) / 2)];
            int left = from, right = to;
            while (left <= right)
            {
                while (items[left].CompareTo(pivot) < 0)
                {
                    left++;
                }

                while (items[right].CompareTo(pivot) > 0)
                {
                    right--;
                }

                if (left <= right)
                {
                    (items[left], items[right]) = (items[right], items[left]);
                    (left, right) = (left + 1, right - 1);
                }
            }

            if (right - from < to - left)
            {
                Sort(from, right);
                from = left;
            }
            else
            {
                Sort(left, to);
                to = right;
            }
        }
    }
}
