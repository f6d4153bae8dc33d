namespace Evident.Vault;

/// <summary>
/// One data class (short, long or debug) and expiry day: <c>&lt;class&gt;-&lt;yyyy-mm-dd&gt;.pack</c> with its <c>.wraps</c>. Nothing a sender says is in it.
/// </summary>
internal readonly record struct PackName(bool Long, int Day, bool Debug = false)
{
    public const string PackSuffix = ".pack", WrapsSuffix = ".wraps";
    private const string ShortPrefix = "short-", LongPrefix = "long-", DebugPrefix = "debug-";

    public string Pack(string directory) => Path.Combine(directory, this + PackSuffix);

    public string Wraps(string directory) => Path.Combine(directory, this + WrapsSuffix);

    public override string ToString() => Prefix + VaultDay.Text(Day);

    private string Prefix => Debug ? DebugPrefix : Long ? LongPrefix : ShortPrefix;

    /// <summary>Names that <see cref="ToString"/> gave.</summary>
    public static List<PackName> Of(IEnumerable<string> texts)
    {
        var names = new List<PackName>();
        foreach (string text in texts)
        {
            var kind = new PackName(text.StartsWith(LongPrefix, StringComparison.Ordinal), 0, text.StartsWith(DebugPrefix, StringComparison.Ordinal));
            if (!VaultDay.TryParse(text.AsSpan(kind.Prefix.Length), out int day))
            {
                throw new ArgumentException($"'{text}' is no pack.", nameof(texts));
            }

            names.Add(kind with { Day = day });
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
            bool isLong = stem.StartsWith(LongPrefix, StringComparison.Ordinal), isDebug = stem.StartsWith(DebugPrefix, StringComparison.Ordinal);
            string prefix = new PackName(isLong, 0, isDebug).Prefix;
            if (stem.StartsWith(prefix, StringComparison.Ordinal) && VaultDay.TryParse(stem[prefix.Length..], out int day))
            {
                names.Add(new PackName(isLong, day, isDebug));
            }
        }

        names.Sort(static (a, b) => b.Day != a.Day ? b.Day.CompareTo(a.Day) : b.Long.CompareTo(a.Long));
        return names;
    }
}
