using System.Buffers.Binary;
using System.Globalization;

namespace Evident.Ingest;

/// <summary>W3C trace id: 16 bytes, big-endian in the two halves. Text is 32 lower-case hex digits; all zero is no id.</summary>
public readonly record struct TraceId(ulong High, ulong Low)
{
    public bool IsZero => (High | Low) == 0;

    public static TraceId Read(ReadOnlySpan<byte> bytes16) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes16), BinaryPrimitives.ReadUInt64BigEndian(bytes16[8..]));

    public void Write(Span<byte> bytes16)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes16, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes16[8..], Low);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{High:x16}{Low:x16}");

    /// <summary>Reads 32 hex digits of any case; false for anything else and for the zero id.</summary>
    public static bool TryParse(ReadOnlySpan<char> hex, out TraceId id)
    {
        id = default;
        if (hex.Length != 32 || !HexText.TryParse64(hex[..16], out ulong high) || !HexText.TryParse64(hex[16..], out ulong low)) return false;
        id = new TraceId(high, low);
        return !id.IsZero;
    }
}

/// <summary>W3C span id: 8 bytes, big-endian. Text is 16 lower-case hex digits; zero is no id.</summary>
public readonly record struct SpanId(ulong Value)
{
    public bool IsZero => Value == 0;

    public static SpanId Read(ReadOnlySpan<byte> bytes8) => new(BinaryPrimitives.ReadUInt64BigEndian(bytes8));

    public void Write(Span<byte> bytes8) => BinaryPrimitives.WriteUInt64BigEndian(bytes8, Value);

    public override string ToString() => Value.ToString("x16", CultureInfo.InvariantCulture);

    /// <summary>Reads 16 hex digits of any case; false for anything else and for the zero id.</summary>
    public static bool TryParse(ReadOnlySpan<char> hex, out SpanId id)
    {
        id = default;
        if (hex.Length != 16 || !HexText.TryParse64(hex, out ulong value)) return false;
        id = new SpanId(value);
        return value != 0;
    }
}

/// <summary>What names a span inside one workspace. Text is <c>trace/span</c> in lower-case hex.</summary>
public readonly record struct SpanKey(TraceId Trace, SpanId Span)
{
    public override string ToString() => $"{Trace}/{Span}";

    public static bool TryParse(ReadOnlySpan<char> text, out SpanKey key)
    {
        key = default;
        if (text.Length != 49 || text[32] != '/' || !TraceId.TryParse(text[..32], out var trace) || !SpanId.TryParse(text[33..], out var span)) return false;
        key = new SpanKey(trace, span);
        return true;
    }
}

internal static class HexText
{
    internal static bool TryParse64(ReadOnlySpan<char> hex16, out ulong value)
    {
        value = 0;
        foreach (char c in hex16)
        {
            if (!char.IsAsciiHexDigit(c)) return false;
            value = (value << 4) | (uint)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        return true;
    }

    /// <summary>Lower-case hex digits of <paramref name="bytes"/>; <paramref name="to"/> has room for two per byte.</summary>
    internal static void Write(ReadOnlySpan<byte> bytes, Span<byte> to)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            to[2 * i] = "0123456789abcdef"u8[bytes[i] >> 4];
            to[2 * i + 1] = "0123456789abcdef"u8[bytes[i] & 15];
        }
    }

    /// <summary>Reads hex digits of any case, two per byte of <paramref name="to"/>; false for anything else.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> hex, Span<byte> to)
    {
        if (hex.Length != to.Length * 2) return false;
        for (int i = 0; i < hex.Length; i++)
        {
            byte c = hex[i];
            if (!char.IsAsciiHexDigit((char)c)) return false;
            int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
            to[i / 2] = (byte)((i & 1) == 0 ? digit << 4 : to[i / 2] | digit);
        }
        return true;
    }
}
