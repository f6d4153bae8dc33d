namespace Evident.Ingest;

/// <summary>
/// The clean form of a resource, made once for all consecutive spans of one request that share it, with the same scope, class and mode of capture: its kept attributes, and the reference to its
/// sealed rest.
/// </summary>
internal sealed class SealedResource(StructureKey structureKey)
{
    private readonly PayloadParts parts = new(structureKey);
    private readonly ByteSink core = new(), seal = new();
    private int index = -1;
    private bool keepLong, holdsPayload;
    private CaptureMode mode;
    private Scope? scope;
    private TenantRules? rules;

    internal void Forget() => index = -1;

    /// <summary>False when the resource has nothing but what is kept.</summary>
    internal bool Write(SpanBatch batch, int resource, ContentGate gate, Conventions conventions, bool keepLong, IPayloadSealer sealer, ByteSink coreTo, ByteSink sealTo)
    {
        if (resource != index || keepLong != this.keepLong || mode != gate.Mode || !ReferenceEquals(scope, gate.Scope) || !ReferenceEquals(rules, gate.Rules))
        {
            index = -1;
            Make(batch, resource, gate, conventions, keepLong, sealer);
            (index, this.keepLong, mode, scope, rules) = (resource, keepLong, gate.Mode, gate.Scope, gate.Rules);
        }
        coreTo.Write(core.Written);
        sealTo.Write(seal.Written);
        return holdsPayload;
    }

    private void Make(SpanBatch batch, int resource, ContentGate gate, Conventions conventions, bool keepLong, IPayloadSealer sealer)
    {
        core.Clear();
        seal.Clear();
        parts.Clear();
        foreach (ref readonly var attribute in batch.Attributes(batch.Resource(resource).Attributes))
        {
            var key = batch.Bytes(attribute.Key);
            var row = conventions.Find(key);
            bool kept;
            CleanValue value;
            switch (row?.Class)
            {
                case null: kept = gate.KeepsKey(key, batch.Bytes(attribute.Text)) & gate.Unknown(batch, attribute, out value); break;
                case AttributeClass.Structural: kept = gate.Structural(batch, attribute, out value); break;
                case AttributeClass.Number or AttributeClass.Flag: kept = gate.Unknown(batch, attribute, out value); break;
                case AttributeClass.Identifier or AttributeClass.Tenant or AttributeClass.User or AttributeClass.Staff when attribute.Kind == ValueKind.Text && !attribute.Text.IsEmpty:
                    var text = batch.Bytes(attribute.Text);
                    value = row.Class switch { AttributeClass.User => gate.User(text), AttributeClass.Staff => gate.Staff(text), AttributeClass.Tenant => gate.Identifier(text, "t_"u8), _ => gate.Identifier(text, "k_"u8) };
                    kept = true;
                    break;
                case AttributeClass.Hash when attribute.Kind == ValueKind.Text && !gate.IsStrict: value = gate.Hash(batch.Bytes(attribute.Text)); kept = true; break;
                default: value = default; kept = false; break;
            }
            if (kept && (row?.Field > Field.None || gate.Allows(key))) SpanEncoding.KeyedValue(core, SpanEncoding.ResourceAttribute, key, value, gate.Text(value));
            else parts.Add(PayloadRole.Resource, key, attribute);
        }
        holdsPayload = parts.SealAll(batch, gate, keepLong, sealer, core, seal);
    }
}
