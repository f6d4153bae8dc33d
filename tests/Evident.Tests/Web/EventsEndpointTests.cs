using System.Text;
using System.Text.Json;
using Evident.Ingest;

namespace Evident.Tests.Web;

/// <summary>Plain JSON events in the shapes that the seeds show, through the real listener into a real store.</summary>
public sealed class EventsEndpointTests : IAsyncLifetime
{
    private const string Json = "application/json", Lines = "application/x-ndjson";

    private const string ToolCall = """
        {"timestamp":"2026-05-13T09:30:00Z","trace_id":"trace_agent_support_01","workflow":"support_refund_assistant","span_id":"span_tool_refund_01",
         "parent_span_id":"span_agent_plan_01","event_type":"tool_call","model":"reasoning-default","tool_name":"refund.create_draft","side_effect":"draft_only",
         "status":"ok","latency_ms":842,"input_redacted":true,"output_redacted":true,"tokens_in":1240,"tokens_out":310,"estimated_cost_usd":0.018,
         "release":"agent-2026.05.13","tenant_hash":"tenant_7f3a"}
        """;

    private const string Decision = """
        {"timestamp":"2026-05-13T09:31:11Z","trace_id":"trace_agent_support_01","event_type":"approval_decision","tool_name":"refund.submit",
         "decision":"rejected","reviewer_role":"support_lead","reason":"Amount exceeded policy limit","release":"agent-2026.05.13"}
        """;

    private const string Minimal = """
        {"timestamp":"2026-05-06T06:00:00.000Z","environment":"prod","tenant_id":"t_9f3d","workflow_id":"customer_support_triage_v7","run_id":"run_01J3K6",
         "actor_user_id":"u_123","actor_is_agent":true,"event_type":"tool.call","tool_name":"gmail.send","side_effect_level":"write",
         "idempotency_key":"gmail.send:thread_18b4f5e2:msg_02","tool_args_hash":"sha256:3b4d","tool_result_hash":"sha256:91ad","approval_state":"approved",
         "approver_id":"u_901","approval_latency_ms":18421,"retry_count":1,"error_class":null,"circuit_breaker_tripped":false,"tokens_in":2231,"tokens_out":412,
         "latency_ms":3920,"cost_usd":0.0184,"model":{"provider":"openai","name":"gpt-4.1","version":"2026-04-xx"},
         "prompt_version":"support_triage_prompt@2026-05-01","policy_version":"support_policy@2026-05-03"}
        """;

    private const string Audit = """
        {"timestamp":"2026-05-06T06:00:08.000Z","tenant_id":"t_9f3d","workflow_id":"customer_support_triage_v7","run_id":"run_01J3K6",
         "action":{"type":"tool.call","tool_name":"gmail.send","side_effect_level":"write","target":"thread_18b4f5e2a8c"},
         "approval":{"required":true,"state":"approved","approver_id":"u_901"},
         "payload":{"args_hash":"sha256:3b4d","result_hash":"sha256:91ad","payload_ref":"vault_7Qw"},
         "integrity":{"prev_hash":"sha256:00","this_hash":"sha256:01"}}
        """;

    private const string Span = """
        {"span_id":"sp_2c9a","trace_id":"tr_8f10","parent_id":"sp_2c99","name":"call_tool.issue_refund","kind":"tool",
         "start_ts":"2026-03-23T17:42:11.420Z","end_ts":"2026-03-23T17:42:11.842Z",
         "attributes":{"agent.name":"billing-resolver","agent.session_id":"ticket-9421","agent.step":4,"actor.user_id":"user_92","tool.name":"issue_refund",
          "tool.args.invoice_id":"INV-2026-0042","tool.args.amount_cents":24000,"llm.model":null,"tokens.in":null,"tokens.out":null,"cost_usd":0,
          "status":"interrupt","interrupt.reason":"approval_required"}}
        """;

    private RunningWeb web = null!;

    public async Task InitializeAsync() => web = await RunningWeb.StartAsync(new IngestLimits { MaxSpans = 50, MaxNameBytes = 100 });

    public async Task DisposeAsync() => await web.DisposeAsync();

    [Fact]
    public async Task A_tool_call_and_its_rejection_are_one_run()
    {
        Assert.Equal("""{"accepted":1,"duplicates":0,"refused":0,"errors":[]}""", (await SendAsync(ToolCall)).Text);
        await SendAsync(Decision); // another process, the same trace
        JsonElement story = await GetAsync("/api/v1/runs/trace_agent_support_01"), run = story.GetProperty("run");
        Assert.Equal("support_refund_assistant", run.GetProperty("workflow_id").GetString());
        Assert.Equal((1240, 310, 2), (run.GetProperty("tokens_in").GetInt64(), run.GetProperty("tokens_out").GetInt64(), run.GetProperty("spans").GetInt32()));
        var spans = (await TraceAsync(run)).ToDictionary(s => s.GetProperty("kind").GetString()!);
        JsonElement tool = spans["tool"], approval = spans["approval"];
        Assert.Equal(("refund.create_draft", "success"), (tool.GetProperty("tool_name").GetString(), tool.GetProperty("outcome").GetString()));
        Assert.Equal(842_000_000, Nanos(tool));
        Assert.Equal("2026-05-13T09:30:00", tool.GetProperty("start_time").GetString()![..19]);
        Assert.NotEqual(JsonValueKind.Null, tool.GetProperty("parent_span_id").ValueKind); // not here yet, and known by its name all the same
        Assert.Equal("rejected", approval.GetProperty("attributes").GetProperty("approval.state").GetString());
        Assert.Equal("support_lead", approval.GetProperty("attributes").GetProperty("approval.approver_role").GetString());

        // What the reviewer wrote is sealed.
        Assert.Contains(approval.GetProperty("payloads").EnumerateArray(), p => p.GetProperty("role").GetString() == "approval.reason");
        Assert.DoesNotContain("Amount exceeded", story.ToString() + approval, StringComparison.Ordinal);
        Assert.Contains("\"type\":\"approval.decision\"", await web.Client.GetStringAsync("/api/v1/ledger/entries?type=approval."), StringComparison.Ordinal);

        // The parent, later, is the span that its child named.
        await SendAsync("""{"timestamp":"2026-05-13T09:29:59Z","trace_id":"trace_agent_support_01","span_id":"span_agent_plan_01","event_type":"plan"}""");
        var all = await TraceAsync(run);
        Assert.Equal(tool.GetProperty("parent_span_id").GetString(), all.Single(s => s.GetProperty("kind").GetString() == "plan").GetProperty("span_id").GetString());
    }

    [Fact]
    public async Task The_minimal_event_and_the_audit_record_meet_in_their_run()
    {
        await SendAsync($"[{Minimal},{Audit}]");
        JsonElement story = await GetAsync("/api/v1/runs/run_01J3K6"), run = story.GetProperty("run");
        Assert.Equal(("customer_support_triage_v7", "prod"), (run.GetProperty("workflow_id").GetString(), run.GetProperty("environment").GetString()));
        var spans = await TraceAsync(run);
        Assert.Equal(2, spans.Count);
        Assert.All(spans, s => Assert.Equal(("tool", "gmail.send", "write"), (s.GetProperty("kind").GetString(), s.GetProperty("tool_name").GetString(), s.GetProperty("side_effect_level").GetString())));
        var minimal = spans.Single(s => s.GetProperty("attributes").TryGetProperty("gen_ai.request.model", out _)).GetProperty("attributes");
        Assert.Equal(("gpt-4.1", "openai", 0.0184), (minimal.GetProperty("gen_ai.request.model").GetString(), minimal.GetProperty("gen_ai.provider.name").GetString(), minimal.GetProperty("cost.usd").GetDouble()));
        string ledger = await web.Client.GetStringAsync("/api/v1/ledger/entries?type=tool.call");
        Assert.Contains("\"target\":\"thread_18b4f5e2a8c\"", ledger, StringComparison.Ordinal);
        Assert.Contains("\"src\":\"events:loopback\"", ledger, StringComparison.Ordinal);
        Assert.DoesNotContain("u_123", ledger, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_span_entry_keeps_its_times_and_waits_for_approval()
    {
        await SendAsync(Span);
        JsonElement run = (await GetAsync("/api/v1/runs/tr_8f10")).GetProperty("run");
        Assert.Equal(("ticket-9421", "billing-resolver"), (run.GetProperty("session_id").GetString(), run.GetProperty("agent_name").GetString()));
        JsonElement span = Assert.Single(await TraceAsync(run));
        Assert.Equal(("tool", "issue_refund", "interrupted", 422_000_000L), (span.GetProperty("kind").GetString(), span.GetProperty("tool_name").GetString(), span.GetProperty("outcome").GetString(), Nanos(span)));
        Assert.Contains(span.GetProperty("payloads").EnumerateArray(), p => p.GetProperty("role").GetString() == "tool.args");
        Assert.DoesNotContain("INV-2026-0042", span.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Lines)]
    [InlineData(Json)]
    [InlineData("application/jsonl")]
    public async Task Json_lines_are_events_one_by_one_and_a_repetition_changes_nothing(string type)
    {
        string lines = string.Concat(Enumerable.Range(0, 20).Select(i => $$"""{"ts":{{1790000000 + i}},"run_id":"run-lines","event_type":"llm","event_id":"e{{i}}","tokens_in":1}""" + "\n"));
        Assert.Equal("""{"accepted":20,"duplicates":0,"refused":0,"errors":[]}""", (await SendAsync(lines, type)).Text);
        Assert.Equal("""{"accepted":0,"duplicates":20,"refused":0,"errors":[]}""", (await SendAsync(lines, type)).Text);
        JsonElement run = (await GetAsync("/api/v1/runs/run-lines")).GetProperty("run");
        Assert.Equal((20, 20), (run.GetProperty("spans").GetInt32(), run.GetProperty("tokens_in").GetInt32()));

        // Without an id of its own an event is known by its content.
        string plain = """{"ts":1790000000,"run_id":"run-plain","event_type":"llm"}""";
        await SendAsync(plain + plain, type);
        Assert.Equal(1, (await GetAsync("/api/v1/runs/run-plain")).GetProperty("run").GetProperty("spans").GetInt32());
    }

    [Fact]
    public async Task Each_refused_event_is_named_and_the_others_are_stored()
    {
        string ids = """{"timestamp":"2026-05-13T09:30:00Z","run_id":"run-some","event_type":"llm","id":7}""";
        var (status, text) = await SendAsync($$"""[{{ids}},5,{"run_id":"run-some"},{"timestamp":"yesterday"},[1],{"timestamp":"2026-05-13","name":"{{new string('n', 101)}}"},{"timestamp":1,"trace_id":[]},null]""");
        Assert.Equal(200, status);
        JsonElement reply = JsonDocument.Parse(text).RootElement;
        Assert.Equal((1, 0, 7), (reply.GetProperty("accepted").GetInt32(), reply.GetProperty("duplicates").GetInt32(), reply.GetProperty("refused").GetInt32()));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7], reply.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("index").GetInt32()));
        Assert.All(reply.GetProperty("errors").EnumerateArray(), e => Assert.NotEqual("", e.GetProperty("error").GetString()));
        Assert.DoesNotContain("yesterday", text, StringComparison.Ordinal);
        Assert.Equal(1, web.Store.Counters.AcceptedSpans);
        Assert.Equal(400, (await SendAsync("""{"event_type":"llm"}""")).Status); // no time, and nothing else in the request
        Assert.Equal(1, (await SendAsync(string.Concat(Enumerable.Range(0, 51).Select(i => $$"""{"ts":1790000000,"id":"m{{i}}"}""")))).Text.Split("ingest.maxSpans").Length - 1);
    }

    [Theory]
    [InlineData("{\"timestamp\":", 400)]
    [InlineData("[{}", 400)]
    [InlineData("not json", 400)]
    [InlineData("", 200)]
    [InlineData("[]", 200)]
    public async Task A_body_that_is_no_json_is_400(string body, int status) => Assert.Equal(status, (await SendAsync(body)).Status);

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-protobuf")]
    public async Task Other_media_types_are_415(string type) => Assert.Equal(415, (await SendAsync(Minimal, type)).Status);

    [Fact]
    public async Task Changed_bodies_never_fail_otherwise()
    {
        var random = new Random(12);
        byte[][] samples = [Encoding.UTF8.GetBytes(ToolCall), Encoding.UTF8.GetBytes($"[{Minimal},{Audit}]"), Encoding.UTF8.GetBytes(Span)];
        using var batch = SpanBatch.Rent();
        int taken = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] changed = Ledger.EvidenceParts.Change(random, samples[i % 3], samples[random.Next(3)]);
            try
            {
                EventDecoder.Decode(changed, new IngestLimits(), batch, []);
                taken += batch.SpanCount;
            }
            catch (OtlpDecodeException)
            {
                // refused as a whole
            }
        }

        Assert.InRange(taken, 500, 40_000);
        await SendAsync(Span);
    }

    private async Task<(int Status, string Text)> SendAsync(string body, string type = Json)
    {
        var (status, _, reply, _) = await web.PostAsync("/v1/events", Encoding.UTF8.GetBytes(body), type);
        return (status, Encoding.UTF8.GetString(reply));
    }

    private async Task<JsonElement> GetAsync(string path) => JsonDocument.Parse(await web.Client.GetStringAsync(path)).RootElement;

    private async Task<List<JsonElement>> TraceAsync(JsonElement run) =>
        [.. (await GetAsync("/api/v1/traces/" + run.GetProperty("trace_ids")[0].GetString())).GetProperty("spans").EnumerateArray()];

    private static long Nanos(JsonElement span) => (span.GetProperty("end_time").GetDateTimeOffset() - span.GetProperty("start_time").GetDateTimeOffset()).Ticks * 100;
}
