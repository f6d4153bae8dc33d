using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// The auditor's own witness in one verification (docs/evidence.md, section 3): the head that it cosigned last is a known head, and after a verdict without
/// accusation it cosigns the newest published one. Owns the witness's directory meanwhile; nothing else is written.
/// </summary>
internal sealed class WitnessAudit : IDisposable
{
    private readonly Witness witness;
    private readonly IReadOnlyList<WitnessedLog> logs;
    private readonly string directory;

    /// <exception cref="WitnessStateException">There is no witness, or its files are damaged, or another process uses it.</exception>
    public WitnessAudit(string directory)
    {
        this.directory = directory;
        witness = Witness.Open(directory);
        try
        {
            logs = witness.Logs;
        }
        catch
        {
            witness.Dispose();
            throw;
        }
    }

    /// <summary>Adds the sizes of the last heads of all logs; which log the ledger is, its first entry tells.</summary>
    public void AddSizesTo(HashSet<long> wanted)
    {
        foreach (var log in logs)
        {
            wanted.Add(log.Size);
        }
    }

    /// <summary>The head of that origin which was cosigned last; null when none was.</summary>
    public KnownHead? HeadOf(string origin)
    {
        foreach (var log in logs)
        {
            if (log.Key.Name == origin && log.Note is not null && SignedNote.TryParse(log.Note, out var note, out _))
            {
                return new KnownHead(
                    new WitnessDirectory(directory).CheckpointOf(origin), note, log.Newest!, LedgerFormat.HashText(System.Security.Cryptography.SHA256.HashData(log.Note)));
            }
        }

        return null;
    }

    /// <summary>A witness that trusts another key for this origin than the ledger shows.</summary>
    public Finding? CheckLog(NoteKey? identity) =>
        identity is not null && logs.FirstOrDefault(l => l.Key.Name == identity.Name) is { } log && log.Key.ToVerifierKey() != identity.ToVerifierKey()
            ? new Finding(Verdict.KeyViolation, $"the witness trusts another key for '{identity.Name}' than this ledger's identity key: {log.Key.ToVerifierKey()}.")
            : null;

    /// <summary>The cosigned note, or a finding that says why there is none.</summary>
    public string? Cosign(string newestPublished, IClock clock, List<Finding> findings)
    {
        try
        {
            if (!SignedNote.TryParse(Encoding.UTF8.GetBytes(newestPublished), out var note, out _) || !Checkpoint.TryParse(note.Text, out var checkpoint))
            {
                findings.Add(new Finding(Verdict.Incomplete, "nothing was cosigned: the ledger has no published head."));
                return null;
            }

            return Encoding.UTF8.GetString(witness.CosignVerified(note, checkpoint, clock.UnixMillis / 1000));
        }
        catch (WitnessRefusalException refusal)
        {
            findings.Add(new Finding(Verdict.Incomplete, $"nothing was cosigned ({refusal.Code}): {refusal.Message}"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            findings.Add(new Finding(Verdict.Incomplete, $"nothing was cosigned: the witness's directory could not be written: {e.Message}"));
        }

        return null;
    }

    public void Dispose() => witness.Dispose();
}
