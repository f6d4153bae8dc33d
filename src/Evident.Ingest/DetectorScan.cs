namespace Evident.Ingest;

/// <summary>
/// One walk over a text, in two levels. The first looks at masks of 64 bytes (<see cref="BlockMasks"/>): where a long run begins, where digits begin, where <c>@ = :</c> stand. The second is the exact
/// verifiers, only there. Findings come in order and do not overlap. Work is linear in the text: every verifier looks at a bounded stretch, or at a run that is not looked at again.
/// </summary>
internal ref struct DetectorScan
{
    private const int None = int.MaxValue, AwsSecretWithin = 100;

    private readonly Redactor redactor;
    private readonly RuleIndex rules;
    private readonly ReadOnlySpan<byte> text;
    private readonly Span<int> searched; // for each searched pattern where its next match begins and ends
    private readonly int depth;

    private int block; // where the 64 bytes at hand begin
    private BlockMasks ahead; // of the 64 behind them
    private ulong runs, digits, marks; // what is left to look at in the block

    // The pending finding of the run at hand.
    private int hitStart, hitEnd, hitRule;
    private bool hitEncoded;

    private int searchedFirst; // index into searched, or -1
    private int awsUntil, stretchEnd;

    /// <param name="searched">Working memory of <see cref="SearchedInts"/> numbers.</param>
    /// <param name="depth">How many encodings this text was taken out of.</param>
    internal DetectorScan(Redactor redactor, ReadOnlySpan<byte> text, Span<int> searched, int depth)
    {
        this.redactor = redactor;
        rules = redactor.Index;
        this.text = text;
        this.searched = searched;
        this.depth = depth;
        hitStart = None;
        ahead = BlockMasks.Of(text);
        Load(0);
        for (int i = 0; i < rules.Searched.Length; i++) FindSearched(i, 0);
        ChooseSearched();
    }

    internal static int SearchedInts(RuleIndex rules) => rules.Searched.Length * 2;

    /// <summary>Where the finding stands, after <see cref="Next"/> was true.</summary>
    public int Start { get; private set; }

    public int End { get; private set; }

    public int Rule { get; private set; }

    /// <summary>The finding is base64; what a rule found is in what it stands for.</summary>
    public bool IsEncoded { get; private set; }

    public bool Next()
    {
        while (true)
        {
            int limit = block + BlockMasks.Size;
            int run = At(runs), digit = At(digits), mark = At(marks);
            int first = Math.Min(run, Math.Min(digit, mark));
            int literal = searchedFirst < 0 ? None : searched[2 * searchedFirst];
            if (hitStart <= literal && hitStart < limit && hitStart <= first) return Take(hitStart, hitEnd, hitRule, hitEncoded);
            if (literal < limit && literal <= first) return Take(literal, searched[2 * searchedFirst + 1], rules.Searched[searchedFirst].Shape.Rule, encoded: false);
            if (first == None)
            {
                if (limit >= text.Length) return false;
                Load(limit);
                continue;
            }
            bool found;
            int start, end, rule;
            if (first == run)
            {
                runs &= runs - 1;
                EnterRun(first);
                continue;
            }
            if (first == mark)
            {
                marks &= marks - 1;
                found = FindAtMark(first, out start, out end, out rule);
            }
            else
            {
                digits &= digits - 1;
                found = NumberDetectors.Find(text, first, End, rules, out start, out end, out rule);
            }
            if (found && start >= End && end > start) return Take(start, end, rule, encoded: false);
        }
    }

    private readonly int At(ulong mask) => mask == 0 ? None : block + KeyRuns.FirstBit(mask);

    private void Load(int at)
    {
        block = at;
        var here = ahead;
        ahead = at + BlockMasks.Size < text.Length ? BlockMasks.Of(text[(at + BlockMasks.Size)..]) : default;
        runs = here.RunStarts(ahead, at > 0 && KeyRuns.IsMember(text[at - 1]));
        digits = here.DigitStarts(at > 0 && Detectors.IsDigit(text[at - 1]));
        marks = here.Mark;
    }

    private bool Take(int start, int end, int rule, bool encoded)
    {
        (Start, End, Rule, IsEncoded) = (start, end, rule, encoded);
        if (rule == redactor.AwsAccessKeyRule) awsUntil = end + AwsSecretWithin;
        if (end >= block + BlockMasks.Size)
        {
            int at = end / BlockMasks.Size * BlockMasks.Size;
            ahead = BlockMasks.Of(text[at..]);
            Load(at);
        }
        ulong left = ulong.MaxValue << (end - block);
        (runs, digits, marks) = (runs & left, digits & left, marks & left);
        if (hitStart < end)
        {
            hitStart = None;
            // A run that the finding ends in goes on behind it.
            if (end < text.Length && KeyRuns.IsMember(text[end]) && KeyRuns.IsMember(text[end - 1])) FindInRun(end, end + KeyRuns.Length(text[end..]));
        }
        bool passed = false;
        for (int i = 0; i < rules.Searched.Length; i++)
        {
            if (searched[2 * i] >= end) continue;
            FindSearched(i, end);
            passed = true;
        }
        if (passed) ChooseSearched();
        return true;
    }

    private void EnterRun(int start)
    {
        int end = start + KeyRuns.Length(text[start..]);
        hitEncoded = false;
        if (rules.FindAtRun(text, start, end - start, End, out hitStart, out hitEnd, out hitRule)) return;
        if (Detectors.Scheme(text, start, End, out hitEnd, out var scheme) && rules.On[(int)scheme])
        {
            (hitStart, hitRule) = (start, (int)scheme);
            return;
        }
        if (start < awsUntil && rules.On[(int)CodeRule.AwsSecretKey] && Detectors.AwsSecret(text, start, End, out hitStart, out hitEnd))
        {
            hitRule = (int)CodeRule.AwsSecretKey;
            return;
        }
        FindInRun(start, end);
        if (hitStart != None || depth >= Redactor.MaxDepth || end - start < EncodedText.Shortest) return;
        if (EncodedText.Find(redactor, text, start, end, End, depth, ref stretchEnd, out hitStart, out hitEnd)) hitEncoded = true;
        else hitStart = None;
    }

    private void FindInRun(int from, int to)
    {
        hitEncoded = false;
        if (!rules.FindInRun(text, from, to, out hitStart, out hitEnd, out hitRule)) hitStart = None;
    }

    private readonly bool FindAtMark(int at, out int start, out int end, out int rule)
    {
        rule = (int)CodeRule.Email;
        if (text[at] == (byte)'@')
        {
            start = end = at;
            return rules.On[rule] && Detectors.Email(text, at, End, out start, out end);
        }
        if (text[at] == (byte)':' && text[at..].StartsWith("://"u8))
        {
            rule = (int)CodeRule.UrlCredentials;
            start = end = at;
            return rules.On[rule] && Detectors.UserInfo(text, at + 3, out start, out end);
        }
        bool found = Detectors.Named(text, at, End, rules, out start, out end, out var named);
        rule = (int)named;
        return found;
    }

    private readonly void FindSearched(int index, int from)
    {
        var searchedShape = rules.Searched[index];
        int offset = searchedShape.Offset;
        for (int at = from + offset; at < text.Length; at++)
        {
            int next = searchedShape.First is { } first ? text[at..].IndexOfAny(first) : text[at..].IndexOf(searchedShape.Literal);
            if (next < 0) break;
            at += next;
            int end = searchedShape.Shape.Match(text, at - offset);
            if (end < 0) continue;
            (searched[2 * index], searched[2 * index + 1]) = (at - offset, end);
            return;
        }
        searched[2 * index] = None;
    }

    private void ChooseSearched()
    {
        searchedFirst = -1;
        for (int i = 0; i < rules.Searched.Length; i++)
            if (searched[2 * i] != None && (searchedFirst < 0 || searched[2 * i] < searched[2 * searchedFirst])) searchedFirst = i;
    }
}
