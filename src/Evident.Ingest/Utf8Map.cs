using System.Numerics;
using System.Buffers.Binary;
using System.Text;

namespace Evident.Ingest;

/// <summary>
/// A read-only map from UTF-8 keys to values: open addressing over one blob of key bytes. Looking up allocates nothing; the hash reads at most 32 bytes
/// of the key, whatever its length, so that looking up a key's prefixes costs no more than looking up the key.
/// </summary>
internal sealed class Utf8Map<T>
{
    private readonly record struct Entry(int Offset, int Length, T Value);

    private readonly byte[] blob;
    private readonly Entry[] slots;
    private readonly int mask;

    internal Utf8Map(IReadOnlyCollection<KeyValuePair<string, T>> items)
    {
        mask = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(8, items.Count * 3)) - 1;
        slots = new Entry[mask + 1];
        var bytes = new List<byte>();
        foreach (var (key, value) in items)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(key);
            int slot = (int)(Hash(utf8) & (uint)mask);
            while (slots[slot].Length != 0) slot = (slot + 1) & mask;
            slots[slot] = new Entry(bytes.Count, utf8.Length, value);
            bytes.AddRange(utf8);
        }
        blob = [.. bytes];
    }

    internal bool TryGet(ReadOnlySpan<byte> key, out T value)
    {
        value = default!;
        if (key.IsEmpty) return false;
        for (int slot = (int)(Hash(key) & (uint)mask); slots[slot].Length != 0; slot = (slot + 1) & mask)
        {
            ref readonly var entry = ref slots[slot];
            if (entry.Length != key.Length || !blob.AsSpan(entry.Offset, entry.Length).SequenceEqual(key)) continue;
            value = entry.Value;
            return true;
        }
        return false;
    }

    internal static uint Hash(ReadOnlySpan<byte> key)
    {
        unchecked
        {
            ulong hash = (ulong)key.Length * 0x9E3779B97F4A7C15;
            if (key.Length >= 8)
            {
                hash = (hash ^ BinaryPrimitives.ReadUInt64LittleEndian(key)) * 0xFF51AFD7ED558CCD;
                hash = (hash ^ (hash >> 29) ^ BinaryPrimitives.ReadUInt64LittleEndian(key[^8..])) * 0xC4CEB9FE1A85EC53;
                hash = (hash ^ (hash >> 31) ^ BinaryPrimitives.ReadUInt64LittleEndian(key[(key.Length / 2 - 4)..])) * 0x9E3779B97F4A7C15;
            }
            else
            {
                foreach (byte b in key) hash = (hash ^ b) * 0x100000001B3;
                hash *= 0xFF51AFD7ED558CCD;
            }
            return (uint)(hash >> 32);
        }
    }
}

/// <summary>Words that senders use for one of a few meanings: compared without case, with <c>- . / :</c> and blanks read as <c>_</c>.</summary>
internal sealed class Vocabulary<T>(IReadOnlyCollection<KeyValuePair<string, T>> words)
{
    private const int Longest = 48;

    private readonly Utf8Map<T> map = new(words);

    /// <summary>Builds from rows such as <c>("a b c", value)</c>.</summary>
    internal static Vocabulary<T> Of(params ReadOnlySpan<(string Words, T Value)> rows)
    {
        var words = new Dictionary<string, T>();
        foreach (var (row, value) in rows)
            foreach (string word in row.Split(' '))
                words.Add(word, value);
        return new Vocabulary<T>(words);
    }

    internal bool TryGet(ReadOnlySpan<byte> word, out T value)
    {
        value = default!;
        if (word.Length > Longest) return false;
        Span<byte> folded = stackalloc byte[Longest];
        for (int i = 0; i < word.Length; i++)
            folded[i] = word[i] is (byte)'-' or (byte)'.' or (byte)' ' or (byte)'/' or (byte)':' ? (byte)'_' : (byte)char.ToLowerInvariant((char)word[i]);
        return map.TryGet(folded[..word.Length], out value);
    }
}
