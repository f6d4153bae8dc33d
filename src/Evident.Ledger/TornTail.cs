using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// What a crash in the middle of a group commit may leave behind the last valid checkpoint line, and nothing else (docs/ledger-format.md section 7):
/// (a) no complete checkpoint line: valid chained entries, then a strict prefix of a line that could legally stand there; or
/// (b) one group whose only defects are runs of NUL that begin at the group's start or a 512-byte boundary of the file and end at such
/// a boundary or the end of the file (sectors that never reached the disk); beside a hole the file may also end short of the group, at such a boundary.
/// </summary>
internal sealed record TornTail(string Segment, long Offset, long Length)
{
    /// <summary>One group and the beginning of another line: a longer tail is not one torn group.</summary>
    public const long MaxBytes = (LedgerFormat.MaxGroupEntries + 1L) * (LedgerFormat.MaxLineBytes + 1);

    /// <summary>
    /// Where the last group of a segment begins: behind the last complete line that begins as a checkpoint line does, or, when the segment ends with that, behind the one
    /// before. -1 when that is further back than a torn group can be long.
    /// </summary>
    /// <param name="from">Nothing before this offset is looked at; it counts as such a place.</param>
    public static long Start(FileWindow file, long from)
    {
        long end = file.Length;
        for (long window = 1 << 16; ; window *= 4)
        {
            long start = Math.Max(from, end - Math.Min(window, MaxBytes + LedgerFormat.MaxLineBytes));
            byte[] bytes = new byte[end - start];
            if (file.ReadAt(start, bytes) != bytes.Length)
            {
                throw new IOException("the segment became shorter while it was read.");
            }

            var (last, previous) = Boundaries(bytes, whole: start == from);
            if (last >= 0 && start + last < end)
            {
                return start + last;
            }

            if (last >= 0 && previous >= 0)
            {
                return start + previous;
            }

            if (start == from || window > MaxBytes)
            {
                return start == from ? from : -1;
            }
        }
    }

    /// <summary>It ends with a checkpoint line and has no hole: a crash leaves no such group.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> tail) => tail[^1] == '\n' && !tail.Contains((byte)0)
        && CheckpointLine.LooksLikeOne(tail[(tail[..^1].LastIndexOf((byte)'\n') + 1)..]);

    /// <summary>Behind the last two checkpoint lines; -1 for one that is not there. The beginning counts as a line's when the bytes are whole.</summary>
    private static (int Last, int Previous) Boundaries(ReadOnlySpan<byte> bytes, bool whole)
    {
        int last = -1, previous = -1;
        for (int feed = bytes.LastIndexOf((byte)'\n'); feed >= 0 && previous < 0;)
        {
            int before = bytes[..feed].LastIndexOf((byte)'\n');
            if (before < 0 && !whole)
            {
                break;
            }

            if (feed - before - 1 <= LedgerFormat.MaxLineBytes + 1 && CheckpointLine.LooksLikeOne(bytes[(before + 1)..feed]))
            {
                (last, previous) = last < 0 ? (feed + 1, -1) : (last, feed + 1);
            }

            feed = before;
        }

        return (last, previous < 0 && last >= 0 && whole ? 0 : previous);
    }
}

/// <summary>Judges the bytes of a tail from the state of the pass in front of it.</summary>
internal sealed class TornTailCheck
{
    private const int Sector = 512;

    private readonly Lj1Parser parser = new();
    private readonly string origin;
    private readonly long size, batch, epoch;
    private readonly byte[] last;
    private readonly NoteKey? identity, epochKey;
    private readonly MerkleFrontier? tree;

    /// <param name="tree">Of the entries before; null when it is lost.</param>
    /// <param name="last">Hash of the entry before.</param>
    public TornTailCheck(string origin, long size, long batch, long epoch, byte[] last, NoteKey? identity, NoteKey? epochKey, MerkleFrontier? tree) =>
        (this.origin, this.size, this.batch, this.epoch, this.last, this.identity, this.epochKey, this.tree) = (origin, size, batch, epoch, last, identity, epochKey, tree);

    /// <param name="data">All bytes from there to the end of the file.</param>
    /// <param name="offset">Of its first byte in the file.</param>
    public bool IsTorn(ReadOnlySpan<byte> data, long offset) => IsCut(data) || IsHoled(data, offset);

    /// <summary>(a): entries that continue, and a strict prefix of one more line.</summary>
    private bool IsCut(ReadOnlySpan<byte> data)
    {
        MerkleFrontier? grown = null;
        if (tree is not null)
        {
            grown = new MerkleFrontier();
            grown.CopyFrom(tree);
        }

        byte[] previous = last;
        int entries = 0;
        bool alone = false;
        string? reason = null;
        byte[] opened = [];
        int feed;
        for (; (feed = data.IndexOf((byte)'\n')) >= 0; data = data[(feed + 1)..])
        {
            var line = data[..feed];
            if (alone || entries == LedgerFormat.MaxGroupEntries || !IsEntry(line))
            {
                return false;
            }

            var type = parser.Text(line, "type"u8);
            bool rotation = type.SequenceEqual("ledger.epoch"u8), genesis = type.SequenceEqual("ledger.genesis"u8);
            if (genesis != (size + entries == 0) || (rotation && (entries > 0 || size == 0)) || !Fits(line, size + entries, previous, rotation))
            {
                return false;
            }

            alone = rotation || genesis;
            if (rotation)
            {
                int details = parser.Find(line, 0, "rotation"u8);
                opened = Convert.FromHexString(Member(line, details, "epoch_key"u8).AsSpan("ed25519:".Length));
                reason = Member(line, details, "reason"u8);
            }

            previous = Merkle.Leaf(line);
            grown?.Append(previous);
            entries++;
        }

        return data.IsEmpty || (!alone && entries < LedgerFormat.MaxGroupEntries && IsEntryPrefix(data, size + entries, previous, entries > 0))
            || (entries > 0 && grown is not null && IsNotePrefix(data, grown, reason, opened));
    }

    private bool IsEntry(ReadOnlySpan<byte> line) =>
        line.Length <= LedgerFormat.MaxLineBytes && parser.Parse(line) == Lj1Error.None && EntrySchema.Check(line, parser) is null;

    /// <summary>The members that only the log sets are those of this place.</summary>
    private bool Fits(ReadOnlySpan<byte> line, long seq, byte[] previous, bool rotation)
    {
        Span<byte> claim = stackalloc byte[32];
        LedgerPass.ReadClaim(line, parser, claim);
        return parser.Integer(line, "seq"u8) == seq && parser.Integer(line, "batch"u8) == batch && parser.Integer(line, "epoch"u8) == epoch + (rotation ? 1 : 0)
            && claim.SequenceEqual(previous) && (origin.Length == 0 || parser.Text(line, "log"u8).SequenceEqual(Encoding.UTF8.GetBytes(origin)));
    }

    private bool IsEntryPrefix(ReadOnlySpan<byte> text, long seq, byte[] previous, bool inside)
    {
        foreach (var type in EntryTypes.All)
        {
            bool rotation = type.Name == "ledger.epoch";
            if ((type.Name == "ledger.genesis") != (seq == 0) || (rotation && inside))
            {
                continue;
            }

            List<(byte[], byte[])> known =
            [
                ("seq"u8.ToArray(), Number(seq)), ("batch"u8.ToArray(), Number(batch)), ("epoch"u8.ToArray(), Number(epoch + (rotation ? 1 : 0))),
                ("integrity"u8.ToArray(), Encoding.ASCII.GetBytes($"{{\"prev_hash\":\"{LedgerFormat.HashText(previous)}\"}}")),
            ];
            if (origin.Length > 0)
            {
                known.Add(("log"u8.ToArray(), Encoding.UTF8.GetBytes($"\"{origin}\"")));
            }

            if (new EntryPrefix(known).Begins(text, type))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Everything in the checkpoint line that is due here is known but the 64 bytes of each signature.</summary>
    /// <param name="reason">Of the rotation in the group; null when there is none.</param>
    private bool IsNotePrefix(ReadOnlySpan<byte> text, MerkleFrontier grown, string? reason, byte[] opened)
    {
        const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        List<NoteKey?> signers = [reason == "key_lost" ? identity : epochKey];
        if (reason is not null)
        {
            signers.Add(new NoteKey(LedgerFormat.EpochKeyName(origin, epoch + 1), opened));
        }

        int at = 0;
        bool fits = Literal(text, $"{{\"checkpoint\":\"{origin}\\n{grown.Size}\\n{Convert.ToBase64String(grown.Root())}\\n\\n");
        foreach (var signer in signers)
        {
            if (signer is null)
            {
                return false;
            }

            string id = Convert.ToBase64String([.. signer.KeyId, .. new byte[64]]);
            int sixth = Alphabet.IndexOf(id[5], StringComparison.Ordinal); // its two high bits belong to the key id: 32 bits are 5 1/3 characters
            fits = fits && Literal(text, $"\u2014 {signer.Name} {id[..5]}") && Any(text, Alphabet.Substring(sixth, 16), 1) && Any(text, Alphabet, 84)
                && Any(text, "AEIMQUYcgkosw048", 1) && Literal(text, "=\\n");
        }

        return fits && Literal(text, "\"}") && at == text.Length;

        bool Literal(ReadOnlySpan<byte> line, string literal)
        {
            foreach (byte b in Encoding.UTF8.GetBytes(literal))
            {
                if (at < line.Length && line[at++] != b)
                {
                    return false;
                }
            }

            return true;
        }

        bool Any(ReadOnlySpan<byte> line, string choice, int count)
        {
            for (; count > 0; count--)
            {
                if (at < line.Length && !choice.Contains((char)line[at++], StringComparison.Ordinal))
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>(b): one group whose only defects are runs of NUL at sector borders, and that may end early at one.</summary>
    private bool IsHoled(ReadOnlySpan<byte> data, long offset)
    {
        int hole = data.IndexOf((byte)0);
        if (hole < 0 || !HolesAreSectors(data, offset) || !IsCut(data[..hole]))
        {
            return false;
        }

        bool atBorder = (offset + data.Length) % Sector == 0;
        data = data[(data[..hole].LastIndexOf((byte)'\n') + 1)..]; // from the line with the first hole: those before it were checked
        int end = data.LastIndexOf((byte)'\n') + 1;
        var rest = data[end..];
        return IsBesideHole(rest) && (rest.IsEmpty || rest[^1] == 0 || atBorder) && LinesBesideHoles(data[..end], rest.IsEmpty);
    }

    private static bool HolesAreSectors(ReadOnlySpan<byte> data, long offset)
    {
        for (int i = 0; i < data.Length; i++)
        {
            int start = i;
            while (i < data.Length && data[i] == 0)
            {
                i++;
            }

            if (i > start && ((start > 0 && (offset + start) % Sector != 0) || (i < data.Length && (offset + i) % Sector != 0)))
            {
                return false;
            }
        }

        return true;
    }

    private bool LinesBesideHoles(ReadOnlySpan<byte> data, bool complete)
    {
        byte[]? before = null; // hash of the entry line directly before, when that is whole
        long beforeSeq = 0;
        Span<byte> claim = stackalloc byte[32];
        for (int feed; (feed = data.IndexOf((byte)'\n')) >= 0; data = data[(feed + 1)..])
        {
            var line = data[..feed];
            if (line.Contains((byte)0))
            {
                before = null;
                if (!IsBesideHole(line))
                {
                    return false;
                }

                continue;
            }

            if (CheckpointLine.LooksLikeOne(line))
            {
                return complete && feed + 1 == data.Length && Closes(line);
            }

            if (!IsEntry(line))
            {
                return false;
            }

            LedgerPass.ReadClaim(line, parser, claim);
            long seq = parser.Integer(line, "seq"u8);
            var type = parser.Text(line, "type"u8);
            if ((before is not null && (seq != beforeSeq + 1 || !claim.SequenceEqual(before)))
                || seq < size || parser.Integer(line, "batch"u8) != batch || parser.Integer(line, "epoch"u8) != epoch
                || !parser.Text(line, "log"u8).SequenceEqual(Encoding.UTF8.GetBytes(origin))
                || type.SequenceEqual("ledger.genesis"u8) || type.SequenceEqual("ledger.epoch"u8))
            {
                return false;
            }

            (before, beforeSeq) = (Merkle.Leaf(line), seq);
        }

        return true;
    }

    /// <summary>What stands beside a hole cannot be parsed; it must at least be made of what lines are made of: printable ASCII and the bytes of the em dash.</summary>
    private static bool IsBesideHole(ReadOnlySpan<byte> line)
    {
        foreach (byte b in line)
        {
            if (b is not (0 or (>= 0x20 and <= 0x7E) or 0xE2 or 0x80 or 0x94))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>One of its group's entries is not readable: only its signature can be checked, or of two (a rotation) the first.</summary>
    private bool Closes(ReadOnlySpan<byte> line) =>
        CheckpointLine.TryParse(line, parser, out var note, out _) && Checkpoint.TryParse(note.Text, out var checkpoint)
        && checkpoint.Origin == origin && checkpoint.Size > size && note.Signatures.Count > 0
        && ((epochKey is not null && epochKey.Verifies(note.Signatures[0], note.Text))
            || (note.Signatures.Count == 2 && identity is not null && identity.Verifies(note.Signatures[0], note.Text)));

    private string Member(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        var node = parser.Nodes[parser.Find(line, parent, name)];
        return Encoding.ASCII.GetString(line.Slice(node.Start, node.Length));
    }

    private static byte[] Number(long value) => Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture));
}
