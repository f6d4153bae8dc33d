using System.Text;
using Evident.Platform;

namespace Evident.Tests.Platform;

/// <summary>Vectors of the RFCs: they show that the interop passes the right bytes in the right order.</summary>
public sealed class SodiumTests
{
    private static byte[] Hex(string text) => Convert.FromHexString(text.Replace(" ", "", StringComparison.Ordinal));

    [Theory] // RFC 8032 section 7.1, TEST 1 and TEST 3
    [InlineData(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")]
    [InlineData(
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")]
    public void Ed25519_signs_as_rfc_8032_says(string seed, string publicKey, string message, string signature)
    {
        byte[] pk = new byte[32], sk = new byte[64], sig = new byte[64];
        Sodium.Ed25519SeedKeyPair(Hex(seed), pk, sk);
        Assert.Equal(Hex(publicKey), pk);
        Sodium.Ed25519Sign(sig, Hex(message), sk);
        Assert.Equal(Hex(signature), sig);
        Assert.True(Sodium.Ed25519Verify(sig, Hex(message), pk));
        sig[0] ^= 1;
        Assert.False(Sodium.Ed25519Verify(sig, Hex(message), pk));
        Assert.False(Sodium.Ed25519Verify(sig.AsSpan(1), Hex(message), pk));
    }

    [Fact] // RFC 8439 section 2.8.2
    public void ChaCha20Poly1305_seals_as_rfc_8439_says()
    {
        byte[] plain = Encoding.ASCII.GetBytes(
            "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.");
        byte[] key = Hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
        byte[] nonce = Hex("070000004041424344454647");
        byte[] associated = Hex("50515253c0c1c2c3c4c5c6c7");
        byte[] sealedBytes = new byte[plain.Length + 16];
        Sodium.ChaCha20Poly1305Seal(sealedBytes, plain, associated, nonce, key);
        Assert.Equal(Hex("1ae10b594f09e26a7e902ecbd0600691"), sealedBytes[^16..]);
        Assert.Equal(Hex("d31a8d34648e60db7b86afbc53ef7ec2"), sealedBytes[..16]);
        byte[] opened = new byte[plain.Length];
        Assert.True(Sodium.ChaCha20Poly1305Open(opened, sealedBytes, associated, nonce, key));
        Assert.Equal(plain, opened);
        sealedBytes[3] ^= 0x10;
        Assert.False(Sodium.ChaCha20Poly1305Open(opened, sealedBytes, associated, nonce, key));
        Assert.False(Sodium.ChaCha20Poly1305Open([], sealedBytes.AsSpan(0, 7), associated, nonce, key));
    }

    [Fact] // draft-irtf-cfrg-xchacha-03 appendix A.3.1
    public void XChaCha20Poly1305_seals_as_the_draft_says()
    {
        byte[] plain = Encoding.ASCII.GetBytes(
            "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.");
        byte[] key = Hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
        byte[] nonce = Hex("404142434445464748494a4b4c4d4e4f5051525354555657");
        byte[] sealedBytes = new byte[plain.Length + 16];
        Sodium.XChaCha20Poly1305Seal(sealedBytes, plain, Hex("50515253c0c1c2c3c4c5c6c7"), nonce, key);
        Assert.Equal(Hex("c0875924c1c7987947deafd8780acf49"), sealedBytes[^16..]);
        byte[] opened = new byte[plain.Length];
        Assert.True(Sodium.XChaCha20Poly1305Open(opened, sealedBytes, Hex("50515253c0c1c2c3c4c5c6c7"), nonce, key));
        Assert.False(Sodium.XChaCha20Poly1305Open(opened, sealedBytes, Hex("50515253c0c1c2c3c4c5c6c8"), nonce, key));
    }

    [Fact] // RFC 4231 test cases 2 and 6
    public void Hmac_is_as_rfc_4231_says()
    {
        byte[] mac = new byte[32], mac512 = new byte[64];
        byte[] message = Encoding.ASCII.GetBytes("what do ya want for nothing?");
        Sodium.HmacSha256(mac, message, "Jefe"u8);
        Assert.Equal(Hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"), mac);
        Sodium.HmacSha512(mac512, message, "Jefe"u8);
        Assert.Equal(
            Hex("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"), mac512);
        byte[] longKey = Enumerable.Repeat((byte)0xaa, 131).ToArray();
        Sodium.HmacSha256(mac, "Test Using Larger Than Block-Size Key - Hash Key First"u8, longKey);
        Assert.Equal(Hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"), mac);
    }

    [Fact]
    public void Wrong_lengths_are_refused_before_the_library_sees_them()
    {
        Assert.Throws<ArgumentException>(() => Sodium.Sha256(new byte[31], "x"u8));
        Assert.Throws<ArgumentException>(() => Sodium.ChaCha20Poly1305Seal(new byte[17], "x"u8, [], new byte[11], new byte[32]));
    }

    [Fact]
    public void Crockford_base32_round_trips_and_refuses_every_other_spelling()
    {
        byte[] value = new byte[16], back = new byte[16];
        for (int i = 0; i < 1000; i++)
        {
            Sodium.RandomBytes(value);
            string text = CrockfordBase32.Encode16(value);
            Assert.Equal(26, text.Length);
            Assert.True(CrockfordBase32.TryDecode16(text, back));
            Assert.Equal(value, back);
        }

        Assert.False(CrockfordBase32.TryDecode16("80000000000000000000000000", back)); // over 128 bits
        Assert.False(CrockfordBase32.TryDecode16("0000000000000000000000000a", back)); // lower case
        Assert.False(CrockfordBase32.TryDecode16("0000000000000000000000000", back));
    }

    [Fact]
    public void Secret_memory_is_zero_at_first_and_gone_after_dispose()
    {
        var secret = new SecretBytes(32);
        Assert.True(secret.Span.IndexOfAnyExcept((byte)0) < 0);
        byte[] source = [1, 2, 3];
        using var copy = SecretBytes.CopyAndZero(source);
        Assert.Equal(new byte[3], source);
        Assert.Equal(new byte[] { 1, 2, 3 }, copy.Span.ToArray());
        secret.Dispose();
        Assert.Throws<ObjectDisposedException>(() => secret.Span.Length);
    }
}
