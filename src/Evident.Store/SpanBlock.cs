using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;

namespace Evident.Store;

/// <summary>
/// The body of one <c>block</c> row (docs/store.md): the encoded spans one after another, each behind its length as a 32-bit little-endian
/// integer; plain, or Brotli quality 1. A span is named by its ordinal. At most <see cref="MaxSpans"/> spans, so that opening one trace
/// never inflates much more than it needs.
/// </summary>
internal sealed class SpanBlock
{
    public const int MaxSpans = 256;
    public const int MaxPlainBytes = 256 << 20;
    public const int Plain = 0, Brotli1 = 1;

    private byte[] buffer = [];
    private int length;

    public int Count { get; private set; }

    public int Length => length;

    public ReadOnlySpan<byte> Bytes => buffer.AsSpan(0, length);

    public void Clear()
    {
        length = 0;
        Count = 0;
        if (buffer.Length > 16 << 20)
        {
            buffer = []; // one giant request must not pin its size for ever
        }
    }

    /// <summary>Returns the span's ordinal.</summary>
    public int Add(ReadOnlySpan<byte> encoded)
    {
        int needed = length + 4 + encoded.Length;
        if (needed > buffer.Length)
        {
            Array.Resize(ref buffer, (int)Math.Min(Math.Max(needed, buffer.Length * 2L), Array.MaxLength));
        }

        BinaryPrimitives.WriteInt32LittleEndian(buffer.AsSpan(length), encoded.Length);
        encoded.CopyTo(buffer.AsSpan(length + 4));
        length = needed;
        return Count++;
    }

    /// <summary>Compresses; false when that would not make it smaller, the block is then stored plain.</summary>
    public static bool TryCompress(ReadOnlySpan<byte> plain, ref byte[] destination, out int written)
    {
        if (destination.Length < plain.Length)
        {
            destination = new byte[plain.Length];
        }

        written = 0;
        return plain.Length > 64 && BrotliEncoder.TryCompress(plain, destination.AsSpan(0, plain.Length), out written, quality: 1, window: 20);
    }

    /// <summary>Gives each encoded span of a stored block to <paramref name="each"/>, in order of ordinal.</summary>
    /// <exception cref="InvalidDataException">The row is damaged.</exception>
    public static void Read(long codec, long plainBytes, ReadOnlySpan<byte> data, EncodedSpan each)
    {
        if (codec == Plain)
        {
            Walk(data, each);
            return;
        }

        if (codec != Brotli1 || plainBytes is < 0 or > MaxPlainBytes)
        {
            throw new InvalidDataException($"a span block has codec {codec} and {plainBytes} plain bytes; this version reads codecs 0 and 1 up to {MaxPlainBytes} bytes.");
        }

        byte[] plain = ArrayPool<byte>.Shared.Rent((int)plainBytes);
        try
        {
            if (!BrotliDecoder.TryDecompress(data, plain.AsSpan(0, (int)plainBytes), out int written) || written != plainBytes)
            {
                throw new InvalidDataException($"a span block of {data.Length} bytes does not inflate to the {plainBytes} bytes it states.");
            }

            Walk(plain.AsSpan(0, written), each);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(plain);
        }
    }

    private static void Walk(ReadOnlySpan<byte> plain, EncodedSpan each)
    {
        for (int ordinal = 0; !plain.IsEmpty; ordinal++)
        {
            int size = plain.Length < 4 ? -1 : BinaryPrimitives.ReadInt32LittleEndian(plain);
            if (size < 0 || size > plain.Length - 4)
            {
                throw new InvalidDataException($"a span block ends inside its span {ordinal}.");
            }

            each(ordinal, plain.Slice(4, size));
            plain = plain[(4 + size)..];
        }
    }
}

internal delegate void EncodedSpan(int ordinal, ReadOnlySpan<byte> encoded);
