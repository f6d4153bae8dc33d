using System.Text;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// A data directory whose ledger is shorter than some store in it remembers, opened for the one thing that can be done with it: to look at the loss and to
/// accept it. Holds the lock of the directory.
/// </summary>
public sealed class LostHistory : IDisposable
{
    private readonly StoreOptions options;
    private readonly IClock clock;
    private readonly DataLock ownership;
    private readonly LedgerHead? floor;
    private readonly bool hasTraces;
    private readonly Action<string, Exception?> log;

    private LostHistory(StoreOptions options, IClock clock, DataLock ownership, LedgerHead? floor, bool hasTraces, LedgerLoss loss, Action<string, Exception?> log)
    {
        (this.options, this.clock, this.ownership, this.floor, this.hasTraces, this.log) = (options, clock, ownership, floor, hasTraces, log);
        Loss = loss;
    }

    public LedgerLoss Loss { get; }

    /// <summary>Changes nothing.</summary>
    /// <exception cref="DataDirectoryBusyException">Another process owns the directory.</exception>
    /// <exception cref="LedgerStateException">Nothing is lost, or the ledger is damaged.</exception>
    public static LostHistory Open(StoreOptions options, IClock clock, Action<string, Exception?> log)
    {
        var ownership = DataLock.Acquire(Path.Combine(options.DataDirectory, "lock"));
        try
        {
            string traces = Path.Combine(options.DataDirectory, "traces");
            bool hasTraces = Directory.Exists(traces) && Directory.EnumerateFiles(traces, "*.db").Any();
            LedgerHead? floor = null;
            if (hasTraces)
            {
                using var partitions = new PartitionSet(traces);
                floor = StoreOpening.Remembered(partitions, log).Floor;
            }

            return new LostHistory(options, clock, ownership, floor, hasTraces, LedgerIncarnation.Survey(StoreOpening.OfLedger(options), floor), log);
        }
        catch
        {
            ownership.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The ledger goes on from what was found and says that the rest was lost, who accepted that, and where the sealed reason is. A crash inside leaves a directory that
    /// refuses to start until this has been done again.
    /// </summary>
    /// <param name="reason">In words, 1..4,096 bytes; sealed in the vault.</param>
    /// <exception cref="VaultException">The reason cannot be sealed; nothing was changed.</exception>
    public LedgerHead Accept(string reason, Actor actor)
    {
        byte[] words = StoreActs.Words(reason);
        using var vault = StoreOpening.OpenVault(options, clock, hasTraces);
        var scopes = new WorkspaceScopes(vault, IngestSource.DefaultWorkspace);
        SealedWords said;
        using (var batch = vault.NewBatch())
        {
            said = SealedWords.Seal(scopes, batch, "incarnation.reason", words, out _);
            vault.Append(batch.Records); // a crash from here to the entry leaves ciphertext that nothing names
            vault.Sync();
        }

        return LedgerIncarnation.Accept(
            StoreOpening.OfLedger(options), Loss, floor, clock, Forget,
            entry => StoreActs.Describe(entry.Set("workspace", IngestSource.DefaultWorkspace).Set("channel", "cli"), scopes.Resolve([]), actor, said));
    }

    private void Forget() => StoreIncarnation.Accept(options.DataDirectory, Loss.Found, log);

    public void Dispose() => ownership.Dispose();
}
