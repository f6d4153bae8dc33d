using System.Security.Cryptography;
using System.Text;
using Evident.Ledger;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Ledger;

/// <summary>Cosignatures, heads as text, tlog-proofs and add-checkpoint requests, with the vectors that an independent implementation made.</summary>
public class EvidenceFormatTests
{
    private static readonly byte[][] Leaves = [Merkle.Leaf("{\"seq\":0}"u8), Merkle.Leaf("{\"seq\":1}"u8), Merkle.Leaf("{\"seq\":2}"u8)];

    private static byte[] Subtree(long start, long end) => Merkle.Root(Leaves[(int)start..(int)end]);

    [Fact]
    public void The_cosignature_vector_is_written_and_read()
    {
        using var key = Cosigner("witness.example/w1", 0x20);
        Assert.Equal(WitnessVkey, key.Public.ToVerifierKey());
        var note = Parse(Note);
        Assert.Equal(Convert.ToBase64String(note.Signatures[1].KeyIdAndSignature), Convert.ToBase64String(key.Sign(note.Text, 1_700_000_000).KeyIdAndSignature));
        Assert.True(CosignerKey.ParseVerifierKey(WitnessVkey)!.Verifies(note.Signatures[1], note.Text, out long time));
        Assert.Equal(1_700_000_000, time);
        Assert.Equal("2023-11-14T22:13:20.000Z", Cosignature.TimeText(time));
    }

    [Fact]
    public void A_cosignature_covers_its_time_the_whole_checkpoint_and_its_key()
    {
        var note = Parse(Note);
        var key = CosignerKey.ParseVerifierKey(WitnessVkey)!;
        for (int at = 0; at < CosignerKey.LineBytes; at++)
        {
            byte[] changed = [.. note.Signatures[1].KeyIdAndSignature];
            changed[at] ^= 1;
            Assert.False(key.Verifies(new NoteSignature(key.Name, changed), note.Text, out _), $"byte {at}");
        }

        for (int at = 0; at < note.Text.Length; at++)
        {
            byte[] text = [.. note.Text];
            text[at] ^= 1;
            Assert.False(key.Verifies(note.Signatures[1], text, out _), $"byte {at} of the text");
        }

        byte[] signature = note.Signatures[1].KeyIdAndSignature;
        Assert.False(key.Verifies(new NoteSignature("witness.example/w2", signature), note.Text, out _));
        Assert.False(key.Verifies(new NoteSignature(key.Name, signature[..^1]), note.Text, out _));
        Assert.False(key.Verifies(new NoteSignature(key.Name, [.. signature, 0]), note.Text, out _));
        Assert.False(key.Verifies(new NoteSignature(key.Name, [.. signature[..4], .. signature[12..]]), note.Text, out _)); // no time
    }

    [Fact]
    public void A_time_that_a_calendar_does_not_reach_is_a_number_and_one_beyond_2_63_is_none()
    {
        using var key = Cosigner("w", 0x20);
        var note = Parse(Note);
        Assert.True(key.Public.Verifies(key.Sign(note.Text, long.MaxValue), note.Text, out long time));
        Assert.Equal("9223372036854775807", Cosignature.TimeText(time));
        Assert.Null(Cosignature.DateText(time));
        Assert.Equal("9999-12-31T23:59:59.000Z", Cosignature.TimeText(253_402_300_799));
        var line = key.Sign(note.Text, 5);
        line.KeyIdAndSignature[4] = 0x80;
        Assert.False(key.Public.Verifies(line, note.Text, out _));
    }

    /// <summary>The same 32 bytes are one key as a log's and another one as a witness's: type byte and key id differ, and neither parser takes the other's.</summary>
    [Fact]
    public void A_witness_key_is_no_log_key()
    {
        using var witness = Cosigner("ledger.example/test", 0);
        using var log = Signer("ledger.example/test", 0);
        Assert.Equal(witness.Public.PublicKey, log.Public.PublicKey);
        Assert.NotEqual(witness.Public.KeyId, log.Public.KeyId);
        Assert.Null(NoteKey.ParseVerifierKey(witness.Public.ToVerifierKey()));
        Assert.Null(CosignerKey.ParseVerifierKey(log.Public.ToVerifierKey()));
        Assert.NotNull(CosignerKey.ParseVerifierKey(witness.Public.ToVerifierKey()));
        byte[] text = Checkpoint.Encode("ledger.example/test", 3, new byte[32]);
        Assert.False(log.Public.Matches(witness.Sign(text, 1)));
        Assert.False(witness.Public.Verifies(log.Sign(text), text, out _));
    }

    [Theory]
    [InlineData("witness.example/w1+20324abf+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")]
    [InlineData("witness.example/w1+20324ABE+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")]
    [InlineData("witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X\n")]
    [InlineData("witness.example/w2+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")]
    [InlineData("witness example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")]
    [InlineData("+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")]
    [InlineData("witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3")]
    [InlineData("witness.example/w1+20324abe")]
    [InlineData("")]
    public void Verifier_keys_have_one_form(string vkey)
    {
        Assert.Null(CosignerKey.ParseVerifierKey(vkey));
        Assert.Null(NoteKey.ParseVerifierKey(vkey));
    }

    [Fact]
    public void The_tlog_proof_vector_is_written_read_and_proves_its_entry()
    {
        var path = Merkle.InclusionPath(1, 3, Subtree);
        string expected = "c2sp.org/tlog-proof@v1\nindex 1\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n0+CmKo96klbIvrcVr97YPkMm0sRzedJZsXCahArS8R0=\n\n" + Note;
        Assert.Equal(expected, Encoding.UTF8.GetString(new TlogProof(1, path, Parse(Note)).Encode()));
        Assert.True(TlogProof.TryParse(Bytes(expected), out var proof, out _));
        var log = NoteKey.ParseVerifierKey(LogVkey)!;
        Assert.True(proof.Proves(Leaves[1], log));
        Assert.False(proof.Proves(Leaves[0], log));
        Assert.False((proof with { Index = 2 }).Proves(Leaves[1], log));
        Assert.False((proof with { Path = [path[1], path[0]] }).Proves(Leaves[1], log));
        using var other = Signer("ledger.example/test", 1);
        Assert.False(proof.Proves(Leaves[1], other.Public));

        string extra = expected.Replace("index", "extra AAEC\nindex", StringComparison.Ordinal);
        Assert.True(TlogProof.TryParse(Bytes(extra), out proof, out _));
        Assert.Equal([0, 1, 2], proof.Extra!);
        Assert.Equal(extra, Encoding.UTF8.GetString(proof.Encode()));
    }

    [Theory]
    [InlineData("c2sp.org/tlog-proof@v1\n", "c2sp.org/tlog-proof@v2\n")]
    [InlineData("index 1", "index 01")]
    [InlineData("index 1", "index +1")]
    [InlineData("index 1", "index  1")]
    [InlineData("index 1", "index 9007199254740992")]
    [InlineData("index 1\n", "")]
    [InlineData("index 1\n", "index 1\nextra AAEC\n")]
    [InlineData("index 1\n", "extra AAEC\nextra AAEC\nindex 1\n")]
    [InlineData("index 1\n", "extra \nindex 1\n")]
    [InlineData("index 1\n", "extra AAE\nindex 1\n")]
    [InlineData("QA0=\n", "QA0=\r\n")]
    [InlineData("QA0=\n", "QA1=\n")]
    [InlineData("QA0=\n", "\n")]
    [InlineData("8R0=\n\n", "8R0=\n")]
    [InlineData("\u2014 ledger", "-- ledger")]
    public void A_tlog_proof_has_one_form(string from, string to)
    {
        string good = "c2sp.org/tlog-proof@v1\nindex 1\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n0+CmKo96klbIvrcVr97YPkMm0sRzedJZsXCahArS8R0=\n\n" + Note;
        Assert.False(TlogProof.TryParse(Bytes(good.Replace(from, to, StringComparison.Ordinal)), out _, out string failure));
        Assert.NotEmpty(failure);
    }

    [Fact]
    public void The_consistency_vector_is_written_and_read_as_a_request()
    {
        var path = Merkle.ConsistencyPath(1, 3, Subtree);
        string expected = "old 1\nsRmnekhkMIxIHvuUf/cj1r1Ooef6uQLrjKmL11nkau4=\n0+CmKo96klbIvrcVr97YPkMm0sRzedJZsXCahArS8R0=\n\n" + Note;
        Assert.Equal(expected, Encoding.UTF8.GetString(new AddCheckpoint(1, path, Parse(Note)).Encode()));
        Assert.True(AddCheckpoint.TryParse(Bytes(expected), out var request, out _));
        Assert.Equal(1, request.Old);
        Assert.True(Merkle.VerifyConsistency(1, Leaves[0], 3, Merkle.Root(Leaves), request.Path));
        Assert.False(AddCheckpoint.LooksLikeOne(Bytes(Note)));

        string hash = "sRmnekhkMIxIHvuUf/cj1r1Ooef6uQLrjKmL11nkau4=\n";
        Assert.True(AddCheckpoint.TryParse(Bytes("old 1\n" + string.Concat(Enumerable.Repeat(hash, 63)) + "\n" + Note), out _, out _));
        Assert.False(AddCheckpoint.TryParse(Bytes("old 1\n" + string.Concat(Enumerable.Repeat(hash, 64)) + "\n" + Note), out _, out _));
        Assert.False(AddCheckpoint.TryParse(Bytes("old -1\n\n" + Note), out _, out _));
        Assert.False(AddCheckpoint.TryParse(Bytes("old 01\n\n" + Note), out _, out _));
        Assert.False(AddCheckpoint.TryParse(Bytes("old 1\n" + Note), out _, out _));
        Assert.False(AddCheckpoint.TryParse(Bytes("old 1\n" + Convert.ToBase64String(new byte[33]) + "\n\n" + Note), out _, out _)); // as long as a hash's base64
        Assert.False(Merkle.VerifyConsistency(2, Subtree(0, 2), 3, Merkle.Root(Leaves), [new byte[33]]));
        Assert.False(Merkle.VerifyConsistency(3, Merkle.Root(Leaves), 4, new byte[32], [new byte[33], new byte[32]]));
        Assert.False(AddCheckpoint.TryParse(Bytes("old 1\n" + hash + "\n" + Note[..^1]), out _, out _));
        Assert.False(AddCheckpoint.TryParse([.. Bytes("old 1\n\n"), .. new byte[AddCheckpoint.MaxBytes]], out _, out _));
    }

    [Fact]
    public void A_head_in_text_form_is_what_the_document_says()
    {
        var head = new Checkpoint("ledger.example/test", 3, Merkle.Root(Leaves));
        string text = HeadText.Encode(head);
        string above = "evident head v1\nledger.example/test\nsize 3\n"
            + "root 3db6 7665 eea8 c26d e341 668c 1d31 99f6 1de4 b780 a828 569a 898c e48c 28d9 31f3\n";
        Assert.Equal(above + "check " + Convert.ToHexStringLower(SHA256.HashData(Bytes(above)))[..8] + "\n", text);
        Assert.True(HeadText.TryParse(Bytes(text), out var read, out _));
        Assert.Equal((head.Origin, head.Size), (read.Origin, read.Size));
        Assert.Equal(head.Root, read.Root);
    }

    [Theory]
    [InlineData("3db6", "3db7", "mistyped")]
    [InlineData("size 3", "size 4", "mistyped")]
    [InlineData("test", "tist", "mistyped")]
    [InlineData("size 3", "size 03", "no head")]
    [InlineData("3db6", "3DB6", "no head")]
    [InlineData("3db6 7665", "3db67665", "no head")]
    [InlineData("check", "cheque", "mistyped")]
    [InlineData("\nsize", "\r\nsize", "no head")]
    [InlineData("head v1", "head v2", "no head")]
    public void A_mistyped_head_is_refused(string from, string to, string why)
    {
        string text = HeadText.Encode(new Checkpoint("ledger.example/test", 3, Merkle.Root(Leaves)));
        Assert.False(HeadText.TryParse(Bytes(text.Replace(from, to, StringComparison.Ordinal)), out _, out string failure));
        Assert.Contains(why, failure, StringComparison.Ordinal);
        Assert.False(HeadText.TryParse(Bytes(text + "\n"), out _, out _));
        Assert.False(HeadText.TryParse(Bytes(text[..^1]), out _, out _));
    }

    [Fact]
    public void Anchor_names_have_one_form()
    {
        Assert.Equal("00000000000000000003-20324abe.note", AnchorNotes.Name(3, [0x20, 0x32, 0x4a, 0xbe]));
        Assert.True(AnchorNotes.TryParseName("00000000000000000003-20324abe.note", out long size, out string keyId));
        Assert.Equal((3L, "20324abe"), (size, keyId));
        foreach (string name in (string[])["3-20324abe.note", "00000000000000000003-20324ABE.note", "00000000000000000003_20324abe.note", "0000000000000000000x-20324abe.note",
            "-0000000000000000003-20324abe.note", "00000000000000000003-20324abe.tmp", "00000000000000000003-20324abe.note.tmp", "99999999999999999999-20324abe.note", ""])
        {
            Assert.False(AnchorNotes.TryParseName(name, out _, out _), name);
        }
    }
}
