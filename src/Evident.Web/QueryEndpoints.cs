using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Evident.Ingest;
using Evident.Platform;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evident.Web;

/// <summary>A query that cannot be answered as asked: 400 with a sentence that names the parameter and what it takes.</summary>
internal sealed class BadQueryException(string message) : Exception(message);

/// <summary>Runs and traces (HTTP contract, design section 5). Read-only; the JSON is what <see cref="StoreJson"/> writes.</summary>
internal sealed class QueryEndpoints(StoreDoor door)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.Map("/api/v1/runs", Api.Read(RunsAsync));
        routes.Map("/api/v1/spans", Api.Read(SpansAsync));
        routes.Map("/api/v1/runs/{run_id}", Api.Read(RunAsync));
        routes.Map("/api/v1/traces/{trace_id}", Api.Read(TraceAsync));
        routes.Map("/api/v1/vault/{reference}/open", Api.Method("POST", OpenAsync));
    }

    private Task RunsAsync(HttpContext context) =>
        Api.WriteAsync(context, door.Store.FindRuns(Query(context, strict: false), context.RequestAborted), StoreJson.Default.RunPage);

    private Task SpansAsync(HttpContext context) =>
        Api.WriteAsync(context, door.Store.FindSpans(Query(context, strict: true), context.RequestAborted), StoreJson.Default.SpanPage);

    /// <param name="strict">A name that is no filter is refused; runs have always passed over it.</param>
    private static SpanQuery Query(HttpContext context, bool strict)
    {
        var query = new SpanQuery();
        foreach (var (name, values) in context.Request.Query)
        {
            foreach (string? value in values)
            {
                if (!string.IsNullOrEmpty(value))
                {
                    query = query.With(name, value) ?? (strict ? throw new QueryFormatException($"'{name}' is no filter; docs/http.md lists them.") : query);
                }
            }
        }

        return query;
    }

    private Task RunAsync(HttpContext context)
    {
        // Kestrel leaves an encoded slash as it is, and a run id may hold one.
        string id = ((string)context.Request.RouteValues["run_id"]!).Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        return door.Store.GetRun(id, context.RequestAborted) is { } story
            ? Api.WriteAsync(context, story, StoreJson.Default.RunStory)
            : ErrorReply.WriteAsync(
                context, StatusCodes.Status404NotFound, "run_not_found", "There is no run with that id; it may not have arrived yet, or its days are over.");
    }

    private Task TraceAsync(HttpContext context)
    {
        string id = (string)context.Request.RouteValues["trace_id"]!;
        if (!TraceId.TryParse(id, out TraceId trace))
        {
            throw new BadQueryException("A trace id is 32 hexadecimal digits, not all zero.");
        }

        return door.Store.GetTrace(trace, context.RequestAborted) is { } view
            ? Api.WriteAsync(context, view, StoreJson.Default.TraceView)
            : ErrorReply.WriteAsync(
                context, StatusCodes.Status404NotFound, "trace_not_found", "There is no trace with that id; it may not have arrived yet, or its days are over.");
    }

    // Nobody is authenticated on the listener, and a payload is only ever opened by somebody who can be named in the ledger.
    private static Task OpenAsync(HttpContext context) => ErrorReply.WriteAsync(
        context,
        StatusCodes.Status403Forbidden,
        "accounts_required",
        "Payloads open over HTTP only once accounts exist. On the appliance, use: evident vault read REF --reason TEXT");
}

/// <summary>What every JSON endpoint shares: methods, query numbers, source-generated writing.</summary>
internal static class Api
{
    private const int MaxTextChars = 256;

    /// <summary>GET and HEAD; anything else is 405.</summary>
    public static RequestDelegate Read(RequestDelegate endpoint) => context =>
        HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method)
            ? endpoint(context)
            : MethodNotAllowedAsync(context, "GET, HEAD");

    public static RequestDelegate Method(string method, RequestDelegate endpoint) => context =>
        HttpMethods.Equals(context.Request.Method, method) ? endpoint(context) : MethodNotAllowedAsync(context, method);

    public static long Number(IQueryCollection query, string name, long absent, long least, long most)
    {
        string? text = query[name];
        if (string.IsNullOrEmpty(text))
        {
            return absent;
        }

        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number >= least && number <= most
            ? number
            : throw new BadQueryException(string.Create(CultureInfo.InvariantCulture, $"{name} is a whole number from {least} to {most}."));
    }

    /// <summary>A parameter under either of its names; null when it is absent or empty.</summary>
    public static string? Text(IQueryCollection query, string name, string? alias = null)
    {
        string? value = query[name];
        if (string.IsNullOrEmpty(value) && alias is not null)
        {
            value = query[alias];
        }

        if (value is { Length: > MaxTextChars })
        {
            throw new BadQueryException($"{name} has at most {MaxTextChars} characters.");
        }

        return string.IsNullOrEmpty(value) ? null : value;
    }

    /// <summary>An RFC 3339 time.</summary>
    public static DateTimeOffset? Time(IQueryCollection query, string name) =>
        Text(query, name) is not { } text ? null
        : Rfc3339.TryParse(text, out DateTimeOffset time) ? time
        : throw new BadQueryException($"{name} is a time such as 2026-05-06T06:00:08Z.");

    public static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(context.Response.Body, value, type, context.RequestAborted);
    }

    public static Task MethodNotAllowedAsync(HttpContext context, string allowed)
    {
        context.Response.Headers.Allow = allowed;
        return ErrorReply.WriteAsync(
            context, StatusCodes.Status405MethodNotAllowed, "method_not_allowed", $"This address answers {allowed}.");
    }
}
