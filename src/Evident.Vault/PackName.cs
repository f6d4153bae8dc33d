namespace Evident.Vault;

/// <summary>
/// One data class and expiry day: <c>&lt;class&gt;-&lt;yyyy-mm-dd&gt;.pack</c> with its <c>.wraps</c>. Nothing a sender says is in it.
/// </summary>
internal readonly record struct PackName(bool Long, int Day)
{
    public const string PackSuffix = ".pack", WrapsSuffix = ".wraps";
    private const string ShortPrefix = "short-", LongPrefix = "long-";

    public string Pack(string directory) => Path.Combine(directory, this + PackSuffix);

    public string Wraps(string directory) => Path.Combine(directory, this + WrapsSuffix);

    public override string ToString() => (Long ? LongPrefix : ShortPrefix) + VaultDay.Text(Day);

    /// <summary>Names that <see cref="ToString"/> gave.</summary>
    public static List<PackName> Of(IEnumerable<string> texts)
    {
        var names = new List<PackName>();
        foreach (string text in texts)
        {
            bool isLong = text.StartsWith(LongPrefix, StringComparison.Ordinal);
            if (!VaultDay.TryParse(text.AsSpan((isLong ? LongPrefix : ShortPrefix).Length), out int day))
            {
                throw new ArgumentException($"'{text}' is no pack.", nameof(texts));
            }

            names.Add(new PackName(isLong, day));
        }

        return names;
    }

    /// <summary>Every name with the suffix in a directory, the newest day first; foreign files are passed over.</summary>
    public static List<PackName> List(string directory, string suffix)
    {
        var names = new List<PackName>();
        foreach (string path in Directory.EnumerateFiles(directory, "*" + suffix))
        {
            ReadOnlySpan<char> stem = Path.GetFileName(path.AsSpan())[..^suffix.Length];
            bool isLong = stem.StartsWith(LongPrefix, StringComparison.Ordinal);
            if ((isLong || stem.StartsWith(ShortPrefix, StringComparison.Ordinal))
                && VaultDay.TryParse(stem[(isLong ? LongPrefix : ShortPrefix).Length..], out int day))
            {
                names.Add(new PackName(isLong, day));
            }
        }

        names.Sort(static (a, b) => b.Day != a.Day ? b.Day.CompareTo(a.Day) : b.Long.CompareTo(a.Long));
        return names;
    }
}
