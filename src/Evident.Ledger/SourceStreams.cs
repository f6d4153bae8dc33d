using System.Text;

namespace Evident.Ledger;

/// <summary>
/// The numbers that senders stamped on their own records, per stream (workspace, src): which of those between the smallest and the
/// largest have not been seen. A stream is kept as the ranges that were seen; what cannot be kept within the limits is no longer counted
/// and said to be so (docs/ledger-format.md section 8, "Sources").
/// </summary>
internal sealed class SourceStreams
{
    public const int MaxStreams = 4_096, MaxGaps = 4_096;
    private const int MaxRanges = 500_000; // of all streams together: 16 MB
    private const int ListedGaps = 16; // of one stream

    /// <summary>Numbers [From, To] were seen; the entries that hold the two ends.</summary>
    private struct Range
    {
        public long From, To, FromSeq, ToSeq;
    }

    private struct Stamp
    {
        public int Stream;
        public long Number, Seq;
    }

    private sealed class Stream(byte[] name, int workspaceLength, int hash)
    {
        public readonly byte[] Name = name; // workspace, then src
        public readonly int WorkspaceLength = workspaceLength, Hash = hash;
        public Range[] Ranges = new Range[1];
        public int Count;
        public long StoppedAt = -1; // entry at which counting was given up
    }

    private readonly List<Stream> streams = [];
    private int[] table = new int[64]; // index + 1, open addressing, at most half full
    private Stamp[] open = new Stamp[64]; // of the group that is not confirmed yet
    private int openCount, ranges, recent = -1;
    private long leftOutAt = -1;

    /// <summary>Streams that were counted.</summary>
    public int Count => streams.Count;

    public void BeginGroup() => openCount = 0;

    /// <param name="hash">Of both names, seeded: it decides nothing but the place in the table.</param>
    public void Add(ReadOnlySpan<byte> workspace, ReadOnlySpan<byte> src, int hash, long number, long seq)
    {
        int stream = recent >= 0 && Is(streams[recent], workspace, src, hash) ? recent : Find(workspace, src, hash);
        if (stream < 0)
        {
            leftOutAt = leftOutAt < 0 ? seq : leftOutAt;
            return;
        }

        recent = stream;
        if (openCount == open.Length)
        {
            Array.Resize(ref open, open.Length * 2);
        }

        open[openCount++] = new Stamp { Stream = stream, Number = number, Seq = seq };
    }

    /// <summary>The open group was signed as it stands.</summary>
    public void Confirm()
    {
        for (int i = 0; i < openCount; i++)
        {
            Insert(streams[open[i].Stream], open[i].Number, open[i].Seq);
        }

        openCount = 0;
    }

    /// <summary>One note per gap, at the entry behind it; more than a few gaps of one stream are counted in one.</summary>
    public void Report(FindingList findings)
    {
        foreach (var stream in streams)
        {
            string name = Encoding.ASCII.GetString(stream.Name.AsSpan(stream.WorkspaceLength));
            string workspace = Encoding.ASCII.GetString(stream.Name.AsSpan(0, stream.WorkspaceLength));
            string of = workspace.Length > 0 ? $"source {name} in workspace {workspace}" : $"source {name}";
            if (stream.StoppedAt >= 0)
            {
                findings.Add(Note($"{of}: more than {MaxGaps} gaps were open; its numbers were counted no further.", stream.StoppedAt, stream.StoppedAt));
                continue;
            }

            for (int i = 1; i < stream.Count; i++)
            {
                ref readonly var below = ref stream.Ranges[i - 1];
                ref readonly var above = ref stream.Ranges[i];
                long from = Math.Min(below.ToSeq, above.FromSeq), to = Math.Max(below.ToSeq, above.FromSeq);
                if (i > ListedGaps)
                {
                    findings.Add(Note($"{of}: {stream.Count - i} more gaps up to number {stream.Ranges[stream.Count - 1].From - 1}.", from, stream.Ranges[stream.Count - 1].FromSeq));
                    break;
                }

                findings.Add(Note(
                    above.From - below.To == 2
                        ? $"{of}: the record with number {below.To + 1} is not in the ledger."
                        : $"{of}: the records with numbers {below.To + 1}..{above.From - 1} are not in the ledger.",
                    from, to));
            }
        }

        if (leftOutAt >= 0)
        {
            findings.Add(Note($"more than {MaxStreams} sources number their records; the numbers of further ones were not counted.", leftOutAt, leftOutAt));
        }
    }

    /// <summary>Open gaps of all streams that are counted.</summary>
    public long Gaps
    {
        get
        {
            long gaps = 0;
            foreach (var stream in streams)
            {
                gaps += Math.Max(stream.Count - 1, 0);
            }

            return gaps;
        }
    }

    private static Finding Note(string sentence, long from, long to) => new(Verdict.Notes, sentence, FromSeq: from, ToSeq: to);

    private void Insert(Stream stream, long number, long seq)
    {
        if (stream.StoppedAt >= 0)
        {
            return;
        }

        // The first range that begins above the number; almost always there is none.
        int high = stream.Count;
        if (high > 0 && stream.Ranges[high - 1].From > number)
        {
            int low = 0;
            while (low < high)
            {
                int middle = (low + high) / 2;
                (low, high) = stream.Ranges[middle].From > number ? (low, middle) : (middle + 1, high);
            }
        }

        bool joinsBelow = high > 0 && stream.Ranges[high - 1].To >= number - 1;
        bool joinsAbove = high < stream.Count && stream.Ranges[high].From == number + 1;
        if (joinsBelow && stream.Ranges[high - 1].To >= number)
        {
            return; // seen before
        }

        if (joinsBelow && joinsAbove)
        {
            ref readonly var above = ref stream.Ranges[high];
            (stream.Ranges[high - 1].To, stream.Ranges[high - 1].ToSeq) = (above.To, above.ToSeq);
            stream.Ranges.AsSpan(high + 1, stream.Count - high - 1).CopyTo(stream.Ranges.AsSpan(high));
            stream.Count--;
            ranges--;
        }
        else if (joinsBelow)
        {
            (stream.Ranges[high - 1].To, stream.Ranges[high - 1].ToSeq) = (number, seq);
        }
        else if (joinsAbove)
        {
            (stream.Ranges[high].From, stream.Ranges[high].FromSeq) = (number, seq);
        }
        else if (stream.Count > MaxGaps || ranges >= MaxRanges)
        {
            stream.StoppedAt = seq;
            ranges -= stream.Count;
            (stream.Ranges, stream.Count) = ([], 0);
        }
        else
        {
            if (stream.Count == stream.Ranges.Length)
            {
                Array.Resize(ref stream.Ranges, stream.Count * 2);
            }

            stream.Ranges.AsSpan(high, stream.Count - high).CopyTo(stream.Ranges.AsSpan(high + 1));
            stream.Ranges[high] = new Range { From = number, To = number, FromSeq = seq, ToSeq = seq };
            stream.Count++;
            ranges++;
        }
    }

    private static bool Is(Stream stream, ReadOnlySpan<byte> workspace, ReadOnlySpan<byte> src, int hash) =>
        stream.Hash == hash && stream.WorkspaceLength == workspace.Length && stream.Name.Length == workspace.Length + src.Length
        && workspace.SequenceEqual(stream.Name.AsSpan(0, workspace.Length)) && src.SequenceEqual(stream.Name.AsSpan(workspace.Length));

    private int Find(ReadOnlySpan<byte> workspace, ReadOnlySpan<byte> src, int hash)
    {
        int place = hash & (table.Length - 1);
        for (; table[place] > 0; place = (place + 1) & (table.Length - 1))
        {
            if (Is(streams[table[place] - 1], workspace, src, hash))
            {
                return table[place] - 1;
            }
        }

        if (streams.Count == MaxStreams)
        {
            return -1;
        }

        streams.Add(new Stream([.. workspace, .. src], workspace.Length, hash));
        table[place] = streams.Count;
        if (streams.Count * 2 > table.Length)
        {
            table = new int[table.Length * 2];
            for (int i = 0; i < streams.Count; i++)
            {
                int free = streams[i].Hash & (table.Length - 1);
                while (table[free] > 0)
                {
                    free = (free + 1) & (table.Length - 1);
                }

                table[free] = i + 1;
            }
        }

        return streams.Count - 1;
    }
}
