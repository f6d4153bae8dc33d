using System.Collections.Frozen;

namespace Evident.Store;

/// <summary>What a tool can do to the world, in rising order; the numbers are stored.</summary>
public enum SideEffectLevel : byte { None = 0, Read = 1, Unknown = 2, Write = 3, Irreversible = 4 }

/// <summary>
/// The appliance's own list of tools (configuration). It decides what is ledgered; a sender may raise a tool's level and never lower it,
/// and a tool that is not listed is <see cref="SideEffectLevel.Unknown"/>, which is ledgered like a write.
/// </summary>
public sealed class ToolRegistry
{
    private readonly FrozenDictionary<string, SideEffectLevel> levels;

    public ToolRegistry(IReadOnlyDictionary<string, SideEffectLevel> levels) => this.levels = levels.ToFrozenDictionary(StringComparer.Ordinal);

    public static ToolRegistry Empty { get; } = new(new Dictionary<string, SideEffectLevel>());

    public IReadOnlyDictionary<string, SideEffectLevel> Levels => levels;

    /// <summary>The higher of the registered level and the sender's claim; an unreadable claim counts as none.</summary>
    public SideEffectLevel Decide(string? tool, string? senderClaim)
    {
        var registered = tool is not null && levels.TryGetValue(tool, out var level) ? level : SideEffectLevel.Unknown;
        return TryParse(senderClaim, out var claimed) && claimed > registered ? claimed : registered;
    }

    public static bool TryParse(string? text, out SideEffectLevel level)
    {
        level = text switch
        {
            "none" => SideEffectLevel.None,
            "read" => SideEffectLevel.Read,
            "write" => SideEffectLevel.Write,
            "irreversible" => SideEffectLevel.Irreversible,
            _ => SideEffectLevel.Unknown,
        };
        return level != SideEffectLevel.Unknown || text == "unknown";
    }
}

public static class SideEffectLevels
{
    public static string ToName(this SideEffectLevel level) => level switch
    {
        SideEffectLevel.None => "none",
        SideEffectLevel.Read => "read",
        SideEffectLevel.Write => "write",
        SideEffectLevel.Irreversible => "irreversible",
        _ => "unknown",
    };

    /// <summary>Calls of such a tool are entries of the ledger.</summary>
    public static bool IsLedgered(this SideEffectLevel level) => level >= SideEffectLevel.Unknown;
}
