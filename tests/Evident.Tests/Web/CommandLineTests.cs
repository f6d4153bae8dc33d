using System.CommandLine;
using Evident.Commands;

namespace Evident.Tests.Web;

/// <summary>Exit codes and help of the command line (design section 4), in process.</summary>
public sealed class CommandLineTests
{
    [Theory]
    [InlineData("")]
    [InlineData("bogus")]
    [InlineData("serve", "--bogus")]
    [InlineData("serve", "extra")]
    [InlineData("verify")]
    [InlineData("verify", "--no-such-option")]
    [InlineData("vault", "read", "--bogus", "--reason", "why")]
    [InlineData("verify", "a", "b")]
    [InlineData("verify", ".", "--max-unanchored", "few")]
    [InlineData("verify", ".", "--max-unanchored", "-1")]
    [InlineData("verify", ".", "--policy")]
    [InlineData("verify", ".", "--cosign")]
    [InlineData("verify", ".", "--vault")]
    [InlineData("verify", ".", "--index")]
    [InlineData("verify", ".", "--traces")]
    [InlineData("verify", ".", "--report", "/")]
    [InlineData("ledger")]
    [InlineData("ledger", "prove")]
    [InlineData("ledger", "prove", "first")]
    [InlineData("ledger", "cat", "--from", "-1")]
    [InlineData("ledger", "prove", "1", "--size", "-1")]
    [InlineData("ledger", "head", "--since", "-1")]
    [InlineData("ledger", "head", "--since", "few")]
    [InlineData("ledger", "head", "--text", "--qr")]
    [InlineData("ledger", "head", "--json", "--since", "3")]
    [InlineData("ledger", "anchor")]
    [InlineData("witness")]
    [InlineData("witness", "cosign")]
    [InlineData("witness", "cosign", "f", "--out", "/")]
    [InlineData("witness", "init", "--name", "two words")]
    [InlineData("witness", "init", "--name", "w1.example", "--log", "no-key")]
    [InlineData("witness", "init", "--log", "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")]
    [InlineData("vault", "read", "vr_x")]
    [InlineData("vault", "read", "vr_x", "--reason", " ")]
    [InlineData("vault", "read", "--reason", "why")]
    public async Task A_wrong_command_line_is_64_and_says_what_to_do(params string[] arguments)
    {
        (int exitCode, string stdout, string stderr) = await RunAsync(arguments is [""] ? [] : arguments);
        Assert.Equal(64, exitCode);
        Assert.Empty(stdout);
        Assert.StartsWith("evident: ", stderr, StringComparison.Ordinal);
        Assert.Contains("--help' for what it takes.", stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_flag_of_later_work_is_refused_by_name_alone()
    {
        (_, _, string stderr) = await RunAsync("verify", ".", "--vault");
        Assert.Contains("--vault", stderr, StringComparison.Ordinal);
        Assert.DoesNotContain("--index", stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_command_has_help_with_an_example()
    {
        foreach (string[] path in Paths(CommandLine.Root(), []))
        {
            (int exitCode, string stdout, string stderr) = await RunAsync([.. path, "--help"]);
            Assert.Equal(0, exitCode);
            Assert.Empty(stderr);
            Assert.Contains("\nExample:\n  evident " + string.Join(' ', path.Length == 0 ? ["serve"] : path), stdout.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        }

        static IEnumerable<string[]> Paths(Command command, string[] path) =>
            [path, .. command.Subcommands.SelectMany(c => Paths(c, [.. path, c.Name]))];
    }

    [Theory]
    [InlineData("serve", "--listen", "http://0.0.0.0:0")]
    [InlineData("serve", "--listen", "http://192.0.2.1:4318")]
    [InlineData("serve", "--listen", "http://[::]:4318")]
    public async Task A_non_loopback_address_is_refused_with_what_to_do(params string[] arguments)
    {
        using var data = new TemporaryDirectory();
        string missing = Path.Combine(data.Path, "not-made");
        (int exitCode, string stdout, string stderr) = await RunAsync([.. arguments, "--data", missing]);
        Assert.Equal(1, exitCode);
        Assert.Empty(stdout);
        Assert.Contains("TLS and authentication are not configured", stderr, StringComparison.Ordinal);
        Assert.Contains("reverse proxy", stderr, StringComparison.Ordinal);
        Assert.False(Directory.Exists(missing));
    }

    [Fact]
    public async Task A_port_in_use_is_refused_and_the_data_directory_is_left_in_order()
    {
        using var data = new TemporaryDirectory();
        using var other = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        other.Start();
        string url = $"http://{other.LocalEndpoint}", directory = Path.Combine(data.Path, "d");
        for (int time = 0; time < 2; time++)
        {
            (int exitCode, string stdout, string stderr) = await RunAsync("serve", "--data", directory, "--listen", url);
            Assert.Equal((1, ""), (exitCode, stdout));
            Assert.StartsWith($"evident: Cannot listen on {url}", stderr, StringComparison.Ordinal);
            Assert.Single(stderr.TrimEnd().Split('\n'));
        }

        Assert.Equal(10, (await RunAsync("verify", directory)).ExitCode);
        Assert.Equal(0, (await RunAsync("verify", directory, "--allow-unanchored")).ExitCode);
    }

    [Fact]
    public async Task The_demo_shows_every_kind_of_run_and_its_ledger_verifies()
    {
        using var data = new TemporaryDirectory();
        (int exitCode, string stdout, _) = await RunAsync("demo", "--once", "--data", Path.Combine(data.Path, "d"), "--listen", "http://127.0.0.1:0");
        Assert.True(exitCode == 0, stdout);
        Assert.Contains("runs: 15 of 15", stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("MISSING", stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_configuration_is_refused_with_every_problem()
    {
        using var data = new TemporaryDirectory();
        await File.WriteAllTextAsync(Path.Combine(data.Path, "evident.json"), """{"http":{"maxHeaders":1},"x":1}""");
        (int exitCode, _, string stderr) = await RunAsync("serve", "--data", data.Path);
        Assert.Equal(1, exitCode);
        Assert.Contains("http.maxHeaders is 1", stderr, StringComparison.Ordinal);
        Assert.Contains("x is not a configuration value", stderr, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ledger", "head")]
    [InlineData("ledger", "cat")]
    [InlineData("ledger", "prove", "0")]
    [InlineData("keys", "status")]
    [InlineData("vault", "status")]
    [InlineData("vault", "read", "vr_01ARZ3NDEKTSV4RRFFQ69G5FAV", "--reason", "@why")]
    public async Task Without_a_data_directory_a_command_is_refused_and_creates_none(params string[] arguments)
    {
        using var data = new TemporaryDirectory();
        string missing = Path.Combine(data.Path, "none");
        (int exitCode, string stdout, string stderr) = await RunAsync([.. arguments, "--data", missing]);
        Assert.Equal(1, exitCode);
        Assert.Empty(stdout);
        Assert.Contains("--data", stderr, StringComparison.Ordinal);
        Assert.False(Directory.Exists(missing));
    }

    [Fact]
    public async Task Conventions_and_version_go_to_stdout()
    {
        (int exitCode, string stdout, _) = await RunAsync("config", "--conventions");
        Assert.Equal(0, exitCode);
        Assert.Contains("gen_ai.tool.name", stdout, StringComparison.Ordinal);
        (exitCode, stdout, _) = await RunAsync("version");
        Assert.Equal(0, exitCode);
        Assert.StartsWith("evident 0.", stdout, StringComparison.Ordinal);
    }

    internal static async Task<(int ExitCode, string Stdout, string Stderr)> RunAsync(params string[] arguments)
    {
        using StringWriter stdout = new(), stderr = new();
        int exitCode = await CommandLine.RunAsync(arguments, stdout, stderr);
        return (exitCode, stdout.ToString(), stderr.ToString());
    }
}

/// <summary>A directory of its own for one test, removed afterwards.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("ev-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
