using System.Text;
using System.Text.Json;

namespace Evident.Ingest;

/// <summary>What became of one event of a batch: its envelope's id as it may be repeated (empty when it is no clean word), and why it was refused; null when it was taken.</summary>
public sealed record LangfuseOutcome(string Id, string? Error);

/// <summary>
/// Langfuse's batch ingestion (ingest-protocols 7.4): <c>{"batch":[{id,type,timestamp,body}…]}</c>. A trace becomes the span above its observations, each observation a span, created and updated by revisions of it,
/// each score an evaluation below what it is about. The order of events does not matter. Pure.
/// </summary>
public static class LangfuseDecoder
{
    /// <summary>As many outcomes are told one by one.</summary>
    public const int MaxTold = 20_000;

    private const int MaxIdBytes = 128;

    /// <param name="told">Gets what became of each event.</param>
    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void DecodeBatch(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, List<LangfuseOutcome> told)
    {
        SpanScribe.Begin(body, limits, into);
        DoorJson.Read(body, limits, (ref Utf8JsonReader r) =>
        {
            if (r.TokenType != JsonTokenType.StartObject)
            {
                r.Skip();
                return;
            }

            while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
            {
                if (DoorJson.Member(ref r) == "batch")
                {
                    DoorJson.Each(ref r, (ref Utf8JsonReader item) => Envelope(ref item, limits, into, told));
                }
                else
                {
                    r.Skip();
                }
            }
        });
    }

    /// <summary>The body of one event that was posted to an address of its own.</summary>
    /// <param name="type">As an envelope would say it.</param>
    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void DecodeOne(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, string type, long receivedUnixMillis)
    {
        SpanScribe.Begin(body, limits, into);
        DoorJson.Read(body, limits, (ref Utf8JsonReader r) => Body(ref r, limits, into, type, (ulong)receivedUnixMillis * 1_000_000));
    }

    private static void Envelope(ref Utf8JsonReader r, IngestLimits limits, SpanBatch into, List<LangfuseOutcome> told)
    {
        string type = Encoding.ASCII.GetString(DoorJson.Peek(r, "type"u8)), id = Word(DoorJson.Peek(r, "id"u8));
        ulong time = EventTime.Nanos(DoorJson.Peek(r, "timestamp"u8), 0);
        string? error = null;
        bool seen = false;
        if (r.TokenType != JsonTokenType.StartObject)
        {
            r.Skip();
        }
        else
        {
            while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
            {
                if (DoorJson.Member(ref r) == "body" && !seen)
                {
                    seen = true;
                    error = Body(ref r, limits, into, type, time);
                }
                else
                {
                    r.Skip();
                }
            }
        }

        if (!seen)
        {
            into.Reject(into.Mark(), error = "an event has no body.");
        }

        if (told.Count < MaxTold)
        {
            told.Add(new LangfuseOutcome(id, error));
        }
    }

    // Null, or why it is not in the batch.
    private static string? Body(ref Utf8JsonReader r, IngestLimits limits, SpanBatch into, string type, ulong time)
    {
        int dash = type.LastIndexOf('-');
        string what = dash > 0 ? type[..dash] : type;
        if (type == "sdk-log")
        {
            r.Skip(); // what a client says about itself
            return null;
        }

        if (r.TokenType != JsonTokenType.StartObject || what is not ("trace" or "span" or "generation" or "event" or "agent" or "tool" or "chain" or "retriever" or "evaluator" or "embedding" or "guardrail" or "observation" or "score"))
        {
            r.Skip();
            string reason = "events of this type are not kept here.";
            into.Reject(into.Mark(), reason);
            return reason;
        }

        var read = new LangfuseBody(new SpanScribe(limits, into), what, what == "observation" ? Encoding.ASCII.GetString(DoorJson.Peek(r, "type"u8)).ToLowerInvariant() : what);
        read.Read(ref r);
        return read.Close(time, isUpdate: type.EndsWith("-update", StringComparison.Ordinal));
    }

    // Repeated to the client, which finds its event by it: only what cannot carry anything else.
    private static string Word(ReadOnlySpan<byte> id)
    {
        foreach (byte c in id)
        {
            if (!char.IsAsciiLetterOrDigit((char)c) && c is not ((byte)'-' or (byte)'_' or (byte)'.' or (byte)':'))
            {
                return "";
            }
        }

        return id.Length <= MaxIdBytes ? Encoding.ASCII.GetString(id) : "";
    }
}
