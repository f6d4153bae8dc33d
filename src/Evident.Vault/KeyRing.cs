using System.Collections.Concurrent;
using System.Text;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// Scopes and their keys, in memory and on disk. Lookups take no lock. Whoever needs something new becomes the one rewriter; those who
/// come meanwhile wait, and the next rewriter takes all of them along, so a burst of new tenants costs few generations.
/// </summary>
internal sealed class KeyRing : IDisposable
{
    /// <summary>A scope used within these days gets its keys for today and tomorrow made ahead, whenever a generation is written anyway.</summary>
    private const int ActiveDays = 2;
    private const int CopiedTenantBytes = 1024;

    private readonly VaultOptions options;
    private readonly IClock clock;
    private readonly KeystoreFiles files;
    private readonly Keystore store; // its lists: owned by the holder of rewriteGate
    private readonly Lock rewriteGate = new();

    // Published after the generation that holds them is durable and the one before destroyed; read by any thread.
    private readonly ConcurrentDictionary<ScopeLookup, ScopeEntry> byTenant = new();
    private readonly ConcurrentDictionary<string, ScopeEntry> byId = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, WorkspaceEntry> workspaces = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<uint, Kek> byKekId = new();
    private readonly ConcurrentDictionary<(int Scope, int Day), Kek> byDay = new();
    private readonly ConcurrentQueue<(string Workspace, ScopeLookup Lookup)> wanted = new();

    private KeyRing(VaultOptions options, IClock clock, KeystoreFiles files, Keystore store)
    {
        this.options = options;
        this.clock = clock;
        this.files = files;
        this.store = store;
        Publish(store.Workspaces, store.Scopes, store.Keks);
    }

    public long Generation => files.Generation;

    public MasterCustody Custody => files.Custody;

    /// <inheritdoc cref="KeystoreFiles.SealWithPassphrase"/>
    public void SealWithPassphrase(ReadOnlySpan<byte> passphrase)
    {
        lock (rewriteGate)
        {
            files.SealWithPassphrase(passphrase);
        }
    }

    /// <inheritdoc cref="KeystoreFiles.ChangePassphrase"/>
    public void ChangePassphrase(SecretBytes passphrase, SecretBytes next)
    {
        lock (rewriteGate)
        {
            files.ChangePassphrase(passphrase, next);
        }
    }

    /// <inheritdoc cref="KeystoreFiles.KeepInFile"/>
    public void KeepInFile(SecretBytes passphrase)
    {
        lock (rewriteGate)
        {
            files.KeepInFile(passphrase);
        }
    }

    public int ScopeCount => byTenant.Count;

    public int KekCount => byKekId.Count;

    public IReadOnlyList<VaultScope> ScopesOf(string workspace) =>
        [.. byId.Values.Select(entry => entry.Scope).Where(scope => scope.Workspace == workspace)];

    public bool IsFull => byTenant.Count >= options.MaxScopes;

    public static KeyRing Open(VaultOptions options, IClock clock, Action<string> step)
    {
        var files = new KeystoreFiles(options, step);
        try
        {
            bool hasPacks = Directory.Exists(options.Directory)
                && (PackName.List(options.Directory, PackName.PackSuffix).Count > 0
                    || PackName.List(options.Directory, PackName.WrapsSuffix).Count > 0);
            Keystore? store = files.Open(options.KeystoreFloor, hasPacks);
            if (store is null)
            {
                store = new Keystore(SecretBytes.Random(SecretSlots.SlotBytes));
                files.Rewrite(store, clock.UnixMillis);
            }

            return new KeyRing(options, clock, files, store);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>The newest generation as it lies there, without a write. Its lookups work; nothing may be asked of it that makes a key.</summary>
    /// <exception cref="VaultException">Unopenable or Sealed.</exception>
    public static KeyRing OpenToRead(VaultOptions options, IClock clock)
    {
        var files = new KeystoreFiles(options, static _ => { });
        try
        {
            return new KeyRing(options, clock, files, files.OpenToRead());
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    public ScopeEntry Resolve(string workspace, ReadOnlySpan<byte> tenant)
    {
        ScopeLookup lookup = Lookup(workspace, tenant);
        ScopeEntry scope = Known(workspace, lookup) ?? Create(workspace, [lookup], lookup);
        scope.LastUsedDay = VaultDay.Of(clock.UnixMillis);
        return scope;
    }

    /// <summary>Makes all scopes that are missing in one generation.</summary>
    public void Prepare(string workspace, IReadOnlyList<ReadOnlyMemory<byte>> tenants)
    {
        var missing = new List<ScopeLookup>();
        foreach (ReadOnlyMemory<byte> tenant in tenants)
        {
            ScopeLookup lookup = Lookup(workspace, tenant.Span);
            if (Known(workspace, lookup) is null)
            {
                missing.Add(lookup);
            }
        }

        if (missing.Count > 0)
        {
            Create(workspace, missing, missing[0]);
        }
    }

    public ScopeEntry ById(string id) =>
        byId.TryGetValue(id, out ScopeEntry? scope)
            ? scope
            : throw new ArgumentException($"'{id}' is no scope of this vault; get one from ResolveScope.", nameof(id));

    /// <summary>The key of a scope and expiry day; a new one is durable before it is returned.</summary>
    public Kek KekFor(ScopeEntry scope, int expiryDay, int today)
    {
        scope.LastUsedDay = today;
        return byDay.TryGetValue((scope.Index, expiryDay), out Kek? kek) ? kek : CreateKek(scope, expiryDay, today);
    }

    public Kek? KekById(uint id) => byKekId.GetValueOrDefault(id);

    public bool Any(Predicate<Kek> match)
    {
        lock (rewriteGate)
        {
            return store.Keks.Exists(match);
        }
    }

    /// <summary>Writes the next generation with the same keys: the key that sealed the one before is destroyed.</summary>
    public void Rotate()
    {
        lock (rewriteGate)
        {
            files.Rewrite(store, clock.UnixMillis);
        }
    }

    /// <summary>
    /// One generation without the keys that match, however many there are; none is written when none does. When this returns they are destroyed: on the disk (level L1), and here.
    /// </summary>
    /// <returns>Keys that were forgotten.</returns>
    public int Forget(Func<uint, VaultScope, int, bool> gone)
    {
        lock (rewriteGate)
        {
            List<Kek> kept = [], forgotten = [];
            foreach (Kek kek in store.Keks)
            {
                (gone(kek.Id, kek.Scope.Scope, kek.Day) ? forgotten : kept).Add(kek);
            }

            if (forgotten.Count == 0)
            {
                return 0;
            }

            List<Kek> all = [.. store.Keks];
            Replace(kept);
            try
            {
                files.Rewrite(store, clock.UnixMillis);
            }
            catch
            {
                Replace(all);
                throw;
            }

            foreach (Kek kek in forgotten)
            {
                byKekId.TryRemove(kek.Id, out _);
                byDay.TryRemove(new KeyValuePair<(int, int), Kek>((kek.Scope.Index, kek.Day), kek));
                kek.Destroy();
            }

            return forgotten.Count;
        }

        void Replace(List<Kek> keks)
        {
            store.Keks.Clear();
            store.Keks.AddRange(keks);
        }
    }

    /// <summary>
    /// One generation in which a scope has no payload keys and other keys for pseudonyms and fingerprints, and in which its tenant does not lead to it any more: whoever comes for the tenant later gets a new scope.
    /// A request that has it in hand may still seal under it.
    /// </summary>
    public void EndScope(string id)
    {
        lock (rewriteGate)
        {
            ScopeEntry before = ById(id);
            if (!before.IsEnded)
            {
                byte[] lookup = new byte[32], pseudonyms = new byte[32], fingerprints = new byte[32];
                Sodium.RandomBytes(lookup);
                Sodium.RandomBytes(pseudonyms);
                Sodium.RandomBytes(fingerprints);
                var after = new ScopeEntry(before.Index, before.Workspace, ScopeKind.Ended, before.Id, ScopeLookup.Read(lookup), pseudonyms, fingerprints) { LastUsedDay = before.LastUsedDay };
                store.Scopes[before.Index] = after;
                try
                {
                    if (Forget((_, of, _) => of.Id == id) == 0)
                    {
                        files.Rewrite(store, clock.UnixMillis);
                    }
                }
                catch
                {
                    store.Scopes[before.Index] = before;
                    throw;
                }

                byTenant.TryRemove(new KeyValuePair<ScopeLookup, ScopeEntry>(before.Lookup, before));
                byId[id] = after;
                return;
            }

            Forget((_, of, _) => of.Id == id);
        }
    }

    /// <summary>A second key for a scope and day that has one: what is sealed or wrapped again from now on is under it. Durable before it is returned.</summary>
    public Kek Renew(ScopeEntry scope, int day)
    {
        lock (rewriteGate)
        {
            Draft draft = NewDraft(VaultDay.Of(clock.UnixMillis));
            draft.AddKek(scope, day, evenIfKnown: true);
            Commit(draft);
            return byDay[(scope.Index, day)];
        }
    }

    public void Dispose()
    {
        store.Dispose();
        files.Dispose();
    }

    private Kek CreateKek(ScopeEntry scope, int expiryDay, int today)
    {
        lock (rewriteGate)
        {
            if (byDay.TryGetValue((scope.Index, expiryDay), out Kek? kek))
            {
                return kek;
            }

            Draft draft = NewDraft(today);
            draft.AddKek(scope, expiryDay);
            Commit(draft);
            return byDay[(scope.Index, expiryDay)];
        }
    }

    private ScopeEntry Create(string workspace, List<ScopeLookup> lookups, ScopeLookup asked)
    {
        int nameBytes = Encoding.UTF8.GetByteCount(workspace);
        if (nameBytes is 0 or > WorkspaceEntry.MaxNameBytes)
        {
            throw new ArgumentException(
                $"workspace name of {nameBytes} UTF-8 bytes; 1..{WorkspaceEntry.MaxNameBytes} are possible.", nameof(workspace));
        }

        foreach (ScopeLookup lookup in lookups)
        {
            wanted.Enqueue((workspace, lookup));
        }

        lock (rewriteGate)
        {
            if (Known(workspace, asked) is { } scope && lookups.TrueForAll(l => Known(workspace, l) is not null))
            {
                return scope; // the rewriter before took this wish along
            }

            Draft draft = NewDraft(VaultDay.Of(clock.UnixMillis));
            foreach (ScopeLookup lookup in lookups)
            {
                draft.AddScope(workspace, lookup); // again, because a rewriter that failed may have taken the wish and lost it
            }

            Commit(draft);
            return Known(workspace, asked)!;
        }
    }

    /// <summary>Null when the scope has to be made; at the cap the workspace's overflow scope.</summary>
    private ScopeEntry? Known(string workspace, ScopeLookup lookup)
    {
        if (byTenant.TryGetValue(lookup, out ScopeEntry? scope))
        {
            return scope;
        }

        return IsFull && workspaces.TryGetValue(workspace, out WorkspaceEntry? entry) ? entry.Overflow : null;
    }

    /// <summary>Holder of the gate only. Takes along every wish that is waiting.</summary>
    private Draft NewDraft(int today)
    {
        var draft = new Draft(this, today);
        while (wanted.TryDequeue(out (string Workspace, ScopeLookup Lookup) wish))
        {
            if (draft.CanHave(wish.Workspace)) // if not, whoever wished for it is told so when it is their turn
            {
                draft.AddScope(wish.Workspace, wish.Lookup);
            }
        }

        return draft;
    }

    /// <summary>Holder of the gate only. Durable first, then published; what is not written is not kept.</summary>
    private void Commit(Draft draft)
    {
        draft.AddKeysAhead();
        int workspaceCount = store.Workspaces.Count, scopeCount = store.Scopes.Count, kekCount = store.Keks.Count;
        uint nextKekId = store.NextKekId;
        store.Workspaces.AddRange(draft.Workspaces);
        store.Scopes.AddRange(draft.Scopes);
        store.Keks.AddRange(draft.Keks);
        store.NextKekId = draft.NextKekId;
        try
        {
            files.Rewrite(store, clock.UnixMillis);
        }
        catch
        {
            store.Workspaces.RemoveRange(workspaceCount, store.Workspaces.Count - workspaceCount);
            store.Scopes.RemoveRange(scopeCount, store.Scopes.Count - scopeCount);
            store.Keks.RemoveRange(kekCount, store.Keks.Count - kekCount);
            store.NextKekId = nextKekId;
            store.Slots.CutTo(draft.FirstSlot); // requests may retry on a full disk for hours: nothing may pile up
            throw;
        }

        Publish(draft.Workspaces, draft.Scopes, draft.Keks);
    }

    private void Publish(List<WorkspaceEntry> newWorkspaces, List<ScopeEntry> newScopes, List<Kek> newKeks)
    {
        foreach (Kek kek in newKeks)
        {
            byKekId[kek.Id] = kek;
            byDay[(kek.Scope.Index, kek.Day)] = kek;
        }

        foreach (ScopeEntry scope in newScopes)
        {
            byId[scope.Scope.Id] = scope;
        }

        foreach (WorkspaceEntry workspace in newWorkspaces)
        {
            workspaces[workspace.Name] = workspace;
        }

        foreach (ScopeEntry scope in newScopes)
        {
            if (scope.Kind == ScopeKind.Tenant)
            {
                byTenant[scope.Lookup] = scope;
            }
        }
    }

    private ScopeLookup Lookup(string workspace, ReadOnlySpan<byte> tenant)
    {
        ReadOnlySpan<byte> label = "agentvault/scope/v1\0"u8;
        int nameBytes = Encoding.UTF8.GetByteCount(workspace);
        int length = label.Length + 4 + nameBytes + tenant.Length;
        Span<byte> message = length <= CopiedTenantBytes ? stackalloc byte[CopiedTenantBytes] : new byte[length];
        message = message[..length];
        label.CopyTo(message);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(message[label.Length..], nameBytes);
        Encoding.UTF8.GetBytes(workspace, message[(label.Length + 4)..]);
        tenant.CopyTo(message[(label.Length + 4 + nameBytes)..]);
        Span<byte> mac = stackalloc byte[32];
        Sodium.HmacSha256(mac, message, store.LookupKey.Span);
        return ScopeLookup.Read(mac);
    }

    /// <summary>What the next generation will hold beyond this one; nobody else sees it before it is durable.</summary>
    private sealed class Draft(KeyRing ring, int today)
    {
        private readonly HashSet<ScopeLookup> lookups = [];
        private readonly HashSet<(int Scope, int Day)> days = [];

        public List<WorkspaceEntry> Workspaces { get; } = [];

        public List<ScopeEntry> Scopes { get; } = [];

        public List<Kek> Keks { get; } = [];

        public uint NextKekId { get; private set; } = ring.store.NextKekId;

        /// <summary>Keys of this draft lie in the slots from here on.</summary>
        public int FirstSlot { get; } = ring.store.Slots.Count;

        public bool CanHave(string workspace) =>
            ring.workspaces.ContainsKey(workspace) || ring.store.Workspaces.Count + Workspaces.Count < WorkspaceEntry.MaxCount;

        /// <summary>A wish that is fulfilled already, or comes after the cap, adds nothing but its workspace.</summary>
        public void AddScope(string name, ScopeLookup lookup)
        {
            WorkspaceEntry workspace = Workspace(name);
            if (ring.byTenant.Count + lookups.Count < ring.options.MaxScopes && !ring.byTenant.ContainsKey(lookup) && lookups.Add(lookup))
            {
                NewScope(workspace, lookup, ScopeKind.Tenant);
            }
        }

        public void AddKek(ScopeEntry scope, int day, bool evenIfKnown = false)
        {
            if ((!evenIfKnown && ring.byDay.ContainsKey((scope.Index, day))) || !days.Add((scope.Index, day)))
            {
                return;
            }

            Span<byte> key = stackalloc byte[SecretSlots.SlotBytes];
            Sodium.RandomBytes(key);
            Keks.Add(new Kek(NextKekId, scope, day, ring.store.Slots, ring.store.Slots.Add(key)));
            NextKekId = checked(NextKekId + 1);
        }

        public void AddKeysAhead()
        {
            foreach (ScopeEntry scope in ring.store.Scopes.Concat(Scopes))
            {
                if (scope.LastUsedDay >= today - ActiveDays && !scope.IsEnded)
                {
                    AddKek(scope, today + ring.options.ShortDays);
                    AddKek(scope, today + ring.options.LongDays);
                    AddKek(scope, today + 1 + ring.options.ShortDays);
                    AddKek(scope, today + 1 + ring.options.LongDays);
                }
            }
        }

        private WorkspaceEntry Workspace(string name)
        {
            if (ring.workspaces.TryGetValue(name, out WorkspaceEntry? known))
            {
                return known;
            }

            if (Workspaces.Find(w => w.Name == name) is { } drafted)
            {
                return drafted;
            }

            int index = ring.store.Workspaces.Count + Workspaces.Count;
            if (index >= WorkspaceEntry.MaxCount)
            {
                throw new ArgumentException(
                    $"workspace '{name}' would be number {index + 1}; a vault holds {WorkspaceEntry.MaxCount}.", nameof(name));
            }

            var workspace = new WorkspaceEntry(index, name, RandomKey(32));
            Workspaces.Add(workspace);
            workspace.Overflow = NewScope(workspace, ScopeLookup.Read(RandomKey(32)), ScopeKind.Overflow);
            return workspace;
        }

        private ScopeEntry NewScope(WorkspaceEntry workspace, ScopeLookup lookup, ScopeKind kind)
        {
            int index = ring.store.Scopes.Count + Scopes.Count;
            var scope = new ScopeEntry(index, workspace, kind, RandomKey(16), lookup, RandomKey(32), RandomKey(32))
            {
                LastUsedDay = kind == ScopeKind.Overflow ? 0 : today,
            };
            Scopes.Add(scope);
            return scope;
        }

        private static byte[] RandomKey(int length)
        {
            byte[] key = new byte[length];
            Sodium.RandomBytes(key);
            return key;
        }
    }
}
