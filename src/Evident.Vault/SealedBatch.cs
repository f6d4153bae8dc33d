using System.Buffers;
using System.Text;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// One sealed payload, ready to be appended. Points into the memory of its <see cref="SealedBatch"/> and is valid as long as that.
/// Holds ciphertext and a sealed key only.
/// </summary>
public readonly struct SealedRecord
{
    internal SealedRecord(PackName pack, ReadOnlyMemory<byte> body, ReadOnlyMemory<byte> wrap)
    {
        Pack = pack;
        Body = body;
        Wrap = wrap;
    }

    internal PackName Pack { get; }

    /// <summary>Header and sealed body, as the pack file gets them.</summary>
    internal ReadOnlyMemory<byte> Body { get; }

    /// <summary>The wrap record but for pack offset and checksum, which the writer knows.</summary>
    internal ReadOnlyMemory<byte> Wrap { get; }
}

/// <summary>
/// Payloads of one request, sealed on the request's thread. Not thread safe. Sealed memory is pooled and freed by
/// <see cref="Dispose"/>, which may follow <see cref="VaultStore.Append"/> at once.
/// </summary>
public sealed class SealedBatch : IDisposable
{
    /// <summary>Longest payload, in bytes.</summary>
    public const int MaxPayloadBytes = 64 << 20;

    public const int RefLength = 29;
    private const int ChunkBytes = 64 << 10;
    private const int DekAndSalt = WrapRecord.SecretBytes;
    private const int RandomBytes = WrapRecord.RefBytes + DekAndSalt + ChunkedEncryption.SaltBytes + WrapRecord.NonceBytes;

    private readonly VaultStore vault;
    private readonly List<SealedRecord> records = [];
    private readonly List<byte[]> rented = [];
    private int used;

    internal SealedBatch(VaultStore vault) => this.vault = vault;

    public IReadOnlyList<SealedRecord> Records => records;

    /// <summary>Compresses when that helps, seals under a fresh key, wraps that key under the key of (scope, expiry day).</summary>
    /// <param name="role">1..31 of <c>[a-z0-9._]</c>, never a sender's string.</param>
    /// <param name="keepLong">The long class instead of the short one.</param>
    /// <param name="payload">The exact bytes after redaction, at most <see cref="MaxPayloadBytes"/>.</param>
    /// <param name="ref29">Gets <c>vr_</c> and 26 ASCII characters: 128 random bits, no time in them.</param>
    /// <param name="commitment32">Gets the salted commitment.</param>
    /// <exception cref="ArgumentException">Role, payload length or scope is not possible.</exception>
    /// <exception cref="VaultException">Poisoned, or DiskFull when a new key had to be written.</exception>
    public void Seal(VaultScope scope, string role, bool keepLong, ReadOnlySpan<byte> payload, Span<byte> ref29, Span<byte> commitment32)
    {
        using VaultStore.Use use = vault.Enter();
        long now = vault.Clock.UnixMillis;
        Kek kek = vault.KekFor(scope.Id, now, keepLong);
        Seal(kek, new PackName(keepLong, kek.Day), role, now, payload, ref29, commitment32);
    }

    /// <summary>The same under the debug class: kept <see cref="VaultOptions.DebugDays"/> whole day, never longer.</summary>
    /// <param name="payload">The exact bytes as sent, at most <see cref="MaxPayloadBytes"/>.</param>
    public void SealInFull(VaultScope scope, string role, ReadOnlySpan<byte> payload, Span<byte> ref29, Span<byte> commitment32)
    {
        using VaultStore.Use use = vault.Enter();
        long now = vault.Clock.UnixMillis;
        Kek kek = vault.DebugKekFor(scope.Id, now);
        Seal(kek, new PackName(Long: false, kek.Day, Debug: true), role, now, payload, ref29, commitment32);
    }

    private void Seal(Kek kek, PackName pack, string role, long now, ReadOnlySpan<byte> payload, Span<byte> ref29, Span<byte> commitment32)
    {
        Span<byte> random = stackalloc byte[RandomBytes];
        Sodium.RandomBytes(random);
        try
        {
            Seal(kek.Scope, kek.Id, kek.Key, pack, role, now, random, payload, ref29, commitment32);
        }
        finally
        {
            Sodium.Zero(random);
        }
    }

    /// <summary>A record that was sealed before; copied. Without a body its wrap replaces one in the same pack.</summary>
    internal void Take(PackName pack, ReadOnlySpan<byte> body, ReadOnlySpan<byte> wrap)
    {
        Memory<byte> bodyTo = Reserve(body.Length), wrapTo = Reserve(wrap.Length);
        body.CopyTo(bodyTo.Span);
        wrap.CopyTo(wrapTo.Span);
        records.Add(new SealedRecord(pack, bodyTo, wrapTo));
    }

    /// <summary>The same with everything that chance or time decides given.</summary>
    /// <param name="random">reference(16) || DEK(32) || salt(32) || body salt(24) || wrap nonce(24).</param>
    internal void Seal(
        ScopeEntry scope, uint kekId, ReadOnlySpan<byte> kek, PackName pack, string role, long createdMillis, ReadOnlySpan<byte> random,
        ReadOnlySpan<byte> payload, Span<byte> ref29, Span<byte> commitment32)
    {
        Span<byte> roleBytes = stackalloc byte[WrapRecord.MaxRoleBytes];
        roleBytes = roleBytes[..Role(role, roleBytes)];
        if (payload.Length > MaxPayloadBytes)
        {
            throw new ArgumentException($"payload of {payload.Length} bytes; the vault seals at most {MaxPayloadBytes}.", nameof(payload));
        }

        ReadOnlySpan<byte> id = random[..WrapRecord.RefBytes];
        ReadOnlySpan<byte> secret = random.Slice(WrapRecord.RefBytes, DekAndSalt);
        ReadOnlySpan<byte> bodySalt = random.Slice(WrapRecord.RefBytes + DekAndSalt, ChunkedEncryption.SaltBytes);
        ReadOnlySpan<byte> nonce = random[(WrapRecord.RefBytes + DekAndSalt + ChunkedEncryption.SaltBytes)..];
        Reference.Write(id, ref29);
        ref29 = ref29[..RefLength];
        PayloadCommitment.Compute(commitment32, secret[32..], scope.IdAscii, ref29, roleBytes, payload);

        Span<byte> binding = stackalloc byte[Binding.MaxBytes];
        byte[] pooled = ArrayPool<byte>.Shared.Rent(Math.Max(1, payload.Length));
        Span<byte> compressed = pooled.AsSpan(0, payload.Length);
        try
        {
            PayloadCodec codec = Compression.Compress(payload, compressed, out int length);
            ReadOnlySpan<byte> stored = codec == PayloadCodec.Raw ? payload : compressed[..length];
            int bodyLength = checked((int)ChunkedEncryption.SealedLength(stored.Length));
            Memory<byte> body = Reserve(PackRecord.HeaderBytes + bodyLength);
            PackRecord.WriteHeader(body.Span, bodyLength, id);
            Span<byte> sealedBody = body.Span[PackRecord.HeaderBytes..];
            int context = Binding.Body(
                binding, scope.IdAscii, ref29, roleBytes, commitment32[..32], createdMillis, codec, stored.Length, payload.Length);
            ChunkedEncryption.Seal(sealedBody, stored, secret[..32], bodySalt, binding[..context]);

            Memory<byte> wrap = Reserve(WrapRecord.Bytes);
            var record = new WrapRecord(wrap.Span);
            record.Start(roleBytes);
            record.Kind = WrapKind.First;
            record.Codec = codec;
            record.ExpiryDay = pack.Day;
            record.KekId = kekId;
            id.CopyTo(record.Ref);
            scope.Id.CopyTo(record.ScopeId);
            record.BodyLength = bodyLength;
            record.StoredLength = stored.Length;
            record.PlainLength = payload.Length;
            record.CreatedMillis = createdMillis;
            commitment32[..32].CopyTo(record.Commitment);
            nonce.CopyTo(record.Nonce);
            ReadOnlySpan<byte> bodyCommitment = sealedBody.Slice(ChunkedEncryption.SaltBytes, ChunkedEncryption.CommitmentBytes);
            int associated = Binding.Wrap(binding, scope.IdAscii, ref29, kekId, pack.Day, bodyCommitment);
            Sodium.XChaCha20Poly1305Seal(record.SealedSecret, secret, binding[..associated], nonce, kek);
            records.Add(new SealedRecord(pack, body, wrap));
        }
        finally
        {
            Sodium.Zero(compressed);
            ArrayPool<byte>.Shared.Return(pooled);
        }
    }

    /// <summary>Frees the sealed memory; the records must not be used any more.</summary>
    public void Dispose()
    {
        foreach (byte[] chunk in rented)
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }

        rented.Clear();
        records.Clear();
        used = 0;
    }

    private static int Role(string role, Span<byte> to)
    {
        if (role.Length > to.Length || !Encoding.ASCII.TryGetBytes(role, to, out int length) || !WrapRecord.IsRole(to[..length]))
        {
            throw new ArgumentException($"'{role}' is no payload role: 1..{WrapRecord.MaxRoleBytes} of a-z, 0-9, '.' and '_' are.", nameof(role));
        }

        return length;
    }

    /// <summary>From the newest chunk when it has room, else from a new one; earlier memory never moves.</summary>
    private Memory<byte> Reserve(int length)
    {
        if (rented.Count == 0 || rented[^1].Length - used < length)
        {
            rented.Add(ArrayPool<byte>.Shared.Rent(Math.Max(ChunkBytes, length)));
            used = 0;
        }

        Memory<byte> memory = rented[^1].AsMemory(used, length);
        used += length;
        return memory;
    }
}

/// <summary><c>vr_</c> and the Crockford base 32 of 16 bytes.</summary>
internal static class Reference
{
    private const string Prefix = "vr_";

    public static void Write(ReadOnlySpan<byte> id, Span<byte> ref29)
    {
        "vr_"u8.CopyTo(ref29);
        CrockfordBase32.Encode16(id, ref29.Slice(Prefix.Length, CrockfordBase32.Length));
    }

    /// <exception cref="VaultException">Malformed.</exception>
    public static void Parse(string reference, Span<byte> id)
    {
        if (!reference.StartsWith(Prefix, StringComparison.Ordinal) || !CrockfordBase32.TryDecode16(reference.AsSpan(Prefix.Length), id))
        {
            throw new VaultException(
                VaultErrorKind.Malformed,
                $"The text given is no payload reference ({reference.Length} characters): one is 'vr_' and 26 characters of Crockford base 32.");
        }
    }
}
