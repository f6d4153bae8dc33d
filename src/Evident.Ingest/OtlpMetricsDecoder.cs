using System.Text.Json;

namespace Evident.Ingest;

/// <summary>What an OTLP request carries.</summary>
public enum OtlpSignal { Traces, Logs, Metrics }

/// <summary>
/// OTLP metrics (ingest-protocols 5.5). None of them is kept: what an agent's meters say about tokens, cost and durations is in its spans, and counting it twice would be wrong. The points are counted, and each is told as
/// rejected in the answer, so that an exporter goes on and nobody believes that they are here. Pure.
/// </summary>
public static class OtlpMetricsDecoder
{
    public const string NotKept = "metrics are not kept by this appliance: it counts tokens, cost, durations and outcomes from traces; switch the metrics exporter off (OTEL_METRICS_EXPORTER=none).";

    /// <exception cref="OtlpDecodeException">The body is no ExportMetricsServiceRequest.</exception>
    public static void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into)
    {
        SpanScribe.Begin(body, limits, into);
        var request = new ProtobufReader(body, 0, limits.MaxDepth);
        int points = 0;
        while (request.NextTag())
        {
            if (request.Tag != ((1 << 3) | 2))
            {
                request.Skip();
                continue;
            }

            Inside(request.ReadBytes(out _), limits, 0, ref points);
        }

        Refuse(points, into);
    }

    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void DecodeJson(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into)
    {
        SpanScribe.Begin(body, limits, into);
        int points = 0;
        DoorJson.Read(body, limits, (ref Utf8JsonReader r) =>
        {
            int depth = r.CurrentDepth;
            while (r.TokenType != JsonTokenType.None && r.Read() && r.CurrentDepth > depth)
            {
                if (r.TokenType == JsonTokenType.PropertyName && (r.ValueSpan.SequenceEqual("dataPoints"u8) || r.ValueSpan.SequenceEqual("data_points"u8)))
                {
                    r.Read();
                    DoorJson.Each(ref r, (ref Utf8JsonReader point) =>
                    {
                        point.Skip();
                        points++;
                    });
                }
            }
        });
        Refuse(points, into);
    }

    // ResourceMetrics, ScopeMetrics, Metric, then the kind of metric with its points.
    private static void Inside(ReadOnlySpan<byte> message, IngestLimits limits, int level, ref int points)
    {
        var reader = new ProtobufReader(message, 0, limits.MaxDepth);
        while (reader.NextTag())
        {
            bool down = reader.WireType == 2 && level switch { 0 or 1 => reader.Field == 2, 2 => reader.Field is 5 or 7 or 9 or 10 or 11, _ => reader.Field == 1 };
            if (!down)
            {
                reader.Skip();
            }
            else if (level == 3)
            {
                reader.ReadBytes(out _);
                points++;
            }
            else
            {
                Inside(reader.ReadBytes(out _), limits, level + 1, ref points);
            }
        }
    }

    private static void Refuse(int points, SpanBatch into)
    {
        for (int i = 0; i < points; i++)
        {
            into.Reject(into.Mark(), NotKept);
        }
    }
}

/// <summary>Which signal a request to the bare address carries (ingest-protocols 2.8): some exporters use their base as it is and send all three there. Pure.</summary>
public static class OtlpSignals
{
    /// <summary>By the first member that names one; traces when none does, whose decoder then says what is missing.</summary>
    public static OtlpSignal OfJson(ReadOnlySpan<byte> body)
    {
        var r = new Utf8JsonReader(body);
        try
        {
            while (r.Read())
            {
                if (r.TokenType == JsonTokenType.PropertyName)
                {
                    if (r.ValueSpan.SequenceEqual("resourceLogs"u8) || r.ValueSpan.SequenceEqual("resource_logs"u8))
                    {
                        return OtlpSignal.Logs;
                    }

                    if (r.ValueSpan.SequenceEqual("resourceMetrics"u8) || r.ValueSpan.SequenceEqual("resource_metrics"u8))
                    {
                        return OtlpSignal.Metrics;
                    }

                    if (r.ValueSpan.SequenceEqual("resourceSpans"u8) || r.ValueSpan.SequenceEqual("resource_spans"u8))
                    {
                        break;
                    }

                    r.Skip();
                }
            }
        }
        catch (JsonException)
        {
            return OtlpSignal.Traces; // its decoder refuses it
        }

        return OtlpSignal.Traces;
    }

    /// <summary>By the first item's fields: a span has fixed times 7 and 8, a log record one at 1 or 11, a metric a name and one of its kinds.</summary>
    public static OtlpSignal OfProtobuf(ReadOnlySpan<byte> body, IngestLimits limits)
    {
        try
        {
            var item = First(First(First(body, 1, limits), 2, limits), 2, limits);
            var reader = new ProtobufReader(item, 0, limits.MaxDepth);
            bool kind = false;
            while (reader.NextTag())
            {
                if (reader.WireType == 1)
                {
                    return reader.Field is 1 or 11 ? OtlpSignal.Logs : OtlpSignal.Traces;
                }

                kind |= reader.WireType == 2 && reader.Field is 5 or 7 or 9 or 10 or 11;
                reader.Skip();
            }

            return kind ? OtlpSignal.Metrics : OtlpSignal.Traces;
        }
        catch (OtlpDecodeException)
        {
            return OtlpSignal.Traces; // its decoder refuses it
        }
    }

    private static ReadOnlySpan<byte> First(ReadOnlySpan<byte> message, int field, IngestLimits limits)
    {
        var reader = new ProtobufReader(message, 0, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Field == field && reader.WireType == 2)
            {
                return reader.ReadBytes(out _);
            }

            reader.Skip();
        }

        return default;
    }
}
