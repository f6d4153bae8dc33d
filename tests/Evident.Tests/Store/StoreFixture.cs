using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>A clock that moves only when a test moves it. Set back, its monotonic part stands still.</summary>
internal sealed class StoreClock : IClock
{
    public static readonly DateTimeOffset Start = new(2026, 5, 6, 10, 30, 0, TimeSpan.Zero);

    private long unixMillis = Start.ToUnixTimeMilliseconds(), monotonicMillis;

    public DateTimeOffset Now
    {
        get => DateTimeOffset.FromUnixTimeMilliseconds(UnixMillis);
        set
        {
            long to = value.ToUnixTimeMilliseconds();
            Volatile.Write(ref monotonicMillis, monotonicMillis + Math.Max(0, to - unixMillis));
            Volatile.Write(ref unixMillis, to);
        }
    }

    /// <summary>Somebody sets the wall clock; no time passes.</summary>
    public void Jump(TimeSpan by) => Volatile.Write(ref unixMillis, unixMillis + (long)by.TotalMilliseconds);

    public long UnixMillis => Volatile.Read(ref unixMillis);

    public long MonotonicMillis => Volatile.Read(ref monotonicMillis);

    public string BootId => "0badc0de";
}

/// <summary>A span as a test sends it; times in seconds from 2026-05-06T10:30:00Z.</summary>
internal sealed record Sent(ulong Trace, ulong Span, string Name)
{
    public ulong Parent { get; init; }
    public double At { get; init; }
    public double Until { get; init; }
    public int Status { get; init; }
    public (ulong Trace, ulong Span)? Link { get; init; }
    public Dictionary<string, object> Attributes { get; init; } = [];

    public Sent With(params (string Key, object Value)[] attributes)
    {
        var all = new Dictionary<string, object>(Attributes);
        foreach (var (key, value) in attributes)
        {
            all[key] = value;
        }

        return this with { Attributes = all };
    }

    public static string TraceHex(ulong trace) => "00000000000000aa" + trace.ToString("x16", CultureInfo.InvariantCulture);

    public static string SpanHex(ulong span) => span.ToString("x16", CultureInfo.InvariantCulture);

    public static TraceId TraceOf(ulong trace) => new(0xaa, trace);

    public static byte[] Json(IEnumerable<Sent> spans, IReadOnlyDictionary<string, object>? resource = null)
    {
        using var stream = new MemoryStream();
        using (var w = new Utf8JsonWriter(stream))
        {
            w.WriteStartObject();
            w.WriteStartArray("resourceSpans");
            w.WriteStartObject();
            w.WriteStartObject("resource");
            WriteAttributes(w, resource ?? new Dictionary<string, object> { ["service.name"] = "support-agent" });
            w.WriteEndObject();
            w.WriteStartArray("scopeSpans");
            w.WriteStartObject();
            w.WriteStartArray("spans");
            foreach (var span in spans)
            {
                w.WriteStartObject();
                w.WriteString("traceId", TraceHex(span.Trace));
                w.WriteString("spanId", SpanHex(span.Span));
                if (span.Parent != 0)
                {
                    w.WriteString("parentSpanId", SpanHex(span.Parent));
                }

                w.WriteString("name", span.Name);
                w.WriteNumber("kind", 1);
                w.WriteString("startTimeUnixNano", Nanos(span.At));
                w.WriteString("endTimeUnixNano", Nanos(Math.Max(span.At, span.Until)));
                WriteAttributes(w, span.Attributes);
                w.WriteStartObject("status");
                w.WriteNumber("code", span.Status);
                w.WriteEndObject();
                if (span.Link is { } link)
                {
                    w.WriteStartArray("links");
                    w.WriteStartObject();
                    w.WriteString("traceId", TraceHex(link.Trace));
                    w.WriteString("spanId", SpanHex(link.Span));
                    w.WriteEndObject();
                    w.WriteEndArray();
                }

                w.WriteEndObject();
            }

            w.WriteEndArray();
            w.WriteEndObject();
            w.WriteEndArray();
            w.WriteEndObject();
            w.WriteEndArray();
            w.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static string Nanos(double seconds) =>
        ((StoreClock.Start.ToUnixTimeMilliseconds() * 1_000_000) + (long)Math.Round(seconds * 1e9)).ToString(CultureInfo.InvariantCulture);

    private static void WriteAttributes(Utf8JsonWriter w, IReadOnlyDictionary<string, object> attributes)
    {
        w.WriteStartArray("attributes");
        foreach (var (key, value) in attributes)
        {
            w.WriteStartObject();
            w.WriteString("key", key);
            w.WriteStartObject("value");
            switch (value)
            {
                case string text: w.WriteString("stringValue", text); break;
                case bool flag: w.WriteBoolean("boolValue", flag); break;
                case int number: w.WriteString("intValue", number.ToString(CultureInfo.InvariantCulture)); break;
                case double number: w.WriteNumber("doubleValue", number); break;
                default: throw new ArgumentException($"attribute '{key}' has a value of type {value.GetType()}.");
            }

            w.WriteEndObject();
            w.WriteEndObject();
        }

        w.WriteEndArray();
    }
}

/// <summary>A store in a directory of its own that can be closed, crashed and opened again.</summary>
internal sealed class TemporaryStore : IDisposable
{
    private static readonly ToolRegistry Registry = new(new Dictionary<string, SideEffectLevel>
    {
        ["refund.submit"] = SideEffectLevel.Irreversible, ["gmail.send"] = SideEffectLevel.Write, ["crm.lookup"] = SideEffectLevel.Read, ["clock"] = SideEffectLevel.None,
    });

    private EvidentStore? store;

    public TemporaryStore(string? copyOf = null)
    {
        Data = Path.Combine(Path.GetTempPath(), "evident-store-" + Guid.NewGuid().ToString("n"));
        if (copyOf is not null)
        {
            CopyDirectory(copyOf, Data);
        }
    }

    public string Data { get; }

    public StoreClock Clock { get; init; } = new();

    /// <summary>Called on the writer thread at each step of a group.</summary>
    public Action<WriteStep>? OnStep { get; set; }

    public Func<StoreOptions, StoreOptions> Adjust { get; init; } = static o => o;

    public List<string> Log { get; } = [];

    public EvidentStore Store => store ??= Open();

    public EvidentStore Reopen()
    {
        store?.Close();
        store = null;
        return Store;
    }

    public IngestReceipt Send(params Sent[] spans) => SendAsync(spans).GetAwaiter().GetResult();

    public Task<IngestReceipt> SendAsync(IReadOnlyList<Sent> spans, CancellationToken cancellation = default) => SendAsync(Store, spans, cancellation);

    public static async Task<IngestReceipt> SendAsync(EvidentStore store, IReadOnlyList<Sent> spans, CancellationToken cancellation = default)
    {
        using var batch = SpanBatch.Rent();
        OtlpJsonDecoder.Decode(Sent.Json(spans), new IngestLimits(), batch);
        return await store.IngestAsync(batch, new IngestSource("otlp:loopback"), cancellation);
    }

    public RunView Run(string id) => Story(id).Run;

    public RunStory Story(string id) => Store.GetRun(id, default) ?? throw new InvalidOperationException($"no run '{id}'");

    public IReadOnlyList<RunView> Runs(SpanQuery? filter = null) => Store.FindRuns(filter ?? new SpanQuery(Limit: 500), default).Runs;

    /// <summary>Every ledger entry but the ledger's own and the rules in force, as (type, JSON).</summary>
    public List<(string Type, JsonElement Json)> Ledger() => [.. Entries().Where(e => !e.Type.StartsWith("ledger.", StringComparison.Ordinal) && e.Type != "redaction.rules")];

    /// <summary>The heartbeats' states, oldest first.</summary>
    public string[] Beats() => [.. Entries().Where(e => e.Type == "ledger.heartbeat").Select(e => e.Json.GetProperty("heartbeat").GetProperty("state").GetString()!)];

    /// <summary>Every entry, as (type, JSON).</summary>
    public List<(string Type, JsonElement Json)> Entries()
    {
        var entries = new List<(string, JsonElement)>();
        for (long from = 0; Store.LedgerEntries(from, 1000) is { Count: > 0 } page; from = page[^1].Seq + 1)
        {
            foreach (var line in page)
            {
                var json = JsonDocument.Parse(line.Json).RootElement.Clone();
                entries.Add((json.GetProperty("type").GetString()!, json));
            }
        }

        return entries;
    }

    public int TotalSpans()
    {
        Store.Close();
        int total = 0;
        foreach (string file in Directory.EnumerateFiles(Path.Combine(Data, "traces"), "*.db"))
        {
            using var reader = new PartitionReader(file);
            long after = 0;
            while (reader.ReadBlocks(after, 64) is { Count: > 0 } blocks)
            {
                total += blocks.Sum(b => b.Spans.Count);
                after = blocks[^1].Id;
            }
        }

        store = null;
        return total;
    }

    public void Dispose()
    {
        store?.Close();
        Directory.Delete(Data, recursive: true);
    }

    /// <summary>What is on the disk at this moment, as a crash of the process would leave it.</summary>
    public static void CopyDirectory(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string directory in Directory.EnumerateDirectories(from))
        {
            CopyDirectory(directory, Path.Combine(to, Path.GetFileName(directory)));
        }

        foreach (string file in Directory.EnumerateFiles(from))
        {
            if (!file.EndsWith("-shm", StringComparison.Ordinal) && Path.GetFileName(file) != "lock") // neither outlives the process
            {
                File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
            }
        }
    }

    /// <summary>Closes the store, so that its files can be changed; the next use opens it again.</summary>
    public void Close()
    {
        store?.Close();
        store = null;
    }

    private EvidentStore Open() => EvidentStore.Open(
        Adjust(new StoreOptions { DataDirectory = Data, Tools = Registry, Step = step => OnStep?.Invoke(step), IdleMillis = 2, SweepMinutes = 0 }), Clock,
        (message, _) =>
        {
            lock (Log)
            {
                Log.Add(message);
            }
        });
}
