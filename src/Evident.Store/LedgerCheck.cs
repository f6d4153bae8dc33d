using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>How far the appliance's check of its own ledger is, or what it found.</summary>
/// <param name="State"><c>idle</c> before the first, <c>running</c>, <c>done</c>, <c>failed</c>.</param>
/// <param name="Entries">Entries passed.</param>
/// <param name="Of">Durable entries when it began.</param>
/// <param name="Report">The JSON of <c>evident verify</c>, and <paramref name="Text"/> its text form; of the last check that was done.</param>
/// <param name="Failure">Why there is no report.</param>
public sealed record LedgerCheckState(string State, long Entries, long Of, string? Started, string? Finished, byte[]? Report, string? Text, string? Failure);

/// <summary>
/// The appliance runs the verifier over its own ledger and index when somebody asks for it: one at a time, on a thread that gives way to everything else. It finds
/// damage and honest mistakes. To an auditor who does not trust the appliance it proves nothing, because the appliance says it. Thread safe.
/// </summary>
public sealed class LedgerCheck : IDisposable
{
    private const int MaxReportBytes = 4 << 20; // a ledger that is damaged in every line has a report of its own size

    private readonly string dataDirectory;
    private readonly Func<long> durable;
    private readonly IClock clock;
    private readonly Action<string, Exception?> log;
    private readonly CancellationTokenSource stopping = new();
    private readonly object gate = new();
    private LedgerCheckState state = new("idle", 0, 0, null, null, null, null, null); // guarded by gate, as is running
    private Thread? running;
    private long passed;

    internal LedgerCheck(string dataDirectory, Func<long> durable, IClock clock, Action<string, Exception?> log) =>
        (this.dataDirectory, this.durable, this.clock, this.log) = (dataDirectory, durable, clock, log);

    public LedgerCheckState State
    {
        get
        {
            lock (gate)
            {
                return state.State == "running" ? state with { Entries = Math.Min(Volatile.Read(ref passed), state.Of) } : state;
            }
        }
    }

    /// <summary>Starts a check, or joins the one that runs.</summary>
    public LedgerCheckState Start()
    {
        lock (gate)
        {
            if (running is null && !stopping.IsCancellationRequested)
            {
                Volatile.Write(ref passed, 0);
                state = state with { State = "running", Entries = 0, Of = durable(), Started = Rfc3339.FormatMillis(clock.UnixMillis), Finished = null, Failure = null };
                running = new Thread(Run) { Name = "evident-verify", IsBackground = true, Priority = ThreadPriority.Lowest };
                running.Start();
            }
        }

        return State;
    }

    public void Dispose()
    {
        stopping.Cancel();
        Thread? last;
        lock (gate)
        {
            last = running;
        }

        last?.Join();
        stopping.Dispose();
    }

    private void Run()
    {
        try
        {
            LowPriority.TakeForThisThread();
            var report = LedgerVerifier.Verify(
                new VerifyRequest { Path = dataDirectory, Audits = [IndexAudit.Of(dataDirectory)] }, new Passed(this), stopping.Token);
            byte[] json = report.ToJson();
            bool fits = json.Length <= MaxReportBytes;
            End("done", fits ? json : null, fits ? report.ToText() : null,
                fits ? null : $"{report.Verdict} ({report.VerdictCode}): {report.Summary} The report has {json.Length} bytes, more than is shown here: run 'evident verify DATA --report FILE' on the appliance.");
        }
        catch (OperationCanceledException)
        {
            End("failed", null, null, "The appliance stopped before the check was done.");
        }
        catch (Exception unexpected)
        {
            log("the check of the ledger failed", unexpected);
            End("failed", null, null, "The check failed inside the appliance; its log says why. Run 'evident verify' on the data directory.");
        }
    }

    private void End(string how, byte[]? report, string? text, string? failure)
    {
        lock (gate)
        {
            state = state with { State = how, Entries = how == "done" ? state.Of : Volatile.Read(ref passed), Finished = Rfc3339.FormatMillis(clock.UnixMillis), Report = report, Text = text, Failure = failure };
            running = null;
        }
    }

    private sealed class Passed(LedgerCheck check) : IProgress<VerifyProgress>
    {
        public void Report(VerifyProgress value) => Volatile.Write(ref check.passed, value.Entries);
    }
}
