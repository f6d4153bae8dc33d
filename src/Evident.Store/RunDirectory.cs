using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Ledger;

namespace Evident.Store;

/// <summary>Where a trace is: the run it belongs to and the first partition that holds a span of it.</summary>
internal sealed record TracePlace(TraceId Trace, string FirstDay);

/// <summary>A ledger entry about a span.</summary>
internal sealed record MarkedSpan(SpanKey Span, LedgerMark Mark);

/// <summary>The runs of <c>outcomes.db</c>, and which ledger entries are about which span. Thread safe.</summary>
internal sealed class RunDirectory(OutcomesReaders readers, SearchedId ids)
{
    private const int DefaultLimit = 50, MaxLimit = 500;

    /// <exception cref="StoreException">The cursor is none of ours.</exception>
    public RunPage Find(RunFilter filter, CancellationToken cancellation)
    {
        int limit = filter.Limit <= 0 ? DefaultLimit : Math.Min(filter.Limit, MaxLimit);
        var where = new StringBuilder("workspace = $workspace");
        var values = new Dictionary<string, object>(StringComparer.Ordinal) { ["$workspace"] = filter.Workspace };
        void Where(string condition, string name, object? value)
        {
            if (value is not null)
            {
                where.Append(" AND ").Append(condition);
                values[name] = value;
            }
        }

        void WhereId(string column, string? sent, string prefix)
        {
            if (sent is not null)
            {
                var forms = ids.Forms(sent, prefix);
                string[] names = [.. forms.Select((_, i) => string.Create(CultureInfo.InvariantCulture, $"${column}{i}"))];
                where.Append(CultureInfo.InvariantCulture, $" AND {column} IN ({string.Join(", ", names)})");
                for (int i = 0; i < names.Length; i++)
                {
                    values[names[i]] = forms[i];
                }
            }
        }

        Where("workflow = $workflow", "$workflow", filter.Workflow);
        Where("outcome = $outcome", "$outcome", filter.Outcome);
        WhereId("session", filter.Session, SearchedId.Identifier);
        WhereId("run_id", filter.RunId, SearchedId.Identifier);
        WhereId("tenant", filter.TenantId, SearchedId.Tenant);
        Where("environment = $environment", "$environment", filter.Environment);
        Where("EXISTS (SELECT 1 FROM run_tool WHERE run_tool.run = run.id AND run_tool.tool = $tool)", "$tool", filter.Tool);
        Where("start >= $from", "$from", Nanos(filter.From));
        Where("start <= $to", "$to", Nanos(filter.To));
        Where("text LIKE $text ESCAPE '\\'", "$text", string.IsNullOrEmpty(filter.Text) ? null : "%" + Escape(filter.Text.ToLowerInvariant()) + "%");
        if (filter.Cursor is { } cursor)
        {
            var (start, id) = ReadCursor(cursor);
            Where("(start, run_id) < ($start, $id)", "$start", start);
            values["$id"] = id;
        }

        return readers.Query(cancellation, connection =>
        {
            using var command = connection.CreateCommand();
            command.CommandText = $"SELECT start, run_id, body FROM run WHERE {where} ORDER BY start DESC, run_id DESC LIMIT {(limit + 1).ToString(CultureInfo.InvariantCulture)}";
            foreach (var (name, value) in values)
            {
                command.Parameters.AddWithValue(name, value);
            }

            var runs = new List<RunView>();
            string? next = null;
            using var rows = command.ExecuteReader();
            (long Start, string Id) last = (0, "");
            while (rows.Read())
            {
                if (runs.Count == limit)
                {
                    next = WriteCursor(last.Start, last.Id);
                    break;
                }

                last = (rows.GetInt64(0), rows.GetString(1));
                runs.Add(JsonSerializer.Deserialize(rows.GetFieldValue<byte[]>(2), StoreJson.Default.RunView)!);
            }

            return new RunPage(runs, next);
        });
    }

    /// <summary>The traces of a run, by the id that is shown for it; empty when there is no such run.</summary>
    public IReadOnlyList<TracePlace> TracesOf(string workspace, string runId, CancellationToken cancellation) => readers.Query(cancellation, connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT trace_id, first_day FROM trace WHERE workspace = $workspace AND run = $run ORDER BY start, trace_id";
        command.Parameters.AddWithValue("$workspace", workspace);
        command.Parameters.AddWithValue("$run", runId);
        var traces = new List<TracePlace>();
        using var rows = command.ExecuteReader();
        while (rows.Read())
        {
            traces.Add(new TracePlace(TraceId.Read(rows.GetFieldValue<byte[]>(0)), rows.GetString(1)));
        }

        return traces;
    });

    /// <summary>The run that a trace is in and its first partition; null while the projections have not seen it.</summary>
    public (string? Run, string FirstDay)? PlaceOf(string workspace, TraceId trace, CancellationToken cancellation) => readers.Query<(string?, string)?>(cancellation, connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT run, first_day FROM trace WHERE workspace = $workspace AND trace_id = $trace";
        command.Parameters.AddWithValue("$workspace", workspace);
        command.Parameters.AddWithValue("$trace", OutcomesFile.Bytes(trace));
        using var rows = command.ExecuteReader();
        return rows.Read() ? (rows.IsDBNull(0) ? null : rows.GetString(0), rows.GetString(1)) : null;
    });

    /// <summary>The ledger entries about spans of the traces, by sequence number.</summary>
    public IReadOnlyList<MarkedSpan> EntriesOf(IEnumerable<TraceId> traces, CancellationToken cancellation) => readers.Query(cancellation, connection =>
    {
        var entries = new List<MarkedSpan>();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT span_id, seq, text, hash FROM entry JOIN word ON word.id = type WHERE trace_id = $trace AND span_id IS NOT NULL";
        var parameter = command.Parameters.AddWithValue("$trace", Array.Empty<byte>());
        foreach (var trace in traces)
        {
            parameter.Value = OutcomesFile.Bytes(trace);
            using var rows = command.ExecuteReader();
            while (rows.Read())
            {
                var span = SpanId.Read(rows.GetFieldValue<byte[]>(0));
                entries.Add(new MarkedSpan(new SpanKey(trace, span), new LedgerMark(rows.GetInt64(1), rows.GetString(2), span.ToString(), LedgerFormat.HashText(rows.GetFieldValue<byte[]>(3)))));
            }
        }

        return entries.OrderBy(e => e.Mark.Seq).ToList();
    });

    private static object? Nanos(DateTimeOffset? time) =>
        time is { } t ? OutcomesFile.Signed((ulong)Math.Max(0, t.ToUnixTimeMilliseconds()) * 1_000_000 + (ulong)(t.Ticks % TimeSpan.TicksPerMillisecond) * 100) : null;

    private static string Escape(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal);

    private static string WriteCursor(long start, string id) =>
        Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"1:{start}:{id}")));

    private static (long Start, string Id) ReadCursor(string cursor)
    {
        if (Base64Url.IsValid(cursor))
        {
            string[] parts = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor)).Split(':', 3);
            if (parts.Length == 3 && parts[0] == "1" && long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out long start))
            {
                return (start, parts[2]);
            }
        }

        throw new StoreException("the cursor is none that this store gave out: leave it away to start from the newest run.");
    }
}
