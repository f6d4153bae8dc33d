using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Evident.Tests.Differential;

/// <summary>
/// The second verifier (tests/verifier/evident_verify.py) as a process that stays: one line of arguments in, one line "code TAB findings" out.
/// </summary>
internal sealed class PythonVerifier : IDisposable
{
    /// <summary>What worker.py answers when the verifier itself fails: a code that no verdict has.</summary>
    public const int Defect = 1;

    private readonly Process process;

    public PythonVerifier() => process = Start("worker.py");

    /// <summary>Folder of the second verifier in the source tree.</summary>
    public static string Folder { get; } = SourceFolder();

    /// <summary>Hands over a case; <see cref="Answer"/> takes the answers in the same order.</summary>
    public void Ask(IEnumerable<string> arguments)
    {
        process.StandardInput.WriteLine(string.Join('\t', arguments));
        process.StandardInput.Flush();
    }

    public (int Code, string Findings) Answer()
    {
        string? line = process.StandardOutput.ReadLine();
        int tab = line?.IndexOf('\t') ?? -1;
        return tab > 0
            ? (int.Parse(line.AsSpan(0, tab), CultureInfo.InvariantCulture), line![(tab + 1)..])
            : throw new InvalidOperationException($"The Python verifier answered \"{line}\" and ended.");
    }

    /// <summary>Starts a file of the folder with python3; standard output is read by the caller, standard error goes to the console.</summary>
    public static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("python3") { WorkingDirectory = Folder, RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start) ?? throw new InvalidOperationException("python3 could not be started.");
    }

    public void Dispose()
    {
        process.StandardInput.Close();
        process.WaitForExit();
        process.Dispose();
    }

    private static string SourceFolder([CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "..", "..", "verifier"));
}
