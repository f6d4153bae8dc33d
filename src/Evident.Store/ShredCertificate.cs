using System.Text;
using Evident.Ledger;

namespace Evident.Store;

/// <summary>
/// What proves a shredding to somebody else (docs/evidence.md, section 7): the intent's and the receipt's entry as they stand in the ledger, each with its C2SP tlog-proof, under the appliance's published head.
/// </summary>
internal static class ShredCertificate
{
    private const string Title = "evident shred certificate v1\n";

    /// <summary>The certificate as text.</summary>
    /// <param name="search">Entries of a type, newest first.</param>
    /// <param name="proof">The tlog-proof of an entry under a published head.</param>
    /// <exception cref="VaultActRefusedException">The ledger has no such shredding, or it is not finished.</exception>
    public static byte[] Make(string id, Func<LedgerFilter, LedgerPage> search, Func<long, byte[]?> proof)
    {
        var intent = Find("vault.shred.intent", id, search) ?? throw new VaultActRefusedException($"the ledger has no shredding '{id}'; `evident ledger cat --type vault.shred.intent` and the page list them.");
        var done = Find("vault.shred.done", id + ".done", search) ?? throw new VaultActRefusedException($"the shredding '{id}' is not finished: its receipt is not in the ledger.");
        using var certificate = new MemoryStream();
        certificate.Write(Encoding.ASCII.GetBytes(Title));
        foreach (var entry in (LedgerLine[])[intent, done])
        {
            byte[] proven = proof(entry.Seq) ?? throw new VaultActRefusedException("the head that covers it is not published yet; try again in a moment.");
            certificate.Write(Encoding.ASCII.GetBytes("\nentry\n"));
            certificate.Write(entry.Json.Span);
            certificate.WriteByte((byte)'\n');
            certificate.Write(proven);
        }

        return certificate.ToArray();
    }

    private static LedgerLine? Find(string type, string id, Func<LedgerFilter, LedgerPage> search)
    {
        var parser = new Lj1Parser();
        byte[] wanted = Encoding.UTF8.GetBytes(id);
        for (string? cursor = null; ;)
        {
            var page = search(new LedgerFilter(Type: type, Limit: 500, Cursor: cursor));
            foreach (var line in page.Entries)
            {
                if (parser.Parse(line.Json.Span) == Lj1Error.None && parser.Text(line.Json.Span, "id"u8).SequenceEqual(wanted))
                {
                    return line;
                }
            }

            cursor = page.Next;
            if (cursor is null)
            {
                return null;
            }
        }
    }
}
