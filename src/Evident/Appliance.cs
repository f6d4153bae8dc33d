using System.Runtime.InteropServices;
using Evident.Configuration;
using Evident.Control;
using Evident.Platform;
using Evident.Web;
using Microsoft.Extensions.Logging;

namespace Evident;

/// <summary>
/// The composition root: store, HTTP surface and control socket of one data directory in one process. Owns all three and stops them
/// in the order accept no more, finish what runs, close the store.
/// </summary>
internal sealed class Appliance : IAsyncDisposable
{
    private readonly ApplianceLog log;
    private readonly ApplianceStore store;
    private readonly EvidentWeb web;
    private ControlServer? control;
    private readonly StopSignals signals = new(); // in force before anybody is told that it is ready
    private bool stopped;

    private Appliance(ApplianceLog log, ApplianceStore store, EvidentWeb web) => (this.log, this.store, this.web) = (log, store, web);

    /// <summary>The first address that it listens on, with its real port.</summary>
    public string Url => web.Url;

    /// <summary>Completes when the writer no longer knows its state: the process must end with 70 and must not close the store.</summary>
    public Task<Exception> Fatal => store.Fatal;

    /// <summary>The vault waits for its passphrase: ingest and reads are answered 503.</summary>
    public bool IsSealed => store.Door.Current is null;

    /// <summary>Opens everything; requests are answered when this returns, by a sealed appliance with 503.</summary>
    /// <param name="passphrase">Of a vault that is under one; without it, and without a credential, the appliance starts sealed. Stays the caller's.</param>
    /// <exception cref="RefusedException">With the sentence and the exit code.</exception>
    public static async Task<Appliance> StartAsync(ApplianceOptions options, string dataDirectory, CancellationToken cancel, SecretBytes? passphrase = null)
    {
        IReadOnlyList<ListenAddress> listen = CheckListen(options.Listen);
        LocalUser.KeepFilesPrivate();
        var log = new ApplianceLog(ApplianceLog.Level(options.Log.Level), Console.Error);

        // Recovery and the server's own construction take about as long as each other: side by side.
        Task<ApplianceStore> opening = Task.Run(() => ApplianceStore.StartAsync(options, dataDirectory, log, passphrase), cancel);
        EvidentWeb web = EvidentWeb.Build(new WebSetup
        {
            Listen = listen,
            Http = options.Http,
            Ingest = options.Ingest.ToLimits(),
            Log = log,
            Version = BuildVersion.Text,
        });
        ApplianceStore store;
        try
        {
            store = await opening;
        }
        catch
        {
            await web.DisposeAsync();
            log.Dispose();
            throw;
        }

        var appliance = new Appliance(log, store, web);
        try
        {
            string logs = Path.Combine(dataDirectory, "logs");
            DurableDirectory.Create(logs);
            log.AttachFile(logs, options.Log.MaxFileBytes, options.Log.MaxFiles);
            await web.StartAsync(store.Door, cancel);
            appliance.control = ControlServer.Start(dataDirectory, new ApplianceOperations(store), log.CreateLogger("Evident.Control"));
            log.Write(LogLevel.Information, "Evident", $"version {BuildVersion.Text} listens on {string.Join(", ", web.Urls)}");
            return appliance;
        }
        catch (IOException e)
        {
            await appliance.DisposeAsync();
            throw new RefusedException(
                $"Cannot listen on {string.Join(", ", options.Listen)}: {e.Message} Stop what uses the port, or choose another with --listen.");
        }
        catch
        {
            await appliance.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits for SIGTERM, SIGINT or SIGHUP, or for the writer's failure, stops accordingly, and returns the exit code.</summary>
    public async Task<int> RunAsync(CancellationToken cancel)
    {
        using CancellationTokenRegistration cancelled = cancel.Register(signals.Stop);
        if (await Task.WhenAny(signals.Stopped, Fatal) == Fatal)
        {
            return await FailAsync();
        }

        log.Write(LogLevel.Information, "Evident", "stopping: no more requests are accepted");
        await StopAsync();
        return Fatal.IsCompleted ? await FailAsync() : ExitCode.Done;
    }

    /// <summary>The ordered clean stop. Afterwards the ledger's head is published and the lock is free.</summary>
    public async Task StopAsync()
    {
        if (stopped)
        {
            return;
        }

        stopped = true;
        await web.StopAsync();
        if (control is not null)
        {
            await control.DisposeAsync();
        }

        await store.StopAsync();
        log.Write(LogLevel.Information, "Evident", "stopped");
    }

    // Nothing is written any more and nothing is closed in order: what is on disk is for recovery to find out.
    private async Task<int> FailAsync()
    {
        Exception cause = await Fatal;
        try
        {
            log.Write(LogLevel.Critical, "Evident", $"the process stops with 70 and the next start decides: {cause.Message}", cause);
            log.Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"evident: the log file cannot be written either: {e.Message}"); // the exit code stays what it means
        }

        Environment.Exit(ExitCode.StateUnknown);
        return ExitCode.StateUnknown;
    }

    public async ValueTask DisposeAsync()
    {
        signals.Dispose();
        await StopAsync();
        await web.DisposeAsync();
        store.Dispose();
        log.Dispose();
    }

    private static List<ListenAddress> CheckListen(IEnumerable<string> texts)
    {
        var addresses = new List<ListenAddress>();
        foreach (string text in texts)
        {
            ListenAddress address = ListenAddress.Parse(text, out string? problem) ?? throw new RefusedException(problem!);
            if (!address.IsLoopback)
            {
                throw new RefusedException(
                    $"Refused to listen on {address.Url}: other machines can reach that address, and TLS and authentication are not configured. "
                    + $"Listen on a loopback address ({ListenAddress.Default}) and put a reverse proxy on this machine in front that ends TLS and "
                    + "authenticates; name its host in the configuration value http.allowedHosts.");
            }

            addresses.Add(address);
        }

        return addresses.Exists(a => !a.IsGrpc)
            ? addresses
            : throw new RefusedException($"Refused to listen with gRPC alone: the page, the API and OTLP/HTTP need an http:// address as well, for example {ListenAddress.Default}.");
    }

    /// <summary>The first signal asks for the clean stop, a second one ends the process as the system does by default.</summary>
    private sealed class StopSignals : IDisposable
    {
        private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<PosixSignalRegistration> registrations;

        public StopSignals() => registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle),
        ];

        public Task Stopped => stopped.Task;

        public void Stop() => stopped.TrySetResult();

        public void Dispose() => registrations.ForEach(r => r.Dispose());

        private void Handle(PosixSignalContext context) => context.Cancel = stopped.TrySetResult();
    }
}

/// <summary>Which build this is.</summary>
internal static class BuildVersion
{
    /// <summary>For example <c>0.1.0</c>, or with the commit when the build knew it: <c>0.1.0+4f682f7</c>.</summary>
    public static string Text { get; } =
        typeof(BuildVersion).Assembly.GetCustomAttributes(typeof(System.Reflection.AssemblyInformationalVersionAttribute), false)
            .OfType<System.Reflection.AssemblyInformationalVersionAttribute>().FirstOrDefault()?.InformationalVersion ?? "unknown";
}
