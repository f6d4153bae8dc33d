using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Pipelines;

namespace Evident.Web;

/// <summary>How a body is packed. <c>Zlib</c> is what HTTP calls <c>deflate</c> (RFC 1950).</summary>
internal enum BodyCoding
{
    Identity,
    Gzip,
    Zlib,
}

internal enum BodyOutcome
{
    Complete,
    TooLarge,
    Undecodable,
    Busy,
}

/// <summary>
/// One request body, inflated, in one pooled array. Grows by doubling from what has really arrived, never from what a header
/// claims, and each growth is taken from the budget first. <see cref="Dispose"/> gives array and budget back; the caller holds it
/// until the decoded copy is gone, so that the budget covers both.
/// </summary>
internal sealed class RequestBody(BodyBudget budget, int limit) : IDisposable
{
    private const int FirstBytes = 16 * 1024;

    /// <summary>Header, empty content and trailer: nothing whole is shorter.</summary>
    private const int GzipFrameBytes = 20, ZlibFrameBytes = 8;

    /// <summary>
    /// Past the free part, a body that inflates to more than this many times of what was sent is no telemetry (the most compressible exports
    /// measured stay below 60) and is refused as too large before it takes the memory it asks for.
    /// </summary>
    private const int MaxRatio = 250, FreeInflation = 8 << 20;

    /// <summary>The body itself and the arena that its decoding copies it to, which lives as long.</summary>
    private const long Copies = 2;

    private byte[] buffer = [];
    private int length;
    private long reserved;

    public ReadOnlySpan<byte> Bytes => buffer.AsSpan(0, length);

    /// <summary>Bytes of a complete body as they were sent.</summary>
    public long Sent { get; private set; }

    /// <summary>Reads to the end. Stops at <c>limit</c> bytes of inflated content, whatever the packed size was.</summary>
    /// <exception cref="Microsoft.AspNetCore.Http.BadHttpRequestException">Kestrel's own limits: size as sent (413), data rate (408).</exception>
    public Task<BodyOutcome> ReadAsync(PipeReader source, BodyCoding coding, CancellationToken cancel) => coding switch
    {
        BodyCoding.Identity => ReadPlainAsync(source, cancel),
        _ => InflateAsync(source, coding, cancel),
    };

    private async Task<BodyOutcome> ReadPlainAsync(PipeReader source, CancellationToken cancel)
    {
        while (true)
        {
            ReadResult read = await source.ReadAsync(cancel);
            foreach (ReadOnlyMemory<byte> part in read.Buffer)
            {
                if (part.Length > limit - length)
                {
                    source.AdvanceTo(read.Buffer.End);
                    return BodyOutcome.TooLarge;
                }

                if (!TryGrow(part.Length))
                {
                    source.AdvanceTo(read.Buffer.End);
                    return BodyOutcome.Busy;
                }

                part.Span.CopyTo(buffer.AsSpan(length));
                length += part.Length;
            }

            source.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                Sent = length;
                return BodyOutcome.Complete;
            }
        }
    }

    private async Task<BodyOutcome> InflateAsync(PipeReader source, BodyCoding coding, CancellationToken cancel)
    {
        await using var packed = new TailStream(source.AsStream(leaveOpen: true));
        await using Stream plain = coding == BodyCoding.Gzip
            ? new GZipStream(packed, CompressionMode.Decompress, leaveOpen: true)
            : new ZLibStream(packed, CompressionMode.Decompress, leaveOpen: true);
        try
        {
            while (true)
            {
                if (length == limit)
                {
                    // Full to the last allowed byte: one more byte decides between complete and too large.
                    byte[] probe = new byte[1];
                    return await plain.ReadAsync(probe, cancel) == 0 ? Ended(packed, coding) : BodyOutcome.TooLarge;
                }

                if (!TryGrow(1))
                {
                    return BodyOutcome.Busy;
                }

                int room = Math.Min(buffer.Length, limit) - length;
                int read = await plain.ReadAsync(buffer.AsMemory(length, room), cancel);
                if (read == 0)
                {
                    return Ended(packed, coding);
                }

                length += read;
                if (length > FreeInflation && length > packed.Length * MaxRatio)
                {
                    return BodyOutcome.TooLarge;
                }
            }
        }
        catch (InvalidDataException)
        {
            return BodyOutcome.Undecodable;
        }
    }

    /// <summary>
    /// .NET's inflating streams take a body that was cut off for one that ended; its trailer says whether it did. A gzip body of several
    /// members, which no exporter sends, does not pass.
    /// </summary>
    private BodyOutcome Ended(TailStream packed, BodyCoding coding)
    {
        Sent = packed.Length;
        bool whole = packed.Length == 0
            || (coding == BodyCoding.Gzip
                ? packed.Length >= GzipFrameBytes && BinaryPrimitives.ReadUInt32LittleEndian(packed.Tail[4..]) == (uint)length
                : packed.Length >= ZlibFrameBytes && BinaryPrimitives.ReadUInt32BigEndian(packed.Tail[4..]) == Adler32(Bytes));
        return whole ? BodyOutcome.Complete : BodyOutcome.Undecodable;
    }

    // RFC 1950, 8.2. 5,552 bytes are the most whose sums cannot overflow 32 bits.
    private static uint Adler32(ReadOnlySpan<byte> bytes)
    {
        const uint modulus = 65_521;
        const int stretch = 5_552;
        uint a = 1, b = 0;
        while (!bytes.IsEmpty)
        {
            ReadOnlySpan<byte> part = bytes[..Math.Min(stretch, bytes.Length)];
            foreach (byte value in part)
            {
                a += value;
                b += a;
            }

            a %= modulus;
            b %= modulus;
            bytes = bytes[part.Length..];
        }

        return (b << 16) | a;
    }

    private bool TryGrow(int more)
    {
        int needed = length + more;
        if (needed <= buffer.Length)
        {
            return true;
        }

        int size = (int)Math.Min(Math.Max(Math.Max(needed, FirstBytes), buffer.Length * 2L), Math.Max(limit, needed));
        if (!budget.TryReserve((size * Copies) - reserved))
        {
            return false;
        }

        reserved = size * Copies;
        byte[] larger = ArrayPool<byte>.Shared.Rent(size);
        Bytes.CopyTo(larger);
        Return();
        buffer = larger;
        return true;
    }

    private void Return()
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = [];
        }
    }

    public void Dispose()
    {
        Return();
        length = 0;
        budget.Release(reserved);
        reserved = 0;
    }
}

/// <summary>Passes a stream through and remembers how long it was and its last eight bytes.</summary>
internal sealed class TailStream(Stream source) : Stream
{
    private readonly byte[] tail = new byte[8];
    private long length;

    /// <summary>The last eight bytes that were read; zeros stand for what never came.</summary>
    public ReadOnlySpan<byte> Tail => tail;

    public override long Length => length;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Position
    {
        get => length;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read = await source.ReadAsync(buffer, cancellationToken);
        Remember(buffer.Span[..read]);
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Bodies are read asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private void Remember(ReadOnlySpan<byte> bytes)
    {
        length += bytes.Length;
        if (bytes.Length >= tail.Length)
        {
            bytes[^tail.Length..].CopyTo(tail);
            return;
        }

        tail.AsSpan(bytes.Length).CopyTo(tail);
        bytes.CopyTo(tail.AsSpan(tail.Length - bytes.Length));
    }
}
