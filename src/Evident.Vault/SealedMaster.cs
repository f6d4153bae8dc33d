using System.Buffers.Binary;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>What one guess of a passphrase costs: Argon2id passes and bytes of memory (one lane), as they stand in <c>keys/master.sealed</c>.</summary>
internal sealed record PassphraseCost(ulong Passes, ulong MemoryBytes)
{
    /// <summary>libsodium's <c>MODERATE</c>: 256 MiB, about a second. An appliance needs them once, when it is unsealed.</summary>
    public static readonly PassphraseCost Moderate = new(3, 256UL << 20);

    /// <summary>A file that asks for more was not written here, and reading it must not exhaust the machine.</summary>
    public bool IsBearable => Passes is >= 1 and <= 64 && MemoryBytes is >= 8192 and <= 1UL << 30;
}

/// <summary>
/// <c>keys/master.sealed</c>: the master key under a passphrase (docs/vault-format.md section 7). 120 bytes:
/// <c>"EVIDMSK1" || u8 1 (Argon2id 1.3) || 7 zeros || u64 passes || u64 memory bytes || salt(16) || nonce(24) ||
/// XChaCha20-Poly1305(Argon2id(passphrase, salt), nonce, master key, "agentvault/master/v1\0" || bytes 0..47)</c>.
/// </summary>
internal static class SealedMaster
{
    public const int MasterBytes = 32, FileBytes = HeaderBytes + NonceBytes + MasterBytes + Sodium.AeadTagBytes;

    private const int HeaderBytes = 48, SaltBytes = 16, NonceBytes = 24, PassesAt = 16, MemoryAt = 24, SaltAt = 32;
    private const byte Argon2id = 1;

    private static ReadOnlySpan<byte> Magic => "EVIDMSK1"u8;

    private static ReadOnlySpan<byte> Label => "agentvault/master/v1\0"u8;

    /// <summary>Under a fresh salt and nonce.</summary>
    public static byte[] Seal(ReadOnlySpan<byte> master, ReadOnlySpan<byte> passphrase, PassphraseCost cost)
    {
        Span<byte> random = stackalloc byte[SaltBytes + NonceBytes];
        Sodium.RandomBytes(random);
        return Seal(master, passphrase, cost, random[..SaltBytes], random[SaltBytes..]);
    }

    /// <summary>Deterministic, for the vector.</summary>
    public static byte[] Seal(ReadOnlySpan<byte> master, ReadOnlySpan<byte> passphrase, PassphraseCost cost, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> nonce)
    {
        byte[] file = new byte[FileBytes];
        Magic.CopyTo(file);
        file[8] = Argon2id;
        BinaryPrimitives.WriteUInt64BigEndian(file.AsSpan(PassesAt), cost.Passes);
        BinaryPrimitives.WriteUInt64BigEndian(file.AsSpan(MemoryAt), cost.MemoryBytes);
        salt.CopyTo(file.AsSpan(SaltAt));
        nonce.CopyTo(file.AsSpan(HeaderBytes));
        using SecretBytes key = Derive(passphrase, file, cost);
        Span<byte> associated = stackalloc byte[Label.Length + HeaderBytes];
        Associated(associated, file);
        Sodium.XChaCha20Poly1305Seal(file.AsSpan(HeaderBytes + NonceBytes), master, associated, nonce, key.Span);
        return file;
    }

    /// <summary>Null when the passphrase is another one or the file was altered: the two cannot be told apart.</summary>
    /// <exception cref="InvalidDataException">It is no such file.</exception>
    public static SecretBytes? Open(ReadOnlySpan<byte> file, ReadOnlySpan<byte> passphrase)
    {
        if (file.Length != FileBytes || !file.StartsWith(Magic) || file[8] != Argon2id)
        {
            throw new InvalidDataException("it is not a master key sealed by a passphrase, of this version");
        }

        var cost = new PassphraseCost(BinaryPrimitives.ReadUInt64BigEndian(file[PassesAt..]), BinaryPrimitives.ReadUInt64BigEndian(file[MemoryAt..]));
        if (!cost.IsBearable)
        {
            throw new InvalidDataException($"it asks for {cost.Passes} passes over {cost.MemoryBytes} bytes; 64 passes and 1 GiB are the most");
        }

        using SecretBytes key = Derive(passphrase, file, cost);
        Span<byte> associated = stackalloc byte[Label.Length + HeaderBytes];
        Associated(associated, file);
        var master = new SecretBytes(MasterBytes);
        if (Sodium.XChaCha20Poly1305Open(master.Span, file[(HeaderBytes + NonceBytes)..], associated, file.Slice(HeaderBytes, NonceBytes), key.Span))
        {
            return master;
        }

        master.Dispose();
        return null;
    }

    private static SecretBytes Derive(ReadOnlySpan<byte> passphrase, ReadOnlySpan<byte> file, PassphraseCost cost)
    {
        var key = new SecretBytes(32);
        try
        {
            Sodium.Argon2id(key.Span, passphrase, file.Slice(SaltAt, SaltBytes), cost.Passes, checked((nuint)cost.MemoryBytes));
            return key;
        }
        catch (InsufficientMemoryException e)
        {
            key.Dispose();
            throw new VaultException(VaultErrorKind.Refused, $"The passphrase was not turned into a key: {e.Message} The keys stand as they were; free as much and try again.", e);
        }
    }

    private static void Associated(Span<byte> to, ReadOnlySpan<byte> file)
    {
        Label.CopyTo(to);
        file[..HeaderBytes].CopyTo(to[Label.Length..]);
    }
}
