using System.Diagnostics;
using System.Net;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>T22: a real disk that fills up under load (a small file system in memory, mounted for the test), at whatever write it is full.</summary>
public sealed class FullDiskTests(ITestOutputHelper test)
{
    private const int FillerBytes = 6 << 20;

    [Theory]
    [InlineData(24, 200_000)] // fat payloads: the vault is the first to find out
    [InlineData(16, 20)] // small ones: partition or ledger
    public async Task Nothing_acknowledged_is_lost_and_room_is_all_it_needs(int megabytes, int payload)
    {
        using var place = new TestDirectory();
        string disk = place.File("disk"), data = Path.Combine(disk, "data"), filler = Path.Combine(disk, "filler");
        Directory.CreateDirectory(disk);
        Root("mount", "-t", "tmpfs", "-o", $"size={megabytes}m", "tmpfs", disk);
        try
        {
            await File.WriteAllBytesAsync(filler, new byte[FillerBytes]);
            var acknowledged = new List<OtlpSpan>();
            string told = await FillAsync(data, payload, acknowledged);
            test.WriteLine($"{acknowledged.Count} spans acknowledged, then {told}");
            Assert.NotEmpty(acknowledged);

            File.Delete(filler);
            using var after = await EvidentProcess.ServeAsync(data);
            using var reader = new Wire(after.Url);
            foreach (var span in acknowledged) Assert.Equal(HttpStatusCode.OK, (await reader.GetAsync($"/api/v1/traces/{span.Trace}")).Status);
            await reader.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-after", "mail.send", AgentRun.Arguments)));
            var entries = LedgerLines.Of(data);
            LedgerLines.CheckWhole(entries);
            Assert.Superset(acknowledged.Where(s => s.Attributes.Any(a => a.Key == "tool.name")).Select(s => s.Span).ToHashSet(), entries.OfType("tool.call").Select(e => e.Text("span_id")!).ToHashSet());
            Assert.Equal(0, after.Stop());
            var verdict = EvidentProcess.Run("verify", data);
            Assert.True(verdict.Code == 10, verdict.ToString());
        }
        finally
        {
            Root("umount", "-l", disk);
        }
    }

    /// <summary>Sends until nothing more is taken; says what the last answer was.</summary>
    private static async Task<string> FillAsync(string data, int payload, List<OtlpSpan> acknowledged)
    {
        using var server = await EvidentProcess.ServeAsync(data);
        using var wire = new Wire(server.Url);
        var random = new Random(7);
        var refusals = 0;
        var told = "";
        for (var i = 0; i < 20_000 && refusals < 3 && !server.HasExited; i++)
        {
            var content = new byte[payload]; // does not compress
            random.NextBytes(content);
            var request = OtlpRequest.Of(AgentRun.Tool("run-full", "mail.send", $$"""{"n":{{i}}}"""), new OtlpSpan().With("input.value", Convert.ToHexString(content)));
            try
            {
                var answer = await wire.SendAsync(request);
                told = $"{(int)answer.Status} {answer.Text}";
                if (answer.Status == HttpStatusCode.OK) acknowledged.AddRange(request.Spans);
                else refusals++;
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                told = e.Message;
                break; // the writer no longer knew its state and the process ended
            }
        }
        Assert.True(refusals > 0 || server.HasExited || told.Length > 0 && !told.StartsWith("200", StringComparison.Ordinal), $"the disk never filled: {told}");
        if (!server.HasExited)
        {
            try { server.Stop(); } catch (TimeoutException) { server.Kill(); }
        }
        return told;
    }

    private static void Root(string command, params string[] arguments)
    {
        string[] all = Environment.UserName == "root" ? [command, .. arguments] : ["sudo", command, .. arguments];
        using var process = Process.Start(new ProcessStartInfo(all[0], all[1..]) { RedirectStandardError = true })!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', all)}: {error}");
    }
}
