using System.Text.Json.Serialization;

namespace Evident.Store;

/// <summary>The one stored record in JSON: an approval in a partition's <c>approval</c> table.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ApprovalCase))]
internal sealed partial class StoreState : JsonSerializerContext;
