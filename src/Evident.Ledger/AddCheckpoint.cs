using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// The body of a C2SP tlog-witness <c>add-checkpoint</c> request, as a file: the size that the witness cosigned last, the consistency path from there, and the
/// published note.
/// </summary>
/// <param name="Old">Size of the tree that the path starts from.</param>
/// <param name="Path">RFC 6962 consistency path; empty when <paramref name="Old"/> is 0 or the note's own size.</param>
/// <param name="Note">The published note.</param>
public sealed record AddCheckpoint(long Old, IReadOnlyList<byte[]> Path, SignedNote Note)
{
    public const int MaxBytes = SignedNote.MaxBytes + 4_096;

    /// <summary>True for what is meant as a request; a bare note begins with its origin, which holds no space.</summary>
    public static bool LooksLikeOne(ReadOnlySpan<byte> file) => file.StartsWith("old "u8);

    public byte[] Encode()
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"old {Old}\n");
        ProofLines.Append(text, Path);
        return [.. Encoding.ASCII.GetBytes(text.Append('\n').ToString()), .. Note.Encode()];
    }

    /// <summary>False with one sentence unless the bytes are exactly what <see cref="Encode"/> writes for some request.</summary>
    public static bool TryParse(ReadOnlySpan<byte> file, out AddCheckpoint request, out string failure)
    {
        request = null!;
        if (file.Length > MaxBytes)
        {
            failure = $"it is longer than {MaxBytes} bytes.";
            return false;
        }

        failure = $"it is no add-checkpoint request: 'old N', up to {ProofLines.MaxHashes} base64 hashes, one a line, a blank line and a signed checkpoint.";
        var rest = file;
        if (!ProofLines.TryNumber(ref rest, "old"u8, out long old) || !ProofLines.TryHashes(ref rest, out var path))
        {
            return false;
        }

        if (!SignedNote.TryParse(rest, out var note, out string why))
        {
            failure = $"the checkpoint in it is no signed note: {why}";
            return false;
        }

        (request, failure) = (new AddCheckpoint(old, path, note), "");
        return true;
    }
}
