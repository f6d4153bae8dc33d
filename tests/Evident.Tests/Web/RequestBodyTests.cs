using System.IO.Compression;
using System.IO.Pipelines;
using Evident.Web;

namespace Evident.Tests.Web;

/// <summary>Bodies are bounded by what really arrives, inflated, before anything parses them.</summary>
public sealed class RequestBodyTests
{
    private const int Limit = 100_000;

    public static TheoryData<string> Codings => ["Identity", "Gzip", "Zlib"];

    [Theory]
    [MemberData(nameof(Codings))]
    public async Task A_body_of_exactly_the_limit_is_complete_and_one_more_byte_is_too_large(string coding)
    {
        BodyCoding as_ = Enum.Parse<BodyCoding>(coding);
        foreach (int length in new[] { 0, 1, 16_384, 16_385, Limit - 1, Limit })
        {
            byte[] plain = Plain(length);
            (BodyOutcome outcome, byte[] read) = await ReadAsync(Packed(plain, as_), as_, new BodyBudget(1 << 20));
            Assert.Equal(BodyOutcome.Complete, outcome);
            Assert.Equal(plain, read);
        }

        Assert.Equal(BodyOutcome.TooLarge, (await ReadAsync(Packed(Plain(Limit + 1), as_), as_, new BodyBudget(1 << 20))).Outcome);
    }

    [Theory]
    [InlineData("Gzip")]
    [InlineData("Zlib")]
    public async Task A_bomb_stops_at_the_limit(string coding)
    {
        BodyCoding as_ = Enum.Parse<BodyCoding>(coding);
        byte[] bomb = Packed(new byte[64 << 20], as_, CompressionLevel.SmallestSize);
        Assert.True(bomb.Length < Limit);
        var budget = new BodyBudget(1 << 20);
        Assert.Equal(BodyOutcome.TooLarge, (await ReadAsync(bomb, as_, budget)).Outcome);
        Assert.Equal(0, budget.Held);
    }

    [Theory]
    [InlineData("Gzip")]
    [InlineData("Zlib")]
    public async Task A_body_cut_anywhere_is_undecodable(string coding)
    {
        BodyCoding as_ = Enum.Parse<BodyCoding>(coding);
        byte[] whole = Packed(Plain(5_000), as_);
        for (int cut = 1; cut < whole.Length; cut += cut < 40 || cut > whole.Length - 40 ? 1 : 97)
        {
            Assert.Equal(BodyOutcome.Undecodable, (await ReadAsync(whole[..cut], as_, new BodyBudget(1 << 20))).Outcome);
        }
    }

    [Fact]
    public async Task What_is_not_packed_is_undecodable()
    {
        Assert.Equal(BodyOutcome.Undecodable, (await ReadAsync("{\"resourceSpans\":[]}"u8.ToArray(), BodyCoding.Gzip, new BodyBudget(1 << 20))).Outcome);
        Assert.Equal(BodyOutcome.Undecodable, (await ReadAsync(Packed(Plain(10), BodyCoding.Gzip), BodyCoding.Zlib, new BodyBudget(1 << 20))).Outcome);
    }

    [Fact]
    public async Task An_empty_packed_body_is_empty() =>
        Assert.Equal((BodyOutcome.Complete, 0), await ReadAsync([], BodyCoding.Gzip, new BodyBudget(1 << 20)) is var (o, b) ? (o, b.Length) : default);

    [Theory]
    [MemberData(nameof(Codings))]
    public async Task Beyond_the_budget_of_all_requests_it_is_busy_and_everything_is_given_back(string coding)
    {
        BodyCoding as_ = Enum.Parse<BodyCoding>(coding);
        var budget = new BodyBudget(100_000);
        Assert.Equal(BodyOutcome.Busy, (await ReadAsync(Packed(Plain(90_000), as_), as_, budget)).Outcome);
        Assert.Equal(0, budget.Held);
        Assert.Equal(BodyOutcome.Complete, (await ReadAsync(Packed(Plain(20_000), as_), as_, budget)).Outcome);
    }

    private static byte[] Plain(int length)
    {
        byte[] plain = new byte[length];
        new Random(7).NextBytes(plain);
        return plain;
    }

    private static byte[] Packed(byte[] plain, BodyCoding coding, CompressionLevel level = CompressionLevel.Fastest)
    {
        using var packed = new MemoryStream();
        using (Stream? pack = coding switch
        {
            BodyCoding.Gzip => new GZipStream(packed, level, leaveOpen: true),
            BodyCoding.Zlib => new ZLibStream(packed, level, leaveOpen: true),
            _ => null,
        })
        {
            (pack ?? packed).Write(plain);
        }

        return packed.ToArray();
    }

    private static async Task<(BodyOutcome Outcome, byte[] Bytes)> ReadAsync(byte[] sent, BodyCoding coding, BodyBudget budget)
    {
        using var body = new RequestBody(budget, Limit);
        PipeReader source = PipeReader.Create(new MemoryStream(sent));
        BodyOutcome outcome = await body.ReadAsync(source, coding, CancellationToken.None);
        return (outcome, body.Bytes.ToArray());
    }
}
