namespace Evident.Ledger;

/// <summary>A segment file: its name, the sequence number that the name states, and whether it is a plain file.</summary>
internal sealed record SegmentName(string Name, long First, bool Plain = true);

/// <summary>What stands in a ledger directory; every name that the format does not know is a finding, nothing is opened.</summary>
internal sealed class LedgerFiles
{
    /// <summary>Stands while the acceptance of a lost history is under way; a start refuses until that is finished.</summary>
    public const string PendingIncarnation = "incarnation.pending";

    private static readonly string[] HeadFiles = ["genesis.note", "head.a", "head.b"];
    private static readonly string[] OtherFiles = [PendingIncarnation, PendingIncarnation + ".tmp", "genesis.note.tmp", "head.a.tmp", "head.b.tmp"];
    private static readonly string[] KnownDirectories = ["checkpoints", "anchors", "quarantine"];

    private LedgerFiles(IReadOnlyList<SegmentName> segments, IReadOnlyList<(long, string)> published, IReadOnlyList<string> quarantined, IReadOnlyList<Finding> findings)
    {
        Segments = segments;
        Published = published;
        Quarantined = quarantined;
        Findings = findings;
    }

    /// <summary>Ascending by the number in the name.</summary>
    public IReadOnlyList<SegmentName> Segments { get; }

    /// <summary>Published checkpoints, ascending by size: size and path relative to the ledger directory.</summary>
    public IReadOnlyList<(long Size, string Name)> Published { get; }

    public IReadOnlyList<string> Quarantined { get; }

    public IReadOnlyList<Finding> Findings { get; }

    public static LedgerFiles List(string directory) => List(new DirectoryFolder(directory));

    /// <param name="inBundle">Of a bundle: the head store need not be there.</param>
    /// <param name="isPart">Of a part of a ledger: segments and range.json are all that belongs there.</param>
    public static LedgerFiles List(LedgerFolder folder, bool inBundle = false, bool isPart = false)
    {
        var segments = new List<SegmentName>();
        var published = new List<(long, string)>();
        var quarantined = new List<string>();
        var findings = new List<Finding>();
        var unfinished = new List<string>();
        ListInside(isPart ? null : folder, "checkpoints", findings, (name, path) =>
        {
            // before the segments: a writer may begin one and publish its size while this looks
            bool note = LedgerFormat.TryParseName(name, LedgerFormat.NoteSuffix, out long size);
            if (note && path is not null)
            {
                published.Add((size, path));
            }

            return note;
        });
        var there = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in folder.List())
        {
            there.Add(item.Name);
            bool plain = item.Kind == FolderItemKind.File, head = HeadFiles.Contains(item.Name);
            bool segment = LedgerFormat.TryParseName(item.Name, LedgerFormat.SegmentSuffix, out long first);
            if (item.Kind == FolderItemKind.Other || (!plain && (segment || head)))
            {
                findings.Add(NotPlain(item.Name));
            }

            if (segment)
            {
                segments.Add(new SegmentName(item.Name, first, plain));
            }
            else if (plain && !isPart && item.Name.EndsWith(LedgerFormat.SegmentSuffix + ".tmp", StringComparison.Ordinal))
            {
                unfinished.Add(item.Name);
            }
            else if (item.Kind == FolderItemKind.Folder && item.Name == "quarantine" && !isPart)
            {
                // Notes of a lost history lie there too; only torn tails are told by recovery entries.
                quarantined.AddRange(folder.List(item.Name).Where(i => i.Kind == FolderItemKind.File && !i.Name.EndsWith(LedgerFormat.NoteSuffix, StringComparison.Ordinal))
                    .Select(i => i.Name));
            }
            else if (item.Kind != FolderItemKind.Other && !Belongs(item.Name, plain, inBundle, isPart))
            {
                findings.Add(new Finding(Verdict.Notes, $"{item.Name} does not belong in a ledger directory.", item.Name));
            }
        }

        foreach (string name in unfinished)
        {
            if (segments.Count == 0 || name != segments[^1].Name + ".tmp") // a crash leaves the last segment's unfinished copy, nothing else
            {
                findings.Add(new Finding(Verdict.Notes, $"{name} does not belong in a ledger directory.", name));
            }
        }

        if (!inBundle && segments.Count > 0)
        {
            NoteMissing(there, findings);
        }

        return new LedgerFiles(segments, published, quarantined, findings);
    }

    private static bool Belongs(string name, bool plain, bool inBundle, bool isPart) =>
        isPart ? plain && name == LedgerRange.FileName
        : plain ? HeadFiles.Contains(name) || OtherFiles.Contains(name) || (inBundle && name == LedgerRange.FileName)
        : KnownDirectories.Contains(name);

    private static void NoteMissing(HashSet<string> there, List<Finding> findings)
    {
        if (!there.Contains("genesis.note"))
        {
            findings.Add(new Finding(Verdict.Notes, "genesis.note is missing.", "genesis.note"));
        }

        if (!there.Contains("head.a") && !there.Contains("head.b"))
        {
            findings.Add(new Finding(Verdict.Notes, "the head store (head.a, head.b) is missing.", "head.a"));
        }
    }

    /// <summary>The notes in a folder of the ledger directory; what else stands there is a finding, but for their unfinished copies.</summary>
    /// <param name="take">Given a name, and the path when it is a plain file; says whether that is a note's name.</param>
    internal static void ListInside(LedgerFolder? ledger, string folder, List<Finding> findings, Func<string, string?, bool> take)
    {
        if (ledger is null || ledger.IsLink(folder))
        {
            return; // reported where the ledger directory is listed
        }

        foreach (var item in ledger.List(folder))
        {
            string path = $"{folder}/{item.Name}";
            bool plain = item.Kind == FolderItemKind.File, note = take(item.Name, plain ? path : null);
            if (item.Kind == FolderItemKind.Other || (note && !plain))
            {
                findings.Add(NotPlain(path));
            }
            else if (!note && !(plain && item.Name.EndsWith(".tmp", StringComparison.Ordinal) && take(item.Name[..^4], null)))
            {
                findings.Add(new Finding(Verdict.Notes, $"{path} does not belong there.", path));
            }
        }
    }

    private static Finding NotPlain(string name) => new(Verdict.Malformed, $"{name} is a link or a special file where a plain one is needed.", name);
}
