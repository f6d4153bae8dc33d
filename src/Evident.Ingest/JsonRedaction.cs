using System.Buffers;
using System.Text.Json;

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
    internal static bool TryRedact(Redactor redactor, ReadOnlySpan<byte> text, ByteSink sink, ref RedactionCounts counts, int embedded)
    {
        int start = sink.Length;
        var before = counts;
        var reader = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            bool comma = false, secret = false;
            while (reader.Read())
            {
                if (comma && reader.TokenType is not (JsonTokenType.EndArray or JsonTokenType.EndObject)) sink.WriteByte((byte)',');
                comma = true;
                switch (reader.TokenType)
                {
                    case JsonTokenType.StartObject: sink.WriteByte((byte)'{'); comma = false; secret = false; break;
                    case JsonTokenType.StartArray: sink.WriteByte((byte)'['); comma = false; break;
                    case JsonTokenType.EndObject: sink.WriteByte((byte)'}'); secret = false; break;
                    case JsonTokenType.EndArray: sink.WriteByte((byte)']'); secret = false; break;
                    case JsonTokenType.PropertyName:
                        secret = SecretNames.Holds(reader.ValueSpan);
                        String(redactor, ref reader, sink, ref counts, MaxDepth);
                        sink.WriteByte((byte)':');
                        comma = false;
                        break;
                    case JsonTokenType.String when secret && reader.ValueSpan.Length > 0: Mark(sink, Detector.Secret, ref counts); break;
                    case JsonTokenType.String: String(redactor, ref reader, sink, ref counts, embedded); break;
                    case JsonTokenType.Number when secret: Mark(sink, Detector.Secret, ref counts); break;
                    case JsonTokenType.Number: Number(reader.ValueSpan, sink, ref counts); break;
                    default: sink.Write(reader.ValueSpan); break;
                }
            }
            return true;
        }
        catch (JsonException)
        {
            sink.Truncate(start);
            counts = before;
            return false;
        }
    }

    private static void Mark(ByteSink sink, Detector detector, ref RedactionCounts counts)
    {
        sink.WriteJsonString(Redactor.Marker(detector));
        counts.Add(detector);
    }

    private static void Number(ReadOnlySpan<byte> text, ByteSink sink, ref RedactionCounts counts)
    {
        Span<byte> digits = stackalloc byte[20];
        int point = text.Length >= 13 ? JsonText.Decimal(text, digits, out int count, out _) : 0;
        bool card = point is >= 13 and <= 18 && System.Buffers.Text.Utf8Parser.TryParse(text, out double value, out _) && NumberDetectors.IsCard(value);
        if (card) Mark(sink, Detector.Card, ref counts);
        else sink.Write(text);
    }

    private static void String(Redactor redactor, ref Utf8JsonReader reader, ByteSink sink, ref RedactionCounts counts, int embedded)
    {
        byte[] text = JsonStrings.Decode(reader.ValueSpan, out int length, out _);
        var plain = text.AsSpan(0, length);
        if (!LooksLikeJson(plain) && redactor.IsClean(plain) && !EncodedText.IsSuspect(redactor, plain))
        {
            sink.WriteJsonString(plain);
        }
        else
        {
            using var redacted = new ByteSink();
            redactor.Redact(plain, redacted, ref counts, embedded + 1);
            sink.WriteJsonString(redacted.Written);
        }
        ArrayPool<byte>.Shared.Return(text);
    }
}

/// <summary>Names under which senders keep credentials; compared without case and without <c>_ - .</c></summary>
internal static class SecretNames
{
    private static readonly HashSet<string> Names = new(StringComparer.Ordinal)
    {
        "password", "passwd", "pwd", "passphrase", "secret", "clientsecret", "secretkey", "secretaccesskey", "apikey", "xapikey", "accesstoken", "refreshtoken",
        "idtoken", "authtoken", "bearertoken", "sessiontoken", "token", "authorization", "proxyauthorization", "cookie", "setcookie", "privatekey", "credential", "credentials",
        "accountkey", "accesskey", "sharedaccesskey", "connectionstring", "pin", "cvv", "cvc", "otp",
    };

    /// <summary>The whole name, or its last dotted part, is such a name.</summary>
    internal static bool Holds(ReadOnlySpan<byte> name)
    {
        int dot = name.LastIndexOf((byte)'.');
        return HoldsWhole(name) || (dot >= 0 && HoldsWhole(name[(dot + 1)..]));
    }

    internal static bool HoldsWhole(ReadOnlySpan<byte> name)
    {
        if (name.Length > 40) return false;
        Span<char> folded = stackalloc char[40];
        int n = 0;
        foreach (byte c in name)
        {
            if (c is (byte)'_' or (byte)'-' or (byte)'.') continue;
            folded[n++] = char.ToLowerInvariant((char)c);
        }
        return Names.GetAlternateLookup<ReadOnlySpan<char>>().Contains(folded[..n]);
    }
}
