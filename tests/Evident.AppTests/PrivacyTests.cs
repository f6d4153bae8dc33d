using System.Net;
using System.Text;
using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>
/// Secrets of every kind in every position of a span that a sender controls, in both encodings, plain and gzip: not one byte
/// string of them is in the data directory afterwards, in no disguise, nor in any answer.
/// </summary>
public sealed class PrivacyTests(ITestOutputHelper test)
{
    private static readonly ulong Now = Ids.Now();

    private static readonly string[] StructuralKeys =
    [
        "agent.run_id", "agent.workflow_id", "agent.session_id", "gen_ai.conversation.id", "agent.tenant_id", "tenant_hash", "deployment.environment.name", "agent.release",
        "agent.name", "gen_ai.agent.name", "gen_ai.agent.version", "enduser.id", "user.id", "actor.user_id", "tool.name", "gen_ai.tool.name", "gen_ai.tool.call.id", "tool.target",
        "tool.side_effect", "tool.side_effect_level", "tool.schema_version", "idempotency_key", "tool.args.hash", "tool.args.ref", "gen_ai.request.model", "gen_ai.response.model",
        "gen_ai.provider.name", "gen_ai.operation.name", "gen_ai.response.finish_reasons", "agent.outcome", "status", "interrupt.reason", "error_class", "error.type", "fallback_from",
        "agent.prompt_version", "policy.version", "policy.name", "policy.decision", "guardrail.name", "guardrail.decision", "handoff.target", "approval.id", "approval.state",
        "approval.approver_id", "approval.approver_role", "approval.reason_code", "approval.risk_level", "eval.name", "eval.label", "event_type", "span_type", "agent.plan.hash",
        "agent.stop_reason", "http.url", "url.full", "url.path", "server.address", "http.request.header.authorization", "db.statement", "db.query.text", "code.filepath",
        "peer.service", "messaging.destination.name", "thread.name", "openinference.span.kind",
    ];

    private static readonly string[] PayloadKeys =
    [
        "gen_ai.tool.call.arguments", "tool.args", "tool.args.customer", "gen_ai.tool.call.result", "approval.args", "approval.reason", "input.value", "output.value",
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "llm.input_messages.0.message.content", "retrieval.query", "exception.message",
        "metadata.customer", "metadata", "llm.prompts", "gen_ai.prompt.0.content", "some.custom.note",
    ];

    private static IEnumerable<(string Name, Func<string, OtlpRequest> Plant)> Positions()
    {
        foreach (var key in StructuralKeys.Concat(PayloadKeys))
        {
            yield return ($"span attribute {key}", s => OtlpRequest.Of(new OtlpSpan().With(key, s)));
            // Beside a tool name the span is an action and reaches the ledger.
            yield return ($"ledgered span attribute {key}", s =>
            {
                var span = new OtlpSpan { Name = "execute_tool mail.send" }.With(key, s);
                if (!key.Contains("tool.name", StringComparison.Ordinal)) span.With("tool.name", "mail.send").With("tool.side_effect_level", "write");
                return OtlpRequest.Of(span);
            });
        }
        yield return ("attribute key", s => OtlpRequest.Of(new OtlpSpan().With(s, "x")));
        yield return ("attribute key with a flag", s => OtlpRequest.Of(new OtlpSpan().With(s, true)));
        yield return ("attribute key below a payload prefix", s => OtlpRequest.Of(new OtlpSpan().With("tool.args." + s, 1)));
        yield return ("array element", s => OtlpRequest.Of(new OtlpSpan().With("tags", new object?[] { "a", s, 3L })));
        yield return ("array element of a structural key", s => OtlpRequest.Of(new OtlpSpan().With("gen_ai.response.finish_reasons", new object?[] { s })));
        yield return ("list value", s => OtlpRequest.Of(new OtlpSpan().With("detail", new Attribute[] { new("inner", s) })));
        yield return ("list key", s => OtlpRequest.Of(new OtlpSpan().With("detail", new Attribute[] { new(s, 1L) })));
        yield return ("nested value", s => OtlpRequest.Of(new OtlpSpan().With("detail", new object?[] { new Attribute[] { new("deep", new object?[] { s }) } })));
        yield return ("bytes value", s => OtlpRequest.Of(new OtlpSpan().With("blob", Encoding.UTF8.GetBytes(s))));
        yield return ("bytes of a structural key", s => OtlpRequest.Of(new OtlpSpan().With("tool.name", Encoding.UTF8.GetBytes(s))));
        yield return ("JSON text in arguments", s => OtlpRequest.Of(new OtlpSpan().With("tool.name", "mail.send").With("tool.args", JsonSerializer.Serialize(new Dictionary<string, object> { ["to"] = s, [s] = new[] { s } }))));
        yield return ("flattened message", s => OtlpRequest.Of(new OtlpSpan().With("llm.input_messages.0.message.tool_calls.0.tool_call.function.arguments", $$"""{"q":{{JsonSerializer.Serialize(s)}}}""")));
        yield return ("span name", s => OtlpRequest.Of(new OtlpSpan { Name = s }));
        yield return ("span name after a verb", s => OtlpRequest.Of(new OtlpSpan { Name = "execute_tool " + s }));
        yield return ("span name of an HTTP call", s => OtlpRequest.Of(new OtlpSpan { Name = "GET /customers/" + s, Kind = 3 }));
        yield return ("tracestate", s => OtlpRequest.Of(new OtlpSpan { TraceState = "vendor=" + s }));
        yield return ("status message", s => OtlpRequest.Of(new OtlpSpan { StatusCode = 2, StatusMessage = s }));
        yield return ("event name", s => OtlpRequest.Of(new OtlpSpan { Events = [new(s, Now)] }));
        yield return ("event attribute", s => OtlpRequest.Of(new OtlpSpan { Events = [new("note", Now, new("text", s), new("tool.name", s))] }));
        yield return ("event attribute key", s => OtlpRequest.Of(new OtlpSpan { Events = [new("note", Now, new Attribute(s, 1L))] }));
        yield return ("exception event", s => OtlpRequest.Of(new OtlpSpan { Events = [new("exception", Now, new("exception.type", s), new("exception.message", s), new("exception.stacktrace", $"Error: {s}\n at f ({s}:1)"))] }));
        yield return ("approval event", s => OtlpRequest.Of(new OtlpSpan { Events = [new("approval_decision", Now, new("decision", "approved"), new("reviewer_id", s), new("reviewer_role", s), new("reason", s), new("tool_name", s))] }));
        yield return ("link attribute", s => OtlpRequest.Of(new OtlpSpan { Links = [new(Ids.Trace(), Ids.Span(), "", new("why", s), new(s, "x"))] }));
        yield return ("link tracestate", s => OtlpRequest.Of(new OtlpSpan { Links = [new(Ids.Trace(), Ids.Span(), "vendor=" + s)] }));
        foreach (var key in new[] { "service.name", "service.version", "service.instance.id", "deployment.environment", "host.name", "process.command_line", "owner", "tenant_id" })
            yield return ($"resource attribute {key}", s => new OtlpRequest { Spans = [new OtlpSpan()], Resource = [new(key, s)] });
        yield return ("resource attribute key", s => new OtlpRequest { Spans = [new OtlpSpan()], Resource = [new(s, "x")] });
        yield return ("resource schema", s => new OtlpRequest { Spans = [new OtlpSpan()], ResourceSchema = s });
        yield return ("scope name", s => new OtlpRequest { Spans = [new OtlpSpan()], ScopeName = s });
        yield return ("scope version", s => new OtlpRequest { Spans = [new OtlpSpan()], ScopeName = "lib", ScopeVersion = s });
        yield return ("scope attribute", s => new OtlpRequest { Spans = [new OtlpSpan()], ScopeName = "lib", ScopeAttributes = [new("team", s), new(s, "x")] });
        yield return ("scope schema", s => new OtlpRequest { Spans = [new OtlpSpan()], ScopeName = "lib", ScopeSchema = s });
    }

    [Fact]
    public async Task Nothing_that_was_planted_is_on_disk_or_in_an_answer()
    {
        const int seed = 20260506;
        var maker = new SecretMaker(seed);
        var patterns = new List<PatternSearch.Pattern>();
        var hits = new List<string>();
        var traces = new List<string>();
        var sent = 0;
        using var place = new TestDirectory();
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        using (var wire = new Wire(server.Url, connections: 8))
        {
            var waiting = new List<Task<OtlpAnswer>>();
            foreach (var (name, plant) in Positions())
                foreach (var kind in SecretMaker.Kinds)
                    foreach (var (json, gzip) in new[] { (false, false), (true, false), (false, true), (true, true) })
                    {
                        // In the gzip half the secret follows a word, so that a detector cannot rely on standing at the start.
                        var secret = maker.Make(kind);
                        var request = plant(gzip ? "mailbox:" + secret.Text : secret.Text);
                        patterns.AddRange(secret.Patterns($"{name} ({(json ? "JSON" : "protobuf")}{(gzip ? ", after a word" : "")})"));
                        traces.Add(request.Spans[0].Trace);
                        waiting.Add(wire.SendAsync(request, json, gzip));
                        sent++;
                        if (waiting.Count == 64) await Finish();
                    }
            await Finish();
            await PlantCardNumbers(maker, wire, patterns, traces);

            var answers = new StringBuilder();
            foreach (var trace in traces) answers.Append((await wire.GetAsync($"/api/v1/traces/{trace}")).Body).Append('\n');
            for (var next = ""; next is not null;)
            {
                var page = await wire.JsonAsync($"/api/v1/runs?limit=200{(next.Length > 0 ? "&cursor=" + Uri.EscapeDataString(next) : "")}");
                answers.Append(page).Append('\n');
                next = page.GetProperty("next").GetString();
            }
            for (long? from = 0; from is not null;)
            {
                var page = await wire.JsonAsync($"/api/v1/ledger/entries?from={from}&limit=1000");
                answers.Append(page).Append('\n');
                from = page.GetProperty("next").ValueKind == JsonValueKind.Number ? page.GetProperty("next").GetInt64() : null;
            }
            answers.Append((await wire.GetAsync("/metrics")).Body).Append((await wire.GetAsync("/api/v1/status")).Body);

            hits.AddRange(PatternSearch.InText("an answer", answers.ToString(), patterns));
            hits.AddRange(PatternSearch.InDirectory(place.Data, patterns));
            Assert.Equal(0, server.Stop());
            hits.AddRange(PatternSearch.InText("stderr", server.Error + server.Output, patterns));

            async Task Finish()
            {
                foreach (var answer in await Task.WhenAll(waiting))
                {
                    Assert.Equal(HttpStatusCode.OK, answer.Status);
                    var (_, message) = answer.Partial();
                    if (message.Length > 0) hits.AddRange(PatternSearch.InText("a partial success", message, patterns));
                }
                waiting.Clear();
            }
        }
        hits.AddRange(PatternSearch.InDirectory(place.Data, patterns));
        var inflated = StoredBlobs.Inflated(place.Data);
        Assert.InRange(inflated.Sum(b => (long)b.Bytes.Length), 100 * traces.Count, long.MaxValue); // else the spans lie somewhere this test does not look
        hits.AddRange(PatternSearch.In(inflated, patterns));
        test.WriteLine($"{inflated.Count} compressed values of {inflated.Sum(b => (long)b.Bytes.Length)} bytes; hits by place: {string.Join(", ", hits.GroupBy(h => h.Split(" at ")[0]).Select(g => $"{g.Key} {g.Count()}"))}");
        None("answers and files", hits);
        Figures.Print(test, $"privacy: {sent} secrets in {Positions().Count()} positions, {patterns.Count} byte strings looked for, none found");
    }

    // A card number is a number: an int or a double attribute must not carry it past the redactor.
    private static async Task PlantCardNumbers(SecretMaker maker, Wire wire, List<PatternSearch.Pattern> patterns, List<string> traces)
    {
        foreach (var key in new[] { "amount", "tool.args.card", "gen_ai.usage.input_tokens", "agent.run_id", "billing.status_code" })
            foreach (var json in new[] { false, true })
            {
                var card = maker.Card();
                var number = long.Parse(card, System.Globalization.CultureInfo.InvariantCulture);
                patterns.AddRange(PatternSearch.FormsOf(card).Concat(PatternSearch.FormsOf(number)).Select(p => p with { Label = $"card as a number in {key}: {p.Label}" }));
                var real = maker.Card();
                patterns.AddRange(PatternSearch.FormsOf(real).Select(p => p with { Label = $"card as a double in {key}: {p.Label}" }));
                var request = OtlpRequest.Of(new OtlpSpan().With(key, number), new OtlpSpan().With(key, double.Parse(real, System.Globalization.CultureInfo.InvariantCulture)));
                traces.AddRange(request.Spans.Select(s => s.Trace));
                Assert.Equal(HttpStatusCode.OK, (await wire.SendAsync(request, json)).Status);
            }
    }

    [Fact]
    public async Task Refusals_repeat_nothing_and_leave_nothing()
    {
        var maker = new SecretMaker(7);
        var patterns = new List<PatternSearch.Pattern>();
        using var place = new TestDirectory();
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        using (var wire = new Wire(server.Url))
        {
            var answers = new StringBuilder();
            foreach (var kind in SecretMaker.Kinds)
            {
                string Fresh(string where)
                {
                    var secret = maker.Make(kind);
                    patterns.AddRange(secret.Patterns(where));
                    return secret.Text;
                }
                string InHeader(string where) => Fresh(where).Replace('\n', '_').Replace('\t', '_').Replace('"', '\'');
                async Task Post(byte[] body, string? type, string? encoding = null, Action<HttpRequestMessage>? also = null, string path = "/v1/traces")
                {
                    var answer = await wire.PostAsync(body, type, encoding, also: also, path: path);
                    answers.Append($"{(int)answer.Status} {string.Join(' ', answer.Headers.SelectMany(h => h.Value))} ").Append(answer.Text).Append('\n');
                }
                async Task Get(string path) => answers.Append((await wire.GetAsync(path)).Body).Append('\n');

                await Post(Encoding.UTF8.GetBytes($$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":{{JsonSerializer.Serialize(Fresh("broken JSON"))}} """), "application/json");
                await Post(Encoding.UTF8.GetBytes($$"""{"resourceSpans":{{JsonSerializer.Serialize(Fresh("wrong JSON type"))}}}"""), "application/json");
                await Post(Encoding.UTF8.GetBytes($$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":{{JsonSerializer.Serialize(Fresh("JSON id"))}},"spanId":{{JsonSerializer.Serialize(Fresh("JSON id"))}},"startTimeUnixNano":{{JsonSerializer.Serialize(Fresh("JSON time"))}}}]}]}]}"""), "application/json");
                await Post([.. OtlpRequest.Of(new OtlpSpan { Name = Fresh("cut protobuf") }).Protobuf()[..^3]], "application/x-protobuf");
                await Post([0x0a, 0x7f, .. Encoding.UTF8.GetBytes(Fresh("broken protobuf"))], "application/x-protobuf");
                await Post(OtlpRequest.Of(new OtlpSpan { SpanId = new byte[8], Name = Fresh("span with a zero id") }, new OtlpSpan()).Protobuf(), "application/x-protobuf");
                await Post(OtlpRequest.Of(new OtlpSpan().With(Fresh("long key") + new string('k', 300), 1), new OtlpSpan()).Protobuf(), "application/x-protobuf");
                await Post(OtlpRequest.Of(new OtlpSpan { Name = Fresh("long name") + new string('n', 2000) }, new OtlpSpan()).Json(), "application/json");
                await Post([1], InHeader("content type"));
                await Post([1], "application/json; note=\"" + InHeader("content type parameter") + "\"");
                await Post([1], "text/plain", also: m => m.Headers.TryAddWithoutValidation("X-Note", InHeader("header")));
                await Post(Encoding.UTF8.GetBytes(Fresh("not gzip")), "application/json", "gzip");
                await Post([1], "application/json", also: m => m.Headers.TryAddWithoutValidation("Origin", "https://" + InHeader("origin").Replace(' ', '-')));
                await Post([1], "application/json", also: m => m.Headers.TryAddWithoutValidation("Authorization", InHeader("authorization")));
                await Post(Encoding.UTF8.GetBytes($$"""{"reason":{{JsonSerializer.Serialize(Fresh("reason over HTTP"))}}}"""), "application/json", path: $"/api/v1/vault/{Uri.EscapeDataString(Fresh("reference over HTTP"))}/open");
                foreach (var path in new[] { "/api/v1/runs/", "/api/v1/traces/", "/api/v1/runs?cursor=", "/api/v1/runs?q=", "/api/v1/runs?from=", "/api/v1/runs?limit=", "/api/v1/ledger/proof/", "/api/v1/ledger/entries?from=", "/nowhere/", "/assets/" })
                    await Get(path + Uri.EscapeDataString(Fresh("address " + path)));
            }
            None("answers", PatternSearch.InText("an answer", answers.ToString(), patterns));
            await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan()));
            Assert.Equal(0, server.Stop());
            None("stderr", PatternSearch.InText("stderr", server.Error + server.Output, patterns));
        }
        None("files after the stop", [.. PatternSearch.InDirectory(place.Data, patterns), .. PatternSearch.In(StoredBlobs.Inflated(place.Data), patterns)]);
        test.WriteLine($"{patterns.Count} byte strings looked for");
    }

    [Fact]
    public async Task The_reason_for_opening_a_payload_is_sealed_too()
    {
        var maker = new SecretMaker(11);
        using var place = new TestDirectory();
        var patterns = new List<PatternSearch.Pattern>();
        using (var server = await EvidentProcess.ServeAsync(place.Data))
        {
            using var wire = new Wire(server.Url);
            var span = new OtlpSpan().With("tool.name", "mail.send").With("tool.args", "{\"text\":\"hello there\"}");
            await wire.AcceptAsync(OtlpRequest.Of(span));
            var payload = (await wire.JsonAsync($"/api/v1/traces/{span.Trace}")).GetProperty("spans")[0].GetProperty("payloads")[0].Text("ref")!;
            foreach (var kind in SecretMaker.Kinds)
            {
                var secret = maker.Make(kind);
                patterns.AddRange(secret.Patterns("the reason of a read"));
                var read = EvidentProcess.Run("vault", "read", payload, "--reason", secret.Text, "--data", place.Data);
                Assert.True(read.Code == 0, read.ToString());
            }
            Assert.Equal(0, server.Stop());
        }
        None("files", [.. PatternSearch.InDirectory(place.Data, patterns), .. PatternSearch.In(StoredBlobs.Inflated(place.Data), patterns)]);
    }

    private static void None(string where, List<string> hits) => Assert.True(
        hits.Count == 0,
        $"{hits.Count} hits in {where}, the first of each label:\n{string.Join('\n', hits.DistinctBy(h => h[(h.IndexOf(": ", StringComparison.Ordinal) + 2)..].Split('«')[0]).Take(60))}");
}
