using Evident.Ingest;

namespace Evident.Tests.Ingest;

/// <summary>Pointers to content that a sender keeps elsewhere stay in the trace; secrets in them, and content in the form of a pointer, do not.</summary>
public sealed class ReferenceTests
{
    [Theory]
    [InlineData("gs://bucket/2026/05/06/inputs.json", "gs://bucket/2026/05/06/inputs.json", false)]
    [InlineData("s3://prompts/a=1/b,c/x~y+z_0.jsonl", "s3://prompts/a=1/b,c/x~y+z_0.jsonl", false)]
    [InlineData("vault_7Qw-93", "vault_7Qw-93", false)]
    [InlineData("https://b.s3.amazonaws.com/k?X-Amz-Signature=0123456789abcdef&versionId=3", "https://b.s3.amazonaws.com/k?…", true)]
    [InlineData("https://x.example/a#said=The-customer", "https://x.example/a?…", true)]
    [InlineData("https://user:hunter2@blobs.example/a", "https://blobs.example/a", true)]
    [InlineData("https://us@er:p@ss@blobs.example", "https://blobs.example", true)]
    [InlineData("https://blobs.example/canary.person@secret-mail.example/a", "https://[email]/a", true)] // a slash may stand in an address of mail: rather too much than too little
    [InlineData("data:text/plain;base64,SGVsbG8gTXJzIE1pbGxlcg==", null, true)]
    [InlineData("DATA:,hello", null, true)]
    [InlineData("https://x.example/The%20customer%20said%20no", null, true)]
    [InlineData("the prompt itself, by mistake", null, true)]
    [InlineData("https://", "https://", false)]
    public void A_reference_is_kept_as_addresses_are(string sent, string? kept, bool sealedToo)
    {
        foreach (string key in (string[])["gen_ai.input.messages_ref", "gen_ai.anything.new_ref", "tool.args.ref"])
        {
            var sealer = new RecordingSealer();
            var span = Cleaning.One(new OtlpSpan("chat x", key.Is(sent)), sealer);
            Assert.Equal(kept, span.Attributes.SingleOrDefault(a => a.Key == key).Value.Text);
            Assert.Equal(sealedToo, sealer.Sealed.Any(s => s.Role == "attributes")); // what was cut off, or refused, is not lost: it is sealed, redacted
            Assert.DoesNotContain(sealer.Sealed, s => s.Text.Contains("hunter2", StringComparison.Ordinal) || s.Text.Contains("canary.person", StringComparison.Ordinal) || s.Text.Contains("0123456789abcdef", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void A_long_reference_is_sealed()
    {
        var span = Cleaning.One(new OtlpSpan("chat x", "gen_ai.input.messages_ref".Is("gs://bucket/" + new string('a', 600))));
        Assert.Empty(span.Attributes);
        Assert.Single(span.Payloads, p => p.Role == "attributes");
    }

    [Theory]
    [InlineData("gen_ai.input.messages_ref", "input.messages")]
    [InlineData("gen_ai.output.messages_ref", "output.messages")]
    [InlineData("gen_ai.system_instructions_ref", "system_instructions")]
    [InlineData("gen_ai.something.else_ref", "attributes")]
    [InlineData("tool.result.ref", "tool.result")]
    [InlineData("gen_ai._ref", null)]
    [InlineData("gen_ai.input.messages", null)]
    [InlineData("other_ref", null)]
    public void The_table_says_what_is_kept_elsewhere(string key, string? role) => Assert.Equal(role, Conventions.Default.Elsewhere(key));

    [Fact]
    public void Where_nothing_is_captured_a_reference_needs_the_allow_list()
    {
        var rules = RuleSet.TryBuild(new RedactionOptions { Everyone = new TenantRedaction { Allow = ["gen_ai.input.messages_ref"] } }, out _)!;
        var cleaner = new SpanCleaner(Conventions.Default, rules, CapturePolicy.TryBuild(new CaptureOptions { Mode = CaptureMode.Structure }, out _)!, new IngestLimits());
        using var clean = Cleaning.Clean(into => OtlpTraceDecoder.Decode(OtlpRequest.Of(new OtlpSpan("chat x", "gen_ai.input.messages_ref".Is("gs://b/in"), "gen_ai.output.messages_ref".Is("gs://b/out"))).Protobuf(), new IngestLimits(), into), new RecordingSealer(), cleaner);
        var attribute = Assert.Single(StoredSpan.Decode(clean.Encoded(0)).Attributes);
        Assert.Equal(("gen_ai.input.messages_ref", "gs://b/in"), (attribute.Key, attribute.Value.Text));
    }
}
