using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// The ledger says which redaction rules were in force since when: at each start the hash of the rules is compared with the newest <c>redaction.rules</c> entry, and an entry is appended when
/// it differs, durable before anything is accepted.
/// </summary>
/// <param name="outcomes">The file with the index of the ledger; it may be missing or behind.</param>
internal sealed class RuleRecord(RuleSet rules, LedgerLog ledger, string ledgerDirectory, string outcomes, Action<string, Exception?> log)
{
    private const string EntryType = "redaction.rules";

    // Entries behind the index that are looked at themselves. When the index is further behind (it is being rebuilt) the rules are recorded once more, which is true as well.
    private const int MaxTail = 20_000;

    public void Record()
    {
        string hash = LedgerFormat.HashPrefix + Convert.ToHexStringLower(rules.Hash);
        string? previous = Newest(ledger.Head.Size);
        if (previous != hash)
        {
            ledger.AppendOwn(EntryType, entry => entry
                .Set("actor", who => who.Set("kind", "system")).Set("channel", "system")
                .Set("document", document => document.Set("version", rules.Version).Set("hash", hash).SetIf("previous_hash", previous).Set("items", (long)rules.Rules.Count)));
        }
    }

    private string? Newest(long size)
    {
        long indexed = 0, seq = -1;
        try
        {
            if (File.Exists(outcomes))
            {
                using var connection = Sqlite.OpenReader(outcomes);
                indexed = One(connection, $"SELECT position FROM watermark WHERE source = '{LedgerIndex.Source}'", 0);
                seq = One(connection, $"SELECT seq FROM entry WHERE type = (SELECT id FROM word WHERE text = '{EntryType}') ORDER BY seq DESC LIMIT 1", -1);
            }
        }
        catch (SqliteException e)
        {
            log("the index of the ledger does not say which redaction rules were recorded last; the ledger itself is looked at", e);
        }

        var facts = new LedgerFacts();
        string? newest = seq >= 0 && seq < size ? Read(facts, seq, 1, size) : null;
        return Read(facts, Math.Max(indexed, size - MaxTail), MaxTail, size) ?? newest;
    }

    // The hash that the last such entry of a stretch names.
    private string? Read(LedgerFacts facts, long from, int count, long size)
    {
        string? hash = null;
        foreach (var line in from < size ? LedgerReader.Read(ledgerDirectory, from, count, size) : [])
        {
            if (facts.Read(line) && facts[LedgerFacts.Type].SequenceEqual(Encoding.ASCII.GetBytes(EntryType)))
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
