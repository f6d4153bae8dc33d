using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>The demo shows the product, and the command line keeps its promises.</summary>
public sealed class DemoTests(ITestOutputHelper test)
{
    [Fact]
    public async Task Once_sends_verifies_and_ends_and_may_be_repeated()
    {
        using var place = new TestDirectory();
        for (var turn = 1; turn <= 2; turn++)
        {
            var demo = EvidentProcess.Run(EvidentBinary.Path, ["demo", "--once", "--data", place.Data, "--listen", "http://127.0.0.1:0"], seconds: 90);
            test.WriteLine(demo.ToString());
            Assert.True(demo.Code == 0, demo.ToString());
            LedgerLines.CheckWhole(LedgerLines.Of(place.Data));
            Assert.Equal(10, EvidentProcess.Run("verify", place.Data).Code);
            var head = EvidentProcess.Run("ledger", "head", "--data", place.Data);
            File.WriteAllBytes(place.File("head.note"), head.OutBytes);
            var verdict = EvidentProcess.Run("verify", place.Data, "--known-head", place.File("head.note"));
            Assert.True(verdict.Code == 0, verdict.ToString());
        }
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var runs = (await wire.JsonAsync("/api/v1/runs?limit=200")).GetProperty("runs").EnumerateArray().ToArray();
        test.WriteLine(string.Join('\n', runs.Select(r => $"{r.Text("workflow_id")} {r.Text("outcome")} resumed={r.Text("resumed")} fallback={r.Text("fallback")} flags={r.Text("flags")} approvals={r.Text("approvals")}")));
        Assert.True(runs.Length >= 12, $"only {runs.Length} runs");
        var flags = runs.SelectMany(r => r.GetProperty("flags").EnumerateArray()).Select(f => f.GetString()).ToHashSet();
        Assert.Superset(new HashSet<string?> { "write_without_approval", "args_mismatch", "loop", "budget_exhausted", "authz_denied", "guardrail_block" }, flags);
        var outcomes = runs.Select(r => r.Text("outcome")).ToHashSet();
        Assert.Superset(new HashSet<string?> { "success", "rejected" }, outcomes);
        Assert.Contains(runs, r => r.GetProperty("fallback").GetBoolean());
        Assert.Contains(runs, r => r.GetProperty("resumed").GetBoolean() && r.GetProperty("trace_ids").GetArrayLength() >= 2);
        Assert.Contains(runs, r => r.GetProperty("retries").GetInt32() > 0 && r.Text("outcome") == "success");
        foreach (var state in new[] { "approved", "rejected", "expired" }) Assert.Contains(runs, r => r.GetProperty("approvals").GetProperty(state).GetInt32() > 0);
        var kinds = new HashSet<string?>();
        var sentences = new List<string?>();
        foreach (var run in runs)
        {
            var story = await wire.JsonAsync($"/api/v1/runs/{Uri.EscapeDataString(run.Text("run_id")!)}");
            kinds.UnionWith(story.GetProperty("spans").EnumerateArray().Select(s => s.Text("kind")));
            sentences.AddRange(story.GetProperty("approvals").EnumerateArray().Select(a => a.Text("sentence")));
            Assert.Equal(0, story.GetProperty("missing_parents").GetInt32());
        }
        Assert.Superset(new HashSet<string?> { "agent", "llm", "tool", "approval", "retrieval", "verify", "guardrail", "handoff", "http", "evaluation" }, kinds.Select(k => k == "eval" ? "evaluation" : k).ToHashSet());
        Assert.Contains(sentences, s => s!.Contains("800 ms", StringComparison.Ordinal));
        // Two hops of one handoff: an HTTP span below a tool of the sub-agent, in one tree.
        Assert.Equal(0, server.Stop());
    }

    [Fact]
    public async Task A_data_directory_has_one_owner()
    {
        using var place = new TestDirectory();
        using var first = await EvidentProcess.ServeAsync(place.Data);
        foreach (var command in new[] { "serve", "demo" })
        {
            var second = EvidentProcess.Run(EvidentBinary.Path, [command, "--data", place.Data, "--listen", "http://127.0.0.1:0"], seconds: 20);
            Assert.True(second.Code == 1, second.ToString());
            Assert.Empty(second.Out);
            VaultReadTests.AssertOneSentence(second);
            Assert.Contains(place.Data, second.Error, StringComparison.Ordinal);
        }
        using var wire = new Wire(first.Url);
        await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan()));
    }

    [Theory]
    [InlineData("http://0.0.0.0:0")]
    [InlineData("http://[::]:0")]
    [InlineData("http://192.0.2.1:4318")]
    public void A_listener_beyond_loopback_is_refused_without_TLS_and_accounts(string address)
    {
        using var place = new TestDirectory();
        var serve = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", place.Data, "--listen", address], seconds: 20);
        Assert.True(serve.Code is 1 or 64, serve.ToString());
        Assert.Empty(serve.Out);
        VaultReadTests.AssertOneSentence(serve);
        Assert.Contains("TLS", serve.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("http://*:4318")]
    [InlineData("not a url")]
    [InlineData("ftp://127.0.0.1:21")]
    [InlineData("http://example.com:4318")]
    public void A_listener_that_is_no_address_is_refused_in_a_sentence(string address)
    {
        using var place = new TestDirectory();
        var serve = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", place.Data, "--listen", address], seconds: 20);
        Assert.True(serve.Code is 1 or 64, serve.ToString());
        Assert.Empty(serve.Out);
        VaultReadTests.AssertOneSentence(serve);
        Assert.Contains(address, serve.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_is_one_sentence()
    {
        using var place = new TestDirectory();
        using var first = await EvidentProcess.ServeAsync(place.Data);
        var second = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", place.File("other"), "--listen", first.Url], seconds: 20);
        Assert.True(second.Code == 1, second.ToString());
        VaultReadTests.AssertOneSentence(second);
        Assert.Contains(new Uri(first.Url).Port.ToString(System.Globalization.CultureInfo.InvariantCulture), second.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("serve")]
    [InlineData("demo")]
    [InlineData("verify")]
    [InlineData("ledger")]
    [InlineData("ledger cat")]
    [InlineData("ledger head")]
    [InlineData("vault")]
    [InlineData("vault read")]
    [InlineData("config")]
    public void Every_command_explains_itself_with_an_example(string command)
    {
        var help = EvidentProcess.Run([.. command.Split(' '), "--help"]);
        Assert.True(help.Code == 0, help.ToString());
        Assert.Contains("example", help.Out, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("evident " + command, help.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void The_root_help_names_every_command_that_works()
    {
        var help = EvidentProcess.Run("--help");
        Assert.Equal(0, help.Code);
        foreach (var command in new[] { "serve", "demo", "verify", "ledger", "vault", "config" }) Assert.Contains(command, help.Out, StringComparison.Ordinal);
        Assert.Equal(0, EvidentProcess.Run("--version").Code);
    }

    [Fact]
    public void Config_prints_what_is_in_force()
    {
        using var place = new TestDirectory();
        var config = EvidentProcess.Run("config", "--data", place.Data);
        Assert.True(config.Code == 0, config.ToString());
        foreach (var limit in new[] { "MaxBodyBytes", "MaxSpans", "MaxAttributesPerSpan", "MaxDepth", "MaxValueBytes", "127.0.0.1:4318" }) Assert.Contains(limit, config.Out, StringComparison.OrdinalIgnoreCase);
        Assert.False(Directory.Exists(place.Data), "config created the data directory");
        var table = EvidentProcess.Run("config", "--conventions");
        Assert.True(table.Code == 0, table.ToString());
        foreach (var alias in new[] { "gen_ai.usage.input_tokens", "llm.token_count.prompt", "tool_args_hash", "approver_id" }) Assert.Contains(alias, table.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_value_counts_and_a_wrong_one_is_named()
    {
        using var place = new TestDirectory();
        var file = place.File("evident.json");
        File.WriteAllText(file, "{\n  // fewer spans\n  \"ingest\": { \"maxSpans\": 123 }\n}\n");
        var config = EvidentProcess.Run("config", "--data", place.Data, "--config", file);
        Assert.True(config.Code == 0, config.ToString());
        Assert.Contains("123", config.Out, StringComparison.Ordinal);
        foreach (var (text, named) in new[] { ("{ \"ingest\": { \"maxSpans\": -1 } }", "maxSpans"), ("{ \"ingest\": { \"maxSpanns\": 10 } }", "maxSpanns"), ("{ not json", "evident.json") })
        {
            File.WriteAllText(file, text);
            var wrong = EvidentProcess.Run(EvidentBinary.Path, ["serve", "--data", place.Data, "--config", file, "--listen", "http://127.0.0.1:0"], seconds: 20);
            Assert.True(wrong.Code is 1 or 64, $"{text}: {wrong}");
            Assert.Contains(named, wrong.Error, StringComparison.OrdinalIgnoreCase);
            VaultReadTests.AssertOneSentence(wrong);
        }
    }

    [Fact]
    public void A_wrong_command_line_is_64()
    {
        foreach (var arguments in new string[][] { ["--no-such-option"], ["nonsense"], ["serve", "--no-such-option"], ["ledger"], ["ledger", "nonsense"], ["vault", "read"], ["config", "stray"], ["demo", "--listen"] })
        {
            var wrong = EvidentProcess.Run(EvidentBinary.Path, arguments, seconds: 20);
            Assert.True(wrong.Code == 64, $"{string.Join(' ', arguments)}: {wrong}");
            Assert.NotEmpty(wrong.Error);
        }
    }

    [Fact]
    public async Task EVIDENT_DATA_names_the_directory_where_data_does_not()
    {
        using var place = new TestDirectory();
        var environment = new Dictionary<string, string> { ["EVIDENT_DATA"] = place.Data };
        using var server = await EvidentProcess.StartAsync(EvidentBinary.Path, ["serve", "--listen", "http://127.0.0.1:0"], place.Path, environment);
        Assert.Equal(0, server.Stop());
        Assert.True(Directory.Exists(Path.Combine(place.Data, "ledger")));
        var cat = EvidentProcess.Run(EvidentBinary.Path, ["ledger", "cat"], environment: environment);
        Assert.True(cat.Code == 0 && cat.Out.Length > 0, cat.ToString());
    }

    [Fact]
    public async Task Status_metrics_and_headers()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan(), new OtlpSpan()));
        var status = await wire.JsonAsync("/api/v1/status");
        Assert.Equal(2, status.GetProperty("ingest").GetProperty("accepted_spans").GetInt64());
        Assert.True(status.GetProperty("open").GetBoolean());
        Assert.Equal(("default", "open"), (status.Text("workspace"), status.Text("vault", "state")));
        Assert.Equal(LedgerLines.Of(place.Data).Count, status.GetProperty("ledger").GetProperty("size").GetInt64());
        using var page = await wire.Http.GetAsync(new Uri("/", UriKind.Relative));
        Assert.StartsWith("default-src 'self'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal("nosniff", page.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.DoesNotContain("Server", page.Headers.Select(h => h.Key));
        using var metrics = await wire.Http.GetAsync(new Uri("/metrics", UriKind.Relative));
        Assert.Equal("text/plain", metrics.Content.Headers.ContentType!.MediaType);
        var lines = (await metrics.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(lines, l => l.StartsWith("# TYPE ", StringComparison.Ordinal));
        Assert.All(lines.Where(l => l[0] != '#'), l => Assert.Matches(@"^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eNaInf]+$", l));
    }
}
