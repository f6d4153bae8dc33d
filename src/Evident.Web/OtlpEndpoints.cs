using Evident.Ingest;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>
/// OTLP/HTTP for traces, logs and, counted but not kept, metrics: protobuf and JSON, plain, gzip or deflate. Replies in the request's encoding. Statuses follow the OTLP
/// specification; an overload is <c>503</c> with <c>Retry-After: 1</c>, the one answer that the exporters of all languages repeat
/// (Python's drops 429, JavaScript's drops 500).
/// </summary>
internal sealed partial class OtlpEndpoints(TraceIntake intake, WebCounters counters, ILogger log)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        // Behind it, where LangSmith's, Langfuse's and Opik's SDKs send the same (ingest-protocols 1): their bases with and without a path.
        foreach (string path in (string[])["/v1/traces", "/otel/v1/traces", "/api/otel/v1/traces", "/api/v1/otel/v1/traces", "/api/public/otel/v1/traces", "/api/v1/private/otel/v1/traces"])
        {
            routes.Map(path, context => ExportAsync(context, OtlpSignal.Traces));
        }

        routes.Map("/v1/logs", context => ExportAsync(context, OtlpSignal.Logs));
        foreach (string path in (string[])["/v1/metrics", "/api/public/otel/v1/metrics"])
        {
            routes.Map(path, context => ExportAsync(context, OtlpSignal.Metrics));
        }

        routes.MapMethods("/", [HttpMethods.Post], context => ExportAsync(context, null)); // exporters that use their base as it is
    }

    /// <param name="signal">Null: the body says it.</param>
    private async Task ExportAsync(HttpContext context, OtlpSignal? signal)
    {
        HttpRequest request = context.Request;
        if (!HttpMethods.IsPost(request.Method))
        {
            counters.Refuse(StatusCodes.Status405MethodNotAllowed);
            context.Response.Headers.Allow = "POST";
            await ErrorReply.WriteAsync(context, StatusCodes.Status405MethodNotAllowed, "method_not_allowed", "Traces, logs and metrics are sent with POST.");
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
                    "Traces, logs and metrics are taken as application/x-protobuf or application/json.");
                return;
        }

        var reply = new Reply(counters, log, context, json) { Signal = signal ?? OtlpSignal.Traces };
        if (Coding(request.Headers.ContentEncoding) is not { } coding)
        {
            context.Response.Headers.AcceptEncoding = "gzip, deflate, identity";
            await reply.RefuseAsync(OtlpRefusal.Unsupported("The content encodings taken are gzip, deflate and identity.") with { Grpc = OtlpRefusal.InvalidArgument });
            return;
        }

        await intake.TakeAsync(context, request.BodyReader, coding, sent: -1, Decode, TraceIntake.Otlp, reply);

        void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into)
        {
            reply.Signal = signal ?? (json ? OtlpSignals.OfJson(body) : OtlpSignals.OfProtobuf(body, limits));
            Decoder(json, reply.Signal)(body, limits, into);
        }
    }

    private static BatchDecoder Decoder(bool json, OtlpSignal signal) => (json, signal) switch
    {
        (true, OtlpSignal.Traces) => OtlpJsonDecoder.Decode,
        (false, OtlpSignal.Traces) => OtlpTraceDecoder.Decode,
        (true, OtlpSignal.Logs) => OtlpLogDecoder.DecodeJson,
        (false, OtlpSignal.Logs) => OtlpLogDecoder.Decode,
        (true, _) => OtlpMetricsDecoder.DecodeJson,
        (false, _) => OtlpMetricsDecoder.Decode,
    };

    /// <summary>By the name in <c>Content-Encoding</c> or <c>grpc-encoding</c>; null for one that is not taken.</summary>
    public static BodyCoding? Coding(string? header) => header?.Trim().ToLowerInvariant() switch
    {
        null or "" or "identity" => BodyCoding.Identity,
        "gzip" or "x-gzip" => BodyCoding.Gzip,
        "deflate" => BodyCoding.Zlib,
        _ => null,
    };

    private sealed class Reply(WebCounters counters, ILogger log, HttpContext context, bool json) : IOtlpReply
    {
        public required OtlpSignal Signal { get; set; }

        public Task AcceptAsync(IngestReceipt receipt)
        {
            counters.AcceptRequest();
            return WriteAsync(StatusCodes.Status200OK, OtlpResponse.To(receipt.Rejected, receipt.RejectedReason, json, Signal));
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
