namespace Evident.Tests.Ingest;

/// <summary>Seeded requests with every kind of value, awkward text and awkward numbers.</summary>
internal sealed class RandomRequests(int seed)
{
    private static readonly string[] Texts = ["", "a", "gpt-4.1", "line\nbreak\t\"quoted\" \\ back", "äöü €", "日本語", "😀 pair", "\u0001\u001f", "{\"json\":true}", "user@example.com", "\u2028\uFFFD"];
    private static readonly double[] Numbers = [0, -0.0, 1, 0.1, -1.5, 1e21, 1e-7, 5e-324, double.MaxValue, double.NaN, double.PositiveInfinity, double.NegativeInfinity, 123456789.25, 1e15];
    private static readonly long[] Integers = [0, 1, -1, 42, long.MaxValue, long.MinValue, 1L << 53, 4111111111111111];

    private readonly Random random = new(seed);

    internal OtlpRequest Request() => new([.. Many(3, () => new OtlpResourceSpans(Attributes(), Text(), Text(), Attributes(), [.. Many(4, Span)]))]);

    private IEnumerable<T> Many<T>(int limit, Func<T> make) => Enumerable.Range(0, random.Next(limit)).Select(_ => make()).ToArray();

    private OtlpSpan Span() => new(Text(), Attributes())
    {
        Trace = Bytes(16),
        Id = Bytes(8),
        Parent = random.Next(2) == 0 ? [] : Bytes(8),
        State = Text(),
        Kind = random.Next(6),
        Start = (ulong)random.NextInt64(),
        End = ulong.MaxValue - (ulong)random.Next(),
        Status = random.Next(3),
        Message = Text(),
        Flags = (uint)random.Next(1024),
        Dropped = (uint)random.Next(3),
        Events = [.. Many(3, () => new OtlpEvent(Text(), (ulong)random.NextInt64(), Attributes()))],
        Links = [.. Many(3, () => new OtlpLink(Bytes(16), Bytes(8), Text(), Attributes()))],
    };

    private KeyValuePair<string, object?>[] Attributes() => [.. Many(5, () => ($"k{random.Next(9)}" + Text()).Is(Value(0)))];

    private object? Value(int depth) => random.Next(depth > 3 ? 6 : 8) switch
    {
        0 => Text(),
        1 => random.Next(2) == 0,
        2 => Integers[random.Next(Integers.Length)],
        3 => Numbers[random.Next(Numbers.Length)],
        4 => null,
        5 => random.Next(2) == 0 ? [] : Bytes(random.Next(1, 20)),
        6 => Many(4, () => Value(depth + 1)).ToArray(),
        _ => Many(4, () => Text().Is(Value(depth + 1))).ToArray(),
    };

    private string Text() => Texts[random.Next(Texts.Length)];

    private byte[] Bytes(int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        bytes[0] |= 1;
        return bytes;
    }
}

/// <summary>The lean span of performance measurements: twelve attributes of an agent's tool call.</summary>
internal static class Lean
{
    internal static OtlpSpan Span(int i) => new("agent.tool.call",
        "agent.run_id".Is($"run_{i / 10}"), "agent.session_id".Is("ticket-9421"), "agent.workflow_id".Is("customer_support_triage_v7"), "agent.tenant_id".Is("t_9f3d"),
        "agent.step_index".Is(i % 10), "tool.name".Is("gmail.search"), "tool.side_effect_level".Is("read"), "gen_ai.usage.input_tokens".Is(1240 + i), "gen_ai.usage.output_tokens".Is(310),
        "cost_usd".Is(0.0184), "latency_ms".Is(842L), "status".Is("ok"))
    {
        Id = BitConverter.GetBytes(0x0100000000000001L + i),
        Status = 1,
    };
}
