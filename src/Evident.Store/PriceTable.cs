using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Evident.Store;

/// <summary>A price file that cannot be taken; the message names the line and never quotes it.</summary>
public sealed class PriceFormatException(string message) : Exception(message);

/// <summary>One row of a price table: what calls of some models cost in a time.</summary>
public sealed class PriceRow
{
    internal const decimal None = -1;

    public required string Provider { get; init; }

    /// <summary>Names of models; one that ends in <c>*</c> stands for every name with that beginning.</summary>
    public required string[] Models { get; init; }

    /// <summary>First day, UTC; and the first day that is not in it. Null: open.</summary>
    public DateOnly? From { get; init; }

    public DateOnly? To { get; init; }

    /// <summary>The row holds for calls with more input tokens than that, and then for all tokens of the call.</summary>
    public long Above { get; init; }

    /// <summary>USD per million tokens, <see cref="PerSecond"/> per second; negative: not given.</summary>
    public decimal Input { get; init; } = None;

    public decimal Output { get; init; } = None;

    public decimal CacheRead { get; init; } = None;

    public decimal CacheWrite { get; init; } = None;

    public decimal Reasoning { get; init; } = None;

    public decimal PerSecond { get; init; } = None;

    internal bool Holds(DateOnly day) => !(day < From) && !(day >= To);
}

/// <summary>
/// Prices of models (docs/prices.md): tab-separated text, lines with <c>#</c> are comments, eleven columns of which the last ones may be missing. Immutable.
/// </summary>
public sealed class PriceTable
{
    public const int MaxBytes = 4 << 20;
    private const int MaxRows = 50_000, Columns = 11, MaxNameChars = 128;

    // Names of providers as spans have them (semantic-conventions 2.3), and as the table has them.
    private static readonly (string Sent, string Known)[] Providers =
    [
        ("openai", "openai"), ("azure.ai.openai", "azure"), ("az.ai.openai", "azure"), ("azure.ai.inference", "azure"), ("az.ai.inference", "azure"), ("azure", "azure"), ("azure_openai", "azure"),
        ("anthropic", "anthropic"), ("aws.bedrock", "aws"), ("aws_bedrock", "aws"), ("amazon_bedrock", "aws"), ("bedrock", "aws"), ("aws", "aws"),
        ("gcp.gemini", "google"), ("gcp.vertex_ai", "google"), ("gcp.gen_ai", "google"), ("gemini", "google"), ("vertex_ai", "google"), ("vertexai", "google"), ("google", "google"), ("google_genai", "google"),
        ("mistral_ai", "mistral"), ("mistralai", "mistral"), ("mistral", "mistral"), ("x_ai", "xai"), ("xai", "xai"),
    ];

    private readonly Dictionary<string, List<PriceRow>> exact = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<(string Provider, string Beginning, PriceRow Row)> beginnings = [];
    private readonly HashSet<string> providers = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<string> order = [];

    private PriceTable(string version, byte[] hash) => (Version, Hash) = (version, hash);

    /// <summary>The table that ships with this build.</summary>
    public static PriceTable BuiltIn { get; } = ReadBuiltIn();

    /// <summary>What its first line calls it after <c>Version:</c>, else the beginning of its hash.</summary>
    public string Version { get; }

    /// <summary>SHA-256 of its bytes.</summary>
    public byte[] Hash { get; }

    public int Rows { get; private set; }

    /// <exception cref="PriceFormatException">A line is none of a price table; nothing is taken.</exception>
    public static PriceTable Parse(byte[] utf8)
    {
        if (utf8.Length > MaxBytes)
        {
            throw new PriceFormatException($"a price table has at most {MaxBytes} bytes.");
        }

        byte[] hash = SHA256.HashData(utf8);
        string[] lines = Encoding.UTF8.GetString(utf8).Split('\n');
        var table = new PriceTable(VersionOf(lines[0]) ?? Convert.ToHexStringLower(hash.AsSpan(0, 6)), hash);
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].TrimEnd('\r');
            if (line.Length > 0 && line[0] != '#')
            {
                table.Add(line.Split('\t'), i + 1);
            }
        }

        return table.Rows > 0 ? table : throw new PriceFormatException("the file has no price: a row is provider, models, from, to, above, input, output, cache_read, cache_write, reasoning and per_second with tabs between them.");
    }

    /// <summary>The row of a call, or null.</summary>
    /// <param name="provider">As the span has it; null: the first provider of the table that has the model.</param>
    /// <param name="input">All input tokens of the call, cached ones included.</param>
    public PriceRow? Find(string? provider, string model, DateOnly day, long input)
    {
        int slash = model.IndexOf('/', StringComparison.Ordinal);
        string? known = Known(provider) ?? (slash > 0 ? Known(model[..slash]) : null);
        if (known is null && provider is not null)
        {
            return null; // a provider without prices here, such as a local one
        }

        string name = slash > 0 && (provider is null || model[..slash] == "models" || Known(model[..slash]) == known) ? model[(model.LastIndexOf('/') + 1)..] : model;
        foreach (string one in known is null ? order : [known])
        {
            foreach (string form in Forms(name))
            {
                if (Look(one, form, day, input) is { } row)
                {
                    return row;
                }
            }
        }

        return null;
    }

    // As it is; without region (us.), version tag (@…, :0) and, at its end, -latest or a day.
    private static List<string> Forms(string name)
    {
        var forms = new List<string> { name };
        void Also(string form)
        {
            if (form.Length > 0 && !forms.Contains(form))
            {
                forms.Add(form);
            }
        }

        int tag = name.IndexOfAny(['@', ':']);
        string plain = tag > 0 ? name[..tag] : name;
        Also(plain);
        foreach (string region in (ReadOnlySpan<string>)["us.", "eu.", "apac.", "global."])
        {
            if (plain.StartsWith(region, StringComparison.Ordinal))
            {
                plain = plain[region.Length..];
                Also(plain);
            }
        }

        if (plain.EndsWith("-latest", StringComparison.Ordinal))
        {
            Also(plain[..^7]);
        }

        foreach (int length in (ReadOnlySpan<int>)[11, 9])
        {
            if (plain.Length > length && plain[^length] == '-' && plain[^(length - 1)..].Replace("-", "", StringComparison.Ordinal) is { Length: 8 } day && !day.AsSpan().ContainsAnyExcept("0123456789"))
            {
                Also(plain[..^length]);
            }
        }

        return forms;
    }

    private PriceRow? Look(string provider, string name, DateOnly day, long input)
    {
        PriceRow? best = null;
        if (exact.TryGetValue($"{provider}\t{name}", out var rows))
        {
            foreach (var row in rows)
            {
                if (row.Holds(day) && (row.Above == 0 || input > row.Above) && row.Above >= (best?.Above ?? 0))
                {
                    best = row;
                }
            }
        }

        if (best is not null)
        {
            return best;
        }

        int longest = 0;
        foreach (var (owner, beginning, row) in beginnings)
        {
            if (beginning.Length >= longest && owner.Equals(provider, StringComparison.OrdinalIgnoreCase) && name.StartsWith(beginning, StringComparison.OrdinalIgnoreCase)
                && row.Holds(day) && (row.Above == 0 || input > row.Above) && (beginning.Length > longest || row.Above >= (best?.Above ?? 0)))
            {
                (longest, best) = (beginning.Length, row);
            }
        }

        return best;
    }

    private string? Known(string? provider)
    {
        foreach (var (sent, known) in Providers)
        {
            if (sent.Equals(provider, StringComparison.OrdinalIgnoreCase) && providers.Contains(known))
            {
                return known;
            }
        }

        return provider is not null && providers.TryGetValue(provider, out string? own) ? own : null;
    }

    private void Add(string[] cells, int line)
    {
        if (cells.Length is < 6 or > Columns || ++Rows > MaxRows)
        {
            throw Bad(line, cells.Length is < 6 or > Columns ? "it has not 6 to 11 columns with tabs between them" : $"there are more than {MaxRows} rows");
        }

        string Cell(int at) => at < cells.Length ? cells[at].Trim() : "";
        DateOnly? Day(int at) => Cell(at).Length == 0 ? null
            : DateOnly.TryParseExact(Cell(at), "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) ? day : throw Bad(line, $"column {at + 1} is no day such as 2026-01-31");
        decimal Price(int at) => Cell(at).Length == 0 ? PriceRow.None
            : decimal.TryParse(Cell(at), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal price) && price <= 1_000_000 ? price : throw Bad(line, $"column {at + 1} is no price from 0 to 1000000");

        string provider = Cell(0);
        string[] models = Cell(1).Split('|');
        if (provider.Length is 0 or > MaxNameChars || models.Any(m => m.Length is 0 or > MaxNameChars || m.AsSpan(0, m.Length - 1).Contains('*')))
        {
            throw Bad(line, $"provider and models are names of 1 to {MaxNameChars} characters, with a * at the end at most");
        }

        long above = 0;
        if (Cell(4).Length > 0 && !long.TryParse(Cell(4), NumberStyles.None, CultureInfo.InvariantCulture, out above))
        {
            throw Bad(line, "column 5 is no number of tokens");
        }

        var row = new PriceRow
        {
            Provider = provider, Models = models, From = Day(2), To = Day(3), Above = above, Input = Price(5), Output = Price(6), CacheRead = Price(7), CacheWrite = Price(8), Reasoning = Price(9), PerSecond = Price(10),
        };
        if (row.From >= row.To || (row.Input < 0 && row.Output < 0 && row.PerSecond < 0))
        {
            throw Bad(line, row.From >= row.To ? "it ends before it begins" : "it has neither a price of tokens nor one per second");
        }

        if (providers.Add(provider))
        {
            order.Add(provider);
        }

        foreach (string model in models)
        {
            if (model[^1] == '*')
            {
                beginnings.Add((provider, model[..^1], row));
            }
            else if (exact.TryGetValue($"{provider}\t{model}", out var rows))
            {
                rows.Add(row);
            }
            else
            {
                exact.Add($"{provider}\t{model}", [row]);
            }
        }
    }

    private static PriceFormatException Bad(int line, string why) => new($"line {line}: {why}.");

    private static string? VersionOf(string first)
    {
        int at = first.IndexOf("Version:", StringComparison.OrdinalIgnoreCase);
        if (at < 0 || first[0] != '#')
        {
            return null;
        }

        string word = first[(at + 8)..].TrimStart().Split(' ')[0].TrimEnd('.', '\r');
        return Ingest.LedgerText.IsClean(Encoding.UTF8.GetBytes(word)) ? word : null;
    }

    /// <summary>The built-in table as its file.</summary>
    public static string BuiltInText() => Encoding.UTF8.GetString(BuiltInBytes());

    private static PriceTable ReadBuiltIn() => Parse(BuiltInBytes());

    private static byte[] BuiltInBytes()
    {
        using var stream = typeof(PriceTable).Assembly.GetManifestResourceStream("prices.tsv")!;
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
