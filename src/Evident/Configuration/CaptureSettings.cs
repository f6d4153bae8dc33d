using System.Text.Json;
using Evident.Ingest;

namespace Evident.Configuration;

/// <summary>The values of the section <c>capture</c>: one <see cref="Setting"/> each. What they mean together is checked when the policy is built (<see cref="CapturePolicy.TryBuild"/>).</summary>
internal static class CaptureSettings
{
    public const string Redacted = "redacted", Structure = "structure", Strict = "strict", Mode = "mode";

    private const string RulesAllowed = "a list of objects with mode (\"redacted\" or \"structure\") and any of tenant, workflow (may end in *) and environment";

    public static IReadOnlyList<Setting> All { get; } =
    [
        Setting.Choice("capture.mode", [Redacted, Structure], o => o.Capture.Mode, (o, v) => o.Capture.Mode = v,
            "What becomes of payloads: redacted and then sealed, or not kept at all but for role, size and a fingerprint that nobody can try guesses against (docs/privacy.md)."),
        Setting.Choice("capture.unnamed", [Strict, Mode], o => o.Capture.Unnamed, (o, v) => o.Capture.Unnamed = v,
            "A span that does not say its tenant, workflow or environment, and whose trace does not in the same request: held to the strictest rule that it might fall under, or only to rules that it falls under for certain and to capture.mode."),
        OptOut(),
        Rules(),
    ];

    private static Setting OptOut()
    {
        const string name = "capture.optOut";
        string allowed = $"a list of at most {CapturePolicy.MaxRules} tenants";
        return new Setting(
            name,
            allowed,
            "Tenants that opted out, as senders name them: of their payloads nothing is kept, neither hash nor size.",
            (value, options) =>
            {
                if (Setting.Texts(value) is not { Count: <= CapturePolicy.MaxRules } tenants)
                {
                    return Setting.Wrong(name, value, allowed);
                }

                options.Capture.OptOut = tenants;
                return null;
            },
            (json, options) => Setting.WriteTexts(json, options.Capture.OptOut));
    }

    private static Setting Rules()
    {
        const string name = "capture.rules";
        return new Setting(
            name,
            RulesAllowed,
            "Other modes for single tenants, workflows and environments. The strictest rule that matches counts, in whatever order they stand; capture.mode where none does.",
            (value, options) =>
            {
                if (value.ValueKind != JsonValueKind.Array)
                {
                    return Setting.Wrong(name, value, RulesAllowed);
                }

                var rules = new List<CaptureRule>();
                foreach (JsonElement one in value.EnumerateArray())
                {
                    if (One(one) is not { } rule)
                    {
                        return Setting.Wrong(name, one, RulesAllowed);
                    }

                    rules.Add(rule);
                }

                options.Capture.Rules = rules;
                return null;
            },
            (json, options) =>
            {
                json.WriteStartArray();
                foreach (CaptureRule rule in options.Capture.Rules)
                {
                    json.WriteStartObject();
                    Write(json, "tenant", rule.Tenant);
                    Write(json, "workflow", rule.Workflow);
                    Write(json, "environment", rule.Environment);
                    json.WriteString("mode", rule.Mode.ToName());
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
    }

    private static CaptureRule? One(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        CaptureMode? mode = null;
        var rule = new CaptureRule(null, null, null, CaptureMode.Redacted);
        foreach (JsonProperty part in value.EnumerateObject())
        {
            string? text = part.Value.ValueKind == JsonValueKind.String ? part.Value.GetString() : null;
            switch (part.Name)
            {
                case "tenant" when text is not null: rule = rule with { Tenant = text }; break;
                case "workflow" when text is not null: rule = rule with { Workflow = text }; break;
                case "environment" when text is not null: rule = rule with { Environment = text }; break;
                case "mode" when text is Redacted: mode = CaptureMode.Redacted; break;
                case "mode" when text is Structure: mode = CaptureMode.Structure; break;
                default: return null;
            }
        }

        return mode is { } known ? rule with { Mode = known } : null;
    }

    private static void Write(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }
}
