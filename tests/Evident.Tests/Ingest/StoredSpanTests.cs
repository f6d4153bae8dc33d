using Evident.Ingest;

namespace Evident.Tests.Ingest;

public sealed class StoredSpanTests
{
    private static byte[] Encoded(OtlpSpan span)
    {
        using var clean = Cleaning.Clean(OtlpRequest.Of(span), new RecordingSealer());
        return clean.Encoded(0).ToArray();
    }

    private static OtlpSpan Full() => Lean.Span(3) with
    {
        Parent = [1, 2, 3, 4, 5, 6, 7, 8],
        Kind = 3,
        Flags = 257,
        State = "rojo=00f067aa0ba902b7",
        Attributes = [.. Lean.Span(3).Attributes, "input.value".Is("payload text"), "neg".Is(-7), "d".Is(0.25), "t".Is(true)],
        Events = [new OtlpEvent("e1", 17, "k".Is("v"))],
        Links = [new OtlpLink(Convert.FromHexString("0af7651916cd43dd8448eb211c80319d"), Convert.FromHexString("b7ad6b7169203332"), "", "why".Is("resume"))],
    };

    [Fact]
    public void Everything_written_is_read_back()
    {
        var span = StoredSpan.Decode(Encoded(Full()));
        Assert.Equal("0af7651916cd43dd8448eb211c80319c", span.TraceId.ToString());
        Assert.Equal("0102030405060708", span.ParentSpanId.ToString());
        Assert.Equal(OtlpSpanKind.Client, span.OtlpKind);
        Assert.Equal(OtlpStatus.Ok, span.Status);
        Assert.Equal(257u, span.Flags);
        Assert.Equal("rojo=00f067aa0ba902b7", span.TraceState);
        Assert.Equal(1_778_047_200_000_000_000ul, span.StartNanos);
        Assert.Equal(1243, span.Integer(Field.TokensIn));
        Assert.Equal(-7, span.Attributes.Single(a => a.Key == "neg").Value.Integer);
        Assert.Equal(0.25, span.Attributes.Single(a => a.Key == "d").Value.Number);
        Assert.Equal(("e1", 17ul, "v"), (span.Events[0].Name, span.Events[0].TimeNanos, span.Events[0].Attributes[0].Value.Text));
        Assert.Equal("0af7651916cd43dd8448eb211c80319d", span.Links[0].TraceId.ToString());
        Assert.Equal("resume", span.Links[0].Attributes[0].Value.Text);
        var payload = Assert.Single(span.Payloads);
        Assert.Equal(("input", 12L, 29, 32), (payload.Role, payload.Bytes, payload.Ref.Length, payload.Commitment.Length));
        Assert.Matches("^hmac-sha256:[0-9a-f]{64}$", payload.Hash);
        Assert.Equal(1, span.ConventionsVersion);
    }

    [Fact]
    public void Damaged_bytes_give_the_one_exception()
    {
        byte[] good = Encoded(Full());
        var random = new Random(3);
        int refused = 0;
        for (int i = 0; i < 100_000; i++)
        {
            byte[] bad = good[..(i % 3 == 0 ? random.Next(good.Length) : good.Length)];
            for (int n = random.Next(1, 4); n > 0 && bad.Length > 0; n--) bad[random.Next(bad.Length)] = (byte)random.Next(256);
            try { StoredSpan.Decode(bad); }
            catch (SpanFormatException) { refused++; }
        }
        Assert.True(refused > 30_000);
        for (int length = 0; length < good.Length; length++) Assert.Throws<SpanFormatException>(() => StoredSpan.Decode(good.AsSpan(0, length)));
        Assert.Throws<SpanFormatException>(() => StoredSpan.Decode([.. good, 0]));
        Assert.Throws<SpanFormatException>(() => StoredSpan.Decode([2, .. good.AsSpan(1)]));
    }

    [Fact]
    public void The_later_receipt_wins_per_attribute_and_nothing_known_is_forgotten()
    {
        StoredSpan Of(OtlpSpan span) => StoredSpan.Decode(Encoded(span));
        var first = Of(new OtlpSpan("agent.run", "a".Is(1), "b".Is(2), "status".Is("ok"), "input.value".Is("first input")) { Status = 2, Parent = [1, 0, 0, 0, 0, 0, 0, 1], Events = [new("e", 1)] });
        var second = Of(new OtlpSpan("agent.run", "b".Is(3), "c".Is(4), "output.value".Is("an output")) { End = 0, Events = [new("e", 1), new("f", 2)] });
        var merged = StoredSpan.Merge([first, second]);
        Assert.Equal([("a", 1L), ("b", 3L), ("c", 4L)], merged.Attributes.Select(a => (a.Key, a.Value.Integer)));
        Assert.Equal(OtlpStatus.Error, merged.Status);
        Assert.Equal(first.EndNanos, merged.EndNanos);
        Assert.Equal(first.ParentSpanId, merged.ParentSpanId);
        Assert.Equal(["e", "f"], merged.Events.Select(e => e.Name));
        Assert.Equal(["input", "output"], merged.Payloads.Select(p => p.Role));
        Assert.Equal("success", merged.Text(Field.Outcome));
        Assert.Throws<ArgumentException>(() => StoredSpan.Merge([]));
    }

    [Fact]
    public void Ids_parse_and_print()
    {
        Assert.True(TraceId.TryParse("0AF7651916cd43dd8448eb211c80319c", out var trace));
        Assert.Equal("0af7651916cd43dd8448eb211c80319c", trace.ToString());
        Assert.False(TraceId.TryParse(new string('0', 32), out _));
        Assert.False(SpanId.TryParse("b7ad6b716920333g", out _));
        Assert.True(SpanKey.TryParse("0af7651916cd43dd8448eb211c80319c/b7ad6b7169203331", out var key));
        Assert.Equal("0af7651916cd43dd8448eb211c80319c/b7ad6b7169203331", key.ToString());
    }

    [Fact]
    public void Field_names_are_unique_and_round_trip()
    {
        var fields = Enum.GetValues<Field>().Where(f => f != Field.None).ToArray();
        Assert.Equal(fields.Length, fields.Select(f => f.ToName()).Distinct().Count());
        foreach (var field in fields)
        {
            Assert.True(Fields.TryParse(field.ToName(), out var parsed));
            Assert.Equal(field, parsed);
        }
    }
}
