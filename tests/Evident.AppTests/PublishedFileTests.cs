using System.Text.RegularExpressions;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>One file that needs libc, libm and the loader, starts at once and stays small.</summary>
public sealed partial class PublishedFileTests(ITestOutputHelper test)
{
    [Fact]
    public void Needs_libc_libm_and_the_loader_only()
    {
        var ldd = EvidentProcess.Run("/usr/bin/ldd", [EvidentBinary.Path]);
        Assert.True(ldd.Code == 0, ldd.ToString());
        var needed = ldd.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => Path.GetFileName(l.Trim().Split(' ')[0])).Order(StringComparer.Ordinal).ToArray();
        test.WriteLine(string.Join(' ', needed));
        Assert.Contains("libc.so.6", needed);
        Assert.All(needed, name => Assert.Contains(name, new[] { "linux-vdso.so.1", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2" }));
    }

    [Fact]
    public void Is_at_most_30_MB()
    {
        var bytes = new FileInfo(EvidentBinary.Path).Length;
        Figures.Print(test, $"size of the published file: {bytes / 1e6:F1} MB");
        Assert.InRange(bytes, 1, 30_000_000);
    }

    [Fact]
    public void Publish_gave_no_IL_warning_but_the_two_known_ones()
    {
        var warnings = File.ReadLines(EvidentBinary.PublishLog)
            .Where(l => ILCode().IsMatch(l) && l.Contains("warning", StringComparison.Ordinal))
            .Select(l => Regex.Replace(l.Trim(), @"\s*\[[^\]]*\]$", ""))
            .Distinct()
            .ToArray();
        foreach (var w in warnings) test.WriteLine(w);
        // IL2104 is one line per assembly, so a third assembly, or another code, is a third warning. An empty log shows nothing.
        Assert.NotEmpty(warnings);
        Assert.All(warnings, w => Assert.Matches(@"warning IL2104: Assembly '(Serilog|Microsoft\.Data\.Sqlite)' ", w));
    }

    [Fact]
    public async Task Runs_alone_in_an_empty_directory_with_an_empty_environment()
    {
        using var place = new TestDirectory();
        var alone = Directory.CreateDirectory(place.File("alone")).FullName;
        var copy = Path.Combine(alone, "evident");
        File.Copy(EvidentBinary.Path, copy);
        using var server = await EvidentProcess.StartAsync("/usr/bin/env", ["-i", copy, "serve", "--listen", "http://127.0.0.1:0"], alone);
        using var wire = new Wire(server.Url);
        await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan()));
        var (status, page) = await wire.GetAsync("/");
        Assert.Equal(System.Net.HttpStatusCode.OK, status);
        Assert.Contains("<!doctype html>", page, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(0, server.Stop());
        // What the appliance wrote lies in its default data directory and nowhere else.
        Assert.Equal(["evident", "evident-data"], Directory.EnumerateFileSystemEntries(alone).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Starts_at_once_on_an_existing_store_and_says_one_line()
    {
        using var place = new TestDirectory();
        using (var first = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(first.Url);
            for (var i = 0; i < 40; i++)
                await wire.AcceptAsync(OtlpRequest.Of([.. Enumerable.Range(0, 25).Select(n => new OtlpSpan { Name = "execute_tool mail.send" }
                    .With("tool.name", "mail.send").With("tool.args", $$"""{"to":{{n}}}""").With("agent.run_id", $"run-{i}"))]));
            Assert.Equal(0, first.Stop());
            Assert.Equal($"evident: ready on {first.Url}\n", first.Output.Replace(first.Url + "/", first.Url, StringComparison.Ordinal));
        }
        var times = new List<double>();
        for (var i = 0; i < 9; i++)
        {
            using var server = await EvidentProcess.ServeAsync(place.Data);
            times.Add(server.TimeToReady.TotalMilliseconds);
            Assert.Equal(0, server.Stop());
        }
        times.Sort();
        Figures.Print(test, $"start on an existing store of 1,000 spans after a clean stop, process start to ready line: median {times[4]:F0} ms, worst {times[^1]:F0} ms of {times.Count}");
        Assert.InRange(times[4], 0, 1000);
    }

    [Fact]
    public async Task Idle_memory_is_at_most_80_MB()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        await wire.AcceptAsync(OtlpRequest.Of([.. Enumerable.Range(0, 200).Select(_ => new OtlpSpan())]));
        await wire.JsonAsync("/api/v1/runs");
        await Task.Delay(2000);
        var rss = server.MemoryKiB("VmRSS") / 1024.0;
        Figures.Print(test, $"idle resident memory after one request of 200 spans: {rss:F1} MiB");
        Assert.InRange(rss * 1.048576, 1, 80);
    }

    [GeneratedRegex(@"\bIL\d{4}\b")]
    private static partial Regex ILCode();
}
