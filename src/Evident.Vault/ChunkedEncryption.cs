using System.Buffers.Binary;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// C2SP <c>chunked-encryption@v1</c> with AEAD_CHACHA20_POLY1305 and SHA-512: key-committing, seekable, truncation-proof.
/// </summary>
/// <remarks>
/// <c>key(32) || base_nonce(12) || commitment(32) = HKDF-Expand-SHA512(input_key, "c2sp.org/chunked-encryption@v1+" || aead || 0x00
/// || salt(24) || context)</c>; sealed form <c>salt(24) || commitment(32) || chunk_0 || chunk_1 ...</c>, every chunk 16,384 plaintext
/// bytes and a 16-byte tag, the last one shorter (0..16,383), which is the end marker. The nonce of chunk k is base_nonce XOR k.
/// HKDF-Expand is written out because the platform's refuses a 32-byte pseudo-random key with SHA-512.
/// </remarks>
public static class ChunkedEncryption
{
    public const int ChunkBytes = 16_384;
    public const int KeyBytes = 32;
    public const int SaltBytes = 24;
    public const int CommitmentBytes = 32;
    public const int HeaderBytes = SaltBytes + CommitmentBytes;

    internal const int DerivedBytes = KeyBytes + NonceBytes + CommitmentBytes;
    private const int NonceBytes = 12;
    private const int SealedChunkBytes = ChunkBytes + Sodium.AeadTagBytes;

    private static ReadOnlySpan<byte> Label => "c2sp.org/chunked-encryption@v1+"u8;

    private static ReadOnlySpan<byte> Suite => "AEAD_CHACHA20_POLY1305"u8;

    /// <summary>Length of the sealed form of <paramref name="plainLength"/> bytes.</summary>
    public static long SealedLength(long plainLength) =>
        HeaderBytes + plainLength + (plainLength / ChunkBytes + 1) * Sodium.AeadTagBytes;

    /// <summary>False when no plaintext seals to this length; a length that ends on a full chunk is a truncation.</summary>
    public static bool TryPlainLength(long sealedLength, out long plainLength)
    {
        long rest = sealedLength - HeaderBytes;
        long last = rest % SealedChunkBytes;
        if (rest < Sodium.AeadTagBytes || last < Sodium.AeadTagBytes)
        {
            plainLength = 0;
            return false;
        }

        plainLength = rest / SealedChunkBytes * ChunkBytes + last - Sodium.AeadTagBytes;
        return true;
    }

    /// <summary>Seals all of <paramref name="plain"/> into exactly <see cref="SealedLength"/> bytes. The salt must be fresh randomness.</summary>
    public static void Seal(
        Span<byte> destination, ReadOnlySpan<byte> plain, ReadOnlySpan<byte> inputKey, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> context)
    {
        if (destination.Length != SealedLength(plain.Length))
        {
            throw new ArgumentException($"{destination.Length} bytes given for a sealed form of {SealedLength(plain.Length)}.", nameof(destination));
        }

        Span<byte> derived = stackalloc byte[DerivedBytes];
        try
        {
            Derive(derived, Suite, inputKey, salt, context);
            WriteHeader(destination, derived, salt);
            Span<byte> to = destination[HeaderBytes..];
            for (long index = 0; ; index++)
            {
                bool last = plain.Length < ChunkBytes;
                int take = last ? plain.Length : ChunkBytes;
                SealChunk(to[..(take + Sodium.AeadTagBytes)], plain[..take], derived, index);
                if (last)
                {
                    return;
                }

                plain = plain[take..];
                to = to[SealedChunkBytes..];
            }
        }
        finally
        {
            Sodium.Zero(derived);
        }
    }

    /// <summary>
    /// Opens all of it into exactly the plain length. False when length, commitment or any chunk does not fit; the destination is
    /// then zeroed. The commitment is checked, in constant time, before anything is decrypted.
    /// </summary>
    public static bool TryOpen(Span<byte> destination, ReadOnlySpan<byte> sealedBytes, ReadOnlySpan<byte> inputKey, ReadOnlySpan<byte> context)
    {
        if (!TryPlainLength(sealedBytes.Length, out long plainLength) || destination.Length != plainLength)
        {
            return false;
        }

        Span<byte> derived = stackalloc byte[DerivedBytes];
        try
        {
            if (!TryDerive(derived, sealedBytes, inputKey, context))
            {
                return false;
            }

            ReadOnlySpan<byte> from = sealedBytes[HeaderBytes..];
            Span<byte> to = destination;
            for (long index = 0; !from.IsEmpty; index++)
            {
                int take = Math.Min(from.Length, SealedChunkBytes);
                if (!OpenChunk(to[..(take - Sodium.AeadTagBytes)], from[..take], derived, index))
                {
                    Sodium.Zero(destination);
                    return false;
                }

                to = to[(take - Sodium.AeadTagBytes)..];
                from = from[take..];
            }

            return true;
        }
        finally
        {
            Sodium.Zero(derived);
        }
    }

    /// <summary>True when key and context are the ones this header (56 bytes) was made with; nothing is decrypted.</summary>
    public static bool Commits(ReadOnlySpan<byte> header, ReadOnlySpan<byte> inputKey, ReadOnlySpan<byte> context)
    {
        Span<byte> derived = stackalloc byte[DerivedBytes];
        bool fits = TryDerive(derived, header, inputKey, context);
        Sodium.Zero(derived);
        return fits;
    }

    /// <summary>Derives from the salt of a header and compares its commitment.</summary>
    internal static bool TryDerive(Span<byte> derived, ReadOnlySpan<byte> header, ReadOnlySpan<byte> inputKey, ReadOnlySpan<byte> context)
    {
        Derive(derived, Suite, inputKey, header[..SaltBytes], context);
        return Sodium.Equal(Commitment(derived), header.Slice(SaltBytes, CommitmentBytes));
    }

    internal static void WriteHeader(Span<byte> destination, ReadOnlySpan<byte> derived, ReadOnlySpan<byte> salt)
    {
        salt.CopyTo(destination);
        Commitment(derived).CopyTo(destination[SaltBytes..]);
    }

    internal static void SealChunk(Span<byte> destination, ReadOnlySpan<byte> plain, ReadOnlySpan<byte> derived, long index)
    {
        Span<byte> nonce = stackalloc byte[NonceBytes];
        Nonce(nonce, derived, index);
        Sodium.ChaCha20Poly1305Seal(destination, plain, [], nonce, derived[..KeyBytes]);
    }

    internal static bool OpenChunk(Span<byte> destination, ReadOnlySpan<byte> chunk, ReadOnlySpan<byte> derived, long index)
    {
        Span<byte> nonce = stackalloc byte[NonceBytes];
        Nonce(nonce, derived, index);
        return Sodium.ChaCha20Poly1305Open(destination, chunk, [], nonce, derived[..KeyBytes]);
    }

    /// <summary>HKDF-Expand (RFC 5869 2.3) of 76 bytes: two blocks of HMAC-SHA-512.</summary>
    internal static void Derive(
        Span<byte> derived, ReadOnlySpan<byte> suite, ReadOnlySpan<byte> inputKey, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> context)
    {
        const int block = 64, roomOnStack = 1024;
        if (inputKey.Length != KeyBytes || salt.Length != SaltBytes)
        {
            throw new ArgumentException($"input key of {inputKey.Length} and salt of {salt.Length} bytes; {KeyBytes} and {SaltBytes} are needed.");
        }

        int infoLength = Label.Length + suite.Length + 1 + SaltBytes + context.Length;
        int length = block + infoLength + 1;
        Span<byte> message = length <= roomOnStack ? stackalloc byte[roomOnStack] : new byte[length];
        message = message[..length]; // T(1) || info || counter
        Span<byte> to = message[block..];
        Label.CopyTo(to);
        to = to[Label.Length..];
        suite.CopyTo(to);
        to = to[suite.Length..];
        to[0] = 0;
        salt.CopyTo(to[1..]);
        context.CopyTo(to[(1 + SaltBytes)..]);

        Span<byte> second = stackalloc byte[block];
        message[^1] = 1;
        Sodium.HmacSha512(message[..block], message[block..], inputKey);
        message[^1] = 2;
        Sodium.HmacSha512(second, message, inputKey);
        message[..block].CopyTo(derived);
        second[..(DerivedBytes - block)].CopyTo(derived[block..]);
        Sodium.Zero(message[..block]);
        Sodium.Zero(second);
    }

    internal static ReadOnlySpan<byte> Commitment(ReadOnlySpan<byte> derived) => derived[(KeyBytes + NonceBytes)..];

    private static void Nonce(Span<byte> nonce, ReadOnlySpan<byte> derived, long index)
    {
        derived.Slice(KeyBytes, NonceBytes).CopyTo(nonce);
        Span<byte> low = nonce[(NonceBytes - sizeof(long))..];
        BinaryPrimitives.WriteInt64BigEndian(low, BinaryPrimitives.ReadInt64BigEndian(low) ^ index);
    }
}
