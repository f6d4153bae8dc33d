using Evident.Ingest;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>
/// OTLP/HTTP for traces: protobuf and JSON, plain, gzip or deflate. Replies in the request's encoding; a <c>200</c> means that every
/// span which the reply does not name as rejected is on stable storage, its ledger entries included. No reply repeats what the
/// sender wrote. Statuses follow the OTLP specification; an overload is <c>503</c> with <c>Retry-After: 1</c>, the one answer that
/// the exporters of all languages repeat (Python's drops 429, JavaScript's drops 500).
/// </summary>
internal sealed partial class OtlpEndpoints(EvidentStore store, IngestLimits limits, BodyBudget budget, WebCounters counters, ILogger log)
{
    private const int InvalidArgument = 3, ResourceExhausted = 8, Unavailable = 14; // gRPC status numbers

    private static readonly IngestSource Source = new("otlp:loopback");

    public void Map(IEndpointRouteBuilder routes) => routes.Map("/v1/traces", TracesAsync);

    private async Task TracesAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        if (!HttpMethods.IsPost(request.Method))
        {
            counters.Refuse(StatusCodes.Status405MethodNotAllowed);
            context.Response.Headers.Allow = "POST";
            await ErrorReply.WriteAsync(context, StatusCodes.Status405MethodNotAllowed, "method_not_allowed", "Traces are sent with POST.");
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
                    "Traces are taken as application/x-protobuf or application/json.");
                return;
        }

        if (Coding(request.Headers.ContentEncoding) is not { } coding)
        {
            context.Response.Headers.AcceptEncoding = "gzip, deflate, identity";
            await RefuseAsync(
                context, json, StatusCodes.Status415UnsupportedMediaType, InvalidArgument, "The content encodings taken are gzip, deflate and identity.");
            return;
        }

        if (store.Ready != ReadyState.Ready)
        {
            await RefuseForNowAsync(context, json, "The appliance does not take traces at the moment.");
            return;
        }

        using var body = new RequestBody(budget, limits.MaxBodyBytes);
        using SpanBatch batch = SpanBatch.Rent();
        if (!await ReadAsync(context, json, body, coding))
        {
            return;
        }

        try
        {
            if (json)
            {
                OtlpJsonDecoder.Decode(body.Bytes, limits, batch);
            }
            else
            {
                OtlpTraceDecoder.Decode(body.Bytes, limits, batch);
            }
        }
        catch (OtlpDecodeException e)
        {
            await RefuseAsync(context, json, StatusCodes.Status400BadRequest, InvalidArgument, e.Message);
            return;
        }

        await StoreAsync(context, json, batch);
    }

    /// <summary>False when the reply has been written.</summary>
    private async Task<bool> ReadAsync(HttpContext context, bool json, RequestBody body, BodyCoding coding)
    {
        BodyOutcome outcome;
        try
        {
            outcome = context.Request.ContentLength > limits.MaxBodyBytes
                ? BodyOutcome.TooLarge
                : await body.ReadAsync(context.Request.BodyReader, coding, context.RequestAborted);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            outcome = BodyOutcome.TooLarge;
        }

        switch (outcome)
        {
            case BodyOutcome.Complete:
                return true;
            case BodyOutcome.TooLarge:
                // The rest of the body is not read, so the connection cannot be used again.
                context.Response.Headers.Connection = "close";
                await RefuseAsync(
                    context,
                    json,
                    StatusCodes.Status413PayloadTooLarge,
                    ResourceExhausted,
                    $"The body has more than {limits.MaxBodyBytes} bytes when inflated (configuration value ingest.maxBodyBytes). Send smaller batches.");
                return false;
            case BodyOutcome.Undecodable:
                await RefuseAsync(
                    context, json, StatusCodes.Status400BadRequest, InvalidArgument, "The body is not what its Content-Encoding says.");
                return false;
            default:
                context.Response.Headers.Connection = "close";
                await RefuseForNowAsync(
                    context, json, "Too many bodies are in flight (configuration value http.maxBodyBytesInFlight).");
                return false;
        }
    }

    private async Task StoreAsync(HttpContext context, bool json, SpanBatch batch)
    {
        IngestReceipt receipt;
        try
        {
            receipt = await store.IngestAsync(batch, Source, context.RequestAborted);
        }
        catch (QueueFullException)
        {
            await RefuseForNowAsync(context, json, "The write queue is full.");
            return;
        }
        catch (StoreStoppedException)
        {
            await RefuseForNowAsync(context, json, "The appliance is stopping or does not take traces at the moment.");
            return;
        }

        counters.AcceptRequest();
        byte[] reply = receipt.Rejected > 0 || receipt.RejectedReason is not null
            ? OtlpResponse.PartialSuccess(json, receipt.Rejected, receipt.RejectedReason ?? "")
            : OtlpResponse.Success(json);
        await ReplyAsync(context, json, StatusCodes.Status200OK, reply);
    }

    private async Task RefuseForNowAsync(HttpContext context, bool json, string message)
    {
        context.Response.Headers.RetryAfter = "1";
        await RefuseAsync(context, json, StatusCodes.Status503ServiceUnavailable, Unavailable, message);
    }

    private async Task RefuseAsync(HttpContext context, bool json, int status, int grpcCode, string message)
    {
        counters.Refuse(status);
        LogRefused(log, status, message);
        await ReplyAsync(context, json, status, OtlpResponse.Status(json, grpcCode, message));
    }

    private static async Task ReplyAsync(HttpContext context, bool json, int status, byte[] body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = json ? "application/json" : "application/x-protobuf";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private static BodyCoding? Coding(string? header) => header?.Trim().ToLowerInvariant() switch
    {
        null or "" or "identity" => BodyCoding.Identity,
        "gzip" or "x-gzip" => BodyCoding.Gzip,
        "deflate" => BodyCoding.Zlib,
        _ => null,
    };

    [LoggerMessage(EventId = 101, Level = LogLevel.Debug, Message = "traces refused with {Status}: {Reason}")]
    private static partial void LogRefused(ILogger log, int status, string reason);
}
