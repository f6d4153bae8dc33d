using System.Buffers;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// One pack with its wraps, open for appending. The durable lengths are what the last Sync left; everything beyond them belongs to the
/// batch in hand and is overwritten or cut when that fails.
/// </summary>
internal sealed class OpenPack : IDisposable
{
    private const int BufferBytes = 256 << 10;

    private readonly DurableFile pack;
    private readonly DurableFile wraps;
    private readonly byte[] bodies = ArrayPool<byte>.Shared.Rent(BufferBytes);
    private byte[] staged = ArrayPool<byte>.Shared.Rent(64 * WrapRecord.Bytes);
    private int bodiesFilled;
    private int stagedFilled;
    private long packEnd; // of the file, without the buffer
    private long durableWraps;

    private OpenPack(DurableFile pack, DurableFile wraps, long packEnd, long wrapsEnd)
    {
        this.pack = pack;
        this.wraps = wraps;
        this.packEnd = DurablePackLength = packEnd;
        durableWraps = wrapsEnd;
    }

    /// <summary>Appended to since the last Sync.</summary>
    public bool Touched { get; set; }

    /// <summary>Number of the last Sync that settled it.</summary>
    public long LastSync { get; set; }

    public long DurablePackLength { get; private set; }

    public long DurableWrapsLength => durableWraps;

    /// <summary>Opens or creates both files and cuts what a crash left half written at their ends.</summary>
    public static OpenPack Open(string directory, PackName name)
    {
        DurableFile pack = DurableFile.OpenAppend(name.Pack(directory));
        try
        {
            DurableFile wraps = DurableFile.OpenAppend(name.Wraps(directory));
            try
            {
                long wrapsLength = wraps.Length;
                long wrapsEnd = wrapsLength - wrapsLength % WrapRecord.Bytes;
                if (wrapsEnd != wrapsLength)
                {
                    wraps.Truncate(wrapsEnd);
                }

                return new OpenPack(pack, wraps, CutTornBody(pack, wraps, wrapsEnd), wrapsEnd);
            }
            catch
            {
                wraps.Dispose();
                throw;
            }
        }
        catch
        {
            pack.Dispose();
            throw;
        }
    }

    public void Append(ReadOnlySpan<byte> body, ReadOnlySpan<byte> wrap)
    {
        if (stagedFilled + WrapRecord.Bytes > staged.Length)
        {
            byte[] longer = ArrayPool<byte>.Shared.Rent(staged.Length * 2);
            staged.AsSpan(0, stagedFilled).CopyTo(longer);
            ArrayPool<byte>.Shared.Return(staged);
            staged = longer;
        }

        Span<byte> slot = staged.AsSpan(stagedFilled, WrapRecord.Bytes);
        wrap.CopyTo(slot);
        var record = new WrapRecord(slot);
        if (record.Kind == WrapKind.First)
        {
            record.PackOffset = packEnd + bodiesFilled; // another wrap of a body here keeps the place of the first
        }

        record.Finish();
        stagedFilled += WrapRecord.Bytes;

        if (body.IsEmpty)
        {
            return;
        }

        if (bodiesFilled + body.Length > BufferBytes)
        {
            FlushBodies();
        }

        if (body.Length > BufferBytes)
        {
            pack.WriteAt(packEnd, body);
            packEnd += body.Length;
            return;
        }

        body.CopyTo(bodies.AsSpan(bodiesFilled));
        bodiesFilled += body.Length;
    }

    public void FlushBodies()
    {
        pack.WriteAt(packEnd, bodies.AsSpan(0, bodiesFilled));
        packEnd += bodiesFilled;
        bodiesFilled = 0;
    }

    public void SyncBodies() => pack.SyncData();

    public void WriteWraps() => wraps.WriteAt(durableWraps, staged.AsSpan(0, stagedFilled));

    public void SyncWraps() => wraps.SyncData();

    /// <summary>After both syncs: this is the new durable state.</summary>
    public void Settle()
    {
        DurablePackLength = packEnd;
        durableWraps += stagedFilled;
        stagedFilled = 0;
        Touched = false;
    }

    public void RollBack()
    {
        bodiesFilled = stagedFilled = 0;
        packEnd = DurablePackLength;
        Touched = false;
        pack.Truncate(packEnd);
        wraps.Truncate(durableWraps);
    }

    public void Dispose()
    {
        pack.Dispose();
        wraps.Dispose();
        ArrayPool<byte>.Shared.Return(bodies);
        ArrayPool<byte>.Shared.Return(staged);
    }

    /// <summary>
    /// Where the next body goes. First wraps stand in pack order, so beyond the end of the last one nothing is alive: complete bodies there
    /// are orphans and stay, a torn rest is cut. If the last wraps are damaged, that end is not known and nothing is cut at all.
    /// </summary>
    private static long CutTornBody(DurableFile pack, DurableFile wraps, long wrapsEnd)
    {
        long packLength = pack.Length;
        long at = 0;
        Span<byte> bytes = stackalloc byte[WrapRecord.Bytes];
        for (long offset = wrapsEnd - WrapRecord.Bytes; offset >= 0; offset -= WrapRecord.Bytes)
        {
            wraps.ReadAt(offset, bytes);
            var record = new WrapRecord(bytes);
            if (!record.IsWhole)
            {
                return packLength;
            }

            if (record.Kind == WrapKind.First)
            {
                at = record.PackEnd;
                break;
            }
        }

        if (at > packLength)
        {
            return packLength; // shorter than its wraps say: not a crash; reads of the missing bodies report it
        }

        at = PackWalk.Orphans(pack, at, packLength, out _);
        if (at < packLength)
        {
            pack.Truncate(at);
        }

        return at;
    }
}

/// <summary>Steps from header to header through bodies that no wrap leads to.</summary>
internal static class PackWalk
{
    /// <summary>Counts complete bodies in [from, to); returns the end of the last one.</summary>
    public static long Orphans(DurableFile pack, long from, long to, out long count)
    {
        count = 0;
        Span<byte> header = stackalloc byte[PackRecord.HeaderBytes];
        while (to - from >= PackRecord.HeaderBytes && pack.ReadAt(from, header) == header.Length
            && PackRecord.TryReadHeader(header, out int length) && length <= to - from - PackRecord.HeaderBytes)
        {
            from += PackRecord.HeaderBytes + length;
            count++;
        }

        return from;
    }
}
