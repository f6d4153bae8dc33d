using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Evident.Web;

/// <summary>A refusal of the gate: the status, a stable code and a sentence that repeats nothing of the request.</summary>
internal sealed record Refusal(int Status, string Code, string Message);

/// <summary>
/// Loopback is not trust: a page of another site, opened in a browser on this machine, reaches every loopback port. Three rules keep
/// it out before any endpoint runs (design section 5): the Host is an address literal, <c>localhost</c> or a configured name, which
/// defeats DNS rebinding; a foreign Origin or a cross-site fetch is refused; a POST needs a content type that no HTML form can send.
/// Pure: a function of the request's headers and the allowed names.
/// </summary>
internal sealed class RequestGate(IReadOnlyCollection<string> allowedHosts, IReadOnlyCollection<string>? allowedOrigins = null)
{
    // Where data come in; nothing can be read there.
    private static readonly string[] Doors = ["/v1/", "/otel/", "/api/otel/", "/api/public/", "/runs", "/api/runs", "/feedback", "/api/feedback"];

    private readonly HashSet<string> origins = new(allowedOrigins ?? [], StringComparer.OrdinalIgnoreCase);

    private readonly HashSet<string> names = new(allowedHosts, StringComparer.OrdinalIgnoreCase) { "localhost" };

    /// <summary>Null when the request may go on.</summary>
    public Refusal? Check(HttpRequest request)
    {
        if (!IsOwnHost(request.Host))
        {
            return new Refusal(
                StatusCodes.Status421MisdirectedRequest,
                "unknown_host",
                "The Host header names neither an address, nor localhost, nor a name listed in the configuration value http.allowedHosts.");
        }

        if (!IsOwnOrigin(request) && !IsAllowedSender(request))
        {
            return new Refusal(
                StatusCodes.Status403Forbidden,
                "foreign_origin",
                "The request comes from a page of another origin. Open the appliance's own page; a page that sends agents' data needs its origin in the configuration value http.allowedOrigins.");
        }

        if (HttpMethods.IsPost(request.Method) && !HasDeliberateContentType(request.ContentType) && !IsKeyedForm(request))
        {
            return new Refusal(
                StatusCodes.Status415UnsupportedMediaType,
                "unsupported_media_type",
                "A POST needs a content type that a form cannot send, such as application/json or application/x-protobuf.");
        }

        return null;
    }

    /// <summary>A page of an origin from the configuration sends data, or asks whether it may (CORS).</summary>
    public bool IsAllowedSender(HttpRequest request) =>
        origins.Count > 0 && request.Headers.Origin is [{ } origin] && origins.Contains(origin)
        && (HttpMethods.IsPost(request.Method) || HttpMethods.IsPatch(request.Method) || HttpMethods.IsOptions(request.Method))
        && request.Path.Value is { } path && (path == "/" || Array.Exists(Doors, d => path.StartsWith(d, StringComparison.Ordinal)));

    /// <summary>The media type without its parameters, or null when there is none that parses.</summary>
    public static string? MediaType(string? contentType) =>
        MediaTypeHeaderValue.TryParse(contentType, out var parsed) ? parsed.MediaType.Value : null;

    private bool IsOwnHost(HostString host)
    {
        if (!host.HasValue)
        {
            return false;
        }

        string name = host.Host;
        return names.Contains(name) || IsAddressLiteral(name);
    }

    // IPAddress.TryParse takes "1" and "0x7f.1" too; browsers never send those, and an attacker may not either.
    private static bool IsAddressLiteral(string name)
    {
        if (name.StartsWith('[') && name.EndsWith(']'))
        {
            return IPAddress.TryParse(name.AsSpan(1, name.Length - 2), out var v6) && v6.GetAddressBytes().Length == 16;
        }

        return IPAddress.TryParse(name, out var v4) && string.Equals(v4.ToString(), name, StringComparison.Ordinal);
    }

    private static bool IsOwnOrigin(HttpRequest request)
    {
        string? origin = request.Headers.Origin;
        if (!string.IsNullOrEmpty(origin)
            && !string.Equals(origin, $"{request.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase))
        {
            return false; // "null" (sandboxed frames, file:) is foreign too
        }

        string? site = request.Headers["Sec-Fetch-Site"];
        return site is null or "" or "same-origin" or "none" || IsNavigationToPage(request);
    }

    // A link to the page, clicked in a ticket of another site, loads static files only: what the page then asks for is same-origin.
    private static bool IsNavigationToPage(HttpRequest request) =>
        HttpMethods.IsGet(request.Method)
        && request.Path == "/"
        && string.Equals(request.Headers["Sec-Fetch-Mode"], "navigate", StringComparison.Ordinal)
        && string.Equals(request.Headers["Sec-Fetch-Dest"], "document", StringComparison.Ordinal);

    // LangSmith's clients send forms, and a key in a header that no page can set without asking first.
    private static bool IsKeyedForm(HttpRequest request) =>
        request.Path.Value is { } path && path.EndsWith("/runs/multipart", StringComparison.Ordinal)
        && string.Equals(MediaType(request.ContentType), "multipart/form-data", StringComparison.OrdinalIgnoreCase)
        && (request.Headers.ContainsKey("x-api-key") || request.Headers.ContainsKey("Authorization"));

    private static bool HasDeliberateContentType(string? contentType) =>
        MediaType(contentType) is { } type
        && !type.Equals("text/plain", StringComparison.OrdinalIgnoreCase)
        && !type.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase)
        && !type.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase);
}

/// <summary>What a browser wants to hear before and after it sends for a page of another origin (ingest-protocols 2.10). No credentials, and nothing of an answer but when to send again.</summary>
internal static class CrossOrigin
{
    public static void Apply(HttpContext context)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.AccessControlAllowOrigin = context.Request.Headers.Origin;
        headers.AccessControlAllowMethods = "POST, PATCH, OPTIONS";
        headers.AccessControlAllowHeaders =
            "content-type, content-encoding, authorization, x-api-key, x-tenant-id, traceparent, tracestate, baggage, x-langfuse-sdk-name, x-langfuse-sdk-version, x-langfuse-public-key, x-langfuse-ingestion-version, openai-beta";
        headers.AccessControlMaxAge = "86400";
        headers.AccessControlExposeHeaders = "Retry-After";
        headers.Vary = "Origin";
    }
}

/// <summary>The headers that every reply carries, refusals included.</summary>
internal static class SecurityHeaders
{
    public const string ContentSecurityPolicy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

    public static void Apply(IHeaderDictionary headers)
    {
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.CacheControl = "no-store"; // the page's assets say otherwise for themselves
    }
}
