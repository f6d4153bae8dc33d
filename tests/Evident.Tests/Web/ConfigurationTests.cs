using System.Runtime.CompilerServices;
using System.Text;
using Evident.Configuration;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Web;

public sealed class ConfigurationTests
{
    [Fact]
    public void Every_problem_is_reported_at_once_with_name_value_and_what_is_allowed()
    {
        var e = Assert.Throws<ConfigurationException>(() => Parse(
            """
            {
              "listen": ["ftp://127.0.0.1"],        // not http
              "http": { "maxConnections": 0, "allowedHosts": ["http://x"], "nope": 1 },
              "ingest": { "maxSpans": "many", "maxDepth": 1.5 },
              "vault": { "shortDays": 10, "longDays": 5 },
              "tools": { "gmail.send": "dangerous", "orders.get": "read" },
              "log": "loud",
              "Queue": { "maxspans": 7 },
              "unknown": true,
            }
            """));
        string[] expected =
        [
            "listen is [\"ftp://127.0.0.1\"]; it is allowed to be a list",
            "http.maxConnections is 0; it is allowed to be a whole number from 1 to 65536.",
            "http.allowedHosts is [\"http://x\"]",
            "http.nope is not a configuration value",
            "ingest.maxSpans is \"many\"; it is allowed to be a whole number from 1 to 1000000.",
            "ingest.maxDepth is 1.5",
            "tools[\"gmail.send\"] is \"dangerous\"; it is allowed to be \"none\", \"read\"",
            "log is not an object.",
            "Queue.maxspans is 7",
            "unknown is not a configuration value",
            "vault.longDays is 5; it is allowed to be vault.shortDays (10) or more.",
        ];
        foreach (string problem in expected)
        {
            Assert.Contains(e.Problems, p => p.StartsWith(problem, StringComparison.OrdinalIgnoreCase));
        }

        Assert.Equal(expected.Length, e.Problems.Count);
        Assert.All(e.Problems, p => Assert.Contains(p, e.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{", "no JSON: line 1")]
    [InlineData("[]", "outermost value is not an object")]
    [InlineData("{\"listen\":[],\"LISTEN\":[]}", "stands there twice")]
    [InlineData("{\"http\":{\"maxBodyBytesInFlight\":1048576}}", "ingest.maxBodyBytes")]
    [InlineData("{\"capture\":{\"mode\":\"full\"}}", "capture.mode is \"full\"; it is allowed to be one of \"redacted\", \"structure\".")]
    [InlineData("{\"capture\":{\"rules\":[{\"tenant\":\"a\",\"mode\":\"full\"}]}}", "capture.rules is {\"tenant\":\"a\"")]
    [InlineData("{\"capture\":{\"rules\":[{\"tenant\":\"a\"}]}}", "capture.rules is {\"tenant\":\"a\"}; it is allowed to be a list of objects with mode")]
    [InlineData("{\"capture\":{\"rules\":[{\"who\":\"a\",\"mode\":\"structure\"}]}}", "capture.rules is {\"who\"")]
    [InlineData("{\"capture\":{\"rules\":[{\"mode\":\"structure\"}]}}", "that is what capture.mode is for")]
    [InlineData("{\"capture\":{\"optOut\":[\" a\"]}}", "capture.optOut has the name ' a'")]
    public void A_file_that_cannot_be_used_says_why(string json, string why) =>
        Assert.Contains(Assert.Throws<ConfigurationException>(() => Parse(json)).Problems, p => p.Contains(why, StringComparison.OrdinalIgnoreCase));

    [Fact]
    public void Names_are_taken_in_any_case_and_tools_keep_theirs()
    {
        ApplianceOptions options = Parse("""{"Ingest":{"MaxSpans":17},"tools":{"Gmail.Send":"irreversible","x":"unknown"}}""");
        Assert.Equal(17, options.ToStoreOptions("d").Limits.MaxSpans);
        Assert.Equal(SideEffectLevel.Irreversible, options.Tools["Gmail.Send"]);
        Assert.Equal(SideEffectLevel.Unknown, options.Tools["x"]);
    }

    [Fact]
    public void What_config_prints_is_read_back_to_the_same_values()
    {
        ApplianceOptions changed = Parse(
            """{"listen":["http://[::1]:1"],"http":{"allowedHosts":["a.example"],"maxHeaders":99},"log":{"level":"debug"},"tools":{"a":"write"}}""");
        string printed = ConfigurationFile.Print(changed);
        Assert.Equal(printed, ConfigurationFile.Print(Parse(printed)));
        Assert.NotEqual(printed, ConfigurationFile.Print(new ApplianceOptions()));
        Assert.Equal(ConfigurationFile.Print(new ApplianceOptions()), ConfigurationFile.Print(Parse("{}")));
    }

    [Fact]
    public void Every_setting_changes_what_is_printed()
    {
        // A setter that writes nowhere would be a configuration value that does nothing.
        string defaults = ConfigurationFile.Print(new ApplianceOptions());
        foreach (Setting setting in Setting.All)
        {
            string value = setting.Name switch
            {
                "listen" => "[\"http://127.0.0.1:1\"]",
                "http.allowedHosts" => "[\"a.example\"]",
                "http.allowedOrigins" => "[\"https://a.example\"]",
                "log.level" => "\"error\"",
                "tools" => "{\"a\":\"read\"}",
                "capture.mode" => "\"structure\"",
                "capture.unnamed" => "\"mode\"",
                "capture.optOut" => "[\"acme\"]",
                "capture.rules" => "[{\"tenant\":\"a\",\"workflow\":\"w*\",\"environment\":\"prod\",\"mode\":\"structure\"}]",
                "redaction.attributes" => "\"allow-list\"",
                "redaction.rules" => "{\"account\":\"ACC-[0-9]{8}\"}",
                "redaction.tenants" => "{\"t1\":{\"rules\":{},\"names\":[\"badge\"],\"notNames\":[],\"allow\":[]}}",
                _ when setting.Name.StartsWith("redaction.", StringComparison.Ordinal) => "[\"us_ssn\"]",
                _ => (long.Parse(setting.Default, System.Globalization.CultureInfo.InvariantCulture) + 1).ToString(System.Globalization.CultureInfo.InvariantCulture),
            };
            var options = new ApplianceOptions();
            Assert.Null(setting.Read(System.Text.Json.JsonDocument.Parse(value).RootElement, options));
            Assert.Equal(value, setting.Json(options));
            Assert.NotEqual(defaults, ConfigurationFile.Print(options));
        }
    }

    [Fact]
    public void The_limits_of_the_decoder_are_all_configurable_under_their_own_names()
    {
        string[] properties = [.. typeof(IngestLimits).GetProperties().Select(p => "ingest." + char.ToLowerInvariant(p.Name[0]) + p.Name[1..]).Order(StringComparer.Ordinal)];
        Assert.Equal(properties, Setting.All.Select(s => s.Name).Where(n => n.StartsWith("ingest.", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_documentation_lists_every_value_as_the_code_has_it()
    {
        string[] documented = [.. File.ReadLines(Documentation()).Where(l => l.StartsWith("| `", StringComparison.Ordinal))];
        string[] expected = [.. Setting.All.Select(Row)];
        if (Environment.GetEnvironmentVariable("EVIDENT_WRITE_DOCS") == "1")
        {
            string text = File.ReadAllText(Documentation());
            int from = text.IndexOf("\n| `", StringComparison.Ordinal) + 1, to = text.LastIndexOf("\n| `", StringComparison.Ordinal) + 1;
            File.WriteAllText(Documentation(), text[..from] + string.Join('\n', expected) + text[text.IndexOf('\n', to)..]);
            return;
        }

        Assert.Equal(expected, documented);
    }

    internal static string Row(Setting setting) => $"| `{setting.Name}` | `{setting.Default}` | {setting.Allowed} | {setting.Meaning} |";

    private static ApplianceOptions Parse(string json) => ConfigurationFile.Parse(Encoding.UTF8.GetBytes(json), "test");

    private static string Documentation([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(here, "../../../../docs/configuration.md"));
}
