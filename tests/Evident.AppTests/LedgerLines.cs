using System.Text.Json;
using Xunit;

namespace Evident.AppTests;

/// <summary>`evident ledger cat` read back.</summary>
public static class LedgerLines
{
    /// <summary>Every entry, oldest first. Works beside a running appliance and on a stopped one.</summary>
    public static List<JsonElement> Of(string data)
    {
        var cat = EvidentProcess.Run(EvidentBinary.Path, ["ledger", "cat", "--data", data], seconds: 120);
        Assert.True(cat.Code == 0, $"ledger cat: {cat}");
        var entries = new List<JsonElement>();
        foreach (var line in cat.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            using var json = JsonDocument.Parse(line);
            if (!json.RootElement.TryGetProperty("checkpoint", out _)) entries.Add(json.RootElement.Clone());
        }
        return entries;
    }

    public static string? Text(this JsonElement element, params string[] path)
    {
        foreach (var name in path)
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element)) return null;
        return element.ValueKind == JsonValueKind.String ? element.GetString() : element.ToString();
    }

    public static string Type(this JsonElement entry) => entry.GetProperty("type").GetString()!;

    public static IEnumerable<JsonElement> OfType(this IEnumerable<JsonElement> entries, string type) => entries.Where(e => e.Type() == type);

    /// <summary>What must hold of every ledger at any time: gapless sequence, unique ids, a chain.</summary>
    public static void CheckWhole(IReadOnlyList<JsonElement> entries)
    {
        var ids = new HashSet<string>();
        var previous = "sha256:" + new string('0', 64);
        for (var i = 0; i < entries.Count; i++)
        {
            Assert.True(entries[i].GetProperty("seq").GetInt64() == i, $"entry {i} of `ledger cat` has seq {entries[i].GetProperty("seq")}");
            Assert.True(ids.Add(entries[i].GetProperty("id").GetString()!), $"id {entries[i].Text("id")} stands twice, the second time at seq {i}");
            Assert.Equal(previous, entries[i].Text("integrity", "prev_hash"));
            previous = entries[i].Text("integrity", "this_hash")!;
            Assert.Matches("^sha256:[0-9a-f]{64}$", previous);
        }
    }
}
