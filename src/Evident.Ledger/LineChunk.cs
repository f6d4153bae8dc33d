using System.Buffers.Binary;
using System.Runtime.ExceptionServices;

namespace Evident.Ledger;

/// <summary>
/// Some whole lines of one segment and what was read from them. Filled by the thread that reads the file, then parsed once, by a pool
/// thread or by whoever needs it first; from then on only the consumer touches it, until it is filled again.
/// </summary>
internal sealed class LineChunk : IThreadPoolWorkItem
{
    /// <summary>More lines than this are parsed in several rounds: a file of empty lines must not cost a record a byte.</summary>
    private const int MaxRecords = 1_024;

    private const int Idle = 0, Waiting = 1, Taken = 2, Done = 3;

    private readonly Lj1Parser parser = new();
    private readonly KnownShapes shapes = new();
    private EntryMembers members;
    private byte[] buffer = [];
    private LineRecord[] records = new LineRecord[16];
    private byte[] leaves = new byte[16 * 32];
    private byte[] claims = new byte[16 * 32];
    private int at, end; // what is not parsed yet
    private long offset; // in the file, of buffer[1]
    private int state;
    private ExceptionDispatchInfo? failure;

    /// <summary>Lines read in this round.</summary>
    public int Count { get; private set; }

    /// <summary>The key that the next checkpoint lines are probably signed with.</summary>
    public NoteKey? Key { get; set; }

    /// <summary>Lines may be withheld (<see cref="WithheldLine"/>); else such a line is malformed.</summary>
    public bool AllowWithheld { get; set; }

    public ref readonly LineRecord this[int i] => ref records[i];

    public ReadOnlySpan<byte> Line(int i) => records[i].Kind == LineKind.TooLong ? default : buffer.AsSpan(records[i].Start, records[i].Length);

    public ReadOnlySpan<byte> Leaf(int i) => leaves.AsSpan(i * 32, 32);

    public ReadOnlySpan<byte> Claim(int i) => claims.AsSpan(i * 32, 32);

    public ReadOnlySpan<byte> Recorded(int i) => buffer.AsSpan(records[i].Recorded, 24);

    public ReadOnlySpan<byte> Workspace(int i) => buffer.AsSpan(records[i].Workspace, records[i].WorkspaceLength);

    public ReadOnlySpan<byte> Src(int i) => buffer.AsSpan(records[i].Src, records[i].SrcLength);

    /// <summary>Room for file bytes, behind one that the first line's leaf hash needs.</summary>
    public Span<byte> Room(int bytes)
    {
        if (buffer.Length < bytes + 1)
        {
            buffer = new byte[bytes + 1];
        }

        return buffer.AsSpan(1, bytes);
    }

    /// <param name="fileOffset">Of the first byte of <see cref="Room"/>.</param>
    /// <param name="whole">Bytes up to and with the last line feed.</param>
    public void Fill(long fileOffset, int whole)
    {
        (offset, at, end, Count, failure) = (fileOffset, 1, 1 + whole, 0, null);
        Volatile.Write(ref state, Waiting);
    }

    /// <summary>A single line that is longer than the format allows; none of its bytes are kept.</summary>
    public void FillTooLong(long fileOffset, long length)
    {
        Fill(fileOffset, 0);
        records[0] = new LineRecord { Kind = LineKind.TooLong, Offset = fileOffset, End = fileOffset + length + 1 };
        Count = 1;
        state = Done;
    }

    /// <summary>Pool thread: parses the chunk unless somebody else has begun to.</summary>
    public void Execute()
    {
        if (Interlocked.CompareExchange(ref state, Taken, Waiting) != Waiting)
        {
            return;
        }

        try
        {
            ParseRound();
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e); // thrown again on the consumer's thread
        }

        lock (parser)
        {
            state = Done;
            Monitor.PulseAll(parser);
        }
    }

    /// <summary>Consumer: returns when the first round is parsed, doing it here if nobody has begun.</summary>
    public void Finish()
    {
        if (Interlocked.CompareExchange(ref state, Taken, Waiting) == Waiting)
        {
            try
            {
                ParseRound();
            }
            finally
            {
                state = Done; // whoever gives the chunk up does not wait for a thread that has failed
            }

            return;
        }

        lock (parser)
        {
            while (state != Done)
            {
                Monitor.Wait(parser);
            }
        }

        failure?.Throw();
    }

    /// <summary>Nobody wants the lines any more: returns when no thread touches them.</summary>
    public void Abandon()
    {
        if (Interlocked.CompareExchange(ref state, Idle, Waiting) == Taken)
        {
            lock (parser)
            {
                while (state != Done)
                {
                    Monitor.Wait(parser);
                }
            }
        }
    }

    /// <summary>Consumer: the lines that did not fit into the round before; false when there are none.</summary>
    public bool NextRound()
    {
        if (at == end)
        {
            return false;
        }

        ParseRound();
        return true;
    }

    private void ParseRound()
    {
        Count = 0;
        while (at < end && Count < MaxRecords)
        {
            int length = buffer.AsSpan(at, end - at).IndexOf((byte)'\n');
            if (Count == records.Length)
            {
                Array.Resize(ref records, records.Length * 2);
                Array.Resize(ref leaves, leaves.Length * 2);
                Array.Resize(ref claims, claims.Length * 2);
            }

            buffer[at - 1] = 0; // over the line feed before: the leaf hash needs no copy
            ref var record = ref records[Count];
            (record.Kind, record.OfLedger, record.HasScope, record.SrcSeq, record.Failure, record.Note) = (LineKind.Entry, false, false, -1, null, null);
            (record.Start, record.Length, record.Offset, record.End) = (at, length, offset + at - 1, offset + at + length);
            Read(ref record, buffer.AsSpan(at, length));
            Count++;
            at += length + 1;
        }
    }

    private void Read(ref LineRecord record, ReadOnlySpan<byte> line)
    {
        if (line.Length > LedgerFormat.MaxLineBytes)
        {
            record.Kind = LineKind.TooLong;
            return;
        }

        if (CheckpointLine.LooksLikeOne(line))
        {
            record.Kind = LineKind.Checkpoint;
            record.Note = NoteRecord.Read(line, parser, Key);
            return;
        }

        if (AllowWithheld && WithheldLine.TryRead(line, leaves.AsSpan(Count * 32, 32)))
        {
            record.Kind = LineKind.Withheld;
            return;
        }

        Merkle.LeafOfPrefixed(buffer.AsSpan(record.Start - 1, line.Length + 1), leaves.AsSpan(Count * 32, 32));
        var type = shapes.Read(line, ref members);
        if (type is null)
        {
            var error = parser.Parse(line);
            record.Failure = error != Lj1Error.None ? $"the line is not LJ-1 ({error})." : EntrySchema.Check(line, parser);
            if (record.Failure is not null)
            {
                record.Kind = LineKind.Malformed;
                return;
            }

            type = EntrySchema.Find(parser.Text(line, "type"u8))!;
            shapes.Learn(line, parser.Nodes, type);
            members = EntryMembers.In(line, parser.Nodes);
        }

        record.OfLedger = type.OfLedger;
        TakeMembers(ref record, line);
    }

    /// <summary>What the place of the entry in the ledger is judged by; the schema has checked the forms.</summary>
    private void TakeMembers(ref LineRecord record, ReadOnlySpan<byte> line)
    {
        record.Batch = members.Of(EntryMember.Batch).Integer;
        record.Boot = BinaryPrimitives.ReadUInt64BigEndian(line[members.Of(EntryMember.Boot).Start..]);
        record.Epoch = members.Of(EntryMember.Epoch).Integer;
        Hex.Decode(line.Slice(members.Of(EntryMember.Integrity).Start + LedgerFormat.HashPrefix.Length, 64), claims.AsSpan(Count * 32, 32));
        record.Log = Digits32.Parse(line.Slice(members.Of(EntryMember.Log).Start + members.Of(EntryMember.Log).Length - 32, 32));
        record.Mono = members.Of(EntryMember.Mono).Integer;
        record.Recorded = record.Start + members.Of(EntryMember.Recorded).Start;
        record.Seq = members.Of(EntryMember.Seq).Integer;
        if (members.Of(EntryMember.Scope) is { Length: > 0 } scope)
        {
            (record.HasScope, record.Scope) = (true, Digits32.Parse(line.Slice(scope.Start, 32)));
            record.ScopeSeq = members.Of(EntryMember.ScopeSeq).Integer;
        }

        var (src, workspace, number) = (members.Of(EntryMember.Src), members.Of(EntryMember.Workspace), members.Of(EntryMember.SrcSeq));
        (record.Src, record.SrcLength) = (record.Start + src.Start, (byte)src.Length);
        (record.Workspace, record.WorkspaceLength) = (record.Start + workspace.Start, (byte)workspace.Length);
        record.SrcSeq = number.Length > 0 && src.Length > 0 ? number.Integer : -1; // without src it belongs to no stream
        if (record.SrcSeq >= 0)
        {
            bool asBefore = Count > 0 && records[Count - 1].SrcSeq >= 0 && Src(Count).SequenceEqual(Src(Count - 1)) && Workspace(Count).SequenceEqual(Workspace(Count - 1));
            record.SrcHash = asBefore ? records[Count - 1].SrcHash : StreamHash(Count);
        }
    }

    private int StreamHash(int i)
    {
        var hash = new HashCode();
        hash.AddBytes(Workspace(i));
        hash.AddBytes(Src(i));
        return hash.ToHashCode();
    }
}
