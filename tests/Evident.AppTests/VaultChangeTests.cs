using System.Text.Json;
using Xunit;

namespace Evident.AppTests;

/// <summary>The commands that change the vault, on the published file: with an appliance that runs, and without one.</summary>
public sealed class VaultChangeTests
{
    private static async Task<string> SendAsync(Wire wire, string run, string customer)
    {
        var span = new OtlpSpan { Name = "execute_tool crm.update" }.With("agent.run_id", run).With("tool.name", "crm.update").With("tool.args", $$"""{"customer":"{{customer}}"}""");
        await wire.AcceptAsync(OtlpRequest.Of(span));
        return (await wire.JsonAsync($"/api/v1/traces/{span.Trace}")).GetProperty("spans")[0].GetProperty("payloads").EnumerateArray().Single(p => p.Text("role") == "tool.args").Text("ref")!;
    }

    private static JsonElement Ran(params string[] arguments)
    {
        var ran = EvidentProcess.Run([.. arguments, "--json"]);
        Assert.True(ran.Code == 0, ran.ToString());
        return JsonDocument.Parse(ran.Out).RootElement.Clone();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Holds_forbid_what_shredding_does_and_a_certificate_proves_it(bool serving)
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        string run = Ids.Unique("run-"), other = Ids.Unique("run-");
        string gone = await SendAsync(wire, run, "Mrs Planted Kowalski"), sibling = await SendAsync(wire, other, "Mr Planted Nowak");
        if (!serving) Assert.Equal(0, server.Stop());

        string hold = Ran("vault", "hold", "add", "--run", run, "--reason", "case 17", "--data", place.Data).Text("hold")!;
        Assert.Equal(hold, Ran("vault", "hold", "list", "--data", place.Data).GetProperty("holds")[0].Text("hold"));
        var refused = EvidentProcess.Run("vault", "shred", "--run", run, "--reason", "erasure request", "--data", place.Data);
        Assert.True(refused.Code != 0 && refused.Error.Contains(hold, StringComparison.Ordinal), refused.ToString());
        Ran("vault", "hold", "release", hold, "--reason", "case closed", "--data", place.Data);

        var receipt = Ran("vault", "shred", "--run", run, "--reason", "erasure request", "--data", place.Data);
        Assert.Equal("L1", receipt.Text("level"));
        var read = EvidentProcess.Run("vault", "read", gone, "--reason", "is it gone?", "--data", place.Data);
        Assert.True(read.Code != 0 && read.Error.Contains("shredded", StringComparison.Ordinal), read.ToString());
        Assert.Contains("Nowak", EvidentProcess.Run("vault", "read", sibling, "--reason", "and the other?", "--data", place.Data).Out, StringComparison.Ordinal);

        var certificate = EvidentProcess.Run("vault", "certificate", receipt.Text("shred")!, "--data", place.Data);
        Assert.True(certificate.Code == 0, certificate.ToString());
        Assert.StartsWith("evident shred certificate v1\n\nentry\n{", certificate.Out, StringComparison.Ordinal);
        Assert.Equal(2, certificate.Out.Split("c2sp.org/tlog-proof@v1").Length - 1);
        Assert.Contains("\"type\":\"vault.shred.done\"", certificate.Out, StringComparison.Ordinal);

        Assert.True(Ran("keys", "rotate", "--reason", "quarterly", "--data", place.Data).GetProperty("keystore_generation").GetInt64() > receipt.GetProperty("keystore_generation").GetInt64());
        Assert.Equal("on", Ran("vault", "status", "--data", place.Data).Text("expiry"));
        Assert.Equal("confirmed", Ran("vault", "confirm-clock", "--data", place.Data).Text("clock"));
        var entries = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(entries);
        Assert.Equal(2, entries.OfType("vault.hold").Count());
        Assert.Single(entries.OfType("vault.shred.done"));
        Assert.Single(entries.OfType("keys.rotated"));
        if (serving) Assert.Equal(0, server.Stop());
        Assert.Equal(10, EvidentProcess.Run("verify", place.Data).Code);
    }

    [Fact]
    public async Task An_auditor_holds_a_disclosed_payload_against_a_bundle()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        string reference = await SendAsync(wire, Ids.Unique("run-"), "Mrs Planted Kowalski");
        var disclosed = EvidentProcess.Run("vault", "disclose", reference, "--recipient", "audit-2026", "--reason", "finding 12", "--data", place.Data);
        Assert.True(disclosed.Code == 0 && disclosed.Out.StartsWith("evident disclosure v1\n", StringComparison.Ordinal), disclosed.ToString());
        string file = Path.Combine(place.Path, "payload.disclosure"), bundle = Path.Combine(place.Path, "bundle.tar");
        File.WriteAllBytes(file, disclosed.OutBytes);
        Assert.Equal(0, EvidentProcess.Run("ledger", "export", "--out", bundle, "--data", place.Data).Code);
        var verified = EvidentProcess.Run("verify", bundle, "--disclosed", file);
        Assert.True(verified.Code == 10 && verified.Out.Contains($"are the payload {reference} that entry", StringComparison.Ordinal), verified.ToString());
        Assert.Equal(10, EvidentProcess.Run("verify", place.Data, "--vault", "--disclosed", file).Code);
        byte[] changed = disclosed.OutBytes;
        changed[^2] ^= 1;
        File.WriteAllBytes(file, changed);
        Assert.Equal(35, EvidentProcess.Run("verify", bundle, "--disclosed", file).Code);
        File.WriteAllText(file, "x");
        Assert.Equal(64, EvidentProcess.Run("verify", bundle, "--disclosed", file).Code);
        if (Directory.GetFiles(Path.Combine(place.Data, "vault"), "*.wraps") is [var wraps, ..]) File.Delete(wraps);
        Assert.Equal(35, EvidentProcess.Run("verify", place.Data, "--vault").Code);
    }

    [Fact]
    public void What_is_meant_must_be_said_once()
    {
        using var place = new TestDirectory();
        foreach (string[] wrong in (string[][])[[], ["--run", "a", "--ref", "b"]])
        {
            var ran = EvidentProcess.Run(["vault", "shred", .. wrong, "--reason", "x", "--data", place.Data]);
            Assert.True(ran.Code == 64 && ran.Error.Contains("exactly one of --ref, --run, --user, --tenant", StringComparison.Ordinal), ran.ToString());
        }
    }
}
