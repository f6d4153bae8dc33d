namespace Evident.Ledger;

/// <summary>
/// From bytes to the codewords of a QR symbol (ISO/IEC 18004:2015, 7.4 and 7.5): one segment in byte mode, padding, Reed-Solomon blocks, interleaving.
/// Levels L and M of versions 1 to 40. Tables are indexed by version - 1.
/// </summary>
internal static class QrCodewords
{
    public const int Versions = 40;

    /// <summary>What version 40 at level L holds.</summary>
    public const int MaxBytes = 2_953;

    // Table 9 of the standard: error correction codewords in each block, and number of blocks.
    private static ReadOnlySpan<byte> CheckL =>
        [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30];

    private static ReadOnlySpan<byte> CheckM =>
        [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28];

    private static ReadOnlySpan<byte> BlocksL =>
        [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25];

    private static ReadOnlySpan<byte> BlocksM =>
        [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49];

    /// <summary>Modules that are left for codewords: all but finder, timing, alignment, format and version patterns.</summary>
    private static int DataModules(int version)
    {
        int modules = (((16 * version) + 128) * version) + 64;
        if (version >= 2)
        {
            int aligned = (version / 7) + 2;
            modules -= (((25 * aligned) - 10) * aligned) - 55;
        }

        return version >= 7 ? modules - 36 : modules;
    }

    /// <summary>Bytes of content that a version holds: its data codewords without mode (4 bits), length (8 or 16 bits) and terminator (4 bits).</summary>
    public static int Capacity(int version, bool medium)
    {
        var (check, blocks) = BlocksOf(version, medium);
        return (DataModules(version) / 8) - (check * blocks) - (version < 10 ? 2 : 3);
    }

    /// <summary>The smallest version that holds that many bytes, and level M where that version still does.</summary>
    /// <exception cref="ArgumentOutOfRangeException">More than <see cref="MaxBytes"/>.</exception>
    public static (int Version, bool Medium) Fit(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, MaxBytes);
        int version = 1;
        while (Capacity(version, medium: false) < length)
        {
            version++;
        }

        return (version, Capacity(version, medium: true) >= length);
    }

    /// <summary>All codewords in the order in which the symbol holds them.</summary>
    public static byte[] Build(ReadOnlySpan<byte> content, int version, bool medium)
    {
        var (check, blocks) = BlocksOf(version, medium);
        int total = DataModules(version) / 8;
        byte[] data = Data(content, version, total - (check * blocks));
        Span<byte> generator = stackalloc byte[check];
        Generator(generator);

        // The first blocks are one data codeword shorter than the last ones; codewords are taken from all blocks in turn.
        int shortBlocks = blocks - (total % blocks), shortData = (total / blocks) - check;
        byte[] result = new byte[total];
        Span<byte> remainder = stackalloc byte[check];
        for (int block = 0, at = 0; block < blocks; block++)
        {
            int length = shortData + (block < shortBlocks ? 0 : 1);
            var part = data.AsSpan(at, length);
            at += length;
            Remainder(part, generator, remainder);
            for (int i = 0; i < length; i++)
            {
                result[i < shortData ? (i * blocks) + block : (shortData * blocks) + block - shortBlocks] = part[i];
            }

            for (int i = 0; i < check; i++)
            {
                result[data.Length + (i * blocks) + block] = remainder[i];
            }
        }

        return result;
    }

    private static (int Check, int Blocks) BlocksOf(int version, bool medium) =>
        medium ? (CheckM[version - 1], BlocksM[version - 1]) : (CheckL[version - 1], BlocksL[version - 1]);

    // Mode and length put the content at half a byte; the terminator's four zero bits fill the other half.
    private static byte[] Data(ReadOnlySpan<byte> content, int version, int capacity)
    {
        byte[] data = new byte[capacity];
        int halves = 0;
        Put(data, 4, ref halves); // byte mode
        for (int shift = version < 10 ? 4 : 12; shift >= 0; shift -= 4)
        {
            Put(data, content.Length >> shift, ref halves);
        }

        foreach (byte one in content)
        {
            Put(data, one >> 4, ref halves);
            Put(data, one, ref halves);
        }

        bool odd = true;
        for (int i = (halves + 1) / 2; i < capacity; i++, odd = !odd)
        {
            data[i] = odd ? (byte)0xEC : (byte)0x11;
        }

        return data;

        static void Put(byte[] data, int value, ref int halves)
        {
            data[halves / 2] |= (byte)((value & 15) << (halves % 2 == 0 ? 4 : 0));
            halves++;
        }
    }

    /// <summary>Coefficients of (x - 1)(x - 2)(x - 4) ... below the leading one, highest power first.</summary>
    private static void Generator(Span<byte> coefficients)
    {
        coefficients.Clear();
        coefficients[^1] = 1;
        byte root = 1;
        for (int i = 0; i < coefficients.Length; i++)
        {
            for (int j = 0; j < coefficients.Length; j++)
            {
                coefficients[j] = Multiply(coefficients[j], root);
                if (j + 1 < coefficients.Length)
                {
                    coefficients[j] ^= coefficients[j + 1];
                }
            }

            root = Multiply(root, 2);
        }
    }

    private static void Remainder(ReadOnlySpan<byte> data, ReadOnlySpan<byte> generator, Span<byte> remainder)
    {
        remainder.Clear();
        foreach (byte one in data)
        {
            byte factor = (byte)(one ^ remainder[0]);
            remainder[1..].CopyTo(remainder);
            remainder[^1] = 0;
            for (int i = 0; i < remainder.Length; i++)
            {
                remainder[i] ^= Multiply(generator[i], factor);
            }
        }
    }

    /// <summary>In GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.</summary>
    private static byte Multiply(byte a, byte b)
    {
        int product = 0;
        for (int bit = 7; bit >= 0; bit--)
        {
            product = (product << 1) ^ ((product >> 7) * 0x11D);
            product ^= ((b >> bit) & 1) * a;
        }

        return (byte)product;
    }
}
