using System.Buffers;

namespace Evident.Ingest;

/// <summary>What a name says about the value behind it.</summary>
internal enum NameVerdict : byte { Ordinary, Perhaps, Secret }

/// <summary>
/// Names under which senders keep credentials, compared without case and without <c>_ - .</c> and blanks. A <c>*</c> at the beginning or the end stands for anything. Exceptions come first, then secrets;
/// names that only perhaps tell of a secret count when the value looks like one. Immutable.
/// </summary>
internal sealed class SecretNames
{
    internal const int Longest = 64;

    internal static readonly string[] Secrets =
    [
        "*password", "*passwd", "*passphrase", "*passcode", "*pwd", "userpass", "dbpass", "dbpw", "*secret", "*secretkey", "*secretaccesskey", "*secretvalue", "*credential",
        "*apikey", "*apisecret", "*accesskey", "*accesskeyid", "*privatekey", "*privatekeyid", "*accountkey", "*sharedkey", "*signingkey", "*encryptionkey", "*masterkey", "*authkey", "*sshkey", "*subscriptionkey", "*storagekey", "*servicekey", "*hmackey",
        "*token", "authorization", "proxyauthorization", "xauth", "cookie", "setcookie", "*sessioncookie", "jsessionid", "phpsessid", "aspxauth", "connectsid", "*connectionstring", "*connstr", "sharedaccesssignature", "sastoken", "kubeconfig",
        "jwt", "otp", "totp", "onetimecode", "mfacode", "recoverycode", "recoverycodes", "backupcodes", "seedphrase", "mnemonic", "pin", "pincode", "cvv", "cvv2", "cvc", "cvc2", "securitycode",
    ];

    /// <summary>Count only when the value looks like a credential.</summary>
    internal static readonly string[] Perhaps = ["*key", "*keys", "*passwords", "*secrets", "*credentials", "*auth", "pass", "*sas", "bearer", "*sessionid", "*signature", "*dsn"];

    internal static readonly string[] Ordinary =
    [
        "*publickey", "*primarykey", "*foreignkey", "*partitionkey", "*sortkey", "*cachekey", "*idempotencykey", "*rowkey", "*objectkey", "*lookupkey", "*dedupkey", "*routingkey", "*groupkey", "*indexkey", "*registrykey", "*hotkey",
        "*uniquekey", "*messagekey", "*translationkey", "*statekey", "*mapkey", "*datakey", "*jsonkey", "*threadkey", "*lockkey", "*eventkey", "*issuekey", "*projectkey", "*licensekeyid", "agentsessionid", "sessionid",
        "*pagetoken", "nexttoken", "*continuationtoken", "*cursortoken", "*synctoken", "*cancellationtoken", "*eostoken", "*bostoken", "*padtoken", "*unktoken", "*septoken", "*clstoken", "*masktoken", "*stoptoken", "*specialtoken",
        "*pertoken", "*firsttoken", "*lasttoken", "*nexttoken", "*outputtoken", "*inputtoken", "*prompttoken", "*completiontoken",
    ];

    /// <summary>Names of query parameters that carry a signature or a code; they count behind <c>?</c>, <c>&amp;</c> or <c>;</c> only.</summary>
    internal static readonly string[] QueryNames = ["sig", "key", "code", "auth", "signature", "xamzsignature", "xamzcredential", "xamzsecuritytoken", "xgoogsignature", "xgoogcredential", "hmac", "ticket"];

    // Patterns by their last character, so that a name is compared with the few that end like it.
    private sealed class Names
    {
        private readonly (string Text, bool Whole)[][] byEnd = new (string, bool)[128][];
        private readonly string[] beginnings;

        internal Names(IEnumerable<string> patterns)
        {
            string[] all = [.. patterns.Distinct(StringComparer.Ordinal)];
            beginnings = [.. all.Where(p => p.EndsWith('*')).Select(p => p[..^1])];
            foreach (string pattern in all.Where(p => !p.EndsWith('*')))
            {
                bool whole = !pattern.StartsWith('*');
                string text = whole ? pattern : pattern[1..];
                ref var slot = ref byEnd[text[^1]];
                slot = [.. slot ?? [], (text, whole)];
            }
        }

        internal bool HasBeginnings => beginnings.Length > 0;

        internal bool EndsLike(char c) => byEnd[c] is not null;

        internal bool Holds(ReadOnlySpan<char> name)
        {
            if (name[^1] < 128 && byEnd[name[^1]] is { } alike)
            {
                foreach (var (text, whole) in alike)
                    if (whole ? name.SequenceEqual(text) : name.EndsWith(text)) return true;
            }
            foreach (string beginning in beginnings)
                if (name.StartsWith(beginning)) return true;
            return false;
        }
    }

    private static readonly Names Query = new(QueryNames);

    private readonly Names ordinary, secret, perhaps = new(Perhaps);
    private readonly bool[] last = new bool[256]; // bytes that a name can end with to be anything but ordinary

    /// <param name="more">Further names of secrets, folded or not.</param>
    /// <param name="except">Further names that are none; they go before everything else.</param>
    internal SecretNames(IEnumerable<string> more, IEnumerable<string> except)
    {
        ordinary = new Names(Ordinary.Concat(except.Select(Fold)));
        secret = new Names(Secrets.Concat(more.Select(Fold)));
        for (char c = (char)0; c < 128; c++)
            if (secret.EndsLike(c) || perhaps.EndsLike(c)) last[c] = last[char.ToUpperInvariant(c)] = true;
        if (secret.HasBeginnings) Array.Fill(last, true);
    }

    /// <summary>As names are compared: small letters, without <c>_ - .</c> and blanks.</summary>
    internal static string Fold(string name) => name.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).Replace(".", "", StringComparison.Ordinal)
        .Replace(" ", "", StringComparison.Ordinal).ToLowerInvariant();

    /// <summary>The verdict on a name as a whole or, where it has dots, on its last part.</summary>
    internal NameVerdict Judge(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty || !last[name[^1]]) return NameVerdict.Ordinary;
        int dot = name.LastIndexOf((byte)'.');
        var whole = JudgeWhole(name);
        return whole != NameVerdict.Ordinary || dot < 0 ? whole : JudgeWhole(name[(dot + 1)..]);
    }

    private NameVerdict JudgeWhole(ReadOnlySpan<byte> name)
    {
        Span<char> folded = stackalloc char[Longest];
        if (!TryFold(name, folded, out int length)) return NameVerdict.Ordinary;
        var word = folded[..length];
        var verdict = secret.Holds(word) ? NameVerdict.Secret : perhaps.Holds(word) ? NameVerdict.Perhaps : NameVerdict.Ordinary;
        return verdict != NameVerdict.Ordinary && ordinary.Holds(word) ? NameVerdict.Ordinary : verdict;
    }

    internal static bool IsQueryName(ReadOnlySpan<byte> name)
    {
        Span<char> folded = stackalloc char[Longest];
        return TryFold(name, folded, out int length) && Query.Holds(folded[..length]);
    }

    private static bool TryFold(ReadOnlySpan<byte> name, Span<char> folded, out int length)
    {
        length = 0;
        if (name.Length > Longest) name = name[^Longest..];
        foreach (byte c in name)
            if (c is not ((byte)'_' or (byte)'-' or (byte)'.' or (byte)' ')) folded[length++] = char.ToLowerInvariant((char)c);
        return length > 0;
    }

    private static readonly SearchValues<byte> Blanks = SearchValues.Create(" \t\r\n,;<>()[]{}|"u8);

    /// <summary>A value that a generator made: 16 bytes or more without a blank, letters and digits among them.</summary>
    internal static bool LooksGenerated(ReadOnlySpan<byte> value)
    {
        if (value.Length < 16 || value.IndexOfAny(Blanks) >= 0) return false;
        bool digit = false, letter = false;
        foreach (byte c in value)
        {
            digit |= Detectors.IsDigit(c);
            letter |= char.IsAsciiLetter((char)c);
        }
        return digit && letter;
    }
}
