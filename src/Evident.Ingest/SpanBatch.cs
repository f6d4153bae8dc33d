using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>A stretch of the batch's arena.</summary>
public readonly record struct Slice(int Offset, int Length)
{
    public bool IsEmpty => Length == 0;
}

/// <summary>The stored kinds of a value. <c>Json</c> is an array or key-value list in compact JSON text.</summary>
public enum ValueKind : byte { None = 0, Text = 1, Flag = 2, Integer = 3, Number = 4, Json = 5, Bytes = 6 }

/// <summary>As sent. <see cref="Bits"/> is the integer, the double's bits, or 0/1; text, JSON and bytes are in <see cref="Text"/>.</summary>
public readonly record struct DirtyAttribute(Slice Key, ValueKind Kind, Slice Text, long Bits)
{
    public double Number => BitConverter.Int64BitsToDouble(Bits);
}

/// <summary>A run of records in one of the batch's arrays.</summary>
public readonly record struct RecordRange(int Start, int Count)
{
    public int End => Start + Count;
}

public struct DirtySpan
{
    public TraceId Trace;
    public SpanId Span, Parent;
    public Slice Name, TraceState, StatusMessage;
    public OtlpSpanKind Kind;
    public OtlpStatus Status;
    public uint Flags, DroppedAttributes, DroppedEvents, DroppedLinks;
    public ulong StartNanos, EndNanos;
    public RecordRange Attributes, Events, Links;
    public int Resource, Instrumentation;
}

public struct DirtyEvent
{
    public ulong TimeNanos;
    public Slice Name;
    public RecordRange Attributes;
    public uint DroppedAttributes;
}

public struct DirtyLink
{
    public TraceId Trace;
    public SpanId Span;
    public Slice TraceState;
    public RecordRange Attributes;
    public uint DroppedAttributes, Flags;
}

/// <summary>A resource (<see cref="Name"/> and <see cref="Version"/> empty) or an instrumentation scope.</summary>
public struct DirtyOrigin
{
    public Slice Name, Version;
    public RecordRange Attributes;
    public uint DroppedAttributes;
}

/// <summary>
/// One decoded request, not yet cleaned: pooled arrays of records that point into one pooled arena (the body first, then text that had to be
/// unescaped, repaired or rendered). No object per span; in steady state decoding into a rented batch allocates nothing. Owned by one thread
/// at a time; <see cref="Dispose"/> gives the arrays and the batch back.
/// </summary>
public sealed class SpanBatch : IDisposable
{
    private const int KeptBatches = 8;
    private static readonly System.Collections.Concurrent.ConcurrentBag<SpanBatch> Pool = [];

    private byte[] arena = [];
    private int arenaLength;
    private int transcodedLimit;
    private bool rented;

    internal PooledList<DirtySpan> SpanList;
    internal PooledList<DirtyAttribute> AttributeList;
    internal PooledList<DirtyEvent> EventList;
    internal PooledList<DirtyLink> LinkList;
    internal PooledList<DirtyOrigin> ResourceList;
    internal PooledList<DirtyOrigin> InstrumentationList;

    private SpanBatch() { }

    public static SpanBatch Rent()
    {
        if (!Pool.TryTake(out var batch)) batch = new SpanBatch();
        batch.rented = true;
        return batch;
    }

    public int SpanCount => SpanList.Count;

    /// <summary>Spans that were refused; their siblings are kept.</summary>
    public int Rejected { get; private set; }

    /// <summary>Why the first refused span was refused; never sender text.</summary>
    public string? RejectedReason { get; private set; }

    /// <summary>Strings whose UTF-8 or UTF-16 was invalid and was repaired with U+FFFD.</summary>
    public int RepairedStrings { get; internal set; }

    /// <summary>Links without usable ids; dropped and counted in their span's dropped links.</summary>
    public int InvalidLinks { get; internal set; }

    /// <summary>Spans that carry no usable id at all, the mark of a body of another signal.</summary>
    internal int SpansWithoutIds { get; private set; }

    public ReadOnlySpan<DirtySpan> Spans => SpanList.Items;
    public ReadOnlySpan<DirtyAttribute> Attributes(RecordRange range) => AttributeList.Items.Slice(range.Start, range.Count);
    public ReadOnlySpan<DirtyEvent> Events(RecordRange range) => EventList.Items.Slice(range.Start, range.Count);
    public ReadOnlySpan<DirtyLink> Links(RecordRange range) => LinkList.Items.Slice(range.Start, range.Count);
    public ref readonly DirtyOrigin Resource(int index) => ref ResourceList.Items[index];
    public ref readonly DirtyOrigin Instrumentation(int index) => ref InstrumentationList.Items[index];
    public ReadOnlySpan<byte> Bytes(Slice slice) => arena.AsSpan(slice.Offset, slice.Length);

    internal int ArenaLength => arenaLength;

    /// <summary>Starts a request: forgets the former one and copies the body to the front of the arena.</summary>
    internal void Start(ReadOnlySpan<byte> body, IngestLimits limits)
    {
        ObjectDisposedException.ThrowIf(!rented, this);
        if (body.Length > limits.MaxBodyBytes)
            OtlpDecodeException.Throw(limits.MaxBodyBytes, $"at most {limits.MaxBodyBytes} bytes (configuration value ingest.maxBodyBytes)");
        SpanList.Clear();
        AttributeList.Clear();
        EventList.Clear();
        LinkList.Clear();
        ResourceList.Clear();
        InstrumentationList.Clear();
        Rejected = RepairedStrings = InvalidLinks = SpansWithoutIds = 0;
        RejectedReason = null;
        arenaLength = 0;
        transcodedLimit = checked(body.Length + limits.MaxTranscodedBytes);
        body.CopyTo(Append(body.Length));
    }

    /// <summary>Room for <paramref name="count"/> bytes at the arena's end. The span is valid until the next call.</summary>
    internal Span<byte> Append(int count)
    {
        if (count > transcodedLimit - arenaLength)
            OtlpDecodeException.Throw(arenaLength, "text that grows less when decoded (configuration value ingest.maxTranscodedBytes)");
        if (count > arena.Length - arenaLength)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(arenaLength + count, (int)Math.Min(arena.Length * 2L, Array.MaxLength)));
            arena.AsSpan(0, arenaLength).CopyTo(larger);
            if (arena.Length > 0) ArrayPool<byte>.Shared.Return(arena);
            arena = larger;
        }
        arenaLength += count;
        return arena.AsSpan(arenaLength - count, count);
    }

    internal void AppendByte(byte value) => Append(1)[0] = value;

    internal void AppendText(ReadOnlySpan<byte> utf8) => utf8.CopyTo(Append(utf8.Length));

    /// <summary>Takes back what was appended after <paramref name="length"/>.</summary>
    internal void TruncateArena(int length) => arenaLength = length;

    /// <summary>
    /// The slice for text that stands at <paramref name="offset"/> of the arena when it is valid UTF-8; else a repaired copy at the end,
    /// every maximal invalid subsequence replaced by U+FFFD, and counted.
    /// </summary>
    internal Slice Text(ReadOnlySpan<byte> utf8, int offset)
    {
        if (Utf8.IsValid(utf8)) return new Slice(offset, utf8.Length);
        int start = arenaLength;
        AppendRepaired(utf8);
        return new Slice(start, arenaLength - start);
    }

    internal void AppendRepaired(ReadOnlySpan<byte> utf8)
    {
        RepairedStrings++;
        Span<byte> encoded = stackalloc byte[4];
        while (!utf8.IsEmpty)
        {
            Rune.DecodeFromUtf8(utf8, out var rune, out int consumed);
            AppendText(encoded[..rune.EncodeToUtf8(encoded)]);
            utf8 = utf8[consumed..];
        }
    }

    internal SpanCheckpoint Mark() => new(AttributeList.Count, EventList.Count, LinkList.Count, RepairedStrings, InvalidLinks);

    /// <summary>Forgets the records of a span that is refused, and says why once.</summary>
    internal void Reject(SpanCheckpoint mark, string reason, bool withoutIds = false)
    {
        AttributeList.Truncate(mark.Attributes);
        EventList.Truncate(mark.Events);
        LinkList.Truncate(mark.Links);
        RepairedStrings = mark.Repaired;
        InvalidLinks = mark.InvalidLinks;
        Rejected++;
        RejectedReason ??= reason;
        if (withoutIds) SpansWithoutIds++;
    }

    /// <summary>ingest-protocols 2.9: when no span at all has ids, the body is of another signal or hand-made; nothing of it can be kept.</summary>
    internal void RefuseWhenNothingHasIds()
    {
        if (SpanCount == 0 && Rejected > 0 && SpansWithoutIds == Rejected)
            OtlpDecodeException.Throw(0,
                "spans with a trace id and a span id, but none has them; the likely cause is that logs or metrics were sent to the traces path, or a hand-made exporter that leaves the ids out");
    }

    public void Dispose()
    {
        if (!rented) return;
        rented = false;
        // A batch that grew beyond a usual request returns its memory; a usual one keeps it, so that steady state allocates nothing.
        if (arena.Length > 4 << 20)
        {
            ArrayPool<byte>.Shared.Return(arena);
            arena = [];
        }
        SpanList.Trim();
        AttributeList.Trim();
        EventList.Trim();
        LinkList.Trim();
        if (Pool.Count < KeptBatches) Pool.Add(this);
    }
}

internal readonly record struct SpanCheckpoint(int Attributes, int Events, int Links, int Repaired, int InvalidLinks);

/// <summary>A growing array from the shared pool; a mutable struct that lives in one field of its owner.</summary>
internal struct PooledList<T> where T : struct
{
    private const int KeptItems = 1 << 16;
    private T[]? items;

    public int Count { get; private set; }

    public readonly Span<T> Items => items.AsSpan(0, Count);

    public ref T Add()
    {
        if (items is null || Count == items.Length)
        {
            T[] larger = ArrayPool<T>.Shared.Rent(Math.Max(64, Count * 2));
            if (items is not null)
            {
                items.AsSpan(0, Count).CopyTo(larger);
                ArrayPool<T>.Shared.Return(items);
            }
            items = larger;
        }
        ref T item = ref items[Count++];
        item = default;
        return ref item;
    }

    public void Clear() => Count = 0;

    public void Truncate(int count) => Count = Math.Min(Count, count);

    public void Trim()
    {
        Count = 0;
        if (items is null || items.Length <= KeptItems) return;
        ArrayPool<T>.Shared.Return(items);
        items = null;
    }
}
