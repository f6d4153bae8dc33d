using System.Numerics;
using System.Text;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Tests.Vault;

public sealed class ChunkedEncryptionTests
{
    private static readonly byte[] Key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];
    private static readonly byte[] Salt = [.. Enumerable.Range(0, 24).Select(i => (byte)i)];
    private static readonly byte[] Context = "ctx"u8.ToArray();

    [Fact]
    public void Known_vector_seals_and_opens()
    {
        byte[] sealedBytes = Seal("hello"u8.ToArray());
        Assert.Equal(
            "000102030405060708090a0b0c0d0e0f1011121314151617" + "fc9431dfa75cba5dacc969f3ddf4bb83e84e06a63fc7143c0a5f0bff797b3726"
            + "d0035e500514dcc750950d317e71b9c2111f8e60bf",
            Convert.ToHexStringLower(sealedBytes));
        byte[] opened = new byte[5];
        Assert.True(ChunkedEncryption.TryOpen(opened, sealedBytes, Key, Context));
        Assert.Equal("hello", Encoding.ASCII.GetString(opened));
    }

    [Fact]
    public void Derivation_names_the_suite()
    {
        byte[] derived = new byte[ChunkedEncryption.DerivedBytes];
        ChunkedEncryption.Derive(derived, "AEAD_AES_256_GCM"u8, Key, Salt, Context);
        Assert.Equal(
            "7598d14143795fd2b6eca59efebe79e4477d6b75d52ad336401c2e5ab8e1c363",
            Convert.ToHexStringLower(ChunkedEncryption.Commitment(derived)));
    }

    [Theory]
    [InlineData(0, 72)]
    [InlineData(5, 77)]
    [InlineData(16_383, 16_455)]
    [InlineData(16_384, 16_472)]
    [InlineData(20_000, 20_088)]
    public void Sealed_length_is_known_and_reversible(int plain, int expected)
    {
        Assert.Equal(expected, ChunkedEncryption.SealedLength(plain));
        Assert.True(ChunkedEncryption.TryPlainLength(expected, out long back));
        Assert.Equal(plain, back);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(56)]
    [InlineData(56 + 15)]
    [InlineData(56 + 16_400)]
    [InlineData(56 + 2 * 16_400)]
    [InlineData(56 + 16_400 + 15)]
    public void A_length_without_a_short_last_chunk_is_truncated(long length) => Assert.False(ChunkedEncryption.TryPlainLength(length, out _));

    [Fact]
    public void Chunks_open_independently_by_their_index()
    {
        byte[] plain = TemporaryVault.Noise(3 * ChunkedEncryption.ChunkBytes + 7, 1);
        byte[] sealedBytes = Seal(plain);
        byte[] derived = new byte[ChunkedEncryption.DerivedBytes];
        Assert.True(ChunkedEncryption.TryDerive(derived, sealedBytes, Key, Context));
        byte[] chunk = new byte[ChunkedEncryption.ChunkBytes];
        ReadOnlySpan<byte> second = sealedBytes.AsSpan(56 + 2 * 16_400, 16_400);
        Assert.True(ChunkedEncryption.OpenChunk(chunk, second, derived, 2));
        Assert.Equal(plain.AsSpan(2 * ChunkedEncryption.ChunkBytes, ChunkedEncryption.ChunkBytes).ToArray(), chunk);
        Assert.False(ChunkedEncryption.OpenChunk(chunk, second, derived, 1));
    }

    [Fact]
    public void Cutting_at_a_chunk_boundary_and_swapping_chunks_are_refused()
    {
        byte[] plain = TemporaryVault.Noise(2 * ChunkedEncryption.ChunkBytes + 100, 2);
        byte[] sealedBytes = Seal(plain);
        foreach (int chunks in new[] { 0, 1, 2 })
        {
            Assert.False(Opens(sealedBytes[..(56 + chunks * 16_400)], chunks * ChunkedEncryption.ChunkBytes));
        }

        Assert.False(Opens(sealedBytes[..(56 + 2 * 16_400 + 16)], 2 * ChunkedEncryption.ChunkBytes));
        byte[] swapped = [.. sealedBytes[..56], .. sealedBytes[(56 + 16_400)..(56 + 2 * 16_400)], .. sealedBytes[56..(56 + 16_400)], .. sealedBytes[(56 + 2 * 16_400)..]];
        Assert.False(Opens(swapped, plain.Length));
        Assert.True(Opens(sealedBytes, plain.Length));
    }

    [Fact]
    public void Any_flipped_bit_is_refused_and_leaves_no_plaintext()
    {
        byte[] sealedBytes = Seal("a secret of some length"u8.ToArray());
        for (int bit = 0; bit < sealedBytes.Length * 8; bit++)
        {
            sealedBytes[bit / 8] ^= (byte)(1 << (bit % 8));
            byte[] opened = new byte[23];
            Assert.False(ChunkedEncryption.TryOpen(opened, sealedBytes, Key, Context), $"bit {bit}");
            Assert.All(opened, b => Assert.Equal(0, b));
            sealedBytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public void Another_key_or_context_is_refused()
    {
        byte[] sealedBytes = Seal("hello"u8.ToArray());
        byte[] opened = new byte[5];
        Assert.False(ChunkedEncryption.TryOpen(opened, sealedBytes, [.. Key[..31], 0], Context));
        Assert.False(ChunkedEncryption.TryOpen(opened, sealedBytes, Key, "ctX"u8));
        Assert.False(ChunkedEncryption.Commits(sealedBytes, Key, []));
        Assert.True(ChunkedEncryption.Commits(sealedBytes, Key, Context));
    }

    /// <summary>
    /// The AEAD alone lets somebody who knows two keys make one ciphertext that both open. That is done here (two free blocks solve
    /// two linear equations over Poly1305's prime), and the commitment refuses the second key all the same.
    /// </summary>
    [Fact]
    public void A_ciphertext_that_opens_under_two_keys_is_refused_under_the_second()
    {
        byte[] otherKey = [.. Enumerable.Range(100, 32).Select(i => (byte)i)];
        byte[] first = new byte[ChunkedEncryption.DerivedBytes], second = new byte[ChunkedEncryption.DerivedBytes];
        ChunkedEncryption.Derive(first, "AEAD_CHACHA20_POLY1305"u8, Key, Salt, Context);
        ChunkedEncryption.Derive(second, "AEAD_CHACHA20_POLY1305"u8, otherKey, Salt, Context);

        byte[] chunk = CollidingChunk(first, second);
        byte[] plain = new byte[32];
        Assert.True(ChunkedEncryption.OpenChunk(plain, chunk, first, 0));
        Assert.True(ChunkedEncryption.OpenChunk(plain, chunk, second, 0));

        byte[] forged = new byte[56 + chunk.Length];
        ChunkedEncryption.WriteHeader(forged, first, Salt);
        chunk.CopyTo(forged, 56);
        Assert.True(ChunkedEncryption.TryOpen(plain, forged, Key, Context));
        Assert.False(ChunkedEncryption.TryOpen(plain, forged, otherKey, Context));
    }

    private static byte[] CollidingChunk(byte[] first, byte[] second)
    {
        BigInteger p = BigInteger.Pow(2, 130) - 5, two128 = BigInteger.Pow(2, 128);
        var (r1, s1) = OneTimeKey(first);
        var (r2, s2) = OneTimeKey(second);
        BigInteger lengths = two128 + ((BigInteger)32 << 64); // no associated data, 32 bytes of ciphertext
        var random = new Random(7);
        byte[] tagBytes = new byte[16];
        while (true)
        {
            random.NextBytes(tagBytes);
            var tag = new BigInteger(tagBytes, isUnsigned: true);

            // a r^3 + b r^2 + lengths r = tag - s, for both keys
            BigInteger Right(BigInteger r, BigInteger s) => Mod((tag - s - lengths * r) * Inverse(r * r), p);
            BigInteger y1 = Right(r1, Mod(s1, two128)), y2 = Right(r2, Mod(s2, two128));
            BigInteger a = Mod((y1 - y2) * Inverse(Mod(r1 - r2, p)), p);
            BigInteger b = Mod(y1 - a * r1, p);
            a -= two128;
            b -= two128;
            if (a >= 0 && b >= 0 && a < two128 && b < two128 && TagOf(a, b, r1, s1) == tag && TagOf(a, b, r2, s2) == tag)
            {
                return [.. Bytes(a), .. Bytes(b), .. tagBytes];
            }
        }

        BigInteger TagOf(BigInteger a, BigInteger b, BigInteger r, BigInteger s) =>
            Mod(Mod((((a + two128) * r + b + two128) * r + lengths) * r, p) + s, two128);
        BigInteger Inverse(BigInteger value) => BigInteger.ModPow(Mod(value, p), p - 2, p);
        static BigInteger Mod(BigInteger value, BigInteger modulus) => (value % modulus + modulus) % modulus;
        static byte[] Bytes(BigInteger value)
        {
            byte[] bytes = new byte[16];
            value.TryWriteBytes(bytes, out _, isUnsigned: true);
            return bytes;
        }
    }

    /// <summary>r and s of RFC 8439 2.6: ChaCha20 block 0.</summary>
    private static (BigInteger R, BigInteger S) OneTimeKey(byte[] derived)
    {
        uint[] start = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, .. Words(derived.AsSpan(0, 32)), 0, .. Words(derived.AsSpan(32, 12))];
        uint[] x = [.. start];
        void Quarter(int a, int b, int c, int d)
        {
            unchecked
            {
                x[a] += x[b];
                x[d] = BitOperations.RotateLeft(x[d] ^ x[a], 16);
                x[c] += x[d];
                x[b] = BitOperations.RotateLeft(x[b] ^ x[c], 12);
                x[a] += x[b];
                x[d] = BitOperations.RotateLeft(x[d] ^ x[a], 8);
                x[c] += x[d];
                x[b] = BitOperations.RotateLeft(x[b] ^ x[c], 7);
            }
        }

        for (int round = 0; round < 10; round++)
        {
            for (int i = 0; i < 4; i++)
            {
                Quarter(i, i + 4, i + 8, i + 12);
            }

            for (int i = 0; i < 4; i++)
            {
                Quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12);
            }
        }

        byte[] block = [.. Enumerable.Range(0, 8).SelectMany(i => BitConverter.GetBytes(unchecked(x[i] + start[i])))];
        var clamp = BigInteger.Parse("0ffffffc0ffffffc0ffffffc0fffffff", System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
        return (new BigInteger(block.AsSpan(0, 16), isUnsigned: true) & clamp, new BigInteger(block.AsSpan(16, 16), isUnsigned: true));
    }

    private static uint[] Words(ReadOnlySpan<byte> bytes)
    {
        uint[] words = new uint[bytes.Length / 4];
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(bytes[(4 * i)..]);
        }

        return words;
    }

    private static byte[] Seal(byte[] plain)
    {
        byte[] sealedBytes = new byte[ChunkedEncryption.SealedLength(plain.Length)];
        ChunkedEncryption.Seal(sealedBytes, plain, Key, Salt, Context);
        return sealedBytes;
    }

    private static bool Opens(byte[] sealedBytes, int plainLength) => ChunkedEncryption.TryOpen(new byte[plainLength], sealedBytes, Key, Context);
}
