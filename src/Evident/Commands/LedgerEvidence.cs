using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text;
using System.Text.Json;
using Evident.Control;
using Evident.Ledger;
using Evident.Web;

namespace Evident.Commands;

/// <summary><c>evident ledger head | prove | anchor</c>: what is carried to auditors and witnesses, and what they bring back (docs/evidence.md).</summary>
internal static class LedgerEvidence
{
    public static Command Head()
    {
        Command command = CommandLine.Command("head", 
            "Prints the newest published checkpoint note. Keep it elsewhere: 'verify --known-head' proves later that the ledger only grew.",
            "evident ledger head > head-$(date +%F).note",
            "evident ledger head --text | lp",
            "evident ledger head --since 1200 > request.txt");
        var data = new DataOptions(command, withConfig: false);
        Option<bool> text = new("--text") { Description = "Prints size and root in five short lines that can be typed in again from paper." };
        Option<bool> code = new("--qr") { Description = "Draws the note as a QR code." };
        Option<long?> since = new("--since") { Description = "Prints the request for a witness that cosigned this size last; 0 for one that never did.", HelpName = "SIZE" };
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        foreach (Option option in new Option[] { text, code, since, json })
        {
            command.Options.Add(option);
        }

        NotNegative(since, "--since");
        command.Validators.Add(result =>
        {
            int forms = 0;
            foreach (Option form in new Option[] { text, code, since, json })
            {
                forms += result.GetResult(form) is { Implicit: false } ? 1 : 0;
            }

            if (forms > 1)
            {
                result.AddError("--text, --qr, --since and --json are different forms of the same head; give one of them.");
            }
        });
        command.SetAction(async (parsed, _) =>
        {
            string directory = LedgerCommands.LedgerOf(data.Directory(parsed)), note = LedgerCommands.Published(directory);
            (SignedNote signed, Checkpoint checkpoint) = Parse(note);
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(since) is { } old)
            {
                await output.WriteAsync(Encoding.UTF8.GetString(Request(directory, old, checkpoint, signed)));
            }
            else if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(Encoding.UTF8.GetString(Reply.Done(head =>
                {
                    head.WriteString("origin"u8, checkpoint.Origin);
                    head.WriteNumber("size"u8, checkpoint.Size);
                    head.WriteString("root"u8, LedgerFormat.HashText(checkpoint.Root));
                    head.WriteString("checkpoint"u8, note);
                }).Json));
            }
            else if (parsed.GetValue(code))
            {
                await output.WriteAsync(QrCode.ToText(Encoding.UTF8.GetBytes(note), colours: ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected));
            }
            else
            {
                await output.WriteAsync(parsed.GetValue(text) ? HeadText.Encode(checkpoint) : note);
            }

            return ExitCode.Done;
        });
        return command;
    }

    public static Command Prove()
    {
        Command command = CommandLine.Command("prove", 
            "Prints the proof (C2SP tlog-proof) that one entry is in the ledger: its inclusion path and the published checkpoint of the smallest size above it, with the cosignatures filed for it.",
            "evident ledger prove 41 > entry-41.tlog-proof");
        var data = new DataOptions(command, withConfig: false);
        Argument<long> seq = new("SEQ") { Description = "The entry's sequence number." };
        Option<long?> size = new("--size") { Description = "The published size to lead to.", HelpName = "N" };
        Option<bool> json = new("--json") { Description = "Prints the proof as one JSON object, in the form of the HTTP interface." };
        command.Arguments.Add(seq);
        command.Options.Add(size);
        command.Options.Add(json);
        NotNegative(size, "--size");
        command.SetAction(async (parsed, _) =>
        {
            string directory = LedgerCommands.LedgerOf(data.Directory(parsed));
            long wanted = parsed.GetValue(seq), newest = LedgerCommands.SizeIn(LedgerCommands.Published(directory));
            if (wanted < 0 || wanted >= newest)
            {
                throw new RefusedException(
                    $"No published checkpoint covers entry {wanted}: the newest one covers 0 to {newest - 1}. A running appliance publishes within ledger.publishSeconds, and when it stops.");
            }

            long leading = parsed.GetValue(size) ?? LedgerReader.PublishedAbove(directory, wanted);
            if (leading <= wanted || AnchorNotes.WithCosignatures(directory, leading) is not { } note)
            {
                throw new RefusedException(
                    $"There is no published checkpoint of size {leading} above entry {wanted}; the smallest one is of size {LedgerReader.PublishedAbove(directory, wanted)}, the newest of size {newest}.");
            }

            InclusionProof proof = Proved(() => LedgerReader.Prove(directory, wanted, leading));
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                using var text = new MemoryStream();
                using (var writer = new Utf8JsonWriter(text))
                {
                    LedgerJson.Write(writer, proof);
                }

                await output.WriteLineAsync(Encoding.UTF8.GetString(text.ToArray()));
            }
            else
            {
                await output.WriteAsync(Encoding.UTF8.GetString(new TlogProof(wanted, proof.Path, Parse(Encoding.UTF8.GetString(note)).Note).Encode()));
            }

            return ExitCode.Done;
        });
        return command;
    }

    public static Command Anchor()
    {
        Command command = CommandLine.Command("anchor", 
            "Files a cosigned note that a witness gave back: into anchors/, and as an entry of the ledger. Both are durable when the command ends.",
            "evident ledger anchor cosigned.note");
        var data = new DataOptions(command);
        Argument<string> file = CommandLine.Text("FILE", "The cosigned note.");
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Arguments.Add(file);
        command.Options.Add(json);
        command.SetAction(async (parsed, cancel) =>
        {
            byte[] note = InputFile.Read(parsed.GetValue(file)!, SignedNote.MaxBytes);
            Reply reply = await Asking.AskAsync(data.Directory(parsed), data.Config(parsed), new Operation(Operation.LedgerAnchor, Note: note), cancel);
            if (reply.Error is not null)
            {
                throw new RefusedException(reply.Error, reply.ExitCode);
            }

            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(Encoding.UTF8.GetString(reply.Json));
                return ExitCode.Done;
            }

            using JsonDocument filed = JsonDocument.Parse(reply.Json);
            foreach (JsonElement one in filed.RootElement.GetProperty("anchors"u8).EnumerateArray())
            {
                await output.WriteLineAsync(
                    $"{(one.GetProperty("filed"u8).GetBoolean() ? "filed" : "filed before")}: size {filed.RootElement.GetProperty("size"u8)} confirmed by {one.GetProperty("witness"u8)} "
                    + $"at {one.GetProperty("time"u8)}, anchors/{one.GetProperty("file"u8)}");
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static byte[] Request(string directory, long old, Checkpoint checkpoint, SignedNote note) => old <= checkpoint.Size
        ? new AddCheckpoint(old, Proved(() => LedgerReader.ProveConsistency(directory, old, checkpoint.Size)), note).Encode()
        : throw new RefusedException($"No request leads from size {old}: the newest published checkpoint is of size {checkpoint.Size}. A witness that cosigned more than that knows of entries that this ledger lost.");

    private static (SignedNote Note, Checkpoint Checkpoint) Parse(string note) =>
        SignedNote.TryParse(Encoding.UTF8.GetBytes(note), out SignedNote signed, out _) && Checkpoint.TryParse(signed.Text, out Checkpoint checkpoint)
            ? (signed, checkpoint)
            : throw new RefusedException("The published checkpoint note is damaged; run 'evident verify' on the data directory.");

    private static T Proved<T>(Func<T> prove)
    {
        try
        {
            return prove();
        }
        catch (LedgerStateException e)
        {
            throw new RefusedException($"The proof cannot be made: {e.Message}");
        }
    }

    private static void NotNegative(Option<long?> option, string name) => option.Validators.Add(result =>
    {
        if (result.Tokens is [{ Value: ['-', ..] }])
        {
            result.AddError($"{name} is 0 or more.");
        }
    });
}
