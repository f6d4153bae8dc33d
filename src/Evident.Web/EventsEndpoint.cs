using Evident.Ingest;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>One event that was refused: its number in the request, from 0.</summary>
internal sealed record RefusedEventView(int Index, string Error);

/// <summary>What became of a request of events.</summary>
/// <param name="Accepted">Events that are on stable storage now.</param>
/// <param name="Duplicates">Events that were there before.</param>
/// <param name="Refused">Events that are not and must not be sent again as they are.</param>
/// <param name="Errors">Why, for the first 100 of them.</param>
internal sealed record EventsView(int Accepted, int Duplicates, int Refused, IReadOnlyList<RefusedEventView> Errors);

/// <summary>
/// Plain JSON events for agents without an OTLP exporter: one object, an array, or JSON lines, gzip or deflate allowed. A <c>200</c> tells for
/// each event whether it is on stable storage; when none of them could be taken it is <c>400</c> with the same body.
/// </summary>
internal sealed class EventsEndpoint(TraceIntake intake, WebCounters counters, ILogger log)
{
    public void Map(IEndpointRouteBuilder routes) => routes.Map("/v1/events", Api.Method("POST", EventsAsync));

    private async Task EventsAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        bool json = RequestGate.MediaType(request.ContentType)?.ToLowerInvariant() is "application/json" or "application/x-ndjson" or "application/ndjson" or "application/jsonl" or "application/x-jsonlines";
        BodyCoding? coding = OtlpEndpoints.Coding(request.Headers.ContentEncoding);
        if (!json || coding is null)
        {
            counters.Refuse(StatusCodes.Status415UnsupportedMediaType);
            await ErrorReply.WriteAsync(
                context, StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "Events are taken as application/json or application/x-ndjson, with gzip, deflate or no content encoding.");
            return;
        }

        var refused = new List<RefusedEvent>();
        await intake.TakeAsync(
            context, request.BodyReader, coding.Value, sent: -1, (body, limits, into) => EventDecoder.Decode(body, limits, into, refused), TraceIntake.Events, new Reply(counters, log, context, refused));
    }

    private sealed class Reply(WebCounters counters, ILogger log, HttpContext context, List<RefusedEvent> refused) : IOtlpReply
    {
        public Task AcceptAsync(IngestReceipt receipt)
        {
            counters.AcceptRequest();
            context.Response.StatusCode = receipt.Accepted + receipt.Duplicates == 0 && receipt.Rejected > 0 ? StatusCodes.Status400BadRequest : StatusCodes.Status200OK;
            var view = new EventsView(receipt.Accepted, receipt.Duplicates, receipt.Rejected, refused.ConvertAll(static r => new RefusedEventView(r.Index, r.Reason)));
            return Api.WriteAsync(context, view, WebJson.Default.EventsView);
        }

        public Task RefuseAsync(OtlpRefusal refusal) => ErrorReply.RefuseAsync(context, refusal, counters, log);
    }
}
