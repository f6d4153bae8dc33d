namespace Evident.Ingest;

/// <summary>
/// The canonical fields. The numbers are stored in spans (docs/span-format.md) and never reused; the dotted names are what the API shows
/// and what the alias table (conventions.tsv) maps to.
/// </summary>
public enum Field : ushort
{
    None = 0,
    RunId = 1, SessionId = 2, WorkflowId = 3, TenantId = 4, Environment = 5, Release = 6, ServiceName = 7, AgentName = 8, AgentVersion = 9,
    UserId = 10, ActorIsAgent = 11, StepIndex = 12, StepCount = 13, AgentId = 14, RequestId = 15,
    ToolName = 20, ToolCallId = 21, ToolSchemaVersion = 22, SideEffectLevel = 23, SideEffectNote = 24, Target = 25, IdempotencyKey = 26,
    ToolType = 27, ToolArgsHash = 28, ToolResultHash = 29, ToolVersion = 30,
    ModelRequested = 35, ModelUsed = 36, Provider = 37, TokensIn = 38, TokensOut = 39, TokensCacheRead = 40, TokensCacheWrite = 41,
    TokensReasoning = 42, CostUsd = 43, LatencyMs = 44, TokensTotal = 45, ModelVersion = 46,
    Outcome = 50, StatusText = 51, InterruptReason = 52, ErrorClass = 53, ErrorType = 54, RetryCount = 55, Attempt = 56, BackoffMs = 57,
    Fallback = 58, FallbackFrom = 59, CircuitBreaker = 60, MaxSteps = 61, MaxCostUsd = 62, MaxLatencyMs = 63, FallbackReason = 64,
    PromptVersion = 70, PolicyVersion = 71, PolicyName = 72, PolicyDecision = 73, PlanHash = 74, PromptName = 75,
    ApprovalState = 80, ApprovalRequired = 81, ApproverId = 82, ApproverRole = 83, ApprovalLatencyMs = 84, ApprovalReason = 85, ApprovalId = 86,
    RiskLevel = 87,
    GuardrailName = 90, GuardrailDecision = 91, HandoffTo = 92, VerifyPassed = 93, VerifyStrategy = 94, HandoffFrom = 95,
    EvalName = 100, EvalScore = 101, EvalLabel = 102, EvalPassed = 103, EvalSuite = 104,
    StopReason = 110, SrcSeq = 111,
}

/// <summary>How a field's value is stored: a sender's number may arrive as int, double or numeric text and is brought to this.</summary>
public enum FieldType : byte { Text, Integer, Number, Flag }

public static class Fields
{
    private readonly record struct Definition(Field Field, FieldType Type, string Name);

    private static readonly Definition[] Definitions =
    [
        new(Field.RunId, FieldType.Text, "agent.run_id"), new(Field.SessionId, FieldType.Text, "agent.session_id"),
        new(Field.WorkflowId, FieldType.Text, "agent.workflow_id"), new(Field.TenantId, FieldType.Text, "agent.tenant_id"),
        new(Field.Environment, FieldType.Text, "deployment.environment"), new(Field.Release, FieldType.Text, "agent.release"),
        new(Field.ServiceName, FieldType.Text, "service.name"), new(Field.AgentName, FieldType.Text, "agent.name"),
        new(Field.AgentVersion, FieldType.Text, "agent.version"), new(Field.UserId, FieldType.Text, "actor.user_id"),
        new(Field.ActorIsAgent, FieldType.Flag, "actor.is_agent"), new(Field.StepIndex, FieldType.Integer, "agent.step_index"),
        new(Field.StepCount, FieldType.Integer, "agent.step_count"), new(Field.AgentId, FieldType.Text, "agent.id"),
        new(Field.RequestId, FieldType.Text, "request.id"),
        new(Field.ToolName, FieldType.Text, "tool.name"), new(Field.ToolCallId, FieldType.Text, "tool.call_id"),
        new(Field.ToolSchemaVersion, FieldType.Text, "tool.schema_version"), new(Field.SideEffectLevel, FieldType.Text, "tool.side_effect_level"),
        new(Field.SideEffectNote, FieldType.Text, "tool.side_effect"), new(Field.Target, FieldType.Text, "tool.target"),
        new(Field.IdempotencyKey, FieldType.Text, "tool.idempotency_key"), new(Field.ToolType, FieldType.Text, "tool.type"),
        new(Field.ToolArgsHash, FieldType.Text, "tool.args.claimed_hash"), new(Field.ToolResultHash, FieldType.Text, "tool.result.claimed_hash"),
        new(Field.ToolVersion, FieldType.Text, "tool.version"),
        new(Field.ModelRequested, FieldType.Text, "gen_ai.request.model"), new(Field.ModelUsed, FieldType.Text, "gen_ai.response.model"),
        new(Field.Provider, FieldType.Text, "gen_ai.provider.name"), new(Field.TokensIn, FieldType.Integer, "gen_ai.usage.input_tokens"),
        new(Field.TokensOut, FieldType.Integer, "gen_ai.usage.output_tokens"),
        new(Field.TokensCacheRead, FieldType.Integer, "gen_ai.usage.cache_read.input_tokens"),
        new(Field.TokensCacheWrite, FieldType.Integer, "gen_ai.usage.cache_creation.input_tokens"),
        new(Field.TokensReasoning, FieldType.Integer, "gen_ai.usage.reasoning.output_tokens"), new(Field.CostUsd, FieldType.Number, "cost.usd"),
        new(Field.LatencyMs, FieldType.Number, "latency_ms"), new(Field.TokensTotal, FieldType.Integer, "gen_ai.usage.total_tokens"),
        new(Field.ModelVersion, FieldType.Text, "model.version"),
        new(Field.Outcome, FieldType.Text, "outcome"), new(Field.StatusText, FieldType.Text, "status"),
        new(Field.InterruptReason, FieldType.Text, "interrupt.reason"), new(Field.ErrorClass, FieldType.Text, "error_class"),
        new(Field.ErrorType, FieldType.Text, "error.type"), new(Field.RetryCount, FieldType.Integer, "retry_count"),
        new(Field.Attempt, FieldType.Integer, "attempt"), new(Field.BackoffMs, FieldType.Number, "backoff_ms"),
        new(Field.Fallback, FieldType.Flag, "fallback"), new(Field.FallbackFrom, FieldType.Text, "fallback.from"),
        new(Field.CircuitBreaker, FieldType.Flag, "circuit_breaker_tripped"), new(Field.MaxSteps, FieldType.Integer, "budget.max_steps"),
        new(Field.MaxCostUsd, FieldType.Number, "budget.max_cost_usd"), new(Field.MaxLatencyMs, FieldType.Number, "budget.max_latency_ms"),
        new(Field.FallbackReason, FieldType.Text, "fallback.reason"),
        new(Field.PromptVersion, FieldType.Text, "agent.prompt_version"), new(Field.PolicyVersion, FieldType.Text, "policy.version"),
        new(Field.PolicyName, FieldType.Text, "policy.name"), new(Field.PolicyDecision, FieldType.Text, "policy.decision"),
        new(Field.PlanHash, FieldType.Text, "agent.plan.hash"), new(Field.PromptName, FieldType.Text, "prompt.name"),
        new(Field.ApprovalState, FieldType.Text, "approval.state"), new(Field.ApprovalRequired, FieldType.Flag, "approval.required"),
        new(Field.ApproverId, FieldType.Text, "approval.approver_id"), new(Field.ApproverRole, FieldType.Text, "approval.approver_role"),
        new(Field.ApprovalLatencyMs, FieldType.Number, "approval.latency_ms"), new(Field.ApprovalReason, FieldType.Text, "approval.reason_code"),
        new(Field.ApprovalId, FieldType.Text, "approval.id"), new(Field.RiskLevel, FieldType.Text, "approval.risk_level"),
        new(Field.GuardrailName, FieldType.Text, "guardrail.name"), new(Field.GuardrailDecision, FieldType.Text, "guardrail.decision"),
        new(Field.HandoffTo, FieldType.Text, "handoff.to"), new(Field.VerifyPassed, FieldType.Flag, "verify.passed"),
        new(Field.VerifyStrategy, FieldType.Text, "verify.strategy"), new(Field.HandoffFrom, FieldType.Text, "handoff.from"),
        new(Field.EvalName, FieldType.Text, "eval.name"), new(Field.EvalScore, FieldType.Number, "eval.score"),
        new(Field.EvalLabel, FieldType.Text, "eval.label"), new(Field.EvalPassed, FieldType.Flag, "eval.passed"), new(Field.EvalSuite, FieldType.Text, "eval.suite"),
        new(Field.StopReason, FieldType.Text, "stop_reason"), new(Field.SrcSeq, FieldType.Integer, "src_seq"),
    ];

    private static readonly Definition[] ByNumber = Definitions.Aggregate(new Definition[Limit], (table, d) => { table[(int)d.Field] = d; return table; });

    /// <summary>One more than the largest field number of this version.</summary>
    internal const int Limit = (int)Field.SrcSeq + 1;

    /// <summary>The canonical dotted name; <c>field.N</c> for a number that a newer version wrote.</summary>
    public static string ToName(this Field field) =>
        (int)field < Limit && ByNumber[(int)field].Name is { } name ? name : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"field.{(int)field}");

    public static FieldType TypeOf(Field field) => (int)field < Limit ? ByNumber[(int)field].Type : FieldType.Text;

    public static bool TryParse(string name, out Field field)
    {
        foreach (var definition in Definitions)
        {
            if (definition.Name != name) continue;
            field = definition.Field;
            return true;
        }
        field = Field.None;
        return false;
    }
}
