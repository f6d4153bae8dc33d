using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Evident.Benchmarks;

/// <summary>
/// OTLP export requests as a generator sends them (reference: opentelemetry/proto/collector/trace/v1): traces of eight spans (an agent, three model calls, a retrieval, three tools), twelve attributes
/// each, 20 tenants, one span of ten a call that writes. Made once; before each sending new ids and times are written over the old ones. One thread at a time.
/// </summary>
internal sealed class SampleSpans
{
    public const int SpansPerTrace = 8;
    private const int Tenants = 20;

    private readonly List<(int At, int Trace)> traceIds = [];
    private readonly List<(int At, int Span)> spanIds = [];
    private readonly List<(int At, int Millis)> times = [];
    private readonly List<(int At, int Trace)> sessions = [];
    private readonly MemoryStream body = new();
    private readonly Random random;
    private readonly byte[] prefix = new byte[4];
    private byte[] bytes;
    private uint sent;

    /// <param name="spans">In one request; a multiple of eight, or one (a single call of a tool).</param>
    /// <param name="content">Characters of message text in each model call and tool, 0 for none.</param>
    public SampleSpans(int spans, int content, int seed)
    {
        random = new Random(seed);
        BinaryPrimitives.WriteInt32BigEndian(prefix, seed);
        var list = new MemoryStream();
        for (int i = 0; i < spans; i++)
        {
            Field(list, 2, Span(i, spans == 1 ? 5 : i % SpansPerTrace, content, parent: spans > 1));
        }

        Field(list, 1, Message(m => Text(m, 1, "evident.sample")));
        byte[] resource = Message(m =>
        {
            Field(m, 1, Attribute("service.name", "support-agent"));
            Field(m, 1, Attribute("deployment.environment.name", "production"));
        });
        byte[] scopeSpans = list.ToArray();
        int before = 0;
        byte[] resourceSpans = Message(m =>
        {
            Field(m, 1, resource);
            before = (int)m.Length + Head(2, scopeSpans.Length);
            Field(m, 2, scopeSpans);
        });
        before += Head(1, resourceSpans.Length);
        Field(body, 1, resourceSpans);
        bytes = body.ToArray();
        Spans = spans;
        Locate(before);
    }

    public int Spans { get; }

    /// <summary>Gives the request new trace ids, sessions and times; the bytes are valid until the next call.</summary>
    public byte[] Next(long unixMillis)
    {
        sent++;
        foreach (var (at, trace) in traceIds)
        {
            var id = bytes.AsSpan(at, 16);
            // Senders' ids are random: so are these, as a mix of a counter.
            ulong mixed = Mix(((ulong)sent << 24) + (uint)trace + ((ulong)BinaryPrimitives.ReadUInt32BigEndian(prefix) << 48));
            BinaryPrimitives.WriteUInt64BigEndian(id, mixed);
            BinaryPrimitives.WriteUInt64BigEndian(id[8..], Mix(mixed) | 1);
        }

        foreach (var (at, millis) in times)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), (ulong)(unixMillis + millis) * 1_000_000);
        }

        foreach (var (at, trace) in sessions)
        {
            Utf8Formatter.TryFormat((Mix(((ulong)sent << 16) + (uint)trace) % 90_000_000) + 10_000_000, bytes.AsSpan(at, 8), out _);
        }

        return bytes;
    }

    private static ulong Mix(ulong value)
    {
        value = unchecked((value ^ (value >> 30)) * 0xbf58476d1ce4e5b9);
        value = unchecked((value ^ (value >> 27)) * 0x94d049bb133111eb);
        return value ^ (value >> 31);
    }

    private byte[] Span(int index, int role, int content, bool parent)
    {
        int trace = index / SpansPerTrace;
        string tenant = string.Create(CultureInfo.InvariantCulture, $"tenant-{trace % Tenants:00}");
        var (name, operation) = role switch { 0 => ("invoke_agent support", "invoke_agent"), 1 or 3 or 6 => ("chat gpt-4o", "chat"), 2 => ("retrieve kb", "retrieval"), _ => ("execute_tool", "execute_tool") };
        bool writes = role == 5 && trace % 5 != 4;
        string tool = role == 4 ? "kb.search" : writes ? "crm.update" : "crm.read";
        int duration = 5 + random.Next(role == 0 ? 4_000 : 800), start = role * 100;
        bool failed = role == 4 && trace % 16 == 3;
        return Message(m =>
        {
            Field(m, 1, Marker(0xA0, 16));
            Field(m, 2, SpanIdOf(trace, role));
            if (role > 0 && parent)
            {
                Field(m, 4, SpanIdOf(trace, 0));
            }

            Text(m, 5, operation == "execute_tool" ? $"execute_tool {tool}" : name);
            Varint(m, 6 << 3, 1);
            Fixed(m, 7, start);
            Fixed(m, 8, start + duration);
            Field(m, 9, Attribute("gen_ai.operation.name", operation));
            Field(m, 9, Attribute("gen_ai.provider.name", "openai"));
            Field(m, 9, Attribute("session.id", "s-00000000"));
            Field(m, 9, Attribute("tenant.id", tenant));
            Field(m, 9, Attribute("workflow.id", string.Create(CultureInfo.InvariantCulture, $"workflow_{trace % 7}")));
            Field(m, 9, Attribute("gen_ai.agent.name", "support"));
            Field(m, 9, Attribute("release", "2026.11.4"));
            switch (operation)
            {
                case "chat":
                    Field(m, 9, Attribute("gen_ai.request.model", "gpt-4o"));
                    Field(m, 9, Attribute("gen_ai.response.model", "gpt-4o-2024-08-06"));
                    Field(m, 9, Attribute("gen_ai.usage.input_tokens", 200 + random.Next(4_000)));
                    Field(m, 9, Attribute("gen_ai.usage.output_tokens", 20 + random.Next(800)));
                    Field(m, 9, Attribute("gen_ai.response.finish_reasons", "stop"));
                    Content(m, "gen_ai.input.messages", content * 3 / 4);
                    Content(m, "gen_ai.output.messages", content / 4);
                    break;
                case "execute_tool":
                    Field(m, 9, Attribute("gen_ai.tool.name", tool));
                    Field(m, 9, Attribute("gen_ai.tool.type", "function"));
                    Field(m, 9, Attribute("gen_ai.tool.call.id", string.Create(CultureInfo.InvariantCulture, $"call_{random.Next():x8}{random.Next():x8}")));
                    Field(m, 9, Attribute("attempt", 1));
                    Field(m, 9, Attribute("side_effect_level", writes ? "write" : "read"));
                    Content(m, "gen_ai.tool.call.arguments", content * 3 / 4);
                    Content(m, "gen_ai.tool.call.result", content / 4);
                    break;
                default:
                    Field(m, 9, Attribute("server.address", "kb.internal"));
                    Field(m, 9, Attribute("server.port", 8443));
                    Field(m, 9, Attribute("step_index", role));
                    Field(m, 9, Attribute("cache_hit", random.Next(2)));
                    Field(m, 9, Attribute("top_k", 8));
                    break;
            }

            if (failed)
            {
                Field(m, 15, Message(s => Varint(s, 3 << 3, 2)));
            }
        });
    }

    private void Content(MemoryStream into, string key, int characters)
    {
        if (characters > 0)
        {
            var text = new StringBuilder("[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"");
            while (text.Length < characters)
            {
                text.Append(Words[random.Next(Words.Length)]).Append(' ');
            }

            Field(into, 9, Attribute(key, text.Append("\"}]}]").ToString()));
        }
    }

    private static readonly string[] Words =
        "the customer asked about an order which was delivered late and wants refund for shipping because our policy says that express parcels arrive within two days agent should check warehouse status before it answers with facts from knowledge base article seven please confirm address invoice amount currency country market product return label printed yesterday evening morning support team escalates when value exceeds limit of approval tool".Split(' ');

    private static byte[] SpanIdOf(int trace, int role)
    {
        byte[] id = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(id, Mix(((ulong)(uint)trace << 8) + (uint)role + 1));
        return id;
    }

    // Where the ids and times of each span are: found again by walking the finished message.
    private void Locate(int from)
    {
        int at = from, index = 0;
        while (at < bytes.Length)
        {
            int tag = bytes[at++];
            int length = ReadVarint(ref at);
            if (tag == (2 << 3 | 2))
            {
                int trace = index++ / SpansPerTrace;
                traceIds.Add((at + 2, trace));
                var span = bytes.AsSpan(at, length);
                for (int i = 0; i < span.Length;)
                {
                    int field = span[i++] >> 3;
                    if (field is 7 or 8)
                    {
                        times.Add((at + i, (int)BinaryPrimitives.ReadInt64LittleEndian(span[i..])));
                        i += 8;
                    }
                    else if (field == 6)
                    {
                        i++;
                    }
                    else
                    {
                        int size = 0, shift = 0;
                        do
                        {
                            size |= (span[i] & 0x7f) << shift;
                            shift += 7;
                        }
                        while (span[i++] >= 0x80);
                        int session = span.Slice(i, size).IndexOf("s-00000000"u8);
                        if (field == 9 && session >= 0)
                        {
                            sessions.Add((at + i + session + 2, trace));
                        }

                        i += size;
                    }
                }
            }

            at += length;
        }
    }

    private int ReadVarint(ref int at)
    {
        int value = 0, shift = 0;
        do
        {
            value |= (bytes[at] & 0x7f) << shift;
            shift += 7;
        }
        while (bytes[at++] >= 0x80);
        return value;
    }

    private static byte[] Marker(byte fill, int length)
    {
        byte[] marker = new byte[length];
        Array.Fill(marker, fill);
        return marker;
    }

    private static byte[] Attribute(string key, string value) => Message(m =>
    {
        Text(m, 1, key);
        Field(m, 2, Message(v => Text(v, 1, value)));
    });

    private static byte[] Attribute(string key, long value) => Message(m =>
    {
        Text(m, 1, key);
        Field(m, 2, Message(v => Varint(v, 3 << 3, (ulong)value)));
    });

    private static byte[] Message(Action<MemoryStream> fill)
    {
        var message = new MemoryStream();
        fill(message);
        return message.ToArray();
    }

    private static void Text(MemoryStream into, int number, string text) => Field(into, number, Encoding.UTF8.GetBytes(text));

    private static void Fixed(MemoryStream into, int number, long value)
    {
        into.WriteByte((byte)(number << 3 | 1));
        Span<byte> eight = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(eight, value);
        into.Write(eight);
    }

    private static void Field(MemoryStream into, int number, byte[] content)
    {
        Varint(into, number << 3 | 2, (ulong)content.Length);
        into.Write(content);
    }

    private static int Head(int number, int length)
    {
        var head = new MemoryStream();
        Varint(head, number << 3 | 2, (ulong)length);
        return (int)head.Length;
    }

    private static void Varint(MemoryStream into, int tag, ulong value)
    {
        into.WriteByte((byte)tag);
        for (; value >= 0x80; value >>= 7)
        {
            into.WriteByte((byte)((value & 0x7f) | 0x80));
        }

        into.WriteByte((byte)value);
    }
}
