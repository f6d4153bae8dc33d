using System.CommandLine;
using System.Globalization;
using Evident.Configuration;
using Evident.Control;
using Evident.Ledger;
using Evident.Platform;
using Evident.Store;

namespace Evident.Commands;

/// <summary>
/// <c>evident ledger accept-incarnation</c>: an operator lets a ledger go on that has lost entries. He confirms twice, each time with a number that he has to take
/// from what he is told: how many entries are known to have existed, and with which size the ledger goes on.
/// </summary>
internal static class IncarnationCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("accept-incarnation",
            "Lets a ledger go on that is shorter than it was (an old copy was restored). The appliance must be stopped. The loss stays on the record for ever: a "
            + "ledger.incarnation entry names both heads, you and the sealed reason, and the notes of the lost history move to ledger/quarantine. Without "
            + "--lost and --goes-on-at it tells what is lost, changes nothing, and asks for both numbers where it can.",
            "evident ledger accept-incarnation --reason 'disk failure, backup of Tuesday restored, ticket 9421'",
            "evident ledger accept-incarnation --reason 'ticket 9421' --lost 120431 --goes-on-at 118002");
        var data = new DataOptions(command);
        var passphrase = new PassphraseInput(command);
        Option<string> reason = new("--reason") { Description = "Why; sealed beside the ledger entry.", HelpName = "TEXT", Required = true };
        Option<long?> lost = new("--lost") { Description = "First confirmation: the size of the history that is given up.", HelpName = "SIZE" };
        Option<long?> goesOn = new("--goes-on-at") { Description = "Second confirmation: the size with which the ledger goes on.", HelpName = "SIZE" };
        reason.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { Length: <= Operation.MaxReasonChars } text || string.IsNullOrWhiteSpace(text))
            {
                result.AddError($"--reason takes 1 to {Operation.MaxReasonChars} characters.");
            }
        });
        foreach (Option option in new Option[] { reason, lost, goesOn })
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancel) =>
        {
            string directory = data.Directory(parsed);
            if (!Directory.Exists(Path.Combine(directory, "ledger")))
            {
                throw new RefusedException($"There is no ledger in '{directory}'; name the data directory with --data or EVIDENT_DATA.");
            }

            ApplianceOptions options = ConfigurationFile.Load(directory, data.Config(parsed));
            LocalUser.KeepFilesPrivate();
            using Platform.SecretBytes? secret = passphrase.Given(parsed);
            using var log = new ApplianceLog(Microsoft.Extensions.Logging.LogLevel.Warning, parsed.InvocationConfiguration.Error);
            try
            {
                using LostHistory history = LostHistory.Open(
                    options.ToStoreOptions(directory, secret), SystemClock.Instance, (message, e) => log.Write(Microsoft.Extensions.Logging.LogLevel.Warning, "Evident.Store", message, e));
                TextWriter output = parsed.InvocationConfiguration.Output;
                LedgerLoss loss = history.Loss;
                await output.WriteLineAsync(Told(loss));
                await ConfirmAsync(output, "size of the history that is given up", "--lost", parsed.GetValue(lost), loss.Lost.Size, loss, cancel);
                await ConfirmAsync(output, "size with which the ledger goes on", "--goes-on-at", parsed.GetValue(goesOn), loss.Found.Size, loss, cancel);
                LedgerHead head = history.Accept(parsed.GetValue(reason)!, new Actor(LocalUser.Own.ToString(CultureInfo.InvariantCulture), "uid"));
                await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"Accepted and recorded. The ledger has {head.Size} entries; start the appliance, and take the new head home: evident ledger head"));
                return ExitCode.Done;
            }
            catch (DataDirectoryBusyException e)
            {
                throw new RefusedException(e.Message);
            }
            catch (LedgerStateException e)
            {
                throw new RefusedException($"Nothing was accepted in '{directory}': {e.Message}");
            }
            catch (Exception e) when (e is Vault.VaultException or LedgerPoisonedException)
            {
                throw new RefusedException($"The acceptance in '{directory}' stopped: {e.Message} Run the command again once that is mended.");
            }
        });
        return command;
    }

    private static string Told(LedgerLoss loss) => string.Create(CultureInfo.InvariantCulture,
        $"""
        ledger      {loss.Origin}
        on disk     {loss.Found.Size} entries, the last recorded {loss.LastRecorded}, root {LedgerFormat.HashText(loss.Found.Root)}
        known       {loss.Lost.Size} entries, root {LedgerFormat.HashText(loss.Lost.Root)}, known from {loss.KnownFrom}
        lost        {(loss.Lost.Size > loss.Found.Size ? $"entries {loss.Found.Size}..{loss.Lost.Size - 1}" : "another history than the one on disk")}
        A witness that has cosigned the lost history will refuse this one, and a head of it will be 30 or 31 for ever.
        """);

    private static async Task ConfirmAsync(TextWriter output, string what, string option, long? given, long right, LedgerLoss loss, CancellationToken cancel)
    {
        if (given is null && !Console.IsInputRedirected)
        {
            await output.WriteAsync($"To accept, type the {what}: ");
            string? typed = await Console.In.ReadLineAsync(cancel);
            given = long.TryParse(typed?.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : -1;
        }

        if (given is null)
        {
            throw new RefusedException(string.Create(CultureInfo.InvariantCulture,
                $"Nothing was changed. To accept this loss, repeat the command with both confirmations: --lost {loss.Lost.Size} --goes-on-at {loss.Found.Size}"));
        }

        if (given != right)
        {
            throw new RefusedException(string.Create(CultureInfo.InvariantCulture, $"Nothing was changed: {option} {given} is not the {what}, which is {right}."));
        }
    }
}
