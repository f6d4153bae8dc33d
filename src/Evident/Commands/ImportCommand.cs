using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Evident.Control;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Commands;

/// <summary>
/// <c>evident import FILE...</c>: files into the running appliance, or into the data directory when none runs. All files are read and decoded before the first record is stored, so a malformed
/// file leaves nothing behind; then each piece goes the way of the network doors, redaction included, and an <c>import.made</c> entry says what became of all of them.
/// </summary>
internal static class ImportCommand
{
    private const int Told = 20;

    public static Command Create()
    {
        Command command = CommandLine.Command("import",
            "Takes in files: OTLP JSON or protobuf, the collector's file exporter, JSON lines of events, what `evident export` wrote. A file that is not well formed is refused with its line before anything is stored.",
            "evident import traces.json spans.binpb events.jsonl",
            "evident import promptfoo results.json --release 2026.11.1");
        var data = new DataOptions(command);
        Argument<string[]> files = new("FILE") { Description = "The files, each at most 1 GiB; traces are stored in the order given.", Arity = ArgumentArity.OneOrMore };
        command.Arguments.Add(files);
        command.SetAction((parsed, cancel) => RunAsync(data, parsed, parsed.GetValue(files)!, null, null, cancel));
        command.Subcommands.Add(Promptfoo());
        return command;
    }

    private static Command Promptfoo()
    {
        Command command = CommandLine.Command("promptfoo",
            "Takes in the result of a promptfoo evaluation (eval -o results.json): one run, a step for each case with its verdict, assertions and reasons, tokens and cost.",
            "evident import promptfoo results.json --release 2026.11.1");
        var data = new DataOptions(command);
        Argument<string> file = CommandLine.Text("FILE", "The result file, JSON.");
        Option<string?> release = new("--release") { Description = "The release that was evaluated. Without it: the tag 'release' of the evaluation's own configuration.", HelpName = "NAME" };
        command.Arguments.Add(file);
        command.Options.Add(release);
        command.SetAction((parsed, cancel) => RunAsync(data, parsed, [parsed.GetValue(file)!], PromptfooResults.ToEvents, parsed.GetValue(release), cancel));
        return command;
    }

    private static async Task<int> RunAsync(DataOptions data, ParseResult parsed, string[] files, Func<byte[], string?, byte[]>? convert, string? release, CancellationToken cancel)
    {
        IngestLimits limits = data.Load(parsed).Ingest.ToLimits();
        var refused = new List<string>();
        var all = new List<(string Path, ImportPiece Piece)>();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in files)
        {
            byte[] bytes = Bytes(path);
            hash.AppendData(SHA256.HashData(bytes));
            try
            {
                bytes = convert?.Invoke(bytes, release) ?? bytes;
            }
            catch (FormatException e)
            {
                throw new RefusedException($"'{path}': {e.Message} Nothing was imported.");
            }

            foreach (ImportPiece piece in ImportFile.Read(path, bytes, limits, refused))
            {
                all.Add((path, piece));
            }
        }

        long accepted = 0, duplicates = 0, rejected = 0;
        using var appliance = new ApplianceSession(data.Directory(parsed), data.Config(parsed));
        TextWriter error = parsed.InvocationConfiguration.Error;
        try
        {
            foreach ((string path, ImportPiece piece) in all)
            {
                Reply reply = await SendAsync(appliance, piece, cancel);
                using JsonDocument receipt = JsonDocument.Parse(reply.Json);
                long lost = receipt.RootElement.GetProperty("rejected").GetInt64();
                accepted += receipt.RootElement.GetProperty("accepted").GetInt64();
                duplicates += receipt.RootElement.GetProperty("duplicates").GetInt64();
                rejected += lost;
                if (lost > 0 && !refused.Exists(r => r.StartsWith($"'{path}'", StringComparison.Ordinal)))
                {
                    refused.Add($"'{path}'{(piece.Line == 0 ? "" : piece.Line == piece.LastLine ? $", line {piece.Line}" : $", lines {piece.Line} to {piece.LastLine}")}: {lost} refused: {receipt.RootElement.GetProperty("reason").GetString()}");
                }
            }
        }
        catch (RefusedException e)
        {
            await error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"evident: the import broke off after {accepted} stored records: {e.Message} Repeat it: what is there already is recognised."));
            await RecordAsync(appliance, files, convert, hash, accepted, rejected, duplicates, cancel);
            return ExitCode.Refused;
        }

        foreach (string line in refused.Take(Told))
        {
            await error.WriteLineAsync($"evident: {line}");
        }

        if (refused.Count > Told)
        {
            await error.WriteLineAsync($"evident: and {refused.Count - Told} more.");
        }

        await RecordAsync(appliance, files, convert, hash, accepted, rejected, duplicates, cancel);
        await parsed.InvocationConfiguration.Output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"Imported {files.Length} {(files.Length == 1 ? "file" : "files")}: {accepted} records stored, {duplicates} already there, {rejected} refused."));
        return refused.Count > 0 ? ExitCode.Refused : ExitCode.Done;
    }

    // A full queue empties in moments.
    private static async Task<Reply> SendAsync(ApplianceSession appliance, ImportPiece piece, CancellationToken cancel)
    {
        byte[] body = piece.Bytes.ToArray();
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await appliance.AskAsync(new Operation(TransferOperation.Import, Reference: ImportDecoder.NameOf(piece.Kind)) { Body = body }, cancel);
            }
            catch (RefusedException e) when (attempt < 10 && e.Message.Contains("queue", StringComparison.Ordinal))
            {
                await Task.Delay(200 * attempt, cancel);
            }
        }
    }

    private static async Task RecordAsync(ApplianceSession appliance, string[] files, object? convert, IncrementalHash hash, long accepted, long rejected, long duplicates, CancellationToken cancel)
    {
        var claim = new TransferClaim(convert is null ? "files" : "promptfoo", Convert.ToHexStringLower(hash.GetHashAndReset()), null, files.Length, accepted, rejected, duplicates);
        await appliance.AskAsync(new Operation(TransferOperation.Record, Note: TransferOperation.Bytes(claim)), cancel);
    }

    private static byte[] Bytes(string path)
    {
        try
        {
            var file = new FileInfo(path);
            return file.Length <= ImportFile.MaxBytes ? File.ReadAllBytes(path) : throw new RefusedException($"'{path}' is longer than {ImportFile.MaxBytes} bytes; split it.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException($"'{path}' cannot be read: {e.Message}");
        }
    }
}
