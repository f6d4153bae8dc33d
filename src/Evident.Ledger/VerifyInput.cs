namespace Evident.Ledger;

/// <summary>A file that a verification read beside the segments, and its SHA-256.</summary>
public sealed record VerifyInput(string File, string Sha256);
