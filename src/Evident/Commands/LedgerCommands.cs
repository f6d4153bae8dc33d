using System.CommandLine;
using System.Text;
using System.Text.Json;
using Evident.Control;
using Evident.Ledger;
using Evident.Web;

namespace Evident.Commands;

/// <summary><c>evident ledger</c>: reads the segments beside a running appliance, durable sizes only.</summary>
internal static class LedgerCommands
{
    private const int PageEntries = 1_000;

    public static Command Create()
    {
        Command command = CommandLine.Command("ledger", "Reads the ledger.", "evident ledger head");
        command.Subcommands.Add(Cat());
        command.Subcommands.Add(LedgerEvidence.Head());
        command.Subcommands.Add(LedgerEvidence.Prove());
        command.Subcommands.Add(LedgerEvidence.Anchor());
        command.Subcommands.Add(ExportCommand.Create());
        command.Subcommands.Add(IncarnationCommand.Create());
        return command;
    }

    private static Command Cat()
    {
        Command command = CommandLine.Command("cat", 
            "Prints the entries, one JSON object per line, each with integrity.prev_hash and integrity.this_hash.",
            "evident ledger cat --from 100 | jq -r .type",
            "(printf '\\0'; evident ledger cat --raw --from 41 | head -n 1 | tr -d '\\n') | sha256sum");
        var data = new DataOptions(command, withConfig: false);
        Option<long> from = new("--from") { Description = "The first sequence number to print; 0 when absent.", HelpName = "N" };
        from.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: ['-', ..] }])
            {
                result.AddError("--from is 0 or more.");
            }
        });
        command.Options.Add(from);
        Option<bool> raw = new("--raw") { Description = "Prints the lines as they stand in the segments: SHA-256 over a zero byte and a line is the entry's this_hash." };
        command.Options.Add(raw);
        command.SetAction(async (parsed, cancel) =>
        {
            string directory = LedgerOf(data.Directory(parsed));
            long size = await DurableSizeAsync(data.Directory(parsed), directory, cancel);
            TextWriter output = parsed.InvocationConfiguration.Output;
            using var line = new MemoryStream();
            for (long next = parsed.GetValue(from); next < size;)
            {
                long before = next;
                foreach (LedgerLine entry in LedgerReader.Read(directory, next, PageEntries, size))
                {
                    next = entry.Seq + 1;
                    if (parsed.GetValue(raw))
                    {
                        await output.WriteLineAsync(Encoding.UTF8.GetString(entry.Json.Span));
                        continue;
                    }

                    line.SetLength(0);
                    using (var json = new Utf8JsonWriter(line))
                    {
                        LedgerJson.Write(json, entry);
                    }

                    await output.WriteLineAsync(Encoding.UTF8.GetString(line.ToArray()));
                }

                if (next == before)
                {
                    throw new RefusedException($"The ledger in '{directory}' should have an entry {next}, and it cannot be read; run 'evident verify {directory}'.");
                }
            }

            return ExitCode.Done;
        });
        return command;
    }

    public static string LedgerOf(string dataDirectory)
    {
        string directory = Path.Combine(dataDirectory, "ledger");
        return Directory.Exists(directory)
            ? directory
            : throw new RefusedException($"There is no ledger in '{dataDirectory}'; name the data directory with --data or EVIDENT_DATA.");
    }

    public static string Published(string ledgerDirectory) =>
        LedgerReader.NewestPublished(ledgerDirectory)
        ?? throw new RefusedException($"The ledger in '{ledgerDirectory}' has no published checkpoint yet.");

    /// <summary>Asked of the running appliance; without one, the newest checkpoint line on disk says it.</summary>
    private static async Task<long> DurableSizeAsync(string dataDirectory, string ledgerDirectory, CancellationToken cancel)
    {
        if (await Asking.TryAskServerAsync(dataDirectory, new Operation(Operation.LedgerHead), cancel) is { ExitCode: 0 } reply)
        {
            using JsonDocument head = JsonDocument.Parse(reply.Json);
            return head.RootElement.GetProperty("size").GetInt64();
        }

        foreach (string segment in Directory.EnumerateFiles(ledgerDirectory, "*" + LedgerFormat.SegmentSuffix).OrderDescending(StringComparer.Ordinal))
        {
            string? last = File.ReadLines(segment).LastOrDefault(l => l.StartsWith("{\"checkpoint\":", StringComparison.Ordinal) && l.EndsWith('}'));
            if (last is not null)
            {
                using JsonDocument checkpoint = JsonDocument.Parse(last);
                return SizeIn(checkpoint.RootElement.GetProperty("checkpoint").GetString()!);
            }
        }

        return 0;
    }

    // A note's second line is the size in decimal.
    public static long SizeIn(string note) =>
        note.Split('\n') is [_, { } size, ..] && long.TryParse(size, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out long entries)
            ? entries
            : throw new RefusedException("The newest checkpoint note is damaged; run 'evident verify' on the data directory.");
}
