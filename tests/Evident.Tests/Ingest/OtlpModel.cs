using System.Globalization;
using System.Text;
using System.Text.Json;
using Google.Protobuf;

namespace Evident.Tests.Ingest;

/// <summary>
/// An OTLP trace request as the tests see it, written by an independent encoder (Google.Protobuf's CodedOutputStream) and as OTLP/JSON. Values are
/// string, bool, long, double, byte[], object?[] (array), KeyValuePair&lt;string, object?&gt;[] (list) or null (no value).
/// </summary>
internal sealed record OtlpRequest(params OtlpResourceSpans[] Resources)
{
    internal byte[] Protobuf() => Wire.Message(w => { foreach (var r in Resources) w.Message(1, r.Write); });

    internal byte[] Json()
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("resourceSpans");
            foreach (var r in Resources) r.Json(writer);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        return buffer.ToArray();
    }

    internal static OtlpRequest Of(params OtlpSpan[] spans) => new(new OtlpResourceSpans([], "tests", "1.0", [], spans));
}

internal sealed record OtlpResourceSpans(KeyValuePair<string, object?>[] Resource, string ScopeName, string ScopeVersion, KeyValuePair<string, object?>[] ScopeAttributes, OtlpSpan[] Spans)
{
    internal void Write(Wire w)
    {
        w.Message(1, r => r.Attributes(1, Resource));
        w.Message(2, s =>
        {
            s.Message(1, o => { o.Text(1, ScopeName); o.Text(2, ScopeVersion); o.Attributes(3, ScopeAttributes); });
            foreach (var span in Spans) s.Message(2, span.Write);
        });
    }

    internal void Json(Utf8JsonWriter w)
    {
        w.WriteStartObject();
        w.WriteStartObject("resource");
        OtlpJson.Attributes(w, Resource);
        w.WriteEndObject();
        w.WriteStartArray("scopeSpans");
        w.WriteStartObject();
        w.WriteStartObject("scope");
        w.WriteString("name", ScopeName);
        w.WriteString("version", ScopeVersion);
        OtlpJson.Attributes(w, ScopeAttributes);
        w.WriteEndObject();
        w.WriteStartArray("spans");
        foreach (var span in Spans) span.Json(w);
        w.WriteEndArray();
        w.WriteEndObject();
        w.WriteEndArray();
        w.WriteEndObject();
    }
}

internal sealed record OtlpEvent(string Name, ulong Time, params KeyValuePair<string, object?>[] Attributes);

internal sealed record OtlpLink(byte[] Trace, byte[] Span, string State, params KeyValuePair<string, object?>[] Attributes);

internal sealed record OtlpSpan(string Name, params KeyValuePair<string, object?>[] Attributes)
{
    internal byte[] Trace { get; init; } = Convert.FromHexString("0af7651916cd43dd8448eb211c80319c");
    internal byte[] Id { get; init; } = Convert.FromHexString("b7ad6b7169203331");
    internal byte[] Parent { get; init; } = [];
    internal string State { get; init; } = "";
    internal int Kind { get; init; } = 1;
    internal ulong Start { get; init; } = 1_778_047_200_000_000_000;
    internal ulong End { get; init; } = 1_778_047_201_000_000_000;
    internal int Status { get; init; }
    internal string Message { get; init; } = "";
    internal uint Flags { get; init; }
    internal uint Dropped { get; init; }
    internal OtlpEvent[] Events { get; init; } = [];
    internal OtlpLink[] Links { get; init; } = [];

    internal void Write(Wire w)
    {
        w.Bytes(1, Trace);
        w.Bytes(2, Id);
        w.Text(3, State);
        w.Bytes(4, Parent);
        w.Text(5, Name);
        w.Integer(6, Kind);
        w.Fixed64(7, Start);
        w.Fixed64(8, End);
        w.Attributes(9, Attributes);
        w.Integer(10, Dropped);
        foreach (var e in Events) w.Message(11, m => { m.Fixed64(1, e.Time); m.Text(2, e.Name); m.Attributes(3, e.Attributes); });
        foreach (var l in Links) w.Message(13, m => { m.Bytes(1, l.Trace); m.Bytes(2, l.Span); m.Text(3, l.State); m.Attributes(4, l.Attributes); });
        w.Message(15, m => { m.Text(2, Message); m.Integer(3, Status); });
        w.Fixed32(16, Flags);
    }

    internal void Json(Utf8JsonWriter w)
    {
        w.WriteStartObject();
        w.WriteString("traceId", Convert.ToHexStringLower(Trace));
        w.WriteString("spanId", Convert.ToHexString(Id));
        w.WriteString("traceState", State);
        w.WriteString("parentSpanId", Convert.ToHexStringLower(Parent));
        w.WriteString("name", Name);
        w.WriteNumber("kind", Kind);
        w.WriteString("startTimeUnixNano", Start.ToString(CultureInfo.InvariantCulture));
        w.WriteNumber("endTimeUnixNano", End);
        OtlpJson.Attributes(w, Attributes);
        w.WriteNumber("droppedAttributesCount", Dropped);
        w.WriteStartArray("events");
        foreach (var e in Events)
        {
            w.WriteStartObject();
            w.WriteString("timeUnixNano", e.Time.ToString(CultureInfo.InvariantCulture));
            w.WriteString("name", e.Name);
            OtlpJson.Attributes(w, e.Attributes);
            w.WriteEndObject();
        }
        w.WriteEndArray();
        w.WriteStartArray("links");
        foreach (var l in Links)
        {
            w.WriteStartObject();
            w.WriteString("traceId", Convert.ToHexStringLower(l.Trace));
            w.WriteString("spanId", Convert.ToBase64String(l.Span));
            w.WriteString("traceState", l.State);
            OtlpJson.Attributes(w, l.Attributes);
            w.WriteEndObject();
        }
        w.WriteEndArray();
        w.WriteStartObject("status");
        w.WriteString("message", Message);
        w.WriteNumber("code", Status);
        w.WriteEndObject();
        w.WriteNumber("flags", Flags);
        w.WriteEndObject();
    }
}

/// <summary>Writes one protobuf message; empty scalars are left out, as proto3 does.</summary>
internal sealed class Wire(CodedOutputStream output)
{
    internal static byte[] Message(Action<Wire> write)
    {
        using var buffer = new MemoryStream();
        using (var output = new CodedOutputStream(buffer)) write(new Wire(output));
        return buffer.ToArray();
    }

    internal void Message(int field, Action<Wire> write) => Raw(field, Message(write));

    internal void Raw(int field, byte[] content)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(content));
    }

    internal void Bytes(int field, byte[] value) { if (value.Length > 0) Raw(field, value); }

    internal void Text(int field, string value)
    {
        if (value.Length == 0) return;
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteString(value);
    }

    internal void Integer(int field, long value)
    {
        if (value == 0) return;
        output.WriteTag(field, WireFormat.WireType.Varint);
        output.WriteInt64(value);
    }

    internal void Fixed64(int field, ulong value)
    {
        output.WriteTag(field, WireFormat.WireType.Fixed64);
        output.WriteFixed64(value);
    }

    internal void Fixed32(int field, uint value)
    {
        output.WriteTag(field, WireFormat.WireType.Fixed32);
        output.WriteFixed32(value);
    }

    internal void Tag(int field, WireFormat.WireType type) => output.WriteTag(field, type);

    internal void Attributes(int field, KeyValuePair<string, object?>[] attributes)
    {
        foreach (var (key, value) in attributes) Message(field, m => { m.Text(1, key); m.Message(2, v => v.Value(value)); });
    }

    internal void Value(object? value)
    {
        switch (value)
        {
            case null: break;
            case string s:
                output.WriteTag(1, WireFormat.WireType.LengthDelimited);
                output.WriteString(s);
                break;
            case bool b:
                output.WriteTag(2, WireFormat.WireType.Varint);
                output.WriteBool(b);
                break;
            case long n:
                output.WriteTag(3, WireFormat.WireType.Varint);
                output.WriteInt64(n);
                break;
            case double d:
                output.WriteTag(4, WireFormat.WireType.Fixed64);
                output.WriteDouble(d);
                break;
            case object?[] array: Message(5, a => { foreach (var item in array) a.Message(1, v => v.Value(item)); }); break;
            case KeyValuePair<string, object?>[] list: Message(6, l => l.Attributes(1, list)); break;
            case byte[] bytes: Raw(7, bytes); break;
            default: throw new ArgumentException($"no OTLP value for {value.GetType()}");
        }
    }
}

internal static class OtlpJson
{
    internal static void Attributes(Utf8JsonWriter w, KeyValuePair<string, object?>[] attributes)
    {
        w.WriteStartArray("attributes");
        foreach (var (key, value) in attributes) Member(w, key, value);
        w.WriteEndArray();
    }

    private static void Member(Utf8JsonWriter w, string key, object? value)
    {
        w.WriteStartObject();
        w.WriteString("key", key);
        w.WritePropertyName("value");
        Value(w, value);
        w.WriteEndObject();
    }

    internal static void Value(Utf8JsonWriter w, object? value)
    {
        w.WriteStartObject();
        switch (value)
        {
            case string s: w.WriteString("stringValue", s); break;
            case bool b: w.WriteBoolean("boolValue", b); break;
            case long n: w.WriteString("intValue", n.ToString(CultureInfo.InvariantCulture)); break;
            case double d when !double.IsFinite(d): w.WriteString("doubleValue", double.IsNaN(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity"); break;
            case double d: w.WriteNumber("doubleValue", d); break;
            case byte[] bytes: w.WriteString("bytesValue", Convert.ToBase64String(bytes)); break;
            case object?[] array:
                w.WriteStartObject("arrayValue");
                w.WriteStartArray("values");
                foreach (var item in array) Value(w, item);
                w.WriteEndArray();
                w.WriteEndObject();
                break;
            case KeyValuePair<string, object?>[] list:
                w.WriteStartObject("kvlistValue");
                w.WriteStartArray("values");
                foreach (var (key, item) in list) Member(w, key, item);
                w.WriteEndArray();
                w.WriteEndObject();
                break;
        }
        w.WriteEndObject();
    }

    internal static KeyValuePair<string, object?> Is(this string key, object? value) => new(key, value is int n ? (long)n : value);

    internal static byte[] Utf8(this string text) => Encoding.UTF8.GetBytes(text);
}
