using System.Buffers.Text;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>
/// <c>AnyValue</c> of <c>common/v1/common.proto</c>. Scalars stay where they are in the body; arrays and key-value lists are rendered at the arena's end as
/// compact JSON, byte for byte what <see cref="OtlpJsonDecoder"/> renders for the same value.
/// </summary>
internal static class ProtobufValue
{
    // The oneof's member that was seen last, not yet interpreted.
    private ref struct Choice
    {
        public int Field;
        public ulong Bits;
        public ReadOnlySpan<byte> Content;
        public int At;
    }

    internal static DirtyAttribute Read(ReadOnlySpan<byte> data, int origin, IngestLimits limits, SpanBatch into)
    {
        var choice = Choose(data, origin, limits, into);
        switch (choice.Field)
        {
            case 1: return new DirtyAttribute(default, ValueKind.Text, choice.Content.Length > limits.MaxValueBytes ? new Slice(choice.At, choice.Content.Length) : into.Text(choice.Content, choice.At), 0);
            case 2: return new DirtyAttribute(default, ValueKind.Flag, default, choice.Bits != 0 ? 1 : 0);
            case 3: return new DirtyAttribute(default, ValueKind.Integer, default, unchecked((long)choice.Bits));
            case 4: return new DirtyAttribute(default, ValueKind.Number, default, unchecked((long)choice.Bits));
            case 5 or 6:
                int start = into.ArenaLength;
                Render(choice, 1, limits, into);
                return new DirtyAttribute(default, ValueKind.Json, new Slice(start, into.ArenaLength - start), 0);
            case 7: return new DirtyAttribute(default, ValueKind.Bytes, new Slice(choice.At, choice.Content.Length), 0);
            default: return default;
        }
    }

    private static Choice Choose(ReadOnlySpan<byte> data, int origin, IngestLimits limits, SpanBatch into)
    {
        var choice = default(Choice);
        int repeated = 0;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            int field = reader.Field;
            switch (reader.Tag)
            {
                case 0x10 or 0x18: choice = new Choice { Field = field, Bits = reader.ReadVarint() }; break;
                case 0x21: choice = new Choice { Field = field, Bits = reader.ReadFixed64() }; break;
                case 0x0a or 0x3a: choice = new Choice { Field = field, Content = reader.ReadBytes(out int at), At = at }; break;
                case 0x2a or 0x32:
                    repeated = choice.Field == field ? repeated + 1 : 0;
                    choice = new Choice { Field = field, Content = reader.ReadBytes(out int at1), At = at1 };
                    continue;
                default: reader.Skip(); continue;
            }
            repeated = 0;
        }
        // The same list twice in a row merges; after another member of the oneof it starts anew, which the last run alone decides.
        if (repeated > 0) choice.Content = MergedTail(data, origin, repeated + 1, choice.Field, limits, into, out choice.At);
        return choice;
    }

    /// <summary>Merging occurrences of one message field is decoding their concatenation (protobuf.dev, "Last One Wins").</summary>
    internal static ReadOnlySpan<byte> Merged(ReadOnlySpan<byte> data, int origin, int tag, IngestLimits limits, SpanBatch into, out int at) =>
        Concatenate(data, origin, tag, 0, limits, into, out at);

    private static ReadOnlySpan<byte> MergedTail(ReadOnlySpan<byte> data, int origin, int last, int field, IngestLimits limits, SpanBatch into, out int at)
    {
        int tag = (field << 3) | 2, occurrences = 0;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == tag) occurrences++;
            reader.Skip();
        }
        // Lists are only ever rendered, so the concatenation need not stay in the arena, where a rendering may be under way.
        int length = into.ArenaLength;
        var merged = Concatenate(data, origin, tag, occurrences - last, limits, into, out _);
        into.TruncateArena(length);
        at = origin;
        return merged;
    }

    // The copy in the arena serves slices; the returned one serves reading while the arena may move. Only input that repeats singular fields pays.
    private static ReadOnlySpan<byte> Concatenate(ReadOnlySpan<byte> data, int origin, int tag, int skip, IngestLimits limits, SpanBatch into, out int at)
    {
        at = into.ArenaLength;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag != tag)
            {
                reader.Skip();
                continue;
            }
            var content = reader.ReadBytes(out _);
            if (skip-- <= 0) into.AppendText(content);
        }
        return into.Bytes(new Slice(at, into.ArenaLength - at)).ToArray();
    }

    private static void Render(in Choice choice, int depth, IngestLimits limits, SpanBatch into)
    {
        switch (choice.Field)
        {
            case 1: RenderString(choice.Content, into); break;
            case 2: into.AppendText(choice.Bits != 0 ? "true"u8 : "false"u8); break;
            case 3: RenderedValue.Integer(unchecked((long)choice.Bits), into); break;
            case 4: RenderedValue.Number(BitConverter.UInt64BitsToDouble(choice.Bits), into); break;
            case 5: RenderArray(choice.Content, choice.At, depth, limits, into); break;
            case 6: RenderList(choice.Content, choice.At, depth, limits, into); break;
            case 7: RenderedValue.Base64(choice.Content, into); break;
            default: into.AppendText("null"u8); break;
        }
    }

    private static void RenderArray(ReadOnlySpan<byte> data, int origin, int depth, IngestLimits limits, SpanBatch into)
    {
        if (depth > limits.MaxDepth) OtlpDecodeException.Throw(origin, RenderedValue.TooDeep);
        into.AppendByte((byte)'[');
        bool any = false;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag != 0x0a)
            {
                reader.Skip();
                continue;
            }
            if (any) into.AppendByte((byte)',');
            any = true;
            var content = reader.ReadBytes(out int at);
            Render(Choose(content, at, limits, into), depth + 1, limits, into);
        }
        into.AppendByte((byte)']');
    }

    private static void RenderList(ReadOnlySpan<byte> data, int origin, int depth, IngestLimits limits, SpanBatch into)
    {
        if (depth > limits.MaxDepth) OtlpDecodeException.Throw(origin, RenderedValue.TooDeep);
        into.AppendByte((byte)'{');
        bool any = false;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag != 0x0a)
            {
                reader.Skip();
                continue;
            }
            if (any) into.AppendByte((byte)',');
            any = true;
            var content = reader.ReadBytes(out int at);
            RenderMember(content, at, depth, limits, into);
        }
        into.AppendByte((byte)'}');
    }

    private static void RenderMember(ReadOnlySpan<byte> data, int origin, int depth, IngestLimits limits, SpanBatch into)
    {
        ReadOnlySpan<byte> key = default, value = default;
        int valueAt = origin, values = 0;
        var reader = new ProtobufReader(data, origin, limits.MaxDepth);
        while (reader.NextTag())
        {
            if (reader.Tag == 0x0a)
            {
                key = reader.ReadBytes(out _);
            }
            else if (reader.Tag == 0x12)
            {
                value = reader.ReadBytes(out valueAt);
                values++;
            }
            else
            {
                reader.Skip();
            }
        }
        if (values > 1) value = MergedAside(data, origin, limits, into, out valueAt);
        RenderString(key, into);
        into.AppendByte((byte)':');
        Render(Choose(value, valueAt, limits, into), depth + 1, limits, into);
    }

    // Inside a rendering nothing else may be appended to the arena: the concatenation is taken off it again.
    private static ReadOnlySpan<byte> MergedAside(ReadOnlySpan<byte> data, int origin, IngestLimits limits, SpanBatch into, out int at)
    {
        int length = into.ArenaLength;
        var merged = Merged(data, origin, 0x12, limits, into, out _);
        into.TruncateArena(length);
        at = origin;
        return merged;
    }

    private static void RenderString(ReadOnlySpan<byte> utf8, SpanBatch into)
    {
        if (Utf8.IsValid(utf8))
        {
            RenderedValue.String(utf8, into);
            return;
        }
        int start = into.ArenaLength;
        into.AppendRepaired(utf8);
        byte[] repaired = into.Bytes(new Slice(start, into.ArenaLength - start)).ToArray();
        into.TruncateArena(start);
        RenderedValue.String(repaired, into);
    }
}

/// <summary>The pieces of a rendered array or list, shared by both decoders.</summary>
internal static class RenderedValue
{
    internal const string TooDeep = "values nested less deep (configuration value ingest.maxDepth)";

    internal static void String(ReadOnlySpan<byte> utf8, SpanBatch into) => JsonText.WriteString(utf8, into.Append(JsonText.StringLength(utf8)));

    internal static void Integer(long value, SpanBatch into)
    {
        Span<byte> text = stackalloc byte[24];
        into.AppendText(text[..JsonText.WriteInteger(value, text)]);
    }

    internal static void Number(double value, SpanBatch into)
    {
        Span<byte> text = stackalloc byte[32];
        into.AppendText(text[..JsonText.WriteNumber(value, text)]);
    }

    internal static void Base64(ReadOnlySpan<byte> bytes, SpanBatch into)
    {
        into.AppendByte((byte)'"');
        System.Buffers.Text.Base64.EncodeToUtf8(bytes, into.Append(System.Buffers.Text.Base64.GetMaxEncodedToUtf8Length(bytes.Length)), out _, out _);
        into.AppendByte((byte)'"');
    }
}
