using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Evident.Ledger;
using Evident.Vault;

namespace Evident.Commands;

/// <summary><c>evident keys status</c>: how the vault's master key is kept, which key files there are and who may read them. No key is opened.</summary>
internal static class KeysCommand
{
    public static Command Create()
    {
        Command command = CommandLine.Command("keys", "Shows how the keys are kept, changes that, and rotates the vault's.", "evident keys status");
        command.Subcommands.Add(Status());
        command.Subcommands.Add(VaultChanges.Rotate());
        command.Subcommands.Add(SealCommands.SealWith());
        command.Subcommands.Add(SealCommands.ChangePassphrase());
        return command;
    }

    private static Command Status()
    {
        Command command = CommandLine.Command("status", 
            "Shows how the vault's master key is kept, and lists the key files with permissions, size and age, and the ledger's origin, which carries the identity key's fingerprint.",
            "evident keys status --json");
        var data = new DataOptions(command, withConfig: false);
        Option<bool> json = new("--json") { Description = "Prints one JSON object." };
        command.Options.Add(json);
        command.SetAction(async (parsed, _) =>
        {
            string directory = Path.Combine(data.Directory(parsed), "keys");
            if (!Directory.Exists(directory))
            {
                throw new RefusedException($"There are no keys in '{data.Directory(parsed)}'; name the data directory with --data or EVIDENT_DATA.");
            }

            string? origin = Origin(Path.Combine(data.Directory(parsed), "ledger"));
            string master = MasterCustodies.Find(directory, Control.OpenedStore.Credential)?.ToName() ?? "none";
            FileInfo[] files = [.. new DirectoryInfo(directory).EnumerateFiles().OrderBy(f => f.Name, StringComparer.Ordinal)];
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                await output.WriteLineAsync(Encoding.UTF8.GetString(Json(origin, master, Generation(files), files)));
                return ExitCode.Done;
            }

            await output.WriteLineAsync($"ledger origin: {origin ?? "none yet"}");
            await output.WriteLineAsync($"master key: {master}");
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"keystore generation: {Generation(files)}"));
            foreach (FileInfo file in files)
            {
                await output.WriteLineAsync(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Mode(file)}  {file.Length,7}  {file.LastWriteTimeUtc:yyyy-MM-dd'T'HH:mm:ss'Z'}  {file.Name}{(IsPrivate(file) ? "" : "  READABLE BY OTHERS")}"));
            }

            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>Nobody but the owner may read or write it.</summary>
    public static bool IsPrivate(FileSystemInfo file) =>
        (file.UnixFileMode & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute)) == 0;

    public static string Mode(FileSystemInfo file) => Convert.ToString((int)file.UnixFileMode, 8).PadLeft(4, '0');

    private static byte[] Json(string? origin, string master, long generation, FileInfo[] files) => Control.Reply.Done(json =>
    {
        json.WriteString("ledger_origin"u8, origin);
        json.WriteString("master_key"u8, master);
        json.WriteNumber("keystore_generation"u8, generation);
        json.WriteStartArray("files"u8);
        foreach (FileInfo file in files)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, file.Name);
            json.WriteString("mode"u8, Mode(file));
            json.WriteBoolean("private"u8, IsPrivate(file));
            json.WriteNumber("bytes"u8, file.Length);
            json.WriteString("written"u8, Platform.Rfc3339.FormatMillis(new DateTimeOffset(file.LastWriteTimeUtc).ToUnixTimeMilliseconds()));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }).Json;

    // Of the newest key of a keystore that lies there: ksk.gN. 0 when there is none.
    private static long Generation(FileInfo[] files)
    {
        long newest = 0;
        foreach (FileInfo file in files)
        {
            if (file.Name.StartsWith("ksk.g", StringComparison.Ordinal) && long.TryParse(file.Name.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            {
                newest = Math.Max(newest, number);
            }
        }

        return newest;
    }

    private static string? Origin(string ledgerDirectory) =>
        Directory.Exists(ledgerDirectory) ? LedgerReader.NewestPublished(ledgerDirectory)?.Split('\n')[0] : null;
}
