using System.Security.Cryptography;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>A witness's directory does not hold what a witness left there. It must not cosign until a person has looked.</summary>
public sealed class WitnessStateException(string message) : Exception(message);

/// <summary>One log that a witness follows.</summary>
/// <param name="Key">The log's identity key; its name is the origin.</param>
/// <param name="Newest">The newest checkpoint that was cosigned; null before the first.</param>
/// <param name="Note">Its note, the cosignature included.</param>
/// <param name="Time">When that was, Unix seconds of the witness's clock.</param>
/// <param name="Refused">Contradictory requests that were kept as evidence.</param>
public sealed record WitnessedLog(NoteKey Key, Checkpoint? Newest, byte[]? Note, long Time, int Refused)
{
    public long Size => Newest?.Size ?? 0;

    public byte[] Root => Newest?.Root ?? Merkle.EmptyRoot;
}

/// <summary>Where a witness keeps what (docs/evidence.md, section 3), and reading it: every file is replaced whole, so that reading needs no lock.</summary>
public sealed class WitnessDirectory(string path)
{
    private const string KeyPrefix = "evident-witness-key/v1 ";
    private const int MaxNameChars = 128;

    public string Path { get; } = path;

    internal string KeyFile => In("witness.key");

    internal string LockFile => In("lock");

    private string VerifierKeyFile => In("witness.vkey");

    internal string LogOf(string origin) => In("logs", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(origin))));

    internal string CheckpointOf(string origin) => System.IO.Path.Combine(LogOf(origin), "checkpoint");

    internal string RefusedOf(string origin) => System.IO.Path.Combine(LogOf(origin), "refused");

    private string VerifierKeyOf(string origin) => System.IO.Path.Combine(LogOf(origin), "log.vkey");

    private string In(params string[] names) => System.IO.Path.Combine([Path, .. names]);

    /// <summary>Null when the name may be a witness's, else what is wrong with it.</summary>
    public static string? FlawOf(string name) =>
        SignedNote.IsKeyName(name) && name.Length <= MaxNameChars && !name.Any(char.IsControl)
            ? null
            : $"a witness's name has 1 to {MaxNameChars} characters, none of them a space, a control character or '+'; for example w1.audit.example";

    /// <summary>The witness's own verifier key.</summary>
    /// <exception cref="WitnessStateException">The directory is no witness's.</exception>
    public CosignerKey ReadKey() =>
        CosignerKey.ParseVerifierKey(ReadLine(VerifierKeyFile))
        ?? throw new WitnessStateException($"'{VerifierKeyFile}' holds no witness's verifier key.");

    /// <summary>All logs, in the order of their origins.</summary>
    /// <exception cref="WitnessStateException">What stands there for one of them is damaged.</exception>
    public IReadOnlyList<WitnessedLog> ReadLogs(CosignerKey own)
    {
        var logs = new List<WitnessedLog>();
        if (Directory.Exists(In("logs")))
        {
            foreach (string log in Directory.EnumerateDirectories(In("logs")))
            {
                string file = System.IO.Path.Combine(log, "log.vkey");
                if (File.Exists(file) && NoteKey.ParseVerifierKey(ReadLine(file)) is { } key && LogOf(key.Name) == log)
                {
                    logs.Add(ReadLog(key.Name, own)!);
                }
                else if (File.Exists(file) || File.Exists(System.IO.Path.Combine(log, "checkpoint")))
                {
                    throw new WitnessStateException($"'{file}' does not name the log that its directory is for.");
                }
            }
        }

        logs.Sort((a, b) => string.CompareOrdinal(a.Key.Name, b.Key.Name));
        return logs;
    }

    /// <summary>Null when the witness does not follow that origin.</summary>
    /// <exception cref="WitnessStateException">What stands there is damaged: a witness that does not know what it cosigned must not go on.</exception>
    public WitnessedLog? ReadLog(string origin, CosignerKey own)
    {
        string file = VerifierKeyOf(origin), newest = CheckpointOf(origin);
        if (!File.Exists(file))
        {
            return File.Exists(newest) ? throw new WitnessStateException($"'{newest}' is there without the log's key in '{file}'.") : null;
        }

        var key = NoteKey.ParseVerifierKey(ReadLine(file));
        if (key is null || key.Name != origin)
        {
            throw new WitnessStateException($"'{file}' does not hold the verifier key of '{origin}'.");
        }

        string refused = RefusedOf(origin);
        int kept = Directory.Exists(refused) ? Directory.EnumerateFiles(refused, "*.txt").Count() : 0;
        if (!File.Exists(newest))
        {
            return new WitnessedLog(key, null, null, 0, kept);
        }

        byte[] bytes = HeadStore.ReadNote(newest);
        if (!SignedNote.TryParse(bytes, out var note, out _) || !Checkpoint.TryParse(note.Text, out var checkpoint) || checkpoint.Origin != origin
            || !note.IsSignedBy(key) || note.Signatures.Count(own.Matches) != 1 || !own.Verifies(note.Signatures.First(own.Matches), note.Text, out long time))
        {
            throw new WitnessStateException(
                $"'{newest}' is not the checkpoint that this witness cosigned last. A witness that lost its record must not cosign again: retire its key and make another witness.");
        }

        return new WitnessedLog(key, checkpoint, bytes, time, kept);
    }

    /// <summary>Durable on return; a crash leaves no log or the whole one.</summary>
    internal void WriteLog(NoteKey key)
    {
        DurableDirectory.Create(LogOf(key.Name));
        DurableDirectory.ReplaceFile(VerifierKeyOf(key.Name), Encoding.UTF8.GetBytes(key.ToVerifierKey() + "\n"));
    }

    internal void WriteVerifierKey(CosignerKey key)
    {
        if (!File.Exists(VerifierKeyFile))
        {
            DurableDirectory.ReplaceFile(VerifierKeyFile, Encoding.UTF8.GetBytes(key.ToVerifierKey() + "\n"), 0x1A4);
        }
        else if (ReadKey().ToVerifierKey() != key.ToVerifierKey())
        {
            throw new WitnessStateException($"'{VerifierKeyFile}' is not the verifier key of '{KeyFile}'; one directory is one witness.");
        }
    }

    /// <exception cref="WitnessStateException">There is a verifier key without its secret: that witness is gone.</exception>
    internal void WriteKey(string name, SecretBytes seed)
    {
        if (File.Exists(VerifierKeyFile))
        {
            throw new WitnessStateException($"'{VerifierKeyFile}' is there and '{KeyFile}' is not: that witness lost its key. Make another one in a new directory.");
        }

        byte[] head = Encoding.UTF8.GetBytes($"{KeyPrefix}{name} ");
        byte[] text = new byte[head.Length + 65];
        try
        {
            head.CopyTo(text, 0);
            SeedText.Write(seed.Span, text.AsSpan(head.Length));
            text[^1] = (byte)'\n';
            DurableDirectory.ReplaceFile(KeyFile, text);
        }
        finally
        {
            Sodium.Zero(text);
        }
    }

    /// <exception cref="WitnessStateException">The file is no key file of this version.</exception>
    internal CosigningKey ReadSecret()
    {
        using var file = DurableFile.OpenRead(KeyFile);
        byte[] text = new byte[KeyPrefix.Length + (4 * MaxNameChars) + 67], seed = new byte[32];
        try
        {
            int length = file.ReadAt(0, text), digits = length - 65;
            if (digits > KeyPrefix.Length && text[length - 1] == '\n' && text[digits - 1] == ' ' && text.AsSpan().StartsWith(Encoding.ASCII.GetBytes(KeyPrefix))
                && SeedText.TryRead(text.AsSpan(digits, 64), seed)
                && Encoding.UTF8.GetString(text.AsSpan(KeyPrefix.Length, digits - 1 - KeyPrefix.Length)) is var name && FlawOf(name) is null)
            {
                using var secret = SecretBytes.CopyAndZero(seed);
                return new CosigningKey(name, secret);
            }

            throw new WitnessStateException($"key file '{KeyFile}' is damaged or of another version; restore it from a backup of this directory.");
        }
        finally
        {
            Sodium.Zero(text);
            Sodium.Zero(seed);
        }
    }

    private string ReadLine(string file)
    {
        try
        {
            byte[] bytes = HeadStore.ReadNote(file);
            return bytes.Length > 1 && bytes.AsSpan().IndexOf((byte)'\n') == bytes.Length - 1
                ? Encoding.UTF8.GetString(bytes.AsSpan(0, bytes.Length - 1))
                : throw new WitnessStateException($"'{file}' is not one line.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new WitnessStateException($"'{Path}' is no witness's directory: '{file}' is not there. Make one with 'evident witness init'.");
        }
    }
}
