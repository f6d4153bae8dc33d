using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>What threads beside the writer know of the appliance's health. Counts are since the start; null: not known yet.</summary>
internal sealed record Vitals(long ScrubbedTo, long ScrubErrors, long? OrphanPayloads, long Refused);

/// <summary>
/// The ledger's pulse (docs/ledger-format.md, "Silence"): <c>started</c> before anything else of a run, <c>running</c> at intervals of monotonic time even when nothing
/// happens, <c>stopping</c> as the last entry of a clean stop. Owned by the writer thread.
/// </summary>
internal sealed class Heartbeat(StoreOptions options, IClock clock, LedgerLog ledger, Func<Vitals> vitals)
{
    public const string Started = "started", Running = "running", Stopping = "stopping";

    private readonly long interval = options.HeartbeatSeconds * 1_000L;
    private long last;

    public bool IsDue => clock.MonotonicMillis - last >= interval;

    /// <summary>Appends one, durably.</summary>
    /// <param name="spans">Spans stored since the start.</param>
    public void Beat(string state, long spans)
    {
        var now = vitals();
        ledger.AppendOwn("ledger.heartbeat", entry => entry.Set("heartbeat", beat => beat
            .Set("state", state).Set("interval_ms", interval).SetIf("version", options.Version)
            .Set("scrubbed_to", now.ScrubbedTo).Set("scrub_errors", now.ScrubErrors).SetIf("orphan_payloads", now.OrphanPayloads)
            .Set("spans", spans).Set("refused", now.Refused)));
        last = clock.MonotonicMillis;
    }
}
