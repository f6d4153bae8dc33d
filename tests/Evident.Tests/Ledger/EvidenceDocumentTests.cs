using System.Runtime.CompilerServices;
using System.Text;
using Evident.Ledger;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Ledger;

/// <summary>
/// docs/vectors/evidence and section 9 of docs/evidence.md are what the code writes for docs/vectors/ledger-tiny. Set EVIDENT_WRITE_DOCS=1 to write them anew after
/// that ledger has been.
/// </summary>
public class EvidenceDocumentTests
{
    private static readonly bool Writing = Environment.GetEnvironmentVariable("EVIDENT_WRITE_DOCS") == "1";

    private static string Docs([CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "..", "..", "..", "docs"));

    private static string Tiny => Path.Combine(Docs(), "vectors", "ledger-tiny");

    private static string Folder => Path.Combine(Docs(), "vectors", "evidence");

    private static SortedDictionary<string, byte[]> Make()
    {
        using var witness = Cosigner("witness.example/w1", 0x60);
        byte[] newest = Bytes(LedgerReader.NewestPublished(Tiny)!);
        var head = CheckpointOf(newest);
        string identity = LedgerVerifier.Verify(new VerifyRequest { Path = Tiny }).IdentityKey;
        return new SortedDictionary<string, byte[]>(StringComparer.Ordinal)
        {
            ["head.txt"] = Bytes(HeadText.Encode(head)),
            ["entry-1.tlog-proof"] = new TlogProof(1, LedgerReader.Prove(Tiny, 1, head.Size).Path, Parse(newest)).Encode(),
            ["request"] = new AddCheckpoint(1, LedgerReader.ProveConsistency(Tiny, 1, head.Size), Parse(newest)).Encode(),
            ["witness.vkey"] = Bytes(witness.Public.ToVerifierKey() + "\n"),
            ["cosigned.note"] = With(newest, witness.Sign(Parse(newest).Text, 1_700_000_000)),
            ["policy.txt"] = Bytes($"log {identity}\nwitness w1 {witness.Public.ToVerifierKey()}\nquorum w1\n"),
        };
    }

    [Fact]
    public void The_vectors_are_what_the_code_writes()
    {
        var made = Make();
        foreach (var (name, content) in made)
        {
            if (Writing)
            {
                Directory.CreateDirectory(Folder);
                File.WriteAllBytes(Path.Combine(Folder, name), content);
            }

            Assert.Equal(Encoding.UTF8.GetString(content), Encoding.UTF8.GetString(File.ReadAllBytes(Path.Combine(Folder, name))));
        }

        string path = Path.Combine(Docs(), "evidence.md"), text = File.ReadAllText(path), expected = Describe(made);
        const string begin = "<!-- vectors: begin (written from the code) -->\n", end = "<!-- vectors: end -->";
        int from = text.IndexOf(begin, StringComparison.Ordinal) + begin.Length, to = text.IndexOf(end, StringComparison.Ordinal);
        if (Writing)
        {
            File.WriteAllText(path, text[..from] + expected + text[to..]);
            return;
        }

        Assert.Equal(expected, text[from..to]);
    }

    [Fact]
    public void The_vectors_verify_as_the_document_says()
    {
        string policy = Path.Combine(Folder, "policy.txt");
        Assert.Equal(0, LedgerVerifier.Verify(new VerifyRequest { Path = Tiny, KnownHeads = [Path.Combine(Folder, "head.txt")] }).ExitCode);
        Assert.Equal(11, LedgerVerifier.Verify(new VerifyRequest { Path = Tiny, Policy = policy }).ExitCode);
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = Tiny, Policy = policy, KnownHeads = [Path.Combine(Folder, "cosigned.note")] });
        Assert.True(report.ExitCode == 0, report.ToText());
        Assert.True(TlogProof.TryParse(File.ReadAllBytes(Path.Combine(Folder, "entry-1.tlog-proof")), out var proof, out _));
        Assert.True(proof.Proves(Merkle.Leaf(LedgerReader.Read(Tiny, 1, 1, 2).First().Json.Span), NoteKey.ParseVerifierKey(report.IdentityKey)!));

        string dir = Directory.CreateTempSubdirectory("ev-vectors-").FullName;
        try
        {
            using var witness = Witness.Init(Path.Combine(dir, "w"), "w");
            witness.Follow(NoteKey.ParseVerifierKey(report.IdentityKey)!);
            witness.Cosign(Bytes(LedgerReader.Published(Tiny, 1)!), 1);
            Assert.Equal(report.Entries, CheckpointOf(witness.Cosign(File.ReadAllBytes(Path.Combine(Folder, "request")), 2)).Size);
        }
        finally
        {
            Directory.Delete(dir, recursive: true);
        }
    }

    private static string Describe(SortedDictionary<string, byte[]> made)
    {
        var text = new StringBuilder(
            "\n`docs/vectors/evidence/` belongs to the ledger in `docs/vectors/ledger-tiny/`; the witness's seed is 60 61 .. 7f, its time 1700000000. `evident verify docs/vectors/ledger-tiny` exits\n"
            + "with 0 under `--known-head head.txt`, with 11 under `--policy policy.txt`, with 0 when `--known-head cosigned.note` is added to that.\n");
        foreach (var (name, content) in made)
        {
            text.Append($"\n`{name}`\n\n");
            foreach (string line in Encoding.UTF8.GetString(content).TrimEnd('\n').Split('\n'))
            {
                text.Append(line.Length == 0 ? "\n" : $"    {line}\n");
            }
        }

        return text.Append('\n').ToString();
    }
}
