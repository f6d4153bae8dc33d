using System.Collections.Concurrent;

namespace Evident.Ingest;

/// <summary>
/// The one choke point between what senders send and what is stored: conventions, content gate, capture policy, redaction, sealing. A pure function of the batch, the scopes and their keys, but
/// for the sealer and for the key of what is not captured. Thread safe; each call works on its own desk.
/// </summary>
/// <param name="inFull">Null where there are no debug sessions.</param>
public sealed class SpanCleaner(Conventions conventions, RuleSet rules, CapturePolicy capture, IngestLimits limits, IFullCapture? inFull = null)
{
    private const int KeptDesks = 8;

    private readonly ConcurrentBag<CleaningDesk> desks = [];
    private readonly StructureKey structureKey = new();

    /// <summary>Cleans every span of the batch, in order. The batch may be disposed afterwards; the result owns its bytes.</summary>
    /// <param name="carried">A span may bring the encoding of another appliance (<see cref="CarriedSpan"/>); only for imports by the appliance's own user.</param>
    public CleanBatch Clean(SpanBatch dirty, IScopes scopes, IPayloadSealer sealer, bool carried = false)
    {
        ArgumentNullException.ThrowIfNull(dirty);
        ArgumentNullException.ThrowIfNull(scopes);
        ArgumentNullException.ThrowIfNull(sealer);
        var clean = new CleanBatch(dirty.SpanCount) { Rejected = dirty.Rejected, RejectedReason = dirty.RejectedReason };
        if (!desks.TryTake(out var desk)) desk = new CleaningDesk(conventions, rules, capture, inFull, structureKey, limits);
        // A desk that a failing sealer left half used is not reused.
        desk.Start(dirty, scopes, sealer, carried);
        foreach (ref readonly var span in dirty.Spans) desk.Clean(span, clean);
        clean.Staff = desk.StaffNames.Take();
        if (desk.Tally.Total > 0) clean.Counts = desk.Tally.Counts.ToArray();
        if (desks.Count < KeptDesks) desks.Add(desk);
        return clean;
    }
}
