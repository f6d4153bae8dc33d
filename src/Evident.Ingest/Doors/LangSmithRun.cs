using System.Text.Json;

namespace Evident.Ingest;

/// <summary>
/// One run of LangSmith, whole or what a patch says of it (ingest-protocols 7.1), to one span: creation and patches are revisions of it. The members that the multipart form sends apart are read by
/// <see cref="Part"/>. What an interrupt of LangGraph leaves in <c>error</c> (7.2) is no failure.
/// </summary>
internal ref struct LangSmithRun(SpanScribe scribe, ReadOnlySpan<byte> type)
{
    private readonly bool isTool = type.SequenceEqual("tool"u8);
    private SpanScribe span = scribe;
    private Slice id, trace, parent, order;

    /// <param name="type">The run's type, where it is known.</param>
    public static LangSmithRun Begin(IngestLimits limits, SpanBatch into, int shift, Utf8JsonReader at) => new(new SpanScribe(limits, into, shift), DoorJson.Peek(at, "run_type"u8));

    /// <summary>The run's own id, of a request that says it elsewhere.</summary>
    public void Is(ReadOnlySpan<byte> runId) => id = span.Literal(runId);

    /// <summary>Starts on the object's first token and ends on its last one.</summary>
    public void Read(ref Utf8JsonReader r)
    {
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "id": id = span.Text(ref r); break;
                case "trace_id": trace = span.Text(ref r); break;
                case "parent_run_id": parent = span.Text(ref r); break;
                case "dotted_order": order = span.Text(ref r); break;
                case "start_time": span.Start = span.Time(ref r); break;
                case "end_time": span.End = span.Time(ref r); break;
                case "name":
                    span.Name = span.Text(ref r);
                    if (isTool)
                    {
                        span.Add("gen_ai.tool.name"u8, span.Name);
                    }

                    break;
                case "run_type": span.Add("langsmith.span.kind"u8, ref r); break;
                case "session_name": span.Add("langsmith.trace.session_name"u8, ref r); break;
                case "tags": span.Add("langsmith.span.tags"u8, ref r); break;
                case "usage_metadata": DoorJson.Usage(ref span, ref r); break;
                case "inputs": Inputs(ref r); break;
                case "outputs": Outputs(ref r); break;
                case "error": Error(ref r); break;
                case "extra": Extra(ref r); break;
                case "events" or "serialized" or "child_runs" or "manifest" or "session_id" or "execution_order" or "attachments": // timings of single tokens, constructors, and what its own requests say
                    r.Skip();
                    break;
                default:
                    r = name;
                    span.AddMember("langsmith."u8, ref r);
                    break;
            }
        }
    }

    /// <summary>A member that came as a part of its own, from its first token.</summary>
    public void Part(ReadOnlySpan<byte> member, ref Utf8JsonReader r)
    {
        if (member.SequenceEqual("inputs"u8))
        {
            Inputs(ref r);
        }
        else if (member.SequenceEqual("outputs"u8))
        {
            Outputs(ref r);
        }
        else if (member.SequenceEqual("error"u8))
        {
            Error(ref r);
        }
        else if (member.SequenceEqual("extra"u8))
        {
            Extra(ref r);
        }
    }

    /// <summary>The same span, reading a part that stands elsewhere in the body.</summary>
    public void MoveTo(int shift) => span.Move(shift);

    /// <summary>Null, or why it is not in the batch.</summary>
    public string? Close()
    {
        // dotted_order is <time>Z<uuid> for each run from the root on.
        var path = span.Bytes(order);
        int last = path.LastIndexOf((byte)'.') + 1;
        span.Span = Uuid.Span(span.Bytes(id));
        span.Trace = !trace.IsEmpty ? Uuid.Trace(span.Bytes(trace)) : path.Length > 36 ? Uuid.Trace(Id(path[..(path.IndexOf((byte)'.') is > 0 and var end ? end : path.Length)])) : Uuid.Trace(span.Bytes(id));
        span.Parent = Uuid.Span(span.Bytes(parent));
        if (span.Parent.IsZero && last > 1)
        {
            span.Parent = Uuid.Span(Id(path[..(last - 1)]));
        }

        if (span.Start == 0 && path.Length - last > 36)
        {
            span.Start = Time(path[last..]);
        }

        span.IsUpdate = span.Start == 0; // a patch without order and times
        return span.Close();
    }

    // The UUID at the end of a segment.
    private static ReadOnlySpan<byte> Id(ReadOnlySpan<byte> segment) => segment.Length >= 36 ? segment[^36..] : default;

    // YYYYMMDDTHHMMSSffffffZ
    private static ulong Time(ReadOnlySpan<byte> segment)
    {
        Span<byte> text = stackalloc byte[27];
        if (segment.Length < 22 || segment[8] != 'T' || segment[21] != 'Z')
        {
            return 0;
        }

        "0000-00-00T00:00:00.000000Z"u8.CopyTo(text);
        segment[..4].CopyTo(text);
        segment[4..6].CopyTo(text[5..]);
        segment[6..8].CopyTo(text[8..]);
        segment[9..11].CopyTo(text[11..]);
        segment[11..13].CopyTo(text[14..]);
        segment[13..15].CopyTo(text[17..]);
        segment[15..21].CopyTo(text[20..]);
        return EventTime.Nanos(text, 0);
    }

    private void Inputs(ref Utf8JsonReader r) => span.Add(isTool ? "gen_ai.tool.call.arguments"u8 : "input.value"u8, ref r);

    private void Outputs(ref Utf8JsonReader r)
    {
        var inside = r;
        span.Add(isTool ? "gen_ai.tool.call.result"u8 : "output.value"u8, ref r);
        FindUsage(inside);
    }

    // LangChain nests the usage of a call in its message (generations[[{message{kwargs{usage_metadata}}}]]): the first one counts.
    private void FindUsage(Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.StartObject)
        {
            return;
        }

        int depth = r.CurrentDepth;
        bool usage = false, model = false;
        while (r.Read() && r.CurrentDepth > depth)
        {
            if (r.TokenType != JsonTokenType.PropertyName || r.ValueIsEscaped)
            {
                continue;
            }

            if (!usage && r.ValueSpan.SequenceEqual("usage_metadata"u8))
            {
                r.Read();
                usage = r.TokenType == JsonTokenType.StartObject;
                DoorJson.Usage(ref span, ref r);
            }
            else if (!model && r.ValueSpan.SequenceEqual("model_name"u8))
            {
                r.Read();
                model = r.TokenType == JsonTokenType.String;
                span.Add("gen_ai.response.model"u8, ref r);
            }
        }
    }

    private void Error(ref Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.String)
        {
            r.Skip();
            return;
        }

        Slice text = span.Text(ref r);
        var error = span.Bytes(text);
        if (error.IndexOf("GraphInterrupt"u8) >= 0)
        {
            span.Add("agent.outcome"u8, "interrupted"u8);
            span.Add("interrupt.reason"u8, "GraphInterrupt"u8);
            span.Add("interrupt.value"u8, text);
            return;
        }

        if (!error.IsEmpty)
        {
            span.Status = OtlpStatus.Error;
            int end = error.IndexOfAny((byte)'(', (byte)':', (byte)'\n');
            span.Add("error.type"u8, new Slice(text.Offset, end > 0 ? end : 0)); // ValueError('…') and Error: …
            span.Add("exception.message"u8, text);
        }
    }

    private void Extra(ref Utf8JsonReader r)
    {
        if (r.TokenType != JsonTokenType.StartObject)
        {
            r.Skip();
            return;
        }

        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "metadata" when r.TokenType == JsonTokenType.StartObject: Metadata(ref r); break;
                case "runtime": span.Add("langsmith.span.runtime"u8, ref r); break;
                case "invocation_params": span.Add("langsmith.invocation_params"u8, ref r); break;
                default:
                    r = name;
                    span.AddMember("langsmith.extra."u8, ref r);
                    break;
            }
        }
    }

    private void Metadata(ref Utf8JsonReader r)
    {
        while (r.Read() && r.TokenType == JsonTokenType.PropertyName)
        {
            var name = r;
            switch (DoorJson.Member(ref r))
            {
                case "usage_metadata": DoorJson.Usage(ref span, ref r); break;
                case "ls_provider": span.Add("gen_ai.provider.name"u8, ref r); break;
                case "ls_model_name": span.Add("gen_ai.request.model"u8, ref r); break;
                case "ls_temperature": span.Add("gen_ai.request.temperature"u8, ref r); break;
                case "ls_max_tokens": span.Add("gen_ai.request.max_tokens"u8, ref r); break;
                default:
                    r = name;
                    span.AddMember("langsmith.metadata."u8, ref r);
                    break;
            }
        }
    }
}
