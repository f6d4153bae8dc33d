namespace Evident.Ingest;

/// <summary>
/// OTLP/HTTP protobuf: <c>ExportTraceServiceRequest</c> (opentelemetry-proto 1.x, <c>trace/v1/trace.proto</c>). One method per message; unknown fields and
/// groups are skipped, fields may come in any order, repeated singular messages merge, of a oneof the last one counts. No object per span: the batch
/// receives offsets into the body.
/// </summary>
public static class OtlpTraceDecoder
{
    /// <summary>Decodes a whole request body into a rented batch, replacing what it held.</summary>
    /// <exception cref="OtlpDecodeException">The body is no such message, is nested too deep, or none of its spans has ids.</exception>
    public static void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into)
    {
        Envelope(body, limits, into, Span);
        into.RefuseWhenNothingHasIds();
    }

    /// <summary>One record of a signal: a span, or a log record.</summary>
    internal delegate void RecordDecoder(ReadOnlySpan<byte> data, int origin, int resource, int instrumentation, IngestLimits limits, SpanBatch into);

    /// <summary>Request, resource and scope, whose field numbers traces and logs share.</summary>
    internal static void Envelope(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, RecordDecoder record)
    {
        ArgumentNullException.ThrowIfNull(limits);
        ArgumentNullException.ThrowIfNull(into);
        into.Start(body, limits);
        var reader = new ProtobufReader(body, 0, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == 0x0a)
            {
                var content = reader.ReadBytes(out int at);
                Resource(content, at, limits, into, record);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    // Two passes: the resource may stand after the spans that it describes, and its occurrences merge.
    private static void Resource(ReadOnlySpan<byte> data, int origin, IngestLimits limits, SpanBatch into, RecordDecoder record)
    {
        int index = into.ResourceList.Count;
        var resource = new DirtyOrigin { Attributes = new RecordRange(into.AttributeList.Count, 0) };
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == 0x0a) Origin(reader.ReadBytes(out int at), at, 1, ref resource, limits, into);
            else reader.Skip();
        }
        into.ResourceList.Add() = resource;

        reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == 0x12) Instrumentation(reader.ReadBytes(out int at), at, index, limits, into, record);
            else reader.Skip();
        }
    }

    private static void Instrumentation(ReadOnlySpan<byte> data, int origin, int resource, IngestLimits limits, SpanBatch into, RecordDecoder record)
    {
        int index = into.InstrumentationList.Count;
        var scope = new DirtyOrigin { Attributes = new RecordRange(into.AttributeList.Count, 0) };
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == 0x0a) Origin(reader.ReadBytes(out int at), at, 3, ref scope, limits, into);
            else reader.Skip();
        }
        into.InstrumentationList.Add() = scope;

        reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == 0x12) record(reader.ReadBytes(out int at), at, resource, index, limits, into);
            else reader.Skip();
        }
    }

    // Resource {attributes 1, dropped 2} and InstrumentationScope {name 1, version 2, attributes 3, dropped 4}: told apart by the attributes' number.
    private static void Origin(ReadOnlySpan<byte> data, int origin, int attributes, ref DirtyOrigin into, IngestLimits limits, SpanBatch batch)
    {
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.WireType == 2 && reader.Field == attributes)
            {
                var content = reader.ReadBytes(out int at);
                if (into.Attributes.Count >= limits.MaxAttributesPerSpan || batch.AttributeList.Count >= limits.MaxRecords
                    || KeyValue(content, at, limits, batch) is not null) into.DroppedAttributes = SaturatingAdd(into.DroppedAttributes, 1);
                else into.Attributes = into.Attributes with { Count = into.Attributes.Count + 1 };
            }
            else if (reader.WireType == 2 && reader.Field < attributes)
            {
                var content = reader.ReadBytes(out int at);
                var text = content.Length > limits.MaxNameBytes ? default : batch.Text(content, at);
                if (reader.Field == 1) into.Name = text;
                else into.Version = text;
            }
            else if (reader.WireType == 0 && reader.Field == attributes + 1)
            {
                into.DroppedAttributes = SaturatingAdd(into.DroppedAttributes, (uint)Math.Min(reader.ReadVarint(), uint.MaxValue));
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private static void Span(ReadOnlySpan<byte> data, int origin, int resource, int instrumentation, IngestLimits limits, SpanBatch into)
    {
        var mark = into.Mark();
        if (into.SpanCount >= limits.MaxSpans)
        {
            into.Reject(mark, SpanRules.TooMany(limits));
            return;
        }
        var span = new DirtySpan { Resource = resource, Instrumentation = instrumentation };
        var ids = default(SpanIds);
        string? refused = null;
        int attributes = 0, events = 0, links = 0;

        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x0a: ids.Trace(reader.ReadBytes(out _)); break;
                case 0x12: ids.Span(reader.ReadBytes(out _)); break;
                case 0x22: ids.Parent(reader.ReadBytes(out _)); break;
                case 0x1a: SpanRules.Name(reader.ReadBytes(out int at0), at0, "trace state", limits, into, ref refused, out span.TraceState); break;
                case 0x2a: SpanRules.Name(reader.ReadBytes(out int at1), at1, "name", limits, into, ref refused, out span.Name); break;
                case 0x30: span.Kind = SpanRules.Kind(unchecked((long)reader.ReadVarint())); break;
                case 0x39: span.StartNanos = reader.ReadFixed64(); ids.HasTime = true; break;
                case 0x41: span.EndNanos = reader.ReadFixed64(); ids.HasTime = true; break;
                case 0x4a:
                    var content = reader.ReadBytes(out int at2);
                    if (attributes >= limits.MaxAttributesPerSpan) span.DroppedAttributes = SaturatingAdd(span.DroppedAttributes, 1);
                    else if (refused is null && (refused = KeyValue(content, at2, limits, into)) is null) attributes++;
                    break;
                case 0x50: span.DroppedAttributes = SaturatingAdd(span.DroppedAttributes, Count(ref reader)); break;
                case 0x5a: events++; reader.Skip(); break;
                case 0x60: span.DroppedEvents = SaturatingAdd(span.DroppedEvents, Count(ref reader)); break;
                case 0x6a: links++; reader.Skip(); break;
                case 0x70: span.DroppedLinks = SaturatingAdd(span.DroppedLinks, Count(ref reader)); break;
                case 0x7a: Status(reader.ReadBytes(out int at3), at3, ref span, ref refused, limits, into); break;
                case 0x85: span.Flags = reader.ReadFixed32(); break;
                default: reader.Skip(); break;
            }
        }
        span.Attributes = new RecordRange(mark.Attributes, attributes);
        string? withoutIds = ids.Check(out bool lacking, ref span);
        if (withoutIds is null && refused is null && events + links > 0)
            refused = EventsAndLinks(data, origin, ref span, limits, into);
        if (withoutIds is null && refused is null && SpanRules.RecordCount(into) > limits.MaxRecords) refused = SpanRules.TooManyRecords(limits);

        if (withoutIds is not null) into.Reject(mark, withoutIds, lacking);
        else if (refused is not null) into.Reject(mark, refused);
        else into.SpanList.Add() = span;
    }

    // Events and links are read after the span's own attributes, so that each owner's attributes stand together.
    private static string? EventsAndLinks(ReadOnlySpan<byte> data, int origin, ref DirtySpan span, IngestLimits limits, SpanBatch into)
    {
        string? refused = null;
        int firstEvent = into.EventList.Count, firstLink = into.LinkList.Count;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (refused is null && reader.NextTag())
        {
            if (reader.Tag == 0x5a)
            {
                var content = reader.ReadBytes(out int at);
                if (into.EventList.Count - firstEvent >= limits.MaxEventsPerSpan) span.DroppedEvents = SaturatingAdd(span.DroppedEvents, 1);
                else refused = Event(content, at, limits, into);
            }
            else if (reader.Tag == 0x6a)
            {
                var content = reader.ReadBytes(out int at);
                if (into.LinkList.Count - firstLink >= limits.MaxLinksPerSpan) span.DroppedLinks = SaturatingAdd(span.DroppedLinks, 1);
                else refused = Link(content, at, ref span, limits, into);
            }
            else
            {
                reader.Skip();
            }
            if (SpanRules.RecordCount(into) > limits.MaxRecords) refused ??= SpanRules.TooManyRecords(limits);
        }
        span.Events = new RecordRange(firstEvent, into.EventList.Count - firstEvent);
        span.Links = new RecordRange(firstLink, into.LinkList.Count - firstLink);
        return refused;
    }

    private static string? Event(ReadOnlySpan<byte> data, int origin, IngestLimits limits, SpanBatch into)
    {
        var record = new DirtyEvent();
        int first = into.AttributeList.Count;
        string? refused = null;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x09: record.TimeNanos = reader.ReadFixed64(); break;
                case 0x12: SpanRules.Name(reader.ReadBytes(out int at), at, "event name", limits, into, ref refused, out record.Name); break;
                case 0x1a: Attribute(reader.ReadBytes(out int at1), at1, first, ref record.DroppedAttributes, ref refused, limits, into); break;
                case 0x20: record.DroppedAttributes = SaturatingAdd(record.DroppedAttributes, Count(ref reader)); break;
                default: reader.Skip(); break;
            }
        }
        record.Attributes = new RecordRange(first, into.AttributeList.Count - first);
        into.EventList.Add() = record;
        return refused;
    }

    private static string? Link(ReadOnlySpan<byte> data, int origin, ref DirtySpan span, IngestLimits limits, SpanBatch into)
    {
        var record = new DirtyLink();
        var ids = default(SpanIds);
        int first = into.AttributeList.Count;
        string? refused = null;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x0a: ids.Trace(reader.ReadBytes(out _)); break;
                case 0x12: ids.Span(reader.ReadBytes(out _)); break;
                case 0x1a: SpanRules.Name(reader.ReadBytes(out int at), at, "link trace state", limits, into, ref refused, out record.TraceState); break;
                case 0x22: Attribute(reader.ReadBytes(out int at1), at1, first, ref record.DroppedAttributes, ref refused, limits, into); break;
                case 0x28: record.DroppedAttributes = SaturatingAdd(record.DroppedAttributes, Count(ref reader)); break;
                case 0x35: record.Flags = reader.ReadFixed32(); break;
                default: reader.Skip(); break;
            }
        }
        record.Attributes = new RecordRange(first, into.AttributeList.Count - first);
        SpanRules.AddLink(record, ids, first, ref span, into);
        return refused;
    }

    private static void Attribute(ReadOnlySpan<byte> data, int at, int first, ref uint dropped, ref string? refused, IngestLimits limits, SpanBatch into)
    {
        if (into.AttributeList.Count - first >= limits.MaxAttributesPerSpan) dropped = SaturatingAdd(dropped, 1);
        else refused ??= KeyValue(data, at, limits, into);
    }

    private static void Status(ReadOnlySpan<byte> data, int origin, ref DirtySpan span, ref string? refused, IngestLimits limits, SpanBatch into)
    {
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x12: SpanRules.Message(reader.ReadBytes(out int at), at, limits, into, ref refused, out span.StatusMessage); break;
                case 0x18: span.Status = SpanRules.Status(unchecked((long)reader.ReadVarint())); break;
                default: reader.Skip(); break;
            }
        }
    }

    // Returns why the span must be refused, or null after adding the attribute.
    internal static string? KeyValue(ReadOnlySpan<byte> data, int origin, IngestLimits limits, SpanBatch into)
    {
        ReadOnlySpan<byte> key = default, value = default;
        int keyAt = origin, valueAt = origin, values = 0;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == 0x0a)
            {
                key = reader.ReadBytes(out keyAt);
            }
            else if (reader.Tag == 0x12)
            {
                value = reader.ReadBytes(out valueAt);
                values++;
            }
            else
            {
                reader.Skip();
            }
        }
        if (values > 1) value = ProtobufValue.Merged(data, origin, 0x12, limits, into, out valueAt);
        if (key.Length > limits.MaxKeyBytes) return SpanRules.LongKey(limits);

        var read = ProtobufValue.Read(value, valueAt, limits, into);
        if (read.Text.Length > limits.MaxValueBytes) return SpanRules.LongValue(limits);
        into.AttributeList.Add() = read with { Key = into.Text(key, keyAt) };
        return null;
    }

    internal static uint Count(ref ProtobufReader reader) => (uint)Math.Min(reader.ReadVarint(), uint.MaxValue);

    internal static uint SaturatingAdd(uint a, uint b) => (uint)Math.Min((ulong)a + b, uint.MaxValue);
}
