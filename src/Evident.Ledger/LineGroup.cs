namespace Evident.Ledger;

[Flags]
internal enum MemberFlags : byte
{
    None = 0,

    /// <summary>The line was read, so its own hash is known.</summary>
    Read = 1,

    /// <summary>The entry after it says what hash it had.</summary>
    Claimed = 2,

    /// <summary>And that is another hash than its own.</summary>
    Differs = 4,

    /// <summary>Its members are known: not lost, malformed or withheld.</summary>
    Entry = 8,
    Rotation = 16, Genesis = 32, Clock = 64,
}

/// <summary>What does not fit in an entry that is in its place in chain or order.</summary>
[Flags]
internal enum EntryFlaw : byte
{
    None = 0, Chain = 1, Seq = 2, Batch = 4, Log = 8, Scope = 16,
}

/// <summary>Where a line stands: segment, 1-based line, byte range in the file with its line feed.</summary>
internal readonly record struct LinePlace(string Segment, long Line, long Offset, long End);

/// <summary>One entry of a group: where it stands, its position in the ledger, and what rules K2 to K5 ask of it.</summary>
internal struct GroupMember
{
    public LinePlace Place;
    public MemberFlags Flags;
    public EntryFlaw Flaws;
    public bool TakesClaim; // the traced hash is the claimed one (LineGroup.Trace)
    public long Position, Epoch, Mono;
    public ulong Boot;
}

/// <summary>Which hash each entry of a group is taken to have had when it was signed.</summary>
internal enum HashChoice
{
    /// <summary>That of the line as it stands; of a lost one what the entry after it says.</summary>
    Own,

    /// <summary>What following entries say, as far as they are themselves unchanged.</summary>
    Traced,

    /// <summary>What following entries say.</summary>
    Claimed,
}

/// <summary>A rotation or genesis entry's facts, read from its line.</summary>
internal sealed record KeyFacts(byte[] EpochKey, string Custody, string Reason);

/// <summary>The entries up to and with one checkpoint line. Reused, so that memory is that of the largest group.</summary>
internal sealed class LineGroup
{
    /// <summary>
    /// More members than this are counted and no longer kept: sixteen groups' worth, so that a file without checkpoint lines cannot fill the memory. Its tree is lost.
    /// </summary>
    public const int MaxKept = 16 * LedgerFormat.MaxGroupEntries;

    private byte[] own = new byte[256 * 32];
    private byte[] claims = new byte[256 * 32];
    private GroupMember[] members = new GroupMember[256];

    /// <summary>Entries before the group, and up to its end once it is closed.</summary>
    public long Start, End;

    /// <summary>Number of the group.</summary>
    public long Batch;

    public int Count;

    /// <summary>Malformed lines stand in it.</summary>
    public bool Damaged;

    /// <summary>Some entry was not kept.</summary>
    public bool Overfull;

    /// <summary>The checkpoint line; null when it is lost.</summary>
    public NoteRecord? Note;
    public LinePlace NotePlace;

    /// <summary>Of the first rotation, and of a genesis entry.</summary>
    public KeyFacts? Rotation, Genesis;

    /// <summary>What that genesis entry says: its <c>log</c>, limits and leaf hash.</summary>
    public string GenesisLog = "";
    public long EpochEntries, EpochMillis;

    private bool plain = true;
    private EntryFlaw flaws;

    /// <summary>Every line was read and follows the one before: its own hashes are the only ones that can have been signed.</summary>
    public bool Plain => plain && !Damaged && !Overfull;

    public bool IsEmpty => Count == 0 && !Damaged;

    public void Begin(long start)
    {
        (Start, End, Count, Damaged, Overfull, Note, NotePlace, Rotation, Genesis, plain, flaws) = (start, start, 0, false, false, null, default, null, null, true, EntryFlaw.None);
    }

    public ref GroupMember this[int i] => ref members[i];

    /// <summary>Adds an entry; <paramref name="hash"/> is empty when its line is lost.</summary>
    public void Add(in GroupMember member, ReadOnlySpan<byte> hash)
    {
        if (Count == MaxKept)
        {
            Overfull = true;
            return;
        }

        if (Count == members.Length)
        {
            Array.Resize(ref own, own.Length * 2);
            Array.Resize(ref claims, claims.Length * 2);
            Array.Resize(ref members, members.Length * 2);
        }

        members[Count] = member;
        plain &= !hash.IsEmpty;
        hash.CopyTo(own.AsSpan(Count * 32));
        Count++;
    }

    /// <summary>Something about the newest entry.</summary>
    public void Flaw(EntryFlaw flaw)
    {
        if (!Overfull)
        {
            members[Count - 1].Flaws |= flaw;
            flaws |= flaw;
        }
    }

    public bool AnyFlaw => flaws != EntryFlaw.None;

    /// <summary>The entry after the newest one names this hash for it.</summary>
    /// <param name="same">It is known to be the newest one's own.</param>
    public void Claim(ReadOnlySpan<byte> hash, bool same)
    {
        if (Count == 0 || Overfull)
        {
            return;
        }

        ref var newest = ref members[Count - 1];
        newest.Flags |= MemberFlags.Claimed;
        if (!same)
        {
            hash.CopyTo(claims.AsSpan((Count - 1) * 32));
            if ((newest.Flags & MemberFlags.Read) == 0 || !hash.SequenceEqual(own.AsSpan((Count - 1) * 32, 32)))
            {
                newest.Flags |= MemberFlags.Differs;
                plain = false;
            }
        }
    }

    public bool Is(int i, MemberFlags flags) => (members[i].Flags & flags) == flags;

    /// <summary>Entries whose lines are here; a lost one may have stood in the group before.</summary>
    public int CountRead()
    {
        int count = 0;
        for (int i = 0; i < Count; i++)
        {
            count += Is(i, MemberFlags.Read) ? 1 : 0;
        }

        return count;
    }

    /// <summary>Nothing names the last entry's hash, and the lines before it are chained, or all but the one that only the last contradicts.</summary>
    public bool OnlyLastDoubtful
    {
        get
        {
            bool only = Count > 0 && !Damaged && Is(Count - 1, MemberFlags.Entry) && !Is(Count - 1, MemberFlags.Claimed);
            for (int i = 0; i < Count - 2 && only; i++)
            {
                only = Is(i, MemberFlags.Read) && !Is(i, MemberFlags.Differs);
            }

            return only && (Count < 2 || Is(Count - 2, MemberFlags.Read));
        }
    }

    /// <summary>Every entry has a hash, its own or a claimed one.</summary>
    public bool IsComplete()
    {
        bool complete = !Overfull;
        for (int i = 0; i < Count && complete; i++)
        {
            complete = (members[i].Flags & (MemberFlags.Read | MemberFlags.Claimed)) != 0;
        }

        return complete;
    }

    /// <summary>Walks from the last entry back: an entry whose own hash is not the one taken was changed, and what it names is worth nothing.</summary>
    public void Trace()
    {
        bool trusted = true;
        for (int i = Count - 1; i >= 0; i--)
        {
            bool read = Is(i, MemberFlags.Read), claimed = Is(i, MemberFlags.Claimed);
            members[i].TakesClaim = claimed && (trusted || !read);
            trusted = read && !(members[i].TakesClaim && Is(i, MemberFlags.Differs));
        }
    }

    /// <summary>True when the hash chosen for the entry is the claimed one and not its own.</summary>
    public bool TakesOther(int i, HashChoice choice) => Is(i, MemberFlags.Differs) && choice switch
    {
        HashChoice.Own => !Is(i, MemberFlags.Read),
        HashChoice.Traced => members[i].TakesClaim,
        _ => true,
    };

    /// <summary>The hash chosen for the entry, which must have one.</summary>
    public ReadOnlySpan<byte> Hash(int i, HashChoice choice) => (TakesOther(i, choice) ? claims : own).AsSpan(i * 32, 32);

    public Finding About(int i, int code, string sentence) => About(members[i].Place, code, sentence, members[i].Position, members[i].Position);

    public Finding AboutNote(int code, string sentence) => About(NotePlace, code, sentence, Count > 0 ? Start : -1, Count > 0 ? End - 1 : -1);

    public static Finding About(in LinePlace place, int code, string sentence, long fromSeq, long toSeq) =>
        new(code, sentence, place.Segment, place.Line, place.Offset, place.End, fromSeq, toSeq);
}
