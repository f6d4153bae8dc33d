using System.Buffers;
using System.Runtime.InteropServices;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// Finds the newest wrap of a reference: newest day first, last record first. Remembers two bytes of each durable wrap, so that a search reads the wraps that they do not rule out instead of all of them:
/// the first search of a file reads it whole. Safe beside the writer. Thread safe.
/// </summary>
/// <param name="durableLength">How much of a wraps file will never be taken back, in bytes; null: all of it.</param>
internal sealed class WrapFinder(string directory, Func<PackName, long?> durableLength)
{
    private const int RecordsPerRead = 4096;
    private const long MostRemembered = 16 << 20; // wraps, over all files: 32 MiB; what is beyond is searched record by record

    /// <summary>What is remembered of one file: bytes 0 and 1 of the references of its first <see cref="Count"/> wraps.</summary>
    private sealed class Memory
    {
        public ushort[] Prefixes = [];
        public int Count;
    }

    private readonly Lock gate = new();
    private readonly Dictionary<string, Memory> memories = new(StringComparer.Ordinal); // by pack
    private long remembered;

    /// <summary>Copies the record; false when no wraps file has one. A torn last record is passed over.</summary>
    public bool TryFind(ReadOnlySpan<byte> reference, Span<byte> record, out PackName pack)
    {
        List<PackName> names = PackName.List(directory, PackName.WrapsSuffix);
        byte[] block = ArrayPool<byte>.Shared.Rent(RecordsPerRead * WrapRecord.Bytes);
        try
        {
            foreach (PackName name in names)
            {
                using DurableFile file = DurableFile.OpenRead(name.Wraps(directory));
                if (TryFind(file, name, reference, block.AsSpan(0, RecordsPerRead * WrapRecord.Bytes), record))
                {
                    pack = name;
                    return true;
                }
            }

            pack = default;
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    /// <summary>The pack is gone.</summary>
    public void Forget(PackName name)
    {
        lock (gate)
        {
            if (memories.Remove(name.ToString(), out Memory? memory))
            {
                remembered -= memory.Prefixes.Length;
            }
        }
    }

    private bool TryFind(DurableFile file, PackName name, ReadOnlySpan<byte> reference, Span<byte> block, Span<byte> record)
    {
        long before = durableLength(name) ?? long.MaxValue, length = file.Length / WrapRecord.Bytes * WrapRecord.Bytes;
        long durable = Math.Min(Math.Min(before, durableLength(name) ?? long.MaxValue), length) / WrapRecord.Bytes; // asked on both sides: what was being appended at one of them may be taken back
        ushort[] prefixes;
        int known;
        lock (gate)
        {
            (prefixes, known) = Remember(file, name.ToString(), durable, block); // append-only up to known: may be read without the gate
        }

        if (SearchAll(file, known * (long)WrapRecord.Bytes, length, reference, block, record))
        {
            return true;
        }

        ushort wanted = MemoryMarshal.Read<ushort>(reference);
        for (int at = prefixes.AsSpan(0, known).LastIndexOf(wanted); at >= 0; at = prefixes.AsSpan(0, at).LastIndexOf(wanted))
        {
            Span<byte> found = block[..WrapRecord.Bytes];
            if (file.ReadAt(at * (long)WrapRecord.Bytes, found) == found.Length && found.Slice(WrapRecord.RefAt, WrapRecord.RefBytes).SequenceEqual(reference))
            {
                found.CopyTo(record);
                return true;
            }
        }

        return false;
    }

    /// <summary>Holder of the gate only. Reads on from where it came to the last time.</summary>
    private (ushort[] Prefixes, int Known) Remember(DurableFile file, string name, long durable, Span<byte> block)
    {
        if (!memories.TryGetValue(name, out Memory? memory))
        {
            memories[name] = memory = new Memory();
        }

        if (durable > memory.Prefixes.Length)
        {
            long room = Math.Max(durable, Math.Min(2L * memory.Prefixes.Length, durable + MostRemembered));
            if (remembered + room - memory.Prefixes.Length > MostRemembered)
            {
                return (memory.Prefixes, memory.Count);
            }

            remembered += room - memory.Prefixes.Length;
            Array.Resize(ref memory.Prefixes, (int)room); // a search under way keeps the array that it began with
        }

        while (memory.Count < durable)
        {
            int length = (int)Math.Min(block.Length, (durable - memory.Count) * WrapRecord.Bytes);
            int read = file.ReadAt(memory.Count * (long)WrapRecord.Bytes, block[..length]) / WrapRecord.Bytes * WrapRecord.Bytes;
            for (int at = 0; at < read; at += WrapRecord.Bytes)
            {
                memory.Prefixes[memory.Count++] = MemoryMarshal.Read<ushort>(block[(at + WrapRecord.RefAt)..]);
            }

            if (read == 0)
            {
                break;
            }
        }

        return (memory.Prefixes, memory.Count);
    }

    private static bool SearchAll(DurableFile file, long from, long end, ReadOnlySpan<byte> reference, Span<byte> block, Span<byte> record)
    {
        while (end > from)
        {
            int length = (int)Math.Min(block.Length, end - from);
            end -= length;
            Span<byte> read = block[..file.ReadAt(end, block[..length])];
            for (int at = read.Length / WrapRecord.Bytes * WrapRecord.Bytes - WrapRecord.Bytes; at >= 0; at -= WrapRecord.Bytes)
            {
                if (read.Slice(at + WrapRecord.RefAt, WrapRecord.RefBytes).SequenceEqual(reference))
                {
                    read.Slice(at, WrapRecord.Bytes).CopyTo(record);
                    return true;
                }
            }
        }

        return false;
    }
}
