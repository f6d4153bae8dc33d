using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// Published checkpoints and the two-slot head store. A published checkpoint is a segment's note and, once that size is durable, the
/// signature of the identity key. <c>checkpoints/</c> is written first, then the older slot of <c>head.a</c>/<c>head.b</c>: a crash
/// leaves at least one whole slot, and the newest of both is never behind what was given out.
/// </summary>
internal sealed class HeadStore(string directory)
{
    private static readonly string[] Slots = ["head.a", "head.b"];
    private string nextSlot = Slots[0];

    /// <summary>The newest head that the identity key signed; null when no slot is there.</summary>
    public Checkpoint? Newest { get; private set; }

    /// <exception cref="LedgerStateException">A slot is there and is not a checkpoint signed by the identity key.</exception>
    public void Load(NoteKey identity)
    {
        foreach (string slot in Slots)
        {
            string path = Path.Combine(directory, slot);
            if (!File.Exists(path))
            {
                continue;
            }

            byte[] bytes = ReadNote(path);
            if (!SignedNote.TryParse(bytes, out var note, out string failure))
            {
                throw new LedgerStateException($"head store '{path}' is no signed note: {failure}");
            }

            if (!note.IsSignedBy(identity) || !Checkpoint.TryParse(note.Text, out var checkpoint) || checkpoint.Origin != identity.Name)
            {
                throw new LedgerStateException($"head store '{path}' is not a checkpoint signed by {identity.Name}.");
            }

            if (Newest is null || checkpoint.Size > Newest.Size)
            {
                Newest = checkpoint;
                nextSlot = Slots[1 - Array.IndexOf(Slots, slot)];
            }
        }
    }

    /// <summary>Makes a durable size known: file under <c>checkpoints/</c>, then the slot that is not the newest.</summary>
    public void Publish(Checkpoint checkpoint, IEnumerable<NoteSignature> signatures, SigningKey identity)
    {
        byte[] text = checkpoint.Encode();
        var own = signatures.Where(s => s.Name != identity.Public.Name).Append(identity.Sign(text)); // it signed the group itself when an epoch key was lost
        byte[] note = SignedNote.Encode(text, own);
        DurableDirectory.ReplaceFile(Path.Combine(directory, "checkpoints", LedgerFormat.PublishedName(checkpoint.Size)), note, 0x1A4);
        if (checkpoint.Size == 1)
        {
            DurableDirectory.ReplaceFile(Path.Combine(directory, "genesis.note"), note, 0x1A4);
        }

        DurableDirectory.ReplaceFile(Path.Combine(directory, nextSlot), note, 0x1A4);
        nextSlot = Slots[1 - Array.IndexOf(Slots, nextSlot)];
        Newest = checkpoint;
    }

    /// <summary>A note file, at most one byte longer than a note may be.</summary>
    public static byte[] ReadNote(string path)
    {
        using var file = DurableFile.OpenRead(path);
        byte[] buffer = new byte[SignedNote.MaxBytes + 1];
        return buffer[..file.ReadAt(0, buffer)];
    }
}
