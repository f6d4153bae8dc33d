using System.Globalization;
using System.Numerics;
using System.Text;

namespace Evident.AppTests;

/// <summary>A planted secret: what is sent, and the parts of it that must be found nowhere afterwards.</summary>
public sealed record Secret(string Kind, string Text, params string[] Needles)
{
    public IEnumerable<PatternSearch.Pattern> Patterns(string where) =>
        Needles.SelectMany(PatternSearch.FormsOf).Select(p => p with { Label = $"{Kind} planted in {where}: {p.Label}" });
}

/// <summary>Makes secrets of every kind the redactor must know, each one unique, all from one seed.</summary>
public sealed class SecretMaker(int seed)
{
    private readonly Random random = new(seed);

    public static readonly string[] Kinds = ["e-mail", "phone", "phone with dashes", "sk- key", "ghp_ token", "AKIA key", "xoxb token", "AIza key", "JWT", "bearer", "private key", "card", "card with spaces", "IBAN", "sentence"];

    public Secret Make(string kind)
    {
        switch (kind)
        {
            case "e-mail":
                var local = "olga.planted" + Digits(7);
                return new(kind, $"{local}@mail{Digits(3)}.planted.example", local);
            case "phone":
                var phone = "+4915" + Digits(9);
                return new(kind, phone, phone[1..]);
            case "phone with dashes":
                var dashed = $"+1-{random.Next(202, 799)}-{random.Next(200, 999)}-{Digits(4)}";
                return new(kind, dashed, dashed[1..]);
            case "sk- key":
                var sk = Letters(48);
                return new(kind, "sk-" + sk, sk, sk[..24]);
            case "ghp_ token":
                var ghp = Letters(36);
                return new(kind, "ghp_" + ghp, ghp, ghp[..18]);
            case "AKIA key":
                var akia = Upper(16);
                return new(kind, "AKIA" + akia, akia);
            case "xoxb token":
                var xoxb = $"{Digits(12)}-{Digits(13)}-{Letters(24)}";
                return new(kind, "xoxb-" + xoxb, xoxb, xoxb[^24..]);
            case "AIza key":
                var aiza = Letters(35);
                return new(kind, "AIza" + aiza, aiza);
            case "JWT":
                var claims = Url(Encoding.UTF8.GetBytes($$"""{"sub":"{{Digits(10)}}","name":"{{Letters(8)}}"}"""));
                var signature = Letters(43);
                return new(kind, $"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{claims}.{signature}", signature, claims);
            case "bearer":
                var token = Letters(40);
                return new(kind, "Bearer " + token, token);
            case "private key":
                var body = Convert.ToBase64String(Encoding.UTF8.GetBytes("302e020100300506032b6570" + Letters(24)));
                return new(kind, $"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----", body, body[8..40]);
            case "card":
                var card = Card();
                return new(kind, card, card);
            case "card with spaces":
                var c = Card();
                var spaced = $"{c[..4]} {c[4..8]} {c[8..12]} {c[12..]}";
                return new(kind, spaced, spaced, c);
            case "IBAN":
                var iban = Iban();
                return new(kind, iban, iban, iban[4..]);
            case "sentence":
                var word = Letters(12);
                return new(kind, $"The patient {word} asked why \"her\" order was\tnot delivered", $"patient {word} asked", $"why \"her\" order was\tnot", word);
            default:
                throw new ArgumentOutOfRangeException(nameof(kind), kind, "No such kind of secret.");
        }
    }

    /// <summary>Sixteen digits that pass the Luhn check, in the range of a large issuer.</summary>
    public string Card()
    {
        var digits = "4" + Digits(14);
        var sum = 0;
        for (var i = 0; i < 15; i++)
        {
            var d = digits[i] - '0';
            if (i % 2 == 0) d = d * 2 > 9 ? d * 2 - 9 : d * 2;
            sum += d;
        }
        return digits + ((10 - sum % 10) % 10).ToString(CultureInfo.InvariantCulture);
    }

    private string Iban()
    {
        var account = Digits(18);
        var check = 98 - (int)(BigInteger.Parse(account + "131400", CultureInfo.InvariantCulture) % 97);
        return $"DE{check:00}{account}";
    }

    private string Digits(int n) => Pick("0123456789", n);
    private string Upper(int n) => Pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", n);

    // At least one digit and one letter of each case, as real tokens have.
    private string Letters(int n) => "aZ7" + Pick("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", n - 3);

    private string Pick(string from, int n) => string.Create(n, from, (span, letters) =>
    {
        foreach (ref var c in span) c = letters[random.Next(letters.Length)];
    });

    private static string Url(byte[] bytes) => Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
