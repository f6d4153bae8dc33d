namespace Evident.Web;

/// <summary>
/// What one listener accepts. Every value is a configuration value of the section <c>http</c> under the same name in camel case;
/// docs/configuration.md gives the reason for each.
/// </summary>
public sealed class HttpLimits
{
    /// <summary>Open connections; one agent process holds one or two, a browser up to six.</summary>
    public int MaxConnections { get; set; } = 512;

    /// <summary>Seconds that an idle connection stays open; exporters send every 5 s to 60 s.</summary>
    public int KeepAliveSeconds { get; set; } = 130;

    /// <summary>Seconds within which all request headers must have arrived.</summary>
    public int HeadersTimeoutSeconds { get; set; } = 15;

    /// <summary>Bytes of a request line: a query of the runs list fits many times.</summary>
    public int MaxRequestLineBytes { get; set; } = 8 * 1024;

    /// <summary>Bytes of all request headers together.</summary>
    public int MaxHeaderBytes { get; set; } = 32 * 1024;

    /// <summary>Number of request headers.</summary>
    public int MaxHeaders { get; set; } = 64;

    /// <summary>A body that arrives slower than this, after <see cref="BodyGraceSeconds"/>, is cut off.</summary>
    public int MinBodyBytesPerSecond { get; set; } = 1024;

    /// <summary>Seconds that a body may take before <see cref="MinBodyBytesPerSecond"/> counts.</summary>
    public int BodyGraceSeconds { get; set; } = 5;

    /// <summary>Bytes that ingest bodies, inflated, and their decoded copies hold at one time in all requests together; beyond it: 503 and Retry-After.</summary>
    public long MaxBodyBytesInFlight { get; set; } = 128L << 20;

    /// <summary>Host names, beside literal addresses and <c>localhost</c>, under which the appliance may be asked (else 421).</summary>
    public IReadOnlyList<string> AllowedHosts { get; set; } = [];

    /// <summary>Origins of pages whose agents may send from a browser, such as <c>https://agents.example.org</c>; they may send and read nothing.</summary>
    public IReadOnlyList<string> AllowedOrigins { get; set; } = [];
}
