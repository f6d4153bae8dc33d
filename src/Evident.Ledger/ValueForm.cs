using System.Buffers;

namespace Evident.Ledger;

/// <summary>What one member of an entry may hold. <see cref="Name"/> and <see cref="Rule"/> are the words of docs/ledger-format.md.</summary>
public abstract class ValueForm(string name, string rule)
{
    public string Name { get; } = name;

    public string Rule { get; } = rule;

    /// <summary>True when the value at <paramref name="index"/> of the tape has this form.</summary>
    internal abstract bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index);

    private static readonly SearchValues<byte> NameBytes =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@#+-"u8);
    private static readonly SearchValues<byte> CodeBytes = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789._-"u8);
    private static readonly SearchValues<byte> HexBytes = SearchValues.Create("0123456789abcdef"u8);
    private static readonly SearchValues<byte> CrockfordBytes = SearchValues.Create("0123456789ABCDEFGHJKMNPQRSTVWXYZ"u8);

    public static readonly ValueForm Token = new TextForm("name", "`[A-Za-z0-9._:/@#+-]{1,128}`", static s =>
        s.Length is >= 1 and <= 128 && !s.ContainsAnyExcept(NameBytes));

    public static readonly ValueForm Code = new TextForm("code", "`[a-z0-9._-]{1,64}`", static s =>
        s.Length is >= 1 and <= 64 && !s.ContainsAnyExcept(CodeBytes));

    public static readonly ValueForm Hash = Prefixed("hash", "sha256:", 64);
    public static readonly ValueForm Commitment = Prefixed("commitment", "hmac-sha256:", 64);
    public static readonly ValueForm PublicKey = Prefixed("public key", "ed25519:", 64);
    public static readonly ValueForm Origin = Prefixed("origin", "evident.local/", 32);
    public static readonly ValueForm Hex8 = Prefixed("hex8", "", 8);
    public static readonly ValueForm Hex16 = Prefixed("hex16", "", 16);
    public static readonly ValueForm Hex32 = Prefixed("hex32", "", 32);

    public static readonly ValueForm VaultRef = new TextForm("vault ref", "`vr_` + 26 characters of Crockford base 32, the first 0-7", static s =>
        s.Length == 29 && s.StartsWith("vr_"u8) && s[3] <= '7' && !s[3..].ContainsAnyExcept(CrockfordBytes));

    public static readonly ValueForm Time = new TextForm("time", "`YYYY-MM-DDThh:mm:ss.mmmZ`, an existing UTC instant", static s =>
        s.Length == 24 && s[10] == 'T' && s[13] == ':' && s[16] == ':' && s[19] == '.' && s[23] == 'Z' && IsDay(s[..10])
        && Number(s, 11, 2) is >= 0 and < 24 && Number(s, 14, 2) is >= 0 and < 60 && Number(s, 17, 2) is >= 0 and < 60
        && Number(s, 20, 3) >= 0);

    public static readonly ValueForm Day = new TextForm("day", "`YYYY-MM-DD`, an existing UTC day", static s => s.Length == 10 && IsDay(s));

    public static readonly ValueForm Flag = new FlagForm();
    public static readonly ValueForm Count = new IntegerForm("count", "integer, 0 .. 2^53-1", static n => n >= 0);
    public static readonly ValueForm Ordinal = new IntegerForm("ordinal", "integer, 1 .. 2^53-1", static n => n >= 1);
    public static readonly ValueForm Signed = new IntegerForm("signed", "integer, -(2^53-1) .. 2^53-1", static _ => true);
    public static readonly ValueForm One = new IntegerForm("one", "the integer 1", static n => n == 1);

    public static readonly ValueForm Size = new IntegerForm(
        "size", "bytes, rounded up to a power of two, at least 32", static n => n >= 32 && (n & (n - 1)) == 0);

    public static ValueForm OneOf(params string[] words) => new ChoiceForm(words);

    public static ValueForm ListOf(ValueForm element, int max) => new ListForm(element, max);

    /// <summary>The size bucket that stands for a length: the next power of two, at least 32.</summary>
    public static long Bucket(long bytes) =>
        bytes <= 32 ? 32 : (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)bytes);

    private static TextForm Prefixed(string name, string prefix, int digits)
    {
        byte[] head = System.Text.Encoding.ASCII.GetBytes(prefix);
        return new TextForm(name, $"`{prefix}` + {digits} lower-case hex digits".Replace("`` + ", "", StringComparison.Ordinal), s =>
            s.Length == head.Length + digits && s.StartsWith(head) && !s[head.Length..].ContainsAnyExcept(HexBytes));
    }

    private static int Number(ReadOnlySpan<byte> s, int start, int digits)
    {
        int value = 0;
        foreach (byte b in s.Slice(start, digits))
        {
            if (b is < (byte)'0' or > (byte)'9')
            {
                return -1;
            }

            value = (value * 10) + (b - '0');
        }

        return value;
    }

    private static bool IsDay(ReadOnlySpan<byte> s)
    {
        int year = Number(s, 0, 4), month = Number(s, 5, 2), day = Number(s, 8, 2);
        return s[4] == '-' && s[7] == '-' && year >= 1 && month is >= 1 and <= 12 && day >= 1 && day <= DateTime.DaysInMonth(year, month);
    }
}

internal delegate bool BytesTest(ReadOnlySpan<byte> text);

/// <summary>A string; no form allows a character that LJ-1 would escape.</summary>
internal sealed class TextForm(string name, string rule, BytesTest test) : ValueForm(name, rule)
{
    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) =>
        nodes[index].Kind == Lj1Kind.String && test(line.Slice(nodes[index].Start, nodes[index].Length));
}

internal sealed class FlagForm() : ValueForm("flag", "`true` or `false`")
{
    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) =>
        nodes[index].Kind is Lj1Kind.True or Lj1Kind.False;
}

internal sealed class IntegerForm(string name, string rule, Func<long, bool> test) : ValueForm(name, rule)
{
    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) =>
        nodes[index].Kind == Lj1Kind.Integer && test(nodes[index].Integer);
}

internal sealed class ChoiceForm(string[] words)
    : ValueForm(string.Join(" ", words.Select(w => $"`{w}`")), "one of the words listed")
{
    private readonly byte[][] choices = [.. words.Select(System.Text.Encoding.ASCII.GetBytes)];

    internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index)
    {
        if (nodes[index].Kind != Lj1Kind.String)
        {
            return false;
        }

        var text = line.Slice(nodes[index].Start, nodes[index].Length);
        foreach (byte[] choice in choices)
        {
            if (text.SequenceEqual(choice))
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
