using System.CommandLine;
using System.Text;
using Evident.Control;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Commands;

/// <summary>
/// <c>evident witness init | cosign | status</c>: a person with another machine confirms heads of a ledger (docs/evidence.md, section 3). Uses Evident.Ledger and its own
/// directory, opens no socket.
/// </summary>
internal static class WitnessCommands
{
    public const string Variable = "EVIDENT_WITNESS", DefaultDirectory = "./evident-witness";

    public static Command Create()
    {
        Command command = CommandLine.Command("witness", "Confirms from another machine that a ledger only grew.", "evident witness status");
        command.Subcommands.Add(Init());
        command.Subcommands.Add(Cosign());
        command.Subcommands.Add(Status());
        return command;
    }

    private static Command Init()
    {
        Command command = CommandLine.Command("init", 
            "Makes a witness, or adds logs to the one that is there, and prints its verifier key. One directory is one witness with one key.",
            "evident witness init --name w1.audit.example --log evident.local/56475aa7...+94bcc7a3+AQOhB7...");
        Option<string?> directory = Directory(command);
        Option<string?> name = new("--name") { Description = "The key name of a new witness, for example w1.audit.example.", HelpName = "NAME" };
        Option<string[]> logs = new("--log")
        {
            Description = "The verifier key of a ledger's identity, as 'evident verify' shows it; again for each further one.",
            HelpName = "VKEY",
        };
        name.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } text && WitnessDirectory.FlawOf(text) is { } flaw)
            {
                result.AddError($"--name '{text}' cannot be: {flaw}.");
            }
        });
        logs.Validators.Add(result =>
        {
            foreach (string text in result.GetValueOrDefault<string[]>() ?? [])
            {
                if (NoteKey.ParseVerifierKey(text) is null)
                {
                    result.AddError(CosignerKey.ParseVerifierKey(text) is null
                        ? $"--log '{text}' is no verifier key: NAME+8 hex digits+base64, as 'evident verify' shows it."
                        : $"--log '{text}' is a witness's key; a ledger's identity key is needed.");
                }
            }
        });
        command.Options.Add(name);
        command.Options.Add(logs);
        command.SetAction(async (parsed, _) =>
        {
            using Witness witness = Checked(() => Witness.Init(Of(parsed, directory), parsed.GetValue(name)));
            TextWriter output = parsed.InvocationConfiguration.Output, error = parsed.InvocationConfiguration.Error;
            foreach (string text in parsed.GetValue(logs) ?? [])
            {
                NoteKey log = NoteKey.ParseVerifierKey(text)!;
                bool added = Checked(() => witness.Follow(log));
                await error.WriteLineAsync($"{(added ? "follows" : "followed already")}: {log.Name}");
            }

            await output.WriteLineAsync(witness.Public.ToVerifierKey());
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Cosign()
    {
        Command command = CommandLine.Command("cosign", 
            "Checks a published head against the one that this witness cosigned last and prints it with the cosignature. What is printed is recorded first.",
            "evident witness cosign request.txt --out cosigned.note");
        Option<string?> directory = Directory(command);
        Argument<string> file = CommandLine.Text("FILE", "What 'evident ledger head --since SIZE' printed, or a published note.");
        Option<string?> to = new("--out") { Description = "Writes the note to this file, which must not exist, instead of printing it.", HelpName = "FILE" };
        to.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } path && Path.Exists(path))
            {
                result.AddError($"'{path}' is there already; --out writes a new file only.");
            }
        });
        command.Arguments.Add(file);
        command.Options.Add(to);
        command.SetAction(async (parsed, _) =>
        {
            byte[] request = InputFile.Read(parsed.GetValue(file)!, AddCheckpoint.MaxBytes);
            using Witness witness = Checked(() => Witness.Open(Of(parsed, directory)));
            byte[] cosigned;
            try
            {
                cosigned = Checked(() => witness.Cosign(request, SystemClock.Instance.UnixMillis / 1000));
            }
            catch (WitnessRefusalException refusal)
            {
                throw new RefusedException($"Not cosigned ({refusal.Code}): {refusal.Message}");
            }

            if (parsed.GetValue(to) is { } path)
            {
                using DurableFile target = DurableFile.CreateNew(path, 0x1A4);
                target.WriteAt(0, cosigned);
                target.Sync();
            }
            else
            {
                await parsed.InvocationConfiguration.Output.WriteAsync(Encoding.UTF8.GetString(cosigned));
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static Command Status()
    {
        Command command = CommandLine.Command("status", "Shows the witness's verifier key and, for each log, the head that it cosigned last.", "evident witness status --json");
        Option<string?> directory = Directory(command);
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Options.Add(json);
        command.SetAction(async (parsed, _) =>
        {
            var witness = new WitnessDirectory(Of(parsed, directory));
            CosignerKey key = Checked(witness.ReadKey);
            IReadOnlyList<WitnessedLog> logs = Checked(() => witness.ReadLogs(key));
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(Encoding.UTF8.GetString(Json(key, logs)));
                return ExitCode.Done;
            }

            await output.WriteLineAsync($"verifier key: {key.ToVerifierKey()}");
            foreach (WitnessedLog log in logs)
            {
                await output.WriteLineAsync($"log: {log.Key.Name}");
                await output.WriteLineAsync(log.Newest is { } newest
                    ? $"  cosigned size {newest.Size} at {Cosignature.TimeText(log.Time)}, root {LedgerFormat.HashText(newest.Root)}"
                    : "  nothing cosigned yet");
                if (log.Refused > 0)
                {
                    await output.WriteLineAsync($"  {log.Refused} CONTRADICTORY REQUESTS, kept as evidence in {witness.Path}/logs");
                }
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static byte[] Json(CosignerKey key, IReadOnlyList<WitnessedLog> logs) => Reply.Done(json =>
    {
        json.WriteString("name"u8, key.Name);
        json.WriteString("verifier_key"u8, key.ToVerifierKey());
        json.WriteStartArray("logs"u8);
        foreach (WitnessedLog log in logs)
        {
            json.WriteStartObject();
            json.WriteString("origin"u8, log.Key.Name);
            json.WriteString("verifier_key"u8, log.Key.ToVerifierKey());
            json.WriteNumber("size"u8, log.Size);
            if (log.Newest is { } newest)
            {
                json.WriteString("root"u8, LedgerFormat.HashText(newest.Root));
                json.WriteString("time"u8, Cosignature.TimeText(log.Time));
            }

            json.WriteNumber("refused"u8, log.Refused);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }).Json;

    private static Option<string?> Directory(Command command)
    {
        Option<string?> directory = new("--dir") { Description = $"The witness's directory. Without it: the variable {Variable}, else {DefaultDirectory}.", HelpName = "WITNESS" };
        command.Options.Add(directory);
        return directory;
    }

    private static string Of(ParseResult parsed, Option<string?> directory) =>
        parsed.GetValue(directory) is { Length: > 0 } given ? given
        : Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? named
        : DefaultDirectory;

    private static T Checked<T>(Func<T> act)
    {
        try
        {
            return act();
        }
        catch (WitnessStateException e)
        {
            throw new RefusedException(e.Message);
        }
    }
}
