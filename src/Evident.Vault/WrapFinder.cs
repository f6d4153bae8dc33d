using System.Buffers;
using System.Runtime.InteropServices;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>Finds the newest wrap of a reference: newest day first, last record first, in bulk reads. Safe beside the writer.</summary>
internal static class WrapFinder
{
    private const int RecordsPerRead = 4096;

    /// <summary>Copies the record; false when no wraps file has one. A torn last record is passed over.</summary>
    public static bool TryFind(string directory, ReadOnlySpan<byte> reference, Span<byte> record, out PackName pack)
    {
        byte[] block = ArrayPool<byte>.Shared.Rent(RecordsPerRead * WrapRecord.Bytes);
        try
        {
            foreach (PackName name in PackName.List(directory, PackName.WrapsSuffix))
            {
                using DurableFile file = DurableFile.OpenRead(name.Wraps(directory));
                if (TryFind(file, reference, block.AsSpan(0, RecordsPerRead * WrapRecord.Bytes), record))
                {
                    pack = name;
                    return true;
                }
            }

            pack = default;
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    private static bool TryFind(DurableFile file, ReadOnlySpan<byte> reference, Span<byte> block, Span<byte> record)
    {
        ReadOnlySpan<ulong> wanted = MemoryMarshal.Cast<byte, ulong>(reference);
        for (long end = file.Length / WrapRecord.Bytes * WrapRecord.Bytes; end > 0;)
        {
            int length = (int)Math.Min(block.Length, end);
            end -= length;
            Span<byte> read = block[..file.ReadAt(end, block[..length])];
            for (int at = read.Length / WrapRecord.Bytes * WrapRecord.Bytes - WrapRecord.Bytes; at >= 0; at -= WrapRecord.Bytes)
            {
                ReadOnlySpan<ulong> found = MemoryMarshal.Cast<byte, ulong>(read.Slice(at + WrapRecord.RefAt, WrapRecord.RefBytes));
                if (found[0] == wanted[0] && found[1] == wanted[1])
                {
                    read.Slice(at, WrapRecord.Bytes).CopyTo(record);
                    return true;
                }
            }
        }

        return false;
    }
}
