using System.Buffers;
using System.Buffers.Text;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>
/// What a text stands for: base64 and base64url inside it, JSON escapes and percent-encoding all over it. A sender's encoding must not carry a secret past the rules. Depth is bounded, and each
/// level is shorter than the one before, so the work is a constant times the text.
/// </summary>
internal static class EncodedText
{
    internal const int Shortest = 12, Longest = 1 << 22, MaxLayers = 3;
    private const int Glance = 16;

    /// <summary>The run at <c>[from, to)</c>, with the base64 characters around it or alone, is base64 of text in which a rule fires.</summary>
    /// <param name="stretchEnd">Where the stretch of base64 characters ends that was looked at last; runs before it are looked at alone.</param>
    internal static bool Find(Redactor redactor, ReadOnlySpan<byte> text, int from, int to, int floor, int depth, ref int stretchEnd, out int start, out int end)
    {
        if (from >= stretchEnd)
        {
            start = from;
            while (start > floor && start > stretchEnd && IsBase64(text[start - 1])) start--;
            end = to;
            while (end < text.Length && IsBase64(text[end])) end++;
            stretchEnd = end;
            if ((start != from || end != to) && Hides(redactor, text[start..end], depth))
            {
                end = Padded(text, end);
                return true;
            }
        }
        start = from;
        end = Padded(text, to);
        return Hides(redactor, text[from..to], depth);
    }

    private static int Padded(ReadOnlySpan<byte> text, int end)
    {
        int padded = end;
        while (padded < text.Length && padded - end < 2 && text[padded] == (byte)'=') padded++;
        return padded;
    }

    private static bool IsBase64(byte c) => KeyRuns.IsMember(c) || c is (byte)'+' or (byte)'/';

    private static bool Hides(Redactor redactor, ReadOnlySpan<byte> encoded, int depth)
    {
        if (!Begins(encoded)) return false;
        byte[] decoded = Decode(encoded, out int length);
        bool hides = length > 0 && redactor.Look(decoded.AsSpan(0, length), depth + 1) != TextLook.Clean;
        ArrayPool<byte>.Shared.Return(decoded);
        return hides;
    }

    // The first twelve bytes decide: of random ones some byte is a control character or no UTF-8, nearly always and mostly the first.
    private static bool Begins(ReadOnlySpan<byte> encoded)
    {
        if (encoded.Length is < Shortest or > Longest) return false;
        int follow = 0; // continuation bytes that the character at hand still needs
        for (int i = 0; i + 4 <= Math.Min(Glance, encoded.Length); i += 4)
        {
            int group = (Sextet(encoded[i]) << 18) | (Sextet(encoded[i + 1]) << 12) | (Sextet(encoded[i + 2]) << 6) | Sextet(encoded[i + 3]);
            if (!IsText(group >> 16, ref follow) || !IsText((group >> 8) & 255, ref follow) || !IsText(group & 255, ref follow)) return false;
        }
        return true;
    }

    // Tab, line feed, carriage return, printable ASCII, or the next byte of a longer UTF-8 character.
    private static bool IsText(int b, ref int follow)
    {
        if (follow > 0)
        {
            follow--;
            return b is >= 0x80 and < 0xC0;
        }
        follow = b switch { < 0xC2 => 0, < 0xE0 => 1, < 0xF0 => 2, _ => 3 };
        return b is (>= 32 and < 127) or 9 or 10 or 13 or (>= 0xC2 and <= 0xF4);
    }

    private static int Sextet(byte c) => c switch
    {
        >= (byte)'a' => c - 'a' + 26,
        (byte)'_' or (byte)'/' => 63,
        >= (byte)'A' => c - 'A',
        >= (byte)'0' => c - '0' + 52,
        _ => 62,
    };

    private static void UrlForm(ReadOnlySpan<byte> encoded, Span<byte> to)
    {
        encoded.CopyTo(to);
        to.Replace((byte)'+', (byte)'-');
        to.Replace((byte)'/', (byte)'_');
    }

    /// <summary>What base64 or base64url says, in a rented array; length 0 when it is no UTF-8 text.</summary>
    internal static byte[] Decode(ReadOnlySpan<byte> encoded, out int length)
    {
        encoded = encoded.TrimEnd((byte)'=');
        // Whole groups of four; what is over is filled up, so that bits behind the last byte do not count.
        int over = encoded.Length % 4, whole = encoded.Length - over, filled = over < 2 ? whole : whole + 4;
        byte[] bytes = ArrayPool<byte>.Shared.Rent(filled);
        bytes.AsSpan(whole, filled - whole).Fill((byte)'A');
        int taken = Math.Min(encoded.Length, filled);
        UrlForm(encoded[..taken], bytes.AsSpan(0, taken));
        length = Base64Url.DecodeFromUtf8InPlace(bytes.AsSpan(0, filled)) - (over < 2 ? 0 : 4 - over);
        if (!Utf8.IsValid(bytes.AsSpan(0, length))) length = 0;
        return bytes;
    }

    /// <summary>The text holds something that escapes or percent-encoding may hide.</summary>
    internal static bool MayHide(ReadOnlySpan<byte> text)
    {
        int at = text.IndexOfAny((byte)'\\', (byte)'%');
        return at >= 0 && at + 2 < text.Length;
    }

    /// <summary>One layer of JSON escapes and one of percent-encoding taken away, in a rented array; false when there was none.</summary>
    internal static bool TryUnwrap(ReadOnlySpan<byte> text, out byte[] plain, out int length)
    {
        plain = ArrayPool<byte>.Shared.Rent(checked(text.Length * 3));
        length = JsonStrings.Unescape(text, plain, out _);
        bool changed = length != text.Length;
        int before = length;
        length = Unpercent(plain.AsSpan(0, length));
        return changed || length != before;
    }

    private static int Unpercent(Span<byte> text)
    {
        int n = text.IndexOf((byte)'%');
        if (n < 0) return text.Length;
        for (int i = n; i < text.Length; i++)
        {
            if (text[i] == (byte)'%' && i + 2 < text.Length && char.IsAsciiHexDigit((char)text[i + 1]) && char.IsAsciiHexDigit((char)text[i + 2]))
            {
                text[n++] = (byte)((Hex(text[i + 1]) << 4) | Hex(text[i + 2]));
                i += 2;
            }
            else
            {
                text[n++] = text[i];
            }
        }
        return n;
    }

    private static int Hex(byte c) => c <= (byte)'9' ? c - '0' : (c | 0x20) - 'a' + 10;
}
