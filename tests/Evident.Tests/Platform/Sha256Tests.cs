using System.Security.Cryptography;
using Evident.Platform;

namespace Evident.Tests.Platform;

public class Sha256Tests
{
    [Fact]
    public void Every_short_length_and_some_long_ones_hash_as_the_framework_does()
    {
        var random = new Random(20261126);
        byte[] digest = new byte[Sha256.DigestBytes];
        foreach (int length in Enumerable.Range(0, 1100).Concat([4096, 16_385, 1 << 20]))
        {
            byte[] message = new byte[length];
            random.NextBytes(message);
            Sha256.Hash(message, digest);
            Assert.Equal(SHA256.HashData(message), digest);
        }

        Assert.Throws<ArgumentException>(() => Sha256.Hash([1], new byte[31]));
    }
}
