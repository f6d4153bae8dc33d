using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Evident.Vault;

namespace Evident.Tests.Vault;

public sealed class PayloadFormTests
{
    private static readonly byte[] Salt = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Fact]
    public void Commitment_vector()
    {
        byte[] commitment = new byte[32];
        PayloadCommitment.Compute(
            commitment, Salt, "t_9f3d"u8, "vr_01HZX0000000000000000000A"u8, "args"u8, """{"to":"alice@example.com"}"""u8);
        Assert.Equal("a181c0f2fc49b94793faf42097f895cdddefa140a1156072e717b6bb0bd66a1d", Convert.ToHexStringLower(commitment));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4096)]
    [InlineData(128 * 1024)]
    [InlineData(128 * 1024 + 1)]
    public void Commitment_is_hmac_sha_256_at_every_size(int size)
    {
        byte[] payload = TemporaryVault.Noise(size, size), prefix = new byte[256], commitment = new byte[32];
        int length = Binding.Commit(prefix, "scope"u8, "ref"u8, "role"u8);
        PayloadCommitment.Compute(commitment, Salt, "scope"u8, "ref"u8, "role"u8, payload);
        Assert.Equal(HMACSHA256.HashData(Salt, (byte[])[.. prefix[..length], .. payload]), commitment);
    }

    [Fact]
    public void Inflation_gives_exactly_the_declared_bytes_or_nothing()
    {
        byte[] bomb = new byte[1 << 20], plain = new byte[100_000_000];
        Assert.True(BrotliEncoder.TryCompress(plain, bomb, out int length, 9, 22));
        Assert.True(length < 1000);
        byte[] declared = new byte[4096];
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.False(Compression.TryInflate(bomb.AsSpan(0, length), declared));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);

        byte[] prose = TemporaryVault.Prose(4096), stored = new byte[4096];
        Assert.Equal(PayloadCodec.Brotli, Compression.Compress(prose, stored, out int small));
        Assert.True(small < 2048);
        Assert.True(Compression.TryInflate(stored.AsSpan(0, small), declared));
        Assert.Equal(prose, declared);
        Assert.False(Compression.TryInflate(stored.AsSpan(0, small), declared.AsSpan(1)));
        Assert.False(Compression.TryInflate(stored.AsSpan(0, small), new byte[4097]));
        Assert.False(Compression.TryInflate(stored.AsSpan(0, small + 1), declared));
        Assert.False(Compression.TryInflate(stored.AsSpan(0, small - 1), declared));
    }

    [Fact]
    public void What_does_not_get_smaller_is_stored_as_it_is()
    {
        Assert.Equal(PayloadCodec.Raw, Compression.Compress(TemporaryVault.Noise(4096, 3), new byte[4096], out _));
        Assert.Equal(PayloadCodec.Raw, Compression.Compress("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"u8, new byte[64], out _));
    }

    /// <summary>Pack record and wrap record, byte for byte: whoever changes the format changes its version and this test.</summary>
    [Fact]
    public void Record_vector()
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        var workspace = new WorkspaceEntry(0, "default", new byte[32]);
        var scope = new ScopeEntry(0, workspace, ScopeKind.Tenant, Convert.FromHexString("000102030405060708090a0b0c0d0e0f"), default, new byte[32], new byte[32]);
        byte[] random = [.. Enumerable.Range(0, 128).Select(i => (byte)i)], kek = [.. Enumerable.Range(128, 32).Select(i => (byte)i)];
        byte[] reference = new byte[29], commitment = new byte[32];
        using SealedBatch batch = vault.NewBatch();
        batch.Seal(
            scope, 7, kek, new PackName(false, 20_779), "tool.args", 1_795_240_800_000, random, """{"to":"alice@example.com"}"""u8, reference, commitment);
        byte[] wrap = batch.Records[0].Wrap.ToArray();
        new WrapRecord(wrap) { PackOffset = 4096 }.Finish();
        Assert.Equal("vr_00041061050R3GG28A1C60T3GF", Encoding.ASCII.GetString(reference));
        Assert.Equal("short-2026-11-22", batch.Records[0].Pack.ToString());
        Assert.Equal(CommitmentVector, Convert.ToHexStringLower(commitment));
        Assert.Equal(BodyVector, Convert.ToHexStringLower(batch.Records[0].Body.Span));
        Assert.Equal(WrapVector, Convert.ToHexStringLower(wrap));
        Assert.True(new WrapRecord(wrap).IsWhole);
    }

    private const string CommitmentVector = "d58740fa54ff3c732d4fa0e4c128dbad4509ba79d035e50d12cff9bd26f2a195";
    private const string BodyVector =
        "4556503100000062000102030405060708090a0b0c0d0e0f505152535455565758595a5b5c5d5e5f60616263646566674303a813dc8b1f56"
        + "6b4207b1adcc41618a3f0410bf944a7ef876d26993df25b02259e6b5d473ed2aa40c71e3a3509a022fd47acb4e86d443930fc74cc5da2544"
        + "2d58b6e0b850b5bea14b";
    private const string WrapVector =
        "45565731010000000000512b00000007000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f0000000000001000"
        + "000000620000001a0000001a00000000000001a1fcb0af00d58740fa54ff3c732d4fa0e4c128dbad4509ba79d035e50d12cff9bd26f2a195"
        + "09746f6f6c2e617267730000000000000000000000000000000000000000000068696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
        + "e834d8f4c785a3782d1aa17b82cd56e0c103be68de80ca58854333cf54a567e2c180672458a7c31b9a87a741e7e2c6daa70ab6152b40d148"
        + "7fac33c590207315ba1af056c4492bddca751f9984528b8c0000000077b5008d";
}
