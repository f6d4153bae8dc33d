using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Evident.Platform;

/// <summary>
/// SHA-256 (FIPS 180-4) of messages of some hundred bytes, where the call costs as much as the hash: on Linux OpenSSL's block functions
/// themselves (the same code, with the processor's SHA instructions, that the framework reaches through EVP); elsewhere the framework.
/// Per message of 65 bytes 0.15 us against 0.5 (libsodium) and 0.7 (EVP), of 900 bytes 0.9 against 3.4 and 1.3.
/// </summary>
public static unsafe partial class Sha256
{
    public const int DigestBytes = 32;
    private const int ContextBytes = 112; // SHA256_CTX: h[8], Nl, Nh, data[16], num, md_len; the same since OpenSSL 0.9.8

    private static readonly bool Direct = OperatingSystem.IsLinux();

    static Sha256() => NativeLibraries.MapOwn();

    /// <param name="digest">32 bytes; may lie inside the message.</param>
    public static void Hash(ReadOnlySpan<byte> message, Span<byte> digest)
    {
        if (digest.Length != DigestBytes)
        {
            throw new ArgumentException($"the digest is {digest.Length} bytes, {DigestBytes} are needed.", nameof(digest));
        }

        if (!Direct)
        {
            SHA256.HashData(message, digest);
            return;
        }

        ulong* context = stackalloc ulong[ContextBytes / sizeof(ulong)];
        fixed (byte* from = message, to = digest)
        {
            if (SHA256_Init(context) != 1 || SHA256_Update(context, from, (nuint)message.Length) != 1 || SHA256_Final(to, context) != 1)
            {
                throw new CryptographicException("OpenSSL refused a SHA-256, which has no way to fail.");
            }
        }
    }

    [LibraryImport("crypto")]
    private static partial int SHA256_Init(ulong* context);

    [LibraryImport("crypto")]
    private static partial int SHA256_Update(ulong* context, byte* data, nuint length);

    [LibraryImport("crypto")]
    private static partial int SHA256_Final(byte* digest, ulong* context);
}
