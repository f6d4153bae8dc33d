using System.Security.Cryptography;
using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// The ledger entries of debug sessions (docs/ledger-format.md, <c>debug.session.*</c>). An id follows from session and step: every attempt to record the same step has the same one. Pure.
/// </summary>
/// <param name="own">Gives the workspace's own scope, whose pseudonym stands for a name that may not be published.</param>
internal sealed class DebugEntries(Func<Scope> own)
{
    private static readonly Actor System = new("", "system");

    /// <param name="reference">Vault reference of the sealed reason.</param>
    public EntryDraft Requested(DebugSession of, SealedWords reason) => Draft("requested", of, of.RequestedBy, of.Requested, entry => entry
        .Set("payload", payload => payload.Set("reason", one => LedgerDrafts.Sealed(one, reason.Reference, reason.Commitment, reason.Bytes))));

    public EntryDraft Approved(DebugSession of) => Draft("approved", of, of.ApprovedBy!, of.Opened!.Value, entry => entry
        .SetIf("reason_code", of.SingleOperator ? "single_operator" : null).Set("refers", refers => refers.Set("request", Id("requested", of))));

    public EntryDraft Opened(DebugSession of) => Draft("opened", of, of.ApprovedBy!, of.Opened!.Value, static _ => { });

    /// <param name="by">Null: the appliance, because nobody approved in time.</param>
    public EntryDraft Rejected(DebugSession of, Actor? by, long now) => Draft("rejected", of, by ?? System, now, entry => entry
        .SetIf("reason_code", by is null ? "not_approved_in_time" : null).Set("refers", refers => refers.Set("request", Id("requested", of))));

    /// <param name="by">Null: the appliance.</param>
    /// <param name="payloads">Captured in full for its tenant since it was opened.</param>
    /// <param name="cause"><c>expired</c>, <c>closed</c>, or <c>restart</c> for one that was recorded as opened and never captured anything.</param>
    public EntryDraft Closed(DebugSession of, Actor? by, string cause, long payloads, long now) => Draft("closed", of, by ?? System, now, entry => entry.Set("cause", cause), payloads);

    /// <summary>The id of the entry that a step of a session has.</summary>
    public static string Id(string step, DebugSession of) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes($"debug.session.{step}\n{of.Id}")).AsSpan(0, 16));

    private EntryDraft Draft(string step, DebugSession of, Actor actor, long now, Action<Lj1ObjectBuilder> more, long? payloads = null) => EntryDraft.Create("debug.session." + step, Id(step, of), entry =>
    {
        var names = own();
        entry.Set("recorded", Rfc3339.FormatMillis(now)).Set("workspace", IngestSource.DefaultWorkspace).Set("channel", actor == System ? "system" : "cli")
            .Set("actor", who => who.Set("kind", actor.Kind is "uid" or "user" or "system" ? actor.Kind : "unknown").SetIf("id", LedgerDrafts.Clean(names, actor.Id))
                .SetIf("identity_source", actor.Kind == "uid" ? "uid" : null))
            .SetIf("tenant_id", LedgerDrafts.Clean(names, of.Wish.Tenant)).SetIf("environment", LedgerDrafts.Clean(names, of.Wish.Environment))
            .Set("session", session =>
            {
                session.Set("session_id", of.Id).Set("duration_ms", of.Wish.Minutes * 60_000L)
                    .SetIf("workflow_id", LedgerDrafts.Clean(names, CaptureRecord.Workflow(of.Wish.Workflow))).SetIf("until", of.Until is { } until ? Rfc3339.FormatMillis(until) : null);
                if (payloads is { } captured)
                {
                    session.Set("payloads", captured);
                }
            });
        more(entry);
    });
}
