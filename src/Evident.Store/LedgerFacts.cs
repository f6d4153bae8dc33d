using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// What the index of the ledger keeps of one entry, read from the entry's own line. The one place that says which member of an entry is which column: the index
/// is written through it, a page of entries is checked against it, and <see cref="IndexAudit"/> compares through it. Reusable, not thread safe; spans are valid until the next read.
/// </summary>
internal sealed class LedgerFacts
{
    /// <summary>Columns that hold a word (a string of the entry) by its number in the table <c>word</c>.</summary>
    public static readonly string[] Columns =
        ["type", "workspace", "tenant", "workflow", "run", "actor_kind", "actor", "approver", "approval", "args_match", "tool", "level"];

    public const int Type = 0, Tenant = 2, Workflow = 3, Run = 4, ActorKind = 5, Actor = 6, Approver = 7, Approval = 8, ArgsMatch = 9, Tool = 10, Level = 11;

    private readonly Lj1Parser parser = new();
    private readonly int[] nodes = new int[Columns.Length]; // on the parser's tape; -1 when the entry does not have it
    private ReadOnlyMemory<byte> line;
    private int trace, span;

    public long Seq { get; private set; }

    /// <summary>The entry's <c>this_hash</c>, 32 bytes.</summary>
    public byte[] Hash { get; } = new byte[LedgerFormat.HashBytes];

    /// <summary>The appliance's clock at receipt, Unix milliseconds.</summary>
    public long Recorded { get; private set; }

    /// <summary>The ledger size that a <c>ledger.anchor</c> confirms; -1 for every other entry.</summary>
    public long Anchored { get; private set; }

    /// <summary>False when the line is no entry of version 1.</summary>
    public bool Read(LedgerLine entry)
    {
        (line, Seq, Anchored) = (entry.Json, entry.Seq, -1);
        var json = line.Span;
        Convert.FromHexString(entry.ThisHash.AsSpan(LedgerFormat.HashPrefix.Length), Hash, out _, out _);
        Span<char> recorded = stackalloc char[24];
        if (parser.Parse(json) != Lj1Error.None || !System.Text.Ascii.IsValid(json) || parser.Text(json, "recorded"u8) is not { Length: 24 } time
            || System.Text.Encoding.ASCII.GetChars(time, recorded) != 24 || !Rfc3339.TryParseMillis(recorded, out long millis))
        {
            return false;
        }

        Recorded = millis;
        int alert = parser.Find(json, 0, "alert"u8), actor = parser.Find(json, 0, "actor"u8), approval = parser.Find(json, 0, "approval"u8), action = parser.Find(json, 0, "action"u8);
        nodes[Type] = parser.Find(json, 0, "type"u8);
        nodes[1] = parser.Find(json, 0, "workspace"u8);
        nodes[Tenant] = Either(json, "tenant_id"u8, alert);
        nodes[Workflow] = Either(json, "workflow_id"u8, alert);
        nodes[Run] = Either(json, "run_id"u8, alert);
        nodes[ActorKind] = Inside(json, actor, "kind"u8);
        nodes[Actor] = Inside(json, actor, "id"u8);
        nodes[Approver] = Inside(json, approval, "approver_id"u8);
        nodes[Approval] = Inside(json, approval, "state"u8);
        nodes[ArgsMatch] = Inside(json, approval, "args_match"u8);
        nodes[Tool] = Inside(json, action >= 0 ? action : alert, "tool_name"u8);
        nodes[Level] = Inside(json, action, "side_effect_level"u8);
        trace = parser.Find(json, 0, "trace_id"u8);
        span = parser.Find(json, 0, "span_id"u8);
        int head = Inside(json, Inside(json, parser.Find(json, 0, "anchor"u8), "head"u8), "size"u8);
        if (head >= 0)
        {
            Anchored = parser.Nodes[head].Integer;
        }

        return nodes[Type] >= 0;
    }

    /// <summary>The word of a column; empty when the entry does not have it.</summary>
    public ReadOnlySpan<byte> this[int column]
    {
        get
        {
            int at = nodes[column];
            return at < 0 ? default : parser.Nodes[at].Kind switch
            {
                Lj1Kind.True => "true"u8,
                Lj1Kind.False => "false"u8,
                _ => line.Span.Slice(parser.Nodes[at].Start, parser.Nodes[at].Length),
            };
        }
    }

    /// <summary>16 bytes, or none.</summary>
    public bool TraceId(Span<byte> id) => Hex(trace, id);

    /// <summary>8 bytes, or none.</summary>
    public bool SpanId(Span<byte> id) => Hex(span, id);

    /// <summary>A text of the entry that is no column, such as the state of a heartbeat: a member inside a top-level object.</summary>
    public string? Text(ReadOnlySpan<byte> parent, ReadOnlySpan<byte> member)
    {
        int at = Inside(line.Span, parser.Find(line.Span, 0, parent), member);
        return at < 0 || parser.Nodes[at].Kind != Lj1Kind.String ? null : System.Text.Encoding.ASCII.GetString(line.Span.Slice(parser.Nodes[at].Start, parser.Nodes[at].Length));
    }

    /// <summary>An integer in the same place; -1 when it is not there.</summary>
    public long Number(ReadOnlySpan<byte> parent, ReadOnlySpan<byte> member)
    {
        int at = Inside(line.Span, parser.Find(line.Span, 0, parent), member);
        return at < 0 || parser.Nodes[at].Kind != Lj1Kind.Integer ? -1 : parser.Nodes[at].Integer;
    }

    private bool Hex(int at, Span<byte> id) => at >= 0 && parser.Nodes[at].Length == id.Length * 2
        && Convert.FromHexString(System.Text.Encoding.ASCII.GetString(line.Span.Slice(parser.Nodes[at].Start, parser.Nodes[at].Length)), id, out _, out _) == System.Buffers.OperationStatus.Done;

    private int Inside(ReadOnlySpan<byte> json, int parent, ReadOnlySpan<byte> member) =>
        parent < 0 || parser.Nodes[parent].Kind != Lj1Kind.Object ? -1 : parser.Find(json, parent, member);

    private int Either(ReadOnlySpan<byte> json, ReadOnlySpan<byte> member, int parent) =>
        parser.Find(json, 0, member) is >= 0 and var own ? own : Inside(json, parent, member);
}
