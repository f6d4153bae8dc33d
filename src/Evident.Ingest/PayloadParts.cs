using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;

namespace Evident.Ingest;

/// <summary>
/// Gathers what the gate did not keep of one span, puts it together per role, redacts it, and hands it to the sealer: one payload per role. A role that arrived as one value
/// is that value; what arrived flattened, and everything of the roles <c>attributes</c>, <c>events</c>, <c>exception</c> and <c>resource</c>, becomes one JSON object.
/// </summary>
internal sealed class PayloadParts(StructureKey structureKey) : IDisposable
{
    private static readonly byte[][] RoleNames = [.. PayloadRole.Names.Select(Encoding.ASCII.GetBytes)];

    // Group: the event that a part belongs to, or -1. Whole: the value is the payload itself.
    private readonly record struct Part(int Role, int Group, int KeyOffset, int KeyLength, int Prefix, int Priority, bool Whole, DirtyAttribute Value);

    private readonly List<Part> parts = [];
    private readonly ByteSink keys = new(), original = new(), redacted = new(), canonical = new();
    private uint rolesPresent;

    internal void Clear()
    {
        parts.Clear();
        keys.Clear();
        rolesPresent = 0;
    }

    internal bool Holds(int role) => (rolesPresent & (1u << role)) != 0;

    /// <param name="prefix">Bytes of the key that the role already says, for flattened values.</param>
    internal void Add(int role, ReadOnlySpan<byte> key, in DirtyAttribute value, int priority = int.MaxValue, int prefix = 0, bool whole = false, int group = -1, ReadOnlySpan<byte> keyHead = default)
    {
        if (value.Kind == ValueKind.None || (value.Kind is ValueKind.Text or ValueKind.Bytes && value.Text.IsEmpty)) return;
        int offset = keys.Length;
        keys.Write(keyHead);
        keys.Write(key);
        parts.Add(new Part(role, group, offset, keys.Length - offset, prefix, priority, whole, value));
        rolesPresent |= 1u << role;
    }

    /// <summary>Moves every part of one alias from a role to <c>attributes</c>.</summary>
    internal void Demote(int role, ReadOnlySpan<byte> key)
    {
        rolesPresent &= ~(1u << role);
        for (int i = 0; i < parts.Count; i++)
        {
            if (parts[i].Role == role && keys.Written.Slice(parts[i].KeyOffset, parts[i].KeyLength).SequenceEqual(key))
                parts[i] = parts[i] with { Role = PayloadRole.Attributes, Whole = false, Prefix = 0 };
            rolesPresent |= 1u << parts[i].Role;
        }
    }

    /// <summary>The text of a role that arrived as one text value.</summary>
    internal bool TryGetText(int role, out DirtyAttribute value)
    {
        value = default;
        int found = 0;
        foreach (var part in parts)
        {
            if (part.Role != role) continue;
            found++;
            value = part.Value;
        }
        return found == 1 && value.Kind == ValueKind.Text;
    }

    internal void Remove(int role)
    {
        parts.RemoveAll(part => part.Role == role);
        rolesPresent &= ~(1u << role);
    }

    /// <summary>
    /// Redacts and seals each role, or leaves of it what the capture mode says; payload entries go to <paramref name="core"/>, references and commitments, or fingerprints, to
    /// <paramref name="seal"/>. False when there is no payload.
    /// </summary>
    internal bool SealAll(SpanBatch batch, ContentGate gate, bool keepLong, IPayloadSealer sealer, ByteSink core, ByteSink seal)
    {
        if (rolesPresent == 0) return false;
        if (gate.Mode == CaptureMode.OptOut) return true;
        for (int role = 0; role < PayloadRole.Attributes; role++)
            if (Holds(role) && role != PayloadRole.Exception) LeaveOneWhole(role);
        for (int role = 0; role < PayloadRole.Count; role++)
            if (Holds(role)) SealRole(role, batch, gate, keepLong, sealer, core, seal);
        return true;
    }

    // When a role has a whole value, the one of the best alias is the payload and everything else about it goes to the attributes.
    private void LeaveOneWhole(int role)
    {
        int best = -1;
        for (int i = 0; i < parts.Count; i++)
            if (parts[i].Role == role && parts[i].Whole && (best < 0 || parts[i].Priority < parts[best].Priority)) best = i;
        if (best < 0) return;
        for (int i = 0; i < parts.Count; i++)
        {
            if (i == best || parts[i].Role != role) continue;
            parts[i] = parts[i] with { Role = PayloadRole.Attributes, Whole = false, Prefix = 0 };
            rolesPresent |= 1u << PayloadRole.Attributes;
        }
    }

    private void SealRole(int role, SpanBatch batch, ContentGate gate, bool keepLong, IPayloadSealer sealer, ByteSink core, ByteSink seal)
    {
        original.Clear();
        redacted.Clear();
        canonical.Clear();
        if (!WriteWhole(role, batch)) WriteObject(role, batch, gate);
        var comparable = CanonicalJson.TryWrite(original.Written, canonical) ? canonical.Written : original.Written;
        if (gate.Mode == CaptureMode.Structure)
        {
            SpanEncoding.UncapturedEntry(core, RoleNames[role], original.Length);
            structureKey.Write(gate.Scope, comparable, seal);
            return;
        }

        Span<byte> hash = stackalloc byte[32];
        HMACSHA256.HashData(gate.Scope.FingerprintKey, comparable, hash);
        Span<byte> reference = stackalloc byte[SpanEncoding.ReferenceBytes];
        Span<byte> commitment = stackalloc byte[SpanEncoding.CommitmentBytes];
        if (gate.Mode == CaptureMode.Full)
        {
            SpanEncoding.PayloadEntry(core, RoleNames[role], hash, original.Length);
            sealer.SealInFull(gate.Scope, PayloadRole.Names[role], original.Written, reference, commitment);
        }
        else
        {
            gate.Redactor.Redact(original.Written, redacted, gate.Tally);
            SpanEncoding.PayloadEntry(core, RoleNames[role], hash, redacted.Length);
            sealer.Seal(gate.Scope, PayloadRole.Names[role], keepLong, redacted.Written, reference, commitment);
        }
        seal.Write(reference);
        seal.Write(commitment);
    }

    private bool WriteWhole(int role, SpanBatch batch)
    {
        foreach (var part in parts)
        {
            if (part.Role != role || !part.Whole) continue;
            if (part.Value.Kind is ValueKind.Text or ValueKind.Json or ValueKind.Bytes) original.Write(batch.Bytes(part.Value.Text));
            else WriteScalar(part.Value);
            return true;
        }
        return false;
    }

    private void WriteObject(int role, SpanBatch batch, ContentGate gate)
    {
        original.WriteByte((byte)'{');
        bool any = false;
        int group = -1;
        Span<byte> number = stackalloc byte[16];
        foreach (var part in parts)
        {
            if (part.Role != role) continue;
            if (part.Group != group)
            {
                if (group >= 0) original.WriteByte((byte)'}');
                if (any) original.WriteByte((byte)',');
                group = part.Group;
                any = false;
                if (group >= 0)
                {
                    original.WriteJsonString(number[..JsonText.WriteInteger(group, number)]);
                    original.Write(":{"u8);
                }
            }
            if (any) original.WriteByte((byte)',');
            any = true;
            original.WriteJsonString(keys.Written.Slice(part.KeyOffset + part.Prefix, part.KeyLength - part.Prefix));
            original.WriteByte((byte)':');
            WriteValue(part.Value, batch, gate);
        }
        if (group >= 0) original.WriteByte((byte)'}');
        original.WriteByte((byte)'}');
    }

    private void WriteValue(in DirtyAttribute value, SpanBatch batch, ContentGate gate)
    {
        var bytes = batch.Bytes(value.Text);
        switch (value.Kind)
        {
            case ValueKind.Text: original.WriteJsonString(bytes); break;
            case ValueKind.Json: original.Write(bytes); break;
            case ValueKind.Bytes when Utf8.IsValid(bytes): original.WriteJsonString(bytes); break;
            case ValueKind.Bytes when gate.Mode != CaptureMode.Redacted: original.WriteJsonString(Encoding.ASCII.GetBytes(Convert.ToBase64String(bytes))); break;
            case ValueKind.Bytes:
                // Binary keeps its base64 form in JSON, where no detector would see through it: it is redacted before.
                using (var binary = new ByteSink())
                {
                    gate.Redactor.RedactText(bytes, binary, gate.Tally);
                    original.WriteJsonString(Encoding.ASCII.GetBytes(Convert.ToBase64String(binary.Written)));
                }
                break;
            default: WriteScalar(value); break;
        }
    }

    private void WriteScalar(in DirtyAttribute value)
    {
        Span<byte> text = stackalloc byte[32];
        switch (value.Kind)
        {
            case ValueKind.Flag: original.Write(value.Bits != 0 ? "true"u8 : "false"u8); break;
            case ValueKind.Integer: original.Write(text[..JsonText.WriteInteger(value.Bits, text)]); break;
            default: original.Write(text[..JsonText.WriteNumber(value.Number, text)]); break;
        }
    }

    public void Dispose()
    {
        keys.Dispose();
        original.Dispose();
        redacted.Dispose();
        canonical.Dispose();
    }
}
