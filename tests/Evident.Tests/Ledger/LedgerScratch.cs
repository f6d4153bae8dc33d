using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>A clock that tests move by hand.</summary>
internal sealed class HandClock : IClock
{
    public long UnixMillis { get; set; } = 1_778_047_200_000; // 2026-05-06T06:00:00Z

    private long monotonicMillis = 123_456;

    public long MonotonicMillis
    {
        get
        {
            Read?.Invoke();
            return monotonicMillis;
        }
        set => monotonicMillis = value;
    }

    /// <summary>Called before each reading of the monotonic clock.</summary>
    public Action? Read { get; set; }

    public string BootId { get; set; } = "b7f1c2d3";
}

/// <summary>A data directory of one test, removed afterwards, and the usual entries.</summary>
internal sealed class LedgerScratch : IDisposable
{
    /// <summary>EVIDENT_EXHAUSTIVE asks for every case where a sample is the rule: minutes instead of seconds.</summary>
    public static bool Exhaustive { get; } = Environment.GetEnvironmentVariable("EVIDENT_EXHAUSTIVE") is { Length: > 0 };

    private int keys;

    /// <param name="inMemory">On a file system in memory, where there is one: for tests that do not look at durability and open very many ledgers.</param>
    public LedgerScratch(bool inMemory = false)
    {
        Data = Path.Combine(inMemory && Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(), "evident-ledger-" + Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(Data);
    }

    public string Data { get; }

    public string Ledger => Path.Combine(Data, "ledger");

    public string Keys => Path.Combine(Data, "keys");

    public HandClock Clock { get; } = new();

    /// <summary>Seeds 00..1f, 20..3f, 40..5f ... in the order in which keys are made.</summary>
    public SecretBytes NextSeed()
    {
        var seed = new SecretBytes(32);
        for (int i = 0; i < 32; i++)
        {
            seed.Span[i] = (byte)(((keys * 32) + i) % 251);
        }

        keys++;
        return seed;
    }

    public LedgerOptions Options(long segmentBytes = 64 << 20, int maxGroup = 4096, Func<DurableFile, ISegmentFile>? wrap = null,
        long epochEntries = 1_000_000) => new()
    {
        Directory = Ledger,
        KeysDirectory = Keys,
        SegmentBytes = segmentBytes,
        MaxGroupEntries = maxGroup,
        NewSeed = NextSeed,
        EpochEntries = epochEntries,
        Wrap = wrap ?? (static file => new DurableSegment(file)),
    };

    public LedgerLog Open(LedgerResume? hint = null, LedgerHead? floor = null, long segmentBytes = 64 << 20) =>
        LedgerLog.Open(Options(segmentBytes), hint, floor, Clock, out _);

    public LedgerLog Open(out LedgerRecovery recovery, LedgerResume? hint = null, LedgerHead? floor = null, long segmentBytes = 64 << 20) =>
        LedgerLog.Open(Options(segmentBytes), hint, floor, Clock, out recovery);

    /// <param name="numbered">Its sender stamped the number: ledgers whose numbers have gaps are noted for it.</param>
    public static EntryDraft Call(int i, string? scope = null, bool numbered = true) => EntryDraft.Create("tool.call", $"call-{i}", b =>
    {
        b.Set("recorded", "2026-05-06T06:00:08.112Z").Set("timestamp", "2026-05-06T06:00:08.000Z").Set("workspace", "default")
            .Set("environment", "prod").Set("tenant_id", "t_9f3d").Set("workflow_id", "customer_support_triage_v7")
            .Set("run_id", "run_01J3K6").Set("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736").Set("span_id", "00f067aa0ba902b7")
            .Set("src", "otlp:token_4").SetIf("src_seq", numbered ? i : (long?)null)
            .Set("actor", a => a.Set("kind", "agent").Set("id", "p_3f9c"))
            .Set("action", a => a.Set("type", "tool.call").Set("tool_name", "gmail.send").Set("target", "thread_18b4f5e2a8c").Set("side_effect_level", "write"))
            .Set("approval", a => a.Set("required", true).Set("state", "approved").Set("approver_id", "s_901").Set("identity_source", "claimed").Set("args_match", true))
            .Set("payload", p => p.Set("args", a => a.Set("bytes", 32).Set("ref", "vr_01HZX0000000000000000000A0")
                .Set("commitment", "hmac-sha256:a181c0f2fc49b94793faf42097f895cdddefa140a1156072e717b6bb0bd66a1d")));
        if (scope is not null)
        {
            b.Set("scope", scope);
        }
    });

    /// <summary>A short entry, to keep bit-by-bit tests quick.</summary>
    public static EntryDraft Short(int i) => EntryDraft.Create("alert.closed", $"a{i}", b => b
        .Set("recorded", "2026-05-06T06:00:08.112Z").Set("alert", a => a.Set("rule", "r").Set("alert_id", $"n{i}")));

    public static EntryDraft[] Calls(int from, int count) => [.. Enumerable.Range(from, count).Select(i => Call(i, i % 2 == 0 ? new string('a', 32) : null, numbered: false))];

    public VerifyReport Verify(params string[] heads) => LedgerVerifier.Verify(new VerifyRequest { Path = Data, KnownHeads = heads });

    /// <summary>Keeps the newest published checkpoint outside, as an auditor would.</summary>
    public string KeepHead(string name = "known.note")
    {
        string path = Path.Combine(Data, name);
        File.WriteAllText(path, LedgerReader.NewestPublished(Ledger)!);
        return path;
    }

    public string[] Segments => [.. Directory.GetFiles(Ledger, "*.jsonl").Order(StringComparer.Ordinal)];

    public void RemoveHeads()
    {
        File.Delete(Path.Combine(Ledger, "head.a"));
        File.Delete(Path.Combine(Ledger, "head.b"));
        foreach (string note in Directory.GetFiles(Path.Combine(Ledger, "checkpoints")))
        {
            File.Delete(note);
        }
    }

    /// <summary>A byte-for-byte picture of the data directory.</summary>
    public Dictionary<string, byte[]> Picture() => Directory.GetFiles(Data, "*", SearchOption.AllDirectories)
        .ToDictionary(f => f, File.ReadAllBytes);

    public void Dispose() => Directory.Delete(Data, recursive: true);
}
