using Evident.Ingest;

namespace Evident.Tests.Ingest;

public sealed class DecoderFuzzTests
{
    private const int Mutations = 60_000;

    private static readonly IngestLimits Limits = new() { MaxTranscodedBytes = 1 << 20 };

    /// <summary>Mutates valid bodies; every body is an array of exactly its size, so that a read outside is an exception of another kind.</summary>
    private static void Fuzz(bool json, int seed)
    {
        var random = new Random(seed);
        byte[][] seeds = [.. Enumerable.Range(seed * 100, 40).Select(i => new RandomRequests(i).Request()).Select(r => json ? r.Json() : r.Protobuf()).Where(b => b.Length > 8)];
        int undecodable = 0, decoded = 0;
        using var batch = SpanBatch.Rent();
        for (int i = 0; i < Mutations; i++)
        {
            byte[] body = Mutate(seeds[random.Next(seeds.Length)], random, json);
            try
            {
                if (json) OtlpJsonDecoder.Decode(body, Limits, batch);
                else OtlpTraceDecoder.Decode(body, Limits, batch);
                decoded++;
                if (i % 50 == 0) BatchText.Of(batch);
            }
            catch (OtlpDecodeException)
            {
                undecodable++;
            }
        }
        Assert.True(undecodable > Mutations / 20, $"only {undecodable} bodies were undecodable: the mutations do not bite");
        Assert.True(decoded > Mutations / 50, $"only {decoded} bodies were decodable: the mutations destroy everything");
    }

    private static byte[] Mutate(byte[] from, Random random, bool json)
    {
        var body = from.ToList();
        for (int n = random.Next(1, 5); n > 0 && body.Count > 1; n--)
        {
            int at = random.Next(body.Count);
            switch (random.Next(json ? 7 : 6))
            {
                case 0: body[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: body[at] = (byte)random.Next(256); break;
                case 2: body.RemoveRange(at, Math.Min(random.Next(1, 9), body.Count - at)); break;
                case 3: body.InsertRange(at, Enumerable.Range(0, random.Next(1, 9)).Select(_ => (byte)random.Next(256))); break;
                case 4: body.RemoveRange(at, body.Count - at); break;
                case 5:
                    int length = Math.Min(random.Next(1, 40), body.Count - at);
                    body.InsertRange(random.Next(body.Count), body.GetRange(at, length));
                    break;
                default: body[at] = (byte)"{}[]\",:\\u0123"[random.Next(13)]; break;
            }
        }
        return [.. body];
    }

    [Fact]
    public void Mutated_protobuf_never_fails_otherwise() => Fuzz(json: false, 11);

    [Fact]
    public void Mutated_json_never_fails_otherwise() => Fuzz(json: true, 12);

    [Fact]
    public void Every_truncation_is_decodable_or_undecodable()
    {
        var request = new RandomRequests(7).Request();
        using var batch = SpanBatch.Rent();
        foreach (bool json in new[] { false, true })
        {
            byte[] body = json ? request.Json() : request.Protobuf();
            for (int length = 0; length < body.Length; length++)
            {
                byte[] cut = body[..length];
                var failure = Record.Exception(() => { if (json) OtlpJsonDecoder.Decode(cut, Limits, batch); else OtlpTraceDecoder.Decode(cut, Limits, batch); });
                if (json) Assert.IsType<OtlpDecodeException>(failure);
                else Assert.True(failure is null or OtlpDecodeException);
            }
        }
    }
}
