using System.Buffers;
using System.IO.Compression;

namespace Evident.Vault;

/// <summary>How the stored bytes of a payload relate to it; the numbers are part of the format.</summary>
public enum PayloadCodec : byte
{
    Raw = 0,
    Brotli = 1,
}

/// <summary>Brotli (RFC 7932), quality 1, one shot, bounded on both sides.</summary>
internal static class Compression
{
    /// <summary>Below this nothing is gained that the sealed form's 72 bytes do not hide.</summary>
    private const int WorthTrying = 64;
    private const int Quality = 1, Window = 18;

    /// <summary>
    /// Compresses into the destination (at least as long as the payload). <see cref="PayloadCodec.Raw"/> when that would not be
    /// smaller; the destination is then unspecified and the payload is stored as it is.
    /// </summary>
    public static PayloadCodec Compress(ReadOnlySpan<byte> payload, Span<byte> destination, out int written)
    {
        written = 0;
        return payload.Length >= WorthTrying
            && BrotliEncoder.TryCompress(payload, destination[..(payload.Length - 1)], out written, Quality, Window)
            ? PayloadCodec.Brotli
            : PayloadCodec.Raw;
    }

    /// <summary>True only when the stored bytes, all of them, give exactly as many bytes as the destination holds.</summary>
    public static bool TryInflate(ReadOnlySpan<byte> stored, Span<byte> destination)
    {
        using var decoder = default(BrotliDecoder);
        OperationStatus status = decoder.Decompress(stored, destination, out int consumed, out int written);
        return status == OperationStatus.Done && consumed == stored.Length && written == destination.Length;
    }
}
