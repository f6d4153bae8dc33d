using System.Globalization;
using System.Net;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>
/// The kernel says no: syncs and writes that fail from the n-th on, injected by strace. Whoever does not know what is on the disk
/// must not answer 200, must not go on, and leaves a store that the next start can use.
/// </summary>
public sealed class FaultTests(ITestOutputHelper test)
{
    public static TheoryData<string, string, int> Faults
    {
        get
        {
            var faults = new TheoryData<string, string, int>();
            foreach (var n in new[] { 1, 2, 3, 5, 8, 12, 17 })
            {
                faults.Add("fdatasync", "EIO", n);
                faults.Add("pwrite64", "ENOSPC", 2 * n + 11);
            }
            faults.Add("fdatasync", "EROFS", 6); // the error that .NET's own flush swallows
            faults.Add("fdatasync", "ENOSPC", 7);
            faults.Add("pwrite64", "EIO", 30);
            return faults;
        }
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task No_answer_rests_on_a_failed_call(string call, string error, int from)
    {
        using var place = new TestDirectory();
        using (var healthy = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(healthy.Url);
            await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-before", "mail.send", AgentRun.Arguments)));
            Assert.Equal(0, healthy.Stop());
        }
        var acknowledged = new List<OtlpSpan>();
        var told = "";
        try
        {
            // Counted per thread: the writer's own calls are the ones that fail from here on.
            using var faulty = await EvidentProcess.StartAsync("/usr/bin/strace", ["-f", "-o", "/dev/null", "-e", $"trace={call}", "-e", $"inject={call}:error={error}:when={from}+",
                EvidentBinary.Path, "serve", "--data", place.Data, "--listen", "http://127.0.0.1:0"]);
            using var wire = new Wire(faulty.Url);
            for (var i = 0; i < 40 && !faulty.HasExited; i++)
            {
                var request = OtlpRequest.Of(AgentRun.Tool("run-faulty", "mail.send", $$"""{"n":{{i}}}"""), new OtlpSpan().With("input.value", "hello"));
                try
                {
                    var answer = await wire.SendAsync(request);
                    told = $"{(int)answer.Status} {answer.Text}";
                    if (answer.Status == HttpStatusCode.OK) acknowledged.AddRange(request.Spans);
                    else break;
                }
                catch (Exception e) when (e is HttpRequestException or IOException)
                {
                    told = e.Message;
                    break;
                }
            }
            Assert.True(acknowledged.Count < 80, $"forty requests were answered with 200 although {call} fails with {error} from call {from} on");
            // A full disk in front of the commit leaves a known state: that group is refused and the appliance stays. All else ends it.
            if (error == "ENOSPC" && told.StartsWith("503", StringComparison.Ordinal) && !await EndsWithin(faulty, seconds: 3)) faulty.StopChild();
            faulty.WaitForEnd(20);
            Assert.Contains(faulty.ExitCode, error == "ENOSPC" ? [0, 70] : new[] { 70 });
        }
        catch (InvalidOperationException e) when (e.Message.StartsWith("evident printed no ready line", StringComparison.Ordinal))
        {
            // It failed already while starting: refused with a code, not crashed.
            Assert.Matches(@"\(exit (1|70)\)", e.Message);
            told = e.Message.Split('\n')[0];
        }
        test.WriteLine($"{call} {error} from {from.ToString(CultureInfo.InvariantCulture)}: {acknowledged.Count / 2} requests acknowledged, then {told}");

        using var after = await EvidentProcess.ServeAsync(place.Data);
        using var reader = new Wire(after.Url);
        foreach (var span in acknowledged) Assert.Equal(HttpStatusCode.OK, (await reader.GetAsync($"/api/v1/traces/{span.Trace}")).Status);
        await reader.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-after", "mail.send", AgentRun.Arguments)));
        var entries = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(entries);
        Assert.Superset(acknowledged.Where(s => s.Attributes.Any(a => a.Key == "tool.name")).Select(s => s.Span).ToHashSet(), entries.OfType("tool.call").Select(e => e.Text("span_id")!).ToHashSet());
        var verdict = EvidentProcess.Run("verify", place.Data);
        Assert.True(verdict.Code == 10, verdict.ToString());
    }

    private static async Task<bool> EndsWithin(EvidentProcess process, int seconds)
    {
        for (var until = DateTime.UtcNow.AddSeconds(seconds); DateTime.UtcNow < until && !process.HasExited; await Task.Delay(50)) { }
        return process.HasExited;
    }
}
