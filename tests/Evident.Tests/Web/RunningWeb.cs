using System.Net.Http.Headers;
using Evident.Ingest;
using Evident.Platform;
using Evident.Store;
using Evident.Web;
using Microsoft.Extensions.Logging.Abstractions;

namespace Evident.Tests.Web;

/// <summary>The real HTTP surface on a port of its own over a real store in a directory of its own.</summary>
internal sealed class RunningWeb : IAsyncDisposable
{
    private readonly TemporaryDirectory data;
    private readonly EvidentWeb web;

    private RunningWeb(TemporaryDirectory data, EvidentStore store, StoreDoor door, EvidentWeb web)
    {
        (this.data, Store, Door, this.web) = (data, store, door, web);
        Client = new HttpClient { BaseAddress = new Uri(web.Url) };
    }

    public EvidentStore Store { get; }

    /// <summary>What the surface answers from; open at the start.</summary>
    public StoreDoor Door { get; }

    /// <summary>The data directory.</summary>
    public string Data => Path.Combine(data.Path, "data");

    public HttpClient Client { get; }

    public string Url => web.Url;

    /// <summary>Where gRPC is spoken, as an http:// address.</summary>
    public string GrpcUrl => web.Urls[^1];

    /// <summary>Every route that the listener maps, as patterns.</summary>
    public IReadOnlyList<string> Routes => web.Routes;

    public static async Task<RunningWeb> StartAsync(IngestLimits? limits = null, HttpLimits? http = null, Func<string, StoreOptions>? options = null)
    {
        var data = new TemporaryDirectory();
        limits ??= new IngestLimits();
        string directory = Path.Combine(data.Path, "data");
        EvidentStore store = EvidentStore.Open(
            options?.Invoke(directory) ?? new StoreOptions { DataDirectory = directory, Limits = limits }, SystemClock.Instance, (_, _) => { });
        EvidentWeb web = EvidentWeb.Build(new WebSetup
        {
            Listen = [ListenAddress.Parse("grpc://127.0.0.1:0", out _)!, ListenAddress.Parse("http://127.0.0.1:0", out _)!],
            Ingest = limits,
            Http = http ?? new HttpLimits(),
            Log = NullLoggerProvider.Instance,
            Version = "0.0.0-test",
        });
        var door = new StoreDoor();
        door.Open(store);
        await web.StartAsync(door);
        return new RunningWeb(data, store, door, web);
    }

    public async Task<(int Status, string? Type, byte[] Body, HttpResponseMessage Response)> PostAsync(
        string path, byte[] body, string? contentType, string? encoding = null, bool chunked = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = contentType is null ? null : MediaTypeHeaderValue.Parse(contentType);
        if (encoding is not null)
        {
            request.Content.Headers.ContentEncoding.Add(encoding);
        }

        request.Headers.TransferEncodingChunked = chunked;
        HttpResponseMessage response = await Client.SendAsync(request);
        return ((int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, await response.Content.ReadAsByteArrayAsync(), response);
    }

    /// <summary>A unary gRPC call with one plain message: whether it ended with status 0, and all that was answered.</summary>
    public async Task<(bool Taken, byte[] Reply)> CallAsync(string path, byte[] message)
    {
        byte[] frame = new byte[5 + message.Length];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)message.Length);
        message.CopyTo(frame, 5);
        using var request = new HttpRequestMessage(HttpMethod.Post, GrpcUrl + path)
        {
            Version = System.Net.HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent(frame),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        using HttpResponseMessage response = await Client.SendAsync(request);
        byte[] reply = await response.Content.ReadAsByteArrayAsync();
        string told = response.Headers + response.TrailingHeaders.ToString();
        return (response.TrailingHeaders.TryGetValues("grpc-status", out var status) && status.Single() == "0", [.. reply, .. System.Text.Encoding.UTF8.GetBytes(told)]);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await web.StopAsync();
        await web.DisposeAsync();
        if (Store.Ready == ReadyState.Ready)
        {
            Store.Close();
        }

        Store.Dispose();
        data.Dispose();
    }
}
