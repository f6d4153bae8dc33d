using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// One pass over the segments: LJ-1 and schema of every line, numbering, chain, root and signatures at every checkpoint, epochs. Used by
/// the verifier, which reports all it finds, and by the log at start, which refuses on the first thing that is not a torn tail. Never
/// writes. Memory does not grow with the ledger, except by counters per scope and source and one key per epoch, each up to a limit.
/// </summary>
/// <remarks>
/// What a line says by itself (LJ-1, schema, leaf hash, a likely signature) is read ahead on other threads (<see cref="SegmentChunks"/>);
/// everything that depends on what came before happens here, line after line. A group is settled at its checkpoint line when its lines have the
/// root that stands there; else when the entry after it is known, because that one says which hash the group's last line had. How damage is
/// passed is docs/ledger-format.md, section 9, "After damage".
/// </remarks>
internal sealed partial class LedgerPass(LedgerFolder folder)
{
    public LedgerPass(string directory)
        : this(new DirectoryFolder(directory))
    {
    }

    internal const int NotSeekable = 29, LinkFound = 40; // ESPIPE, ELOOP

    private readonly Lj1Parser parser = new(); // for the lines of type ledger.*, which are read again here
    private readonly byte[] last = new byte[32]; // hash of the newest entry
    private bool lastKnown = true;
    private LineGroup group = new(), spare = new();
    private LineGroup? closed; // waits for the entry after it
    private long size, batch; // entries so far; number of the open group
    private long losses; // malformed lines and gaps so far
    private int unread; // malformed lines since the last good line
    private bool unreadEpoch; // and whether there was one since the last good entry
    private bool incomplete; // the last line has no line feed
    private bool segmentMissing;
    private int batchSlack; // malformed lines before the newest checkpoint line: one of them may have been another
    private bool changedBefore; // the group that was just settled has lines that were changed
    private bool unplaced; // a withheld line followed a malformed one
    private string segment = "";
    private LineChunk?[] ring = [];
    private LineChunk chunk = null!;
    private int at; // the current line in the chunk
    private long lineNumber, totalBytes;
    private LinePlace here; // of the current line
    private readonly ScopeCounters scopes = new();
    private bool scopesFromAnywhere; // the beginning of the ledger is not here

    public FindingList Findings { get; } = new();

    /// <summary>Threads that parse ahead of this one, 0 or more; a short segment needs none.</summary>
    public int Ahead { get; init; } = Math.Min(Environment.ProcessorCount, 12);

    /// <summary>
    /// The lines are a part of a ledger: some entries are withheld and only their hashes are there. The chain goes through them; their
    /// members cannot be checked, and sources are not counted. Set before <see cref="StartAt(PartStart)"/> where the part does not begin at 0.
    /// </summary>
    public bool AllowWithheld { get; init; }

    /// <summary>Test seam: small chunks make a small ledger take every turn that a large one takes.</summary>
    public int ChunkBytes { get; init; } = SegmentChunks.DefaultBytes;

    /// <summary>Entries covered by the last valid checkpoint line, and its root.</summary>
    public long Size => valid.Size;

    public byte[] Root => valid.Root;

    /// <summary>Entries that stand in the files, confirmed or not, without a torn tail.</summary>
    public long Seen => size;

    /// <summary>Some of a segment could not be read: how many entries there are is not known.</summary>
    public bool Unreadable { get; private set; }

    public string? FirstTime { get; private set; }

    public string? LastTime { get; private set; }

    public byte[] GenesisHash { get; private set; } = [];

    /// <summary>The tail that a crash left behind, or null.</summary>
    public TornTail? Torn { get; private set; }

    /// <summary>True when roots could not be recomputed any more from some line on.</summary>
    public bool TreeLost => treeLost;

    /// <summary>Called for each checkpoint line whose signatures are valid: size and root that were signed.</summary>
    public Action<long, byte[]>? OnSigned { get; set; }

    /// <summary>During <see cref="OnSigned"/>: the key that signed, of a rotation the new one.</summary>
    public NoteKey? Signer { get; private set; }

    /// <summary>Told how far the pass is, once per chunk.</summary>
    public IProgress<VerifyProgress>? Progress { get; set; }

    /// <summary>Entries of which only the hash is there.</summary>
    public long Withheld { get; private set; }

    /// <summary>Bytes of the segments read.</summary>
    public long Bytes { get; private set; }

    /// <summary>State just after the last valid checkpoint line: where the log goes on.</summary>
    internal ValidPoint Valid => valid;

    private readonly ValidPoint valid = new();

    internal sealed class ValidPoint
    {
        public string Segment = "";
        public long Offset, Size, Batch, Epoch = 1;
        public byte[] Root = Merkle.EmptyRoot;
        public readonly byte[] Previous = new byte[32];
        public readonly MerkleFrontier Frontier = new();
    }

    public sealed record EpochSummary(long Number, long FirstSeq, string Custody, string PublicKey, string Reason)
    {
        /// <summary>How well the old key is gone after a rotation (docs/ledger-format.md section 6).</summary>
        public string Level => LedgerFormat.CustodyLevel(Custody);
    }

    internal IReadOnlyDictionary<string, long> ScopeSeq => scopes.ToDictionary();

    /// <summary>Starts in the middle instead of at entry 0. The caller has checked that all of this belongs to a signed head.</summary>
    public void StartAt(LedgerResume hint, MerkleFrontier frontier, string origin, NoteKey identity, long epoch, NoteKey epochKey, SegmentName first, long offset)
    {
        NameOrigin(origin);
        Identity = identity;
        EpochKeys[epoch] = epochKey;
        (Epoch, size, batch) = (epoch, hint.Size, hint.NextBatch);
        tree.CopyFrom(frontier);
        Convert.FromHexString(hint.LastEntryHash.AsSpan(LedgerFormat.HashPrefix.Length), last, out _, out _);
        foreach (var (scope, next) in hint.ScopeSeq)
        {
            scopes.Set(scope, next);
        }

        (sources, incarnationNumber, resumed) = (null, -1, true);
        group.Begin(size);
        Snapshot(first.Name, offset, hint.Root);
    }

    /// <summary>
    /// Starts in front of the first entry of a part that does not begin at 0. The caller has checked that all of this belongs to the signed
    /// head that the part rests on. The first segment is the one named <see cref="PartStart.From"/>.
    /// </summary>
    public void StartAt(PartStart part)
    {
        NameOrigin(part.Origin);
        Identity = part.Identity;
        GenesisHash = part.GenesisHash;
        foreach (var (epoch, key) in part.EpochKeys)
        {
            EpochKeys[epoch] = key;
        }

        Epochs.AddRange(part.Epochs);
        (Epoch, epochStart, epochEntries, epochMillis) = (part.Epoch, part.EpochFirstSeq, part.EpochEntries, part.EpochMillis);
        (epochBoot, epochBootMono) = (part.EpochBoot, part.EpochMono);
        (size, batch) = (part.From, part.Batch);
        (scopesFromAnywhere, sources, incarnationNumber) = (true, null, -1); // a scope counts on from the first entry of it that is shown
        tree.CopyFrom(part.Left);
        part.PreviousHash.CopyTo(last, 0);
        group.Begin(size);
        Snapshot("", 0, tree.Root());
    }

    /// <summary>Reads the segments in order. <paramref name="firstOffset"/> applies to the first one only (see <see cref="StartAt(PartStart)"/>).</summary>
    public void Run(IReadOnlyList<SegmentName> segments, long firstOffset = 0, CancellationToken cancellation = default)
    {
        sources = AllowWithheld ? null : sources;
        ring = new LineChunk?[Ahead == 0 ? 1 : Ahead + 2];
        totalBytes = Progress is null ? 0 : segments.Sum(s => folder.LengthOf(s.Name));
        for (int i = 0; i < segments.Count && Torn is null; i++)
        {
            ReadSegment(segments[i], i == 0 ? firstOffset : 0, i + 1 == segments.Count, cancellation);
        }

        if (group.Count > 0)
        {
            Close(null);
        }

        Settle();
        size += unread - (incomplete ? 1 : 0);
        if (sources is not null && !Findings.Any(static f => f.Code >= Verdict.RolledBack))
        {
            sources.Report(Findings); // else a missing number may be one of the entries that were damaged
        }

        if (scopes.Full)
        {
            Findings.Add(new Finding(Verdict.Incomplete, $"more than {ScopeCounters.MaxScopes} scopes: scope_seq was not checked in those beyond."));
        }
    }

    private void ReadSegment(SegmentName name, long offset, bool isLast, CancellationToken cancellation)
    {
        (segment, lineNumber) = (name.Name, 0);
        if (!name.Plain)
        {
            SkipSegment(); // the listing reported it
            return;
        }

        Find(name.First, offset);
        try
        {
            using var file = folder.Open(name.Name).Frozen(); // a writer may append meanwhile
            long tail = isLast ? TornTail.Start(file, offset) : -1;
            if (tail == offset && IsTorn(file, tail))
            {
                return;
            }

            using var lines = new SegmentChunks(ring, file, offset, ChunkBytes) { AllowWithheld = AllowWithheld };
            while (lines.Next(EpochKeys.GetValueOrDefault(Epoch)) is { } next)
            {
                cancellation.ThrowIfCancellationRequested();
                chunk = next;
                do
                {
                    for (at = 0; at < chunk.Count; at++)
                    {
                        ref readonly var line = ref chunk[at];
                        here = new LinePlace(segment, ++lineNumber, line.Offset, line.End);
                        ReadLine(line);
                        if (line.End == tail && IsTorn(file, tail))
                        {
                            Bytes += tail - offset;
                            return;
                        }
                    }
                }
                while (chunk.NextRound());
                Progress?.Report(new VerifyProgress(size, Bytes + lines.Passed, totalBytes));
            }

            Bytes += lines.End - offset;
            if (lines.End > lines.Rest)
            {
                here = new LinePlace(segment, ++lineNumber, lines.Rest, lines.End);
                Malformed("the segment ends inside a line that no group of this ledger can begin with.");
                incomplete = true;
            }

            EndSegment();
        }
        catch (PosixException e) when (e.Errno is NotSeekable or LinkFound)
        {
            Findings.Add(new Finding(Verdict.Malformed, $"{name.Name} is a link or a special file where a plain one is needed.", name.Name));
            SkipSegment();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Findings.Add(new Finding(Verdict.Incomplete, $"{name.Name} could not be read: {e.Message}", name.Name));
            SkipSegment();
        }
    }

    /// <summary>Whether what follows the offset, to the end of the last segment, is what a crash can leave there.</summary>
    private bool IsTorn(FileWindow file, long offset)
    {
        long length = file.Length - offset;
        byte[] tail = new byte[length <= TornTail.MaxBytes ? length : 0];
        if (tail.Length == 0 || file.ReadAt(offset, tail) != tail.Length || TornTail.IsWhole(tail))
        {
            return false;
        }

        Settle();
        if (unread == 0 && group.IsEmpty && lastKnown
            && new TornTailCheck(Origin, size, batch, Epoch, [.. last], Identity, EpochKeys.GetValueOrDefault(Epoch), treeLost ? null : tree).IsTorn(tail, offset))
        {
            Torn = new TornTail(segment, offset, length);
        }

        return Torn is not null;
    }

    /// <summary>What the segment's name says of the entries before it.</summary>
    private void Find(long first, long offset)
    {
        if (offset > 0)
        {
            return;
        }

        if (skipped && first > size)
        {
            Lose(first); // what could not be read is reported; nothing is missing besides
        }
        else if (first != size && !(first > size && first - size <= 2L * unread))
        {
            string what = first > size ? $"entries {size}..{first - 1} are missing before segment {segment}." : $"segment {segment} overlaps what came before it: entry {size} was expected.";
            Findings.Add(new Finding(Verdict.Altered, what, segment, FromSeq: Math.Min(size, first), ToSeq: Math.Max(size, first) - 1));
        }

        segmentMissing = first > size;
        skipped = false;
    }

    private bool skipped; // the segment before could not be read

    private void SkipSegment() => Unreadable = skipped = true;

    /// <summary>Goes on at another number behind entries that nobody can read.</summary>
    private void Lose(long next)
    {
        if (group.Count > 0)
        {
            Close(null);
        }

        Settle();
        group.Begin(next);
        (size, lastKnown, batch, batchKnown) = (next, false, 0, false);
        (unread, unreadEpoch, treeLost) = (0, true, true);
        losses++;
        LoseTime();
    }

    private bool batchKnown = true; // the next entry tells the number of its group

    private void ReadLine(in LineRecord line)
    {
        incomplete = false;
        switch (line.Kind)
        {
            case LineKind.TooLong:
                Malformed($"the line is longer than {LedgerFormat.MaxLineBytes} bytes.");
                break;
            case LineKind.Malformed:
                Malformed(line.Failure!);
                break;
            case LineKind.Checkpoint:
                if (line.Note!.Note is null)
                {
                    Malformed($"checkpoint line: {line.Note.Failure}");
                }
                else
                {
                    ReadCheckpoint(line.Note);
                }

                break;
            case LineKind.Withheld:
                AddWithheld(chunk.Leaf(at));
                break;
            default:
                ReadEntry(line, chunk.Leaf(at), chunk.Claim(at));
                break;
        }
    }

    /// <summary>It stands for up to two lines; the next good line says how many entries and whether a checkpoint line was among them.</summary>
    private void Malformed(string why)
    {
        Findings.Add(LineGroup.About(here, Verdict.Malformed, why, size + unread, size + unread));
        group.Damaged = unreadEpoch = true;
        unread++;
        losses++;
        LoseTime();
    }

    private Finding AtLine(int code, string sentence, long fromSeq, long toSeq) => LineGroup.About(here, code, sentence, fromSeq, toSeq);
}
