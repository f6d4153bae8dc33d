using System.CommandLine;
using Evident.Control;

namespace Evident.Commands;

/// <summary><c>evident identity reveal</c>: through the running appliance, or in process when none runs.</summary>
internal static class IdentityCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("identity",
            "Looks up who stands behind a staff pseudonym; every look is a ledger entry first.", "evident identity reveal s_0f3c9b0a61d24e7c8a5b9e3f12d47c60 --reason 'audit 2026-3'");
        command.Subcommands.Add(Reveal());
        return command;
    }

    private static Command Reveal()
    {
        Command command = CommandLine.Command("reveal",
            "Writes the ledger entry, waits until it is durable, then prints the name or address that the pseudonym stands for.",
            "evident identity reveal s_0f3c9b0a61d24e7c8a5b9e3f12d47c60 --reason 'audit 2026-3'");
        var data = new DataOptions(command);
        Argument<string> id = CommandLine.Text("ID", "The pseudonym that approvals and ledger entries show, s_ and 32 hex digits.");
        Option<string> reason = new("--reason") { Description = "Why; sealed beside the ledger entry.", HelpName = "TEXT", Required = true };
        reason.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { Length: <= Operation.MaxReasonChars } text || string.IsNullOrWhiteSpace(text))
            {
                result.AddError($"--reason takes 1 to {Operation.MaxReasonChars} characters.");
            }
        });
        command.Arguments.Add(id);
        command.Options.Add(reason);
        command.SetAction(async (parsed, cancel) =>
        {
            var operation = new Operation(Operation.IdentityReveal, parsed.GetValue(id), parsed.GetValue(reason));
            Reply reply = await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), operation, cancel);
            if (reply.Error is not null)
            {
                throw new RefusedException(reply.Error, reply.ExitCode);
            }

            await parsed.InvocationConfiguration.Output.WriteLineAsync(System.Text.Encoding.UTF8.GetString(reply.Payload));
            return ExitCode.Done;
        });
        return command;
    }
}
