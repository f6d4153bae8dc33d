using System.Text;
using Evident.Ingest;
using Google.Protobuf;

namespace Evident.Tests.Ingest;

public sealed class DecoderTests
{
    private static readonly IngestLimits Limits = new();

    private static string Protobuf(byte[] body, IngestLimits? limits = null)
    {
        using var batch = SpanBatch.Rent();
        OtlpTraceDecoder.Decode(body, limits ?? Limits, batch);
        return BatchText.Of(batch);
    }

    private static string Json(byte[] body, IngestLimits? limits = null)
    {
        using var batch = SpanBatch.Rent();
        OtlpJsonDecoder.Decode(body, limits ?? Limits, batch);
        return BatchText.Of(batch);
    }

    private static byte[] Spans(Action<Wire> span) => Wire.Message(w => w.Message(1, r => r.Message(2, s => s.Message(2, span))));

    private static void Ids(Wire span)
    {
        span.Raw(1, Convert.FromHexString("0af7651916cd43dd8448eb211c80319c"));
        span.Raw(2, Convert.FromHexString("b7ad6b7169203331"));
    }

    [Fact]
    public void Protobuf_and_json_of_random_requests_give_the_same_batch()
    {
        for (int seed = 0; seed < 400; seed++)
        {
            var request = new RandomRequests(seed).Request();
            Assert.Equal(Protobuf(request.Protobuf()), Json(request.Json()));
        }
    }

    [Fact]
    public void Every_kind_of_value_is_read()
    {
        var request = OtlpRequest.Of(new OtlpSpan("chat gpt-4.1",
            "s".Is("text"), "b".Is(true), "i".Is(long.MinValue), "d".Is(0.5), "n".Is(null), "y".Is(new byte[] { 1, 2, 255 }),
            "a".Is(new object?[] { 1L, "x\n\"", null, 1e21, 0.1, new byte[] { 0 }, new object?[] { true } }),
            "k".Is(new[] { "é".Is("ü"), "in".Is(new[] { "z".Is(-1.5e-7) }) })));
        string text = Protobuf(request.Protobuf());
        Assert.Contains("own i Integer  -9223372036854775808\n", text, StringComparison.Ordinal);
        Assert.Contains($"own a Json {Convert.ToHexString("[1,\"x\\n\\\"\",null,1e+21,0.1,\"AA==\",[true]]".Utf8())} 0\n", text, StringComparison.Ordinal);
        Assert.Contains($"own k Json {Convert.ToHexString("{\"é\":\"ü\",\"in\":{\"z\":-1.5e-7}}".Utf8())} 0\n", text, StringComparison.Ordinal);
        Assert.Contains("own n None  0\n", text, StringComparison.Ordinal);
        Assert.Equal(text, Json(request.Json()));
    }

    [Fact]
    public void Unknown_fields_groups_and_wrong_wire_types_are_skipped()
    {
        byte[] body = Spans(span =>
        {
            Ids(span);
            span.Tag(99, WireFormat.WireType.StartGroup);
            span.Integer(1, 7);
            span.Tag(98, WireFormat.WireType.StartGroup);
            span.Tag(98, WireFormat.WireType.EndGroup);
            span.Tag(99, WireFormat.WireType.EndGroup);
            span.Fixed32(1234, 5);
            span.Raw(6, "kind as text"u8.ToArray());
            span.Text(5, "kept");
        });
        Assert.Contains(" name=kept ", Protobuf(body), StringComparison.Ordinal);
        Assert.Contains(" Unspecified ", Protobuf(body), StringComparison.Ordinal);
    }

    [Fact]
    public void Repeated_singular_messages_merge_and_the_resource_may_come_last()
    {
        byte[] body = Wire.Message(w => w.Message(1, r =>
        {
            r.Message(2, s =>
            {
                s.Message(2, span =>
                {
                    Ids(span);
                    span.Message(15, m => m.Integer(3, 2));
                    span.Message(15, m => m.Text(2, "late"));
                    span.Message(9, kv =>
                    {
                        kv.Message(2, v => v.Value(new object?[] { 1L }));
                        kv.Text(1, "key");
                        kv.Message(2, v => v.Value(new object?[] { 2L }));
                    });
                    span.Message(9, kv =>
                    {
                        kv.Text(1, "last");
                        kv.Message(2, v => { v.Value("gone"); v.Value(5L); });
                    });
                });
                s.Message(1, o => o.Text(1, "scope"));
                s.Message(1, o => o.Text(2, "2"));
            });
            r.Message(1, o => o.Attributes(1, ["a".Is("1")]));
            r.Message(1, o => o.Attributes(1, ["b".Is("2")]));
        }));
        string text = Protobuf(body);
        Assert.Contains(" Error ", text, StringComparison.Ordinal);
        Assert.Contains("message=late", text, StringComparison.Ordinal);
        Assert.Contains($"own key Json {Convert.ToHexString("[1,2]"u8)}", text, StringComparison.Ordinal);
        Assert.Contains("own last Integer  5", text, StringComparison.Ordinal);
        Assert.Contains("scope=scope 2", text, StringComparison.Ordinal);
        Assert.Contains("resource a Text", text, StringComparison.Ordinal);
        Assert.Contains("resource b Text", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_tolerates_what_senders_write()
    {
        string json = "\uFEFF" + """
            {"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"CvdlGRbNQ92ESOshHIAxnA==","span_id":"t61rcWkgMzE=","parent_span_id":"0000000000000000","name":"lone \ud800 surrogate",
            "kind":"SPAN_KIND_CLIENT","start_time_unix_nano":1778047200000000000,"end_time_unix_nano":"1778047201000000000","status":{"code":"STATUS_CODE_ERROR"},"flags":257,
            "attributes":{"plain":"x","n":4,"f":1.5,"o":{"a":[1,{"b":null}]},"null":null,"empty":{},"big":{"intValue":12345678901234567890},"int":{"int_value":"7"},"bytes":{"bytesValue":"-_8"}},
            "surprise":[{}]}]}]}]}
            """ + " \n";
        string text = Json(json.Utf8());
        Assert.Contains("span 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 0000000000000000 Client Error 257 1778047200000000000 1778047201000000000", text, StringComparison.Ordinal);
        Assert.Contains("name=lone \uFFFD surrogate", text, StringComparison.Ordinal);
        Assert.Contains($"own o Json {Convert.ToHexString("{\"a\":[1,{\"b\":null}]}"u8)}", text, StringComparison.Ordinal);
        Assert.Contains("own n Integer  4\n", text, StringComparison.Ordinal);
        Assert.Contains("own empty None", text, StringComparison.Ordinal);
        Assert.Contains("own big Number", text, StringComparison.Ordinal);
        Assert.Contains("own int Integer  7\n", text, StringComparison.Ordinal);
        Assert.Contains("own bytes Bytes FBFF", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Invalid_utf8_is_repaired_and_counted()
    {
        byte[] body = Spans(span =>
        {
            Ids(span);
            span.Raw(5, [(byte)'a', 0xC3, 0x28, 0xFF]);
        });
        using var batch = SpanBatch.Rent();
        OtlpTraceDecoder.Decode(body, Limits, batch);
        Assert.Equal("a\uFFFD(\uFFFD", Encoding.UTF8.GetString(batch.Bytes(batch.Spans[0].Name)));
        Assert.Equal(1, batch.RepairedStrings);
    }

    [Theory]
    [InlineData("00000000000000000000000000000000", "b7ad6b7169203331", "trace id is all zero")]
    [InlineData("0af7651916cd43dd8448eb211c80319c", "0000000000000000", "span id is all zero")]
    [InlineData("0af7651916cd43dd8448eb211c8031", "b7ad6b7169203331", "trace id is not 16 bytes")]
    [InlineData("0af7651916cd43dd8448eb211c80319c", "b7ad6b71692033", "span id is not 8 bytes")]
    public void A_span_with_bad_ids_is_refused_alone(string trace, string span, string reason)
    {
        var request = OtlpRequest.Of(new OtlpSpan("good"), new OtlpSpan("bad", "x".Is("y")) { Trace = Convert.FromHexString(trace), Id = Convert.FromHexString(span) });
        foreach (bool json in new[] { false, true })
        {
            using var batch = SpanBatch.Rent();
            if (json) OtlpJsonDecoder.Decode(request.Json(), Limits, batch);
            else OtlpTraceDecoder.Decode(request.Protobuf(), Limits, batch);
            Assert.Equal(1, batch.SpanCount);
            Assert.Equal(1, batch.Rejected);
            Assert.Contains(reason, batch.RejectedReason, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_body_of_another_signal_is_refused_with_its_likely_cause()
    {
        // LogRecord: time_unix_nano 1, severity_number 2, body 5; Metric: name 1, description 2, unit 3, gauge 5.
        byte[] logs = Spans(record => { record.Fixed64(1, 5); record.Integer(2, 9); record.Message(5, v => v.Value("log line")); });
        byte[] metrics = Spans(metric => { metric.Text(1, "queue.depth"); metric.Text(2, "depth of it"); metric.Message(5, _ => { }); });
        foreach (byte[] body in new[] { logs, metrics })
        {
            using var batch = SpanBatch.Rent();
            var refused = Assert.Throws<OtlpDecodeException>(() => OtlpTraceDecoder.Decode(body, Limits, batch));
            Assert.Contains("logs or metrics were sent to the traces path", refused.Message, StringComparison.Ordinal);
        }
        using var json = SpanBatch.Rent();
        Assert.Throws<OtlpDecodeException>(() => OtlpJsonDecoder.Decode("""{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}"""u8, Limits, json));
    }

    [Fact]
    public void Empty_requests_are_legal()
    {
        Assert.Equal("", Protobuf([]));
        Assert.Equal("", Json("{}"u8.ToArray()));
        Assert.Equal("", Json("""{"resourceSpans":[]}"""u8.ToArray()));
    }

    [Fact]
    public void Nesting_beyond_the_limit_is_undecodable()
    {
        object? value = 1L;
        for (int i = 0; i < 32; i++) value = new object?[] { value };
        var within = OtlpRequest.Of(new OtlpSpan("s", "deep".Is(value)));
        Assert.Equal(Protobuf(within.Protobuf()), Json(within.Json()));
        var beyond = OtlpRequest.Of(new OtlpSpan("s", "deep".Is(new[] { "k".Is(value) })));
        Assert.Throws<OtlpDecodeException>(() => Protobuf(beyond.Protobuf()));
        Assert.Throws<OtlpDecodeException>(() => Json(beyond.Json()));
        byte[] groups = Spans(span => { for (int i = 0; i < 5000; i++) span.Tag(99, WireFormat.WireType.StartGroup); });
        Assert.Throws<OtlpDecodeException>(() => Protobuf(groups));
        Assert.Throws<OtlpDecodeException>(() => Json(("{\"x\":" + new string('[', 200_000)).Utf8()));
    }

    [Fact]
    public void A_span_over_a_limit_is_refused_alone_and_the_reason_names_the_limit()
    {
        var limits = new IngestLimits { MaxValueBytes = 100, MaxKeyBytes = 20, MaxNameBytes = 30, MaxSpans = 4 };
        var cases = new (OtlpSpan Span, string Name)[]
        {
            (new OtlpSpan("bad", "k".Is(new string('v', 101))), "ingest.maxValueBytes"),
            (new OtlpSpan("bad", "k".Is(new object?[] { new string('v', 99) })), "ingest.maxValueBytes"),
            (new OtlpSpan("bad", new string('k', 21).Is("v")), "ingest.maxKeyBytes"),
            (new OtlpSpan(new string('n', 31)), "ingest.maxNameBytes"),
            (new OtlpSpan("bad") { Events = [new OtlpEvent("e", 1, "k".Is(new string('v', 101)))] }, "ingest.maxValueBytes"),
        };
        foreach (var (span, name) in cases)
        {
            var request = OtlpRequest.Of(new OtlpSpan("one"), span, new OtlpSpan("two"));
            foreach (bool json in new[] { false, true })
            {
                using var batch = SpanBatch.Rent();
                if (json) OtlpJsonDecoder.Decode(request.Json(), limits, batch);
                else OtlpTraceDecoder.Decode(request.Protobuf(), limits, batch);
                Assert.Equal((2, 1), (batch.SpanCount, batch.Rejected));
                Assert.Contains(name, batch.RejectedReason, StringComparison.Ordinal);
            }
        }
        using var many = SpanBatch.Rent();
        OtlpTraceDecoder.Decode(OtlpRequest.Of([.. Enumerable.Range(0, 6).Select(i => new OtlpSpan($"s{i}"))]).Protobuf(), limits, many);
        Assert.Equal((4, 2), (many.SpanCount, many.Rejected));
        Assert.Contains("ingest.maxSpans", many.RejectedReason, StringComparison.Ordinal);
        using var large = SpanBatch.Rent();
        Assert.Throws<OtlpDecodeException>(() => OtlpTraceDecoder.Decode(new byte[200], new IngestLimits { MaxBodyBytes = 100 }, large));
    }

    [Fact]
    public void Counts_over_a_limit_are_dropped_and_counted()
    {
        var limits = new IngestLimits { MaxAttributesPerSpan = 3, MaxEventsPerSpan = 2, MaxLinksPerSpan = 1 };
        var link = new OtlpLink(Convert.FromHexString("0af7651916cd43dd8448eb211c80319c"), Convert.FromHexString("b7ad6b7169203331"), "");
        var span = new OtlpSpan("s", "a".Is(1), "b".Is(2), "c".Is(3), "d".Is(4), "e".Is(5)) { Dropped = 10, Events = [new("x", 1), new("y", 2), new("z", 3)], Links = [link, link, link with { Span = [1] }] };
        string text = Protobuf(OtlpRequest.Of(span).Protobuf(), limits);
        Assert.Contains(" 12 1 2\n", text, StringComparison.Ordinal);
        Assert.Equal(text, Json(OtlpRequest.Of(span).Json(), limits));
    }

    [Fact]
    public void A_body_of_millions_of_tiny_pieces_stays_bounded()
    {
        // 2 MB of empty key-values in one span, 2 MB of empty spans: no record is kept beyond the limits.
        byte[] attributes = Spans(span => { Ids(span); for (int i = 0; i < 1_000_000; i++) span.Raw(9, []); });
        Assert.Contains($" {1_000_000 - 512} 0 0\n", Protobuf(attributes), StringComparison.Ordinal);
        byte[] spans = Wire.Message(w => w.Message(1, r => r.Message(2, s => { for (int i = 0; i < 1_000_000; i++) s.Raw(2, []); })));
        Assert.Throws<OtlpDecodeException>(() => Protobuf(spans));
        byte[] controls = Spans(span => { Ids(span); span.Message(9, kv => kv.Message(2, v => v.Value(new object?[] { new string('\u0001', 3_000_000) }))); });
        Assert.Throws<OtlpDecodeException>(() => Protobuf(controls, new IngestLimits { MaxTranscodedBytes = 4 << 20 }));
    }

    [Fact]
    public void Protobuf_decoding_allocates_nothing_in_steady_state()
    {
        byte[] body = OtlpRequest.Of([.. Enumerable.Range(0, 500).Select(i => Lean.Span(i))]).Protobuf();
        using var batch = SpanBatch.Rent();
        for (int i = 0; i < 5; i++) OtlpTraceDecoder.Decode(body, Limits, batch);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++) OtlpTraceDecoder.Decode(body, Limits, batch);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(500, batch.SpanCount);
    }

    [Fact]
    public void Response_bodies_are_what_the_specification_says()
    {
        Assert.Empty(OtlpResponse.Success(json: false));
        Assert.Equal("{}", Encoding.UTF8.GetString(OtlpResponse.Success(json: true)));
        Assert.Equal("""{"partialSuccess":{"rejectedSpans":"3","errorMessage":"a \"b\""}}""", Encoding.UTF8.GetString(OtlpResponse.PartialSuccess(json: true, 3, "a \"b\"")));
        Assert.Equal("""{"code":3,"message":"no"}""", Encoding.UTF8.GetString(OtlpResponse.Status(json: true, 3, "no")));
        Assert.Equal(Wire.Message(w => w.Message(1, p => { p.Integer(1, 300); p.Text(2, "why"); })), OtlpResponse.PartialSuccess(json: false, 300, "why"));
        Assert.Equal(Wire.Message(w => { w.Integer(1, 14); w.Text(2, new string('x', 200)); }), OtlpResponse.Status(json: false, 14, new string('x', 200)));
    }
}
