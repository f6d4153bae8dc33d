namespace Evident.Web;

/// <summary>What the listener did since the start. Labels are our own statuses, so the number of series is bounded. Thread safe.</summary>
public sealed class WebCounters
{
    private readonly long[] refused = new long[600]; // by HTTP status
    private long accepted;

    public long AcceptedRequests => Interlocked.Read(ref accepted);

    public long RefusedRequests
    {
        get
        {
            long sum = 0;
            foreach ((_, long count) in RefusedByStatus)
            {
                sum += count;
            }

            return sum;
        }
    }

    /// <summary>Refused ingest and gate requests by HTTP status, those that occurred, in rising order.</summary>
    public IEnumerable<(int Status, long Count)> RefusedByStatus
    {
        get
        {
            for (int status = 0; status < refused.Length; status++)
            {
                long count = Interlocked.Read(ref refused[status]);
                if (count > 0)
                {
                    yield return (status, count);
                }
            }
        }
    }

    public void AcceptRequest() => Interlocked.Increment(ref accepted);

    public void Refuse(int status) => Interlocked.Increment(ref refused[status]);
}
