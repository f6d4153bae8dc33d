using System.Runtime.InteropServices;

namespace Evident.Platform;

/// <summary>Names on stable storage: creation, replacement and removal of files followed by a sync of their directory.</summary>
public static class DurableDirectory
{
    /// <summary>Creates the directory when it is not there, missing parents included, each made durable in its parent.</summary>
    public static void Create(string path, int mode = 0x1C0 /* 0700 */)
    {
        if (Directory.Exists(path))
        {
            return;
        }

        string? parent = Path.GetDirectoryName(Path.GetFullPath(path));
        if (parent is not null)
        {
            Create(parent, mode);
        }

        if (Posix.mkdir(path, mode) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != Posix.Exists)
            {
                throw new PosixException("mkdir", path, errno);
            }
        }

        if (parent is not null)
        {
            Sync(parent);
        }
    }

    /// <summary>Makes the names in a directory durable. Any error is fatal to the owner of the data.</summary>
    public static void Sync(string path)
    {
        int fd = Posix.Open(path.Length == 0 ? "." : path, Posix.ReadOnly | Posix.Directory, 0);
        try
        {
            Posix.Call("fsync", path, () => Posix.fsync(fd));
        }
        finally
        {
            _ = Posix.close(fd);
        }

        Tell(FileCallKind.SyncDirectory, path);
    }

    /// <summary>Gives a file or directory, durable already, its final name, durably.</summary>
    public static void Rename(string from, string to)
    {
        Posix.Call("rename", to, () => Posix.rename(from, to));
        Tell(FileCallKind.Rename, to, from);
        Sync(Path.GetDirectoryName(Path.GetFullPath(to))!);
    }

    // A leftover of a crash; that it goes need not be durable.
    private static void Discard(string path)
    {
        if (File.Exists(path))
        {
            File.Delete(path);
            Tell(FileCallKind.Unlink, path);
        }
    }

    private static void Tell(FileCallKind kind, string path, string? from = null)
    {
        if (FileCall.Watched)
        {
            FileCall.Tell(kind, path, from: from);
        }
    }

    /// <summary>
    /// Replaces or creates a whole file: temporary file, write, fsync, rename, directory fsync. A crash leaves the old content or
    /// the new one, and at most a stale <c>.tmp</c> beside it, which the next call overwrites.
    /// </summary>
    public static void ReplaceFile(string path, ReadOnlySpan<byte> content, int mode = 0x180)
    {
        string temporary = path + ".tmp";
        Discard(temporary);
        using (var file = DurableFile.CreateNew(temporary, mode))
        {
            file.WriteAt(0, content);
            file.Sync();
        }

        Rename(temporary, path);
    }

    /// <summary>Everything that was written to the file system of this directory is on stable storage (syncfs, which reports write errors since Linux 5.8).</summary>
    public static void SyncFileSystem(string path)
    {
        int fd = Posix.Open(path, Posix.ReadOnly | Posix.Directory, 0);
        try
        {
            Posix.Call("syncfs", path, () => Posix.syncfs(fd));
        }
        finally
        {
            _ = Posix.close(fd);
        }
    }

    /// <summary>
    /// Writes the first <paramref name="length"/> bytes of a file anew and puts them in its place. After a failed sync the kernel may show
    /// bytes that never reached the disk; what is read is written and synced here, so that it is there afterwards.
    /// </summary>
    public static void Rewrite(string path, long length, int mode = 0x180)
    {
        string temporary = path + ".tmp";
        Discard(temporary);
        using (var source = DurableFile.OpenRead(path))
        using (var target = DurableFile.CreateNew(temporary, mode))
        {
            byte[] chunk = new byte[1 << 20];
            for (long offset = 0; offset < length;)
            {
                int read = source.ReadAt(offset, chunk.AsSpan(0, (int)Math.Min(chunk.Length, length - offset)));
                if (read == 0)
                {
                    throw new IOException($"rewriting '{path}': it ends at byte {offset}, {length} were expected.");
                }

                target.WriteAt(offset, chunk.AsSpan(0, read));
                offset += read;
            }

            target.Sync();
        }

        Rename(temporary, path);
    }

    /// <summary>Removes a file durably; a file that is not there is fine.</summary>
    public static void Remove(string path)
    {
        if (Posix.unlink(path) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != Posix.NoEntry)
            {
                throw new PosixException("unlink", path, errno);
            }

            return;
        }

        Tell(FileCallKind.Unlink, path);
        Sync(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>
    /// Removes a file after overwriting its content and syncing that (destruction level L1: remnants may survive in the cells of
    /// an SSD, which every receipt says).
    /// </summary>
    public static void Shred(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using (var file = DurableFile.OpenAppend(path))
        {
            byte[] noise = new byte[checked((int)Math.Min(file.Length, 1 << 20))];
            for (long offset = 0, length = file.Length; offset < length; offset += noise.Length)
            {
                Sodium.RandomBytes(noise);
                file.WriteAt(offset, noise.AsSpan(0, (int)Math.Min(noise.Length, length - offset)));
            }

            file.Sync();
        }

        Remove(path);
    }
}

/// <summary>Another process holds the data directory.</summary>
public sealed class DataDirectoryBusyException(string path)
    : IOException($"'{path}' is locked: another evident process owns this data directory. Stop it, or use a command that asks it through control.sock.");

/// <summary>One process owns a data directory: flock(2), released by the kernel however the process ends.</summary>
public sealed class DataLock : IDisposable
{
    private int fd;

    private DataLock(int fd) => this.fd = fd;

    /// <exception cref="DataDirectoryBusyException">The lock is held elsewhere.</exception>
    public static DataLock Acquire(string path)
    {
        int fd = Posix.Open(path, Posix.ReadWrite | Posix.Create | Posix.NoFollow, 0x180);
        while (Posix.flock(fd, Posix.LockExclusive | Posix.LockNonBlocking) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno == Posix.Interrupted)
            {
                continue;
            }

            _ = Posix.close(fd);
            throw errno == Posix.WouldBlock ? new DataDirectoryBusyException(path) : new PosixException("flock", path, errno);
        }

        return new DataLock(fd);
    }

    public void Dispose()
    {
        int held = Interlocked.Exchange(ref fd, -1);
        if (held >= 0)
        {
            _ = Posix.flock(held, Posix.Unlock); // a child that is between fork and exec still has the descriptor; closing alone would leave the lock with it
            _ = Posix.close(held);
        }
    }
}
