using System.Text;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Tests.Vault;

/// <summary>
/// Somebody with write access to the vault directory, who knows the format and repairs every checksum, and in the last tests somebody
/// who even has a key. Two payloads of equal shape lie in one pack, tenants alternate.
/// </summary>
public sealed class VaultTamperTests : IDisposable
{
    private const int Size = 20_000;
    private readonly TemporaryVault directory = new();
    private readonly string first, second, third;

    public VaultTamperTests()
    {
        using VaultStore vault = directory.Open();
        first = TemporaryVault.Put(vault, "acme", "tool.args", TemporaryVault.Noise(Size, 1));
        second = TemporaryVault.Put(vault, "acme", "tool.args", TemporaryVault.Noise(Size, 2));
        third = TemporaryVault.Put(vault, "globex", "tool.args", TemporaryVault.Noise(Size, 3));
        Assert.All(new[] { first, second, third }, reference => Assert.Equal(Size, vault.Read(reference).Plaintext.Length));
    }

    public void Dispose() => directory.Dispose();

    private delegate void Edit(WrapRecord one, WrapRecord two, WrapRecord other);

    [Fact]
    public void Swapped_bodies()
    {
        byte[] pack = File.ReadAllBytes(directory.ShortPack);
        int record = pack.Length / 3;
        File.WriteAllBytes(directory.ShortPack, [.. pack[..24], .. pack[(record + 24)..(2 * record)], .. pack[record..(record + 24)], .. pack[24..record], .. pack[(2 * record)..]]);
        Refused(first, second);
    }

    [Fact]
    public void Bodies_swapped_with_their_headers_and_offsets_left() => EditPack(static pack =>
    {
        int record = pack.Length / 3;
        return [.. pack[record..(2 * record)], .. pack[..record], .. pack[(2 * record)..]];
    }, () => Refused(first, second));

    [Fact]
    public void Offsets_swapped() => EditWraps(static (one, two, _) => (one.PackOffset, two.PackOffset) = (two.PackOffset, one.PackOffset), first, second);

    [Fact]
    public void Wraps_swapped_between_payloads_of_one_key() => EditWraps(static (one, two, _) =>
    {
        Swap(one.Nonce, two.Nonce);
        Swap(one.SealedSecret, two.SealedSecret);
    }, first, second);

    [Fact]
    public void Whole_records_swapped_but_for_the_reference() => EditWraps(static (one, two, _) => Swap(one.Ref, two.Ref), first, second);

    [Fact]
    public void Expiry_changed_in_the_record() => EditWraps(static (one, _, _) => one.ExpiryDay++, first);

    [Fact]
    public void Expiry_changed_by_renaming_both_files_and_every_record()
    {
        EditWraps(static (one, two, other) =>
        {
            one.ExpiryDay++;
            two.ExpiryDay++;
            other.ExpiryDay++;
        });
        File.Move(directory.ShortPack, directory.ShortPack.Replace("22", "23", StringComparison.Ordinal));
        File.Move(directory.ShortWraps, directory.ShortWraps.Replace("22", "23", StringComparison.Ordinal));
        Refused(first, second, third);
    }

    [Fact]
    public void Expiry_changed_to_a_day_whose_key_exists()
    {
        EditWraps(static (one, two, other) =>
        {
            one.ExpiryDay++;
            one.KekId += 2; // keys are made in the order short, long, short of tomorrow, long of tomorrow
            two.ExpiryDay++;
            two.KekId += 2;
            other.ExpiryDay++;
            other.KekId += 2;
        });
        File.Move(directory.ShortPack, directory.ShortPack.Replace("22", "23", StringComparison.Ordinal));
        File.Move(directory.ShortWraps, directory.ShortWraps.Replace("22", "23", StringComparison.Ordinal));
        Assert.Contains("does not belong to this body, scope, reference, key and expiry day", Refused(first), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_tenants_scope_id() => EditWraps(static (one, _, other) => other.ScopeId.CopyTo(one.ScopeId), first);

    [Fact]
    public void Another_tenants_scope_id_and_key() => EditWraps(static (one, _, other) =>
    {
        other.ScopeId.CopyTo(one.ScopeId);
        one.KekId = other.KekId;
    }, first);

    [Fact]
    public void Another_role() => EditRaw(static wraps => "tool.argz"u8.CopyTo(wraps.AsSpan(113)));

    [Fact]
    public void Another_creation_time() => EditWraps(static (one, _, _) => one.CreatedMillis++, first);

    [Fact]
    public void Another_commitment() => EditWraps(static (one, two, _) => Swap(one.Commitment, two.Commitment), first, second);

    [Fact]
    public void Another_codec_and_plain_length() => EditWraps(static (one, _, _) =>
    {
        one.Codec = PayloadCodec.Brotli;
        one.PlainLength = SealedBatch.MaxPayloadBytes;
    }, first);

    [Fact]
    public void Cut_at_a_chunk_boundary_with_every_length_repaired()
    {
        EditWraps(static (one, _, _) =>
        {
            one.StoredLength = one.PlainLength = 16_383;
            one.BodyLength = (int)ChunkedEncryption.SealedLength(16_383);
        });
        byte[] pack = File.ReadAllBytes(directory.ShortPack);
        PackRecord.WriteHeader(pack, (int)ChunkedEncryption.SealedLength(16_383), pack.AsSpan(8, 16).ToArray());
        File.WriteAllBytes(directory.ShortPack, pack);
        Refused(first);
        Assert.False(PackRecord.TryReadHeader([.. "EVP1"u8, 0, 0, 0x40, 0x48, .. new byte[16]], out _)); // 56 + 16,400: the exact multiple
    }

    [Fact]
    public void Any_flipped_bit_of_a_wrap_record()
    {
        byte[] wraps = File.ReadAllBytes(directory.ShortWraps);
        using VaultStore vault = directory.Open();
        for (int bit = 0; bit < WrapRecord.Bytes * 8; bit += 3)
        {
            byte[] changed = [.. wraps];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            File.WriteAllBytes(directory.ShortWraps, changed);
            VaultErrorKind expected = bit / 8 is >= 16 and < 32 ? VaultErrorKind.NotFound : VaultErrorKind.Tampered;
            Assert.Equal(expected, VaultStoreTests.Kind(() => vault.Read(first)));
            Assert.Equal(Size, vault.Read(second).Plaintext.Length);
        }
    }

    [Fact]
    public void Any_flipped_bit_of_a_pack_record()
    {
        byte[] pack = File.ReadAllBytes(directory.ShortPack);
        using VaultStore vault = directory.Open();
        foreach (int at in Enumerable.Range(0, 120).Concat(Enumerable.Range(0, 40).Select(i => 120 + i * 500)).Append(pack.Length / 3 - 1))
        {
            byte[] changed = [.. pack];
            changed[at] ^= 0x10;
            File.WriteAllBytes(directory.ShortPack, changed);
            Assert.Equal(VaultErrorKind.Tampered, VaultStoreTests.Kind(() => vault.Read(first)));
        }
    }

    [Fact]
    public void Pack_gone_or_shorter()
    {
        byte[] pack = File.ReadAllBytes(directory.ShortPack);
        File.WriteAllBytes(directory.ShortPack, pack[..^1]);
        Refused(third);
        File.Delete(directory.ShortPack);
        Refused(first, second, third);
    }

    /// <summary>A sealed body of the same reference from before, put back over the new one.</summary>
    [Fact]
    public void An_older_body_of_the_same_reference_is_refused()
    {
        using VaultStore vault = directory.Open();
        VaultScope scope = vault.ResolveScope("default", "acme"u8);
        Kek kek = vault.KekFor(scope.Id, directory.Clock.UnixMillis, keepLong: false);
        byte[] random = TemporaryVault.Noise(128, 5), later = [.. random[..16], .. TemporaryVault.Noise(112, 6)], reference = new byte[29];
        using SealedBatch batch = vault.NewBatch();
        foreach (byte[] chance in new[] { random, later })
        {
            batch.Seal(
                kek.Scope, kek.Id, kek.Key, new PackName(false, kek.Day), "input", directory.Clock.UnixMillis, chance, TemporaryVault.Noise(50, 7), reference, new byte[32]);
        }

        vault.Append(batch.Records);
        vault.Sync();
        string text = Encoding.ASCII.GetString(reference);
        Assert.Equal(TemporaryVault.Noise(50, 7), vault.Read(text).Plaintext); // the newest wrap wins
        byte[] pack = File.ReadAllBytes(directory.ShortPack);
        int record = batch.Records[0].Body.Length;
        pack.AsSpan(pack.Length - 2 * record, record).CopyTo(pack.AsSpan(pack.Length - record));
        File.WriteAllBytes(directory.ShortPack, pack);
        Assert.Equal(VaultErrorKind.Tampered, VaultStoreTests.Kind(() => vault.Read(text)));
    }

    /// <summary>Who has the key of a scope and day can write a record, but not one that inflates beyond what it declares.</summary>
    [Fact]
    public void A_bomb_sealed_with_the_right_key_is_refused()
    {
        using VaultStore vault = directory.Open();
        Kek kek = vault.KekFor(vault.ResolveScope("default", "acme"u8).Id, directory.Clock.UnixMillis, keepLong: false);
        byte[] random = TemporaryVault.Noise(128, 8), reference = new byte[29], commitment = new byte[32], binding = new byte[Binding.MaxBytes];
        using SealedBatch batch = vault.NewBatch();
        batch.Seal(kek.Scope, kek.Id, kek.Key, new PackName(false, kek.Day), "input", directory.Clock.UnixMillis, random, new byte[10_000_000], reference, commitment);
        byte[] body = batch.Records[0].Body.ToArray(), wrapBytes = batch.Records[0].Wrap.ToArray();
        var wrap = new WrapRecord(wrapBytes);
        byte[] stored = new byte[wrap.StoredLength];
        int context = Binding.Body(binding, kek.Scope.IdAscii, reference, "input"u8, commitment, wrap.CreatedMillis, PayloadCodec.Brotli, wrap.StoredLength, 10_000_000);
        Assert.True(ChunkedEncryption.TryOpen(stored, body.AsSpan(24), random.AsSpan(16, 32), binding.AsSpan(0, context)));

        wrap.PlainLength = 4096; // and everything that follows from it, sealed anew
        context = Binding.Body(binding, kek.Scope.IdAscii, reference, "input"u8, commitment, wrap.CreatedMillis, PayloadCodec.Brotli, wrap.StoredLength, 4096);
        ChunkedEncryption.Seal(body.AsSpan(24), stored, random.AsSpan(16, 32), random.AsSpan(80, 24), binding.AsSpan(0, context));
        int associated = Binding.Wrap(binding, kek.Scope.IdAscii, reference, kek.Id, kek.Day, body.AsSpan(24 + 24, 32));
        Sodium.XChaCha20Poly1305Seal(wrap.SealedSecret, random.AsSpan(16, 64), binding.AsSpan(0, associated), wrap.Nonce, kek.Key);
        vault.Append([new SealedRecord(new PackName(false, kek.Day), body, wrapBytes)]);
        vault.Sync();
        VaultException refused = Assert.Throws<VaultException>(() => vault.Read(Encoding.ASCII.GetString(reference)));
        Assert.Equal(VaultErrorKind.Tampered, refused.Kind);
        Assert.Contains("inflate", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Wrong keys: another vault's key ring over the same packs.</summary>
    [Fact]
    public void Another_vaults_keys_open_nothing()
    {
        using var other = new TemporaryVault();
        using (VaultStore vault = other.Open())
        {
            TemporaryVault.Put(vault, "acme", "tool.args", [1]);
        }

        File.Copy(directory.ShortPack, other.ShortPack, overwrite: true);
        File.Copy(directory.ShortWraps, other.ShortWraps, overwrite: true);
        using VaultStore again = other.Open();
        VaultErrorKind kind = VaultStoreTests.Kind(() => again.Read(first));
        Assert.True(kind is VaultErrorKind.Tampered or VaultErrorKind.Shredded);
    }

    private static void Swap(Span<byte> a, Span<byte> b)
    {
        byte[] kept = a.ToArray();
        b.CopyTo(a);
        kept.CopyTo(b);
    }

    private void EditPack(Func<byte[], byte[]> edit, Action check)
    {
        File.WriteAllBytes(directory.ShortPack, edit(File.ReadAllBytes(directory.ShortPack)));
        check();
    }

    private void EditRaw(Action<byte[]> edit)
    {
        byte[] wraps = File.ReadAllBytes(directory.ShortWraps);
        edit(wraps);
        new WrapRecord(wraps).Finish();
        Assert.True(new WrapRecord(wraps).IsWhole);
        File.WriteAllBytes(directory.ShortWraps, wraps);
        Refused(first);
    }

    private void EditWraps(Edit edit, params string[] refused)
    {
        byte[] wraps = File.ReadAllBytes(directory.ShortWraps);
        WrapRecord one = new(wraps), two = new(wraps.AsSpan(256)), other = new(wraps.AsSpan(512));
        edit(one, two, other);
        one.Finish();
        two.Finish();
        other.Finish();
        File.WriteAllBytes(directory.ShortWraps, wraps);
        Refused(refused);
    }

    private string Refused(params string[] references)
    {
        string message = "";
        using VaultStore vault = directory.Open();
        foreach (string reference in references)
        {
            VaultException e = Assert.Throws<VaultException>(() => vault.Read(reference));
            Assert.Equal(VaultErrorKind.Tampered, e.Kind);
            message = e.Message;
        }

        return message;
    }
}
