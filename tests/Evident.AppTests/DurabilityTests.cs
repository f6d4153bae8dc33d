using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>A traced run shows the order that the design promises: vault, traces, ledger, and only then the 200.</summary>
public sealed class DurabilityTests(ITestOutputHelper test)
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Everything_is_synced_before_the_answer(bool first)
    {
        using var place = new TestDirectory();
        using var traced = await TracedEvident.ServeAsync(place, "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,msync,sendto,sendmsg,sendmmsg,rename,renameat,renameat2,ftruncate");
        using var wire = new Wire(traced.Url);
        // The very first request also creates files, scopes and keys; a later one only appends.
        if (!first) await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-warm", "mail.send", """{"text":"warm"}""")));
        await Task.Delay(700);
        var before = traced.LinesSoFar();
        await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-traced", "mail.send", """{"text":"hello there, this is sealed"}""")));
        await Task.Delay(700);
        var calls = traced.CallsSince(before);
        foreach (var c in calls) test.WriteLine($"{c.Begin}-{c.End} {c.Name} {c.Target} = {c.Result}");

        bool IsWrite(SystemCall c) => c.Name is "write" or "pwrite64" or "writev" or "pwritev" or "pwritev2";
        bool IsSync(SystemCall c) => c.Name is "fdatasync" or "fsync" && c.Result.StartsWith('0');
        bool In(SystemCall c, string folder) => c.Target.StartsWith(Path.Combine(place.Data, folder) + "/", StringComparison.Ordinal);
        var reply = calls.First(c => c.Target.StartsWith("TCP", StringComparison.Ordinal) && c.Arguments.Contains("HTTP/1.1 200", StringComparison.Ordinal));

        var vault = calls.Where(c => IsWrite(c) && In(c, "vault") && c.Begin < reply.Begin).ToArray();
        Assert.Contains(vault, c => c.Target.EndsWith(".pack", StringComparison.Ordinal));
        Assert.Contains(vault, c => c.Target.EndsWith(".wraps", StringComparison.Ordinal));
        var partition = calls.Where(c => IsWrite(c) && In(c, "traces") && c.Begin < reply.Begin).ToArray();
        Assert.NotEmpty(partition);
        var commit = partition.Where(c => c.Target.EndsWith("-wal", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(commit);
        var ledger = Assert.Single(calls, c => IsWrite(c) && In(c, "ledger") && c.Target.EndsWith(".jsonl", StringComparison.Ordinal) && c.Begin < reply.Begin);
        Assert.Contains("tool.call", ledger.Arguments + File.ReadAllText(Directory.GetFiles(Path.Combine(place.Data, "ledger"), "*.jsonl").Single()), StringComparison.Ordinal);

        // 1 vault: every file that was written is synced after its last write and before the commit begins.
        foreach (var file in vault.GroupBy(c => c.Target))
            Assert.True(calls.Any(s => IsSync(s) && s.Target == file.Key && s.Begin > file.Max(c => c.End) && s.End < commit[0].Begin), $"{file.Key} is not synced between its last write and the commit.");
        // 2 traces: the commit is synced after its last write and before the ledger is written.
        Assert.True(commit[^1].End < ledger.Begin, "the ledger was written before the commit had ended.");
        Assert.Contains(calls, s => IsSync(s) && s.Target == commit[0].Target && s.Begin > commit[^1].End && s.End < ledger.Begin);
        // 3 ledger: one write, one sync, and nothing else of the ledger before the reply.
        Assert.Contains(calls, s => IsSync(s) && s.Target == ledger.Target && s.Begin > ledger.End && s.End < reply.Begin);
        Assert.Equal(1, calls.Count(s => IsSync(s) && s.Target == ledger.Target && s.End < reply.Begin));
        // 4 reply: nothing that the 200 vouches for is written afterwards.
        Assert.DoesNotContain(calls, c => IsWrite(c) && c.Begin > reply.Begin && (In(c, "vault") || In(c, "traces") && c.Target.EndsWith("-wal", StringComparison.Ordinal) || c.Target == ledger.Target));
    }

    [Fact]
    public async Task A_batch_without_entries_leaves_the_ledger_alone()
    {
        using var place = new TestDirectory();
        using var traced = await TracedEvident.ServeAsync(place, "write,pwrite64,writev,pwritev,fsync,fdatasync,sendto,sendmsg");
        using var wire = new Wire(traced.Url);
        await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan()));
        await Task.Delay(500);
        var before = traced.LinesSoFar();
        await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan { Name = "chat gpt-4o" }.With("gen_ai.operation.name", "chat")));
        await Task.Delay(300);
        Assert.DoesNotContain(traced.CallsSince(before), c => c.Target.EndsWith(".jsonl", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_read_is_recorded_durably_before_the_payload_leaves()
    {
        using var place = new TestDirectory();
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool("run-read", "mail.send", """{"text":"PLAINTEXT-OF-THE-PAYLOAD"}""")));
            Assert.Equal(0, server.Stop());
        }
        var reference = LedgerLines.Of(place.Data).OfType("tool.call").Single().Text("payload", "args", "ref")!;
        var (result, calls) = TracedEvident.Run(place, "write,pwrite64,writev,fsync,fdatasync,sendto,sendmsg", "vault", "read", reference, "--reason", "TICKET-1", "--data", place.Data);
        Assert.True(result.Code == 0, result.ToString());
        Assert.Contains("PLAINTEXT-OF-THE-PAYLOAD", result.Out, StringComparison.Ordinal);
        bool Into(SystemCall c, string what) => c.Name is "write" or "pwrite64" or "writev" && c.Target.EndsWith(what, StringComparison.Ordinal);
        var printed = calls.First(c => c.Name is "write" or "writev" && c.Arguments.Contains("PLAINTEXT-OF-THE-PAYLOAD", StringComparison.Ordinal));
        var entry = calls.Last(c => Into(c, ".jsonl") && c.Arguments.Contains("actor", StringComparison.Ordinal) && c.End < printed.Begin); // heartbeats name none
        Assert.Contains(calls, s => s.Name is "fdatasync" or "fsync" && s.Target == entry.Target && s.Begin > entry.End && s.End < printed.Begin);
        // What may follow the plaintext is the clean stop, not the entry: the entry was there when it was printed.
        Assert.DoesNotContain(calls, c => Into(c, ".jsonl") && c.Arguments.Contains("actor", StringComparison.Ordinal) && c.Begin > printed.End);
        Assert.Single(LedgerLines.Of(place.Data).OfType("vault.read"));
    }
}
