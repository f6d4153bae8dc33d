namespace Evident.Store;

/// <summary>The vault is sealed, so the store is closed: nothing is taken and nothing is read until somebody unseals it.</summary>
public sealed class StoreSealedException() : Exception("The vault is sealed: nothing is taken and nothing is read until it is opened on the appliance with `evident vault unseal`.");

/// <summary>
/// The one place where the open store is reached: empty while the vault is sealed. Whoever uses the store counts himself in first, so that it is closed when nobody uses it any more. Thread safe.
/// </summary>
public sealed class StoreDoor
{
    private volatile EvidentStore? store;
    private int uses;

    /// <summary>Null while sealed.</summary>
    public EvidentStore? Current => store;

    /// <exception cref="StoreSealedException">Sealed, or being sealed at this moment.</exception>
    public EvidentStore Store => store ?? throw new StoreSealedException();

    /// <summary>Counts a request in, whether the store is there or not; dispose it when the request has been answered.</summary>
    public StoreUse Enter()
    {
        Interlocked.Increment(ref uses); // with Close: it sees this use, or this use sees no store
        return new StoreUse(this);
    }

    /// <summary>What is asked from now on is answered from this store.</summary>
    public void Open(EvidentStore opened) => store = opened;

    /// <summary>Lets nobody in any more and waits for those inside. Returns the store, which is the caller's to close; null when it was sealed already.</summary>
    /// <param name="most">Who is still inside after that finds the store closed.</param>
    public async Task<EvidentStore?> CloseAsync(TimeSpan most)
    {
#pragma warning disable CS0420 // the exchange is the fence
        EvidentStore? closing = Interlocked.Exchange(ref store, null);
#pragma warning restore CS0420
        for (long end = Environment.TickCount64 + (long)most.TotalMilliseconds; closing is not null && Volatile.Read(ref uses) > 0 && Environment.TickCount64 < end;)
        {
            await Task.Delay(10).ConfigureAwait(false);
        }

        return closing;
    }

    internal void Leave() => Interlocked.Decrement(ref uses);
}

/// <summary>One request that may use the store.</summary>
public sealed class StoreUse(StoreDoor door) : IDisposable
{
    private StoreDoor? held = door;

    /// <summary>Safe to call again.</summary>
    public void Dispose() => Interlocked.Exchange(ref held, null)?.Leave();
}
