using Evident.Store;

namespace Evident.Tests.Store;

public sealed class RunTests
{
    private static Sent Root(ulong trace, double at, double until, params (string, object)[] attributes) =>
        new Sent(trace, 1, "agent.run").With(attributes) with { At = at, Until = until };

    [Fact]
    public void The_same_run_id_is_one_run()
    {
        using var at = new TemporaryStore();
        at.Send(Root(1, 0, 5, ("agent.run_id", "r")), Root(2, 6, 9, ("agent.run_id", "r")), Root(3, 6, 9, ("agent.run_id", "other")));
        Assert.Equal(["other", "r"], at.Runs().Select(r => r.RunId).Order());
        Assert.Equal([Sent.TraceHex(1), Sent.TraceHex(2)], at.Run("r").TraceIds);
        Assert.Equal("r", at.Store.GetTrace(Sent.TraceOf(2), default)!.RunId);
        Assert.Equal("r", at.Run(Sent.TraceHex(2)).RunId);
    }

    [Fact]
    public void A_trace_id_as_run_id_names_that_trace()
    {
        using var at = new TemporaryStore();
        at.Send(Root(1, 0, 5));
        at.Send(Root(2, 6, 9, ("agent.run_id", Sent.TraceHex(1))));
        Assert.Equal(2, Assert.Single(at.Runs()).TraceIds.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Span_links_tie_traces_in_whatever_order_they_arrive(bool targetFirst)
    {
        using var at = new TemporaryStore();
        Sent target = Root(1, 0, 5, ("agent.run_id", "r")), source = Root(2, 6, 9) with { Link = (1, 1) };
        at.Send(targetFirst ? target : source);
        at.Send(targetFirst ? source : target);
        Assert.Equal("r", Assert.Single(at.Runs()).RunId);
        Assert.Equal(2, at.Run("r").Spans);
        at.Send(Root(3, 10, 11, ("agent.run_id", "other")) with { Link = (1, 1) });
        Assert.Equal(2, at.Runs().Count); // a link never joins two run ids
    }

    [Fact]
    public void A_session_continues_an_interrupted_run_and_nothing_else()
    {
        using var at = new TemporaryStore();
        at.Send(Root(1, 0, 5, ("session.id", "s"), ("outcome", "interrupted")), Root(2, 6, 9, ("session.id", "s"), ("outcome", "success")),
            Root(3, 10, 12, ("session.id", "s"), ("outcome", "success")), Root(4, 13, 15, ("session.id", "t"), ("outcome", "success")));
        Assert.Equal([Sent.TraceHex(1), Sent.TraceHex(3), Sent.TraceHex(4)], at.Runs().Select(r => r.RunId).Order());
        var resumed = at.Run(Sent.TraceHex(1));
        Assert.True(resumed.Resumed);
        Assert.Equal("success", resumed.Outcome);
        Assert.Equal(2, at.Runs(new SpanQuery(Session: "s")).Count);

        // It turns out that the first one had succeeded: what was tied is parted again.
        at.Send(Root(1, 0, 5, ("session.id", "s"), ("outcome", "success")));
        Assert.Equal(4, at.Runs().Count);
        Assert.False(at.Run(Sent.TraceHex(1)).Resumed);
        Assert.Equal("success", at.Run(Sent.TraceHex(2)).Outcome);
    }

    [Fact]
    public void An_overlapping_trace_of_the_session_is_a_run_of_its_own_unless_it_has_no_root()
    {
        using var at = new TemporaryStore();
        at.Send(Root(1, 0, 5, ("session.id", "s"), ("outcome", "interrupted")), Root(2, 3, 9, ("session.id", "s"), ("outcome", "success")));
        Assert.Equal(2, at.Runs().Count);
        at.Send(Root(11, 0, 5, ("session.id", "u"), ("outcome", "interrupted")), new Sent(12, 2, "step").With(("session.id", "u")) with { Parent = 1, At = 3, Until = 4 });
        Assert.Equal(2, at.Run(Sent.TraceHex(11)).TraceIds.Count);
    }

    [Fact]
    public void Usage_is_counted_on_leaves_and_an_ancestor_only_when_nothing_beneath_it_reports()
    {
        using var at = new TemporaryStore();
        Sent Llm(ulong span, ulong parent, int tokensIn, int tokensOut, double cost, string model = "m1") => new Sent(1, span, "chat")
            .With(("gen_ai.request.model", model), ("gen_ai.usage.input_tokens", tokensIn), ("gen_ai.usage.output_tokens", tokensOut), ("cost.usd", cost)) with { Parent = parent, At = span, Until = span + 1 };
        at.Send(
            Root(1, 0, 50, ("gen_ai.usage.input_tokens", 999), ("gen_ai.usage.output_tokens", 999), ("cost.usd", 9.0)), Llm(2, 1, 100, 10, 0.01), Llm(3, 2, 40, 4, 0.004),
            Llm(4, 1, 7, 3, 0.001, "m2"));
        var run = at.Run(Sent.TraceHex(1));
        Assert.Equal((47, 7, 0.005), (run.TokensIn, run.TokensOut, run.CostUsd!.Value));
        Assert.Equal(["m1", "m2"], run.Models);
        Assert.Equal(["agent.run", "chat", "chat", "chat"], at.Story(Sent.TraceHex(1)).Spans.Select(s => s.Name));
        at.Send(Root(2, 0, 50, ("gen_ai.usage.input_tokens", 12), ("gen_ai.usage.output_tokens", 5)), new Sent(2, 2, "step") { Parent = 1 });
        Assert.Equal((12, 5), (at.Run(Sent.TraceHex(2)).TokensIn, at.Run(Sent.TraceHex(2)).TokensOut));
        Assert.Null(at.Run(Sent.TraceHex(2)).CostUsd);
    }

    [Fact]
    public void Flags_and_the_first_wrong_span()
    {
        using var at = new TemporaryStore();
        Sent Lookup(ulong trace, ulong span, string args = """{"q":1}""") =>
            new Sent(trace, span, "tool.call").With(("tool.name", "crm.lookup"), ("tool.args", args)) with { Parent = 1, At = span, Until = span + 0.5 };
        at.Send(Lookup(1, 2), Lookup(1, 3), Lookup(1, 4), Lookup(1, 5), Root(1, 0, 9, ("outcome", "failure"), ("error_class", "budget_exhausted"), ("budget.max_steps", 4)));
        var loop = at.Story(Sent.TraceHex(1));
        Assert.Equal(["loop", "budget_exhausted"], loop.Run.Flags);
        Assert.Equal(Sent.SpanHex(4), loop.FirstWrong?.SpanId);
        Assert.Equal(4, loop.Run.Budget?.MaxSteps);
        Assert.Equal("failure", loop.Run.Outcome);

        at.Send(Lookup(2, 2), Lookup(2, 3, """{"q":2}""").With(("attempt", 2)), Lookup(2, 4).With(("attempt", 2)), Lookup(2, 5).With(("attempt", 3)), Root(2, 0, 9, ("outcome", "success")));
        Assert.Empty(at.Run(Sent.TraceHex(2)).Flags);
        Assert.Equal(3, at.Run(Sent.TraceHex(2)).Retries);

        at.Send(new Sent(3, 2, "tool.call").With(("tool.name", "gmail.send"), ("error_class", "authz_denied"), ("outcome", "failure")) with { Parent = 1, Status = 2, At = 1 },
            Root(3, 0, 9) with { Status = 2 });
        var denied = at.Story(Sent.TraceHex(3));
        Assert.Equal(["authz_denied"], denied.Run.Flags); // it was stopped, so it wrote nothing
        Assert.Equal(Sent.SpanHex(2), denied.FirstWrong?.SpanId);
        Assert.Equal("failure", denied.Run.Outcome);

        at.Send(new Sent(4, 2, "evaluation").With(("eval.name", "faithful"), ("eval.passed", false)) with { Parent = 1 }, Root(4, 0, 9));
        Assert.Equal(["eval_failed"], at.Run(Sent.TraceHex(4)).Flags);
    }

    [Fact]
    public void A_large_run_is_complete_when_it_is_asked_for()
    {
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, LargeRunSpans = 50, LargeRunMillis = 60_000 } };
        at.Send(Root(1, 0, 500, ("agent.run_id", "big")));
        for (int round = 0; round < 10; round++)
        {
            at.Send([.. Enumerable.Range(0, 40).Select(i => new Sent(1, (ulong)((round * 40) + i + 2), "step") { Parent = 1, At = i, Until = i + 1 })]);
        }

        Assert.Equal(401, at.Run("big").Spans);
        Assert.Equal(401, Assert.Single(at.Runs()).Spans);
        at.Send(new Sent(1, 9999, "step") { Parent = 1 });
        Assert.Equal(402, Assert.Single(at.Reopen().FindRuns(new SpanQuery(), default).Runs).Spans);
    }
}
