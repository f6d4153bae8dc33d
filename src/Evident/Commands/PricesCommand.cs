using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Evident.Control;
using Evident.Store;

namespace Evident.Commands;

/// <summary><c>evident prices import | show</c>: the table by which costs are computed that nobody reported.</summary>
internal static class PricesCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("prices", "Shows the price tables and imports new ones; nothing is ever fetched.", "evident prices show");
        command.Subcommands.Add(Import());
        command.Subcommands.Add(Show());
        return command;
    }

    private static Command Import()
    {
        Command command = CommandLine.Command("import",
            "Puts a price table into force from now on, in place of the one before; spans that started earlier keep the prices that they had. The ledger says so.",
            "evident prices import prices.tsv");
        var data = new DataOptions(command);
        Argument<string> file = CommandLine.Text("FILE", "Tab-separated, as docs/prices.md says, at most 4 MiB.");
        command.Arguments.Add(file);
        command.SetAction(async (parsed, cancel) =>
        {
            byte[] bytes = InputFile.Read(parsed.GetValue(file)!, PriceTable.MaxBytes);
            try
            {
                PriceTable.Parse(bytes);
            }
            catch (PriceFormatException e)
            {
                throw new RefusedException($"'{parsed.GetValue(file)}', {e.Message} Nothing was imported.");
            }

            using var appliance = new ApplianceSession(data.Directory(parsed), data.Config(parsed));
            Reply reply = await appliance.AskAsync(new Operation(TransferOperation.ImportPrices) { Body = bytes }, cancel);
            using JsonDocument edition = JsonDocument.Parse(reply.Json);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"Price table {edition.RootElement.GetProperty("version").GetString()} with {edition.RootElement.GetProperty("rows").GetInt64()} rows is in force from {edition.RootElement.GetProperty("in_force_from").GetString()}."));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Show()
    {
        Command command = CommandLine.Command("show", "Lists the price tables of a data directory with the time since when each is in force, or prints the one that this build ships with.",
            "evident prices show --json", "evident prices show --built-in > prices.tsv");
        var data = new DataOptions(command);
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        Option<bool> builtIn = new("--built-in") { Description = "Prints the table that this build ships with, as a file to edit and import." };
        command.Options.Add(json);
        command.Options.Add(builtIn);
        command.SetAction(async (parsed, cancel) =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(builtIn))
            {
                await output.WriteAsync(PriceTable.BuiltInText());
                return ExitCode.Done;
            }

            using var appliance = new ApplianceSession(data.Directory(parsed), data.Config(parsed));
            Reply reply = await appliance.AskAsync(new Operation(TransferOperation.Prices), cancel);
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(System.Text.Encoding.UTF8.GetString(reply.Json));
                return ExitCode.Done;
            }

            using JsonDocument tables = JsonDocument.Parse(reply.Json);
            foreach (JsonElement table in tables.RootElement.GetProperty("tables").EnumerateArray())
            {
                string from = table.GetProperty("in_force_from").GetString() ?? "ships with this build";
                await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{from,-24}  {table.GetProperty("version").GetString()}  {table.GetProperty("rows").GetInt64()} rows  sha256:{table.GetProperty("sha256").GetString()}"));
            }

            return ExitCode.Done;
        });
        return command;
    }
}
