using Evident.Ingest;

namespace Evident.Tests.Ingest;

public sealed class ConventionTests
{
    [Fact]
    public void The_seeds_harness_span_maps_to_its_fields()
    {
        var sealer = new RecordingSealer();
        var span = Cleaning.One(new OtlpSpan("agent.tool.call",
            "environment".Is("prod"), "tenant_id".Is("t_9f3d"), "workflow_id".Is("customer_support_triage_v7"), "run_id".Is("run_01J3K6"), "actor_user_id".Is("u_123"), "actor_is_agent".Is(true),
            "event_type".Is("tool.call"), "tool_name".Is("gmail.send"), "side_effect_level".Is("write"), "idempotency_key".Is("gmail.send:thread_18b4f5e2:msg_02"), "tool_args_hash".Is("sha256:3b4d"),
            "tool_result_hash".Is("sha256:91ad"), "approval_state".Is("approved"), "approver_id".Is("u_901"), "approval_latency_ms".Is(18421), "retry_count".Is(1), "error_class".Is(null),
            "circuit_breaker_tripped".Is(false), "tokens_in".Is(2231.0), "tokens_out".Is("412"), "latency_ms".Is(3920), "cost_usd".Is(0.0184), "model.provider".Is("openai"), "model.name".Is("gpt-4.1"),
            "model.version".Is("2026-04-xx"), "prompt_version".Is("support_triage_prompt@2026-05-01"), "policy_version".Is("support_policy@2026-05-03")), sealer);
        Assert.Equal(StepKind.Tool, span.Kind);
        Assert.Equal("prod", span.Text(Field.Environment));
        Assert.Equal("t_9f3d", span.Text(Field.TenantId));
        Assert.Equal("customer_support_triage_v7", span.Text(Field.WorkflowId));
        Assert.Equal("run_01J3K6", span.Text(Field.RunId));
        Assert.Equal(Pseudonym.Of(NamedScopes.Make("t_9f3d").PseudonymKey, "u_", "u_123"u8), span.Text(Field.UserId));
        Assert.True(span.Flag(Field.ActorIsAgent));
        Assert.Equal("gmail.send", span.Text(Field.ToolName));
        Assert.Equal("write", span.Text(Field.SideEffectLevel));
        Assert.Equal("gmail.send:thread_18b4f5e2:msg_02", span.Text(Field.IdempotencyKey));
        Assert.StartsWith("hmac-sha256:", span.Text(Field.ToolArgsHash), StringComparison.Ordinal);
        Assert.Equal("approved", span.Text(Field.ApprovalState));
        Assert.Equal("u_901", span.Text(Field.ApproverId));
        Assert.Equal(18421, span.Number(Field.ApprovalLatencyMs));
        Assert.Equal(1, span.Integer(Field.RetryCount));
        Assert.Null(span.Text(Field.ErrorClass));
        Assert.False(span.Flag(Field.CircuitBreaker));
        Assert.Equal(2231, span.Integer(Field.TokensIn));
        Assert.Equal(412, span.Integer(Field.TokensOut));
        Assert.Equal(3920, span.Number(Field.LatencyMs));
        Assert.Equal(0.0184, span.Number(Field.CostUsd));
        Assert.Equal("openai", span.Text(Field.Provider));
        Assert.Equal("gpt-4.1", span.Text(Field.ModelRequested));
        Assert.Equal("support_triage_prompt@2026-05-01", span.Text(Field.PromptVersion));
        Assert.Equal("support_policy@2026-05-03", span.Text(Field.PolicyVersion));
        Assert.Empty(sealer.Sealed);
    }

    [Fact]
    public void The_seeds_interrupted_tool_span_maps_to_its_fields()
    {
        var sealer = new RecordingSealer();
        var span = Cleaning.One(new OtlpSpan("call_tool.issue_refund",
            "kind".Is("tool"), "agent.name".Is("billing-resolver"), "agent.session_id".Is("ticket-9421"), "agent.step".Is(4), "actor.user_id".Is("user_92"), "tool.name".Is("issue_refund"),
            "tool.args.invoice_id".Is("INV-2026-0042"), "tool.args.amount_cents".Is(24000), "llm.model".Is(null), "tokens.in".Is(null), "cost_usd".Is(0), "status".Is("interrupt"), "interrupt.reason".Is("approval_required")), sealer);
        Assert.Equal("call_tool.issue_refund", span.Name);
        Assert.Equal(StepKind.Tool, span.Kind);
        Assert.Equal("ticket-9421", span.Text(Field.SessionId));
        Assert.Equal(4, span.Integer(Field.StepIndex));
        Assert.Equal("interrupted", span.Text(Field.Outcome));
        Assert.Equal("interrupt", span.Text(Field.StatusText));
        Assert.Equal("approval_required", span.Text(Field.InterruptReason));
        Assert.Equal(0, span.Number(Field.CostUsd));
        Assert.Equal("""{"invoice_id":"INV-2026-0042","amount_cents":24000}""", sealer.Text("tool.args"));
        Assert.True(sealer.Sealed.Single().KeepLong);
    }

    [Fact]
    public void The_seeds_shared_event_shape_and_approval_decision_map_to_their_fields()
    {
        var tool = Cleaning.One(new OtlpSpan("tool_call", "workflow".Is("support_refund_assistant"), "event_type".Is("tool_call"), "model".Is("reasoning-default"), "tool_name".Is("refund.create_draft"),
            "side_effect".Is("draft_only"), "status".Is("ok"), "input_redacted".Is(true), "tokens_in".Is(1240), "estimated_cost_usd".Is(0.018), "release".Is("agent-2026.05.13"), "tenant_hash".Is("tenant_7f3a")));
        Assert.Equal(StepKind.Tool, tool.Kind);
        Assert.Equal("success", tool.Text(Field.Outcome));
        Assert.Equal("draft_only", tool.Text(Field.SideEffectNote));
        Assert.Equal(0.018, tool.Number(Field.CostUsd));
        Assert.Equal("agent-2026.05.13", tool.Text(Field.Release));
        Assert.Equal("tenant_7f3a", tool.Text(Field.TenantId));

        var sealer = new RecordingSealer();
        var decision = Cleaning.One(new OtlpSpan("approval", "event_type".Is("approval_decision"), "tool_name".Is("refund.submit"), "decision".Is("rejected"), "reviewer_role".Is("support_lead"),
            "reason".Is("Amount exceeded policy limit")), sealer);
        Assert.Equal(StepKind.Approval, decision.Kind);
        Assert.Equal("rejected", decision.Text(Field.ApprovalState));
        Assert.Equal("support_lead", decision.Text(Field.ApproverRole));
        Assert.Equal("Amount exceeded policy limit", sealer.Text("approval.reason"));
        Assert.True(sealer.Sealed.Single().KeepLong);

        var code = Cleaning.One(new OtlpSpan("approval", "event_type".Is("approval_decision"), "decision".Is("timed_out"), "reason".Is("policy.limit")));
        Assert.Equal(("expired", "policy.limit"), (code.Text(Field.ApprovalState), code.Text(Field.ApprovalReason)));
    }

    [Fact]
    public void Openinference_and_genai_content_is_payload_by_role()
    {
        var sealer = new RecordingSealer();
        var span = Cleaning.One(new OtlpSpan("ChatCompletion", "openinference.span.kind".Is("LLM"), "llm.model_name".Is("gpt-4.1"), "llm.token_count.prompt".Is(12), "llm.token_count.prompt_details.cache_read".Is(4),
            "input.value".Is("What is my balance?"), "input.mime_type".Is("text/plain"), "output.value".Is("It is 12."), "llm.input_messages.0.message.role".Is("user"),
            "llm.input_messages.0.message.content".Is("What is my balance?"), "retrieval.documents.0.document.content".Is("doc text"), "gen_ai.output.messages".Is("[{\"role\":\"assistant\"}]"),
            "metadata".Is("{}"), "llm.cost.total".Is(0.5), "gen_ai.response.finish_reasons".Is(new object?[] { "stop", "length" })), sealer);
        Assert.Equal(StepKind.Llm, span.Kind);
        Assert.Equal("gpt-4.1", span.Text(Field.ModelRequested));
        Assert.Equal(12, span.Integer(Field.TokensIn));
        Assert.Equal(4, span.Integer(Field.TokensCacheRead));
        Assert.Equal("stop", span.Text(Field.StopReason));
        Assert.Equal("What is my balance?", sealer.Text("input"));
        Assert.Equal("It is 12.", sealer.Text("output"));
        Assert.Equal("""{"0.message.role":"user","0.message.content":"What is my balance?"}""", sealer.Text("input.messages"));
        Assert.Equal("""[{"role":"assistant"}]""", sealer.Text("output.messages"));
        Assert.Equal("""{"0.document.content":"doc text"}""", sealer.Text("retrieval.documents"));
        Assert.Equal("text/plain", span.Attributes.Single(a => a.Key == "input.mime_type").Value.Text);
        Assert.DoesNotContain(span.Attributes, a => a.Key.StartsWith("llm.input", StringComparison.Ordinal) || a.Key == "metadata");
    }

    [Theory]
    [InlineData("agent.run", null, null, StepKind.Agent)]
    [InlineData("agent.plan", null, null, StepKind.Plan)]
    [InlineData("agent.tool.select", null, null, StepKind.ToolSelect)]
    [InlineData("agent.tool.call", null, null, StepKind.Tool)]
    [InlineData("agent.verify", null, null, StepKind.Verify)]
    [InlineData("agent.approval.wait", null, null, StepKind.Approval)]
    [InlineData("agent.finish", null, null, StepKind.Finish)]
    [InlineData("call_tool.x", null, null, StepKind.Tool)]
    [InlineData("chat gpt-4.1", null, null, StepKind.Llm)]
    [InlineData("execute_tool search", null, null, StepKind.Tool)]
    [InlineData("invoke_agent billing", null, null, StepKind.Agent)]
    [InlineData("handoff billing", null, null, StepKind.Handoff)]
    [InlineData("guardrail pii", null, null, StepKind.Guardrail)]
    [InlineData("retry", null, null, StepKind.Retry)]
    [InlineData("fallback gpt-4o", null, null, StepKind.Fallback)]
    [InlineData("GET /users/{id}", null, null, StepKind.Http)]
    [InlineData("anything", "gen_ai.operation.name", "embeddings", StepKind.Embedding)]
    [InlineData("agent.run", "langfuse.observation.type", "tool", StepKind.Tool)]
    [InlineData("agent.run", "openinference.span.kind", "UNKNOWN", StepKind.Agent)]
    [InlineData("x", "ai.operationId", "ai.toolCall", StepKind.Tool)]
    [InlineData("x", "traceloop.span.kind", "workflow", StepKind.Workflow)]
    [InlineData("x", "tool.name", "search", StepKind.Tool)]
    [InlineData("x", "llm.model", "gpt", StepKind.Llm)]
    [InlineData("x", "db.system", "postgresql", StepKind.Db)]
    [InlineData("x", "http.request.method", "GET", StepKind.Http)]
    [InlineData("x", "event_type", "state_transition", StepKind.StateTransition)]
    [InlineData("x", "span_type", "circuit_breaker", StepKind.CircuitBreaker)]
    [InlineData("billing.get_invoice", "invoice.id", "INV-1", StepKind.Span)]
    public void The_kind_follows_the_precedence(string name, string? key, string? value, StepKind kind) =>
        Assert.Equal(kind, Cleaning.One(key is null ? new OtlpSpan(name) : new OtlpSpan(name, key.Is(value))).Kind);

    [Theory]
    [InlineData("status", "ok", "success")]
    [InlineData("status", "partial success", "partial")]
    [InlineData("agent.outcome", "FAILED", "failure")]
    [InlineData("status", "rejection", "rejected")]
    [InlineData("status", "timeout", "timeout")]
    [InlineData("outcome", "interrupt", "interrupted")]
    [InlineData("status", "fallback", "success")]
    public void Outcomes_are_one_union(string key, string said, string outcome)
    {
        var span = Cleaning.One(new OtlpSpan("x", key.Is(said)));
        Assert.Equal(outcome, span.Text(Field.Outcome));
        Assert.Equal(said == "fallback" ? true : null, span.Flag(Field.Fallback));
    }

    [Theory]
    [InlineData("error_class", "authz_denied", "authz_denied")]
    [InlineData("error.type", "TimeoutError", "timeout")]
    [InlineData("error.type", "429", "rate_limited")]
    [InlineData("error.type", "openai.RateLimitError", "rate_limited")]
    [InlineData("error.type", "System.Net.Sockets.SocketException", "network")]
    [InlineData("exception.type", "ValueError", "validation")]
    [InlineData("error.type", "503", "provider_error")]
    [InlineData("error.type", "Zork", "unknown")]
    public void Error_classes_are_few_and_the_original_is_kept(string key, string said, string name)
    {
        var span = Cleaning.One(new OtlpSpan("x", key.Is(said)) { Status = 2 });
        Assert.Equal(name, span.Text(Field.ErrorClass));
        Assert.Equal(said, span.Text(Field.ErrorType));
        Assert.Equal("failure", span.Text(Field.Outcome) == "timeout" ? "failure" : span.Text(Field.Outcome));
    }

    [Fact]
    public void The_table_is_versioned_data_whose_rows_all_resolve()
    {
        string table = Conventions.Default.ToTable();
        Assert.StartsWith("# Alias table of Evident, version " + Conventions.Default.Version, table, StringComparison.Ordinal);
        int rows = 0;
        foreach (string line in table.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => l[0] != '#'))
        {
            string alias = line.Split('\t')[0];
            var row = Conventions.Default.Find((alias.EndsWith('*') ? alias[..^1] + "0.x" : alias).Utf8());
            Assert.NotNull(row);
            if (!alias.EndsWith('*')) Assert.Equal(alias, row.Alias);
            rows++;
        }
        Assert.True(rows > 600);
        Assert.Null(Conventions.Default.Find("invoice.id"u8));
        Assert.Equal("tool.args.*", Conventions.Default.Find("tool.args.invoice_id"u8)!.Alias);
        Assert.Equal("tool.args.hash", Conventions.Default.Find("tool.args.hash"u8)!.Alias);
    }
}
