using Evident.Configuration;
using Evident.Control;
using Evident.Platform;
using Evident.Store;
using Microsoft.Extensions.Logging;

namespace Evident;

/// <summary>
/// The store of a running appliance, behind its door. It is open or it is not there: a sealed appliance has closed it, the keys with it, and holds nothing but the lock of the data directory.
/// Opened at the start or by unsealing, closed by sealing or at the stop. Thread safe.
/// </summary>
internal sealed class ApplianceStore : IDisposable
{
    /// <summary>Requests under way may take this long to end before the store is closed over them.</summary>
    private static readonly TimeSpan MostToEnd = TimeSpan.FromSeconds(20);

    private static readonly Actor Itself = new("", "system");

    private readonly TaskCompletionSource<Exception> fatal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim turn = new(1, 1); // one opening or closing at a time
    private readonly ApplianceOptions options;
    private readonly string dataDirectory;
    private readonly ApplianceLog log;
    private readonly DataLock ownership;
    private bool stopped; // guarded by turn

    private ApplianceStore(ApplianceOptions options, string dataDirectory, ApplianceLog log, DataLock ownership) =>
        (this.options, this.dataDirectory, this.log, this.ownership) = (options, dataDirectory, log, ownership);

    public StoreDoor Door { get; } = new();

    /// <summary>Completes when a writer no longer knows its state: the process must end with 70 and must not close the store.</summary>
    public Task<Exception> Fatal => fatal.Task;

    /// <summary>Takes the data directory and opens the store; leaves it closed when the vault is under a passphrase and none is there.</summary>
    /// <exception cref="RefusedException">With the sentence and the exit code.</exception>
    public static async Task<ApplianceStore> StartAsync(ApplianceOptions options, string dataDirectory, ApplianceLog log, SecretBytes? passphrase)
    {
        var appliance = new ApplianceStore(options, dataDirectory, log, OpenedStore.Own(dataDirectory));
        try
        {
            if (OpenedStore.TryOpen(options, dataDirectory, log, passphrase, appliance.ownership, out string? isSealed) is { } store)
            {
                await appliance.AdmitAsync(store, Itself).ConfigureAwait(false);
            }
            else
            {
                log.Write(LogLevel.Warning, "Evident", isSealed!);
            }

            return appliance;
        }
        catch
        {
            appliance.Dispose();
            throw;
        }
    }

    /// <summary>Opens the store, with all that a start does.</summary>
    /// <exception cref="RefusedException">The passphrase is another, the vault is open already, or the directory cannot be opened.</exception>
    public async Task UnsealAsync(SecretBytes passphrase, Actor actor)
    {
        await turn.WaitAsync().ConfigureAwait(false);
        try
        {
            if (stopped || Door.Current is not null)
            {
                throw new RefusedException(stopped ? "The appliance is stopping." : "The vault is open already.");
            }

            EvidentStore store;
            try
            {
                store = await Task.Run(() => OpenedStore.TryOpen(options, dataDirectory, log, passphrase, ownership, out string? isSealed) ?? throw new RefusedException(isSealed!)).ConfigureAwait(false);
            }
            catch (RefusedException refused)
            {
                log.Write(LogLevel.Warning, "Evident", $"{actor.Kind} {actor.Id} tried to unseal the vault: {refused.Message}"); // the ledger is closed with the store
                throw;
            }

            await AdmitAsync(store, actor).ConfigureAwait(false);
            log.Write(LogLevel.Information, "Evident", "the vault was unsealed");
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Lets requests under way end, says so in the ledger, drains the queue, closes the store, and with it zeroes the keys.</summary>
    /// <exception cref="RefusedException">It is sealed, or the master key is not under a passphrase.</exception>
    public async Task SealAsync(Actor actor)
    {
        await turn.WaitAsync().ConfigureAwait(false);
        try
        {
            if (stopped || Door.Current is not { } store)
            {
                throw new RefusedException(stopped ? "The appliance is stopping." : "The vault is sealed already.");
            }

            if (!store.VaultActs.CanBeSealed)
            {
                throw new RefusedException(
                    "vault seal was refused: the master key is not under a passphrase, so a sealed vault would open by itself at the next start. Run: evident keys seal-with passphrase");
            }

            await Door.CloseAsync(MostToEnd).ConfigureAwait(false);
            await store.VaultActs.RecordSealedAsync(actor).ConfigureAwait(false);
            Close(store);
            log.Write(LogLevel.Information, "Evident", "the vault was sealed");
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>The last closing: nothing is opened afterwards. Safe to call again.</summary>
    public async Task StopAsync()
    {
        await turn.WaitAsync().ConfigureAwait(false);
        try
        {
            stopped = true;
            if (await Door.CloseAsync(TimeSpan.Zero).ConfigureAwait(false) is { } store)
            {
                Close(store);
            }
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose()
    {
        ownership.Dispose();
        turn.Dispose();
    }

    private async Task AdmitAsync(EvidentStore store, Actor actor)
    {
        store.Fatal += e => fatal.TrySetResult(e);
        if (store.VaultActs.CanBeSealed)
        {
            await store.VaultActs.RecordUnsealedAsync(actor).ConfigureAwait(false);
        }

        Door.Open(store);
    }

    private void Close(EvidentStore store)
    {
        if (!Fatal.IsCompleted)
        {
            store.Close();
        }
    }
}
