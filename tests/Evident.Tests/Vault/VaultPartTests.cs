using System.Security.Cryptography;
using System.Text;
using Evident.Vault;

namespace Evident.Tests.Vault;

/// <summary>Parts of payloads: what a range gives back is what the whole has there, and nothing that was changed is given back.</summary>
public sealed class VaultPartTests
{
    public static TheoryData<string, int> Payloads => new()
    {
        { "noise", 0 }, { "noise", 1 }, { "noise", 16_383 }, { "noise", 16_384 }, { "noise", 16_385 }, { "noise", 200_001 },
        { "prose", 63 }, { "prose", 16_384 }, { "prose", 400_000 }, { "both", 300_000 },
    };

    private static byte[] Payload(string kind, int length) => kind switch
    {
        "noise" => TemporaryVault.Noise(length, length),
        "prose" => TemporaryVault.Prose(length),
        _ => [.. TemporaryVault.Prose(length - 60_000), .. TemporaryVault.Noise(60_000, 7)], // compressed, and still of several chunks
    };

    [Theory]
    [MemberData(nameof(Payloads))]
    public void A_part_is_what_the_whole_has_there(string kind, int length)
    {
        using var directory = new TemporaryVault();
        byte[] payload = Payload(kind, length);
        using var vault = directory.Open();
        string reference = TemporaryVault.Put(vault, "acme", "input", payload);
        var random = new Random(length);
        int[] edges = [0, 1, 16_383, 16_384, 16_385, length / 2, length - 1, length, length + 1];
        var ranges = new List<(int First, int Count)>();
        foreach (int first in edges.Where(static e => e >= 0))
        {
            ranges.AddRange(edges.Where(static e => e >= 0).Select(count => (first, count)));
        }

        for (int i = 0; i < 40; i++)
        {
            ranges.Add((random.Next(length + 2), random.Next(length + 2)));
        }

        foreach (var (first, count) in ranges)
        {
            byte[] expected = payload.AsSpan(Math.Min(first, length), Math.Max(0, Math.Min(count, length - first))).ToArray();
            Assert.Equal(expected, vault.Read(reference, first, count).Plaintext);
        }
    }

    [Theory]
    [InlineData("noise")]
    [InlineData("both")]
    public void A_changed_chunk_is_refused_by_every_part_that_needs_it(string kind)
    {
        using var directory = new TemporaryVault();
        byte[] payload = Payload(kind, 300_000);
        string reference;
        using (var vault = directory.Open())
        {
            reference = TemporaryVault.Put(vault, "acme", "input", payload);
        }

        byte[] pack = File.ReadAllBytes(directory.ShortPack);
        pack[24 + 56 + 16_400 + 5] ^= 1; // in the second chunk of the body
        File.WriteAllBytes(directory.ShortPack, pack);
        using var again = directory.Open();
        Assert.Equal(VaultErrorKind.Tampered, VaultStoreTests.Kind(() => again.Read(reference, 0, payload.Length)));
        if (kind == "both")
        {
            Assert.Equal(VaultErrorKind.Tampered, VaultStoreTests.Kind(() => again.Read(reference, payload.Length - 10, 10))); // inflated from the start
        }
        else
        {
            Assert.Equal(payload[..16_384], again.Read(reference, 0, 16_384).Plaintext); // of a body that is not compressed the other chunks stand
            Assert.Equal(VaultErrorKind.Tampered, VaultStoreTests.Kind(() => again.Read(reference, 16_380, 10)));
        }
    }

    [Fact]
    public void The_newest_wrap_is_found_among_many_whatever_was_appended_taken_back_or_removed()
    {
        using var directory = new TemporaryVault();
        bool full = false;
        using var vault = directory.Open(step =>
        {
            if (full && step == "wraps.sync")
            {
                throw new Evident.Platform.PosixException("write", directory.ShortWraps, 28); // ENOSPC: what was written since the last sync is cut off again
            }
        });
        var known = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        var random = new Random(5);
        for (int round = 0; round < 60; round++)
        {
            using (SealedBatch batch = vault.NewBatch())
            {
                var scope = vault.ResolveScope("default", "acme"u8);
                var fresh = new Dictionary<string, byte[]>(StringComparer.Ordinal);
                for (int i = random.Next(1, 300); i > 0; i--)
                {
                    byte[] payload = TemporaryVault.Noise(20, random.Next());
                    fresh[TemporaryVault.Seal(batch, scope, "input", payload, keepLong: random.Next(3) == 0, out _)] = payload;
                }

                full = round % 5 == 4;
                vault.Append(batch.Records);
                if (full)
                {
                    Assert.Equal(VaultErrorKind.DiskFull, VaultStoreTests.Kind(vault.Sync));
                    Assert.All(fresh.Keys.Take(3), r => Assert.Equal(VaultErrorKind.NotFound, VaultStoreTests.Kind(() => vault.Read(r))));
                }
                else
                {
                    vault.Sync();
                    foreach (var (reference, payload) in fresh) known[reference] = payload;
                }
            }

            foreach (var (reference, payload) in known.Where(_ => random.Next(100) == 0))
            {
                Assert.Equal(payload, vault.Read(reference).Plaintext);
            }
        }

        full = false;
        Assert.All(known, k => Assert.Equal(k.Value, vault.Read(k.Key).Plaintext));
        var shredding = new VaultShredding(vault);
        shredding.Erase([known.Keys.First()]); // all its siblings have a second wrap
        Assert.Equal(VaultErrorKind.Shredded, VaultStoreTests.Kind(() => vault.Read(known.Keys.First())));
        Assert.All(known.Skip(1), k => Assert.Equal(k.Value, vault.Read(k.Key).Plaintext));
    }

    [Fact]
    public void An_erasure_ends_every_wrap_of_a_payload_that_is_being_kept_longer()
    {
        using var directory = new TemporaryVault();
        string reference, sibling;
        byte[] before;
        using (var vault = directory.Open())
        {
            reference = TemporaryVault.Put(vault, "acme", "input", "to end"u8.ToArray());
            sibling = TemporaryVault.Put(vault, "acme", "input", "sibling"u8.ToArray());
            var shredding = new VaultShredding(vault);
            using (SealedBatch batch = vault.NewBatch())
            {
                Assert.True(shredding.TryKeep(reference, shredding.Packs().Single(p => p.IsShort), 0, batch));
                vault.Append(batch.Records);
                vault.Sync();
            }

            before = File.ReadAllBytes(directory.ShortWraps)[..256];
            shredding.Erase([reference]);
        }

        // Whoever puts the first wrap back, and takes the newer one away, finds no key for it either.
        foreach (string file in Directory.GetFiles(directory.VaultDirectory, "long-*"))
        {
            File.Delete(file);
        }

        Assert.Equal(before, File.ReadAllBytes(directory.ShortWraps)[..256]);
        using var again = directory.Open();
        Assert.Equal(VaultErrorKind.Shredded, VaultStoreTests.Kind(() => again.Read(reference)));
        Assert.Equal("sibling"u8.ToArray(), again.Read(sibling).Plaintext);
    }

    [Fact]
    public void An_erased_tenant_has_no_keys_left_and_comes_back_as_somebody_else()
    {
        using var directory = new TemporaryVault();
        VaultScope before, other;
        using (var vault = directory.Open())
        {
            before = vault.ResolveScope("default", "acme"u8);
            other = vault.ResolveScope("default", "globex"u8);
            new VaultShredding(vault).EraseScope(before.Id); // without a payload as well
            Ended(vault);
        }

        using (var vault = directory.Open())
        {
            Ended(vault);
            new VaultShredding(vault).EraseScope(before.Id); // as after a crash
            Assert.Equal(other.PseudonymKey, vault.ResolveScope("default", "globex"u8).PseudonymKey);
        }

        void Ended(VaultStore vault)
        {
            VaultScope after = vault.ResolveScope("default", "acme"u8);
            Assert.NotEqual(before.Id, after.Id);
            Assert.NotEqual(before.PseudonymKey, after.PseudonymKey);
            Assert.Equal(before.StaffKey, after.StaffKey);
            Assert.DoesNotContain(vault.Scopes("default"), s => s.PseudonymKey.AsSpan().SequenceEqual(before.PseudonymKey) || s.FingerprintKey.AsSpan().SequenceEqual(before.FingerprintKey));
            Assert.Equal(2, vault.Status().Scopes);
            string reference = TemporaryVault.Put(vault, "acme", "input", [1]);
            Assert.Equal(after.Id, vault.Read(reference).ScopeId);
            using SealedBatch late = vault.NewBatch(); // a request that had the scope in hand
            Assert.StartsWith("vr_", TemporaryVault.Seal(late, before, "input", [2], keepLong: false, out _), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_audit_opens_bodies_without_a_write_beside_whoever_owns_the_vault()
    {
        using var directory = new TemporaryVault();
        using var vault = directory.Open();
        string one = TemporaryVault.Put(vault, "acme", "input", [1]), gone = TemporaryVault.Put(vault, "acme", "input", [2]);
        new VaultShredding(vault).Erase([gone]);
        string before = Hash(directory);
        using (var reader = VaultReader.Open(Options(directory), directory.Clock))
        {
            Assert.False(reader.Opens(one, "short-2026-11-22", 0)); // its first wrap is under the key that was destroyed
            Assert.False(reader.Opens(gone, "short-2026-11-22", 256));
            Assert.True(reader.Opens(one, "short-2026-11-22", 512));
            string later = TemporaryVault.Put(vault, "globex", "input", [3]);
            Assert.False(reader.Opens(later, "short-2026-11-22", 768)); // under a key that it does not know
        }

        string with = Hash(directory);
        Assert.NotEqual(before, with); // by the one payload that was put
        VaultReader.Open(Options(directory), directory.Clock).Dispose();
        Assert.Equal(with, Hash(directory));
        File.Delete(Directory.GetFiles(directory.KeysDirectory, "ksk.g*").Single());
        Assert.Equal(VaultErrorKind.Unopenable, VaultStoreTests.Kind(() => VaultReader.Open(Options(directory), directory.Clock)));

        static VaultOptions Options(TemporaryVault of) => new() { Directory = of.VaultDirectory, KeysDirectory = of.KeysDirectory };
        static string Hash(TemporaryVault of) => Convert.ToHexString(SHA256.HashData(
            Encoding.UTF8.GetBytes(string.Join('\n', of.Files().OrderBy(static f => f.Path, StringComparer.Ordinal).Select(static f => f.Path + Convert.ToHexString(SHA256.HashData(f.Content)))))));
    }
}
