using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>One judgement about a run or one of its steps, as it was sent.</summary>
/// <param name="Kind"><c>eval</c>, <c>feedback</c> (of a user) or <c>label</c> (of a person who looked at it).</param>
/// <param name="Scope"><c>span</c>, <c>run</c> or <c>session</c>: what it judges.</param>
/// <param name="TargetSpanId">The judged step when it is one of this run.</param>
/// <param name="SpanId">The step that says so; its payloads hold the reason.</param>
/// <param name="Annotator">HUMAN, LLM, CODE, as it was sent.</param>
/// <param name="ReasonPayload">Where the sealed reason is; null when there is none.</param>
public sealed record EvalView(
    string Kind, string Scope, string? Name, string? Suite, double? Score, string? Label, bool? Passed, string? TargetSpanId, string SpanId, string? Annotator, string Time, string? ReasonPayload);

/// <summary>
/// Evaluations, feedback and labels of a run (docs/conventions.md, "Judgements"): spans of their own, <c>gen_ai.evaluation.result</c> events (semantic-conventions 2.6) and OpenInference's flattened
/// results (3.4), each with the step that it is about. Pure.
/// </summary>
internal static class EvalResults
{
    /// <summary>A run shows this many.</summary>
    public const int Most = 2_000;

    private const string GenAi = "gen_ai.evaluation.";

    private static readonly (string Beginning, string Part, string Scope)[] Flattened =
    [
        ("evaluations.", ".evaluation.", "span"), ("annotations.", ".annotation.", "span"), ("trace.evaluations.", ".evaluation.", "run"), ("trace.annotations.", ".annotation.", "run"),
        ("session.evaluations.", ".evaluation.", "session"), ("session.annotations.", ".annotation.", "session"),
    ];

    public static IReadOnlyList<EvalView> Of(IReadOnlyList<StoredSpan> ordered, IReadOnlyDictionary<SpanKey, StoredSpan> byKey)
    {
        var found = new List<EvalView>();
        Dictionary<string, StoredSpan>? responses = null;
        foreach (var span in ordered)
        {
            if (found.Count >= Most)
            {
                break;
            }

            bool own = span.Kind == StepKind.Evaluation, told = false;
            foreach (var e in span.Events)
            {
                if (found.Count < Most && e.Attributes.Any(static a => a.Key.StartsWith(GenAi, StringComparison.Ordinal)))
                {
                    told = true;
                    found.Add(OfEvent(span, e));
                }
            }

            bool hasFields = span.Text(Field.EvalName) is not null || span.Number(Field.EvalScore) is not null || span.Text(Field.EvalLabel) is not null || span.Flag(Field.EvalPassed) is not null;
            if ((hasFields && !told) || (own && !told))
            {
                string? response = own ? Attribute(span, "gen_ai.response.id") : null;
                found.Add(OfSpan(span, own ? Target(span, byKey) ?? Answering(response, span, ordered, ref responses) : span));
            }

            if (span.Attributes.Any(static a => IsFlattened(a.Key)))
            {
                OfIndices(span, byKey, found);
            }
        }

        return found;
    }

    private static bool IsFlattened(string key) => Array.Exists(Flattened, f => key.StartsWith(f.Beginning, StringComparison.Ordinal));

    private static EvalView OfSpan(StoredSpan span, StoredSpan? target) => new(
        KindOf(span), target is null ? "run" : "span", span.Text(Field.EvalName) ?? span.Text(Field.EvalSuite), span.Text(Field.EvalSuite), Finite(span.Number(Field.EvalScore)), span.Text(Field.EvalLabel),
        Passed(span.Flag(Field.EvalPassed), span.Text(Field.EvalLabel)) ?? (span.Kind == StepKind.Evaluation && span.Text(Field.Outcome) == "failure" ? false : null),
        target?.SpanId.ToString(), span.SpanId.ToString(), Attribute(span, "evaluations.0.evaluation.annotator_kind") ?? Attribute(span, "annotations.0.annotation.annotator_kind"),
        Rfc3339.FormatNanos(span.StartNanos), Reason(span, "attributes"));

    private static EvalView OfEvent(StoredSpan span, SpanEvent e)
    {
        string? name = null, label = null;
        double? score = null;
        foreach (var (key, value) in e.Attributes)
        {
            switch (key)
            {
                case GenAi + "name": name = value.Text; break;
                case GenAi + "score.label": label = value.Text; break;
                case GenAi + "score.value": score = Number(value); break;
            }
        }

        // A log record is a step below the one it judges; an event stands on it.
        return new EvalView("eval", "span", name, null, score, label, Passed(null, label), span.SpanId.ToString(), span.SpanId.ToString(), null, Rfc3339.FormatNanos(e.TimeNanos), Reason(span, "events"));
    }

    // evaluations.0 of a span are its fields; what follows, and all of the trace's and the session's, stand under their own names.
    private static void OfIndices(StoredSpan span, IReadOnlyDictionary<SpanKey, StoredSpan> byKey, List<EvalView> found)
    {
        var results = new SortedDictionary<string, EvalView>(StringComparer.Ordinal);
        foreach (var (key, value) in span.Attributes)
        {
            foreach (var (beginning, part, scope) in Flattened)
            {
                int at = key.StartsWith(beginning, StringComparison.Ordinal) ? key.IndexOf(part, beginning.Length, StringComparison.Ordinal) : -1;
                if (at < 0 || (scope == "span" && at == beginning.Length + 1 && key[beginning.Length] == '0'))
                {
                    continue;
                }

                string id = key[..at];
                if (!results.TryGetValue(id, out var result))
                {
                    if (found.Count + results.Count >= Most)
                    {
                        return;
                    }

                    result = new EvalView("eval", scope, null, null, null, null, null, scope == "span" ? (Target(span, byKey) ?? span).SpanId.ToString() : null, span.SpanId.ToString(), null,
                        Rfc3339.FormatNanos(span.StartNanos), Reason(span, "attributes"));
                }

                results[id] = key[(at + part.Length)..] switch
                {
                    "name" => result with { Name = value.Text },
                    "score" => result with { Score = Number(value) },
                    "label" => result with { Label = value.Text, Passed = Passed(null, value.Text) },
                    "annotator_kind" => result with { Annotator = value.Text, Kind = value.Text == "HUMAN" ? "label" : "eval" },
                    _ => result,
                };
            }
        }

        found.AddRange(results.Values);
    }

    // OpenInference's carrier has exactly one link; a log record or an event stands below what it judges.
    private static StoredSpan? Target(StoredSpan span, IReadOnlyDictionary<SpanKey, StoredSpan> byKey) =>
        span.Links.Count == 1 && byKey.TryGetValue(new SpanKey(span.Links[0].TraceId, span.Links[0].SpanId), out var linked) ? linked
        : span.ParentSpanId is { } parent && byKey.TryGetValue(new SpanKey(span.TraceId, parent), out var above) ? above : null;

    private static StoredSpan? Answering(string? response, StoredSpan self, IReadOnlyList<StoredSpan> ordered, ref Dictionary<string, StoredSpan>? responses)
    {
        if (response is null)
        {
            return null;
        }

        if (responses is null)
        {
            responses = new Dictionary<string, StoredSpan>(StringComparer.Ordinal);
            foreach (var span in ordered)
            {
                if (span.Kind == StepKind.Llm && Attribute(span, "gen_ai.response.id") is { } id)
                {
                    responses.TryAdd(id, span);
                }
            }
        }

        return responses.TryGetValue(response, out var call) && call != self ? call : null;
    }

    private static string KindOf(StoredSpan span)
    {
        string word = (Attribute(span, "event_type") ?? Attribute(span, "type") ?? span.Name).ToLowerInvariant();
        return word.Contains("feedback", StringComparison.Ordinal) ? "feedback" : word.Contains("label", StringComparison.Ordinal) || word.Contains("annotation", StringComparison.Ordinal) ? "label" : "eval";
    }

    private static bool? Passed(bool? flag, string? label) => flag ?? label?.ToLowerInvariant() switch
    {
        "pass" or "passed" => true,
        "fail" or "failed" or "error" => false,
        _ => null,
    };

    private static string? Reason(StoredSpan span, string role)
    {
        foreach (var payload in span.Payloads)
        {
            if (payload.Role == role && !payload.IsElsewhere)
            {
                return payload.Ref;
            }
        }

        return null;
    }

    private static string? Attribute(StoredSpan span, string key)
    {
        foreach (var attribute in span.Attributes)
        {
            if (attribute.Key == key)
            {
                return attribute.Value.Text;
            }
        }

        return null;
    }

    private static double? Number(SpanValue value) => value.Kind switch { ValueKind.Integer => value.Integer, ValueKind.Number => Finite(value.Number), _ => null };

    private static double? Finite(double? number) => number is { } given && double.IsFinite(given) ? given : null;
}
