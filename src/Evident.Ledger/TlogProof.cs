using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// C2SP tlog-proof: one entry's inclusion path and the signed checkpoint it leads to, in one text file.
/// </summary>
/// <param name="Index">Sequence number of the entry.</param>
/// <param name="Path">RFC 6962 inclusion path, leaf sibling first.</param>
/// <param name="Note">The checkpoint note, as it was published.</param>
/// <param name="Extra">The optional line of other data, which nothing authenticates; null when there is none.</param>
public sealed record TlogProof(long Index, IReadOnlyList<byte[]> Path, SignedNote Note, byte[]? Extra = null)
{
    public const int MaxBytes = SignedNote.MaxBytes + 8_192;

    private const string FirstLine = "c2sp.org/tlog-proof@v1\n";

    public byte[] Encode()
    {
        var text = new StringBuilder(FirstLine);
        if (Extra is not null)
        {
            text.Append("extra ").Append(Convert.ToBase64String(Extra)).Append('\n');
        }

        text.Append(CultureInfo.InvariantCulture, $"index {Index}\n");
        ProofLines.Append(text, Path);
        return [.. Encoding.ASCII.GetBytes(text.Append('\n').ToString()), .. Note.Encode()];
    }

    /// <summary>False with one sentence unless the bytes are exactly what <see cref="Encode"/> writes for some proof.</summary>
    public static bool TryParse(ReadOnlySpan<byte> file, out TlogProof proof, out string failure)
    {
        proof = null!;
        if (file.Length > MaxBytes)
        {
            failure = $"it is longer than {MaxBytes} bytes.";
            return false;
        }

        failure = "it is no tlog-proof: 'c2sp.org/tlog-proof@v1', an optional 'extra' line, 'index N', one base64 hash a line, a blank line and a signed checkpoint.";
        var rest = file;
        if (!ProofLines.TryLine(ref rest, out var first) || !first.SequenceEqual("c2sp.org/tlog-proof@v1"u8))
        {
            return false;
        }

        byte[]? extra = null;
        if (rest.StartsWith("extra "u8))
        {
            if (!ProofLines.TryLine(ref rest, out var line) || !CanonicalBase64.TryDecode(line[6..], out extra))
            {
                return false;
            }
        }

        if (!ProofLines.TryNumber(ref rest, "index"u8, out long index) || !ProofLines.TryHashes(ref rest, out var path))
        {
            return false;
        }

        if (!SignedNote.TryParse(rest, out var note, out string why))
        {
            failure = $"the checkpoint in it is no signed note: {why}";
            return false;
        }

        (proof, failure) = (new TlogProof(index, path, note, extra), "");
        return true;
    }

    /// <summary>True when the path leads from the leaf to the root of a checkpoint that the key signed.</summary>
    /// <param name="leaf">RFC 6962 leaf hash of the entry's line, 32 bytes.</param>
    /// <param name="log">The log's key, pinned by whoever checks.</param>
    public bool Proves(ReadOnlySpan<byte> leaf, NoteKey log) =>
        Note.IsSignedBy(log) && Checkpoint.TryParse(Note.Text, out var checkpoint) && checkpoint.Origin == log.Name
        && Merkle.VerifyInclusion(Index, checkpoint.Size, leaf, Path, checkpoint.Root);
}
