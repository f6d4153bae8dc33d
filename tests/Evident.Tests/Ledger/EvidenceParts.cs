using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

/// <summary>Keys, notes and ledgers that the tests of the evidence formats are made of. Seeds are those of the published vectors.</summary>
internal static class EvidenceParts
{
    /// <summary>The note of the vectors: log seed 00 .. 1f, witness seed 20 .. 3f, cosigned at 1700000000.</summary>
    public const string Note =
        "ledger.example/test\n3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\n\n"
        + "\u2014 ledger.example/test eoZAmftxUgqKdIBg4xs0qdmqtzdu5RCl6Ig7xR78QliNLjFkz0holUXHtSG5pygTD/Kq1F/6/YaRdwkl7irahmaq9A4=\n"
        + "\u2014 witness.example/w1 IDJKvgAAAABlU/EAxk//2HCvU14oKLZta0pH2NQF5RBvJXaxBFK+7GfTUVhEZckiBx3ELz/LfSHtniKMv0yDKH9fHCZADbavAKPMCg==\n";

    public const string LogVkey = "ledger.example/test+7a864099+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";

    public const string WitnessVkey = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";

    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public static SignedNote Parse(string note) => Parse(Bytes(note));

    public static SignedNote Parse(byte[] note)
    {
        Assert.True(SignedNote.TryParse(note, out var parsed, out string failure), failure);
        return parsed;
    }

    public static Checkpoint CheckpointOf(byte[] note)
    {
        Assert.True(Checkpoint.TryParse(Parse(note).Text, out var checkpoint));
        return checkpoint;
    }

    /// <summary>Seed first, first + 1, ...</summary>
    public static SecretBytes Seed(int first)
    {
        var seed = new SecretBytes(32);
        for (int i = 0; i < 32; i++)
        {
            seed.Span[i] = (byte)(first + i);
        }

        return seed;
    }

    public static CosigningKey Cosigner(string name, int first)
    {
        using var seed = Seed(first);
        return new CosigningKey(name, seed);
    }

    public static SigningKey Signer(string name, int first)
    {
        using var seed = Seed(first);
        return new SigningKey(name, seed);
    }

    /// <summary>The note with more signature lines.</summary>
    public static byte[] With(byte[] note, params NoteSignature[] lines) => SignedNote.Encode(Parse(note).Text, [.. Parse(note).Signatures, .. lines]);

    public static byte[] Published(this LedgerScratch scratch, long size) => Bytes(LedgerReader.Published(scratch.Ledger, size)!);

    public static byte[] Newest(this LedgerScratch scratch) => Bytes(LedgerReader.NewestPublished(scratch.Ledger)!);

    public static string IdentityVkey(this LedgerScratch scratch) => scratch.Verify().IdentityKey;

    /// <summary>Sizes 1, 3, 6 and 10 are published; groups of 2, 3 and 4 entries.</summary>
    public static LedgerScratch NewLedger()
    {
        var scratch = new LedgerScratch();
        using var log = scratch.Open();
        log.Publish();
        for (int i = 2; i <= 4; i++)
        {
            log.Append(LedgerScratch.Calls(i * 10, i));
            log.Publish();
        }

        log.Close();
        return scratch;
    }

    /// <summary>
    /// Another history of the same ledger, under the same keys: what a copied machine or a dishonest operator can make. It shares the entries below size 3 (or 6).
    /// </summary>
    public static (LedgerScratch One, LedgerScratch Other) Fork()
    {
        var one = new LedgerScratch();
        LedgerScratch other;
        using (var log = one.Open())
        {
            log.Publish();
            log.Append(LedgerScratch.Calls(0, 2));
            log.Publish();
            log.Close();
        }

        other = Copy(one);
        foreach (var (scratch, first) in ((LedgerScratch, int)[])[(one, 100), (other, 200)])
        {
            using var log = scratch.Open();
            log.Append(LedgerScratch.Calls(first, 3));
            log.Publish();
            log.Append(LedgerScratch.Calls(first + 10, 4));
            log.Close();
        }

        return (one, other);
    }

    public static LedgerScratch Copy(LedgerScratch model)
    {
        var copy = new LedgerScratch();
        foreach (string directory in Directory.GetDirectories(model.Data, "*", SearchOption.AllDirectories))
        {
            Directory.CreateDirectory(directory.Replace(model.Data, copy.Data, StringComparison.Ordinal));
        }

        foreach (string file in Directory.GetFiles(model.Data, "*", SearchOption.AllDirectories))
        {
            File.Copy(file, file.Replace(model.Data, copy.Data, StringComparison.Ordinal));
        }

        return copy;
    }

    /// <summary>An add-checkpoint request as `evident ledger head --since` makes it.</summary>
    public static byte[] Request(this LedgerScratch scratch, long old, long size) =>
        new AddCheckpoint(old, LedgerReader.ProveConsistency(scratch.Ledger, old, size), Parse(scratch.Published(size))).Encode();

    /// <summary>Puts a note into anchors/ as filing does.</summary>
    public static void FileAnchor(this LedgerScratch scratch, byte[] note, CosignerKey key) => scratch.FileAnchor(note, AnchorNotes.Name(CheckpointOf(note).Size, key.KeyId));

    public static void FileAnchor(this LedgerScratch scratch, byte[] note, string name)
    {
        Directory.CreateDirectory(Path.Combine(scratch.Ledger, "anchors"));
        File.WriteAllBytes(Path.Combine(scratch.Ledger, "anchors", name), note);
    }

    public static string Write(this LedgerScratch scratch, string name, byte[] content)
    {
        string path = Path.Combine(scratch.Data, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    public static string Write(this LedgerScratch scratch, string name, string content) => scratch.Write(name, Bytes(content));

    /// <summary>One to three changes: bits, bytes, lines, parts of another sample, an end cut off.</summary>
    public static byte[] Change(Random random, byte[] sample, byte[] other)
    {
        var bytes = new List<byte>(sample);
        for (int times = random.Next(1, 4); times > 0; times--)
        {
            int at = random.Next(bytes.Count + 1), length = Math.Min(random.Next(1, 60), bytes.Count - at);
            switch (random.Next(8))
            {
                case 0 when at < bytes.Count:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1 when at < bytes.Count:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes.InsertRange(at, new byte[][] { [(byte)'\n'], [(byte)' '], [(byte)'0'], [(byte)'='], [0xE2, 0x80, 0x94, (byte)' '], [(byte)'\r'], [0], [0xFF] }[random.Next(8)]);
                    break;
                case 3:
                    bytes.RemoveRange(at, length);
                    break;
                case 4:
                    bytes.InsertRange(at, bytes.GetRange(at, length));
                    break;
                case 5:
                    int from = random.Next(other.Length);
                    bytes.InsertRange(at, other[from..Math.Min(other.Length, from + 80)]);
                    break;
                case 6: // a whole line goes, comes again, or moves
                    var lines = Encoding.Latin1.GetString([.. bytes]).Split('\n').ToList();
                    string line = lines[random.Next(lines.Count)];
                    if (random.Next(2) == 0)
                    {
                        lines.Remove(line);
                    }

                    if (random.Next(2) == 0)
                    {
                        lines.Insert(random.Next(lines.Count + 1), line);
                    }

                    bytes = [.. Encoding.Latin1.GetBytes(string.Join('\n', lines))];
                    break;
                default:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
            }
        }

        return [.. bytes];
    }
}
