using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>One appliance takes everything that is wrong, one after the other, and is asked at the end whether it is well.</summary>
public sealed class BadInputServer : IAsyncLifetime
{
    private readonly TestDirectory place = new();
    public EvidentProcess Server { get; private set; } = null!;
    public Wire Wire { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Server = await EvidentProcess.ServeAsync(place.Data);
        Wire = new Wire(Server.Url);
    }

    public Task DisposeAsync()
    {
        Wire.Dispose();
        Server.Dispose();
        place.Dispose();
        return Task.CompletedTask;
    }
}

/// <summary>What every test of bad input ends with, and how answers are read.</summary>
public abstract class BadInput(BadInputServer shared, ITestOutputHelper test) : IAsyncLifetime
{
    protected const string Json = "application/json", Protobuf = "application/x-protobuf";
    protected const int InvalidArgument = 3, ResourceExhausted = 8;
    private long before;

    protected ITestOutputHelper Test => test;

    protected string Url => shared.Server.Url;

    protected Wire Wire => shared.Wire;

    public Task InitializeAsync()
    {
        shared.Server.ForgetPeak();
        before = shared.Server.MemoryKiB("VmRSS") / 1024;
        return Task.CompletedTask;
    }

    // After every test: still up, still storing, memory bounded.
    public async Task DisposeAsync()
    {
        Assert.False(shared.Server.HasExited, $"the appliance is gone: {shared.Server.Error}");
        var good = new OtlpSpan();
        await Wire.AcceptAsync(OtlpRequest.Of(good));
        Assert.Single((await Wire.JsonAsync($"/api/v1/traces/{good.Trace}")).GetProperty("spans").EnumerateArray());
        Assert.Equal(HttpStatusCode.OK, (await Wire.GetAsync("/healthz")).Status);
        Assert.Equal(HttpStatusCode.OK, (await Wire.GetAsync("/readyz")).Status);
        var peak = shared.Server.MemoryKiB("VmHWM") / 1024;
        test.WriteLine($"peak resident memory: {peak} MiB");
        Assert.InRange(peak, 1, Math.Max(640, before + 40)); // who raised it reports it, not every test after that
    }

    protected async Task Partial(OtlpRequest request, bool json, bool gzip, long rejected, OtlpSpan? kept, string because)
    {
        kept ??= request.Spans[^1];
        var answer = await Wire.SendAsync(request, json, gzip);
        Assert.Equal((HttpStatusCode.OK, json ? Json : Protobuf), (answer.Status, answer.ContentType));
        var (count, message) = answer.Partial();
        Assert.Equal(rejected, count);
        Assert.Contains(because, message, StringComparison.OrdinalIgnoreCase);
        var stored = Assert.Single((await Wire.JsonAsync($"/api/v1/traces/{kept.Trace}")).GetProperty("spans").EnumerateArray());
        Assert.Equal(kept.Span, stored.Text("span_id"));
    }

    protected static void Refused(OtlpAnswer answer, HttpStatusCode status, int code, bool json)
    {
        Assert.Equal(status, answer.Status);
        Assert.Equal(json ? Json : Protobuf, answer.ContentType);
        var (rpc, message) = answer.RpcStatus();
        Assert.Equal(code, rpc);
        Assert.NotEmpty(message);
    }

    protected async Task<Socket> Connect()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, new Uri(Url).Port);
        return socket;
    }

    /// <summary>What comes back before the blank line; empty when the other side hangs up without a word.</summary>
    protected static async Task<string> ReadHead(NetworkStream stream, int seconds)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        var text = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            while (!text.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                var read = await stream.ReadAsync(buffer, patience.Token);
                if (read == 0) break;
                text.Append(Encoding.ASCII.GetString(buffer, 0, read));
            }
        }
        catch (IOException)
        {
            // A reset after the answer; what arrived before it counts.
        }
        return text.ToString();
    }
}
