using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Evident.Configuration;

namespace Evident.Commands;

/// <summary>
/// The command line of design section 4. A wrong one ends with 64 and says what was wrong; a command that is refused or fails ends
/// with its own code and one sentence on stderr. Nothing but a command's result goes to stdout.
/// </summary>
internal static class CommandLine
{
    public static async Task<int> RunAsync(string[] arguments, TextWriter stdout, TextWriter stderr, CancellationToken cancel = default)
    {
        // No response files: an argument that starts with @ (a reason, say) is that argument.
        ParseResult parsed = Root().Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0)
        {
            foreach (ParseError error in parsed.Errors)
            {
                await stderr.WriteLineAsync($"evident: {error.Message}");
            }

            await stderr.WriteLineAsync($"Run '{PathOf(parsed.CommandResult)} --help' for what it takes.");
            return ExitCode.Usage;
        }

        try
        {
            return await parsed.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = stdout,
                    Error = stderr,
                    EnableDefaultExceptionHandler = false,
                    ProcessTerminationTimeout = null, // serve stops in its own order
                },
                cancel);
        }
        catch (RefusedException e)
        {
            await stderr.WriteLineAsync($"evident: {e.Message}");
            return e.ExitCode;
        }
        catch (Exception e) when (e is ConfigurationException or IOException or UnauthorizedAccessException)
        {
            await stderr.WriteLineAsync($"evident: {e.Message}");
            return ExitCode.Refused;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            await stderr.WriteLineAsync($"evident: an error inside the program; please report it with what follows.\n{e}");
            return ExitCode.StateUnknown;
        }
    }

    internal static RootCommand Root()
    {
        var root = new RootCommand(
            "Evident records what AI agents did, keeps what they said sealed, and proves afterwards that nobody changed the record. "
            + "One process, one data directory, no outgoing connection.");
        root.Subcommands.Add(ServeCommand.Create());
        root.Subcommands.Add(DemoCommand.Create());
        root.Subcommands.Add(VerifyCommand.Create());
        root.Subcommands.Add(LedgerCommands.Create());
        root.Subcommands.Add(WitnessCommands.Create());
        root.Subcommands.Add(VaultCommands.Create());
        root.Subcommands.Add(KeysCommand.Create());
        root.Subcommands.Add(DebugCommands.Create());
        root.Subcommands.Add(IdentityCommand.Create());
        root.Subcommands.Add(ImportCommand.Create());
        root.Subcommands.Add(RunExportCommand.Create());
        root.Subcommands.Add(PricesCommand.Create());
        root.Subcommands.Add(ConfigCommand.Create());
        root.Subcommands.Add(RedactCommand.Create());
        root.Subcommands.Add(DoctorCommand.Create());
        root.Subcommands.Add(VersionCommand.Create());
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExample((HelpAction)help.Action!);
        return root;
    }

    /// <summary>A command whose <c>--help</c> ends with examples.</summary>
    public static Command Command(string name, string what, params string[] examples) => new CommandWithExample(name, what, examples);

    /// <summary>An argument that is text; an option that does not exist must not be taken for it.</summary>
    public static Argument<string> Text(string name, string what)
    {
        var argument = new Argument<string>(name) { Description = what };
        argument.Validators.Add(static result =>
        {
            if (result.Tokens is [{ Value: ['-', ..] option }, ..])
            {
                result.AddError($"There is no option '{option}'.");
            }
        });
        return argument;
    }

    private sealed class CommandWithExample(string name, string what, string[] examples) : Command(name, what)
    {
        public IReadOnlyList<string> Examples => examples;
    }

    private sealed class HelpWithExample(HelpAction help) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            int exitCode = help.Invoke(parseResult);
            IReadOnlyList<string> examples = parseResult.CommandResult.Command is CommandWithExample command
                ? command.Examples
                : ["evident serve --data /var/lib/evident"];
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Example:");
            foreach (string example in examples)
            {
                output.WriteLine($"  {example}");
            }

            return exitCode;
        }
    }

    private static string PathOf(CommandResult result)
    {
        var names = new Stack<string>();
        for (SymbolResult? at = result; at is CommandResult command; at = command.Parent)
        {
            names.Push(command.Command is RootCommand ? "evident" : command.Command.Name);
        }

        return string.Join(' ', names);
    }
}

/// <summary>The options that several commands share.</summary>
internal sealed class DataOptions
{
    public const string Variable = "EVIDENT_DATA", DefaultDirectory = "./evident-data";

    private readonly Option<string?> data = new("--data")
    {
        Description = $"The data directory. Without it: the variable {Variable}, else {DefaultDirectory}.",
        HelpName = "DIR",
    };

    private readonly Option<string?> config = new("--config")
    {
        Description = $"The configuration file. Without it: {ConfigurationFile.Name} in the data directory, when it is there.",
        HelpName = "FILE",
    };

    public DataOptions(Command command, bool withConfig = true)
    {
        command.Options.Add(data);
        if (withConfig)
        {
            command.Options.Add(config);
        }
    }

    public string Directory(ParseResult parsed) =>
        parsed.GetValue(data) is { Length: > 0 } given ? given
        : Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? named
        : DefaultDirectory;

    public string? Config(ParseResult parsed) => parsed.GetValue(config);

    public ApplianceOptions Load(ParseResult parsed) => ConfigurationFile.Load(Directory(parsed), Config(parsed));
}
