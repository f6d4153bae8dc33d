using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;

namespace Evident.Ingest;

/// <summary>
/// OTLP logs, protobuf and JSON (<c>ExportLogsServiceRequest</c>, opentelemetry-proto 1.x, <c>logs/v1/logs.proto</c>), to the same batch as traces: each
/// record becomes a step below the span that it was written in, named by its event name. Its id is a hash of its bytes, so that a record that is
/// sent again is recognised. A record without a trace id belongs to no run and is refused; its siblings are kept.
/// </summary>
public static class OtlpLogDecoder
{
    internal const string NoTrace = "a log record has no trace id: it belongs to no run, and only records of runs are kept";

    /// <exception cref="OtlpDecodeException">The body is no such message, or is nested too deep.</exception>
    public static void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into) => OtlpTraceDecoder.Envelope(body, limits, into, Record);

    /// <inheritdoc cref="Decode"/>
    public static void DecodeJson(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into) => OtlpJsonDecoder.Decode(body, limits, into, logs: true);

    private static void Record(ReadOnlySpan<byte> data, int origin, int resource, int instrumentation, IngestLimits limits, SpanBatch into)
    {
        var mark = into.Mark();
        var record = new LogRecord();
        var span = new DirtySpan { Resource = resource, Instrumentation = instrumentation };
        string? refused = into.SpanCount >= limits.MaxSpans ? SpanRules.TooMany(limits) : null;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (refused is null && reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x09: record.Time = reader.ReadFixed64(); break;
                case 0x59: record.Observed = reader.ReadFixed64(); break;
                case 0x10: record.Severity = (int)Math.Min(reader.ReadVarint(), 24); break;
                case 0x1a: SpanRules.Name(reader.ReadBytes(out int at0), at0, "severity text", limits, into, ref refused, out record.SeverityText); break;
                case 0x2a:
                    record.Body = ProtobufValue.Read(reader.ReadBytes(out int at1), at1, limits, into);
                    break;
                case 0x32:
                    var content = reader.ReadBytes(out int at2);
                    if (into.AttributeList.Count - mark.Attributes >= limits.MaxAttributesPerSpan) span.DroppedAttributes = OtlpTraceDecoder.SaturatingAdd(span.DroppedAttributes, 1);
                    else refused = OtlpTraceDecoder.KeyValue(content, at2, limits, into);
                    break;
                case 0x38: span.DroppedAttributes = OtlpTraceDecoder.SaturatingAdd(span.DroppedAttributes, OtlpTraceDecoder.Count(ref reader)); break;
                case 0x45: span.Flags = reader.ReadFixed32(); break;
                case 0x4a: record.Ids.Trace(reader.ReadBytes(out _)); break;
                case 0x52: record.Ids.Parent(reader.ReadBytes(out _)); break;
                case 0x62: SpanRules.Name(reader.ReadBytes(out int at3), at3, "event name", limits, into, ref refused, out record.EventName); break;
                default: reader.Skip(); break;
            }
        }

        record.Close(span, mark, data, refused, limits, into);
    }
}

/// <summary>What both encodings read of one log record before it becomes a step.</summary>
internal struct LogRecord
{
    public SpanIds Ids;
    public ulong Time, Observed;
    public int Severity;
    public Slice SeverityText, EventName;
    public DirtyAttribute Body;

    /// <param name="bytes">The record as it came: its identity.</param>
    public void Close(DirtySpan span, SpanCheckpoint mark, ReadOnlySpan<byte> bytes, string? refused, IngestLimits limits, SpanBatch into)
    {
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(bytes, hash);
        Ids.Span(new SpanId(BinaryPrimitives.ReadUInt64BigEndian(hash) | 1));
        refused ??= Body.Text.Length > limits.MaxValueBytes ? SpanRules.LongValue(limits) : SpanRules.RecordCount(into) > limits.MaxRecords ? SpanRules.TooManyRecords(limits) : null;
        if (refused is null && Ids.Check(out bool lacking, ref span) is { } wrong)
        {
            refused = lacking ? OtlpLogDecoder.NoTrace : wrong;
        }

        if (refused is not null)
        {
            into.Reject(mark, refused);
            return;
        }

        span.Kind = OtlpSpanKind.Internal;
        span.StartNanos = span.EndNanos = Time > 0 ? Time : Observed;
        span.Name = EventName.IsEmpty ? Text("log"u8, into) : EventName;
        Add("otlp.signal"u8, new DirtyAttribute(default, ValueKind.Text, Text("log"u8, into), 0), into);
        if (!EventName.IsEmpty)
        {
            Add("event.name"u8, new DirtyAttribute(default, ValueKind.Text, EventName, 0), into);
        }

        if (Severity > 0)
        {
            Add("severity_number"u8, new DirtyAttribute(default, ValueKind.Integer, default, Severity), into);
        }

        if (!SeverityText.IsEmpty)
        {
            Add("severity_text"u8, new DirtyAttribute(default, ValueKind.Text, SeverityText, 0), into);
        }

        if (Body.Kind != ValueKind.None)
        {
            Add("body"u8, Body, into);
        }

        span.Attributes = new RecordRange(mark.Attributes, into.AttributeList.Count - mark.Attributes);
        into.SpanList.Add() = span;
    }

    private static void Add(ReadOnlySpan<byte> key, in DirtyAttribute value, SpanBatch into) => into.AttributeList.Add() = value with { Key = Text(key, into) };

    private static Slice Text(ReadOnlySpan<byte> text, SpanBatch into)
    {
        int at = into.ArenaLength;
        into.AppendText(text);
        return new Slice(at, text.Length);
    }
}

internal readonly ref partial struct JsonCursor
{
    private void LogRecord(ref Utf8JsonReader r, int resource, int instrumentation)
    {
        if (!Enter(ref r, JsonTokenType.StartObject, "an object in logRecords")) return;
        var mark = into.Mark();
        var record = new LogRecord();
        var span = new DirtySpan { Resource = resource, Instrumentation = instrumentation };
        int start = checked((int)At(ref r));
        string? refused = into.SpanCount >= limits.MaxSpans ? SpanRules.TooMany(limits) : null;
        while (NextMember(ref r))
        {
            if (Is(ref r, "traceId"u8, "trace_id"u8)) { r.Read(); TraceId(ref r, ref record.Ids); }
            else if (Is(ref r, "spanId"u8, "span_id"u8)) { r.Read(); SpanId(ref r, ref record.Ids, parent: true); }
            else if (Is(ref r, "timeUnixNano"u8, "time_unix_nano"u8)) { r.Read(); record.Time = Nanos(ref r); }
            else if (Is(ref r, "observedTimeUnixNano"u8, "observed_time_unix_nano"u8)) { r.Read(); record.Observed = Nanos(ref r); }
            else if (Is(ref r, "severityNumber"u8, "severity_number"u8)) { r.Read(); record.Severity = (int)Math.Clamp(Enumeration(ref r, "SEVERITY_NUMBER_", ["UNSPECIFIED", "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO", "INFO2", "INFO3", "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL", "FATAL2", "FATAL3", "FATAL4"]), 0, 24); }
            else if (Is(ref r, "severityText"u8, "severity_text"u8)) { r.Read(); Name(ref r, "severity text", ref refused, out record.SeverityText); }
            else if (Is(ref r, "eventName"u8, "event_name"u8)) { r.Read(); Name(ref r, "event name", ref refused, out record.EventName); }
            else if (Is(ref r, "body"u8)) { r.Read(); record.Body = new JsonValue(limits, into, shift).Read(ref r); }
            else if (Is(ref r, "attributes"u8)) { r.Read(); _ = Attributes(ref r, ref span.DroppedAttributes, ref refused); }
            else if (Is(ref r, "flags"u8)) { r.Read(); span.Flags = Count(ref r); }
            else if (Is(ref r, "droppedAttributesCount"u8, "dropped_attributes_count"u8)) { r.Read(); span.DroppedAttributes = OtlpTraceDecoder.SaturatingAdd(span.DroppedAttributes, Count(ref r)); }
            else { r.Read(); r.Skip(); }
        }

        record.Close(span, mark, into.Bytes(new Slice(start, checked((int)r.BytesConsumed) + shift - start)), refused, limits, into);
    }
}
