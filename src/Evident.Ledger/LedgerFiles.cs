namespace Evident.Ledger;

/// <summary>A segment file: its name, the sequence number that the name states, and whether it is a plain file.</summary>
internal sealed record SegmentName(string Name, long First, bool Plain = true);

/// <summary>What stands in a ledger directory; every name that the format does not know is a finding, nothing is opened.</summary>
internal sealed class LedgerFiles
{
    /// <summary>Stands while the acceptance of a lost history is under way; a start refuses until that is finished.</summary>
    public const string PendingIncarnation = "incarnation.pending";

    private static readonly string[] KnownFiles = ["genesis.note", "head.a", "head.b", PendingIncarnation];
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

    public static LedgerFiles List(LedgerFolder folder)
    {
        var segments = new List<SegmentName>();
        var published = new List<(long, string)>();
        var quarantined = new List<string>();
        var findings = new List<Finding>();
        var unfinished = new List<string>();
        if (!folder.IsLink("checkpoints"))
        {
            ListPublished(folder, published, findings); // before the segments: a writer may begin one and publish its size while this looks
        }

        foreach (var item in folder.List())
        {
            bool plain = item.Kind == FolderItemKind.File;
            bool known = plain ? KnownFiles.Contains(item.Name) : KnownDirectories.Contains(item.Name);
            bool segment = LedgerFormat.TryParseName(item.Name, LedgerFormat.SegmentSuffix, out long first);
            if (item.Kind == FolderItemKind.Other || (!plain && (segment || KnownFiles.Contains(item.Name))))
            {
                findings.Add(new Finding(Verdict.Malformed, $"{item.Name} is a link or a special file where a plain one is needed.", item.Name));
                if (segment)
                {
                    segments.Add(new SegmentName(item.Name, first, Plain: false));
                }
            }
            else if (segment)
            {
                segments.Add(new SegmentName(item.Name, first));
            }
            else if (plain && item.Name.EndsWith(LedgerFormat.SegmentSuffix + ".tmp", StringComparison.Ordinal))
            {
                unfinished.Add(item.Name);
            }
            else if (!known && item.Name != "head.a.tmp" && item.Name != "head.b.tmp" && item.Name != "genesis.note.tmp" && item.Name != PendingIncarnation + ".tmp")
            {
                findings.Add(new Finding(Verdict.Notes, $"{item.Name} does not belong in a ledger directory.", item.Name));
            }
            else if (item.Name == "quarantine")
            {
                // Notes of a lost history lie there too; only torn tails are told by recovery entries.
                quarantined.AddRange(folder.List(item.Name).Where(i => i.Kind != FolderItemKind.Folder && !i.Name.EndsWith(LedgerFormat.NoteSuffix, StringComparison.Ordinal))
                    .Select(i => i.Name));
            }
        }

        foreach (string name in unfinished)
        {
            if (segments.Count == 0 || name != segments[^1].Name + ".tmp") // a crash leaves the last segment's unfinished copy, nothing else
            {
                findings.Add(new Finding(Verdict.Notes, $"{name} does not belong in a ledger directory.", name));
            }
        }

        return new LedgerFiles(segments, published, quarantined, findings);
    }

    private static void ListPublished(LedgerFolder folder, List<(long, string)> published, List<Finding> findings)
    {
        foreach (var item in folder.List("checkpoints"))
        {
            if (LedgerFormat.TryParseName(item.Name, LedgerFormat.NoteSuffix, out long size) && item.Kind == FolderItemKind.File)
            {
                published.Add((size, "checkpoints/" + item.Name));
            }
            else if (!item.Name.EndsWith(".tmp", StringComparison.Ordinal))
            {
                findings.Add(new Finding(Verdict.Notes, $"checkpoints/{item.Name} does not belong there.", "checkpoints/" + item.Name));
            }
        }
    }
}
