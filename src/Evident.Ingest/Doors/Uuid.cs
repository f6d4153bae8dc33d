namespace Evident.Ingest;

/// <summary>
/// Trace and span ids out of UUIDs (LangSmith and those that do as it does): the trace's is its 32 hex digits, a span's is its last 8 bytes, which are random in versions 4 and 7 (ingest-protocols 14.1).
/// </summary>
internal static class Uuid
{
    private const int TextLength = 36;

    /// <summary>8-4-4-4-12 hex digits in any case, or the same 32 without dashes.</summary>
    public static bool TryRead(ReadOnlySpan<byte> text, Span<byte> bytes)
    {
        Span<byte> digits = stackalloc byte[32];
        if (text.Length == TextLength && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-')
        {
            text[..8].CopyTo(digits);
            text[9..13].CopyTo(digits[8..]);
            text[14..18].CopyTo(digits[12..]);
            text[19..23].CopyTo(digits[16..]);
            text[24..].CopyTo(digits[20..]);
        }
        else if (text.Length == digits.Length)
        {
            text.CopyTo(digits);
        }
        else
        {
            return false;
        }

        return HexText.TryRead(digits, bytes);
    }

    /// <summary>All zero when the text is none.</summary>
    public static TraceId Trace(ReadOnlySpan<byte> text)
    {
        Span<byte> bytes = stackalloc byte[16];
        return TryRead(text, bytes) ? TraceId.Read(bytes) : default;
    }

    /// <summary>All zero when the text is none.</summary>
    public static SpanId Span(ReadOnlySpan<byte> text)
    {
        Span<byte> bytes = stackalloc byte[16];
        return TryRead(text, bytes) ? SpanId.Read(bytes[8..]) : default;
    }
}
