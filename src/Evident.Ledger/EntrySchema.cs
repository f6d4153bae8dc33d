using System.Text;

namespace Evident.Ledger;

/// <summary>One member of an object: its name, whether it must be there, its form and its meaning.</summary>
public sealed class EntryField(string name, bool required, ValueForm form, string meaning, bool assigned = false)
{
    public string Name { get; } = name;

    public bool Required { get; } = required;

    public ValueForm Form { get; } = form;

    public string Meaning { get; } = meaning;

    /// <summary>Set by the log at append, absent from a draft.</summary>
    public bool Assigned { get; } = assigned;

    internal byte[] Key { get; } = Encoding.ASCII.GetBytes(name);
}

/// <summary>A closed object: exactly these members, no others.</summary>
public sealed class EntryShape : ValueForm
{
    private readonly EntryField[] sorted;

    public EntryShape(string name, params EntryField[] fields)
        : base(name, "object")
    {
        Fields = fields;
        sorted = [.. fields.OrderBy(f => f.Name, StringComparer.Ordinal)];
    }

    public IReadOnlyList<EntryField> Fields { get; }

    /// <summary>The members in the order in which they stand in a line.</summary>
    internal ReadOnlySpan<EntryField> Sorted => sorted;

    internal EntryField? Find(ReadOnlySpan<byte> key)
    {
        foreach (var field in sorted)
        {
            if (key.SequenceEqual(field.Key))
            {
                return field;
            }
        }

        return null;
    }

    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) =>
        nodes[index].Kind == Lj1Kind.Object && Check(line, nodes, index, draft: false) is null;

    /// <summary>Null when the object meets the shape, else one sentence. Keys and fields are both sorted: one merge walk.</summary>
    internal string? Check(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index, bool draft)
    {
        int f = 0;
        for (int i = index + 1; i < nodes[index].Next; i = nodes[i].Next)
        {
            var key = line.Slice(nodes[i].KeyStart, nodes[i].KeyLength);
            while (f < sorted.Length && !key.SequenceEqual(sorted[f].Key))
            {
                if (Missing(sorted[f], draft))
                {
                    // Either the field is missing or this key is unknown and sorts before it; both are told.
                    return $"member '{sorted[f].Name}' is missing, or '{Encoding.ASCII.GetString(key)}' is unknown here.";
                }

                f++;
            }

            if (f == sorted.Length)
            {
                return $"member '{Encoding.ASCII.GetString(key)}' is unknown here.";
            }

            var field = sorted[f++];
            if (draft && field.Assigned)
            {
                return $"member '{field.Name}' is assigned by the log and cannot stand in a draft.";
            }

            if (!field.Form.Accepts(line, nodes, i))
            {
                string? inner = field.Form is EntryShape shape && nodes[i].Kind == Lj1Kind.Object ? shape.Check(line, nodes, i, false) : null;
                return inner is null
                    ? $"member '{field.Name}' is no {field.Form.Name} ({field.Form.Rule})."
                    : $"in '{field.Name}': {inner}";
            }
        }

        for (; f < sorted.Length; f++)
        {
            if (Missing(sorted[f], draft))
            {
                return $"member '{sorted[f].Name}' is missing.";
            }
        }

        return null;
    }

    private static bool Missing(EntryField field, bool draft) => field.Required && !(draft && field.Assigned);
}

/// <summary>One entry type: its name, what it records, and its closed top-level shape.</summary>
public sealed class EntryType(string name, string meaning, EntryShape shape, IReadOnlyList<EntryField> own)
{
    public string Name { get; } = name;

    public string Meaning { get; } = meaning;

    /// <summary>What the log writes about itself.</summary>
    internal bool OfLedger { get; } = name.StartsWith("ledger.", StringComparison.Ordinal);

    /// <summary>The whole entry, common members included.</summary>
    public EntryShape Shape { get; } = shape;

    /// <summary>The members beyond the common ones.</summary>
    public IReadOnlyList<EntryField> Own { get; } = own;
}

/// <summary>The closed schema of version 1: which members each entry type has. Data: <see cref="EntryTypes"/>.</summary>
public static class EntrySchema
{
    private static readonly EntryType[] ByName = [.. EntryTypes.All.OrderBy(t => t.Name, StringComparer.Ordinal)];
    private static readonly byte[][] Names = [.. ByName.Select(t => Encoding.ASCII.GetBytes(t.Name))];
    private static int lastFound; // most entries have the type of the one before; any thread's index will do

    /// <summary>Null when the parsed line is an entry of version 1 with exactly the members its type allows, else one sentence.</summary>
    /// <param name="draft">The members that the log assigns must be absent instead of present.</param>
    public static string? Check(ReadOnlySpan<byte> line, Lj1Parser parsed, bool draft = false)
    {
        var nodes = parsed.Nodes;
        ReadOnlySpan<byte> name = default;
        bool scope = false, counted = false;
        for (int i = 1; i < nodes.Length; i = nodes[i].Next)
        {
            var key = line.Slice(nodes[i].KeyStart, nodes[i].KeyLength);
            if (key[0] == 's')
            {
                scope |= key.SequenceEqual("scope"u8);
                counted |= key.SequenceEqual("scope_seq"u8);
            }
            else if (key[0] == 't' && nodes[i].Kind == Lj1Kind.String && key.SequenceEqual("type"u8))
            {
                name = line.Slice(nodes[i].Start, nodes[i].Length);
            }
        }

        var type = Find(name);
        if (type is null)
        {
            return $"entry type '{Encoding.UTF8.GetString(name)}' is unknown in version 1.";
        }

        string? failure = type.Shape.Check(line, nodes, 0, draft);
        if (failure is null && !draft && scope != counted)
        {
            failure = "'scope' and 'scope_seq' stand together or not at all.";
        }

        return failure is null ? null : $"{type.Name}: {failure}";
    }

    public static EntryType? Find(ReadOnlySpan<byte> name)
    {
        int recent = lastFound;
        if (name.SequenceEqual(Names[recent]))
        {
            return ByName[recent];
        }

        int low = 0, high = Names.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            int order = name.SequenceCompareTo(Names[middle]);
            if (order == 0)
            {
                lastFound = middle;
                return ByName[middle];
            }

            (low, high) = order < 0 ? (low, middle - 1) : (middle + 1, high);
        }

        return null;
    }
}
