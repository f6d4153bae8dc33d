using System.Net;
using Evident.Ingest;
using Evident.Platform;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>What the HTTP surface is made of.</summary>
public sealed class WebSetup
{
    public required IReadOnlyList<ListenAddress> Listen { get; init; }

    public HttpLimits Http { get; init; } = new();

    public IngestLimits Ingest { get; init; } = new();

    /// <summary>Receives the listener's own messages. Not disposed here.</summary>
    public required ILoggerProvider Log { get; init; }

    public required string Version { get; init; }
}

/// <summary>
/// The HTTP surface on Kestrel, in cleartext on the given addresses: HTTP/1.1, and HTTP/2 for gRPC on addresses of its own. Built without configuration files, environment
/// variables or command line: nothing but <see cref="WebSetup"/> decides where it listens. Has no outgoing client.
/// </summary>
public sealed partial class EvidentWeb : IAsyncDisposable
{
    private const int RequestBufferBytes = 256 * 1024;

    private static readonly Redactor Redactor = new();

    private readonly EmbeddedAssets assets = new();
    private readonly WebApplication app;
    private readonly WebSetup setup;

    private EvidentWeb(WebApplication app, WebSetup setup)
    {
        this.app = app;
        this.setup = setup;
    }

    /// <summary>Where it listens, real ports instead of 0. Valid once started.</summary>
    public IReadOnlyList<string> Urls => [.. app.Urls];

    /// <summary>The patterns of all mapped routes. Valid once started.</summary>
    internal IReadOnlyList<string> Routes => [.. ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>().Select(e => e.RoutePattern.RawText ?? "")];

    /// <summary>The first HTTP address in the form in which it was asked for.</summary>
    public string Url
    {
        get
        {
            ListenAddress first = setup.Listen.First(a => !a.IsGrpc);
            int port = first.Port != 0 ? first.Port : new Uri(app.Urls.First()).Port;
            return (first with { Port = port }).Url;
        }
    }

    /// <summary>Builds the server: no port is opened, no file is read.</summary>
    public static EvidentWeb Build(WebSetup setup)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            ApplicationName = "evident",
            EnvironmentName = "Production",
            ContentRootPath = AppContext.BaseDirectory,
            Args = ["--hostBuilder:reloadConfigOnChange=false"], // no file watcher
        });
        builder.Configuration.Sources.Clear(); // appsettings.json and ASPNETCORE_… must not be able to move the listener
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(setup.Log);
        builder.Logging.SetMinimumLevel(LogLevel.Information);
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None); // what fails at start is thrown to the caller, who says it once
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromSeconds(20));
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, setup));
        return new EvidentWeb(builder.Build(), setup);
    }

    /// <summary>Listens, and answers from the store behind <paramref name="door"/>, which stays its owner's; while there is none, says that the vault is sealed.</summary>
    /// <exception cref="IOException">An address cannot be listened on.</exception>
    public Task StartAsync(StoreDoor door, CancellationToken cancel = default)
    {
        var counters = new WebCounters();
        var budget = new BodyBudget(setup.Http.MaxBodyBytesInFlight);
        var gate = new RequestGate(setup.Http.AllowedHosts, setup.Http.AllowedOrigins);
        ILogger log = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Evident.Web");
        long started = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

        app.Use(next => context => GuardAsync(context, next, door, gate, counters, log));
        var intake = new TraceIntake(door, setup.Ingest, budget);
        new OtlpEndpoints(intake, counters, log).Map(app);
        new GrpcEndpoints(intake, counters, log).Map(app);
        new EventsEndpoint(intake, counters, log).Map(app);
        var vendors = new DoorEndpoint(intake, counters, log);
        new LangSmithEndpoints(vendors, SystemClock.Instance, setup.Version).Map(app);
        new LangfuseEndpoints(vendors, door, SystemClock.Instance, setup.Version).Map(app);
        new AgentEndpoints(vendors, SystemClock.Instance).Map(app);
        new QueryEndpoints(door).Map(app);
        new LedgerEndpoints(door).Map(app);
        new LedgerCheckEndpoint(door).Map(app);
        new StatusEndpoints(door, counters, budget, setup.Version, started).Map(app);
        app.MapFallback("{*path}", ServePageAsync);
        return app.StartAsync(cancel);
    }

    /// <summary>Stops accepting, lets running requests finish within the host's shutdown time, then closes what is left.</summary>
    public Task StopAsync(CancellationToken cancel = default) => app.StopAsync(cancel);

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task ServePageAsync(HttpContext context)
    {
        if (GrpcEndpoints.IsGrpc(context.Request))
        {
            await GrpcEndpoints.RefuseUnknownAsync(context);
            return;
        }

        if (!assets.Has(context.Request.Path))
        {
            await ErrorReply.WriteAsync(
                context, StatusCodes.Status404NotFound, "not_found", "There is nothing at this address. The page is at /, the API below /api/v1/.");
            return;
        }

        await Api.Read(assets.ServeAsync)(context);
    }

    // Every limit on purpose; docs/configuration.md gives the reasons, section http.
    private static void Configure(KestrelServerOptions kestrel, WebSetup setup)
    {
        HttpLimits http = setup.Http;
        kestrel.AddServerHeader = false;
        kestrel.AllowSynchronousIO = false;
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxConcurrentConnections = http.MaxConnections;
        limits.MaxConcurrentUpgradedConnections = 0;
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(http.KeepAliveSeconds);
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(http.HeadersTimeoutSeconds);
        limits.MaxRequestLineSize = http.MaxRequestLineBytes;
        limits.MaxRequestHeadersTotalSize = http.MaxHeaderBytes;
        limits.MaxRequestHeaderCount = http.MaxHeaders;
        limits.MaxRequestBodySize = setup.Ingest.MaxBodyBytes; // as sent; the inflated size is bounded where it is inflated
        limits.MaxRequestBufferSize = Math.Max(RequestBufferBytes, http.MaxRequestLineBytes); // what a connection may hold before anybody reads
        limits.MinRequestBodyDataRate = new MinDataRate(http.MinBodyBytesPerSecond, TimeSpan.FromSeconds(http.BodyGraceSeconds));
        foreach (ListenAddress listen in setup.Listen.Where(a => !a.IsGrpc).Concat(setup.Listen.Where(a => a.IsGrpc))) // the page's address is the first
        {
            foreach (IPAddress address in listen.Addresses)
            {
                if (address.Equals(IPAddress.IPv6Loopback) && listen.Addresses.Count > 1 && !System.Net.Sockets.Socket.OSSupportsIPv6)
                {
                    continue; // localhost on a machine without IPv6
                }

                kestrel.Listen(new IPEndPoint(address, listen.Port), o => o.Protocols = listen.IsGrpc ? HttpProtocols.Http2 : HttpProtocols.Http1);
            }
        }
    }

    private static async Task GuardAsync(HttpContext context, RequestDelegate next, StoreDoor door, RequestGate gate, WebCounters counters, ILogger log)
    {
        SecurityHeaders.Apply(context.Response.Headers);
        if (gate.Check(context.Request) is { } refusal)
        {
            counters.Refuse(refusal.Status);
            await ErrorReply.WriteAsync(context, refusal.Status, refusal.Code, refusal.Message);
            return;
        }

        if (gate.IsAllowedSender(context.Request))
        {
            CrossOrigin.Apply(context);
            if (HttpMethods.IsOptions(context.Request.Method))
            {
                context.Response.StatusCode = StatusCodes.Status204NoContent;
                return;
            }
        }

        using StoreUse use = door.Enter();
        try
        {
            await next(context);
        }
        catch (StoreSealedException e) when (!context.Response.HasStarted)
        {
            context.Response.Headers.RetryAfter = $"{OtlpRefusal.SealedRetrySeconds}";
            await ErrorReply.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "sealed", e.Message);
        }
        catch (Exception e) when (e is BadQueryException or QueryFormatException && !context.Response.HasStarted)
        {
            await ErrorReply.WriteAsync(context, StatusCodes.Status400BadRequest, "bad_query", Redactor.Redact(e.Message));
        }
        catch (StoreException e) when (!context.Response.HasStarted)
        {
            LogQueryFailed(log, e.Message);
            await ErrorReply.WriteAsync(context, StatusCodes.Status400BadRequest, "bad_query", Redactor.Redact(e.Message));
        }
        catch (StoreStoppedException) when (!context.Response.HasStarted)
        {
            context.Response.Headers.RetryAfter = "1";
            await ErrorReply.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "stopping", "The appliance is stopping.");
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client went away; nobody is left to answer.
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            counters.Refuse(e.StatusCode);
            await ErrorReply.WriteAsync(context, e.StatusCode, "bad_request", "The request does not keep to HTTP or to the limits of this listener.");
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            LogFailed(log, e, context.Request.Method);
            await ErrorReply.WriteAsync(
                context, StatusCodes.Status500InternalServerError, "internal", "The request failed inside the appliance; its log says why.");
        }
    }

    [LoggerMessage(EventId = 102, Level = LogLevel.Error, Message = "{Method} request failed")]
    private static partial void LogFailed(ILogger log, Exception e, string method);

    [LoggerMessage(EventId = 103, Level = LogLevel.Warning, Message = "query refused: {Reason}")]
    private static partial void LogQueryFailed(ILogger log, string reason);

    /// <summary>Starting and stopping belong to whoever called; signals are not caught here.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
