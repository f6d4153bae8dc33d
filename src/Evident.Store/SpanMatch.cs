using System.Globalization;
using System.Text;
using Evident.Ingest;
using Microsoft.Data.Sqlite;

namespace Evident.Store;

/// <summary>Whether a stored span is what a query asks for. Of one search and its thread.</summary>
internal sealed class SpanMatch : IDisposable
{
    private readonly SpanReader spans;
    private readonly ToolRegistry tools;
    private readonly PriceBook prices;
    private readonly SpanQuery query;
    private readonly CancellationToken cancellation;
    private readonly long? from, to;
    private readonly Statement? revised;
    private readonly SqliteCommand? inRun;
    private readonly Dictionary<TraceId, bool> traces = [];

    /// <param name="connection">A reader of <c>outcomes.db</c>, for as long as this lives.</param>
    public SpanMatch(SpanQuery query, RunConditions runs, SqliteConnection connection, SpanReader spans, ToolRegistry tools, PriceBook prices, CancellationToken cancellation)
    {
        (this.query, this.spans, this.tools, this.prices, this.cancellation) = (query, spans, tools, prices, cancellation);
        (from, to) = (RunConditions.Nanos(query.From), RunConditions.Nanos(query.To));
        string longest = "";
        foreach (string? value in (ReadOnlySpan<string?>)[query.Tool, query.Model, query.ErrorClass])
        {
            longest = value?.Length > longest.Length ? value : longest;
        }

        foreach (var (key, value) in query.Attributes ?? [])
        {
            // A number or a flag is not stored as its text; the sender's own key is.
            string certain = IsText(value) ? value : Conventions.Default.TryField(key, out _) ? "" : key;
            longest = certain.Length > longest.Length ? certain : longest;
        }

        Needle = Encoding.UTF8.GetBytes(longest);
        if (Sqlite.Scalar(connection, "SELECT 1 FROM revised LIMIT 1") is not null)
        {
            revised = new Statement(connection, "SELECT 1 FROM revised WHERE trace_id = ?1 AND span_id = ?2 AND workspace = ?3");
        }

        if (!runs.IsOpen)
        {
            inRun = runs.Command(connection, "SELECT 1 FROM trace JOIN run ON run.workspace = trace.workspace AND run.run_id = trace.run WHERE trace.trace_id = $trace AND trace.workspace = $workspace AND {0}");
            inRun.Parameters.AddWithValue("$trace", Array.Empty<byte>());
        }
    }

    /// <summary>Every span that can match has a revision whose encoding holds these bytes: the longest value that is asked for and is stored as it stands.</summary>
    public byte[] Needle { get; }

    /// <summary>The span as it is merged when it is to be given at this place, else null.</summary>
    public MergedSpan? Take(string day, long block, FoundSpan found)
    {
        var merged = IsRevised(found.Span) ? Merge(found.Span, (day, block, found.Ordinal)) : new MergedSpan(found.Span, 1);
        return merged is { } whole && Matches(whole.Span) && InRun(whole.Span.TraceId) ? whole : null;
    }

    public void Dispose()
    {
        revised?.Dispose();
        inRun?.Dispose();
    }

    private bool IsRevised(StoredSpan span)
    {
        if (revised is null)
        {
            return false;
        }

        Span<byte> id = stackalloc byte[8];
        span.SpanId.Write(id);
        revised.Bind(1, OutcomesFile.Bytes(span.TraceId)).Bind(2, id).Bind(3, query.Workspace);
        bool several = revised.Step();
        revised.Reset();
        return several;
    }

    // Given at the newest of its revisions that hold the value, so that it is met once; null at the others.
    private MergedSpan? Merge(StoredSpan span, (string, long, int) place)
    {
        var revisions = new List<StoredSpan>();
        var newest = ("", 0L, 0);
        spans.ReadEncoded(query.Workspace, span.TraceId, null, (day, block, ordinal, other) =>
        {
            var decoded = StoredSpan.Decode(other);
            if (decoded.SpanId == span.SpanId)
            {
                revisions.Add(decoded);
                newest = other.IndexOf(Needle) >= 0 ? (day, block, ordinal) : newest;
            }
        }, cancellation);
        return newest == place ? new MergedSpan(StoredSpan.Merge([.. revisions]), revisions.Count) : null;
    }

    private bool Matches(StoredSpan span)
    {
        long start = OutcomesFile.Signed(span.StartNanos);
        return !(start < from) && !(start > to)
            && (query.Kind is not { } kind || span.Kind == kind)
            && (query.Tool is not { } tool || (span.Kind == StepKind.Tool && (span.Text(Field.ToolName) ?? span.Name) == tool))
            && (query.Model is not { } model || (span.Text(Field.ModelUsed) ?? span.Text(Field.ModelRequested)) == model)
            && (query.ErrorClass is not { } error || span.Text(Field.ErrorClass) == error)
            && (query.SideEffect is not { } level || (span.Kind == StepKind.Tool && tools.Decide(span.Text(Field.ToolName), span.Text(Field.SideEffectLevel)).ToName() == level))
            && (query.Approval is not { } state || IsState(span.Text(Field.ApprovalState), state))
            && (query.Outcome is not { } outcome || Ended(span, outcome))
            && query.DurationMs.Holds((Math.Max(span.StartNanos, span.EndNanos) - span.StartNanos) / 1e6)
            && (query.Tokens.IsOpen || query.Tokens.Holds(span.Integer(Field.TokensIn) is null && span.Integer(Field.TokensOut) is null ? null : (span.Integer(Field.TokensIn) ?? 0.0) + (span.Integer(Field.TokensOut) ?? 0)))
            && (query.CostUsd.IsOpen || query.CostUsd.Holds(SpanCost.Of(span, prices)?.Usd))
            && (string.IsNullOrEmpty(query.Text) || HasText(span, query.Text))
            && HasAttributes(span);
    }

    // A run waits while a span of it says that its request is pending.
    private static bool IsState(string? said, string asked) => said == asked || (said == "pending" && asked == "waiting");

    private static bool Ended(StoredSpan span, string outcome) => outcome switch
    {
        "failure" => span.IsFailed(),
        "success" => !span.IsFailed() && span.Text(Field.Outcome) is null or "success",
        _ => span.Result() == outcome,
    };

    private bool HasAttributes(StoredSpan span)
    {
        foreach (var (key, value) in query.Attributes ?? [])
        {
            bool has = Conventions.Default.TryField(key, out var field) && span.Text(field) == value;
            has = has || HasAttribute(span.Attributes, key, value) || HasAttribute(span.ResourceAttributes, key, value);
            if (!has)
            {
                return false;
            }
        }

        return true;
    }

    private static bool HasAttribute(IReadOnlyList<SpanAttribute> attributes, string key, string value)
    {
        foreach (var attribute in attributes)
        {
            if (attribute.Key == key && TextOf(attribute.Value) == value)
            {
                return true;
            }
        }

        return false;
    }

    private static bool HasText(StoredSpan span, string text)
    {
        if (span.Name.Contains(text, StringComparison.OrdinalIgnoreCase) || span.TraceId.ToString().Contains(text, StringComparison.OrdinalIgnoreCase) || span.SpanId.ToString().Contains(text, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        foreach (var (_, value) in span.Fields)
        {
            if (value.Text?.Contains(text, StringComparison.OrdinalIgnoreCase) == true)
            {
                return true;
            }
        }

        return false;
    }

    private static string? TextOf(SpanValue value) => value.Kind switch
    {
        ValueKind.Flag => value.Integer != 0 ? "true" : "false",
        ValueKind.Integer => value.Integer.ToString(CultureInfo.InvariantCulture),
        ValueKind.Number => value.Number.ToString("R", CultureInfo.InvariantCulture),
        _ => value.Text,
    };

    private static bool IsText(string value) => value is not ("true" or "false") && !double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out _);

    private bool InRun(TraceId trace)
    {
        if (inRun is null)
        {
            return true;
        }

        if (!traces.TryGetValue(trace, out bool matches))
        {
            inRun.Parameters["$trace"].Value = OutcomesFile.Bytes(trace);
            traces.Add(trace, matches = inRun.ExecuteScalar() is not null);
        }

        return matches;
    }
}
