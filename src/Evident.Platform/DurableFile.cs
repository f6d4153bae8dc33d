using System.Runtime.InteropServices;

namespace Evident.Platform;

/// <summary>
/// One regular file, written at offsets and synced on purpose. Not thread safe. After any exception from a write or a sync the
/// owner must stop using the file: Linux marks pages clean after a failed sync, so a retry proves nothing.
/// </summary>
public sealed class DurableFile : IDisposable
{
    private int fd;

    private DurableFile(string path, int fd)
    {
        Path = path;
        this.fd = fd;
    }

    public string Path { get; }

    /// <summary>Opens for reading and writing, creating it (and making the creation durable) when it is not there.</summary>
    public static DurableFile OpenAppend(string path, int mode = 0x180 /* 0600 */)
    {
        bool existed = File.Exists(path);
        var file = Opened(path, Posix.Open(path, Posix.ReadWrite | Posix.Create | Posix.NoFollow, mode));
        if (!existed)
        {
            Tell(FileCallKind.Make, path);
            DurableDirectory.Sync(System.IO.Path.GetDirectoryName(path)!);
        }

        return file;
    }

    /// <summary>Creates a file that must not exist yet. The caller syncs it and then its directory.</summary>
    public static DurableFile CreateNew(string path, int mode = 0x180)
    {
        var file = Opened(path, Posix.Open(path, Posix.ReadWrite | Posix.Create | Posix.Exclusive | Posix.NoFollow, mode));
        Tell(FileCallKind.Make, path);
        return file;
    }

    /// <summary>Opens for reading; a symbolic link or anything that is not a regular file is refused.</summary>
    public static DurableFile OpenRead(string path)
    {
        if (File.GetAttributes(path).HasFlag(FileAttributes.Directory))
        {
            throw new IOException($"open of '{path}' refused: it is a directory, a regular file is needed.");
        }

        return Opened(path, Posix.Open(path, Posix.ReadOnly | Posix.NoFollow | Posix.NonBlocking, 0));
    }

    private static DurableFile Opened(string path, int fd)
    {
        var file = new DurableFile(path, fd);
        if (Posix.lseek(fd, 0, 1) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            file.Dispose();
            throw new PosixException("open (a regular file is needed)", path, errno);
        }

        return file;
    }

    public long Length
    {
        get
        {
            long length = Posix.lseek(Fd, 0, 2);
            return length >= 0 ? length : throw new PosixException("seek", Path, Marshal.GetLastPInvokeError());
        }
    }

    private int Fd
    {
        get
        {
            ObjectDisposedException.ThrowIf(fd < 0, this);
            return fd;
        }
    }

    /// <summary>Writes all bytes at the offset; short writes are continued.</summary>
    public void WriteAt(long offset, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            nint written = Posix.pwrite(Fd, bytes, (nuint)bytes.Length, offset);
            if (written < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno == Posix.Interrupted)
                {
                    continue;
                }

                throw new PosixException("write", Path, errno);
            }

            Tell(FileCallKind.Write, Path, offset, bytes[..(int)written]);
            offset += written;
            bytes = bytes[(int)written..];
        }
    }

    /// <summary>Reads until the buffer is full or the file ends; returns the bytes read.</summary>
    public int ReadAt(long offset, Span<byte> buffer)
    {
        int total = 0;
        while (total < buffer.Length)
        {
            nint read = Posix.pread(Fd, buffer[total..], (nuint)(buffer.Length - total), offset + total);
            if (read < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                if (errno == Posix.Interrupted)
                {
                    continue;
                }

                throw new PosixException("read", Path, errno);
            }

            if (read == 0)
            {
                break;
            }

            total += (int)read;
        }

        return total;
    }

    /// <summary>Content (and the size needed to read it) on stable storage. Any error is fatal to the owner.</summary>
    public void SyncData()
    {
        int held = Fd;
        Posix.Call("fdatasync", Path, () => Posix.fdatasync(held));
        Tell(FileCallKind.SyncFile, Path);
    }

    /// <summary>Content and metadata on stable storage. Any error is fatal to the owner.</summary>
    public void Sync()
    {
        int held = Fd;
        Posix.Call("fsync", Path, () => Posix.fsync(held));
        Tell(FileCallKind.SyncFile, Path);
    }

    /// <summary>Cuts or extends; not durable until <see cref="Sync"/>.</summary>
    public void Truncate(long length)
    {
        int held = Fd;
        Posix.Call("truncate", Path, () => Posix.ftruncate(held, length));
        Tell(FileCallKind.Truncate, Path, length);
    }

    /// <summary>Mode 0444 for a file that will not change any more.</summary>
    public void SetReadOnly()
    {
        int held = Fd;
        Posix.Call("chmod", Path, () => Posix.fchmod(held, 0x124));
    }

    private static void Tell(FileCallKind kind, string path, long offset = 0, ReadOnlySpan<byte> bytes = default)
    {
        if (FileCall.Watched)
        {
            FileCall.Tell(kind, path, offset, bytes);
        }
    }

    public void Dispose()
    {
        int held = Interlocked.Exchange(ref fd, -1);
        if (held >= 0)
        {
            _ = Posix.close(held); // what had to be durable was synced; an error here can tell nothing more
        }
    }
}
