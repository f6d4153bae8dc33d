using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>Opens payloads, ledger first (ledger-and-vault 3.13): find, record, wait until that is durable, then decrypt. Thread safe.</summary>
internal sealed class PayloadReads(VaultStore vault, StoreActs acts, DeniedReads refusals, IClock clock)
{
    /// <param name="range">First byte and most bytes; null: the whole payload.</param>
    /// <exception cref="ArgumentException">No reason, or the range begins behind the payload's end.</exception>
    public async Task<VaultPayload> ReadAsync(string reference, (long First, int Count)? range, string reason, Actor actor, CancellationToken cancellation)
    {
        byte[] words = StoreActs.Words(reason);
        try
        {
            var info = vault.Find(reference);
            long first = range?.First ?? 0;
            if (range is { Count: < 1 } or { First: < 0 } || (first > 0 && first >= info.PlainBytes))
            {
                throw new ArgumentException($"the payload has {info.PlainBytes} bytes; a range begins at 0 to {Math.Max(0, info.PlainBytes - 1)} and has at least one.", nameof(range));
            }

            long returned = range is { Count: var count } ? Math.Min(count, info.PlainBytes - first) : info.PlainBytes;
            await Record("vault.read", words, actor, info.ScopeId, entry => entry.Set("vault", read =>
            {
                read.Set("ref", info.Ref).Set("role", info.Role).Set("bytes", ValueForm.Bucket(returned));
                if (range is not null)
                {
                    read.Set("first_byte", first);
                }
            })).WaitAsync(cancellation).ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            return range is null ? vault.Read(reference) : vault.Read(reference, first, (int)returned);
        }
        catch (VaultException refusal) when (CodeOf(refusal.Kind) is { } code)
        {
            throw await Denied(refusal, code, reference, words, actor, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>A payload with its salt for an auditor: recorded, durable, then opened.</summary>
    /// <param name="recipient">Who gets it, as a clean token or a pseudonym; null when that is not said.</param>
    public async Task<(VaultPayload Payload, byte[] Salt)> DiscloseAsync(string reference, string reason, string? recipient, Actor actor, CancellationToken cancellation)
    {
        byte[] words = StoreActs.Words(reason);
        try
        {
            var info = vault.Find(reference);
            string? to = recipient is null ? null : LedgerDrafts.Clean(acts.Scope, recipient);
            await Record("vault.disclose", words, actor, info.ScopeId, entry => entry.Set("vault", disclosed => disclosed.Set("ref", info.Ref).SetIf("recipient", to)))
                .WaitAsync(cancellation).ConfigureAwait(false);
            return vault.Disclose(reference);
        }
        catch (VaultException refusal) when (CodeOf(refusal.Kind) is { } code)
        {
            throw await Denied(refusal, code, reference, words, actor, cancellation).ConfigureAwait(false);
        }
    }

    // The refusal is in the ledger, or counted until it is.
    private async Task<PayloadDeniedException> Denied(VaultException refusal, string code, string reference, byte[] words, Actor actor, CancellationToken cancellation)
    {
        if (!refusals.Folds(actor, code))
        {
            await Record("vault.denied", words, actor, null, entry => entry.Set("vault", denied => denied.Set("cause", code)
                .SetIf("ref", refusal.Kind == VaultErrorKind.Malformed ? null : reference))).WaitAsync(cancellation).ConfigureAwait(false);
        }

        return new PayloadDeniedException(code, refusal.Message);
    }

    // Null for what is no refusal but a failure of the vault itself.
    private static string? CodeOf(VaultErrorKind kind) => kind switch
    {
        VaultErrorKind.NotFound => "not_found",
        VaultErrorKind.Expired => "expired",
        VaultErrorKind.Shredded => "shredded",
        VaultErrorKind.Tampered => "tampered",
        VaultErrorKind.Malformed => "malformed",
        _ => null,
    };

    /// <summary>An act with its sealed reason; completes when both are durable.</summary>
    internal Task Record(string type, byte[] reason, Actor actor, string? scopeId, Action<Lj1ObjectBuilder> about)
    {
        byte[] id = new byte[16];
        Sodium.RandomBytes(id);
        var own = acts.Scope;
        return acts.SubmitAsync("vault", "vault.reason", reason, said => new ActWork([EntryDraft.Create(type, Convert.ToHexStringLower(id), entry =>
        {
            entry.Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("workspace", IngestSource.DefaultWorkspace).SetIf("scope", scopeId);
            StoreActs.Describe(entry, own, actor, said!);
            about(entry);
        })]));
    }
}
