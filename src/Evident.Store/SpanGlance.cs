using Evident.Ingest;

namespace Evident.Store;

/// <summary>
/// Looks into an encoded span (docs/span-format.md: version byte, length, core fields as protobuf) only as far as is needed to know whether the
/// ledger may be concerned, so that the nine spans of ten that do not concern it are never decoded on the way in.
/// </summary>
internal static class SpanGlance
{
    private const int ParentField = 3, KindField = 5, CanonicalField = 20;

    /// <summary>
    /// True for tools, approvals, policies and guardrails and for spans with an approval state, a policy or a guardrail decision. Bytes that cannot
    /// be walked give true as well: the decoder then says what is wrong with them.
    /// </summary>
    /// <param name="isRoot">The span names no parent; only meaningful when the answer is false.</param>
    public static bool MayBeLedgered(ReadOnlySpan<byte> encoded, out bool isRoot)
    {
        isRoot = true;
        int at = 1;
        if (!Varint(encoded, ref at, out ulong length) || length > (ulong)(encoded.Length - at))
        {
            return true;
        }

        var core = encoded.Slice(at, (int)length);
        for (at = 0; at < core.Length;)
        {
            if (!Varint(core, ref at, out ulong tag))
            {
                return true;
            }

            ulong value = 0;
            switch (tag & 7)
            {
                case 0 when Varint(core, ref at, out value):
                    break;
                case 1 when core.Length - at >= 8:
                    at += 8;
                    continue;
                case 2 when Varint(core, ref at, out value) && value <= (ulong)(core.Length - at):
                    isRoot &= tag >> 3 != ParentField;
                    if (tag >> 3 == CanonicalField && Concerns(core.Slice(at, (int)value)))
                    {
                        return true;
                    }

                    at += (int)value;
                    continue;
                default:
                    return true;
            }

            if (tag >> 3 == KindField && (StepKind)(byte)Math.Min(value, 255) is StepKind.Tool or StepKind.Approval or StepKind.Policy or StepKind.Guardrail)
            {
                return true;
            }
        }

        return false;
    }

    private static bool Concerns(ReadOnlySpan<byte> field)
    {
        int at = 1; // the tag of the field number
        return Varint(field, ref at, out ulong number)
            && (Field)(ushort)Math.Min(number, ushort.MaxValue) is Field.ApprovalState or Field.PolicyDecision or Field.GuardrailDecision;
    }

    private static bool Varint(ReadOnlySpan<byte> bytes, ref int at, out ulong value)
    {
        value = 0;
        for (int shift = 0; shift < 64 && at < bytes.Length; shift += 7)
        {
            byte next = bytes[at++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return true;
            }
        }

        return false;
    }
}
