using System.Globalization;

namespace Evident.Ledger;

/// <summary>The note of a published size, as it lies in a ledger directory.</summary>
internal static class PublishedNotes
{
    /// <exception cref="ExportRefusedException">That size was not published.</exception>
    /// <exception cref="LedgerStateException">The file is no checkpoint of that size.</exception>
    public static Checkpoint Read(string directory, long size, out byte[] note)
    {
        note = LedgerReader.PublishedNote(new DirectoryFolder(directory), size)
            ?? throw new ExportRefusedException(string.Create(CultureInfo.InvariantCulture, $"no head of size {size} was published."));
        return SignedNote.TryParse(note, out var parsed, out _) && Checkpoint.TryParse(parsed.Text, out var checkpoint) && checkpoint.Size == size
            ? checkpoint
            : throw new LedgerStateException($"the published checkpoint of size {size} in '{directory}' is damaged. Run `evident verify`.");
    }
}
