using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>What the proof and request formats of C2SP share: lines that end in one line feed, decimals without leading zeros, one base64 hash a line.</summary>
internal static class ProofLines
{
    /// <summary>A path is never longer: a tree has less than 2^63 leaves.</summary>
    public const int MaxHashes = 63;

    /// <summary>The next line without its line feed; false when no line feed is left.</summary>
    public static bool TryLine(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> line)
    {
        int end = rest.IndexOf((byte)'\n');
        line = end < 0 ? default : rest[..end];
        rest = end < 0 ? rest : rest[(end + 1)..];
        return end >= 0;
    }

    /// <summary>The next line, <paramref name="word"/>, a space and a decimal.</summary>
    public static bool TryNumber(ref ReadOnlySpan<byte> rest, ReadOnlySpan<byte> word, out long number)
    {
        number = -1;
        return TryLine(ref rest, out var line) && line.StartsWith(word) && line.Length > word.Length && line[word.Length] == ' '
            && TryDecimal(line[(word.Length + 1)..], out number);
    }

    /// <summary>Hash lines up to the blank line, which is taken as well; false when one is no hash, or there are more than <see cref="MaxHashes"/>.</summary>
    public static bool TryHashes(ref ReadOnlySpan<byte> rest, out List<byte[]> hashes)
    {
        hashes = [];
        while (TryLine(ref rest, out var line))
        {
            if (line.IsEmpty)
            {
                return true;
            }

            if (hashes.Count == MaxHashes || !CanonicalBase64.TryDecode(line, out byte[] hash) || hash.Length != LedgerFormat.HashBytes)
            {
                return false;
            }

            hashes.Add(hash);
        }

        return false;
    }

    /// <summary><c>0</c> or <c>[1-9][0-9]*</c>, at most 2^53-1.</summary>
    public static bool TryDecimal(ReadOnlySpan<byte> text, out long number)
    {
        number = -1;
        return text.Length is > 0 and <= 16 && (text[0] != '0' || text.Length == 1) && !text.ContainsAnyExceptInRange((byte)'0', (byte)'9') // .NET's parser passes over NULs at the end
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= LedgerFormat.MaxInteger;
    }

    public static void Append(StringBuilder text, IReadOnlyList<byte[]> hashes)
    {
        foreach (byte[] hash in hashes)
        {
            text.Append(Convert.ToBase64String(hash)).Append('\n');
        }
    }
}
