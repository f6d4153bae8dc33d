using System.Text;
using System.Text.Json;
using Evident.Ledger;
using Evident.Store;
using Evident.Vault;

namespace Evident.Tests.Store;

/// <summary>
/// What is kept for how long: expiry drops keys and packs of past days, payloads of runs that did not plainly succeed are kept longer, holds forbid both; each of it two-phase and in the ledger (T28, T35, T36).
/// </summary>
public sealed class RetentionTests
{
    private static readonly Actor Auditor = new("1000", "uid");

    private static Sent[] Run(ulong trace, int status = 0, string tenant = "acme") =>
    [
        new Sent(trace, 1, "agent.run").With(("agent.run_id", $"run-{trace}"), ("tenant_id", tenant), ("outcome", status == 2 ? "failure" : "success")) with { Until = 5, Status = status },
        new Sent(trace, 2, "tool.call").With(("tool.name", "crm.lookup"), ("tool.args", $$"""{"canary":"of run {{trace}}"}"""), ("agent.run_id", $"run-{trace}"), ("tenant_id", tenant))
            with { Parent = 1, At = 1, Until = 2 },
    ];

    private static string ArgsOf(TemporaryStore at, ulong trace) =>
        at.Store.GetTrace(Sent.TraceOf(trace), default)!.Spans.Single(s => s.SpanId == Sent.SpanHex(2)).Payloads.Single(p => p.Role == "tool.args").Ref!;

    private static async Task<string> Read(TemporaryStore at, string reference)
    {
        try
        {
            return Encoding.UTF8.GetString((await at.Store.ReadPayloadAsync(reference, "test", Auditor, default)).Plaintext);
        }
        catch (PayloadDeniedException denied)
        {
            return denied.Code;
        }
    }

    private static JsonElement[] Of(TemporaryStore at, string type) => [.. at.Entries().Where(e => e.Type == type).Select(e => e.Json)];

    private static string[] Packs(TemporaryStore at) =>
        [.. Directory.GetFiles(Path.Combine(at.Data, "vault"), "*.pack").Select(f => Path.GetFileNameWithoutExtension(f)).Order(StringComparer.Ordinal)];

    private static void Verified(TemporaryStore at)
    {
        at.Close();
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = at.Data });
        Assert.True(report.ExitCode == Verdict.Unanchored, $"{report.Summary} {string.Join(" | ", report.Findings)}");
    }

    [Fact]
    public async Task Payloads_of_a_success_end_after_their_day_and_those_of_a_failure_are_kept_longer()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        at.Send(Run(2, status: 2)); // the step before the failure succeeded: its payload is of the short class at first
        string success = ArgsOf(at, 1), failure = ArgsOf(at, 2);
        long generation = at.Store.Vault.Generation;
        at.Clock.Now += TimeSpan.FromHours(14); // the next UTC day: its last
        at.Store.VaultActs.Sweep(default);
        Assert.Contains("run 1", await Read(at, success), StringComparison.Ordinal);
        Assert.Empty(Of(at, "vault.shred.done"));

        at.Clock.Now += TimeSpan.FromDays(1);
        at.Send(Run(3));
        at.Store.VaultActs.Sweep(default);
        Assert.Equal("not_found", await Read(at, success));
        Assert.Contains("run 2", await Read(at, failure), StringComparison.Ordinal);
        Assert.Contains("run 3", await Read(at, ArgsOf(at, 3)), StringComparison.Ordinal);
        Assert.DoesNotContain("short-2026-05-07", Packs(at));

        var promoted = Assert.Single(Of(at, "vault.promote")).GetProperty("promote");
        Assert.Equal(("short", "long", 1L, "2026-06-07"), (promoted.GetProperty("from").GetString(), promoted.GetProperty("to").GetString(), promoted.GetProperty("count").GetInt64(), promoted.GetProperty("expires").GetString()));
        var intent = Assert.Single(Of(at, "vault.shred.intent"));
        var done = Assert.Single(Of(at, "vault.shred.done"));
        Assert.Equal(("expiry", "2026-05-07"), (intent.GetProperty("shred").GetProperty("by").GetString(), intent.GetProperty("shred").GetProperty("value").GetString()));
        Assert.Equal(intent.GetProperty("id").GetString(), done.GetProperty("refers").GetProperty("entry").GetString());
        Assert.Equal(intent.GetProperty("shred").GetProperty("refs_root").GetString(), done.GetProperty("shred").GetProperty("refs_root").GetString());
        Assert.Equal(Root(success), done.GetProperty("shred").GetProperty("refs_root").GetString());
        Assert.True(done.GetProperty("shred").GetProperty("keystore_after").GetInt64() > generation);
        Assert.Equal("L1", done.GetProperty("shred").GetProperty("level").GetString());

        at.Clock.Now += TimeSpan.FromDays(32);
        await at.Store.VaultActs.ConfirmClockAsync(Auditor);
        at.Store.VaultActs.Sweep(default);
        Assert.Equal("not_found", await Read(at, failure));
        Verified(at);
    }

    private static string Root(params string[] references)
    {
        var tree = new MerkleFrontier();
        foreach (string reference in references.Order(StringComparer.Ordinal))
        {
            tree.Append(Merkle.Leaf(Encoding.ASCII.GetBytes(reference)));
        }

        return LedgerFormat.HashText(tree.Root());
    }

    [Theory]
    [InlineData("planned")]
    [InlineData("intended")]
    [InlineData("destroyed")]
    [InlineData("received")]
    public async Task A_shredding_that_a_crash_interrupts_is_finished_by_the_next_start(string step)
    {
        string? data = null, crashed = null;
        using var at = new TemporaryStore { Adjust = o => With(o, Copy) };
        data = at.Data;
        at.Send(Run(1));
        at.Send(Run(2, status: 2));
        string success = ArgsOf(at, 1), failure = ArgsOf(at, 2);
        at.Clock.Now += TimeSpan.FromDays(2);
        Assert.ThrowsAny<Exception>(() => at.Store.VaultActs.Sweep(default));
        at.Close();
        using var next = new TemporaryStore(crashed!) { Clock = at.Clock };
        Assert.Equal("not_found", await Read(next, success));
        Assert.Contains("run 2", await Read(next, failure), StringComparison.Ordinal);
        next.Store.VaultActs.Sweep(default); // nothing is left to do
        Assert.Equal(Assert.Single(Of(next, "vault.shred.intent")).GetProperty("id").GetString(), Assert.Single(Of(next, "vault.shred.done")).GetProperty("refers").GetProperty("entry").GetString());
        Assert.Single(Of(next, "vault.promote"));
        Assert.False(File.Exists(Path.Combine(next.Data, "vault", "shred.plan")));
        Verified(next);

        void Copy(string reached)
        {
            if (reached == step)
            {
                crashed = data + "-crash";
                TemporaryStore.CopyDirectory(data!, crashed); // the disk as SIGKILL would leave it here
                throw new IOException("a crash at " + step);
            }
        }
    }

    private static StoreOptions With(StoreOptions o, Action<string> step) => new() { DataDirectory = o.DataDirectory, Tools = o.Tools, IdleMillis = 2, SweepMinutes = 0, ShredStep = step };

    [Fact]
    public async Task Every_payload_of_an_end_user_is_erased_and_nobody_elses()
    {
        using var at = new TemporaryStore();
        at.Send([.. Run(1).Select(s => s.With(("user.id", "mrs.planted@mail.example")))]);
        at.Send([Run(2)[0].With(("user.id", "mrs.planted@mail.example")), Run(2)[1]]); // named on the root alone
        at.Send([.. Run(3).Select(s => s.With(("user.id", "somebody else")))]);
        string[] erased = [ArgsOf(at, 1), ArgsOf(at, 2)];
        string other = ArgsOf(at, 3);
        string user = at.Store.GetTrace(Sent.TraceOf(1), default)!.Spans[0].Attributes.Single(a => a.Key == "actor.user_id").Value.Value.Text!;
        Assert.StartsWith("u_", user, StringComparison.Ordinal);
        await Assert.ThrowsAsync<VaultActRefusedException>(() => at.Store.VaultActs.ShredAsync("subject", "mrs.planted@mail.example", "request 118", Auditor, default));
        var receipt = await at.Store.VaultActs.ShredAsync("subject", user, "request 118", Auditor, default);
        Assert.Equal(2, receipt.Payloads);
        foreach (string one in erased) Assert.Equal("shredded", await Read(at, one));
        Assert.Contains("run 3", await Read(at, other), StringComparison.Ordinal);
        var intent = Assert.Single(Of(at, "vault.shred.intent")).GetProperty("shred");
        Assert.Equal(("subject", user), (intent.GetProperty("by").GetString(), intent.GetProperty("value").GetString()));
        Verified(at);
    }

    [Fact]
    public async Task A_tenant_whose_payloads_are_over_can_still_be_erased_with_its_pseudonyms()
    {
        using var at = new TemporaryStore();
        at.Send([.. Run(1).Select(s => s.With(("user.id", "mrs.planted@mail.example")))]);
        await at.Store.VaultActs.ShredAsync("tenant", "acme", "off-boarding", Auditor, default);
        at.Send([.. Run(2).Select(s => s.With(("user.id", "mrs.planted@mail.example")))]);
        string User(ulong trace) => at.Store.GetTrace(Sent.TraceOf(trace), default)!.Spans[0].Attributes.Single(a => a.Key == "actor.user_id").Value.Value.Text!;
        Assert.NotEqual(User(1), User(2)); // the key of the first is gone
        await at.Store.VaultActs.ShredAsync("tenant", "acme", "off-boarding", Auditor, default);
        Assert.Equal(0, (await at.Store.VaultActs.ShredAsync("tenant", "acme", "and again", Auditor, default)).Payloads);
        Verified(at);
    }

    [Fact]
    public async Task A_part_of_a_payload_is_read_and_the_entry_says_which()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        string reference = ArgsOf(at, 1), whole = await Read(at, reference);
        var part = await at.Store.ReadPayloadAsync(reference, (3, 5), "test", Auditor, default);
        Assert.Equal(whole[3..8], Encoding.UTF8.GetString(part.Plaintext));
        part = await at.Store.ReadPayloadAsync(reference, (3, 5_000), "test", Auditor, default);
        Assert.Equal(whole[3..], Encoding.UTF8.GetString(part.Plaintext));
        await Assert.ThrowsAsync<ArgumentException>(() => at.Store.ReadPayloadAsync(reference, (whole.Length, 1), "test", Auditor, default));
        Assert.Equal([null, 3L, 3L], Of(at, "vault.read").Select(e => e.GetProperty("vault").TryGetProperty("first_byte", out var first) ? first.GetInt64() : (long?)null));
        Verified(at);
    }

    [Fact]
    public async Task Holds_come_back_from_the_ledger_when_their_file_is_gone()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        at.Send(Run(2));
        string held = ArgsOf(at, 1);
        string hold = await at.Store.VaultActs.HoldAsync("run", "run-1", "case 17", Auditor);
        string released = await at.Store.VaultActs.HoldAsync("run", "run-2", "case 18", Auditor);
        await at.Store.VaultActs.ReleaseAsync(released, "closed", Auditor);
        at.Close();
        string file = Path.Combine(at.Data, "vault", "holds.json");
        File.Delete(file);
        at.Reopen();
        Assert.Equal((hold, "run", "run-1"), at.Store.VaultActs.Holds.Select(h => (h.Id, h.By, h.Value)).Single());
        Assert.True(File.Exists(file));
        at.Clock.Now += TimeSpan.FromDays(2);
        at.Store.VaultActs.Sweep(default);
        Assert.Contains("run 1", await Read(at, held), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("damaged")]
    [InlineData("gone")]
    public async Task What_a_day_that_cannot_be_read_names_is_kept_as_a_failure_is(string day)
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        string unknown = ArgsOf(at, 1);
        at.Clock.Now += TimeSpan.FromDays(1);
        at.Send(Run(2));
        string known = ArgsOf(at, 2);
        at.Close();
        string file = Path.Combine(at.Data, "traces", "2026-05-06.db");
        foreach (string side in Directory.GetFiles(Path.GetDirectoryName(file)!, "2026-05-06.db-*")) File.Delete(side);
        if (day == "gone")
        {
            File.Delete(file);
        }
        else
        {
            byte[] bytes = File.ReadAllBytes(file);
            bytes.AsSpan(100).Fill(0xa5);
            File.WriteAllBytes(file, bytes);
        }

        at.Reopen();
        at.Clock.Now += TimeSpan.FromDays(2);
        at.Store.VaultActs.Sweep(default);
        Assert.Contains("run 1", await Read(at, unknown), StringComparison.Ordinal);
        Assert.Equal("not_found", await Read(at, known));
    }

    [Fact]
    public void Steps_of_the_clock_within_a_boot_add_up_and_a_missing_file_is_no_pardon()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        at.Store.VaultActs.Sweep(default);
        for (int i = 0; i < 2; i++)
        {
            at.Clock.Jump(TimeSpan.FromMinutes(29));
            at.Store.VaultActs.Sweep(default);
            Assert.False(at.Store.VaultActs.Retention.Suspended);
        }

        at.Clock.Jump(TimeSpan.FromMinutes(29));
        at.Store.VaultActs.Sweep(default);
        Assert.True(at.Store.VaultActs.Retention.Suspended);

        at.Clock.Jump(TimeSpan.FromMinutes(-29));
        at.Store.VaultActs.Sweep(default);
        Assert.False(at.Store.VaultActs.Retention.Suspended);
        at.Close();
        File.Delete(Path.Combine(at.Data, "clock"));
        at.Clock.Jump(TimeSpan.FromDays(10));
        at.Reopen();
        at.Store.VaultActs.Sweep(default);
        Assert.True(at.Store.VaultActs.Retention.Suspended);
    }

    [Fact]
    public async Task A_clock_that_is_set_forward_ends_nothing_until_a_person_confirms_it()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        string reference = ArgsOf(at, 1);
        at.Store.VaultActs.Sweep(default);
        at.Clock.Jump(TimeSpan.FromDays(3650));
        at.Store.VaultActs.Sweep(default);
        Assert.True(at.Store.VaultActs.Retention.Suspended);
        Assert.Empty(Of(at, "vault.shred.intent"));
        at.Reopen();
        at.Store.VaultActs.Sweep(default); // a start within the same boot trusts it no more than before
        Assert.Empty(Of(at, "vault.shred.intent"));
        at.Clock.Jump(-TimeSpan.FromDays(3650));
        at.Store.VaultActs.Sweep(default);
        Assert.False(at.Store.VaultActs.Retention.Suspended);
        Assert.Contains("run 1", await Read(at, reference), StringComparison.Ordinal);

        at.Clock.Jump(TimeSpan.FromDays(10));
        at.Store.VaultActs.Sweep(default);
        Assert.True(at.Store.VaultActs.Retention.Suspended);
        await at.Store.VaultActs.ConfirmClockAsync(Auditor);
        at.Store.VaultActs.Sweep(default);
        Assert.Equal("not_found", await Read(at, reference));
        Assert.Contains(at.Entries(), e => e.Type == "ledger.clock" && e.Json.GetProperty("clock").TryGetProperty("confirmed", out var yes) && yes.GetBoolean());
    }

    [Theory]
    [InlineData("ref")]
    [InlineData("run")]
    [InlineData("tenant")]
    public async Task A_legal_hold_forbids_expiry_and_erasure_until_it_is_released(string by)
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        at.Send(Run(2, tenant: "globex"));
        string held = ArgsOf(at, 1), other = ArgsOf(at, 2);
        string value = by switch { "ref" => held, "run" => "run-1", _ => "acme" };
        foreach (string selector in (string[])["ref", "run"])
        {
            await Assert.ThrowsAsync<VaultActRefusedException>(() => at.Store.VaultActs.HoldAsync(selector, selector == "ref" ? "vr_01HZX0000000000000000000A0" : "run-nobody-knows", "a slip", Auditor));
        }

        string hold = await at.Store.VaultActs.HoldAsync(by, value, "case 17", Auditor);
        at.Reopen();
        Assert.Equal(hold, Assert.Single(at.Store.VaultActs.Holds).Id);
        var refused = await Assert.ThrowsAsync<VaultActRefusedException>(() => at.Store.VaultActs.ShredAsync("run", "run-1", "erasure request", Auditor, default));
        Assert.Contains(hold, refused.Message, StringComparison.Ordinal);

        at.Clock.Now += TimeSpan.FromDays(2);
        at.Store.VaultActs.Sweep(default);
        Assert.Contains("run 1", await Read(at, held), StringComparison.Ordinal);
        Assert.Equal("not_found", await Read(at, other));
        for (int month = 0; month < 2; month++) // longer than the long class
        {
            at.Clock.Now += TimeSpan.FromDays(32);
            await at.Store.VaultActs.ConfirmClockAsync(Auditor);
            at.Store.VaultActs.Sweep(default);
        }

        Assert.Contains("run 1", await Read(at, held), StringComparison.Ordinal);
        await at.Store.VaultActs.ReleaseAsync(hold, "case closed", Auditor);
        Assert.Equal(["placed", "released"], Of(at, "vault.hold").Select(e => e.GetProperty("hold").GetProperty("state").GetString()));
        await at.Store.VaultActs.ShredAsync("ref", held, "erasure request", Auditor, default);
        Assert.Equal("shredded", await Read(at, held));
        Verified(at);
    }

    [Fact]
    public async Task Erasing_one_payload_leaves_its_siblings_and_none_of_its_keys()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        at.Send(Run(2));
        at.Send(Run(3, tenant: "globex"));
        string gone = ArgsOf(at, 1), sibling = ArgsOf(at, 2), other = ArgsOf(at, 3);
        string before = at.Data + "-before";
        at.Close();
        TemporaryStore.CopyDirectory(at.Data, before);
        var receipt = await at.Store.VaultActs.ShredAsync("run", "run-1", "erasure request 118", Auditor, default);
        Assert.True(receipt.Payloads >= 1);
        Assert.Equal("shredded", await Read(at, gone));
        Assert.Contains("run 2", await Read(at, sibling), StringComparison.Ordinal);
        Assert.Contains("run 3", await Read(at, other), StringComparison.Ordinal);
        at.Reopen();
        Assert.Equal("shredded", await Read(at, gone));
        Assert.Contains("run 2", await Read(at, sibling), StringComparison.Ordinal);
        Assert.Equal(receipt.Id + ".done", Assert.Single(Of(at, "vault.shred.done")).GetProperty("id").GetString());
        await Assert.ThrowsAsync<VaultActRefusedException>(() => at.Store.VaultActs.ShredAsync("ref", gone, "again", Auditor, default));
        at.Close();

        // T36: the old keystore and its key are put back beside everything else as it is now.
        foreach (string folder in (string[])["vault", "keys"])
        {
            foreach (string file in Directory.GetFiles(Path.Combine(at.Data, folder)).Where(f => Path.GetFileName(f).StartsWith("ks", StringComparison.Ordinal) || Path.GetFileName(f).StartsWith("keystore", StringComparison.Ordinal)))
            {
                File.Delete(file);
            }

            foreach (string file in Directory.GetFiles(Path.Combine(before, folder)).Where(f => Path.GetFileName(f).StartsWith("ks", StringComparison.Ordinal) || Path.GetFileName(f).StartsWith("keystore", StringComparison.Ordinal)))
            {
                File.Copy(file, Path.Combine(at.Data, folder, Path.GetFileName(file)));
            }
        }

        Assert.Equal(VaultErrorKind.Unopenable, Assert.Throws<VaultException>(() => at.Store).Kind);
        Directory.Delete(before, recursive: true);
    }

    [Fact]
    public async Task Erasing_a_tenant_ends_all_that_it_has_and_what_comes_later_gets_new_keys()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        at.Send(Run(2));
        at.Send(Run(3, tenant: "globex"));
        string[] gone = [ArgsOf(at, 1), ArgsOf(at, 2)];
        await at.Store.VaultActs.ShredAsync("tenant", "acme", "contract ended", Auditor, default);
        Assert.Equal(["shredded", "shredded"], [await Read(at, gone[0]), await Read(at, gone[1])]);
        Assert.Contains("run 3", await Read(at, ArgsOf(at, 3)), StringComparison.Ordinal);
        at.Send(Run(4));
        at.Reopen();
        Assert.Contains("run 4", await Read(at, ArgsOf(at, 4)), StringComparison.Ordinal);
        Assert.Equal("shredded", await Read(at, gone[0]));
        Verified(at);
    }

    [Fact]
    public async Task A_rotation_is_in_the_ledger_and_older_keystores_open_no_more()
    {
        using var at = new TemporaryStore();
        at.Send(Run(1));
        string reference = ArgsOf(at, 1);
        long before = at.Store.Vault.Generation;
        long after = await at.Store.VaultActs.RotateAsync("quarterly", Auditor);
        Assert.True(after > before);
        var key = Assert.Single(Of(at, "keys.rotated")).GetProperty("key");
        Assert.Equal((after, "L1", "vault.keystore"), (key.GetProperty("generation").GetInt64(), key.GetProperty("level").GetString(), key.GetProperty("name").GetString()));
        Assert.Contains("run 1", await Read(at, reference), StringComparison.Ordinal);
        at.Reopen();
        Assert.Contains("run 1", await Read(at, reference), StringComparison.Ordinal);
        Assert.Equal([$"ksk.g{after}"], Directory.GetFiles(Path.Combine(at.Data, "keys"), "ksk.*").Select(Path.GetFileName));
    }

    [Fact]
    public async Task Refused_looks_are_told_at_once_and_then_once_a_minute()
    {
        const string Unknown = "vr_01HZX0000000000000000000A0";
        using var at = new TemporaryStore();
        for (int i = 0; i < 50; i++)
        {
            Assert.Equal("not_found", await Read(at, Unknown));
        }

        Assert.Equal("malformed", await Read(at, "nonsense")); // another cause
        Assert.Equal(["not_found", "malformed"], Of(at, "vault.denied").Select(e => e.GetProperty("vault").GetProperty("cause").GetString()));
        at.Clock.Now += TimeSpan.FromSeconds(61);
        Assert.True(SpinWait.SpinUntil(() => Of(at, "vault.denied").Length == 3, 20_000));
        var folded = Of(at, "vault.denied")[2];
        Assert.Equal(("not_found", 49L), (folded.GetProperty("vault").GetProperty("cause").GetString(), folded.GetProperty("window").GetProperty("count").GetInt64()));
        Assert.Equal("uid", folded.GetProperty("actor").GetProperty("kind").GetString());
        Assert.Equal("not_found", await Read(at, Unknown));
        Assert.Equal("not_found", await Read(at, Unknown));
        at.Reopen(); // a stop tells what is left
        Assert.Equal(5, Of(at, "vault.denied").Length);
        Verified(at);
    }

    [Fact]
    public async Task The_sweep_runs_by_itself()
    {
        using var at = new TemporaryStore { Adjust = static o => new StoreOptions { DataDirectory = o.DataDirectory, Tools = o.Tools, IdleMillis = 2, SweepMinutes = 10 } };
        at.Send(Run(1));
        string reference = ArgsOf(at, 1);
        at.Clock.Now += TimeSpan.FromDays(2);
        Assert.True(SpinWait.SpinUntil(() => at.Store.VaultActs.Retention.Expired > 0, 20_000));
        Assert.Equal("not_found", await Read(at, reference));
    }
}
