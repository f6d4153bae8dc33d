using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evident.Control;
using Evident.Store;

namespace Evident.Commands;

/// <summary><c>evident export</c>: runs to a file. The file gets its name only after the ledger has said, durably, what was exported.</summary>
internal static class RunExportCommand
{
    private static readonly string[] Selectors = ["workflow", "outcome", "session", "tool", "text", "tenant", "environment", "from", "to"];

    public static Command Create()
    {
        Command command = CommandLine.Command("export",
            "Writes runs to a file: one run, or all that match. OTLP JSON can be imported by another appliance and gives the same digests there; payloads stay in the vault.",
            "evident export --run run_42 --out run_42.json",
            "evident export --workflow refund --from 2026-11-01 --format csv --out refunds.csv");
        var data = new DataOptions(command);
        Option<string> output = new("--out") { Description = "The file to write. It must not exist.", HelpName = "FILE", Required = true };
        Option<string> format = new("--format") { Description = "otlp-json (default), jsonl or csv.", HelpName = "FORMAT", DefaultValueFactory = _ => "otlp-json" };
        format.AcceptOnlyFromAmong("otlp-json", "jsonl", "csv");
        Option<string?> run = new("--run") { Description = "One run, by its id or that of one of its traces.", HelpName = "ID" };
        command.Options.Add(output);
        command.Options.Add(format);
        command.Options.Add(run);
        Option<string?>[] selectors = [.. Selectors.Select(name => new Option<string?>("--" + name) { Description = $"Only runs with this {name}, as in /api/v1/runs.", HelpName = name is "from" or "to" ? "TIME" : "TEXT" })];
        foreach (Option<string?> selector in selectors)
        {
            command.Options.Add(selector);
        }

        command.SetAction(async (parsed, cancel) =>
        {
            string path = parsed.GetValue(output)!, kind = parsed.GetValue(format)!, unfinished = path + ".unfinished";
            if (File.Exists(path) || File.Exists(unfinished))
            {
                throw new RefusedException($"'{(File.Exists(path) ? path : unfinished)}' is there already; name another file with --out.");
            }

            using var appliance = new ApplianceSession(data.Directory(parsed), data.Config(parsed));
            var filter = new StringBuilder();
            for (int i = 0; i < selectors.Length; i++)
            {
                if (parsed.GetValue(selectors[i]) is { } value)
                {
                    filter.Append(Selectors[i]).Append('=').Append(value.Replace('\n', ' ')).Append('\n');
                }
            }

            if (parsed.GetValue(run) is not null && filter.Length > 0)
            {
                throw new RefusedException("--run names one run; leave the other selectors away.", ExitCode.Usage);
            }

            long runs = 0;
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            try
            {
                using (var file = new FileStream(unfinished, FileMode.CreateNew, FileAccess.Write))
                {
                    void Write(byte[] bytes)
                    {
                        hash.AppendData(bytes);
                        file.Write(bytes);
                    }

                    if (kind == "csv")
                    {
                        Write(Encoding.UTF8.GetBytes(EvidentStore.CsvHead));
                    }

                    await foreach (string id in RunsAsync(appliance, parsed.GetValue(run), filter.ToString(), cancel))
                    {
                        Write((await appliance.AskAsync(new Operation(TransferOperation.Export, Reference: kind, Reason: id), cancel)).Payload);
                        runs++;
                    }

                    file.Flush(flushToDisk: true);
                }

                var claim = new TransferClaim(kind, Convert.ToHexStringLower(hash.GetHashAndReset()), runs, 1, 0, 0, 0);
                await appliance.AskAsync(new Operation(TransferOperation.Record, Note: TransferOperation.Bytes(claim)), cancel);
                File.Move(unfinished, path);
                await parsed.InvocationConfiguration.Output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"Wrote {path}: {runs} {(runs == 1 ? "run" : "runs")}, sha256 {claim.Sha256}."));
            }
            catch
            {
                File.Delete(unfinished);
                throw;
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static async IAsyncEnumerable<string> RunsAsync(ApplianceSession appliance, string? run, string filter, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        if (run is not null)
        {
            yield return run;
            yield break;
        }

        string? cursor = null;
        do
        {
            string asked = cursor is null ? filter : $"{filter}cursor={cursor}\n";
            using JsonDocument page = JsonDocument.Parse((await appliance.AskAsync(new Operation(TransferOperation.Find, Note: Encoding.UTF8.GetBytes(asked)), cancel)).Json);
            foreach (JsonElement id in page.RootElement.GetProperty("runs").EnumerateArray())
            {
                yield return id.GetString()!;
            }

            cursor = page.RootElement.GetProperty("next").GetString();
        }
        while (cursor is not null);
    }
}
