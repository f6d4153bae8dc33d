using System.Text.Json;
using Xunit;

namespace Evident.AppTests;

/// <summary>SDKs with ingestion formats of their own, from the npm registry, pointed at the published file by nothing but their own settings: their runs are there, and what was said is nowhere but sealed.</summary>
public sealed class VendorClientTests
{
    private const string Said = "Please cancel order 4711 for Mrs. Planted-Kowalski because of the flood";

    private static JsonElement Ran(EvidentProcess server, string client)
    {
        var ran = EvidentProcess.Run("node", ["vendors.mjs", client, server.Url, Said], seconds: 90, directory: RealClientTests.ClientsDirectory(), environment: new Dictionary<string, string> { ["NODE_ENV"] = "production" });
        Assert.True(ran.Code == 0, ran.ToString());
        return JsonDocument.Parse(ran.Out.Trim().Split('\n')[^1]).RootElement.Clone();
    }

    private static void IsSealed(TestDirectory place, EvidentProcess server, params JsonElement[] runs)
    {
        Assert.Equal(0, server.Stop());
        foreach (var run in runs) Assert.DoesNotContain("Planted-Kowalski", run.GetRawText(), StringComparison.Ordinal);
        foreach (string file in TestDirectory.FilesOf(place.Data)) Assert.True(File.ReadAllBytes(file).AsSpan().IndexOf("Planted-Kowalski"u8) < 0, file);
    }

    private static JsonElement Step(JsonElement run, string name) => run.GetProperty("spans").EnumerateArray().Single(s => s.Text("name") == name);

    private static string? Read(TestDirectory place, JsonElement span, string role)
    {
        string reference = span.GetProperty("payloads").EnumerateArray().Single(p => p.Text("role") == role).Text("ref")!;
        return EvidentProcess.Run("vault", "read", reference, "--reason", "test", "--data", place.Data).Out;
    }

    [Fact]
    public async Task LangSmith()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = await wire.RunAsync(Ran(server, "langsmith").Text("trace")!, spans: 4);
        JsonElement root = Step(run, "refund-agent"), call = Step(run, "ChatOpenAI"), tool = Step(run, "crm.lookup"), feedback = Step(run, "helpful");
        Assert.Equal(["llm", "tool", "evaluation"], new[] { call, tool, feedback }.Select(s => s.Text("kind")));
        Assert.All([call, tool, feedback], s => Assert.Equal(root.Text("span_id"), s.Text("parent_span_id")));
        Assert.Equal(("error", "ticket-9421"), (tool.Text("status"), run.Text("run", "session_id")));
        Assert.Equal((100, 20), (run.GetProperty("run").GetProperty("tokens_in").GetInt32(), run.GetProperty("run").GetProperty("tokens_out").GetInt32()));
        Assert.Equal("gpt-4o-mini", run.GetProperty("run").GetProperty("models")[0].GetString());
        Assert.Contains(Said, Read(place, tool, "tool.args"), StringComparison.Ordinal);
        IsSealed(place, server, run);
    }

    [Fact]
    public async Task Langfuse()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = await wire.RunAsync(Ran(server, "langfuse").Text("trace")!.Replace("-", "", StringComparison.Ordinal), spans: 4);
        JsonElement root = Step(run, "refund"), call = Step(run, "chat"), score = Step(run, "helpful");
        Assert.Equal(["workflow", "llm", "evaluation"], new[] { root, call, score }.Select(s => s.Text("kind")));
        Assert.Equal((root.Text("span_id"), call.Text("span_id")), (call.Text("parent_span_id"), score.Text("parent_span_id")));
        Assert.Equal("error", Step(run, "crm.lookup").Text("status"));
        Assert.Equal((100, 20, 0.0031), (run.GetProperty("run").GetProperty("tokens_in").GetInt32(), run.GetProperty("run").GetProperty("tokens_out").GetInt32(), run.GetProperty("run").GetProperty("cost_usd").GetDouble()));
        Assert.Contains(Said, Read(place, call, "input"), StringComparison.Ordinal);
        IsSealed(place, server, run);
    }

    [Fact]
    public async Task OpenAI_Agents_with_an_interruption_that_is_rejected()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = await wire.RunAsync(Ran(server, "openai").Text("trace")!, spans: 6);
        var tool = Step(run, "refund_submit");
        Assert.Equal(("tool", "error"), (tool.Text("kind"), tool.Text("status")));
        Assert.Equal(("refund", "ticket-9421", "rejected", "Refunds"), (run.Text("run", "workflow_id"), run.Text("run", "session_id"), run.Text("run", "outcome"), run.Text("run", "agent_name")));
        Assert.Equal(1, run.GetProperty("run").GetProperty("approvals").GetProperty("rejected").GetInt32());
        Assert.Equal((200, 40), (run.GetProperty("run").GetProperty("tokens_in").GetInt32(), run.GetProperty("run").GetProperty("tokens_out").GetInt32()));
        Assert.Single(run.GetProperty("spans").EnumerateArray(), s => s.GetProperty("parent_span_id").ValueKind == JsonValueKind.Null);
        IsSealed(place, server, run);
    }

    [Fact]
    public async Task Vercel_AI_SDK()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = await wire.RunAsync(Ran(server, "vercel").Text("trace")!, spans: 5);
        JsonElement whole = Step(run, "ai.generateText"), tool = Step(run, "ai.toolCall");
        Assert.Equal(("tool", "crm_lookup", whole.Text("span_id")), (tool.Text("kind"), tool.Text("attributes", "tool.name"), tool.Text("parent_span_id")));
        Assert.Equal(2, run.GetProperty("spans").EnumerateArray().Count(s => s.Text("kind") == "llm"));
        Assert.Equal((200, 40), (run.GetProperty("run").GetProperty("tokens_in").GetInt32(), run.GetProperty("run").GetProperty("tokens_out").GetInt32())); // the whole call's sum is not added to its parts
        Assert.Equal(("ticket-9421", "gpt-4o-mini"), (whole.Text("attributes", "agent.session_id"), run.GetProperty("run").GetProperty("models")[0].GetString()));
        Assert.StartsWith("u_", whole.Text("attributes", "actor.user_id"), StringComparison.Ordinal);
        Assert.Contains(Said, Read(place, tool, "tool.args"), StringComparison.Ordinal);
        IsSealed(place, server, run);
    }

    [Fact]
    public async Task Phoenix_with_an_instrumentation_of_OpenInference()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = await wire.RunAsync(Ran(server, "phoenix").Text("trace")!, spans: 2);
        JsonElement root = Step(run, "refund-agent"), call = Step(run, "OpenAI Chat Completions");
        Assert.Equal(("agent", "llm", root.Text("span_id")), (root.Text("kind"), call.Text("kind"), call.Text("parent_span_id")));
        Assert.Equal((100, 20, "ticket-9421"), (run.GetProperty("run").GetProperty("tokens_in").GetInt32(), run.GetProperty("run").GetProperty("tokens_out").GetInt32(), run.Text("run", "session_id")));
        Assert.Contains(Said, Read(place, call, "input.messages"), StringComparison.Ordinal); // out of flattened keys
        IsSealed(place, server, run);
    }

    [Fact]
    public async Task LangGraph_with_an_interrupt_and_its_resumption()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        Assert.Equal("approve", Ran(server, "langgraph").Text("decision"));
        string[] runs = [];
        for (int i = 0; i < 100 && runs.Length < 2; i++)
        {
            await Task.Delay(100);
            runs = [.. (await wire.JsonAsync("/api/v1/runs?session=ticket-9421")).GetProperty("runs").EnumerateArray().Select(r => r.Text("run_id")!)];
        }

        Assert.Equal(2, runs.Length); // the graph until the interrupt, and from its resumption on
        var stories = new List<JsonElement>();
        foreach (string run in runs) stories.Add(await wire.RunAsync(run, spans: 2));
        var asked = Assert.Single(stories.SelectMany(s => s.GetProperty("spans").EnumerateArray()), s => s.GetRawText().Contains("GraphInterrupt", StringComparison.Ordinal));
        Assert.Equal(("ask_human", true), (asked.Text("name"), asked.Text("status") != "error")); // waiting for a person is no failure
        IsSealed(place, server, [.. stories]);
    }
}
