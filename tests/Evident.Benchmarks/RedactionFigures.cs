using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Benchmarks;

/// <summary>
/// Redaction of 4 KB texts in which no rule fires, and the way of a 4 KB payload from a decoded span to its sealed form against its raw parts of the same run. All of them take turns; the best of many
/// rounds is printed, in nanoseconds.
/// </summary>
internal static class RedactionFigures
{
    private static double allocated; // by the last round of Clean, per span

    private const int Size = 4_096, Rounds = 300, Repeats = 100;

    public static void Print()
    {
        var redactor = new Redactor();
        Measure.Title($"two-level scan of {Size} bytes, no finding, ns");
        foreach (var (name, text) in Texts())
        {
            Measure.Line(name, Best(() => redactor.IsClean(text)), "ns", redactor.IsClean(text) ? "" : "  A RULE FIRES");
        }

        byte[] prose = Texts()[0].Text;
        Measure.Line("the first level alone, prose", Best(() => FirstLevel(prose)), "ns");
        byte[] token = Encoding.ASCII.GetBytes("support_triage_v7");
        Measure.Line("a token of 17 bytes", Best(() => redactor.IsClean(token)), "ns");
        Payload();
        Lean();
    }

    private static ulong FirstLevel(ReadOnlySpan<byte> text)
    {
        ulong runs = 0;
        var here = BlockMasks.Of(text);
        for (int at = BlockMasks.Size; at < text.Length; at += BlockMasks.Size)
        {
            var next = BlockMasks.Of(text[at..]);
            runs |= here.RunStarts(next, joined: false);
            here = next;
        }

        return runs;
    }

    private static void Payload()
    {
        Measure.Title($"one payload of {Size} bytes of JSON messages, ns");
        byte[] payload = Messages();
        string directory = Path.Combine(Path.GetTempPath(), "evident-redact-" + Guid.NewGuid().ToString("n"));
        Directory.CreateDirectory(directory);
        try
        {
            using var vault = VaultStore.Open(new VaultOptions { Directory = Path.Combine(directory, "vault"), KeysDirectory = Path.Combine(directory, "keys") }, SystemClock.Instance);
            var redactor = new Redactor();
            byte[] compressed = new byte[Size], body = new byte[Size + 64], key = new byte[32], nonce = new byte[24], mac = new byte[32], binding = new byte[64];
            BrotliEncoder.TryCompress(payload, compressed, out int length, 1, 22);

            double scan = Best(() => redactor.IsClean(payload));
            double read = Best(() =>
            {
                var reader = new Utf8JsonReader(payload);
                while (reader.Read())
                {
                }
            });
            double canonical = Canonicalise(payload);
            double compress = Best(() => BrotliEncoder.TryCompress(payload, compressed, out length, 1, 22));
            double seal = Best(() => Sodium.XChaCha20Poly1305Seal(body.AsSpan(0, length + 16), compressed.AsSpan(0, length), binding, nonce, key));
            double hash = Best(() => HMACSHA256.HashData(key, payload, mac));
            Measure.Line("raw: two-level scan of the text as one", scan, "ns");
            Measure.Line("raw: one reading of the JSON", read, "ns");
            Measure.Line("raw: canonical form", canonical, "ns");
            Measure.Line("raw: Brotli, quality 1", compress, "ns", $"  to {length} bytes");
            Measure.Line("raw: XChaCha20-Poly1305 of the compressed", seal, "ns");
            Measure.Line("raw: HMAC-SHA-256, twice (fingerprint, commitment)", 2 * hash, "ns");
            double sum = scan + read + canonical + compress + seal + (2 * hash);
            Measure.Line("sum of the raw costs", sum, "ns");

            double with = Clean(vault, payload), without = Clean(vault, null);
            Measure.Line("cleaning a span with it, sealed", with, "ns");
            Measure.Line("cleaning the span without it", without, "ns");
            Measure.Bar("the payload, over the sum of its raw costs", (with - without) / sum, 2.0, atMost: true);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Lean()
    {
        Measure.Title("a lean span of 12 attributes, ns");
        Measure.Line("cleaning", Clean(null, null, lean: true), "ns");
        Measure.Line("allocated", allocated, "bytes");
        Measure.Title("at the start");
        Measure.Line("building a rule set of a configuration", Measure.BestMicros(20, () => RuleSet.TryBuild(new RedactionOptions { Off = ["phone"] }, out _)), "us");
    }

    private static double Canonicalise(byte[] payload)
    {
        using var sink = new ByteSink();
        return Best(() =>
        {
            sink.Clear();
            CanonicalJson.TryWrite(payload, sink);
        });
    }

    private static double Clean(VaultStore? vault, byte[]? payload, bool lean = false)
    {
        const int Spans = 64;
        using var batch = SpanBatch.Rent();
        OtlpJsonDecoder.Decode(Request(Spans, payload, lean), new IngestLimits(), batch);
        var cleaner = new SpanCleaner(Conventions.Default, RuleSet.Default, CapturePolicy.Default, new IngestLimits());
        var scopes = new OneScope(vault?.ResolveScope("default", []));
        double best = double.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            using var sealedTo = vault?.NewBatch();
            var sealer = new Sealer(scopes, sealedTo);
            long before = GC.GetAllocatedBytesForCurrentThread();
            best = Math.Min(best, Measure.BestMicros(1, () => cleaner.Clean(batch, scopes, sealer).Dispose()));
            allocated = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)Spans;
        }

        return best * 1_000 / Spans;
    }

    private static double Best(Action work)
    {
        return Measure.BestMicros(Rounds, () =>
        {
            for (int i = 0; i < Repeats; i++)
            {
                work();
            }
        }) * 1_000 / Repeats;
    }

    private static (string Name, byte[] Text)[] Texts() =>
    [
        ("prose", Filled("The refund was approved by the support lead, so the agent submitted it and told the customer when to expect the money. ")),
        ("messages in JSON, as one text", Messages()),
        ("log lines", Filled("2026-05-06T06:00:08.112Z INFO worker-3 [run_01J3K6] step=7 tool=gmail.send latency_ms=118 status=ok retries=0 bytes=5312\n")),
        ("source code", Filled("    public async Task<Result> RunAsync(string name, int count)\n    {\n        var result = await client.GetAsync(name, count: 3);\n        return result.Value ?? Result.Empty;\n    }\n")),
        ("hex and base64", Filled("3b4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk ")),
    ];

    private static byte[] Filled(string unit)
    {
        byte[] text = new byte[Size];
        byte[] bytes = Encoding.UTF8.GetBytes(unit);
        for (int i = 0; i < Size; i++)
        {
            text[i] = bytes[i % bytes.Length];
        }

        return text;
    }

    private static byte[] Messages()
    {
        string[] said =
        [
            "I ordered the blue lamp three weeks ago and it still has not arrived; can you tell me where it is and whether I can get my money back?",
            "Let me look at the order first. The carrier says that the parcel was returned to the warehouse because the address could not be found.",
            "That cannot be right, the address is the same as always. Please send it again, or refund it if that is quicker.",
            "I have asked the support lead to approve a refund. It was approved, and the money will be on your account within five working days.",
        ];
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartArray();
            for (int i = 0; json.BytesCommitted + json.BytesPending < Size - 260; i++)
            {
                json.WriteStartObject();
                json.WriteString("role", i % 2 == 0 ? "user" : "assistant");
                json.WriteString("content", said[i % said.Length]);
                json.WriteNumber("turn", i);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        return stream.ToArray();
    }

    private static byte[] Request(int spans, byte[]? payload, bool lean)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteStartArray("resourceSpans");
            json.WriteStartObject();
            json.WriteStartArray("scopeSpans");
            json.WriteStartObject();
            json.WriteStartArray("spans");
            for (int i = 0; i < spans; i++)
            {
                json.WriteStartObject();
                json.WriteString("traceId", "0af7651916cd43dd8448eb211c80319c");
                json.WriteString("spanId", (i + 1).ToString("x16", System.Globalization.CultureInfo.InvariantCulture));
                json.WriteString("name", "chat gpt-4o");
                json.WriteString("startTimeUnixNano", "1778047200000000000");
                json.WriteString("endTimeUnixNano", "1778047201000000000");
                json.WriteStartArray("attributes");
                if (lean)
                {
                    foreach (var (key, value) in ((string, string)[])
                        [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o"), ("gen_ai.response.model", "gpt-4o-2024-08-06"), ("gen_ai.provider.name", "openai"), ("agent.run_id", "run_01J3K6"), ("agent.name", "support"),
                         ("gen_ai.response.finish_reasons", "stop"), ("session.id", "thread_18b4f5e2a8c"), ("server.address", "api.internal"), ("acme.team", "payments"), ("acme.region", "eu-west-1"), ("acme.build", "20260506.3")])
                    {
                        Attribute(json, key, value);
                    }
                }

                if (payload is not null)
                {
                    Attribute(json, "gen_ai.input.messages", Encoding.UTF8.GetString(payload));
                }

                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void Attribute(Utf8JsonWriter json, string key, string value)
    {
        json.WriteStartObject();
        json.WriteString("key", key);
        json.WriteStartObject("value");
        json.WriteString("stringValue", value);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private sealed class OneScope(VaultScope? vault) : IScopes
    {
        private readonly Scope scope = new(vault?.Id ?? new string('a', 32), new byte[32], new byte[32], new byte[32]);

        public VaultScope? Vault => vault;

        public Scope Resolve(ReadOnlySpan<byte> tenantId) => scope;
    }

    private sealed class Sealer(OneScope scopes, SealedBatch? batch) : IPayloadSealer
    {
        public void Seal(Scope scope, string role, bool keepLong, ReadOnlySpan<byte> redacted, Span<byte> ref29, Span<byte> commitment32) =>
            batch?.Seal(scopes.Vault!, role, keepLong, redacted, ref29, commitment32);

        public void SealInFull(Scope scope, string role, ReadOnlySpan<byte> original, Span<byte> ref29, Span<byte> commitment32) => throw new NotSupportedException("the figures have no debug session");
    }
}
