namespace Evident.Demo;

/// <summary>Runs of several agents, of retrieval with proof, and of evaluation.</summary>
internal static class TeamworkRuns
{
    public static DemoRun HandoffWithHttp(DateTimeOffset start, string session)
    {
        var run = new DemoRun("handoff to a sub-agent with HTTP beneath", DemoWorkflow.Research, session, start, new Expectation("success"));
        run.Chat(run.Root, "claude-opus-4-5", 2_480, 2_950, 420, 0.0467, "How did the three largest suppliers change their prices?", "I hand the price lists to the analyst.");
        DemoSpan handoff = run.Begin(run.Root, "handoff").With(("handoff.from", "research-lead"), ("handoff.to", "price-analyst"));
        DemoSpan analyst = run.Begin(handoff, "invoke_agent price-analyst").With(("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", "price-analyst"));
        run.Chat(analyst, "gpt-4.1-mini", 730, 1_210, 96, 0.0009, "Fetch the lists of May.", "I read three lists.");
        foreach ((string supplier, int millis, int status) in new[] { ("alba", 412, 200), ("borea", 655, 200), ("corvo", 1_830, 200) })
        {
            DemoSpan tool = run.Begin(analyst, "execute_tool pricelist.fetch").With(
                ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "pricelist.fetch"), ("tool.side_effect_level", "read"),
                ("gen_ai.tool.call.arguments", $$"""{"supplier":"{{supplier}}","month":"2026-05"}"""), ("gen_ai.tool.call.result", """{"items":218}"""));
            DemoSpan http = run.Begin(tool, "GET").With(
                ("http.request.method", "GET"), ("server.address", "prices.internal"), ("server.port", 443), ("http.response.status_code", status),
                ("url.full", $"https://prices.internal/{supplier}?month=2026-05&key=" + "sk-" + "demo51Hx8qvT2aBcDeFgHiJkLmNo")).AsClient();
            run.Wait(40);
            run.Span(http, "SELECT prices", millis - 60, ("db.system", "postgresql"), ("db.query.text", $"SELECT sku, price FROM prices WHERE supplier = '{supplier}'")).AsClient();
            run.Wait(20);
            run.End(http).Succeeded();
            run.End(tool).Succeeded();
        }

        run.End(analyst).Succeeded();
        run.End(handoff).Succeeded();
        run.Chat(run.Root, "claude-opus-4-5", 3_120, 5_840, 655, 0.0781, "Summarise the three lists.", "Prices rose by 3.1 % on average.");
        return run.Finish("success", "Prices rose by 3.1 % on average.", 8);
    }

    public static DemoRun RetrievalAndVerification(DateTimeOffset start, string session)
    {
        var run = new DemoRun("retrieval and verification", DemoWorkflow.Triage, session, start, new Expectation("success"));
        run.Span(run.Root, "embeddings text-embedding-3-small", 95, ("gen_ai.operation.name", "embeddings"), ("gen_ai.request.model", "text-embedding-3-small"), ("gen_ai.usage.input_tokens", 18));
        run.Span(
            run.Root, "retrieval_query", 240,
            ("span_type", "retrieval"), ("retrieval.query", "return period for opened software"), ("result_count", 8),
            ("retrieval.documents", """[{"id":"kb-071","version":"2026-04-02","text":"Opened software can be returned within 14 days."}]"""));
        run.Span(run.Root, "rerank", 130, ("gen_ai.request.model", "rerank-v3"), ("result_count", 3));
        run.Chat(run.Root, "gpt-4.1", 1_530, 2_640, 178, 0.0091, "May I return opened software?", "Yes, within 14 days (kb-071).");
        run.Span(run.Root, "agent.verify", 410, ("verify.strategy", "citation_check"), ("verify.passed", false), ("error_class", "validation")).Failed("validation", "CitationMissing", "the second sentence cites nothing");
        run.Chat(run.Root, "gpt-4.1", 1_280, 2_910, 164, 0.0094, "Cite every sentence.", "Yes, within 14 days (kb-071). Keep the receipt (kb-071).");
        run.Span(run.Root, "agent.verify", 390, ("verify.strategy", "citation_check"), ("verify.passed", true)).Succeeded();
        return run.Finish("success", "Yes, within 14 days. Keep the receipt.", 6);
    }

    public static DemoRun EvalResult(DateTimeOffset start, string session)
    {
        var run = new DemoRun("eval result", DemoWorkflow.Triage, session, start, new Expectation(Flag: "eval_failed"));
        run.Chat(run.Root, "gpt-4.1", 1_190, 1_350, 166, 0.0074, "Is the warranty void after a repair by a third party?", "No, never.");
        run.Span(
            run.Root, "evaluation source_grounding", 620,
            ("gen_ai.operation.name", "evaluation"), ("gen_ai.evaluation.name", "source_grounding"), ("gen_ai.evaluation.score.value", 0.31), ("gen_ai.evaluation.score.label", "fail"),
            ("eval.passed", false), ("gen_ai.evaluation.explanation", "The answer contradicts kb-088, section 2."));
        return run.Finish("success", "No, the warranty stays.", 2);
    }
}
