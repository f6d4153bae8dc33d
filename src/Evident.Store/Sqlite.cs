using Evident.Platform;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Evident.Store;

/// <summary>
/// How the store's SQLite files are opened. Connections are never pooled by the library: whoever opens one owns it, so that closing the
/// last one checkpoints the write-ahead log and leaves one file.
/// </summary>
internal static class Sqlite
{
    private static readonly object Gate = new();
    private static bool prepared;

    /// <summary>For the one writer of a file. Creates it (0600) when it is not there.</summary>
    /// <param name="full">What is committed must survive a power cut; else the file can be rebuilt and only has to stay consistent.</param>
    public static SqliteConnection OpenWriter(string path, bool full)
    {
        Prepare();
        bool created = !File.Exists(path);
        if (created)
        {
            using var file = DurableFile.CreateNew(path); // SQLite would create it with the umask's mode
        }

        var connection = Opened(path, SqliteOpenMode.ReadWrite);
        try
        {
            // WAL: readers never wait for the writer, and a commit is one sequential append and one sync.
            Execute(connection, "PRAGMA journal_mode=WAL");

            // FULL: a commit is an acknowledgement (receipts wait for it). NORMAL: a power cut may take the last commits of a file that is
            // rebuilt from the partitions and the ledger, never its consistency.
            Execute(connection, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");

            // 8 MiB of pages: the inner nodes of one day's trace index.
            Execute(connection, "PRAGMA cache_size=-8192");

            // 4,000 pages (16 MiB) between checkpoints: fewer rewrites of hot index pages than the default 1,000.
            Execute(connection, "PRAGMA wal_autocheckpoint=4000");

            // After a burst the log file gives its space back at the next checkpoint.
            Execute(connection, "PRAGMA journal_size_limit=67108864");
            if (created)
            {
                DurableDirectory.Sync(Path.GetDirectoryName(path)!);
            }

            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>
    /// A kill while a file was created can leave the journal of its very first transaction, the one that turns it to write-ahead logging: only a writer can take that back, and readers come first.
    /// </summary>
    public static void FinishCreation(string path)
    {
        if (File.Exists(path) && File.Exists(path + "-journal"))
        {
            Prepare();
            using var connection = Opened(path, SqliteOpenMode.ReadWrite);
            _ = Scalar(connection, "PRAGMA user_version");
        }
    }

    /// <summary>For queries beside the writer. Never creates a file and cannot write into one.</summary>
    public static SqliteConnection OpenReader(string path)
    {
        Prepare();
        var connection = Opened(path, SqliteOpenMode.ReadOnly);
        try
        {
            // 2 MiB: a query reads a few index pages and its blocks.
            Execute(connection, "PRAGMA cache_size=-2048");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>
    /// For a verifier, which trusts nothing in the file: reads one state of it, the one at this moment, on read-only media and without a write anywhere, not even to
    /// the index of the file's log. Beside a running appliance as well as on what one that was killed has left.
    /// </summary>
    /// <exception cref="SqliteException">The file is damaged or no database.</exception>
    public static SqliteConnection OpenUntouched(string path)
    {
        Prepare();

        // Whoever writes has the log's index in shared memory: it is used as it stands. A log without it, in a copy, is indexed in memory, which SQLite does where it
        // has no shared memory and nobody to share a lock with. With neither, the file is read as it is.
        bool shared = File.Exists(path + "-shm"), log = !shared && HasLog(path);
        string escaped = Path.GetFullPath(path).Replace("%", "%25", StringComparison.Ordinal).Replace("?", "%3f", StringComparison.Ordinal).Replace("#", "%23", StringComparison.Ordinal);
        var connection = Opened($"file:{escaped}?{(shared ? "mode=ro&readonly_shm=1" : log ? "mode=ro&vfs=unix-none" : "mode=ro&immutable=1")}", SqliteOpenMode.ReadOnly);
        try
        {
            if (log)
            {
                Execute(connection, "PRAGMA locking_mode=EXCLUSIVE"); // before anything else: it decides where the index of the log is
            }

            _ = raw.sqlite3_db_config(connection.Handle, DbConfigNoCheckpointOnClose, 1, out _);
            _ = raw.sqlite3_limit(connection.Handle, LimitLength, MaxUntrustedBytes);
            Execute(connection, "PRAGMA trusted_schema=OFF");
            Execute(connection, "PRAGMA cell_size_check=ON");
            Execute(connection, "PRAGMA cache_size=-16384");
            Execute(connection, "BEGIN");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>The file has a write-ahead log that may hold what the file itself does not.</summary>
    public static bool HasLog(string path) => new FileInfo(path + "-wal") is { Exists: true, Length: > 0 };

    private const int DbConfigNoCheckpointOnClose = 1006, LimitLength = 0;
    private const int MaxUntrustedBytes = 256 << 20; // of one value or row; blocks of spans are the largest

    public static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public static object? Scalar(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar() is var value && value is DBNull ? null : value;
    }

    private static SqliteConnection Opened(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path, Mode = mode, Pooling = false, Cache = SqliteCacheMode.Private, DefaultTimeout = 5,
        }.ToString());
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Prepare()
    {
        lock (Gate)
        {
            if (!prepared)
            {
                NativeLibraries.Map(typeof(SQLite3Provider_e_sqlite3).Assembly);
                raw.SetProvider(new SQLite3Provider_e_sqlite3());
                prepared = true;
            }
        }
    }
}

/// <summary>
/// One prepared statement on the raw bindings, for loops where a command object per row would cost more than the row. Owned by the thread
/// that owns the connection. Blobs are copied by SQLite at the bind.
/// </summary>
internal sealed class Statement : IDisposable
{
    private readonly sqlite3 database;
    private readonly sqlite3_stmt statement;

    public Statement(SqliteConnection connection, string sql)
    {
        database = connection.Handle!;
        int code = raw.sqlite3_prepare_v2(database, sql, out statement);
        if (code != raw.SQLITE_OK)
        {
            throw Error(code);
        }
    }

    public Statement Bind(int index, long value)
    {
        Must(raw.sqlite3_bind_int64(statement, index, value));
        return this;
    }

    public Statement Bind(int index, double value)
    {
        Must(raw.sqlite3_bind_double(statement, index, value));
        return this;
    }

    public Statement Bind(int index, ReadOnlySpan<byte> value)
    {
        Must(raw.sqlite3_bind_blob(statement, index, value));
        return this;
    }

    /// <summary>Text, or SQL null.</summary>
    public Statement Bind(int index, string? value)
    {
        Must(value is null ? raw.sqlite3_bind_null(statement, index) : raw.sqlite3_bind_text(statement, index, value));
        return this;
    }

    /// <summary>True while there is a row. Call <see cref="Reset"/> after the last use of its columns.</summary>
    public bool Step()
    {
        int code = raw.sqlite3_step(statement);
        return code switch
        {
            raw.SQLITE_ROW => true,
            raw.SQLITE_DONE => false,
            _ => throw Error(code),
        };
    }

    /// <summary>Runs a statement that gives no rows.</summary>
    public void Run()
    {
        try
        {
            Step();
        }
        finally
        {
            Reset();
        }
    }

    public void Reset() => _ = raw.sqlite3_reset(statement); // repeats the code that Step has already reported

    public long Integer(int column) => raw.sqlite3_column_int64(statement, column);

    /// <summary>How the value is stored: SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB or SQLITE_NULL, whatever the column was declared as.</summary>
    public int Kind(int column) => raw.sqlite3_column_type(statement, column);

    public double Number(int column) => raw.sqlite3_column_double(statement, column);

    public string? Text(int column) =>
        raw.sqlite3_column_type(statement, column) == raw.SQLITE_NULL ? null : raw.sqlite3_column_text(statement, column).utf8_to_string();

    /// <summary>Valid until the next <see cref="Step"/> or <see cref="Reset"/>.</summary>
    public ReadOnlySpan<byte> Blob(int column) => raw.sqlite3_column_blob(statement, column);

    public void Dispose() => statement.Dispose();

    private void Must(int code)
    {
        if (code != raw.SQLITE_OK)
        {
            throw Error(code);
        }
    }

    private SqliteException Error(int code) =>
        new($"SQLite refused a statement: {raw.sqlite3_errmsg(database).utf8_to_string()} (code {code}).", code, raw.sqlite3_extended_errcode(database));
}
