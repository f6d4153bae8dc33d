using System.Globalization;
using System.Text;

namespace Evident.Ingest;

/// <summary>A stored value: <see cref="Text"/> for text and JSON, <see cref="Integer"/> for integers and flags (0, 1), <see cref="Number"/> for doubles.</summary>
public readonly record struct SpanValue(ValueKind Kind, string? Text, long Integer, double Number);

/// <summary>A clean attribute under the sender's own key.</summary>
public readonly record struct SpanAttribute(string Key, SpanValue Value);

public sealed record SpanEvent(ulong TimeNanos, string Name, IReadOnlyList<SpanAttribute> Attributes);

public sealed record SpanLink(TraceId TraceId, SpanId SpanId, IReadOnlyList<SpanAttribute> Attributes);

/// <summary>What a span keeps of a payload: <see cref="Hash"/> is <c>hmac-sha256:</c> + hex, the scope-keyed fingerprint of the original; <see cref="Bytes"/> the size as sealed.</summary>
public sealed record PayloadReference(string Role, string Ref, string Hash, long Bytes, byte[] Commitment)
{
    /// <summary>The span was imported, and the payload lies in the vault that it came from: no commitment of this vault exists.</summary>
    public bool IsElsewhere => !Commitment.AsSpan().ContainsAnyExcept((byte)0);
}

/// <summary>What a span keeps of a payload that was not captured (mode <c>structure</c>).</summary>
/// <param name="Fingerprint"><c>once-hmac-sha256:</c> + id of the key (16 hex digits) + <c>:</c> + 64 hex digits; the key was only ever in the memory of the process that received the span.</param>
/// <param name="Bytes">Size as sent.</param>
public sealed record UncapturedPayload(string Role, string Fingerprint, long Bytes);

/// <summary>The one error for bytes that are no encoded span of a version that this build reads.</summary>
public sealed class SpanFormatException(string message) : Exception(message);

/// <summary>The reading side of the one span encoding (docs/span-format.md). Everything in it is already clean.</summary>
public sealed class StoredSpan
{
    public TraceId TraceId { get; private set; }
    public SpanId SpanId { get; private set; }
    public SpanId? ParentSpanId { get; private set; }
    public string Name { get; private set; } = "";
    public StepKind Kind { get; private set; }
    public OtlpSpanKind OtlpKind { get; private set; }
    public ulong StartNanos { get; private set; }
    public ulong EndNanos { get; private set; }
    public OtlpStatus Status { get; private set; }

    /// <summary>32 lower-case hex digits.</summary>
    public string ScopeId { get; private set; } = "";

    public string? InstrumentationScope { get; private set; }
    public string? TraceState { get; private set; }
    public uint Flags { get; private set; }
    public long DroppedAttributes { get; private set; }
    public long DroppedEvents { get; private set; }
    public long DroppedLinks { get; private set; }

    /// <summary>Version of the alias table that mapped the span.</summary>
    public int ConventionsVersion { get; private set; }

    public IReadOnlyDictionary<Field, SpanValue> Fields { get; private set; } = new Dictionary<Field, SpanValue>();
    public IReadOnlyList<SpanAttribute> Attributes { get; private set; } = [];
    public IReadOnlyList<SpanAttribute> ResourceAttributes { get; private set; } = [];
    public IReadOnlyList<SpanEvent> Events { get; private set; } = [];
    public IReadOnlyList<SpanLink> Links { get; private set; } = [];
    public IReadOnlyList<PayloadReference> Payloads { get; private set; } = [];

    /// <summary>Why the span's payloads are not there, or that they are there as sent; <see cref="CaptureMode.Redacted"/> when neither is to be said.</summary>
    public CaptureMode Capture { get; private set; }

    public IReadOnlyList<UncapturedPayload> Uncaptured { get; private set; } = [];

    /// <summary>What two payloads of that role are compared by, captured or not; null when the span has none.</summary>
    public string? Fingerprint(string role)
    {
        foreach (var payload in Payloads)
            if (payload.Role == role) return payload.Hash;
        foreach (var payload in Uncaptured)
            if (payload.Role == role) return payload.Fingerprint;
        return null;
    }

    /// <summary>A field as text, numbers in their invariant form; null when absent.</summary>
    public string? Text(Field field) => !Fields.TryGetValue(field, out var value) ? null : value.Kind switch
    {
        ValueKind.Flag => value.Integer != 0 ? "true" : "false",
        ValueKind.Integer => value.Integer.ToString(CultureInfo.InvariantCulture),
        ValueKind.Number => value.Number.ToString("R", CultureInfo.InvariantCulture),
        _ => value.Text,
    };

    public long? Integer(Field field) => !Fields.TryGetValue(field, out var value) ? null : value.Kind switch
    {
        ValueKind.Integer or ValueKind.Flag => value.Integer,
        ValueKind.Number when Math.Abs(value.Number) < 9e18 => (long)value.Number,
        _ => null,
    };

    public double? Number(Field field) => !Fields.TryGetValue(field, out var value) ? null : value.Kind switch
    {
        ValueKind.Integer => value.Integer,
        ValueKind.Number => value.Number,
        _ => null,
    };

    public bool? Flag(Field field) => Fields.TryGetValue(field, out var value) && value.Kind == ValueKind.Flag ? value.Integer != 0 : null;

    /// <exception cref="SpanFormatException">The bytes are cut off, damaged, or of a newer version.</exception>
    public static StoredSpan Decode(ReadOnlySpan<byte> encoded)
    {
        if (encoded.IsEmpty || encoded[0] != SpanEncoding.Version)
            throw new SpanFormatException(encoded.IsEmpty ? "cannot read an encoded span of no bytes" : $"cannot read an encoded span of version {encoded[0]}; this build reads version {SpanEncoding.Version}");
        try
        {
            // Two length-delimited parts: read as a message would be, with the version byte taken off.
            var parts = new ProtobufReader(encoded[1..], 1, 1);
            var core = parts.ReadBytes(out int at);
            var seal = parts.ReadBytes(out _);
            if (1 + Length(core.Length) + Length(seal.Length) != encoded.Length) throw new SpanFormatException("cannot read an encoded span: bytes follow its end");
            var span = new StoredSpan();
            span.ReadCore(core, at, seal);
            return span;
        }
        catch (OtlpDecodeException damage)
        {
            throw new SpanFormatException($"cannot read an encoded span: damaged at byte {damage.ByteOffset}");
        }
    }

    private static int Length(int content) => content + (64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)content | 1) + 6) / 7;

    private void ReadCore(ReadOnlySpan<byte> core, int origin, ReadOnlySpan<byte> seal)
    {
        var fields = new Dictionary<Field, SpanValue>();
        var attributes = new List<SpanAttribute>();
        var resource = new List<SpanAttribute>();
        var events = new List<SpanEvent>();
        var links = new List<SpanLink>();
        var payloads = new List<PayloadReference>();
        var uncaptured = new List<UncapturedPayload>();
        var reader = new ProtobufReader(core, origin, 1);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case (SpanEncoding.Trace << 3) | 2: TraceId = Ingest.TraceId.Read(Exactly(reader.ReadBytes(out int a0), 16, a0)); break;
                case (SpanEncoding.Span << 3) | 2: SpanId = Ingest.SpanId.Read(Exactly(reader.ReadBytes(out int a1), 8, a1)); break;
                case (SpanEncoding.Parent << 3) | 2: ParentSpanId = Ingest.SpanId.Read(Exactly(reader.ReadBytes(out int a2), 8, a2)); break;
                case (SpanEncoding.Name << 3) | 2: Name = Encoding.UTF8.GetString(reader.ReadBytes(out _)); break;
                case SpanEncoding.Kind << 3: Kind = (StepKind)(byte)Math.Min(reader.ReadVarint(), 255); break;
                case SpanEncoding.OtlpKind << 3: OtlpKind = (OtlpSpanKind)(byte)Math.Min(reader.ReadVarint(), 255); break;
                case (SpanEncoding.Start << 3) | 1: StartNanos = reader.ReadFixed64(); break;
                case (SpanEncoding.End << 3) | 1: EndNanos = reader.ReadFixed64(); break;
                case SpanEncoding.Status << 3: Status = (OtlpStatus)(byte)Math.Min(reader.ReadVarint(), 255); break;
                case (SpanEncoding.ScopeId << 3) | 2: ScopeId = Convert.ToHexStringLower(Exactly(reader.ReadBytes(out int a3), 16, a3)); break;
                case (SpanEncoding.Instrumentation << 3) | 2: InstrumentationScope = Encoding.UTF8.GetString(reader.ReadBytes(out _)); break;
                case SpanEncoding.Flags << 3: Flags = (uint)Math.Min(reader.ReadVarint(), uint.MaxValue); break;
                case (SpanEncoding.TraceState << 3) | 2: TraceState = Encoding.UTF8.GetString(reader.ReadBytes(out _)); break;
                case SpanEncoding.DroppedAttributes << 3: DroppedAttributes = Count(ref reader); break;
                case SpanEncoding.DroppedEvents << 3: DroppedEvents = Count(ref reader); break;
                case SpanEncoding.DroppedLinks << 3: DroppedLinks = Count(ref reader); break;
                case SpanEncoding.ConventionsVersion << 3: ConventionsVersion = (int)Math.Min(reader.ReadVarint(), int.MaxValue); break;
                case (SpanEncoding.CanonicalField << 3) | 2:
                    var canonical = ReadKeyed(reader.ReadBytes(out int a4), a4, out ulong number);
                    if (number is > 0 and <= ushort.MaxValue) fields[(Field)number] = canonical.Value;
                    break;
                case (SpanEncoding.Attribute << 3) | 2: attributes.Add(ReadKeyed(reader.ReadBytes(out int a5), a5, out _)); break;
                case (SpanEncoding.ResourceAttribute << 3) | 2: resource.Add(ReadKeyed(reader.ReadBytes(out int a6), a6, out _)); break;
                case (SpanEncoding.Event << 3) | 2: events.Add(ReadEvent(reader.ReadBytes(out int a7), a7)); break;
                case (SpanEncoding.Link << 3) | 2: links.Add(ReadLink(reader.ReadBytes(out int a8), a8)); break;
                case (SpanEncoding.Payload << 3) | 2: payloads.Add(ReadPayload(reader.ReadBytes(out int a9), a9, seal, payloads.Count)); break;
                case SpanEncoding.Capture << 3: Capture = (CaptureMode)(byte)Math.Min(reader.ReadVarint(), 255); break;
                case (SpanEncoding.Uncaptured << 3) | 2: uncaptured.Add(ReadUncaptured(reader.ReadBytes(out int a10), a10, seal, uncaptured.Count)); break;
                default: reader.Skip(); break;
            }
        }
        if (payloads.Count > 0 && uncaptured.Count > 0) throw new SpanFormatException("cannot read an encoded span: some of its payloads are captured and some are not");
        if (seal.Length != payloads.Count * (SpanEncoding.ReferenceBytes + SpanEncoding.CommitmentBytes) + uncaptured.Count * UncapturedBytes)
            throw new SpanFormatException("cannot read an encoded span: it has not one vault reference for each payload");
        (Fields, Attributes, ResourceAttributes, Events, Links, Payloads, Uncaptured) = (fields, attributes, resource, events, links, payloads, uncaptured);
    }

    private static long Count(ref ProtobufReader reader) => (long)Math.Min(reader.ReadVarint(), uint.MaxValue);

    private static ReadOnlySpan<byte> Exactly(ReadOnlySpan<byte> content, int length, int at)
    {
        if (content.Length != length) OtlpDecodeException.Throw(at, "a fixed length");
        return content;
    }

    private static SpanAttribute ReadKeyed(ReadOnlySpan<byte> data, int origin, out ulong number)
    {
        string key = "";
        number = 0;
        var value = default(SpanValue);
        var reader = new ProtobufReader(data, origin, 1);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case (SpanEncoding.KeyPart << 3) | 2: key = Encoding.UTF8.GetString(reader.ReadBytes(out _)); break;
                case SpanEncoding.KeyPart << 3: number = reader.ReadVarint(); break;
                case (SpanEncoding.TextValue << 3) | 2: value = new SpanValue(ValueKind.Text, Encoding.UTF8.GetString(reader.ReadBytes(out _)), 0, 0); break;
                case (SpanEncoding.JsonValue << 3) | 2: value = new SpanValue(ValueKind.Json, Encoding.UTF8.GetString(reader.ReadBytes(out _)), 0, 0); break;
                case SpanEncoding.FlagValue << 3: value = new SpanValue(ValueKind.Flag, null, reader.ReadVarint() != 0 ? 1 : 0, 0); break;
                case SpanEncoding.IntegerValue << 3:
                    ulong zigzag = reader.ReadVarint();
                    value = new SpanValue(ValueKind.Integer, null, unchecked((long)(zigzag >> 1) ^ -(long)(zigzag & 1)), 0);
                    break;
                case (SpanEncoding.NumberValue << 3) | 1: value = new SpanValue(ValueKind.Number, null, 0, BitConverter.UInt64BitsToDouble(reader.ReadFixed64())); break;
                default: reader.Skip(); break;
            }
        }
        return new SpanAttribute(key, value);
    }

    private static SpanEvent ReadEvent(ReadOnlySpan<byte> data, int origin)
    {
        ulong time = 0;
        string name = "";
        var attributes = new List<SpanAttribute>();
        var reader = new ProtobufReader(data, origin, 1);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x09: time = reader.ReadFixed64(); break;
                case 0x12: name = Encoding.UTF8.GetString(reader.ReadBytes(out _)); break;
                case 0x1a: attributes.Add(ReadKeyed(reader.ReadBytes(out int at), at, out _)); break;
                default: reader.Skip(); break;
            }
        }
        return new SpanEvent(time, name, attributes);
    }

    private static SpanLink ReadLink(ReadOnlySpan<byte> data, int origin)
    {
        var trace = default(TraceId);
        var span = default(SpanId);
        var attributes = new List<SpanAttribute>();
        var reader = new ProtobufReader(data, origin, 1);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x0a: trace = Ingest.TraceId.Read(Exactly(reader.ReadBytes(out int a0), 16, a0)); break;
                case 0x12: span = Ingest.SpanId.Read(Exactly(reader.ReadBytes(out int a1), 8, a1)); break;
                case 0x1a: attributes.Add(ReadKeyed(reader.ReadBytes(out int at), at, out _)); break;
                default: reader.Skip(); break;
            }
        }
        return new SpanLink(trace, span, attributes);
    }

    private static PayloadReference ReadPayload(ReadOnlySpan<byte> data, int origin, ReadOnlySpan<byte> seal, int index)
    {
        string role = "", hash = "";
        ulong bytes = 0;
        var reader = new ProtobufReader(data, origin, 1);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x0a: role = Encoding.UTF8.GetString(reader.ReadBytes(out _)); break;
                case 0x12: hash = "hmac-sha256:" + Convert.ToHexStringLower(Exactly(reader.ReadBytes(out int at), 32, at)); break;
                case 0x18: bytes = reader.ReadVarint(); break;
                default: reader.Skip(); break;
            }
        }
        const int entry = SpanEncoding.ReferenceBytes + SpanEncoding.CommitmentBytes;
        if (seal.Length < (index + 1) * entry) OtlpDecodeException.Throw(origin, "a vault reference for the payload");
        var own = seal.Slice(index * entry, entry);
        return new PayloadReference(role, Encoding.Latin1.GetString(own[..SpanEncoding.ReferenceBytes]), hash, (long)Math.Min(bytes, long.MaxValue), own[SpanEncoding.ReferenceBytes..].ToArray());
    }

    private const int UncapturedBytes = StructureKey.IdBytes + SpanEncoding.FingerprintBytes;

    private static UncapturedPayload ReadUncaptured(ReadOnlySpan<byte> data, int origin, ReadOnlySpan<byte> seal, int index)
    {
        string role = "";
        ulong bytes = 0;
        var reader = new ProtobufReader(data, origin, 1);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case 0x0a: role = Encoding.UTF8.GetString(reader.ReadBytes(out _)); break;
                case 0x18: bytes = reader.ReadVarint(); break;
                default: reader.Skip(); break;
            }
        }
        if (seal.Length < (index + 1) * UncapturedBytes) OtlpDecodeException.Throw(origin, "a fingerprint for the payload");
        var own = seal.Slice(index * UncapturedBytes, UncapturedBytes);
        return new UncapturedPayload(
            role, $"once-hmac-sha256:{Convert.ToHexStringLower(own[..StructureKey.IdBytes])}:{Convert.ToHexStringLower(own[StructureKey.IdBytes..])}", (long)Math.Min(bytes, long.MaxValue));
    }

    /// <summary>
    /// One span from its revisions, oldest receipt first: per field, attribute, payload role and id the later receipt wins, but what was not captured never hides what was; an unset status, a missing end time, parent or name
    /// and a plain kind never replace what is known; events and links are united.
    /// </summary>
    public static StoredSpan Merge(IReadOnlyList<StoredSpan> revisionsOldestFirst)
    {
        ArgumentNullException.ThrowIfNull(revisionsOldestFirst);
        if (revisionsOldestFirst.Count == 0) throw new ArgumentException("cannot merge no revisions; a span has at least one", nameof(revisionsOldestFirst));
        if (revisionsOldestFirst.Count == 1) return revisionsOldestFirst[0];
        var merged = new StoredSpan();
        var fields = new Dictionary<Field, SpanValue>();
        var events = new List<SpanEvent>();
        var seenEvents = new HashSet<string>(StringComparer.Ordinal);
        var links = new Dictionary<SpanKey, SpanLink>();
        var payloads = new Dictionary<string, PayloadReference>(StringComparer.Ordinal);
        var uncaptured = new Dictionary<string, UncapturedPayload>(StringComparer.Ordinal);
        var attributes = new Dictionary<string, SpanAttribute>(StringComparer.Ordinal);
        var resource = new Dictionary<string, SpanAttribute>(StringComparer.Ordinal);
        foreach (var next in revisionsOldestFirst)
        {
            merged.TraceId = next.TraceId;
            merged.SpanId = next.SpanId;
            merged.ScopeId = next.ScopeId;
            merged.ParentSpanId = next.ParentSpanId ?? merged.ParentSpanId;
            if (merged.Name.Length == 0 || (next.Name.Length > 0 && next.Name != next.Kind.ToName())) merged.Name = next.Name; // an update without a name is called after its kind
            merged.Kind = next.Kind != StepKind.Span ? next.Kind : merged.Kind;
            merged.OtlpKind = next.OtlpKind != OtlpSpanKind.Unspecified ? next.OtlpKind : merged.OtlpKind;
            merged.StartNanos = next.StartNanos != 0 ? next.StartNanos : merged.StartNanos;
            merged.EndNanos = next.EndNanos != 0 ? next.EndNanos : merged.EndNanos;
            merged.Status = next.Status != OtlpStatus.Unset ? next.Status : merged.Status;
            merged.InstrumentationScope = next.InstrumentationScope ?? merged.InstrumentationScope;
            merged.TraceState = next.TraceState ?? merged.TraceState;
            merged.Flags = next.Flags != 0 ? next.Flags : merged.Flags;
            merged.DroppedAttributes = next.DroppedAttributes;
            merged.DroppedEvents = next.DroppedEvents;
            merged.DroppedLinks = next.DroppedLinks;
            merged.ConventionsVersion = next.ConventionsVersion;
            foreach (var (field, value) in next.Fields) fields[field] = value;
            foreach (var attribute in next.Attributes) attributes[attribute.Key] = attribute;
            foreach (var attribute in next.ResourceAttributes) resource[attribute.Key] = attribute;
            foreach (var payload in next.Payloads)
            {
                payloads[payload.Role] = payload;
                uncaptured.Remove(payload.Role);
            }
            foreach (var payload in next.Uncaptured)
                if (!payloads.ContainsKey(payload.Role)) uncaptured[payload.Role] = payload; // what one revision sealed is still there
            merged.Capture = next.Payloads.Count > 0 || next.Capture != CaptureMode.Redacted ? next.Capture : merged.Capture;
            foreach (var link in next.Links) links[new SpanKey(link.TraceId, link.SpanId)] = link;
            foreach (var e in next.Events)
                if (seenEvents.Add($"{e.TimeNanos}\n{e.Name}\n{string.Join('\n', e.Attributes)}")) events.Add(e);
        }
        merged.Fields = fields;
        merged.Attributes = [.. attributes.Values];
        merged.ResourceAttributes = [.. resource.Values];
        merged.Events = events;
        merged.Links = [.. links.Values];
        merged.Payloads = [.. payloads.Values];
        merged.Uncaptured = [.. uncaptured.Values];
        return merged;
    }
}
