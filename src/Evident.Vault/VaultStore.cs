using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// The payload vault: sealed bodies in packs per data class and expiry day, their keys in a key ring that can forget. Formats:
/// docs/vault-format.md. The caller owns the data directory (one process) and calls <see cref="Append"/> and <see cref="Sync"/> from
/// one thread; everything else may be called from any.
/// </summary>
public sealed class VaultStore : IDisposable
{
    private readonly VaultOptions options;
    private readonly KeyRing ring;
    private readonly PackWriter packs;
    private readonly WrapFinder wraps;
    private readonly RecordOpener opener;
    private readonly OrphanCount orphans;
    private readonly Lock statusGate = new();
    private volatile Exception? failure;
    private volatile bool closed;
    private int uses;

    private VaultStore(VaultOptions options, IClock clock, KeyRing ring, Action<string> step)
    {
        this.options = options;
        Clock = clock;
        this.ring = ring;
        packs = new PackWriter(options.Directory, step);
        wraps = new WrapFinder(options.Directory, packs.DurableWrapsLength);
        opener = new RecordOpener(options.Directory, ring, clock, wraps);
        orphans = new OrphanCount(options.Directory);
    }

    internal IClock Clock { get; }

    /// <summary>
    /// Opens the vault, or creates it (the master key, 0600, and generation 1 of the keystore) when nothing of it is there yet.
    /// Finishes a keystore rewrite that a crash interrupted.
    /// </summary>
    /// <exception cref="VaultException">Unopenable or Sealed; nothing was created or changed.</exception>
    /// <exception cref="IOException">A file could not be read or written.</exception>
    public static VaultStore Open(VaultOptions options, IClock clock) => Open(options, clock, static _ => { });

    /// <param name="step">Called after each durable step (keystore) and before each of a sync; throwing there is a crash.</param>
    internal static VaultStore Open(VaultOptions options, IClock clock, Action<string> step)
    {
        options.Check();
        return new VaultStore(options, clock, KeyRing.Open(options, clock, step), step);
    }

    /// <summary>
    /// The scope of a tenant inside a workspace; a new one is durable before it is returned. Any bytes are a tenant, none at all
    /// included. At the cap new tenants get the workspace's overflow scope.
    /// </summary>
    /// <param name="workspace">1..128 UTF-8 bytes, from the credential, never from a sender.</param>
    /// <exception cref="VaultException">Poisoned or DiskFull.</exception>
    public VaultScope ResolveScope(string workspace, ReadOnlySpan<byte> tenant)
    {
        using Use use = Enter();
        try
        {
            return ring.Resolve(workspace, tenant).Scope;
        }
        catch (Exception e) when (e is not ArgumentException)
        {
            throw Failed("Making a scope durable", e);
        }
    }

    /// <summary>Every scope of a workspace, the overflow scope included; a copy.</summary>
    public IReadOnlyList<VaultScope> Scopes(string workspace)
    {
        using Use use = Enter();
        return ring.ScopesOf(workspace);
    }

    /// <summary>Makes the scopes that are missing in one rewrite of the keystore; for a request that names many tenants at once.</summary>
    public void PrepareScopes(string workspace, IReadOnlyList<ReadOnlyMemory<byte>> tenants) =>
        Change("Making scopes durable", (keys, _) => keys.Prepare(workspace, tenants));

    /// <summary>Payloads of one request; any thread, one at a time.</summary>
    public SealedBatch NewBatch() => new(this);

    /// <summary>
    /// Writer thread only. Adds bodies to the packs of their class and day. Not durable, and its wraps not on disk, before
    /// <see cref="Sync"/>. The batch may be disposed afterwards.
    /// </summary>
    /// <exception cref="VaultException">DiskFull: nothing since the last Sync was kept, the vault goes on. Poisoned.</exception>
    public void Append(IReadOnlyList<SealedRecord> records) =>
        Change("Appending payloads", (_, into) => into.Append(records));

    /// <summary>
    /// Writer thread only. Returns when every payload appended so far is on stable storage: bodies first, then their wraps. After any
    /// error but DiskFull nobody knows what is on the disk: the vault is poisoned and the process must stop.
    /// </summary>
    public void Sync() =>
        Change("Syncing payloads", static (_, into) => into.Sync());

    /// <summary>The authenticated payload. The caller has ledgered the read, durably, before this is called.</summary>
    /// <exception cref="VaultException">Malformed, NotFound, Expired, Shredded, Tampered, Poisoned.</exception>
    public VaultPayload Read(string reference)
    {
        using Use use = Enter();
        return opener.Read(reference);
    }

    /// <summary>A part of it; see <see cref="RecordOpener.ReadRange"/> for what is proven of a part.</summary>
    /// <param name="first">First byte.</param>
    /// <param name="count">Most bytes; fewer, or none, at the payload's end.</param>
    /// <exception cref="VaultException">As for <see cref="Read(string)"/>.</exception>
    public VaultPayload Read(string reference, long first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        using Use use = Enter();
        return opener.ReadRange(reference, first, count);
    }

    /// <summary>The same with the payload's own salt, which opens its commitment to whoever has both. The caller has ledgered the disclosure, durably.</summary>
    /// <exception cref="VaultException">As for <see cref="Read(string)"/>.</exception>
    public (VaultPayload Payload, byte[] Salt) Disclose(string reference)
    {
        using Use use = Enter();
        byte[] salt = new byte[32];
        return (opener.Read(reference, salt), salt);
    }

    /// <summary>What the ledger says about a payload before it is read: authenticated, no plaintext involved.</summary>
    /// <exception cref="VaultException">As for <see cref="Read(string)"/>.</exception>
    public VaultRecordInfo Find(string reference)
    {
        using Use use = Enter();
        return opener.Find(reference);
    }

    /// <summary>Generation of the keystore that is in use.</summary>
    public long Generation => ring.Generation;

    /// <summary>How the master key is kept at rest.</summary>
    public MasterCustody Custody => ring.Custody;

    /// <summary>Converts <c>master.key</c> to <c>master.sealed</c>, durably; the key's file is shredded last. A crash leaves a vault that opens by one of them.</summary>
    /// <param name="passphrase">12..1,024 bytes of UTF-8.</param>
    /// <exception cref="VaultException">Refused: it is kept otherwise, or the passphrase is too short or long. Poisoned.</exception>
    public void SealWithPassphrase(SecretBytes passphrase)
    {
        CheckNew(passphrase);
        Change("Sealing the master key", (keys, _) => keys.SealWithPassphrase(passphrase.Span));
    }

    /// <summary>Seals the master key under another passphrase, durably.</summary>
    /// <param name="next">12..1,024 bytes of UTF-8.</param>
    /// <exception cref="VaultException">Refused: it is kept otherwise, or the new passphrase is too short or long. Unopenable: the passphrase is another. Nothing was changed. Poisoned.</exception>
    public void ChangePassphrase(SecretBytes passphrase, SecretBytes next)
    {
        CheckNew(next);
        Change("Changing the passphrase", (keys, _) => keys.ChangePassphrase(passphrase, next));
    }

    /// <summary>Converts <c>master.sealed</c> to <c>master.key</c>, in the same way.</summary>
    /// <exception cref="VaultException">Refused: it is kept otherwise. Unopenable: the passphrase is another. Nothing was changed. Poisoned.</exception>
    public void KeepInFile(SecretBytes passphrase) =>
        Change("Writing the master key", (keys, _) => keys.KeepInFile(passphrase));

    /// <summary>Writes the keystore anew under a fresh key and destroys the key before: whatever copy of the old file exists opens no more.</summary>
    /// <returns>The new generation.</returns>
    /// <exception cref="VaultException">DiskFull: the generation before stands. Poisoned.</exception>
    public long Rotate() =>
        Change("Rotating the keystore", static (keys, _) =>
        {
            keys.Rotate();
            return keys.Generation;
        });

    /// <summary>Figures; works on a poisoned vault too. Reads each wrap once per process.</summary>
    public VaultStatus Status()
    {
        using Use use = Enter(evenPoisoned: true);
        lock (statusGate)
        {
            int today = VaultDay.Of(Clock.UnixMillis), expired = 0;
            long wraps = 0, bytes = 0, orphanBodies = 0, orphanBytes = 0;
            List<PackName> names = PackName.List(options.Directory, PackName.PackSuffix);
            foreach (PackName name in names)
            {
                var pack = orphans.Count(name, packs.DurablePackLength(name));
                expired += name.Day < today ? 1 : 0;
                wraps += pack.Wraps;
                bytes += pack.PackBytes;
                orphanBodies += pack.Bodies;
                orphanBytes += pack.Bytes;
            }

            return new VaultStatus(
                ring.Generation, ring.ScopeCount, ring.IsFull, ring.KekCount, names.Count, expired, wraps, bytes, orphanBodies, orphanBytes,
                failure is not null);
        }
    }

    /// <summary>Waits for calls under way, then zeroes and frees the keys. What was not synced is not kept.</summary>
    public void Dispose()
    {
        closed = true;
        Interlocked.MemoryBarrier(); // with Enter: it sees closed, or we see its use
        SpinWait.SpinUntil(() => Volatile.Read(ref uses) == 0);
        packs.Dispose();
        ring.Dispose();
    }

    /// <summary>Runs what changes keys or packs; an error of the disk poisons the vault.</summary>
    internal T Change<T>(string attempt, Func<KeyRing, PackWriter, T> change)
    {
        using Use use = Enter();
        try
        {
            return change(ring, packs);
        }
        catch (Exception e) when (e is not (ArgumentException or VaultException { Kind: VaultErrorKind.Tampered }))
        {
            throw Failed(attempt, e);
        }
    }

    private void Change(string attempt, Action<KeyRing, PackWriter> change) => Change(attempt, (keys, into) =>
    {
        change(keys, into);
        return 0;
    });

    internal RecordOpener Opener => opener;

    internal WrapFinder Wraps => wraps;

    internal VaultOptions Options => options;

    /// <summary>The key of a scope for a payload that is sealed now.</summary>
    internal Kek KekFor(string scopeId, long nowMillis, bool keepLong) => KekFor(scopeId, nowMillis, keepLong ? options.LongDays : options.ShortDays);

    /// <summary>The same for one of a debug session.</summary>
    internal Kek DebugKekFor(string scopeId, long nowMillis) => KekFor(scopeId, nowMillis, VaultOptions.DebugDays);

    private static void CheckNew(SecretBytes passphrase)
    {
        if (passphrase.Length is < Passphrases.MinNewBytes or > Passphrases.MaxBytes)
        {
            throw new VaultException(VaultErrorKind.Refused, $"A new passphrase has {Passphrases.MinNewBytes} to {Passphrases.MaxBytes} bytes, not {passphrase.Length}; nothing was changed.");
        }
    }

    private Kek KekFor(string scopeId, long nowMillis, int days)
    {
        ScopeEntry entry = ring.ById(scopeId);
        int today = VaultDay.Of(nowMillis);
        try
        {
            return ring.KekFor(entry, today + days, today);
        }
        catch (Exception e)
        {
            throw Failed("Making a key durable", e);
        }
    }

    /// <summary>Key memory is not freed while a use is open.</summary>
    internal Use Enter(bool evenPoisoned = false)
    {
        Interlocked.Increment(ref uses);
        if (closed || (failure is not null && !evenPoisoned))
        {
            Interlocked.Decrement(ref uses);
            ObjectDisposedException.ThrowIf(closed, this);
            throw new VaultException(
                VaultErrorKind.Poisoned,
                "The vault does nothing more: an earlier write or sync failed and nobody knows what is on the disk. Stop and start again.", failure);
        }

        return new Use(this);
    }

    /// <summary>
    /// Two classes of error: a refusal or a full disk before anything was changed, which only its callers learn of; and
    /// everything else, after which this process must not go on.
    /// </summary>
    private Exception Failed(string attempt, Exception cause)
    {
        if (cause is VaultException { Kind: VaultErrorKind.DiskFull or VaultErrorKind.Refused or VaultErrorKind.Unopenable })
        {
            return cause;
        }

        failure ??= cause;
        return new VaultException(
            VaultErrorKind.Poisoned, $"{attempt} failed: {cause.Message} Nobody knows what is on the disk now: stop and start again.", cause);
    }

    internal readonly ref struct Use(VaultStore vault)
    {
        public void Dispose() => Interlocked.Decrement(ref vault.uses);
    }
}
