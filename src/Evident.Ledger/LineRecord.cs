using System.Buffers.Binary;

namespace Evident.Ledger;

/// <summary>What a line is, judged from its own bytes alone.</summary>
internal enum LineKind : byte
{
    /// <summary>LJ-1 within the closed schema of its type.</summary>
    Entry,

    /// <summary>Begins as a checkpoint line does; <see cref="LineRecord.Note"/> says what it holds.</summary>
    Checkpoint,

    /// <summary>Neither; <see cref="LineRecord.Failure"/> says why.</summary>
    Malformed,

    /// <summary>Longer than the format allows; only its extent is known.</summary>
    TooLong,

    /// <summary>In a part of a ledger: a leaf hash in place of an entry that was not asked for.</summary>
    Withheld,
}

/// <summary>
/// One line as it was read: where it stands and what a later, sequential check needs of it, so that parsing, schema and hashing can be
/// done ahead and beside each other. Its leaf hash and the hash that it claims stand in the chunk.
/// </summary>
internal struct LineRecord
{
    public LineKind Kind;

    /// <summary>The type begins with <c>ledger.</c>: the sequential check reads the line itself again.</summary>
    public bool OfLedger;

    public bool HasScope;

    /// <summary>Place in the chunk's buffer, behind the 0x00 that the leaf hash needs; length without the line feed.</summary>
    public int Start;
    public int Length;

    /// <summary>Byte range in the file, line feed included.</summary>
    public long Offset;
    public long End;

    public long Seq, Batch, Epoch, Mono, ScopeSeq;

    /// <summary>The eight digits of <c>boot</c> as they stand.</summary>
    public ulong Boot;

    /// <summary>Where the 24 characters of <c>recorded</c> begin in the buffer.</summary>
    public int Recorded;

    /// <summary>The last 32 digits of <c>log</c> and those of <c>scope</c>, as 16 bytes each.</summary>
    public Digits32 Log, Scope;

    /// <summary>The sender's own number where it stamped one and named its stream, else -1.</summary>
    public long SrcSeq;

    /// <summary>Hash of workspace and src, seeded anew in each process.</summary>
    public int SrcHash;
    public int Workspace, Src; // in the buffer
    public byte WorkspaceLength, SrcLength;

    public string? Failure;
    public NoteRecord? Note;
}

/// <summary>The line that stands for an entry in a part of a ledger: <c>{"withheld":"sha256:..."}</c> (docs/evidence.md section 6).</summary>
internal static class WithheldLine
{
    private static ReadOnlySpan<byte> Head => "{\"withheld\":\"sha256:"u8;

    public static byte[] Encode(ReadOnlySpan<byte> leaf) => [.. Head, .. System.Text.Encoding.ASCII.GetBytes(Convert.ToHexStringLower(leaf)), .. "\"}"u8];

    /// <summary>True, with the leaf hash, when the line is exactly that.</summary>
    public static bool TryRead(ReadOnlySpan<byte> line, Span<byte> leaf)
    {
        bool form = line.Length == Head.Length + 66 && line.StartsWith(Head) && line.EndsWith("\"}"u8)
            && !line.Slice(Head.Length, 64).ContainsAnyExcept("0123456789abcdef"u8);
        if (form)
        {
            Hex.Decode(line.Slice(Head.Length, 64), leaf);
        }

        return form;
    }
}

/// <summary>32 hex digits as a number: compared, counted and hashed without an object per entry.</summary>
internal readonly record struct Digits32(ulong High, ulong Low)
{
    /// <summary>From lower-case hex digits that the schema has checked.</summary>
    public static Digits32 Parse(ReadOnlySpan<byte> digits) => new(Half(digits[..16]), Half(digits.Slice(16, 16)));

    public override string ToString() => High.ToString("x16", null) + Low.ToString("x16", null);

    private static ulong Half(ReadOnlySpan<byte> digits) => ((ulong)Hex.Eight(digits) << 32) | Hex.Eight(digits[8..]);
}

/// <summary>Lower-case hex of text that the schema has checked.</summary>
internal static class Hex
{
    public static void Decode(ReadOnlySpan<byte> digits, Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i += 4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes[i..], Eight(digits[(2 * i)..]));
        }
    }

    /// <summary>The number that the first eight digits write.</summary>
    public static uint Eight(ReadOnlySpan<byte> digits)
    {
        ulong v = BinaryPrimitives.ReadUInt64BigEndian(digits);
        v = (v & 0x0F0F0F0F0F0F0F0F) + (((v >> 6) & 0x0101010101010101) * 9); // '0'..'9' are 3x, 'a'..'f' are 6x: each byte becomes its value
        v = (v | (v >> 4)) & 0x00FF00FF00FF00FF;
        v = (v | (v >> 8)) & 0x0000FFFF0000FFFF;
        return (uint)((v | (v >> 16)) & 0xFFFFFFFF);
    }
}

/// <summary>A checkpoint line as it was read: the note, or why there is none, and one signature that was checked ahead.</summary>
internal sealed class NoteRecord
{
    /// <summary>Null when the line is malformed.</summary>
    public SignedNote? Note { get; private init; }

    public string Failure { get; private init; } = "";

    /// <summary>What the note's text says; null when it is no checkpoint.</summary>
    public Checkpoint? Checkpoint { get; private init; }

    private NoteKey? triedKey;
    private bool triedValid;

    /// <param name="likely">The key that will probably be asked for: its signature, when it stands first, is checked here.</param>
    public static NoteRecord Read(ReadOnlySpan<byte> line, Lj1Parser parser, NoteKey? likely)
    {
        if (!CheckpointLine.TryParse(line, parser, out var note, out string failure))
        {
            return new NoteRecord { Failure = failure };
        }

        var record = new NoteRecord { Note = note, Checkpoint = Checkpoint.TryParse(note.Text, out var checkpoint) ? checkpoint : null };
        if (likely is not null && note.Signatures.Count > 0 && likely.Matches(note.Signatures[0]))
        {
            record.triedValid = likely.Verifies(note.Signatures[0], note.Text);
            record.triedKey = likely;
        }

        return record;
    }

    /// <summary>True when the first signature is a valid one of this key.</summary>
    public bool FirstIsBy(NoteKey key) => ReferenceEquals(key, triedKey) ? triedValid : Note!.Signatures.Count > 0 && key.Verifies(Note.Signatures[0], Note.Text);
}
