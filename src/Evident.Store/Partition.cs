using System.Buffers.Binary;
using System.Globalization;
using Evident.Ingest;
using Evident.Ledger;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// The writing side of one day of receipt: <c>traces/YYYY-MM-DD.db</c> (tables in docs/store.md). Owned by the writer thread. Every change
/// between <see cref="Begin"/> and <see cref="Commit"/> is one transaction: a crash leaves all of it or nothing.
/// </summary>
internal sealed class Partition : IDisposable
{
    public const int SchemaVersion = 1;

    /// <summary>Keys of <c>meta</c>.</summary>
    public const string HeadKey = "ledger_head", ResumeKey = "ledger_resume", SealedKey = "sealed_spans", ResealKey = "reseal_from";

    private const string Schema = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE workspace (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE block (id INTEGER PRIMARY KEY, first INTEGER NOT NULL, received INTEGER NOT NULL, workspace INTEGER NOT NULL, spans INTEGER NOT NULL,
            codec INTEGER NOT NULL, plain INTEGER NOT NULL, data BLOB NOT NULL);
        CREATE TABLE trace_block (trace_id BLOB NOT NULL, workspace INTEGER NOT NULL, block INTEGER NOT NULL, entries BLOB NOT NULL,
            PRIMARY KEY (trace_id, workspace, block)) WITHOUT ROWID;
        CREATE TABLE outbox (id INTEGER PRIMARY KEY, ledger_size INTEGER NOT NULL, draft BLOB NOT NULL);
        CREATE TABLE approval (touched INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, open INTEGER NOT NULL, body BLOB NOT NULL);
        CREATE INDEX approval_open ON approval (touched) WHERE open = 1;
        PRAGMA user_version = 1;
        """;

    private readonly SqliteConnection connection;
    private readonly Statement begin, commit, rollback, insertBlock, insertTrace, insertOutbox, clearOutbox, upsertApproval, deleteApproval, setMeta, findTrace;
    private readonly Dictionary<string, long> workspaces = new(StringComparer.Ordinal);
    private bool outboxFilled;

    private Partition(string path, SqliteConnection connection)
    {
        Name = Path.GetFileNameWithoutExtension(path);
        this.connection = connection;
        begin = new(connection, "BEGIN IMMEDIATE");
        commit = new(connection, "COMMIT");
        rollback = new(connection, "ROLLBACK");
        insertBlock = new(connection, "INSERT INTO block (id, first, received, workspace, spans, codec, plain, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        insertTrace = new(connection, "INSERT INTO trace_block (trace_id, workspace, block, entries) VALUES (?1, ?2, ?3, ?4)");
        insertOutbox = new(connection, "INSERT INTO outbox (ledger_size, draft) VALUES (?1, ?2)");
        clearOutbox = new(connection, "DELETE FROM outbox");
        upsertApproval = new(connection, "INSERT OR REPLACE INTO approval (id, open, body) VALUES (?1, ?2, ?3)");
        deleteApproval = new(connection, "DELETE FROM approval WHERE id = ?1");
        setMeta = new(connection, "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
        findTrace = new(connection, "SELECT entries FROM trace_block WHERE trace_id = ?1 AND workspace = ?2 ORDER BY block");
        SealedSpans = ReadNumber(connection, SealedKey) ?? 0;
        ResealFrom = ReadText(connection, ResealKey);
        NextSpan = SealedSpans;
        using (var last = new Statement(connection, "SELECT id, first + spans FROM block ORDER BY id DESC LIMIT 1"))
        {
            if (last.Step())
            {
                (LastBlock, NextSpan) = (last.Integer(0), last.Integer(1));
            }
        }

        outboxFilled = Sqlite.Scalar(connection, "SELECT 1 FROM outbox LIMIT 1") is not null;
        using var rows = new Statement(connection, "SELECT id, name FROM workspace");
        while (rows.Step())
        {
            workspaces.Add(rows.Text(1)!, rows.Integer(0));
        }
    }

    /// <summary>The UTC day, <c>YYYY-MM-DD</c>.</summary>
    public string Name { get; }

    public long LastBlock { get; private set; }

    /// <summary>The number that the next span gets. Spans are numbered in order of storage; a block knows the number of its first.</summary>
    public long NextSpan { get; private set; }

    /// <summary>The spans below this number are sealed: in the same transaction their seal was put into the outbox.</summary>
    public long SealedSpans { get; private set; }

    /// <summary>The first of the older partitions whose seals were lost with the end of the ledger and are to be made anew; null for none.</summary>
    public string? ResealFrom { get; private set; }

    /// <summary>Opens the day's file for writing; creates it when it is not there or when a crash left it without a schema.</summary>
    /// <param name="path">The file.</param>
    /// <param name="sealedBefore">
    /// Asked when the file is created: how many spans of a partition of this name the ledger has sealed. More than none when an earlier file of the day was lost or
    /// set aside; numbers go on there, so that no two spans of a day share one.
    /// </param>
    /// <exception cref="StoreException">A newer Evident wrote the file.</exception>
    public static Partition Open(string path, Func<long> sealedBefore)
    {
        var connection = Sqlite.OpenWriter(path, full: true);
        try
        {
            if (CheckVersion(connection, path) == 0)
            {
                string begin = string.Create(CultureInfo.InvariantCulture, $"INSERT INTO meta (key, value) VALUES ('{SealedKey}', X'{sealedBefore():x16}');");
                Sqlite.Execute(connection, $"BEGIN IMMEDIATE; {Schema} {begin} COMMIT;"); // one transaction: half a schema is never seen
            }

            return new Partition(path, connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>The schema version; 0 when the file is still empty.</summary>
    /// <exception cref="StoreException">It is newer than this program.</exception>
    public static long CheckVersion(SqliteConnection connection, string path)
    {
        long version = (long)Sqlite.Scalar(connection, "PRAGMA user_version")!;
        return version <= SchemaVersion ? version : throw new StoreException(string.Create(CultureInfo.InvariantCulture,
            $"partition '{path}' has schema version {version}, this program knows up to {SchemaVersion}: start the newer Evident that wrote it, or restore the backup made before the update."));
    }

    public void Begin() => begin.Run();

    public void Commit() => commit.Run();

    public void Rollback() => rollback.Run();

    public long WorkspaceId(string name)
    {
        if (!workspaces.TryGetValue(name, out long id))
        {
            id = workspaces.Count + 1;
            using var insert = new Statement(connection, "INSERT INTO workspace (id, name) VALUES (?1, ?2)");
            insert.Bind(1, id).Bind(2, name).Run();
            workspaces.Add(name, id);
        }

        return id;
    }

    public long InsertBlock(long receivedUnixMillis, long workspace, int spans, int codec, int plainBytes, ReadOnlySpan<byte> data)
    {
        insertBlock.Bind(1, ++LastBlock).Bind(2, NextSpan).Bind(3, receivedUnixMillis).Bind(4, workspace).Bind(5, spans).Bind(6, codec).Bind(7, plainBytes).Bind(8, data).Run();
        NextSpan += spans;
        return LastBlock;
    }

    /// <param name="entries">Packed <see cref="TraceEntry"/>s of this trace in that block.</param>
    public void InsertTrace(TraceId trace, long workspace, long block, ReadOnlySpan<byte> entries)
    {
        Span<byte> id = stackalloc byte[16];
        trace.Write(id);
        insertTrace.Bind(1, id).Bind(2, workspace).Bind(3, block).Bind(4, entries).Run();
    }

    /// <summary>Adds every stored span of the trace, oldest first.</summary>
    public void FindTrace(TraceId trace, string workspace, List<TraceEntry> into)
    {
        if (workspaces.TryGetValue(workspace, out long id))
        {
            FindTrace(findTrace, trace, id, into);
        }
    }

    /// <summary>The same with a statement of the caller's connection, columns as in <see cref="FindTrace(TraceId, string, List{TraceEntry})"/>.</summary>
    public static void FindTrace(Statement find, TraceId trace, long workspace, List<TraceEntry> into)
    {
        Span<byte> key = stackalloc byte[16];
        trace.Write(key);
        find.Bind(1, key).Bind(2, workspace);
        while (find.Step())
        {
            var entries = find.Blob(0);
            for (; entries.Length >= TraceEntry.Size; entries = entries[TraceEntry.Size..])
            {
                into.Add(TraceEntry.Read(entries));
            }
        }

        find.Reset();
    }

    /// <summary>A ledger entry that is owed: from the commit on it will be in the ledger, by step 3 or by replay at the next start.</summary>
    public void Owe(EntryDraft draft, long ledgerSize)
    {
        insertOutbox.Bind(1, ledgerSize).Bind(2, draft.Bytes.Span).Run();
        outboxFilled = true;
    }

    /// <summary>Entries are owed, or were and have not been forgotten yet.</summary>
    public bool Owes => outboxFilled;

    /// <summary>Forgets what was owed. Only once the ledger holds all of it durably.</summary>
    public void ClearOutbox()
    {
        if (outboxFilled)
        {
            clearOutbox.Run();
            outboxFilled = false;
        }
    }

    /// <summary>What is owed, oldest first, with the smallest ledger size at which any of it was queued.</summary>
    public IReadOnlyList<EntryDraft> ReadOutbox(out long oldestSize)
    {
        var drafts = new List<EntryDraft>();
        oldestSize = long.MaxValue;
        using var rows = new Statement(connection, "SELECT ledger_size, draft FROM outbox ORDER BY id");
        while (rows.Step())
        {
            oldestSize = Math.Min(oldestSize, rows.Integer(0));
            drafts.Add(EntryDraft.Parse(rows.Blob(1).ToArray()));
        }

        return drafts;
    }

    /// <summary>Replaces the row of that id; its number grows, so that the newest rows are the ones touched last.</summary>
    /// <param name="open">It was asked for or decided and has not been executed.</param>
    public void PutApproval(ReadOnlySpan<byte> id, bool open, ReadOnlySpan<byte> body) => upsertApproval.Bind(1, id).Bind(2, open ? 1 : 0).Bind(3, body).Run();

    public void DeleteApproval(ReadOnlySpan<byte> id) => deleteApproval.Bind(1, id).Run();

    /// <summary>The ledger head that is durable at this moment: a ledger that ends below it was rolled back.</summary>
    public void Remember(LedgerHead head)
    {
        Span<byte> value = stackalloc byte[8 + head.Root.Length];
        BinaryPrimitives.WriteInt64LittleEndian(value, head.Size);
        head.Root.CopyTo(value[8..]);
        setMeta.Bind(1, HeadKey).Bind(2, value).Run();
    }

    /// <summary>The hint that makes the start after a clean stop fast.</summary>
    public void Remember(LedgerResume resume) => setMeta.Bind(1, ResumeKey).Bind(2, ResumeHint.Encode(resume)).Run();

    /// <summary>The spans below that number are sealed, by an entry that the same transaction owes.</summary>
    public void Seal(long end)
    {
        SetNumber(SealedKey, end);
        SealedSpans = end;
    }

    /// <summary>Says, in a transaction of its own, from which partition on seals are to be made anew before anything is appended for this one; null: no more.</summary>
    public void Reseal(string? from)
    {
        if (from is null)
        {
            Sqlite.Execute(connection, $"DELETE FROM meta WHERE key = '{ResealKey}'");
        }
        else
        {
            setMeta.Bind(1, ResealKey).Bind(2, System.Text.Encoding.ASCII.GetBytes(from)).Run();
        }

        ResealFrom = from;
    }

    /// <summary>
    /// Brings what the partition remembers of the ledger down to a head that was accepted in place of a lost one, in one transaction (<see cref="StoreIncarnation"/>).
    /// Entries that are owed stay owed; seals among them are dropped, because the spans are sealed anew.
    /// </summary>
    /// <param name="found">The ledger goes on from here.</param>
    /// <param name="sealedInLedger">The spans below this number are sealed by entries that are left.</param>
    public void Accept(LedgerHead found, long sealedInLedger)
    {
        var seals = new List<long>();
        using (var rows = new Statement(connection, "SELECT id, draft FROM outbox"))
        {
            while (rows.Step())
            {
                if (EntryDraft.Parse(rows.Blob(1).ToArray()).Type == "ledger.traces")
                {
                    seals.Add(rows.Integer(0));
                }
            }
        }

        Begin();
        foreach (long seal in seals)
        {
            using var delete = new Statement(connection, "DELETE FROM outbox WHERE id = ?1");
            delete.Bind(1, seal).Run();
        }

        using (var lower = new Statement(connection, "UPDATE outbox SET ledger_size = ?1 WHERE ledger_size > ?1"))
        {
            lower.Bind(1, found.Size).Run(); // replay looks for their ids from there on
        }

        Sqlite.Execute(connection, $"DELETE FROM meta WHERE key = '{ResumeKey}'");
        Remember(found);
        Seal(Math.Max(sealedInLedger, (long?)Sqlite.Scalar(connection, "SELECT first FROM block ORDER BY id LIMIT 1") ?? NextSpan));
        Commit();
    }

    /// <summary>Adds every stored span that is not sealed, in order of storage.</summary>
    /// <exception cref="InvalidDataException">A block is damaged, or their numbers do not follow each other.</exception>
    public void ReadUnsealed(UnsealedSpans into)
    {
        long from = long.MaxValue;
        using (var newest = new Statement(connection, "SELECT id, first FROM block ORDER BY id DESC"))
        {
            while (newest.Step() && newest.Integer(1) >= SealedSpans)
            {
                from = newest.Integer(0);
            }
        }

        using var rows = new Statement(connection,
            "SELECT b.first, b.received, w.name, b.codec, b.plain, b.data FROM block b JOIN workspace w ON w.id = b.workspace WHERE b.id >= ?1 ORDER BY b.id");
        rows.Bind(1, from);
        while (rows.Step())
        {
            if (rows.Integer(0) != into.End)
            {
                throw new InvalidDataException($"a block of partition {Name} begins with span {rows.Integer(0)} where span {into.End} is due.");
            }

            long received = rows.Integer(1);
            string workspace = rows.Text(2)!;
            SpanBlock.Read(rows.Integer(3), rows.Integer(4), rows.Blob(5), (_, encoded) => into.Add(workspace, received, encoded));
        }
    }

    private void SetNumber(string key, long number)
    {
        Span<byte> value = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(value, number);
        setMeta.Bind(1, key).Bind(2, value).Run();
    }

    private static string? ReadText(SqliteConnection connection, string key)
    {
        using var row = new Statement(connection, "SELECT value FROM meta WHERE key = ?1");
        return row.Bind(1, key).Step() ? System.Text.Encoding.ASCII.GetString(row.Blob(0)) : null;
    }

    private static long? ReadNumber(SqliteConnection connection, string key)
    {
        using var row = new Statement(connection, "SELECT value FROM meta WHERE key = ?1");
        if (!row.Bind(1, key).Step())
        {
            return null;
        }

        var value = row.Blob(0);
        return value.Length == 8 && BinaryPrimitives.ReadInt64BigEndian(value) is >= 0 and var number
            ? number
            : throw new InvalidDataException($"the value '{key}' has {value.Length} bytes that are no number.");
    }

    /// <summary>Null when the partition has never committed a group.</summary>
    public static LedgerHead? ReadHead(SqliteConnection connection)
    {
        using var row = new Statement(connection, "SELECT value FROM meta WHERE key = 'ledger_head'");
        if (!row.Step())
        {
            return null;
        }

        var value = row.Blob(0);
        return value.Length == 40
            ? new LedgerHead(BinaryPrimitives.ReadInt64LittleEndian(value), value[8..].ToArray())
            : throw new InvalidDataException($"the remembered ledger head has {value.Length} bytes, 40 are needed.");
    }

    public static LedgerResume? ReadResume(SqliteConnection connection)
    {
        using var row = new Statement(connection, "SELECT value FROM meta WHERE key = 'ledger_resume'");
        return row.Step() ? ResumeHint.Decode(row.Blob(0)) : null;
    }

    public void Checkpoint() => Sqlite.Execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");

    /// <summary>Closes the file; with the last connection SQLite folds the log into it.</summary>
    public void Dispose()
    {
        foreach (var statement in (ReadOnlySpan<Statement>)
            [begin, commit, rollback, insertBlock, insertTrace, insertOutbox, clearOutbox, upsertApproval, deleteApproval, setMeta, findTrace])
        {
            statement.Dispose();
        }

        connection.Dispose();
    }
}
