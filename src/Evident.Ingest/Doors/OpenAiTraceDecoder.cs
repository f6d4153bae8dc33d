using System.Text.Json;

namespace Evident.Ingest;

/// <summary>
/// The OpenAI Agents SDK's own trace export (ingest-protocols 6): <c>{"data":[trace or span…]}</c>. A trace item becomes the workflow's span above all spans without a parent; it carries no time of its own, so it takes
/// the earliest of its spans in the request, or the time of receipt. A call that a person rejected is an approval's end. Pure but for that time.
/// </summary>
public static class OpenAiTraceDecoder
{
    /// <exception cref="OtlpDecodeException">The body is not JSON.</exception>
    public static void Decode(ReadOnlySpan<byte> body, IngestLimits limits, SpanBatch into, long receivedUnixMillis)
    {
        SpanScribe.Begin(body, limits, into);
        DoorJson.Read(body, limits, (ref Utf8JsonReader r) =>
        {
            if (r.TokenType != JsonTokenType.StartObject)
            {
                r.Skip();
                return;
            }

            ulong earliest = Earliest(r);
            ulong time = earliest > 0 ? earliest : (ulong)receivedUnixMillis * 1_000_000;
            while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
            {
                if (DoorJson.Member(ref r) == "data")
                {
                    DoorJson.Each(ref r, (ref Utf8JsonReader item) => Item(ref item, limits, into, time));
                }
                else
                {
                    r.Skip();
                }
            }
        });
    }

    private static ulong Earliest(Utf8JsonReader r)
    {
        ulong earliest = 0;
        while (r.Read())
        {
            if (r.TokenType == JsonTokenType.PropertyName && r.CurrentDepth == 3 && r.ValueSpan.SequenceEqual("started_at"u8))
            {
                r.Read();
                ulong time = r.TokenType == JsonTokenType.String && !r.ValueIsEscaped ? EventTime.Nanos(r.ValueSpan, 0) : 0;
                earliest = time > 0 && (earliest == 0 || time < earliest) ? time : earliest;
            }
        }

        return earliest;
    }

    private static void Item(ref Utf8JsonReader r, IngestLimits limits, SpanBatch into, ulong time)
    {
        var span = new SpanScribe(limits, into);
        bool isTrace = DoorJson.Peek(r, "object"u8).SequenceEqual("trace"u8);
        Slice id = default, trace = default, parent = default;
        if (r.TokenType != JsonTokenType.StartObject)
        {
            r.Skip();
            into.Reject(into.Mark(), SpanScribe.NoId);
            return;
        }

        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "object": r.Skip(); break;
                case "id": id = span.Text(ref r); break;
                case "trace_id": trace = span.Text(ref r); break;
                case "parent_id": parent = span.Text(ref r); break;
                case "started_at": span.Start = span.Time(ref r); break;
                case "ended_at": span.End = span.Time(ref r); break;
                case "workflow_name":
                    span.Name = span.Text(ref r);
                    span.Add("workflow.name"u8, span.Name);
                    break;
                case "group_id": span.Add("session.id"u8, ref r); break;
                case "span_data": Data(ref span, ref r); break;
                case "error": Error(ref span, ref r); break;
                default:
                    r = name;
                    span.AddMember("openai."u8, ref r);
                    break;
            }
        }

        span.Trace = Trace(span.Bytes(isTrace ? id : trace));
        var ids = new DoorIds(span.Trace);
        span.Span = isTrace ? ids.Root : ids.Span(span.Bytes(id));
        span.Parent = isTrace ? default : ids.Span(span.Bytes(parent)) is { IsZero: false } above ? above : ids.Root;
        if (isTrace)
        {
            (span.Start, span.End) = (time, time);
            span.Add("span_type"u8, "workflow"u8);
        }

        span.Close();
    }

    // trace_ and 32 hex digits.
    private static TraceId Trace(ReadOnlySpan<byte> id) => Uuid.Trace(id.StartsWith("trace_"u8) ? id[6..] : id);

    private static void Data(ref SpanScribe span, ref Utf8JsonReader r)
    {
        string type = System.Text.Encoding.ASCII.GetString(DoorJson.Peek(r, "type"u8));
        if (r.TokenType != JsonTokenType.StartObject)
        {
            r.Skip();
            return;
        }

        span.Add("span_type"u8, type switch
        {
            "agent" => "agent"u8, "function" => "tool"u8, "generation" or "response" or "transcription" or "speech" => "llm"u8, "handoff" => "handoff"u8, "guardrail" => "guardrail"u8, _ => "step"u8,
        });
        bool tool = type == "function";
        span.Name = span.Literal(type switch { "agent" or "function" or "guardrail" or "custom" => ""u8, "handoff" => "handoff"u8, "response" => "response"u8, "generation" => "generation"u8, _ => "openai"u8 });
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "type": span.Add("openai.span_type"u8, ref r); break;
                case "name":
                    span.Name = span.Text(ref r);
                    span.Add(type switch { "agent" => "gen_ai.agent.name"u8, "function" => "gen_ai.tool.name"u8, "guardrail" => "guardrail.name"u8, _ => "openai.name"u8 }, span.Name);
                    break;
                case "input": span.Add(tool ? "gen_ai.tool.call.arguments"u8 : "gen_ai.input.messages"u8, ref r); break;
                case "output": span.Add(tool ? "gen_ai.tool.call.result"u8 : "gen_ai.output.messages"u8, ref r); break;
                case "model": span.Add("gen_ai.request.model"u8, ref r); break;
                case "usage": DoorJson.Usage(ref span, ref r); break;
                case "response_id": span.Add("gen_ai.response.id"u8, ref r); break;
                case "from_agent": span.Add("handoff.from"u8, ref r); break;
                case "to_agent": span.Add("handoff.to"u8, ref r); break;
                case "triggered":
                    span.Add("guardrail.decision"u8, r.TokenType == JsonTokenType.True ? "blocked"u8 : "passed"u8);
                    r.Skip();
                    break;
                case "data" when type == "custom" && r.TokenType == JsonTokenType.StartObject: Custom(ref span, ref r); break;
                default:
                    r = name;
                    span.AddMember("openai."u8, ref r);
                    break;
            }
        }
    }

    // Turns and tasks of the SDK carry their calls' usage in sum; it counts where no call below reports any.
    private static void Custom(ref SpanScribe span, ref Utf8JsonReader r)
    {
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "usage": DoorJson.Usage(ref span, ref r); break;
                case "agent_name": span.Add("gen_ai.agent.name"u8, ref r); break;
                case "turn": span.Add("agent.step_index"u8, ref r); break;
                default:
                    r = name;
                    span.AddMember("openai.data."u8, ref r);
                    break;
            }
        }
    }

    private static void Error(ref SpanScribe span, ref Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.StartObject)
        {
            r.Skip();
            return;
        }

        span.Status = OtlpStatus.Error;
        bool rejected = false;
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            switch (DoorJson.Member(ref r))
            {
                case "message":
                    Slice text = span.Text(ref r);
                    rejected |= span.Bytes(text).SequenceEqual("Tool execution was not approved."u8);
                    span.Add("exception.message"u8, text);
                    break;
                case "data" when r.TokenType == JsonTokenType.StartObject:
                    rejected |= DoorJson.Peek(r, "error"u8).IndexOf("manually rejected"u8) >= 0;
                    span.Add("openai.error.data"u8, ref r);
                    break;
                default:
                    r.Skip();
                    break;
            }
        }

        if (rejected)
        {
            span.Add("approval.required"u8, "true"u8);
            span.Add("approval.state"u8, "rejected"u8);
        }
    }
}
