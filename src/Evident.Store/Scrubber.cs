using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// Reads the whole ledger from the disk again, over and over, on a thread of the lowest priority that rests nine times as long as it works: what was altered or lost
/// behind the appliance's back must not go on being served as the record until somebody verifies. What it knows is told by heartbeats and by the status of the appliance.
/// </summary>
internal sealed class Scrubber : IProgress<long>, IDisposable
{
    private const int EntriesPerTurn = 4_096; // some 20 ms of work
    private const int RestFactor = 9, LongestRestMillis = 2_000;

    private readonly StoreOptions options;
    private readonly IClock clock;
    private readonly VaultStore vault;
    private readonly Func<long> durableSize;
    private readonly Action<Exception> altered;
    private readonly Action<string, Exception?> log;
    private readonly string ledgerDirectory;
    private readonly CancellationTokenSource stopping = new();
    private readonly Thread thread;

    // Owned by the thread.
    private long turnEnd, turnStarted, target;

    // Written by the thread, read by all.
    private long scrubbedTo, errors, orphans = -1, finished = -1;

    /// <param name="readAtStart">Entries that the start itself has read from the disk; 0 after a quick start, the first round then begins at once.</param>
    /// <param name="durableSize">Durable entries of the ledger at this moment.</param>
    /// <param name="altered">Called once, on the thread, when the ledger is not what was signed.</param>
    public Scrubber(
        StoreOptions options, IClock clock, VaultStore vault, string ledgerDirectory, long readAtStart, Func<long> durableSize, Action<Exception> altered, Action<string, Exception?> log)
    {
        (this.options, this.clock, this.vault, this.ledgerDirectory, this.durableSize, this.altered, this.log) = (options, clock, vault, ledgerDirectory, durableSize, altered, log);
        scrubbedTo = readAtStart;
        finished = readAtStart > 0 ? clock.UnixMillis : -1;
        thread = new Thread(Run) { Name = "evident-scrub", IsBackground = true, Priority = ThreadPriority.Lowest };
    }

    /// <summary>The first so many entries were read from the disk since the start.</summary>
    public long ScrubbedTo => Volatile.Read(ref scrubbedTo);

    /// <summary>Rounds that found something that could not be read.</summary>
    public long Errors => Volatile.Read(ref errors);

    /// <summary>Sealed payloads without a row in the vault, as of the newest round; null before it.</summary>
    public long? OrphanPayloads => Volatile.Read(ref orphans) is >= 0 and var count ? count : null;

    /// <summary>When the newest round ended, Unix milliseconds; null before the first.</summary>
    public long? FinishedUnixMillis => Volatile.Read(ref finished) is >= 0 and var time ? time : null;

    public void Start() => thread.Start();

    /// <summary>Progress of the round; rests.</summary>
    public void Report(long value)
    {
        long passed = Math.Min(value, target);
        if (passed > ScrubbedTo)
        {
            Volatile.Write(ref scrubbedTo, passed);
        }

        if (value - turnEnd >= EntriesPerTurn)
        {
            turnEnd = value;
            long worked = Environment.TickCount64 - turnStarted;
            stopping.Token.WaitHandle.WaitOne((int)Math.Min(LongestRestMillis, (worked + 1) * RestFactor));
            turnStarted = Environment.TickCount64;
        }
    }

    /// <summary>Ends the round at its next group and the thread with it; the next start looks again.</summary>
    public void Dispose()
    {
        stopping.Cancel();
        if (thread.IsAlive && thread != Thread.CurrentThread)
        {
            thread.Join();
        }
    }

    private void Run()
    {
        try
        {
            CountOrphans();
            for (bool atOnce = ScrubbedTo == 0; atOnce || Rest(); atOnce = false)
            {
                if (!Round())
                {
                    return;
                }

                CountOrphans();
            }
        }
        catch (OperationCanceledException)
        {
            // the store closes
        }
    }

    // False once the ledger was found altered: the process is about to stop.
    private bool Round()
    {
        (target, turnEnd, turnStarted) = (durableSize(), 0, Environment.TickCount64);
        var found = LedgerScrub.Check(ledgerDirectory, target, this, stopping.Token);
        if (found.Altered is { } alteration)
        {
            Interlocked.Increment(ref errors);
            log($"the ledger was altered on the disk; the process stops. Run `evident verify`. {alteration}", null);
            altered(new LedgerStateException(alteration));
            return false;
        }

        if (found.Unreadable is { } why)
        {
            Interlocked.Increment(ref errors);
            log($"the ledger could not be read whole from the disk, only {found.Entries} of {target} entries are confirmed; look at the disk and run `evident verify`. {why}", null);
        }

        Volatile.Write(ref scrubbedTo, Math.Max(ScrubbedTo, found.Entries));
        Volatile.Write(ref finished, clock.UnixMillis);
        return true;
    }

    // False when the store closes.
    private bool Rest()
    {
        long due = clock.MonotonicMillis + (options.ScrubHours * 3_600_000L);
        while (clock.MonotonicMillis < due)
        {
            if (stopping.Token.WaitHandle.WaitOne(options.IdleMillis))
            {
                return false;
            }
        }

        return true;
    }

    private void CountOrphans()
    {
        try
        {
            Volatile.Write(ref orphans, vault.Status().OrphanBodies);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log($"the vault's packs could not be counted: {e.Message}", e);
        }
    }
}
