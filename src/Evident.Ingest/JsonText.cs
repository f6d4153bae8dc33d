using System.Buffers.Text;
using System.Globalization;

namespace Evident.Ingest;

/// <summary>
/// The one way in which this library writes JSON strings and numbers, so that equal values give equal bytes whatever encoding they came in:
/// RFC 8785 section 3.2.2 (ECMAScript number form; only <c>"</c>, <c>\</c> and control characters escaped).
/// </summary>
internal static class JsonText
{
    private static readonly System.Buffers.SearchValues<byte> Escaped = System.Buffers.SearchValues.Create(
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, (byte)'"', (byte)'\\']);

    /// <summary>Bytes that <see cref="WriteString"/> needs at most.</summary>
    internal static int MaxStringBytes(int utf8Length) => checked(utf8Length * 6 + 2);

    /// <summary>Bytes of <paramref name="utf8"/> as a JSON string with its quotes.</summary>
    internal static int StringLength(ReadOnlySpan<byte> utf8)
    {
        int length = utf8.Length + 2;
        for (int i; (i = utf8.IndexOfAny(Escaped)) >= 0; utf8 = utf8[(i + 1)..])
            length += utf8[i] is (byte)'"' or (byte)'\\' or 8 or 9 or 10 or 12 or 13 ? 1 : 5;
        return length;
    }

    /// <summary>Writes <paramref name="utf8"/> (valid UTF-8) as a JSON string and returns the bytes written.</summary>
    internal static int WriteString(ReadOnlySpan<byte> utf8, Span<byte> to)
    {
        int n = 0;
        to[n++] = (byte)'"';
        while (true)
        {
            int plain = utf8.IndexOfAny(Escaped);
            if (plain < 0) plain = utf8.Length;
            utf8[..plain].CopyTo(to[n..]);
            n += plain;
            if (plain == utf8.Length) break;
            byte c = utf8[plain];
            to[n++] = (byte)'\\';
            byte letter = c switch { 8 => (byte)'b', 9 => (byte)'t', 10 => (byte)'n', 12 => (byte)'f', 13 => (byte)'r', (byte)'"' => c, (byte)'\\' => c, _ => (byte)'u' };
            to[n++] = letter;
            if (letter == (byte)'u')
            {
                to[n++] = (byte)'0';
                to[n++] = (byte)'0';
                to[n++] = (byte)(c >= 16 ? '1' : '0');
                to[n++] = (byte)"0123456789abcdef"[c & 15];
            }
            utf8 = utf8[(plain + 1)..];
        }
        to[n++] = (byte)'"';
        return n;
    }

    internal static int WriteInteger(long value, Span<byte> to)
    {
        Utf8Formatter.TryFormat(value, to, out int written);
        return written;
    }

    /// <summary>
    /// ECMAScript <c>Number::toString</c> (RFC 8785 3.2.2.3) for a finite double, at most 25 bytes. Not-a-number and infinities, which JSON cannot
    /// say, become the strings that protobuf JSON uses.
    /// </summary>
    internal static int WriteNumber(double value, Span<byte> to)
    {
        if (!double.IsFinite(value))
        {
            var name = NonFinite(value);
            to[0] = (byte)'"';
            name.CopyTo(to[1..]);
            to[name.Length + 1] = (byte)'"';
            return name.Length + 2;
        }
        if (value == 0)
        {
            to[0] = (byte)'0';
            return 1;
        }
        Span<byte> shortest = stackalloc byte[32];
        value.TryFormat(shortest, out int length, "R", CultureInfo.InvariantCulture);
        Span<byte> digits = stackalloc byte[32];
        int point = Decimal(shortest[..length], digits, out int count, out bool negative);

        int n = 0;
        if (negative) to[n++] = (byte)'-';
        var d = digits[..count];
        if (count <= point && point <= 21)
        {
            d.CopyTo(to[n..]);
            n += count;
            to.Slice(n, point - count).Fill((byte)'0');
            n += point - count;
        }
        else if (point is > 0 and <= 21)
        {
            d[..point].CopyTo(to[n..]);
            n += point;
            to[n++] = (byte)'.';
            d[point..].CopyTo(to[n..]);
            n += count - point;
        }
        else if (point is > -6 and <= 0)
        {
            to[n++] = (byte)'0';
            to[n++] = (byte)'.';
            to.Slice(n, -point).Fill((byte)'0');
            n += -point;
            d.CopyTo(to[n..]);
            n += count;
        }
        else
        {
            to[n++] = d[0];
            if (count > 1)
            {
                to[n++] = (byte)'.';
                d[1..].CopyTo(to[n..]);
                n += count - 1;
            }
            to[n++] = (byte)'e';
            to[n++] = (byte)(point - 1 < 0 ? '-' : '+');
            n += WriteInteger(Math.Abs(point - 1), to[n..]);
        }
        return n;
    }

    internal static ReadOnlySpan<byte> NonFinite(double value) => double.IsNaN(value) ? "NaN"u8 : value > 0 ? "Infinity"u8 : "-Infinity"u8;

    /// <summary>
    /// Reads decimal text (JSON's grammar) as <c>0.d1d2d3… × 10^point</c> with neither leading nor trailing zeros: two texts name the same number exactly
    /// when sign, digits and point are equal. Zero has no digits. Text with more digits than <paramref name="digits"/> holds gives a count of -1.
    /// </summary>
    internal static int Decimal(ReadOnlySpan<byte> text, Span<byte> digits, out int count, out bool negative)
    {
        negative = text.Length > 0 && text[0] == (byte)'-';
        int i = negative ? 1 : 0, point = 0, exponent = 0;
        bool fraction = false;
        count = 0;
        for (; i < text.Length; i++)
        {
            byte c = text[i];
            if (c == (byte)'.') { fraction = true; continue; }
            if (c is (byte)'e' or (byte)'E')
            {
                // An exponent beyond nine digits is beyond any double as well.
                var rest = text[(i + 1)..];
                if (rest.Length > 0 && rest[0] == (byte)'+') rest = rest[1..];
                if (!Utf8Parser.TryParse(rest, out exponent, out int used) || used != rest.Length || Math.Abs((long)exponent) > 999_999) { count = -1; return 0; }
                break;
            }
            if (count == 0 && c == (byte)'0')
            {
                if (fraction) point--;
                continue;
            }
            if (count == digits.Length) { count = -1; return 0; }
            digits[count++] = c;
            if (!fraction) point++;
        }
        while (count > 0 && digits[count - 1] == (byte)'0') count--;
        return count == 0 ? 0 : point + exponent;
    }
}
