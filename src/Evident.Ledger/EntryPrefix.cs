namespace Evident.Ledger;

/// <summary>
/// Whether bytes begin the line of an entry of some type, all of it but the line feed at most (docs/ledger-format.md section 7): the closed schema is walked beside
/// the text, and where the text ends everything before was right.
/// </summary>
internal sealed class EntryPrefix(IReadOnlyList<(byte[] Key, byte[] Value)> known)
{
    private enum Walk { Whole, Cut, Wrong }

    /// <summary>True when the text begins an entry of this type whose known members have their values.</summary>
    public bool Begins(ReadOnlySpan<byte> text, EntryType type)
    {
        foreach (bool scoped in (ReadOnlySpan<bool>)[false, true])
        {
            int at = 0;
            var walk = Object(text, ref at, type.Shape, [.. known, ("type"u8.ToArray(), [(byte)'"', .. System.Text.Encoding.ASCII.GetBytes(type.Name), (byte)'"'])], scoped);
            if (walk == Walk.Cut || (walk == Walk.Whole && at == text.Length))
            {
                return true;
            }
        }

        return false;
    }

    /// <param name="scoped">Of an entry: scope and its number stand there, or neither does; null for an object inside it.</param>
    private static Walk Object(ReadOnlySpan<byte> text, ref int at, EntryShape shape, IReadOnlyList<(byte[] Key, byte[] Value)> values, bool? scoped)
    {
        if (Expect(text, ref at, "{"u8) is var opened and not Walk.Whole)
        {
            return opened;
        }

        var fields = new List<EntryField>();
        foreach (var field in shape.Sorted)
        {
            if (scoped != false || field.Name is not ("scope" or "scope_seq"))
            {
                fields.Add(field);
            }
        }

        bool Required(EntryField field) => field.Required || (scoped == true && field.Name is "scope" or "scope_seq");
        for (int next = 0; ; )
        {
            int beyond = next; // fields[next..beyond] may come now
            while (beyond < fields.Count && !Required(fields[beyond]))
            {
                beyond++;
            }

            bool closable = beyond == fields.Count;
            beyond = Math.Min(beyond + 1, fields.Count);
            if (at == text.Length)
            {
                return Walk.Cut;
            }

            if (text[at] == '}' && closable)
            {
                at++;
                return Walk.Whole;
            }

            if ((next > 0 ? Expect(text, ref at, ","u8) : Walk.Whole) is var comma and not Walk.Whole)
            {
                return comma;
            }

            if (Expect(text, ref at, "\""u8) is var quote and not Walk.Whole)
            {
                return quote;
            }

            int length = text[at..].IndexOf((byte)'"');
            int found = -1;
            for (int i = next; i < beyond && found < 0; i++)
            {
                found = (length < 0 ? fields[i].Key.AsSpan().StartsWith(text[at..]) : fields[i].Key.AsSpan().SequenceEqual(text.Slice(at, length))) ? i : -1;
            }

            if (found < 0 || length < 0)
            {
                return found < 0 ? Walk.Wrong : Walk.Cut;
            }

            next = found + 1;
            at += length + 1;
            if (Expect(text, ref at, ":"u8) is var colon and not Walk.Whole)
            {
                return colon;
            }

            byte[]? value = null;
            foreach (var (key, fixedValue) in values)
            {
                value = key.AsSpan().SequenceEqual(fields[found].Key) ? fixedValue : value;
            }

            if ((value is null ? Value(text, ref at, fields[found].Form) : Expect(text, ref at, value)) is var walked and not Walk.Whole)
            {
                return walked;
            }
        }
    }

    private static Walk Value(ReadOnlySpan<byte> text, ref int at, ValueForm form) => form switch
    {
        EntryShape shape => Object(text, ref at, shape, [], null),
        ListForm list => List(text, ref at, list),
        FlagForm => Expect(text, ref at, at == text.Length || text[at] == 't' ? "true"u8 : "false"u8),
        IntegerForm => Integer(text, ref at, form),
        _ => Text(text, ref at, form),
    };

    private static Walk List(ReadOnlySpan<byte> text, ref int at, ListForm list)
    {
        if (Expect(text, ref at, "["u8) is var opened and not Walk.Whole)
        {
            return opened;
        }

        for (int count = 0; count < list.Max; count++)
        {
            if (Value(text, ref at, list.Element) is var element and not Walk.Whole)
            {
                return element;
            }

            if (at == text.Length)
            {
                return Walk.Cut;
            }

            if (text[at] == ']')
            {
                at++;
                return Walk.Whole;
            }

            if (Expect(text, ref at, ","u8) is var comma and not Walk.Whole)
            {
                return comma;
            }
        }

        return Walk.Wrong;
    }

    private static Walk Integer(ReadOnlySpan<byte> text, ref int at, ValueForm form)
    {
        int start = at;
        at += at < text.Length && text[at] == '-' ? 1 : 0;
        while (at < text.Length && text[at] is >= (byte)'0' and <= (byte)'9')
        {
            at++;
        }

        var digits = text[start..at];
        return at == text.Length ? (form.Begins(digits) ? Walk.Cut : Walk.Wrong)
            : !digits.IsEmpty && form.Measure(digits, 0, out _) == digits.Length ? Walk.Whole : Walk.Wrong;
    }

    private static Walk Text(ReadOnlySpan<byte> text, ref int at, ValueForm form)
    {
        if (Expect(text, ref at, "\""u8) is var quote and not Walk.Whole)
        {
            return quote;
        }

        int length = text[at..].IndexOf((byte)'"');
        if (length < 0)
        {
            return form.Begins(text[at..]) ? Walk.Cut : Walk.Wrong;
        }

        if (form.Measure(text[..(at + length + 1)], at, out _) != length)
        {
            return Walk.Wrong;
        }

        at += length + 1;
        return Walk.Whole;
    }

    private static Walk Expect(ReadOnlySpan<byte> text, ref int at, ReadOnlySpan<byte> literal)
    {
        var part = text.Slice(at, Math.Min(literal.Length, text.Length - at));
        if (!literal.StartsWith(part))
        {
            return Walk.Wrong;
        }

        at += part.Length;
        return part.Length == literal.Length ? Walk.Whole : Walk.Cut;
    }
}
