using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// Acts that the writer carries out between two groups: the words of whoever asked are sealed and durable first, then the act itself is done with the ledger in hand. What an act throws is an
/// unknown state, after which the writer stops. Thread safe.
/// </summary>
internal sealed class StoreActs(VaultStore vault, IngestPipeline pipeline, WriteQueue queue)
{
    public const int MaxReasonBytes = 4_096;
    public const string Workspace = "default";

    /// <summary>The appliance itself, without a person who asked.</summary>
    public static readonly Actor Appliance = new("", "system");

    /// <summary>Carries out an act; completes when it is done.</summary>
    /// <param name="reason">Words of a person, sealed; null when the appliance acts by itself.</param>
    /// <param name="act">On the writer thread. Its second argument sets <c>actor</c> and the sealed reason in an entry.</param>
    /// <exception cref="ArgumentException">The reason is empty or too long.</exception>
    public async Task RunAsync(Actor actor, string? reason, Action<LedgerLog, Action<Lj1ObjectBuilder>> act)
    {
        byte[] words = Encoding.UTF8.GetBytes(reason?.Trim() ?? "");
        if (reason is not null && words.Length is 0 or > MaxReasonBytes)
        {
            throw new ArgumentException($"a reason of 1..{MaxReasonBytes} bytes is needed; {words.Length} were given.", nameof(reason));
        }

        var scopes = pipeline.ScopesOf(Workspace);
        var own = scopes.Resolve([]);
        var batch = vault.NewBatch();
        WriteRequest request;
        try
        {
            var sealer = new PayloadSealer(scopes, batch);
            byte[] reference = new byte[PayloadReferences.Length], commitment = new byte[32];
            if (words.Length > 0)
            {
                sealer.Seal(own, "vault.reason", keepLong: true, words, reference, commitment);
            }

            request = new WriteRequest
            {
                Source = new IngestSource("act", Workspace), Sealed = batch, References = sealer.References, Bytes = words.Length,
                WhenDurable = ledger => act(ledger, entry =>
                {
                    if (words.Length > 0)
                    {
                        PayloadReads.Act(entry, own, actor, Encoding.ASCII.GetString(reference), commitment, words.Length);
                    }
                    else
                    {
                        entry.Set("actor", who => who.Set("kind", actor.Kind).SetIf("id", actor.Id.Length > 0 ? LedgerDrafts.Clean(own, actor.Id) : null));
                    }
                }),
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

        await request.Receipt.Task.ConfigureAwait(false);
    }

    /// <summary>Makes payloads durable that were wrapped anew, and then says so in the ledger; completes when both are done.</summary>
    public async Task StoreAsync(SealedBatch batch, IReadOnlyList<EntryDraft> drafts)
    {
        byte[] references = new byte[batch.Records.Count * PayloadReferences.Length];
        var request = new WriteRequest
        {
            Source = new IngestSource("vault", Workspace), Sealed = batch, References = new PayloadReferences(references, batch.Records.Count), Drafts = drafts, Bytes = references.Length,
        };
        try
        {
            queue.Add(request);
        }
        catch
        {
            request.Dispose();
            throw;
        }

        await request.Receipt.Task.ConfigureAwait(false);
    }
}
