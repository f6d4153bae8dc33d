using System.Text;

namespace Evident.Ledger;

/// <summary>
/// Reads <c>range.json</c> piece by piece: its control entries one by one, what stands around them as one LJ-1 object. Accepts exactly what
/// <see cref="LedgerRange.Encode"/> can write.
/// </summary>
internal sealed class RangeReader
{
    private static readonly EntryShape Shape = new(
        "range",
        new EntryField("v", true, ValueForm.One, ""),
        new EntryField("from", true, ValueForm.Count, ""),
        new EntryField("to", true, ValueForm.Ordinal, ""),
        new EntryField("size", true, ValueForm.Ordinal, ""),
        new EntryField("batch", true, ValueForm.Count, ""),
        new EntryField("epoch", true, ValueForm.Ordinal, ""),
        new EntryField("prev_hash", true, ValueForm.Hash, ""),
        new EntryField("left", true, new HashList(), ""),
        new EntryField("right", true, new HashList(), ""));

    private static readonly EntryShape ControlShape = new(
        "control entry",
        new EntryField("line", true, new AnyText(), ""),
        new EntryField("note", true, new AnyText(), ""),
        new EntryField("path", true, new HashList(), ""));

    private readonly Lj1Parser parser = new();
    private readonly ByteWindow input;
    private readonly Action<ControlEntry> see;

    private RangeReader(FileWindow file, Action<ControlEntry> see) => (input, this.see) = (new ByteWindow(file, 2 * LedgerFormat.MaxLineBytes), see);

    /// <summary>False with a sentence when the bytes are no range of version 1.</summary>
    /// <param name="see">Given each control entry, in the order of the file.</param>
    public static bool TryRead(FileWindow file, Action<ControlEntry> see, out LedgerRange range, out string failure) =>
        new RangeReader(file, see).TryRead(out range, out failure);

    private bool TryRead(out LedgerRange range, out string failure)
    {
        range = null!;
        var head = input.Peek(64);
        int list = head.IndexOf("\"control\":["u8);
        if (list < 0)
        {
            failure = "it has no list of control entries.";
            return false;
        }

        byte[] before = head[..list].ToArray();
        input.Skip(list + "\"control\":["u8.Length);
        if (!TryReadControl(out failure))
        {
            return false;
        }

        var rest = input.Peek(LedgerFormat.MaxLineBytes + 1);
        if (!rest.StartsWith(",\"epoch\":"u8) || rest[^1] != '\n' || before.Length + rest.Length - 2 > LedgerFormat.MaxLineBytes)
        {
            failure = "what follows its control entries is not as it must be.";
            return false;
        }

        byte[] around = [.. before, .. rest[1..^1]]; // the object without its control entries
        string? wrong = parser.Parse(around) is var error && error != Lj1Error.None ? $"it is not LJ-1 ({error})." : Shape.Check(around, parser.Nodes, 0, draft: false);
        if (wrong is not null)
        {
            failure = wrong;
            return false;
        }

        byte[] previous = new byte[32];
        Hash(around, parser.Nodes[parser.Find(around, 0, "prev_hash"u8)], previous);
        range = new LedgerRange(
            parser.Integer(around, "from"u8), parser.Integer(around, "to"u8), parser.Integer(around, "size"u8), parser.Integer(around, "batch"u8),
            parser.Integer(around, "epoch"u8), previous, Hashes(around, "left"u8), Hashes(around, "right"u8));
        failure = range.From < range.To && range.To <= range.Size ? "" : "from, to and size are not in order.";
        return failure.Length == 0;
    }

    private bool TryReadControl(out string failure)
    {
        failure = "its control entries are not as they must be.";
        if (input.Peek(1).SequenceEqual("]"u8))
        {
            input.Skip(1);
            return true;
        }

        while (true)
        {
            var ahead = input.Peek(LedgerFormat.MaxLineBytes + 1);
            int end = EndOfObject(ahead);
            if (end < 0 || end == ahead.Length || parser.Parse(ahead[..end]) != Lj1Error.None || ControlShape.Check(ahead[..end], parser.Nodes, 0, draft: false) is not null)
            {
                return false;
            }

            var json = ahead[..end];
            see(new ControlEntry(Text(json, "line"u8), Hashes(json, "path"u8), Text(json, "note"u8)));
            byte after = ahead[end];
            input.Skip(end + 1);
            if (after != ',')
            {
                return after == ']';
            }
        }
    }

    /// <summary>One past the brace that closes the object at the start; -1 when it does not end here.</summary>
    private static int EndOfObject(ReadOnlySpan<byte> json)
    {
        int depth = 0;
        bool text = false;
        for (int i = 0; i < json.Length; i++)
        {
            switch (json[i])
            {
                case (byte)'\\' when text:
                    i++;
                    break;
                case (byte)'"':
                    text = !text;
                    break;
                case (byte)'{' when !text:
                    depth++;
                    break;
                case (byte)'}' when !text:
                    if (--depth <= 0)
                    {
                        return i + 1;
                    }

                    break;
            }
        }

        return -1;
    }

    private string Text(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) => Encoding.UTF8.GetString(Lj1Text.Decode(parser.Text(json, name)));

    private List<byte[]> Hashes(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name)
    {
        var list = new List<byte[]>();
        int parent = parser.Find(json, 0, name);
        for (int i = parent + 1; i < parser.Nodes[parent].Next; i = parser.Nodes[i].Next)
        {
            byte[] hash = new byte[32];
            Hash(json, parser.Nodes[i], hash);
            list.Add(hash);
        }

        return list;
    }

    private static void Hash(ReadOnlySpan<byte> json, Lj1Node text, byte[] hash) =>
        Convert.FromHexString(Encoding.ASCII.GetString(json.Slice(text.Start + LedgerFormat.HashPrefix.Length, 64)), hash, out _, out _);

    private sealed class AnyText() : ValueForm("text", "a string")
    {
        internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) => nodes[index].Kind == Lj1Kind.String;
    }

    /// <summary>Hashes, none included; the line's length bounds them.</summary>
    private sealed class HashList() : ValueForm("list of hash", "an array")
    {
        internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index)
        {
            if (nodes[index].Kind != Lj1Kind.Array)
            {
                return false;
            }

            for (int i = index + 1; i < nodes[index].Next; i = nodes[i].Next)
            {
                if (!Hash.Accepts(line, nodes, i))
                {
                    return false;
                }
            }

            return true;
        }
    }
}
