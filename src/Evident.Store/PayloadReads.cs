using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>Opens payloads, ledger first (ledger-and-vault 3.13): find, record, wait until that is durable, then decrypt. Thread safe.</summary>
internal sealed class PayloadReads(VaultStore vault, IngestPipeline pipeline, WriteQueue queue, DeniedReads refusals, IClock clock)
{
    private const int MaxReasonBytes = 4_096;
    private const string Workspace = "default";

    public async Task<VaultPayload> ReadAsync(string reference, string reason, Actor actor, CancellationToken cancellation)
    {
        byte[] words = Words(reason);
        try
        {
            var info = vault.Find(reference);
            await Record("vault.read", words, actor, info.ScopeId, entry => entry.Set("vault", read => read.Set("ref", info.Ref)
                .Set("role", info.Role).Set("bytes", ValueForm.Bucket(info.PlainBytes)))).WaitAsync(cancellation).ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            return vault.Read(reference);
        }
        catch (VaultException refusal) when (CodeOf(refusal.Kind) is not null)
        {
            string code = CodeOf(refusal.Kind)!;
            if (!refusals.Folds(actor, code))
            {
                await Record("vault.denied", words, actor, null, entry => entry.Set("vault", denied => denied.Set("cause", code)
                    .SetIf("ref", refusal.Kind == VaultErrorKind.Malformed ? null : reference))).WaitAsync(cancellation).ConfigureAwait(false);
            }

            throw new PayloadDeniedException(code, refusal.Message);
        }
    }

    /// <summary>A payload with its salt for an auditor: recorded, durable, then opened.</summary>
    /// <param name="recipient">Who gets it, as a clean token or a pseudonym; null when that is not said.</param>
    public async Task<(VaultPayload Payload, byte[] Salt)> DiscloseAsync(string reference, string reason, string? recipient, Actor actor, CancellationToken cancellation)
    {
        byte[] words = Words(reason);
        try
        {
            var info = vault.Find(reference);
            string? to = recipient is null ? null : LedgerDrafts.Clean(pipeline.ScopesOf(Workspace).Resolve([]), recipient);
            await Record("vault.disclose", words, actor, info.ScopeId, entry => entry.Set("vault", disclosed => disclosed.Set("ref", info.Ref).SetIf("recipient", to)))
                .WaitAsync(cancellation).ConfigureAwait(false);
            return vault.Disclose(reference);
        }
        catch (VaultException refusal) when (CodeOf(refusal.Kind) is { } code)
        {
            if (!refusals.Folds(actor, code))
            {
                await Record("vault.denied", words, actor, null, entry => entry.Set("vault", denied => denied.Set("cause", code)
                    .SetIf("ref", refusal.Kind == VaultErrorKind.Malformed ? null : reference))).WaitAsync(cancellation).ConfigureAwait(false);
            }

            throw new PayloadDeniedException(code, refusal.Message);
        }
    }

    /// <summary>The reason as it is sealed.</summary>
    /// <exception cref="ArgumentException">There is none, or it is too long.</exception>
    internal static byte[] Words(string reason)
    {
        byte[] words = Encoding.UTF8.GetBytes(reason.Trim());
        return words.Length is > 0 and <= MaxReasonBytes ? words : throw new ArgumentException($"a reason of 1..{MaxReasonBytes} bytes is needed; {words.Length} were given.", nameof(reason));
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

    /// <summary>Who acted, and the sealed reason in words: what every act of a person has.</summary>
    internal static void Act(Lj1ObjectBuilder entry, Scope scope, Actor actor, string reference, byte[] commitment, int reasonBytes) => entry
        .Set("actor", who => who.Set("kind", actor.Kind is "uid" or "user" or "agent" or "service" or "staff" or "system" ? actor.Kind : "unknown")
            .SetIf("id", LedgerDrafts.Clean(scope, actor.Id)).SetIf("identity_source", actor.Kind == "uid" ? "uid" : null))
        .Set("payload", payload => payload.Set("reason", one => LedgerDrafts.Sealed(one, reference, commitment, reasonBytes)));

    /// <summary>An act with its sealed reason; completes when both are durable.</summary>
    internal Task Record(string type, byte[] reason, Actor actor, string? scopeId, Action<Lj1ObjectBuilder> about)
    {
        var scopes = pipeline.ScopesOf(Workspace);
        var own = scopes.Resolve([]);
        var batch = vault.NewBatch();
        WriteRequest request;
        try
        {
            var sealer = new PayloadSealer(scopes, batch);
            byte[] reference = new byte[PayloadReferences.Length], commitment = new byte[32], id = new byte[16];
            sealer.Seal(own, "vault.reason", keepLong: true, reason, reference, commitment);
            Sodium.RandomBytes(id);
            var draft = EntryDraft.Create(type, Convert.ToHexStringLower(id), entry =>
            {
                entry.Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("workspace", Workspace).SetIf("scope", scopeId);
                Act(entry, own, actor, Encoding.ASCII.GetString(reference), commitment, reason.Length);
                about(entry);
            });
            request = new WriteRequest
            {
                Source = new IngestSource("vault", Workspace), Sealed = batch, References = sealer.References, Drafts = [draft], Bytes = reason.Length + draft.Bytes.Length,
            };
        }
        catch
        {
            batch.Dispose();
            throw;
        }

        try
        {
            queue.Add(request);
        }
        catch
        {
            request.Dispose();
            throw;
        }

        return request.Receipt.Task;
    }
}
