using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Evident.Ledger;

/// <summary>
/// Encodes one group: entry lines and the checkpoint line, in one buffer. Pure: no file, no clock. Each leaf is hashed when its line is
/// encoded and once more from the finished buffer, before anything is signed: memory that changed a bit in between must not end up
/// under a signature.
/// </summary>
internal sealed class GroupWriter
{
    private readonly byte[] prefixed = new byte[LedgerFormat.MaxLineBytes + 1];
    private byte[] buffer = new byte[1 << 16];
    private readonly List<(int Start, int End)> ranges = [];
    private byte[] leaves = new byte[256 * 32];
    private int length;

    /// <summary>The place of the group in the ledger.</summary>
    public readonly record struct Place(string Origin, string Boot, long Batch, long Epoch, long Mono);

    public ReadOnlySpan<byte> Bytes => buffer.AsSpan(0, length);

    public int Count => ranges.Count;

    public ReadOnlySpan<byte> Leaf(int i) => leaves.AsSpan(i * 32, 32);

    public void Clear()
    {
        length = 0;
        ranges.Clear();
    }

    /// <param name="previous">Hash of the entry before; becomes this entry's hash.</param>
    public void Add(EntryDraft draft, in Place place, long seq, long scopeSeq, Span<byte> previous)
    {
        int end = Encode(draft, place, seq, scopeSeq, previous);
        var line = prefixed.AsSpan(0, end);
        if (ranges.Count * 32 == leaves.Length)
        {
            Array.Resize(ref leaves, leaves.Length * 2);
        }

        Merkle.LeafOfPrefixed(line, previous);
        previous.CopyTo(leaves.AsSpan(ranges.Count * 32));
        Append(line[1..]);
        ranges.Add((length - (end - 1), length));
        Append("\n"u8);
    }

    /// <summary>Hashes the lines again from the buffer that will be written.</summary>
    /// <exception cref="LedgerPoisonedException">A leaf hash differs: the memory is not to be trusted.</exception>
    public void CheckLeaves()
    {
        Span<byte> again = stackalloc byte[32];
        for (int i = 0; i < ranges.Count; i++)
        {
            var (start, end) = ranges[i];
            prefixed[0] = 0;
            buffer.AsSpan(start, end - start).CopyTo(prefixed.AsSpan(1));
            Merkle.LeafOfPrefixed(prefixed.AsSpan(0, end - start + 1), again);
            if (!again.SequenceEqual(Leaf(i)))
            {
                throw new LedgerPoisonedException($"entry {i} of the group changed in memory between encoding and signing; check the machine's memory.", null);
            }
        }
    }

    /// <summary>Test seam: the bytes that a memory error could change.</summary>
    internal Span<byte> Raw => buffer.AsSpan(0, length);

    public void AddCheckpoint(ReadOnlySpan<byte> note)
    {
        Append(CheckpointLine.Encode(note));
        Append("\n"u8);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        if (length + bytes.Length > buffer.Length)
        {
            Array.Resize(ref buffer, Math.Max(buffer.Length * 2, length + bytes.Length));
        }

        bytes.CopyTo(buffer.AsSpan(length));
        length += bytes.Length;
    }

    private static ReadOnlySpan<byte> Assigned(int i) => i switch
    {
        0 => "batch"u8,
        1 => "boot"u8,
        2 => "epoch"u8,
        3 => "integrity"u8,
        4 => "log"u8,
        5 => "mono"u8,
        6 => "scope_seq"u8,
        _ => "seq"u8,
    };

    /// <summary>
    /// Merges the draft's members and the assigned ones, both sorted, into <see cref="prefixed"/>; returns the end. No string of an entry
    /// holds a brace, a bracket or a comma (no form of the schema has them), so those alone show where its members begin.
    /// </summary>
    private int Encode(EntryDraft draft, in Place place, long seq, long scopeSeq, ReadOnlySpan<byte> previous)
    {
        var source = draft.Bytes.Span;
        prefixed[0] = 0;
        prefixed[1] = (byte)'{';
        int at = 2, copied = 1, assigned = 0;
        for (int member = 1; assigned < 8 && member < source.Length; member = EndOfMember(source, member) + 1)
        {
            var key = source[(member + 1)..];
            key = key[..key.IndexOf((byte)'"')];
            for (; assigned < 8 && Assigned(assigned).SequenceCompareTo(key) < 0; assigned++)
            {
                at = Put(at, source[copied..member]); // with the comma before this member
                copied = member;
                at = WriteAssigned(assigned, at, place, seq, scopeSeq, previous);
            }
        }

        at = Put(at, source[copied..^1]);
        prefixed[at++] = (byte)',';
        while (assigned < 8)
        {
            at = WriteAssigned(assigned++, at, place, seq, scopeSeq, previous);
        }

        prefixed[at - 1] = (byte)'}';
        return at;
    }

    private static readonly SearchValues<byte> Structure = SearchValues.Create("{}[],"u8);

    /// <summary>Index of the comma or brace behind the member of the outer object that begins here.</summary>
    private static int EndOfMember(ReadOnlySpan<byte> source, int at)
    {
        for (int depth = 0; ; at++)
        {
            at += source[at..].IndexOfAny(Structure);
            switch (source[at])
            {
                case (byte)'{' or (byte)'[':
                    depth++;
                    break;
                case (byte)',':
                    if (depth == 0)
                    {
                        return at;
                    }

                    break;
                default:
                    if (depth-- == 0)
                    {
                        return at;
                    }

                    break;
            }
        }
    }

    private int WriteAssigned(int which, int at, in Place place, long seq, long scopeSeq, ReadOnlySpan<byte> previous)
    {
        if (which == 6 && scopeSeq < 0)
        {
            return at;
        }

        at = Put(at, "\""u8);
        at = Put(at, Assigned(which));
        at = Put(at, "\":"u8);
        at = which switch
        {
            0 => Number(at, place.Batch),
            1 => Text(at, place.Boot),
            2 => Number(at, place.Epoch),
            3 => Chain(at, previous),
            4 => Text(at, place.Origin),
            5 => Number(at, place.Mono),
            6 => Number(at, scopeSeq),
            _ => Number(at, seq),
        };
        return Put(at, ","u8);
    }

    private int Put(int at, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(prefixed.AsSpan(at));
        return at + bytes.Length;
    }

    private int Number(int at, long value)
    {
        _ = Utf8Formatter.TryFormat(value, prefixed.AsSpan(at), out int written);
        return at + written;
    }

    private int Text(int at, string value)
    {
        at = Put(at, "\""u8);
        at += Encoding.ASCII.GetBytes(value, prefixed.AsSpan(at));
        return Put(at, "\""u8);
    }

    private int Chain(int at, ReadOnlySpan<byte> previous)
    {
        at = Put(at, "{\"prev_hash\":\"sha256:"u8);
        foreach (byte b in previous)
        {
            prefixed[at++] = "0123456789abcdef"u8[b >> 4];
            prefixed[at++] = "0123456789abcdef"u8[b & 15];
        }

        return Put(at, "\"}"u8);
    }
}
