using Evident.Ingest;
using Evident.Platform;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;

namespace Evident.Web;

/// <summary>LangSmith's ingestion (ingest-protocols 7.1), under each base that users of a self-hosted one set: <c>/</c>, <c>/api</c> and <c>/api/v1</c>.</summary>
internal sealed class LangSmithEndpoints(DoorEndpoint door, IClock clock, string version)
{
    private const int BatchRuns = 100, BatchBytes = 20_971_520;

    private static readonly IngestSource Source = new("langsmith:loopback");

    public void Map(IEndpointRouteBuilder routes)
    {
        foreach (string at in (string[])["", "/api", "/api/v1"])
        {
            routes.MapMethods(at + "/info", [HttpMethods.Get], InfoAsync);
            routes.MapMethods(at + "/runs", [HttpMethods.Post], context => RunAsync(context, null));
            routes.MapMethods(at + "/runs/{id}", [HttpMethods.Patch], context => RunAsync(context, (string)context.Request.RouteValues["id"]!));
            routes.MapMethods(at + "/runs/batch", [HttpMethods.Post], context => door.TakeAsync(context, LangSmithDecoder.DecodeBatch, Source, StatusCodes.Status202Accepted, DoorEndpoint.Counts));
            routes.MapMethods(at + "/runs/multipart", [HttpMethods.Post], MultipartAsync);
            routes.MapMethods(at + "/feedback", [HttpMethods.Post], FeedbackAsync);
        }
    }

    // zstd is not here, and is not offered.
    private Task InfoAsync(HttpContext context) => DoorEndpoint.WriteAsync(context, StatusCodes.Status200OK, json =>
    {
        json.WriteString("version"u8, version);
        json.WriteStartObject("instance_flags"u8);
        json.WriteBoolean("gzip_body_enabled"u8, true);
        json.WriteBoolean("zstd_compression_enabled"u8, false);
        json.WriteEndObject();
        json.WriteStartObject("batch_ingest_config"u8);
        json.WriteBoolean("use_multipart_endpoint"u8, true);
        json.WriteNumber("size_limit"u8, BatchRuns);
        json.WriteNumber("size_limit_bytes"u8, BatchBytes);
        json.WriteNumber("scale_up_qsize_trigger"u8, 1000);
        json.WriteNumber("scale_up_nthreads_limit"u8, 16);
        json.WriteNumber("scale_down_nempty_trigger"u8, 4);
        json.WriteEndObject();
    });

    private Task RunAsync(HttpContext context, string? id) => door.TakeAsync(
        context, (body, limits, into) => LangSmithDecoder.DecodeRun(body, limits, into, id), Source, StatusCodes.Status202Accepted, DoorEndpoint.Counts);

    private Task FeedbackAsync(HttpContext context)
    {
        long now = clock.UnixMillis;
        return door.TakeAsync(context, (body, limits, into) => LangSmithDecoder.DecodeFeedback(body, limits, into, now), Source, StatusCodes.Status200OK, DoorEndpoint.Counts);
    }

    private Task MultipartAsync(HttpContext context)
    {
        long now = clock.UnixMillis;
        string boundary = MediaTypeHeaderValue.TryParse(context.Request.ContentType, out var type) ? HeaderUtilities.RemoveQuotes(type.Boundary).ToString() : "";
        return boundary.Length is > 0 and <= 70
            ? door.TakeAsync(
                context, (body, limits, into) => LangSmithDecoder.DecodeMultipart(body, limits, into, boundary, now), Source, StatusCodes.Status202Accepted, DoorEndpoint.Counts, "multipart/form-data")
            : ErrorReply.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "This address takes multipart/form-data with a boundary of 1 to 70 characters.");
    }
}
