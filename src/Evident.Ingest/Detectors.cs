using System.Buffers;
using System.Text;

namespace Evident.Ingest;

/// <summary>
/// The exact verifiers that are code and no pattern, each called only where <see cref="DetectorScan"/> saw something. All work on UTF-8 bytes; all look at a bounded stretch or at
/// a run that no later call looks at again, so that a scan stays linear whatever the text is. None looks before <c>floor</c>, the end of the finding before.
/// </summary>
internal static class Detectors
{
    private const int MaxLine = 4_096, MaxPutty = 16_384;

    private static readonly SearchValues<byte> TokenBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="u8);
    private static readonly SearchValues<byte> SecretEnd = SearchValues.Create(" \t\r\n\"'`,;&<>()[]{}|\\"u8);
    private static readonly SearchValues<byte> UserInfoEnd = SearchValues.Create("/?#@ \t\r\n\"'`<>\\"u8);
    private static readonly SearchValues<byte> LineEnd = SearchValues.Create("\r\n\"'`\\"u8);
    private static readonly SearchValues<byte> Base64Bytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"u8);

    private static readonly SearchValues<byte> MarkerBytes = SearchValues.Create("abcdefghijklmnopqrstuvwxyz_"u8);

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

    /// <summary>RFC 5321's usual forms: a dotted local part and a domain of at least two labels, or a quoted form's inner address.</summary>
    /// <param name="at">Where <c>@</c> stands.</param>
    internal static bool Email(ReadOnlySpan<byte> text, int at, int floor, out int start, out int end)
    {
        start = at;
        end = at + 1;
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

    /// <summary>Where a private key that begins at <paramref name="at"/> ends, or -1. A key whose end is cut off is a key all the same.</summary>
    internal static int PrivateKey(ReadOnlySpan<byte> text, int at)
    {
        var rest = text[at..];
        if (rest.StartsWith("PuTTY-User-Key-File-"u8))
        {
            rest = rest[..Math.Min(rest.Length, MaxPutty)];
            int mac = rest.IndexOf("Private-MAC:"u8);
            if (mac < 0) return rest.IndexOf("Private-Lines:"u8) < 0 ? -1 : at + rest.Length;
            return at + mac + RunTo(rest[mac..], LineEnd);
        }
        var head = rest[..Math.Min(rest.Length, 64)];
        int key = head.IndexOf("PRIVATE KEY"u8);
        if (key < 0 || !rest.StartsWith("-----BEGIN "u8)) return -1;
        int close = rest[key..].IndexOf("-----END"u8);
        if (close < 0) return text.Length;
        int after = key + close + 8;
        int dashes = rest[after..Math.Min(rest.Length, after + 48)].IndexOf("-----"u8);
        return at + (dashes < 0 ? after : after + dashes + 5);
    }

    /// <summary>User and password, or a token of 16 bytes or more, between <c>://</c> and <c>@</c>.</summary>
    internal static bool UserInfo(ReadOnlySpan<byte> text, int from, out int start, out int end)
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

    /// <summary><c>Bearer token</c> and <c>Basic base64(user:password)</c>: RFC 6750, RFC 7617. The run at <paramref name="at"/> is what follows the word.</summary>
    internal static bool Scheme(ReadOnlySpan<byte> text, int at, int floor, out int end, out CodeRule rule)
    {
        end = at;
        rule = CodeRule.BearerToken;
        int word = at;
        while (word > floor && at - word < 6 && text[word - 1] is (byte)' ' or (byte)'\t' or (byte)':' or (byte)'=' or (byte)'"' or (byte)'\'') word--;
        if (word == at || word < 5) return false;
        int run = Run(text[at..], TokenBytes);
        end = at + run;
        // Prose says "bearer of …": a credential has a digit or is longer than words are.
        if (word >= 6 && Ascii.EqualsIgnoreCase(text[(word - 6)..word], "bearer"u8)) return run >= 20 || text.Slice(at, run).ContainsAnyInRange((byte)'0', (byte)'9');
        rule = CodeRule.BasicCredentials;
        return Ascii.EqualsIgnoreCase(text[(word - 5)..word], "basic"u8) && IsUserAndPassword(text.Slice(at, Math.Min(run, 512)));
    }

    private static bool IsUserAndPassword(ReadOnlySpan<byte> credentials)
    {
        Span<byte> decoded = stackalloc byte[384];
        return System.Buffers.Text.Base64.DecodeFromUtf8(credentials[..(credentials.Length / 4 * 4)], decoded, out _, out int length) == OperationStatus.Done
            && decoded[..length].IndexOf((byte)':') > 0 && decoded[..length].IndexOfAnyExceptInRange((byte)32, (byte)126) < 0;
    }

    /// <summary>Forty characters of base64 with small and capital letters and digits, alone: a secret access key, where an access key id stands before.</summary>
    internal static bool AwsSecret(ReadOnlySpan<byte> text, int at, int floor, out int start, out int end)
    {
        start = at;
        while (start > floor && at - start < 40 && text[start - 1] is (byte)'+' or (byte)'/') start--;
        end = start + Run(text[start..Math.Min(text.Length, start + 41)], Base64Bytes);
        var key = text[start..end];
        return key.Length == 40 && key.ContainsAnyInRange((byte)'a', (byte)'z') && key.ContainsAnyInRange((byte)'A', (byte)'Z') && key.ContainsAnyInRange((byte)'0', (byte)'9');
    }

    /// <summary>name = value, name: "value", "name":"value", ?name=value … : what stands behind the name of a secret.</summary>
    /// <param name="at">Where <c>=</c> or <c>:</c> stands.</param>
    internal static bool Named(ReadOnlySpan<byte> text, int at, int floor, RuleIndex rules, out int start, out int end, out CodeRule rule)
    {
        start = end = at;
        rule = CodeRule.NamedSecret;
        if (at > floor && text[at - 1] is (byte)'!' or (byte)'<' or (byte)'>') return false; // a comparison
        int nameEnd = at;
        while (nameEnd > floor && at - nameEnd < 4 && text[nameEnd - 1] is (byte)' ' or (byte)'"' or (byte)'\'' or (byte)'\\' or (byte)']') nameEnd--;
        int name = nameEnd;
        while (name > floor && nameEnd - name < SecretNames.Longest && (KeyRuns.IsMember(text[name - 1]) || text[name - 1] == (byte)'.')) name--;
        var word = text[name..nameEnd];
        if (word.Length < 2) return false;
        var verdict = rules.Names.Judge(word);
        bool query = verdict != NameVerdict.Secret && name > floor && text[name - 1] is (byte)'?' or (byte)'&' && SecretNames.IsQueryName(word);
        if (verdict == NameVerdict.Ordinary && !query) return false;
        if (at + 1 < text.Length && text[at + 1] == text[at] && !(at + 3 < text.Length && text[(at + 2)..].TrimStart((byte)' ') is [(byte)'"' or (byte)'\'', ..])) return false; // code: a::b, a == b

        start = at;
        int limit = Math.Min(text.Length, at + 8);
        while (start < limit && text[start] is (byte)':' or (byte)'=' or (byte)'>' or (byte)'"' or (byte)'\'' or (byte)' ' or (byte)'\\') start++;
        if (start == text.Length) return false;
        bool header = rules.On[(int)CodeRule.AuthorizationHeader] && IsHeader(word, "authorization"u8);
        if (header)
        {
            rule = CodeRule.AuthorizationHeader;
            return Authorization(text, ref start, out end);
        }
        if (text[at] == (byte)':' && rules.On[(int)CodeRule.CookieHeader] && IsHeader(word, "cookie"u8))
        {
            end = start + RunTo(text[start..Math.Min(text.Length, start + MaxLine)], LineEnd);
            rule = CodeRule.CookieHeader;
            if (text[start..end].Contains((byte)'=')) return true;
            rule = CodeRule.NamedSecret;
        }
        if (!rules.On[(int)CodeRule.NamedSecret]) return false;
        end = ValueEnd(text, start);
        var value = text[start..end];
        if (query) return value.Length >= 8 && value.ContainsAnyInRange((byte)'0', (byte)'9');
        return verdict == NameVerdict.Secret
            ? value.Length >= 3 && !SaysNothing(value, text[end..], rules, quoted: text[start - 1] is (byte)'"' or (byte)'\'')
            : SecretNames.LooksGenerated(value);
    }

    // A quoted value ends at its quote, so that a passphrase of several words is one.
    private static int ValueEnd(ReadOnlySpan<byte> text, int start)
    {
        byte quote = text[start - 1];
        if (quote is (byte)'"' or (byte)'\'')
        {
            int close = text[start..Math.Min(text.Length, start + MaxLine)].IndexOfAny(quote, (byte)'\n', (byte)'\\');
            if (close >= 0 && text[start + close] == quote) return start + close;
        }
        return start + RunTo(text[start..], SecretEnd);
    }

    // Its last dotted part, with something like "proxy-" or "set-" before it.
    private static bool IsHeader(ReadOnlySpan<byte> name, ReadOnlySpan<byte> header)
    {
        name = name[(name.LastIndexOf((byte)'.') + 1)..];
        return name.Length >= header.Length && name.Length <= header.Length + 8 && Ascii.EqualsIgnoreCase(name[^header.Length..], header);
    }

    private static bool Authorization(ReadOnlySpan<byte> text, ref int start, out int end)
    {
        int word = KeyRuns.Length(text[start..Math.Min(text.Length, start + 40)]);
        var scheme = text.Slice(start, word);
        if (word > 0 && start + word < text.Length && text[start + word] == (byte)' ')
        {
            bool token = OneOf(scheme, "basic"u8, "bearer"u8, "token"u8) || OneOf(scheme, "apikey"u8, "negotiate"u8, "dpop"u8) || OneOf(scheme, "key"u8, "ssws"u8, "ntlm"u8);
            if (token || OneOf(scheme, "digest"u8, "hawk"u8, "oauth"u8) || (word > 5 && Ascii.EqualsIgnoreCase(scheme[..5], "aws4-"u8)))
            {
                start += word + 1;
                var line = text[start..Math.Min(text.Length, start + MaxLine)];
                end = start + (token ? Run(line, TokenBytes) : RunTo(line, LineEnd));
                return end - start >= 4;
            }
        }
        end = start + RunTo(text[start..], SecretEnd);
        return end - start >= 8 && text[start..end].ContainsAnyInRange((byte)'0', (byte)'9');
    }

    private static bool OneOf(ReadOnlySpan<byte> word, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ReadOnlySpan<byte> c) =>
        Ascii.EqualsIgnoreCase(word, a) || Ascii.EqualsIgnoreCase(word, b) || Ascii.EqualsIgnoreCase(word, c);

    // Words that stand behind the name of a secret without being one: placeholders, and how prose goes on ("password: must be …").
    private static readonly Vocabulary<bool> Placeholders = Vocabulary<bool>.Of(
        ("null none nil undefined true false yes no empty required optional redacted masked hidden omitted removed string str int bool bytes number object any type uuid varchar text env todo tbd example placeholder", true),
        ("must is was are were should shall may can cannot could will would has have had not and or the a an of for with without to from in on at by if when this that it incorrect invalid wrong expired missing changed reset", true),
        ("forgotten unknown rejected accepted updated rotated revoked denied failed failure error ok sent provided given set unset used stored generated valid present absent default new old count counts limit usage budget per", true));

    private static bool IsMarker(ReadOnlySpan<byte> value) =>
        value is [(byte)'[', .., (byte)']'] && value[1..^1].IndexOfAnyExcept(MarkerBytes) < 0;

    private static bool SaysNothing(ReadOnlySpan<byte> value, ReadOnlySpan<byte> behind, RuleIndex rules, bool quoted)
    {
        if (value.IndexOfAnyExcept((byte)'*') < 0 || value.IndexOfAnyExcept((byte)'x') < 0 || value.IndexOfAnyExcept((byte)'.') < 0 || value.IndexOfAnyExcept((byte)'-') < 0 || IsMarker(value)) return true;
        var word = value.TrimEnd(".!?:"u8);
        if (Placeholders.TryGet(word, out _)) return true;
        if (quoted || value.ContainsAnyInRange((byte)'0', (byte)'9')) return false;
        // Code, not a value: a call, an element, or a variable that is named like a secret itself.
        return (!behind.IsEmpty && behind[0] is (byte)'(' or (byte)'[') || rules.Names.Judge(value) == NameVerdict.Secret;
    }
}
