using System.Buffers;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// Finds the bytes of packs that no wrap leads to. First wraps stand in pack order, so orphans are the gaps between them. Remembers how
/// far it came: each wrap is read once, however often somebody asks. Not thread safe.
/// </summary>
internal sealed class OrphanCount(string directory)
{
    private const int RecordsPerRead = 1024;

    private readonly Dictionary<PackName, Seen> seen = [];

    /// <param name="durableLength">How long the pack is without what is being appended at the moment; null: its own length.</param>
    public (long Bodies, long Bytes, long Wraps, long PackBytes) Count(PackName name, long? durableLength)
    {
        Seen state = seen.GetValueOrDefault(name);
        using DurableFile pack = DurableFile.OpenRead(name.Pack(directory));
        long packLength = Math.Min(pack.Length, durableLength ?? long.MaxValue);
        if (File.Exists(name.Wraps(directory)))
        {
            using DurableFile wraps = DurableFile.OpenRead(name.Wraps(directory));
            ReadOn(wraps, pack, packLength, ref state);
        }

        seen[name] = state;
        PackWalk.Orphans(pack, state.PackEnd, packLength, out long tail);
        return (state.Bodies + tail, state.Bytes + Math.Max(0, packLength - state.PackEnd), state.WrapsRead / WrapRecord.Bytes, packLength);
    }

    private static void ReadOn(DurableFile wraps, DurableFile pack, long packLength, ref Seen state)
    {
        byte[] block = ArrayPool<byte>.Shared.Rent(RecordsPerRead * WrapRecord.Bytes);
        try
        {
            while (true)
            {
                int read = wraps.ReadAt(state.WrapsRead, block.AsSpan(0, RecordsPerRead * WrapRecord.Bytes)) / WrapRecord.Bytes * WrapRecord.Bytes;
                for (int at = 0; at < read; at += WrapRecord.Bytes)
                {
                    var record = new WrapRecord(block.AsSpan(at, WrapRecord.Bytes));
                    if (record.Kind == WrapKind.First && record.IsWhole && record.PackOffset >= state.PackEnd)
                    {
                        if (record.PackEnd > packLength)
                        {
                            return; // newer than the length we go by: next time
                        }

                        PackWalk.Orphans(pack, state.PackEnd, record.PackOffset, out long bodies);
                        state.Bodies += bodies;
                        state.Bytes += record.PackOffset - state.PackEnd;
                        state.PackEnd = record.PackEnd;
                    }

                    state.WrapsRead += WrapRecord.Bytes;
                }

                if (read == 0)
                {
                    return;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    private record struct Seen(long WrapsRead, long PackEnd, long Bodies, long Bytes);
}
