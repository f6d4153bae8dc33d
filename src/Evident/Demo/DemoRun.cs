using System.Security.Cryptography;
using System.Text.Json;
using Evident.Platform;

namespace Evident.Demo;

/// <summary>What a run of the demo must look like once it is stored. No flag means that it must have none; the rest is not checked when null.</summary>
internal sealed record Expectation(string? Outcome = null, string? Flag = null, bool Fallback = false, bool Resumed = false, string? ApprovalState = null);

/// <summary>
/// One agent run under construction: spans on a clock of its own that only goes forward, so that the run lies in the recent past
/// with the pauses that a reader should see.
/// </summary>
internal sealed class DemoRun
{
    private const ulong NanosPerMilli = 1_000_000;

    private readonly (string Key, object Value)[] identity;
    private readonly (string Key, object Value)[] resource;
    private string traceId = NewTrace();
    private ulong now;

    public DemoRun(string kind, DemoWorkflow workflow, string session, DateTimeOffset start, Expectation expectation)
    {
        Kind = kind;
        Expectation = expectation;
        Session = session;
        Span<byte> id = stackalloc byte[16];
        RandomNumberGenerator.Fill(id);
        RunId = "run_" + CrockfordBase32.Encode16(id);
        now = (ulong)start.ToUnixTimeMilliseconds() * NanosPerMilli;
        identity =
        [
            ("agent.run_id", RunId), ("agent.session_id", session), ("agent.workflow_id", workflow.Id), ("agent.tenant_id", workflow.Tenant),
        ];
        resource =
        [
            ("service.name", workflow.Service), ("service.version", workflow.Release), ("deployment.environment", "prod"),
            ("telemetry.sdk.name", "opentelemetry"), ("telemetry.sdk.language", "python"),
        ];
        Root = Begin(null, "agent.run").With(
            ("agent.name", workflow.Agent), ("agent.version", workflow.Release), ("agent.prompt_version", workflow.Prompt), ("policy_version", workflow.Policy),
            ("user.id", workflow.User), ("actor.is_agent", true));
    }

    public string Kind { get; }

    public string RunId { get; }

    public string Session { get; }

    public Expectation Expectation { get; }

    public DemoSpan Root { get; private set; }

    public List<DemoSpan> Spans { get; } = [];

    public ulong Now => now;

    public void Wait(int millis) => now += (ulong)millis * NanosPerMilli;

    /// <summary>Opens a span at the current time; <see cref="End"/> closes it.</summary>
    public DemoSpan Begin(DemoSpan? parent, string name)
    {
        var span = new DemoSpan(traceId, NewSpan(), parent?.SpanId, name, now).With(identity);
        Spans.Add(span);
        return span;
    }

    public DemoSpan End(DemoSpan span)
    {
        span.End = now;
        return span;
    }

    /// <summary>A span of <paramref name="millis"/> from now on; time moves to its end.</summary>
    public DemoSpan Span(DemoSpan parent, string name, int millis, params (string Key, object Value)[] attributes)
    {
        DemoSpan span = Begin(parent, name).With(attributes);
        Wait(millis);
        return End(span);
    }

    public DemoSpan Chat(DemoSpan parent, string model, int millis, int tokensIn, int tokensOut, double cost, string input, string output) =>
        Span(
            parent, $"chat {model}", millis,
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", model.StartsWith("claude", StringComparison.Ordinal) ? "anthropic" : "openai"),
            ("gen_ai.request.model", model), ("gen_ai.response.model", model), ("gen_ai.usage.input_tokens", tokensIn), ("gen_ai.usage.output_tokens", tokensOut),
            ("cost_usd", cost), ("gen_ai.input.messages", Messages("user", input)), ("gen_ai.output.messages", Messages("assistant", output))).AsClient().Succeeded();

    public DemoSpan Tool(DemoSpan parent, string tool, int millis, string level, string arguments, string result, params (string Key, object Value)[] more) =>
        Span(
            parent, $"execute_tool {tool}", millis,
            [
                ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", tool), ("tool.side_effect_level", level), ("tool.schema_version", "2026-04-01"),
                ("gen_ai.tool.call.arguments", arguments), ("gen_ai.tool.call.result", result), .. more,
            ]).Succeeded();

    /// <summary>The wait for a person: begins with the request, ends with the decision (or without one).</summary>
    public DemoSpan Approval(
        DemoSpan parent, string id, string tool, string arguments, int waitMillis, string state, string? approver, string? role, string? code, string? reason)
    {
        DemoSpan span = Span(
            parent, "agent.approval.wait", waitMillis,
            ("approval.id", id), ("tool.name", tool), ("approval.required", true), ("approval.state", state), ("approval.risk_level", "high"),
            ("approval.args", arguments), ("approval.latency_ms", waitMillis));
        if (approver is not null)
        {
            span.With(("approval.approver_id", approver), ("approval.approver_role", role!));
        }

        if (reason is not null)
        {
            span.With(("approval.reason_code", code!), ("approval.reason", reason));
        }

        return span;
    }

    /// <summary>The run ends here with an outcome; the budget was counted along.</summary>
    public DemoRun Finish(string outcome, string answer, int steps, int maxSteps = 12, double maxCost = 0.5, string? stopReason = null)
    {
        Span(Root, "agent.finish", 35, ("output.value", answer));
        End(Root).With(
            ("agent.outcome", outcome), ("agent.step_count", steps), ("max_steps", maxSteps), ("max_cost_usd", maxCost), ("stop_reason", stopReason ?? "completed"));
        return this;
    }

    /// <summary>The run stops in this trace and goes on in another one, which begins after <paramref name="pauseMillis"/>.</summary>
    public void Resume(int pauseMillis)
    {
        End(Root);
        DemoSpan before = Root;
        Wait(pauseMillis);
        traceId = NewTrace();
        Root = Begin(null, "agent.run").With(("agent.resumed", true)).LinkedTo(before);
        foreach ((string key, object value) in before.Attributes)
        {
            if (key is "agent.name" or "agent.version" or "agent.prompt_version" or "policy_version")
            {
                Root.With((key, value));
            }
        }
    }

    /// <summary>The export request of the whole run, OTLP JSON.</summary>
    public byte[] ToOtlpJson()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteStartArray("resourceSpans"u8);
            json.WriteStartObject();
            json.WriteStartObject("resource"u8);
            DemoSpan.WriteAttributes(json, resource);
            json.WriteEndObject();
            json.WriteStartArray("scopeSpans"u8);
            json.WriteStartObject();
            json.WriteStartObject("scope"u8);
            json.WriteString("name"u8, "agent.harness");
            json.WriteString("version"u8, "1.7.0");
            json.WriteEndObject();
            json.WriteStartArray("spans"u8);
            Spans.ForEach(span => span.Write(json));
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    /// <summary>Messages in the form of the OTel GenAI conventions.</summary>
    private static string Messages(string role, string text)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartArray();
            json.WriteStartObject();
            json.WriteString("role"u8, role);
            json.WriteStartArray("parts"u8);
            json.WriteStartObject();
            json.WriteString("type"u8, "text");
            json.WriteString("content"u8, text);
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string NewTrace() => RandomNumberGenerator.GetHexString(32, lowercase: true);

    private static string NewSpan() => RandomNumberGenerator.GetHexString(16, lowercase: true);
}

/// <summary>What stays the same from run to run of one agent.</summary>
internal sealed record DemoWorkflow(string Id, string Agent, string Service, string Release, string Prompt, string Policy, string Tenant, string User)
{
    public static DemoWorkflow Refunds { get; } = new(
        "support_refund_assistant_v3", "billing-resolver", "support-agents", "agent-2026.05.13", "support_triage_prompt@2026-05-01", "support_policy@2026-05-03", "acme-retail", "cust-88213");

    public static DemoWorkflow Triage { get; } = new(
        "customer_support_triage_v7", "support-triage", "support-agents", "agent-2026.05.13", "support_triage_prompt@2026-05-01", "support_policy@2026-05-03", "acme-retail", "cust-20417");

    public static DemoWorkflow Invoices { get; } = new(
        "invoice_followup_v3", "invoice-clerk", "finance-agents", "agent-2026.05.11", "invoice_prompt@2026-04-20", "finance_policy@2026-04-30", "northwind", "user-92");

    public static DemoWorkflow Research { get; } = new(
        "market_research_v2", "research-lead", "research-agents", "agent-2026.05.09", "research_prompt@2026-05-02", "research_policy@2026-03-18", "northwind", "user-17");

    public static DemoWorkflow Operations { get; } = new(
        "release_operator_v1", "release-operator", "platform-agents", "agent-2026.05.12", "operator_prompt@2026-05-06", "change_policy@2026-05-01", "platform", "user-5");
}
