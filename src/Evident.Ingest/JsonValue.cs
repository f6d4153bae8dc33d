using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>An <c>AnyValue</c> in OTLP/JSON, or the plain JSON value that hand-made senders put in its place.</summary>
internal readonly ref struct JsonValue(IngestLimits limits, SpanBatch into, int shift)
{
    private enum Member : byte { None, String, Bool, Int, Double, Array, List, Bytes }

    private readonly IngestLimits limits = limits;
    private readonly SpanBatch into = into;
    private readonly int shift = shift;

    private long At(ref Utf8JsonReader r) => r.TokenStartIndex + shift;

    /// <summary>The text of a string or property name token: where it stands in the body when nothing had to be changed.</summary>
    internal Slice Text(ref Utf8JsonReader r)
    {
        var raw = r.ValueSpan;
        if (!r.ValueIsEscaped) return into.Text(raw, checked((int)At(ref r)) + 1);
        byte[] text = JsonStrings.Decode(raw, out int length, out bool repaired);
        if (repaired) into.RepairedStrings++;
        int start = into.ArenaLength;
        into.AppendText(text.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(text);
        return new Slice(start, length);
    }

    internal static ReadOnlySpan<byte> NumberText(ref Utf8JsonReader r) => r.ValueSpan;

    internal DirtyAttribute Read(ref Utf8JsonReader r)
    {
        switch (r.TokenType)
        {
            case JsonTokenType.String: return new DirtyAttribute(default, ValueKind.Text, Text(ref r), 0);
            case JsonTokenType.True or JsonTokenType.False: return new DirtyAttribute(default, ValueKind.Flag, default, r.TokenType == JsonTokenType.True ? 1 : 0);
            case JsonTokenType.Number: return Integer(ref r);
            case JsonTokenType.StartObject when IsAnyValue(r): return AnyValue(ref r);
            case JsonTokenType.StartObject or JsonTokenType.StartArray:
                int start = into.ArenaLength;
                RenderPlain(ref r, 1);
                return new DirtyAttribute(default, ValueKind.Json, new Slice(start, into.ArenaLength - start), 0);
            default: return default;
        }
    }

    // {} is an AnyValue without a value; any other object is one when its first member is one of the oneof's.
    private static bool IsAnyValue(Utf8JsonReader r) => r.Read() && (r.TokenType == JsonTokenType.EndObject || Name(ref r) != Member.None);

    private static Member Name(ref Utf8JsonReader r)
    {
        if (JsonStrings.Is(ref r, "stringValue"u8) || JsonStrings.Is(ref r, "string_value"u8)) return Member.String;
        if (JsonStrings.Is(ref r, "intValue"u8) || JsonStrings.Is(ref r, "int_value"u8)) return Member.Int;
        if (JsonStrings.Is(ref r, "boolValue"u8) || JsonStrings.Is(ref r, "bool_value"u8)) return Member.Bool;
        if (JsonStrings.Is(ref r, "doubleValue"u8) || JsonStrings.Is(ref r, "double_value"u8)) return Member.Double;
        if (JsonStrings.Is(ref r, "arrayValue"u8) || JsonStrings.Is(ref r, "array_value"u8)) return Member.Array;
        if (JsonStrings.Is(ref r, "kvlistValue"u8) || JsonStrings.Is(ref r, "kvlist_value"u8)) return Member.List;
        if (JsonStrings.Is(ref r, "bytesValue"u8) || JsonStrings.Is(ref r, "bytes_value"u8)) return Member.Bytes;
        return Member.None;
    }

    private DirtyAttribute AnyValue(ref Utf8JsonReader r)
    {
        var value = default(DirtyAttribute);
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var member = Name(ref r);
            r.Read();
            if (r.TokenType == JsonTokenType.Null) continue;
            if (member == Member.None)
            {
                r.Skip();
                continue;
            }
            int start = into.ArenaLength;
            switch (member)
            {
                case Member.Array or Member.List:
                    Render(ref r, member, 1);
                    value = new DirtyAttribute(default, ValueKind.Json, new Slice(start, into.ArenaLength - start), 0);
                    break;
                case Member.Bytes:
                    Bytes(ref r);
                    value = new DirtyAttribute(default, ValueKind.Bytes, new Slice(start, into.ArenaLength - start), 0);
                    break;
                case Member.String:
                    Expect(ref r, r.TokenType == JsonTokenType.String, "a string");
                    value = new DirtyAttribute(default, ValueKind.Text, Text(ref r), 0);
                    break;
                case Member.Bool:
                    value = new DirtyAttribute(default, ValueKind.Flag, default, Flag(ref r) ? 1 : 0);
                    break;
                case Member.Int:
                    value = Integer(ref r);
                    break;
                default:
                    value = new DirtyAttribute(default, ValueKind.Number, default, BitConverter.DoubleToInt64Bits(Double(ref r)));
                    break;
            }
        }
        return value;
    }

    private void Expect(ref Utf8JsonReader r, bool condition, string expected)
    {
        if (!condition) OtlpDecodeException.Throw(At(ref r), expected);
    }

    private bool Flag(ref Utf8JsonReader r)
    {
        if (r.TokenType == JsonTokenType.String && JsonStrings.Is(ref r, "true"u8)) return true;
        if (r.TokenType == JsonTokenType.String && JsonStrings.Is(ref r, "false"u8)) return false;
        Expect(ref r, r.TokenType is JsonTokenType.True or JsonTokenType.False, "true or false");
        return r.TokenType == JsonTokenType.True;
    }

    // JavaScript writes every integral number as intValue, also those beyond int64: such a one is a double.
    private DirtyAttribute Integer(ref Utf8JsonReader r)
    {
        Expect(ref r, r.TokenType is JsonTokenType.Number or JsonTokenType.String, "an integer as a number or decimal string");
        var text = NumberText(ref r);
        if (Utf8Parser.TryParse(text, out long whole, out int used) && used == text.Length) return new DirtyAttribute(default, ValueKind.Integer, default, whole);
        double number = Double(ref r);
        return new DirtyAttribute(default, ValueKind.Number, default, BitConverter.DoubleToInt64Bits(number));
    }

    private double Double(ref Utf8JsonReader r)
    {
        Expect(ref r, r.TokenType is JsonTokenType.Number or JsonTokenType.String, "a number");
        var text = NumberText(ref r);
        if (text.SequenceEqual("NaN"u8)) return double.NaN;
        if (text.SequenceEqual("Infinity"u8)) return double.PositiveInfinity;
        if (text.SequenceEqual("-Infinity"u8)) return double.NegativeInfinity;
        bool read = Utf8Parser.TryParse(text, out double number, out int used) && used == text.Length;
        Expect(ref r, read, "a number");
        return number;
    }

    // Standard or url-safe alphabet, with or without padding; the bytes go to the arena's end.
    private void Bytes(ref Utf8JsonReader r)
    {
        Expect(ref r, r.TokenType == JsonTokenType.String, "bytes in base64");
        byte[] text = JsonStrings.Decode(r.ValueSpan, out int length, out _);
        try
        {
            foreach (ref byte c in text.AsSpan(0, length))
                c = c switch { (byte)'-' => (byte)'+', (byte)'_' => (byte)'/', _ => c };
            var digits = text.AsSpan(0, length).TrimEnd((byte)'=');
            Expect(ref r, digits.Length % 4 != 1 && Base64.IsValid(digits[..(digits.Length & ~3)]), "bytes in base64");
            Span<byte> last = stackalloc byte[4];
            last.Fill((byte)'=');
            digits[(digits.Length & ~3)..].CopyTo(last);
            int whole = digits.Length / 4 * 3, rest = digits.Length % 4 is 0 ? 0 : digits.Length % 4 - 1;
            var to = into.Append(whole + rest);
            bool decoded = Base64.DecodeFromUtf8(digits[..(digits.Length & ~3)], to, out _, out int written) == OperationStatus.Done && written == whole;
            Span<byte> tail = stackalloc byte[3];
            if (rest > 0) decoded &= Base64.DecodeFromUtf8(last, tail, out _, out int n) == OperationStatus.Done && n == rest;
            Expect(ref r, decoded, "bytes in base64");
            tail[..rest].CopyTo(to[whole..]);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(text);
        }
    }

    // Nested values: every path appends exactly one JSON value at the arena's end.
    private void RenderAny(ref Utf8JsonReader r, int depth)
    {
        if (r.TokenType != JsonTokenType.StartObject || !IsAnyValue(r))
        {
            RenderPlain(ref r, depth);
            return;
        }
        int start = into.ArenaLength;
        into.AppendText("null"u8);
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var member = Name(ref r);
            r.Read();
            if (member == Member.None || r.TokenType == JsonTokenType.Null)
            {
                r.Skip();
                continue;
            }
            into.TruncateArena(start);
            Render(ref r, member, depth);
        }
    }

    private void Render(ref Utf8JsonReader r, Member member, int depth)
    {
        switch (member)
        {
            case Member.String:
                Expect(ref r, r.TokenType == JsonTokenType.String, "a string");
                RenderString(ref r);
                break;
            case Member.Bool: into.AppendText(Flag(ref r) ? "true"u8 : "false"u8); break;
            case Member.Int:
                var integer = Integer(ref r);
                if (integer.Kind == ValueKind.Integer) RenderedValue.Integer(integer.Bits, into);
                else RenderedValue.Number(integer.Number, into);
                break;
            case Member.Double: RenderedValue.Number(Double(ref r), into); break;
            case Member.Bytes:
                int start = into.ArenaLength;
                Bytes(ref r);
                byte[] bytes = into.Bytes(new Slice(start, into.ArenaLength - start)).ToArray();
                into.TruncateArena(start);
                RenderedValue.Base64(bytes, into);
                break;
            default: RenderList(ref r, member, depth); break;
        }
    }

    // {"values":[…]} of an array or a key-value list; a bare [] is taken as well.
    private void RenderList(ref Utf8JsonReader r, Member member, int depth)
    {
        if (depth > limits.MaxDepth) OtlpDecodeException.Throw(At(ref r), RenderedValue.TooDeep);
        int start = into.ArenaLength;
        into.AppendText(member == Member.Array ? "[]"u8 : "{}"u8);
        if (r.TokenType == JsonTokenType.StartArray)
        {
            RenderValues(ref r, member, depth, start);
            return;
        }
        Expect(ref r, r.TokenType == JsonTokenType.StartObject, "an object with values");
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            bool values = JsonStrings.Is(ref r, "values"u8);
            r.Read();
            if (!values || r.TokenType == JsonTokenType.Null) r.Skip();
            else RenderValues(ref r, member, depth, start);
        }
    }

    private void RenderValues(ref Utf8JsonReader r, Member member, int depth, int start)
    {
        Expect(ref r, r.TokenType == JsonTokenType.StartArray, "a list of values");
        into.TruncateArena(start);
        into.AppendByte(member == Member.Array ? (byte)'[' : (byte)'{');
        bool any = false;
        while (r.Read() && r.TokenType != JsonTokenType.EndArray)
        {
            if (any) into.AppendByte((byte)',');
            any = true;
            if (member == Member.Array) RenderAny(ref r, depth + 1);
            else RenderMember(ref r, depth);
        }
        into.AppendByte(member == Member.Array ? (byte)']' : (byte)'}');
    }

    // {"key":…,"value":…} in either order: the key is looked ahead for, since it is written first.
    private void RenderMember(ref Utf8JsonReader r, int depth)
    {
        Expect(ref r, r.TokenType == JsonTokenType.StartObject, "an object with key and value");
        var ahead = r;
        int start = into.ArenaLength;
        into.AppendText("\"\""u8);
        while (ahead.Read() && ahead.TokenType == JsonTokenType.PropertyName)
        {
            bool key = JsonStrings.Is(ref ahead, "key"u8);
            ahead.Read();
            if (!key || ahead.TokenType == JsonTokenType.Null)
            {
                ahead.Skip();
                continue;
            }
            Expect(ref ahead, ahead.TokenType == JsonTokenType.String, "a key");
            into.TruncateArena(start);
            RenderString(ref ahead);
        }
        into.AppendByte((byte)':');
        int valueStart = into.ArenaLength;
        into.AppendText("null"u8);
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            bool value = JsonStrings.Is(ref r, "value"u8);
            r.Read();
            if (!value)
            {
                r.Skip();
                continue;
            }
            into.TruncateArena(valueStart);
            RenderAny(ref r, depth + 1);
        }
    }

    private void RenderPlain(ref Utf8JsonReader r, int depth)
    {
        switch (r.TokenType)
        {
            case JsonTokenType.String: RenderString(ref r); break;
            case JsonTokenType.True: into.AppendText("true"u8); break;
            case JsonTokenType.False: into.AppendText("false"u8); break;
            case JsonTokenType.Number: Render(ref r, Member.Int, depth); break;
            case JsonTokenType.StartArray or JsonTokenType.StartObject:
                if (depth > limits.MaxDepth) OtlpDecodeException.Throw(At(ref r), RenderedValue.TooDeep);
                bool array = r.TokenType == JsonTokenType.StartArray, any = false;
                into.AppendByte(array ? (byte)'[' : (byte)'{');
                while (r.Read() && r.TokenType is not (JsonTokenType.EndArray or JsonTokenType.EndObject))
                {
                    if (any) into.AppendByte((byte)',');
                    any = true;
                    if (!array)
                    {
                        RenderString(ref r);
                        into.AppendByte((byte)':');
                        r.Read();
                    }
                    RenderPlain(ref r, depth + 1);
                }
                into.AppendByte(array ? (byte)']' : (byte)'}');
                break;
            default: into.AppendText("null"u8); break;
        }
    }

    private void RenderString(ref Utf8JsonReader r)
    {
        if (!r.ValueIsEscaped && Utf8.IsValid(r.ValueSpan))
        {
            RenderedValue.String(r.ValueSpan, into);
            return;
        }
        byte[] text = JsonStrings.Decode(r.ValueSpan, out int length, out bool repaired);
        if (repaired) into.RepairedStrings++;
        RenderedValue.String(text.AsSpan(0, length), into);
        ArrayPool<byte>.Shared.Return(text);
    }
}
