namespace Evident.Ingest;

/// <summary>One rule of a <see cref="RuleSet"/>.</summary>
/// <param name="Index">Its place in the set; counts are kept by it.</param>
/// <param name="Name"><c>[a-z][a-z0-9_]{0,39}</c>, unique in the set.</param>
/// <param name="Marker">What stands in the place of a finding, with its brackets.</param>
/// <param name="On">It is in force for every tenant; a rule of one tenant is in force for that tenant only.</param>
/// <param name="What">What it finds, in a few words.</param>
/// <param name="Prefilter">What the first level of the scan looks for, in words.</param>
public sealed record RedactionRule(int Index, string Name, string Marker, bool On, string What, string Prefilter);

/// <summary>The rules that are code and no pattern; the number is the rule's index in every set.</summary>
internal enum CodeRule : byte
{
    Email, Phone, Card, Iban, PrivateKey, UrlCredentials, NamedSecret, AuthorizationHeader, BearerToken, BasicCredentials, CookieHeader, AwsSecretKey,
    UsSsn, UkNino, DeSteuerId, FrNir, EsDni, ItCodiceFiscale, NlBsn, PlPesel, SePersonnummer, ChAhv, InAadhaar, InPan, BrCpf,
}

internal static class CodeRules
{
    /// <summary>Name, marker, whether it is on without being asked for, what it finds, what is searched for first; in the order of <see cref="CodeRule"/>.</summary>
    internal static readonly (string Name, string Marker, bool On, string What, string Prefilter)[] All =
    [
        ("email", "[email]", true, "e-mail addresses, also with %40", "@"),
        ("phone", "[phone]", true, "telephone numbers: with +, with 00, or a national form with separators", "a digit"),
        ("card", "[card]", true, "payment card numbers: 13 to 19 digits, issuer range, Luhn", "a digit"),
        ("iban", "[iban]", true, "IBANs: country, its length, mod 97", "a digit"),
        ("private_key", "[private_key]", true, "private keys in PEM (all kinds, OpenSSH and PGP included) and PuTTY form, also cut off", "a long run"),
        ("url_credentials", "[token]", true, "user and password, or a token, before the host of an address", ":"),
        ("named_secret", "[secret]", true, "what stands behind the name of a secret (the table of names below)", "= or :"),
        ("authorization_header", "[token]", true, "the value of an Authorization header, its scheme stays", "= or :"),
        ("bearer_token", "[token]", true, "what follows the word Bearer", "a long run"),
        ("basic_credentials", "[token]", true, "what follows the word Basic and decodes to user:password", "a long run"),
        ("cookie_header", "[secret]", true, "the value of a Cookie or Set-Cookie header", ":"),
        ("aws_secret_key", "[api_key]", true, "40 base64 characters within 100 bytes behind an AWS access key id", "a long run"),
        ("us_ssn", "[national_id]", false, "United States: Social Security number with separators; impossible areas, groups and serials are none", "a digit"),
        ("uk_nino", "[national_id]", false, "United Kingdom: National Insurance number; prefixes that are not given out are none", "a digit"),
        ("de_steuer_id", "[national_id]", false, "Germany: Steueridentifikationsnummer, 11 digits, ISO 7064 mod 11,10", "a digit"),
        ("fr_nir", "[national_id]", false, "France: numéro de sécurité sociale, 15 characters, mod 97", "a digit"),
        ("es_dni", "[national_id]", false, "Spain: DNI and NIE, letter mod 23", "a digit"),
        ("it_codice_fiscale", "[national_id]", false, "Italy: codice fiscale, 16 characters, check letter", "a long run"),
        ("nl_bsn", "[national_id]", false, "Netherlands: burgerservicenummer, 9 digits, eleven test", "a digit"),
        ("pl_pesel", "[national_id]", false, "Poland: PESEL, 11 digits, date and check digit", "a digit"),
        ("se_personnummer", "[national_id]", false, "Sweden: personnummer with separator or in 12 digits, date and Luhn", "a digit"),
        ("ch_ahv", "[national_id]", false, "Switzerland: AHV number, 756…, EAN-13 check digit", "a digit"),
        ("in_aadhaar", "[national_id]", false, "India: Aadhaar, 12 digits, Verhoeff", "a digit"),
        ("in_pan", "[national_id]", false, "India: PAN, five letters, four digits, a letter", "a long run"),
        ("br_cpf", "[national_id]", false, "Brazil: CPF, 11 digits, two check digits", "a digit"),
    ];
}

/// <summary>One finding in a text, for people: never the secret itself.</summary>
/// <param name="Rule">Name of the rule.</param>
/// <param name="Marker">What would stand in its place.</param>
/// <param name="Length">Bytes of the finding.</param>
/// <param name="Begins">Its first two characters, or fewer when it is short.</param>
public sealed record RedactionFinding(string Rule, string Marker, int Length, string Begins);

/// <summary>What redaction found: counts per rule, and for dry runs each finding. Used by one thread at a time.</summary>
public sealed class RedactionTally
{
    private readonly RuleSet rules;
    private readonly long[] counts;
    private readonly List<RedactionFinding>? findings;

    /// <param name="rules">Whose rules are counted.</param>
    /// <param name="keepsFindings">Every finding is kept, not only counted.</param>
    public RedactionTally(RuleSet rules, bool keepsFindings = false)
    {
        ArgumentNullException.ThrowIfNull(rules);
        this.rules = rules;
        counts = new long[rules.Rules.Count];
        findings = keepsFindings ? [] : null;
    }

    /// <summary>Findings by <see cref="RedactionRule.Index"/>.</summary>
    public ReadOnlySpan<long> Counts => counts;

    public IReadOnlyList<RedactionFinding> Findings => findings ?? [];

    public long Total { get; private set; }

    public long Of(string rule)
    {
        for (int i = 0; i < counts.Length; i++)
            if (rules.Rules[i].Name == rule) return counts[i];
        throw new ArgumentException($"there is no rule '{rule}'", nameof(rule));
    }

    internal void Add(int rule, ReadOnlySpan<byte> found)
    {
        counts[rule]++;
        Total++;
        findings?.Add(new RedactionFinding(rules.Rules[rule].Name, rules.Rules[rule].Marker, found.Length, Beginning(found)));
    }

    private static string Beginning(ReadOnlySpan<byte> found) =>
        found.Length < 8 ? "" : string.Create(2, (found[0], found[1]), static (to, from) => (to[0], to[1]) = (Visible(from.Item1), Visible(from.Item2)));

    private static char Visible(byte c) => c is > 32 and < 127 ? (char)c : '·';

    public void Clear()
    {
        if (Total > 0) Array.Clear(counts);
        findings?.Clear();
        Total = 0;
    }

    /// <summary>Takes back what was added since, when a reading of a text turned out to be none.</summary>
    internal void Restore(ReadOnlySpan<long> before, int findingsBefore)
    {
        before.CopyTo(counts);
        Total = 0;
        foreach (long count in counts) Total += count;
        findings?.RemoveRange(findingsBefore, findings.Count - findingsBefore);
    }
}

/// <summary>Findings per rule since the start of the process, over all threads.</summary>
public sealed class RedactionCounters(RuleSet rules)
{
    private readonly long[] totals = new long[rules.Rules.Count];

    public RuleSet Rules => rules;

    public void Add(ReadOnlySpan<long> counts)
    {
        for (int i = 0; i < counts.Length; i++)
            if (counts[i] != 0) Interlocked.Add(ref totals[i], counts[i]);
    }

    /// <summary>By <see cref="RedactionRule.Index"/>.</summary>
    public long Of(int rule) => Volatile.Read(ref totals[rule]);
}
