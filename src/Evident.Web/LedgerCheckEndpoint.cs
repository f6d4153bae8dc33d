using System.Buffers;
using System.Text.Json;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evident.Web;

/// <summary>The verifier at a press of a button: POST starts or joins the one check that runs, GET tells how far it is and what the last one found.</summary>
internal sealed class LedgerCheckEndpoint(StoreDoor door)
{
    private const string Meaning =
        "The appliance checked itself, and whoever holds this machine holds this answer too. It shows damage and honest mistakes; to somebody who does not trust the appliance it proves nothing. "
        + "Proof is 'evident verify' with a program and a head of your own, from another machine.";

    public void Map(IEndpointRouteBuilder routes) => routes.Map("/api/v1/ledger/verify", context =>
        HttpMethods.IsPost(context.Request.Method) ? WriteAsync(context, door.Store.LedgerCheck.Start(), StatusCodes.Status202Accepted)
        : HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method) ? WriteAsync(context, door.Store.LedgerCheck.State, StatusCodes.Status200OK)
        : Api.MethodNotAllowedAsync(context, "GET, HEAD, POST"));

    private static Task WriteAsync(HttpContext context, LedgerCheckState state, int status)
    {
        var body = new ArrayBufferWriter<byte>(4096 + (state.Report?.Length ?? 0) * 2);
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteString("state"u8, state.State);
            json.WriteNumber("entries"u8, state.Entries);
            json.WriteNumber("of"u8, state.Of);
            json.WriteString("started"u8, state.Started);
            json.WriteString("finished"u8, state.Finished);
            json.WriteString("meaning"u8, Meaning);
            json.WriteString("failure"u8, state.Failure);
            json.WritePropertyName("report"u8);
            if (state.Report is { } report)
            {
                json.WriteRawValue(report, skipInputValidation: true);
            }
            else
            {
                json.WriteNullValue();
            }

            json.WriteString("text"u8, state.Text);
            json.WriteEndObject();
        }

        context.Response.StatusCode = status;
        return LedgerEndpoints.SendAsync(context, body.WrittenMemory);
    }
}
