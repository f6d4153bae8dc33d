using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

public sealed class CleanerTests
{
    // Each is what a detector knows; none may be readable anywhere, in any of the forms below.
    private static readonly string[] Canaries =
    [
        "canary.person@secret-mail.example", "+49 30 90182045", "sk-proj-CanarY7" + "abcdefghij0123456789", "4111 1111 1111 1111", "DE89370400440532013000", "ghp_" + "Canary7890abcdefghijABCDEFGHIJ012345",
        "AKIA" + "CANARYCANARY1234", "-----BEGIN PRIVATE KEY-----\nMIICanary\n-----END PRIVATE KEY-----",
    ];

    private static IEnumerable<OtlpRequest> WithCanaryEverywhere(string canary)
    {
        OtlpSpan plain = new("agent.run", "agent.run_id".Is("run_1"));
        OtlpLink link = new(plain.Trace, plain.Id, "");
        object?[] shapes = [canary, $"text with {canary} inside", canary.Utf8(), new object?[] { "x", canary, new object?[] { canary.Utf8() } }, new[] { "k".Is(canary), canary.Is(1) }, "{\"deep\":{\"q\":\"" + System.Text.Json.JsonEncodedText.Encode(canary) + "\"}}", Convert.ToBase64String(canary.Utf8())];
        string[] keys = ["custom.key", "tool.name", "tool.args", "tool.args.to", "agent.run_id", "agent.session_id", "agent.tenant_id", "user.id", "approval.approver_id", "approval.reason", "status", "error.type", "input.value", "service.name", "gen_ai.usage.input_tokens", "verify.passed", "tool.args.hash", "url.full", "decision", "event_type", "exception.message", "gen_ai.response.finish_reasons"];
        foreach (object? shape in shapes)
            yield return OtlpRequest.Of([.. keys.Select(k => plain with { Attributes = [k.Is(shape)] })]);
        yield return OtlpRequest.Of(plain with { Attributes = [canary.Is("v"), $"a.{canary}".Is(1)] }, plain with { Name = canary }, plain with { Name = "chat " + canary }, plain with { State = "vendor=" + canary }, plain with { State = canary },
            plain with { Status = 2, Message = canary }, plain with { Status = 2, Message = "failed for " + canary });
        foreach (object? shape in shapes)
        {
            yield return OtlpRequest.Of(
                plain with { Events = [new OtlpEvent(canary, 1), new OtlpEvent("exception", 2, "exception.message".Is(shape), "exception.type".Is(shape), "other".Is(shape), canary.Is(shape)), new OtlpEvent("approval_decision", 3, "reason".Is(shape), "decision".Is(shape), "approver_id".Is(shape))] },
                plain with { Links = [link with { State = canary }, link with { Attributes = ["k".Is(shape), canary.Is(2), "tool.name".Is(shape)] }] });
            yield return new OtlpRequest(new OtlpResourceSpans(["service.name".Is(shape), "custom".Is(shape), canary.Is(1), "tenant_id".Is(shape), "user.id".Is(shape), "process.command_line".Is(shape)], canary, canary, ["k".Is(shape), canary.Is(shape)], [plain]));
        }
    }

    [Fact]
    public void Planted_secrets_never_leave_in_any_position_or_encoding()
    {
        foreach (string canary in Canaries)
        {
            string escaped = System.Text.Json.JsonEncodedText.Encode(canary).Value;
            string[] forms = [canary, escaped, canary.Replace("\n", "\\n", StringComparison.Ordinal), canary.Replace("@", "\\u0040", StringComparison.Ordinal), .. Base64Cores(canary), Convert.ToHexString(canary.Utf8()), Convert.ToHexStringLower(canary.Utf8())];
            foreach (var request in WithCanaryEverywhere(canary))
            {
                foreach (bool json in new[] { false, true })
                {
                    var sealer = new RecordingSealer();
                    using var clean = Cleaning.Clean(request, sealer, json);
                    Assert.True(clean.Count > 0);
                    for (int i = 0; i < clean.Count; i++)
                    {
                        string stored = Encoding.Latin1.GetString(clean.Encoded(i));
                        foreach (string form in forms) Assert.False(stored.Contains(form, StringComparison.OrdinalIgnoreCase), $"span {i} of a request holds the canary {canary} as {form}:\n{stored}");
                        StoredSpan.Decode(clean.Encoded(i));
                    }
                    foreach (var payload in sealer.Sealed)
                        foreach (string form in forms) Assert.False(payload.Text.Contains(form, StringComparison.OrdinalIgnoreCase), $"payload {payload.Role} holds the canary {canary} as {form}:\n{payload.Text}");
                }
            }
        }
    }

    // The part of its base64 that does not depend on what stands around it, at each of the three alignments.
    private static IEnumerable<string> Base64Cores(string text)
    {
        for (int shift = 0; shift < 3; shift++)
        {
            string encoded = Convert.ToBase64String((new string(' ', shift) + text + "  ").Utf8());
            yield return encoded[(shift == 0 ? 0 : 4)..^8];
        }
    }

    [Fact]
    public void Unknown_attributes_pass_or_are_sealed_by_the_gate()
    {
        var sealer = new RecordingSealer();
        var span = Cleaning.One(new OtlpSpan("x", "invoice.id".Is("INV-2026-0042"), "billing.status_code".Is(200), "ratio".Is(0.5), "flag".Is(true), "mail".Is("a@b.io"), "words".Is("two words"), "url".Is("https://h/p?q=1"),
            "long".Is(new string('a', 65)), "list".Is(new object?[] { 1L }), "card".Is(4111111111111111), "strange key".Is("v"), "api_key".Is("plainsecret"), "nan".Is(double.NaN), "none".Is(null)), sealer);
        Assert.Equal(["invoice.id", "billing.status_code", "ratio", "flag", "mail", "nan"], span.Attributes.Select(a => a.Key));
        Assert.Equal("[email]", span.Attributes[4].Value.Text);
        Assert.Equal("NaN", span.Attributes[5].Value.Text);
        Assert.Equal($$"""{"words":"two words","url":"https://h/p?q=1","long":"{{new string('a', 65)}}","list":[1],"card":"[card]","strange key":"v","api_key":"[secret]"}""", sealer.Text("attributes"));
    }

    [Fact]
    public void An_element_of_a_list_says_no_more_than_a_plain_value_may()
    {
        var sealer = new RecordingSealer();
        var span = Cleaning.One(new OtlpSpan("x",
            "gen_ai.response.finish_reasons".Is(new object?[] { "she asked \"why\" it was\tlate" }),
            "gen_ai.request.stop_sequences".Is(new object?[] { "END", "two words" }),
            "gen_ai.request.encoding_formats".Is(new object?[] { "base64", 2L, true })), sealer);
        Assert.Null(span.Text(Field.StopReason));
        Assert.Equal(["gen_ai.request.encoding_formats"], span.Attributes.Select(a => a.Key));
        Assert.Contains("she asked", sealer.Text("attributes"), StringComparison.Ordinal);

        span = Cleaning.One(new OtlpSpan("x", "gen_ai.response.finish_reasons".Is(new object?[] { "stop", "length" })));
        Assert.Equal("stop", span.Text(Field.StopReason));
    }

    [Theory]
    [InlineData(4256212729698369.0)]
    [InlineData(4111111111111111L)]
    [InlineData("4111111111111111")]
    public void A_card_number_is_no_count_in_whatever_form_it_comes(object number)
    {
        var span = Cleaning.One(new OtlpSpan("x", "gen_ai.usage.input_tokens".Is(number), "cost_usd".Is(number), "custom".Is(number)));
        Assert.DoesNotContain(span.Attributes, a => a.Value.Text is not "[card]");
        Assert.Null(span.Integer(Field.TokensIn));
        Assert.Null(span.Number(Field.CostUsd));
    }

    [Theory]
    [InlineData("chat gpt-4.1", "chat gpt-4.1")]
    [InlineData("GET /users/{id} of the api", "GET /users/{id} of the api")]
    [InlineData("three plain words", "three plain words")]
    [InlineData("this has four words", "span")]
    [InlineData("chat one two three four five", "llm gpt-4.1")]
    [InlineData("Refund for José", "span")]
    [InlineData("mail a@b.io", "span")]
    public void Names_keep_when_clean_and_short(string name, string stored)
    {
        var sealer = new RecordingSealer();
        var span = Cleaning.One(name.StartsWith("chat", StringComparison.Ordinal) ? new OtlpSpan(name, "llm.model".Is("gpt-4.1")) : new OtlpSpan(name), sealer);
        Assert.Equal(stored, span.Name);
        Assert.Equal(stored == name ? 0 : 1, sealer.Sealed.Count(s => s.Role == "name"));
    }

    [Fact]
    public void Identities_are_pseudonymised_by_their_keys()
    {
        var scope = NamedScopes.Make("acme corp");
        var span = Cleaning.One(new OtlpSpan("x", "tenant_id".Is("acme corp"), "user.id".Is("u1"), "approver_id".Is("maria@acme.example"), "session.id".Is("ticket of John"), "run_id".Is("run_1")));
        Assert.Equal(scope.Id, span.ScopeId);
        Assert.Equal(Pseudonym.Of(scope.PseudonymKey, "t_", "acme corp"u8), span.Text(Field.TenantId));
        Assert.Equal(Pseudonym.Of(scope.PseudonymKey, "u_", "u1"u8), span.Text(Field.UserId));
        Assert.Equal(Pseudonym.Of(scope.StaffKey, "s_", "maria@acme.example"u8), span.Text(Field.ApproverId));
        Assert.Equal(Pseudonym.Of(scope.PseudonymKey, "k_", "ticket of John"u8), span.Text(Field.SessionId));
        Assert.Equal("run_1", span.Text(Field.RunId));
        Assert.Matches("^u_[0-9a-f]{32}$", span.Text(Field.UserId));
    }

    [Fact]
    public void Fingerprints_compare_json_by_meaning_and_everything_else_by_bytes()
    {
        string Hash(object? args) => Cleaning.One(new OtlpSpan("agent.tool.call", "tool.args".Is(args))).Payloads.Single().Hash;
        var key = NamedScopes.Make("").FingerprintKey;
        Assert.Equal("hmac-sha256:" + Convert.ToHexStringLower(HMACSHA256.HashData(key, "{\"a\":1,\"b\":[1,2.5]}"u8)), Hash("{ \"b\": [1.0, 25e-1], \"a\": 1 }"));
        Assert.Equal(Hash("{\"b\":1,\"a\":\"\\u0041\"}"), Hash("{\"a\":\"A\",\"b\":1}"));
        Assert.Equal(Hash("{\"a\":1}"), Hash(new[] { "a".Is(1) }));
        Assert.NotEqual(Hash("{\"a\":\"x@y.io\"}"), Hash("{\"a\":\"z@y.io\"}"));
        // A double would change these, so their bytes count.
        foreach (string raw in new[] { "{\"a\":9007199254740993}", "{\"a\":0.12345678901234567890123}", "{\"a\":1,\"a\":2}", "not json", "{\"a\":\"\\ud800\"}", "{\"a\":1e999}" })
            Assert.Equal("hmac-sha256:" + Convert.ToHexStringLower(HMACSHA256.HashData(key, raw.Utf8())), Hash(raw));
    }

    [Fact]
    public void A_retry_has_the_same_digest_and_a_change_another()
    {
        static ContentDigest Digest(OtlpSpan span, RecordingSealer sealer)
        {
            using var clean = Cleaning.Clean(OtlpRequest.Of(span), sealer);
            return clean[0].Digest;
        }
        var sealer = new RecordingSealer();
        var span = new OtlpSpan("x", "input.value".Is("hello there"), "a".Is(1));
        Assert.Equal(Digest(span, sealer), Digest(span, sealer));
        Assert.NotEqual(Digest(span, sealer), Digest(span with { End = 5 }, sealer));
        Assert.NotEqual(Digest(span, sealer), Digest(new OtlpSpan("x", "input.value".Is("hello you"), "a".Is(1)), sealer));
    }

    [Fact]
    public void Protobuf_and_json_clean_to_the_same_bytes()
    {
        for (int seed = 0; seed < 150; seed++)
        {
            var request = new RandomRequests(seed).Request();
            RecordingSealer a = new(), b = new();
            using var protobuf = Cleaning.Clean(request, a);
            using var json = Cleaning.Clean(request, b, json: true);
            Assert.Equal(protobuf.Count, json.Count);
            for (int i = 0; i < protobuf.Count; i++) Assert.True(protobuf.Encoded(i).SequenceEqual(json.Encoded(i)));
            Assert.Equal(a.Sealed.Select(s => (s.Role, s.Text)), b.Sealed.Select(s => (s.Role, s.Text)));
            foreach (var payload in a.Sealed.Where(s => s.Role is "attributes" or "events" or "resource"))
                System.Text.Json.JsonDocument.Parse(payload.Text).Dispose();
        }
    }

    [Fact]
    public void Exceptions_and_approval_events_are_told_by_the_span()
    {
        var sealer = new RecordingSealer();
        var span = Cleaning.One(new OtlpSpan("agent.approval.wait", "last".Is("first"), "last".Is("second"))
        {
            Status = 2,
            Events =
            [
                new OtlpEvent("approval_request", 5, "risk_level".Is("high")),
                new OtlpEvent("approval_decision", 9, "decision".Is("approved"), "approver_id".Is("s_901"), "reviewer_role".Is("lead"), "reason".Is("looks right to me")),
                new OtlpEvent("exception", 10, "exception.type".Is("TimeoutError"), "exception.message".Is("no answer from host"), "exception.stacktrace".Is("at a\nat b")),
            ],
        }, sealer, "service.name".Is("agent-harness"), "service.version".Is("1.7.0"), "host.name".Is("h1"));
        Assert.Equal(StepKind.Approval, span.Kind);
        Assert.Equal("approved", span.Text(Field.ApprovalState));
        Assert.Equal("s_901", span.Text(Field.ApproverId));
        Assert.Equal("high", span.Text(Field.RiskLevel));
        Assert.Equal("timeout", span.Text(Field.ErrorClass));
        Assert.Equal("agent-harness", span.Text(Field.ServiceName));
        Assert.Equal("1.7.0", span.Text(Field.Release));
        Assert.Equal("looks right to me", sealer.Text("approval.reason"));
        Assert.Equal("""{"2":{"exception.message":"no answer from host","exception.stacktrace":"at a\nat b"}}""", sealer.Text("exception"));
        Assert.All(sealer.Sealed, s => Assert.True(s.KeepLong));
        Assert.Equal(["approval_request", "approval_decision", "exception"], span.Events.Select(e => e.Name));
        Assert.Equal("second", Assert.Single(span.Attributes, a => a.Key == "last").Value.Text);
        Assert.Equal("agent.tools 1.0", span.InstrumentationScope);
    }
}
