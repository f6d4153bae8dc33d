using System.Numerics;
using System.Runtime.Intrinsics;
using System.Text.Unicode;

namespace Evident.Ledger;

/// <summary>Why bytes are not LJ-1. <see cref="UnexpectedEnd"/> alone means: so far a strict prefix of some LJ-1 text.</summary>
public enum Lj1Error : byte
{
    None, UnexpectedEnd, TooLong, TooDeep, Syntax, KeyOrder, KeyForm, NumberForm, StringForm, Null, TrailingBytes,
}

public enum Lj1Kind : byte
{
    Object, Array, String, Integer, True, False,
}

/// <summary>One value on the tape. Offsets are into the parsed bytes; a string's value range excludes its quotes.</summary>
public struct Lj1Node
{
    public Lj1Kind Kind;
    public bool Escaped;
    public int KeyStart, KeyLength;

    /// <summary>After a failed parse, -1 marks an unfinished string and 0 an unfinished container.</summary>
    public int Start, Length;

    /// <summary>Index of the node after this one and everything inside it.</summary>
    public int Next;
    public long Integer;
}

/// <summary>
/// Strict reader of LJ-1, the canonical JSON profile of the ledger: it accepts exactly the bytes that <see cref="Lj1ObjectBuilder"/>
/// can write, so whatever it accepts is its own canonical encoding. UTF-8; keys <c>[a-z0-9_]{1,64}</c>, strictly ascending; strings,
/// booleans, arrays, objects and integers within +-(2^53-1); no null, float, exponent, NUL or white space between tokens; the only
/// escapes are <c>\" \\ \b \t \n \f \r</c> and <c>\u00xx</c> (lower case) for the other controls; depth at most 6; 1..16,384 bytes.
/// Reusable, not thread safe; the tape is valid until the next parse.
/// </summary>
public sealed class Lj1Parser
{
    private Lj1Node[] nodes = new Lj1Node[128];
    private int count;
    private int position;
    private Lj1Error error;

    /// <summary>The tape: the root object first, children in order, each with its <see cref="Lj1Node.Next"/>.</summary>
    public ReadOnlySpan<Lj1Node> Nodes => nodes.AsSpan(0, count);

    /// <summary>Parses one line without its line feed. The root must be an object.</summary>
    public Lj1Error Parse(ReadOnlySpan<byte> line)
    {
        count = 0;
        position = 0;
        error = Lj1Error.None;
        if (line.Length > LedgerFormat.MaxLineBytes)
        {
            return Lj1Error.TooLong;
        }

        if (line.IsEmpty)
        {
            return Lj1Error.UnexpectedEnd;
        }

        if (line[0] != '{')
        {
            return Lj1Error.Syntax;
        }

        if (Value(line, 1, 0, 0) && position != line.Length)
        {
            return Lj1Error.TrailingBytes;
        }

        return error;
    }

    /// <summary>Index of the member of the object at <paramref name="parent"/>, or -1.</summary>
    public int Find(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> key)
    {
        for (int i = parent + 1; i < nodes[parent].Next; i = nodes[i].Next)
        {
            if (line.Slice(nodes[i].KeyStart, nodes[i].KeyLength).SequenceEqual(key))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Value bytes of a top-level member; empty when it is absent.</summary>
    public ReadOnlySpan<byte> Text(ReadOnlySpan<byte> line, ReadOnlySpan<byte> key)
    {
        int i = Find(line, 0, key);
        return i < 0 || nodes[i].Kind != Lj1Kind.String ? default : line.Slice(nodes[i].Start, nodes[i].Length);
    }

    /// <summary>A top-level integer; -1 when it is absent.</summary>
    public long Integer(ReadOnlySpan<byte> line, ReadOnlySpan<byte> key)
    {
        int i = Find(line, 0, key);
        return i < 0 || nodes[i].Kind != Lj1Kind.Integer ? -1 : nodes[i].Integer;
    }

    private bool Fail(Lj1Error why)
    {
        error = why;
        return false;
    }

    private int Push(Lj1Kind kind, int keyStart, int keyLength)
    {
        if (count == nodes.Length)
        {
            Array.Resize(ref nodes, nodes.Length * 2); // bounded by the line length
        }

        nodes[count] = new Lj1Node { Kind = kind, KeyStart = keyStart, KeyLength = keyLength, Start = position, Next = count + 1 };
        return count++;
    }

    private bool Value(ReadOnlySpan<byte> s, int depth, int keyStart, int keyLength)
    {
        if (position >= s.Length)
        {
            return Fail(Lj1Error.UnexpectedEnd);
        }

        byte first = s[position];
        switch (first)
        {
            case (byte)'{' or (byte)'[':
                return Container(s, depth, keyStart, keyLength, first == '{');
            case (byte)'"':
                position++;
                int text = Push(Lj1Kind.String, keyStart, keyLength);
                nodes[text].Length = -1;
                return String(s, text);
            case (byte)'t':
                return Literal(s, "true"u8, Lj1Kind.True, keyStart, keyLength);
            case (byte)'f':
                return Literal(s, "false"u8, Lj1Kind.False, keyStart, keyLength);
            case (byte)'n':
                return Fail(Lj1Error.Null);
            default:
                return Number(s, keyStart, keyLength);
        }
    }

    private bool Container(ReadOnlySpan<byte> s, int depth, int keyStart, int keyLength, bool isObject)
    {
        if (depth > LedgerFormat.MaxDepth)
        {
            return Fail(Lj1Error.TooDeep);
        }

        int self = Push(isObject ? Lj1Kind.Object : Lj1Kind.Array, keyStart, keyLength);
        byte close = isObject ? (byte)'}' : (byte)']';
        position++;
        if (position < s.Length && s[position] == close)
        {
            return Close(self);
        }

        int previousStart = 0, previousLength = 0;
        while (true)
        {
            int memberStart = 0, memberLength = 0;
            if (isObject)
            {
                if (!Key(s, out memberStart, out memberLength))
                {
                    return false;
                }

                if (previousLength > 0 && s[previousStart] >= s[memberStart]
                    && s.Slice(previousStart, previousLength).SequenceCompareTo(s.Slice(memberStart, memberLength)) >= 0)
                {
                    return Fail(Lj1Error.KeyOrder);
                }

                (previousStart, previousLength) = (memberStart, memberLength);
            }

            if (!Value(s, depth + 1, memberStart, memberLength))
            {
                return false;
            }

            if (position >= s.Length)
            {
                return Fail(Lj1Error.UnexpectedEnd);
            }

            if (s[position] == close)
            {
                return Close(self);
            }

            if (s[position] != ',')
            {
                return Fail(Lj1Error.Syntax);
            }

            position++;
        }
    }

    private bool Close(int self)
    {
        position++;
        nodes[self].Length = position - nodes[self].Start;
        nodes[self].Next = count;
        return true;
    }

    private bool Key(ReadOnlySpan<byte> s, out int start, out int length)
    {
        start = position + 1;
        length = 0;
        if (position >= s.Length)
        {
            return Fail(Lj1Error.UnexpectedEnd);
        }

        if (s[position] != '"')
        {
            return Fail(Lj1Error.Syntax);
        }

        int i = EndOfKey(s, start);
        length = i - start;
        if (length > 64 || (i < s.Length && (s[i] != '"' || length == 0)))
        {
            return Fail(Lj1Error.KeyForm);
        }

        if (i + 1 >= s.Length)
        {
            return Fail(Lj1Error.UnexpectedEnd);
        }

        if (s[i + 1] != ':')
        {
            return Fail(Lj1Error.Syntax);
        }

        position = i + 2;
        return true;
    }

    /// <summary>Index of the first byte that cannot stand in a key.</summary>
    private static int EndOfKey(ReadOnlySpan<byte> s, int i)
    {
        for (; i + Vector128<byte>.Count <= s.Length; i += Vector128<byte>.Count)
        {
            var bytes = Vector128.Create(s.Slice(i, Vector128<byte>.Count));
            var letters = Vector128.LessThanOrEqual(bytes - Vector128.Create((byte)'a'), Vector128.Create((byte)25));
            var digits = Vector128.LessThanOrEqual(bytes - Vector128.Create((byte)'0'), Vector128.Create((byte)9));
            uint other = (letters | digits | Vector128.Equals(bytes, Vector128.Create((byte)'_'))).ExtractMostSignificantBits() ^ 0xFFFF;
            if (other != 0)
            {
                return i + BitOperations.TrailingZeroCount(other);
            }
        }

        while (i < s.Length && (s[i] is >= (byte)'a' and <= (byte)'z' or >= (byte)'0' and <= (byte)'9' or (byte)'_'))
        {
            i++;
        }

        return i;
    }

    /// <summary>Passes characters that stand for themselves in ASCII; the index of the first other byte, or one less than 16 before the end.</summary>
    private static int EndOfPlain(ReadOnlySpan<byte> s, int i)
    {
        for (; i + Vector128<byte>.Count <= s.Length; i += Vector128<byte>.Count)
        {
            var bytes = Vector128.Create(s.Slice(i, Vector128<byte>.Count));
            var other = Vector128.LessThan(bytes.AsSByte(), Vector128.Create((sbyte)0x20)).AsByte() // controls, and from 0x80 on as negatives
                | Vector128.Equals(bytes, Vector128.Create((byte)'"')) | Vector128.Equals(bytes, Vector128.Create((byte)'\\'));
            if (other != Vector128<byte>.Zero)
            {
                return i + BitOperations.TrailingZeroCount(other.ExtractMostSignificantBits());
            }
        }

        return i;
    }

    private bool String(ReadOnlySpan<byte> s, int self)
    {
        int start = position;
        bool ascii = true, escaped = false;
        int i = EndOfPlain(s, start);
        while (true)
        {
            if (i >= s.Length)
            {
                // A multi-byte character may be cut at the very end; only complete ones can be judged.
                int end = i;
                for (int back = 1; back <= 3 && i - back >= start; back++)
                {
                    byte b = s[i - back];
                    if ((b & 0xC0) == 0xC0)
                    {
                        int need = b >= 0xF0 ? 4 : b >= 0xE0 ? 3 : 2;
                        end = need > back ? i - back : i;
                        break;
                    }

                    if ((b & 0x80) == 0)
                    {
                        break;
                    }
                }

                return Fail(ascii || Utf8.IsValid(s[start..end]) ? Lj1Error.UnexpectedEnd : Lj1Error.StringForm);
            }

            byte c = s[i];
            if (c == '"')
            {
                break;
            }

            if (c < 0x20)
            {
                return Fail(Lj1Error.StringForm);
            }

            if (c >= 0x80)
            {
                ascii = false;
            }

            if (c != '\\')
            {
                i++;
                continue;
            }

            escaped = true;
            int used = Escape(s[i..]);
            if (used < 0)
            {
                return Fail(Lj1Error.StringForm);
            }

            if (used == 0)
            {
                return Fail(Lj1Error.UnexpectedEnd);
            }

            i += used;
        }

        if (!ascii && !Utf8.IsValid(s[start..i]))
        {
            return Fail(Lj1Error.StringForm);
        }

        nodes[self].Start = start;
        nodes[self].Length = i - start;
        nodes[self].Escaped = escaped;
        position = i + 1;
        return true;
    }

    /// <summary>Length of the escape at the start, 0 when the bytes end inside one, -1 when it is not canonical.</summary>
    private static int Escape(ReadOnlySpan<byte> s)
    {
        if (s.Length < 2)
        {
            return 0;
        }

        if (s[1] is (byte)'"' or (byte)'\\' or (byte)'b' or (byte)'t' or (byte)'n' or (byte)'f' or (byte)'r')
        {
            return 2;
        }

        ReadOnlySpan<byte> head = "\\u00"u8;
        int common = Math.Min(s.Length, head.Length);
        if (!s[..common].SequenceEqual(head[..common]))
        {
            return -1;
        }

        if (s.Length > 4 && s[4] is not ((byte)'0' or (byte)'1'))
        {
            return -1;
        }

        if (s.Length < 6)
        {
            return 0;
        }

        int low = s[5] is >= (byte)'0' and <= (byte)'9' ? s[5] - '0' : s[5] is >= (byte)'a' and <= (byte)'f' ? s[5] - 'a' + 10 : -1;
        int code = ((s[4] - '0') * 16) + low;
        return low < 0 || code is 0 or 8 or 9 or 10 or 12 or 13 ? -1 : 6;
    }

    private bool Literal(ReadOnlySpan<byte> s, ReadOnlySpan<byte> word, Lj1Kind kind, int keyStart, int keyLength)
    {
        var rest = s[position..];
        if (rest.Length < word.Length)
        {
            return Fail(word.StartsWith(rest) ? Lj1Error.UnexpectedEnd : Lj1Error.Syntax);
        }

        if (!rest.StartsWith(word))
        {
            return Fail(Lj1Error.Syntax);
        }

        int self = Push(kind, keyStart, keyLength);
        nodes[self].Length = word.Length;
        position += word.Length;
        return true;
    }

    private bool Number(ReadOnlySpan<byte> s, int keyStart, int keyLength)
    {
        int i = position;
        bool negative = s[i] == '-';
        if (negative)
        {
            i++;
        }

        int digits = i;
        long value = 0;
        while (i < s.Length && s[i] is >= (byte)'0' and <= (byte)'9')
        {
            if (i - digits >= 16)
            {
                return Fail(Lj1Error.NumberForm);
            }

            value = (value * 10) + (s[i] - '0');
            i++;
        }

        int length = i - digits;
        if (length == 0)
        {
            return Fail(i == s.Length && negative ? Lj1Error.UnexpectedEnd : Lj1Error.Syntax);
        }

        if (value > LedgerFormat.MaxInteger || (s[digits] == '0' && (length > 1 || negative))
            || (i < s.Length && s[i] is (byte)'.' or (byte)'e' or (byte)'E'))
        {
            return Fail(Lj1Error.NumberForm);
        }

        int self = Push(Lj1Kind.Integer, keyStart, keyLength);
        nodes[self].Length = i - position;
        nodes[self].Integer = negative ? -value : value;
        position = i;
        return true;
    }
}
