using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// What a crash in the middle of a group commit may leave behind the last valid checkpoint line, and nothing else:
/// (a) no complete checkpoint line: valid chained entries, then a strict prefix of a line that could legally stand there; or
/// (b) one group whose only defects are runs of NUL that begin at the group's start or a 512-byte boundary of the file and end at such
/// a boundary or the end of the file (sectors that never reached the disk); beside a hole the file may also end short of the group, at such a boundary.
/// </summary>
internal sealed record TornTail(string Segment, long Offset, long Length)
{
    /// <summary>A group is at most this long; a longer tail is not one torn group.</summary>
    private const long MaxBytes = (long)LedgerFormat.MaxGroupEntries * (LedgerFormat.MaxLineBytes + 1);

    private const int Sector = 512;

    /// <summary>The tail of the segment from <paramref name="offset"/>, or null when it is no torn one.</summary>
    public static TornTail? Find(LedgerPass pass, LedgerFolder folder, string segment, long offset, long length)
    {
        if (length - offset > MaxBytes)
        {
            return null;
        }

        byte[] tail = new byte[length - offset];
        using (var file = folder.Open(segment))
        {
            if (file.ReadAt(offset, tail) != tail.Length)
            {
                return null;
            }
        }

        var check = new Check(pass, offset);
        bool torn = tail.AsSpan().Contains((byte)0) ? check.IsHoled(tail) : check.IsCut(tail);
        return torn ? new TornTail(segment, offset, tail.Length) : null;
    }

    private sealed class Check(LedgerPass pass, long offset)
    {
        private readonly Lj1Parser parser = new();
        private readonly LedgerPass.ValidPoint from = pass.Valid;
        private readonly MerkleFrontier tree = Copy(pass.Valid.Frontier);
        private readonly byte[] previous = [.. pass.Valid.Previous];
        private long next = pass.Valid.Size;
        private bool placed = true; // seq and previous hash of the next line are known
        private bool whole = true; // no hole so far: the tree is complete
        private int entries;
        private byte[]? rotationKey;
        private bool lostKey;

        public bool IsCut(ReadOnlySpan<byte> tail)
        {
            while (true)
            {
                int feed = tail.IndexOf((byte)'\n');
                if (feed < 0)
                {
                    return IsLegalPrefix(tail);
                }

                if (!IsEntry(tail[..feed]))
                {
                    return false;
                }

                tail = tail[(feed + 1)..];
            }
        }

        public bool IsHoled(ReadOnlySpan<byte> tail)
        {
            for (int i = 0; i < tail.Length; i++)
            {
                if (tail[i] != 0)
                {
                    continue;
                }

                int end = i;
                while (end < tail.Length && tail[end] == 0)
                {
                    end++;
                }

                bool begins = i == 0 || (offset + i) % Sector == 0, ends = end == tail.Length || (offset + end) % Sector == 0;
                if (!begins || !ends)
                {
                    return false;
                }

                i = end;
            }

            bool short512 = (offset + tail.Length) % Sector == 0; // the end may be missing with the sectors that held it
            while (!tail.IsEmpty)
            {
                int feed = tail.IndexOf((byte)'\n');
                var line = feed < 0 ? tail : tail[..feed];
                tail = feed < 0 ? default : tail[(feed + 1)..];
                if (line.Contains((byte)0))
                {
                    if (!IsTextBesideHoles(line) || (feed < 0 && line[^1] != 0 && !short512) || (whole && !IsLegalPrefix(line[..line.IndexOf((byte)0)])))
                    {
                        return false;
                    }

                    (placed, whole) = (false, false);
                    entries++;
                }
                else if (feed < 0)
                {
                    return short512 && (whole ? IsLegalPrefix(line) : IsTextBesideHoles(line));
                }
                else if (CheckpointLine.LooksLikeOne(line))
                {
                    return tail.IsEmpty && IsCheckpoint(line);
                }
                else if (!IsEntry(line))
                {
                    return false;
                }
            }

            return true;
        }

        /// <summary>
        /// What follows a hole cannot be parsed any more; it must at least be made of the characters that lines are made of: printable
        /// ASCII and the three bytes of the em dash.
        /// </summary>
        private static bool IsTextBesideHoles(ReadOnlySpan<byte> line)
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

        private bool IsEntry(ReadOnlySpan<byte> line)
        {
            if (line.Length > LedgerFormat.MaxLineBytes || parser.Parse(line) != Lj1Error.None || EntrySchema.Check(line, parser) is not null
                || rotationKey is not null || entries >= LedgerFormat.MaxGroupEntries || !Fits(line))
            {
                return false;
            }

            Span<byte> claim = stackalloc byte[32];
            LedgerPass.ReadClaim(line, parser, claim);
            long seq = parser.Integer(line, "seq"u8);
            bool rotation = parser.Text(line, "type"u8).SequenceEqual("ledger.epoch"u8);
            if ((placed ? seq != next || !claim.SequenceEqual(previous) : seq < next)
                || parser.Integer(line, "epoch"u8) != from.Epoch + (rotation ? 1 : 0) || (rotation && entries > 0))
            {
                return false;
            }

            if (rotation)
            {
                int details = parser.Find(line, 0, "rotation"u8);
                var key = parser.Nodes[parser.Find(line, details, "epoch_key"u8)];
                var reason = parser.Nodes[parser.Find(line, details, "reason"u8)];
                rotationKey = Convert.FromHexString(Encoding.ASCII.GetString(line.Slice(key.Start + 8, 64)));
                lostKey = line.Slice(reason.Start, reason.Length).SequenceEqual("key_lost"u8);
            }

            byte[] leaf = Merkle.Leaf(line);
            leaf.CopyTo(previous, 0);
            tree.Append(leaf);
            next = seq + 1;
            placed = true;
            entries++;
            return true;
        }

        /// <summary>The members that only the log sets, as far as they are complete, are those of this place.</summary>
        private bool Fits(ReadOnlySpan<byte> line)
        {
            long batch = parser.Integer(line, "batch"u8);
            var log = parser.Text(line, "log"u8);
            return batch == from.Batch && log.SequenceEqual(Encoding.ASCII.GetBytes(pass.Origin));
        }

        private bool IsCheckpoint(ReadOnlySpan<byte> line) =>
            CheckpointLine.TryParse(line, parser, out var note, out _) && Checkpoint.TryParse(note.Text, out var checkpoint)
            && checkpoint.Origin == pass.Origin && checkpoint.Size > from.Size && note.Signatures.Count > 0
            && ((pass.EpochKeys.TryGetValue(from.Epoch, out var key) && key.Verifies(note.Signatures[0], note.Text))
                || (note.Signatures.Count == 2 && pass.Identity is { } identity && identity.Verifies(note.Signatures[0], note.Text))); // the key was lost

        private bool IsLegalPrefix(ReadOnlySpan<byte> rest)
        {
            if (rest.IsEmpty)
            {
                return true;
            }

            if (entries > 0 && IsPrefixOfCheckpoint(rest))
            {
                return true;
            }

            var error = parser.Parse(rest);
            if (error == Lj1Error.None)
            {
                return IsEntry(rest);
            }

            return error == Lj1Error.UnexpectedEnd && entries < LedgerFormat.MaxGroupEntries && rotationKey is null && HasOnlyFittingMembers(rest);
        }

        private bool HasOnlyFittingMembers(ReadOnlySpan<byte> rest)
        {
            var nodes = parser.Nodes;
            for (int i = 1; i < nodes.Length; i = nodes[i].Next)
            {
                bool container = nodes[i].Kind is Lj1Kind.Object or Lj1Kind.Array;
                bool unfinished = nodes[i].Length < 0 || (container && nodes[i].Length == 0)
                    || (nodes[i].Kind == Lj1Kind.Integer && nodes[i].Start + nodes[i].Length == rest.Length);
                if (unfinished)
                {
                    break; // what follows on the tape is inside it
                }

                var value = rest.Slice(nodes[i].Start, nodes[i].Length);
                string name = Encoding.ASCII.GetString(rest.Slice(nodes[i].KeyStart, nodes[i].KeyLength));
                bool fits = name switch
                {
                    "batch" => nodes[i].Integer == from.Batch,
                    "seq" => nodes[i].Integer == next,
                    "epoch" => nodes[i].Integer == from.Epoch || nodes[i].Integer == from.Epoch + 1,
                    "log" => value.SequenceEqual(Encoding.ASCII.GetBytes(pass.Origin)),
                    _ => TopLevelNames.Contains(name),
                };
                if (!fits)
                {
                    return false;
                }
            }

            return true;
        }

        private static readonly HashSet<string> TopLevelNames =
            [.. EntryTypes.All.SelectMany(t => t.Shape.Fields).Select(f => f.Name)];

        /// <summary>Everything in the checkpoint line that is due here is known but the signatures' 64 bytes.</summary>
        private bool IsPrefixOfCheckpoint(ReadOnlySpan<byte> rest)
        {
            var names = new List<NoteKey?>();
            names.Add(lostKey ? pass.Identity : pass.EpochKeys.GetValueOrDefault(from.Epoch));
            if (rotationKey is not null)
            {
                names.Add(new NoteKey(LedgerFormat.EpochKeyName(pass.Origin, from.Epoch + 1), rotationKey));
            }

            if (names.Contains(null) || from.TreeLost)
            {
                return false;
            }

            var signatures = names.Select(k => new NoteSignature(k!.Name, [.. k.KeyId, .. new byte[Sodium.Ed25519SignatureBytes]]));
            byte[] line = CheckpointLine.Encode(SignedNote.Encode(Checkpoint.Encode(pass.Origin, next, tree.Root()), signatures));
            if (rest.Length > line.Length)
            {
                return false;
            }

            // Base64 of 68 bytes: 5 characters of key id (4 bytes and a bit), then the signature; its last 2 of 92 are fixed form.
            string text = Encoding.UTF8.GetString(line);
            int from8 = 0;
            var open = new bool[line.Length];
            foreach (var signature in signatures)
            {
                string base64 = Convert.ToBase64String(signature.KeyIdAndSignature);
                int at = text.IndexOf(base64, from8, StringComparison.Ordinal);
                int start = Encoding.UTF8.GetByteCount(text.AsSpan(0, at));
                for (int i = 5; i < base64.Length - 1; i++)
                {
                    open[start + i] = true;
                }

                from8 = at + base64.Length;
            }

            for (int i = 0; i < rest.Length; i++)
            {
                bool legal = open[i] ? char.IsAsciiLetterOrDigit((char)rest[i]) || rest[i] is (byte)'+' or (byte)'/' : rest[i] == line[i];
                if (!legal)
                {
                    return false;
                }
            }

            return true;
        }

        private static MerkleFrontier Copy(MerkleFrontier source)
        {
            var copy = new MerkleFrontier();
            copy.CopyFrom(source);
            return copy;
        }
    }
}
