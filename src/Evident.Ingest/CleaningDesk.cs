using System.Security.Cryptography;

namespace Evident.Ingest;

/// <summary>The working memory of one <see cref="SpanCleaner.Clean"/>: pooled buffers and per-span state, reset for each span.</summary>
internal sealed partial class CleaningDesk(Conventions conventions, RuleSet rules, CapturePolicy capture, IFullCapture? inFull, StructureKey structureKey, IngestLimits limits)
{
    // Facts of the resource or of an event yield to the span's own.
    private const int EventPriority = 1000, ResourcePriority = 2000;

    private readonly record struct Candidate(int Attribute, Convention Row, int Priority, bool OfSpan);

    private readonly ContentGate gate = new(rules);
    private readonly PayloadParts parts = new(structureKey);
    private readonly ByteSink core = new(), seal = new(), nested = new();
    private readonly List<Candidate> candidates = [];
    private readonly int[] winners = new int[Fields.Limit];
    private readonly CleanValue[] values = new CleanValue[Fields.Limit];
    private readonly List<Field> present = [];
    private readonly int[] keySlots = new int[Math.Max(64, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)limits.MaxAttributesPerSpan * 2))];

    private readonly SealedResource resource = new(structureKey);
    private SpanBatch batch = null!;
    private IScopes scopes = null!;
    private IPayloadSealer sealer = null!;
    private byte[] lastTenant = [];
    private Scope? lastScope;
    private bool sawHttp, sawDb, takesCarried;

    internal RedactionTally Tally => gate.Tally;

    internal StaffNames StaffNames => gate.StaffNames;

    internal void Start(SpanBatch dirty, IScopes of, IPayloadSealer to, bool carried)
    {
        (batch, scopes, sealer, takesCarried) = (dirty, of, to, carried);
        gate.Tally.Clear();
        lastScope = null;
        resource.Forget();
        ForgetNames();
    }

    internal void Clean(in DirtySpan span, CleanBatch into)
    {
        gate.Texts.Clear();
        parts.Clear();
        core.Clear();
        seal.Clear();
        candidates.Clear();
        foreach (var field in present) winners[(int)field] = 0;
        present.Clear();
        sawHttp = sawDb = false;

        gate.Scope = ResolveScope(span);
        if (takesCarried && Carried(span, into)) return;
        gate.Mode = ModeOf(span);
        WriteHeader(span);
        Attributes(span);
        GatherFromEvents(span);
        GatherFromResource(span);
        DecideFields();
        var kind = DecideKind(span);
        Derive(span, kind);
        Name(span, kind);
        SpanEncoding.Integer(core, SpanEncoding.Kind, (ulong)kind);
        foreach (var field in present)
            if (winners[(int)field] != 0) SpanEncoding.FieldValue(core, field, values[(int)field], gate.Text(values[(int)field]));

        bool keepLong = KeepLong(span);
        InstrumentationScope(span);
        Events(span);
        Links(span);
        StatusMessage(span);
        bool hasPayload = resource.Write(batch, span.Resource, gate, conventions, keepLong, sealer, core, seal);
        hasPayload |= parts.SealAll(batch, gate, keepLong, sealer, core, seal);
        if (hasPayload && gate.Mode != CaptureMode.Redacted) SpanEncoding.Integer(core, SpanEncoding.Capture, (ulong)gate.Mode);

        Span<byte> digest = stackalloc byte[32];
        SHA256.HashData(core.Written, digest);
        into.Add(new CleanSpan
        {
            Key = new SpanKey(span.Trace, span.Span),
            StartNanos = span.StartNanos,
            EndNanos = span.EndNanos,
            Scope = gate.Scope,
            Digest = ContentDigest.Read(digest),
        }, core.Written, seal.Written);
    }

    // True when the span brought its encoding: it was stored as it is, or refused.
    private bool Carried(in DirtySpan span, CleanBatch into)
    {
        foreach (ref readonly var attribute in batch.Attributes(span.Attributes))
        {
            if (attribute.Kind != ValueKind.Text || !batch.Bytes(attribute.Key).SequenceEqual("evident.span"u8)) continue;
            gate.Mode = CaptureMode.Redacted;
            if (new CarriedSpan(gate, conventions).Read(batch.Bytes(attribute.Text), span, out byte[] carriedCore, out byte[] carriedSeal) is { } refused)
            {
                into.Rejected++;
                into.RejectedReason ??= refused;
                return true;
            }
            into.Add(new CleanSpan
            {
                Key = new SpanKey(span.Trace, span.Span), StartNanos = span.StartNanos, EndNanos = span.EndNanos, Scope = gate.Scope,
                Digest = ContentDigest.Read(SHA256.HashData(carriedCore)),
            }, carriedCore, carriedSeal);
            return true;
        }
        return false;
    }

    private Scope ResolveScope(in DirtySpan span)
    {
        var tenant = batch.Bytes(Said(span).Tenant);
        if (lastScope is null || !tenant.SequenceEqual(lastTenant))
        {
            lastScope = scopes.Resolve(tenant);
            gate.Rules = rules.For(tenant);
            lastTenant = tenant.ToArray();
        }
        return lastScope;
    }

    private void WriteHeader(in DirtySpan span)
    {
        Span<byte> id = stackalloc byte[16];
        span.Trace.Write(id);
        SpanEncoding.Bytes(core, SpanEncoding.Trace, id);
        span.Span.Write(id);
        SpanEncoding.Bytes(core, SpanEncoding.Span, id[..8]);
        if (!span.Parent.IsZero)
        {
            span.Parent.Write(id);
            SpanEncoding.Bytes(core, SpanEncoding.Parent, id[..8]);
        }
        if (span.Kind != OtlpSpanKind.Unspecified) SpanEncoding.Integer(core, SpanEncoding.OtlpKind, (ulong)span.Kind);
        SpanEncoding.Fixed64(core, SpanEncoding.Start, span.StartNanos);
        SpanEncoding.Fixed64(core, SpanEncoding.End, span.EndNanos);
        if (span.Status != OtlpStatus.Unset) SpanEncoding.Integer(core, SpanEncoding.Status, (ulong)span.Status);
        Convert.FromHexString(gate.Scope.Id, id, out _, out _);
        SpanEncoding.Bytes(core, SpanEncoding.ScopeId, id);
        if (span.Flags != 0) SpanEncoding.Integer(core, SpanEncoding.Flags, span.Flags);
        if (span.DroppedAttributes != 0) SpanEncoding.Integer(core, SpanEncoding.DroppedAttributes, span.DroppedAttributes);
        if (span.DroppedEvents != 0) SpanEncoding.Integer(core, SpanEncoding.DroppedEvents, span.DroppedEvents);
        if (span.DroppedLinks != 0) SpanEncoding.Integer(core, SpanEncoding.DroppedLinks, span.DroppedLinks);
        SpanEncoding.Integer(core, SpanEncoding.ConventionsVersion, (ulong)Conventions.VersionNumber);
        var state = batch.Bytes(span.TraceState);
        if (state.IsEmpty) return;
        if (gate.KeepsTraceState(state)) SpanEncoding.Bytes(core, SpanEncoding.TraceState, state);
        else parts.Add(PayloadRole.Attributes, "tracestate"u8, Text(span.TraceState));
    }

    private static DirtyAttribute Text(Slice slice) => new(default, ValueKind.Text, slice, 0);

    private void Attributes(in DirtySpan span)
    {
        var attributes = batch.Attributes(span.Attributes);
        MarkSuperseded(attributes);
        for (int i = 0; i < attributes.Length; i++)
        {
            ref readonly var attribute = ref attributes[i];
            var key = batch.Bytes(attribute.Key);
            if (attribute.Kind == ValueKind.None || IsSuperseded(attributes, i, key)) continue;
            var row = conventions.Find(key);
            if (row is null)
            {
                sawHttp |= key.StartsWith("http."u8) || key.StartsWith("url."u8);
                sawDb |= key.StartsWith("db."u8);
                Keep(SpanEncoding.Attribute, core, key, attribute, PayloadRole.Attributes);
                continue;
            }
            sawHttp |= key.StartsWith("http."u8);
            sawDb |= key.StartsWith("db."u8);
            if (row.Class == AttributeClass.Payload)
                parts.Add(row.Role, key, attribute, row.Priority, row.Prefix, row.Prefix == 0 && row.Role is not (PayloadRole.Attributes or PayloadRole.Exception or PayloadRole.Resource));
            else if (row.Field != Field.None || row.Special != SpecialAlias.None)
                candidates.Add(new Candidate(span.Attributes.Start + i, row, row.Priority, OfSpan: true));
            else
                KeepKnown(SpanEncoding.Attribute, core, key, attribute, row, PayloadRole.Attributes);
        }
    }

    // Of equal keys the last one counts. The table holds index + 1 of the last attribute seen with a key's hash.
    private void MarkSuperseded(ReadOnlySpan<DirtyAttribute> attributes)
    {
        int mask = SlotMask(attributes.Length);
        keySlots.AsSpan(0, mask + 1).Clear();
        for (int i = 0; i < attributes.Length; i++) Slot(attributes, batch.Bytes(attributes[i].Key), mask) = i + 1;
    }

    private bool IsSuperseded(ReadOnlySpan<DirtyAttribute> attributes, int index, ReadOnlySpan<byte> key) =>
        Slot(attributes, key, SlotMask(attributes.Length)) != index + 1;

    private static int SlotMask(int count) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(8, count * 2)) - 1;

    private ref int Slot(ReadOnlySpan<DirtyAttribute> attributes, ReadOnlySpan<byte> key, int mask)
    {
        int slot = (int)(Utf8Map<int>.Hash(key) & (uint)mask);
        while (keySlots[slot] != 0 && !batch.Bytes(attributes[keySlots[slot] - 1].Key).SequenceEqual(key)) slot = (slot + 1) & mask;
        return ref keySlots[slot];
    }

    // An attribute without a row: by the rules for unknown ones, or sealed with its key.
    private void Keep(int encodedField, ByteSink to, ReadOnlySpan<byte> key, in DirtyAttribute attribute, int role, int group = -1, ReadOnlySpan<byte> keyHead = default)
    {
        if (gate.Allows(key) && gate.KeepsKey(key, batch.Bytes(attribute.Text)) && gate.Unknown(batch, attribute, out var value)) SpanEncoding.KeyedValue(to, encodedField, key, value, gate.Text(value));
        else parts.Add(role, key, attribute, group: group, keyHead: keyHead);
    }

    // An attribute that the table knows, kept under its own key.
    private void KeepKnown(int encodedField, ByteSink to, ReadOnlySpan<byte> key, in DirtyAttribute attribute, Convention row, int role, int group = -1, ReadOnlySpan<byte> keyHead = default)
    {
        if (gate.Allows(key) && (row.Prefix == 0 || gate.KeepsKey(key, batch.Bytes(attribute.Text))) && KnownValue(attribute, row, out var value))
        {
            SpanEncoding.KeyedValue(to, encodedField, key, value, gate.Text(value));
            if (row.Class != AttributeClass.Reference || gate.Text(value).SequenceEqual(batch.Bytes(attribute.Text))) return; // what was cut off a reference is sealed with it
        }
        parts.Add(role, key, attribute, group: group, keyHead: keyHead);
    }

    private bool KnownValue(in DirtyAttribute attribute, Convention row, out CleanValue value)
    {
        value = default;
        switch (row.Class)
        {
            case AttributeClass.Number: return (ContentGate.TryNumber(batch, attribute, out value) && !gate.IsPersonal(value)) || gate.Unknown(batch, attribute, out value);
            case AttributeClass.Flag: return ContentGate.TryFlag(batch, attribute, out value) || gate.Structural(batch, attribute, out value);
            case AttributeClass.Structural: return gate.Structural(batch, attribute, out value);
            case AttributeClass.Reference: return attribute.Kind == ValueKind.Text ? gate.Reference(batch.Bytes(attribute.Text), out value) : gate.Unknown(batch, attribute, out value);
        }
        if (attribute.Kind is not (ValueKind.Text or ValueKind.Integer)) return false;
        Span<byte> digits = stackalloc byte[24];
        var text = attribute.Kind == ValueKind.Text ? batch.Bytes(attribute.Text) : digits[..JsonText.WriteInteger(attribute.Bits, digits)];
        if (text.IsEmpty || (row.Class == AttributeClass.Hash && gate.IsStrict)) return false; // the key of such a hash lies in the keystore
        value = row.Class switch
        {
            AttributeClass.User => gate.User(text),
            AttributeClass.Staff => gate.Staff(text),
            AttributeClass.Hash => gate.Hash(text),
            AttributeClass.Tenant => gate.Identifier(text, "t_"u8),
            _ => gate.Identifier(text, "k_"u8),
        };
        return true;
    }

    // Approvals, evaluations, guardrails and exceptions are often told by an event; what it says counts where the span says nothing itself.
    private void GatherFromEvents(in DirtySpan span)
    {
        foreach (ref readonly var e in batch.Events(span.Events))
        {
            for (int i = e.Attributes.Start; i < e.Attributes.End; i++)
            {
                ref readonly var attribute = ref batch.Attributes(new RecordRange(i, 1))[0];
                if (conventions.Find(batch.Bytes(attribute.Key)) is not { } row) continue;
                if (IsApprovalReason(row, e)) parts.Add(PayloadRole.ApprovalReason, batch.Bytes(attribute.Key), attribute, row.Priority + EventPriority, whole: true);
                bool tells = row.Field is (>= Field.ApprovalState and <= Field.EvalPassed) or Field.ErrorType or Field.ErrorClass or Field.BackoffMs or Field.Attempt or Field.InterruptReason
                    || (row.Special == SpecialAlias.Decision && batch.Bytes(e.Name).IndexOf("approval"u8) >= 0);
                if (tells) candidates.Add(new Candidate(i, row, row.Priority + EventPriority, OfSpan: false));
            }
        }
    }

    private bool IsApprovalReason(Convention row, in DirtyEvent e) => row.Role == PayloadRole.ApprovalReason && batch.Bytes(e.Name).IndexOf("approval"u8) >= 0;

    private void GatherFromResource(in DirtySpan span)
    {
        var range = batch.Resource(span.Resource).Attributes;
        for (int i = range.Start; i < range.End; i++)
        {
            ref readonly var attribute = ref batch.Attributes(new RecordRange(i, 1))[0];
            if (conventions.Find(batch.Bytes(attribute.Key)) is { Class: not AttributeClass.Payload, Field: not Field.None } row)
                candidates.Add(new Candidate(i, row, row.Priority + ResourcePriority, OfSpan: false));
        }
    }

    private ref readonly DirtyAttribute Attribute(in Candidate candidate) => ref batch.Attributes(new RecordRange(candidate.Attribute, 1))[0];

    // The best alias of each field wins when its value fits the field; what loses stays under its own key.
    private void DecideFields()
    {
        for (int i = 0; i < candidates.Count; i++)
        {
            var candidate = candidates[i];
            var field = candidate.Row.Field;
            if (field == Field.None) continue;
            int current = winners[(int)field];
            if ((current != 0 && candidate.Priority >= candidates[current - 1].Priority) || !Fits(candidate, out var value)) continue;
            if (current == 0) present.Add(field);
            winners[(int)field] = i + 1;
            values[(int)field] = value;
        }
        for (int i = 0; i < candidates.Count; i++)
        {
            var candidate = candidates[i];
            var field = candidate.Row.Field;
            ref readonly var attribute = ref Attribute(candidate);
            bool wins = field != Field.None && winners[(int)field] == i + 1;
            if (!wins && candidate.OfSpan && candidate.Row.Special != SpecialAlias.Decision && !RepeatsWinner(candidate))
                KeepKnown(SpanEncoding.Attribute, core, batch.Bytes(attribute.Key), attribute, candidate.Row, PayloadRole.Attributes);
        }
    }

    private bool RepeatsWinner(in Candidate candidate)
    {
        var field = candidate.Row.Field;
        if (field == Field.None || winners[(int)field] == 0) return false;
        ref readonly var a = ref Attribute(candidate);
        ref readonly var b = ref Attribute(candidates[winners[(int)field] - 1]);
        return a.Kind == b.Kind && a.Bits == b.Bits && batch.Bytes(a.Text).SequenceEqual(batch.Bytes(b.Text));
    }

    private bool Fits(in Candidate candidate, out CleanValue value)
    {
        ref readonly var attribute = ref Attribute(candidate);
        value = default;
        switch (Fields.TypeOf(candidate.Row.Field))
        {
            case FieldType.Flag: return ContentGate.TryFlag(batch, attribute, out value);
            case FieldType.Integer:
                if (!ContentGate.TryNumber(batch, attribute, out value) || gate.IsPersonal(value)) return false;
                if (value.Kind == ValueKind.Number)
                {
                    double number = Math.Round(BitConverter.Int64BitsToDouble(value.Bits));
                    if (Math.Abs(number) >= 9e18) return false;
                    value = new CleanValue(ValueKind.Integer, (long)number, 0, 0);
                }
                return true;
            case FieldType.Number:
                if (!ContentGate.TryNumber(batch, attribute, out value) || gate.IsPersonal(value)) return false;
                if (value.Kind == ValueKind.Integer) value = new CleanValue(ValueKind.Number, BitConverter.DoubleToInt64Bits(value.Bits), 0, 0);
                return true;
            default: return FitsText(candidate, attribute, out value);
        }
    }

    private bool FitsText(in Candidate candidate, in DirtyAttribute attribute, out CleanValue value)
    {
        value = default;
        if (candidate.Row.Class != AttributeClass.Structural) return KnownValue(attribute, candidate.Row, out value);
        switch (attribute.Kind)
        {
            case ValueKind.Text: return gate.StructuralText(batch.Bytes(attribute.Text), ValueKind.Text, out value);
            case ValueKind.Json: return gate.StructuralText(ContentGate.FirstElement(batch.Bytes(attribute.Text)), ValueKind.Text, out value);
            case ValueKind.Flag:
                value = gate.Append(attribute.Bits != 0 ? "true"u8 : "false"u8);
                return true;
            case ValueKind.Integer or ValueKind.Number:
                if (!gate.Unknown(batch, attribute, out _)) return false;
                Span<byte> text = stackalloc byte[32];
                int length = attribute.Kind == ValueKind.Integer ? JsonText.WriteInteger(attribute.Bits, text) : JsonText.WriteNumber(attribute.Number, text);
                value = gate.Append(text[..length]);
                return true;
            default: return false;
        }
    }

    private void Name(in DirtySpan span, StepKind kind)
    {
        var name = batch.Bytes(span.Name);
        if (gate.KeepsName(name))
        {
            SpanEncoding.Bytes(core, SpanEncoding.Name, name);
            return;
        }
        if (!name.IsEmpty) parts.Add(PayloadRole.Name, "name"u8, Text(span.Name), whole: true);
        var about = kind == StepKind.Llm ? (Has(Field.ModelRequested) ? Of(Field.ModelRequested) : Of(Field.ModelUsed)) : Of(Field.ToolName);
        byte[] word = LedgerText.IsClean(about, gate.Redactor) ? about.ToArray() : [];
        int start = gate.Texts.Length;
        gate.Texts.Write(System.Text.Encoding.ASCII.GetBytes(kind.ToName()));
        if (word.Length > 0)
        {
            gate.Texts.WriteByte((byte)' ');
            gate.Texts.Write(word);
        }
        SpanEncoding.Bytes(core, SpanEncoding.Name, gate.Texts.Written[start..]);
    }

    private void InstrumentationScope(in DirtySpan span)
    {
        ref readonly var scope = ref batch.Instrumentation(span.Instrumentation);
        ReadOnlySpan<byte> name = batch.Bytes(scope.Name), version = batch.Bytes(scope.Version);
        bool keepsVersion = version.IsEmpty || (gate.KeepsName(version) && LedgerText.IsToken(version, ContentGate.MaxTokenBytes));
        if (!keepsVersion) parts.Add(PayloadRole.Attributes, "otel.scope.version"u8, Text(scope.Version));
        if (!name.IsEmpty && gate.KeepsName(name))
        {
            int start = gate.Texts.Length;
            gate.Texts.Write(name);
            if (keepsVersion && !version.IsEmpty)
            {
                gate.Texts.WriteByte((byte)' ');
                gate.Texts.Write(version);
            }
            SpanEncoding.Bytes(core, SpanEncoding.Instrumentation, gate.Texts.Written[start..]);
        }
        else
        {
            parts.Add(PayloadRole.Attributes, "otel.scope.name"u8, Text(scope.Name));
        }
        foreach (ref readonly var attribute in batch.Attributes(scope.Attributes))
            parts.Add(PayloadRole.Attributes, batch.Bytes(attribute.Key), attribute, keyHead: "otel.scope."u8);
    }

    private void Events(in DirtySpan span)
    {
        int index = 0;
        foreach (ref readonly var e in batch.Events(span.Events))
        {
            nested.Clear();
            SpanEncoding.Fixed64(nested, 1, e.TimeNanos);
            var name = batch.Bytes(e.Name);
            if (gate.KeepsName(name)) SpanEncoding.Bytes(nested, 2, name);
            else
            {
                SpanEncoding.Bytes(nested, 2, "event"u8);
                parts.Add(PayloadRole.Events, "name"u8, Text(e.Name), group: index);
            }
            foreach (ref readonly var attribute in batch.Attributes(e.Attributes))
            {
                var key = batch.Bytes(attribute.Key);
                var row = conventions.Find(key);
                if (row is null || row.Special == SpecialAlias.Decision) Keep(3, nested, key, attribute, PayloadRole.Events, index);
                else if (row.Class != AttributeClass.Payload) KeepKnown(3, nested, key, attribute, row, PayloadRole.Events, index);
                else if (!IsApprovalReason(row, e)) parts.Add(row.Role == PayloadRole.Exception ? PayloadRole.Exception : PayloadRole.Events, key, attribute, group: index);
            }
            SpanEncoding.Bytes(core, SpanEncoding.Event, nested.Written);
            index++;
        }
    }

    private void Links(in DirtySpan span)
    {
        int index = 0;
        Span<byte> id = stackalloc byte[16], head = stackalloc byte[32];
        foreach (ref readonly var link in batch.Links(span.Links))
        {
            nested.Clear();
            link.Trace.Write(id);
            SpanEncoding.Bytes(nested, 1, id);
            link.Span.Write(id);
            SpanEncoding.Bytes(nested, 2, id[..8]);
            "links["u8.CopyTo(head);
            int length = 6 + JsonText.WriteInteger(index++, head[6..]);
            head[length++] = (byte)']';
            head[length++] = (byte)'.';
            if (!link.TraceState.IsEmpty) parts.Add(PayloadRole.Attributes, "tracestate"u8, Text(link.TraceState), keyHead: head[..length]);
            foreach (ref readonly var attribute in batch.Attributes(link.Attributes))
            {
                var key = batch.Bytes(attribute.Key);
                var row = conventions.Find(key);
                if (row is null || row.Special == SpecialAlias.Decision) Keep(3, nested, key, attribute, PayloadRole.Attributes, keyHead: head[..length]);
                else if (row.Class != AttributeClass.Payload) KeepKnown(3, nested, key, attribute, row, PayloadRole.Attributes, keyHead: head[..length]);
                else parts.Add(PayloadRole.Attributes, key, attribute, keyHead: head[..length]);
            }
            SpanEncoding.Bytes(core, SpanEncoding.Link, nested.Written);
        }
    }

    private void StatusMessage(in DirtySpan span)
    {
        if (span.StatusMessage.IsEmpty) return;
        var message = Text(span.StatusMessage);
        if (gate.Allows("otel.status_description"u8) && gate.Unknown(batch, message, out var token)) SpanEncoding.KeyedValue(core, SpanEncoding.Attribute, "otel.status_description"u8, token, gate.Text(token));
        else parts.Add(PayloadRole.StatusMessage, "status_message"u8, message, whole: true);
    }
}
