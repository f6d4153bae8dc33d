using System.Text;
using Evident.Ledger;
using Evident.Platform;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>The ledger as queries see it: durable sizes only, every entry from its segment. Thread safe.</summary>
internal sealed class LedgerReads(string directory, Func<LedgerSnapshot> durable, Projections projections, OutcomesReaders readers, SearchedId ids, int searchRows)
{
    private const int MaxPage = 1_000;
    private readonly LedgerTree tree = new(directory); // keeps what it has hashed: a proof after the first costs little
    private readonly LedgerSearch search = new(directory, readers, ids, searchRows);
    private Glance glance = new(-1, null, null);

    public LedgerHeadView Head()
    {
        var now = durable();
        var seen = Look(now.Head.Size);
        string note = LedgerReader.NewestPublished(directory) ?? "";
        return new LedgerHeadView(now.Origin, now.Head.Size, Convert.ToBase64String(now.Head.Root), note, now.PublishedSize, now.IdentityVkey, now.Epoch)
        {
            Text = SignedNote.TryParse(Encoding.UTF8.GetBytes(note), out var signed, out _) && Checkpoint.TryParse(signed.Text, out var published) ? HeadText.Encode(published) : null,
            PublishedTime = now.PublishedUnixMillis is { } millis ? Rfc3339.FormatMillis(millis) : null,
            LastHeartbeat = seen.Heartbeat,
            Anchored = seen.Anchor,
        };
    }

    public IReadOnlyList<LedgerLine> Entries(long from, int limit)
    {
        long size = durable().Head.Size;
        return from < 0 || from >= size ? [] : [.. LedgerReader.Read(directory, from, Math.Clamp(limit, 1, MaxPage), size)];
    }

    public LedgerPage Find(LedgerFilter filter, CancellationToken cancellation) => search.Find(filter, durable().Head.Size, cancellation);

    public InclusionProof? Proof(long seq)
    {
        long size = durable().Head.Size;
        return seq < 0 || seq >= size ? null : LedgerReader.Prove(directory, seq, size, tree);
    }

    /// <summary>The C2SP tlog-proof of an entry, to the smallest published size above it, with the cosignatures filed for that size; null when none covers it.</summary>
    public byte[]? TlogProof(long seq)
    {
        long size = seq < 0 || seq >= durable().Head.Size ? -1 : LedgerReader.PublishedAbove(directory, seq);
        return size >= 0 && AnchorNotes.WithCosignatures(directory, size) is { } bytes && SignedNote.TryParse(bytes, out var note, out _)
            ? new TlogProof(seq, LedgerReader.Prove(directory, seq, size, tree).Path, note).Encode()
            : null;
    }

    // What the newest entries of two types say; looked up again only when the index has grown.
    private Glance Look(long size)
    {
        var last = Volatile.Read(ref glance);
        long indexed = projections.LedgerPosition;
        if (last.Indexed == indexed)
        {
            return last;
        }

        try
        {
            var (heartbeat, anchor) = readers.Query(CancellationToken.None, connection => (
                Seq(connection, "SELECT seq FROM entry WHERE type = (SELECT id FROM word WHERE text = 'ledger.heartbeat') ORDER BY seq DESC LIMIT 1"),
                Seq(connection, "SELECT seq FROM entry WHERE anchored IS NOT NULL ORDER BY anchored DESC, seq LIMIT 1")));
            var now = new Glance(indexed, Heartbeat(heartbeat, size), Anchor(anchor, size));
            Volatile.Write(ref glance, now);
            return now;
        }
        catch (Exception e) when (e is SqliteException or LedgerStateException)
        {
            return last; // the index is being replaced, or an entry cannot be read, which the scrub will say; the head itself needs neither
        }
    }

    private HeartbeatView? Heartbeat(long seq, long size)
    {
        var facts = new LedgerFacts();
        return Read(facts, seq, size)
            ? new HeartbeatView(seq, Rfc3339.FormatMillis(facts.Recorded), facts.Text("heartbeat"u8, "state"u8) ?? "", facts.Number("heartbeat"u8, "interval_ms"u8))
            : null;
    }

    private AnchorView? Anchor(long seq, long size)
    {
        var facts = new LedgerFacts();
        if (!Read(facts, seq, size) || facts.Anchored < 0)
        {
            return null;
        }

        string? file = facts.Text("anchor"u8, "file"u8);
        bool? there = file is null ? null : !file.Contains('/', StringComparison.Ordinal) && File.Exists(Path.Combine(directory, "anchors", file));
        return new AnchorView(
            facts.Anchored, facts.Text("anchor"u8, "kind"u8) ?? "", facts.Text("anchor"u8, "witness"u8), facts.Text("anchor"u8, "key_id"u8), facts.Text("anchor"u8, "time"u8),
            Rfc3339.FormatMillis(facts.Recorded), seq, there);
    }

    private bool Read(LedgerFacts facts, long seq, long size)
    {
        if (seq >= 0 && seq < size)
        {
            foreach (var line in LedgerReader.Read(directory, seq, 1, size))
            {
                return facts.Read(line);
            }
        }

        return false;
    }

    private static long Seq(SqliteConnection connection, string sql)
    {
        using var row = new Statement(connection, sql);
        return row.Step() ? row.Integer(0) : -1;
    }

    private sealed record Glance(long Indexed, HeartbeatView? Heartbeat, AnchorView? Anchor);
}
