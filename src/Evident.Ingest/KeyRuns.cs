using System.Buffers;
using System.Numerics;
using System.Runtime.Intrinsics;

namespace Evident.Ingest;

/// <summary>
/// What the first level of the scan sees of 64 bytes, one bit per byte. Keys and tokens are long runs without a gap, ordinary words are not: however many shapes are
/// known, ordinary text costs one pass over these masks.
/// </summary>
internal readonly record struct BlockMasks(ulong Key, ulong Digit, ulong Mark)
{
    internal const int Size = 64;

    /// <summary>Masks of the first 64 bytes, or of all when there are fewer.</summary>
    internal static BlockMasks Of(ReadOnlySpan<byte> text)
    {
        if (text.Length >= Size) return Of64(text);
        Span<byte> padded = stackalloc byte[Size];
        padded.Clear();
        text.CopyTo(padded);
        return Of64(padded);
    }

    private static BlockMasks Of64(ReadOnlySpan<byte> block)
    {
        ulong key = 0, digit = 0, mark = 0;
        for (int i = 0; i < Size; i += 16)
        {
            var bytes = Vector128.Create(block.Slice(i, 16));
            var digits = Vector128.LessThan(bytes - Vector128.Create((byte)'0'), Vector128.Create((byte)10));
            var letters = Vector128.LessThan((bytes | Vector128.Create((byte)0x20)) - Vector128.Create((byte)'a'), Vector128.Create((byte)26));
            var joints = Vector128.Equals(bytes, Vector128.Create((byte)'_')) | Vector128.Equals(bytes, Vector128.Create((byte)'-'));
            var marks = Vector128.Equals(bytes, Vector128.Create((byte)'@')) | Vector128.Equals(bytes, Vector128.Create((byte)'=')) | Vector128.Equals(bytes, Vector128.Create((byte)':'));
            key |= (ulong)(digits | letters | joints).ExtractMostSignificantBits() << i;
            digit |= (ulong)digits.ExtractMostSignificantBits() << i;
            mark |= (ulong)marks.ExtractMostSignificantBits() << i;
        }
        return new BlockMasks(key, digit, mark);
    }

    /// <summary>Bits where a run of at least <see cref="KeyRuns.Shortest"/> key bytes begins.</summary>
    /// <param name="next">The masks of the 64 bytes behind.</param>
    /// <param name="joined">The byte before the block is a key byte.</param>
    internal ulong RunStarts(in BlockMasks next, bool joined)
    {
        // Bit p of "of n" says that n bytes from p on are key bytes; lo is this block, hi the one behind.
        ulong lo = Key, hi = next.Key;
        ulong lo2 = lo & ((lo >> 1) | (hi << 63)), hi2 = hi & (hi >> 1);
        ulong lo4 = lo2 & ((lo2 >> 2) | (hi2 << 62)), hi4 = hi2 & (hi2 >> 2);
        ulong lo8 = lo4 & ((lo4 >> 4) | (hi4 << 60));
        ulong lo10 = lo8 & ((lo2 >> 8) | (hi2 << 56));
        return lo10 & ~((lo << 1) | (joined ? 1UL : 0));
    }

    /// <summary>Bits where a run of digits begins.</summary>
    internal ulong DigitStarts(bool joined) => Digit & ~((Digit << 1) | (joined ? 1UL : 0));
}

/// <summary>Runs of letters, digits, <c>_</c> and <c>-</c>: what every key and token has at least ten of in a row.</summary>
internal static class KeyRuns
{
    internal const int Shortest = 10;

    private static readonly SearchValues<byte> Members = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"u8);

    internal static bool IsMember(byte c) => char.IsAsciiLetterOrDigit((char)c) || c is (byte)'_' or (byte)'-';

    internal static int Length(ReadOnlySpan<byte> text)
    {
        int end = text.IndexOfAnyExcept(Members);
        return end < 0 ? text.Length : end;
    }

    internal static int FirstBit(ulong mask) => mask == 0 ? int.MaxValue : BitOperations.TrailingZeroCount(mask);
}
