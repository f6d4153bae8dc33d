using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

/// <summary>Which mode of capture a span falls under, and what each mode leaves of its payloads.</summary>
public sealed class CaptureTests
{
    private static CapturePolicy Policy(CaptureMode mode, bool strict, string[] optOut, params CaptureRule[] rules) =>
        CapturePolicy.TryBuild(new CaptureOptions { Mode = mode, UnnamedIsStrict = strict, OptOut = optOut, Rules = rules }, out var problems) ?? throw new ArgumentException(string.Join(' ', problems));

    private static CaptureMode ModeOf(CapturePolicy policy, string tenant, string workflow, string environment) =>
        policy.ModeOf(new CaptureSubject { Tenant = Encoding.UTF8.GetBytes(tenant), Workflow = Encoding.UTF8.GetBytes(workflow), Environment = Encoding.UTF8.GetBytes(environment) });

    private static CaptureRule Rule(CaptureMode mode, string? tenant = null, string? workflow = null, string? environment = null) => new(tenant, workflow, environment, mode);

    [Fact]
    public void The_strictest_rule_that_matches_counts_in_whatever_order_they_stand()
    {
        CaptureRule[] rules = [Rule(CaptureMode.Redacted, environment: "dev"), Rule(CaptureMode.Structure, workflow: "refund-*"), Rule(CaptureMode.Redacted, tenant: "acme")];
        foreach (var order in (CaptureRule[][])[rules, [.. rules.Reverse()]])
        {
            var policy = Policy(CaptureMode.Structure, strict: true, ["closed"], order);
            Assert.Equal(CaptureMode.Redacted, ModeOf(policy, "other", "triage", "dev"));
            Assert.Equal(CaptureMode.Structure, ModeOf(policy, "other", "refund-v7", "DEV"));
            Assert.Equal(CaptureMode.Structure, ModeOf(policy, "acme", "Refund-", "prod"));
            Assert.Equal(CaptureMode.Redacted, ModeOf(policy, "acme", "refun", "prod"));
            Assert.Equal(CaptureMode.Structure, ModeOf(policy, "other", "triage", "prod"));
            Assert.Equal(CaptureMode.OptOut, ModeOf(policy, " closed ", "triage", "dev"));
            Assert.Equal(CaptureMode.OptOut, ModeOf(policy, "CLOSED", "refund-v7", "dev"));
            Assert.Equal(CaptureMode.Redacted, ModeOf(policy, "closed2", "triage", "dev"));
        }
    }

    [Fact]
    public void What_a_span_does_not_say_is_held_against_it_unless_configured_otherwise()
    {
        CaptureRule[] rules = [Rule(CaptureMode.Structure, tenant: "acme", workflow: "refund")];
        var strict = Policy(CaptureMode.Redacted, strict: true, ["closed"], rules);
        Assert.Equal(CaptureMode.OptOut, ModeOf(strict, "", "refund", "prod"));
        Assert.Equal(CaptureMode.Structure, ModeOf(strict, "acme", "", "prod"));
        Assert.Equal(CaptureMode.Redacted, ModeOf(strict, "acme", "other", ""));
        Assert.Equal(CaptureMode.Redacted, ModeOf(strict, "other", "", ""));
        var lenient = Policy(CaptureMode.Redacted, strict: false, ["closed"], rules);
        Assert.Equal(CaptureMode.Redacted, ModeOf(lenient, "", "refund", "prod"));
        Assert.Equal(CaptureMode.Redacted, ModeOf(lenient, "acme", "", "prod"));
        Assert.Equal(CaptureMode.Structure, ModeOf(lenient, "acme", "refund", ""));
        // A rule that loosens never applies on a guess.
        Assert.Equal(CaptureMode.Structure, ModeOf(Policy(CaptureMode.Structure, strict: true, [], Rule(CaptureMode.Redacted, environment: "dev")), "t", "w", ""));
    }

    [Fact]
    public void Wrong_rules_are_refused_with_a_sentence_each()
    {
        var options = new CaptureOptions { OptOut = ["*", " a"], Rules = [Rule(CaptureMode.Redacted), Rule(CaptureMode.Full, tenant: "a"), Rule(CaptureMode.Structure, workflow: "a\nb")] };
        Assert.Null(CapturePolicy.TryBuild(options, out var problems));
        Assert.Equal(5, problems.Count);
        Assert.Null(CapturePolicy.TryBuild(new CaptureOptions { OptOut = [.. Enumerable.Range(0, CapturePolicy.MaxRules + 1).Select(i => $"t{i}")] }, out problems));
        Assert.Single(problems);
    }

    [Fact]
    public void The_hash_tells_policies_apart_and_not_the_order_of_their_rules()
    {
        CaptureRule a = Rule(CaptureMode.Structure, tenant: "a"), b = Rule(CaptureMode.Structure, workflow: "b");
        string[] hashes = [.. new[] { Policy(CaptureMode.Redacted, true, []), Policy(CaptureMode.Structure, true, []), Policy(CaptureMode.Redacted, false, []), Policy(CaptureMode.Redacted, true, ["a"]), Policy(CaptureMode.Redacted, true, [], a), Policy(CaptureMode.Redacted, true, [], a, b), Policy(CaptureMode.Redacted, true, [], Rule(CaptureMode.Structure, workflow: "a")) }.Select(p => Convert.ToHexString(p.Hash))];
        Assert.Equal(hashes.Length, hashes.Distinct().Count());
        Assert.Equal(Policy(CaptureMode.Redacted, true, [], b, a).Hash, Policy(CaptureMode.Redacted, true, [], a, b).Hash);
        Assert.Equal(CapturePolicy.Default.Hash, Policy(CaptureMode.Redacted, true, []).Hash);
    }

    private static StoredSpan One(SpanCleaner by, OtlpSpan span, RecordingSealer? sealer = null) => All(by, sealer ?? new RecordingSealer(), new OtlpResourceSpans([], "tests", "1.0", [], [span]))[0];

    private static StoredSpan[] All(SpanCleaner by, RecordingSealer sealer, params OtlpResourceSpans[] resources)
    {
        using var clean = Cleaning.Clean(into => OtlpTraceDecoder.Decode(new OtlpRequest(resources).Protobuf(), new IngestLimits(), into), sealer, by);
        return [.. Enumerable.Range(0, clean.Count).Select(i => StoredSpan.Decode(clean.Encoded(i)))];
    }

    private static readonly OtlpSpan Call = new("execute_tool refund", "tool.name".Is("refund.submit"), "tool.args".Is("""{"order":"A-1"}"""), "gen_ai.request.model".Is("gpt-4o"), "agent.name".Is("Refund Assistant"), "note".Is("word"),
        "retries".Is(3L), "tool.args.hash".Is("sha256:" + new string('a', 64)), "exception.message".Is("no such order"))
    { Message = "went wrong", Status = 2 };

    [Fact]
    public void Structure_keeps_role_size_and_fingerprint_and_seals_nothing()
    {
        var sealer = new RecordingSealer();
        var span = One(Cleaning.By(new CaptureOptions { Mode = CaptureMode.Structure }), Call, sealer);
        Assert.Empty(sealer.Sealed);
        Assert.Empty(span.Payloads);
        Assert.Equal(CaptureMode.Structure, span.Capture);
        Assert.Equal(["tool.args", "exception", "status_message", "attributes"], span.Uncaptured.Select(p => p.Role));
        Assert.Equal("""{"order":"A-1"}""".Length, span.Uncaptured[0].Bytes);
        Assert.Matches("^once-hmac-sha256:[0-9a-f]{16}:[0-9a-f]{64}$", span.Uncaptured[0].Fingerprint);
        Assert.Equal(("refund.submit", "gpt-4o", "error"), (span.Text(Field.ToolName), span.Text(Field.ModelRequested), span.Status.ToName()));
        Assert.Null(span.Text(Field.AgentName)); // two words: it may be a sentence
        Assert.Null(span.Text(Field.ToolArgsHash)); // the sender's hash can be guessed, and the key of ours lies in the keystore
        Assert.Empty(span.Attributes);
    }

    [Fact]
    public void Opt_out_keeps_nothing_about_payloads_but_that_there_were_some()
    {
        var sealer = new RecordingSealer();
        var by = Cleaning.By(new CaptureOptions { OptOut = ["acme"] });
        var span = One(by, Call with { Attributes = [.. Call.Attributes, "tenant_id".Is("acme")] }, sealer);
        Assert.Empty(sealer.Sealed);
        Assert.Equal((0, 0, CaptureMode.OptOut), (span.Payloads.Count, span.Uncaptured.Count, span.Capture));
        Assert.Equal("refund.submit", span.Text(Field.ToolName));
        Assert.Equal(CaptureMode.Redacted, One(by, new OtlpSpan("plain", "tenant_id".Is("acme")), sealer).Capture); // it had no payload: nothing was left out
        Assert.NotEmpty(One(by, Call with { Attributes = [.. Call.Attributes, "tenant_id".Is("other")] }, sealer).Payloads);
    }

    [Fact]
    public void A_fingerprint_compares_within_one_process_and_its_key_is_nowhere()
    {
        OtlpSpan yes = new("execute_tool x", "tool.name".Is("x"), "tool.args".Is("yes")), no = new("execute_tool x", "tool.name".Is("x"), "tool.args".Is("no!"));
        SpanCleaner one = Cleaning.By(new CaptureOptions { Mode = CaptureMode.Structure }), other = Cleaning.By(new CaptureOptions { Mode = CaptureMode.Structure });
        Assert.Equal(One(one, yes).Fingerprint("tool.args"), One(one, yes).Fingerprint("tool.args"));
        Assert.NotEqual(One(one, yes).Fingerprint("tool.args"), One(one, no).Fingerprint("tool.args"));
        Assert.NotEqual(One(one, yes).Fingerprint("tool.args"), One(other, yes).Fingerprint("tool.args"));
        Assert.NotEqual(One(one, yes).Fingerprint("tool.args")![..33], One(other, yes).Fingerprint("tool.args")![..33]); // ids of the keys: two processes are never compared

        // No guess can be tried with what the appliance keeps: neither the plain hash nor that under any key of the scope.
        var scope = NamedScopes.Make("");
        string kept = One(one, yes).Fingerprint("tool.args")!;
        foreach (byte[] known in (byte[][])[SHA256.HashData("yes"u8), HMACSHA256.HashData(scope.FingerprintKey, "yes"u8), HMACSHA256.HashData(scope.PseudonymKey, "yes"u8), HMACSHA256.HashData(scope.StaffKey, "yes"u8)])
            Assert.DoesNotContain(Convert.ToHexStringLower(known), kept, StringComparison.Ordinal);

        // A retry that meets a new process is still a retry.
        using var before = Cleaning.Clean(into => OtlpTraceDecoder.Decode(OtlpRequest.Of(yes).Protobuf(), new IngestLimits(), into), new RecordingSealer(), one);
        using var after = Cleaning.Clean(into => OtlpTraceDecoder.Decode(OtlpRequest.Of(yes).Protobuf(), new IngestLimits(), into), new RecordingSealer(), other);
        Assert.Equal(before[0].Digest, after[0].Digest);
    }

    [Fact]
    public void The_resource_and_the_other_spans_of_a_trace_say_what_a_span_does_not()
    {
        var by = Cleaning.By(new CaptureOptions { Rules = [Rule(CaptureMode.Structure, workflow: "refund", environment: "prod")] });
        OtlpSpan child = new("execute_tool x", "tool.name".Is("x"), "tool.args".Is("a b")) { Id = Convert.FromHexString("b7ad6b7169203332") };
        OtlpSpan Root(string workflow) => new("agent.run", "agent.workflow_id".Is(workflow));
        CaptureMode Child(params OtlpResourceSpans[] resources) => All(by, new RecordingSealer(), resources).Single(s => s.Kind == StepKind.Tool).Capture;
        OtlpResourceSpans In(string? environment, params OtlpSpan[] spans) => new(environment is null ? [] : ["deployment.environment".Is(environment)], "tests", "1.0", [], spans);

        Assert.Equal(CaptureMode.Structure, Child(In("prod", child, Root("refund"))));
        Assert.Equal(CaptureMode.Redacted, Child(In("prod", child, Root("triage"))));
        Assert.Equal(CaptureMode.Redacted, Child(In("dev", child, Root("refund"))));
        Assert.Equal(CaptureMode.Structure, Child(In("prod", child)));
        Assert.Equal(CaptureMode.Structure, Child(In("prod", child, Root("triage"), Root("other") with { Id = Convert.FromHexString("b7ad6b7169203333") }))); // they differ: which one it is of is not known
        Assert.Equal(CaptureMode.Structure, Child(In(null, child), In("prod", Root("refund"))));
    }

    [Fact]
    public void Revisions_unite_what_was_captured_and_what_was_not()
    {
        var structure = One(Cleaning.By(new CaptureOptions { Mode = CaptureMode.Structure }), Call);
        var redacted = One(Cleaning.By(new CaptureOptions()), Call);
        var merged = StoredSpan.Merge([structure, redacted]);
        Assert.Equal((CaptureMode.Redacted, redacted.Payloads.Count), (merged.Capture, merged.Payloads.Count));
        Assert.Empty(merged.Uncaptured);
        merged = StoredSpan.Merge([redacted, structure]);
        Assert.Equal((CaptureMode.Structure, redacted.Payloads.Count), (merged.Capture, merged.Payloads.Count)); // what was sealed is still there
        Assert.Empty(merged.Uncaptured);
        merged = StoredSpan.Merge([structure, One(Cleaning.By(new CaptureOptions()), new OtlpSpan("execute_tool refund", "output.value".Is("a b")))]);
        Assert.Equal((4, 1), (merged.Uncaptured.Count, merged.Payloads.Count));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(39)]
    public void A_seal_that_is_cut_off_is_damage(int left)
    {
        using var clean = Cleaning.Clean(into => OtlpTraceDecoder.Decode(OtlpRequest.Of(new OtlpSpan("execute_tool x", "tool.args".Is("yes no"))).Protobuf(), new IngestLimits(), into), new RecordingSealer(),
            Cleaning.By(new CaptureOptions { Mode = CaptureMode.Structure }));
        byte[] whole = clean.Encoded(0).ToArray();
        Assert.Single(StoredSpan.Decode(whole).Uncaptured);
        byte[] cut = [.. whole[..^41], (byte)left, .. whole[^40..^(40 - left)]];
        Assert.Throws<SpanFormatException>(() => StoredSpan.Decode(cut));
    }
}
