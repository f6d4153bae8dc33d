using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>JSON string contents to text. Lone surrogates (RFC 8259 section 8.2 leaves them open) and invalid UTF-8 become U+FFFD.</summary>
internal static class JsonStrings
{
    /// <summary>Whether a string or property name token says <paramref name="name"/>. (The reader's own comparison throws for lone surrogates.)</summary>
    internal static bool Is(ref System.Text.Json.Utf8JsonReader reader, ReadOnlySpan<byte> name)
    {
        if (!reader.ValueIsEscaped) return reader.ValueSpan.SequenceEqual(name);
        byte[] text = Decode(reader.ValueSpan, out int length, out _);
        bool same = text.AsSpan(0, length).SequenceEqual(name);
        ArrayPool<byte>.Shared.Return(text);
        return same;
    }

    /// <summary>Unescapes what stands between the quotes of a well-formed JSON string. Never longer than <paramref name="raw"/> when that is valid UTF-8.</summary>
    /// <param name="repaired">A lone surrogate was replaced.</param>
    internal static int Unescape(ReadOnlySpan<byte> raw, Span<byte> to, out bool repaired)
    {
        repaired = false;
        int n = 0;
        while (true)
        {
            int plain = raw.IndexOf((byte)'\\');
            if (plain < 0) plain = raw.Length;
            raw[..plain].CopyTo(to[n..]);
            n += plain;
            if (plain + 1 >= raw.Length) return n;
            byte c = raw[plain + 1];
            raw = raw[(plain + 2)..];
            if (c != (byte)'u')
            {
                to[n++] = c switch { (byte)'b' => 8, (byte)'t' => 9, (byte)'n' => 10, (byte)'f' => 12, (byte)'r' => 13, _ => c };
                continue;
            }
            int unit = Unit(raw);
            raw = raw[Math.Min(4, raw.Length)..];
            if (char.IsHighSurrogate((char)unit) && raw.Length >= 6 && raw[0] == (byte)'\\' && raw[1] == (byte)'u' && char.IsLowSurrogate((char)Unit(raw[2..])))
            {
                unit = char.ConvertToUtf32((char)unit, (char)Unit(raw[2..]));
                raw = raw[6..];
            }
            if (!Rune.TryCreate(unit, out var rune))
            {
                rune = Rune.ReplacementChar;
                repaired = true;
            }
            n += rune.EncodeToUtf8(to[n..]);
        }
    }

    private static int Unit(ReadOnlySpan<byte> hex)
    {
        int value = 0;
        for (int i = 0; i < 4; i++)
        {
            int c = i < hex.Length ? hex[i] : 'x';
            if (!char.IsAsciiHexDigit((char)c)) return 0xD800;
            value = (value << 4) | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        return value;
    }

    /// <summary>The text of a JSON string token, in a rented array that the caller returns.</summary>
    internal static byte[] Decode(ReadOnlySpan<byte> raw, out int length, out bool repaired)
    {
        if (Utf8.IsValid(raw))
        {
            byte[] text = ArrayPool<byte>.Shared.Rent(raw.Length);
            length = Unescape(raw, text, out repaired);
            return text;
        }
        byte[] valid = ArrayPool<byte>.Shared.Rent(checked(raw.Length * 3));
        int n = 0;
        while (!raw.IsEmpty)
        {
            Rune.DecodeFromUtf8(raw, out var rune, out int consumed);
            n += rune.EncodeToUtf8(valid.AsSpan(n));
            raw = raw[consumed..];
        }
        length = Unescape(valid.AsSpan(0, n), valid, out _);
        repaired = true;
        return valid;
    }
}
