namespace Evident.Ledger;

/// <summary>What reading a ledger again has found.</summary>
/// <param name="Entries">Entries that were read and are what was signed, from 0 on.</param>
/// <param name="Altered">One sentence about the gravest alteration; null when there is none.</param>
/// <param name="Unreadable">One sentence about what could not be read, which accuses nobody; null when everything could.</param>
public sealed record ScrubResult(long Entries, string? Altered, string? Unreadable);

/// <summary>
/// Reads a ledger again from its first line while its log is open. A quick start trusts the last signed checkpoint and looks at the tail only, and a disk
/// may lose at any time what it once had: this finds both.
/// </summary>
public static class LedgerScrub
{
    /// <summary>One round over the first <paramref name="durableSize"/> entries. What the writer is appending meanwhile looks like a torn tail and is left out.</summary>
    /// <param name="directory">The ledger directory.</param>
    /// <param name="durableSize">Entries that are durable at this moment.</param>
    /// <param name="progress">Told, on the calling thread and once per group, how many entries were passed; it may take its time, which is how a caller slows the round down.</param>
    /// <param name="cancellation">Ends the round with <see cref="OperationCanceledException"/>.</param>
    public static ScrubResult Check(string directory, long durableSize, IProgress<long>? progress, CancellationToken cancellation)
    {
        var files = LedgerFiles.List(directory);
        var pass = new LedgerPass(directory) { Ahead = 0, OnSigned = (size, _) => progress?.Report(size) }; // one thread: the appliance has other work
        pass.Run(files.Segments, cancellation: cancellation);
        Finding? altered = null, unreadable = null;
        foreach (var finding in pass.Findings)
        {
            if (finding.Code == Verdict.Incomplete)
            {
                unreadable ??= finding;
            }
            else if (finding.Code is Verdict.Altered or Verdict.KeyViolation or Verdict.Malformed && finding.FromSeq < durableSize
                && (altered is null || finding.FromSeq < altered.FromSeq))
            {
                altered = finding;
            }
        }

        long entries = Math.Min(pass.Size, durableSize);
        string? told = altered is not null ? $"{Verdict.Word(altered.Code)}: {altered.Segment}, line {altered.Line}: {altered.Sentence}"
            : unreadable is null && pass.Size < durableSize ? $"only {pass.Size} of {durableSize} durable entries are there."
            : null;
        return new ScrubResult(entries, told, unreadable?.Sentence);
    }
}
