using System.Text.Json;
using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>What becomes an entry, what does not, and what the story says of it.</summary>
public sealed class LedgerTests(ITestOutputHelper test)
{
    [Fact]
    public async Task Acts_with_effects_become_entries_and_retries_do_not()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var genesis = LedgerLines.Of(place.Data);
        Assert.Equal("ledger.genesis", genesis[0].Type());

        var run = Ids.Unique("run-");
        var write = AgentRun.Tool(run, "mail.send", AgentRun.Arguments, "write");
        var final = AgentRun.Tool(run, "account.delete", AgentRun.Arguments, "irreversible");
        var lowered = AgentRun.Tool(run, "some.unregistered", AgentRun.Arguments, "read");
        var silent = AgentRun.Tool(run, "another.unregistered", AgentRun.Arguments, null);
        var chat = new OtlpSpan { Name = "chat gpt-4o" }.With("gen_ai.operation.name", "chat").With("gen_ai.request.model", "gpt-4o").With("agent.run_id", run);
        await wire.AcceptAsync(OtlpRequest.Of(write, final, lowered, silent, chat));

        var entries = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(entries);
        var calls = entries.OfType("tool.call").ToDictionary(e => e.Text("span_id")!);
        Assert.Equal(4, calls.Count);
        foreach (var (span, tool, level) in new[] { (write, "mail.send", "write"), (final, "account.delete", "irreversible"), (lowered, "some.unregistered", "unknown"), (silent, "another.unregistered", "unknown") })
        {
            var entry = calls[span.Span];
            Assert.Equal((tool, level), (entry.Text("action", "tool_name"), entry.Text("action", "side_effect_level")));
            Assert.Equal((span.Trace, run, "refund_v7", "default"), (entry.Text("trace_id"), entry.Text("run_id"), entry.Text("workflow_id"), entry.Text("workspace")));
            Assert.StartsWith("vr_", entry.Text("payload", "args", "ref"), StringComparison.Ordinal);
            Assert.StartsWith("hmac-sha256:", entry.Text("payload", "args", "commitment"), StringComparison.Ordinal);
        }

        // The same spans again, as an exporter sends them after a lost answer: success, and nothing new anywhere.
        await wire.AcceptAsync(OtlpRequest.Of(write, final, lowered, silent, chat));
        await wire.AcceptAsync(OtlpRequest.Of(write, final), json: true);
        Assert.Equal(entries.Count, LedgerLines.Of(place.Data).Count);
        Assert.Equal(1, (await wire.JsonAsync($"/api/v1/traces/{write.Trace}")).GetProperty("spans")[0].GetProperty("revisions").GetInt32());

        // The same span with other content: stored as a revision, recorded, nothing replaced.
        write.With("tool.result", "{\"sent\":true}").With("billing.status_code", 202);
        await wire.AcceptAsync(OtlpRequest.Of(write));
        var revised = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(revised);
        Assert.Equal(write.Span, Assert.Single(revised.OfType("span.revised")).Text("span_id"));
        Assert.Equal(4, revised.OfType("tool.call").Count());
        var merged = Assert.Single((await wire.JsonAsync($"/api/v1/traces/{write.Trace}")).GetProperty("spans").EnumerateArray());
        Assert.Equal(2, merged.GetProperty("revisions").GetInt32());
        Assert.Equal(202, merged.GetProperty("attributes").GetProperty("billing.status_code").GetInt32());
        Assert.Contains("tool.result", merged.GetProperty("payloads").EnumerateArray().Select(p => p.Text("role")));
        Assert.Contains("tool.args", merged.GetProperty("payloads").EnumerateArray().Select(p => p.Text("role")));
    }

    [Theory]
    [InlineData(AgentRun.Arguments, true)]
    [InlineData("""{ "order": "4711", "currency": "EUR", "amount": 240 }""", true)]
    [InlineData(AgentRun.OtherArguments, false)]
    public async Task An_approval_is_request_decision_and_execution(string executed, bool match)
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = Ids.Unique("run-");
        var sent = AgentRun.Approval(run, "approved", executed);
        await wire.AcceptAsync(sent);
        var entries = LedgerLines.Of(place.Data);
        foreach (var e in entries) test.WriteLine(e.ToString());
        LedgerLines.CheckWhole(entries);
        var request = Assert.Single(entries.OfType("approval.request"));
        var decision = Assert.Single(entries.OfType("approval.decision"));
        var execution = Assert.Single(entries.OfType("approval.execution"));
        Assert.Equal(("requested", "approved"), (request.Text("approval", "state"), decision.Text("approval", "state")));
        Assert.True(request.GetProperty("seq").GetInt64() < decision.GetProperty("seq").GetInt64() && decision.GetProperty("seq").GetInt64() < execution.GetProperty("seq").GetInt64());
        Assert.Equal(match, execution.GetProperty("approval").GetProperty("args_match").GetBoolean());
        // A person's address never stands in the ledger: a pseudonym does, and how far it is known.
        Assert.StartsWith("s_", decision.Text("approval", "approver_id"), StringComparison.Ordinal);
        Assert.Equal(("claimed", "support_lead"), (decision.Text("approval", "identity_source"), decision.Text("approval", "approver_role")));
        Assert.Single(entries.OfType("tool.call"));

        var story = await wire.RunAsync(run, spans: 3);
        var approval = Assert.Single(story.GetProperty("approvals").EnumerateArray());
        test.WriteLine(approval.ToString());
        Assert.Equal(("refund.submit", "approved", "support_lead", "claimed"), (approval.Text("tool"), approval.Text("state"), approval.Text("approver_role"), approval.Text("identity_source")));
        Assert.Equal(match, approval.GetProperty("args_match").GetBoolean());
        Assert.Equal(10_000, approval.GetProperty("wait_ms").GetDouble(), 5.0);
        Assert.NotNull(approval.Text("executed_time"));
        Assert.Equal(sent.Spans[2].Span, approval.Text("executed_span_id"));
        Assert.Contains("refund.submit", approval.Text("sentence"), StringComparison.Ordinal);
        Assert.Contains("approved", approval.Text("sentence"), StringComparison.Ordinal);
        Assert.Contains("800 ms", approval.Text("sentence"), StringComparison.Ordinal);
        var flags = story.GetProperty("run").GetProperty("flags").EnumerateArray().Select(f => f.GetString()).ToArray();
        Assert.Equal(!match, flags.Contains("args_mismatch"));
        Assert.DoesNotContain("write_without_approval", flags);
        Assert.Equal(entries.Where(e => e.Text("run_id") == run).Select(e => e.GetProperty("seq").GetInt64()).Order(),
            story.GetProperty("ledger").EnumerateArray().Select(l => l.GetProperty("seq").GetInt64()).Order());
    }

    [Theory]
    [InlineData("rejected")]
    [InlineData("expired")]
    public async Task A_refused_approval_is_a_decision_without_execution(string decision)
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = Ids.Unique("run-");
        await wire.AcceptAsync(AgentRun.Approval(run, decision, executed: null), json: true);
        var entries = LedgerLines.Of(place.Data);
        Assert.Equal(decision, Assert.Single(entries.OfType("approval.decision")).Text("approval", "state"));
        Assert.Empty(entries.OfType("approval.execution"));
        var summary = (await wire.RunAsync(run, spans: 2)).GetProperty("run").GetProperty("approvals");
        Assert.Equal((1, 1), (summary.GetProperty("requested").GetInt32(), summary.GetProperty(decision).GetInt32()));
    }

    [Fact]
    public async Task The_parts_of_an_approval_may_come_in_any_order()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = Ids.Unique("run-");
        var parts = AgentRun.Approval(run, "approved", AgentRun.OtherArguments).Spans;
        foreach (var span in parts.AsEnumerable().Reverse()) await wire.AcceptAsync(OtlpRequest.Of(span));
        LedgerLines.CheckWhole(LedgerLines.Of(place.Data));
        var approval = Assert.Single((await wire.RunAsync(run, spans: 3)).GetProperty("approvals").EnumerateArray());
        Assert.Equal("approved", approval.Text("state"));
        Assert.False(approval.GetProperty("args_match").GetBoolean());
    }

    [Fact]
    public async Task A_policy_decision_is_an_entry()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = Ids.Unique("run-");
        await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan { Name = "policy.check" }.With("event_type", "policy_decision").With("agent.run_id", run)
            .With("policy.name", "refund_limit").With("policy.version", "2026-04").With("policy.decision", "deny")));
        var entry = Assert.Single(LedgerLines.Of(place.Data).OfType("policy.decision"));
        Assert.Equal((run, "refund_limit", "deny"), (entry.Text("run_id"), entry.Text("policy", "name") ?? entry.Text("policy", "policy_name"), entry.Text("policy", "decision")));
    }

    [Fact]
    public async Task A_write_that_nobody_approved_is_flagged()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        var run = Ids.Unique("run-");
        await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool(run, "refund.submit", AgentRun.Arguments, "irreversible").With("approval.required", true)));
        var story = await wire.RunAsync(run);
        Assert.Contains("write_without_approval", story.GetProperty("run").GetProperty("flags").EnumerateArray().Select(f => f.GetString()));
    }

    [Fact]
    public async Task Strange_names_become_pseudonyms_and_never_stop_an_entry()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        foreach (var strange in new[] { "ein Name mit Ärger", "a\"b\\c\n{}", new string('x', 900), "kowalski@planted.example", "../../etc/passwd", "\u0000\u0001", "😀" })
            await wire.AcceptAsync(OtlpRequest.Of(new OtlpSpan { Name = "execute_tool x" }.With("gen_ai.operation.name", "execute_tool").With("tool.name", strange)
                .With("agent.run_id", strange).With("agent.workflow_id", strange).With("tool.target", strange).With("deployment.environment", strange).With("agent.tenant_id", strange)
                .With("gen_ai.agent.name", strange)));
        var entries = LedgerLines.Of(place.Data);
        LedgerLines.CheckWhole(entries);
        var calls = entries.OfType("tool.call").ToArray();
        Assert.Equal(7, calls.Length);
        foreach (var call in calls)
            foreach (var value in new[] { call.Text("action", "tool_name"), call.Text("action", "target"), call.Text("run_id"), call.Text("workflow_id"), call.Text("environment") })
                if (value is not null) Assert.Matches("^[A-Za-z0-9._:/@#+-]{1,128}$", value);
        Assert.Equal(10, EvidentProcess.Run("verify", place.Data).Code);
    }

    [Fact]
    public async Task The_HTTP_ledger_is_the_ledger()
    {
        using var place = new TestDirectory();
        using var server = await EvidentProcess.ServeAsync(place.Data);
        using var wire = new Wire(server.Url);
        await wire.AcceptAsync(OtlpRequest.Of([.. Enumerable.Range(0, 30).Select(i => AgentRun.Tool($"run-{i}", "mail.send", AgentRun.Arguments))]));
        var cat = LedgerLines.Of(place.Data);
        var read = new List<JsonElement>();
        for (long? from = 0; from is not null;)
        {
            var page = await wire.JsonAsync($"/api/v1/ledger/entries?from={from}&limit=7");
            Assert.InRange(page.GetProperty("entries").GetArrayLength(), 1, 7);
            read.AddRange(page.GetProperty("entries").EnumerateArray());
            from = page.GetProperty("next").ValueKind == JsonValueKind.Null ? null : page.GetProperty("next").GetInt64();
        }
        LedgerLines.CheckWhole(read);
        Assert.Equal(cat.Select(e => e.Text("integrity", "this_hash")), read.Select(e => e.Text("integrity", "this_hash")));
        var head = await wire.JsonAsync("/api/v1/ledger/head");
        Assert.Equal(cat.Count, head.GetProperty("size").GetInt64());
        Assert.StartsWith(head.Text("origin") + "\n", head.Text("checkpoint"), StringComparison.Ordinal);
        Assert.StartsWith(head.Text("origin") + "+", head.Text("identity_vkey"), StringComparison.Ordinal);
        foreach (var seq in new[] { 0, cat.Count / 2, cat.Count - 1 }) CheckProof(await wire.JsonAsync($"/api/v1/ledger/proof/{seq}"), cat[seq]);
        Assert.Equal(System.Net.HttpStatusCode.NotFound, (await wire.GetAsync($"/api/v1/ledger/proof/{cat.Count + 100}")).Status);
    }

    // RFC 9162 2.1.3.2, written here from the text of the RFC.
    private static void CheckProof(JsonElement proof, JsonElement entry)
    {
        var (seq, size) = (proof.GetProperty("seq").GetInt64(), proof.GetProperty("size").GetInt64());
        Assert.Equal(entry.GetProperty("seq").GetInt64(), seq);
        var leaf = proof.Text("leaf_hash")!;
        var hash = Convert.FromHexString(entry.Text("integrity", "this_hash")!["sha256:".Length..]);
        Assert.True(leaf == entry.Text("integrity", "this_hash") || leaf == Convert.ToBase64String(hash) || leaf == Convert.ToHexStringLower(hash), $"leaf_hash {leaf}");
        var (fn, sn) = (seq, size - 1);
        foreach (var p in proof.GetProperty("path").EnumerateArray().Select(p => p.GetBytesFromBase64()))
        {
            Assert.NotEqual(0, sn);
            if ((fn & 1) == 1 || fn == sn)
            {
                hash = System.Security.Cryptography.SHA256.HashData([1, .. p, .. hash]);
                while (fn != 0 && (fn & 1) == 0) (fn, sn) = (fn >> 1, sn >> 1);
            }
            else hash = System.Security.Cryptography.SHA256.HashData([1, .. hash, .. p]);
            (fn, sn) = (fn >> 1, sn >> 1);
        }
        Assert.Equal(0, sn);
        var lines = proof.Text("checkpoint")!.Split('\n');
        Assert.Equal(size.ToString(System.Globalization.CultureInfo.InvariantCulture), lines[1]);
        Assert.Equal(lines[2], Convert.ToBase64String(hash));
    }
}
