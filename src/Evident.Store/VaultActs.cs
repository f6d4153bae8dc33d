using System.Globalization;
using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>A request about the vault that cannot be carried out; the message says why and what to do.</summary>
public sealed class VaultActRefusedException(string message) : Exception(message);

/// <summary>What a shredding ended.</summary>
/// <param name="Id">Id of the intent's entry; the receipt's has <c>.done</c> behind it.</param>
/// <param name="Level">How far the keys are gone (docs/ledger-format.md section 6).</param>
public sealed record ShredReceipt(string Id, long Payloads, long Generation, string Level);

/// <summary>What people do to the vault, each of it an entry of the ledger: rotate its keys, erase payloads before their day, hold them beyond it. Thread safe.</summary>
public sealed class VaultActs
{
    private const string Level = "L1"; // key files are overwritten, synced and unlinked

    private readonly StoreOptions options;
    private readonly IClock clock;
    private readonly VaultStore vault;
    private readonly VaultShredding shredding;
    private readonly StoreActs acts;
    private readonly LegalHolds holds;
    private readonly Retention retention;
    private readonly Func<string, CancellationToken, IReadOnlyList<string>> referencesOf;
    private readonly Func<string, CancellationToken, IReadOnlyList<string>> runsOf;
    private readonly Func<string, string> scopeOf;

    /// <param name="referencesOf">The payloads of a run, by its shown id.</param>
    /// <param name="runsOf">The runs of an end user, by the pseudonym.</param>
    /// <param name="scopeOf">The scope's id of a tenant.</param>
    internal VaultActs(
        StoreOptions options, IClock clock, VaultStore vault, StoreActs acts, LegalHolds holds, Retention retention, Func<string, CancellationToken, IReadOnlyList<string>> referencesOf,
        Func<string, CancellationToken, IReadOnlyList<string>> runsOf, Func<string, string> scopeOf)
    {
        (this.options, this.clock, this.vault, this.acts, this.holds, this.retention) = (options, clock, vault, acts, holds, retention);
        (this.referencesOf, this.runsOf, this.scopeOf) = (referencesOf, runsOf, scopeOf);
        shredding = new VaultShredding(vault);
    }

    public RetentionStatus Retention => retention.Status;

    public IReadOnlyList<LegalHold> Holds => holds.All;

    /// <summary>A person says that the wall clock is right: what is over may expire.</summary>
    public Task ConfirmClockAsync(Actor actor) => retention.ConfirmClockAsync(actor);

    /// <summary>Ends what is over now, as the sweep does by itself every ten minutes.</summary>
    internal void Sweep(CancellationToken cancellation) => retention.Sweep(cancellation);

    /// <summary>A new generation of the keystore under a new key; the key before is destroyed. Returns the generation.</summary>
    /// <exception cref="VaultActRefusedException">There is no room on the disk.</exception>
    public async Task<long> RotateAsync(string? reason, Actor actor)
    {
        long generation = 0;
        VaultException? full = null;
        await acts.RunAsync(actor, reason, (ledger, act) =>
        {
            try
            {
                generation = vault.Rotate();
            }
            catch (VaultException e) when (e.Kind == VaultErrorKind.DiskFull)
            {
                full = e; // nothing was changed
                return;
            }

            ledger.AppendOwn("keys.rotated", entry =>
            {
                act(entry);
                entry.Set("key", key => key.Set("name", "vault.keystore").Set("custody", vault.Custody.ToName()).Set("generation", generation).Set("level", Level));
            });
        }).ConfigureAwait(false);
        return full is null ? generation : throw new VaultActRefusedException(full.Message);
    }

    /// <summary>How the master key is kept.</summary>
    public MasterCustody Custody => vault.Custody;

    /// <summary>Converts between a file and a passphrase; the files and the entry are durable on return. Ingest waits about two seconds.</summary>
    /// <param name="custody">File or Passphrase: how it shall be kept.</param>
    /// <param name="passphrase">The new one, or the one in use.</param>
    /// <exception cref="VaultActRefusedException">It is kept otherwise, the passphrase is another or too short, or there is no room on the disk. Nothing was changed.</exception>
    public Task KeepMasterAsync(MasterCustody custody, SecretBytes passphrase, Actor actor) => ChangeMasterAsync(custody, actor, () =>
    {
        if (custody == MasterCustody.Passphrase)
        {
            vault.SealWithPassphrase(passphrase);
        }
        else
        {
            vault.KeepInFile(passphrase);
        }
    });

    /// <summary>Another passphrase for the master key; durable, and in the ledger, on return.</summary>
    /// <exception cref="VaultActRefusedException">As for <see cref="KeepMasterAsync"/>.</exception>
    public Task ChangePassphraseAsync(SecretBytes passphrase, SecretBytes next, Actor actor) => ChangeMasterAsync(MasterCustody.Passphrase, actor, () => vault.ChangePassphrase(passphrase, next));

    private async Task ChangeMasterAsync(MasterCustody custody, Actor actor, Action change)
    {
        VaultException? refusal = null;
        await acts.RunAsync(actor, null, (ledger, act) =>
        {
            try
            {
                change();
            }
            catch (VaultException e) when (e.Kind is VaultErrorKind.Refused or VaultErrorKind.Unopenable or VaultErrorKind.DiskFull)
            {
                refusal = e;
                return;
            }

            MasterRecord.Append(ledger, custody, act); // a crash before it: the next start says it
        }).ConfigureAwait(false);
        if (refusal is not null)
        {
            throw new VaultActRefusedException(refusal.Message);
        }
    }

    /// <summary>The ledger says that the vault was opened with its passphrase.</summary>
    public Task RecordUnsealedAsync(Actor actor) => RecordSealAsync("keys.unsealed", actor);

    /// <summary>The ledger says that the vault is sealed; the caller closes the store next.</summary>
    public Task RecordSealedAsync(Actor actor) => RecordSealAsync("keys.sealed", actor);

    /// <summary>The master key is under a passphrase: once the store is closed the vault stays shut until somebody gives it.</summary>
    public bool CanBeSealed => vault.Custody == MasterCustody.Passphrase;

    private Task RecordSealAsync(string type, Actor actor) => acts.RunAsync(actor, null, (ledger, act) => ledger.AppendOwn(type, entry =>
    {
        act(entry);
        MasterRecord.Write(entry, vault.Custody);
    }));

    /// <summary>
    /// Erases payloads before their day: of one reference, one run, every run that names an end user, or all of a tenant, with the keys of its pseudonyms. Durable, keys destroyed, and in the ledger on return.
    /// </summary>
    /// <param name="by"><c>ref</c>, <c>run</c>, <c>subject</c> (then the value is a pseudonym, <c>u_</c> and 32 hex digits) or <c>tenant</c>.</param>
    /// <exception cref="VaultActRefusedException">Nothing is selected, a legal hold forbids it, or there is no room on the disk.</exception>
    public async Task<ShredReceipt> ShredAsync(string by, string value, string reason, Actor actor, CancellationToken cancellation)
    {
        string scope = by == "tenant" ? scopeOf(value) : "";
        if (scope.Length > 0 && shredding.IsShared(scope))
        {
            throw new VaultActRefusedException("this tenant shares its keys with others that came after the cap of scopes; erase its runs one by one.");
        }

        var refs = Select(by, value, scope, cancellation);
        if (refs.Count == 0 && scope.Length == 0)
        {
            throw new VaultActRefusedException($"no payload that can still be opened belongs to {by} '{value}'.");
        }

        RefuseHeld(by, value, scope, refs, cancellation);
        string root = ReferenceList.RootOf(refs), id = Id();
        VaultException? full = null;
        await acts.RunAsync(actor, reason, (ledger, act) =>
        {
            var intent = EntryDraft.Create("vault.shred.intent", id, entry =>
            {
                act(entry);
                entry.Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("workspace", IngestSource.DefaultWorkspace)
                    .Set("shred", shred => shred.Set("by", by).Set("value", LedgerText.IsClean(Encoding.UTF8.GetBytes(value)) ? value : scope).Set("count", refs.Count).Set("refs_root", root)
                        .Set("keystore_before", vault.Generation));
            });
            var plan = new ShredPlan(id, 0, [], by == "tenant" ? [] : refs, refs.Count, root, ledger.Head.Size, intent.Bytes.ToArray()) { Scope = scope };
            full = TryCarryOut(plan, options, clock, vault, ledger);
        }).ConfigureAwait(false);
        return full is null ? new ShredReceipt(id, refs.Count, vault.Generation, Level)
            : throw new VaultActRefusedException($"the shredding is recorded and will be finished by the next start or sweep: {full.Message}");
    }

    /// <summary>Forbids expiry and erasure until the hold is released; returns its id.</summary>
    /// <param name="by"><c>ref</c>, <c>run</c> or <c>tenant</c>.</param>
    /// <exception cref="VaultActRefusedException">The run or payload is not known here: a hold on it would protect nothing.</exception>
    public async Task<string> HoldAsync(string by, string value, string reason, Actor actor)
    {
        string held = by == "tenant" ? scopeOf(value) : value, id = Id();
        if (!LedgerText.IsClean(Encoding.UTF8.GetBytes(held)))
        {
            throw new VaultActRefusedException($"'{value}' cannot stand in the ledger as it is; name the {by} as the page shows it.");
        }

        if (by == "run" ? referencesOf(value, default).Count == 0 : by == "ref" && !shredding.IsOpenable(value))
        {
            throw new VaultActRefusedException($"no payload that can still be opened belongs to {by} '{value}', so a hold would protect nothing; name the {by} as the page shows it.");
        }

        await acts.RunAsync(actor, reason, (ledger, act) =>
        {
            holds.Place(new LegalHold(id, by, held, Rfc3339.FormatMillis(clock.UnixMillis))); // first: a crash here holds what nobody asked for in the ledger, never the other way
            ledger.AppendOwn("vault.hold", entry => Hold(entry, act, "placed", by, held, id));
        }).ConfigureAwait(false);
        return id;
    }

    /// <exception cref="VaultActRefusedException">There is no such hold.</exception>
    public async Task ReleaseAsync(string id, string reason, Actor actor)
    {
        var hold = holds.All.FirstOrDefault(h => h.Id == id) ?? throw new VaultActRefusedException($"there is no legal hold '{id}'; `evident vault hold list` shows them.");
        await acts.RunAsync(actor, reason, (ledger, act) =>
        {
            ledger.AppendOwn("vault.hold", entry => Hold(entry, act, "released", hold.By, hold.Value, id));
            holds.Release(id);
        }).ConfigureAwait(false);
    }

    /// <summary>A keystore older than the ledger knows is a copy that was put back: keys that were destroyed would live again.</summary>
    /// <exception cref="VaultException">Unopenable.</exception>
    internal static void RefuseOldKeystore(VaultStore vault, NewestEntry newest, long size)
    {
        long floor = Math.Max(
            Generation(newest.Find("vault.shred.done", size, static facts => facts.Number("shred"u8, "keystore_after"u8).ToString(CultureInfo.InvariantCulture))),
            Generation(newest.Find("keys.rotated", size, static facts => facts.Number("key"u8, "generation"u8).ToString(CultureInfo.InvariantCulture))));
        if (vault.Generation < floor)
        {
            throw new VaultException(
                VaultErrorKind.Unopenable,
                $"The vault was not opened: its keystore is generation {vault.Generation}, and the ledger says that generation {floor} was made: an old copy was put back. "
                + "Keys that were destroyed since then would live again. Put the newest one back.");
        }

        static long Generation(string? text) => text is null ? 0 : long.Parse(text, CultureInfo.InvariantCulture);
    }

    /// <summary>What a crash left of a shredding is finished before anything is accepted.</summary>
    internal static void FinishShredding(StoreOptions options, IClock clock, VaultStore vault, LedgerLog ledger, Action<string, Exception?> log)
    {
        if (ShredPlan.Left(Path.Combine(options.DataDirectory, "vault")) is { } plan)
        {
            log("a shredding that the last run began is finished now", TryCarryOut(plan, options, clock, vault, ledger));
        }
    }

    /// <summary>Null when it is done; a full disk leaves the plan for the next start or sweep.</summary>
    internal static VaultException? TryCarryOut(ShredPlan plan, StoreOptions options, IClock clock, VaultStore vault, LedgerLog ledger)
    {
        try
        {
            plan.CarryOut(Path.Combine(options.DataDirectory, "vault"), vault, ledger, clock.UnixMillis, options.ShredStep);
            return null;
        }
        catch (VaultException full) when (full.Kind == VaultErrorKind.DiskFull)
        {
            return full;
        }
    }

    private List<string> Select(string by, string value, string scope, CancellationToken cancellation) => by switch
    {
        "ref" => [.. new[] { value }.Where(shredding.IsOpenable)],
        "run" => [.. referencesOf(value, cancellation).Distinct().Where(shredding.IsOpenable)],
        "subject" => [.. runsOf(Subject(value), cancellation).SelectMany(run => referencesOf(run, cancellation)).Distinct().Where(shredding.IsOpenable)],
        "tenant" => shredding.Of(scope),
        _ => throw new VaultActRefusedException($"payloads are selected by ref, run, user or tenant, not by '{by}'."),
    };

    private static string Subject(string value) => value.Length == 34 && value.StartsWith("u_", StringComparison.Ordinal) && !value.AsSpan(2).ContainsAnyExcept("0123456789abcdef")
        ? value
        : throw new VaultActRefusedException("an end user is named by the pseudonym that the page shows: u_ and 32 lower-case hex digits.");

    private void RefuseHeld(string by, string value, string scope, List<string> refs, CancellationToken cancellation)
    {
        var selected = refs.ToHashSet(StringComparer.Ordinal);
        foreach (var hold in holds.All)
        {
            bool held = hold.By switch
            {
                "ref" => selected.Contains(hold.Value),
                "tenant" => scope == hold.Value || refs.Exists(r => shredding.ScopeOf(r) == hold.Value),
                _ => (by == "run" && hold.Value == value) || referencesOf(hold.Value, cancellation).Any(selected.Contains),
            };
            if (held)
            {
                throw new VaultActRefusedException($"the legal hold '{hold.Id}' on {hold.By} '{hold.Value}' forbids it; release the hold first.");
            }
        }
    }

    private static void Hold(Lj1ObjectBuilder entry, Action<Lj1ObjectBuilder> act, string state, string by, string value, string id)
    {
        act(entry);
        entry.Set("hold", hold => hold.Set("state", state).Set("by", by).Set("value", value).Set("hold_id", id));
    }

    private static string Id()
    {
        Span<byte> id = stackalloc byte[16];
        Sodium.RandomBytes(id);
        return Convert.ToHexStringLower(id);
    }
}
