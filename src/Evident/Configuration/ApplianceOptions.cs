using Evident.Ingest;
using Evident.Store;
using Evident.Web;

namespace Evident.Configuration;

/// <summary>
/// The whole configuration, defaults in the initialisers. <see cref="Setting.All"/> names every value, what it may be and why; the
/// file, <c>evident config</c> and docs/configuration.md follow that table.
/// </summary>
internal sealed class ApplianceOptions
{
    public List<string> Listen { get; set; } = [ListenAddress.Default, ListenAddress.DefaultGrpc];

    public HttpLimits Http { get; } = new();

    public IngestOptions Ingest { get; } = new();

    public QueueOptions Queue { get; } = new();

    public LedgerOptions Ledger { get; } = new();

    public VaultOptions Vault { get; } = new();

    public QueryOptions Query { get; } = new();

    public LogOptions Log { get; } = new();

    public CaptureSection Capture { get; } = new();

    public RedactionSection Redaction { get; } = new();

    public SortedDictionary<string, SideEffectLevel> Tools { get; } = new(StringComparer.Ordinal);

    /// <summary>The same values as <see cref="IngestLimits"/>, where their meaning stands.</summary>
    internal sealed class IngestOptions
    {
        private static readonly IngestLimits Defaults = new();

        public int MaxBodyBytes { get; set; } = Defaults.MaxBodyBytes;
        public int MaxTranscodedBytes { get; set; } = Defaults.MaxTranscodedBytes;
        public int MaxSpans { get; set; } = Defaults.MaxSpans;
        public int MaxRecords { get; set; } = Defaults.MaxRecords;
        public int MaxAttributesPerSpan { get; set; } = Defaults.MaxAttributesPerSpan;
        public int MaxEventsPerSpan { get; set; } = Defaults.MaxEventsPerSpan;
        public int MaxLinksPerSpan { get; set; } = Defaults.MaxLinksPerSpan;
        public int MaxDepth { get; set; } = Defaults.MaxDepth;
        public int MaxKeyBytes { get; set; } = Defaults.MaxKeyBytes;
        public int MaxValueBytes { get; set; } = Defaults.MaxValueBytes;
        public int MaxNameBytes { get; set; } = Defaults.MaxNameBytes;

        public IngestLimits ToLimits() => new()
        {
            MaxBodyBytes = MaxBodyBytes,
            MaxTranscodedBytes = MaxTranscodedBytes,
            MaxSpans = MaxSpans,
            MaxRecords = MaxRecords,
            MaxAttributesPerSpan = MaxAttributesPerSpan,
            MaxEventsPerSpan = MaxEventsPerSpan,
            MaxLinksPerSpan = MaxLinksPerSpan,
            MaxDepth = MaxDepth,
            MaxKeyBytes = MaxKeyBytes,
            MaxValueBytes = MaxValueBytes,
            MaxNameBytes = MaxNameBytes,
        };
    }

    internal sealed class QueueOptions
    {
        public int MaxSpans { get; set; } = 65_536;
        public long MaxBytes { get; set; } = 64L << 20;
        public int GroupSpans { get; set; } = 4_096;
        public int LingerMillis { get; set; } = 10;
    }

    internal sealed class LedgerOptions
    {
        public int PublishSeconds { get; set; } = 60;
        public int PublishEntries { get; set; } = 10_000;
        public int OpenApprovals { get; set; } = 50_000;
        public int HeartbeatSeconds { get; set; } = 300;
        public int ScrubHours { get; set; } = 24;
    }

    internal sealed class VaultOptions
    {
        public int ShortDays { get; set; } = 1;
        public int LongDays { get; set; } = 30;
        public int MaxScopes { get; set; } = 4_096;
    }

    internal sealed class QueryOptions
    {
        public int WaitMillis { get; set; } = 2_000;
        public int LargeRunSpans { get; set; } = 2_000;
        public int LargeRunMillis { get; set; } = 2_000;
    }

    /// <summary>The same values as <see cref="CaptureOptions"/>, where their meaning stands.</summary>
    internal sealed class CaptureSection
    {
        public string Mode { get; set; } = CaptureSettings.Redacted;
        public string Unnamed { get; set; } = CaptureSettings.Strict;
        public List<string> OptOut { get; set; } = [];
        public List<CaptureRule> Rules { get; set; } = [];

        public CaptureOptions ToOptions() => new()
        {
            Mode = Mode == CaptureSettings.Structure ? CaptureMode.Structure : CaptureMode.Redacted,
            UnnamedIsStrict = Unnamed == CaptureSettings.Strict,
            OptOut = OptOut,
            Rules = Rules,
        };

        /// <summary>The policy in force.</summary>
        /// <exception cref="InvalidOperationException">The section was not checked; <see cref="ConfigurationFile"/> does.</exception>
        public CapturePolicy ToPolicy() => CapturePolicy.TryBuild(ToOptions(), out var problems) ?? throw new InvalidOperationException(string.Join(' ', problems));
    }

    /// <summary>The same values as <see cref="RedactionOptions"/>, where their meaning stands.</summary>
    internal sealed class RedactionSection
    {
        public string Attributes { get; set; } = RedactionSettings.Gate;
        public List<string> Allow { get; set; } = [];
        public List<string> On { get; set; } = [];
        public List<string> Off { get; set; } = [];
        public List<string> Names { get; set; } = [];
        public List<string> NotNames { get; set; } = [];
        public SortedDictionary<string, string> Rules { get; set; } = new(StringComparer.Ordinal);
        public SortedDictionary<string, TenantRedaction> Tenants { get; set; } = new(StringComparer.Ordinal);

        public RedactionOptions ToOptions() => new()
        {
            On = On,
            Off = Off,
            AllowListOnly = Attributes == RedactionSettings.AllowList,
            Everyone = new TenantRedaction { Rules = Rules, Names = Names, NotNames = NotNames, Allow = Allow },
            Tenants = Tenants,
        };

        /// <summary>The rules in force; the one that ships where nothing is configured.</summary>
        /// <exception cref="InvalidOperationException">The section was not checked; <see cref="ConfigurationFile"/> does.</exception>
        public RuleSet ToRules() => IsDefault ? RuleSet.Default : RuleSet.TryBuild(ToOptions(), out var problems) ?? throw new InvalidOperationException(string.Join(' ', problems));

        private bool IsDefault =>
            Attributes == RedactionSettings.Gate && Allow.Count + On.Count + Off.Count + Names.Count + NotNames.Count + Rules.Count + Tenants.Count == 0;
    }

    internal sealed class LogOptions
    {
        public string Level { get; set; } = "information";
        public long MaxFileBytes { get; set; } = 16L << 20;
        public int MaxFiles { get; set; } = 8;
    }

    public StoreOptions ToStoreOptions(string dataDirectory, Platform.SecretBytes? passphrase = null) => new()
    {
        DataDirectory = dataDirectory,
        Passphrase = passphrase,
        MasterCredential = Control.OpenedStore.Credential,
        Limits = Ingest.ToLimits(),
        Tools = new ToolRegistry(Tools),
        Redaction = Redaction.ToRules(),
        Capture = Capture.ToPolicy(),
        QueueSpans = Queue.MaxSpans,
        QueueBytes = Queue.MaxBytes,
        GroupSpans = Queue.GroupSpans,
        LingerMillis = Queue.LingerMillis,
        PublishSeconds = Ledger.PublishSeconds,
        PublishEntries = Ledger.PublishEntries,
        OpenApprovals = Ledger.OpenApprovals,
        HeartbeatSeconds = Ledger.HeartbeatSeconds,
        ScrubHours = Ledger.ScrubHours,
        Version = BuildVersion.Text,
        VaultShortDays = Vault.ShortDays,
        VaultLongDays = Vault.LongDays,
        MaxScopes = Vault.MaxScopes,
        QueryWaitMillis = Query.WaitMillis,
        LargeRunSpans = Query.LargeRunSpans,
        LargeRunMillis = Query.LargeRunMillis,
    };
}
