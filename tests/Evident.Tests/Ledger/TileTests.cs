using System.Globalization;
using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

public class TileTests
{
    private sealed class Files : FileSink
    {
        private MemoryStream content = new();

        public Dictionary<string, byte[]> All { get; } = new(StringComparer.Ordinal);

        protected override void Open(string file) => content = new MemoryStream();

        protected override void Put(ReadOnlySpan<byte> bytes) => content.Write(bytes);

        protected override void Close(BundleFile written)
        {
            All.Add(written.Name, content.ToArray());
            Assert.Equal(content.Length, written.Bytes);
            Assert.Equal(System.Security.Cryptography.SHA256.HashData(content.ToArray()), written.Sha256);
        }
    }

    private static Dictionary<string, byte[]> Tiles(int count, out byte[] root, out byte[][] leaves)
    {
        using var files = new Files();
        var writer = new TileWriter(files);
        leaves = new byte[count][];
        for (int i = 0; i < count; i++)
        {
            byte[] entry = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"seq\":{i}}}"));
            leaves[i] = Merkle.Leaf(entry);
            writer.Add(entry, leaves[i]);
        }

        root = writer.Finish();
        return files.All;
    }

    [Theory]
    [InlineData(0, 0, 256, "tile/0/000")]
    [InlineData(0, 273, 112, "tile/0/273.p/112")]
    [InlineData(0, 1000, 256, "tile/0/x001/000")]
    [InlineData(3, 1_234_067, 1, "tile/3/x001/x234/067.p/1")]
    public void Names_of_the_specification(int level, long index, int width, string name)
    {
        Assert.Equal(name, TileName.Hashes(level, index, width));
        Assert.Equal(name.Replace($"tile/{level}/", "tile/entries/", StringComparison.Ordinal), TileName.Entries(index, width));
    }

    [Fact]
    public void The_bundle_of_the_three_entry_vector()
    {
        var files = Tiles(3, out byte[] root, out _);
        Assert.Equal(["tile/0/000.p/3", "tile/entries/000.p/3"], files.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("00097b22736571223a307d00097b22736571223a317d00097b22736571223a327d", Convert.ToHexStringLower(files["tile/entries/000.p/3"]));
        Assert.Equal(
            "a402b0e36f5aae85457360fcf00a2545b87dd47f310553e7b0d32d6d0ac4400db119a77a4864308c481efb947ff723d6bd4ea1e7fab902eb8ca98bd759e46aee"
            + "d3e0a62a8f7a9256c8beb715afded83e4326d2c47379d259b1709a840ad2f11d",
            Convert.ToHexStringLower(files["tile/0/000.p/3"]));
        Assert.Equal("PbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=", Convert.ToBase64String(root));
    }

    /// <summary>The example of the specification: 273 full tiles and 112 hashes, one full tile and 17, one hash.</summary>
    [Fact]
    public void Seventy_thousand_entries_make_the_tiles_of_the_specifications_example()
    {
        var files = Tiles(70_000, out byte[] root, out byte[][] leaves);
        string[] expected =
        [
            .. Enumerable.Range(0, 273).Select(i => $"tile/0/{i:D3}"), "tile/0/273.p/112",
            .. Enumerable.Range(0, 273).Select(i => $"tile/entries/{i:D3}"), "tile/entries/273.p/112",
            "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1",
        ];
        Assert.Equal(expected.Order(StringComparer.Ordinal), files.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(Merkle.Root(leaves), root);
        Assert.Equal(Merkle.Root(leaves[..65_536]), files["tile/2/000.p/1"]);
        Assert.Equal(Merkle.Root(leaves[(255 * 256)..(256 * 256)]), files["tile/1/000"][(255 * 32)..]);
        Assert.Equal(leaves[69_999], files["tile/0/273.p/112"][(111 * 32)..]);
        Assert.Equal(8_192, files["tile/0/100"].Length);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(257)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    public void No_tile_is_empty_and_the_root_is_that_of_the_tree(int count)
    {
        var files = Tiles(count, out byte[] root, out byte[][] leaves);
        Assert.DoesNotContain(files.Values, f => f.Length == 0);
        Assert.Equal(count * 32, files.Where(f => f.Key.StartsWith("tile/0/", StringComparison.Ordinal)).Sum(f => f.Value.Length));
        Assert.Equal(Merkle.Root(leaves), root);
    }

    [Fact]
    public void Subtrees_append_where_they_fit_and_nowhere_else()
    {
        byte[][] leaves = [.. Enumerable.Range(0, 70).Select(i => Merkle.Leaf([(byte)i]))];
        foreach (var (from, to) in (ReadOnlySpan<(int, int)>)[(0, 70), (64, 70), (5, 70), (33, 34), (6, 63)])
        {
            var tree = new MerkleFrontier();
            foreach (byte[] leaf in leaves[..from])
            {
                tree.Append(leaf);
            }

            foreach (var (start, count) in LedgerRange.Cover(from, to))
            {
                tree.AppendSubtree(System.Numerics.BitOperations.Log2((ulong)count), Merkle.Root(leaves[(int)start..(int)(start + count)]));
            }

            Assert.Equal(Merkle.Root(leaves[..to]), tree.Root());
        }

        var odd = new MerkleFrontier();
        odd.Append(leaves[0]);
        Assert.Throws<ArgumentException>(() => odd.AppendSubtree(1, leaves[1]));
    }

    [Fact]
    public void A_path_shows_the_root_at_its_own_leaf()
    {
        byte[][] leaves = [.. Enumerable.Range(0, 70).Select(i => Merkle.Leaf([(byte)i]))];
        for (int n = 1; n < 70; n++)
        {
            for (int i = 0; i < n; i++)
            {
                var path = Merkle.InclusionPath(i, n, (start, end) => Merkle.Root(leaves[(int)start..(int)end]));
                Assert.Equal(Merkle.Root(leaves[..(i + 1)]), Merkle.RootAt(i, n, leaves[i], path));
            }
        }
    }
}
