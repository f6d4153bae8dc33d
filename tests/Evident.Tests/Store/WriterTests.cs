using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Store;

public sealed class WriterTests
{
    private static Sent Plain(ulong trace, ulong span, string name = "step") => new(trace, span, name) { At = span, Until = span + 1 };

    private static Sent Write(ulong trace, ulong span) =>
        new Sent(trace, span, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", """{"to":"x"}""")) with { At = 1, Until = 2 };

    [Fact]
    public void A_repeated_span_is_answered_and_not_stored_again()
    {
        using var at = new TemporaryStore();
        Assert.Equal(new IngestReceipt(2, 0, 0, null), at.Send(Plain(1, 1), Plain(1, 2)));
        Assert.Equal(new IngestReceipt(1, 2, 0, null), at.Send(Plain(1, 1), Plain(1, 2), Plain(1, 3)));
        Assert.Equal(new IngestReceipt(1, 1, 0, null), at.Send(Plain(2, 1), Plain(2, 1)));
        Assert.Equal(4, at.Store.Counters.AcceptedSpans);
        Assert.Equal(3, at.Store.Counters.DuplicateSpans);
        at.Reopen();
        Assert.Equal(new IngestReceipt(0, 1, 0, null), at.Send(Plain(1, 1)));
        Assert.Equal(4, at.TotalSpans());
    }

    [Fact]
    public async Task A_duplicates_payload_is_dropped_from_the_vault_and_a_siblings_stays()
    {
        using var at = new TemporaryStore();
        at.Send(Write(1, 1));
        long once = at.Store.Vault.Wraps;
        Assert.True(once > 0);
        at.Send(Write(1, 1));
        Assert.Equal(once, at.Store.Vault.Wraps);
        at.Send(Write(1, 1), Write(1, 2));
        Assert.True(at.Store.Vault.Wraps > once);
        string reference = Assert.Single(at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans.Single(s => s.SpanId == Sent.SpanHex(2)).Payloads, p => p.Role == "tool.args").Ref!;
        Assert.Equal("""{"to":"x"}""", System.Text.Encoding.UTF8.GetString((await at.Store.ReadPayloadAsync(reference, "test", new Actor("1000", "uid"), default)).Plaintext));
    }

    [Fact]
    public void Other_content_is_a_revision_merged_at_read()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1).With(("agent.run_id", "r1"), ("outcome", "interrupted")));
        at.Send(Plain(1, 1).With(("outcome", "success")));
        var span = Assert.Single(at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans);
        Assert.Equal(2, span.Revisions);
        Assert.Equal("success", span.Outcome);
        Assert.Equal("r1", span.Attributes["agent.run_id"].Value.Text);
        Assert.Equal("success", at.Run("r1").Outcome);
        Assert.Empty(at.Ledger());
    }

    [Fact]
    public void A_revision_of_a_ledgered_span_is_told_and_replaces_nothing()
    {
        using var at = new TemporaryStore();
        at.Send(Write(1, 1));
        at.Send(Write(1, 1).With(("outcome", "failure")));
        at.Send(Write(1, 1).With(("outcome", "failure")));
        var entries = at.Ledger();
        Assert.Equal(["tool.call", "span.revised"], entries.Select(e => e.Type));
        Assert.Equal(2, entries[1].Json.GetProperty("revision").GetProperty("number").GetInt32());

        // Both in one group.
        at.Send(Write(2, 1), Write(2, 1).With(("outcome", "failure")));
        Assert.Equal(["tool.call", "span.revised", "tool.call", "span.revised"], at.Ledger().Select(e => e.Type));
        Assert.Equal(4, at.Ledger().Select(e => e.Json.GetProperty("id").GetString()).Distinct().Count());
    }

    [Fact]
    public void Late_and_orphan_spans_are_stored_and_counted_as_incomplete()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 2) with { Parent = 1 });
        var story = at.Story(Sent.TraceHex(1));
        Assert.Equal(1, story.MissingParents);
        Assert.Equal("running", story.Run.Outcome);
        Assert.Contains("incomplete", story.Run.Flags);
        at.Clock.Now = at.Clock.Now.AddDays(1);
        at.Send(Plain(1, 1, "agent.run"));
        story = at.Story(Sent.TraceHex(1));
        Assert.Equal(0, story.MissingParents);
        Assert.Equal("success", story.Run.Outcome);
        Assert.Equal(2, story.Spans.Count);
        Assert.Equal(["2026-05-06", "2026-05-07"], at.Store.Partitions.Select(p => p.Name));
    }

    [Fact]
    public void The_partition_is_the_day_of_receipt_and_dedup_looks_into_the_day_before()
    {
        using var at = new TemporaryStore { Clock = { Now = new DateTimeOffset(2026, 5, 6, 23, 59, 59, 999, TimeSpan.Zero) } };
        at.Send(Plain(1, 1), Write(1, 9));
        at.Clock.Now = at.Clock.Now.AddMilliseconds(1);
        Assert.Equal(new IngestReceipt(1, 2, 0, null), at.Send(Plain(1, 1), Write(1, 9), Plain(1, 2)));
        Assert.Equal(["2026-05-06", "2026-05-07"], at.Store.Partitions.Select(p => p.Name));
        at.Clock.Now = at.Clock.Now.AddDays(-3); // a clock that was set back does not reopen an older day
        at.Send(Plain(1, 3));
        Assert.Equal(2, at.Store.Partitions.Count);
        Assert.Equal(4, at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans.Count);

        // Much later: a plain span is stored again and merges to itself; a ledgered one is still known, its entry stays the only one.
        at.Clock.Now = at.Clock.Now.AddDays(30);
        at.Send(Plain(7, 1));
        at.Clock.Now = at.Clock.Now.AddDays(30);
        Assert.Equal(new IngestReceipt(0, 1, 0, null), at.Send(Write(1, 9)));
        Assert.Single(at.Ledger());
    }

    [Fact]
    public void A_damaged_old_partition_is_listed_and_the_rest_serves()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1));
        at.Clock.Now = at.Clock.Now.AddDays(1);
        at.Send(Plain(2, 1));
        at.Clock.Now = at.Clock.Now.AddDays(1);
        at.Store.Close();
        File.WriteAllBytes(Path.Combine(at.Data, "traces", "2026-05-06.db"), new byte[8192].Select((_, i) => unchecked((byte)i)).ToArray());
        File.Delete(Path.Combine(at.Data, "outcomes.db"));
        at.Reopen();
        at.Send(Plain(3, 1));
        Assert.Equal([Sent.TraceHex(3), Sent.TraceHex(2)], at.Runs().Select(r => r.RunId).OrderDescending());
        Assert.Equal([false, true, true], at.Store.Partitions.Select(p => p.Available));
        Assert.Null(at.Store.GetTrace(Sent.TraceOf(1), default));
    }

    [Fact]
    public void A_damaged_partition_of_today_is_set_aside()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1));
        at.Store.Close();
        string path = Path.Combine(at.Data, "traces", "2026-05-06.db");
        File.WriteAllText(path, new string('x', 5000));
        at.Reopen();
        Assert.Equal(1, at.Send(Plain(2, 1)).Accepted);
        Assert.Single(Directory.GetFiles(Path.Combine(at.Data, "traces")), f => f.Contains(".damaged-", StringComparison.Ordinal) && char.IsAsciiDigit(f[^1]));
        Assert.Contains(at.Log, l => l.Contains("set aside", StringComparison.Ordinal));
    }

    [Fact]
    public void A_newer_partition_is_refused_with_a_clear_sentence()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1));
        at.Store.Close();
        using (var connection = Sqlite.OpenWriter(Path.Combine(at.Data, "traces", "2026-05-06.db"), full: true))
        {
            Sqlite.Execute(connection, "PRAGMA user_version = 99");
        }

        var refusal = Assert.Throws<StoreException>(at.Reopen);
        Assert.Contains("schema version 99", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_receipt_comes_after_every_step_and_cancelling_loses_nothing()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(9, 9));
        var hold = new ManualResetEventSlim();
        var reached = new List<WriteStep>();
        at.OnStep = step =>
        {
            lock (reached)
            {
                reached.Add(step);
            }

            if (step == WriteStep.BeforeReceipts)
            {
                hold.Wait();
            }
        };
        using var gone = new CancellationTokenSource();
        var waiting = at.SendAsync([Write(1, 1)]);
        while (true)
        {
            lock (reached)
            {
                if (reached.Contains(WriteStep.BeforeReceipts))
                {
                    break;
                }
            }

            await Task.Delay(5);
        }

        var left = at.SendAsync([Plain(2, 1)], gone.Token);
        gone.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        Assert.False(waiting.IsCompleted);
        Assert.Equal([WriteStep.BeforeVault, WriteStep.AfterVault, WriteStep.BeforeCommit, WriteStep.AfterCommit, WriteStep.BeforeLedger, WriteStep.AfterLedger,
            WriteStep.BeforeReceipts], reached);
        hold.Set();
        await waiting;
        at.OnStep = null;
        Assert.NotNull(at.Reopen().GetTrace(Sent.TraceOf(2), default));
    }

    [Fact]
    public async Task A_full_queue_refuses_whole_requests_and_drops_none()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, Step = o.Step, QueueSpans = 4 } };
        var hold = new ManualResetEventSlim();
        at.OnStep = step =>
        {
            if (step == WriteStep.BeforeVault)
            {
                hold.Wait();
            }
        };
        var sent = new List<Task<IngestReceipt>>();
        int refused = 0;
        for (ulong i = 1; i <= 20; i++)
        {
            var task = at.SendAsync([Plain(i, 1), Plain(i, 2)]);
            if (task.IsFaulted)
            {
                Assert.IsType<QueueFullException>(task.Exception!.InnerException);
                refused++;
            }
            else
            {
                sent.Add(task);
            }

            await Task.Delay(10);
        }

        Assert.InRange(sent.Count, 2, 4);
        Assert.Equal(refused, at.Store.Counters.RefusedRequests);
        hold.Set();
        Assert.All(await Task.WhenAll(sent), receipt => Assert.Equal(2, receipt.Accepted));
        Assert.Equal(sent.Count * 2, at.TotalSpans());
    }

    [Fact]
    public async Task Requests_of_many_callers_are_each_stored_once()
    {
        using var at = new TemporaryStore();
        var store = at.Store;
        await Parallel.ForEachAsync(Enumerable.Range(1, 200), async (i, leave) =>
            Assert.Equal(2, (await TemporaryStore.SendAsync(store, [Plain((ulong)i, 1), Write((ulong)i, 2)], leave)).Accepted));
        Assert.Equal(200, at.Runs().Count);
        Assert.Equal(200, at.Ledger().Select(e => e.Json.GetProperty("id").GetString()).Distinct().Count());
        Assert.Equal(400, at.TotalSpans());
    }

    [Fact]
    public void The_head_is_published_after_a_minute_of_growth_and_at_a_clean_stop()
    {
        using var at = new TemporaryStore();
        at.Send(Write(1, 1));
        long published = at.Store.LedgerHead().PublishedSize;
        Assert.True(published < at.Store.LedgerHead().Size);
        at.Clock.Now = at.Clock.Now.AddSeconds(61);
        at.Send(Plain(2, 1));
        Assert.True(SpinWait.SpinUntil(() => at.Store.LedgerHead().PublishedSize == at.Store.LedgerHead().Size, 5_000));
        at.Send(Write(3, 1));
        long size = at.Store.LedgerHead().Size;
        at.Reopen();
        var head = at.Store.LedgerHead();
        Assert.Equal((size + 3, size + 2), (head.Size, head.PublishedSize)); // the seal and the last heartbeat were published, then the next run began
        Assert.Equal(["tool.call", "ledger.traces", "ledger.heartbeat", "ledger.heartbeat"], at.Entries().TakeLast(4).Select(e => e.Type));
        Assert.Contains($"\n{size + 2}\n", head.Checkpoint, StringComparison.Ordinal);
        Assert.NotNull(at.Store.LedgerProof(size + 2));
        Assert.Null(at.Store.LedgerProof(size + 3));
        Assert.Equal(["2026-05-06.db"], Directory.GetFiles(Path.Combine(at.Data, "traces"), "*.db").Select(Path.GetFileName));
    }

    [Fact]
    public void A_clean_stop_leaves_one_file_per_day()
    {
        using var at = new TemporaryStore();
        at.Send(Plain(1, 1));
        at.Runs();
        at.Clock.Now = at.Clock.Now.AddDays(1);
        at.Send(Plain(1, 2));
        at.Runs();
        at.Store.GetTrace(Sent.TraceOf(1), default);
        at.Store.Close();
        Assert.Equal(["2026-05-06.db", "2026-05-07.db"], Directory.GetFiles(Path.Combine(at.Data, "traces")).Select(Path.GetFileName).Order());
        Assert.False(File.Exists(Path.Combine(at.Data, "outcomes.db-wal")));
    }

    [Fact]
    public void A_sender_that_counts_is_a_stream_of_its_own()
    {
        using var at = new TemporaryStore();
        Send(at, 1, 17, ("service.name", "support-agent"), ("service.instance.id", "5f0c2b9e-agent/1"));
        Send(at, 2, 18, ("service.name", "support-agent"));
        Send(at, 3, 19, ("service.name", "support-agent"), ("service.instance.id", "the one of Ms Kowalski"));
        Send(at, 4, 20, ("service.name", new string('n', 120)));
        Send(at, 5, 21);
        Send(at, 6, null, ("service.instance.id", "5f0c2b9e-agent/1"));
        Send(at, 7, -1, ("service.instance.id", "5f0c2b9e-agent/1"));
        var sources = at.Ledger().Select(e => (Src: e.Json.GetProperty("src").GetString()!, Seq: e.Json.TryGetProperty("src_seq", out var seq) ? seq.GetInt64() : -1)).ToArray();
        Assert.Equal(("otlp:loopback#5f0c2b9e-agent/1", 17), sources[0]);
        Assert.Equal(("otlp:loopback#support-agent", 18), sources[1]);
        Assert.Matches("^otlp:loopback#k_[0-9a-f]{32}$", sources[2].Src);
        Assert.Matches("^k_[0-9a-f]{32}$", sources[3].Src);
        Assert.Equal(("otlp:loopback", 21), sources[4]);
        Assert.Equal(("otlp:loopback", -1), sources[5]);
        Assert.Equal(("otlp:loopback", -1), sources[6]);

        static void Send(TemporaryStore at, ulong trace, int? number, params (string Key, object Value)[] resource)
        {
            var span = Write(trace, 1);
            using var batch = SpanBatch.Rent();
            OtlpJsonDecoder.Decode(Sent.Json([number is null ? span : span.With(("src_seq", number.Value))], resource.ToDictionary(r => r.Key, r => r.Value)), new IngestLimits(), batch);
            at.Store.IngestAsync(batch, new IngestSource("otlp:loopback"), default).AsTask().GetAwaiter().GetResult();
        }
    }
}
