using System.Text.Json;
using System.Text.Json.Serialization;
using Evident.Platform;

namespace Evident.Store;

/// <summary>What a debug session is asked for: payloads of one tenant's workflow, sealed unredacted for a while.</summary>
/// <param name="Tenant">As senders name it; empty: spans that name no tenant.</param>
/// <param name="Workflow">As senders name it; with <c>*</c> at its end all that begin so.</param>
/// <param name="Environment">Only this one; null: any.</param>
/// <param name="Minutes">1..1,440, from the approval on.</param>
public sealed record DebugWish(string Tenant, string Workflow, string? Environment, int Minutes);

/// <summary>A debug session as it is kept in <c>DATA/debug-sessions.json</c> from its request to its end. Times are Unix milliseconds of the appliance's clock.</summary>
public sealed record DebugSession
{
    /// <summary><c>ds_</c> and 12 hex digits.</summary>
    public required string Id { get; init; }

    public required DebugWish Wish { get; init; }

    /// <summary>Why, after redaction: it stands on every page while the session is open. The ledger has it sealed.</summary>
    public required string Reason { get; init; }

    public required Actor RequestedBy { get; init; }

    public required long Requested { get; init; }

    public Actor? ApprovedBy { get; init; }

    /// <summary>The approver said that there is no second person.</summary>
    public bool SingleOperator { get; init; }

    /// <summary>Null before the approval.</summary>
    public long? Opened { get; init; }

    /// <summary>When it closes by itself; null before the approval.</summary>
    public long? Until { get; init; }

    /// <summary>Ledger size before the entries of its last step: where a start looks whether they are there.</summary>
    public long LedgerSize { get; init; }

    /// <summary>The step that was begun and may not be in the ledger: <c>open</c> or <c>close</c>.</summary>
    public string? Unfinished { get; init; }

    [JsonIgnore]
    public bool IsOpen => Until is not null;
}

/// <summary>A debug session cannot be asked for, approved or closed. The message is one sentence.</summary>
public sealed class DebugRefusedException(string message) : Exception(message);

/// <summary>The file with the sessions that are asked for or open; it is not there when there are none. What it says of an open one counts only when the ledger says it too.</summary>
internal sealed class DebugSessionFile(string dataDirectory)
{
    public const string Name = "debug-sessions.json";

    private readonly string path = Path.Combine(dataDirectory, Name);

    /// <exception cref="StoreException">The file is not what this version wrote.</exception>
    public DebugSession[] Read()
    {
        if (!File.Exists(path))
        {
            return [];
        }

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), StoreState.Default.DebugSessionArray) ?? [];
        }
        catch (JsonException e)
        {
            throw new StoreException($"'{path}' cannot be read: {e.Message} It holds debug sessions that are asked for or open; delete it, and none is.", e);
        }
    }

    /// <summary>Durable when it returns.</summary>
    public void Write(DebugSession[] sessions)
    {
        if (sessions.Length > 0)
        {
            DurableDirectory.ReplaceFile(path, JsonSerializer.SerializeToUtf8Bytes(sessions, StoreState.Default.DebugSessionArray));
        }
        else if (File.Exists(path))
        {
            DurableDirectory.Remove(path);
        }
    }
}
