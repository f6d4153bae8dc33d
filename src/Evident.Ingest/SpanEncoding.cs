using System.Buffers.Binary;

namespace Evident.Ingest;

/// <summary>The writing side of docs/span-format.md, version 1: one core (hashed), one seal (vault references and commitments, or fingerprints of what was not captured; not hashed).</summary>
internal static class SpanEncoding
{
    internal const byte Version = 1;
    internal const int ReferenceBytes = 29, CommitmentBytes = 32, FingerprintBytes = 32;

    // Field numbers of the core.
    internal const int Trace = 1, Span = 2, Parent = 3, Name = 4, Kind = 5, OtlpKind = 6, Start = 7, End = 8, Status = 9, ScopeId = 10, Instrumentation = 11, Flags = 12,
        TraceState = 13, DroppedAttributes = 14, DroppedEvents = 15, DroppedLinks = 16, ConventionsVersion = 17, CanonicalField = 20, Attribute = 21, ResourceAttribute = 22,
        Event = 23, Link = 24, Payload = 25, Capture = 26, Uncaptured = 27;

    // Field numbers inside an attribute or canonical field: the key (or number), then exactly one value.
    internal const int KeyPart = 1, TextValue = 2, FlagValue = 3, IntegerValue = 4, NumberValue = 5, JsonValue = 6;

    internal static void Varint(ByteSink to, ulong value)
    {
        for (; value >= 0x80; value >>= 7) to.WriteByte((byte)(value & 0x7f | 0x80));
        to.WriteByte((byte)value);
    }

    internal static void Integer(ByteSink to, int field, ulong value)
    {
        Varint(to, (ulong)field << 3);
        Varint(to, value);
    }

    internal static void Fixed64(ByteSink to, int field, ulong value)
    {
        Varint(to, ((ulong)field << 3) | 1);
        BinaryPrimitives.WriteUInt64LittleEndian(to.Take(8), value);
    }

    internal static void Bytes(ByteSink to, int field, ReadOnlySpan<byte> value)
    {
        Varint(to, ((ulong)field << 3) | 2);
        Varint(to, (ulong)value.Length);
        value.CopyTo(to.Take(value.Length));
    }

    private static int VarintLength(ulong value) => (64 - System.Numerics.BitOperations.LeadingZeroCount(value | 1) + 6) / 7;

    private static ulong ZigZag(long value) => unchecked((ulong)(value << 1) ^ (ulong)(value >> 63));

    private static int ValueLength(in CleanValue value) => value.Kind switch
    {
        ValueKind.Flag => 2,
        ValueKind.Integer => 1 + VarintLength(ZigZag(value.Bits)),
        ValueKind.Number => 9,
        _ => 1 + VarintLength((ulong)value.Length) + value.Length,
    };

    private static void Value(ByteSink to, in CleanValue value, ReadOnlySpan<byte> text)
    {
        switch (value.Kind)
        {
            case ValueKind.Flag: Integer(to, FlagValue, (ulong)value.Bits); break;
            case ValueKind.Integer: Integer(to, IntegerValue, ZigZag(value.Bits)); break;
            case ValueKind.Number: Fixed64(to, NumberValue, unchecked((ulong)value.Bits)); break;
            case ValueKind.Json: Bytes(to, JsonValue, text); break;
            default: Bytes(to, TextValue, text); break;
        }
    }

    /// <summary>An attribute under its key, in the core (field 21 or 22) or inside an event or link (field 3).</summary>
    internal static void KeyedValue(ByteSink to, int field, ReadOnlySpan<byte> key, in CleanValue value, ReadOnlySpan<byte> text)
    {
        Varint(to, ((ulong)field << 3) | 2);
        Varint(to, (ulong)(1 + VarintLength((ulong)key.Length) + key.Length + ValueLength(value)));
        Bytes(to, KeyPart, key);
        Value(to, value, text);
    }

    internal static void FieldValue(ByteSink to, Field field, in CleanValue value, ReadOnlySpan<byte> text)
    {
        Varint(to, (CanonicalField << 3) | 2);
        Varint(to, (ulong)(1 + VarintLength((ulong)field) + ValueLength(value)));
        Integer(to, KeyPart, (ulong)field);
        Value(to, value, text);
    }

    internal static void PayloadEntry(ByteSink to, ReadOnlySpan<byte> role, ReadOnlySpan<byte> hash32, long bytes)
    {
        Varint(to, (Payload << 3) | 2);
        Varint(to, (ulong)(2 + role.Length + 2 + hash32.Length + 1 + VarintLength((ulong)bytes)));
        Bytes(to, 1, role);
        Bytes(to, 2, hash32);
        Integer(to, 3, (ulong)bytes);
    }

    /// <summary>A payload that was not captured: its fingerprint stands in the seal, so that a retry after a restart, under another key, has the same digest.</summary>
    internal static void UncapturedEntry(ByteSink to, ReadOnlySpan<byte> role, long bytes)
    {
        Varint(to, (Uncaptured << 3) | 2);
        Varint(to, (ulong)(2 + role.Length + 1 + VarintLength((ulong)bytes)));
        Bytes(to, 1, role);
        Integer(to, 3, (ulong)bytes);
    }
}

/// <summary>A value that passed the gate. Text and JSON stand in the owner's text buffer.</summary>
internal readonly record struct CleanValue(ValueKind Kind, long Bits, int Offset, int Length);
