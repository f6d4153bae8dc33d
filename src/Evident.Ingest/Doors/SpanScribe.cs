using System.Text.Json;

namespace Evident.Ingest;

/// <summary>
/// Writes one span of a vendor's own JSON into the batch: ids, times and attributes under names that the convention table knows, in whatever order the members come. A door says what a member is called here and
/// nothing else; what it means is said by conventions.tsv. Values are read where they stand; a value that is null is none.
/// </summary>
internal ref struct SpanScribe
{
    public const string NoId = "an item has no id, or one that is no id.", NoTime = "an item has no time that can be read.";

    private readonly IngestLimits limits;
    private readonly SpanBatch into;
    private readonly int first;
    private int shift;
    private readonly SpanCheckpoint mark;
    private uint dropped;

    /// <param name="shift">Where the reader's text begins in the batch's arena.</param>
    public SpanScribe(IngestLimits limits, SpanBatch into, int shift = 0)
    {
        (this.limits, this.into, this.shift) = (limits, into, shift);
        first = into.AttributeList.Count;
        mark = into.Mark();
    }

    public TraceId Trace;
    public SpanId Span, Parent;
    public Slice Name, StatusMessage;
    public OtlpStatus Status;

    /// <summary>Nanoseconds since 1970; 0 while it is not known: an update of a span may say one of them only.</summary>
    public ulong Start, End;

    /// <summary>It adds to a span that was sent before, and need not say when that was.</summary>
    public bool IsUpdate;

    /// <summary>The first reason why it cannot be stored; null while there is none.</summary>
    public string? Refused;

    /// <summary>The next reader's text begins elsewhere in the arena.</summary>
    public void Move(int to) => shift = to;

    public readonly ReadOnlySpan<byte> Bytes(Slice slice) => into.Bytes(slice);

    /// <summary>The text of a string or number; empty for everything else, which is passed.</summary>
    public readonly Slice Text(ref Utf8JsonReader r)
    {
        switch (r.TokenType)
        {
            case JsonTokenType.String:
                return new JsonValue(limits, into, shift).Text(ref r);
            case JsonTokenType.Number:
                return into.Text(r.ValueSpan, checked((int)r.TokenStartIndex + shift));
            default:
                r.Skip();
                return default;
        }
    }

    /// <summary>Nanoseconds since 1970 of an RFC 3339 text or a number in any unit; 0 when it is none.</summary>
    public readonly ulong Time(ref Utf8JsonReader r)
    {
        double number = 0;
        if (r.TokenType == JsonTokenType.Number)
        {
            return r.TryGetDouble(out number) ? EventTime.Nanos(default, number) : 0;
        }

        return EventTime.Nanos(Bytes(Text(ref r)), 0);
    }

    /// <summary>The value that the reader stands on.</summary>
    public void Add(ReadOnlySpan<byte> key, ref Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.Null)
        {
            var value = new JsonValue(limits, into, shift).Read(ref r);
            Add(Literal(key), value);
        }
    }

    public void Add(ReadOnlySpan<byte> key, ReadOnlySpan<byte> text) => Add(key, Literal(text));

    public void Add(ReadOnlySpan<byte> key, Slice text)
    {
        if (!text.IsEmpty)
        {
            Add(Literal(key), new DirtyAttribute(default, ValueKind.Text, text, 0));
        }
    }

    /// <summary>Each member of the object that the reader stands on, its name behind the prefix; of anything else the value itself, under the prefix without its dot.</summary>
    public void AddMembers(ReadOnlySpan<byte> prefix, ref Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.StartObject)
        {
            Add(prefix.TrimEnd((byte)'.'), ref r);
            return;
        }

        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            AddMember(prefix, ref r);
        }
    }

    /// <summary>The member whose name the reader stands on.</summary>
    public void AddMember(ReadOnlySpan<byte> prefix, ref Utf8JsonReader r)
    {
        Slice name = new JsonValue(limits, into, shift).Text(ref r);
        r.Read();
        if (r.TokenType == JsonTokenType.Null)
        {
            return;
        }

        int at = into.ArenaLength;
        into.AppendText(prefix);
        into.Bytes(name).CopyTo(into.Append(name.Length)); // the arena may have moved: both are taken anew
        Slice key = new(at, into.ArenaLength - at);
        Add(key, new JsonValue(limits, into, shift).Read(ref r));
    }

    private void Add(Slice key, in DirtyAttribute value)
    {
        if (key.Length > limits.MaxKeyBytes || value.Text.Length > limits.MaxValueBytes)
        {
            Refused ??= key.Length > limits.MaxKeyBytes ? SpanRules.LongKey(limits) : SpanRules.LongValue(limits);
        }
        else if (into.AttributeList.Count - first >= limits.MaxAttributesPerSpan || SpanRules.RecordCount(into) >= limits.MaxRecords)
        {
            dropped = OtlpTraceDecoder.SaturatingAdd(dropped, 1);
        }
        else if (value.Kind != ValueKind.None)
        {
            into.AttributeList.Add() = value with { Key = key };
        }
    }

    public readonly Slice Literal(ReadOnlySpan<byte> text)
    {
        int at = into.ArenaLength;
        into.AppendText(text);
        return new Slice(at, text.Length);
    }

    /// <summary>Puts the span into the batch, or forgets it; null, or why it is not there.</summary>
    public readonly string? Close()
    {
        string? reason = Refused
            ?? (into.SpanCount >= limits.MaxSpans ? SpanRules.TooMany(limits)
                : Trace.IsZero || Span.IsZero ? NoId
                : Start == 0 && End == 0 && !IsUpdate ? NoTime
                : Name.Length > limits.MaxNameBytes ? SpanRules.LongName("name", limits)
                : StatusMessage.Length > limits.MaxValueBytes ? SpanRules.LongValue(limits) : null);
        if (reason is not null)
        {
            into.Reject(mark, reason);
            return reason;
        }

        into.SpanList.Add() = new DirtySpan
        {
            Trace = Trace, Span = Span, Parent = Parent, Name = Name, StatusMessage = StatusMessage, Status = Status, Kind = OtlpSpanKind.Internal, StartNanos = Start, EndNanos = End, DroppedAttributes = dropped,
            Attributes = new RecordRange(first, into.AttributeList.Count - first),
        };
        return null;
    }

    /// <summary>A request of one resource and one instrumentation that say nothing.</summary>
    public static void Begin(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into)
    {
        into.Start(body, limits);
        into.ResourceList.Add();
        into.InstrumentationList.Add();
    }
}
