using System.Text;

namespace Evident.Tests.Differential;

/// <summary>Files of a data directory in memory, and what an auditor supplies beside it. Mutations change it; then it is written out and verified.</summary>
internal sealed class LedgerCase
{
    /// <summary>Relative path (<c>ledger/head.a</c>) to content; null: a symbolic link stands there.</summary>
    public SortedDictionary<string, byte[]?> Files { get; } = new(StringComparer.Ordinal);

    public SortedSet<string> Folders { get; } = new(StringComparer.Ordinal);

    /// <summary>Heads that the auditor supplies, as the bytes of a file each.</summary>
    public List<byte[]> Heads { get; } = [];

    public long? MaxUnanchored { get; set; }

    /// <summary>What is verified in place of the files, when they were packed.</summary>
    public byte[]? Archive { get; set; }

    public LedgerCase Copy()
    {
        var copy = new LedgerCase { MaxUnanchored = MaxUnanchored };
        foreach (var (name, content) in Files)
        {
            copy.Files[name] = content;
        }

        copy.Folders.UnionWith(Folders);
        copy.Heads.AddRange(Heads);
        return copy;
    }

    public static LedgerCase Read(string data, string folder)
    {
        var read = new LedgerCase();
        foreach (string directory in Directory.GetDirectories(Path.Combine(data, folder), "*", SearchOption.AllDirectories).Prepend(Path.Combine(data, folder)))
        {
            if (directory != data && directory != Path.Combine(data, ""))
            {
                read.Folders.Add(Path.GetRelativePath(data, directory));
            }

            foreach (string file in Directory.GetFiles(directory))
            {
                read.Files[Path.GetRelativePath(data, file)] = File.ReadAllBytes(file);
            }
        }

        return read;
    }

    /// <summary>Names of the segments in order.</summary>
    public string[] Segments() => [.. Files.Where(f => f.Key.EndsWith(".jsonl", StringComparison.Ordinal) && f.Value is not null).Select(f => f.Key)];

    public string[] Notes() => [.. Files.Where(f => f.Value is not null && (f.Key.EndsWith(".note", StringComparison.Ordinal)
        || f.Key.StartsWith("ledger/head.", StringComparison.Ordinal))).Select(f => f.Key)];

    /// <summary>Lines of a segment with their line feeds; the last one may lack it.</summary>
    public List<string> Lines(string segment)
    {
        string text = Encoding.Latin1.GetString(Files[segment]!);
        var lines = new List<string>();
        for (int at = 0; at < text.Length;)
        {
            int end = text.IndexOf('\n', at);
            end = end < 0 ? text.Length : end + 1;
            lines.Add(text[at..end]);
            at = end;
        }

        return lines;
    }

    public void SetLines(string segment, IEnumerable<string> lines) => Files[segment] = Encoding.Latin1.GetBytes(string.Concat(lines));

    public long Bytes => Files.Values.Sum(f => f?.Length ?? 0);

    /// <summary>Writes everything anew under a directory that is emptied first; returns the arguments of a verifier.</summary>
    public List<string> WriteTo(string directory)
    {
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }

        string data = Path.Combine(directory, "data");
        Directory.CreateDirectory(data);
        foreach (string folder in Folders.Where(folder => !Files.ContainsKey(folder) || !Files.Keys.Any(f => (folder + "/").StartsWith(f + "/", StringComparison.Ordinal))))
        {
            Directory.CreateDirectory(Path.Combine(data, folder));
        }

        foreach (var (name, content) in Files)
        {
            string path = Path.Combine(data, name);
            if (Folders.Contains(name) || Files.Keys.Any(f => name.StartsWith(f + "/", StringComparison.Ordinal)))
            {
                continue; // a folder was put in its place, or a file in that of its folder
            }

            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            if (content is null)
            {
                File.CreateSymbolicLink(path, "/dev/null");
            }
            else
            {
                File.WriteAllBytes(path, content);
            }
        }

        string archive = Path.Combine(directory, "bundle.tar");
        if (Archive is not null)
        {
            File.WriteAllBytes(archive, Archive);
        }

        var arguments = new List<string> { Archive is null ? data : archive };
        for (int i = 0; i < Heads.Count; i++)
        {
            string path = Path.Combine(directory, $"known{i}.note");
            File.WriteAllBytes(path, Heads[i]);
            arguments.AddRange(["--known-head", path]);
        }

        if (MaxUnanchored is { } most)
        {
            arguments.AddRange(["--max-unanchored", most.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        }

        return arguments;
    }
}
