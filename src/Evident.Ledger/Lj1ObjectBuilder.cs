using System.Buffers;
using System.Buffers.Text;
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
    private struct Member
    {
        public string Key;
        public int Start, Length; // of the encoded value
    }

    private static readonly SearchValues<char> KeyCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_");

    private Member[] members = new Member[16]; // ascending by key
    private int count;
    private byte[] values = new byte[256]; // in the order of the calls
    private int used;
    private Lj1ObjectBuilder? inner; // used again for each nested object

    public Lj1ObjectBuilder Set(string key, string value)
    {
        int start = used;
        used = Lj1Text.Append(ref values, used, key, value);
        return Add(key, start);
    }

    /// <summary>Sets the member, or leaves it out when the value is null.</summary>
    public Lj1ObjectBuilder SetIf(string key, string? value) => value is null ? this : Set(key, value);

    public Lj1ObjectBuilder SetIf(string key, long? value) => value is null ? this : Set(key, value.Value);

    public Lj1ObjectBuilder SetIf(string key, bool? value) => value is null ? this : Set(key, value.Value);

    public Lj1ObjectBuilder Set(string key, long value)
    {
        if (value is > LedgerFormat.MaxInteger or < -LedgerFormat.MaxInteger)
        {
            throw new LedgerSchemaException($"member '{key}': {value} is outside +-(2^53-1).");
        }

        int start = used;
        Lj1Text.Reserve(ref values, used, 20);
        _ = Utf8Formatter.TryFormat(value, values.AsSpan(used), out int written);
        used += written;
        return Add(key, start);
    }

    public Lj1ObjectBuilder Set(string key, bool value)
    {
        int start = used;
        Put(value ? "true"u8 : "false"u8);
        return Add(key, start);
    }

    /// <summary>A nested object.</summary>
    public Lj1ObjectBuilder Set(string key, Action<Lj1ObjectBuilder> fields)
    {
        int start = used;
        PutObject(fields);
        return Add(key, start);
    }

    /// <summary>A list of strings, order kept.</summary>
    public Lj1ObjectBuilder Set(string key, IEnumerable<string> values)
    {
        int start = used;
        Put("["u8);
        bool first = true;
        foreach (string value in values)
        {
            Put(first ? default : ","u8);
            first = false;
            used = Lj1Text.Append(ref this.values, used, key, value);
        }

        Put("]"u8);
        return Add(key, start);
    }

    /// <summary>A list of objects, order kept.</summary>
    public Lj1ObjectBuilder Set(string key, IEnumerable<Action<Lj1ObjectBuilder>> values)
    {
        int start = used;
        Put("["u8);
        bool first = true;
        foreach (var value in values)
        {
            Put(first ? default : ","u8);
            first = false;
            PutObject(value);
        }

        Put("]"u8);
        return Add(key, start);
    }

    /// <summary>The canonical bytes. Depth and length are checked by the parser, which every entry passes before it is used.</summary>
    public byte[] ToBytes()
    {
        byte[] bytes = new byte[Length];
        Write(bytes);
        return bytes;
    }

    private int Length
    {
        get
        {
            int length = 2 + Math.Max(0, count - 1);
            for (int i = 0; i < count; i++)
            {
                length += members[i].Key.Length + 3 + members[i].Length;
            }

            return length;
        }
    }

    private void Write(Span<byte> output)
    {
        int at = 0;
        output[at++] = (byte)'{';
        for (int i = 0; i < count; i++)
        {
            ref readonly var member = ref members[i];
            if (i > 0)
            {
                output[at++] = (byte)',';
            }

            output[at++] = (byte)'"';
            at += Encoding.ASCII.GetBytes(member.Key, output[at..]);
            output[at++] = (byte)'"';
            output[at++] = (byte)':';
            values.AsSpan(member.Start, member.Length).CopyTo(output[at..]);
            at += member.Length;
        }

        output[at] = (byte)'}';
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        Lj1Text.Reserve(ref values, used, bytes.Length);
        bytes.CopyTo(values.AsSpan(used));
        used += bytes.Length;
    }

    private void PutObject(Action<Lj1ObjectBuilder> fields)
    {
        inner ??= new Lj1ObjectBuilder();
        (inner.count, inner.used) = (0, 0);
        fields(inner);
        int length = inner.Length;
        Lj1Text.Reserve(ref values, used, length);
        inner.Write(values.AsSpan(used, length));
        used += length;
    }

    private Lj1ObjectBuilder Add(string key, int start)
    {
        if (key.Length is 0 or > 64 || key.AsSpan().ContainsAnyExcept(KeyCharacters))
        {
            throw new LedgerSchemaException($"'{key}' is no LJ-1 key; keys match [a-z0-9_]{{1,64}}.");
        }

        int low = 0, high = count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            int order = string.CompareOrdinal(members[middle].Key, key);
            if (order == 0)
            {
                throw new LedgerSchemaException($"member '{key}' is set twice.");
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle);
        }

        if (count == members.Length)
        {
            Array.Resize(ref members, count * 2);
        }

        Array.Copy(members, low, members, low + 1, count - low);
        members[low] = new Member { Key = key, Start = start, Length = used - start };
        count++;
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
        byte[] buffer = new byte[value.Length + 2];
        int length = Append(ref buffer, 0, key, value);
        return buffer.Length == length ? buffer : buffer[..length];
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
                (byte)'u' => (byte)Nibbles(canonical[i + 3], canonical[i + 4]),
                var self => self,
            };
            if (canonical[i] == 'u')
            {
                i += 4;
            }
        }

        return output[..length];
    }

    /// <summary>Writes the quoted, escaped form at <paramref name="at"/>, growing the buffer; returns the end.</summary>
    internal static int Append(ref byte[] buffer, int at, string key, string value)
    {
        Reserve(ref buffer, at, (value.Length * 3) + 2);
        buffer[at++] = (byte)'"';
        if (!value.AsSpan().ContainsAnyExceptInRange(' ', '~') && value.AsSpan().IndexOfAny('"', '\\') < 0)
        {
            at += Encoding.ASCII.GetBytes(value, buffer.AsSpan(at));
            buffer[at] = (byte)'"';
            return at + 1;
        }

        byte[] utf8 = new byte[(value.Length * 3) + 1];
        var status = Utf8.FromUtf16(value, utf8, out _, out int length, replaceInvalidSequences: false);
        if (status != OperationStatus.Done || utf8.AsSpan(0, length).Contains((byte)0))
        {
            throw new LedgerSchemaException($"member '{key}': the text holds NUL or a lone surrogate.");
        }

        Reserve(ref buffer, at, (length * 6) + 1);
        foreach (byte c in utf8.AsSpan(0, length))
        {
            byte escape = c switch
            {
                (byte)'"' or (byte)'\\' => c,
                8 => (byte)'b',
                9 => (byte)'t',
                10 => (byte)'n',
                12 => (byte)'f',
                13 => (byte)'r',
                < 0x20 => (byte)'u',
                _ => 0,
            };
            if (escape == 0)
            {
                buffer[at++] = c;
                continue;
            }

            buffer[at++] = (byte)'\\';
            buffer[at++] = escape;
            if (escape == 'u')
            {
                "00"u8.CopyTo(buffer.AsSpan(at));
                buffer[at + 2] = "0123456789abcdef"u8[c >> 4];
                buffer[at + 3] = "0123456789abcdef"u8[c & 15];
                at += 4;
            }
        }

        buffer[at] = (byte)'"';
        return at + 1;
    }

    internal static void Reserve(ref byte[] buffer, int at, int more)
    {
        if (buffer.Length - at < more)
        {
            Array.Resize(ref buffer, Math.Max(buffer.Length * 2, at + more));
        }
    }

    private static int Nibbles(byte high, byte low) => (Nibble(high) << 4) | Nibble(low);

    private static int Nibble(byte b) => b <= '9' ? b - '0' : b - 'a' + 10;
}
