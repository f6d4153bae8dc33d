using System.Text;
using System.Text.Json;

namespace Evident.Commands;

/// <summary>Results for people or for scripts.</summary>
internal static class Print
{
    /// <summary>One JSON object: as it is, or one <c>name: value</c> per line.</summary>
    public static async Task ObjectAsync(TextWriter output, byte[] json, bool asJson)
    {
        if (asJson)
        {
            await output.WriteLineAsync(Encoding.UTF8.GetString(json));
            return;
        }

        using JsonDocument document = JsonDocument.Parse(json);
        int width = 0;
        foreach (JsonProperty property in document.RootElement.EnumerateObject())
        {
            width = Math.Max(width, property.Name.Length + 1);
        }

        foreach (JsonProperty property in document.RootElement.EnumerateObject())
        {
            await output.WriteLineAsync($"{(property.Name.Replace('_', ' ') + ":").PadRight(width)} {property.Value}");
        }
    }
}
