using System.Security.Cryptography;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>A witness does not cosign. <paramref name="code"/> is the status of C2SP tlog-witness: 400, 403, 404, 409, 422.</summary>
public sealed class WitnessRefusalException(int code, string message) : Exception(message)
{
    public int Code { get; } = code;
}

/// <summary>
/// A witness (docs/evidence.md, section 3): it cosigns checkpoints of the logs that it follows, and of each log only such as extend what it cosigned before. Owns
/// its directory while it is open (flock), so that checking and recording are one step.
/// </summary>
public sealed class Witness : IDisposable
{
    /// <summary>Contradictory requests that are kept for each log; whoever holds the log's key could otherwise fill the disk.</summary>
    private const int MaxRefused = 256;

    private readonly WitnessDirectory directory;
    private readonly DataLock ownership;
    private readonly CosigningKey key;

    private Witness(WitnessDirectory directory, DataLock ownership, CosigningKey key) =>
        (this.directory, this.ownership, this.key) = (directory, ownership, key);

    public CosignerKey Public => key.Public;

    public IReadOnlyList<WitnessedLog> Logs => directory.ReadLogs(Public);

    /// <exception cref="WitnessStateException">There is no witness, its files are damaged, or another process is using it.</exception>
    public static Witness Open(string path) => Open(new WitnessDirectory(path), static directory => File.Exists(directory.KeyFile)
        ? null
        : throw new WitnessStateException($"'{directory.Path}' is no witness's directory: '{directory.KeyFile}' is not there. Make one with 'evident witness init'."));

    /// <summary>
    /// Opens a witness, making its directory and its one key when there is none. A crash leaves a witness without logs, or no witness; the same call goes on from there.
    /// </summary>
    /// <param name="path">Created (0700) when it is not there.</param>
    /// <param name="name">The key name of a new witness; null, or the same, for one that is there.</param>
    /// <exception cref="WitnessStateException">It is there under another name, or there is none and no name was given.</exception>
    public static Witness Init(string path, string? name)
    {
        var witness = Open(new WitnessDirectory(path), directory =>
        {
            if (File.Exists(directory.KeyFile))
            {
                return null;
            }

            if (name is null || WitnessDirectory.FlawOf(name) is not null)
            {
                throw new WitnessStateException(name is null ? $"there is no witness in '{path}' yet; give the new one a name with --name." : WitnessDirectory.FlawOf(name)! + ".");
            }

            DurableDirectory.Create(path);
            return name;
        });
        if (name is not null && witness.Public.Name != name)
        {
            string own = witness.Public.Name;
            witness.Dispose();
            throw new WitnessStateException($"the witness in '{path}' is '{own}'; one directory is one witness with one key. Use another directory for '{name}'.");
        }

        return witness;
    }

    /// <param name="prepare">Checks and makes the directory; returns the name of a witness that has to be made.</param>
    private static Witness Open(WitnessDirectory directory, Func<WitnessDirectory, string?> prepare)
    {
        _ = prepare(directory);
        DataLock ownership;
        try
        {
            ownership = DataLock.Acquire(directory.LockFile);
        }
        catch (DataDirectoryBusyException)
        {
            throw new WitnessStateException($"another evident process is using the witness in '{directory.Path}'; try again when it has ended.");
        }

        try
        {
            if (prepare(directory) is { } name) // asked again now that nobody else can make it
            {
                using var seed = SecretBytes.Random(32);
                directory.WriteKey(name, seed);
            }

            var key = directory.ReadSecret();
            directory.WriteVerifierKey(key.Public);
            return new Witness(directory, ownership, key);
        }
        catch
        {
            ownership.Dispose();
            throw;
        }
    }

    /// <summary>Trusts a log's key from now on. False when it was trusted already.</summary>
    /// <exception cref="WitnessStateException">Another key is trusted for that origin.</exception>
    public bool Follow(NoteKey log)
    {
        if (directory.ReadLog(log.Name, Public) is { } known)
        {
            return known.Key.ToVerifierKey() == log.ToVerifierKey()
                ? false
                : throw new WitnessStateException($"this witness trusts another key for '{log.Name}': {known.Key.ToVerifierKey()}. A log's key is never replaced.");
        }

        directory.WriteLog(log);
        return true;
    }

    /// <summary>The state of a log; null when the witness does not follow it.</summary>
    public WitnessedLog? Log(string origin) => directory.ReadLog(origin, Public);

    /// <summary>
    /// Checks a request and answers with the note and the cosignature under it. What is answered is recorded, durably, before: a crash in between leaves a record
    /// without an answer, and whoever asks again gets that head or a newer one.
    /// </summary>
    /// <param name="file">An add-checkpoint request, or a published note alone.</param>
    /// <param name="time">Unix seconds.</param>
    /// <exception cref="WitnessRefusalException">With the specification's code; the checks are made in its order.</exception>
    public byte[] Cosign(ReadOnlySpan<byte> file, long time)
    {
        AddCheckpoint? request = null;
        bool read = AddCheckpoint.LooksLikeOne(file)
            ? AddCheckpoint.TryParse(file, out request, out string failure)
            : SignedNote.TryParse(file, out var bare, out failure) && (request = new AddCheckpoint(0, [], bare)) is not null;
        if (!read || !Checkpoint.TryParse(request!.Note.Text, out var checkpoint))
        {
            throw new WitnessRefusalException(400, $"the file is neither an add-checkpoint request nor a published checkpoint: {(read ? "its note is no checkpoint of three lines." : failure)}");
        }

        var log = Trusted(request.Note, checkpoint);
        if (!AddCheckpoint.LooksLikeOne(file) && checkpoint.Size == log.Size)
        {
            request = request with { Old = log.Size }; // the very size that was cosigned needs no path
        }

        if (request.Old > checkpoint.Size)
        {
            throw new WitnessRefusalException(400, $"the request's old size {request.Old} is above the checkpoint's size {checkpoint.Size}.");
        }

        if (request.Old != log.Size)
        {
            throw new WitnessRefusalException(
                409, $"this witness cosigned size {log.Size} of '{checkpoint.Origin}' last; bring a request from there: evident ledger head --since {log.Size}");
        }

        if ((checkpoint.Size == 0 && !checkpoint.Root.AsSpan().SequenceEqual(Merkle.EmptyRoot))
            || !Merkle.VerifyConsistency(log.Size, log.Root, checkpoint.Size, checkpoint.Root, request.Path))
        {
            throw new WitnessRefusalException(
                422, $"the checkpoint of size {checkpoint.Size} is not shown to extend the one of size {log.Size} that this witness cosigned. {Keep(file, log)}");
        }

        return Record(request.Note, checkpoint, time);
    }

    /// <summary>
    /// Cosigns a published head of a ledger that was verified as a whole, which stands in for a consistency proof: the caller has found in it the head that
    /// <see cref="Log"/> told, while this witness was open.
    /// </summary>
    /// <exception cref="WitnessRefusalException">Unknown origin, a signature that is not the trusted key's, or an older head than the last.</exception>
    internal byte[] CosignVerified(SignedNote note, Checkpoint checkpoint, long time)
    {
        var log = Trusted(note, checkpoint);
        return checkpoint.Size >= log.Size
            ? Record(note, checkpoint, time)
            : throw new WitnessRefusalException(409, $"this witness cosigned size {log.Size} last, and the newest published head is of size {checkpoint.Size}.");
    }

    public void Dispose()
    {
        key.Dispose();
        ownership.Dispose();
    }

    private WitnessedLog Trusted(SignedNote note, Checkpoint checkpoint)
    {
        var log = Log(checkpoint.Origin) ?? throw new WitnessRefusalException(
            404, $"this witness does not follow '{checkpoint.Origin}'; if that ledger's key is to be trusted: evident witness init --log VKEY");
        return note.IsSignedBy(log.Key)
            ? log
            : throw new WitnessRefusalException(403, $"the checkpoint has no valid signature of the trusted key of '{checkpoint.Origin}', or an invalid one.");
    }

    private byte[] Record(SignedNote note, Checkpoint checkpoint, long time)
    {
        var others = note.Signatures.Where(s => !Public.Matches(s)).ToList();
        byte[] cosigned = SignedNote.Encode(note.Text, [.. others, key.Sign(note.Text, time)]);
        if (others.Count >= SignedNote.MaxSignatures || cosigned.Length > SignedNote.MaxBytes)
        {
            throw new WitnessRefusalException(400, "the note has no room for one more signature; bring it with the log's own signatures only.");
        }

        DurableDirectory.ReplaceFile(directory.CheckpointOf(checkpoint.Origin), cosigned);
        return cosigned; // recorded: from here on no other root of this size can be cosigned
    }

    /// <summary>Request and newest cosigned note: when both are signed by the log and contradict each other, they prove it.</summary>
    private string Keep(ReadOnlySpan<byte> request, WitnessedLog log)
    {
        string folder = directory.RefusedOf(log.Key.Name), name = Convert.ToHexStringLower(SHA256.HashData(request))[..16];
        string path = Path.Combine(folder, name + ".txt");
        if (!File.Exists(path))
        {
            if (log.Refused >= MaxRefused)
            {
                return $"The request was not kept: '{folder}' holds {MaxRefused} already.";
            }

            DurableDirectory.Create(folder);
            if (log.Note is not null)
            {
                DurableDirectory.ReplaceFile(Path.Combine(folder, name + ".note"), log.Note);
            }

            DurableDirectory.ReplaceFile(path, request);
        }

        return $"Request and newest cosigned note are kept as evidence in '{folder}' ({name}).";
    }
}
