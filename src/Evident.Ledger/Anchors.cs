using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>The ledger that notes from outside are compared with.</summary>
/// <param name="Origin">Its origin; empty when entry 0 does not tell.</param>
/// <param name="Identity">The identity key; null when entry 0 is damaged, which is reported.</param>
internal sealed record LedgerFound(LedgerFolder Folder, string Origin, NoteKey? Identity);

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
    /// <param name="ledger">Null when it has none.</param>
    public Anchors(LedgerFolder? ledger, TlogPolicy? policy, List<Finding> findings)
    {
        (this.policy, this.findings) = (policy, findings);
        LedgerFiles.ListInside(ledger, AnchorNotes.Folder, findings, (name, path) =>
        {
            bool note = AnchorNotes.TryParseName(name, out long size, out string keyId);
            if (note && path is not null)
            {
                files.Add(new AnchorFile(size, keyId, path));
            }

            return note;
        });
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
    public void CheckFiles(LedgerFound ledger, HeadAudit heads)
    {
        foreach (var (size, keyId, name) in files)
        {
            if (heads.Read(name) is not { } note || ledger.Identity is null)
            {
                continue; // reported
            }

            if (!Checkpoint.TryParse(note.Text, out var checkpoint) || checkpoint.Size == 0)
            {
                Find(Verdict.KeyViolation, $"{name} does not hold a signed checkpoint.");
            }
            else if (checkpoint.Origin != ledger.Origin)
            {
                Find(Verdict.Notes, $"{name} is of another ledger, '{checkpoint.Origin}'.");
            }
            else if (!note.IsSignedBy(ledger.Identity))
            {
                Find(Verdict.KeyViolation, $"{name} is not signed by the identity key.");
            }
            else if (checkpoint.Size != size || !note.Signatures.Any(s => Convert.ToHexStringLower(s.KeyIdAndSignature.AsSpan(0, 4)) == keyId))
            {
                Find(Verdict.Altered, $"{name} is not named by the size and a key id of the note in it.");
            }
            else if (heads.Contains(name, name, note, checkpoint, supplied: false))
            {
                Count(name, name, note, checkpoint);
            }

            void Find(int code, string sentence) => findings.Add(new Finding(code, sentence, name));
        }
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
