using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>What a wrap record is for; the numbers are part of the format.</summary>
internal enum WrapKind : byte
{
    /// <summary>First wrap of the body at its pack offset; these stand in pack order.</summary>
    First = 1,

    /// <summary>Replaces an earlier wrap of the same body in the same pack.</summary>
    Again = 2,
}

/// <summary>
/// One 256-byte record of a <c>.wraps</c> file, seen in place (docs/vault-format.md 6). The checksum only tells a torn or rotten record
/// from a whole one; what protects it against people is the wrap's associated data and the body's context.
/// </summary>
internal readonly ref struct WrapRecord(Span<byte> bytes)
{
    public const int Bytes = 256;
    public const int RefAt = 16, RefBytes = 16;
    public const int MaxRoleBytes = 31;
    public const int NonceBytes = 24, SecretBytes = 64, SealedSecretBytes = SecretBytes + Sodium.AeadTagBytes;
    private const int ChecksumAt = Bytes - 4;

    private readonly Span<byte> bytes = bytes[..Bytes];

    private static ReadOnlySpan<byte> Magic => "EVW1"u8;

    public WrapKind Kind { get => (WrapKind)bytes[4]; set => bytes[4] = (byte)value; }

    public PayloadCodec Codec { get => (PayloadCodec)bytes[5]; set => bytes[5] = (byte)value; }

    public int ExpiryDay { get => Int(8); set => Int(8, value); }

    public uint KekId
    {
        get => BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]);
        set => BinaryPrimitives.WriteUInt32BigEndian(bytes[12..], value);
    }

    public Span<byte> Ref => bytes.Slice(RefAt, RefBytes);

    public Span<byte> ScopeId => bytes.Slice(32, 16);

    /// <summary>Where the pack record (its header) starts.</summary>
    public long PackOffset
    {
        get => BinaryPrimitives.ReadInt64BigEndian(bytes[48..]);
        set => BinaryPrimitives.WriteInt64BigEndian(bytes[48..], value);
    }

    public int BodyLength { get => Int(56); set => Int(56, value); }

    public int StoredLength { get => Int(60); set => Int(60, value); }

    public int PlainLength { get => Int(64); set => Int(64, value); }

    public long CreatedMillis
    {
        get => BinaryPrimitives.ReadInt64BigEndian(bytes[72..]);
        set => BinaryPrimitives.WriteInt64BigEndian(bytes[72..], value);
    }

    public Span<byte> Commitment => bytes.Slice(80, PayloadCommitment.Bytes);

    /// <summary>ASCII.</summary>
    public ReadOnlySpan<byte> Role => bytes.Slice(113, Math.Min(bytes[112], (byte)MaxRoleBytes));

    public Span<byte> Nonce => bytes.Slice(144, NonceBytes);

    public Span<byte> SealedSecret => bytes.Slice(168, SealedSecretBytes);

    public long PackEnd => PackOffset + PackRecord.HeaderBytes + BodyLength;

    /// <summary>Zeroes the record and writes what never changes.</summary>
    public void Start(ReadOnlySpan<byte> role)
    {
        bytes.Clear();
        Magic.CopyTo(bytes);
        bytes[112] = checked((byte)role.Length);
        role.CopyTo(bytes.Slice(113, MaxRoleBytes));
    }

    public void Finish() => BinaryPrimitives.WriteUInt32BigEndian(bytes[ChecksumAt..], Checksum());

    /// <summary>Whole, of this version, and free of contradictions; not yet authentic.</summary>
    public bool IsWhole =>
        bytes[..4].SequenceEqual(Magic)
        && BinaryPrimitives.ReadUInt32BigEndian(bytes[ChecksumAt..]) == Checksum()
        && Kind is WrapKind.First or WrapKind.Again
        && Codec is PayloadCodec.Raw or PayloadCodec.Brotli
        && bytes.Slice(6, 2).IndexOfAnyExcept((byte)0) < 0 && Int(68) == 0 && Int(248) == 0
        && ExpiryDay >= 0 && PackOffset >= 0 && CreatedMillis >= 0
        && PlainLength is >= 0 and <= SealedBatch.MaxPayloadBytes
        && StoredLength >= 0 && (Codec == PayloadCodec.Raw ? StoredLength == PlainLength : StoredLength < PlainLength)
        && BodyLength == ChunkedEncryption.SealedLength(StoredLength)
        && bytes[112] is > 0 and <= MaxRoleBytes && IsRole(Role)
        && bytes[(113 + bytes[112])..144].IndexOfAnyExcept((byte)0) < 0;

    /// <summary>1..31 of <c>[a-z0-9._]</c>.</summary>
    public static bool IsRole(ReadOnlySpan<byte> role) =>
        role.Length is > 0 and <= MaxRoleBytes && role.IndexOfAnyExcept(RoleCharacters) < 0;

    public string RoleText => Encoding.ASCII.GetString(Role);

    private static readonly System.Buffers.SearchValues<byte> RoleCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789._"u8);

    private int Int(int at) => BinaryPrimitives.ReadInt32BigEndian(bytes[at..]);

    private void Int(int at, int value) => BinaryPrimitives.WriteInt32BigEndian(bytes[at..], value);

    /// <summary>CRC-32C (Castagnoli, reflected, as in RFC 3720) of everything before it.</summary>
    private uint Checksum()
    {
        uint crc = uint.MaxValue;
        int at = 0;
        for (; at + 8 <= ChecksumAt; at += 8)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]));
        }

        return ~BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]));
    }
}

/// <summary>Header of one sealed body in a <c>.pack</c> file: <c>"EVP1"</c>, body length (u32), reference (16 bytes).</summary>
internal static class PackRecord
{
    public const int HeaderBytes = 24;

    private static ReadOnlySpan<byte> Magic => "EVP1"u8;

    public static void WriteHeader(Span<byte> to, int bodyLength, ReadOnlySpan<byte> reference)
    {
        Magic.CopyTo(to);
        BinaryPrimitives.WriteInt32BigEndian(to[4..], bodyLength);
        reference.CopyTo(to[8..]);
    }

    /// <summary>False when these 24 bytes do not start a record; else the length of the body that follows.</summary>
    public static bool TryReadHeader(ReadOnlySpan<byte> header, out int bodyLength)
    {
        bodyLength = BinaryPrimitives.ReadInt32BigEndian(header[4..]);
        return header[..4].SequenceEqual(Magic) && ChunkedEncryption.TryPlainLength(bodyLength, out long plain)
            && plain <= SealedBatch.MaxPayloadBytes;
    }

    public static ReadOnlySpan<byte> Ref(ReadOnlySpan<byte> header) => header.Slice(8, WrapRecord.RefBytes);
}
