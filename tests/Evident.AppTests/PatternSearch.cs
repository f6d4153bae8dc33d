using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace Evident.AppTests;

/// <summary>Finds any of many byte strings in files, in one pass: the first eight bytes of each are looked up at every offset.</summary>
public static class PatternSearch
{
    public sealed record Pattern(string Label, byte[] Bytes);

    /// <summary>The disguises in which a text may lie on disk: raw, JSON-escaped, base64 at each alignment, hex, UTF-16.</summary>
    public static IEnumerable<Pattern> FormsOf(string text)
    {
        var raw = Encoding.UTF8.GetBytes(text);
        yield return new($"raw «{text}»", raw);
        var escaped = JsonSerializer.Serialize(text)[1..^1];
        if (escaped != text) yield return new($"JSON «{text}»", Encoding.UTF8.GetBytes(escaped));
        var relaxed = JsonSerializer.Serialize(text, Relaxed)[1..^1];
        if (relaxed != text && relaxed != escaped) yield return new($"JSON «{text}»", Encoding.UTF8.GetBytes(relaxed));
        yield return new($"hex «{text}»", Encoding.ASCII.GetBytes(Convert.ToHexStringLower(raw)));
        yield return new($"HEX «{text}»", Encoding.ASCII.GetBytes(Convert.ToHexString(raw)));
        yield return new($"UTF-16 «{text}»", Encoding.Unicode.GetBytes(text));
        yield return new($"UTF-16BE «{text}»", Encoding.BigEndianUnicode.GetBytes(text));
        for (var before = 0; before < 3; before++)
        {
            // Whole groups of three bytes inside the text read the same whatever stands around it.
            var skip = (3 - before) % 3;
            var length = (raw.Length - skip) / 3 * 3;
            if (length < 9) continue;
            var encoded = Convert.ToBase64String(raw, skip, length);
            yield return new($"base64 «{text}»", Encoding.ASCII.GetBytes(encoded));
            if (encoded.AsSpan().IndexOfAny('+', '/') >= 0) yield return new($"base64url «{text}»", Encoding.ASCII.GetBytes(encoded.Replace('+', '-').Replace('/', '_')));
        }
    }

    /// <summary>A number as varint, little and big endian.</summary>
    public static IEnumerable<Pattern> FormsOf(long number)
    {
        var eight = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(eight, number);
        yield return new($"int64 LE {number}", eight);
        var big = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(big, number);
        yield return new($"int64 BE {number}", big);
        var real = new byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(real, number);
        yield return new($"double {number}", real);
        var varint = new Proto().Varint(1, (ulong)number).ToArray()[1..];
        if (varint.Length >= 8) yield return new($"varint {number}", varint);
    }

    /// <summary>One line per hit: file, offset, which pattern, and some bytes around it.</summary>
    public static List<string> InDirectory(string directory, IReadOnlyList<Pattern> patterns) => new Index(patterns).Search(
        TestDirectory.FilesOf(directory).Where(f => new FileInfo(f).Length >= 8).Select(f =>
        {
            using var stream = new FileStream(f, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var memory = new MemoryStream();
            stream.CopyTo(memory);
            return (Path.GetRelativePath(directory, f), memory.ToArray());
        }));

    public static List<string> InText(string name, string text, IReadOnlyList<Pattern> patterns) => In([(name, Encoding.UTF8.GetBytes(text))], patterns);

    public static List<string> In(IEnumerable<(string Name, byte[] Bytes)> contents, IReadOnlyList<Pattern> patterns) => new Index(patterns).Search(contents);

    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private sealed class Index
    {
        private readonly Dictionary<ulong, List<Pattern>> byHead = [];
        private readonly bool[] maybe = new bool[1 << 24];

        public Index(IReadOnlyList<Pattern> patterns)
        {
            foreach (var p in patterns)
            {
                if (p.Bytes.Length < 8) throw new ArgumentException($"{p.Label} has fewer than eight bytes.");
                var head = BinaryPrimitives.ReadUInt64LittleEndian(p.Bytes);
                if (!byHead.TryGetValue(head, out var list)) byHead[head] = list = [];
                list.Add(p);
                maybe[Slot(head)] = true;
            }
        }

        public List<string> Search(IEnumerable<(string Name, byte[] Bytes)> files)
        {
            var hits = new List<string>();
            foreach (var (name, bytes) in files)
                for (var i = 0; i + 8 <= bytes.Length; i++)
                {
                    var head = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(i));
                    if (!maybe[Slot(head)] || !byHead.TryGetValue(head, out var list)) continue;
                    foreach (var p in list)
                        if (bytes.AsSpan(i).StartsWith(p.Bytes))
                            hits.Add($"{name} at {i}: {p.Label} in …{Show(bytes.AsSpan(Math.Max(0, i - 60), Math.Min(bytes.Length, i + 60 + p.Bytes.Length) - Math.Max(0, i - 60)))}…");
                }
            return hits;
        }

        private static uint Slot(ulong head) => unchecked((uint)((head * 0x9E3779B97F4A7C15UL) >> 40));

        private static string Show(ReadOnlySpan<byte> bytes)
        {
            var text = new StringBuilder();
            foreach (var b in bytes) text.Append(b is >= 0x20 and < 0x7f ? (char)b : '.');
            return text.ToString();
        }
    }
}
