using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Evident.Ingest;

/// <summary>
/// Trace and span ids of plain events. A W3C id in hex stays as it is; any other text is hashed with what it is an id of, so that events from
/// several processes that use the same words meet in the same trace, and a repeated event is recognised.
/// </summary>
internal readonly struct EventIds
{
    private readonly byte[] content;

    /// <param name="trace">What the sender calls the trace, or the run; empty when it says neither.</param>
    /// <param name="content">The event's bytes, which stand for an id that is missing.</param>
    public EventIds(ReadOnlySpan<byte> trace, ReadOnlySpan<byte> content)
    {
        this.content = Hash("evident/event/content/v1"u8, content);
        Span<byte> w3c = stackalloc byte[16];
        TraceIsW3C = trace.Length == 32 && HexText.TryRead(trace, w3c) && !TraceId.Read(w3c).IsZero;
        Trace = TraceId.Read(TraceIsW3C ? w3c : Hash("evident/event/trace/v1"u8, trace.IsEmpty ? this.content : trace));
    }

    public TraceId Trace { get; }

    public bool TraceIsW3C { get; }

    /// <summary>Within the event's trace.</summary>
    public SpanId Span(ReadOnlySpan<byte> id)
    {
        Span<byte> w3c = stackalloc byte[8];
        if (id.Length == 16 && HexText.TryRead(id, w3c) && !SpanId.Read(w3c).IsZero)
        {
            return SpanId.Read(w3c);
        }

        byte[] within = new byte[16 + (id.IsEmpty ? content.Length : id.Length)];
        Trace.Write(within);
        (id.IsEmpty ? content : id).CopyTo(within.AsSpan(16));
        return SpanId.Read(Hash("evident/event/span/v1"u8, within));
    }

    private static byte[] Hash(ReadOnlySpan<byte> purpose, ReadOnlySpan<byte> text) => SHA256.HashData([.. purpose, 0, .. text]);
}

/// <summary>Times of plain events: RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size.</summary>
internal static class EventTime
{
    public const string Expected = "an event needs a time: timestamp (or start_ts and end_ts) as RFC 3339 text or as a number since 1970.";

    private const int LastYear = 2286;

    /// <summary>Nanoseconds since 1970; 0 when there is no time that can be read.</summary>
    public static ulong Nanos(ReadOnlySpan<byte> text, double number)
    {
        if (text.IsEmpty)
        {
            return Scale(number);
        }

        if (Utf8Parser.TryParse(text, out double digits, out int used) && used == text.Length)
        {
            return Scale(digits);
        }

        return text.Length is >= 10 and <= 40 && text[4] == '-'
            && DateTimeOffset.TryParse(Encoding.UTF8.GetString(text), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) && time > DateTimeOffset.UnixEpoch && time.Year <= LastYear
            ? (ulong)(time - DateTimeOffset.UnixEpoch).Ticks * 100
            : 0;
    }

    private static ulong Scale(double number) => number switch
    {
        > 0 and < 1e10 => (ulong)(number * 1e9), // up to the year 2286 in every unit
        >= 1e10 and < 1e13 => (ulong)(number * 1e6),
        >= 1e13 and < 1e16 => (ulong)(number * 1e3),
        >= 1e16 and < 1e19 => (ulong)number,
        _ => 0,
    };
}
