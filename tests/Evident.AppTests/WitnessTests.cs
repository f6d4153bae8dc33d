using System.Text.Json;
using Xunit;

namespace Evident.AppTests;

/// <summary>A confirmation's way through the published file: out of the appliance, to a witness on another machine, back, and into an auditor's verdict.</summary>
public sealed class WitnessTests
{
    private static readonly string[] Sound = ["--allow-notes"]; // a machine whose clock jumps during the test gives notes, and they are not what is tested here

    [Fact]
    public async Task A_head_goes_to_a_witness_and_comes_back_as_an_anchor()
    {
        using var place = new TestDirectory();
        var witness = new Dictionary<string, string> { ["EVIDENT_WITNESS"] = place.File("w1") };
        string vkey, policy = place.File("policy.txt"), cosigned = place.File("cosigned.note");
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-witness", "mail.send", AgentRun.Arguments)));
            Assert.Equal(0, server.Stop());
        }

        var identity = Report(EvidentProcess.Run("verify", place.Data, "--json"), 10, 12).GetProperty("identity_key").GetString()!;
        vkey = Done(EvidentProcess.Run(EvidentBinary.Path, ["witness", "init", "--name", "w1.audit.example", "--log", identity], environment: witness)).Out.TrimEnd('\n');
        File.WriteAllText(policy, $"log {identity}\nwitness w1 {vkey}\nquorum w1\n");
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            var request = place.File("request");
            File.WriteAllBytes(request, Done(EvidentProcess.Run("ledger", "head", "--since", "0", "--data", place.Data)).OutBytes);
            Assert.Empty(Done(EvidentProcess.Run(EvidentBinary.Path, ["witness", "cosign", request, "--out", cosigned], environment: witness)).Out);
            Report(EvidentProcess.Run("verify", place.Data, "--policy", policy, "--json"), 11);
            Assert.StartsWith("filed: ", Done(EvidentProcess.Run("ledger", "anchor", cosigned, "--data", place.Data)).Out, StringComparison.Ordinal);
            Assert.StartsWith("filed before: ", Done(EvidentProcess.Run("ledger", "anchor", cosigned, "--data", place.Data)).Out, StringComparison.Ordinal);
            Assert.Equal(0, server.Stop());
        }

        var anchored = Report(EvidentProcess.Run(EvidentBinary.Path, ["verify", place.Data, "--policy", policy, "--json", .. Sound]), 0);
        Assert.Contains("w1.audit.example", anchored.GetProperty("anchored_by").GetString(), StringComparison.Ordinal);
        Assert.Contains("\"type\":\"ledger.anchor\"", Done(EvidentProcess.Run("ledger", "cat", "--raw", "--data", place.Data)).Out, StringComparison.Ordinal);

        // The auditor as witness: the ledger's directory is read and nothing in it is touched.
        var before = TestDirectory.Listing(place.Data);
        var audit = Report(EvidentProcess.Run(EvidentBinary.Path, ["verify", place.Data, "--cosign", place.File("w1"), "--json", .. Sound]), 0);
        Assert.Contains("\u2014 w1.audit.example ", audit.GetProperty("cosigned").GetString(), StringComparison.Ordinal);
        Assert.Equal(before, TestDirectory.Listing(place.Data));
        var status = JsonDocument.Parse(Done(EvidentProcess.Run(EvidentBinary.Path, ["witness", "status", "--json"], environment: witness)).Out).RootElement;
        Assert.Equal(audit.GetProperty("entries").GetInt64(), status.GetProperty("logs")[0].GetProperty("size").GetInt64());

        // The other carriers: paper, a camera, and one entry's proof.
        var text = place.File("head.txt");
        File.WriteAllBytes(text, Done(EvidentProcess.Run("ledger", "head", "--text", "--data", place.Data)).OutBytes);
        Report(EvidentProcess.Run(EvidentBinary.Path, ["verify", place.Data, "--known-head", text, "--json", .. Sound]), 0);
        Assert.Contains('\u2588', Done(EvidentProcess.Run("ledger", "head", "--qr", "--data", place.Data)).Out);
        Assert.StartsWith("c2sp.org/tlog-proof@v1\nindex 1\n", Done(EvidentProcess.Run("ledger", "prove", "1", "--data", place.Data)).Out, StringComparison.Ordinal);
    }

    private static CommandResult Done(CommandResult result)
    {
        Assert.True(result.Code == 0, result.ToString());
        return result;
    }

    private static JsonElement Report(CommandResult result, params int[] codes)
    {
        Assert.True(codes.Contains(result.Code), result.ToString());
        return JsonDocument.Parse(result.Out).RootElement;
    }
}
