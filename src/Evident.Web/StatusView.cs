using System.Text.Json.Serialization;

namespace Evident.Web;

// GET /api/v1/status; snake case. While the vault is sealed the store is closed, and what comes from it is null.
internal sealed record StatusView(
    string Version, string Workspace, LedgerStatusView? Ledger, VaultStatusView Vault, IngestStatusView? Ingest, RedactionStatusView? Redaction, CaptureStatusView? Capture, bool Open,
    string Started);

/// <param name="AnchoredSize">Largest size that a confirmation from outside was filed for; null when none was.</param>
/// <param name="AnchoredTime">The witness's time, else when it was filed.</param>
internal sealed record LedgerStatusView(
    long Size, long PublishedSize, string? PublishedTime, long ScrubbedTo, long ScrubErrors, long? AnchoredSize, string? AnchoredTime);

/// <param name="State"><c>open</c> or <c>sealed</c>.</param>
/// <param name="PayloadsBytes">Null while sealed.</param>
internal sealed record VaultStatusView(string State, long? PayloadsBytes);

internal sealed record IngestStatusView(long AcceptedSpans, long DuplicateSpans, long RejectedSpans, long RefusedRequests);

/// <param name="Version">Version of the rules that ship.</param>
/// <param name="Hash">SHA-256 of the rules in force, as in the ledger's <c>redaction.rules</c>.</param>
/// <param name="InForce">Rules that are on for everyone.</param>
/// <param name="Found">Findings since the start.</param>
/// <param name="Rules">Findings since the start by rule, of those that fired.</param>
internal sealed record RedactionStatusView(string Version, string Hash, int InForce, long Found, SortedDictionary<string, long> Rules);

/// <param name="Mode"><c>redacted</c> or <c>structure</c>: where no rule says another.</param>
/// <param name="Unnamed"><c>strict</c> or <c>mode</c>: what holds for spans that do not say what the rules ask for.</param>
/// <param name="Hash">SHA-256 of the policy, as in the ledger's <c>capture.policy</c>.</param>
/// <param name="Rules">Opt-outs first.</param>
/// <param name="DebugSessions">Those that wait for approval or are open, oldest first.</param>
internal sealed record CaptureStatusView(string Mode, string Unnamed, string Hash, IReadOnlyList<CaptureRuleView> Rules, IReadOnlyList<DebugSessionView> DebugSessions);

/// <param name="Mode"><c>redacted</c>, <c>structure</c> or <c>opt_out</c>.</param>
internal sealed record CaptureRuleView(string? Tenant, string? Workflow, string? Environment, string Mode);

/// <param name="State"><c>requested</c> or <c>open</c>.</param>
/// <param name="Tenant">Empty: spans that name no tenant.</param>
/// <param name="Reason">After redaction.</param>
/// <param name="RequestedBy"><c>uid 1000</c>.</param>
internal sealed record DebugSessionView(
    string Id, string State, string Tenant, string Workflow, string? Environment, int Minutes, string Reason, string RequestedBy, string Requested, string? ApprovedBy, bool SingleOperator,
    string? Opened, string? Until);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StatusView))]
[JsonSerializable(typeof(EventsView))]
internal sealed partial class WebJson : JsonSerializerContext;
