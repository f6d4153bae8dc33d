using System.Security.Cryptography;

namespace Evident.Ingest;

/// <summary>
/// The key of the fingerprints of what is not captured (mode <c>structure</c>): 32 random bytes that live in the memory of one process and are never written. An unsalted hash of a short text is guessed in
/// seconds, and a key that lies beside it does not help; once the process has ended, nobody can try a guess against such a fingerprint. Equal payloads of one scope have equal
/// fingerprints as long as the process lives. Thread safe.
/// </summary>
internal sealed class StructureKey
{
    internal const int IdBytes = 8;

    private readonly byte[] key = RandomNumberGenerator.GetBytes(32), id = RandomNumberGenerator.GetBytes(IdBytes);

    /// <summary>The key's id, so that fingerprints under two keys are never compared, and HMAC-SHA-256 over the payload's canonical form; its key is HMAC-SHA-256 under this one over the scope id (16 bytes).</summary>
    internal void Write(Scope scope, ReadOnlySpan<byte> payload, ByteSink to)
    {
        Span<byte> scopeId = stackalloc byte[16], scopeKey = stackalloc byte[32];
        Convert.FromHexString(scope.Id, scopeId, out _, out _);
        HMACSHA256.HashData(key, scopeId, scopeKey);
        to.Write(id);
        HMACSHA256.HashData(scopeKey, payload, to.Take(SpanEncoding.FingerprintBytes));
    }
}
