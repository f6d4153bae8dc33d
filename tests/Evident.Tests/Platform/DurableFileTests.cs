using Evident.Platform;

namespace Evident.Tests.Platform;

public sealed class DurableFileTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("evident-platform-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string At(string name) => Path.Combine(folder, name);

    [Fact]
    public void What_is_written_at_an_offset_is_read_back_and_the_mode_is_owner_only()
    {
        using var file = DurableFile.OpenAppend(At("a"));
        file.WriteAt(0, "hello"u8);
        file.WriteAt(5, " world"u8);
        file.SyncData();
        Assert.Equal(11, file.Length);
        byte[] buffer = new byte[64];
        Assert.Equal(11, file.ReadAt(0, buffer));
        Assert.Equal("hello world"u8.ToArray(), buffer[..11]);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(At("a")));
        file.Truncate(5);
        file.Sync();
        Assert.Equal("hello", File.ReadAllText(At("a")));
    }

    [Fact]
    public void A_symbolic_link_is_refused()
    {
        File.WriteAllText(At("target"), "x");
        File.CreateSymbolicLink(At("link"), At("target"));
        var refused = Assert.Throws<PosixException>(() => DurableFile.OpenRead(At("link")));
        Assert.Equal(40, refused.Errno); // ELOOP
        Assert.Contains(At("link"), refused.Message, StringComparison.Ordinal);
        Assert.Throws<IOException>(() => DurableFile.OpenRead(folder));
    }

    [Fact]
    public void A_pipe_with_the_name_of_a_file_is_refused_at_once()
    {
        using var made = System.Diagnostics.Process.Start("mkfifo", At("pipe"));
        made.WaitForExit();
        Assert.Equal(29, Assert.Throws<PosixException>(() => DurableFile.OpenRead(At("pipe"))).Errno); // ESPIPE
    }

    [Fact]
    public void A_new_file_must_not_exist_and_a_missing_one_is_named()
    {
        DurableFile.CreateNew(At("n")).Dispose();
        Assert.Equal(17, Assert.Throws<PosixException>(() => DurableFile.CreateNew(At("n"))).Errno);
        Assert.Throws<FileNotFoundException>(() => DurableFile.OpenRead(At("missing")));
    }

    [Fact]
    public void A_full_device_is_an_error_that_says_so()
    {
        var full = Assert.Throws<PosixException>(() =>
        {
            using var file = DurableFile.OpenAppend("/dev/full");
            file.WriteAt(0, "x"u8);
        });
        Assert.True(full.IsDiskFull);
    }

    [Fact]
    public void Replace_leaves_the_whole_new_content_and_no_temporary_file()
    {
        DurableDirectory.ReplaceFile(At("r"), "one"u8);
        File.WriteAllText(At("r.tmp"), "what a crash left");
        DurableDirectory.ReplaceFile(At("r"), "two"u8);
        Assert.Equal("two", File.ReadAllText(At("r")));
        Assert.Equal([At("r")], Directory.GetFiles(folder));
    }

    [Fact]
    public void Shred_overwrites_before_it_unlinks()
    {
        File.WriteAllText(At("s"), new string('s', 3_000_000));
        using var held = File.OpenRead(At("s")); // the inode lives on, so that its content can be looked at
        DurableDirectory.Shred(At("s"));
        Assert.False(File.Exists(At("s")));
        byte[] left = new byte[3_000_000];
        held.ReadExactly(left);
        Assert.True(left.AsSpan().IndexOf("ssssssss"u8) < 0);
        DurableDirectory.Shred(At("s")); // a file that is not there is fine
    }

    [Fact]
    public void One_holder_of_the_lock_at_a_time()
    {
        var first = DataLock.Acquire(At("lock"));
        Assert.Throws<DataDirectoryBusyException>(() => DataLock.Acquire(At("lock")));
        first.Dispose();
        DataLock.Acquire(At("lock")).Dispose();
    }

    [Fact]
    public void Times_are_written_with_a_fixed_number_of_digits()
    {
        Assert.Equal("2026-05-06T06:00:08.012Z", Rfc3339.FormatMillis(1_778_047_208_012));
        Assert.Equal("2026-05-06T06:00:08.000000001Z", Rfc3339.FormatNanos(1_778_047_208_000_000_001));
        Assert.True(Rfc3339.TryParseMillis("2026-05-06T06:00:08.012Z", out long millis));
        Assert.Equal(1_778_047_208_012, millis);
        Assert.False(Rfc3339.TryParseMillis("2026-05-06T06:00:08Z", out _));
        Assert.False(Rfc3339.TryParseMillis("2026-05-06 06:00:08.012Z", out _));
    }
}
