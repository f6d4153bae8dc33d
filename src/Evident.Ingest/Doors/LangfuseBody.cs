using System.Text.Json;

namespace Evident.Ingest;

/// <summary>The body of one event of Langfuse's ingestion, to one revision of a span.</summary>
/// <param name="what"><c>trace</c>, <c>score</c>, or a kind of observation.</param>
/// <param name="kind">The observation's type.</param>
internal ref struct LangfuseBody(SpanScribe scribe, string what, string kind)
{
    private SpanScribe span = scribe;
    private Slice id, trace, parent, session;

    /// <summary>Starts on the object's first token and ends on its last one.</summary>
    public void Read(ref Utf8JsonReader r)
    {
        bool isTrace = what == "trace", isScore = what == "score", isTool = kind == "tool";
        span.Add(isTrace || isScore ? "span_type"u8 : "langfuse.observation.type"u8, span.Literal(isTrace ? "workflow"u8 : isScore ? "evaluation"u8 : System.Text.Encoding.ASCII.GetBytes(kind)));
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "id": id = span.Text(ref r); break;
                case "traceId": trace = span.Text(ref r); break;
                case "parentObservationId" or "observationId": parent = span.Text(ref r); break;
                case "startTime" or "timestamp": span.Start = span.Time(ref r); break;
                case "endTime": span.End = span.Time(ref r); break;
                case "completionStartTime": span.Add("langfuse.observation.completion_start_time"u8, ref r); break;
                case "name":
                    span.Name = span.Text(ref r);
                    span.Add(isTrace ? "langfuse.trace.name"u8 : isScore ? "gen_ai.evaluation.name"u8 : isTool ? "gen_ai.tool.name"u8 : "langfuse.observation.name"u8, span.Name);
                    break;
                case "userId": span.Add("langfuse.user.id"u8, ref r); break;
                case "sessionId":
                    session = span.Text(ref r);
                    span.Add("langfuse.session.id"u8, session);
                    break;
                case "environment": span.Add("langfuse.environment"u8, ref r); break;
                case "release": span.Add("langfuse.release"u8, ref r); break;
                case "version": span.Add("langfuse.version"u8, ref r); break;
                case "tags": span.Add("langfuse.trace.tags"u8, ref r); break;
                case "input": span.Add(isTool ? "gen_ai.tool.call.arguments"u8 : isTrace ? "langfuse.trace.input"u8 : "langfuse.observation.input"u8, ref r); break;
                case "output": span.Add(isTool ? "gen_ai.tool.call.result"u8 : isTrace ? "langfuse.trace.output"u8 : "langfuse.observation.output"u8, ref r); break;
                case "metadata": span.Add(isTrace ? "langfuse.trace.metadata"u8 : "langfuse.observation.metadata"u8, ref r); break;
                case "model": span.Add("langfuse.observation.model.name"u8, ref r); break;
                case "modelParameters": span.Add("langfuse.observation.model.parameters"u8, ref r); break;
                case "promptName": span.Add("langfuse.observation.prompt.name"u8, ref r); break;
                case "promptVersion": span.Add("langfuse.observation.prompt.version"u8, ref r); break;
                case "usage" or "usageDetails" or "costDetails": Usage(ref r, cost: name.ValueSpan.StartsWith("cost"u8)); break;
                case "level":
                    Slice level = span.Text(ref r);
                    span.Status = span.Bytes(level).SequenceEqual("ERROR"u8) ? OtlpStatus.Error : OtlpStatus.Unset;
                    span.Add("langfuse.observation.level"u8, level);
                    break;
                case "statusMessage": span.StatusMessage = span.Text(ref r); break;
                case "value" when isScore: Value(ref r); break;
                case "comment": span.Add("gen_ai.evaluation.explanation"u8, ref r); break;
                case "type" or "public": r.Skip(); break;
                default:
                    r = name;
                    span.AddMember("langfuse."u8, ref r);
                    break;
            }
        }
    }

    /// <summary>Null, or why it is not in the batch.</summary>
    /// <param name="time">The envelope's.</param>
    /// <param name="isUpdate">It says only what is new: its start is the one that was said before.</param>
    public string? Close(ulong time, bool isUpdate)
    {
        bool isTrace = what == "trace", isScore = what == "score";
        span.Trace = DoorIds.Trace(span.Bytes(isTrace ? id : !trace.IsEmpty ? trace : isScore ? session : id));
        var ids = new DoorIds(span.Trace);
        var own = span.Bytes(id);
        span.Span = isTrace ? ids.Root : ids.Span(own);
        span.Parent = isTrace ? default : ids.Span(span.Bytes(parent)) is { IsZero: false } above ? above : isUpdate ? default : ids.Root;
        if (isTrace || isScore || what == "event")
        {
            span.Start = span.Start > 0 ? span.Start : time;
            span.End = span.Start;
        }
        else if (!isUpdate && span.Start == 0)
        {
            span.Start = time;
        }

        span.IsUpdate = isUpdate;
        return span.Close();
    }

    private void Usage(ref Utf8JsonReader r, bool cost)
    {
        if (!cost || r.TokenType != JsonTokenType.StartObject)
        {
            DoorJson.Usage(ref span, ref r);
            return;
        }

        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            if (DoorJson.Member(ref r) == "total" && r.TokenType == JsonTokenType.Number)
            {
                span.Add("gen_ai.usage.cost"u8, ref r);
            }
            else
            {
                r.Skip();
            }
        }
    }

    private void Value(ref Utf8JsonReader r)
    {
        if (r.TokenType is JsonTokenType.True or JsonTokenType.False)
        {
            span.Add("eval.passed"u8, ref r);
        }
        else
        {
            span.Add(r.TokenType == JsonTokenType.Number ? "gen_ai.evaluation.score.value"u8 : "gen_ai.evaluation.score.label"u8, ref r);
        }
    }
}
