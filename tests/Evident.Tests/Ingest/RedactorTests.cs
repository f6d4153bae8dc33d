using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

public sealed class RedactorTests(Xunit.Abstractions.ITestOutputHelper output)
{
    private static readonly Redactor Redactor = new();

    // Put together at run time, so that no scanner of source code takes them for leaked ones.
    private static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));
    private static readonly string Alnum36 = Repeat("aB3dE6gH9", 4);

    public static TheoryData<string, string> Secrets() => new()
    {
        { "write to maria.lopez+refund@example.co.uk today", "write to [email] today" },
        { "<a@b.io>", "<[email]>" },
        { "user%40example.com", "[email]" },
        { "jörg@münchen.de", "[email]" },
        { "mailto:x_y@sub.domain.example.", "mailto:[email]." },
        { "call +49 30 901820 now", "call [phone] now" },
        { "+15551234567", "[phone]" },
        { "+1 (555) 123-4567", "[phone]" },
        { "(555) 123-4567", "[phone]" },
        { "tel 555-123-4567.", "tel [phone]." },
        { "555.123.4567", "[phone]" },
        { "1-800-555-0199", "[phone]" },
        { "0171 2345678", "[phone]" },
        { "06 12 34 56 78", "[phone]" },
        { "020 7946 0958", "[phone]" },
        { "0049 30 901820", "[phone]" },
        { "call 00491701234567 now", "call [phone] now" },
        { "at f (+4915512345678:1)", "at f ([phone]:1)" },
        { "mailbox:+1-415-555-0134", "mailbox:[phone]" },
        { "failed with 0171 2345678: no answer", "failed with [phone]: no answer" },
        { "Basic dXNlcjpwYXNzd29yZDEyMw==", "Basic [token]" },
        { "ya29." + "a0AfH6SMBx1yZ2k3_4w-5v6u7t8s9r", "[token]" },
        { "Bearer " + Alnum36, "Bearer [token]" },
        { "authorization: Basic dXNlcjpwYXNzd29yZA==", "authorization: Basic [token]" },
        { "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "[token]" },
        { "https://user:hunter22@host.example/x", "https://[token]@host.example/x" },
        { "sk-proj-" + Alnum36, "[api_key]" },
        { "key sk-ant-api03-" + Alnum36 + " end", "key [api_key] end" },
        { "AKIA" + "IOSFODNN7EXAMPLE", "[api_key]" },
        { "ASIA" + "IOSFODNN7EXAMPLE", "[api_key]" },
        { "ghp_" + Alnum36, "[api_key]" },
        { "gho_" + Alnum36, "[api_key]" },
        { "github_pat_" + Alnum36, "[api_key]" },
        { "xoxb-" + "1234567890-abcdefghij", "[api_key]" },
        { "AIza" + Alnum36[..35], "[api_key]" },
        { "sk_live_" + Alnum36, "[api_key]" },
        { "rk_live_" + Alnum36, "[api_key]" },
        { "glpat-" + Alnum36[..20], "[api_key]" },
        { "npm_" + Alnum36, "[api_key]" },
        { "hf_" + Alnum36, "[api_key]" },
        { "SG." + Alnum36[..22] + "." + Alnum36, "[api_key]" },
        { "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + Alnum36 + "==;EndpointSuffix=y", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=[secret];EndpointSuffix=y" },
        { "aws_secret_access_key = abcd1234 x", "aws_secret_access_key = [secret] x" },
        { "password=hunter22 next", "password=[secret] next" },
        { "client_secret: 'abcdef12'", "client_secret: '[secret]'" },
        { "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nrest", "[private_key]\nrest" },
        { "-----BEGIN PRIVATE KEY-----\nMIIE cut", "[private_key]" },
        { "card 4111 1111 1111 1111 exp", "card [card] exp" },
        { "4111-1111-1111-1111", "[card]" },
        { "5500005555555559", "[card]" },
        { "378282246310005", "[card]" },
        { "card_4111111111111111", "card_[card]" },
        { "DE89 3704 0044 0532 0130 00", "[iban]" },
        { "iban GB29NWBK60161331926819!", "iban [iban]!" },
        { "nl91abna0417164300", "[iban]" },
        { @"escaped \u0061b\u0040example.com", "escaped [email]" },
    };

    [Theory]
    [MemberData(nameof(Secrets))]
    public void Secrets_are_replaced_by_their_marker(string text, string redacted)
    {
        Assert.Equal(redacted, Redactor.Redact(text));
        Assert.False(Redactor.IsClean(text.Utf8()));
        Assert.True(Redactor.IsClean(redacted.Utf8()), "a redacted text is clean");
        Assert.Equal(redacted, Redactor.Redact(redacted));
        // The same inside other text and far behind a window's end.
        string far = new string('.', 4090) + " ";
        Assert.Equal(far + redacted, Redactor.Redact(far + text));
    }

    [Theory]
    [InlineData("2026-05-06T06:00:08.112Z")]
    [InlineData("2026-05-06 06:00:08")]
    [InlineData("06.05.2026 12:30")]
    [InlineData("1778047200000000000")]
    [InlineData("1778047200000")]
    [InlineData("4155551234")]
    [InlineData("000123456789012")]
    [InlineData("0012345678901abc")]
    [InlineData("basic authentication is off")]
    [InlineData("Basic plan2026ab")]
    [InlineData("0af7651916cd43dd8448eb211c80319c")]
    [InlineData("550e8400-e29b-41d4-a716-446655440000")]
    [InlineData("192.168.100.200")]
    [InlineData("10.0.0.1:4318")]
    [InlineData("1.2.3-beta.4")]
    [InlineData("INV-2026-0042")]
    [InlineData("ticket-9421")]
    [InlineData("run_01J3K6ZQ7Y5N8M2P4R6T8V0WXY")]
    [InlineData("support_triage_prompt@2026-05-01")]
    [InlineData("@arizeai/openinference-instrumentation-openai")]
    [InlineData("gmail.send:thread_18b4f5e2:msg_02")]
    [InlineData("sha256:3b4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b")]
    [InlineData("task-scheduler disk-usage risk-level")]
    [InlineData("sk-learn")]
    [InlineData("https://api.example.com/v1/users?page=2")]
    [InlineData("the bearer of this letter")]
    [InlineData("authorization required")]
    [InlineData("max_tokens=4096 password reset link sent")]
    [InlineData("4111 1111 1111 1112")]
    [InlineData("0.4111111111111111")]
    [InlineData("DE88370400440532013000")]
    [InlineData("AKIAlowercase")]
    [InlineData("a @ b")]
    [InlineData("temperature=0.7 top_p=0.95 seed=12345678")]
    [InlineData("1, 2, 3, 100 200 300")]
    [InlineData("-----BEGIN CERTIFICATE-----")]
    [InlineData("eyJ")]
    [InlineData("secretary: Maria, bearers: two, passwords: many")]
    [InlineData("gpt-4.1-2025-04-14")]
    [InlineData("claude-sonnet-4-20250514")]
    [InlineData(@"C:\users\new\table")]
    public void Ordinary_text_is_left_alone(string text)
    {
        Assert.Equal(text, Redactor.Redact(text));
        Assert.True(Redactor.IsClean(text.Utf8()));
    }

    [Fact]
    public void Json_stays_json_and_is_redacted_by_meaning()
    {
        const string json = """{"to":"a\u0040b.io","n":[1,4111111111111111,{"password":"x","k":"https:\/\/u:pw1@h"}],"args":"{\"mail\":\"c@d.io\"}","b64":"YUBiLmlvIGhlbGxv","a@b.io":true,"t":1e3}""";
        string redacted = Redactor.Redact(json);
        using var parsed = JsonDocument.Parse(redacted);
        Assert.Equal("[email]", parsed.RootElement.GetProperty("to").GetString());
        Assert.Equal("[card]", parsed.RootElement.GetProperty("n")[1].GetString());
        Assert.Equal("[secret]", parsed.RootElement.GetProperty("n")[2].GetProperty("password").GetString());
        Assert.Equal("https://[token]@h", parsed.RootElement.GetProperty("n")[2].GetProperty("k").GetString());
        Assert.Equal("""{"mail":"[email]"}""", parsed.RootElement.GetProperty("args").GetString());
        Assert.Equal("[email] hello", parsed.RootElement.GetProperty("b64").GetString());
        Assert.True(parsed.RootElement.GetProperty("[email]").GetBoolean());
        Assert.Equal(1000, parsed.RootElement.GetProperty("t").GetDouble());
    }

    [Fact]
    public void Time_is_linear_for_hostile_text()
    {
        string[] units =
        [
            "@", "a@", "a@b.", "a@b.c", "sk-", "-sk-", "eyJ", ".eyJ", "eyJaaaaaaaaaaaa.", "-eyJaaaaaaaaaaaa.eyJ", "://", "://a:", "0 ", "1-", "4 ", "+1 ", "(", "4111 ", "DE", "DE12 ", "DE12", "bearer ", "authorization: basic ",
            "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "password=", "password=\"", "xoxb-", "%40", "a%40", "\\u0040", "\\", "ghp_", "hf_", "SG.", "9", "0", ".", "AKIA", "api_key:",
            "=", ":", "a=", "token=", "token:\"", "/aaaaaaaaaaaa", "aaaaaaaaaaaa+", "YWFhYWFhYWFh", "YUBiLmlv ", "%25", "%2540", "\\\\u0040", "{\"a\":", "[\"", "\\\"{", "_", "-", "whsec_", "whsec_a", "8Q~", "hooks.slack.com/", "Basic YTpi ", "Cookie: a=",
            "-----BEGIN PRIVATE KEY----- -----END", "PuTTY-User-Key-File-", "eyJaaaaaaaaaaaa..", "AC", "SK0123456789abcdef", "M.a", "t1.aaaaaaaaaaaaaaaaaaaaaaaa.", "access_token$production$", "12345678:AA", "756.", "AB12", "ABCDE1234",
        ];
        Redactor.Redact(Repeat("warm up a@b.io ", 1000));
        foreach (string unit in units)
        {
            byte[] shorter = Repeat(unit, 250_000 / unit.Length).Utf8(), longer = Repeat(unit, 2_000_000 / unit.Length).Utf8();
            double small = Enumerable.Range(0, 3).Min(_ => Time(shorter));
            double large = Time(longer);
            output.WriteLine($"{large,8:F0} ms for 2 MB of '{unit}'");
            Assert.True(large < 8 * small * 4 + 500, $"'{unit}': 250 kB took {small:F1} ms, 2 MB {large:F1} ms");
            Assert.True(large < 20_000, $"'{unit}': 2 MB took {large:F1} ms");
        }

        // Every level of base64 with something that may be an escape beside it.
        foreach (string ending in (string[])[" %41", " \\u0041", " %2541 \\"])
        {
            double small = Enumerable.Range(0, 3).Min(_ => Time(Levels(100_000, ending))), large = Time(Levels(800_000, ending));
            output.WriteLine($"{large,8:F0} ms for 800 kB in four levels of base64 with '{ending}'");
            Assert.True(large < 8 * small * 4 + 500, $"levels of base64 with '{ending}': 100 kB took {small:F1} ms, 800 kB {large:F1} ms");
        }

        static byte[] Levels(int length, string ending)
        {
            string text = Repeat("plain words ", length / 12);
            for (int level = 0; level < 4; level++) text = Convert.ToBase64String(Encoding.UTF8.GetBytes(text + ending)) + ending;
            return text.Utf8();
        }

        static double Time(byte[] text)
        {
            var watch = Stopwatch.StartNew();
            Redactor.Redact(Encoding.UTF8.GetString(text));
            return watch.Elapsed.TotalMilliseconds;
        }
    }

    [Fact]
    public void Json_in_strings_is_looked_into_however_deep_it_is()
    {
        string inner = "{\"mail\":\"a@b.io\",\"password\":\"hunter22\",\"n\":1}";
        string text = inner;
        for (int depth = 0; depth < 16; depth++)
        {
            string redacted = Redactor.Redact(text);
            Assert.DoesNotContain("a@b.io", redacted, StringComparison.Ordinal);
            if (depth <= 4) Assert.DoesNotContain("hunter22", redacted, StringComparison.Ordinal);
            using (JsonDocument.Parse(redacted)) { } // still JSON
            text = JsonSerializer.Serialize(new Dictionary<string, string> { ["in"] = text }); // the escapes double the text
        }
    }

    [Fact]
    public void Encodings_inside_one_another_are_looked_into()
    {
        string text = "mail a@b.io";
        for (int depth = 0; depth < 4; depth++)
        {
            text = Convert.ToBase64String(Encoding.UTF8.GetBytes("see " + text));
            Assert.False(Redactor.IsClean(text.Utf8()), $"base64, {depth + 1} times");
            Assert.Contains("[email]", Redactor.Redact("x " + text + " y"), StringComparison.Ordinal);
        }
        Assert.Contains("[email]", Redactor.Redact("q=" + Uri.EscapeDataString(Convert.ToBase64String("mail a@b.io ok"u8))), StringComparison.Ordinal);
        Assert.Contains("[secret]", Redactor.Redact("{\"pass\\u0077ord\":\"x\"}"), StringComparison.Ordinal);
        Assert.Contains("[email]", Redactor.Redact(new string('x', 70_000) + " " + Convert.ToBase64String(Encoding.UTF8.GetBytes(new string('y', 90_000) + " a@b.io"))), StringComparison.Ordinal);
    }

    [Fact]
    public void Findings_side_by_side_are_each_found()
    {
        string token = "ghp_" + Alnum36;
        Assert.Equal("[card]_[api_key]", Redactor.Redact("4111111111111111_" + token));
        Assert.Equal("[api_key] [api_key],[api_key];[email]", Redactor.Redact($"{token} {token},{token};a@b.io"));
        // At every place against the blocks of the scan.
        for (int at = 0; at < 140; at++)
        {
            string before = new('.', at);
            Assert.Equal($"{before}[api_key] a [email] b [phone]", Redactor.Redact($"{before}{token} a x@y.io b +49 30 901820"));
        }
    }

    [Fact]
    public void Any_bytes_can_be_scanned()
    {
        var random = new Random(5);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] text = new byte[random.Next(80)];
            random.NextBytes(text);
            for (int k = 0; k < text.Length; k++)
                if (random.Next(2) == 0) text[k] = (byte)"@.+-0149 sk_eyJ:/\\u{}\"DE"[random.Next(24)];
            Redactor.IsClean(text);
            Redactor.Redact(Encoding.Latin1.GetString(text));
        }
    }

    [Theory]
    [InlineData("gmail.send", true)]
    [InlineData("thread_18b4f5e2a8c", true)]
    [InlineData("support_policy@2026-05-03", true)]
    [InlineData("a b", false)]
    [InlineData("", false)]
    [InlineData("user@example.com", false)]
    [InlineData("4111111111111111", false)]
    [InlineData("a=b", false)]
    public void Ledger_text_is_grammar_and_no_detector(string text, bool clean) => Assert.Equal(clean, LedgerText.IsClean(text.Utf8()));

    [Fact]
    public void Ledger_text_is_at_most_128_bytes()
    {
        Assert.True(LedgerText.IsClean(new string('a', 128).Utf8()));
        Assert.False(LedgerText.IsClean(new string('a', 129).Utf8()));
    }
}
