using System.Text;

namespace Evident.Ingest;

/// <summary>Whether a rule is about a span.</summary>
internal enum Likeness : byte
{
    No,

    /// <summary>The span does not say what the rule asks for.</summary>
    Perhaps,

    Yes,
}

/// <summary>A rule made ready to be held against spans. Blanks around a name and ASCII case do not count; names beyond ASCII are compared byte for byte. Immutable.</summary>
public sealed class CaptureMatcher(CaptureRule rule)
{
    private readonly byte[] tenant = Utf8(rule.Tenant), workflow = Utf8(rule.Workflow), environment = Utf8(rule.Environment);

    internal CaptureMode Mode => rule.Mode;

    /// <summary>The span says everything that the rule asks for, and it is what the rule says.</summary>
    public bool Covers(scoped in CaptureSubject subject) => Match(subject) == Likeness.Yes;

    internal Likeness Match(scoped in CaptureSubject subject)
    {
        var of = Match(tenant, subject.Tenant);
        var by = Match(workflow, subject.Workflow);
        var at = Match(environment, subject.Environment);
        var least = of < by ? of : by;
        return least < at ? least : at;
    }

    private static byte[] Utf8(string? name) => Encoding.UTF8.GetBytes(name ?? "");

    private static Likeness Match(byte[] wanted, ReadOnlySpan<byte> said)
    {
        if (wanted.Length == 0) return Likeness.Yes;
        said = said.Trim((byte)' ');
        if (said.IsEmpty) return Likeness.Perhaps;
        bool same = wanted[^1] == (byte)'*'
            ? said.Length >= wanted.Length - 1 && Ascii.EqualsIgnoreCase(said[..(wanted.Length - 1)], wanted.AsSpan(..^1))
            : said.SequenceEqual(wanted) || Ascii.EqualsIgnoreCase(said, wanted);
        return same ? Likeness.Yes : Likeness.No;
    }
}
