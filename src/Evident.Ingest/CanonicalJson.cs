using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>
/// RFC 8785 form of a JSON text, for fingerprints. Refused when that form would change a value: integers or decimals that no double holds exactly as written, repeated
/// member names, lone surrogates, text that is no JSON.
/// </summary>
internal static class CanonicalJson
{
    private const int MaxDepth = 128;

    private readonly record struct Member(int KeyOffset, int KeyLength, int Offset, int Length);

    internal static bool TryWrite(ReadOnlySpan<byte> json, ByteSink to)
    {
        int start = to.Length;
        if (Utf8.IsValid(json))
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
            using var keys = new ByteSink();
            try
            {
                if (reader.Read() && Value(ref reader, to, keys) && !reader.Read()) return true;
            }
            catch (JsonException)
            {
                // Not JSON: the caller takes the raw bytes.
            }
        }
        to.Truncate(start);
        return false;
    }

    private static bool Value(ref Utf8JsonReader r, ByteSink to, ByteSink keys)
    {
        switch (r.TokenType)
        {
            case JsonTokenType.StartObject: return Object(ref r, to, keys);
            case JsonTokenType.StartArray:
                to.WriteByte((byte)'[');
                for (bool any = false; r.Read() && r.TokenType != JsonTokenType.EndArray; any = true)
                {
                    if (any) to.WriteByte((byte)',');
                    if (!Value(ref r, to, keys)) return false;
                }
                to.WriteByte((byte)']');
                return true;
            case JsonTokenType.String: return Text(ref r, to);
            case JsonTokenType.Number: return Number(r.ValueSpan, to);
            default: to.Write(r.ValueSpan); return true;
        }
    }

    private static bool Text(ref Utf8JsonReader r, ByteSink to)
    {
        byte[] text = JsonStrings.Decode(r.ValueSpan, out int length, out bool repaired);
        if (!repaired) to.WriteJsonString(text.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(text);
        return !repaired;
    }

    private static bool Number(ReadOnlySpan<byte> text, ByteSink to)
    {
        if (!System.Buffers.Text.Utf8Parser.TryParse(text, out double value, out int used) || used != text.Length || !double.IsFinite(value)) return false;
        Span<byte> shortest = stackalloc byte[32];
        var written = shortest[..JsonText.WriteNumber(value, shortest)];
        Span<byte> asSent = stackalloc byte[32], asWritten = stackalloc byte[32];
        int sentPoint = JsonText.Decimal(text, asSent, out int sentCount, out bool sentNegative);
        int writtenPoint = JsonText.Decimal(written, asWritten, out int writtenCount, out bool writtenNegative);
        bool same = sentCount >= 0 && sentCount == writtenCount && sentPoint == writtenPoint && asSent[..sentCount].SequenceEqual(asWritten[..writtenCount])
            && (sentNegative == writtenNegative || sentCount == 0);
        // Integers beyond 2^53 are read differently by different readers even where the digits happen to survive.
        if (!same || (value == Math.Floor(value) && Math.Abs(value) > 9007199254740992.0 && !text.ContainsAny("eE."u8))) return false;
        to.Write(written);
        return true;
    }

    // Members are written where they come and, when their order is not the canonical one, put in order afterwards.
    private static bool Object(ref Utf8JsonReader r, ByteSink to, ByteSink keys)
    {
        int keyMark = keys.Length, start = to.Length;
        var members = new List<Member>();
        bool sorted = true;
        to.WriteByte((byte)'{');
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            if (members.Count > 0) to.WriteByte((byte)',');
            byte[] name = JsonStrings.Decode(r.ValueSpan, out int length, out bool repaired);
            int keyOffset = keys.Length, offset = to.Length;
            keys.Write(name.AsSpan(0, length));
            to.WriteJsonString(name.AsSpan(0, length));
            ArrayPool<byte>.Shared.Return(name);
            to.WriteByte((byte)':');
            r.Read();
            if (repaired || !Value(ref r, to, keys)) return false;
            var member = new Member(keyOffset, length, offset, to.Length - offset);
            if (members.Count > 0) sorted &= Compare(keys, members[^1], member) < 0;
            members.Add(member);
        }
        to.WriteByte((byte)'}');
        if (!sorted)
        {
            members.Sort((a, b) => Compare(keys, a, b));
            for (int i = 1; i < members.Count; i++)
                if (Compare(keys, members[i - 1], members[i]) == 0) return false;
            int length = to.Length - start;
            byte[] unsorted = ArrayPool<byte>.Shared.Rent(length);
            to.Written[start..].CopyTo(unsorted);
            to.Truncate(start);
            to.WriteByte((byte)'{');
            for (int i = 0; i < members.Count; i++)
            {
                if (i > 0) to.WriteByte((byte)',');
                to.Write(unsorted.AsSpan(members[i].Offset - start, members[i].Length));
            }
            to.WriteByte((byte)'}');
            ArrayPool<byte>.Shared.Return(unsorted);
        }
        keys.Truncate(keyMark);
        return true;
    }

    private static int Compare(ByteSink keys, Member a, Member b) =>
        CompareUtf16(keys.Written.Slice(a.KeyOffset, a.KeyLength), keys.Written.Slice(b.KeyOffset, b.KeyLength));

    // RFC 8785 3.2.3 orders by UTF-16 code units: as UTF-8 bytes order, but U+E000..U+FFFF (EE, EF) come after the surrogate pairs (F0..F4).
    private static int CompareUtf16(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        int common = a.CommonPrefixLength(b);
        if (common == a.Length || common == b.Length) return a.Length - b.Length;
        int x = a[common], y = b[common];
        if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return y - x;
        return x - y;
    }
}
