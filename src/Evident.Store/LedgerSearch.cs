using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Evident.Ledger;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>Which ledger entries; every member that is set must match. Strings are compared as they stand in the entry.</summary>
/// <param name="Type">An entry type, or with a dot at its end the beginning of several: <c>vault.</c></param>
/// <param name="Actor">Who acted, or who decided an approval.</param>
/// <param name="ArgsMatch">Whether what was executed is what was approved.</param>
/// <param name="Since">First moment, by the appliance's clock at receipt.</param>
/// <param name="Until">Last moment.</param>
/// <param name="Limit">1..500.</param>
/// <param name="Cursor">What <see cref="LedgerPage.Next"/> of the page before said.</param>
public sealed record LedgerFilter(
    string? Tenant = null, string? Workflow = null, string? Type = null, string? Actor = null, string? ActorKind = null, string? Approval = null, string? Run = null, string? Tool = null,
    string? Level = null, bool? ArgsMatch = null, DateTimeOffset? Since = null, DateTimeOffset? Until = null, int Limit = 50, string? Cursor = null)
{
    public bool IsEmpty => (Tenant ?? Workflow ?? Type ?? Actor ?? ActorKind ?? Approval ?? Run ?? Tool ?? Level) is null && ArgsMatch is null && Since is null && Until is null;
}

/// <summary>Entries newest first, each the ledger's own line.</summary>
/// <param name="Next">Cursor for what is older; null when there is nothing older that could match.</param>
/// <param name="Size">Durable entries of the ledger at that moment.</param>
/// <param name="Indexed">Entries that the search could look at; below <paramref name="Size"/> while the index follows.</param>
/// <param name="LookedTo">Every match from there on is on this page or before it. Above 0 on a page that ends early, because the search stopped at its limit.</param>
/// <param name="Matches">How many entries match; null on pages with a cursor.</param>
/// <param name="MatchesComplete">False when the count stopped at its limit.</param>
public sealed record LedgerPage(IReadOnlyList<LedgerLine> Entries, string? Next, long Size, long Indexed, long LookedTo, long? Matches, bool MatchesComplete);

/// <summary>The index of the ledger and the ledger disagree: what a search shows may hide something.</summary>
public sealed class LedgerIndexException(string message) : Exception(message);

/// <summary>
/// Finds entries by what they say. The index only names them; each one is read from its segment and must say what the index says. One search looks at a bounded
/// number of rows, whatever the filter, and says how far it came. Thread safe.
/// </summary>
/// <param name="maxRows">Rows of the index that one search looks at.</param>
internal sealed class LedgerSearch(string ledgerDirectory, OutcomesReaders readers, SearchedId ids, int maxRows)
{
    private const int MaxMatches = 1_000, CountedForChoice = 10_000;

    /// <param name="size">Durable entries.</param>
    /// <exception cref="StoreException">The cursor is none of ours.</exception>
    /// <exception cref="LedgerIndexException">A row of the index is not what the ledger says.</exception>
    public LedgerPage Find(LedgerFilter filter, long size, CancellationToken cancellation)
    {
        long below = filter.Cursor is { } cursor ? ReadCursor(cursor) : long.MaxValue;
        if (filter.IsEmpty)
        {
            long end = Math.Min(below, size), from = Math.Max(0, end - filter.Limit);
            List<LedgerLine> newest = end > from ? [.. LedgerReader.Read(ledgerDirectory, from, (int)(end - from), size)] : [];
            newest.Reverse();
            return new LedgerPage(newest, from > 0 ? WriteCursor(from) : null, size, size, from, filter.Cursor is null ? size : null, true);
        }

        var found = readers.Query(cancellation, connection => new Scan(connection, filter, ids, below).Run(maxRows));
        return new LedgerPage(
            Read(found, size), found.Next >= 0 ? WriteCursor(found.Next) : null, size, found.Indexed, found.LookedTo, filter.Cursor is null ? found.Matches : null, found.Complete);
    }

    // Each line must be the one that its row was made from, and say what was asked for.
    private List<LedgerLine> Read(Scan found, long size)
    {
        if (found.Seqs.Count > 0 && found.Seqs[0] >= size)
        {
            throw Disagree(found.Seqs[0], "the ledger has no such entry");
        }

        found.Seqs.Reverse();
        found.Hashes.Reverse();
        var lines = LedgerPicks.Read(ledgerDirectory, found.Seqs, size);
        var facts = new LedgerFacts();
        for (int i = 0; i < lines.Count; i++)
        {
            if (!facts.Read(lines[i]) || !facts.Hash.AsSpan().SequenceEqual(found.Hashes[i]) || !found.Says(facts))
            {
                throw Disagree(found.Seqs[i], "the entry says something else than its row");
            }
        }

        lines.Reverse();
        return lines;
    }

    private static LedgerIndexException Disagree(long seq, string why) => new(string.Create(
        CultureInfo.InvariantCulture,
        $"The index of the ledger names entry {seq}, and {why}. Run 'evident verify DATA --index': it names every row that differs. The index is rebuilt when the appliance starts without outcomes.db."));

    private static string WriteCursor(long seq) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"e1:{seq}")));

    private static long ReadCursor(string cursor) =>
        Base64Url.IsValid(cursor) && Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor)) is ['e', '1', ':', .. var number]
            && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long seq)
            ? seq
            : throw new StoreException("the cursor is none that this ledger gave out: leave it away to start from the newest entry.");

    /// <summary>One condition: the column, or another one, holds one of the words.</summary>
    private sealed record Term(int[] Columns, List<(string Word, long Number)> Words);

    /// <summary>One search over one connection: the rarest term drives, newest first, and the others are looked at in each of its rows.</summary>
    private sealed class Scan
    {
        private readonly SqliteConnection connection;
        private readonly List<Term> terms = [];
        private readonly int limit;
        private readonly bool counts;
        private readonly long since, until;
        private long low, high; // only entries in [low, high) can match

        public Scan(SqliteConnection connection, LedgerFilter filter, SearchedId ids, long below)
        {
            this.connection = connection;
            limit = filter.Limit;
            counts = filter.Cursor is null;
            high = below;
            since = filter.Since?.ToUnixTimeMilliseconds() ?? long.MinValue;
            until = filter.Until?.ToUnixTimeMilliseconds() ?? long.MaxValue;
            Indexed = One("SELECT position FROM watermark WHERE source = ?1", LedgerIndex.Source) ?? 0;
            Narrow();
            Add([LedgerFacts.Run], filter.Run is { } run ? ids.Forms(run, SearchedId.Identifier) : null);
            Add([LedgerFacts.Tool], filter.Tool is { } tool ? ids.Forms(tool, SearchedId.Identifier) : null);
            Add([LedgerFacts.Actor, LedgerFacts.Approver], filter.Actor is { } actor ? ids.Forms(actor, SearchedId.Identifier) : null);
            Add([LedgerFacts.Approval], Only(filter.Approval));
            Add([LedgerFacts.ArgsMatch], Only(filter.ArgsMatch is { } match ? (match ? "true" : "false") : null));
            Add([LedgerFacts.Workflow], filter.Workflow is { } workflow ? ids.Forms(workflow, SearchedId.Identifier) : null);
            Add([LedgerFacts.Tenant], filter.Tenant is { } tenant ? [.. ids.Forms(tenant, SearchedId.Tenant), .. ids.Forms(tenant, SearchedId.Identifier)] : null);
            Add([LedgerFacts.Type], filter.Type is not ['.', ..] and [.., '.'] ? [.. EntryTypes.All.Select(t => t.Name).Where(n => n.StartsWith(filter.Type, StringComparison.Ordinal))] : Only(filter.Type));
            Add([LedgerFacts.ActorKind], Only(filter.ActorKind));
            Add([LedgerFacts.Level], Only(filter.Level));
        }

        public long Indexed { get; }

        /// <summary>Matching entries, newest first.</summary>
        public List<long> Seqs { get; } = [];

        public List<byte[]> Hashes { get; } = [];

        public long Matches { get; private set; }

        public bool Complete { get; private set; } = true;

        public long LookedTo { get; private set; }

        /// <summary>Where the next page goes on; -1 when there is none.</summary>
        public long Next { get; private set; } = -1;

        public Scan Run(int maxRows)
        {
            if (low >= high || terms.Any(t => t.Words.Count == 0))
            {
                return this; // a word that no entry has
            }

            using var rows = new Merged(connection, Driver(), low, high);
            int looked = 0;
            while (rows.Next())
            {
                if (looked++ == maxRows || (Seqs.Count == limit && (counts ? Matches >= MaxMatches : Next >= 0)))
                {
                    Complete = false;
                    if (Next < 0)
                    {
                        (Next, LookedTo) = (rows.Seq + 1, rows.Seq + 1);
                    }

                    break;
                }

                if (rows.Recorded >= since && rows.Recorded <= until && terms.TrueForAll(rows.Meet))
                {
                    Matches++;
                    if (Seqs.Count < limit)
                    {
                        Seqs.Add(rows.Seq);
                        Hashes.Add(rows.Hash);
                    }
                    else if (Next < 0)
                    {
                        (Next, LookedTo) = (Seqs[^1], Seqs[^1]); // there is one more
                    }
                }
            }

            return this;
        }

        /// <summary>True when the entry itself meets what was asked of its row.</summary>
        public bool Says(LedgerFacts facts) => facts.Recorded >= since && facts.Recorded <= until && terms.TrueForAll(term => Says(term, facts));

        private static bool Says(Term term, LedgerFacts facts)
        {
            foreach (int column in term.Columns)
            {
                string word = Encoding.ASCII.GetString(facts[column]);
                if (term.Words.Exists(w => w.Word == word))
                {
                    return true;
                }
            }

            return false;
        }

        private static string[]? Only(string? word) => word is null ? null : [word];

        private void Add(int[] columns, IReadOnlyList<string>? forms)
        {
            if (forms is null)
            {
                return;
            }

            var words = new List<(string, long)>();
            foreach (string form in forms)
            {
                if (One("SELECT id FROM word WHERE text = ?1", form) is { } number)
                {
                    words.Add((form, number));
                }
            }

            terms.Add(new Term(columns, words));
        }

        // Times are no order: the zones that can hold a match bound it.
        private void Narrow()
        {
            if (since == long.MinValue && until == long.MaxValue)
            {
                return;
            }

            using var zones = new Statement(connection, "SELECT min(block), max(block) FROM zone WHERE most >= ?1 AND least <= ?2");
            zones.Bind(1, since).Bind(2, until);
            if (zones.Step() && zones.Text(0) is not null)
            {
                low = zones.Integer(0) << LedgerIndex.ZoneShift;
                high = Math.Min(high, (zones.Integer(1) + 1) << LedgerIndex.ZoneShift);
            }
            else
            {
                high = low;
            }
        }

        private Term? Driver()
        {
            Term? driver = null;
            long fewest = long.MaxValue;
            foreach (var term in terms)
            {
                if (Array.IndexOf(LedgerIndex.Indexed, LedgerFacts.Columns[term.Columns[0]]) < 0)
                {
                    continue;
                }

                long rows = 0;
                foreach (int column in term.Columns)
                {
                    foreach (var (_, number) in term.Words)
                    {
                        rows += One($"SELECT count(*) FROM (SELECT 1 FROM entry WHERE {LedgerFacts.Columns[column]} = ?1 LIMIT {CountedForChoice})", number) ?? 0;
                    }
                }

                if (rows < fewest)
                {
                    (driver, fewest) = (term, rows);
                }
            }

            return driver;
        }

        private long? One(string sql, string word)
        {
            using var statement = new Statement(connection, sql);
            statement.Bind(1, word);
            return statement.Step() ? statement.Integer(0) : null;
        }

        private long? One(string sql, long number)
        {
            using var statement = new Statement(connection, sql);
            statement.Bind(1, number);
            return statement.Step() ? statement.Integer(0) : null;
        }
    }

    /// <summary>The rows of several index entries as one stream, by number from high to low, each once.</summary>
    private sealed class Merged : IDisposable
    {
        private static readonly string All = string.Join(", ", LedgerFacts.Columns);
        private readonly List<Statement> streams = [];
        private Statement? current;

        public Merged(SqliteConnection connection, Term? driver, long low, long high)
        {
            foreach (int column in driver?.Columns ?? [])
            {
                foreach (var (_, number) in driver!.Words)
                {
                    string name = LedgerFacts.Columns[column];
                    Open(new Statement(connection, $"SELECT seq, recorded, hash, {All} FROM entry INDEXED BY entry_{name} WHERE {name} = ?3 AND seq >= ?1 AND seq < ?2 ORDER BY seq DESC").Bind(3, number), low, high);
                }
            }

            if (driver is null)
            {
                Open(new Statement(connection, $"SELECT seq, recorded, hash, {All} FROM entry WHERE seq >= ?1 AND seq < ?2 ORDER BY seq DESC"), low, high);
            }
        }

        public long Seq { get; private set; } = long.MaxValue;

        public long Recorded => current!.Integer(1);

        public byte[] Hash => current!.Blob(2).ToArray();

        public bool Next()
        {
            do
            {
                if (current is not null && !current.Step())
                {
                    streams.Remove(current);
                    current.Dispose();
                }

                current = null;
                foreach (var stream in streams)
                {
                    if (current is null || stream.Integer(0) > current.Integer(0))
                    {
                        current = stream;
                    }
                }
            }
            while (current is not null && current.Integer(0) == Seq); // found under another word already
            Seq = current?.Integer(0) ?? -1;
            return current is not null;
        }

        public bool Meet(Term term)
        {
            foreach (int column in term.Columns)
            {
                long number = current!.Integer(3 + column); // 0 for null, and no word has that number
                if (term.Words.Exists(w => w.Number == number))
                {
                    return true;
                }
            }

            return false;
        }

        public void Dispose() => streams.ForEach(s => s.Dispose());

        private void Open(Statement stream, long low, long high)
        {
            if (stream.Bind(1, low).Bind(2, high).Step())
            {
                streams.Add(stream);
            }
            else
            {
                stream.Dispose();
            }
        }
    }
}
