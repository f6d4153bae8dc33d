using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>What one appliance exports as OTLP JSON and another imports; judgements of a run.</summary>
public sealed class TransferTests
{
    private static List<string> Digests(TemporaryStore at)
    {
        at.Close();
        var digests = new List<string>();
        using var reader = new PartitionReader(Directory.EnumerateFiles(Path.Combine(at.Data, "traces"), "*.db").Single());
        reader.ReadTrace(Sent.TraceOf(1), "default", long.MaxValue, (_, _, _, encoded) =>
        {
            var parts = new ProtobufReader(encoded[1..], 1, 1);
            digests.Add(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(parts.ReadBytes(out _))));
        }, default);
        digests.Sort(StringComparer.Ordinal);
        return digests;
    }

    private static async Task<IngestReceipt> ImportAsync(TemporaryStore at, byte[] file, bool carries)
    {
        using var batch = SpanBatch.Rent();
        ImportDecoder.Decode(ImportKind.OtlpJson, file, new IngestLimits(), batch, []);
        return await at.Store.IngestAsync(batch, new IngestSource("import:7") { Carries = carries }, default);
    }

    private static Sent[] Spans() =>
    [
        new Sent(1, 1, "agent.run") { Until = 9 }.With(("agent.run_id", "run_x"), ("agent.tenant_id", "acme"), ("user.id", "anna@example.com"), ("input", "Planted words of a user")),
        new Sent(1, 2, "tool.call") { Parent = 1, At = 1, Until = 2 }.With(("tool.name", "refund.submit"), ("tool.args", "{\"to\":\"Planted\"}"), ("agent.tenant_id", "acme")),
        new Sent(1, 3, "chat") { Parent = 1, At = 2, Until = 3 }.With(("gen_ai.request.model", "gpt-4o-mini"), ("gen_ai.usage.input_tokens", 12), ("note", "see bob@example.com")),
    ];

    [Fact]
    public async Task An_export_imports_with_the_same_digests_and_leaves_payloads_behind()
    {
        using TemporaryStore first = new(), second = new();
        first.Send(Spans());
        byte[] file = first.Store.ExportRun("run_x", "otlp-json", default)!;
        Assert.DoesNotContain("Planted", Encoding.UTF8.GetString(file), StringComparison.Ordinal);
        Assert.Equal((3, 0, 0), (await ImportAsync(second, file, carries: true)) is var r ? (r.Accepted, r.Duplicates, r.Rejected) : default);
        Assert.Equal((0, 3), (await ImportAsync(second, file, carries: true)) is var again ? (again.Accepted, again.Duplicates) : default);
        var story = second.Story("run_x");
        var payload = story.Spans.SelectMany(s => s.Payloads).First(p => p.Role == "tool.args");
        Assert.Null(payload.Ref);
        Assert.StartsWith("vr_", payload.Elsewhere, StringComparison.Ordinal);
        Assert.Contains(second.Ledger(), e => e.Type == "tool.call" && !e.Json.TryGetProperty("payload", out _)); // the ledger names only what this vault holds
        Assert.Equal(Digests(first), Digests(second));
    }

    [Fact]
    public async Task An_encoding_that_the_gate_does_not_let_stand_is_refused_and_the_network_carries_none()
    {
        using TemporaryStore first = new(), second = new();
        first.Send(Spans());
        string file = Encoding.UTF8.GetString(first.Store.ExportRun("run_x", "otlp-json", default)!);
        var value = JsonDocument.Parse(file).RootElement.GetProperty("resourceSpans")[0].GetProperty("scopeSpans")[0].GetProperty("spans")[0].GetProperty("attributes").EnumerateArray()
            .Single(a => a.GetProperty("key").GetString() == "evident.span").GetProperty("value").GetProperty("stringValue").GetString()!;
        byte[] encoded = Convert.FromBase64String(value);
        int at = encoded.AsSpan().IndexOf("agent.run"u8);
        "a?@b.com."u8.CopyTo(encoded.AsSpan(at)); // no name that is kept
        var receipt = await ImportAsync(second, Encoding.UTF8.GetBytes(file.Replace(value, Convert.ToBase64String(encoded), StringComparison.Ordinal)), carries: true);
        Assert.Equal((2, 1), (receipt.Accepted, receipt.Rejected));
        receipt = await ImportAsync(second, Encoding.UTF8.GetBytes(file), carries: false);
        Assert.Equal((3, 0), (receipt.Accepted, receipt.Rejected)); // spans as any others: the encoding is sealed as an attribute
        Assert.NotEqual(Digests(first), Digests(second));
    }

    [Fact]
    public void Judgements_stand_on_what_they_judge()
    {
        using var at = new TemporaryStore();
        at.Send(
            new Sent(1, 1, "agent.run") { Until = 9 }.With(("agent.run_id", "run_x")),
            new Sent(1, 2, "chat") { Parent = 1, At = 1, Until = 2 }.With(("gen_ai.request.model", "m"), ("gen_ai.response.id", "resp_1")),
            new Sent(1, 3, "gen_ai.evaluation.result") { Parent = 2, At = 3 }.With(("gen_ai.evaluation.name", "faithfulness"), ("gen_ai.evaluation.score.value", 0.25), ("gen_ai.evaluation.score.label", "fail"), ("gen_ai.evaluation.explanation", "it says what no document says")),
            new Sent(1, 4, "carrier") { At = 4, Link = (1, 2) }.With(("openinference.span.kind", "EVALUATOR"), ("evaluations.0.evaluation.name", "toxicity"), ("evaluations.0.evaluation.score", 0.0), ("evaluations.1.evaluation.name", "tone"), ("evaluations.1.evaluation.label", "rude")));
        var story = at.Story("run_x");
        Assert.Equal(["faithfulness", "tone", "toxicity"], story.Evals.Select(e => e.Name).Order(StringComparer.Ordinal));
        Assert.All(story.Evals, e => Assert.Equal(Sent.SpanHex(2), e.TargetSpanId));
        Assert.False(story.Evals.Single(e => e.Name == "faithfulness").Passed);
        Assert.NotNull(story.Evals.Single(e => e.Name == "faithfulness").ReasonPayload);
        Assert.Contains("eval_failed", story.Run.Flags);
    }
}
