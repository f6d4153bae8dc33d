using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>Requests from where they should not come from, or in a way that no exporter sends.</summary>
public sealed class BadRequestTests(BadInputServer shared, ITestOutputHelper test) : BadInput(shared, test), IClassFixture<BadInputServer>
{
    [Theory]
    [InlineData(null)]
    [InlineData("text/plain")]
    [InlineData("text/plain; charset=utf-8")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("multipart/form-data; boundary=x")]
    [InlineData("application/xml")]
    [InlineData("application/grpc")]
    [InlineData("nonsense")]
    public async Task A_content_type_that_is_not_OTLP_is_415(string? type)
    {
        var answer = await Wire.PostAsync(OtlpRequest.Of(new OtlpSpan()).Protobuf(), type);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.Status);
        foreach (var path in new[] { "/api/v1/vault/vr_01HZX0000000000000000000A0/open", "/v1/logs", "/" })
            if (type is null || type.StartsWith("text/plain", StringComparison.Ordinal))
                Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await Wire.PostAsync("{}"u8.ToArray(), type, path: path)).Status);
    }

    [Theory]
    [InlineData("zstd")]
    [InlineData("br")]
    [InlineData("gzip, gzip")]
    public async Task An_unknown_content_encoding_is_refused(string encoding)
    {
        var answer = await Wire.PostAsync(OtlpRequest.Of(new OtlpSpan()).Protobuf(), Protobuf, encoding);
        Assert.True(answer.Status is HttpStatusCode.UnsupportedMediaType or HttpStatusCode.BadRequest, $"{answer.Status}");
    }

    [Theory]
    [InlineData("evil.example")]
    [InlineData("evident.attacker.example:4318")]
    [InlineData("localhost.evil.example")]
    public async Task A_foreign_Host_is_421(string host)
    {
        foreach (var path in new[] { "/", "/api/v1/runs", "/healthz", "/assets/x.js" })
        {
            using var message = new HttpRequestMessage(HttpMethod.Get, path);
            message.Headers.Host = host;
            using var answer = await Wire.Http.SendAsync(message);
            Assert.Equal(HttpStatusCode.MisdirectedRequest, answer.StatusCode);
        }
        var post = await Wire.PostAsync(OtlpRequest.Of(new OtlpSpan()).Protobuf(), Protobuf, also: m => m.Headers.Host = host);
        Assert.Equal(HttpStatusCode.MisdirectedRequest, post.Status);
    }

    [Fact]
    public async Task Own_hosts_are_taken()
    {
        var port = new Uri(Url).Port;
        foreach (var host in new[] { $"localhost:{port}", $"127.0.0.1:{port}", "[::1]:4318", "10.1.2.3" })
            Assert.Equal(HttpStatusCode.OK, (await Wire.PostAsync(OtlpRequest.Of(new OtlpSpan()).Protobuf(), Protobuf, also: m => m.Headers.Host = host)).Status);
    }

    [Theory]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Origin", "null")]
    [InlineData("Origin", "http://127.0.0.1:1")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    public async Task A_foreign_page_is_refused(string header, string value)
    {
        var request = OtlpRequest.Of(new OtlpSpan());
        var post = await Wire.PostAsync(request.Json(), Json, also: m => m.Headers.TryAddWithoutValidation(header, value));
        Assert.Equal(HttpStatusCode.Forbidden, post.Status);
        Assert.DoesNotContain(post.Headers, h => h.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(HttpStatusCode.NotFound, (await Wire.GetAsync($"/api/v1/traces/{request.Spans[0].Trace}")).Status);
        using var get = new HttpRequestMessage(HttpMethod.Get, "/api/v1/runs");
        get.Headers.TryAddWithoutValidation(header, value);
        using var answer = await Wire.Http.SendAsync(get);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        using var preflight = new HttpRequestMessage(HttpMethod.Options, "/v1/traces");
        preflight.Headers.TryAddWithoutValidation("Origin", "https://evil.example");
        preflight.Headers.TryAddWithoutValidation("Access-Control-Request-Method", "POST");
        using var refused = await Wire.Http.SendAsync(preflight);
        Assert.False(refused.IsSuccessStatusCode);
        Assert.DoesNotContain(refused.Headers, h => h.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task The_own_page_is_not_foreign()
    {
        var post = await Wire.PostAsync(OtlpRequest.Of(new OtlpSpan()).Json(), Json, also: m =>
        {
            m.Headers.TryAddWithoutValidation("Origin", Url);
            m.Headers.TryAddWithoutValidation("Sec-Fetch-Site", "same-origin");
        });
        Assert.Equal(HttpStatusCode.OK, post.Status);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public async Task Another_method_is_405(string method)
    {
        using var message = new HttpRequestMessage(new HttpMethod(method), "/v1/traces");
        using var answer = await Wire.Http.SendAsync(message);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.StatusCode);
    }

    [Theory]
    [InlineData("Content-Length: 104857600")]
    [InlineData("Transfer-Encoding: chunked")]
    public async Task A_body_beyond_64_MiB_is_413(string framing)
    {
        var chunked = framing.StartsWith("Transfer", StringComparison.Ordinal);
        using var socket = await Connect();
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {Protobuf}\r\n{framing}\r\n\r\n"));
        var block = new byte[1 << 20];
        var writing = Task.Run(async () =>
        {
            try
            {
                for (var i = 0; i < 100; i++)
                {
                    if (chunked) await stream.WriteAsync("100000\r\n"u8.ToArray());
                    await stream.WriteAsync(block);
                    if (chunked) await stream.WriteAsync("\r\n"u8.ToArray());
                }
            }
            catch (IOException)
            {
                // The appliance answers early and hangs up; how much of the body it let pass is its own affair.
            }
        });
        var head = await ReadHead(stream, seconds: 30);
        Assert.StartsWith("HTTP/1.1 413 ", head, StringComparison.Ordinal);
        socket.Dispose();
        await writing;
    }

    [Fact]
    public async Task A_slow_body_is_cut_off_and_holds_nobody_up()
    {
        var slow = new List<Socket>();
        try
        {
            for (var i = 0; i < 20; i++)
            {
                var socket = await Connect();
                slow.Add(socket);
                await socket.SendAsync(Encoding.ASCII.GetBytes($"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {Protobuf}\r\nContent-Length: 1000\r\n\r\n"));
                await socket.SendAsync(new byte[] { 0x0a, 0x01 });
            }
            for (var i = 0; i < 20; i++) await Wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan()));
            await using var stream = new NetworkStream(slow[0]);
            var head = await ReadHead(stream, seconds: 40);
            Assert.True(head.Length == 0 || head.StartsWith("HTTP/1.1 408 ", StringComparison.Ordinal) || head.StartsWith("HTTP/1.1 400 ", StringComparison.Ordinal), $"after a slow body came: {head}");
        }
        finally
        {
            foreach (var socket in slow) socket.Dispose();
        }
    }

    [Fact]
    public async Task Aborted_bodies_and_connections_leave_nothing_behind()
    {
        var whole = OtlpRequest.Of(new OtlpSpan()).Protobuf();
        for (var i = 0; i < 200; i++)
        {
            using var socket = await Connect();
            await socket.SendAsync(Encoding.ASCII.GetBytes($"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {Protobuf}\r\nContent-Length: {whole.Length}\r\n\r\n"));
            await socket.SendAsync(whole.AsMemory(0, i % whole.Length));
            if (i % 2 == 0) socket.LingerState = new LingerOption(true, 0); // a reset instead of an orderly end
        }
    }

    [Fact]
    public async Task A_flood_is_refused_with_503_and_Retry_After_or_taken()
    {
        var body = OtlpRequest.Of([.. Enumerable.Range(0, 4000).Select(_ => new OtlpSpan { Name = "step" }.With("input.value", new string('z', 2000)))]).Protobuf();
        var answers = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => Wire.PostAsync(body, Protobuf)));
        Test.WriteLine(string.Join(' ', answers.GroupBy(a => a.Status).Select(g => $"{g.Key}: {g.Count()}")));
        Assert.All(answers, a =>
        {
            Assert.True(a.Status is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable, $"{a.Status} {a.Text}");
            if (a.Status == HttpStatusCode.ServiceUnavailable) Assert.InRange(a.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 3);
        });
        Assert.Contains(answers, a => a.Status == HttpStatusCode.OK);
    }

    [Fact]
    public async Task Bad_queries_are_answered_in_the_error_shape()
    {
        foreach (var (path, statuses) in new[]
        {
            ("/api/v1/runs/no-such-run", new[] { 404 }), ("/api/v1/traces/00112233445566778899aabbccddeeff", [404]), ("/api/v1/traces/xyz", [400, 404]), ("/api/v1/runs?limit=abc", [400]), ("/api/v1/runs?limit=-1", [400]),
            ("/api/v1/runs?cursor=abc", [400]), ("/api/v1/runs?from=yesterday", [400]), ("/api/v1/ledger/proof/abc", [400, 404]), ("/api/v1/ledger/entries?from=-5", [400]), ("/api/v1/nothing", [404]),
        })
        {
            var (status, body) = await Wire.GetAsync(path);
            Assert.True(statuses.Contains((int)status), $"{path}: {(int)status} {body}");
            using var json = JsonDocument.Parse(body);
            Assert.NotEmpty(json.RootElement.Text("error", "code")!);
            Assert.NotEmpty(json.RootElement.Text("error", "message")!);
        }
    }
}
