using System.Collections;
using System.Globalization;

namespace Evident.Ledger;

/// <summary>
/// What a pass found, in the order of the files: the first <see cref="MaxListed"/> in full, further ones as one line per code, so that a
/// file that is nothing but damage cannot fill the memory.
/// </summary>
internal sealed class FindingList : IEnumerable<Finding>
{
    public const int MaxListed = 10_000;

    private sealed record Tally(int Code, long Times, Finding First, Finding Last);

    private readonly List<Finding> listed = [];
    private List<Tally> more = [];

    /// <summary>All findings, listed or not.</summary>
    public long Count { get; private set; }

    public void Add(Finding finding)
    {
        Count++;
        if (listed.Count < MaxListed)
        {
            listed.Add(finding);
            return;
        }

        int i = more.FindIndex(t => t.Code == finding.Code);
        if (i < 0)
        {
            more.Add(new Tally(finding.Code, 1, finding, finding));
        }
        else
        {
            more[i] = more[i] with { Times = more[i].Times + 1, Last = finding };
        }
    }

    public void AddRange(List<Finding> findings)
    {
        foreach (var finding in findings)
        {
            Add(finding);
        }
    }

    /// <summary>A point to come back to.</summary>
    public Mark Here() => new(Count, more.Count == 0 ? null : new List<Tally>(more));

    /// <summary>Takes back what was added since.</summary>
    public void CutTo(Mark mark)
    {
        Count = mark.Count;
        more = mark.More is null ? [] : [.. (List<Tally>)mark.More];
        if (listed.Count > Count)
        {
            listed.RemoveRange((int)Count, listed.Count - (int)Count);
        }
    }

    internal readonly record struct Mark(long Count, object? More);

    public IEnumerator<Finding> GetEnumerator()
    {
        foreach (var finding in listed)
        {
            yield return finding;
        }

        foreach (var t in more)
        {
            yield return new Finding(
                t.Code, string.Create(CultureInfo.InvariantCulture, $"{t.Times} more findings of this code, down to {t.Last.Segment}, line {t.Last.Line}; only the first {MaxListed} findings are listed."),
                t.First.Segment, t.First.Line, t.First.FromByte, t.First.ToByte, t.First.FromSeq, t.Last.ToSeq);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
