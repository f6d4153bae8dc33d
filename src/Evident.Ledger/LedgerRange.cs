namespace Evident.Ledger;

/// <summary>A genesis or rotation entry before a part: its line, its path in the tree of the bundle's head, and the note of its group.</summary>
internal sealed record ControlEntry(string Line, IReadOnlyList<byte[]> Path, string Note);

/// <summary>
/// <c>range.json</c>: what connects the groups [From, To) with a ledger of Size entries (docs/evidence.md, section 6). Left are the roots of
/// the complete subtrees of [0, From), largest first; Right those of the largest aligned subtrees that cover [To, Size), left to right.
/// </summary>
internal sealed record LedgerRange(
    long From, long To, long Size, long Batch, long Epoch, byte[] PrevHash, IReadOnlyList<byte[]> Left, IReadOnlyList<byte[]> Right)
{
    public const string FileName = "range.json";

    /// <summary>Starts and lengths of the largest aligned subtrees that cover [from, to), left to right.</summary>
    public static List<(long Start, long Count)> Cover(long from, long to)
    {
        var cover = new List<(long, long)>();
        while (from < to)
        {
            long count = from == 0 ? 1L << 62 : from & -from;
            while (count > to - from)
            {
                count >>= 1;
            }

            cover.Add((from, count));
            from += count;
        }

        return cover;
    }

    /// <summary>The file's bytes: one LJ-1 object and a line feed.</summary>
    public byte[] Encode(IEnumerable<ControlEntry> control)
    {
        var root = new Lj1ObjectBuilder()
            .Set("v", 1).Set("from", From).Set("to", To).Set("size", Size).Set("batch", Batch).Set("epoch", Epoch)
            .Set("prev_hash", LedgerFormat.HashText(PrevHash)).Set("left", Texts(Left)).Set("right", Texts(Right))
            .Set("control", control.Select(c => (Action<Lj1ObjectBuilder>)(b => b.Set("line", c.Line).Set("path", Texts(c.Path)).Set("note", c.Note))));
        return [.. root.ToBytes(), (byte)'\n'];
    }

    private static List<string> Texts(IReadOnlyList<byte[]> hashes)
    {
        var texts = new List<string>(hashes.Count);
        foreach (byte[] hash in hashes)
        {
            texts.Add(LedgerFormat.HashText(hash));
        }

        return texts;
    }
}
