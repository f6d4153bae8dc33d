namespace Evident.Ledger;

/// <summary>Where the ledger and its keys lie, and the sizes that bound it.</summary>
public sealed class LedgerOptions
{
    /// <summary>The ledger directory (<c>DATA/ledger</c>). Created when it is not there.</summary>
    public required string Directory { get; init; }

    /// <summary>The key directory (<c>DATA/keys</c>, 0700). The ledger's files in it start with <c>ledger-</c>.</summary>
    public required string KeysDirectory { get; init; }

    /// <summary>A group that would make the active segment longer than this opens the next segment.</summary>
    public long SegmentBytes { get; init; } = 64 << 20;

    /// <summary>Entries in one group, 1..4,096 (the format's limit).</summary>
    public int MaxGroupEntries { get; init; } = LedgerFormat.MaxGroupEntries;

    /// <summary>An epoch key signs at most this many entries ...</summary>
    public long EpochEntries { get; init; } = 1_000_000;

    /// <summary>... and for at most this long, milliseconds.</summary>
    public long EpochMillis { get; init; } = 24L * 60 * 60 * 1000;

    /// <summary>Test seam: fresh 32-byte seeds for identity and epoch keys, in the order of their creation.</summary>
    internal Func<Platform.SecretBytes> NewSeed { get; init; } = static () => Platform.SecretBytes.Random(32);

    /// <summary>Test seam: the file layer under the active segment.</summary>
    internal Func<Platform.DurableFile, ISegmentFile> Wrap { get; init; } = static file => new DurableSegment(file);
}

/// <summary>A size of the ledger in entries and its RFC 6962 root, 32 bytes.</summary>
public sealed record LedgerHead(long Size, byte[] Root);

/// <summary>
/// What a clean start needs instead of a scan. A hint, never evidence: it is used only when (Size, Root) is the newest head in the
/// head store, which the identity key signed, and the frontier recomputes that root. Anything else falls back to a full scan.
/// </summary>
public sealed record LedgerResume(
    long Size, byte[] Root, byte[][] Frontier, string LastEntryHash, long NextBatch, IReadOnlyDictionary<string, long> ScopeSeq);

/// <summary>
/// What opening found: a new ledger, a clean stop, or a stop that recovery had to finish; and whether the key of the current epoch was gone, so that
/// the identity key opened a new epoch.
/// </summary>
public sealed record LedgerRecovery(bool Created, bool Clean, long QuarantinedBytes, string? QuarantineFile, long FirstSeqOfRun, bool KeyLost = false);

/// <summary>The ledger on disk is not what the appliance left behind. Nothing was moved and nothing was signed.</summary>
public sealed class LedgerStateException(string message) : Exception(message);

/// <summary>An earlier write, sync or self-check failed: what is on disk is unknown until the next start looks.</summary>
public sealed class LedgerPoisonedException(string message, Exception? cause) : Exception(message, cause);

/// <summary>An entry does not meet LJ-1 or the closed schema of its type.</summary>
public sealed class LedgerSchemaException(string message) : Exception(message);

/// <summary>An entry as the log wrote it; <c>ThisHash</c> is <c>sha256:</c> + 64 hex digits.</summary>
public sealed record AppendedEntry(long Seq, string Id, string ThisHash);

/// <summary>One entry line without its line feed.</summary>
public readonly record struct LedgerLine(long Seq, ReadOnlyMemory<byte> Json, string ThisHash);

/// <summary>RFC 6962 inclusion path, leaf sibling first, with the signed note whose root it leads to.</summary>
public sealed record InclusionProof(long Seq, long Size, byte[] LeafHash, IReadOnlyList<byte[]> Path, string Checkpoint);
