using System.Security.Cryptography;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// Key ids and verifier keys of C2SP signed notes: <c>key id = SHA-256(name || 0x0A || type || public key)[0:4]</c>, written as
/// <c>name+hex8+base64(type || public key)</c>. The type says what a key may sign, so that a witness's key is never taken for a log's.
/// </summary>
internal static class VerifierKey
{
    public static byte[] Id(string name, byte type, ReadOnlySpan<byte> publicKey) =>
        SHA256.HashData([.. Encoding.UTF8.GetBytes(name), (byte)'\n', type, .. publicKey])[..4];

    public static string Format(string name, byte type, ReadOnlySpan<byte> publicKey) =>
        $"{name}+{Convert.ToHexStringLower(Id(name, type, publicKey))}+{Convert.ToBase64String([type, .. publicKey])}";

    /// <summary>False unless the text is exactly what <see cref="Format"/> writes for an Ed25519 key (32 bytes) of that type.</summary>
    public static bool TryParse(string text, byte type, out string name, out byte[] publicKey)
    {
        string[] parts = text.Split('+', 3);
        name = parts[0];
        publicKey = [];
        if (parts.Length != 3 || !SignedNote.IsKeyName(name) || !CanonicalBase64.TryDecode(Encoding.UTF8.GetBytes(parts[2]), out byte[] key)
            || key.Length != 33 || key[0] != type)
        {
            return false;
        }

        publicKey = key[1..];
        return Format(name, type, publicKey) == text;
    }
}
