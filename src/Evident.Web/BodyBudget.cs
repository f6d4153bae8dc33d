namespace Evident.Web;

/// <summary>
/// The bytes that all requests together may hold: many senders at once cannot make memory grow without a limit, however large a
/// single body may be. Thread safe.
/// </summary>
internal sealed class BodyBudget(long limit)
{
    private long held;

    public long Held => Interlocked.Read(ref held);

    public bool TryReserve(long bytes)
    {
        if (Interlocked.Add(ref held, bytes) <= limit)
        {
            return true;
        }

        Interlocked.Add(ref held, -bytes);
        return false;
    }

    public void Release(long bytes) => Interlocked.Add(ref held, -bytes);
}
