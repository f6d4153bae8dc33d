using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Evident.Store;

/// <summary>Read-only connections to <c>outcomes.db</c>, kept between queries. Thread safe.</summary>
internal sealed class OutcomesReaders(string path, Projections projections) : IDisposable
{
    private const int KeptConnections = 4;
    private readonly Stack<(SqliteConnection Connection, int Generation)> idle = new();

    /// <summary>Runs a query on a connection of its own; cancelling interrupts it.</summary>
    public T Query<T>(CancellationToken cancellation, Func<SqliteConnection, T> query)
    {
        int generation = projections.Generation;
        SqliteConnection? connection = null;
        lock (idle)
        {
            while (connection is null && idle.TryPop(out var kept))
            {
                if (kept.Generation == generation)
                {
                    connection = kept.Connection;
                }
                else
                {
                    kept.Connection.Dispose(); // of a file that was replaced since
                }
            }
        }

        connection ??= Sqlite.OpenReader(path);
        try
        {
            T result;
            using (cancellation.Register(() => raw.sqlite3_interrupt(connection.Handle))) // a client that left must not keep a scan running
            {
                cancellation.ThrowIfCancellationRequested();
                result = query(connection);
            }

            lock (idle)
            {
                if (idle.Count < KeptConnections)
                {
                    idle.Push((connection, generation));
                    connection = null;
                }
            }

            return result;
        }
        catch (SqliteException interrupted) when (interrupted.SqliteErrorCode == raw.SQLITE_INTERRUPT && cancellation.IsCancellationRequested)
        {
            throw new OperationCanceledException("the query was cancelled by its caller.", interrupted, cancellation);
        }
        finally
        {
            connection?.Dispose();
        }
    }

    public void Dispose()
    {
        lock (idle)
        {
            while (idle.TryPop(out var kept))
            {
                kept.Connection.Dispose();
            }
        }
    }
}
