using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>QR codes as a reader that is not ours (zbarimg of Debian's zbar-tools) sees them, and their drawings as their modules.</summary>
public sealed class QrCodeTests : IDisposable
{
    private readonly LedgerScratch scratch = new();

    public void Dispose() => scratch.Dispose();

    public static TheoryData<bool> Levels => [false, true];

    /// <summary>Every version, filled to its last byte, and one byte below.</summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void A_reader_that_is_not_ours_reads_every_version(bool medium)
    {
        var random = new Random(18004);
        var files = new List<string>();
        var content = new List<byte[]>();
        for (int version = 1; version <= QrCodewords.Versions; version++)
        {
            byte[] bytes = new byte[QrCodewords.Capacity(version, medium) - (version % 2)];
            random.NextBytes(bytes);
            files.Add(Bitmap(QrMatrix.Of(bytes, version, medium), $"{version}.pbm"));
            content.Add(bytes);
        }

        Assert.Equal(Convert.ToHexString(content.SelectMany(b => b).ToArray()), Convert.ToHexString(Read(files)));
    }

    [Fact]
    public void A_published_note_is_read_from_its_code_byte_for_byte()
    {
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 3));
            log.Close();
        }

        byte[] note = Encoding.UTF8.GetBytes(LedgerReader.NewestPublished(scratch.Ledger)!);
        var (version, medium) = QrCodewords.Fit(note.Length);
        Assert.Equal(note, Read([Bitmap(QrMatrix.Of(note, version, medium), "note.pbm")]));
    }

    [Theory]
    [InlineData(1, 1, true)]
    [InlineData(14, 1, true)]
    [InlineData(15, 1, false)]
    [InlineData(17, 1, false)]
    [InlineData(18, 2, true)]
    [InlineData(271, 10, false)]
    [InlineData(2953, 40, false)]
    public void The_smallest_version_is_taken_and_the_better_level_where_it_fits(int bytes, int version, bool medium) =>
        Assert.Equal((version, medium), QrCodewords.Fit(bytes));

    [Fact]
    public void More_than_the_largest_symbol_holds_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => QrCode.ToSvg(new byte[QrCode.MaxBytes + 1]));
        Assert.StartsWith("<svg ", QrCode.ToSvg(new byte[QrCode.MaxBytes]), StringComparison.Ordinal);
    }

    /// <summary>The drawings are taken apart again: each shows the modules of the same symbol, with a quiet zone of four around it.</summary>
    [Fact]
    public void Svg_and_text_show_the_modules()
    {
        byte[] content = Encoding.UTF8.GetBytes("evident \u2014 drawings");
        var (version, medium) = QrCodewords.Fit(content.Length);
        var matrix = QrMatrix.Of(content, version, medium);
        int side = matrix.Size + 8;
        string expected = Modules(side, (x, y) => matrix[x - 4, y - 4]);

        string svg = QrCode.ToSvg(content);
        Assert.Contains($"viewBox=\"0 0 {side} {side}\"", svg, StringComparison.Ordinal);
        bool[,] drawn = new bool[side, side];
        foreach (Match run in Regex.Matches(svg, @"M(\d+) (\d+)h(\d+)v1h-\3z"))
        {
            int x = int.Parse(run.Groups[1].Value), y = int.Parse(run.Groups[2].Value), length = int.Parse(run.Groups[3].Value);
            for (int i = 0; i < length; i++)
            {
                drawn[x + i, y] = true;
            }
        }

        Assert.Equal(expected, Modules(side, (x, y) => drawn[x, y]));

        foreach (bool colours in (bool[])[false, true])
        {
            string[] lines = QrCode.ToText(content, colours).TrimEnd('\n').Split('\n');
            Assert.Equal((side + 1) / 2, lines.Length);
            if (colours)
            {
                Assert.All(lines, l => Assert.True(l.StartsWith("\u001b[30;107m", StringComparison.Ordinal) && l.EndsWith("\u001b[0m", StringComparison.Ordinal)));
                lines = [.. lines.Select(l => l["\u001b[30;107m".Length..^"\u001b[0m".Length])];
            }

            Assert.All(lines, l => Assert.Equal(side, l.Length));
            Assert.Equal(expected, Modules(side, (x, y) => lines[y / 2][x] is '\u2588' or '\u2580' && y % 2 == 0 || lines[y / 2][x] is '\u2588' or '\u2584' && y % 2 == 1));
        }
    }

    private static string Modules(int side, Func<int, int, bool> dark)
    {
        var text = new StringBuilder();
        for (int y = 0; y < side; y++)
        {
            for (int x = 0; x < side; x++)
            {
                text.Append(dark(x, y) ? '#' : '.');
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A portable bitmap (P4), three pixels a module, with the quiet zone.</summary>
    private string Bitmap(QrMatrix matrix, string name)
    {
        const int scale = 3;
        int side = (matrix.Size + 8) * scale, stride = (side + 7) / 8;
        byte[] pixels = new byte[stride * side];
        for (int y = 0; y < side; y++)
        {
            for (int x = 0; x < side; x++)
            {
                if (matrix[(x / scale) - 4, (y / scale) - 4])
                {
                    pixels[(y * stride) + (x / 8)] |= (byte)(0x80 >> (x % 8));
                }
            }
        }

        string path = Path.Combine(scratch.Data, name);
        File.WriteAllBytes(path, [.. Encoding.ASCII.GetBytes($"P4\n{side} {side}\n"), .. pixels]);
        return path;
    }

    private static byte[] Read(IEnumerable<string> files)
    {
        using var reader = Process.Start(new ProcessStartInfo("zbarimg", ["--quiet", "--raw", "--oneshot", "-Sdisable", "-Sqrcode.enable", "-Sbinary", "--nodbus", .. files])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        reader.ErrorDataReceived += (_, _) => { };
        reader.BeginErrorReadLine();
        using var output = new MemoryStream();
        reader.StandardOutput.BaseStream.CopyTo(output);
        reader.WaitForExit();
        return output.ToArray();
    }
}
