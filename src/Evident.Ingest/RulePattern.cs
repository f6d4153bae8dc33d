using System.Buffers;
using System.Globalization;
using System.Text;

namespace Evident.Ingest;

/// <summary>
/// One shape of a secret, in a small language that is linear by construction (docs/redaction.md): literal bytes; classes <c>[A-Za-z0-9_-]</c>, <c>\d</c>, <c>\w</c>; <c>{n}</c>,
/// <c>{n,m}</c> and <c>{n,}</c> after a class; <c>(one|two)</c> between literals; <c>\b</c> at the beginning or the end, where no letter or digit may stand on the other side. An item takes
/// as much as it can and gives nothing back. ASCII only. Immutable.
/// </summary>
internal sealed class RulePattern
{
    internal const int MaxText = 512, MaxItems = 24, MaxCount = 4_096, MaxForms = 64;

    // A literal has no class.
    private sealed record Item(byte[] Literal, byte[] Members, SearchValues<byte>? Class, int Least, int Most)
    {
        public int Shortest => Class is null ? Literal.Length : Least;
    }

    private readonly Item[] items;
    private readonly bool boundBefore, boundAfter;

    private RulePattern(Item[] items, bool boundBefore, bool boundAfter) => (this.items, this.boundBefore, this.boundAfter) = (items, boundBefore, boundAfter);

    /// <summary>The literal that every match begins with; empty when it begins with a class.</summary>
    internal ReadOnlySpan<byte> Head => items[0].Literal;

    /// <summary>The first literal that stands at one certain place of every match, and that place; empty when there is none.</summary>
    internal ReadOnlySpan<byte> Fixed(out int offset)
    {
        offset = 0;
        foreach (var item in items)
        {
            if (item.Class is null) return item.Literal;
            if (item.Least != item.Most) break;
            offset += item.Least;
        }
        return default;
    }

    /// <summary>The bytes that a match can begin with, where it begins with a class.</summary>
    internal byte[] FirstBytes => items[0].Members;

    /// <summary>How many bytes of its first class a match has at least.</summary>
    internal int FirstLeast => items[0].Least;

    internal bool BoundBefore => boundBefore;

    /// <summary>
    /// How many of a match's bytes from <paramref name="from"/> on are certain to be letters, digits, <c>_</c> or <c>-</c> without a gap.
    /// </summary>
    internal int CertainRun(int from)
    {
        int at = 0, run = 0;
        foreach (var item in items)
        {
            if (item.Class is null)
            {
                foreach (byte c in item.Literal)
                {
                    if (at++ < from) continue;
                    if (!KeyRuns.IsMember(c)) return run;
                    run++;
                }
                continue;
            }
            foreach (byte c in item.Members)
                if (!KeyRuns.IsMember(c)) return run;
            run += item.Least;
            at += item.Least;
            if (item.Least != item.Most) return run; // what follows stands at no certain place, but is not needed either
        }
        return run;
    }

    /// <summary>Where the match that begins at <paramref name="at"/> ends, or -1. Looks at no more bytes than the match has, and at most <see cref="MaxCount"/> per item.</summary>
    internal int Match(ReadOnlySpan<byte> text, int at)
    {
        if (boundBefore && at > 0 && Detectors.IsAlnum(text[at - 1])) return -1;
        int end = at;
        foreach (var item in items)
        {
            var rest = text[end..];
            if (item.Class is null)
            {
                if (!rest.StartsWith(item.Literal)) return -1;
                end += item.Literal.Length;
                continue;
            }
            int most = Math.Min(rest.Length, item.Most == 0 ? MaxCount : item.Most);
            int run = rest[..most].IndexOfAnyExcept(item.Class);
            if (run < 0) run = most;
            if (run < item.Least) return -1;
            end += run;
        }
        if (items[^1] is { Class: { } open, Most: 0 })
        {
            // The rest of a run that is longer than any key belongs to it all the same.
            int more = text[end..].IndexOfAnyExcept(open);
            end = more < 0 ? text.Length : end + more;
        }
        return boundAfter && end < text.Length && Detectors.IsAlnum(text[end]) ? -1 : end;
    }

    /// <summary>The forms of a pattern: one per combination of its alternatives.</summary>
    /// <param name="problem">What is wrong, as the end of a sentence, when the result is null.</param>
    internal static IReadOnlyList<RulePattern>? Parse(string pattern, out string problem)
    {
        problem = "";
        var reader = new Reader(pattern);
        var forms = reader.Read(out bool before, out bool after, out problem);
        return forms is null ? null : [.. forms.Select(items => new RulePattern([.. Merged(items)], before, after))];
    }

    private static IEnumerable<Item> Merged(List<Item> items)
    {
        var literal = new List<byte>();
        foreach (var item in items)
        {
            if (item.Class is null)
            {
                literal.AddRange(item.Literal);
                continue;
            }
            if (literal.Count > 0) yield return new Item([.. literal], [], null, 1, 1);
            literal.Clear();
            yield return item;
        }
        if (literal.Count > 0) yield return new Item([.. literal], [], null, 1, 1);
    }

    private sealed class Reader(string pattern)
    {
        private int at;

        internal List<List<Item>>? Read(out bool before, out bool after, out string problem)
        {
            before = after = false;
            problem = "";
            if (pattern.Length is 0 or > MaxText || pattern.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            {
                problem = $"is not 1 to {MaxText} printable ASCII characters";
                return null;
            }
            if (pattern.StartsWith(@"\b", StringComparison.Ordinal))
            {
                before = true;
                at = 2;
            }
            List<List<Item>> forms = [[]];
            while (at < pattern.Length)
            {
                if (pattern.AsSpan(at).SequenceEqual(@"\b"))
                {
                    after = true;
                    break;
                }
                if (pattern[at] == '(')
                {
                    int close = pattern.IndexOf(')', at);
                    if (close < 0) return Fail("has a ( without )", out problem);
                    string[] words = pattern[(at + 1)..close].Split('|');
                    at = close + 1;
                    var grown = new List<List<Item>>();
                    foreach (string word in words)
                    {
                        if (word.Length == 0 || word.AsSpan().ContainsAny(@"()[]{}\.*+?^$")) return Fail("has an alternative that is no plain text", out problem);
                        foreach (var form in forms) grown.Add([.. form, new Item(Encoding.ASCII.GetBytes(word), [], null, 1, 1)]);
                    }
                    if (grown.Count > MaxForms) return Fail($"has more than {MaxForms} combinations of its alternatives", out problem);
                    forms = grown;
                    continue;
                }
                if (Single(out problem) is not { } item) return null;
                foreach (var form in forms) form.Add(item);
                if (forms[0].Count > MaxItems * 8) return Fail("is too long", out problem);
            }
            if (forms.Any(form => Merged(form).Count() is 0 or > MaxItems)) return Fail($"has no item, or more than {MaxItems}", out problem);
            if (forms.Any(form => form.Sum(i => i.Shortest) < 4)) return Fail("can match fewer than 4 characters", out problem);
            if (forms.Any(form => Merged(form).First() is { Class: not null, Least: 0 })) return Fail("begins with something that may be missing", out problem);
            return forms;
        }

        private static List<List<Item>>? Fail(string what, out string problem)
        {
            problem = what;
            return null;
        }

        private Item? Single(out string problem)
        {
            problem = "";
            char c = pattern[at++];
            List<byte>? members = null;
            switch (c)
            {
                case '[':
                    members = Members();
                    if (members is null)
                    {
                        problem = "has a class [ ] that is empty, not closed, or has a range from high to low";
                        return null;
                    }
                    break;
                case '\\' when at < pattern.Length:
                    c = pattern[at++];
                    if (c == 'd') members = Range('0', '9');
                    else if (c == 'w') members = [.. Range('A', 'Z'), .. Range('a', 'z'), .. Range('0', '9'), (byte)'_'];
                    else if (char.IsAsciiLetterOrDigit(c))
                    {
                        problem = $@"has \{c}, which means nothing here";
                        return null;
                    }
                    break;
                case '\\' or ')' or ']' or '{' or '}' or '*' or '+' or '?' or '.' or '^' or '$' or '|':
                    problem = $@"has {c} where it means nothing; the character itself is written \{c}";
                    return null;
            }
            if (members is null) return new Item([(byte)c], [], null, 1, 1);
            byte[] distinct = Distinct(members);
            int least = 1, most = 1;
            if (at < pattern.Length && pattern[at] == '{' && !Counts(out least, out most))
            {
                problem = $"has a count that is not {{n}}, {{n,m}} or {{n,}} with numbers up to {MaxCount}";
                return null;
            }
            return new Item([], distinct, SearchValues.Create(distinct), least, most);
        }

        private static byte[] Distinct(List<byte> members)
        {
            var distinct = new List<byte>();
            for (int c = 0; c < 128; c++)
                if (members.Contains((byte)c)) distinct.Add((byte)c);
            return [.. distinct];
        }

        private List<byte>? Members()
        {
            var members = new List<byte>();
            while (at < pattern.Length && pattern[at] != ']')
            {
                char from = Escaped();
                if (at + 1 < pattern.Length && pattern[at] == '-' && pattern[at + 1] != ']')
                {
                    at++;
                    char to = Escaped();
                    if (to < from) return null;
                    members.AddRange(Range(from, to));
                }
                else
                {
                    members.Add((byte)from);
                }
            }
            if (at++ >= pattern.Length) return null;
            return members.Count == 0 ? null : members;
        }

        private char Escaped()
        {
            if (pattern[at] == '\\' && at + 1 < pattern.Length) at++;
            return pattern[at++];
        }

        private static List<byte> Range(char from, char to)
        {
            var range = new List<byte>();
            for (int c = from; c <= to; c++) range.Add((byte)c);
            return range;
        }

        // Most = 0: as many as there are.
        private bool Counts(out int least, out int most)
        {
            least = most = 0;
            int close = pattern.IndexOf('}', at);
            if (close < 0) return false;
            string[] numbers = pattern[(at + 1)..close].Split(',');
            at = close + 1;
            if (numbers.Length > 2 || !Number(numbers[0], out least)) return false;
            if (numbers.Length == 1) most = least;
            else if (numbers[1].Length > 0 && (!Number(numbers[1], out most) || most == 0)) return false;
            return most == 0 ? numbers.Length == 2 : most >= least;
        }

        private static bool Number(string text, out int number) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= MaxCount;
    }
}
