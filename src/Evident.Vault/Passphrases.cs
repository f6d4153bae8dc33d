namespace Evident.Vault;

/// <summary>What a passphrase may be.</summary>
public static class Passphrases
{
    /// <summary>Bytes of UTF-8. A new one has at least the first; one that opens something may have any length up to the second.</summary>
    public const int MinNewBytes = 12, MaxBytes = 1024;

    /// <summary>The content of a file or descriptor without the line end behind it.</summary>
    public static ReadOnlySpan<byte> WithoutLineEnd(ReadOnlySpan<byte> content) =>
        content.EndsWith("\r\n"u8) ? content[..^2] : content.EndsWith("\n"u8) ? content[..^1] : content;

    /// <summary>UTF-8 without control characters but line ends: what a person could have typed. 32 random bytes practically never are.</summary>
    internal static bool IsText(ReadOnlySpan<byte> bytes) =>
        System.Text.Unicode.Utf8.IsValid(bytes) && !WithoutLineEnd(bytes).ContainsAnyInRange((byte)0, (byte)0x1F);
}
