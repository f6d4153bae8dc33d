using System.Security.Cryptography;
using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Differential;

/// <summary>Heads as auditors supply them: right, older, of another ledger, forked, larger, mistyped, with other signatures.</summary>
internal static class SuppliedHeads
{
    public static void Supply(LedgerCase ledger, BaseLedgers.Base source, List<BaseLedgers.Base> all, Random random)
    {
        for (int count = random.Next(10) switch { < 3 => 0, < 9 => 1, _ => 2 }; count > 0; count--)
        {
            byte[] head = source.Kept[random.Next(source.Kept.Count)];
            ledger.Heads.Add(random.Next(16) switch
            {
                0 => all[random.Next(all.Count)].Kept[0],
                1 => AsText(head, random),
                2 => ByteMutations.Pick(ledger.Notes(), random) is { } note ? ledger.Files[note]! : head,
                3 => Forged(source, random),
                4 => Changed(head, random),
                _ => source.Kept[^1].Length > 0 && random.Next(2) == 0 ? source.Kept[^1] : head,
            });
        }

        if (random.Next(8) == 0)
        {
            ledger.MaxUnanchored = random.Next(12);
        }
    }

    /// <summary>Signed by the identity key, but of a size or root that the ledger does not have.</summary>
    private static byte[] Forged(BaseLedgers.Base source, Random random)
    {
        var keys = new ForgedLedger(source.Case);
        byte[] root = new byte[32];
        random.NextBytes(root);
        var identity = keys.Key(0);
        byte[] text = Checkpoint.Encode(identity.Public.Name, random.Next(140), root);
        return SignedNote.Encode(text, [identity.Sign(text)]);
    }

    private static byte[] AsText(byte[] head, Random random)
    {
        Assert.True(SignedNote.TryParse(head, out var note, out _));
        Assert.True(Checkpoint.TryParse(note.Text, out var checkpoint));
        string root = string.Join(' ', Convert.ToHexStringLower(checkpoint.Root).Chunk(4).Select(static c => new string(c)));
        string text = $"evident head v1\n{checkpoint.Origin}\nsize {checkpoint.Size}\nroot {root}\n";
        text += $"check {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..8]}\n";
        if (random.Next(3) == 0)
        {
            int at = random.Next(text.Length);
            text = text[..at] + "0" + text[(at + random.Next(2))..];
        }

        return Encoding.UTF8.GetBytes(text);
    }

    private static byte[] Changed(byte[] head, Random random)
    {
        byte[] bytes = [.. head];
        switch (random.Next(4))
        {
            case 0: bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8)); return bytes;
            case 1: return [.. bytes, .. Encoding.UTF8.GetBytes("\u2014 stranger.example/key AAAAAAAAAAAA\n")];
            case 2: return bytes[..^random.Next(1, 100)];
            default:
                string text = Encoding.UTF8.GetString(bytes);
                var lines = text.Split('\n').ToList();
                lines.RemoveAt(random.Next(lines.Count - 1));
                return Encoding.UTF8.GetBytes(string.Join('\n', lines));
        }
    }
}
