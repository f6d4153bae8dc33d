using System.Net;
using System.Text.Json;
using Xunit;

namespace Evident.AppTests;

/// <summary>The published file with its master key under a passphrase: sealed it takes and shows nothing, and a person opens it, on a terminal too.</summary>
public sealed class SealedStateTests
{
    private const string First = "a horse, a staple, a battery", Second = "two horses and no battery";

    private static string Secret(TestDirectory place, string name, string text)
    {
        string file = place.File(name);
        File.WriteAllText(file, text + "\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return file;
    }

    private static async Task<string> SendAsync(Wire wire, string said)
    {
        var span = new OtlpSpan { Name = "execute_tool crm.update" }.With("tool.name", "crm.update").With("tool.args", said);
        await wire.AcceptAsync(OtlpRequest.Of(span));
        return (await wire.JsonAsync($"/api/v1/traces/{span.Trace}")).GetProperty("spans")[0].GetProperty("payloads").EnumerateArray().Single(p => p.Text("role") == "tool.args").Text("ref")!;
    }

    private static CommandResult Ran(params string[] arguments)
    {
        var ran = EvidentProcess.Run(arguments);
        Assert.True(ran.Code == 0, ran.ToString());
        return ran;
    }

    private static async Task IsSealedAsync(Wire wire)
    {
        var answer = await wire.SendAsync(OtlpRequest.Of(new OtlpSpan { Name = "step" }));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(30)), (answer.Status, answer.Headers.RetryAfter?.Delta));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await wire.GetAsync("/api/v1/runs")).Status);
        Assert.Equal("sealed", (await wire.JsonAsync("/api/v1/status")).Text("vault", "state"));
    }

    [Fact]
    public async Task A_sealed_appliance_takes_nothing_until_somebody_gives_the_passphrase()
    {
        using var place = new TestDirectory();
        string first = Secret(place, "first", First), second = Secret(place, "second", Second), wrong = Secret(place, "wrong", "another passphrase"), reference;
        using (var server = await EvidentProcess.ServeAsync(place.Data, "--passphrase-file", first))
        {
            using var wire = new Wire(server.Url);
            reference = await SendAsync(wire, """{"customer":"Mrs Planted Kowalski"}""");
            Assert.Equal(0, server.Stop());
        }

        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            await IsSealedAsync(wire);
            var refused = EvidentProcess.Run("vault", "read", reference, "--reason", "too early", "--data", place.Data);
            Assert.True(refused.Code != 0 && refused.Out.Length == 0, refused.ToString());
            refused = EvidentProcess.Run("vault", "unseal", "--passphrase-file", wrong, "--data", place.Data);
            Assert.True(refused.Code != 0 && refused.Error.Contains("does not open", StringComparison.Ordinal), refused.ToString());
            Assert.Contains("tried to unseal the vault", server.Error, StringComparison.Ordinal);
            await IsSealedAsync(wire);

            Ran("vault", "unseal", "--passphrase-file", first, "--data", place.Data);
            Assert.Equal("""{"customer":"Mrs Planted Kowalski"}""", Ran("vault", "read", reference, "--reason", "finding 12", "--data", place.Data).Out);
            Assert.Equal("Planted", Ran("vault", "read", reference, "--range", "17-23", "--reason", "finding 12", "--data", place.Data).Out);
            Assert.Equal(64, EvidentProcess.Run("vault", "read", reference, "--range", "9-3", "--reason", "finding 12", "--data", place.Data).Code);
            Ran("keys", "change-passphrase", "--passphrase-file", first, "--new-passphrase-file", second, "--data", place.Data);
            Ran("vault", "seal", "--data", place.Data);
            await IsSealedAsync(wire);
            Assert.NotEqual(0, EvidentProcess.Run("vault", "unseal", "--passphrase-file", first, "--data", place.Data).Code);

            // As a person does it: script(1) gives the command a terminal, and what is typed is not shown.
            var typed = EvidentProcess.Run("/bin/sh", ["-c", $"(sleep 1; echo '{Second}'; sleep 4) | script -qec '{EvidentBinary.Path} vault unseal --data {place.Data}' /dev/null"]);
            Assert.True(typed.Code == 0 && typed.Out.Contains("Passphrase: ", StringComparison.Ordinal) && typed.Out.Contains("The vault is open.", StringComparison.Ordinal), typed.ToString());
            await SendAsync(wire, """{"customer":"Mr Planted Nowak"}""");
            Assert.True(JsonDocument.Parse(Ran("keys", "status", "--json", "--data", place.Data).Out).RootElement.GetProperty("keystore_generation").GetInt64() > 0);
            Assert.Equal(0, server.Stop());
        }

        var entries = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(entries);
        Assert.Equal(2, entries.OfType("keys.custody").Count()); // from the start on, and the other passphrase
        Assert.Single(entries.OfType("keys.sealed"));
        Assert.Equal(2, entries.OfType("keys.unsealed").Count(e => e.Text("actor", "kind") == "uid"));
        Assert.Equal([null, "17"], entries.OfType("vault.read").Select(e => e.GetProperty("vault").TryGetProperty("first_byte", out var at) ? at.GetRawText() : null));

        string keys = Path.Combine(place.Data, "keys");
        Assert.Equal(40, EvidentProcess.Run("verify", place.Data, "--vault", "--keys", keys).Code); // "I could not look": a passphrase is needed
        var verified = EvidentProcess.Run("verify", place.Data, "--vault", "--keys", keys, "--passphrase-file", second);
        Assert.True(verified.Code == 10 && verified.Out.Contains("met their commitments", StringComparison.Ordinal), verified.ToString());
    }
}
