using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

public class MerkleTests
{
    private static readonly byte[][] Rfc6962Leaves =
        [.. ((string[])["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]).Select(Convert.FromHexString)];

    [Theory]
    [InlineData(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")]
    [InlineData(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77")]
    [InlineData(7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c")]
    [InlineData(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")]
    public void Roots_of_the_rfc_6962_vectors(int size, string root) =>
        Assert.Equal(root, Convert.ToHexStringLower(Merkle.Root([.. Rfc6962Leaves[..size].Select(l => Merkle.Leaf(l))])));

    private static readonly byte[][] Leaves = [.. Enumerable.Range(0, 70).Select(i => Merkle.Leaf(Encoding.ASCII.GetBytes($"leaf {i}")))];

    private static byte[] Subtree(long start, long end) => Merkle.Root(Leaves[(int)start..(int)end]);

    /// <summary>The definition, word for word.</summary>
    private static byte[] Definition(ReadOnlySpan<byte[]> leaves)
    {
        if (leaves.Length == 1)
        {
            return leaves[0];
        }

        int k = 1;
        while (k * 2 < leaves.Length)
        {
            k *= 2;
        }

        byte[] node = new byte[32];
        Merkle.Node(Definition(leaves[..k]), Definition(leaves[k..]), node);
        return node;
    }

    [Fact]
    public void The_frontier_gives_the_defined_root_and_survives_its_own_form()
    {
        for (int n = 1; n < 70; n++)
        {
            Assert.Equal(Definition(Leaves.AsSpan(0, n)), Subtree(0, n));
            var frontier = new MerkleFrontier();
            foreach (byte[] leaf in Leaves[..n])
            {
                frontier.Append(leaf);
            }

            var again = MerkleFrontier.FromHashes(n, frontier.ToHashes())!;
            Assert.Equal(frontier.Root(), again.Root());
            again.Append(Leaves[0]);
            frontier.Append(Leaves[0]);
            Assert.Equal(frontier.Root(), again.Root());
            Assert.Null(MerkleFrontier.FromHashes(n, [.. frontier.ToHashes(), new byte[32], new byte[32], new byte[32], new byte[32], new byte[32], new byte[32], new byte[32], new byte[32]]));
        }
    }

    [Fact]
    public void Inclusion_proofs_hold_for_every_leaf_of_every_size_and_for_nothing_else()
    {
        for (int n = 1; n < 70; n++)
        {
            byte[] root = Subtree(0, n);
            for (int i = 0; i < n; i++)
            {
                var path = Merkle.InclusionPath(i, n, Subtree);
                Assert.True(Merkle.VerifyInclusion(i, n, Leaves[i], path, root));
                Assert.False(Merkle.VerifyInclusion(i, n, Leaves[(i + 1) % 70], path, root));
                Assert.False(Merkle.VerifyInclusion(i + 1, n, Leaves[i], path, root));
                Assert.False(Merkle.VerifyInclusion(i, n, Leaves[i], [.. path, root], root));
                for (int k = 0; k < path.Count; k++)
                {
                    Assert.False(Merkle.VerifyInclusion(i, n, Leaves[i], [.. path.Where((_, at) => at != k)], root));
                    path[k][0] ^= 1;
                    Assert.False(Merkle.VerifyInclusion(i, n, Leaves[i], path, root));
                    path[k][0] ^= 1;
                }
            }
        }
    }

    [Fact]
    public void Consistency_proofs_hold_for_every_pair_of_sizes_and_for_nothing_else()
    {
        for (int n = 1; n < 70; n++)
        {
            byte[] rootN = Subtree(0, n);
            for (int m = 0; m <= n; m++)
            {
                byte[] rootM = m == 0 ? Merkle.EmptyRoot : Subtree(0, m);
                var path = m == 0 || m == n ? [] : Merkle.ConsistencyPath(m, n, Subtree);
                Assert.True(Merkle.VerifyConsistency(m, rootM, n, rootN, path));
                Assert.False(Merkle.VerifyConsistency(m, rootM, n, rootN, [.. path, rootN]));
                Assert.False(Merkle.VerifyConsistency(n + 1, rootM, n, rootN, path));
                if (m == n)
                {
                    Assert.False(Merkle.VerifyConsistency(m, rootM, n, Leaves[0].AsSpan().SequenceEqual(rootN) ? Leaves[1] : Leaves[0], path));
                }

                for (int k = 0; k < path.Count; k++)
                {
                    Assert.False(Merkle.VerifyConsistency(m, rootM, n, rootN, [.. path.Where((_, at) => at != k)]));
                    path[k] = [.. path[k]];
                    path[k][31] ^= 1;
                    Assert.False(Merkle.VerifyConsistency(m, rootM, n, rootN, path));
                    path[k][31] ^= 1;
                }
            }
        }
    }

    [Fact]
    public void The_three_entry_vector()
    {
        byte[][] leaves = [.. Enumerable.Range(0, 3).Select(i => Merkle.Leaf(Encoding.ASCII.GetBytes($"{{\"seq\":{i}}}")))];
        Assert.Equal(
            [
                "a402b0e36f5aae85457360fcf00a2545b87dd47f310553e7b0d32d6d0ac4400d",
                "b119a77a4864308c481efb947ff723d6bd4ea1e7fab902eb8ca98bd759e46aee",
                "d3e0a62a8f7a9256c8beb715afded83e4326d2c47379d259b1709a840ad2f11d",
            ],
            leaves.Select(Convert.ToHexStringLower));
        byte[] Sub(long start, long end) => Merkle.Root(leaves[(int)start..(int)end]);
        Assert.Equal("PbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=", Convert.ToBase64String(Sub(0, 3)));
        Assert.Equal(
            ["pAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=", "0+CmKo96klbIvrcVr97YPkMm0sRzedJZsXCahArS8R0="],
            Merkle.InclusionPath(1, 3, Sub).Select(Convert.ToBase64String));
        Assert.Equal(
            ["sRmnekhkMIxIHvuUf/cj1r1Ooef6uQLrjKmL11nkau4=", "0+CmKo96klbIvrcVr97YPkMm0sRzedJZsXCahArS8R0="],
            Merkle.ConsistencyPath(1, 3, Sub).Select(Convert.ToBase64String));
    }
}
