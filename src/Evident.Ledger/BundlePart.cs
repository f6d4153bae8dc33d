using System.Numerics;

namespace Evident.Ledger;

/// <summary>
/// The part of a ledger that a bundle holds: what <c>range.json</c> says before its first entry and after its last one, held against the
/// bundle's head (docs/evidence.md, section 6).
/// </summary>
internal sealed class BundlePart
{
    private const string Name = "ledger/" + LedgerRange.FileName;

    private readonly Checkpoint head;
    private readonly ControlChain chain;

    private BundlePart(Checkpoint head, LedgerRange range, ControlChain chain) => (this.head, Range, this.chain) = (head, range, chain);

    public LedgerRange Range { get; }

    /// <summary>Null, with findings, when the part cannot be checked.</summary>
    /// <param name="head">What the bundle rests on.</param>
    /// <param name="identity">Of the control entries, as far as they could be followed.</param>
    public static BundlePart? Read(LedgerFolder ledger, Checkpoint head, List<Finding> findings, out NoteKey? identity)
    {
        var chain = new ControlChain(head.Size, head.Root);
        LedgerRange range;
        using (var file = ledger.Open(LedgerRange.FileName))
        {
            bool read = RangeReader.TryRead(file, chain.See, out range, out string failure);
            identity = read ? chain.Identity : null;
            if (!read)
            {
                findings.Add(new Finding(Verdict.Malformed, $"{Name} is no range of version 1: {failure}", Name));
                return null;
            }

            findings.AddRange(chain.Findings);
        }

        var part = new BundlePart(head, range, chain);
        string? wrong = range.Size != head.Size ? $"it is for a ledger of {range.Size} entries, the bundle's head for {head.Size}."
            : range.Left.Count != BitOperations.PopCount((ulong)range.From) || range.Right.Count != LedgerRange.Cover(range.To, range.Size).Count
                ? "the number of its subtree hashes does not fit its sizes."
            : null;
        if (wrong is not null)
        {
            findings.Add(new Finding(Verdict.Altered, $"{Name}: {wrong}", Name));
        }
        else if (chain.Findings.Count == 0 && (range.From == 0 ? chain.Epoch != 0 : chain.Epoch != range.Epoch || chain.EpochFirstSeq >= range.From))
        {
            findings.Add(new Finding(Verdict.KeyViolation, $"{Name}: its control entries do not lead to epoch {range.Epoch} before entry {range.From} (K2).", Name));
        }
        else if (chain.Findings.Count == 0)
        {
            return part;
        }

        return null;
    }

    /// <summary>Puts the pass in front of the part; one from entry 0 brings its own keys.</summary>
    public void Begin(LedgerPass pass)
    {
        if (Range.From == 0)
        {
            return;
        }

        pass.StartAt(new PartStart
        {
            From = Range.From,
            Left = MerkleFrontier.FromHashes(Range.From, Range.Left)!,
            PreviousHash = Range.PrevHash,
            Batch = Range.Batch,
            Origin = chain.Origin,
            Identity = chain.Identity!,
            GenesisHash = chain.GenesisHash,
            Epoch = Range.Epoch,
            EpochFirstSeq = chain.EpochFirstSeq,
            EpochBoot = chain.EpochBoot,
            EpochMono = chain.EpochMono,
            EpochEntries = chain.EpochEntries,
            EpochMillis = chain.EpochMillis,
            EpochKeys = chain.EpochKeys,
            Epochs = chain.Epochs,
        });
    }

    /// <summary>After the pass: the part ends where it says, and with what follows it has the root of the head. True when it has.</summary>
    /// <param name="sound">Nothing serious was found in the part.</param>
    /// <param name="roots">Gets the roots at the part's start and of the head, which are then as good as signed in the part.</param>
    public bool Close(LedgerPass pass, bool sound, List<Finding> findings, Dictionary<long, byte[]> roots)
    {
        if (pass.Seen != Range.To)
        {
            findings.Add(new Finding(Verdict.Altered, $"the part ends at {pass.Seen}, {Name} says at {Range.To}.", Name, FromSeq: Math.Min(pass.Seen, Range.To), ToSeq: Math.Max(pass.Seen, Range.To) - 1));
            return false;
        }

        if (!sound || pass.TreeLost || pass.Size != Range.To)
        {
            return false; // reported
        }

        var tree = new MerkleFrontier();
        tree.CopyFrom(pass.Valid.Frontier);
        var cover = LedgerRange.Cover(Range.To, Range.Size);
        for (int i = 0; i < cover.Count; i++)
        {
            tree.AppendSubtree(BitOperations.Log2((ulong)cover[i].Count), Range.Right[i]);
        }

        if (tree.Root().AsSpan().SequenceEqual(head.Root))
        {
            roots[head.Size] = head.Root;
            roots[Range.From] = MerkleFrontier.FromHashes(Range.From, Range.Left)!.Root();
            return true;
        }

        findings.Add(new Finding(Verdict.Altered, $"what {Name} puts before and after the part does not have the root of the bundle's head together with it.", Name));
        return false;
    }
}
