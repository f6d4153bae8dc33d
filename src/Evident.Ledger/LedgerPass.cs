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
/// everything that depends on what came before happens here, line after line.
/// Blame is put on the line that was changed, not on those that notice. A flaw of an entry is kept until its checkpoint: when the
/// signed root confirms the group, the flaws were signed and are reported as such; when it does not, the chain tells which lines differ
/// from what was signed, and only those are reported. What a malformed line makes impossible to check is not reported a second time.
/// </remarks>
internal sealed partial class LedgerPass(LedgerFolder folder)
{
    public LedgerPass(string directory)
        : this(new DirectoryFolder(directory))
    {
    }

    private const int NotSeekable = 29, LinkFound = 40; // ESPIPE, ELOOP

    private readonly Lj1Parser parser = new(); // for the lines of type ledger.*, which are read again here
    private readonly MerkleFrontier frontier = new();
    private readonly MerkleFrontier before = new();
    private readonly byte[] leaf = new byte[32];
    private readonly byte[] previous = new byte[32];
    private OpenGroup group = new();
    private OpenGroup spare = new();
    private OpenGroup? disputed;
    private byte[] disputedRoot = [];
    private long expectedSeq, expectedBatch;
    private bool previousKnown = true, lastMalformed, treeLost;
    private SegmentName segment = new("", 0);
    private LineChunk?[] ring = [];
    private LineChunk chunk = null!;
    private int at; // the current line in the chunk
    private long lineNumber, totalBytes;
    private ScopeCounters scopes = new();
    private ScopeCounters? scopesAtValid;
    private bool scopesUnsure;

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

    /// <summary>Origin of the ledger; empty until it is known.</summary>
    public string Origin { get; private set; } = "";

    private Digits32? originDigits; // null as well when it has not the form that an entry's log must have

    /// <summary>The identity key, once entry 0 is found to hold the key that the origin names.</summary>
    public NoteKey? Identity { get; private set; }

    /// <summary>Public keys of the epochs seen so far.</summary>
    public Dictionary<long, NoteKey> EpochKeys { get; } = [];

    public long Epoch { get; private set; } = 1;

    /// <summary>The newest 10,000 of them (27 years of days): what is older than that is checked as it is passed and not kept.</summary>
    public List<EpochSummary> Epochs { get; } = [];

    private const int MaxEpochs = 10_000;

    /// <summary>Entries covered by the last valid checkpoint line, and its root.</summary>
    public long Size => valid.Size;

    public byte[] Root => valid.Root;

    /// <summary>Entries that stand in the files, confirmed or not, without a torn tail; no limit when the last segment cannot be read.</summary>
    public long Seen => expectedSeq;

    public string? FirstTime { get; private set; }

    public string? LastTime { get; private set; }

    public byte[] GenesisHash { get; private set; } = [];

    /// <summary>The tail that a crash left behind, or null.</summary>
    public TornTail? Torn { get; private set; }

    /// <summary>True when roots could not be recomputed any more from some line on.</summary>
    public bool TreeLost => treeLost;

    /// <summary>Called for each checkpoint line whose signatures are valid: size and root that were signed.</summary>
    public Action<long, byte[]>? OnSigned { get; set; }

    /// <summary>Told how far the pass is, once per chunk.</summary>
    public IProgress<VerifyProgress>? Progress { get; set; }

    /// <summary>Entries of which only the hash is there.</summary>
    public long Withheld { get; private set; }

    /// <summary>Bytes of the segments read.</summary>
    public long Bytes { get; private set; }

    /// <summary>State just after the last valid checkpoint line: where a torn tail starts and where the log goes on.</summary>
    private ValidPoint valid = new();

    internal sealed class ValidPoint
    {
        public string Segment = "";
        public long Offset, Size, Batch, Epoch = 1;
        public bool TreeLost;
        public byte[] Root = Merkle.EmptyRoot, Previous = new byte[32];
        public readonly MerkleFrontier Frontier = new();
        public FindingList.Mark Findings;
    }

    public sealed record EpochSummary(long Number, long FirstSeq, string Custody, string PublicKey, string Reason)
    {
        /// <summary>How well the old key is gone after a rotation (docs/ledger-format.md section 6).</summary>
        public string Level => LedgerFormat.CustodyLevel(Custody);
    }

    private long startedAt = -1; // first entry, when the pass began in the middle

    internal ValidPoint Valid => valid;

    internal IReadOnlyDictionary<string, long> ScopeSeq => scopes.ToDictionary();

    /// <summary>Starts in the middle instead of at entry 0. The caller has checked that all of this belongs to a signed head.</summary>
    public void StartAt(LedgerResume hint, MerkleFrontier tree, string origin, NoteKey identity, long epoch, NoteKey epochKey, SegmentName at, long offset)
    {
        NameOrigin(origin);
        Identity = identity;
        EpochKeys[epoch] = epochKey;
        (Epoch, expectedSeq, expectedBatch) = (epoch, hint.Size, hint.NextBatch);
        frontier.CopyFrom(tree);
        Convert.FromHexString(hint.LastEntryHash.AsSpan(LedgerFormat.HashPrefix.Length), previous, out _, out _);
        foreach (var (scope, next) in hint.ScopeSeq)
        {
            scopes.Set(scope, next);
        }

        segment = at;
        (startedAt, sources, incarnationNumber) = (hint.Size, null, -1);
        Snapshot(at.Name, offset, hint.Root);
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
        (Epoch, epochFirstSeq, epochEntries, epochMillis) = (part.Epoch, part.EpochFirstSeq, part.EpochEntries, part.EpochMillis);
        (expectedSeq, expectedBatch, startedAt) = (part.From, part.Batch, part.From);
        (scopesUnsure, sources, incarnationNumber) = (true, null, -1); // a scope counts on from the first entry of it that is shown
        frontier.CopyFrom(part.Left);
        part.PreviousHash.CopyTo(previous, 0);
        Snapshot("", 0, frontier.Root());
    }

    /// <summary>Reads the segments in order. <paramref name="firstOffset"/> applies to the first one only (see <see cref="StartAt"/>).</summary>
    public void Run(IReadOnlyList<SegmentName> segments, long firstOffset = 0, CancellationToken cancellation = default)
    {
        sources = AllowWithheld ? null : sources;
        ring = new LineChunk?[Ahead == 0 ? 1 : Ahead + 2];
        totalBytes = Progress is null ? 0 : segments.Sum(s => folder.LengthOf(s.Name));
        for (int i = 0; i < segments.Count; i++)
        {
            ReadSegment(segments[i], i == 0 ? firstOffset : 0, i + 1 < segments.Count ? segments[i + 1].First : -1, cancellation);
        }

        SettleDisputed(null);
        if (sources is not null && !treeLost && !Findings.Any(f => f.Code >= Verdict.RolledBack))
        {
            sources.Report(Findings); // else a missing number may be one of the entries that were damaged
        }

        if (scopes.Full)
        {
            Findings.Add(new Finding(Verdict.Incomplete, $"more than {ScopeCounters.MaxScopes} scopes: scope_seq was not checked in those beyond."));
        }
    }

    private void ReadSegment(SegmentName name, long offset, long following, CancellationToken cancellation)
    {
        segment = name;
        lineNumber = 0;
        if (!name.Plain)
        {
            SkipSegment(following); // the listing reported it
            return;
        }

        if (offset == 0 && name.First != expectedSeq)
        {
            string what = name.First > expectedSeq
                ? $"entries {expectedSeq}..{name.First - 1} are missing before segment {name.Name}."
                : $"segment {name.Name} overlaps what came before it: entry {expectedSeq} was expected.";
            Findings.Add(new Finding(Verdict.Altered, what, name.Name, FromSeq: Math.Min(expectedSeq, name.First), ToSeq: Math.Max(expectedSeq, name.First) - 1));
            LoseTrack(name.First);
            epochsUnsure = true;
        }

        try
        {
            using var lines = new SegmentChunks(ring, folder.Open(name.Name), offset, ChunkBytes) { AllowWithheld = AllowWithheld };
            while (lines.Next(EpochKeys.GetValueOrDefault(Epoch)) is { } next)
            {
                cancellation.ThrowIfCancellationRequested();
                chunk = next;
                do
                {
                    for (at = 0; at < chunk.Count; at++)
                    {
                        lineNumber++;
                        ReadLine(chunk[at]);
                    }
                }
                while (chunk.NextRound());
                Progress?.Report(new VerifyProgress(expectedSeq, Bytes + lines.Passed, totalBytes));
            }

            Bytes += lines.End - offset;
            bool partial = lines.End > lines.Rest;
            lineNumber += partial ? 1 : 0;
            EndSegment(following, partial, lines.Rest, lines.End);
        }
        catch (PosixException e) when (e.Errno is NotSeekable or LinkFound)
        {
            Findings.Add(new Finding(Verdict.Malformed, $"{name.Name} is a link or a special file where a plain one is needed.", name.Name));
            SkipSegment(following);
        }
        catch (IOException e)
        {
            Findings.Add(new Finding(Verdict.Incomplete, $"{name.Name} could not be read: {e.Message}", name.Name));
            SkipSegment(following);
        }
        catch (UnauthorizedAccessException e)
        {
            Findings.Add(new Finding(Verdict.Incomplete, $"{name.Name} could not be read: {e.Message}", name.Name));
            SkipSegment(following);
        }
    }

    /// <summary>A segment cannot be read: that is reported, and what it would have held is not also called missing.</summary>
    private void SkipSegment(long following)
    {
        LoseTrack(following < 0 ? long.MaxValue : following);
        epochsUnsure = true;
    }

    private void ReadLine(in LineRecord line)
    {
        switch (line.Kind)
        {
            case LineKind.TooLong:
                AddMalformed(line, $"the line is longer than {LedgerFormat.MaxLineBytes} bytes.");
                treeLost = true;
                break;
            case LineKind.Checkpoint:
                ReadCheckpoint(line.Note!);
                break;
            case LineKind.Malformed:
                chunk.Leaf(at).CopyTo(leaf);
                AddMalformed(line, line.Failure!);
                break;
            case LineKind.Withheld:
                chunk.Leaf(at).CopyTo(leaf);
                AddWithheld(line);
                break;
            default:
                chunk.Leaf(at).CopyTo(leaf);
                ReadEntry(line);
                break;
        }
    }

    private void ReadEntry(in LineRecord line)
    {
        long seq = line.Seq, batch = line.Batch;
        var claim = chunk.Claim(at);
        if (disputed is not null)
        {
            SettleDisputed(claim.ToArray());
        }

        if (lastMalformed)
        {
            PassMalformed(seq, batch);
        }

        var flaw = EntryFlaw.None;
        bool chained = !previousKnown || claim.SequenceEqual(previous);
        if (seq != expectedSeq && previousKnown && chained)
        {
            flaw |= EntryFlaw.Seq; // in its place in the chain, but numbered otherwise
        }
        else if (seq != expectedSeq)
        {
            ReportGap(seq, batch);
        }
        else if (!chained && !lastMalformed)
        {
            flaw |= EntryFlaw.Chain;
        }

        lastMalformed = false;
        OpenGroupAt(expectedSeq);
        flaw |= Place(line);
        group.Add(leaf, claim, flaw, line.Offset, line.End);
        Pass();
    }

    /// <summary>An entry of a part of which only the hash is there: the chain and the tree go through it.</summary>
    private void AddWithheld(in LineRecord line)
    {
        SettleDisputed(null);
        if (lastMalformed)
        {
            (treeLost, expectedBatch, lastMalformed) = (true, -1, false); // nothing here says what the malformed line was
        }

        Withheld++;
        OpenGroupAt(expectedSeq);
        group.Add(leaf, default, EntryFlaw.Withheld | (expectedSeq == 0 ? EntryFlaw.Misplaced : EntryFlaw.None), line.Offset, line.End);
        Pass();
    }

    /// <summary>The entry in <see cref="leaf"/> has its place in the open group.</summary>
    private void Pass()
    {
        leaf.CopyTo(previous, 0);
        previousKnown = true;
        expectedSeq++;
        if (group.Count == LedgerFormat.MaxGroupEntries + 1)
        {
            Findings.Add(group.About(group.Count - 1, group.Count - 1, Verdict.Malformed, $"the group holds more than {LedgerFormat.MaxGroupEntries} entries."));
            CloseUnchecked();
            treeLost = true;
        }
    }

    /// <summary>Checks what the position demands and takes over what control entries say.</summary>
    private EntryFlaw Place(in LineRecord line)
    {
        var flaw = EntryFlaw.None;
        long batch = line.Batch, epoch = line.Epoch;
        if (batch != expectedBatch)
        {
            flaw |= expectedBatch >= 0 ? EntryFlaw.Batch : 0;
        }

        group.LastBatch = batch;
        ReadOnlySpan<byte> text = default, type = default;
        bool genesis = false, rotation = false;
        if (line.OfLedger)
        {
            text = chunk.Line(at);
            _ = parser.Parse(text);
            type = parser.Text(text, "type"u8);
            (genesis, rotation) = (type.SequenceEqual("ledger.genesis"u8), type.SequenceEqual("ledger.epoch"u8));
        }

        if (!genesis && Origin.Length > 0 && line.Log != originDigits)
        {
            flaw |= EntryFlaw.Log;
        }

        if (epochFloats)
        {
            (Epoch, epochFloats) = (rotation ? epoch - 1 : epoch, false); // after a gap: the entry says where we are
        }

        if (epoch != (rotation ? Epoch + 1 : Epoch))
        {
            flaw |= EntryFlaw.Epoch;
        }

        if (genesis)
        {
            flaw |= expectedSeq == 0 && group.Count == 0 ? TakeGenesis(text) : EntryFlaw.Misplaced;
        }
        else if (expectedSeq == 0 && group.Count == 0)
        {
            flaw |= EntryFlaw.Misplaced;
        }

        if (rotation)
        {
            int details = parser.Find(text, 0, "rotation"u8);
            group.RotationKey = Key(text, details, "epoch_key"u8);
            group.RotationReason = Member(text, details, "reason"u8);
            group.Custody = Member(text, details, "custody"u8);
            flaw |= group.Count > 0 ? EntryFlaw.Misplaced : 0;
        }
        else if (group.RotationKey is not null || group.HasGenesis && !genesis)
        {
            flaw |= EntryFlaw.Misplaced; // rotation and genesis stand alone in their groups
        }

        return flaw | Remember(line, text, type, expectedSeq);
    }

    private void AddMalformed(in LineRecord line, string failure)
    {
        var text = chunk.Line(at);
        bool entry = text.IndexOf("checkpoint"u8) < 0 && text.IndexOf("\u2014"u8) < 0;
        Findings.Add(AtLine(Verdict.Malformed, failure, entry ? expectedSeq : -1, entry ? expectedSeq : -1));
        SettleDisputed(null);
        OpenGroupAt(expectedSeq);
        group.Add(leaf, default, EntryFlaw.Malformed, line.Offset, line.End);
        leaf.CopyTo(previous, 0);
        lastMalformed = true;
        LoseScopes();
        LoseTime();
        expectedSeq++;
        if (group.Count > LedgerFormat.MaxGroupEntries)
        {
            CloseUnchecked();
            treeLost = true;
        }
    }

    /// <summary>
    /// A malformed line came before this valid entry: find out what it was (an entry, a checkpoint line, or two lines run together),
    /// so that the count goes on right and only that line is blamed.
    /// </summary>
    private void PassMalformed(long seq, long batch)
    {
        LoseScopes(); // an entry that was run into that line is not counted
        bool nextBatch = batch == expectedBatch + 1;
        if (seq == expectedSeq - 1 && nextBatch && group.Count > 0)
        {
            group.RemoveLast(); // it was the checkpoint line
            expectedSeq--;
            SettleOriginUnnoted();
            AdoptRotation(null, entryTrusted: true);
            CloseUnchecked();
        }
        else if (seq == expectedSeq - 1 && batch == expectedBatch && group.Count > 0)
        {
            group.RemoveLast(); // it was one line, cut in two
            expectedSeq--;
        }
        else if (seq == expectedSeq && nextBatch)
        {
            if (group.Count == 1)
            {
                (epochsUnsure, epochFloats) = (true, true); // it may have opened an epoch
            }

            CloseUnchecked(); // it was an entry and its checkpoint line
            treeLost = true;
        }
        else if (seq == expectedSeq + 1)
        {
            expectedSeq = seq; // it held this entry's predecessor as well
            group.SkipOne();
            treeLost = true;
        }
    }

    private void ReportGap(long seq, long batch)
    {
        string what = seq > expectedSeq
            ? $"entries {expectedSeq}..{seq - 1} are missing: entry {seq} follows."
            : $"entry {seq} stands where entry {expectedSeq} was expected: repeated or moved.";
        Findings.Add(AtLine(Verdict.Altered, what, Math.Min(seq, expectedSeq), Math.Max(seq, expectedSeq)));
        LoseTrack(seq);
        epochsUnsure |= lineNumber == 1; // whole segments are out of place: a rotation may be in one not seen yet
        expectedBatch = batch;
    }

    /// <summary>Goes on at another number: chain and tree cannot be continued from here.</summary>
    private void LoseTrack(long seq)
    {
        SettleDisputed(null);
        if (group.Count > 0)
        {
            CloseUnchecked();
        }

        treeLost = true;
        previousKnown = false;
        epochFloats = true;
        LoseScopes();
        LoseTime();
        expectedSeq = seq;
        expectedBatch = -1;
    }

    private void OpenGroupAt(long seq)
    {
        if (group.Count == 0)
        {
            group.Start(segment.Name, seq, lineNumber);
            scopes.BeginGroup();
            sources?.BeginGroup();
        }
    }

    /// <param name="following">First sequence number of the next segment; -1 after the last one.</param>
    /// <param name="partial">The segment ends without a line feed.</param>
    /// <param name="rest">Byte offset behind the last line feed.</param>
    /// <param name="end">Where the file ended when it was read to its end; a writer may have appended since.</param>
    private void EndSegment(long following, bool partial, long rest, long end)
    {
        bool last = following < 0;
        if (!last && !partial && group.Count == 0)
        {
            return; // a disputed group may still be settled by the next segment's first entry
        }

        if (!last && lastMalformed && following == expectedSeq - 1)
        {
            group.RemoveLast(); // the malformed line was the checkpoint line, or the second half of it
            expectedSeq--;
            if (group.Count == 0)
            {
                return;
            }

            group.Leaf(group.Count - 1).CopyTo(previous);
            SettleOriginUnnoted();
            AdoptRotation(null, entryTrusted: true);
            CloseUnchecked();
            return;
        }

        bool troubled = Findings.Count > valid.Findings.Count || disputed is not null;
        if (last && (partial || group.Count > 0 || troubled))
        {
            long tail = valid.Segment == segment.Name ? valid.Offset : 0;
            bool contiguous = valid.Segment == segment.Name || valid.Size == segment.First;
            if (contiguous && end > tail)
            {
                Torn = TornTail.Find(this, folder, segment.Name, tail, end);
            }

            if (Torn is not null)
            {
                Findings.CutTo(valid.Findings);
                group.Clear();
                disputed = null;
                expectedSeq = valid.Size;
                scopes = scopesAtValid ?? scopes;
                RestoreEpoch();
                return;
            }
        }

        SettleDisputed(null);
        if (partial)
        {
            Findings.Add(new Finding(
                Verdict.Malformed, "the segment ends inside a line that no group of this ledger can begin with.", segment.Name, lineNumber, rest, end));
            if (following == expectedSeq && group.Count > 0)
            {
                // It was the checkpoint line, its line feed lost.
                SettleOriginUnnoted();
                AdoptRotation(null, entryTrusted: true);
                CloseUnchecked();
                return;
            }
        }

        if (group.Count > 0)
        {
            if (!group.AnyMalformed && !partial)
            {
                Findings.Add(group.About(0, group.Count - 1, Verdict.Altered, "these entries are not closed by a checkpoint line."));
            }

            epochsUnsure |= group.AnyMalformed && group.Count == 1; // it may have opened an epoch
            epochFloats |= group.AnyMalformed;
            CloseUnchecked();
        }
    }

    internal static void ReadClaim(ReadOnlySpan<byte> line, Lj1Parser parser, Span<byte> hash)
    {
        var node = parser.Nodes[parser.Find(line, parser.Find(line, 0, "integrity"u8), "prev_hash"u8)];
        Hex.Decode(line.Slice(node.Start + LedgerFormat.HashPrefix.Length, 64), hash);
    }

    private byte[] Key(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        byte[] key = new byte[32];
        Hex.Decode(Encoding.ASCII.GetBytes(Member(line, parent, name)["ed25519:".Length..]), key);
        return key;
    }

    private string Member(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        var node = parser.Nodes[parser.Find(line, parent, name)];
        return Encoding.ASCII.GetString(line.Slice(node.Start, node.Length));
    }
}
