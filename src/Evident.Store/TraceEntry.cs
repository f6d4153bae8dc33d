using System.Buffers.Binary;
using Evident.Ingest;

namespace Evident.Store;

/// <summary>Which ledger entries a stored span gave rise to; the bits are stored.</summary>
[Flags]
internal enum LedgerMarks : ushort
{
    None = 0, ToolCall = 1, ApprovalRequest = 2, ApprovalDecision = 4, ApprovalExecution = 8, PolicyDecision = 16, SpanRevised = 32,
}

/// <summary>
/// One span in the trace index: 20 bytes, little-endian but for the id: span id (8, as sent), first 8 bytes of the content digest, ordinal in
/// the block (2), ledger marks (2). What dedup needs to know about a span without opening its block.
/// </summary>
internal readonly record struct TraceEntry(SpanId Span, ulong Digest, int Ordinal, LedgerMarks Marks)
{
    public const int Size = 20;

    public void Write(Span<byte> into)
    {
        Span.Write(into);
        BinaryPrimitives.WriteUInt64LittleEndian(into[8..], Digest);
        BinaryPrimitives.WriteUInt16LittleEndian(into[16..], (ushort)Ordinal);
        BinaryPrimitives.WriteUInt16LittleEndian(into[18..], (ushort)Marks);
    }

    public static TraceEntry Read(ReadOnlySpan<byte> from) => new(
        SpanId.Read(from[..8]), BinaryPrimitives.ReadUInt64LittleEndian(from[8..]), BinaryPrimitives.ReadUInt16LittleEndian(from[16..]),
        (LedgerMarks)BinaryPrimitives.ReadUInt16LittleEndian(from[18..]));
}
