using System.Text;
using System.Text.Json;
using Evident.Ingest;

namespace Evident.Configuration;

/// <summary>The configuration cannot be used. One line per problem, all of them.</summary>
internal sealed class ConfigurationException(string source, IReadOnlyList<string> problems)
    : Exception($"{source} cannot be used:\n  {string.Join("\n  ", problems.SelectMany(p => p.Split('\n')))}")
{
    public IReadOnlyList<string> Problems { get; } = problems;
}

/// <summary>Reads and prints <c>evident.json</c>: one JSON object, comments and trailing commas allowed.</summary>
internal static class ConfigurationFile
{
    public const string Name = "evident.json";

    private const int MaxBytes = 1 << 20;

    /// <summary>
    /// The file's values over the defaults. Without <paramref name="explicitPath"/> the file is DATA/evident.json and may be missing.
    /// </summary>
    /// <exception cref="ConfigurationException">Unknown keys, values that are not allowed, values that contradict each other.</exception>
    public static ApplianceOptions Load(string dataDirectory, string? explicitPath)
    {
        string path = explicitPath ?? Path.Combine(dataDirectory, Name);
        if (!File.Exists(path))
        {
            return explicitPath is null
                ? new ApplianceOptions()
                : throw new ConfigurationException($"The configuration '{path}'", ["There is no such file; check --config."]);
        }

        if (new FileInfo(path).Length > MaxBytes)
        {
            throw new ConfigurationException($"The configuration '{path}'", [$"It has more than {MaxBytes} bytes."]);
        }

        return Parse(File.ReadAllBytes(path), $"The configuration '{path}'");
    }

    public static ApplianceOptions Parse(ReadOnlyMemory<byte> json, string source)
    {
        var options = new ApplianceOptions();
        var problems = new List<string>();
        try
        {
            ReadOnlyMemory<byte> text = json.Span.StartsWith("\uFEFF"u8) ? json[3..] : json;
            using JsonDocument document = JsonDocument.Parse(
                text, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, MaxDepth = 16 });
            Read(document.RootElement, "", options, problems);
        }
        catch (JsonException e)
        {
            throw new ConfigurationException(source, [$"It is no JSON: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}."]);
        }

        CheckTogether(options, problems);
        return problems.Count == 0 ? options : throw new ConfigurationException(source, problems);
    }

    /// <summary>Every value with what it is now, as a file that <see cref="Load"/> takes. No value of this version is a secret.</summary>
    public static string Print(ApplianceOptions options)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions
        {
            Indented = true,
            Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // for a terminal, not for HTML
        }))
        {
            json.WriteStartObject();
            string section = "";
            foreach (Setting setting in Setting.All)
            {
                int dot = setting.Name.IndexOf('.', StringComparison.Ordinal);
                string own = dot < 0 ? "" : setting.Name[..dot];
                if (own != section)
                {
                    if (section.Length > 0)
                    {
                        json.WriteEndObject();
                    }

                    if (own.Length > 0)
                    {
                        json.WriteStartObject(own);
                    }

                    section = own;
                }

                json.WritePropertyName(setting.Name[(dot + 1)..]);
                setting.Write(json, options);
            }

            if (section.Length > 0)
            {
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    private static void Read(JsonElement section, string prefix, ApplianceOptions options, List<string> problems)
    {
        if (section.ValueKind != JsonValueKind.Object)
        {
            problems.Add(prefix.Length == 0 ? "The outermost value is not an object." : $"{prefix} is not an object.");
            return;
        }

        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (JsonProperty property in section.EnumerateObject())
        {
            string name = prefix.Length == 0 ? property.Name : $"{prefix}.{property.Name}";
            if (!seen.Add(property.Name))
            {
                problems.Add($"{name} stands there twice.");
            }
            else if (Find(name) is { } setting)
            {
                if (setting.Read(property.Value, options) is { } problem)
                {
                    problems.Add(problem);
                }
            }
            else if (Setting.All.Any(s => s.Name.StartsWith(name + ".", StringComparison.OrdinalIgnoreCase)))
            {
                Read(property.Value, name, options, problems);
            }
            else
            {
                problems.Add($"{name} is not a configuration value; 'evident config' prints all there are.");
            }
        }
    }

    private static Setting? Find(string name) => Setting.All.FirstOrDefault(s => s.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    private static void CheckTogether(ApplianceOptions options, List<string> problems)
    {
        RuleSet.TryBuild(options.Redaction.ToOptions(), out IReadOnlyList<string> wrongRules);
        problems.AddRange(wrongRules);
        CapturePolicy.TryBuild(options.Capture.ToOptions(), out IReadOnlyList<string> wrongCapture);
        problems.AddRange(wrongCapture);
        if (options.Vault.LongDays < options.Vault.ShortDays)
        {
            problems.Add($"vault.longDays is {options.Vault.LongDays}; it is allowed to be vault.shortDays ({options.Vault.ShortDays}) or more.");
        }

        if (options.Http.MaxBodyBytesInFlight < 2L * options.Ingest.MaxBodyBytes)
        {
            problems.Add(
                $"http.maxBodyBytesInFlight is {options.Http.MaxBodyBytesInFlight}; it is allowed to be twice ingest.maxBodyBytes ({options.Ingest.MaxBodyBytes}) or more.");
        }
    }
}
