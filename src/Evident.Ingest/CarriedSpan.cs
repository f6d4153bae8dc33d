using System.Buffers.Text;

namespace Evident.Ingest;

/// <summary>
/// A stored span on its way from one appliance to another: its encoding (docs/span-format.md) in base64 as the attribute <see cref="ImportDecoder.CarriedKey"/> of an exported OTLP span. It is stored byte for byte, so
/// that its digest stays, when everything in it is what the content gate of this appliance would let stand; else it is refused. Payloads stay where they are: their references are kept without a
/// commitment, which says that this vault does not hold them. Only imports by the appliance's own user may carry one.
/// </summary>
internal ref struct CarriedSpan(ContentGate gate, Conventions conventions)
{
    private const int MaxUnknownBytes = 128, MaxKnownBytes = ContentGate.MaxReferenceBytes + 8;

    private readonly ContentGate gate = gate;
    private readonly Conventions conventions = conventions;
    private int payloads, uncaptured;

    /// <summary>Null when the span may be stored; else why not, without a word of it.</summary>
    /// <param name="encoded">What stood in base64.</param>
    /// <param name="core">The bytes that the digest is over.</param>
    /// <param name="seal">References of payloads that are elsewhere, or fingerprints of what was not captured.</param>
    public string? Read(ReadOnlySpan<byte> base64, in DirtySpan span, out byte[] core, out byte[] seal)
    {
        core = seal = [];
        byte[] encoded = new byte[Base64.GetMaxDecodedFromUtf8Length(base64.Length)];
        if (Base64.DecodeFromUtf8(base64, encoded, out int consumed, out int length) != System.Buffers.OperationStatus.Done || consumed != base64.Length)
        {
            return "evident.span is not base64";
        }

        try
        {
            var stored = StoredSpan.Decode(encoded.AsSpan(0, length));
            if (stored.TraceId != span.Trace || stored.SpanId != span.Span)
            {
                return "evident.span is the encoding of another span";
            }

            var parts = new ProtobufReader(encoded.AsSpan(1, length - 1), 1, 1);
            var inner = parts.ReadBytes(out _);
            if (!Core(inner))
            {
                return "evident.span holds what this appliance's content gate and redaction rules do not let stand";
            }

            core = inner.ToArray();
            seal = parts.ReadBytes(out _).ToArray();
            for (int i = 0; i < payloads; i++)
            {
                var own = seal.AsSpan(i * (SpanEncoding.ReferenceBytes + SpanEncoding.CommitmentBytes), SpanEncoding.ReferenceBytes + SpanEncoding.CommitmentBytes);
                if (!own.StartsWith("vr_"u8) || own[3..SpanEncoding.ReferenceBytes].ContainsAnyExcept("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8))
                {
                    return "evident.span names a payload by something that is no reference";
                }

                own[SpanEncoding.ReferenceBytes..].Clear();
            }

            return null;
        }
        catch (Exception damage) when (damage is SpanFormatException or OtlpDecodeException)
        {
            return "evident.span is no encoded span of a version that this build reads";
        }
    }

    private bool Core(ReadOnlySpan<byte> core)
    {
        var reader = new ProtobufReader(core, 0, 1);
        while (reader.NextTag())
        {
            bool stands;
            switch (reader.Tag)
            {
                case (SpanEncoding.Trace << 3) | 2 or (SpanEncoding.Span << 3) | 2 or (SpanEncoding.Parent << 3) | 2 or (SpanEncoding.ScopeId << 3) | 2:
                    stands = reader.ReadBytes(out _).Length <= 16; // decoded already: of their exact length
                    break;
                case (SpanEncoding.Name << 3) | 2:
                    stands = gate.KeepsName(reader.ReadBytes(out _));
                    break;
                case (SpanEncoding.Instrumentation << 3) | 2:
                    stands = Scope(reader.ReadBytes(out _));
                    break;
                case (SpanEncoding.TraceState << 3) | 2:
                    stands = gate.KeepsTraceState(reader.ReadBytes(out _));
                    break;
                case SpanEncoding.Kind << 3 or SpanEncoding.OtlpKind << 3 or SpanEncoding.Status << 3 or SpanEncoding.Capture << 3:
                    stands = reader.ReadVarint() <= 255;
                    break;
                case SpanEncoding.Flags << 3 or SpanEncoding.DroppedAttributes << 3 or SpanEncoding.DroppedEvents << 3 or SpanEncoding.DroppedLinks << 3 or SpanEncoding.ConventionsVersion << 3:
                    stands = reader.ReadVarint() <= uint.MaxValue;
                    break;
                case (SpanEncoding.Start << 3) | 1 or (SpanEncoding.End << 3) | 1:
                    _ = reader.ReadFixed64();
                    stands = true;
                    break;
                case (SpanEncoding.CanonicalField << 3) | 2:
                    stands = Keyed(reader.ReadBytes(out _), field: true);
                    break;
                case (SpanEncoding.Attribute << 3) | 2 or (SpanEncoding.ResourceAttribute << 3) | 2:
                    stands = Keyed(reader.ReadBytes(out _), field: false);
                    break;
                case (SpanEncoding.Event << 3) | 2:
                    stands = Nested(reader.ReadBytes(out _), link: false);
                    break;
                case (SpanEncoding.Link << 3) | 2:
                    stands = Nested(reader.ReadBytes(out _), link: true);
                    break;
                case (SpanEncoding.Payload << 3) | 2:
                    payloads++;
                    stands = Payload(reader.ReadBytes(out _));
                    break;
                case (SpanEncoding.Uncaptured << 3) | 2:
                    uncaptured++;
                    stands = Payload(reader.ReadBytes(out _));
                    break;
                default:
                    return false;
            }

            if (!stands)
            {
                return false;
            }
        }

        return payloads == 0 || uncaptured == 0;
    }

    // A name, or a name and a version.
    private readonly bool Scope(ReadOnlySpan<byte> text)
    {
        int blank = text.LastIndexOf((byte)' ');
        return gate.KeepsName(text) || (blank > 0 && gate.KeepsName(text[..blank]) && LedgerText.IsToken(text[(blank + 1)..], ContentGate.MaxTokenBytes));
    }

    private readonly bool Nested(ReadOnlySpan<byte> data, bool link)
    {
        var reader = new ProtobufReader(data, 0, 1);
        while (reader.NextTag())
        {
            bool stands;
            switch (reader.Tag)
            {
                case 0x09 when !link: _ = reader.ReadFixed64(); stands = true; break;
                case 0x0a when link: stands = reader.ReadBytes(out _).Length == 16; break;
                case 0x12: stands = link ? reader.ReadBytes(out _).Length == 8 : gate.KeepsName(reader.ReadBytes(out _)); break;
                case 0x1a: stands = Keyed(reader.ReadBytes(out _), field: false); break;
                default: return false;
            }

            if (!stands)
            {
                return false;
            }
        }

        return true;
    }

    private static bool Payload(ReadOnlySpan<byte> data)
    {
        var reader = new ProtobufReader(data, 0, 1);
        while (reader.NextTag())
        {
            bool stands;
            switch (reader.Tag)
            {
                case 0x0a: stands = LedgerText.IsToken(reader.ReadBytes(out _), ContentGate.MaxTokenBytes); break;
                case 0x12: stands = reader.ReadBytes(out _).Length == SpanEncoding.FingerprintBytes; break;
                case 0x18: stands = reader.ReadVarint() <= long.MaxValue; break;
                default: return false;
            }

            if (!stands)
            {
                return false;
            }
        }

        return true;
    }

    private readonly bool Keyed(ReadOnlySpan<byte> data, bool field)
    {
        ReadOnlySpan<byte> key = default, text = default;
        var kind = ValueKind.None;
        var number = default(CleanValue);
        var reader = new ProtobufReader(data, 0, 1);
        while (reader.NextTag())
        {
            switch (reader.Tag)
            {
                case SpanEncoding.KeyPart << 3 when field: _ = reader.ReadVarint(); break;
                case (SpanEncoding.KeyPart << 3) | 2 when !field: key = reader.ReadBytes(out _); break;
                case (SpanEncoding.TextValue << 3) | 2: kind = ValueKind.Text; text = reader.ReadBytes(out _); break;
                case (SpanEncoding.JsonValue << 3) | 2: kind = ValueKind.Json; text = reader.ReadBytes(out _); break;
                case SpanEncoding.FlagValue << 3: kind = ValueKind.Flag; _ = reader.ReadVarint(); break;
                case SpanEncoding.IntegerValue << 3:
                    ulong zigzag = reader.ReadVarint();
                    (kind, number) = (ValueKind.Integer, new CleanValue(ValueKind.Integer, unchecked((long)(zigzag >> 1) ^ -(long)(zigzag & 1)), 0, 0));
                    break;
                case (SpanEncoding.NumberValue << 3) | 1: (kind, number) = (ValueKind.Number, new CleanValue(ValueKind.Number, unchecked((long)reader.ReadFixed64()), 0, 0)); break;
                default: return false;
            }
        }

        var row = field ? null : conventions.Find(key);
        if (!field && (row is null ? !gate.KeepsKey(key, text) : !LedgerText.IsToken(key, ContentGate.MaxKeyBytes) || row.Class == AttributeClass.Payload))
        {
            return false;
        }

        return kind switch
        {
            ValueKind.Text => Text(text, field || row is not null),
            ValueKind.Json => ContentGate.IsTokenList(text) && text.Length <= ContentGate.MaxStructuralBytes && gate.Redactor.IsClean(text),
            ValueKind.Flag => true,
            ValueKind.Integer or ValueKind.Number => !gate.IsPersonal(number),
            _ => false,
        };
    }

    // What the gate itself writes: pseudonyms, keyed hashes, short words of few, one token under a key that nobody knows.
    private readonly bool Text(ReadOnlySpan<byte> text, bool known)
    {
        if (IsKeyed(text, "hmac-sha256:"u8, 64) || IsKeyed(text, "k_"u8, 32) || IsKeyed(text, "u_"u8, 32) || IsKeyed(text, "s_"u8, 32) || IsKeyed(text, "t_"u8, 32))
        {
            return true;
        }

        return text.Length <= (known ? MaxKnownBytes : MaxUnknownBytes) && !text.ContainsAnyInRange((byte)0, (byte)31) && text.Count((byte)' ') < (known ? ContentGate.MaxStructuralWords : 1)
            && System.Text.Unicode.Utf8.IsValid(text) && gate.Redactor.IsClean(text);
    }

    private static bool IsKeyed(ReadOnlySpan<byte> text, ReadOnlySpan<byte> prefix, int digits) =>
        text.Length == prefix.Length + digits && text.StartsWith(prefix) && !text[prefix.Length..].ContainsAnyExcept("0123456789abcdef"u8);
}
