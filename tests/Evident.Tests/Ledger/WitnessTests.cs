using System.Security.Cryptography;
using System.Text;
using Evident.Ledger;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Ledger;

/// <summary>The witness: its directory, its checks in their order, what it records before it answers, what it keeps.</summary>
public sealed class WitnessTests : IDisposable
{
    private const long Now = 1_700_000_000;

    private readonly LedgerScratch ledger = NewLedger();
    private readonly LedgerScratch place = new();

    private string Dir => Path.Combine(place.Data, "w");

    public void Dispose()
    {
        ledger.Dispose();
        place.Dispose();
    }

    private Witness Following(LedgerScratch? of = null)
    {
        var witness = Witness.Init(Dir, "w1.example");
        witness.Follow(NoteKey.ParseVerifierKey((of ?? ledger).IdentityVkey())!);
        return witness;
    }

    private static int CodeOf(Witness witness, byte[] file) => Assert.Throws<WitnessRefusalException>(() => witness.Cosign(file, Now)).Code;

    private static byte[] Change(byte[] request, Func<AddCheckpoint, AddCheckpoint> change)
    {
        Assert.True(AddCheckpoint.TryParse(request, out var parsed, out string failure), failure);
        return change(parsed).Encode();
    }

    [Fact]
    public void A_witness_is_made_once_and_keeps_its_key()
    {
        string vkey;
        using (var witness = Witness.Init(Dir, "w1.example"))
        {
            vkey = witness.Public.ToVerifierKey();
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Dir, "witness.key")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Dir));
        Assert.Matches("^evident-witness-key/v1 w1\\.example [0-9a-f]{64}\n$", File.ReadAllText(Path.Combine(Dir, "witness.key")));
        Assert.Equal(vkey + "\n", File.ReadAllText(Path.Combine(Dir, "witness.vkey")));
        Assert.NotNull(CosignerKey.ParseVerifierKey(vkey));
        using (var again = Witness.Init(Dir, null))
        {
            Assert.Equal(vkey, again.Public.ToVerifierKey());
        }

        Assert.Contains("one witness with one key", Assert.Throws<WitnessStateException>(() => Witness.Init(Dir, "w2.example")).Message, StringComparison.Ordinal);
        using (var same = Witness.Init(Dir, "w1.example"))
        {
            Assert.Equal(vkey, same.Public.ToVerifierKey()); // the refused attempt let the lock go
        }

        Assert.Contains("--name", Assert.Throws<WitnessStateException>(() => Witness.Init(Path.Combine(place.Data, "other"), null)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(place.Data, "other")));
        Assert.Throws<WitnessStateException>(() => Witness.Open(place.Data));
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("plus+sign")]
    [InlineData("line\nfeed")]
    [InlineData("\u009b31m")]
    public void A_name_that_no_note_could_carry_is_refused(string name)
    {
        Assert.Throws<WitnessStateException>(() => Witness.Init(Dir, name));
        Assert.False(File.Exists(Path.Combine(Dir, "witness.key")));
    }

    /// <summary>What a crash inside init leaves is finished by the next one; a key that is lost makes no second one.</summary>
    [Fact]
    public void Init_goes_on_after_a_crash_and_never_makes_a_second_key()
    {
        Directory.CreateDirectory(Dir);
        File.WriteAllText(Path.Combine(Dir, "witness.key.tmp"), "evident-witness-key/v1 w1.exa");
        string vkey;
        using (var witness = Witness.Init(Dir, "w1.example"))
        {
            vkey = witness.Public.ToVerifierKey();
        }

        File.Delete(Path.Combine(Dir, "witness.vkey")); // crash between the two files
        using (var witness = Witness.Init(Dir, null))
        {
            Assert.Equal(vkey, witness.Public.ToVerifierKey());
        }

        Assert.Equal(vkey + "\n", File.ReadAllText(Path.Combine(Dir, "witness.vkey")));
        File.Delete(Path.Combine(Dir, "witness.key"));
        Assert.Contains("lost its key", Assert.Throws<WitnessStateException>(() => Witness.Init(Dir, "w1.example")).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(Dir, "witness.key")));
    }

    [Fact]
    public void A_log_is_followed_under_one_key_for_ever()
    {
        using var witness = Following();
        var key = NoteKey.ParseVerifierKey(ledger.IdentityVkey())!;
        Assert.False(witness.Follow(key));
        using var other = Signer(key.Name, 77);
        Assert.Contains("never replaced", Assert.Throws<WitnessStateException>(() => witness.Follow(other.Public)).Message, StringComparison.Ordinal);
        string folder = Path.Combine(Dir, "logs", Convert.ToHexStringLower(SHA256.HashData(Bytes(key.Name))));
        Assert.Equal(ledger.IdentityVkey() + "\n", File.ReadAllText(Path.Combine(folder, "log.vkey")));
    }

    [Fact]
    public void A_ledger_is_cosigned_as_it_grows()
    {
        using var witness = Following();
        byte[] first = witness.Cosign(ledger.Request(0, 3), Now);
        Assert.Equal(With(ledger.Published(3), Parse(first).Signatures[^1]), first); // the note, and one line more
        Assert.True(witness.Public.Verifies(Parse(first).Signatures[^1], Parse(first).Text, out long time));
        Assert.Equal(Now, time);
        Assert.Equal(first, witness.Log(CheckpointOf(first).Origin)!.Note);
        byte[] second = witness.Cosign(ledger.Request(3, 10), Now + 60);
        Assert.Equal(10, CheckpointOf(second).Size);
        Assert.Equal(second, witness.Log(CheckpointOf(first).Origin)!.Note);

        // A copy that carries another witness's line and an old one of this witness: that one gives way to the new one.
        using var other = Cosigner("w2.example", 3);
        byte[] copy = With(second, other.Sign(Parse(second).Text, 1));
        byte[] third = witness.Cosign(copy, Now + 120);
        Assert.Equal(Parse(second).Signatures.Count + 1, Parse(third).Signatures.Count);
        Assert.Single(Parse(third).Signatures, witness.Public.Matches);
        Assert.Equal(10, witness.Log(CheckpointOf(third).Origin)!.Size);
    }

    [Fact]
    public void A_bare_note_is_taken_where_no_path_is_needed()
    {
        using var witness = Following();
        Assert.Equal(6, CheckpointOf(witness.Cosign(ledger.Published(6), Now)).Size);
        Assert.Equal(6, CheckpointOf(witness.Cosign(ledger.Published(6), Now)).Size);
        var refusal = Assert.Throws<WitnessRefusalException>(() => witness.Cosign(ledger.Published(10), Now));
        Assert.Equal(409, refusal.Code);
        Assert.Contains("--since 6", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(409, CodeOf(witness, ledger.Published(3)));
        Assert.Equal(10, CheckpointOf(witness.Cosign(ledger.Request(6, 10), Now)).Size);
    }

    /// <summary>T18: every way in which a request does not show that the log only grew.</summary>
    [Fact]
    public void T18_wrong_requests_have_their_codes()
    {
        using (var fresh = Following())
        {
            // old = 0 with a proof
            Assert.Equal(422, CodeOf(fresh, Change(ledger.Request(3, 6), r => r with { Old = 0 })));
            fresh.Cosign(ledger.Request(0, 3), Now);
            byte[] good = ledger.Request(3, 10);
            Assert.Equal(422, CodeOf(fresh, Change(good, r => r with { Path = [] })));
            Assert.Equal(422, CodeOf(fresh, Change(good, r => r with { Path = [.. r.Path.Select((h, i) => i == 1 ? new byte[32] : h)] })));
            Assert.Equal(422, CodeOf(fresh, Change(good, r => r with { Path = [.. r.Path, r.Path[0]] })));
            Assert.Equal(422, CodeOf(fresh, Change(good, r => r with { Path = [.. r.Path.SkipLast(1)] })));
            Assert.Equal(422, CodeOf(fresh, Change(good, r => r with { Path = [r.Path[1], r.Path[0], .. r.Path.Skip(2)] })));
            Assert.Equal(400, CodeOf(fresh, Change(good, r => r with { Old = 11 })));
            Assert.Equal(409, CodeOf(fresh, ledger.Request(1, 10)));
            Assert.Equal(409, CodeOf(fresh, ledger.Request(6, 10)));
            Assert.Equal(409, CodeOf(fresh, ledger.Request(0, 3)));
            Assert.Equal(3, fresh.Log(CheckpointOf(ledger.Published(3)).Origin)!.Size);
            Assert.Equal(10, CheckpointOf(fresh.Cosign(good, Now)).Size); // none of them did harm
            Assert.Equal(422, CodeOf(fresh, Change(ledger.Request(10, 10), r => r with { Path = [new byte[32]] })));
        }
    }

    /// <summary>old == size with another root, and a size that is empty without the empty root: signed by a log that does such a thing.</summary>
    [Fact]
    public void A_log_that_signs_two_roots_of_one_size_is_refused_and_both_notes_are_kept()
    {
        using var log = Signer("bad.example", 9);
        byte[] Signed(long size, byte[] root)
        {
            byte[] text = Checkpoint.Encode("bad.example", size, root);
            return SignedNote.Encode(text, [log.Sign(text)]);
        }

        byte[] one = [.. Enumerable.Repeat((byte)1, 32)], two = [.. Enumerable.Repeat((byte)2, 32)];
        using var witness = Witness.Init(Dir, "w1.example");
        witness.Follow(log.Public);
        Assert.Equal(422, CodeOf(witness, Signed(0, one)));
        Assert.Equal(0, CheckpointOf(witness.Cosign(Signed(0, Merkle.EmptyRoot), Now)).Size);
        byte[] cosigned = witness.Cosign(Signed(5, one), Now);
        byte[] request = new AddCheckpoint(5, [], Parse(Signed(5, two))).Encode();
        Assert.Equal(422, CodeOf(witness, request));
        Assert.Equal(422, CodeOf(witness, Signed(5, two)));
        Assert.Equal(422, CodeOf(witness, Signed(5, two))); // kept once
        Assert.Equal(cosigned, witness.Log("bad.example")!.Note);

        string refused = Path.Combine(Dir, "logs", Convert.ToHexStringLower(SHA256.HashData("bad.example"u8)), "refused");
        string name = Convert.ToHexStringLower(SHA256.HashData(request))[..16];
        Assert.Equal(request, File.ReadAllBytes(Path.Combine(refused, name + ".txt")));
        Assert.Equal(cosigned, File.ReadAllBytes(Path.Combine(refused, name + ".note")));
        Assert.Equal(3, witness.Log("bad.example")!.Refused);
        Assert.True(Parse(cosigned).IsSignedBy(log.Public) && Parse(Signed(5, two)).IsSignedBy(log.Public)); // two signed heads that no honest log signs
    }

    [Fact]
    public void Evidence_is_kept_up_to_a_limit()
    {
        using var log = Signer("bad.example", 9);
        using var witness = Witness.Init(Dir, "w1.example");
        witness.Follow(log.Public);
        byte[] Signed(int i)
        {
            byte[] text = Checkpoint.Encode("bad.example", 0, SHA256.HashData(BitConverter.GetBytes(i)));
            return SignedNote.Encode(text, [log.Sign(text)]);
        }

        string folder = Path.Combine(Dir, "logs", Convert.ToHexStringLower(SHA256.HashData("bad.example"u8)), "refused");
        Directory.CreateDirectory(folder);
        for (int i = 0; i < 255; i++)
        {
            File.WriteAllText(Path.Combine(folder, $"{i:x16}.txt"), "");
        }

        Assert.Contains("kept as evidence", Assert.Throws<WitnessRefusalException>(() => witness.Cosign(Signed(1), Now)).Message, StringComparison.Ordinal);
        Assert.Contains("not kept", Assert.Throws<WitnessRefusalException>(() => witness.Cosign(Signed(2), Now)).Message, StringComparison.Ordinal);
        Assert.Equal(256, Directory.GetFiles(folder, "*.txt").Length);
    }

    /// <summary>The checks come in the specification's order: each request here is wrong in every later way as well.</summary>
    [Fact]
    public void Checks_are_made_in_their_order()
    {
        using var witness = Following();
        witness.Cosign(ledger.Request(0, 6), Now);
        byte[] wrong = Change(ledger.Request(3, 10), r => r with { Old = 99, Path = [new byte[32]] });
        Assert.Equal(400, CodeOf(witness, wrong));
        Assert.Equal(409, CodeOf(witness, Change(wrong, r => r with { Old = 3 })));
        Assert.Equal(422, CodeOf(witness, Change(wrong, r => r with { Old = 6 })));

        // 403: no signature of the trusted key, and an invalid one beside a valid one.
        byte[] unsigned = Change(wrong, r => r with { Note = Parse(SignedNote.Encode(r.Note.Text, [r.Note.Signatures[0]])) });
        Assert.Equal(403, CodeOf(witness, unsigned));
        Assert.Equal(403, CodeOf(witness, Change(wrong, r =>
        {
            byte[] broken = [.. r.Note.Signatures[^1].KeyIdAndSignature];
            broken[20] ^= 1;
            return r with { Note = Parse(With(r.Note.Encode(), new NoteSignature(r.Note.Signatures[^1].Name, broken))) };
        })));
        byte[] tampered = Change(ledger.Request(6, 10), r => r with { Note = Parse(Encoding.UTF8.GetString(r.Note.Encode()).Replace("\n10\n", "\n11\n", StringComparison.Ordinal)) });
        Assert.Equal(403, CodeOf(witness, tampered));

        // 404: a valid note of a log that is not followed.
        using var stranger = Signer("stranger.example", 5);
        byte[] text = Checkpoint.Encode("stranger.example", 3, new byte[32]);
        Assert.Equal(404, CodeOf(witness, new AddCheckpoint(99, [], Parse(SignedNote.Encode(text, [stranger.Sign(text)]))).Encode()));

        // 400: no request at all.
        foreach (byte[] nonsense in (byte[][])[[], Bytes("old 6\n"), Bytes("hello\n"), [.. ledger.Published(10)[..^1]], Bytes("old 6\n\n" + Encoding.UTF8.GetString(ledger.Published(10)).Replace("\n\n", "\nextension\n\n", StringComparison.Ordinal))])
        {
            Assert.Equal(400, CodeOf(witness, nonsense));
        }

        Assert.Equal(6, witness.Log(CheckpointOf(ledger.Published(6)).Origin)!.Size);
    }

    /// <summary>
    /// T19: the answer was recorded and never arrived. Whoever asks again, with the same request or another, gets that head or a newer one; never another root
    /// of that size.
    /// </summary>
    [Fact]
    public void T19_asked_again_after_a_crash_the_same_head_or_a_newer_one()
    {
        var (one, other) = Fork();
        using var first = one;
        using var second = other;
        using (var witness = Following(one))
        {
            witness.Cosign(one.Request(0, 3), Now);
            _ = witness.Cosign(one.Request(3, 6), Now); // recorded; the process dies before anybody sees it
        }

        File.WriteAllText(Path.Combine(Directory.GetDirectories(Path.Combine(Dir, "logs"))[0], "checkpoint.tmp"), "evident.local/");
        using (var witness = Witness.Open(Dir))
        {
            Assert.Equal(409, CodeOf(witness, one.Request(3, 6)));
            Assert.Equal(409, CodeOf(witness, other.Request(3, 6)));
            Assert.Equal(422, CodeOf(witness, other.Published(6)));
            Assert.Equal(422, CodeOf(witness, other.Request(6, 10)));
            Assert.Equal(CheckpointOf(one.Published(6)).Root, CheckpointOf(witness.Cosign(one.Published(6), Now + 1)).Root);
            Assert.Equal(10, CheckpointOf(witness.Cosign(one.Request(6, 10), Now + 2)).Size);
        }
    }

    /// <summary>
    /// Two histories under the same keys, any requests in any order, answers lost at random, the witness opened anew: the heads that were ever cosigned form one
    /// history.
    /// </summary>
    [Fact]
    public void Whatever_is_asked_one_history_is_cosigned()
    {
        var (one, other) = Fork();
        using var first = one;
        using var second = other;
        long[] sizes = [1, 3, 6, 10];
        var random = new Random(19);
        for (int round = 0; round < 6; round++)
        {
            string dir = Path.Combine(place.Data, $"round-{round}");
            var cosigned = new Dictionary<long, byte[]>();
            long last = 0;
            using (var witness = Witness.Init(dir, "w1.example"))
            {
                witness.Follow(NoteKey.ParseVerifierKey(one.IdentityVkey())!);
            }

            for (int step = 0; step < 40; step++)
            {
                var source = random.Next(2) == 0 ? one : other;
                long size = sizes[random.Next(4)], old = sizes.Append(0).Where(s => s <= size).ElementAt(random.Next(sizes.Count(s => s <= size) + 1));
                using var witness = Witness.Open(dir);
                byte[] answer;
                try
                {
                    answer = witness.Cosign(random.Next(3) == 0 ? source.Published(size) : source.Request(old, size), Now + step);
                }
                catch (WitnessRefusalException refusal)
                {
                    Assert.Contains(refusal.Code, (int[])[409, 422]);
                    continue;
                }

                var head = CheckpointOf(answer);
                Assert.True(head.Size >= last);
                last = head.Size;
                Assert.True(cosigned.TryAdd(head.Size, head.Root) || cosigned[head.Size].AsSpan().SequenceEqual(head.Root), "two roots of one size");
            }

            bool ofOne = cosigned.All(c => CheckpointOf(one.Published(c.Key)).Root.AsSpan().SequenceEqual(c.Value));
            bool ofOther = cosigned.All(c => CheckpointOf(other.Published(c.Key)).Root.AsSpan().SequenceEqual(c.Value));
            Assert.True(ofOne || ofOther, "heads of two histories were cosigned");
            Assert.NotEmpty(cosigned);
        }
    }

    /// <summary>Several processes at once (flock counts open files, so threads do as well): each is served or told to wait, and one history wins.</summary>
    [Fact]
    public void Two_at_once_never_cosign_two_roots_of_one_size()
    {
        var (one, other) = Fork();
        using var first = one;
        using var second = other;
        using (Following(one))
        {
            Assert.Contains("another evident process", Assert.Throws<WitnessStateException>(() => Witness.Open(Dir)).Message, StringComparison.Ordinal);
        }

        var answers = new System.Collections.Concurrent.ConcurrentBag<byte[]>();
        byte[][] requests = [one.Published(6), other.Published(6)];
        Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            try
            {
                using var witness = Witness.Open(Dir);
                answers.Add(witness.Cosign(requests[i % 2], Now));
            }
            catch (Exception e) when (e is WitnessStateException or WitnessRefusalException)
            {
            }
        });
        Assert.NotEmpty(answers);
        Assert.Single(answers.Select(a => Convert.ToHexString(CheckpointOf(a).Root)).Distinct());
    }

    [Fact]
    public void A_note_without_room_for_a_line_is_refused()
    {
        using var witness = Following();
        byte[] note = ledger.Published(3);
        var lines = Enumerable.Range(0, 100 - Parse(note).Signatures.Count).Select(i => new NoteSignature($"n{i}", new byte[40])).ToArray();
        Assert.Equal(400, CodeOf(witness, With(note, lines)));
        Assert.Equal(3, CheckpointOf(witness.Cosign(With(note, lines[1..]), Now)).Size);
    }

    /// <summary>A witness that no longer knows what it cosigned must not go on: every damaged record stops it.</summary>
    [Fact]
    public void A_damaged_record_stops_the_witness()
    {
        string origin = CheckpointOf(ledger.Published(3)).Origin, folder;
        using (var witness = Following())
        {
            witness.Cosign(ledger.Published(3), Now);
            folder = Directory.GetDirectories(Path.Combine(Dir, "logs"))[0];
        }

        string checkpoint = Path.Combine(folder, "checkpoint"), vkey = Path.Combine(folder, "log.vkey"), key = Path.Combine(Dir, "witness.key");
        byte[] good = File.ReadAllBytes(checkpoint);
        using var stranger = Cosigner("stranger.example", 8);
        foreach (byte[] bad in (byte[][])[[], good[..^1], ledger.Published(3), With(ledger.Published(3), stranger.Sign(Parse(good).Text, 3)),
            Bytes(Encoding.UTF8.GetString(good).Replace("\n3\n", "\n1\n", StringComparison.Ordinal)), [.. good, .. good]])
        {
            File.WriteAllBytes(checkpoint, bad);
            using var witness = Witness.Open(Dir);
            Assert.Throws<WitnessStateException>(() => witness.Cosign(ledger.Request(3, 6), Now));
            Assert.Throws<WitnessStateException>(() => witness.Logs);
        }

        File.WriteAllBytes(checkpoint, good);
        string trusted = File.ReadAllText(vkey);
        foreach (string bad in (string[])["", "nonsense\n", LogVkey + "\n", trusted.TrimEnd('\n'), trusted + trusted])
        {
            File.WriteAllText(vkey, bad);
            using var witness = Witness.Open(Dir);
            Assert.Throws<WitnessStateException>(() => witness.Log(origin));
            Assert.Throws<WitnessStateException>(() => witness.Logs);
        }

        File.Delete(vkey);
        using (var witness = Witness.Open(Dir))
        {
            Assert.Throws<WitnessStateException>(() => witness.Log(origin));
            Assert.Throws<WitnessStateException>(() => witness.Follow(NoteKey.ParseVerifierKey(trusted.TrimEnd('\n'))!));
        }

        File.WriteAllText(vkey, trusted);
        string secret = File.ReadAllText(key);
        foreach (string bad in (string[])["", secret.TrimEnd('\n'), secret.Replace("v1", "v2", StringComparison.Ordinal), secret.ToUpperInvariant(), secret + "\n", secret.Replace("w1.example ", "", StringComparison.Ordinal)])
        {
            File.WriteAllText(key, bad);
            Assert.Throws<WitnessStateException>(() => Witness.Open(Dir));
        }

        File.WriteAllText(key, secret.Replace("w1.example", "w2.example", StringComparison.Ordinal));
        Assert.Contains("is not the verifier key of", Assert.Throws<WitnessStateException>(() => Witness.Open(Dir)).Message, StringComparison.Ordinal);
        File.WriteAllText(key, secret);
        using (var witness = Witness.Open(Dir))
        {
            Assert.Equal(6, CheckpointOf(witness.Cosign(ledger.Request(3, 6), Now)).Size);
        }
    }

    /// <summary>A change in another key's signature line is not the witness's to judge; whatever it does cosign is the head that the log signed.</summary>
    [Fact]
    public void Mutated_requests_are_refused_with_a_code_or_are_that_head()
    {
        using var witness = Following();
        byte[] before = witness.Cosign(ledger.Published(3), Now), good = ledger.Request(3, 10);
        string record = Path.Combine(Directory.GetDirectories(Path.Combine(Dir, "logs"))[0], "checkpoint");
        var random = new Random(23);
        int cosigned = 0;
        for (int round = 0; round < 300; round++)
        {
            byte[] changed = [.. good];
            for (int i = random.Next(1, 3); i > 0; i--)
            {
                changed[random.Next(changed.Length)] ^= (byte)(1 << random.Next(8));
            }

            try
            {
                Assert.Equal(Parse(ledger.Published(10)).Text, Parse(witness.Cosign(changed, Now)).Text);
                cosigned++;
                File.WriteAllBytes(record, before);
            }
            catch (WitnessRefusalException refusal)
            {
                Assert.Contains(refusal.Code, (int[])[400, 403, 404, 409, 422]);
            }

            Assert.Equal(before, File.ReadAllBytes(record));
        }

        Assert.InRange(cosigned, 1, 200);
    }
}
