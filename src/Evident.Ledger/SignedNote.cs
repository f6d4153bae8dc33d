using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>One signature line: key name and the decoded <c>keyID[4] || signature</c>.</summary>
public sealed record NoteSignature(string Name, byte[] KeyIdAndSignature);

/// <summary>An Ed25519 note key: name, public key, and the key id that C2SP derives from both.</summary>
public sealed class NoteKey
{
    public NoteKey(string name, ReadOnlySpan<byte> publicKey)
    {
        Name = name;
        PublicKey = publicKey.ToArray();
        KeyId = VerifierKey.Id(name, SignedNote.Ed25519Type, publicKey);
    }

    public string Name { get; }

    public byte[] PublicKey { get; }

    public byte[] KeyId { get; }

    /// <summary><c>name+hex8+base64(type || public key)</c></summary>
    public string ToVerifierKey() => VerifierKey.Format(Name, SignedNote.Ed25519Type, PublicKey);

    public bool Matches(NoteSignature signature) =>
        signature.Name == Name && signature.KeyIdAndSignature.AsSpan(0, 4).SequenceEqual(KeyId);

    public bool Verifies(NoteSignature signature, ReadOnlySpan<byte> text) =>
        Matches(signature) && Sodium.Ed25519Verify(signature.KeyIdAndSignature.AsSpan(4), text, PublicKey);

    /// <summary>The key that a verifier key text names; null when it is malformed, of another type, or its key id is not its own.</summary>
    public static NoteKey? ParseVerifierKey(string text) =>
        VerifierKey.TryParse(text, SignedNote.Ed25519Type, out string name, out byte[] key) ? new NoteKey(name, key) : null;
}

/// <summary>
/// C2SP signed note: text ending in a line feed, a blank line, signature lines <c>— name base64</c>. Reading is strict: valid
/// UTF-8, no control character but the line feed, canonical base64, 1..100 signatures, at most 64 KiB.
/// </summary>
public sealed class SignedNote
{
    public const byte Ed25519Type = 1;
    public const int MaxBytes = 65_536;
    public const int MaxSignatures = 100;

    private SignedNote(byte[] text, IReadOnlyList<NoteSignature> signatures)
    {
        Text = text;
        Signatures = signatures;
    }

    /// <summary>The signed bytes, final line feed included.</summary>
    public byte[] Text { get; }

    public IReadOnlyList<NoteSignature> Signatures { get; }

    /// <summary>False with one sentence when the bytes are no well-formed note.</summary>
    /// <param name="unsigned">A note without any signature line is taken: for a reader that then says which signature is missing.</param>
    public static bool TryParse(ReadOnlySpan<byte> note, out SignedNote parsed, out string failure, bool unsigned = false)
    {
        parsed = null!;
        if (note.Length > MaxBytes)
        {
            failure = $"it is longer than {MaxBytes} bytes.";
            return false;
        }

        int split = note.LastIndexOf("\n\n"u8);
        if (split < 0 || note[^1] != '\n' || (split + 2 == note.Length && !unsigned))
        {
            failure = "it has no text, blank line and signature lines, each ending in a line feed.";
            return false;
        }

        if (note.ContainsAnyInRange((byte)0, (byte)9) || note.ContainsAnyInRange((byte)11, (byte)31))
        {
            failure = "it has a control character that is no line feed.";
            return false;
        }

        if (!Utf8.IsValid(note))
        {
            failure = "it is not UTF-8.";
            return false;
        }

        var text = note[..(split + 1)];
        var signatures = new List<NoteSignature>();
        var rest = note[(split + 2)..];
        while (!rest.IsEmpty)
        {
            int end = rest.IndexOf((byte)'\n');
            var line = rest[..end];
            rest = rest[(end + 1)..];
            if (signatures.Count == MaxSignatures)
            {
                failure = $"it has more than {MaxSignatures} signatures.";
                return false;
            }

            if (!TryParseSignature(line, out var signature))
            {
                failure = $"signature line {signatures.Count + 1} is not an em dash, a space, a key name, a space and canonical base64.";
                return false;
            }

            signatures.Add(signature);
        }

        parsed = new SignedNote(text.ToArray(), signatures);
        failure = "";
        return true;
    }

    /// <summary>
    /// True when at least one signature of the key is valid and none of its is invalid. Signatures of other keys are ignored.
    /// </summary>
    public bool IsSignedBy(NoteKey key)
    {
        bool valid = false;
        foreach (var signature in Signatures)
        {
            if (key.Matches(signature))
            {
                if (!key.Verifies(signature, Text))
                {
                    return false;
                }

                valid = true;
            }
        }

        return valid;
    }

    public static string SignatureLine(NoteSignature signature) => $"\u2014 {signature.Name} {Convert.ToBase64String(signature.KeyIdAndSignature)}\n";

    public static byte[] Encode(ReadOnlySpan<byte> text, IEnumerable<NoteSignature> signatures) =>
        [.. text, (byte)'\n', .. Encoding.UTF8.GetBytes(string.Concat(signatures.Select(SignatureLine)))];

    public byte[] Encode() => Encode(Text, Signatures);

    internal static bool IsKeyName(string name) => name.Length > 0 && !name.Any(c => c == '+' || char.IsWhiteSpace(c) || c < 0x20);

    private static bool TryParseSignature(ReadOnlySpan<byte> line, out NoteSignature signature)
    {
        signature = null!;
        if (!line.StartsWith("\u2014 "u8))
        {
            return false;
        }

        line = line[4..];
        int space = line.IndexOf((byte)' ');
        if (space <= 0)
        {
            return false;
        }

        string name = Encoding.UTF8.GetString(line[..space]);
        if (!IsKeyName(name) || !CanonicalBase64.TryDecode(line[(space + 1)..], out byte[] bytes) || bytes.Length < 5)
        {
            return false;
        }

        signature = new NoteSignature(name, bytes);
        return true;
    }
}

/// <summary>RFC 4648 section 4 with padding, zero trailing bits, nothing else: .NET's own decoder also takes white space.</summary>
public static class CanonicalBase64
{
    public static bool TryDecode(ReadOnlySpan<byte> text, out byte[] bytes)
    {
        bytes = [];
        if (text.IsEmpty || text.Length % 4 != 0)
        {
            return false;
        }

        byte[] decoded = new byte[Base64.GetMaxDecodedFromUtf8Length(text.Length)];
        if (Base64.DecodeFromUtf8(text, decoded, out int read, out int written) != System.Buffers.OperationStatus.Done || read != text.Length)
        {
            return false;
        }

        bytes = decoded[..written];
        return Encoding.ASCII.GetBytes(Convert.ToBase64String(bytes)).AsSpan().SequenceEqual(text);
    }
}
