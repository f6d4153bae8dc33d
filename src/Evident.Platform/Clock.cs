using System.Diagnostics;
using System.Globalization;

namespace Evident.Platform;

/// <summary>The appliance's time: the only clock that rules use.</summary>
public interface IClock
{
    /// <summary>Wall clock, milliseconds since 1970 UTC. May jump.</summary>
    long UnixMillis { get; }

    /// <summary>Milliseconds since an arbitrary start; never goes back within one boot.</summary>
    long MonotonicMillis { get; }

    /// <summary>Names the boot of the machine: 8 lower-case hex digits.</summary>
    string BootId { get; }
}

/// <summary>The machine's clocks.</summary>
public sealed class SystemClock : IClock
{
    public static SystemClock Instance { get; } = new();

    public long UnixMillis => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    public long MonotonicMillis => (long)Stopwatch.GetElapsedTime(0).TotalMilliseconds;

    public string BootId { get; } = ReadBootId();

    private static string ReadBootId()
    {
        const string file = "/proc/sys/kernel/random/boot_id";
        if (File.Exists(file))
        {
            return File.ReadAllText(file)[..8];
        }

        Span<byte> random = stackalloc byte[4]; // no boot id on this system: each process counts as a boot of its own
        Sodium.RandomBytes(random);
        return Convert.ToHexStringLower(random);
    }
}

/// <summary>RFC 3339 in UTC with a fixed number of fraction digits, so that text order is time order.</summary>
public static class Rfc3339
{
    /// <summary><c>2026-05-06T06:00:08.000Z</c></summary>
    public static string FormatMillis(long unixMillis) =>
        DateTimeOffset.FromUnixTimeMilliseconds(unixMillis).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary><c>2026-05-06T06:00:08.000000000Z</c></summary>
    public static string FormatNanos(ulong unixNanos)
    {
        var seconds = DateTime.UnixEpoch.AddSeconds(unixNanos / 1_000_000_000);
        return string.Create(
            CultureInfo.InvariantCulture, $"{seconds:yyyy-MM-dd'T'HH:mm:ss}.{unixNanos % 1_000_000_000:D9}Z");
    }

    /// <summary>Exactly the form that <see cref="FormatMillis"/> writes.</summary>
    public static bool TryParseMillis(ReadOnlySpan<char> text, out long unixMillis)
    {
        bool ok = DateTimeOffset.TryParseExact(
            text, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var parsed);
        unixMillis = ok ? parsed.ToUnixTimeMilliseconds() : 0;
        return ok;
    }

    /// <summary>Any RFC 3339 date-time, offset and fraction optional (UTC then).</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out DateTimeOffset time) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out time);
}
