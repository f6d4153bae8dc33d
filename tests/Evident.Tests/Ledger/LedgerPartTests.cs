using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>Section 6 of docs/evidence.md, as far as it is the pass's business: withheld lines, and a start in the middle.</summary>
public class LedgerPartTests
{
    private static readonly string Ours = new('a', 32), Theirs = new('b', 32);

    /// <summary>Three epochs, groups of 1..6 entries in two scopes, some in none.</summary>
    private static void Write(LedgerScratch scratch)
    {
        using var log = scratch.Open(segmentBytes: 20_000);
        int made = 0;
        for (int i = 0; i < 24; i++)
        {
            log.Append([.. Enumerable.Range(made, (i % 6) + 1).Select(n => LedgerScratch.Call(n, n % 3 == 0 ? Ours : n % 3 == 1 ? Theirs : null))]);
            made += (i % 6) + 1;
            if (i is 7 or 15)
            {
                log.Rotate("operator");
            }
        }

        log.Close();
    }

    private static void EditLines(LedgerScratch scratch, Func<string, string?> edit)
    {
        foreach (string path in scratch.Segments)
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            var lines = File.ReadAllText(path).Split('\n')[..^1].Select(edit).Where(l => l is not null);
            File.WriteAllText(path, string.Concat(lines.Select(l => l + "\n")));
        }
    }

    private static string Withheld(string line) => Encoding.ASCII.GetString(WithheldLine.Encode(Merkle.Leaf(Encoding.UTF8.GetBytes(line))));

    private static bool IsOfLedger(string line) => line.StartsWith("{\"checkpoint\"", StringComparison.Ordinal) || line.Contains("\"type\":\"ledger.", StringComparison.Ordinal);

    private static string HideOthers(string line) => IsOfLedger(line) || line.Contains(Ours, StringComparison.Ordinal) ? line : Withheld(line);

    private static LedgerPass Pass(LedgerScratch scratch)
    {
        var pass = new LedgerPass(scratch.Ledger) { AllowWithheld = true };
        pass.Run(LedgerFiles.List(scratch.Ledger).Segments);
        return pass;
    }

    private static int Worst(LedgerPass pass) => Verdict.MostSerious(pass.Findings.Select(f => f.Code));

    [Fact]
    public void A_part_with_withheld_lines_has_the_ledgers_root()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        var whole = scratch.Verify();
        int lines = 0;
        EditLines(scratch, line => !IsOfLedger(line) && !line.Contains("\"scope\"", StringComparison.Ordinal) && ++lines == 10 ? Withheld(line) : line);
        Assert.Empty(Pass(scratch).Findings);
        var ordinary = scratch.Verify(); // in a ledger directory nothing is withheld: the line is malformed
        Assert.Equal(34, ordinary.ExitCode);
        Assert.Single(ordinary.Findings, f => f.Code == 34);

        EditLines(scratch, line => line.StartsWith("{\"withheld\"", StringComparison.Ordinal) ? line : HideOthers(line));
        var pass = Pass(scratch);
        Assert.Empty(pass.Findings);
        Assert.Equal((whole.Entries, whole.Root, 3L), (pass.Size, LedgerFormat.HashText(pass.Root), pass.Epoch));
        Assert.Null(pass.Torn);
    }

    [Theory]
    [InlineData(7)]
    [InlineData(12)]
    [InlineData(20)]
    public void A_part_that_begins_in_the_middle_is_checked_from_there(int fromGroup)
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        var whole = scratch.Verify();
        var groups = new List<List<string>> { new() };
        foreach (string line in scratch.Segments.SelectMany(s => File.ReadAllText(s).Split('\n')[..^1]))
        {
            groups[^1].Add(line);
            if (line.StartsWith("{\"checkpoint\"", StringComparison.Ordinal))
            {
                groups.Add([]);
            }
        }

        groups.RemoveAt(groups.Count - 1);
        List<string> before = [.. groups[..fromGroup].SelectMany(g => g[..^1])];
        var left = new MerkleFrontier();
        before.ForEach(l => left.Append(Merkle.Leaf(Encoding.UTF8.GetBytes(l))));
        var full = new LedgerPass(scratch.Ledger);
        full.Run(LedgerFiles.List(scratch.Ledger).Segments);
        var opened = full.Epochs.Last(e => e.FirstSeq < before.Count);

        using var part = new LedgerScratch();
        Directory.CreateDirectory(part.Ledger);
        string path = Path.Combine(part.Ledger, LedgerFormat.SegmentName(before.Count));
        LedgerPass Check(Func<List<string>, IEnumerable<string>> edit)
        {
            List<string> lines = [.. groups[fromGroup..].SelectMany(g => g).Select(HideOthers)];
            File.WriteAllText(path, string.Concat(edit(lines).Select(l => l + "\n")));
            var pass = new LedgerPass(part.Ledger) { AllowWithheld = true };
            pass.StartAt(new PartStart
            {
                From = before.Count, Left = left, PreviousHash = Merkle.Leaf(Encoding.UTF8.GetBytes(before[^1])), Batch = fromGroup,
                Origin = full.Origin, Identity = full.Identity!, GenesisHash = full.GenesisHash, Epoch = opened.Number, EpochFirstSeq = opened.FirstSeq, EpochBoot = 0, EpochMono = 0,
                EpochEntries = 1_000_000, EpochMillis = 86_400_000, EpochKeys = full.EpochKeys.Where(k => k.Key <= opened.Number).ToDictionary(), Epochs = [.. full.Epochs.Where(e => e.Number <= opened.Number)],
            });
            pass.Run(LedgerFiles.List(part.Ledger).Segments);
            return pass;
        }

        var good = Check(l => l);
        Assert.Empty(good.Findings);
        Assert.Equal((whole.Entries, whole.Root), (good.Size, LedgerFormat.HashText(good.Root)));

        int shown = groups[fromGroup..].SelectMany(g => g).ToList().FindIndex(l => l.Contains(Ours, StringComparison.Ordinal) && !IsOfLedger(l));
        Assert.Equal(32, Worst(Check(l => l.Select((line, i) => i == shown ? line.Replace("\"prod\"", "\"test\"", StringComparison.Ordinal) : line))));
        Assert.Equal(32, Worst(Check(l => l.Skip(1))));
        Assert.Equal(32, Worst(Check(l => l.Where((_, i) => i != shown))));
    }

    [Fact]
    public void What_is_changed_left_out_or_wrongly_withheld_in_a_part_is_found()
    {
        int Changed(Func<string, int, string?> edit)
        {
            using var scratch = new LedgerScratch();
            Write(scratch);
            int count = 0;
            EditLines(scratch, line => edit(HideOthers(line), count++));
            return Worst(Pass(scratch));
        }

        bool Hidden(string line) => line.StartsWith("{\"withheld\"", StringComparison.Ordinal);
        int nth = 0;
        Assert.Equal(32, Changed((l, _) => Hidden(l) && ++nth == 5 ? null : l)); // left out
        nth = 0;
        Assert.Equal(32, Changed((l, _) => Hidden(l) && ++nth == 5 ? l[..30] + (l[30] == '0' ? '1' : '0') + l[31..] : l));
        nth = 0;
        Assert.Equal(34, Changed((l, _) => Hidden(l) && ++nth == 5 ? l.ToUpperInvariant() : l));
        nth = 0;
        Assert.Equal(32, Changed((l, _) => !Hidden(l) && !IsOfLedger(l) && ++nth == 5 ? l.Replace("\"prod\"", "\"test\"", StringComparison.Ordinal) : l));
        nth = 0;
        Assert.Equal(32, Changed((l, _) => !Hidden(l) && !IsOfLedger(l) && ++nth == 5 ? Withheld(l) : l)); // one of a scope that is shown: its number is missing
        Assert.True(Changed((l, i) => i == 0 ? Withheld(l) : l) >= 30); // entry 0
        Assert.True(Changed((l, _) => l.Contains("\"type\":\"ledger.epoch\"", StringComparison.Ordinal) ? Withheld(l) : l) >= 30);
        Assert.Equal(32, Changed((l, _) => l.Contains("\"scope_seq\":0,", StringComparison.Ordinal) ? Withheld(l) : l)); // from 0 a scope begins with 0
    }
}
