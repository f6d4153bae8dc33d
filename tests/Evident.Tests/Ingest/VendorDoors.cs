using System.Text.Json;

namespace Evident.Tests.Ingest;

/// <summary>The tests' OTLP trace request in the forms of vendors' own SDKs: every text of it at some place that the form has.</summary>
internal static class VendorDoors
{
    private const string Time = "2026-05-06T06:00:00Z";

    /// <summary>Each span as a run of LangSmith.</summary>
    internal static byte[] LangSmith(OtlpRequest request) => Written(request, "post", (w, origin, span) =>
    {
        w.WriteString("id", "0192f0a1-7c31-7b00-" + Hex(span.Id)[..4] + "-0000" + Hex(span.Id)[8..]);
        w.WriteString("trace_id", Hex(span.Trace));
        w.WriteString("name", span.Name);
        w.WriteString("run_type", "chain");
        w.WriteString("start_time", Time);
        w.WriteString("error", span.Message);
        w.WriteString("session_name", origin.ScopeName);
        Member(w, "tags", new object?[] { span.State, origin.ScopeVersion });
        Member(w, "inputs", Distinct(span.Attributes));
        Member(w, "outputs", Distinct(span.Events.SelectMany(e => e.Attributes.Append(new("name", e.Name)))));
        w.WriteStartObject("extra");
        Member(w, "metadata", Distinct([.. span.Attributes, .. origin.Resource, .. span.Links.SelectMany(l => l.Attributes.Append(new("state", l.State)))]));
        Member(w, "runtime", Distinct(origin.ScopeAttributes));
        w.WriteEndObject();
    });

    /// <summary>Each span as an observation of Langfuse.</summary>
    internal static byte[] Langfuse(OtlpRequest request) => Written(request, "batch", (w, origin, span) =>
    {
        w.WriteString("id", Hex(span.Id));
        w.WriteString("type", "generation-create");
        w.WriteString("timestamp", Time);
        w.WriteStartObject("body");
        w.WriteString("id", Hex(span.Id));
        w.WriteString("traceId", Hex(span.Trace));
        w.WriteString("name", span.Name);
        w.WriteString("startTime", Time);
        w.WriteString("statusMessage", span.Message);
        w.WriteString("version", origin.ScopeVersion);
        w.WriteString("environment", origin.ScopeName);
        w.WriteString("model", span.State);
        Member(w, "modelParameters", Distinct(origin.ScopeAttributes));
        Member(w, "metadata", Distinct([.. span.Attributes, .. origin.Resource, .. span.Links.SelectMany(l => l.Attributes.Append(new("state", l.State)))]));
        Member(w, "input", Distinct(span.Attributes));
        Member(w, "output", Distinct(span.Events.SelectMany(e => e.Attributes.Append(new("name", e.Name)))));
        foreach (var (key, value) in span.Attributes)
        {
            if (key is not ("id" or "name" or "input" or "output" or "model" or "version"))
            {
                Member(w, key, value);
            }
        }

        w.WriteEndObject();
    });

    /// <summary>Each span as one of the OpenAI Agents SDK.</summary>
    internal static byte[] OpenAi(OtlpRequest request) => Written(request, "data", (w, origin, span) =>
    {
        w.WriteString("object", "trace.span");
        w.WriteString("id", "span_" + Hex(span.Id));
        w.WriteString("trace_id", "trace_" + Hex(span.Trace));
        w.WriteString("started_at", Time);
        w.WriteStartObject("span_data");
        w.WriteString("type", "custom");
        w.WriteString("name", span.Name);
        Member(w, "data", Distinct(span.Attributes));
        Member(w, "input", Distinct(origin.Resource));
        Member(w, "output", Distinct(span.Events.SelectMany(e => e.Attributes.Append(new("name", e.Name)))));
        w.WriteString("model", span.State);
        w.WriteEndObject();
        w.WriteStartObject("error");
        w.WriteString("message", span.Message);
        Member(w, "data", Distinct(origin.ScopeAttributes));
        w.WriteEndObject();
        Member(w, "metadata", Distinct([.. origin.Resource, new("scope", origin.ScopeName), new("scope.version", origin.ScopeVersion), .. span.Links.SelectMany(l => l.Attributes.Append(new("state", l.State)))]));
    });

    private static byte[] Written(OtlpRequest request, string list, Action<Utf8JsonWriter, OtlpResourceSpans, OtlpSpan> item)
    {
        using var stream = new MemoryStream();
        using (var w = new Utf8JsonWriter(stream))
        {
            w.WriteStartObject();
            w.WriteStartArray(list);
            foreach (var origin in request.Resources)
            {
                foreach (var span in origin.Spans)
                {
                    w.WriteStartObject();
                    item(w, origin, span);
                    w.WriteEndObject();
                }
            }

            w.WriteEndArray();
            w.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void Member(Utf8JsonWriter w, string name, object? value)
    {
        w.WritePropertyName(name);
        OtherDoors.Plain(w, value);
    }

    private static KeyValuePair<string, object?>[] Distinct(IEnumerable<KeyValuePair<string, object?>> attributes) => [.. attributes.DistinctBy(a => a.Key)];

    private static string Hex(byte[] id) => Convert.ToHexStringLower(id);
}
