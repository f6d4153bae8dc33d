using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Evident.Ingest;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Evident.Web;

/// <summary>
/// OTLP/gRPC for traces and logs: the unary calls <c>TraceService/Export</c> and <c>LogsService/Export</c> over HTTP/2 (gRPC over HTTP/2, PROTOCOL-HTTP2.md), messages plain, gzip or
/// deflate. One frame is one byte (1: compressed), a big-endian u32 length, and the message. Success ends with the trailer <c>grpc-status: 0</c>;
/// a refusal is headers alone. An overload is UNAVAILABLE with RetryInfo. Other services and methods are UNIMPLEMENTED.
/// </summary>
internal sealed class GrpcEndpoints(TraceIntake intake, WebCounters counters, ILogger log)
{
    private const string Traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export", Logs = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    private const string MediaType = "application/grpc";
    private const int FrameBytes = 5;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.Map(Traces, context => ExportAsync(context, OtlpTraceDecoder.Decode));
        routes.Map(Logs, context => ExportAsync(context, OtlpLogDecoder.Decode));
        routes.Map(Metrics, context => ExportAsync(context, OtlpMetricsDecoder.Decode));
    }

    public static bool IsGrpc(HttpRequest request) =>
        RequestGate.MediaType(request.ContentType) is { } type
        && (type.Equals(MediaType, StringComparison.OrdinalIgnoreCase) || type.Equals(MediaType + "+proto", StringComparison.OrdinalIgnoreCase));

    public static Task RefuseUnknownAsync(HttpContext context) =>
        RefuseAsync(context, OtlpRefusal.Unimplemented, "This appliance has no such gRPC service or method; it takes TraceService/Export, LogsService/Export and MetricsService/Export of opentelemetry.proto.collector.");

    private async Task ExportAsync(HttpContext context, BatchDecoder decode)
    {
        HttpRequest request = context.Request;
        if (!IsGrpc(request) || !HttpMethods.IsPost(request.Method) || !HttpProtocol.IsHttp2(request.Protocol))
        {
            counters.Refuse(StatusCodes.Status415UnsupportedMediaType);
            await ErrorReply.WriteAsync(
                context, StatusCodes.Status415UnsupportedMediaType, "not_grpc", "Here gRPC is spoken: POST of application/grpc over HTTP/2, on an address that listens with grpc://.");
            return;
        }

        var reply = new Reply(counters, log, context);
        if (OtlpEndpoints.Coding(request.Headers["grpc-encoding"]) is not { } coding)
        {
            context.Response.Headers["grpc-accept-encoding"] = "identity,deflate,gzip";
            await reply.RefuseAsync(OtlpRefusal.Unsupported("The encodings taken are gzip, deflate and identity."));
            return;
        }

        ReadResult start;
        try
        {
            start = await request.BodyReader.ReadAtLeastAsync(FrameBytes, context.RequestAborted);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            await reply.RefuseAsync(intake.TooLarge());
            return;
        }

        if (start.Buffer.Length < FrameBytes)
        {
            await reply.RefuseAsync(OtlpRefusal.Undecodable("There is no whole message frame in the request."));
            return;
        }

        var (flag, length) = Frame(start.Buffer);
        request.BodyReader.AdvanceTo(start.Buffer.GetPosition(FrameBytes));
        if (flag > 1 || (flag == 1 && coding == BodyCoding.Identity))
        {
            await reply.RefuseAsync(new OtlpRefusal(StatusCodes.Status400BadRequest, OtlpRefusal.Internal, "The frame says compressed, and grpc-encoding does not say how."));
            return;
        }

        if (length > intake.MaxBodyBytes)
        {
            await reply.RefuseAsync(intake.TooLarge());
            return;
        }

        await intake.TakeAsync(context, request.BodyReader, flag == 1 ? coding : BodyCoding.Identity, length, decode, TraceIntake.Otlp, reply);
    }

    private static (byte Flag, uint Length) Frame(in ReadOnlySequence<byte> bytes)
    {
        Span<byte> frame = stackalloc byte[FrameBytes];
        bytes.Slice(0, FrameBytes).CopyTo(frame);
        return (frame[0], BinaryPrimitives.ReadUInt32BigEndian(frame[1..]));
    }

    private static Task RefuseAsync(HttpContext context, int code, string message)
    {
        IHeaderDictionary headers = context.Response.Headers;
        context.Response.ContentType = MediaType;
        headers["grpc-status"] = $"{code}";
        headers["grpc-message"] = Uri.EscapeDataString(message);
        return context.Response.CompleteAsync();
    }

    private sealed class Reply(WebCounters counters, ILogger log, HttpContext context) : IOtlpReply
    {
        public Task AcceptAsync(IngestReceipt receipt)
        {
            counters.AcceptRequest();
            byte[] message = OtlpResponse.To(receipt.Rejected, receipt.RejectedReason, json: false);
            byte[] frame = new byte[FrameBytes + message.Length];
            BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)message.Length);
            message.CopyTo(frame, FrameBytes);
            context.Response.ContentType = MediaType;
            context.Response.AppendTrailer("grpc-status", "0");
            return context.Response.Body.WriteAsync(frame, 0, frame.Length, context.RequestAborted);
        }

        public Task RefuseAsync(OtlpRefusal refusal)
        {
            counters.Refuse(refusal.Status);
            OtlpEndpoints.LogRefused(log, refusal.Status, refusal.Message);
            if (refusal.IsForNow)
            {
                context.Response.Headers["grpc-status-details-bin"] = Convert.ToBase64String(OtlpResponse.Status(refusal.Grpc, refusal.Message, refusal.RetrySeconds));
                context.Response.Headers["google.rpc.retryinfo-bin"] = Convert.ToBase64String(OtlpResponse.RetryInfo(refusal.RetrySeconds));
            }

            return GrpcEndpoints.RefuseAsync(context, refusal.Grpc, refusal.Message);
        }
    }
}
