using System.Text;
using Evident.Vault;

namespace Evident.Tests.Vault;

/// <summary>T35: a crash at each step of a rotation, an expiry and an erasure; done again, what was to end is gone and everything else opens.</summary>
public sealed class ShreddingTests
{
    private static readonly string[] Steps =
        ["ksk.write", "ksk.written", "keystore.write", "keystore.written", "ksk.destroyed", "keystore.destroyed", "pack.sync", "wraps.write", "wraps.sync", "pack.remove"];

    public static TheoryData<string, string, int> Crashes()
    {
        var data = new TheoryData<string, string, int>();
        foreach (string act in (string[])["rotate", "expire", "erase", "scope"])
        {
            foreach (string step in Steps)
            {
                for (int time = 1; time <= 2; time++)
                {
                    data.Add(act, step, time); // an erasure writes two generations: the second time counts too
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Crashes))]
    public void An_act_that_a_crash_interrupts_is_finished_by_doing_it_again(string act, string step, int time)
    {
        using var directory = new TemporaryVault();
        string gone, sibling, other, kept, scope;
        using (var vault = directory.Open())
        {
            gone = TemporaryVault.Put(vault, "acme", "tool.args", "to end"u8.ToArray());
            sibling = TemporaryVault.Put(vault, "acme", "tool.args", "sibling"u8.ToArray());
            other = TemporaryVault.Put(vault, "globex", "tool.args", "other"u8.ToArray());
            kept = TemporaryVault.Put(vault, "acme", "tool.args", "long"u8.ToArray(), keepLong: true);
            scope = vault.ResolveScope("default", "acme"u8).Id;
        }

        if (act == "expire")
        {
            directory.Clock.UnixMillis += 3 * 86_400_000L;
        }

        int seen = 0;
        using (var vault = directory.Open(s =>
        {
            if (s == step && ++seen == time)
            {
                throw new IOException("a crash at " + s);
            }
        }))
        {
            seen = 0;
            try
            {
                Act(vault, act, gone, scope, directory);
            }
            catch (VaultException)
            {
                // the process is gone
            }
        }

        using (var vault = directory.Open())
        {
            Act(vault, act, gone, scope, directory);
            Check(vault);
        }

        using (var vault = directory.Open())
        {
            Check(vault);
        }

        void Check(VaultStore vault)
        {
            Assert.Equal(act switch { "rotate" => "to end", "expire" => "NotFound", _ => "Shredded" }, Read(vault, gone));
            Assert.Equal(act switch { "expire" => "NotFound", "scope" => "Shredded", _ => "sibling" }, Read(vault, sibling));
            Assert.Equal(act == "expire" ? "NotFound" : "other", Read(vault, other));
            Assert.Equal(act == "scope" ? "Shredded" : "long", Read(vault, kept));
        }
    }

    private static void Act(VaultStore vault, string act, string gone, string scope, TemporaryVault directory)
    {
        var shredding = new VaultShredding(vault);
        switch (act)
        {
            case "rotate":
                vault.Rotate();
                break;
            case "expire":
                int today = VaultShredding.DayOf(directory.Clock.UnixMillis);
                shredding.Expire(today, [.. shredding.Packs().Where(p => p.Day < today).Select(p => p.Name)]);
                break;
            case "erase":
                shredding.Erase([gone]);
                break;
            default:
                shredding.EraseScope(scope);
                break;
        }
    }

    private static string Read(VaultStore vault, string reference)
    {
        try
        {
            return Encoding.UTF8.GetString(vault.Read(reference).Plaintext);
        }
        catch (VaultException refused)
        {
            return refused.Kind.ToString();
        }
    }

    [Fact]
    public void An_erasure_destroys_the_key_that_opened_the_salt()
    {
        using var directory = new TemporaryVault();
        using var vault = directory.Open();
        string gone = TemporaryVault.Put(vault, "acme", "tool.args", "to end"u8.ToArray());
        string sibling = TemporaryVault.Put(vault, "acme", "tool.args", "sibling"u8.ToArray());
        byte[] key = vault.KekFor(vault.ResolveScope("default", "acme"u8).Id, directory.Clock.UnixMillis, keepLong: false).Key.ToArray();
        long before = vault.Generation;
        var (payload, salt) = vault.Disclose(gone);
        new VaultShredding(vault).Erase([gone]);
        Assert.Equal("Shredded", Read(vault, gone));
        Assert.Equal("sibling", Read(vault, sibling));
        Assert.True(vault.Generation > before);
        foreach (byte[] secret in (byte[][])[key, salt, payload.Plaintext])
        {
            Assert.All(directory.Files(), f => Assert.True(f.Content.AsSpan().IndexOf(secret) < 0, f.Path)); // it was never there in clear, and the generations that sealed it are gone
        }

        // T37: who guesses the payload right cannot tell without the salt.
        Span<byte> commitment = stackalloc byte[32], guess = stackalloc byte[32];
        payload.Commitment.CopyTo(commitment);
        for (int i = 0; i < 10_000; i++)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(guess, i);
            PayloadCommitment.Compute(guess, guess.ToArray(), Encoding.ASCII.GetBytes(payload.ScopeId), Encoding.ASCII.GetBytes(gone), "tool.args"u8, "to end"u8);
            Assert.False(guess.SequenceEqual(commitment));
        }

        PayloadCommitment.Compute(guess, salt, Encoding.ASCII.GetBytes(payload.ScopeId), Encoding.ASCII.GetBytes(gone), "tool.args"u8, "to end"u8);
        Assert.True(guess.SequenceEqual(commitment)); // and with it, at once
        Assert.DoesNotContain(directory.Files(), f => f.Path.EndsWith($".g{before}", StringComparison.Ordinal));
    }

    [Fact]
    public void A_payload_that_is_kept_is_copied_with_its_body_and_its_commitment()
    {
        using var directory = new TemporaryVault();
        using var vault = directory.Open();
        byte[] payload = TemporaryVault.Noise(100_000, 7);
        string reference = TemporaryVault.Put(vault, "acme", "tool.args", payload);
        byte[] commitment = vault.Find(reference).Commitment;
        var shredding = new VaultShredding(vault);
        var pack = shredding.Packs().Single(p => p.IsShort);
        directory.Clock.UnixMillis += 3 * 86_400_000L;
        Assert.Equal("Expired", Read(vault, reference));
        using (var batch = vault.NewBatch())
        {
            shredding.ReadWraps(pack, (_, _, offset, _) => Assert.True(shredding.TryKeep(reference, pack, offset, batch)));
            vault.Append(batch.Records);
            vault.Sync();
        }

        shredding.Expire(VaultShredding.DayOf(directory.Clock.UnixMillis), [pack.Name]);
        Assert.Equal(payload, vault.Read(reference).Plaintext);
        Assert.Equal(commitment, vault.Find(reference).Commitment);
    }
}
