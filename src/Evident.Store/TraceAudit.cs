using System.Globalization;
using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// <c>evident verify --traces</c>: compares the trace store with a ledger that was found sound. Every seal is recomputed from the stored spans, and every tool call is looked for in the
/// other of the two. Never writes. The ledger is read once and each partition once, both in their own order: what the ledger says between two seals is about
/// the spans of the second one, so that memory holds what lies between two seals and one block.
/// </summary>
/// <remarks>docs/store.md, "Trace seals", says what each finding means. The order that this rests on: a group's spans are committed, then its entries are appended, and only then
/// may a seal cover them; a partition is sealed to its end before the next day's is begun.</remarks>
public sealed class TraceAudit
{
    private const int MaxCallsBetweenSeals = 1_200_000; // ledger.publishEntries can be a million
    private const int MaxPartitions = 100_000; // of what a ledger names; 270 years
    private const int NamedTraces = 8, PageEntries = 4_096;

    private readonly string traces;
    private readonly AuditContext context;
    private readonly AuditFindings findings = new();
    private readonly Lj1Parser parser = new();
    private readonly Dictionary<SpanKey, Told> told = []; // by the entries since the last seal
    private readonly Dictionary<string, Gone> missing = new(StringComparer.Ordinal);
    private readonly HashSet<string> accounted = new(StringComparer.Ordinal); // by entries of retention
    private readonly HashSet<string> visited = new(StringComparer.Ordinal);
    private readonly List<TraceId> named = []; // of the seal that is recomputed
    private PartitionWalk? walk;
    private string current = ""; // the partition that the newest seal names
    private long seals, sealedSpans, unsealedSpans, toolCalls, harmless;
    private bool outOfOrder, tooMany, tailUnknown;

    private TraceAudit(string dataDirectory, AuditContext context)
    {
        traces = Path.Combine(dataDirectory, "traces");
        this.context = context;
    }

    /// <summary>For <see cref="VerifyRequest.Audits"/>.</summary>
    /// <param name="dataDirectory">Holds <c>traces/</c>.</param>
    /// <returns>32: stored spans are not those that were sealed. 36: a tool call is in one of ledger and trace store only, or the trace index does not fit its blocks. 40: a partition cannot be read.
    /// 12: seals that do not follow each other. 0: what was compared.</returns>
    public static IEnumerable<Finding> Run(string dataDirectory, AuditContext context)
    {
        var audit = new TraceAudit(dataDirectory, context);
        try
        {
            audit.ReadLedger();
            audit.ReadTail();
            audit.Conclude();
        }
        catch (Exception e) when (e is LedgerStateException or IOException or UnauthorizedAccessException)
        {
            audit.findings.Add(Verdict.Incomplete, "failures", $"the trace store could not be compared to the end: {e.Message}");
        }
        finally
        {
            audit.Close();
        }

        return audit.findings.ToList();
    }

    // What the ledger told about one span since the last seal.
    private sealed class Told
    {
        public long Seq { get; init; }
        public bool Called { get; set; }
        public bool Found { get; set; }
    }

    // A tool span that no entry is known of so far.
    private sealed record Act(SpanKey Key, string What, string Partition);

    private sealed class Gone
    {
        public long Seq { get; init; }
        public long Spans { get; set; }
    }

    private void ReadLedger()
    {
        for (long from = 0; from < context.Entries;)
        {
            context.Cancellation.ThrowIfCancellationRequested();
            foreach (var line in LedgerReader.Read(context.LedgerDirectory, from, PageEntries, context.Entries))
            {
                from = line.Seq + 1;
                Take(line);
            }
        }
    }

    private void Take(LedgerLine line)
    {
        var json = line.Json.Span;
        if (Seal.TryRead(line, parser) is { } seal)
        {
            Check(seal);
            told.Clear();
            tooMany = false;
        }
        else if (json.IndexOf("\"tool.call\""u8) >= 0 || json.IndexOf("\"span.revised\""u8) >= 0 || json.IndexOf("\"retention."u8) >= 0)
        {
            _ = parser.Parse(json);
            var type = parser.Text(json, "type"u8);
            if (type.SequenceEqual("tool.call"u8) || type.SequenceEqual("span.revised"u8))
            {
                Tell(told, json, parser, line.Seq, type.SequenceEqual("tool.call"u8));
            }
            else if (type.SequenceEqual("retention.drop"u8) || type.SequenceEqual("retention.compact"u8))
            {
                Account(json, type.SequenceEqual("retention.drop"u8));
            }
        }
    }

    private void Tell(Dictionary<SpanKey, Told> into, ReadOnlySpan<byte> json, Lj1Parser parsed, long seq, bool called)
    {
        if (!TraceId.TryParse(Encoding.ASCII.GetString(parsed.Text(json, "trace_id"u8)), out var trace)
            || !SpanId.TryParse(Encoding.ASCII.GetString(parsed.Text(json, "span_id"u8)), out var span))
        {
            return; // told about no span
        }

        var key = new SpanKey(trace, span);
        if (into.TryGetValue(key, out var known))
        {
            known.Called |= called;
        }
        else if (into.Count < MaxCallsBetweenSeals)
        {
            into.Add(key, new Told { Seq = seq, Called = called });
        }
        else if (!tooMany)
        {
            tooMany = true;
            findings.Add(Verdict.Incomplete, "intervals", $"more than {MaxCallsBetweenSeals} tool calls stand between two seals and are not compared with the trace store.", seq: seq);
        }
    }

    private void Account(ReadOnlySpan<byte> json, bool drop)
    {
        int about = parser.Find(json, 0, drop ? "drop"u8 : "compact"u8);
        int name = about < 0 ? -1 : parser.Find(json, about, drop ? "partition"u8 : "from"u8);
        int layer = about < 0 ? -1 : parser.Find(json, about, "layer"u8);
        if (name >= 0 && accounted.Count < MaxPartitions && (!drop || Text(json, layer) == "traces"))
        {
            accounted.Add(Text(json, name));
        }
    }

    private string Text(ReadOnlySpan<byte> json, int node) => node < 0 ? "" : Encoding.ASCII.GetString(json.Slice(parser.Nodes[node].Start, parser.Nodes[node].Length));

    private void Check(Seal seal)
    {
        seals++;
        if (seal.Partition != current)
        {
            Leave();
            current = seal.Partition;
            outOfOrder = !PartitionSet.IsDay(current) || visited.Count >= MaxPartitions || !visited.Add(current);
            walk = outOfOrder ? null : Open(current);
        }

        if (outOfOrder)
        {
            findings.Add(Verdict.Notes, "seals out of order", $"entry {seal.Seq} seals spans of '{current}', which is no day or not in order; they are not checked.", seq: seal.Seq);
        }
        else if (walk is not null)
        {
            Guarded(walk, () => Recompute(walk, seal));
        }
        else if (!File.Exists(PathOf(current)))
        {
            if (!missing.TryGetValue(current, out var gone))
            {
                missing.Add(current, gone = new Gone { Seq = seal.Seq });
            }

            gone.Spans = Math.Min(gone.Spans + seal.Spans, LedgerFormat.MaxInteger);
        }
    }

    private void Recompute(PartitionWalk at, Seal seal)
    {
        if (seal.First != at.Next)
        {
            findings.Add(Verdict.Notes, "seals out of order",
                $"entry {seal.Seq} seals partition {current} from span {seal.First} on, the seals before it end at span {at.Next}: what lies between rests on nothing.", FileOf(current), seal.Seq);
            if (seal.First < at.Next)
            {
                return; // what was read is not read again
            }

            at.SkipTo(seal.First);
        }

        var tree = new MerkleFrontier();
        var acts = new List<Act>();
        long calm = 0;
        bool more = false;
        named.Clear();
        while (at.Read(seal.End) is { } span)
        {
            tree.Append(span.Digest);
            Name(span.Key.Trace, ref more);
            Compare(span, acts, ref calm);
        }

        string range = Range(seal.First, seal.End);
        if (at.IsFlawed || tree.Size != seal.Spans || !tree.Root().AsSpan().SequenceEqual(seal.Root))
        {
            at.ThrowIfChanged();
            bool aside = seal.First < at.FirstStored && Directory.EnumerateFiles(traces, current + ".db.damaged-*").Any();
            string why = at.Problems.Count > 0 ? string.Join("; ", at.Problems) : tree.Size != seal.Spans ? $"only {tree.Size} are there" : "at least one of them was changed";
            findings.Add(aside ? Verdict.Incomplete : Verdict.Altered, "seals that do not hold", aside
                ? $"spans {range} of partition {current}, sealed by entry {seal.Seq}, are in a file that was set aside as damaged and cannot be compared."
                : $"spans {range} of partition {current} are not those that entry {seal.Seq} sealed: {why}.{Traces(more)}", FileOf(current), seal.Seq);
        }
        else
        {
            sealedSpans += seal.Spans;
            harmless += calm;
            CheckListed(at, $"the spans {range}");
            foreach (var act in acts)
            {
                Untold(act);
            }

            Unfound($"the spans of partition {current} that entry {seal.Seq} sealed");
        }

        at.Clear();
    }

    // A tool span that can act has its entry among those of its interval; what the appliance's registry called harmless has none.
    private void Compare(WalkedSpan span, List<Act> acts, ref long calm)
    {
        if (!span.IsTool)
        {
            return;
        }

        bool known = told.TryGetValue(span.Key, out var entry);
        if (known && entry!.Called)
        {
            entry.Found = true;
            toolCalls++;
        }
        else if ((span.Marks & LedgerMarks.ToolCall) != 0 || (span.IsClaimedToAct && !known))
        {
            if (!tooMany && acts.Count < MaxCallsBetweenSeals)
            {
                acts.Add(new Act(span.Key, span.IsClaimedToAct ? "is a tool call that can change something, as its sender says" : "is marked as a tool call that the ledger was told of", walk!.Name));
            }
        }
        else if (!known)
        {
            calm++;
        }
    }

    private void Untold(Act act) => findings.Add(Verdict.IndexMismatch, "tool spans without an entry",
        $"span {act.Key} of partition {act.Partition} {act.What}, and no tool.call entry tells of it.", FileOf(act.Partition));

    private void Unfound(string where)
    {
        foreach (var (key, entry) in told)
        {
            if (entry.Called && !entry.Found)
            {
                findings.Add(Verdict.IndexMismatch, "tool.call entries without a span", $"entry {entry.Seq} tells of the tool call {key}, and no such tool span is among {where}.", seq: entry.Seq);
            }
        }
    }

    private void CheckListed(PartitionWalk at, string what)
    {
        if (at.Unlisted > 0)
        {
            findings.Add(Verdict.IndexMismatch, "ranges that the trace index does not list",
                $"the trace index of partition {at.Name} does not list {at.Unlisted} of {what} as they are stored: queries show something else.", FileOf(at.Name));
        }
    }

    // The partition was sealed to its end before the next one was begun.
    private void Leave()
    {
        if (walk is { } left)
        {
            Guarded(left, () => CheckEnd(left, "after the last one that was sealed; it was sealed to its end when its day was over"));
            Close();
        }
    }

    private void CheckEnd(PartitionWalk at, string surplus)
    {
        long from = at.Next, spans = Rest(at, null);
        if (spans > 0 || at.IsFlawed)
        {
            at.ThrowIfChanged();
            string which = at.Problems.Count > 0 ? string.Join("; ", at.Problems) : $"spans {Range(from, at.Next)}";
            findings.Add(Verdict.Altered, "partitions with spans that were never sealed", $"partition {at.Name} holds spans {surplus}: they were added ({which}).", FileOf(at.Name));
        }
        else
        {
            CheckSurplus(at);
        }
    }

    private void CheckSurplus(PartitionWalk at)
    {
        if (!at.WasFlawed && at.SurplusPairs() is > 0 and var surplus)
        {
            findings.Add(Verdict.IndexMismatch, "trace indexes that list too much", $"the trace index of partition {at.Name} lists {surplus} blocks of traces that are not there.", FileOf(at.Name));
        }
    }

    private long Rest(PartitionWalk at, List<Act>? acts)
    {
        long spans = 0;
        while (at.Read(long.MaxValue) is { } span)
        {
            spans++;
            if (acts is not null)
            {
                Compare(span, acts, ref harmless);
            }
        }

        return spans;
    }

    // What no seal covers yet: the end of the newest partition, and days that were begun since.
    private void ReadTail()
    {
        var acts = new List<Act>();
        var owed = new Dictionary<SpanKey, Told>();
        tailUnknown = walk is null && current.Length > 0; // gone or unreadable, which is told
        if (walk is { } newest)
        {
            ReadTail(newest, acts, owed);
            Close();
        }

        foreach (string name in Days())
        {
            if (visited.Contains(name))
            {
                continue;
            }

            walk = Open(name);
            bool later = string.CompareOrdinal(name, current) > 0;
            if (walk is not { } at)
            {
                tailUnknown |= later;
            }
            else if (later)
            {
                ReadTail(at, acts, owed);
            }
            else
            {
                Guarded(at, () => CheckEnd(at, "that no seal names, although later days are sealed"));
            }

            Close();
        }

        if (acts.Count > 0)
        {
            ReadNewer(owed); // beside a running appliance the trace store is ahead of the entries that were checked
        }

        foreach (var act in acts)
        {
            if (!owed.TryGetValue(act.Key, out var entry) || !entry.Called)
            {
                Untold(act);
            }
        }

        if (!tailUnknown)
        {
            Unfound("the stored spans that no seal covers yet");
        }
    }

    private void ReadTail(PartitionWalk at, List<Act> acts, Dictionary<SpanKey, Told> owed)
    {
        Guarded(at, () =>
        {
            unsealedSpans += Rest(at, acts);
            var own = new Lj1Parser();
            foreach (var draft in at.Owed())
            {
                if (draft.Type == "tool.call" && own.Parse(draft.Bytes.Span) == Lj1Error.None)
                {
                    Tell(owed, draft.Bytes.Span, own, -1, called: true);
                }
            }

            if (at.IsFlawed)
            {
                tailUnknown = true;
                findings.Add(Verdict.Incomplete, "unsealed spans that cannot be read",
                    $"of the spans of partition {at.Name} that no seal covers yet some cannot be read: {string.Join("; ", at.Problems)}.", FileOf(at.Name));
            }
            else
            {
                CheckListed(at, "the spans that no seal covers yet");
                CheckSurplus(at);
            }
        });
        tailUnknown |= walk is null; // it could not be read to its end
    }

    // Entries behind those that were checked: enough to see that nothing is missing, no evidence for anything else.
    private void ReadNewer(Dictionary<SpanKey, Told> into)
    {
        try
        {
            foreach (var line in LedgerReader.Read(context.LedgerDirectory, context.Entries, MaxCallsBetweenSeals, long.MaxValue))
            {
                if (line.Json.Span.IndexOf("\"tool.call\""u8) >= 0 && parser.Parse(line.Json.Span) == Lj1Error.None && parser.Text(line.Json.Span, "type"u8).SequenceEqual("tool.call"u8))
                {
                    Tell(into, line.Json.Span, parser, line.Seq, called: true);
                }
            }
        }
        catch (LedgerStateException)
        {
            // the end of what is there
        }
    }

    private void Conclude()
    {
        foreach (var (partition, gone) in missing)
        {
            if (!accounted.Contains(partition))
            {
                findings.Add(Verdict.Altered, "partitions that are missing",
                    $"partition {partition} is missing: {gone.Spans} spans that the ledger sealed (from entry {gone.Seq} on) are gone, and no entry of retention accounts for it.", FileOf(partition), gone.Seq);
            }
        }

        findings.Add(0, "summaries", string.Create(CultureInfo.InvariantCulture,
            $"trace store: {sealedSpans} spans are those that {seals} seals say; {unsealedSpans} stored since the last seal rest on nothing yet; {toolCalls} tool calls stand in both; {harmless} tool spans without an entry were harmless by the appliance's own tool registry."));
    }

    private PartitionWalk? Open(string name)
    {
        string path = PathOf(name);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            return new FileInfo(path).LinkTarget is null ? new PartitionWalk(path) : throw new IOException("it is a link.");
        }
        catch (Exception e) when (IsUnreadable(e))
        {
            Unreadable(name, e);
            return null;
        }
    }

    // A file that cannot be read on, or that changed beneath, accuses nobody: what was said about it in this step is replaced by that.
    private void Guarded(PartitionWalk at, Action step)
    {
        try
        {
            step();
        }
        catch (Exception e) when (IsUnreadable(e))
        {
            Unreadable(at.Name, e);
            Close();
        }
    }

    private void Close()
    {
        walk?.Dispose();
        walk = null;
    }

    private void Unreadable(string name, Exception why) => findings.Add(Verdict.Incomplete, "partitions that cannot be read",
        $"partition {name} cannot be read: {why.Message}", FileOf(name));

    private static bool IsUnreadable(Exception e) => e is SqliteException or StoreException or InvalidDataException or IOException or UnauthorizedAccessException;

    private IEnumerable<string> Days() => Directory.Exists(traces)
        ? Directory.EnumerateFiles(traces, "????-??-??.db").Select(f => Path.GetFileNameWithoutExtension(f)).Where(PartitionSet.IsDay).Order(StringComparer.Ordinal)
        : [];

    private void Name(TraceId trace, ref bool more)
    {
        if (named.Count > 0 && named[^1] == trace)
        {
            return;
        }

        if (!named.Contains(trace))
        {
            more |= named.Count == NamedTraces;
            if (named.Count < NamedTraces)
            {
                named.Add(trace);
            }
        }
    }

    private string Traces(bool more) => named.Count == 0 ? "" : $" Traces: {string.Join(", ", named)}{(more ? " and more" : "")}.";

    private string PathOf(string name) => Path.Combine(traces, name + ".db");

    private static string FileOf(string name) => $"traces/{name}.db";

    private static string Range(long from, long to) =>
        to <= from + 1 ? from.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{from} to {to - 1}");
}
