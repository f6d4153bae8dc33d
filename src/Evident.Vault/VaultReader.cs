using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// The vault as an audit opens it: with its keys, beside a running appliance or without one, and without a write anywhere. It knows the keys of the generation that it found; a payload that is sealed later
/// under a newer key is one that it cannot open. Not thread safe.
/// </summary>
public sealed class VaultReader : IDisposable
{
    private const int Attempts = 3; // a generation may be replaced while it is read

    private readonly KeyRing ring;
    private readonly RecordOpener opener;

    private VaultReader(KeyRing ring, RecordOpener opener) => (this.ring, this.opener) = (ring, opener);

    /// <exception cref="VaultException">Unopenable: keys are missing, foreign or damaged. Sealed: a passphrase is needed.</exception>
    public static VaultReader Open(VaultOptions options, IClock clock)
    {
        options.Check();
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                KeyRing ring = KeyRing.OpenToRead(options, clock);
                return new VaultReader(ring, new RecordOpener(options.Directory, ring, clock, new WrapFinder(options.Directory, static _ => null)));
            }
            catch (VaultException e) when (e.Kind == VaultErrorKind.Unopenable && attempt < Attempts)
            {
                Thread.Sleep(50);
            }
        }
    }

    /// <summary>Opens the payload by the wrap at a place and compares it with its commitment; its day may be over. False when the key is not there.</summary>
    /// <param name="pack">Such as <c>short-2026-05-06</c>.</param>
    /// <param name="offset">Of the wrap, in bytes.</param>
    /// <exception cref="VaultException">Tampered.</exception>
    public bool Opens(string reference, string pack, long offset) => opener.Opens(reference, (PackName.Of([pack])[0], offset));

    public void Dispose() => ring.Dispose();
}
