using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>Words of a person, sealed: what an entry says of them.</summary>
/// <param name="Bytes">Their length in UTF-8.</param>
internal sealed record SealedWords(string Reference, byte[] Commitment, int Bytes)
{
    /// <summary>Seals them into a batch, under the scope of what names no tenant.</summary>
    public static SealedWords Seal(WorkspaceScopes scopes, SealedBatch batch, string role, byte[] words, out PayloadReferences references)
    {
        var sealer = new PayloadSealer(scopes, batch);
        byte[] reference = new byte[PayloadReferences.Length], commitment = new byte[32];
        sealer.Seal(scopes.Resolve([]), role, keepLong: true, words, reference, commitment);
        references = sealer.References;
        return new SealedWords(Encoding.ASCII.GetString(reference), commitment, words.Length);
    }
}

/// <summary>What the writer does for an act: entries that go to the ledger with it, and what follows once they are durable.</summary>
internal sealed record ActWork(IReadOnlyList<EntryDraft> Drafts, Action<LedgerLog>? WhenDurable = null);

/// <summary>
/// Acts of the appliance and of those who operate it, carried out by the writer between two groups: the words of whoever asked are sealed and durable first, then the act itself is done with the ledger
/// in hand. What an act throws is an unknown state, after which the writer stops. Thread safe.
/// </summary>
internal sealed class StoreActs(VaultStore vault, WorkspaceScopes scopes, WriteQueue queue)
{
    public const int MaxReasonBytes = 4_096;

    /// <summary>The appliance itself, without a person who asked.</summary>
    public static readonly Actor Appliance = new("", "system");

    /// <summary>Of what names no tenant.</summary>
    public Scope Scope => scopes.Resolve([]);

    /// <summary>A reason as it is sealed.</summary>
    /// <exception cref="ArgumentException">There is none, or it is too long.</exception>
    public static byte[] Words(string reason)
    {
        byte[] words = Encoding.UTF8.GetBytes(reason.Trim());
        return words.Length is > 0 and <= MaxReasonBytes ? words : throw new ArgumentException($"a reason of 1..{MaxReasonBytes} bytes is needed; {words.Length} were given.", nameof(reason));
    }

    /// <summary>Who acted, and the sealed reason in words: what every act of a person has.</summary>
    public static void Describe(Lj1ObjectBuilder entry, Scope scope, Actor actor, SealedWords reason) => entry
        .Set("actor", who => who.Set("kind", actor.Kind is "uid" or "user" or "agent" or "service" or "staff" or "system" ? actor.Kind : "unknown")
            .SetIf("id", LedgerDrafts.Clean(scope, actor.Id)).SetIf("identity_source", actor.Kind == "uid" ? "uid" : null))
        .Set("payload", payload => payload.Set("reason", one => LedgerDrafts.Sealed(one, reason.Reference, reason.Commitment, reason.Bytes)));

    /// <summary>Carries out an act; completes when it is done.</summary>
    /// <param name="reason">Words of a person, sealed; null when the appliance acts by itself.</param>
    /// <param name="act">On the writer thread. Its second argument sets <c>actor</c> and the sealed reason in an entry.</param>
    /// <exception cref="ArgumentException">The reason is empty or too long.</exception>
    public Task RunAsync(Actor actor, string? reason, Action<LedgerLog, Action<Lj1ObjectBuilder>> act)
    {
        var own = Scope;
        return SubmitAsync("act", "vault.reason", reason is null ? null : Words(reason), said => new ActWork([], ledger => act(ledger, entry =>
        {
            if (said is not null)
            {
                Describe(entry, own, actor, said);
            }
            else
            {
                entry.Set("actor", who => who.Set("kind", actor.Kind).SetIf("id", actor.Id.Length > 0 ? LedgerDrafts.Clean(own, actor.Id) : null));
            }
        })));
    }

    /// <summary>Seals words, and hands them to the writer together with what the act does; completes when all of it is durable.</summary>
    /// <param name="words">Null when nobody said any.</param>
    public Task<IngestReceipt> SubmitAsync(string source, string role, byte[]? words, Func<SealedWords?, ActWork> work)
    {
        var batch = words is null ? null : vault.NewBatch();
        try
        {
            PayloadReferences references = default;
            var (drafts, whenDurable) = work(batch is null ? null : SealedWords.Seal(scopes, batch, role, words!, out references));
            return queue.Submit(new WriteRequest
            {
                Source = new IngestSource(source), Sealed = batch, References = references, Drafts = drafts, WhenDurable = whenDurable, Bytes = (words?.Length ?? 0) + BytesOf(drafts),
            });
        }
        catch
        {
            batch?.Dispose(); // a second time when the queue refused, which changes nothing
            throw;
        }
    }

    /// <summary>Publishes the durable head; completes when that is on stable storage.</summary>
    public Task PublishAsync() => queue.Submit(new WriteRequest { Source = new IngestSource("export"), Publishes = true, Bytes = 0 });

    /// <summary>Makes payloads durable that were wrapped anew, and then says so in the ledger; completes when both are done.</summary>
    public Task StoreAsync(SealedBatch batch, IReadOnlyList<EntryDraft> drafts)
    {
        byte[] references = new byte[batch.Records.Count * PayloadReferences.Length];
        return queue.Submit(new WriteRequest
        {
            Source = new IngestSource("vault"), Sealed = batch, References = new PayloadReferences(references, batch.Records.Count), Drafts = drafts, Bytes = references.Length + BytesOf(drafts),
        });
    }

    private static long BytesOf(IReadOnlyList<EntryDraft> drafts)
    {
        long bytes = 0;
        foreach (var draft in drafts)
        {
            bytes += draft.Bytes.Length;
        }

        return bytes;
    }
}
