using System.Text;
using Evident.Ledger;

namespace Evident.Store;

/// <summary>
/// The bytes of a <see cref="LedgerResume"/> in a partition's meta table. A hint only: the ledger uses it when it agrees with its own signed
/// head, so unreadable bytes count as no hint and cost a scan.
/// </summary>
internal static class ResumeHint
{
    private const byte Version = 1;

    public static byte[] Encode(LedgerResume resume)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(Version);
        writer.Write(resume.Size);
        Bytes(writer, resume.Root);
        writer.Write(resume.Frontier.Length);
        foreach (byte[] node in resume.Frontier)
        {
            Bytes(writer, node);
        }

        writer.Write(resume.LastEntryHash);
        writer.Write(resume.NextBatch);
        writer.Write(resume.ScopeSeq.Count);
        foreach (var (scope, seq) in resume.ScopeSeq)
        {
            writer.Write(scope);
            writer.Write(seq);
        }

        writer.Flush();
        return stream.ToArray();
    }

    public static LedgerResume? Decode(ReadOnlySpan<byte> bytes)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes.ToArray()), Encoding.UTF8);
        try
        {
            if (reader.ReadByte() != Version)
            {
                return null;
            }

            long size = reader.ReadInt64();
            byte[] root = Bytes(reader);
            byte[][] frontier = new byte[Count(reader, 64)][];
            for (int i = 0; i < frontier.Length; i++)
            {
                frontier[i] = Bytes(reader);
            }

            string lastHash = reader.ReadString();
            long batch = reader.ReadInt64();
            int scopes = Count(reader, 1 << 20);
            var scopeSeq = new Dictionary<string, long>(StringComparer.Ordinal);
            for (int i = 0; i < scopes; i++)
            {
                scopeSeq[reader.ReadString()] = reader.ReadInt64();
            }

            return new LedgerResume(size, root, frontier, lastHash, batch, scopeSeq);
        }
        catch (Exception damaged) when (damaged is EndOfStreamException or InvalidDataException or FormatException)
        {
            return null;
        }
    }

    private static void Bytes(BinaryWriter writer, byte[] value)
    {
        writer.Write((byte)value.Length);
        writer.Write(value);
    }

    private static byte[] Bytes(BinaryReader reader)
    {
        int length = reader.ReadByte();
        byte[] value = reader.ReadBytes(length);
        return value.Length == length ? value : throw new EndOfStreamException();
    }

    private static int Count(BinaryReader reader, int limit)
    {
        int count = reader.ReadInt32();
        return count >= 0 && count <= limit ? count : throw new InvalidDataException();
    }
}
