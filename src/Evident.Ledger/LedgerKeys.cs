using System.Globalization;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>An Ed25519 signing key in guarded memory, under one note key name.</summary>
internal sealed class SigningKey : IDisposable
{
    private readonly SecretBytes secret;

    /// <param name="seed">32 bytes; stays the caller's.</param>
    public SigningKey(string name, SecretBytes seed)
    {
        secret = new SecretBytes(Sodium.Ed25519SecretKeyBytes);
        Span<byte> publicKey = stackalloc byte[Sodium.Ed25519PublicKeyBytes];
        Sodium.Ed25519SeedKeyPair(seed.Span, publicKey, secret.Span);
        Public = new NoteKey(name, publicKey);
    }

    public NoteKey Public { get; }

    public NoteSignature Sign(ReadOnlySpan<byte> text)
    {
        byte[] signature = new byte[4 + Sodium.Ed25519SignatureBytes];
        Public.KeyId.CopyTo(signature, 0);
        Sodium.Ed25519Sign(signature.AsSpan(4), text, secret.Span);
        return new NoteSignature(Public.Name, signature);
    }

    public void Dispose() => secret.Dispose();
}

/// <summary>Seeds as hexadecimal digits, without a string of them that nobody could wipe.</summary>
internal static class SeedText
{
    private static ReadOnlySpan<byte> Digits => "0123456789abcdef"u8;

    /// <param name="seed">32 bytes.</param>
    /// <param name="text">Gets 64 digits.</param>
    public static void Write(ReadOnlySpan<byte> seed, Span<byte> text)
    {
        for (int i = 0; i < seed.Length; i++)
        {
            text[2 * i] = Digits[seed[i] >> 4];
            text[(2 * i) + 1] = Digits[seed[i] & 15];
        }
    }

    public static bool TryRead(ReadOnlySpan<byte> text, Span<byte> seed)
    {
        for (int i = 0; i < text.Length; i++)
        {
            int digit = Digits.IndexOf(text[i]);
            if (digit < 0)
            {
                return false;
            }

            seed[i / 2] = unchecked((byte)((seed[i / 2] << 4) | digit));
        }

        return true;
    }
}

/// <summary>
/// The ledger's files in <c>keys/</c>, 0600, one line each: <c>evident-ledger-key/v1 ed25519 &lt;64 hex digits of the seed&gt;</c>.
/// <c>ledger-identity.new</c> exists only while genesis is unfinished; <c>ledger-identity.key</c> says that this ledger was born, so an
/// empty ledger directory beside it is a loss and never the start of a second history. <c>ledger-epoch-N.key</c> is the key of epoch N;
/// two of them exist only inside a rotation.
/// </summary>
internal sealed class KeyFiles(string directory)
{
    private const string Prefix = "evident-ledger-key/v1 ed25519 ";
    private const string EpochPrefix = "ledger-epoch-";
    private const string KeySuffix = ".key";

    public string Identity => Path.Combine(directory, "ledger-identity.key");

    public string UnbornIdentity => Path.Combine(directory, "ledger-identity.new");

    public string Epoch(long number) => Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{EpochPrefix}{number}{KeySuffix}"));

    /// <summary>Numbers of the epoch keys on disk, ascending.</summary>
    public IReadOnlyList<long> Epochs()
    {
        var found = new List<long>();
        foreach (string path in Directory.EnumerateFiles(directory, EpochPrefix + "*" + KeySuffix))
        {
            string name = Path.GetFileName(path)[EpochPrefix.Length..^KeySuffix.Length];
            if (long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            {
                found.Add(number);
            }
        }

        found.Sort();
        return found;
    }

    public static void Write(string path, SecretBytes seed)
    {
        byte[] text = new byte[Prefix.Length + 65];
        try
        {
            Encoding.ASCII.GetBytes(Prefix, text);
            SeedText.Write(seed.Span, text.AsSpan(Prefix.Length));
            text[^1] = (byte)'\n';
            DurableDirectory.ReplaceFile(path, text);
        }
        finally
        {
            Sodium.Zero(text);
        }
    }

    /// <exception cref="LedgerStateException">The file is not a key file.</exception>
    public static SecretBytes Read(string path)
    {
        using var file = DurableFile.OpenRead(path);
        byte[] text = new byte[Prefix.Length + 66];
        byte[] seed = new byte[32];
        try
        {
            int length = file.ReadAt(0, text);
            return length == Prefix.Length + 65 && text[length - 1] == '\n' && text.AsSpan(0, Prefix.Length).SequenceEqual(Encoding.ASCII.GetBytes(Prefix))
                && SeedText.TryRead(text.AsSpan(Prefix.Length, 64), seed)
                ? SecretBytes.CopyAndZero(seed)
                : throw new LedgerStateException($"key file '{path}' is damaged or of another version; restore it from a backup of the key directory.");
        }
        finally
        {
            Sodium.Zero(text);
            Sodium.Zero(seed);
        }
    }
}
