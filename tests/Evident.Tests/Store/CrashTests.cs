using Evident.Ledger;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>The crash table of docs/store.md: the writer dies at each step, before or after that step's effect reached the disk.</summary>
public sealed class CrashTests
{
    private static Sent[] Request(ulong trace) =>
    [
        new Sent(trace, 1, "agent.run").With(("agent.run_id", $"run-{trace}")) with { Until = 5 },
        new Sent(trace, 2, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", $$"""{"n":{{trace}}}"""), ("agent.run_id", $"run-{trace}")) with { Parent = 1, At = 1, Until = 2 },
    ];

    [Theory]
    [InlineData("traces/2026-05-07.db")]
    [InlineData("outcomes.db")]
    public void A_kill_while_a_file_was_created_is_taken_back_by_the_next_start(string file)
    {
        using var at = new TemporaryStore();
        at.Send(Request(2));
        at.Close();
        at.Clock.Now += TimeSpan.FromDays(1);
        string path = Path.Combine(at.Data, file), made = path + ".made";
        foreach (string earlier in Directory.GetFiles(Path.GetDirectoryName(path)!, Path.GetFileName(path) + "*"))
        {
            File.Delete(earlier);
        }

        Evident.Store.Sqlite.OpenWriter(made, full: true).Dispose();
        using (var writer = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={made};Pooling=False"))
        {
            writer.Open();
            Evident.Store.Sqlite.Execute(writer, "PRAGMA journal_mode=DELETE");
            Evident.Store.Sqlite.Execute(writer, "PRAGMA cache_size=1");
            Evident.Store.Sqlite.Execute(writer, "BEGIN");
            Evident.Store.Sqlite.Execute(writer, "CREATE TABLE x (y)");
            Evident.Store.Sqlite.Execute(writer, "INSERT INTO x SELECT randomblob(4000) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT i FROM n)");
            File.Copy(made, path); // in the middle of it: pages are written, and the journal says what they were
            File.Copy(made + "-journal", path + "-journal");
        }

        File.Delete(made);
        at.Send(Request(1));
        Assert.Equal((2, 2), (at.Story("run-1").Spans.Count, at.Story("run-2").Spans.Count));
        Assert.False(File.Exists(path + "-journal"));
    }

    // storedAfter: whether the unacknowledged group is there after the restart; before the commit it is not, from the commit on it is.
    [Theory]
    [InlineData(nameof(WriteStep.BeforeVault), false)]
    [InlineData(nameof(WriteStep.AfterVault), false)]
    [InlineData(nameof(WriteStep.BeforeCommit), false)]
    [InlineData(nameof(WriteStep.AfterCommit), true)]
    [InlineData(nameof(WriteStep.BeforeLedger), true)]
    [InlineData(nameof(WriteStep.AfterLedger), true)]
    [InlineData(nameof(WriteStep.BeforeReceipts), true)]
    public async Task A_failing_step_stops_the_writer_and_the_next_start_settles_it(string at, bool storedAfter)
    {
        using var first = new TemporaryStore();
        first.Send(Request(1));
        Exception? fatal = null;
        first.Store.Fatal += e => fatal = e;
        string crashed = first.Data + "-crash";
        first.OnStep = step =>
        {
            if (step.ToString() == at)
            {
                TemporaryStore.CopyDirectory(first.Data, crashed); // the disk as SIGKILL would leave it here
                throw new IOException($"injected at {step}");
            }
        };
        await Assert.ThrowsAsync<StoreStoppedException>(() => first.SendAsync(Request(2)));
        SpinWait.SpinUntil(() => fatal is not null, 5000);
        Assert.IsType<IOException>(fatal);
        Assert.Equal(ReadyState.Failed, first.Store.Ready);
        await Assert.ThrowsAsync<StoreStoppedException>(() => first.SendAsync(Request(3)));

        foreach (string data in (string[])[first.Data, crashed])
        {
            first.Store.Close();
            using var second = new TemporaryStore(copyOf: data);
            Assert.Equal(2, second.Story("run-1").Spans.Count); // what was acknowledged
            Assert.Equal(storedAfter, second.Store.GetRun("run-2", default) is not null);
            Check(second, storedAfter ? 2 : 1);

            // The client that got no answer sends again: nothing is lost and nothing doubled.
            var again = second.Send(Request(2));
            Assert.Equal(storedAfter ? (0, 2) : (2, 0), (again.Accepted, again.Duplicates));
            second.Send(Request(3));
            Check(second, 3);
            second.Reopen();
            Check(second, 3);
        }

        Directory.Delete(crashed, recursive: true);
    }

    /// <summary>A new tenant's first payload makes a key durable on the request's own thread; what fails there ends the process as well.</summary>
    [Fact]
    public async Task A_keystore_that_cannot_be_written_stops_the_store()
    {
        using var first = new TemporaryStore();
        first.Send(Request(1));
        Exception? fatal = null;
        first.Store.Fatal += e => fatal = e;
        string keys = Path.Combine(first.Data, "keys"), away = first.Data + "-keys";
        Directory.Move(keys, away);
        var other = new Sent(2, 1, "chat").With(("agent.tenant_id", "t_other"), ("agent.run_id", "run-2"), ("input.value", "something to be sealed under a key of its own"));
        await Assert.ThrowsAsync<StoreStoppedException>(() => first.SendAsync([other]));
        Assert.Equal(Evident.Vault.VaultErrorKind.Poisoned, Assert.IsType<Evident.Vault.VaultException>(fatal).Kind);
        Assert.Equal(ReadyState.Failed, first.Store.Ready);
        await Assert.ThrowsAsync<StoreStoppedException>(() => first.SendAsync(Request(3)));

        Directory.Move(away, keys);
        first.Store.Close();
        using var second = new TemporaryStore(copyOf: first.Data);
        Assert.Equal(2, second.Story("run-1").Spans.Count);
        Assert.Null(second.Store.GetRun("run-2", default));
        Check(second, 1);
        Assert.Equal((1, 0), (second.Send(other).Accepted, second.Send(other).Accepted));
    }

    [Fact]
    public async Task Copies_taken_at_random_moments_under_load_hold_everything_acknowledged()
    {
        using var first = new TemporaryStore();
        var store = first.Store;
        var acknowledged = new List<ulong>();
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
        {
            for (ulong i = 1; !stop.IsCancellationRequested && i < 400; i++)
            {
                ulong trace = ((ulong)worker * 1000) + i;
                await TemporaryStore.SendAsync(store, Request(trace));
                lock (acknowledged)
                {
                    acknowledged.Add(trace);
                }
            }
        })).ToArray();
        for (int round = 0; round < 6; round++)
        {
            await Task.Delay(60);
            string copy = Path.Combine(Path.GetTempPath(), "evident-copy-" + Guid.NewGuid().ToString("n"));
            ulong[] before = [];

            // A crash freezes the files at one moment; the writer is held between two groups while they are copied.
            var done = new TaskCompletionSource();
            first.OnStep = step =>
            {
                if (step is WriteStep.BeforeVault or WriteStep.AfterCommit && !done.Task.IsCompleted)
                {
                    lock (acknowledged)
                    {
                        before = [.. acknowledged];
                    }

                    TemporaryStore.CopyDirectory(first.Data, copy);
                    done.SetResult();
                }
            };
            await Task.WhenAny(done.Task, Task.WhenAll(load));
            first.OnStep = null;
            if (!done.Task.IsCompleted)
            {
                break;
            }

            using var second = new TemporaryStore(copyOf: copy);
            foreach (ulong trace in before)
            {
                Assert.Equal(2, second.Store.GetTrace(Sent.TraceOf(trace), default)?.Spans.Count);
            }

            var ids = second.Ledger().Select(e => e.Json.GetProperty("id").GetString()).ToArray();
            Assert.Equal(ids.Length, ids.Distinct().Count());
            Assert.True(ids.Length >= before.Length);
            Directory.Delete(copy, recursive: true);
        }

        stop.Cancel();
        await Task.WhenAll(load);
    }

    [Fact]
    public void A_second_owner_is_refused()
    {
        using var at = new TemporaryStore();
        at.Send(Request(1));
        Assert.Throws<Evident.Platform.DataDirectoryBusyException>(() =>
            EvidentStore.Open(new StoreOptions { DataDirectory = at.Data }, at.Clock, static (_, _) => { }));
    }

    [Fact]
    public async Task An_altered_line_is_refused_at_the_start_or_found_soon_after_a_quick_one()
    {
        using var at = new TemporaryStore();
        at.Send(Request(1));
        at.Send(Request(2));
        at.Store.Close();
        string segment = Directory.GetFiles(Path.Combine(at.Data, "ledger"), "*.jsonl").Single();
        byte[] bytes = File.ReadAllBytes(segment);
        bytes[bytes.AsSpan().IndexOf("\"type\":\"tool.call\""u8) + 9] ^= 1;
        File.WriteAllBytes(segment, bytes);
        Assert.Throws<LedgerStateException>(at.Reopen);

        var found = new TaskCompletionSource<Exception>();
        using var quick = EvidentStore.Open(new StoreOptions { DataDirectory = at.Data, QuickStartLedgerBytes = 0 }, at.Clock, static (_, _) => { });
        quick.Fatal += e => found.TrySetResult(e);
        Assert.IsType<LedgerStateException>(await found.Task.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(ReadyState.Failed, quick.Ready);
    }

    [Fact]
    public void A_vault_that_was_lost_is_refused_and_not_made_anew()
    {
        using var at = new TemporaryStore();
        at.Send(Request(1));
        at.Store.Close();
        Directory.Delete(Path.Combine(at.Data, "vault"), recursive: true);
        Assert.Throws<Evident.Vault.VaultException>(at.Reopen);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(at.Data, "vault")));
    }

    [Fact]
    public void A_ledger_that_lost_its_end_is_refused_as_rolled_back()
    {
        using var at = new TemporaryStore();
        at.Send(Request(1));
        string earlier = at.Data + "-earlier";
        at.Store.Close();
        TemporaryStore.CopyDirectory(Path.Combine(at.Data, "ledger"), earlier);
        at.Reopen();
        at.Send(Request(2));
        at.Store.Close();
        Directory.Delete(Path.Combine(at.Data, "ledger"), recursive: true);
        TemporaryStore.CopyDirectory(earlier, Path.Combine(at.Data, "ledger"));
        Directory.Delete(earlier, recursive: true);
        Assert.Throws<LedgerStateException>(at.Reopen);
    }

    private static void Check(TemporaryStore at, int runs)
    {
        var verdict = LedgerVerifier.Verify(new VerifyRequest { Path = at.Data, AllowUnanchored = true }, null, default);
        Assert.True(verdict.ExitCode is 0 or 12, verdict.ToText()); // 12: a torn tail that an earlier start moved away
        var calls = at.Ledger();
        Assert.All(calls, c => Assert.Equal("tool.call", c.Type));
        Assert.Equal(runs, calls.Count);
        Assert.Equal(runs, calls.Select(c => c.Json.GetProperty("id").GetString()).Distinct().Count());
        Assert.Equal(runs, at.Runs().Count);
        foreach (var run in at.Runs())
        {
            var story = at.Story(run.RunId);
            long seq = Assert.Single(story.Spans.Single(s => s.ToolName == "gmail.send").Ledger);
            Assert.Equal(story.Run.RunId, calls.Single(c => c.Json.GetProperty("seq").GetInt64() == seq).Json.GetProperty("run_id").GetString());
        }
    }
}
