using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using Evident.Platform;
using Evident.Store;
using Evident.Vault;

namespace Evident.Control;

/// <summary>
/// The operations that change the vault or its keys. <c>ref</c> carries what is selected as <c>by:value</c>, or the id of a hold.
/// </summary>
internal static class VaultOperation
{
    public const string Rotate = "keys.rotate", ConfirmClock = "vault.confirm-clock", Shred = "vault.shred", Hold = "vault.hold", Release = "vault.release", Holds = "vault.holds", Certificate = "vault.certificate", Disclose = "vault.disclose", SealWith = "keys.seal-with", ChangePassphrase = "keys.change-passphrase";

    public const int MaxReferenceChars = 256;

    /// <summary>Bytes of a payload as FIRST-LAST or FIRST-, from 0; as first byte and how many at most.</summary>
    public static bool TryRange(string text, out (long First, int Count) range)
    {
        int dash = text.IndexOf('-', StringComparison.Ordinal);
        long last = int.MaxValue - 1L;
        range = default;
        if (dash < 1 || !long.TryParse(text.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out long first)
            || (dash + 1 < text.Length && !long.TryParse(text.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out last)) || last < first)
        {
            return false;
        }

        range = (first, (int)Math.Min(last - first + 1, int.MaxValue));
        return true;
    }

    /// <summary>Null when the operation is none of these.</summary>
    public static async Task<Reply?> TryRunAsync(EvidentStore store, Operation operation, Actor actor, CancellationToken cancel)
    {
        VaultActs acts = store.VaultActs;
        try
        {
            switch (operation.Name)
            {
                case Rotate:
                    long generation = await acts.RotateAsync(operation.Reason, actor);
                    return Reply.Done(json => json.WriteNumber("keystore_generation"u8, generation));
                case SealWith:
                    return await SealWithAsync(acts, operation, actor);
                case ChangePassphrase:
                    return await ChangePassphraseAsync(acts, operation, actor);
                case ConfirmClock:
                    await acts.ConfirmClockAsync(actor);
                    return Reply.Done(json => json.WriteString("clock"u8, "confirmed"));
                case Shred:
                    return await ShredAsync(acts, operation, actor, cancel);
                case Hold:
                    var (by, value) = Selected(operation);
                    string id = await acts.HoldAsync(by, value, Words(operation), actor);
                    return Reply.Done(json => json.WriteString("hold"u8, id));
                case Release:
                    await acts.ReleaseAsync(operation.Reference ?? "", Words(operation), actor);
                    return Reply.Done(json => json.WriteString("released"u8, operation.Reference));
                case Disclose:
                    string[] asked = (operation.Reference ?? "").Split(' ', 2); // the reference, and whom it is for
                    byte[] disclosed = await store.DisclosePayloadAsync(asked[0], Words(operation), asked.Length > 1 ? asked[1] : null, actor, cancel);
                    return Reply.Done(json => json.WriteString("ref"u8, asked[0]), disclosed);
                case Certificate:
                    byte[] certificate = await store.CertifyShreddingAsync(operation.Reference ?? "", cancel);
                    return Reply.Done(json => json.WriteString("shred"u8, operation.Reference), certificate);
                case Holds:
                    return Reply.Done(json => WriteHolds(json, acts.Holds));
                default:
                    return null;
            }
        }
        catch (Exception e) when (e is VaultActRefusedException or PayloadDeniedException or StoreStoppedException or QueueFullException or ArgumentException)
        {
            return Reply.Refused($"{operation.Name} was refused: {e.Message}");
        }
    }

    /// <summary>What the sweep says of itself, for the status.</summary>
    public static void Write(Utf8JsonWriter json, RetentionStatus retention)
    {
        json.WriteString("expiry"u8, retention.Suspended ? "suspended: the wall clock is not plausible, see vault confirm-clock" : "on");
        if (retention.TrustedUnixMillis is { } trusted)
        {
            json.WriteString("clock_trusted"u8, Rfc3339.FormatMillis(trusted));
        }

        json.WriteNumber("promoted_since_start"u8, retention.Promoted);
        json.WriteNumber("expired_since_start"u8, retention.Expired);
    }

    private static async Task<Reply> SealWithAsync(VaultActs acts, Operation operation, Actor actor)
    {
        if (operation.Reference is not ("passphrase" or "file") || operation.Secret is not { Length: > 0 and <= Passphrases.MaxBytes } given)
        {
            return Reply.Refused($"{SealWith} needs passphrase or file, and a passphrase of 1 to {Passphrases.MaxBytes} bytes.");
        }

        using SecretBytes passphrase = SecretBytes.CopyAndZero(given);
        await acts.KeepMasterAsync(operation.Reference == "file" ? MasterCustody.File : MasterCustody.Passphrase, passphrase, actor);
        return Reply.Done(json => json.WriteString("custody"u8, acts.Custody.ToName()));
    }

    /// <summary>Two passphrases in one secret: length of the first as two bytes, big-endian, then both.</summary>
    public static byte[] Both(SecretBytes passphrase, SecretBytes next)
    {
        byte[] both = new byte[2 + passphrase.Length + next.Length];
        BinaryPrimitives.WriteUInt16BigEndian(both, (ushort)passphrase.Length);
        passphrase.Span.CopyTo(both.AsSpan(2));
        next.Span.CopyTo(both.AsSpan(2 + passphrase.Length));
        return both;
    }

    private static async Task<Reply> ChangePassphraseAsync(VaultActs acts, Operation operation, Actor actor)
    {
        byte[] both = operation.Secret ?? [];
        int first = both.Length > 2 ? BinaryPrimitives.ReadUInt16BigEndian(both) : 0, second = both.Length - 2 - first;
        if (first is 0 or > Passphrases.MaxBytes || second is <= 0 or > Passphrases.MaxBytes)
        {
            return Reply.Refused($"{ChangePassphrase} needs the passphrase in use and the new one, each of 1 to {Passphrases.MaxBytes} bytes.");
        }

        using SecretBytes passphrase = SecretBytes.CopyAndZero(both.AsSpan(2, first)), next = SecretBytes.CopyAndZero(both.AsSpan(2 + first));
        await acts.ChangePassphraseAsync(passphrase, next, actor);
        return Reply.Done(json => json.WriteString("custody"u8, acts.Custody.ToName()));
    }

    private static async Task<Reply> ShredAsync(VaultActs acts, Operation operation, Actor actor, CancellationToken cancel)
    {
        var (by, value) = Selected(operation);
        ShredReceipt receipt = await acts.ShredAsync(by, value, Words(operation), actor, cancel);
        return Reply.Done(json =>
        {
            json.WriteString("shred"u8, receipt.Id);
            json.WriteNumber("payloads"u8, receipt.Payloads);
            json.WriteNumber("keystore_generation"u8, receipt.Generation);
            json.WriteString("level"u8, receipt.Level);
        });
    }

    private static (string By, string Value) Selected(Operation operation) =>
        operation.Reference is { Length: <= MaxReferenceChars } selected && selected.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon && colon + 1 < selected.Length
            ? (selected[..colon], selected[(colon + 1)..])
            : throw new VaultActRefusedException($"it needs what is selected, ref, run, subject or tenant, and a value of {MaxReferenceChars} characters at most.");

    private static string Words(Operation operation) => operation.Reason is { Length: <= Operation.MaxReasonChars } reason && !string.IsNullOrWhiteSpace(reason)
        ? reason
        : throw new VaultActRefusedException($"it needs a reason of 1 to {Operation.MaxReasonChars} characters.");

    private static void WriteHolds(Utf8JsonWriter json, IReadOnlyList<LegalHold> holds)
    {
        json.WriteStartArray("holds"u8);
        foreach (LegalHold hold in holds)
        {
            json.WriteStartObject();
            json.WriteString("hold"u8, hold.Id);
            json.WriteString("by"u8, hold.By);
            json.WriteString("value"u8, hold.Value);
            json.WriteString("placed"u8, hold.Placed);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
