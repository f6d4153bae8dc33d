using System.Runtime.InteropServices;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// The next <c>scope_seq</c> of every scope: some 50 bytes a scope, at most <see cref="MaxScopes"/> of them.
/// </summary>
internal sealed class ScopeCounters
{
    /// <summary>An appliance makes at most 65,536; a file that names more than this is counted no further.</summary>
    public const int MaxScopes = 1_000_000;

    private struct Slot
    {
        public Digits32 Scope;
        public long Next, Losses;
        public int NextInBucket; // index + 1
    }

    private readonly ulong[] multipliers = new ulong[2]; // random: the scopes in a hostile file must not be able to share a bucket
    private int[] buckets = new int[16];
    private Slot[] slots = new Slot[16];
    private int count;

    public ScopeCounters() => Sodium.RandomBytes(MemoryMarshal.AsBytes(multipliers.AsSpan()));

    /// <summary>Scopes were left out because there are too many.</summary>
    public bool Full { get; private set; }

    /// <summary>The number that the scope's next entry must have, and the losses that were known when its newest one was counted; false when no entry of it was.</summary>
    public bool TryNext(Digits32 scope, out long next, out long losses)
    {
        int i = Find(scope);
        (next, losses) = i < 0 ? (-1, 0) : (slots[i].Next, slots[i].Losses);
        return i >= 0;
    }

    /// <summary>The scope's next entry must have that number.</summary>
    /// <param name="losses">Places so far where entries may be missing: after one more, a higher number is right as well.</param>
    public void Count(Digits32 scope, long next, long losses)
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

        (slots[i].Next, slots[i].Losses) = (next, losses);
    }

    /// <summary>Forgets every scope.</summary>
    public void Clear()
    {
        if (count > 0)
        {
            (buckets, slots, count) = (new int[16], new Slot[16], 0);
        }
    }

    public void Set(string scope, long next) => Count(Digits32.Parse(System.Text.Encoding.ASCII.GetBytes(scope)), next, 0);

    /// <summary>The counts, scopes as text.</summary>
    public Dictionary<string, long> ToDictionary()
    {
        var all = new Dictionary<string, long>(StringComparer.Ordinal);
        for (int i = 0; i < count; i++)
        {
            all[slots[i].Scope.ToString()] = slots[i].Next;
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

        slots[count] = new Slot { Scope = scope };
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
