using System.Text;

namespace Evident.Ledger;

/// <summary>Two notes of one origin and size with different roots, both under the same identity: no honest ledger signs both.</summary>
/// <param name="First">The note that was brought or found, verbatim.</param>
/// <param name="Second">The other one, verbatim: the ledger's own, or another that was brought.</param>
public sealed record Fork(string Origin, long Size, string First, string Second);

/// <summary>Collects forks as a verification finds them, each with both notes, so that the report alone proves them to a third party. Writes nothing.</summary>
internal sealed class ForkEvidence(LedgerFolder ledger, Func<NoteKey?> identity)
{
    private const int Most = 64; // pairs in one report; one is proof enough

    private readonly List<Fork> forks = [];

    public IReadOnlyList<Fork> Forks => forks;

    /// <summary>A note that the identity key signed contradicts the root that the ledger signed for its size.</summary>
    public void Add(Checkpoint checkpoint, SignedNote note, byte[] root)
    {
        if (forks.Count < Most && OwnNote(checkpoint.Size, root) is { } own)
        {
            forks.Add(new Fork(checkpoint.Origin, checkpoint.Size, Encoding.UTF8.GetString(note.Encode()), own));
        }
    }

    /// <summary>Notes that were brought contradict each other, at a size for which the ledger itself signed nothing.</summary>
    public void Compare(IReadOnlyList<KnownHead> heads, IReadOnlyDictionary<long, byte[]> roots, List<Finding> findings)
    {
        var first = new Dictionary<long, KnownHead>();
        foreach (var head in heads)
        {
            if (head.Note is null || roots.ContainsKey(head.Checkpoint.Size) || identity() is not { } key || head.Checkpoint.Origin != key.Name || !head.Note.IsSignedBy(key)
                || first.TryAdd(head.Checkpoint.Size, head))
            {
                continue;
            }

            var other = first[head.Checkpoint.Size];
            if (!other.Checkpoint.Root.AsSpan().SequenceEqual(head.Checkpoint.Root) && forks.Count < Most)
            {
                findings.Add(new Finding(Verdict.Forked, $"the known heads {other.File} and {head.File} have different roots for {head.Checkpoint.Size} entries: two histories exist."));
                forks.Add(new Fork(key.Name, head.Checkpoint.Size, Encoding.UTF8.GetString(other.Note!.Encode()), Encoding.UTF8.GetString(head.Note.Encode())));
            }
        }
    }

    /// <summary>The published note of that size when it has that root and both signatures, else the note in the checkpoint line.</summary>
    private string? OwnNote(long size, byte[] root)
    {
        try
        {
            string? published = LedgerReader.Published(ledger, size);
            return published is not null && SignedNote.TryParse(Encoding.UTF8.GetBytes(published), out var note, out _) && Checkpoint.TryParse(note.Text, out var checkpoint)
                && checkpoint.Root.AsSpan().SequenceEqual(root) && identity() is { } key && note.IsSignedBy(key)
                ? published
                : LedgerReader.CheckpointAt(ledger, size);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LedgerStateException)
        {
            return null; // the finding stands; the second note cannot be shown
        }
    }

    public static void Append(StringBuilder text, IReadOnlyList<Fork> forks)
    {
        foreach (var fork in forks)
        {
            text.AppendLine().AppendLine(System.Globalization.CultureInfo.InvariantCulture, $"Two signed heads of {fork.Size} entries: evidence of two histories. Keep both notes.");
            foreach (string note in (string[])[fork.First, fork.Second])
            {
                text.AppendLine();
                foreach (string line in note.TrimEnd('\n').Split('\n'))
                {
                    text.Append("    ").AppendLine(line);
                }
            }
        }
    }

    public static IEnumerable<Action<Lj1ObjectBuilder>> ToJson(IReadOnlyList<Fork> forks) => forks.Select(f => (Action<Lj1ObjectBuilder>)(b => b
        .Set("origin", f.Origin).Set("size", f.Size).Set("notes", [f.First, f.Second])));
}
