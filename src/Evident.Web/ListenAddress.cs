using System.Globalization;
using System.Net;

namespace Evident.Web;

/// <summary>
/// One address to listen on, from a URL such as <c>http://127.0.0.1:4318</c> (HTTP/1.1) or <c>grpc://127.0.0.1:4317</c> (HTTP/2 with
/// prior knowledge: cleartext cannot choose between the two). The host is an address literal or <c>localhost</c> (both loopback
/// addresses); port 0 lets the system choose.
/// </summary>
public sealed record ListenAddress(string Host, int Port, IReadOnlyList<IPAddress> Addresses, bool IsGrpc = false)
{
    public const string Default = "http://127.0.0.1:4318", DefaultGrpc = "grpc://127.0.0.1:4317";

    private const string GrpcScheme = "grpc";

    /// <summary>Only this machine can reach it.</summary>
    public bool IsLoopback => Addresses.All(IPAddress.IsLoopback);

    public string Url => string.Create(CultureInfo.InvariantCulture, $"{(IsGrpc ? GrpcScheme : Uri.UriSchemeHttp)}://{Host}:{Port}");

    /// <summary>Null and a sentence that says what is allowed, when the text is no such URL.</summary>
    public static ListenAddress? Parse(string text, out string? problem)
    {
        problem = null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) || uri.UserInfo.Length > 0 || uri.PathAndQuery is not ("/" or "") || uri.Fragment.Length > 0)
        {
            problem = $"'{text}' is not a listen address; give http://ADDRESS:PORT or grpc://ADDRESS:PORT, for example {Default}.";
            return null;
        }

        bool grpc = uri.Scheme == GrpcScheme;
        if ((!grpc && uri.Scheme != Uri.UriSchemeHttp) || uri.Port < 0)
        {
            problem = uri.Port < 0 ? $"'{text}' names no port; give for example {DefaultGrpc}."
                : $"'{text}' asks for {uri.Scheme}; this version listens with http and grpc on loopback addresses. "
                + "Let a reverse proxy on this machine end TLS in front of it.";
            return null;
        }

        if (uri.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            // With port 0 the two loopback addresses would get different ports.
            IPAddress[] both = uri.Port == 0 ? [IPAddress.Loopback] : [IPAddress.Loopback, IPAddress.IPv6Loopback];
            return new ListenAddress("localhost", uri.Port, both, grpc);
        }

        if (!IPAddress.TryParse(uri.Host.Trim('[', ']'), out IPAddress? address))
        {
            problem = $"'{text}' names a host; a listen address is an address of this machine or localhost, for example {Default}.";
            return null;
        }

        return new ListenAddress(uri.Host, uri.Port, [address], grpc);
    }
}
