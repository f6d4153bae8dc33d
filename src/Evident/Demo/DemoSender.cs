using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Evident.Demo;

/// <summary>
/// The demo's own exporter and reader, over loopback HTTP to the listener of the same process. This is the only HTTP client in the
/// product: the appliance itself opens no outgoing connection.
/// </summary>
internal sealed class DemoSender(string url) : IDisposable
{
    private const int Attempts = 20;

    private readonly HttpClient client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false })
    {
        BaseAddress = new Uri(url),
        Timeout = TimeSpan.FromSeconds(30),
    };

    /// <summary>Sends a run as exporters do: gzip, and again when the listener says 503. Returns when it is on stable storage.</summary>
    /// <exception cref="RefusedException">The listener refused it.</exception>
    public async Task SendAsync(DemoRun run, CancellationToken cancel)
    {
        byte[] body = Gzip(run.ToOtlpJson());
        for (int attempt = 1; ; attempt++)
        {
            using var content = new ByteArrayContent(body);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            content.Headers.ContentEncoding.Add("gzip");
            using HttpResponseMessage response = await client.PostAsync("/v1/traces", content, cancel);
            string reply = await response.Content.ReadAsStringAsync(cancel);
            if (response.StatusCode == HttpStatusCode.OK && reply == "{}")
            {
                return;
            }

            if (response.StatusCode != HttpStatusCode.ServiceUnavailable || attempt == Attempts)
            {
                throw new RefusedException($"The listener did not take the demo run '{run.Kind}' ({(int)response.StatusCode}): {reply}");
            }

            await Task.Delay(response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1), cancel);
        }
    }

    /// <summary>Null for 404.</summary>
    public async Task<JsonDocument?> GetAsync(string path, CancellationToken cancel)
    {
        using HttpResponseMessage response = await client.GetAsync(path, cancel);
        if (response.StatusCode == HttpStatusCode.NotFound)
        {
            return null;
        }

        byte[] body = await response.Content.ReadAsByteArrayAsync(cancel);
        return response.IsSuccessStatusCode
            ? JsonDocument.Parse(body)
            : throw new RefusedException($"The API answered {(int)response.StatusCode} to {path}.");
    }

    public void Dispose() => client.Dispose();

    private static byte[] Gzip(byte[] plain)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(plain);
        }

        return packed.ToArray();
    }
}
