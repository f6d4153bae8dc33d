namespace Evident.Vault;

/// <summary>Where the master key lies at rest.</summary>
public enum MasterCustody
{
    /// <summary><c>keys/master.key</c>, 0600: whoever reads the data directory as its owner or root opens the vault.</summary>
    File,

    /// <summary><c>keys/master.sealed</c>: the key under a passphrase, given by a person or by the service's credential.</summary>
    Passphrase,

    /// <summary>The service manager's credential: nothing of the key is in the data directory.</summary>
    Credential,
}

/// <summary>Custodies by name and by place.</summary>
public static class MasterCustodies
{
    /// <summary>As the ledger names it: <c>file</c>, <c>passphrase</c> or <c>systemd-creds</c>.</summary>
    public static string ToName(this MasterCustody custody) => custody switch
    {
        MasterCustody.File => "file",
        MasterCustody.Passphrase => "passphrase",
        _ => "systemd-creds",
    };

    /// <summary>What an open of the vault would use; null when there is no master key yet. Opens nothing.</summary>
    /// <param name="credential">The service manager's credential; it need not exist.</param>
    public static MasterCustody? Find(string keysDirectory, string? credential) => MasterFiles.Find(keysDirectory, credential);
}
