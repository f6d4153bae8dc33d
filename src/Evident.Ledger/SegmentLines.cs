namespace Evident.Ledger;

/// <summary>
/// The lines of one segment, front to back, in one buffer of 256 KiB. A byte 0x00 is put in front of each line, over the line feed
/// before it, so that the leaf hash needs no copy. A line is valid until the next <see cref="Next"/>.
/// </summary>
internal sealed class SegmentLines : IDisposable
{
    private const int BufferBytes = 1 << 18;
    private readonly FileWindow file;
    private readonly byte[] buffer = new byte[BufferBytes];
    private int start = 1, end = 1;
    private long fileOffset;
    private long lineOffset;

    /// <param name="file">Disposed with this.</param>
    /// <param name="from">Byte offset of a line start.</param>
    public SegmentLines(FileWindow file, long from = 0)
    {
        this.file = file;
        fileOffset = lineOffset = from;
    }

    public long Length => file.Length;

    /// <summary>Byte offset of the current line.</summary>
    public long Offset { get; private set; }

    /// <summary>Bytes of the current line without its line feed.</summary>
    public long LineLength { get; private set; }

    /// <summary>False for the bytes after the last line feed.</summary>
    public bool Complete { get; private set; }

    /// <summary>The line is longer than the format allows; only its extent is known.</summary>
    public bool TooLong { get; private set; }

    /// <summary>0x00 and the line; empty when <see cref="TooLong"/>.</summary>
    public ReadOnlySpan<byte> Prefixed => TooLong ? default : buffer.AsSpan(current, (int)LineLength + 1);

    public ReadOnlySpan<byte> Line => TooLong ? default : Prefixed[1..];

    private int current;

    /// <summary>Moves to the next line; false at the end of the file.</summary>
    public bool Next()
    {
        int scanned = 0;
        while (true)
        {
            int feed = buffer.AsSpan(start + scanned, end - start - scanned).IndexOf((byte)'\n');
            if (feed >= 0)
            {
                return Take(scanned + feed, complete: true);
            }

            scanned = end - start;
            if (scanned > LedgerFormat.MaxLineBytes)
            {
                return SkipLong(scanned);
            }

            if (!Fill())
            {
                return scanned > 0 && Take(scanned, complete: false);
            }
        }
    }

    private bool Take(int length, bool complete)
    {
        TooLong = length > LedgerFormat.MaxLineBytes;
        Complete = complete;
        Offset = lineOffset;
        LineLength = length;
        current = start - 1;
        buffer[current] = 0;
        start += length + (complete ? 1 : 0);
        lineOffset += length + (complete ? 1 : 0);
        return true;
    }

    private bool SkipLong(long length)
    {
        TooLong = true;
        Offset = lineOffset;
        Complete = false;
        start = end;
        while (!Complete && Fill())
        {
            int feed = buffer.AsSpan(start, end - start).IndexOf((byte)'\n');
            Complete = feed >= 0;
            int used = Complete ? feed : end - start;
            length += used;
            start += used + (Complete ? 1 : 0);
        }

        LineLength = length;
        lineOffset += length + (Complete ? 1 : 0);
        return true;
    }

    private bool Fill()
    {
        if (start > 1)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer.AsSpan(1));
            end = 1 + end - start;
            start = 1;
        }

        int read = file.ReadAt(fileOffset, buffer.AsSpan(end));
        fileOffset += read;
        end += read;
        return read > 0;
    }

    public void Dispose() => file.Dispose();
}
