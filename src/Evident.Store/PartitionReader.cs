using Evident.Ingest;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>One block row, inflated and decoded.</summary>
internal sealed record ReadBlock(long Id, string Workspace, IReadOnlyList<StoredSpan> Spans);

/// <summary>The spans of a block whose bytes hold what is looked for, in order of ordinal.</summary>
/// <param name="Looked">Spans in the block.</param>
internal sealed record FoundBlock(long Id, string Workspace, int Looked, IReadOnlyList<FoundSpan> Spans);

internal sealed record FoundSpan(int Ordinal, StoredSpan Span);

/// <summary>A span as it is stored, and where.</summary>
internal delegate void PlacedSpan(string day, long block, int ordinal, ReadOnlySpan<byte> encoded);

/// <summary>The reading side of one partition: a read-only connection with its statements. One thread at a time.</summary>
internal sealed class PartitionReader : IDisposable
{
    private readonly SqliteConnection connection;
    private readonly string day;
    private readonly Statement findTrace, findEntries, block, next, former, workspace;
    private readonly Dictionary<string, long> workspaceIds = new(StringComparer.Ordinal);
    private readonly Dictionary<long, string> workspaceNames = [];

    /// <exception cref="SqliteException">The file is damaged, or no database.</exception>
    /// <exception cref="StoreException">A newer Evident wrote it.</exception>
    public PartitionReader(string path)
    {
        day = Path.GetFileNameWithoutExtension(path);
        connection = Sqlite.OpenReader(path);
        try
        {
            Empty = Partition.CheckVersion(connection, path) == 0;
            if (Empty)
            {
                findTrace = findEntries = block = next = former = workspace = new Statement(connection, "SELECT 1 WHERE 0");
                return;
            }

            findTrace = new(connection, "SELECT block, entries FROM trace_block WHERE trace_id = ?1 AND workspace = ?2 ORDER BY block");
            findEntries = new(connection, "SELECT entries FROM trace_block WHERE trace_id = ?1 AND workspace = ?2 ORDER BY block");
            block = new(connection, "SELECT codec, plain, data FROM block WHERE id = ?1");
            next = new(connection, "SELECT id, workspace, codec, plain, data FROM block WHERE id > ?1 ORDER BY id LIMIT ?2");
            former = new(connection, "SELECT id, workspace, codec, plain, data FROM block WHERE id < ?1 ORDER BY id DESC LIMIT 1");
            workspace = new(connection, "SELECT id, name FROM workspace");
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>A crash left the file without a schema: nothing was ever committed in it.</summary>
    public bool Empty { get; }

    public Ledger.LedgerHead? Head => Empty ? null : Partition.ReadHead(connection);

    public Ledger.LedgerResume? Resume => Empty ? null : Partition.ReadResume(connection);

    /// <summary>What dedup needs to know of a trace: every stored span of it, oldest first.</summary>
    public void FindEntries(TraceId trace, string workspaceName, List<TraceEntry> into)
    {
        if (!Empty && WorkspaceId(workspaceName) is { } id)
        {
            Partition.FindTrace(findEntries, trace, id, into);
        }
    }

    /// <summary>Every stored span of the trace, revisions included, in order of receipt.</summary>
    /// <param name="lastBlock">Blocks after this one are left out.</param>
    public void ReadTrace(TraceId trace, string workspaceName, long lastBlock, List<StoredSpan> into, CancellationToken cancellation) =>
        ReadTrace(trace, workspaceName, lastBlock, (_, _, _, encoded) => into.Add(StoredSpan.Decode(encoded)), cancellation);

    /// <summary>The same as encoded, with the place of each.</summary>
    public void ReadTrace(TraceId trace, string workspaceName, long lastBlock, PlacedSpan each, CancellationToken cancellation)
    {
        if (Empty || WorkspaceId(workspaceName) is not { } id)
        {
            return;
        }

        var places = new List<(long Block, HashSet<int> Ordinals)>();
        byte[] key = new byte[16];
        trace.Write(key);
        findTrace.Bind(1, key).Bind(2, id);
        while (findTrace.Step() && findTrace.Integer(0) <= lastBlock)
        {
            var ordinals = new HashSet<int>();
            for (var entries = findTrace.Blob(1); entries.Length >= TraceEntry.Size; entries = entries[TraceEntry.Size..])
            {
                ordinals.Add(TraceEntry.Read(entries).Ordinal);
            }

            places.Add((findTrace.Integer(0), ordinals));
        }

        findTrace.Reset();
        foreach (var (at, ordinals) in places)
        {
            cancellation.ThrowIfCancellationRequested();
            block.Bind(1, at);
            try
            {
                if (!block.Step())
                {
                    throw new InvalidDataException($"the trace index names block {at}, which the partition does not hold.");
                }

                SpanBlock.Read(block.Integer(0), block.Integer(1), block.Blob(2), (ordinal, encoded) =>
                {
                    if (ordinals.Contains(ordinal))
                    {
                        each(day, at, ordinal, encoded);
                    }
                });
            }
            finally
            {
                block.Reset();
            }
        }
    }

    /// <summary>The next blocks after <paramref name="after"/>, at most <paramref name="limit"/>.</summary>
    public IReadOnlyList<ReadBlock> ReadBlocks(long after, int limit)
    {
        var blocks = new List<ReadBlock>();
        if (Empty)
        {
            return blocks;
        }

        next.Bind(1, after).Bind(2, limit);
        try
        {
            while (next.Step())
            {
                var spans = new List<StoredSpan>();
                SpanBlock.Read(next.Integer(2), next.Integer(3), next.Blob(4), (_, encoded) => spans.Add(StoredSpan.Decode(encoded)));
                blocks.Add(new ReadBlock(next.Integer(0), WorkspaceName(next.Integer(1)), spans));
            }
        }
        finally
        {
            next.Reset();
        }

        return blocks;
    }

    /// <summary>The newest block below <paramref name="before"/>; null when there is none. Only spans whose encoding holds <paramref name="needle"/> are decoded.</summary>
    public FoundBlock? FindBefore(long before, byte[] needle)
    {
        if (Empty)
        {
            return null;
        }

        former.Bind(1, before);
        try
        {
            if (!former.Step())
            {
                return null;
            }

            int looked = 0;
            var spans = new List<FoundSpan>();
            SpanBlock.Read(former.Integer(2), former.Integer(3), former.Blob(4), (ordinal, encoded) =>
            {
                looked++;
                if (encoded.IndexOf(needle) >= 0)
                {
                    spans.Add(new FoundSpan(ordinal, StoredSpan.Decode(encoded)));
                }
            });
            return new FoundBlock(former.Integer(0), WorkspaceName(former.Integer(1)), looked, spans);
        }
        finally
        {
            former.Reset();
        }
    }

    /// <summary>The stored approvals of one kind, newest first, each as its id and its JSON.</summary>
    /// <param name="open">Those that were asked for or decided and not executed; else the others.</param>
    public IReadOnlyList<(string Id, byte[] Body)> ReadApprovals(bool open, int limit)
    {
        var approvals = new List<(string, byte[])>();
        if (!Empty)
        {
            using var rows = new Statement(connection, $"SELECT id, body FROM approval WHERE open = {(open ? 1 : 0)} ORDER BY touched DESC LIMIT ?1");
            rows.Bind(1, limit);
            while (rows.Step())
            {
                approvals.Add((Convert.ToHexStringLower(rows.Blob(0)), rows.Blob(1).ToArray()));
            }
        }

        return approvals;
    }

    /// <summary>Whether this file tells of the approval: it then knows better than every older one.</summary>
    public bool HasApproval(string id)
    {
        if (Empty)
        {
            return false;
        }

        using var row = new Statement(connection, "SELECT 1 FROM approval WHERE id = ?1");
        return row.Bind(1, Convert.FromHexString(id)).Step();
    }

    public void Dispose()
    {
        foreach (var statement in (ReadOnlySpan<Statement>)[findTrace, findEntries, block, next, former, workspace])
        {
            statement.Dispose();
        }

        connection.Dispose();
    }

    private long? WorkspaceId(string name)
    {
        if (!workspaceIds.TryGetValue(name, out long id))
        {
            LoadWorkspaces();
            return workspaceIds.TryGetValue(name, out id) ? id : null;
        }

        return id;
    }

    private string WorkspaceName(long id)
    {
        if (!workspaceNames.ContainsKey(id))
        {
            LoadWorkspaces();
        }

        return workspaceNames.TryGetValue(id, out string? name) ? name : throw new InvalidDataException($"a block belongs to workspace {id}, which the partition does not list.");
    }

    // New ones appear while the writer goes on.
    private void LoadWorkspaces()
    {
        while (workspace.Step())
        {
            workspaceIds[workspace.Text(1)!] = workspace.Integer(0);
            workspaceNames[workspace.Integer(0)] = workspace.Text(1)!;
        }

        workspace.Reset();
    }
}
