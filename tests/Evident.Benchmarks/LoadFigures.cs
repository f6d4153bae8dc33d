using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using Evident.Platform;

namespace Evident.Benchmarks;

/// <summary>
/// The published binary under load over loopback, this process being the generator: spans a second, processor time of the server, bytes on disk, memory, time to the acknowledgement; beside them what
/// the machine itself does with the same bytes in the same run.
/// </summary>
internal static class LoadFigures
{
    private const int Clients = 4;

    public static async Task<int> PrintAsync(string binary, string load, long spans, string? directory)
    {
        var (perRequest, content, barCpu, barDisk) = load switch
        {
            "lean" => (256, 0, 5.0, 100.0),
            "fat" => (256, 4_096, 30.0, 0.0),
            "chatty" => (1, 0, 40.0, 0.0),
            _ => throw new ArgumentException($"'{load}' is no load: lean, fat or chatty."),
        };
        string data = Path.Combine(directory ?? Path.GetTempPath(), "evident-load-" + Guid.NewGuid().ToString("N")[..8]);
        Directory.CreateDirectory(data);
        try
        {
            using var server = await LoadedServer.StartAsync(binary, data);
            var makers = Enumerable.Range(1, Clients).Select(seed => new SampleSpans(perRequest, content, seed)).ToArray();
            double wire = makers[0].Next(0).Length / (double)perRequest;
            Measure.Title(string.Create(CultureInfo.InvariantCulture, $"{load}: {spans:N0} spans of {wire:N0} bytes, {perRequest} a request, {Clients} clients, {Environment.ProcessorCount} cores"));
            await SendAsync(server, makers, Math.Min(spans / 10, 50_000), 0); // warm
            await server.SettleAsync();

            var threads = server.Threads();
            var before = server.Look();
            var full = await SendAsync(server, makers, spans, 0);
            var busy = server.Look();
            double behind = await server.SettleAsync();
            var after = server.Look();
            double cpu = (after.CpuSeconds - before.CpuSeconds) * 1e6 / spans, disk = (after.DiskBytes - before.DiskBytes) / (double)spans;
            Measure.Line("spans/s, acknowledged", spans / full.Seconds, "spans/s");
            Measure.Line("  server processor time until the last ack", (busy.CpuSeconds - before.CpuSeconds) * 1e6 / spans, "us/span");
            Measure.Bar("  server processor time, run directory included", cpu, barCpu, atMost: true);
            Console.WriteLine("    " + server.ThreadsSince(threads, spans));
            Measure.Line("  the run directory is behind by", behind, "s");
            Measure.Line("  disk, all of it", disk, "B/span", server.DiskBySort(spans));
            if (barDisk > 0)
            {
                Measure.Bar("  disk, all of it, bytes a span", disk, barDisk, atMost: true);
            }
            else if (load == "fat")
            {
                Measure.Bar("  disk against wire", disk / wire, 0.5, atMost: true);
            }

            Measure.Line("  ack p50 / p99 at full load, ms", full.P50, "ms", string.Create(CultureInfo.InvariantCulture, $"{full.P99:N1} ms"));
            double half = spans / full.Seconds / 2;
            var calm = await SendAsync(server, makers, Math.Max(spans / 4, 1_000), half);
            Measure.Line("ack p50 at half load", calm.P50, "ms", string.Create(CultureInfo.InvariantCulture, $"{calm.Spans / calm.Seconds:N0} spans/s"));
            Measure.Bar("ack p99 at half load", calm.P99, 50, atMost: true);
            await server.SettleAsync();
            Measure.Bar("memory, highest, MiB", server.Look().PeakBytes / (1024.0 * 1024), 200, atMost: true);
            Raw(makers[0].Next(0), perRequest, cpu, data);
            return 0;
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    private sealed record Sent(long Spans, double Seconds, double P50, double P99);

    /// <param name="rate">Spans a second over all clients; 0 sends as fast as answers come.</param>
    private static async Task<Sent> SendAsync(LoadedServer server, SampleSpans[] makers, long spans, double rate)
    {
        var waits = new ConcurrentBag<double>();
        long left = spans / makers[0].Spans, start = Stopwatch.GetTimestamp(), number = 0;
        await Task.WhenAll(makers.Select(maker => Task.Run(async () =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                if (rate > 0)
                {
                    double due = Interlocked.Increment(ref number) * maker.Spans / rate, ahead = due - Stopwatch.GetElapsedTime(start).TotalSeconds;
                    if (ahead > 0)
                    {
                        await Task.Delay(TimeSpan.FromSeconds(ahead));
                    }
                }

                byte[] body = maker.Next(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds());
                long at = Stopwatch.GetTimestamp();
                while (!await server.PostAsync(body))
                {
                    await Task.Delay(20); // 503: the queue is full
                }

                waits.Add(Stopwatch.GetElapsedTime(at).TotalMilliseconds);
            }
        })));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        double[] sorted = [.. waits.Order()];
        return new Sent(sorted.Length * (long)makers[0].Spans, seconds, sorted[sorted.Length / 2], sorted[(int)(sorted.Length * 0.99)]);
    }

    // What the parts cost that nothing can do without, on the bytes of one request.
    private static void Raw(byte[] body, int spans, double cpu, string directory)
    {
        byte[] copy = new byte[body.Length], packed = new byte[body.Length + 1_024], key = new byte[32], nonce = new byte[24], cipher = new byte[body.Length + 16], hash = new byte[32];
        double copied = Measure.BestMicros(200, () => body.AsSpan().CopyTo(copy)) / spans;
        double hashed = Measure.BestMicros(200, () => SHA256.HashData(body, hash)) / spans;
        int size = 0;
        double compressed = Measure.BestMicros(100, () => BrotliEncoder.TryCompress(body, packed, out size, 1, 20)) / spans;
        using var aead = new ChaCha20Poly1305(key);
        byte[] tag = new byte[16];
        double sealedMicros = Measure.BestMicros(200, () => aead.Encrypt(nonce.AsSpan(0, 12), packed.AsSpan(0, size), cipher.AsSpan(0, size), tag)) / spans;
        string path = Path.Combine(directory, "raw");
        double synced;
        using (var file = DurableFile.OpenAppend(path))
        {
            long end = 0;
            synced = Measure.BestMicros(20, () =>
            {
                file.WriteAt(end, packed.AsSpan(0, size));
                file.SyncData();
                end += size;
            });
        }

        double sum = copied + hashed + compressed + sealedMicros;
        Measure.Line("raw: copy of the body", copied, "us/span");
        Measure.Line("raw: SHA-256 of the body", hashed, "us/span");
        Measure.Line("raw: Brotli 1 of the body", compressed, "us/span", string.Create(CultureInfo.InvariantCulture, $"{size / (double)spans:N0} B/span"));
        Measure.Line("raw: ChaCha20-Poly1305 of that", sealedMicros, "us/span");
        Measure.Line("raw: append and fdatasync of that, wall", synced, "us/request");
        Measure.Line("server processor time against the sum of the four", cpu / sum, "times");
    }
}

/// <summary>A published binary that serves a data directory of its own, looked at through /proc.</summary>
internal sealed class LoadedServer : IDisposable
{
    private static readonly MediaTypeHeaderValue Protobuf = new("application/x-protobuf");
    private readonly Process process;
    private readonly string data;
    private readonly Uri traces;
    private readonly HttpClient client;

    private LoadedServer(Process process, string data, string url)
    {
        this.process = process;
        this.data = data;
        Url = url;
        traces = new Uri(url + "/v1/traces");
        client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 64 });
    }

    public string Url { get; }

    public static async Task<LoadedServer> StartAsync(string binary, string data)
    {
        File.WriteAllText(Path.Combine(data, "evident.json"), """{ "tools": { "crm.update": "write", "crm.read": "read", "kb.search": "read" } }""");
        var process = Process.Start(new ProcessStartInfo(binary, ["serve", "--data", data, "--listen", "http://127.0.0.1:0"]) { RedirectStandardOutput = true })!;
        string? line = await process.StandardOutput.ReadLineAsync();
        int at = line?.IndexOf("http", StringComparison.Ordinal) ?? -1;
        return at >= 0 ? new LoadedServer(process, data, line![at..].Trim().TrimEnd('/')) : throw new InvalidOperationException($"'{binary}' did not start: {line}");
    }

    /// <summary>False when it is to be sent again.</summary>
    public async Task<bool> PostAsync(byte[] body)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = Protobuf;
        using var answer = await client.PostAsync(traces, content);
        return answer.IsSuccessStatusCode || ((int)answer.StatusCode == 503 ? false : throw new InvalidOperationException($"{(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}"));
    }

    public Task<string> GetAsync(string path) => client.GetStringAsync(Url + path);

    public (double CpuSeconds, long DiskBytes, long PeakBytes) Look()
    {
        process.Refresh();
        long disk = new DirectoryInfo(data).EnumerateFiles("*", SearchOption.AllDirectories).Where(f => !f.Name.EndsWith("-shm", StringComparison.Ordinal)).Sum(f => f.Length);
        string peak = File.ReadLines($"/proc/{process.Id}/status").First(l => l.StartsWith("VmHWM", StringComparison.Ordinal));
        return (process.TotalProcessorTime.TotalSeconds, disk, long.Parse(peak.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024);
    }

    /// <summary>Processor time of each thread, in ticks of 10 ms.</summary>
    public Dictionary<string, (string Name, long Ticks)> Threads()
    {
        var threads = new Dictionary<string, (string, long)>();
        foreach (string task in Directory.EnumerateDirectories($"/proc/{process.Id}/task"))
        {
            try
            {
                string stat = File.ReadAllText(task + "/stat");
                string[] rest = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                threads[task] = (stat[(stat.IndexOf('(') + 1)..stat.LastIndexOf(')')], long.Parse(rest[11], CultureInfo.InvariantCulture) + long.Parse(rest[12], CultureInfo.InvariantCulture));
            }
            catch (IOException)
            {
                // it has ended since it was listed
            }
        }

        return threads;
    }

    public string ThreadsSince(Dictionary<string, (string Name, long Ticks)> before, long spans) => "by thread, us/span: " + string.Join(", ", Threads()
        .Select(t => (t.Value.Name, Micros: (t.Value.Ticks - before.GetValueOrDefault(t.Key).Ticks) * 1e4 / spans)).GroupBy(t => t.Name).Select(g => (g.Key, Sum: g.Sum(t => t.Micros)))
        .Where(t => t.Sum > 0.05).OrderByDescending(t => t.Sum).Select(t => string.Create(CultureInfo.InvariantCulture, $"{t.Key} {t.Sum:N1}")));

    public string DiskBySort(long spans) => string.Join(", ", Directory.EnumerateFileSystemEntries(data)
        .Select(e => (Name: Path.GetFileName(e), Bytes: File.Exists(e) ? new FileInfo(e).Length : new DirectoryInfo(e).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length)))
        .Where(e => e.Bytes > spans).Select(e => string.Create(CultureInfo.InvariantCulture, $"{e.Name} {e.Bytes / (double)spans:N0}")));

    /// <summary>Waits until the server rests; the seconds that took.</summary>
    public async Task<double> SettleAsync()
    {
        long start = Stopwatch.GetTimestamp();
        for (int calm = 0; calm < 2;)
        {
            double before = Look().CpuSeconds;
            await Task.Delay(500);
            calm = Look().CpuSeconds - before < 0.03 ? calm + 1 : 0;
        }

        return Math.Max(0, Stopwatch.GetElapsedTime(start).TotalSeconds - 1);
    }

    public void Dispose()
    {
        client.Dispose();
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
