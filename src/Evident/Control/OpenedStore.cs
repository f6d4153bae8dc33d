using Evident.Configuration;
using Evident.Ledger;
using Evident.Platform;
using Evident.Store;
using Evident.Vault;

namespace Evident.Control;

/// <summary>Opens the store and turns what can be wrong with a data directory into the sentence and exit code of the contract.</summary>
internal static class OpenedStore
{
    /// <summary>The service manager's credential: the vault's master key or its passphrase (systemd.exec(5), LoadCredentialEncrypted=). Null outside of a service.</summary>
    public static string? Credential =>
        Environment.GetEnvironmentVariable("CREDENTIALS_DIRECTORY") is { Length: > 0 } directory ? Path.Combine(directory, "evident-master") : null;

    /// <param name="passphrase">Opens a vault that is under one; null: the credential does, or nothing.</param>
    /// <exception cref="RefusedException">A vault that stays sealed included.</exception>
    public static EvidentStore Open(ApplianceOptions options, string dataDirectory, ApplianceLog log, SecretBytes? passphrase) =>
        TryOpen(options, dataDirectory, log, passphrase, null, out string? isSealed) ?? throw new RefusedException(isSealed!);

    /// <summary>Null when the vault is under a passphrase and none was given.</summary>
    /// <param name="owned">The directory's lock, when it is held already.</param>
    /// <param name="isSealed">The sentence then.</param>
    /// <exception cref="RefusedException">It cannot be opened.</exception>
    public static EvidentStore? TryOpen(ApplianceOptions options, string dataDirectory, ApplianceLog log, SecretBytes? passphrase, DataLock? owned, out string? isSealed)
    {
        isSealed = null;
        try
        {
            return EvidentStore.Open(
                options.ToStoreOptions(dataDirectory, passphrase),
                SystemClock.Instance,
                (message, exception) => log.Write(
                    exception is null ? Microsoft.Extensions.Logging.LogLevel.Information : Microsoft.Extensions.Logging.LogLevel.Warning,
                    "Evident.Store",
                    message,
                    exception),
                owned);
        }
        catch (VaultException e) when (e.Kind == VaultErrorKind.Sealed)
        {
            isSealed = e.Message;
            return null;
        }
        catch (DataDirectoryBusyException e)
        {
            throw new RefusedException(e.Message);
        }
        catch (LedgerStateException e)
        {
            throw new RefusedException(
                $"The ledger in '{dataDirectory}' is not what this appliance left behind, so nothing was moved and nothing was signed: {e.Message}",
                ExitCode.StateUnknown);
        }
        catch (LedgerPoisonedException e)
        {
            throw new RefusedException($"The ledger in '{dataDirectory}' could not be continued: {e.Message}", ExitCode.StateUnknown);
        }
        catch (Exception e) when (e is VaultException or StoreException or IOException or UnauthorizedAccessException or InsufficientMemoryException or System.Data.Common.DbException)
        {
            throw new RefusedException($"The data directory '{dataDirectory}' cannot be opened: {e.Message}");
        }
    }

    /// <summary>The lock of a data directory, which is made when it is not there.</summary>
    /// <exception cref="RefusedException">Another process owns it, or it cannot be made.</exception>
    public static DataLock Own(string dataDirectory)
    {
        try
        {
            return EvidentStore.Own(dataDirectory);
        }
        catch (DataDirectoryBusyException e)
        {
            throw new RefusedException(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException($"The data directory '{dataDirectory}' cannot be opened: {e.Message}");
        }
    }
}
