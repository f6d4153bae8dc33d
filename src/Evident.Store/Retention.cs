using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>What the sweep of the vault knows of itself.</summary>
/// <param name="Suspended">The wall clock is not plausible: nothing expires until a person confirms it.</param>
/// <param name="TrustedUnixMillis">When the clock was last trusted; null before the first sweep.</param>
/// <param name="Promoted">Payloads kept longer since the start.</param>
/// <param name="Expired">Payloads ended since the start.</param>
public sealed record RetentionStatus(bool Suspended, long? TrustedUnixMillis, long Promoted, long Expired);

/// <summary>
/// Ends payloads whose day is over, at the start and every ten minutes: what is to be kept longer is wrapped anew under the long class first, then all keys of past days are destroyed in one generation of the
/// keystore and their packs removed (<see cref="ShredPlan"/>). On a thread of its own; what changes the vault is done by the writer between two groups.
/// </summary>
internal sealed class Retention : IDisposable
{
    private const int KeptAtOnce = 256; // bodies in one request to the writer

    private readonly StoreOptions options;
    private readonly IClock clock;
    private readonly VaultStore vault;
    private readonly VaultShredding shredding;
    private readonly StoreActs acts;
    private readonly LegalHolds holds;
    private readonly KeptPayloads keeps;
    private readonly Projections projections;
    private readonly Action<string, Exception?> log;
    private readonly ClockGuard guard;
    private readonly string vaultDirectory;
    private readonly Action tick;
    private readonly CancellationTokenSource stopping = new();
    private readonly Thread thread;
    private readonly object gate = new(); // one sweep at a time; the guard
    private volatile bool suspended;
    private long promoted, expired;

    /// <param name="lastKnown">The newest time that the ledger knew before this start, Unix milliseconds.</param>
    /// <param name="tick">Called every second or so, for what else waits for its time.</param>
    public Retention(
        StoreOptions options, IClock clock, VaultStore vault, StoreActs acts, LegalHolds holds, KeptPayloads keeps, Projections projections, long? lastKnown, Action tick, Action<string, Exception?> log)
    {
        this.tick = tick;
        (this.options, this.clock, this.vault, this.acts, this.holds, this.keeps, this.projections, this.log) = (options, clock, vault, acts, holds, keeps, projections, log);
        shredding = new VaultShredding(vault);
        vaultDirectory = Path.Combine(options.DataDirectory, "vault");
        guard = new ClockGuard(Path.Combine(options.DataDirectory, "clock"), clock, lastKnown);
        thread = new Thread(Run) { Name = "evident-retention", IsBackground = true, Priority = ThreadPriority.BelowNormal };
    }

    public RetentionStatus Status => new(suspended, guard.TrustedUnixMillis, Volatile.Read(ref promoted), Volatile.Read(ref expired));

    public void Start() => thread.Start();

    /// <summary>A person says that the clock is right; the ledger says so too.</summary>
    public async Task ConfirmClockAsync(Actor actor)
    {
        long now = clock.UnixMillis;
        await acts.RunAsync(actor, null, (ledger, _) => ledger.AppendOwn("ledger.clock", entry => entry.Set("clock", at => at
            .Set("before", Rfc3339.FormatMillis(guard.TrustedUnixMillis ?? now)).Set("after", Rfc3339.FormatMillis(now)).Set("mono_delta_ms", 0).Set("confirmed", true)))).ConfigureAwait(false);
        lock (gate)
        {
            guard.Confirm();
            suspended = false;
        }
    }

    /// <summary>One round.</summary>
    /// <exception cref="StoreStoppedException">The store stops.</exception>
    public void Sweep(CancellationToken cancellation)
    {
        lock (gate)
        {
            bool plausible = guard.Check();
            if (!plausible && !suspended)
            {
                log("the wall clock is far ahead of what it can be: no payload expires until `evident vault confirm-clock` says that it is right", null);
            }

            suspended = !plausible;
            int today = VaultShredding.DayOf(clock.UnixMillis);
            if (!plausible || !(shredding.HasKeysBefore(today) || shredding.Packs() is [{ Day: var oldest }, ..] && oldest < today))
            {
                return;
            }

            if (ShredPlan.Left(vaultDirectory) is { } left) // a full disk was in its way
            {
                acts.RunAsync(StoreActs.Appliance, null, (ledger, _) => VaultActs.TryCarryOut(left, options, clock, vault, ledger)).GetAwaiter().GetResult();
            }

            projections.CatchUp(int.MaxValue, cancellation); // a run that failed must be known to have failed
            List<string> over = [];
            var ended = new ReferenceList();
            foreach (var pack in shredding.Packs())
            {
                if (pack.Day < today)
                {
                    over.Add(pack.Name);
                    End(pack, ended, cancellation);
                }
            }

            ended.Sort();
            string root = ended.Root(), id = NewId();
            VaultException? full = null;
            acts.RunAsync(StoreActs.Appliance, null, (ledger, act) =>
            {
                var intent = EntryDraft.Create("vault.shred.intent", id, entry =>
                {
                    entry.Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("workspace", IngestSource.DefaultWorkspace).Set("channel", "system")
                        .Set("shred", shred => shred.Set("by", "expiry").Set("value", VaultShredding.TextOf(today - 1)).Set("count", (long)ended.Count).Set("refs_root", root)
                            .Set("keystore_before", vault.Generation));
                    act(entry);
                });
                full = VaultActs.TryCarryOut(
                    new ShredPlan(id, today, over, [], ended.Count, root, ledger.Head.Size, intent.Bytes.ToArray()), options, clock, vault, ledger);
            }).GetAwaiter().GetResult();
            if (full is not null)
            {
                throw full;
            }

            Interlocked.Add(ref expired, ended.Count);
        }
    }

    /// <summary>Ends the thread; a round that is under way is finished by the next start.</summary>
    public void Dispose()
    {
        stopping.Cancel();
        if (thread.IsAlive && thread != Thread.CurrentThread)
        {
            thread.Join();
        }
    }

    // Keeps what is to be kept; adds the rest to what ends.
    private void End(PackId pack, ReferenceList ended, CancellationToken cancellation)
    {
        var references = new ReferenceList();
        var byRun = new Dictionary<string, List<int>>(StringComparer.Ordinal);
        long oldest = long.MaxValue, newest = 0;
        var days = new HashSet<int>();
        shredding.ReadWraps(pack, (reference, _, offset, created) =>
        {
            (oldest, newest) = (Math.Min(oldest, created), Math.Max(newest, created));
            days.Add(VaultShredding.DayOf(created));
            references.Add(reference, offset);
        });
        references.Sort();
        if (references.Count > 0 && !pack.IsDebug && (pack.IsShort || holds.All.Count > 0))
        {
            HoldTenants(pack, references, Keep);
            // A payload is sealed before its span is stored: at midnight that is the next partition.
            string from = VaultShredding.TextOf(VaultShredding.DayOf(oldest)), to = VaultShredding.TextOf(VaultShredding.DayOf(newest) + 1);
            keeps.Find(references, from, to, [.. days.Select(VaultShredding.TextOf)], onlyHeld: !pack.IsShort, Keep, cancellation);
            var before = KeptBefore(pack, references);
            foreach (var (run, some) in byRun)
            {
                some.RemoveAll(before.Contains);
                for (int at = 0; at < some.Count; at += KeptAtOnce)
                {
                    cancellation.ThrowIfCancellationRequested();
                    KeepSome(pack, references, run, some.GetRange(at, Math.Min(KeptAtOnce, some.Count - at)));
                }
            }
        }

        ended.AddEnded(references);

        void Keep(int index, string run)
        {
            if (!byRun.TryGetValue(run, out var some))
            {
                byRun[run] = some = [];
            }

            some.Add(index);
        }
    }

    private void HoldTenants(PackId pack, ReferenceList references, Action<int, string> keep)
    {
        if (!holds.AnyScope)
        {
            return;
        }

        shredding.ReadWraps(pack, (reference, scope, _, _) =>
        {
            if (holds.HoldsScope(Convert.ToHexStringLower(scope)) && references.Find(reference) is >= 0 and var index && !references.IsKept(index))
            {
                references.Keep(index);
                keep(index, "");
            }
        });
    }

    // A round that was interrupted has kept some of them already, in a pack of the long class as of its own day.
    private HashSet<int> KeptBefore(PackId pack, ReferenceList references)
    {
        var done = new HashSet<int>();
        foreach (var other in shredding.Packs())
        {
            if (other is { IsShort: false, IsDebug: false } && other.Day > pack.Day + options.VaultLongDays)
            {
                shredding.ReadWraps(other, (reference, _, _, _) =>
                {
                    if (references.Find(reference) is >= 0 and var index && references.IsKept(index))
                    {
                        done.Add(index);
                    }
                });
            }
        }

        return done;
    }

    private void KeepSome(PackId pack, ReferenceList references, string run, List<int> some)
    {
        var batch = vault.NewBatch();
        List<string> done = [];
        try
        {
            foreach (int one in some)
            {
                string reference = references.Name(one);
                if (TryKeep(reference, pack, references.Offset(one), batch))
                {
                    done.Add(reference);
                }
                else
                {
                    references.Keep(one, keep: false); // erased before, or damaged: it ends with the others
                }
            }

            if (done.Count == 0)
            {
                batch.Dispose();
                return;
            }
        }
        catch
        {
            batch.Dispose();
            throw;
        }

        string root = ReferenceList.RootOf(done);
        var draft = EntryDraft.Create("vault.promote", NewId(), entry => entry
            .Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("workspace", IngestSource.DefaultWorkspace).SetIf("run_id", run.Length > 0 ? run : null)
            .Set("promote", promote => promote.Set("from", pack.IsShort ? "short" : "long").Set("to", "long").Set("count", (long)done.Count).Set("refs_root", root)
                .Set("expires", VaultShredding.TextOf(VaultShredding.DayOf(clock.UnixMillis) + options.VaultLongDays))));
        acts.StoreAsync(batch, [draft]).GetAwaiter().GetResult();
        Interlocked.Add(ref promoted, done.Count);
    }

    private bool TryKeep(string reference, PackId pack, long offset, SealedBatch batch)
    {
        try
        {
            return shredding.TryKeep(reference, pack, offset, batch);
        }
        catch (VaultException damage) when (damage.Kind == VaultErrorKind.Tampered)
        {
            log($"payload {reference} was to be kept longer and cannot be: {damage.Message}", damage);
            return false;
        }
    }

    private static string NewId()
    {
        Span<byte> id = stackalloc byte[16];
        Sodium.RandomBytes(id);
        return Convert.ToHexStringLower(id);
    }

    private void Run()
    {
        long due = 0;
        while (!stopping.Token.WaitHandle.WaitOne(options.IdleMillis))
        {
            try
            {
                tick();
                if (options.SweepMinutes > 0 && clock.MonotonicMillis >= due)
                {
                    due = clock.MonotonicMillis + (options.SweepMinutes * 60_000L);
                    Sweep(stopping.Token);
                }
            }
            catch (Exception end) when (end is OperationCanceledException or StoreStoppedException)
            {
                return; // the store closes, or the writer has failed and says so itself
            }
            catch (Exception e) when (e is QueueFullException or StoreException or VaultException or IOException or UnauthorizedAccessException)
            {
                log("payloads whose day is over could not be ended; the next round tries again", e);
            }
        }
    }
}
