using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// The ledger says what was captured of whom since when. When the policy at a start is not the one that the newest <c>capture.policy</c> entry names, one group is appended, durable before anything is
/// accepted: an entry for the mode of all, then one per rule, all with the hash of the whole policy and of the one before. What stood before are the entries that name that hash.
/// A ledger without such an entry stands for <see cref="CapturePolicy.Default"/>.
/// </summary>
/// <param name="own">Gives the workspace's own scope, whose pseudonym stands for a name that may not be published.</param>
internal sealed class CaptureRecord(CapturePolicy policy, Func<Scope> own, LedgerLog ledger, NewestEntry newest, IClock clock)
{
    private const string EntryType = "capture.policy";

    public void Record()
    {
        string? previous = newest.DocumentHash(EntryType, ledger.Head.Size);
        string hash = HashOf(policy);
        if (hash == (previous ?? HashOf(CapturePolicy.Default)))
        {
            return;
        }

        var entries = new List<EntryDraft> { Draft(0, new CaptureRule(null, null, null, policy.Mode), hash, previous) };
        foreach (var rule in policy.Rules)
        {
            entries.Add(Draft(entries.Count, rule, hash, previous));
        }

        ledger.Append(entries);
    }

    private static string HashOf(CapturePolicy policy) => LedgerFormat.HashPrefix + Convert.ToHexStringLower(policy.Hash);

    private EntryDraft Draft(int number, CaptureRule rule, string hash, string? previous)
    {
        var names = own();
        string about = string.Create(CultureInfo.InvariantCulture, $"{ledger.Origin}\n{EntryType}\n{ledger.Head.Size}\n{number}");
        string id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(about)).AsSpan(0, 16));
        return EntryDraft.Create(EntryType, id, entry => entry
            .Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("actor", who => who.Set("kind", "system")).Set("channel", "system")
            .SetIf("tenant_id", LedgerDrafts.Clean(names, rule.Tenant)).SetIf("environment", LedgerDrafts.Clean(names, rule.Environment))
            .Set("capture", capture => capture.Set("mode", rule.Mode.ToName()).SetIf("workflow_id", LedgerDrafts.Clean(names, Workflow(rule.Workflow))))
            .Set("document", document => document.Set("version", CapturePolicy.FormatVersion.ToString(CultureInfo.InvariantCulture)).Set("hash", hash)
                .SetIf("previous_hash", previous).Set("items", (long)policy.Rules.Count)));
    }

    /// <summary>A workflow as an entry names it: a star may not stand there.</summary>
    public static string? Workflow(string? workflow) => workflow is [.. var prefix, '*'] ? "prefix:" + prefix : workflow;
}
