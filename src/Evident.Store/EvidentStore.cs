using System.Text.Json;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// The trace store: one writer and its readers over one data directory, which it owns as long as it is open (flock). What is acknowledged is on stable
/// storage, vault and ledger included. Thread safe. docs/store.md tells the life of a span.
/// </summary>
public sealed class EvidentStore : IDisposable
{
    private readonly StoreOptions options;
    private readonly IClock clock;
    private readonly DataLock? ownership;
    private readonly VaultStore vault;
    private readonly PartitionSet partitions;
    private readonly LedgerLog ledger;
    private readonly WriteQueue queue;
    private readonly DebugSessions debug;
    private readonly IdentityRegister identities;
    private readonly IngestPipeline pipeline;
    private readonly BatchWriter writer;
    private readonly Projections projections;
    private readonly OutcomesReaders readers;
    private readonly RunReads runs;
    private readonly LedgerReads ledgerReads;
    private readonly PayloadReads payloads;
    private readonly AnchorFiling anchors;
    private readonly LedgerExports exports;
    private readonly StoreActs acts;
    private readonly DeniedReads refusals;
    private readonly LegalHolds holds;
    private readonly Retention retention;
    private readonly VaultActs vaultActs;
    private readonly Thread writing;
    private readonly Scrubber scrubber;
    private readonly PriceBook prices;
    private readonly object gate = new();
    private Action<Exception>? fatal; // both guarded by gate
    private Exception? failure;
    private readonly string ledgerDirectory;
    private long refused;
    private int state = (int)ReadyState.Ready;
    private int closed;

    private EvidentStore(
        StoreOptions options, IClock clock, Action<string, Exception?> log, DataLock? ownership, VaultStore vault, PartitionSet partitions, LedgerLog ledger, ApprovalBook approvals,
        bool quick, Stack<IDisposable> open)
    {
        this.options = options;
        this.clock = clock;
        this.ownership = ownership;
        this.vault = vault;
        this.partitions = partitions;
        this.ledger = ledger;
        ledgerDirectory = StoreOpening.LedgerPath(options);
        queue = new WriteQueue(options.QueueSpans, options.QueueBytes);
        prices = PriceBook.Open(options.DataDirectory, log);
        var inFull = new FullCapture(clock);
        acts = new StoreActs(vault, new WorkspaceScopes(vault, IngestSource.DefaultWorkspace), queue);
        debug = Held(open, new DebugSessions(options, inFull, acts, CapturedIn, clock, () => writer!.Ledger.Head, log));
        identities = Held(open, IdentityRegister.Open(options.DataDirectory, () => vault.ResolveScope(IngestSource.DefaultWorkspace, []).StaffKey, log));
        pipeline = new IngestPipeline(options, vault, queue, inFull, identities);
        scrubber = new Scrubber(options, clock, vault, ledgerDirectory, quick ? 0 : ledger.Head.Size, () => writer!.Ledger.Head.Size, Fail, log);
        writer = Held(open, new BatchWriter(
            options, clock, vault, ledger, partitions, approvals, queue, debug,
            () => new Vitals(scrubber.ScrubbedTo, scrubber.Errors, scrubber.OrphanPayloads, Volatile.Read(ref refused)), log));
        var newest = new NewestEntry(ledgerDirectory, Path.Combine(options.DataDirectory, OutcomesFile.Name), log);
        VaultActs.RefuseOldKeystore(vault, newest, ledger.Head.Size);
        long? lastKnown = newest.Find("ledger.heartbeat", ledger.Head.Size, static facts => Rfc3339.FormatMillis(facts.Recorded)) is { } heard && Rfc3339.TryParseMillis(heard, out long millis) ? millis : null;
        writer.Recover(
            new RuleRecord(options.Redaction, ledger, newest),
            new CaptureRecord(options.Capture, () => acts.Scope, ledger, newest, clock),
            new MasterRecord(vault, ledger, newest, clock),
            () =>
            {
                VaultActs.FinishShredding(options, clock, vault, ledger, log);
                prices.Record(ledger, newest);
            });
        projections = Held(open, new Projections(options, prices, partitions, () => (writer.CommittedGroups, writer.Ledger.Head.Size), log));
        var ids = new SearchedId(vault, IngestSource.DefaultWorkspace);
        readers = new OutcomesReaders(Path.Combine(options.DataDirectory, OutcomesFile.Name), projections);
        LedgerCheck = new LedgerCheck(options.DataDirectory, () => writer.Ledger.Head.Size, clock, log);
        ledgerReads = new LedgerReads(ledgerDirectory, () => writer.Ledger, projections, readers, ids, options.LedgerSearchRows);
        var directory = new RunDirectory(readers, ids);
        var spans = new SpanReader(partitions, options.Tools, prices, log);
        runs = new RunReads(options, projections, directory, ids, spans, new SpanSearch(options, partitions, readers, directory, ids, spans, prices, log), prices);
        refusals = new DeniedReads(acts, clock);
        payloads = new PayloadReads(vault, acts, refusals, clock);
        anchors = new AnchorFiling(ledgerDirectory, () => writer.Ledger, acts, clock);
        exports = new LedgerExports(ledgerDirectory, acts, clock);
        holds = new LegalHolds(Path.Combine(options.DataDirectory, "vault"), ledgerDirectory, ledger.Head.Size);
        retention = new Retention(options, clock, vault, acts, holds, new KeptPayloads(partitions, readers, holds, log), projections, lastKnown, () => refusals.Flush(all: false), log);
        vaultActs = new VaultActs(options, clock, vault, acts, holds, retention, runs.ReferencesOf, runs.OfUser, tenant => pipeline.ScopesOf(IngestSource.DefaultWorkspace).Resolve(System.Text.Encoding.UTF8.GetBytes(tenant)).Id);
        writer.Committed += projections.Signal;
        writer.Fatal += Fail;
        projections.Start();
        writing = writer.Start();
        scrubber.Start();
        retention.Start();
    }

    /// <summary>
    /// The writer no longer knows what is on the disk (every waiting caller has failed), or the ledger was found altered: the process must exit with 70 so that
    /// the next start looks. Raised once per subscriber, at once when it has already happened.
    /// </summary>
    public event Action<Exception> Fatal
    {
        add
        {
            lock (gate)
            {
                fatal += value;
                if (failure is null)
                {
                    return;
                }
            }

            value(failure);
        }

        remove
        {
            lock (gate)
            {
                fatal -= value;
            }
        }
    }

    public ReadyState Ready => (ReadyState)Volatile.Read(ref state);

    public IngestCounters Counters => new(writer.Counters.Accepted, writer.Counters.Duplicates, writer.Counters.Rejected, Volatile.Read(ref refused));

    /// <summary>What redaction found in what was accepted, per rule, since the start.</summary>
    public RedactionCounters Redactions => pipeline.Redactions;

    public IngestLimits Limits => options.Limits;

    /// <summary>The first line of a CSV export.</summary>
    public const string CsvHead = RunExport.CsvHead;

    /// <summary>What is captured of whom.</summary>
    public CapturePolicy Capture => options.Capture;

    public VaultStatus Vault => vault.Status();

    public ScrubStatus Scrub => new(scrubber.ScrubbedTo, scrubber.Errors, scrubber.FinishedUnixMillis);

    /// <summary>The day files, oldest first; one that cannot be read says why, and the others serve.</summary>
    public IReadOnlyList<PartitionStatus> Partitions => [.. partitions.Files.Select(f => new PartitionStatus(f.Name, f.Problem is null, f.Problem))];

    /// <summary>
    /// The design's start order: lock, vault, what the newest partition remembers of the ledger, ledger (which moves a torn tail away, begins a new epoch and
    /// says so), outbox replay, projections, accept.
    /// </summary>
    /// <param name="log">Gets one sentence, free of sender text, and the exception it is about.</param>
    /// <param name="owned">The directory's lock when the caller holds it already; it stays the caller's.</param>
    /// <exception cref="DataDirectoryBusyException">Another process owns the directory.</exception>
    /// <exception cref="LedgerStateException">The ledger is not what was left behind: exit 70; nothing was moved, nothing was signed.</exception>
    /// <exception cref="VaultException">Keys or keystore do not open; of kind Sealed, a passphrase is needed: nothing was touched.</exception>
    /// <exception cref="StoreException">A newer Evident wrote the partition of today.</exception>
    public static EvidentStore Open(StoreOptions options, IClock clock, Action<string, Exception?> log, DataLock? owned = null)
    {
        DurableDirectory.Create(options.DataDirectory);
        var open = new Stack<IDisposable>();
        try
        {
            var ownership = owned is null ? Held(open, Own(options.DataDirectory)) : null;
            string traces = Path.Combine(options.DataDirectory, "traces"), keys = Path.Combine(options.DataDirectory, "keys");
            DurableDirectory.Create(traces);
            DurableDirectory.Create(keys);
            bool hasTraces = Directory.EnumerateFiles(traces, "*.db").Any();
            var vault = Held(open, StoreOpening.OpenVault(options, clock, hasTraces));
            Sqlite.FinishCreation(Path.Combine(traces, PartitionSet.DayOf(clock.UnixMillis) + ".db"));
            StoreOpening.SetDamagedAside(traces, PartitionSet.DayOf(clock.UnixMillis), clock, log);
            var partitions = Held(open, new PartitionSet(traces));
            var (floor, hint) = StoreOpening.Remembered(partitions, log);
            if (partitions.Files.Count == 0 && StoreOpening.LedgerBytes(options) > 0)
            {
                log($"'{traces}' holds no partition although the ledger is older than this start: the traces of former days are gone; the ledger and the vault still stand", null);
            }

            bool quick = hint is not null && StoreOpening.LedgerBytes(options) > options.QuickStartLedgerBytes;
            var ledger = Held(open, LedgerLog.Open(
                StoreOpening.OfLedger(options), quick ? hint : null, floor, clock, out var recovery));
            if (recovery.KeyLost)
            {
                log("the key of the ledger's current epoch was gone; the identity key opened a new epoch, and the ledger says so", null);
            }

            if (recovery.QuarantinedBytes > 0)
            {
                log($"the ledger ended in a torn tail of {recovery.QuarantinedBytes} bytes; it was moved to {recovery.QuarantineFile}", null);
            }

            return new EvidentStore(options, clock, log, ownership, vault, partitions, ledger, StoreOpening.OpenApprovals(options, partitions, log), quick, open);
        }
        catch
        {
            while (open.TryPop(out var held))
            {
                held.Dispose();
            }

            throw;
        }
    }

    /// <summary>Creates the directory when it is not there and takes its lock.</summary>
    /// <exception cref="DataDirectoryBusyException">Another process owns the directory.</exception>
    public static DataLock Own(string dataDirectory)
    {
        DurableDirectory.Create(dataDirectory);
        return DataLock.Acquire(Path.Combine(dataDirectory, "lock"));
    }

    private void Fail(Exception unknown)
    {
        Volatile.Write(ref state, (int)ReadyState.Failed);
        Action<Exception>? told;
        lock (gate)
        {
            if (failure is not null)
            {
                return;
            }

            failure = unknown;
            told = fatal;
        }

        told?.Invoke(unknown);
    }

    /// <summary>
    /// Cleans and seals on the calling thread, queues, and completes when all of it is durable. The batch is not used any more once the task is returned.
    /// Cancelling gives up the wait, never the request: once queued it is stored whole.
    /// </summary>
    /// <exception cref="QueueFullException">Nothing was stored; try again in a moment.</exception>
    /// <exception cref="StoreStoppedException">The store stops, or the writer failed and what became of the request is unknown.</exception>
    public ValueTask<IngestReceipt> IngestAsync(SpanBatch dirty, IngestSource source, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (dirty.SpanCount == 0)
        {
            return new ValueTask<IngestReceipt>(new IngestReceipt(0, 0, dirty.Rejected, dirty.RejectedReason));
        }

        try
        {
            return new ValueTask<IngestReceipt>(pipeline.Submit(dirty, source).WaitAsync(cancellation));
        }
        catch (QueueFullException)
        {
            Interlocked.Increment(ref refused);
            throw;
        }
        catch (VaultException full) when (full.Kind == VaultErrorKind.DiskFull)
        {
            Interlocked.Increment(ref refused);
            throw new QueueFullException($"the disk is full, nothing of the request was stored: {full.Message}");
        }
        catch (VaultException unknown) when (unknown.Kind == VaultErrorKind.Poisoned)
        {
            throw Stopped(unknown);
        }
    }

    /// <summary>A request thread found that nobody knows what the vault has on the disk: the writer's rule holds for it too.</summary>
    private StoreStoppedException Stopped(VaultException unknown)
    {
        Fail(unknown);
        return new StoreStoppedException("the vault no longer knows what is on the disk; the process stops so that the next start can look.", unknown);
    }

    /// <inheritdoc cref="RunReads.Find"/>
    public RunPage FindRuns(SpanQuery query, CancellationToken cancellation) => runs.Find(query, cancellation);

    /// <inheritdoc cref="SpanSearch.Find"/>
    public SpanPage FindSpans(SpanQuery query, CancellationToken cancellation) => runs.FindSpans(query, cancellation);

    /// <inheritdoc cref="RunReads.Get"/>
    public RunStory? GetRun(string runId, CancellationToken cancellation) => runs.Get(runId, cancellation);

    /// <inheritdoc cref="RunReads.Export"/>
    public byte[]? ExportRun(string runId, string format, CancellationToken cancellation) => runs.Export(runId, format, cancellation);

    /// <inheritdoc cref="RunReads.GetTrace"/>
    public TraceView? GetTrace(TraceId trace, CancellationToken cancellation) => runs.GetTrace(trace, cancellation);

    // Payloads sealed unredacted for the session's tenant since it was opened.
    private long CapturedIn(DebugSession session) => session.Opened is { } opened
        ? new VaultShredding(vault).CountDebug(vault.ResolveScope(IngestSource.DefaultWorkspace, System.Text.Encoding.UTF8.GetBytes(session.Wish.Tenant)).Id, opened)
        : 0;

    /// <summary>The ledger says that runs were exported, or records imported, durably on return.</summary>
    public Task RecordTransferAsync(TransferClaim claim, Actor actor) => exports.RecordAsync(claim, actor);

    /// <summary>The appliance's check of its own ledger.</summary>
    public LedgerCheck LedgerCheck { get; }

    public LedgerHeadView LedgerHead() => ledgerReads.Head();

    /// <summary>Durable entries from a sequence number on, at most <paramref name="limit"/> (1..1,000).</summary>
    public IReadOnlyList<LedgerLine> LedgerEntries(long from, int limit) => ledgerReads.Entries(from, limit);

    /// <summary>Newest first. What was durable before the call is looked at, unless the index lags by more than the query wait.</summary>
    /// <exception cref="StoreException">The cursor is none of ours.</exception>
    /// <exception cref="LedgerIndexException">The index does not agree with the ledger.</exception>
    public LedgerPage FindEntries(LedgerFilter filter, CancellationToken cancellation)
    {
        if (!filter.IsEmpty)
        {
            projections.CatchUp(options.QueryWaitMillis, cancellation);
        }

        return ledgerReads.Find(filter, cancellation);
    }

    /// <summary>Leads from the entry to the newest durable checkpoint; null when there is no such entry.</summary>
    public InclusionProof? LedgerProof(long seq) => ledgerReads.Proof(seq);

    /// <summary>The same to the smallest published size above the entry, as a C2SP tlog-proof (docs/evidence.md, section 2); null when no published size covers it.</summary>
    public byte[]? LedgerTlogProof(long seq) => ledgerReads.TlogProof(seq);

    /// <summary>
    /// Opens one payload. The ledger says so, durably, before the plaintext exists; when it cannot, there is no plaintext. The reason is sealed itself, and
    /// stands in the ledger as reference and commitment.
    /// </summary>
    /// <exception cref="PayloadDeniedException">Unknown, expired, shredded or damaged; the refusal is in the ledger.</exception>
    /// <exception cref="ArgumentException">No reason was given.</exception>
    public Task<VaultPayload> ReadPayloadAsync(string reference, string reason, Actor actor, CancellationToken cancellation) => ReadPayloadAsync(reference, null, reason, actor, cancellation);

    /// <summary>The same for a part of it: what was returned stands in the entry. The chunks of a part are authenticated; the commitment is over the whole.</summary>
    /// <param name="range">First byte and most bytes; null: the whole.</param>
    /// <exception cref="PayloadDeniedException">As above.</exception>
    /// <exception cref="ArgumentException">No reason was given, or the range begins behind the payload's end.</exception>
    public async Task<VaultPayload> ReadPayloadAsync(string reference, (long First, int Count)? range, string reason, Actor actor, CancellationToken cancellation)
    {
        try
        {
            return await payloads.ReadAsync(reference, range, reason, actor, cancellation).ConfigureAwait(false);
        }
        catch (VaultException unknown) when (unknown.Kind == VaultErrorKind.Poisoned)
        {
            throw Stopped(unknown);
        }
    }

    /// <summary>One payload with its salt, as a file that an auditor holds against the ledger (docs/evidence.md, section 8). The ledger says so, durably, before it exists.</summary>
    /// <exception cref="PayloadDeniedException">Unknown, expired, shredded or damaged; the refusal is in the ledger.</exception>
    public async Task<byte[]> DisclosePayloadAsync(string reference, string reason, string? recipient, Actor actor, CancellationToken cancellation)
    {
        try
        {
            var (payload, salt) = await payloads.DiscloseAsync(reference, reason, recipient, actor, cancellation).ConfigureAwait(false);
            return new Disclosure(writer.Ledger.Origin, payload.Ref, payload.Role, payload.ScopeId, salt, payload.Plaintext).Encode();
        }
        catch (VaultException unknown) when (unknown.Kind == VaultErrorKind.Poisoned)
        {
            throw Stopped(unknown);
        }
    }

    /// <summary>What proves a shredding to somebody else; publishes the head that it rests on.</summary>
    /// <param name="id">Of the intent's entry.</param>
    /// <exception cref="VaultActRefusedException">There is no such shredding, or it is not finished.</exception>
    public async Task<byte[]> CertifyShreddingAsync(string id, CancellationToken cancellation)
    {
        await PublishAsync(cancellation).ConfigureAwait(false);
        return ShredCertificate.Make(id, filter => FindEntries(filter, cancellation), LedgerTlogProof);
    }

    /// <summary>The price tables, oldest first; the last one is in force.</summary>
    public PriceBook Prices => prices;

    /// <inheritdoc cref="PriceBook.ImportAsync"/>
    public Task<PriceEdition> ImportPricesAsync(byte[] file, Actor actor) => prices.ImportAsync(file, acts, clock, actor);

    /// <summary>Rotation, shredding, legal holds and retention of the vault.</summary>
    public VaultActs VaultActs => vaultActs;

    /// <summary>
    /// The name or address behind a staff pseudonym; null when it is not in the register. The ledger says that it was asked for, durably, before the answer is looked up.
    /// </summary>
    /// <param name="staffId"><c>s_</c> and 32 hex digits.</param>
    /// <exception cref="ArgumentException">The id is none, or no reason was given.</exception>
    public async Task<string?> RevealIdentityAsync(string staffId, string reason, Actor actor, CancellationToken cancellation)
    {
        if (staffId.Length != 34 || !staffId.StartsWith("s_", StringComparison.Ordinal) || staffId.AsSpan(2).ContainsAnyExcept("0123456789abcdef"))
        {
            throw new ArgumentException("a staff pseudonym is s_ and 32 lower-case hex digits.", nameof(staffId));
        }

        await payloads.Record("identity.reveal", StoreActs.Words(reason), actor, null, entry => entry.Set("reveal", reveal => reveal.Set("staff_id", staffId))).WaitAsync(cancellation).ConfigureAwait(false);
        return identities.Reveal(staffId);
    }

    /// <summary>Debug sessions that wait for approval or are open, oldest first.</summary>
    public IReadOnlyList<DebugSession> DebugSessions => debug.All;

    /// <inheritdoc cref="Store.DebugSessions.RequestAsync"/>
    public Task<DebugSession> RequestDebugAsync(DebugWish wish, string reason, Actor actor, CancellationToken cancellation) => debug.RequestAsync(wish, reason, actor, cancellation);

    /// <inheritdoc cref="Store.DebugSessions.ApproveAsync"/>
    public Task<DebugSession> ApproveDebugAsync(string id, bool singleOperator, Actor actor, CancellationToken cancellation) => debug.ApproveAsync(id, singleOperator, actor, cancellation);

    /// <inheritdoc cref="Store.DebugSessions.CloseAsync"/>
    public Task<DebugSession> CloseDebugAsync(string id, Actor actor, CancellationToken cancellation) => debug.CloseAsync(id, actor, cancellation);

    /// <summary>Files the cosignatures under a copy of a published note, each as a file in <c>anchors/</c> and an entry; both are durable on return.</summary>
    /// <exception cref="AnchorRefusedException">The note is not this ledger's, or carries nothing to file.</exception>
    public Task<IReadOnlyList<FiledAnchor>> FileAnchorAsync(byte[] note, Actor actor, CancellationToken cancellation) => anchors.FileAsync(note, actor, cancellation);

    /// <summary>Publishes the durable head; completes when that is on stable storage.</summary>
    public Task PublishAsync(CancellationToken cancellation) => exports.PublishAsync(cancellation);

    /// <summary>Records an export in the ledger and, once that is durable, signs its manifest: the bytes of MANIFEST.note.</summary>
    /// <exception cref="ExportRefusedException">The claim does not describe a published head of this ledger and whole groups of it.</exception>
    public Task<byte[]> SignExportAsync(ExportClaim claim, Actor actor, CancellationToken cancellation) => exports.SignAsync(claim, actor, cancellation);

    /// <summary>The clean stop: refuse, drain, publish, store the hint for the next start, close. Safe to call again and after a failure.</summary>
    public void Close()
    {
        if (Interlocked.Exchange(ref closed, 1) != 0)
        {
            return;
        }

        Interlocked.CompareExchange(ref state, (int)ReadyState.Stopping, (int)ReadyState.Ready);
        LedgerCheck.Dispose();
        scrubber.Dispose();
        retention.Dispose();
        TellRefusals();
        queue.Close(null);
        readers.Dispose(); // readers before writers: the last connection folds the log into its file, and a reader cannot
        projections.Dispose();
        partitions.Dispose();
        writing.Join();
        writer.Dispose();
        partitions.Dispose(); // what the writer itself had opened for dedup
        ledger.Dispose();
        anchors.Dispose();
        debug.Dispose();
        identities.Dispose();
        vault.Dispose();
        ownership?.Dispose();
    }

    private void TellRefusals()
    {
        try
        {
            refusals.Flush(all: true);
        }
        catch (Exception e) when (e is StoreStoppedException or QueueFullException)
        {
            // the writer has failed: what it could not write is lost with the rest of this minute
        }
    }

    public void Dispose() => Close();

    private static T Held<T>(Stack<IDisposable> open, T opened)
        where T : IDisposable
    {
        open.Push(opened);
        return opened;
    }
}
