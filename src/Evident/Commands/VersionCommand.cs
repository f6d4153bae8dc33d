using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text;
using Evident.Ingest;

namespace Evident.Commands;

/// <summary><c>evident version</c>.</summary>
internal static class VersionCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("version", "Prints which build this is.", "evident version --json");
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Options.Add(json);
        command.SetAction(async (parsed, _) =>
        {
            byte[] facts = Control.Reply.Done(writer =>
            {
                writer.WriteString("version"u8, BuildVersion.Text);
                writer.WriteString("runtime"u8, RuntimeInformation.FrameworkDescription);
                writer.WriteString("platform"u8, RuntimeInformation.RuntimeIdentifier);
                writer.WriteString("conventions"u8, Conventions.Default.Version);
            }).Json;
            string text = parsed.GetValue(json) ? Encoding.UTF8.GetString(facts) : $"evident {BuildVersion.Text}";
            await parsed.InvocationConfiguration.Output.WriteLineAsync(text);
            return ExitCode.Done;
        });
        return command;
    }
}
