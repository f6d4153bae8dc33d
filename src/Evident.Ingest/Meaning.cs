using System.Buffers.Text;

namespace Evident.Ingest;

/// <summary>The words that senders use, brought to the few that are stored. The originals stay in <see cref="Field.StatusText"/> and <see cref="Field.ErrorType"/>.</summary>
internal static class Meaning
{
    internal static readonly Vocabulary<StepKind> Kinds = Vocabulary<StepKind>.Of(
        ("agent agent_run invoke_agent create_agent agent_action invocation agent_step_run", StepKind.Agent),
        ("workflow workflow_run invoke_workflow crew invoke_swarm invoke_graph session user_request", StepKind.Workflow),
        ("chain task step agent_step workflow_step reflection operation orchestrate_tools handle_conversation_turn ai_generatetext ai_streamtext ai_generateobject ai_streamobject", StepKind.Step),
        ("plan planning agent_plan", StepKind.Plan),
        ("llm generation chat completion generate_content text_completion generate model_generation llm_generation llm_call model llm_request ai_generatetext_dogenerate ai_streamtext_dostream ai_generateobject_dogenerate ai_streamobject_dostream realtime", StepKind.Llm),
        ("embedding embeddings embed ai_embed ai_embedmany ai_embed_doembed ai_embedmany_doembed", StepKind.Embedding),
        ("retriever retrieval retrieval_query search_memory retrieve", StepKind.Retrieval),
        ("reranker rerank ai_rerank ai_rerank_dorerank", StepKind.Rerank),
        ("tool_select tool_selection agent_tool_select", StepKind.ToolSelect),
        ("tool tool_call execute_tool tool_execution agent_tool_call function mcp_tool_call ai_toolcall tools_call call_tool", StepKind.Tool),
        ("guardrail guardrail_check guard content_filter", StepKind.Guardrail),
        ("policy policy_decision policy_check", StepKind.Policy),
        ("evaluator evaluation eval gen_ai_evaluation_result eval_result feedback user_feedback label human_label annotation", StepKind.Evaluation),
        ("verify verification agent_verify validation schema_validation inspector", StepKind.Verify),
        ("handoff agent_handoff", StepKind.Handoff),
        ("approval approval_request approval_decision approval_wait agent_approval_wait human_review", StepKind.Approval),
        ("retry step_retry", StepKind.Retry),
        ("fallback fallback_model_route model_fallback", StepKind.Fallback),
        ("state_transition state_change", StepKind.StateTransition),
        ("circuit_breaker circuit_breaker_trip circuit_breaker_tripped", StepKind.CircuitBreaker),
        ("prompt", StepKind.Prompt),
        ("finish final_response agent_finish final_response_assembly", StepKind.Finish),
        ("http http_request", StepKind.Http),
        ("db database sql", StepKind.Db),
        ("event custom_event log", StepKind.Event));

    // First words of span names, up to the first blank, and for dotted names also the part before the last dot.
    internal static readonly Vocabulary<StepKind> NameWords = Vocabulary<StepKind>.Of(
        ("agent_run invoke_agent create_agent agent invocation", StepKind.Agent),
        ("invoke_workflow workflow_run workflow_invoke workflow", StepKind.Workflow),
        ("agent_step step task executor_process", StepKind.Step),
        ("agent_plan plan planning", StepKind.Plan),
        ("chat text_completion generate_content completion call_llm generate model_generation openai_chat anthropic_chat llm", StepKind.Llm),
        ("embeddings createembeddings embedding embed", StepKind.Embedding),
        ("retrieval retrieval_query retrieve search_memory", StepKind.Retrieval),
        ("rerank", StepKind.Rerank),
        ("agent_tool_select tool_select tool_selection", StepKind.ToolSelect),
        ("agent_tool_call execute_tool call_tool tool_call tool tools_call tool_execution", StepKind.Tool),
        ("guardrail guardrail_check agent_guardrail", StepKind.Guardrail),
        ("policy policy_decision policy_check agent_policy", StepKind.Policy),
        ("eval evaluation evaluate eval_result gen_ai_evaluation_result", StepKind.Evaluation),
        ("agent_verify verify verification validate", StepKind.Verify),
        ("handoff agent_handoff", StepKind.Handoff),
        ("agent_approval_wait approval approval_request approval_decision approval_wait human_review", StepKind.Approval),
        ("retry agent_retry", StepKind.Retry),
        ("fallback agent_fallback fallback_model_route", StepKind.Fallback),
        ("state_transition", StepKind.StateTransition),
        ("circuit_breaker agent_circuit_breaker", StepKind.CircuitBreaker),
        ("agent_finish finish final_response", StepKind.Finish),
        ("get post put delete patch head options http", StepKind.Http),
        ("select insert update", StepKind.Db));

    private static readonly Vocabulary<string> Outcomes = Vocabulary<string>.Of(
        ("success succeeded successful ok completed complete done pass passed finished true fallback", "success"),
        ("partial partial_success partially_completed degraded", "partial"),
        ("failure failed fail error errored exception crashed status_code_error false", "failure"),
        ("rejected rejection denied declined refused blocked", "rejected"),
        ("timeout timed_out time_out deadline_exceeded expired", "timeout"),
        ("interrupt interrupted paused suspended waiting approval_required cancelled canceled aborted", "interrupted"));

    private static readonly Vocabulary<string> Approvals = Vocabulary<string>.Of(
        ("not_required none auto auto_approved unneeded", "not_required"),
        ("requested request pending waiting awaiting required open", "requested"),
        ("approved approve accepted accept allow allowed granted yes true", "approved"),
        ("rejected reject denied deny declined decline refused no false", "rejected"),
        ("edited edit modified changed approved_with_edits", "edited"),
        ("expired expire timed_out timeout time_out", "expired"));

    private static readonly Vocabulary<string> Levels = Vocabulary<string>.Of(
        ("none no_side_effect pure", "none"), ("read read_only readonly", "read"), ("write mutating update create draft", "write"),
        ("irreversible destructive delete send spend", "irreversible"), ("unknown", "unknown"));

    private static readonly Vocabulary<string> ErrorClasses = Vocabulary<string>.Of(
        ("authz_denied authorization_denied permission_denied access_denied forbidden unauthorized unauthenticated accessdenied permissiondenied auth_error 401 403 permissionerror", "authz_denied"),
        ("timeout timed_out deadline_exceeded timeouterror 408 504 etimedout timeoutexception", "timeout"),
        ("rate_limited rate_limit rate_limit_exceeded too_many_requests quota_exceeded resource_exhausted 429 ratelimiterror throttled", "rate_limited"),
        ("validation validation_error schema_violation invalid_argument invalid_request bad_request 400 422 valueerror schema_validation invalid_format", "validation"),
        ("tool_error tool_failure tool_failed business_error tool_exception", "tool_error"),
        ("provider_error model_error upstream_error 500 502 503 server_error service_unavailable unavailable overloaded", "provider_error"),
        ("network network_error connection_error connection_refused dns_error econnrefused econnreset unreachable", "network"),
        ("not_found 404 notfound missing filenotfounderror keyerror", "not_found"),
        ("conflict 409 already_exists duplicate aborted", "conflict"),
        ("budget_exhausted budget_exceeded max_steps max_steps_exceeded step_limit cost_limit", "budget_exhausted"),
        ("loop infinite_loop loop_detected graphrecursionerror", "loop"),
        ("guardrail_blocked guardrail content_filter content_policy blocked", "guardrail_blocked"),
        ("policy_denied policy policy_violation", "policy_denied"),
        ("internal internal_error", "internal"),
        ("unknown _other other error", "unknown"));

    // Parts of exception type names, tried in this order.
    private static readonly (byte[] Part, string Class)[] ErrorParts =
    [
        ("timeout"u8.ToArray(), "timeout"), ("ratelimit"u8.ToArray(), "rate_limited"), ("throttl"u8.ToArray(), "rate_limited"), ("quota"u8.ToArray(), "rate_limited"),
        ("permission"u8.ToArray(), "authz_denied"), ("unauthor"u8.ToArray(), "authz_denied"), ("forbidden"u8.ToArray(), "authz_denied"), ("accessdenied"u8.ToArray(), "authz_denied"),
        ("notfound"u8.ToArray(), "not_found"), ("conflict"u8.ToArray(), "conflict"), ("validation"u8.ToArray(), "validation"), ("valueerror"u8.ToArray(), "validation"),
        ("argument"u8.ToArray(), "validation"), ("recursion"u8.ToArray(), "loop"), ("connect"u8.ToArray(), "network"), ("socket"u8.ToArray(), "network"), ("http"u8.ToArray(), "network"),
        ("guardrail"u8.ToArray(), "guardrail_blocked"), ("budget"u8.ToArray(), "budget_exhausted"), ("policy"u8.ToArray(), "policy_denied"), ("tool"u8.ToArray(), "tool_error"),
    ];

    internal static string? Outcome(ReadOnlySpan<byte> word) => Outcomes.TryGet(word, out string? value) ? value : null;
    internal static bool IsFallback(ReadOnlySpan<byte> word) => System.Text.Ascii.EqualsIgnoreCase(word, "fallback"u8);
    internal static string? Approval(ReadOnlySpan<byte> word) => Approvals.TryGet(word, out string? value) ? value : null;
    internal static string? SideEffect(ReadOnlySpan<byte> word) => Levels.TryGet(word, out string? value) ? value : null;

    /// <summary>The class that an error word or exception type names, or null.</summary>
    internal static string? ErrorClass(ReadOnlySpan<byte> word)
    {
        if (ErrorClasses.TryGet(word, out string? value)) return value;
        if (word.Length > 256) return null;
        Span<byte> folded = stackalloc byte[256];
        int n = 0;
        foreach (byte c in word)
            if (c != (byte)'_' && c != (byte)'-') folded[n++] = (byte)char.ToLowerInvariant((char)c);
        foreach (var (part, name) in ErrorParts)
            if (folded[..n].IndexOf(part) >= 0) return name;
        return Utf8Parser.TryParse(word, out int status, out int used) && used == word.Length && status is >= 500 and < 600 ? "provider_error" : null;
    }

    /// <summary>The kind that a span's name says (semantic-conventions 2.1, 6.12), or <see cref="StepKind.Span"/>.</summary>
    internal static StepKind KindOfName(ReadOnlySpan<byte> name)
    {
        int blank = name.IndexOf((byte)' ');
        var word = blank < 0 ? name : name[..blank];
        if (NameWords.TryGet(word, out var kind)) return kind;
        // "call_tool.issue_refund", "retry.payment": the part before a dot; "crew.workflow", "search.tool": the last one.
        int dot = word.IndexOf((byte)'.');
        if (dot > 0 && NameWords.TryGet(word[..dot], out kind) && kind is not (StepKind.Agent or StepKind.Db or StepKind.Llm)) return kind;
        int last = word.LastIndexOf((byte)'.');
        if (last > 0 && word[(last + 1)..] is var tail && (tail.SequenceEqual("tool"u8) || tail.SequenceEqual("agent"u8) || tail.SequenceEqual("workflow"u8) || tail.SequenceEqual("task"u8))
            && Kinds.TryGet(tail, out kind)) return kind;
        return StepKind.Span;
    }
}
