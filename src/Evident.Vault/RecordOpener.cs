using System.Buffers;
using System.Text;
using Evident.Platform;

namespace Evident.Vault;

/// <summary>
/// From a wrap on disk to authenticated content, in this order: the wrap is whole, its day not over, its key in the ring and made for
/// that scope and day, the pack record is the one of that reference, the wrap opens with the expiry day and the body's commitment as
/// associated data, the body commits to that key and context. Only then is anything of it believed or decrypted.
/// </summary>
internal sealed partial class RecordOpener(string directory, KeyRing ring, IClock clock, WrapFinder wraps)
{
    public VaultRecordInfo Find(string reference)
    {
        Span<byte> bytes = stackalloc byte[WrapRecord.Bytes];
        using var found = new Found(this, reference, bytes, headerOnly: true);
        var wrap = new WrapRecord(bytes);
        return new VaultRecordInfo(
            reference, wrap.RoleText, Convert.ToHexStringLower(wrap.ScopeId), wrap.PlainLength, wrap.BodyLength, wrap.Commitment.ToArray(),
            wrap.CreatedMillis, VaultDay.Text(wrap.ExpiryDay));
    }

    /// <param name="salt">Gets the payload's salt when it has room for it.</param>
    public VaultPayload Read(string reference, Span<byte> salt = default)
    {
        Span<byte> bytes = stackalloc byte[WrapRecord.Bytes];
        using var found = new Found(this, reference, bytes, headerOnly: false);
        var wrap = new WrapRecord(bytes);
        byte[] plaintext = new byte[wrap.PlainLength];
        bool opened = false;
        try
        {
            opened = Open(found, wrap, plaintext);
            found.Salt[..salt.Length].CopyTo(salt);
        }
        finally
        {
            if (!opened)
            {
                Sodium.Zero(plaintext);
            }
        }

        return new VaultPayload(
            reference, wrap.RoleText, Convert.ToHexStringLower(wrap.ScopeId), plaintext, wrap.Commitment.ToArray(), wrap.CreatedMillis,
            VaultDay.Text(wrap.ExpiryDay));
    }

    /// <summary>The payload opens by this wrap and meets its commitment; false when its key is gone.</summary>
    /// <exception cref="VaultException">Tampered.</exception>
    public bool Opens(string reference, (PackName Pack, long Offset) at)
    {
        Span<byte> bytes = stackalloc byte[WrapRecord.Bytes];
        byte[] plaintext = [];
        try
        {
            using var found = new Found(this, reference, bytes, headerOnly: false, at);
            var wrap = new WrapRecord(bytes);
            plaintext = new byte[wrap.PlainLength];
            return Open(found, wrap, plaintext);
        }
        catch (VaultException gone) when (gone.Kind == VaultErrorKind.Shredded)
        {
            return false;
        }
        finally
        {
            Sodium.Zero(plaintext);
        }
    }

    private static bool Open(Found found, WrapRecord wrap, byte[] plaintext)
    {
        Span<byte> context = stackalloc byte[Binding.MaxBytes];
        context = context[..found.Context(context, wrap)];
        if (wrap.Codec == PayloadCodec.Raw)
        {
            if (!ChunkedEncryption.TryOpen(plaintext, found.Body, found.Dek, context))
            {
                throw found.Tampered("a chunk of its body was changed, moved or cut");
            }
        }
        else
        {
            byte[] pooled = ArrayPool<byte>.Shared.Rent(wrap.StoredLength);
            Span<byte> stored = pooled.AsSpan(0, wrap.StoredLength);
            try
            {
                if (!ChunkedEncryption.TryOpen(stored, found.Body, found.Dek, context))
                {
                    throw found.Tampered("a chunk of its body was changed, moved or cut");
                }

                if (!Compression.TryInflate(stored, plaintext))
                {
                    throw found.Tampered($"its content does not inflate to exactly {plaintext.Length} bytes");
                }
            }
            finally
            {
                Sodium.Zero(stored);
                ArrayPool<byte>.Shared.Return(pooled);
            }
        }

        Span<byte> commitment = stackalloc byte[PayloadCommitment.Bytes];
        PayloadCommitment.Compute(commitment, found.Salt, found.ScopeIdAscii, found.RefAscii, wrap.Role, plaintext);
        return Sodium.Equal(commitment, wrap.Commitment) ? true : throw found.Tampered("its content does not meet its commitment");
    }

    /// <summary>An authenticated record: its secret unwrapped, its header checked, its body (or the header of it) in pooled memory.</summary>
    private sealed partial class Found : IDisposable
    {
        private readonly string reference;
        private readonly byte[] secret = new byte[WrapRecord.SecretBytes];
        private byte[] pooled = [];
        private int length;

        /// <param name="at">Where the newest wrap is, when that is known; its day may be over, as long as the key is there.</param>
        public Found(RecordOpener opener, string reference, Span<byte> wrapBytes, bool headerOnly, (PackName Pack, long Offset)? at = null)
        {
            this.reference = reference;
            try
            {
                Authenticate(opener, wrapBytes, headerOnly, at);
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public ReadOnlySpan<byte> Body => pooled.AsSpan(PackRecord.HeaderBytes, length - PackRecord.HeaderBytes);

        public ReadOnlySpan<byte> Dek => secret.AsSpan(0, 32);

        public ReadOnlySpan<byte> Salt => secret.AsSpan(32, 32);

        /// <summary>Where its newest wrap lies.</summary>
        public PackName Pack { get; private set; }

        public byte[] ScopeIdAscii { get; private set; } = [];

        public byte[] RefAscii { get; private set; } = [];

        public int Context(Span<byte> to, WrapRecord wrap) => Binding.Body(
            to, ScopeIdAscii, RefAscii, wrap.Role, wrap.Commitment, wrap.CreatedMillis, wrap.Codec, wrap.StoredLength, wrap.PlainLength);

        public VaultException Tampered(string why) =>
            new(VaultErrorKind.Tampered, $"Payload {reference} was refused: {why}. Keep the vault as it is and compare it with a backup.");

        private VaultException Shredded(uint kek) =>
            new(VaultErrorKind.Shredded, $"Payload {reference} cannot be opened: key {kek} that wraps it is not in the key ring any more.");

        public void Dispose()
        {
            Sodium.Zero(secret);
            if (pooled.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(pooled); // ciphertext
                pooled = [];
            }
        }

        private void Authenticate(RecordOpener opener, Span<byte> wrapBytes, bool headerOnly, (PackName Pack, long Offset)? at)
        {
            Span<byte> id = stackalloc byte[WrapRecord.RefBytes];
            Reference.Parse(reference, id);
            RefAscii = Encoding.ASCII.GetBytes(reference);
            PackName pack;
            if (at is { } known)
            {
                pack = known.Pack;
                using DurableFile wraps = DurableFile.OpenRead(pack.Wraps(opener.Directory));
                if (wraps.ReadAt(known.Offset, wrapBytes) != WrapRecord.Bytes || !new WrapRecord(wrapBytes).Ref.SequenceEqual(id))
                {
                    throw Tampered($"its wrap in '{pack}' is not where it was");
                }
            }
            else if (!opener.Wraps.TryFind(id, wrapBytes, out pack))
            {
                throw new VaultException(
                    VaultErrorKind.NotFound,
                    $"Payload {reference} is not in the vault: it was never sealed here, or its pack was removed after its last day.");
            }

            Pack = pack;
            var wrap = new WrapRecord(wrapBytes);
            if (!wrap.IsWhole)
            {
                throw Tampered($"its wrap in '{pack}' is damaged");
            }

            if (wrap.ExpiryDay != pack.Day)
            {
                throw Tampered($"its wrap in '{pack}' names another expiry day");
            }

            if (at is null && VaultDay.Of(opener.Clock.UnixMillis) > wrap.ExpiryDay)
            {
                throw new VaultException(
                    VaultErrorKind.Expired, $"Payload {reference} expired: {VaultDay.Text(wrap.ExpiryDay)} was its last day (UTC).");
            }

            Kek kek = opener.Ring.KekById(wrap.KekId) ?? throw Shredded(wrap.KekId);
            if (kek.Day != wrap.ExpiryDay || !wrap.ScopeId.SequenceEqual(kek.Scope.Id))
            {
                throw Tampered($"key {wrap.KekId} was made for another scope or day");
            }

            ScopeIdAscii = kek.Scope.IdAscii;
            ReadBody(opener, pack, wrap, id, headerOnly);
            ReadOnlySpan<byte> header = Body[..ChunkedEncryption.HeaderBytes];
            Span<byte> binding = stackalloc byte[Binding.MaxBytes];
            int associated = Binding.Wrap(
                binding, ScopeIdAscii, RefAscii, wrap.KekId, wrap.ExpiryDay,
                header.Slice(ChunkedEncryption.SaltBytes, ChunkedEncryption.CommitmentBytes));
            if (!Sodium.XChaCha20Poly1305Open(secret, wrap.SealedSecret, binding[..associated], wrap.Nonce, kek.Key))
            {
                throw opener.Ring.KekById(wrap.KekId) is null ? Shredded(wrap.KekId) : Tampered("its wrap does not belong to this body, scope, reference, key and expiry day");
            }

            if (!ChunkedEncryption.Commits(header, Dek, binding[..Context(binding, wrap)]))
            {
                throw Tampered("its body was sealed for another role, commitment, time or length");
            }
        }

        private void ReadBody(RecordOpener opener, PackName pack, WrapRecord wrap, ReadOnlySpan<byte> id, bool headerOnly)
        {
            length = PackRecord.HeaderBytes + (headerOnly ? ChunkedEncryption.HeaderBytes : wrap.BodyLength);
            pooled = ArrayPool<byte>.Shared.Rent(length);
            int read;
            try
            {
                using DurableFile file = DurableFile.OpenRead(pack.Pack(opener.Directory));
                read = file.ReadAt(wrap.PackOffset, pooled.AsSpan(0, length));
            }
            catch (FileNotFoundException e)
            {
                throw new VaultException(VaultErrorKind.Tampered, $"Payload {reference} was refused: '{pack}' has wraps but its pack is gone.", e);
            }

            if (read != length || !PackRecord.TryReadHeader(pooled, out int bodyLength) || bodyLength != wrap.BodyLength
                || !PackRecord.Ref(pooled).SequenceEqual(id))
            {
                throw Tampered($"'{pack}' holds another record, or none, at offset {wrap.PackOffset}");
            }
        }
    }

    private string Directory { get; } = directory;

    private KeyRing Ring { get; } = ring;

    private WrapFinder Wraps { get; } = wraps;

    private IClock Clock { get; } = clock;
}
