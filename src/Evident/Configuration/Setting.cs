using System.Globalization;
using System.Text.Json;
using Evident.Store;
using Evident.Web;

namespace Evident.Configuration;

/// <summary>
/// One configuration value: its name in the file (a dot is a level), what it may be, why it exists, and how it is read and written.
/// Names are compared without regard to case.
/// </summary>
internal sealed class Setting
{
    internal delegate string? Reader(JsonElement value, ApplianceOptions options);

    private readonly Reader read;
    private readonly Action<Utf8JsonWriter, ApplianceOptions> write;

    internal Setting(string name, string allowed, string meaning, Reader read, Action<Utf8JsonWriter, ApplianceOptions> write)
    {
        (Name, Allowed, Meaning, this.read, this.write) = (name, allowed, meaning, read, write);
    }

    public string Name { get; }

    /// <summary>A phrase that completes "is allowed to be …".</summary>
    public string Allowed { get; }

    public string Meaning { get; }

    /// <summary>The default as JSON.</summary>
    public string Default => Json(new ApplianceOptions());

    /// <summary>Null when the value was taken; else what was wrong with it.</summary>
    public string? Read(JsonElement value, ApplianceOptions options) => read(value, options);

    public void Write(Utf8JsonWriter json, ApplianceOptions options) => write(json, options);

    public string Json(ApplianceOptions options)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            Write(json, options);
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    public static IReadOnlyList<Setting> All { get; } =
    [
        Addresses(),
        Hosts(),
        Origins(),
        Whole("http.maxConnections", 1, 65_536, o => o.Http.MaxConnections, (o, v) => o.Http.MaxConnections = (int)v,
            "Open connections. One agent process holds one or two, a browser up to six; more are refused, so that sockets and buffers stay bounded."),
        Whole("http.keepAliveSeconds", 1, 3_600, o => o.Http.KeepAliveSeconds, (o, v) => o.Http.KeepAliveSeconds = (int)v,
            "Idle connections are closed after this. Exporters send every 5 s to 60 s and keep their connection."),
        Whole("http.headersTimeoutSeconds", 1, 600, o => o.Http.HeadersTimeoutSeconds, (o, v) => o.Http.HeadersTimeoutSeconds = (int)v,
            "All headers of a request must have arrived by then; a sender that trickles them would hold a connection for ever."),
        Whole("http.maxRequestLineBytes", 1_024, 65_536, o => o.Http.MaxRequestLineBytes, (o, v) => o.Http.MaxRequestLineBytes = (int)v,
            "Bytes of the request line. The longest query of the page fits many times."),
        Whole("http.maxHeaderBytes", 4_096, 131_072, o => o.Http.MaxHeaderBytes, (o, v) => o.Http.MaxHeaderBytes = (int)v,
            "Bytes of all request headers together. Browsers send 1 to 2 KiB, a proxy with tokens up to 16 KiB."),
        Whole("http.maxHeaders", 16, 1_000, o => o.Http.MaxHeaders, (o, v) => o.Http.MaxHeaders = (int)v,
            "Number of request headers."),
        Whole("http.minBodyBytesPerSecond", 1, 1_000_000, o => o.Http.MinBodyBytesPerSecond, (o, v) => o.Http.MinBodyBytesPerSecond = (int)v,
            "A body that arrives slower than this is cut off; the sender is on this machine or behind a proxy on it."),
        Whole("http.bodyGraceSeconds", 2, 300, o => o.Http.BodyGraceSeconds, (o, v) => o.Http.BodyGraceSeconds = (int)v,
            "Seconds that a body may take before http.minBodyBytesPerSecond counts."),
        Whole("http.maxBodyBytesInFlight", 1 << 20, 64L << 30, o => o.Http.MaxBodyBytesInFlight, (o, v) => o.Http.MaxBodyBytesInFlight = v,
            "Bytes of ingest bodies, inflated, and of their decoded copies that all requests together may hold; beyond it 503 and Retry-After. At least twice ingest.maxBodyBytes."),

        Whole("ingest.maxBodyBytes", 65_536, 512L << 20, o => o.Ingest.MaxBodyBytes, (o, v) => o.Ingest.MaxBodyBytes = (int)v,
            "Bytes of one request, as sent and inflated; beyond it 413. 64 MiB is what the OTLP specification suggests."),
        Whole("ingest.maxTranscodedBytes", 65_536, 1L << 30, o => o.Ingest.MaxTranscodedBytes, (o, v) => o.Ingest.MaxTranscodedBytes = (int)v,
            "Bytes that decoding one request may add to it: unescaped, repaired and re-rendered text."),
        Whole("ingest.maxSpans", 1, 1_000_000, o => o.Ingest.MaxSpans, (o, v) => o.Ingest.MaxSpans = (int)v,
            "Spans of one request; further ones are rejected and counted. Exporters send 512 at a time."),
        Whole("ingest.maxRecords", 1_000, 20_000_000, o => o.Ingest.MaxRecords, (o, v) => o.Ingest.MaxRecords = (int)v,
            "Attributes, events and links of one request together; a span that would pass it is rejected."),
        Whole("ingest.maxAttributesPerSpan", 1, 10_000, o => o.Ingest.MaxAttributesPerSpan, (o, v) => o.Ingest.MaxAttributesPerSpan = (int)v,
            "Attributes of one span, event, link or resource; further ones are dropped and counted. SDKs stop at 128."),
        Whole("ingest.maxEventsPerSpan", 0, 10_000, o => o.Ingest.MaxEventsPerSpan, (o, v) => o.Ingest.MaxEventsPerSpan = (int)v,
            "Events of one span; further ones are dropped and counted."),
        Whole("ingest.maxLinksPerSpan", 0, 10_000, o => o.Ingest.MaxLinksPerSpan, (o, v) => o.Ingest.MaxLinksPerSpan = (int)v,
            "Links of one span; further ones are dropped and counted."),
        Whole("ingest.maxDepth", 2, 64, o => o.Ingest.MaxDepth, (o, v) => o.Ingest.MaxDepth = (int)v,
            "Nesting of array and list values; deeper input is undecodable (400)."),
        Whole("ingest.maxKeyBytes", 16, 4_096, o => o.Ingest.MaxKeyBytes, (o, v) => o.Ingest.MaxKeyBytes = (int)v,
            "UTF-8 bytes of one attribute key."),
        Whole("ingest.maxValueBytes", 1_024, 64L << 20, o => o.Ingest.MaxValueBytes, (o, v) => o.Ingest.MaxValueBytes = (int)v,
            "Bytes of one attribute value; a span with a larger one is rejected. Prompts with long contexts reach 1 MiB."),
        Whole("ingest.maxNameBytes", 64, 65_536, o => o.Ingest.MaxNameBytes, (o, v) => o.Ingest.MaxNameBytes = (int)v,
            "UTF-8 bytes of a span, event or scope name."),

        Whole("queue.maxSpans", 64, 1_000_000, o => o.Queue.MaxSpans, (o, v) => o.Queue.MaxSpans = (int)v,
            "Spans that may wait for the writer; beyond it 503 and Retry-After, nothing is dropped."),
        Whole("queue.maxBytes", 1 << 20, 8L << 30, o => o.Queue.MaxBytes, (o, v) => o.Queue.MaxBytes = v,
            "Bytes (spans and sealed payloads) that may wait for the writer."),
        Whole("queue.groupSpans", 1, 100_000, o => o.Queue.GroupSpans, (o, v) => o.Queue.GroupSpans = (int)v,
            "Spans that the writer takes into one transaction unless a single request brings more."),
        Whole("queue.lingerMillis", 0, 1_000, o => o.Queue.LingerMillis, (o, v) => o.Queue.LingerMillis = (int)v,
            "Longest wait for further requests before a group is written; a lone request never waits."),

        Whole("ledger.publishSeconds", 1, 86_400, o => o.Ledger.PublishSeconds, (o, v) => o.Ledger.PublishSeconds = (int)v,
            "A grown ledger's head is signed by the identity key and published at most this often."),
        Whole("ledger.publishEntries", 1, 1_000_000, o => o.Ledger.PublishEntries, (o, v) => o.Ledger.PublishEntries = (int)v,
            "The head is published as soon as this many entries are unpublished."),
        Whole("ledger.openApprovals", 100, 10_000_000, o => o.Ledger.OpenApprovals, (o, v) => o.Ledger.OpenApprovals = (int)v,
            "Approvals and executions kept in memory to be joined with what arrives later."),
        Whole("ledger.heartbeatSeconds", 1, 86_400, o => o.Ledger.HeartbeatSeconds, (o, v) => o.Ledger.HeartbeatSeconds = (int)v,
            "A heartbeat is written at least this often, idle or not; a verifier takes more than twice this, and a minute, for silence."),
        Whole("ledger.scrubHours", 1, 8_760, o => o.Ledger.ScrubHours, (o, v) => o.Ledger.ScrubHours = (int)v,
            "The whole ledger is read from the disk again this long after the last time, in the background and slowly; heartbeats tell how far and what was found."),

        Whole("vault.shortDays", 0, 3_650, o => o.Vault.ShortDays, (o, v) => o.Vault.ShortDays = (int)v,
            "Days that the payloads of a successful run are kept."),
        Whole("vault.longDays", 0, 3_650, o => o.Vault.LongDays, (o, v) => o.Vault.LongDays = (int)v,
            "Days that the payloads of a failed or interrupted run are kept. Not below vault.shortDays."),
        Whole("vault.maxScopes", 1, 65_536, o => o.Vault.MaxScopes, (o, v) => o.Vault.MaxScopes = (int)v,
            "Tenants with keys of their own; further ones share an overflow scope, so that a sender cannot fill the key ring."),

        Whole("query.waitMillis", 0, 60_000, o => o.Query.WaitMillis, (o, v) => o.Query.WaitMillis = (int)v,
            "Longest wait of a query until it sees everything that was acknowledged before it."),
        Whole("query.largeRunSpans", 100, 1_000_000, o => o.Query.LargeRunSpans, (o, v) => o.Query.LargeRunSpans = (int)v,
            "Runs above this many spans are recomputed only every query.largeRunMillis while they grow."),
        Whole("query.largeRunMillis", 0, 60_000, o => o.Query.LargeRunMillis, (o, v) => o.Query.LargeRunMillis = (int)v,
            "How often a run above query.largeRunSpans is recomputed while it grows and nobody asks for it."),

        .. CaptureSettings.All,

        .. RedactionSettings.All,

        Choice("log.level", ["debug", "information", "warning", "error"], o => o.Log.Level, (o, v) => o.Log.Level = v,
            "The least severe message that is written to DATA/logs and stderr."),
        Whole("log.maxFileBytes", 65_536, 1L << 30, o => o.Log.MaxFileBytes, (o, v) => o.Log.MaxFileBytes = v,
            "A log file is followed by the next one at this size."),
        Whole("log.maxFiles", 1, 1_000, o => o.Log.MaxFiles, (o, v) => o.Log.MaxFiles = (int)v,
            "Log files that are kept; with log.maxFileBytes this bounds the log's share of the disk."),

        ToolLevels(),
    ];

    private static Setting Whole(
        string name, long least, long most, Func<ApplianceOptions, long> get, Action<ApplianceOptions, long> set, string meaning)
    {
        string allowed = string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}");
        return new Setting(
            name,
            allowed,
            meaning,
            (value, options) =>
            {
                if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt64(out long number) || number < least || number > most)
                {
                    return Wrong(name, value, allowed);
                }

                set(options, number);
                return null;
            },
            (json, options) => json.WriteNumberValue(get(options)));
    }

    internal static Setting Choice(
        string name, string[] choices, Func<ApplianceOptions, string> get, Action<ApplianceOptions, string> set, string meaning)
    {
        string allowed = $"one of {string.Join(", ", choices.Select(c => $"\"{c}\""))}";
        return new Setting(
            name,
            allowed,
            meaning,
            (value, options) =>
            {
                if (value.ValueKind != JsonValueKind.String || !choices.Contains(value.GetString()))
                {
                    return Wrong(name, value, allowed);
                }

                set(options, value.GetString()!);
                return null;
            },
            (json, options) => json.WriteStringValue(get(options)));
    }

    private static Setting Addresses()
    {
        const string name = "listen", allowed = "a list of 1 to 16 addresses such as \"http://127.0.0.1:4318\" or \"grpc://127.0.0.1:4317\" (an address of this machine or localhost), one of them http";
        return new Setting(
            name,
            allowed,
            "Where the appliance listens in cleartext: HTTP/1.1 on http, OTLP/gRPC (HTTP/2) on grpc. Only loopback addresses are accepted as long as TLS and authentication are not configured; --listen replaces the list.",
            (value, options) =>
            {
                if (Texts(value) is not { Count: > 0 and <= 16 } texts || texts.Any(t => ListenAddress.Parse(t, out _) is null) || texts.TrueForAll(t => ListenAddress.Parse(t, out _)!.IsGrpc))
                {
                    return Wrong(name, value, allowed);
                }

                options.Listen = texts;
                return null;
            },
            (json, options) => WriteTexts(json, options.Listen));
    }

    private static Setting Hosts()
    {
        const string name = "http.allowedHosts", allowed = "a list of at most 64 host names without port";
        return new Setting(
            name,
            allowed,
            "Names, beside literal addresses and localhost, that the Host header may carry (else 421): the name under which a reverse proxy on this machine is reached.",
            (value, options) =>
            {
                if (Texts(value) is not { Count: <= 64 } texts || texts.Any(t => Uri.CheckHostName(t) != UriHostNameType.Dns))
                {
                    return Wrong(name, value, allowed);
                }

                options.Http.AllowedHosts = texts;
                return null;
            },
            (json, options) => WriteTexts(json, options.Http.AllowedHosts));
    }

    private static Setting Origins()
    {
        const string name = "http.allowedOrigins", allowed = "a list of at most 64 origins, such as https://agents.example.org";
        return new Setting(
            name,
            allowed,
            "Origins of pages whose agents may send traces, logs and events from a browser (CORS); they may send and read nothing.",
            (value, options) =>
            {
                if (Texts(value) is not { Count: <= 64 } texts || texts.Any(t => !IsOrigin(t)))
                {
                    return Wrong(name, value, allowed);
                }

                options.Http.AllowedOrigins = texts;
                return null;
            },
            (json, options) => WriteTexts(json, options.Http.AllowedOrigins));
    }

    // Scheme, host and port as a browser writes them, nothing behind.
    private static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" && uri.GetLeftPart(UriPartial.Authority).Equals(text, StringComparison.OrdinalIgnoreCase);

    private static Setting ToolLevels()
    {
        const string name = "tools";
        const string allowed = "an object of at most 10000 tool names, each with \"none\", \"read\", \"unknown\", \"write\" or \"irreversible\"";
        return new Setting(
            name,
            allowed,
            "What each tool can do to the world. Calls of tools at unknown, write or irreversible are ledger entries; a tool that is not listed is unknown; a sender may raise a level, never lower it.",
            (value, options) =>
            {
                if (value.ValueKind != JsonValueKind.Object || value.GetPropertyCount() > 10_000)
                {
                    return Wrong(name, value, allowed);
                }

                var wrong = new List<string>();
                foreach (JsonProperty tool in value.EnumerateObject())
                {
                    if (tool.Value.ValueKind == JsonValueKind.String && ToolRegistry.TryParse(tool.Value.GetString(), out SideEffectLevel level))
                    {
                        options.Tools[tool.Name] = level;
                    }
                    else
                    {
                        wrong.Add(Wrong($"tools[\"{tool.Name}\"]", tool.Value, "\"none\", \"read\", \"unknown\", \"write\" or \"irreversible\""));
                    }
                }

                return wrong.Count == 0 ? null : string.Join('\n', wrong);
            },
            (json, options) =>
            {
                json.WriteStartObject();
                foreach ((string tool, SideEffectLevel level) in options.Tools)
                {
                    json.WriteString(tool, level.ToName());
                }

                json.WriteEndObject();
            });
    }

    internal static string Wrong(string name, JsonElement value, string allowed)
    {
        string text = value.GetRawText();
        return $"{name} is {(text.Length > 80 ? text[..80] + "…" : text)}; it is allowed to be {allowed}.";
    }

    internal static List<string>? Texts(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            return null;
        }

        var texts = new List<string>();
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.String)
            {
                return null;
            }

            texts.Add(item.GetString()!);
        }

        return texts;
    }

    internal static void WriteTexts(Utf8JsonWriter json, IReadOnlyList<string> texts)
    {
        json.WriteStartArray();
        foreach (string text in texts)
        {
            json.WriteStringValue(text);
        }

        json.WriteEndArray();
    }
}
