using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>Bodies that are cut, packed, nested, oversized or simply not OTLP.</summary>
public sealed class BadBodyTests(BadInputServer shared, ITestOutputHelper test) : BadInput(shared, test), IClassFixture<BadInputServer>
{
    [Theory]
    [InlineData(Json, null)]
    [InlineData(Protobuf, null)]
    [InlineData(Json, "gzip")]
    [InlineData(Protobuf, "gzip")]
    [InlineData("application/json; charset=utf-8", null)]
    public async Task Success_is_answered_in_the_requests_encoding(string type, string? encoding)
    {
        var json = type.StartsWith(Json, StringComparison.Ordinal);
        var request = OtlpRequest.Of(new OtlpSpan());
        var answer = await Wire.PostAsync(json ? request.Json() : request.Protobuf(), type, encoding, compress: encoding is not null);
        Assert.Equal((HttpStatusCode.OK, json ? Json : Protobuf), (answer.Status, answer.ContentType));
        Assert.Equal(json ? "{}" : "", answer.Text);
        var empty = await Wire.PostAsync(json ? "{}"u8.ToArray() : [], type, encoding, compress: encoding is not null);
        Assert.Equal((HttpStatusCode.OK, json ? "{}" : ""), (empty.Status, empty.Text));
    }

    [Fact]
    public async Task Truncated_bodies_are_undecodable()
    {
        var request = OtlpRequest.Of(new OtlpSpan { Name = "step one" }.With("a", "b"), new OtlpSpan { Name = "step two" }.With("list", new object?[] { 1L, "x", new Attribute[] { new("k", 2.5) } }));
        foreach (var json in new[] { false, true })
        {
            var whole = json ? request.Json() : request.Protobuf();
            // Every cut of a protobuf request of one resource cuts a length short; only the empty body is legal.
            for (var cut = 1; cut < whole.Length; cut += Math.Max(1, whole.Length / 60))
                Refused(await Wire.PostAsync(whole[..cut], json ? Json : Protobuf), HttpStatusCode.BadRequest, InvalidArgument, json);
            var packed = Wire.Gzip(whole);
            foreach (var cut in new[] { 1, packed.Length / 2, packed.Length - 9, packed.Length - 1 })
                Refused(await Wire.PostAsync(packed[..cut], json ? Json : Protobuf, "gzip"), HttpStatusCode.BadRequest, InvalidArgument, json);
        }
    }

    [Theory]
    [InlineData(Json)]
    [InlineData(Protobuf)]
    public async Task Garbage_is_undecodable(string type)
    {
        var random = new Random(99);
        foreach (var length in new[] { 1, 2, 7, 64, 4096 })
        {
            var noise = new byte[length];
            random.NextBytes(noise);
            noise[0] = 0xff; // no JSON text and no legal field number with a legal length begins so
            Refused(await Wire.PostAsync(noise, type), HttpStatusCode.BadRequest, InvalidArgument, type == Json);
            Refused(await Wire.PostAsync(noise, type, "gzip"), HttpStatusCode.BadRequest, InvalidArgument, type == Json);
        }
        foreach (var text in new[] { "[]", "7", "\"text\"", "{\"resourceSpans\":7}", "{\"resourceSpans\":[{\"scopeSpans\":{}}]}", "{\"a\":1,}", "{} {}" })
            if (type == Json) Refused(await Wire.PostAsync(Encoding.UTF8.GetBytes(text), type), HttpStatusCode.BadRequest, InvalidArgument, json: true);
    }

    [Theory]
    [InlineData(Json)]
    [InlineData(Protobuf)]
    public async Task A_gzip_bomb_is_too_large(string type)
    {
        using var bomb = new MemoryStream();
        using (var gzip = new GZipStream(bomb, CompressionLevel.Optimal, leaveOpen: true))
        {
            var zeros = new byte[1 << 20];
            if (type == Json) Array.Fill(zeros, (byte)' ');
            for (var i = 0; i < 1024; i++) gzip.Write(zeros);
        }
        Test.WriteLine($"1 GiB in {bomb.Length} bytes");
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Wire.PostAsync(bomb.ToArray(), type, "gzip")));
        Assert.All(answers, a => Assert.True(a.Status is HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.ServiceUnavailable, $"{a.Status} {a.Text}"));
        Refused(await Wire.PostAsync(bomb.ToArray(), type, "gzip"), HttpStatusCode.RequestEntityTooLarge, ResourceExhausted, type == Json);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task An_attribute_of_10_MB_is_refused_with_its_span_alone(bool json, bool gzip)
    {
        var huge = new OtlpSpan().With("tool.name", "mail.send").With("tool.args", new string('a', 10 << 20));
        var sibling = new OtlpSpan();
        await Partial(OtlpRequest.Of(huge, sibling), json, gzip, rejected: 1, kept: sibling, because: "value");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Invalid_UTF8_never_reaches_an_answer(bool json)
    {
        var span = new OtlpSpan { Name = "step ###" }.With("note", "x###x").With("tool.name", "###").With("tool.args", "{\"a\":\"###\"}");
        var request = OtlpRequest.Of(span);
        var body = json ? request.Json() : request.Protobuf();
        for (int at; (at = body.AsSpan().IndexOf("###"u8)) >= 0;) new byte[] { 0xc3, 0x28, 0xff }.CopyTo(body, at);
        var answer = await Wire.PostAsync(body, json ? Json : Protobuf);
        Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.BadRequest, $"{answer.Status}");
        if (answer.Status == HttpStatusCode.BadRequest)
        {
            Refused(answer, HttpStatusCode.BadRequest, InvalidArgument, json);
            return;
        }
        if (answer.Partial().Rejected == 1) return;
        var raw = await Wire.Http.GetByteArrayAsync(new Uri($"/api/v1/traces/{span.Trace}", UriKind.Relative));
        _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(raw);
        using var parsed = JsonDocument.Parse(raw);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(false, false)]
    [InlineData(true, true)]
    [InlineData(true, false)]
    public async Task Nesting_of_10000_levels_is_undecodable(bool json, bool arrays)
    {
        byte[] body;
        if (json)
        {
            const int levels = 10_000;
            var (open, close) = arrays ? ("{\"arrayValue\":{\"values\":[", "]}}") : ("{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":", "}]}}");
            var deep = string.Concat(Enumerable.Repeat(open, levels)) + "{\"intValue\":1}" + string.Concat(Enumerable.Repeat(close, levels));
            body = Encoding.UTF8.GetBytes($$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"{{Convert.ToHexString(Ids.Trace())}}","spanId":"{{Convert.ToHexString(Ids.Span())}}","attributes":[{"key":"deep","value":{{deep}}}]}]}]}]}""");
        }
        else
        {
            var value = new Proto().Varint(3, 1).ToArray();
            for (var i = 0; i < 10_000; i++)
                value = arrays
                    ? new Proto().Message(5, new Proto().Bytes(1, value, always: true)).ToArray()
                    : new Proto().Message(6, new Proto().Message(1, new Proto().Text(1, "k").Bytes(2, value, always: true))).ToArray();
            var span = new Proto().Bytes(1, Ids.Trace()).Bytes(2, Ids.Span()).Message(9, new Proto().Text(1, "deep").Bytes(2, value));
            body = new Proto().Message(1, new Proto().Message(2, new Proto().Message(2, span))).ToArray();
        }
        Refused(await Wire.PostAsync(body, json ? Json : Protobuf), HttpStatusCode.BadRequest, InvalidArgument, json);
    }

    [Fact]
    public async Task Deep_JSON_inside_a_payload_is_stored()
    {
        // Not OTLP nesting: text that happens to be JSON 10,000 levels deep. The redactor and the canonical form meet it.
        var span = new OtlpSpan().With("tool.name", "mail.send").With("tool.args", string.Concat(Enumerable.Repeat("[", 10_000)) + string.Concat(Enumerable.Repeat("]", 10_000)));
        await Wire.AcceptAsync(OtlpRequest.Of(span));
        Assert.Single((await Wire.JsonAsync($"/api/v1/traces/{span.Trace}")).GetProperty("spans").EnumerateArray());
    }

    [Theory]
    [InlineData("trace id of 15 bytes")]
    [InlineData("trace id of 17 bytes")]
    [InlineData("trace id all zero")]
    [InlineData("trace id missing")]
    [InlineData("span id of 7 bytes")]
    [InlineData("span id of 9 bytes")]
    [InlineData("span id all zero")]
    [InlineData("span id missing")]
    [InlineData("parent id of 3 bytes")]
    public async Task A_wrong_id_rejects_that_span_alone(string fault)
    {
        foreach (var json in new[] { false, true })
        {
            var wrong = new OtlpSpan();
            switch (fault)
            {
                case "trace id of 15 bytes": wrong.TraceId = wrong.TraceId[..15]; break;
                case "trace id of 17 bytes": wrong.TraceId = [.. wrong.TraceId, 1]; break;
                case "trace id all zero": wrong.TraceId = new byte[16]; break;
                case "trace id missing": wrong.TraceId = []; break;
                case "span id of 7 bytes": wrong.SpanId = wrong.SpanId[..7]; break;
                case "span id of 9 bytes": wrong.SpanId = [.. wrong.SpanId, 1]; break;
                case "span id all zero": wrong.SpanId = new byte[8]; break;
                case "span id missing": wrong.SpanId = []; break;
                default: wrong.ParentSpanId = [1, 2, 3]; break;
            }
            await Partial(OtlpRequest.Of(wrong, new OtlpSpan { Name = "good" }), json, gzip: false, rejected: 1, kept: null, because: "id");
        }
    }

    [Fact]
    public async Task Hex_of_any_case_and_a_root_with_a_zero_parent_are_taken()
    {
        var (trace, span) = (Ids.Trace(), Ids.Span());
        var body = $$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"{{Convert.ToHexString(trace)}}","spanId":"{{Convert.ToHexString(span)}}","parentSpanId":"0000000000000000","name":"root","startTimeUnixNano":1778047208000000000,"endTimeUnixNano":"1778047209000000000","kind":"SPAN_KIND_CLIENT","unknownField":{"a":[1,2]} }]}]}]}""";
        var answer = await Wire.PostAsync(Encoding.UTF8.GetBytes(body), Json);
        Assert.Equal((HttpStatusCode.OK, "{}"), (answer.Status, answer.Text));
        var stored = Assert.Single((await Wire.JsonAsync($"/api/v1/traces/{Convert.ToHexStringLower(trace)}")).GetProperty("spans").EnumerateArray());
        Assert.Equal((Convert.ToHexStringLower(span), "client", "2026-05-06T06:00:08.000000000Z"), (stored.Text("span_id"), stored.Text("otlp_kind"), stored.Text("start_time")));
        Assert.Equal(JsonValueKind.Null, stored.GetProperty("parent_span_id").ValueKind);
    }

    [Fact]
    public async Task Both_encodings_tell_the_same_story()
    {
        var span = new OtlpSpan { Name = "chat gpt-4o", Kind = 3, StatusCode = 1 }.With("gen_ai.operation.name", "chat").With("gen_ai.request.model", "gpt-4o").With("gen_ai.usage.input_tokens", 12)
            .With("cost_usd", 0.0125).With("flag", true).With("tags", new object?[] { "a", 1L }).With("empty", null).With("input.value", "hello there");
        span.Events.Add(new("note", Ids.Now(), new Attribute("n", 1L)));
        span.Links.Add(new(Ids.Trace(), Ids.Span(), ""));
        await Wire.AcceptAsync(OtlpRequest.Of(span));
        var once = await Wire.JsonAsync($"/api/v1/traces/{span.Trace}");
        await Wire.AcceptAsync(OtlpRequest.Of(span), json: true, gzip: true);
        // The same content in the other encoding has the same digest: a retry, not a revision.
        Assert.Equal(once.ToString(), (await Wire.JsonAsync($"/api/v1/traces/{span.Trace}")).ToString());
    }

    [Fact]
    public async Task A_request_of_too_many_spans_stores_the_first_and_reports_the_rest()
    {
        var request = OtlpRequest.Of([.. Enumerable.Range(0, 20_005).Select(_ => new OtlpSpan { Name = "s" })]);
        var answer = await Wire.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal(5, answer.Partial().Rejected);
        Assert.Contains("MaxSpans", answer.Partial().Message, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(HttpStatusCode.OK, (await Wire.GetAsync($"/api/v1/traces/{request.Spans[0].Trace}")).Status);
    }

    [Fact]
    public async Task Wide_spans_are_bounded()
    {
        var wide = new OtlpSpan();
        for (var i = 0; i < 5000; i++) wide.With($"k{i}", i);
        for (var i = 0; i < 2000; i++) wide.Events.Add(new($"e{i}", Ids.Now()));
        for (var i = 0; i < 2000; i++) wide.Links.Add(new(Ids.Trace(), Ids.Span(), ""));
        Assert.Equal(HttpStatusCode.OK, (await Wire.SendAsync(OtlpRequest.Of(wide))).Status);
        var stored = (await Wire.JsonAsync($"/api/v1/traces/{wide.Trace}")).GetProperty("spans")[0];
        Assert.InRange(stored.GetProperty("attributes").EnumerateObject().Count(), 1, 520);
        Assert.InRange(stored.GetProperty("events").GetArrayLength(), 1, 512);
        Assert.InRange(stored.GetProperty("links").GetArrayLength(), 1, 512);
        // An attribute with many values is one value: its size counts, not its number.
        await Partial(OtlpRequest.Of(new OtlpSpan { Name = new string('n', 3000) }, new OtlpSpan()), json: false, gzip: false, 1, null, "name");
        await Partial(OtlpRequest.Of(new OtlpSpan().With(new string('k', 400), 1), new OtlpSpan()), json: true, gzip: false, 1, null, "key");
    }
}
