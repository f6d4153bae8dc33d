using System.Globalization;
using Evident.Ledger;

namespace Evident.Commands;

/// <summary>
/// One line on a terminal, written over itself: how much of the ledger is read, how many entries and how fast. Nothing is shown in the first
/// second and nothing is left of it at the end. Reports come from one thread.
/// </summary>
internal sealed class ProgressBar(TextWriter terminal, TimeProvider time) : IProgress<VerifyProgress>, IDisposable
{
    private const int Cells = 30;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1), Step = TimeSpan.FromMilliseconds(200);
    private readonly long started = time.GetTimestamp();
    private TimeSpan shown;
    private int width;

    public void Report(VerifyProgress value)
    {
        TimeSpan elapsed = time.GetElapsedTime(started);
        if (elapsed < Patience || elapsed - shown < Step)
        {
            return;
        }

        shown = elapsed;
        double part = value.TotalBytes > 0 ? Math.Min(1, (double)value.Bytes / value.TotalBytes) : 0;
        int full = (int)(part * Cells);
        string line = string.Create(
            CultureInfo.InvariantCulture,
            $"[{new string('#', full)}{new string('-', Cells - full)}] {(int)(part * 100)} %, {value.Entries} entries, {(long)(value.Entries / elapsed.TotalSeconds)}/s");
        terminal.Write('\r' + line.PadRight(width));
        width = line.Length;
    }

    public void Dispose()
    {
        if (width > 0)
        {
            terminal.Write('\r' + new string(' ', width) + '\r');
            width = 0;
        }
    }
}
