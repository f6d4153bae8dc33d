namespace Evident.Ledger;

/// <summary>
/// The lines of one segment, front to back, as chunks. Reads ahead and lets pool threads parse what was read while the consumer works
/// on the chunk before; a file of one chunk is read and parsed in place. What is appended after its end was reached is not seen.
/// </summary>
internal sealed class SegmentChunks : IDisposable
{
    public const int DefaultBytes = 1 << 19;
    private readonly int chunkBytes;
    private readonly FileWindow file;
    private readonly LineChunk?[] ring;
    private int oldest, filled; // chunks ring[oldest .. oldest + filled - 1], the oldest one with the consumer
    private int queued; // of those, how many the pool knows of
    private readonly long start;
    private long offset;
    private bool ended, handedOut;
    private IOException? broken;

    /// <param name="ring">Places for chunks, made when needed and used again: with one place everything happens on the caller's thread, with more
    /// as many less one are parsed ahead.</param>
    /// <param name="file">Disposed with this.</param>
    /// <param name="from">Byte offset of a line start.</param>
    /// <param name="bytes">Most that one chunk holds.</param>
    public SegmentChunks(LineChunk?[] ring, FileWindow file, long from, int bytes = DefaultBytes)
    {
        (this.ring, chunkBytes) = (ring, Math.Max(bytes, LedgerFormat.MaxLineBytes + 1));
        this.file = file;
        offset = start = End = from;
    }

    /// <summary>See <see cref="LineChunk.AllowWithheld"/>.</summary>
    public bool AllowWithheld { get; init; }

    /// <summary>Where the file ended when its end was read.</summary>
    public long End { get; private set; }

    /// <summary>Bytes read so far.</summary>
    public long Passed => End - start;

    /// <summary>At the end: where the bytes after the last line feed begin, up to <see cref="End"/>.</summary>
    public long Rest => offset;

    /// <summary>The next chunk, parsed; null at the end. The one before is given back.</summary>
    /// <param name="key">Given to chunks that are read now (<see cref="LineChunk.Key"/>).</param>
    /// <exception cref="IOException">The file cannot be read from here on; everything before was handed out.</exception>
    public LineChunk? Next(NoteKey? key)
    {
        if (handedOut)
        {
            (oldest, filled, queued, handedOut) = ((oldest + 1) % ring.Length, filled - 1, Math.Max(queued - 1, 0), false);
        }

        while (!ended && filled < ring.Length)
        {
            var chunk = ring[(oldest + filled) % ring.Length] ??= new LineChunk();
            (chunk.Key, chunk.AllowWithheld) = (key, AllowWithheld);
            if (!Read(chunk))
            {
                break;
            }

            filled++;
        }

        if (filled == 0)
        {
            return broken is null ? null : throw broken;
        }

        for (queued = Math.Max(queued, 1); queued < filled; queued++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(ring[(oldest + queued) % ring.Length]!, preferLocal: false);
        }

        handedOut = true;
        ring[oldest]!.Finish();
        return ring[oldest];
    }

    private bool Read(LineChunk chunk)
    {
        try
        {
            long left = Math.Max(file.Length - offset, 0);
            int room = (int)Math.Clamp(left + 1, LedgerFormat.MaxLineBytes + 1, chunkBytes);
            var bytes = chunk.Room(room);
            int read = file.ReadAt(offset, bytes);
            int whole = bytes[..read].LastIndexOf((byte)'\n') + 1;
            ended = read < room;
            End = offset + read;
            if (whole == 0 && read > LedgerFormat.MaxLineBytes)
            {
                return ReadTooLong(chunk);
            }

            chunk.Fill(offset, whole);
            offset += whole;
            return whole > 0; // else the file ends here, or inside a line
        }
        catch (IOException e)
        {
            (broken, ended) = (e, true);
            return false;
        }
    }

    /// <summary>No line feed in more bytes than a line may have: looks for the next one and hands out the extent alone.</summary>
    private bool ReadTooLong(LineChunk chunk)
    {
        long next = offset;
        while (true)
        {
            var bytes = chunk.Room(chunkBytes);
            int read = file.ReadAt(next, bytes);
            int feed = bytes[..read].IndexOf((byte)'\n');
            End = next + read;
            if (feed >= 0)
            {
                chunk.FillTooLong(offset, next + feed - offset);
                offset = next + feed + 1;
                ended = false;
                return true;
            }

            next += read;
            if (read < bytes.Length)
            {
                ended = true;
                return false;
            }
        }
    }

    public void Dispose()
    {
        for (int i = 0; i < filled; i++)
        {
            ring[(oldest + i) % ring.Length]!.Abandon();
        }

        file.Dispose();
    }
}
