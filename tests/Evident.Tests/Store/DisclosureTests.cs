using System.Security.Cryptography;
using System.Text;
using Evident.Ledger;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>One payload in an auditor's hands: it meets the commitment that the ledger names, and nothing else does; that it was handed over is in the ledger first.</summary>
public sealed class DisclosureTests
{
    private static readonly Actor Auditor = new("1000", "uid");

    [Fact]
    public async Task A_disclosed_payload_is_found_in_the_ledger()
    {
        using var at = new TemporaryStore();
        at.Send(
            new Sent(1, 1, "agent.run").With(("agent.run_id", "run-1")) with { Until = 5 },
            new Sent(1, 2, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", """{"to":"desk 7"}"""), ("agent.run_id", "run-1")) with { Parent = 1, At = 1, Until = 2 },
            new Sent(1, 3, "tool.call").With(("tool.name", "crm.lookup"), ("tool.args", """{"q":"not in the ledger"}"""), ("agent.run_id", "run-1")) with { Parent = 1, At = 2, Until = 3 });
        var spans = at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans;
        string reference = spans.Single(s => s.SpanId == Sent.SpanHex(2)).Payloads.Single(p => p.Role == "tool.args").Ref!;
        string other = spans.Single(s => s.SpanId == Sent.SpanHex(3)).Payloads.Single(p => p.Role == "tool.args").Ref!;

        byte[] file = await at.Store.DisclosePayloadAsync(reference, "finding 12", "audit-2026", Auditor, default);
        byte[] unnamed = await at.Store.DisclosePayloadAsync(other, "finding 13", null, Auditor, default);
        var entries = at.Entries().Where(e => e.Type == "vault.disclose").Select(e => e.Json.GetProperty("vault")).ToArray();
        Assert.Equal([reference, other], entries.Select(e => e.GetProperty("ref").GetString()));
        Assert.Equal("audit-2026", entries[0].GetProperty("recipient").GetString());
        Assert.EndsWith("""{"to":"desk 7"}""", Encoding.UTF8.GetString(file), StringComparison.Ordinal);

        // docs/vault-format.md section 2, by hand.
        var lines = Encoding.UTF8.GetString(file).Split('\n').Select(l => l.Split(' ', 2)).Where(p => p.Length == 2).ToDictionary(p => p[0], p => p[1], StringComparer.Ordinal);
        byte[] message = [.. "agentvault/commit/v1\0"u8, .. Lp(lines["scope"]), .. Lp(lines["ref"]), .. Lp(lines["role"]), .. Encoding.UTF8.GetBytes("""{"to":"desk 7"}""")];
        string commitment = "hmac-sha256:" + Convert.ToHexStringLower(HMACSHA256.HashData(Convert.FromHexString(lines["salt"]), message));
        var call = at.Entries().Single(e => e.Type == "tool.call").Json;
        Assert.Equal(commitment, call.GetProperty("payload").GetProperty("args").GetProperty("commitment").GetString());

        await at.Store.PublishAsync(default);
        string origin = at.Store.LedgerHead().Origin;
        at.Close();
        Assert.Equal(Verdict.Unanchored, Verify(at.Data, file, at).Code);
        Assert.Contains($"entry {call.GetProperty("seq").GetInt64()} names", Verify(at.Data, file, at).Findings, StringComparison.Ordinal);
        Assert.Equal(Verdict.VaultMismatch, Verify(at.Data, unnamed, at).Code);
        byte[] changed = [.. file];
        changed[^3] ^= 1;
        var (code, findings) = Verify(at.Data, changed, at);
        Assert.True(code == Verdict.VaultMismatch && findings.Contains("do not meet", StringComparison.Ordinal), findings);
        Assert.Equal(Verdict.VaultMismatch, Verify(at.Data, Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(file).Replace(origin, "evident.local/" + new string('0', 32), StringComparison.Ordinal)), at).Code);
        Assert.Equal(Verdict.Usage, Verify(at.Data, file[..^1], at).Code);
        Assert.Equal(Verdict.Usage, Verify(at.Data, "nothing of the kind"u8.ToArray(), at).Code);
    }

    private static byte[] Lp(string text) => [0, 0, 0, (byte)text.Length, .. Encoding.ASCII.GetBytes(text)];

    private static (int Code, string Findings) Verify(string path, byte[] disclosure, TemporaryStore at)
    {
        string file = Path.Combine(at.Data, "payload.disclosure");
        File.WriteAllBytes(file, disclosure);
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = path, Disclosed = [file] });
        return (report.ExitCode, $"{report.Summary} {string.Join(" | ", report.Findings)}");
    }
}
