using System.Runtime.CompilerServices;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// Reads an entry in one pass when one of the same shape was read before. An entry that parser and schema accepted leaves its shape as a
/// path in a tree: the bytes between two values (names, braces, commas; the value of <c>type</c> is among them), then the form of the
/// value that follows. A line that follows a path to its end has the same members in the same order and each value in its form, so
/// parser and schema would accept it as well; any other line is theirs to judge. Bounded; not thread safe.
/// </summary>
internal sealed class KnownShapes
{
    /// <summary>Enough for every type of version 1 in many shapes; beyond it nothing more is learnt.</summary>
    private const int MaxSteps = 8_192, MaxBytes = 1 << 18;

    private struct Step
    {
        public int Start, Length; // of the bytes that must stand here
        public ValueForm? Form; // null: the line ends here
        public EntryType? Type; // of the entry, at its end
        public EntryMember Member; // that the value belongs to
        public int FirstChild, NextSibling; // 0: none; step 0 is the root
    }

    private Step[] steps = new Step[64];
    private byte[] bytes = new byte[1_024];
    private int count = 1, used;

    /// <summary>The type of the entry, and the places of its members; null when the line has to be parsed.</summary>
    public EntryType? Read(ReadOnlySpan<byte> line, ref EntryMembers members)
    {
        members = default;
        for (int at = 0, step = steps[0].FirstChild; step != 0;)
        {
            ref readonly var here = ref steps[step];
            int value = at + here.Length, length = -1;
            long integer = 0;
            bool fits = value <= line.Length && line.Slice(at, here.Length).SequenceEqual(bytes.AsSpan(here.Start, here.Length));
            if (fits && here.Form is null)
            {
                return value == line.Length ? here.Type : null;
            }

            if (!fits || (length = here.Form!.Measure(line, value, out integer)) < 0)
            {
                step = here.NextSibling;
                continue;
            }

            if (here.Member != EntryMember.Other)
            {
                members[(int)here.Member] = new EntryMembers.Place(value, length, integer);
            }

            at = value + length;
            step = here.FirstChild;
        }

        return null;
    }

    /// <summary>Keeps the shape of a line that parser and schema accepted.</summary>
    public void Learn(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, EntryType type)
    {
        int parent = 0, from = 0;
        if (Object(line, nodes, 0, type.Shape, EntryMember.Other, ref parent, ref from))
        {
            Follow(line[from..], null, EntryMember.Other, type, ref parent);
        }
    }

    private bool Object(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index, EntryShape shape, EntryMember inside, ref int parent, ref int from)
    {
        for (int i = index + 1; i < nodes[index].Next; i = nodes[i].Next)
        {
            var key = line.Slice(nodes[i].KeyStart, nodes[i].KeyLength);
            bool top = index == 0, part = top && key.SequenceEqual("type"u8); // the type decides the forms: it is part of the shape
            if (!part && !Value(line, nodes, i, shape.Find(key)!.Form, top ? EntryMembers.Named(key) : inside, ref parent, ref from))
            {
                return false;
            }
        }

        return true;
    }

    private bool Value(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index, ValueForm form, EntryMember member, ref int parent, ref int from)
    {
        if (form is EntryShape shape)
        {
            return Object(line, nodes, index, shape, member, ref parent, ref from);
        }

        if (form is ListForm list)
        {
            for (int i = index + 1; i < nodes[index].Next; i = nodes[i].Next)
            {
                if (!Value(line, nodes, i, list.Element, EntryMember.Other, ref parent, ref from))
                {
                    return false;
                }
            }

            return true;
        }

        var before = line[from..nodes[index].Start];
        from = nodes[index].Start + nodes[index].Length;
        return Follow(before, form, member, null, ref parent);
    }

    /// <summary>Goes one step down, making it when it is new; false when there is no room for it.</summary>
    private bool Follow(ReadOnlySpan<byte> literal, ValueForm? form, EntryMember member, EntryType? type, ref int parent)
    {
        int step = steps[parent].FirstChild;
        while (step != 0 && !(ReferenceEquals(steps[step].Form, form) && literal.SequenceEqual(bytes.AsSpan(steps[step].Start, steps[step].Length))))
        {
            step = steps[step].NextSibling;
        }

        if (step == 0)
        {
            if (count == MaxSteps || used + literal.Length > MaxBytes)
            {
                return false;
            }

            if (count == steps.Length)
            {
                Array.Resize(ref steps, count * 2);
            }

            while (used + literal.Length > bytes.Length)
            {
                Array.Resize(ref bytes, bytes.Length * 2);
            }

            literal.CopyTo(bytes.AsSpan(used));
            step = count++;
            steps[step] = new Step { Start = used, Length = literal.Length, Form = form, Type = type, Member = member, NextSibling = steps[parent].FirstChild };
            steps[parent].FirstChild = step;
            used += literal.Length;
        }

        parent = step;
        return true;
    }
}

/// <summary>The members of an entry, all at its top level, that its place in the ledger is judged by.</summary>
internal enum EntryMember : byte
{
    Other, Batch, Boot, Epoch, Id, Integrity, Log, Mono, Recorded, Scope, ScopeSeq, Seq, Src, SrcSeq, Workspace,
}

/// <summary>Where those members stand in a line, a string without its quotes; length 0 where one is absent. Of <c>integrity</c> it is the hash in it.</summary>
[InlineArray(15)]
internal struct EntryMembers
{
    private Place first;

    public readonly record struct Place(int Start, int Length, long Integer);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Place Of(EntryMember member) => this[(int)member];

    /// <summary>The members of a line that was parsed and accepted.</summary>
    public static EntryMembers In(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes)
    {
        var members = default(EntryMembers);
        for (int i = 1; i < nodes.Length; i = nodes[i].Next)
        {
            var member = Named(line.Slice(nodes[i].KeyStart, nodes[i].KeyLength));
            ref readonly var node = ref nodes[member == EntryMember.Integrity ? i + 1 : i]; // prev_hash is its only member
            members[(int)member] = new Place(node.Start, node.Length, node.Integer);
        }

        members[(int)EntryMember.Other] = default;
        return members;
    }

    public static EntryMember Named(ReadOnlySpan<byte> key)
    {
        for (int i = 0; i < Names.Length; i++)
        {
            if (key.SequenceEqual(Names[i]))
            {
                return (EntryMember)(i + 1);
            }
        }

        return EntryMember.Other;
    }

    private static readonly byte[][] Names =
    [
        .. "batch boot epoch id integrity log mono recorded scope scope_seq seq src src_seq workspace".Split(' ').Select(Encoding.ASCII.GetBytes),
    ];
}
