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
    StoreOptions options, IClock clock, VaultStore vault, LedgerLog ledger, PartitionSet partitions, ApprovalBook approvals, WriteQueue queue, DebugSessions debug,
    Func<Vitals> vitals, Action<string, Exception?> log) : IDisposable
{
    private const int MaxUnsealedSpans = 250_000; // then they are sealed at once: a start after a crash reads them again, some 2 us each

    private readonly LedgerDrafts drafts = new(options.Tools);
    private readonly SpanIndex index = new(partitions, log);
    private readonly BlockWriter blocks = new();
    private readonly TraceContexts contexts = new();
    private readonly Heartbeat heartbeat = new(options, clock, ledger, vitals);
    private readonly UnsealedSpans unsealed = new();

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
    /// anything is accepted, through the same append as the live path. The first heartbeat comes before it: what is appended now is of this run. Redaction rules and
    /// capture policy come behind it: what was owed was taken in under those before.
    /// </summary>
    /// <param name="finish">What else the last run left half done, for which the ledger is needed.</param>
    public void Recover(RuleRecord rules, CaptureRecord capture, MasterRecord master, Action finish)
    {
        heartbeat.Beat(Heartbeat.Started, spans: 0);
        Roll(clock.UnixMillis);
        Reseal(partition!);
        Replay(partition!.ReadOutbox(out long oldestSize), oldestSize);
        rules.Record();
        capture.Record();
        master.Record();
        debug.Recover(ledger);
        finish();
        partition.Begin();
        partition.ClearOutbox();
        Remember();
        partition.Commit();
        FindUnsealed(partition);
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
            while (queue.Take(options.GroupSpans, options.LingerMillis, options.IdleMillis) is { } taken)
            {
                group = taken;
                if (group.Count > 0)
                {
                    Write(group);
                }

                if (heartbeat.IsDue)
                {
                    heartbeat.Beat(Heartbeat.Running, accepted);
                    Show(null);
                }

                if (debug.IsDue && debug.CloseDue(ledger))
                {
                    Show(null);
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
        blocks.Write(partition, group, unsealed);
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
        bool publishes = false;
        foreach (var request in requests)
        {
            request.WhenDurable?.Invoke(ledger);
            publishes |= request.Publishes;
        }

        if (publishes)
        {
            Publish();
        }

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
            SealSpans(partition); // to its end: nothing is added to it any more
            partition.Begin();
            partition.ClearOutbox(); // so that only the newest partition can owe entries
            partition.Remember(ledger.Head); // its own seal included
            partition.Commit();
            partitions.Include(partition.Name).Dispose(); // its idle readers, so that the last connection to close is one that can fold the log
            partition.Dispose();
        }
        else
        {
            FinishFormerDays(newest, day);
        }

        partition = Partition.Open(partitions.PathOf(day), () => SealedBefore(day));
        partitions.Include(day);
        unsealed.Begin(partition.SealedSpans);
        partition.Begin();
        remembered = null;
        Remember(); // the rollback guard is in the newest file from its first moment
        partition.Commit();
        index.Rolled(day);
    }

    // The newest of the days before may still owe entries and be sealed only in part; any of them may have been left with a log that a reader kept open.
    private void FinishFormerDays(string newest, string day)
    {
        foreach (var file in partitions.Files)
        {
            if (file.Name != day && file.Problem is null && (file.Name == newest || File.Exists(file.Path + "-wal")))
            {
                Former(file, Settle);
            }
        }
    }

    private void Settle(Partition former)
    {
        Reseal(former);
        Replay(former.ReadOutbox(out long oldestSize), oldestSize);
        FindUnsealed(former);
        SealSpans(former);
        if (former.Owes)
        {
            former.Begin();
            former.ClearOutbox();
            former.Remember(ledger.Head);
            former.Commit();
        }
    }

    // The ledger lost seals and an operator accepted that: days before the newest are sealed again, first and in their order.
    private void Reseal(Partition newest)
    {
        if (newest.ResealFrom is not { } oldest)
        {
            return;
        }

        foreach (var file in partitions.Files)
        {
            if (string.CompareOrdinal(file.Name, oldest) >= 0 && string.CompareOrdinal(file.Name, newest.Name) < 0)
            {
                Former(file, former =>
                {
                    FindUnsealed(former);
                    SealSpans(former);
                });
            }
        }

        newest.Reseal(null);
    }

    private void Former(PartitionFile file, Action<Partition> act)
    {
        file.Dispose(); // idle readers: the last connection to close has to be one that can fold the log
        try
        {
            using var former = Partition.Open(file.Path, () => SealedBefore(file.Name));
            act(former);
        }
        catch (Exception damage) when (PartitionFile.IsDamage(damage))
        {
            file.Problem = damage.Message;
            log($"partition {file.Name} cannot be read and is left out: {damage.Message}", damage);
        }
    }

    private void Replay(IReadOnlyList<EntryDraft> owed, long oldestSize)
    {
        if (owed.Count > 0)
        {
            var present = ledger.IdsSince(oldestSize);
            Append([.. owed.Where(draft => !present.Contains(draft.Id))]);
        }
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

    // Something new, an entry or a span, and enough of it or long enough ago: a published head does not call for the next one.
    private void PublishWhenDue()
    {
        long grown = ledger.Head.Size - publishedSize;
        bool late = clock.MonotonicMillis - publishedAt >= options.PublishSeconds * 1000L;
        if (grown >= options.PublishEntries || unsealed.Count >= MaxUnsealedSpans || (late && (grown > 0 || unsealed.Count > 0)))
        {
            SealSpans(partition!);
            Publish();
        }
    }

    private void Publish()
    {
        ledger.Publish();
        publishedSize = ledger.Head.Size;
        publishedAt = clock.MonotonicMillis;
        Show(clock.UnixMillis);
        Step(WriteStep.AfterPublish);
    }

    // Like a group: first the partition owes the entry and says how far it is sealed, in one transaction, then the ledger gets it.
    private void SealSpans(Partition at)
    {
        if (unsealed.Count == 0)
        {
            return;
        }

        Step(WriteStep.BeforeSeal);
        var seal = unsealed.ToEntry(ledger.Origin, at.Name, clock.UnixMillis);
        at.Begin();
        at.ClearOutbox();
        at.Owe(seal, ledger.Head.Size);
        at.Seal(unsealed.End);
        at.Remember(ledger.Head);
        Step(WriteStep.BeforeSealCommit);
        at.Commit(); // the commit point of a seal: before it these spans are unsealed, after it the entry will be in the ledger
        Step(WriteStep.AfterSealCommit);
        Append([seal]);
        Step(WriteStep.AfterSealEntry);
        unsealed.Begin(unsealed.End);
    }

    // After a stop that was not clean: what was stored since the last seal, from the blocks themselves.
    private void FindUnsealed(Partition at)
    {
        unsealed.Begin(at.SealedSpans);
        try
        {
            at.ReadUnsealed(unsealed);
        }
        catch (Exception damage) when (PartitionFile.IsDamage(damage))
        {
            // Nobody can vouch for them: the next seal begins after them, and a verifier tells of the gap.
            log($"spans {at.SealedSpans} to {at.NextSpan - 1} of partition {at.Name} cannot be read and are not sealed: {damage.Message}", damage);
            unsealed.Begin(at.NextSpan);
        }
    }

    private long SealedBefore(string day) =>
        SealTrail.EndsSince(Path.Combine(options.DataDirectory, "ledger"), ledger.Head.Size, day).GetValueOrDefault(day);

    private void Show(long? publishedUnixMillis) => Volatile.Write(ref snapshot, new LedgerSnapshot(
        ledger.Origin, ledger.Head, ledger.IdentityVerifierKey, ledger.Epoch, publishedSize, publishedUnixMillis ?? snapshot?.PublishedUnixMillis));

    // The clean stop: the hint is stored only after the ledger is closed, so it can only describe what is there.
    private void Stop()
    {
        SealSpans(partition!);
        heartbeat.Beat(Heartbeat.Stopping, accepted); // the last entry of this run
        var resume = ledger.Close();
        publishedSize = resume.Size;
        partition!.Begin();
        partition.ClearOutbox();
        partition.Remember(new LedgerHead(resume.Size, resume.Root));
        partition.Remember(resume);
        partition.Commit();
        partition.Checkpoint();
        foreach (var file in partitions.Files)
        {
            if (file.Name != partition.Name && file.Problem is null && File.Exists(file.Path + "-wal"))
            {
                Former(file, static _ => { }); // readers are gone: the log they left behind is folded into its file
            }
        }
    }

    /// <summary>After the thread has ended, or when it was never started. What was not committed is rolled back.</summary>
    public void Dispose() => partition?.Dispose();

    private void Step(WriteStep step) => options.Step?.Invoke(step);
}
