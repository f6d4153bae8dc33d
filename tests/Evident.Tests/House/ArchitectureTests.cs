using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Evident.Tests.House;

/// <summary>The arrows of design section 2, and no others: in the project files and in what the sources use.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Evident"] = ["Evident.Web"],
        ["Evident.Web"] = ["Evident.Store"],
        ["Evident.Store"] = ["Evident.Ingest", "Evident.Vault", "Evident.Ledger"],
        ["Evident.Vault"] = ["Evident.Platform"],
        ["Evident.Ledger"] = ["Evident.Platform"],
        ["Evident.Ingest"] = [],
        ["Evident.Platform"] = [],
    };

    [Fact]
    public void The_house_has_these_seven_projects()
    {
        string[] found = [.. Directory.EnumerateFiles(Source(), "*.csproj", SearchOption.AllDirectories).Select(f => Path.GetFileNameWithoutExtension(f)!).Order(StringComparer.Ordinal)];
        Assert.Equal(Allowed.Keys.Order(StringComparer.Ordinal), found);
    }

    [Fact]
    public void Project_references_are_the_allowed_ones()
    {
        foreach (string project in Allowed.Keys)
        {
            string xml = File.ReadAllText(Path.Combine(Source(), project, project + ".csproj"));
            Assert.Empty(ForbiddenReferences(project, xml));
            Assert.Equal(Allowed[project].Order(StringComparer.Ordinal), References(xml).Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public void Sources_use_only_what_lies_below_them()
    {
        var forbidden = new List<string>();
        foreach (string project in Allowed.Keys)
        {
            foreach (string file in Directory.EnumerateFiles(Path.Combine(Source(), project), "*.cs", SearchOption.AllDirectories))
            {
                forbidden.AddRange(ForbiddenNamespaces(project, File.ReadAllText(file)).Select(n => $"{Path.GetFileName(file)} uses {n}"));
            }
        }

        Assert.Empty(forbidden);
    }

    [Theory]
    [InlineData("Evident.Ledger", "Evident.Vault")]
    [InlineData("Evident.Ingest", "Evident.Platform")]
    [InlineData("Evident.Store", "Evident.Web")]
    [InlineData("Evident.Web", "Evident.Ledger")]
    public void A_forbidden_reference_is_found(string project, string reference)
    {
        string xml = $"""<Project Sdk="Microsoft.NET.Sdk"><ItemGroup><ProjectReference Include="../{reference}/{reference}.csproj" /></ItemGroup></Project>""";
        Assert.Equal([reference], ForbiddenReferences(project, xml));
    }

    [Theory]
    [InlineData("Evident.Ledger", "using Evident.Vault;", "Evident.Vault")]
    [InlineData("Evident.Ingest", "var x = Evident.Platform.Sodium.RandomBytes;", "Evident.Platform")]
    [InlineData("Evident.Vault", "using global::Evident.Ledger;", "Evident.Ledger")]
    [InlineData("Evident.Store", "using W = Evident.Web.EvidentWeb;", "Evident.Web")]
    public void A_forbidden_namespace_is_found(string project, string code, string expected) =>
        Assert.Equal([expected], ForbiddenNamespaces(project, code));

    [Fact]
    public void The_server_has_no_outgoing_client()
    {
        string[] users = [.. Directory.EnumerateFiles(Source(), "*.cs", SearchOption.AllDirectories)
            .Where(f => OutgoingClient().IsMatch(WithoutComments(File.ReadAllText(f))))
            .Select(f => Path.GetRelativePath(Source(), f).Replace('\\', '/'))];
        Assert.Equal(["Evident/Demo/DemoSender.cs"], users);
    }

    private static string[] References(string xml) =>
        [.. XDocument.Parse(xml).Descendants("ProjectReference").Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value.Replace('\\', '/')))];

    private static string[] ForbiddenReferences(string project, string xml) => [.. References(xml).Except(Allowed[project])];

    private static string[] ForbiddenNamespaces(string project, string code)
    {
        HashSet<string> below = [project];
        var open = new Queue<string>([project]);
        while (open.TryDequeue(out string? at))
        {
            foreach (string next in Allowed[at].Where(below.Add))
            {
                open.Enqueue(next);
            }
        }

        return [.. ProjectName().Matches(WithoutComments(code)).Select(m => m.Value).Distinct().Where(n => Allowed.ContainsKey(n) && !below.Contains(n))];
    }

    private static string WithoutComments(string code) => Comment().Replace(code, "");

    private static string Source([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(here, "../../../../src"));

    [GeneratedRegex(@"\bEvident\.(Web|Store|Ingest|Vault|Ledger|Platform)\b", RegexOptions.NonBacktracking)]
    private static partial Regex ProjectName();

    [GeneratedRegex(@"//[^\n]*", RegexOptions.NonBacktracking)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\b(HttpClient|TcpClient|WebRequest|SocketsHttpHandler|ClientWebSocket)\b", RegexOptions.NonBacktracking)]
    private static partial Regex OutgoingClient();
}
