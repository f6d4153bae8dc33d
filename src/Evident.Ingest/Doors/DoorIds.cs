using System.Security.Cryptography;

namespace Evident.Ingest;

/// <summary>Span ids of senders whose own are free words, within a trace: the same word always gives the same id, and the trace itself has one for the span above all others.</summary>
internal readonly struct DoorIds(TraceId trace)
{
    private readonly TraceId trace = trace;

    public SpanId Root => Hash("evident/door/root/v1\0"u8, default);

    /// <summary>All zero for the empty word. 16 hex digits stay as they are.</summary>
    public SpanId Span(ReadOnlySpan<byte> word)
    {
        Span<byte> w3c = stackalloc byte[8];
        return word.IsEmpty ? default
            : word.Length == 16 && HexText.TryRead(word, w3c) && !SpanId.Read(w3c).IsZero ? SpanId.Read(w3c)
            : Hash("evident/door/span/v1\0"u8, word);
    }

    /// <summary>Of a trace's own word: 32 hex digits and UUIDs as they are, everything else hashed; all zero for the empty one.</summary>
    public static TraceId Trace(ReadOnlySpan<byte> word) => word.IsEmpty ? default
        : Uuid.Trace(word) is { IsZero: false } known ? known
        : TraceId.Read(SHA256.HashData([.. "evident/door/trace/v1\0"u8, .. word]));

    private SpanId Hash(ReadOnlySpan<byte> purpose, ReadOnlySpan<byte> word)
    {
        byte[] message = new byte[purpose.Length + 16 + word.Length];
        purpose.CopyTo(message);
        trace.Write(message.AsSpan(purpose.Length));
        word.CopyTo(message.AsSpan(purpose.Length + 16));
        return SpanId.Read(SHA256.HashData(message));
    }
}
