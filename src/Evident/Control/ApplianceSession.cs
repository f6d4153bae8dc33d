using System.Globalization;
using Evident.Configuration;
using Evident.Platform;
using Evident.Store;

namespace Evident.Control;

/// <summary>Many operations put to one owner of a data directory: the running appliance, else this process, which then opens the store once and closes it at the end.</summary>
internal sealed class ApplianceSession(string dataDirectory, string? config) : IDisposable
{
    private ApplianceLog? log;
    private EvidentStore? store;

    public async Task<Reply> AskAsync(Operation operation, CancellationToken cancel)
    {
        if (store is null && await Asking.TryAskServerAsync(dataDirectory, operation, cancel) is { } reply)
        {
            return Accepted(reply);
        }

        if (store is null)
        {
            if (!Directory.Exists(dataDirectory))
            {
                throw new RefusedException($"There is no data directory '{dataDirectory}'; name it with --data or EVIDENT_DATA.");
            }

            ApplianceOptions options = ConfigurationFile.Load(dataDirectory, config);
            log = new ApplianceLog(Microsoft.Extensions.Logging.LogLevel.Warning, Console.Error);
            store = OpenedStore.Open(options, dataDirectory, log, null);
        }

        return Accepted(await new Operations(store).RunAsync(operation, new Actor(LocalUser.Own.ToString(CultureInfo.InvariantCulture), "uid"), cancel));
    }

    public void Dispose()
    {
        store?.Close();
        store?.Dispose();
        log?.Dispose();
    }

    private static Reply Accepted(Reply reply) => reply.ExitCode == ExitCode.Done ? reply : throw new RefusedException(reply.Error ?? "The appliance refused.", reply.ExitCode);
}
