using System.Text.Json;
using Evident.Ingest;
using Evident.Platform;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evident.Web;

/// <summary>Langfuse's ingestion and the calls that its SDKs make beside it (ingest-protocols 7.3, 7.4). Prompts, datasets and media are not kept here, and are answered so.</summary>
internal sealed class LangfuseEndpoints(DoorEndpoint door, StoreDoor store, IClock clock, string version)
{
    private const string Base = "/api/public";

    private static readonly IngestSource Source = new("langfuse:loopback");

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods(Base + "/ingestion", [HttpMethods.Post], BatchAsync);
        foreach (var (path, type) in (ReadOnlySpan<(string, string)>)[("traces", "trace"), ("spans", "span"), ("generations", "generation"), ("events", "event"), ("scores", "score")])
        {
            routes.MapMethods($"{Base}/{path}", [HttpMethods.Post], context => OneAsync(context, type + "-create"));
        }

        routes.MapMethods(Base + "/spans", [HttpMethods.Patch], context => OneAsync(context, "span-update"));
        routes.MapMethods(Base + "/generations", [HttpMethods.Patch], context => OneAsync(context, "generation-update"));
        routes.MapMethods(Base + "/health", [HttpMethods.Get], HealthAsync);
        routes.MapMethods(Base + "/ready", [HttpMethods.Get], HealthAsync);
        routes.MapMethods(Base + "/projects", [HttpMethods.Get], ProjectsAsync);
        routes.Map(Base + "/{**rest}", context => ErrorReply.WriteAsync(context, StatusCodes.Status404NotFound, "not_found", "This appliance takes Langfuse's traces and scores; prompts, datasets, media and queries of Langfuse are not here."));
    }

    private Task BatchAsync(HttpContext context)
    {
        var told = new List<LangfuseOutcome>();
        return door.TakeAsync(
            context, (body, limits, into) => LangfuseDecoder.DecodeBatch(body, limits, into, told), Source, StatusCodes.Status207MultiStatus, (json, _) => Write(json, told), always: true);
    }

    private static void Write(Utf8JsonWriter json, List<LangfuseOutcome> told)
    {
        json.WriteStartArray("successes"u8);
        foreach (var one in told)
        {
            if (one.Error is null)
            {
                json.WriteStartObject();
                json.WriteString("id"u8, one.Id);
                json.WriteNumber("status"u8, StatusCodes.Status201Created);
                json.WriteEndObject();
            }
        }

        json.WriteEndArray();
        json.WriteStartArray("errors"u8);
        foreach (var one in told)
        {
            if (one.Error is { } error)
            {
                json.WriteStartObject();
                json.WriteString("id"u8, one.Id);
                json.WriteNumber("status"u8, StatusCodes.Status400BadRequest);
                json.WriteString("message"u8, error);
                json.WriteEndObject();
            }
        }

        json.WriteEndArray();
    }

    private Task OneAsync(HttpContext context, string type)
    {
        long now = clock.UnixMillis;
        return door.TakeAsync(context, (body, limits, into) => LangfuseDecoder.DecodeOne(body, limits, into, type, now), Source, StatusCodes.Status200OK, DoorEndpoint.Counts);
    }

    private Task HealthAsync(HttpContext context)
    {
        bool ready = store.Current is { Ready: ReadyState.Ready };
        return DoorEndpoint.WriteAsync(context, ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, json =>
        {
            json.WriteString("status"u8, ready ? "OK" : "unavailable");
            json.WriteString("version"u8, version);
        });
    }

    // The one workspace; SDKs ask for it to see whether their keys are taken.
    private static Task ProjectsAsync(HttpContext context) => DoorEndpoint.WriteAsync(context, StatusCodes.Status200OK, json =>
    {
        json.WriteStartArray("data"u8);
        json.WriteStartObject();
        json.WriteString("id"u8, IngestSource.DefaultWorkspace);
        json.WriteString("name"u8, IngestSource.DefaultWorkspace);
        json.WriteEndObject();
        json.WriteEndArray();
    });
}
