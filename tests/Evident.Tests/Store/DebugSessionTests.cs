using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>Full capture: only while the ledger says that a session is open, only of its workflow, and over by itself.</summary>
public sealed class DebugSessionTests
{
    private const string Secret = "write to canary.person@secret-mail.example today";

    private static readonly Actor Anna = new("1000", "uid"), Root = new("0", "uid");
    private static readonly DebugWish Wish = new("acme", "refund*", null, 30);

    private static DebugSession Request(TemporaryStore at, DebugWish? wish = null, string reason = "ticket 9421, mail from canary.person@secret-mail.example") =>
        at.Store.RequestDebugAsync(wish ?? Wish, reason, Anna, default).GetAwaiter().GetResult();

    private static DebugSession Approve(TemporaryStore at, string id, bool singleOperator, Actor by) => at.Store.ApproveDebugAsync(id, singleOperator, by, default).GetAwaiter().GetResult();

    private static DebugSession Close(TemporaryStore at, string id, Actor by) => at.Store.CloseDebugAsync(id, by, default).GetAwaiter().GetResult();

    private static string Read(TemporaryStore at, string reference) => Encoding.UTF8.GetString(at.Store.ReadPayloadAsync(reference, "test", Anna, default).GetAwaiter().GetResult().Plaintext);

    private static DebugSession Open(TemporaryStore at, DebugWish? wish = null) => at.Store.ApproveDebugAsync(Request(at, wish).Id, singleOperator: false, Root, default).GetAwaiter().GetResult();

    private static ulong last = 1_000;

    // What the vault gives back of a payload that is sent now, and how its span says it was captured.
    private static (string? Capture, string? Text) Sends(TemporaryStore at, string tenant = "acme", string workflow = "refund-v7", string? environment = null)
    {
        ulong trace = Interlocked.Increment(ref last);
        var span = new Sent(trace, 1, "step").With(("agent.workflow_id", workflow), ("input.value", Secret), ("note", "canary.person@secret-mail.example"));
        if (tenant.Length > 0) span = span.With(("tenant_id", tenant));
        if (environment is not null) span = span.With(("deployment.environment", environment));
        at.Send(span);
        var view = Assert.Single(at.Store.GetTrace(Sent.TraceOf(trace), default)!.Spans);
        Assert.DoesNotContain("canary.person", JsonSerializer.Serialize(view.Attributes.Select(a => a.Value.ToString()).ToArray()), StringComparison.Ordinal); // the trace is as strict as ever
        string? reference = view.Payloads.SingleOrDefault(p => p.Role == "input")?.Ref;
        return (view.Capture, reference is null ? null : Read(at, reference));
    }

    private static readonly (string?, string?) InFull = ("full", Secret), Redacted = (null, "write to [email] today");

    private static (string Type, JsonElement Json)[] Told(TemporaryStore at) => [.. at.Entries().Where(e => e.Type.StartsWith("debug.", StringComparison.Ordinal))];

    private static string[] Steps(TemporaryStore at) => [.. Told(at).Select(e => e.Type["debug.session.".Length..] + (e.Json.TryGetProperty("cause", out var cause) ? " " + cause.GetString() : ""))];

    private static void Until(Func<bool> done) => Assert.True(SpinWait.SpinUntil(done, 10_000), "it did not happen within 10 s");

    [Fact]
    public void Its_end_says_how_many_payloads_were_captured()
    {
        using var at = new TemporaryStore();
        Sends(at);
        var session = Open(at);
        Assert.Equal(InFull, Sends(at));
        Assert.Equal(InFull, Sends(at));
        Assert.Equal(Redacted, Sends(at, tenant: "globex"));
        Close(at, session.Id, Anna);
        Assert.Equal(4, Told(at)[^1].Json.GetProperty("session").GetProperty("payloads").GetInt64()); // input and attributes of two spans
    }

    [Fact]
    public void Nothing_is_captured_in_full_before_a_second_person_approves()
    {
        using var at = new TemporaryStore();
        var asked = Request(at);
        Assert.Equal(Redacted, Sends(at));
        var refusal = Assert.Throws<DebugRefusedException>(() => Approve(at, asked.Id, singleOperator: false, Anna));
        Assert.Contains("--single-operator", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(Redacted, Sends(at));
        Assert.Equal(["requested"], Steps(at));

        var opened = Approve(at, asked.Id, singleOperator: true, Root);
        Assert.False(opened.SingleOperator); // there were two
        Assert.Equal(InFull, Sends(at));
        var entries = Told(at);
        Assert.Equal(["requested", "approved", "opened"], Steps(at));
        Assert.All(entries, e => Assert.Equal((asked.Id, "acme", "prefix:refund", 30 * 60_000L), (e.Json.GetProperty("session").GetProperty("session_id").GetString(), e.Json.GetProperty("tenant_id").GetString(),
            e.Json.GetProperty("session").GetProperty("workflow_id").GetString(), e.Json.GetProperty("session").GetProperty("duration_ms").GetInt64())));
        Assert.Equal(["1000", "0", "0"], entries.Select(e => e.Json.GetProperty("actor").GetProperty("id").GetString()));
        Assert.Equal(entries[0].Json.GetProperty("id").GetString(), entries[1].Json.GetProperty("refers").GetProperty("request").GetString());
        Assert.False(entries[1].Json.TryGetProperty("reason_code", out _));
        Assert.StartsWith("vr_", entries[0].Json.GetProperty("payload").GetProperty("reason").GetProperty("ref").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("9421", string.Concat(entries.Select(e => e.Json.GetRawText())), StringComparison.Ordinal); // the reason is sealed
        Assert.Equal("ticket 9421, mail from [email]", Assert.Single(at.Store.DebugSessions).Reason);
    }

    [Fact]
    public void One_person_alone_is_named_in_the_ledger()
    {
        using var at = new TemporaryStore();
        var opened = Approve(at, Request(at).Id, singleOperator: true, Anna);
        Assert.True(opened.SingleOperator);
        Assert.Equal("single_operator", Told(at).Single(e => e.Type == "debug.session.approved").Json.GetProperty("reason_code").GetString());
        Assert.Throws<DebugRefusedException>(() => Approve(at, opened.Id, singleOperator: true, Anna));
    }

    [Theory]
    [InlineData("acme", "refund-v7", "prod", true)]
    [InlineData("ACME", "Refund", "PROD", true)]
    [InlineData("acme", "triage", "prod", false)]
    [InlineData("other", "refund-v7", "prod", false)]
    [InlineData("", "refund-v7", "prod", false)]
    [InlineData("acme", "refund-v7", "dev", false)]
    [InlineData("acme", "refund-v7", null, false)] // what is not said is not meant
    [InlineData("closed", "refund-v7", "prod", false)]
    public void Only_what_the_session_names_is_captured_in_full(string tenant, string workflow, string? environment, bool inFull)
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, IdleMillis = 2, Capture = CapturePolicy.TryBuild(new CaptureOptions { OptOut = ["closed"], UnnamedIsStrict = false }, out _)! } };
        Open(at, new DebugWish(tenant == "closed" ? "closed" : "acme", "refund*", "prod", 5));
        Assert.Equal(inFull ? InFull : tenant == "closed" ? ("opt_out", null) : Redacted, Sends(at, tenant, workflow, environment)); // whoever opted out has opted out
    }

    [Fact]
    public void A_session_goes_before_structure_and_one_without_a_tenant_is_for_spans_without_one()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, IdleMillis = 2, Capture = CapturePolicy.TryBuild(new CaptureOptions { Mode = CaptureMode.Structure }, out _)! } };
        Open(at, new DebugWish("", "refund-v7", null, 5));
        Assert.Equal(InFull, Sends(at, tenant: ""));
        Assert.Equal("structure", Sends(at).Capture);
    }

    [Fact]
    public void It_closes_by_itself_and_captures_nothing_from_that_moment()
    {
        using var at = new TemporaryStore();
        var opened = Open(at);
        at.Clock.Now = StoreClock.Start.AddMinutes(29.99);
        Assert.Equal(InFull, Sends(at));
        at.Clock.Now = StoreClock.Start.AddMinutes(30);
        Assert.Equal(Redacted, Sends(at));
        Until(() => Steps(at).Length == 4);
        Assert.Equal(["requested", "approved", "opened", "closed expired"], Steps(at));
        var closed = Told(at)[^1].Json;
        Assert.Equal(("system", "2026-05-06T11:00:00.000Z"), (closed.GetProperty("actor").GetProperty("kind").GetString(), closed.GetProperty("session").GetProperty("until").GetString()));
        Assert.Empty(at.Store.DebugSessions);
        Assert.False(File.Exists(Path.Combine(at.Data, "debug-sessions.json")));
        Assert.Throws<DebugRefusedException>(() => Close(at, opened.Id, Anna));
    }

    [Fact]
    public void A_clock_that_is_set_back_does_not_keep_it_open()
    {
        using var at = new TemporaryStore();
        Open(at);
        at.Clock.Now = StoreClock.Start.AddMinutes(29);
        at.Clock.Now = StoreClock.Start.AddMinutes(1);
        at.Clock.Now = StoreClock.Start.AddMinutes(3); // 29 + 2 minutes have passed
        Assert.Equal(Redacted, Sends(at));
    }

    [Fact]
    public void It_survives_a_restart_and_ends_although_nobody_was_there()
    {
        using var at = new TemporaryStore();
        Open(at);
        at.Reopen();
        Assert.Equal(InFull, Sends(at));
        at.Close();
        at.Clock.Now = StoreClock.Start.AddMinutes(31);
        Assert.Empty(at.Store.DebugSessions);
        Assert.Equal(["requested", "approved", "opened", "closed expired"], Steps(at));
        Assert.Equal(Redacted, Sends(at));
        at.Reopen();
        Assert.Equal(4, Steps(at).Length);
    }

    [Fact]
    public void A_person_closes_it_and_a_request_that_is_closed_was_refused()
    {
        using var at = new TemporaryStore();
        var opened = Open(at);
        Close(at, opened.Id, Anna);
        Assert.Equal(Redacted, Sends(at));
        var asked = Request(at);
        Close(at, asked.Id, Root);
        Assert.Equal(["requested", "approved", "opened", "closed closed", "requested", "rejected"], Steps(at));
        Assert.Equal("0", Told(at)[^1].Json.GetProperty("actor").GetProperty("id").GetString());
        Assert.Throws<DebugRefusedException>(() => Approve(at, asked.Id, singleOperator: false, Root));
    }

    [Fact]
    public void A_request_that_nobody_approves_lapses()
    {
        using var at = new TemporaryStore();
        var asked = Request(at);
        at.Clock.Now = StoreClock.Start.AddHours(24);
        Until(() => Steps(at).Length == 2);
        Assert.Equal(["requested", "rejected"], Steps(at));
        Assert.Equal("not_approved_in_time", Told(at)[^1].Json.GetProperty("reason_code").GetString());
        Assert.Throws<DebugRefusedException>(() => Approve(at, asked.Id, singleOperator: false, Root));
    }

    [Fact]
    public void What_was_captured_in_full_lies_apart_and_does_not_open_after_a_day()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, IdleMillis = 2, VaultShortDays = 20, VaultLongDays = 30 } };
        Open(at);
        ulong trace = Interlocked.Increment(ref last);
        at.Send(new Sent(trace, 1, "step").With(("agent.workflow_id", "refund"), ("tenant_id", "acme"), ("input.value", Secret)) with { Status = 2 }); // a failure: kept long otherwise
        string reference = at.Store.GetTrace(Sent.TraceOf(trace), default)!.Spans[0].Payloads.Single(p => p.Role == "input").Ref!;
        Read(at, reference);
        Assert.Contains("debug-2026-05-07.pack", Directory.EnumerateFiles(Path.Combine(at.Data, "vault")).Select(Path.GetFileName));
        at.Clock.Now = new DateTimeOffset(2026, 5, 8, 0, 0, 0, TimeSpan.Zero);
        var denied = Assert.Throws<PayloadDeniedException>(() => Read(at, reference));
        Assert.Equal("expired", denied.Code);
    }

    [Theory]
    [InlineData(nameof(WriteStep.BeforeVault), "approve", "requested", "requested")]
    [InlineData(nameof(WriteStep.AfterCommit), "approve", "requested,approved,opened,closed restart", "")]
    [InlineData(nameof(WriteStep.AfterLedger), "approve", "requested,approved,opened,closed restart", "")]
    [InlineData(nameof(WriteStep.BeforeVault), "close", "requested,approved,opened,closed closed", "")]
    [InlineData(nameof(WriteStep.AfterCommit), "close", "requested,approved,opened,closed closed", "")]
    [InlineData(nameof(WriteStep.AfterLedger), "close", "requested,approved,opened,closed closed", "")]
    public void A_crash_at_any_moment_of_a_step_leaves_no_session_that_nobody_knows_of(string step, string act, string steps, string left)
    {
        using var at = new TemporaryStore();
        var asked = Request(at);
        if (act == "close")
        {
            Approve(at, asked.Id, singleOperator: false, Root);
        }

        string image = at.Data + "-crash";
        at.OnStep = now =>
        {
            if (now.ToString() == step && !Directory.Exists(image))
            {
                TemporaryStore.CopyDirectory(at.Data, image);
            }
        };
        if (act == "close")
        {
            Close(at, asked.Id, Anna);
        }
        else
        {
            Approve(at, asked.Id, singleOperator: false, Root);
        }

        at.OnStep = null;
        try
        {
            using var after = new TemporaryStore(image);
            Assert.Equal(steps.Split(','), Steps(after));
            Assert.Equal(left.Split(',', StringSplitOptions.RemoveEmptyEntries), after.Store.DebugSessions.Select(s => s.IsOpen ? "open" : "requested"));
            Assert.Equal(Redacted, Sends(after));
            after.Reopen();
            Assert.Equal(steps.Split(','), Steps(after));
        }
        finally
        {
            Directory.Delete(image, recursive: true);
        }
    }

    [Theory]
    [InlineData("until", "1800000000000")] // later than the ledger says
    [InlineData("Id", "\"ds_000000000000\"")] // one that the ledger never heard of
    public void A_session_that_the_ledger_does_not_know_is_not_open(string member, string value)
    {
        using var at = new TemporaryStore();
        Open(at);
        at.Close();
        string path = Path.Combine(at.Data, "debug-sessions.json");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        var sessions = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(path))!.AsArray();
        sessions[0]![member == "until" ? "Until" : member] = System.Text.Json.Nodes.JsonNode.Parse(value);
        File.WriteAllText(path, sessions.ToJsonString());
        Assert.Empty(at.Store.DebugSessions);
        Assert.Equal(Redacted, Sends(at));
        Assert.Contains(at.Log, l => l.Contains("the ledger does not know", StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_of_sessions_that_cannot_be_read_is_told_of_with_what_to_do()
    {
        using var at = new TemporaryStore();
        Open(at);
        at.Close();
        string path = Path.Combine(at.Data, "debug-sessions.json");
        File.WriteAllText(path, "[{\"Id\":");
        Assert.Contains("delete it", Assert.Throws<StoreException>(() => at.Store).Message, StringComparison.Ordinal);
        File.Delete(path);
        Assert.Equal(Redacted, Sends(at));
    }

    [Fact]
    public void A_closed_session_is_not_brought_back_with_its_file()
    {
        using var at = new TemporaryStore();
        var opened = Open(at);
        string path = Path.Combine(at.Data, "debug-sessions.json");
        byte[] kept = File.ReadAllBytes(path);
        Close(at, opened.Id, Anna);
        at.Close();
        File.WriteAllBytes(path, kept);
        Assert.Empty(at.Store.DebugSessions);
        Assert.Equal(Redacted, Sends(at));
    }

    [Theory]
    [InlineData("acme", "", null, 5, "why")]
    [InlineData("acme", "*", null, 5, "why")]
    [InlineData("acme", "w", "", 5, "why")]
    [InlineData("acme", "w", null, 0, "why")]
    [InlineData("acme", "w", null, 1441, "why")]
    [InlineData("acme", "w", null, 5, "  ")]
    [InlineData("a\nb", "w", null, 5, "why")]
    [InlineData(" acme", "w", null, 5, "why")]
    public void What_cannot_be_asked_for_is_refused(string tenant, string workflow, string? environment, int minutes, string reason)
    {
        using var at = new TemporaryStore();
        Assert.Throws<DebugRefusedException>(() => Request(at, new DebugWish(tenant, workflow, environment, minutes), reason));
        Assert.Empty(Told(at));
    }

    [Fact]
    public void There_is_a_bound_on_sessions()
    {
        using var at = new TemporaryStore();
        for (int i = 0; i < 16; i++)
        {
            Request(at);
        }

        Assert.Throws<DebugRefusedException>(() => Request(at));
    }
}
