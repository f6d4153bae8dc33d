using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using Evident.Ingest;

namespace Evident.Store;

/// <summary>One approval as far as it is known: asked for, decided, executed. Mutable; owned by the book that holds it.</summary>
internal sealed class ApprovalCase
{
    /// <summary>32 hex digits, from the workspace and the first span that told of it.</summary>
    public required string Id { get; init; }
    public required string Workspace { get; init; }
    public string? ApprovalId { get; set; }
    public string? CallId { get; set; }
    public string? RunId { get; set; }
    public string? SessionId { get; set; }
    public required string TraceId { get; init; }
    public string? Tool { get; set; }

    public string State { get; set; } = "unknown";
    public ulong? Requested { get; set; }
    public string? RequestSpan { get; set; }
    public ulong? Decided { get; set; }
    public string? DecisionSpan { get; set; }
    public string? ApproverId { get; set; }
    public string? ApproverRole { get; set; }
    public string? ReasonCode { get; set; }
    public string? ReasonRef { get; set; }
    public string? Risk { get; set; }
    public string? ApprovedArgs { get; set; }
    public string? ApprovedScope { get; set; }

    /// <summary>The approved arguments come from the decision, not only from the request.</summary>
    public bool ArgsDecided { get; set; }

    public ulong? ExecutionStart { get; set; }
    public ulong? ExecutionEnd { get; set; }
    public string? ExecutionSpan { get; set; }
    public string? ExecutedArgs { get; set; }
    public string? ExecutedScope { get; set; }
    public string? ExecutionStatus { get; set; }
    public SideEffectLevel Level { get; set; } = SideEffectLevel.Unknown;

    /// <summary>Ids of the ledger entries that tell of it, so that later ones can refer to them.</summary>
    public string? RequestEntry { get; set; }
    public string? DecisionEntry { get; set; }
    public string? CallEntry { get; set; }

    /// <summary>What an entry about the execution needs when the decision arrives after it; strings as they stand in the ledger.</summary>
    public Dictionary<string, string>? ExecutionContext { get; set; }
    public bool ExecutionTold { get; set; }

    /// <summary>What the ledger was last told about the comparison of arguments; told again when that becomes known later, or changes with a revision.</summary>
    public bool? ArgsTold { get; set; }

    [JsonIgnore]
    public bool IsDecided => Decided is not null;

    /// <summary>Asked for or decided, and not executed.</summary>
    [JsonIgnore]
    public bool IsOpen => (RequestSpan ?? DecisionSpan) is not null && ExecutionSpan is null;

    [JsonIgnore]
    public bool IsGranted => State is "approved" or "edited";

    /// <summary>
    /// When the act began: the call's start, or the decision when the call's span waits for it inside itself.
    /// </summary>
    [JsonIgnore]
    public ulong? Executed => ExecutionStart is { } start && Decided is { } decided && decided > start && decided <= ExecutionEnd ? decided : ExecutionStart;

    /// <summary>Whether the executed arguments are the approved ones, by their keyed fingerprints; null when that cannot be known.</summary>
    [JsonIgnore]
    public bool? ArgsMatch => ExecutionSpan is null ? null : Compare(ExecutedArgs, ExecutedScope);

    /// <summary>The approval was there when the call began.</summary>
    public bool Covers(ulong callStart, ulong callEnd) => IsGranted && (Decided is not { } decided || decided <= Math.Max(callEnd, callStart + ClockSkewNanos));

    /// <summary>Senders' clocks differ; a decision up to two seconds after the call it allowed is still believed.</summary>
    public const ulong ClockSkewNanos = 2_000_000_000;

    public bool? Compare(string? executedArgs, string? executedScope) =>
        ApprovedArgs is null || executedArgs is null || ApprovedScope != executedScope || !KeyOf(ApprovedArgs).SequenceEqual(KeyOf(executedArgs)) || (State == "edited" && !ArgsDecided)
            ? null // fingerprints of two scopes, and of what was not captured by two processes, have two keys; an edit whose result was not told cannot be compared
            : ApprovedArgs == executedArgs;

    // What stands before the digest: the algorithm, and where there is one the id of its key.
    private static ReadOnlySpan<char> KeyOf(string fingerprint) => fingerprint.AsSpan(0, fingerprint.LastIndexOf(':') + 1);
}

/// <summary>What adding a fact changed.</summary>
/// <param name="NewRequest">The first time this approval is known to have been asked for.</param>
/// <param name="NewDecision">The first time this decision is known.</param>
/// <param name="NewExecution">Decision and execution are now both known for the first time, or with their arguments for the first time.</param>
internal readonly record struct Joined(ApprovalCase Case, bool NewRequest, bool NewDecision, bool NewExecution);

/// <summary>
/// Joins requests, decisions and executions of approvals (rules in docs/store.md): by approval id, by tool call id, else by run and tool to the
/// nearest earlier one. Works in any order of arrival. One thread at a time. The writer keeps one book for the whole store; a run's story fills one
/// of its own.
/// </summary>
/// <param name="capacity">Cases kept; the oldest are forgotten first.</param>
internal sealed class ApprovalBook(int capacity)
{
    private const int MaxPerKey = 64; // a sender that names everything alike costs a bounded scan, not a growing one
    private readonly Dictionary<string, List<ApprovalCase>> byKey = new(StringComparer.Ordinal);
    private readonly Queue<ApprovalCase> ages = new();
    private readonly HashSet<ApprovalCase> known = [];

    /// <summary>Cases that changed since the owner last cleared this.</summary>
    public HashSet<ApprovalCase> Changed { get; } = [];

    /// <summary>Ids of cases that were joined into another one since the owner last cleared this.</summary>
    public List<string> Absorbed { get; } = [];

    public IEnumerable<ApprovalCase> Cases => ages.Where(known.Contains);

    public int Count => known.Count;

    /// <summary>Takes a stored case back.</summary>
    public void Restore(ApprovalCase stored)
    {
        Enroll(stored);
        Index(stored);
        Changed.Remove(stored);
    }

    public Joined Add(string workspace, ApprovalFact fact)
    {
        var found = Find(workspace, fact);
        var held = found ?? Enroll(new ApprovalCase { Id = IdOf(workspace, fact.Span), Workspace = workspace, TraceId = fact.Span.Trace.ToString() });
        string span = fact.Span.ToString();
        bool decides = fact.Decided is not null;
        bool newRequest = fact.Requested is not null && held.RequestSpan is null && (!fact.FromTool || !decides);
        bool newDecision = decides && (!held.IsDecided || (held.State != fact.State && !fact.FromTool && fact.Decided >= held.Decided));
        held.ApprovalId ??= fact.ApprovalId;
        held.CallId ??= fact.CallId;
        held.RunId ??= fact.RunId;
        held.SessionId ??= fact.SessionId;
        held.Tool ??= fact.Tool;
        held.Risk ??= fact.Risk;
        held.Requested ??= fact.Requested;
        if (newRequest)
        {
            held.RequestSpan = span;
        }

        if (newDecision)
        {
            Unindex(held, held.DecisionSpan);
            held.Decided = fact.Decided;
            held.DecisionSpan = span;
            held.State = fact.State;
        }
        else if (!held.IsDecided)
        {
            held.State = "requested";
        }

        if (newDecision || held.DecisionSpan == span || held.ApproverId is null)
        {
            held.ApproverId = fact.ApproverId ?? held.ApproverId;
            held.ApproverRole = fact.ApproverRole ?? held.ApproverRole;
            held.ReasonCode = fact.ReasonCode ?? held.ReasonCode;
            held.ReasonRef = fact.ReasonRef ?? held.ReasonRef;
        }

        if (fact.ArgsHash is not null && (held.ApprovedArgs is null || decides))
        {
            held.ApprovedArgs = fact.ArgsHash;
            held.ApprovedScope = fact.ScopeId;
            held.ArgsDecided = decides;
        }

        if (held.ExecutionSpan is null && FindExecution(held) is { } pending)
        {
            Absorb(pending, held);
        }

        Index(held);
        Changed.Add(held);
        return new Joined(held, newRequest, newDecision, Tell(held));
    }

    /// <summary>Null when no approval is known and the call need not be remembered.</summary>
    /// <param name="keep">Remember the call without an approval: one may be told later.</param>
    public Joined? Add(string workspace, ExecutionFact fact, bool keep)
    {
        string span = fact.Span.ToString();
        if (Newest(Key('x', workspace, span), static _ => true) is { } same)
        {
            Execute(same, fact, span); // a revision of the call
            Changed.Add(same);
            return new Joined(same, false, false, Tell(same));
        }

        var named = (fact.ApprovalId is { } approval ? Newest(Key('a', workspace, approval), static _ => true) : null)
            ?? (fact.CallId is { } call ? Newest(Key('c', workspace, call), static _ => true) : null);
        if (named is { ExecutionSpan: not null })
        {
            return new Joined(named, false, false, named.IsDecided); // a further attempt of the same call: its own entry, the case stays as it is
        }

        var found = named ?? Nearest(workspace, fact, executed: false);
        if (found is null && fact.Attempt > 1 && Nearest(workspace, fact, executed: true) is { } retried)
        {
            return new Joined(retried, false, false, retried.IsDecided);
        }

        if (found is null)
        {
            if (!keep)
            {
                return null;
            }

            found = Enroll(new ApprovalCase { Id = IdOf(workspace, fact.Span), Workspace = workspace, TraceId = fact.Span.Trace.ToString() });
        }

        found.CallId ??= fact.CallId;
        found.ApprovalId ??= fact.ApprovalId;
        found.RunId ??= fact.RunId;
        found.SessionId ??= fact.SessionId;
        found.Tool ??= fact.Tool;
        Execute(found, fact, span);
        Index(found);
        Changed.Add(found);
        return new Joined(found, false, false, Tell(found));
    }

    private static void Execute(ApprovalCase held, ExecutionFact fact, string span)
    {
        held.ExecutionSpan = span;
        held.ExecutionStart = fact.Start;
        held.ExecutionEnd = fact.End;
        held.ExecutedArgs = fact.ArgsHash;
        held.ExecutedScope = fact.ScopeId;
        held.ExecutionStatus = fact.Status;
        held.Level = fact.Level;
    }

    private static bool Tell(ApprovalCase held)
    {
        bool now = held.IsDecided && held.ExecutionSpan is not null && (!held.ExecutionTold || (held.ArgsMatch is { } match && held.ArgsTold != match));
        if (now)
        {
            held.ExecutionTold = true;
            held.ArgsTold = held.ArgsMatch;
        }

        return now;
    }

    private ApprovalCase? Find(string workspace, ApprovalFact fact)
    {
        string span = fact.Span.ToString();
        if ((Newest(Key('p', workspace, span), static _ => true) ?? Newest(Key('x', workspace, span), static _ => true)) is { } same)
        {
            return same; // a revision of a span that has already told of it
        }

        var named = (fact.ApprovalId is { } approval ? Newest(Key('a', workspace, approval), static _ => true) : null)
            ?? (fact.CallId is { } call ? Newest(Key('c', workspace, call), static _ => true) : null);
        if (named is not null)
        {
            return named;
        }

        ulong asked = fact.Requested ?? fact.Decided!.Value;
        foreach (string key in RunKeys(workspace, fact.RunId, fact.Span.Trace.ToString(), fact.SessionId, fact.Tool))
        {
            var found = fact.Decided is { } decided
                ? Newest(key, c => Fits(c, fact.RunId, fact.ApprovalId, fact.CallId, fact.Tool) && (c.ExecutionEnd is null || c.ExecutionEnd >= asked)
                    && (c.Requested is null || c.Requested <= decided)
                    && (!c.IsDecided || (fact.FromTool && c.State == fact.State && c.ExecutionSpan is null)))
                : Oldest(key, c => Fits(c, fact.RunId, fact.ApprovalId, fact.CallId, fact.Tool) && c.RequestSpan is null
                    && (c.Decided is null || c.Decided >= asked) && (c.ExecutionEnd is null || c.ExecutionEnd >= asked));
            if (found is not null)
            {
                return found;
            }
        }

        return null;
    }

    private ApprovalCase? Nearest(string workspace, ExecutionFact fact, bool executed)
    {
        foreach (string key in RunKeys(workspace, fact.RunId, fact.Span.Trace.ToString(), fact.SessionId, fact.Tool))
        {
            var found = Newest(key, c => (c.ExecutionSpan is not null) == executed && (c.RequestSpan ?? c.DecisionSpan) is not null
                && (c.Requested ?? c.Decided) <= fact.End && Fits(c, fact.RunId, fact.ApprovalId, fact.CallId, fact.Tool));
            if (found is not null)
            {
                return found;
            }
        }

        return null;
    }

    // A call that arrived before anything was known about its approval.
    private ApprovalCase? FindExecution(ApprovalCase held)
    {
        bool Pending(ApprovalCase c) => c != held && c.ExecutionSpan is not null && (c.RequestSpan ?? c.DecisionSpan) is null;

        var named = (held.ApprovalId is { } approval ? Newest(Key('a', held.Workspace, approval), Pending) : null)
            ?? (held.CallId is { } call ? Newest(Key('c', held.Workspace, call), Pending) : null);
        if (named is not null)
        {
            return named;
        }

        foreach (string key in RunKeys(held.Workspace, held.RunId, held.TraceId, held.SessionId, held.Tool))
        {
            var found = Oldest(key, c => Pending(c) && c.ExecutionEnd >= (held.Requested ?? held.Decided) && Fits(c, held.RunId, held.ApprovalId, held.CallId, held.Tool));
            if (found is not null)
            {
                return found;
            }
        }

        return null;
    }

    private void Absorb(ApprovalCase pending, ApprovalCase into)
    {
        into.ExecutionSpan = pending.ExecutionSpan;
        into.ExecutionStart = pending.ExecutionStart;
        into.ExecutionEnd = pending.ExecutionEnd;
        into.ExecutedArgs = pending.ExecutedArgs;
        into.ExecutedScope = pending.ExecutedScope;
        into.ExecutionStatus = pending.ExecutionStatus;
        into.Level = pending.Level;
        into.CallEntry = pending.CallEntry;
        into.ExecutionContext = pending.ExecutionContext;
        into.Tool ??= pending.Tool;
        into.CallId ??= pending.CallId;
        Forget(pending);
        Absorbed.Add(pending.Id);
    }

    private static bool Fits(ApprovalCase held, string? run, string? approval, string? call, string? tool) =>
        !(Differ(held.RunId, run) || Differ(held.ApprovalId, approval) || Differ(held.CallId, call) || Differ(held.Tool, tool));

    private static bool Differ(string? a, string? b) => a is not null && b is not null && a != b;

    // Run id, else trace, else session: the keys in that order; the last part is the tool, or * for "whatever tool".
    private static IEnumerable<string> RunKeys(string workspace, string? run, string trace, string? session, string? tool)
    {
        string[] tools = tool is null ? ["*"] : [tool, "*"];
        foreach (string last in tools)
        {
            if (run is not null)
            {
                yield return Key('r', workspace, run, last);
            }

            yield return Key('t', workspace, trace, last);
            if (session is not null)
            {
                yield return Key('s', workspace, session, last);
            }
        }
    }

    private static string Key(char kind, string workspace, string a, string b = "") => $"{kind}\u0001{workspace}\u0001{a}\u0001{b}";

    // Nearest earlier one first: by the time of request or decision, or of execution when nothing else is known.
    private static ulong When(ApprovalCase held) => held.Requested ?? held.Decided ?? held.ExecutionStart ?? 0;

    private ApprovalCase? Newest(string key, Func<ApprovalCase, bool> fits) => Choose(key, fits, newest: true);

    private ApprovalCase? Oldest(string key, Func<ApprovalCase, bool> fits) => Choose(key, fits, newest: false);

    private ApprovalCase? Choose(string key, Func<ApprovalCase, bool> fits, bool newest)
    {
        ApprovalCase? best = null;
        if (byKey.TryGetValue(key, out var list))
        {
            foreach (var candidate in list)
            {
                if (fits(candidate) && (best is null || (newest ? When(candidate) >= When(best) : When(candidate) < When(best))))
                {
                    best = candidate;
                }
            }
        }

        return best;
    }

    private ApprovalCase Enroll(ApprovalCase added)
    {
        known.Add(added);
        ages.Enqueue(added);
        while (known.Count > capacity || (ages.Count > 0 && !known.Contains(ages.Peek())))
        {
            Forget(ages.Dequeue());
        }

        return added;
    }

    private void Forget(ApprovalCase held)
    {
        if (known.Remove(held))
        {
            Changed.Remove(held);
            foreach (string key in KeysOf(held))
            {
                if (byKey.TryGetValue(key, out var list) && list.Remove(held) && list.Count == 0)
                {
                    byKey.Remove(key);
                }
            }
        }
    }

    private void Index(ApprovalCase held)
    {
        foreach (string key in KeysOf(held))
        {
            if (!byKey.TryGetValue(key, out var list))
            {
                byKey.Add(key, list = []);
            }

            if (!list.Contains(held))
            {
                if (list.Count == MaxPerKey)
                {
                    list.RemoveAt(0);
                }

                list.Add(held);
            }
        }
    }

    // A span that no longer stands for the decision must not keep the case alive in the index.
    private void Unindex(ApprovalCase held, string? span)
    {
        if (span is not null && span != held.RequestSpan && byKey.TryGetValue(Key('p', held.Workspace, span), out var list) && list.Remove(held) && list.Count == 0)
        {
            byKey.Remove(Key('p', held.Workspace, span));
        }
    }

    private static IEnumerable<string> KeysOf(ApprovalCase held)
    {
        string workspace = held.Workspace;
        if (held.RequestSpan is { } request)
        {
            yield return Key('p', workspace, request);
        }

        if (held.DecisionSpan is { } decision)
        {
            yield return Key('p', workspace, decision);
        }

        if (held.ExecutionSpan is { } executed)
        {
            yield return Key('x', workspace, executed);
        }

        if (held.ApprovalId is { } approval)
        {
            yield return Key('a', workspace, approval);
        }

        if (held.CallId is { } call)
        {
            yield return Key('c', workspace, call);
        }

        foreach (string key in RunKeys(workspace, held.RunId, held.TraceId, held.SessionId, held.Tool))
        {
            yield return key;
        }
    }

    private static string IdOf(string workspace, SpanKey span) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{workspace}\n{span}\napproval")).AsSpan(0, 16));
}
