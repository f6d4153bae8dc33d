using System.Globalization;
using System.Text;
using Evident.Ledger;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Ledger;

/// <summary>C2SP tlog-policy: every construct, every refusal, and the quorum against a plain recursive reading of the specification.</summary>
public class TlogPolicyTests
{
    private static readonly string[] Keys = [.. Enumerable.Range(0, 140).Select(i =>
    {
        using var key = Cosigner($"w{i}.example", i + 1);
        return key.Public.ToVerifierKey();
    })];

    private static readonly string Log = $"log {LogVkey}\n";

    private static TlogPolicy Read(string text)
    {
        Assert.True(TlogPolicy.TryParse(Encoding.Latin1.GetBytes(text), out var policy, out string failure), failure);
        return policy;
    }

    private static string Refusal(string text) => Refusal(Encoding.Latin1.GetBytes(text));

    private static string Refusal(byte[] text)
    {
        Assert.False(TlogPolicy.TryParse(text, out _, out string failure));
        Assert.NotEmpty(failure);
        return failure;
    }

    private static long[] Times(TlogPolicy policy, params int[] witnesses)
    {
        long[] times = policy.NoCosignatures();
        foreach (int witness in witnesses)
        {
            times[witness] = 1_700_000_000;
        }

        return times;
    }

    [Fact]
    public void The_example_of_the_specification()
    {
        var policy = Read(
            Log + "\n"
            + $"witness X1 {Keys[0]}\nwitness X2 {Keys[1]}\nwitness X3 {Keys[2]}\ngroup X-witnesses 2 X1 X2 X3\n\n"
            + $"witness Y1 {Keys[3]}\nwitness Y2 {Keys[4]}\nwitness Y3 {Keys[5]}\ngroup Y-witnesses any Y1 Y2 Y3\n\n"
            + "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n");
        Assert.Equal(6, policy.Witnesses.Count);
        Assert.Equal(LogVkey, Assert.Single(policy.Logs).ToVerifierKey());
        Assert.True(policy.HasQuorum);
        Assert.True(policy.IsSatisfiedBy(Times(policy, 0, 2, 4)));
        Assert.True(policy.IsSatisfiedBy(Times(policy, 0, 1, 2, 3, 4, 5)));
        Assert.False(policy.IsSatisfiedBy(Times(policy, 0, 1, 2)));
        Assert.False(policy.IsSatisfiedBy(Times(policy, 0, 3, 4, 5)));
        Assert.False(policy.IsSatisfiedBy(Times(policy)));
    }

    [Fact]
    public void White_space_comments_urls_and_octets_are_as_the_specification_allows()
    {
        var policy = Read(
            "# comment \xFF\n  \t\n\t# indented comment\n"
            + $" \tlog\t{LogVkey}  https://log.example/\xE2\x84\xAA \t\n"
            + $"witness K {Keys[0]} https://witness.example/\nwitness \xE2\x84\xAA {Keys[1]}\n"
            + "quorum \xE2\x84\xAA\n# the end\n");
        Assert.Equal(["K", "\xE2\x84\xAA"], policy.Witnesses.Select(w => w.Name));
        Assert.True(policy.IsSatisfiedBy(Times(policy, 1)));
        Assert.False(policy.IsSatisfiedBy(Times(policy, 0)));
        Assert.False(Read(Log + "quorum none\n").HasQuorum);
        Assert.False(Read(Log + "quorum none\n").IsSatisfiedBy([]));
        Assert.False(Read(Log + $"witness w {Keys[0]}\nquorum none\n").HasQuorum);
    }

    [Fact]
    public void What_is_not_a_policy_is_refused_with_its_line()
    {
        string w = $"witness a {Keys[0]}\nwitness b {Keys[1]}\n", end = "quorum none\n";
        var table = new (string Text, string Why)[]
        {
            ("", "no 'quorum' line"),
            (Log, "no 'quorum' line"),
            (end, "no 'log' line"),
            (Log + "quorum none", "does not end in a line feed"),
            (Log + end + end, "second 'quorum'"),
            (Log + "quorum\n", "is not 'quorum"),
            (Log + "quorum none none\n", "is not 'quorum"),
            (Log + "quorum a\n" + w, "no line above defines"),
            (Log + "logs\n" + end, "begins with none of"),
            (Log.Replace("\n", "\r\n", StringComparison.Ordinal) + end, "0x0D"),
            (Log + "# \0\n" + end, "0x00"),
            (Log + "# \x7F\n" + end, "0x7F"),
            (Log + "# \x1B[31m\n" + end, "0x1B"),
            ("log\n" + end, "is not 'log"),
            (Log.TrimEnd('\n') + " url more\n" + end, "is not 'log"),
            ($"log {Keys[0]}\n" + end, "has a witness's key"),
            ("log x\n" + end, "no verifier key of a log"),
            (Log.Replace("7a864099", "7a864098", StringComparison.Ordinal) + end, "no verifier key of a log"),
            (Log + Log + end, "an earlier line names"),
            (Log + "witness a\n" + end, "is not 'witness"),
            (Log + w.Split('\n')[0] + " url more\n" + end, "is not 'witness"),
            (Log + $"witness a {LogVkey}\n" + end, "has a log's key"),
            (Log + "witness a x\n" + end, "no verifier key of a witness"),
            (Log + w + w.Split('\n')[0].Replace("witness a", "witness c", StringComparison.Ordinal) + "\n" + end, "one key is one witness"),
            (Log + w + $"witness a {Keys[2]}\n" + end, "defines 'a' again"),
            (Log + $"witness none {Keys[2]}\n" + end, "is no name to give"),
            (Log + w + "group none any a\n" + end, "is no name to give"),
            (Log + w + "group a any b\n" + end, "defines 'a' again"),
            (Log + w + "group g any\n" + end, "is not 'group"),
            (Log + w + "group g any c\n" + end, "no line above defines"),
            (Log + w + "group g any g\n" + end, "no line above defines"),
            (Log + w + "group g any none\n" + end, "no line above defines"),
            (Log + "group g any a\n" + w + end, "no line above defines"),
            (Log + w + "group g 1 a a\n" + end, "is a member already"),
            (Log + w + "group g any a\ngroup h any a b\n" + end, "is a member already"),
            (Log + w + "group g 0 a b\n" + end, "from 1 to 2"),
            (Log + w + "group g 3 a b\n" + end, "from 1 to 2"),
            (Log + w + "group g 01 a b\n" + end, "from 1 to 2"),
            (Log + w + "group g +1 a b\n" + end, "from 1 to 2"),
            (Log + w + "group g 99999999999999999999 a b\n" + end, "from 1 to 2"),
            (Log + w + "group g ALL a b\n" + end, "from 1 to 2"),
            (Log + new string('#', TlogPolicy.MaxBytes) + "\n" + end, "longer than"),
        };
        foreach (var (text, why) in table)
        {
            Assert.Contains(why, Refusal(text), StringComparison.Ordinal);
        }

        Assert.StartsWith("line 3 ", Refusal(Log + w.Split('\n')[0] + "\nnonsense\n"), StringComparison.Ordinal);
        Assert.DoesNotContain(Refusal(Log + "quorum \xC2\x9B31m\n"), char.IsControl); // nothing in the sentence moves a terminal
    }

    /// <summary>The same key under another name or key id is a duplicate; so are two keys that nobody could tell apart on a signature line.</summary>
    [Fact]
    public void One_key_is_one_witness()
    {
        using var renamed = Cosigner("other.example", 1);
        Assert.Contains("one key is one witness", Refusal(Log + $"witness a {Keys[0]}\nwitness b {renamed.Public.ToVerifierKey()}\nquorum none\n"), StringComparison.Ordinal);
        using var log = Signer("other.example/log", 0);
        Assert.Contains("an earlier line names", Refusal(Log + $"log {log.Public.ToVerifierKey()}\nquorum none\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void Up_to_128_of_a_kind_are_taken()
    {
        string Witnesses(int count) => string.Concat(Enumerable.Range(0, count).Select(i => $"witness w{i} {Keys[i]}\n"));
        string Groups(int count) => string.Concat(Enumerable.Range(0, count).Select(i => i == 0 ? "group g0 any w0\n" : $"group g{i} all g{i - 1}\n"));
        var policy = Read(Log + Witnesses(128) + Groups(128) + "quorum g127\n");
        Assert.True(policy.IsSatisfiedBy(Times(policy, 0)));
        Assert.False(policy.IsSatisfiedBy(Times(policy, 1, 127)));
        Assert.Contains("at most 128", Refusal(Log + Witnesses(129) + "quorum none\n"), StringComparison.Ordinal);
        Assert.Contains("at most 128", Refusal(Log + Witnesses(1) + Groups(129) + "quorum none\n"), StringComparison.Ordinal);
        string logs = string.Concat(Enumerable.Range(0, 129).Select(i =>
        {
            using var key = Signer($"log{i}", i + 50);
            return $"log {key.Public.ToVerifierKey()}\n";
        }));
        Assert.Contains("at most 128", Refusal(logs + "quorum none\n"), StringComparison.Ordinal);
    }

    /// <summary>Random policies of up to nine witnesses, every subset of cosignatures, against a reading that follows the text word by word.</summary>
    [Fact]
    public void Quorums_are_what_a_plain_reading_says()
    {
        var random = new Random(7);
        for (int round = 0; round < 60; round++)
        {
            int count = random.Next(1, 10);
            var text = new StringBuilder(Log);
            var free = new List<string>();
            var meaning = new Dictionary<string, Func<int, bool>>(StringComparer.Ordinal);
            for (int i = 0; i < count; i++)
            {
                int own = i;
                text.Append(CultureInfo.InvariantCulture, $"witness w{i} {Keys[i]}\n");
                meaning[$"w{i}"] = subset => (subset >> own & 1) == 1;
                free.Add($"w{i}");
            }

            for (int group = 0; free.Count > 0 && group < 4; group++)
            {
                string[] members = [.. free.OrderBy(_ => random.Next()).Take(random.Next(1, free.Count + 1))];
                free.RemoveAll(members.Contains);
                int least = random.Next(1, members.Length + 1);
                string word = random.Next(3) switch { 0 => "all", 1 => "any", _ => least.ToString(CultureInfo.InvariantCulture) };
                int need = word == "all" ? members.Length : word == "any" ? 1 : least;
                text.Append(CultureInfo.InvariantCulture, $"group g{group} {word} {string.Join(' ', members)}\n");
                meaning[$"g{group}"] = subset => members.Count(m => meaning[m](subset)) >= need;
                free.Add($"g{group}");
            }

            string quorum = meaning.Keys.ElementAt(random.Next(meaning.Count));
            var policy = Read(text.Append(CultureInfo.InvariantCulture, $"quorum {quorum}\n").ToString());
            for (int subset = 0; subset < 1 << count; subset++)
            {
                long[] times = Times(policy, [.. Enumerable.Range(0, count).Where(i => (subset >> i & 1) == 1)]);
                Assert.True(meaning[quorum](subset) == policy.IsSatisfiedBy(times), $"{text}subset {subset:b}");
            }
        }
    }

    [Fact]
    public void Cosignatures_of_known_witnesses_are_read_and_an_invalid_one_rejects_the_note()
    {
        using var one = Cosigner("w0.example", 1);
        using var two = Cosigner("w1.example", 2);
        using var stranger = Cosigner("stranger.example", 99);
        var policy = Read(Log + $"witness a {Keys[0]}\nwitness b {Keys[1]}\ngroup g all a b\nquorum g\n");
        byte[] text = Parse(Note).Text;
        SignedNote Signed(params NoteSignature[] lines) => Parse(SignedNote.Encode(text, [Parse(Note).Signatures[0], .. lines]));

        long[] times = policy.NoCosignatures();
        Assert.True(policy.Read(Signed(stranger.Sign(text, 7), two.Sign(text, 8), two.Sign(text, 5)), times, out _));
        Assert.Equal([-1, 8], times);
        Assert.False(policy.IsSatisfiedBy(times));
        Assert.True(policy.Read(Signed(one.Sign(text, 9)), times, out _));
        Assert.Equal([9, 8], times);
        Assert.True(policy.IsSatisfiedBy(times));

        var broken = one.Sign(text, 10);
        broken.KeyIdAndSignature[^1] ^= 1;
        times = policy.NoCosignatures();
        Assert.False(policy.Read(Signed(two.Sign(text, 8), one.Sign(text, 9), broken), times, out var invalid));
        Assert.Equal("a", invalid!.Name);
        Assert.Equal([-1, -1], times);
        var unknown = stranger.Sign(text, 10);
        unknown.KeyIdAndSignature[^1] ^= 1;
        Assert.True(policy.Read(Signed(unknown, one.Sign(text, 9)), times, out _)); // unknown keys are ignored, valid or not
    }
}
