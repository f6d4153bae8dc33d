using System.Buffers.Binary;

namespace Evident.Vault;

/// <summary>
/// The byte strings that tie a payload to its place (docs/vault-format.md 2-4). <c>LP32(x)</c> is a 32-bit big-endian length and x;
/// every variable part is length-prefixed, so two different places never give the same bytes.
/// </summary>
internal static class Binding
{
    /// <summary>Enough for each of the three with a scope id of 32, a reference of 29 and a role of 31 bytes.</summary>
    public const int MaxBytes = 256;

    /// <summary>What precedes the payload under the commitment's HMAC.</summary>
    public static int Commit(Span<byte> to, ReadOnlySpan<byte> scopeId, ReadOnlySpan<byte> reference, ReadOnlySpan<byte> role)
    {
        int at = Raw(to, 0, "agentvault/commit/v1\0"u8);
        at = Prefixed(to, at, scopeId);
        at = Prefixed(to, at, reference);
        return Prefixed(to, at, role);
    }

    /// <summary>Context of the sealed body. The expiry is left out on purpose: a longer life must not need a new body.</summary>
    public static int Body(
        Span<byte> to, ReadOnlySpan<byte> scopeId, ReadOnlySpan<byte> reference, ReadOnlySpan<byte> role,
        ReadOnlySpan<byte> commitment, long createdMillis, PayloadCodec codec, long storedLength, long plainLength)
    {
        int at = Raw(to, 0, "agentvault/body/v1\0"u8);
        at = Prefixed(to, at, scopeId);
        at = Prefixed(to, at, reference);
        at = Prefixed(to, at, role);
        at = Raw(to, at, commitment);
        at = Number(to, at, createdMillis);
        to[at++] = (byte)codec;
        at = Number(to, at, storedLength);
        return Number(to, at, plainLength);
    }

    /// <summary>Associated data of the wrap: the only place where the expiry day is bound.</summary>
    public static int Wrap(
        Span<byte> to, ReadOnlySpan<byte> scopeId, ReadOnlySpan<byte> reference, uint kekId, int expiryDay, ReadOnlySpan<byte> bodyCommitment)
    {
        int at = Raw(to, 0, "agentvault/wrap/v1\0"u8);
        at = Prefixed(to, at, scopeId);
        at = Prefixed(to, at, reference);
        BinaryPrimitives.WriteUInt32BigEndian(to[at..], kekId);
        BinaryPrimitives.WriteUInt32BigEndian(to[(at + 4)..], checked((uint)expiryDay));
        return Raw(to, at + 8, bodyCommitment);
    }

    private static int Raw(Span<byte> to, int at, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(to[at..]);
        return at + bytes.Length;
    }

    private static int Prefixed(Span<byte> to, int at, ReadOnlySpan<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to[at..], (uint)bytes.Length);
        return Raw(to, at + 4, bytes);
    }

    private static int Number(Span<byte> to, int at, long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(to[at..], value);
        return at + 8;
    }
}
