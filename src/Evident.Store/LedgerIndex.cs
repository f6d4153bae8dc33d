using System.Text;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// The index of the ledger in <c>outcomes.db</c>: one row an entry, so that entries are found by what they say. It holds no entry: whatever is shown is read from
/// the segments, by its number. Strings stand once, in <c>word</c>; a row holds their numbers, and so do the indexes. Owned by the projection thread.
/// </summary>
/// <remarks>
/// <c>zone</c> keeps the earliest and latest time of each 1,024 entries: clocks may jump, so time is no order of the ledger, and an index on it would only say
/// what these few rows say.
/// </remarks>
internal sealed class LedgerIndex : IDisposable
{
    /// <summary>Entries of one row of <c>zone</c>, as a power of two.</summary>
    public const int ZoneShift = 10;

    public const string Source = "ledger"; // in the table watermark

    private const int CachedWords = 16_384;

    /// <summary>Columns with an index of their own.</summary>
    public static readonly string[] Indexed = ["run", "tool", "actor", "approver", "approval", "args_match", "workflow", "tenant", "type"];

    /// <summary>Every statement that makes the index, as SQLite keeps it: an audit finds a schema that says something else.</summary>
    public static readonly string[] Schema = MakeSchema();

    private readonly Dictionary<string, long> words = new(StringComparer.Ordinal);
    private readonly Statement putEntry, putZone, putWord, findWord, findHash;
    private readonly byte[] trace = new byte[16], span = new byte[8];

    public LedgerIndex(SqliteConnection connection)
    {
        string marks = string.Join(", ", Enumerable.Repeat("?", 6 + LedgerFacts.Columns.Length));
        putEntry = new Statement(connection, $"INSERT OR REPLACE INTO entry (seq, hash, recorded, trace_id, span_id, anchored, {string.Join(", ", LedgerFacts.Columns)}) VALUES ({marks})");
        putZone = new Statement(connection, "INSERT INTO zone (block, least, most) VALUES (?1, ?2, ?2) ON CONFLICT (block) DO UPDATE SET least = min(least, excluded.least), most = max(most, excluded.most)");
        putWord = new Statement(connection, "INSERT INTO word (text) VALUES (?1) ON CONFLICT (text) DO NOTHING");
        findWord = new Statement(connection, "SELECT id FROM word WHERE text = ?1");
        findHash = new Statement(connection, "SELECT hash FROM entry WHERE seq = ?1");
    }

    public void Put(LedgerFacts facts)
    {
        putEntry.Bind(1, facts.Seq).Bind(2, facts.Hash).Bind(3, facts.Recorded);
        _ = facts.TraceId(trace) ? putEntry.Bind(4, trace) : putEntry.Bind(4, (string?)null);
        _ = facts.SpanId(span) ? putEntry.Bind(5, span) : putEntry.Bind(5, (string?)null);
        _ = facts.Anchored >= 0 ? putEntry.Bind(6, facts.Anchored) : putEntry.Bind(6, (string?)null);
        for (int i = 0; i < LedgerFacts.Columns.Length; i++)
        {
            var word = facts[i];
            _ = word.IsEmpty ? putEntry.Bind(7 + i, (string?)null) : putEntry.Bind(7 + i, NumberOf(Encoding.ASCII.GetString(word)));
        }

        putEntry.Run();
        putZone.Bind(1, facts.Seq >> ZoneShift).Bind(2, facts.Recorded).Run();
    }

    /// <summary>Whether the row of the entry was made from this very entry.</summary>
    public bool Holds(LedgerFacts facts)
    {
        findHash.Bind(1, facts.Seq);
        bool same = findHash.Step() && findHash.Blob(0).SequenceEqual(facts.Hash);
        findHash.Reset();
        return same;
    }

    public void Dispose()
    {
        findHash.Dispose();
        putEntry.Dispose();
        putZone.Dispose();
        putWord.Dispose();
        findWord.Dispose();
    }

    private long NumberOf(string word)
    {
        if (words.TryGetValue(word, out long number))
        {
            return number;
        }

        putWord.Bind(1, word).Run();
        findWord.Bind(1, word);
        _ = findWord.Step();
        number = findWord.Integer(0);
        findWord.Reset();
        if (words.Count == CachedWords)
        {
            words.Clear(); // senders choose some of the words: their number has no bound
        }

        words.Add(word, number);
        return number;
    }

    private static string[] MakeSchema()
    {
        var made = new List<string>
        {
            "CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
            $"CREATE TABLE entry (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, recorded INTEGER NOT NULL, trace_id BLOB, span_id BLOB, anchored INTEGER, {string.Join(" INTEGER, ", LedgerFacts.Columns)} INTEGER)",
            "CREATE TABLE zone (block INTEGER PRIMARY KEY, least INTEGER NOT NULL, most INTEGER NOT NULL)",
            "CREATE INDEX entry_trace_id ON entry (trace_id) WHERE trace_id IS NOT NULL",
            "CREATE INDEX entry_anchored ON entry (anchored) WHERE anchored IS NOT NULL",
        };
        foreach (string column in Indexed)
        {
            made.Add($"CREATE INDEX entry_{column} ON entry ({column}) WHERE {column} IS NOT NULL");
        }

        return [.. made];
    }
}
