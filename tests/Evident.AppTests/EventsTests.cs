using Xunit;

namespace Evident.AppTests;

/// <summary>Plain events, sent by curl as a shell script would, to the published file.</summary>
public sealed class EventsTests
{
    [Fact]
    public async Task Events_that_curl_sends_are_a_run_with_its_approval_and_nothing_of_what_was_said()
    {
        using var place = new TestDirectory();
        var file = place.File("events.jsonl");
        File.WriteAllText(file, """
            {"timestamp":"2026-05-13T09:30:00Z","trace_id":"trace_curl_01","workflow":"curl_refund","span_id":"plan","event_type":"plan","plan":"Ask Planted-Kowalski first"}
            {"timestamp":"2026-05-13T09:31:11Z","trace_id":"trace_curl_01","event_type":"approval_decision","tool_name":"refund.submit","decision":"approved","approver_id":"s_901","reason":"Planted-Kowalski agreed"}
            {"timestamp":"2026-05-13T09:31:12Z","trace_id":"trace_curl_01","parent_span_id":"plan","event_type":"tool_call","tool_name":"refund.submit","side_effect_level":"irreversible","status":"ok","latency_ms":842,"tool_args":{"to":"Planted-Kowalski"}}
            no event

            """);
        using var server = await EvidentProcess.ServeAsync(place.Data);
        string[] curl = ["curl", "-s", "--noproxy", "*", "-H", "Content-Type: application/json", "--data-binary", $"@{file}", server.Url + "/v1/events"];
        Assert.Contains("\"undecodable\"", EvidentProcess.Run("/usr/bin/env", curl).Out, StringComparison.Ordinal); // a last line that is no JSON: nothing was taken
        File.WriteAllLines(file, File.ReadAllLines(file).Take(3).Append("5"));
        var sent = EvidentProcess.Run("/usr/bin/env", curl);
        Assert.StartsWith("""{"accepted":3,"duplicates":0,"refused":1,"errors":[{"index":3,""", sent.Out, StringComparison.Ordinal);
        Assert.StartsWith("""{"accepted":0,"duplicates":3,"refused":1,""", EvidentProcess.Run("/usr/bin/env", curl).Out, StringComparison.Ordinal);

        using var wire = new Wire(server.Url);
        var story = await wire.RunAsync("trace_curl_01", spans: 3);
        Assert.Equal("curl_refund", story.GetProperty("run").GetProperty("workflow_id").GetString());
        var entries = (await wire.JsonAsync("/api/v1/ledger/entries?run=trace_curl_01")).GetProperty("entries").EnumerateArray().Select(e => e.GetProperty("type").GetString()).ToList();
        Assert.Contains("tool.call", entries);
        Assert.Contains("approval.decision", entries);
        Assert.Equal(0, server.Stop());
        Assert.Equal(10, EvidentProcess.Run("verify", place.Data, "--allow-notes").Code);
        string[] leaks = [.. PatternSearch.InDirectory(place.Data, PatternSearch.FormsOf("Planted-Kowalski").ToList()), .. PatternSearch.In(StoredBlobs.Inflated(place.Data), PatternSearch.FormsOf("Planted-Kowalski").ToList())];
        Assert.True(leaks.Length == 0, string.Join('\n', leaks));
    }
}
