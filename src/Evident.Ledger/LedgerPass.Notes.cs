using System.Globalization;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>What an honest ledger says about itself (docs/ledger-format.md section 8): each broken rule is a note, never an accusation.</summary>
internal sealed partial class LedgerPass
{
    /// <summary>Names of quarantined files, and incarnations, that are kept; each is listed as a finding in any case.</summary>
    private const int MaxKept = 10_000;

    private const long SilenceToleranceMillis = 60_000, ClockToleranceMillis = 3_000;

    private enum Own { None, Traces, Other, Genesis, Epoch, Recovery, Incarnation, Clock, Heartbeat }

    // Silence: boot and mono of the entry before, the newest heartbeat's interval, and whether a clean stop was announced.
    private ulong stampBoot;
    private long stampMono, interval;
    private bool stamped, justStopped, stopped;

    // Clock: wall and monotonic time of the last entry that the log stamped itself.
    private ulong ownBoot;
    private long ownMono, ownWall;
    private bool owned;

    // Incarnations: what stands directly before one is a rotation.
    private long incarnationNumber;
    private bool neighbour, beforeIsRotation;

    // Trace seals: the partition of the newest and the spans in it that are sealed.
    private string sealedPartition = "";
    private long sealedTo;
    private bool resumed; // the seals before are not here
    private SourceStreams? sources = new();

    /// <summary>Heartbeats, and the intervals without any sign of life that a heartbeat should have filled.</summary>
    public long Heartbeats { get; private set; }

    public long Silences { get; private set; }

    /// <summary>Numbered sources and the gaps in their numbers; null when the pass began in the middle or over a part, where they are not counted.</summary>
    public SourceStreams? Sources => sources;

    /// <summary>Losses that operators have accepted, in order.</summary>
    public List<IncarnationSummary> Incarnations { get; } = [];

    /// <summary>Quarantine files that recovery entries name.</summary>
    public HashSet<string> Recovered { get; } = new(StringComparer.Ordinal);

    public sealed record IncarnationSummary(long Number, long Seq, long Found, long Lost);

    /// <summary>Lines are missing or unreadable here: no time is measured across them.</summary>
    private void LoseTime() => (stamped, justStopped, stopped, owned) = (false, false, false, false);

    /// <param name="text">The line, parsed, and its type; empty for an entry of another kind.</param>
    private void Observe(in LineRecord line, ReadOnlySpan<byte> text, ReadOnlySpan<byte> type)
    {
        neighbour = stamped;
        var own = line.OfLedger ? Kind(type) : Own.None;
        string state = own == Own.Heartbeat ? Member(text, parser.Find(text, 0, "heartbeat"u8), "state"u8) : "";
        bool resumes = state == "started" || own == Own.Recovery || (own == Own.Epoch && group.Rotation?.Reason is "unclean_start" or "key_lost");
        ObserveSilence(line, own, state, resumes);
        if (own > Own.Other)
        {
            ObserveClock(line, own);
        }

        if (own == Own.Heartbeat)
        {
            interval = parser.Nodes[parser.Find(text, parser.Find(text, 0, "heartbeat"u8), "interval_ms"u8)].Integer;
            Heartbeats++;
        }

        (justStopped, stopped) = (state == "stopping", state == "stopping" || (stopped && own is Own.Epoch or Own.Recovery or Own.Incarnation or Own.Clock));
        (stampBoot, stampMono, stamped) = (line.Boot, line.Mono, true);
        if (line.SrcSeq >= 0 && sources is not null)
        {
            sources.Add(chunk.Workspace(at), chunk.Src(at), line.SrcHash, line.SrcSeq, size - 1);
        }

        if (own > Own.Other)
        {
            ListOwn(text, own);
        }
        else if (own == Own.Traces)
        {
            ListSeal(text);
        }

        beforeIsRotation = own == Own.Epoch;
    }

    private void ObserveSilence(in LineRecord line, Own own, string state, bool resumes)
    {
        if (interval > 0 && stamped && line.Boot == stampBoot && line.Mono - stampMono > (2 * interval) + SilenceToleranceMillis && !justStopped && !resumes)
        {
            Silences++;
            Findings.Add(About($"silence: {line.Mono - stampMono} ms without an entry, where a heartbeat was due every {interval} ms.", size - 2));
        }

        if (stopped && state != "started" && own is not (Own.Epoch or Own.Recovery or Own.Incarnation or Own.Clock))
        {
            Findings.Add(About("an entry follows the heartbeat of a clean stop, before the heartbeat of a new start.", size - 2));
        }
    }

    private void ObserveClock(in LineRecord line, Own own)
    {
        _ = Rfc3339.TryParseMillis(Encoding.ASCII.GetString(chunk.Recorded(at)), out long wall);
        if (owned && own != Own.Clock)
        {
            long apart = wall - ownWall - (line.Mono - ownMono);
            if (line.Boot == ownBoot ? Math.Abs(apart) > ClockToleranceMillis : wall < ownWall)
            {
                Findings.Add(About(
                    line.Boot == ownBoot
                        ? $"the wall clock moved {apart} ms against the monotonic clock since the log's own entry before, and no ledger.clock says so."
                        : $"the wall clock went back {ownWall - wall} ms since the boot before, and no ledger.clock says so.",
                    size - 1));
            }
        }

        (ownBoot, ownMono, ownWall, owned) = (line.Boot, line.Mono, wall, true);
    }

    /// <summary>Recoveries, incarnations, clock jumps and lost keys are listed.</summary>
    private void ListOwn(ReadOnlySpan<byte> text, Own own)
    {
        switch (own)
        {
            case Own.Recovery:
                ListRecovery(text);
                break;
            case Own.Incarnation:
                ListIncarnation(text);
                break;
            case Own.Clock:
                int jump = parser.Find(text, 0, "clock"u8);
                string confirmed = parser.Find(text, jump, "confirmed"u8) is var i and >= 0 && parser.Nodes[i].Kind == Lj1Kind.True ? ", confirmed by an operator" : "";
                Findings.Add(About(
                    $"the wall clock jumped from {Member(text, jump, "before"u8)} to {Member(text, jump, "after"u8)}{confirmed}; "
                    + $"by the monotonic clock {Number(text, jump, "mono_delta_ms"u8)} ms had passed.",
                    size - 1));
                break;
            case Own.Epoch when group.Rotation?.Reason == "key_lost":
                Findings.Add(About("the epoch key was lost; the identity key opened the new epoch.", size - 1));
                break;
        }
    }

    private void ListRecovery(ReadOnlySpan<byte> text)
    {
        int details = parser.Find(text, 0, "recovery"u8);
        long bytes = Number(text, details, "quarantined_bytes"u8);
        string name = parser.Find(text, details, "quarantine_file"u8) < 0 ? "" : Member(text, details, "quarantine_file"u8);
        if (name.Length > 0 && Recovered.Count + Incarnations.Count < MaxKept)
        {
            Recovered.Add(name);
        }

        Findings.Add(bytes > 0
            ? About($"recovery after a stop that was not clean: a torn tail of {bytes} bytes was moved to quarantine/{name}.", size - 1)
            : About("recovery after a stop that was not clean; nothing was torn.", size - 1) with { Code = 0 });
    }

    private void ListIncarnation(ReadOnlySpan<byte> text)
    {
        int details = parser.Find(text, 0, "incarnation"u8);
        int found = parser.Find(text, details, "found"u8), lost = parser.Find(text, details, "lost"u8);
        var summary = new IncarnationSummary(Number(text, details, "number"u8), size - 1, Number(text, found, "size"u8), Number(text, lost, "size"u8));
        if (Recovered.Count + Incarnations.Count < MaxKept)
        {
            Incarnations.Add(summary);
        }

        Findings.Add(About(
            string.Create(CultureInfo.InvariantCulture, $"incarnation {summary.Number}: an operator accepted a ledger of {summary.Found} entries where one of {summary.Lost} was known to exist."),
            size - 1));
        if (summary.Number != incarnationNumber + 1 && incarnationNumber >= 0)
        {
            Findings.Add(About($"this is incarnation {summary.Number}, where number {incarnationNumber + 1} was due.", size - 1));
        }

        incarnationNumber = summary.Number;
        bool own = !(neighbour && !beforeIsRotation) && (beforeLost
            || (summary.Found == before.Size && Member(text, found, "root"u8) == LedgerFormat.HashText(before.Root())));
        if (!own)
        {
            Findings.Add(AtLine(Verdict.Altered, "found is not the head that this ledger had before the rotation in front of this incarnation.", size - 1, size - 1));
        }
    }

    /// <summary>Seals of one partition follow each other without gap from span 0, and partitions follow each other.</summary>
    private void ListSeal(ReadOnlySpan<byte> text)
    {
        int details = parser.Find(text, 0, "traces"u8);
        string partition = Member(text, details, "partition"u8);
        long first = Number(text, details, "first"u8);
        int order = string.CompareOrdinal(partition, sealedPartition);
        if (!AllowWithheld && !resumed)
        {
            if (order < 0)
            {
                Findings.Add(About($"the seal is of partition {partition}, after one of {sealedPartition}.", size - 1));
            }
            else if (first != (order == 0 ? sealedTo : 0))
            {
                Findings.Add(About($"the seal of {partition} begins at span {first} instead of {(order == 0 ? sealedTo : 0)}.", size - 1));
            }
        }

        (sealedPartition, sealedTo, resumed) = (partition, first + Number(text, details, "spans"u8), false);
    }

    private Finding About(string sentence, long fromSeq) => AtLine(Verdict.Notes, sentence, Math.Max(fromSeq, 0), size - 1);

    private static Own Kind(ReadOnlySpan<byte> type) =>
        type.SequenceEqual("ledger.heartbeat"u8) ? Own.Heartbeat
        : type.SequenceEqual("ledger.epoch"u8) ? Own.Epoch
        : type.SequenceEqual("ledger.recovery"u8) ? Own.Recovery
        : type.SequenceEqual("ledger.clock"u8) ? Own.Clock
        : type.SequenceEqual("ledger.incarnation"u8) ? Own.Incarnation
        : type.SequenceEqual("ledger.genesis"u8) ? Own.Genesis
        : type.SequenceEqual("ledger.traces"u8) ? Own.Traces
        : Own.Other;

    private long Number(ReadOnlySpan<byte> text, int parent, ReadOnlySpan<byte> name) => parser.Nodes[parser.Find(text, parent, name)].Integer;
}
