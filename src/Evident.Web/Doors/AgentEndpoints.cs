using Evident.Ingest;
using Evident.Platform;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evident.Web;

/// <summary>
/// The trace export of the OpenAI Agents SDK (ingest-protocols 6) and what AgentOps asks for before it exports OTLP (8): a token for its key. The token is random, opens nothing and is not kept: while there are no
/// accounts every sender on loopback is taken. AgentOps' uploads of objects and logs are not kept and say so.
/// </summary>
internal sealed class AgentEndpoints(DoorEndpoint door, IClock clock)
{
    private static readonly IngestSource OpenAi = new("openai-agents:loopback");

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1/traces/ingest", [HttpMethods.Post], context =>
        {
            long now = clock.UnixMillis;
            return door.TakeAsync(context, (body, limits, into) => OpenAiTraceDecoder.Decode(body, limits, into, now), OpenAi, StatusCodes.Status200OK, DoorEndpoint.Counts);
        });
        routes.MapMethods("/v3/auth/token", [HttpMethods.Post], TokenAsync);
    }

    private static Task TokenAsync(HttpContext context) => DoorEndpoint.WriteAsync(context, StatusCodes.Status200OK, json =>
    {
        Span<byte> token = stackalloc byte[16];
        Sodium.RandomBytes(token);
        json.WriteString("token"u8, Convert.ToHexStringLower(token));
        json.WriteString("project_id"u8, IngestSource.DefaultWorkspace);
    });
}
