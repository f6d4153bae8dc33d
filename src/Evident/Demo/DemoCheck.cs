using System.Text.Json;

namespace Evident.Demo;

/// <summary>Looks for every run of the demo through the HTTP API, as a reader would, and says what is missing.</summary>
internal sealed class DemoCheck(DemoSender sender)
{
    /// <summary>One line of the summary. <c>Missing</c> is empty when the run is as it should be.</summary>
    public sealed record Line(string Kind, string Session, string Outcome, int Spans, string Flags, IReadOnlyList<string> Missing);

    public async Task<Line> LookAsync(DemoRun run, CancellationToken cancel)
    {
        var missing = new List<string>();
        using JsonDocument? story = await sender.GetAsync($"/api/v1/runs/{run.RunId}", cancel);
        if (story is null)
        {
            return new Line(run.Kind, run.Session, "missing", 0, "", ["the run"]);
        }

        JsonElement view = story.RootElement.GetProperty("run");
        string outcome = view.GetProperty("outcome").GetString()!;
        var flags = new List<string>();
        foreach (JsonElement flag in view.GetProperty("flags").EnumerateArray())
        {
            flags.Add(flag.GetString()!);
        }

        int spans = story.RootElement.GetProperty("spans").GetArrayLength();
        Expectation expected = run.Expectation;

        Expect(spans == run.Spans.Count, $"{run.Spans.Count - spans} spans");
        Expect(view.GetProperty("session_id").GetString() == run.Session, $"session {run.Session}");
        Expect(expected.Outcome is null || outcome == expected.Outcome, $"outcome {expected.Outcome}");
        Expect(expected.Flag is null ? flags.Count == 0 : flags.Contains(expected.Flag), expected.Flag is null ? "a clean record" : $"flag {expected.Flag}");
        Expect(!expected.Fallback || view.GetProperty("fallback").GetBoolean(), "fallback mark");
        Expect(!expected.Resumed || view.GetProperty("trace_ids").GetArrayLength() == 2, "second trace");
        Expect(
            expected.ApprovalState is null || Has(story.RootElement.GetProperty("approvals"), "state", expected.ApprovalState),
            $"approval {expected.ApprovalState}");
        Expect(view.GetProperty("payloads").GetInt32() > 0, "sealed payloads");

        // The list finds it by its ticket number, which is how people look for a run.
        using JsonDocument? list = await sender.GetAsync($"/api/v1/runs?session={run.Session}", cancel);
        Expect(Has(list!.RootElement.GetProperty("runs"), "run_id", run.RunId), "entry in the list by session");
        return new Line(run.Kind, run.Session, outcome, spans, string.Join(' ', flags), missing);

        void Expect(bool there, string what)
        {
            if (!there)
            {
                missing.Add(what);
            }
        }
    }

    private static bool Has(JsonElement array, string property, string value)
    {
        foreach (JsonElement item in array.EnumerateArray())
        {
            if (item.GetProperty(property).ValueEquals(value))
            {
                return true;
            }
        }

        return false;
    }
}
