namespace Evident.Ledger;

[Flags]
internal enum EntryFlaw : ushort
{
    None = 0, Malformed = 1, Chain = 2, Seq = 4, Batch = 8, Log = 16, Epoch = 32, Misplaced = 64, Scope = 128, Age = 256, Incarnation = 512,

    /// <summary>No flaw: only the hash of the entry is there, nothing that it says.</summary>
    Withheld = 1024,
}

/// <summary>The entries since the last checkpoint line: leaf hashes, the hashes they claim for their predecessors, and what is wrong.</summary>
internal sealed class OpenGroup
{
    private byte[] leaves = new byte[256 * 32];
    private byte[] claims = new byte[256 * 32];
    private EntryFlaw[] flaws = new EntryFlaw[256];
    private long[] offsets = new long[257];

    public string Segment = "";
    public long FirstSeq, FirstLine;
    public int Count;

    /// <summary>The rotation entry's key when the group holds a valid <c>ledger.epoch</c>.</summary>
    public byte[]? RotationKey;
    public string RotationReason = "";
    public string Custody = "";
    public bool HasGenesis;
    public bool AnyFlaw;

    /// <summary>The <c>batch</c> of the newest valid entry.</summary>
    public long LastBatch;

    /// <summary>Notes that count once the group is confirmed.</summary>
    public readonly List<Finding> Notes = [];

    /// <summary>Quarantine files that its recovery entries name; they count once the group is confirmed.</summary>
    public readonly List<string> Recovered = [];

    public readonly List<LedgerPass.IncarnationSummary> Incarnations = [];
    public int Heartbeats, Silences;

    public void Start(string segment, long seq, long line)
    {
        (Segment, FirstSeq, FirstLine, Count) = (segment, seq, line, 0);
        (RotationKey, RotationReason, Custody, HasGenesis, AnyFlaw, LastBatch) = (null, "", "", false, false, -1);
        Notes.Clear();
        Recovered.Clear();
        Incarnations.Clear();
        (Heartbeats, Silences) = (0, 0);
    }

    public void Clear() => Count = 0;

    public bool AnyMalformed => Any(EntryFlaw.Malformed);

    public bool AnyWithheld => Any(EntryFlaw.Withheld);

    private bool Any(EntryFlaw flaw)
    {
        for (int i = 0; i < Count; i++)
        {
            if (Is(i, flaw))
            {
                return true;
            }
        }

        return false;
    }

    public void RemoveLast() => Count--;

    /// <summary>A malformed line stood for two entries: number what follows accordingly.</summary>
    public void SkipOne() => FirstSeq++;

    public void Add(ReadOnlySpan<byte> leaf, ReadOnlySpan<byte> claim, EntryFlaw flaw, long offset, long end)
    {
        if ((Count + 1) * 32 > leaves.Length)
        {
            Array.Resize(ref leaves, leaves.Length * 2);
            Array.Resize(ref claims, claims.Length * 2);
            Array.Resize(ref flaws, flaws.Length * 2);
            Array.Resize(ref offsets, (flaws.Length) + 1);
        }

        leaf.CopyTo(leaves.AsSpan(Count * 32));
        claims.AsSpan(Count * 32, 32).Clear();
        claim.CopyTo(claims.AsSpan(Count * 32));
        flaws[Count] = flaw;
        offsets[Count] = offset;
        offsets[Count + 1] = end;
        AnyFlaw |= (flaw & ~EntryFlaw.Withheld) != EntryFlaw.None;
        Count++;
    }

    public Span<byte> Leaf(int i) => leaves.AsSpan(i * 32, 32);

    public ReadOnlySpan<byte> Claim(int i) => claims.AsSpan(i * 32, 32);

    public ref EntryFlaw Flaw(int i) => ref flaws[i];

    public bool Is(int i, EntryFlaw flaw) => (flaws[i] & flaw) != 0;

    public Finding About(int from, int to, int code, string sentence) => new(
        code, sentence, Segment, FirstLine + from, offsets[from], offsets[to + 1], FirstSeq + from, FirstSeq + to);
}
