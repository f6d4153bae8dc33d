namespace Evident.Ledger;

/// <summary>
/// What must be known in front of entry <see cref="From"/> to check a part of a ledger from there (docs/evidence.md section 6,
/// <c>range.json</c>). <see cref="LedgerPass"/> takes it as it is: whoever makes it has checked <see cref="Left"/> against the signed head,
/// and the keys through the control entries, from the identity to <see cref="Epoch"/>.
/// </summary>
internal sealed class PartStart
{
    /// <summary>First entry of the part, at least 1; the part begins at a group.</summary>
    public required long From { get; init; }

    /// <summary>The tree of the entries [0, From).</summary>
    public required MerkleFrontier Left { get; init; }

    /// <summary><c>this_hash</c> of entry From - 1, 32 bytes.</summary>
    public required byte[] PreviousHash { get; init; }

    /// <summary>Number of the first group.</summary>
    public required long Batch { get; init; }

    public required string Origin { get; init; }

    public required NoteKey Identity { get; init; }

    /// <summary><c>this_hash</c> of entry 0.</summary>
    public required byte[] GenesisHash { get; init; }

    /// <summary>The epoch in force before the first entry, and the entry that opened it.</summary>
    public required long Epoch { get; init; }

    public required long EpochFirstSeq { get; init; }

    /// <summary><c>boot</c> (its eight digits as they stand) and <c>mono</c> of that entry.</summary>
    public required ulong EpochBoot { get; init; }

    public required long EpochMono { get; init; }

    /// <summary>Limits that entry 0 states.</summary>
    public required long EpochEntries { get; init; }

    public required long EpochMillis { get; init; }

    /// <summary>Keys by epoch, that of <see cref="Epoch"/> among them, and what is listed about them.</summary>
    public required IReadOnlyDictionary<long, NoteKey> EpochKeys { get; init; }

    public IReadOnlyList<LedgerPass.EpochSummary> Epochs { get; init; } = [];
}
