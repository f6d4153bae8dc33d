using System.IO.Pipelines;
using Evident.Ingest;
using Evident.Store;
using Microsoft.AspNetCore.Http;

namespace Evident.Web;

/// <summary>Why a request with traces is not taken, as HTTP status and as gRPC status number.</summary>
internal sealed record OtlpRefusal(int Status, int Grpc, string Message)
{
    public const int InvalidArgument = 3, ResourceExhausted = 8, Unimplemented = 12, Internal = 13, Unavailable = 14;

    public static OtlpRefusal Undecodable(string message) => new(StatusCodes.Status400BadRequest, InvalidArgument, message);

    public static OtlpRefusal Unsupported(string message) => new(StatusCodes.Status415UnsupportedMediaType, Unimplemented, message);

    public static OtlpRefusal TooLarge(string message) => new(StatusCodes.Status413PayloadTooLarge, ResourceExhausted, message);

    /// <summary>To be sent again after <see cref="RetrySeconds"/>: the one kind that exporters repeat in all languages.</summary>
    public static OtlpRefusal NotNow(string message) => new(StatusCodes.Status503ServiceUnavailable, Unavailable, message);

    public int RetrySeconds { get; init; } = 1;

    /// <summary>A person has to come first.</summary>
    public const int SealedRetrySeconds = 30;

    public bool IsForNow => Grpc == Unavailable;

    /// <summary>The body was not read to its end.</summary>
    public bool LeavesBody { get; init; }
}

/// <summary>How one request is answered, in the way of its protocol.</summary>
internal interface IOtlpReply
{
    Task AcceptAsync(IngestReceipt receipt);

    Task RefuseAsync(OtlpRefusal refusal);
}

/// <summary>The bytes of one request to a batch; <see cref="OtlpDecodeException"/> when they are not what they should be.</summary>
internal delegate void BatchDecoder(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into);

/// <summary>
/// What all doors do alike with a request: read it within the limits, decode it, store it, and answer when every span which the
/// answer does not name as rejected is on stable storage, its ledger entries included. No answer repeats what the sender wrote.
/// </summary>
internal sealed class TraceIntake(StoreDoor door, IngestLimits limits, BodyBudget budget)
{
    /// <summary>Who sends, in ledger entries, until there are tokens: the door alone.</summary>
    public static readonly IngestSource Otlp = new("otlp:loopback"), Events = new("events:loopback");

    public int MaxBodyBytes => limits.MaxBodyBytes;

    /// <param name="sent">Bytes that the body must have as sent; negative when nothing says it.</param>
    public async Task TakeAsync(HttpContext context, PipeReader from, BodyCoding coding, long sent, BatchDecoder decode, IngestSource source, IOtlpReply reply)
    {
        if (door.Current is not { } store)
        {
            await reply.RefuseAsync(OtlpRefusal.NotNow("The vault is sealed: nothing is taken until somebody opens it on the appliance with `evident vault unseal`.") with
            {
                RetrySeconds = OtlpRefusal.SealedRetrySeconds,
            });
            return;
        }

        if (store.Ready != ReadyState.Ready)
        {
            await reply.RefuseAsync(OtlpRefusal.NotNow("The appliance does not take traces at the moment."));
            return;
        }

        using var body = new RequestBody(budget, limits.MaxBodyBytes);
        using SpanBatch batch = SpanBatch.Rent();
        OtlpRefusal? refusal = await ReadAsync(context, from, body, coding) ?? (sent >= 0 && body.Sent != sent
            ? OtlpRefusal.Undecodable("The message is not as long as the frame before it says.")
            : Decode(body, decode, batch));
        if (refusal is not null)
        {
            await reply.RefuseAsync(refusal);
            return;
        }

        IngestReceipt receipt;
        try
        {
            receipt = await store.IngestAsync(batch, source, context.RequestAborted);
        }
        catch (QueueFullException)
        {
            await reply.RefuseAsync(OtlpRefusal.NotNow("The write queue is full."));
            return;
        }
        catch (StoreStoppedException)
        {
            await reply.RefuseAsync(OtlpRefusal.NotNow("The appliance is stopping or does not take traces at the moment."));
            return;
        }

        await reply.AcceptAsync(receipt);
    }

    private async Task<OtlpRefusal?> ReadAsync(HttpContext context, PipeReader from, RequestBody body, BodyCoding coding)
    {
        BodyOutcome outcome;
        try
        {
            outcome = context.Request.ContentLength > limits.MaxBodyBytes ? BodyOutcome.TooLarge : await body.ReadAsync(from, coding, context.RequestAborted);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            outcome = BodyOutcome.TooLarge;
        }

        return outcome switch
        {
            BodyOutcome.Complete => null,
            BodyOutcome.TooLarge => TooLarge(),
            BodyOutcome.Undecodable => OtlpRefusal.Undecodable("The body is not what its encoding says."),
            _ => OtlpRefusal.NotNow("Too many bodies are in flight (configuration value http.maxBodyBytesInFlight).") with { LeavesBody = true },
        };
    }

    public OtlpRefusal TooLarge() => OtlpRefusal.TooLarge(
        $"The body has more than {limits.MaxBodyBytes} bytes when inflated (configuration value ingest.maxBodyBytes). Send smaller batches.") with { LeavesBody = true };

    private OtlpRefusal? Decode(RequestBody body, BatchDecoder decode, SpanBatch batch)
    {
        try
        {
            decode(body.Bytes, limits, batch);
            return null;
        }
        catch (OtlpDecodeException e)
        {
            return OtlpRefusal.Undecodable(e.Message);
        }
    }
}
