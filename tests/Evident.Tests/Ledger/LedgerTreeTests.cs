using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>Proofs from the kept roots, against <see cref="Merkle"/> over all leaves.</summary>
public class LedgerTreeTests
{
    /// <summary>Groups of 1..23 entries in segments of some 20 KB, so that blocks of 256 cross segment boundaries.</summary>
    private static byte[][] Write(LedgerScratch scratch, int entries)
    {
        using var log = scratch.Open(segmentBytes: 20_000);
        int made = (int)log.Head.Size;
        for (int i = 0; made < entries; i++)
        {
            int count = Math.Min((i % 23) + 1, entries - made);
            log.Append([.. Enumerable.Range(made, count).Select(LedgerScratch.Short)]);
            made += count;
        }

        log.Close();
        Assert.True(scratch.Segments.Length > entries / 80);
        return [.. LedgerReader.Read(scratch.Ledger, 0, entries, entries).Select(l => Merkle.Leaf(l.Json.Span))];
    }

    [Fact]
    public void Every_inclusion_proof_of_every_size_is_that_of_the_whole_tree()
    {
        using var scratch = new LedgerScratch();
        byte[][] leaves = Write(scratch, 600);
        byte[] Subtree(long start, long end) => Merkle.Root(leaves[(int)start..(int)end]);
        var kept = new LedgerTree(scratch.Ledger);
        foreach (int size in (int[])[1, 2, 3, 100, 255, 256, 257, 511, 512, 600])
        {
            byte[] root = Subtree(0, size);
            Assert.Equal(root, kept.Root(size));
            for (int seq = 0; seq < size; seq += size < 128 || seq % 256 is < 2 or > 253 ? 1 : 23)
            {
                var path = kept.InclusionPath(seq, size, out byte[] leaf);
                Assert.Equal(leaves[seq], leaf);
                Assert.Equal(Merkle.InclusionPath(seq, size, Subtree), path);
                Assert.True(Merkle.VerifyInclusion(seq, size, leaf, path, root));
            }
        }
    }

    [Fact]
    public void Every_consistency_proof_is_that_of_the_whole_tree()
    {
        using var scratch = new LedgerScratch();
        byte[][] leaves = Write(scratch, 600);
        byte[] Subtree(long start, long end) => Merkle.Root(leaves[(int)start..(int)end]);
        var kept = new LedgerTree(scratch.Ledger);
        foreach (int size in (int[])[1, 2, 255, 256, 257, 511, 512, 600])
        {
            for (int old = 1; old < size; old += old % 256 is < 2 or > 253 ? 1 : 29)
            {
                var path = kept.ConsistencyPath(old, size);
                Assert.Equal(Merkle.ConsistencyPath(old, size, Subtree), path);
                Assert.True(Merkle.VerifyConsistency(old, Subtree(0, old), size, Subtree(0, size), path));
            }

            Assert.Empty(LedgerReader.ProveConsistency(scratch.Ledger, 0, size));
            Assert.Empty(LedgerReader.ProveConsistency(scratch.Ledger, size, size, kept));
        }

        Assert.Equal(kept.ConsistencyPath(300, 600), LedgerReader.ProveConsistency(scratch.Ledger, 300, 600));
        Assert.Throws<ArgumentOutOfRangeException>(() => LedgerReader.ProveConsistency(scratch.Ledger, 2, 1));
        Assert.Throws<LedgerStateException>(() => LedgerReader.ProveConsistency(scratch.Ledger, 2, 100_000));
    }

    /// <summary>66,000 entries: three levels of roots, grown in steps as a ledger grows, and from a fresh start. Only seq is read of these lines.</summary>
    [Fact]
    public void Three_levels_of_kept_roots_give_the_root_at_every_step()
    {
        using var scratch = new LedgerScratch();
        const int Entries = 66_000;
        Directory.CreateDirectory(scratch.Ledger);
        File.WriteAllLines(
            Path.Combine(scratch.Ledger, LedgerFormat.SegmentName(0)), Enumerable.Range(0, Entries).Select(i => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{{\"seq\":{i}}}")));
        var grown = new LedgerTree(scratch.Ledger);
        var frontier = new MerkleFrontier();
        foreach (var line in LedgerReader.Read(scratch.Ledger, 0, Entries, Entries))
        {
            frontier.Append(Merkle.Leaf(line.Json.Span));
            if (line.Seq % 9_973 == 0 || frontier.Size is 65_535 or 65_536 or 65_537)
            {
                Assert.Equal(frontier.Root(), grown.Root(frontier.Size));
            }
        }

        Assert.Equal(frontier.Root(), grown.Root(Entries));
        Assert.Equal(frontier.Root(), new LedgerTree(scratch.Ledger).Root(Entries));
        foreach (long seq in (long[])[0, 65_535, 65_536, Entries - 1])
        {
            var path = grown.InclusionPath(seq, Entries, out byte[] leaf);
            Assert.True(Merkle.VerifyInclusion(seq, Entries, leaf, path, frontier.Root()));
        }
    }

    [Fact]
    public void Many_threads_that_ask_for_different_sizes_get_the_same_answers_as_one()
    {
        using var scratch = new LedgerScratch();
        byte[][] leaves = Write(scratch, 1_500);
        var shared = new LedgerTree(scratch.Ledger);
        Parallel.For(0, 64, i =>
        {
            int size = 1_500 - ((i * 37) % 1_400);
            Assert.Equal(Merkle.Root(leaves[..size]), shared.Root(size));
        });
    }

    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 2)]
    [InlineData(4, 12)]
    [InlineData(-2, 0)]
    public void A_range_that_is_no_subtree_is_refused(long start, long end)
    {
        using var scratch = new LedgerScratch();
        Write(scratch, 20);
        Assert.Throws<ArgumentException>(() => new LedgerTree(scratch.Ledger).Subtree(start, end));
    }
}
