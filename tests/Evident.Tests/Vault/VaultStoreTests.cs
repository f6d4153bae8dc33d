using System.Text;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Tests.Vault;

public sealed class VaultStoreTests
{
    [Fact]
    public void Payloads_of_every_size_come_back_from_the_same_and_from_a_new_process()
    {
        using var directory = new TemporaryVault();
        int[] sizes =
        [
            0, 1, 63, 64, 65, 4096, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 40_000, 300_000,
            .. Enumerable.Range(0, 200).Select(i => new Random(i).Next(40_001)),
        ];
        var stored = new List<(string Ref, string Role, byte[] Payload, byte[] Commitment)>();
        using (VaultStore vault = directory.Open())
        {
            VaultScope scope = vault.ResolveScope("default", "acme"u8);
            using SealedBatch batch = vault.NewBatch();
            foreach (int size in sizes)
            {
                byte[] payload = size % 2 == 0 ? TemporaryVault.Noise(size, size) : TemporaryVault.Prose(size);
                string role = size % 3 == 0 ? "tool.args" : "output.messages";
                stored.Add((TemporaryVault.Seal(batch, scope, role, payload, size % 5 == 0, out byte[] commitment), role, payload, commitment));
            }

            vault.Append(batch.Records);
            vault.Sync();
            Check(vault);
        }

        using (VaultStore again = directory.Open())
        {
            Check(again);
        }

        void Check(VaultStore vault)
        {
            foreach (var (reference, role, payload, commitment) in stored)
            {
                VaultPayload read = vault.Read(reference);
                Assert.Equal(payload, read.Plaintext);
                Assert.Equal((reference, role), (read.Ref, read.Role));
                Assert.Equal(commitment, read.Commitment);
                Assert.Equal(directory.Clock.UnixMillis, read.CreatedUnixMillis);
                Assert.Equal(payload.Length % 5 == 0 ? "2026-12-21" : "2026-11-22", read.ExpiryDay);
                VaultRecordInfo info = vault.Find(reference);
                Assert.Equal((role, read.ScopeId, (long)payload.Length, read.ExpiryDay), (info.Role, info.ScopeId, info.PlainBytes, info.ExpiryDay));
                Assert.Equal(commitment, info.Commitment);
            }

            VaultStatus status = vault.Status();
            Assert.Equal((stored.Count, 2, 0L, 0L), (status.Wraps, status.Packs, status.OrphanBodies, status.OrphanBytes));
        }
    }

    [Fact]
    public void Equal_payloads_look_different_everywhere()
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        using SealedBatch batch = vault.NewBatch();
        VaultScope scope = vault.ResolveScope("default", "acme"u8);
        byte[] payload = TemporaryVault.Prose(100);
        string one = TemporaryVault.Seal(batch, scope, "input", payload, false, out byte[] first);
        string two = TemporaryVault.Seal(batch, scope, "input", payload, false, out byte[] second);
        Assert.NotEqual(one, two);
        Assert.NotEqual(first, second);
        Assert.NotEqual(batch.Records[0].Body.ToArray()[24..], batch.Records[1].Body.ToArray()[24..]);
    }

    [Fact]
    public void Neither_plaintext_nor_key_nor_tenant_is_in_any_file()
    {
        using var directory = new TemporaryVault();
        byte[] payload = Encoding.ASCII.GetBytes("CANARY-payload-" + new string('x', 20) + "-TAIL");
        byte[] random = TemporaryVault.Noise(128, 11);
        using (VaultStore vault = directory.Open())
        {
            VaultScope scope = vault.ResolveScope("default", "CANARY-tenant"u8);
            Kek kek = vault.KekFor(scope.Id, directory.Clock.UnixMillis, keepLong: false);
            using SealedBatch batch = vault.NewBatch();
            batch.Seal(
                kek.Scope, kek.Id, kek.Key, new PackName(false, kek.Day), "input", directory.Clock.UnixMillis, random, payload, new byte[29], new byte[32]);
            vault.Append(batch.Records);
            vault.Sync();
            byte[][] secrets =
            [
                payload, payload[..15], "CANARY-tenant"u8.ToArray(), random[16..48] /* DEK */, random[48..80] /* salt */, kek.Key.ToArray(),
                scope.PseudonymKey, scope.FingerprintKey, scope.StaffKey,
            ];
            foreach (var (path, content) in directory.Files())
            {
                Assert.All(secrets, secret => Assert.True(content.AsSpan().IndexOf(secret) < 0, path));
                Assert.DoesNotContain("CANARY", path, StringComparison.Ordinal);
                Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(path) == (UnixFileMode.UserRead | UnixFileMode.UserWrite), path);
            }

            // the search would have found them: reference and body salt are there
            Assert.Contains(directory.Files(), file => file.Content.AsSpan().IndexOf(random.AsSpan(0, 16)) >= 0);
            Assert.Contains(directory.Files(), file => file.Content.AsSpan().IndexOf(random.AsSpan(80, 24)) >= 0);
        }
    }

    [Fact]
    public void A_payload_opens_through_its_last_day_and_not_after()
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        string brief = TemporaryVault.Put(vault, "acme", "input", [1, 2, 3]), kept = TemporaryVault.Put(vault, "acme", "input", [4], keepLong: true);
        long midnight = directory.Clock.UnixMillis / StandingClock.Day * StandingClock.Day;
        directory.Clock.UnixMillis = midnight + 2 * StandingClock.Day - 1;
        Assert.Equal([1, 2, 3], vault.Read(brief).Plaintext);
        directory.Clock.UnixMillis++;
        Assert.Equal(VaultErrorKind.Expired, Kind(() => vault.Read(brief)));
        Assert.Equal(VaultErrorKind.Expired, Kind(() => vault.Find(brief)));
        Assert.Equal([4], vault.Read(kept).Plaintext);
        Assert.Equal(1, vault.Status().ExpiredPacks);
        directory.Clock.UnixMillis = midnight; // a clock that jumped and came back destroyed nothing
        Assert.Equal([1, 2, 3], vault.Read(brief).Plaintext);
    }

    [Theory]
    [InlineData("", VaultErrorKind.Malformed)]
    [InlineData("vr_", VaultErrorKind.Malformed)]
    [InlineData("../../../etc/passwd-0000000000", VaultErrorKind.Malformed)]
    [InlineData("vr_8ZZZZZZZZZZZZZZZZZZZZZZZZZ", VaultErrorKind.Malformed)]
    [InlineData("vr_0000000000000000000000000u", VaultErrorKind.Malformed)]
    [InlineData("VR_00000000000000000000000000", VaultErrorKind.Malformed)]
    [InlineData("vr_00000000000000000000000000", VaultErrorKind.NotFound)]
    public void Strange_references_are_refused(string reference, VaultErrorKind kind)
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        TemporaryVault.Put(vault, "acme", "input", [1]);
        Assert.Equal(kind, Kind(() => vault.Read(reference)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Tool.Args")]
    [InlineData("a b")]
    [InlineData("é")]
    [InlineData("a234567890123456789012345678901x")]
    public void A_role_is_one_of_ours(string role)
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        Assert.Throws<ArgumentException>(() => TemporaryVault.Put(vault, "acme", role, [1]));
        using SealedBatch batch = vault.NewBatch();
        var foreign = new VaultScope(new string('0', 32), "default", [], [], []);
        Assert.Throws<ArgumentException>(() => TemporaryVault.Seal(batch, foreign, "input", [1], false, out _));
    }

    [Fact]
    public void Nothing_is_readable_before_the_sync_and_the_batch_may_be_freed_before_it()
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        VaultScope scope = vault.ResolveScope("default", "acme"u8);
        var references = new List<string>();
        for (int i = 0; i < 50; i++)
        {
            using SealedBatch batch = vault.NewBatch();
            references.Add(TemporaryVault.Seal(batch, scope, "input", TemporaryVault.Noise(20_000, i), false, out _));
            vault.Append(batch.Records);
        }

        Assert.Equal(VaultErrorKind.NotFound, Kind(() => vault.Read(references[0])));
        Assert.Equal(0, vault.Status().OrphanBodies);
        vault.Sync();
        Assert.All(references.Index(), r => Assert.Equal(TemporaryVault.Noise(20_000, r.Index), vault.Read(r.Item).Plaintext));
    }

    [Theory]
    [InlineData("pack.sync")]
    [InlineData("wraps.write")]
    [InlineData("wraps.sync")]
    public void A_failed_sync_poisons_and_a_new_process_goes_on(string failing)
    {
        using var directory = new TemporaryVault();
        string before;
        using (VaultStore vault = directory.Open())
        {
            before = TemporaryVault.Put(vault, "acme", "input", [1]);
        }

        bool armed = false;
        using (VaultStore vault = directory.Open(step => { if (armed && step == failing) throw new PosixException("fdatasync", "pack", 5); }))
        {
            VaultScope scope = vault.ResolveScope("default", "acme"u8);
            armed = true;
            Assert.Equal(VaultErrorKind.Poisoned, Kind(() => TemporaryVault.Put(vault, "acme", "input", [2])));
            armed = false;
            Assert.Equal(VaultErrorKind.Poisoned, Kind(vault.Sync));
            Assert.Equal(VaultErrorKind.Poisoned, Kind(() => vault.Append([])));
            Assert.Equal(VaultErrorKind.Poisoned, Kind(() => vault.Read(before)));
            Assert.Equal(VaultErrorKind.Poisoned, Kind(() => vault.ResolveScope("default", "acme"u8)));
            using SealedBatch batch = vault.NewBatch();
            Assert.Equal(VaultErrorKind.Poisoned, Kind(() => TemporaryVault.Seal(batch, scope, "input", [1], false, out _)));
            Assert.True(vault.Status().Poisoned);
        }

        using VaultStore again = directory.Open();
        Assert.Equal([1], again.Read(before).Plaintext);
        Assert.Equal([3], again.Read(TemporaryVault.Put(again, "acme", "input", [3])).Plaintext);
    }

    [Fact]
    public void A_full_disk_refuses_the_batch_and_the_vault_goes_on()
    {
        using var directory = new TemporaryVault();
        bool full = false;
        using VaultStore vault = directory.Open(step => { if (full && step == "wraps.write") throw new PosixException("write", "wraps", 28); });
        string before = TemporaryVault.Put(vault, "acme", "input", [1]);
        long packLength = new FileInfo(directory.ShortPack).Length;
        full = true;
        Assert.Equal(VaultErrorKind.DiskFull, Kind(() => TemporaryVault.Put(vault, "acme", "input", TemporaryVault.Noise(1000, 1))));
        Assert.Equal(packLength, new FileInfo(directory.ShortPack).Length);
        full = false;
        string after = TemporaryVault.Put(vault, "acme", "input", [2]);
        Assert.Equal([1], vault.Read(before).Plaintext);
        Assert.Equal([2], vault.Read(after).Plaintext);
        Assert.Equal((2L, 0L, false), (vault.Status().Wraps, vault.Status().OrphanBytes, vault.Status().Poisoned));
    }

    [Fact]
    public void Many_days_pass_in_one_process()
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        var kept = new List<string>();
        for (int day = 0; day < 12; day++)
        {
            TemporaryVault.Put(vault, "acme", "input", [(byte)day]);
            kept.Add(TemporaryVault.Put(vault, "acme", "input", [(byte)day], keepLong: true));
            directory.Clock.UnixMillis += StandingClock.Day;
        }

        Assert.All(kept.Index(), k => Assert.Equal([(byte)k.Index], vault.Read(k.Item).Plaintext));
        VaultStatus status = vault.Status();
        Assert.Equal((24, 24L, 0L), (status.Packs, status.Wraps, status.OrphanBytes));
        Assert.True(status.Generation <= 8, $"{status.Generation} generations: keys for the next day were not made ahead.");
    }

    internal static VaultErrorKind Kind(Action act) => Assert.Throws<VaultException>(act).Kind;
}
