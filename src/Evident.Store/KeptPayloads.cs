using System.Buffers.Binary;
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

    /// <summary>References of the pack to keep, with the run that each belongs to.</summary>
    /// <param name="references">Those in the pack.</param>
    /// <param name="from">First and last partition that can name one of them.</param>
    /// <param name="onlyHeld">The payloads have had their long time: only a hold keeps them.</param>
    /// <param name="kept">Gets them.</param>
    public void Find(Dictionary<UInt128, long> references, string from, string to, bool onlyHeld, Dictionary<UInt128, string?> kept, CancellationToken cancellation)
    {
        foreach (UInt128 held in holds.References())
        {
            if (references.ContainsKey(held))
            {
                kept[held] = null;
            }
        }

        var runs = new Dictionary<(string, TraceId), (bool Keep, string? Run)>();
        foreach (var file in partitions.Files)
        {
            if (string.CompareOrdinal(file.Name, from) >= 0 && string.CompareOrdinal(file.Name, to) <= 0)
            {
                Look(file, references, onlyHeld, runs, kept, cancellation);
            }
        }

    }

    private void Look(
        PartitionFile file, Dictionary<UInt128, long> references, bool onlyHeld, Dictionary<(string, TraceId), (bool Keep, string? Run)> runs, Dictionary<UInt128, string?> kept, CancellationToken cancellation)
    {
        Span<byte> id = stackalloc byte[16];
        for (long after = 0; ;)
        {
            cancellation.ThrowIfCancellationRequested();
            IReadOnlyList<ReadBlock> blocks = [];
            long at = after;
            file.TryRead(reader => blocks = reader.ReadBlocks(at, BlocksAtOnce), log);
            if (blocks.Count == 0)
            {
                return; // the end, or a file that does not serve: what it holds is not shown either, and expires
            }

            foreach (var block in blocks)
            {
                after = block.Id;
                foreach (var span in block.Spans)
                {
                    foreach (var payload in span.Payloads)
                    {
                        if (VaultShredding.TryParse(payload.Ref, id) && BinaryPrimitives.ReadUInt128BigEndian(id) is var reference && references.ContainsKey(reference)
                            && RunOf(block.Workspace, span.TraceId, runs, cancellation) is var (keep, run) && (onlyHeld ? holds.HoldsRun(run) : keep || holds.HoldsRun(run)))
                        {
                            kept[reference] = run;
                        }
                    }
                }
            }
        }
    }

    private (bool Keep, string? Run) RunOf(string workspace, TraceId trace, Dictionary<(string, TraceId), (bool, string?)> known, CancellationToken cancellation)
    {
        if (!known.TryGetValue((workspace, trace), out var found))
        {
            known[(workspace, trace)] = found = outcomes.Query(cancellation, connection => Read(connection, workspace, trace));
        }

        return found;
    }

    private static (bool, string?) Read(SqliteConnection connection, string workspace, TraceId trace)
    {
        byte[] key = new byte[16];
        trace.Write(key);
        using var row = new Statement(
            connection,
            "SELECT run.run_id, run.outcome, json_array_length(CAST(run.body AS TEXT), '$.flags') FROM trace JOIN run ON run.workspace = trace.workspace AND run.run_id = trace.run "
            + "WHERE trace.trace_id = ?1 AND trace.workspace = ?2");
        return row.Bind(1, key).Bind(2, workspace).Step() ? (row.Text(1) != "success" || row.Integer(2) > 0, row.Text(0)) : (true, null);
    }
}
