using System.Globalization;
using System.Net.Sockets;
using Evident.Store;
using Microsoft.Extensions.Logging;

namespace Evident.Control;

/// <summary>
/// Answers on DATA/control.sock, one operation per connection. The socket is 0600 in a 0700 directory, and the peer's uid, which the
/// kernel vouches for, must be this process's or root's; it is the actor that the ledger names. Only the holder of the data
/// directory's lock may bind here, so a socket file that is already there is a leftover and is removed.
/// </summary>
internal sealed class ControlServer : IAsyncDisposable
{
    private const int MaxConnections = 16;

    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10), OperationTimeout = TimeSpan.FromSeconds(60);

    private readonly CancellationTokenSource stopping = new();
    private readonly SemaphoreSlim slots = new(MaxConnections);
    private readonly ApplianceOperations operations;
    private readonly ILogger log;
    private readonly string path;
    private readonly Socket listener;
    private readonly Task accepting;

    private ControlServer(string path, Socket listener, ApplianceOperations operations, ILogger log)
    {
        (this.path, this.listener, this.operations, this.log) = (path, listener, operations, log);
        accepting = AcceptAsync();
    }

    /// <summary>Null, with a warning in the log, when the path is too long for a unix socket.</summary>
    public static ControlServer? Start(string dataDirectory, ApplianceOperations operations, ILogger log)
    {
        string path = ControlSocket.PathIn(dataDirectory);
        if (!ControlSocket.Fits(path))
        {
            log.LogWarning("no control socket: its path is longer than a unix socket's address; commands work while the appliance is stopped");
            return null;
        }

        File.Delete(path);
        Socket listener = ControlSocket.NewSocket();
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            listener.Listen(MaxConnections);
            return new ControlServer(path, listener, operations, log);
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    private async Task AcceptAsync()
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await slots.WaitAsync(stopping.Token);
                Socket peer = await listener.AcceptAsync(stopping.Token);
                _ = AnswerAsync(peer);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                slots.Release();
                log.LogWarning(e, "control socket: a connection could not be accepted");
                await Task.Delay(200, CancellationToken.None); // out of descriptors, most likely
            }
        }
    }

    private async Task AnswerAsync(Socket peer)
    {
        try
        {
            using NetworkStream stream = new(peer, ownsSocket: true);
            using var time = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
            time.CancelAfter(RequestTimeout);
            uint uid = LocalUser.PeerOf(peer);
            byte[]? line = await ControlSocket.ReadLineAsync(stream, ControlSocket.MaxRequestBytes, time.Token);
            bool known = uid == LocalUser.Own || uid == 0;
            Operation? operation = known && line is not null ? Operation.Parse(line) : null;
            if (operation?.BodyBytes is > 0 and <= ControlSocket.MaxBodyBytes)
            {
                time.CancelAfter(OperationTimeout);
                byte[] body = new byte[operation.BodyBytes];
                await stream.ReadExactlyAsync(body, time.Token);
                operation = operation with { Body = body };
            }

            time.CancelAfter(OperationTimeout);
            Reply reply = !known
                ? Reply.Refused("Only the appliance's own user and root may use its control socket.")
                : operation is null || operation.BodyBytes > ControlSocket.MaxBodyBytes
                    ? Reply.Refused("The control socket takes one line of JSON with an operation.")
                    : await operations.RunAsync(operation, new Actor(uid.ToString(CultureInfo.InvariantCulture), "uid"), time.Token);

            Platform.Sodium.Zero(line); // it may hold a passphrase
            await stream.WriteAsync(reply.ToLine(), time.Token);
            if (reply.Payload.Length > 0)
            {
                await stream.WriteAsync(reply.Payload, time.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException)
        {
            log.LogDebug(e, "control socket: a connection ended early");
        }
        catch (Exception e)
        {
            log.LogError(e, "control socket: an operation failed");
        }
        finally
        {
            slots.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener.Dispose();
        await accepting;
        for (int held = 0; held < MaxConnections - 1; held++)
        {
            // Every answer still running gives its slot back; one slot is the accept loop's own.
            if (!await slots.WaitAsync(OperationTimeout))
            {
                break;
            }
        }

        File.Delete(path);
        stopping.Dispose();
    }
}
