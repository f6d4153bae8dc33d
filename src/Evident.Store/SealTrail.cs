using System.Text;
using Evident.Ledger;

namespace Evident.Store;

/// <summary>What the ledger says about sealed spans. Seals stand in the order of their partitions' names, so the newest ones are found from the end.</summary>
internal static class SealTrail
{
    private const int EntriesPerRead = 1_024;

    /// <summary>
    /// For every partition from <paramref name="oldest"/> on that the first <paramref name="size"/> entries seal spans of: the number up to which they do. Reads
    /// backwards until a seal of an older partition, which is seldom far.
    /// </summary>
    public static Dictionary<string, long> EndsSince(string ledgerDirectory, long size, string oldest)
    {
        var ends = new Dictionary<string, long>(StringComparer.Ordinal);
        var parser = new Lj1Parser();
        for (long to = size; to > 0;)
        {
            long from = Math.Max(0, to - EntriesPerRead);
            bool reached = false;
            foreach (var line in LedgerReader.Read(ledgerDirectory, from, EntriesPerRead, to))
            {
                if (Seal.TryRead(line, parser) is { } seal)
                {
                    reached |= string.CompareOrdinal(seal.Partition, oldest) < 0;
                    if (string.CompareOrdinal(seal.Partition, oldest) >= 0)
                    {
                        ends[seal.Partition] = Math.Max(ends.GetValueOrDefault(seal.Partition), seal.End);
                    }
                }
            }

            if (reached)
            {
                break;
            }

            to = from;
        }

        return ends;
    }
}

/// <summary>One <c>ledger.traces</c> entry.</summary>
/// <param name="First">Number of the first span in the partition.</param>
/// <param name="Spans">How many.</param>
/// <param name="Root">32 bytes.</param>
internal sealed record Seal(long Seq, string Partition, long First, long Spans, byte[] Root)
{
    public long End => First + Spans;

    /// <summary>Null when the line is another entry.</summary>
    /// <exception cref="LedgerStateException">The line is not LJ-1.</exception>
    public static Seal? TryRead(LedgerLine line, Lj1Parser parser)
    {
        var json = line.Json.Span;
        if (json.IndexOf("\"type\":\"ledger.traces\""u8) < 0)
        {
            return null; // most lines; a string value cannot hold a quotation mark
        }

        if (parser.Parse(json) != Lj1Error.None)
        {
            throw new LedgerStateException($"ledger entry {line.Seq} is not LJ-1: run `evident verify`.");
        }

        int traces = parser.Find(json, 0, "traces"u8);
        if (traces < 0 || !parser.Text(json, "type"u8).SequenceEqual("ledger.traces"u8))
        {
            return null;
        }

        var nodes = parser.Nodes;
        ref readonly var root = ref nodes[parser.Find(json, traces, "root"u8)];
        ref readonly var name = ref nodes[parser.Find(json, traces, "partition"u8)];
        return new Seal(
            line.Seq, Encoding.ASCII.GetString(json.Slice(name.Start, name.Length)), nodes[parser.Find(json, traces, "first"u8)].Integer,
            nodes[parser.Find(json, traces, "spans"u8)].Integer,
            Convert.FromHexString(Encoding.ASCII.GetString(json.Slice(root.Start, root.Length)).AsSpan(LedgerFormat.HashPrefix.Length)));
    }
}
