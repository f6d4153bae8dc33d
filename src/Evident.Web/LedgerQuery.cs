using Evident.Ledger;
using Evident.Store;
using Microsoft.AspNetCore.Http;

namespace Evident.Web;

/// <summary>The filters of <c>/api/v1/ledger/entries</c> (docs/http.md). Pure.</summary>
internal static class LedgerQuery
{
    private const int DefaultFound = 50, MaxFound = 500;
    private static readonly string[] States = ["requested", "approved", "rejected", "edited", "expired", "not_required", "unknown"];
    private static readonly string[] Levels = ["none", "read", "unknown", "write", "irreversible"];
    private static readonly string[] Kinds = ["agent", "service", "user", "staff", "uid", "system", "unknown"];

    /// <summary>Null when no filter, order or cursor is asked for: then the entries come in their order.</summary>
    public static LedgerFilter? Read(IQueryCollection query)
    {
        string? order = Word(query, "order", ["newest", "oldest"]);
        var filter = new LedgerFilter(
            Tenant: Api.Text(query, "tenant", "tenant_id"),
            Workflow: Api.Text(query, "workflow", "workflow_id"),
            Type: Type(Api.Text(query, "type")),
            Actor: Api.Text(query, "actor", "actor_id"),
            ActorKind: Word(query, "actor_kind", Kinds),
            Approval: Word(query, "approval", States),
            Run: Api.Text(query, "run", "run_id"),
            Tool: Api.Text(query, "tool", "tool_name"),
            Level: Word(query, "level", Levels),
            ArgsMatch: Word(query, "args_match", ["true", "false"]) is { } match ? match == "true" : null,
            Since: Api.Time(query, "since"),
            Until: Api.Time(query, "until"),
            Cursor: Api.Text(query, "cursor"));
        bool found = !filter.IsEmpty || filter.Cursor is not null || order == "newest";
        if (found && (order == "oldest" || query.ContainsKey("from")))
        {
            throw new BadQueryException("Filters, cursor and order=newest list the newest entries first; from and order=oldest list entries from a number on, without a filter. Use one of the two.");
        }

        return found ? filter with { Limit = (int)Api.Number(query, "limit", DefaultFound, 1, MaxFound) } : null;
    }

    private static string? Type(string? type)
    {
        if (type is null)
        {
            return null;
        }

        bool prefix = type.EndsWith('.');
        foreach (EntryType known in EntryTypes.All)
        {
            if (prefix ? known.Name.StartsWith(type, StringComparison.Ordinal) : known.Name == type)
            {
                return type;
            }
        }

        throw new BadQueryException("type is an entry type such as approval.decision, or the beginning of several with its dot, such as vault. (docs/ledger-format.md, section 10).");
    }

    private static string? Word(IQueryCollection query, string name, string[] words) =>
        Api.Text(query, name) is not { } word ? null
        : Array.IndexOf(words, word) >= 0 ? word
        : throw new BadQueryException($"{name} is one of {string.Join(", ", words)}.");
}
