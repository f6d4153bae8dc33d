using System.Globalization;
using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Differential;

/// <summary>
/// A ledger taken apart, to be put together again by somebody who holds its keys: numbers, chain, roots and signatures are made anew, so that only what
/// was forged on purpose is wrong.
/// </summary>
internal sealed class ForgedLedger
{
    /// <summary>An entry line; members in <see cref="Force"/> are set after the honest numbers.</summary>
    public sealed class Entry(string text)
    {
        public string Text { get; set; } = text;

        public List<(string Member, string Value)> Force { get; } = [];

        public bool Is(string type) => Text.Contains($"\"type\":\"{type}\",\"v\":", StringComparison.Ordinal);
    }

    public sealed class Group
    {
        public List<Entry> Entries { get; } = [];

        public required int Segment { get; set; }

        /// <summary>Keys that sign, in order, by (epoch in the name, epoch whose key it is); epoch 0 is the identity. Null: those that should.</summary>
        public List<(int Name, int Key)>? Signers { get; set; }

        public long SizeOff { get; set; }

        public bool WrongRoot { get; set; }

        public bool NoCheckpoint { get; set; }

        /// <summary>Text that is put into the checkpoint line's note after its signatures.</summary>
        public string MoreSignatures { get; set; } = "";
    }

    private readonly Dictionary<int, SigningKey> keys = [];
    private readonly List<long> published = [];
    private string origin;

    public ForgedLedger(LedgerCase source)
    {
        string[] segments = source.Segments();
        var open = new List<Entry>();
        for (int i = 0; i < segments.Length; i++)
        {
            foreach (string line in source.Lines(segments[i]))
            {
                if (!line.StartsWith("{\"checkpoint\"", StringComparison.Ordinal))
                {
                    open.Add(new Entry(line.TrimEnd('\n')));
                    continue;
                }

                var group = new Group { Segment = i };
                group.Entries.AddRange(open);
                Groups.Add(group);
                open.Clear();
            }
        }

        foreach (string note in source.Notes())
        {
            if (LedgerFormat.TryParseName(Path.GetFileName(note), LedgerFormat.NoteSuffix, out long size))
            {
                published.Add(size);
            }
        }

        origin = "";
        origin = LedgerFormat.OriginOf(Key(0).Public.PublicKey);
        keys.Clear();
    }

    public List<Group> Groups { get; } = [];

    /// <summary>Number of the seed that is used as the identity (0: the ledger's own).</summary>
    public int Identity { get; set; }

    public SigningKey Key(int epoch)
    {
        if (!keys.TryGetValue(epoch, out var key))
        {
            using var seed = new SecretBytes(32);
            int number = epoch == 0 ? Identity : epoch;
            for (int i = 0; i < 32; i++)
            {
                seed.Span[i] = (byte)(((number * 32) + i) % 251);
            }

            keys[epoch] = key = new SigningKey(epoch == 0 ? origin : LedgerFormat.EpochKeyName(origin, epoch), seed);
        }

        return key;
    }

    public static string PublicKey(SigningKey key) => "ed25519:" + Convert.ToHexStringLower(key.Public.PublicKey);

    /// <summary>Sets a member that occurs once, to a value in LJ-1 text.</summary>
    public static string Set(string line, string member, string value)
    {
        int at = line.IndexOf($"\"{member}\":", StringComparison.Ordinal);
        if (at < 0)
        {
            return line;
        }

        at += member.Length + 3;
        int end = EndOf(line, at);
        return end < 0 ? line : line[..at] + value + line[end..];
    }

    public static string? Get(string line, string member)
    {
        int at = line.IndexOf($"\"{member}\":", StringComparison.Ordinal);
        if (at < 0)
        {
            return null;
        }

        at += member.Length + 3;
        int end = EndOf(line, at);
        return end < 0 ? null : line[at..end];
    }

    // Behind a text, a number or a word; -1 where the line was cut before it.
    private static int EndOf(string line, int at)
    {
        if (at >= line.Length || line[at] != '"')
        {
            int end = at >= line.Length ? -1 : line.IndexOfAny([',', '}'], at);
            return end == at ? -1 : end;
        }

        int quote = line.IndexOf('"', at + 1);
        return quote < 0 ? -1 : quote + 1;
    }

    /// <summary>Writes segments, and when it republishes also the notes, into the case.</summary>
    public void Emit(LedgerCase into, bool republish)
    {
        var frontier = new MerkleFrontier();
        byte[] previous = new byte[32];
        long batch = 0;
        int epoch = 1;
        var text = new SortedDictionary<int, StringBuilder>();
        var names = new Dictionary<int, string>();
        var notes = new SortedDictionary<long, byte[]>();
        var scopes = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var group in Groups)
        {
            if (!text.TryGetValue(group.Segment, out var segment))
            {
                text[group.Segment] = segment = new StringBuilder();
                names[group.Segment] = "ledger/" + LedgerFormat.SegmentName(frontier.Size);
            }

            bool rotates = group.Entries.Any(e => e.Is("ledger.epoch")), lost = group.Entries.Any(e => e.Text.Contains("\"reason\":\"key_lost\"", StringComparison.Ordinal));
            foreach (var entry in group.Entries)
            {
                string line = Set(entry.Text, "seq", frontier.Size.ToString(CultureInfo.InvariantCulture));
                line = Set(line, "batch", batch.ToString(CultureInfo.InvariantCulture));
                line = Set(line, "epoch", (rotates ? epoch + 1 : epoch).ToString(CultureInfo.InvariantCulture));
                line = Set(line, "prev_hash", $"\"{LedgerFormat.HashText(previous)}\"");
                if (Get(line, "scope") is { } scope)
                {
                    scopes[scope] = scopes.GetValueOrDefault(scope, -1) + 1;
                    line = Set(line, "scope_seq", scopes[scope].ToString(CultureInfo.InvariantCulture));
                }

                foreach (var (member, value) in entry.Force)
                {
                    line = Set(line, member, value);
                }

                byte[] bytes = Encoding.Latin1.GetBytes(line);
                previous = Merkle.Leaf(bytes);
                frontier.Append(previous);
                segment.Append(line).Append('\n');
            }

            byte[] root = frontier.Root();
            root[0] ^= (byte)(group.WrongRoot ? 1 : 0);
            byte[] note = Checkpoint.Encode(origin, frontier.Size + group.SizeOff, root);
            var signers = group.Signers ?? (rotates ? [lost ? (0, 0) : (epoch, epoch), (epoch + 1, epoch + 1)] : [(epoch, epoch)]);
            var signatures = new List<NoteSignature>();
            foreach (var (name, key) in signers)
            {
                var signature = Key(key).Sign(note);
                string signer = name == 0 ? origin : LedgerFormat.EpochKeyName(origin, name);
                signatures.Add(name == key ? signature
                    : new NoteSignature(signer, [.. new NoteKey(signer, Key(key).Public.PublicKey).KeyId, .. signature.KeyIdAndSignature[4..]]));
            }

            if (!group.NoCheckpoint)
            {
                byte[] full = [.. SignedNote.Encode(note, signatures), .. Encoding.UTF8.GetBytes(group.MoreSignatures)];
                segment.Append(Encoding.Latin1.GetString(CheckpointLine.Encode(full))).Append('\n');
                signatures.Add(Key(0).Sign(note));
                notes[frontier.Size] = SignedNote.Encode(note, signatures);
            }

            batch++;
            epoch += rotates ? 1 : 0;
        }

        foreach (string old in into.Segments())
        {
            into.Files.Remove(old);
        }

        foreach (var (number, content) in text)
        {
            into.Files[names[number]] = Encoding.Latin1.GetBytes(content.ToString());
        }

        if (republish && notes.Count > 0)
        {
            foreach (string old in into.Notes())
            {
                into.Files.Remove(old);
            }

            published.RemoveAll(size => !notes.ContainsKey(size));
            foreach (long size in published.Append(notes.Last().Key))
            {
                into.Files["ledger/checkpoints/" + LedgerFormat.PublishedName(size)] = notes[size];
            }

            into.Files["ledger/head.a"] = notes.Last().Value;
            into.Files["ledger/head.b"] = notes[published.Count > 0 ? published.Max() : notes.Last().Key];
            into.Files["ledger/genesis.note"] = notes.First().Value;
        }
    }
}
