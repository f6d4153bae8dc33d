using Evident.Ingest;
using Evident.Ledger;

namespace Evident.Store;

/// <summary>
/// The ledger says which redaction rules were in force since when: at each start the hash of the rules is compared with the newest <c>redaction.rules</c> entry, and an entry is appended when
/// it differs, durable before anything is accepted.
/// </summary>
internal sealed class RuleRecord(RuleSet rules, LedgerLog ledger, NewestEntry newest)
{
    private const string EntryType = "redaction.rules";

    public void Record()
    {
        string hash = LedgerFormat.HashPrefix + Convert.ToHexStringLower(rules.Hash);
        // An index that is too far behind hides the newest one; the rules are then recorded once more, which is true as well.
        string? previous = newest.DocumentHash(EntryType, ledger.Head.Size);
        if (previous != hash)
        {
            ledger.AppendOwn(EntryType, entry => entry
                .Set("actor", who => who.Set("kind", "system")).Set("channel", "system")
                .Set("document", document => document.Set("version", rules.Version).Set("hash", hash).SetIf("previous_hash", previous).Set("items", (long)rules.Rules.Count)));
        }
    }
}
