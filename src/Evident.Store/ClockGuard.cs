using System.Globalization;
using System.Text;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// Whether the wall clock can be trusted to say that a day is over: a clock that is set forward must not end the payloads of years (ledger-and-vault T28). <c>DATA/clock</c> remembers both clocks;
/// within one boot the wall clock may run ahead of the monotonic clock by an hour in all, over a boot by 72 hours. Beyond that nothing expires until a person confirms the time, or the
/// clock is set back. Not thread safe.
/// </summary>
/// <param name="lastKnown">What the wall clock said when the ledger last heard of the appliance, Unix milliseconds: it counts where the file is missing; null for a new ledger.</param>
internal sealed class ClockGuard(string path, IClock clock, long? lastKnown)
{
    public const long WithinBootMillis = 3_600_000, AcrossBootsMillis = 72 * 3_600_000L;

    /// <summary>Both clocks when the wall clock was last trusted, and when it was first trusted in that boot: steps within a boot add up.</summary>
    private readonly record struct Trusted(long Wall, long Monotonic, string Boot, long FirstWall, long FirstMonotonic);

    /// <summary>What the wall clock said when it was last trusted, Unix milliseconds; null before the first time.</summary>
    public long? TrustedUnixMillis => Read()?.Wall;

    /// <summary>True when the clock is plausible; it is then remembered, durably.</summary>
    public bool Check()
    {
        if (Read() is not { } last)
        {
            Confirm();
            return true;
        }

        bool sameBoot = last.Boot == clock.BootId;
        long ahead = sameBoot
            ? clock.UnixMillis - last.FirstWall - Math.Max(0, clock.MonotonicMillis - last.FirstMonotonic)
            : clock.UnixMillis - last.Wall;
        if (ahead > (sameBoot ? WithinBootMillis : AcrossBootsMillis))
        {
            return false;
        }

        Write(sameBoot ? last.FirstWall : clock.UnixMillis, sameBoot ? last.FirstMonotonic : clock.MonotonicMillis);
        return true;
    }

    /// <summary>The clock is right as it is now.</summary>
    public void Confirm() => Write(clock.UnixMillis, clock.MonotonicMillis);

    private void Write(long firstWall, long firstMonotonic) => DurableDirectory.ReplaceFile(
        path, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{clock.UnixMillis} {clock.MonotonicMillis} {clock.BootId} {firstWall} {firstMonotonic}\n")));

    private Trusted? Read()
    {
        if (!File.Exists(path))
        {
            return lastKnown is { } known ? new Trusted(known, 0, "", known, 0) : null;
        }

        string[] words = File.ReadAllText(path).TrimEnd('\n').Split(' ');
        return words.Length is 3 or 5 && TryNumber(words[0], out long wall) && TryNumber(words[1], out long monotonic)
            && TryNumber(words[words.Length == 3 ? 0 : 3], out long firstWall) && TryNumber(words[words.Length == 3 ? 1 : 4], out long firstMonotonic)
            ? new Trusted(wall, monotonic, words[2], firstWall, firstMonotonic)
            : new Trusted(0, 0, "", 0, 0); // damaged: as if the clock had last been trusted in 1970, so that a person looks
    }

    private static bool TryNumber(string text, out long number) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
