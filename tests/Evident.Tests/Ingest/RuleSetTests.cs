using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

public sealed class RuleSetTests
{
    private static RuleSet Build(RedactionOptions options)
    {
        var set = RuleSet.TryBuild(options, out var problems);
        Assert.Empty(problems);
        return set!;
    }

    private static RedactionOptions Own(params (string Name, string Pattern)[] rules) =>
        new() { Everyone = new TenantRedaction { Rules = rules.ToDictionary(r => r.Name, r => r.Pattern) } };

    private static string Redact(Redactor redactor, string text) => Encoding.UTF8.GetString(redactor.Redact(text.Utf8(), new RedactionTally(redactor.Rules)));

    [Fact]
    public void The_hash_is_of_the_text_and_follows_every_change()
    {
        Assert.Equal(SHA256.HashData(RuleSet.Default.ToText().Utf8()), RuleSet.Default.Hash);
        Assert.Equal(RuleSet.Default.Hash, Build(new RedactionOptions()).Hash);
        RedactionOptions[] changes =
        [
            new() { On = ["us_ssn"] }, new() { Off = ["phone"] }, new() { Off = ["github_token"] }, new() { AllowListOnly = true }, Own(("account", @"\bACC-[0-9]{8}\b")), Own(("account", @"\bACC-[0-9]{9}\b")),
            new() { Everyone = new TenantRedaction { Names = ["badge"] } }, new() { Everyone = new TenantRedaction { NotNames = ["badge"] } }, new() { Everyone = new TenantRedaction { Allow = ["badge"] } },
            new() { Tenants = new Dictionary<string, TenantRedaction> { ["t"] = new() { Names = ["badge"] } } },
        ];
        Assert.Equal(changes.Length + 1, changes.Select(c => Convert.ToHexString(Build(c).Hash)).Append(Convert.ToHexString(RuleSet.Default.Hash)).Distinct().Count());
    }

    [Theory]
    [InlineData(@"\bACC-[0-9]{8}\b", "see ACC-12345678 now", "see [own] now", "a long run")]
    [InlineData(@"EMP[0-9]{5}", "see EMP12345.", "see [own].", "its literal")]
    [InlineData(@"\b\d{4}:[a-z]{4}", "at 1234:abcd", "at [own]", "a digit")]
    [InlineData(@"[xyz]{3}\.\w{2,}", "go xyz.ab_9!", "go [own]!", "nothing")]
    [InlineData(@"(DE|AT)-VTR-[0-9]{6,9}", "DE-VTR-1234567 AT-VTR-123456 CH-VTR-123456", "[own] [own] CH-VTR-123456", "a long run")]
    [InlineData(@"file: [A-Z]{2,}", "file: ABCDEF x", "[own] x", "its literal")]
    [InlineData(@"Q[0-9]{3,}", "Q1234567", "[own]", "nothing")]
    public void A_pattern_of_the_configuration_finds_what_it_says(string pattern, string text, string redacted, string prefilter)
    {
        var set = Build(Own(("own", pattern)));
        Assert.Equal(redacted, Redact(set.Redactor, text));
        Assert.Equal(prefilter, set.Rules[^1].Prefilter);
        Assert.Equal(prefilter == "nothing" ? 1 : 0, set.Notices.Count);
        string far = new('.', 1000);
        Assert.Equal(far + redacted + far, Redact(set.Redactor, far + text + far));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a.*b")]
    [InlineData("abc+")]
    [InlineData("[a-z")]
    [InlineData("[z-a]{5}")]
    [InlineData("[]{5}")]
    [InlineData("[0-9]{5,4}")]
    [InlineData("[0-9]{99999}")]
    [InlineData("[0-9]{0,9}abcd")]
    [InlineData("(abc")]
    [InlineData("(a|)bcdef")]
    [InlineData("abc")]
    [InlineData(@"\qabcd")]
    [InlineData("jörg[0-9]{4}")]
    public void A_pattern_that_cannot_be_used_says_why(string pattern)
    {
        Assert.Null(RuleSet.TryBuild(Own(("own", pattern)), out var problems));
        Assert.StartsWith("the pattern of the redaction rule 'own' ", Assert.Single(problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Names_of_rules_are_unique_and_known()
    {
        Assert.Null(RuleSet.TryBuild(Own(("email", "abcd[0-9]{9}")), out var problems));
        Assert.Single(problems);
        Assert.Null(RuleSet.TryBuild(Own(("Big", "abcd[0-9]{9}")), out problems));
        Assert.Single(problems);
        Assert.Null(RuleSet.TryBuild(new RedactionOptions { Off = ["nope"] }, out problems));
        Assert.Single(problems);
    }

    [Fact]
    public void A_rule_that_is_off_finds_nothing_and_one_that_is_on_does()
    {
        const string text = "219-09-9999 and +49 30 901820";
        Assert.Equal("219-09-9999 and [phone]", Redact(RuleSet.Default.Redactor, text));
        Assert.Equal("[national_id] and +49 30 901820", Redact(Build(new RedactionOptions { On = ["us_ssn"], Off = ["phone"] }).Redactor, text));
        string token = Planted.Make("ghp_{A36}");
        Assert.Equal(token, Redact(Build(new RedactionOptions { Off = ["github_token"] }).Redactor, token));
    }

    [Fact]
    public void A_tenant_has_rules_and_names_of_its_own()
    {
        var set = Build(new RedactionOptions
        {
            Everyone = new TenantRedaction { Names = ["badge*"] },
            Tenants = new Dictionary<string, TenantRedaction>
            {
                ["acme"] = new() { Rules = new Dictionary<string, string> { ["acme_file"] = @"\bAF-[0-9]{10}\b" }, Names = ["locker"], NotNames = ["team_token"] },
            },
        });
        const string text = "AF-0123456789 badge_no=44x locker=77z team_token=abcd";
        Assert.Equal("AF-0123456789 badge_no=[secret] locker=77z team_token=[secret]", Redact(set.Redactor, text));
        Assert.Equal("[acme_file] badge_no=[secret] locker=[secret] team_token=abcd", Redact(set.RedactorOf("acme"), text));
        Assert.Same(set.Redactor, set.RedactorOf("other"));
    }

    [Fact]
    public void Spans_are_cleaned_by_the_rules_of_their_tenant()
    {
        var set = Build(new RedactionOptions { Tenants = new Dictionary<string, TenantRedaction> { ["acme"] = new() { Rules = new Dictionary<string, string> { ["acme_file"] = @"\bAF-[0-9]{10}\b" } } } });
        var cleaner = new SpanCleaner(Conventions.Default, set, CapturePolicy.Default, new IngestLimits());
        foreach (var (tenant, expected) in (ReadOnlySpan<(string, string)>)[("acme", "[acme_file]"), ("other", "AF-0123456789"), ("acme", "[acme_file]")])
        {
            using var batch = SpanBatch.Rent();
            OtlpTraceDecoder.Decode(OtlpRequest.Of(new OtlpSpan("x", "tenant_id".Is(tenant), "file".Is("AF-0123456789"))).Protobuf(), new IngestLimits(), batch);
            using var clean = cleaner.Clean(batch, new NamedScopes(), new RecordingSealer());
            Assert.Equal(expected, StoredSpan.Decode(clean.Encoded(0)).Attributes.Single(a => a.Key == "file").Value.Text);
            Assert.Equal(tenant == "acme" ? 1 : 0, clean.Counts.IsEmpty ? 0 : clean.Counts.Span[set.Rules[^1].Index]);
        }
    }

    [Fact]
    public void In_allow_list_mode_only_canonical_fields_and_listed_keys_stay()
    {
        var set = Build(new RedactionOptions { AllowListOnly = true, Everyone = new TenantRedaction { Allow = ["kept.exactly", "kept.all.*"] } });
        var cleaner = new SpanCleaner(Conventions.Default, set, CapturePolicy.Default, new IngestLimits());
        using var batch = SpanBatch.Rent();
        var span = new OtlpSpan("x", "kept.exactly".Is("a"), "kept.all.b".Is("b"), "other".Is("c"), "http.request.method".Is("GET"), "gen_ai.request.model".Is("gpt-4o"), "kept.all.mail".Is("a b c@d.io"))
        {
            Events = [new OtlpEvent("e", 1, "kept.exactly".Is("d"), "other".Is("e"))], Links = [new OtlpLink(Convert.FromHexString("0af7651916cd43dd8448eb211c80319c"), Convert.FromHexString("b7ad6b7169203331"), "", "other".Is("f"))],
            Message = "short",
        };
        OtlpTraceDecoder.Decode(new OtlpRequest(new OtlpResourceSpans(["service.name".Is("svc"), "host.name".Is("h1"), "kept.exactly".Is("r")], "tests", "1.0", [], [span])).Protobuf(), new IngestLimits(), batch);
        var sealer = new RecordingSealer();
        using var clean = cleaner.Clean(batch, new NamedScopes(), sealer);
        var stored = StoredSpan.Decode(clean.Encoded(0));
        Assert.Equal(["kept.all.b", "kept.exactly"], stored.Attributes.Select(a => a.Key).Order(StringComparer.Ordinal));
        Assert.Equal("gpt-4o", stored.Text(Field.ModelRequested));
        Assert.Equal("svc", stored.Text(Field.ServiceName));
        Assert.Contains("\"other\":\"c\"", sealer.Text("attributes"), StringComparison.Ordinal);
        Assert.Contains("\"http.request.method\":\"GET\"", sealer.Text("attributes"), StringComparison.Ordinal);
        Assert.Contains("\"other\":\"e\"", sealer.Text("events"), StringComparison.Ordinal);
        Assert.Contains("\"host.name\":\"h1\"", sealer.Text("resource"), StringComparison.Ordinal);
        Assert.Contains("[email]", sealer.Text("attributes"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_dry_run_says_where_and_never_what()
    {
        string token = Planted.Make("ghp_{A36}");
        byte[] request = OtlpRequest.Of(new OtlpSpan("x", "note".Is($"see {token}"), "password".Is("hunter22"))
        {
            Events = [new OtlpEvent("e", 1, "exception.stacktrace".Is($"at {token}"))],
        }).Protobuf();
        var run = RedactionDryRun.Of(request, RuleSet.Default.Redactor);
        Assert.Equal("otlp-protobuf", run.Format);
        Assert.Equal(
            [("span b7ad6b7169203331 attribute note", "github_token", 40), ("span b7ad6b7169203331 attribute password", "named_secret", 8), ("span b7ad6b7169203331 event 0 attribute exception.stacktrace", "github_token", 40)],
            run.Findings.Select(f => (f.Place, f.Finding.Rule, f.Finding.Length)));
        Assert.All(run.Findings, f => Assert.True(f.Finding.Begins.Length <= 2 && !f.Place.Contains("hunter", StringComparison.Ordinal)));
    }
}
