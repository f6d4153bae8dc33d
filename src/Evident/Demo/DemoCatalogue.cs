using System.Globalization;

namespace Evident.Demo;

/// <summary>Every kind of run that the demo shows, and the tools that its agents use.</summary>
internal static class DemoCatalogue
{
    private static readonly Func<DateTimeOffset, string, DemoRun>[] Kinds =
    [
        ApprovalRuns.RefundApproved, ApprovalRuns.RefundRejected, ApprovalRuns.ApprovalExpired, ApprovalRuns.ApprovalEdited, ApprovalRuns.WriteWithoutApproval,
        ApprovalRuns.ArgumentsDiffer, ApprovalRuns.PauseAndResume, FailureRuns.RetryThenSuccess, FailureRuns.LoopUntilBudget, FailureRuns.FallbackModel,
        FailureRuns.AuthorizationDenied, FailureRuns.GuardrailBlock, TeamworkRuns.HandoffWithHttp, TeamworkRuns.RetrievalAndVerification, TeamworkRuns.EvalResult,
    ];

    /// <summary>One run of each kind, ended within the last hours; the first one is about ticket-9421.</summary>
    public static IReadOnlyList<DemoRun> Everything(DateTimeOffset now) =>
        [.. Kinds.Select((kind, i) => kind(now.AddMinutes(-35 - (i * 7)), Session(9421 + (i * 3))))];

    /// <summary>One more run of some kind, ended a moment ago; ticket numbers go on from run to run.</summary>
    public static DemoRun Another(DateTimeOffset now, int number)
    {
        Func<DateTimeOffset, string, DemoRun> kind = Kinds[Random.Shared.Next(Kinds.Length)];
        DemoRun measured = kind(now, Session(0));
        TimeSpan length = TimeSpan.FromMilliseconds((measured.Now - measured.Spans[0].Start) / 1e6);
        return kind(now - length - TimeSpan.FromSeconds(2), Session(9500 + number));
    }

    /// <summary>Goes to DATA/evident.json when there is none: what these tools can do, decided on the appliance.</summary>
    public const string Configuration =
        """
        // Written by 'evident demo'. Every value has a default; 'evident config' prints all of them.
        {
          // What each tool can do to the world. Calls at write, irreversible or unknown are ledger entries.
          "tools": {
            "refund.create_draft": "none",
            "orders.get": "read",
            "erp.get_account": "read",
            "web.search": "read",
            "pricelist.fetch": "read",
            "gmail.send": "write",
            "refund.submit": "irreversible",
            "payments.transfer": "irreversible",
            "users.delete": "irreversible"
          }
        }

        """;

    private static string Session(int ticket) => string.Create(CultureInfo.InvariantCulture, $"ticket-{ticket}");
}
