using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>Everything that is derived from the spans of one run; a pure function of them and of the tool registry. The rules are in docs/store.md.</summary>
internal sealed class RunSummary
{
    private const int LoopCalls = 3;
    private const int MaxSearchText = 8_192;
    private const int MaxNames = 200; // of tools and of models in one run's view

    private readonly StoredSpan[] ordered;
    private readonly Dictionary<SpanKey, StoredSpan> byKey;
    private readonly ToolRegistry tools;
    private readonly PriceBook prices;
    private readonly HashSet<SpanKey> uncovered = [];

    private RunSummary(IEnumerable<StoredSpan> spans, ToolRegistry tools, PriceBook prices)
    {
        this.tools = tools;
        this.prices = prices;
        ordered = [.. spans.OrderBy(s => s.StartNanos).ThenBy(s => s.TraceId.High).ThenBy(s => s.TraceId.Low).ThenBy(s => s.SpanId.Value)];
        byKey = ordered.ToDictionary(s => s.Key());
    }

    public RunView View { get; private set; } = null!;

    public IReadOnlyList<ApprovalCase> Approvals { get; private set; } = [];

    public IReadOnlyList<EvalView> Evals { get; private set; } = [];

    /// <summary>Parents that are named and have not arrived.</summary>
    public int MissingParents { get; private set; }

    public ulong StartNanos { get; private set; }

    /// <summary>Names and ids, lower case, one a line; what text search looks through.</summary>
    public string SearchText { get; private set; } = "";

    /// <summary>Calls that wrote without a granted approval, in order of time.</summary>
    public IEnumerable<StoredSpan> WritesWithoutApproval => ordered.Where(s => uncovered.Contains(s.Key()));

    public IReadOnlyList<StoredSpan> Spans => ordered;

    /// <summary>What speaks for the newest trace; null while it has not arrived.</summary>
    public StoredSpan? Root { get; private set; }

    /// <param name="spans">One per key, revisions merged; at least one.</param>
    /// <param name="prices">Null: those of the build alone.</param>
    public static RunSummary Of(IEnumerable<StoredSpan> spans, ToolRegistry tools, PriceBook? prices = null)
    {
        var summary = new RunSummary(spans, tools, prices ?? PriceBook.BuiltIn);
        summary.JoinApprovals();
        summary.Summarise();
        return summary;
    }

    /// <summary>
    /// The span that speaks for a trace: the one without a parent; when that has not arrived, an agent or workflow span whose parent is missing.
    /// </summary>
    public static StoredSpan? RootOf(IEnumerable<StoredSpan> traceSpans, IReadOnlyDictionary<SpanKey, StoredSpan> all)
    {
        StoredSpan? root = null, entry = null;
        foreach (var span in traceSpans)
        {
            if (span.ParentSpanId is not { } parent)
            {
                root = root is null || (IsRunKind(span) && !IsRunKind(root)) ? span : root;
            }
            else if (IsRunKind(span) && !all.ContainsKey(new SpanKey(span.TraceId, parent)))
            {
                entry ??= span;
            }
        }

        return root ?? entry;
    }

    private static bool IsRunKind(StoredSpan span) => span.Kind is StepKind.Agent or StepKind.Workflow;

    private void JoinApprovals()
    {
        var book = new ApprovalBook(int.MaxValue);
        foreach (var span in ordered)
        {
            if (ApprovalFact.Of(span) is { } fact)
            {
                book.Add("", fact with { RunId = "", SessionId = null }); // all of it is one run
            }
        }

        var executions = new List<(StoredSpan Span, ExecutionFact Fact, ApprovalCase? Case)>();
        foreach (var span in ordered)
        {
            if (ExecutionFact.Of(span, tools) is { } fact)
            {
                executions.Add((span, fact, book.Add("", fact with { RunId = "", SessionId = null }, keep: false)?.Case));
            }
        }

        foreach (var (span, fact, joined) in executions)
        {
            if ((fact.Level >= SideEffectLevel.Write || fact.Required) && joined?.Covers(fact.Start, fact.End) != true)
            {
                uncovered.Add(span.Key());
            }
        }

        Approvals = [.. book.Cases.Where(c => (c.RequestSpan ?? c.DecisionSpan) is not null).OrderBy(c => c.Requested ?? c.Decided).ThenBy(c => c.Id, StringComparer.Ordinal)];
    }

    private void Summarise()
    {
        var traces = ordered.GroupBy(s => s.TraceId).OrderBy(g => g.Min(s => s.StartNanos)).ThenBy(g => g.Key.ToString(), StringComparer.Ordinal).Select(g => g.ToArray()).ToArray();
        var roots = traces.Select(t => RootOf(t, byKey)).ToArray();
        StartNanos = ordered.Select(s => s.StartNanos).Where(t => t > 0).DefaultIfEmpty().Min(); // a span without a start time does not date the run
        ulong end = ordered.Max(s => Math.Max(s.StartNanos, s.EndNanos));
        MissingParents = ordered.Where(s => s.ParentSpanId is { } p && !byKey.ContainsKey(new SpanKey(s.TraceId, p))).Select(s => (s.TraceId, s.ParentSpanId)).Distinct().Count();
        Root = roots[^1];
        var speakers = roots.OfType<StoredSpan>().ToArray();

        string outcome = OutcomeOf(roots[^1], traces[^1], isLast: true);
        bool resumed = traces.Length > 1 && outcome != "interrupted"
            && traces.Zip(roots).SkipLast(1).Any(t => OutcomeOf(t.Second, t.First, isLast: false) == "interrupted");
        var totals = RunUsage.Of(byKey, prices);
        Evals = EvalResults.Of(ordered, byKey);
        long steps = StepsOf();
        var versions = new RunVersions(
            First(speakers, Field.AgentVersion), First(speakers, Field.PromptVersion), First(speakers, Field.PolicyVersion), First(speakers, Field.ToolSchemaVersion),
            First(speakers, Field.ModelRequested), First(speakers, Field.ModelUsed));
        long? maxSteps = ordered.Select(s => s.Integer(Field.MaxSteps)).FirstOrDefault(v => v is not null);
        double? maxCost = ordered.Select(s => s.Number(Field.MaxCostUsd)).FirstOrDefault(v => v is not null);

        var view = new RunView
        {
            RunId = First(speakers, Field.RunId) ?? traces[0][0].TraceId.ToString(),
            TraceIds = [.. traces.Select(t => t[0].TraceId.ToString())],
            SessionId = First(speakers, Field.SessionId),
            WorkflowId = First(speakers, Field.WorkflowId),
            AgentName = First(speakers, Field.AgentName),
            TenantId = First(speakers, Field.TenantId),
            Environment = First(speakers, Field.Environment),
            Release = First(speakers, Field.Release),
            Outcome = outcome,
            Resumed = resumed,
            Fallback = ordered.Any(s => s.Flag(Field.Fallback) == true || s.Kind == StepKind.Fallback || s.Text(Field.FallbackFrom) is not null),
            StartTime = Rfc3339.FormatMillis((long)(StartNanos / 1_000_000)),
            EndTime = Rfc3339.FormatMillis((long)(end / 1_000_000)),
            DurationMs = (end - Math.Min(end, StartNanos)) / 1e6,
            Steps = steps,
            Spans = ordered.Length,
            Errors = ordered.Count(s => s.IsFailed()),
            Retries = RetriesOf(),
            TokensIn = totals.TokensIn,
            TokensOut = totals.TokensOut,
            CostUsd = totals.CostUsd,
            CostSource = totals.Source,
            UnpricedCalls = totals.Unpriced,
            Tools = ToolsOf(),
            Models = [.. ordered.Select(s => s.Text(Field.ModelUsed) ?? s.Text(Field.ModelRequested)).OfType<string>().Distinct(StringComparer.Ordinal).Take(MaxNames)],
            Approvals = CountApprovals(),
            Flags = [],
            Payloads = ordered.Sum(s => s.Payloads.Count),
            Budget = maxSteps is null && maxCost is null ? null : new RunBudget(maxSteps, steps, maxCost),
            Versions = versions,
        };
        View = view with { Flags = FlagsOf(view, roots) };
        SearchText = TextOf(view);
    }

    // The explicit outcome of the root wins; an interruption or an open approval comes next; then the root's status; running while no root is there.
    private string OutcomeOf(StoredSpan? root, StoredSpan[] trace, bool isLast)
    {
        string? told = root?.Text(Field.Outcome) ?? trace.LastOrDefault(s => s.Kind == StepKind.Finish)?.Text(Field.Outcome);
        if (told is not null)
        {
            return told;
        }

        string traceId = trace[0].TraceId.ToString();
        var mine = Approvals.Where(c => c.TraceId == traceId).ToArray();
        if (root is null)
        {
            return "running";
        }

        if (root.Text(Field.InterruptReason) is not null
            || mine.Any(c => c.IsDecided ? !isLast && !c.DecisionSpan!.StartsWith(traceId, StringComparison.Ordinal) : c.ExecutionSpan is null))
        {
            return "interrupted"; // it still waits, or what it waited for came in a later trace
        }

        if (root.Status == OtlpStatus.Error)
        {
            return root.Result();
        }

        var refused = mine.LastOrDefault(c => c.State is "rejected" or "expired" && c.ExecutionSpan is null);
        return refused is null ? "success" : refused.State == "rejected" ? "rejected" : "timeout";
    }

    private long StepsOf()
    {
        if (ordered.Select(s => s.Integer(Field.StepCount)).Max() is { } told and >= 0)
        {
            return told;
        }

        int steps = ordered.Count(s => s.Kind == StepKind.Step);
        return steps > 0 ? steps : ordered.Count(s => s.Kind is not (StepKind.Span or StepKind.Agent or StepKind.Workflow or StepKind.Http or StepKind.Db
            or StepKind.Event or StepKind.Prompt or StepKind.Finish or StepKind.StateTransition or StepKind.Retry or StepKind.CircuitBreaker or StepKind.Fallback));
    }

    // An attempt of its own, an event about it, or a total: senders use one of the three, so the largest is taken.
    private long RetriesOf() => Math.Max(
        Math.Max(ordered.Count(s => s.Integer(Field.Attempt) > 1), ordered.Count(s => s.Kind == StepKind.Retry)),
        Math.Max(0, ordered.Select(s => s.Integer(Field.RetryCount) ?? 0).Max()));

    private List<ToolUse> ToolsOf() =>
    [
        .. ordered.Where(s => s.Kind == StepKind.Tool).GroupBy(s => s.Text(Field.ToolName) ?? s.Name, StringComparer.Ordinal).Take(MaxNames).Select(g => new ToolUse(
            g.Key, g.Max(LevelOf).ToName(), g.Count(), g.Count(s => s.IsFailed())))
    ];

    public SideEffectLevel LevelOf(StoredSpan span) => tools.Decide(span.Text(Field.ToolName), span.Text(Field.SideEffectLevel));

    private ApprovalCounts CountApprovals() => new(
        Approvals.Count, Approvals.Count(c => c.IsGranted), Approvals.Count(c => c.State == "rejected"), Approvals.Count(c => c.State == "expired"),
        Approvals.Count(c => !c.IsDecided && c.ExecutionSpan is null),
        Math.Round(Approvals.Sum(c => c.Decided >= c.Requested ? (c.Decided!.Value - c.Requested!.Value) / 1e6 : 0), 3));

    private List<string> FlagsOf(RunView view, StoredSpan?[] roots)
    {
        var flags = new List<string>();
        void Flag(string name, bool raised)
        {
            if (raised)
            {
                flags.Add(name);
            }
        }

        Flag("write_without_approval", uncovered.Count > 0);
        Flag("args_mismatch", Approvals.Any(c => c.ArgsMatch == false));
        Flag("loop", LoopStart() is not null || ordered.Any(s => s.Text(Field.ErrorClass) == "loop"));
        Flag("budget_exhausted", ordered.Any(IsBudgetExhausted) || (view.Outcome != "success" && view.Steps >= view.Budget?.MaxSteps) || view.CostUsd > view.Budget?.MaxCostUsd);
        Flag("authz_denied", ordered.Any(s => s.Text(Field.ErrorClass) == "authz_denied"));
        Flag("guardrail_block", ordered.Any(IsGuardrailBlock));
        Flag("eval_failed", ordered.Any(IsFailedEval) || Evals.Any(e => e.Passed == false));
        Flag("incomplete", MissingParents > 0 || roots.Any(r => r is null));
        return flags;
    }

    /// <summary>The third of at least three calls of one tool with the same arguments; further attempts of one call are no loop.</summary>
    public StoredSpan? LoopStart()
    {
        var calls = new Dictionary<(string?, string, string), int>();
        foreach (var span in ordered)
        {
            if (span.Kind == StepKind.Tool && span.Fingerprint("tool.args") is { } args && !(span.Integer(Field.Attempt) > 1))
            {
                var key = (span.Text(Field.ToolName), args, span.ScopeId);
                if ((calls[key] = calls.GetValueOrDefault(key) + 1) == LoopCalls)
                {
                    return span;
                }
            }
        }

        return null;
    }

    public static bool IsBudgetExhausted(StoredSpan span) => span.Text(Field.ErrorClass) == "budget_exhausted"
        || span.Text(Field.StopReason) is "max_steps" or "max_steps_exceeded" or "budget_exhausted" or "budget_exceeded" or "step_budget_exhausted";

    public static bool IsGuardrailBlock(StoredSpan span) => span.Text(Field.ErrorClass) == "guardrail_blocked"
        || span.Text(Field.GuardrailDecision) is "block" or "blocked" or "deny" or "denied" or "reject" or "rejected"
        || (span.Kind == StepKind.Guardrail && span.Text(Field.Outcome) == "rejected");

    public static bool IsFailedEval(StoredSpan span) => span.Flag(Field.EvalPassed) == false || (span.Kind == StepKind.Evaluation && span.Text(Field.Outcome) == "failure");

    // The roots are asked first, newest last word for none: identity does not change over a run; then any span in order of time.
    private string? First(StoredSpan[] speakers, Field field)
    {
        foreach (var span in speakers.Concat(ordered))
        {
            if (span.Text(field) is { Length: > 0 } value)
            {
                return value;
            }
        }

        return null;
    }

    private string TextOf(RunView view)
    {
        var words = new HashSet<string>(StringComparer.Ordinal);
        int length = 0;
        void Add(string? word)
        {
            if (!string.IsNullOrEmpty(word) && length + word.Length < MaxSearchText && words.Add(word.ToLowerInvariant()))
            {
                length += word.Length + 1;
            }
        }

        foreach (var span in ordered)
        {
            Add(span.Text(Field.UserId)); // first: an erasure finds the runs of an end user by them
        }

        foreach (string? word in (string?[])[view.RunId, view.SessionId, view.WorkflowId, view.AgentName, view.TenantId, view.Environment, view.Release, .. view.TraceIds, .. view.Models])
        {
            Add(word);
        }

        foreach (var tool in view.Tools)
        {
            Add(tool.Name);
        }

        foreach (var span in ordered)
        {
            Add(span.Name);
            foreach (var field in (ReadOnlySpan<Field>)[Field.RequestId, Field.Target, Field.ToolCallId, Field.ApprovalId, Field.ApproverId, Field.IdempotencyKey,
                Field.AgentId, Field.ServiceName, Field.HandoffTo, Field.PolicyName, Field.GuardrailName, Field.EvalName, Field.ErrorClass])
            {
                Add(span.Text(field));
            }
        }

        return string.Join('\n', words);
    }
}
