using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// The spans of one partition that no seal covers yet, as the right edge of the tree over their digests (docs/store.md, "Trace seals"). Memory does not grow with their
/// number. Owned by the writer thread.
/// </summary>
internal sealed class UnsealedSpans
{
    private readonly SpanRecord record = new();
    private MerkleFrontier tree = new();
    private long from, to;

    /// <summary>Number, in its partition, of the first span that is not sealed.</summary>
    public long First { get; private set; }

    public long Count => tree.Size;

    public long End => First + Count;

    /// <summary>Begins with nothing at that number.</summary>
    public void Begin(long first)
    {
        tree = new MerkleFrontier();
        First = first;
    }

    /// <summary>The next span in order of storage.</summary>
    /// <param name="encoded">As it is stored.</param>
    public void Add(string workspace, long received, ContentDigest content, ReadOnlySpan<byte> encoded)
    {
        if (!SpanRecord.TrySplit(encoded, out _, out var seal))
        {
            throw new InvalidDataException($"span {End} of the partition is not in the encoding that this version writes.");
        }

        Span<byte> digest = stackalloc byte[32];
        record.Digest(workspace, received, content, seal, digest);
        from = tree.Size == 0 ? received : Math.Min(from, received); // a clock that was set back makes a later receipt the earlier one
        to = tree.Size == 0 ? received : Math.Max(to, received);
        tree.Append(digest);
    }

    /// <summary>The same for a span that is read back, whose content digest is not at hand.</summary>
    public void Add(string workspace, long received, ReadOnlySpan<byte> encoded)
    {
        Span<byte> content = stackalloc byte[32];
        if (SpanRecord.TrySplit(encoded, out var core, out _))
        {
            SHA256.HashData(core, content);
        }

        Add(workspace, received, ContentDigest.Read(content), encoded);
    }

    /// <summary>The entry that commits to them. Its id follows from what it covers: an attempt that is repeated repeats it.</summary>
    /// <param name="recorded">The appliance's time, Unix milliseconds.</param>
    public EntryDraft ToEntry(string origin, string partition, long recorded)
    {
        string root = LedgerFormat.HashText(tree.Root());
        string about = string.Create(CultureInfo.InvariantCulture, $"{origin}\nledger.traces\n{partition}\n{First}\n{root}");
        string id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(about)).AsSpan(0, 16));
        return EntryDraft.Create("ledger.traces", id, entry => entry.Set("recorded", Rfc3339.FormatMillis(recorded)).Set("traces", traces => traces
            .Set("root", root).Set("spans", Count).Set("partition", partition).Set("first", First)
            .Set("from", Rfc3339.FormatMillis(from)).Set("to", Rfc3339.FormatMillis(to))));
    }
}
