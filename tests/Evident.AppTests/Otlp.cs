using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Evident.AppTests;

// One request in the tests' own words, written in both encodings of the OTLP specification without any OTLP library:
// what the product decodes was not encoded by anything it could share a mistake with.
// An attribute value is a string, bool, long, double, byte[], object?[] (array), Attribute[] (key-value list) or null (empty).

public sealed record Attribute(string Key, object? Value);

public sealed class OtlpSpan
{
    public byte[] TraceId = Ids.Trace();
    public byte[] SpanId = Ids.Span();
    public byte[] ParentSpanId = [];
    public string Name = "step";
    public int Kind = 1;
    public ulong Start = Ids.Now();
    public ulong End = Ids.Now() + 1_000_000;
    public string TraceState = "";
    public int StatusCode;
    public string StatusMessage = "";
    public List<Attribute> Attributes = [];
    public List<OtlpEvent> Events = [];
    public List<OtlpLink> Links = [];

    public string Trace => Convert.ToHexStringLower(TraceId);
    public string Span => Convert.ToHexStringLower(SpanId);

    public OtlpSpan With(string key, object? value)
    {
        Attributes.Add(new(key, value));
        return this;
    }
}

public sealed record OtlpEvent(string Name, ulong Time, params Attribute[] Attributes);

public sealed record OtlpLink(byte[] TraceId, byte[] SpanId, string TraceState, params Attribute[] Attributes);

public sealed class OtlpRequest
{
    public List<Attribute> Resource = [new("service.name", "app-tests")];
    public string ResourceSchema = "";
    public string ScopeName = "";
    public string ScopeVersion = "";
    public string ScopeSchema = "";
    public List<Attribute> ScopeAttributes = [];
    public List<OtlpSpan> Spans = [];

    public static OtlpRequest Of(params OtlpSpan[] spans) => new() { Spans = [.. spans] };

    public byte[] Protobuf()
    {
        var scope = new Proto().Text(1, ScopeName).Text(2, ScopeVersion);
        foreach (var a in ScopeAttributes) scope.Message(3, KeyValue(a));
        var spans = new Proto().Message(1, scope);
        foreach (var span in Spans) spans.Message(2, Encode(span));
        spans.Text(3, ScopeSchema);
        var resource = new Proto();
        foreach (var a in Resource) resource.Message(1, KeyValue(a));
        return new Proto().Message(1, new Proto().Message(1, resource).Message(2, spans).Text(3, ResourceSchema)).ToArray();
    }

    public byte[] Json() => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["resourceSpans"] = new JsonArray(new JsonObject
        {
            ["resource"] = new JsonObject { ["attributes"] = JsonAttributes(Resource) },
            ["scopeSpans"] = new JsonArray(new JsonObject
            {
                ["scope"] = new JsonObject { ["name"] = ScopeName, ["version"] = ScopeVersion, ["attributes"] = JsonAttributes(ScopeAttributes) },
                ["spans"] = new JsonArray([.. Spans.Select(Json)]),
                ["schemaUrl"] = ScopeSchema,
            }),
            ["schemaUrl"] = ResourceSchema,
        }),
    }.ToJsonString());

    private static Proto Encode(OtlpSpan span)
    {
        var p = new Proto().Bytes(1, span.TraceId).Bytes(2, span.SpanId).Text(3, span.TraceState).Bytes(4, span.ParentSpanId).Text(5, span.Name)
            .Varint(6, (ulong)span.Kind).Fixed64(7, span.Start).Fixed64(8, span.End);
        foreach (var a in span.Attributes) p.Message(9, KeyValue(a));
        foreach (var e in span.Events)
        {
            var m = new Proto().Fixed64(1, e.Time).Text(2, e.Name);
            foreach (var a in e.Attributes) m.Message(3, KeyValue(a));
            p.Message(11, m);
        }
        foreach (var l in span.Links)
        {
            var m = new Proto().Bytes(1, l.TraceId).Bytes(2, l.SpanId).Text(3, l.TraceState);
            foreach (var a in l.Attributes) m.Message(4, KeyValue(a));
            p.Message(13, m);
        }
        if (span.StatusCode != 0 || span.StatusMessage.Length > 0) p.Message(15, new Proto().Text(2, span.StatusMessage).Varint(3, (ulong)span.StatusCode));
        return p;
    }

    internal static Proto KeyValue(Attribute a) => new Proto().Text(1, a.Key).Message(2, Value(a.Value));

    private static Proto Value(object? value) => value switch
    {
        null => new Proto(),
        string s => new Proto().Text(1, s, always: true),
        bool b => new Proto().Varint(2, b ? 1u : 0u, always: true),
        int i => new Proto().Varint(3, unchecked((ulong)(long)i), always: true),
        long i => new Proto().Varint(3, unchecked((ulong)i), always: true),
        double d => new Proto().Fixed64(4, unchecked((ulong)BitConverter.DoubleToInt64Bits(d)), always: true),
        byte[] b => new Proto().Bytes(7, b, always: true),
        Attribute[] list => new Proto().Message(6, list.Aggregate(new Proto(), (m, a) => m.Message(1, KeyValue(a)))),
        object?[] array => new Proto().Message(5, array.Aggregate(new Proto(), (m, v) => m.Message(1, Value(v)))),
        _ => throw new ArgumentException($"No OTLP value for {value.GetType()}."),
    };

    private static JsonObject Json(OtlpSpan span) => new()
    {
        ["traceId"] = span.Trace,
        ["spanId"] = span.Span,
        ["parentSpanId"] = Convert.ToHexStringLower(span.ParentSpanId),
        ["traceState"] = span.TraceState,
        ["name"] = span.Name,
        ["kind"] = span.Kind,
        ["startTimeUnixNano"] = span.Start.ToString(CultureInfo.InvariantCulture),
        ["endTimeUnixNano"] = span.End.ToString(CultureInfo.InvariantCulture),
        ["attributes"] = JsonAttributes(span.Attributes),
        ["events"] = new JsonArray([.. span.Events.Select(e => new JsonObject { ["timeUnixNano"] = e.Time.ToString(CultureInfo.InvariantCulture), ["name"] = e.Name, ["attributes"] = JsonAttributes(e.Attributes) })]),
        ["links"] = new JsonArray([.. span.Links.Select(l => new JsonObject
        {
            ["traceId"] = Convert.ToHexStringLower(l.TraceId), ["spanId"] = Convert.ToHexStringLower(l.SpanId), ["traceState"] = l.TraceState, ["attributes"] = JsonAttributes(l.Attributes),
        })]),
        ["status"] = new JsonObject { ["code"] = span.StatusCode, ["message"] = span.StatusMessage },
    };

    private static JsonArray JsonAttributes(IEnumerable<Attribute> attributes) =>
        new([.. attributes.Select(a => new JsonObject { ["key"] = a.Key, ["value"] = JsonValue(a.Value) })]);

    private static JsonObject JsonValue(object? value) => value switch
    {
        null => [],
        string s => new JsonObject { ["stringValue"] = s },
        bool b => new JsonObject { ["boolValue"] = b },
        int i => new JsonObject { ["intValue"] = i.ToString(CultureInfo.InvariantCulture) },
        long i => new JsonObject { ["intValue"] = i.ToString(CultureInfo.InvariantCulture) },
        double d => new JsonObject { ["doubleValue"] = d },
        byte[] b => new JsonObject { ["bytesValue"] = Convert.ToBase64String(b) },
        Attribute[] list => new JsonObject { ["kvlistValue"] = new JsonObject { ["values"] = JsonAttributes(list) } },
        object?[] array => new JsonObject { ["arrayValue"] = new JsonObject { ["values"] = new JsonArray([.. array.Select(JsonValue)]) } },
        _ => throw new ArgumentException($"No OTLP value for {value.GetType()}."),
    };
}

/// <summary>Protobuf by hand: fields in the order in which they are added; empty ones are left out unless asked for.</summary>
public sealed class Proto
{
    private readonly MemoryStream bytes = new();

    public byte[] ToArray() => bytes.ToArray();

    public Proto Varint(int field, ulong value, bool always = false)
    {
        if (value == 0 && !always) return this;
        Raw((ulong)field << 3);
        Raw(value);
        return this;
    }

    public Proto Fixed64(int field, ulong value, bool always = false)
    {
        if (value == 0 && !always) return this;
        Raw(((ulong)field << 3) | 1);
        Span<byte> eight = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(eight, value);
        bytes.Write(eight);
        return this;
    }

    public Proto Bytes(int field, ReadOnlySpan<byte> value, bool always = false)
    {
        if (value.Length == 0 && !always) return this;
        Raw(((ulong)field << 3) | 2);
        Raw((ulong)value.Length);
        bytes.Write(value);
        return this;
    }

    public Proto Text(int field, string value, bool always = false) => Bytes(field, Encoding.UTF8.GetBytes(value), always);

    public Proto Message(int field, Proto message) => Bytes(field, message.ToArray(), always: true);

    private void Raw(ulong value)
    {
        for (; value >= 0x80; value >>= 7) bytes.WriteByte((byte)((value & 0x7f) | 0x80));
        bytes.WriteByte((byte)value);
    }

    /// <summary>The fields of a message: number -> value (ulong for varints and fixed, byte[] for length-delimited). The last one wins.</summary>
    public static Dictionary<int, object> Fields(ReadOnlySpan<byte> message)
    {
        var fields = new Dictionary<int, object>();
        while (message.Length > 0)
        {
            var tag = ReadVarint(ref message);
            var field = (int)(tag >> 3);
            switch (tag & 7)
            {
                case 0: fields[field] = ReadVarint(ref message); break;
                case 1: fields[field] = BinaryPrimitives.ReadUInt64LittleEndian(message); message = message[8..]; break;
                case 2:
                    var length = (int)ReadVarint(ref message);
                    fields[field] = message[..length].ToArray();
                    message = message[length..];
                    break;
                case 5: fields[field] = (ulong)BinaryPrimitives.ReadUInt32LittleEndian(message); message = message[4..]; break;
                default: throw new FormatException($"wire type {tag & 7}");
            }
        }
        return fields;
    }

    private static ulong ReadVarint(ref ReadOnlySpan<byte> from)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var b = from[0];
            from = from[1..];
            value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80) return value;
        }
    }
}

public static class Ids
{
    public static byte[] Trace() => RandomNumberGenerator.GetBytes(16);

    public static byte[] Span() => RandomNumberGenerator.GetBytes(8);

    public static ulong Now() => (ulong)(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1_000_000);

    public static string Unique(string prefix) => $"{prefix}{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(5))}";
}
