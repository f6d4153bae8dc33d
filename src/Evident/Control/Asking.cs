using System.Globalization;
using System.Net.Sockets;
using Evident.Configuration;
using Evident.Ledger;
using Evident.Platform;
using Evident.Store;

namespace Evident.Control;

/// <summary>Puts an operation to the owner of a data directory: the running appliance when it answers, else this process for the moment.</summary>
internal static class Asking
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(90);

    public static async Task<Reply> AskAsync(string dataDirectory, string? config, Operation operation, CancellationToken cancel)
    {
        if (await TryAskServerAsync(dataDirectory, operation, cancel) is { } reply)
        {
            return reply;
        }

        if (!Directory.Exists(dataDirectory))
        {
            throw new RefusedException($"There is no data directory '{dataDirectory}'; name it with --data or EVIDENT_DATA.");
        }

        ApplianceOptions options = ConfigurationFile.Load(dataDirectory, config);
        using var log = new ApplianceLog(Microsoft.Extensions.Logging.LogLevel.Warning, Console.Error);
        using SecretBytes? passphrase = operation.Secret is { Length: > 0 } secret ? SecretBytes.CopyAndZero([.. secret]) : null;
        using EvidentStore store = OpenedStore.Open(options, dataDirectory, log, passphrase);
        reply = await new Operations(store).RunAsync(
            operation, new Actor(LocalUser.Own.ToString(CultureInfo.InvariantCulture), "uid"), cancel);
        store.Close();
        return reply;
    }

    /// <summary>Null when no appliance listens there.</summary>
    public static async Task<Reply?> TryAskServerAsync(string dataDirectory, Operation operation, CancellationToken cancel)
    {
        string path = ControlSocket.PathIn(dataDirectory);
        if (!ControlSocket.Fits(path) || !File.Exists(path))
        {
            return null;
        }

        using Socket socket = ControlSocket.NewSocket();
        using var time = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        time.CancelAfter(Timeout);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), time.Token);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
        {
            return null; // left behind by a process that was killed
        }
        catch (SocketException e)
        {
            throw new RefusedException($"The appliance's control socket '{path}' cannot be reached: {e.Message}");
        }

        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: false);
            byte[] request = operation.ToLine();
            await stream.WriteAsync(request, time.Token);
            Sodium.Zero(request); // it may hold a passphrase
            if (operation.Body.Length > 0)
            {
                await stream.WriteAsync(operation.Body, time.Token);
            }

            byte[] line = await ControlSocket.ReadLineAsync(stream, ControlSocket.MaxReplyLineBytes, time.Token)
                ?? throw new RefusedException($"The running appliance closed '{path}' without an answer; its log says why.");
            (Reply reply, int length) = Reply.Parse(line);
            byte[] payload = new byte[length];
            await stream.ReadExactlyAsync(payload, time.Token);
            return reply with { Payload = payload };
        }
        catch (Exception e) when (e is IOException or SocketException or FormatException)
        {
            throw new RefusedException($"The running appliance broke off its answer on '{path}': {e.Message}");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new RefusedException($"The running appliance did not answer on '{path}' within {Timeout.TotalSeconds} s.");
        }
    }
}
