using System.Buffers;
using System.Security.Cryptography;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// The salted commitment that ledger and trace carry: HMAC-SHA-256 under the payload's own 32-byte salt. It hides the payload while
/// the salt is secret, binds to exactly one payload, and says nothing any more once the salt is destroyed.
/// </summary>
public static class PayloadCommitment
{
    public const int Bytes = 32;
    private const int BlockBytes = 64, CopiedUpTo = 128 * 1024;

    /// <summary>
    /// <c>HMAC-SHA-256(salt, "agentvault/commit/v1\0" || LP32(scope id) || LP32(ref) || LP32(role) || payload)</c>, the payload being
    /// the exact bytes after redaction and before compression.
    /// </summary>
    /// <param name="scopeId">32 ASCII hex digits.</param>
    /// <param name="reference">29 ASCII bytes, <c>vr_…</c>.</param>
    public static void Compute(
        Span<byte> commitment, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> scopeId, ReadOnlySpan<byte> reference, ReadOnlySpan<byte> role,
        ReadOnlySpan<byte> payload)
    {
        if (salt.Length != 32 || commitment.Length != Bytes)
        {
            throw new ArgumentException($"salt of {salt.Length} and commitment of {commitment.Length} bytes; both are 32.");
        }

        Span<byte> prefix = stackalloc byte[Binding.MaxBytes];
        prefix = prefix[..Binding.Commit(prefix, scopeId, reference, role)];
        if (payload.Length > CopiedUpTo)
        {
            using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, salt);
            mac.AppendData(prefix);
            mac.AppendData(payload);
            mac.GetHashAndReset(commitment);
            return;
        }

        // RFC 2104 written out over one contiguous copy: a key that changes with every payload makes the library's keyed objects cost
        // more than hashing the payload does.
        int length = BlockBytes + prefix.Length + payload.Length;
        byte[] pooled = ArrayPool<byte>.Shared.Rent(length);
        Span<byte> inner = pooled.AsSpan(0, length);
        Span<byte> outer = stackalloc byte[BlockBytes + Bytes];
        try
        {
            inner[..BlockBytes].Fill(0x36);
            outer[..BlockBytes].Fill(0x5c);
            for (int i = 0; i < salt.Length; i++)
            {
                inner[i] ^= salt[i];
                outer[i] ^= salt[i];
            }

            prefix.CopyTo(inner[BlockBytes..]);
            payload.CopyTo(inner[(BlockBytes + prefix.Length)..]);
            SHA256.HashData(inner, outer[BlockBytes..]);
            Sodium.Sha256(commitment, outer);
        }
        finally
        {
            Sodium.Zero(inner);
            Sodium.Zero(outer);
            ArrayPool<byte>.Shared.Return(pooled);
        }
    }
}
