using System.Globalization;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// Heads against the ledger: the notes published beside it, and those that somebody supplies (docs/ledger-format.md sections 5 and 9, "Heads"). Published notes of the
/// segments' own sizes are compared while the pass goes over them; whatever is not plainly right is judged when the pass has ended.
/// </summary>
internal sealed class HeadAudit(LedgerFolder folder, LedgerPass pass, List<Finding> findings, ForkEvidence forks)
{
    private readonly HashSet<long> wanted = [];
    private readonly Dictionary<long, byte[]> roots = [];
    private readonly Dictionary<long, NoteKey> signers = [];
    private readonly List<(long Size, string Name)> doubtful = [];
    private IReadOnlyList<(long Size, string Name)> published = [];
    private int next;

    /// <summary>Root that the ledger signed for each wanted size that has a valid checkpoint line.</summary>
    public Dictionary<long, byte[]> Roots => roots;

    /// <summary>The newest published note that the ledger confirms, verbatim; empty when there is none.</summary>
    public string Newest { get; set; } = "";

    /// <summary>Damage is reported that may be why a checkpoint line was not seen.</summary>
    public bool Damaged { get; set; }

    /// <summary>Sizes whose signed roots are needed afterwards.</summary>
    public HashSet<long> Wanted => wanted;

    /// <summary>Set before the pass: published notes, ascending by size.</summary>
    public void Expect(IReadOnlyList<(long Size, string Name)> notes) => published = notes;

    /// <summary>The pass has seen a valid checkpoint line.</summary>
    public void See(long size, byte[] root)
    {
        for (; next < published.Count && published[next].Size < size; next++)
        {
            doubtful.Add(published[next]);
            wanted.Add(published[next].Size); // a checkpoint line that was moved may still bring it
        }

        bool due = next < published.Count && published[next].Size == size;
        bool plain = due && IsPlainlyRight(published[next].Name, size, root);
        if (wanted.Contains(size) || (due && !plain))
        {
            roots.TryAdd(size, root);
            if (pass.Signer is { } signer)
            {
                signers.TryAdd(size, signer);
            }
        }

        if (due && !plain)
        {
            doubtful.Add(published[next]);
        }

        next += due ? 1 : 0;
    }

    /// <summary>After the pass: the published notes that were not plainly right, and those of sizes that were not seen.</summary>
    public void CheckPublished()
    {
        for (; next < published.Count; next++)
        {
            doubtful.Add(published[next]);
        }

        foreach (var (size, name) in doubtful)
        {
            if (Read(name) is { } note)
            {
                Published(name, note, size);
            }
        }
    }

    /// <summary>The note in a file of the ledger directory; null, with a finding, when it is none.</summary>
    public SignedNote? Read(string name)
    {
        try
        {
            if (SignedNote.TryParse(folder.Read(name, SignedNote.MaxBytes + 1), out var note, out string failure))
            {
                return note;
            }

            Find(Verdict.Malformed, name, $"{name} is no signed note: {failure}");
        }
        catch (PosixException e) when (e.Errno is LedgerPass.NotSeekable or LedgerPass.LinkFound)
        {
            Find(Verdict.Malformed, name, $"{name} is a link or a special file where a plain one is needed.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Find(Verdict.Incomplete, name, $"{name} could not be read: {e.Message}");
        }

        return null;
    }

    /// <summary>A published note: signed by the identity key and the last key of its checkpoint line, named by its size, and a head that the ledger contains.</summary>
    /// <param name="size">The size that the name states; -1 when it states none.</param>
    public bool Published(string name, SignedNote note, long size)
    {
        if (pass.Identity is null)
        {
            return false; // entry 0 is damaged and reported; there is no key to check with
        }

        if (!Checkpoint.TryParse(note.Text, out var checkpoint) || checkpoint.Size == 0 || checkpoint.Origin != pass.Origin)
        {
            return Find(Verdict.KeyViolation, name, $"{name} does not hold a signed checkpoint of this ledger.");
        }

        if (!note.IsSignedBy(pass.Identity))
        {
            return Find(Verdict.KeyViolation, name, $"{name} is not signed by the identity key.");
        }

        if (InvalidSigner(note) is { } invalid)
        {
            return Find(Verdict.KeyViolation, name, $"{name} carries a signature of {invalid} that is not valid.");
        }

        if (size >= 0 && checkpoint.Size != size)
        {
            return Find(Verdict.Altered, name, $"{name} holds a checkpoint of size {checkpoint.Size}.");
        }

        if (signers.TryGetValue(checkpoint.Size, out var signer) && !note.IsSignedBy(signer))
        {
            return Find(Verdict.KeyViolation, name, $"{name} is not signed by the key of its epoch.");
        }

        if (!Contains(name, name, note, checkpoint, supplied: false))
        {
            return false;
        }

        if (size >= 0 && name.Contains('/', StringComparison.Ordinal))
        {
            Newest = System.Text.Encoding.UTF8.GetString(note.Encode());
        }

        return true;
    }

    /// <summary>True when the ledger contains the head; accuses when it shows another one.</summary>
    /// <param name="what">The note in a sentence.</param>
    /// <param name="file">Its file in the ledger directory, or empty.</param>
    public bool Contains(string what, string file, SignedNote? note, Checkpoint checkpoint, bool supplied)
    {
        if (roots.TryGetValue(checkpoint.Size, out byte[]? root))
        {
            if (root.AsSpan().SequenceEqual(checkpoint.Root))
            {
                return true;
            }

            if (note is not null)
            {
                forks.Add(checkpoint, note, root);
            }

            return Find(
                Verdict.Forked, file, $"{what} is signed for {checkpoint.Size} entries with a root that the ledger's own checkpoint does not have: two histories exist.{Lost(checkpoint.Size)}");
        }

        if (checkpoint.Size > pass.Seen)
        {
            // Beside a torn tail the loss is on record already, and what lies in the same directory is no anchor: a supplied head makes it 30.
            int code = pass.Unreadable ? 0 : pass.Torn is not null && !supplied ? Verdict.Notes : Verdict.RolledBack;
            return Find(code, file, $"{what} shows that the ledger once had {checkpoint.Size} entries; it ends at {pass.Size}.{Lost(checkpoint.Size)}", pass.Size, checkpoint.Size - 1);
        }

        return Damaged
            ? Find(0, file, $"{what} of size {checkpoint.Size} could not be compared because of the damage reported.")
            : Find(Verdict.Forked, file, $"{what} is of {checkpoint.Size} entries, where this ledger never signed a checkpoint.{Lost(checkpoint.Size)}");
    }

    /// <summary>A head that the auditor brought. True when the ledger contains it.</summary>
    public bool Known(KnownHead head, Func<Checkpoint, bool>? comparable)
    {
        string what = $"the known head {head.File}";
        var checkpoint = head.Checkpoint;
        if (pass.Origin.Length > 0 && checkpoint.Origin != pass.Origin)
        {
            return Find(Verdict.KeyViolation, "", $"{what} is for '{checkpoint.Origin}', this ledger is '{pass.Origin}'.");
        }

        if (pass.Identity is not null && head.Note is not null)
        {
            if (!head.Note.IsSignedBy(pass.Identity))
            {
                return Find(Verdict.KeyViolation, "", $"{what} is not signed by this ledger's identity key.");
            }

            if (InvalidSigner(head.Note) is { } invalid)
            {
                return Find(Verdict.KeyViolation, "", $"{what} carries a signature of {invalid} that is not valid.");
            }
        }

        return comparable is not null && !roots.ContainsKey(checkpoint.Size) && !comparable(checkpoint)
            ? Find(0, "", $"{what} of size {checkpoint.Size} cannot be compared with this part of the ledger.")
            : Contains(what, "", head.Note, checkpoint, supplied: true);
    }

    /// <summary>The name of a known key whose signature under the note is not valid; null when there is none.</summary>
    public string? InvalidSigner(SignedNote note)
    {
        foreach (var signature in note.Signatures)
        {
            if (pass.KeyNamed(signature.Name) is { } key && key.Matches(signature) && !key.Verifies(signature, note.Text))
            {
                return key.Name;
            }
        }

        return null;
    }

    private bool IsPlainlyRight(string name, long size, byte[] root)
    {
        byte[] bytes;
        try
        {
            bytes = folder.Read(name, SignedNote.MaxBytes + 1);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // read again, and reported, when the pass has ended
        }

        bool right = SignedNote.TryParse(bytes, out var note, out _) && note.Signatures.Count == 2 && Checkpoint.TryParse(note.Text, out var checkpoint)
            && checkpoint.Origin == pass.Origin && checkpoint.Size == size && checkpoint.Root.AsSpan().SequenceEqual(root)
            && pass.Identity is { } identity && note.IsSignedBy(identity) && pass.Signer is { } signer && note.IsSignedBy(signer);
        if (right)
        {
            Newest = System.Text.Encoding.UTF8.GetString(bytes);
        }

        return right;
    }

    private string Lost(long size)
    {
        var accepted = pass.Incarnations.Find(i => i.Found < size && size <= i.Lost);
        return accepted is null ? "" : string.Create(
            CultureInfo.InvariantCulture, $" It is of the history that incarnation {accepted.Number}, entry {accepted.Seq}, gave up: entries {accepted.Found}..{accepted.Lost - 1}.");
    }

    private bool Find(int code, string file, string sentence, long from = -1, long to = -1)
    {
        findings.Add(new Finding(code, sentence, file, FromSeq: from, ToSeq: to));
        return false;
    }
}
