using System.Diagnostics;
using System.Globalization;
using Evident.Ledger;

namespace Evident.Benchmarks;

/// <summary>The published binary over a ledger made here: wall and processor time of `PATH verify`, peak memory, and a second run from a warm page cache.</summary>
internal static class BinaryFigures
{
    public static int Print(string binary, long entries, int group, string? directory)
    {
        Measure.Title($"{binary} verify: {entries} tool calls, {group} a checkpoint, {Environment.ProcessorCount} cores");
        using var ledger = new SampleLedger(directory, (entries * SampleLedger.BytesPerEntry(group)) + (1L << 30));
        ledger.Fill(entries, group);
        for (int round = 1; round <= 2; round++)
        {
            var before = Measure.Usage(own: false);
            long start = Stopwatch.GetTimestamp();
            var info = new ProcessStartInfo(binary, ["verify", ledger.Data]) { RedirectStandardOutput = true };
            using var child = Process.Start(info)!;
            string report = child.StandardOutput.ReadToEnd();
            child.WaitForExit();
            double wall = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            var after = Measure.Usage(own: false);
            if (child.ExitCode != Verdict.Unanchored)
            {
                Console.Error.WriteLine(report);
                return 1;
            }

            double cpu = (after.CpuMicros - before.CpuMicros) / entries;
            Measure.Line($"run {round}: wall", wall / 1e6, "s", string.Create(CultureInfo.InvariantCulture, $"{entries / (wall / 1e6):N0} entries/s"));
            Measure.Line("  processor time", cpu, "us/entry");
            Measure.Bar("  entries/s per core", 1e6 / cpu, 300_000, atMost: false);
            Measure.Bar("  peak memory, MiB", after.PeakBytes / (1024.0 * 1024), 300, atMost: true);
        }

        return 0;
    }
}
