using System.Globalization;

namespace Evident.Ingest;

/// <summary>What both decoders hold a span to, in one place, with the words in which a refusal is reported.</summary>
internal static class SpanRules
{
    internal static string TooMany(IngestLimits limits) => Refusal("the request holds more spans than", limits.MaxSpans, nameof(limits.MaxSpans));
    internal static string TooManyRecords(IngestLimits limits) => Refusal("the request holds more attributes, events and links than", limits.MaxRecords, nameof(limits.MaxRecords));
    internal static string LongKey(IngestLimits limits) => Refusal("an attribute key is longer in bytes than", limits.MaxKeyBytes, nameof(limits.MaxKeyBytes));
    internal static string LongValue(IngestLimits limits) => Refusal("an attribute value is longer in bytes than", limits.MaxValueBytes, nameof(limits.MaxValueBytes));

    private static string Refusal(string what, int limit, string name) =>
        string.Create(CultureInfo.InvariantCulture, $"{what} {limit} (configuration value ingest.m{name[1..]})");

    internal static int RecordCount(SpanBatch batch) => batch.AttributeList.Count + batch.EventList.Count + batch.LinkList.Count;

    /// <summary>Takes a name within its limit, or notes why the span is refused.</summary>
    internal static void Name(ReadOnlySpan<byte> utf8, int at, string what, IngestLimits limits, SpanBatch into, ref string? refused, out Slice slice)
    {
        slice = default;
        if (utf8.Length > limits.MaxNameBytes) refused ??= LongName(what, limits);
        else slice = into.Text(utf8, at);
    }

    internal static string LongName(string what, IngestLimits limits) => Refusal($"a span's {what} is longer in bytes than", limits.MaxNameBytes, nameof(limits.MaxNameBytes));

    internal static void Message(ReadOnlySpan<byte> utf8, int at, IngestLimits limits, SpanBatch into, ref string? refused, out Slice slice)
    {
        slice = default;
        if (utf8.Length > limits.MaxValueBytes) refused ??= LongValue(limits);
        else slice = into.Text(utf8, at);
    }

    internal static OtlpSpanKind Kind(long value) => value is >= 1 and <= 5 ? (OtlpSpanKind)value : OtlpSpanKind.Unspecified;

    internal static OtlpStatus Status(long value) => value is 1 or 2 ? (OtlpStatus)value : OtlpStatus.Unset;

    /// <summary>Adds a link, or drops and counts it when its ids name nothing: the span itself is still worth keeping.</summary>
    internal static void AddLink(DirtyLink link, SpanIds ids, int firstAttribute, ref DirtySpan span, SpanBatch into)
    {
        var target = default(DirtySpan);
        if (ids.Check(out _, ref target) is not null)
        {
            into.AttributeList.Truncate(firstAttribute);
            into.InvalidLinks++;
            span.DroppedLinks = OtlpTraceDecoder.SaturatingAdd(span.DroppedLinks, 1);
            return;
        }
        link.Trace = target.Trace;
        link.Span = target.Span;
        into.LinkList.Add() = link;
    }
}

/// <summary>The ids of one span as they come in, judged together at its end.</summary>
internal struct SpanIds
{
    private enum State : byte { Missing, Valid, Zero, Wrong }

    private TraceId trace;
    private SpanId span, parent;
    private State traceState, spanState, parentState;

    /// <summary>The span states a start or end time, which logs and metrics do not in these fields.</summary>
    public bool HasTime;

    public void Trace(ReadOnlySpan<byte> bytes)
    {
        traceState = Judge(bytes.Length, 16);
        if (traceState == State.Valid) Trace(TraceId.Read(bytes));
    }

    public void Trace(TraceId id)
    {
        trace = id;
        traceState = id.IsZero ? State.Zero : State.Valid;
    }

    public void Span(ReadOnlySpan<byte> bytes)
    {
        spanState = Judge(bytes.Length, 8);
        if (spanState == State.Valid) Span(SpanId.Read(bytes));
    }

    public void Span(SpanId id)
    {
        span = id;
        spanState = id.IsZero ? State.Zero : State.Valid;
    }

    public void Parent(ReadOnlySpan<byte> bytes)
    {
        parentState = Judge(bytes.Length, 8);
        if (parentState == State.Valid) Parent(SpanId.Read(bytes));
    }

    // An all-zero parent is a root in the wild (ingest-protocols section 3).
    public void Parent(SpanId id)
    {
        parent = id;
        parentState = id.IsZero ? State.Missing : State.Valid;
    }

    public void WrongTrace() => traceState = State.Wrong;
    public void WrongSpan() => spanState = State.Wrong;
    public void WrongParent() => parentState = State.Wrong;

    /// <summary>Null when the ids are good and have been put into the span; else the reason.</summary>
    /// <param name="lacking">The span carries no id at all, or only things that are no ids and no time either: not a span.</param>
    public readonly string? Check(out bool lacking, ref DirtySpan into)
    {
        lacking = traceState == State.Missing || spanState == State.Missing
            || (traceState == State.Wrong && spanState == State.Wrong && !HasTime);
        if (traceState != State.Valid) return Reason("trace id", traceState, "16 bytes");
        if (spanState != State.Valid) return Reason("span id", spanState, "8 bytes");
        if (parentState is State.Wrong) return Reason("parent span id", parentState, "8 bytes or none");
        into.Trace = trace;
        into.Span = span;
        into.Parent = parentState == State.Valid ? parent : default;
        return null;
    }

    private static State Judge(int length, int expected) => length == expected ? State.Valid : length == 0 ? State.Missing : State.Wrong;

    private static string Reason(string id, State state, string expected) => state switch
    {
        State.Missing => $"a span has no {id}",
        State.Zero => $"a span's {id} is all zero",
        _ => $"a span's {id} is not {expected}",
    };
}
