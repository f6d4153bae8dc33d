using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Evident.AppTests;

/// <summary>The published file, as tests/run.sh hands it over. Tests know nothing else of the product.</summary>
public static class EvidentBinary
{
    public static string Path => Named("EVIDENT_BINARY");
    public static string PublishLog => Named("EVIDENT_PUBLISH_LOG");

    private static string Named(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } path && File.Exists(path)
            ? System.IO.Path.GetFullPath(path)
            : throw new InvalidOperationException($"{variable} does not name a file. These tests drive the published binary: run tests/run.sh, which publishes it and sets {variable}.");
}

/// <summary>What a finished command said.</summary>
public sealed record CommandResult(int Code, string Out, string Error, byte[] OutBytes)
{
    public override string ToString() => $"exit {Code}\nstdout: {Clip(Out)}\nstderr: {Clip(Error)}";

    private static string Clip(string text) => text.Length <= 4000 ? text : text[..4000] + "…";
}

/// <summary>
/// A process of the product under a test's control. Its output is read all the time, it never outlives the test, and a
/// test that forgets it is caught by the kill at the end of the test run.
/// </summary>
public sealed class EvidentProcess : IDisposable
{
    private static readonly ConcurrentDictionary<int, Process> Alive = new();
    private readonly Process process;
    private readonly MemoryStream output = new();
    private readonly StringBuilder error = new();
    private readonly TaskCompletionSource<string> ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task reading;

    static EvidentProcess() => AppDomain.CurrentDomain.ProcessExit += (_, _) => { foreach (var left in Alive.Values) left.Kill(entireProcessTree: true); };

    private EvidentProcess(string file, IEnumerable<string> arguments, string? directory, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = directory ?? System.IO.Path.GetTempPath(),
        };
        // The caller's own settings must not decide what the product does.
        foreach (var name in start.Environment.Keys.Where(k => k.StartsWith("EVIDENT", StringComparison.Ordinal) || k.StartsWith("DOTNET_", StringComparison.Ordinal) || k.StartsWith("ASPNETCORE_", StringComparison.Ordinal)).ToArray())
            start.Environment.Remove(name);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        Started = Stopwatch.GetTimestamp();
        process = Process.Start(start)!;
        Alive[process.Id] = process;
        process.StandardInput.Close();
        reading = Task.WhenAll(ReadOutput(), ReadError());
    }

    /// <summary>Timestamp just before the process was started.</summary>
    public long Started { get; }

    /// <summary>From the start of the process to its ready line.</summary>
    public TimeSpan TimeToReady { get; private set; }

    public int Id => process.Id;

    public string Url { get; private set; } = "";

    public string Error
    {
        get { lock (error) return error.ToString(); }
    }

    public string Output
    {
        get { lock (output) return Encoding.UTF8.GetString(output.ToArray()); }
    }

    public bool HasExited => process.HasExited;

    /// <summary>Starts `evident serve` on a free loopback port and waits for its one line.</summary>
    public static Task<EvidentProcess> ServeAsync(string data, params string[] more) =>
        StartAsync(EvidentBinary.Path, ["serve", "--data", data, "--listen", "http://127.0.0.1:0", .. more]);

    /// <summary>Starts any command line that ends up serving, and waits for the ready line.</summary>
    public static async Task<EvidentProcess> StartAsync(string file, IReadOnlyList<string> arguments, string? directory = null, IReadOnlyDictionary<string, string>? environment = null, int seconds = 30)
    {
        var started = new EvidentProcess(file, arguments, directory, environment);
        try
        {
            await started.ReadyAsync(TimeSpan.FromSeconds(seconds));
            return started;
        }
        catch
        {
            started.Dispose();
            throw;
        }
    }

    /// <summary>Starts a server without waiting for anything.</summary>
    public static EvidentProcess Launch(string data) => new(EvidentBinary.Path, ["serve", "--data", data, "--listen", "http://127.0.0.1:0"], null, null);

    /// <summary>Starts a command without waiting for anything.</summary>
    public static EvidentProcess Launch(IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment) => new(EvidentBinary.Path, arguments, null, environment);

    /// <summary>Waits for `evident: ready on URL`; fails with what the process said when it ends or says nothing.</summary>
    public async Task ReadyAsync(TimeSpan patience)
    {
        var first = await Task.WhenAny(ready.Task, reading, Task.Delay(patience));
        if (first != ready.Task && !ready.Task.IsCompletedSuccessfully)
        {
            if (first == reading) await process.WaitForExitAsync();
            throw new InvalidOperationException($"evident printed no ready line ({(process.HasExited ? $"exit {process.ExitCode}" : $"after {patience.TotalSeconds} s")}).\nstdout: {Output}\nstderr: {Error}");
        }
        Url = await ready.Task;
    }

    /// <summary>Runs a command to its end. The default patience fits every command of a small store.</summary>
    public static CommandResult Run(params string[] arguments) => Run(EvidentBinary.Path, arguments);

    public static CommandResult Run(string file, IReadOnlyList<string> arguments, int seconds = 60, string? directory = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        using var command = new EvidentProcess(file, arguments, directory, environment);
        if (!command.process.WaitForExit(TimeSpan.FromSeconds(seconds)))
            throw new TimeoutException($"'{System.IO.Path.GetFileName(file)} {string.Join(' ', arguments)}' did not end within {seconds} s.\nstdout: {command.Output}\nstderr: {command.Error}");
        command.reading.Wait(TimeSpan.FromSeconds(10));
        return new CommandResult(command.process.ExitCode, command.Output, command.Error, command.output.ToArray());
    }

    /// <summary>Asks for a clean stop (SIGTERM) and gives the exit code.</summary>
    public int Stop(int seconds = 20)
    {
        Signal(15);
        if (!process.WaitForExit(TimeSpan.FromSeconds(seconds))) throw new TimeoutException($"evident did not stop within {seconds} s of SIGTERM.\nstderr: {Error}");
        reading.Wait(TimeSpan.FromSeconds(10));
        return process.ExitCode;
    }

    /// <summary>SIGTERM to the one child, for an appliance that runs under strace: strace then leaves with its exit code.</summary>
    public void StopChild()
    {
        var children = File.ReadAllText($"/proc/{process.Id}/task/{process.Id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Signal(int.Parse(children[0], CultureInfo.InvariantCulture), 15);
    }

    /// <summary>SIGKILL, and waits until the process is gone.</summary>
    public void Kill()
    {
        if (!process.HasExited) Signal(9);
        process.WaitForExit(TimeSpan.FromSeconds(20));
    }

    private static void Signal(int pid, int signal)
    {
        if (Posix.kill(pid, signal) != 0) throw new InvalidOperationException($"kill({pid}, {signal}) failed with errno {Marshal.GetLastPInvokeError()}.");
    }

    public void WaitForEnd(int seconds)
    {
        if (!process.WaitForExit(TimeSpan.FromSeconds(seconds))) throw new TimeoutException($"The process did not end within {seconds} s.\nstdout: {Output}\nstderr: {Error}");
        reading.Wait(TimeSpan.FromSeconds(10));
    }

    public int ExitCode => process.ExitCode;

    /// <summary>A line of /proc/PID/status in KiB, such as VmRSS or VmHWM.</summary>
    public long MemoryKiB(string line) => long.Parse(
        File.ReadLines($"/proc/{process.Id}/status").First(l => l.StartsWith(line + ":", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    /// <summary>VmHWM counts from here on (proc(5), clear_refs).</summary>
    public void ForgetPeak() => File.WriteAllText($"/proc/{process.Id}/clear_refs", "5");

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit(TimeSpan.FromSeconds(20));
        }
        Alive.TryRemove(process.Id, out _);
        process.Dispose();
    }

    private void Signal(int signal) => Signal(process.Id, signal);

    private async Task ReadOutput()
    {
        const string ready = "evident: ready on ", isSealed = "evident: sealed on "; // what follows the address of a sealed one is for people
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await process.StandardOutput.BaseStream.ReadAsync(buffer)) > 0)
        {
            lock (output) output.Write(buffer, 0, read);
            if (this.ready.Task.IsCompleted || output.Length > 64 * 1024) continue;
            var line = Output.Split('\n').SkipLast(1).FirstOrDefault(l => l.StartsWith(ready, StringComparison.Ordinal) || l.StartsWith(isSealed, StringComparison.Ordinal));
            if (line is null) continue;
            TimeToReady = Stopwatch.GetElapsedTime(Started);
            this.ready.TrySetResult(line[(line.IndexOf(" on ", StringComparison.Ordinal) + 4)..].Split(',')[0].Trim().TrimEnd('/'));
        }
    }

    private async Task ReadError()
    {
        while (await process.StandardError.ReadLineAsync() is { } line)
            lock (error)
            {
                if (error.Length < 4 << 20) error.Append(line).Append('\n');
            }
    }

    private static class Posix
    {
        [DllImport("libc", SetLastError = true)]
        internal static extern int kill(int pid, int signal);
    }
}
