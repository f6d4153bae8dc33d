using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Evident.Control;
using Evident.Ledger;
using Evident.Store;

namespace Evident.Commands;

/// <summary><c>evident ledger export</c>: the auditor's bundle, written beside a running appliance, which publishes, records and signs.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("export",
            "Writes a bundle for an auditor: the ledger or a part of it, proofs, tiles, the pages that explain it and a second verifier, with a signed manifest. "
            + "The export itself becomes an entry of the ledger.",
            "evident ledger export --out ledger-2026.tar",
            "evident ledger export --out acme.tar --tenant acme --from 41200");
        var data = new DataOptions(command);
        Option<string> output = new("--out") { Description = "What to write: a directory, or one archive when the name ends in .tar. It must not exist.", HelpName = "FILE", Required = true };
        Option<long> from = new("--from") { Description = "The first entry; the start of its group is taken. 0 when absent.", HelpName = "N" };
        Option<long?> to = new("--to") { Description = "The first entry that is not in it any more; the end of the group before it is taken. All published entries when absent.", HelpName = "N" };
        Option<string?> tenant = new("--tenant") { Description = "Shows only the entries of this tenant_id, as the ledger has it, and the ledger's own; of the others only the hashes.", HelpName = "ID" };
        foreach (Option option in new Option[] { output, from, to, tenant })
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancel) =>
        {
            string directory = data.Directory(parsed), ledger = LedgerCommands.LedgerOf(directory);
            Reply published = Accepted(await Asking.AskAsync(directory, data.Config(parsed), new Operation(Operation.LedgerPublish), cancel));
            using JsonDocument head = JsonDocument.Parse(published.Json);
            var request = new BundleRequest
            {
                Directory = ledger,
                Size = head.RootElement.GetProperty("published_size").GetInt64(),
                From = parsed.GetValue(from),
                To = parsed.GetValue(to),
                TenantId = parsed.GetValue(tenant),
                ExportId = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
                CreatedUnixMillis = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
                Tool = VerifyReport.VerifierVersion,
                Documents = BundleDocuments.Read(),
            };
            try
            {
                using BundleWriter bundle = BundleWriter.Write(parsed.GetValue(output)!, request, cancel);
                var claim = new ExportClaim(request.ExportId, bundle.From, bundle.To, request.Size, Convert.ToHexStringLower(bundle.ManifestSha256), request.TenantId);
                Reply signed = Accepted(await Asking.AskAsync(directory, data.Config(parsed), new Operation(Operation.LedgerExport, Export: claim), cancel));
                bundle.Complete(signed.Payload);
                await parsed.InvocationConfiguration.Output.WriteLineAsync(Summary(parsed.GetValue(output)!, request, bundle));
            }
            catch (Exception e) when (e is ExportRefusedException or LedgerStateException)
            {
                throw new RefusedException($"No bundle was written: {e.Message}");
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static string Summary(string path, BundleRequest request, BundleWriter bundle)
    {
        string text = string.Create(CultureInfo.InvariantCulture,
            $"Wrote {path}: entries {bundle.From} to {bundle.To - 1} of the {request.Size} that are published, {bundle.Withheld} of them as hashes only. Export {request.ExportId}.");
        if (bundle.From != request.From)
        {
            text += string.Create(CultureInfo.InvariantCulture, $"\n--from {request.From} was widened to {bundle.From}, where its group begins.");
        }

        if (request.To is { } to && bundle.To != to)
        {
            text += string.Create(CultureInfo.InvariantCulture, $"\n--to {to} was widened to {bundle.To}, where its last group ends.");
        }

        return text;
    }

    private static Reply Accepted(Reply reply) => reply.ExitCode == ExitCode.Done ? reply : throw new RefusedException(reply.Error ?? "The appliance refused.", reply.ExitCode);
}
