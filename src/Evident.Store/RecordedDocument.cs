using System.Text;
using Evident.Ledger;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>The newest entry of a type that records a document (rules, a policy), and the hash that it names.</summary>
/// <param name="outcomes">The file with the index of the ledger; it may be missing or behind.</param>
internal sealed class RecordedDocument(LedgerLog ledger, string ledgerDirectory, string outcomes, Action<string, Exception?> log)
{
    // Entries behind the index that are looked at themselves. When the index is further behind (it is being rebuilt) the document is recorded once more, which is true as well.
    private const int MaxTail = 20_000;

    /// <summary>Null when there is no such entry.</summary>
    public string? NewestHash(string type)
    {
        long size = ledger.Head.Size, indexed = 0, seq = -1;
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
        string? newest = seq >= 0 && seq < size ? Read(facts, type, seq, 1, size) : null;
        return Read(facts, type, Math.Max(indexed, size - MaxTail), MaxTail, size) ?? newest;
    }

    // The hash that the last such entry of a stretch names.
    private string? Read(LedgerFacts facts, string type, long from, int count, long size)
    {
        string? hash = null;
        foreach (var line in from < size ? LedgerReader.Read(ledgerDirectory, from, count, size) : [])
        {
            if (facts.Read(line) && facts[LedgerFacts.Type].SequenceEqual(Encoding.ASCII.GetBytes(type)))
            {
                hash = facts.Text("document"u8, "hash"u8);
            }
        }

        return hash;
    }

    private static long One(SqliteConnection connection, string sql, long otherwise)
    {
        using var row = new Statement(connection, sql);
        return row.Step() ? row.Integer(0) : otherwise;
    }
}
