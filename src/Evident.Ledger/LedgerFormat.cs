using System.Globalization;
using System.Security.Cryptography;

namespace Evident.Ledger;

/// <summary>The numbers and names of the format (docs/ledger-format.md); changing one makes another format.</summary>
public static class LedgerFormat
{
    public const int MaxLineBytes = 16_384;
    public const int MaxDepth = 6;
    public const long MaxInteger = (1L << 53) - 1;
    public const int MaxGroupEntries = 4_096;

    /// <summary>What is left of a line for the members that only the log knows (seq, batch, hashes ...).</summary>
    public const int MaxDraftBytes = MaxLineBytes - 1_024;

    /// <summary>Wall and monotonic clock may drift apart by this much between two appends; more is a jump.</summary>
    public const long ClockToleranceMillis = 2_000;

    public const int HashBytes = 32;
    public const string SegmentSuffix = ".jsonl";
    public const string NoteSuffix = ".note";
    public const string HashPrefix = "sha256:";

    /// <summary><c>prev_hash</c> of entry 0.</summary>
    public static readonly string ZeroHash = HashPrefix + new string('0', 64);

    /// <summary><c>evident.local/</c> + the first 32 hex digits of SHA-256 of the identity public key.</summary>
    public static string OriginOf(ReadOnlySpan<byte> identityPublicKey) =>
        "evident.local/" + Convert.ToHexStringLower(SHA256.HashData(identityPublicKey))[..32];

    /// <summary>True when the text has the form of an origin; whose it is remains open.</summary>
    public static bool IsOrigin(ReadOnlySpan<byte> text) =>
        text.Length == 46 && text.StartsWith("evident.local/"u8) && !text[14..].ContainsAnyExcept("0123456789abcdef"u8);

    public static string EpochKeyName(string origin, long epoch) => string.Create(CultureInfo.InvariantCulture, $"{origin}/epoch/{epoch}");

    /// <summary>20 digits, so that name order is number order.</summary>
    public static string SegmentName(long firstSeq) => firstSeq.ToString("D20", CultureInfo.InvariantCulture) + SegmentSuffix;

    public static string PublishedName(long size) => size.ToString("D20", CultureInfo.InvariantCulture) + NoteSuffix;

    /// <summary>The number in a 20-digit file name with that suffix, else false.</summary>
    public static bool TryParseName(ReadOnlySpan<char> name, string suffix, out long number)
    {
        number = -1;
        return name.Length == 20 + suffix.Length && name.EndsWith(suffix, StringComparison.Ordinal)
            && long.TryParse(name[..20], NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>
    /// What destroying a key that was kept so is worth: L1 its file was overwritten, synced and unlinked, and flash may keep remnants; L2 what was
    /// left opens nothing without the machine's TPM; L3 it never left its token. Empty for a custody that is not known.
    /// </summary>
    public static string CustodyLevel(string custody) => custody switch
    {
        "file" or "passphrase" or "systemd-creds" => "L1",
        "tpm2" => "L2",
        "pkcs11" => "L3",
        _ => "",
    };

    public static string HashText(ReadOnlySpan<byte> hash) => HashPrefix + Convert.ToHexStringLower(hash);
}
