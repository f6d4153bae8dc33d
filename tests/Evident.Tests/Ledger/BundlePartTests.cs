using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>Parts of a ledger in bundles: a range, one tenant's entries, and what an operator with the keys can try.</summary>
public class BundlePartTests
{
    private static VerifyReport Verify(string path, params string[] heads) => LedgerVerifier.Verify(new VerifyRequest { Path = path, KnownHeads = heads });

    private static string Told(VerifyReport report) => $"{report.VerdictCode}: {report.Summary}\n" + string.Join('\n', report.Findings.Select(f => $"{f.Code} {f.Segment}: {f.Sentence}"));

    private static void Expect(int code, VerifyReport report, string about = "") => Assert.True(report.ExitCode == code, $"{about} expected {code}, got {Told(report)}");

    [Fact]
    public void Every_range_from_one_group_to_another_is_verified()
    {
        using var ledger = new BundleScratch(groups: 60, segmentBytes: 15_000);
        long size = ledger.Size;
        int made = 0;
        foreach (long from in (long[])[0, 1, 2, 40, 101, size - 5])
        {
            foreach (long to in new HashSet<long> { from + 1, from + 30, size })
            {
                if (to > size || (from == 0 && to == size))
                {
                    continue;
                }

                var report = Verify(ledger.Export($"r{made++}.tar", from, to));
                Expect(10, report, $"{from}..{to}");
                Assert.DoesNotContain(report.Findings, f => f.Code != 0);
                Assert.Equal(report.Bundle!.To, report.Entries);
                Assert.Equal(ledger.Log.IdentityVerifierKey, report.IdentityKey);
            }
        }
    }

    [Theory]
    [InlineData("t")]
    [InlineData("t.tar")]
    public void A_tenants_entries_are_verified_and_anchored_by_a_known_head(string name)
    {
        using var ledger = new BundleScratch(groups: 100);
        string early = ledger.Scratch.KeepHead("early.note");
        ledger.Grow(30);
        ledger.Log.Publish();
        string published = ledger.Scratch.KeepHead("published.note");
        string path = ledger.Export(name, tenant: BundleScratch.Acme);
        var report = Verify(path);
        Expect(10, report);
        Assert.Contains("for tenant acme", report.ToText(), StringComparison.Ordinal);
        Expect(0, Verify(path, early));
        Expect(0, Verify(path, published));

        // A range that ends before its head: what lies behind it cannot be compared with a head in between.
        ledger.Grow(10);
        ledger.Log.Publish();
        string between = ledger.Scratch.KeepHead("between.note");
        ledger.Grow(10);
        ledger.Log.Publish();
        string part = ledger.Export("part" + name, 50, 90, BundleScratch.Acme);
        Expect(10, Verify(part, early));
        Expect(10, Verify(part, between));
        Expect(0, Verify(part, between, ledger.Scratch.KeepHead("last.note")));
        ledger.Grow(1);
        ledger.Log.Publish();
        Expect(30, Verify(part, ledger.Scratch.KeepHead("later.note")));
    }

    [Fact]
    public void Every_changed_bit_of_a_part_is_found()
    {
        BundleVerifyTests.FlipAll(ledger => ledger.Export("p", 10, tenant: BundleScratch.Acme), part: true);
    }

    /// <summary>The operator lists and signs again what he has changed: the part itself has to show it.</summary>
    [Fact]
    public void What_was_held_back_or_made_up_is_found_though_the_manifest_is_signed_anew()
    {
        using var ledger = new BundleScratch(groups: 60, segmentBytes: 15_000);
        foreach (long from in (long[])[0, 150])
        {
            string model = ledger.Export($"model-{from}", from, tenant: BundleScratch.Acme);
            Signed(10, _ => { });
            int held = 0;
            foreach (string file in Directory.GetFiles(Path.Combine(model, "ledger"), "*.jsonl").Order(StringComparer.Ordinal))
            {
                string name = Path.GetFileName(file);
                string[] lines = File.ReadAllText(file).TrimEnd('\n').Split('\n');
                for (int i = 0; i < lines.Length; i++)
                {
                    bool first = held == 0, shown = lines[i].Contains("\"scope\":\"a", StringComparison.Ordinal);
                    if (shown && held++ % 7 == 3)
                    {
                        Edit(32, name, i, line => $"{{\"withheld\":\"sha256:{Convert.ToHexStringLower(Merkle.Leaf(Encoding.UTF8.GetBytes(line)))}\"}}", -1); // one entry of the tenant
                        Edit(32, name, i, line => line.Replace("\"acme-", "\"acme+", StringComparison.Ordinal), 0);
                        Edit(32, name, i, line => line.Replace("\"scope\":\"a", "\"scope\":\"c", StringComparison.Ordinal), 0);
                    }

                    if (first && lines[i].StartsWith("{\"withheld\"", StringComparison.Ordinal))
                    {
                        Edit(32, name, i, line => line.Replace("sha256:", "sha256:0", StringComparison.Ordinal)[..^3] + "\"}", 0); // another hash
                        Edit(34, name, i, line => line.Replace("\"}", " \"}", StringComparison.Ordinal), 0);
                        held++;
                    }
                }
            }

            Assert.True(held > 20);
            Signed(32, path => Rewrite(path, "range.json", r => r.Replace("\"right\":[", "\"right\":[\"" + LedgerFormat.ZeroHash + "\",", StringComparison.Ordinal).Replace("\",]", "\"]", StringComparison.Ordinal)));
            Signed(34, path => Rewrite(path, "range.json", r => r.Replace("\"v\":1", "\"v\":2", StringComparison.Ordinal)));
            Signed(34, path => Rewrite(path, "range.json", _ => "{}\n"));
            Signed(40, path => File.Delete(Path.Combine(path, "checkpoint")));
            Signed(32, path =>
            {
                Directory.CreateDirectory(Path.Combine(path, "tile/0"));
                File.WriteAllBytes(Path.Combine(path, "tile/0/000"), new byte[32]);
            });
            if (from > 0)
            {
                Signed(33, path => Rewrite(path, "range.json", r => r.Replace("\"epoch\":", "\"epoch\":1", StringComparison.Ordinal)));
                Signed(33, path => Rewrite(path, "range.json", DropControl));
                Signed(32, path => Rewrite(path, "range.json", r => Flip(r, "\"left\":[\"sha256:")));
                Signed(32, path => Rewrite(path, "range.json", r => Flip(r, "\"path\":[\"sha256:")));
            }

            void Edit(int code, string file, int line, Func<string, string> change, int withheld) => Signed(code, path => Rewrite(path, file, text =>
            {
                string[] all = text.Split('\n');
                string before = all[line];
                all[line] = change(before);
                Assert.NotEqual(before, all[line]);
                return string.Join('\n', all);
            }), withheld);

            void Signed(int code, Action<string> change, int withheld = 0)
            {
                string path = Path.Combine(ledger.Scratch.Data, "signed");
                BundleVerifyTests.Copy(model, path);
                var manifest = BundleVerifyTests.Read(path);
                change(path);
                BundleVerifyTests.Sign(ledger, path, manifest with { Withheld = manifest.Withheld - withheld });
                Expect(code, Verify(path), $"from {from}");
                Directory.Delete(path, recursive: true);
            }
        }
    }

    private static void Rewrite(string bundle, string file, Func<string, string> change)
    {
        string path = Path.Combine(bundle, "ledger", file), before = File.ReadAllText(path), after = change(before);
        Assert.NotEqual(before, after);
        File.WriteAllText(path, after);
    }

    private static string Flip(string text, string before)
    {
        int at = text.IndexOf(before, StringComparison.Ordinal) + before.Length;
        return text[..at] + (text[at] == '0' ? '1' : '0') + text[(at + 1)..];
    }

    /// <summary>The last rotation is left out.</summary>
    private static string DropControl(string range)
    {
        int last = range.LastIndexOf("},{", StringComparison.Ordinal), end = range.IndexOf("}]", last, StringComparison.Ordinal);
        return range[..(last + 1)] + range[(end + 1)..];
    }

    [Fact]
    public void A_part_is_not_cosigned()
    {
        using var ledger = new BundleScratch(groups: 20);
        string path = ledger.Export("p", 10), witness = Path.Combine(ledger.Scratch.Data, "w");
        Witness.Init(witness, "w1.example").Dispose();
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = path, Cosign = witness, KnownHeads = [ledger.Scratch.KeepHead()] });
        Expect(40, report);
        Assert.Empty(report.Cosigned);
    }
}
