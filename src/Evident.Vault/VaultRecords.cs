namespace Evident.Vault;

/// <summary>A (workspace, tenant) pair under its random id. The tenant's own name is nowhere in the vault.</summary>
/// <param name="Id">32 lower-case hex digits.</param>
/// <param name="Workspace">The security boundary the scope lies in.</param>
/// <param name="PseudonymKey">32 bytes; dies with the scope.</param>
/// <param name="FingerprintKey">32 bytes; dies with the scope.</param>
/// <param name="StaffKey">32 bytes, one for the whole workspace, exempt from shredding.</param>
public sealed record VaultScope(string Id, string Workspace, byte[] PseudonymKey, byte[] FingerprintKey, byte[] StaffKey);

/// <summary>An opened payload; every field was authenticated.</summary>
/// <param name="Ref"><c>vr_</c> and 26 characters.</param>
/// <param name="Role">What the payload is in its span, for example <c>tool.args</c>.</param>
/// <param name="ScopeId">32 lower-case hex digits.</param>
/// <param name="Plaintext">The exact bytes that were sealed (after redaction).</param>
/// <param name="Commitment">32 bytes; stands in ledger and trace.</param>
/// <param name="CreatedUnixMillis">When it was sealed.</param>
/// <param name="ExpiryDay">Last UTC day it can be opened, <c>yyyy-MM-dd</c>.</param>
public sealed record VaultPayload(
    string Ref, string Role, string ScopeId, byte[] Plaintext, byte[] Commitment, long CreatedUnixMillis, string ExpiryDay);

/// <summary>What a ledger entry about a payload needs, authenticated, without any of its content.</summary>
/// <param name="PlainBytes">Length of the payload.</param>
/// <param name="SealedBytes">Length of the sealed body on disk.</param>
public sealed record VaultRecordInfo(
    string Ref, string Role, string ScopeId, long PlainBytes, long SealedBytes, byte[] Commitment, long CreatedUnixMillis, string ExpiryDay);

/// <summary>Figures of the vault, none of them secret.</summary>
/// <param name="Generation">Of the keystore.</param>
/// <param name="Scopes">Tenant scopes, overflow scopes not counted.</param>
/// <param name="ScopesFull">New tenants now share their workspace's overflow scope.</param>
/// <param name="KeyCount">Keys of (scope, expiry day).</param>
/// <param name="Packs">Pack files on disk.</param>
/// <param name="ExpiredPacks">Those whose last day is over.</param>
/// <param name="Wraps">Wraps on disk, re-wraps included.</param>
/// <param name="PayloadBytes">Bytes of all pack files.</param>
/// <param name="OrphanBodies">Complete sealed bodies that no wrap points at: left by a crash, unreadable for ever, harmless.</param>
/// <param name="OrphanBytes">Bytes of packs that no wrap points at, torn records included.</param>
/// <param name="Poisoned">A write or sync failed; see <see cref="VaultErrorKind.Poisoned"/>.</param>
public sealed record VaultStatus(
    long Generation, int Scopes, bool ScopesFull, int KeyCount, int Packs, int ExpiredPacks, long Wraps, long PayloadBytes,
    long OrphanBodies, long OrphanBytes, bool Poisoned);
