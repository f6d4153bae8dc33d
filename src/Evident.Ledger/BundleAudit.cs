using System.Security.Cryptography;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// Holds a bundle against its signed manifest (docs/evidence.md, section 5). What the manifest says counts only under the identity key that the
/// ledger itself shows, so this comes after the pass over the ledger. Never writes; memory is that of the list of files.
/// </summary>
internal sealed class BundleAudit
{
    /// <summary>More findings of one kind than this are counted and not listed.</summary>
    private const int MaxListed = 200;

    private const int NotSeekable = 29, LinkFound = 40; // ESPIPE, ELOOP

    public const string HeadName = "checkpoint";

    private static readonly string[] Marks = [BundleManifest.FileName, BundleManifest.NoteName, HeadName, "epochs.txt"];

    private readonly LedgerFolder folder;
    private readonly List<Finding> findings = [];
    private readonly byte[]? hash;
    private readonly SignedNote? note;
    private readonly ManifestFiles files = new();
    private SignedNote? checkpointNote;
    private Checkpoint? checkpoint;
    private LedgerRange? range;
    private NoteKey? partIdentity;
    private int listed;

    private BundleAudit(LedgerFolder folder)
    {
        this.folder = folder;
        hash = HashOf(BundleManifest.FileName, out _);
        note = ReadNote();
        if (hash is null)
        {
            return;
        }

        using var file = folder.Open(BundleManifest.FileName);
        if (ManifestReader.TryRead(file, out var manifest, out files, out string failure))
        {
            Manifest = manifest;
        }
        else if (note is null || SignedHash is { } signed && signed.AsSpan().SequenceEqual(hash))
        {
            Report(Verdict.Malformed, BundleManifest.FileName, $"{BundleManifest.FileName} is no manifest of version 1: {failure}");
        }
    }

    /// <summary>Null when the folder is none of a bundle: it has none of the files that only a bundle has.</summary>
    public static BundleAudit? Open(LedgerFolder folder)
    {
        foreach (string mark in Marks)
        {
            if (folder.Has(mark))
            {
                return new BundleAudit(folder);
            }
        }

        return null;
    }

    /// <summary>What the manifest says, signed or not; null when it cannot be read.</summary>
    public BundleManifest? Manifest { get; }

    /// <summary>The hash that the note stands for; null when its text is not that of a manifest's note.</summary>
    private byte[]? SignedHash
    {
        get
        {
            string[] lines = note is null ? [] : Encoding.UTF8.GetString(note.Text).Split('\n');
            byte[] value = new byte[32];
            return lines.Length == 4 && lines[2].Length == LedgerFormat.HashPrefix.Length + 64
                && Convert.FromHexString(lines[2].AsSpan(LedgerFormat.HashPrefix.Length), value, out _, out int written) == System.Buffers.OperationStatus.Done && written == 32
                && BundleManifest.NoteText(lines[1], value).AsSpan().SequenceEqual(note!.Text)
                ? value
                : null;
        }
    }

    /// <summary>The file <c>checkpoint</c>; null, with a finding, when it is none.</summary>
    public (string Name, SignedNote Note, Checkpoint Checkpoint)? ReadCheckpoint()
    {
        if (!TryLook(HeadName, out _, out byte[]? bytes, whole: true))
        {
            return null;
        }

        if (!SignedNote.TryParse(bytes, out var parsed, out string failure))
        {
            Report(Verdict.Malformed, HeadName, $"{HeadName} is no signed note: {failure}");
        }
        else if (!Checkpoint.TryParse(parsed.Text, out var head) || head.Size == 0)
        {
            Report(Verdict.KeyViolation, HeadName, $"{HeadName} does not hold a signed checkpoint.");
        }
        else
        {
            (checkpoint, checkpointNote) = (head, parsed);
            return (HeadName, parsed, head);
        }

        return null;
    }

    /// <summary>What was found, once the ledger in the bundle has been read.</summary>
    /// <param name="ledger">The folder that the pass has read.</param>
    /// <param name="sound">Nothing serious was found in the ledger: what does not fit it is the bundle's fault.</param>
    public IReadOnlyList<Finding> Check(LedgerPass pass, LedgerFolder ledger, bool sound, CancellationToken cancellation)
    {
        var identity = pass.Identity ?? partIdentity;
        string origin = identity?.Name ?? pass.Origin;
        bool signed = IsSigned(origin, identity);
        if (pass.AllowWithheld && identity is not null && checkpoint is not null && (checkpoint.Origin != origin || !checkpointNote!.IsSignedBy(identity)))
        {
            Report(Verdict.KeyViolation, HeadName, $"{HeadName} is not signed by this ledger's identity key.");
        }

        if (Manifest is not null)
        {
            CheckFiles(cancellation);
            CheckOthers("");
        }

        if (Manifest is { } manifest && signed) // else what it says of the ledger is nobody's word
        {
            if (manifest.Origin != origin)
            {
                Report(Verdict.KeyViolation, BundleManifest.FileName, $"the manifest is for '{manifest.Origin}', the ledger in the bundle is '{origin}'.");
            }

            if (checkpoint is not null && (checkpoint.Size != manifest.Head.Size || !checkpoint.Root.AsSpan().SequenceEqual(manifest.Head.Root)))
            {
                Report(Verdict.Altered, HeadName, $"{HeadName} is not the head that the manifest rests on.");
            }

            if (pass.AllowWithheld)
            {
                CheckPart(manifest, pass, sound);
            }
            else
            {
                CheckWhole(manifest, pass, ledger, sound, cancellation);
            }
        }

        if (listed > MaxListed)
        {
            findings.Add(new Finding(0, $"{listed - MaxListed} more files of the bundle are not as the manifest says.", BundleManifest.FileName));
        }

        return findings;
    }

    /// <summary>The part in the bundle, its control entries checked; null, with findings, when it cannot be checked.</summary>
    public BundlePart? ReadPart(LedgerFolder ledger, List<Finding> into)
    {
        var head = checkpoint ?? (Manifest is { } manifest ? new Checkpoint(manifest.Origin, manifest.Head.Size, manifest.Head.Root) : null);
        if (head is null)
        {
            return null; // reported: nothing says what the part belongs to
        }

        try
        {
            var part = BundlePart.Read(ledger, head, into, out partIdentity);
            range = part?.Range;
            return part;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            into.Add(new Finding(Verdict.Incomplete, $"{LedgerRange.FileName} could not be read: {e.Message}", "ledger/" + LedgerRange.FileName));
            return null;
        }
    }

    private void CheckPart(BundleManifest manifest, LedgerPass pass, bool sound)
    {
        if (range is not null && (manifest.From != range.From || manifest.To != range.To || manifest.Head.Size != range.Size || (sound && manifest.Withheld != pass.Withheld)))
        {
            Report(Verdict.Altered, BundleManifest.FileName, $"the manifest is for entries {manifest.From}..{manifest.To - 1} of {manifest.Head.Size}, {manifest.Withheld} withheld; the bundle has another part.");
        }

        if (TileAudit.HasTiles(files))
        {
            Report(Verdict.Altered, BundleManifest.FileName, "a part of a ledger has no tiles.");
        }
    }

    private void CheckWhole(BundleManifest manifest, LedgerPass pass, LedgerFolder ledger, bool sound, CancellationToken cancellation)
    {
        if (!manifest.IsWhole)
        {
            Report(Verdict.Altered, BundleManifest.FileName, "the manifest is for a part of a ledger, and the bundle has no range.json.");
        }
        else if (sound && pass.Size > manifest.Head.Size)
        {
            Report(Verdict.Altered, BundleManifest.FileName, $"the ledger in the bundle has {pass.Size} entries, the head that it rests on {manifest.Head.Size}.");
        }
        else if (sound && pass.Size == manifest.Head.Size && TileAudit.HasTiles(files))
        {
            try
            {
                CheckTiles(ledger, pass.Size, cancellation);
            }
            catch (Exception e) when (e is LedgerStateException or IOException)
            {
                Report(Verdict.Incomplete, "tile", $"the tiles could not be compared: {e.Message}");
            }
        }
    }

    private void CheckTiles(LedgerFolder ledger, long size, CancellationToken cancellation)
    {
        using var audit = new TileAudit(files, ReportFile);
        using var entries = new EntryCursor(ledger, 0, size);
        var tiles = new TileWriter(audit);
        Span<byte> leaf = stackalloc byte[32];
        while (entries.NextEntry())
        {
            Merkle.LeafOfPrefixed(entries.Prefixed, leaf);
            tiles.Add(entries.Line, leaf);
            if (entries.Seq % 4_096 == 0)
            {
                cancellation.ThrowIfCancellationRequested();
            }
        }

        tiles.Finish();
        audit.Finish();
    }

    private bool IsSigned(string origin, NoteKey? identity)
    {
        if (note is null || identity is null)
        {
            return false; // reported, or nothing to check with
        }

        if (SignedHash is not { } signed)
        {
            Report(Verdict.KeyViolation, BundleManifest.NoteName, $"{BundleManifest.NoteName} does not hold the signed text of a manifest.");
            return false;
        }

        if (!note.Text.AsSpan().SequenceEqual(BundleManifest.NoteText(origin, signed)) || !note.IsSignedBy(identity))
        {
            Report(Verdict.KeyViolation, BundleManifest.NoteName, $"{BundleManifest.NoteName} is not signed by this ledger's identity key.");
            return false;
        }

        if (hash is not null && !signed.AsSpan().SequenceEqual(hash))
        {
            Report(Verdict.Altered, BundleManifest.FileName, $"{BundleManifest.FileName} is not the one that was signed.");
            return false;
        }

        return hash is not null;
    }

    private SignedNote? ReadNote()
    {
        if (!TryLook(BundleManifest.NoteName, out _, out byte[]? bytes, whole: true))
        {
            return null;
        }

        if (SignedNote.TryParse(bytes, out var parsed, out string failure))
        {
            return parsed;
        }

        Report(Verdict.Malformed, BundleManifest.NoteName, $"{BundleManifest.NoteName} is no signed note: {failure}");
        return null;
    }

    private void CheckFiles(CancellationToken cancellation)
    {
        for (int i = 0; i < files.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            string name = files.Name(i);
            if (name == HeadName && checkpoint is null && findings.Exists(f => f.Segment == HeadName && f.Code == Verdict.Incomplete))
            {
                continue; // reported already
            }

            if (HashOf(name, out long length) is { } found && (length != files.Bytes(i) || !files.Sha256(i).SequenceEqual(found)))
            {
                ReportFile(new Finding(Verdict.Altered, $"{name} is not the file that the manifest lists.", name));
            }
        }
    }

    private void CheckOthers(string inside)
    {
        foreach (var item in folder.List(inside))
        {
            string name = inside.Length == 0 ? item.Name : $"{inside}/{item.Name}";
            if (item.Kind == FolderItemKind.Folder)
            {
                CheckOthers(name);
            }
            else if (item.Kind == FolderItemKind.Other)
            {
                ReportFile(new Finding(Verdict.Malformed, $"{name} is a link where a plain file is needed.", name));
            }
            else if (files.Find(name) < 0 && name is not (BundleManifest.FileName or BundleManifest.NoteName))
            {
                ReportFile(new Finding(Verdict.Notes, $"{name} is not in the manifest.", name));
            }
        }
    }

    /// <summary>SHA-256 and length of a file; null, with a finding, when it is not there or cannot be read.</summary>
    private byte[]? HashOf(string name, out long length) => TryLook(name, out length, out byte[]? found, whole: false) ? found : null;

    private bool TryLook(string name, out long length, out byte[]? result, bool whole)
    {
        (length, result) = (0, null);
        try
        {
            if (whole)
            {
                result = folder.Read(name, SignedNote.MaxBytes + 1);
                return true;
            }

            using var file = folder.Open(name);
            using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            byte[] buffer = new byte[128 * 1024];
            for (int read = file.ReadAt(0, buffer); read > 0; read = file.ReadAt(length, buffer))
            {
                sum.AppendData(buffer, 0, read);
                length += read;
            }

            result = sum.GetHashAndReset();
            return true;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            ReportFile(new Finding(Verdict.Incomplete, $"{name} is missing.", name));
        }
        catch (PosixException e) when (e.Errno is NotSeekable or LinkFound)
        {
            ReportFile(new Finding(Verdict.Malformed, $"{name} is a link or a special file where a plain one is needed.", name));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            ReportFile(new Finding(Verdict.Incomplete, $"{name} could not be read: {e.Message}", name));
        }

        return false;
    }

    private void Report(int code, string name, string sentence) => findings.Add(new Finding(code, sentence, name));

    private void ReportFile(Finding finding)
    {
        if (listed++ < MaxListed)
        {
            findings.Add(finding);
        }
        else if (!findings.Exists(f => f.Code == finding.Code))
        {
            findings.Add(finding); // the verdict must not depend on how many there are
        }
    }
}
