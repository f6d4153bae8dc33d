using System.Text.Json;
using System.Text.Json.Serialization;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>One legal hold: its payloads neither expire nor can be erased until it is released.</summary>
/// <param name="By"><c>ref</c>, <c>run</c> or <c>tenant</c> (then <paramref name="Value"/> is the scope's id, 32 hex digits).</param>
public sealed record LegalHold(string Id, string By, string Value, string Placed);

/// <summary>The holds in force, in <c>vault/holds.json</c>; the ledger tells who placed and released them and why, and the file is made from it when it is missing. Thread safe.</summary>
internal sealed class LegalHolds
{
    public const string FileName = "holds.json";

    private readonly string path;
    private volatile LegalHold[] holds;

    /// <summary>From its file, or where that is missing from the ledger, which names every hold; the file is there on return.</summary>
    /// <param name="size">Of the ledger.</param>
    /// <exception cref="StoreException">The file is damaged.</exception>
    public LegalHolds(string vaultDirectory, string ledgerDirectory, long size)
    {
        path = Path.Combine(vaultDirectory, FileName);
        holds = [];
        try
        {
            if (File.Exists(path))
            {
                holds = JsonSerializer.Deserialize(File.ReadAllBytes(path), LegalHoldsJson.Default.LegalHoldArray) ?? [];
            }
            else
            {
                Write(FromLedger(ledgerDirectory, size));
            }
        }
        catch (JsonException damage)
        {
            throw new StoreException($"'{path}' cannot be read: {damage.Message} Remove it, and the next start writes it anew from the vault.hold entries of the ledger.", damage);
        }
    }

    public IReadOnlyList<LegalHold> All => holds;

    /// <summary>Durable on return.</summary>
    public void Place(LegalHold hold) => Write([.. holds, hold]);

    /// <summary>Durable on return.</summary>
    public void Release(string id) => Write(Array.FindAll(holds, h => h.Id != id));

    public bool HoldsRun(string run) => run.Length > 0 && Array.Exists(holds, h => h.By == "run" && h.Value == run);

    public bool HoldsScope(string scopeId) => Array.Exists(holds, h => h.By == "tenant" && h.Value == scopeId);

    public bool AnyRun => Array.Exists(holds, h => h.By == "run");

    public bool AnyScope => Array.Exists(holds, h => h.By == "tenant");

    private static LegalHold[] FromLedger(string ledgerDirectory, long size)
    {
        var found = new List<LegalHold>();
        var facts = new LedgerFacts();
        foreach (var line in LedgerReader.Read(ledgerDirectory, 0, int.MaxValue, size))
        {
            if (line.Json.Span.IndexOf("\"vault.hold\""u8) >= 0 && facts.Read(line) && facts[LedgerFacts.Type].SequenceEqual("vault.hold"u8))
            {
                string id = facts.Text("hold"u8, "hold_id"u8) ?? "";
                found.RemoveAll(h => h.Id == id);
                if (facts.Text("hold"u8, "state"u8) == "placed")
                {
                    found.Add(new LegalHold(id, facts.Text("hold"u8, "by"u8) ?? "", facts.Text("hold"u8, "value"u8) ?? "", Rfc3339.FormatMillis(facts.Recorded)));
                }
            }
        }

        return [.. found];
    }

    private void Write(LegalHold[] now)
    {
        DurableDirectory.ReplaceFile(path, JsonSerializer.SerializeToUtf8Bytes(now, LegalHoldsJson.Default.LegalHoldArray));
        holds = now;
    }
}

[JsonSerializable(typeof(LegalHold[]))]
internal sealed partial class LegalHoldsJson : JsonSerializerContext;
