using System.Text;

namespace Evident.Ledger;

/// <summary>
/// The keys before a part of a ledger, from the genesis entry over each rotation to the epoch in force: every control entry must stand in the
/// tree of the bundle's head, and the note of its group must have the root that its path shows and the signatures that K1 and K2 demand.
/// </summary>
/// <param name="size">Size and root of the bundle's head.</param>
internal sealed class ControlChain(long size, byte[] root)
{
    private const string Name = "ledger/" + LedgerRange.FileName;

    private readonly Lj1Parser parser = new();
    private long lastSeq = -1;

    public List<Finding> Findings { get; } = [];

    public string Origin { get; private set; } = "";

    public NoteKey? Identity { get; private set; }

    /// <summary>The epoch that the last control entry opened, its first entry and its key; 0 before genesis.</summary>
    public long Epoch { get; private set; }

    public long EpochFirstSeq => lastSeq;

    public NoteKey? EpochKey { get; private set; }

    /// <summary>Keys of all epochs up to that one.</summary>
    public Dictionary<long, NoteKey> EpochKeys { get; } = [];

    /// <summary>Limits that the genesis entry sets.</summary>
    public long EpochEntries { get; private set; } = long.MaxValue;

    public long EpochMillis { get; private set; } = long.MaxValue;

    /// <summary><c>boot</c> and <c>mono</c> of the last control entry.</summary>
    public ulong EpochBoot { get; private set; }

    public long EpochMono { get; private set; }

    public byte[] GenesisHash { get; private set; } = [];

    public List<LedgerPass.EpochSummary> Epochs { get; } = [];

    /// <summary>Takes the next control entry; after the first flaw the rest is not looked at.</summary>
    public void See(ControlEntry control)
    {
        if (Findings.Count > 0)
        {
            return;
        }

        byte[] line = Encoding.UTF8.GetBytes(control.Line);
        if (parser.Parse(line) != Lj1Error.None || EntrySchema.Check(line, parser) is not null)
        {
            Add(Verdict.Malformed, "a control entry is no entry of the ledger's format.");
            return;
        }

        bool genesis = Epoch == 0;
        long seq = parser.Integer(line, "seq"u8), number = parser.Integer(line, "epoch"u8);
        if (!parser.Text(line, "type"u8).SequenceEqual(genesis ? "ledger.genesis"u8 : "ledger.epoch"u8) || (genesis ? seq != 0 : seq <= lastSeq) || number != Epoch + 1)
        {
            Add(Verdict.KeyViolation, $"its control entries are not genesis and every rotation after it: epoch {Epoch + 1} is missing or out of order (K2).");
            return;
        }

        byte[] leaf = Merkle.Leaf(line);
        if (!Merkle.VerifyInclusion(seq, size, leaf, control.Path, root))
        {
            Add(Verdict.Altered, $"control entry {seq} is not in the tree of the bundle's head.");
            return;
        }

        if (!SignedNote.TryParse(Encoding.UTF8.GetBytes(control.Note), out var note, out string failure))
        {
            Add(Verdict.Malformed, $"the note of control entry {seq} is malformed: {failure}");
        }
        else if (!Checkpoint.TryParse(note.Text, out var checkpoint) || checkpoint.Size != seq + 1 || !checkpoint.Root.AsSpan().SequenceEqual(Merkle.RootAt(seq, size, leaf, control.Path)))
        {
            Add(Verdict.Altered, $"the note of control entry {seq} is not that of the tree up to it.");
        }
        else if (genesis ? TakeGenesis(line, leaf, note, checkpoint) : TakeRotation(line, seq, note, checkpoint))
        {
            (Epoch, lastSeq, EpochMono) = (number, seq, parser.Integer(line, "mono"u8));
            EpochBoot = System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(parser.Text(line, "boot"u8));
            EpochKeys[number] = EpochKey!;
        }
        else
        {
            Add(Verdict.KeyViolation, $"control entry {seq} does not hand on the ledger's keys: its origin or a signature of its group is not valid (K2).");
        }
    }

    private bool TakeGenesis(ReadOnlySpan<byte> line, byte[] leaf, SignedNote note, Checkpoint checkpoint)
    {
        int details = parser.Find(line, 0, "genesis"u8);
        byte[] identity = Key(line, details, "identity_key"u8), epoch = Key(line, details, "epoch_key"u8);
        Origin = LedgerFormat.OriginOf(identity);
        Identity = new NoteKey(Origin, identity);
        EpochKey = new NoteKey(LedgerFormat.EpochKeyName(Origin, 1), epoch);
        EpochEntries = parser.Nodes[parser.Find(line, details, "epoch_entries"u8)].Integer;
        EpochMillis = parser.Nodes[parser.Find(line, details, "epoch_ms"u8)].Integer;
        GenesisHash = leaf;
        List(line, details, 1, 0, epoch, "genesis");
        return checkpoint.Origin == Origin && parser.Text(line, "log"u8).SequenceEqual(Encoding.ASCII.GetBytes(Origin))
            && note.Signatures.Count == 1 && EpochKey.Verifies(note.Signatures[0], note.Text);
    }

    private bool TakeRotation(ReadOnlySpan<byte> line, long seq, SignedNote note, Checkpoint checkpoint)
    {
        int details = parser.Find(line, 0, "rotation"u8);
        string reason = Text(line, details, "reason"u8);
        var opener = reason == "key_lost" ? Identity : EpochKey;
        var opened = new NoteKey(LedgerFormat.EpochKeyName(Origin, Epoch + 1), Key(line, details, "epoch_key"u8));
        List(line, details, Epoch + 1, seq, opened.PublicKey, reason);
        EpochKey = opened;
        return checkpoint.Origin == Origin && parser.Text(line, "log"u8).SequenceEqual(Encoding.ASCII.GetBytes(Origin))
            && note.Signatures.Count == 2 && opener!.Verifies(note.Signatures[0], note.Text) && opened.Verifies(note.Signatures[1], note.Text);
    }

    private void List(ReadOnlySpan<byte> line, int details, long epoch, long firstSeq, ReadOnlySpan<byte> key, string reason) =>
        Epochs.Add(new LedgerPass.EpochSummary(epoch, firstSeq, Text(line, details, "custody"u8), "ed25519:" + Convert.ToHexStringLower(key), reason));

    private string Text(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        var node = parser.Nodes[parser.Find(line, parent, name)];
        return Encoding.ASCII.GetString(line.Slice(node.Start, node.Length));
    }

    private byte[] Key(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name) => Convert.FromHexString(Text(line, parent, name).AsSpan("ed25519:".Length));

    private void Add(int code, string sentence) => Findings.Add(new Finding(code, sentence, Name));
}
