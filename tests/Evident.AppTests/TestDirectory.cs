using System.Security.Cryptography;

namespace Evident.AppTests;

/// <summary>A directory of one test, gone when the test is over (kept when EVIDENT_KEEP is set).</summary>
public sealed class TestDirectory : IDisposable
{
    public TestDirectory() => Path = Directory.CreateTempSubdirectory("evident-apptest-").FullName;

    public string Path { get; }

    /// <summary>A data directory for the appliance inside; the appliance creates it.</summary>
    public string Data => System.IO.Path.Combine(Path, "data");

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Every file below a directory; what vanishes while it is listed is left out.</summary>
    public static IEnumerable<string> FilesOf(string directory) =>
        Directory.EnumerateFiles(directory, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0, IgnoreInaccessible = true });

    /// <summary>Copies regular files and directories with their modes; sockets are left out.</summary>
    public static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var directory in Directory.EnumerateDirectories(from)) Copy(directory, System.IO.Path.Combine(to, System.IO.Path.GetFileName(directory)));
        foreach (var file in Directory.EnumerateFiles(from))
            if (IsRegular(file)) System.IO.File.Copy(file, System.IO.Path.Combine(to, System.IO.Path.GetFileName(file)));
    }

    /// <summary>One line per file and directory: relative name, mode, length, time of change and SHA-256. Equal listings mean that nobody wrote.</summary>
    public static string[] Listing(string directory) => Directory
        .EnumerateFileSystemEntries(directory, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 })
        .Order(StringComparer.Ordinal)
        .Select(entry =>
        {
            var info = new FileInfo(entry);
            var head = $"{System.IO.Path.GetRelativePath(directory, entry)} {info.UnixFileMode} {info.LastWriteTimeUtc:O}";
            return IsRegular(entry) ? $"{head} {info.Length} {Convert.ToHexStringLower(SHA256.HashData(System.IO.File.ReadAllBytes(entry)))}" : head;
        })
        .ToArray();

    public static void MakeReadable(string directory)
    {
        foreach (var sub in Directory.EnumerateDirectories(directory, "*", SearchOption.AllDirectories).Append(directory))
            System.IO.File.SetUnixFileMode(sub, UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        foreach (var file in FilesOf(directory))
            System.IO.File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
    }

    public void Dispose()
    {
        if (Environment.GetEnvironmentVariable("EVIDENT_KEEP") is { Length: > 0 }) return;
        foreach (var sub in Directory.EnumerateDirectories(Path, "*", SearchOption.AllDirectories))
            System.IO.File.SetUnixFileMode(sub, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.Delete(Path, recursive: true);
    }

    private static bool IsRegular(string path) => (System.IO.File.GetAttributes(path) & (FileAttributes.Directory | FileAttributes.ReparsePoint | FileAttributes.Device)) == 0
        && !path.EndsWith(".sock", StringComparison.Ordinal);
}
