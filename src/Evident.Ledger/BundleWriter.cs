using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>What an auditor is to get.</summary>
public sealed class BundleRequest
{
    /// <summary>The ledger directory; its writer may be running.</summary>
    public required string Directory { get; init; }

    /// <summary>The published size that the bundle rests on.</summary>
    public required long Size { get; init; }

    /// <summary>The first entry; widened to the start of its group.</summary>
    public long From { get; init; }

    /// <summary>One past the last entry, widened to the end of its group; null for the published size.</summary>
    public long? To { get; init; }

    /// <summary>Only this tenant's entries (and the ledger's own) are shown; the others are withheld lines.</summary>
    public string? TenantId { get; init; }

    /// <summary>32 hex digits.</summary>
    public required string ExportId { get; init; }

    public required long CreatedUnixMillis { get; init; }

    /// <summary>Version of the program that writes.</summary>
    public required string Tool { get; init; }

    /// <summary>Further files: name in the bundle and content.</summary>
    public IReadOnlyList<(string Name, byte[] Content)> Documents { get; init; } = [];
}

/// <summary>The bundle that was asked for cannot be made; the message is one sentence.</summary>
public sealed class ExportRefusedException(string message) : Exception(message);

/// <summary>
/// Writes an auditor's bundle beside a running appliance: everything but the manifest's note, which only the owner of the identity key can
/// make. Reads published entries only; flat memory but for the list of files.
/// </summary>
public sealed class BundleWriter : IDisposable
{
    private readonly BundleRequest request;
    private readonly BundleTarget target;
    private readonly CancellationToken cancellation;

    private BundleWriter(BundleRequest request, BundleTarget target, CancellationToken cancellation) =>
        (this.request, this.target, this.cancellation) = (request, target, cancellation);

    /// <summary>First entry and one past the last one in the bundle, group boundaries both.</summary>
    public long From { get; private set; }

    public long To { get; private set; }

    /// <summary>Entries of the range whose bytes are not in it.</summary>
    public long Withheld { get; private set; }

    /// <summary>SHA-256 of MANIFEST.json, 32 bytes.</summary>
    public byte[] ManifestSha256 { get; private set; } = [];

    /// <summary>Writes all but MANIFEST.note under a temporary name; <see cref="Complete"/> finishes it, <see cref="Dispose"/> before that removes it.</summary>
    /// <param name="path">A directory that does not exist, or an archive when the name ends in <c>.tar</c>.</param>
    /// <exception cref="ExportRefusedException">There is no such range, tenant or published size.</exception>
    /// <exception cref="LedgerStateException">The ledger's files are not what was published.</exception>
    /// <exception cref="IOException">The target is there already or cannot be written.</exception>
    public static BundleWriter Write(string path, BundleRequest request, CancellationToken cancellation)
    {
        var checkpoint = PublishedNotes.Read(request.Directory, request.Size, out byte[] note);
        long to = request.To ?? request.Size;
        ThrowUnlessInside(request.From, to, request.Size);
        var survey = LedgerSurvey.Make(request.Directory, request.Size, request.TenantId, cancellation);
        if (request.TenantId is { } tenant && !survey.TenantSeen)
        {
            throw new ExportRefusedException($"no entry names the tenant '{tenant}'; give the id as the ledger shows it (`evident ledger cat`), which may be a pseudonym.");
        }

        var writer = new BundleWriter(request, BundleTarget.Create(path, request.CreatedUnixMillis / 1_000), cancellation);
        try
        {
            writer.From = LedgerReader.GroupOf(request.Directory, request.From, request.Size).First;
            writer.To = LedgerReader.GroupOf(request.Directory, to - 1, request.Size).End;
            writer.WriteAll(checkpoint, note, survey);
            return writer;
        }
        catch
        {
            writer.Dispose();
            throw;
        }
    }

    /// <summary>The head that a bundle rests on, when it is one that was published and the range one that a bundle can have.</summary>
    /// <exception cref="ExportRefusedException">It is not.</exception>
    public static LedgerHead CheckRange(string directory, long from, long to, long size)
    {
        var checkpoint = PublishedNotes.Read(directory, size, out _);
        ThrowUnlessInside(from, to, size);
        return LedgerReader.GroupOf(directory, from, size).First == from && LedgerReader.GroupOf(directory, to - 1, size).End == to
            ? new LedgerHead(size, checkpoint.Root)
            : throw new ExportRefusedException(string.Create(CultureInfo.InvariantCulture, $"entries {from} to {to - 1} are not whole groups."));
    }

    private static void ThrowUnlessInside(long from, long to, long size)
    {
        if (from < 0 || from >= to || to > size)
        {
            throw new ExportRefusedException(string.Create(CultureInfo.InvariantCulture,
                $"entries {from} to {to - 1} were asked for; the published head covers 0 to {size - 1}."));
        }
    }

    /// <summary>Adds the manifest's note, makes everything durable and gives the bundle its name.</summary>
    /// <exception cref="LedgerStateException">The note is not one for this manifest.</exception>
    public void Complete(byte[] note)
    {
        string origin = manifest!.Origin;
        if (!SignedNote.TryParse(note, out var parsed, out _) || !parsed.Text.AsSpan().SequenceEqual(BundleManifest.NoteText(origin, ManifestSha256)))
        {
            throw new LedgerStateException("the appliance signed another manifest than the one that was written.");
        }

        target.Add(BundleManifest.NoteName, note);
        target.Complete();
    }

    private BundleManifest? manifest;

    private void WriteAll(Checkpoint checkpoint, byte[] note, LedgerSurvey survey)
    {
        bool whole = From == 0 && To == request.Size && request.TenantId is null;
        target.Add(BundleAudit.HeadName, AnchorNotes.WithCosignatures(request.Directory, request.Size) ?? note);
        foreach (var (name, content) in request.Documents)
        {
            target.Add(name, content);
        }

        target.Add("epochs.txt", Encoding.UTF8.GetBytes(EpochLines(survey)));
        target.Add("policy.txt", Encoding.UTF8.GetBytes(
            "# A template: the key of this log as the log itself names it, and no witness. It confirms nothing: an auditor writes his own.\n"
            + $"log {survey.Identity.ToVerifierKey()}\nquorum none\n"));
        WriteSegments(survey);
        byte[] root = whole ? WriteWhole(note) : WriteRange(survey);
        if (!root.AsSpan().SequenceEqual(checkpoint.Root))
        {
            throw new LedgerStateException(
                $"the entries in '{request.Directory}' do not have the root that was published for {request.Size}: they were altered. Run `evident verify`.");
        }

        var files = target.Files();
        if (files.Count > BundleManifest.MaxFiles)
        {
            throw new ExportRefusedException($"the bundle would have {files.Count} files, more than {BundleManifest.MaxFiles}; export a range with --from and --to.");
        }

        manifest = new BundleManifest(
            checkpoint.Origin, request.ExportId, Rfc3339.FormatMillis(request.CreatedUnixMillis), request.Tool, new LedgerHead(checkpoint.Size, checkpoint.Root),
            From, To, Withheld, request.TenantId);
        byte[] bytes = manifest.Encode(files);
        ManifestSha256 = SHA256.HashData(bytes);
        target.Add(BundleManifest.FileName, bytes);
    }

    private string EpochLines(LedgerSurvey survey)
    {
        var text = new StringBuilder();
        for (int i = 0; i < survey.Epochs.Count; i++)
        {
            var epoch = survey.Epochs[i];
            long end = i + 1 < survey.Epochs.Count ? survey.Epochs[i + 1].FirstSeq : request.Size;
            text.Append(CultureInfo.InvariantCulture, $"{epoch.Number} {epoch.FirstSeq} {end} {epoch.Key.ToVerifierKey()} {epoch.Custody}\n");
        }

        return text.ToString();
    }

    private void WriteSegments(LedgerSurvey survey)
    {
        var choice = request.TenantId is null ? null : new TenantChoice(request.TenantId, survey.TenantScopes);
        using var lines = new EntryCursor(request.Directory, From, To);
        SegmentName? open = null;
        while (lines.NextLine())
        {
            if (open != lines.Segment)
            {
                if (open is not null)
                {
                    target.End();
                }

                open = lines.Segment;
                target.Begin("ledger/" + LedgerFormat.SegmentName(lines.Seq));
            }

            if (lines.IsCheckpoint || choice is null || choice.Shows(lines.Line))
            {
                target.Write(lines.Line);
            }
            else
            {
                target.Write(WithheldLine.Encode(Merkle.Leaf(lines.Line)));
                Withheld++;
            }

            target.Write("\n"u8);
            if (lines.Seq % 4_096 == 0)
            {
                cancellation.ThrowIfCancellationRequested();
            }
        }

        target.End();
    }

    /// <summary>What lies beside the segments, and the tiles; returns the root over all entries.</summary>
    private byte[] WriteWhole(byte[] note)
    {
        target.Add("ledger/genesis.note", HeadStore.ReadNote(Path.Combine(request.Directory, "genesis.note")));
        target.Add("ledger/head.a", note);
        target.Add("ledger/checkpoints/" + LedgerFormat.PublishedName(request.Size), note); // the newest; every other size stands in the segments
        var folder = new DirectoryFolder(request.Directory);
        foreach (var item in folder.List(AnchorNotes.Folder))
        {
            if (item.Kind == FolderItemKind.File && AnchorNotes.TryParseName(item.Name, out long size, out _) && size <= request.Size)
            {
                target.Add($"ledger/{AnchorNotes.Folder}/{item.Name}", folder.Read($"{AnchorNotes.Folder}/{item.Name}", SignedNote.MaxBytes));
            }
        }

        foreach (var item in folder.List("quarantine"))
        {
            if (item.Kind == FolderItemKind.File && BundleManifest.IsName(item.Name) && !item.Name.EndsWith(".tmp", StringComparison.Ordinal))
            {
                Copy("ledger/quarantine/" + item.Name, Path.Combine(request.Directory, "quarantine", item.Name));
            }
        }

        var tiles = new TileWriter(target);
        Span<byte> leaf = stackalloc byte[32];
        using var entries = new EntryCursor(request.Directory, 0, request.Size);
        while (entries.NextEntry())
        {
            Merkle.LeafOfPrefixed(entries.Prefixed, leaf);
            tiles.Add(entries.Line, leaf);
            if (entries.Seq % 4_096 == 0)
            {
                cancellation.ThrowIfCancellationRequested();
            }
        }

        return tiles.Finish();
    }

    private void Copy(string name, string path)
    {
        using var file = DurableFile.OpenRead(path);
        byte[] buffer = new byte[64 * 1024];
        target.Begin(name);
        long offset = 0;
        for (int read = file.ReadAt(offset, buffer); read > 0; read = file.ReadAt(offset, buffer))
        {
            target.Write(buffer.AsSpan(0, read));
            offset += read;
        }

        target.End();
    }

    /// <summary>range.json; returns the root of the whole ledger.</summary>
    private byte[] WriteRange(LedgerSurvey survey)
    {
        var tree = new LedgerTree(request.Directory);
        byte[] root = tree.Root(request.Size);
        var (left, right) = (new List<byte[]>(), new List<byte[]>());
        foreach (var (start, count) in LedgerRange.Cover(0, From))
        {
            left.Add(tree.Subtree(start, start + count));
        }

        foreach (var (start, count) in LedgerRange.Cover(To, request.Size))
        {
            right.Add(tree.Subtree(start, start + count));
        }

        long epoch = 1;
        var control = new List<ControlEntry>();
        foreach (var opened in survey.Epochs)
        {
            if (opened.FirstSeq >= From)
            {
                break;
            }

            epoch = opened.Number;
            var path = tree.InclusionPath(opened.FirstSeq, request.Size, out _);
            using var line = new EntryCursor(request.Directory, opened.FirstSeq, opened.FirstSeq + 1);
            _ = line.NextEntry();
            control.Add(new ControlEntry(Encoding.UTF8.GetString(line.Line), path, LedgerReader.CheckpointAt(request.Directory, opened.FirstSeq + 1)
                ?? throw new LedgerStateException($"entry {opened.FirstSeq} in '{request.Directory}' is not alone in its group. Run `evident verify`.")));
        }

        byte[] previous = new byte[32];
        if (From > 0)
        {
            using var before = new EntryCursor(request.Directory, From - 1, From);
            _ = before.NextEntry();
            Merkle.LeafOfPrefixed(before.Prefixed, previous);
        }

        var range = new LedgerRange(From, To, request.Size, LedgerReader.BatchOf(request.Directory, From, request.Size), epoch, previous, left, right);
        target.Add("ledger/" + LedgerRange.FileName, range.Encode(control));
        return root;
    }

    public void Dispose() => target.Dispose();
}

/// <summary>Which entries a tenant's bundle shows: those that name the tenant, those of its scopes, and the ledger's own.</summary>
internal sealed class TenantChoice(string tenant, HashSet<string> scopes)
{
    private readonly Lj1Parser parser = new();
    private readonly byte[] name = Encoding.UTF8.GetBytes(tenant);

    /// <exception cref="ExportRefusedException">The tenant's scope is another tenant's as well.</exception>
    public bool Shows(ReadOnlySpan<byte> line)
    {
        if (parser.Parse(line) != Lj1Error.None)
        {
            throw new LedgerStateException("a line of the ledger is not well formed. Run `evident verify`.");
        }

        var own = parser.Text(line, "tenant_id"u8);
        if (own.SequenceEqual(name) || parser.Text(line, "type"u8).StartsWith("ledger."u8))
        {
            return true;
        }

        var scope = parser.Text(line, "scope"u8);
        if (scope.IsEmpty || !scopes.Contains(Encoding.ASCII.GetString(scope)))
        {
            return false;
        }

        return own.IsEmpty ? true : throw new ExportRefusedException(
            $"the tenant '{tenant}' shares its scope with another one ('{Encoding.UTF8.GetString(own)}'), so that its entries alone would not show that they are complete; "
            + "export without --tenant.");
    }
}
