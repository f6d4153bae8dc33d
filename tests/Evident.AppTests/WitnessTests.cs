using System.Globalization;
using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>A confirmation's way through the published file: out of the appliance, to a witness on another machine, back, and into an auditor's verdict.</summary>
public sealed class WitnessTests(ITestOutputHelper test)
{
    private static readonly string[] Sound = ["--allow-notes"]; // a machine whose clock jumps during the test gives notes, and they are not what is tested here

    [Fact]
    public async Task A_head_goes_to_a_witness_and_comes_back_as_an_anchor()
    {
        using var place = new TestDirectory();
        var witness = new Dictionary<string, string> { ["EVIDENT_WITNESS"] = place.File("w1") };
        string vkey, policy = place.File("policy.txt"), cosigned = place.File("cosigned.note");
        await Grow(place.Data, "run-witness");
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

    /// <summary>T19: whatever moment a witness is killed at, of two histories it has confirmed at most one, and goes on with that one.</summary>
    [Fact]
    public async Task A_witness_that_is_killed_never_confirms_two_histories()
    {
        const int Kills = 60;
        using var place = new TestDirectory();
        await Grow(place.Data, "run-common");
        string identity = Report(EvidentProcess.Run("verify", place.Data, "--json"), 10, 12).GetProperty("identity_key").GetString()!, other = place.File("other");
        TestDirectory.Copy(place.Data, other);
        await Grow(place.Data, "run-one");
        await Grow(other, "run-two");
        long size = long.Parse(Done(EvidentProcess.Run("ledger", "head", "--data", place.Data)).Out.Split('\n')[1], CultureInfo.InvariantCulture);
        var requests = new Dictionary<(string Of, long Since), string>();
        foreach (var (of, since) in (IEnumerable<(string, long)>)[(place.Data, 0), (place.Data, size), (other, 0), (other, size)])
        {
            requests[(of, since)] = place.File("request" + requests.Count);
            File.WriteAllBytes(requests[(of, since)], Done(EvidentProcess.Run("ledger", "head", "--since", $"{since}", "--data", of)).OutBytes);
        }

        var random = new Random(19);
        int first = 0, handedOut = 0;
        for (int i = 0; i < Kills; i++)
        {
            var witness = new Dictionary<string, string> { ["EVIDENT_WITNESS"] = place.File("w" + i) };
            Done(EvidentProcess.Run(EvidentBinary.Path, ["witness", "init", "--name", "w1.audit.example", "--log", identity], environment: witness));
            string cosigned = place.File("cosigned" + i);
            using (var killed = EvidentProcess.Launch(["witness", "cosign", requests[(place.Data, 0)], "--out", cosigned], witness))
            {
                await Task.Delay(random.Next(5, 80));
                killed.Kill();
            }

            bool out1 = File.Exists(cosigned);
            bool second = Cosigns(other);
            Assert.True(second != Cosigns(place.Data), $"kill {i}: the witness confirmed {(second ? "both histories" : "neither")}.");
            Assert.False(out1 && second, $"kill {i}: the witness had handed out its confirmation of the first history and then confirmed the second.");
            first += second ? 0 : 1;
            handedOut += out1 ? 1 : 0;

            // Asked as an operator asks: from the size that the witness says it is at.
            bool Cosigns(string data)
            {
                var logs = JsonDocument.Parse(Done(EvidentProcess.Run(EvidentBinary.Path, ["witness", "status", "--json"], environment: witness)).Out).RootElement.GetProperty("logs");
                long at = logs.GetArrayLength() == 0 ? 0 : logs[0].GetProperty("size").GetInt64();
                return EvidentProcess.Run(EvidentBinary.Path, ["witness", "cosign", requests[(data, at)]], environment: witness).Code == 0;
            }
        }

        Figures.Print(test, $"witness killed {Kills} times: {first} times its decision had been made, {handedOut} times handed out");
        Assert.InRange(first, 1, Kills - 1); // kills before and behind the decision
    }

    private static async Task Grow(string data, string run)
    {
        using var server = await EvidentProcess.ServeAsync(data);
        using var wire = new Wire(server.Url);
        await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool(run, "mail.send", AgentRun.Arguments)));
        Assert.Equal(0, server.Stop());
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
