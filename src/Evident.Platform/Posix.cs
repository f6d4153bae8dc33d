using System.Runtime.InteropServices;

namespace Evident.Platform;

/// <summary>A system call failed. Any failure of a sync call means that the caller no longer knows what is on the disk.</summary>
public sealed class PosixException(string operation, string path, int errno)
    : IOException($"{operation} of '{path}' failed: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).")
{
    public string Operation { get; } = operation;

    public string Path { get; } = path;

    public int Errno { get; } = errno;

    public bool IsDiskFull => Errno is 28 or 122; // ENOSPC, EDQUOT
}

/// <summary>
/// The system calls durability rests on, ours because .NET's <c>Flush(true)</c> swallows EROFS, EINVAL and ENOTSUP and has no
/// directory sync (design section 7, rule 4). Linux on x86-64 and arm64.
/// </summary>
internal static partial class Posix
{
    public const int ReadOnly = 0, WriteOnly = 1, ReadWrite = 2;
    public const int Create = 0x40, Exclusive = 0x80;
    public const int NonBlocking = 0x800; // a FIFO with a file's name must not make a reader wait for a writer
    public const int CloseOnExec = 0x80000;
    public static readonly int Directory = IsArm ? 0x4000 : 0x10000;
    public static readonly int NoFollow = IsArm ? 0x8000 : 0x20000;
    public const int LockExclusive = 2, LockNonBlocking = 4, Unlock = 8;
    public const int Interrupted = 4, WouldBlock = 11, Exists = 17, NoEntry = 2;

    private static bool IsArm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    /// <summary>Repeats a call that a signal interrupted; any other error is thrown.</summary>
    public static int Call(string operation, string path, Func<int> call)
    {
        while (true)
        {
            int result = call();
            if (result >= 0)
            {
                return result;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != Interrupted)
            {
                throw new PosixException(operation, path, errno);
            }
        }
    }

    public static int Open(string path, int flags, int mode) =>
        Call("open", path, () => open(path, flags | CloseOnExec, mode));

    private const string Library = "libc";

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint pwrite(int fd, ReadOnlySpan<byte> buffer, nuint count, long offset);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint pread(int fd, Span<byte> buffer, nuint count, long offset);

    [LibraryImport(Library, SetLastError = true)]
    public static partial long lseek(int fd, long offset, int whence);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fdatasync(int fd);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fsync(int fd);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int syncfs(int fd);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ftruncate(int fd, long length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int fchmod(int fd, int mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mkdir(string path, int mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rename(string from, string to);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int unlink(string path);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int flock(int fd, int operation);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int setpriority(int which, int who, int niceness);
}
