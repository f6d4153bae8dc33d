using Evident.Ingest;
using Evident.Ledger;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// Keeps <c>outcomes.db</c> in step with the partitions and the ledger, on a thread of its own: it follows every partition by the id of the last
/// block it has seen and the ledger by sequence number, and recomputes each run that a new block touches from all of the run's spans. What it has done is a
/// pure function of what it has read, so losing the file costs time only.
/// </summary>
internal sealed class Projections : IDisposable
{
    private const int BlocksPerRound = 32;
    private const int RestMillis = 50;
    private const int EntriesPerRound = 4_096;
    private const int CachedSpans = 4_096;
    private const int MaxNeighbours = 256; // traces that may be considered for one run at a time

    private readonly StoreOptions options;
    private readonly PriceBook prices;
    private readonly PartitionSet partitions;
    private readonly Func<(long Groups, long LedgerSize)> durable;
    private readonly string path, ledgerDirectory;
    private readonly Action<string, Exception?> log;
    private readonly Thread thread;
    private readonly object gate = new();

    // Guarded by gate.
    private bool signalled, stopping;
    private int waiters;
    private long projected = -1;
    private Exception? failure;
    private int generation;
    private long ledgerPosition;

    // Owned by the projection thread.
    private OutcomesFile? file;
    private Dictionary<string, (long Position, bool Done)> marks = [];
    private readonly Dictionary<(string Workspace, TraceId Trace), long> deferred = [];
    private readonly Dictionary<(string Workspace, TraceId Trace), Dictionary<SpanId, StoredSpan>> cache = [];
    private readonly LedgerFacts facts = new();
    private int cachedSpans;
    private bool ledgerChecked;
    private string current = ""; // the partition that is being followed, and its block up to which
    private long lastBlock;

    /// <param name="durable">How many groups are committed and how large the durable ledger is at this moment.</param>
    public Projections(StoreOptions options, PriceBook prices, PartitionSet partitions, Func<(long, long)> durable, Action<string, Exception?> log)
    {
        this.options = options;
        this.prices = prices;
        this.partitions = partitions;
        this.durable = durable;
        this.log = log;
        path = Path.Combine(options.DataDirectory, OutcomesFile.Name);
        ledgerDirectory = Path.Combine(options.DataDirectory, "ledger");
        file = OutcomesFile.Open(path, log);
        thread = new Thread(Run) { Name = "evident-projections", IsBackground = true };
    }

    /// <summary>Changes when the file was replaced and connections to it are stale.</summary>
    public int Generation => Volatile.Read(ref generation);

    /// <summary>Ledger entries that are in the file.</summary>
    public long LedgerPosition => Volatile.Read(ref ledgerPosition);

    public void Start() => thread.Start();

    /// <summary>Something new is durable. Cheap; called by the writer.</summary>
    public void Signal()
    {
        lock (gate)
        {
            signalled = true;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Waits until everything that is committed now is in the file, at most so many milliseconds.</summary>
    /// <exception cref="StoreException">The projections have failed.</exception>
    public void CatchUp(int maxMillis, CancellationToken cancellation)
    {
        long target = durable().Groups, deadline = Environment.TickCount64 + maxMillis;
        using var registration = cancellation.Register(Signal);
        lock (gate)
        {
            waiters++;
            signalled = true;
            Monitor.PulseAll(gate);
            try
            {
                while ((projected < target || deferredCount > 0) && failure is null && !stopping)
                {
                    cancellation.ThrowIfCancellationRequested();
                    long left = deadline - Environment.TickCount64;
                    if (left <= 0 || !Monitor.Wait(gate, (int)left))
                    {
                        break; // the projections are behind: an older answer is better than none
                    }
                }
            }
            finally
            {
                waiters--;
            }

            if (failure is not null)
            {
                throw new StoreException($"the run directory cannot be kept: {failure.Message}", failure);
            }
        }
    }

    private int deferredCount; // guarded by gate

    public void Dispose()
    {
        lock (gate)
        {
            stopping = true;
            Monitor.PulseAll(gate);
        }

        if (thread.IsAlive)
        {
            thread.Join();
        }

        file?.Dispose();
        file = null;
    }

    private void Run()
    {
        try
        {
            Load();
            for (bool rebuilt = false; ;)
            {
                var (groups, ledgerSize) = durable();
                try
                {
                    MustBeOfThisLedger(ledgerSize);
                    Follow();
                    FollowLedger(ledgerSize);
                    Deferred();
                    rebuilt = false;
                }
                catch (Exception damage) when (!rebuilt && damage is SqliteException or InvalidDataException)
                {
                    rebuilt = true;
                    log($"'{path}' is damaged and is rebuilt: {damage.Message}", damage);
                    file!.Dispose();
                    OutcomesFile.Delete(path);
                    file = OutcomesFile.Open(path, log);
                    Interlocked.Increment(ref generation);
                    Load();
                    continue;
                }

                lock (gate)
                {
                    projected = groups;
                    deferredCount = deferred.Count;
                    Monitor.PulseAll(gate);
                    long resume = Environment.TickCount64 + RestMillis;
                    while (!stopping && waiters == 0 && (!signalled || Environment.TickCount64 < resume))
                    {
                        // Many small groups become one transaction; a query that waits ends the rest at once.
                        if (!Monitor.Wait(gate, signalled ? (int)Math.Max(1, resume - Environment.TickCount64) : deferred.Count > 0 ? 200 : 5_000) && !signalled)
                        {
                            break;
                        }
                    }

                    signalled = false;
                    if (stopping)
                    {
                        return;
                    }
                }
            }
        }
        catch (Exception unexpected)
        {
            log("the projections stop; runs cannot be listed until the restart, nothing acknowledged is lost", unexpected);
            lock (gate)
            {
                failure = unexpected;
                Monitor.PulseAll(gate);
            }
        }
    }

    private bool Stopping
    {
        get
        {
            lock (gate)
            {
                return stopping;
            }
        }
    }

    private void Load()
    {
        marks = file!.Watermarks();
        Volatile.Write(ref ledgerPosition, marks.GetValueOrDefault(LedgerIndex.Source).Position);
        cache.Clear();
        cachedSpans = 0;
        deferred.Clear();
        (current, lastBlock) = ("", 0);
        foreach (var dirty in file.DirtyTraces())
        {
            deferred[dirty] = 0;
        }
    }

    private void Follow()
    {
        var files = partitions.Files;
        for (int i = 0; i < files.Count; i++)
        {
            var at = files[i];
            var (position, done) = marks.GetValueOrDefault(at.Name);
            while (!done && !Stopping)
            {
                IReadOnlyList<ReadBlock> blocks = [];
                if (!at.TryRead(reader => blocks = reader.ReadBlocks(position, BlocksPerRound), log))
                {
                    break; // unavailable: its runs stay as they were, or are not listed
                }

                if (blocks.Count == 0)
                {
                    if (i < files.Count - 1)
                    {
                        file!.Mark(at.Name, position, done: true); // only the newest partition grows
                        marks[at.Name] = (position, true);
                    }

                    break;
                }

                (current, lastBlock) = (at.Name, blocks[^1].Id);
                file!.Begin();
                Project(blocks);
                file.Mark(at.Name, lastBlock, done: false);
                file.Commit();
                position = lastBlock;
                marks[at.Name] = (position, false);
            }
        }
    }

    private void Project(IReadOnlyList<ReadBlock> blocks)
    {
        var touched = new Dictionary<(string Workspace, TraceId Trace), List<StoredSpan>>();
        foreach (var block in blocks)
        {
            foreach (var span in block.Spans)
            {
                var key = (block.Workspace, span.TraceId);
                if (!touched.TryGetValue(key, out var list))
                {
                    touched.Add(key, list = []);
                }

                list.Add(span);
            }
        }

        var changed = new Dictionary<(string Workspace, TraceId Trace), TraceRow>();
        foreach (var (key, spans) in touched)
        {
            var row = file!.FindTrace(key.Workspace, key.Trace);
            if (row is not null && row.Spans > options.LargeRunSpans && !HasWaiters)
            {
                Forget(key);
                file.MarkDirty(key.Workspace, key.Trace);
                deferred.TryAdd(key, Environment.TickCount64);
                continue;
            }

            changed.Add(key, Take(key, row, spans));
        }

        Stitch(changed);
        Trim();
    }

    // Large runs whose time has come, or all of them when a query waits.
    private void Deferred()
    {
        long now = Environment.TickCount64;
        bool all = HasWaiters;
        List<(string Workspace, TraceId Trace)> due = [];
        foreach (var (key, since) in deferred)
        {
            if (all || now - since >= options.LargeRunMillis)
            {
                due.Add(key);
            }
        }

        if (due.Count == 0)
        {
            return;
        }

        file!.Begin();
        var changed = new Dictionary<(string Workspace, TraceId Trace), TraceRow>();
        foreach (var key in due)
        {
            deferred.Remove(key);
            if (file.FindTrace(key.Workspace, key.Trace) is { } row)
            {
                changed.Add(key, Take(key, row, []));
            }
        }

        Stitch(changed);
        Trim();
        file.Commit();
    }

    private bool HasWaiters
    {
        get
        {
            lock (gate)
            {
                return waiters > 0;
            }
        }
    }

    // Brings one trace's own row up to date; its run follows in Stitch.
    private TraceRow Take((string Workspace, TraceId Trace) key, TraceRow? row, List<StoredSpan> added)
    {
        if (cache.TryGetValue(key, out var spans))
        {
            cachedSpans -= spans.Count;
            Merge(key.Workspace, spans, added);
        }
        else
        {
            spans = [];
            if (row is null)
            {
                Merge(key.Workspace, spans, added); // the first time that anything of this trace is seen: there is nothing else to read
            }
            else
            {
                ReadAll(key, string.CompareOrdinal(current, row.FirstDay) < 0 && added.Count > 0 ? current : row.FirstDay, spans);
            }

            cache.Add(key, spans);
        }

        cachedSpans += spans.Count;
        var alone = RunSummary.Of(spans.Values, options.Tools, prices);
        var facts = TraceFacts.Of(alone);
        string firstDay = row is null || (added.Count > 0 && string.CompareOrdinal(current, row.FirstDay) < 0) ? current : row.FirstDay;
        file!.PutTrace(key.Workspace, facts, row?.Facts.Links ?? [], spans.Count, firstDay);
        return new TraceRow(facts, row?.Run, spans.Count, firstDay) { Alone = alone };
    }

    private void Merge(string workspace, Dictionary<SpanId, StoredSpan> spans, IEnumerable<StoredSpan> added)
    {
        foreach (var span in added)
        {
            if (spans.TryGetValue(span.SpanId, out var earlier))
            {
                file!.PutRevised(workspace, span.Key());
                spans[span.SpanId] = StoredSpan.Merge([earlier, span]);
            }
            else
            {
                spans.Add(span.SpanId, span);
            }
        }
    }

    private Dictionary<SpanId, StoredSpan> SpansOf(string workspace, TraceRow row)
    {
        var key = (workspace, row.Facts.Trace);
        if (!cache.TryGetValue(key, out var spans))
        {
            ReadAll(key, row.FirstDay, spans = []);
            cache.Add(key, spans);
            cachedSpans += spans.Count;
        }

        return spans;
    }

    // Only what the watermarks have passed: the result must not depend on how far the writer has come.
    private void ReadAll((string Workspace, TraceId Trace) key, string firstDay, Dictionary<SpanId, StoredSpan> into)
    {
        foreach (var at in partitions.Files)
        {
            long passed = at.Name == current ? lastBlock : marks.GetValueOrDefault(at.Name).Position;
            if (passed > 0 && string.CompareOrdinal(at.Name, firstDay) >= 0)
            {
                var found = new List<StoredSpan>();
                at.TryRead(reader => reader.ReadTrace(key.Trace, key.Workspace, passed, found, CancellationToken.None), log);
                Merge(key.Workspace, into, found);
            }
        }
    }

    private void Stitch(Dictionary<(string Workspace, TraceId Trace), TraceRow> changed)
    {
        var settled = new HashSet<(string, TraceId)>();
        foreach (var ((workspace, trace), row) in changed)
        {
            if (settled.Contains((workspace, trace)))
            {
                continue;
            }

            var near = Neighbourhood(workspace, row, changed);
            var groups = Stitching.Group(near.Values.Select(r => r.Facts));
            var former = new HashSet<string>(StringComparer.Ordinal);
            foreach (var group in groups)
            {
                string runId = group.Select(t => t.RunId).FirstOrDefault(id => id is not null) ?? group[0].Trace.ToString();
                bool affected = group.Any(t => changed.ContainsKey((workspace, t.Trace)) || near[t.Trace].Run != runId);
                foreach (var member in group)
                {
                    settled.Add((workspace, member.Trace));
                    if (near[member.Trace].Run is { } old && old != runId)
                    {
                        former.Add(old);
                    }
                }

                if (affected)
                {
                    var summary = group.Count == 1 && near[group[0].Trace].Alone is { } alone ? alone
                        : RunSummary.Of(group.SelectMany(t => SpansOf(workspace, near[t.Trace]).Values), options.Tools, prices);
                    file!.PutRun(workspace, summary, summary.View with { RunId = runId }, group.Select(t => t.Trace));
                }
            }

            foreach (string old in former)
            {
                file!.DropRunWhenEmpty(workspace, old);
            }
        }
    }

    // Everything that is or could be tied to the trace: by its run so far, run id, links in either direction, its session's neighbours in time.
    private Dictionary<TraceId, TraceRow> Neighbourhood(string workspace, TraceRow start, Dictionary<(string Workspace, TraceId Trace), TraceRow> changed)
    {
        var near = new Dictionary<TraceId, TraceRow> { [start.Facts.Trace] = start };
        var open = new Queue<TraceRow>([start]);
        var runs = new HashSet<string>(StringComparer.Ordinal);

        void Reach(TraceRow? row)
        {
            if (row is not null && near.Count < MaxNeighbours && !near.ContainsKey(row.Facts.Trace))
            {
                row = changed.GetValueOrDefault((workspace, row.Facts.Trace), row);
                near.Add(row.Facts.Trace, row);
                open.Enqueue(row);
            }
        }

        while (open.TryDequeue(out var row))
        {
            var facts = row.Facts;
            if (facts.RunId is { } run && runs.Add(run))
            {
                file!.TracesOfRunId(workspace, run, MaxNeighbours).ForEach(Reach);
                Reach(TraceId.TryParse(run, out var named) ? file.FindTrace(workspace, named) : null);
            }

            string own = facts.Trace.ToString();
            if (runs.Add(own))
            {
                file!.TracesOfRunId(workspace, own, MaxNeighbours).ForEach(Reach);
            }

            foreach (var link in facts.Links.Concat(file!.TracesThatLinkTo(workspace, facts.Trace, MaxNeighbours)))
            {
                Reach(file.FindTrace(workspace, link));
            }

            if (facts.SessionId is { } session)
            {
                foreach (var neighbour in file.TracesOfSession(workspace, session, facts.Start, 2))
                {
                    // Only a waiting trace is ever tied to the one after it; with every waiting one its successor is here, so the pairs are the true ones.
                    bool before = neighbour.Facts.Start < facts.Start;
                    Reach((before ? neighbour.Facts.Waiting : facts.Waiting) || neighbour.Facts.Start == facts.Start ? neighbour : null);
                }
            }

            if (row.Run is { } tied)
            {
                file.TracesOfRun(workspace, tied, MaxNeighbours).ForEach(Reach); // what was tied before may have to be parted
            }
        }

        return near;
    }

    // The file may be newer than the ledger beside it, or from another history: a restored copy. Looked at once, before anything is added.
    private void MustBeOfThisLedger(long durableSize)
    {
        long position = marks.GetValueOrDefault(LedgerIndex.Source).Position;
        if (ledgerChecked || position == 0)
        {
            return;
        }

        if (position > durableSize)
        {
            throw new InvalidDataException($"it has taken up {position} ledger entries, and the ledger has {durableSize}");
        }

        foreach (var line in LedgerReader.Read(ledgerDirectory, position - 1, 1, durableSize))
        {
            if (!facts.Read(line) || !file!.Ledger.Holds(facts))
            {
                throw new InvalidDataException($"entry {position - 1} of the ledger is not the one that it has taken up");
            }
        }

        ledgerChecked = true;
    }

    private void FollowLedger(long durableSize)
    {
        long position = marks.GetValueOrDefault(LedgerIndex.Source).Position;
        while (position < durableSize && !Stopping)
        {
            file!.Begin();
            long before = position;
            foreach (var line in LedgerReader.Read(ledgerDirectory, position, EntriesPerRound, durableSize))
            {
                Index(line);
                position = line.Seq + 1;
            }

            file.Mark(LedgerIndex.Source, position, done: false);
            file.Commit();
            marks[LedgerIndex.Source] = (position, false);
            Volatile.Write(ref ledgerPosition, position);
            if (position == before)
            {
                throw new StoreException($"the ledger is durable up to {durableSize} entries and gives none after {position}.");
            }
        }
    }

    private void Index(LedgerLine line)
    {
        if (!facts.Read(line))
        {
            throw new StoreException($"ledger entry {line.Seq} is no entry of version 1: run 'evident verify'.");
        }

        file!.Ledger.Put(facts);
    }

    private void Forget((string, TraceId) key)
    {
        if (cache.Remove(key, out var spans))
        {
            cachedSpans -= spans.Count;
        }
    }

    private void Trim()
    {
        if (cachedSpans > CachedSpans)
        {
            cache.Clear();
            cachedSpans = 0;
        }
    }
}
