using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>The one-pass reader of entries against parser and schema, on entries of every type, whole and changed.</summary>
public class KnownShapesTests
{
    private const string TokenCharacters = "ABCXYZabcxyz0189._:/@#+-";

    [Fact]
    public void A_shape_that_was_learnt_is_read_with_the_same_members()
    {
        var random = new Random(5);
        var parser = new Lj1Parser();
        foreach (var type in EntryTypes.All)
        {
            var shapes = new KnownShapes();
            for (int i = 0; i < 12; i++)
            {
                byte[] line = Line(type, random);
                Assert.True(Judge(line, parser, out _), Encoding.UTF8.GetString(line));
                shapes.Learn(line, parser.Nodes, type);
                var members = default(EntryMembers);
                Assert.Same(type, shapes.Read(line, ref members));
                AssertSame(EntryMembers.In(line, parser.Nodes), members);
            }
        }
    }

    [Fact]
    public void What_it_reads_parser_and_schema_accept_as_well()
    {
        var random = new Random(6);
        var shapes = new KnownShapes();
        var parser = new Lj1Parser();
        var lines = new List<byte[]>();
        foreach (var type in EntryTypes.All)
        {
            for (int i = 0; i < 6; i++)
            {
                byte[] line = Line(type, random);
                Assert.True(Judge(line, parser, out _));
                shapes.Learn(line, parser.Nodes, type);
                lines.Add(line);
            }
        }

        int read = 0, refused = 0;
        for (int i = 0; i < 60_000; i++)
        {
            byte[] changed = Change(lines[random.Next(lines.Count)], lines, random);
            var members = default(EntryMembers);
            bool accepted = Judge(changed, parser, out var type);
            if (shapes.Read(changed, ref members) is { } found)
            {
                Assert.True(accepted && ReferenceEquals(found, type), Encoding.Latin1.GetString(changed));
                AssertSame(EntryMembers.In(changed, parser.Nodes), members);
                read++;
            }

            refused += accepted ? 0 : 1;
        }

        Assert.InRange(read, 1_000, 60_000);
        Assert.InRange(refused, 1_000, 60_000);
    }

    [Fact]
    public void It_learns_no_more_than_it_has_room_for()
    {
        var random = new Random(7);
        var shapes = new KnownShapes();
        var parser = new Lj1Parser();
        int read = 0;
        for (int i = 0; i < 4_000; i++)
        {
            var type = EntryTypes.All[i % EntryTypes.All.Count];
            byte[] line = Line(type, random);
            Assert.True(Judge(line, parser, out _));
            shapes.Learn(line, parser.Nodes, type);
            var members = default(EntryMembers);
            read += shapes.Read(line, ref members) is null ? 0 : 1;
        }

        Assert.InRange(read, 200, 3_999); // the last ones found no room
    }

    [Fact]
    public void No_string_of_an_entry_holds_what_shows_where_members_begin()
    {
        var random = new Random(8);
        int strings = 0;
        foreach (var form in EntryTypes.All.SelectMany(t => Plain(t.Shape)).Distinct())
        {
            string value = Text(form, random);
            if (value[0] != '"')
            {
                continue;
            }

            strings++;
            byte[] line = Encoding.UTF8.GetBytes(value);
            Assert.Equal(line.Length - 2, form.Measure(line, 1, out _));
            foreach (byte c in "{}[],\"\\"u8)
            {
                for (int at = 1; at < line.Length - 1; at++)
                {
                    byte[] changed = [.. line];
                    changed[at] = c;
                    Assert.NotEqual(line.Length - 2, form.Measure(changed, 1, out _));
                }
            }
        }

        Assert.InRange(strings, 30, 1_000);
    }

    private static IEnumerable<ValueForm> Plain(ValueForm form) => form switch
    {
        EntryShape shape => shape.Fields.SelectMany(f => Plain(f.Form)),
        ListForm list => Plain(list.Element),
        _ => [form],
    };

    private static bool Judge(byte[] line, Lj1Parser parser, out EntryType? type)
    {
        bool accepted = parser.Parse(line) == Lj1Error.None && EntrySchema.Check(line, parser) is null;
        type = accepted ? EntrySchema.Find(parser.Text(line, "type"u8)) : null;
        return accepted;
    }

    private static void AssertSame(in EntryMembers expected, in EntryMembers found)
    {
        foreach (var member in Enum.GetValues<EntryMember>())
        {
            Assert.Equal(expected.Of(member), found.Of(member));
        }
    }

    private static byte[] Change(byte[] line, List<byte[]> others, Random random)
    {
        int at = random.Next(line.Length);
        byte[] other = others[random.Next(others.Count)];
        int from = random.Next(other.Length), to = Math.Min(other.Length, from + random.Next(40));
        return random.Next(6) switch
        {
            0 => [.. line[..at], (byte)random.Next(256), .. line[(at + 1)..]],
            1 => [.. line[..at], (byte)"0189azAZ\"\\{}[],:-_. tf"[random.Next(22)], .. line[(at + 1)..]],
            2 => [.. line[..at], (byte)TokenCharacters[random.Next(TokenCharacters.Length)], .. line[at..]],
            3 => [.. line[..at], .. line[(at + 1)..]],
            4 => [.. line[..at], .. other[from..to], .. line[at..]],
            _ => [.. line[..at], .. line[Math.Min(line.Length, at + random.Next(60))..]],
        };
    }

    private static byte[] Line(EntryType type, Random random)
    {
        bool scoped = random.Next(2) == 0;
        return Encoding.UTF8.GetBytes(Text(type.Shape, random, f => f.Name switch
        {
            "type" => '"' + type.Name + '"',
            "scope" or "scope_seq" => scoped ? Text(f.Form, random) : null,
            _ => f.Required || random.Next(4) > 0 ? Text(f.Form, random) : null,
        }));
    }

    private static string Text(EntryShape shape, Random random, Func<EntryField, string?> value) => "{" + string.Join(',', shape.Fields
        .OrderBy(f => f.Name, StringComparer.Ordinal).Select(f => (f.Name, Value: value(f))).Where(f => f.Value is not null).Select(f => $"\"{f.Name}\":{f.Value}")) + "}";

    private static string Text(ValueForm form, Random random) => form switch
    {
        EntryShape shape => Text(shape, random, f => f.Required || random.Next(3) > 0 ? Text(f.Form, random) : null),
        ListForm list => "[" + string.Join(',', Enumerable.Range(0, random.Next(1, 4)).Select(_ => Text(list.Element, random))) + "]",
        ChoiceForm => '"' + form.Name.Split(' ')[random.Next(form.Name.Split(' ').Length)].Trim('`') + '"',
        FlagForm => random.Next(2) == 0 ? "true" : "false",
        _ => form.Name switch
        {
            "count" => $"{random.NextInt64(LedgerFormat.MaxInteger) >> random.Next(53)}",
            "ordinal" => $"{1 + (random.NextInt64(LedgerFormat.MaxInteger) >> random.Next(53))}",
            "signed" => $"{(random.NextInt64(LedgerFormat.MaxInteger) >> random.Next(53)) * (random.Next(2) == 0 ? 1 : -1)}",
            "one" => "1",
            "size" => $"{1L << random.Next(5, 40)}",
            "name" => '"' + Random(random, TokenCharacters, random.Next(1, 129)) + '"',
            "code" => '"' + Random(random, "abcxyz0189._-", random.Next(1, 65)) + '"',
            "hash" => $"\"sha256:{Random(random, "0123456789abcdef", 64)}\"",
            "commitment" => $"\"hmac-sha256:{Random(random, "0123456789abcdef", 64)}\"",
            "public key" => $"\"ed25519:{Random(random, "0123456789abcdef", 64)}\"",
            "origin" => $"\"evident.local/{Random(random, "0123456789abcdef", 32)}\"",
            "hex8" or "hex16" or "hex32" => '"' + Random(random, "0123456789abcdef", int.Parse(form.Name[3..], null)) + '"',
            "vault ref" => $"\"vr_{Random(random, "01234567", 1)}{Random(random, "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 25)}\"",
            "time" => $"\"2026-{random.Next(1, 13):D2}-{random.Next(1, 29):D2}T{random.Next(24):D2}:{random.Next(60):D2}:{random.Next(60):D2}.{random.Next(1000):D3}Z\"",
            "day" => $"\"2026-{random.Next(1, 13):D2}-{random.Next(1, 29):D2}\"",
            _ => throw new InvalidOperationException($"no value is known for the form '{form.Name}'."),
        },
    };

    private static string Random(Random random, string characters, int length) => string.Create(length, (random, characters), static (text, from) =>
    {
        for (int i = 0; i < text.Length; i++)
        {
            text[i] = from.characters[from.random.Next(from.characters.Length)];
        }
    });
}
