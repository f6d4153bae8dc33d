using System.Buffers.Binary;

namespace Evident.Ingest;

/// <summary>SHA-256 over an encoded span without its vault references: equal for a retry of the same span.</summary>
public readonly record struct ContentDigest(ulong A, ulong B, ulong C, ulong D)
{
    public static ContentDigest Read(ReadOnlySpan<byte> bytes32) => new(
        BinaryPrimitives.ReadUInt64BigEndian(bytes32), BinaryPrimitives.ReadUInt64BigEndian(bytes32[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(bytes32[16..]), BinaryPrimitives.ReadUInt64BigEndian(bytes32[24..]));

    public void Write(Span<byte> bytes32)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes32, A);
        BinaryPrimitives.WriteUInt64BigEndian(bytes32[8..], B);
        BinaryPrimitives.WriteUInt64BigEndian(bytes32[16..], C);
        BinaryPrimitives.WriteUInt64BigEndian(bytes32[24..], D);
    }

    /// <summary>64 lower-case hex digits.</summary>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{A:x16}{B:x16}{C:x16}{D:x16}");
}

/// <summary>What the store needs of a clean span without decoding it.</summary>
public struct CleanSpan
{
    public SpanKey Key;
    public ulong StartNanos, EndNanos;
    public Scope Scope;
    public ContentDigest Digest;
    internal Slice Encoding;
}

/// <summary>The clean spans of one request, encoded (docs/span-format.md) in one pooled buffer; valid until disposed.</summary>
public sealed class CleanBatch : IDisposable
{
    private readonly ByteSink buffer = new();
    private CleanSpan[] spans;

    internal CleanBatch(int capacity) => spans = new CleanSpan[capacity];

    public int Count { get; private set; }

    public ref readonly CleanSpan this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count);
            return ref spans[index];
        }
    }

    public ReadOnlySpan<byte> Encoded(int index)
    {
        var slice = this[index].Encoding;
        return buffer.Written.Slice(slice.Offset, slice.Length);
    }

    /// <summary>Spans of the request that were refused at decoding.</summary>
    public int Rejected { get; internal set; }

    public string? RejectedReason { get; internal set; }

    /// <summary>What was found and replaced, over traces and payloads, by <see cref="RedactionRule.Index"/>; empty when nothing was.</summary>
    public ReadOnlyMemory<long> Counts { get; internal set; }

    /// <summary>Staff whose names became pseudonyms; a name may be in it more than once.</summary>
    public IReadOnlyList<StaffName> Staff { get; internal set; } = [];

    internal void Add(CleanSpan span, ReadOnlySpan<byte> core, ReadOnlySpan<byte> seal)
    {
        int start = buffer.Length;
        buffer.WriteByte(SpanEncoding.Version);
        SpanEncoding.Varint(buffer, (ulong)core.Length);
        buffer.Write(core);
        SpanEncoding.Varint(buffer, (ulong)seal.Length);
        buffer.Write(seal);
        span.Encoding = new Slice(start, buffer.Length - start);
        spans[Count++] = span;
    }

    public void Dispose()
    {
        buffer.Dispose();
        spans = [];
        Count = 0;
    }
}
