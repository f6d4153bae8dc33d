using System.IO.Compression;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Evident.Demo;
using Evident.Ingest;
using Evident.Store;
using Evident.Web;

namespace Evident.Tests.Web;

/// <summary>The status table of OTLP/HTTP (ingest-protocols 2.2), against the real listener and store.</summary>
public sealed class OtlpEndpointTests : IAsyncLifetime
{
    private const string Json = "application/json", Protobuf = "application/x-protobuf";

    private RunningWeb web = null!;

    public async Task InitializeAsync() => web = await RunningWeb.StartAsync(new IngestLimits { MaxBodyBytes = 100_000, MaxSpans = 5 });

    public async Task DisposeAsync() => await web.DisposeAsync();

    [Theory]
    [InlineData(Json, null, false)]
    [InlineData("application/json; charset=utf-8", null, true)]
    [InlineData("Application/JSON", "gzip", true)]
    [InlineData(Json, "deflate", false)]
    [InlineData(Json, "identity", false)]
    public async Task A_stored_request_is_200_in_its_own_encoding(string type, string? encoding, bool chunked)
    {
        (string runId, byte[] body) = OneSpan();
        (int status, string? replyType, byte[] reply, _) = await web.PostAsync("/v1/traces", Packed(body, encoding), type, encoding, chunked);
        Assert.Equal((200, Json, "{}"), (status, replyType, Encoding.UTF8.GetString(reply)));
        Assert.Contains($"\"run_id\":\"{runId}\"", await web.Client.GetStringAsync($"/api/v1/runs/{runId}"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("gzip")]
    public async Task An_empty_request_is_full_success(string? encoding)
    {
        (int status, string? type, byte[] reply, _) = await web.PostAsync("/v1/traces", Packed([], encoding), Protobuf, encoding);
        Assert.Equal((200, Protobuf, 0), (status, type, reply.Length));
        (status, type, reply, _) = await web.PostAsync("/v1/traces", Packed("{}"u8.ToArray(), encoding), Json, encoding);
        Assert.Equal((200, Json, "{}"), (status, type, Encoding.UTF8.GetString(reply)));
    }

    [Fact]
    public async Task A_refused_span_is_named_in_partial_success_and_its_siblings_are_stored()
    {
        byte[] body = Encoding.UTF8.GetBytes(Request(Span("0123456789abcdef"), Span("0000000000000000")));
        (int status, string? type, byte[] reply, _) = await web.PostAsync("/v1/traces", body, Json);
        Assert.Equal((200, Json), (status, type));
        using JsonDocument partial = JsonDocument.Parse(reply);
        JsonElement success = partial.RootElement.GetProperty("partialSuccess");
        Assert.Equal("1", success.GetProperty("rejectedSpans").GetString());
        Assert.NotEqual("", success.GetProperty("errorMessage").GetString());
        Assert.Equal(1, web.Store.Counters.AcceptedSpans);
    }

    [Theory]
    [InlineData(Json, "not json at all", null)]
    [InlineData(Json, "{\"resourceSpans\":", null)]
    [InlineData(Protobuf, "\u0001\u0002secret-of-the-sender", null)]
    [InlineData(Json, "{}", "gzip-wrong")]
    public async Task An_undecodable_body_is_400_and_not_repeated(string type, string body, string? encoding)
    {
        (int status, string? replyType, byte[] reply, HttpResponseMessage response) = await web.PostAsync(
            "/v1/traces", Encoding.UTF8.GetBytes(body), type, encoding is null ? null : "gzip");
        Assert.Equal((400, type), (status, replyType));
        Assert.DoesNotContain("secret", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
        Assert.Null(response.Headers.RetryAfter);
        if (type == Json)
        {
            using JsonDocument error = JsonDocument.Parse(reply);
            Assert.Equal(3, error.RootElement.GetProperty("code").GetInt32());
        }
        else
        {
            Assert.Equal([0x08, 3, 0x12], reply[..3]); // google.rpc.Status: code = 3, then the message
        }
    }

    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(false, "gzip")]
    [InlineData(true, "gzip")]
    public async Task A_body_beyond_the_limit_is_413_as_sent_and_inflated(bool chunked, string? encoding)
    {
        byte[] body = Packed(Encoding.UTF8.GetBytes(new string(' ', 300_000) + "{}"), encoding);
        (int status, string? type, byte[] reply, _) = await web.PostAsync("/v1/traces", body, Json, encoding, chunked);
        Assert.Equal((413, Json), (status, type));
        Assert.Contains("ingest.maxBodyBytes", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
        await StillServesAsync();
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("text/plain", null)]
    [InlineData("application/xml", null)]
    [InlineData("application/grpc", null)]
    [InlineData(Json, "zstd")]
    [InlineData(Json, "br")]
    public async Task Another_media_type_or_coding_is_415(string? type, string? encoding) =>
        Assert.Equal(415, (await web.PostAsync("/v1/traces", "{}"u8.ToArray(), type, encoding)).Status);

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    [InlineData("OPTIONS")]
    public async Task Another_method_is_405(string method)
    {
        using HttpResponseMessage response = await web.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), "/v1/traces"));
        Assert.Equal(405, (int)response.StatusCode);
        Assert.Equal(["POST"], response.Content.Headers.Allow);
    }

    [Fact]
    public async Task After_the_stop_it_is_503_with_retry_after()
    {
        web.Store.Close();
        (int status, string? type, byte[] reply, HttpResponseMessage response) = await web.PostAsync("/v1/traces", OneSpan().Body, Json);
        Assert.Equal((503, Json), (status, type));
        Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter?.Delta);
        Assert.Equal(14, JsonDocument.Parse(reply).RootElement.GetProperty("code").GetInt32());
        Assert.Equal(503, (int)(await web.Client.GetAsync("/readyz")).StatusCode);
    }

    [Fact]
    public async Task A_full_queue_is_503_with_retry_after_and_nothing_is_stored()
    {
        // The writer is held up in its first group; one request then waits in the queue of one span, and the next does not fit.
        using var held = new ManualResetEventSlim();
        await using RunningWeb small = await RunningWeb.StartAsync(options: d => new StoreOptions
        {
            DataDirectory = d,
            QueueSpans = 1,
            Step = step =>
            {
                if (step == WriteStep.BeforeVault)
                {
                    held.Wait();
                }
            },
        });
        var waiting = new List<Task<(int Status, string?, byte[], HttpResponseMessage Response)>>();
        (int Status, string? Type, byte[] Reply, HttpResponseMessage Response) refused = default;
        for (int sent = 0; refused.Status == 0 && sent < 10; sent++)
        {
            var request = small.PostAsync("/v1/traces", OneSpan().Body, Json);
            if (await Task.WhenAny(request, Task.Delay(500)) == request)
            {
                refused = await request;
            }
            else
            {
                waiting.Add(request);
            }
        }

        Assert.Equal((503, Json), (refused.Status, refused.Type));
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Response!.Headers.RetryAfter?.Delta);
        held.Set();
        Assert.All(await Task.WhenAll(waiting), w => Assert.Equal(200, w.Status));
        Assert.Equal(waiting.Count, small.Store.Counters.AcceptedSpans);
    }

    [Fact]
    public async Task Bodies_beyond_what_all_requests_may_hold_are_503()
    {
        await using RunningWeb small = await RunningWeb.StartAsync(http: new HttpLimits { MaxBodyBytesInFlight = 40_000 });
        byte[] body = Encoding.UTF8.GetBytes(new string(' ', 60_000) + "{}");
        (int status, _, byte[] reply, HttpResponseMessage response) = await small.PostAsync("/v1/traces", body, Json);
        Assert.Equal(503, status);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Contains("http.maxBodyBytesInFlight", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
        Assert.Equal(200, (await small.PostAsync("/v1/traces", "{}"u8.ToArray(), Json)).Status);
    }

    [Fact]
    public async Task Kestrels_own_limits_answer_and_the_server_goes_on()
    {
        Assert.StartsWith("HTTP/1.1 414", await RawAsync("GET /" + new string('a', 9_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 431", await RawAsync("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + new string('a', 40_000) + "\r\n\r\n"), StringComparison.Ordinal);
        string many = string.Concat(Enumerable.Range(0, 70).Select(i => $"X-{i}: 1\r\n"));
        Assert.StartsWith("HTTP/1.1 431", await RawAsync($"GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 400", await RawAsync("GET / HTTP/1.1\r\n\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 421", await RawAsync("GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 415", await RawAsync("POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"), StringComparison.Ordinal);
        await StillServesAsync();
    }

    [Fact]
    public async Task Every_reply_carries_the_security_headers_and_no_server_name()
    {
        foreach (string path in new[] { "/healthz", "/api/v1/status", "/api/v1/runs/none", "/nothing", "/v1/traces" })
        {
            using HttpResponseMessage response = await web.Client.GetAsync(path);
            Assert.Equal(SecurityHeaders.ContentSecurityPolicy, Assert.Single(response.Headers.GetValues("Content-Security-Policy")));
            Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
            Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
            Assert.Equal("same-origin", Assert.Single(response.Headers.GetValues("Cross-Origin-Opener-Policy")));
            Assert.Equal("same-origin", Assert.Single(response.Headers.GetValues("Cross-Origin-Resource-Policy")));
            Assert.Empty(response.Headers.Server);
            Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
        }
    }

    private async Task StillServesAsync() => Assert.Equal(200, (await web.PostAsync("/v1/traces", "{}"u8.ToArray(), Json)).Status);

    private async Task<string> RawAsync(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", new Uri(web.Url).Port);
        await using NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        byte[] reply = new byte[32];
        int length = await stream.ReadAtLeastAsync(reply, 12, throwOnEndOfStream: false);
        return Encoding.ASCII.GetString(reply, 0, length);
    }

    private static (string RunId, byte[] Body) OneSpan()
    {
        var run = new DemoRun("one", DemoWorkflow.Triage, "ticket-1", DateTimeOffset.UtcNow.AddMinutes(-1), new Expectation());
        run.Wait(5);
        run.End(run.Root);
        return (run.RunId, run.ToOtlpJson());
    }

    private static string Span(string id) =>
        $$"""{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"{{id}}","name":"s","startTimeUnixNano":"1790000000000000000","endTimeUnixNano":"1790000000000000001"}""";

    private static string Request(params string[] spans) => $$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{{string.Join(',', spans)}}]}]}]}""";

    private static byte[] Packed(byte[] plain, string? encoding)
    {
        using var packed = new MemoryStream();
        using (Stream? pack = encoding switch
        {
            "gzip" => new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true),
            "deflate" => new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true),
            _ => null,
        })
        {
            (pack ?? packed).Write(plain);
        }

        return packed.ToArray();
    }
}
