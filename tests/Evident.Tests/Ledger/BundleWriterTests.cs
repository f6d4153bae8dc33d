using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>What an export writes, read with other readers than ours where there are any.</summary>
public class BundleWriterTests
{
    [Fact]
    public void A_whole_bundle_has_the_ledger_its_tiles_and_a_manifest_of_every_file()
    {
        using var ledger = new BundleScratch();
        long size = ledger.Size;
        var files = BundleScratch.FilesOf(ledger.Export("whole"));
        using var manifest = JsonDocument.Parse(files["MANIFEST.json"]);
        var root = manifest.RootElement;
        Assert.Equal((0, size, 0, size), (root.GetProperty("from").GetInt64(), root.GetProperty("to").GetInt64(), root.GetProperty("withheld").GetInt64(),
            root.GetProperty("head").GetProperty("size").GetInt64()));
        var listed = root.GetProperty("files").EnumerateArray().Select(f => f.GetProperty("name").GetString()!).ToArray();
        Assert.Equal(files.Keys.Where(n => !n.StartsWith("MANIFEST", StringComparison.Ordinal)), listed);
        foreach (var file in root.GetProperty("files").EnumerateArray())
        {
            byte[] content = files[file.GetProperty("name").GetString()!];
            Assert.Equal(content.Length, file.GetProperty("bytes").GetInt32());
            Assert.Equal("sha256:" + Convert.ToHexStringLower(SHA256.HashData(content)), file.GetProperty("sha256").GetString());
        }

        // The segments are those of the ledger, byte for byte, up to the published size.
        byte[] original = [.. ledger.Scratch.Segments.SelectMany(File.ReadAllBytes)];
        byte[] copied = [.. files.Where(f => f.Key.EndsWith(".jsonl", StringComparison.Ordinal)).SelectMany(f => f.Value)];
        Assert.Equal(original, copied);
        Assert.Equal(ledger.Scratch.Segments.Select(Path.GetFileName), files.Keys.Where(n => n.EndsWith(".jsonl", StringComparison.Ordinal)).Select(Path.GetFileName));

        // The entry bundles hold its entries.
        byte[] entries = [.. LedgerReader.Read(ledger.Scratch.Ledger, 0, int.MaxValue, size).SelectMany(l => (byte[])[(byte)(l.Json.Length >> 8), (byte)(l.Json.Length & 255), .. l.Json.Span])];
        Assert.Equal(entries, files.Where(f => f.Key.StartsWith("tile/entries/", StringComparison.Ordinal)).SelectMany(f => f.Value));
        Assert.Equal(LedgerReader.NewestPublished(ledger.Scratch.Ledger), Encoding.UTF8.GetString(files["checkpoint"]));
        Assert.Equal(files["checkpoint"], files["ledger/head.a"]);

        string[] epochs = Encoding.UTF8.GetString(files["epochs.txt"]).TrimEnd('\n').Split('\n');
        Assert.Equal(ledger.Log.Epoch, epochs.Length);
        long next = 0;
        for (int i = 0; i < epochs.Length; i++)
        {
            string[] columns = epochs[i].Split(' ');
            Assert.Equal(5, columns.Length);
            Assert.Equal(((i + 1).ToString(System.Globalization.CultureInfo.InvariantCulture), next), (columns[0], long.Parse(columns[1], System.Globalization.CultureInfo.InvariantCulture)));
            next = long.Parse(columns[2], System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal($"{ledger.Log.Origin}/epoch/{i + 1}", NoteKey.ParseVerifierKey(columns[3])!.Name);
            Assert.Equal("file", columns[4]);
        }

        Assert.Equal(size, next);
        Assert.Contains($"\nlog {ledger.Log.IdentityVerifierKey}\nquorum none\n", Encoding.UTF8.GetString(files["policy.txt"]), StringComparison.Ordinal);
        Assert.True(SignedNote.TryParse(files["MANIFEST.note"], out var note, out _));
        Assert.True(note.IsSignedBy(NoteKey.ParseVerifierKey(ledger.Log.IdentityVerifierKey)!));
        Assert.Equal(
            $"evident export manifest v1\n{ledger.Log.Origin}\nsha256:{Convert.ToHexStringLower(SHA256.HashData(files["MANIFEST.json"]))}\n", Encoding.UTF8.GetString(note.Text));
    }

    [Fact]
    public void An_archive_holds_the_same_files_as_a_directory()
    {
        using var ledger = new BundleScratch(groups: 90);
        foreach (var (from, tenant) in ((long, string?)[])[(0, null), (100, null), (0, BundleScratch.Acme)])
        {
            string name = $"{from}-{tenant}";
            using var directory = BundleWriter.Write(Path.Combine(ledger.Scratch.Data, name), ledger.Request(from, tenant: tenant), CancellationToken.None);
            directory.Complete(ledger.Log.SignManifest(directory.ManifestSha256));
            var request = ledger.Request(from, tenant: tenant);
            using var archive = BundleWriter.Write(Path.Combine(ledger.Scratch.Data, name + ".tar"), request, CancellationToken.None);
            archive.Complete(ledger.Log.SignManifest(archive.ManifestSha256));

            var files = BundleScratch.FilesOf(Path.Combine(ledger.Scratch.Data, name));
            var archived = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
            using var reader = new TarReader(File.OpenRead(Path.Combine(ledger.Scratch.Data, name + ".tar")));
            while (reader.GetNextEntry() is { } entry)
            {
                Assert.Equal((TarEntryFormat.Ustar, TarEntryType.RegularFile), (entry.Format, entry.EntryType));
                var content = new MemoryStream();
                entry.DataStream?.CopyTo(content);
                archived.Add(entry.Name, content.ToArray());
            }

            Assert.Equal(files.Keys, archived.Keys);
            foreach (var (file, content) in files)
            {
                if (!file.StartsWith("MANIFEST", StringComparison.Ordinal)) // two exports have two ids
                {
                    Assert.Equal(content, archived[file]);
                }
            }

            // What our own reader of archives finds is the same again.
            Assert.True(TarFolder.TryOpen(Path.Combine(ledger.Scratch.Data, name + ".tar"), out var folder, out _));
            using (folder)
            {
                Assert.Equal(archived.Keys, Names(folder, ""));
                Assert.Equal(archived["checkpoint"], folder.Read("checkpoint", 1 << 16));
                Assert.Equal(Names(new DirectoryFolder(Path.Combine(ledger.Scratch.Data, name)), "ledger"), Names(folder, "ledger"));
                using var segment = folder.Within("ledger").Open(Path.GetFileName(archived.Keys.First(k => k.EndsWith(".jsonl", StringComparison.Ordinal))));
                byte[] head = new byte[20];
                Assert.Equal(20, segment.ReadAt(10, head));
                Assert.Equal(archived.First(k => k.Key.EndsWith(".jsonl", StringComparison.Ordinal)).Value[10..30], head);
            }
        }
    }

    private static List<string> Names(LedgerFolder folder, string inside)
    {
        var names = new List<string>();
        foreach (var item in folder.List(inside))
        {
            string name = inside.Length == 0 ? item.Name : $"{inside}/{item.Name}";
            names.AddRange(item.Kind == FolderItemKind.Folder ? Names(folder, name) : [name]);
        }

        names.Sort(StringComparer.Ordinal);
        return names;
    }

    [Fact]
    public void A_range_is_widened_to_whole_groups()
    {
        using var ledger = new BundleScratch();
        var groups = new List<(long First, long End)>();
        for (long next = 0; next < ledger.Size; next = groups[^1].End)
        {
            groups.Add(LedgerReader.GroupOf(ledger.Scratch.Ledger, next, ledger.Size));
            Assert.Equal(next, groups[^1].First);
        }

        int made = 0;
        foreach (var (first, end) in groups.Where(g => g.End - g.First > 2).Take(4))
        {
            using var bundle = BundleWriter.Write(Path.Combine(ledger.Scratch.Data, $"r{made++}"), ledger.Request(first + 1, end + 1), CancellationToken.None);
            Assert.Equal(first, bundle.From);
            Assert.Equal(groups.Single(g => g.First == end).End, bundle.To);
            Assert.Equal(0, bundle.Withheld);
        }

        foreach (var (first, end) in groups.Skip(3).Take(3))
        {
            using var bundle = BundleWriter.Write(Path.Combine(ledger.Scratch.Data, $"r{made++}"), ledger.Request(first, end), CancellationToken.None);
            Assert.Equal((first, end), (bundle.From, bundle.To));
        }
    }

    [Fact]
    public void A_tenants_bundle_holds_no_byte_of_another_tenants_entries()
    {
        using var ledger = new BundleScratch(groups: 120);
        var entries = LedgerReader.Read(ledger.Scratch.Ledger, 0, int.MaxValue, ledger.Size).Select(l => (l.Seq, Json: Encoding.UTF8.GetString(l.Json.Span))).ToArray();
        foreach (long from in (long[])[0, 150])
        {
            var files = BundleScratch.FilesOf(ledger.Export($"acme-{from}", from, tenant: BundleScratch.Acme));
            string all = string.Concat(files.Values.Select(Encoding.Latin1.GetString));
            Assert.DoesNotContain("globex", all, StringComparison.Ordinal);
            Assert.DoesNotContain("nobody", all, StringComparison.Ordinal);
            Assert.DoesNotContain(new string('b', 32), all, StringComparison.Ordinal); // the other tenant's scope
            Assert.DoesNotContain(files.Keys, n => n.StartsWith("tile/", StringComparison.Ordinal));

            using var manifest = JsonDocument.Parse(files["MANIFEST.json"]);
            long first = manifest.RootElement.GetProperty("from").GetInt64(), withheld = manifest.RootElement.GetProperty("withheld").GetInt64();
            string[] lines = [.. files.Where(f => f.Key.EndsWith(".jsonl", StringComparison.Ordinal)).SelectMany(f => Encoding.UTF8.GetString(f.Value).TrimEnd('\n').Split('\n'))
                .Where(l => !l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal))];
            Assert.Equal(ledger.Size - first, lines.Length);
            Assert.Equal(lines.Count(l => l.StartsWith("{\"withheld\"", StringComparison.Ordinal)), withheld);
            for (int i = 0; i < lines.Length; i++)
            {
                string json = entries[first + i].Json;
                bool shown = json.Contains("\"id\":\"acme-", StringComparison.Ordinal) || json.Contains("\"type\":\"ledger.", StringComparison.Ordinal);
                Assert.Equal(shown ? json : $"{{\"withheld\":\"sha256:{Convert.ToHexStringLower(Merkle.Leaf(Encoding.UTF8.GetBytes(json)))}\"}}", lines[i]);
            }
        }
    }

    [Fact]
    public void What_connects_a_part_with_the_whole_has_the_published_root()
    {
        using var ledger = new BundleScratch(groups: 120);
        var checkpoint = ledger.Log.Published!;
        foreach (long from in (long[])[0, 1, 2, 64, 101, 256, checkpoint.Size - 1])
        {
            foreach (long to in new HashSet<long> { from + 1, from + 40, checkpoint.Size })
            {
                if (to > checkpoint.Size)
                {
                    continue;
                }

                string path = ledger.Export($"p-{from}-{to}.tar", from, to, from == 0 ? BundleScratch.Acme : null);
                Assert.True(TarFolder.TryOpen(path, out var folder, out _));
                using (folder)
                {
                    var chain = new ControlChain(checkpoint.Size, checkpoint.Root);
                    Assert.True(RangeReader.TryRead(folder.Open("ledger/range.json"), chain.See, out var range, out string failure), failure);
                    Assert.Empty(chain.Findings);
                    Assert.Equal(range.From > 0 ? range.Epoch : 0, chain.Epoch);
                    Assert.Equal(range.From > 0 ? ledger.Log.Origin : "", chain.Origin);
                    var tree = MerkleFrontier.FromHashes(range.From, range.Left)!;
                    var entries = LedgerReader.Read(ledger.Scratch.Ledger, range.From, (int)(range.To - range.From), checkpoint.Size).ToArray();
                    foreach (var entry in entries)
                    {
                        tree.Append(Merkle.Leaf(entry.Json.Span));
                    }

                    var cover = LedgerRange.Cover(range.To, range.Size);
                    Assert.Equal(cover.Count, range.Right.Count);
                    for (int i = 0; i < cover.Count; i++)
                    {
                        tree.AppendSubtree(System.Numerics.BitOperations.Log2((ulong)cover[i].Count), range.Right[i]);
                    }

                    Assert.Equal(checkpoint.Root, tree.Root());
                    using var first = JsonDocument.Parse(entries[0].Json);
                    Assert.Equal(first.RootElement.GetProperty("integrity").GetProperty("prev_hash").GetString(), LedgerFormat.HashText(range.PrevHash));
                    Assert.Equal(first.RootElement.GetProperty("batch").GetInt64(), range.Batch);
                }
            }
        }
    }

    [Fact]
    public void What_cannot_be_exported_is_refused_with_one_sentence_and_leaves_nothing()
    {
        using var ledger = new BundleScratch(groups: 20);
        long size = ledger.Size;
        string[] before = Directory.GetFileSystemEntries(ledger.Scratch.Data);
        foreach (var (request, says) in ((BundleRequest, string)[])
        [
            (ledger.Request(size), "published head covers"),
            (ledger.Request(-1), "published head covers"),
            (ledger.Request(5, 5), "published head covers"),
            (ledger.Request(0, size + 1), "published head covers"),
            (ledger.Request(tenant: "initech"), "no entry names the tenant"),
            (ledger.Request(tenant: "a\",\"b"), "no entry names the tenant"),
            (ledger.Request(size: size - 1), "no head of size"),
        ])
        {
            var refused = Assert.Throws<ExportRefusedException>(() => BundleWriter.Write(Path.Combine(ledger.Scratch.Data, "no"), request, CancellationToken.None));
            Assert.Contains(says, refused.Message, StringComparison.Ordinal);
        }

        Directory.CreateDirectory(Path.Combine(ledger.Scratch.Data, "there"));
        Assert.Contains("is there already", Assert.Throws<IOException>(() => ledger.Export("there")).Message, StringComparison.Ordinal);
        Directory.Delete(Path.Combine(ledger.Scratch.Data, "there"));
        File.WriteAllText(Path.Combine(ledger.Scratch.Data, "new.tar.partial"), "");
        Assert.Contains("is there already", Assert.Throws<IOException>(() => ledger.Export("new.tar")).Message, StringComparison.Ordinal);
        File.Delete(Path.Combine(ledger.Scratch.Data, "new.tar.partial"));

        // The appliance signed something else, or nothing.
        foreach (string name in (string[])["torn", "torn.tar"])
        {
            using var bundle = BundleWriter.Write(Path.Combine(ledger.Scratch.Data, name), ledger.Request(), CancellationToken.None);
            Assert.Throws<LedgerStateException>(() => bundle.Complete(ledger.Log.SignManifest(new byte[32])));
        }

        Assert.Equal(before, Directory.GetFileSystemEntries(ledger.Scratch.Data));
    }

    [Fact]
    public void An_altered_ledger_gives_no_bundle()
    {
        using var ledger = new BundleScratch(groups: 20);
        string segment = ledger.Scratch.Segments[0];
        File.SetUnixFileMode(segment, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        string text = File.ReadAllText(segment);
        File.WriteAllText(segment, text.Replace("gmail.send", "gmail.read", StringComparison.Ordinal));
        foreach (var (from, tenant) in ((long, string?)[])[(0, null), (0, BundleScratch.Acme), (30, null)])
        {
            Assert.Contains("altered", Assert.Throws<LedgerStateException>(() => ledger.Export("none", from, tenant: tenant)).Message, StringComparison.Ordinal);
        }

        Assert.False(Path.Exists(Path.Combine(ledger.Scratch.Data, "none")));
    }

    [Fact]
    public void A_tenant_that_shares_its_scope_is_not_exported_alone()
    {
        using var ledger = new BundleScratch(groups: 20);
        ledger.Log.Append([EntryDraft.Create("tool.call", "overflow", b => b.Set("recorded", "2026-05-06T06:00:08.112Z").Set("scope", new string('a', 32)).Set("tenant_id", "late")
            .Set("action", a => a.Set("type", "tool.call").Set("side_effect_level", "write")))]);
        ledger.Log.Publish();
        Assert.Contains("shares its scope", Assert.Throws<ExportRefusedException>(() => ledger.Export("x", tenant: BundleScratch.Acme)).Message, StringComparison.Ordinal);
        Assert.NotNull(ledger.Export("y", tenant: BundleScratch.Globex));
    }
}
