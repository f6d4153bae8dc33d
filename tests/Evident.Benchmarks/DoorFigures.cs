using System.Diagnostics;
using System.Globalization;
using System.Text;
using Evident.Ingest;

namespace Evident.Benchmarks;

/// <summary>How fast the doors for vendors' SDKs decode, in MB of body per second of one core (bar: 50), beside a bare pass of the JSON reader over the same bytes in the same run.</summary>
internal static class DoorFigures
{
    private const int Items = 500, Rounds = 60;
    private static readonly IngestLimits Limits = new();

    public static void Print()
    {
        Measure.Title("doors, best of many rounds");
        string said = string.Concat(Enumerable.Range(0, 60).Select(i => string.Create(CultureInfo.InvariantCulture, $"the order {i} was refunded. ")));
        Line("LangSmith batch", Body("post", i => $$$$$$"""
            {"id":"0192f0a1-7c31-7b00-8000-{{{{{{i:x12}}}}}}","trace_id":"0192f0a1-7c31-7b00-8000-000000000001","parent_run_id":"0192f0a1-7c31-7b00-8000-000000000001","dotted_order":"20261121T060000000000Z0192f0a1-7c31-7b00-8000-000000000001.20261121T060001000000Z0192f0a1-7c31-7b00-8000-{{{{{{i:x12}}}}}}",
            "name":"ChatOpenAI","run_type":"llm","start_time":"2026-11-21T06:00:01.000000Z","end_time":1795240802500,"inputs":{"messages":[["{{{{{{said}}}}}}"]]},"extra":{"metadata":{"ls_provider":"openai","ls_model_name":"gpt-4o-mini","thread_id":"ticket-9421"}},
            "outputs":{"generations":[[{"text":"{{{{{{said}}}}}}","message":{"kwargs":{"usage_metadata":{"input_tokens":100,"output_tokens":20,"input_token_details":{"cache_read":30}}}}}]]}}
            """), (body, into) => LangSmithDecoder.DecodeBatch(body, Limits, into));
        Line("Langfuse batch", Body("batch", i => $$$$$$"""
            {"id":"e{{{{{{i}}}}}}","type":"generation-create","timestamp":"2026-11-21T06:00:01Z","body":{"id":"gen-{{{{{{i}}}}}}","traceId":"trace-1","name":"chat","startTime":"2026-11-21T06:00:01Z","endTime":"2026-11-21T06:00:02Z","model":"gpt-4o-mini","input":[{"role":"user","content":"{{{{{{said}}}}}}"}],
            "output":"{{{{{{said}}}}}}","usageDetails":{"input":100,"output":20},"costDetails":{"total":0.0031},"metadata":{"a":1}}}
            """), (body, into) => LangfuseDecoder.DecodeBatch(body, Limits, into, []));
        Line("OpenAI Agents", Body("data", i => $$$$$$"""
            {"object":"trace.span","id":"span_{{{{{{i:x24}}}}}}","trace_id":"trace_0192f0a17c317b0080000000000000aa","parent_id":"span_000000000000000000000001","started_at":"2026-11-21T06:00:01.000Z","ended_at":"2026-11-21T06:00:02.000Z",
            "span_data":{"type":"generation","model":"gpt-4o-mini","input":[{"content":"{{{{{{said}}}}}}"}],"output":[{"content":"{{{{{{said}}}}}}"}],"usage":{"input_tokens":100,"output_tokens":20}},"error":null}
            """), (body, into) => OpenAiTraceDecoder.Decode(body, Limits, into, 1_795_240_800_000));
    }

    private static byte[] Body(string list, Func<int, string> item) =>
        Encoding.UTF8.GetBytes($"{{\"{list}\":[{string.Join(',', Enumerable.Range(2, Items).Select(item))}]}}");

    private static void Line(string what, byte[] body, Action<byte[], SpanBatch> decode)
    {
        double door = double.MaxValue, bare = double.MaxValue;
        for (int i = 0; i < Rounds; i++)
        {
            using SpanBatch batch = SpanBatch.Rent();
            door = Math.Min(door, Time(() => decode(body, batch)));
            if (batch.SpanCount != Items)
            {
                throw new InvalidOperationException($"{what}: {batch.SpanCount} of {Items} spans, {batch.RejectedReason}");
            }

            bare = Math.Min(bare, Time(() =>
            {
                var reader = new System.Text.Json.Utf8JsonReader(body);
                while (reader.Read())
                {
                }
            }));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what,-40} {body.Length / door,10:F0} MB/s, {door / bare:F1} times a bare pass"));
    }

    private static double Time(Action run)
    {
        long start = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }
}
