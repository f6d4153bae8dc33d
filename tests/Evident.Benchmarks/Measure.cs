using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Evident.Benchmarks;

/// <summary>Wall time, processor time and peak memory, and how they are printed. Times per entry are in microseconds.</summary>
internal static partial class Measure
{
    /// <summary>Best of several runs of the same work: what the machine can do when it is left alone.</summary>
    public static double BestMicros(int runs, Action work)
    {
        double best = double.MaxValue;
        for (int i = 0; i < runs; i++)
        {
            long start = Stopwatch.GetTimestamp();
            work();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        return best;
    }

    public static (double WallMicros, double CpuMicros) Once(Action work)
    {
        double cpu = Usage(own: true).CpuMicros;
        long start = Stopwatch.GetTimestamp();
        work();
        return (Stopwatch.GetElapsedTime(start).TotalMicroseconds, Usage(own: true).CpuMicros - cpu);
    }

    public static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }

    /// <summary>Processor time of this process or of its children that have ended, and the largest resident size among them.</summary>
    public static (double CpuMicros, long PeakBytes) Usage(bool own)
    {
        Span<long> usage = stackalloc long[18]; // struct rusage: two timeval, ru_maxrss in KiB, 13 more longs
        if (getrusage(own ? 0 : -1, usage) != 0)
        {
            throw new InvalidOperationException($"getrusage failed with errno {Marshal.GetLastPInvokeError()}.");
        }

        return (((usage[0] + usage[2]) * 1e6) + usage[1] + usage[3], usage[4] * 1024);
    }

    public static void Title(string text) => Console.WriteLine(Environment.NewLine + text);

    public static void Line(string what, double value, string unit, string note = "") =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what,-52}{value,14:N2} {unit,-10}{note}").TrimEnd());

    public static void Bar(string what, double value, double bar, bool atMost)
    {
        bool met = atMost ? value <= bar : value >= bar;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what,-52}{value,14:N2} {(atMost ? "<=" : ">=")} {bar:N2}: {(met ? "met" : "MISSED")}"));
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrusage(int who, Span<long> usage);
}
