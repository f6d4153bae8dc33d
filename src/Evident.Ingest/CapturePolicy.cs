using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Evident.Ingest;

/// <summary>What becomes of what the content gate does not keep in a trace, from the least strict to the strictest; the numbers are stored in spans (docs/span-format.md).</summary>
public enum CaptureMode : byte
{
    /// <summary>Redacted, then sealed.</summary>
    Redacted = 0,

    /// <summary>Not kept: its role, its size and a fingerprint whose key is never on a disk.</summary>
    Structure = 1,

    /// <summary>Not kept, and nothing about it either.</summary>
    OptOut = 2,

    /// <summary>Sealed as it was sent; only while a debug session is open.</summary>
    Full = 3,
}

/// <summary>One rule: every part that is not null must be what the span says. A workflow that ends in <c>*</c> stands for all that begin so; case does not count.</summary>
public sealed record CaptureRule(string? Tenant, string? Workflow, string? Environment, CaptureMode Mode);

/// <summary>What the configuration says about capture (docs/privacy.md).</summary>
public sealed record CaptureOptions
{
    /// <summary>Where no rule says another: <see cref="CaptureMode.Redacted"/> or <see cref="CaptureMode.Structure"/>.</summary>
    public CaptureMode Mode { get; init; } = CaptureMode.Redacted;

    /// <summary>A span that does not say its tenant, workflow or environment is held to a stricter rule that it might fall under.</summary>
    public bool UnnamedIsStrict { get; init; } = true;

    /// <summary>Tenants of whom nothing is captured.</summary>
    public IReadOnlyList<string> OptOut { get; init; } = [];

    public IReadOnlyList<CaptureRule> Rules { get; init; } = [];
}

/// <summary>What a span says of itself, as UTF-8; empty where it says nothing.</summary>
public readonly ref struct CaptureSubject
{
    public ReadOnlySpan<byte> Tenant { get; init; }
    public ReadOnlySpan<byte> Workflow { get; init; }
    public ReadOnlySpan<byte> Environment { get; init; }

    /// <summary>The spans of its trace say different things where it says nothing itself.</summary>
    public bool IsUnsure { get; init; }
}

/// <summary>Which spans are captured in full at this moment: those of open debug sessions. Thread safe.</summary>
public interface IFullCapture
{
    /// <summary>Some are.</summary>
    bool IsOpen { get; }

    bool Covers(scoped in CaptureSubject subject);
}

/// <summary>
/// What is captured of whom: the strictest of the rules that match, else the mode for all. Built once from the configuration, immutable, thread safe; the ledger keeps the hash of its canonical
/// text and each of its rules.
/// </summary>
public sealed class CapturePolicy
{
    /// <summary>Version of the canonical text.</summary>
    public const int FormatVersion = 1;

    /// <summary>Rules and opt-outs together; UTF-8 bytes of one name in them.</summary>
    public const int MaxRules = 1_000, MaxNameBytes = 256;

    private readonly CaptureOptions options;
    private readonly CaptureMatcher[] forms;

    private CapturePolicy(CaptureOptions options)
    {
        this.options = options;
        var rules = new List<CaptureRule>();
        foreach (string tenant in options.OptOut) rules.Add(new CaptureRule(tenant, null, null, CaptureMode.OptOut));
        rules.AddRange(options.Rules);
        Rules = rules;
        forms = Array.ConvertAll(rules.ToArray(), rule => new CaptureMatcher(rule));
        Hash = SHA256.HashData(Encoding.UTF8.GetBytes(ToText()));
    }

    /// <summary>Everything is redacted and sealed.</summary>
    public static CapturePolicy Default { get; } = new(new CaptureOptions());

    /// <summary>In force where no rule says another.</summary>
    public CaptureMode Mode => options.Mode;

    /// <summary>A span that does not say its tenant, workflow or environment is held to a stricter rule that it might fall under.</summary>
    public bool UnnamedIsStrict => options.UnnamedIsStrict;

    /// <summary>There is no rule.</summary>
    internal bool IsSameForAll => forms.Length == 0;

    /// <summary>Opt-outs first, then the rules as they were given.</summary>
    public IReadOnlyList<CaptureRule> Rules { get; }

    /// <summary>SHA-256 of <see cref="ToText"/>, 32 bytes.</summary>
    public byte[] Hash { get; }

    /// <summary>Null when the configuration cannot be used; the problems say why, one sentence each.</summary>
    public static CapturePolicy? TryBuild(CaptureOptions options, out IReadOnlyList<string> problems)
    {
        ArgumentNullException.ThrowIfNull(options);
        var found = new List<string>();
        if (options.OptOut.Count + options.Rules.Count > MaxRules) found.Add($"capture has {options.OptOut.Count + options.Rules.Count} rules and opt-outs; at most {MaxRules} are allowed.");
        foreach (string tenant in options.OptOut) Check(tenant, "capture.optOut", found);
        foreach (var rule in options.Rules)
        {
            if (rule.Tenant is null && rule.Workflow is null && rule.Environment is null) found.Add("capture.rules has a rule for everything; that is what capture.mode is for.");
            if (rule.Mode is not (CaptureMode.Redacted or CaptureMode.Structure)) found.Add($"capture.rules has the mode '{rule.Mode.ToName()}'; a rule says redacted or structure.");
            foreach (string? name in (ReadOnlySpan<string?>)[rule.Tenant, rule.Workflow, rule.Environment])
                if (name is not null) Check(name, "capture.rules", found);
        }
        problems = found;
        return found.Count == 0 ? new CapturePolicy(options) : null;
    }

    private static void Check(string name, string where, List<string> found)
    {
        if (name.Trim('*').Length == 0 || Encoding.UTF8.GetByteCount(name) > MaxNameBytes || name.Any(char.IsControl) || name.Trim() != name)
            found.Add($"{where} has the name '{name}'; names are 1 to {MaxNameBytes} bytes without control characters and without blanks at their ends.");
    }

    /// <summary>The mode for what a span says of itself.</summary>
    public CaptureMode ModeOf(scoped in CaptureSubject subject)
    {
        if (forms.Length == 0) return options.Mode;
        var named = options.Mode;
        var possible = CaptureMode.Redacted;
        bool any = false;
        foreach (var form in forms)
        {
            switch (form.Match(subject))
            {
                case Likeness.Yes:
                    named = any ? Stricter(named, form.Mode) : form.Mode;
                    any = true;
                    break;
                case Likeness.Perhaps: possible = Stricter(possible, form.Mode); break;
            }
        }
        return options.UnnamedIsStrict ? Stricter(named, possible) : named;
    }

    private static CaptureMode Stricter(CaptureMode a, CaptureMode b) => a > b ? a : b;

    /// <summary>The canonical text: one line per statement, tab-separated, rules in ordinal order. Its SHA-256 is <see cref="Hash"/>.</summary>
    public string ToText()
    {
        var text = new StringBuilder("evident capture policy\t").Append(FormatVersion.ToString(CultureInfo.InvariantCulture)).Append("\nmode\t").Append(options.Mode.ToName())
            .Append("\nunnamed\t").Append(options.UnnamedIsStrict ? "strict" : "mode").Append('\n');
        var lines = new List<string>();
        foreach (var rule in Rules) lines.Add($"rule\t{rule.Mode.ToName()}\t{rule.Tenant}\t{rule.Workflow}\t{rule.Environment}\n");
        lines.Sort(StringComparer.Ordinal);
        foreach (string line in lines) text.Append(line);
        return text.ToString();
    }
}

public static class CaptureModes
{
    /// <summary><c>redacted</c>, <c>structure</c>, <c>opt_out</c>, <c>full</c>: the words of the API, the ledger and the configuration.</summary>
    public static string ToName(this CaptureMode mode) => mode switch
    {
        CaptureMode.Structure => "structure",
        CaptureMode.OptOut => "opt_out",
        CaptureMode.Full => "full",
        _ => "redacted",
    };
}
