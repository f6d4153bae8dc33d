using System.Globalization;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>The notes of published sizes and what witnesses have signed of them, as they lie in a ledger directory.</summary>
internal static class PublishedNotes
{
    /// <exception cref="ExportRefusedException">That size was not published.</exception>
    /// <exception cref="LedgerStateException">The file is no checkpoint of that size.</exception>
    public static Checkpoint Read(string directory, long size, out byte[] note)
    {
        note = LedgerReader.PublishedNote(directory, size)
            ?? throw new ExportRefusedException(string.Create(CultureInfo.InvariantCulture, $"no head of size {size} was published."));
        return SignedNote.TryParse(note, out var parsed, out _) && Checkpoint.TryParse(parsed.Text, out var checkpoint) && checkpoint.Size == size
            ? checkpoint
            : throw new LedgerStateException($"the published checkpoint of size {size} in '{directory}' is damaged. Run `evident verify`.");
    }

    /// <summary>The note with every further signature that <c>anchors/</c> holds for the same text, 100 signatures at most.</summary>
    public static byte[] WithCosignatures(string directory, long size, byte[] note)
    {
        if (!SignedNote.TryParse(note, out var published, out _))
        {
            return note;
        }

        var lines = new List<NoteSignature>(published.Signatures);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var signature in lines)
        {
            seen.Add(SignedNote.SignatureLine(signature));
        }

        foreach (var (anchored, name) in Anchors(directory))
        {
            if (anchored != size || !SignedNote.TryParse(HeadStore.ReadNote(Path.Combine(directory, "anchors", name)), out var anchor, out _)
                || !anchor.Text.AsSpan().SequenceEqual(published.Text))
            {
                continue;
            }

            foreach (var signature in anchor.Signatures)
            {
                if (lines.Count < SignedNote.MaxSignatures && seen.Add(SignedNote.SignatureLine(signature)))
                {
                    lines.Add(signature);
                }
            }
        }

        return SignedNote.Encode(published.Text, lines);
    }

    /// <summary>Files of <c>anchors/</c> with names of the format, and the sizes that their names state, in ascending order.</summary>
    public static List<(long Size, string Name)> Anchors(string directory)
    {
        var anchors = new List<(long, string)>();
        string folder = Path.Combine(directory, "anchors");
        if (Directory.Exists(folder))
        {
            foreach (string path in Directory.EnumerateFiles(folder, "*" + LedgerFormat.NoteSuffix))
            {
                string name = Path.GetFileName(path);
                if (name.Length == 20 + 1 + 8 + LedgerFormat.NoteSuffix.Length && name[20] == '-'
                    && long.TryParse(name.AsSpan(0, 20), NumberStyles.None, CultureInfo.InvariantCulture, out long size))
                {
                    anchors.Add((size, name));
                }
            }
        }

        anchors.Sort(static (a, b) => string.CompareOrdinal(a.Item2, b.Item2));
        return anchors;
    }
}
