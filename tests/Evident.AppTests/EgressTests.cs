using Xunit;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>Nothing leaves the machine: no connection but the demo's own to its own listener, no name look-up.</summary>
public sealed class EgressTests(ITestOutputHelper test)
{
    private const string Calls = "connect,socket,sendto,sendmsg,sendmmsg,openat,open";

    // What the C library reads when it looks up a host name, and the servers it would ask.
    private static readonly string[] NameLookUp = ["/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "libnss_dns", "libresolv", "/run/systemd/resolve"];

    [Fact]
    public void The_demo_talks_to_itself_only()
    {
        using var place = new TestDirectory();
        var (result, calls) = TracedEvident.Run(place, Calls, "demo", "--once", "--data", place.Data, "--listen", "http://127.0.0.1:0");
        Assert.True(result.Code == 0, result.ToString());
        var connects = calls.Where(c => c.Name == "connect").ToArray();
        foreach (var c in connects) test.WriteLine($"{c.Arguments} = {c.Result}");
        var inet = connects.Where(c => c.Arguments.Contains("AF_INET", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(inet);
        Assert.All(inet, c => Assert.Matches(@"inet_addr\(""127\.0\.0\.1""\)|""(::ffff:127\.0\.0\.1|::1)""", c.Arguments));
        NoLookUp(calls);
    }

    [Fact]
    public async Task Serving_connects_nowhere()
    {
        using var place = new TestDirectory();
        using var traced = await TracedEvident.ServeAsync(place, Calls);
        using (var wire = new Wire(traced.Url))
        {
            for (var i = 0; i < 100; i++)
                await wire.AcceptAsync(OtlpRequest.Of(AgentRun.Tool($"run-{i}", "mail.send", """{"url":"https://example.com/","host":"example.org"}""").With("server.address", "example.com").With("url.full", "https://example.com/a?b=c")), json: i % 2 == 0);
            await wire.JsonAsync("/api/v1/runs");
            await wire.GetAsync("/");
            await wire.GetAsync("/metrics");
        }
        Assert.Equal(0, traced.Stop());
        var calls = traced.CallsSince(0);
        Assert.DoesNotContain(calls, c => c.Name == "connect");
        // The runtime opens datagram sockets to learn what the kernel can do; nothing is ever sent through one.
        Assert.DoesNotContain(calls, c => c.Name.StartsWith("send", StringComparison.Ordinal) && c.Target.StartsWith("UDP", StringComparison.Ordinal));
        NoLookUp(calls);
    }

    private static void NoLookUp(List<SystemCall> calls) => Assert.DoesNotContain(
        calls, c => c.Name is "open" or "openat" or "connect" && NameLookUp.Any(n => c.Arguments.Contains(n, StringComparison.Ordinal)));
}
