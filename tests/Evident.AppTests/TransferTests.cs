using Xunit;

namespace Evident.AppTests;

/// <summary>Files in and out of the published file: export, import into a second appliance, malformed files, promptfoo, prices.</summary>
public sealed class TransferTests
{
    private static string Recording => Path.Combine(AppContext.BaseDirectory, "promptfoo-results.json");

    [Fact]
    public async Task What_one_appliance_exports_another_imports_and_recognises()
    {
        using TestDirectory first = new(), second = new();
        Assert.Equal(0, EvidentProcess.Run("demo", "--once", "--data", first.Data, "--listen", "http://127.0.0.1:0").Code);
        string file = first.File("all.json"), again = second.File("again.json");
        var written = EvidentProcess.Run("export", "--out", file, "--data", first.Data);
        Assert.True(written.Code == 0, written.ToString());
        Assert.Equal(1, EvidentProcess.Run("export", "--out", file, "--data", first.Data).Code); // it is there already

        using (var server = await EvidentProcess.ServeAsync(second.Data))
        {
            var imported = EvidentProcess.Run("import", file, "--data", second.Data);
            Assert.True(imported.Code == 0, imported.ToString());
            Assert.Contains(" 0 already there, 0 refused", imported.Out, StringComparison.Ordinal);
            Assert.Contains("Imported 1 file: 0 records stored", EvidentProcess.Run("import", file, "--data", second.Data).Out, StringComparison.Ordinal);
            Assert.Equal(0, EvidentProcess.Run("export", "--out", again, "--data", second.Data).Code);
            Assert.Equal(0, server.Stop());
        }

        // And back: the first appliance knows every one of them by its digest.
        Assert.Contains("Imported 1 file: 0 records stored", EvidentProcess.Run("import", again, "--data", first.Data).Out, StringComparison.Ordinal);
        Assert.Equal(10, EvidentProcess.Run("verify", second.Data, "--vault", "--traces", "--allow-notes").Code);
        string entries = EvidentProcess.Run("ledger", "cat", "--data", second.Data).Out;
        Assert.Contains("\"type\":\"import.made\"", entries, StringComparison.Ordinal);
        Assert.Contains("\"type\":\"export.made\"", entries, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_malformed_file_is_refused_with_its_line_and_nothing_is_taken()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        string good = place.File("good.jsonl"), bad = place.File("bad.jsonl");
        File.WriteAllText(good, """{"event_type":"plan","trace_id":"t_good","timestamp":"2026-05-13T09:30:00Z"}""" + "\n");
        File.WriteAllText(bad, """{"event_type":"plan","trace_id":"t_bad","timestamp":"2026-05-13T09:30:00Z"}""" + "\n\n{\"event_type\":\"plan\",\n");
        var refused = EvidentProcess.Run("import", good, bad, "--data", place.Data);
        Assert.Equal(1, refused.Code);
        Assert.Contains("line ", refused.Error, StringComparison.Ordinal);
        Assert.Contains("Nothing was imported", refused.Error, StringComparison.Ordinal);
        using var wire = new Wire(server.Url);
        Assert.Equal(0, (await wire.JsonAsync("/api/v1/runs")).GetProperty("runs").GetArrayLength());
        File.WriteAllText(bad, "# Version: x\nopenai\tgpt\n");
        Assert.Contains("line 2: ", EvidentProcess.Run("prices", "import", bad, "--data", place.Data).Error, StringComparison.Ordinal);
        Assert.Equal(0, server.Stop());
    }

    [Fact]
    public async Task The_recorded_promptfoo_result_is_a_run_with_cases_verdicts_route_and_release()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        var imported = EvidentProcess.Run("import", "promptfoo", Recording, "--data", place.Data);
        Assert.True(imported.Code == 0, imported.ToString());
        using var wire = new Wire(server.Url);
        string id = (await wire.JsonAsync("/api/v1/runs?workflow=refund-desk")).GetProperty("runs")[0].GetProperty("run_id").GetString()!;
        var story = await wire.RunAsync(id, spans: 12);
        Assert.Equal("2026.11.1", story.GetProperty("run").GetProperty("release").GetString());
        Assert.Equal("reported", story.GetProperty("run").GetProperty("cost_source").GetString());
        var evals = story.GetProperty("evals").EnumerateArray().ToList();
        Assert.Equal(["error", "fail", "pass"], evals.Where(e => e.GetProperty("name").GetString() is "in policy" or "out of policy" or "provider fails").Select(e => e.GetProperty("label").GetString()).Order(StringComparer.Ordinal));
        Assert.All(evals, e => Assert.NotNull(e.GetProperty("reason_payload").GetString()));
        Assert.Equal(0, server.Stop());
        Assert.Empty(PatternSearch.InDirectory(place.Data, PatternSearch.FormsOf("Your refund for this order").ToList()));
    }
}
