using System.CommandLine;
using Evident.Configuration;
using Evident.Ingest;

namespace Evident.Commands;

/// <summary><c>evident config</c>: the effective configuration, the alias table of the conventions, or the redaction rules in force.</summary>
internal static class ConfigCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("config", 
            "Prints the effective configuration as a file that --config takes. Every problem of the configuration is reported at once.",
            "evident config --data /var/lib/evident",
            "evident config --conventions | grep tool.name",
            "evident config --rules | sha256sum");
        var data = new DataOptions(command);
        Option<bool> conventions = new("--conventions") { Description = "Prints the versioned table of attribute names and what they become." };
        command.Options.Add(conventions);
        Option<bool> rules = new("--rules") { Description = "Prints the redaction rules in force: the text whose SHA-256 the ledger's redaction.rules entry names. Notices go to stderr." };
        command.Options.Add(rules);
        command.SetAction(async (parsed, _) =>
        {
            ApplianceOptions? options = parsed.GetValue(conventions) ? null : data.Load(parsed);
            RuleSet? set = options?.Redaction.ToRules();
            foreach (string notice in set?.Notices ?? [])
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"evident: notice: {notice}");
            }

            string text = options is null ? Conventions.Default.ToTable() : parsed.GetValue(rules) ? set!.ToText() : ConfigurationFile.Print(options);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(text.TrimEnd('\n'));
            return ExitCode.Done;
        });
        return command;
    }
}
