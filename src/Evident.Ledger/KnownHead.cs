using System.Security.Cryptography;

namespace Evident.Ledger;

/// <summary>
/// A head that the auditor brings: a signed note of 64 KiB at most whose text is a checkpoint, or the text form, which carries no signature and which he vouches
/// for himself (<paramref name="Note"/> is null then).
/// </summary>
internal sealed record KnownHead(string File, SignedNote? Note, Checkpoint Checkpoint, string Sha256)
{
    public static bool TryRead(string file, out KnownHead head, out string failure)
    {
        head = null!;
        byte[] bytes;
        try
        {
            bytes = HeadStore.ReadNote(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            failure = e.Message;
            return false;
        }

        SignedNote? note = null;
        Checkpoint checkpoint;
        if (HeadText.LooksLikeOne(bytes))
        {
            if (!HeadText.TryParse(bytes, out checkpoint, out failure))
            {
                return false;
            }
        }
        else if (!SignedNote.TryParse(bytes, out note, out string why))
        {
            failure = $"it is no signed note: {why}";
            return false;
        }
        else if (!Checkpoint.TryParse(note.Text, out checkpoint))
        {
            failure = "the note is no checkpoint.";
            return false;
        }

        if (checkpoint.Size == 0)
        {
            failure = "it is of size 0 and says nothing of a ledger.";
            return false;
        }

        failure = "";
        head = new KnownHead(file, note, checkpoint, LedgerFormat.HashText(SHA256.HashData(bytes)));
        return true;
    }
}
