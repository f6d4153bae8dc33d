using Evident.Platform;

namespace Evident.Vault;

internal sealed partial class RecordOpener
{
    /// <summary>
    /// Wraps a payload's secret anew under another key. For another pack its body goes along, byte for byte; in its own pack the new wrap leads to the body that is there.
    /// </summary>
    /// <param name="at">Where its newest wrap is.</param>
    /// <param name="key">Given the payload's scope: the key and pack that it shall have.</param>
    /// <returns>False when its key is gone: then there is nothing to keep.</returns>
    /// <exception cref="VaultException">Tampered.</exception>
    public bool TryRewrap(string reference, (PackName Pack, long Offset) at, Func<string, (Kek Key, PackName Pack)> key, SealedBatch into)
    {
        Span<byte> bytes = stackalloc byte[WrapRecord.Bytes];
        try
        {
            using var found = new Found(this, reference, bytes, headerOnly: false, at);
            var (kek, pack) = key(Convert.ToHexStringLower(new WrapRecord(bytes).ScopeId));
            found.Rewrap(bytes, kek, pack, into);
            return true;
        }
        catch (VaultException gone) when (gone.Kind == VaultErrorKind.Shredded)
        {
            return false;
        }
    }

    /// <summary>Key, pack and scope of a payload's newest wrap; null when it has none that is whole.</summary>
    public (uint Kek, PackName Pack, string Scope)? Place(string reference)
    {
        Span<byte> id = stackalloc byte[WrapRecord.RefBytes], bytes = stackalloc byte[WrapRecord.Bytes];
        Reference.Parse(reference, id);
        return Wraps.TryFind(id, bytes, out PackName pack) && new WrapRecord(bytes) is { IsWhole: true } wrap
            ? (wrap.KekId, pack, Convert.ToHexStringLower(wrap.ScopeId))
            : null;
    }

    private sealed partial class Found
    {
        public void Rewrap(Span<byte> wrapBytes, Kek kek, PackName pack, SealedBatch into)
        {
            var wrap = new WrapRecord(wrapBytes);
            bool same = pack == Pack;
            if (same)
            {
                wrap.Kind = WrapKind.Again;
            }
            else
            {
                wrap.Kind = WrapKind.First;
            }

            wrap.KekId = kek.Id;
            wrap.ExpiryDay = kek.Day;
            Sodium.RandomBytes(wrap.Nonce);
            Span<byte> binding = stackalloc byte[Binding.MaxBytes];
            int associated = Binding.Wrap(
                binding, ScopeIdAscii, RefAscii, kek.Id, kek.Day, Body.Slice(ChunkedEncryption.SaltBytes, ChunkedEncryption.CommitmentBytes));
            Sodium.XChaCha20Poly1305Seal(wrap.SealedSecret, secret, binding[..associated], wrap.Nonce, kek.Key);
            into.Take(pack, same ? default : pooled.AsSpan(0, length), wrapBytes);
        }
    }
}
