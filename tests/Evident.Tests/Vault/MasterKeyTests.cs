using System.Buffers.Binary;
using System.Text;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Tests.Vault;

/// <summary>How the master key is kept: file, passphrase, credential, and the ways between them.</summary>
public sealed class MasterKeyTests
{
    private const string Passphrase = "a horse, a staple, a battery";

    private sealed class Crash : Exception;

    private static SecretBytes Secret(string text) => SecretBytes.CopyAndZero(Encoding.UTF8.GetBytes(text));

    /// <summary>The vector of docs/vault-format.md section 8, with the cost that it names.</summary>
    [Fact]
    public void A_sealed_master_key_is_byte_for_byte_as_documented()
    {
        byte[] master = [.. Enumerable.Range(0, 32).Select(i => (byte)i)], salt = [.. Enumerable.Range(0x20, 16).Select(i => (byte)i)], nonce = [.. Enumerable.Range(0x30, 24).Select(i => (byte)i)];
        byte[] file = SealedMaster.Seal(master, "correct horse"u8, new PassphraseCost(2, 65_536), salt, nonce);
        string document = File.ReadAllText(Document()).Replace("\n    ", "", StringComparison.Ordinal);
        Assert.Contains(Convert.ToHexStringLower(file), document, StringComparison.Ordinal);
        using SecretBytes opened = SealedMaster.Open(file, "correct horse"u8)!;
        Assert.Equal(master, opened.Span.ToArray());
        Assert.Null(SealedMaster.Open(file, "correct hors"u8));
    }

    [Fact]
    public void Every_changed_bit_of_a_sealed_master_key_is_refused()
    {
        byte[] file = SealedMaster.Seal(new byte[32], "correct horse"u8, new PassphraseCost(1, 8192));
        for (int bit = 0; bit < file.Length * 8; bit++)
        {
            byte[] changed = [.. file];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            if (BinaryPrimitives.ReadUInt64BigEndian(changed.AsSpan(24)) is > 16 << 20 and <= 1 << 30)
            {
                continue; // the same as with less memory, which every machine has
            }

            bool opened;
            try
            {
                using SecretBytes? master = SealedMaster.Open(changed, "correct horse"u8);
                opened = master is not null;
            }
            catch (InvalidDataException)
            {
                opened = false;
            }

            Assert.False(opened, $"bit {bit}");
        }
    }

    [Fact]
    public void Without_the_memory_for_a_passphrase_nothing_is_wrong_with_the_keys()
    {
        var beyondEveryMachine = new PassphraseCost(1, 1UL << 43);
        var refused = Assert.Throws<VaultException>(() => SealedMaster.Seal(new byte[32], "correct horse"u8, beyondEveryMachine));
        Assert.Equal(VaultErrorKind.Refused, refused.Kind); // of which the vault says so and goes on
        Assert.Contains("8796093022208 bytes of memory", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_vault_goes_under_a_passphrase_and_back()
    {
        using var directory = new TemporaryVault();
        string payload;
        byte[] master;
        using (VaultStore vault = directory.Open())
        {
            payload = TemporaryVault.Put(vault, "acme", "input", [1, 2, 3]);
            master = File.ReadAllBytes(Key(directory));
            Assert.Equal(VaultErrorKind.Refused, VaultStoreTests.Kind(() => vault.SealWithPassphrase(Secret("short"))));
            vault.SealWithPassphrase(Secret(Passphrase));
            Assert.Equal(MasterCustody.Passphrase, vault.Custody);
            Assert.Equal(VaultErrorKind.Refused, VaultStoreTests.Kind(() => vault.SealWithPassphrase(Secret(Passphrase))));
            Assert.Equal([1, 2, 3], vault.Read(payload).Plaintext);
            vault.Rotate();
        }

        Assert.False(File.Exists(Key(directory)));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Sealed(directory)));
        Assert.DoesNotContain(directory.Files(), f => f.Content.AsSpan().IndexOf(master) >= 0);
        using (VaultStore vault = directory.Open(passphrase: Passphrase))
        {
            Assert.Equal([1, 2, 3], vault.Read(payload).Plaintext);
            using SecretBytes wrong = Secret("another passphrase"), right = Secret(Passphrase);
            Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => vault.KeepInFile(wrong)));
            Assert.False(File.Exists(Key(directory)));
            vault.KeepInFile(right);
            Assert.Equal(MasterCustody.File, vault.Custody);
        }

        Assert.False(File.Exists(Sealed(directory)));
        using (VaultStore vault = directory.Open())
        {
            Assert.Equal([1, 2, 3], vault.Read(payload).Plaintext);
        }
    }

    [Theory]
    [InlineData(null, VaultErrorKind.Sealed)]
    [InlineData("a horse, a staple, a batterie", VaultErrorKind.Unopenable)]
    public void Without_the_passphrase_nothing_opens_and_nothing_is_touched(string? given, VaultErrorKind expected)
    {
        using var directory = new TemporaryVault();
        using (VaultStore vault = directory.Open(passphrase: Passphrase)) // a new vault that never had its key in the clear
        {
            TemporaryVault.Put(vault, "acme", "input", [1]);
        }

        Assert.False(File.Exists(Key(directory)));
        File.WriteAllBytes(Path.Combine(directory.KeysDirectory, "ksk.g99.tmp"), [1]); // an open that goes through sweeps it
        var before = directory.Files().Select(f => (f.Path, Convert.ToHexString(f.Content))).Order().ToArray();
        Assert.Equal(expected, VaultStoreTests.Kind(() => directory.Open(passphrase: given)));
        Assert.Equal(before, directory.Files().Select(f => (f.Path, Convert.ToHexString(f.Content))).Order());
    }

    /// <summary>Step after which a conversion is interrupted, and what the next open needs. Whatever the row, it leaves one of the two files.</summary>
    [Theory]
    [InlineData("master.sealed.written", false)]
    [InlineData("master.key.retired", true)]
    [InlineData("master.key.shredded", true)]
    [InlineData("master.key.written", false)]
    [InlineData("master.sealed.shredded", false)]
    public void A_crash_at_each_step_of_a_conversion_leaves_the_old_or_the_new(string crashAt, bool needsPassphrase)
    {
        using var directory = new TemporaryVault();
        bool toFile = crashAt is "master.key.written" or "master.sealed.shredded";
        string payload;
        using (VaultStore vault = directory.Open(passphrase: toFile ? Passphrase : null))
        {
            payload = TemporaryVault.Put(vault, "acme", "input", [7]);
        }

        using (VaultStore vault = directory.Open(step => { if (step == crashAt) throw new Crash(); }, passphrase: toFile ? Passphrase : null))
        {
            using SecretBytes right = Secret(Passphrase);
            Assert.Equal(VaultErrorKind.Poisoned, VaultStoreTests.Kind(() =>
            {
                if (toFile)
                {
                    vault.KeepInFile(right);
                }
                else
                {
                    vault.SealWithPassphrase(right);
                }
            }));
        }

        if (needsPassphrase)
        {
            Assert.Equal(VaultErrorKind.Sealed, VaultStoreTests.Kind(() => directory.Open()));
        }

        using (VaultStore vault = directory.Open(passphrase: needsPassphrase ? Passphrase : null))
        {
            Assert.Equal([7], vault.Read(payload).Plaintext);
        }

        Assert.Equal([needsPassphrase ? "master.sealed" : "master.key"], Directory.GetFiles(directory.KeysDirectory, "master*").Select(Path.GetFileName));
    }

    /// <summary>A crash inside a shredding leaves noise under the old name; it must never be taken for the key.</summary>
    [Theory]
    [InlineData("master.key.old", true)]
    [InlineData("master.sealed", false)]
    public void Noise_of_a_half_done_shredding_is_swept(string leftover, bool passphrase)
    {
        using var directory = new TemporaryVault();
        using (VaultStore vault = directory.Open(passphrase: passphrase ? Passphrase : null))
        {
            TemporaryVault.Put(vault, "acme", "input", [1]);
        }

        File.WriteAllBytes(Path.Combine(directory.KeysDirectory, leftover), TemporaryVault.Noise(passphrase ? 32 : SealedMaster.FileBytes, 1));
        directory.Open(passphrase: passphrase ? Passphrase : null).Dispose();
        Assert.False(File.Exists(Path.Combine(directory.KeysDirectory, leftover)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("master.sealed.change")]
    [InlineData("master.sealed.changed")]
    public void A_passphrase_is_exchanged_in_one_step(string? crashAt)
    {
        const string next = "two horses, no battery";
        using var directory = new TemporaryVault();
        string payload;
        using (VaultStore vault = directory.Open(passphrase: Passphrase))
        {
            payload = TemporaryVault.Put(vault, "acme", "input", [9]);
            Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => vault.ChangePassphrase(Secret("not the passphrase"), Secret(next))));
            Assert.Equal(VaultErrorKind.Refused, VaultStoreTests.Kind(() => vault.ChangePassphrase(Secret(Passphrase), Secret("short"))));
            Assert.Equal([9], vault.Read(payload).Plaintext);
        }

        using (VaultStore vault = directory.Open(step => { if (step == crashAt) throw new Crash(); }, passphrase: Passphrase))
        {
            if (crashAt is null)
            {
                vault.ChangePassphrase(Secret(Passphrase), Secret(next));
            }
            else
            {
                Assert.Equal(VaultErrorKind.Poisoned, VaultStoreTests.Kind(() => vault.ChangePassphrase(Secret(Passphrase), Secret(next))));
            }
        }

        bool changed = crashAt != "master.sealed.change";
        Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => directory.Open(passphrase: changed ? Passphrase : next)));
        using (VaultStore vault = directory.Open(passphrase: changed ? next : Passphrase))
        {
            Assert.Equal([9], vault.Read(payload).Plaintext);
        }
    }

    [Fact]
    public void A_credential_is_the_key_or_the_passphrase()
    {
        using var directory = new TemporaryVault();
        byte[] key = TemporaryVault.Noise(32, 3);
        File.WriteAllBytes(directory.Credential, key);
        string payload;
        using (VaultStore vault = directory.Open())
        {
            payload = TemporaryVault.Put(vault, "acme", "input", [5]);
            Assert.Equal(MasterCustody.Credential, vault.Custody);
            Assert.Equal(VaultErrorKind.Refused, VaultStoreTests.Kind(() => vault.SealWithPassphrase(Secret(Passphrase))));
        }

        Assert.Empty(Directory.GetFiles(directory.KeysDirectory, "master*"));
        File.WriteAllBytes(directory.Credential, TemporaryVault.Noise(32, 4));
        Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => directory.Open()));
        File.Delete(directory.Credential);
        Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => directory.Open()));
        Assert.Empty(Directory.GetFiles(directory.KeysDirectory, "master*"));
        File.WriteAllBytes(directory.Credential, key);
        using (VaultStore vault = directory.Open())
        {
            Assert.Equal([5], vault.Read(payload).Plaintext);
        }
    }

    [Theory]
    [InlineData("twelve or more\n")]
    [InlineData("exactly thirty-two characters ok")] // as long as a key, and text
    public void A_credential_that_is_text_is_a_passphrase(string credential)
    {
        using var directory = new TemporaryVault();
        File.WriteAllText(directory.Credential, credential);
        directory.Open().Dispose();
        Assert.True(File.Exists(Sealed(directory)));
        File.Delete(directory.Credential);
        Assert.Equal(VaultErrorKind.Sealed, VaultStoreTests.Kind(() => directory.Open()));
        directory.Open(passphrase: credential.TrimEnd('\n')).Dispose();
    }

    private static string Document([System.Runtime.CompilerServices.CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(here, "../../../../docs/vault-format.md"));

    private static string Key(TemporaryVault directory) => Path.Combine(directory.KeysDirectory, "master.key");

    private static string Sealed(TemporaryVault directory) => Path.Combine(directory.KeysDirectory, "master.sealed");
}
