using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// What a trace seal commits to for one stored span: the record of docs/store.md ("Trace seals"). Its digest is the RFC 6962 leaf hash of the record, so digests
/// go into a Merkle tree as they are. One thread at a time; the buffer is reused.
/// </summary>
internal sealed class SpanRecord
{
    private const int ShortBytes = 128; // up to here, libsodium's hash costs less than the call into the platform's

    private byte[] buffer = new byte[512];
    private string? workspace;
    private int head; // bytes of the buffer that are the same for every span of the workspace

    /// <param name="workspaceName">At most 128 UTF-8 bytes.</param>
    /// <param name="received">The block's time of receipt, Unix milliseconds.</param>
    /// <param name="content">SHA-256 of the span's core.</param>
    /// <param name="seal">The seal that follows the core in the encoding.</param>
    /// <param name="digest">Gets 32 bytes.</param>
    public void Digest(string workspaceName, long received, ContentDigest content, ReadOnlySpan<byte> seal, Span<byte> digest)
    {
        if (workspaceName != workspace)
        {
            Begin(workspaceName);
        }

        int length = head + 8 + 32 + seal.Length;
        if (length > buffer.Length)
        {
            Array.Resize(ref buffer, 2 * length);
        }

        var at = buffer.AsSpan(head);
        BinaryPrimitives.WriteInt64BigEndian(at, received);
        content.Write(at[8..]);
        seal.CopyTo(at[40..]);
        var record = buffer.AsSpan(0, length);
        if (length <= ShortBytes)
        {
            Sodium.Sha256(digest, record);
        }
        else
        {
            SHA256.HashData(record, digest);
        }
    }

    /// <summary>
    /// Takes an encoded span apart. False unless it is version 1 in exactly the form in which it is written (docs/span-format.md): nothing may be changed
    /// in it without changing core or seal.
    /// </summary>
    public static bool TrySplit(ReadOnlySpan<byte> encoded, out ReadOnlySpan<byte> core, out ReadOnlySpan<byte> seal)
    {
        core = seal = default;
        return encoded.Length > 0 && encoded[0] == 1 && TryTake(encoded[1..], out core, out var rest) && TryTake(rest, out seal, out rest) && rest.IsEmpty;
    }

    private void Begin(string name)
    {
        workspace = name;
        ReadOnlySpan<byte> domain = "\0evident/span/v1\n"u8; // the leading zero is that of a leaf
        byte[] utf8 = Encoding.UTF8.GetBytes(name);
        buffer = new byte[Math.Max(buffer.Length, domain.Length + utf8.Length + 512)];
        domain.CopyTo(buffer);
        utf8.CopyTo(buffer, domain.Length);
        head = domain.Length + utf8.Length + 1;
    }

    private static bool TryTake(ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> part, out ReadOnlySpan<byte> rest)
    {
        part = rest = default;
        ulong length = 0;
        int at = 0;
        for (int shift = 0; ; shift += 7)
        {
            if (at == bytes.Length || shift > 28)
            {
                return false;
            }

            byte next = bytes[at++];
            length |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                if (next == 0 && at > 1)
                {
                    return false; // longer than it need be
                }

                break;
            }
        }

        if (length > (ulong)(bytes.Length - at))
        {
            return false;
        }

        part = bytes.Slice(at, (int)length);
        rest = bytes[(at + (int)length)..];
        return true;
    }
}
