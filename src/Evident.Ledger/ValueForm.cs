using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Evident.Ledger;

/// <summary>What one member of an entry may hold. <see cref="Name"/> and <see cref="Rule"/> are the words of docs/ledger-format.md.</summary>
public abstract class ValueForm(string name, string rule)
{
    public string Name { get; } = name;

    public string Rule { get; } = rule;

    /// <summary>True when the value at <paramref name="index"/> of the tape has this form.</summary>
    internal abstract bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index);

    /// <summary>How many of the bytes from <paramref name="at"/> on are a value of this form, a string's quotes left out; -1 when none are.</summary>
    /// <param name="integer">The number, of an integer form.</param>
    internal virtual int Measure(ReadOnlySpan<byte> line, int at, out long integer)
    {
        integer = 0;
        return -1;
    }

    /// <summary>True when something can be added to the text so that it is a value of this form, a string's quotes left out.</summary>
    internal virtual bool Begins(ReadOnlySpan<byte> text) => false;

    private static readonly AsciiSet NameBytes = new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@#+-");
    private static readonly AsciiSet CodeBytes = new("abcdefghijklmnopqrstuvwxyz0123456789._-");
    private static readonly AsciiSet HexBytes = new("0123456789abcdef");
    private static readonly AsciiSet CrockfordBytes = new("0123456789ABCDEFGHJKMNPQRSTVWXYZ");

    public static readonly ValueForm Token = new TextForm("name", "`[A-Za-z0-9._:/@#+-]{1,128}`", "", 1, 128, NameBytes);
    public static readonly ValueForm Code = new TextForm("code", "`[a-z0-9._-]{1,64}`", "", 1, 64, CodeBytes);

    public static readonly ValueForm Hash = Prefixed("hash", "sha256:", 64);
    public static readonly ValueForm Commitment = Prefixed("commitment", "hmac-sha256:", 64);
    public static readonly ValueForm PublicKey = Prefixed("public key", "ed25519:", 64);
    public static readonly ValueForm Origin = Prefixed("origin", "evident.local/", 32);
    public static readonly ValueForm Hex8 = Prefixed("hex8", "", 8);
    public static readonly ValueForm Hex16 = Prefixed("hex16", "", 16);
    public static readonly ValueForm Hex32 = Prefixed("hex32", "", 32);

    public static readonly ValueForm VaultRef =
        new TextForm("vault ref", "`vr_` + 26 characters of Crockford base 32, the first 0-7", "vr_", 29, 29, CrockfordBytes, firstUpTo: '7');

    public static readonly ValueForm Time = new TimeForm("time", "`YYYY-MM-DDThh:mm:ss.mmmZ`, an existing UTC instant", wholeDay: false);
    public static readonly ValueForm Day = new TimeForm("day", "`YYYY-MM-DD`, an existing UTC day", wholeDay: true);

    public static readonly ValueForm Flag = new FlagForm();
    public static readonly ValueForm Count = new IntegerForm("count", "integer, 0 .. 2^53-1", 0, LedgerFormat.MaxInteger);
    public static readonly ValueForm Ordinal = new IntegerForm("ordinal", "integer, 1 .. 2^53-1", 1, LedgerFormat.MaxInteger);
    public static readonly ValueForm Signed = new IntegerForm("signed", "integer, -(2^53-1) .. 2^53-1", -LedgerFormat.MaxInteger, LedgerFormat.MaxInteger);
    public static readonly ValueForm One = new IntegerForm("one", "the integer 1", 1, 1);

    public static readonly ValueForm Size = new IntegerForm(
        "size", "bytes, rounded up to a power of two, at least 32", 32, LedgerFormat.MaxInteger, powerOfTwo: true);

    public static ValueForm OneOf(params string[] words) => new ChoiceForm(words);

    public static ValueForm ListOf(ValueForm element, int max) => new ListForm(element, max);

    /// <summary>The size bucket that stands for a length: the next power of two, at least 32.</summary>
    public static long Bucket(long bytes) =>
        bytes <= 32 ? 32 : (long)BitOperations.RoundUpToPowerOf2((ulong)bytes);

    private static TextForm Prefixed(string name, string prefix, int digits) => new(
        name, $"`{prefix}` + {digits} lower-case hex digits".Replace("`` + ", "", StringComparison.Ordinal),
        prefix, prefix.Length + digits, prefix.Length + digits, HexBytes);
}

/// <summary>A value without parts: what stands between its quotes, or the literal itself, is all there is to check.</summary>
internal abstract class PlainForm(string name, string rule, Lj1Kind kind) : ValueForm(name, rule)
{
    /// <summary>True when the text and the rest of a value of this form are one.</summary>
    protected bool BeginsLike(ReadOnlySpan<byte> text, ReadOnlySpan<byte> value)
    {
        byte[] whole = text.Length < value.Length ? [.. text, .. value[text.Length..]] : [.. text];
        return Measure(whole, 0, out _) == whole.Length;
    }

    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) =>
        nodes[index].Kind == kind && Measure(line, nodes[index].Start, out _) == nodes[index].Length;
}

/// <summary>A prefix and characters of one set, within a length; no form allows a character that LJ-1 would escape.</summary>
internal sealed class TextForm(string name, string rule, string prefix, int min, int max, AsciiSet set, char firstUpTo = '\x7f')
    : PlainForm(name, rule, Lj1Kind.String)
{
    private readonly byte[] head = System.Text.Encoding.ASCII.GetBytes(prefix);

    internal override int Measure(ReadOnlySpan<byte> line, int at, out long integer)
    {
        integer = 0;
        int start = at + head.Length;
        if (head.Length > 0 && (start > line.Length || !line.Slice(at, head.Length).SequenceEqual(head)))
        {
            return -1;
        }

        int length = head.Length + set.Run(line, start);
        return length < min || length > max || line[start] > firstUpTo ? -1 : length;
    }

    internal override bool Begins(ReadOnlySpan<byte> text)
    {
        byte[] value = new byte[max]; // 0 is in every set
        value.AsSpan().Fill((byte)'0');
        head.CopyTo(value, 0);
        return BeginsLike(text, value);
    }
}

/// <summary>A set of ASCII characters, looked up sixteen at a time: per low half of a byte one bit for each high half that it may stand with.</summary>
internal sealed class AsciiSet
{
    private static readonly Vector128<byte> HighBits = Vector128.Create(1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0); // from 0x80 on: in no set
    private readonly Vector128<byte> lows;
    private readonly bool[] members = new bool[256];

    public AsciiSet(string characters)
    {
        Span<byte> table = stackalloc byte[16];
        table.Clear();
        foreach (char c in characters)
        {
            table[c & 15] |= (byte)(1 << (c >> 4));
            members[c] = true;
        }

        lows = Vector128.Create<byte>(table);
    }

    /// <summary>How many bytes from <paramref name="start"/> on are in the set.</summary>
    public int Run(ReadOnlySpan<byte> line, int start)
    {
        int at = start;
        for (; at + Vector128<byte>.Count <= line.Length; at += Vector128<byte>.Count)
        {
            var bytes = Vector128.Create(line.Slice(at, Vector128<byte>.Count));
            var held = LookUp(lows, bytes & Vector128.Create((byte)15)) & LookUp(HighBits, Vector128.ShiftRightLogical(bytes, 4));
            uint others = Vector128.Equals(held, Vector128<byte>.Zero).ExtractMostSignificantBits();
            if (others != 0)
            {
                return at - start + BitOperations.TrailingZeroCount(others);
            }
        }

        while (at < line.Length && members[line[at]])
        {
            at++;
        }

        return at - start;
    }

    /// <summary>Entries of the table at indices below 16. On .NET 9 <see cref="Vector128.Shuffle(Vector128{byte}, Vector128{byte})"/> is a loop where the indices are not constants.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> LookUp(Vector128<byte> table, Vector128<byte> indices) =>
        Ssse3.IsSupported ? Ssse3.Shuffle(table, indices) : Vector128.Shuffle(table, indices);
}

/// <summary><c>YYYY-MM-DD</c>, or that and <c>Thh:mm:ss.mmmZ</c>, of an existing UTC day.</summary>
internal sealed class TimeForm(string name, string rule, bool wholeDay) : PlainForm(name, rule, Lj1Kind.String)
{
    internal override int Measure(ReadOnlySpan<byte> line, int at, out long integer)
    {
        integer = 0;
        var form = wholeDay ? "0000-00-00"u8 : "0000-00-00T00:00:00.000Z"u8;
        if (at + form.Length > line.Length)
        {
            return -1;
        }

        var s = line.Slice(at, form.Length);
        return HasForm(s, form) && IsDay(s) && (wholeDay || (Two(s, 11) < 24 && Two(s, 14) < 60 && Two(s, 17) < 60)) ? form.Length : -1;
    }

    internal override bool Begins(ReadOnlySpan<byte> text)
    {
        int length = wholeDay ? 10 : 24;
        return BeginsLike(text, "1111-11-11T11:11:11.111Z"u8[..length]) || BeginsLike(text, "1111-10-10T11:11:11.111Z"u8[..length]);
    }

    /// <summary>A digit where the form has 0, else the form's own character.</summary>
    private static bool HasForm(ReadOnlySpan<byte> s, ReadOnlySpan<byte> form)
    {
        if (s.Length >= Vector128<byte>.Count && s.Length == form.Length)
        {
            int rest = s.Length - Vector128<byte>.Count;
            return HasForm(Vector128.Create(s), Vector128.Create(form)) && HasForm(Vector128.Create(s[rest..]), Vector128.Create(form[rest..]));
        }

        bool fits = true;
        for (int i = 0; i < form.Length && i < s.Length; i++)
        {
            fits &= form[i] == '0' ? (uint)(s[i] ^ '0') <= 9 : s[i] == form[i]; // '0'..'9' are 0x30..0x39
        }

        return fits;
    }

    private static bool HasForm(Vector128<byte> s, Vector128<byte> form)
    {
        var zeros = Vector128.Create((byte)'0');
        var digits = Vector128.LessThanOrEqual(s ^ zeros, Vector128.Create((byte)9));
        return Vector128.ConditionalSelect(Vector128.Equals(form, zeros), digits, Vector128.Equals(s, form)) == Vector128<byte>.AllBitsSet;
    }

    private static int Two(ReadOnlySpan<byte> s, int at) => ((s[at] - '0') * 10) + (s[at + 1] - '0');

    private static bool IsDay(ReadOnlySpan<byte> s)
    {
        int year = (Two(s, 0) * 100) + Two(s, 2), month = Two(s, 5), day = Two(s, 8);
        return year >= 1 && month is >= 1 and <= 12 && day >= 1 && (day <= 28 || day <= DateTime.DaysInMonth(year, month));
    }
}

internal sealed class FlagForm() : ValueForm("flag", "`true` or `false`")
{
    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) =>
        nodes[index].Kind is Lj1Kind.True or Lj1Kind.False;

    internal override int Measure(ReadOnlySpan<byte> line, int at, out long integer)
    {
        integer = 0;
        return line[at..].StartsWith("true"u8) ? 4 : line[at..].StartsWith("false"u8) ? 5 : -1;
    }
}

internal sealed class IntegerForm(string name, string rule, long min, long max, bool powerOfTwo = false) : PlainForm(name, rule, Lj1Kind.Integer)
{
    internal override int Measure(ReadOnlySpan<byte> line, int at, out long integer)
    {
        integer = 0;
        int digits = at + (at < line.Length && line[at] == '-' ? 1 : 0), end = digits;
        while (end < line.Length && end - digits <= 16 && line[end] is >= (byte)'0' and <= (byte)'9')
        {
            integer = unchecked((integer * 10) + (line[end++] - '0')); // 17 digits at most
        }

        bool canonical = end > digits && (line[digits] != '0' || end == at + 1) && integer <= LedgerFormat.MaxInteger;
        integer = digits > at ? -integer : integer;
        return canonical && integer >= min && integer <= max && !(powerOfTwo && (integer & (integer - 1)) != 0) ? end - at : -1;
    }

    internal override bool Begins(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty || (min < 0 && text.SequenceEqual("-"u8)))
        {
            return true;
        }

        for (long power = min; powerOfTwo && power <= max; power *= 2)
        {
            if (System.Text.Encoding.ASCII.GetBytes(power.ToString(System.Globalization.CultureInfo.InvariantCulture)).AsSpan().StartsWith(text))
            {
                return true;
            }
        }

        return !powerOfTwo && Measure(text, 0, out _) == text.Length;
    }
}

internal sealed class ChoiceForm(string[] words)
    : PlainForm(string.Join(" ", words.Select(w => $"`{w}`")), "one of the words listed", Lj1Kind.String)
{
    private readonly byte[][] choices = [.. words.Select(w => System.Text.Encoding.ASCII.GetBytes(w + "\""))];

    internal override int Measure(ReadOnlySpan<byte> line, int at, out long integer)
    {
        integer = 0;
        var rest = line[at..];
        foreach (byte[] choice in choices)
        {
            if (rest.StartsWith(choice))
            {
                return choice.Length - 1;
            }
        }

        return -1;
    }

    internal override bool Begins(ReadOnlySpan<byte> text)
    {
        foreach (byte[] choice in choices)
        {
            if (choice.AsSpan(0, choice.Length - 1).StartsWith(text))
            {
                return true;
            }
        }

        return false;
    }
}

internal sealed class ListForm(ValueForm element, int max) : ValueForm($"list of {element.Name}", $"array, 1 .. {max} elements")
{
    public ValueForm Element { get; } = element;

    public int Max => max;

    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index)
    {
        if (nodes[index].Kind != Lj1Kind.Array)
        {
            return false;
        }

        int elements = 0;
        for (int i = index + 1; i < nodes[index].Next; i = nodes[i].Next)
        {
            if (++elements > max || !Element.Accepts(line, nodes, i))
            {
                return false;
            }
        }

        return elements > 0;
    }
}
