using System.CommandLine;
using Evident.Configuration;
using Evident.Ingest;

namespace Evident.Commands;

/// <summary><c>evident config</c>: the effective configuration, or the alias table of the conventions.</summary>
internal static class ConfigCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("config", 
            "Prints the effective configuration as a file that --config takes. Every problem of the configuration is reported at once.",
            "evident config --data /var/lib/evident",
            "evident config --conventions | grep tool.name");
        var data = new DataOptions(command);
        Option<bool> conventions = new("--conventions") { Description = "Prints the versioned table of attribute names and what they become." };
        command.Options.Add(conventions);
        command.SetAction(async (parsed, _) =>
        {
            string text = parsed.GetValue(conventions) ? Conventions.Default.ToTable() : ConfigurationFile.Print(data.Load(parsed));
            await parsed.InvocationConfiguration.Output.WriteLineAsync(text.TrimEnd('\n'));
            return ExitCode.Done;
        });
        return command;
    }
}
