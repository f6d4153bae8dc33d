using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>A bundle that was written beside the appliance and asks for its signature.</summary>
/// <param name="ExportId">32 hex digits.</param>
/// <param name="From">First entry, <paramref name="To"/> one past the last one; group boundaries both.</param>
/// <param name="Size">The published size that it rests on.</param>
/// <param name="ManifestSha256">64 hex digits.</param>
/// <param name="TenantId">Set when only one tenant's entries are shown.</param>
public sealed record ExportClaim(string ExportId, long From, long To, long Size, string ManifestSha256, string? TenantId);

/// <summary>The owner's part in an export: it publishes, records and signs. Everything else happens outside of it. Thread safe.</summary>
internal sealed class LedgerExports(string ledgerDirectory, StoreActs acts, IClock clock)
{
    /// <summary>Publishes what is durable; completes when the published head is on stable storage.</summary>
    public Task PublishAsync(CancellationToken cancellation) => acts.PublishAsync().WaitAsync(cancellation);

    /// <summary>
    /// Records the export and signs its manifest: <c>export.made</c> is durable before the signature is given out. The signature covers a fixed text with
    /// this ledger's origin and the hash, so nothing else can be got signed here.
    /// </summary>
    /// <exception cref="ExportRefusedException">The claim does not describe a published head of this ledger and whole groups of it.</exception>
    public async Task<byte[]> SignAsync(ExportClaim claim, Actor actor, CancellationToken cancellation)
    {
        if (!IsHex(claim.ExportId, 32) || !IsHex(claim.ManifestSha256, 64))
        {
            throw new ExportRefusedException("an export is named by 32 hex digits and its manifest by 64.");
        }

        var head = BundleWriter.CheckRange(ledgerDirectory, claim.From, claim.To, claim.Size);
        var own = acts.Scope;
        var draft = EntryDraft.Create("export.made", claim.ExportId, entry => entry
            .Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("workspace", IngestSource.DefaultWorkspace).SetIf("tenant_id", LedgerDrafts.Clean(own, claim.TenantId))
            .Set("actor", who => who.Set("kind", actor.Kind == "uid" ? "uid" : "unknown")
                .SetIf("id", LedgerDrafts.Clean(own, actor.Id)).SetIf("identity_source", actor.Kind == "uid" ? "uid" : null))
            .Set("export", export => export.Set("export_id", claim.ExportId).Set("from", claim.From).Set("to", claim.To)
                .Set("head", at => at.Set("size", head.Size).Set("root", LedgerFormat.HashText(head.Root)))
                .Set("manifest_sha256", LedgerFormat.HashPrefix + claim.ManifestSha256)));
        byte[] note = [], hash = Convert.FromHexString(claim.ManifestSha256);
        await acts.SubmitAsync("export", "", null, _ => new ActWork([draft], ledger => note = ledger.SignManifest(hash))).WaitAsync(cancellation).ConfigureAwait(false);
        return note;
    }

    private static bool IsHex(string text, int digits) => text.Length == digits && !text.AsSpan().ContainsAnyExcept("0123456789abcdef");
}
