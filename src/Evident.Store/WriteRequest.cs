using Evident.Ingest;
using Evident.Ledger;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// What one caller asked the writer to make durable. From the moment it is queued it belongs to the writer, which completes
/// <see cref="Receipt"/> exactly once and then gives the memory back; a caller that leaves changes nothing.
/// </summary>
internal sealed class WriteRequest : IDisposable
{
    public required IngestSource Source { get; init; }

    /// <summary>Null when only <see cref="Drafts"/> are to be written.</summary>
    public CleanBatch? Spans { get; init; }

    public SealedBatch? Sealed { get; init; }

    /// <summary>References of <see cref="Sealed"/>'s records, in their order.</summary>
    public PayloadReferences References { get; init; }

    /// <summary>The spans that may concern the ledger, by index, decoded on the caller's thread.</summary>
    public IReadOnlyDictionary<int, StoredSpan> Decoded { get; init; } = new Dictionary<int, StoredSpan>();

    /// <summary>What the roots of this request say about traces that have a span in <see cref="Decoded"/>.</summary>
    public IReadOnlyDictionary<TraceId, TraceContext> Contexts { get; init; } = new Dictionary<TraceId, TraceContext>();

    /// <summary>Entries that stand on their own, such as a vault read.</summary>
    public IReadOnlyList<EntryDraft> Drafts { get; init; } = [];

    /// <summary>Called by the writer once the request's entries are durable, before the receipt.</summary>
    public Action<LedgerLog>? WhenDurable { get; init; }

    /// <summary>The head that the request's entries are part of is published before the receipt.</summary>
    public bool Publishes { get; init; }

    public required long Bytes { get; init; }

    public TaskCompletionSource<IngestReceipt> Receipt { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Count => Spans?.Count ?? 0;

    public void Dispose()
    {
        Spans?.Dispose();
        Sealed?.Dispose();
    }
}

/// <summary>References in order, 29 ASCII bytes each.</summary>
internal readonly record struct PayloadReferences(byte[]? Ascii, int Count)
{
    public const int Length = SealedBatch.RefLength;

    public string this[int index] => System.Text.Encoding.ASCII.GetString(Ascii.AsSpan(index * Length, Length));
}

/// <summary>What many senders say only on a trace's root and the ledger wants to know of every act in it.</summary>
internal sealed record TraceContext(string? RunId, string? SessionId, string? WorkflowId)
{
    public static TraceContext Of(StoredSpan span) => new(span.Text(Field.RunId), span.Text(Field.SessionId), span.Text(Field.WorkflowId));

    public TraceContext Or(TraceContext? other) => new(RunId ?? other?.RunId, SessionId ?? other?.SessionId, WorkflowId ?? other?.WorkflowId);
}
