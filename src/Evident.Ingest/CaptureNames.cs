namespace Evident.Ingest;

/// <summary>Tenant, workflow and environment as a span or resource says them itself; a slice is empty where it does not.</summary>
internal struct SaidNames
{
    internal Slice Tenant, Workflow, Environment;
}

/// <summary>What the spans of one trace in one request say of tenant, workflow or environment.</summary>
internal struct TraceName
{
    private Slice said;

    /// <summary>Two spans say different things: then none of them speaks for the others.</summary>
    internal bool Differs;

    internal void Add(Slice name, SpanBatch batch)
    {
        if (name.IsEmpty) return;
        if (said.IsEmpty) said = name;
        else Differs |= !batch.Bytes(said).SequenceEqual(batch.Bytes(name));
    }

    internal readonly Slice Name => Differs ? default : said;
}

/// <summary>The three names of one trace.</summary>
internal sealed class TraceNames
{
    internal TraceName Tenant, Workflow, Environment;
}

/// <summary>Under which capture rules a span falls: by what it says itself, else its resource, else the other spans of its trace in the same request.</summary>
internal sealed partial class CleaningDesk
{
    private readonly Dictionary<TraceId, TraceNames> traceNames = [];
    private bool hasTraceNames;
    private int saidResource = -1;
    private SaidNames resourceSaid; // of that resource: spans that share one stand together

    private CaptureMode ModeOf(in DirtySpan span)
    {
        bool anyInFull = inFull?.IsOpen == true;
        if (capture.IsSameForAll && !anyInFull) return capture.Mode;
        if (!hasTraceNames) GatherNames();
        var own = Said(span);
        var trace = traceNames[span.Trace];
        var subject = new CaptureSubject
        {
            Tenant = Name(own.Tenant, trace.Tenant), Workflow = Name(own.Workflow, trace.Workflow), Environment = Name(own.Environment, trace.Environment),
            IsUnsure = IsUnsure(own.Tenant, trace.Tenant) || IsUnsure(own.Workflow, trace.Workflow) || IsUnsure(own.Environment, trace.Environment),
        };
        var mode = capture.ModeOf(subject);
        return mode != CaptureMode.OptOut && anyInFull && inFull!.Covers(subject) ? CaptureMode.Full : mode;
    }

    private void ForgetNames()
    {
        traceNames.Clear();
        hasTraceNames = false;
        saidResource = -1;
    }

    private void GatherNames()
    {
        hasTraceNames = true;
        foreach (ref readonly var span in batch.Spans)
        {
            if (!traceNames.TryGetValue(span.Trace, out var trace)) traceNames.Add(span.Trace, trace = new TraceNames());
            var own = Said(span);
            trace.Tenant.Add(own.Tenant, batch);
            trace.Workflow.Add(own.Workflow, batch);
            trace.Environment.Add(own.Environment, batch);
        }
    }

    private ReadOnlySpan<byte> Name(Slice own, in TraceName trace) => batch.Bytes(own.IsEmpty ? trace.Name : own);

    private static bool IsUnsure(Slice own, in TraceName trace) => own.IsEmpty && trace.Differs;

    // The span's own names, each else its resource's.
    private SaidNames Said(in DirtySpan span)
    {
        var own = Said(span.Attributes);
        if (!own.Tenant.IsEmpty && !own.Workflow.IsEmpty && !own.Environment.IsEmpty) return own;
        if (span.Resource != saidResource) ResourceSays(span.Resource);
        if (own.Tenant.IsEmpty) own.Tenant = resourceSaid.Tenant;
        if (own.Workflow.IsEmpty) own.Workflow = resourceSaid.Workflow;
        if (own.Environment.IsEmpty) own.Environment = resourceSaid.Environment;
        return own;
    }

    private void ResourceSays(int resource)
    {
        resourceSaid = Said(batch.Resource(resource).Attributes);
        saidResource = resource;
    }

    // The values of the best aliases, as sent.
    private SaidNames Said(RecordRange range)
    {
        var said = default(SaidNames);
        int tenant = int.MaxValue, workflow = int.MaxValue, environment = int.MaxValue;
        foreach (ref readonly var attribute in batch.Attributes(range))
        {
            if (attribute.Kind != ValueKind.Text || attribute.Text.IsEmpty || conventions.Find(batch.Bytes(attribute.Key)) is not { } row) continue;
            if (row.Class == AttributeClass.Tenant) Take(attribute, row, ref tenant, ref said.Tenant);
            else if (row.Field == Field.WorkflowId) Take(attribute, row, ref workflow, ref said.Workflow);
            else if (row.Field == Field.Environment) Take(attribute, row, ref environment, ref said.Environment);
        }
        return said;
    }

    private static void Take(in DirtyAttribute attribute, Convention row, ref int best, ref Slice name)
    {
        if (row.Priority > best) return;
        best = row.Priority;
        name = attribute.Text;
    }
}
