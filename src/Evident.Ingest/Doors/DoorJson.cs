using System.Text;
using System.Text.Json;

namespace Evident.Ingest;

/// <summary>What the decoders of vendors' own JSON do alike.</summary>
internal static class DoorJson
{
    private const int MaxNameBytes = 48;

    /// <summary>What a reader does with one item; it ends on the item's last token.</summary>
    public delegate void Take(ref Utf8JsonReader r);

    /// <summary>Reads a body with a decoder; what is no JSON is refused whole.</summary>
    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void Read(ReadOnlySpan<byte> json, IngestLimits limits, Take take)
    {
        var r = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = limits.MaxDepth });
        try
        {
            r.Read();
            take(ref r);
            r.Read(); // anything behind it is no JSON
        }
        catch (JsonException)
        {
            // The reader's own message may quote the body.
            OtlpDecodeException.Throw(r.BytesConsumed, "well-formed JSON, nested no deeper than the configuration value ingest.maxDepth allows");
        }
    }

    /// <summary>Each item of the list that the reader stands on; anything else is passed.</summary>
    public static void Each(ref Utf8JsonReader r, Take take)
    {
        if (r.TokenType != JsonTokenType.StartArray)
        {
            r.Skip();
            return;
        }

        while (r.Read() && r.TokenType != JsonTokenType.EndArray)
        {
            take(ref r);
        }
    }

    /// <summary>The name of the member that the reader stands on, and moves to its value. Empty for one that no vendor uses.</summary>
    public static string Member(ref Utf8JsonReader r)
    {
        string name = r.ValueIsEscaped || r.ValueSpan.Length > MaxNameBytes ? "" : Encoding.ASCII.GetString(r.ValueSpan);
        r.Read();
        return name;
    }

    /// <summary>The text of a member of the object that the reader stands on, before the object is read; empty when it has none, or one with escapes.</summary>
    public static ReadOnlySpan<byte> Peek(Utf8JsonReader r, ReadOnlySpan<byte> member)
    {
        while (r.TokenType == JsonTokenType.StartObject ? r.Read() : false)
        {
            while (r.TokenType == JsonTokenType.PropertyName)
            {
                bool wanted = !r.ValueIsEscaped && r.ValueSpan.SequenceEqual(member);
                r.Read();
                if (wanted && r.TokenType == JsonTokenType.String && !r.ValueIsEscaped)
                {
                    return r.ValueSpan;
                }

                r.Skip();
                r.Read();
            }

            return default;
        }

        return default;
    }

    /// <summary>
    /// Token counts and cost under whatever name a vendor has for them, its details one level down included. A count of zero is kept: it says that none were used.
    /// </summary>
    public static void Usage(ref SpanScribe span, ref Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.StartObject)
        {
            r.Skip();
            return;
        }

        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            string name = Member(ref r);
            if (r.TokenType == JsonTokenType.StartObject)
            {
                Usage(ref span, ref r);
                continue;
            }

            ReadOnlySpan<byte> key = name switch
            {
                "input_tokens" or "prompt_tokens" or "promptTokens" or "inputTokens" or "input" => "gen_ai.usage.input_tokens"u8,
                "output_tokens" or "completion_tokens" or "completionTokens" or "outputTokens" or "output" => "gen_ai.usage.output_tokens"u8,
                "total_tokens" or "totalTokens" or "total" => "gen_ai.usage.total_tokens"u8,
                "cache_read" or "cached_tokens" or "cached_input_tokens" or "input_cached_tokens" or "cache_read_input_tokens" => "gen_ai.usage.cache_read.input_tokens"u8,
                "cache_creation" or "cache_write_input_tokens" or "cache_creation_input_tokens" or "input_cache_creation" => "gen_ai.usage.cache_creation.input_tokens"u8,
                "reasoning" or "reasoning_tokens" or "output_reasoning_tokens" => "gen_ai.usage.reasoning.output_tokens"u8,
                "total_cost" or "totalCost" => "gen_ai.usage.cost"u8,
                _ => default,
            };
            if (!key.IsEmpty && r.TokenType == JsonTokenType.Number)
            {
                span.Add(key, ref r);
            }
            else
            {
                r.Skip();
            }
        }
    }
}
