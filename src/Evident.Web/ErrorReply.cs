using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Evident.Web;

/// <summary>
/// <c>{"error":{"code","message"}}</c>: a stable code for programs and a sentence for people that says what was attempted and what
/// to do. Values of the request never stand in it.
/// </summary>
internal static class ErrorReply
{
    /// <summary>The code of a request with data that is not taken.</summary>
    public static string CodeOf(int status) => status switch
    {
        StatusCodes.Status413PayloadTooLarge => "too_large",
        StatusCodes.Status503ServiceUnavailable => "not_now",
        _ => "undecodable",
    };

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
