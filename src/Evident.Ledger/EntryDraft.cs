using System.Text;

namespace Evident.Ledger;

/// <summary>
/// An entry before the log has given it its place: canonical LJ-1 of everything but <c>batch boot epoch integrity log mono scope_seq
/// seq</c>. <c>recorded</c> belongs to the draft: it is the appliance's time of receipt and survives an outbox replay.
/// At most <see cref="LedgerFormat.MaxDraftBytes"/> bytes, so that the finished line can never be too long.
/// </summary>
public sealed class EntryDraft
{
    private EntryDraft(byte[] bytes, string type, string id, string? scope)
    {
        Bytes = bytes;
        Type = type;
        Id = id;
        Scope = scope;
    }

    public string Type { get; }

    public string Id { get; }

    /// <summary>32 hex digits of the vault scope the entry belongs to, or null.</summary>
    public string? Scope { get; }

    /// <summary>The canonical bytes: what an outbox row stores and <see cref="Parse"/> takes back.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <param name="type">A type of docs/ledger-format.md.</param>
    /// <param name="id">1..128 characters <c>[A-Za-z0-9._:/@#+-]</c>, the same for every attempt to record the same fact.</param>
    /// <param name="fields">Sets every member but <c>type</c>, <c>id</c> and <c>v</c>; at least <c>recorded</c>.</param>
    /// <exception cref="LedgerSchemaException">The closed schema of the type is not met; the message names the member.</exception>
    public static EntryDraft Create(string type, string id, Action<Lj1ObjectBuilder> fields)
    {
        var builder = new Lj1ObjectBuilder().Set("type", type).Set("id", id).Set("v", 1);
        fields(builder);
        return Take(builder.ToBytes());
    }

    /// <summary>Takes back what <see cref="Bytes"/> gave.</summary>
    /// <exception cref="LedgerSchemaException">The bytes are no canonical draft.</exception>
    public static EntryDraft Parse(ReadOnlyMemory<byte> bytes) => Take(bytes.ToArray());

    [ThreadStatic]
    private static Lj1Parser? threadParser;

    [ThreadStatic]
    private static KnownShapes? threadShapes; // of drafts alone: the members that the log assigns are absent

    private static EntryDraft Take(byte[] own)
    {
        if (own.Length > LedgerFormat.MaxDraftBytes)
        {
            throw new LedgerSchemaException($"a draft of {own.Length} bytes is refused; at most {LedgerFormat.MaxDraftBytes}.");
        }

        var members = default(EntryMembers);
        var type = (threadShapes ??= new KnownShapes()).Read(own, ref members) ?? Check(own, threadParser ??= new Lj1Parser(), threadShapes, out members);
        return new EntryDraft(own, type.Name, Text(own, members.Of(EntryMember.Id))!, Text(own, members.Of(EntryMember.Scope)));
    }

    private static EntryType Check(byte[] own, Lj1Parser parser, KnownShapes shapes, out EntryMembers members)
    {
        var error = parser.Parse(own);
        if (error != Lj1Error.None)
        {
            throw new LedgerSchemaException($"the draft is not LJ-1: {error}.");
        }

        string? failure = EntrySchema.Check(own, parser, draft: true);
        if (failure is not null)
        {
            throw new LedgerSchemaException(failure);
        }

        var type = EntrySchema.Find(parser.Text(own, "type"u8))!;
        shapes.Learn(own, parser.Nodes, type);
        members = EntryMembers.In(own, parser.Nodes);
        return type;
    }

    private static string? Text(byte[] own, EntryMembers.Place place) => place.Length > 0 ? Encoding.ASCII.GetString(own, place.Start, place.Length) : null;
}
