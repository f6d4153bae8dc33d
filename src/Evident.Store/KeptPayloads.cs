using Evident.Ingest;
using Evident.Vault;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>
/// Which payloads of a pack that is about to end are kept longer: those of runs that did not plainly succeed (failed, interrupted, flagged, still running, or not known to have ended), and those under a
/// legal hold. Read from the partitions of the days on which the pack was written. Any thread.
/// </summary>
internal sealed class KeptPayloads(PartitionSet partitions, OutcomesReaders outcomes, LegalHolds holds, Action<string, Exception?> log)
{
    private const int BlocksAtOnce = 8;

    /// <summary>What became of a trace's run; null as the run when it is not known.</summary>
    private sealed record Fate(bool Keep, string Run);

    /// <summary>Marks references of the pack as kept, and says for which run: empty when it is a reference that is held itself, or a trace without a run.</summary>
    /// <param name="references">Those in the pack, sorted.</param>
    /// <param name="from">First and last partition that can name one of them.</param>
    /// <param name="written">The days on which one of them was sealed.</param>
    /// <param name="onlyHeld">The payloads have had their long time: only a hold keeps them.</param>
    /// <param name="keep">Told for each, once.</param>
    public void Find(ReferenceList references, string from, string to, IReadOnlyCollection<string> written, bool onlyHeld, Action<int, string> keep, CancellationToken cancellation)
    {
        Span<byte> id = stackalloc byte[16];
        foreach (var hold in holds.All)
        {
            if (hold.By == "ref" && VaultShredding.TryParse(hold.Value, id) && references.Find(id) is >= 0 and var held)
            {
                Keep(references, held, "", keep);
            }
        }

        var fates = new Dictionary<string, Fate>(StringComparer.Ordinal);
        var named = new System.Collections.BitArray(references.Count);
        var days = new HashSet<string>(StringComparer.Ordinal); // that were read whole
        foreach (var file in partitions.Files)
        {
            if (string.CompareOrdinal(file.Name, from) >= 0 && string.CompareOrdinal(file.Name, to) <= 0 && Look(file, references, named, onlyHeld, fates, keep, cancellation))
            {
                days.Add(file.Name);
            }
        }

        if (!written.All(days.Contains) && (!onlyHeld || holds.AnyRun))
        {
            // What a day that is gone or does not serve may name: nobody knows what became of it, so it is kept as a failure is.
            for (int i = 0; i < references.Count; i++)
            {
                if (!named[i])
                {
                    Keep(references, i, "", keep);
                }
            }
        }
    }

    // False when the file does not serve to its end.
    private bool Look(
        PartitionFile file, ReferenceList references, System.Collections.BitArray named, bool onlyHeld, Dictionary<string, Fate> fates, Action<int, string> keep, CancellationToken cancellation)
    {
        Span<byte> id = stackalloc byte[16];
        for (long after = 0; ;)
        {
            cancellation.ThrowIfCancellationRequested();
            IReadOnlyList<ReadBlock>? blocks = null;
            long at = after;
            file.TryRead(reader => blocks = reader.ReadBlocks(at, BlocksAtOnce), log);
            if (blocks is null or { Count: 0 })
            {
                return blocks is not null;
            }

            foreach (var block in blocks)
            {
                after = block.Id;
                foreach (var span in block.Spans)
                {
                    foreach (var payload in span.Payloads)
                    {
                        if (VaultShredding.TryParse(payload.Ref, id) && references.Find(id) is >= 0 and var index)
                        {
                            named[index] = true;
                            var fate = FateOf(block.Workspace, span.TraceId, fates, cancellation);
                            if (holds.HoldsRun(fate.Run) || (!onlyHeld && fate.Keep))
                            {
                                Keep(references, index, fate.Run, keep);
                            }
                        }
                    }
                }
            }
        }
    }

    private static void Keep(ReferenceList references, int index, string run, Action<int, string> keep)
    {
        if (!references.IsKept(index))
        {
            references.Keep(index);
            keep(index, run);
        }
    }

    private Fate FateOf(string workspace, TraceId trace, Dictionary<string, Fate> known, CancellationToken cancellation)
    {
        string key = $"{trace} {workspace}";
        if (!known.TryGetValue(key, out var fate))
        {
            known[key] = fate = outcomes.Query(cancellation, connection => Read(connection, workspace, trace));
        }

        return fate;
    }

    private static Fate Read(SqliteConnection connection, string workspace, TraceId trace)
    {
        byte[] key = new byte[16];
        trace.Write(key);
        using var row = new Statement(
            connection,
            "SELECT run.run_id, run.outcome, json_array_length(CAST(run.body AS TEXT), '$.flags') FROM trace JOIN run ON run.workspace = trace.workspace AND run.run_id = trace.run "
            + "WHERE trace.trace_id = ?1 AND trace.workspace = ?2");
        return row.Bind(1, key).Bind(2, workspace).Step() ? new Fate(row.Text(1) != "success" || row.Integer(2) > 0, row.Text(0)!) : new Fate(true, "");
    }
}
