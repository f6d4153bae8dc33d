using System.Text;
using System.Text.Json;

namespace Evident.Ingest;

/// <summary>
/// The bodies of LangSmith's ingestion (ingest-protocols 7.1): one run, a batch of runs and patches, the multipart form, feedback. Each run or patch becomes one revision of a span, each feedback an evaluation below
/// its run. What cannot be placed is refused by itself. Pure.
/// </summary>
public static class LangSmithDecoder
{
    private const int MaxParts = 60_000; // a run has six at most, and a batch no more runs than limits.MaxSpans in practice

    /// <summary>One run, or what a patch says of it.</summary>
    /// <param name="runId">Of the address, when the body need not say it.</param>
    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void DecodeRun(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, string? runId)
    {
        SpanScribe.Begin(body, limits, into);
        byte[] id = Encoding.UTF8.GetBytes(runId ?? "");
        DoorJson.Read(body, limits, (ref Utf8JsonReader r) => Run(ref r, limits, into, id));
    }

    /// <summary><c>{"post":[run…],"patch":[run…]}</c>.</summary>
    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void DecodeBatch(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into)
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
                if (DoorJson.Member(ref r) is "post" or "patch")
                {
                    DoorJson.Each(ref r, (ref Utf8JsonReader run) => Run(ref run, limits, into, default));
                }
                else
                {
                    r.Skip();
                }
            }
        });
    }

    /// <summary>Parts <c>post.&lt;id&gt;</c> and <c>patch.&lt;id&gt;</c> with the run, and behind them one for each of its large members, in any order.</summary>
    /// <param name="boundary">From the content type.</param>
    /// <exception cref="OtlpDecodeException">The body is no such form, or a part of it is not JSON.</exception>
    public static void DecodeMultipart(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, string boundary, long receivedUnixMillis)
    {
        SpanScribe.Begin(body, limits, into);
        var parts = Multipart.Parts(body, boundary, MaxParts);
        var first = new Dictionary<string, int>(StringComparer.Ordinal); // the run's first part, by post or patch and its id
        int[] next = new int[parts.Count], last = new int[parts.Count];
        for (int i = 0; i < parts.Count; i++)
        {
            next[i] = -1;
            string run = parts[i].Run;
            if (run.Length > 0 && !first.TryAdd(run, i))
            {
                int from = first[run];
                next[last[from]] = i;
                last[from] = i;
            }
            else
            {
                last[i] = i;
            }
        }

        for (int i = 0; i < parts.Count; i++)
        {
            var part = parts[i];
            if (part.Run.Length > 0 && first[part.Run] == i)
            {
                Together(body, limits, into, parts, next, i);
            }
            else if (part.IsFeedback)
            {
                ReadPart(body, limits, into, part, (ref Utf8JsonReader r) => Feedback(ref r, limits, into, part.Offset, receivedUnixMillis));
            }
        }
    }

    /// <summary>One feedback; without a time it is of when it was received.</summary>
    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void DecodeFeedback(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, long receivedUnixMillis)
    {
        SpanScribe.Begin(body, limits, into);
        DoorJson.Read(body, limits, (ref Utf8JsonReader r) => Feedback(ref r, limits, into, 0, receivedUnixMillis));
    }

    private static void Run(ref Utf8JsonReader r, IngestLimits limits, SpanBatch into, ReadOnlySpan<byte> id)
    {
        var run = LangSmithRun.Begin(limits, into, 0, r);
        if (r.TokenType == JsonTokenType.StartObject)
        {
            run.Read(ref r);
        }
        else
        {
            r.Skip();
        }

        if (!id.IsEmpty)
        {
            run.Is(id);
        }

        run.Close();
    }

    // All parts of one run make one span: the one without a member's name first, because its type decides what the others are called.
    private static void Together(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, List<FormPart> parts, int[] next, int from)
    {
        int main = from;
        while (main >= 0 && parts[main].Member.Length > 0)
        {
            main = next[main];
        }

        if (main < 0)
        {
            into.Reject(into.Mark(), "a member of a run came without the run itself.");
            return;
        }

        var part = parts[main];
        var r = Reader(body, part, limits);
        try
        {
            r.Read();
            var run = LangSmithRun.Begin(limits, into, part.Offset, r);
            if (r.TokenType == JsonTokenType.StartObject)
            {
                run.Read(ref r);
            }

            for (int i = from; i >= 0; i = next[i])
            {
                if (parts[i].Member is { Length: > 0 } member && parts[i].Length > 0)
                {
                    run.MoveTo(parts[i].Offset);
                    r = Reader(body, parts[i], limits);
                    r.Read();
                    run.Part(Encoding.ASCII.GetBytes(member), ref r);
                }
            }

            run.Close();
        }
        catch (JsonException)
        {
            OtlpDecodeException.Throw(part.Offset, "a part of well-formed JSON, nested no deeper than the configuration value ingest.maxDepth allows");
        }
    }

    private static Utf8JsonReader Reader(ReadOnlySpan<byte> body, FormPart part, IngestLimits limits) => new(body.Slice(part.Offset, part.Length), new JsonReaderOptions { MaxDepth = limits.MaxDepth });

    private static void ReadPart(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, FormPart part, DoorJson.Take take) => DoorJson.Read(body.Slice(part.Offset, part.Length), limits, take);

    private static void Feedback(ref Utf8JsonReader r, IngestLimits limits, SpanBatch into, int shift, long receivedUnixMillis)
    {
        var span = new SpanScribe(limits, into, shift);
        Slice id = default, run = default, trace = default;
        span.Add("span_type"u8, "evaluation"u8);
        if (r.TokenType != JsonTokenType.StartObject)
        {
            r.Skip();
            into.Reject(into.Mark(), SpanScribe.NoId);
            return;
        }

        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "id": id = span.Text(ref r); break;
                case "run_id": run = span.Text(ref r); break;
                case "trace_id": trace = span.Text(ref r); break;
                case "created_at": span.Start = span.End = span.Time(ref r); break;
                case "key":
                    span.Name = span.Text(ref r);
                    span.Add("gen_ai.evaluation.name"u8, span.Name);
                    break;
                case "score" when r.TokenType is JsonTokenType.True or JsonTokenType.False: span.Add("eval.passed"u8, ref r); break;
                case "score": span.Add("gen_ai.evaluation.score.value"u8, ref r); break;
                case "value" when r.TokenType == JsonTokenType.String: span.Add("gen_ai.evaluation.score.label"u8, ref r); break;
                case "comment": span.Add("gen_ai.evaluation.explanation"u8, ref r); break;
                case "session_id" or "modified_at": r.Skip(); break;
                default:
                    r = name;
                    span.AddMember("langsmith.feedback."u8, ref r);
                    break;
            }
        }

        span.Trace = Uuid.Trace(span.Bytes(trace.IsEmpty ? run : trace));
        span.Span = Uuid.Span(span.Bytes(id));
        span.Parent = Uuid.Span(span.Bytes(run));
        if (span.Start == 0)
        {
            span.Start = span.End = (ulong)receivedUnixMillis * 1_000_000;
        }

        span.Close();
    }
}
