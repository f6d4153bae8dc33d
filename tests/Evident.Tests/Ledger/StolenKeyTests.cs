using System.Text;
using System.Text.Json;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>
/// What somebody can do who takes the host with its keys: T3, T9, T10, T11, T13. A ledger of three epochs is rewritten, chained anew, its roots computed anew and signed with whatever keys are
/// left on the host: those of closed epochs are gone.
/// </summary>
public class StolenKeyTests
{
    private static LedgerScratch Write(out string earlyHead, out string newestHead, bool removeHeads = true)
    {
        var scratch = new LedgerScratch(inMemory: true);
        using (var log = scratch.Open())
        {
            log.Append(LedgerScratch.Calls(0, 3));
            log.Append(LedgerScratch.Calls(3, 2));
            log.Rotate("operator");
            log.Append(LedgerScratch.Calls(5, 3));
            log.Publish();
            earlyHead = scratch.KeepHead("early.note");
            log.Rotate("operator");
            log.Append(LedgerScratch.Calls(8, 3));
            log.Append(LedgerScratch.Calls(11, 2));
            log.Close();
        }

        newestHead = scratch.KeepHead("newest.note");
        if (removeHeads)
        {
            scratch.RemoveHeads(); // they would contradict; who rewrites the ledger removes them or signs them anew
        }

        return scratch;
    }

    /// <summary>Rewrites the entry with that id and all that follows from it; returns the lines.</summary>
    private static void Rewrite(LedgerScratch scratch, string id, bool signOldEpochs)
    {
        string segment = Assert.Single(scratch.Segments);
        string[] lines = File.ReadAllLines(segment);
        string origin = JsonDocument.Parse(lines[0]).RootElement.GetProperty("log").GetString()!;
        using var seed = KeyFiles.Read(Path.Combine(scratch.Keys, "ledger-epoch-3.key"));
        var leaves = new List<byte[]>();
        string previous = LedgerFormat.ZeroHash;
        bool changed = false;
        long epoch = 1;
        for (int i = 0; i < lines.Length; i++)
        {
            if (!CheckpointLine.LooksLikeOne(Encoding.UTF8.GetBytes(lines[i])))
            {
                var entry = JsonDocument.Parse(lines[i]).RootElement;
                epoch = entry.GetProperty("epoch").GetInt64();
                changed |= entry.GetProperty("id").GetString() == id;
                if (entry.GetProperty("id").GetString() == id)
                {
                    lines[i] = lines[i].Replace("\"tool_name\":\"gmail.send\"", "\"tool_name\":\"gmail.read\"", StringComparison.Ordinal);
                }

                lines[i] = lines[i].Replace(entry.GetProperty("integrity").GetProperty("prev_hash").GetString()!, previous, StringComparison.Ordinal);
                leaves.Add(Merkle.Leaf(Encoding.UTF8.GetBytes(lines[i])));
                previous = LedgerFormat.HashText(leaves[^1]);
            }
            else if (changed)
            {
                Assert.True(CheckpointLine.TryParse(Encoding.UTF8.GetBytes(lines[i]), new Lj1Parser(), out var note, out _));
                byte[] text = Checkpoint.Encode(origin, leaves.Count, Merkle.Root(leaves));
                var signatures = note.Signatures.Select(old =>
                {
                    // Only the key of epoch 3 is on the host; under the name of an older one it can be used, or the old signature left.
                    bool ours = old.Name == LedgerFormat.EpochKeyName(origin, 3);
                    using var key = new SigningKey(old.Name, seed);
                    return ours || signOldEpochs ? key.Sign(text) : old;
                }).ToArray();
                lines[i] = Encoding.UTF8.GetString(CheckpointLine.Encode(SignedNote.Encode(text, signatures)));
            }
        }

        Assert.True(changed);
        File.WriteAllText(segment, string.Join('\n', lines) + "\n");
    }

    [Theory]
    [InlineData("call-1", false)]
    [InlineData("call-1", true)]
    [InlineData("call-6", false)]
    [InlineData("call-6", true)]
    public void A_closed_epoch_cannot_be_rewritten_with_the_keys_that_are_left(string id, bool signOldEpochs)
    {
        using var scratch = Write(out string early, out string newest);
        Rewrite(scratch, id, signOldEpochs);
        Assert.Equal(33, scratch.Verify().ExitCode); // without any anchor
        Assert.True(scratch.Verify(early).ExitCode is 31 or 33);
        Assert.True(scratch.Verify(newest).ExitCode is 31 or 33);
    }

    [Fact]
    public void Inside_the_current_epoch_only_an_anchor_shows_it()
    {
        using var scratch = Write(out string early, out string newest);
        Rewrite(scratch, "call-9", signOldEpochs: false);
        var report = scratch.Verify();
        Assert.Equal(10, report.ExitCode); // the documented limit, and the report says how much rests on the host
        Assert.Equal(report.Entries, report.Unanchored);
        var anchored = scratch.Verify(early);
        Assert.Equal(12, anchored.ExitCode); // the head of epoch 2 is still contained; that head store and published heads are gone is a note
        Assert.Equal(report.Entries - 10, anchored.Unanchored);
        Assert.Equal(31, scratch.Verify(newest).ExitCode);
    }

    [Fact]
    public void Two_histories_that_one_identity_signed_are_a_fork_for_who_holds_a_head_of_the_other()
    {
        using var scratch = Write(out _, out string newest, removeHeads: false);
        using var other = new LedgerScratch(inMemory: true);
        foreach (string from in Directory.GetFiles(scratch.Data, "*", SearchOption.AllDirectories))
        {
            string to = other.Data + from[scratch.Data.Length..];
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(from, to);
        }

        void GoOn(LedgerScratch side, int from)
        {
            using var log = side.Open();
            log.Append(LedgerScratch.Calls(from, 4));
            log.Close();
        }

        GoOn(scratch, 20);
        GoOn(other, 40);
        string head = scratch.KeepHead("one.note"), otherHead = other.KeepHead("two.note");
        Assert.Equal(0, scratch.Verify(head).ExitCode);
        Assert.Equal(0, other.Verify(otherHead).ExitCode);
        Assert.Equal(0, other.Verify(newest).ExitCode); // what both share
        Assert.Equal(31, other.Verify(head).ExitCode);
        Assert.Equal(31, scratch.Verify(otherHead).ExitCode);
    }

    [Fact]
    public void Stripped_of_its_signatures_it_is_a_key_violation()
    {
        using var scratch = Write(out _, out _);
        string segment = Assert.Single(scratch.Segments);
        string[] lines = File.ReadAllLines(segment);
        for (int i = 0; i < lines.Length; i++)
        {
            if (CheckpointLine.LooksLikeOne(Encoding.UTF8.GetBytes(lines[i])))
            {
                int end = lines[i].IndexOf("\\n\\n", StringComparison.Ordinal) + 4;
                lines[i] = lines[i][..end] + "\"}";
            }
        }

        File.WriteAllText(segment, string.Join('\n', lines) + "\n");
        var report = scratch.Verify();
        Assert.Equal(33, report.ExitCode);
        Assert.Throws<LedgerStateException>(() => scratch.Open());
    }
}
