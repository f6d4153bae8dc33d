using System.Buffers;
using Evident.Ingest;

namespace Evident.Store;

/// <summary>Puts a group's spans into blocks and their traces into the index. Owned by the writer thread; its buffers are reused.</summary>
internal sealed class BlockWriter
{
    private const int MaxBlockBytes = 1 << 20; // then the block ends early, so that opening one trace of a fat batch stays cheap
    private readonly SpanBlock block = new();
    private readonly (TraceId Trace, TraceEntry Entry)[] entries = new (TraceId, TraceEntry)[SpanBlock.MaxSpans];
    private byte[] compressed = [];

    /// <summary>Inside the partition's transaction.</summary>
    /// <param name="unsealed">Gets the digest of every span in the order in which they are stored.</param>
    public void Write(Partition partition, Group group, UnsealedSpans unsealed)
    {
        block.Clear();
        string workspace = "";
        foreach (ref readonly var span in group.Spans)
        {
            var encoded = span.Request.Spans!.Encoded(span.Index);
            string next = span.Request.Source.Workspace;
            if (block.Count > 0 && (block.Count == SpanBlock.MaxSpans || block.Length + encoded.Length > MaxBlockBytes || next != workspace))
            {
                Flush(partition, workspace, group.Received);
            }

            workspace = next;
            ref readonly var clean = ref span.Request.Spans[span.Index];
            int ordinal = block.Add(encoded);
            entries[ordinal] = (clean.Key.Trace, new TraceEntry(clean.Key.Span, span.Digest, ordinal, span.Marks));
            unsealed.Add(workspace, group.Received, clean.Digest, encoded);
        }

        if (block.Count > 0)
        {
            Flush(partition, workspace, group.Received);
        }
    }

    private void Flush(Partition partition, string workspaceName, long received)
    {
        long workspace = partition.WorkspaceId(workspaceName);
        long id = SpanBlock.TryCompress(block.Bytes, ref compressed, out int length)
            ? partition.InsertBlock(received, workspace, block.Count, SpanBlock.Brotli1, block.Length, compressed.AsSpan(0, length))
            : partition.InsertBlock(received, workspace, block.Count, SpanBlock.Plain, block.Length, block.Bytes);

        var sorted = entries.AsSpan(0, block.Count);
        sorted.Sort(static (a, b) =>
            a.Trace.High != b.Trace.High ? a.Trace.High.CompareTo(b.Trace.High)
            : a.Trace.Low != b.Trace.Low ? a.Trace.Low.CompareTo(b.Trace.Low)
            : a.Entry.Ordinal.CompareTo(b.Entry.Ordinal));
        byte[] packed = ArrayPool<byte>.Shared.Rent(sorted.Length * TraceEntry.Size);
        for (int from = 0, to; from < sorted.Length; from = to)
        {
            for (to = from; to < sorted.Length && sorted[to].Trace == sorted[from].Trace; to++)
            {
                sorted[to].Entry.Write(packed.AsSpan((to - from) * TraceEntry.Size));
            }

            partition.InsertTrace(sorted[from].Trace, workspace, id, packed.AsSpan(0, (to - from) * TraceEntry.Size));
        }

        ArrayPool<byte>.Shared.Return(packed);
        block.Clear();
    }
}
