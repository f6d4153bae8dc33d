using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

public class Lj1Tests
{
    private static Lj1Error Parse(string text) => new Lj1Parser().Parse(Encoding.UTF8.GetBytes(text));

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"a\":1,\"a_b\":[true,false,\"x\"],\"b\":{\"c\":-9007199254740991}}")]
    [InlineData("{\"a\":\"\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001f/\u007f\u00e9\u20ac\U0001F600\"}")]
    [InlineData("{\"a\":0,\"b\":9007199254740991}")]
    public void Canonical_texts_are_taken(string text) => Assert.Equal(Lj1Error.None, Parse(text));

    [Theory]
    [InlineData("{\"a\":1,\"a\":2}", Lj1Error.KeyOrder)]
    [InlineData("{\"b\":1,\"a\":2}", Lj1Error.KeyOrder)]
    [InlineData("{\"a\":1.0}", Lj1Error.NumberForm)]
    [InlineData("{\"a\":1e3}", Lj1Error.NumberForm)]
    [InlineData("{\"a\":-0}", Lj1Error.NumberForm)]
    [InlineData("{\"a\":01}", Lj1Error.NumberForm)]
    [InlineData("{\"a\":+1}", Lj1Error.Syntax)]
    [InlineData("{\"a\":9007199254740992}", Lj1Error.NumberForm)]
    [InlineData("{\"a\":-9007199254740992}", Lj1Error.NumberForm)]
    [InlineData("{\"a\":99999999999999999999}", Lj1Error.NumberForm)]
    [InlineData("{\"a\":null}", Lj1Error.Null)]
    [InlineData("{\"a\":NaN}", Lj1Error.Syntax)]
    [InlineData("{\"a\":True}", Lj1Error.Syntax)]
    [InlineData("{\"a\":\"\\u0000\"}", Lj1Error.StringForm)]
    [InlineData("{\"a\":\"\u0000\"}", Lj1Error.StringForm)]
    [InlineData("{\"a\":\"\n\"}", Lj1Error.StringForm)]
    [InlineData("{\"a\":\"\\ud800\"}", Lj1Error.StringForm)]
    [InlineData("{\"a\":\"\\u00e9\"}", Lj1Error.StringForm)]
    [InlineData("{\"a\":\"\\u001F\"}", Lj1Error.StringForm)]
    [InlineData("{\"a\":\"\\u0009\"}", Lj1Error.StringForm)]
    [InlineData("{\"a\":\"\\/\"}", Lj1Error.StringForm)]
    [InlineData("{ \"a\":1}", Lj1Error.Syntax)]
    [InlineData("{\"a\" :1}", Lj1Error.Syntax)]
    [InlineData("{\"a\": 1}", Lj1Error.Syntax)]
    [InlineData("{\"a\":1 }", Lj1Error.Syntax)]
    [InlineData("{\"a\":1} ", Lj1Error.TrailingBytes)]
    [InlineData(" {\"a\":1}", Lj1Error.Syntax)]
    [InlineData("{\"a\":1,}", Lj1Error.Syntax)]
    [InlineData("{\"A\":1}", Lj1Error.KeyForm)]
    [InlineData("{\"\":1}", Lj1Error.KeyForm)]
    [InlineData("{\"a\\u0062\":1}", Lj1Error.KeyForm)]
    [InlineData("{\"a-b\":1}", Lj1Error.KeyForm)]
    [InlineData("[1]", Lj1Error.Syntax)]
    [InlineData("\"a\"", Lj1Error.Syntax)]
    [InlineData("\uFEFF{}", Lj1Error.Syntax)]
    [InlineData("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}", Lj1Error.None)]
    [InlineData("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}", Lj1Error.TooDeep)]
    [InlineData("{\"a\":[[[[[[1]]]]]]}", Lj1Error.TooDeep)]
    [InlineData("", Lj1Error.UnexpectedEnd)]
    public void Everything_else_is_refused(string text, Lj1Error error) => Assert.Equal(error, Parse(text));

    [Fact]
    public void Ill_formed_utf8_and_long_lines_are_refused()
    {
        foreach (byte[] bad in (byte[][])[[0x80], [0xC0, 0x80], [0xE2, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF]])
        {
            Assert.Equal(Lj1Error.StringForm, new Lj1Parser().Parse([.. "{\"a\":\""u8, .. bad, .. "\"}"u8]));
        }

        Assert.Equal(Lj1Error.None, Parse("{\"a\":\"" + new string('x', 16_384 - 8) + "\"}"));
        Assert.Equal(Lj1Error.TooLong, Parse("{\"a\":\"" + new string('x', 16_385 - 8) + "\"}"));
    }

    [Fact]
    public void Every_proper_prefix_of_a_canonical_text_just_ends_early()
    {
        byte[] text = Encoding.UTF8.GetBytes("{\"a\":[1,-22,true,false,\"\u20ac\\n\\u001f\U0001F600\"],\"b\":{\"c\":{}}}");
        var parser = new Lj1Parser();
        for (int cut = 0; cut < text.Length; cut++)
        {
            Assert.Equal(Lj1Error.UnexpectedEnd, parser.Parse(text.AsSpan(0, cut)));
        }
    }

    /// <summary>An encoder of its own, over another JSON parser: what it makes of an accepted text must be that text.</summary>
    private static string Reencode(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(',', value.EnumerateObject().OrderBy(p => p.Name, StringComparer.Ordinal).Select(p => Quote(p.Name) + ":" + Reencode(p.Value))) + "}",
        JsonValueKind.Array => "[" + string.Join(',', value.EnumerateArray().Select(Reencode)) + "]",
        JsonValueKind.String => Quote(value.GetString()!),
        JsonValueKind.Number => value.GetInt64().ToString(CultureInfo.InvariantCulture),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => throw new InvalidOperationException(),
    };

    private static string Quote(string text) => "\"" + string.Concat(text.Select(c => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\b' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\f' => "\\f",
        '\r' => "\\r",
        < ' ' => $"\\u{(int)c:x4}",
        _ => c.ToString(),
    })) + "\"";

    [Fact]
    public void Whatever_is_accepted_reencodes_to_itself()
    {
        var random = new Random(20260506);
        byte[][] seeds =
        [
            "{\"a\":[1,-22,true,false,\"x\\n\\u001f\"],\"b\":{\"c\":{}},\"d\":\"\\\"\\\\\"}"u8.ToArray(),
            Encoding.UTF8.GetBytes("{\"k\":\"\u20ac\U0001F600\",\"l\":0,\"m\":[[],{}],\"n1_\":9007199254740991}"),
            LedgerScratch.Call(3).Bytes.ToArray(),
        ];
        byte[] palette = "{}[]:,\"\\0123456789-+.eEtrufalsn bc_\u00e9\u0001"u8.ToArray();
        var parser = new Lj1Parser();
        int accepted = 0;
        for (int i = 0; i < 300_000; i++)
        {
            byte[] text = [.. seeds[random.Next(seeds.Length)]];
            for (int edits = random.Next(1, 4); edits > 0; edits--)
            {
                int at = random.Next(text.Length);
                text = random.Next(3) switch
                {
                    0 => [.. text[..at], palette[random.Next(palette.Length)], .. text[(at + 1)..]],
                    1 => [.. text[..at], .. text[Math.Min(text.Length, at + 1 + random.Next(3))..]],
                    _ => [.. text[..at], palette[random.Next(palette.Length)], .. text[at..]],
                };
                if (text.Length == 0)
                {
                    break;
                }
            }

            if (parser.Parse(text) == Lj1Error.None)
            {
                accepted++;
                using var document = JsonDocument.Parse(text);
                Assert.Equal(Encoding.UTF8.GetString(text), Reencode(document.RootElement));
            }
        }

        Assert.True(accepted > 10_000, $"only {accepted} accepted: the property was hardly tried");
    }

    [Fact]
    public void What_the_builder_writes_the_parser_takes()
    {
        var random = new Random(5);
        for (int i = 0; i < 20_000; i++)
        {
            var builder = new Lj1ObjectBuilder();
            string text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => random.Next(4) == 0 ? "\U0001F600" : ((char)random.Next(1, 0xD7FF)).ToString()));
            builder.Set("z", text).Set("a", random.NextInt64(-LedgerFormat.MaxInteger, LedgerFormat.MaxInteger)).Set("m", i % 2 == 0).Set("l", [text, "b"])
                .Set("o", o => o.Set("y", 1).Set("x", text));
            byte[] bytes = builder.ToBytes();
            var parser = new Lj1Parser();
            Assert.Equal(Lj1Error.None, parser.Parse(bytes));
            var node = parser.Nodes[parser.Find(bytes, 0, "z"u8)];
            Assert.Equal(text, Encoding.UTF8.GetString(Lj1Text.Decode(bytes.AsSpan(node.Start, node.Length))));
        }
    }

    [Fact]
    public void The_builder_refuses_what_lj1_cannot_hold()
    {
        foreach (Action<Lj1ObjectBuilder> bad in (Action<Lj1ObjectBuilder>[])
        [
            b => b.Set("a", 1L << 53), b => b.Set("a", "\ud800"), b => b.Set("a", "\0"), b => b.Set("A", 1), b => b.Set("", 1),
            b => b.Set("a", 1).Set("a", 2).ToBytes(),
        ])
        {
            Assert.Throws<LedgerSchemaException>(() => bad(new Lj1ObjectBuilder()));
        }
    }

    [Theory]
    [InlineData("unknown member", "nonsense", "x")]
    [InlineData("assigned member", "seq", "x")]
    public void Drafts_outside_the_closed_schema_are_refused(string why, string key, string value) =>
        Assert.True(Assert.Throws<LedgerSchemaException>(() => EntryDraft.Create("ledger.heartbeat", "h1", b => b
            .Set("recorded", "2026-05-06T06:00:08.112Z").Set("heartbeat", h => h.Set("state", "running").Set("interval_ms", 300_000)).Set(key, value))).Message.Length > 0, why);

    [Fact]
    public void Forms_are_checked_to_the_letter()
    {
        static void Refused(string type, Action<Lj1ObjectBuilder> fields) =>
            Assert.Throws<LedgerSchemaException>(() => EntryDraft.Create(type, "x", b => { b.Set("recorded", "2026-05-06T06:00:08.112Z"); fields(b); }));

        Refused("tool.fly", _ => { });
        Refused("alert.closed", _ => { });
        Refused("alert.closed", b => b.Set("alert", a => a.Set("rule", "a b").Set("alert_id", "1")));
        Refused("alert.closed", b => b.Set("alert", a => a.Set("rule", "alice@example.com\u00e9").Set("alert_id", "1")));
        Refused("alert.closed", b => b.Set("alert", a => a.Set("rule", new string('a', 129)).Set("alert_id", "1")));
        Refused("alert.closed", b => b.Set("alert", a => a.Set("rule", "r").Set("alert_id", "1").Set("from", "2026-02-30T00:00:00.000Z")));
        Refused("alert.closed", b => b.Set("alert", a => a.Set("rule", "r").Set("alert_id", "1").Set("severity", "high")));
        Refused("vault.read", b => b.Set("actor", a => a.Set("kind", "uid")).Set("vault", v => v.Set("ref", "vr_1")));
        Refused("vault.read", b => b.Set("actor", a => a.Set("kind", "uid"))
            .Set("vault", v => v.Set("ref", "vr_01HZX0000000000000000000A0").Set("bytes", 33)));
        Refused("ledger.heartbeat", b => b.Set("heartbeat", h => h.Set("state", "running").Set("interval_ms", 0)));
        Refused("ledger.heartbeat", b => b.Set("heartbeat", h => h.Set("interval_ms", 1)));
        Refused("eval.label", b => b.Set("label", l => l.Set("name", "n").Set("value", "v").Set("removed", "true")));
        Assert.Equal([32L, 32, 64, 4096], ((long[])[0, 32, 33, 4000]).Select(ValueForm.Bucket));
        var draft = LedgerScratch.Call(1, new string('a', 32));
        Assert.Equal(draft.Bytes.ToArray(), EntryDraft.Parse(draft.Bytes).Bytes.ToArray());
    }
}
