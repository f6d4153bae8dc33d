using System.Globalization;
using System.Text;

namespace Evident.Ingest;

/// <summary>What may become of an attribute (docs/conventions.md).</summary>
internal enum AttributeClass : byte { Unknown, Structural, Number, Flag, Identifier, User, Tenant, Staff, Hash, Reference, Payload }

/// <summary>One row of the table. <see cref="Special"/> marks aliases that feed a decision rather than one field.</summary>
internal sealed record Convention(string Alias, string Canonical, AttributeClass Class, int Priority, string Source)
{
    internal Field Field { get; init; }
    internal SpecialAlias Special { get; init; }
    internal int Role { get; init; } = -1;

    /// <summary>Length of the prefix for <c>x.*</c> and <c>x.*y</c>, 0 for an exact alias.</summary>
    internal int Prefix { get; init; }

    /// <summary>Of class <see cref="AttributeClass.Reference"/>: the payload role that is kept elsewhere.</summary>
    internal string? Elsewhere { get; init; }
}

/// <summary>An alias with a star inside.</summary>
internal sealed record InnerAlias(byte[] Beginning, byte[] End, Convention Row);

internal enum SpecialAlias : byte { None, StepKind, Decision, Reason }

/// <summary>
/// The alias table: attribute names of the seeds, OpenTelemetry GenAI (current and deprecated), OpenInference and other dialects, each with its canonical field and its
/// class. Data (conventions.tsv), versioned, immutable, thread safe.
/// </summary>
public sealed class Conventions
{
    private const int TableVersion = 1;
    private const int MaxPrefixParts = 8;

    private readonly string table;
    private readonly Utf8Map<Convention> exact, prefixes;
    private readonly List<InnerAlias> inner = [];

    private Conventions(string table)
    {
        this.table = table;
        var exactRows = new Dictionary<string, Convention>();
        var prefixRows = new Dictionary<string, Convention>();
        foreach (string line in table.Split('\n'))
        {
            if (line.Length == 0 || line[0] == '#') continue;
            var row = ParseRow(line);
            if (row.Prefix > 0 && row.Prefix < row.Alias.Length - 1) inner.Add(new InnerAlias(Encoding.UTF8.GetBytes(row.Alias[..row.Prefix]), Encoding.UTF8.GetBytes(row.Alias[(row.Prefix + 1)..]), row));
            else if (row.Prefix > 0) prefixRows.Add(row.Alias[..row.Prefix], row);
            else exactRows.Add(row.Alias, row);
        }
        exact = new Utf8Map<Convention>(exactRows);
        prefixes = new Utf8Map<Convention>(prefixRows);
    }

    /// <summary>The table that ships with this build.</summary>
    public static Conventions Default { get; } = Load();

    /// <summary>Version of the table; stored in every span.</summary>
    public string Version => TableVersion.ToString(CultureInfo.InvariantCulture);

    /// <summary>The table as it ships: tab-separated, with its explanation as comment lines.</summary>
    public string ToTable() => table;

    /// <summary>The field that a name stands for: a canonical one, or a whole name that some sender uses for it.</summary>
    public bool TryField(string name, out Field field)
    {
        if (Fields.TryParse(name, out field)) return true;
        return exact.TryGet(Encoding.UTF8.GetBytes(name), out var row) && Fields.TryParse(row.Canonical, out field);
    }

    internal static int VersionNumber => TableVersion;

    private static Conventions Load()
    {
        using var stream = typeof(Conventions).Assembly.GetManifestResourceStream("conventions.tsv")
            ?? throw new InvalidOperationException("the alias table conventions.tsv is not embedded in this build; rebuild Evident.Ingest");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return new Conventions(reader.ReadToEnd());
    }

    private static Convention ParseRow(string line)
    {
        string[] cells = line.Split('\t');
        if (cells.Length != 5 || !Enum.TryParse<AttributeClass>(cells[2], ignoreCase: true, out var kind))
            throw new InvalidOperationException($"the alias table has a row that is not alias, canonical, class, priority, source: {line}");
        int role = kind == AttributeClass.Payload ? PayloadRole.IndexOf(cells[1]) : -1;
        var special = cells[1] switch { "step.kind" => SpecialAlias.StepKind, "decision" => SpecialAlias.Decision, "approval.reason" when cells[0] is "reason" or "comment" or "note" => SpecialAlias.Reason, _ => SpecialAlias.None };
        var field = Field.None;
        if (kind is not (AttributeClass.Payload or AttributeClass.Reference) && special == SpecialAlias.None && cells[1] != "-" && !Fields.TryParse(cells[1], out field))
            throw new InvalidOperationException($"the alias table maps {cells[0]} to {cells[1]}, which is no canonical field");
        if ((kind == AttributeClass.Payload && role < 0) || (kind == AttributeClass.Reference && PayloadRole.IndexOf(cells[1]) < 0))
            throw new InvalidOperationException($"the alias table maps {cells[0]} to {cells[1]}, which is no payload role");
        return new Convention(cells[0], cells[1], kind, int.Parse(cells[3], CultureInfo.InvariantCulture), cells[4])
        {
            Field = field,
            Special = special,
            Role = role,
            Prefix = Math.Max(0, cells[0].IndexOf('*', StringComparison.Ordinal)),
            Elsewhere = kind == AttributeClass.Reference ? cells[1] : null,
        };
    }

    /// <summary>The payload role that an attribute of this name points to; null when it is no reference.</summary>
    public string? Elsewhere(string key) => Find(Encoding.UTF8.GetBytes(key))?.Elsewhere;

    /// <summary>The row for a key, or null; allocates nothing.</summary>
    internal Convention? Find(ReadOnlySpan<byte> key)
    {
        if (exact.TryGet(key, out var row)) return row;
        foreach (var alias in inner)
            if (key.Length > alias.Beginning.Length + alias.End.Length && key.EndsWith(alias.End) && key.StartsWith(alias.Beginning)) return alias.Row;
        Convention? best = null;
        for (int from = 0, parts = 0; parts < MaxPrefixParts; parts++)
        {
            int dot = key[from..].IndexOf((byte)'.');
            if (dot < 0) break;
            from += dot + 1;
            if (prefixes.TryGet(key[..from], out var prefix)) best = prefix;
        }
        return best;
    }
}

/// <summary>The payload roles, in the order in which a span's payloads are stored.</summary>
internal static class PayloadRole
{
    internal const int ToolArgs = 0, ToolResult = 1, ApprovalArgs = 2, ApprovalReason = 3, Input = 4, Output = 5, InputMessages = 6, OutputMessages = 7,
        SystemInstructions = 8, ToolDefinitions = 9, RetrievalQuery = 10, RetrievalDocuments = 11, Exception = 12, StatusMessage = 13, Name = 14,
        Attributes = 15, Events = 16, Resource = 17, Count = 18;

    internal static readonly string[] Names =
    [
        "tool.args", "tool.result", "approval.args", "approval.reason", "input", "output", "input.messages", "output.messages", "system_instructions",
        "tool.definitions", "retrieval.query", "retrieval.documents", "exception", "status_message", "name", "attributes", "events", "resource",
    ];

    internal static int IndexOf(string role) => Array.IndexOf(Names, role);
}
