using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>The exporters that agents really use send a run; the API finds it; what was said is nowhere but sealed.</summary>
public sealed class RealClientTests(ITestOutputHelper test)
{
    private const string Said = "Please cancel order 4711 for Mrs. Planted-Kowalski because of the flood";

    [Theory]
    [InlineData(OtlpExportProtocol.HttpProtobuf, false)]
    [InlineData(OtlpExportProtocol.HttpProtobuf, true)]
    [InlineData(OtlpExportProtocol.Grpc, false)]
    [InlineData(OtlpExportProtocol.Grpc, true)]
    public async Task DotNet_exporter(OtlpExportProtocol protocol, bool gzip)
    {
        using var place = new TestDirectory();
        int port = FreePort();
        using var server = await EvidentProcess.ServeAsync(place.Data, "--listen", $"grpc://127.0.0.1:{port}");
        var runId = Ids.Unique("run_dotnet_");
        string traceId, chatId, toolId;
        using (var source = new ActivitySource($"agent-{runId}", "2.0.1"))
        using (var provider = Sdk.CreateTracerProviderBuilder()
            .AddSource(source.Name)
            .ConfigureResource(r => r.Clear().AddService("dotnet-client", serviceVersion: "3.2.1"))
            .AddOtlpExporter(o =>
            {
                o.Endpoint = new Uri(protocol == OtlpExportProtocol.Grpc ? $"http://127.0.0.1:{port}" : server.Url + "/v1/traces");
                o.Protocol = protocol;
                o.Compression = gzip ? OtlpExportCompression.GZip : OtlpExportCompression.None;
            })
            .Build())
        {
            var root = source.StartActivity("invoke_agent refund-agent")!;
            root.SetTag("gen_ai.operation.name", "invoke_agent").SetTag("gen_ai.agent.name", "refund-agent").SetTag("gen_ai.conversation.id", "ticket-9421")
                .SetTag("agent.run_id", runId).SetTag("agent.workflow_id", "dotnet_refund_v3").SetTag("agent.outcome", "success");
            traceId = root.TraceId.ToHexString();
            using (var chat = source.StartActivity("chat gpt-4o-mini", ActivityKind.Client)!)
            {
                chatId = chat.SpanId.ToHexString();
                chat.SetTag("gen_ai.operation.name", "chat").SetTag("gen_ai.request.model", "gpt-4o-mini").SetTag("gen_ai.usage.input_tokens", 321).SetTag("gen_ai.usage.output_tokens", 45)
                    .SetTag("gen_ai.input.messages", JsonSerializer.Serialize(new[] { new { role = "user", parts = new[] { new { type = "text", content = Said } } } }))
                    .SetTag("gen_ai.output.messages", JsonSerializer.Serialize(new[] { new { role = "assistant", parts = new[] { new { type = "text", content = Said } } } }));
            }
            using (var tool = source.StartActivity("execute_tool search_orders")!)
            {
                toolId = tool.SpanId.ToHexString();
                tool.SetTag("gen_ai.operation.name", "execute_tool").SetTag("gen_ai.tool.name", "search_orders").SetTag("gen_ai.tool.call.id", "call_0001")
                    .SetTag("gen_ai.tool.call.arguments", JsonSerializer.Serialize(new { query = Said })).SetTag("gen_ai.tool.call.result", JsonSerializer.Serialize(new { rows = new[] { Said } }));
                tool.AddException(new InvalidOperationException($"the index said: {Said}"));
                tool.SetStatus(ActivityStatusCode.Error, Said);
            }
            root.Dispose();
            Assert.True(provider.ForceFlush(10_000), "the exporter did not flush");
        }
        await Check(server, place, runId, traceId, chatId, toolId, "dotnet_refund_v3", "ticket-9421");
    }

    [Theory]
    [InlineData(OtlpExportProtocol.HttpProtobuf)]
    [InlineData(OtlpExportProtocol.Grpc)]
    public async Task DotNet_logger(OtlpExportProtocol protocol)
    {
        using var place = new TestDirectory();
        int port = FreePort();
        using var server = await EvidentProcess.ServeAsync(place.Data, "--listen", $"grpc://127.0.0.1:{port}");
        Uri Endpoint(string path) => new(protocol == OtlpExportProtocol.Grpc ? $"http://127.0.0.1:{port}" : server.Url + path);
        var runId = Ids.Unique("run_logger_");
        string spanId;
        using (var source = new ActivitySource($"agent-{runId}"))
        using (Sdk.CreateTracerProviderBuilder().AddSource(source.Name).AddOtlpExporter(o => (o.Endpoint, o.Protocol) = (Endpoint("/v1/traces"), protocol)).Build())
        using (var loggers = LoggerFactory.Create(b => b.AddOpenTelemetry(l =>
        {
            l.IncludeFormattedMessage = true;
            l.AddOtlpExporter(o => (o.Endpoint, o.Protocol) = (Endpoint("/v1/logs"), protocol));
        })))
        using (var root = source.StartActivity("invoke_agent refund-agent")!)
        {
            spanId = root.SpanId.ToHexString();
            root.SetTag("gen_ai.operation.name", "invoke_agent").SetTag("agent.run_id", runId);
            loggers.CreateLogger("harness").LogInformation("the customer said: {Text}", Said);
        }

        using var wire = new Wire(server.Url);
        var story = await wire.RunAsync(runId, spans: 2);
        var trace = await wire.JsonAsync("/api/v1/traces/" + story.GetProperty("run").GetProperty("trace_ids")[0].GetString());
        var log = trace.GetProperty("spans").EnumerateArray().Single(s => s.Text("parent_span_id") == spanId);
        Assert.Equal(("log", "event"), (log.Text("name"), log.Text("kind")));
        Assert.NotEmpty(log.GetProperty("payloads").EnumerateArray());
        Assert.Equal(0, server.Stop());
        var patterns = PatternSearch.FormsOf(Said).Concat(PatternSearch.FormsOf("Planted-Kowalski")).ToList();
        string[] leaks = [.. PatternSearch.InDirectory(place.Data, patterns), .. PatternSearch.In(StoredBlobs.Inflated(place.Data), patterns)];
        Assert.True(leaks.Length == 0, string.Join('\n', leaks));
    }

    [Theory]
    [InlineData("proto", "none", 1)]
    [InlineData("proto", "gzip", 512)]
    [InlineData("http", "none", 512)]
    [InlineData("http", "gzip", 1)]
    [InlineData("grpc", "none", 1)]
    [InlineData("grpc", "gzip", 512)]
    public async Task Npm_exporter(string encoding, string compression, int batch)
    {
        var clients = ClientsDirectory();
        using var place = new TestDirectory();
        int port = FreePort();
        using var server = await EvidentProcess.ServeAsync(place.Data, "--listen", $"grpc://127.0.0.1:{port}");
        var endpoint = encoding == "grpc" ? $"http://127.0.0.1:{port}" : server.Url;
        var node = EvidentProcess.Run("/usr/bin/env", ["node", Path.Combine(clients, "send.mjs"), endpoint, encoding, compression, batch.ToString(System.Globalization.CultureInfo.InvariantCulture), Said], directory: clients);
        Assert.True(node.Code == 0, node.ToString());
        using var sent = JsonDocument.Parse(node.Out);
        Assert.All(sent.RootElement.GetProperty("results").EnumerateArray(), r => Assert.Equal(0, r.GetProperty("code").GetInt32()));
        string Of(string name) => sent.RootElement.GetProperty(name).GetString()!;
        await Check(server, place, Of("runId"), Of("traceId"), Of("chat"), Of("tool"), "npm_refund_v3", $"ticket-{encoding}-{compression}");
    }

    private async Task Check(EvidentProcess server, TestDirectory place, string runId, string traceId, string chatId, string toolId, string workflow, string session)
    {
        using var wire = new Wire(server.Url);
        var story = await wire.RunAsync(runId, spans: 3);
        test.WriteLine(story.GetProperty("run").ToString());
        foreach (var query in new[] { "", $"run={runId}", $"workflow={workflow}", $"session={session}", $"session_id={session}", "tool=search_orders", "outcome=success", "status=success" })
        {
            var run = await wire.FindRunAsync(query, runId);
            Assert.Equal(session, run.Text("session_id"));
            Assert.Equal(workflow, run.Text("workflow_id"));
            Assert.Equal("refund-agent", run.Text("agent_name"));
            Assert.Equal("success", run.Text("outcome"));
            Assert.Equal(321, run.GetProperty("tokens_in").GetInt64());
            Assert.Equal(45, run.GetProperty("tokens_out").GetInt64());
            Assert.Equal(3, run.GetProperty("spans").GetInt32());
            Assert.Contains(traceId, run.GetProperty("trace_ids").EnumerateArray().Select(t => t.GetString()));
            Assert.Contains("search_orders", run.GetProperty("tools").EnumerateArray().Select(t => t.Text("name")));
        }
        Assert.Empty((await wire.JsonAsync("/api/v1/runs?workflow=no_such_workflow")).GetProperty("runs").EnumerateArray());

        var trace = await wire.JsonAsync($"/api/v1/traces/{traceId}");
        Assert.Equal(traceId, trace.Text("trace_id"));
        var spans = trace.GetProperty("spans").EnumerateArray().ToDictionary(s => s.Text("span_id")!);
        Assert.Equal(3, spans.Count);
        var root = Assert.Single(spans.Values, s => s.GetProperty("parent_span_id").ValueKind == JsonValueKind.Null);
        Assert.Equal("agent", root.Text("kind"));
        Assert.Equal(("llm", "client", root.Text("span_id")), (spans[chatId].Text("kind"), spans[chatId].Text("otlp_kind"), spans[chatId].Text("parent_span_id")));
        Assert.Equal(("tool", "search_orders", "error"), (spans[toolId].Text("kind"), spans[toolId].Text("tool_name"), spans[toolId].Text("status")));
        // An unregistered tool is unknown whatever its sender claims, and unknown is ledgered.
        Assert.Equal("unknown", spans[toolId].Text("side_effect_level"));
        Assert.NotEmpty(spans[toolId].GetProperty("ledger").EnumerateArray());
        var roles = spans.Values.SelectMany(s => s.GetProperty("payloads").EnumerateArray()).Select(p => p.Text("role")).ToArray();
        Assert.Superset(new HashSet<string?> { "input.messages", "output.messages", "tool.args", "tool.result" }, roles.ToHashSet());

        var (status, raw) = await wire.GetAsync($"/api/v1/traces/{traceId}");
        Assert.Equal(HttpStatusCode.OK, status);
        foreach (var text in new[] { raw, story.ToString(), server.Error }) Assert.DoesNotContain("Planted-Kowalski", text, StringComparison.OrdinalIgnoreCase);
        foreach (var text in new[] { raw, story.ToString() }) Assert.DoesNotContain("order 4711", text, StringComparison.OrdinalIgnoreCase); // the bare number may stand in an id

        // Sealed, and readable by who may: the redacted payload comes back whole.
        var sealedArgs = spans[toolId].GetProperty("payloads").EnumerateArray().First(p => p.Text("role") == "tool.args");
        var read = EvidentProcess.Run("vault", "read", sealedArgs.Text("ref")!, "--reason", "TICKET-1", "--data", place.Data);
        Assert.True(read.Code == 0, read.ToString());
        Assert.Contains("cancel order 4711", read.Out, StringComparison.Ordinal);

        Assert.Equal(0, server.Stop());
        var patterns = PatternSearch.FormsOf(Said).Concat(PatternSearch.FormsOf("Planted-Kowalski")).ToList();
        string[] leaks = [.. PatternSearch.InDirectory(place.Data, patterns), .. PatternSearch.In(StoredBlobs.Inflated(place.Data), patterns)];
        Assert.True(leaks.Length == 0, string.Join('\n', leaks));
    }

    /// <summary>Free a moment ago: the appliance tells the port of its first HTTP address only.</summary>
    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    internal static string ClientsDirectory()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            // The artifacts may lie outside of the checkout: the project's own folder is known from the build.
            var here = Path.Combine(at.FullName, "tests", "clients");
            if (Directory.Exists(here)) return Installed(here);
        }
        return Installed(Path.GetFullPath(Path.Combine(SourceFolder(), "..", "clients")));
    }

    private static string Installed(string clients) => Directory.Exists(Path.Combine(clients, "node_modules"))
        ? clients
        : throw new InvalidOperationException($"{clients} has no node_modules: run tests/run.sh, or `npm ci` there.");

    private static string SourceFolder([System.Runtime.CompilerServices.CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;
}
