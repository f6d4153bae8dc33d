using System.Globalization;
using Evident.Ledger;

namespace Evident.Store;

/// <summary>The findings of one audit. Of one kind at most so many are told one by one, the rest are counted: a file that is wrong throughout must not fill the memory.</summary>
internal sealed class AuditFindings
{
    private const int ToldOfAKind = 100;

    private readonly List<Finding> told = [];
    private readonly Dictionary<string, long> kinds = new(StringComparer.Ordinal); // how many there are

    /// <param name="kind">What is counted together, in the plural.</param>
    /// <param name="file">Path below the data directory.</param>
    /// <param name="seq">Ledger entry concerned; -1 when none.</param>
    public void Add(int code, string kind, string sentence, string file = "", long seq = -1)
    {
        long count = kinds.GetValueOrDefault(kind) + 1;
        kinds[kind] = count;
        if (count <= ToldOfAKind)
        {
            told.Add(new Finding(code, sentence, file, FromSeq: seq, ToSeq: seq));
        }
    }

    public IReadOnlyList<Finding> ToList()
    {
        foreach (var (kind, count) in kinds)
        {
            if (count > ToldOfAKind)
            {
                told.Add(new Finding(0, string.Create(CultureInfo.InvariantCulture, $"{count - ToldOfAKind} further {kind} are not listed.")));
            }
        }

        return told;
    }
}
