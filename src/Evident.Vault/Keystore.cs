using System.Buffers.Binary;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>The HMAC under which a tenant is found again: 32 bytes as a dictionary key.</summary>
internal readonly record struct ScopeLookup(ulong A, ulong B, ulong C, ulong D)
{
    public static ScopeLookup Read(ReadOnlySpan<byte> mac) => new(
        BinaryPrimitives.ReadUInt64BigEndian(mac), BinaryPrimitives.ReadUInt64BigEndian(mac[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(mac[16..]), BinaryPrimitives.ReadUInt64BigEndian(mac[24..]));

    public void Write(Span<byte> mac)
    {
        BinaryPrimitives.WriteUInt64BigEndian(mac, A);
        BinaryPrimitives.WriteUInt64BigEndian(mac[8..], B);
        BinaryPrimitives.WriteUInt64BigEndian(mac[16..], C);
        BinaryPrimitives.WriteUInt64BigEndian(mac[24..], D);
    }
}

/// <summary>A workspace: its name comes from the operator, so it may stand in the keystore as it is.</summary>
internal sealed class WorkspaceEntry(int index, string name, byte[] staffKey)
{
    public const int MaxNameBytes = 128, MaxCount = 1024;

    public int Index { get; } = index;

    public string Name { get; } = name;

    /// <summary>Exempt from shredding: pseudonyms of staff outlive the payloads.</summary>
    public byte[] StaffKey { get; } = staffKey;

    /// <summary>Shared by the tenants that come after the cap; made together with the workspace.</summary>
    public ScopeEntry Overflow { get; set; } = null!;
}

/// <summary>Whom a scope is for, as one byte of the keystore: one tenant, all that came after the cap, or nobody any more (its tenant was erased).</summary>
internal enum ScopeKind : byte { Tenant = 0, Overflow = 1, Ended = 2 }

internal sealed class ScopeEntry(
    int index, WorkspaceEntry workspace, ScopeKind kind, byte[] id, ScopeLookup lookup, byte[] pseudonymKey, byte[] fingerprintKey)
{
    private int lastUsedDay;

    public int Index { get; } = index;

    public WorkspaceEntry Workspace { get; } = workspace;

    public ScopeKind Kind { get; } = kind;

    public bool IsOverflow => Kind == ScopeKind.Overflow;

    public bool IsEnded => Kind == ScopeKind.Ended;

    /// <summary>16 random bytes.</summary>
    public byte[] Id { get; } = id;

    /// <summary>The id as every binding and every ledger entry writes it: 32 ASCII hex digits.</summary>
    public byte[] IdAscii { get; } = System.Text.Encoding.ASCII.GetBytes(Convert.ToHexStringLower(id));

    public ScopeLookup Lookup { get; } = lookup;

    public VaultScope Scope { get; } = new(Convert.ToHexStringLower(id), workspace.Name, pseudonymKey, fingerprintKey, workspace.StaffKey);

    /// <summary>Decides for whom keys are made ahead; any thread raises it.</summary>
    public int LastUsedDay
    {
        get => Volatile.Read(ref lastUsedDay);
        set
        {
            if (lastUsedDay != value)
            {
                Volatile.Write(ref lastUsedDay, value);
            }
        }
    }
}

/// <summary>Key of one scope and expiry day; wraps name it by its id, which is never used twice.</summary>
internal sealed class Kek(uint id, ScopeEntry scope, int day, SecretSlots slots, int slot)
{
    public uint Id { get; } = id;

    public ScopeEntry Scope { get; } = scope;

    public int Day { get; } = day;

    public ReadOnlySpan<byte> Key => slots[slot];

    /// <summary>After the generation that no longer holds it is durable.</summary>
    public void Destroy() => slots.Destroy(slot);
}

/// <summary>
/// What a keystore generation holds, and its plain encoding (docs/vault-format.md 7). The encoding exists only chunk by chunk in
/// guarded memory: it is sealed while it is written and opened while it is read.
/// </summary>
internal sealed class Keystore : IDisposable
{
    private const uint Version = 1;
    private const int FixedBytes = 4 + 8 + SecretSlots.SlotBytes + 4 + 4 + 4 + 4;
    private const int ScopeBytes = 4 + 1 + 4 + 16 + 32 + 32 + 32;
    private const int KekBytes = 4 + 4 + 4 + SecretSlots.SlotBytes;

    public Keystore(SecretBytes lookupKey) => LookupKey = lookupKey;

    public SecretBytes LookupKey { get; }

    public SecretSlots Slots { get; } = new();

    public uint NextKekId { get; set; } = 1;

    public List<WorkspaceEntry> Workspaces { get; } = [];

    public List<ScopeEntry> Scopes { get; } = [];

    public List<Kek> Keks { get; } = [];

    public long EncodedLength
    {
        get
        {
            long length = FixedBytes + (long)Scopes.Count * ScopeBytes + (long)Keks.Count * KekBytes;
            foreach (WorkspaceEntry workspace in Workspaces)
            {
                length += 1 + System.Text.Encoding.UTF8.GetByteCount(workspace.Name) + workspace.StaffKey.Length;
            }

            return length;
        }
    }

    public void Write(KeystoreWriter to, long createdMillis)
    {
        to.U32(Version);
        to.I64(createdMillis);
        to.Raw(LookupKey.Span);
        to.U32(NextKekId);
        to.U32((uint)Workspaces.Count);
        to.U32((uint)Scopes.Count);
        to.U32((uint)Keks.Count);
        Span<byte> name = stackalloc byte[1 + WorkspaceEntry.MaxNameBytes];
        foreach (WorkspaceEntry workspace in Workspaces)
        {
            name[0] = (byte)System.Text.Encoding.UTF8.GetBytes(workspace.Name, name[1..]);
            to.Raw(name[..(1 + name[0])]);
            to.Raw(workspace.StaffKey);
        }

        Span<byte> lookup = stackalloc byte[32];
        Span<byte> kind = stackalloc byte[1];
        foreach (ScopeEntry scope in Scopes)
        {
            to.U32((uint)scope.Workspace.Index);
            kind[0] = (byte)scope.Kind;
            to.Raw(kind);
            to.U32((uint)scope.LastUsedDay);
            to.Raw(scope.Id);
            scope.Lookup.Write(lookup);
            to.Raw(lookup);
            to.Raw(scope.Scope.PseudonymKey);
            to.Raw(scope.Scope.FingerprintKey);
        }

        foreach (Kek kek in Keks)
        {
            to.U32(kek.Id);
            to.U32((uint)kek.Scope.Index);
            to.U32((uint)kek.Day);
            to.Raw(kek.Key);
        }
    }

    /// <exception cref="InvalidDataException">The content was opened but is not what this version writes.</exception>
    public static Keystore Read(KeystoreReader from)
    {
        uint version = from.U32();
        if (version != Version)
        {
            throw new InvalidDataException($"its content has version {version}; this program reads version {Version}");
        }

        _ = from.I64(); // creation time: for people with a debugger
        var lookupKey = new SecretBytes(SecretSlots.SlotBytes);
        from.Raw(lookupKey.Span);
        var store = new Keystore(lookupKey) { NextKekId = from.U32() };
        try
        {
            store.ReadLists(from);
            from.End();
            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    private void ReadLists(KeystoreReader from)
    {
        uint workspaces = from.U32(), scopes = from.U32(), keks = from.U32();
        Span<byte> bytes = stackalloc byte[WorkspaceEntry.MaxNameBytes];
        for (uint i = 0; i < workspaces; i++)
        {
            from.Raw(bytes[..1]);
            int length = Math.Min((int)bytes[0], WorkspaceEntry.MaxNameBytes);
            from.Raw(bytes[..length]);
            string name = System.Text.Encoding.UTF8.GetString(bytes[..length]);
            Workspaces.Add(new WorkspaceEntry((int)i, name, from.Bytes(SecretSlots.SlotBytes)));
        }

        for (uint i = 0; i < scopes; i++)
        {
            WorkspaceEntry workspace = Pick(Workspaces, from.U32(), "workspace");
            from.Raw(bytes[..1]);
            var kind = (ScopeKind)bytes[0];
            if (kind > ScopeKind.Ended)
            {
                throw new InvalidDataException($"it has a scope of kind {bytes[0]}; this program knows 0 to 2");
            }

            int lastUsed = checked((int)from.U32());
            byte[] id = from.Bytes(16);
            from.Raw(bytes[..32]);
            ScopeLookup lookup = ScopeLookup.Read(bytes);
            var scope = new ScopeEntry((int)i, workspace, kind, id, lookup, from.Bytes(32), from.Bytes(32)) { LastUsedDay = lastUsed };
            Scopes.Add(scope);
            if (scope.IsOverflow)
            {
                workspace.Overflow = scope;
            }
        }

        Span<byte> key = bytes[..SecretSlots.SlotBytes];
        for (uint i = 0; i < keks; i++)
        {
            uint id = from.U32();
            ScopeEntry scope = Pick(Scopes, from.U32(), "scope");
            int day = checked((int)from.U32());
            from.Raw(key);
            Keks.Add(new Kek(id, scope, day, Slots, Slots.Add(key)));
        }
    }

    private static T Pick<T>(List<T> list, uint index, string what) =>
        index < list.Count ? list[(int)index] : throw new InvalidDataException($"it names {what} {index} of {list.Count}");

    public void Dispose()
    {
        Slots.Dispose();
        LookupKey.Dispose();
    }
}
