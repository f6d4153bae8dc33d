using System.Net;
using System.Text.Json;
using Xunit;

namespace Evident.AppTests;

/// <summary>A payload is opened with a reason, after the ledger holds that it was, and in no other way.</summary>
public sealed class VaultReadTests
{
    private const string UnknownReference = "vr_01HZX0000000000000000000A0";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Prints_the_redacted_payload_and_leaves_an_entry(bool serving)
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var runId = Ids.Unique("run-");
        var span = new OtlpSpan { Name = "execute_tool crm.update" }.With("agent.run_id", runId).With("tool.name", "crm.update")
            .With("tool.args", """{"customer":"Mrs Planted Kowalski","mail":"kowalski@planted.example","iban":"DE89370400440532013000"}""");
        await wire.AcceptAsync(OtlpRequest.Of(span));
        var payload = (await wire.JsonAsync($"/api/v1/traces/{span.Trace}")).GetProperty("spans")[0].GetProperty("payloads").EnumerateArray().Single(p => p.Text("role") == "tool.args");
        var reference = payload.Text("ref")!;
        Assert.Matches("^vr_[0-9A-HJKMNP-TV-Z]{26}$", reference);
        Assert.Matches("^hmac-sha256:[0-9a-f]{64}$", payload.Text("hash"));
        if (!serving) Assert.Equal(0, server.Stop());

        var before = LedgerLines.Of(place.Data);
        Assert.Empty(before.OfType("vault.read"));
        var read = EvidentProcess.Run("vault", "read", reference, "--reason", "customer called, TICKET-42", "--data", place.Data);
        Assert.True(read.Code == 0, read.ToString());
        using (var json = JsonDocument.Parse(read.Out))
        {
            Assert.Equal("Mrs Planted Kowalski", json.RootElement.Text("customer"));
            Assert.Equal("[email]", json.RootElement.Text("mail"));
            Assert.Equal("[iban]", json.RootElement.Text("iban"));
        }

        var after = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(after);
        var entry = Assert.Single(after.OfType("vault.read"));
        Assert.Equal(reference, entry.Text("vault", "ref"));
        Assert.NotNull(entry.Text("actor", "id"));

        // Every opening is its own entry.
        Assert.Equal(0, EvidentProcess.Run("vault", "read", reference, "--reason", "again", "--data", place.Data).Code);
        Assert.Equal(2, LedgerLines.Of(place.Data).OfType("vault.read").Count());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_unknown_reference_is_refused_and_the_attempt_recorded(bool serving)
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        if (!serving) Assert.Equal(0, server.Stop());
        var read = EvidentProcess.Run("vault", "read", UnknownReference, "--reason", "curiosity", "--data", place.Data);
        Assert.True(read.Code == 1, read.ToString());
        Assert.Empty(read.Out);
        AssertOneSentence(read);
        var entries = LedgerLines.Of(place.Data);
        var denied = Assert.Single(entries.OfType("vault.denied"));
        Assert.Equal(UnknownReference, denied.Text("vault", "ref"));
        Assert.Empty(entries.OfType("vault.read"));
    }

    [Fact]
    public async Task A_reason_is_demanded_and_a_strange_reference_is_refused()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        Assert.Equal(64, EvidentProcess.Run("vault", "read", UnknownReference, "--data", place.Data).Code);
        Assert.Contains(EvidentProcess.Run("vault", "read", UnknownReference, "--reason", " ", "--data", place.Data).Code, new[] { 1, 64 });
        foreach (var strange in new[] { "../../keys/master.key", "vr_short", "", "vr_01HZX0000000000000000000A0; rm" })
        {
            var read = EvidentProcess.Run("vault", "read", strange, "--reason", "x", "--data", place.Data);
            Assert.True(read.Code is 1 or 64, read.ToString());
            Assert.Empty(read.Out);
        }
        using var wire = new Wire(server.Url);
        await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan()));
    }

    [Fact]
    public async Task Nothing_opens_over_HTTP_before_accounts_exist()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var span = new OtlpSpan().With("tool.name", "crm.update").With("tool.args", "{\"text\":\"the planted sentence\"}");
        await wire.AcceptAsync(OtlpRequest.Of(span));
        var reference = (await wire.JsonAsync($"/api/v1/traces/{span.Trace}")).GetProperty("spans")[0].GetProperty("payloads")[0].Text("ref")!;
        foreach (var target in new[] { reference, UnknownReference })
        {
            var answer = await wire.PostAsync("{\"reason\":\"TICKET-42\"}"u8.ToArray(), "application/json", path: $"/api/v1/vault/{target}/open");
            Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
            using var json = JsonDocument.Parse(answer.Body);
            Assert.Contains("evident vault read", json.RootElement.Text("error", "message"), StringComparison.Ordinal);
            Assert.NotEmpty(json.RootElement.Text("error", "code")!);
            Assert.DoesNotContain("planted sentence", answer.Text, StringComparison.Ordinal);
        }
        Assert.Empty(LedgerLines.Of(place.Data).OfType("vault.read"));
    }

    [Fact]
    public async Task Keys_and_socket_are_for_their_owner_alone()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        const UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        var keys = Path.Combine(place.Data, "keys");
        Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(keys) & others);
        Assert.NotEmpty(TestDirectory.FilesOf(keys));
        foreach (var file in TestDirectory.FilesOf(keys).Append(Path.Combine(place.Data, "control.sock")))
            Assert.True((File.GetUnixFileMode(file) & (others | UnixFileMode.UserExecute)) == 0, $"{file}: {File.GetUnixFileMode(file)}");
    }

    internal static void AssertOneSentence(CommandResult refused)
    {
        var lines = refused.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(lines.Length is >= 1 and <= 3 && lines[0].Length > 20 && !refused.Error.Contains("   at ", StringComparison.Ordinal) && !refused.Error.Contains("Unhandled", StringComparison.Ordinal), $"not one clear sentence: {refused}");
    }
}
