using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Evident.Ingest;

/// <summary>What the configuration says about redaction (docs/redaction.md); empty lists change nothing.</summary>
public sealed record RedactionOptions
{
    /// <summary>Rules that are off without being asked for and are to be on: national ids.</summary>
    public IReadOnlyList<string> On { get; init; } = [];

    /// <summary>Rules that are to be off.</summary>
    public IReadOnlyList<string> Off { get; init; } = [];

    /// <summary>Only canonical fields, numbers of the conventions and keys of <see cref="TenantRedaction.Allow"/> stay in traces.</summary>
    public bool AllowListOnly { get; init; }

    /// <summary>In force for every tenant.</summary>
    public TenantRedaction Everyone { get; init; } = new();

    /// <summary>In force for one tenant beside the rest, by the name that senders give it.</summary>
    public IReadOnlyDictionary<string, TenantRedaction> Tenants { get; init; } = new Dictionary<string, TenantRedaction>(StringComparer.Ordinal);
}

/// <summary>The part of the configuration that a tenant may have of its own.</summary>
public sealed record TenantRedaction
{
    /// <summary>Patterns by rule name; what such a rule finds becomes <c>[name]</c>.</summary>
    public IReadOnlyDictionary<string, string> Rules { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Further names of secrets, with <c>*</c> at the beginning or the end.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>Names that are none.</summary>
    public IReadOnlyList<string> NotNames { get; init; } = [];

    /// <summary>Keys that stay in traces where only allowed ones do; <c>prefix.*</c> stands for every key that begins so.</summary>
    public IReadOnlyList<string> Allow { get; init; } = [];
}

/// <summary>
/// The rules in force, built once from what ships with the build and the configuration: immutable, thread safe, with a version and the hash of its canonical text, which the ledger keeps.
/// A rule's index is its place in <see cref="Rules"/>.
/// </summary>
public sealed class RuleSet
{
    /// <summary>Version of what ships with this build: code, detectors.tsv and names together.</summary>
    public const int BuiltInVersion = 1;

    /// <summary>Patterns of the configuration, over all tenants; tenants with rules of their own; entries of each list.</summary>
    public const int MaxOwnRules = 64, MaxTenants = 256, MaxListEntries = 1_000;

    private readonly record struct Row(string Rule, string Marker, string Check, string Pattern, string What);

    private static readonly Row[] BuiltIn = ReadTable();

    private readonly Dictionary<string, int> byName = new(StringComparer.Ordinal);
    private readonly Utf8Map<TenantRules> tenants;

    private RuleSet(RedactionOptions options, List<string> problems)
    {
        var rules = new List<RedactionRule>();
        var shapes = new List<Shape>();
        var forms = new StringBuilder();
        Header(forms, options);
        AddCode(rules, options);
        AddPatterns(rules, shapes, options, problems);
        int shipped = rules.Count;
        AddOwn(rules, shapes, options.Everyone, on: true, problems);
        var perTenant = new Dictionary<string, List<Shape>>(StringComparer.Ordinal);
        foreach (var (tenant, own) in options.Tenants)
        {
            var added = new List<Shape>();
            AddOwn(rules, added, own, on: false, problems);
            perTenant.Add(tenant, added);
        }
        Limits(options, rules.Count - shipped, problems);
        foreach (string name in options.On.Concat(options.Off))
            if (!rules.Take(shipped).Any(rule => rule.Name == name)) problems.Add($"redaction names the rule '{name}', which there is not; 'evident config --rules' prints all there are.");
        Rules = rules;
        foreach (var rule in rules) byName.TryAdd(rule.Name, rule.Index);
        Write(forms, options);
        text = forms.ToString();
        Hash = SHA256.HashData(Encoding.UTF8.GetBytes(text));
        var made = new Dictionary<string, TenantRules>(StringComparer.Ordinal);
        Everyone = Make(options, options.Everyone, new TenantRedaction(), shapes);
        foreach (var (tenant, own) in options.Tenants) made[tenant] = Make(options, options.Everyone, own, [.. shapes, .. perTenant[tenant]]);
        tenants = new Utf8Map<TenantRules>(made);
    }

    private readonly string text;

    /// <summary>What ships with this build, as it is on without a configuration.</summary>
    public static RuleSet Default { get; } = new(new RedactionOptions(), []);

    public IReadOnlyList<RedactionRule> Rules { get; }

    /// <summary>SHA-256 of <see cref="ToText"/>, 32 bytes.</summary>
    public byte[] Hash { get; }

    /// <summary>The version that ledger entries name.</summary>
    public string Version => BuiltInVersion.ToString(CultureInfo.InvariantCulture);

    /// <summary>What is worth telling the operator about rules of the configuration: those without anything to be found by.</summary>
    public IReadOnlyList<string> Notices { get; private set; } = [];

    /// <summary>For texts that belong to no tenant.</summary>
    public Redactor Redactor => Everyone.Redactor;

    internal TenantRules Everyone { get; }

    /// <summary>The rules for a tenant as senders name it.</summary>
    internal TenantRules For(ReadOnlySpan<byte> tenant) => tenants.TryGet(tenant, out var own) ? own : Everyone;

    /// <summary>The redactor of a tenant as senders name it; the workspace's own for one that the configuration does not name.</summary>
    public Redactor RedactorOf(string tenant) => For(Encoding.UTF8.GetBytes(tenant)).Redactor;

    /// <summary>The canonical text: one line per rule, name, list entry and tenant, tab-separated. Its SHA-256 is <see cref="Hash"/>.</summary>
    public string ToText() => text;

    internal int IndexOf(string name) => byName[name];

    /// <summary>Null when the configuration cannot be used; the problems say why, one sentence each.</summary>
    public static RuleSet? TryBuild(RedactionOptions options, out IReadOnlyList<string> problems)
    {
        ArgumentNullException.ThrowIfNull(options);
        var found = new List<string>();
        var set = new RuleSet(options, found);
        problems = found;
        return found.Count == 0 ? set : null;
    }

    private static Row[] ReadTable()
    {
        using var stream = typeof(RuleSet).Assembly.GetManifestResourceStream("detectors.tsv")
            ?? throw new InvalidOperationException("the table detectors.tsv is not embedded in this build; rebuild Evident.Ingest");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var rows = new List<Row>();
        foreach (string line in reader.ReadToEnd().Split('\n'))
        {
            if (line.Length == 0 || line[0] == '#') continue;
            string[] cells = line.Split('\t');
            if (cells.Length != 5) throw new InvalidOperationException($"detectors.tsv has a row that is not rule, marker, check, pattern, what: {line}");
            rows.Add(new Row(cells[0], $"[{cells[1]}]", cells[2], cells[3], cells[4]));
        }
        return [.. rows];
    }

    private static void AddCode(List<RedactionRule> rules, RedactionOptions options)
    {
        foreach (var (name, marker, on, what, prefilter) in CodeRules.All)
            rules.Add(new RedactionRule(rules.Count, name, marker, (on || options.On.Contains(name)) && !options.Off.Contains(name), what, prefilter));
    }

    private static void AddPatterns(List<RedactionRule> rules, List<Shape> shapes, RedactionOptions options, List<string> problems)
    {
        // What a private key begins with; its end is found by code.
        foreach (string head in (ReadOnlySpan<string>)["-----BEGIN", "PuTTY-User-Key-File-"])
            if (rules[(int)CodeRule.PrivateKey].On) shapes.AddRange(RulePattern.Parse(head, out _)!.Select(form => new Shape((int)CodeRule.PrivateKey, form, false)));
        foreach (var row in BuiltIn)
        {
            var forms = RulePattern.Parse(row.Pattern, out string problem) ?? throw new InvalidOperationException($"detectors.tsv has a pattern that {problem}: {row.Pattern}");
            int index = rules.FindIndex(rule => rule.Name == row.Rule);
            if (index < 0)
            {
                index = rules.Count;
                rules.Add(new RedactionRule(index, row.Rule, row.Marker, !options.Off.Contains(row.Rule), row.What, Prefilter(forms)));
            }
            if (rules[index].On) shapes.AddRange(forms.Select(form => new Shape(index, form, row.Check == "digit")));
        }
    }

    private void AddOwn(List<RedactionRule> rules, List<Shape> shapes, TenantRedaction own, bool on, List<string> problems)
    {
        foreach (var (name, pattern) in own.Rules)
        {
            if (name.Length is 0 or > 40 || name.AsSpan().ContainsAnyExcept("abcdefghijklmnopqrstuvwxyz0123456789_") || !char.IsAsciiLetterLower(name[0]))
            {
                problems.Add($"redaction has a rule '{name}'; names of rules are 1 to 40 small letters, digits and _, a letter first.");
                continue;
            }
            if (rules.Any(rule => rule.Name == name))
            {
                problems.Add($"redaction has the rule '{name}' twice, or under the name of one that ships with the product.");
                continue;
            }
            if (RulePattern.Parse(pattern, out string problem) is not { } forms)
            {
                problems.Add($"the pattern of the redaction rule '{name}' {problem}; docs/redaction.md explains the language.");
                continue;
            }
            string prefilter = Prefilter(forms);
            int index = rules.Count;
            rules.Add(new RedactionRule(index, name, $"[{name}]", on, "rule of the configuration", prefilter));
            shapes.AddRange(forms.Select(form => new Shape(index, form, false)));
            if (forms.Any(form => RuleIndex.PlaceOf(form) == RuleIndex.PatternPlace.Nothing))
                Notices = [.. Notices, $"the redaction rule '{name}' cannot be prefiltered: it begins with a class and is tried at every byte that the class holds, which costs about 10 us per 4 KB of text; begin it with a literal, or with \\b and ten characters without a gap"];
        }
    }

    private static string Prefilter(IReadOnlyList<RulePattern> forms)
    {
        var hardest = RuleIndex.PatternPlace.InsideRun;
        foreach (var form in forms)
            if (RuleIndex.PlaceOf(form) is var place && place > hardest) hardest = place;
        return hardest switch { RuleIndex.PatternPlace.Nothing => "nothing", RuleIndex.PatternPlace.Literal => "its literal", RuleIndex.PatternPlace.Digits => "a digit", _ => "a long run" };
    }

    private static void Limits(RedactionOptions options, int own, List<string> problems)
    {
        if (own > MaxOwnRules) problems.Add($"redaction has {own} rules of its own; at most {MaxOwnRules} over all tenants are allowed.");
        if (options.Tenants.Count > MaxTenants) problems.Add($"redaction.tenants has {options.Tenants.Count} tenants; at most {MaxTenants} are allowed.");
        foreach (var part in options.Tenants.Values.Prepend(options.Everyone))
        {
            if (Math.Max(part.Names.Count, Math.Max(part.NotNames.Count, part.Allow.Count)) > MaxListEntries) problems.Add($"redaction has a list with more than {MaxListEntries} entries.");
            foreach (string name in part.Names.Concat(part.NotNames))
                if (SecretNames.Fold(name.Trim('*')).Length is 0 or > SecretNames.Longest || name.Trim('*').Contains('*', StringComparison.Ordinal) || name.Any(c => c is < '!' or > '~'))
                    problems.Add($"redaction has the name '{name}'; names are 1 to {SecretNames.Longest} printable ASCII characters with a * at the beginning or the end only.");
        }
    }

    private TenantRules Make(RedactionOptions options, TenantRedaction everyone, TenantRedaction own, IEnumerable<Shape> shapes)
    {
        bool[] on = Array.ConvertAll([.. Rules], rule => rule.On);
        foreach (string name in own.Rules.Keys)
            if (byName.TryGetValue(name, out int index)) on[index] = true;
        var names = new SecretNames(everyone.Names.Concat(own.Names), everyone.NotNames.Concat(own.NotNames));
        return new TenantRules(new Redactor(this, new RuleIndex(on, names, shapes)), new AllowList(everyone.Allow.Concat(own.Allow)), options.AllowListOnly);
    }

    // ---- the canonical text ------------------------------------------------------------------------------------------------

    private static void Header(StringBuilder to, RedactionOptions options) =>
        to.Append("evident redaction rules\t").Append(BuiltInVersion).Append("\nattributes\t").Append(options.AllowListOnly ? "allow-list" : "gate").Append('\n');

    private void Write(StringBuilder to, RedactionOptions options)
    {
        foreach (var rule in Rules.Take(CodeRules.All.Length)) to.Append("code\t").Append(rule.Name).Append('\t').Append(rule.Marker).Append('\t').Append(rule.On ? "on" : "off").Append('\n');
        foreach (var row in BuiltIn)
            to.Append("pattern\t").Append(row.Rule).Append('\t').Append(row.Marker).Append('\t').Append(options.Off.Contains(row.Rule) ? "off" : "on").Append('\t').Append(row.Check).Append('\t').Append(row.Pattern).Append('\n');
        Write(to, "secret name", SecretNames.Secrets);
        Write(to, "perhaps name", SecretNames.Perhaps);
        Write(to, "ordinary name", SecretNames.Ordinary);
        Write(to, "query name", SecretNames.QueryNames);
        Write(to, "", options.Everyone);
        foreach (string tenant in options.Tenants.Keys.Order(StringComparer.Ordinal)) Write(to, "tenant\t" + tenant.ReplaceLineEndings(" ") + "\t", options.Tenants[tenant]);
    }

    private static void Write(StringBuilder to, string head, TenantRedaction own)
    {
        foreach (string name in own.Rules.Keys.Order(StringComparer.Ordinal)) to.Append(head).Append("own pattern\t").Append(name).Append('\t').Append(own.Rules[name]).Append('\n');
        Write(to, head + "own secret name", own.Names);
        Write(to, head + "own ordinary name", own.NotNames);
        Write(to, head + "allowed key", own.Allow);
    }

    private static void Write(StringBuilder to, string what, IEnumerable<string> entries)
    {
        foreach (string entry in entries.Order(StringComparer.Ordinal)) to.Append(what).Append('\t').Append(entry).Append('\n');
    }
}

/// <summary>What is in force for one tenant.</summary>
/// <param name="Allowed">Keys that stay where the content gate does not decide by itself.</param>
/// <param name="AllowedOnly">It does not: what is not listed is sealed.</param>
internal sealed record TenantRules(Redactor Redactor, AllowList Allowed, bool AllowedOnly);

/// <summary>Keys that stay in traces where only allowed ones do.</summary>
internal sealed class AllowList
{
    private readonly Utf8Map<bool> exact;
    private readonly byte[][] prefixes;

    internal AllowList(IEnumerable<string> keys)
    {
        string[] all = [.. keys.Distinct(StringComparer.Ordinal)];
        exact = new Utf8Map<bool>(Array.ConvertAll(Array.FindAll(all, k => !k.EndsWith('*')), k => KeyValuePair.Create(k, true)));
        prefixes = [.. all.Where(k => k.EndsWith('*')).Select(k => Encoding.UTF8.GetBytes(k[..^1]))];
    }

    internal bool Holds(ReadOnlySpan<byte> key)
    {
        if (exact.TryGet(key, out _)) return true;
        foreach (byte[] prefix in prefixes)
            if (key.StartsWith(prefix)) return true;
        return false;
    }
}
