using System.Globalization;
using System.Security.Cryptography;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>What to verify and what the auditor brings along.</summary>
public sealed class VerifyRequest
{
    /// <summary>A data directory (it has <c>ledger/</c>), a ledger directory, or a bundle: a directory or a ustar archive.</summary>
    public required string Path { get; init; }

    /// <summary>Files with heads of this ledger that were kept elsewhere: signed notes, or the text form.</summary>
    public IReadOnlyList<string> KnownHeads { get; init; } = [];

    /// <summary>Files with payloads that were disclosed to the auditor: the ledger must name each with the commitment that it meets.</summary>
    public IReadOnlyList<string> Disclosed { get; init; } = [];

    /// <summary>A C2SP tlog-policy of the auditor's own, or null.</summary>
    public string? Policy { get; init; }

    /// <summary>Directory of the auditor's witness, which cosigns the newest published head after a verdict without accusation; or null.</summary>
    public string? Cosign { get; init; }

    /// <summary>The clock that a cosignature tells.</summary>
    public IClock Clock { get; init; } = SystemClock.Instance;

    /// <summary>More entries than this after the anchored size give ANCHOR-STALE.</summary>
    public long? MaxUnanchored { get; init; }

    /// <summary>Exit with 0 instead of 10; the verdict keeps its word.</summary>
    public bool AllowUnanchored { get; init; }

    /// <summary>Exit with 0 instead of 12; the verdict keeps its word.</summary>
    public bool AllowNotes { get; init; }

    /// <summary>
    /// Comparisons of a sound ledger with what else the appliance holds. Run after the pass, in order, and before the verdict: what they find counts like the
    /// pass's own findings. Left out, and said so, when the ledger itself is damaged.
    /// </summary>
    public IReadOnlyList<Func<AuditContext, IEnumerable<Finding>>> Audits { get; init; } = [];
}

/// <summary>What an audit rests on.</summary>
/// <param name="LedgerDirectory">The directory of the segments, whose first <paramref name="Entries"/> entries were checked.</param>
/// <param name="Entries">Entries under the newest valid checkpoint line.</param>
public sealed record AuditContext(string LedgerDirectory, long Entries, CancellationToken Cancellation);

/// <summary>
/// Checks a ledger without trusting the appliance. One sequential pass, flat memory, no write anywhere but to the auditor's own witness, no key of the appliance;
/// goes on after the first damage and names every damaged range.
/// </summary>
public static class LedgerVerifier
{
    /// <param name="request">What to look at.</param>
    /// <param name="progress">Told now and then how far the pass is.</param>
    /// <param name="cancellation">Ends with <see cref="OperationCanceledException"/>.</param>
    public static VerifyReport Verify(VerifyRequest request, IProgress<VerifyProgress>? progress = null, CancellationToken cancellation = default)
    {
        if (!TrustInputs.TryRead(request, out var trust, out string failure))
        {
            return Early(Verdict.Usage, failure);
        }

        using var opened = trust;
        try
        {
            if (!TryOpen(request.Path, trust.Heads, out var root, out var early))
            {
                return early;
            }

            using var held = root;
            using var folder = root.HasFolder("ledger") ? root.Within("ledger") : root;
            return new Verification(request, folder, BundleAudit.Open(root), trust, progress).Run(cancellation)
                ?? Nothing(trust.Heads, $"'{folder.Path}' holds no ledger segment.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Early(Verdict.Incomplete, $"'{request.Path}' could not be read: {e.Message}");
        }
    }

    private static bool TryOpen(string path, IReadOnlyList<KnownHead> known, out LedgerFolder root, out VerifyReport early)
    {
        (root, early) = (null!, null!);
        if (Directory.Exists(path))
        {
            root = new DirectoryFolder(path);
        }
        else if (!File.Exists(path))
        {
            early = Nothing(known, $"'{path}' is neither a directory nor an archive that can be read.");
        }
        else if (TarFolder.TryOpen(path, out var archive, out var problem))
        {
            root = archive;
        }
        else
        {
            early = new VerifyReport { VerdictCode = problem.Code, ExitCode = problem.Code, Summary = $"'{path}' cannot be used: {problem.Sentence}", Findings = [problem] };
        }

        return root is not null;
    }

    private static VerifyReport Nothing(IReadOnlyList<KnownHead> known, string why) => known.Any(k => k.Checkpoint.Size > 0)
        ? Early(Verdict.RolledBack, $"{why} A ledger of {known.Max(k => k.Checkpoint.Size)} entries is known to have existed.")
        : Early(Verdict.Incomplete, why);

    private static VerifyReport Early(int code, string sentence) => new() { VerdictCode = code, ExitCode = code, Summary = sentence };
}

/// <summary>How far a verification is; bytes are those of the segments.</summary>
public sealed record VerifyProgress(long Entries, long Bytes, long TotalBytes);

/// <summary>
/// One run of the verifier over one ledger directory. A writer may append meanwhile: what names a size (notes, the list of published
/// checkpoints) is read before the segments that must reach that size, and the end of the last segment is where it was found.
/// </summary>
internal sealed class Verification(
    VerifyRequest request, LedgerFolder folder, BundleAudit? bundle, TrustInputs trust, IProgress<VerifyProgress>? progress)
{
    private readonly LedgerPass pass = new(folder) { AllowWithheld = bundle is not null && folder.Has(LedgerRange.FileName) };
    private readonly List<Finding> findings = [];
    private readonly List<VerifyInput> inputs = [];
    private LedgerFiles files = null!;
    private ForkEvidence forks = null!;
    private HeadAudit heads = null!;
    private string? cosigned;
    private bool quorumMissed;
    private IReadOnlyList<KnownHead> known = [];
    private BundlePart? part;

    /// <summary>Null when there is no segment and no damage that would explain it.</summary>
    public VerifyReport? Run(CancellationToken cancellation)
    {
        forks = new ForkEvidence(folder, () => pass.Identity);
        heads = new HeadAudit(folder, pass, findings, forks);
        if (pass.AllowWithheld)
        {
            return RunPart(cancellation);
        }

        // Before the segments are listed: a writer may append, and what names a size must not be newer than what is read.
        var beside = new List<(string Name, SignedNote Note, long Size)>();
        ReadBeside("genesis.note", 1, beside);
        ReadBeside("head.a", -1, beside);
        ReadBeside("head.b", -1, beside);
        var rests = bundle?.ReadCheckpoint();
        var anchors = new Anchors(folder, trust.Policy, findings);
        files = LedgerFiles.List(folder, bundle is not null);
        if (files.Segments.Count == 0 && !files.Findings.Any(f => f.Code >= Verdict.RolledBack))
        {
            return null;
        }

        findings.InsertRange(0, files.Findings);
        foreach (var (_, note, _) in beside)
        {
            heads.Wanted.Add(Checkpoint.TryParse(note.Text, out var checkpoint) ? checkpoint.Size : 0);
        }

        heads.Wanted.Add(rests?.Checkpoint.Size ?? 0);
        heads.Expect(files.Published);
        Pass(anchors, cancellation);
        heads.CheckPublished();
        foreach (var (name, note, size) in beside)
        {
            heads.Published(name, note, size);
        }

        if (rests is { } head && heads.Published(head.Name, head.Note, -1))
        {
            anchors.Count("the bundle's checkpoint", head.Name, head.Note, head.Checkpoint);
        }

        return Report(anchors, cancellation);
    }

    /// <summary>A part of a ledger in a bundle: range.json connects it with the bundle's checkpoint, which stands in place of the notes beside a ledger.</summary>
    private VerifyReport? RunPart(CancellationToken cancellation)
    {
        files = LedgerFiles.List(folder, inBundle: true, isPart: true);
        findings.AddRange(files.Findings);
        var anchors = new Anchors(null, trust.Policy, findings); // a part has no anchors/
        var head = bundle!.ReadCheckpoint();
        part = bundle.ReadPart(folder, findings);
        if (part is not null)
        {
            heads.Wanted.Add(part.Range.From);
            part.Begin(pass);
            Pass(anchors, cancellation);
            bool closed = part.Close(pass, !heads.Damaged, findings, heads.Roots);
            if (closed && head is { } rests && rests.Note.IsSignedBy(pass.Identity!) && anchors.Count("the bundle's checkpoint", rests.Name, rests.Note, rests.Checkpoint))
            {
                heads.Newest = System.Text.Encoding.UTF8.GetString(rests.Note.Encode());
            }
        }

        return Report(anchors, cancellation);
    }

    private void Pass(Anchors anchors, CancellationToken cancellation)
    {
        foreach (var head in trust.Heads)
        {
            heads.Wanted.Add(head.Checkpoint.Size);
        }

        anchors.AddSizesTo(heads.Wanted);
        trust.Witness?.AddSizesTo(heads.Wanted);
        pass.Progress = progress;
        pass.OnSigned = heads.See;
        pass.Run(files.Segments, 0, cancellation);
        findings.AddRange(pass.Findings);
        heads.Damaged = files.Findings.Concat(pass.Findings).Any(static f => f.Code >= Verdict.RolledBack);
        NoteTornAndQuarantine();
    }

    private VerifyReport Report(Anchors anchors, CancellationToken cancellation)
    {
        bool damaged = Damaged; // by the ledger's own findings, not by what is compared with it
        var (anchored, by) = CheckTrusted(anchors);
        Compare(damaged, cancellation);
        foreach (var (file, disclosure) in damaged ? [] : trust.Disclosures)
        {
            findings.Add(disclosure.Check(folder, files.Segments, pass.Origin, file, cancellation));
        }

        if (bundle is not null)
        {
            findings.AddRange(bundle.Check(pass, folder, sound: !damaged, cancellation));
        }

        if (trust.Witness is not null && pass.AllowWithheld)
        {
            findings.Add(new Finding(Verdict.Incomplete, "nothing was cosigned: a part of a ledger does not show that it extends what was cosigned before."));
        }

        var report = Judge(anchored, by);
        if (trust.Witness is { } witness && !pass.AllowWithheld && report.VerdictCode < Verdict.RolledBack)
        {
            cosigned = witness.Cosign(heads.Newest, request.Clock, findings); // a failure is a finding more
            report = Judge(anchored, by);
        }

        return report;
    }

    /// <summary>Everything that came from outside, against the ledger: the largest size that a head or the policy's quorum confirms, and who did.</summary>
    private (long Size, string By) CheckTrusted(Anchors anchors)
    {
        var found = new LedgerFound(folder, pass.Origin, pass.Identity);
        anchors.CheckLog(pass.Identity);
        anchors.CheckFiles(found, heads);
        if (trust.Witness?.CheckLog(pass.Identity) is { } other)
        {
            findings.Add(other);
        }

        known = trust.Witness?.HeadOf(pass.Origin) is { } last ? [.. trust.Heads, last] : trust.Heads;
        forks.Compare(known, heads.Roots, findings);
        long anchored = -1;
        string by = "";
        foreach (var head in known)
        {
            if (heads.Known(head, Comparable) && anchors.Count($"the known head {head.File}", "", head.Note, head.Checkpoint) && head.Checkpoint.Size > anchored)
            {
                (anchored, by) = (head.Checkpoint.Size, head.File);
            }
        }

        var (quorum, witnesses) = anchors.Quorum();
        quorumMissed = trust.Policy is { HasQuorum: true } && quorum < 0;
        return quorum > anchored ? (quorum, witnesses) : (anchored, by);
    }

    private void Compare(bool damaged, CancellationToken cancellation)
    {
        if (request.Audits.Count > 0 && bundle is not null)
        {
            findings.Add(new Finding(Verdict.Incomplete, "a bundle holds the ledger alone: nothing else of the appliance is there to be compared with it."));
            return;
        }

        if (request.Audits.Count > 0 && damaged)
        {
            findings.Add(new Finding(0, "the ledger was not compared with what else the appliance holds, because of the damage reported."));
            return;
        }

        foreach (var audit in request.Audits)
        {
            findings.AddRange(audit(new AuditContext(folder.Path, pass.Size, cancellation)));
        }
    }

    /// <summary>What a part says about a size: only those that it shows can be compared; null for a whole ledger.</summary>
    private Func<Checkpoint, bool>? Comparable => !pass.AllowWithheld ? null
        : head => part is not null && head.Size >= part.Range.From && (head.Size <= part.Range.To || head.Size > part.Range.Size);

    private void ReadBeside(string name, long size, List<(string, SignedNote, long)> beside)
    {
        if (folder.Has(name) && heads.Read(name) is { } note)
        {
            beside.Add((name, note, size));
            inputs.Add(new VerifyInput(name, LedgerFormat.HashText(SHA256.HashData(note.Encode())))); // canonical: its bytes are the file's
        }
    }

    /// <summary>Damage that is reported may be why no valid checkpoint line of some size was seen.</summary>
    private bool Damaged => findings.Concat(pass.Findings).Any(f => f.Code >= Verdict.RolledBack);

    private void NoteTornAndQuarantine()
    {
        if (pass.Torn is { } torn)
        {
            findings.Add(new Finding(
                Verdict.Notes, $"a torn tail of {torn.Length} bytes: a group commit that was interrupted and never acknowledged, or is being written now.",
                torn.Segment, 0, torn.Offset, torn.Offset + torn.Length, pass.Size, pass.Size));
        }

        foreach (string name in files.Quarantined.Where(q => !pass.Recovered.Contains(q) && !q.EndsWith(".tmp", StringComparison.Ordinal)))
        {
            findings.Add(new Finding(Verdict.Notes, $"quarantine/{name} is named by no recovery entry.", "quarantine/" + name));
        }

        foreach (string name in pass.Recovered.Except(files.Quarantined))
        {
            findings.Add(new Finding(0, $"quarantine/{name}, named by a recovery entry, is not there.", "quarantine/" + name));
        }

        if (pass.Size == 0 && !findings.Any(f => f.Code >= Verdict.RolledBack))
        {
            findings.Add(new Finding(Verdict.Incomplete, "no complete group was found."));
        }

        if (pass.TreeLost)
        {
            findings.Add(new Finding(0, "after the damage reported here, roots could not be recomputed; chain and signatures were checked to the end."));
        }
    }

    private VerifyReport Judge(long anchored, string by)
    {
        var codes = new List<int>();
        foreach (var finding in findings)
        {
            if (finding.Code >= Verdict.RolledBack)
            {
                codes.Add(finding.Code);
            }
        }

        bool notes = findings.Any(f => f.Code == Verdict.Notes && (f.FromSeq < 0 || f.ToSeq >= anchored)); // one about two entries stands at the second
        if (notes)
        {
            codes.Add(Verdict.Notes);
        }

        if (quorumMissed || (anchored >= 0 && request.MaxUnanchored is { } limit && pass.Size - anchored > limit))
        {
            codes.Add(Verdict.AnchorStale);
        }
        else if (anchored < 0)
        {
            codes.Add(Verdict.Unanchored);
        }

        int code = Verdict.MostSerious(codes);
        int exit = (code == Verdict.Unanchored && request.AllowUnanchored) || (code == Verdict.Notes && request.AllowNotes) ? 0 : code;
        return new VerifyReport
        {
            VerdictCode = code,
            ExitCode = exit,
            Summary = Summary(code),
            Origin = pass.Origin,
            GenesisHash = pass.GenesisHash.Length > 0 ? LedgerFormat.HashText(pass.GenesisHash) : "",
            IdentityKey = pass.Identity?.ToVerifierKey() ?? "",
            Entries = pass.Size,
            Root = LedgerFormat.HashText(pass.Root),
            FirstTime = pass.FirstTime ?? "",
            LastTime = pass.LastTime ?? "",
            AnchoredSize = anchored,
            AnchoredBy = by,
            NewestHead = heads.Newest,
            Epochs = pass.Epochs,
            Bundle = bundle?.Manifest,
            Findings = findings,
            Inputs = [.. trust.Files, .. known.Skip(trust.Heads.Count).Select(k => new VerifyInput(k.File, k.Sha256)), .. inputs],
            Forks = forks.Forks,
            Cosigned = cosigned ?? "",
            Directory = folder.Path,
            Segments = files.Segments.Count,
            SegmentBytes = pass.Bytes,
            Heartbeats = pass.Heartbeats,
            Silences = pass.Silences,
            Sources = pass.Sources?.Count ?? 0,
            SourceGaps = pass.Sources?.Gaps ?? 0,
        };
    }

    private string Summary(int code) => code switch
    {
        Verdict.Verified => "every check passed, and the ledger contains what was supplied.",
        Verdict.Unanchored => "internally sound, but nothing from outside this machine confirms it; supply a head with --known-head, or witnesses with --policy.",
        Verdict.AnchorStale when quorumMissed => "sound, but the cosignatures that were found do not satisfy the policy's quorum for any head.",
        Verdict.AnchorStale => string.Create(CultureInfo.InvariantCulture, $"sound, but more than {request.MaxUnanchored} entries follow the newest supplied head."),
        Verdict.Notes => "sound and anchored, with notes that a person should read.",
        Verdict.RolledBack => "the ledger is shorter than it is known to have been.",
        Verdict.Forked => "the ledger contradicts a head that was signed for it.",
        Verdict.Altered => "lines, or spans that the ledger sealed, are not those that were written.",
        Verdict.KeyViolation => "a signature is invalid or a key was used where it may not be.",
        Verdict.Malformed => "the files are not in the ledger's format.",
        Verdict.VaultMismatch => "the ledger is sound, and the vault, or a payload that was disclosed, is not what it names.",
        Verdict.IndexMismatch => "the ledger is sound, and what else the appliance holds shows something else.",
        _ => "something could not be read; this accuses nobody.",
    };
}
