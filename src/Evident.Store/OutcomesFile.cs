using Evident.Ingest;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// The writing side of <c>outcomes.db</c>: the run directory, which trace is in which run, and the index of the ledger. Everything in it follows from the
/// partitions and the ledger. Owned by the projection thread.
/// </summary>
internal sealed class OutcomesFile : IDisposable
{
    public const string Name = "outcomes.db";

    /// <summary>Any other version is thrown away and rebuilt.</summary>
    public const int SchemaVersion = 4;

    private const string Schema = """
        CREATE TABLE watermark (source TEXT PRIMARY KEY, position INTEGER NOT NULL, done INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE trace (workspace TEXT NOT NULL, trace_id BLOB NOT NULL, run TEXT, run_id TEXT, session TEXT, workflow TEXT, start INTEGER NOT NULL,
            finish INTEGER NOT NULL, has_root INTEGER NOT NULL, waiting INTEGER NOT NULL, spans INTEGER NOT NULL, first_day TEXT NOT NULL,
            links BLOB NOT NULL, dirty INTEGER NOT NULL, PRIMARY KEY (trace_id, workspace)) WITHOUT ROWID; -- in this order: with workspace first, every query by workspace and something else would scan it
        CREATE INDEX trace_run ON trace (workspace, run);
        CREATE INDEX trace_run_id ON trace (workspace, run_id) WHERE run_id IS NOT NULL;
        CREATE INDEX trace_session ON trace (workspace, session, start) WHERE session IS NOT NULL;
        CREATE INDEX trace_dirty ON trace (dirty) WHERE dirty = 1;
        CREATE TABLE link (workspace TEXT NOT NULL, target BLOB NOT NULL, source BLOB NOT NULL, PRIMARY KEY (workspace, target, source)) WITHOUT ROWID;
        CREATE TABLE run (id INTEGER PRIMARY KEY, workspace TEXT NOT NULL, run_id TEXT NOT NULL, start INTEGER NOT NULL, outcome TEXT NOT NULL, workflow TEXT,
            session TEXT, tenant TEXT, environment TEXT, release TEXT, duration_ms REAL NOT NULL, cost_usd REAL, tokens INTEGER NOT NULL, body BLOB NOT NULL, text TEXT NOT NULL, UNIQUE (workspace, run_id));
        CREATE INDEX run_start ON run (workspace, start, run_id);
        CREATE INDEX run_session ON run (workspace, session, start) WHERE session IS NOT NULL;
        CREATE TABLE run_facet (run INTEGER NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, kind, value)) WITHOUT ROWID; -- RunFacet
        -- spans of more than one revision
        CREATE TABLE revised (trace_id BLOB NOT NULL, span_id BLOB NOT NULL, workspace TEXT NOT NULL, PRIMARY KEY (trace_id, span_id, workspace)) WITHOUT ROWID;
        """;

    private readonly SqliteConnection connection;
    private readonly List<Statement> statements = [];
    private readonly Statement begin, commit, mark, putTrace, putRunOf, dropLinks, putLink, findTrace, byRun, byRunId, bySession, bySessionBefore, byTarget, dropRun, dropFacets, putRun, putFacet, putRevised, findRun, countRun;

    private OutcomesFile(SqliteConnection connection)
    {
        this.connection = connection;
        begin = Prepare("BEGIN IMMEDIATE");
        commit = Prepare("COMMIT");
        mark = Prepare("INSERT INTO watermark (source, position, done) VALUES (?1, ?2, ?3) ON CONFLICT (source) DO UPDATE SET position = excluded.position, done = excluded.done");
        putTrace = Prepare("""
            INSERT INTO trace (workspace, trace_id, run_id, session, workflow, start, finish, has_root, waiting, spans, first_day, links, dirty)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
            ON CONFLICT (workspace, trace_id) DO UPDATE SET run_id = excluded.run_id, session = excluded.session, workflow = excluded.workflow, start = excluded.start,
                finish = excluded.finish, has_root = excluded.has_root, waiting = excluded.waiting, spans = excluded.spans, first_day = excluded.first_day, links = excluded.links, dirty = excluded.dirty
            """);
        putRunOf = Prepare("UPDATE trace SET run = ?3 WHERE workspace = ?1 AND trace_id = ?2");
        dropLinks = Prepare("DELETE FROM link WHERE workspace = ?1 AND target = ?2 AND source = ?3");
        putLink = Prepare("INSERT OR IGNORE INTO link (workspace, target, source) VALUES (?1, ?2, ?3)");
        findTrace = Prepare($"SELECT {TraceColumns} FROM trace WHERE workspace = ?1 AND trace_id = ?2");
        byRun = Prepare($"SELECT {TraceColumns} FROM trace WHERE workspace = ?1 AND run = ?2 LIMIT ?3");
        byRunId = Prepare($"SELECT {TraceColumns} FROM trace WHERE workspace = ?1 AND run_id = ?2 ORDER BY start LIMIT ?3");
        bySession = Prepare($"SELECT {TraceColumns} FROM trace WHERE workspace = ?1 AND session = ?2 AND start >= ?3 ORDER BY start LIMIT ?4");
        bySessionBefore = Prepare($"SELECT {TraceColumns} FROM trace WHERE workspace = ?1 AND session = ?2 AND start < ?3 ORDER BY start DESC LIMIT ?4");
        byTarget = Prepare("SELECT source FROM link WHERE workspace = ?1 AND target = ?2 LIMIT ?3");
        findRun = Prepare("SELECT id FROM run WHERE workspace = ?1 AND run_id = ?2");
        countRun = Prepare("SELECT 1 FROM trace WHERE workspace = ?1 AND run = ?2 LIMIT 1");
        dropFacets = Prepare("DELETE FROM run_facet WHERE run = ?1");
        dropRun = Prepare("DELETE FROM run WHERE id = ?1");
        putRun = Prepare("""
            INSERT INTO run (workspace, run_id, start, outcome, workflow, session, tenant, environment, body, text, release, duration_ms, cost_usd, tokens)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
            ON CONFLICT (workspace, run_id) DO UPDATE SET start = excluded.start, outcome = excluded.outcome, workflow = excluded.workflow, session = excluded.session,
                tenant = excluded.tenant, environment = excluded.environment, body = excluded.body, text = excluded.text,
                release = excluded.release, duration_ms = excluded.duration_ms, cost_usd = excluded.cost_usd, tokens = excluded.tokens
            """);
        putFacet = Prepare("INSERT INTO run_facet (run, kind, value) VALUES (?1, ?2, ?3)");
        putRevised = Prepare("INSERT OR IGNORE INTO revised (trace_id, span_id, workspace) VALUES (?1, ?2, ?3)");
        Ledger = new LedgerIndex(connection);
    }

    private const string TraceColumns = "trace_id, run, run_id, session, workflow, start, finish, has_root, waiting, spans, first_day, links";

    /// <summary>Opens the file; whatever is there and is not this version, or is damaged, is deleted and begun anew.</summary>
    public static OutcomesFile Open(string path, Action<string, Exception?> log)
    {
        if (!File.Exists(path))
        {
            Delete(path); // a log without its file belongs to nothing
        }

        for (bool again = true; ; again = false)
        {
            SqliteConnection? connection = null;
            try
            {
                connection = Sqlite.OpenWriter(path, full: false);
                long version = (long)Sqlite.Scalar(connection, "PRAGMA user_version")!;
                if (version == 0)
                {
                    Sqlite.Execute(connection, $"BEGIN IMMEDIATE; {Schema} {string.Join("; ", LedgerIndex.Schema)}; PRAGMA user_version = {SchemaVersion}; COMMIT;");
                }
                else if (version != SchemaVersion)
                {
                    throw new InvalidDataException($"its schema version is {version}, this program writes {SchemaVersion}");
                }

                return new OutcomesFile(connection);
            }
            catch (Exception unusable) when (again && unusable is SqliteException or InvalidDataException)
            {
                connection?.Dispose();
                log($"'{path}' is rebuilt from the partitions and the ledger: {unusable.Message}", unusable);
                Delete(path);
            }
            catch
            {
                connection?.Dispose();
                throw;
            }
        }
    }

    public LedgerIndex Ledger { get; }

    public static void Delete(string path)
    {
        foreach (string suffix in (ReadOnlySpan<string>)["", "-wal", "-shm"])
        {
            File.Delete(path + suffix);
        }
    }

    public void Begin() => begin.Run();

    public void Commit() => commit.Run();

    /// <summary>Position and "never changes any more" of every source.</summary>
    public Dictionary<string, (long Position, bool Done)> Watermarks()
    {
        var marks = new Dictionary<string, (long, bool)>(StringComparer.Ordinal);
        using var rows = new Statement(connection, "SELECT source, position, done FROM watermark");
        while (rows.Step())
        {
            marks.Add(rows.Text(0)!, (rows.Integer(1), rows.Integer(2) != 0));
        }

        return marks;
    }

    public void Mark(string source, long position, bool done) => mark.Bind(1, source).Bind(2, position).Bind(3, done ? 1 : 0).Run();

    public IReadOnlyList<(string Workspace, TraceId Trace)> DirtyTraces()
    {
        var dirty = new List<(string, TraceId)>();
        using var rows = new Statement(connection, "SELECT workspace, trace_id FROM trace WHERE dirty = 1");
        while (rows.Step())
        {
            dirty.Add((rows.Text(0)!, TraceId.Read(rows.Blob(1))));
        }

        return dirty;
    }

    public void MarkDirty(string workspace, TraceId trace)
    {
        using var update = new Statement(connection, "UPDATE trace SET dirty = 1 WHERE workspace = ?1 AND trace_id = ?2");
        update.Bind(1, workspace).Bind(2, Bytes(trace)).Run();
    }

    public void PutTrace(string workspace, TraceFacts facts, IReadOnlyList<TraceId> formerLinks, int spans, string firstDay)
    {
        byte[] id = Bytes(facts.Trace);
        foreach (var gone in formerLinks.Except(facts.Links))
        {
            dropLinks.Bind(1, workspace).Bind(2, Bytes(gone)).Bind(3, id).Run();
        }

        foreach (var link in facts.Links)
        {
            putLink.Bind(1, workspace).Bind(2, Bytes(link)).Bind(3, id).Run();
        }

        putTrace.Bind(1, workspace).Bind(2, id).Bind(3, facts.RunId).Bind(4, facts.SessionId).Bind(5, facts.WorkflowId).Bind(6, Signed(facts.Start)).Bind(7, Signed(facts.End))
            .Bind(8, facts.HasRoot ? 1 : 0).Bind(9, facts.Waiting ? 1 : 0).Bind(10, spans).Bind(11, firstDay).Bind(12, [.. facts.Links.SelectMany(Bytes)]).Bind(13, 0).Run();
    }

    public TraceRow? FindTrace(string workspace, TraceId trace)
    {
        findTrace.Bind(1, workspace).Bind(2, Bytes(trace));
        return Rows(findTrace).FirstOrDefault();
    }

    /// <summary>The traces that are in a run at this moment.</summary>
    public List<TraceRow> TracesOfRun(string workspace, string run, int limit)
    {
        byRun.Bind(1, workspace).Bind(2, run).Bind(3, limit);
        return Rows(byRun);
    }

    public List<TraceRow> TracesOfRunId(string workspace, string runId, int limit)
    {
        byRunId.Bind(1, workspace).Bind(2, runId).Bind(3, limit);
        return Rows(byRunId);
    }

    /// <summary>Neighbours of a moment in a session, at most <paramref name="limit"/> on each side.</summary>
    public List<TraceRow> TracesOfSession(string workspace, string session, ulong around, int limit)
    {
        bySessionBefore.Bind(1, workspace).Bind(2, session).Bind(3, Signed(around)).Bind(4, limit);
        var rows = Rows(bySessionBefore);
        bySession.Bind(1, workspace).Bind(2, session).Bind(3, Signed(around)).Bind(4, limit);
        rows.AddRange(Rows(bySession));
        return rows;
    }

    public List<TraceId> TracesThatLinkTo(string workspace, TraceId target, int limit)
    {
        var sources = new List<TraceId>();
        byTarget.Bind(1, workspace).Bind(2, Bytes(target)).Bind(3, limit);
        while (byTarget.Step())
        {
            sources.Add(TraceId.Read(byTarget.Blob(0)));
        }

        byTarget.Reset();
        return sources;
    }

    public void PutRun(string workspace, RunSummary summary, RunView view, IEnumerable<TraceId> traces)
    {
        foreach (var trace in traces)
        {
            putRunOf.Bind(1, workspace).Bind(2, Bytes(trace)).Bind(3, view.RunId).Run();
        }

        byte[] body = System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(view with { Budget = null, Versions = null }, StoreJson.Default.RunView);
        putRun.Bind(1, workspace).Bind(2, view.RunId).Bind(3, Signed(summary.StartNanos)).Bind(4, view.Outcome).Bind(5, view.WorkflowId).Bind(6, view.SessionId)
            .Bind(7, view.TenantId).Bind(8, view.Environment).Bind(9, body).Bind(10, summary.SearchText)
            .Bind(11, view.Release).Bind(12, view.DurationMs).Bind(14, TokenCounts.Add(view.TokensIn, view.TokensOut));
        (view.CostUsd is { } cost ? putRun.Bind(13, cost) : putRun.Bind(13, (string?)null)).Run();
        long id = RunRow(workspace, view.RunId)!.Value;
        dropFacets.Bind(1, id).Run();
        foreach (var facet in RunFacet.Of(summary))
        {
            putFacet.Bind(1, id).Bind(2, facet.Kind).Bind(3, facet.Value).Run();
        }
    }

    /// <summary>The span has been sent again with other content.</summary>
    public void PutRevised(string workspace, SpanKey key)
    {
        Span<byte> span = stackalloc byte[8];
        key.Span.Write(span);
        putRevised.Bind(1, Bytes(key.Trace)).Bind(2, span).Bind(3, workspace).Run();
    }

    /// <summary>Removes a run that no trace belongs to any more.</summary>
    public void DropRunWhenEmpty(string workspace, string runId)
    {
        countRun.Bind(1, workspace).Bind(2, runId);
        bool used = countRun.Step();
        countRun.Reset();
        if (!used && RunRow(workspace, runId) is { } id)
        {
            dropFacets.Bind(1, id).Run();
            dropRun.Bind(1, id).Run();
        }
    }

    public void Dispose()
    {
        foreach (var statement in statements)
        {
            statement.Dispose();
        }

        Ledger.Dispose();
        connection.Dispose();
    }

    public static byte[] Bytes(TraceId trace)
    {
        byte[] bytes = new byte[16];
        trace.Write(bytes);
        return bytes;
    }

    /// <summary>Nanoseconds as SQLite holds them; the last representable moment (2262) stands for everything later.</summary>
    public static long Signed(ulong nanos) => nanos > long.MaxValue ? long.MaxValue : (long)nanos;

    private long? RunRow(string workspace, string runId)
    {
        findRun.Bind(1, workspace).Bind(2, runId);
        long? id = findRun.Step() ? findRun.Integer(0) : null;
        findRun.Reset();
        return id;
    }

    private static List<TraceRow> Rows(Statement statement)
    {
        var rows = new List<TraceRow>();
        while (statement.Step())
        {
            var links = new List<TraceId>();
            for (var packed = statement.Blob(11); packed.Length >= 16; packed = packed[16..])
            {
                links.Add(TraceId.Read(packed));
            }

            var facts = new TraceFacts(TraceId.Read(statement.Blob(0)), statement.Text(2), statement.Text(3), statement.Text(4), (ulong)statement.Integer(5),
                (ulong)statement.Integer(6), statement.Integer(7) != 0, statement.Integer(8) != 0, links);
            rows.Add(new TraceRow(facts, statement.Text(1), (int)statement.Integer(9), statement.Text(10)!));
        }

        statement.Reset();
        return rows;
    }

    private Statement Prepare(string sql)
    {
        var statement = new Statement(connection, sql);
        statements.Add(statement);
        return statement;
    }
}

/// <summary>A trace as the projections know it. <c>Run</c> is the shown id of the run it is in.</summary>
internal sealed record TraceRow(TraceFacts Facts, string? Run, int Spans, string FirstDay)
{
    /// <summary>The trace as a run of its own, when it was read in this round.</summary>
    public RunSummary? Alone { get; init; }
}
