namespace Evident.Ingest;

/// <summary>What a span is in an agent run. The numbers are stored; they are never reused.</summary>
public enum StepKind : byte
{
    Span = 0, Agent = 1, Workflow = 2, Step = 3, Plan = 4, Llm = 5, Embedding = 6, Retrieval = 7, Rerank = 8, ToolSelect = 9, Tool = 10,
    Guardrail = 11, Policy = 12, Evaluation = 13, Verify = 14, Handoff = 15, Approval = 16, Retry = 17, Fallback = 18, StateTransition = 19,
    CircuitBreaker = 20, Prompt = 21, Finish = 22, Http = 23, Db = 24, Event = 25,
}

/// <summary>OTLP's own span kind, with OTLP's numbers.</summary>
public enum OtlpSpanKind : byte { Unspecified = 0, Internal = 1, Server = 2, Client = 3, Producer = 4, Consumer = 5 }

/// <summary>OTLP's status code, with OTLP's numbers.</summary>
public enum OtlpStatus : byte { Unset = 0, Ok = 1, Error = 2 }

public static class StepKindNames
{
    private static readonly string[] Names =
    [
        "span", "agent", "workflow", "step", "plan", "llm", "embedding", "retrieval", "rerank", "tool_select", "tool", "guardrail", "policy",
        "evaluation", "verify", "handoff", "approval", "retry", "fallback", "state_transition", "circuit_breaker", "prompt", "finish", "http",
        "db", "event",
    ];

    /// <summary>The name that the API and the page show; a kind from a newer format reads as <c>span</c>.</summary>
    public static string ToName(this StepKind kind) => (int)kind < Names.Length ? Names[(int)kind] : Names[0];

    public static string ToName(this OtlpSpanKind kind) => kind switch
    {
        OtlpSpanKind.Internal => "internal",
        OtlpSpanKind.Server => "server",
        OtlpSpanKind.Client => "client",
        OtlpSpanKind.Producer => "producer",
        OtlpSpanKind.Consumer => "consumer",
        _ => "unspecified",
    };

    public static string ToName(this OtlpStatus status) => status switch { OtlpStatus.Ok => "ok", OtlpStatus.Error => "error", _ => "unset" };

    public static bool TryParse(string name, out StepKind kind)
    {
        int index = Array.IndexOf(Names, name);
        kind = index < 0 ? StepKind.Span : (StepKind)index;
        return index >= 0;
    }
}
