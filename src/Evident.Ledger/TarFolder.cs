using System.Globalization;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// The inside of a ustar archive, read in place. Strict: regular files and directories only, inoffensive names, none twice, correct checksums,
/// nothing but NUL in the padding and behind the end. What it indexes is bounded by <see cref="BundleManifest.MaxFiles"/>.
/// </summary>
internal sealed class TarFolder : LedgerFolder
{
    private readonly string prefix;
    private readonly Index index;
    private readonly bool owner;

    private TarFolder(Index index, string prefix, bool owner) => (this.index, this.prefix, this.owner) = (index, prefix, owner);

    public override string Path => prefix.Length == 0 ? index.File.Path : $"{index.File.Path}/{prefix.TrimEnd('/')}";

    /// <summary>False with a finding (34 for what no archive of this kind holds, 40 when it is cut short) when it cannot be used.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static bool TryOpen(string path, out TarFolder folder, out Finding problem)
    {
        folder = null!;
        var file = DurableFile.OpenRead(path);
        try
        {
            if (!Index.TryRead(file, out var index, out problem))
            {
                file.Dispose();
                return false;
            }

            folder = new TarFolder(index, "", owner: true);
            return true;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override IReadOnlyList<FolderItem> List(string folder = "") =>
        index.Folders.TryGetValue((prefix + folder).TrimEnd('/'), out var items) ? items : [];

    public override bool Has(string name) => index.Files.ContainsKey(prefix + name);

    public override bool HasFolder(string name) => index.Folders.ContainsKey(prefix + name);

    public override long LengthOf(string name) => index.Files.TryGetValue(prefix + name, out var place) ? place.Length : 0;

    public override FileWindow Open(string name) => index.Files.TryGetValue(prefix + name, out var place)
        ? new FileWindow(index.File, place.Start, place.Length)
        : throw new FileNotFoundException($"'{prefix + name}' is not in '{index.File.Path}'.");

    public override LedgerFolder Within(string folder) => new TarFolder(index, $"{prefix}{folder}/", owner: false);

    public override void Dispose()
    {
        if (owner)
        {
            index.File.Dispose();
        }
    }

    private sealed class Index(DurableFile file)
    {
        public DurableFile File => file;

        public Dictionary<string, (long Start, long Length)> Files { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, List<FolderItem>> Folders { get; } = new(StringComparer.Ordinal) { [""] = [] };

        public static bool TryRead(DurableFile file, out Index index, out Finding problem)
        {
            index = new Index(file);
            problem = null!;
            string name = System.IO.Path.GetFileName(file.Path);
            long length = file.Length, offset = 0;
            byte[] block = new byte[Ustar.BlockBytes];
            for (int members = 0; ; members++)
            {
                if (file.ReadAt(offset, block) < block.Length)
                {
                    problem = new Finding(Verdict.Incomplete, string.Create(CultureInfo.InvariantCulture, $"the archive ends at byte {length}, before its end marker."), name);
                    return false;
                }

                if (Ustar.IsEnd(block))
                {
                    index.Sort();
                    return index.IsEmptyFrom(offset, length, name, out problem);
                }

                if (!Ustar.TryParse(block, out var member, out string failure))
                {
                    problem = Bad(offset, failure);
                    return false;
                }

                if (members > BundleManifest.MaxFiles)
                {
                    problem = Bad(offset, $"it is one of more than {BundleManifest.MaxFiles}.");
                    return false;
                }

                offset += Ustar.BlockBytes;
                if (member.Bytes > length - offset)
                {
                    problem = new Finding(Verdict.Incomplete, $"the archive ends inside {member.Name}.", name);
                    return false;
                }

                if (!index.Add(member, offset))
                {
                    problem = Bad(offset - Ustar.BlockBytes, $"the name '{member.Name}' is there twice, or once as a file and once as a folder.");
                    return false;
                }

                long end = offset + Ustar.Padded(member.Bytes);
                if (end > length)
                {
                    problem = new Finding(Verdict.Incomplete, $"the archive ends inside the padding of {member.Name}.", name);
                    return false;
                }

                if (!index.IsEmpty(offset + member.Bytes, end))
                {
                    problem = Bad(offset + member.Bytes, $"the padding of {member.Name} holds something.");
                    return false;
                }

                offset = end;
            }

            Finding Bad(long at, string why) =>
                new(Verdict.Malformed, string.Create(CultureInfo.InvariantCulture, $"the archive's header at byte {at} cannot be used: {why}"), name);
        }

        /// <summary>Behind the first block of NUL there is at least one more, and nothing else up to the end.</summary>
        private bool IsEmptyFrom(long offset, long length, string name, out Finding problem)
        {
            problem = null!;
            if (length - offset < 2 * Ustar.BlockBytes)
            {
                problem = new Finding(Verdict.Incomplete, "the archive ends inside its end marker.", name);
                return false;
            }

            if (!IsEmpty(offset, length))
            {
                problem = new Finding(Verdict.Malformed, "something stands behind the archive's end marker.", name);
                return false;
            }

            return true;
        }

        private void Sort()
        {
            foreach (var items in Folders.Values)
            {
                items.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
            }
        }

        private bool IsEmpty(long from, long to)
        {
            byte[] buffer = new byte[(int)Math.Min(to - from, 64 * 1024)];
            while (from < to)
            {
                int read = file.ReadAt(from, buffer.AsSpan(0, (int)Math.Min(buffer.Length, to - from)));
                if (read == 0 || buffer.AsSpan(0, read).ContainsAnyExcept((byte)0))
                {
                    return false;
                }

                from += read;
            }

            return true;
        }

        private bool Add(UstarMember member, long start)
        {
            if (member.Kind == UstarKind.Directory)
            {
                return member.Name.Length == 0 || AddFolder(member.Name);
            }

            if (Folders.ContainsKey(member.Name) || !Files.TryAdd(member.Name, (start, member.Bytes)))
            {
                return false;
            }

            int slash = member.Name.LastIndexOf('/');
            string folder = slash < 0 ? "" : member.Name[..slash];
            if (!AddFolder(folder))
            {
                return false;
            }

            Folders[folder].Add(new FolderItem(member.Name[(slash + 1)..], FolderItemKind.File));
            return true;
        }

        /// <summary>With the folders that it lies in; a header for each is not needed. A name has 255 bytes at most, which bounds the depth.</summary>
        private bool AddFolder(string name)
        {
            if (Folders.ContainsKey(name))
            {
                return true;
            }

            int slash = name.LastIndexOf('/');
            string parent = slash < 0 ? "" : name[..slash];
            if (Files.ContainsKey(name) || Folders.Count > BundleManifest.MaxFiles || !AddFolder(parent))
            {
                return false;
            }

            Folders.Add(name, []);
            Folders[parent].Add(new FolderItem(name[(slash + 1)..], FolderItemKind.Folder));
            return true;
        }
    }
}
