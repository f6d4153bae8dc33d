using System.Text;
using System.Text.Json;
using Evident.Ledger;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Ledger;

/// <summary>`verify --policy` and `--cosign`, the notes in anchors/, heads as text, and what a fork leaves in the report.</summary>
public sealed class AnchorTests : IDisposable
{
    private const long Now = 1_700_000_000;

    private readonly LedgerScratch ledger = NewLedger();
    private readonly CosigningKey one = Cosigner("w1.example", 100), two = Cosigner("w2.example", 101), three = Cosigner("w3.example", 102);

    public void Dispose()
    {
        ledger.Dispose();
        one.Dispose();
        two.Dispose();
        three.Dispose();
    }

    private static VerifyReport Verify(LedgerScratch scratch, string? policy = null, string? cosign = null, long? most = null, string[]? heads = null) =>
        LedgerVerifier.Verify(new VerifyRequest { Path = scratch.Data, Policy = policy, Cosign = cosign, MaxUnanchored = most, KnownHeads = heads ?? [], Clock = new HandClock() });

    private string Policy(string quorum, string? log = null) => ledger.Write("policy.txt",
        $"log {log ?? ledger.IdentityVkey()}\nwitness w1 {one.Public.ToVerifierKey()}\nwitness w2 {two.Public.ToVerifierKey()}\nwitness w3 {three.Public.ToVerifierKey()}\n"
        + $"group most 2 w1 w2 w3\nquorum {quorum}\n");

    private byte[] Cosigned(long size, params CosigningKey[] keys) =>
        With(ledger.Published(size), [.. keys.Select(k => k.Sign(Parse(ledger.Published(size)).Text, Now))]);

    private static void Has(VerifyReport report, int code, string sentence) => Assert.True(
        report.VerdictCode == code && report.Findings.Any(f => f.Code == code && f.Sentence.Contains(sentence, StringComparison.Ordinal)), $"{report.ToText()}\nexpected {code}: {sentence}");

    [Fact]
    public void A_quorum_anchors_the_largest_size_that_it_confirms()
    {
        string policy = Policy("most");
        Assert.Equal(11, Verify(ledger, policy).VerdictCode);
        ledger.FileAnchor(Cosigned(3, one), one.Public);
        var report = Verify(ledger, policy);
        Assert.Equal((11, -1L), (report.VerdictCode, report.AnchoredSize));
        Assert.Contains("quorum", report.Summary, StringComparison.Ordinal);
        ledger.FileAnchor(Cosigned(3, two), two.Public); // two files, one size: together they are enough
        ledger.FileAnchor(Cosigned(6, three), three.Public);
        report = Verify(ledger, policy);
        Assert.Equal((0, 3L, 7L), (report.VerdictCode, report.AnchoredSize, report.Unanchored));
        Assert.Equal("the policy's quorum of witnesses: w1.example at 2023-11-14T22:13:20.000Z, w2.example at 2023-11-14T22:13:20.000Z", report.AnchoredBy);
        Assert.Contains("Anchored up to entry 2 by the policy's quorum of witnesses: w1.example", report.ToText(), StringComparison.Ordinal);
        Assert.Contains(report.Inputs, i => i.File == policy);

        string head = ledger.Write("brought.note", Cosigned(10, one, two)); // a supplied head is read for cosignatures as well
        report = Verify(ledger, policy, heads: [head]);
        Assert.Equal((0, 10L), (report.VerdictCode, report.AnchoredSize));
        Assert.Equal(11, Verify(ledger, policy, most: 6).VerdictCode);
        Assert.Equal(0, Verify(ledger, policy, most: 7).VerdictCode);
    }

    [Fact]
    public void With_head_and_policy_the_larger_size_counts_and_both_must_hold()
    {
        string policy = Policy("w1");
        string head = ledger.Write("known.note", ledger.Published(10));
        Assert.Equal((11, 10L), Pair(Verify(ledger, policy, heads: [head])));
        ledger.FileAnchor(Cosigned(3, one), one.Public);
        Assert.Equal((0, 10L), Pair(Verify(ledger, policy, heads: [head])));
        Assert.Equal((0, 6L), Pair(Verify(ledger, policy, heads: [ledger.Write("known.note", ledger.Published(6))])));
        Assert.Equal((0, 3L), Pair(Verify(ledger, policy, heads: [ledger.Write("known.note", ledger.Published(1))])));

        static (int, long) Pair(VerifyReport report) => (report.VerdictCode, report.AnchoredSize);
    }

    [Fact]
    public void Quorum_none_pins_the_key_and_anchors_nothing()
    {
        ledger.FileAnchor(Cosigned(10, one, two, three), one.Public);
        Assert.Equal((10, -1L), (Verify(ledger, Policy("none")).VerdictCode, Verify(ledger, Policy("none")).AnchoredSize));
        Assert.Equal(0, Verify(ledger, Policy("none"), heads: [ledger.KeepHead()]).VerdictCode);
        Has(Verify(ledger, Policy("none", LogVkey)), 33, "does not name this ledger's identity key");
        Has(Verify(ledger, Policy("w1", LogVkey), heads: [ledger.KeepHead()]), 33, "does not name this ledger's identity key");
    }

    /// <summary>T8: another genesis under the same roof.</summary>
    [Fact]
    public void T8_a_replaced_ledger_is_not_the_one_that_the_policy_names()
    {
        string policy = Policy("none");
        using var other = new LedgerScratch();
        other.NextSeed();
        using (var log = other.Open())
        {
            log.Append(LedgerScratch.Calls(0, 9));
            log.Close();
        }

        Has(Verify(other, policy), 33, "does not name this ledger's identity key");
    }

    /// <summary>T14: keys that come with the ledger prove nothing, whatever they sign.</summary>
    [Fact]
    public void T14_a_key_that_only_the_ledger_brings_anchors_nothing()
    {
        using var attacker = Cosigner("w1.example", 200);
        ledger.FileAnchor(Cosigned(10, attacker), attacker.Public);
        Assert.Equal(10, Verify(ledger).VerdictCode);
        Assert.Equal(11, Verify(ledger, Policy("w1")).VerdictCode); // same name, another key: unknown, ignored
        File.WriteAllText(Path.Combine(ledger.Ledger, "policy.txt"), $"log {ledger.IdentityVkey()}\nwitness w1 {attacker.Public.ToVerifierKey()}\nquorum w1\n");
        Assert.Equal(10, Verify(ledger).VerdictCode);
    }

    /// <summary>T15: one bad signature of a known key rejects the whole note, beside any number of good ones.</summary>
    [Fact]
    public void T15_a_bad_signature_of_a_known_key_rejects_the_note()
    {
        var broken = one.Sign(Parse(ledger.Published(6)).Text, Now);
        broken.KeyIdAndSignature[^1] ^= 1;
        using var stranger = Cosigner("stranger.example", 201);
        byte[] note = With(Cosigned(6, two, three), broken, stranger.Sign(Parse(ledger.Published(6)).Text, Now));
        ledger.FileAnchor(note, two.Public);
        Assert.Equal(10, Verify(ledger).VerdictCode); // nobody said whose key that is
        Has(Verify(ledger, Policy("most")), 33, "a cosignature of the witness 'w1.example' that is not valid");
        Assert.Equal(-1, Verify(ledger, Policy("most")).AnchoredSize);
        File.Delete(Directory.GetFiles(Path.Combine(ledger.Ledger, "anchors"))[0]);
        Has(Verify(ledger, Policy("most"), heads: [ledger.Write("known.note", note)]), 33, "a cosignature of the witness 'w1.example' that is not valid");

        // The identity key's own: a good line and a bad one.
        byte[] bad = [.. Parse(ledger.Published(6)).Signatures[^1].KeyIdAndSignature];
        bad[^1] ^= 1;
        byte[] twice = With(Cosigned(6, two), new NoteSignature(Parse(ledger.Published(6)).Signatures[^1].Name, bad));
        Has(Verify(ledger, heads: [ledger.Write("known.note", twice)]), 33, "is not signed by this ledger's identity key");
        ledger.FileAnchor(twice, two.Public);
        Has(Verify(ledger), 33, "is not signed by the identity key");
    }

    /// <summary>T16: what a note may look like.</summary>
    [Fact]
    public void T16_seventeen_signatures_are_taken_and_what_is_no_note_is_malformed()
    {
        byte[] text = Parse(ledger.Published(10)).Text;
        NoteSignature[] Strangers(int count) => [.. Enumerable.Range(0, count).Select(i => new NoteSignature($"n{i}", [1, 2, 3, 4, .. new byte[64]]))];
        byte[] good = Cosigned(10, one);
        ledger.FileAnchor(With(good, Strangers(17 - Parse(good).Signatures.Count)), one.Public);
        Assert.Equal((0, 10L), (Verify(ledger, Policy("w1")).VerdictCode, Verify(ledger, Policy("w1")).AnchoredSize));
        ledger.FileAnchor(With(good, Strangers(100 - Parse(good).Signatures.Count)), one.Public);
        Assert.Equal(0, Verify(ledger, Policy("w1")).VerdictCode);
        string line = Encoding.UTF8.GetString(good);
        foreach (byte[] bad in (byte[][])[
            [.. With(good, Strangers(100 - Parse(good).Signatures.Count)), .. Bytes(SignedNote.SignatureLine(Strangers(1)[0]))],
            [.. text, (byte)'\n', .. new byte[10 << 20]],
            Bytes(line.Replace("\n", "\r\n", StringComparison.Ordinal)),
            good[..^1],
            Bytes(line.Replace("\u2014", "--", StringComparison.Ordinal)),
            [],
            Bytes("no note\n")])
        {
            ledger.FileAnchor(bad, AnchorNotes.Name(10, one.Public.KeyId));
            Has(Verify(ledger, Policy("w1")), 34, "is no signed note");
        }
    }

    [Fact]
    public void What_lies_in_anchors_must_be_what_its_name_says()
    {
        string folder = Path.Combine(ledger.Ledger, "anchors");
        void Is(byte[] note, string name, int code, string sentence)
        {
            ledger.FileAnchor(note, name);
            Has(Verify(ledger, heads: code == 12 ? [ledger.KeepHead()] : null), code, sentence);
            File.Delete(Path.Combine(folder, name));
        }

        byte[] good = Cosigned(6, one);
        Is(good, AnchorNotes.Name(10, one.Public.KeyId), 32, "is not named by");
        Is(good, AnchorNotes.Name(6, two.Public.KeyId), 32, "is not named by");
        Is(good, "w1.note", 12, "does not belong there");
        Is(Bytes(Note), AnchorNotes.Name(3, one.Public.KeyId), 12, "is of another ledger");
        Is(SignedNote.Encode(Parse(good).Text, [one.Sign(Parse(good).Text, Now)]), AnchorNotes.Name(6, one.Public.KeyId), 33, "is not signed by the identity key");
        Is(SignedNote.Encode("text\n"u8, Parse(good).Signatures), AnchorNotes.Name(6, one.Public.KeyId), 33, "does not hold a signed checkpoint");
        Directory.CreateDirectory(Path.Combine(folder, AnchorNotes.Name(6, one.Public.KeyId)));
        Has(Verify(ledger, heads: [ledger.KeepHead()]), 34, "is a link or a special file");
        Directory.Delete(Path.Combine(folder, AnchorNotes.Name(6, one.Public.KeyId)));
        File.WriteAllText(Path.Combine(folder, AnchorNotes.Name(6, one.Public.KeyId) + ".tmp"), "what a crash left");
        Assert.Equal(0, Verify(ledger, heads: [ledger.KeepHead()]).VerdictCode);
    }

    [Fact]
    public void A_note_in_anchors_shows_what_the_ledger_lost()
    {
        var (first, other) = Fork();
        using var a = first;
        using var b = other;
        byte[] lost = With(first.Published(10), one.Sign(Parse(first.Published(10)).Text, Now));
        b.FileAnchor(With(b.Published(6), one.Sign(Parse(b.Published(6)).Text, Now)), one.Public);
        Assert.Equal(10, Verify(b).VerdictCode);
        b.FileAnchor(lost, one.Public);
        var report = Verify(b);
        Has(report, 31, "with a root that the ledger's own checkpoint does not have");
        var fork = Assert.Single(report.Forks);
        Assert.Equal((Encoding.UTF8.GetString(lost), Encoding.UTF8.GetString(b.Published(10)), 10L), (fork.First, fork.Second, fork.Size));

        using var shorter = NewLedger(); // same seeds, same origin, another life: entry 10 never came
        File.WriteAllBytes(shorter.Segments[^1], File.ReadAllBytes(shorter.Segments[^1])[..^1]);
        shorter.FileAnchor(With(ledger.Published(10), one.Sign(Parse(ledger.Published(10)).Text, Now)), one.Public);
        Assert.Contains(Verify(shorter).Findings, f => f.Segment.StartsWith("anchors/", StringComparison.Ordinal));
    }

    /// <summary>T9: two validly signed histories. Whoever holds a head of the other one proves it, and the report holds both notes word for word.</summary>
    [Fact]
    public void T9_a_fork_is_reported_with_both_notes()
    {
        var (first, other) = Fork();
        using var a = first;
        using var b = other;
        string head = a.Write("known.note", b.Published(6));
        var report = Verify(a, heads: [head]);
        Has(report, 31, "two histories exist");
        var fork = Assert.Single(report.Forks);
        Assert.Equal(Encoding.UTF8.GetString(b.Published(6)), fork.First);
        Assert.Equal(Encoding.UTF8.GetString(a.Published(6)), fork.Second);
        using var json = JsonDocument.Parse(report.ToJson());
        var evidence = json.RootElement.GetProperty("fork_evidence")[0];
        Assert.Equal([fork.First, fork.Second], evidence.GetProperty("notes").EnumerateArray().Select(n => n.GetString()));
        Assert.Equal(6, evidence.GetProperty("size").GetInt64());
        var identity = NoteKey.ParseVerifierKey(report.IdentityKey)!;
        Assert.True(Parse(fork.First).IsSignedBy(identity) && Parse(fork.Second).IsSignedBy(identity));
        string text = report.ToText();
        foreach (string line in (fork.First + fork.Second).TrimEnd('\n').Split('\n').Where(l => l.Length > 0))
        {
            Assert.Contains("    " + line + "\n", text, StringComparison.Ordinal);
        }

        // Without its published note the ledger's own word is in the checkpoint line, under the epoch key.
        File.Delete(Path.Combine(a.Ledger, "checkpoints", LedgerFormat.PublishedName(6)));
        Assert.Equal(LedgerReader.CheckpointAt(a.Ledger, 6), Assert.Single(Verify(a, heads: [head]).Forks).Second);

        // A head in text form accuses as well, but carries no signature to show to others.
        report = Verify(a, heads: [a.Write("known.txt", HeadText.Encode(CheckpointOf(b.Published(6))))]);
        Has(report, 31, "two histories exist");
        Assert.Empty(report.Forks);
        using var without = JsonDocument.Parse(report.ToJson());
        Assert.False(without.RootElement.TryGetProperty("fork_evidence", out _));
    }

    [Fact]
    public void Two_brought_heads_that_contradict_each_other_are_a_fork_whatever_the_ledger_holds()
    {
        var (first, other) = Fork();
        using var a = first;
        using var b = other;
        using var cut = Copy(a);
        byte[] segment = File.ReadAllBytes(cut.Segments[^1]);
        int end = Encoding.UTF8.GetString(segment).IndexOf("\\n3\\n", StringComparison.Ordinal);
        File.WriteAllBytes(cut.Segments[^1], segment[..(segment.AsSpan(end).IndexOf((byte)'\n') + end + 1)]); // acknowledged entries are gone
        string[] heads = [cut.Write("a.note", a.Published(10)), cut.Write("b.note", b.Published(10))];
        Assert.Equal(30, Verify(cut, heads: [heads[0]]).VerdictCode);
        var report = Verify(cut, heads: heads);
        Has(report, 31, "have different roots for 10 entries");
        Assert.Equal(Encoding.UTF8.GetString(a.Published(10)), Assert.Single(report.Forks).First);
    }

    [Fact]
    public void A_head_in_text_form_is_a_known_head()
    {
        string text = HeadText.Encode(CheckpointOf(ledger.Published(6)));
        Assert.Equal((0, 6L), (Verify(ledger, heads: [ledger.Write("h.txt", text)]).VerdictCode, Verify(ledger, heads: [ledger.Write("h.txt", text)]).AnchoredSize));
        var report = Verify(ledger, heads: [ledger.Write("h.txt", text.Replace("size 6", "size 5", StringComparison.Ordinal))]);
        Assert.Equal(64, report.ExitCode);
        Assert.Contains("mistyped", report.Summary, StringComparison.Ordinal);
        Has(Verify(ledger, heads: [ledger.Write("h.txt", HeadText.Encode(new Checkpoint("evident.local/0123", 6, new byte[32])))]), 33, "this ledger is");
        Has(Verify(ledger, heads: [ledger.Write("h.txt", HeadText.Encode(CheckpointOf(ledger.Published(6)) with { Size = 60 }))]), 30, "once had 60 entries");
    }

    [Theory]
    [InlineData("", "no 'quorum' line")]
    [InlineData("quorum none\n", "no 'log' line")]
    [InlineData("\0", "does not end")]
    public void A_policy_that_cannot_be_read_is_a_wrong_command_line(string policy, string why)
    {
        var report = Verify(ledger, ledger.Write("policy.txt", policy));
        Assert.Equal(64, report.ExitCode);
        Assert.Contains(why, report.Summary, StringComparison.Ordinal);
        Assert.Equal(64, Verify(ledger, Path.Combine(ledger.Data, "no-such-file")).ExitCode);
        Assert.Equal(64, Verify(ledger, ledger.Data).ExitCode);
    }

    [Fact]
    public void An_auditors_witness_cosigns_what_was_verified_and_remembers_it()
    {
        string dir = Path.Combine(ledger.Data, "auditor");
        using (var witness = Witness.Init(dir, "auditor.example"))
        {
            witness.Follow(NoteKey.ParseVerifierKey(ledger.IdentityVkey())!);
        }

        var before = Picture(ledger.Ledger);
        var report = Verify(ledger, cosign: dir);
        Assert.Equal(10, report.VerdictCode); // the first time there was no anchor yet
        var cosigned = Parse(report.Cosigned);
        Assert.Equal(ledger.Published(10), SignedNote.Encode(cosigned.Text, cosigned.Signatures.SkipLast(1)));
        var key = new WitnessDirectory(dir).ReadKey();
        Assert.True(key.Verifies(cosigned.Signatures[^1], cosigned.Text, out long time));
        Assert.Equal(new HandClock().UnixMillis / 1000, time);
        Assert.EndsWith(report.Cosigned, report.ToText(), StringComparison.Ordinal);
        Assert.Equal(report.Cosigned, JsonDocument.Parse(report.ToJson()).RootElement.GetProperty("cosigned").GetString());
        Assert.Equal(before, Picture(ledger.Ledger));

        report = Verify(ledger, cosign: dir);
        Assert.Equal((0, 10L), (report.VerdictCode, report.AnchoredSize));
        Assert.Contains(report.Inputs, i => i.File.EndsWith("/checkpoint", StringComparison.Ordinal));
        using (var log = ledger.Open())
        {
            log.Append(LedgerScratch.Calls(500, 2));
            log.Close();
        }

        report = Verify(ledger, cosign: dir);
        Assert.Equal((0, 10L, 12L), (report.VerdictCode, report.AnchoredSize, CheckpointOf(Bytes(report.Cosigned)).Size));
        Assert.Equal((0, 12L), (Verify(ledger, cosign: dir).VerdictCode, Verify(ledger, cosign: dir).AnchoredSize));

        // The cosigned note is an anchor for whoever names this witness in his policy.
        ledger.FileAnchor(Bytes(report.Cosigned), key);
        string policy = ledger.Write("policy.txt", $"log {ledger.IdentityVkey()}\nwitness auditor {key.ToVerifierKey()}\nquorum auditor\n");
        Assert.Equal((0, 12L), (Verify(ledger, policy).VerdictCode, Verify(ledger, policy).AnchoredSize));

        static string Picture(string directory) => string.Join('\n', Directory.GetFiles(directory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(f => $"{f} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(f)))}"));
    }

    [Fact]
    public void An_auditors_witness_refuses_the_other_history_and_signs_nothing_after_an_accusation()
    {
        var (first, other) = Fork();
        using var a = first;
        using var b = other;
        string dir = Path.Combine(a.Data, "auditor");
        using (var witness = Witness.Init(dir, "auditor.example"))
        {
            witness.Follow(NoteKey.ParseVerifierKey(a.IdentityVkey())!);
        }

        string seen = Verify(a, cosign: dir).Cosigned;
        var report = Verify(b, cosign: dir);
        Has(report, 31, "two histories exist");
        Assert.Equal(("", seen), (report.Cosigned, Assert.Single(report.Forks).First));
        Assert.Equal(seen, File.ReadAllText(Path.Combine(Directory.GetDirectories(Path.Combine(dir, "logs"))[0], "checkpoint")));
    }

    [Fact]
    public void A_witness_that_cannot_cosign_says_so_and_accuses_nobody()
    {
        string dir = Path.Combine(ledger.Data, "auditor");
        var report = Verify(ledger, cosign: dir);
        Assert.Equal(64, report.ExitCode);
        Assert.Contains("no witness's directory", report.Summary, StringComparison.Ordinal);
        using (var witness = Witness.Init(dir, "auditor.example"))
        {
            Assert.Contains("another evident process", Verify(ledger, cosign: dir).Summary, StringComparison.Ordinal);
        }

        string head = ledger.KeepHead();
        Has(Verify(ledger, cosign: dir, heads: [head]), 40, "nothing was cosigned (404)");
        using (var witness = Witness.Init(dir, null))
        {
            using var key = Signer(CheckpointOf(ledger.Published(3)).Origin, 66);
            witness.Follow(key.Public);
        }

        Has(Verify(ledger, cosign: dir, heads: [head]), 33, "the witness trusts another key");
    }

    /// <summary>Whatever stands in the files of anchors/, the verifier ends with a verdict.</summary>
    [Fact]
    public void Mutated_anchors_have_a_verdict_and_never_more_than_they_prove()
    {
        byte[] good = Cosigned(10, one);
        string policy = Policy("w1"), name = AnchorNotes.Name(10, one.Public.KeyId), path = Path.Combine(ledger.Ledger, "anchors", name);
        ledger.FileAnchor(good, name);
        Assert.Equal(0, Verify(ledger, policy).VerdictCode);
        var random = new Random(31);
        for (int round = 0; round < 150; round++)
        {
            byte[] changed = [.. good];
            changed[random.Next(changed.Length)] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(path, changed);
            var report = Verify(ledger, policy);
            bool strangerOnly = SignedNote.TryParse(changed, out var note, out _) && note.Text.AsSpan().SequenceEqual(Parse(good).Text)
                && note.IsSignedBy(NoteKey.ParseVerifierKey(report.IdentityKey)!) && note.Signatures.Any(s => one.Public.Verifies(s, note.Text, out long _));
            Assert.Equal(strangerOnly, report.VerdictCode == 0);
            Assert.Contains(report.VerdictCode, (int[])[0, 11, 12, 31, 32, 33, 34]);
        }
    }
}
