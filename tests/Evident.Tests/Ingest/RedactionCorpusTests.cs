using System.Text;
using Evident.Ingest;
using Xunit.Abstractions;

namespace Evident.Tests.Ingest;

/// <summary>
/// Recall and precision over samples written for this project: the shapes of <see cref="Planted"/> in varying surroundings, what code rules find (<see cref="RedactionSamples"/>), ordinary text, and near misses. Every rule has samples.
/// </summary>
public sealed class RedactionCorpusTests(ITestOutputHelper output)
{
    private static readonly RuleSet Everything = RuleSet.TryBuild(
        new RedactionOptions { On = [.. RuleSet.Default.Rules.Where(r => r.Marker == "[national_id]").Select(r => r.Name)] }, out _)!;

    private static readonly RuleSet Shipped = RuleSet.Default;

    private static List<(string Rule, string Text, string Secret)> Positives()
    {
        var samples = new List<(string, string, string)>();
        int context = 0;
        foreach (var (rule, template) in Planted.Shapes)
        {
            for (int i = 0; i < 3; i++)
            {
                string secret = Planted.Make(template, i);
                samples.Add((rule, Planted.In(Planted.Contexts[context++ % Planted.Contexts.Length], secret), secret));
            }
        }
        foreach (var (rule, text, secret) in RedactionSamples.Positives) samples.Add((rule, text, secret));
        return samples;
    }

    private static List<string> Negatives()
    {
        var samples = new List<string>(RedactionSamples.Negatives);
        int context = 0;
        // Near misses: another beginning, or cut down to half of the shortest form.
        foreach (var (rule, template) in Planted.Shapes)
        {
            if (rule == "jwt") continue; // a token that is cut off is one still
            string secret = Planted.Make(template, 11);
            int head = template.IndexOf('{', StringComparison.Ordinal);
            if (head >= 3) samples.Add(Planted.In(Planted.Contexts[context++ % Planted.Contexts.Length], "Qz" + secret[2..Math.Min(secret.Length, head)] + "..." + secret[^4..]));
            if (head >= 3) samples.Add(Planted.In(Planted.Contexts[context++ % Planted.Contexts.Length], secret[..Math.Min(head + 3, secret.Length)]));
        }
        return samples;
    }

    [Fact]
    public void Recall_and_precision()
    {
        var positives = Positives();
        var negatives = Negatives();
        var missed = new List<string>();
        var wrong = new List<string>();
        var perRule = new SortedDictionary<string, (int Found, int Of)>(StringComparer.Ordinal);
        foreach (var (rule, text, secret) in positives)
        {
            var set = Everything.Rules.Single(r => r.Name == rule).Marker == "[national_id]" ? Everything : Shipped;
            string redacted = Encoding.UTF8.GetString(set.Redactor.Redact(text.Utf8(), new RedactionTally(set)));
            bool found = !redacted.Contains(secret, StringComparison.Ordinal) && redacted.Contains('[', StringComparison.Ordinal);
            var (before, of) = perRule.GetValueOrDefault(rule);
            perRule[rule] = (before + (found ? 1 : 0), of + 1);
            if (!found) missed.Add($"{rule}: {text} -> {redacted}");
        }
        foreach (string text in negatives)
        {
            var tally = new RedactionTally(Shipped, keepsFindings: true);
            Shipped.Redactor.Redact(text.Utf8(), tally);
            if (tally.Total > 0) wrong.Add($"{tally.Findings[0].Rule}: {text}");
        }
        int removed = positives.Count - missed.Count;
        double recall = removed / (double)positives.Count, precision = removed / (double)(removed + wrong.Count);
        output.WriteLine($"{positives.Count} positive and {negatives.Count} negative samples, {perRule.Count} of {Everything.Rules.Count} rules: recall {recall:P2}, precision {precision:P2}");
        foreach (var (rule, (found, of)) in perRule) output.WriteLine($"  {rule,-24} {found,4} of {of}");
        missed.ForEach(m => output.WriteLine("missed " + m));
        wrong.ForEach(w => output.WriteLine("wrong " + w));
        Assert.Equal(Everything.Rules.Select(r => r.Name).Order(StringComparer.Ordinal), perRule.Keys);
        Assert.True(positives.Count >= 400 && negatives.Count >= 400, "at least 400 of each");
        Assert.True(recall >= 0.99, string.Join('\n', missed));
        Assert.True(precision >= 0.99, string.Join('\n', wrong));
    }

    [Theory]
    [InlineData("us_ssn", "219-09-0000")]
    [InlineData("us_ssn", "000-12-3456")]
    [InlineData("us_ssn", "666-12-3456")]
    [InlineData("us_ssn", "912-12-3456")]
    [InlineData("us_ssn", "219-09 9999")]
    [InlineData("us_ssn", "219099999")]
    [InlineData("uk_nino", "GB123456A")]
    [InlineData("uk_nino", "DA123456A")]
    [InlineData("uk_nino", "AB123456E")]
    [InlineData("de_steuer_id", "86095742710")]
    [InlineData("de_steuer_id", "06095742719")]
    [InlineData("fr_nir", "255081416802539")]
    [InlineData("es_dni", "12345678A")]
    [InlineData("es_dni", "X1234567A")]
    [InlineData("it_codice_fiscale", "RSSMRA85T10A562T")]
    [InlineData("nl_bsn", "111222334")]
    [InlineData("pl_pesel", "44051401358")]
    [InlineData("pl_pesel", "44131401359")]
    [InlineData("se_personnummer", "811228-9875")]
    [InlineData("se_personnummer", "811328-9874")]
    [InlineData("ch_ahv", "756.9217.0769.84")]
    [InlineData("in_aadhaar", "2341 2341 2347")]
    [InlineData("in_pan", "ABCXK1234F")]
    [InlineData("br_cpf", "111.444.777-36")]
    [InlineData("br_cpf", "11111111111")]
    [InlineData("nl_bsn", "1112223330")]
    [InlineData("nl_bsn", "x111222333")]
    public void A_national_number_that_its_country_would_not_accept_is_none(string rule, string text)
    {
        var set = RuleSet.TryBuild(new RedactionOptions { On = [rule], Off = ["phone", "card", "iban"] }, out _)!;
        Assert.Equal(text, Encoding.UTF8.GetString(set.Redactor.Redact(text.Utf8(), new RedactionTally(set))));
        Assert.True(set.Redactor.IsClean($"no. {text}, please".Utf8()));
    }

    /// <summary>The rule that is named for a shape is the rule that fires, for each one alone.</summary>
    [Fact]
    public void Each_shape_is_found_by_its_own_rule()
    {
        foreach (var (rule, template) in Planted.Shapes)
        {
            var tally = new RedactionTally(Shipped, keepsFindings: true);
            Shipped.Redactor.Redact(Planted.Make(template).Utf8(), tally);
            Assert.True(tally.Findings.Any(f => f.Rule == rule), $"{rule} {template}: {string.Join(", ", tally.Findings.Select(f => f.Rule))}");
        }
    }
}
