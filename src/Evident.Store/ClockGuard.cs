using System.Globalization;
using System.Text;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// Whether the wall clock can be trusted to say that a day is over: a clock that is set forward must not end the payloads of years (ledger-and-vault T28). <c>DATA/clock</c> remembers both clocks;
/// within one boot the wall clock may run ahead of the monotonic clock by an hour, over a boot by 72 hours. Beyond that nothing expires until a person confirms the time, or the
/// clock is set back. Not thread safe.
/// </summary>
internal sealed class ClockGuard(string path, IClock clock)
{
    public const long WithinBootMillis = 3_600_000, AcrossBootsMillis = 72 * 3_600_000L;

    /// <summary>What the wall clock said when it was last trusted, Unix milliseconds; null before the first time.</summary>
    public long? TrustedUnixMillis => Read()?.Wall;

    /// <summary>True when the clock is plausible; it is then remembered, durably.</summary>
    public bool Check()
    {
        if (Read() is { } last)
        {
            long ahead = clock.UnixMillis - last.Wall - (last.Boot == clock.BootId ? Math.Max(0, clock.MonotonicMillis - last.Monotonic) : 0);
            if (ahead > (last.Boot == clock.BootId ? WithinBootMillis : AcrossBootsMillis))
            {
                return false;
            }
        }

        Confirm();
        return true;
    }

    /// <summary>The clock is right as it is now.</summary>
    public void Confirm() => DurableDirectory.ReplaceFile(
        path, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{clock.UnixMillis} {clock.MonotonicMillis} {clock.BootId}\n")));

    private (long Wall, long Monotonic, string Boot)? Read()
    {
        if (!File.Exists(path))
        {
            return null;
        }

        string[] words = File.ReadAllText(path).TrimEnd('\n').Split(' ');
        return words.Length == 3 && long.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out long wall)
            && long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out long monotonic)
            ? (wall, monotonic, words[2])
            : (0, 0, ""); // damaged: as if the clock had last been trusted in 1970, so that a person looks
    }
}
