using System.Text;
using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>A ledger with several groups, written by the real appliance once and then only read or copied.</summary>
public sealed class SampleLedger : IAsyncLifetime
{
    private readonly TestDirectory place = new();

    public string Data => place.Data;
    public string EarlyHead => place.File("early.note");
    public string Head => place.File("head.note");

    public async Task InitializeAsync()
    {
        using var server = await EvidentProcess.ServeAsync(Data);
        using var wire = new Wire(server.Url);
        for (var i = 0; i < 4; i++) await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool($"run-early-{i}", "mail.send", AgentRun.Arguments), AgentRun.Tool($"run-early-{i}", "crm.update", AgentRun.Arguments)));
        Assert.Equal(0, server.Stop());
        SaveHead(EarlyHead);
        using var again = await EvidentProcess.ServeAsync(Data);
        using var more = new Wire(again.Url);
        for (var i = 0; i < 4; i++)
        {
            await more.AcceptAsync(OtlpRequest.Of(AgentRun.Tool($"run-late-{i}", "mail.send", AgentRun.Arguments), AgentRun.Tool($"run-late-{i}", "crm.update", AgentRun.Arguments)));
            await more.AcceptAsync(AgentRun.Approval($"run-approved-{i}", "approved", i == 0 ? AgentRun.OtherArguments : AgentRun.Arguments));
        }
        Assert.Equal(0, again.Stop());
        SaveHead(Head);
    }

    public Task DisposeAsync()
    {
        place.Dispose();
        return Task.CompletedTask;
    }

    private void SaveHead(string file)
    {
        var head = EvidentProcess.Run("ledger", "head", "--data", Data);
        Assert.True(head.Code == 0, head.ToString());
        File.WriteAllBytes(file, head.OutBytes);
    }
}

/// <summary>`evident verify`: verdicts, exit codes, and that it only looks.</summary>
public sealed class VerifyTests(SampleLedger ledger, ITestOutputHelper test) : IClassFixture<SampleLedger>
{
    [Fact]
    public void Never_says_plain_OK_without_an_anchor()
    {
        foreach (var path in new[] { ledger.Data, Path.Combine(ledger.Data, "ledger") })
        {
            var verdict = EvidentProcess.Run("verify", path);
            Assert.True(verdict.Code == 10, verdict.ToString());
            Assert.Contains("CONSISTENT-UNANCHORED", verdict.Out, StringComparison.Ordinal);
            Assert.Contains("not proven", verdict.Out, StringComparison.OrdinalIgnoreCase);
            var allowed = EvidentProcess.Run("verify", path, "--allow-unanchored");
            Assert.True(allowed.Code == 0, allowed.ToString());
            Assert.Contains("CONSISTENT-UNANCHORED", allowed.Out, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_known_head_makes_it_VERIFIED()
    {
        foreach (var path in new[] { ledger.Data, Path.Combine(ledger.Data, "ledger") })
        {
            var verdict = EvidentProcess.Run("verify", path, "--known-head", ledger.Head);
            Assert.True(verdict.Code == 0, verdict.ToString());
            Assert.Contains("VERIFIED", verdict.Out, StringComparison.Ordinal);
            Assert.Equal(0, EvidentProcess.Run("verify", path, "--known-head", ledger.Head, "--known-head", ledger.EarlyHead).Code);
        }
        var stale = EvidentProcess.Run("verify", ledger.Data, "--known-head", ledger.EarlyHead, "--max-unanchored", "1");
        Assert.True(stale.Code == 11, stale.ToString());
    }

    [Fact]
    public void Json_and_report_parse_and_say_the_same()
    {
        using var place = new TestDirectory();
        foreach (var (arguments, code, word) in new[] { (new[] { "--known-head", ledger.Head }, 0, "VERIFIED"), ([], 10, "CONSISTENT-UNANCHORED") })
        {
            var report = place.File(word);
            var verdict = EvidentProcess.Run(["verify", ledger.Data, "--json", "--report", report, .. arguments]);
            Assert.True(verdict.Code == code, verdict.ToString());
            foreach (var text in new[] { verdict.Out, File.ReadAllText(report) })
            {
                using var json = JsonDocument.Parse(text);
                Assert.Equal(word, json.RootElement.Text("verdict"));
            }
        }
    }

    [Theory]
    [InlineData("an entry's value", 32)]
    [InlineData("an old entry's value", 32)]
    [InlineData("an entry's key", 34)]
    [InlineData("a note's root", 33)]
    [InlineData("a note's signature", 33)]
    [InlineData("the wrapper of a checkpoint line", 34)]
    [InlineData("a line feed", 34)]
    public async Task One_flipped_bit_is_seen(string where, int code)
    {
        using var place = new TestDirectory();
        TestDirectory.Copy(ledger.Data, place.Data);
        using (var killed = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(killed.Url);
            await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-before-the-kill", "mail.send", AgentRun.Arguments)));
            killed.Kill();
        }
        var segment = ReadSegment(place, out var lines, out var bytes);
        var calls = lines.Where(l => l.Text.Contains("\"tool.call\"", StringComparison.Ordinal)).ToArray();
        var entry = where == "an old entry's value" ? calls[0] : calls[^1];
        var checkpoint = lines.Last(l => l.Text.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
        var at = where switch
        {
            "an entry's value" or "an old entry's value" => entry.Offset + entry.Text.IndexOf("refund_v7", StringComparison.Ordinal) + 2,
            "an entry's key" => entry.Offset + entry.Text.IndexOf("\"workflow_id\"", StringComparison.Ordinal) + 3,
            "a note's root" => checkpoint.Offset + checkpoint.Text.IndexOf("\\n", checkpoint.Text.IndexOf("\\n", StringComparison.Ordinal) + 2, StringComparison.Ordinal) + 6,
            "a note's signature" => checkpoint.Offset + checkpoint.Text.LastIndexOf("\\n", StringComparison.Ordinal) - 30,
            "the wrapper of a checkpoint line" => checkpoint.Offset + 4,
            _ => entry.Offset + Encoding.UTF8.GetByteCount(entry.Text),
        };
        // In base64, another form is another verdict: only a flip that leaves a base64 character changes what is said and not how.
        while (where.StartsWith("a note", StringComparison.Ordinal) && !(IsBase64(bytes[at]) && IsBase64((byte)(bytes[at] ^ 1)))) at++;
        bytes[at] ^= 1;
        Write(segment, bytes);
        var verdict = EvidentProcess.Run("verify", place.Data);
        test.WriteLine(verdict.Out);
        Assert.True(verdict.Code == code, $"{where}: expected {code}, {verdict}");
        // With a known head it is no less an alteration, and the flags that forgive notes forgive nothing here.
        Assert.Equal(code, EvidentProcess.Run("verify", place.Data, "--known-head", ledger.Head, "--allow-notes", "--allow-unanchored").Code);
        // The appliance does not build on it.
        var serve = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", place.Data, "--listen", "http://127.0.0.1:0"], seconds: 20);
        Assert.True(serve.Code == 70, serve.ToString());
        Assert.Equal(bytes, File.ReadAllBytes(segment));
    }

    private static bool IsBase64(byte c) => char.IsAsciiLetterOrDigit((char)c) || c is (byte)'+' or (byte)'/';

    [Fact]
    public void Any_flipped_bit_is_an_accusation()
    {
        var seed = Environment.GetEnvironmentVariable("EVIDENT_SEED") is { Length: > 0 } s ? int.Parse(s, System.Globalization.CultureInfo.InvariantCulture) : Environment.TickCount;
        test.WriteLine($"EVIDENT_SEED={seed}");
        var random = new Random(seed);
        using var place = new TestDirectory();
        var segment = CopyOfSegment(place, out _, out var bytes);
        for (var i = 0; i < 120; i++)
        {
            var at = i < 40 ? bytes.Length - 1 - random.Next(600) : random.Next(bytes.Length);
            var bit = random.Next(8);
            bytes[at] ^= (byte)(1 << bit);
            Write(segment, bytes);
            var verdict = EvidentProcess.Run("verify", place.Data);
            Assert.True(verdict.Code is 32 or 33 or 34, $"seed {seed}: byte {at}, bit {bit} of {bytes.Length}: {verdict}");
            bytes[at] ^= (byte)(1 << bit);
        }
    }

    [Fact]
    public void A_shortened_ledger_is_rolled_back_for_whoever_knows_the_head()
    {
        using var place = new TestDirectory();
        var segment = CopyOfSegment(place, out var lines, out var bytes);
        var checkpoints = lines.Where(l => l.Text.StartsWith("{\"checkpoint\"", StringComparison.Ordinal)).ToArray();
        var cutAt = checkpoints[^2].Offset + Encoding.UTF8.GetByteCount(checkpoints[^2].Text) + 1;
        Write(segment, bytes[..cutAt]);
        var ledgerOnly = Path.Combine(place.Data, "ledger");
        RemovePublishedHeads(place.Data);
        var blind = EvidentProcess.Run("verify", ledgerOnly);
        Assert.True(blind.Code == 10, blind.ToString());
        var rolledBack = EvidentProcess.Run("verify", ledgerOnly, "--known-head", ledger.Head);
        Assert.True(rolledBack.Code == 30, rolledBack.ToString());
        Assert.Contains("ROLLED-BACK", rolledBack.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_cut_inside_the_last_group_is_torn()
    {
        using var place = new TestDirectory();
        var segment = CopyOfSegment(place, out var lines, out var bytes);
        var checkpoints = lines.Where(l => l.Text.StartsWith("{\"checkpoint\"", StringComparison.Ordinal)).ToArray();
        var start = checkpoints[^2].Offset + Encoding.UTF8.GetByteCount(checkpoints[^2].Text) + 1;
        RemovePublishedHeads(place.Data);
        var random = new Random(5);
        foreach (var cut in Enumerable.Range(0, 20).Select(_ => random.Next(start + 1, bytes.Length)).Append(start + 1).Append(bytes.Length - 1))
        {
            Write(segment, bytes[..cut]);
            var expected = new[] { (Array.Empty<string>(), 10), (["--known-head", ledger.EarlyHead], 12), (["--known-head", ledger.EarlyHead, "--allow-notes"], 0), (["--known-head", ledger.Head], 30) };
            foreach (var (arguments, code) in expected)
            {
                var verdict = EvidentProcess.Run(["verify", place.Data, .. arguments]);
                Assert.True(verdict.Code == code, $"cut at {cut} of {bytes.Length} (last group from {start}), {string.Join(' ', arguments)}: expected {code}, {verdict}");
            }
        }
    }

    [Fact]
    public void A_signature_by_another_key_is_a_key_violation()
    {
        // The signature lines of two checkpoints exchanged: both are real signatures of the real key, for another text.
        using var place = new TestDirectory();
        var segment = CopyOfSegment(place, out var lines, out _);
        var notes = Enumerable.Range(0, lines.Count).Where(i => lines[i].Text.StartsWith("{\"checkpoint\"", StringComparison.Ordinal)).TakeLast(2).ToArray();
        string Signature(int i) => lines[i].Text[lines[i].Text.IndexOf('—', StringComparison.Ordinal)..];
        string Body(int i) => lines[i].Text[..lines[i].Text.IndexOf('—', StringComparison.Ordinal)];
        var text = lines.Select(l => l.Text).ToArray();
        (text[notes[0]], text[notes[1]]) = (Body(notes[0]) + Signature(notes[1]), Body(notes[1]) + Signature(notes[0]));
        Write(segment, Encoding.UTF8.GetBytes(string.Concat(text.Select(t => t + "\n"))));
        var verdict = EvidentProcess.Run("verify", place.Data);
        Assert.True(verdict.Code == 33, verdict.ToString());
    }

    [Fact]
    public void A_different_ledger_with_the_same_size_is_forked_or_foreign()
    {
        var notes = File.ReadAllText(ledger.Head).Split('\n');
        using var place = new TestDirectory();
        var foreign = place.File("foreign.note");
        notes[2] = Convert.ToBase64String(new byte[32]);
        File.WriteAllText(foreign, string.Join('\n', notes));
        var verdict = EvidentProcess.Run("verify", ledger.Data, "--known-head", foreign);
        // The note was altered, so its signature is bad: bad trust input, or a violation; never a success and never a crash.
        Assert.True(verdict.Code is 64 or 33 or 31, verdict.ToString());
    }

    [Fact]
    public void Nothing_there_is_40_or_30_with_a_known_head()
    {
        using var place = new TestDirectory();
        TestDirectory.Copy(ledger.Data, place.Data);
        Directory.Delete(Path.Combine(place.Data, "ledger"), recursive: true);
        Assert.Equal(40, EvidentProcess.Run("verify", place.Data).Code);
        Assert.Equal(30, EvidentProcess.Run("verify", place.Data, "--known-head", ledger.Head).Code);
        var nowhere = EvidentProcess.Run("verify", place.File("nowhere"));
        Assert.True(nowhere.Code == 40, nowhere.ToString());
    }

    [Fact]
    public void A_wrong_command_is_64()
    {
        using var place = new TestDirectory();
        var garbage = place.File("garbage.note");
        File.WriteAllText(garbage, "this is no note\n");
        foreach (var arguments in new string[][] { [], ["--no-such-option"], [ledger.Data, "--no-such-option"], [ledger.Data, "--known-head"], [ledger.Data, "--known-head", place.File("absent.note")], [ledger.Data, "--known-head", garbage], [ledger.Data, "--max-unanchored", "many"], [ledger.Data, "second"] })
        {
            var verdict = EvidentProcess.Run(["verify", .. arguments]);
            Assert.True(verdict.Code == 64, $"verify {string.Join(' ', arguments)}: {verdict}");
            Assert.NotEmpty(verdict.Error);
        }
    }

    [Fact]
    public void Stored_spans_are_those_that_were_sealed_and_a_missing_day_is_seen()
    {
        using var place = new TestDirectory();
        TestDirectory.Copy(ledger.Data, place.Data);
        var sound = EvidentProcess.Run("verify", place.Data, "--traces", "--known-head", ledger.Head);
        test.WriteLine(sound.Out);
        Assert.True(sound.Code == 0, sound.ToString());
        Assert.Matches("trace store: [1-9][0-9]* spans are those that [1-9][0-9]* seals say; 0 stored since the last seal", sound.Out);
        var partition = Directory.GetFiles(Path.Combine(place.Data, "traces"), "*.db").Order(StringComparer.Ordinal).First();
        File.Delete(partition);
        var missing = EvidentProcess.Run("verify", place.Data, "--traces", "--known-head", ledger.Head);
        Assert.True(missing.Code == 32, missing.ToString());
        Assert.Contains(Path.GetFileNameWithoutExtension(partition) + " is missing", missing.Out, StringComparison.Ordinal);
        Assert.Equal(0, EvidentProcess.Run("verify", place.Data, "--known-head", ledger.Head).Code); // the ledger alone is sound
        Assert.Equal(64, EvidentProcess.Run("verify", Path.Combine(place.Data, "ledger"), "--traces").Code);
    }

    [Fact]
    public void Only_looks()
    {
        using var place = new TestDirectory();
        TestDirectory.Copy(ledger.Data, place.Data);
        var before = TestDirectory.Listing(place.Data);
        foreach (var arguments in new string[][] { [], ["--known-head", ledger.Head], ["--json"], ["--traces"] })
        {
            EvidentProcess.Run(["verify", place.Data, .. arguments]);
            Assert.Equal(before, TestDirectory.Listing(place.Data));
        }
        Assert.Equal(0, EvidentProcess.Run("ledger", "head", "--data", place.Data).Code);
        Assert.Equal(0, EvidentProcess.Run("ledger", "cat", "--data", place.Data).Code);
        Assert.Equal(before, TestDirectory.Listing(place.Data));
    }

    [Fact]
    public void Works_for_an_unprivileged_user_on_a_copy_that_nobody_may_write()
    {
        using var place = new TestDirectory();
        var copy = place.File("copy with spaces");
        TestDirectory.Copy(Path.Combine(ledger.Data, "ledger"), copy);
        var binary = place.File("evident");
        File.Copy(EvidentBinary.Path, binary);
        File.Copy(ledger.Head, place.File("head.note"));
        var before = TestDirectory.Listing(copy);
        TestDirectory.MakeReadable(copy);
        File.SetUnixFileMode(place.File("head.note"), (UnixFileMode)0b100_100_100);
        File.SetUnixFileMode(binary, (UnixFileMode)0b101_101_101);
        File.SetUnixFileMode(place.Path, (UnixFileMode)0b101_101_101);
        string[] command = [binary, "verify", copy, "--known-head", place.File("head.note")];
        // Root may write anywhere, so that only another user shows anything.
        var verdict = Environment.IsPrivilegedProcess
            ? EvidentProcess.Run("/usr/bin/setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", .. command])
            : EvidentProcess.Run(command[0], command[1..]);
        File.SetUnixFileMode(place.Path, (UnixFileMode)0b111_000_000);
        Assert.True(verdict.Code == 0, verdict.ToString());
        Assert.Equal(before.Select(l => l.Split(' ')[0]), TestDirectory.Listing(copy).Select(l => l.Split(' ')[0]));
    }

    [Fact]
    public async Task Works_beside_a_running_appliance()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        using var stop = new CancellationTokenSource();
        var load = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-live", "mail.send", AgentRun.Arguments)));
        });
        var codes = new List<int>();
        for (var i = 0; i < 25; i++)
        {
            var verdict = EvidentProcess.Run("verify", place.Data);
            codes.Add(verdict.Code);
            Assert.True(verdict.Code is 10 or 12, verdict.ToString());
        }
        await stop.CancelAsync();
        await load;
        var head = EvidentProcess.Run("ledger", "head", "--data", place.Data);
        Assert.True(head.Code == 0, head.ToString());
        var note = place.File("head.note");
        File.WriteAllBytes(note, head.OutBytes);
        var anchored = EvidentProcess.Run("verify", place.Data, "--known-head", note);
        Assert.True(anchored.Code == 0, anchored.ToString());
        test.WriteLine(string.Join(' ', codes));
    }

    /// <summary>The lines of the one segment with their byte offsets, in a writable copy of the store.</summary>
    private string CopyOfSegment(TestDirectory place, out List<(int Offset, string Text)> lines, out byte[] bytes)
    {
        TestDirectory.Copy(ledger.Data, place.Data);
        return ReadSegment(place, out lines, out bytes);
    }

    private static string ReadSegment(TestDirectory place, out List<(int Offset, string Text)> lines, out byte[] bytes)
    {
        var segment = Assert.Single(Directory.GetFiles(Path.Combine(place.Data, "ledger"), "*.jsonl"));
        bytes = File.ReadAllBytes(segment);
        lines = [];
        for (int at = 0, end; at < bytes.Length; at = end + 1)
        {
            end = Array.IndexOf(bytes, (byte)'\n', at);
            lines.Add((at, Encoding.UTF8.GetString(bytes, at, end - at)));
        }
        return segment;
    }

    // Copies of heads that lie inside the ledger directory know of the larger tree; an attacker would remove them.
    private static void RemovePublishedHeads(string data)
    {
        var directory = Path.Combine(data, "ledger");
        foreach (var file in new[] { "head.a", "head.b" }) File.Delete(Path.Combine(directory, file));
        if (Directory.Exists(Path.Combine(directory, "checkpoints")))
        {
            var newest = Directory.GetFiles(Path.Combine(directory, "checkpoints")).OrderByDescending(f => f.Length).ThenByDescending(f => f, StringComparer.Ordinal).First();
            File.Delete(newest);
        }
    }

    private static void Write(string file, byte[] bytes)
    {
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllBytes(file, bytes);
    }
}
