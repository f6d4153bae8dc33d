using System.CommandLine;
using System.Text;
using Evident.Control;

namespace Evident.Commands;

/// <summary><c>evident vault read | status</c> and the changes: through the running appliance, or in process when none runs.</summary>
internal static class VaultCommands
{
    public static Command Create()
    {
        Command command = CommandLine.Command("vault", 
            "Opens, erases and holds sealed payloads; every opening is a ledger entry first.", "evident vault status");
        command.Subcommands.Add(Read());
        command.Subcommands.Add(Status());
        command.Subcommands.Add(VaultChanges.Shred());
        command.Subcommands.Add(VaultChanges.Hold());
        command.Subcommands.Add(VaultChanges.Certificate());
        command.Subcommands.Add(VaultChanges.Disclose());
        command.Subcommands.Add(VaultChanges.ConfirmClock());
        command.Subcommands.Add(SealCommands.Seal());
        command.Subcommands.Add(SealCommands.Unseal());
        return command;
    }

    private static Command Read()
    {
        Command command = CommandLine.Command("read", 
            "Writes the ledger entry, waits until it is durable, then prints the payload's bytes and nothing else.",
            "evident vault read vr_01ARZ3NDEKTSV4RRFFQ69G5FAV --reason 'ticket 9421: wrong refund'",
            "evident vault read vr_01ARZ3NDEKTSV4RRFFQ69G5FAV --range 0-65535 --reason 'ticket 9421: how it begins'");
        var data = new DataOptions(command);
        Argument<string> reference = CommandLine.Text("REF", "The reference that the trace keeps, vr_ and 26 characters.");
        Option<string> reason = new("--reason") { Description = "Why; sealed beside the ledger entry.", HelpName = "TEXT", Required = true };
        reason.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { Length: <= Operation.MaxReasonChars } text || string.IsNullOrWhiteSpace(text))
            {
                result.AddError($"--reason takes 1 to {Operation.MaxReasonChars} characters.");
            }
        });
        Option<string?> range = new("--range") { Description = "Only these bytes, counted from 0: FIRST-LAST, or FIRST- up to the end.", HelpName = "FIRST-LAST" };
        range.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } text && !VaultOperation.TryRange(text, out _))
            {
                result.AddError($"--range takes FIRST-LAST or FIRST-, both counted from 0, not '{text}'.");
            }
        });
        command.Arguments.Add(reference);
        command.Options.Add(reason);
        command.Options.Add(range);
        command.SetAction(async (parsed, cancel) =>
        {
            var operation = new Operation(Operation.VaultRead, parsed.GetValue(range) is { } part ? $"{parsed.GetValue(reference)} {part}" : parsed.GetValue(reference), parsed.GetValue(reason));
            Reply reply = Checked(await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), operation, cancel));
            if (ReferenceEquals(parsed.InvocationConfiguration.Output, Console.Out))
            {
                await using Stream stdout = Console.OpenStandardOutput(); // bytes, whatever they are
                await stdout.WriteAsync(reply.Payload, cancel);
            }
            else
            {
                await parsed.InvocationConfiguration.Output.WriteAsync(Encoding.UTF8.GetString(reply.Payload));
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static Command Status()
    {
        Command command = CommandLine.Command("status", "Prints what the vault holds.", "evident vault status --json");
        var data = new DataOptions(command);
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Options.Add(json);
        command.SetAction(async (parsed, cancel) =>
        {
            Reply reply = Checked(await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), new Operation(Operation.VaultStatus), cancel));
            await Print.ObjectAsync(parsed.InvocationConfiguration.Output, reply.Json, parsed.GetValue(json));
            return ExitCode.Done;
        });
        return command;
    }

    private static Reply Checked(Reply reply) => reply.Error is null ? reply : throw new RefusedException(reply.Error, reply.ExitCode);
}
