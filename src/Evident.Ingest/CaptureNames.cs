namespace Evident.Ingest;

/// <summary>What the spans of one trace in one request say of tenant, workflow and environment; empty where none says anything, or two say different things.</summary>
internal sealed class CaptureNames
{
    private readonly byte[]?[] said = new byte[3][];

    internal ReadOnlySpan<byte> this[int part] => said[part];

    /// <summary>Two spans say different things.</summary>
    internal bool Differs(int part) => said[part] is { Length: 0 };

    internal void Add(int part, ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty) return;
        if (said[part] is not { } known) said[part] = name.ToArray();
        else if (!name.SequenceEqual(known)) said[part] = [];
    }
}

/// <summary>Under which capture rules a span falls: by what it says itself, else its resource, else the other spans of its trace in the same request.</summary>
internal sealed partial class CleaningDesk
{
    private const int TenantPart = 0, WorkflowPart = 1, EnvironmentPart = 2;

    private Dictionary<TraceId, CaptureNames>? traceNames;

    private CaptureMode ModeOf(in DirtySpan span)
    {
        bool anyInFull = inFull?.IsOpen == true;
        if (capture.IsSameForAll && !anyInFull) return capture.Mode;
        traceNames ??= GatherNames();
        var of = traceNames[span.Trace];
        var subject = new CaptureSubject
        {
            Tenant = Name(span, TenantPart, of), Workflow = Name(span, WorkflowPart, of), Environment = Name(span, EnvironmentPart, of),
            IsUnsure = IsUnsure(span, TenantPart, of) || IsUnsure(span, WorkflowPart, of) || IsUnsure(span, EnvironmentPart, of),
        };
        var mode = capture.ModeOf(subject);
        return mode != CaptureMode.OptOut && anyInFull && inFull!.Covers(subject) ? CaptureMode.Full : mode;
    }

    private Dictionary<TraceId, CaptureNames> GatherNames()
    {
        var names = new Dictionary<TraceId, CaptureNames>();
        foreach (ref readonly var span in batch.Spans)
        {
            if (!names.TryGetValue(span.Trace, out var of)) names.Add(span.Trace, of = new CaptureNames());
            for (int part = TenantPart; part <= EnvironmentPart; part++) of.Add(part, OwnName(span, part));
        }
        return names;
    }

    private ReadOnlySpan<byte> Name(in DirtySpan span, int part, CaptureNames trace) => OwnName(span, part) is { IsEmpty: false } own ? own : trace[part];

    private bool IsUnsure(in DirtySpan span, int part, CaptureNames trace) => trace.Differs(part) && OwnName(span, part).IsEmpty;

    private ReadOnlySpan<byte> OwnName(in DirtySpan span, int part) =>
        Named(span.Attributes, part) is { IsEmpty: false } own ? own : Named(batch.Resource(span.Resource).Attributes, part);

    // The value of the best alias, as sent.
    private ReadOnlySpan<byte> Named(RecordRange range, int part)
    {
        int best = int.MaxValue;
        ReadOnlySpan<byte> name = default;
        foreach (ref readonly var attribute in batch.Attributes(range))
        {
            if (attribute.Kind != ValueKind.Text || attribute.Text.IsEmpty || conventions.Find(batch.Bytes(attribute.Key)) is not { } row || row.Priority > best) continue;
            bool says = part switch { TenantPart => row.Class == AttributeClass.Tenant, WorkflowPart => row.Field == Field.WorkflowId, _ => row.Field == Field.Environment };
            if (!says) continue;
            best = row.Priority;
            name = batch.Bytes(attribute.Text);
        }
        return name;
    }
}
