using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Configuration;
using Evident.Control;
using Evident.Platform;
using Evident.Web;

namespace Evident.Commands;

/// <summary><c>evident doctor</c>: looks at what the appliance rests on, changes nothing but one temporary file of its own.</summary>
internal static class DoctorCommand
{
    private enum Health
    {
        Ok,
        Warning,
        Failure,
    }

    private sealed record Finding(string Check, Health Health, string Text);

    public static Command Create()
    {
        Command command = CommandLine.Command("doctor", 
            "Checks storage, fsync, clock, permissions, lock, configuration and listening addresses. Exit code 1 when a check fails.",
            "evident doctor --data /var/lib/evident");
        var data = new DataOptions(command);
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Options.Add(json);
        command.SetAction(async (parsed, cancel) =>
        {
            string directory = data.Directory(parsed);
            var findings = new List<Finding>();
            ApplianceOptions options = Configured(directory, data.Config(parsed), findings);
            if (Directory.Exists(directory))
            {
                Storage(directory, findings);
                Permissions(directory, findings);
                await OwnerAsync(directory, findings, cancel);
            }
            else
            {
                findings.Add(new Finding("data", Health.Failure, $"'{directory}' is not there; 'evident serve' creates it, --data names another"));
            }

            Clock(directory, findings);
            Addresses(options, findings);
            await PrintAsync(parsed.InvocationConfiguration.Output, findings, parsed.GetValue(json));
            return findings.Any(f => f.Health == Health.Failure) ? ExitCode.Refused : ExitCode.Done;
        });
        return command;
    }

    private static ApplianceOptions Configured(string directory, string? config, List<Finding> findings)
    {
        try
        {
            ApplianceOptions options = ConfigurationFile.Load(directory, config);
            findings.Add(new Finding("configuration", Health.Ok, $"{Setting.All.Count} values, {options.Tools.Count} tools registered"));
            return options;
        }
        catch (ConfigurationException e)
        {
            findings.AddRange(e.Problems.Select(p => new Finding("configuration", Health.Failure, p)));
            return new ApplianceOptions();
        }
    }

    private static void Storage(string directory, List<Finding> findings)
    {
        const int rounds = 64, blockBytes = 4096;
        const double slowMillis = 20;
        string path = Path.Combine(directory, ".doctor.tmp");
        try
        {
            File.Delete(path);
            var millis = new double[rounds];
            using (DurableFile file = DurableFile.CreateNew(path, 0x180))
            {
                byte[] block = new byte[blockBytes];
                for (int i = 0; i < rounds; i++)
                {
                    long started = Stopwatch.GetTimestamp();
                    file.WriteAt((long)i * blockBytes, block);
                    file.SyncData();
                    millis[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
                }
            }

            DurableDirectory.Remove(path);
            Array.Sort(millis);
            double median = millis[rounds / 2], worst = millis[^1];
            findings.Add(new Finding("storage", Health.Ok, "writable"));
            findings.Add(new Finding(
                "fsync",
                median > slowMillis ? Health.Warning : Health.Ok,
                string.Create(CultureInfo.InvariantCulture, $"p50 {median:0.00} ms, worst of {rounds} {worst:0.00} ms")
                + (median > slowMillis ? "; every acknowledged batch waits for three of these" : "")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            findings.Add(new Finding("storage", Health.Failure, e.Message));
        }

        long free = new DriveInfo(Path.GetFullPath(directory)).AvailableFreeSpace >> 20;
        findings.Add(new Finding(
            "space", free < 64 ? Health.Failure : free < 1024 ? Health.Warning : Health.Ok, string.Create(CultureInfo.InvariantCulture, $"{free} MiB free")));
    }

    private static void Permissions(string directory, List<Finding> findings)
    {
        var exposed = new List<string>();
        foreach (string owned in new[] { directory, Path.Combine(directory, "keys") })
        {
            var info = new DirectoryInfo(owned);
            if (info.Exists && !KeysCommand.IsPrivate(info))
            {
                exposed.Add($"{owned} is {KeysCommand.Mode(info)}, 0700 is right");
            }
        }

        var keys = new DirectoryInfo(Path.Combine(directory, "keys"));
        int count = 0;
        foreach (FileInfo file in keys.Exists ? keys.EnumerateFiles() : [])
        {
            count++;
            if (file.LinkTarget is not null)
            {
                exposed.Add($"keys/{file.Name} is a symbolic link");
            }
            else if (!KeysCommand.IsPrivate(file))
            {
                exposed.Add($"keys/{file.Name} is {KeysCommand.Mode(file)}, 0600 is right");
            }
        }

        findings.Add(exposed.Count == 0
            ? new Finding("permissions", Health.Ok, $"data directory and {count} key files are for their owner only")
            : new Finding("permissions", Health.Failure, string.Join("; ", exposed)));
    }

    private static async Task OwnerAsync(string directory, List<Finding> findings, CancellationToken cancel)
    {
        try
        {
            Reply? reply = await Asking.TryAskServerAsync(directory, new Operation(Operation.Status), cancel);
            findings.Add(new Finding(
                "lock", Health.Ok, reply is null ? "no appliance answers here; commands open the data directory themselves" : "a running appliance holds the data directory and answers"));
            if (reply is { ExitCode: ExitCode.Done })
            {
                findings.Add(Scrub(reply.Json));
            }
        }
        catch (RefusedException e)
        {
            findings.Add(new Finding("lock", Health.Failure, e.Message));
        }
    }

    // What the running appliance has read of its ledger again, from the disk.
    private static Finding Scrub(byte[] status)
    {
        using JsonDocument json = JsonDocument.Parse(status);
        JsonElement scrub = json.RootElement.GetProperty("scrub");
        long errors = scrub.GetProperty("errors").GetInt64();
        string when = scrub.TryGetProperty("finished", out JsonElement finished) ? $"the last round ended {finished.GetString()}" : "the first round is under way";
        string text = string.Create(CultureInfo.InvariantCulture, $"{scrub.GetProperty("scrubbed_to").GetInt64()} ledger entries read from the disk again, {when}");
        return errors == 0
            ? new Finding("scrub", Health.Ok, text)
            : new Finding("scrub", Health.Failure, string.Create(CultureInfo.InvariantCulture, $"{text}; {errors} rounds found damage: see the log and run 'evident verify'"));
    }

    private static void Clock(string directory, List<Finding> findings)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        string ledger = Path.Combine(directory, "ledger");
        DateTime newest = DateTime.UnixEpoch;
        foreach (string file in Directory.Exists(ledger) ? Directory.EnumerateFiles(ledger) : [])
        {
            DateTime written = File.GetLastWriteTimeUtc(file);
            newest = written > newest ? written : newest;
        }

        string text = Rfc3339.FormatMillis(now.ToUnixTimeMilliseconds());
        findings.Add(now.Year < 2025
            ? new Finding("clock", Health.Failure, $"{text} cannot be right; set the clock, expiry and 'recorded' rest on it")
            : newest > now.UtcDateTime.AddMinutes(1)
                ? new Finding("clock", Health.Failure, $"{text} is before the ledger's last write; the clock went back")
                : new Finding("clock", Health.Ok, text));
    }

    private static void Addresses(ApplianceOptions options, List<Finding> findings)
    {
        foreach (string text in options.Listen)
        {
            bool loopback = ListenAddress.Parse(text, out _) is { IsLoopback: true };
            findings.Add(new Finding(
                "listen", loopback ? Health.Ok : Health.Failure, loopback ? $"{text} is loopback" : $"{text} can be reached from other machines without TLS and authentication; serve refuses it"));
        }
    }

    private static async Task PrintAsync(TextWriter output, List<Finding> findings, bool asJson)
    {
        if (!asJson)
        {
            foreach (Finding finding in findings)
            {
                string mark = finding.Health switch { Health.Ok => "ok  ", Health.Warning => "warn", _ => "FAIL" };
                await output.WriteLineAsync($"{mark}  {finding.Check,-14} {finding.Text}");
            }

            return;
        }

        byte[] json = Reply.Done(writer =>
        {
            writer.WriteBoolean("ok"u8, findings.All(f => f.Health != Health.Failure));
            writer.WriteStartArray("checks"u8);
            foreach (Finding finding in findings)
            {
                writer.WriteStartObject();
                writer.WriteString("check"u8, finding.Check);
                writer.WriteString("health"u8, finding.Health.ToString().ToLowerInvariant());
                writer.WriteString("text"u8, finding.Text);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }).Json;
        await output.WriteLineAsync(Encoding.UTF8.GetString(json));
    }
}
