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

/// <summary>Runs that were written to a file, or records that were read from files.</summary>
/// <param name="Format">Of the files; a short code.</param>
/// <param name="Sha256">64 hex digits: of the exported file, or over the imported files' hashes in order.</param>
/// <param name="Runs">Exported runs; null for an import.</param>
public sealed record TransferClaim(string Format, string Sha256, long? Runs, long Files, long Accepted, long Rejected, long Duplicates);

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

    /// <summary>Appends <c>export.made</c> or <c>import.made</c>; an export of runs rests on the head of that moment and holds no entry: its range is empty.</summary>
    /// <exception cref="ExportRefusedException">The claim is not well formed.</exception>
    public Task RecordAsync(TransferClaim claim, Actor actor)
    {
        if (!IsHex(claim.Sha256, 64) || claim.Format.Length is 0 or > 32 || claim.Format.AsSpan().ContainsAnyExcept("abcdefghijklmnopqrstuvwxyz0123456789-") || claim.Runs < 0
            || claim.Files < 1 || claim.Accepted < 0 || claim.Rejected < 0 || claim.Duplicates < 0)
        {
            throw new ExportRefusedException("a transfer is told by a format, a hash of 64 hex digits and counts that are not negative.");
        }

        return acts.RunAsync(actor, null, (ledger, act) => ledger.AppendOwn(claim.Runs is null ? "import.made" : "export.made", entry =>
        {
            act(entry);
            string hash = LedgerFormat.HashPrefix + claim.Sha256;
            if (claim.Runs is { } runs)
            {
                var head = ledger.Head;
                entry.Set("export", export => export.Set("export_id", claim.Sha256[..32]).Set("from", head.Size).Set("to", head.Size)
                    .Set("head", at => at.Set("size", head.Size).Set("root", LedgerFormat.HashText(head.Root))).Set("manifest_sha256", hash).Set("runs", runs));
            }
            else
            {
                entry.Set("import", import => import.Set("format", claim.Format).Set("files", claim.Files).Set("sha256", hash)
                    .Set("accepted", claim.Accepted).Set("rejected", claim.Rejected).Set("duplicates", claim.Duplicates));
            }
        }));
    }

    private static bool IsHex(string text, int digits) => text.Length == digits && !text.AsSpan().ContainsAnyExcept("0123456789abcdef");
}
