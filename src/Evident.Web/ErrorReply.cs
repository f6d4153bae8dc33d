using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>
/// <c>{"error":{"code","message"}}</c>: a stable code for programs and a sentence for people that says what was attempted and what
/// to do. Values of the request never stand in it.
/// </summary>
internal static class ErrorReply
{
    /// <summary>Refuses a request with data at a door that speaks plain JSON.</summary>
    public static Task RefuseAsync(HttpContext context, OtlpRefusal refusal, WebCounters counters, ILogger log)
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
        OtlpEndpoints.LogRefused(log, refusal.Status, refusal.Message);
        string code = refusal.Status switch
        {
            StatusCodes.Status413PayloadTooLarge => "too_large",
            StatusCodes.Status503ServiceUnavailable => "not_now",
            _ => "undecodable",
        };
        return WriteAsync(context, refusal.Status, code, refusal.Message);
    }

    public static Task WriteAsync(HttpContext context, int status, string code, string message)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("error"u8);
            json.WriteString("code"u8, code);
            json.WriteString("message"u8, message);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = buffer.WrittenCount;
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.CompletedTask
            : context.Response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted).AsTask();
    }
}
