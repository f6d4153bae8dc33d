using System.Text;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Tests.Vault;

/// <summary>A clock that stands still until a test moves it.</summary>
internal sealed class StandingClock : IClock
{
    public const long Day = 86_400_000;

    /// <summary>2026-11-21T06:00:00Z.</summary>
    public long UnixMillis { get; set; } = 1_795_240_800_000;

    public long MonotonicMillis => UnixMillis;

    public string BootId => "00000000";
}

/// <summary>A vault in a directory of its own that is gone afterwards.</summary>
internal sealed class TemporaryVault : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("vault-test-").FullName;

    public StandingClock Clock { get; } = new();

    public int MaxScopes { get; init; } = 4096;

    public string VaultDirectory => Path.Combine(root, "vault");

    public string KeysDirectory => Path.Combine(root, "keys");

    public string ShortPack => Path.Combine(VaultDirectory, "short-2026-11-22.pack");

    public string ShortWraps => Path.Combine(VaultDirectory, "short-2026-11-22.wraps");

    /// <summary>A file that stands for the service manager's credential; it need not exist.</summary>
    public string Credential => Path.Combine(root, "credential");

    /// <param name="passphrase">Null: none is given.</param>
    public VaultStore Open(Action<string>? step = null, long floor = 0, string? passphrase = null)
    {
        using SecretBytes? secret = passphrase is null ? null : SecretBytes.CopyAndZero(Encoding.UTF8.GetBytes(passphrase));
        return VaultStore.Open(
            new VaultOptions
            {
                Directory = VaultDirectory, KeysDirectory = KeysDirectory, MaxScopes = MaxScopes, KeystoreFloor = floor,
                Passphrase = secret, MasterCredential = Credential, PassphraseCost = new PassphraseCost(1, 8192),
            },
            Clock, step ?? (static _ => { }));
    }

    public static string Put(VaultStore vault, string tenant, string role, byte[] payload, bool keepLong = false)
    {
        using SealedBatch batch = vault.NewBatch();
        string reference = Seal(batch, vault.ResolveScope("default", Encoding.UTF8.GetBytes(tenant)), role, payload, keepLong, out _);
        vault.Append(batch.Records);
        vault.Sync();
        return reference;
    }

    public static string Seal(SealedBatch batch, VaultScope scope, string role, byte[] payload, bool keepLong, out byte[] commitment)
    {
        Span<byte> reference = stackalloc byte[SealedBatch.RefLength];
        commitment = new byte[PayloadCommitment.Bytes];
        batch.Seal(scope, role, keepLong, payload, reference, commitment);
        return Encoding.ASCII.GetString(reference);
    }

    /// <summary>Every byte of every file.</summary>
    public IEnumerable<(string Path, byte[] Content)> Files() =>
        Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Select(path => (path, File.ReadAllBytes(path)));

    public void Dispose() => Directory.Delete(root, recursive: true);

    /// <summary>Deterministic bytes that Brotli cannot make smaller.</summary>
    public static byte[] Noise(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Deterministic bytes that it can.</summary>
    public static byte[] Prose(int length) =>
        Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, length / 8 + 1).Select(i => $"word{i % 50:D3} ")))[..length];
}
