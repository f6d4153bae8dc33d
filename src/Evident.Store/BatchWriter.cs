using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>What other threads may know of the ledger: always a durable state. Replaced as a whole.</summary>
internal sealed record LedgerSnapshot(string Origin, LedgerHead Head, string IdentityVkey, int Epoch, long PublishedSize, long? PublishedUnixMillis);

/// <summary>
/// The one writer. One dedicated thread takes what is queued and makes it durable in four steps (docs/store.md):
/// 1 vault, 2 partition, 3 ledger, 4 receipts. There are two classes of error: a full disk found by step 1, which only the group's callers learn of; and
/// everything else, after which nobody knows what is on the disk: every waiting caller fails, <see cref="Fatal"/> tells the owner, and the
/// process must exit with 70 so that the next start looks.
/// </summary>
internal sealed class BatchWriter(
    StoreOptions options, IClock clock, VaultStore vault, LedgerLog ledger, PartitionSet partitions, ApprovalBook approvals, WriteQueue queue, Action<string, Exception?> log)
    : IDisposable
{
    private const int IdleMillis = 1_000;

    private readonly LedgerDrafts drafts = new(options.Tools);
    private readonly SpanIndex index = new(partitions, log);
    private readonly BlockWriter blocks = new();
    private readonly TraceContexts contexts = new();

    // Owned by the writer thread.
    private Partition? partition;
    private LedgerHead? remembered;
    private long publishedSize, publishedAt;

    // Written by the writer thread, read by all.
    private LedgerSnapshot? snapshot;
    private long committed, accepted, duplicates, rejected;

    /// <summary>The writer no longer knows its state. Raised once, on the writer thread, after every waiting caller has failed.</summary>
    public event Action<Exception>? Fatal;

    /// <summary>A group was committed; raised on the writer thread.</summary>
    public event Action? Committed;

    public LedgerSnapshot Ledger => Volatile.Read(ref snapshot)!;

    /// <summary>Groups whose receipts may have been given out.</summary>
    public long CommittedGroups => Volatile.Read(ref committed);

    public (long Accepted, long Duplicates, long Rejected) Counters => (Volatile.Read(ref accepted), Volatile.Read(ref duplicates), Volatile.Read(ref rejected));

    /// <summary>
    /// Finishes what the last run owed: entries that were committed to a partition and are not yet in the ledger. Runs on the opening thread, before
    /// anything is accepted, through the same append as the live path.
    /// </summary>
    public void Recover()
    {
        Roll(clock.UnixMillis);
        var owed = partition!.ReadOutbox(out long oldestSize);
        if (owed.Count > 0)
        {
            Replay(owed, oldestSize);
        }

        partition.Begin();
        partition.ClearOutbox();
        Remember();
        partition.Commit();
        publishedSize = ledger.Published?.Size ?? 0;
        publishedAt = clock.MonotonicMillis;
        Show(null);
    }

    public Thread Start()
    {
        var started = new Thread(Run) { Name = "evident-writer", IsBackground = true };
        started.Start();
        return started;
    }

    private void Run()
    {
        List<WriteRequest> group = [];
        try
        {
            while (queue.Take(options.GroupSpans, options.LingerMillis, IdleMillis) is { } taken)
            {
                group = taken;
                if (group.Count > 0)
                {
                    Write(group);
                }

                PublishWhenDue();
            }

            Stop();
        }
        catch (Exception unknown)
        {
            var stopped = new StoreStoppedException("the writer failed and no longer knows what is on the disk; the process stops so that the next start can look.", unknown);
            queue.Close(stopped);
            while (group.Count > 0)
            {
                foreach (var request in group)
                {
                    request.Receipt.TrySetException(stopped);
                }

                group = queue.Take(int.MaxValue, 0, 0) ?? [];
            }

            log("the writer stops: its state on the disk is unknown", unknown);
            Fatal?.Invoke(unknown);
        }
    }

    private void Write(List<WriteRequest> requests)
    {
        long now = clock.UnixMillis;
        Roll(now);
        var group = new Group(requests, index, partition!, now);

        Step(WriteStep.BeforeVault);
        try
        {
            foreach (var request in requests)
            {
                if (request.Sealed is { } payloads && payloads.Records.Count > 0)
                {
                    vault.Append(group.RecordsToKeep(request)); // a crash from here to the commit leaves ciphertext that nothing names
                }
            }

            vault.Sync();
        }
        catch (VaultException full) when (full.Kind == VaultErrorKind.DiskFull)
        {
            // Nothing of this group was kept anywhere. Its callers keep their data; the writer goes on and refuses until there is room.
            log("the disk is full: a group was refused", full);
            foreach (var request in requests)
            {
                request.Receipt.TrySetException(new QueueFullException($"the disk is full, nothing of the request was stored: {full.Message}"));
                request.Dispose();
            }

            return;
        }

        Step(WriteStep.AfterVault);
        var entries = new GroupLedger(drafts, approvals, contexts, options.Tools).Derive(group);
        partition!.Begin();
        partition.ClearOutbox(); // step 3 of the group before has succeeded, or this thread would have stopped
        blocks.Write(partition, group);
        foreach (var draft in entries)
        {
            partition.Owe(draft, ledger.Head.Size);
        }

        StoreApprovals();
        Remember();
        Step(WriteStep.BeforeCommit);
        partition.Commit(); // this is the commit point: before it the group does not exist, after it every part of it will be durable
        Step(WriteStep.AfterCommit);

        Step(WriteStep.BeforeLedger);
        Append(entries); // a crash before its end is finished by Recover from the outbox
        Step(WriteStep.AfterLedger);
        Show(null);
        Volatile.Write(ref committed, committed + 1);
        Committed?.Invoke();

        Step(WriteStep.BeforeReceipts); // a crash here: the client sends again and is told that all of it is there
        foreach (var request in requests)
        {
            var receipt = group.ReceiptOf(request);
            Volatile.Write(ref accepted, accepted + receipt.Accepted);
            Volatile.Write(ref duplicates, duplicates + receipt.Duplicates);
            Volatile.Write(ref rejected, rejected + receipt.Rejected);
            request.Receipt.TrySetResult(receipt);
            request.Dispose();
        }
    }

    // The partition of the day of receipt. A clock that was set back never reopens an older day: receipts stay in order over the files.
    private void Roll(long now)
    {
        string day = PartitionSet.DayOf(now);
        string newest = partition?.Name ?? (partitions.Files.Count > 0 ? partitions.Files[^1].Name : day);
        day = string.CompareOrdinal(day, newest) < 0 ? newest : day;
        if (partition?.Name == day)
        {
            return;
        }

        if (partition is not null)
        {
            partition.Begin();
            partition.ClearOutbox(); // so that only the newest partition can owe entries
            partition.Commit();
            partitions.Include(partition.Name).Dispose(); // its idle readers, so that the last connection to close is one that can fold the log
            partition.Dispose();
        }
        else
        {
            FinishFormerDays(newest, day);
        }

        partition = Partition.Open(partitions.PathOf(day));
        partitions.Include(day);
        partition.Begin();
        remembered = null;
        Remember(); // the rollback guard is in the newest file from its first moment
        partition.Commit();
        index.Rolled(day);
    }

    // The newest of the days before may still owe entries; any of them may have been left with a log that a reader kept open.
    private void FinishFormerDays(string newest, string day)
    {
        foreach (var file in partitions.Files)
        {
            if (file.Name == day || file.Problem is not null || (file.Name != newest && !File.Exists(file.Path + "-wal")))
            {
                continue;
            }

            file.Dispose(); // idle readers: the last connection to close has to be one that can fold the log
            try
            {
                using var former = Partition.Open(file.Path);
                var owed = former.ReadOutbox(out long oldestSize);
                if (owed.Count > 0)
                {
                    Replay(owed, oldestSize);
                    former.Begin();
                    former.ClearOutbox();
                    former.Commit();
                }
            }
            catch (Exception damage) when (PartitionFile.IsDamage(damage))
            {
                file.Problem = damage.Message;
                log($"partition {file.Name} cannot be read and is left out: {damage.Message}", damage);
            }
        }
    }

    private void Replay(IReadOnlyList<EntryDraft> owed, long oldestSize)
    {
        var present = ledger.IdsSince(oldestSize);
        Append([.. owed.Where(draft => !present.Contains(draft.Id))]);
    }

    private void Append(IReadOnlyList<EntryDraft> entries)
    {
        for (int at = 0; at < entries.Count; at += LedgerFormat.MaxGroupEntries)
        {
            ledger.Append([.. entries.Skip(at).Take(LedgerFormat.MaxGroupEntries)]);
        }
    }

    private void StoreApprovals()
    {
        foreach (string absorbed in approvals.Absorbed)
        {
            partition!.DeleteApproval(Convert.FromHexString(absorbed));
        }

        foreach (var changed in approvals.Changed)
        {
            partition!.PutApproval(
                Convert.FromHexString(changed.Id), changed.IsOpen, System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(changed, StoreState.Default.ApprovalCase));
        }

        approvals.Absorbed.Clear();
        approvals.Changed.Clear();
    }

    private void Remember()
    {
        if (remembered is null || remembered.Size != ledger.Head.Size)
        {
            remembered = ledger.Head;
            partition!.Remember(remembered);
        }
    }

    private void PublishWhenDue()
    {
        long grown = ledger.Head.Size - publishedSize;
        if (grown > 0 && (grown >= options.PublishEntries || clock.MonotonicMillis - publishedAt >= options.PublishSeconds * 1000L))
        {
            Publish();
        }
    }

    private void Publish()
    {
        ledger.Publish();
        publishedSize = ledger.Head.Size;
        publishedAt = clock.MonotonicMillis;
        Show(clock.UnixMillis);
    }

    private void Show(long? publishedUnixMillis) => Volatile.Write(ref snapshot, new LedgerSnapshot(
        ledger.Origin, ledger.Head, ledger.IdentityVerifierKey, ledger.Epoch, publishedSize, publishedUnixMillis ?? snapshot?.PublishedUnixMillis));

    // The clean stop: the hint is stored only after the ledger is closed, so it can only describe what is there.
    private void Stop()
    {
        var resume = ledger.Close();
        publishedSize = resume.Size;
        partition!.Begin();
        partition.ClearOutbox();
        partition.Remember(new LedgerHead(resume.Size, resume.Root));
        partition.Remember(resume);
        partition.Commit();
        partition.Checkpoint();
        FinishFormerDays(newest: partition.Name, day: partition.Name); // readers are gone: the logs they left behind are folded into their files
    }

    /// <summary>After the thread has ended, or when it was never started. What was not committed is rolled back.</summary>
    public void Dispose() => partition?.Dispose();

    private void Step(WriteStep step) => options.Step?.Invoke(step);
}
