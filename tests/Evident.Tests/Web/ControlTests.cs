using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Evident.Configuration;
using Evident.Control;
using Evident.Demo;

namespace Evident.Tests.Web;

/// <summary>Commands beside a running appliance, through DATA/control.sock, and without one.</summary>
public sealed class ControlTests : IDisposable
{
    private readonly TemporaryDirectory temporary = new();

    private string Data => Path.Combine(temporary.Path, "d");

    public void Dispose() => temporary.Dispose();

    [Fact]
    public async Task A_payload_is_read_through_the_running_appliance_and_without_it_and_each_reading_is_in_the_ledger()
    {
        string reference;
        await using (Appliance appliance = await StartAsync())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(ControlSocket.PathIn(Data)));
            DemoRun run = ApprovalRuns.RefundApproved(DateTimeOffset.UtcNow.AddMinutes(-5), "ticket-9421");
            var sender = new DemoSender(appliance.Url);
            await sender.SendAsync(run, CancellationToken.None);
            using JsonDocument? story = await sender.GetAsync($"/api/v1/runs/{run.RunId}", CancellationToken.None);
            reference = story!.RootElement.GetProperty("spans").EnumerateArray().SelectMany(s => s.GetProperty("payloads").EnumerateArray())
                .First(p => p.GetProperty("role").GetString() == "input.messages").GetProperty("ref").GetString()!;

            (int exitCode, string stdout, string stderr) = await CommandLineTests.RunAsync("vault", "read", reference, "--reason", "@ticket 9421", "--data", Data);
            Assert.Equal((0, ""), (exitCode, stderr));
            Assert.Contains("[email]", stdout, StringComparison.Ordinal);
            Assert.DoesNotContain("maria.keller", stdout, StringComparison.Ordinal);

            (exitCode, _, stderr) = await CommandLineTests.RunAsync("vault", "read", "vr_00000000000000000000000000", "--reason", "none", "--data", Data);
            Assert.Equal(1, exitCode);
            Assert.StartsWith("evident: vault read of vr_0", stderr, StringComparison.Ordinal);

            Assert.Equal(1, await ReadingsAsync(reference));
            (exitCode, stdout, _) = await CommandLineTests.RunAsync("vault", "status", "--json", "--data", Data);
            Assert.Equal(0, exitCode);
            Assert.True(JsonDocument.Parse(stdout).RootElement.GetProperty("payload_bytes").GetInt64() > 0);

            // A second owner is refused, with a sentence.
            (exitCode, _, stderr) = await CommandLineTests.RunAsync("serve", "--data", Data, "--listen", "http://127.0.0.1:0");
            Assert.Equal(1, exitCode);
            Assert.Contains("another evident process owns this data directory", stderr, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(ControlSocket.PathIn(Data)));
        (int code, string plain, _) = await CommandLineTests.RunAsync("vault", "read", reference, "--reason", "again", "--data", Data);
        Assert.Equal(0, code);
        Assert.Contains("[email]", plain, StringComparison.Ordinal);
        Assert.Equal(2, await ReadingsAsync(reference));

        (code, string head, _) = await CommandLineTests.RunAsync("ledger", "head", "--data", Data);
        Assert.Equal(0, code);
        string size = head.Split('\n')[1];
        (code, string proof, _) = await CommandLineTests.RunAsync("ledger", "prove", "0", "--size", size, "--json", "--data", Data);
        Assert.Equal((0, size), (code, JsonDocument.Parse(proof).RootElement.GetProperty("size").GetRawText()));
        (code, _, string error) = await CommandLineTests.RunAsync("ledger", "prove", size, "--data", Data);
        Assert.Equal(1, code);
        Assert.Contains("No published checkpoint covers entry", error, StringComparison.Ordinal);
        (code, string keys, _) = await CommandLineTests.RunAsync("keys", "status", "--data", Data);
        Assert.Equal(0, code);
        Assert.DoesNotContain("READABLE BY OTHERS", keys, StringComparison.Ordinal);
        (code, string doctor, _) = await CommandLineTests.RunAsync("doctor", "--data", Data);
        Assert.True(code == 0, doctor);
    }

    [Fact]
    public async Task A_staff_pseudonym_is_revealed_and_the_ledger_knows_first()
    {
        await using Appliance appliance = await StartAsync();
        using var client = new HttpClient();
        using var content = new StringContent("{\"timestamp\":\"2026-05-06T06:00:00Z\",\"run_id\":\"r1\",\"name\":\"approval\",\"approval.state\":\"approved\",\"tool.name\":\"refund.submit\",\"approver_id\":\"anna.schmidt@corp.example\"}", Encoding.UTF8, "application/json");
        Assert.True((await client.PostAsync(appliance.Url + "/v1/events", content)).IsSuccessStatusCode);
        string ledger = (await CommandLineTests.RunAsync("ledger", "cat", "--data", Data)).Stdout;
        string id = System.Text.RegularExpressions.Regex.Match(ledger, "\"approver_id\":\"(s_[0-9a-f]{32})\"").Groups[1].Value;
        (int code, string told, string error) = await CommandLineTests.RunAsync("identity", "reveal", id, "--reason", "audit", "--data", Data);
        Assert.Equal((0, "anna.schmidt@corp.example\n", ""), (code, told, error));
        (code, _, error) = await CommandLineTests.RunAsync("identity", "reveal", "s_00000000000000000000000000000000", "--reason", "audit", "--data", Data);
        Assert.Equal(1, code);
        Assert.Contains("not in the register", error, StringComparison.Ordinal);
        (code, _, _) = await CommandLineTests.RunAsync("identity", "reveal", "anna", "--reason", "audit", "--data", Data);
        Assert.Equal(1, code);
        ledger = (await CommandLineTests.RunAsync("ledger", "cat", "--data", Data)).Stdout;
        Assert.Equal(2, ledger.Split('\n').Count(l => l.Contains("\"type\":\"identity.reveal\"", StringComparison.Ordinal)));
        Assert.DoesNotContain("anna", ledger, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_debug_session_is_asked_for_approved_shown_and_closed_by_commands()
    {
        (int Code, string Out, string Error) said;
        string id;
        await using (Appliance appliance = await StartAsync())
        {
            said = await DebugAsync("list");
            Assert.Equal((0, "No debug session is asked for or open.\n"), (said.Code, said.Out));
            said = await DebugAsync("request", "--tenant", "acme", "--workflow", "refund*", "--minutes", "30", "--reason", "ticket 9421, mail of maria.keller@example.com");
            Assert.Equal((0, ""), (said.Code, said.Error));
            JsonElement asked = await SessionAsync(appliance.Url);
            id = asked.GetProperty("id").GetString()!;
            Assert.Contains(id, said.Out, StringComparison.Ordinal);
            Assert.Equal(("requested", "ticket 9421, mail of [email]", $"uid {LocalUser.Own}"), (asked.GetProperty("state").GetString(), asked.GetProperty("reason").GetString(), asked.GetProperty("requested_by").GetString()));

            said = await DebugAsync("approve", id);
            Assert.Equal(1, said.Code);
            Assert.Contains("another person has to approve it", said.Error, StringComparison.Ordinal);
            said = await DebugAsync("approve", id, "--single-operator");
            Assert.Equal((0, ""), (said.Code, said.Error));
            Assert.StartsWith("Open until ", said.Out, StringComparison.Ordinal);
            JsonElement open = await SessionAsync(appliance.Url);
            Assert.Equal(("open", true), (open.GetProperty("state").GetString(), open.GetProperty("single_operator").GetBoolean()));
            Assert.Equal(30, (DateTimeOffset.Parse(open.GetProperty("until").GetString()!, System.Globalization.CultureInfo.InvariantCulture)
                - DateTimeOffset.Parse(open.GetProperty("opened").GetString()!, System.Globalization.CultureInfo.InvariantCulture)).TotalMinutes);
        }

        // Without a server the same commands work on the same session.
        said = await DebugAsync("list");
        Assert.Contains($"{id}  OPEN  tenant acme, workflow refund*", said.Out, StringComparison.Ordinal);
        said = await DebugAsync("close", id);
        Assert.Equal((0, $"Closed {id}.\n"), (said.Code, said.Out));
        said = await DebugAsync("close", id);
        Assert.Equal(1, said.Code);
        (_, string ledger, _) = await CommandLineTests.RunAsync("ledger", "cat", "--data", Data);
        Assert.Equal(["requested", "approved", "opened", "closed"], ledger.Split('\n').Where(l => l.Contains("\"type\":\"debug.session.", StringComparison.Ordinal)).Select(l => JsonDocument.Parse(l).RootElement.GetProperty("type").GetString()!["debug.session.".Length..]));

        Task<(int, string, string)> DebugAsync(params string[] arguments) => CommandLineTests.RunAsync(["debug", .. arguments, "--data", Data]);
        static async Task<JsonElement> SessionAsync(string url)
        {
            using var client = new HttpClient();
            return JsonDocument.Parse(await client.GetStringAsync(url + "/api/v1/status")).RootElement.GetProperty("capture").GetProperty("debug_sessions").EnumerateArray().Single();
        }
    }

    [Theory]
    [InlineData("not json\n")]
    [InlineData("{\"op\":\"debug.request\"}\n")]
    [InlineData("{\"op\":\"debug.request\",\"reason\":\"x\",\"debug\":{\"tenant\":\"a\",\"workflow\":\"w\",\"minutes\":0}}\n")]
    [InlineData("{\"op\":\"debug.approve\",\"ref\":\"ds_000000000000\"}\n")]
    [InlineData("{\"op\":\"debug.close\",\"ref\":5}\n")]
    [InlineData("{\"op\":\"delete.everything\"}\n")]
    [InlineData("{\"op\":\"vault.read\"}\n")]
    [InlineData("{\"op\":\"ledger.anchor\"}\n")]
    [InlineData("{\"op\":\"ledger.anchor\",\"note\":\"%%%\"}\n")]
    [InlineData("{\"op\":\"ledger.anchor\",\"note\":\"aGVsbG8=\"}\n")]
    [InlineData("[]\n")]
    public async Task Whatever_comes_over_the_socket_is_answered_and_the_appliance_goes_on(string line)
    {
        await using Appliance appliance = await StartAsync();
        Reply reply = await RawAsync(line);
        Assert.Equal(1, reply.ExitCode);
        Assert.NotNull(reply.Error);
        Assert.Equal(0, (await Asking.TryAskServerAsync(Data, new Operation(Operation.Status), CancellationToken.None))!.ExitCode);
    }

    [Fact]
    public async Task A_line_without_end_is_cut_at_its_limit()
    {
        await using Appliance appliance = await StartAsync();
        Reply reply = await RawAsync(new string('x', ControlSocket.MaxRequestBytes + 1));
        Assert.Equal(1, reply.ExitCode);
    }

    [Fact]
    public async Task A_socket_left_by_a_killed_process_is_no_server()
    {
        Directory.CreateDirectory(Data);
        using (Socket dead = ControlSocket.NewSocket())
        {
            dead.Bind(new UnixDomainSocketEndPoint(ControlSocket.PathIn(Data)));
        }

        await File.WriteAllTextAsync(ControlSocket.PathIn(Data) + ".marker", "");
        Assert.Null(await Asking.TryAskServerAsync(Data, new Operation(Operation.Status), CancellationToken.None));
        await using Appliance appliance = await StartAsync();
        Assert.NotNull(await Asking.TryAskServerAsync(Data, new Operation(Operation.Status), CancellationToken.None));
    }

    [Fact]
    public async Task The_log_holds_no_text_of_senders_as_it_was()
    {
        var stderr = new StringWriter();
        using var log = new ApplianceLog(Microsoft.Extensions.Logging.LogLevel.Information, stderr);
        log.Write(Microsoft.Extensions.Logging.LogLevel.Warning, "Test", "before the file: maria.keller@example.com\nforged line", new IOException("card 4111 1111 1111 1111"));
        Directory.CreateDirectory(Data);
        log.AttachFile(Data, 1 << 20, 2);
        log.Write(Microsoft.Extensions.Logging.LogLevel.Debug, "Test", "too fine");
        log.Dispose();
        string written = await File.ReadAllTextAsync(Assert.Single(Directory.GetFiles(Data)));
        Assert.Contains("[email]", written, StringComparison.Ordinal);
        Assert.Contains("[card]", written, StringComparison.Ordinal);
        Assert.DoesNotContain("maria", written, StringComparison.Ordinal);
        Assert.DoesNotContain("4111", written, StringComparison.Ordinal);
        Assert.DoesNotContain("too fine", written, StringComparison.Ordinal);
        Assert.Single(written.TrimEnd('\n').Split('\n'));
        Assert.Equal(written, stderr.ToString());
    }

    private async Task<int> ReadingsAsync(string reference)
    {
        (int exitCode, string stdout, string stderr) = await CommandLineTests.RunAsync("ledger", "cat", "--data", Data);
        Assert.Equal((0, ""), (exitCode, stderr));
        return stdout.Split('\n').Count(l => l.Contains("\"type\":\"vault.read\"", StringComparison.Ordinal) && l.Contains(reference, StringComparison.Ordinal));
    }

    private async Task<Reply> RawAsync(string line)
    {
        using Socket socket = ControlSocket.NewSocket();
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(ControlSocket.PathIn(Data)));
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(Encoding.UTF8.GetBytes(line));
        byte[]? reply = await ControlSocket.ReadLineAsync(stream, ControlSocket.MaxReplyLineBytes, CancellationToken.None);
        return Reply.Parse(reply!).Reply;
    }

    private async Task<Appliance> StartAsync()
    {
        var options = new ApplianceOptions();
        options.Listen = ["http://127.0.0.1:0"];
        return await Appliance.StartAsync(options, Data, CancellationToken.None);
    }
}
