using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>
/// The published binary is killed with SIGKILL at random moments under load, again and again on one data directory. What was
/// answered with 200 is there afterwards, once; nothing in the ledger stands twice; and verify never sees more than a torn tail.
/// EVIDENT_KILLS shortens it (default 200), EVIDENT_SEED repeats it.
/// </summary>
public sealed class KillTests(ITestOutputHelper test)
{
    private const int Senders = 3;
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<string, bool>> acknowledged = new(); // trace -> span -> is it ledgered
    private readonly ConcurrentQueue<OtlpRequest> unanswered = new();
    private long requests;

    [Fact]
    public async Task Nothing_acknowledged_is_lost_and_nothing_is_doubled()
    {
        var kills = Number("EVIDENT_KILLS", 200);
        var seed = Number("EVIDENT_SEED", Environment.TickCount & 0xffffff);
        test.WriteLine($"EVIDENT_KILLS={kills} EVIDENT_SEED={seed}");
        var random = new Random(seed);
        using var place = new TestDirectory();
        var watch = Stopwatch.StartNew();
        var verdicts = new SortedDictionary<int, int>();
        var slowest = TimeSpan.Zero;
        var recent = new List<string>();
        for (var round = 0; round < kills; round++)
        {
            var context = $"round {round} of seed {seed}";
            using var server = EvidentProcess.Launch(place.Data);
            if (round % 8 == 7)
            {
                // Killed while it starts, in the middle of whatever recovery is doing.
                await Task.Delay(random.Next(0, 60));
                server.Kill();
                Verify(place.Data, context + ", killed while starting", verdicts);
                continue;
            }
            try
            {
                await server.ReadyAsync(TimeSpan.FromSeconds(30));
            }
            catch (InvalidOperationException e)
            {
                throw new InvalidOperationException($"{context}: {e.Message}\n{Log(place.Data)}", e);
            }
            if (server.TimeToReady > slowest) slowest = server.TimeToReady;
            Verify(place.Data, context + ", after the start", verdicts);
            using var wire = new Wire(server.Url);
            await CheckTraces(wire, recent, context);

            using var stop = new CancellationTokenSource();
            var first = acknowledged.Count;
            var load = Enumerable.Range(0, Senders).Select(i => Send(wire, random.Next(), i, stop.Token)).ToArray();
            await Task.Delay(random.Next(40, 260));
            server.Kill();
            await stop.CancelAsync();
            var mine = await Task.WhenAll(load);
            recent = [.. mine.Where(t => acknowledged.ContainsKey(t)), .. acknowledged.Keys.OrderBy(_ => random.Next()).Take(2)];
            if (round % 4 == 3) Verify(place.Data, context + ", after the kill", verdicts);
        }

        using var last = await EvidentProcess.ServeAsync(place.Data);
        using (var wire = new Wire(last.Url))
        {
            // An exporter repeats what was never answered; whatever of it had been stored must not be stored again.
            foreach (var lost in unanswered)
            {
                await wire.AcceptAsync(lost);
                Acknowledge(lost);
            }
            await CheckTraces(wire, acknowledged.Keys, $"after {kills} kills, seed {seed}");
        }
        await CheckPayloads(last, place.Data);
        var entries = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(entries);
        CheckCalls(entries);
        Assert.Equal(0, last.Stop());
        Verify(place.Data, "at the end", verdicts);
        var head = EvidentProcess.Run("ledger", "head", "--data", place.Data);
        File.WriteAllBytes(place.File("head.note"), head.OutBytes);
        var anchored = EvidentProcess.Run(EvidentBinary.Path, ["verify", place.Data, "--known-head", place.File("head.note")], seconds: 120);
        Assert.True(anchored.Code is 0 or 12, anchored.ToString());
        Figures.Print(test, $"kill test: {kills} SIGKILLs in {watch.Elapsed.TotalSeconds:F0} s, seed {seed}; {requests} requests, {acknowledged.Values.Sum(t => t.Count)} spans acknowledged, {entries.Count} ledger entries, {unanswered.Count} requests without an answer; verdicts {string.Join(", ", verdicts.Select(v => $"{v.Key}: {v.Value}"))}; slowest start {slowest.TotalMilliseconds:F0} ms");
    }

    [Fact]
    public async Task A_store_killed_while_it_is_created_is_usable()
    {
        var seed = Number("EVIDENT_SEED", Environment.TickCount & 0xffffff);
        test.WriteLine($"EVIDENT_SEED={seed}");
        var random = new Random(seed);
        var created = 0;
        for (var i = 0; i < 40; i++)
        {
            using var place = new TestDirectory();
            using (var first = EvidentProcess.Launch(place.Data))
            {
                await Task.Delay(random.Next(0, 80));
                first.Kill();
                if (first.Output.Length > 0) created++;
            }
            using var server = await EvidentProcess.ServeAsync(place.Data);
            using var wire = new Wire(server.Url);
            await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-1", "mail.send", AgentRun.Arguments)));
            Assert.Equal(0, server.Stop());
            LedgerLines.CheckWhole(LedgerLines.Of(place.Data));
            Verify(place.Data, $"seed {seed}, directory {i}", []);
        }
        test.WriteLine($"{created} of 40 had printed their ready line when they were killed");
    }

    // One trace per sender and round: the acknowledged spans of it are what must be there.
    private async Task<string> Send(Wire wire, int seed, int sender, CancellationToken stop)
    {
        var random = new Random(seed);
        var trace = Ids.Trace();
        var run = Ids.Unique("run-kill-");
        OtlpRequest? again = null;
        while (!stop.IsCancellationRequested)
        {
            OtlpRequest request;
            if (again is not null && random.Next(4) == 0) request = again; // a retry of something already answered
            else if (sender == 0 && random.Next(3) == 0 && unanswered.TryDequeue(out var lost)) request = lost; // a retry across the crash
            else
                request = OtlpRequest.Of([.. Enumerable.Range(0, random.Next(1, 12)).Select(i =>
                {
                    var span = random.Next(12) == 0 ? AgentRun.Tool(run, "mail.send", $$"""{"n":{{random.Next()}},"text":"hello number {{i}}"}""") : new OtlpSpan { Name = "chat gpt-4o" }.With("agent.run_id", run).With("input.value", "say something about " + random.Next());
                    span.TraceId = trace;
                    return span;
                })]);
            OtlpAnswer answer;
            try
            {
                answer = await wire.SendAsync(request, json: random.Next(3) == 0, gzip: random.Next(3) == 0);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException)
            {
                unanswered.Enqueue(request);
                break;
            }
            Interlocked.Increment(ref requests);
            if (answer.Status == HttpStatusCode.ServiceUnavailable) continue;
            if (answer.Status != HttpStatusCode.OK || answer.Partial() != (0, "")) throw new InvalidOperationException($"under load: {answer.Status} {answer.Text}");
            Acknowledge(request);
            again = request;
        }
        return Convert.ToHexStringLower(trace);
    }

    private void Acknowledge(OtlpRequest request)
    {
        foreach (var span in request.Spans)
            acknowledged.GetOrAdd(span.Trace, _ => new())[span.Span] = span.Attributes.Any(a => a.Key == "tool.name");
    }

    private async Task CheckTraces(Wire wire, IEnumerable<string> traces, string context) => await Parallel.ForEachAsync(traces, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (trace, _) =>
    {
        var (status, body) = await wire.GetAsync($"/api/v1/traces/{trace}");
        Assert.True(status == HttpStatusCode.OK, $"{context}: trace {trace} has {acknowledged[trace].Count} acknowledged spans and is answered with {(int)status} {body}");
        using var json = JsonDocument.Parse(body);
        var stored = json.RootElement.GetProperty("spans").EnumerateArray().Select(s => s.Text("span_id")!).ToArray();
        Assert.True(stored.Length == stored.Distinct().Count(), $"{context}: trace {trace} shows a span twice");
        var missing = acknowledged[trace].Keys.Except(stored).ToArray();
        Assert.True(missing.Length == 0, $"{context}: trace {trace} lacks {missing.Length} of {acknowledged[trace].Count} acknowledged spans, the first is {missing.FirstOrDefault()}");
    });

    private void CheckCalls(List<JsonElement> entries)
    {
        var calls = entries.OfType("tool.call").GroupBy(e => (e.Text("trace_id")!, e.Text("span_id")!)).ToDictionary(g => g.Key, g => g.Count());
        var doubled = calls.Where(c => c.Value > 1).ToArray();
        Assert.True(doubled.Length == 0, $"{doubled.Length} spans have more than one tool.call entry, the first is {doubled.FirstOrDefault()}");
        var wanted = acknowledged.SelectMany(t => t.Value.Where(s => s.Value).Select(s => (t.Key, s.Key))).ToArray();
        var missing = wanted.Where(w => !calls.ContainsKey(w)).ToArray();
        Assert.True(missing.Length == 0, $"{missing.Length} of {wanted.Length} acknowledged tool calls have no entry, the first is {missing.FirstOrDefault()}");
        // A revision would mean that a retry of the same content was taken for new content.
        Assert.Empty(entries.OfType("span.revised"));
    }

    private async Task CheckPayloads(EvidentProcess server, string data)
    {
        using var wire = new Wire(server.Url);
        foreach (var trace in acknowledged.Keys.Take(8).Concat(acknowledged.Keys.TakeLast(4)))
        {
            var spans = (await wire.JsonAsync($"/api/v1/traces/{trace}")).GetProperty("spans");
            var payload = spans.EnumerateArray().SelectMany(s => s.GetProperty("payloads").EnumerateArray()).First();
            var read = EvidentProcess.Run("vault", "read", payload.Text("ref")!, "--reason", "after the kills", "--data", data);
            Assert.True(read.Code == 0, $"payload of an acknowledged span: {read}");
            Assert.Matches("hello number|say something", read.Out);
        }
    }

    private static void Verify(string data, string context, SortedDictionary<int, int> verdicts)
    {
        if (!Directory.Exists(Path.Combine(data, "ledger"))) return; // killed before the very first start came so far
        var verdict = EvidentProcess.Run(EvidentBinary.Path, ["verify", data], seconds: 120);
        verdicts[verdict.Code] = verdicts.GetValueOrDefault(verdict.Code) + 1;
        Assert.True(verdict.Code is 10 or 12, $"{context}: {verdict}");
    }

    private static string Log(string data) => Directory.Exists(Path.Combine(data, "logs"))
        ? string.Join('\n', Directory.GetFiles(Path.Combine(data, "logs")).Order(StringComparer.Ordinal).TakeLast(1).SelectMany(f => File.ReadLines(f).TakeLast(30)))
        : "";

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
