using System.Runtime.InteropServices;

namespace Evident.Platform;

/// <summary>
/// Thin layer over libsodium (1.0.18 or newer): the primitives the ledger and the vault are made of. Lengths are in bytes and are
/// checked here; a wrong one is a programming error and throws <see cref="ArgumentException"/>.
/// </summary>
public static partial class Sodium
{
    public const int Ed25519PublicKeyBytes = 32;
    public const int Ed25519SecretKeyBytes = 64;
    public const int Ed25519SignatureBytes = 64;
    public const int AeadTagBytes = 16;

    static Sodium()
    {
        NativeLibraries.MapOwn();
        if (sodium_init() < 0)
        {
            throw new InvalidOperationException("libsodium could not be initialised: it found no usable source of randomness.");
        }
    }

    /// <summary>Fills <paramref name="destination"/> from the kernel's random generator.</summary>
    public static void RandomBytes(Span<byte> destination) => randombytes_buf(destination, (nuint)destination.Length);

    /// <summary>Compares in a time that depends on the length only; different lengths are unequal.</summary>
    public static bool Equal(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b) =>
        a.Length == b.Length && sodium_memcmp(a, b, (nuint)a.Length) == 0;

    /// <summary>Zeroes memory in a way the compiler may not remove.</summary>
    public static void Zero(Span<byte> memory) => sodium_memzero(memory, (nuint)memory.Length);

    /// <summary>Ed25519 (RFC 8032) key pair: 32-byte public key, 64-byte secret key (seed || public key).</summary>
    public static void Ed25519KeyPair(Span<byte> publicKey, Span<byte> secretKey)
    {
        Check(publicKey.Length, Ed25519PublicKeyBytes, nameof(publicKey));
        Check(secretKey.Length, Ed25519SecretKeyBytes, nameof(secretKey));
        Must(crypto_sign_ed25519_keypair(publicKey, secretKey));
    }

    /// <summary>The same from a 32-byte seed.</summary>
    public static void Ed25519SeedKeyPair(ReadOnlySpan<byte> seed, Span<byte> publicKey, Span<byte> secretKey)
    {
        Check(seed.Length, 32, nameof(seed));
        Check(publicKey.Length, Ed25519PublicKeyBytes, nameof(publicKey));
        Check(secretKey.Length, Ed25519SecretKeyBytes, nameof(secretKey));
        Must(crypto_sign_ed25519_seed_keypair(publicKey, secretKey, seed));
    }

    /// <summary>Detached Ed25519 signature, 64 bytes.</summary>
    public static void Ed25519Sign(Span<byte> signature, ReadOnlySpan<byte> message, ReadOnlySpan<byte> secretKey)
    {
        Check(signature.Length, Ed25519SignatureBytes, nameof(signature));
        Check(secretKey.Length, Ed25519SecretKeyBytes, nameof(secretKey));
        Must(crypto_sign_ed25519_detached(signature, out _, message, (ulong)message.Length, secretKey));
    }

    /// <summary>True when the signature is valid; S >= L and small-order points are refused by libsodium.</summary>
    public static bool Ed25519Verify(ReadOnlySpan<byte> signature, ReadOnlySpan<byte> message, ReadOnlySpan<byte> publicKey) =>
        signature.Length == Ed25519SignatureBytes && publicKey.Length == Ed25519PublicKeyBytes
        && crypto_sign_ed25519_verify_detached(signature, message, (ulong)message.Length, publicKey) == 0;

    /// <summary>AEAD_CHACHA20_POLY1305 (RFC 8439): ciphertext is message + 16 bytes, nonce 12, key 32.</summary>
    public static void ChaCha20Poly1305Seal(
        Span<byte> ciphertext, ReadOnlySpan<byte> message, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> key)
    {
        Check(ciphertext.Length, message.Length + AeadTagBytes, nameof(ciphertext));
        Check(nonce.Length, 12, nameof(nonce));
        Check(key.Length, 32, nameof(key));
        Must(crypto_aead_chacha20poly1305_ietf_encrypt(
            ciphertext, out _, message, (ulong)message.Length, associated, (ulong)associated.Length, 0, nonce, key));
    }

    /// <summary>False when the tag does not match; the message is then not written.</summary>
    public static bool ChaCha20Poly1305Open(
        Span<byte> message, ReadOnlySpan<byte> ciphertext, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> key)
    {
        Check(nonce.Length, 12, nameof(nonce));
        Check(key.Length, 32, nameof(key));
        if (ciphertext.Length < AeadTagBytes)
        {
            return false;
        }

        Check(message.Length, ciphertext.Length - AeadTagBytes, nameof(message));
        return crypto_aead_chacha20poly1305_ietf_decrypt(
            message, out _, 0, ciphertext, (ulong)ciphertext.Length, associated, (ulong)associated.Length, nonce, key) == 0;
    }

    /// <summary>XChaCha20-Poly1305: ciphertext is message + 16 bytes, nonce 24 (random ones are safe at any volume), key 32.</summary>
    public static void XChaCha20Poly1305Seal(
        Span<byte> ciphertext, ReadOnlySpan<byte> message, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> key)
    {
        Check(ciphertext.Length, message.Length + AeadTagBytes, nameof(ciphertext));
        Check(nonce.Length, 24, nameof(nonce));
        Check(key.Length, 32, nameof(key));
        Must(crypto_aead_xchacha20poly1305_ietf_encrypt(
            ciphertext, out _, message, (ulong)message.Length, associated, (ulong)associated.Length, 0, nonce, key));
    }

    /// <summary>False when the tag does not match; the message is then not written.</summary>
    public static bool XChaCha20Poly1305Open(
        Span<byte> message, ReadOnlySpan<byte> ciphertext, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> key)
    {
        Check(nonce.Length, 24, nameof(nonce));
        Check(key.Length, 32, nameof(key));
        if (ciphertext.Length < AeadTagBytes)
        {
            return false;
        }

        Check(message.Length, ciphertext.Length - AeadTagBytes, nameof(message));
        return crypto_aead_xchacha20poly1305_ietf_decrypt(
            message, out _, 0, ciphertext, (ulong)ciphertext.Length, associated, (ulong)associated.Length, nonce, key) == 0;
    }

    /// <summary>SHA-256 (FIPS 180-4). Faster than the BCL below about 200 bytes, slower above.</summary>
    public static void Sha256(Span<byte> digest, ReadOnlySpan<byte> message)
    {
        Check(digest.Length, 32, nameof(digest));
        Must(crypto_hash_sha256(digest, message, (ulong)message.Length));
    }

    /// <summary>HMAC-SHA-256 (RFC 2104), key of any length.</summary>
    public static void HmacSha256(Span<byte> mac, ReadOnlySpan<byte> message, ReadOnlySpan<byte> key)
    {
        Check(mac.Length, 32, nameof(mac));
        // crypto_auth_hmacsha256_state is 208 bytes in libsodium 1.0.18; room is left for growth.
        Span<byte> state = stackalloc byte[512];
        Must(crypto_auth_hmacsha256_init(state, key, (nuint)key.Length));
        Must(crypto_auth_hmacsha256_update(state, message, (ulong)message.Length));
        Must(crypto_auth_hmacsha256_final(state, mac));
        Zero(state);
    }

    /// <summary>HMAC-SHA-512 (RFC 2104), key of any length.</summary>
    public static void HmacSha512(Span<byte> mac, ReadOnlySpan<byte> message, ReadOnlySpan<byte> key)
    {
        Check(mac.Length, 64, nameof(mac));
        // crypto_auth_hmacsha512_state is 416 bytes in libsodium 1.0.18; room is left for growth.
        Span<byte> state = stackalloc byte[1024];
        Must(crypto_auth_hmacsha512_init(state, key, (nuint)key.Length));
        Must(crypto_auth_hmacsha512_update(state, message, (ulong)message.Length));
        Must(crypto_auth_hmacsha512_final(state, mac));
        Zero(state);
    }

    /// <summary>Argon2id 1.3 (RFC 9106): key of 16..64 bytes, salt of 16, memory in bytes.</summary>
    public static void Argon2id(Span<byte> key, ReadOnlySpan<byte> password, ReadOnlySpan<byte> salt, ulong operations, nuint memoryBytes)
    {
        Check(salt.Length, 16, nameof(salt));
        if (crypto_pwhash_argon2id(key, (ulong)key.Length, password, (ulong)password.Length, salt, operations, memoryBytes, 2) != 0)
        {
            throw new InsufficientMemoryException($"Argon2id could not get {memoryBytes} bytes of memory.");
        }
    }

    private static void Check(int actual, int expected, string name)
    {
        if (actual != expected)
        {
            throw new ArgumentException($"{name} is {actual} bytes, {expected} are needed.", name);
        }
    }

    private static void Must(int result)
    {
        if (result != 0)
        {
            throw new InvalidOperationException($"libsodium answered {result} where it never fails on valid lengths.");
        }
    }

    private const string Library = "sodium";

    [LibraryImport(Library)]
    private static partial int sodium_init();

    [LibraryImport(Library)]
    private static partial void randombytes_buf(Span<byte> buffer, nuint size);

    [LibraryImport(Library)]
    private static partial int sodium_memcmp(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, nuint length);

    [LibraryImport(Library)]
    private static partial void sodium_memzero(Span<byte> memory, nuint length);

    [LibraryImport(Library)]
    internal static partial nint sodium_malloc(nuint size);

    [LibraryImport(Library)]
    internal static partial void sodium_free(nint pointer);

    [LibraryImport(Library)]
    private static partial int crypto_sign_ed25519_keypair(Span<byte> pk, Span<byte> sk);

    [LibraryImport(Library)]
    private static partial int crypto_sign_ed25519_seed_keypair(Span<byte> pk, Span<byte> sk, ReadOnlySpan<byte> seed);

    [LibraryImport(Library)]
    private static partial int crypto_sign_ed25519_detached(
        Span<byte> signature, out ulong signatureLength, ReadOnlySpan<byte> message, ulong messageLength, ReadOnlySpan<byte> sk);

    [LibraryImport(Library)]
    private static partial int crypto_sign_ed25519_verify_detached(
        ReadOnlySpan<byte> signature, ReadOnlySpan<byte> message, ulong messageLength, ReadOnlySpan<byte> pk);

    [LibraryImport(Library)]
    private static partial int crypto_aead_chacha20poly1305_ietf_encrypt(
        Span<byte> c, out ulong cLength, ReadOnlySpan<byte> m, ulong mLength, ReadOnlySpan<byte> ad, ulong adLength, nint nsec,
        ReadOnlySpan<byte> npub, ReadOnlySpan<byte> k);

    [LibraryImport(Library)]
    private static partial int crypto_aead_chacha20poly1305_ietf_decrypt(
        Span<byte> m, out ulong mLength, nint nsec, ReadOnlySpan<byte> c, ulong cLength, ReadOnlySpan<byte> ad, ulong adLength,
        ReadOnlySpan<byte> npub, ReadOnlySpan<byte> k);

    [LibraryImport(Library)]
    private static partial int crypto_aead_xchacha20poly1305_ietf_encrypt(
        Span<byte> c, out ulong cLength, ReadOnlySpan<byte> m, ulong mLength, ReadOnlySpan<byte> ad, ulong adLength, nint nsec,
        ReadOnlySpan<byte> npub, ReadOnlySpan<byte> k);

    [LibraryImport(Library)]
    private static partial int crypto_aead_xchacha20poly1305_ietf_decrypt(
        Span<byte> m, out ulong mLength, nint nsec, ReadOnlySpan<byte> c, ulong cLength, ReadOnlySpan<byte> ad, ulong adLength,
        ReadOnlySpan<byte> npub, ReadOnlySpan<byte> k);

    [LibraryImport(Library)]
    private static partial int crypto_hash_sha256(Span<byte> digest, ReadOnlySpan<byte> message, ulong length);

    [LibraryImport(Library)]
    private static partial int crypto_auth_hmacsha256_init(Span<byte> state, ReadOnlySpan<byte> key, nuint keyLength);

    [LibraryImport(Library)]
    private static partial int crypto_auth_hmacsha256_update(Span<byte> state, ReadOnlySpan<byte> message, ulong length);

    [LibraryImport(Library)]
    private static partial int crypto_auth_hmacsha256_final(Span<byte> state, Span<byte> mac);

    [LibraryImport(Library)]
    private static partial int crypto_auth_hmacsha512_init(Span<byte> state, ReadOnlySpan<byte> key, nuint keyLength);

    [LibraryImport(Library)]
    private static partial int crypto_auth_hmacsha512_update(Span<byte> state, ReadOnlySpan<byte> message, ulong length);

    [LibraryImport(Library)]
    private static partial int crypto_auth_hmacsha512_final(Span<byte> state, Span<byte> mac);

    [LibraryImport(Library)]
    private static partial int crypto_pwhash_argon2id(
        Span<byte> output, ulong outputLength, ReadOnlySpan<byte> password, ulong passwordLength, ReadOnlySpan<byte> salt,
        ulong operations, nuint memory, int algorithm);
}
