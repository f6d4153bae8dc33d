using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// One sequential pass over the segments: LJ-1 and schema of every line, numbering, chain, root and signatures at every checkpoint,
/// epochs. Used by the verifier, which reports all it finds, and by the log at start, which refuses on the first thing that is not a
/// torn tail. Never writes. Memory does not grow with the ledger, except by one counter per scope and one key per epoch.
/// </summary>
/// <remarks>
/// Blame is put on the line that was changed, not on those that notice. A flaw of an entry is kept until its checkpoint: when the
/// signed root confirms the group, the flaws were signed and are reported as such; when it does not, the chain tells which lines differ
/// from what was signed, and only those are reported. What a malformed line makes impossible to check is not reported a second time.
/// </remarks>
internal sealed partial class LedgerPass(string directory)
{
    private const int NotSeekable = 29, LinkFound = 40; // ESPIPE, ELOOP

    private readonly Lj1Parser parser = new();
    private readonly MerkleFrontier frontier = new();
    private readonly MerkleFrontier before = new();
    private readonly byte[] leaf = new byte[32];
    private readonly byte[] claim = new byte[32];
    private readonly byte[] previous = new byte[32];
    private OpenGroup group = new();
    private OpenGroup spare = new();
    private OpenGroup? disputed;
    private byte[] disputedRoot = [];
    private long expectedSeq, expectedBatch;
    private bool previousKnown = true, lastMalformed, treeLost;
    private SegmentName segment = new("", 0);
    private SegmentLines lines = null!;
    private long lineNumber;
    private readonly Dictionary<string, long> scopes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> groupScopes = new(StringComparer.Ordinal);
    private Dictionary<string, long>? scopesAtValid;
    private bool scopesUnsure;

    public List<Finding> Findings { get; } = [];

    /// <summary>Origin of the ledger; empty until it is known.</summary>
    public string Origin { get; private set; } = "";

    /// <summary>The identity key, once entry 0 is found to hold the key that the origin names.</summary>
    public NoteKey? Identity { get; private set; }

    /// <summary>Public keys of the epochs seen so far.</summary>
    public Dictionary<long, NoteKey> EpochKeys { get; } = [];

    public long Epoch { get; private set; } = 1;

    public List<EpochSummary> Epochs { get; } = [];

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

    /// <summary>Told the number of entries passed, once per group.</summary>
    public IProgress<long>? Progress { get; set; }

    /// <summary>State just after the last valid checkpoint line: where a torn tail starts and where the log goes on.</summary>
    private ValidPoint valid = new();

    internal sealed class ValidPoint
    {
        public string Segment = "";
        public long Offset, Size, Batch, Epoch = 1;
        public bool TreeLost;
        public byte[] Root = Merkle.EmptyRoot, Previous = new byte[32];
        public readonly MerkleFrontier Frontier = new();
        public int Findings;
    }

    public sealed record EpochSummary(long Number, long FirstSeq, string Custody, string PublicKey, string Reason);

    internal ValidPoint Valid => valid;

    internal IReadOnlyDictionary<string, long> ScopeSeq => scopes;

    /// <summary>Starts in the middle instead of at entry 0. The caller has checked that all of this belongs to a signed head.</summary>
    public void StartAt(LedgerResume hint, MerkleFrontier tree, string origin, NoteKey identity, long epoch, NoteKey epochKey, SegmentName at, long offset)
    {
        Origin = origin;
        Identity = identity;
        EpochKeys[epoch] = epochKey;
        (Epoch, expectedSeq, expectedBatch) = (epoch, hint.Size, hint.NextBatch);
        frontier.CopyFrom(tree);
        Convert.FromHexString(hint.LastEntryHash.AsSpan(LedgerFormat.HashPrefix.Length), previous, out _, out _);
        foreach (var (scope, next) in hint.ScopeSeq)
        {
            scopes[scope] = next;
        }

        segment = at;
        Snapshot(at.Name, offset, hint.Root);
    }

    /// <summary>Reads the segments in order. <paramref name="firstOffset"/> applies to the first one only (see <see cref="StartAt"/>).</summary>
    public void Run(IReadOnlyList<SegmentName> segments, long firstOffset = 0, CancellationToken cancellation = default)
    {
        for (int i = 0; i < segments.Count; i++)
        {
            ReadSegment(segments[i], i == 0 ? firstOffset : 0, i + 1 < segments.Count ? segments[i + 1].First : -1, cancellation);
        }

        SettleDisputed(null);
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
            using (lines = new SegmentLines(Path.Combine(directory, name.Name), offset))
            {
                bool partial = false;
                while (lines.Next())
                {
                    lineNumber++;
                    if (!lines.Complete)
                    {
                        partial = true;
                        break;
                    }

                    if (lineNumber % 512 == 0)
                    {
                        cancellation.ThrowIfCancellationRequested();
                    }

                    ReadLine();
                }

                EndSegment(following, partial);
            }
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

    private void ReadLine()
    {
        if (lines.TooLong)
        {
            AddMalformed($"the line is longer than {LedgerFormat.MaxLineBytes} bytes.");
            treeLost = true;
        }
        else if (CheckpointLine.LooksLikeOne(lines.Line))
        {
            ReadCheckpoint();
        }
        else
        {
            Merkle.LeafOfPrefixed(lines.Prefixed, leaf);
            ReadEntry(lines.Line);
        }
    }

    private void ReadEntry(ReadOnlySpan<byte> line)
    {
        var error = parser.Parse(line);
        string? failure = error != Lj1Error.None ? $"the line is not LJ-1 ({error})." : EntrySchema.Check(line, parser);
        if (failure is not null)
        {
            AddMalformed(failure);
            return;
        }

        long seq = parser.Integer(line, "seq"u8), batch = parser.Integer(line, "batch"u8), epoch = parser.Integer(line, "epoch"u8);
        ReadClaim(line, parser, claim);
        SettleDisputed(claim);
        if (lastMalformed)
        {
            PassMalformed(seq, batch);
        }

        var flaw = EntryFlaw.None;
        bool chained = !previousKnown || claim.AsSpan().SequenceEqual(previous);
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
        flaw |= Place(line, batch, epoch);
        group.Add(leaf, claim, flaw, lines.Offset, lines.Offset + lines.LineLength + 1);
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
    private EntryFlaw Place(ReadOnlySpan<byte> line, long batch, long epoch)
    {
        var flaw = EntryFlaw.None;
        if (batch != expectedBatch)
        {
            flaw |= expectedBatch >= 0 ? EntryFlaw.Batch : 0;
        }

        group.LastBatch = batch;
        var type = parser.Text(line, "type"u8);
        bool genesis = type.SequenceEqual("ledger.genesis"u8), rotation = type.SequenceEqual("ledger.epoch"u8);
        if (!genesis && Origin.Length > 0 && !parser.Text(line, "log"u8).SequenceEqual(Encoding.ASCII.GetBytes(Origin)))
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
            flaw |= expectedSeq == 0 && group.Count == 0 ? TakeGenesis(line) : EntryFlaw.Misplaced;
        }
        else if (expectedSeq == 0 && group.Count == 0)
        {
            flaw |= EntryFlaw.Misplaced;
        }

        if (rotation)
        {
            int details = parser.Find(line, 0, "rotation"u8);
            group.RotationKey = Key(line, details, "epoch_key"u8);
            group.RotationReason = Member(line, details, "reason"u8);
            group.Custody = Member(line, details, "custody"u8);
            flaw |= group.Count > 0 ? EntryFlaw.Misplaced : 0;
        }
        else if (group.RotationKey is not null || group.HasGenesis && !genesis)
        {
            flaw |= EntryFlaw.Misplaced; // rotation and genesis stand alone in their groups
        }

        return flaw | Remember(line, type, expectedSeq);
    }

    private void AddMalformed(string failure)
    {
        var line = lines.Line;
        bool entry = line.IndexOf("checkpoint"u8) < 0 && line.IndexOf("\u2014"u8) < 0;
        Findings.Add(new Finding(
            Verdict.Malformed, failure, segment.Name, lineNumber, lines.Offset, lines.Offset + lines.LineLength + 1,
            entry ? expectedSeq : -1, entry ? expectedSeq : -1));
        SettleDisputed(null);
        OpenGroupAt(expectedSeq);
        group.Add(leaf, default, EntryFlaw.Malformed, lines.Offset, lines.Offset + lines.LineLength + 1);
        leaf.CopyTo(previous, 0);
        lastMalformed = true;
        LoseScopes();
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
        Findings.Add(new Finding(
            Verdict.Altered, what, segment.Name, lineNumber, lines.Offset, lines.Offset + lines.LineLength + 1,
            Math.Min(seq, expectedSeq), Math.Max(seq, expectedSeq)));
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
        expectedSeq = seq;
        expectedBatch = -1;
    }

    private void OpenGroupAt(long seq)
    {
        if (group.Count == 0)
        {
            group.Start(segment.Name, seq, lineNumber);
            groupScopes.Clear();
        }
    }

    /// <param name="following">First sequence number of the next segment; -1 after the last one.</param>
    /// <param name="partial">The segment ends without a line feed.</param>
    private void EndSegment(long following, bool partial)
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

        bool troubled = Findings.Count > valid.Findings || disputed is not null;
        if (last && (partial || group.Count > 0 || troubled))
        {
            long tail = valid.Segment == segment.Name ? valid.Offset : 0;
            bool contiguous = valid.Segment == segment.Name || valid.Size == segment.First;
            if (contiguous && lines.Length > tail)
            {
                Torn = TornTail.Find(this, Path.Combine(directory, segment.Name), segment.Name, tail, lines.Length);
            }

            if (Torn is not null)
            {
                Findings.RemoveRange(valid.Findings, Findings.Count - valid.Findings);
                group.Clear();
                disputed = null;
                expectedSeq = valid.Size;
                RestoreScopes();
                RestoreEpoch();
                return;
            }
        }

        SettleDisputed(null);
        if (partial)
        {
            Findings.Add(new Finding(
                Verdict.Malformed, "the segment ends inside a line that no group of this ledger can begin with.", segment.Name, lineNumber,
                lines.Offset, lines.Offset + lines.LineLength));
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
        FromHex(line.Slice(node.Start + LedgerFormat.HashPrefix.Length, 64), hash);
    }

    private static void FromHex(ReadOnlySpan<byte> hex, Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)((Digit(hex[2 * i]) << 4) | Digit(hex[(2 * i) + 1]));
        }

        static int Digit(byte b) => b <= '9' ? b - '0' : b - 'a' + 10;
    }

    private byte[] Key(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        byte[] key = new byte[32];
        FromHex(Encoding.ASCII.GetBytes(Member(line, parent, name)["ed25519:".Length..]), key);
        return key;
    }

    private string Member(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        var node = parser.Nodes[parser.Find(line, parent, name)];
        return Encoding.ASCII.GetString(line.Slice(node.Start, node.Length));
    }
}
