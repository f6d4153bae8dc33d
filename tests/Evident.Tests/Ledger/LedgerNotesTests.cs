using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>Section 8 of docs/ledger-format.md: what an honest ledger says about itself, and what it means when it does not.</summary>
public class LedgerNotesTests
{
    private const long Interval = 60_000;

    private static void Beat(LedgerLog log, string state) =>
        log.AppendOwn("ledger.heartbeat", b => b.Set("heartbeat", h => h.Set("state", state).Set("interval_ms", Interval)));

    private static void Wait(LedgerScratch scratch, long millis)
    {
        scratch.Clock.MonotonicMillis += millis;
        scratch.Clock.UnixMillis += millis;
    }

    private static List<Finding> Notes(LedgerScratch scratch, string containing)
    {
        var report = scratch.Verify();
        Assert.Equal(10, report.ExitCode);
        return [.. report.Findings.Where(f => f.Code == Verdict.Notes && f.Sentence.Contains(containing, StringComparison.Ordinal))];
    }

    [Fact]
    public void Silence_is_a_note_at_the_entry_that_ends_it()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            Wait(scratch, 10_000_000); // before the first heartbeat there is no rule
            Beat(log, "started");
            Wait(scratch, (2 * Interval) + 60_000);
            log.Append([LedgerScratch.Call(0)]);
            Assert.Empty(Notes(scratch, "silence"));
            log.Publish();
            string before = scratch.KeepHead("before.note");
            Wait(scratch, (2 * Interval) + 60_001);
            log.Append([LedgerScratch.Call(1)]);
            log.Publish();
            var note = Assert.Single(Notes(scratch, "silence: 180001 ms"));
            Assert.Equal((2L, 3L), (note.FromSeq, note.ToSeq));
            Assert.Equal(12, scratch.Verify(before).ExitCode);
            Assert.Equal(0, scratch.Verify(scratch.KeepHead("after.note")).ExitCode);
            var report = scratch.Verify();
            Assert.Equal((1L, 1L), (report.Heartbeats, report.Silences));
            log.Close();
        }
    }

    [Fact]
    public void A_stop_that_was_announced_or_recovered_from_is_no_silence()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            Beat(log, "started");
            Wait(scratch, 30_000);
            Beat(log, "stopping");
            log.Close();
        }

        Wait(scratch, 10_000_000);
        using (var log = scratch.Open())
        {
            Beat(log, "started");
        }

        Wait(scratch, 10_000_000); // not closed: the next start recovers
        using (var log = scratch.Open(out var recovery))
        {
            Assert.False(recovery.Clean);
            Beat(log, "started");
            log.Close();
        }

        Assert.Empty(Notes(scratch, "silence"));
        Assert.Empty(Notes(scratch, "clean stop"));
    }

    [Fact]
    public void After_an_announced_stop_comes_a_start()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            Beat(log, "started");
            Beat(log, "stopping");
            log.Rotate("age"); // what a start may write before its heartbeat
            Beat(log, "started");
            Assert.Empty(Notes(scratch, "clean stop"));
            Beat(log, "stopping");
            log.Append([LedgerScratch.Call(0), LedgerScratch.Call(1)]);
            log.Close();
        }

        Assert.Single(Notes(scratch, "an entry follows the heartbeat of a clean stop"));
    }

    private static EntryDraft Stamped(string id, long wall) => EntryDraft.Create("ledger.heartbeat", id, b => b
        .Set("recorded", Rfc3339.FormatMillis(wall)).Set("heartbeat", h => h.Set("state", "running").Set("interval_ms", Interval)));

    [Fact]
    public void A_clock_that_moved_without_an_entry_is_a_note()
    {
        using var scratch = new LedgerScratch();
        long wall = scratch.Clock.UnixMillis;
        using (var log = scratch.Open())
        {
            log.Append([Stamped("h1", wall)]);
            log.Append([Stamped("h2", wall + 3_000)]);
            log.Append([Stamped("h3", wall)]);
            Assert.Empty(Notes(scratch, "no ledger.clock"));
            log.Append([Stamped("h4", wall - 3_001)]);
            Assert.Single(Notes(scratch, "the wall clock moved -3001 ms"));
            log.Close();
        }

        scratch.Clock.BootId = "00000001";
        scratch.Clock.MonotonicMillis = 5;
        using (var log = scratch.Open())
        {
            log.Append([Stamped("h5", wall - 3_000)]); // one millisecond after h4
            Assert.Empty(Notes(scratch, "boot before"));
            log.Close();
        }

        scratch.Clock.BootId = "00000002";
        using (var log = scratch.Open())
        {
            log.Append([Stamped("h6", wall - 3_001)]);
            log.Close();
        }

        Assert.Single(Notes(scratch, "the wall clock went back 1 ms since the boot before"));
        Assert.Empty(Notes(scratch, "jumped"));
    }

    [Fact]
    public void A_jump_that_the_log_noticed_is_listed_with_its_times()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            scratch.Clock.UnixMillis -= 4_000;
            scratch.Clock.MonotonicMillis += 500;
            log.Append([LedgerScratch.Call(0)]);
            log.Close();
        }

        Assert.Single(Notes(scratch, "the wall clock jumped from 2026-05-06T06:00:00.000Z to 2026-05-06T05:59:56.000Z; by the monotonic clock 500 ms had passed"));
        Assert.Empty(Notes(scratch, "no ledger.clock"));
    }

    [Fact]
    public void Numbers_of_a_source_leave_no_gap_in_any_order()
    {
        using var scratch = new LedgerScratch();
        string before;
        using (var log = scratch.Open())
        {
            log.Append([LedgerScratch.Call(7), LedgerScratch.Call(9), LedgerScratch.Call(8), LedgerScratch.Call(8)]);
            Assert.Empty(Notes(scratch, "source"));
            log.Publish();
            before = scratch.KeepHead("before.note");
            log.Append([LedgerScratch.Call(12)]);
            log.Append([LedgerScratch.Call(14)]);
            log.Close();
        }

        var notes = Notes(scratch, "source otlp:token_4 in workspace default");
        Assert.Equal(2, notes.Count);
        Assert.Contains("numbers 10..11 are", notes[0].Sentence);
        Assert.Equal((2L, 5L), (notes[0].FromSeq, notes[0].ToSeq));
        Assert.Contains("number 13 is", notes[1].Sentence);
        Assert.Equal(12, scratch.Verify(before).ExitCode); // the first gap began before the head; it shows behind it
        Assert.Equal(0, scratch.Verify(scratch.KeepHead()).ExitCode);
        Assert.Equal((1, 2L), (scratch.Verify().Sources, scratch.Verify().SourceGaps));
    }

    private static FindingList Counted(Action<SourceStreams> add)
    {
        var streams = new SourceStreams();
        add(streams);
        var findings = new FindingList();
        streams.Report(findings);
        return findings;
    }

    private static void Add(SourceStreams streams, int stream, long number, long seq) =>
        streams.Add("w"u8, System.Text.Encoding.ASCII.GetBytes($"s{stream}"), stream % 3, number, seq);

    [Fact]
    public void Gaps_are_those_of_the_set_of_numbers()
    {
        var random = new Random(11);
        for (int round = 0; round < 200; round++)
        {
            var seen = new SortedSet<long>();
            var streams = new SourceStreams();
            int numbers = random.Next(1, 60), span = random.Next(1, 80);
            for (int i = 0; i < numbers; i++)
            {
                streams.BeginGroup();
                long number = random.Next(span);
                Add(streams, 1, number, i);
                if (random.Next(4) == 0)
                {
                    continue; // never confirmed
                }

                streams.Confirm();
                seen.Add(number);
            }

            int gaps = seen.Zip(seen.Skip(1)).Count(p => p.Second != p.First + 1);
            Assert.Equal(gaps, streams.Gaps);
        }
    }

    [Fact]
    public void What_cannot_be_counted_within_the_limits_is_said()
    {
        var many = Counted(s =>
        {
            for (int i = 0; i <= SourceStreams.MaxStreams; i++)
            {
                s.BeginGroup();
                Add(s, i, 1, i);
                s.Confirm();
            }
        });
        Assert.Contains("more than 4096 sources", Assert.Single(many).Sentence);

        var gaps = Counted(s =>
        {
            for (int i = 0; i <= SourceStreams.MaxGaps + 1; i++)
            {
                s.BeginGroup();
                Add(s, 1, 2L * i, i);
                s.Confirm();
            }
        });
        Assert.Contains("more than 4096 gaps", Assert.Single(gaps).Sentence);

        var some = Counted(s =>
        {
            for (int i = 0; i <= SourceStreams.MaxGaps; i++)
            {
                s.BeginGroup();
                Add(s, 1, 2L * i, i);
                s.Confirm();
            }
        });
        Assert.Equal(17, some.Count());
        Assert.Contains("4080 more gaps", some.Last().Sentence);
    }

    private static void Incarnate(LedgerLog log, long size, byte[] root, int number) => log.AppendOwn("ledger.incarnation", b => b
        .Set("actor", a => a.Set("kind", "uid").Set("id", "0"))
        .Set("incarnation", i => i
            .Set("found", h => h.Set("size", size).Set("root", LedgerFormat.HashText(root)))
            .Set("lost", h => h.Set("size", size + 10).Set("root", LedgerFormat.ZeroHash)).Set("number", number)));

    [Fact]
    public void An_incarnation_names_the_head_before_its_rotation()
    {
        int Exit(Action<LedgerLog> write, string? note = null)
        {
            using var scratch = new LedgerScratch();
            using (var log = scratch.Open())
            {
                log.Append(LedgerScratch.Calls(0, 3));
                write(log);
                log.Close();
            }

            Assert.True(note is null || Notes(scratch, note).Count == 1);
            return scratch.Verify().ExitCode;
        }

        void Honest(LedgerLog log, int number)
        {
            var found = log.Head;
            log.Rotate("operator");
            Incarnate(log, found.Size, found.Root, number);
        }

        Assert.Equal(10, Exit(log => Honest(log, 1), "incarnation 1: an operator accepted a ledger of 4 entries where one of 14 was known to exist"));
        Assert.Equal(10, Exit(log => { Honest(log, 1); Honest(log, 2); }, "incarnation 2: "));
        Assert.Equal(10, Exit(log => { Honest(log, 1); Honest(log, 3); }, "this is incarnation 3, where number 2 was due"));
        Assert.Equal(10, Exit(log => Honest(log, 2), "this is incarnation 2, where number 1 was due"));
        Assert.Equal(32, Exit(log => { log.Rotate("operator"); Incarnate(log, 4, new byte[32], 1); }));
        Assert.Equal(32, Exit(log => { var found = log.Head; log.Rotate("operator"); Incarnate(log, 5, found.Root, 1); }));
        Assert.Equal(32, Exit(log => Incarnate(log, log.Head.Size, log.Head.Root, 1)));
        Assert.Equal(32, Exit(log => { var found = log.Head; log.Rotate("operator"); log.Append([LedgerScratch.Call(3)]); Incarnate(log, found.Size, found.Root, 1); }));
    }

    [Fact]
    public void A_head_in_the_lost_range_names_the_incarnation()
    {
        using var scratch = new LedgerScratch();
        using var log = scratch.Open();
        log.Append(LedgerScratch.Calls(0, 3));
        var found = log.Head;
        log.Rotate("operator");
        Incarnate(log, found.Size, found.Root, 1); // 6 entries; lost: 14
        log.Close();
        using var seed = KeyFiles.Read(Path.Combine(scratch.Keys, "ledger-identity.key"));
        using var identity = new SigningKey(log.Origin, seed);
        VerifyReport With(long size)
        {
            byte[] text = Checkpoint.Encode(log.Origin, size, new byte[32]);
            string path = Path.Combine(scratch.Data, "lost.note");
            File.WriteAllBytes(path, SignedNote.Encode(text, [identity.Sign(text)]));
            return scratch.Verify(path);
        }

        foreach (var (size, code, named) in ((long, int, bool)[])[(12, 30, true), (14, 30, true), (15, 30, false), (5, 31, true), (3, 31, false)])
        {
            var report = With(size);
            Assert.Equal(code, report.ExitCode);
            Assert.Equal(named, report.Findings.Any(f => f.Code == code && f.Sentence.Contains("incarnation 1, entry 5", StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void The_report_says_how_well_old_keys_are_gone()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            log.Rotate("operator");
            log.Close();
        }

        var report = scratch.Verify();
        Assert.Contains("key kept in file (L1: see below)", report.ToText());
        Assert.Contains("\"custody\":\"file\"", System.Text.Encoding.UTF8.GetString(report.ToJson()));
        Assert.Contains("\"level\":\"L1\"", System.Text.Encoding.UTF8.GetString(report.ToJson()));
        Assert.Equal(("L2", "L3", ""), (LedgerFormat.CustodyLevel("tpm2"), LedgerFormat.CustodyLevel("pkcs11"), LedgerFormat.CustodyLevel("unknown")));
    }
}
