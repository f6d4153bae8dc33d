using System.Text.Json.Serialization;

namespace Evident.Store;

// The shapes that the HTTP contract serves. Member names in snake case are the JSON names; times are RFC 3339 in UTC with nine fraction
// digits for spans and three for runs, approvals and the ledger.

/// <summary>Newest first. <c>Next</c> is null on the last page.</summary>
public sealed record RunPage(IReadOnlyList<RunView> Runs, string? Next);

/// <summary>Newest receipt first. <c>Next</c> goes on where this page ended; null when every day was looked through.</summary>
/// <param name="Looked">Spans that were looked at for this page.</param>
/// <param name="Complete">False when the time for one page was over before it was full.</param>
public sealed record SpanPage(IReadOnlyList<SpanView> Spans, string? Next, long Looked, bool Complete);

public sealed record RunView
{
    public required string RunId { get; init; }
    public required IReadOnlyList<string> TraceIds { get; init; }
    public string? SessionId { get; init; }
    public string? WorkflowId { get; init; }
    public string? AgentName { get; init; }
    public string? TenantId { get; init; }
    public string? Environment { get; init; }
    public string? Release { get; init; }

    /// <summary>success, partial, failure, rejected, timeout, interrupted or running.</summary>
    public required string Outcome { get; init; }
    public bool Resumed { get; init; }
    public bool Fallback { get; init; }
    public required string StartTime { get; init; }
    public required string EndTime { get; init; }
    public double DurationMs { get; init; }
    public long Steps { get; init; }
    public int Spans { get; init; }
    public int Errors { get; init; }
    public long Retries { get; init; }
    public long TokensIn { get; init; }
    public long TokensOut { get; init; }
    public double? CostUsd { get; init; }

    /// <summary><c>reported</c>, <c>computed</c> or <c>mixed</c>; null without a cost.</summary>
    public string? CostSource { get; init; }

    /// <summary>Calls that used tokens and of whose cost nothing is known: the cost is a lower bound when there are any.</summary>
    public int UnpricedCalls { get; init; }
    public required IReadOnlyList<ToolUse> Tools { get; init; }
    public required IReadOnlyList<string> Models { get; init; }
    public required ApprovalCounts Approvals { get; init; }
    public required IReadOnlyList<string> Flags { get; init; }
    public int Payloads { get; init; }

    /// <summary>Only in a run's story.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RunBudget? Budget { get; init; }

    /// <summary>Only in a run's story.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public RunVersions? Versions { get; init; }
}

public sealed record ToolUse(string Name, string SideEffectLevel, int Calls, int Errors);

public sealed record ApprovalCounts(int Requested, int Approved, int Rejected, int Expired, int Waiting, double WaitMs);

public sealed record RunBudget(long? MaxSteps, long Steps, double? MaxCostUsd);

public sealed record RunVersions(string? Agent, string? Prompt, string? Policy, string? ToolSchema, string? ModelRequested, string? ModelUsed);

public sealed record RunStory(
    RunView Run, IReadOnlyList<SpanView> Spans, IReadOnlyList<ApprovalView> Approvals, IReadOnlyList<LedgerMark> Ledger, FirstWrong? FirstWrong,
    int MissingParents, IReadOnlyList<EvalView> Evals);

public sealed record LedgerMark(long Seq, string Type, string? SpanId, string ThisHash);

/// <summary>The earliest span that explains why the run went wrong, by docs/store.md.</summary>
public sealed record FirstWrong(string SpanId, string Why);

public sealed record TraceView(string TraceId, string RunId, IReadOnlyList<SpanView> Spans);

public sealed record SpanView
{
    public required string TraceId { get; init; }
    public required string SpanId { get; init; }
    public string? ParentSpanId { get; init; }
    public required string Name { get; init; }
    public required string Kind { get; init; }
    public required string OtlpKind { get; init; }
    public required string StartTime { get; init; }
    public required string EndTime { get; init; }
    public double DurationMs { get; init; }
    public required string Status { get; init; }
    public string? Outcome { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ToolName { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Model { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? SideEffectLevel { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? TokensIn { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? TokensOut { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? CostUsd { get; init; }

    /// <summary>How <see cref="CostUsd"/> is known: reported, or computed with a formula and a row of the price table.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CostView? Cost { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ErrorClass { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Attempt { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ApprovalState { get; init; }

    public required IReadOnlyDictionary<string, AttributeValue> Attributes { get; init; }
    public required IReadOnlyDictionary<string, AttributeValue> Resource { get; init; }
    public string? Scope { get; init; }
    public required IReadOnlyList<SpanEventView> Events { get; init; }
    public required IReadOnlyList<SpanLinkView> Links { get; init; }
    public required IReadOnlyList<PayloadView> Payloads { get; init; }

    /// <summary><c>structure</c> or <c>opt_out</c>: by policy the span's payloads were not captured; <c>full</c>: they were sealed unredacted, in a debug session.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Capture { get; init; }

    /// <summary>Content that is kept elsewhere; absent when there is none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ReferenceView>? References { get; init; }

    /// <summary>Sequence numbers of the ledger entries about this span.</summary>
    public required IReadOnlyList<long> Ledger { get; init; }
    public int Revisions { get; init; }
}

public sealed record SpanEventView(string Time, string Name, IReadOnlyDictionary<string, AttributeValue> Attributes);

public sealed record SpanLinkView(string TraceId, string SpanId);

/// <param name="Ref">Vault reference; null when the payload was not captured.</param>
/// <param name="Hash">Keyed fingerprint, for comparing.</param>
/// <param name="Bytes">Size as sealed, or as sent when it was not captured.</param>
public sealed record PayloadView(string Role, string? Ref, string Hash, long Bytes)
{
    /// <summary>The reference in the vault of the appliance that the span was imported from; the payload is there and not here.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Elsewhere { get; init; }
}

/// <summary>Content that the sender keeps elsewhere. Nobody here fetches it.</summary>
/// <param name="Role">What is there: a payload role.</param>
/// <param name="Name">The attribute that says so.</param>
/// <param name="Uri">Its address without credentials, query and fragment, or its id.</param>
public sealed record ReferenceView(string Role, string Name, string Uri);

public sealed record ApprovalView
{
    public string? ApprovalId { get; init; }
    public required string Tool { get; init; }

    /// <summary>requested, approved, rejected, edited or expired.</summary>
    public required string State { get; init; }
    public string? RequestedTime { get; init; }
    public string? DecidedTime { get; init; }
    public double? WaitMs { get; init; }
    public string? ApproverId { get; init; }
    public string? ApproverRole { get; init; }

    /// <summary>Always <c>claimed</c> until approvals are decided on the appliance itself.</summary>
    public string IdentitySource { get; init; } = "claimed";

    /// <summary>A clean code; free text is sealed and stands in <see cref="ReasonPayload"/>.</summary>
    public string? Reason { get; init; }
    public string? ReasonPayload { get; init; }
    public string? ExecutedTime { get; init; }
    public string? ExecutionStatus { get; init; }
    public string? RequestSpanId { get; init; }
    public string? ExecutedSpanId { get; init; }
    public bool? ArgsMatch { get; init; }
    public required string Sentence { get; init; }
}

/// <summary>The newest durable head and the newest published checkpoint. <c>Checkpoint</c> is the note's text.</summary>
public sealed record LedgerHeadView(string Origin, long Size, string Root, string Checkpoint, long PublishedSize, string IdentityVkey, int Epoch)
{
    /// <summary>When this process last published; null before its first time.</summary>
    public string? PublishedTime { get; init; }

    /// <summary>The published head as five lines that can be typed from paper (docs/evidence.md, section 1).</summary>
    public string? Text { get; init; }

    /// <summary>The newest heartbeat entry; null when there is none.</summary>
    public HeartbeatView? LastHeartbeat { get; init; }

    /// <summary>The largest size that a confirmation from outside was filed for; null when none was.</summary>
    public AnchorView? Anchored { get; init; }
}

/// <summary>How far this process has read the ledger from the disk again (<c>ScrubbedTo</c> entries), how often that found damage, and when it last came to the end.</summary>
public sealed record ScrubStatus(long ScrubbedTo, long Errors, long? FinishedUnixMillis);

public sealed record HeartbeatView(long Seq, string Recorded, string State, long IntervalMs);

/// <summary>A <c>ledger.anchor</c> entry. What it says was checked when it was filed; whether the witness counts is for an auditor's policy.</summary>
/// <param name="Time">The witness's time, when the confirmation has one.</param>
/// <param name="Recorded">When it was filed.</param>
/// <param name="FileThere">Whether <c>anchors/</c> still holds the file that the entry names; null when it names none.</param>
public sealed record AnchorView(long Size, string Kind, string? Witness, string? KeyId, string? Time, string Recorded, long Seq, bool? FileThere);

/// <summary>One file of <c>traces/</c>. <c>Problem</c> is null when it serves.</summary>
public sealed record PartitionStatus(string Name, bool Available, string? Problem);

/// <summary>Source-generated JSON of every shape above: snake case, nulls written unless a member says otherwise.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RunPage))]
[JsonSerializable(typeof(SpanPage))]
[JsonSerializable(typeof(RunView))]
[JsonSerializable(typeof(RunStory))]
[JsonSerializable(typeof(TraceView))]
[JsonSerializable(typeof(SpanView))]
[JsonSerializable(typeof(LedgerHeadView))]
public sealed partial class StoreJson : JsonSerializerContext;
