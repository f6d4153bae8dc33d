using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>
/// JSON payload value by value: what a string means is redacted, not how it is escaped, and the result is compact, valid JSON. Members named like
/// credentials lose their value whatever it looks like.
/// </summary>
internal static class JsonRedaction
{
    private const int MaxDepth = 256;

    internal static bool LooksLikeJson(ReadOnlySpan<byte> text)
    {
        text = text.Trim(" \t\r\n"u8);
        return text.Length >= 2 && ((text[0] == (byte)'{' && text[^1] == (byte)'}') || (text[0] == (byte)'[' && text[^1] == (byte)']') || (text[0] == (byte)'"' && text[^1] == (byte)'"'));
    }

    /// <summary>False, with nothing written, when the text is no JSON (or nested beyond reason).</summary>
    internal static bool TryRedact(Redactor redactor, ReadOnlySpan<byte> text, ByteSink sink, RedactionTally tally, int depth)
    {
        int start = sink.Length, findings = tally.Findings.Count;
        Span<long> before = stackalloc long[tally.Counts.Length];
        tally.Counts.CopyTo(before);
        var reader = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            bool comma = false;
            var named = NameVerdict.Ordinary;
            while (reader.Read())
            {
                if (comma && reader.TokenType is not (JsonTokenType.EndArray or JsonTokenType.EndObject)) sink.WriteByte((byte)',');
                comma = true;
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject: sink.WriteByte((byte)'{'); comma = false; named = NameVerdict.Ordinary; break;
                    case JsonTokenType.StartArray: sink.WriteByte((byte)'['); comma = false; break;
                    case JsonTokenType.EndObject: sink.WriteByte((byte)'}'); named = NameVerdict.Ordinary; break;
                    case JsonTokenType.EndArray: sink.WriteByte((byte)']'); named = NameVerdict.Ordinary; break;
                    case JsonTokenType.PropertyName:
                        named = Named(redactor, ref reader);
                        String(redactor, ref reader, sink, tally, Redactor.MaxDepth);
                        sink.WriteByte((byte)':');
                        comma = false;
                        break;
                    case JsonTokenType.String when IsSecret(named, reader.ValueSpan): Mark(redactor, sink, CodeRule.NamedSecret, reader.ValueSpan, tally); break;
                    case JsonTokenType.String: String(redactor, ref reader, sink, tally, depth); break;
                    case JsonTokenType.Number when named == NameVerdict.Secret: Mark(redactor, sink, CodeRule.NamedSecret, reader.ValueSpan, tally); break;
                    case JsonTokenType.Number: Number(redactor, reader.ValueSpan, sink, tally); break;
                    default: sink.Write(reader.ValueSpan); break;
                }
            }
            return true;
        }
        catch (JsonException)
        {
            sink.Truncate(start);
            tally.Restore(before, findings);
            return false;
        }
    }

    private static NameVerdict Named(Redactor redactor, ref Utf8JsonReader reader)
    {
        if (!redactor.Index.On[(int)CodeRule.NamedSecret]) return NameVerdict.Ordinary;
        if (!reader.ValueIsEscaped) return redactor.Index.Names.Judge(reader.ValueSpan);
        byte[] name = JsonStrings.Decode(reader.ValueSpan, out int length, out _);
        var verdict = redactor.Index.Names.Judge(name.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(name);
        return verdict;
    }

    private static bool IsSecret(NameVerdict named, ReadOnlySpan<byte> value) => named switch
    {
        NameVerdict.Secret => value.Length > 0,
        NameVerdict.Perhaps => SecretNames.LooksGenerated(value),
        _ => false,
    };

    private static void Mark(Redactor redactor, ByteSink sink, CodeRule rule, ReadOnlySpan<byte> found, RedactionTally tally)
    {
        var marker = redactor.Marker((int)rule);
        sink.WriteJsonString(marker);
        if (!found.SequenceEqual(marker)) tally.Add((int)rule, found);
    }

    private static void Number(Redactor redactor, ReadOnlySpan<byte> text, ByteSink sink, RedactionTally tally)
    {
        if (NumberDetectors.Judge(text, redactor) is { } rule) Mark(redactor, sink, rule, text, tally);
        else sink.Write(text);
    }

    private static void String(Redactor redactor, ref Utf8JsonReader reader, ByteSink sink, RedactionTally tally, int depth)
    {
        byte[]? decoded = null;
        var plain = reader.ValueSpan;
        if (reader.ValueIsEscaped || !Utf8.IsValid(plain))
        {
            decoded = JsonStrings.Decode(plain, out int length, out _);
            plain = decoded.AsSpan(0, length);
        }
        if ((!LooksLikeJson(plain) || depth >= Redactor.MaxDepth) && redactor.IsClean(plain))
        {
            sink.WriteJsonString(plain);
        }
        else
        {
            using var redacted = new ByteSink();
            redactor.Redact(plain, redacted, tally, depth + 1);
            sink.WriteJsonString(redacted.Written);
        }
        if (decoded is not null) ArrayPool<byte>.Shared.Return(decoded);
    }
}
