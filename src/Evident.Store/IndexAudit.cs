using System.Globalization;
using System.Text;
using Evident.Ledger;
using Evident.Platform;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Evident.Store;

/// <summary>
/// <c>verify --index</c>: does what the appliance's page and interface show hide or change an entry? Compares the index of the ledger in <c>outcomes.db</c>, its schema
/// included, row for row with the entries in the segments. Reads only, also from a medium that cannot be written; memory does not grow with the ledger.
/// </summary>
/// <remarks>The file is whatever somebody made of it: every value is looked at with the type in which it is stored, and none is repeated unless it is a clean token.</remarks>
public sealed class IndexAudit
{
    private const int MaxFindings = 1_000, Batch = 4_096, CachedWords = 16_384, MaxShownChars = 128;

    private readonly AuditContext context;
    private readonly SqliteConnection connection;
    private readonly List<Finding> findings = [];
    private readonly Dictionary<long, byte[]?> words = [];
    private readonly Statement findWord, findZone;
    private readonly LedgerFacts facts = new();
    private readonly byte[] id = new byte[16];
    private long block = -1, least, most;
    private (long From, long To, string What, string Detail) open = (-1, -1, "", "");

    private IndexAudit(AuditContext context, SqliteConnection connection)
    {
        (this.context, this.connection) = (context, connection);
        findWord = new Statement(connection, "SELECT text FROM word WHERE id = ?1");
        findZone = new Statement(connection, "SELECT least, most FROM zone WHERE block = ?1");
    }

    /// <summary>The audit over a data directory, for <see cref="VerifyRequest.Audits"/>.</summary>
    public static Func<AuditContext, IEnumerable<Finding>> Of(string dataDirectory) => context => Compare(dataDirectory, context);

    private static List<Finding> Compare(string dataDirectory, AuditContext context)
    {
        string path = Path.Combine(dataDirectory, OutcomesFile.Name);
        if (!File.Exists(path))
        {
            return [new Finding(Verdict.Incomplete, $"{OutcomesFile.Name} is not in the data directory: there is no index to compare. The appliance makes it anew when it starts.", OutcomesFile.Name)];
        }

        try
        {
            using (DurableFile.OpenRead(path))
            {
                // a link or a pipe is refused before SQLite follows it
            }

            using var connection = Sqlite.OpenUntouched(path);
            using var interrupt = context.Cancellation.Register(() => raw.sqlite3_interrupt(connection.Handle));
            if (SchemaFault(connection) is { } fault)
            {
                return [fault];
            }

            var audit = new IndexAudit(context, connection);
            try
            {
                audit.Run();
                return audit.findings;
            }
            finally
            {
                audit.findWord.Dispose();
                audit.findZone.Dispose();
            }
        }
        catch (SqliteException e) when (e.SqliteErrorCode == raw.SQLITE_INTERRUPT && context.Cancellation.IsCancellationRequested)
        {
            throw new OperationCanceledException("the comparison of the index was cancelled.", e, context.Cancellation);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB)
        {
            return [new Finding(Verdict.IndexMismatch, $"{OutcomesFile.Name} is damaged (SQLite code {e.SqliteErrorCode}): it cannot show what the ledger holds. The appliance makes it anew when it starts without it.", OutcomesFile.Name)];
        }
        catch (Exception e) when (e is SqliteException or IOException or UnauthorizedAccessException)
        {
            string why = e is SqliteException sqlite ? string.Create(CultureInfo.InvariantCulture, $"SQLite code {sqlite.SqliteExtendedErrorCode}") : e.Message;
            return [new Finding(Verdict.Incomplete, $"{OutcomesFile.Name} could not be read: {why}.", OutcomesFile.Name)];
        }
    }

    // Tables, indexes and nothing that could answer in their place: a view or a trigger hides rows as well as a missing one does.
    private static Finding? SchemaFault(SqliteConnection connection)
    {
        long version = (long)Sqlite.Scalar(connection, "PRAGMA user_version")!;
        if (version != OutcomesFile.SchemaVersion)
        {
            return new Finding(
                Verdict.Incomplete, $"{OutcomesFile.Name} has schema version {version} and this program compares version {OutcomesFile.SchemaVersion}: the appliance makes it anew when it starts.", OutcomesFile.Name);
        }

        var expected = new HashSet<string>(LedgerIndex.Schema, StringComparer.Ordinal);
        using var objects = new Statement(connection, "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name COLLATE NOCASE IN ('word', 'entry', 'zone') OR type NOT IN ('table', 'index')");
        while (objects.Step())
        {
            string? sql = objects.Text(3);
            bool own = sql is null ? objects.Text(0) == "index" && objects.Text(1) == "sqlite_autoindex_word_1" : expected.Remove(sql);
            if (!own)
            {
                return Changed(objects.Text(0) is "view" or "trigger" ? "it has a view or a trigger, which the appliance never makes" : "a table or index of the ledger's index is not the one that the appliance makes");
            }
        }

        return expected.Count > 0 ? Changed("a table or index of the ledger's index is missing or not the one that the appliance makes") : null;

        static Finding Changed(string what) => new(Verdict.IndexMismatch, $"the schema of {OutcomesFile.Name} was changed: {what}. What it shows cannot be compared.", OutcomesFile.Name);
    }

    private void Run()
    {
        foreach (string table in (ReadOnlySpan<string>)["word", "entry", "zone"])
        {
            // Rows that an index of SQLite does not list are hidden from every search through it.
            if (Sqlite.Scalar(connection, $"PRAGMA integrity_check('{table}')") is not "ok")
            {
                findings.Add(new Finding(
                    Verdict.IndexMismatch, $"table {table} of {OutcomesFile.Name} and its indexes do not agree with each other (PRAGMA integrity_check): a search can miss entries.", OutcomesFile.Name));
            }
        }

        long position = One("SELECT position FROM watermark WHERE source = 'ledger'");
        using var rows = new Statement(connection, $"SELECT seq, hash, recorded, trace_id, span_id, anchored, {string.Join(", ", LedgerFacts.Columns)} FROM entry ORDER BY seq");
        bool row = rows.Step();
        for (; row && rows.Integer(0) < 0; row = rows.Step())
        {
            Differ(rows.Integer(0), "has a row and no such entry can be", "");
        }

        long next = 0;
        try
        {
            while (next < position && findings.Count < MaxFindings)
            {
                context.Cancellation.ThrowIfCancellationRequested();
                foreach (var line in LedgerReader.Read(context.LedgerDirectory, next, Batch, position))
                {
                    bool known = facts.Read(line);
                    if (row && rows.Integer(0) == next)
                    {
                        if (known && Difference(rows) is var (columns, detail) && columns.Length > 0)
                        {
                            Differ(next, $"differs in {columns}", detail);
                        }

                        row = rows.Step();
                    }
                    else
                    {
                        Differ(next, "is missing: the page and its searches do not show it", "");
                    }

                    if (known)
                    {
                        Zone();
                    }

                    next++;
                }
            }
        }
        catch (Exception e) when (e is LedgerStateException or IOException or UnauthorizedAccessException)
        {
            if (next < context.Entries)
            {
                findings.Add(new Finding(0, $"the index could not be compared from entry {next} on, because the ledger cannot be read there.", OutcomesFile.Name, FromSeq: next, ToSeq: context.Entries - 1));
                row = false;
            }
            else
            {
                findings.Add(new Finding(Verdict.IndexMismatch, $"the index has taken up {position} entries, and the ledger ends after {next}: entries are gone, or the mark of the index was changed.", OutcomesFile.Name));
            }
        }

        CloseZone();
        for (; row && findings.Count < MaxFindings; row = rows.Step())
        {
            Differ(rows.Integer(0), rows.Integer(0) < position ? "has a row, and the ledger has no such entry" : "has a row above the index's own mark", "");
        }

        Close();
        if (findings.Count >= MaxFindings)
        {
            findings.Add(new Finding(0, $"the comparison of the index ended after {MaxFindings} findings; there may be more.", OutcomesFile.Name));
        }
        else if (next >= position && position < context.Entries)
        {
            findings.Add(new Finding(
                0, $"the index has not taken up the last {context.Entries - position} entries yet: it follows the ledger, and is behind for a moment and after a stop.", OutcomesFile.Name, FromSeq: position, ToSeq: context.Entries - 1));
        }
    }

    /// <summary>The columns in which the row is not what the entry says, and for one column how.</summary>
    private (string Columns, string Detail) Difference(Statement row)
    {
        string columns = "", detail = "";
        void Add(string column, string ofIndex, string ofLedger)
        {
            detail = columns.Length > 0 ? "" : $": the index says {ofIndex}, the ledger {(ofLedger.Length == 0 ? "nothing" : $"'{ofLedger}'")}";
            columns += (columns.Length > 0 ? ", " : "") + column;
        }

        if (!IsBlob(row, 1, facts.Hash))
        {
            Add("this_hash", "another hash", LedgerFormat.HashText(facts.Hash));
        }

        if (!IsInteger(row, 2, facts.Recorded))
        {
            Add("recorded", "another time", Rfc3339.FormatMillis(facts.Recorded));
        }

        bool traced = facts.TraceId(id);
        if (!(traced ? IsBlob(row, 3, id) : IsNull(row, 3)))
        {
            Add("trace_id", "another trace", traced ? Convert.ToHexStringLower(id) : "");
        }

        var span = id.AsSpan(0, 8);
        bool spanned = facts.SpanId(span);
        if (!(spanned ? IsBlob(row, 4, span) : IsNull(row, 4)))
        {
            Add("span_id", "another span", spanned ? Convert.ToHexStringLower(span) : "");
        }

        if (!(facts.Anchored >= 0 ? IsInteger(row, 5, facts.Anchored) : IsNull(row, 5)))
        {
            Add("anchored", "another size", facts.Anchored >= 0 ? facts.Anchored.ToString(CultureInfo.InvariantCulture) : "");
        }

        for (int i = 0; i < LedgerFacts.Columns.Length; i++)
        {
            var own = facts[i];
            byte[]? said = IsNull(row, 6 + i) ? [] : row.Kind(6 + i) == raw.SQLITE_INTEGER ? Word(row.Integer(6 + i)) : null;
            if (said is null || !own.SequenceEqual(said))
            {
                Add(LedgerFacts.Columns[i], said is null ? "something that is no word of it" : said.Length == 0 ? "nothing" : Shown(said), Encoding.ASCII.GetString(own));
            }
        }

        return (columns, detail);
    }

    /// <summary>The text of a word as it is stored; null when there is none, or no text.</summary>
    private byte[]? Word(long number)
    {
        if (!words.TryGetValue(number, out byte[]? text))
        {
            findWord.Bind(1, number);
            text = findWord.Step() && findWord.Kind(0) == raw.SQLITE_TEXT ? findWord.Blob(0).ToArray() : null;
            findWord.Reset();
            if (words.Count == CachedWords)
            {
                words.Clear();
            }

            words.Add(number, text);
        }

        return text;
    }

    private static string Shown(byte[] said)
    {
        bool clean = said.Length <= MaxShownChars;
        foreach (byte b in said)
        {
            clean &= b is > (byte)' ' and < 0x7f and not (byte)'\'';
        }

        return clean ? $"'{Encoding.ASCII.GetString(said)}'" : "something else";
    }

    private void Zone()
    {
        long at = facts.Seq >> LedgerIndex.ZoneShift;
        if (at != block)
        {
            CloseZone();
            (block, least, most) = (at, facts.Recorded, facts.Recorded);
        }

        (least, most) = (Math.Min(least, facts.Recorded), Math.Max(most, facts.Recorded));
    }

    private void CloseZone()
    {
        if (block >= 0)
        {
            findZone.Bind(1, block);
            bool same = findZone.Step() && IsInteger(findZone, 0, least) && IsInteger(findZone, 1, most);
            findZone.Reset();
            if (!same)
            {
                long from = block << LedgerIndex.ZoneShift;
                findings.Add(new Finding(
                    Verdict.IndexMismatch, "the times that the index keeps for these entries are not theirs: a search by time can miss them.", OutcomesFile.Name, FromSeq: from, ToSeq: from + (1 << LedgerIndex.ZoneShift) - 1));
            }
        }
    }

    // Neighbours with the same difference are one finding.
    private void Differ(long seq, string what, string detail)
    {
        if (open.To + 1 == seq && open.From >= 0 && open.What == what)
        {
            open = (open.From, seq, what, "");
            return;
        }

        Close();
        open = (seq, seq, what, detail);
    }

    private void Close()
    {
        if (open.What.Length > 0)
        {
            string rows = open.From == open.To
                ? string.Create(CultureInfo.InvariantCulture, $"the row of entry {open.From} in the index {open.What}{open.Detail}.")
                : string.Create(CultureInfo.InvariantCulture, $"the rows of entries {open.From}..{open.To} in the index: each {open.What}.");
            findings.Add(new Finding(Verdict.IndexMismatch, rows, OutcomesFile.Name, FromSeq: Math.Max(open.From, 0), ToSeq: Math.Max(open.To, 0)));
        }

        open = (-1, -1, "", "");
    }

    private long One(string sql)
    {
        using var statement = new Statement(connection, sql);
        return statement.Step() && statement.Kind(0) == raw.SQLITE_INTEGER ? statement.Integer(0) : 0;
    }

    private static bool IsNull(Statement row, int column) => row.Kind(column) == raw.SQLITE_NULL;

    private static bool IsInteger(Statement row, int column, long value) => row.Kind(column) == raw.SQLITE_INTEGER && row.Integer(column) == value;

    private static bool IsBlob(Statement row, int column, ReadOnlySpan<byte> value) => row.Kind(column) == raw.SQLITE_BLOB && row.Blob(column).SequenceEqual(value);
}
