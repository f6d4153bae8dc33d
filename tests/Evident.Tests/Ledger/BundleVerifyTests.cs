using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>Bundles, sound and changed in every way, and the verdict for each.</summary>
public class BundleVerifyTests
{
    private static VerifyReport Verify(string path, params string[] heads) => LedgerVerifier.Verify(new VerifyRequest { Path = path, KnownHeads = heads });

    private static string Told(VerifyReport report) => $"{report.VerdictCode}: {report.Summary}\n" + string.Join('\n', report.Findings.Select(f => $"{f.Code} {f.Segment}: {f.Sentence}"));

    private static void Expect(int code, VerifyReport report, string? about = null)
    {
        Assert.True(report.ExitCode == code, $"{about} expected {code}, got {Told(report)}");
        Assert.True(about is null || report.Findings.Any(f => f.Segment == about && f.Code == code), $"no finding {code} about {about}: {Told(report)}");
    }

    [Theory]
    [InlineData("whole")]
    [InlineData("whole.tar")]
    public void A_whole_bundle_is_unanchored_and_with_a_known_head_verified(string name)
    {
        using var ledger = new BundleScratch(groups: 400); // some 1,600 entries
        string early = ledger.Scratch.KeepHead();
        ledger.Grow(30);
        ledger.Log.Publish();
        string path = ledger.Export(name);
        var report = Verify(path);
        Expect(10, report);
        Assert.Empty(report.Findings);
        Assert.Equal((ledger.Size, ledger.Size), (report.Entries, report.Bundle!.Head.Size));
        Assert.Contains($"entries 0..{ledger.Size - 1} of {ledger.Size}", report.ToText(), StringComparison.Ordinal);
        Expect(0, Verify(path, early));
        Assert.Equal(LedgerReader.NewestPublished(ledger.Scratch.Ledger), Verify(path, early).NewestHead);

        // A head of a later time than the bundle's, and one of another ledger.
        ledger.Grow(3);
        ledger.Log.Publish();
        Expect(30, Verify(path, ledger.Scratch.KeepHead("late.note")));
        using var other = new LedgerScratch();
        _ = other.NextSeed(); // so that its identity is another one
        using (var log = other.Open())
        {
            log.Publish();
        }

        Expect(33, Verify(path, other.KeepHead()));
    }

    [Fact]
    public void An_archive_that_somebody_packed_anew_is_verified_as_well()
    {
        using var ledger = new BundleScratch(groups: 20);
        string path = ledger.Export("d");
        foreach (var format in (System.Formats.Tar.TarEntryFormat[])[System.Formats.Tar.TarEntryFormat.Ustar, System.Formats.Tar.TarEntryFormat.Gnu])
        {
            string tar = Path.Combine(ledger.Scratch.Data, format + ".tar");
            using (var writer = new System.Formats.Tar.TarWriter(File.Create(tar), format))
            {
                foreach (string item in Directory.GetFileSystemEntries(path, "*", SearchOption.AllDirectories))
                {
                    writer.WriteEntry(item, "./" + Path.GetRelativePath(path, item));
                }
            }

            Expect(10, Verify(tar));
        }
    }

    /// <summary>What docs/evidence.md says of a changed byte in each file.</summary>
    private static int[] Codes(string name, bool part) => name switch
    {
        "MANIFEST.json" => [32],
        "MANIFEST.note" => [33, 34],
        "checkpoint" or "ledger/head.a" or "ledger/genesis.note" => [32, 33],
        _ when name.StartsWith("ledger/checkpoints/", StringComparison.Ordinal) => [32, 33],
        _ when name.EndsWith(".jsonl", StringComparison.Ordinal) => [32, 33],
        "ledger/range.json" when part => [32, 33],
        _ => [32],
    };

    [Fact]
    public void Every_changed_bit_of_a_whole_bundle_is_found() => FlipAll(ledger => ledger.Export("b"), part: false);

    internal static void FlipAll(Func<BundleScratch, string> export, bool part)
    {
        using var ledger = new BundleScratch(groups: 9, segmentBytes: 5_000);
        string path = export(ledger);
        Expect(10, Verify(path));
        var wrong = new List<string>();
        foreach (var (name, content) in BundleScratch.FilesOf(path))
        {
            string file = Path.Combine(path, name);
            int step = Math.Max(1, content.Length / 24);
            for (int at = 0; at < content.Length; at += step)
            {
                int bit = at % 8;
                byte[] changed = [.. content];
                changed[at] ^= (byte)(1 << bit);
                File.WriteAllBytes(file, changed);
                var report = Verify(path);
                if (!Codes(name, part).Contains(report.ExitCode))
                {
                    wrong.Add($"{name} byte {at} bit {bit}: {Told(report)}");
                }
            }

            foreach (byte[] other in (byte[][])[[], content[..^1], [.. content, (byte)'x']])
            {
                File.WriteAllBytes(file, other);
                int code = Verify(path).ExitCode;
                if (code is not (30 or 32 or 33 or 34 or 40))
                {
                    wrong.Add($"{name} of {other.Length} bytes: {code}");
                }
            }

            File.WriteAllBytes(file, content);
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} changes judged wrongly, e.g.\n{string.Join("\n\n", wrong.Take(6))}");
        Expect(10, Verify(path));
    }

    [Fact]
    public void Every_changed_bit_of_an_archive_is_found_or_changes_nothing()
    {
        using var ledger = new BundleScratch(groups: 5);
        string path = ledger.Export("b.tar");
        byte[] content = File.ReadAllBytes(path);
        var wrong = new List<string>();
        for (int at = 0; at < content.Length; at += 1 + (at * 7919 % 211))
        {
            byte[] changed = [.. content];
            changed[at] ^= (byte)(1 << (at % 8));
            File.WriteAllBytes(path, changed);
            var report = Verify(path);
            bool blank = content[at] == (byte)' ' || content[at] == 0; // NUL or a blank behind a number: either ends it, and the checksum field does not cover itself
            if (report.ExitCode is not (32 or 33 or 34) && !(report.ExitCode == 10 && blank))
            {
                wrong.Add($"byte {at}, in block {at % 512}: {Told(report)}");
            }
        }

        int end = ((content.AsSpan().LastIndexOfAnyExcept((byte)0) + 512) / 512 * 512) + 1024; // what follows the end marker only fills
        for (int length = 0; length < end; length += 1 + (content.Length / 97))
        {
            File.WriteAllBytes(path, content[..length]);
            if (Verify(path).ExitCode != 40)
            {
                wrong.Add($"cut to {length}: {Told(Verify(path))}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n\n", wrong.Take(6)));
    }

    [Fact]
    public void Files_that_are_missing_added_or_swapped_are_found()
    {
        using var ledger = new BundleScratch(groups: 132);
        string model = ledger.Export("model");
        var files = BundleScratch.FilesOf(model);
        Assert.True(files.ContainsKey("tile/0/001"));

        foreach (string name in files.Keys)
        {
            Changed(name == files.Keys.Last(k => k.EndsWith(".jsonl", StringComparison.Ordinal)) ? [30] : name.EndsWith(".jsonl", StringComparison.Ordinal) ? [32] : [40],
                path => File.Delete(Path.Combine(path, name)), name);
            if (!name.EndsWith(".jsonl", StringComparison.Ordinal))
            {
                Changed([40], path => File.Move(Path.Combine(path, name), Path.Combine(path, name) + "2"), name);
            }
        }

        Changed([10], path => File.WriteAllText(Path.Combine(path, "more.txt"), "x"), "more.txt", listed: 12);
        Changed([10], path => File.WriteAllText(Path.Combine(path, "ledger", "more.txt"), "x"), "ledger/more.txt", listed: 12);
        Changed([34], path => File.CreateSymbolicLink(Path.Combine(path, "more.txt"), "/dev/null"), "more.txt");
        Changed([34], path =>
        {
            File.Delete(Path.Combine(path, "epochs.txt"));
            File.CreateSymbolicLink(Path.Combine(path, "epochs.txt"), Path.Combine(model, "epochs.txt"));
        }, "epochs.txt");
        Changed([32], path =>
        {
            File.WriteAllBytes(Path.Combine(path, "tile/0/000"), files["tile/0/001"]);
            File.WriteAllBytes(Path.Combine(path, "tile/0/001"), files["tile/0/000"]);
        }, "tile/0/000");

        // Without any of the files that make it a bundle, it is the ledger directory that it contains.
        Changed([40], path => File.Delete(Path.Combine(path, "MANIFEST.json")), "MANIFEST.json");
        Changed([40], path =>
        {
            File.Delete(Path.Combine(path, "MANIFEST.json"));
            File.Delete(Path.Combine(path, "MANIFEST.note"));
        }, "MANIFEST.note");

        void Changed(int[] codes, Action<string> change, string about, int? listed = null)
        {
            string path = Path.Combine(ledger.Scratch.Data, "changed");
            Copy(model, path);
            change(path);
            var report = Verify(path);
            Assert.True(codes.Contains(report.ExitCode), $"{about}: {Told(report)}");
            Assert.True(report.Findings.Any(f => f.Segment == about && f.Code == (listed ?? f.Code)), $"{about} is not named: {Told(report)}");
            Directory.Delete(path, recursive: true);
        }
    }

    /// <summary>The operator holds the identity key: what he signs must still be what the ledger says.</summary>
    [Fact]
    public void A_manifest_that_was_signed_anew_does_not_cover_what_the_ledger_does_not_say()
    {
        using var ledger = new BundleScratch(groups: 132);
        string model = ledger.Export("model");
        var files = BundleScratch.FilesOf(model);
        long size = ledger.Size;
        ledger.Grow(2);
        ledger.Log.Publish();

        Files(10, _ => { });
        Files(32, path => // two tiles swapped
        {
            File.WriteAllBytes(Path.Combine(path, "tile/0/000"), files["tile/0/001"]);
            File.WriteAllBytes(Path.Combine(path, "tile/0/001"), files["tile/0/000"]);
        });
        Files(32, path => File.Delete(Path.Combine(path, "tile/0/001")));
        Files(32, path => File.WriteAllBytes(Path.Combine(path, "tile/1/001"), files["tile/0/001"]));
        Files(32, path => File.WriteAllBytes(Path.Combine(path, "tile/entries/000"), files["tile/entries/001"]));
        Files(10, path => Directory.Delete(Path.Combine(path, "tile"), recursive: true)); // none at all
        Signed(32, (_, m) => m with { To = size - 1 });
        Signed(32, (_, m) => m with { TenantId = "acme" });
        Signed(32, (_, m) => m with { Head = m.Head with { Size = size + 1 }, To = size + 1 });
        Signed(32, (_, m) => m with { Head = m.Head with { Root = new byte[32] } });
        Signed(33, (_, m) => m with { Origin = "evident.local/" + new string('0', 32) });
        Files(32, path => File.WriteAllText(Path.Combine(path, "checkpoint"), LedgerReader.NewestPublished(ledger.Scratch.Ledger)!), also: 30);

        void Files(int code, Action<string> change, int? also = null) => Signed(code, (path, m) =>
        {
            change(path);
            return m;
        }, also);

        void Signed(int code, Func<string, BundleManifest, BundleManifest> change, int? also = null)
        {
            string path = Path.Combine(ledger.Scratch.Data, "signed");
            Copy(model, path);
            var manifest = Read(path);
            manifest = change(path, manifest);
            Sign(ledger, path, manifest);
            var report = Verify(path);
            Expect(code, report);
            Assert.True(also is null || report.Findings.Any(f => f.Code == also), Told(report));
            Directory.Delete(path, recursive: true);
        }
    }

    internal static BundleManifest Read(string path)
    {
        using var file = new DirectoryFolder(path).Open("MANIFEST.json");
        Assert.True(ManifestReader.TryRead(file, out var manifest, out _, out string failure), failure);
        return manifest;
    }

    /// <summary>Lists what is there and signs it, as the holder of the key could.</summary>
    internal static void Sign(BundleScratch ledger, string path, BundleManifest manifest)
    {
        var files = BundleScratch.FilesOf(path).Where(f => !f.Key.StartsWith("MANIFEST", StringComparison.Ordinal))
            .Select(f => new BundleFile(f.Key, f.Value.Length, System.Security.Cryptography.SHA256.HashData(f.Value))).ToArray();
        byte[] json = manifest.Encode(files);
        File.WriteAllBytes(Path.Combine(path, "MANIFEST.json"), json);
        File.WriteAllBytes(Path.Combine(path, "MANIFEST.note"), ledger.Log.SignManifest(System.Security.Cryptography.SHA256.HashData(json)));
    }

    internal static void Copy(string from, string to)
    {
        foreach (var (name, content) in BundleScratch.FilesOf(from))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(to, name))!);
            File.WriteAllBytes(Path.Combine(to, name), content);
        }
    }

    [Fact]
    public void The_note_is_that_of_this_ledgers_identity_and_of_nothing_else()
    {
        using var ledger = new BundleScratch(groups: 9);
        string path = ledger.Export("b");
        byte[] json = File.ReadAllBytes(Path.Combine(path, "MANIFEST.json")), hash = System.Security.Cryptography.SHA256.HashData(json);
        string origin = ledger.Log.Origin;
        using var seed = SecretBytes.Random(32);
        using var forger = new SigningKey(origin, seed);
        foreach (var (text, key, code) in ((byte[], SigningKey, int)[])
        [
            (BundleManifest.NoteText(origin, hash), forger, 33), // another key of the same name
            (BundleManifest.NoteText("evident.local/" + new string('0', 32), hash), forger, 33),
            (Encoding.UTF8.GetBytes($"evident export manifest v2\n{origin}\n{LedgerFormat.HashText(hash)}\n"), forger, 33),
        ])
        {
            File.WriteAllBytes(Path.Combine(path, "MANIFEST.note"), SignedNote.Encode(text, [key.Sign(text)]));
            Expect(code, Verify(path), "MANIFEST.note");
        }

        // The identity key's signature of something else: a checkpoint.
        File.WriteAllBytes(Path.Combine(path, "MANIFEST.note"), File.ReadAllBytes(Path.Combine(path, "checkpoint")));
        Expect(33, Verify(path), "MANIFEST.note");
    }

    [Fact]
    public void A_manifest_is_read_strictly_and_bytes_of_any_kind_are_answered()
    {
        using var ledger = new BundleScratch(groups: 9);
        string path = ledger.Export("b");
        string manifest = File.ReadAllText(Path.Combine(path, "MANIFEST.json"));
        var random = new Random(11);
        int first = manifest.IndexOf("},{", StringComparison.Ordinal);
        foreach (string changed in (string[])
        [
            "", "\n", "{}\n", manifest[..^1], manifest + "\n", manifest.Replace("\"files\":[", "\"files\":[ ", StringComparison.Ordinal),
            manifest.Replace("},{", "},\n{", StringComparison.Ordinal), manifest.Replace("\"v\":1", "\"v\":2", StringComparison.Ordinal),
            manifest.Replace("\"name\":\"checkpoint\"", "\"name\":\"../checkpoint\"", StringComparison.Ordinal),
            manifest.Replace("\"name\":\"checkpoint\"", "\"name\":\"MANIFEST.note\"", StringComparison.Ordinal),
            manifest.Replace("\"name\":\"checkpoint\"", "\"name\":\"zebra\"", StringComparison.Ordinal),
            manifest.Replace("\"bytes\":", "\"bytes\":-", StringComparison.Ordinal),
            manifest.Replace(",\"from\":0", ",\"from\":0,\"gap\":1", StringComparison.Ordinal),
            manifest.Replace("]", "],\"files\":[]", StringComparison.Ordinal),
            manifest[..(first + 1)] + "]" + new string('x', 100_000),
        ])
        {
            File.WriteAllText(Path.Combine(path, "MANIFEST.json"), changed);
            File.WriteAllBytes(Path.Combine(path, "MANIFEST.note"), ledger.Log.SignManifest(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(changed))));
            Expect(34, Verify(path), "MANIFEST.json");
        }

        byte[] bytes = Encoding.UTF8.GetBytes(manifest);
        for (int i = 0; i < 100; i++)
        {
            byte[] noise = [.. bytes];
            for (int n = random.Next(1, 9); n > 0; n--)
            {
                noise[random.Next(noise.Length)] = (byte)random.Next(256);
            }

            File.WriteAllBytes(Path.Combine(path, "MANIFEST.json"), noise[..random.Next(noise.Length + 1)]);
            Assert.Contains(Verify(path).ExitCode, (int[])[10, 32]);
        }
    }

    [Fact]
    public void What_is_no_archive_is_malformed_and_what_is_not_there_incomplete()
    {
        using var scratch = new LedgerScratch();
        string file = Path.Combine(scratch.Data, "x.tar");
        Expect(40, Verify(file));
        File.WriteAllText(file, new string('x', 600));
        Expect(34, Verify(file));
        File.WriteAllBytes(file, new byte[10_240]);
        Expect(40, Verify(file)); // an archive of nothing holds no ledger
        var random = new Random(5);
        for (int i = 0; i < 200; i++)
        {
            byte[] noise = new byte[random.Next(5_000)];
            random.NextBytes(noise);
            File.WriteAllBytes(file, noise);
            Assert.Contains(Verify(file).ExitCode, (int[])[34, 40]);
        }
    }
}
