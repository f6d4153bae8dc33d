using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// Many 32-byte keys in few guarded blocks: one <see cref="SecretBytes"/> per key would spend four pages and three mappings each.
/// Slots are added by one thread at a time and read by any; nothing is moved until <see cref="Dispose"/>.
/// </summary>
internal sealed class SecretSlots : IDisposable
{
    public const int SlotBytes = 32;
    private const int SlotsPerBlock = 1024;

    private readonly Lock gate = new();
    private volatile SecretBytes[] blocks = []; // replaced, never changed, so that readers need no lock
    private int count;

    /// <summary>Takes the key over and zeroes the source.</summary>
    public int Add(Span<byte> key)
    {
        lock (gate)
        {
            if (count == blocks.Length * SlotsPerBlock)
            {
                blocks = [.. blocks, new SecretBytes(SlotsPerBlock * SlotBytes)];
            }

            key.CopyTo(At(count));
            Sodium.Zero(key);
            return count++;
        }
    }

    /// <summary>Slots in use.</summary>
    public int Count
    {
        get
        {
            lock (gate)
            {
                return count;
            }
        }
    }

    /// <summary>Zeroes and gives back the slots from this one on; nobody may hold a key in them.</summary>
    public void CutTo(int kept)
    {
        lock (gate)
        {
            while (count > kept)
            {
                Sodium.Zero(At(--count));
            }
        }
    }

    /// <summary>Zeroes a slot, which is not used again. Whoever still holds the key opens nothing more with it.</summary>
    public void Destroy(int slot) => Sodium.Zero(At(slot));

    public ReadOnlySpan<byte> this[int slot] => At(slot);

    public void Dispose()
    {
        foreach (SecretBytes block in blocks)
        {
            block.Dispose();
        }
    }

    private Span<byte> At(int slot) => blocks[slot / SlotsPerBlock].Span.Slice(slot % SlotsPerBlock * SlotBytes, SlotBytes);
}
