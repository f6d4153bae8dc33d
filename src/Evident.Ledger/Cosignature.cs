using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// A witness's key: C2SP tlog-cosignature v1, Ed25519, signature type 0x04. It signs the time and a whole checkpoint, never a note's text alone, and its
/// verifier key is no log's verifier key (type 0x01).
/// </summary>
public sealed class CosignerKey
{
    public const byte Type = 4;

    /// <summary>Key id, time and signature behind the base64 of a signature line.</summary>
    internal const int LineBytes = 4 + 8 + Sodium.Ed25519SignatureBytes;

    public CosignerKey(string name, ReadOnlySpan<byte> publicKey)
    {
        Name = name;
        PublicKey = publicKey.ToArray();
        KeyId = VerifierKey.Id(name, Type, publicKey);
    }

    public string Name { get; }

    public byte[] PublicKey { get; }

    public byte[] KeyId { get; }

    public string ToVerifierKey() => VerifierKey.Format(Name, Type, PublicKey);

    /// <summary>Null when the text is malformed, of another type, or its key id is not its own.</summary>
    public static CosignerKey? ParseVerifierKey(string text) =>
        VerifierKey.TryParse(text, Type, out string name, out byte[] key) ? new CosignerKey(name, key) : null;

    public bool Matches(NoteSignature signature) =>
        signature.Name == Name && signature.KeyIdAndSignature.AsSpan(0, 4).SequenceEqual(KeyId);

    /// <summary>True when the line is this key's valid cosignature over the checkpoint.</summary>
    /// <param name="signature">One line of a note.</param>
    /// <param name="checkpoint">The note's text.</param>
    /// <param name="time">The witness's time, Unix seconds: what it says, not what this machine knows.</param>
    public bool Verifies(NoteSignature signature, ReadOnlySpan<byte> checkpoint, out long time)
    {
        time = 0;
        if (!Matches(signature) || signature.KeyIdAndSignature.Length != LineBytes)
        {
            return false;
        }

        time = BinaryPrimitives.ReadInt64BigEndian(signature.KeyIdAndSignature.AsSpan(4));
        return time >= 0 && Sodium.Ed25519Verify(signature.KeyIdAndSignature.AsSpan(12), Cosignature.Message(time, checkpoint), PublicKey);
    }
}

/// <summary>What a cosignature is made of.</summary>
public static class Cosignature
{
    /// <summary>The signed bytes: <c>cosignature/v1</c>, the time, and the checkpoint.</summary>
    internal static byte[] Message(long time, ReadOnlySpan<byte> checkpoint) =>
        [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"cosignature/v1\ntime {time}\n")), .. checkpoint];

    /// <summary>Unix seconds as RFC 3339; null where a calendar does not reach.</summary>
    public static string? DateText(long seconds) => seconds is >= 0 and <= 253_402_300_799 ? Rfc3339.FormatMillis(seconds * 1000) : null;

    /// <summary>Unix seconds as RFC 3339, or as a number where a calendar does not reach.</summary>
    public static string TimeText(long seconds) => DateText(seconds) ?? seconds.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A witness's signing key in guarded memory.</summary>
internal sealed class CosigningKey : IDisposable
{
    private readonly SecretBytes secret;

    /// <param name="seed">32 bytes; stays the caller's.</param>
    public CosigningKey(string name, SecretBytes seed)
    {
        secret = new SecretBytes(Sodium.Ed25519SecretKeyBytes);
        Span<byte> publicKey = stackalloc byte[Sodium.Ed25519PublicKeyBytes];
        Sodium.Ed25519SeedKeyPair(seed.Span, publicKey, secret.Span);
        Public = new CosignerKey(name, publicKey);
    }

    public CosignerKey Public { get; }

    /// <param name="checkpoint">The text of a checkpoint note.</param>
    /// <param name="time">Unix seconds, not negative.</param>
    public NoteSignature Sign(ReadOnlySpan<byte> checkpoint, long time)
    {
        byte[] line = new byte[CosignerKey.LineBytes];
        Public.KeyId.CopyTo(line, 0);
        BinaryPrimitives.WriteInt64BigEndian(line.AsSpan(4), time);
        Sodium.Ed25519Sign(line.AsSpan(12), Cosignature.Message(time, checkpoint), secret.Span);
        return new NoteSignature(Public.Name, line);
    }

    public void Dispose() => secret.Dispose();
}
