using System.Text.Json;
using Evident.Ingest;

namespace Evident.Configuration;

/// <summary>The values of the section <c>redaction</c>: one <see cref="Setting"/> each. What they mean together is checked when the rules are built (<see cref="RuleSet.TryBuild"/>).</summary>
internal static class RedactionSettings
{
    public const string Gate = "gate", AllowList = "allow-list";

    private const string RulesAllowed = "an object of rule names (small letters, digits, _), each with its pattern (docs/redaction.md)";
    private static readonly string ListAllowed = $"a list of at most {RuleSet.MaxListEntries} texts";

    public static IReadOnlyList<Setting> All { get; } =
    [
        Setting.Choice("redaction.attributes", [Gate, AllowList], o => o.Redaction.Attributes, (o, v) => o.Redaction.Attributes = v,
            "What stays in a trace: what the content gate lets through (docs/conventions.md), or only canonical fields and the keys of redaction.allow; the rest is sealed."),
        List("redaction.allow", o => o.Redaction.Allow, (o, v) => o.Redaction.Allow = v,
            "Keys that stay in traces when redaction.attributes is allow-list, and where no payload is captured; prefix.* stands for every key that begins so."),
        List("redaction.on", o => o.Redaction.On, (o, v) => o.Redaction.On = v,
            "Rules that are off by themselves and are to be on: national ids, by name (docs/redaction.md)."),
        List("redaction.off", o => o.Redaction.Off, (o, v) => o.Redaction.Off = v,
            "Rules that are to be off."),
        List("redaction.names", o => o.Redaction.Names, (o, v) => o.Redaction.Names = v,
            "Further names of secrets: what stands behind such a name is removed. * at the beginning or the end stands for anything; case and _ - . do not count."),
        List("redaction.notNames", o => o.Redaction.NotNames, (o, v) => o.Redaction.NotNames = v,
            "Names that are none although they look like names of secrets."),
        new Setting("redaction.rules", RulesAllowed,
            "Patterns of your own, for account numbers and the like; what such a rule finds becomes its name in brackets. 'evident config --rules' tells which of them cannot be prefiltered.",
            (value, options) =>
            {
                if (Patterns(value) is not { } patterns)
                {
                    return Setting.Wrong("redaction.rules", value, RulesAllowed);
                }

                options.Redaction.Rules = patterns;
                return null;
            },
            (json, options) => WritePatterns(json, options.Redaction.Rules)),
        Tenants(),
    ];

    private static Setting List(string name, Func<ApplianceOptions, List<string>> get, Action<ApplianceOptions, List<string>> set, string meaning) => new(
        name,
        ListAllowed,
        meaning,
        (value, options) =>
        {
            if (Setting.Texts(value) is not { Count: <= RuleSet.MaxListEntries } texts)
            {
                return Setting.Wrong(name, value, ListAllowed);
            }

            set(options, texts);
            return null;
        },
        (json, options) => Setting.WriteTexts(json, get(options)));

    private static Setting Tenants()
    {
        const string name = "redaction.tenants", allowed = "an object of tenant ids, each an object with any of rules, names, notNames and allow";
        return new Setting(
            name,
            allowed,
            "The same for single tenants, beside what is in force for everyone; the tenant is named as senders name it.",
            (value, options) =>
            {
                if (value.ValueKind != JsonValueKind.Object)
                {
                    return Setting.Wrong(name, value, allowed);
                }

                var tenants = new SortedDictionary<string, TenantRedaction>(StringComparer.Ordinal);
                foreach (JsonProperty tenant in value.EnumerateObject())
                {
                    if (tenant.Name.Length == 0 || One(tenant.Value) is not { } own || !tenants.TryAdd(tenant.Name, own))
                    {
                        return Setting.Wrong($"{name}[\"{tenant.Name}\"]", tenant.Value, "an object with any of rules, names, notNames and allow");
                    }
                }

                options.Redaction.Tenants = tenants;
                return null;
            },
            (json, options) =>
            {
                json.WriteStartObject();
                foreach ((string tenant, TenantRedaction own) in options.Redaction.Tenants)
                {
                    json.WriteStartObject(tenant);
                    json.WritePropertyName("rules");
                    WritePatterns(json, own.Rules);
                    json.WritePropertyName("names");
                    Setting.WriteTexts(json, own.Names);
                    json.WritePropertyName("notNames");
                    Setting.WriteTexts(json, own.NotNames);
                    json.WritePropertyName("allow");
                    Setting.WriteTexts(json, own.Allow);
                    json.WriteEndObject();
                }

                json.WriteEndObject();
            });
    }

    private static TenantRedaction? One(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        var own = new TenantRedaction();
        foreach (JsonProperty part in value.EnumerateObject())
        {
            switch (part.Name)
            {
                case "rules" when Patterns(part.Value) is { } rules: own = own with { Rules = rules }; break;
                case "names" when Setting.Texts(part.Value) is { } names: own = own with { Names = names }; break;
                case "notNames" when Setting.Texts(part.Value) is { } except: own = own with { NotNames = except }; break;
                case "allow" when Setting.Texts(part.Value) is { } keys: own = own with { Allow = keys }; break;
                default: return null;
            }
        }

        return own;
    }

    private static SortedDictionary<string, string>? Patterns(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        var patterns = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (JsonProperty rule in value.EnumerateObject())
        {
            if (rule.Value.ValueKind != JsonValueKind.String || !patterns.TryAdd(rule.Name, rule.Value.GetString()!))
            {
                return null;
            }
        }

        return patterns;
    }

    private static void WritePatterns(Utf8JsonWriter json, IReadOnlyDictionary<string, string> patterns)
    {
        json.WriteStartObject();
        foreach ((string rule, string pattern) in patterns)
        {
            json.WriteString(rule, pattern);
        }

        json.WriteEndObject();
    }
}
