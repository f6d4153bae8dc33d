using Evident.Ingest;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>
/// OTLP/HTTP for traces and logs: protobuf and JSON, plain, gzip or deflate. Replies in the request's encoding. Statuses follow the OTLP
/// specification; an overload is <c>503</c> with <c>Retry-After: 1</c>, the one answer that the exporters of all languages repeat
/// (Python's drops 429, JavaScript's drops 500).
/// </summary>
internal sealed partial class OtlpEndpoints(TraceIntake intake, WebCounters counters, ILogger log)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.Map("/v1/traces", context => ExportAsync(context, logs: false));
        routes.Map("/v1/logs", context => ExportAsync(context, logs: true));
    }

    private async Task ExportAsync(HttpContext context, bool logs)
    {
        HttpRequest request = context.Request;
        if (!HttpMethods.IsPost(request.Method))
        {
            counters.Refuse(StatusCodes.Status405MethodNotAllowed);
            context.Response.Headers.Allow = "POST";
            await ErrorReply.WriteAsync(context, StatusCodes.Status405MethodNotAllowed, "method_not_allowed", "Traces and logs are sent with POST.");
            return;
        }

        bool json;
        switch (RequestGate.MediaType(request.ContentType)?.ToLowerInvariant())
        {
            case "application/x-protobuf":
                json = false;
                break;
            case "application/json":
                json = true;
                break;
            default:
                counters.Refuse(StatusCodes.Status415UnsupportedMediaType);
                await ErrorReply.WriteAsync(
                    context,
                    StatusCodes.Status415UnsupportedMediaType,
                    "unsupported_media_type",
                    "Traces and logs are taken as application/x-protobuf or application/json.");
                return;
        }

        var reply = new Reply(counters, log, context, json, logs);
        if (Coding(request.Headers.ContentEncoding) is not { } coding)
        {
            context.Response.Headers.AcceptEncoding = "gzip, deflate, identity";
            await reply.RefuseAsync(OtlpRefusal.Unsupported("The content encodings taken are gzip, deflate and identity.") with { Grpc = OtlpRefusal.InvalidArgument });
            return;
        }

        BatchDecoder decode = (json, logs) switch
        {
            (true, false) => OtlpJsonDecoder.Decode,
            (false, false) => OtlpTraceDecoder.Decode,
            (true, true) => OtlpLogDecoder.DecodeJson,
            (false, true) => OtlpLogDecoder.Decode,
        };
        await intake.TakeAsync(context, request.BodyReader, coding, sent: -1, decode, TraceIntake.Otlp, reply);
    }

    /// <summary>By the name in <c>Content-Encoding</c> or <c>grpc-encoding</c>; null for one that is not taken.</summary>
    public static BodyCoding? Coding(string? header) => header?.Trim().ToLowerInvariant() switch
    {
        null or "" or "identity" => BodyCoding.Identity,
        "gzip" or "x-gzip" => BodyCoding.Gzip,
        "deflate" => BodyCoding.Zlib,
        _ => null,
    };

    private sealed class Reply(WebCounters counters, ILogger log, HttpContext context, bool json, bool logs) : IOtlpReply
    {
        public Task AcceptAsync(IngestReceipt receipt)
        {
            counters.AcceptRequest();
            return WriteAsync(StatusCodes.Status200OK, OtlpResponse.To(receipt.Rejected, receipt.RejectedReason, json, logs));
        }

        public Task RefuseAsync(OtlpRefusal refusal)
        {
            if (refusal.LeavesBody)
            {
                context.Response.Headers.Connection = "close"; // it cannot be used again
            }

            if (refusal.IsForNow)
            {
                context.Response.Headers.RetryAfter = $"{refusal.RetrySeconds}";
            }

            counters.Refuse(refusal.Status);
            LogRefused(log, refusal.Status, refusal.Message);
            return WriteAsync(refusal.Status, OtlpResponse.Status(json, refusal.Grpc, refusal.Message));
        }

        private Task WriteAsync(int status, byte[] body)
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = json ? "application/json" : "application/x-protobuf";
            context.Response.ContentLength = body.Length;
            return context.Response.Body.WriteAsync(body, 0, body.Length, context.RequestAborted);
        }
    }

    [LoggerMessage(EventId = 101, Level = LogLevel.Debug, Message = "traces refused with {Status}: {Reason}")]
    internal static partial void LogRefused(ILogger log, int status, string reason);
}
