namespace Evident.Platform;

/// <summary>Crockford base 32 of 16 bytes: 26 upper-case characters, most significant first, as in ULID.</summary>
public static class CrockfordBase32
{
    public const int Length = 26;
    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// <summary>Writes 26 ASCII bytes.</summary>
    public static void Encode16(ReadOnlySpan<byte> value, Span<byte> ascii26)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(value.Length, 16);
        UInt128 bits = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(value);
        for (int i = Length - 1; i >= 0; i--)
        {
            ascii26[i] = (byte)Alphabet[(int)(uint)(bits & 31)];
            bits >>= 5;
        }
    }

    public static string Encode16(ReadOnlySpan<byte> value)
    {
        Span<byte> ascii = stackalloc byte[Length];
        Encode16(value, ascii);
        return System.Text.Encoding.ASCII.GetString(ascii);
    }

    /// <summary>False unless the text is exactly what <see cref="Encode16(ReadOnlySpan{byte})"/> writes.</summary>
    public static bool TryDecode16(ReadOnlySpan<char> text, Span<byte> value)
    {
        if (text.Length != Length || text[0] > '7')
        {
            return false;
        }

        UInt128 bits = 0;
        foreach (char c in text)
        {
            int digit = Alphabet.IndexOf(c, StringComparison.Ordinal);
            if (digit < 0)
            {
                return false;
            }

            bits = (bits << 5) | (uint)digit;
        }

        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(value, bits);
        return true;
    }
}
