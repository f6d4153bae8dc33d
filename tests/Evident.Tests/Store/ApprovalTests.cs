using Evident.Store;

namespace Evident.Tests.Store;

public sealed class ApprovalTests
{
    private const string Args = """{"order":"A-1","amount":40}""";
    private const string OtherArgs = """{"order":"A-1","amount":400}""";

    private static Sent Root(ulong trace, string outcome = "success", double until = 200) =>
        new Sent(trace, 1, "agent.run").With(("agent.run_id", "ticket-7"), ("outcome", outcome)) with { Until = until };

    private static Sent Wait(ulong trace, string state, string? args = Args) => new Sent(trace, 2, "agent.approval.wait")
        .With(("tool.name", "refund.submit"), ("approval.state", state), ("approver_id", "s_901"), ("approver_role", "support_lead"), ("approval.reason", "the customer was charged twice"))
        .With(args is null ? [] : [("approval.args", args)]) with { Parent = 1, At = 10, Until = 139 };

    private static Sent Call(ulong trace, double at = 139.8, string args = Args) =>
        new Sent(trace, 3, "tool.call").With(("tool.name", "refund.submit"), ("tool.args", args)) with { Parent = 1, At = at, Until = at + 1, Status = 1 };

    [Fact]
    public void Proposed_approved_and_executed_is_told_in_one_sentence_and_in_the_ledger()
    {
        using var at = new TemporaryStore();
        at.Send(Wait(1, "approved"), Call(1), Root(1));
        var story = at.Story("ticket-7");
        var approval = Assert.Single(story.Approvals);
        Assert.Equal(
            "refund.submit proposed 10:30:10, approved 10:32:19 by s_901 (support_lead, reported by the agent), executed 800 ms later, arguments match", approval.Sentence);
        Assert.True(approval.ArgsMatch);
        Assert.Equal(129_000, approval.WaitMs);
        Assert.NotNull(approval.ReasonPayload);
        Assert.Equal(new ApprovalCounts(1, 1, 0, 0, 0, 129_000), story.Run.Approvals);
        Assert.Empty(story.Run.Flags);
        Assert.Null(story.FirstWrong);

        var entries = at.Ledger();
        Assert.Equal(["approval.request", "approval.decision", "tool.call", "approval.execution"], entries.Select(e => e.Type));
        Assert.All(entries, e => Assert.Equal("ticket-7", e.Json.GetProperty("run_id").GetString()));
        Assert.True(entries[2].Json.GetProperty("approval").GetProperty("args_match").GetBoolean());
        Assert.Equal("irreversible", entries[2].Json.GetProperty("action").GetProperty("side_effect_level").GetString());
        Assert.True(entries[3].Json.GetProperty("approval").GetProperty("args_match").GetBoolean());
        Assert.Equal(entries[1].Json.GetProperty("id").GetString(), entries[3].Json.GetProperty("refers").GetProperty("decision").GetString());
        Assert.DoesNotContain("charged twice", string.Concat(entries.Select(e => e.Json.GetRawText())), StringComparison.Ordinal);
        Assert.Equal(
            story.Spans.Single(s => s.Kind == "tool").Ledger, story.Ledger.Where(l => l.SpanId == Sent.SpanHex(3)).Select(l => l.Seq));
        Assert.Equal(2, story.Spans.Single(s => s.Kind == "tool").Ledger.Count);
    }

    [Theory]
    [InlineData("rde")]
    [InlineData("red")]
    [InlineData("dre")]
    [InlineData("der")]
    [InlineData("erd")]
    [InlineData("edr")]
    public void Request_decision_and_execution_are_compared_in_every_order_of_arrival(string order)
    {
        using var at = new TemporaryStore();
        foreach (char next in order)
        {
            at.Send(next switch
            {
                'r' => new Sent(1, 2, "approval_request").With(("approval.id", "ap-1"), ("tool.name", "refund.submit"), ("approval.state", "requested"), ("tool.args", Args)) with { Parent = 1, At = 10, Until = 11 },
                'd' => new Sent(1, 4, "approval_decision").With(("approval.id", "ap-1"), ("tool.name", "refund.submit"), ("approval.state", "approved"), ("approver_id", "s_901")) with { Parent = 1, At = 130, Until = 131 },
                _ => Call(1, args: OtherArgs).With(("approval.id", "ap-1")),
            });
        }

        var executions = at.Ledger().Where(e => e.Type == "approval.execution").Select(e => e.Json).ToArray();
        Assert.False(executions[^1].GetProperty("approval").GetProperty("args_match").GetBoolean());
        Assert.All(executions[..^1], e => Assert.False(e.GetProperty("approval").TryGetProperty("args_match", out _)));
        Assert.Equal(executions.Length, executions.Select(e => e.GetProperty("id").GetString()).Distinct().Count());
        Assert.InRange(executions.Length, 1, 2);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Arguments_that_differ_are_found_in_both_orders_and_over_a_restart(bool callFirst, bool restart)
    {
        using var at = new TemporaryStore();
        Sent approval = Wait(1, "approved").With(("agent.run_id", "ticket-7")), call = Call(1, args: OtherArgs).With(("agent.run_id", "ticket-7"));
        at.Send(callFirst ? call : approval);
        if (restart)
        {
            at.Clock.Now = at.Clock.Now.AddDays(2);
            at.Reopen();
        }

        at.Send(callFirst ? approval : call);
        at.Send(Root(1));
        var execution = Assert.Single(at.Ledger(), e => e.Type == "approval.execution").Json;
        Assert.False(execution.GetProperty("approval").GetProperty("args_match").GetBoolean());
        Assert.Equal(Sent.SpanHex(3), execution.GetProperty("span_id").GetString());
        Assert.Equal("refund.submit", execution.GetProperty("action").GetProperty("tool_name").GetString());
        Assert.Equal("ticket-7", execution.GetProperty("run_id").GetString());
        Assert.Contains("args_mismatch", at.Run("ticket-7").Flags);
        Assert.Equal("the executed arguments are not the approved ones", at.Story("ticket-7").FirstWrong?.Why);
    }

    [Fact]
    public void A_pause_that_resumes_in_a_second_trace_joins_by_the_run()
    {
        using var at = new TemporaryStore();
        var request = new Sent(1, 2, "approval_request").With(("tool.name", "refund.submit"), ("approval.args", Args), ("agent.run_id", "ticket-7")) with { Parent = 1, At = 10, Until = 10 };
        at.Send(request, Root(1, "interrupted", until: 11));
        Assert.Equal("interrupted", at.Run("ticket-7").Outcome);
        Assert.Equal(1, at.Run("ticket-7").Approvals.Waiting);
        at.Clock.Now = at.Clock.Now.AddDays(1);
        at.Reopen();
        var decision = new Sent(2, 2, "approval_decision").With(("tool.name", "refund.submit"), ("approval.state", "approved"), ("approver_id", "s_901"), ("agent.run_id", "ticket-7"))
            with { Parent = 1, At = 130, Until = 130 };
        at.Send(decision, Call(2, at: 131).With(("agent.run_id", "ticket-7")), Root(2) with { At = 129 });
        var run = at.Run("ticket-7");
        Assert.Equal("success", run.Outcome);
        Assert.True(run.Resumed);
        Assert.Equal(2, run.TraceIds.Count);
        Assert.Equal(new ApprovalCounts(1, 1, 0, 0, 0, 120_000), run.Approvals);
        Assert.Empty(run.Flags);
        Assert.Equal(["approval.request", "approval.decision", "tool.call", "approval.execution"], at.Ledger().Select(e => e.Type));
        Assert.True(at.Story("ticket-7").Approvals[0].ArgsMatch);
    }

    [Fact]
    public void Rejected_and_expired_and_missing_approvals()
    {
        using var at = new TemporaryStore();
        at.Send(Wait(1, "rejected"), Root(1, "rejected"));
        var rejected = at.Story("ticket-7");
        Assert.Equal("rejected", rejected.Run.Outcome);
        Assert.Equal(1, rejected.Run.Approvals.Rejected);
        Assert.Empty(rejected.Run.Flags);
        Assert.Contains("rejected 10:32:19 by s_901", rejected.Approvals[0].Sentence, StringComparison.Ordinal);

        var expired = Wait(2, "timed_out");
        expired.Attributes.Remove("approver_id");
        at.Send(expired, Root(2).With(("agent.run_id", "ticket-8")));
        Assert.Equal("expired", Assert.Single(at.Story("ticket-8").Approvals).State);
        Assert.Null(at.Story("ticket-8").Approvals[0].ApproverId);

        at.Send(Call(3), Root(3).With(("agent.run_id", "ticket-9")));
        Assert.Contains("write_without_approval", at.Run("ticket-9").Flags);
        Assert.Equal(Sent.SpanHex(3), at.Story("ticket-9").FirstWrong?.SpanId);

        // A decision that comes after the act is no approval of it.
        at.Send(Wait(4, "approved"), Call(4, at: 20), Root(4).With(("agent.run_id", "ticket-10")));
        Assert.Contains("write_without_approval", at.Run("ticket-10").Flags);
        Assert.Contains("before the decision", at.Story("ticket-10").Approvals[0].Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void One_approval_covers_one_act_and_its_retries()
    {
        using var at = new TemporaryStore();
        at.Send(
            Wait(1, "approved"), Call(1) with { Status = 2 }, (Call(1, at: 142) with { Span = 4 }).With(("attempt", 2)),
            (Call(1, at: 150) with { Span = 5 }), Root(1));
        var story = at.Story("ticket-7");
        Assert.Contains("write_without_approval", story.Run.Flags);
        Assert.Equal(Sent.SpanHex(5), story.FirstWrong?.SpanId);
        Assert.Equal([Sent.SpanHex(3), Sent.SpanHex(4)],
            at.Ledger().Where(e => e.Type == "approval.execution").Select(e => e.Json.GetProperty("span_id").GetString()));
    }

    [Fact]
    public void A_sender_never_lowers_a_tools_level()
    {
        using var at = new TemporaryStore();
        at.Send(
            new Sent(1, 1, "tool.call").With(("tool.name", "refund.submit"), ("tool.side_effect_level", "none")),
            new Sent(1, 2, "tool.call").With(("tool.name", "crm.lookup"), ("tool.side_effect_level", "none")),
            new Sent(1, 3, "tool.call").With(("tool.name", "crm.lookup"), ("tool.side_effect_level", "write")),
            new Sent(1, 4, "tool.call").With(("tool.name", "never.seen"), ("tool.side_effect_level", "read")),
            new Sent(1, 5, "GET").With(("http.request.method", "GET")) with { Parent = 4 });
        Assert.Equal(
            [("refund.submit", "irreversible", "registry"), ("crm.lookup", "write", "sender"), ("never.seen", "unknown", "default")],
            at.Ledger().Select(e => e.Json.GetProperty("action")).Select(a => (a.GetProperty("tool_name").GetString()!,
                a.GetProperty("side_effect_level").GetString()!, a.GetProperty("level_source").GetString()!)));
        Assert.Equal(["irreversible", "read", "write", "unknown"],
            at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans.Where(s => s.Kind == "tool").Select(s => s.SideEffectLevel));

        var registry = new ToolRegistry(new Dictionary<string, SideEffectLevel> { ["w"] = SideEffectLevel.Write });
        foreach (var level in Enum.GetValues<SideEffectLevel>())
        {
            Assert.True(registry.Decide("w", level.ToName()) >= SideEffectLevel.Write);
            Assert.True(registry.Decide("other", level.ToName()) >= SideEffectLevel.Unknown);
        }
    }

    [Fact]
    public void Policies_and_guardrails_are_decisions_in_the_ledger()
    {
        using var at = new TemporaryStore();
        at.Send(
            new Sent(1, 1, "policy.check").With(("policy.name", "refund-limit"), ("policy.decision", "deny"), ("policy.version", "v3")),
            new Sent(1, 2, "guardrail").With(("guardrail.name", "pii filter for Jane"), ("guardrail.decision", "block")));
        var entries = at.Ledger();
        Assert.Equal(["policy.decision", "policy.decision"], entries.Select(e => e.Type));
        Assert.Equal("deny", entries[0].Json.GetProperty("policy").GetProperty("decision").GetString());
        Assert.Equal("guardrail", entries[1].Json.GetProperty("policy").GetProperty("kind").GetString());
        Assert.DoesNotContain("Jane", entries[1].Json.GetRawText(), StringComparison.Ordinal);
        Assert.Contains("guardrail_block", at.Run(Sent.TraceHex(1)).Flags);
    }

    [Fact]
    public async Task A_payload_is_opened_only_after_the_ledger_says_so()
    {
        using var at = new TemporaryStore();
        at.Send(Call(1));
        string reference = at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans[0].Payloads.Single(p => p.Role == "tool.args").Ref!;
        var payload = await at.Store.ReadPayloadAsync(reference, "customer complaint by Jane Doe", new Actor("1000", "uid"), default);
        Assert.Equal(Args, System.Text.Encoding.UTF8.GetString(payload.Plaintext));
        var read = at.Ledger()[^1];
        Assert.Equal("vault.read", read.Type);
        Assert.Equal(reference, read.Json.GetProperty("vault").GetProperty("ref").GetString());
        Assert.Equal("1000", read.Json.GetProperty("actor").GetProperty("id").GetString());
        Assert.DoesNotContain("Jane", read.Json.GetRawText(), StringComparison.Ordinal);
        string reason = read.Json.GetProperty("payload").GetProperty("reason").GetProperty("ref").GetString()!;
        Assert.Equal("customer complaint by Jane Doe",
            System.Text.Encoding.UTF8.GetString((await at.Store.ReadPayloadAsync(reason, "who looked?", new Actor("1000", "uid"), default)).Plaintext));

        string unknown = "vr_" + new string('0', 26);
        Assert.Equal("not_found", (await Assert.ThrowsAsync<PayloadDeniedException>(() => at.Store.ReadPayloadAsync(unknown, "x", new Actor("1", "uid"), default))).Code);
        Assert.Equal("malformed", (await Assert.ThrowsAsync<PayloadDeniedException>(() => at.Store.ReadPayloadAsync("nonsense", "x", new Actor("1", "uid"), default))).Code);
        Assert.Equal(["vault.denied", "vault.denied"], at.Ledger().Select(e => e.Type).TakeLast(2));
        await Assert.ThrowsAsync<ArgumentException>(() => at.Store.ReadPayloadAsync(reference, " ", new Actor("1", "uid"), default));

        // The ledger cannot be written: no plaintext.
        at.OnStep = step => throw new IOException("injected");
        await Assert.ThrowsAsync<StoreStoppedException>(() => at.Store.ReadPayloadAsync(reference, "again", new Actor("1000", "uid"), default));
    }

    // Whatever a sender writes, an entry can be made of it: a refusal here would stop the writer.
    [Fact]
    public void No_senders_text_or_number_keeps_an_entry_from_being_made()
    {
        using var at = new TemporaryStore();
        var random = new Random(11);
        string[] keys =
        [
            "tool.name", "tool.side_effect_level", "tool.target", "tool.call_id", "tool.idempotency_key", "tool.schema_version", "attempt", "approval.state", "approval.id", "approver_id",
            "approver_role", "approval.reason_code", "approval.risk_level", "approval.latency_ms", "approval.required", "approval.args", "approval.reason", "tool.args", "tool.result",
            "policy.name", "policy.decision", "policy.version", "guardrail.name", "guardrail.decision", "agent.run_id", "agent.workflow_id", "agent.session_id", "agent.tenant_id",
            "deployment.environment", "agent.release", "agent.name", "actor.user_id", "actor.is_agent", "outcome", "error_class", "src_seq", "latency_ms",
        ];
        object[] values =
        [
            "", " ", "a b", "jane.doe@example.com", "\u0000", "\ud83d\ude00", "é", "\"quoted\"\n", new string('x', 5000), new string('A', 128), new string('A', 129), "write", "approved", "requested",
            "rejected", "edited", "true", "-1", int.MinValue, int.MaxValue, 0, 1, -5, double.MaxValue, -1e300, 1e18, 0.5, true, false, "4111 1111 1111 1111", "{}", "[1]", "vr_x", "sha256:00",
        ];
        string[] names = ["tool.call", "agent.approval.wait", "policy.check", "guardrail", "step"];
        int stored = 0;
        for (ulong i = 1; i <= 150; i++)
        {
            var spans = Enumerable.Range(1, 6).Select(s =>
            {
                var span = new Sent((ulong)random.Next(1, 20), (i * 100) + (ulong)s, names[random.Next(names.Length)]) { At = random.Next(100), Until = random.Next(100) };
                return span.With([.. Enumerable.Range(0, random.Next(12)).Select(_ => (keys[random.Next(keys.Length)], values[random.Next(values.Length)])).DistinctBy(a => a.Item1)]);
            }).ToArray();
            stored += at.Send(spans).Accepted;
        }

        Assert.Equal(900, stored);
        var entries = at.Ledger();
        Assert.True(entries.Count > 400, $"only {entries.Count} entries");
        Assert.Equal(entries.Count, entries.Select(e => e.Json.GetProperty("id").GetString()).Distinct().Count());
        Assert.DoesNotContain("jane.doe", string.Concat(entries.Select(e => e.Json.GetRawText())), StringComparison.Ordinal);
        Assert.All(at.Runs(), run => Assert.NotEmpty(at.Story(run.RunId).Spans));
        string before = string.Join('\n', at.Runs().Select(r => System.Text.Json.JsonSerializer.Serialize(r, StoreJson.Default.RunView)));
        at.Store.Close();
        File.Delete(Path.Combine(at.Data, "outcomes.db"));
        at.Reopen();
        Assert.Equal(before, string.Join('\n', at.Runs().Select(r => System.Text.Json.JsonSerializer.Serialize(r, StoreJson.Default.RunView))));
    }
}
