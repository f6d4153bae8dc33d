namespace Evident.Demo;

/// <summary>Runs in which a person decides, or should have.</summary>
internal static class ApprovalRuns
{
    // Made-up people and numbers; the card and the account are the well-known test numbers. The redactor must find them all.
    private const string Complaint =
        "Hello, this is Maria Keller (maria.keller@example.com, +49 30 901820). You charged my card 4111 1111 1111 1111 twice for order A-77120. Please refund 240.00 EUR to DE89370400440532013000.";

    private const string Policy = "Refunds above 100 EUR need the approval of a support lead.";

    public static DemoRun RefundApproved(DateTimeOffset start, string session)
    {
        var run = new DemoRun("refund approved, then executed", DemoWorkflow.Refunds, session, start, new Expectation("success", ApprovalState: "approved"));
        string arguments = Propose(run, "INV-2026-0042", 24000);
        run.Approval(
            run.Root, "apr_" + session, "refund.submit", arguments, 74_000, "approved", "s_901", "support_lead", "double_charge_confirmed",
            "Two captures for order A-77120 are visible in the ledger of the payment provider, so the second one goes back.");
        run.Wait(800);
        run.Tool(
            run.Root, "refund.submit", 410, "irreversible", arguments, """{"refund_id":"rf_5521","status":"accepted"}""",
            ("approval.id", "apr_" + session), ("approval.state", "approved"), ("approval.required", true), ("target", "INV-2026-0042"), ("idempotency_key", "refund.submit:INV-2026-0042:1"));
        run.Span(run.Root, "agent.verify", 120, ("verify.strategy", "postcondition_check"), ("verify.passed", true)).Succeeded();
        return run.Finish("success", "Dear Maria, the second charge of 240.00 EUR has been refunded.", 7);
    }

    public static DemoRun RefundRejected(DateTimeOffset start, string session)
    {
        var run = new DemoRun("refund rejected", DemoWorkflow.Refunds, session, start, new Expectation("rejected", ApprovalState: "rejected"));
        string arguments = Propose(run, "INV-2026-0107", 189000);
        run.Approval(
            run.Root, "apr_" + session, "refund.submit", arguments, 203_000, "rejected", "s_901", "support_lead", "amount_over_limit", "Amount exceeded policy limit");
        return run.Finish("rejected", "Your request has been passed to our billing department.", 5, stopReason: "approval_rejected");
    }

    public static DemoRun ApprovalExpired(DateTimeOffset start, string session)
    {
        var run = new DemoRun("approval expired", DemoWorkflow.Refunds, session, start, new Expectation("timeout", ApprovalState: "expired"));
        string arguments = Propose(run, "INV-2026-0133", 31500);
        run.Approval(run.Root, "apr_" + session, "refund.submit", arguments, 900_000, "expired", null, null, null, null);
        return run.Finish("timeout", "Nobody could look at your request in time; a colleague will call you.", 5, stopReason: "approval_expired");
    }

    public static DemoRun ApprovalEdited(DateTimeOffset start, string session)
    {
        var run = new DemoRun("approval with an edit", DemoWorkflow.Triage, session, start, new Expectation("success", ApprovalState: "edited"));
        run.Chat(run.Root, "gpt-4.1", 1_650, 1_904, 260, 0.0113, "Draft an apology to tom.berger@example.org for the late parcel.", "Draft: we are sorry, here is a voucher of 50 EUR.");
        const string edited = """{"to":"tom.berger@example.org","subject":"Your parcel","voucher_eur":20}""";
        run.Approval(
            run.Root, "apr_" + session, "gmail.send", edited, 41_000, "edited", "s_417", "support_agent", "voucher_lowered", "The voucher is 20 EUR for delays below one week.");
        run.Wait(350);
        run.Tool(
            run.Root, "gmail.send", 620, "write", edited, """{"message_id":"18b4f5e2a8c"}""",
            ("approval.id", "apr_" + session), ("approval.state", "edited"), ("approval.required", true), ("target", "thread_18b4f5e2a8c"), ("idempotency_key", "gmail.send:thread_18b4f5e2:msg_02"));
        return run.Finish("success", "The apology has been sent.", 4);
    }

    public static DemoRun WriteWithoutApproval(DateTimeOffset start, string session)
    {
        var run = new DemoRun("write without approval", DemoWorkflow.Triage, session, start, new Expectation("success", Flag: "write_without_approval"));
        run.Chat(run.Root, "gpt-4.1", 1_420, 1_630, 214, 0.0097, "Tell j.lindqvist@example.net that her contract has been cancelled.", "I will send the confirmation.");
        run.Tool(
            run.Root, "gmail.send", 540, "write", """{"to":"j.lindqvist@example.net","subject":"Your contract","body":"It has been cancelled as you asked."}""",
            """{"message_id":"18b4f61c044"}""", ("approval.required", true), ("target", "thread_18b4f61c044"));
        return run.Finish("success", "The confirmation has been sent.", 2);
    }

    public static DemoRun ArgumentsDiffer(DateTimeOffset start, string session)
    {
        var run = new DemoRun("executed arguments differ from the approved ones", DemoWorkflow.Refunds, session, start, new Expectation("success", Flag: "args_mismatch"));
        string approved = Propose(run, "INV-2026-0170", 24000);
        run.Approval(
            run.Root, "apr_" + session, "refund.submit", approved, 38_000, "approved", "s_417", "support_agent", "goods_returned", "The parcel came back, tracking 00340434161094.");
        run.Wait(640);
        run.Tool(
            run.Root, "refund.submit", 390, "irreversible", """{"invoice_id":"INV-2026-0170","amount_cents":42000,"iban":"DE89370400440532013000"}""",
            """{"refund_id":"rf_5530","status":"accepted"}""",
            ("approval.id", "apr_" + session), ("approval.state", "approved"), ("approval.required", true), ("target", "INV-2026-0170"), ("idempotency_key", "refund.submit:INV-2026-0170:1"));
        return run.Finish("success", "420.00 EUR have been refunded.", 6);
    }

    public static DemoRun PauseAndResume(DateTimeOffset start, string session)
    {
        var run = new DemoRun("pause for a person, resumed in a second trace", DemoWorkflow.Invoices, session, start, new Expectation("success", Resumed: true));
        const string arguments = """{"invoice_id":"INV-2026-0042","supplier":"Hansen GmbH","amount_cents":1250000,"iban":"DE89370400440532013000"}""";
        run.Chat(run.Root, "claude-sonnet-4-5", 2_150, 3_420, 388, 0.0161, "Pay the open invoices of Hansen GmbH.", "One invoice of 12,500.00 EUR is due; I ask for approval.");
        run.Span(
            run.Root, "call_tool.payments.transfer", 60,
            ("kind", "tool"), ("tool.name", "payments.transfer"), ("tool.args", arguments), ("status", "interrupt"), ("interrupt.reason", "approval_required"),
            ("approval.id", "apr_" + session), ("approval.state", "requested"), ("approval.required", true), ("side_effect_level", "irreversible"), ("agent.step", 3));
        run.Root.With(("agent.outcome", "interrupted"), ("interrupt.reason", "approval_required"), ("agent.step_count", 3));
        run.Resume(1_380_000);
        run.Span(
            run.Root, "approval_decision", 2,
            ("approval.id", "apr_" + session), ("tool.name", "payments.transfer"), ("approval.state", "approved"), ("approval.approver_id", "s_220"),
            ("approval.approver_role", "finance_lead"), ("approval.latency_ms", 1_380_000), ("approval.args", arguments),
            ("approval.reason_code", "invoice_checked"), ("approval.reason", "Compared with the delivery note, amounts agree."));
        run.Wait(800);
        run.Tool(
            run.Root, "payments.transfer", 1_240, "irreversible", arguments, """{"transfer_id":"tr_90112","status":"booked"}""",
            ("approval.id", "apr_" + session), ("approval.state", "approved"), ("approval.required", true), ("target", "INV-2026-0042"), ("idempotency_key", "payments.transfer:INV-2026-0042"));
        return run.Finish("success", "The invoice has been paid.", 6);
    }

    /// <summary>The way to a proposed refund: context, plan, draft, policy. Returns the arguments that will be shown to the approver.</summary>
    private static string Propose(DemoRun run, string invoice, int cents)
    {
        string arguments = $$"""{"invoice_id":"{{invoice}}","amount_cents":{{cents}},"iban":"DE89370400440532013000"}""";
        run.Span(
            run.Root, "retrieval_query", 180,
            ("span_type", "retrieval"), ("retrieval.query", "refund policy double charge"), ("retrieval.documents", $"[{{\"id\":\"kb-112\",\"text\":\"{Policy}\"}}]"), ("result_count", 3));
        run.Chat(run.Root, "gpt-4.1", 1_840, 2_231, 412, 0.0184, Complaint, "The customer was charged twice. I propose a refund.");
        run.Span(run.Root, "agent.plan", 90, ("agent.step", 2), ("plan.hash", "sha256:3b4d7a1c9e52f08866a1d0c4b7e9f3a2551c0d8e7b6a49382716f5e4d3c2b1a0"));
        run.Tool(run.Root, "orders.get", 240, "read", """{"order":"A-77120"}""", """{"order":"A-77120","captures":2,"email":"maria.keller@example.com"}""");
        run.Tool(run.Root, "refund.create_draft", 842, "none", arguments, """{"draft_id":"dr_311"}""", ("side_effect", "draft_only"), ("target", invoice));
        run.Span(run.Root, "policy_check", 12, ("policy.name", "refund_limit"), ("policy.decision", "require_approval"));
        return arguments;
    }
}
