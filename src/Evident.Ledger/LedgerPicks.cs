namespace Evident.Ledger;

/// <summary>Reads single entries out of the ledger, as the results of a search need them: neighbours in one pass over their lines, others by binary search.</summary>
public static class LedgerPicks
{
    private const int NearEntries = 128; // reading on over so many lines costs less than searching anew

    /// <summary>The entries with these numbers, which ascend and are below <paramref name="durableSize"/>.</summary>
    /// <exception cref="LedgerStateException">The files do not hold the entries that the durable size promises.</exception>
    public static List<LedgerLine> Read(string directory, IReadOnlyList<long> ascending, long durableSize)
    {
        var picked = new List<LedgerLine>(ascending.Count);
        for (int i = 0; i < ascending.Count;)
        {
            long first = ascending[i], last = first;
            int n = 1;
            while (i + n < ascending.Count && ascending[i + n] - last <= NearEntries)
            {
                last = ascending[i + n++];
            }

            foreach (var line in LedgerReader.Read(directory, first, checked((int)(last - first + 1)), durableSize))
            {
                if (line.Seq == ascending[i])
                {
                    picked.Add(line);
                    i++;
                }
            }
        }

        return picked;
    }
}
