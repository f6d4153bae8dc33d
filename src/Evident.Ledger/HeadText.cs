using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// A head to be written down and typed in again (docs/evidence.md, section 1): five lines with the root in groups of four digits and check digits. It carries no
/// signature: whoever brings it back vouches for it.
/// </summary>
public static class HeadText
{
    private const string FirstLine = "evident head v1\n";

    public static bool LooksLikeOne(ReadOnlySpan<byte> text) => text.StartsWith("evident head"u8);

    public static string Encode(Checkpoint head)
    {
        var text = new StringBuilder(FirstLine).Append(CultureInfo.InvariantCulture, $"{head.Origin}\nsize {head.Size}\nroot");
        string hex = Convert.ToHexStringLower(head.Root);
        for (int i = 0; i < hex.Length; i += 4)
        {
            text.Append(' ').Append(hex, i, 4);
        }

        text.Append('\n');
        string check = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..8];
        return text.Append(CultureInfo.InvariantCulture, $"check {check}\n").ToString();
    }

    /// <summary>False with one sentence unless the bytes are exactly what <see cref="Encode"/> writes for some head.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out Checkpoint head, out string failure)
    {
        head = null!;
        failure = "it is no head in text form: 'evident head v1', the origin, 'size N', 'root' and 16 groups of 4 hex digits, 'check' and 8 hex digits, each on its line.";
        var rest = text;
        if (!ProofLines.TryLine(ref rest, out var first) || !first.SequenceEqual("evident head v1"u8) || !ProofLines.TryLine(ref rest, out var origin)
            || !SignedNote.IsKeyName(Encoding.UTF8.GetString(origin)) || !ProofLines.TryNumber(ref rest, "size"u8, out long size)
            || !ProofLines.TryLine(ref rest, out var root) || !TryRoot(root, out byte[] hash) || !ProofLines.TryLine(ref rest, out _) || !rest.IsEmpty)
        {
            return false;
        }

        var parsed = new Checkpoint(Encoding.UTF8.GetString(origin), size, hash);
        if (!Encoding.UTF8.GetBytes(Encode(parsed)).AsSpan().SequenceEqual(text))
        {
            failure = "its check digits do not fit the lines above them: something was mistyped.";
            return false;
        }

        (head, failure) = (parsed, "");
        return true;
    }

    private static bool TryRoot(ReadOnlySpan<byte> line, out byte[] root)
    {
        root = [];
        if (line.Length != 4 + (16 * 5) || !line.StartsWith("root"u8))
        {
            return false;
        }

        Span<byte> digits = stackalloc byte[64];
        for (int group = 0; group < 16; group++)
        {
            var part = line.Slice(4 + (group * 5), 5);
            if (part[0] != ' ' || part[1..].ContainsAnyExcept("0123456789abcdef"u8))
            {
                return false;
            }

            part[1..].CopyTo(digits[(group * 4)..]);
        }

        root = Convert.FromHexString(Encoding.ASCII.GetString(digits));
        return true;
    }
}
