using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>More than one export can hold; the message says what to select instead.</summary>
public sealed class RunExportException(string message) : Exception(message);

/// <summary>
/// A run as OTLP JSON, JSON lines or CSV (docs/connect/offline.md). OTLP JSON carries each revision of a span with its encoding, so that another appliance stores the same bytes; payloads stay in the
/// vault, their fingerprints and references go along. Pure but for the reader.
/// </summary>
internal static class RunExport
{
    public const string Otlp = "otlp-json", Lines = "jsonl", Csv = "csv";

    public const string CsvHead = "run_id,trace_id,span_id,parent_span_id,name,kind,start_time,end_time,duration_ms,status,outcome,tool_name,side_effect_level,model,tokens_in,tokens_out,cost_usd,cost_source,error_class,approval_state\r\n";

    private const int SpansPerLine = 200;
    private const long MaxBytes = 256L << 20;

    public static byte[] Write(string format, string runId, IReadOnlyList<MergedSpan> spans, IEnumerable<TracePlace> traces, string workspace, SpanReader reader, CancellationToken cancellation) => format switch
    {
        Otlp => WriteOtlp(traces, workspace, reader, cancellation),
        Lines => WriteLines(runId, spans, reader),
        _ => WriteCsv(runId, spans, reader),
    };

    private static byte[] WriteOtlp(IEnumerable<TracePlace> traces, string workspace, SpanReader reader, CancellationToken cancellation)
    {
        using var stream = new MemoryStream();
        using var json = new Utf8JsonWriter(stream);
        int inLine = 0;
        foreach (var place in traces)
        {
            reader.ReadEncoded(workspace, place.Trace, place.FirstDay, (_, _, _, encoded) =>
            {
                if (inLine == 0)
                {
                    json.WriteStartObject();
                    json.WriteStartArray("resourceSpans"u8);
                }

                WriteSpan(json, encoded);
                if (++inLine == SpansPerLine)
                {
                    EndLine(stream, json);
                    inLine = 0;
                }
            }, cancellation);
        }

        if (inLine > 0)
        {
            EndLine(stream, json);
        }

        return stream.ToArray();
    }

    private static void EndLine(MemoryStream stream, Utf8JsonWriter json)
    {
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        json.Reset();
        stream.WriteByte((byte)'\n');
        Bound(stream);
    }

    private static void WriteSpan(Utf8JsonWriter json, ReadOnlySpan<byte> encoded)
    {
        var span = StoredSpan.Decode(encoded);
        json.WriteStartObject();
        json.WriteStartObject("resource"u8);
        WriteAttributes(json, span.ResourceAttributes);
        json.WriteEndObject();
        json.WriteStartArray("scopeSpans"u8);
        json.WriteStartObject();
        json.WriteStartObject("scope"u8);
        if (span.InstrumentationScope is { } scope)
        {
            json.WriteString("name"u8, scope);
        }

        json.WriteEndObject();
        json.WriteStartArray("spans"u8);
        json.WriteStartObject();
        json.WriteString("traceId"u8, span.TraceId.ToString());
        json.WriteString("spanId"u8, span.SpanId.ToString());
        if (span.ParentSpanId is { } parent)
        {
            json.WriteString("parentSpanId"u8, parent.ToString());
        }

        json.WriteString("name"u8, span.Name);
        json.WriteNumber("kind"u8, (int)span.OtlpKind);
        WriteNanos(json, "startTimeUnixNano"u8, span.StartNanos);
        WriteNanos(json, "endTimeUnixNano"u8, span.EndNanos);
        json.WriteStartArray("attributes"u8);
        WriteText(json, "agent.step.kind", span.Kind.ToName());
        foreach (var (field, value) in span.Fields)
        {
            WriteAttribute(json, field.ToName(), value);
        }

        foreach (var attribute in span.Attributes)
        {
            WriteAttribute(json, attribute.Key, attribute.Value);
        }

        json.WriteStartObject();
        json.WriteString("key"u8, ImportDecoder.CarriedKey);
        json.WriteStartObject("value"u8);
        json.WriteBase64String("stringValue"u8, encoded);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteStartArray("events"u8);
        foreach (var e in span.Events)
        {
            json.WriteStartObject();
            WriteNanos(json, "timeUnixNano"u8, e.TimeNanos);
            json.WriteString("name"u8, e.Name);
            WriteAttributes(json, e.Attributes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("links"u8);
        foreach (var link in span.Links)
        {
            json.WriteStartObject();
            json.WriteString("traceId"u8, link.TraceId.ToString());
            json.WriteString("spanId"u8, link.SpanId.ToString());
            WriteAttributes(json, link.Attributes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("status"u8);
        json.WriteNumber("code"u8, (int)span.Status);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteNanos(Utf8JsonWriter json, ReadOnlySpan<byte> name, ulong nanos) => json.WriteString(name, nanos.ToString(CultureInfo.InvariantCulture));

    private static void WriteAttributes(Utf8JsonWriter json, IReadOnlyList<SpanAttribute> attributes)
    {
        json.WriteStartArray("attributes"u8);
        foreach (var attribute in attributes)
        {
            WriteAttribute(json, attribute.Key, attribute.Value);
        }

        json.WriteEndArray();
    }

    private static void WriteText(Utf8JsonWriter json, string key, string text) => WriteAttribute(json, key, new SpanValue(ValueKind.Text, text, 0, 0));

    private static void WriteAttribute(Utf8JsonWriter json, string key, SpanValue value)
    {
        json.WriteStartObject();
        json.WriteString("key"u8, key);
        json.WriteStartObject("value"u8);
        switch (value.Kind)
        {
            case ValueKind.Flag: json.WriteBoolean("boolValue"u8, value.Integer != 0); break;
            case ValueKind.Integer: json.WriteString("intValue"u8, value.Integer.ToString(CultureInfo.InvariantCulture)); break;
            case ValueKind.Number when double.IsFinite(value.Number): json.WriteNumber("doubleValue"u8, value.Number); break;
            default: json.WriteString("stringValue"u8, value.Text ?? value.Number.ToString(CultureInfo.InvariantCulture)); break;
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    // One step a line, as the API shows it, with the run that it belongs to.
    private static byte[] WriteLines(string runId, IReadOnlyList<MergedSpan> spans, SpanReader reader)
    {
        using var stream = new MemoryStream();
        using var json = new Utf8JsonWriter(stream);
        foreach (var span in spans)
        {
            json.WriteStartObject();
            json.WriteString("run_id"u8, runId);
            json.WritePropertyName("span"u8);
            JsonSerializer.Serialize(json, reader.View(span, []), StoreJson.Default.SpanView);
            json.WriteEndObject();
            json.Flush();
            json.Reset();
            stream.WriteByte((byte)'\n');
            Bound(stream);
        }

        return stream.ToArray();
    }

    private static byte[] WriteCsv(string runId, IReadOnlyList<MergedSpan> spans, SpanReader reader)
    {
        var text = new StringBuilder();
        foreach (var merged in spans)
        {
            var v = reader.View(merged, []);
            string?[] cells =
            [
                runId, v.TraceId, v.SpanId, v.ParentSpanId, v.Name, v.Kind, v.StartTime, v.EndTime, v.DurationMs.ToString("R", CultureInfo.InvariantCulture), v.Status, v.Outcome, v.ToolName, v.SideEffectLevel, v.Model,
                v.TokensIn?.ToString(CultureInfo.InvariantCulture), v.TokensOut?.ToString(CultureInfo.InvariantCulture), v.CostUsd?.ToString("R", CultureInfo.InvariantCulture), v.Cost?.Source, v.ErrorClass, v.ApprovalState,
            ];
            for (int i = 0; i < cells.Length; i++)
            {
                text.Append(i > 0 ? "," : "").Append(Cell(cells[i]));
            }

            text.Append("\r\n");
            if (text.Length > MaxBytes)
            {
                throw TooLarge();
            }
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    // RFC 4180; what a spreadsheet would take for a formula gets an apostrophe in front.
    private static string Cell(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        if (text[0] is '=' or '+' or '-' or '@' or '\t')
        {
            text = "'" + text;
        }

        return text.AsSpan().ContainsAny("\",\r\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }

    private static void Bound(MemoryStream stream)
    {
        if (stream.Length > MaxBytes)
        {
            throw TooLarge();
        }
    }

    private static RunExportException TooLarge() => new($"one run is exported in at most {MaxBytes >> 20} MiB.");
}
