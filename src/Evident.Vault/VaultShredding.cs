using System.Buffers;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>A pack as it is named outside of the vault: <c>short-2026-05-06</c>.</summary>
/// <param name="Day">Last UTC day on which its payloads open, days since 1970.</param>
/// <param name="IsShort">Of the short class.</param>
/// <param name="IsDebug">Of a debug session: never kept longer.</param>
public sealed record PackId(string Name, int Day, bool IsShort, bool IsDebug);

/// <summary>
/// Keeps payloads longer, and ends them: expiry drops the keys of days that are over and their packs, whatever is in them; an early erasure gives the siblings of a payload a new key and
/// destroys the one that they shared (docs/vault-format.md 7 and 9). What changes the vault belongs to the writer thread.
/// </summary>
public sealed class VaultShredding(VaultStore vault)
{
    private const int RecordsPerRead = 4096;

    /// <summary>All packs, oldest day first.</summary>
    public IReadOnlyList<PackId> Packs()
    {
        var names = new List<PackName>(PackName.List(vault.Options.Directory, PackName.WrapsSuffix));
        foreach (PackName name in PackName.List(vault.Options.Directory, PackName.PackSuffix))
        {
            if (!names.Contains(name))
            {
                names.Add(name); // a crash removed one file of two
            }
        }

        names.Sort(static (a, b) => a.Day != b.Day ? a.Day.CompareTo(b.Day) : a.Long.CompareTo(b.Long));
        var packs = new List<PackId>(names.Count);
        foreach (PackName name in names)
        {
            packs.Add(new PackId(name.ToString(), name.Day, name is { Long: false, Debug: false }, name.Debug));
        }

        return packs;
    }

    /// <summary>The UTC day of a time, as <see cref="PackId.Day"/> counts.</summary>
    public static int DayOf(long unixMillis) => VaultDay.Of(unixMillis);

    /// <summary><c>yyyy-MM-dd</c>.</summary>
    public static string TextOf(int day) => VaultDay.Text(day);

    /// <summary>Some key belongs to a day before this one.</summary>
    public bool HasKeysBefore(int day) => vault.Change("Looking for keys", (ring, _) => ring.Any(k => k.Day < day));

    /// <summary>
    /// Given a wrap: the 16 bytes of the reference and those of its scope's id, where it stands, and when the payload was sealed; a later wrap of the same reference replaces an earlier one.
    /// </summary>
    public delegate void SeeWrap(ReadOnlySpan<byte> reference, ReadOnlySpan<byte> scope, long offset, long createdUnixMillis);

    /// <summary>Every whole wrap of the pack, in the order of the file.</summary>
    public void ReadWraps(PackId pack, SeeWrap see) => ReadWraps(pack.Name, (record, offset) => see(record.Ref, record.ScopeId, offset, record.CreatedMillis));

    private delegate void SeeRecord(WrapRecord record, long offset);

    private void ReadWraps(string pack, SeeRecord see)
    {
        string path = Path.Combine(vault.Options.Directory, pack + PackName.WrapsSuffix);
        if (!File.Exists(path))
        {
            return;
        }

        using DurableFile file = DurableFile.OpenRead(path);
        byte[] block = ArrayPool<byte>.Shared.Rent(RecordsPerRead * WrapRecord.Bytes);
        try
        {
            long at = 0;
            int read;
            while ((read = file.ReadAt(at, block.AsSpan(0, RecordsPerRead * WrapRecord.Bytes)) / WrapRecord.Bytes * WrapRecord.Bytes) > 0)
            {
                for (int i = 0; i < read; i += WrapRecord.Bytes)
                {
                    var record = new WrapRecord(block.AsSpan(i, WrapRecord.Bytes));
                    if (record.IsWhole)
                    {
                        see(record, at + i);
                    }
                }

                at += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    /// <summary>The same as 29 ASCII bytes.</summary>
    public static void Write(ReadOnlySpan<byte> reference, Span<byte> ref29) => Reference.Write(reference, ref29);

    /// <summary>The text form of a reference's 16 bytes.</summary>
    public static string Name(ReadOnlySpan<byte> reference)
    {
        Span<byte> text = stackalloc byte[SealedBatch.RefLength];
        Reference.Write(reference, text);
        return System.Text.Encoding.ASCII.GetString(text);
    }

    /// <summary>The 16 bytes of a reference; false when the text is none.</summary>
    public static bool TryParse(string reference, Span<byte> id)
    {
        try
        {
            Reference.Parse(reference, id);
            return true;
        }
        catch (VaultException)
        {
            return false;
        }
    }

    /// <summary>
    /// Adds the payload to the batch once more, under the long class's key of today and with its body: from when that is appended it is kept so long. Any thread.
    /// </summary>
    /// <param name="offset">Of its newest wrap in the pack.</param>
    /// <returns>False when there is nothing left to keep.</returns>
    /// <exception cref="VaultException">Tampered.</exception>
    public bool TryKeep(string reference, PackId pack, long offset, SealedBatch into)
    {
        long now = vault.Clock.UnixMillis;
        using VaultStore.Use use = vault.Enter();
        return vault.Opener.TryRewrap(
            reference,
            (PackName.Of([pack.Name])[0], offset),
            scope =>
            {
                Kek kek = vault.KekFor(scope, now, keepLong: true);
                return (kek, new PackName(true, kek.Day));
            },
            into);
    }

    /// <summary>Destroys the keys of all days before this one in one generation, then removes the packs. Done again after a crash it ends the same.</summary>
    public void Expire(int before, IEnumerable<string> packs) => vault.Change("Expiring payloads", (ring, writer) =>
    {
        ring.Forget((_, _, day) => day < before);
        foreach (PackName name in PackName.Of(packs))
        {
            writer.Remove(name);
            vault.Wraps.Forget(name);
        }

        return true;
    });

    /// <summary>
    /// Ends single payloads. All others under their keys get a wrap under a new key, durably, and then the old keys are destroyed in one generation. Done again after a crash it ends the same.
    /// </summary>
    /// <param name="gone">References to end, wherever they have a wrap.</param>
    public void Erase(IReadOnlyCollection<string> gone) => vault.Change("Erasing payloads", (ring, writer) =>
    {
        var ended = new HashSet<string>(gone, StringComparer.Ordinal);
        var (old, places) = KeysOf(ended, ring);
        if (old.Count == 0)
        {
            return 0;
        }

        using var batch = vault.NewBatch();
        foreach (var (place, pack) in places)
        {
            Kek fresh = ring.Renew(ring.ById(place[..place.IndexOf(' ', StringComparison.Ordinal)]), pack.Day);
            foreach (var (sibling, newest) in Newest(pack))
            {
                if (newest.Key != fresh.Id && old.Contains(newest.Key) && !ended.Contains(sibling) && fresh.Scope.Scope.Id == newest.Scope)
                {
                    vault.Opener.TryRewrap(sibling, (pack, newest.Offset), _ => (fresh, pack), batch);
                }
            }
        }

        writer.Append(batch.Records);
        writer.Sync(); // a crash before this: the old key still opens all of them; after it: two keys do
        return ring.Forget((id, _, _) => old.Contains(id));
    });

    // Every key that opens one of them, and where its siblings are: a payload that is being kept longer has a wrap in two packs until the shorter one ends.
    private (List<uint> Keys, Dictionary<string, PackName> Places) KeysOf(HashSet<string> references, KeyRing ring)
    {
        bool[] begins = new bool[256]; // spares most wraps the text form of their reference
        Span<byte> id = stackalloc byte[WrapRecord.RefBytes];
        foreach (string reference in references)
        {
            Reference.Parse(reference, id);
            begins[id[0]] = true;
        }

        List<uint> keys = [];
        Dictionary<string, PackName> places = new(StringComparer.Ordinal); // by pack and scope
        foreach (PackName pack in PackName.List(vault.Options.Directory, PackName.WrapsSuffix))
        {
            ReadWraps(pack.ToString(), (record, _) =>
            {
                if (begins[record.Ref[0]] && ring.KekById(record.KekId) is not null && references.Contains(Name(record.Ref)))
                {
                    if (!keys.Contains(record.KekId))
                    {
                        keys.Add(record.KekId);
                    }

                    places[$"{Convert.ToHexStringLower(record.ScopeId)} {pack}"] = pack;
                }
            });
        }

        return (keys, places);
    }

    /// <summary>Destroys every key of a scope in one generation, those of its pseudonyms too; what comes for its tenant later gets another scope.</summary>
    public void EraseScope(string scope) => vault.Change("Erasing a tenant's payloads", (ring, _) =>
    {
        ring.EndScope(scope);
        return true;
    });

    /// <summary>Payloads that were sealed for a scope in the class of debug sessions since a time, in Unix milliseconds.</summary>
    public long CountDebug(string scope, long since)
    {
        long count = 0;
        byte[] id = Convert.FromHexString(scope);
        foreach (var pack in Packs())
        {
            if (pack.IsDebug && pack.Day >= VaultDay.Of(since))
            {
                ReadWraps(pack.Name, (record, _) => count += record.Kind == WrapKind.First && record.CreatedMillis >= since && record.ScopeId.SequenceEqual(id) ? 1 : 0);
            }
        }

        return count;
    }

    /// <summary>The payload's newest wrap is under a key that is still there.</summary>
    public bool IsOpenable(string reference) => TryParse(reference, stackalloc byte[16])
        && vault.Change("Looking for a payload", (ring, _) => vault.Opener.Place(reference) is { } place && ring.KekById(place.Kek) is not null);

    /// <summary>The scope of a payload, 32 hex digits; null when it is not in the vault.</summary>
    public string? ScopeOf(string reference) => vault.Opener.Place(reference)?.Scope;

    /// <summary>Tenants beyond the cap share the scope.</summary>
    public bool IsShared(string scope) => vault.Change("Looking for a scope", (ring, _) => ring.ById(scope).IsOverflow);

    /// <summary>Every payload of a scope that can still be opened.</summary>
    public List<string> Of(string scope)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        byte[] id = Convert.FromHexString(scope);
        foreach (var pack in Packs())
        {
            ReadWraps(pack.Name, (record, _) =>
            {
                uint key = record.KekId;
                if (record.ScopeId.SequenceEqual(id) && vault.Change("Looking for keys", (ring, _) => ring.KekById(key) is not null))
                {
                    found.Add(Name(record.Ref));
                }
            });
        }

        return [.. found];
    }

    private sealed record Wrapped(uint Key, string Scope, long Offset);

    private Dictionary<string, Wrapped> Newest(PackName pack)
    {
        var newest = new Dictionary<string, Wrapped>(StringComparer.Ordinal);
        ReadWraps(pack.ToString(), (record, offset) => newest[Name(record.Ref)] = new Wrapped(record.KekId, Convert.ToHexStringLower(record.ScopeId), offset));
        return newest;
    }
}
