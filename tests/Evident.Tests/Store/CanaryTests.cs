using System.Text;
using Evident.Ingest;
using Evident.Store;
using Evident.Tests.Ingest;
using Evident.Tests.Web;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;

namespace Evident.Tests.Store;

/// <summary>
/// Whatever a sender puts wherever: a secret of every rule, planted at every place of a request that can hold text, in every encoding of every endpoint that takes data, is in no file of the data directory, in no reply and in
/// no log line afterwards. The payload is compressed and sealed, so what an observer of the open vault would read is looked at too.
/// </summary>
public sealed class CanaryTests
{
    private sealed record EntryPoint(string Path, string ContentType, Func<OtlpRequest, byte[]> Encode, Action<byte[], SpanBatch> Decode);

    private const string Grpc = "application/grpc";

    private static readonly IngestLimits Limits = new();

    /// <summary>Every way in. <see cref="Every_way_in_has_a_row"/> compares it with what the listener maps.</summary>
    private static readonly EntryPoint[] EntryPoints =
    [
        new("/v1/traces", "application/x-protobuf", r => r.Protobuf(), (body, into) => OtlpTraceDecoder.Decode(body, Limits, into)),
        new("/v1/traces", "application/json", r => r.Json(), (body, into) => OtlpJsonDecoder.Decode(body, Limits, into)),
        new("/v1/logs", "application/x-protobuf", OtherDoors.Logs, (body, into) => OtlpLogDecoder.Decode(body, Limits, into)),
        new("/v1/logs", "application/json", OtherDoors.LogsJson, (body, into) => OtlpLogDecoder.DecodeJson(body, Limits, into)),
        new("/v1/events", "application/json", OtherDoors.Events, (body, into) => EventDecoder.Decode(body, Limits, into, [])),
        new("/runs/batch", "application/json", VendorDoors.LangSmith, (body, into) => LangSmithDecoder.DecodeBatch(body, Limits, into)),
        new("/api/public/ingestion", "application/json", VendorDoors.Langfuse, (body, into) => LangfuseDecoder.DecodeBatch(body, Limits, into, [])),
        new("/v1/traces/ingest", "application/json", VendorDoors.OpenAi, (body, into) => OpenAiTraceDecoder.Decode(body, Limits, into, 1_778_047_200_000)),
        new("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Grpc, r => r.Protobuf(), (body, into) => OtlpTraceDecoder.Decode(body, Limits, into)),
        new("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Grpc, OtherDoors.Logs, (body, into) => OtlpLogDecoder.Decode(body, Limits, into)),
    ];

    /// <summary>Further addresses of the same decoders: other bases, and single items of what a row above takes in a list.</summary>
    private static readonly string[] SameDecoders =
    [
        "/", "/otel/v1/traces", "/api/otel/v1/traces", "/api/v1/otel/v1/traces", "/api/public/otel/v1/traces", "/api/v1/private/otel/v1/traces",
        "/runs", "/runs/multipart", "/feedback", "/api/runs", "/api/runs/batch", "/api/runs/multipart", "/api/feedback", "/api/v1/runs", "/api/v1/runs/batch", "/api/v1/runs/multipart", "/api/v1/feedback",
        "/api/public/traces", "/api/public/spans", "/api/public/generations", "/api/public/events", "/api/public/scores",
    ];

    /// <summary>Every place of a request that holds text, by name.</summary>
    private static readonly (string Name, Func<string, OtlpResourceSpans> Plant)[] Places =
    [
        ("span name", s => Of(Span(s))),
        ("span attribute", s => Of(Span("step", "note".Is(s)))),
        ("span attribute of the conventions", s => Of(Span("step", "gen_ai.request.model".Is(s), "tool.name".Is(s), "agent.run_id".Is(s), "approval.approver_id".Is(s), "user.id".Is(s), "http.url".Is(s), "error.type".Is(s)))),
        ("span attribute, payload", s => Of(Span("step", "gen_ai.input.messages".Is($"[{{\"role\":\"user\",\"content\":\"{Json(s)}\"}}]"), "tool.args".Is(s), "exception.message".Is(s)))),
        ("span attribute, JSON in a string", s => Of(Span("step", "tool.result".Is($"{{\"a\":\"{Json($"{{\"b\":\"{Json(s)}\"}}")}\"}}")))),
        ("span attribute, base64", s => Of(Span("step", "note".Is(Convert.ToBase64String(Encoding.UTF8.GetBytes("see " + s)))))),
        ("span attribute, percent-encoded", s => Of(Span("step", "url.full".Is("https://x.example/?q=" + Uri.EscapeDataString(s))))),
        ("span attribute, bytes", s => Of(Span("step", "blob".Is(Encoding.UTF8.GetBytes(s))))),
        ("span attribute, list", s => Of(Span("step", "list".Is(new object?[] { "a", s })))),
        ("span attribute, map", s => Of(Span("step", "map".Is(new[] { "k".Is(s), s.Is("v") })))),
        ("span attribute key", s => Of(Span("step", s.Is("value")))),
        ("tracestate", s => Of(Span("step") with { State = "vendor=" + s })),
        ("status message", s => Of(Span("step") with { Status = 2, Message = s })),
        ("event name", s => Of(Span("step") with { Events = [new OtlpEvent(s, 1)] })),
        ("event attribute", s => Of(Span("step") with { Events = [new OtlpEvent("log", 1, "text".Is(s), s.Is("v"))] })),
        ("exception", s => Of(Span("step") with { Events = [new OtlpEvent("exception", 1, "exception.type".Is("X"), "exception.message".Is(s), "exception.stacktrace".Is("at a.b(c.py:1)\nargs " + s))] })),
        ("link attribute", s => Of(Span("step") with { Links = [new OtlpLink(new byte[16].Select((_, i) => (byte)(i + 1)).ToArray(), new byte[8].Select((_, i) => (byte)(i + 1)).ToArray(), "", "why".Is(s), s.Is("v"))] })),
        ("link tracestate", s => Of(Span("step") with { Links = [new OtlpLink(new byte[16].Select((_, i) => (byte)(i + 1)).ToArray(), new byte[8].Select((_, i) => (byte)(i + 1)).ToArray(), "vendor=" + s)] })),
        ("resource attribute", s => Of(Span("step")) with { Resource = ["service.name".Is(s), "host.name".Is(s), "other".Is(s), s.Is("v")] }),
        ("tenant", s => Of(Span("step")) with { Resource = ["tenant_id".Is(s)] }),
        ("scope name", s => Of(Span("step")) with { ScopeName = s }),
        ("scope version", s => Of(Span("step")) with { ScopeVersion = s }),
        ("scope attribute", s => Of(Span("step")) with { ScopeAttributes = ["lib".Is(s), s.Is("v")] }),
        ("ledgered tool call", s => Of(Span("execute_tool", "tool.name".Is("gmail.send"), "tool.side_effect_level".Is("write"), "tool.target".Is(s), "tool.args".Is(s), "agent.workflow_id".Is(s), "deployment.environment".Is(s), "policy.version".Is(s)))),
        ("approval", s => Of(Span("approval", "approval.state".Is("approved"), "approval.approver_id".Is(s), "approval.approver_role".Is(s), "approval.reason".Is(s)))),
    ];

    private static OtlpSpan Span(string name, params KeyValuePair<string, object?>[] attributes) => new(name, attributes);

    private static OtlpResourceSpans Of(OtlpSpan span) => new([], "tests", "1.0", [], [span]);

    private static string Json(string text) => System.Text.Json.JsonEncodedText.Encode(text).ToString();

    // What of a secret must not be seen: it as a whole, and the stretch that makes it one.
    private static byte[][] Traces(string secret) => [.. new[] { secret, secret.Length > 24 && !secret.Contains('\n', StringComparison.Ordinal) ? secret[^20..] : secret }.Distinct().Select(Encoding.UTF8.GetBytes)];

    [Fact]
    public async Task A_planted_secret_is_in_no_file_no_reply_and_no_log()
    {
        await using var web = await RunningWeb.StartAsync();
        var planted = Planted.OnePerRule().ToArray();
        var replies = new List<byte[]>();
        ulong span = 0;
        foreach (var point in EntryPoints)
        {
            foreach (var (name, plant) in Places)
            {
                var requests = planted.Select(p => Numbered(plant(p.Secret), ++span)).ToArray();
                Assert.Equal((point.Path, name, true), (point.Path, name, await SendAsync(point, point.Encode(new OtlpRequest(requests)))));
            }
            // A request that is refused must not repeat what it held.
            foreach (var (_, secret) in planted)
            {
                byte[] broken = point.Encode(new OtlpRequest(Of(Span("step", "note".Is(secret)))));
                await SendAsync(point, broken[..^3]);
                await SendAsync(point, Encoding.UTF8.GetBytes(secret));
            }
        }
        foreach (string path in new[] { "/api/v1/runs?limit=500", "/api/v1/ledger/entries?from=0&limit=1000", "/api/v1/status", "/metrics" }) replies.Add(await web.Client.GetByteArrayAsync(path));
        Assert.True(web.Store.Counters.AcceptedSpans > 2_000, $"{web.Store.Counters.AcceptedSpans} spans were accepted");
        Assert.All(planted, p => Assert.True(web.Store.Redactions.Of(web.Store.Redactions.Rules.IndexOf(p.Rule)) > 0, $"{p.Rule} never fired"));
        web.Store.Close();

        async Task<bool> SendAsync(EntryPoint point, byte[] body)
        {
            var (taken, reply) = point.ContentType == Grpc ? await web.CallAsync(point.Path, body) : await web.PostAsync(point.Path, body, point.ContentType) is var sent ? (sent.Status is 200 or 202 or 207, sent.Body) : default;
            replies.Add(reply);
            return taken;
        }

        var files = Directory.EnumerateFiles(web.Data, "*", SearchOption.AllDirectories).Select(f => (Name: Path.GetRelativePath(web.Data, f), Bytes: File.ReadAllBytes(f))).ToArray();
        Assert.Contains(files, f => f.Name.EndsWith(".pack", StringComparison.Ordinal));
        foreach (var (rule, secret) in planted)
        {
            foreach (byte[] trace in Traces(secret))
            {
                foreach (var (name, bytes) in files) Assert.True(bytes.AsSpan().IndexOf(trace) < 0, $"a secret of rule {rule} is in {name}");
                foreach (byte[] reply in replies.DistinctBy(Convert.ToBase64String)) Assert.True(reply.AsSpan().IndexOf(trace) < 0, $"a secret of rule {rule} is in a reply: {Encoding.UTF8.GetString(reply)}");
            }
        }
    }

    /// <summary>Trace blocks are compressed and payloads sealed: what the cleaner hands out is looked at in the clear.</summary>
    [Fact]
    public void A_planted_secret_is_neither_in_a_span_nor_in_what_is_sealed()
    {
        foreach (var point in EntryPoints.Where(e => e.ContentType != Grpc))
        {
            foreach (var (name, plant) in Places)
            {
                foreach (var (rule, secret) in Planted.OnePerRule())
                {
                    var sealer = new RecordingSealer();
                    using var clean = Cleaning.Clean(into => point.Decode(point.Encode(new OtlpRequest(plant(secret))), into), sealer);
                    foreach (byte[] trace in Traces(secret))
                    {
                        Assert.True(clean.Encoded(0).IndexOf(trace) < 0, $"{rule} at {name} stays in the trace");
                        foreach (var (_, role, _, text) in sealer.Sealed) Assert.True(Encoding.UTF8.GetBytes(text).AsSpan().IndexOf(trace) < 0, $"{rule} at {name} is sealed as it is, role {role}: {text}");
                    }
                }
            }
        }
    }

    /// <summary>An import takes the same way: what a file holds is cleaned as a request is.</summary>
    [Fact]
    public void A_planted_secret_does_not_come_in_by_an_import()
    {
        (ImportKind Kind, Func<OtlpRequest, byte[]> Encode)[] files =
            [(ImportKind.OtlpJson, r => r.Json()), (ImportKind.OtlpProto, r => r.Protobuf()), (ImportKind.OtlpJsonLogs, OtherDoors.LogsJson), (ImportKind.OtlpProtoLogs, OtherDoors.Logs), (ImportKind.Events, OtherDoors.Events)];
        foreach (var (kind, encode) in files)
        {
            foreach (var (name, plant) in Places)
            {
                foreach (var (rule, secret) in Planted.OnePerRule())
                {
                    var sealer = new RecordingSealer();
                    using var clean = Cleaning.Clean(into => ImportDecoder.Decode(kind, encode(new OtlpRequest(plant(secret))), Limits, into, []), sealer);
                    foreach (byte[] trace in Traces(secret))
                    {
                        Assert.True(clean.Encoded(0).IndexOf(trace) < 0, $"{rule} at {name} of {kind} stays in the trace");
                        foreach (var (_, role, _, text) in sealer.Sealed) Assert.True(Encoding.UTF8.GetBytes(text).AsSpan().IndexOf(trace) < 0, $"{rule} at {name} of {kind} is sealed as it is, role {role}");
                    }
                }
            }
        }
    }

    // A sentence that no rule knows, and the secrets that rules know: where nothing is captured, neither may be anywhere.
    private const string Sentence = "Zq7Canary sings that Mrs Miller owes us money";

    private static IEnumerable<string> Uncaptured() => Planted.OnePerRule().Select(p => p.Secret).Append(Sentence);

    public static TheoryData<string> WithoutCapture => [CaptureModes.ToName(CaptureMode.Structure), CaptureModes.ToName(CaptureMode.OptOut)];

    private static CaptureOptions Without(string mode) => mode == "structure" ? new CaptureOptions { Mode = CaptureMode.Structure } : new CaptureOptions { OptOut = [OptedOut] };

    private const string OptedOut = "acme";

    // Of the tenant that opted out, unless the canary is the tenant.
    private static OtlpResourceSpans Theirs(OtlpResourceSpans spans, string mode) =>
        mode == "structure" || spans.Resource.Any(a => a.Key == "tenant_id") ? spans : spans with { Resource = [.. spans.Resource, "tenant_id".Is(OptedOut)] };

    /// <summary>Every way in, every place: nothing is sealed, no file holds it, no trace shows it.</summary>
    [Theory]
    [MemberData(nameof(WithoutCapture))]
    public async Task Where_nothing_is_captured_a_canary_is_in_no_byte_of_the_data_directory(string mode)
    {
        var policy = CapturePolicy.TryBuild(Without(mode), out _)!;
        await using var web = await RunningWeb.StartAsync(options: directory => new StoreOptions { DataDirectory = directory, Capture = policy });
        ulong span = 0;
        var traces = new List<string>();
        foreach (var point in EntryPoints)
        {
            foreach (var (name, plant) in Places.Where(p => mode == "structure" || p.Name != "tenant"))
            {
                var requests = Uncaptured().Select(c => Numbered(Theirs(plant(c), mode), ++span)).ToArray();
                byte[] body = point.Encode(new OtlpRequest(requests));
                bool taken = point.ContentType == Grpc ? (await web.CallAsync(point.Path, body)).Taken : (await web.PostAsync(point.Path, body, point.ContentType)).Status is 200 or 202 or 207;
                Assert.True(taken, $"{point.Path} {point.ContentType}, {name}");
                traces.Add(await web.Client.GetStringAsync($"/api/v1/traces/{span:x32}"));
            }
        }

        Assert.True(web.Store.Counters.AcceptedSpans > 2_000, $"{web.Store.Counters.AcceptedSpans} spans were accepted");
        var told = System.Text.Json.JsonDocument.Parse(await web.Client.GetStringAsync("/api/v1/status")).RootElement.GetProperty("capture");
        Assert.Equal((mode == "structure" ? "structure" : "redacted", mode == "structure" ? 0 : 1), (told.GetProperty("mode").GetString(), told.GetProperty("rules").GetArrayLength()));
        Assert.Contains(traces, t => t.Contains($"\"capture\":\"{mode}\"", StringComparison.Ordinal));
        Assert.All(traces, t => Assert.DoesNotContain("Zq7Canary", t, StringComparison.Ordinal));
        web.Store.Close();

        var files = Directory.EnumerateFiles(web.Data, "*", SearchOption.AllDirectories).Select(f => (Name: Path.GetRelativePath(web.Data, f), Bytes: File.ReadAllBytes(f))).ToArray();
        Assert.DoesNotContain(files, f => f.Name.EndsWith(".pack", StringComparison.Ordinal)); // nothing is sealed: no key could bring anything back
        foreach (string canary in Uncaptured().Append("Zq7Canary"))
            foreach (byte[] trace in Traces(canary))
                foreach (var (name, bytes) in files) Assert.True(bytes.AsSpan().IndexOf(trace) < 0, $"{canary} is in {name}");
    }

    /// <summary>The same in the clear: what the cleaner hands out, before blocks are compressed.</summary>
    [Theory]
    [MemberData(nameof(WithoutCapture))]
    public void Where_nothing_is_captured_a_canary_is_in_no_span(string mode)
    {
        var cleaner = Cleaning.By(Without(mode));
        foreach (var point in EntryPoints.Where(e => e.ContentType != Grpc))
        {
            foreach (var (name, plant) in Places.Where(p => mode == "structure" || p.Name != "tenant"))
            {
                foreach (string canary in Uncaptured())
                {
                    var sealer = new RecordingSealer();
                    using var clean = Cleaning.Clean(into => point.Decode(point.Encode(new OtlpRequest(Theirs(plant(canary), mode))), into), sealer, cleaner);
                    Assert.Empty(sealer.Sealed);
                    foreach (byte[] trace in Traces(canary)) Assert.True(clean.Encoded(0).IndexOf(trace) < 0, $"{canary} at {name} stays in the trace");
                    Assert.True(clean.Encoded(0).IndexOf("Zq7Canary"u8) < 0, $"the sentence at {name} stays in the trace");
                }
            }
        }
    }

    /// <summary>Log lines pass the same rules.</summary>
    [Fact]
    public void A_log_line_holds_no_secret()
    {
        var lines = new StringWriter();
        using var log = new ApplianceLog(Microsoft.Extensions.Logging.LogLevel.Debug, lines);
        foreach (var (_, secret) in Planted.OnePerRule()) log.Write(Microsoft.Extensions.Logging.LogLevel.Error, "test", "failed with " + secret, new InvalidOperationException($"value '{secret}'"));
        foreach (var (rule, secret) in Planted.OnePerRule())
            foreach (byte[] trace in Traces(secret)) Assert.True(!lines.ToString().Contains(Encoding.UTF8.GetString(trace), StringComparison.Ordinal), rule);
    }

    /// <summary>An endpoint that takes bodies and has no row in the table fails here.</summary>
    [Fact]
    public async Task Every_way_in_has_a_row()
    {
        await using var web = await RunningWeb.StartAsync();
        string[] known = [.. EntryPoints.Select(e => e.Path).Concat(SameDecoders).Distinct()];
        var taking = new List<string>();
        foreach (string route in web.Routes)
        {
            // What does not take POST takes no data.
            using var content = new ByteArrayContent("{}"u8.ToArray());
            content.Headers.ContentType = new System.Net.Http.Headers.MediaTypeHeaderValue("application/json");
            using var response = await web.Client.PostAsync(route.Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal).Replace("*", "", StringComparison.Ordinal), content);
            if ((int)response.StatusCode is not (404 or 405)) taking.Add(route);
        }
        Assert.Equal(known.Order(StringComparer.Ordinal), taking.Except(NoData).Distinct().Order(StringComparer.Ordinal));
    }

    /// <summary>Routes that take POST and keep no data of senders.</summary>
    private static readonly string[] NoData = ["/v1/metrics", "/api/public/otel/v1/metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/v3/auth/token", "/api/v1/ledger/verify", "/api/v1/vault/{reference}/open"];

    private static OtlpResourceSpans Numbered(OtlpResourceSpans spans, ulong number)
    {
        byte[] trace = new byte[16], id = new byte[8];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(trace.AsSpan(8), number);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(id, number);
        return spans with { Spans = [.. spans.Spans.Select(s => s with { Trace = trace, Id = id })] };
    }
}
