using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>What one pass over a ledger found, as far as notes from outside are compared with it.</summary>
/// <param name="Origin">Origin of the ledger; empty when entry 0 does not tell.</param>
/// <param name="Identity">The identity key; null when entry 0 is damaged, which is reported.</param>
/// <param name="Roots">Root that the ledger signed, for each size that was asked for and that has a valid checkpoint line.</param>
/// <param name="Size">Entries under the last valid checkpoint line.</param>
/// <param name="Seen">Entries that stand in the files.</param>
/// <param name="Torn">The ledger ends in a torn tail.</param>
/// <param name="Damaged">Damage is reported that may be why a checkpoint line was not seen.</param>
internal sealed record LedgerFound(
    LedgerFolder Folder, string Origin, NoteKey? Identity, IReadOnlyDictionary<long, byte[]> Roots, long Size, long Seen, bool Torn, bool Damaged);

/// <summary>
/// Confirmations from outside in one verification: the notes in <c>anchors/</c>, which must agree with the ledger whoever supplied them, and the cosignatures that
/// the auditor's policy counts (docs/evidence.md, section 4). Notes are read one at a time; what is kept grows with the valid cosignatures of known witnesses.
/// </summary>
internal sealed class Anchors
{
    private readonly TlogPolicy? policy;
    private readonly List<Finding> findings;
    private readonly List<AnchorFile> files = []; // in the order of their names, which is that of their sizes
    private readonly Dictionary<long, long[]> cosigned = []; // size -> time of each witness of the policy

    /// <summary>A file in <c>anchors/</c>: what its name says, and its path in the ledger directory.</summary>
    private sealed record AnchorFile(long Size, string KeyId, string Name);

    /// <summary>Lists <c>anchors/</c> of the ledger directory; opens nothing yet.</summary>
    public Anchors(LedgerFolder ledger, TlogPolicy? policy, List<Finding> findings)
    {
        (this.policy, this.findings) = (policy, findings);
        foreach (var item in ledger.List(AnchorNotes.Folder))
        {
            string name = AnchorNotes.Folder + "/" + item.Name;
            if (AnchorNotes.TryParseName(item.Name, out long size, out string keyId) && item.Kind == FolderItemKind.File)
            {
                files.Add(new AnchorFile(size, keyId, name));
            }
            else if (!item.Name.EndsWith(".tmp", StringComparison.Ordinal))
            {
                findings.Add(new Finding(Verdict.Notes, $"{name} does not belong there.", name));
            }
        }
    }

    /// <summary>Adds the sizes whose signed roots are needed afterwards.</summary>
    public void AddSizesTo(HashSet<long> wanted)
    {
        foreach (var file in files)
        {
            wanted.Add(file.Size);
        }
    }

    /// <summary>Compares every note in <c>anchors/</c> with the ledger and counts the cosignatures of those that it contains.</summary>
    public void CheckFiles(LedgerFound ledger, ForkEvidence forks)
    {
        foreach (var (size, keyId, name) in files)
        {
            byte[] bytes;
            try
            {
                bytes = ledger.Folder.Read(name, SignedNote.MaxBytes + 1);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Find(Verdict.Incomplete, $"{name} could not be read: {e.Message}");
                continue;
            }

            if (!SignedNote.TryParse(bytes, out var note, out string failure))
            {
                Find(Verdict.Malformed, $"{name} is no signed note: {failure}");
            }
            else if (!Checkpoint.TryParse(note.Text, out var checkpoint))
            {
                Find(Verdict.KeyViolation, $"{name} does not hold a signed checkpoint.");
            }
            else if (ledger.Origin.Length > 0 && checkpoint.Origin != ledger.Origin)
            {
                Find(Verdict.Notes, $"{name} is of another ledger, '{checkpoint.Origin}'.");
            }
            else if (ledger.Identity is not null && !note.IsSignedBy(ledger.Identity))
            {
                Find(Verdict.KeyViolation, $"{name} is not signed by the identity key.");
            }
            else if (checkpoint.Size != size || !note.Signatures.Any(s => Convert.ToHexStringLower(s.KeyIdAndSignature.AsSpan(0, 4)) == keyId))
            {
                Find(Verdict.Altered, $"{name} is not named by the size and a key id of the note in it.");
            }
            else if (ledger.Identity is not null && Agrees(name, note, checkpoint, ledger, forks))
            {
                Count(name, name, note, checkpoint);
            }

            void Find(int code, string sentence) => findings.Add(new Finding(code, sentence, name));
        }
    }

    /// <summary>True when the ledger contains the checkpoint of a note that lies beside it.</summary>
    private bool Agrees(string name, SignedNote note, Checkpoint checkpoint, LedgerFound ledger, ForkEvidence forks)
    {
        if (ledger.Roots.TryGetValue(checkpoint.Size, out byte[]? root))
        {
            if (root.AsSpan().SequenceEqual(checkpoint.Root))
            {
                return true;
            }

            findings.Add(new Finding(Verdict.Forked, $"{name} is signed for {checkpoint.Size} entries with a root that the ledger's own checkpoint does not have.", name));
            forks.Add(checkpoint, note, root);
        }
        else if (checkpoint.Size > ledger.Seen)
        {
            findings.Add(new Finding(
                ledger.Torn ? Verdict.Notes : Verdict.RolledBack, $"{name} shows that the ledger once had {checkpoint.Size} entries; it ends at {ledger.Size}.", name,
                FromSeq: ledger.Size, ToSeq: checkpoint.Size - 1));
        }
        else if (!ledger.Damaged)
        {
            findings.Add(new Finding(Verdict.Forked, $"{name} is signed for {checkpoint.Size} entries, where this ledger never signed a checkpoint.", name));
        }

        return false;
    }

    /// <summary>Counts the cosignatures under a checkpoint that the ledger contains. False when an invalid one of a known witness rejects the note.</summary>
    /// <param name="what">The note in a sentence.</param>
    /// <param name="file">Its file in the ledger directory, or empty.</param>
    public bool Count(string what, string file, SignedNote? note, Checkpoint checkpoint)
    {
        if (policy is null || note is null)
        {
            return true;
        }

        long[] times = cosigned.TryGetValue(checkpoint.Size, out long[]? before) ? before : policy.NoCosignatures();
        if (!policy.Read(note, times, out var invalid))
        {
            findings.Add(new Finding(Verdict.KeyViolation, $"{what} carries a cosignature of the witness '{invalid!.Key.Name}' that is not valid.", file));
            return false;
        }

        if (times.AsSpan().ContainsAnyExcept(-1))
        {
            cosigned[checkpoint.Size] = times;
        }

        return true;
    }

    /// <summary>The policy must name the ledger's identity key.</summary>
    public void CheckLog(NoteKey? identity)
    {
        if (policy is not null && identity is not null && !policy.Logs.Any(l => l.ToVerifierKey() == identity.ToVerifierKey()))
        {
            findings.Add(new Finding(
                Verdict.KeyViolation, $"the policy does not name this ledger's identity key, {identity.ToVerifierKey()}; it names {string.Join(", ", policy.Logs.Select(l => l.ToVerifierKey()))}."));
        }
    }

    /// <summary>The largest size whose cosignatures satisfy the policy's quorum, and whose they are; -1 when there is none, or the policy asks for none.</summary>
    public (long Size, string By) Quorum()
    {
        long best = -1;
        foreach (var (size, times) in cosigned)
        {
            best = size > best && policy!.IsSatisfiedBy(times) ? size : best;
        }

        if (best < 0)
        {
            return (-1, "");
        }

        var by = new StringBuilder("the policy's quorum of witnesses:");
        for (int i = 0; i < policy!.Witnesses.Count; i++)
        {
            if (cosigned[best][i] >= 0)
            {
                by.Append(CultureInfo.InvariantCulture, $" {policy.Witnesses[i].Key.Name} at {Cosignature.TimeText(cosigned[best][i])},");
            }
        }

        return (best, by.ToString(0, by.Length - 1));
    }
}
