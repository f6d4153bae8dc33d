using System.Buffers.Binary;
using System.Globalization;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// The files of the key hierarchy: the master key (<see cref="MasterFiles"/>) seals <c>keys/ksk.g&lt;N&gt;</c>, which seals <c>vault/keystore.g&lt;N&gt;</c>.
/// The KSK lies apart from the keystore, so that destroying its 96 bytes makes every copy of that generation unreadable, also one in
/// a backup of the vault directory.
/// </summary>
internal sealed class KeystoreFiles : IDisposable
{
    private const string KskPrefix = "ksk.g", KeystorePrefix = "keystore.g", Temporary = ".tmp";
    private const int KskPlainBytes = 32, KskHeaderBytes = 24, KskNonceBytes = 24;
    private const int KskFileBytes = KskHeaderBytes + KskNonceBytes + KskPlainBytes + Sodium.AeadTagBytes;
    private const int KeystoreHeaderBytes = 16;
    private const long MaxKeystoreBytes = 256L << 20;
    private const byte SealedByMaster = 1;

    private readonly string vault;
    private readonly string keys;
    private readonly MasterFiles masterFiles;
    private readonly Action<string> step;
    private SecretBytes? master;

    /// <param name="step">Told before each write and after each durable step of a rewrite; a test interrupts there.</param>
    public KeystoreFiles(VaultOptions options, Action<string> step)
    {
        vault = options.Directory;
        keys = options.KeysDirectory;
        masterFiles = new MasterFiles(options, step);
        this.step = step;
    }

    /// <summary>Generation on disk that is in use.</summary>
    public long Generation { get; private set; }

    private static ReadOnlySpan<byte> KskMagic => "EVIDKSK1"u8;

    private static ReadOnlySpan<byte> KeystoreMagic => "EVIDKEY1"u8;

    /// <summary>How the master key is kept now.</summary>
    public MasterCustody Custody => masterFiles.Custody;

    /// <summary>The master key goes under a passphrase.</summary>
    /// <exception cref="VaultException">Refused.</exception>
    public void SealWithPassphrase(ReadOnlySpan<byte> passphrase) => masterFiles.SealWithPassphrase(master!, passphrase);

    /// <summary>Another passphrase for the master key.</summary>
    /// <exception cref="VaultException">Refused, or Unopenable: the passphrase is another.</exception>
    public void ChangePassphrase(SecretBytes passphrase, SecretBytes next) => masterFiles.ChangePassphrase(passphrase, next);

    /// <summary>The master key goes back into a file.</summary>
    /// <exception cref="VaultException">Refused, or Unopenable: the passphrase is another.</exception>
    public void KeepInFile(SecretBytes passphrase) => masterFiles.KeepInFile(passphrase);

    /// <summary>The newest generation that opens; null when the vault is new. Finishes what a crash interrupted.</summary>
    /// <exception cref="VaultException">Unopenable: something is missing, foreign, damaged or older than the floor. Sealed.</exception>
    public Keystore? Open(long floor, bool hasPacks)
    {
        DurableDirectory.Create(vault);
        DurableDirectory.Create(keys);
        List<long> keystores = Generations(vault, KeystorePrefix);
        master = masterFiles.Open(isNew: keystores.Count == 0 && !hasPacks && floor == 0);
        if (keystores.Count == 0)
        {
            // A crash between the master key and the first keystore leads here too: nothing was sealed yet.
            if (hasPacks || floor > 0)
            {
                throw Refused($"no '{KeystorePrefix}<N>' is in '{vault}' while sealed data or generation {floor} exist. Put the newest one back.");
            }

            SweepOthers(0);
            masterFiles.SweepLeftovers();
            return null;
        }

        Keystore store = OpenNewest(keystores);
        if (Generation < floor)
        {
            store.Dispose();
            throw Refused($"the newest keystore is generation {Generation}, generation {floor} is on record: an old copy was put back. "
                + "Keys destroyed since then would live again. Put the newest one back.");
        }

        SweepOthers(Generation);
        masterFiles.SweepLeftovers();
        return store;
    }

    /// <summary>The newest generation that opens, without a write.</summary>
    /// <exception cref="VaultException">Unopenable or Sealed.</exception>
    public Keystore OpenToRead()
    {
        List<long> keystores = Directory.Exists(vault) ? Generations(vault, KeystorePrefix) : [];
        if (keystores.Count == 0)
        {
            throw Refused($"there is no '{KeystorePrefix}<N>' in '{vault}'.");
        }

        master = masterFiles.Open(isNew: false);
        return OpenNewest(keystores);
    }

    /// <summary>
    /// Writes the next generation and destroys the one before it. When this returns, and only then, may new keys be used.
    /// </summary>
    /// <exception cref="VaultException">DiskFull, before the commit point: the generation before stands and the vault goes on.</exception>
    /// <exception cref="IOException">Anything else: what is on the disk is not known to this process any more.</exception>
    public void Rewrite(Keystore store, long nowMillis)
    {
        long next = checked(Highest() + 1);
        using var ksk = SecretBytes.Random(KskPlainBytes);

        // A crash after this: a KSK without its keystore. The generation before stands; the next open destroys this KSK.
        Replace(KskPath(next), SealKsk(next, ksk.Span), "ksk.write");
        step("ksk.written");

        byte[] file = new byte[checked((int)(KeystoreHeaderBytes + ChunkedEncryption.SealedLength(store.EncodedLength)))];
        WriteHeader(file, KeystoreMagic, next);
        Span<byte> context = stackalloc byte[64];
        using (var writer = new KeystoreWriter(file.AsMemory(KeystoreHeaderBytes), ksk.Span, context[..KeystoreContext(context, next)]))
        {
            store.Write(writer, nowMillis);
            writer.End();
        }

        // This rename is the commit point of a generation. A crash after it: two generations open, the newest wins, and the next open
        // does what follows here. No key that only the new one holds was in use yet.
        Replace(KeystorePath(next), file, "keystore.write");
        Generation = next;
        step("keystore.written");

        SweepOthers(next);
    }

    public void Dispose() => master?.Dispose();

    /// <summary>A write that found no room wrote to the temporary file only, which the next rewrite or open sweeps.</summary>
    private void Replace(string path, ReadOnlySpan<byte> content, string name)
    {
        try
        {
            step(name);
            DurableDirectory.ReplaceFile(path, content);
        }
        catch (PosixException e) when (e.IsDiskFull && e.Operation == "write")
        {
            throw new VaultException(
                VaultErrorKind.DiskFull,
                $"Writing '{path}' ({content.Length} bytes) failed: no space left. No new key or scope was made. Free some space.", e);
        }
    }

    /// <summary>
    /// Removes every generation but this one and the leftovers of interrupted writes. The KSK is what is destroyed (L1: overwrite, fsync,
    /// unlink, directory fsync), and before what it seals: a crash between the two leaves a keystore that nothing opens, which the next
    /// open removes. A newer generation that did not open stays for people to look at until the next rewrite passes its number.
    /// </summary>
    private void SweepOthers(long keep)
    {
        foreach (string stale in Directory.EnumerateFiles(keys, KskPrefix + "*" + Temporary).Concat(
            Directory.EnumerateFiles(vault, KeystorePrefix + "*" + Temporary)).ToList())
        {
            DurableDirectory.Shred(stale);
        }

        List<long> keystores = Generations(vault, KeystorePrefix);
        foreach (long generation in Generations(keys, KskPrefix))
        {
            if (generation < keep || (generation > keep && !keystores.Contains(generation)))
            {
                DurableDirectory.Shred(KskPath(generation));
                step("ksk.destroyed");
            }
        }

        foreach (long generation in keystores)
        {
            if (generation < keep)
            {
                DurableDirectory.Remove(KeystorePath(generation)); // ciphertext whose only key was overwritten above
                step("keystore.destroyed");
            }
        }
    }

    private Keystore OpenNewest(List<long> generations)
    {
        string? firstReason = null;
        foreach (long generation in generations)
        {
            try
            {
                Keystore store = Read(generation);
                Generation = generation;
                return store;
            }
            catch (Exception e) when (e is InvalidDataException or FileNotFoundException or OverflowException)
            {
                // Falling back loses nothing: keys of a newer generation come into use only after the KSK of the older is destroyed.
                firstReason ??= $"'{KeystorePath(generation)}' does not open: {e.Message}.";
            }
        }

        throw Refused($"{firstReason} Generations on disk: {string.Join(", ", generations)}. Put the right master key, "
            + $"'{KskPrefix}<N>' and '{KeystorePrefix}<N>' back; nothing was changed.");
    }

    private Keystore Read(long generation)
    {
        using SecretBytes ksk = OpenKsk(generation);
        byte[] file = ReadFile(KeystorePath(generation), MaxKeystoreBytes);
        if (file.Length < KeystoreHeaderBytes || !HeaderIs(file, KeystoreMagic, generation))
        {
            throw new InvalidDataException("it does not begin as a keystore of that generation");
        }

        Span<byte> context = stackalloc byte[64];
        using var reader = new KeystoreReader(file.AsMemory(KeystoreHeaderBytes), ksk.Span, context[..KeystoreContext(context, generation)]);
        return Keystore.Read(reader);
    }

    private byte[] SealKsk(long generation, ReadOnlySpan<byte> ksk)
    {
        byte[] file = new byte[KskFileBytes];
        WriteHeader(file, KskMagic, generation);
        file[16] = SealedByMaster;
        Span<byte> nonce = file.AsSpan(KskHeaderBytes, KskNonceBytes);
        Sodium.RandomBytes(nonce);
        Span<byte> associated = stackalloc byte[64];
        int length = KskAssociated(associated, file.AsSpan(0, KskHeaderBytes));
        Sodium.XChaCha20Poly1305Seal(file.AsSpan(KskHeaderBytes + KskNonceBytes), ksk, associated[..length], nonce, master!.Span);
        return file;
    }

    private SecretBytes OpenKsk(long generation)
    {
        byte[] file = ReadFile(KskPath(generation), KskFileBytes);
        var ksk = new SecretBytes(KskPlainBytes);
        Span<byte> associated = stackalloc byte[64];
        if (file.Length == KskFileBytes && HeaderIs(file, KskMagic, generation) && file[16] == SealedByMaster
            && Sodium.XChaCha20Poly1305Open(
                ksk.Span, file.AsSpan(KskHeaderBytes + KskNonceBytes),
                associated[..KskAssociated(associated, file.AsSpan(0, KskHeaderBytes))],
                file.AsSpan(KskHeaderBytes, KskNonceBytes), master!.Span))
        {
            return ksk;
        }

        ksk.Dispose();
        throw new InvalidDataException($"its key '{KskPath(generation)}' is damaged or not sealed with this master key");
    }

    private static int KskAssociated(Span<byte> to, ReadOnlySpan<byte> header)
    {
        ReadOnlySpan<byte> label = "agentvault/ksk/v1\0"u8;
        label.CopyTo(to);
        header.CopyTo(to[label.Length..]);
        return label.Length + header.Length;
    }

    private static int KeystoreContext(Span<byte> to, long generation)
    {
        ReadOnlySpan<byte> label = "agentvault/keystore/v1\0"u8;
        label.CopyTo(to);
        WriteHeader(to[label.Length..], KeystoreMagic, generation);
        return label.Length + KeystoreHeaderBytes;
    }

    private static void WriteHeader(Span<byte> to, ReadOnlySpan<byte> magic, long generation)
    {
        magic.CopyTo(to);
        BinaryPrimitives.WriteInt64BigEndian(to[8..], generation);
    }

    private static bool HeaderIs(ReadOnlySpan<byte> file, ReadOnlySpan<byte> magic, long generation) =>
        file[..8].SequenceEqual(magic) && BinaryPrimitives.ReadInt64BigEndian(file[8..]) == generation;

    private static byte[] ReadFile(string path, long limit)
    {
        using DurableFile file = DurableFile.OpenRead(path);
        long length = file.Length;
        if (length > limit)
        {
            throw new InvalidDataException($"'{path}' has {length} bytes, at most {limit} are possible");
        }

        byte[] content = new byte[length];
        return file.ReadAt(0, content) == length ? content : throw new InvalidDataException($"'{path}' became shorter while it was read");
    }

    private string KskPath(long generation) => Path.Combine(keys, KskPrefix + generation.ToString(CultureInfo.InvariantCulture));

    private string KeystorePath(long generation) => Path.Combine(vault, KeystorePrefix + generation.ToString(CultureInfo.InvariantCulture));

    private long Highest() => Math.Max(Generation, Math.Max(Newest(vault, KeystorePrefix), Newest(keys, KskPrefix)));

    private static long Newest(string directory, string prefix) => Generations(directory, prefix) is [long newest, ..] ? newest : 0;

    /// <summary>The numbers that stand in a directory, the newest first.</summary>
    private static List<long> Generations(string directory, string prefix)
    {
        var found = new List<long>();
        foreach (string path in Directory.EnumerateFiles(directory, prefix + "*"))
        {
            if (long.TryParse(Path.GetFileName(path.AsSpan())[prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            {
                found.Add(number);
            }
        }

        found.Sort(static (a, b) => b.CompareTo(a));
        return found;
    }

    private static VaultException Refused(string message) => new(VaultErrorKind.Unopenable, "The vault was not opened: " + message);
}
