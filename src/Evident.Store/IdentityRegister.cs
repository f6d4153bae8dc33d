using System.Text;
using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// The sealed identity register: which name or address stands behind a staff pseudonym (<c>s_…</c>) that an approval or an act shows. <c>DATA/identities</c>, append-only, one line per person,
/// kept as long as the ledger: <c>pseudonym SP base64(nonce(24) || ciphertext) LF</c>, XChaCha20-Poly1305 under HMAC-SHA-256(staff key, <c>evident/identity/v1</c>), the pseudonym as associated data.
/// The plaintext is the UTF-8 name and zeros up to a multiple of 64 bytes. Thread safe.
/// </summary>
internal sealed class IdentityRegister : IDisposable
{
    public const string Name = "identities";

    /// <summary>People beyond this are not registered: a sender cannot fill the disk with names.</summary>
    public const int MaxEntries = 65_536;

    private const int NonceBytes = 24, Padding = 64;

    private readonly Func<byte[]> staffKey;
    private readonly Action<string, Exception?> log;
    private readonly string path;
    private readonly object gate = new();

    // Guarded by gate.
    private readonly Dictionary<string, byte[]> known = new(StringComparer.Ordinal);
    private DurableFile? file; // made with its first line
    private long length;
    private bool closed; // full, or no longer known to be whole

    private IdentityRegister(string path, Func<byte[]> staffKey, Action<string, Exception?> log) => (this.path, this.staffKey, this.log) = (path, staffKey, log);

    /// <param name="staffKey">Gives the 32 bytes, exempt from shredding, when a name is sealed or opened; who has them can read every name.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IdentityRegister Open(string dataDirectory, Func<byte[]> staffKey, Action<string, Exception?> log)
    {
        var register = new IdentityRegister(Path.Combine(dataDirectory, Name), staffKey, log);
        byte[] bytes = File.Exists(register.path) ? File.ReadAllBytes(register.path) : [];
        foreach (string line in Encoding.ASCII.GetString(bytes, 0, bytes.AsSpan().LastIndexOf((byte)'\n') + 1).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int blank = line.IndexOf(' ', StringComparison.Ordinal);
            byte[] sealedName = new byte[line.Length];
            if (blank > 0 && Convert.TryFromBase64String(line[(blank + 1)..], sealedName, out int written))
            {
                register.known[line[..blank]] = sealedName[..written];
            }
        }

        register.length = bytes.AsSpan().LastIndexOf((byte)'\n') + 1; // what follows is a torn line: the next one is written over it
        return register;
    }

    public int Count
    {
        get
        {
            lock (gate)
            {
                return known.Count;
            }
        }
    }

    /// <summary>Registers those that are not yet; durable when it returns. When the disk is full or fails, names are missing, never traces.</summary>
    public void Note(IReadOnlyList<StaffName> people)
    {
        lock (gate)
        {
            var lines = new StringBuilder();
            var fresh = new Dictionary<string, byte[]>(StringComparer.Ordinal);
            foreach (var person in people)
            {
                if (closed || known.ContainsKey(person.Pseudonym) || fresh.ContainsKey(person.Pseudonym))
                {
                    continue;
                }

                if (known.Count + fresh.Count >= MaxEntries)
                {
                    closed = true;
                    log($"the identity register holds {MaxEntries} people; further names are not registered", null);
                    break;
                }

                byte[] sealedName = Seal(person);
                fresh.Add(person.Pseudonym, sealedName);
                lines.Append(person.Pseudonym).Append(' ').Append(Convert.ToBase64String(sealedName)).Append('\n');
            }

            if (fresh.Count == 0)
            {
                return;
            }

            try
            {
                file ??= DurableFile.OpenAppend(path);
                file.Truncate(length); // a torn line, if there is one
                file.WriteAt(length, Encoding.ASCII.GetBytes(lines.ToString()));
                file.Sync();
            }
            catch (PosixException e)
            {
                closed = true;
                log("the identity register cannot be written; names of staff are not registered until the restart, their pseudonyms stand as ever", e);
                return;
            }

            length += lines.Length;
            foreach (var (pseudonym, sealedName) in fresh)
            {
                known[pseudonym] = sealedName;
            }
        }
    }

    /// <summary>The name; null when it is not registered, or its line does not open under this key.</summary>
    public string? Reveal(string pseudonym)
    {
        byte[]? sealedName;
        lock (gate)
        {
            sealedName = known.GetValueOrDefault(pseudonym);
        }

        if (sealedName is null || sealedName.Length < NonceBytes + Sodium.AeadTagBytes)
        {
            return null;
        }

        byte[] padded = new byte[sealedName.Length - NonceBytes - Sodium.AeadTagBytes];
        Span<byte> key = stackalloc byte[32];
        Key(key);
        return Sodium.XChaCha20Poly1305Open(padded, sealedName.AsSpan(NonceBytes), Encoding.ASCII.GetBytes(pseudonym), sealedName.AsSpan(0, NonceBytes), key)
            ? Encoding.UTF8.GetString(padded.AsSpan().TrimEnd((byte)0))
            : null;
    }

    public void Dispose() => file?.Dispose();

    private void Key(Span<byte> key) => Sodium.HmacSha256(key, "evident/identity/v1"u8, staffKey());

    private byte[] Seal(StaffName person)
    {
        byte[] name = Encoding.UTF8.GetBytes(person.Name);
        byte[] padded = new byte[(name.Length + Padding - 1) / Padding * Padding];
        name.CopyTo(padded, 0);
        byte[] sealedName = new byte[NonceBytes + padded.Length + Sodium.AeadTagBytes];
        Sodium.RandomBytes(sealedName.AsSpan(0, NonceBytes));
        Span<byte> key = stackalloc byte[32];
        Key(key);
        Sodium.XChaCha20Poly1305Seal(sealedName.AsSpan(NonceBytes), padded, Encoding.ASCII.GetBytes(person.Pseudonym), sealedName.AsSpan(0, NonceBytes), key);
        return sealedName;
    }
}
