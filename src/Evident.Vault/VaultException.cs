namespace Evident.Vault;

/// <summary>Why the vault did not do what was asked.</summary>
public enum VaultErrorKind
{
    /// <summary>No wrap of this reference is on disk: never sealed here, or its pack is gone.</summary>
    NotFound,

    /// <summary>The day up to which the payload was kept is over.</summary>
    Expired,

    /// <summary>The key that opens the wrap is no longer in the key ring.</summary>
    Shredded,

    /// <summary>What lies on disk is not what was sealed: record, wrap, binding or content differ.</summary>
    Tampered,

    /// <summary>The reference is not <c>vr_</c> and 26 Crockford base-32 characters.</summary>
    Malformed,

    /// <summary>The disk is full. Nothing since the last <see cref="VaultStore.Sync"/> was kept; the vault goes on.</summary>
    DiskFull,

    /// <summary>An earlier write or sync failed, so nobody knows what is on the disk: stop the process and start again.</summary>
    Poisoned,

    /// <summary>Keys or keystore are missing, foreign, damaged or older than they must be. Nothing was created or changed.</summary>
    Unopenable,

    /// <summary>The master key is under a passphrase, and none was given. Nothing was created or changed.</summary>
    Sealed,

    /// <summary>What was asked for does not fit how the keys are kept. Nothing was changed; the vault goes on.</summary>
    Refused,
}

/// <summary>A refusal of the vault; the message says what was attempted, with what, and what to do.</summary>
public sealed class VaultException(VaultErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    public VaultErrorKind Kind { get; } = kind;
}
