using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Evident.Ledger;

/// <summary>
/// Builds one LJ-1 object. Members may be set in any order; they are written sorted. What LJ-1 cannot hold (a key outside
/// <c>[a-z0-9_]</c>, a duplicate key, a lone surrogate, NUL, an integer beyond +-(2^53-1)) throws
/// <see cref="LedgerSchemaException"/> at the call that brings it.
/// </summary>
public sealed class Lj1ObjectBuilder
{
    private readonly List<(string Key, byte[] Value)> members = [];

    public Lj1ObjectBuilder Set(string key, string value) => Add(key, Lj1Text.Encode(key, value));

    /// <summary>Sets the member, or leaves it out when the value is null.</summary>
    public Lj1ObjectBuilder SetIf(string key, string? value) => value is null ? this : Set(key, value);

    public Lj1ObjectBuilder SetIf(string key, long? value) => value is null ? this : Set(key, value.Value);

    public Lj1ObjectBuilder SetIf(string key, bool? value) => value is null ? this : Set(key, value.Value);

    public Lj1ObjectBuilder Set(string key, long value) => value is <= LedgerFormat.MaxInteger and >= -LedgerFormat.MaxInteger
        ? Add(key, Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)))
        : throw new LedgerSchemaException($"member '{key}': {value} is outside +-(2^53-1).");

    public Lj1ObjectBuilder Set(string key, bool value) => Add(key, value ? "true"u8.ToArray() : "false"u8.ToArray());

    /// <summary>A nested object.</summary>
    public Lj1ObjectBuilder Set(string key, Action<Lj1ObjectBuilder> fields)
    {
        var inner = new Lj1ObjectBuilder();
        fields(inner);
        return Add(key, inner.ToBytes());
    }

    /// <summary>A list of strings, order kept.</summary>
    public Lj1ObjectBuilder Set(string key, IEnumerable<string> values) => SetArray(key, values.Select(v => Lj1Text.Encode(key, v)));

    /// <summary>A list of objects, order kept.</summary>
    public Lj1ObjectBuilder Set(string key, IEnumerable<Action<Lj1ObjectBuilder>> values) =>
        SetArray(key, values.Select(v =>
        {
            var inner = new Lj1ObjectBuilder();
            v(inner);
            return inner.ToBytes();
        }));

    /// <summary>The canonical bytes. Depth and length are checked by the parser, which every entry passes before it is used.</summary>
    public byte[] ToBytes()
    {
        members.Sort(static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        var output = new ArrayBufferWriter<byte>(256);
        output.Write("{"u8);
        for (int i = 0; i < members.Count; i++)
        {
            var (key, value) = members[i];
            if (i > 0)
            {
                if (members[i - 1].Key == key)
                {
                    throw new LedgerSchemaException($"member '{key}' is set twice.");
                }

                output.Write(","u8);
            }

            output.Write("\""u8);
            output.Write(Encoding.ASCII.GetBytes(key));
            output.Write("\":"u8);
            output.Write(value);
        }

        output.Write("}"u8);
        return output.WrittenSpan.ToArray();
    }

    private Lj1ObjectBuilder SetArray(string key, IEnumerable<byte[]> values)
    {
        var output = new ArrayBufferWriter<byte>();
        output.Write("["u8);
        bool first = true;
        foreach (byte[] value in values)
        {
            if (!first)
            {
                output.Write(","u8);
            }

            first = false;
            output.Write(value);
        }

        output.Write("]"u8);
        return Add(key, output.WrittenSpan.ToArray());
    }

    private Lj1ObjectBuilder Add(string key, byte[] value)
    {
        if (key.Length is 0 or > 64 || key.AsSpan().ContainsAnyExcept("abcdefghijklmnopqrstuvwxyz0123456789_"))
        {
            throw new LedgerSchemaException($"'{key}' is no LJ-1 key; keys match [a-z0-9_]{{1,64}}.");
        }

        members.Add((key, value));
        return this;
    }
}

/// <summary>LJ-1 strings: the escapes of RFC 8785, without NUL.</summary>
public static class Lj1Text
{
    /// <summary>The quoted, escaped form.</summary>
    /// <exception cref="LedgerSchemaException">NUL or a lone surrogate.</exception>
    public static byte[] Encode(string key, string value)
    {
        var output = new ArrayBufferWriter<byte>(value.Length + 2);
        output.Write("\""u8);
        byte[] utf8 = new byte[(value.Length * 3) + 1];
        var status = Utf8.FromUtf16(value, utf8, out _, out int length, replaceInvalidSequences: false);
        if (status != OperationStatus.Done || utf8.AsSpan(0, length).Contains((byte)0))
        {
            throw new LedgerSchemaException($"member '{key}': the text holds NUL or a lone surrogate.");
        }

        foreach (byte c in utf8.AsSpan(0, length))
        {
            Append(output, c);
        }

        output.Write("\""u8);
        return output.WrittenSpan.ToArray();
    }

    /// <summary>The bytes that an accepted LJ-1 string stands for (canonical input only: <see cref="Lj1Parser"/> checked it).</summary>
    public static byte[] Decode(ReadOnlySpan<byte> canonical)
    {
        byte[] output = new byte[canonical.Length];
        int length = 0;
        for (int i = 0; i < canonical.Length; i++)
        {
            if (canonical[i] != '\\')
            {
                output[length++] = canonical[i];
                continue;
            }

            i++;
            output[length++] = canonical[i] switch
            {
                (byte)'b' => 8,
                (byte)'t' => 9,
                (byte)'n' => 10,
                (byte)'f' => 12,
                (byte)'r' => 13,
                (byte)'u' => byte.Parse(canonical.Slice(i + 3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                var self => self,
            };
            if (canonical[i] == 'u')
            {
                i += 4;
            }
        }

        return output[..length];
    }

    private static void Append(ArrayBufferWriter<byte> output, byte c)
    {
        ReadOnlySpan<byte> escape = c switch
        {
            (byte)'"' => "\\\""u8,
            (byte)'\\' => "\\\\"u8,
            8 => "\\b"u8,
            9 => "\\t"u8,
            10 => "\\n"u8,
            12 => "\\f"u8,
            13 => "\\r"u8,
            _ => default,
        };
        if (!escape.IsEmpty)
        {
            output.Write(escape);
        }
        else if (c < 0x20)
        {
            output.Write(Encoding.ASCII.GetBytes("\\u00" + c.ToString("x2", CultureInfo.InvariantCulture)));
        }
        else
        {
            output.Write([c]);
        }
    }
}
