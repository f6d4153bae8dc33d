namespace Evident.Vault;

/// <summary>Where the vault lies and how long it keeps what; checked by <see cref="VaultStore.Open"/>.</summary>
public sealed class VaultOptions
{
    /// <summary>Packs, wraps and keystore generations (<c>DATA/vault</c>).</summary>
    public required string Directory { get; init; }

    /// <summary><c>master.key</c> and the keys that seal keystore generations (<c>DATA/keys</c>). Never backed up with the packs.</summary>
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
