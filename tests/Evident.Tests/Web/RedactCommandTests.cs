using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evident.Commands;
using Evident.Ingest;
using Evident.Tests.Ingest;

namespace Evident.Tests.Web;

/// <summary><c>evident redact --dry-run</c> and <c>evident config --rules</c>, in process.</summary>
public sealed class RedactCommandTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    private string File(string name, string text)
    {
        string path = Path.Combine(directory.Path, name);
        System.IO.File.WriteAllText(path, text);
        return path;
    }

    private async Task<(int ExitCode, string Out, string Error)> RunAsync(params string[] arguments)
    {
        using var stdout = new StringWriter();
        using var stderr = new StringWriter();
        int exitCode = await CommandLine.RunAsync([.. arguments, "--data", directory.Path], stdout, stderr);
        return (exitCode, stdout.ToString(), stderr.ToString());
    }

    [Fact]
    public async Task Findings_are_named_by_line_and_rule_and_never_shown()
    {
        string token = Planted.Make("ghp_{A36}");
        string log = File("agent.log", $"start\nuses {token} now\npassword=hunter22\n-----BEGIN " + "PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nmail a@b.io and c@d.io\n");
        var (exitCode, output, error) = await RunAsync("redact", "--dry-run", log);
        Assert.Equal((0, ""), (exitCode, error));
        Assert.DoesNotContain(token, output, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter22", output, StringComparison.Ordinal);
        Assert.DoesNotContain("a@b.io", output, StringComparison.Ordinal);
        string[] lines = output.Split('\n');
        Assert.Equal("line 2: github_token [api_key] 40 bytes, begins with \"gh\"", lines[0]);
        Assert.Equal("line 3: named_secret [secret] 8 bytes, begins with \"hu\"", lines[1]);
        Assert.StartsWith("line 4: private_key [private_key] ", lines[2], StringComparison.Ordinal);
        Assert.Equal(["line 7: email [email] 6 bytes", "line 7: email [email] 6 bytes"], lines[3..5]);
        Assert.StartsWith("text, rules 1 sha256:", lines[5], StringComparison.Ordinal);
        Assert.EndsWith(": 5 findings", lines[5], StringComparison.Ordinal);
        Assert.Contains("  email                        2", lines);
    }

    [Fact]
    public async Task Otlp_json_and_json_lines_are_known_by_their_content()
    {
        string token = Planted.Make("glpat-{K20}");
        string request = Encoding.UTF8.GetString(OtlpRequest.Of(new OtlpSpan("x", "note".Is("see " + token))).Json());
        foreach (var (name, text, format, place) in ((string, string, string, string)[])
            [("one.json", request, "otlp-json", "span b7ad6b7169203331 attribute note"), ("many.jsonl", "{\"a\":1}\n" + request + "\n", "json-lines", "line 2 span b7ad6b7169203331 attribute note"),
             ("events.jsonl", $"{{\"a\":1}}\n{{\"b\":{{\"c\":\"{token}\"}}}}\n", "json-lines", "line 2")])
        {
            var (exitCode, output, _) = await RunAsync("redact", "--dry-run", File(name, text), "--json");
            Assert.Equal(0, exitCode);
            using var json = JsonDocument.Parse(output);
            Assert.Equal(format, json.RootElement.GetProperty("format").GetString());
            JsonElement finding = Assert.Single(json.RootElement.GetProperty("findings").EnumerateArray());
            Assert.Equal((place, "gitlab_token", 26), (finding.GetProperty("place").GetString(), finding.GetProperty("rule").GetString(), finding.GetProperty("bytes").GetInt32()));
            Assert.Equal(1, json.RootElement.GetProperty("per_rule").GetProperty("gitlab_token").GetInt32());
            Assert.DoesNotContain(token, output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_configuration_decides_also_per_tenant()
    {
        File("evident.json", """{"redaction":{"off":["email"],"rules":{"anything":"[a-z]{5}[0-9]{3}"},"tenants":{"acme":{"rules":{"acme_file":"\\bAF-[0-9]{10}\\b"}}}}}""");
        string file = File("x.txt", "a@b.io abcde123 AF-0123456789\n");
        Assert.Contains("text, rules 1", (await RunAsync("redact", "--dry-run", file)).Out, StringComparison.Ordinal);
        Assert.Contains("1 findings", (await RunAsync("redact", "--dry-run", file)).Out, StringComparison.Ordinal);
        Assert.Contains("acme_file [acme_file] 13 bytes", (await RunAsync("redact", "--dry-run", file, "--tenant", "acme")).Out, StringComparison.Ordinal);
        var (exitCode, output, error) = await RunAsync("config", "--rules");
        Assert.Equal(0, exitCode);
        Assert.Contains("own pattern\tanything\t[a-z]{5}[0-9]{3}\n", output, StringComparison.Ordinal);
        Assert.StartsWith("evident: notice: the redaction rule 'anything' cannot be prefiltered", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_printed_rules_are_the_text_whose_hash_the_ledger_names()
    {
        var (exitCode, output, _) = await RunAsync("config", "--rules");
        Assert.Equal(0, exitCode);
        Assert.Equal(RuleSet.Default.Hash, SHA256.HashData(Encoding.UTF8.GetBytes(output)));
    }

    [Fact]
    public async Task Without_dry_run_it_is_a_wrong_command_line_and_without_the_file_a_refusal()
    {
        var (exitCode, output, error) = await RunAsync("redact", File("x.txt", "a@b.io"));
        Assert.Equal((64, ""), (exitCode, output));
        Assert.Contains("only dry runs", error, StringComparison.Ordinal);
        Assert.Equal(1, (await RunAsync("redact", "--dry-run", Path.Combine(directory.Path, "none"))).ExitCode);
        Assert.Equal(64, (await RunAsync("redact", "--dry-run")).ExitCode);
    }

    [Fact]
    public async Task A_configuration_whose_rules_cannot_be_used_says_all_of_it()
    {
        File("evident.json", """{"redaction":{"on":["nothing"],"rules":{"a":"b.*","email":"abcd[0-9]{9}"}}}""");
        var (exitCode, _, error) = await RunAsync("config");
        Assert.Equal(1, exitCode);
        Assert.Contains("'nothing'", error, StringComparison.Ordinal);
        Assert.Contains("rule 'a' has . where", error, StringComparison.Ordinal);
        Assert.Contains("'email' twice", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Counts_per_rule_are_metrics_and_status()
    {
        await using var web = await RunningWeb.StartAsync();
        byte[] body = OtlpRequest.Of(new OtlpSpan("x", "note".Is($"see {Planted.Make("glpat-{K20}")} and a@b.io, c@d.io"))).Json();
        Assert.Equal(200, (await web.PostAsync("/v1/traces", body, "application/json")).Status);
        string metrics = await web.Client.GetStringAsync("/metrics");
        Assert.Contains("evident_redactions_total{rule=\"gitlab_token\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("evident_redactions_total{rule=\"email\"} 2\n", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("rule=\"iban\"", metrics, StringComparison.Ordinal);
        using var status = JsonDocument.Parse(await web.Client.GetStringAsync("/api/v1/status"));
        JsonElement redaction = status.RootElement.GetProperty("redaction");
        Assert.Equal(3, redaction.GetProperty("found").GetInt64());
        Assert.Equal(2, redaction.GetProperty("rules").GetProperty("email").GetInt64());
        Assert.Equal("sha256:" + Convert.ToHexStringLower(RuleSet.Default.Hash), redaction.GetProperty("hash").GetString());
    }
}
