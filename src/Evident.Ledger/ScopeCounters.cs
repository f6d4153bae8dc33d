using System.Runtime.InteropServices;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// The next <c>scope_seq</c> of every scope: what confirmed groups have counted, and on top of it what the open group has. Some 60 bytes a
/// scope, at most <see cref="MaxScopes"/> of them.
/// </summary>
internal sealed class ScopeCounters
{
    /// <summary>An appliance makes at most 65,536; a file that names more than this is counted no further.</summary>
    public const int MaxScopes = 1_000_000;

    private struct Slot
    {
        public Digits32 Scope;
        public long Confirmed, Open; // Confirmed -1: none yet
        public long OpenIn; // number of the group that Open belongs to
        public int NextInBucket; // index + 1
    }

    private readonly ulong[] multipliers = new ulong[2]; // random: the scopes in a hostile file must not be able to share a bucket
    private int[] buckets = new int[16];
    private Slot[] slots = new Slot[16];
    private int[] touched = new int[16];
    private int count, touchedCount;
    private long group = 1;

    public ScopeCounters() => Sodium.RandomBytes(MemoryMarshal.AsBytes(multipliers.AsSpan()));

    /// <summary>Scopes were left out because there are too many.</summary>
    public bool Full { get; private set; }

    public void BeginGroup() => (group, touchedCount) = (group + 1, 0);

    /// <summary>The number that the scope's next entry must have; false when no entry of it was counted.</summary>
    public bool TryNext(Digits32 scope, out long next)
    {
        int i = Find(scope);
        next = i < 0 ? -1 : slots[i].OpenIn == group ? slots[i].Open : slots[i].Confirmed;
        return next >= 0;
    }

    /// <summary>An entry of the open group has this scope; its next one must have that number.</summary>
    public void Count(Digits32 scope, long next)
    {
        int i = Find(scope);
        if (i < 0)
        {
            if (count == MaxScopes)
            {
                Full = true;
                return;
            }

            i = Add(scope);
        }

        if (slots[i].OpenIn != group)
        {
            if (touchedCount == touched.Length)
            {
                Array.Resize(ref touched, touched.Length * 2);
            }

            touched[touchedCount++] = i;
            slots[i].OpenIn = group;
        }

        slots[i].Open = next;
    }

    /// <summary>What the open group has counted holds.</summary>
    public void Confirm()
    {
        for (int i = 0; i < touchedCount; i++)
        {
            slots[touched[i]].Confirmed = slots[touched[i]].Open;
        }
    }

    public void Set(string scope, long next)
    {
        Count(Digits32.Parse(System.Text.Encoding.ASCII.GetBytes(scope)), next);
        Confirm();
    }

    /// <summary>The same counts in memory of its own.</summary>
    public ScopeCounters Copy()
    {
        var copy = (ScopeCounters)MemberwiseClone();
        (copy.buckets, copy.slots, copy.touched) = ([.. buckets], [.. slots], [.. touched]);
        return copy;
    }

    public void Clear()
    {
        if (count > 0)
        {
            (buckets, slots, touched) = (new int[16], new Slot[16], new int[16]);
            (count, touchedCount) = (0, 0);
        }
    }

    /// <summary>The confirmed counts, scopes as text.</summary>
    public Dictionary<string, long> ToDictionary()
    {
        var all = new Dictionary<string, long>(StringComparer.Ordinal);
        for (int i = 0; i < count; i++)
        {
            if (slots[i].Confirmed >= 0)
            {
                all[slots[i].Scope.ToString()] = slots[i].Confirmed;
            }
        }

        return all;
    }

    private int Find(Digits32 scope)
    {
        int i = buckets[Bucket(scope)] - 1;
        while (i >= 0 && slots[i].Scope != scope)
        {
            i = slots[i].NextInBucket - 1;
        }

        return i;
    }

    private int Add(Digits32 scope)
    {
        if (count == slots.Length)
        {
            Array.Resize(ref slots, count * 2);
            buckets = new int[count * 2];
            for (int i = 0; i < count; i++)
            {
                Link(i);
            }
        }

        slots[count] = new Slot { Scope = scope, Confirmed = -1 };
        Link(count);
        return count++;
    }

    private void Link(int i)
    {
        ref int bucket = ref buckets[Bucket(slots[i].Scope)];
        slots[i].NextInBucket = bucket;
        bucket = i + 1;
    }

    private int Bucket(Digits32 scope)
    {
        ulong mixed = unchecked((scope.High * (multipliers[0] | 1)) + (scope.Low * (multipliers[1] | 1)));
        return (int)(mixed >> 40) & (buckets.Length - 1);
    }
}
