using System.Globalization;
using System.Text;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// <c>verify --vault</c>: does the vault still hold what the ledger names? Every payload of an entry must have a wrap with the entry's commitment, unless a receipt says that its day is over; packs and wraps must be what the
/// format says. With the keys every body that they open must open, and meet the commitment of its wrap; without them a body that was exchanged for one of equal length is not seen. Reads only; memory is bounded by looking at a
/// share of the references at a time, and by one payload.
/// </summary>
public sealed class VaultAudit
{
    private const int ReferencesAtOnce = 500_000;
    private const string Folder = "vault";

    private sealed record Named(byte[] Commitment, long Seq, long Recorded)
    {
        public bool Found { get; set; }
    }

    private readonly AuditContext context;
    private readonly string directory;
    private readonly AuditFindings findings = new();
    private readonly Lj1Parser parser = new();
    private readonly Dictionary<string, string> intents = new(StringComparer.Ordinal); // of expiries: id to the last day that ended
    private string endedTo = ""; // newest day that a receipt covers, yyyy-MM-dd
    private readonly Func<VaultReader>? open;
    private VaultReader? keys;
    private long receipted, named, missing, opened, closed;

    private VaultAudit(string dataDirectory, Func<VaultReader>? open, AuditContext context) => (this.context, this.open, directory) = (context, open, Path.Combine(dataDirectory, Folder));

    /// <summary>The audit over a data directory, for <see cref="VerifyRequest.Audits"/>.</summary>
    /// <param name="open">Opens the vault with its keys; null: no body is opened.</param>
    public static Func<AuditContext, IEnumerable<Finding>> Of(string dataDirectory, Func<VaultReader>? open = null) => context => new VaultAudit(dataDirectory, open, context).Run();

    private IReadOnlyList<Finding> Run()
    {
        if (!Directory.Exists(directory))
        {
            findings.Add(Verdict.Incomplete, "vaults", "the data directory has no vault/: there is nothing to compare the ledger with.", Folder);
            return findings.ToList();
        }

        try
        {
            keys = open?.Invoke();
            EachEntry(Count);
            int shares = (int)Math.Min(65_536, (named / ReferencesAtOnce) + 1);
            for (int share = 0; share < shares; share++)
            {
                Compare(share, shares);
            }

            if (missing > receipted)
            {
                findings.Add(Verdict.VaultMismatch, "sums", string.Create(CultureInfo.InvariantCulture, $"{missing} payloads that the ledger names are gone, and its receipts are for {receipted}."), Folder);
            }

            findings.Add(0, "remarks", string.Create(CultureInfo.InvariantCulture, $"the vault was compared with the {named} payloads that the ledger names, by reference and commitment; ")
                + (keys is null ? "no key was used and no body opened."
                    : string.Create(CultureInfo.InvariantCulture, $"{opened} bodies were opened and met their commitments, {closed} wraps are under keys that are not there.")), Folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LedgerStateException or VaultException)
        {
            findings.Add(Verdict.Incomplete, "failures", $"the vault could not be compared with the ledger: {e.Message}", Folder);
        }
        finally
        {
            keys?.Dispose();
        }

        return findings.ToList();
    }

    private void Compare(int share, int shares)
    {
        var wanted = new Dictionary<string, Named>(StringComparer.Ordinal);
        EachEntry((line, json) =>
        {
            long recorded = Recorded(json);
            EachPayload(json, (reference, commitment) =>
            {
                if (ShareOf(reference, shares) == share)
                {
                    wanted[reference] = new Named(commitment, line.Seq, recorded);
                }
            });
        });
        PackAudit.Read(directory, bodies: share == 0, (reference, commitment, pack, offset) =>
        {
            if (share == 0 && keys is not null)
            {
                OpenBody(keys, reference, pack, offset);
            }

            if (wanted.TryGetValue(reference, out var named))
            {
                named.Found = true;
                if (!commitment.SequenceEqual(named.Commitment))
                {
                    findings.Add(Verdict.VaultMismatch, "commitments", $"the wrap of {reference} has another commitment than entry {named.Seq}.", Folder, named.Seq);
                }
            }
        }, (pack, sentence) =>
        {
            if (share == 0)
            {
                findings.Add(Verdict.VaultMismatch, "faults of packs", $"{pack}: {sentence}", $"{Folder}/{pack}");
            }
        }, context.Cancellation);
        foreach (var (reference, one) in wanted)
        {
            if (!one.Found)
            {
                missing++;
                if (string.CompareOrdinal(PartitionSet.DayOf(one.Recorded), endedTo) > 0)
                {
                    findings.Add(Verdict.VaultMismatch, "missing payloads", $"payload {reference}, which entry {one.Seq} names, is not in the vault, and no receipt says that its day is over.", Folder, one.Seq);
                }
            }
        }
    }

    private void OpenBody(VaultReader with, string reference, string pack, long offset)
    {
        try
        {
            if (with.Opens(reference, pack, offset))
            {
                opened++;
            }
            else
            {
                closed++; // erased, or sealed after the keys were read
            }
        }
        catch (VaultException damage) when (damage.Kind == VaultErrorKind.Tampered)
        {
            findings.Add(Verdict.VaultMismatch, "bodies", damage.Message, $"{Folder}/{pack}");
        }
    }

    // Payloads that are named, and receipts of expiries. The packs of an erasure stay, with wraps that nothing opens.
    private void Count(LedgerLine line, ReadOnlySpan<byte> json)
    {
        EachPayload(json, (_, _) => named++);
        var type = parser.Text(json, "type"u8);
        if (type.SequenceEqual("vault.shred.intent"u8) && Member(json, "shred"u8, "by"u8) == "expiry")
        {
            intents[Encoding.ASCII.GetString(parser.Text(json, "id"u8))] = Member(json, "shred"u8, "value"u8);
        }
        else if (type.SequenceEqual("vault.shred.done"u8) && intents.Remove(Member(json, "refers"u8, "entry"u8), out string? day))
        {
            endedTo = string.CompareOrdinal(day, endedTo) > 0 ? day : endedTo;
            receipted += parser.Nodes[parser.Find(json, parser.Find(json, 0, "shred"u8), "count"u8)].Integer;
        }
    }

    private delegate void SeeEntry(LedgerLine line, ReadOnlySpan<byte> json);

    private void EachEntry(SeeEntry see)
    {
        foreach (var line in LedgerReader.Read(context.LedgerDirectory, 0, int.MaxValue, context.Entries))
        {
            var json = line.Json.Span;
            if (json.IndexOf("\"payload\":"u8) >= 0 || json.IndexOf("\"vault.shred."u8) >= 0)
            {
                context.Cancellation.ThrowIfCancellationRequested();
                if (parser.Parse(json) == Lj1Error.None)
                {
                    see(line, json);
                }
            }
        }
    }

    // The line was parsed last.
    private void EachPayload(ReadOnlySpan<byte> json, Action<string, byte[]> see)
    {
        int payload = parser.Find(json, 0, "payload"u8);
        for (int i = payload + 1; payload >= 0 && i < parser.Nodes[payload].Next; i = parser.Nodes[i].Next)
        {
            int reference = parser.Find(json, i, "ref"u8), commitment = parser.Find(json, i, "commitment"u8);
            if (reference >= 0 && commitment >= 0)
            {
                see(Text(json, reference), Convert.FromHexString(Text(json, commitment).AsSpan("hmac-sha256:".Length)));
            }
        }
    }

    private long Recorded(ReadOnlySpan<byte> json) => Rfc3339.TryParseMillis(Encoding.ASCII.GetString(parser.Text(json, "recorded"u8)), out long millis) ? millis : 0;

    private string Member(ReadOnlySpan<byte> json, ReadOnlySpan<byte> parent, ReadOnlySpan<byte> member)
    {
        int inside = parser.Find(json, 0, parent), at = inside < 0 ? -1 : parser.Find(json, inside, member);
        return at < 0 ? "" : Text(json, at);
    }

    private string Text(ReadOnlySpan<byte> json, int node) => Encoding.ASCII.GetString(json.Slice(parser.Nodes[node].Start, parser.Nodes[node].Length));

    // References are random: their last three characters divide them evenly.
    private static int ShareOf(string reference, int shares) => shares == 1 ? 0 : ((reference[^1] * 1_024) + (reference[^2] * 32) + reference[^3]) % shares;
}
