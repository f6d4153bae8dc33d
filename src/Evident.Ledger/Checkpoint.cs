using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>The three lines of a C2SP checkpoint: origin, size, base64 root. Extension lines are not part of this format.</summary>
public sealed record Checkpoint(string Origin, long Size, byte[] Root)
{
    public static byte[] Encode(string origin, long size, ReadOnlySpan<byte> root) =>
        Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{origin}\n{size}\n{Convert.ToBase64String(root)}\n"));

    public byte[] Encode() => Encode(Origin, Size, Root);

    /// <summary>False unless the text is exactly what <see cref="Encode()"/> writes.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out Checkpoint checkpoint)
    {
        checkpoint = null!;
        string[] lines = Encoding.UTF8.GetString(text).Split('\n');
        if (lines.Length != 4 || lines[3].Length != 0 || lines[0].Length == 0
            || !long.TryParse(lines[1], NumberStyles.None, CultureInfo.InvariantCulture, out long size) || size > LedgerFormat.MaxInteger
            || !CanonicalBase64.TryDecode(Encoding.UTF8.GetBytes(lines[2]), out byte[] root) || root.Length != 32)
        {
            return false;
        }

        checkpoint = new Checkpoint(lines[0], size, root);
        return checkpoint.Encode().AsSpan().SequenceEqual(text);
    }
}

/// <summary>The checkpoint line of a segment: <c>{"checkpoint":"note"}</c>, the note escaped as an LJ-1 string.</summary>
public static class CheckpointLine
{
    private static ReadOnlySpan<byte> Head => "{\"checkpoint\":\""u8;

    public static bool LooksLikeOne(ReadOnlySpan<byte> line) => line.StartsWith(Head);

    /// <summary>Canonical line without its line feed.</summary>
    public static byte[] Encode(ReadOnlySpan<byte> note) =>
        new Lj1ObjectBuilder().Set("checkpoint", Encoding.UTF8.GetString(note)).ToBytes();

    /// <summary>False with a sentence when the line is not LJ-1, not the wrapper alone, or not a well-formed note.</summary>
    public static bool TryParse(ReadOnlySpan<byte> line, Lj1Parser parser, out SignedNote note, out string failure)
    {
        note = null!;
        var error = parser.Parse(line);
        if (error != Lj1Error.None)
        {
            failure = $"the line is not LJ-1 ({error}).";
            return false;
        }

        var nodes = parser.Nodes;
        if (nodes.Length != 2 || nodes[1].Kind != Lj1Kind.String || !line.Slice(nodes[1].KeyStart, nodes[1].KeyLength).SequenceEqual("checkpoint"u8))
        {
            failure = "the wrapper is not {\"checkpoint\":\"...\"} alone.";
            return false;
        }

        if (!SignedNote.TryParse(Lj1Text.Decode(line.Slice(nodes[1].Start, nodes[1].Length)), out note, out string why, unsigned: true))
        {
            failure = $"the note in it is malformed: {why}";
            return false;
        }

        failure = "";
        return true;
    }
}
