using System.Buffers;
using System.IO.Compression;
using Evident.Platform;

namespace Evident.Vault;

internal sealed partial class RecordOpener
{
    /// <summary>
    /// A part of a payload, in memory of the part's size: only the chunks that hold it are read where the body is stored as it is, and all before them where it is compressed. Every chunk is authenticated
    /// and bound to the payload by the body's context; the commitment, which is over the whole payload, is not computed.
    /// </summary>
    /// <param name="first">First byte, 0 up to the payload's length.</param>
    /// <param name="count">Most bytes; fewer at the payload's end.</param>
    public VaultPayload ReadRange(string reference, long first, int count)
    {
        Span<byte> bytes = stackalloc byte[WrapRecord.Bytes];
        using var found = new Found(this, reference, bytes, headerOnly: true);
        var wrap = new WrapRecord(bytes);
        byte[] part = new byte[Math.Clamp(wrap.PlainLength - first, 0, count)];
        Span<byte> context = stackalloc byte[Binding.MaxBytes], derived = stackalloc byte[ChunkedEncryption.DerivedBytes];
        bool opened = false;
        try
        {
            if (!ChunkedEncryption.TryDerive(derived, found.Body, found.Dek, context[..found.Context(context, wrap)]))
            {
                throw found.Tampered("its body was sealed for another role, commitment, time or length");
            }

            using DurableFile pack = DurableFile.OpenRead(found.Pack.Pack(Directory));
            var chunks = new Chunks(found, pack, wrap.PackOffset + PackRecord.HeaderBytes + ChunkedEncryption.HeaderBytes, wrap.StoredLength, derived);
            if (wrap.Codec == PayloadCodec.Raw)
            {
                chunks.Copy(first, part);
            }
            else
            {
                chunks.Inflate(first, part);
            }

            opened = true;
        }
        finally
        {
            Sodium.Zero(derived);
            if (!opened)
            {
                Sodium.Zero(part);
            }
        }

        return new VaultPayload(
            reference, wrap.RoleText, Convert.ToHexStringLower(wrap.ScopeId), part, wrap.Commitment.ToArray(), wrap.CreatedMillis, VaultDay.Text(wrap.ExpiryDay));
    }

    /// <summary>The chunks of one body, opened one by one.</summary>
    /// <param name="at">Of the first one, in the pack.</param>
    /// <param name="stored">Bytes in all of them.</param>
    private readonly ref struct Chunks(Found found, DurableFile pack, long at, int stored, ReadOnlySpan<byte> derived)
    {
        private const int Size = ChunkedEncryption.ChunkBytes, Tag = Sodium.AeadTagBytes;

        private readonly ReadOnlySpan<byte> derived = derived;

        public void Copy(long first, Span<byte> to)
        {
            byte[] pooled = ArrayPool<byte>.Shared.Rent((2 * Size) + Tag);
            try
            {
                while (!to.IsEmpty)
                {
                    Span<byte> chunk = Open((int)(first / Size), pooled)[(int)(first % Size)..];
                    int take = Math.Min(chunk.Length, to.Length);
                    chunk[..take].CopyTo(to);
                    to = to[take..];
                    first += take;
                }
            }
            finally
            {
                Sodium.Zero(pooled);
                ArrayPool<byte>.Shared.Return(pooled);
            }
        }

        public void Inflate(long first, Span<byte> to)
        {
            byte[] pooled = ArrayPool<byte>.Shared.Rent((2 * Size) + Tag), inflated = ArrayPool<byte>.Shared.Rent(Size);
            var decoder = default(BrotliDecoder);
            try
            {
                int next = 0;
                ReadOnlySpan<byte> from = default;
                while (!to.IsEmpty)
                {
                    OperationStatus status = decoder.Decompress(from, inflated, out int consumed, out int written);
                    from = from[consumed..];
                    int skip = (int)Math.Min(first, written), take = Math.Min(written - skip, to.Length);
                    first -= skip;
                    inflated.AsSpan(skip, take).CopyTo(to);
                    to = to[take..];
                    if (to.IsEmpty || status == OperationStatus.DestinationTooSmall)
                    {
                        continue;
                    }

                    if (status != OperationStatus.NeedMoreData || next > stored / Size)
                    {
                        throw found.Tampered("its content does not inflate to its length");
                    }

                    from = Open(next++, pooled);
                }
            }
            finally
            {
                decoder.Dispose();
                Sodium.Zero(pooled);
                Sodium.Zero(inflated);
                ArrayPool<byte>.Shared.Return(pooled);
                ArrayPool<byte>.Shared.Return(inflated);
            }
        }

        private Span<byte> Open(int index, byte[] pooled)
        {
            int length = Math.Min(Size, stored - (index * Size));
            Span<byte> sealedChunk = pooled.AsSpan(Size, length + Tag), plain = pooled.AsSpan(0, length);
            return pack.ReadAt(at + (index * (long)(Size + Tag)), sealedChunk) == sealedChunk.Length && ChunkedEncryption.OpenChunk(plain, sealedChunk, derived, index)
                ? plain
                : throw found.Tampered("a chunk of its body was changed, moved or cut");
        }
    }
}
