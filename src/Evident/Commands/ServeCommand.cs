using System.CommandLine;
using Evident.Configuration;
using Evident.Platform;

namespace Evident.Commands;

/// <summary><c>evident serve</c>: the appliance, until a signal stops it.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("serve", 
            "Runs the appliance: OTLP/HTTP listener, query API and page. Prints one line, 'evident: ready on URL', when it accepts "
            + "requests, or 'evident: sealed on URL ...' when the vault waits for its passphrase. SIGTERM and SIGINT stop it in order. Exit codes: 0 stopped, 1 refused, 70 state unknown.",
            "evident serve --data /var/lib/evident --listen http://127.0.0.1:4318");
        var data = new DataOptions(command);
        Option<string[]> listen = Listen();
        command.Options.Add(listen);
        var passphrase = new PassphraseInput(command);
        command.SetAction(async (parsed, cancel) =>
        {
            ApplianceOptions options = data.Load(parsed);
            Override(options, parsed.GetValue(listen));
            using SecretBytes? secret = passphrase.Given(parsed);
            await using Appliance appliance = await Appliance.StartAsync(options, data.Directory(parsed), cancel, secret);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(appliance.IsSealed
                ? $"evident: sealed on {appliance.Url}, open it with: evident vault unseal --data {data.Directory(parsed)}"
                : $"evident: ready on {appliance.Url}");
            await parsed.InvocationConfiguration.Output.FlushAsync(cancel);
            return await appliance.RunAsync(cancel);
        });
        return command;
    }

    public static Option<string[]> Listen() => new("--listen")
    {
        Description = "An address to listen on, again for each further one; replaces the configured list. Port 0 lets the system choose.",
        HelpName = "URL",
    };

    public static void Override(ApplianceOptions options, string[]? listen)
    {
        if (listen is { Length: > 0 })
        {
            options.Listen = [.. listen];
        }
    }
}
