using Evident.Ingest;
using Evident.Ledger;

namespace Evident.Store;

/// <summary>
/// The ledger entries of one group, in the order in which they are appended: what callers bring themselves, then per span. Approvals of a group are
/// read before its tool calls, so that a call finds the decision that travelled with it. Changes the approval book; runs after step 1, so
/// that a refused group leaves it untouched.
/// </summary>
internal sealed class GroupLedger(LedgerDrafts drafts, ApprovalBook approvals, TraceContexts contexts, ToolRegistry tools)
{
    private readonly List<EntryDraft> entries = [];
    private readonly Dictionary<(string Workspace, SpanKey Span), LedgerMarks> told = []; // by spans of this group

    public IReadOnlyList<EntryDraft> Derive(Group group)
    {
        foreach (var request in group.Requests)
        {
            entries.AddRange(request.Drafts);
            foreach (var (trace, context) in request.Contexts)
            {
                contexts.Add(request.Source.Workspace, trace, context);
            }

            foreach (var span in request.Decoded.Values)
            {
                contexts.Add(request.Source.Workspace, span.TraceId, TraceContext.Of(span));
            }
        }

        for (int i = 0; i < group.Spans.Length; i++)
        {
            if (Find(group, i) is { } at)
            {
                Decide(ref group.Spans[i], at);
            }
        }

        for (int i = 0; i < group.Spans.Length; i++)
        {
            if (Find(group, i) is { } at)
            {
                Act(ref group.Spans[i], at);
            }
        }

        return entries;
    }

    private LedgeredSpan? Find(Group group, int index)
    {
        ref readonly var span = ref group.Spans[index];
        if (!span.Request.Decoded.TryGetValue(span.Index, out var decoded))
        {
            if (span.Earlier == LedgerMarks.None)
            {
                return null;
            }

            decoded = StoredSpan.Decode(span.Request.Spans!.Encoded(span.Index)); // it concerned the ledger before; that it no longer does is news too
        }

        ref readonly var clean = ref span.Request.Spans![span.Index];
        return new LedgeredSpan(decoded, clean.Digest, clean.Scope, span.Request.Source, group.Received,
            TraceContext.Of(decoded).Or(contexts.Find(span.Request.Source.Workspace, decoded.TraceId)));
    }

    private void Decide(ref NewSpan span, LedgeredSpan at)
    {
        Recall(ref span, at);
        if (ApprovalFact.Of(at.Span) is not { } fact)
        {
            return;
        }

        var joined = approvals.Add(at.Source.Workspace, fact with { RunId = at.Context.RunId, SessionId = at.Context.SessionId });
        if (joined.NewRequest)
        {
            var draft = drafts.ApprovalRequest(at, joined.Case);
            joined.Case.RequestEntry = Add(ref span, at, LedgerMarks.ApprovalRequest, draft) ?? joined.Case.RequestEntry;
        }

        if (joined.NewDecision)
        {
            var draft = drafts.ApprovalDecision(at, joined.Case);
            joined.Case.DecisionEntry = Add(ref span, at, LedgerMarks.ApprovalDecision, draft) ?? joined.Case.DecisionEntry;
        }

        if (joined is { NewExecution: true, Case.ExecutionContext: { } execution }) // the call came first
        {
            Add(ref span, at, LedgerMarks.ApprovalExecution, drafts.ApprovalExecution(
                at.Source.Workspace, joined.Case, execution, joined.Case.ArgsMatch, at.Scope, at.Recorded));
            joined.Case.ExecutionContext = joined.Case.ArgsTold is null ? execution : null; // the request may bring the arguments yet
        }
    }

    private void Act(ref NewSpan span, LedgeredSpan at)
    {
        Recall(ref span, at);
        Joined? joined = ExecutionFact.Of(at.Span, tools) is { } execution
            ? approvals.Add(
                at.Source.Workspace, execution with { RunId = at.Context.RunId, SessionId = at.Context.SessionId }, keep: execution.Level.IsLedgered() || execution.Required)
            : null;

        string? call = drafts.ToolCall(at, joined) is { } draft ? Add(ref span, at, LedgerMarks.ToolCall, draft) : null;

        if (joined is { Case: var known })
        {
            bool own = known.ExecutionSpan == at.Span.Key().ToString();
            if (own && call is not null)
            {
                known.CallEntry = call;
            }

            if (joined.Value.NewExecution)
            {
                // A revision is compared anew: the book says so only when the answer is another one.
                span.Earlier &= ~LedgerMarks.ApprovalExecution;
                Add(ref span, at, LedgerMarks.ApprovalExecution, drafts.ApprovalExecution(
                    at.Source.Workspace, known, drafts.ExecutionContext(at, call ?? known.CallEntry),
                    own ? known.ArgsMatch : known.Compare(at.Span.Fingerprint("tool.args"), at.Span.ScopeId), at.Scope, at.Recorded));
            }

            if (own && known.ArgsTold is null) // what arrives later may decide it, or tell what was approved
            {
                known.ExecutionContext = drafts.ExecutionContext(at, call ?? known.CallEntry);
            }
        }

        if (drafts.PolicyDecision(at) is { } policy)
        {
            Add(ref span, at, LedgerMarks.PolicyDecision, policy);
        }

        if (span.Revision > 0 && span.Earlier != LedgerMarks.None)
        {
            Add(ref span, at, LedgerMarks.SpanRevised, drafts.SpanRevised(at, span.Revision + 1));
        }
    }

    private void Recall(ref NewSpan span, LedgeredSpan at)
    {
        if (span.Revision > 0 && told.TryGetValue((at.Source.Workspace, at.Span.Key()), out var marks))
        {
            span.Earlier |= marks & ~span.Marks;
        }
    }

    // What an earlier revision of the span has already told is told again only by span.revised; nothing is replaced. The id when it was added.
    private string? Add(ref NewSpan span, LedgeredSpan at, LedgerMarks mark, EntryDraft draft)
    {
        if (mark != LedgerMarks.SpanRevised && (span.Earlier & mark) != 0)
        {
            return null;
        }

        span.Marks |= mark;
        var key = (at.Source.Workspace, at.Span.Key());
        told[key] = told.GetValueOrDefault(key) | mark;
        entries.Add(draft);
        return draft.Id;
    }
}

/// <summary>What is known of the newest traces with ledgered spans. In memory only: it makes entries and joins richer, never right or wrong.</summary>
internal sealed class TraceContexts
{
    private const int Kept = 16_384;
    private readonly Dictionary<(string Workspace, TraceId Trace), TraceContext> known = [];
    private readonly Queue<(string, TraceId)> ages = new();

    public void Add(string workspace, TraceId trace, TraceContext context)
    {
        if (context is { RunId: null, SessionId: null, WorkflowId: null })
        {
            return;
        }

        var key = (workspace, trace);
        if (!known.TryGetValue(key, out var earlier))
        {
            ages.Enqueue(key);
            if (ages.Count > Kept)
            {
                known.Remove(ages.Dequeue());
            }
        }

        known[key] = context.Or(earlier);
    }

    public TraceContext? Find(string workspace, TraceId trace) => known.GetValueOrDefault((workspace, trace));
}
