using System.Buffers.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>
/// OTLP/HTTP JSON to the very same batch as <see cref="OtlpTraceDecoder"/>, with the tolerance that real senders need: snake_case members, hex or
/// base64 ids by their length, numbers as strings and strings as numbers, enum names, attributes as a plain object, <c>{}</c> as no value, a byte order
/// mark, lone surrogates. A repeated member replaces the former one.
/// </summary>
public static class OtlpJsonDecoder
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <inheritdoc cref="OtlpTraceDecoder.Decode"/>
    public static void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into)
    {
        Decode(body, limits, into, logs: false);
        into.RefuseWhenNothingHasIds();
    }

    internal static void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, bool logs)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentNullException.ThrowIfNull(into);
        into.Start(body, limits);
        int shift = body.StartsWith(ByteOrderMark) ? ByteOrderMark.Length : 0;
        // An AnyValue level is an object, a list object and an array; the envelope takes ten levels.
        var reader = new Utf8JsonReader(body[shift..], new JsonReaderOptions { MaxDepth = checked(16 + 3 * limits.MaxDepth) });
        try
        {
            var decoder = new JsonCursor(limits, into, shift, logs);
            reader.Read();
            decoder.Request(ref reader);
            if (reader.Read()) OtlpDecodeException.Throw(reader.TokenStartIndex + shift, "the end of the body after its one JSON object");
        }
        catch (JsonException)
        {
            // The reader's own message may quote the body.
            OtlpDecodeException.Throw(reader.BytesConsumed + shift, "well-formed JSON, nested no deeper than the configuration value ingest.maxDepth allows");
        }
    }
}

/// <summary>One pass over the request's tokens; every method starts on the first token of its value and ends on the last one.</summary>
internal readonly ref partial struct JsonCursor(IngestLimits limits, SpanBatch into, int shift, bool logs)
{
    private readonly IngestLimits limits = limits;
    private readonly SpanBatch into = into;
    private readonly int shift = shift;
    private readonly bool logs = logs;

    private long At(ref Utf8JsonReader r) => r.TokenStartIndex + shift;

    private static bool Is(ref Utf8JsonReader r, ReadOnlySpan<byte> camel, ReadOnlySpan<byte> snake) => Is(ref r, camel) || Is(ref r, snake);

    private static bool Is(ref Utf8JsonReader r, ReadOnlySpan<byte> name) => JsonStrings.Is(ref r, name);

    // True at each member's value; false at the object's end. A null object has no members.
    private bool NextMember(ref Utf8JsonReader r) => r.Read() && r.TokenType == JsonTokenType.PropertyName;

    private bool Enter(ref Utf8JsonReader r, JsonTokenType start, string expected)
    {
        if (r.TokenType == JsonTokenType.Null) return false;
        if (r.TokenType != start) OtlpDecodeException.Throw(At(ref r), expected);
        return true;
    }

    internal void Request(ref Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.StartObject) OtlpDecodeException.Throw(At(ref r), logs ? "a JSON object with resourceLogs" : "a JSON object with resourceSpans");
        while (NextMember(ref r))
        {
            bool records = logs ? Is(ref r, "resourceLogs"u8, "resource_logs"u8) : Is(ref r, "resourceSpans"u8, "resource_spans"u8);
            r.Read();
            if (!records) r.Skip();
            else if (Enter(ref r, JsonTokenType.StartArray, "a list of resources with records"))
                while (r.Read() && r.TokenType != JsonTokenType.EndArray) Resource(ref r);
        }
    }

    private void Resource(ref Utf8JsonReader r)
    {
        if (!Enter(ref r, JsonTokenType.StartObject, "an object with a resource and its records")) return;
        int index = into.ResourceList.Count;
        into.ResourceList.Add();
        while (NextMember(ref r))
        {
            bool resource = Is(ref r, "resource"u8), records = logs ? Is(ref r, "scopeLogs"u8, "scope_logs"u8) : Is(ref r, "scopeSpans"u8, "scope_spans"u8);
            r.Read();
            if (resource) into.ResourceList.Items[index] = Origin(ref r);
            else if (!records) r.Skip();
            else if (Enter(ref r, JsonTokenType.StartArray, "a list of scopes with records"))
                while (r.Read() && r.TokenType != JsonTokenType.EndArray) Instrumentation(ref r, index);
        }
    }

    private void Instrumentation(ref Utf8JsonReader r, int resource)
    {
        if (!Enter(ref r, JsonTokenType.StartObject, "an object with a scope and its records")) return;
        int index = into.InstrumentationList.Count;
        into.InstrumentationList.Add();
        while (NextMember(ref r))
        {
            bool scope = Is(ref r, "scope"u8), records = logs ? Is(ref r, "logRecords"u8, "log_records"u8) : Is(ref r, "spans"u8);
            r.Read();
            if (scope) into.InstrumentationList.Items[index] = Origin(ref r);
            else if (!records) r.Skip();
            else if (Enter(ref r, JsonTokenType.StartArray, "a list of records"))
                while (r.Read() && r.TokenType != JsonTokenType.EndArray)
                    if (logs) LogRecord(ref r, resource, index);
                    else Span(ref r, resource, index);
        }
    }

    private DirtyOrigin Origin(ref Utf8JsonReader r)
    {
        var origin = new DirtyOrigin();
        if (!Enter(ref r, JsonTokenType.StartObject, "an object with attributes")) return origin;
        while (NextMember(ref r))
        {
            bool name = Is(ref r, "name"u8), version = Is(ref r, "version"u8), attributes = Is(ref r, "attributes"u8);
            bool dropped = Is(ref r, "droppedAttributesCount"u8, "dropped_attributes_count"u8);
            r.Read();
            if (name || version)
            {
                var text = String(ref r);
                if (text.Length > limits.MaxNameBytes) text = default;
                if (name) origin.Name = text;
                else origin.Version = text;
            }
            else if (attributes)
            {
                string? refused = null;
                origin.Attributes = Attributes(ref r, ref origin.DroppedAttributes, ref refused, dropOversized: true);
            }
            else if (dropped)
            {
                origin.DroppedAttributes = OtlpTraceDecoder.SaturatingAdd(origin.DroppedAttributes, Count(ref r));
            }
            else
            {
                r.Skip();
            }
        }
        return origin;
    }

    private void Span(ref Utf8JsonReader r, int resource, int instrumentation)
    {
        if (!Enter(ref r, JsonTokenType.StartObject, "an object in spans")) return;
        var mark = into.Mark();
        if (into.SpanCount >= limits.MaxSpans)
        {
            r.Skip();
            into.Reject(mark, SpanRules.TooMany(limits));
            return;
        }
        var span = new DirtySpan { Resource = resource, Instrumentation = instrumentation };
        var ids = default(SpanIds);
        string? refused = null;
        while (NextMember(ref r))
        {
            if (Is(ref r, "traceId"u8, "trace_id"u8)) { r.Read(); TraceId(ref r, ref ids); }
            else if (Is(ref r, "spanId"u8, "span_id"u8)) { r.Read(); SpanId(ref r, ref ids, parent: false); }
            else if (Is(ref r, "parentSpanId"u8, "parent_span_id"u8)) { r.Read(); SpanId(ref r, ref ids, parent: true); }
            else if (Is(ref r, "name"u8)) { r.Read(); Name(ref r, "name", ref refused, out span.Name); }
            else if (Is(ref r, "kind"u8)) { r.Read(); span.Kind = SpanRules.Kind(Enumeration(ref r, "SPAN_KIND_", ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])); }
            else if (Is(ref r, "startTimeUnixNano"u8, "start_time_unix_nano"u8)) { r.Read(); span.StartNanos = Nanos(ref r); ids.HasTime = true; }
            else if (Is(ref r, "endTimeUnixNano"u8, "end_time_unix_nano"u8)) { r.Read(); span.EndNanos = Nanos(ref r); ids.HasTime = true; }
            else if (Is(ref r, "attributes"u8)) { r.Read(); span.Attributes = Attributes(ref r, ref span.DroppedAttributes, ref refused); }
            else if (Is(ref r, "events"u8)) { r.Read(); Events(ref r, ref span, ref refused); }
            else if (Is(ref r, "links"u8)) { r.Read(); Links(ref r, ref span, ref refused); }
            else if (Is(ref r, "status"u8)) { r.Read(); Status(ref r, ref span, ref refused); }
            else if (Is(ref r, "traceState"u8, "trace_state"u8)) { r.Read(); Name(ref r, "trace state", ref refused, out span.TraceState); }
            else if (Is(ref r, "flags"u8)) { r.Read(); span.Flags = Count(ref r); }
            else if (Is(ref r, "droppedAttributesCount"u8, "dropped_attributes_count"u8)) { r.Read(); span.DroppedAttributes = OtlpTraceDecoder.SaturatingAdd(span.DroppedAttributes, Count(ref r)); }
            else if (Is(ref r, "droppedEventsCount"u8, "dropped_events_count"u8)) { r.Read(); span.DroppedEvents = OtlpTraceDecoder.SaturatingAdd(span.DroppedEvents, Count(ref r)); }
            else if (Is(ref r, "droppedLinksCount"u8, "dropped_links_count"u8)) { r.Read(); span.DroppedLinks = OtlpTraceDecoder.SaturatingAdd(span.DroppedLinks, Count(ref r)); }
            else { r.Read(); r.Skip(); }
        }
        string? withoutIds = ids.Check(out bool lacking, ref span);
        if (SpanRules.RecordCount(into) > limits.MaxRecords) refused ??= SpanRules.TooManyRecords(limits);
        if (withoutIds is not null) into.Reject(mark, withoutIds, lacking);
        else if (refused is not null) into.Reject(mark, refused);
        else into.SpanList.Add() = span;
    }

    private void Events(ref Utf8JsonReader r, ref DirtySpan span, ref string? refused)
    {
        int first = into.EventList.Count;
        if (Enter(ref r, JsonTokenType.StartArray, "a list of events"))
        {
            while (r.Read() && r.TokenType != JsonTokenType.EndArray)
            {
                if (into.EventList.Count - first >= limits.MaxEventsPerSpan || SpanRules.RecordCount(into) > limits.MaxRecords)
                {
                    r.Skip();
                    span.DroppedEvents = OtlpTraceDecoder.SaturatingAdd(span.DroppedEvents, 1);
                    continue;
                }
                if (!Enter(ref r, JsonTokenType.StartObject, "an object in events")) continue;
                var record = new DirtyEvent { Attributes = new RecordRange(into.AttributeList.Count, 0) };
                while (NextMember(ref r))
                {
                    if (Is(ref r, "name"u8)) { r.Read(); Name(ref r, "event name", ref refused, out record.Name); }
                    else if (Is(ref r, "timeUnixNano"u8, "time_unix_nano"u8)) { r.Read(); record.TimeNanos = Nanos(ref r); }
                    else if (Is(ref r, "attributes"u8)) { r.Read(); record.Attributes = Attributes(ref r, ref record.DroppedAttributes, ref refused); }
                    else if (Is(ref r, "droppedAttributesCount"u8, "dropped_attributes_count"u8)) { r.Read(); record.DroppedAttributes = OtlpTraceDecoder.SaturatingAdd(record.DroppedAttributes, Count(ref r)); }
                    else { r.Read(); r.Skip(); }
                }
                into.EventList.Add() = record;
            }
        }
        span.Events = new RecordRange(first, into.EventList.Count - first);
    }

    private void Links(ref Utf8JsonReader r, ref DirtySpan span, ref string? refused)
    {
        int first = into.LinkList.Count;
        if (Enter(ref r, JsonTokenType.StartArray, "a list of links"))
        {
            while (r.Read() && r.TokenType != JsonTokenType.EndArray)
            {
                if (into.LinkList.Count - first >= limits.MaxLinksPerSpan || SpanRules.RecordCount(into) > limits.MaxRecords)
                {
                    r.Skip();
                    span.DroppedLinks = OtlpTraceDecoder.SaturatingAdd(span.DroppedLinks, 1);
                    continue;
                }
                if (!Enter(ref r, JsonTokenType.StartObject, "an object in links")) continue;
                int firstAttribute = into.AttributeList.Count;
                var record = new DirtyLink { Attributes = new RecordRange(firstAttribute, 0) };
                var ids = default(SpanIds);
                while (NextMember(ref r))
                {
                    if (Is(ref r, "traceId"u8, "trace_id"u8)) { r.Read(); TraceId(ref r, ref ids); }
                    else if (Is(ref r, "spanId"u8, "span_id"u8)) { r.Read(); SpanId(ref r, ref ids, parent: false); }
                    else if (Is(ref r, "traceState"u8, "trace_state"u8)) { r.Read(); Name(ref r, "link trace state", ref refused, out record.TraceState); }
                    else if (Is(ref r, "attributes"u8)) { r.Read(); record.Attributes = Attributes(ref r, ref record.DroppedAttributes, ref refused); }
                    else if (Is(ref r, "flags"u8)) { r.Read(); record.Flags = Count(ref r); }
                    else if (Is(ref r, "droppedAttributesCount"u8, "dropped_attributes_count"u8)) { r.Read(); record.DroppedAttributes = OtlpTraceDecoder.SaturatingAdd(record.DroppedAttributes, Count(ref r)); }
                    else { r.Read(); r.Skip(); }
                }
                SpanRules.AddLink(record, ids, firstAttribute, ref span, into);
            }
        }
        span.Links = new RecordRange(first, into.LinkList.Count - first);
    }

    private void Status(ref Utf8JsonReader r, ref DirtySpan span, ref string? refused)
    {
        if (!Enter(ref r, JsonTokenType.StartObject, "a status object")) return;
        while (NextMember(ref r))
        {
            bool code = Is(ref r, "code"u8), message = Is(ref r, "message"u8);
            r.Read();
            if (code)
            {
                span.Status = SpanRules.Status(Enumeration(ref r, "STATUS_CODE_", ["UNSET", "OK", "ERROR"]));
            }
            else if (message)
            {
                span.StatusMessage = String(ref r);
                if (span.StatusMessage.Length > limits.MaxValueBytes) refused ??= SpanRules.LongValue(limits);
            }
            else
            {
                r.Skip();
            }
        }
    }

    // A list of {key,value}, or a plain object of hand-made senders.
    private RecordRange Attributes(ref Utf8JsonReader r, ref uint dropped, ref string? refused, bool dropOversized = false)
    {
        int first = into.AttributeList.Count;
        if (r.TokenType == JsonTokenType.StartObject)
        {
            while (NextMember(ref r))
            {
                var key = String(ref r);
                r.Read();
                Add(ref r, first, key, new JsonValue(limits, into, shift).Read(ref r), ref dropped, ref refused, dropOversized);
            }
        }
        else if (Enter(ref r, JsonTokenType.StartArray, "a list of attributes"))
        {
            while (r.Read() && r.TokenType != JsonTokenType.EndArray)
            {
                if (into.AttributeList.Count - first >= limits.MaxAttributesPerSpan || SpanRules.RecordCount(into) > limits.MaxRecords)
                {
                    r.Skip();
                    dropped = OtlpTraceDecoder.SaturatingAdd(dropped, 1);
                    continue;
                }
                if (!Enter(ref r, JsonTokenType.StartObject, "an attribute object with key and value")) continue;
                var key = default(Slice);
                var value = default(DirtyAttribute);
                while (NextMember(ref r))
                {
                    bool isKey = Is(ref r, "key"u8), isValue = Is(ref r, "value"u8);
                    r.Read();
                    if (isKey) key = String(ref r);
                    else if (isValue) value = new JsonValue(limits, into, shift).Read(ref r);
                    else r.Skip();
                }
                Add(ref r, first, key, value, ref dropped, ref refused, dropOversized);
            }
        }
        return new RecordRange(first, into.AttributeList.Count - first);
    }

    private void Add(ref Utf8JsonReader r, int first, Slice key, DirtyAttribute value, ref uint dropped, ref string? refused, bool dropOversized)
    {
        string? oversized = key.Length > limits.MaxKeyBytes ? SpanRules.LongKey(limits) : value.Text.Length > limits.MaxValueBytes ? SpanRules.LongValue(limits) : null;
        if (oversized is not null && !dropOversized) refused ??= oversized;
        if (oversized is not null || into.AttributeList.Count - first >= limits.MaxAttributesPerSpan || SpanRules.RecordCount(into) > limits.MaxRecords)
            dropped = OtlpTraceDecoder.SaturatingAdd(dropped, 1);
        else
            into.AttributeList.Add() = value with { Key = key };
    }

    private void Name(ref Utf8JsonReader r, string what, ref string? refused, out Slice slice)
    {
        slice = String(ref r);
        if (slice.Length > limits.MaxNameBytes) refused ??= SpanRules.LongName(what, limits);
    }

    private Slice String(ref Utf8JsonReader r)
    {
        if (r.TokenType == JsonTokenType.Null) return default;
        if (r.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName)) OtlpDecodeException.Throw(At(ref r), "a string");
        return new JsonValue(limits, into, shift).Text(ref r);
    }

    private void TraceId(ref Utf8JsonReader r, ref SpanIds ids)
    {
        Span<byte> bytes = stackalloc byte[24];
        int length = Id(ref r, 16, bytes);
        if (length < 0) ids.WrongTrace();
        else ids.Trace(bytes[..length]);
    }

    private void SpanId(ref Utf8JsonReader r, ref SpanIds ids, bool parent)
    {
        Span<byte> bytes = stackalloc byte[24];
        int length = Id(ref r, 8, bytes);
        if (length < 0 && parent) ids.WrongParent();
        else if (length < 0) ids.WrongSpan();
        else if (parent) ids.Parent(bytes[..length]);
        else ids.Span(bytes[..length]);
    }

    // Bytes of an id given as hex (any case) or as base64 (protojson), told apart by length; 0 for none, -1 for something else.
    private int Id(ref Utf8JsonReader r, int size, scoped Span<byte> bytes)
    {
        if (r.TokenType == JsonTokenType.Null) return 0;
        if (r.TokenType != JsonTokenType.String) return -1;
        var text = into.Bytes(String(ref r));
        if (text.IsEmpty) return 0;
        if (text.Length == size * 2) return HexText.TryRead(text, bytes[..size]) ? size : -1;
        if (text.Length == (size + 2) / 3 * 4) return Base64.DecodeFromUtf8(text, bytes, out _, out int n) == System.Buffers.OperationStatus.Done && n == size ? n : -1;
        return -1;
    }

    private ulong Nanos(ref Utf8JsonReader r)
    {
        if (r.TokenType == JsonTokenType.Null) return 0;
        if (r.TokenType is JsonTokenType.String or JsonTokenType.Number)
        {
            var text = JsonValue.NumberText(ref r);
            if (Utf8Parser.TryParse(text, out ulong whole, out int used) && used == text.Length && used > 0) return whole;
            if (Utf8Parser.TryParse(text, out double number, out used) && used == text.Length && number is >= 0 and < 18446744073709551616.0) return (ulong)number;
        }
        OtlpDecodeException.Throw(At(ref r), "nanoseconds since 1970 as a number or decimal string");
        return 0;
    }

    private uint Count(ref Utf8JsonReader r)
    {
        if (r.TokenType == JsonTokenType.Null) return 0;
        if (r.TokenType is JsonTokenType.String or JsonTokenType.Number)
        {
            var text = JsonValue.NumberText(ref r);
            if (Utf8Parser.TryParse(text, out double number, out int used) && used == text.Length && number >= 0) return (uint)Math.Min(number, uint.MaxValue);
        }
        OtlpDecodeException.Throw(At(ref r), "a count");
        return 0;
    }

    private long Enumeration(ref Utf8JsonReader r, string prefix, scoped ReadOnlySpan<string> names)
    {
        if (r.TokenType == JsonTokenType.Null) return 0;
        if (r.TokenType is not (JsonTokenType.String or JsonTokenType.Number)) OtlpDecodeException.Throw(At(ref r), "an enumeration value");
        var text = JsonValue.NumberText(ref r);
        if (Utf8Parser.TryParse(text, out long number, out int used) && used == text.Length) return number;
        for (int i = 0; i < names.Length; i++)
            if (text.Length == prefix.Length + names[i].Length && System.Text.Ascii.EqualsIgnoreCase(text[..prefix.Length], prefix) && System.Text.Ascii.EqualsIgnoreCase(text[prefix.Length..], names[i]))
                return i;
        return 0;
    }
}
