using System.Text;
using System.Text.Unicode;

namespace Evident.Platform;

public enum UstarKind
{
    File, Directory,
}

/// <summary>A member of an archive; <c>Name</c> has no leading <c>./</c> and no trailing slash, and is empty for the archive's own folder.</summary>
public readonly record struct UstarMember(string Name, long Bytes, UstarKind Kind);

/// <summary>
/// Header blocks of POSIX ustar archives (IEEE Std 1003.1, pax, "ustar Interchange Format"), 512 bytes before each file's content, which is
/// padded with NUL to a multiple of 512. Sizes from 8 GiB on are written in base 256, as GNU and BSD tar do.
/// </summary>
public static class Ustar
{
    public const int BlockBytes = 512;

    /// <summary>Archives end with two blocks of NUL and are filled to a multiple of this.</summary>
    public const int RecordBytes = 20 * BlockBytes;

    private const int NameBytes = 100, PrefixBytes = 155, SizeAt = 124, SizeBytes = 12, TimeAt = 136, SumAt = 148, TypeAt = 156, MagicAt = 257, PrefixAt = 345;
    private const long MaxOctal = (1L << 33) - 1;

    /// <summary>Bytes of a file's content with its padding.</summary>
    public static long Padded(long bytes) => (bytes + BlockBytes - 1) / BlockBytes * BlockBytes;

    /// <summary>Fills the block for a regular file, mode 0644, owned by nobody in particular.</summary>
    /// <exception cref="ArgumentException">The name cannot be split into 155 and 100 bytes at a slash.</exception>
    public static void WriteHeader(Span<byte> block, string name, long bytes, long unixSeconds)
    {
        block[..BlockBytes].Clear();
        byte[] utf8 = Encoding.UTF8.GetBytes(name);
        int split = 0; // where the name field begins
        if (utf8.Length > NameBytes)
        {
            split = utf8.AsSpan(0, Math.Min(utf8.Length - 1, PrefixBytes + 1)).LastIndexOf((byte)'/') + 1;
            if (split < 2 || utf8.Length - split > NameBytes)
            {
                throw new ArgumentException($"the name '{name}' is too long for a ustar archive.", nameof(name));
            }

            utf8.AsSpan(0, split - 1).CopyTo(block[PrefixAt..]);
        }

        utf8.AsSpan(split).CopyTo(block);
        Octal(block.Slice(100, 8), 0x1A4 /* 0644 */);
        Octal(block.Slice(108, 8), 0);
        Octal(block.Slice(116, 8), 0);
        if (bytes <= MaxOctal)
        {
            Octal(block.Slice(SizeAt, SizeBytes), bytes);
        }
        else
        {
            block[SizeAt] = 0x80;
            System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(block.Slice(SizeAt + 4, 8), bytes);
        }

        Octal(block.Slice(TimeAt, 12), Math.Clamp(unixSeconds, 0, MaxOctal));
        block[TypeAt] = (byte)'0';
        "ustar\000"u8.CopyTo(block[MagicAt..]);
        block.Slice(SumAt, 8).Fill((byte)' ');
        Octal(block.Slice(SumAt, 7), Sum(block));
    }

    /// <summary>False with a sentence when the block is no header of a regular file or a directory with an inoffensive name.</summary>
    public static bool TryParse(ReadOnlySpan<byte> block, out UstarMember member, out string failure)
    {
        member = default;
        if (!TryNumber(block.Slice(SumAt, 8), out long sum) || sum != Sum(block))
        {
            failure = "its checksum is wrong.";
            return false;
        }

        var magic = block.Slice(MagicAt, 8);
        bool posix = magic.SequenceEqual("ustar\000"u8);
        if (!posix && !magic.SequenceEqual("ustar  \0"u8)) // what GNU tar writes when it needs none of its extensions
        {
            failure = "it is no ustar header.";
            return false;
        }

        UstarKind kind;
        switch (block[TypeAt])
        {
            case (byte)'0' or 0:
                kind = UstarKind.File;
                break;
            case (byte)'5':
                kind = UstarKind.Directory;
                break;
            default:
                failure = "it is neither for a regular file nor for a directory (links, devices and extended headers are refused; pack with tar --format=ustar).";
                return false;
        }

        if (!TryNumber(block.Slice(SizeAt, SizeBytes), out long bytes) || (kind == UstarKind.Directory && bytes != 0))
        {
            failure = "its size is no number.";
            return false;
        }

        if (!TryName(posix ? block.Slice(PrefixAt, PrefixBytes) : default, block[..NameBytes], kind, out string name))
        {
            failure = "its name is absolute, leads out of the archive, or holds control characters or backslashes.";
            return false;
        }

        failure = "";
        member = new UstarMember(name, bytes, kind);
        return true;
    }

    private static bool TryName(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> name, UstarKind kind, out string joined)
    {
        joined = "";
        prefix = Text(prefix);
        name = Text(name);
        if (!Utf8.IsValid(prefix) || !Utf8.IsValid(name))
        {
            return false;
        }

        string path = prefix.IsEmpty ? Encoding.UTF8.GetString(name) : $"{Encoding.UTF8.GetString(prefix)}/{Encoding.UTF8.GetString(name)}";
        path = path.StartsWith("./", StringComparison.Ordinal) ? path[2..] : path;
        if (kind == UstarKind.Directory)
        {
            path = path == "." ? "" : path.TrimEnd('/');
            if (path.Length == 0)
            {
                return true;
            }
        }

        foreach (char c in path)
        {
            if (char.IsControl(c) || c == '\\')
            {
                return false;
            }
        }

        foreach (string part in path.Split('/'))
        {
            if (part.Length == 0 || part == "." || part == "..")
            {
                return false;
            }
        }

        joined = path;
        return true;
    }

    private static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> field)
    {
        int end = field.IndexOf((byte)0);
        return end < 0 ? field : field[..end];
    }

    private static void Octal(Span<byte> field, long value)
    {
        string digits = Convert.ToString(value, 8).PadLeft(field.Length - 1, '0');
        Encoding.ASCII.GetBytes(digits, field);
        field[^1] = 0;
    }

    /// <summary>Octal digits, then NUL or spaces; or base 256, marked by the first bit.</summary>
    private static bool TryNumber(ReadOnlySpan<byte> field, out long value)
    {
        value = 0;
        if (field[0] == 0x80)
        {
            value = field.Length >= 8 ? System.Buffers.Binary.BinaryPrimitives.ReadInt64BigEndian(field[^8..]) : -1;
            return value >= 0 && field.Length > 8 && !field[1..^8].ContainsAnyExcept((byte)0);
        }

        int end = field.IndexOfAny((byte)0, (byte)' ');
        var digits = end < 0 ? field : field[..end];
        foreach (byte b in digits)
        {
            if (b is < (byte)'0' or > (byte)'7')
            {
                return false;
            }

            value = (value * 8) + (b - '0'); // 12 digits at most
        }

        return digits.Length > 0 && (end < 0 || !field[end..].ContainsAnyExcept((byte)0, (byte)' '));
    }

    private static long Sum(ReadOnlySpan<byte> block)
    {
        long sum = 8 * ' ';
        for (int i = 0; i < BlockBytes; i++)
        {
            sum += i is >= SumAt and < SumAt + 8 ? 0 : block[i];
        }

        return sum;
    }

    /// <summary>True for a block of NUL: two of them end an archive.</summary>
    public static bool IsEnd(ReadOnlySpan<byte> block) => !block.ContainsAnyExcept((byte)0);
}
