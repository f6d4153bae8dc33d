namespace Evident.Ledger;

/// <summary>
/// Reads a ledger again from its first line while its log is open. A quick start trusts the last signed checkpoint and looks at the tail
/// only; this finds what was altered before it.
/// </summary>
public static class LedgerScrub
{
    /// <summary>
    /// Null when the first <paramref name="durableSize"/> entries are what was signed; else one sentence about the gravest finding. What the
    /// writer is appending meanwhile looks like a torn tail and is left out.
    /// </summary>
    public static string? Check(string directory, long durableSize, CancellationToken cancellation)
    {
        var files = LedgerFiles.List(directory);
        var pass = new LedgerPass(directory);
        pass.Run(files.Segments, cancellation: cancellation);
        var worst = pass.Findings
            .Where(f => f.Code is Verdict.Altered or Verdict.KeyViolation or Verdict.Malformed && f.FromSeq < durableSize)
            .MinBy(f => f.FromSeq);
        return worst is not null
            ? $"{Verdict.Word(worst.Code)}: {worst.Segment}, line {worst.Line}: {worst.Sentence}"
            : pass.Size < durableSize ? $"only {pass.Size} of {durableSize} durable entries can be read." : null;
    }
}
