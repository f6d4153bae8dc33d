using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// The files that hold the master key. <c>master.key</c> counts where it lies; without it <c>master.sealed</c>, opened by the given
/// passphrase or by a credential; without both, a credential that is the key itself. Whatever else lies there is a leftover of an
/// interrupted conversion and is shredded once the vault has opened.
/// </summary>
internal sealed class MasterFiles(VaultOptions options, Action<string> step)
{
    private const string KeyName = "master.key", SealedName = "master.sealed", Retired = ".old";
    private const int MaxCredentialBytes = Passphrases.MaxBytes + 2;

    private string KeyPath => Path.Combine(options.KeysDirectory, KeyName);

    private string SealedPath => Path.Combine(options.KeysDirectory, SealedName);

    /// <summary>What an open would use; a new vault would get a file.</summary>
    public MasterCustody Custody => Find(options.KeysDirectory, options.MasterCredential) ?? MasterCustody.File;

    /// <summary>What an open would use; null when there is no master key. Opens nothing.</summary>
    public static MasterCustody? Find(string keysDirectory, string? credential) =>
        File.Exists(Path.Combine(keysDirectory, KeyName)) ? MasterCustody.File
        : File.Exists(Path.Combine(keysDirectory, SealedName)) ? MasterCustody.Passphrase
        : credential is not null && File.Exists(credential) ? MasterCustody.Credential : null;

    private bool HasCredential => options.MasterCredential is { } path && File.Exists(path);

    /// <summary>The master key. A new vault gets one: in the clear, or sealed at once when a passphrase is there.</summary>
    /// <param name="isNew">Nothing was sealed under a master key yet.</param>
    /// <exception cref="VaultException">Sealed: a passphrase is needed and none is there. Unopenable: missing, foreign or damaged, or the passphrase is another.</exception>
    public SecretBytes Open(bool isNew)
    {
        if (File.Exists(KeyPath))
        {
            return ReadKey();
        }

        using SecretBytes? credential = HasCredential ? ReadCredential() : null;
        bool isKey = credential is { Length: SealedMaster.MasterBytes } && !Passphrases.IsText(credential.Span);
        SecretBytes? passphrase = options.Passphrase ?? (isKey ? null : credential);
        if (File.Exists(SealedPath))
        {
            return Unseal(passphrase ?? throw new VaultException(
                VaultErrorKind.Sealed, $"The vault is sealed: '{SealedPath}' opens with a passphrase, and none was given. Run: evident vault unseal"));
        }

        if (isKey)
        {
            return SecretBytes.CopyAndZero(credential!.Span);
        }

        if (!isNew)
        {
            throw Refused($"'{KeyPath}' is missing while sealed data exist, and neither '{SealedPath}' nor a credential with the key is there. Put the key back; nothing else opens it.");
        }

        var fresh = SecretBytes.Random(SealedMaster.MasterBytes);
        if (passphrase is null)
        {
            Write(KeyPath, fresh.Span);
        }
        else
        {
            Write(SealedPath, SealedMaster.Seal(fresh.Span, passphrase.Span, options.PassphraseCost));
        }

        return fresh;
    }

    /// <summary>The vault has opened with what counts: what does not count goes.</summary>
    public void SweepLeftovers()
    {
        DurableDirectory.Shred(KeyPath + Retired);
        DurableDirectory.Shred(KeyPath + ".tmp");
        DurableDirectory.Shred(SealedPath + ".tmp");
        if (File.Exists(KeyPath))
        {
            DurableDirectory.Shred(SealedPath);
        }
    }

    /// <summary>
    /// From <c>master.key</c> to <c>master.sealed</c>: written and read back, then the key's file gets another name, which is the moment
    /// from which it does not count, and is shredded.
    /// </summary>
    /// <exception cref="VaultException">Refused: it is not kept in a file.</exception>
    public void SealWithPassphrase(SecretBytes master, ReadOnlySpan<byte> passphrase)
    {
        Require(MasterCustody.File);
        Write(SealedPath, SealedMaster.Seal(master.Span, passphrase, options.PassphraseCost));
        step("master.sealed.written");
        using (SecretBytes? again = SealedMaster.Open(ReadFile(SealedPath), passphrase))
        {
            if (again is null || !Sodium.Equal(again.Span, master.Span))
            {
                throw new IOException($"'{SealedPath}' does not read back as it was written; '{KeyPath}' stands.");
            }
        }

        DurableDirectory.Rename(KeyPath, KeyPath + Retired);
        step("master.key.retired");
        DurableDirectory.Shred(KeyPath + Retired);
        step("master.key.shredded");
    }

    /// <summary>From <c>master.sealed</c> to <c>master.key</c>, which counts as soon as it is there; then the sealed file is shredded.</summary>
    /// <exception cref="VaultException">Refused: it is not kept under a passphrase, or under another. Nothing was changed.</exception>
    public void KeepInFile(SecretBytes passphrase)
    {
        Require(MasterCustody.Passphrase);
        using SecretBytes master = Unseal(passphrase);
        Write(KeyPath, master.Span);
        step("master.key.written");
        DurableDirectory.Shred(SealedPath);
        step("master.sealed.shredded");
    }

    /// <summary>
    /// Seals the master key under another passphrase; the new file takes the place of the old one in one step. Whoever has a copy of the old file opens it with the old passphrase as before.
    /// </summary>
    /// <exception cref="VaultException">Refused: it is not kept under a passphrase. Unopenable: the passphrase is another. Nothing was changed.</exception>
    public void ChangePassphrase(SecretBytes passphrase, SecretBytes next)
    {
        Require(MasterCustody.Passphrase);
        using SecretBytes master = Unseal(passphrase);
        step("master.sealed.change");
        Write(SealedPath, SealedMaster.Seal(master.Span, next.Span, options.PassphraseCost));
        step("master.sealed.changed");
    }

    /// <summary>A full disk costs the conversion and nothing else: only a temporary file was written.</summary>
    private static void Write(string path, ReadOnlySpan<byte> content)
    {
        try
        {
            DurableDirectory.ReplaceFile(path, content);
        }
        catch (PosixException e) when (e.IsDiskFull && e.Operation == "write")
        {
            throw new VaultException(VaultErrorKind.DiskFull, $"Writing '{path}' failed: no space left. The master key is kept as before. Free some space.", e);
        }
    }

    private void Require(MasterCustody needed)
    {
        if (Custody != needed)
        {
            throw new VaultException(VaultErrorKind.Refused, $"The master key is kept by: {Custody.ToName()}, not by: {needed.ToName()}; nothing was changed.");
        }
    }

    private SecretBytes Unseal(SecretBytes passphrase)
    {
        try
        {
            return SealedMaster.Open(ReadFile(SealedPath), passphrase.Span)
                ?? throw Refused($"the passphrase does not open '{SealedPath}', or the file was altered. Nothing was changed.");
        }
        catch (InvalidDataException e)
        {
            throw Refused($"'{SealedPath}' cannot be used: {e.Message}. Put the right file back.");
        }
    }

    private SecretBytes ReadKey()
    {
        UnixFileMode mode = OperatingSystem.IsWindows() ? UnixFileMode.None : File.GetUnixFileMode(KeyPath);
        if ((mode & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite)) != 0)
        {
            throw Refused($"'{KeyPath}' may be used by others than its owner (mode {Convert.ToString((int)mode, 8)}). Set mode 0600 after "
                + "making sure that nobody copied it.");
        }

        byte[] content = ReadFile(KeyPath);
        return content.Length == SealedMaster.MasterBytes
            ? SecretBytes.CopyAndZero(content)
            : throw Refused($"'{KeyPath}' has {content.Length} bytes, {SealedMaster.MasterBytes} are needed. Put the right key file back.");
    }

    /// <summary>A line feed at its end is the editor's, not the passphrase's.</summary>
    private SecretBytes ReadCredential()
    {
        using DurableFile file = DurableFile.OpenRead(options.MasterCredential!);
        byte[] content = new byte[MaxCredentialBytes];
        int length = file.ReadAt(0, content);
        if (length > SealedMaster.MasterBytes || Passphrases.IsText(content.AsSpan(0, length)))
        {
            length = Passphrases.WithoutLineEnd(content.AsSpan(0, length)).Length;
        }

        SecretBytes? secret = length is > 0 and <= Passphrases.MaxBytes ? SecretBytes.CopyAndZero(content.AsSpan(0, length)) : null;
        Sodium.Zero(content);
        return secret ?? throw Refused(
            $"the credential '{options.MasterCredential}' has {length} bytes; it is the {SealedMaster.MasterBytes} bytes of the key or a passphrase of 1 to {Passphrases.MaxBytes}.");
    }

    /// <summary>One byte more than the longest of the two files.</summary>
    private static byte[] ReadFile(string path)
    {
        using DurableFile file = DurableFile.OpenRead(path);
        byte[] content = new byte[SealedMaster.FileBytes + 1];
        int length = file.ReadAt(0, content);
        byte[] exact = content.AsSpan(0, length).ToArray();
        Sodium.Zero(content);
        return exact;
    }

    private static VaultException Refused(string message) => new(VaultErrorKind.Unopenable, "The vault was not opened: " + message);
}
