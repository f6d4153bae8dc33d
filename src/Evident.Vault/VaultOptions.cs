using Evident.Platform;

namespace Evident.Vault;

/// <summary>Where the vault lies and how long it keeps what; checked by <see cref="VaultStore.Open"/>.</summary>
public sealed class VaultOptions
{
    /// <summary>Packs, wraps and keystore generations (<c>DATA/vault</c>).</summary>
    public required string Directory { get; init; }

    /// <summary>The master key's files and the keys that seal keystore generations (<c>DATA/keys</c>). Never backed up with the packs.</summary>
    public required string KeysDirectory { get; init; }

    /// <summary>Whole days a payload of the debug class (unredacted, of a debug session) is kept: it opens until the end of the next UTC day.</summary>
    public const int DebugDays = 1;

    /// <summary>Whole days a payload of the short class is kept at least, 0..3,650.</summary>
    public int ShortDays { get; init; } = 1;

    /// <summary>Whole days a payload of the long class is kept at least, 0..3,650 and not below <see cref="ShortDays"/>.</summary>
    public int LongDays { get; init; } = 30;

    /// <summary>Most tenant scopes of all workspaces together, 1..65,536; later tenants share their workspace's overflow scope.</summary>
    public int MaxScopes { get; init; } = 4096;

    /// <summary>Newest keystore generation that another store remembers; an older one on disk is a restored backup and is refused.</summary>
    public long KeystoreFloor { get; init; }

    /// <summary>Opens <c>master.sealed</c>; for a new vault, makes it. Stays the caller's.</summary>
    public SecretBytes? Passphrase { get; init; }

    /// <summary>A file of the service manager that need not exist: the master key (32 bytes that are not text) or a passphrase.</summary>
    public string? MasterCredential { get; init; }

    /// <summary>What a guess at a passphrase that is set now costs.</summary>
    internal PassphraseCost PassphraseCost { get; init; } = PassphraseCost.Moderate;

    internal void Check()
    {
        ArgumentException.ThrowIfNullOrEmpty(Directory);
        ArgumentException.ThrowIfNullOrEmpty(KeysDirectory);
        ArgumentOutOfRangeException.ThrowIfLessThan(ShortDays, 0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(LongDays, 3650);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ShortDays, LongDays);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxScopes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxScopes, 65_536);
    }
}
