using System.Text.RegularExpressions;

namespace Evident.AppTests;

/// <summary>One finished system call of a traced process; Begin and End are line numbers in the trace, so that order can be asserted.</summary>
public sealed record SystemCall(string Name, string Arguments, string Result, int Begin, int End)
{
    /// <summary>Path or socket behind the first argument when that is a descriptor, else empty.</summary>
    public string Target { get; } = Regex.Match(Arguments, @"^\d+<([^>]*(?:->[^>]*)?)>").Groups[1].Value;
}

/// <summary>The appliance under strace. Needs strace, which tests/run.sh installs.</summary>
public sealed partial class TracedEvident : IDisposable
{
    private readonly EvidentProcess strace;
    private readonly string log;

    private TracedEvident(EvidentProcess strace, string log) => (this.strace, this.log) = (strace, log);

    public string Url => strace.Url;

    public static async Task<TracedEvident> ServeAsync(TestDirectory place, string calls)
    {
        var log = place.File("strace.log");
        var strace = await EvidentProcess.StartAsync("/usr/bin/strace", [.. Options(log, calls), EvidentBinary.Path, "serve", "--data", place.Data, "--listen", "http://127.0.0.1:0"], seconds: 60);
        return new TracedEvident(strace, log);
    }

    public static (CommandResult Result, List<SystemCall> Calls) Run(TestDirectory place, string calls, params string[] command)
    {
        var log = place.File("strace.log");
        var result = EvidentProcess.Run("/usr/bin/strace", [.. Options(log, calls), EvidentBinary.Path, .. command], seconds: 180);
        return (result, Parse(File.ReadLines(log)));
    }

    public int LinesSoFar() => ReadLines().Length;

    public List<SystemCall> CallsSince(int line) => Parse(ReadLines()[line..]);

    public int Stop()
    {
        strace.StopChild();
        strace.WaitForEnd(30);
        return strace.ExitCode;
    }

    public void Dispose() => strace.Dispose();

    private static string[] Options(string log, string calls) => ["-f", "-yy", "-s", "96", "-o", log, "-e", "trace=" + calls, "-e", "signal=none"];

    private string[] ReadLines()
    {
        using var stream = new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    // A call that another thread's call interrupts is written in two lines, which belong together by thread and name.
    private static List<SystemCall> Parse(IEnumerable<string> lines)
    {
        var open = new Dictionary<string, (string Name, string Arguments, int Line)>();
        var calls = new List<SystemCall>();
        var number = 0;
        foreach (var line in lines)
        {
            number++;
            if (Resumed().Match(line) is { Success: true } r && open.Remove(r.Groups["pid"].Value, out var begun))
                calls.Add(new(begun.Name, begun.Arguments + r.Groups["rest"].Value, r.Groups["result"].Value, begun.Line, number));
            else if (Unfinished().Match(line) is { Success: true } u) open[u.Groups["pid"].Value] = (u.Groups["name"].Value, u.Groups["args"].Value, number);
            else if (Whole().Match(line) is { Success: true } w) calls.Add(new(w.Groups["name"].Value, w.Groups["args"].Value, w.Groups["result"].Value, number, number));
        }
        return calls;
    }

    [GeneratedRegex(@"^(?<pid>\d+) +(?<name>\w+)\((?<args>.*)\) += (?<result>.*)$")]
    private static partial Regex Whole();

    [GeneratedRegex(@"^(?<pid>\d+) +(?<name>\w+)\((?<args>.*) <unfinished \.\.\.>$")]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"^(?<pid>\d+) +<\.\.\. (?<name>\w+) resumed>(?<rest>.*)\) += (?<result>.*)$")]
    private static partial Regex Resumed();
}
