using System.Runtime.CompilerServices;
using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>
/// docs/ledger-format.md and docs/vectors/ledger-tiny say what the code does. Set EVIDENT_WRITE_DOCS=1 to write them anew after a
/// change of the format, which a reviewer then sees as a change of these files.
/// </summary>
public class LedgerFormatDocumentTests
{
    private static readonly bool Writing = Environment.GetEnvironmentVariable("EVIDENT_WRITE_DOCS") == "1";

    private static string Docs([CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "..", "..", "..", "docs"));

    private static void Section(string name, string expected)
    {
        string path = Path.Combine(Docs(), "ledger-format.md");
        string text = File.ReadAllText(path);
        string begin = $"<!-- {name}: begin (written from the code) -->\n", end = $"<!-- {name}: end -->";
        int from = text.IndexOf(begin, StringComparison.Ordinal) + begin.Length, to = text.IndexOf(end, StringComparison.Ordinal);
        if (Writing)
        {
            File.WriteAllText(path, text[..from] + expected + text[to..]);
            return;
        }

        Assert.Equal(expected, text[from..to]);
    }

    [Fact]
    public void Every_type_and_member_stands_in_the_document()
    {
        var text = new StringBuilder("\n| form | rule |\n|---|---|\n");
        ValueForm[] forms =
        [
            ValueForm.Token, ValueForm.Code, ValueForm.Hash, ValueForm.Commitment, ValueForm.PublicKey, ValueForm.Origin, ValueForm.Hex8, ValueForm.Hex16,
            ValueForm.Hex32, ValueForm.VaultRef, ValueForm.Time, ValueForm.Day, ValueForm.Flag, ValueForm.Count, ValueForm.Ordinal, ValueForm.Signed,
            ValueForm.One, ValueForm.Size,
        ];
        foreach (var form in forms)
        {
            text.Append($"| {form.Name} | {form.Rule} |\n");
        }

        text.Append("| list of X | array of 1 or more X; the limit stands with the member |\n| `a` `b` | one of the words listed |\n| object X | closed object X |\n");
        text.Append("\nAn r marks a required member, an o an optional one. \"log\" marks those that the log assigns when it appends.\n");
        Table(text, "### Members of every entry", EntryShapes.Common);
        Table(text, "### Run: members of every type marked \"run\"", EntryShapes.Context);
        Table(text, "### Act: members of every type marked \"act\"", EntryShapes.Admin);
        var shapes = new SortedDictionary<string, EntryShape>(StringComparer.Ordinal);
        foreach (var field in EntryShapes.Common.Concat(EntryShapes.Context).Concat(EntryShapes.Admin).Concat(EntryTypes.All.SelectMany(t => t.Own)))
        {
            Collect(field.Form, shapes);
        }

        foreach (var type in EntryTypes.All)
        {
            bool run = EntryShapes.Context.All(c => type.Shape.Fields.Contains(c)), act = EntryShapes.Admin.All(a => type.Shape.Fields.Contains(a));
            Table(text, $"### `{type.Name}`{(run ? " (run)" : act ? " (act)" : "")}\n\n{type.Meaning[..1].ToUpperInvariant()}{type.Meaning[1..]}.",
                [.. type.Own.Where(f => !EntryShapes.Context.Contains(f) && !EntryShapes.Admin.Contains(f))]);
        }

        foreach (var shape in shapes.Values)
        {
            Table(text, $"### Object {shape.Name}", shape.Fields);
        }

        Section("tables", text.Append('\n').ToString());
    }

    private static void Collect(ValueForm form, SortedDictionary<string, EntryShape> shapes)
    {
        if (form is EntryShape shape)
        {
            Assert.True(!shapes.TryGetValue(shape.Name, out var same) || ReferenceEquals(same, shape), $"two objects are named {shape.Name}");
            if (shapes.TryAdd(shape.Name, shape))
            {
                foreach (var field in shape.Fields)
                {
                    Collect(field.Form, shapes);
                }
            }
        }
    }

    private static void Table(StringBuilder text, string heading, IReadOnlyList<EntryField> fields)
    {
        if (fields.Count == 0)
        {
            text.Append($"\n{heading} No member of its own.\n");
            return;
        }

        text.Append($"\n{heading}\n\n| member | | form | meaning |\n|---|---|---|---|\n");
        foreach (var field in fields)
        {
            string form = field.Form is EntryShape shape ? $"object {shape.Name}"
                : field.Form.Name.StartsWith("list of", StringComparison.Ordinal) ? $"{field.Form.Name} ({field.Form.Rule})" : field.Form.Name;
            text.Append($"| `{field.Name}` | {(field.Required ? 'r' : 'o')}{(field.Assigned ? " log" : "")} | {form} | {field.Meaning} |\n");
        }
    }

    [Fact]
    public void Every_type_takes_an_entry_with_all_its_members()
    {
        foreach (var type in EntryTypes.All)
        {
            var draft = EntryDraft.Create(type.Name, "id-1", b => Fill(b, type.Shape.Fields, top: true));
            Assert.Equal(type.Name, draft.Type);
        }
    }

    private static void Fill(Lj1ObjectBuilder builder, IEnumerable<EntryField> fields, bool top = false)
    {
        foreach (var field in fields)
        {
            if (top && (field.Assigned || field.Name is "type" or "id" or "v"))
            {
                continue;
            }

            string hex = new('a', 64);
            _ = field.Form switch
            {
                EntryShape shape => builder.Set(field.Name, inner => Fill(inner, shape.Fields)),
                ListForm => builder.Set(field.Name, ["one", "two"]),
                FlagForm => builder.Set(field.Name, true),
                IntegerForm => builder.Set(field.Name, field.Form == ValueForm.Size ? 64 : 1),
                ChoiceForm choice => builder.Set(field.Name, choice.Name.Split('`')[1]),
                _ => builder.Set(field.Name, field.Form.Name switch
                {
                    "hash" => "sha256:" + hex,
                    "commitment" => "hmac-sha256:" + hex,
                    "public key" => "ed25519:" + hex,
                    "origin" => "evident.local/" + hex[..32],
                    "hex8" => hex[..8],
                    "hex16" => hex[..16],
                    "hex32" => hex[..32],
                    "vault ref" => "vr_01HZX0000000000000000000A0",
                    "time" => "2026-05-06T06:00:08.112Z",
                    "day" => "2026-05-06",
                    _ => "name",
                }),
            };
        }
    }

    [Fact]
    public void The_tiny_ledger_is_made_again_byte_for_byte()
    {
        using var scratch = new LedgerScratch();
        using (var log = scratch.Open())
        {
            scratch.Clock.MonotonicMillis += 1000;
            log.Append([LedgerScratch.Call(1, "00112233445566778899aabbccddeeff"), LedgerScratch.Short(2)]);
            log.Rotate("operator");
            log.Append([LedgerScratch.Call(3, "00112233445566778899aabbccddeeff")]);
            log.Close();
        }

        string target = Path.Combine(Docs(), "vectors", "ledger-tiny");
        string[] files = [LedgerFormat.SegmentName(0), "genesis.note", "head.a", "head.b", "checkpoints/" + LedgerFormat.PublishedName(1), "checkpoints/" + LedgerFormat.PublishedName(5)];
        foreach (string file in files)
        {
            string path = Path.Combine(target, file);
            byte[] made = File.ReadAllBytes(Path.Combine(scratch.Ledger, file));
            if (Writing)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                File.WriteAllBytes(path, made);
            }

            Assert.Equal(made, File.ReadAllBytes(path));
        }

        var report = LedgerVerifier.Verify(new VerifyRequest { Path = target, KnownHeads = [Path.Combine(target, "head.b")] });
        Assert.True(report.ExitCode == 0, report.ToText());
        Section("vectors", Describe(scratch, report));
    }

    private static string Describe(LedgerScratch scratch, VerifyReport report)
    {
        var text = new StringBuilder();
        text.Append("\n`docs/vectors/ledger-tiny/` is a complete ledger directory: identity seed 00 01 .. 1f, seed of epoch 1 20 .. 3f, of epoch 2 40 .. 5f,\n");
        text.Append("four groups (genesis; two entries; rotation; one entry). `evident verify docs/vectors/ledger-tiny` exits with 10, with\n`--known-head docs/vectors/ledger-tiny/head.b` with 0.\n\n");
        text.Append($"    origin        {report.Origin}\n    identity key  {report.IdentityKey}\n");
        foreach (var epoch in report.Epochs)
        {
            text.Append($"    epoch {epoch.Number}       from entry {epoch.FirstSeq}, {epoch.PublicKey}\n");
        }

        text.Append('\n');
        foreach (var line in LedgerReader.Read(scratch.Ledger, 0, 100, report.Entries))
        {
            text.Append($"    entry {line.Seq}  {line.Json.Length,4} bytes  this_hash {line.ThisHash}\n");
        }

        text.Append('\n');
        foreach (long size in (long[])[1, 3, 4, 5])
        {
            string note = LedgerReader.CheckpointAt(scratch.Ledger, size)!;
            text.Append($"    size {size}  root {note.Split('\n')[2]}\n");
        }

        text.Append("\nThe last checkpoint line, and the published head of the same size:\n\n");
        text.Append("    ").Append(File.ReadAllLines(scratch.Segments[0])[^1]).Append("\n\n");
        foreach (string line in report.NewestHead.TrimEnd('\n').Split('\n'))
        {
            text.Append(line.Length == 0 ? "\n" : $"    {line}\n");
        }

        return text.Append('\n').ToString();
    }
}
