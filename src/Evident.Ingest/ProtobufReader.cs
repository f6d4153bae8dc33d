using System.Buffers.Binary;

namespace Evident.Ingest;

/// <summary>
/// A cursor over one protobuf message (protobuf.dev, "Encoding"). Every length is checked against the message that holds it, so no input can
/// make it read outside; every defect is an <see cref="OtlpDecodeException"/> with the offset in the request.
/// </summary>
internal ref struct ProtobufReader
{
    private readonly ReadOnlySpan<byte> data;
    private readonly int origin;
    private readonly int maxDepth;
    private int position;

    /// <param name="origin">Offset of <paramref name="data"/> in the request (or arena), for slices and error texts.</param>
    public ProtobufReader(ReadOnlySpan<byte> data, int origin, int maxDepth)
    {
        this.data = data;
        this.origin = origin;
        this.maxDepth = maxDepth;
    }

    /// <summary>Field number of the tag read last.</summary>
    public int Field { get; private set; }

    /// <summary>Wire type of the tag read last: 0 varint, 1 fixed64, 2 length-delimited, 3 and 4 group, 5 fixed32.</summary>
    public int WireType { get; private set; }

    public readonly int Offset => origin + position;

    /// <summary>Field number and wire type in one value, for one switch: <c>field * 8 + wire type</c>, as on the wire.</summary>
    public readonly int Tag => (Field << 3) | WireType;

    public bool NextTag()
    {
        if (position == data.Length) return false;
        int at = Offset;
        ulong tag = ReadVarint();
        if (tag is < 8 or > uint.MaxValue) OtlpDecodeException.Throw(at, "a protobuf tag with a field number from 1 to 536870911");
        Field = (int)(tag >> 3);
        WireType = (int)(tag & 7);
        return true;
    }

    public ulong ReadVarint()
    {
        if (position < data.Length && data[position] < 0x80) return data[position++];
        return ReadLongVarint();
    }

    private ulong ReadLongVarint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 70; shift += 7)
        {
            if (position >= data.Length) OtlpDecodeException.Throw(Offset, "the rest of a varint before its message ends");
            byte b = data[position++];
            value |= unchecked((ulong)(b & 0x7f) << shift);
            if (b < 0x80) return value;
        }
        OtlpDecodeException.Throw(Offset, "a varint of at most ten bytes");
        return 0;
    }

    public ulong ReadFixed64()
    {
        if (data.Length - position < 8) OtlpDecodeException.Throw(Offset, "eight bytes of a fixed64 before its message ends");
        ulong value = BinaryPrimitives.ReadUInt64LittleEndian(data[position..]);
        position += 8;
        return value;
    }

    public uint ReadFixed32()
    {
        if (data.Length - position < 4) OtlpDecodeException.Throw(Offset, "four bytes of a fixed32 before its message ends");
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(data[position..]);
        position += 4;
        return value;
    }

    /// <summary>The content of a length-delimited field; <paramref name="offset"/> is where it stands in the request.</summary>
    public ReadOnlySpan<byte> ReadBytes(out int offset)
    {
        int at = Offset;
        ulong length = ReadVarint();
        if (length > (ulong)(data.Length - position)) OtlpDecodeException.Throw(at, "a length that ends inside its message");
        offset = Offset;
        var content = data.Slice(position, (int)length);
        position += (int)length;
        return content;
    }

    /// <summary>Skips the field of the tag read last: an unknown field, or a known one with another wire type.</summary>
    public void Skip()
    {
        switch (WireType)
        {
            case 0: ReadVarint(); break;
            case 1: ReadFixed64(); break;
            case 2: ReadBytes(out _); break;
            case 3: SkipGroup(); break;
            case 5: ReadFixed32(); break;
            default: OtlpDecodeException.Throw(Offset, "wire type 0, 1, 2, 3 or 5"); break;
        }
    }

    private void SkipGroup()
    {
        Span<int> open = stackalloc int[64];
        int depth = 0;
        open[depth++] = Field;
        while (depth > 0)
        {
            if (!NextTag()) OtlpDecodeException.Throw(Offset, "the end of a group before its message ends");
            if (WireType == 3)
            {
                if (depth >= Math.Min(maxDepth, open.Length)) OtlpDecodeException.Throw(Offset, "groups nested less deep (configuration value ingest.maxDepth)");
                open[depth++] = Field;
            }
            else if (WireType == 4)
            {
                if (open[--depth] != Field) OtlpDecodeException.Throw(Offset, "the end of the group that was opened last");
            }
            else
            {
                Skip();
            }
        }
    }
}
