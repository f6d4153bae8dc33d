using System.Text;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Tests.Vault;

public sealed class KeystoreTests
{
    private sealed class Crash : Exception;

    /// <summary>
    /// Step at which a rewrite for a new tenant is interrupted, and whether that tenant exists afterwards. Whatever the row, what was
    /// acknowledged before stays readable and one generation is left.
    /// </summary>
    [Theory]
    [InlineData("ksk.written", false)]
    [InlineData("keystore.written", true)]
    [InlineData("ksk.destroyed", true)]
    [InlineData("keystore.destroyed", true)]
    public void A_crash_at_each_step_loses_nothing_and_is_finished_at_the_next_open(string crashAt, bool newScopeIsThere)
    {
        using var directory = new TemporaryVault();
        string payload, oldScope;
        using (VaultStore vault = directory.Open())
        {
            payload = TemporaryVault.Put(vault, "acme", "input", [1, 2, 3]);
            oldScope = vault.ResolveScope("default", "acme"u8).Id;
        }

        bool armed = false;
        using (VaultStore vault = directory.Open(step => { if (armed && step == crashAt) throw new Crash(); }))
        {
            armed = true;
            Assert.Equal(VaultErrorKind.Poisoned, VaultStoreTests.Kind(() => vault.ResolveScope("default", "globex"u8)));
            armed = false;
            Assert.Equal(VaultErrorKind.Poisoned, VaultStoreTests.Kind(() => vault.Read(payload)));
        }

        using (VaultStore vault = directory.Open())
        {
            AssertOneGeneration(directory, vault.Status().Generation);
            Assert.Equal([1, 2, 3], vault.Read(payload).Plaintext);
            Assert.Equal(oldScope, vault.ResolveScope("default", "acme"u8).Id);
            Assert.Equal(newScopeIsThere ? 2 : 1, vault.Status().Scopes);
            Assert.Equal([9], vault.Read(TemporaryVault.Put(vault, "globex", "input", [9])).Plaintext);
        }
    }

    [Theory]
    [InlineData("ksk.written")]
    [InlineData("keystore.written")]
    public void A_crash_while_the_vault_is_created_is_made_good(string crashAt)
    {
        using var directory = new TemporaryVault();
        Assert.Throws<Crash>(() => directory.Open(step => { if (step == crashAt) throw new Crash(); }));
        using VaultStore vault = directory.Open();
        Assert.Equal([1], vault.Read(TemporaryVault.Put(vault, "acme", "input", [1])).Plaintext);
        AssertOneGeneration(directory, vault.Status().Generation);
    }

    /// <summary>Crashes inside a step: half written temporaries, a half overwritten key, and a recovery that is interrupted itself.</summary>
    [Fact]
    public void Leftovers_of_half_done_steps_are_swept()
    {
        using var directory = new TemporaryVault();
        string payload;
        using (VaultStore vault = directory.Open())
        {
            payload = TemporaryVault.Put(vault, "acme", "input", [1]);
        }

        string ksk = Directory.GetFiles(directory.KeysDirectory, "ksk.g*").Single(), keystore = Directory.GetFiles(directory.VaultDirectory, "keystore.g*").Single();
        byte[] oldKsk = File.ReadAllBytes(ksk), oldKeystore = File.ReadAllBytes(keystore);
        using (VaultStore vault = directory.Open())
        {
            vault.ResolveScope("default", "globex"u8);
        }

        oldKsk.AsSpan(0, 50).Fill(0x77); // overwritten, not yet unlinked
        File.WriteAllBytes(ksk, oldKsk);
        File.WriteAllBytes(keystore, oldKeystore);
        File.WriteAllBytes(Path.Combine(directory.KeysDirectory, "ksk.g99.tmp"), [1, 2, 3]);
        File.WriteAllBytes(Path.Combine(directory.VaultDirectory, "keystore.g99.tmp"), [1, 2, 3]);
        Assert.Throws<Crash>(() => directory.Open(step => throw new Crash()));
        using (VaultStore vault = directory.Open())
        {
            AssertOneGeneration(directory, vault.Status().Generation);
            Assert.Equal([1], vault.Read(payload).Plaintext);
            Assert.Equal(2, vault.Status().Scopes);
        }
    }

    [Theory]
    [InlineData("ksk.write")]
    [InlineData("keystore.write")]
    public void A_full_disk_before_the_commit_point_costs_the_new_scope_only(string failing)
    {
        using var directory = new TemporaryVault();
        bool full = false;
        using VaultStore vault = directory.Open(step => { if (full && step == failing) throw new PosixException("write", "key", 28); });
        string payload = TemporaryVault.Put(vault, "acme", "input", [1]);
        long generation = vault.Status().Generation;
        int keys = vault.Status().KeyCount;
        full = true;
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal(VaultErrorKind.DiskFull, VaultStoreTests.Kind(() => vault.ResolveScope("default", "globex"u8)));
        }

        Assert.Equal((generation, 1, keys), (vault.Status().Generation, vault.Status().Scopes, vault.Status().KeyCount));
        Assert.Equal([1], vault.Read(payload).Plaintext);
        full = false;
        string later = TemporaryVault.Put(vault, "globex", "input", [2]);
        Assert.Equal([2], vault.Read(later).Plaintext);
        Assert.Equal([1], vault.Read(payload).Plaintext);
        AssertOneGeneration(directory, vault.Status().Generation);
        vault.Dispose();
        using VaultStore again = directory.Open();
        Assert.Equal([1], again.Read(payload).Plaintext);
        Assert.Equal([2], again.Read(later).Plaintext);
    }

    [Fact]
    public void Slots_given_back_are_used_again()
    {
        using var slots = new SecretSlots();
        byte[] Key(int i) => [.. Enumerable.Repeat((byte)i, 32)];
        for (int i = 0; i < 3000; i++)
        {
            Assert.Equal(i, slots.Add(Key(i % 251)));
        }

        slots.CutTo(1500);
        Assert.Equal(1500, slots.Add(Key(255)));
        Assert.Equal((1501, (byte)255, (byte)(1499 % 251), (byte)0), (slots.Count, slots[1500][0], slots[1499][31], slots[1501][0]));
    }

    [Fact]
    public void A_newest_generation_that_does_not_open_gives_way_to_the_one_before_it()
    {
        using var directory = new TemporaryVault();
        string payload;
        using (VaultStore vault = directory.Open())
        {
            payload = TemporaryVault.Put(vault, "acme", "input", [1]);
        }

        Assert.Throws<VaultException>(() =>
        {
            using VaultStore vault = directory.Open(step => { if (step == "keystore.written") throw new Crash(); });
            vault.ResolveScope("default", "globex"u8);
        });
        string newest = Newest(directory);
        byte[] content = File.ReadAllBytes(newest);
        content[100] ^= 1;
        File.WriteAllBytes(newest, content);
        using (VaultStore vault = directory.Open())
        {
            Assert.Equal([1], vault.Read(payload).Plaintext);
            Assert.Equal(1, vault.Status().Scopes);
            Assert.True(File.Exists(newest));
            Assert.Equal([9], vault.Read(TemporaryVault.Put(vault, "globex", "input", [9])).Plaintext);
            AssertOneGeneration(directory, vault.Status().Generation);
        }
    }

    [Fact]
    public void What_does_not_open_is_refused_and_nothing_is_changed()
    {
        using var directory = new TemporaryVault();
        using (VaultStore vault = directory.Open())
        {
            TemporaryVault.Put(vault, "acme", "input", [1]);
        }

        string master = Path.Combine(directory.KeysDirectory, "master.key"), keystore = Newest(directory);
        string ksk = Directory.GetFiles(directory.KeysDirectory, "ksk.g*").Single();
        foreach (string path in new[] { master, keystore, ksk })
        {
            byte[] content = File.ReadAllBytes(path);
            foreach (int at in new[] { 0, 8, 16, 17, content.Length / 2, content.Length - 1 })
            {
                byte[] changed = [.. content];
                changed[at] ^= 1;
                AssertRefused(() => File.WriteAllBytes(path, changed), () => File.WriteAllBytes(path, content));
            }

            AssertRefused(() => File.WriteAllBytes(path, content[..^1]), () => File.WriteAllBytes(path, content));
            AssertRefused(() => File.Move(path, path + "~"), () => File.Move(path + "~", path));
        }

        AssertRefused(() => SetMode(UnixFileMode.UserRead | UnixFileMode.GroupRead), () => SetMode(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        directory.Open().Dispose();

        void AssertRefused(Action damage, Action repair)
        {
            damage();
            var before = Snapshot();
            Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => directory.Open()));
            Assert.Equal(before, Snapshot());
            repair();
        }

        void SetMode(UnixFileMode mode)
        {
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(master, mode);
            }
        }

        List<(string, string)> Snapshot() => [.. directory.Files().Select(f => (f.Path, Convert.ToHexString(f.Content))).Order()];
    }

    [Fact]
    public void A_restored_older_generation_is_refused_by_the_floor_and_by_its_destroyed_key()
    {
        using var directory = new TemporaryVault();
        long generation;
        string backup = directory.VaultDirectory + ".backup";
        using (VaultStore vault = directory.Open())
        {
            vault.ResolveScope("default", "acme"u8);
            Directory.CreateDirectory(backup);
            File.Copy(Newest(directory), Path.Combine(backup, Path.GetFileName(Newest(directory))));
            vault.ResolveScope("default", "globex"u8);
            generation = vault.Status().Generation;
        }

        directory.Open(floor: generation).Dispose();
        Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => directory.Open(floor: generation + 1)));
        File.Delete(Newest(directory));
        foreach (string file in Directory.GetFiles(backup))
        {
            File.Copy(file, Path.Combine(directory.VaultDirectory, Path.GetFileName(file)));
        }

        Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => directory.Open()));
    }

    [Fact]
    public void Many_tenants_cost_few_generations_and_survive()
    {
        using var directory = new TemporaryVault { MaxScopes = 2000 };
        var tenants = Enumerable.Range(0, 1000).Select(i => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes($"tenant-{i}")).ToList();
        List<VaultScope> scopes;
        using (VaultStore vault = directory.Open())
        {
            vault.PrepareScopes("default", tenants);
            scopes = [.. tenants.Select(t => vault.ResolveScope("default", t.Span))];
            using SealedBatch batch = vault.NewBatch();
            scopes.ForEach(scope => TemporaryVault.Seal(batch, scope, "input", [1], keepLong: true, out _));
            Assert.Equal(2, vault.Status().Generation);
            directory.Clock.UnixMillis += StandingClock.Day;
            scopes.ForEach(scope => TemporaryVault.Seal(batch, scope, "input", [1], keepLong: false, out _));
            Assert.Equal(2, vault.Status().Generation);
            directory.Clock.UnixMillis += StandingClock.Day;
            scopes.ForEach(scope => TemporaryVault.Seal(batch, scope, "input", [1], keepLong: false, out _));
            Assert.Equal(3, vault.Status().Generation);
        }

        using VaultStore again = directory.Open();
        foreach (var (tenant, scope) in tenants.Zip(scopes))
        {
            VaultScope same = again.ResolveScope("default", tenant.Span);
            Assert.Equal((scope.Id, scope.Workspace), (same.Id, same.Workspace));
            Assert.Equal(scope.PseudonymKey, same.PseudonymKey);
            Assert.Equal(scope.FingerprintKey, same.FingerprintKey);
            Assert.Equal(scope.StaffKey, same.StaffKey);
        }

        Assert.Equal(1000, scopes.Select(s => s.Id).Distinct().Count());
        Assert.Equal(1000, scopes.Select(s => Convert.ToHexString(s.PseudonymKey)).Distinct().Count());
        Assert.Single(scopes.Select(s => Convert.ToHexString(s.StaffKey)).Distinct());
    }

    [Fact]
    public async Task Many_threads_get_one_scope_per_tenant()
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        var found = new System.Collections.Concurrent.ConcurrentDictionary<(int Tenant, string Id), bool>();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(() =>
        {
            for (int i = 0; i < 40; i++)
            {
                int tenant = (i * 7 + thread * 3) % 40;
                found[(tenant, vault.ResolveScope("default", Encoding.UTF8.GetBytes($"t{tenant}")).Id)] = true;
            }
        })));
        Assert.Equal(40, found.Count);
        Assert.Equal(40, vault.Status().Scopes);
        Assert.True(vault.Status().Generation <= 41);
    }

    [Fact]
    public void At_the_cap_tenants_share_their_workspaces_overflow_scope()
    {
        using var directory = new TemporaryVault { MaxScopes = 3 };
        string overflow, other;
        using (VaultStore vault = directory.Open())
        {
            string[] own = [.. Enumerable.Range(0, 3).Select(i => vault.ResolveScope("default", [(byte)i]).Id)];
            overflow = vault.ResolveScope("default", [3]).Id;
            Assert.DoesNotContain(overflow, own);
            Assert.Equal(overflow, vault.ResolveScope("default", new byte[5000]).Id);
            Assert.Equal(own[0], vault.ResolveScope("default", [0]).Id);
            other = vault.ResolveScope("second", [0]).Id; // a workspace that comes after the cap still has its own
            Assert.NotEqual(overflow, other);
            Assert.Equal((3, true), (vault.Status().Scopes, vault.Status().ScopesFull));
            Assert.Equal([7], vault.Read(TemporaryVault.Put(vault, "one more", "input", [7])).Plaintext);
        }

        using VaultStore again = directory.Open();
        Assert.Equal((overflow, other), (again.ResolveScope("default", [99]).Id, again.ResolveScope("second", [99]).Id));
    }

    [Fact]
    public void Workspace_and_tenant_cannot_be_shifted_into_each_other()
    {
        using var directory = new TemporaryVault();
        using VaultStore vault = directory.Open();
        string[] ids = [vault.ResolveScope("a", "bc"u8).Id, vault.ResolveScope("ab", "c"u8).Id, vault.ResolveScope("abc", []).Id, vault.ResolveScope("a", []).Id];
        Assert.Equal(4, ids.Distinct().Count());
        Assert.All(ids, id => Assert.Matches("^[0-9a-f]{32}$", id));
        Assert.Throws<ArgumentException>(() => vault.ResolveScope("", "x"u8));
        Assert.Throws<ArgumentException>(() => vault.ResolveScope(new string('w', 129), "x"u8));
    }

    private static string Newest(TemporaryVault directory) =>
        Directory.GetFiles(directory.VaultDirectory, "keystore.g*").MaxBy(p => int.Parse(Path.GetExtension(p)[2..], System.Globalization.CultureInfo.InvariantCulture))!;

    private static void AssertOneGeneration(TemporaryVault directory, long generation)
    {
        Assert.Equal([$"keystore.g{generation}"], Directory.GetFiles(directory.VaultDirectory, "keystore*").Select(Path.GetFileName));
        Assert.Equal([$"ksk.g{generation}", "master.key"], Directory.GetFiles(directory.KeysDirectory).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }
}
