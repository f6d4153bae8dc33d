using System.Runtime.CompilerServices;
using System.Text;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

/// <summary>The tables of docs/redaction.md say what the code does. Set EVIDENT_WRITE_DOCS=1 to write them anew.</summary>
public sealed class RedactionDocumentTests
{
    [Fact]
    public void Every_rule_stands_in_the_document()
    {
        var text = new StringBuilder("\n| rule | marker | without configuration | what it finds | found by |\n|---|---|---|---|---|\n");
        foreach (var rule in RuleSet.Default.Rules) text.Append($"| `{rule.Name}` | `{rule.Marker}` | {(rule.On ? "on" : "off")} | {rule.What} | {rule.Prefilter} |\n");
        Section("rules", text.Append('\n').ToString());
    }

    [Fact]
    public void Every_name_stands_in_the_document()
    {
        (string What, string[] Names)[] rows =
            [("secrets", SecretNames.Secrets), ("none, although they look so", SecretNames.Ordinary), ("perhaps: by the value", SecretNames.Perhaps), ("in queries", SecretNames.QueryNames)];
        var text = new StringBuilder("\n| | names |\n|---|---|\n");
        foreach (var (what, names) in rows) text.Append($"| {what} | {string.Join(' ', names.Select(n => $"`{n}`"))} |\n");
        Section("names", text.Append('\n').ToString());
    }

    private static void Section(string name, string expected, [CallerFilePath] string here = "")
    {
        string path = Path.GetFullPath(Path.Combine(here, "../../../../docs/redaction.md")), text = File.ReadAllText(path);
        string begin = $"<!-- {name}: begin (written from the code) -->\n", end = $"<!-- {name}: end -->";
        int from = text.IndexOf(begin, StringComparison.Ordinal) + begin.Length, to = text.IndexOf(end, StringComparison.Ordinal);
        if (Environment.GetEnvironmentVariable("EVIDENT_WRITE_DOCS") == "1")
        {
            File.WriteAllText(path, text[..from] + expected + text[to..]);
            return;
        }

        Assert.Equal(expected, text[from..to]);
    }
}
