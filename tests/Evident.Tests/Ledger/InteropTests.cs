using System.Diagnostics;
using System.Runtime.CompilerServices;
using Evident.Ledger;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Ledger;

/// <summary>
/// A stranger's tools read what we write: tests/interop/main.go is built on Debian's golang.org/x/mod (sumdb/note, sumdb/tlog), which knows nothing of Evident.
/// </summary>
public sealed class InteropTests(InteropTests.Tool tool) : IClassFixture<InteropTests.Tool>, IDisposable
{
    private readonly LedgerScratch ledger = NewLedger();

    public void Dispose() => ledger.Dispose();

    [Fact]
    public void Published_notes_and_cosigned_notes_open()
    {
        string identity = ledger.IdentityVkey();
        using var one = Cosigner("witness.example/w1", 0x20);
        using var two = Cosigner("witness.example/w2", 0x21);
        foreach (long size in (long[])[1, 3, 6, 10])
        {
            var (code, said) = tool.Run("note", ledger.Write("n", ledger.Published(size)), identity);
            Assert.Equal((0, identity.Split('+')[0]), (code, said));
        }

        byte[] text = Parse(ledger.Published(10)).Text, cosigned = With(ledger.Published(10), one.Sign(text, 1_700_000_000), two.Sign(text, 0));
        Assert.Equal(0, tool.Run("note", ledger.Write("n", cosigned), identity, one.Public.ToVerifierKey(), two.Public.ToVerifierKey()).Code);
        Assert.Equal(0, tool.Run("note", ledger.Write("n", Note), LogVkey, WitnessVkey).Code);

        var broken = one.Sign(text, 1_700_000_000);
        broken.KeyIdAndSignature[5] ^= 1;
        Assert.Equal(1, tool.Run("note", ledger.Write("n", With(ledger.Published(10), broken)), identity, one.Public.ToVerifierKey()).Code);
        Assert.Equal(1, tool.Run("note", ledger.Write("n", ledger.Published(10)), identity, one.Public.ToVerifierKey()).Code);
    }

    [Fact]
    public void Every_proof_leads_from_its_line_to_its_root()
    {
        string identity = ledger.IdentityVkey();
        foreach (var line in LedgerReader.Read(ledger.Ledger, 0, 10, 10))
        {
            long size = LedgerReader.PublishedAbove(ledger.Ledger, line.Seq);
            byte[] proof = new TlogProof(line.Seq, LedgerReader.Prove(ledger.Ledger, line.Seq, size).Path, Parse(AnchorNotes.WithCosignatures(ledger.Ledger, size)!)).Encode();
            var (code, said) = tool.Run("proof", ledger.Write("p", proof), identity, ledger.Write("l", line.Json.ToArray()));
            Assert.Equal((0, $"entry {line.Seq} is in the tree of size {size}"), (code, said));
            Assert.Equal(1, tool.Run("proof", ledger.Write("p", proof), identity, ledger.Write("l", [.. line.Json.Span, (byte)' '])).Code);
        }
    }

    [Fact]
    public void Every_request_leads_from_the_old_tree_to_the_new_one()
    {
        string identity = ledger.IdentityVkey();
        long[] sizes = [1, 3, 6, 10];
        foreach (long old in sizes)
        {
            foreach (long size in sizes.Where(s => s > old))
            {
                var (code, said) = tool.Run("request", ledger.Write("r", ledger.Request(old, size)), identity, ledger.Write("o", ledger.Published(old)));
                Assert.Equal((0, $"size {size} extends size {old}"), (code, said));
            }
        }

        var (first, other) = Fork();
        using var a = first;
        using var b = other;
        Assert.Equal(0, tool.Run("request", a.Write("r", a.Request(3, 10)), a.IdentityVkey(), a.Write("o", b.Published(3))).Code);
        Assert.Equal(1, tool.Run("request", a.Write("r", a.Request(6, 10)), a.IdentityVkey(), a.Write("o", b.Published(6))).Code);
    }

    [Fact]
    public void Every_entry_in_a_bundles_tiles_is_in_the_tree_of_its_checkpoint()
    {
        using var exported = new BundleScratch(groups: 300); // some 1,200 entries: full and partial tiles, two levels
        string bundle = exported.Export("b"), checkpoint = Path.Combine(bundle, "checkpoint"), vkey = exported.Log.IdentityVerifierKey;
        var (code, said) = tool.Run("tiles", checkpoint, vkey, bundle);
        Assert.Equal((0, $"{exported.Size} entries are in the tree of their tiles"), (code, said));
        foreach (string tile in (string[])["tile/0/001", "tile/1/000.p/4", "tile/entries/002"])
        {
            string file = Path.Combine(bundle, tile);
            byte[] content = File.ReadAllBytes(file);
            File.WriteAllBytes(file, [.. content[..^1], (byte)(content[^1] ^ 1)]);
            Assert.Equal(1, tool.Run("tiles", checkpoint, vkey, bundle).Code);
            File.WriteAllBytes(file, content);
        }

        Assert.Equal(0, tool.Run("tiles", checkpoint, vkey, bundle).Code);
    }

    /// <summary>The Go program, built once for the class.</summary>
    public sealed class Tool : IDisposable
    {
        private readonly string directory = Directory.CreateTempSubdirectory("ev-interop-").FullName;

        public Tool()
        {
            var (code, said) = Start("go", Directory.GetParent(SourcePath())!.FullName, "build", "-o", Path.Combine(directory, "interop"), "main.go");
            Assert.True(code == 0, $"tests/interop could not be built (installer/needs.sh test names its packages): {said}");
        }

        public (int Code, string Said) Run(params string[] arguments) => Start(Path.Combine(directory, "interop"), directory, arguments);

        public void Dispose() => Directory.Delete(directory, recursive: true);

        private static string SourcePath([CallerFilePath] string here = "") =>
            Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "interop", "main.go"));

        private (int Code, string Said) Start(string program, string where, params string[] arguments)
        {
            var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = where, RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["GO111MODULE"] = "off"; // Debian's own packages, no network
            start.Environment["GOPATH"] = "/usr/share/gocode";
            start.Environment["GOCACHE"] = Path.Combine(directory, "cache");
            start.Environment["CGO_ENABLED"] = "0";
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, (process.ExitCode == 0 ? output : error.Result).Trim());
        }
    }
}
