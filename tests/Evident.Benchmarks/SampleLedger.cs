using System.Globalization;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Benchmarks;

/// <summary>A ledger in a temporary directory, made by the appliance's own log: realistic entries, removed afterwards.</summary>
internal sealed class SampleLedger : IDisposable
{
    /// <param name="parent">Where the directory is made; the system's temporary directory when null.</param>
    /// <param name="needed">Bytes that must be free there.</param>
    public SampleLedger(string? parent, long needed)
    {
        parent ??= Path.GetTempPath();
        long free = new DriveInfo(Path.GetFullPath(parent)).AvailableFreeSpace;
        if (free < needed)
        {
            throw new IOException($"'{parent}' has {free} bytes free, {needed} are needed; choose another place with --directory.");
        }

        Data = Path.Combine(parent, "evident-benchmark-" + Guid.NewGuid().ToString("N"));
        System.IO.Directory.CreateDirectory(Data);
    }

    /// <summary>What an entry takes on disk, roughly, checkpoint line included.</summary>
    public static long BytesPerEntry(int group) => 1_100 + (500 / group);

    public string Data { get; }

    public string Directory => Path.Combine(Data, "ledger");

    public string[] Segments => [.. System.IO.Directory.GetFiles(Directory, "*.jsonl").Order(StringComparer.Ordinal)];

    public LedgerLog Open() => LedgerLog.Open(
        new LedgerOptions { Directory = Directory, KeysDirectory = Path.Combine(Data, "keys") }, null, null, SystemClock.Instance, out _);

    /// <summary>Appends tool calls in groups of <paramref name="group"/> and stops cleanly.</summary>
    public void Fill(long entries, int group)
    {
        using var log = Open();
        for (long made = 0; made < entries; made += group)
        {
            log.Append(Calls(made, (int)Math.Min(group, entries - made)));
        }

        log.Close();
    }

    public static EntryDraft[] Calls(long from, int count)
    {
        var drafts = new EntryDraft[count];
        for (int i = 0; i < count; i++)
        {
            drafts[i] = Call(from + i);
        }

        return drafts;
    }

    /// <summary>One tool call as the appliance records it: approved, arguments sealed, numbered by its sender, two of three in one of 50 scopes.</summary>
    public static EntryDraft Call(long i)
    {
        string id = i.ToString("x32", CultureInfo.InvariantCulture);
        return EntryDraft.Create("tool.call", id, b =>
        {
            b.Set("recorded", "2026-05-06T06:00:08.112Z").Set("timestamp", "2026-05-06T06:00:08.000Z").Set("workspace", "default")
                .Set("environment", "prod").Set("tenant_id", "t_9f3d").Set("workflow_id", "customer_support_triage_v7")
                .Set("run_id", "run_" + id[22..]).Set("trace_id", id).Set("span_id", id[16..])
                .Set("src", "otlp:token_4").Set("src_seq", i)
                .Set("actor", a => a.Set("kind", "agent").Set("id", "p_3f9c"))
                .Set("action", a => a.Set("type", "tool.call").Set("tool_name", "gmail.send").Set("target", "thread_18b4f5e2a8c").Set("side_effect_level", "write"))
                .Set("approval", a => a.Set("required", true).Set("state", "approved").Set("approver_id", "s_901").Set("identity_source", "claimed").Set("args_match", true))
                .Set("payload", p => p.Set("args", a => a.Set("bytes", 32).Set("ref", "vr_01HZX0000000000000000000A0")
                    .Set("commitment", "hmac-sha256:a181c0f2fc49b94793faf42097f895cdddefa140a1156072e717b6bb0bd66a1d")));
            if (i % 3 != 0)
            {
                b.Set("scope", (i % 50).ToString("x32", CultureInfo.InvariantCulture));
            }
        });
    }

    public void Dispose() => System.IO.Directory.Delete(Data, recursive: true);
}
