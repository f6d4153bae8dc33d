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
    private const int MaxReasonBytes = 4_096;
    private const string Workspace = "default";

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
                floor = EvidentStore.Remembered(partitions, log).Floor;
            }

            return new LostHistory(options, clock, ownership, floor, hasTraces, LedgerIncarnation.Survey(EvidentStore.OfLedger(options), floor), log);
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
        byte[] words = Encoding.UTF8.GetBytes(reason.Trim());
        if (words.Length is 0 or > MaxReasonBytes)
        {
            throw new ArgumentException($"accepting a loss needs a reason of 1..{MaxReasonBytes} bytes; {words.Length} were given.", nameof(reason));
        }

        byte[] reference = new byte[PayloadReferences.Length], commitment = new byte[32];
        using var vault = EvidentStore.OpenVault(options, clock, hasTraces);
        var scopes = new WorkspaceScopes(vault, Workspace);
        var scope = scopes.Resolve([]);
        using (var batch = vault.NewBatch())
        {
            new PayloadSealer(scopes, batch).Seal(scope, "incarnation.reason", keepLong: true, words, reference, commitment);
            vault.Append(batch.Records); // a crash from here to the entry leaves ciphertext that nothing names
            vault.Sync();
        }

        return LedgerIncarnation.Accept(
            EvidentStore.OfLedger(options), Loss, floor, clock, Forget,
            entry => PayloadReads.Act(entry.Set("workspace", Workspace).Set("channel", "cli"), scope, actor, Encoding.ASCII.GetString(reference), commitment, words.Length));
    }

    private void Forget() => StoreIncarnation.Accept(options.DataDirectory, Loss.Found, log);

    public void Dispose() => ownership.Dispose();
}
