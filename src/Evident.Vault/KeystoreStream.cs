using System.Buffers.Binary;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>Seals what is written to it, chunk by chunk (<see cref="ChunkedEncryption"/>); plaintext stands in guarded memory only.</summary>
internal sealed class KeystoreWriter : IDisposable
{
    private readonly SecretBytes derived = new(ChunkedEncryption.DerivedBytes);
    private readonly SecretBytes chunk = new(ChunkedEncryption.ChunkBytes);
    private readonly Memory<byte> destination;
    private int at;
    private int filled;
    private long index;

    /// <param name="destination">Exactly the sealed length of all that will be written.</param>
    public KeystoreWriter(Memory<byte> destination, ReadOnlySpan<byte> key, ReadOnlySpan<byte> context)
    {
        this.destination = destination;
        Span<byte> salt = stackalloc byte[ChunkedEncryption.SaltBytes];
        Sodium.RandomBytes(salt);
        ChunkedEncryption.Derive(derived.Span, "AEAD_CHACHA20_POLY1305"u8, key, salt, context);
        ChunkedEncryption.WriteHeader(destination.Span, derived.Span, salt);
        at = ChunkedEncryption.HeaderBytes;
    }

    public void U32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Raw(bytes);
    }

    public void I64(long value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        Raw(bytes);
    }

    public void Raw(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int take = Math.Min(bytes.Length, ChunkedEncryption.ChunkBytes - filled);
            bytes[..take].CopyTo(chunk.Span[filled..]);
            filled += take;
            bytes = bytes[take..];
            if (filled == ChunkedEncryption.ChunkBytes)
            {
                Flush();
            }
        }
    }

    /// <summary>Seals the last, shorter chunk; the destination must then be full.</summary>
    public void End()
    {
        Flush();
        if (at != destination.Length)
        {
            throw new InvalidOperationException($"a keystore of {destination.Length} sealed bytes was announced, {at} were written.");
        }
    }

    public void Dispose()
    {
        derived.Dispose();
        chunk.Dispose();
    }

    private void Flush()
    {
        int length = filled + Sodium.AeadTagBytes;
        ChunkedEncryption.SealChunk(destination.Span.Slice(at, length), chunk.Span[..filled], derived.Span, index++);
        at += length;
        filled = 0;
    }
}

/// <summary>The reading side. Key and context are checked first; each chunk before any of its bytes is handed out.</summary>
internal sealed class KeystoreReader : IDisposable
{
    private readonly SecretBytes derived = new(ChunkedEncryption.DerivedBytes);
    private readonly SecretBytes chunk = new(ChunkedEncryption.ChunkBytes);
    private readonly ReadOnlyMemory<byte> source;
    private int at = ChunkedEncryption.HeaderBytes;
    private int filled;
    private int taken;
    private long index;

    /// <exception cref="InvalidDataException">Truncated, or not sealed with this key and context.</exception>
    public KeystoreReader(ReadOnlyMemory<byte> source, ReadOnlySpan<byte> key, ReadOnlySpan<byte> context)
    {
        this.source = source;
        if (!ChunkedEncryption.TryPlainLength(source.Length, out _) || !ChunkedEncryption.TryDerive(derived.Span, source.Span, key, context))
        {
            Dispose();
            throw new InvalidDataException("it is truncated, or not sealed with this key");
        }
    }

    public uint U32()
    {
        Span<byte> bytes = stackalloc byte[4];
        Raw(bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    public long I64()
    {
        Span<byte> bytes = stackalloc byte[8];
        Raw(bytes);
        return BinaryPrimitives.ReadInt64BigEndian(bytes);
    }

    public byte[] Bytes(int length)
    {
        byte[] bytes = new byte[length];
        Raw(bytes);
        return bytes;
    }

    public void Raw(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (taken == filled && !Next())
            {
                throw new InvalidDataException("its content ends too early");
            }

            int take = Math.Min(destination.Length, filled - taken);
            chunk.Span.Slice(taken, take).CopyTo(destination);
            taken += take;
            destination = destination[take..];
        }
    }

    /// <summary>Nothing may follow.</summary>
    public void End()
    {
        if (taken != filled || Next())
        {
            throw new InvalidDataException("its content is longer than its lists");
        }
    }

    public void Dispose()
    {
        derived.Dispose();
        chunk.Dispose();
    }

    /// <summary>False at the end; a last chunk may be empty.</summary>
    private bool Next()
    {
        int sealedLength = Math.Min(source.Length - at, ChunkedEncryption.ChunkBytes + Sodium.AeadTagBytes);
        if (sealedLength == 0)
        {
            return false;
        }

        filled = sealedLength - Sodium.AeadTagBytes;
        taken = 0;
        if (!ChunkedEncryption.OpenChunk(chunk.Span[..filled], source.Span.Slice(at, sealedLength), derived.Span, index++))
        {
            throw new InvalidDataException($"chunk {index - 1} was changed");
        }

        at += sealedLength;
        return filled > 0;
    }
}
