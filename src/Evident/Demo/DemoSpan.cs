using System.Globalization;
using System.Text.Json;

namespace Evident.Demo;

/// <summary>One span as an agent's SDK would export it. Times are Unix nanoseconds.</summary>
internal sealed class DemoSpan(string traceId, string spanId, string? parent, string name, ulong start)
{
    public string TraceId { get; } = traceId;

    public string SpanId { get; } = spanId;

    /// <summary>OTLP's number: 1 internal, 3 client.</summary>
    public int OtlpKind { get; set; } = 1;

    public ulong Start { get; } = start;

    public ulong End { get; set; } = start;

    public List<(string Key, object Value)> Attributes { get; } = [];

    /// <summary>0 unset, 1 ok, 2 error.</summary>
    public int StatusCode { get; private set; }

    private string? StatusMessage { get; set; }

    private List<(string TraceId, string SpanId)> Links { get; } = [];

    private List<(ulong Time, string Name, (string Key, object Value)[] Attributes)> Events { get; } = [];

    public DemoSpan With(params (string Key, object Value)[] attributes)
    {
        Attributes.AddRange(attributes);
        return this;
    }

    public DemoSpan AsClient()
    {
        OtlpKind = 3;
        return this;
    }

    public DemoSpan Succeeded()
    {
        StatusCode = 1;
        return this;
    }

    /// <summary>Status error with an exception event, as SDKs record it.</summary>
    public DemoSpan Failed(string errorClass, string errorType, string message)
    {
        StatusCode = 2;
        StatusMessage = message;
        Attributes.AddRange([("error_class", errorClass), ("error.type", errorType)]);
        Events.Add((End, "exception", [("exception.type", errorType), ("exception.message", message)]));
        return this;
    }

    public DemoSpan LinkedTo(DemoSpan other)
    {
        Links.Add((other.TraceId, other.SpanId));
        return this;
    }

    public DemoSpan Event(ulong time, string eventName, params (string Key, object Value)[] attributes)
    {
        Events.Add((time, eventName, attributes));
        return this;
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("traceId"u8, TraceId);
        json.WriteString("spanId"u8, SpanId);
        if (parent is not null)
        {
            json.WriteString("parentSpanId"u8, parent);
        }

        json.WriteString("name"u8, name);
        json.WriteNumber("kind"u8, OtlpKind);
        WriteTime(json, "startTimeUnixNano", Start);
        WriteTime(json, "endTimeUnixNano", End);
        WriteAttributes(json, Attributes);
        json.WriteStartArray("events"u8);
        foreach ((ulong time, string eventName, (string Key, object Value)[] attributes) in Events)
        {
            json.WriteStartObject();
            WriteTime(json, "timeUnixNano", time);
            json.WriteString("name"u8, eventName);
            WriteAttributes(json, attributes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("links"u8);
        foreach ((string linkedTrace, string linkedSpan) in Links)
        {
            json.WriteStartObject();
            json.WriteString("traceId"u8, linkedTrace);
            json.WriteString("spanId"u8, linkedSpan);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("status"u8);
        json.WriteNumber("code"u8, StatusCode);
        if (StatusMessage is not null)
        {
            json.WriteString("message"u8, StatusMessage);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    public static void WriteAttributes(Utf8JsonWriter json, IEnumerable<(string Key, object Value)> attributes)
    {
        json.WriteStartArray("attributes"u8);
        foreach ((string key, object value) in attributes)
        {
            json.WriteStartObject();
            json.WriteString("key"u8, key);
            json.WriteStartObject("value"u8);
            switch (value)
            {
                case string text:
                    json.WriteString("stringValue"u8, text);
                    break;
                case bool flag:
                    json.WriteBoolean("boolValue"u8, flag);
                    break;
                case int whole:
                    json.WriteString("intValue"u8, whole.ToString(CultureInfo.InvariantCulture));
                    break;
                case double number:
                    json.WriteNumber("doubleValue"u8, number);
                    break;
                default:
                    throw new ArgumentException($"The demo has no OTLP form for {key}, a {value.GetType().Name}.");
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    // OTLP JSON writes 64-bit integers as strings.
    private static void WriteTime(Utf8JsonWriter json, string property, ulong nanos) =>
        json.WriteString(property, nanos.ToString(CultureInfo.InvariantCulture));
}
