using System.Text.Json;
using Evident.Ledger;
using Evident.Store;

namespace Evident.Control;

/// <summary>
/// What an export asks of the owner. <c>ledger.publish</c>: the durable head is published. <c>ledger.export</c>: an export that was written outside is
/// recorded and its manifest signed; the reply's payload is MANIFEST.note.
/// </summary>
internal static class ExportOperation
{
    public static void Write(Utf8JsonWriter json, ExportClaim? claim)
    {
        if (claim is null)
        {
            return;
        }

        json.WriteStartObject("export"u8);
        json.WriteString("id"u8, claim.ExportId);
        json.WriteNumber("from"u8, claim.From);
        json.WriteNumber("to"u8, claim.To);
        json.WriteNumber("size"u8, claim.Size);
        json.WriteString("manifest"u8, claim.ManifestSha256);
        if (claim.TenantId is not null)
        {
            json.WriteString("tenant"u8, claim.TenantId);
        }

        json.WriteEndObject();
    }

    /// <summary>Null when there is none, or not all of it.</summary>
    public static ExportClaim? Parse(JsonElement root) =>
        root.TryGetProperty("export", out JsonElement claim) && claim.ValueKind == JsonValueKind.Object
        && Operation.Text(claim, "id") is { } id && Operation.Text(claim, "manifest") is { } manifest
        && Number(claim, "from") is { } from && Number(claim, "to") is { } to && Number(claim, "size") is { } size
            ? new ExportClaim(id, from, to, size, manifest, Operation.Text(claim, "tenant"))
            : null;

    public static async Task<Reply> RunAsync(EvidentStore store, ExportClaim? claim, Actor actor, CancellationToken cancel)
    {
        if (claim is null)
        {
            return Reply.Refused("ledger export needs the export's id, range, size and manifest hash.");
        }

        try
        {
            byte[] note = await store.SignExportAsync(claim, actor, cancel); // in the ledger, durable, from here on
            return Reply.Done(json => json.WriteString("export_id"u8, claim.ExportId), note);
        }
        catch (Exception e) when (e is ExportRefusedException or LedgerStateException or StoreStoppedException or QueueFullException)
        {
            return Reply.Refused($"ledger export was refused: {e.Message}");
        }
    }

    public static async Task<Reply> PublishAsync(EvidentStore store, Func<Reply> head, CancellationToken cancel)
    {
        try
        {
            await store.PublishAsync(cancel);
            return head();
        }
        catch (Exception e) when (e is StoreStoppedException or QueueFullException)
        {
            return Reply.Refused($"the head was not published: {e.Message}");
        }
    }

    private static long? Number(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? number : null;
}
