using System.Globalization;

namespace Evident.Vault;

/// <summary>
/// UTC days since 1970-01-01. An expiry day is the last day on which a payload opens; it is expired from 00:00 UTC of the next one.
/// </summary>
internal static class VaultDay
{
    private const long MillisPerDay = 86_400_000;
    private const string Format = "yyyy-MM-dd";
    private static readonly int Epoch = new DateOnly(1970, 1, 1).DayNumber;

    public static int Of(long unixMillis) => checked((int)Math.Max(0, unixMillis / MillisPerDay));

    public static string Text(int day) => DateOnly.FromDayNumber(Epoch + day).ToString(Format, CultureInfo.InvariantCulture);

    public static bool TryParse(ReadOnlySpan<char> text, out int day)
    {
        bool ok = DateOnly.TryParseExact(text, Format, CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly date);
        day = ok ? date.DayNumber - Epoch : 0;
        return ok && day >= 0;
    }
}
