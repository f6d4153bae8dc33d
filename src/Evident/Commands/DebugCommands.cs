using System.CommandLine;
using System.Text.Json;
using Evident.Control;
using Evident.Store;

namespace Evident.Commands;

/// <summary><c>evident debug request | approve | close | list</c>: payloads in full for a while, with two people and an end (docs/privacy.md).</summary>
internal static class DebugCommands
{
    public static Command Create()
    {
        Command command = CommandLine.Command("debug",
            "Debug sessions: while one is open, the payloads of one workflow are sealed unredacted, for a day. One person asks, another approves, it closes by itself; every step is a ledger entry, and every page says that it is open.",
            "evident debug list");
        command.Subcommands.Add(Request());
        command.Subcommands.Add(Approve());
        command.Subcommands.Add(Close());
        command.Subcommands.Add(List());
        return command;
    }

    private static Command Request()
    {
        Command command = CommandLine.Command("request",
            "Asks for a debug session. Nothing is captured before somebody else approves; a request lapses after 24 hours.",
            "evident debug request --tenant acme --workflow 'refund-*' --environment prod --minutes 30 --reason 'ticket 9421: wrong amounts'");
        var data = new DataOptions(command);
        Option<string> tenant = new("--tenant") { Description = "The tenant as senders name it; '' stands for spans that name none.", HelpName = "TENANT", Required = true };
        Option<string> workflow = new("--workflow") { Description = "The workflow as senders name it; with * at its end all that begin so.", HelpName = "WORKFLOW", Required = true };
        Option<string?> environment = new("--environment") { Description = "Only this environment.", HelpName = "NAME" };
        Option<long> minutes = new("--minutes") { Description = "How long, from the approval on: 1 to 1440.", HelpName = "N", Required = true };
        Option<string> reason = new("--reason") { Description = "Why; sealed beside the ledger entry, and on every page while the session is open, redacted.", HelpName = "TEXT", Required = true };
        reason.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not { Length: <= Operation.MaxReasonChars } text || string.IsNullOrWhiteSpace(text))
            {
                result.AddError($"--reason takes 1 to {Operation.MaxReasonChars} characters.");
            }
        });
        foreach (Option option in new Option[] { tenant, workflow, environment, minutes, reason })
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancel) =>
        {
            var wish = new DebugWish(parsed.GetValue(tenant)!, parsed.GetValue(workflow)!, parsed.GetValue(environment), (int)Math.Clamp(parsed.GetValue(minutes), 0, int.MaxValue));
            Reply reply = await AskAsync(data, parsed, new Operation(Operation.DebugRequest, Reason: parsed.GetValue(reason), Debug: new DebugOrder(wish)), cancel);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"Requested {Member(reply, "id")}. Another person approves it: evident debug approve {Member(reply, "id")}");
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Approve()
    {
        Command command = CommandLine.Command("approve",
            "Opens a debug session that somebody else asked for. Who may use the appliance's control socket is its own user and root; they count as two people.",
            "evident debug approve ds_3f9c01b2a4d7", "evident debug approve ds_3f9c01b2a4d7 --single-operator");
        var data = new DataOptions(command);
        Argument<string> id = Id();
        Option<bool> single = new("--single-operator") { Description = "There is no second person: the one who asked approves, and the ledger says so." };
        command.Arguments.Add(id);
        command.Options.Add(single);
        command.SetAction(async (parsed, cancel) =>
        {
            Reply reply = await AskAsync(data, parsed, new Operation(Operation.DebugApprove, parsed.GetValue(id), Debug: new DebugOrder(SingleOperator: parsed.GetValue(single))), cancel);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"Open until {Member(reply, "until")}. To end it before: evident debug close {Member(reply, "id")}");
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Close()
    {
        Command command = CommandLine.Command("close", "Ends an open debug session, or refuses one that was asked for.", "evident debug close ds_3f9c01b2a4d7");
        var data = new DataOptions(command);
        Argument<string> id = Id();
        command.Arguments.Add(id);
        command.SetAction(async (parsed, cancel) =>
        {
            Reply reply = await AskAsync(data, parsed, new Operation(Operation.DebugClose, parsed.GetValue(id)), cancel);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(Member(reply, "state") == "open" ? $"Closed {Member(reply, "id")}." : $"Refused {Member(reply, "id")}; it was not open.");
            return ExitCode.Done;
        });
        return command;
    }

    private static Command List()
    {
        Command command = CommandLine.Command("list", "Prints the debug sessions that are asked for or open.", "evident debug list", "evident debug list --json");
        var data = new DataOptions(command);
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Options.Add(json);
        command.SetAction(async (parsed, cancel) =>
        {
            Reply reply = await AskAsync(data, parsed, new Operation(Operation.DebugList), cancel);
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await Print.ObjectAsync(output, reply.Json, asJson: true);
                return ExitCode.Done;
            }

            using JsonDocument document = JsonDocument.Parse(reply.Json);
            JsonElement sessions = document.RootElement.GetProperty("sessions");
            if (sessions.GetArrayLength() == 0)
            {
                await output.WriteLineAsync("No debug session is asked for or open.");
            }

            foreach (JsonElement session in sessions.EnumerateArray())
            {
                await output.WriteLineAsync(Line(session));
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static string Line(JsonElement session)
    {
        string Text(string name) => session.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        bool open = Text("state") == "open";
        string tenant = Text("tenant") is { Length: > 0 } named ? $"tenant {named}" : "no tenant", environment = Text("environment") is { Length: > 0 } where ? $", {where}" : "";
        bool alone = open && session.GetProperty("single_operator").GetBoolean();
        string who = open ? $"until {Text("until")}, asked for by {Text("requested_by")}, approved by {(alone ? "the same person" : Text("approved_by"))}"
            : $"{session.GetProperty("minutes").GetInt32()} minutes, asked for by {Text("requested_by")} on {Text("requested")}, not approved";
        return $"{Text("id")}  {(open ? "OPEN" : "requested")}  {tenant}, workflow {Text("workflow")}{environment}  {who}: {Text("reason")}";
    }

    private static Argument<string> Id() => CommandLine.Text("ID", "The session, ds_ and 12 hex digits.");

    private static string Member(Reply reply, string name)
    {
        using JsonDocument document = JsonDocument.Parse(reply.Json);
        return document.RootElement.GetProperty(name).GetString()!;
    }

    private static async Task<Reply> AskAsync(DataOptions data, ParseResult parsed, Operation operation, CancellationToken cancel)
    {
        Reply reply = await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), operation, cancel);
        return reply.Error is null ? reply : throw new RefusedException(reply.Error, reply.ExitCode);
    }
}
