namespace Evident.Store;

/// <summary>
/// The bounded queue between callers and the writer. A request that does not fit is refused whole, never dropped later; a single request larger
/// than the bounds is taken when the queue is empty.
/// </summary>
internal sealed class WriteQueue(int maxSpans, long maxBytes)
{
    private readonly object gate = new();

    // All below are guarded by gate.
    private readonly Queue<WriteRequest> waiting = new();
    private int spans;
    private long bytes;
    private int arriving;
    private bool closed;
    private Exception? closedBy;

    /// <summary>A caller starts to clean a request; the writer may wait a moment for it.</summary>
    public void Arrive()
    {
        lock (gate)
        {
            ThrowIfClosed();
            if (spans >= maxSpans || bytes >= maxBytes)
            {
                throw Full(); // before the work of cleaning and sealing it
            }

            arriving++;
        }
    }

    /// <summary>Ends what <see cref="Arrive"/> began, whether or not a request came of it.</summary>
    public void Leave()
    {
        lock (gate)
        {
            arriving--;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Takes the request over, whole or not at all: one that is refused is disposed of. Completes when the writer has made it durable.</summary>
    /// <exception cref="QueueFullException">Nothing was stored.</exception>
    /// <exception cref="StoreStoppedException">Nothing was stored, and the store takes nothing more.</exception>
    public Task<IngestReceipt> Submit(WriteRequest request)
    {
        try
        {
            lock (gate)
            {
                ThrowIfClosed();
                if (waiting.Count > 0 && (spans + request.Count > maxSpans || bytes + request.Bytes > maxBytes))
                {
                    throw Full();
                }

                waiting.Enqueue(request);
                spans += request.Count;
                bytes += request.Bytes;
                Monitor.PulseAll(gate);
            }
        }
        catch
        {
            request.Dispose();
            throw;
        }

        return request.Receipt.Task;
    }

    /// <summary>
    /// Waits for a first request, then takes what is there: at most <paramref name="groupSpans"/> spans unless one request brings more. Lingers at
    /// most <paramref name="lingerMillis"/> and only while callers are cleaning further requests. Empty on timeout; null once closed and drained.
    /// </summary>
    public List<WriteRequest>? Take(int groupSpans, int lingerMillis, int timeoutMillis)
    {
        var group = new List<WriteRequest>();
        int taken = 0;
        lock (gate)
        {
            if (waiting.Count == 0 && !closed)
            {
                Monitor.Wait(gate, timeoutMillis);
            }

            long deadline = Environment.TickCount64 + lingerMillis;
            while (true)
            {
                while (waiting.TryPeek(out var next) && (group.Count == 0 || taken + next.Count <= groupSpans))
                {
                    waiting.Dequeue();
                    spans -= next.Count;
                    bytes -= next.Bytes;
                    taken += next.Count;
                    group.Add(next);
                }

                long left = deadline - Environment.TickCount64;
                if (group.Count == 0 || waiting.Count > 0 || arriving == 0 || left <= 0 || taken >= groupSpans)
                {
                    return group.Count == 0 && closed ? null : group;
                }

                Monitor.Wait(gate, (int)left);
            }
        }
    }

    /// <summary>Refuses everything from now on; what is queued stays for the writer to drain.</summary>
    public void Close(Exception? reason)
    {
        lock (gate)
        {
            closed = true;
            closedBy ??= reason;
            Monitor.PulseAll(gate);
        }
    }

    private void ThrowIfClosed()
    {
        if (closed)
        {
            throw new StoreStoppedException(
                closedBy is null ? "the store is stopping and takes no requests: send it again after the restart." : "the writer failed and takes no requests: the process restarts, send it again.", closedBy);
        }
    }

    private QueueFullException Full() =>
        new($"the queue before the writer is full ({spans} of {maxSpans} spans, {bytes} of {maxBytes} bytes): nothing of the request was stored, send it again in a moment.");
}
