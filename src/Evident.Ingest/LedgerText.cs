using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace Evident.Ingest;

/// <summary>What may stand in a ledger entry as it is: safe to publish for ever (design section 3).</summary>
public static class LedgerText
{
    private const int MaxBytes = 128;

    private static readonly SearchValues<byte> Grammar = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@#+-"u8);
    private static readonly Redactor Shipped = new();

    /// <summary><c>[A-Za-z0-9._:/@#+-]{1,128}</c> and no rule fires that ships with the product and is on without being asked for.</summary>
    public static bool IsClean(ReadOnlySpan<byte> text) => IsClean(text, Shipped);

    /// <summary>The same by the rules of a tenant.</summary>
    internal static bool IsClean(ReadOnlySpan<byte> text, Redactor redactor) => IsToken(text, MaxBytes) && redactor.IsClean(text);

    /// <summary>The grammar alone, with a length of its own.</summary>
    internal static bool IsToken(ReadOnlySpan<byte> text, int maxBytes) => !text.IsEmpty && text.Length <= maxBytes && text.IndexOfAnyExcept(Grammar) < 0;
}

/// <summary>Keyed pseudonyms: equal for equal values under one key, meaningless once the key is shredded.</summary>
public static class Pseudonym
{
    /// <summary><paramref name="prefix"/> (<c>u_</c>, <c>s_</c>, <c>k_</c>, <c>t_</c>) + the first 32 hex digits of HMAC-SHA-256.</summary>
    public static string Of(ReadOnlySpan<byte> key, string prefix, ReadOnlySpan<byte> value)
    {
        Span<byte> mac = stackalloc byte[32];
        HMACSHA256.HashData(key, value, mac);
        return prefix + Convert.ToHexStringLower(mac[..16]);
    }

    internal static void Write(ReadOnlySpan<byte> key, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> value, ByteSink to)
    {
        Span<byte> mac = stackalloc byte[32];
        HMACSHA256.HashData(key, value, mac);
        to.Write(prefix);
        HexText.Write(mac[..16], to.Take(32));
    }
}
