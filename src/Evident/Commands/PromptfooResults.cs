using System.Globalization;
using System.Text.Json;

namespace Evident.Commands;

/// <summary>
/// The result file of a promptfoo evaluation (<c>promptfoo eval -o results.json</c>, summary version 3; ingest-protocols 10.1) as JSON lines of plain events: one run for the evaluation, below it a step
/// for each case with its verdict, and below that the model's call and each assertion. Prompts, outputs and reasons are payloads; the evaluation's configuration, which may hold secrets, is left behind.
/// </summary>
internal static class PromptfooResults
{
    /// <param name="release">Null: the tag <c>release</c> of the evaluation, when it has one.</param>
    /// <exception cref="FormatException">It is no such file; the message names the line or the member.</exception>
    public static byte[] ToEvents(byte[] file, string? release)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(file);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || Member(root, "results") is not { ValueKind: JsonValueKind.Object } summary || Member(summary, "results") is not { ValueKind: JsonValueKind.Array } rows)
            {
                throw new FormatException("it has no member results.results; it is not what `promptfoo eval -o results.json` writes.");
            }

            if (Number(summary, "version") != 3)
            {
                throw new FormatException("results.version is not 3, the one form that is read; write it anew with a promptfoo of 2025 or later.");
            }

            if (Text(root, "evalId") is not { Length: > 0 } id || Text(summary, "timestamp") is not { } time)
            {
                throw new FormatException("evalId or results.timestamp is missing.");
            }

            JsonElement? config = Member(root, "config");
            release ??= Member(config, "tags") is { } tags ? Text(tags, "release") : null;
            return new Writer(id, time, Text(config, "description") ?? "promptfoo", release).Write(summary, rows);
        }
        catch (JsonException damage)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"line {(damage.LineNumber ?? 0) + 1}: this is not well-formed JSON."));
        }
    }

    private static JsonElement? Member(JsonElement? of, string name) => of is { ValueKind: JsonValueKind.Object } item && item.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? Text(JsonElement? of, string name) => Member(of, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static double? Number(JsonElement? of, string name) => Member(of, name) is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : null;

    private static bool? Flag(JsonElement? of, string name) => Member(of, name)?.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => null };

    private sealed class Writer(string id, string time, string suite, string? release)
    {
        private readonly MemoryStream stream = new();

        public byte[] Write(JsonElement summary, JsonElement rows)
        {
            JsonElement? stats = Member(summary, "stats");
            bool failed = Number(stats, "failures") > 0 || Number(stats, "errors") > 0;
            Line("workflow_run", "promptfoo_eval", id, null, id, json =>
            {
                json.WriteNumber("latency_ms"u8, Number(stats, "durationMs") ?? 0);
                json.WriteString("status"u8, failed ? "failure" : "success");
            });
            int number = 0;
            foreach (JsonElement row in rows.EnumerateArray())
            {
                Case(row, ++number);
            }

            return stream.ToArray();
        }

        private void Case(JsonElement row, int number)
        {
            // A case whose trace was sent over OTLP stands in that trace; the run id brings the two together.
            string trace = Text(row, "traceId") is { Length: 32 } sent ? sent : id, own = Text(row, "id") ?? string.Create(CultureInfo.InvariantCulture, $"{id}/{number}");
            JsonElement? grading = Member(row, "gradingResult"), response = Member(row, "response");
            bool? passed = Flag(row, "success");
            string test = Number(row, "testIdx") is { } index ? string.Create(CultureInfo.InvariantCulture, $"case-{index}") : string.Create(CultureInfo.InvariantCulture, $"case-{number}");
            Line("eval_result", "eval_case", own, trace == id ? id : null, trace, json =>
            {
                json.WriteNumber("latency_ms"u8, Number(row, "latencyMs") ?? 0);
                json.WriteString("eval.name"u8, Text(Member(row, "testCase"), "description") ?? test);
                json.WriteString("eval.suite"u8, suite);
                Verdict(json, passed, Number(row, "score"), Number(row, "failureReason") == 2 ? "error" : passed == true ? "pass" : "fail");
                Payload(json, "gen_ai.evaluation.explanation", Text(grading, "reason"));
                Payload(json, "error.message", Text(row, "error"));
                Payload(json, "promptfoo.vars", Member(row, "vars")?.GetRawText());
                json.WriteString("promptfoo.prompt.label"u8, Text(Member(row, "prompt"), "label"));
                json.WriteString("promptfoo.test"u8, test);
            });
            Call(row, response, own, trace);
            int assertion = 0;
            if (Member(grading, "componentResults") is { ValueKind: JsonValueKind.Array } components)
            {
                foreach (JsonElement component in components.EnumerateArray())
                {
                    JsonElement? about = Member(component, "assertion");
                    Line("eval_result", "eval_assertion", string.Create(CultureInfo.InvariantCulture, $"{own}/assertion/{++assertion}"), own, trace, json =>
                    {
                        json.WriteString("eval.name"u8, Text(about, "metric") ?? Text(about, "type") ?? "assertion");
                        json.WriteString("eval.suite"u8, suite);
                        bool? pass = Flag(component, "pass");
                        Verdict(json, pass, Number(component, "score"), pass == true ? "pass" : "fail");
                        Payload(json, "gen_ai.evaluation.explanation", Text(component, "reason"));
                        json.WriteString("promptfoo.assertion.type"u8, Text(about, "type"));
                    });
                }
            }
        }

        // The grader's own tokens (tokenUsage.assertions) are another matter and are not the target's.
        private void Call(JsonElement row, JsonElement? response, string own, string trace)
        {
            string route = Text(Member(row, "provider"), "id") ?? "unknown";
            string[] parts = route.Split(':');
            int model = parts.Length > 2 && parts[1] is "chat" or "responses" or "completion" or "messages" or "embedding" or "realtime" or "assistant" ? 2 : 1;
            JsonElement? usage = Member(response, "tokenUsage"), details = Member(usage, "completionDetails");
            bool cached = Flag(response, "cached") == true;
            Line("model_generation", "chat", own + "/call", own, trace, json =>
            {
                json.WriteNumber("latency_ms"u8, Number(response, "latencyMs") ?? Number(row, "latencyMs") ?? 0);
                json.WriteString("promptfoo.provider.id"u8, route);
                if (parts.Length > model)
                {
                    json.WriteString("gen_ai.provider.name"u8, parts[0]);
                    json.WriteString("gen_ai.request.model"u8, string.Join(':', parts[model..]));
                }

                if (!cached)
                {
                    Count(json, "gen_ai.usage.input_tokens", Number(usage, "prompt"));
                    Count(json, "gen_ai.usage.output_tokens", Number(usage, "completion"));
                    Count(json, "gen_ai.usage.total_tokens", Number(usage, "total"));
                    Count(json, "gen_ai.usage.cache_read.input_tokens", Number(details, "cacheReadInputTokens"));
                    Count(json, "gen_ai.usage.cache_creation.input_tokens", Number(details, "cacheCreationInputTokens"));
                    Count(json, "gen_ai.usage.reasoning.output_tokens", Number(details, "reasoning"));
                }

                if (!cached && Number(row, "cost") is { } cost and > 0)
                {
                    json.WriteNumber("cost_usd"u8, cost);
                }

                json.WriteString("status"u8, Number(row, "failureReason") == 2 ? "error" : "ok");
                Payload(json, "input", Text(Member(row, "prompt"), "raw"));
                Payload(json, "output", Member(response, "output") is not { } output ? null : output.ValueKind == JsonValueKind.String ? output.GetString() : output.GetRawText());
            });
        }

        private void Line(string type, string name, string span, string? parent, string trace, Action<Utf8JsonWriter> more)
        {
            using (var json = new Utf8JsonWriter(stream))
            {
                json.WriteStartObject();
                json.WriteString("event_type"u8, type);
                json.WriteString("name"u8, name);
                json.WriteString("timestamp"u8, time);
                json.WriteString("trace_id"u8, trace);
                json.WriteString("span_id"u8, span);
                json.WriteString("parent_span_id"u8, parent);
                json.WriteString("run_id"u8, id);
                json.WriteString("workflow_id"u8, suite);
                json.WriteString("release"u8, release);
                more(json);
                json.WriteEndObject();
            }

            stream.WriteByte((byte)'\n');
        }

        private static void Verdict(Utf8JsonWriter json, bool? passed, double? score, string label)
        {
            if (passed is { } verdict)
            {
                json.WriteBoolean("eval.passed"u8, verdict);
            }

            if (score is { } number)
            {
                json.WriteNumber("eval.score"u8, number);
            }

            json.WriteString("eval.label"u8, label);
        }

        private static void Payload(Utf8JsonWriter json, string name, string? text)
        {
            if (!string.IsNullOrEmpty(text))
            {
                json.WriteString(name, text);
            }
        }

        private static void Count(Utf8JsonWriter json, string name, double? count)
        {
            if (count is >= 0 and < 9e15)
            {
                json.WriteNumber(name, (long)count.Value);
            }
        }
    }
}
