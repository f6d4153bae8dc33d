using System.Text.Json;
using System.Text.Json.Serialization;
using Evident.Platform;

namespace Evident.Store;

/// <summary>One legal hold: its payloads neither expire nor can be erased until it is released.</summary>
/// <param name="By"><c>ref</c>, <c>run</c> or <c>tenant</c> (then <paramref name="Value"/> is the scope's id, 32 hex digits).</param>
public sealed record LegalHold(string Id, string By, string Value, string Placed);

/// <summary>The holds in force, in <c>vault/holds.json</c>; the ledger tells who placed and released them and why. Thread safe.</summary>
internal sealed class LegalHolds
{
    public const string FileName = "holds.json";

    private readonly string path;
    private volatile LegalHold[] holds;

    /// <exception cref="StoreException">The file is damaged.</exception>
    public LegalHolds(string vaultDirectory)
    {
        path = Path.Combine(vaultDirectory, FileName);
        try
        {
            holds = File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), LegalHoldsJson.Default.LegalHoldArray) ?? [] : [];
        }
        catch (JsonException damage)
        {
            throw new StoreException($"'{path}' cannot be read: {damage.Message} Write it anew from the vault.hold entries of the ledger, or put a copy back; without it payloads under a hold would expire.", damage);
        }
    }

    public IReadOnlyList<LegalHold> All => holds;

    /// <summary>Durable on return.</summary>
    public void Place(LegalHold hold) => Write([.. holds, hold]);

    /// <summary>Durable on return.</summary>
    public void Release(string id) => Write(Array.FindAll(holds, h => h.Id != id));

    public bool HoldsRun(string run) => run.Length > 0 && Array.Exists(holds, h => h.By == "run" && h.Value == run);

    public bool HoldsScope(string scopeId) => Array.Exists(holds, h => h.By == "tenant" && h.Value == scopeId);

    public bool AnyScope => Array.Exists(holds, h => h.By == "tenant");

    private void Write(LegalHold[] now)
    {
        DurableDirectory.ReplaceFile(path, JsonSerializer.SerializeToUtf8Bytes(now, LegalHoldsJson.Default.LegalHoldArray));
        holds = now;
    }
}

[JsonSerializable(typeof(LegalHold[]))]
internal sealed partial class LegalHoldsJson : JsonSerializerContext;
