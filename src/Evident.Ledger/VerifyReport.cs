using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>What the verifier found. Exit codes and words: docs/ledger-format.md, "Verdicts".</summary>
public sealed class VerifyReport
{
    /// <summary>The code of the verdict itself, before any <c>--allow-</c> flag.</summary>
    public required int VerdictCode { get; init; }

    /// <summary>The code the command exits with.</summary>
    public required int ExitCode { get; init; }

    /// <summary>The verdict's word; an <c>--allow-</c> flag never changes it.</summary>
    public string Verdict => Ledger.Verdict.Word(VerdictCode);

    /// <summary>One sentence under the verdict.</summary>
    public required string Summary { get; init; }

    public string Origin { get; init; } = "";

    public string GenesisHash { get; init; } = "";

    /// <summary>Verifier key of the identity, empty when entry 0 does not show one that fits the origin.</summary>
    public string IdentityKey { get; init; } = "";

    /// <summary>Entries under the newest valid checkpoint line.</summary>
    public long Entries { get; init; }

    public string Root { get; init; } = "";

    public string FirstTime { get; init; } = "";

    public string LastTime { get; init; } = "";

    /// <summary>Size of the largest supplied head that the ledger contains; -1 when none was supplied or none fits.</summary>
    public long AnchoredSize { get; init; } = -1;

    /// <summary>The file that head came from.</summary>
    public string AnchoredBy { get; init; } = "";

    /// <summary>Entries that rest on the keys of the host alone.</summary>
    public long Unanchored => Entries - Math.Max(AnchoredSize, 0);

    /// <summary>The newest published checkpoint, the thing to write down and keep elsewhere; empty when there is none.</summary>
    public string NewestHead { get; init; } = "";

    /// <summary>Pairs of contradicting heads under this identity, both notes verbatim.</summary>
    public IReadOnlyList<Fork> Forks { get; init; } = [];

    /// <summary>The newest published head with the cosignature of the auditor's witness; empty when none was asked for or given.</summary>
    public string Cosigned { get; init; } = "";

    /// <summary>What the bundle says that it is, when it was one; its findings say whether that is so.</summary>
    internal BundleManifest? Bundle { get; init; }

    internal IReadOnlyList<LedgerPass.EpochSummary> Epochs { get; init; } = [];

    public IReadOnlyList<Finding> Findings { get; init; } = [];

    /// <summary>The ledger directory that was read, its segments and their bytes.</summary>
    public string Directory { get; init; } = "";

    public int Segments { get; init; }

    public long SegmentBytes { get; init; }

    /// <summary>Heartbeats, and the times without any sign of life where one was due.</summary>
    public long Heartbeats { get; init; }

    public long Silences { get; init; }

    /// <summary>Sources that number their records, and the gaps in their numbers.</summary>
    public int Sources { get; init; }

    public long SourceGaps { get; init; }

    /// <summary>Supplied files and the notes beside the segments, with their SHA-256; the segments are named by size and root.</summary>
    public IReadOnlyList<VerifyInput> Inputs { get; init; } = [];

    /// <summary>Version of the verifier that wrote this.</summary>
    public static string VerifierVersion { get; } = typeof(VerifyReport).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    /// <summary><c>sha256:</c> of the running executable; empty when the system does not show it.</summary>
    public static string VerifierSha256 => OwnHash.Value;

    private static readonly Lazy<string> OwnHash = new(static () =>
    {
        try
        {
            using var file = Environment.ProcessPath is { } path ? File.OpenRead(path) : null;
            return file is null ? "" : LedgerFormat.HashText(System.Security.Cryptography.SHA256.HashData(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    });

    private string NotProven => string.Create(
        CultureInfo.InvariantCulture,
        $"Not proven by this report: events that were never sent to the appliance; that what was sent is true; that shredded bytes are gone from "
        + $"the medium beyond the level a receipt states; {(AnchoredSize > 0 ? $"anything after the anchored size, {AnchoredSize} entries" : "anything at all, because no size is anchored")}, which whoever holds the host "
        + $"and its current keys could have rewritten; wall-clock times beyond what an outside anchor bounds.");

    private const string Levels =
        "Old epoch keys after a rotation: L1 the file was overwritten, synced and unlinked, remnants on flash are possible; L2 what may be left opens nothing without this machine's TPM; L3 the key never left its token.";

    public string ToText()
    {
        var text = new StringBuilder();
        var culture = CultureInfo.InvariantCulture;
        text.AppendLine(culture, $"{Verdict} ({VerdictCode}): {Summary}");
        text.AppendLine(culture, $"{Unanchored} of {Entries} entries rest on the keys of the host alone.");
        if (AnchoredSize >= 0)
        {
            text.AppendLine(culture, $"Anchored up to entry {AnchoredSize - 1} by {AnchoredBy}.");
        }

        text.AppendLine();
        if (Bundle is { } bundle)
        {
            Row("bundle", string.Create(culture, $"export {bundle.ExportId} of {bundle.Created} by version {bundle.Tool}: entries {bundle.From}..{bundle.To - 1} of {bundle.Head.Size}"));
            Row("shown", bundle.Withheld == 0 ? "all of them" : string.Create(culture, $"{bundle.To - bundle.From - bundle.Withheld} of them{(bundle.TenantId is null ? "" : $", for tenant {bundle.TenantId}")}; of the others the hashes"));
        }

        Row("origin", Origin);
        Row("identity key", IdentityKey);
        Row("genesis hash", GenesisHash);
        Row("entries", Entries.ToString(culture));
        Row("root", Root);
        Row("first entry", FirstTime);
        Row("last entry", LastTime);
        foreach (var epoch in Epochs)
        {
            string level = epoch.Level.Length > 0 ? $" ({epoch.Level}: see below)" : "";
            Row($"epoch {epoch.Number}", $"from entry {epoch.FirstSeq}, key kept in {epoch.Custody}{level}, opened for {epoch.Reason}, {epoch.PublicKey}");
        }

        if (Directory.Length > 0)
        {
            Row("heartbeats", string.Create(culture, $"{Heartbeats}, silences {Silences}"));
            Row("sources", string.Create(culture, $"{Sources} numbered, gaps {SourceGaps}"));
            Row("ledger", string.Create(culture, $"{Directory}, {Segments} segments, {SegmentBytes} bytes"));
        }


        foreach (var (file, hash) in Inputs)
        {
            Row("input", $"{file} {hash}");
        }

        if (NewestHead.Length > 0)
        {
            text.AppendLine().AppendLine("Newest published head. Write it down and keep it away from this machine:").AppendLine();
            foreach (string line in NewestHead.TrimEnd('\n').Split('\n'))
            {
                text.Append("    ").AppendLine(line);
            }
        }

        text.AppendLine().AppendLine(Findings.Count == 0 ? "Findings: none." : "Findings:");
        foreach (var f in Findings)
        {
            text.Append(culture, $"  {f.Code,2}  ");
            if (f.FromSeq >= 0)
            {
                text.Append(f.FromSeq == f.ToSeq ? $"entry {f.FromSeq.ToString(culture)}  " : string.Create(culture, $"entries {f.FromSeq}..{f.ToSeq}  "));
            }

            if (f.Line > 0)
            {
                text.Append(culture, $"{f.Segment}, line {f.Line}, bytes {f.FromByte}..{f.ToByte}  ");
            }
            else if (f.Segment.Length > 0)
            {
                text.Append(culture, $"{f.Segment}  ");
            }

            text.AppendLine(f.Sentence);
        }

        ForkEvidence.Append(text, Forks);
        text.AppendLine().AppendLine(NotProven).AppendLine();
        if (Epochs.Count > 0)
        {
            text.AppendLine(Levels).AppendLine();
        }

        text.AppendLine(culture, $"evident verify {VerifierVersion}, executable {(VerifierSha256.Length > 0 ? VerifierSha256 : "not readable")}");
        if (Cosigned.Length > 0)
        {
            text.AppendLine().AppendLine("Cosigned by your witness. Hand this note to the ledger's operator (evident ledger anchor) and keep a copy:").AppendLine().Append(Cosigned);
        }

        return text.ToString();

        void Row(string name, string value)
        {
            if (value.Length > 0)
            {
                text.AppendLine(culture, $"{name,-14}{value}");
            }
        }
    }

    /// <summary>One LJ-1 object; <c>findings</c> in the order of the files. Not bounded by the line length of the ledger.</summary>
    public byte[] ToJson()
    {
        var root = new Lj1ObjectBuilder()
            .Set("verdict", Verdict).Set("code", VerdictCode).Set("exit", ExitCode).Set("summary", Summary)
            .Set("entries", Entries).Set("unanchored", Unanchored).Set("origin", Origin).Set("identity_key", IdentityKey)
            .Set("genesis_hash", GenesisHash).Set("root", Root).Set("first_time", FirstTime).Set("last_time", LastTime)
            .Set("newest_head", NewestHead).Set("not_proven", NotProven).Set("verifier", VerifierVersion).Set("verifier_sha256", VerifierSha256)
            .Set("segments", Segments).Set("segment_bytes", SegmentBytes).Set("heartbeats", Heartbeats).Set("silences", Silences)
            .Set("sources", Sources).Set("source_gaps", SourceGaps)
            .Set("epochs", Epochs.Select(e => (Action<Lj1ObjectBuilder>)(b => b
                .Set("number", e.Number).Set("first_seq", e.FirstSeq).Set("custody", e.Custody).Set("level", e.Level).Set("key", e.PublicKey).Set("reason", e.Reason))))
            .Set("inputs", Inputs.Select(i => (Action<Lj1ObjectBuilder>)(b => b.Set("file", i.File).Set("sha256", i.Sha256))))
            .Set("findings", Findings.Select(f => (Action<Lj1ObjectBuilder>)(b =>
            {
                b.Set("code", f.Code).Set("sentence", f.Sentence);
                if (f.Segment.Length > 0)
                {
                    b.Set("file", f.Segment);
                }

                if (f.Line > 0)
                {
                    b.Set("line", f.Line).Set("from_byte", f.FromByte).Set("to_byte", f.ToByte);
                }

                if (f.FromSeq >= 0)
                {
                    b.Set("from_seq", f.FromSeq).Set("to_seq", f.ToSeq);
                }
            })));
        if (Forks.Count > 0)
        {
            root.Set("fork_evidence", ForkEvidence.ToJson(Forks));
        }

        if (Cosigned.Length > 0)
        {
            root.Set("cosigned", Cosigned);
        }

        if (Bundle is { } bundle)
        {
            root.Set("bundle", b => b.Set("export_id", bundle.ExportId).Set("created", bundle.Created).Set("tool", bundle.Tool).Set("size", bundle.Head.Size)
                .Set("from", bundle.From).Set("to", bundle.To).Set("withheld", bundle.Withheld).SetIf("tenant_id", bundle.TenantId));
        }

        if (AnchoredSize >= 0)
        {
            root.Set("anchored_size", AnchoredSize).Set("anchored_by", AnchoredBy);
        }

        return root.ToBytes();
    }
}
