using System.Text;
using System.Text.Json;
using Evident.Ledger;

namespace Evident.Web;

/// <summary>The views of ledger lines that the API and the command line share.</summary>
public static class LedgerJson
{
    /// <summary>The entry's bytes as they stand in the segment, with <c>this_hash</c> added beside <c>prev_hash</c>.</summary>
    /// <exception cref="FormatException">The line has no integrity object; a durable line always has one.</exception>
    public static void Write(Utf8JsonWriter json, LedgerLine line)
    {
        ReadOnlySpan<byte> entry = line.Json.Span;
        int end = EndOfIntegrity(entry);
        byte[] hash = Encoding.ASCII.GetBytes(line.ThisHash);
        byte[] view = [.. entry[..end], .. ",\"this_hash\":\""u8, .. hash, .. "\""u8, .. entry[end..]];
        json.WriteRawValue(view, skipInputValidation: true);
    }

    /// <summary><c>{"seq","size","leaf_hash":"sha256:hex","path":[base64],"checkpoint":"note"}</c>.</summary>
    public static void Write(Utf8JsonWriter json, InclusionProof proof)
    {
        json.WriteStartObject();
        json.WriteNumber("seq"u8, proof.Seq);
        json.WriteNumber("size"u8, proof.Size);
        json.WriteString("leaf_hash"u8, "sha256:" + Convert.ToHexStringLower(proof.LeafHash));
        json.WriteStartArray("path"u8);
        foreach (byte[] sibling in proof.Path)
        {
            json.WriteBase64StringValue(sibling);
        }

        json.WriteEndArray();
        json.WriteString("checkpoint"u8, proof.Checkpoint);
        json.WriteEndObject();
    }

    // Offset of the closing brace of the top-level "integrity" object.
    private static int EndOfIntegrity(ReadOnlySpan<byte> entry)
    {
        var reader = new Utf8JsonReader(entry);
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1 && reader.ValueTextEquals("integrity"u8))
            {
                reader.Read();
                reader.Skip();
                return checked((int)reader.BytesConsumed) - 1;
            }
        }

        throw new FormatException("The ledger line has no integrity object.");
    }
}
