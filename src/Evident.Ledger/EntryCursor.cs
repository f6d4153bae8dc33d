namespace Evident.Ledger;

/// <summary>
/// The durable lines of a ledger from one entry on, over segment boundaries, without a copy: <see cref="Line"/> is valid until the next
/// call. Safe beside the writer: nothing at or beyond <c>end</c> is looked at. Trusts the segments' names; what it reads is checked by
/// whoever knows the root.
/// </summary>
internal sealed class EntryCursor : IDisposable
{
    private readonly LedgerFolder folder;
    private readonly IReadOnlyList<SegmentName> segments;
    private readonly long end;
    private int at;
    private long next;
    private SegmentLines? lines;

    /// <param name="folder">The ledger directory; stays the caller's.</param>
    /// <param name="from">The first entry.</param>
    /// <param name="end">One past the last entry; it must be durable.</param>
    public EntryCursor(LedgerFolder folder, long from, long end)
    {
        (this.folder, next, this.end) = (folder, from, end);
        segments = LedgerReader.Segments(folder);
        at = Math.Max(segments.Count - 1, 0);
        while (at > 0 && segments[at].First > from)
        {
            at--;
        }
    }

    /// <summary>The entries of a directory.</summary>
    public EntryCursor(string directory, long from, long end)
        : this(new DirectoryFolder(directory), from, end)
    {
    }

    /// <summary>Number of the current entry; of the one before when the line is a checkpoint line.</summary>
    public long Seq => next - 1;

    public bool IsCheckpoint { get; private set; }

    /// <summary>The segment that holds the current line.</summary>
    public SegmentName Segment => segments[at];

    /// <summary>0x00 and the line: what the leaf hash covers.</summary>
    public ReadOnlySpan<byte> Prefixed => lines!.Prefixed;

    public ReadOnlySpan<byte> Line => lines!.Line;

    /// <summary>Moves to the next entry; false behind the last one.</summary>
    /// <exception cref="LedgerStateException">The files do not hold the entries below <c>end</c>.</exception>
    public bool NextEntry()
    {
        while (next < end)
        {
            Advance();
            if (!IsCheckpoint)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Moves to the next line, checkpoint lines included; false behind the checkpoint line of size <c>end</c>, which must be there.</summary>
    /// <exception cref="LedgerStateException">The files do not hold the lines up to there.</exception>
    public bool NextLine()
    {
        if (IsCheckpoint && next == end)
        {
            return false;
        }

        Advance();
        return next <= end ? true : throw new LedgerStateException($"no group of the ledger in '{folder.Path}' ends with entry {end - 1}.");
    }

    private void Advance()
    {
        while (at < segments.Count)
        {
            if (lines is null)
            {
                long offset = next == segments[at].First ? 0 : LedgerReader.OffsetOf(folder, segments[at].Name, next);
                lines = new SegmentLines(folder.Open(segments[at].Name), offset);
            }

            if (lines.Next() && lines.Complete && !lines.TooLong)
            {
                IsCheckpoint = CheckpointLine.LooksLikeOne(lines.Line);
                next += IsCheckpoint ? 0 : 1;
                return;
            }

            lines.Dispose();
            lines = null;
            at++;
            if (at < segments.Count && segments[at].First != next)
            {
                break;
            }
        }

        throw new LedgerStateException($"entry {next} is not in '{folder.Path}', though {end} entries are durable. Run `evident verify`.");
    }

    public void Dispose() => lines?.Dispose();
}
