using Evident.Platform;

namespace Evident.Ledger;

internal enum FolderItemKind
{
    File, Folder, Other,
}

/// <summary>One name in a folder; <c>Other</c> is a symbolic link, which is never followed.</summary>
internal sealed record FolderItem(string Name, FolderItemKind Kind);

/// <summary>
/// Read access to a ledger or a bundle: a directory, or the inside of an archive, which is not unpacked. Names have <c>/</c> between folders
/// and are relative. Nothing is ever written. Safe for many threads.
/// </summary>
internal abstract class LedgerFolder : IDisposable
{
    /// <summary>What sentences call it: a path.</summary>
    public abstract string Path { get; }

    /// <summary>What stands directly in a folder ("" for this one), by name in ordinal order; empty when it is not there.</summary>
    public abstract IReadOnlyList<FolderItem> List(string folder = "");

    /// <summary>True when that name is a file.</summary>
    public abstract bool Has(string name);

    /// <summary>True when that name is a folder.</summary>
    public abstract bool HasFolder(string name);

    /// <exception cref="IOException">The file is not there or cannot be read; <see cref="PosixException"/> with ELOOP or ESPIPE for a link or a special file.</exception>
    public abstract FileWindow Open(string name);

    /// <summary>True when that name is a symbolic link.</summary>
    public virtual bool IsLink(string name) => false;

    /// <summary>Bytes of a file as its folder tells them, without opening it; 0 when it is not there.</summary>
    public abstract long LengthOf(string name);

    /// <summary>The same access to a folder in this one, which stays open by this one alone.</summary>
    public abstract LedgerFolder Within(string folder);

    /// <summary>At most <paramref name="limit"/> bytes from a file's start.</summary>
    public byte[] Read(string name, int limit)
    {
        using var file = Open(name);
        byte[] content = new byte[(int)Math.Min(limit, file.Length)];
        return content[..file.ReadAt(0, content)];
    }

    public virtual void Dispose()
    {
    }
}

/// <summary>A range of bytes that is read as a file.</summary>
internal sealed class FileWindow : IDisposable
{
    private readonly DurableFile file;
    private readonly long start, length;
    private readonly bool owned;

    /// <summary>A whole file, disposed with the window; its length is what it is when asked for.</summary>
    public FileWindow(DurableFile file) => (this.file, length, owned) = (file, -1, true);

    /// <summary>A part of a file that stays the caller's.</summary>
    public FileWindow(DurableFile file, long start, long length) => (this.file, this.start, this.length) = (file, start, length);

    private FileWindow(DurableFile file, long start, long length, bool owned) => (this.file, this.start, this.length, this.owned) = (file, start, length, owned);

    public long Length => length < 0 ? file.Length : length;

    /// <summary>The same window with the length that it has now; it takes this one's place.</summary>
    public FileWindow Frozen() => new(file, start, Length, owned);

    /// <summary>Reads until the buffer is full or the window ends; returns the bytes read.</summary>
    public int ReadAt(long offset, Span<byte> buffer)
    {
        if (length >= 0)
        {
            long left = Math.Max(length - offset, 0);
            buffer = left < buffer.Length ? buffer[..(int)left] : buffer;
        }

        return file.ReadAt(start + offset, buffer);
    }

    public void Dispose()
    {
        if (owned)
        {
            file.Dispose();
        }
    }
}

internal sealed class DirectoryFolder(string path) : LedgerFolder
{
    public override string Path => path;

    public override IReadOnlyList<FolderItem> List(string folder = "")
    {
        var directory = new DirectoryInfo(Full(folder));
        var items = new List<FolderItem>();
        if (directory.Exists)
        {
            foreach (var item in directory.EnumerateFileSystemInfos())
            {
                items.Add(new FolderItem(item.Name, item.LinkTarget is not null ? FolderItemKind.Other : item is DirectoryInfo ? FolderItemKind.Folder : FolderItemKind.File));
            }
        }

        items.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        return items;
    }

    public override bool Has(string name) => File.Exists(Full(name));

    public override bool IsLink(string name) => new FileInfo(Full(name)).LinkTarget is not null;

    public override long LengthOf(string name) => new FileInfo(Full(name)) is { Exists: true } file ? file.Length : 0;

    public override bool HasFolder(string name) => Directory.Exists(Full(name));

    public override FileWindow Open(string name) => new(DurableFile.OpenRead(Full(name)));

    public override LedgerFolder Within(string folder) => new DirectoryFolder(Full(folder));

    private string Full(string name) => name.Length == 0 ? path : System.IO.Path.Combine(path, name);
}
