namespace Evident.Ledger;

/// <summary>
/// One thing that a check found. <see cref="Code"/> is the exit code it calls for: 30..36, 40; 12 is a note that a person
/// should read; 0 is information.
/// </summary>
/// <param name="Segment">File in the ledger directory.</param>
/// <param name="Line">1-based line in that file; 0 when the finding is about the file.</param>
/// <param name="FromByte">Byte range [FromByte, ToByte) in that file.</param>
/// <param name="FromSeq">Entries [FromSeq, ToSeq] concerned; -1 when none.</param>
public sealed record Finding(
    int Code, string Sentence, string Segment = "", long Line = 0, long FromByte = 0, long ToByte = 0, long FromSeq = -1, long ToSeq = -1);

/// <summary>Exit codes and words of <c>evident verify</c>.</summary>
public static class Verdict
{
    public const int Verified = 0, Unanchored = 10, AnchorStale = 11, Notes = 12;
    public const int RolledBack = 30, Forked = 31, Altered = 32, KeyViolation = 33, Malformed = 34, VaultMismatch = 35, IndexMismatch = 36;
    public const int Incomplete = 40, Usage = 64;

    /// <summary>Most serious first.</summary>
    public static readonly IReadOnlyList<int> Order =
        [Usage, Forked, KeyViolation, Altered, RolledBack, Malformed, VaultMismatch, IndexMismatch, Incomplete, Unanchored, AnchorStale, Notes, Verified];

    public static string Word(int code) => code switch
    {
        Verified => "VERIFIED",
        Unanchored => "CONSISTENT-UNANCHORED",
        AnchorStale => "ANCHOR-STALE",
        Notes => "SOUND-WITH-NOTES",
        RolledBack => "ROLLED-BACK",
        Forked => "FORKED",
        Altered => "ALTERED",
        KeyViolation => "KEY-VIOLATION",
        Malformed => "MALFORMED",
        VaultMismatch => "VAULT-MISMATCH",
        IndexMismatch => "INDEX-MISMATCH",
        Incomplete => "INCOMPLETE",
        _ => "USAGE",
    };

    public static int MostSerious(IEnumerable<int> codes)
    {
        int worst = Verified;
        foreach (int code in codes)
        {
            if (Rank(code) < Rank(worst))
            {
                worst = code;
            }
        }

        return worst;
    }

    // -1, before all others, for a code that the list does not have.
    private static int Rank(int code) => ((List<int>)[.. Order]).IndexOf(code);
}
