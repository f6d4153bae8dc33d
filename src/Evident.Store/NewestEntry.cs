using System.Text;
using Evident.Ledger;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// Finds the newest entry of a type at the start, when the ledger is open and the index of it may be missing or behind: by the index, and in the entries behind it.
/// </summary>
/// <param name="outcomes">The file with the index of the ledger.</param>
internal sealed class NewestEntry(string ledgerDirectory, string outcomes, Action<string, Exception?> log)
{
    // Entries behind the index that are looked at themselves; an index that is further behind is being rebuilt.
    private const int MaxTail = 20_000;

    /// <summary>What <paramref name="read"/> takes from it; null when there is none, or none within reach.</summary>
    public string? Find(string type, long size, Func<LedgerFacts, string?> read)
    {
        long indexed = 0, seq = -1;
        try
        {
            if (File.Exists(outcomes))
            {
                using var connection = Sqlite.OpenReader(outcomes);
                indexed = One(connection, $"SELECT position FROM watermark WHERE source = '{LedgerIndex.Source}'", 0);
                seq = One(connection, $"SELECT seq FROM entry WHERE type = (SELECT id FROM word WHERE text = '{type}') ORDER BY seq DESC LIMIT 1", -1);
            }
        }
        catch (SqliteException e)
        {
            log($"the index of the ledger does not say which {type} was recorded last; the ledger itself is looked at", e);
        }

        var facts = new LedgerFacts();
        string? newest = seq >= 0 && seq < size ? Last(facts, type, seq, 1, size, read) : null;
        return Last(facts, type, Math.Max(indexed, size - MaxTail), MaxTail, size, read) ?? newest;
    }

    /// <summary>The hash of the document that the newest entry of a type records.</summary>
    public string? DocumentHash(string type, long size) => Find(type, size, static facts => facts.Text("document"u8, "hash"u8));

    private string? Last(LedgerFacts facts, string type, long from, int count, long size, Func<LedgerFacts, string?> read)
    {
        string? last = null;
        byte[] name = Encoding.ASCII.GetBytes(type);
        foreach (var line in from < size ? LedgerReader.Read(ledgerDirectory, from, count, size) : [])
        {
            if (facts.Read(line) && facts[LedgerFacts.Type].SequenceEqual(name))
            {
                last = read(facts);
            }
        }

        return last;
    }

    private static long One(SqliteConnection connection, string sql, long otherwise)
    {
        using var row = new Statement(connection, sql);
        return row.Step() ? row.Integer(0) : otherwise;
    }
}
