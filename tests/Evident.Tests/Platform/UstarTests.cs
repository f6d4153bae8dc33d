using System.Formats.Tar;
using System.Text;
using Evident.Platform;

namespace Evident.Tests.Platform;

/// <summary>Headers against the framework's own archive reader and writer, which we did not write.</summary>
public class UstarTests
{
    public static TheoryData<string, long> Names => new()
    {
        { "a", 0 },
        { "ledger/00000000000000000000.jsonl", 511 },
        { new string('n', 100), 1 },
        { new string('p', 155) + "/" + new string('n', 100), 2 },
        { new string('p', 60) + "/" + new string('q', 60) + "/n", 513 },
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void Another_reader_finds_name_and_content(string name, long bytes)
    {
        byte[] content = [.. Enumerable.Range(0, (int)bytes).Select(i => (byte)(i % 251))];
        byte[] archive = new byte[Ustar.BlockBytes + Ustar.Padded(bytes) + (2 * Ustar.BlockBytes)];
        Ustar.WriteHeader(archive, name, bytes, 1_778_047_200);
        content.CopyTo(archive, Ustar.BlockBytes);
        using var reader = new TarReader(new MemoryStream(archive));
        var entry = reader.GetNextEntry()!;
        Assert.Equal((TarEntryFormat.Ustar, TarEntryType.RegularFile, name, bytes), (entry.Format, entry.EntryType, entry.Name, entry.Length));
        Assert.Equal(1_778_047_200, entry.ModificationTime.ToUnixTimeSeconds());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead, entry.Mode);
        byte[] read = new byte[bytes];
        entry.DataStream?.ReadExactly(read);
        Assert.Equal(content, read);
        Assert.Null(reader.GetNextEntry());

        Assert.True(Ustar.TryParse(archive.AsSpan(0, Ustar.BlockBytes), out var member, out _));
        Assert.Equal(new UstarMember(name, bytes, UstarKind.File), member);
    }

    [Theory]
    [InlineData(8_589_934_591)]
    [InlineData(8_589_934_592)]
    [InlineData(20_000_000_001)]
    public void Sizes_around_eight_gibibytes_are_read_back(long bytes)
    {
        byte[] block = new byte[Ustar.BlockBytes];
        Ustar.WriteHeader(block, "big", bytes, 0);
        Assert.True(Ustar.TryParse(block, out var member, out string failure), failure);
        Assert.Equal(bytes, member.Bytes);

        string path = Path.Combine(Path.GetTempPath(), "evident-ustar-" + Guid.NewGuid().ToString("N"));
        using var sparse = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        sparse.Write(block);
        sparse.SetLength(Ustar.BlockBytes + Ustar.Padded(bytes) + 1024);
        sparse.Position = 0;
        using var reader = new TarReader(sparse);
        Assert.Equal(bytes, reader.GetNextEntry(copyData: false)!.Length);
    }

    [Theory]
    [InlineData("no-slash-")]
    [InlineData("deep/")]
    public void A_name_that_does_not_fit_is_refused(string start) =>
        Assert.Throws<ArgumentException>(() => Ustar.WriteHeader(new byte[512], start + new string('x', 120), 0, 0));

    [Theory]
    [InlineData(TarEntryFormat.Ustar, true)]
    [InlineData(TarEntryFormat.Gnu, true)]
    [InlineData(TarEntryFormat.V7, false)]
    [InlineData(TarEntryFormat.Pax, false)]
    public void Archives_of_other_programs_are_taken_when_they_need_no_extension(TarEntryFormat format, bool taken)
    {
        var stream = new MemoryStream();
        using (var writer = new TarWriter(stream, format, leaveOpen: true))
        {
            TarEntry entry = format switch
            {
                TarEntryFormat.Ustar => new UstarTarEntry(TarEntryType.RegularFile, "./docs/a.md"),
                TarEntryFormat.Gnu => new GnuTarEntry(TarEntryType.RegularFile, "./docs/a.md"),
                TarEntryFormat.V7 => new V7TarEntry(TarEntryType.V7RegularFile, "./docs/a.md"),
                _ => new PaxTarEntry(TarEntryType.RegularFile, "./docs/a.md"),
            };
            entry.DataStream = new MemoryStream("text"u8.ToArray());
            writer.WriteEntry(entry);
        }

        Assert.Equal(taken, Ustar.TryParse(stream.ToArray().AsSpan(0, 512), out var member, out string failure));
        Assert.Equal(taken ? new UstarMember("docs/a.md", 4, UstarKind.File) : default, member);
        Assert.Equal(taken, failure.Length == 0);
    }

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("../up")]
    [InlineData("a/../b")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("a/./b")]
    [InlineData("a\\b")]
    [InlineData("a\nb")]
    public void Names_that_lead_elsewhere_are_refused(string name)
    {
        byte[] block = new byte[512];
        Ustar.WriteHeader(block, "x", 0, 0);
        Encoding.ASCII.GetBytes(name + "\0", block);
        Resum(block);
        Assert.False(Ustar.TryParse(block, out _, out string failure));
        Assert.Contains("its name", failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData('1')]
    [InlineData('2')]
    [InlineData('3')]
    [InlineData('6')]
    [InlineData('x')]
    [InlineData('g')]
    [InlineData('L')]
    public void Anything_but_files_and_directories_is_refused(char type)
    {
        byte[] block = new byte[512];
        Ustar.WriteHeader(block, "x", 0, 0);
        block[156] = (byte)type;
        Resum(block);
        Assert.False(Ustar.TryParse(block, out _, out _));
    }

    [Fact]
    public void Every_flipped_bit_of_a_header_is_seen_by_its_checksum_or_changes_nothing()
    {
        byte[] block = new byte[512];
        Ustar.WriteHeader(block, "ledger/x", 12_345, 1_778_047_200);
        for (int bit = 0; bit < 512 * 8; bit++)
        {
            block[bit / 8] ^= (byte)(1 << (bit % 8));
            bool parsed = Ustar.TryParse(block, out var member, out _);
            Assert.True(!parsed || member == new UstarMember("ledger/x", 12_345, UstarKind.File), $"bit {bit}: {member}");
            block[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public void Random_blocks_with_a_right_checksum_are_parsed_or_refused_and_never_throw()
    {
        var random = new Random(7);
        byte[] block = new byte[512];
        for (int i = 0; i < 20_000; i++)
        {
            Ustar.WriteHeader(block, "ledger/x", random.NextInt64(1 << 20), 0);
            for (int n = random.Next(1, 24); n > 0; n--)
            {
                block[random.Next(512)] = (byte)random.Next(256);
            }

            Resum(block);
            if (Ustar.TryParse(block, out var member, out _))
            {
                Assert.True(member.Bytes >= 0 && !member.Name.StartsWith('/') && !member.Name.Split('/').Contains(".."), member.ToString());
            }
        }
    }

    private static void Resum(byte[] block)
    {
        block.AsSpan(148, 8).Fill((byte)' ');
        int sum = block.Sum(b => b);
        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0", block.AsSpan(148));
    }
}
