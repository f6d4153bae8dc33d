using System.Collections.Concurrent;
using System.Net;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>What the appliance does at a start after something went wrong: finish it, or refuse and touch nothing.</summary>
public sealed class RecoveryTests(ITestOutputHelper test)
{
    [Fact]
    public async Task A_torn_tail_is_quarantined_and_its_entries_written_again()
    {
        using var place = new TestDirectory();
        var sent = new List<OtlpSpan>();
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            for (var i = 0; i < 4; i++)
            {
                var request = OtlpRequest.Of(AgentRun.Tool($"run-{i}", "mail.send", AgentRun.Arguments), AgentRun.Tool($"run-{i}", "crm.update", AgentRun.Arguments));
                await wire.AcceptAsync(request);
                sent.AddRange(request.Spans);
            }
            server.Kill();
        }
        var segment = Directory.GetFiles(Path.Combine(place.Data, "ledger"), "*.jsonl").Single();
        var whole = File.ReadAllBytes(segment);
        var lastGroup = LastGroup(whole);
        var random = new Random(3);
        foreach (var cut in new[] { lastGroup, lastGroup + 1, whole.Length - 1 }.Concat(Enumerable.Range(0, 8).Select(_ => random.Next(lastGroup + 1, whole.Length))))
        {
            using var copy = new TestDirectory();
            TestDirectory.Copy(place.Data, copy.Data);
            var torn = Directory.GetFiles(Path.Combine(copy.Data, "ledger"), "*.jsonl").Single();
            File.WriteAllBytes(torn, whole[..cut]);
            using var server = await EvidentProcess.ServeAsync(copy.Data);
            var entries = LedgerLines.Of(copy.Data);
            LedgerLines.CheckWhole(entries);
            // The partition had committed the batch, so its entries roll forward from the outbox, each once.
            Assert.Equal(sent.Select(s => s.Span).Order(StringComparer.Ordinal), entries.OfType("tool.call").Select(e => e.Text("span_id")!).Order(StringComparer.Ordinal));
            Assert.NotEmpty(entries.OfType("ledger.recovery"));
            Assert.Equal(cut > lastGroup, Directory.EnumerateFiles(Path.Combine(copy.Data, "ledger", "quarantine")).Any());
            var verdict = EvidentProcess.Run("verify", copy.Data);
            Assert.True(verdict.Code == 10, $"cut at {cut} of {whole.Length}: {verdict}");
            Assert.Equal(0, server.Stop());
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_rolled_back_ledger_is_refused_and_left_alone(bool keepHeads)
    {
        using var place = new TestDirectory();
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            for (var i = 0; i < 4; i++) await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool($"run-{i}", "mail.send", AgentRun.Arguments)));
            Assert.Equal(0, server.Stop());
        }
        var ledger = Path.Combine(place.Data, "ledger");
        var segment = Directory.GetFiles(ledger, "*.jsonl").Single();
        var whole = File.ReadAllBytes(segment);
        // Two whole groups are gone: one may be what a crash between commit and ledger leaves, two may not.
        var shorter = whole[..LastGroup(whole[..LastGroup(whole)])];
        File.WriteAllBytes(segment, shorter);
        if (!keepHeads)
        {
            // The head store as it was when the ledger was born: then the newest partition remembers better.
            File.Copy(Path.Combine(ledger, "genesis.note"), Path.Combine(ledger, "head.a"), overwrite: true);
            File.Delete(Path.Combine(ledger, "head.b"));
        }
        var before = TestDirectory.Listing(ledger);
        var serve = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", place.Data, "--listen", "http://127.0.0.1:0"], seconds: 20);
        Assert.True(serve.Code == 70, serve.ToString());
        Assert.Empty(serve.Out);
        VaultReadTests.AssertOneSentence(serve);
        Assert.Equal(before, TestDirectory.Listing(ledger));
    }

    [Theory]
    [InlineData("keys/master.key")]
    [InlineData("keys/ledger-identity.key")]
    [InlineData("ledger")]
    [InlineData("keys")]
    [InlineData("vault")]
    public async Task A_lost_part_is_refused_and_never_replaced_by_a_new_one(string part)
    {
        using var place = new TestDirectory();
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-1", "mail.send", AgentRun.Arguments)));
            Assert.Equal(0, server.Stop());
        }
        var lost = Path.Combine(place.Data, part);
        if (File.Exists(lost)) File.Delete(lost);
        else Directory.Delete(lost, recursive: true);
        var serve = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", place.Data, "--listen", "http://127.0.0.1:0"], seconds: 10);
        Assert.True(serve.Code is 1 or 70, serve.ToString());
        Assert.Empty(serve.Out);
        VaultReadTests.AssertOneSentence(serve);
        // A new key or ledger in its place would hide the loss for ever.
        Assert.False(File.Exists(lost) || TestFilesIn(lost), $"{part} was made anew: {serve}");
    }

    [Fact]
    public async Task Lost_projections_come_back_from_the_partitions()
    {
        using var place = new TestDirectory();
        var run = Ids.Unique("run-");
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            await wire.AcceptAsync(AgentRun.Approval(run, "approved", AgentRun.Arguments));
            await wire.RunAsync(run, spans: 3);
            Assert.Equal(0, server.Stop());
        }
        foreach (var file in Directory.GetFiles(place.Data, "outcomes.db*")) File.Delete(file);
        using var again = await EvidentProcess.ServeAsync(place.Data);
        using var other = new Wire(again.Url);
        var story = await other.RunAsync(run, spans: 3);
        Assert.Equal("approved", Assert.Single(story.GetProperty("approvals").EnumerateArray()).Text("state"));
        Assert.NotEmpty(story.GetProperty("ledger").EnumerateArray());
    }

    [Fact]
    public async Task A_stop_under_load_is_clean()
    {
        using var place = new TestDirectory();
        var acknowledged = new ConcurrentBag<OtlpSpan>();
        for (var round = 0; round < 12; round++)
        {
            using var server = await EvidentProcess.ServeAsync(place.Data);
            using var wire = new Wire(server.Url);
            var load = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    var request = OtlpRequest.Of(AgentRun.Tool("run-stop", "mail.send", AgentRun.Arguments), new OtlpSpan().With("input.value", "hello"));
                    try
                    {
                        var answer = await wire.SendAsync(request);
                        if (answer.Status == HttpStatusCode.ServiceUnavailable) return;
                        Assert.Equal(HttpStatusCode.OK, answer.Status);
                        foreach (var span in request.Spans) acknowledged.Add(span);
                    }
                    catch (Exception e) when (e is HttpRequestException or IOException)
                    {
                        return; // the listener is closed
                    }
                }
            })).ToArray();
            await Task.Delay(40 + round * 15);
            Assert.Equal(0, server.Stop());
            await Task.WhenAll(load);
            var verdict = EvidentProcess.Run("verify", place.Data);
            Assert.True(verdict.Code == 10, verdict.ToString());
        }
        using var last = await EvidentProcess.ServeAsync(place.Data);
        using var reader = new Wire(last.Url);
        foreach (var span in acknowledged) Assert.Single((await reader.JsonAsync($"/api/v1/traces/{span.Trace}")).GetProperty("spans").EnumerateArray());
        var entries = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(entries);
        Assert.Superset(acknowledged.Where(s => s.Attributes.Any(a => a.Key == "tool.name")).Select(s => s.Span).ToHashSet(), entries.OfType("tool.call").Select(e => e.Text("span_id")!).ToHashSet());
        // A clean stop leaves nothing to recover.
        Assert.DoesNotContain(entries.OfType("ledger.recovery"), e => e.ToString().Contains("\"clean\":false", StringComparison.Ordinal));
        test.WriteLine($"{acknowledged.Count} spans, {entries.Count} entries");
    }

    [Fact]
    public void An_unusable_data_directory_is_one_sentence()
    {
        using var place = new TestDirectory();
        File.WriteAllText(place.File("file"), "I am a file\n");
        foreach (var data in new[] { place.File("file"), place.File("file") + "/below", "/proc/evident" })
        {
            var serve = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", data, "--listen", "http://127.0.0.1:0"], seconds: 10);
            Assert.True(serve.Code is 1 or 64, $"--data '{data}': {serve}");
            VaultReadTests.AssertOneSentence(serve);
        }
        foreach (var command in new string[][] { ["ledger", "cat"], ["ledger", "head"], ["vault", "read", "vr_01HZX0000000000000000000A0", "--reason", "x"], ["vault", "status"] })
        {
            var result = EvidentProcess.Run([.. command, "--data", place.File("absent")]);
            Assert.True(result.Code == 1, $"{string.Join(' ', command)}: {result}");
            VaultReadTests.AssertOneSentence(result);
            Assert.False(Directory.Exists(place.File("absent")), $"{string.Join(' ', command)} created the directory it was to read");
        }
    }

    private static bool TestFilesIn(string path) => Directory.Exists(path) && TestDirectory.FilesOf(path).Any();

    /// <summary>Where the last group begins: behind the line feed of the last checkpoint line but one.</summary>
    private static int LastGroup(byte[] segment)
    {
        var at = segment.AsSpan().LastIndexOf("\n{\"checkpoint\""u8);
        at = segment.AsSpan(0, at).LastIndexOf("\n{\"checkpoint\""u8);
        return at + 2 + segment.AsSpan(at + 1).IndexOf((byte)'\n');
    }
}
