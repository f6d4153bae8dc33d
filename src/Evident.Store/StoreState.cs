using System.Text.Json.Serialization;

namespace Evident.Store;

/// <summary>What is stored in JSON: an approval in a partition's <c>approval</c> table, and the debug sessions.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ApprovalCase))]
[JsonSerializable(typeof(DebugSession[]))]
internal sealed partial class StoreState : JsonSerializerContext;
