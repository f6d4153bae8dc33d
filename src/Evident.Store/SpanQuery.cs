using System.Globalization;
using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>A filter that cannot be understood: the sentence names it, its value and what it takes.</summary>
public sealed class QueryFormatException(string message) : Exception(message);

/// <summary>Both ends belong to the range; null is open.</summary>
public readonly record struct QueryRange(double? Least, double? Most)
{
    public bool IsOpen => Least is null && Most is null;

    /// <summary>Nothing known lies in no range but the open one.</summary>
    public bool Holds(double? value) => IsOpen || (value is { } v && !(v < Least) && !(v > Most));
}

/// <summary>
/// The one way to ask for runs and for spans: every member that is set must match. Workflow, session, run, tenant, environment, release, agent and text are said of a run, also where spans are asked for (text: of the span);
/// the others are said of the run as a whole or of the single span.
/// </summary>
/// <param name="Outcome">Of a run: success, partial, failure, rejected, timeout, interrupted, running. Of a span: its own; <c>failure</c> stands for every failed one.</param>
/// <param name="Text">Looked for in names and ids, without regard to ASCII case.</param>
/// <param name="DurationMs">Milliseconds.</param>
/// <param name="Kind">A step kind; spans only.</param>
/// <param name="Attributes">Key and value, by canonical or by the sender's own name, resource attributes included; spans only.</param>
/// <param name="Limit">1..500; 0 stands for 50.</param>
/// <param name="Cursor">What <c>Next</c> of the page before said.</param>
public sealed record SpanQuery(
    string? Workflow = null, string? Outcome = null, string? Session = null, string? Tool = null, string? Text = null, string? RunId = null,
    string? TenantId = null, string? Environment = null, DateTimeOffset? From = null, DateTimeOffset? To = null, int Limit = 50, string? Cursor = null,
    string Workspace = IngestSource.DefaultWorkspace, string? Release = null, string? Agent = null, string? Model = null, string? SideEffect = null, string? Approval = null,
    string? ErrorClass = null, string? Flag = null, StepKind? Kind = null, QueryRange DurationMs = default, QueryRange CostUsd = default, QueryRange Tokens = default,
    IReadOnlyList<KeyValuePair<string, string>>? Attributes = null)
{
    public const int DefaultLimit = 50, MaxLimit = 500, MaxAttributes = 16;
    private const int MaxTextChars = 256;

    private static readonly string[] Outcomes = ["success", "partial", "failure", "rejected", "timeout", "interrupted", "running"],
        Levels = ["read", "write", "irreversible", "unknown", "none"];

    /// <summary>Limit as it is applied.</summary>
    public int PageSize => Limit <= 0 ? DefaultLimit : Math.Min(Limit, MaxLimit);

    /// <summary>Sets one filter by its name in the HTTP contract (docs/http.md); null for a name that is no filter.</summary>
    /// <param name="value">At most 256 characters. Ranges: <c>&gt;1s</c>, <c>&gt;=0.5</c>, <c>&lt;2m</c>, <c>1s..5s</c>; a duration has the unit ms, s, m or h, none is ms.</param>
    /// <exception cref="QueryFormatException">The value does not fit.</exception>
    public SpanQuery? With(string name, string value)
    {
        if (value.Length > MaxTextChars)
        {
            throw new QueryFormatException($"{name} has at most {MaxTextChars} characters.");
        }

        if (name.StartsWith("attr.", StringComparison.Ordinal) && name.Length > 5)
        {
            return Attributes?.Count >= MaxAttributes ? throw new QueryFormatException($"A query has at most {MaxAttributes} attributes.")
                : this with { Attributes = [.. Attributes ?? [], new KeyValuePair<string, string>(name[5..], value)] };
        }

        return name switch
        {
            "workflow" or "workflow_id" => this with { Workflow = value },
            "outcome" or "status" => this with { Outcome = OutcomeOf(value) },
            "session" or "session_id" => this with { Session = value },
            "tool" or "tool_name" => this with { Tool = value },
            "q" or "text" => this with { Text = value },
            "run" or "run_id" => this with { RunId = value },
            "tenant" or "tenant_id" => this with { TenantId = value },
            "environment" => this with { Environment = value },
            "release" => this with { Release = value },
            "agent" or "agent_name" => this with { Agent = value },
            "model" => this with { Model = value },
            "side_effect" or "side_effect_level" => this with { SideEffect = Levels.Contains(value) ? value : throw OneOf(name, value, Levels) },
            "approval" or "approval_state" => this with { Approval = value },
            "error" or "error_class" => this with { ErrorClass = value },
            "flag" => this with { Flag = value },
            "kind" => this with { Kind = KindOf(value) },
            "duration" => this with { DurationMs = RangeOf(name, value, Millis) },
            "cost" => this with { CostUsd = RangeOf(name, value, Plain) },
            "tokens" => this with { Tokens = RangeOf(name, value, Plain) },
            "from" => this with { From = TimeOf(name, value) },
            "to" => this with { To = TimeOf(name, value) },
            "cursor" => this with { Cursor = value },
            "limit" => this with
            {
                Limit = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) && limit is >= 1 and <= MaxLimit ? limit
                    : throw new QueryFormatException($"limit is a whole number from 1 to {MaxLimit}."),
            },
            _ => null,
        };
    }

    private static string OutcomeOf(string value)
    {
        value = value switch { "ok" => "success", "error" => "failure", "interrupt" => "interrupted", _ => value };
        return Outcomes.Contains(value) ? value : throw new QueryFormatException($"outcome (or status) is one of {string.Join(", ", Outcomes)}.");
    }

    private static StepKind KindOf(string value)
    {
        foreach (StepKind kind in Enum.GetValues<StepKind>())
        {
            if (kind.ToName() == value)
            {
                return kind;
            }
        }

        throw OneOf("kind", value, [.. Enum.GetValues<StepKind>().Select(k => k.ToName())]);
    }

    private static QueryFormatException OneOf(string name, string value, string[] allowed) => new($"{name} is one of {string.Join(", ", allowed)}, not '{value}'.");

    private static DateTimeOffset TimeOf(string name, string value) => Rfc3339.TryParse(value, out DateTimeOffset time) ? time
        : throw new QueryFormatException($"{name} is a time such as 2026-05-06T06:00:08Z.");

    private static QueryRange RangeOf(string name, string value, Func<string, double?> number)
    {
        double Number(string text) => number(text) is { } parsed && double.IsFinite(parsed) ? parsed
            : throw new QueryFormatException($"{name} is a range such as >{(number == Millis ? "1s" : "100")}, >=5, <10 or 1..5, not '{value}'.");
        int between = value.IndexOf("..", StringComparison.Ordinal);
        return between >= 0 ? new QueryRange(Number(value[..between]), Number(value[(between + 2)..]))
            : value.StartsWith(">=", StringComparison.Ordinal) ? new QueryRange(Number(value[2..]), null)
            : value.StartsWith("<=", StringComparison.Ordinal) ? new QueryRange(null, Number(value[2..]))
            : value.StartsWith('>') ? new QueryRange(Math.BitIncrement(Number(value[1..])), null)
            : value.StartsWith('<') ? new QueryRange(null, Math.BitDecrement(Number(value[1..])))
            : new QueryRange(Number(value), Number(value));
    }

    private static double? Plain(string text) => double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number) ? number : null;

    private static double? Millis(string text)
    {
        var (digits, unit) = text.EndsWith("ms", StringComparison.Ordinal) ? (text[..^2], 1.0) : text.Length == 0 ? ("", 1) : text[^1] switch
        {
            's' => (text[..^1], 1e3),
            'm' => (text[..^1], 6e4),
            'h' => (text[..^1], 3.6e6),
            _ => (text, 1),
        };
        return Plain(digits) * unit;
    }
}
