using Evident.Vault;

namespace Evident.Tests.Vault;

/// <summary>What a crash leaves at the ends of a pack and its wraps.</summary>
public sealed class PackTailTests : IDisposable
{
    private readonly TemporaryVault directory = new();
    private readonly List<string> references = [];

    public PackTailTests()
    {
        using VaultStore vault = directory.Open();
        for (int i = 0; i < 3; i++)
        {
            references.Add(TemporaryVault.Put(vault, "acme", "input", TemporaryVault.Noise(1000 + i, i)));
        }
    }

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Every_cut_of_a_body_without_a_wrap_is_cut_before_the_next_append()
    {
        byte[] pack = File.ReadAllBytes(directory.ShortPack), wraps = File.ReadAllBytes(directory.ShortWraps);
        int bodies = 24 + (int)ChunkedEncryption.SealedLength(1000) + 24 + (int)ChunkedEncryption.SealedLength(1001);
        foreach (int length in new[] { bodies, bodies + 1, bodies + 23, bodies + 24, bodies + 100, pack.Length - 1, pack.Length })
        {
            File.WriteAllBytes(directory.ShortPack, pack[..length]);
            File.WriteAllBytes(directory.ShortWraps, wraps[..512]);
            using VaultStore vault = directory.Open();
            bool whole = length == pack.Length;
            Assert.Equal((2L, whole ? 1L : 0L, (long)(length - bodies)), Counts(vault));
            Assert.Equal(VaultErrorKind.NotFound, VaultStoreTests.Kind(() => vault.Read(references[2])));
            string added = TemporaryVault.Put(vault, "acme", "input", TemporaryVault.Noise(500, 9));
            Assert.Equal(TemporaryVault.Noise(500, 9), vault.Read(added).Plaintext);
            AllReadable(vault, 2);
            Assert.Equal((3L, whole ? 1L : 0L, whole ? pack.Length - bodies : 0L), Counts(vault)); // an orphan stays counted, a torn rest is gone
        }
    }

    [Fact]
    public void Every_cut_of_the_last_wrap_loses_that_one_only()
    {
        byte[] pack = File.ReadAllBytes(directory.ShortPack), wraps = File.ReadAllBytes(directory.ShortWraps);
        for (int length = 512; length < 768; length += 17)
        {
            File.WriteAllBytes(directory.ShortPack, pack);
            File.WriteAllBytes(directory.ShortWraps, wraps[..length]);
            using VaultStore vault = directory.Open();
            AllReadable(vault, 2);
            Assert.Equal(VaultErrorKind.NotFound, VaultStoreTests.Kind(() => vault.Read(references[2])));
            string added = TemporaryVault.Put(vault, "acme", "input", [5]);
            Assert.Equal([5], vault.Read(added).Plaintext);
            AllReadable(vault, 2);
            Assert.Equal(768, new FileInfo(directory.ShortWraps).Length);
            Assert.Equal(1, vault.Status().OrphanBodies);
        }
    }

    [Fact]
    public void Zeros_where_a_block_never_reached_the_disk_are_passed_over()
    {
        byte[] wraps = File.ReadAllBytes(directory.ShortWraps);
        wraps.AsSpan(512).Clear();
        File.WriteAllBytes(directory.ShortWraps, wraps);
        using VaultStore vault = directory.Open();
        AllReadable(vault, 2);
        string added = TemporaryVault.Put(vault, "acme", "input", [5]);
        Assert.Equal([5], vault.Read(added).Plaintext);
        AllReadable(vault, 2);
    }

    [Fact]
    public void A_damaged_last_wrap_never_costs_the_body_of_another()
    {
        byte[] wraps = File.ReadAllBytes(directory.ShortWraps), pack = File.ReadAllBytes(directory.ShortPack);
        byte[] damaged = [.. wraps];
        damaged[^1] ^= 1;
        File.WriteAllBytes(directory.ShortWraps, damaged);
        using (VaultStore vault = directory.Open())
        {
            Assert.Equal(VaultErrorKind.Tampered, VaultStoreTests.Kind(() => vault.Read(references[2])));
            TemporaryVault.Put(vault, "acme", "input", [5]);
        }

        Assert.Equal(pack, File.ReadAllBytes(directory.ShortPack)[..pack.Length]);
        byte[] repaired = File.ReadAllBytes(directory.ShortWraps);
        repaired[767] ^= 1;
        File.WriteAllBytes(directory.ShortWraps, repaired);
        using VaultStore again = directory.Open();
        AllReadable(again, 3);
    }

    [Theory]
    [InlineData("pack.sync")]
    [InlineData("wraps.write")]
    [InlineData("wraps.sync")]
    public void A_crash_between_bodies_and_wraps_leaves_orphans_at_most(string crashAt)
    {
        bool armed = false;
        using (VaultStore vault = directory.Open(step => { if (armed && step == crashAt) throw new InvalidOperationException(step); }))
        {
            armed = true;
            Assert.Equal(VaultErrorKind.Poisoned, VaultStoreTests.Kind(() => TemporaryVault.Put(vault, "acme", "input", TemporaryVault.Noise(300, 1))));
        }

        using VaultStore again = directory.Open();
        AllReadable(again, 3);
        bool wrapped = crashAt == "wraps.sync"; // the file system kept what was written without being asked to
        Assert.Equal(wrapped ? (4L, 0L) : (3L, 1L), (again.Status().Wraps, again.Status().OrphanBodies));
        Assert.Equal([5], again.Read(TemporaryVault.Put(again, "acme", "input", [5])).Plaintext);
        AllReadable(again, 3);
    }

    private void AllReadable(VaultStore vault, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Assert.Equal(TemporaryVault.Noise(1000 + i, i), vault.Read(references[i]).Plaintext);
        }
    }

    private static (long Wraps, long OrphanBodies, long OrphanBytes) Counts(VaultStore vault)
    {
        VaultStatus status = vault.Status();
        return (status.Wraps, status.OrphanBodies, status.OrphanBytes);
    }
}
