using Evident.Platform;

namespace Evident.Ledger;

/// <summary>The three calls the log makes on its active segment; tests put a failing one in place.</summary>
internal interface ISegmentFile : IDisposable
{
    void WriteAt(long offset, ReadOnlySpan<byte> bytes);

    void SyncData();

    /// <summary>Durable, then mode 0444: the segment will not change any more.</summary>
    void Seal();
}

internal sealed class DurableSegment(DurableFile file) : ISegmentFile
{
    public void WriteAt(long offset, ReadOnlySpan<byte> bytes) => file.WriteAt(offset, bytes);

    public void SyncData() => file.SyncData();

    public void Seal()
    {
        file.SetReadOnly();
        file.Sync();
    }

    public void Dispose() => file.Dispose();
}
