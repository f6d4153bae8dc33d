using System.Text;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Ledger;

public class SignedNoteTests
{
    private const string Ours =
        "ledger.example/test\n3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\n\n"
        + "\u2014 ledger.example/test eoZAmftxUgqKdIBg4xs0qdmqtzdu5RCl6Ig7xR78QliNLjFkz0holUXHtSG5pygTD/Kq1F/6/YaRdwkl7irahmaq9A4=\n"
        + "\u2014 witness.example/w1 IDJKvgAAAABlU/EAxk//2HCvU14oKLZta0pH2NQF5RBvJXaxBFK+7GfTUVhEZckiBx3ELz/LfSHtniKMv0yDKH9fHCZADbavAKPMCg==\n";

    private static SignedNote Parse(string text)
    {
        Assert.True(SignedNote.TryParse(Encoding.UTF8.GetBytes(text), out var note, out string failure), failure);
        return note;
    }

    [Fact]
    public void The_c2sp_example_verifies()
    {
        var key = NoteKey.ParseVerifierKey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")!;
        var note = Parse("This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n");
        Assert.True(note.IsSignedBy(key));
        Assert.Equal("530d903a", Convert.ToHexStringLower(key.KeyId));
    }

    [Fact]
    public void Our_note_vector_is_written_and_read()
    {
        using var seed = new SecretBytes(32);
        for (int i = 0; i < 32; i++)
        {
            seed.Span[i] = (byte)i;
        }

        using var key = new SigningKey("ledger.example/test", seed);
        Assert.Equal("ledger.example/test+7a864099+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4", key.Public.ToVerifierKey());
        var note = Parse(Ours);
        Assert.True(Checkpoint.TryParse(note.Text, out var checkpoint));
        Assert.Equal(("ledger.example/test", 3L), (checkpoint.Origin, checkpoint.Size));
        Assert.True(note.IsSignedBy(key.Public)); // the witness's signature is of another type and is ignored
        byte[] text = Checkpoint.Encode("ledger.example/test", 3, checkpoint.Root);
        Assert.Equal(Ours, Encoding.UTF8.GetString(SignedNote.Encode(text, [key.Sign(text), note.Signatures[1]])));
        Assert.Equal(Encoding.UTF8.GetBytes(Ours), note.Encode());
    }

    [Fact]
    public void A_known_key_with_a_bad_signature_rejects_the_note()
    {
        var note = Parse(Ours);
        var key = NoteKey.ParseVerifierKey("ledger.example/test+7a864099+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4")!;
        byte[] broken = [.. note.Signatures[0].KeyIdAndSignature];
        broken[40] ^= 1;
        var both = Parse(Encoding.UTF8.GetString(SignedNote.Encode(note.Text, [note.Signatures[0], new NoteSignature(key.Name, broken)])));
        Assert.False(both.IsSignedBy(key));
        Assert.False(Parse(Encoding.UTF8.GetString(SignedNote.Encode(note.Text, [note.Signatures[1]]))).IsSignedBy(key));
        Assert.Null(NoteKey.ParseVerifierKey("ledger.example/test+7a864098+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"));
    }

    [Fact]
    public void Malformed_notes_are_refused()
    {
        static bool Taken(string text) => SignedNote.TryParse(Encoding.UTF8.GetBytes(text), out _, out _);

        string line = Ours.Split('\n')[4] + "\n";
        Assert.True(Taken("a\n\n" + string.Concat(Enumerable.Repeat(line, 17))));
        Assert.True(Taken("a\n\n" + string.Concat(Enumerable.Repeat(line, 100))));
        Assert.False(Taken("a\n\n" + string.Concat(Enumerable.Repeat(line, 101))));
        Assert.False(Taken(new string('a', 70_000) + "\n\n" + line));
        Assert.False(Taken(Ours.Replace("\n", "\r\n", StringComparison.Ordinal)));
        Assert.False(Taken(Ours[..^1]));
        Assert.False(Taken(Ours.Replace("\u2014", "--", StringComparison.Ordinal)));
        Assert.False(Taken(Ours.Replace("\n\n", "\n", StringComparison.Ordinal)));
        Assert.False(Taken("a\n\n"));
        Assert.False(Taken(""));
        Assert.False(Taken(Ours.Replace("test eoZ", "te+st eoZ", StringComparison.Ordinal)));
        Assert.False(Taken(Ours.Replace("9A4=", "9A5=", StringComparison.Ordinal))); // bits set behind the last byte
        Assert.False(Taken(Ours.Replace("9A4=", "9A4", StringComparison.Ordinal)));
        Assert.False(Taken(Ours.Replace("9A4=", "9 A4=", StringComparison.Ordinal)));
        Assert.False(Taken(Ours.Replace("test eoZ", "test  eoZ", StringComparison.Ordinal)));
        Assert.False(SignedNote.TryParse([0xFF, (byte)'\n', (byte)'\n', .. Encoding.UTF8.GetBytes(line)], out _, out _));
    }

    [Theory]
    [InlineData("o\n3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\n", true)]
    [InlineData("o\n03\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\n", false)]
    [InlineData("o\n+3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\n", false)]
    [InlineData("o\n-3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\n", false)]
    [InlineData("\n3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\n", false)]
    [InlineData("o\n3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfN=\n", false)]
    [InlineData("o\n3\nPbZ2Ze6owm3jQWaMHTGZ9h3kt4CoKFaaiYzkjCjZMfM=\nextension\n", false)]
    [InlineData("o\n3\nPbZ2\n", false)]
    public void Checkpoint_texts_have_one_form(string text, bool taken) =>
        Assert.Equal(taken, Checkpoint.TryParse(Encoding.UTF8.GetBytes(text), out _));
}
