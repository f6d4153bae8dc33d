using System.Buffers;

namespace Evident.Ingest;

/// <summary>A growing pooled buffer. Spans taken from it are valid until the next write.</summary>
internal sealed class ByteSink : IDisposable
{
    private byte[] bytes = ArrayPool<byte>.Shared.Rent(1024);

    public int Length { get; private set; }

    public Span<byte> Written => bytes.AsSpan(0, Length);

    public void Write(ReadOnlySpan<byte> data) => data.CopyTo(Take(data.Length));

    public void WriteByte(byte value) => Take(1)[0] = value;

    public void WriteJsonString(ReadOnlySpan<byte> utf8) => JsonText.WriteString(utf8, Take(JsonText.StringLength(utf8)));

    /// <summary>Room for exactly <paramref name="count"/> bytes, counted as written.</summary>
    public Span<byte> Take(int count)
    {
        if (count > bytes.Length - Length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(checked(Length + count), (int)Math.Min(bytes.Length * 2L, Array.MaxLength)));
            Written.CopyTo(larger);
            ArrayPool<byte>.Shared.Return(bytes);
            bytes = larger;
        }
        Length += count;
        return bytes.AsSpan(Length - count, count);
    }

    public void Truncate(int length) => Length = Math.Min(Length, length);

    public void Clear() => Length = 0;

    public void Dispose()
    {
        if (bytes.Length > 0) ArrayPool<byte>.Shared.Return(bytes);
        bytes = [];
        Length = 0;
    }
}
