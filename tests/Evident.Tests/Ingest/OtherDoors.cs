using System.Globalization;
using System.Text.Json;

namespace Evident.Tests.Ingest;

/// <summary>What the tests' OTLP trace request looks like when it comes in by another door: as far as that door has a place for it.</summary>
internal static class OtherDoors
{
    /// <summary>Each span as a log record: the name is the event name, the trace state the severity, the status message the body.</summary>
    internal static byte[] Logs(OtlpRequest request) => Wire.Message(w =>
    {
        foreach (var origin in request.Resources)
        {
            w.Message(1, r =>
            {
                r.Message(1, o => o.Attributes(1, origin.Resource));
                r.Message(2, s =>
                {
                    s.Message(1, o => { o.Text(1, origin.ScopeName); o.Text(2, origin.ScopeVersion); o.Attributes(3, origin.ScopeAttributes); });
                    foreach (var span in origin.Spans)
                    {
                        s.Message(2, l =>
                        {
                            l.Fixed64(1, span.Start);
                            l.Text(3, span.State);
                            l.Message(5, b => b.Value(span.Message));
                            l.Attributes(6, [.. span.Attributes, .. span.Events.SelectMany(e => e.Attributes), .. span.Links.SelectMany(k => k.Attributes)]);
                            l.Bytes(9, span.Trace);
                            l.Text(12, span.Name);
                        });
                    }
                });
            });
        }
    });

    internal static byte[] LogsJson(OtlpRequest request) => Written(w =>
    {
        w.WriteStartObject();
        w.WriteStartArray("resourceLogs");
        foreach (var origin in request.Resources)
        {
            w.WriteStartObject();
            w.WriteStartObject("resource");
            OtlpJson.Attributes(w, origin.Resource);
            w.WriteEndObject();
            w.WriteStartArray("scopeLogs");
            w.WriteStartObject();
            w.WriteStartObject("scope");
            w.WriteString("name", origin.ScopeName);
            w.WriteString("version", origin.ScopeVersion);
            OtlpJson.Attributes(w, origin.ScopeAttributes);
            w.WriteEndObject();
            w.WriteStartArray("logRecords");
            foreach (var span in origin.Spans)
            {
                w.WriteStartObject();
                w.WriteString("traceId", Convert.ToHexStringLower(span.Trace));
                w.WriteString("timeUnixNano", span.Start.ToString(CultureInfo.InvariantCulture));
                w.WriteString("severityText", span.State);
                w.WriteString("eventName", span.Name);
                w.WritePropertyName("body");
                OtlpJson.Value(w, span.Message);
                OtlpJson.Attributes(w, [.. span.Attributes, .. span.Events.SelectMany(e => e.Attributes), .. span.Links.SelectMany(k => k.Attributes)]);
                w.WriteEndObject();
            }

            w.WriteEndArray();
            w.WriteEndObject();
            w.WriteEndArray();
            w.WriteEndObject();
        }

        w.WriteEndArray();
        w.WriteEndObject();
    });

    /// <summary>Each span as a plain event, its resource's attributes among its members.</summary>
    internal static byte[] Events(OtlpRequest request) => Written(w =>
    {
        w.WriteStartArray();
        foreach (var origin in request.Resources)
        {
            foreach (var span in origin.Spans)
            {
                var members = new Dictionary<string, object?>(StringComparer.Ordinal) { ["otel.scope.name"] = origin.ScopeName, ["message"] = span.Message };
                foreach (var (key, value) in origin.Resource.Concat(origin.ScopeAttributes).Concat(span.Events.SelectMany(e => e.Attributes)))
                {
                    members[key] = value;
                }

                foreach (string own in (string[])["timestamp", "trace_id", "span_id", "name", "attributes"])
                {
                    members.Remove(own);
                }

                w.WriteStartObject();
                w.WriteString("timestamp", "2026-05-06T06:00:00Z");
                w.WriteString("trace_id", Convert.ToHexStringLower(span.Trace));
                w.WriteString("span_id", Convert.ToHexStringLower(span.Id));
                w.WriteString("name", span.Name);
                foreach (var (key, value) in members)
                {
                    w.WritePropertyName(key);
                    Plain(w, value);
                }

                w.WritePropertyName("attributes");
                Plain(w, span.Attributes.DistinctBy(a => a.Key).ToArray());
                w.WriteEndObject();
            }
        }

        w.WriteEndArray();
    });

    internal static void Plain(Utf8JsonWriter w, object? value)
    {
        switch (value)
        {
            case string s: w.WriteStringValue(s); break;
            case bool b: w.WriteBooleanValue(b); break;
            case long n: w.WriteNumberValue(n); break;
            case double d: w.WriteNumberValue(d); break;
            case byte[] bytes: w.WriteStringValue(Convert.ToBase64String(bytes)); break;
            case object?[] array:
                w.WriteStartArray();
                foreach (var item in array) Plain(w, item);
                w.WriteEndArray();
                break;
            case KeyValuePair<string, object?>[] list:
                w.WriteStartObject();
                foreach (var (key, item) in list)
                {
                    w.WritePropertyName(key);
                    Plain(w, item);
                }

                w.WriteEndObject();
                break;
            default: w.WriteNullValue(); break;
        }
    }

    private static byte[] Written(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true })) write(writer);
        return buffer.ToArray();
    }
}
