using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Evident.AppTests;

/// <summary>An answer to an OTLP request, decoded by hand in the encoding it came in.</summary>
public sealed record OtlpAnswer(HttpStatusCode Status, string ContentType, byte[] Body, HttpResponseHeaders Headers)
{
    public bool IsJson => ContentType == "application/json";

    /// <summary>Rejected spans and message of a partial success; (0, "") for a full one.</summary>
    public (long Rejected, string Message) Partial()
    {
        if (IsJson)
        {
            using var json = JsonDocument.Parse(Body);
            if (!json.RootElement.TryGetProperty("partialSuccess", out var partial)) return (0, "");
            // The protobuf JSON mapping writes a 64-bit integer as a decimal string.
            var count = partial.TryGetProperty("rejectedSpans", out var r) ? long.Parse(r.GetString()!, System.Globalization.CultureInfo.InvariantCulture) : 0;
            return (count, partial.TryGetProperty("errorMessage", out var m) ? m.GetString()! : "");
        }
        var fields = Proto.Fields(Body);
        if (!fields.TryGetValue(1, out var message)) return (0, "");
        var inner = Proto.Fields((byte[])message);
        return (inner.TryGetValue(1, out var n) ? (long)(ulong)n : 0, inner.TryGetValue(2, out var text) ? Encoding.UTF8.GetString((byte[])text) : "");
    }

    /// <summary>Code and message of the google.rpc.Status that every refusal carries.</summary>
    public (int Code, string Message) RpcStatus()
    {
        if (IsJson)
        {
            using var json = JsonDocument.Parse(Body);
            return (json.RootElement.TryGetProperty("code", out var c) ? c.GetInt32() : 0, json.RootElement.GetProperty("message").GetString()!);
        }
        var fields = Proto.Fields(Body);
        return (fields.TryGetValue(1, out var code) ? (int)(ulong)code : 0, Encoding.UTF8.GetString((byte[])fields[2]));
    }

    public string Text => Encoding.UTF8.GetString(Body);
}

/// <summary>A client of one running appliance.</summary>
public sealed class Wire : IDisposable
{
    public Wire(string url, int connections = 64)
    {
        Http = new HttpClient(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false, MaxConnectionsPerServer = connections })
        {
            BaseAddress = new Uri(url),
            Timeout = TimeSpan.FromSeconds(60),
        };
    }

    public HttpClient Http { get; }

    public Task<OtlpAnswer> SendAsync(OtlpRequest request, bool json = false, bool gzip = false) =>
        PostAsync(json ? request.Json() : request.Protobuf(), json ? "application/json" : "application/x-protobuf", gzip ? "gzip" : null, compress: gzip);

    /// <summary>Posts bytes as they are (or gzipped when asked to) and gives whatever comes back.</summary>
    public async Task<OtlpAnswer> PostAsync(byte[] body, string? contentType, string? encoding = null, bool compress = false, Action<HttpRequestMessage>? also = null, string path = "/v1/traces")
    {
        using var content = new ByteArrayContent(compress ? Gzip(body) : body);
        if (contentType is not null) content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        if (encoding is not null) content.Headers.TryAddWithoutValidation("Content-Encoding", encoding);
        using var message = new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
        also?.Invoke(message);
        using var response = await Http.SendAsync(message);
        return new OtlpAnswer(response.StatusCode, response.Content.Headers.ContentType?.MediaType ?? "", await response.Content.ReadAsByteArrayAsync(), response.Headers);
    }

    /// <summary>Sends and insists on a full success.</summary>
    public async Task AcceptAsync(OtlpRequest request, bool json = false, bool gzip = false)
    {
        var answer = await SendAsync(request, json, gzip);
        if (answer.Status != HttpStatusCode.OK || answer.Partial() != (0, "")) throw new InvalidOperationException($"Not a full success: {answer.Status} {answer.Text}");
    }

    public async Task<(HttpStatusCode Status, string Body)> GetAsync(string path)
    {
        using var response = await Http.GetAsync(new Uri(path, UriKind.Relative));
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    /// <summary>JSON of a path that must answer 200.</summary>
    public async Task<JsonElement> JsonAsync(string path)
    {
        var (status, body) = await GetAsync(path);
        if (status != HttpStatusCode.OK) throw new InvalidOperationException($"GET {path}: {(int)status} {body}");
        using var json = JsonDocument.Parse(body);
        return json.RootElement.Clone();
    }

    /// <summary>The run once the run directory, which follows the traces, knows it with at least so many spans.</summary>
    public async Task<JsonElement> RunAsync(string runId, int spans = 1)
    {
        var last = "";
        for (var until = DateTime.UtcNow.AddSeconds(10); DateTime.UtcNow < until; await Task.Delay(50))
        {
            var (status, body) = await GetAsync($"/api/v1/runs/{runId}");
            last = $"{(int)status} {body}";
            if (status != HttpStatusCode.OK) continue;
            using var json = JsonDocument.Parse(body);
            if (json.RootElement.GetProperty("spans").GetArrayLength() >= spans) return json.RootElement.Clone();
        }
        throw new InvalidOperationException($"The run {runId} did not appear with {spans} spans within 10 s; the last answer was {last}");
    }

    /// <summary>The run in the list, found by the filters of a query.</summary>
    public async Task<JsonElement> FindRunAsync(string query, string runId)
    {
        for (var until = DateTime.UtcNow.AddSeconds(10); DateTime.UtcNow < until; await Task.Delay(50))
            foreach (var run in (await JsonAsync($"/api/v1/runs?{query}")).GetProperty("runs").EnumerateArray())
                if (run.GetProperty("run_id").GetString() == runId) return run;
        throw new InvalidOperationException($"/api/v1/runs?{query} did not list {runId} within 10 s.");
    }

    public static byte[] Gzip(byte[] body)
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(body);
        return memory.ToArray();
    }

    public void Dispose() => Http.Dispose();
}
