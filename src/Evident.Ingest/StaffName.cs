using System.Text;

namespace Evident.Ingest;

/// <summary>A member of staff whose name or address became a pseudonym; for the sealed register of whoever keeps one.</summary>
/// <param name="Pseudonym"><c>s_</c> and 32 hex digits.</param>
/// <param name="Name">As sent, at most 256 bytes.</param>
public sealed record StaffName(string Pseudonym, string Name);

/// <summary>The names met in one request. Used by one thread at a time.</summary>
internal sealed class StaffNames(RuleSet rules) : IDisposable
{
    private const int MaxNameBytes = 256, MaxNames = 1_024;

    private readonly List<StaffName> names = [];
    private readonly RedactionTally found = new(rules);
    private readonly ByteSink scratch = new();

    /// <summary>Only what may be a name or an address of mail: text in which another rule finds something is a secret in the wrong place, and is not kept.</summary>
    internal void Add(ReadOnlySpan<byte> pseudonym, ReadOnlySpan<byte> name, Redactor redactor)
    {
        if (name.Length > MaxNameBytes || names.Count >= MaxNames || name.ContainsAnyInRange((byte)0, (byte)31)) return;
        scratch.Clear();
        found.Clear();
        redactor.Redact(name, scratch, found);
        if (found.Total == found.Counts[(int)CodeRule.Email]) names.Add(new StaffName(Encoding.ASCII.GetString(pseudonym), Encoding.UTF8.GetString(name)));
    }

    /// <summary>What was met since the last call.</summary>
    internal IReadOnlyList<StaffName> Take()
    {
        if (names.Count == 0) return [];
        StaffName[] all = [.. names];
        names.Clear();
        return all;
    }

    public void Dispose() => scratch.Dispose();
}
