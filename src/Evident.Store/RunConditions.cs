using System.Globalization;
using System.Text;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>What a query says of runs, as a condition on the table <c>run</c> and the values in it.</summary>
internal sealed class RunConditions
{
    private readonly StringBuilder where = new("run.workspace = $workspace");
    private readonly List<SqliteParameter> values = [];
    private readonly SearchedId ids;

    private RunConditions(SpanQuery query, SearchedId ids)
    {
        this.ids = ids;
        values.Add(new SqliteParameter("$workspace", query.Workspace));
        And("run.workflow = $workflow", "$workflow", query.Workflow);
        AndId("session", query.Session, SearchedId.Identifier);
        AndId("run_id", query.RunId, SearchedId.Identifier);
        AndId("tenant", query.TenantId, SearchedId.Tenant);
        And("run.environment = $environment", "$environment", query.Environment);
        And("run.release = $release", "$release", query.Release);
        AndFacet(RunFacet.Agent, query.Agent);
        IsOpen = values.Count == 1;
    }

    /// <summary>Every run of the workspace meets it.</summary>
    public bool IsOpen { get; }

    /// <summary>Those that are said of runs only, for a query that asks for spans.</summary>
    /// <exception cref="QueryFormatException">It asks for something that only a run has.</exception>
    public static RunConditions OfSpans(SpanQuery query, SearchedId ids) =>
        query.Flag is null ? new(query, ids) : throw new QueryFormatException("flag is said of runs: ask for runs, or leave it away.");

    /// <exception cref="QueryFormatException">It asks for something that only a span has.</exception>
    public static RunConditions OfRuns(SpanQuery query, SearchedId ids)
    {
        if (query.Kind is not null || query.Attributes is { Count: > 0 })
        {
            throw new QueryFormatException("kind and attr. are said of single spans: ask for spans, or leave them away.");
        }

        var conditions = new RunConditions(query, ids);
        conditions.And("run.outcome = $outcome", "$outcome", query.Outcome);
        conditions.AndFacet(RunFacet.Tool, query.Tool);
        conditions.AndFacet(RunFacet.Model, query.Model);
        conditions.AndFacet(RunFacet.SideEffect, query.SideEffect);
        conditions.AndFacet(RunFacet.Approval, query.Approval == "pending" ? "waiting" : query.Approval);
        conditions.AndFacet(RunFacet.ErrorClass, query.ErrorClass);
        conditions.AndFacet(RunFacet.Flag, query.Flag);
        conditions.AndRange("duration_ms", query.DurationMs);
        conditions.AndRange("cost_usd", query.CostUsd);
        conditions.AndRange("tokens", query.Tokens);
        conditions.And("run.start >= $from", "$from", Nanos(query.From));
        conditions.And("run.start <= $to", "$to", Nanos(query.To));
        conditions.And("run.text LIKE $text ESCAPE '\\'", "$text", string.IsNullOrEmpty(query.Text) ? null : "%" + Escape(query.Text.ToLowerInvariant()) + "%");
        return conditions;
    }

    /// <summary>The runs that come after this one, newest first.</summary>
    public void After(long start, string runId)
    {
        And("(run.start, run.run_id) < ($start, $id)", "$start", start);
        values.Add(new SqliteParameter("$id", runId));
    }

    /// <param name="sql">Gets the condition in place of <c>{0}</c>.</param>
    public SqliteCommand Command(SqliteConnection connection, string sql)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql.Replace("{0}", where.ToString(), StringComparison.Ordinal);
        foreach (var value in values)
        {
            command.Parameters.AddWithValue(value.ParameterName, value.Value!);
        }

        return command;
    }

    public static long? Nanos(DateTimeOffset? time) =>
        time is { } t ? OutcomesFile.Signed((ulong)Math.Max(0, t.ToUnixTimeMilliseconds()) * 1_000_000 + (ulong)(t.Ticks % TimeSpan.TicksPerMillisecond) * 100) : null;

    private void And(string condition, string name, object? value)
    {
        if (value is not null)
        {
            where.Append(" AND ").Append(condition);
            values.Add(new SqliteParameter(name, value));
        }
    }

    private void AndFacet(string kind, string? value) => And($"EXISTS (SELECT 1 FROM run_facet WHERE run_facet.run = run.id AND kind = '{kind}' AND value = ${kind})", "$" + kind, value);

    private void AndRange(string column, QueryRange range)
    {
        And($"run.{column} >= ${column}_least", $"${column}_least", range.Least);
        And($"run.{column} <= ${column}_most", $"${column}_most", range.Most);
    }

    private void AndId(string column, string? sent, string prefix)
    {
        if (sent is null)
        {
            return;
        }

        string[] names = [.. ids.Forms(sent, prefix).Select((form, i) =>
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"${column}{i}");
            values.Add(new SqliteParameter(name, form));
            return name;
        })];
        where.Append(CultureInfo.InvariantCulture, $" AND run.{column} IN ({string.Join(", ", names)})");
    }

    private static string Escape(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal);
}
