namespace Evident.Ledger;

/// <summary>
/// The modules of one QR symbol (ISO/IEC 18004:2015, 6.3 and 7.7 to 7.10): function patterns, codewords in their zigzag, the mask with the least penalty, format and
/// version information. No quiet zone.
/// </summary>
internal sealed class QrMatrix
{
    private readonly int version;
    private readonly bool medium;
    private readonly bool[] dark;
    private readonly bool[] fixedModule; // belongs to a function pattern: no data, no mask

    private QrMatrix(int version, bool medium)
    {
        (this.version, this.medium) = (version, medium);
        Size = 17 + (4 * version);
        dark = new bool[Size * Size];
        fixedModule = new bool[Size * Size];
    }

    /// <summary>Modules along one side: 21 to 177.</summary>
    public int Size { get; }

    /// <summary>True when the module in that column and row is dark; outside all is light.</summary>
    public bool this[int x, int y] => x >= 0 && y >= 0 && x < Size && y < Size && dark[(y * Size) + x];

    /// <param name="content">At most <see cref="QrCodewords.Capacity"/> bytes of that version and level.</param>
    public static QrMatrix Of(ReadOnlySpan<byte> content, int version, bool medium)
    {
        var matrix = new QrMatrix(version, medium);
        matrix.DrawFunctionPatterns();
        matrix.Place(QrCodewords.Build(content, version, medium));
        int best = 0, least = int.MaxValue;
        for (int mask = 0; mask < 8; mask++)
        {
            matrix.Mask(mask);
            matrix.DrawFormat(mask);
            int penalty = matrix.Penalty();
            if (penalty < least)
            {
                (best, least) = (mask, penalty);
            }

            matrix.Mask(mask); // the same again takes it off
        }

        matrix.Mask(best);
        matrix.DrawFormat(best);
        return matrix;
    }

    private void Set(int x, int y, bool on)
    {
        dark[(y * Size) + x] = on;
        fixedModule[(y * Size) + x] = true;
    }

    private void DrawFunctionPatterns()
    {
        for (int i = 0; i < Size; i++)
        {
            Set(6, i, i % 2 == 0);
            Set(i, 6, i % 2 == 0);
        }

        DrawFinder(3, 3);
        DrawFinder(Size - 4, 3);
        DrawFinder(3, Size - 4);
        DrawAlignment();
        DrawFormat(0); // keeps its place; the true one follows the mask
        DrawVersion();
    }

    /// <summary>Concentric squares around (x, y), the light separator included.</summary>
    private void DrawFinder(int x, int y)
    {
        for (int dy = -4; dy <= 4; dy++)
        {
            for (int dx = -4; dx <= 4; dx++)
            {
                int ring = Math.Max(Math.Abs(dx), Math.Abs(dy));
                if (x + dx >= 0 && x + dx < Size && y + dy >= 0 && y + dy < Size)
                {
                    Set(x + dx, y + dy, ring is not (2 or 4));
                }
            }
        }
    }

    private void DrawAlignment()
    {
        if (version == 1)
        {
            return;
        }

        int count = (version / 7) + 2;
        int step = ((version * 8) + (count * 3) + 5) / ((count * 4) - 4) * 2; // annex E, as one formula
        for (int row = 0; row < count; row++)
        {
            for (int column = 0; column < count; column++)
            {
                bool corner = (row == 0 && column == 0) || (row == 0 && column == count - 1) || (row == count - 1 && column == 0);
                if (!corner)
                {
                    DrawAlignment(Centre(column), Centre(row));
                }
            }
        }

        int Centre(int index) => index == 0 ? 6 : Size - 7 - ((count - 1 - index) * step);
    }

    private void DrawAlignment(int x, int y)
    {
        for (int dy = -2; dy <= 2; dy++)
        {
            for (int dx = -2; dx <= 2; dx++)
            {
                Set(x + dx, y + dy, Math.Max(Math.Abs(dx), Math.Abs(dy)) != 1);
            }
        }
    }

    /// <summary>Level (L = 01, M = 00) and mask, with their BCH code, twice.</summary>
    private void DrawFormat(int mask)
    {
        int data = ((medium ? 0 : 1) << 3) | mask;
        int bits = ((data << 10) | Bch(data, 10, 0x537)) ^ 0x5412;
        for (int i = 0; i < 15; i++)
        {
            bool on = ((bits >> i) & 1) == 1;
            int near = i < 6 ? i : i < 8 ? i + 1 : i == 8 ? 7 : 14 - i;
            if (i < 8)
            {
                Set(8, near, on);
                Set(Size - 1 - i, 8, on);
            }
            else
            {
                Set(near, 8, on);
                Set(8, Size - 15 + i, on);
            }
        }

        Set(8, Size - 8, true);
    }

    private void DrawVersion()
    {
        if (version < 7)
        {
            return;
        }

        int bits = (version << 12) | Bch(version, 12, 0x1F25);
        for (int i = 0; i < 18; i++)
        {
            bool on = ((bits >> i) & 1) == 1;
            Set(Size - 11 + (i % 3), i / 3, on);
            Set(i / 3, Size - 11 + (i % 3), on);
        }
    }

    private static int Bch(int data, int degree, int generator)
    {
        int rest = data;
        for (int i = 0; i < degree; i++)
        {
            rest = (rest << 1) ^ ((rest >> (degree - 1)) * generator);
        }

        return rest;
    }

    /// <summary>Two columns at a time from the right, up and down in turn, around the vertical timing pattern.</summary>
    private void Place(byte[] codewords)
    {
        int bit = 0;
        for (int right = Size - 1; right >= 1; right -= 2)
        {
            if (right == 6)
            {
                right = 5;
            }

            bool upward = ((right + 1) & 2) == 0;
            for (int step = 0; step < Size; step++)
            {
                int y = upward ? Size - 1 - step : step;
                for (int x = right; x >= right - 1; x--)
                {
                    if (!fixedModule[(y * Size) + x] && bit < codewords.Length * 8)
                    {
                        dark[(y * Size) + x] = ((codewords[bit / 8] >> (7 - (bit % 8))) & 1) == 1;
                        bit++;
                    }
                }
            }
        }
    }

    private void Mask(int mask)
    {
        for (int y = 0; y < Size; y++)
        {
            for (int x = 0; x < Size; x++)
            {
                bool flip = mask switch
                {
                    0 => (x + y) % 2 == 0,
                    1 => y % 2 == 0,
                    2 => x % 3 == 0,
                    3 => (x + y) % 3 == 0,
                    4 => ((x / 3) + (y / 2)) % 2 == 0,
                    5 => (x * y % 2) + (x * y % 3) == 0,
                    6 => ((x * y % 2) + (x * y % 3)) % 2 == 0,
                    _ => (((x + y) % 2) + (x * y % 3)) % 2 == 0,
                };
                dark[(y * Size) + x] ^= flip && !fixedModule[(y * Size) + x];
            }
        }
    }

    /// <summary>Long runs, 2 x 2 squares, what looks like a finder, and a share of dark modules far from one half (7.8.3).</summary>
    private int Penalty()
    {
        int penalty = 0, count = 0;
        for (int line = 0; line < Size; line++)
        {
            penalty += PenaltyOfLine(line, Size) + PenaltyOfLine(line * Size, 1);
        }

        for (int y = 0; y < Size; y++)
        {
            for (int x = 0; x < Size; x++)
            {
                bool on = this[x, y];
                count += on ? 1 : 0;
                if (x + 1 < Size && y + 1 < Size && on == this[x + 1, y] && on == this[x, y + 1] && on == this[x + 1, y + 1])
                {
                    penalty += 3;
                }
            }
        }

        int total = Size * Size;
        return penalty + (Math.Abs((count * 20) - (total * 10)) / total * 10);
    }

    private int PenaltyOfLine(int start, int stride)
    {
        int penalty = 0, run = 0, window = 0;
        bool last = false;
        for (int i = 0; i < Size; i++)
        {
            bool on = dark[start + (i * stride)];
            run = i > 0 && on == last ? run + 1 : 1;
            last = on;
            penalty += run == 5 ? 3 : run > 5 ? 1 : 0;
            window = ((window << 1) | (on ? 1 : 0)) & 0x7FF;
            penalty += i >= 10 && window is 0b10111010000 or 0b00001011101 ? 40 : 0;
        }

        return penalty;
    }
}
