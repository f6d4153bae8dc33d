using System.Text.Json;
using Evident.Store;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>
/// What the doors for vendors' own SDKs do alike (ingest-protocols 6-8): JSON in, gzip or deflate allowed, the one choke point, and an answer in the vendor's own form. Whatever key such an SDK sends is taken in
/// its place while the appliance has no accounts; it is neither looked at nor kept. An overload is 503 with <c>Retry-After</c>, which all of them repeat.
/// </summary>
internal sealed class DoorEndpoint(TraceIntake intake, WebCounters counters, ILogger log)
{
    /// <summary>Writes the answer to a request that was stored; the status is set before it is called.</summary>
    public delegate void Answer(Utf8JsonWriter json, IngestReceipt receipt);

    /// <summary>Decodes, stores and answers.</summary>
    /// <param name="status">When anything was taken, or nothing was sent.</param>
    /// <param name="type">The media type that the body must have.</param>
    /// <param name="always">The status stands even when every item was refused: the answer says which.</param>
    public async Task TakeAsync(HttpContext context, BatchDecoder decode, IngestSource source, int status, Answer answer, string type = "application/json", bool always = false)
    {
        HttpRequest request = context.Request;
        if (RequestGate.MediaType(request.ContentType)?.ToLowerInvariant() != type || OtlpEndpoints.Coding(request.Headers.ContentEncoding) is not { } coding)
        {
            counters.Refuse(StatusCodes.Status415UnsupportedMediaType);
            await ErrorReply.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", $"This address takes {type}, with gzip, deflate or no content encoding.");
            return;
        }

        await intake.TakeAsync(context, request.BodyReader, coding, sent: -1, decode, source, new Reply(counters, log, context, status, answer, always));
    }

    /// <summary>A small JSON answer that nothing was stored for.</summary>
    public static async Task WriteAsync(HttpContext context, int status, Action<Utf8JsonWriter> write)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        await context.Response.Body.WriteAsync(buffer.GetBuffer().AsMemory(0, (int)buffer.Length), context.RequestAborted);
    }

    private sealed class Reply(WebCounters counters, ILogger log, HttpContext context, int status, Answer answer, bool always) : IOtlpReply
    {
        public Task AcceptAsync(IngestReceipt receipt)
        {
            counters.AcceptRequest();
            bool none = !always && receipt.Accepted + receipt.Duplicates == 0 && receipt.Rejected > 0;
            return WriteAsync(context, none ? StatusCodes.Status400BadRequest : status, json => answer(json, receipt));
        }

        public Task RefuseAsync(OtlpRefusal refusal) => ErrorReply.RefuseAsync(context, refusal, counters, log);
    }

    /// <summary>What became of the items, in words of our own: for clients that do not look.</summary>
    public static void Counts(Utf8JsonWriter json, IngestReceipt receipt)
    {
        json.WriteNumber("accepted"u8, receipt.Accepted);
        json.WriteNumber("duplicates"u8, receipt.Duplicates);
        json.WriteNumber("refused"u8, receipt.Rejected);
        if (receipt.RejectedReason is { } reason)
        {
            json.WriteString("reason"u8, reason);
        }
    }
}
