using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evident.Commands;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>A run of the verifier as such: what it leaves alone, what it says about itself, and that a ledger in use is not accused.</summary>
public class VerifyRunTests
{
    private static void Write(LedgerScratch scratch)
    {
        using var log = scratch.Open(segmentBytes: 6_000);
        for (int i = 0; i < 8; i++)
        {
            log.Append([LedgerScratch.Call(i * 3), LedgerScratch.Call((i * 3) + 1), LedgerScratch.Call((i * 3) + 2)]);
        }

        log.Close();
    }

    private static Dictionary<string, string> Picture(string directory) => Directory.EnumerateFileSystemEntries(directory, "*", SearchOption.AllDirectories).Append(directory)
        .ToDictionary(p => p, p => $"{File.GetUnixFileMode(p)} {File.GetLastWriteTimeUtc(p):O} {(File.Exists(p) ? Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(p))) : "")}");

    /// <summary>T39: a copy on read-only media, under a path with spaces.</summary>
    [Fact]
    public void A_read_only_copy_under_a_path_with_spaces_is_verified_and_left_alone()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        string known = scratch.KeepHead();
        string copy = Path.Combine(scratch.Data, "an auditor's copy, 2026", "ledger");
        List<string> directories = [copy];
        Directory.CreateDirectory(copy);
        foreach (string path in Directory.GetDirectories(scratch.Ledger))
        {
            directories.Add(Path.Combine(copy, Path.GetFileName(path)));
            Directory.CreateDirectory(directories[^1]);
        }

        foreach (string file in Directory.GetFiles(scratch.Ledger, "*", SearchOption.AllDirectories))
        {
            string to = copy + file[scratch.Ledger.Length..];
            File.Copy(file, to);
            File.SetUnixFileMode(to, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }

        const UnixFileMode Look = UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
            | UnixFileMode.OtherRead | UnixFileMode.OtherExecute; // 0555
        directories.ForEach(d => File.SetUnixFileMode(d, Look));
        try
        {
            var before = Picture(copy);
            foreach (string path in (string[])[copy, Path.GetDirectoryName(copy)!, copy + "/", Path.GetRelativePath(Environment.CurrentDirectory, copy)])
            {
                var report = LedgerVerifier.Verify(new VerifyRequest { Path = path, KnownHeads = [known] });
                Assert.Equal((0, 25L), (report.ExitCode, report.Entries));
                Assert.Equal(scratch.Verify(known).ToJson(), report.ToJson()); // byte for byte what the original gives
            }

            Assert.Equal(before, Picture(copy));
        }
        finally
        {
            directories.ForEach(d => File.SetUnixFileMode(d, Look | UnixFileMode.UserWrite));
        }
    }

    /// <summary>Segments roll and heads are published while the verifier lists and reads: at worst it sees a commit that is being written.</summary>
    [Fact]
    public async Task A_ledger_that_is_appended_to_meanwhile_is_not_accused()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        using var done = new CancellationTokenSource();
        var writing = Task.Run(() =>
        {
            using var log = scratch.Open(segmentBytes: 6_000);
            for (int i = 0; i < 120; i++)
            {
                log.Append(LedgerScratch.Calls(24 + (i * 2), 2));
                log.Publish();
            }

            log.Close();
            done.Cancel();
        });
        var verdicts = new List<VerifyReport>();
        do
        {
            verdicts.Add(scratch.Verify());
        }
        while (!done.IsCancellationRequested && !writing.IsFaulted);

        await writing;
        verdicts.Add(scratch.Verify());
        foreach (var report in verdicts)
        {
            Assert.True(report.ExitCode is 10, report.ToText());
            Assert.DoesNotContain(report.Findings, f => f.Code is not (0 or 12));
        }

        Assert.Equal(25 + 240, verdicts[^1].Entries);
    }

    /// <summary>What is appended after the end was reached belongs to the next run, also when the end was in the middle of a group.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_end_is_where_it_was_found(bool insideGroup)
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 5));
            log.Append(LedgerScratch.Calls(5, 5));
            log.Close();
        }

        string path = scratch.Segments[0];
        byte[] whole = File.ReadAllBytes(path);
        int groupEnd = whole.AsSpan(0, whole.Length - 1).LastIndexOf("}\n{\"action"u8); // the last entry of the last group begins behind it
        int firstEnd = whole.AsSpan(0, groupEnd).LastIndexOf("\\n\"}\n"u8) + 5; // and here the group itself, behind the checkpoint line before
        int cut = insideGroup ? groupEnd + 100 : firstEnd;
        File.WriteAllBytes(path, whole[..cut]);
        var pass = new LedgerPass(scratch.Ledger);
        pass.OnSigned = (_, _) => File.WriteAllBytes(path, whole);
        pass.Run(LedgerFiles.List(scratch.Ledger).Segments);
        Assert.Empty(pass.Findings);
        Assert.Equal(6, pass.Size);
        Assert.Equal(insideGroup ? cut - firstEnd : null, pass.Torn?.Length);
    }

    [Fact]
    public void The_report_names_its_inputs_itself_and_what_it_does_not_prove()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        string known = scratch.KeepHead();
        var report = scratch.Verify(known);
        string Hash(string file) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));
        Assert.Contains(new VerifyInput(known, Hash(known)), report.Inputs);
        foreach (string beside in (string[])["genesis.note", "head.a"])
        {
            Assert.Contains(new VerifyInput(beside, Hash(Path.Combine(scratch.Ledger, beside))), report.Inputs);
        }

        string text = report.ToText();
        Assert.Contains("anything after the anchored size, 25 entries, which", text);
        Assert.Contains("anything at all, because no size is anchored, which", scratch.Verify().ToText());
        Assert.Contains($"{scratch.Ledger}, {scratch.Segments.Length} segments, {scratch.Segments.Sum(s => new FileInfo(s).Length)} bytes", text);
        Assert.Equal(Hash(Environment.ProcessPath!), VerifyReport.VerifierSha256);
        Assert.Contains(VerifyReport.VerifierSha256, text);
        var json = JsonDocument.Parse(report.ToJson()).RootElement;
        Assert.Equal(VerifyReport.VerifierSha256, json.GetProperty("verifier_sha256").GetString());
        Assert.Equal(25, json.GetProperty("anchored_size").GetInt64());
        Assert.Equal((1, 0), (json.GetProperty("sources").GetInt32(), json.GetProperty("source_gaps").GetInt32()));
    }

    private sealed class HandTime : TimeProvider
    {
        public long Millis { get; set; }

        public override long TimestampFrequency => 1_000;

        public override long GetTimestamp() => Millis;
    }

    [Fact]
    public void A_long_run_shows_a_bar_and_leaves_nothing_of_it()
    {
        var time = new HandTime();
        var terminal = new StringWriter();
        using var bar = new ProgressBar(terminal, time);
        time.Millis = 999;
        bar.Report(new VerifyProgress(100, 10, 100));
        Assert.Equal("", terminal.ToString());
        time.Millis = 2_000;
        bar.Report(new VerifyProgress(1_000_000, 50, 100));
        time.Millis = 2_100;
        bar.Report(new VerifyProgress(1_100_000, 55, 100)); // too soon after the one before
        Assert.Equal("\r[###############---------------] 50 %, 1000000 entries, 500000/s", terminal.ToString());
        bar.Dispose();
        string[] written = terminal.ToString().Split('\r');
        Assert.Equal((written[1].Length, ""), (written[2].Length, written[2].Trim() + written[3]));
    }

    [Fact]
    public void Progress_tells_entries_and_bytes_up_to_all_of_them()
    {
        using var scratch = new LedgerScratch();
        Write(scratch);
        var told = new List<VerifyProgress>();
        LedgerVerifier.Verify(new VerifyRequest { Path = scratch.Data }, new Told(told));
        long bytes = scratch.Segments.Sum(s => new FileInfo(s).Length);
        Assert.Equal(new VerifyProgress(25, bytes, bytes), told[^1]);
        Assert.Equal(told.Select(t => t.Bytes).Order(), told.Select(t => t.Bytes));
    }

    private sealed class Told(List<VerifyProgress> told) : IProgress<VerifyProgress>
    {
        public void Report(VerifyProgress value) => told.Add(value);
    }
}
