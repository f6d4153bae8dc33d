using System.Globalization;
using System.Text;
using Evident.Ingest;

namespace Evident.Tests.Ingest;

/// <summary>A batch as text, offsets resolved: two batches are equal when their texts are.</summary>
internal static class BatchText
{
    internal static string Of(SpanBatch batch)
    {
        var text = new StringBuilder();
        foreach (ref readonly var span in batch.Spans)
        {
            Line(text, $"span {span.Trace} {span.Span} {span.Parent} {span.Kind} {span.Status} {span.Flags} {span.StartNanos} {span.EndNanos} {span.DroppedAttributes} {span.DroppedEvents} {span.DroppedLinks}");
            Line(text, $" name={T(batch, span.Name)} state={T(batch, span.TraceState)} message={T(batch, span.StatusMessage)}");
            Attributes(text, batch, "resource", batch.Resource(span.Resource).Attributes);
            ref readonly var scope = ref batch.Instrumentation(span.Instrumentation);
            Line(text, $" scope={T(batch, scope.Name)} {T(batch, scope.Version)}");
            Attributes(text, batch, "scope", scope.Attributes);
            Attributes(text, batch, "own", span.Attributes);
            foreach (ref readonly var e in batch.Events(span.Events))
            {
                Line(text, $" event {e.TimeNanos} {T(batch, e.Name)}");
                Attributes(text, batch, "event", e.Attributes);
            }
            foreach (ref readonly var l in batch.Links(span.Links))
            {
                Line(text, $" link {l.Trace} {l.Span} {T(batch, l.TraceState)}");
                Attributes(text, batch, "link", l.Attributes);
            }
        }
        return text.ToString();
    }

    private static void Attributes(StringBuilder text, SpanBatch batch, string what, RecordRange range)
    {
        foreach (ref readonly var a in batch.Attributes(range))
            Line(text, $"  {what} {T(batch, a.Key)} {a.Kind} {Convert.ToHexString(batch.Bytes(a.Text))} {a.Bits.ToString(CultureInfo.InvariantCulture)}");
    }

    private static string T(SpanBatch batch, Slice slice) => Encoding.UTF8.GetString(batch.Bytes(slice));

    private static void Line(StringBuilder text, FormattableString line) => text.Append(FormattableString.Invariant(line)).Append('\n');
}
