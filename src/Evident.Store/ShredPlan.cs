using System.Text.Json;
using System.Text.Json.Serialization;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// One shredding that is under way, in <c>vault/shred.plan</c>: the plan is durable, then the intent is in the ledger, then keys and packs are destroyed, then the receipt is in the ledger, then the plan
/// is removed. A crash anywhere in between is finished by the next start through the same steps; each of them may be done twice.
/// </summary>
/// <param name="Id">32 hex digits: id of the intent; the receipt's has <c>.done</c> behind it.</param>
/// <param name="Before">Of an expiry: keys of days before this one are destroyed.</param>
/// <param name="Packs">Of an expiry: the packs that are removed.</param>
/// <param name="Refs">Of an erasure: the payloads that end.</param>
/// <param name="Count">Payloads.</param>
/// <param name="Root">RFC 6962 root over their sorted references, <c>sha256:</c> and hex.</param>
/// <param name="LedgerSize">Entries of the ledger when it was made: neither entry is before that.</param>
/// <param name="Intent">The intent's draft, LJ-1.</param>
internal sealed record ShredPlan(
    string Id, int Before, IReadOnlyList<string> Packs, IReadOnlyList<string> Refs, long Count, string Root, long LedgerSize, byte[] Intent)
{
    public const string FileName = "shred.plan";

    /// <summary>Of an erasure: the scope all of whose keys are destroyed, 32 hex digits; empty when <see cref="Refs"/> says what ends.</summary>
    public string Scope { get; init; } = "";

    private string DoneId => Id + ".done";

    /// <summary>Carries the plan out. Writer thread, or the opening one before anything is accepted.</summary>
    /// <param name="at">Told between the steps; a test interrupts there.</param>
    public void CarryOut(string vaultDirectory, VaultStore vault, LedgerLog ledger, long nowMillis, Action<string> at)
    {
        string path = Path.Combine(vaultDirectory, FileName);
        if (!File.Exists(path))
        {
            DurableDirectory.ReplaceFile(path, JsonSerializer.SerializeToUtf8Bytes(this, ShredPlanJson.Default.ShredPlan));
        }

        at("planned");
        var present = ledger.IdsSince(LedgerSize);
        if (!present.Contains(Id))
        {
            ledger.Append([EntryDraft.Parse(Intent)]);
        }

        at("intended");
        var shredding = new VaultShredding(vault);
        if (Before > 0)
        {
            shredding.Expire(Before, Packs);
        }
        else if (Scope.Length > 0)
        {
            shredding.EraseScope(Scope);
        }
        else
        {
            shredding.Erase(Refs);
        }

        at("destroyed");
        if (!present.Contains(DoneId))
        {
            ledger.Append([EntryDraft.Create("vault.shred.done", DoneId, entry => entry
                .Set("recorded", Rfc3339.FormatMillis(nowMillis)).Set("workspace", IngestSource.DefaultWorkspace).Set("actor", who => who.Set("kind", "system")).Set("channel", "system")
                .Set("refers", intent => intent.Set("entry", Id))
                .Set("shred", shred => shred.Set("count", Count).Set("refs_root", Root).Set("keystore_after", vault.Generation).Set("level", "L1")))]);
        }

        at("received");
        DurableDirectory.Remove(path);
    }

    /// <summary>The plan that a crash left; null when there is none.</summary>
    /// <exception cref="StoreException">The file is none.</exception>
    public static ShredPlan? Left(string vaultDirectory)
    {
        string path = Path.Combine(vaultDirectory, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), ShredPlanJson.Default.ShredPlan) ?? throw new JsonException("null");
        }
        catch (JsonException damage)
        {
            throw new StoreException($"'{path}' is no plan of a shredding that can be finished: {damage.Message} Keep the file and look at the newest vault.shred.intent of the ledger.", damage);
        }
    }
}

[JsonSerializable(typeof(ShredPlan))]
internal sealed partial class ShredPlanJson : JsonSerializerContext;
