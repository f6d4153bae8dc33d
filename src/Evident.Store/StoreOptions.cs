using Evident.Ingest;

namespace Evident.Store;

/// <summary>Where the data lies and the sizes that bound the writer.</summary>
public sealed class StoreOptions
{
    /// <summary>DATA: holds <c>lock keys/ ledger/ traces/ vault/ outcomes.db</c>. Created (0700) when it is not there.</summary>
    public required string DataDirectory { get; init; }

    public IngestLimits Limits { get; init; } = new();

    public ToolRegistry Tools { get; init; } = ToolRegistry.Empty;

    /// <summary>The redaction rules in force.</summary>
    public RuleSet Redaction { get; init; } = RuleSet.Default;

    /// <summary>What is captured of whom.</summary>
    public CapturePolicy Capture { get; init; } = CapturePolicy.Default;

    /// <summary>Spans that may wait for the writer; a request beyond it is refused with <see cref="QueueFullException"/>.</summary>
    public int QueueSpans { get; init; } = 65_536;

    /// <summary>Bytes (encoded spans and sealed payloads) that may wait for the writer.</summary>
    public long QueueBytes { get; init; } = 64L << 20;

    /// <summary>Spans the writer takes into one transaction unless a single request brings more.</summary>
    public int GroupSpans { get; init; } = 4_096;

    /// <summary>Longest wait for further requests that are being cleaned at this moment; a lone request never waits.</summary>
    public int LingerMillis { get; init; } = 10;

    /// <summary>The ledger's head is signed by the identity key and published at most this often, and only when it grew.</summary>
    public int PublishSeconds { get; init; } = 60;

    /// <summary>… or as soon as this many entries are unpublished.</summary>
    public int PublishEntries { get; init; } = 10_000;

    /// <summary>A heartbeat stands in the ledger at least this often, idle or not, so that silence is evidence.</summary>
    public int HeartbeatSeconds { get; init; } = 300;

    /// <summary>The whole ledger is read from the disk again this long after the last time, in the background.</summary>
    public int ScrubHours { get; init; } = 24;

    /// <summary>Version of the appliance, <c>[A-Za-z0-9._:/@#+-]{1,128}</c>; heartbeats tell it. Null: they do not.</summary>
    public string? Version { get; init; }

    /// <summary>Opens <c>keys/master.sealed</c>; a new data directory gets one. Stays the caller's, and is used by the opening only.</summary>
    public Platform.SecretBytes? Passphrase { get; init; }

    /// <summary>The service manager's credential, a file that need not exist: the vault's master key or its passphrase.</summary>
    public string? MasterCredential { get; init; }

    /// <summary>Days a payload is kept when its run succeeded.</summary>
    public int VaultShortDays { get; init; } = 1;

    /// <summary>Days a payload is kept when its run failed or was interrupted.</summary>
    public int VaultLongDays { get; init; } = 30;

    /// <summary>Payloads whose day is over are looked for this often, and at the start; 0: never, which is for tests.</summary>
    internal int SweepMinutes { get; init; } = 10;

    /// <summary>Told between the steps of a shredding; what it throws is a crash there. Test seam.</summary>
    internal Action<string> ShredStep { get; init; } = static _ => { };

    /// <summary>Scopes (workspace, tenant) before further tenants share the overflow scope.</summary>
    public int MaxScopes { get; init; } = 4_096;

    /// <summary>Approvals and executions kept in memory to be joined with what arrives later.</summary>
    public int OpenApprovals { get; init; } = 20_000;

    /// <summary>A ledger up to this many bytes is read whole at every start (some tens of milliseconds); a larger one quickly, and again in full in the background.</summary>
    public long QuickStartLedgerBytes { get; init; } = 8L << 20;

    /// <summary>Longest wait of a query for the projections to reach what was acknowledged before it.</summary>
    public int QueryWaitMillis { get; init; } = 2_000;

    /// <summary>Longest time that one page of a search for spans takes; it says how far it came and goes on from there.</summary>
    public int SearchMillis { get; init; } = 5_000;

    /// <summary>Rows of the ledger's index that one search looks at, some tenths of a second; it says how far it came and goes on from there.</summary>
    public int LedgerSearchRows { get; init; } = 100_000;

    /// <summary>Runs above this many spans are recomputed at most once per <see cref="LargeRunMillis"/> unless a query waits.</summary>
    public int LargeRunSpans { get; init; } = 2_000;

    public int LargeRunMillis { get; init; } = 2_000;

    /// <summary>Called on the writer thread at each step of a group or a seal; what it throws is a failure of that step. Test seam.</summary>
    internal Action<WriteStep>? Step { get; init; }

    /// <summary>How often threads without work look at the clock. Test seam.</summary>
    internal int IdleMillis { get; init; } = 1_000;
}

/// <summary>Where in a group, or in a seal over the spans stored so far, the writer is; the names are those of docs/store.md.</summary>
internal enum WriteStep
{
    BeforeVault, AfterVault, BeforeCommit, AfterCommit, BeforeLedger, AfterLedger, BeforeReceipts,
    BeforeSeal, BeforeSealCommit, AfterSealCommit, AfterSealEntry, AfterPublish,
}

/// <summary>Who sent a request: <c>otlp:loopback</c>, <c>otlp:token_4</c>. The workspace comes only from the credential.</summary>
public sealed record IngestSource(string Name, string Workspace = IngestSource.DefaultWorkspace)
{
    /// <summary>Where everything goes that names no other one.</summary>
    public const string DefaultWorkspace = "default";

    /// <summary>An import by the appliance's own user: spans may bring the encoding of the appliance that exported them.</summary>
    public bool Carries { get; init; }
}

/// <summary>What became of one request; all of it is on stable storage, ledger included.</summary>
/// <param name="Accepted">Spans stored, revisions included.</param>
/// <param name="Duplicates">Spans that were already stored with the same content.</param>
/// <param name="Rejected">Spans that could not be stored, with the first reason (never sender text).</param>
public sealed record IngestReceipt(int Accepted, int Duplicates, int Rejected, string? RejectedReason);

/// <summary>Who opens a payload. Kind is <c>uid</c> (a local user), <c>user</c> (an account) or <c>agent</c>.</summary>
public sealed record Actor(string Id, string Kind);

/// <summary>Totals since the start of the process.</summary>
public sealed record IngestCounters(long AcceptedSpans, long DuplicateSpans, long RejectedSpans, long RefusedRequests);

public enum ReadyState
{
    /// <summary>Accepts requests.</summary>
    Ready,

    /// <summary>A clean stop has begun.</summary>
    Stopping,

    /// <summary>The writer no longer knows its state; the process must exit with 70.</summary>
    Failed,
}

/// <summary>The queue before the writer is full: try again later (HTTP 503 with Retry-After). Nothing of the request was stored.</summary>
public sealed class QueueFullException(string message) : Exception(message);

/// <summary>The store no longer takes requests. Whether the request is stored is unknown when the writer failed beneath it.</summary>
public sealed class StoreStoppedException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>A partition, a query or a cursor that the store cannot work with; the message says what was attempted.</summary>
public sealed class StoreException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>A payload that is not there, has expired or may not be opened. The refusal stands in the ledger.</summary>
public sealed class PayloadDeniedException(string code, string message) : Exception(message)
{
    /// <summary><c>not_found</c>, <c>expired</c>, <c>malformed</c>, <c>tampered</c>.</summary>
    public string Code { get; } = code;
}
