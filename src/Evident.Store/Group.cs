using System.Runtime.InteropServices;
using Evident.Ingest;
using Evident.Vault;

namespace Evident.Store;

/// <summary>One span of a group that will be stored.</summary>
internal struct NewSpan
{
    public WriteRequest Request;
    public int Index;
    public ulong Digest;

    /// <summary>Revisions stored before this one; 0 for a span that is new.</summary>
    public int Revision;

    /// <summary>Ledger marks of all earlier revisions.</summary>
    public LedgerMarks Earlier;

    /// <summary>Ledger marks of this one; what the trace index stores.</summary>
    public LedgerMarks Marks;
}

/// <summary>
/// The requests of one transaction with their duplicates taken out. A span whose key and content are stored already, or stand earlier in this group, is a
/// duplicate; one whose content is new is a revision.
/// </summary>
internal sealed class Group
{
    private readonly Dictionary<WriteRequest, (int Accepted, int Duplicates)> counts = [];
    private readonly List<NewSpan> spans = [];
    private readonly HashSet<WriteRequest> thinned = [];

    public Group(IReadOnlyList<WriteRequest> requests, SpanIndex index, Partition current, long receivedUnixMillis)
    {
        Requests = requests;
        Received = receivedUnixMillis;
        var known = new Dictionary<(string Workspace, TraceId Trace), List<TraceEntry>>();
        var ledgeredSince = LedgeredSince(requests);
        foreach (var request in requests)
        {
            int stored = 0;
            for (int i = 0; i < request.Count; i++)
            {
                ref readonly var span = ref request.Spans![i];
                var key = (request.Source.Workspace, span.Key.Trace);
                ref var entries = ref CollectionsMarshal.GetValueRefOrAddDefault(known, key, out _);
                if (entries is null)
                {
                    entries = [];
                    index.Find(current, span.Key.Trace, request.Source.Workspace, ledgeredSince.TryGetValue(key, out ulong since) ? since : null, entries);
                }

                var added = new NewSpan { Request = request, Index = i, Digest = span.Digest.A };
                bool duplicate = false;
                foreach (var entry in CollectionsMarshal.AsSpan(entries))
                {
                    if (entry.Span == span.Key.Span)
                    {
                        duplicate |= entry.Digest == added.Digest;
                        added.Revision++;
                        added.Earlier |= entry.Marks;
                    }
                }

                if (!duplicate)
                {
                    entries.Add(new TraceEntry(span.Key.Span, added.Digest, 0, LedgerMarks.None));
                    spans.Add(added);
                    stored++;
                }
            }

            counts.Add(request, (stored, request.Count - stored));
            if (stored < request.Count)
            {
                thinned.Add(request);
            }
        }
    }

    public IReadOnlyList<WriteRequest> Requests { get; }

    /// <summary>The appliance's time of receipt, Unix milliseconds.</summary>
    public long Received { get; }

    public Span<NewSpan> Spans => CollectionsMarshal.AsSpan(spans);

    public IngestReceipt ReceiptOf(WriteRequest request)
    {
        var (accepted, duplicates) = counts[request];
        return new IngestReceipt(accepted, duplicates, request.Spans?.Rejected ?? 0, request.Spans?.RejectedReason);
    }

    /// <summary>The sealed records that a stored span names: a duplicate's own ones are dropped, those it shares with its siblings stay.</summary>
    public IReadOnlyList<SealedRecord> RecordsToKeep(WriteRequest request)
    {
        var records = request.Sealed!.Records;
        if (!thinned.Contains(request))
        {
            return records;
        }

        var named = new HashSet<string>(StringComparer.Ordinal);
        foreach (ref readonly var span in Spans)
        {
            if (span.Request == request)
            {
                foreach (var payload in StoredSpan.Decode(request.Spans!.Encoded(span.Index)).Payloads)
                {
                    named.Add(payload.Ref);
                }
            }
        }

        return [.. records.Where((_, i) => named.Contains(request.References[i]))];
    }

    private static Dictionary<(string, TraceId), ulong> LedgeredSince(IReadOnlyList<WriteRequest> requests)
    {
        var since = new Dictionary<(string, TraceId), ulong>();
        foreach (var request in requests)
        {
            foreach (var span in request.Decoded.Values)
            {
                ref ulong start = ref CollectionsMarshal.GetValueRefOrAddDefault(since, (request.Source.Workspace, span.TraceId), out bool known);
                start = known ? Math.Min(start, span.StartNanos) : span.StartNanos;
            }
        }

        return since;
    }
}
