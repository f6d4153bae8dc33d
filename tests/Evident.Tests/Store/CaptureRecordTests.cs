using System.Text.Json;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>The ledger says what was captured since when; approvals and retries hold up where payloads are not captured.</summary>
public sealed class CaptureRecordTests
{
    private static CapturePolicy Policy(CaptureMode mode, params CaptureRule[] rules) => CapturePolicy.TryBuild(new CaptureOptions { Mode = mode, OptOut = ["closed"], Rules = rules }, out _)!;

    private static StoreOptions With(StoreOptions o, CapturePolicy policy) => new() { DataDirectory = o.DataDirectory, Tools = o.Tools, IdleMillis = 2, Capture = policy };

    private static string HashOf(CapturePolicy policy) => "sha256:" + Convert.ToHexStringLower(policy.Hash);

    private static JsonElement[] Recorded(TemporaryStore store) => [.. store.Entries().Where(e => e.Type == "capture.policy").Select(e => e.Json)];

    [Fact]
    public void A_change_of_policy_is_recorded_whole_with_what_it_replaces()
    {
        var policy = CapturePolicy.Default;
        using var store = new TemporaryStore { Adjust = o => With(o, policy) };
        store.Send(new Sent(1, 1, "step").With(("note", "x")));
        Assert.Empty(Recorded(store)); // the default was in force from the beginning

        policy = Policy(CaptureMode.Structure, new CaptureRule("Mrs. Smith & sons", "refund-*", "dev", CaptureMode.Redacted));
        store.Reopen();
        store.Reopen();
        var first = Recorded(store);
        Assert.Equal(["structure", "opt_out", "redacted"], first.Select(e => e.GetProperty("capture").GetProperty("mode").GetString()));
        Assert.All(first, e => Assert.Equal((HashOf(policy), false, 2L), (e.GetProperty("document").GetProperty("hash").GetString(), e.GetProperty("document").TryGetProperty("previous_hash", out _), e.GetProperty("document").GetProperty("items").GetInt64())));
        Assert.Equal("closed", first[1].GetProperty("tenant_id").GetString());
        Assert.StartsWith("k_", first[2].GetProperty("tenant_id").GetString(), StringComparison.Ordinal); // a name with blanks is not published
        Assert.Equal(("dev", "prefix:refund-"), (first[2].GetProperty("environment").GetString(), first[2].GetProperty("capture").GetProperty("workflow_id").GetString()));
        Assert.Single(first.Select(e => e.GetProperty("batch").GetInt64()).Distinct()); // one group: recorded whole or not at all

        var before = policy;
        policy = CapturePolicy.Default;
        store.Reopen();
        var last = Assert.Single(Recorded(store)[3..]);
        Assert.Equal((HashOf(CapturePolicy.Default), HashOf(before), "redacted"),
            (last.GetProperty("document").GetProperty("hash").GetString(), last.GetProperty("document").GetProperty("previous_hash").GetString(), last.GetProperty("capture").GetProperty("mode").GetString()));
    }

    private static Sent Wait => new Sent(1, 2, "agent.approval.wait").With(("tenant_id", "acme"), ("tool.name", "refund.submit"), ("approval.state", "approved"), ("approver_id", "s_901"), ("approval.args", """{"amount":40}""")) with { At = 10, Until = 20 };

    private static Sent Call(string args) => new Sent(1, 3, "tool.call").With(("tenant_id", "acme"), ("tool.name", "refund.submit"), ("tool.args", args)) with { At = 21, Until = 22, Status = 1 };

    [Theory]
    [InlineData("""{"amount":40}""", false, true)]
    [InlineData("""{"amount":400}""", false, false)]
    [InlineData("""{"amount":40}""", true, null)] // two processes, two keys: nobody knows any more, and nobody is accused
    public void Approved_and_executed_arguments_are_compared_without_being_kept(string executed, bool restart, bool? match)
    {
        using var store = new TemporaryStore { Adjust = o => With(o, Policy(CaptureMode.Structure)) };
        store.Send(Wait);
        if (restart)
        {
            store.Reopen();
        }

        store.Send(Call(executed));
        var told = store.Ledger().Single(e => e.Type == "approval.execution").Json.GetProperty("approval");
        Assert.Equal(match, told.TryGetProperty("args_match", out var value) ? value.GetBoolean() : null);
        Assert.DoesNotContain(store.Ledger(), e => e.Json.TryGetProperty("payload", out _));
        Assert.Equal(0, store.Store.Vault.PayloadBytes);
    }

    [Fact]
    public void A_retry_after_a_restart_is_a_duplicate_although_the_key_is_gone()
    {
        using var store = new TemporaryStore { Adjust = o => With(o, Policy(CaptureMode.Structure)) };
        Assert.Equal((1, 0), (store.Send(Call("{}")) is var first ? first.Accepted : 0, first.Duplicates));
        store.Reopen();
        Assert.Equal((0, 1), (store.Send(Call("{}")) is var again ? again.Accepted : 0, again.Duplicates));
        Assert.DoesNotContain(store.Ledger(), e => e.Type == "span.revised");
    }

    [Fact]
    public void The_trace_says_that_payloads_were_not_captured()
    {
        using var store = new TemporaryStore { Adjust = o => With(o, Policy(CaptureMode.Structure)) };
        store.Send(Call("{}"), new Sent(2, 1, "step").With(("tenant_id", "closed"), ("input.value", "two words")));
        var call = Assert.Single(store.Store.GetTrace(Sent.TraceOf(1), default)!.Spans);
        Assert.Equal("structure", call.Capture);
        var payload = Assert.Single(call.Payloads);
        Assert.Equal(("tool.args", null, 2L), (payload.Role, payload.Ref, payload.Bytes));
        var opted = Assert.Single(store.Store.GetTrace(Sent.TraceOf(2), default)!.Spans);
        Assert.Equal(("opt_out", 0), (opted.Capture, opted.Payloads.Count));
    }
}
