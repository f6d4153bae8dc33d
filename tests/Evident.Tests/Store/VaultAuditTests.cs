using Evident.Ledger;
using Evident.Store;
using Evident.Vault;

namespace Evident.Tests.Store;

/// <summary>T32, T34: what happened to packs and wraps behind the appliance's back is found without a key, and what a receipt covers is no mismatch.</summary>
public sealed class VaultAuditTests
{
    private const string Pack = "short-2026-05-07";

    private static TemporaryStore Filled()
    {
        var at = new TemporaryStore();
        for (ulong run = 1; run <= 3; run++)
        {
            at.Send(
                new Sent(run, 1, "agent.run").With(("agent.run_id", $"run-{run}"), ("outcome", "success")) with { Until = 5 },
                new Sent(run, 2, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", $$"""{"n":"number {{run}}"}"""), ("agent.run_id", $"run-{run}")) with { Parent = 1, At = 1, Until = 2 });
        }

        at.Close();
        return at;
    }

    private static VaultReader Keys(TemporaryStore at) => VaultReader.Open(
        new VaultOptions { Directory = Path.Combine(at.Data, "vault"), KeysDirectory = Path.Combine(at.Data, "keys") }, at.Clock);

    private static (int Code, string Findings) Audit(TemporaryStore at, bool withKeys = false)
    {
        at.Close();
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = at.Data, Audits = [VaultAudit.Of(at.Data, withKeys ? () => Keys(at) : null)] });
        return (report.ExitCode, string.Join(" | ", report.Findings));
    }

    private static string Wraps(TemporaryStore at) => Path.Combine(at.Data, "vault", Pack + ".wraps");

    private static string Bodies(TemporaryStore at) => Path.Combine(at.Data, "vault", Pack + ".pack");

    private static void Edit(string file, Func<byte[], byte[]> change) => File.WriteAllBytes(file, change(File.ReadAllBytes(file)));

    [Fact]
    public void A_vault_that_was_left_alone_holds_what_the_ledger_names()
    {
        using var at = Filled();
        var (code, findings) = Audit(at);
        Assert.True(code == Verdict.Unanchored, findings);
        Assert.Contains("the 3 payloads that the ledger names", findings, StringComparison.Ordinal);
    }

    [Fact]
    public void A_body_that_was_exchanged_for_one_of_equal_length_is_found_with_the_keys()
    {
        using var at = Filled();
        var (code, findings) = Audit(at, withKeys: true);
        Assert.True(code == Verdict.Unanchored, findings);
        Assert.Contains("3 bodies were opened and met their commitments, 0 wraps are under keys that are not there", findings, StringComparison.Ordinal);
        Edit(Bodies(at), b => { b[^20] ^= 1; return b; });
        Assert.Equal(Verdict.Unanchored, Audit(at).Code);
        (code, findings) = Audit(at, withKeys: true);
        Assert.True(code == Verdict.VaultMismatch, $"{code} {findings}");
        Assert.Contains("a chunk of its body was changed", findings, StringComparison.Ordinal);

        Directory.Delete(Path.Combine(at.Data, "keys"), recursive: true);
        Assert.Equal(Verdict.Incomplete, Audit(at, withKeys: true).Code); // "I could not look" is not "this was altered"
    }

    public static TheoryData<string, string> Damages => new()
    {
        { "a pack without receipt", "is not in the vault" },
        { "a pack gone, its wraps left", "no pack" },
        { "wraps gone, their pack left", "is not in the vault" },
        { "a wrap cut out", "is not in the vault" },
        { "two wraps exchanged", "out of order" },
        { "a bit of a wrap", "damaged" },
        { "another commitment", "another commitment" },
        { "another day", "another last day" },
        { "a pack cut short", "cut short" },
        { "two bodies exchanged", "not where its wrap says" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void What_was_done_to_it_is_found_and_told(string damage, string told)
    {
        using var at = Filled();
        switch (damage)
        {
            case "a pack without receipt": File.Delete(Wraps(at)); File.Delete(Bodies(at)); break;
            case "a pack gone, its wraps left": File.Delete(Bodies(at)); break;
            case "wraps gone, their pack left": File.Delete(Wraps(at)); break;
            case "a wrap cut out": Edit(Wraps(at), b => [.. b[..256], .. b[512..]]); break;
            case "two wraps exchanged": Edit(Wraps(at), b => [.. b[256..512], .. b[..256], .. b[512..]]); break;
            case "a bit of a wrap": Edit(Wraps(at), b => { b[300] ^= 4; return b; }); break;
            case "another commitment": Edit(Wraps(at), b => Changed(b, w => w.Commitment[0] ^= 1)); break;
            case "another day": Edit(Wraps(at), b => Changed(b, w => w.ExpiryDay++)); break;
            case "a pack cut short": Edit(Bodies(at), b => b[..^10]); break;
            default: Edit(Bodies(at), b => [.. b[(b.Length / 3)..(b.Length / 3 * 2)], .. b[..(b.Length / 3)], .. b[(b.Length / 3 * 2)..]]); break;
        }

        var (code, findings) = Audit(at);
        Assert.True(code == Verdict.VaultMismatch, $"{code} {findings}");
        Assert.Contains(told, findings, StringComparison.Ordinal);
    }

    private delegate void Change(WrapRecord wrap);

    private static byte[] Changed(byte[] wraps, Change change)
    {
        var record = new WrapRecord(wraps.AsSpan(0, WrapRecord.Bytes));
        change(record);
        record.Finish(); // whoever did it can make a checksum
        return wraps;
    }

    [Fact]
    public async Task What_a_receipt_covers_is_no_mismatch_and_an_erasure_leaves_its_wraps()
    {
        using var at = Filled();
        await at.Store.VaultActs.ShredAsync("run", "run-1", "erasure request", new Actor("1000", "uid"), default);
        Assert.Equal(Verdict.Unanchored, Audit(at).Code);
        at.Clock.Now += TimeSpan.FromDays(2);
        at.Store.VaultActs.Sweep(default);
        Assert.False(File.Exists(Bodies(at)));
        var (code, findings) = Audit(at);
        Assert.True(code == Verdict.Unanchored, findings);

        // What was sealed since is covered by no receipt.
        at.Send(
            new Sent(9, 1, "agent.run").With(("agent.run_id", "run-9"), ("outcome", "success")) with { Until = 5 },
            new Sent(9, 2, "tool.call").With(("tool.name", "gmail.send"), ("tool.args", """{"n":"nine"}"""), ("agent.run_id", "run-9")) with { Parent = 1, At = 1, Until = 2 });
        at.Close();
        foreach (string file in Directory.GetFiles(Path.Combine(at.Data, "vault"), "short-*"))
        {
            File.Delete(file);
        }

        Assert.Equal(Verdict.VaultMismatch, Audit(at).Code);
    }
}
