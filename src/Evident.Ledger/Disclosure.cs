using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// One payload that was handed to an auditor with its own salt (docs/evidence.md, section 8): it meets a commitment, and the ledger names that commitment. Lines of text, an empty line, then the payload's bytes.
/// </summary>
/// <param name="Ref"><c>vr_</c> and 26 characters.</param>
/// <param name="Role">What the payload is in its span.</param>
/// <param name="Scope">32 hex digits.</param>
/// <param name="Salt">32 bytes, of this payload alone.</param>
public sealed record Disclosure(string Origin, string Ref, string Role, string Scope, byte[] Salt, byte[] Payload)
{
    private const string Title = "evident disclosure v1";
    private const int MaxHeaderBytes = 4_096, MaxPayloadBytes = 64 << 20;

    public byte[] Encode() =>
    [
        .. Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"{Title}\norigin {Origin}\nref {Ref}\nrole {Role}\nscope {Scope}\nsalt {Convert.ToHexStringLower(Salt)}\nbytes {Payload.Length}\n\n")),
        .. Payload,
    ];

    /// <summary>Null with a sentence when the bytes are none.</summary>
    public static Disclosure? Parse(byte[] bytes, out string failure)
    {
        int end = bytes.AsSpan(0, Math.Min(bytes.Length, MaxHeaderBytes)).IndexOf("\n\n"u8);
        string[] lines = end < 0 ? [] : Encoding.UTF8.GetString(bytes, 0, end).Split('\n');
        string[] names = ["origin ", "ref ", "role ", "scope ", "salt ", "bytes "];
        failure = $"it does not begin as an '{Title}' does.";
        if (lines.Length != names.Length + 1 || lines[0] != Title)
        {
            return null;
        }

        for (int i = 0; i < names.Length; i++)
        {
            if (!lines[i + 1].StartsWith(names[i], StringComparison.Ordinal))
            {
                return null;
            }

            lines[i + 1] = lines[i + 1][names[i].Length..];
        }

        failure = "its salt or its length are not in their form.";
        byte[] salt = new byte[32];
        if (lines[5].Length != 64 || Convert.FromHexString(lines[5], salt, out _, out int written) != System.Buffers.OperationStatus.Done || written != 32
            || !int.TryParse(lines[6], NumberStyles.None, CultureInfo.InvariantCulture, out int length) || length > MaxPayloadBytes || length != bytes.Length - end - 2)
        {
            return null;
        }

        failure = "";
        return new Disclosure(lines[1], lines[2], lines[3], lines[4], salt, bytes[(end + 2)..]);
    }

    /// <summary><c>HMAC-SHA-256(salt, "agentvault/commit/v1\0" || LP32(scope) || LP32(ref) || LP32(role) || payload)</c> (docs/vault-format.md section 2).</summary>
    public byte[] Commitment()
    {
        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, Salt);
        mac.AppendData("agentvault/commit/v1\0"u8);
        byte[] length = new byte[4];
        foreach (string part in (string[])[Scope, Ref, Role])
        {
            byte[] text = Encoding.UTF8.GetBytes(part);
            BinaryPrimitives.WriteInt32BigEndian(length, text.Length);
            mac.AppendData(length);
            mac.AppendData(text);
        }

        mac.AppendData(Payload);
        return mac.GetHashAndReset();
    }

    /// <summary>What a ledger, checked before, says of it: the entries that name it (code 0), or 35.</summary>
    /// <param name="file">Where it was read, for the sentence.</param>
    internal Finding Check(LedgerFolder folder, IReadOnlyList<SegmentName> segments, string origin, string file, CancellationToken cancellation)
    {
        if (Origin != origin)
        {
            return new Finding(Verdict.VaultMismatch, $"the disclosure '{file}' is of the ledger '{Origin}', this one is '{origin}'.");
        }

        byte[] reference = Encoding.UTF8.GetBytes($"\"ref\":\"{Ref}\"");
        string commitment = "hmac-sha256:" + Convert.ToHexStringLower(Commitment());
        var parser = new Lj1Parser();
        long named = -1;
        foreach (var segment in segments)
        {
            cancellation.ThrowIfCancellationRequested();
            using var lines = new SegmentLines(folder.Open(segment.Name));
            while (lines.Next())
            {
                var line = lines.Line;
                if (line.IndexOf(reference) < 0 || parser.Parse(line) != Lj1Error.None)
                {
                    continue;
                }

                int payload = parser.Find(line, 0, "payload"u8);
                for (int i = payload + 1; payload >= 0 && i < parser.Nodes[payload].Next; i = parser.Nodes[i].Next)
                {
                    if (Text(line, parser, i, "ref"u8) == Ref)
                    {
                        named = parser.Integer(line, "seq"u8);
                        if (Text(line, parser, i, "commitment"u8) == commitment)
                        {
                            return new Finding(0, $"the disclosure '{file}': {Payload.Length} bytes, {Role}, are the payload {Ref} that entry {named} names.", FromSeq: named, ToSeq: named);
                        }
                    }
                }
            }
        }

        return named < 0
            ? new Finding(Verdict.VaultMismatch, $"the disclosure '{file}': no entry that is shown here names the payload {Ref}.")
            : new Finding(Verdict.VaultMismatch, $"the disclosure '{file}': the bytes do not meet the commitment that entry {named} names for {Ref}.", FromSeq: named, ToSeq: named);
    }

    private static string Text(ReadOnlySpan<byte> line, Lj1Parser parser, int parent, ReadOnlySpan<byte> member)
    {
        int at = parser.Find(line, parent, member);
        return at < 0 ? "" : Encoding.ASCII.GetString(line.Slice(parser.Nodes[at].Start, parser.Nodes[at].Length));
    }
}
