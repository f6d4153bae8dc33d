using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>A confirmation that lies in <c>anchors/</c> and in the ledger.</summary>
/// <param name="Anchor">The file.</param>
/// <param name="Size">The head that it confirms.</param>
/// <param name="Filed">False when both were there already.</param>
public sealed record FiledAnchor(AnchorNote Anchor, long Size, bool Filed);

/// <summary>A note cannot be filed. The message is one sentence.</summary>
public sealed class AnchorRefusedException(string message) : Exception(message);

/// <summary>
/// Files what witnesses bring back (docs/evidence.md, "Filing"): the file is durable before the entry that names it. A crash in between leaves a file without an
/// entry; filing the same note again finds that and appends it. Thread safe.
/// </summary>
internal sealed class AnchorFiling(string ledgerDirectory, Func<LedgerSnapshot> ledger, StoreActs acts, IClock clock) : IDisposable
{

    private readonly SemaphoreSlim one = new(1); // looking, writing and appending are one step

    public void Dispose() => one.Dispose();

    /// <exception cref="AnchorRefusedException">The note is not this ledger's, carries no cosignature, or another one is filed in its place.</exception>
    public async Task<IReadOnlyList<FiledAnchor>> FileAsync(byte[] bytes, Actor actor, CancellationToken cancellation)
    {
        await one.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            var (checkpoint, anchors) = Check(bytes);
            var filed = new List<FiledAnchor>();
            var drafts = new List<EntryDraft>();
            foreach (var anchor in anchors)
            {
                RefuseAnother(anchor); // all of them before the first is written
            }

            foreach (var anchor in anchors)
            {
                var draft = Draft(anchor, checkpoint, actor);
                bool there = Write(anchor) && IsRecorded(draft.Id, checkpoint.Size);
                filed.Add(new FiledAnchor(anchor, checkpoint.Size, !there));
                if (!there)
                {
                    drafts.Add(draft);
                }
            }

            if (drafts.Count > 0)
            {
                await acts.SubmitAsync("anchor", "", null, _ => new ActWork(drafts)).WaitAsync(cancellation).ConfigureAwait(false);
            }

            return filed;
        }
        finally
        {
            one.Release();
        }
    }

    private (Checkpoint Checkpoint, IReadOnlyList<AnchorNote> Anchors) Check(byte[] bytes)
    {
        var now = ledger();
        if (!SignedNote.TryParse(bytes, out var note, out string failure))
        {
            throw new AnchorRefusedException($"the file is no signed note: {failure}");
        }

        if (!Checkpoint.TryParse(note.Text, out var checkpoint) || checkpoint.Origin != now.Origin)
        {
            throw new AnchorRefusedException($"the note is no checkpoint of this ledger, '{now.Origin}'.");
        }

        if (NoteKey.ParseVerifierKey(now.IdentityVkey) is not { } identity || !note.IsSignedBy(identity))
        {
            throw new AnchorRefusedException("the note has no valid signature of this ledger's identity key, or an invalid one.");
        }

        if (LedgerReader.Published(ledgerDirectory, checkpoint.Size) is not { } text || !SignedNote.TryParse(Encoding.UTF8.GetBytes(text), out var published, out _))
        {
            throw new AnchorRefusedException($"this ledger has no published checkpoint of size {checkpoint.Size}; if the note is genuine, entries were lost. Keep it and run 'evident verify --known-head'.");
        }

        if (!published.Text.AsSpan().SequenceEqual(note.Text))
        {
            throw new AnchorRefusedException(
                $"the note is signed by this ledger's identity key with another root for {checkpoint.Size} entries than was published: two histories exist. Keep it: it is evidence.");
        }

        var anchors = AnchorNotes.Split(note, published);
        return anchors.Count > 0 ? (checkpoint, anchors) : throw new AnchorRefusedException("the note carries no cosignature of a witness; 'evident witness cosign' adds one.");
    }

    // Whether a cosignature is valid the appliance cannot tell: what came first is never replaced by what calls itself the same witness.
    private void RefuseAnother(AnchorNote anchor)
    {
        string path = PathOf(anchor);
        if (File.Exists(path) && !File.ReadAllBytes(path).AsSpan().SequenceEqual(anchor.Bytes))
        {
            throw new AnchorRefusedException($"another cosignature of the same head under the same key id is filed as {AnchorNotes.Folder}/{anchor.File}, and is kept.");
        }
    }

    /// <summary>True when the file was there already.</summary>
    private bool Write(AnchorNote anchor)
    {
        string path = PathOf(anchor);
        if (File.Exists(path))
        {
            return true;
        }

        DurableDirectory.Create(Path.GetDirectoryName(path)!);
        DurableDirectory.ReplaceFile(path, anchor.Bytes, 0x1A4);
        return false;
    }

    private string PathOf(AnchorNote anchor) => Path.Combine(ledgerDirectory, AnchorNotes.Folder, anchor.File);

    /// <summary>A confirmation of a head is appended after that head: nothing below its size needs to be looked at.</summary>
    private bool IsRecorded(string id, long since)
    {
        const int page = 4_096;
        var parser = new Lj1Parser();
        byte[] wanted = Encoding.ASCII.GetBytes(id);
        long size = ledger().Head.Size;
        for (long from = since; from < size; from += page)
        {
            foreach (var line in LedgerReader.Read(ledgerDirectory, from, page, size))
            {
                if (parser.Parse(line.Json.Span) == Lj1Error.None && parser.Text(line.Json.Span, "id"u8).SequenceEqual(wanted))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private EntryDraft Draft(AnchorNote anchor, Checkpoint checkpoint, Actor actor)
    {
        var own = acts.Scope;
        string hash = LedgerFormat.HashText(SHA256.HashData(anchor.Bytes));
        string id = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes($"ledger.anchor\n{anchor.File}\n{hash}")))[..32];
        return EntryDraft.Create("ledger.anchor", id, entry => entry
            .Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis))
            .Set("actor", who => who.Set("kind", actor.Kind == "uid" ? "uid" : "unknown").SetIf("id", LedgerDrafts.Clean(own, actor.Id))
                .SetIf("identity_source", actor.Kind == "uid" ? "uid" : null))
            .Set("anchor", a => a.Set("kind", "cosignature").Set("head", h => h.Set("size", checkpoint.Size).Set("root", LedgerFormat.HashText(checkpoint.Root)))
                .SetIf("witness", LedgerDrafts.Clean(own, anchor.Witness)).Set("key_id", anchor.KeyId)
                .SetIf("time", Cosignature.DateText(anchor.Time)).Set("file", anchor.File).Set("sha256", hash)));
    }
}
