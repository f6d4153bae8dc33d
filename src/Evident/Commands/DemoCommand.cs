using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Configuration;
using Evident.Demo;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Commands;

/// <summary><c>evident demo</c>: the appliance with realistic runs, sent over OTLP/HTTP to its own listener.</summary>
internal static class DemoCommand
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(25);

    public static Command Create()
    {
        Command command = CommandLine.Command(
            "demo",
            "Runs the appliance and sends realistic agent runs to its own listener over OTLP/HTTP, a few more now and then. With --once: sends "
            + "them, checks through the HTTP API that each is there, stops, verifies the ledger, prints a summary; exit code 1 when anything is missing.",
            "evident demo",
            "evident demo --once --data /tmp/evident-demo --listen http://127.0.0.1:0");
        var data = new DataOptions(command);
        Option<string[]> listen = ServeCommand.Listen();
        Option<bool> once = new("--once") { Description = "Send, check, verify, print a summary and exit." };
        command.Options.Add(listen);
        command.Options.Add(once);
        command.SetAction(async (parsed, cancel) =>
        {
            string directory = data.Directory(parsed);
            Prepare(directory);
            ApplianceOptions options = data.Load(parsed);
            ServeCommand.Override(options, parsed.GetValue(listen));
            TextWriter output = parsed.InvocationConfiguration.Output;
            await using Appliance appliance = await Appliance.StartAsync(options, directory, cancel);
            return parsed.GetValue(once)
                ? await OnceAsync(appliance, directory, output, cancel)
                : await KeepAsync(appliance, output, cancel);
        });
        return command;
    }

    // The demo's tools get their levels on the appliance, as an administrator would write them down; an existing file is left alone.
    private static void Prepare(string directory)
    {
        LocalUser.KeepFilesPrivate();
        DurableDirectory.Create(directory);
        using var ownership = DataLock.Acquire(Path.Combine(directory, "lock")); // a running appliance's configuration is not ours to write
        string file = Path.Combine(directory, ConfigurationFile.Name);
        if (!File.Exists(file))
        {
            DurableDirectory.ReplaceFile(file, Encoding.UTF8.GetBytes(DemoCatalogue.Configuration));
        }
    }

    private static async Task<int> KeepAsync(Appliance appliance, TextWriter output, CancellationToken cancel)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var sender = new DemoSender(appliance.Url);
        foreach (DemoRun run in DemoCatalogue.Everything(DateTimeOffset.UtcNow))
        {
            await sender.SendAsync(run, cancel);
        }

        await output.WriteLineAsync($"evident: ready on {appliance.Url}");
        await output.FlushAsync(cancel);
        Task sending = SendNowAndThenAsync(sender, stopping.Token);
        Task<int> running = appliance.RunAsync(stopping.Token);
        if (await Task.WhenAny(running, sending) == sending)
        {
            await stopping.CancelAsync(); // the demo's sender failed: stop in order, then say why
        }

        int exitCode = await running;
        await stopping.CancelAsync();
        await sending;
        return exitCode;
    }

    private static async Task SendNowAndThenAsync(DemoSender sender, CancellationToken cancel)
    {
        try
        {
            for (int number = 1; ; number++)
            {
                await Task.Delay(Pace, cancel);
                await sender.SendAsync(DemoCatalogue.Another(DateTimeOffset.UtcNow, number), cancel);
            }
        }
        catch (Exception e) when (cancel.IsCancellationRequested && e is OperationCanceledException or IOException or System.Net.Sockets.SocketException)
        {
            // The appliance is stopping, with or without this request.
        }
    }

    private static async Task<int> OnceAsync(Appliance appliance, string directory, TextWriter output, CancellationToken cancel)
    {
        IReadOnlyList<DemoRun> runs = DemoCatalogue.Everything(DateTimeOffset.UtcNow);
        var lines = new List<DemoCheck.Line>();
        var sender = new DemoSender(appliance.Url);
        foreach (DemoRun run in runs)
        {
            await sender.SendAsync(run, cancel);
        }

        var check = new DemoCheck(sender);
        foreach (DemoRun run in runs)
        {
            lines.Add(await check.LookAsync(run, cancel));
        }

        using JsonDocument? ledger = await sender.GetAsync("/api/v1/ledger/head", cancel);
        long entries = ledger!.RootElement.GetProperty("size").GetInt64();
        await appliance.StopAsync();
        VerifyReport report = LedgerVerifier.Verify(new VerifyRequest { Path = directory }, progress: null, cancel);

        await output.WriteLineAsync($"{"kind of run",-50} {"session",-12} {"outcome",-12} {"spans",5}  flags");
        foreach (DemoCheck.Line line in lines)
        {
            await output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture, $"{line.Kind,-50} {line.Session,-12} {line.Outcome,-12} {line.Spans,5}  {line.Flags}"));
            foreach (string missing in line.Missing)
            {
                await output.WriteLineAsync($"  MISSING: {missing}");
            }
        }

        bool sound = report.ExitCode is 0 or 10; // 10: sound; nothing outside this machine has confirmed it yet
        await output.WriteLineAsync();
        await output.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture, $"runs: {lines.Count(l => l.Missing.Count == 0)} of {runs.Count}   spans: {lines.Sum(l => l.Spans)}   ledger entries: {entries}   ledger: {report.Verdict}"));
        return sound && lines.All(l => l.Missing.Count == 0) ? ExitCode.Done : ExitCode.Refused;
    }
}
