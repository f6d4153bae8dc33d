using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Tests.Ingest;
using Google.Protobuf;

namespace Evident.Tests.Web;

/// <summary>OTLP log records become steps below the span that they were written in; both encodings say the same.</summary>
public sealed class OtlpLogTests : IAsyncLifetime
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c", Span = "b7ad6b7169203331", Said = "Please refund Mrs. Planted-Kowalski";

    private RunningWeb web = null!;

    public async Task InitializeAsync() => web = await RunningWeb.StartAsync();

    public async Task DisposeAsync() => await web.DisposeAsync();

    private sealed record Log(string? Event, string? Trace, string? Span, ulong Time, string Body, params KeyValuePair<string, object?>[] Attributes);

    private static byte[] Protobuf(params Log[] logs) => Wire.Message(w => w.Message(1, r =>
    {
        r.Message(1, o => o.Attributes(1, ["service.name".Is("agent-harness")]));
        r.Message(2, s =>
        {
            s.Message(1, o => o.Text(1, "logger"));
            foreach (var log in logs)
            {
                s.Message(2, l =>
                {
                    l.Fixed64(1, log.Time);
                    l.Fixed64(11, log.Time + 5);
                    l.Integer(2, 9);
                    l.Text(3, "INFO");
                    l.Message(5, b => b.Value(log.Body));
                    l.Attributes(6, log.Attributes);
                    l.Bytes(9, Convert.FromHexString(log.Trace ?? ""));
                    l.Bytes(10, Convert.FromHexString(log.Span ?? ""));
                    l.Text(12, log.Event ?? "");
                });
            }
        });
    }));

    private static byte[] Json(params Log[] logs)
    {
        using var buffer = new MemoryStream();
        using (var w = new Utf8JsonWriter(buffer))
        {
            w.WriteStartObject();
            w.WriteStartArray("resourceLogs");
            w.WriteStartObject();
            w.WriteStartObject("resource");
            OtlpJson.Attributes(w, ["service.name".Is("agent-harness")]);
            w.WriteEndObject();
            w.WriteStartArray("scopeLogs");
            w.WriteStartObject();
            w.WriteStartObject("scope");
            w.WriteString("name", "logger");
            w.WriteEndObject();
            w.WriteStartArray("logRecords");
            foreach (var log in logs)
            {
                w.WriteStartObject();
                w.WriteString("timeUnixNano", $"{log.Time}");
                w.WriteString("observedTimeUnixNano", $"{log.Time + 5}");
                w.WriteString("severityNumber", "SEVERITY_NUMBER_INFO");
                w.WriteString("severityText", "INFO");
                w.WritePropertyName("body");
                OtlpJson.Value(w, log.Body);
                OtlpJson.Attributes(w, log.Attributes);
                w.WriteString("traceId", log.Trace);
                w.WriteString("spanId", log.Span);
                w.WriteString("eventName", log.Event);
                w.WriteEndObject();
            }

            w.WriteEndArray();
            w.WriteEndObject();
            w.WriteEndArray();
            w.WriteEndObject();
            w.WriteEndArray();
            w.WriteEndObject();
        }

        return buffer.ToArray();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Records_are_steps_below_their_span_and_repeated_ones_are_recognised(bool json)
    {
        var run = new OtlpSpan("invoke_agent", "agent.run_id".Is("run-logs"), "agent.workflow_id".Is("logs_v1"), "gen_ai.operation.name".Is("invoke_agent"));
        await SendAsync("/v1/traces", OtlpRequest.Of(run).Protobuf(), "application/x-protobuf");
        Log[] logs =
        [
            new("gen_ai.user.message", Trace, Span, 1_778_047_200_100_000_000, Said, "gen_ai.provider.name".Is("openai")),
            new(null, Trace, Span, 1_778_047_200_200_000_000, Said, "thread.name".Is("worker-1")),
            new("approval_decision", Trace, Span, 1_778_047_200_300_000_000, Said, "approval.state".Is("approved"), "approval.approver_id".Is("s_901"), "tool.name".Is("refund.submit")),
            new(null, null, null, 1_778_047_200_400_000_000, "outside of any run"),
        ];
        byte[] body = json ? Json(logs) : Protobuf(logs);
        string type = json ? "application/json" : "application/x-protobuf";
        byte[] reply = await SendAsync("/v1/logs", body, type);
        if (json)
        {
            Assert.Contains("\"rejectedLogRecords\":\"1\"", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
        }
        else
        {
            var partial = new CodedInputStream(reply);
            Assert.Equal(WireFormat.MakeTag(1, WireFormat.WireType.LengthDelimited), partial.ReadTag());
            var inner = new CodedInputStream(partial.ReadBytes().ToByteArray());
            Assert.Equal((WireFormat.MakeTag(1, WireFormat.WireType.Varint), 1), (inner.ReadTag(), inner.ReadInt64()));
        }

        await SendAsync("/v1/logs", body, type);
        Assert.Equal(4, web.Store.Counters.AcceptedSpans);
        var spans = JsonDocument.Parse(await web.Client.GetStringAsync($"/api/v1/traces/{Trace}")).RootElement.GetProperty("spans").EnumerateArray().ToList();
        Assert.Equal(4, spans.Count);
        var steps = spans.Where(s => s.GetProperty("parent_span_id").GetString() == Span).ToDictionary(s => s.GetProperty("name").GetString()!);
        Assert.Equal(["approval_decision", "gen_ai.user.message", "log"], steps.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("event", "event", "approval"), (Kind("gen_ai.user.message"), Kind("log"), Kind("approval_decision")));
        Assert.Equal("2026-05-06T06:00:00.100", steps["gen_ai.user.message"].GetProperty("start_time").GetString()![..23]);
        Assert.All(steps.Values, s => Assert.NotEmpty(s.GetProperty("payloads").EnumerateArray()));
        Assert.Equal("INFO", steps["log"].GetProperty("attributes").GetProperty("severity_text").GetString());
        string story = await web.Client.GetStringAsync("/api/v1/runs/run-logs");
        Assert.DoesNotContain("Planted-Kowalski", story + string.Join(' ', spans), StringComparison.Ordinal);
        Assert.Contains("\"type\":\"approval.decision\"", await web.Client.GetStringAsync("/api/v1/ledger/entries?type=approval."), StringComparison.Ordinal);

        string Kind(string name) => steps[name].GetProperty("kind").GetString()!;
    }

    [Fact]
    public async Task Logs_of_a_program_without_traces_are_told_to_be_left_out()
    {
        byte[] reply = await SendAsync("/v1/logs", Json(new Log(null, null, null, 1, "hello"), new Log(null, "", "", 2, "hello")), "application/json");
        Assert.Contains("\"rejectedLogRecords\":\"2\"", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
        Assert.Contains("no trace id", Encoding.UTF8.GetString(reply), StringComparison.Ordinal);
        Assert.Equal(0, web.Store.Counters.AcceptedSpans);
        Assert.Empty(await SendAsync("/v1/logs", [], "application/x-protobuf"));
    }

    [Fact]
    public void Both_encodings_give_the_same_steps_and_changed_bodies_never_fail_otherwise()
    {
        Log[] logs = [new("e", Trace, Span, 5, Said, "a".Is(1), "b".Is(true)), new(null, Trace, null, 6, "x", "c".Is(new object?[] { "d", 1L }))];
        var limits = new IngestLimits();
        using SpanBatch one = SpanBatch.Rent(), two = SpanBatch.Rent();
        OtlpLogDecoder.Decode(Protobuf(logs), limits, one);
        OtlpLogDecoder.DecodeJson(Json(logs), limits, two);
        Assert.Equal(2, one.SpanCount);
        for (int i = 0; i < 2; i++)
        {
            var (a, b) = (one.Spans[i], two.Spans[i]);
            Assert.Equal((a.Trace, a.Parent, a.StartNanos, a.EndNanos, Text(one, a.Name)), (b.Trace, b.Parent, b.StartNanos, b.EndNanos, Text(two, b.Name)));
            Assert.Equal(Attributes(one, a), Attributes(two, b));
        }

        var random = new Random(9);
        byte[] protobuf = Protobuf(logs), json = Json(logs);
        int taken = 0;
        for (int i = 0; i < 20_000; i++)
        {
            try
            {
                if (i % 2 == 0)
                {
                    OtlpLogDecoder.Decode(Ledger.EvidenceParts.Change(random, protobuf, protobuf), limits, one);
                }
                else
                {
                    OtlpLogDecoder.DecodeJson(Ledger.EvidenceParts.Change(random, json, json), limits, one);
                }

                taken += one.SpanCount;
            }
            catch (OtlpDecodeException)
            {
                // refused as a whole
            }
        }

        Assert.InRange(taken, 500, 40_000);
    }

    private static string Text(SpanBatch batch, Slice slice) => Encoding.UTF8.GetString(batch.Bytes(slice));

    private static List<string> Attributes(SpanBatch batch, DirtySpan span)
    {
        var all = new List<string>();
        foreach (var attribute in batch.Attributes(span.Attributes))
        {
            all.Add($"{Text(batch, attribute.Key)}={attribute.Kind}:{attribute.Bits}:{Text(batch, attribute.Text)}");
        }

        return all;
    }

    private async Task<byte[]> SendAsync(string path, byte[] body, string type)
    {
        var (status, _, reply, _) = await web.PostAsync(path, body, type);
        Assert.True(status == 200, Encoding.UTF8.GetString(reply));
        return reply;
    }
}
