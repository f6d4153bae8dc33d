using System.CommandLine;
using Evident.Ledger;
using Evident.Platform;
using Evident.Store;
using Evident.Vault;

namespace Evident.Commands;

/// <summary>
/// <c>evident verify</c>: uses Evident.Ledger, and for --index, --traces and --vault the reading half of Evident.Store; opens no socket, writes only what --report and --cosign say.
/// </summary>
internal static class VerifyCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("verify", 
            "Checks a ledger: every line, hash, chain, root and signature, and whether it extends the heads that you know. Exit codes: "
            + "0 verified, 10 consistent but unanchored, 11 anchor stale, 12 sound with notes, 30 rolled back, 31 forked, 32 altered, 33 key violation, "
            + "34 malformed, 35 vault and ledger differ, 36 ledger and index or trace store differ, 40 incomplete, 64 wrong command line.",
            "evident verify /var/lib/evident --known-head head-2026-11-01.note",
            "evident verify /var/lib/evident --policy policy.txt --cosign ./evident-witness",
            "evident verify /var/lib/evident --index --traces",
            "evident verify ledger-2026.tar --known-head head-2026-11-01.note");
        Argument<string> path = CommandLine.Text("PATH", "A data directory, a ledger directory, or a bundle (a directory or a .tar).");
        Option<string[]> heads = new("--known-head") { Description = "A head that you kept elsewhere, as a note or as text; again for each further one.", HelpName = "FILE" };
        Option<string[]> disclosed = new("--disclosed") { Description = "A payload that was disclosed to you: the ledger must name it with the commitment that it meets; again for each further one.", HelpName = "FILE" };
        Option<string?> policy = new("--policy") { Description = "A C2SP tlog-policy: the ledger's key, your witnesses, and how many of them are enough.", HelpName = "FILE" };
        Option<string?> cosign = new("--cosign")
        {
            Description = "Your witness's directory: the head that it cosigned last is a known head, and after a verdict without accusation it cosigns the newest one.",
            HelpName = "WITNESS",
        };
        Option<long?> tail = new("--max-unanchored") { Description = "How many entries may lie after the newest known head.", HelpName = "N" };
        Option<string?> report = new("--report") { Description = "Also writes the report as JSON to this file, which must not exist.", HelpName = "FILE" };
        Option<bool> unanchored = new("--allow-unanchored") { Description = "Exit with 0 instead of 10; the verdict's words stay." };
        Option<bool> notes = new("--allow-notes") { Description = "Exit with 0 instead of 12; the verdict's words stay." };
        Option<bool> index = new("--index")
        {
            Description = "Also compares the index that the page and the HTTP interface search (outcomes.db) with the ledger, row for row. PATH is the data directory.",
        };
        Option<bool> traces = new("--traces")
        {
            Description = "Also recomputes every seal over stored spans and looks for every tool call in ledger and trace store. PATH is the data directory.",
        };
        Option<bool> vault = new("--vault")
        {
            Description = "Also looks in the vault for every payload that the ledger names, by reference and commitment; no key is used without --keys. PATH is the data directory.",
        };
        Option<bool> json = new("--json") { Description = "Prints the report as JSON." };
        command.Arguments.Add(path);
        Option<string?> keys = new("--keys")
        {
            Description = "With --vault: also opens every sealed body with the keys in this directory (keys/ of the data directory) and compares it with its commitment. Nothing of it is shown or written.",
            HelpName = "DIR",
        };
        var passphrase = new PassphraseInput(command);
        keys.Validators.Add(result =>
        {
            if (result.GetResult(vault) is null or { Implicit: true })
            {
                result.AddError("--keys goes with --vault.");
            }
        });
        command.Options.Add(keys);
        foreach (Option option in new Option[] { heads, disclosed, policy, cosign, tail, report, unanchored, notes, index, traces, vault, json })
        {
            command.Options.Add(option);
        }

        tail.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: ['-', ..] }]) // what is no number at all, the parser itself refuses
            {
                result.AddError("--max-unanchored is 0 or more.");
            }
        });

        foreach ((Option<bool> flag, string beside) in new[] { (index, "outcomes.db"), (traces, "the trace store"), (vault, "the vault") })
        {
            flag.Validators.Add(result =>
            {
                if (result.GetValueOrDefault<bool>() && result.GetResult(path)?.GetValueOrDefault<string>() is { } directory && !Directory.Exists(Path.Combine(directory, "ledger")))
                {
                    result.AddError($"{flag.Name} compares a ledger with {beside} beside it: '{directory}' is no data directory, it holds no ledger/.");
                }
            });
        }

        report.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } file && Path.Exists(file))
            {
                result.AddError($"'{file}' is there already; --report writes a new file only.");
            }
        });

        command.SetAction(async (parsed, cancel) =>
        {
            using SecretBytes? secret = passphrase.Given(parsed);
            var audits = new List<Func<AuditContext, IEnumerable<Finding>>>();
            if (parsed.GetValue(index))
            {
                audits.Add(IndexAudit.Of(parsed.GetValue(path)!));
            }

            if (parsed.GetValue(traces))
            {
                audits.Add(context => TraceAudit.Run(parsed.GetValue(path)!, context));
            }

            if (parsed.GetValue(vault))
            {
                audits.Add(VaultAudit.Of(parsed.GetValue(path)!, parsed.GetValue(keys) is { } directory ? () => OpenVault(parsed.GetValue(path)!, directory, secret) : null));
            }

            using ProgressBar? bar = Console.IsErrorRedirected ? null : new ProgressBar(parsed.InvocationConfiguration.Error, TimeProvider.System);
            VerifyReport verified = LedgerVerifier.Verify(
                new VerifyRequest
                {
                    Path = parsed.GetValue(path)!,
                    KnownHeads = parsed.GetValue(heads) ?? [],
                    Disclosed = parsed.GetValue(disclosed) ?? [],
                    Policy = parsed.GetValue(policy),
                    Cosign = parsed.GetValue(cosign),
                    MaxUnanchored = parsed.GetValue(tail),
                    AllowUnanchored = parsed.GetValue(unanchored),
                    AllowNotes = parsed.GetValue(notes),
                    Audits = audits,
                },
                bar,
                cancel);
            bar?.Dispose();
            byte[] machine = verified.ToJson();
            if (parsed.GetValue(report) is { } file)
            {
                using DurableFile target = DurableFile.CreateNew(file, 0x1A4 /* 0644: a report is for others */);
                target.WriteAt(0, machine);
                target.Sync();
            }

            if (verified.ExitCode == ExitCode.Usage)
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"evident: {verified.Summary}");
                if (!parsed.GetValue(json))
                {
                    return verified.ExitCode; // nothing was looked at: there is no report
                }
            }

            TextWriter output = parsed.InvocationConfiguration.Output;
            string text = parsed.GetValue(json) ? System.Text.Encoding.UTF8.GetString(machine) : verified.ToText();
            await output.WriteLineAsync(text.TrimEnd('\n'));
            return verified.ExitCode;
        });
        return command;
    }

    private static VaultReader OpenVault(string dataDirectory, string keysDirectory, SecretBytes? passphrase) => VaultReader.Open(
        new VaultOptions { Directory = Path.Combine(dataDirectory, "vault"), KeysDirectory = keysDirectory, Passphrase = passphrase, MasterCredential = Control.OpenedStore.Credential }, SystemClock.Instance);
}
