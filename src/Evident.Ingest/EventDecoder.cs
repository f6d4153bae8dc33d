using System.Text;
using System.Text.Json;

namespace Evident.Ingest;

/// <summary>An event that was refused: its number in the request, from 0, and why; never sender text.</summary>
public readonly record struct RefusedEvent(int Index, string Reason);

/// <summary>
/// Plain JSON events to the same batch as OTLP: one object, an array of objects, or objects one after the other (JSON lines). Each becomes one
/// span; docs/http.md, "Events", says which member becomes what. Ids that are not W3C's are hashed, so that the same id always gives the same
/// span; an event without an id of its own is known by its content. The members of the objects that the seeds use for structure (<c>model</c>,
/// <c>action</c> …) stand with their names before a dot, those of <c>attributes</c> without; any other object is one value. Pure.
/// </summary>
public static class EventDecoder
{
    /// <summary>As many refusals are told one by one; the others are counted.</summary>
    public const int MaxTold = 100;

    /// <exception cref="OtlpDecodeException">The body is not JSON; nothing of it is kept.</exception>
    public static void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, List<RefusedEvent> refused)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentNullException.ThrowIfNull(into);
        into.Start(body, limits);
        into.ResourceList.Add();
        into.InstrumentationList.Add();
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = limits.MaxDepth, AllowMultipleValues = true });
        try
        {
            int index = 0;
            bool list = false;
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.StartArray && reader.CurrentDepth == 0)
                {
                    list = true;
                }
                else if (reader.TokenType != JsonTokenType.EndArray || !list)
                {
                    One(ref reader, body, limits, into, refused, index++);
                }
            }
        }
        catch (JsonException)
        {
            // The reader's own message may quote the body.
            OtlpDecodeException.Throw(reader.BytesConsumed, "well-formed JSON, nested no deeper than the configuration value ingest.maxDepth allows");
        }
    }

    private static void One(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, List<RefusedEvent> refused, int index)
    {
        var mark = into.Mark();
        string? reason = null;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            reason = "an event is a JSON object.";
        }
        else if (into.SpanCount >= limits.MaxSpans)
        {
            reader.Skip();
            reason = SpanRules.TooMany(limits);
        }
        else
        {
            int start = checked((int)reader.TokenStartIndex), first = into.AttributeList.Count;
            var cursor = new EventCursor(limits, into, first);
            cursor.Members(ref reader, default, top: true);
            reason = cursor.Refused;
            if (reason is null && cursor.TryClose(body[start..checked((int)reader.BytesConsumed)], out var span, out reason))
            {
                span.Attributes = new RecordRange(first, into.AttributeList.Count - first);
                into.SpanList.Add() = span;
                return;
            }
        }

        into.Reject(mark, reason!);
        if (refused.Count < MaxTold)
        {
            refused.Add(new RefusedEvent(index, reason!));
        }
    }
}

/// <summary>The members of one event: what places it in a trace and in time is taken out, the rest become attributes.</summary>
internal ref struct EventCursor(IngestLimits limits, SpanBatch into, int first)
{
    private readonly IngestLimits limits = limits;
    private readonly SpanBatch into = into;
    private readonly int first = first;
    private Slice trace, span, parent, own, name, type, run;
    private Slice start, end, time;
    private double startNumber, endNumber, timeNumber, latency;
    private uint dropped;

    /// <summary>A limit that the event passes; null when it keeps to all of them.</summary>
    public string? Refused { get; private set; }

    /// <summary>Starts on the object's first token and ends on its last one.</summary>
    public void Members(ref Utf8JsonReader r, Slice prefix, bool top)
    {
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            if (top && Take(ref r))
            {
                continue;
            }

            bool plain = top && JsonStrings.Is(ref r, "attributes"u8);
            Slice key = Key(ref r, prefix);
            r.Read();
            switch (r.TokenType)
            {
                case JsonTokenType.Null:
                    break;
                case JsonTokenType.StartObject when plain || (top && IsStructure(into.Bytes(key))):
                    Members(ref r, plain ? default : key, top: false);
                    break;
                default:
                    Add(key, new JsonValue(limits, into, 0).Read(ref r));
                    break;
            }
        }
    }

    // What else is an object may hold anything, and the content gate must see it whole.
    private static bool IsStructure(ReadOnlySpan<byte> key) => key.Length <= 9 && Encoding.ASCII.GetString(key) is
        "action" or "actor" or "agent" or "approval" or "budget" or "cost" or "eval" or "feedback" or "interrupt" or "label" or "model" or "payload" or "policy" or "tokens" or "tool" or "usage" or "verify" or "workflow";

    /// <summary>True when the member is one that decides about ids, name or times alone, and was taken.</summary>
    private bool Take(ref Utf8JsonReader r)
    {
        switch (Name(ref r))
        {
            case "trace_id": return Text(ref r, ref trace);
            case "span_id": return Text(ref r, ref span);
            case "parent_span_id" or "parent_id": return Text(ref r, ref parent);
            case "event_id" or "id": return Text(ref r, ref own);
            case "name": return Text(ref r, ref name);
            case "start_ts" or "start_time": return Time(ref r, ref start, ref startNumber);
            case "end_ts" or "end_time": return Time(ref r, ref end, ref endNumber);
            case "timestamp" or "ts" or "time": return Time(ref r, ref time, ref timeNumber);
            default: return false;
        }
    }

    private static string? Name(ref Utf8JsonReader r) => r.ValueSpan.Length <= 16 && !r.ValueIsEscaped ? Encoding.ASCII.GetString(r.ValueSpan) : null;

    private bool Text(ref Utf8JsonReader r, ref Slice into)
    {
        r.Read();
        switch (r.TokenType)
        {
            case JsonTokenType.String:
                into = new JsonValue(limits, this.into, 0).Text(ref r);
                break;
            case JsonTokenType.Number:
                int at = this.into.ArenaLength;
                this.into.AppendText(r.ValueSpan);
                into = new Slice(at, this.into.ArenaLength - at);
                break;
            case JsonTokenType.Null:
                break;
            default:
                r.Skip();
                Refused ??= "an id or a name is neither a string nor a number.";
                break;
        }

        return true;
    }

    private bool Time(ref Utf8JsonReader r, ref Slice text, ref double number)
    {
        r.Read();
        switch (r.TokenType)
        {
            case JsonTokenType.String:
                text = new JsonValue(limits, into, 0).Text(ref r);
                break;
            case JsonTokenType.Number when r.TryGetDouble(out double given):
                number = given;
                break;
            case JsonTokenType.Null:
                break;
            default:
                r.Skip();
                Refused ??= EventTime.Expected;
                break;
        }

        return true;
    }

    private Slice Key(ref Utf8JsonReader r, Slice prefix)
    {
        Slice name = new JsonValue(limits, into, 0).Text(ref r);
        if (prefix.IsEmpty)
        {
            return name;
        }

        int at = into.ArenaLength;
        into.AppendText(into.Bytes(prefix).ToArray());
        into.AppendByte((byte)'.');
        into.AppendText(into.Bytes(name).ToArray());
        return new Slice(at, into.ArenaLength - at);
    }

    private void Add(Slice key, in DirtyAttribute value)
    {
        if (key.Length > limits.MaxKeyBytes || value.Text.Length > limits.MaxValueBytes)
        {
            Refused ??= key.Length > limits.MaxKeyBytes ? SpanRules.LongKey(limits) : SpanRules.LongValue(limits);
            return;
        }

        if (into.AttributeList.Count - first >= limits.MaxAttributesPerSpan || SpanRules.RecordCount(into) >= limits.MaxRecords)
        {
            dropped = OtlpTraceDecoder.SaturatingAdd(dropped, 1);
            return;
        }

        into.AttributeList.Add() = value with { Key = key };
        var bytes = into.Bytes(key);
        if (value.Kind == ValueKind.Text)
        {
            if (bytes.SequenceEqual("event_type"u8) || bytes.SequenceEqual("action.type"u8) || (type.IsEmpty && bytes.SequenceEqual("type"u8)))
            {
                type = value.Text;
            }
            else if (bytes.SequenceEqual("run_id"u8) || bytes.SequenceEqual("agent.run_id"u8))
            {
                run = value.Text;
            }
        }
        else if (bytes.SequenceEqual("latency_ms"u8))
        {
            latency = value.Kind == ValueKind.Integer ? value.Bits : value.Kind == ValueKind.Number ? value.Number : 0;
        }
    }

    /// <summary>Ids, name and times of an event whose members were all read.</summary>
    /// <param name="content">The event's own bytes: its identity when it names none.</param>
    public bool TryClose(ReadOnlySpan<byte> content, out DirtySpan closed, out string? reason)
    {
        closed = new DirtySpan { Kind = OtlpSpanKind.Internal, DroppedAttributes = dropped };
        ulong begin = EventTime.Nanos(into.Bytes(start), startNumber), finish = EventTime.Nanos(into.Bytes(end), endNumber), at = EventTime.Nanos(into.Bytes(time), timeNumber);
        begin = begin > 0 ? begin : at > 0 ? at : finish;
        reason = begin == 0 ? EventTime.Expected : name.Length > limits.MaxNameBytes || type.Length > limits.MaxNameBytes ? SpanRules.LongName("name", limits) : null;
        if (reason is not null)
        {
            return false;
        }

        ulong length = latency is > 0 and < 1e12 ? (ulong)(latency * 1e6) : 0;
        (closed.StartNanos, closed.EndNanos) = (begin, finish >= begin ? finish : begin + length);
        closed.Name = !name.IsEmpty ? name : !type.IsEmpty ? type : Append("event"u8);
        var ids = new EventIds(into.Bytes(!trace.IsEmpty ? trace : run), content);
        (closed.Trace, closed.Span) = (ids.Trace, ids.Span(into.Bytes(!span.IsEmpty ? span : own)));
        closed.Parent = parent.IsEmpty ? default : ids.Span(into.Bytes(parent));
        if (run.IsEmpty && !trace.IsEmpty && !ids.TraceIsW3C)
        {
            Add(Append("run_id"u8), new DirtyAttribute(default, ValueKind.Text, trace, 0)); // the name by which the sender will look for it
        }

        return true;
    }

    private readonly Slice Append(ReadOnlySpan<byte> text)
    {
        int at = into.ArenaLength;
        into.AppendText(text);
        return new Slice(at, text.Length);
    }
}
