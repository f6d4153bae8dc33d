namespace Evident.Ingest;

/// <summary>
/// One (workspace, tenant). <see cref="Id"/> is 32 lower-case hex digits, random; the three 32-byte keys derive from the scope,
/// so that shredding it makes its pseudonyms and fingerprints meaningless. <see cref="StaffKey"/> is exempt from shredding.
/// </summary>
public sealed record Scope(string Id, byte[] PseudonymKey, byte[] FingerprintKey, byte[] StaffKey);

/// <summary>The scopes of one workspace. Thread safe.</summary>
public interface IScopes
{
    /// <summary>
    /// The scope of a tenant as senders name it (empty: the workspace's own scope). Never throws for strange tenants; returns the overflow
    /// scope once the cap on scopes is reached.
    /// </summary>
    Scope Resolve(ReadOnlySpan<byte> tenantId);
}

/// <summary>Takes payload out of the trace: the only way by which content leaves this library.</summary>
public interface IPayloadSealer
{
    /// <summary>Seals exactly the bytes of <paramref name="redacted"/>.</summary>
    /// <param name="keepLong">The span failed or was interrupted: the payload belongs to the long class.</param>
    /// <param name="ref29">Receives ASCII <c>vr_</c> + 26 characters.</param>
    /// <param name="commitment32">Receives the salted commitment to the bytes.</param>
    void Seal(Scope scope, string role, bool keepLong, ReadOnlySpan<byte> redacted, Span<byte> ref29, Span<byte> commitment32);

    /// <summary>Seals a payload as it was sent, under the debug class, whatever became of its run. Only where <see cref="CaptureMode.Full"/> is in force.</summary>
    void SealInFull(Scope scope, string role, ReadOnlySpan<byte> original, Span<byte> ref29, Span<byte> commitment32);
}
