using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>
/// How a segment is cut into chunks and who parses them must not change what is found. <see cref="TamperTests"/> says what must be found;
/// here small chunks, other threads and hostile files give the same as one chunk in place.
/// </summary>
public class LedgerPassTests
{
    private const int Smallest = 1; // rounded up to what holds one line

    /// <summary>Three segments of about 100 KB, three epochs, groups of 1 to 40 entries.</summary>
    private static void Write(LedgerScratch scratch)
    {
        using var log = scratch.Open(segmentBytes: 100_000);
        int made = 0;
        for (int i = 0; made < 300; i++)
        {
            int count = 1 + (i * 7 % 40);
            log.Append(LedgerScratch.Calls(made, count));
            made += count;
            if (i is 3 or 8)
            {
                log.Rotate("operator");
            }
        }

        log.Close();
    }

    private static List<string> Found(LedgerScratch scratch, int ahead, int chunkBytes)
    {
        var pass = new LedgerPass(scratch.Ledger) { Ahead = ahead, ChunkBytes = chunkBytes };
        pass.Run(LedgerFiles.List(scratch.Ledger).Segments);
        List<string> found = [.. pass.Findings.Select(f => f.ToString())];
        found.Add($"{pass.Size} {pass.Seen} {Convert.ToHexString(pass.Root)} {pass.Torn} {pass.Epoch} {pass.LastTime} {pass.TreeLost}");
        found.AddRange(pass.Epochs.Select(e => e.ToString()));
        found.AddRange(pass.ScopeSeq.Select(s => $"{s.Key} {s.Value}").Order(StringComparer.Ordinal));
        return found;
    }

    private static void AssertSame(LedgerScratch scratch, string what)
    {
        var whole = Found(scratch, 0, SegmentChunks.DefaultBytes);
        foreach (int ahead in (int[])[0, 1, 4])
        {
            var cut = Found(scratch, ahead, Smallest);
            Assert.True(whole.SequenceEqual(cut), $"{what}, {ahead} ahead:\n{string.Join('\n', whole)}\nbut\n{string.Join('\n', cut)}");
        }
    }

    [Fact]
    public void Chunks_and_threads_do_not_change_what_is_found()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        Assert.True(scratch.Segments.Length > 2 && new FileInfo(scratch.Segments[1]).Length > 5 * LedgerFormat.MaxLineBytes);
        AssertSame(scratch, "untouched");
        var random = new Random(20261121);
        for (int round = 0; round < 120; round++)
        {
            string path = scratch.Segments[random.Next(scratch.Segments.Length)];
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            byte[] original = File.ReadAllBytes(path);
            byte[] changed = Change(original, random);
            File.WriteAllBytes(path, changed);
            AssertSame(scratch, $"round {round}");
            File.WriteAllBytes(path, original);
        }
    }

    private static byte[] Change(byte[] original, Random random)
    {
        int at = random.Next(original.Length), length = random.Next(1, 3_000);
        byte[] copy = [.. original];
        switch (random.Next(5))
        {
            case 0:
                copy[at] ^= (byte)(1 << random.Next(8));
                return copy;
            case 1:
                return original[..at];
            case 2:
                return [.. original[..at], .. original[Math.Min(at + length, original.Length)..]];
            case 3:
                return [.. original[..at], .. original[Math.Max(0, at - length)..]];
            default:
                copy.AsSpan(at, Math.Min(length, original.Length - at)).Clear();
                return copy;
        }
    }

    [Theory]
    [InlineData(LedgerFormat.MaxLineBytes, false)]
    [InlineData(LedgerFormat.MaxLineBytes + 1, true)]
    [InlineData(3 * LedgerFormat.MaxLineBytes, true)]
    [InlineData(700_000, true)]
    public void A_line_that_is_too_long_is_one_malformed_line(int length, bool tooLong)
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        string path = scratch.Segments[0];
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        byte[] original = File.ReadAllBytes(path);
        int start = original.AsSpan(0, 50_000).LastIndexOf((byte)'\n') + 1;
        int end = start + original.AsSpan(start).IndexOf((byte)'\n');
        File.WriteAllBytes(path, [.. original[..start], .. Encoding.ASCII.GetBytes(new string('x', length)), .. original[end..]]);
        AssertSame(scratch, $"{length} bytes");
        var pass = new LedgerPass(scratch.Ledger);
        pass.Run(LedgerFiles.List(scratch.Ledger).Segments);
        var finding = Assert.Single(pass.Findings, f => f.Code == Verdict.Malformed);
        Assert.Equal(tooLong, finding.Sentence.Contains("longer than", StringComparison.Ordinal));
        Assert.Equal((start, start + length + 1L), (finding.FromByte, finding.ToByte));

        File.WriteAllBytes(path, [.. original[..start], .. Encoding.ASCII.GetBytes(new string('x', length))]);
        AssertSame(scratch, $"{length} bytes at the end");
    }

    /// <summary>A file of nothing but line feeds has as many lines as bytes: neither records nor findings may grow with it.</summary>
    [Fact]
    public void A_file_of_empty_lines_is_bounded_work_and_a_bounded_report()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        File.AppendAllText(scratch.Segments[^1], new string('\n', 40_000));
        AssertSame(scratch, "line feeds");
        var pass = new LedgerPass(scratch.Ledger);
        pass.Run(LedgerFiles.List(scratch.Ledger).Segments);
        Assert.True(pass.Findings.Count >= 40_000);
        Assert.True(pass.Findings.Count() <= FindingList.MaxListed + 10);
        Assert.Contains(pass.Findings, f => f.Code == Verdict.Malformed && f.Sentence.Contains("more findings of this code", StringComparison.Ordinal));
    }

    [Fact]
    public void A_pass_can_be_cancelled()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        using var cancellation = new CancellationTokenSource();
        var pass = new LedgerPass(scratch.Ledger) { Ahead = 2, ChunkBytes = Smallest };
        pass.OnSigned = (size, _) =>
        {
            if (size > 50)
            {
                cancellation.Cancel();
            }
        };
        Assert.Throws<OperationCanceledException>(() => pass.Run(LedgerFiles.List(scratch.Ledger).Segments, cancellation: cancellation.Token));
        Assert.True(pass.Size < 200);
    }

    [Fact]
    public void Scope_counters_keep_the_next_number_and_the_losses_known_then()
    {
        var model = new Dictionary<string, (long Next, long Losses)>(StringComparer.Ordinal);
        var counters = new ScopeCounters();
        var random = new Random(5);
        for (int i = 0; i < 20_000; i++)
        {
            string scope = random.Next(700).ToString("x32");
            var digits = Digits32.Parse(Encoding.ASCII.GetBytes(scope));
            bool known = model.TryGetValue(scope, out var expected);
            Assert.Equal(known, counters.TryNext(digits, out long next, out long losses));
            Assert.True(!known || expected == (next, losses));
            model[scope] = (i, i / 1000);
            counters.Count(digits, i, i / 1000);
        }

        Assert.Equal(model.ToDictionary(m => m.Key, m => m.Value.Next).OrderBy(m => m.Key), counters.ToDictionary().OrderBy(m => m.Key));
    }
}
