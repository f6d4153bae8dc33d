using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ingest;

namespace Evident.Commands;

/// <summary><c>evident redact --dry-run FILE</c>: what the rules in force would remove from a file. Nothing is written and no secret is printed.</summary>
internal static class RedactCommand
{
    private const int MaxBytes = 64 << 20;

    public static Command Create()
    {
        Command command = CommandLine.Command("redact",
            "Shows what redaction would remove from a file of OTLP JSON, OTLP protobuf, JSON lines or text, and by which rule. Of a finding its length and first two characters are shown, never more.",
            "evident redact --dry-run spans.json",
            "evident redact --dry-run agent.log --tenant acme --json");
        var data = new DataOptions(command);
        Option<bool> dryRun = new("--dry-run") { Description = "Only looks; the one thing that this command does." };
        Option<string?> tenant = new("--tenant") { Description = "With the rules of this tenant, named as senders name it.", HelpName = "ID" };
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        Argument<string> file = CommandLine.Text("FILE", "The file, at most 64 MiB.");
        command.Options.Add(dryRun);
        command.Options.Add(tenant);
        command.Options.Add(json);
        command.Arguments.Add(file);
        command.Validators.Add(result =>
        {
            if (!result.GetValue(dryRun))
            {
                result.AddError("There are only dry runs: say --dry-run. What is stored is redacted when it arrives.");
            }
        });
        command.SetAction(async (parsed, _) =>
        {
            RuleSet rules = data.Load(parsed).Redaction.ToRules();
            Redactor redactor = parsed.GetValue(tenant) is { Length: > 0 } id ? rules.RedactorOf(id) : rules.Redactor;
            RedactionDryRun run = RedactionDryRun.Of(InputFile.Read(parsed.GetValue(file)!, MaxBytes), redactor);
            TextWriter output = parsed.InvocationConfiguration.Output;
            await output.WriteAsync(parsed.GetValue(json) ? Json(run, rules) : Text(run, rules));
            return ExitCode.Done;
        });
        return command;
    }

    private static SortedDictionary<string, int> PerRule(RedactionDryRun run)
    {
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (PlacedFinding found in run.Findings)
        {
            counts[found.Finding.Rule] = counts.GetValueOrDefault(found.Finding.Rule) + 1;
        }

        return counts;
    }

    private static string Text(RedactionDryRun run, RuleSet rules)
    {
        var text = new StringBuilder();
        foreach ((string place, RedactionFinding found) in run.Findings)
        {
            string begins = found.Begins.Length > 0 ? $", begins with \"{found.Begins}\"" : "";
            text.Append(CultureInfo.InvariantCulture, $"{place}: {found.Rule} {found.Marker} {found.Length} bytes{begins}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"{run.Format}, rules {rules.Version} sha256:{Convert.ToHexStringLower(rules.Hash)}: {run.Findings.Count} findings\n");
        foreach ((string rule, int count) in PerRule(run))
        {
            text.Append(CultureInfo.InvariantCulture, $"  {rule,-28} {count}\n");
        }

        return text.ToString();
    }

    private static string Json(RedactionDryRun run, RuleSet rules)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteString("format", run.Format);
            json.WriteString("rules_version", rules.Version);
            json.WriteString("rules_hash", "sha256:" + Convert.ToHexStringLower(rules.Hash));
            json.WriteStartArray("findings");
            foreach ((string place, RedactionFinding found) in run.Findings)
            {
                json.WriteStartObject();
                json.WriteString("place", place);
                json.WriteString("rule", found.Rule);
                json.WriteString("marker", found.Marker);
                json.WriteNumber("bytes", found.Length);
                json.WriteString("begins", found.Begins);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartObject("per_rule");
            foreach ((string rule, int count) in PerRule(run))
            {
                json.WriteNumber(rule, count);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }
}
