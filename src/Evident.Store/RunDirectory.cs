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
    /// <exception cref="StoreException">The cursor is none of ours.</exception>
    /// <exception cref="QueryFormatException">It asks for something that only a span has.</exception>
    public RunPage Find(SpanQuery query, CancellationToken cancellation)
    {
        int limit = query.PageSize;
        var conditions = RunConditions.OfRuns(query, ids);
        if (query.Cursor is { } cursor)
        {
            var (start, id) = ReadCursor(cursor);
            conditions.After(start, id);
        }

        return readers.Query(cancellation, connection =>
        {
            using var command = conditions.Command(connection, $"SELECT start, run_id, body FROM run WHERE {{0}} ORDER BY start DESC, run_id DESC LIMIT {(limit + 1).ToString(CultureInfo.InvariantCulture)}");

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
