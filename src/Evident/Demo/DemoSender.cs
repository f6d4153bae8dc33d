using System.Globalization;
using System.IO.Compression;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Evident.Demo;

/// <summary>
/// The demo's own exporter and reader, over loopback HTTP to the listener of the same process. This is the only HTTP client in the product: the
/// appliance itself opens no outgoing connection. It speaks HTTP/1.0, where a reply ends with its connection: the framework's client would be an
/// eighth of the published file.
/// </summary>
internal sealed class DemoSender(string url)
{
    private const int Attempts = 20;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Uri listener = new(url);

    /// <summary>Sends a run as exporters do: gzip, and again when the listener says 503. Returns when it is on stable storage.</summary>
    /// <exception cref="RefusedException">The listener refused it.</exception>
    public async Task SendAsync(DemoRun run, CancellationToken cancel)
    {
        byte[] body = Gzip(run.ToOtlpJson());
        string fields = string.Create(CultureInfo.InvariantCulture, $"Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {body.Length}\r\n");
        for (int attempt = 1; ; attempt++)
        {
            HttpReply reply = await AskAsync("POST /v1/traces", fields, body, cancel);
            string text = Encoding.UTF8.GetString(reply.Body);
            if (reply.Status == 200 && text == "{}")
            {
                return;
            }

            if (reply.Status != 503 || attempt == Attempts)
            {
                throw new RefusedException($"The listener did not take the demo run '{run.Kind}' ({reply.Status}): {text}");
            }

            await Task.Delay(TimeSpan.FromSeconds(reply.RetrySeconds ?? 1), cancel);
        }
    }

    /// <summary>Null for 404.</summary>
    public async Task<JsonDocument?> GetAsync(string path, CancellationToken cancel)
    {
        HttpReply reply = await AskAsync("GET " + path, "", default, cancel);
        return reply.Status switch
        {
            404 => null,
            >= 200 and < 300 => JsonDocument.Parse(reply.Body),
            _ => throw new RefusedException($"The API answered {reply.Status} to {path}."),
        };
    }

    private async Task<HttpReply> AskAsync(string request, string fields, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(Patience);
        using var connection = new TcpClient();
        await connection.ConnectAsync(listener.DnsSafeHost, listener.Port, patience.Token);
        NetworkStream stream = connection.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"{request} HTTP/1.0\r\nHost: {listener.Authority}\r\n{fields}\r\n"), patience.Token);
        await stream.WriteAsync(body, patience.Token);
        using var received = new MemoryStream();
        await stream.CopyToAsync(received, patience.Token);
        return HttpReply.Parse(received.ToArray());
    }

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
