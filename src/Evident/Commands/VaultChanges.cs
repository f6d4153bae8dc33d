using System.CommandLine;
using Evident.Control;

namespace Evident.Commands;

/// <summary><c>evident vault shred | hold | confirm-clock</c> and <c>evident keys rotate</c>: what changes the vault, through the running appliance or in process.</summary>
internal static class VaultChanges
{
    private static readonly string[] Held = ["ref", "run", "tenant"], Erased = ["ref", "run", "user", "tenant"];

    public static Command Shred()
    {
        Command command = CommandLine.Command("shred",
            "Erases payloads before their day: the key that they share with others is replaced and destroyed. The intent is a ledger entry before, the receipt one after.",
            "evident vault shred --run run_01J3K6 --reason 'erasure request 118'", "evident vault shred --user u_0f3c9b0a61d24e7c8a5b9e3f12d47c60 --reason 'erasure request 119'");
        Selection selection = new(command, Erased);
        Option<string> reason = Reason(command, required: true);
        return Asks(command, parsed => new Operation(VaultOperation.Shred, selection.Read(parsed), parsed.GetValue(reason)));
    }

    public static Command Hold()
    {
        Command command = CommandLine.Command("hold", "Legal holds: what is held neither expires nor can be erased.", "evident vault hold list");
        Command add = CommandLine.Command("add", "Places a hold; a ledger entry says who and why.", "evident vault hold add --run run_01J3K6 --reason 'case 2026-17'");
        Selection selection = new(add, Held);
        Option<string> why = Reason(add, required: true);
        command.Subcommands.Add(Asks(add, parsed => new Operation(VaultOperation.Hold, selection.Read(parsed), parsed.GetValue(why))));
        Command release = CommandLine.Command("release", "Releases a hold; a ledger entry says who and why.", "evident vault hold release 5f1c… --reason 'case closed'");
        Argument<string> id = CommandLine.Text("HOLD", "The hold's id, as `vault hold list` shows it.");
        release.Arguments.Add(id);
        Option<string> reason = Reason(release, required: true);
        command.Subcommands.Add(Asks(release, parsed => new Operation(VaultOperation.Release, parsed.GetValue(id), parsed.GetValue(reason))));
        command.Subcommands.Add(Asks(CommandLine.Command("list", "Lists the holds in force.", "evident vault hold list --json"), static _ => new Operation(VaultOperation.Holds)));
        return command;
    }

    public static Command Disclose()
    {
        Command command = CommandLine.Command("disclose",
            "Writes the ledger entry, waits until it is durable, then prints a file with one payload and its own salt: an auditor holds it against the ledger with `evident verify PATH --disclosed FILE`.",
            "evident vault disclose vr_01ARZ3NDEKTSV4RRFFQ69G5FAV --recipient audit-2026 --reason 'finding 12' > payload.disclosure");
        var data = new DataOptions(command);
        Argument<string> reference = CommandLine.Text("REF", "The reference that the trace keeps, vr_ and 26 characters.");
        Option<string?> recipient = new("--recipient") { Description = "Whom it is for; stands in the ledger, as a pseudonym when it looks like a name.", HelpName = "WHO" };
        command.Arguments.Add(reference);
        command.Options.Add(recipient);
        Option<string> reason = Reason(command, required: true);
        command.SetAction(async (parsed, cancel) =>
        {
            string asked = parsed.GetValue(recipient) is { } who ? $"{parsed.GetValue(reference)} {who}" : parsed.GetValue(reference)!;
            Reply reply = await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), new Operation(VaultOperation.Disclose, asked, parsed.GetValue(reason)), cancel);
            if (reply.Error is not null)
            {
                throw new RefusedException(reply.Error, reply.ExitCode);
            }

            await using Stream stdout = Console.OpenStandardOutput(); // bytes, whatever the payload is
            await stdout.WriteAsync(reply.Payload, cancel);
            return ExitCode.Done;
        });
        return command;
    }

    public static Command Certificate()
    {
        Command command = CommandLine.Command("certificate",
            "Prints what proves a shredding to somebody else: intent and receipt as they stand in the ledger, each with its proof under a published head.",
            "evident vault certificate 5f1c… > shred.cert");
        var data = new DataOptions(command);
        Argument<string> id = CommandLine.Text("SHRED", "The id that `vault shred` printed, or that of a vault.shred.intent entry.");
        command.Arguments.Add(id);
        command.SetAction(async (parsed, cancel) =>
        {
            Reply reply = await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), new Operation(VaultOperation.Certificate, parsed.GetValue(id)), cancel);
            if (reply.Error is not null)
            {
                throw new RefusedException(reply.Error, reply.ExitCode);
            }

            await parsed.InvocationConfiguration.Output.WriteAsync(System.Text.Encoding.UTF8.GetString(reply.Payload));
            return ExitCode.Done;
        });
        return command;
    }

    public static Command ConfirmClock() => Asks(
        CommandLine.Command("confirm-clock", "Says that the wall clock is right: nothing expires while it is far ahead of what it can be. The ledger says so too.", "evident vault confirm-clock"),
        static _ => new Operation(VaultOperation.ConfirmClock));

    public static Command Rotate()
    {
        Command command = CommandLine.Command("rotate",
            "Writes the vault's keystore anew under a fresh key and destroys the key before: older copies of the keystore open nothing any more.",
            "evident keys rotate --reason 'quarterly'");
        Option<string> reason = Reason(command, required: false);
        return Asks(command, parsed => new Operation(VaultOperation.Rotate, null, parsed.GetValue(reason)));
    }

    private static Command Asks(Command command, Func<ParseResult, Operation> operation)
    {
        var data = new DataOptions(command);
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Options.Add(json);
        command.SetAction(async (parsed, cancel) =>
        {
            Reply reply = await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), operation(parsed), cancel);
            if (reply.Error is not null)
            {
                throw new RefusedException(reply.Error, reply.ExitCode);
            }

            await Print.ObjectAsync(parsed.InvocationConfiguration.Output, reply.Json, parsed.GetValue(json));
            return ExitCode.Done;
        });
        return command;
    }

    private static Option<string> Reason(Command command, bool required)
    {
        Option<string> reason = new("--reason") { Description = "Why; sealed beside the ledger entry.", HelpName = "TEXT", Required = required };
        reason.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { Length: <= Operation.MaxReasonChars } text || string.IsNullOrWhiteSpace(text))
            {
                result.AddError($"--reason takes 1 to {Operation.MaxReasonChars} characters.");
            }
        });
        command.Options.Add(reason);
        return reason;
    }

    /// <summary>Exactly one of what can be selected.</summary>
    private sealed class Selection
    {
        private readonly List<(string By, Option<string> Option)> options = [];

        public Selection(Command command, string[] selectors)
        {
            foreach (string by in selectors)
            {
                Option<string> option = new("--" + by) { Description = by switch
                {
                    "ref" => "One payload.",
                    "run" => "Every payload of a run.",
                    "user" => "Every payload of the runs that name an end user, by the pseudonym that the page shows.",
                    _ => "Every payload of a tenant, and the keys of its pseudonyms.",
                }, HelpName = by.ToUpperInvariant() };
                options.Add((by, option));
                command.Options.Add(option);
            }

            command.Validators.Add(result =>
            {
                if (options.FindAll(o => result.GetResult(o.Option) is { Implicit: false }).Count != 1)
                {
                    result.AddError($"exactly one of {string.Join(", ", selectors.Select(static by => "--" + by))} says what is meant.");
                }
            });
        }

        public string Read(ParseResult parsed)
        {
            foreach (var (by, option) in options)
            {
                if (parsed.GetValue(option) is { } value)
                {
                    return $"{(by == "user" ? "subject" : by)}:{value}"; // as the ledger calls it
                }
            }

            return "";
        }
    }
}
