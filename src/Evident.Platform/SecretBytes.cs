namespace Evident.Platform;

/// <summary>
/// Key material outside the managed heap: guarded pages, locked in memory where the limit allows, zeroed on release
/// (libsodium <c>sodium_malloc</c>). The garbage collector never copies it.
/// </summary>
public sealed unsafe class SecretBytes : IDisposable
{
    private nint pointer;

    /// <param name="length">Bytes, 1..65,536.</param>
    public SecretBytes(int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, 65_536);
        Sodium.Zero([]); // runs the static constructor: sodium_init comes before sodium_malloc
        pointer = Sodium.sodium_malloc((nuint)length);
        if (pointer == 0)
        {
            throw new InsufficientMemoryException($"no guarded memory for a secret of {length} bytes.");
        }

        Length = length;
        Span.Clear();
    }

    public int Length { get; }

    /// <summary>The memory itself; valid until <see cref="Dispose"/>.</summary>
    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(pointer == 0, this);
            return new Span<byte>((void*)pointer, Length);
        }
    }

    /// <summary>Fresh random secret.</summary>
    public static SecretBytes Random(int length)
    {
        var secret = new SecretBytes(length);
        Sodium.RandomBytes(secret.Span);
        return secret;
    }

    /// <summary>Takes the content over and zeroes the source.</summary>
    public static SecretBytes CopyAndZero(Span<byte> source)
    {
        var secret = new SecretBytes(source.Length);
        source.CopyTo(secret.Span);
        Sodium.Zero(source);
        return secret;
    }

    public void Dispose()
    {
        nint held = Interlocked.Exchange(ref pointer, 0);
        if (held != 0)
        {
            Sodium.sodium_free(held);
        }

        GC.SuppressFinalize(this);
    }

    ~SecretBytes() => Dispose();
}
