using System.Globalization;
using System.Security.Cryptography;
using Evident.Ingest;
using Evident.Ledger;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>One stored span as an audit sees it.</summary>
internal sealed class WalkedSpan
{
    public readonly byte[] Digest = new byte[32];

    public SpanKey Key { get; set; }

    /// <summary>First 8 bytes of the content digest.</summary>
    public ulong Content { get; set; }

    /// <summary>A tool call, as it is stored.</summary>
    public bool IsTool { get; set; }

    /// <summary>The sender said that it can change something; an appliance never takes that for less.</summary>
    public bool IsClaimedToAct { get; set; }

    /// <summary>What the trace index says that the ledger was told.</summary>
    public LedgerMarks Marks { get; set; }

    /// <summary>The trace index does not list it, or with other content.</summary>
    public bool IsUnlisted { get; set; }
}

/// <summary>
/// Reads one partition for an audit: every stored span once, in order of storage, with its digest and what the trace index says of it. One state of the file, no write,
/// memory for one block. What is wrong with a block is noted in <see cref="Problems"/> and the walk goes on behind it.
/// </summary>
internal sealed class PartitionWalk : IDisposable
{
    private const int MaxProblems = 8, MaxWorkspaces = 65_536;

    private readonly string path;
    private readonly byte[] log; // first bytes of its log: other ones when it was begun anew
    private readonly SqliteConnection connection;
    private readonly Statement blocks, following, listed;
    private readonly Dictionary<long, string> workspaces = [];
    private readonly SpanRecord record = new();
    private readonly WalkedSpan[] spans = new WalkedSpan[SpanBlock.MaxSpans];
    private int count, at; // spans of the current block, and how many of them were given
    private long first; // number of its first span
    private long pairs; // (trace, block) pairs that were found in the index
    private bool ended;

    /// <exception cref="SqliteException">The file cannot be read.</exception>
    /// <exception cref="StoreException">A newer Evident wrote it.</exception>
    /// <exception cref="InvalidDataException">It lists more workspaces than there can be.</exception>
    public PartitionWalk(string path)
    {
        this.path = path;
        log = LogHeader();
        connection = Sqlite.OpenUntouched(path);
        try
        {
            Empty = Partition.CheckVersion(connection, path) == 0;
            blocks = new(connection, Empty ? "SELECT 1 WHERE 0" : $"""
                SELECT id, first, received, workspace, spans, codec, plain, CASE WHEN length(data) <= {SpanBlock.MaxPlainBytes} THEN data END FROM block ORDER BY id
                """);
            following = new(connection, Empty ? "SELECT 1 WHERE 0" : "SELECT first FROM block WHERE id > ?1 ORDER BY id LIMIT 1");
            listed = new(connection, Empty ? "SELECT 1 WHERE 0" : "SELECT entries FROM trace_block WHERE trace_id = ?1 AND workspace = ?2 AND block = ?3");
            if (!Empty)
            {
                using var names = new Statement(connection, "SELECT id, name FROM workspace");
                while (names.Step())
                {
                    workspaces[names.Integer(0)] = names.Text(1) ?? "";
                    if (workspaces.Count > MaxWorkspaces)
                    {
                        throw new InvalidDataException($"partition '{path}' lists more than {MaxWorkspaces} workspaces.");
                    }
                }
            }

            for (int i = 0; i < spans.Length; i++)
            {
                spans[i] = new WalkedSpan();
            }

            FirstStored = Empty ? 0 : (long?)Sqlite.Scalar(connection, "SELECT first FROM block ORDER BY id LIMIT 1") ?? 0;
        }
        catch
        {
            blocks?.Dispose();
            connection.Dispose();
            throw;
        }
    }

    /// <summary>A crash left the file without a schema.</summary>
    public bool Empty { get; }

    public string Name => Path.GetFileNameWithoutExtension(path);

    /// <summary>Number of the first span in the file.</summary>
    public long FirstStored { get; }

    /// <summary>Number of the span that is due next.</summary>
    public long Next { get; private set; }

    /// <summary>What was found wrong since it was cleared; a bounded number of short phrases.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>Something wrong was found since it was cleared.</summary>
    public bool IsFlawed { get; private set; }

    /// <summary>Something wrong was found at any time.</summary>
    public bool WasFlawed { get; private set; }

    /// <summary>Spans that were given since it was cleared and that the index does not list as they are.</summary>
    public long Unlisted { get; private set; }

    public void Clear()
    {
        Problems.Clear();
        (IsFlawed, Unlisted) = (false, 0);
    }

    /// <summary>The next span below <paramref name="end"/>, valid until the next call; null when there is none. A hole is noted and stepped over.</summary>
    /// <exception cref="SqliteException">The file cannot be read on.</exception>
    public WalkedSpan? Read(long end)
    {
        while (Next < end)
        {
            if (at == count)
            {
                if (!Load())
                {
                    return null;
                }

                continue;
            }

            if (first + at == Next)
            {
                var span = spans[at++];
                Unlisted += span.IsUnlisted ? 1 : 0;
                Next++;
                return span;
            }

            long to = Math.Min(first + at, end);
            Flaw($"spans {Range(Next, to)} are not there");
            Next = to;
        }

        return null;
    }

    /// <summary>Goes on to that number without a word about what is on the way.</summary>
    public void SkipTo(long number)
    {
        while (Next < number && Read(number) is not null)
        {
        }

        Next = Math.Max(Next, number);
        Clear();
    }

    /// <summary>After the last span: how many pairs of trace and block the trace index lists that no block has.</summary>
    public long SurplusPairs() => Empty ? 0 : (long)Sqlite.Scalar(connection, "SELECT count(*) FROM trace_block")! - pairs;

    /// <summary>Ids of entries that this state of the partition still owes to the ledger.</summary>
    public IEnumerable<EntryDraft> Owed()
    {
        if (Empty)
        {
            yield break;
        }

        using var rows = new Statement(connection, "SELECT draft FROM outbox ORDER BY id");
        while (rows.Step())
        {
            yield return EntryDraft.Parse(rows.Blob(0).ToArray());
        }
    }

    /// <summary>Before anybody is accused: what was read must be of one state.</summary>
    /// <exception cref="IOException">The file's log was begun, ended or begun anew meanwhile.</exception>
    public void ThrowIfChanged()
    {
        if (!LogHeader().AsSpan().SequenceEqual(log))
        {
            throw new IOException("it was changed while it was read; verify again.");
        }
    }

    public void Dispose()
    {
        blocks.Dispose();
        following.Dispose();
        listed.Dispose();
        connection.Dispose();
    }

    // Takes the next block; one that does not fit leaves none. False at the end of the file.
    private bool Load()
    {
        (count, at) = (0, 0);
        if (ended || !blocks.Step())
        {
            ended = true; // another step would begin anew
            return false;
        }

        long id = blocks.Integer(0), stated = Math.Clamp(blocks.Integer(4), 0, SpanBlock.MaxSpans + 1);
        first = Math.Clamp(blocks.Integer(1), -1, LedgerFormat.MaxInteger);
        if (first < Next || (first > Next && IsAhead(id, stated)))
        {
            Flaw(string.Create(CultureInfo.InvariantCulture, $"block {id} begins with span {first} where span {Next} is due"));
            return true;
        }

        string? wrong = Take();
        if (wrong is null && count == stated)
        {
            pairs += CheckIndex(id, blocks.Integer(3));
            return true;
        }

        count = 0;
        long after = first + Math.Clamp(stated, 1, SpanBlock.MaxSpans); // what it says is all that is known
        if (first > Next)
        {
            Flaw($"spans {Range(Next, first)} are not there");
        }

        Flaw(string.Create(CultureInfo.InvariantCulture, $"block {id}, spans {Range(first, after)}, {wrong ?? "does not hold as many"}"));
        Next = after;
        return true;
    }

    // A block that begins further on than it should: spans are missing before it, unless the one after it says that this one's own number is wrong.
    private bool IsAhead(long id, long stated)
    {
        following.Bind(1, id);
        bool ahead = following.Step() && following.Integer(0) < first + stated;
        following.Reset();
        return ahead;
    }

    // Null when the block's bytes are whole; else what is wrong with them.
    private string? Take()
    {
        if (!workspaces.TryGetValue(blocks.Integer(3), out string? workspace))
        {
            return "belongs to no workspace";
        }

        long received = blocks.Integer(2);
        string? wrong = null;
        try
        {
            SpanBlock.Read(blocks.Integer(5), blocks.Integer(6), blocks.Blob(7), (ordinal, encoded) =>
            {
                wrong ??= ordinal >= SpanBlock.MaxSpans ? "holds more spans than a block can" : Fill(spans[ordinal], workspace, received, encoded);
                count = ordinal + 1;
            });
        }
        catch (InvalidDataException)
        {
            return "does not inflate to what it states";
        }

        return wrong;
    }

    private string? Fill(WalkedSpan span, string workspace, long received, ReadOnlySpan<byte> encoded)
    {
        if (!SpanRecord.TrySplit(encoded, out var core, out var seal) || core.Length < 28 || core[0] != 0x0a || core[1] != 16 || core[18] != 0x12 || core[19] != 8)
        {
            return "holds a span that is not in the encoding of version 1";
        }

        Span<byte> content = stackalloc byte[32];
        SHA256.HashData(core, content);
        var digest = ContentDigest.Read(content);
        record.Digest(workspace, received, digest, seal, span.Digest);
        span.Key = new SpanKey(TraceId.Read(core.Slice(2, 16)), SpanId.Read(core.Slice(20, 8)));
        span.Content = digest.A;
        (span.IsTool, span.IsClaimedToAct, span.IsUnlisted, span.Marks) = (false, false, false, LedgerMarks.None);
        if (SpanGlance.MayBeLedgered(encoded, out _))
        {
            try
            {
                var decoded = StoredSpan.Decode(encoded);
                span.IsTool = decoded.Kind == StepKind.Tool;
                span.IsClaimedToAct = span.IsTool && ToolRegistry.TryParse(decoded.Text(Field.SideEffectLevel), out var level) && level.IsLedgered();
            }
            catch (SpanFormatException)
            {
                return "holds a span that cannot be decoded";
            }
        }

        return null;
    }

    // Each trace of the block must stand in the index with exactly the block's spans of it. Gives the number of traces that the index has.
    private int CheckIndex(long id, long workspace)
    {
        int traces = 0;
        Span<byte> key = stackalloc byte[16];
        for (int i = 0; i < count; i++)
        {
            var trace = spans[i].Key.Trace;
            int earlier = 0;
            while (spans[earlier].Key.Trace != trace)
            {
                earlier++;
            }

            if (earlier < i)
            {
                continue;
            }

            trace.Write(key);
            listed.Bind(1, key).Bind(2, workspace).Bind(3, id);
            bool found = listed.Step();
            traces += found ? 1 : 0;
            var entries = found ? listed.Blob(0) : default;
            for (int j = i; j < count; j++)
            {
                var span = spans[j];
                if (span.Key.Trace == trace)
                {
                    bool more = entries.Length >= TraceEntry.Size;
                    var entry = more ? TraceEntry.Read(entries) : default;
                    span.IsUnlisted = !more || entry.Span != span.Key.Span || entry.Ordinal != j || entry.Digest != span.Content;
                    span.Marks = span.IsUnlisted ? LedgerMarks.None : entry.Marks;
                    entries = more ? entries[TraceEntry.Size..] : default;
                }
            }

            spans[i].IsUnlisted |= !entries.IsEmpty; // it lists more than there is
            listed.Reset();
        }

        return traces;
    }

    private byte[] LogHeader()
    {
        byte[] header = new byte[32];
        if (Sqlite.HasLog(path))
        {
            using var file = Platform.DurableFile.OpenRead(path + "-wal");
            _ = file.ReadAt(0, header);
        }

        return header;
    }

    private void Flaw(string what)
    {
        IsFlawed = WasFlawed = true;
        if (Problems.Count < MaxProblems)
        {
            Problems.Add(what);
        }
    }

    private static string Range(long from, long to) =>
        to == from + 1 ? from.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{from} to {to - 1}");
}
