using System.Text.Json.Serialization;

namespace Evident.Web;

// GET /api/v1/status; snake case.
internal sealed record StatusView(
    string Version, string Workspace, LedgerStatusView Ledger, VaultStatusView Vault, IngestStatusView Ingest, bool Open, string Started);

internal sealed record LedgerStatusView(long Size, long PublishedSize, string? PublishedTime, long ScrubbedTo, long ScrubErrors);

internal sealed record VaultStatusView(string State, long PayloadsBytes);

internal sealed record IngestStatusView(long AcceptedSpans, long DuplicateSpans, long RejectedSpans, long RefusedRequests);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StatusView))]
internal sealed partial class WebJson : JsonSerializerContext;
