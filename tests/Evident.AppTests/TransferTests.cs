using System.Text.Json;
using Xunit;

namespace Evident.AppTests;

/// <summary><c>evident import</c>, <c>evident export</c> and <c>evident prices</c> on the published file: what one appliance exports another stores with the same digests, and both ledgers say so.</summary>
public sealed class TransferTests
{
    private static CommandResult Ran(int code, params string[] arguments)
    {
        var ran = EvidentProcess.Run(arguments);
        Assert.True(ran.Code == code, ran.ToString());
        return ran;
    }

    private static OtlpSpan Span(string run, string name) => new OtlpSpan { Name = name }
        .With("agent.run_id", run).With("gen_ai.operation.name", "chat").With("gen_ai.provider.name", "openai").With("gen_ai.request.model", "gpt-4o-mini").With("gen_ai.usage.input_tokens", "1000")
        .With("gen_ai.input.messages", """[{"role":"user","content":"words of Mrs Planted-Kowalski"}]""");

    [Fact]
    public async Task A_run_goes_from_one_appliance_to_another_with_its_digests()
    {
        using var place = new TestDirectory();
        string run = Ids.Unique("run-"), file = place.File("run.json"), other = place.File("other");
        Directory.CreateDirectory(other);
        JsonElement first;
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            await wire.AcceptAsync(OtlpRequest.Of(Span(run, "chat gpt-4o-mini")));
            first = await wire.RunAsync(run);
            Ran(0, "export", "--run", run, "--out", file, "--data", place.Data);
            Assert.NotEqual(0, EvidentProcess.Run("export", "--run", run, "--out", file, "--data", place.Data).Code); // nothing is written over
            Assert.Equal(2, File.ReadLines(Csv(place, run)).Count());
            Assert.Equal(0, server.Stop());
        }

        Assert.DoesNotContain("Planted-Kowalski", File.ReadAllText(file), StringComparison.Ordinal); // payloads stay in the vault
        Assert.Contains("1 records stored, 0 already there, 0 refused", Ran(0, "import", file, "--data", other).Out, StringComparison.Ordinal);
        using (var server = await EvidentProcess.ServeAsync(other))
        {
            using var wire = new Wire(server.Url);
            var second = await wire.RunAsync(run);
            Assert.Equal(first.GetProperty("spans")[0].Text("span_id"), second.GetProperty("spans")[0].Text("span_id"));
            Assert.Equal(first.GetProperty("spans")[0].GetProperty("attributes").GetRawText(), second.GetProperty("spans")[0].GetProperty("attributes").GetRawText());
            Assert.Equal(Digest(first), Digest(second));
            Assert.Contains("0 records stored, 1 already there", Ran(0, "import", file, "--data", other).Out, StringComparison.Ordinal);
            string again = place.File("again.json");
            Ran(0, "export", "--run", run, "--out", again, "--data", other);
            Assert.Equal(0, server.Stop());
        }

        Assert.Equal(2, LedgerLines.Of(place.Data).OfType("export.made").Count());
        Assert.Equal(2, LedgerLines.Of(other).OfType("import.made").Count());
        Ran(10, "verify", place.Data, "--traces", "--vault");
        Ran(10, "verify", other, "--traces");

        static string Csv(TestDirectory place, string run)
        {
            string csv = place.File("run.csv");
            Ran(0, "export", "--run", run, "--format", "csv", "--out", csv, "--data", place.Data);
            return csv;
        }

        static string? Digest(JsonElement run) => run.GetProperty("spans")[0].TryGetProperty("digest", out var digest) ? digest.GetString() : null;
    }

    [Fact]
    public void A_file_that_is_none_is_refused_with_its_line_before_anything_is_stored()
    {
        using var place = new TestDirectory();
        Directory.CreateDirectory(place.Data);
        string file = place.File("events.jsonl");
        File.WriteAllText(file, """
            {"timestamp":"2026-05-06T06:00:00Z","name":"step","trace_id":"t"}
            {"timestamp":"2026-05-06T06:00:01Z","name":

            """.Replace("\r", "", StringComparison.Ordinal));
        var refused = EvidentProcess.Run("import", file, "--data", place.Data);
        Assert.True(refused.Code != 0 && refused.Error.Contains("line 2", StringComparison.Ordinal), refused.ToString());
        File.WriteAllText(file, """{"timestamp":"2026-05-06T06:00:00Z","name":"step","trace_id":"t"}""" + "\n");
        Assert.Contains("1 records stored", Ran(0, "import", file, "--data", place.Data).Out, StringComparison.Ordinal);
        Assert.NotEqual(0, EvidentProcess.Run("import", place.File("not there"), "--data", place.Data).Code);
    }

    [Fact]
    public async Task A_recorded_evaluation_of_promptfoo_is_a_run_with_its_verdicts()
    {
        using var place = new TestDirectory();
        Directory.CreateDirectory(place.Data);
        string results = Path.Combine(RealClientTests.ClientsDirectory(), "..", "recordings", "promptfoo", "results.json");
        Assert.Contains("0 refused", Ran(0, "import", "promptfoo", results, "--release", "2026.11.1", "--data", place.Data).Out, StringComparison.Ordinal);
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = (await wire.JsonAsync("/api/v1/runs")).GetProperty("runs")[0];
        Assert.Equal("2026.11.1", run.Text("release"));
        var spans = (await wire.RunAsync(run.Text("run_id")!)).GetProperty("spans").EnumerateArray().Where(s => s.Text("kind") == "evaluation").ToArray();
        using var recorded = JsonDocument.Parse(File.ReadAllText(results));
        var cases = recorded.RootElement.GetProperty("results").GetProperty("results").EnumerateArray().ToArray();
        string Passed(JsonElement span) => span.GetProperty("attributes").TryGetProperty("eval.passed", out var passed) ? passed.GetRawText() : "";
        Assert.True(spans.Length >= cases.Length, $"{spans.Length} evaluations for {cases.Length} cases");
        Assert.Equal(cases.Any(c => !c.GetProperty("success").GetBoolean()), spans.Any(s => Passed(s) == "false"));
        Assert.Equal(cases.Any(c => c.GetProperty("success").GetBoolean()), spans.Any(s => Passed(s) == "true"));
    }

    [Fact]
    public void Prices_are_a_file_to_edit_and_to_import()
    {
        using var place = new TestDirectory();
        Directory.CreateDirectory(place.Data);
        string table = place.File("prices.tsv");
        File.WriteAllText(table, Ran(0, "prices", "show", "--built-in", "--data", place.Data).Out + "local\tllama*\t\t\t\t\t\t\t\t\t0.001\n");
        Ran(0, "prices", "import", table, "--data", place.Data);
        Assert.Equal(2, JsonDocument.Parse(Ran(0, "prices", "show", "--json", "--data", place.Data).Out).RootElement.GetProperty("tables").GetArrayLength());
        File.WriteAllText(table, "local\tllama\tnot a day\n");
        var refused = EvidentProcess.Run("prices", "import", table, "--data", place.Data);
        Assert.True(refused.Code != 0 && refused.Error.Contains("line 1", StringComparison.Ordinal), refused.ToString());
    }
}
