using System.Buffers;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// Where a bundle is written: under a temporary name beside the final one, which exists only when all of it is on stable storage. What is
/// disposed before <see cref="Complete"/> leaves nothing behind; a crash leaves the temporary name.
/// </summary>
internal abstract class BundleTarget : FileSink
{
    private const int BufferBytes = 256 * 1024;

    private readonly byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
    private readonly List<BundleFile> files = [];
    private int buffered;
    private bool completed;

    protected BundleTarget(string path)
    {
        Path = System.IO.Path.GetFullPath(System.IO.Path.TrimEndingDirectorySeparator(path));
        Temporary = Path + ".partial";
    }

    /// <summary>A directory, or an archive when the name ends in <c>.tar</c>.</summary>
    /// <param name="unixSeconds">Time of the files in an archive.</param>
    /// <exception cref="IOException">The name, or the temporary one, is there already, or cannot be made.</exception>
    public static BundleTarget Create(string path, long unixSeconds)
    {
        BundleTarget target = path.EndsWith(".tar", StringComparison.Ordinal) ? new TarTarget(path, unixSeconds) : new DirectoryTarget(path);
        foreach (string name in (ReadOnlySpan<string>)[target.Path, target.Temporary])
        {
            if (System.IO.Path.Exists(name))
            {
                target.completed = true; // nothing of ours to remove
                target.Dispose();
                throw new IOException($"'{name}' is there already; a bundle is written to a name that does not exist.");
            }
        }

        try
        {
            target.Start();
        }
        catch
        {
            target.Dispose();
            throw;
        }

        return target;
    }

    public string Path { get; }

    protected string Temporary { get; }

    /// <summary>What was written so far, in ascending order of names.</summary>
    public IReadOnlyList<BundleFile> Files()
    {
        files.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        return files;
    }

    /// <summary>Everything is made durable, then the final name appears.</summary>
    public void Complete()
    {
        Seal();
        DurableDirectory.Rename(Temporary, Path);
        completed = true;
    }

    protected abstract void Start();

    protected abstract void Store(ReadOnlySpan<byte> bytes);

    protected abstract void Finish(BundleFile written);

    protected abstract void Seal();

    protected abstract void Discard();

    protected sealed override void Put(ReadOnlySpan<byte> bytes)
    {
        if (buffered + bytes.Length > BufferBytes)
        {
            Flush();
        }

        if (bytes.Length > BufferBytes)
        {
            Store(bytes);
            return;
        }

        bytes.CopyTo(buffer.AsSpan(buffered));
        buffered += bytes.Length;
    }

    protected sealed override void Close(BundleFile written)
    {
        Flush();
        Finish(written);
        files.Add(written);
    }

    private void Flush()
    {
        Store(buffer.AsSpan(0, buffered));
        buffered = 0;
    }

    public override void Dispose()
    {
        if (!completed)
        {
            completed = true;
            Discard();
        }

        ArrayPool<byte>.Shared.Return(buffer);
        base.Dispose();
    }
}

internal sealed class DirectoryTarget(string path) : BundleTarget(path)
{
    private readonly HashSet<string> folders = new(StringComparer.Ordinal);
    private DurableFile? file;
    private long offset;

    protected override void Start() => Directory.CreateDirectory(Temporary);

    protected override void Open(string name)
    {
        string path = System.IO.Path.Combine(Temporary, name);
        string folder = System.IO.Path.GetDirectoryName(path)!;
        if (folders.Add(folder))
        {
            Directory.CreateDirectory(folder);
        }

        file = DurableFile.CreateNew(path, 0x1A4 /* 0644: a bundle is for others */);
        offset = 0;
    }

    protected override void Store(ReadOnlySpan<byte> bytes)
    {
        file!.WriteAt(offset, bytes);
        offset += bytes.Length;
    }

    protected override void Finish(BundleFile written)
    {
        file!.Dispose();
        file = null;
    }

    /// <summary>One sync of the whole file system: a bundle has thousands of small files.</summary>
    protected override void Seal() => DurableDirectory.SyncFileSystem(Temporary);

    protected override void Discard()
    {
        file?.Dispose();
        if (Directory.Exists(Temporary))
        {
            Directory.Delete(Temporary, recursive: true);
        }
    }
}

internal sealed class TarTarget(string path, long unixSeconds) : BundleTarget(path)
{
    private DurableFile? file;
    private bool made;
    private long header, offset;

    protected override void Start()
    {
        file = DurableFile.CreateNew(Temporary, 0x1A4 /* 0644: a bundle is for others */);
        made = true;
    }

    protected override void Open(string name)
    {
        header = offset;
        offset += Ustar.BlockBytes;
    }

    protected override void Store(ReadOnlySpan<byte> bytes)
    {
        file!.WriteAt(offset, bytes);
        offset += bytes.Length;
    }

    protected override void Finish(BundleFile written)
    {
        Span<byte> block = stackalloc byte[Ustar.BlockBytes];
        Ustar.WriteHeader(block, written.Name, written.Bytes, unixSeconds);
        file!.WriteAt(header, block); // the length is known only now
        offset = header + Ustar.BlockBytes + Ustar.Padded(written.Bytes); // the padding reads as NUL: nothing was ever written there
    }

    protected override void Seal()
    {
        long length = (offset + (2 * Ustar.BlockBytes) + Ustar.RecordBytes - 1) / Ustar.RecordBytes * Ustar.RecordBytes;
        file!.Truncate(length); // extends with NUL: padding, end marker, fill
        file.Sync();
        file.Dispose();
        file = null;
    }

    protected override void Discard()
    {
        file?.Dispose();
        if (made)
        {
            File.Delete(Temporary);
        }
    }
}
