using System.Diagnostics.CodeAnalysis;

namespace Evident.Ingest;

/// <summary>
/// The one error for a request body that cannot be decoded; the listener answers 400. The message names the byte offset and
/// what was expected there, and never repeats what the sender wrote.
/// </summary>
public sealed class OtlpDecodeException : Exception
{
    /// <summary>Offset into the inflated body.</summary>
    public long ByteOffset { get; }

    public OtlpDecodeException(long byteOffset, string expected)
        : base(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"cannot decode the request at byte {byteOffset}: expected {expected}"))
        => ByteOffset = byteOffset;

    [DoesNotReturn]
    internal static void Throw(long byteOffset, string expected) => throw new OtlpDecodeException(byteOffset, expected);
}
