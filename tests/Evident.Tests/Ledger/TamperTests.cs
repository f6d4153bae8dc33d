using System.Collections.Concurrent;
using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>What an attacker or a bad disk can do to the files, and the exact verdict for it.</summary>
public class TamperTests
{
    /// <summary>Two segments, two epochs, groups of one and two entries, ending in a complete checkpoint line.</summary>
    private static void WriteCompact(LedgerScratch scratch) => WriteCompact(scratch, 3200);

    private static void WriteOneSegment(LedgerScratch scratch) => WriteCompact(scratch, 1 << 20);

    private static void WriteCompact(LedgerScratch scratch, long segmentBytes)
    {
        using var log = scratch.Open(segmentBytes: segmentBytes);
        log.Append([LedgerScratch.Short(1), LedgerScratch.Short(2)]);
        log.Rotate("operator");
        log.Append([LedgerScratch.Call(3, new string('a', 32))]);
        log.Append([LedgerScratch.Short(4), LedgerScratch.Call(5, new string('a', 32)), LedgerScratch.Short(6)]);
        log.Close();
    }

    /// <summary>Many groups, four segments, three epochs.</summary>
    private static void WriteLarger(LedgerScratch scratch)
    {
        using var log = scratch.Open(segmentBytes: 25_000);
        int made = 0;
        for (int i = 0; i < 40; i++)
        {
            int count = (i % 5) + 1;
            log.Append(LedgerScratch.Calls(made, count));
            made += count;
            if (i is 10 or 30)
            {
                log.Rotate("operator");
            }

            if (i % 7 == 0)
            {
                log.Publish();
            }
        }

        log.Close();
    }

    private sealed record Spot(string Segment, long Line, int Expected);

    /// <summary>The design's rule for a changed byte: which line, and which verdict.</summary>
    private static Spot Expect(byte[] original, string name, int at, byte changed)
    {
        int start = at == 0 ? 0 : original.AsSpan(0, at).LastIndexOf((byte)'\n') + 1;
        int end = start + original.AsSpan(start).IndexOf((byte)'\n');
        long number = original.AsSpan(0, start).Count((byte)'\n') + 1;
        if (at == end || changed == '\n')
        {
            return new Spot(name, number, 34); // a line feed lost or made
        }

        byte[] line = original[start..end];
        bool checkpoint = CheckpointLine.LooksLikeOne(line);
        line[at - start] = changed;
        var parser = new Lj1Parser();
        if (checkpoint)
        {
            return new Spot(name, number, CheckpointLine.TryParse(line, parser, out _, out _) ? 33 : 34);
        }

        bool entry = parser.Parse(line) == Lj1Error.None && EntrySchema.Check(line, parser) is null;
        return new Spot(name, number, entry ? 32 : 34);
    }

    private static void FlipAndCompare(Action<LedgerScratch> write, bool withHead, Func<int, int, bool> take, byte? only = null)
    {
        using var model = new LedgerScratch(inMemory: true);
        write(model);
        string known = model.KeepHead();
        var wrong = new ConcurrentBag<string>();
        var copies = Enumerable.Range(0, Environment.ProcessorCount).Select(_ => Copy(model)).ToArray();
        Parallel.For(0, copies.Length, worker =>
        {
            var scratch = copies[worker];
            foreach (string path in scratch.Segments)
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
                byte[] original = File.ReadAllBytes(path);
                using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 1);
                for (int at = worker; at < original.Length; at += copies.Length)
                {
                    if (only is not null && original[at] != only)
                    {
                        continue;
                    }

                    for (int bit = 0; bit < 8; bit++)
                    {
                        if (!take(at, bit))
                        {
                            continue;
                        }

                        byte changed = (byte)(original[at] ^ (1 << bit));
                        file.Position = at;
                        file.WriteByte(changed);
                        file.Flush();
                        var expected = Expect(original, Path.GetFileName(path), at, changed);
                        var report = withHead ? scratch.Verify(known) : scratch.Verify();
                        bool named = report.Findings.Any(f => f.Code == expected.Expected && f.Segment == expected.Segment && f.Line == expected.Line);
                        bool others = report.Findings.Any(f => f.Code >= 30 && (f.Segment != expected.Segment || f.Line < expected.Line || f.Line > expected.Line + 1));
                        if (report.ExitCode != expected.Expected || !named || others)
                        {
                            wrong.Add($"{expected.Segment} byte {at} bit {bit}: {expected} but {report.ExitCode}: "
                                + string.Join(" | ", report.Findings.Select(f => $"{f.Code} {f.Segment}:{f.Line} {f.Sentence}")));
                        }
                    }

                    file.Position = at;
                    file.WriteByte(original[at]);
                    file.Flush();
                }
            }
        });
        foreach (var copy in copies)
        {
            copy.Dispose();
        }

        Assert.True(wrong.IsEmpty, $"{wrong.Count} flips judged wrongly, e.g.\n{string.Join('\n', wrong.Take(12))}");
    }

    private static LedgerScratch Copy(LedgerScratch model)
    {
        var copy = new LedgerScratch(inMemory: true);
        foreach (string directory in Directory.GetDirectories(model.Data, "*", SearchOption.AllDirectories))
        {
            Directory.CreateDirectory(directory.Replace(model.Data, copy.Data, StringComparison.Ordinal));
        }

        foreach (string file in Directory.GetFiles(model.Data, "*", SearchOption.AllDirectories))
        {
            File.Copy(file, file.Replace(model.Data, copy.Data, StringComparison.Ordinal));
        }

        return copy;
    }

    /// <summary>Two bits of every byte; every bit of every byte where EVIDENT_EXHAUSTIVE is set.</summary>
    [Fact]
    public void Bit_flips_in_every_byte_of_a_compact_ledger_have_their_exact_verdict() =>
        FlipAndCompare(WriteCompact, withHead: false, (at, bit) => LedgerScratch.Exhaustive || (at + bit) % 4 == 0);

    [Fact]
    public void A_known_head_does_not_change_the_verdict_of_a_flip()
    {
        int skip = 0;
        FlipAndCompare(WriteCompact, withHead: true, (_, _) => Interlocked.Increment(ref skip) % 29 == 0);
    }

    /// <summary>Line feeds are where lines run together: all of them, in every kind of neighbourhood.</summary>
    [Fact]
    public void Every_flipped_line_feed_of_a_larger_ledger_is_malformed() =>
        FlipAndCompare(WriteLarger, withHead: false, (at, bit) => LedgerScratch.Exhaustive || (at + bit) % 4 == 0, only: (byte)'\n');

    [Fact]
    public void A_sample_of_flips_of_a_larger_ledger_has_its_exact_verdict()
    {
        int count = 0;
        FlipAndCompare(WriteLarger, withHead: false, (_, _) => Interlocked.Increment(ref count) % (LedgerScratch.Exhaustive ? 97 : 997) == 0);
    }

    private static int Changed(Action<LedgerScratch, List<string>> change, bool withHead = false, Action<LedgerScratch>? write = null)
    {
        using var scratch = new LedgerScratch(inMemory: true);
        (write ?? WriteLarger)(scratch);
        string known = scratch.KeepHead();
        var segments = scratch.Segments.ToList();
        foreach (string segment in segments)
        {
            File.SetUnixFileMode(segment, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        change(scratch, segments);
        return (withHead ? scratch.Verify(known) : scratch.Verify()).ExitCode;
    }

    private static void EditLines(string path, Action<List<string>> edit)
    {
        var lines = File.ReadAllText(path).Split('\n')[..^1].ToList();
        edit(lines);
        File.WriteAllText(path, string.Concat(lines.Select(l => l + "\n")));
    }

    private static int NthCheckpoint(List<string> lines, int n) =>
        lines.Select((l, i) => (l, i)).Where(x => x.l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal)).ElementAt(n).i;

    [Fact]
    public void Removed_merged_and_reordered_lines_are_altered()
    {
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l => l.RemoveAt(1))));
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l => l.Insert(1, l[1]))));
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l => (l[1], l[2]) = (l[2], l[1]))));

        // merged: two groups under one checkpoint; removed and doubled groups; a group moved
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l => l.RemoveAt(NthCheckpoint(l, 1)))));
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l => l.Insert(NthCheckpoint(l, 1), l[NthCheckpoint(l, 1)]))));
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l =>
        {
            int from = NthCheckpoint(l, 0) + 1, to = NthCheckpoint(l, 1) + 1;
            l.RemoveRange(from, to - from);
        })));
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l =>
        {
            int from = NthCheckpoint(l, 0) + 1, to = NthCheckpoint(l, 1) + 1;
            l.InsertRange(to, l[from..to]);
        })));
        Assert.Equal(32, Changed((_, s) => EditLines(s[1], l =>
        {
            int a = NthCheckpoint(l, 0) + 1, b = NthCheckpoint(l, 1) + 1;
            var moved = l[a..b];
            int c = NthCheckpoint(l, 2) + 1;
            l.InsertRange(c, moved);
            l.RemoveRange(a, b - a);
        })));
    }

    [Fact]
    public void A_group_split_by_its_own_key_is_altered()
    {
        // The thief of the epoch key signs the first half of a group of three as if it had been one.
        Assert.Equal(32, Changed(
            (scratch, s) =>
            {
                using var seed = KeyFiles.Read(Path.Combine(scratch.Keys, "ledger-epoch-1.key"));
                EditLines(s[0], l =>
                {
                    string origin = l[0][(l[0].IndexOf("\"log\":\"", StringComparison.Ordinal) + 7)..][..46];
                    using var key = new SigningKey(LedgerFormat.EpochKeyName(origin, 1), seed);
                    var leaves = new[] { l[0], l[2], l[3] }.Select(e => Merkle.Leaf(Encoding.UTF8.GetBytes(e))).ToList();
                    byte[] text = Checkpoint.Encode(origin, 3, Merkle.Root(leaves));
                    l.Insert(4, Encoding.UTF8.GetString(CheckpointLine.Encode(SignedNote.Encode(text, [key.Sign(text)]))));
                });
            },
            write: scratch =>
            {
                using var log = scratch.Open();
                log.Append([LedgerScratch.Short(1), LedgerScratch.Short(2), LedgerScratch.Short(3)]);
                log.Append([LedgerScratch.Short(4)]);
                log.Close();
            }));
    }

    [Fact]
    public void Segment_files_must_be_all_there_once_under_their_names()
    {
        Assert.Equal(32, Changed((_, s) => File.Delete(s[0])));
        Assert.Equal(32, Changed((_, s) => File.Delete(s[1])));
        Assert.Equal(32, Changed((c, s) => File.Move(s[1], Path.Combine(c.Ledger, LedgerFormat.SegmentName(17)))));
        Assert.Equal(32, Changed((c, s) => File.Copy(s[1], Path.Combine(c.Ledger, LedgerFormat.SegmentName(40)))));
        Assert.Equal(32, Changed((c, s) => File.Copy(s[1], Path.Combine(c.Ledger, LedgerFormat.SegmentName(900)))));
        Assert.Equal(32, Changed((_, s) =>
        {
            byte[] first = File.ReadAllBytes(s[1]), second = File.ReadAllBytes(s[2]);
            File.WriteAllBytes(s[1], second);
            File.WriteAllBytes(s[2], first);
        }));

        // The last one missing: nothing inside the segments shows it; published heads and known heads do.
        Assert.Equal(10, Changed((c, s) =>
        {
            c.RemoveHeads();
            File.Delete(s[^1]);
        }));
        Assert.Equal(30, Changed((_, s) => File.Delete(s[^1])));
        Assert.Equal(30, Changed(
            (c, s) =>
            {
                c.RemoveHeads();
                File.Delete(s[^1]);
            },
            withHead: true));

        // None at all.
        Assert.Equal(40, Changed((_, s) => s.ForEach(File.Delete)));
        Assert.Equal(30, Changed((_, s) => s.ForEach(File.Delete), withHead: true));

        // Links and strays.
        Assert.Equal(34, Changed((c, s) =>
        {
            File.Move(s[1], Path.Combine(c.Data, "elsewhere"));
            File.CreateSymbolicLink(s[1], Path.Combine(c.Data, "elsewhere"));
        }));
        Assert.Equal(34, Changed((c, s) =>
        {
            File.Move(s[^1], Path.Combine(c.Data, "elsewhere"));
            Directory.CreateDirectory(s[^1]);
        }));
        Assert.Equal(12, Changed((c, _) => File.WriteAllText(Path.Combine(c.Ledger, "notes.txt"), "x"), withHead: true));
        Assert.Equal(10, Changed((c, _) => File.WriteAllText(Path.Combine(c.Ledger, "notes.txt"), "x")));
    }

    [Fact]
    public void Notes_beside_the_segments_must_agree_with_them()
    {
        Assert.Equal(33, Changed((c, _) => Flip(Path.Combine(c.Ledger, "head.a"), 20)));
        Assert.Equal(33, Changed((c, _) => Flip(Path.Combine(c.Ledger, "genesis.note"), 20)));
        Assert.Equal(33, Changed((c, _) => Flip(Directory.GetFiles(Path.Combine(c.Ledger, "checkpoints")).Order().ElementAt(1), 20)));
        Assert.Equal(34, Changed((c, _) => File.WriteAllText(Path.Combine(c.Ledger, "head.a"), "x")));
        Assert.Equal(12, Changed((c, _) => File.Delete(Path.Combine(c.Ledger, "genesis.note")), withHead: true));
        Assert.Equal(33, Changed((c, _) =>
        {
            string path = Path.Combine(c.Ledger, "head.a");
            string[] lines = File.ReadAllText(path).Split('\n');
            File.WriteAllText(path, string.Join('\n', [.. lines[..4], .. lines[5..]])); // the epoch's signature is gone
        }));
    }

    private static void Flip(string path, int at)
    {
        byte[] bytes = File.ReadAllBytes(path);
        bytes[at] ^= 1;
        File.WriteAllBytes(path, bytes);
    }

    [Fact]
    public void Known_heads_decide_between_rolled_back_forked_foreign_and_unusable()
    {
        using var scratch = new LedgerScratch(inMemory: true);
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 3));
            log.Publish();
            scratch.KeepHead("early.note");
            log.Append(LedgerScratch.Calls(3, 3));
            log.Close();
        }

        string early = Path.Combine(scratch.Data, "early.note"), late = scratch.KeepHead("late.note");
        Assert.Equal(0, scratch.Verify(early, late).ExitCode);
        var stale = LedgerVerifier.Verify(new VerifyRequest { Path = scratch.Data, KnownHeads = [early], MaxUnanchored = 2 });
        Assert.Equal((11, 4L, 3L), (stale.ExitCode, stale.AnchoredSize, stale.Unanchored));
        Assert.Equal(0, LedgerVerifier.Verify(new VerifyRequest { Path = scratch.Ledger, KnownHeads = [early], MaxUnanchored = 3 }).ExitCode);
        Assert.Equal(64, scratch.Verify(Path.Combine(scratch.Data, "absent.note")).ExitCode);
        File.WriteAllText(Path.Combine(scratch.Data, "bad.note"), "nonsense\n");
        Assert.Equal(64, scratch.Verify(Path.Combine(scratch.Data, "bad.note")).ExitCode);
        Assert.Equal(40, LedgerVerifier.Verify(new VerifyRequest { Path = Path.Combine(scratch.Data, "nowhere") }).ExitCode);

        // Another ledger's head, this ledger's head with a broken signature, and heads that this identity signed for other histories.
        using var other = new LedgerScratch();
        other.NextSeed().Dispose();
        using (var log = other.Open())
        {
            log.Append(LedgerScratch.Calls(0, 3));
            log.Close();
        }

        Assert.Equal(33, scratch.Verify(other.KeepHead()).ExitCode);
        string origin = scratch.Verify().Origin;
        using var seed = KeyFiles.Read(Path.Combine(scratch.Keys, "ledger-identity.key"));
        using var identity = new SigningKey(origin, seed);
        int Signed(long size, byte[] root, bool broken)
        {
            byte[] text = Checkpoint.Encode(origin, size, root);
            var signature = identity.Sign(text);
            if (broken)
            {
                signature.KeyIdAndSignature[30] ^= 1;
            }

            string path = Path.Combine(scratch.Data, "made.note");
            File.WriteAllBytes(path, SignedNote.Encode(text, [signature]));
            return scratch.Verify(path).ExitCode;
        }

        byte[] root = Convert.FromHexString(scratch.Verify().Root["sha256:".Length..]);
        Assert.Equal(0, Signed(7, root, broken: false));
        Assert.Equal(33, Signed(7, root, broken: true));
        Assert.Equal(31, Signed(7, new byte[32], broken: false));
        Assert.Equal(31, Signed(5, root, broken: false));
        Assert.Equal(30, Signed(8, root, broken: false));

        var allowed = LedgerVerifier.Verify(new VerifyRequest { Path = scratch.Data, AllowUnanchored = true });
        Assert.Equal((0, "CONSISTENT-UNANCHORED"), (allowed.ExitCode, allowed.Verdict));
    }

    [Fact]
    public void Keys_outside_their_epoch_are_violations()
    {
        // Rewrite inside epoch 1 with the key of epoch 2, the signatures of epoch 1 replaced; T10.
        Assert.Equal(33, Changed((scratch, s) =>
        {
            using var seed = KeyFiles.Read(Path.Combine(scratch.Keys, "ledger-epoch-2.key"));
            EditLines(s[0], l =>
            {
                string origin = l[0][(l[0].IndexOf("\"log\":\"", StringComparison.Ordinal) + 7)..][..46];
                using var key = new SigningKey(LedgerFormat.EpochKeyName(origin, 2), seed);
                int at = NthCheckpoint(l, 1);
                byte[] text = Checkpoint.Encode(origin, 3, Merkle.Root([.. new[] { l[0], l[2], l[3] }.Select(e => Merkle.Leaf(Encoding.UTF8.GetBytes(e)))]));
                l[at] = Encoding.UTF8.GetString(CheckpointLine.Encode(SignedNote.Encode(text, [key.Sign(text)])));
            });
        }, write: WriteCompact));

        // The rotation group removed, its entry removed, one of its two signatures removed; T12.
        Assert.Equal(33, Changed((_, s) => EditRotation(s, (l, at) => l.RemoveRange(at, 2)), write: WriteOneSegment));
        Assert.Equal(33, Changed((_, s) => EditRotation(s, (l, at) => l.RemoveAt(at)), write: WriteOneSegment));
        Assert.Equal(33, Changed((_, s) => EditRotation(s, (l, at) => DropSignature(l, at + 1, 0)), write: WriteOneSegment));
        Assert.Equal(33, Changed((_, s) => EditRotation(s, (l, at) => DropSignature(l, at + 1, 1)), write: WriteOneSegment));

        // The two in the other order: the format knows one order only.
        Assert.Equal(34, Changed((_, s) => EditRotation(s, (l, at) => Renote(l, at + 1, n => [n[1], n[0]])), write: WriteOneSegment));
        Assert.Equal(34, Changed((_, s) => EditRotation(s, (l, at) => Renote(l, at + 1, n => [n[0], n[1], n[1]])), write: WriteOneSegment));
    }

    private static void EditRotation(List<string> segments, Action<List<string>, int> edit)
    {
        foreach (string path in segments)
        {
            EditLines(path, l =>
            {
                int at = l.FindIndex(x => x.Contains("\"type\":\"ledger.epoch\"", StringComparison.Ordinal));
                if (at >= 0)
                {
                    edit(l, at);
                }
            });
        }
    }

    private static void DropSignature(List<string> lines, int at, int index) =>
        Renote(lines, at, n => [.. n.Where((_, i) => i != index)]);

    private static void Renote(List<string> lines, int at, Func<IReadOnlyList<NoteSignature>, IEnumerable<NoteSignature>> signatures)
    {
        Assert.True(CheckpointLine.TryParse(Encoding.UTF8.GetBytes(lines[at]), new Lj1Parser(), out var note, out _));
        lines[at] = Encoding.UTF8.GetString(CheckpointLine.Encode(SignedNote.Encode(note.Text, signatures(note.Signatures))));
    }

    [Fact]
    public void The_report_says_what_rests_on_the_host_alone_and_is_canonical_json()
    {
        using var scratch = new LedgerScratch(inMemory: true);
        WriteCompact(scratch);
        var report = scratch.Verify();
        string text = report.ToText();
        Assert.StartsWith("CONSISTENT-UNANCHORED (10): ", text);
        Assert.Contains("8 of 8 entries rest on the keys of the host alone.", text);
        Assert.Contains("Not proven by this report:", text);
        Assert.Contains("\u2014 " + report.Origin + " ", text);
        byte[] json = report.ToJson();
        Assert.Equal(Lj1Error.None, new Lj1Parser().Parse(json));
        Assert.Equal("CONSISTENT-UNANCHORED", System.Text.Json.JsonDocument.Parse(json).RootElement.GetProperty("verdict").GetString());
    }

    [Fact]
    public void Verification_writes_nothing_and_works_on_read_only_files()
    {
        using var scratch = new LedgerScratch(inMemory: true);
        WriteCompact(scratch);
        string known = scratch.KeepHead();
        foreach (string file in Directory.GetFiles(scratch.Ledger, "*", SearchOption.AllDirectories))
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead);
        }

        var before = scratch.Picture();
        Assert.Equal(0, scratch.Verify(known).ExitCode);
        Assert.Equal(before, scratch.Picture());
    }
}
