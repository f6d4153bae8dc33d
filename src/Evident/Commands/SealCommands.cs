using System.CommandLine;
using Evident.Control;
using Evident.Platform;

namespace Evident.Commands;

/// <summary><c>evident vault seal | unseal</c> and <c>evident keys seal-with</c>: how the vault's master key is kept, and whether the running appliance holds it.</summary>
internal static class SealCommands
{
    public static Command Unseal()
    {
        Command command = CommandLine.Command("unseal",
            "Opens a sealed appliance with the passphrase of its vault; it then goes on as after a start. The ledger says who did it.",
            "evident vault unseal --data /var/lib/evident", "evident vault unseal --passphrase-file /run/secrets/evident");
        var data = new DataOptions(command, withConfig: false);
        var passphrase = new PassphraseInput(command);
        command.SetAction(async (parsed, cancel) =>
        {
            using SecretBytes secret = passphrase.Read(parsed, isNew: false);
            await AskApplianceAsync(data.Directory(parsed), new Operation(ApplianceOperations.Unseal, Secret: secret.Span.ToArray()), cancel);
            await parsed.InvocationConfiguration.Output.WriteLineAsync("The vault is open.");
            return ExitCode.Done;
        });
        return command;
    }

    public static Command Seal()
    {
        Command command = CommandLine.Command("seal",
            "Seals a running appliance: requests under way end, the queue is drained, the store is closed and the keys are zeroed. Until `vault unseal` ingest is answered 503 and nothing can be read.",
            "evident vault seal --data /var/lib/evident");
        var data = new DataOptions(command, withConfig: false);
        command.SetAction(async (parsed, cancel) =>
        {
            await AskApplianceAsync(data.Directory(parsed), new Operation(ApplianceOperations.Seal), cancel);
            await parsed.InvocationConfiguration.Output.WriteLineAsync("The vault is sealed.");
            return ExitCode.Done;
        });
        return command;
    }

    public static Command SealWith()
    {
        Command command = CommandLine.Command("seal-with",
            "Keeps the vault's master key under a passphrase, or in a file (0600) again. The way before is shredded last, and the ledger says what was done.",
            "evident keys seal-with passphrase", "evident keys seal-with file --passphrase-file /run/secrets/evident");
        var data = new DataOptions(command);
        var passphrase = new PassphraseInput(command);
        Argument<string> custody = CommandLine.Text("WAY", "passphrase or file.");
        custody.AcceptOnlyFromAmong("passphrase", "file");
        command.Arguments.Add(custody);
        command.SetAction(async (parsed, cancel) =>
        {
            string to = parsed.GetValue(custody)!;
            using SecretBytes secret = passphrase.Read(parsed, isNew: to == "passphrase");
            var operation = new Operation(VaultOperation.SealWith, to, Secret: secret.Span.ToArray());
            Check(await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), operation, cancel), operation);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(to == "file"
                ? "The master key lies in keys/master.key. Copies of the data directory made from now on open without a passphrase."
                : "The master key is under the passphrase. Copies of keys/master.key from before still open the vault; without the passphrase nothing else does, and nobody can recover it.");
            return ExitCode.Done;
        });
        return command;
    }

    public static Command ChangePassphrase()
    {
        Command command = CommandLine.Command("change-passphrase",
            "Seals the vault's master key under another passphrase. Copies of keys/master.sealed from before still open with the passphrase before.",
            "evident keys change-passphrase", "evident keys change-passphrase --passphrase-file /run/secrets/old --new-passphrase-file /run/secrets/new");
        var data = new DataOptions(command);
        PassphraseInput passphrase = new(command), next = new(command, "new");
        command.SetAction(async (parsed, cancel) =>
        {
            using SecretBytes old = passphrase.Read(parsed, isNew: false), fresh = next.Read(parsed, isNew: true);
            var operation = new Operation(VaultOperation.ChangePassphrase, Secret: VaultOperation.Both(old, fresh));
            Check(await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), operation, cancel), operation);
            await parsed.InvocationConfiguration.Output.WriteLineAsync("The master key is under the new passphrase.");
            return ExitCode.Done;
        });
        return command;
    }

    private static async Task AskApplianceAsync(string dataDirectory, Operation operation, CancellationToken cancel) => Check(
        await Asking.TryAskServerAsync(dataDirectory, operation, cancel)
            ?? throw new RefusedException($"No appliance runs on '{dataDirectory}'; name the data directory with --data or EVIDENT_DATA."),
        operation);

    private static void Check(Reply reply, Operation operation)
    {
        Sodium.Zero(operation.Secret);
        if (reply.Error is not null)
        {
            throw new RefusedException(reply.Error, reply.ExitCode);
        }
    }
}
