using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>One witness's confirmation as <c>anchors/</c> keeps it: a published note with that witness's cosignature under it.</summary>
/// <param name="File">Name in <c>anchors/</c>.</param>
/// <param name="Bytes">The note.</param>
/// <param name="Witness">Key name on the cosignature.</param>
/// <param name="KeyId">Its key id, 8 hex digits.</param>
/// <param name="Time">The witness's time, Unix seconds.</param>
public sealed record AnchorNote(string File, byte[] Bytes, string Witness, string KeyId, long Time);

/// <summary>
/// The files of <c>anchors/</c>. The appliance knows no witness's key: it files what has the form of a cosignature, and whether one counts is for the policy of
/// whoever verifies.
/// </summary>
public static class AnchorNotes
{
    public const string Folder = "anchors";

    public static string Name(long size, ReadOnlySpan<byte> keyId) =>
        string.Create(CultureInfo.InvariantCulture, $"{size:D20}-{Convert.ToHexStringLower(keyId)}{LedgerFormat.NoteSuffix}");

    /// <summary>Size and key id in a name that <see cref="Name"/> gives, else false.</summary>
    public static bool TryParseName(string name, out long size, out string keyId)
    {
        size = -1;
        keyId = name.Length == 34 ? name[21..29] : "";
        return name.Length == 34 && name[20] == '-' && name.EndsWith(LedgerFormat.NoteSuffix, StringComparison.Ordinal)
            && !keyId.AsSpan().ContainsAnyExcept("0123456789abcdef")
            && long.TryParse(name.AsSpan(0, 20), NumberStyles.None, CultureInfo.InvariantCulture, out size);
    }

    /// <summary>What a cosigned copy of a published note brings: one anchor for each signature line that has a cosignature's form and is not the log's own.</summary>
    /// <param name="cosigned">The copy; its text equals that of <paramref name="published"/>.</param>
    /// <param name="published">The note as the appliance published it; nothing but this and a cosignature is filed.</param>
    public static IReadOnlyList<AnchorNote> Split(SignedNote cosigned, SignedNote published)
    {
        long size = Checkpoint.TryParse(published.Text, out var checkpoint) ? checkpoint.Size : throw new ArgumentException("the published note is no checkpoint.", nameof(published));
        var anchors = new List<AnchorNote>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var line in cosigned.Signatures)
        {
            string file = Name(size, line.KeyIdAndSignature.AsSpan(0, 4));
            if (IsCosignature(line) && !published.Signatures.Any(s => s.Name == line.Name) && names.Add(file))
            {
                anchors.Add(new AnchorNote(
                    file, SignedNote.Encode(published.Text, [.. published.Signatures, line]), line.Name, Convert.ToHexStringLower(line.KeyIdAndSignature.AsSpan(0, 4)),
                    BinaryPrimitives.ReadInt64BigEndian(line.KeyIdAndSignature.AsSpan(4))));
            }
        }

        return anchors;
    }

    /// <summary>The published note of that size with the cosignatures that are filed for it; null when that size was not published.</summary>
    /// <exception cref="IOException">A file could not be read.</exception>
    public static byte[]? WithCosignatures(string directory, long size)
    {
        if (LedgerReader.Published(directory, size) is not { } text || !SignedNote.TryParse(Encoding.UTF8.GetBytes(text), out var published, out _))
        {
            return null;
        }

        var lines = published.Signatures.ToList();
        string folder = Path.Combine(directory, Folder), prefix = string.Create(CultureInfo.InvariantCulture, $"{size:D20}-*");
        if (Directory.Exists(folder))
        {
            foreach (string path in Directory.EnumerateFiles(folder, prefix).Order(StringComparer.Ordinal))
            {
                if (TryParseName(Path.GetFileName(path), out _, out _) && SignedNote.TryParse(HeadStore.ReadNote(path), out var filed, out _)
                    && filed.Text.AsSpan().SequenceEqual(published.Text))
                {
                    lines.AddRange(filed.Signatures.Where(s => IsCosignature(s) && !lines.Any(l => l.Name == s.Name && l.KeyIdAndSignature.AsSpan().SequenceEqual(s.KeyIdAndSignature))));
                }
            }
        }

        return SignedNote.Encode(published.Text, lines.Take(SignedNote.MaxSignatures));
    }

    private static bool IsCosignature(NoteSignature line) => line.KeyIdAndSignature.Length == CosignerKey.LineBytes && BinaryPrimitives.ReadInt64BigEndian(line.KeyIdAndSignature.AsSpan(4)) >= 0;
}
