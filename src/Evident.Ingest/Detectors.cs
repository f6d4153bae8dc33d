using System.Buffers;

namespace Evident.Ingest;

/// <summary>What a detector found. The marker that replaces it is <c>[name]</c>.</summary>
public enum Detector : byte { Email, Phone, Token, ApiKey, PrivateKey, Card, Iban, Secret }

/// <summary>
/// The exact verifiers, each called only where the prefilter of <see cref="DetectorScan"/> hit. All work on UTF-8 bytes; all look at a bounded stretch or at
/// a run that no later call looks at again, so that a scan stays linear whatever the text is.
/// </summary>
internal static class Detectors
{
    private static readonly SearchValues<byte> KeyBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"u8);
    private static readonly SearchValues<byte> TokenBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="u8);
    private static readonly SearchValues<byte> SecretEnd = SearchValues.Create(" \t\r\n\"'`,;&<>()[]{}|\\"u8);
    private static readonly SearchValues<byte> UserInfoEnd = SearchValues.Create("/?#@ \t\r\n\"'`<>\\"u8);
    private static readonly SearchValues<byte> LineEnd = SearchValues.Create("\r\n\"'`\\"u8);

    internal static bool IsAlnum(byte c) => char.IsAsciiLetterOrDigit((char)c);
    internal static bool IsDigit(byte c) => c is >= (byte)'0' and <= (byte)'9';

    private static int Run(ReadOnlySpan<byte> text, SearchValues<byte> members)
    {
        int end = text.IndexOfAnyExcept(members);
        return end < 0 ? text.Length : end;
    }

    private static int RunTo(ReadOnlySpan<byte> text, SearchValues<byte> ends)
    {
        int end = text.IndexOfAny(ends);
        return end < 0 ? text.Length : end;
    }

    private static bool Begins(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) =>
        text.Length >= lower.Length && System.Text.Ascii.EqualsIgnoreCase(text[..lower.Length], lower);

    /// <summary>RFC 5321's usual forms: a dotted local part and a domain of at least two labels, or a quoted form's inner address.</summary>
    /// <param name="at">Where <c>@</c> (or <c>%40</c>, of <paramref name="width"/> bytes) stands.</param>
    internal static bool Email(ReadOnlySpan<byte> text, int at, int width, int floor, out int start, out int end)
    {
        start = at;
        end = at + width;
        while (start > floor && at - start < 64 && IsLocal(text[start - 1])) start--;
        while (start < at && text[start] is (byte)'.' or (byte)'-' or (byte)'+' or (byte)'/' or (byte)'=' or (byte)'\'') start++;
        if (start == at) return false;
        // The domain ends with its last label that begins with a letter and has two characters or more.
        int label = end, best = 0, i = end;
        for (; i < text.Length && i - end < 255; i++)
        {
            byte c = text[i];
            if (c == (byte)'.')
            {
                if (i == label) break;
                label = i + 1;
            }
            else if (IsAlnum(c) || c >= 0x80 || (c == (byte)'-' && i > label))
            {
                if (label > end && i - label >= 1 && !IsDigit(text[label])) best = i + 1;
            }
            else
            {
                break;
            }
        }
        if (best == 0) return false;
        end = best;
        return true;

        static bool IsLocal(byte c) => IsAlnum(c) || c >= 0x80 || c is (byte)'.' or (byte)'_' or (byte)'%' or (byte)'+' or (byte)'-' or (byte)'\'' or (byte)'=' or (byte)'/' or (byte)'!' or (byte)'#' or (byte)'$' or (byte)'*';
    }

    /// <summary>A needle's verifier, chosen by the bytes at <paramref name="at"/>.</summary>
    internal static bool Needle(ReadOnlySpan<byte> text, int at, int floor, out int start, out int end, out Detector detector)
    {
        start = at;
        end = at;
        detector = Detector.ApiKey;
        var rest = text[at..];
        bool fresh = at == 0 || !IsAlnum(text[at - 1]);
        switch ((char)(rest[0] | 0x20))
        {
            case 's' when Begins(rest, "sk-"u8): return fresh && Key(rest, 3, 16, ref end, 20);
            case 's' when Begins(rest, "sg."u8): return fresh && SendGrid(rest, ref end);
            case 's' when Begins(rest, "sk_live_"u8) || Begins(rest, "sk_test_"u8): return Key(rest, 8, 10, ref end);
            case 's' when Begins(rest, "shpat_"u8): return Key(rest, 6, 20, ref end);
            case 'r' when Begins(rest, "rk_live_"u8) || Begins(rest, "rk_test_"u8): return Key(rest, 8, 10, ref end);
            case 'w' when Begins(rest, "whsec_"u8): return Key(rest, 6, 16, ref end);
            case 'a' when Begins(rest, "akia"u8) || Begins(rest, "asia"u8): return fresh && Aws(rest, ref end);
            case 'a' when Begins(rest, "aiza"u8): return fresh && Key(rest, 4, 30, ref end);
            case 'g' when Begins(rest, "github_pat_"u8): return Key(rest, 11, 20, ref end);
            case 'g' when Begins(rest, "glpat-"u8): return Key(rest, 6, 16, ref end);
            case 'g' when rest.Length > 4 && rest[3] == (byte)'_' && "pousr"u8.Contains((byte)(rest[2] | 0x20)): return Key(rest, 4, 20, ref end);
            case 'x' when rest.Length > 5: return Slack(rest, ref end);
            case 'n' when Begins(rest, "npm_"u8): return fresh && Key(rest, 4, 30, ref end);
            case 'h' when Begins(rest, "hf_"u8): return fresh && Key(rest, 3, 24, ref end);
            case 'e' when Begins(rest, "eyj"u8): detector = Detector.Token; return fresh && Jwt(rest, ref end);
            case 'b' when Begins(rest, "bearer"u8): detector = Detector.Token; return Bearer(text, at, out start, out end);
            case 'b' when Begins(rest, "basic "u8): detector = Detector.Token; return Basic(text, at, out start, out end);
            case 'y' when Begins(rest, "ya29."u8): detector = Detector.Token; return fresh && Key(rest, 5, 20, ref end);
            case '-': detector = Detector.PrivateKey; return Pem(rest, ref end);
            case ':': detector = Detector.Token; return UserInfo(text, at + 3, out start, out end);
            case '%' or '\x25': detector = Detector.Email; return Email(text, at, 3, floor, out start, out end);
        }
        if (Begins(rest, "authorization"u8))
        {
            detector = Detector.Token;
            return Authorization(text, at + "authorization".Length, out start, out end);
        }
        detector = Detector.Secret;
        return Assignment(text, at, out start, out end);
    }

    // The whole run of key characters is consumed, so a run is looked at once; a failing one is shorter than the minimum.
    private static bool Key(ReadOnlySpan<byte> rest, int prefix, int minimum, ref int end, int needsDigitBelow = 0)
    {
        int run = Run(rest[prefix..], KeyBytes);
        if (run < minimum) return false;
        // "sk-" also begins hyphenated words; a short run of letters alone is one of those.
        if (run < needsDigitBelow + 12 && needsDigitBelow > 0 && !rest.Slice(prefix, run).ContainsAnyInRange((byte)'0', (byte)'9')) return false;
        end += prefix + run;
        return true;
    }

    private static bool Aws(ReadOnlySpan<byte> rest, ref int end)
    {
        if (rest.Length < 20) return false;
        for (int i = 0; i < 20; i++)
            if (!(char.IsAsciiLetterUpper((char)rest[i]) || IsDigit(rest[i]))) return false;
        if (rest.Length > 20 && IsAlnum(rest[20])) return false;
        end += 20;
        return true;
    }

    private static bool Slack(ReadOnlySpan<byte> rest, ref int end)
    {
        if (Begins(rest, "xapp-"u8)) return Key(rest, 5, 10, ref end);
        return Begins(rest, "xox"u8) && rest[4] == (byte)'-' && Key(rest, 5, 8, ref end);
    }

    private static bool SendGrid(ReadOnlySpan<byte> rest, ref int end)
    {
        int first = Run(rest[3..Math.Min(rest.Length, 40)], KeyBytes);
        int second = 3 + first;
        if (first < 16 || second >= rest.Length || rest[second] != (byte)'.') return false;
        int run = Run(rest[(second + 1)..], KeyBytes);
        if (run < 16) return false;
        end += second + 1 + run;
        return true;
    }

    // Three base64url segments (RFC 7519), the last of which may be empty. A first segment longer than 4 KiB, or a second one beyond
    // 64 KiB, is taken as a token too: that bounds the look-ahead.
    private static bool Jwt(ReadOnlySpan<byte> rest, ref int end)
    {
        int first = Run(rest[..Math.Min(rest.Length, 4096)], KeyBytes);
        if (first < 12) return false;
        if (first == 4096)
        {
            end += Run(rest, TokenBytes);
            return true;
        }
        if (first + 4 >= rest.Length || rest[first] != (byte)'.' || !rest[(first + 1)..].StartsWith("eyJ"u8)) return false;
        // The payload of a token is a JSON object too, so its segment begins alike; the rest of the run belongs to the token.
        end += first + 1 + Run(rest[(first + 1)..], TokenBytes);
        return true;
    }

    private static bool Bearer(ReadOnlySpan<byte> text, int at, out int start, out int end)
    {
        start = at + 6;
        end = start;
        while (start < text.Length && start < at + 14 && text[start] is (byte)' ' or (byte)':' or (byte)'=' or (byte)'\t') start++;
        if (start == at + 6) return false;
        int run = Run(text[start..], TokenBytes);
        end = start + run;
        // Prose says "bearer of …": a credential has a digit or is longer than words are.
        return run >= 8 && (run >= 20 || text.Slice(start, run).ContainsAnyInRange((byte)'0', (byte)'9'));
    }

    // RFC 7617: what follows is base64 of user:password.
    private static bool Basic(ReadOnlySpan<byte> text, int at, out int start, out int end)
    {
        start = at + 6;
        int run = Math.Min(Run(text[start..], TokenBytes), 512);
        end = start + run;
        Span<byte> decoded = stackalloc byte[384];
        var credentials = text.Slice(start, run);
        return run >= 8 && System.Buffers.Text.Base64.DecodeFromUtf8(credentials[..(run / 4 * 4)], decoded, out _, out int length) == System.Buffers.OperationStatus.Done
            && decoded[..length].IndexOf((byte)':') > 0 && decoded[..length].IndexOfAnyExceptInRange((byte)32, (byte)126) < 0;
    }

    private static bool Pem(ReadOnlySpan<byte> rest, ref int end)
    {
        var head = rest[..Math.Min(rest.Length, 64)];
        int key = head.IndexOf("PRIVATE KEY"u8);
        if (key < 0 || !Begins(rest, "-----begin "u8)) return false;
        // A key whose end is cut off is a key all the same.
        int close = rest[key..].IndexOf("-----END"u8);
        if (close < 0)
        {
            end += rest.Length;
            return true;
        }
        int after = key + close + 8;
        int dashes = rest[after..Math.Min(rest.Length, after + 48)].IndexOf("-----"u8);
        end += dashes < 0 ? after : after + dashes + 5;
        return true;
    }

    private static bool UserInfo(ReadOnlySpan<byte> text, int from, out int start, out int end)
    {
        start = from;
        end = from;
        if (from >= text.Length) return false;
        var authority = text[from..Math.Min(text.Length, from + 1024)];
        int stop = authority.IndexOfAny(UserInfoEnd);
        if (stop <= 0 || authority[stop] != (byte)'@') return false;
        end = from + stop;
        return authority[..stop].Contains((byte)':') || stop >= 16;
    }

    private static bool Authorization(ReadOnlySpan<byte> text, int from, out int start, out int end)
    {
        start = from;
        end = from;
        if (!Separator(text, ref start)) return false;
        int word = Run(text[start..Math.Min(text.Length, start + 40)], KeyBytes);
        if (word > 0 && start + word < text.Length && text[start + word] == (byte)' ' && IsScheme(text.Slice(start, word)))
        {
            start += word + 1;
            end = start + RunTo(text[start..], LineEnd);
            return end > start && !text[start..].StartsWith("[token]"u8);
        }
        end = start + RunTo(text[start..], SecretEnd);
        return end - start >= 8 && text[start..end].ContainsAnyInRange((byte)'0', (byte)'9');
    }

    private static bool IsScheme(ReadOnlySpan<byte> word) =>
        Begins(word, "basic"u8) || Begins(word, "bearer"u8) || Begins(word, "digest"u8) || Begins(word, "token"u8) || Begins(word, "apikey"u8)
        || Begins(word, "negotiate"u8) || Begins(word, "aws4-"u8) || Begins(word, "dpop"u8) || Begins(word, "key"u8);

    // name = value, name: "value", "name":"value", name%3Dvalue … : what stands after the name of a credential.
    private static bool Assignment(ReadOnlySpan<byte> text, int at, out int start, out int end)
    {
        start = at;
        end = at;
        int name = 0;
        while (at + name < text.Length && name < 24 && (IsAlnum(text[at + name]) || text[at + name] is (byte)'_' or (byte)'-')) name++;
        start = at + name;
        if (!SecretNames.HoldsWhole(text.Slice(at, name)) || !Separator(text, ref start)) return false;
        end = start + RunTo(text[start..], SecretEnd);
        return end - start >= 4 && !text[start..end].StartsWith("[secret"u8);
    }

    // Quotes, blanks and backslashes around at least one ':' or '='.
    private static bool Separator(ReadOnlySpan<byte> text, ref int at)
    {
        bool assigned = false;
        int limit = Math.Min(text.Length, at + 8);
        while (at < limit && text[at] is (byte)':' or (byte)'=' or (byte)'"' or (byte)'\'' or (byte)' ' or (byte)'\\')
        {
            assigned |= text[at] is (byte)':' or (byte)'=';
            at++;
        }
        return assigned && at < text.Length;
    }
}
