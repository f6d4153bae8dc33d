using System.Text.Json;
using System.Text.Json.Serialization;
using Evident.Ingest;

namespace Evident.Store;

/// <summary>One attribute value as the API shows it: text, number, boolean, or an array or object as it was sent.</summary>
[JsonConverter(typeof(AttributeValueConverter))]
public readonly record struct AttributeValue(SpanValue Value)
{
    public static implicit operator AttributeValue(SpanValue value) => new(value);
}

/// <summary>Writes every kind of value; reads text, numbers, booleans and null, and keeps arrays and objects as JSON text.</summary>
public sealed class AttributeValueConverter : JsonConverter<AttributeValue>
{
    public override AttributeValue Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                return new SpanValue(ValueKind.Text, reader.GetString(), 0, 0);
            case JsonTokenType.True:
                return new SpanValue(ValueKind.Flag, null, 1, 0);
            case JsonTokenType.False:
                return new SpanValue(ValueKind.Flag, null, 0, 0);
            case JsonTokenType.Null:
                return default(SpanValue);
            case JsonTokenType.Number:
                return reader.TryGetInt64(out long integer)
                    ? new SpanValue(ValueKind.Integer, null, integer, 0)
                    : new SpanValue(ValueKind.Number, null, 0, reader.GetDouble());
            default:
                using (var document = JsonDocument.ParseValue(ref reader))
                {
                    return new SpanValue(ValueKind.Json, document.RootElement.GetRawText(), 0, 0);
                }
        }
    }

    public override void Write(Utf8JsonWriter writer, AttributeValue value, JsonSerializerOptions options)
    {
        var held = value.Value;
        switch (held.Kind)
        {
            case ValueKind.Flag:
                writer.WriteBooleanValue(held.Integer != 0);
                break;
            case ValueKind.Integer:
                writer.WriteNumberValue(held.Integer);
                break;
            case ValueKind.Number when double.IsFinite(held.Number):
                writer.WriteNumberValue(held.Number);
                break;
            case ValueKind.Number:
                writer.WriteStringValue(double.IsNaN(held.Number) ? "NaN" : held.Number > 0 ? "Infinity" : "-Infinity"); // as proto3 JSON
                break;
            case ValueKind.Json when held.Text is { Length: > 0 } json:
                writer.WriteRawValue(json);
                break;
            case ValueKind.Text or ValueKind.Bytes or ValueKind.Json:
                writer.WriteStringValue(held.Text);
                break;
            default:
                writer.WriteNullValue();
                break;
        }
    }
}
