using System.Net;
using System.Text;
using System.Text.Json;
using Evident.Configuration;
using Evident.Demo;
using Evident.Platform;
using Evident.Store;

namespace Evident.Tests.Web;

/// <summary>A sealed appliance: what it answers, how it gets there, and how it opens again.</summary>
public sealed class SealedTests : IDisposable
{
    private readonly TemporaryDirectory temporary = new();

    private string Data => Path.Combine(temporary.Path, "d");

    private string Right => Path.Combine(temporary.Path, "right");

    private string Wrong => Path.Combine(temporary.Path, "wrong");

    public SealedTests()
    {
        foreach (string path in (string[])[Right, Wrong])
        {
            File.WriteAllText(path, $"the passphrase called {Path.GetFileName(path)}\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    public void Dispose() => temporary.Dispose();

    [Fact]
    public async Task A_running_appliance_is_sealed_and_unsealed_and_the_ledger_says_both()
    {
        await using (Appliance appliance = await StartAsync())
        {
            string reference = await SendAsync(appliance);
            Assert.Equal(1, (await RunAsync("vault", "seal")).Code); // nothing would be sealed: the key lies in a file
            Assert.Equal((0, ""), await CodeAsync("keys", "seal-with", "passphrase", "--passphrase-file", Right));
            Assert.Equal((0, ""), await CodeAsync("vault", "seal"));

            using var client = new HttpClient { BaseAddress = new Uri(appliance.Url) };
            await AssertSealedAsync(client);
            string refused = (await RunAsync("vault", "read", reference, "--reason", "x")).Error;
            Assert.True(refused.Contains("vault is sealed", StringComparison.Ordinal), refused);
            Assert.Contains("\"sealed\"", (await RunAsync("vault", "status", "--json")).Out, StringComparison.Ordinal);
            Assert.Contains("master key: passphrase", (await RunAsync("keys", "status")).Out, StringComparison.Ordinal);

            Assert.Contains("does not open", (await RunAsync("vault", "unseal", "--passphrase-file", Wrong)).Error, StringComparison.Ordinal);
            await AssertSealedAsync(client);
            Assert.Equal((0, ""), await CodeAsync("vault", "unseal", "--passphrase-file", Right));
            Assert.Contains("open already", (await RunAsync("vault", "unseal", "--passphrase-file", Right)).Error, StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/readyz")).StatusCode);
            Assert.Equal((0, ""), await CodeAsync("vault", "read", reference, "--reason", "x"));
            await SendAsync(appliance);
        }

        Assert.Equal(
            ["keys.custody uid passphrase", "keys.sealed uid passphrase", "keys.unsealed uid passphrase"],
            await KeyEntriesAsync());
        Assert.Equal(10, (await RunRawAsync("verify", Data)).Code); // sound, and confirmed by nobody outside
    }

    [Fact]
    public async Task Without_its_passphrase_an_appliance_starts_sealed_and_goes_on_when_it_is_given()
    {
        string reference;
        await using (Appliance appliance = await StartAsync(Right)) // a new directory: its key is never in the clear
        {
            reference = await SendAsync(appliance);
        }

        Assert.False(File.Exists(Path.Combine(Data, "keys", "master.key")));
        Assert.Contains("vault is sealed", (await RunAsync("vault", "read", reference, "--reason", "x")).Error, StringComparison.Ordinal);
        await using (Appliance appliance = await StartAsync())
        {
            Assert.True(appliance.IsSealed);
            using var client = new HttpClient { BaseAddress = new Uri(appliance.Url) };
            await AssertSealedAsync(client);

            // The directory is its own although no store is open in it.
            Assert.Contains("another evident process owns", (await RunAsync("serve", "--listen", "http://127.0.0.1:0", "--passphrase-file", Right)).Error, StringComparison.Ordinal);
            Assert.Equal((0, ""), await CodeAsync("vault", "unseal", "--passphrase-file", Right));
            Assert.Equal((0, ""), await CodeAsync("vault", "read", reference, "--reason", "x"));
        }

        // Back to a file, with no appliance running.
        Assert.Contains("does not open", (await RunAsync("keys", "seal-with", "file", "--passphrase-file", Wrong)).Error, StringComparison.Ordinal);
        Assert.Equal((0, ""), await CodeAsync("keys", "seal-with", "file", "--passphrase-file", Right));
        await using (Appliance appliance = await StartAsync())
        {
            Assert.False(appliance.IsSealed);
            Assert.Equal((0, ""), await CodeAsync("vault", "read", reference, "--reason", "x"));
        }

        Assert.Equal(
            ["keys.custody system passphrase", "keys.unsealed system passphrase", "keys.unsealed uid passphrase", "keys.custody uid file"],
            await KeyEntriesAsync());
    }

    [Fact]
    public async Task A_passphrase_that_others_can_read_is_refused()
    {
        File.SetUnixFileMode(Right, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        Assert.Contains("may be read by others", (await RunAsync("keys", "seal-with", "passphrase", "--passphrase-file", Right)).Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Data));
    }

    [Fact]
    public async Task While_sealed_grpc_is_unavailable_and_what_comes_later_is_taken()
    {
        await using RunningWeb web = await RunningWeb.StartAsync();
        await web.Door.CloseAsync(TimeSpan.FromSeconds(5));
        (bool taken, byte[] reply) = await web.CallAsync("/opentelemetry.proto.collector.trace.v1.TraceService/Export", []);
        Assert.False(taken);
        Assert.Contains("grpc-status: 14", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
        web.Door.Open(web.Store);
        (taken, _) = await web.CallAsync("/opentelemetry.proto.collector.trace.v1.TraceService/Export", []);
        Assert.True(taken);
    }

    [Fact]
    public async Task The_store_is_closed_after_the_last_request_has_left()
    {
        await using RunningWeb web = await RunningWeb.StartAsync();
        StoreUse inside = web.Door.Enter();
        Task<EvidentStore?> closing = web.Door.CloseAsync(TimeSpan.FromMinutes(1));
        Assert.Null(web.Door.Current);
        await Task.Delay(100);
        Assert.False(closing.IsCompleted);
        inside.Dispose();
        inside.Dispose(); // counted once
        Assert.Same(web.Store, await closing);
        Assert.Null(await web.Door.CloseAsync(TimeSpan.FromMinutes(1)));
    }

    /// <summary>Nothing is taken, nothing is read, and whoever asks learns why.</summary>
    private static async Task AssertSealedAsync(HttpClient client)
    {
        foreach (string path in (string[])["/v1/traces", "/v1/logs", "/v1/events"])
        {
            using var content = new StringContent("{}", Encoding.UTF8, "application/json");
            HttpResponseMessage refused = await client.PostAsync(path, content);
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "30"), (refused.StatusCode, refused.Headers.GetValues("Retry-After").Single()));
            Assert.Contains("evident vault unseal", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        foreach (string path in (string[])["/api/v1/runs", "/api/v1/runs/r1", "/api/v1/ledger/head", "/api/v1/ledger/verify", "/readyz"])
        {
            HttpResponseMessage refused = await client.GetAsync(path);
            Assert.Equal((path, HttpStatusCode.ServiceUnavailable), (path, refused.StatusCode));
            Assert.Contains("\"sealed\"", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        JsonElement status = JsonDocument.Parse(await client.GetStringAsync("/api/v1/status")).RootElement;
        Assert.Equal("sealed", status.GetProperty("vault").GetProperty("state").GetString());
        Assert.Equal(JsonValueKind.Null, status.GetProperty("ledger").ValueKind);
        Assert.Equal("ok\n", await client.GetStringAsync("/healthz"));
        string metrics = await client.GetStringAsync("/metrics");
        Assert.Contains("\nevident_vault_sealed 1\n", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("evident_ledger_entries", metrics, StringComparison.Ordinal);
    }

    private static async Task<string> SendAsync(Appliance appliance)
    {
        DemoRun run = ApprovalRuns.RefundApproved(DateTimeOffset.UtcNow.AddMinutes(-5), "ticket-9421");
        var sender = new DemoSender(appliance.Url);
        await sender.SendAsync(run, CancellationToken.None);
        using JsonDocument? story = await sender.GetAsync($"/api/v1/runs/{run.RunId}", CancellationToken.None);
        return story!.RootElement.GetProperty("spans").EnumerateArray().SelectMany(s => s.GetProperty("payloads").EnumerateArray()).First().GetProperty("ref").GetString()!;
    }

    /// <summary>Type, kind of actor and custody of the entries about the master key.</summary>
    private async Task<string[]> KeyEntriesAsync() =>
    [
        .. (await RunAsync("ledger", "cat")).Out.Split('\n').Where(l => l.Contains("\"type\":\"keys.", StringComparison.Ordinal)).Select(l => JsonDocument.Parse(l).RootElement)
            .Select(e => $"{e.GetProperty("type").GetString()} {e.GetProperty("actor").GetProperty("kind").GetString()} {e.GetProperty("key").GetProperty("custody").GetString()}"),
    ];

    private async Task<Appliance> StartAsync(string? passphraseFile = null)
    {
        var options = new ApplianceOptions { Listen = ["http://127.0.0.1:0"] };
        using SecretBytes? passphrase = passphraseFile is null ? null : SecretBytes.CopyAndZero(Encoding.UTF8.GetBytes((await File.ReadAllTextAsync(passphraseFile)).TrimEnd('\n')));
        return await Appliance.StartAsync(options, Data, CancellationToken.None, passphrase);
    }

    private async Task<(int Code, string Error)> CodeAsync(params string[] arguments)
    {
        (int code, _, string error) = await RunAsync(arguments);
        return (code, error);
    }

    private Task<(int Code, string Out, string Error)> RunAsync(params string[] arguments) => RunRawAsync([.. arguments, "--data", Data]);

    private static async Task<(int Code, string Out, string Error)> RunRawAsync(params string[] arguments)
    {
        (int code, string stdout, string stderr) = await CommandLineTests.RunAsync(arguments);
        return (code, stdout, stderr);
    }
}
