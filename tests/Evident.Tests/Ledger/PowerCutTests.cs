using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>
/// T21: the calls of a run are recorded at the file layer; for every moment of it the states are built that a power cut can leave (what was synced, and of what
/// was not any part, in sectors of 512 bytes and in any order), and the ledger is started from each. Nothing acknowledged is lost, nothing is called tampered.
/// </summary>
public class PowerCutTests
{
    private sealed record Ack(int AfterCall, HashSet<string> Ids, long Published);

    [Fact]
    public void Every_state_that_a_power_cut_can_leave_is_recovered()
    {
        using var scratch = new LedgerScratch(inMemory: true);
        var calls = new List<FileCall>();
        var acks = new List<Ack>();
        void Record(FileCall call)
        {
            if (call.Path.StartsWith(scratch.Data, StringComparison.Ordinal))
            {
                calls.Add(call);
            }
        }

        FileCall.Made += Record;
        try
        {
            Scenario(scratch, (ids, published) => acks.Add(new Ack(calls.Count, ids, published)));
        }
        finally
        {
            FileCall.Made -= Record;
        }

        Assert.True(calls.Count > 120, $"only {calls.Count} calls were recorded");
        int states = 0, torn = 0;
        for (int cut = 0; cut <= calls.Count; cut++)
        {
            bool written = cut > 0 && calls[cut - 1].Kind == FileCallKind.Write && calls[cut - 1].Path.EndsWith(".jsonl", StringComparison.Ordinal);
            for (int kind = 0; kind < (written ? 12 : 4); kind++)
            {
                var disk = new Disk(scratch.Data);
                foreach (var call in calls[..cut])
                {
                    disk.Apply(call);
                }

                if (kind > 0 && !disk.IsPending)
                {
                    break; // all of it is durable: one state
                }

                var acknowledged = acks.LastOrDefault(a => a.AfterCall <= cut);
                using var after = new LedgerScratch(inMemory: true);
                disk.PowerCut(after.Data, kind, new Random((cut * 31) + kind));
                states++;
                torn += Check(after, acknowledged, $"cut after call {cut} ({(cut == 0 ? "none" : calls[cut - 1].Kind + " " + calls[cut - 1].Path[scratch.Data.Length..])}), state {kind}");
            }
        }

        Assert.True(torn > 20, $"only {torn} of {states} states had a torn tail: the test does not reach what it is for");
    }

    private static void Scenario(LedgerScratch scratch, Action<HashSet<string>, long> acknowledge)
    {
        var ids = new HashSet<string>(StringComparer.Ordinal);
        LedgerLog Open() => LedgerLog.Open(scratch.Options(segmentBytes: 6000), null, null, scratch.Clock, out _);
        void Append(LedgerLog log, int from, int count)
        {
            foreach (var entry in log.Append(LedgerScratch.Calls(from, count)))
            {
                ids.Add(entry.Id);
            }

            acknowledge([.. ids], log.Published?.Size ?? 0);
        }

        using (var log = Open())
        {
            Append(log, 0, 1);
            Append(log, 1, 3);
            log.Publish();
            Append(log, 4, 2); // rolls the segment on the way
            log.Rotate("operator");
            Append(log, 6, 3);
            log.Close();
            acknowledge([.. ids], log.Published!.Size);
        }

        using (var log = Open())
        {
            Append(log, 9, 2); // and no clean stop
        }

        using (var log = Open())
        {
            Append(log, 11, 2);
            log.Close();
            acknowledge([.. ids], log.Published!.Size);
        }
    }

    /// <summary>1 when a torn tail was found.</summary>
    private static int Check(LedgerScratch after, Ack? acknowledged, string where)
    {
        LedgerRecovery recovery;
        try
        {
            using var log = LedgerLog.Open(after.Options(segmentBytes: 6000), null, null, after.Clock, out recovery);
            var there = log.IdsSince(0);
            Assert.True(acknowledged is null || acknowledged.Ids.IsSubsetOf(there), $"{where}: acknowledged entries are gone");
            Assert.True(log.Head.Size >= (acknowledged?.Published ?? 0), $"{where}: shorter than what was published");
            log.Append(LedgerScratch.Calls(1000, 1));
            log.Close();
        }
        catch (LedgerStateException e)
        {
            Assert.Fail($"{where}: the start was refused: {e.Message}");
            throw;
        }

        var report = after.Verify();
        Assert.True(report.ExitCode == 10, $"{where}: {report.ToText()}");
        return recovery.QuarantinedBytes > 0 ? 1 : 0;
    }

    /// <summary>Files as a disk has them: content and names, each with what is durable and what is not yet.</summary>
    private sealed class Disk(string root)
    {
        private sealed class Inode
        {
            public byte[] Durable = [];
            public List<(long Offset, byte[]? Bytes)> Pending = []; // null: the new length

            public byte[] Sync()
            {
                Durable = Play(Pending, Durable, static _ => true, grow: true);
                Pending = [];
                return Durable;
            }
        }

        private readonly Dictionary<string, Inode> names = new(StringComparer.Ordinal), durableNames = new(StringComparer.Ordinal);
        private readonly List<(string Directory, Action<Dictionary<string, Inode>> Change)> pendingNames = [];

        public bool IsPending => pendingNames.Count > 0 || names.Values.Any(i => i.Pending.Count > 0);

        public void Apply(FileCall call)
        {
            switch (call.Kind)
            {
                case FileCallKind.Make:
                    var made = new Inode();
                    Name(call.Path, n => n[call.Path] = made);
                    break;
                case FileCallKind.Write:
                    names[call.Path].Pending.Add((call.Offset, call.Bytes));
                    break;
                case FileCallKind.Truncate:
                    names[call.Path].Pending.Add((call.Offset, null));
                    break;
                case FileCallKind.SyncFile:
                    names[call.Path].Sync();
                    break;
                case FileCallKind.Rename:
                    var moved = names[call.From!];
                    Name(call.Path, n => { n.Remove(call.From!); n[call.Path] = moved; });
                    break;
                case FileCallKind.Unlink:
                    Name(call.Path, n => n.Remove(call.Path));
                    break;
                case FileCallKind.SyncDirectory:
                    foreach (var (directory, change) in pendingNames.Where(p => p.Directory == call.Path).ToList())
                    {
                        change(durableNames);
                    }

                    pendingNames.RemoveAll(p => p.Directory == call.Path);
                    break;
            }
        }

        private void Name(string path, Action<Dictionary<string, Inode>> change)
        {
            change(names);
            pendingNames.Add((Path.GetDirectoryName(path)!, change));
        }

        /// <param name="kind">0: only what was synced; 1: all of it; 2: names whole, of the content any sectors; 3: any sectors and the first few changes of names; odd ones from there on like 3, even ones like 2, with other dice.</param>
        public void PowerCut(string target, int kind, Random random)
        {
            kind = kind > 3 ? 2 + (kind & 1) : kind;
            int changes = kind switch { 0 => 0, 3 => random.Next(pendingNames.Count + 1), _ => pendingNames.Count };
            foreach (var (_, change) in pendingNames.Take(changes))
            {
                change(durableNames);
            }

            Directory.CreateDirectory(Path.Combine(target, "ledger", "checkpoints"));
            Directory.CreateDirectory(Path.Combine(target, "ledger", "quarantine"));
            Directory.CreateDirectory(Path.Combine(target, "ledger", "anchors"));
            Directory.CreateDirectory(Path.Combine(target, "keys"));
            foreach (var (path, inode) in durableNames)
            {
                byte[] content = kind switch
                {
                    0 => inode.Durable,
                    1 => Play(inode.Pending, inode.Durable, static _ => true, grow: true),
                    _ => Play(inode.Pending, inode.Durable, _ => random.Next(2) == 0, grow: random.Next(4) > 0),
                };
                File.WriteAllBytes(target + path[root.Length..], content);
            }
        }

        /// <param name="sector">Whether a sector of 512 bytes of a write reached the disk; one that did not is what was there, or NUL.</param>
        /// <param name="grow">The new length reached the disk even where the sectors did not.</param>
        private static byte[] Play(List<(long Offset, byte[]? Bytes)> pending, byte[] durable, Func<long, bool> sector, bool grow)
        {
            byte[] content = [.. durable];
            foreach (var (offset, bytes) in pending)
            {
                if (bytes is null)
                {
                    Array.Resize(ref content, (int)offset);
                    continue;
                }

                long end = grow ? offset + bytes.Length : content.Length;
                for (long at = offset; at < offset + bytes.Length;)
                {
                    long next = Math.Min(((at / 512) + 1) * 512, offset + bytes.Length);
                    if (sector(at / 512))
                    {
                        Array.Resize(ref content, (int)Math.Max(content.Length, next));
                        bytes.AsSpan((int)(at - offset), (int)(next - at)).CopyTo(content.AsSpan((int)at));
                    }

                    at = next;
                }

                Array.Resize(ref content, (int)Math.Max(content.Length, end));
            }

            return content;
        }
    }
}
