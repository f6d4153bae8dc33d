using System.Text;
using System.Text.Json;
using Evident.Ledger;
using Evident.Store;

namespace Evident.Control;

/// <summary>What can be asked of the owner of a data directory, over the control socket or in process. One line of JSON on the wire.</summary>
/// <param name="Secret">A passphrase in UTF-8.</param>
internal sealed record Operation(string Name, string? Reference = null, string? Reason = null, byte[]? Note = null, ExportClaim? Export = null,
    DebugOrder? Debug = null, byte[]? Secret = null)
{
    /// <summary>Raw bytes that follow the line on the wire, at most <see cref="ControlSocket.MaxBodyBytes"/>.</summary>
    public byte[] Body { get; init; } = [];

    /// <summary>How many of them the line announces.</summary>
    public int BodyBytes { get; private init; }

    public const string VaultRead = "vault.read", VaultStatus = "vault.status", LedgerHead = "ledger.head", LedgerAnchor = "ledger.anchor", Status = "status";

    public const string LedgerPublish = "ledger.publish", LedgerExport = "ledger.export";

    public const string IdentityReveal = "identity.reveal";

    public const string DebugRequest = "debug.request", DebugApprove = "debug.approve", DebugClose = "debug.close", DebugList = "debug.list";

    public const int MaxReasonChars = 1024, MaxReferenceChars = 64;

    public byte[] ToLine()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("op"u8, Name);
            if (Reference is not null)
            {
                json.WriteString("ref"u8, Reference);
            }

            if (Reason is not null)
            {
                json.WriteString("reason"u8, Reason);
            }

            if (Note is not null)
            {
                json.WriteBase64String("note"u8, Note);
            }

            if (Secret is not null)
            {
                json.WriteBase64String("secret"u8, Secret);
            }

            if (Body.Length > 0)
            {
                json.WriteNumber("body_bytes"u8, Body.Length);
            }

            ExportOperation.Write(json, Export);
            DebugOperation.Write(json, Debug);
            json.WriteEndObject();
        }

        stream.WriteByte((byte)'\n');
        return stream.ToArray();
    }

    /// <summary>Null when the line is no operation.</summary>
    public static Operation? Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 4 });
            JsonElement root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object && Text(root, "op") is { } name
                ? new Operation(
                    name, Text(root, "ref"), Text(root, "reason"),
                    Bytes(root, "note"),
                    ExportOperation.Parse(root),
                    DebugOperation.Parse(root),
                    Bytes(root, "secret")) { BodyBytes = BodyLength(root) }
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // One that is no length is longer than any that is taken.
    private static int BodyLength(JsonElement root) => !root.TryGetProperty("body_bytes", out JsonElement value) ? 0
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int length) && length >= 0 ? length : int.MaxValue;

    private static byte[]? Bytes(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out byte[]? bytes) ? bytes : null;

    internal static string? Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>
/// The reply: one JSON object, and for <c>vault.read</c> the payload. On the wire the object is one line with <c>payload_bytes</c>
/// added, followed by exactly that many raw bytes.
/// </summary>
internal sealed record Reply(int ExitCode, string? Error, byte[] Json, byte[] Payload)
{
    public static Reply Refused(string sentence, int exitCode = Evident.ExitCode.Refused) => new(exitCode, sentence, "{}"u8.ToArray(), []);

    public static Reply Done(Action<Utf8JsonWriter> fields, byte[]? payload = null)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            fields(json);
            json.WriteEndObject();
        }

        return new Reply(Evident.ExitCode.Done, null, stream.ToArray(), payload ?? []);
    }

    public byte[] ToLine()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("exit_code"u8, ExitCode);
            if (Error is not null)
            {
                json.WriteString("error"u8, Error);
            }

            json.WriteNumber("payload_bytes"u8, Payload.Length);
            json.WritePropertyName("result"u8);
            json.WriteRawValue(Json);
            json.WriteEndObject();
        }

        stream.WriteByte((byte)'\n');
        return stream.ToArray();
    }

    /// <exception cref="FormatException">The line is no reply.</exception>
    public static (Reply Reply, int PayloadBytes) Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            string? error = root.TryGetProperty("error", out JsonElement text) ? text.GetString() : null;
            byte[] json = Encoding.UTF8.GetBytes(root.GetProperty("result").GetRawText());
            return (new Reply(root.GetProperty("exit_code").GetInt32(), error, json, []), root.GetProperty("payload_bytes").GetInt32());
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException("The appliance's reply is not one of this version.", e);
        }
    }
}

/// <summary>Carries out operations on an open store; the socket's server and the command without a server run this same code.</summary>
internal sealed class Operations(EvidentStore store)
{
    public async Task<Reply> RunAsync(Operation operation, Actor actor, CancellationToken cancel)
    {
        switch (operation.Name)
        {
            case Operation.VaultRead:
                return await ReadAsync(operation, actor, cancel);
            case Operation.VaultStatus:
                return Reply.Done(WriteVault);
            case Operation.LedgerHead:
                return Reply.Done(WriteHead);
            case Operation.LedgerAnchor:
                return await FileAsync(operation, actor, cancel);
            case Operation.LedgerPublish:
                return await ExportOperation.PublishAsync(store, () => Reply.Done(WriteHead), cancel);
            case Operation.LedgerExport:
                return await ExportOperation.RunAsync(store, operation.Export, actor, cancel);
            case Operation.IdentityReveal:
                return await RevealAsync(operation, actor, cancel);
            case Operation.DebugRequest or Operation.DebugApprove or Operation.DebugClose or Operation.DebugList:
                return await DebugOperation.RunAsync(store, operation, actor, cancel);
            case Operation.Status:
                return Reply.Done(json =>
                {
                    json.WriteString("state"u8, store.Ready.ToString().ToLowerInvariant());
                    json.WriteStartObject("ledger"u8);
                    WriteHead(json);
                    json.WriteEndObject();
                    json.WriteStartObject("vault"u8);
                    WriteVault(json);
                    json.WriteEndObject();
                    json.WriteNumber("accepted_spans"u8, store.Counters.AcceptedSpans);
                    ScrubStatus scrub = store.Scrub;
                    json.WriteStartObject("scrub"u8);
                    json.WriteNumber("scrubbed_to"u8, scrub.ScrubbedTo);
                    json.WriteNumber("errors"u8, scrub.Errors);
                    if (scrub.FinishedUnixMillis is { } finished)
                    {
                        json.WriteString("finished"u8, Platform.Rfc3339.FormatMillis(finished));
                    }

                    json.WriteEndObject();
                });
            case TransferOperation.Import or TransferOperation.Export or TransferOperation.Find or TransferOperation.Record or TransferOperation.ImportPrices or TransferOperation.Prices:
                return await TransferOperation.RunAsync(store, operation, actor, cancel);
            default:
                return await VaultOperation.TryRunAsync(store, operation, actor, cancel) ?? Reply.Refused("The running appliance does not know that operation; it may be another version than this command.");
        }
    }

    private async Task<Reply> ReadAsync(Operation operation, Actor actor, CancellationToken cancel)
    {
        string[] asked = (operation.Reference ?? "").Split(' ', 2); // the reference, and which part of it
        (long First, int Count) part = default;
        if (asked is not [{ Length: > 0 and <= Operation.MaxReferenceChars } reference, ..] || (asked.Length > 1 && !VaultOperation.TryRange(asked[1], out part))
            || operation.Reason is not { Length: <= Operation.MaxReasonChars } reason
            || string.IsNullOrWhiteSpace(reason))
        {
            return Reply.Refused($"vault read needs a reference and a reason of 1 to {Operation.MaxReasonChars} characters.");
        }

        try
        {
            Vault.VaultPayload payload = await store.ReadPayloadAsync(reference, asked.Length > 1 ? part : null, reason, actor, cancel); // in the ledger, durable, from here on
            return Reply.Done(
                json =>
                {
                    json.WriteString("ref"u8, payload.Ref);
                    json.WriteString("role"u8, payload.Role);
                    json.WriteNumber("bytes"u8, payload.Plaintext.Length);
                    json.WriteString("expires_after"u8, payload.ExpiryDay);
                },
                payload.Plaintext);
        }
        catch (PayloadDeniedException e)
        {
            return Reply.Refused($"vault read of {reference} was refused ({e.Code}): {e.Message}");
        }
        catch (Exception e) when (e is StoreStoppedException or ArgumentException)
        {
            return Reply.Refused($"vault read of {reference} was refused: {e.Message}");
        }
    }

    private async Task<Reply> RevealAsync(Operation operation, Actor actor, CancellationToken cancel)
    {
        if (operation.Reference is not { Length: <= Operation.MaxReferenceChars } id || operation.Reason is not { Length: <= Operation.MaxReasonChars } reason || string.IsNullOrWhiteSpace(reason))
        {
            return Reply.Refused($"identity reveal needs a staff pseudonym and a reason of 1 to {Operation.MaxReasonChars} characters.");
        }

        try
        {
            string? name = await store.RevealIdentityAsync(id, reason, actor, cancel); // in the ledger, durable, from here on
            return name is null
                ? Reply.Refused($"identity reveal of {id}: it is not in the register of this appliance; the ledger has that you asked.")
                : Reply.Done(json => json.WriteString("staff_id"u8, id), Encoding.UTF8.GetBytes(name));
        }
        catch (Exception e) when (e is ArgumentException or StoreStoppedException or QueueFullException)
        {
            return Reply.Refused($"identity reveal was refused: {e.Message}");
        }
    }

    private async Task<Reply> FileAsync(Operation operation, Actor actor, CancellationToken cancel)
    {
        try
        {
            IReadOnlyList<FiledAnchor> filed = await store.FileAnchorAsync(operation.Note ?? [], actor, cancel);
            return Reply.Done(json =>
            {
                json.WriteNumber("size"u8, filed[0].Size);
                json.WriteStartArray("anchors"u8);
                foreach (FiledAnchor one in filed)
                {
                    json.WriteStartObject();
                    json.WriteString("witness"u8, one.Anchor.Witness);
                    json.WriteString("key_id"u8, one.Anchor.KeyId);
                    json.WriteString("time"u8, Cosignature.TimeText(one.Anchor.Time));
                    json.WriteString("file"u8, one.Anchor.File);
                    json.WriteBoolean("filed"u8, one.Filed);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
        }
        catch (Exception e) when (e is AnchorRefusedException or StoreStoppedException or QueueFullException or LedgerStateException or IOException)
        {
            return Reply.Refused($"The note was not filed: {e.Message}");
        }
    }

    private void WriteHead(Utf8JsonWriter json)
    {
        LedgerHeadView head = store.LedgerHead();
        json.WriteString("origin"u8, head.Origin);
        json.WriteNumber("size"u8, head.Size);
        json.WriteString("root"u8, head.Root);
        json.WriteNumber("published_size"u8, head.PublishedSize);
        json.WriteString("checkpoint"u8, head.Checkpoint);
        json.WriteString("identity_vkey"u8, head.IdentityVkey);
        json.WriteNumber("epoch"u8, head.Epoch);
    }

    private void WriteVault(Utf8JsonWriter json)
    {
        Vault.VaultStatus vault = store.Vault;
        json.WriteString("state"u8, vault.Poisoned ? "failed" : "open");
        json.WriteNumber("payload_bytes"u8, vault.PayloadBytes);
        json.WriteNumber("packs"u8, vault.Packs);
        json.WriteNumber("expired_packs"u8, vault.ExpiredPacks);
        json.WriteNumber("wraps"u8, vault.Wraps);
        json.WriteNumber("scopes"u8, vault.Scopes);
        json.WriteBoolean("scopes_full"u8, vault.ScopesFull);
        json.WriteNumber("keys"u8, vault.KeyCount);
        json.WriteNumber("keystore_generation"u8, vault.Generation);
        json.WriteNumber("orphan_bytes"u8, vault.OrphanBytes);
        json.WriteNumber("legal_holds"u8, store.VaultActs.Holds.Count);
        VaultOperation.Write(json, store.VaultActs.Retention);
    }
}
