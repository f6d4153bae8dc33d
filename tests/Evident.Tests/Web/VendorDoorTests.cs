using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Evident.Store;

namespace Evident.Tests.Web;

/// <summary>The doors for vendors' own SDKs, in the shapes that ingest-protocols 6 to 8 captured: each gives one tree with kinds, names, models, tokens and cost, and what was said is sealed.</summary>
public sealed class VendorDoorTests
{
    private const string Trace = "0192f0a1-7c31-7b00-8000-00000000a001", Llm = "0192f0a1-7c31-7b00-8000-00000000a002", Tool = "0192f0a1-7c31-7b00-8000-00000000a003", Said = "planted words of Mrs Kowalski";

    private static async Task<(int Status, JsonElement Body)> SendAsync(RunningWeb web, HttpMethod method, string path, HttpContent content)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        request.Headers.Add("x-api-key", "lsv2_any");
        using var response = await web.Client.SendAsync(request);
        return ((int)response.StatusCode, JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.Clone());
    }

    private static Task<(int Status, JsonElement Body)> PostAsync(RunningWeb web, string path, string json) => SendAsync(web, HttpMethod.Post, path, new StringContent(json, Encoding.UTF8, "application/json"));

    private static RunStory Story(RunningWeb web, string run) => web.Store.GetRun(run, default) ?? throw new InvalidOperationException($"no run '{run}'");

    private static SpanView Step(RunStory story, string name) =>
        story.Spans.SingleOrDefault(s => s.Name == name) ?? throw new InvalidOperationException($"no step '{name}' among {string.Join(", ", story.Spans.Select(static s => $"'{s.Name}' ({s.Kind}, {s.Revisions})"))}");

    private static string? Said_(RunningWeb web, SpanView span, string role) => span.Payloads.SingleOrDefault(p => p.Role == role)?.Ref is { } reference
        ? Encoding.UTF8.GetString(web.Store.ReadPayloadAsync(reference, "test", new Actor("1000", "uid"), default).GetAwaiter().GetResult().Plaintext)
        : null;

    private static string? Text(SpanView span, string key) => span.Attributes.FirstOrDefault(a => a.Key == key).Value.Value.Text;

    private const string Root = $$$$$$"""
        {"id":"{{{{{{Trace}}}}}}","trace_id":"{{{{{{Trace}}}}}}","dotted_order":"20261121T060000000000Z{{{{{{Trace}}}}}}","name":"refund-agent","run_type":"chain","start_time":"2026-11-21T06:00:00.000000Z",
        "session_name":"support","inputs":{"question":"{{{{{{Said}}}}}}"},"extra":{"metadata":{"thread_id":"ticket-9421","langgraph_step":3,"LANGSMITH_PROJECT":"support"},"runtime":{"sdk":"langsmith-js"}},"tags":["seq:1"],"serialized":{"a":1}}
        """;

    private const string Call = $$$$$$"""
        {"id":"{{{{{{Llm}}}}}}","trace_id":"{{{{{{Trace}}}}}}","parent_run_id":"{{{{{{Trace}}}}}}","dotted_order":"20261121T060000000000Z{{{{{{Trace}}}}}}.20261121T060001000000Z{{{{{{Llm}}}}}}","name":"ChatOpenAI","run_type":"llm",
        "start_time":1795240801000,"end_time":1795240802500,"inputs":{"messages":[["{{{{{{Said}}}}}}"]]},"extra":{"metadata":{"ls_provider":"openai","ls_model_name":"gpt-4o-mini","ls_temperature":0.2}},
        "outputs":{"generations":[[{"text":"{{{{{{Said}}}}}}","message":{"kwargs":{"content":"{{{{{{Said}}}}}}","usage_metadata":{"input_tokens":100,"output_tokens":20,"total_tokens":120,"input_token_details":{"cache_read":30},"output_token_details":{"reasoning":5}},"response_metadata":{"model_name":"gpt-4o-mini-2024-07-18"}}}}]]}}
        """;

    private const string Failed = $$$$$$"""
        {"id":"{{{{{{Tool}}}}}}","trace_id":"{{{{{{Trace}}}}}}","parent_run_id":"{{{{{{Trace}}}}}}","dotted_order":"20261121T060000000000Z{{{{{{Trace}}}}}}.20261121T060003000000Z{{{{{{Tool}}}}}}","name":"crm.lookup","run_type":"tool",
        "start_time":"2026-11-21T06:00:03Z","end_time":"2026-11-21T06:00:04Z","inputs":{"input":"{{{{{{Said}}}}}}"},"error":"ValueError('{{{{{{Said}}}}}}')\n\nTraceback"}
        """;

    private const string Ended = $$$$$$"""{"id":"{{{{{{Trace}}}}}}","trace_id":"{{{{{{Trace}}}}}}","dotted_order":"20261121T060000000000Z{{{{{{Trace}}}}}}","end_time":"2026-11-21T06:00:05Z","outputs":{"answer":"{{{{{{Said}}}}}}"}}""";

    private static void IsTheRun(RunningWeb web)
    {
        var story = Story(web, Trace.Replace("-", "", StringComparison.Ordinal));
        Assert.Equal(3, story.Spans.Count);
        SpanView root = Step(story, "refund-agent"), call = Step(story, "ChatOpenAI"), tool = Step(story, "crm.lookup");
        Assert.Null(root.ParentSpanId);
        Assert.All([call, tool], s => Assert.Equal(root.SpanId, s.ParentSpanId));
        Assert.Equal(("llm", "tool"), (call.Kind, tool.Kind));
        Assert.Equal("ticket-9421", story.Run.SessionId);
        Assert.Equal((100L, 20L), (story.Run.TokensIn, story.Run.TokensOut));
        Assert.Equal(("gpt-4o-mini", "gpt-4o-mini-2024-07-18"), (Text(call, "gen_ai.request.model"), Text(call, "gen_ai.response.model")));
        Assert.Equal("crm.lookup", Text(tool, "tool.name"));
        Assert.Equal("error", tool.Status);
        Assert.Equal("ValueError", Text(tool, "error.type"));
        Assert.Contains(Said, Said_(web, call, "input"), StringComparison.Ordinal);
        Assert.Contains(Said, Said_(web, tool, "tool.args"), StringComparison.Ordinal);
        Assert.Contains(Said, Said_(web, root, "output"), StringComparison.Ordinal);
        Assert.DoesNotContain(Said, JsonSerializer.Serialize(story, StoreJson.Default.RunStory), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/api")]
    [InlineData("/api/v1")]
    public async Task LangSmith_runs_one_by_one(string at)
    {
        await using var web = await RunningWeb.StartAsync();
        Assert.Equal(202, (await PostAsync(web, at + "/runs", Root)).Status);
        Assert.Equal(202, (await PostAsync(web, at + "/runs", Call)).Status);
        Assert.Equal(202, (await PostAsync(web, at + "/runs", Failed)).Status);
        Assert.Equal(202, (await SendAsync(web, HttpMethod.Patch, $"{at}/runs/{Trace}", new StringContent(Ended.Replace($"\"id\":\"{Trace}\",", "", StringComparison.Ordinal), Encoding.UTF8, "application/json"))).Status);
        IsTheRun(web);
        Assert.True((await PostAsync(web, at + "/runs", Call)).Body.GetProperty("duplicates").GetInt32() == 1);
        var info = await web.Client.GetAsync(at + "/info");
        Assert.True(JsonDocument.Parse(await info.Content.ReadAsStringAsync()).RootElement.GetProperty("batch_ingest_config").GetProperty("use_multipart_endpoint").GetBoolean());
    }

    [Fact]
    public async Task LangSmith_batches()
    {
        await using var web = await RunningWeb.StartAsync();
        var (status, body) = await PostAsync(web, "/runs/batch", $$$$$$"""{"post":[{{{{{{Root}}}}}},{{{{{{Call}}}}}},{{{{{{Failed}}}}}},{"name":"no id"},7],"patch":[{{{{{{Ended}}}}}}]}""");
        Assert.Equal((202, 4, 2), (status, body.GetProperty("accepted").GetInt32(), body.GetProperty("refused").GetInt32()));
        IsTheRun(web);
        Assert.Equal(400, (await PostAsync(web, "/runs/batch", """{"post":[{"name":"no id"}]}""")).Status);
        Assert.Equal(400, (await PostAsync(web, "/runs/batch", "{")).Status);
    }

    [Fact]
    public async Task LangSmith_forms()
    {
        await using var web = await RunningWeb.StartAsync();
        static HttpContent Form(params (string Name, string Json)[] parts)
        {
            var form = new MultipartFormDataContent("----LangSmithFormBoundary0123");
            foreach (var (name, json) in parts)
            {
                var part = new StringContent(json, Encoding.UTF8, "application/json");
                part.Headers.ContentDisposition = new ContentDispositionHeaderValue("form-data") { Name = $"\"{name}\"" };
                form.Add(part);
            }

            return form;
        }

        static (string Main, string Member) Split(string run, string member)
        {
            using var parsed = JsonDocument.Parse(run);
            string value = parsed.RootElement.GetProperty(member).GetRawText();
            return (JsonSerializer.Serialize(parsed.RootElement.EnumerateObject().Where(p => p.Name != member).ToDictionary(p => p.Name, p => p.Value)), value);
        }

        var (call, outputs) = Split(Call, "outputs");
        var (tool, error) = Split(Failed, "error");
        var (tool2, inputs) = Split(tool, "inputs");
        var (status, body) = await SendAsync(web, HttpMethod.Post, "/runs/multipart", Form(
            ($"post.{Llm}.outputs", outputs), ($"post.{Trace}", Root), ($"post.{Llm}", call), ($"post.{Tool}", tool2), ($"post.{Tool}.error", error), ($"post.{Tool}.inputs", inputs),
            ($"attachment.{Tool}.file", "x"), ($"patch.{Trace}", Ended), ($"patch.{Tool}.outputs", "{}"),
            ("feedback.0192f0a1-7c31-7b00-8000-00000000f001", $$$$$$"""{"id":"0192f0a1-7c31-7b00-8000-00000000f001","run_id":"{{{{{{Llm}}}}}}","trace_id":"{{{{{{Trace}}}}}}","key":"helpful","score":0.5,"comment":"{{{{{{Said}}}}}}","created_at":"2026-11-21T06:01:00Z"}""")));
        Assert.Equal((202, 5, 1), (status, body.GetProperty("accepted").GetInt32(), body.GetProperty("refused").GetInt32()));
        var story = Story(web, Trace.Replace("-", "", StringComparison.Ordinal));
        var feedback = Step(story, "helpful");
        Assert.Equal(("evaluation", Step(story, "ChatOpenAI").SpanId), (feedback.Kind, feedback.ParentSpanId));
        Assert.Equal("helpful", Text(feedback, "eval.name"));
        Assert.Equal("ValueError", Text(Step(story, "crm.lookup"), "error.type"));
        Assert.Equal((100L, 20L), (story.Run.TokensIn, story.Run.TokensOut));
        Assert.Contains(Said, Said_(web, Step(story, "crm.lookup"), "tool.args"), StringComparison.Ordinal);

        using var bare = new HttpRequestMessage(HttpMethod.Post, "/runs/multipart") { Content = Form(($"post.{Trace}", Root)) };
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await web.Client.SendAsync(bare)).StatusCode); // as a page's form would send it: no key in a header
    }

    [Fact]
    public async Task An_interrupt_of_LangGraph_is_no_failure()
    {
        await using var web = await RunningWeb.StartAsync();
        string interrupted = Failed.Replace("\"run_type\":\"tool\"", "\"run_type\":\"chain\"", StringComparison.Ordinal)
            .Replace($"ValueError('{Said}')\\n\\nTraceback", $"[{{\\\"id\\\":\\\"i1\\\",\\\"value\\\":\\\"{Said}\\\"}}]\\n\\nGraphInterrupt: ", StringComparison.Ordinal);
        Assert.Equal(202, (await PostAsync(web, "/runs/batch", $$$$$$"""{"post":[{{{{{{Root}}}}}},{{{{{{interrupted}}}}}}],"patch":[{{{{{{Ended}}}}}}]}""")).Status);
        var story = Story(web, Trace.Replace("-", "", StringComparison.Ordinal));
        var step = Step(story, "crm.lookup");
        Assert.NotEqual("error", step.Status);
        Assert.Equal("interrupted", Text(step, "outcome"));
        Assert.DoesNotContain(Said, JsonSerializer.Serialize(story, StoreJson.Default.RunStory), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Langfuse_batches_in_any_order()
    {
        await using var web = await RunningWeb.StartAsync();
        string batch = $$$$$$"""
            {"batch":[
            {"id":"e3","type":"generation-update","timestamp":"2026-11-21T06:00:02.500Z","body":{"id":"gen-1","traceId":"trace-1","endTime":"2026-11-21T06:00:02.500Z","output":"{{{{{{Said}}}}}}","usageDetails":{"input":100,"output":20,"total":120},"costDetails":{"input":0.001,"total":0.0031}}},
            {"id":"e2","type":"generation-create","timestamp":"2026-11-21T06:00:01Z","body":{"id":"gen-1","traceId":"trace-1","name":"chat","startTime":"2026-11-21T06:00:01Z","model":"gpt-4o-mini","input":[{"role":"user","content":"{{{{{{Said}}}}}}"}],"modelParameters":{"temperature":0.2}}},
            {"id":"e1","type":"trace-create","timestamp":"2026-11-21T06:00:00Z","body":{"id":"trace-1","timestamp":"2026-11-21T06:00:00Z","name":"refund","userId":"mrs.planted@mail.example","sessionId":"ticket-9421","input":"{{{{{{Said}}}}}}","release":"1.2.3","environment":"prod","tags":["a"]}},
            {"id":"e4","type":"tool-create","timestamp":"2026-11-21T06:00:03Z","body":{"id":"tool-1","traceId":"trace-1","parentObservationId":"gen-1","name":"crm.lookup","startTime":"2026-11-21T06:00:03Z","endTime":"2026-11-21T06:00:04Z","input":{"q":"{{{{{{Said}}}}}}"},"level":"ERROR","statusMessage":"{{{{{{Said}}}}}}"}},
            {"id":"e5","type":"score-create","timestamp":"2026-11-21T06:00:05Z","body":{"id":"score-1","traceId":"trace-1","observationId":"gen-1","name":"helpful","value":1,"comment":"{{{{{{Said}}}}}}"}},
            {"id":"e6","type":"sdk-log","timestamp":"2026-11-21T06:00:05Z","body":{"log":"{{{{{{Said}}}}}}"}},
            {"id":"e7","type":"dataset-run-item-create","timestamp":"2026-11-21T06:00:05Z","body":{"id":"x"}},
            {"id":"e8 <script>","type":"span-create","timestamp":"2026-11-21T06:00:05Z","body":{"name":"no trace"}}
            ],"metadata":{"sdk_name":"langfuse-js"}}
            """;
        var (status, body) = await PostAsync(web, "/api/public/ingestion", batch);
        Assert.Equal(207, status);
        Assert.Equal(["e3", "e2", "e1", "e4", "e5", "e6"], body.GetProperty("successes").EnumerateArray().Select(s => s.GetProperty("id").GetString()));
        Assert.Equal(["e7", ""], body.GetProperty("errors").EnumerateArray().Select(s => s.GetProperty("id").GetString()));
        var story = web.Store.FindRuns(new SpanQuery(Session: "ticket-9421"), default).Runs is [var run] ? Story(web, run.RunId) : throw new InvalidOperationException("one run is expected");
        SpanView root = Step(story, "refund"), call = Step(story, "chat"), tool = Step(story, "crm.lookup"), score = Step(story, "helpful");
        Assert.Equal(4, story.Spans.Count);
        Assert.Equal([null, root.SpanId, call.SpanId, call.SpanId], new[] { root, call, tool, score }.Select(s => s.ParentSpanId));
        Assert.Equal(["workflow", "llm", "tool", "evaluation"], new[] { root, call, tool, score }.Select(s => s.Kind));
        Assert.Equal((100L, 20L, 0.0031), (story.Run.TokensIn, story.Run.TokensOut, story.Run.CostUsd));
        Assert.Equal("error", tool.Status);
        Assert.StartsWith("u_", Text(root, "actor.user_id"), StringComparison.Ordinal);
        Assert.Contains(Said, Said_(web, call, "input"), StringComparison.Ordinal);
        Assert.Contains(Said, Said_(web, call, "output"), StringComparison.Ordinal);
        Assert.StartsWith("2026-11-21T06:00:01", call.StartTime, StringComparison.Ordinal);
        Assert.DoesNotContain(Said, JsonSerializer.Serialize(story, StoreJson.Default.RunStory), StringComparison.Ordinal);

        Assert.Equal(207, (await PostAsync(web, "/api/public/ingestion", """{"batch":[]}""")).Status);
        Assert.Equal(200, (await PostAsync(web, "/api/public/scores", """{"id":"score-2","traceId":"trace-1","name":"tone","value":"good"}""")).Status);
        Assert.Equal("good", Text(Step(Story(web, story.Run.RunId), "tone"), "eval.label"));
        Assert.Equal(HttpStatusCode.OK, (await web.Client.GetAsync("/api/public/health")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await web.Client.GetAsync("/api/public/v2/prompts/any")).StatusCode);
    }

    [Fact]
    public async Task OpenAI_Agents_with_a_call_that_was_rejected()
    {
        await using var web = await RunningWeb.StartAsync();
        const string trace = "trace_0192f0a17c317b0080000000000000aa";
        string items = $$$$$$"""
            {"data":[{"object":"trace","id":"{{{{{{trace}}}}}}","workflow_name":"refund","group_id":"ticket-9421","metadata":null},
            {"object":"trace.span","id":"span_000000000000000000000003","trace_id":"{{{{{{trace}}}}}}","parent_id":"span_000000000000000000000001","started_at":"2026-11-21T06:00:01.000Z","ended_at":"2026-11-21T06:00:02.000Z","span_data":{"type":"generation","model":"gpt-4o-mini","input":[{"content":"{{{{{{Said}}}}}}"}],"output":[{"content":"{{{{{{Said}}}}}}"}],"usage":{"input_tokens":100,"output_tokens":20}},"error":null},
            {"object":"trace.span","id":"span_000000000000000000000004","trace_id":"{{{{{{trace}}}}}}","parent_id":"span_000000000000000000000001","started_at":"2026-11-21T06:00:03.000Z","ended_at":"2026-11-21T06:00:04.000Z","span_data":{"type":"function","name":"refund.submit","input":"","output":"Tool execution was not approved."},"error":{"message":"Tool execution was not approved.","data":{"tool_name":"refund.submit","error":"Tool call call_1 was manually rejected."}}},
            {"object":"trace.span","id":"span_000000000000000000000002","trace_id":"{{{{{{trace}}}}}}","parent_id":"span_000000000000000000000001","started_at":"2026-11-21T06:00:01.000Z","ended_at":"2026-11-21T06:00:02.000Z","span_data":{"type":"custom","name":"turn","data":{"sdk_span_type":"turn","turn":1,"agent_name":"Refunds","usage":{"input_tokens":100,"output_tokens":20}}},"error":null},
            {"object":"trace.span","id":"span_000000000000000000000001","trace_id":"{{{{{{trace}}}}}}","parent_id":null,"started_at":"2026-11-21T06:00:00.000Z","ended_at":"2026-11-21T06:00:05.000Z","span_data":{"type":"agent","name":"Refunds","handoffs":["Humans"],"tools":["refund.submit"],"output_type":"string"},"error":null}]}
            """;
        var (status, body) = await PostAsync(web, "/v1/traces/ingest", items);
        Assert.Equal((200, 5), (status, body.GetProperty("accepted").GetInt32()));
        var story = Story(web, trace["trace_".Length..]);
        SpanView root = Step(story, "refund"), agent = Step(story, "Refunds"), call = story.Spans.Single(s => s.Kind == "llm"), tool = Step(story, "refund.submit");
        Assert.Equal([root.SpanId, agent.SpanId, agent.SpanId], new[] { agent, call, tool }.Select(s => s.ParentSpanId));
        Assert.Equal(("agent", "tool", "ticket-9421", "refund"), (agent.Kind, tool.Kind, story.Run.SessionId, story.Run.WorkflowId));
        Assert.Equal("rejected", Text(tool, "approval.state"));
        Assert.Contains(Said, Said_(web, call, "input.messages"), StringComparison.Ordinal);
        Assert.DoesNotContain(Said, JsonSerializer.Serialize(story, StoreJson.Default.RunStory), StringComparison.Ordinal);
        Assert.Equal(32, (await PostAsync(web, "/v3/auth/token", """{"api_key":"any"}""")).Body.GetProperty("token").GetString()!.Length);
    }

    private static byte[] Metrics() => Evident.Tests.Ingest.Wire.Message(m => m.Message(1, r => r.Message(2, s =>
    {
        foreach (int kind in (int[])[5, 7, 9, 10, 11])
        {
            s.Message(2, metric =>
            {
                metric.Text(1, "gen_ai.client.token.usage");
                metric.Message(kind, points =>
                {
                    points.Message(1, p => p.Fixed64(3, 1_795_240_801_000_000_000));
                    points.Message(1, p => p.Fixed64(3, 1_795_240_801_000_000_000));
                });
            });
        }
    })));

    [Fact]
    public async Task Metrics_are_counted_and_said_not_to_be_kept()
    {
        await using var web = await RunningWeb.StartAsync();
        foreach (string path in (string[])["/v1/metrics", "/api/public/otel/v1/metrics", "/"])
        {
            var (status, type, body, _) = await web.PostAsync(path, Metrics(), "application/x-protobuf");
            Assert.Equal((200, "application/x-protobuf"), (status, type));
            Assert.Equal(Evident.Ingest.OtlpResponse.PartialSuccess(json: false, 10, Evident.Ingest.OtlpMetricsDecoder.NotKept), body);
            (status, _, body, _) = await web.PostAsync(path, """{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","sum":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}}]}]}]}"""u8.ToArray(), "application/json");
            Assert.Equal((200, "2"), (status, JsonDocument.Parse(body).RootElement.GetProperty("partialSuccess").GetProperty("rejectedDataPoints").GetString()));
            Assert.Equal(400, (await web.PostAsync(path, "{\"resourceMetrics\":["u8.ToArray(), "application/json")).Status);
        }

        Assert.Equal(400, (await web.PostAsync("/v1/metrics", [0x0a, 0x05], "application/x-protobuf")).Status);
        var (taken, reply) = await web.CallAsync("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Metrics());
        Assert.True(taken);
        Assert.Contains("metrics are not kept", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_bare_address_takes_what_exporters_send_to_it()
    {
        await using var web = await RunningWeb.StartAsync();
        var spans = new Evident.Tests.Ingest.OtlpRequest(new Evident.Tests.Ingest.OtlpResourceSpans([], "tests", "1.0", [], [new Evident.Tests.Ingest.OtlpSpan("step", [])]));
        long Accepted() => web.Store.Counters.AcceptedSpans;
        Assert.Equal(200, (await web.PostAsync("/", spans.Protobuf(), "application/x-protobuf")).Status);
        Assert.Equal(1, Accepted());
        Assert.Equal(200, (await web.PostAsync("/", Evident.Tests.Ingest.OtherDoors.Logs(spans), "application/x-protobuf")).Status);
        Assert.Equal(2, Accepted());
        Assert.Equal(200, (await web.PostAsync("/", Evident.Tests.Ingest.OtherDoors.LogsJson(spans), "application/json")).Status);
        Assert.Equal(200, (await web.PostAsync("/otel/v1/traces", spans.Json(), "application/json")).Status);
        Assert.Equal(400, (await web.PostAsync("/", [1, 2, 3], "application/x-protobuf")).Status);
        Assert.Equal(HttpStatusCode.OK, (await web.Client.GetAsync("/")).StatusCode); // the page is still there
    }

    [Fact]
    public async Task A_browser_exporter_of_a_configured_origin_asks_and_sends()
    {
        await using var web = await RunningWeb.StartAsync(http: new Evident.Web.HttpLimits { AllowedOrigins = ["https://agents.example.org"] });
        using var ask = new HttpRequestMessage(HttpMethod.Options, "/v1/traces");
        ask.Headers.Add("Origin", "https://agents.example.org");
        ask.Headers.Add("Access-Control-Request-Method", "POST");
        using var allowed = await web.Client.SendAsync(ask);
        Assert.Equal(HttpStatusCode.NoContent, allowed.StatusCode);
        Assert.Equal("https://agents.example.org", allowed.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("content-type", allowed.Headers.GetValues("Access-Control-Allow-Headers").Single(), StringComparison.Ordinal);
        using var send = new HttpRequestMessage(HttpMethod.Post, "/v1/traces") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        send.Headers.Add("Origin", "https://agents.example.org");
        using var sent = await web.Client.SendAsync(send);
        Assert.Equal((HttpStatusCode.OK, "Retry-After"), (sent.StatusCode, sent.Headers.GetValues("Access-Control-Expose-Headers").Single()));
        using var plain = await web.Client.PostAsync("/v1/traces", new StringContent("{}", Encoding.UTF8, "application/json"));
        Assert.False(plain.Headers.Contains("Access-Control-Allow-Origin"));
    }

    /// <summary>Changed at random places, a valid body of every door is taken, refused in part or refused whole, and never an error of the appliance.</summary>
    [Fact]
    public async Task A_door_never_fails_whatever_is_sent()
    {
        await using var web = await RunningWeb.StartAsync();
        const string boundary = "b0undary";
        string form = $"--{boundary}\r\nContent-Disposition: form-data; name=\"post.{Llm}\"\r\nContent-Type: application/json\r\n\r\n{Call}\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"post.{Llm}.inputs\"\r\n\r\n{{}}\r\n--{boundary}--\r\n";
        (string Path, string Type, string Body)[] doors =
        [
            ("/runs", "application/json", Call), ("/runs/batch", "application/json", $$$$$$"""{"post":[{{{{{{Root}}}}}},{{{{{{Call}}}}}}],"patch":[{{{{{{Ended}}}}}}]}"""), ("/runs/multipart", $"multipart/form-data; boundary={boundary}", form),
            ("/feedback", "application/json", $$$$$$"""{"id":"{{{{{{Tool}}}}}}","run_id":"{{{{{{Llm}}}}}}","key":"k","score":true,"value":"v","created_at":1795240801000}"""),
            ("/api/public/ingestion", "application/json", """{"batch":[{"id":"e","type":"generation-create","timestamp":"2026-11-21T06:00:01Z","body":{"id":"g","traceId":"t","usage":{"input":1},"costDetails":{"total":1},"metadata":{"a":[1]}}},{"id":"e","type":"score-create","timestamp":"2026-11-21T06:00:01Z","body":{"traceId":"t","value":true}}]}"""),
            ("/api/public/generations", "application/json", """{"id":"g","traceId":"t","startTime":"2026-11-21T06:00:01Z"}"""),
            ("/v1/traces/ingest", "application/json", """{"data":[{"object":"trace","id":"trace_0192f0a17c317b0080000000000000ab","workflow_name":"w"},{"object":"trace.span","id":"span_1","trace_id":"trace_0192f0a17c317b0080000000000000ab","started_at":"2026-11-21T06:00:01Z","span_data":{"type":"custom","data":{"usage":{}}},"error":{"message":"m","data":{}}}]}"""),
        ];
        var random = new Random(6);
        foreach (var (path, type, valid) in doors)
        {
            for (int i = 0; i < 250; i++)
            {
                byte[] body = Encoding.UTF8.GetBytes(valid);
                for (int changes = random.Next(4); changes > 0; changes--)
                {
                    int at = random.Next(body.Length);
                    switch (random.Next(4))
                    {
                        case 0: body[at] = (byte)random.Next(256); break;
                        case 1: body = [.. body[..at], .. body[Math.Min(body.Length, at + random.Next(1, 30))..]]; break;
                        case 2: body = [.. body[..at], .. "{}[]\",:1n-"u8.ToArray()[random.Next(10)..], .. body[at..]]; break;
                        default: body = body[..at]; break;
                    }

                    if (body.Length == 0) break;
                }

                using var content = new ByteArrayContent(body);
                content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
                var (status, _) = await SendAsync(web, HttpMethod.Post, path, content);
                Assert.True(status is 200 or 202 or 207 or 400, $"{path} answered {status} to {Encoding.Latin1.GetString(body)}");
            }
        }
    }
}
