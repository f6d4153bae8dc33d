namespace Evident.Ingest;

/// <summary>Card numbers, IBANs and telephone numbers: what begins at a run of digits.</summary>
internal static class NumberDetectors
{
    private const int MaxCardDigits = 19;

    // ISO 13616 lengths, by country.
    private static readonly Dictionary<int, int> IbanLengths = Parse(
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20");

    private static Dictionary<int, int> Parse(string table) =>
        table.Split(' ').ToDictionary(row => (row[0] << 8) | row[1], row => int.Parse(row.AsSpan(2), System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Whether a number as a whole is a card number: 13 to 19 digits of a known issuer range that pass the Luhn check.</summary>
    internal static bool IsCard(long value)
    {
        if (value < 1_000_000_000_000) return false;
        Span<byte> digits = stackalloc byte[20];
        return IsCard(digits[..JsonText.WriteInteger(value, digits)]);
    }

    internal static bool IsCard(double value) => Math.Abs(value) < 9e18 && IsCard((long)Math.Abs(value));

    /// <summary>The rule that fires on a JSON number, as it is written: a card number, or a national id where such rules are on.</summary>
    internal static CodeRule? Judge(ReadOnlySpan<byte> text, Redactor redactor)
    {
        if (text.Length < 9) return null;
        Span<byte> digits = stackalloc byte[20];
        int point = JsonText.Decimal(text, digits, out int count, out _);
        if (point is < 9 or > 18 || !System.Buffers.Text.Utf8Parser.TryParse(text, out double value, out _)) return null;
        if (redactor.Index.On[(int)CodeRule.Card] && IsCard(value)) return CodeRule.Card;
        if (!redactor.Index.AnyNationalId || count > point) return null;
        digits[count..point].Fill((byte)'0');
        return NationalIds.Find(digits[..point], 0, point, 0, redactor.Index.On, out _, out int end, out var rule) && end == point ? rule : null;
    }

    private static bool IsCard(ReadOnlySpan<byte> digits)
    {
        if (digits.Length is < 13 or > MaxCardDigits || !IsIssuer(digits)) return false;
        int sum = 0;
        bool twice = false;
        for (int i = digits.Length - 1; i >= 0; i--, twice = !twice)
        {
            int d = digits[i] - '0';
            if (twice && (d *= 2) > 9) d -= 9;
            sum += d;
        }
        return sum % 10 == 0;
    }

    // ISO/IEC 7812 ranges in use for payment cards: 2221-2720 and 3 to 6. Millisecond and nanosecond times begin with 1.
    private static bool IsIssuer(ReadOnlySpan<byte> digits)
    {
        int four = (digits[0] - '0') * 1000 + (digits[1] - '0') * 100 + (digits[2] - '0') * 10 + digits[3] - '0';
        return four is (>= 2221 and <= 2720) or (>= 3000 and <= 6999);
    }

    /// <summary>Something that begins with the digit run at <paramref name="at"/> (or with the letters, <c>+</c> or <c>(</c> before it).</summary>
    internal static bool Find(ReadOnlySpan<byte> text, int at, int floor, RuleIndex rules, out int start, out int end, out int rule)
    {
        int run = at;
        while (run < text.Length && Detectors.IsDigit(text[run])) run++;
        start = at;
        rule = (int)CodeRule.Iban;
        if (run - at >= 2 && at - 2 >= floor && rules.On[rule] && Iban(text, at - 2, out end))
        {
            start = at - 2;
            return true;
        }
        rule = (int)CodeRule.Card;
        bool joined = at > 0 && char.IsAsciiLetter((char)text[at - 1]); // digits inside a word are neither card nor telephone number
        if (joined)
        {
            end = at;
            if (!rules.AnyNationalId || !NationalIds.Find(text, at, run, floor, rules.On, out start, out end, out var inWord)) return false;
            rule = (int)inWord;
            return true;
        }
        if (rules.On[rule] && MayBeCard(text, at, run) && Card(text, at, run, out end)) return true;
        if (rules.FindNumber(text, at, run - at, out end, out rule)) return true;
        if (rules.AnyNationalId && NationalIds.Find(text, at, run, floor, rules.On, out start, out end, out var national))
        {
            rule = (int)national;
            return true;
        }
        rule = (int)CodeRule.Phone;
        end = at;
        return rules.On[rule] && Phone(text, at, run, floor, out start, out end);
    }

    // A first digit that issuers have; long enough by itself, or a group that another one follows.
    private static bool MayBeCard(ReadOnlySpan<byte> text, int at, int run) => text[at] is >= (byte)'2' and <= (byte)'6' && (
        run - at >= 13 || (run + 1 < text.Length && text[run] is (byte)' ' or (byte)'-' && Detectors.IsDigit(text[run + 1])));

    private static bool Iban(ReadOnlySpan<byte> text, int at, out int end)
    {
        end = at;
        if (!char.IsAsciiLetter((char)text[at]) || !char.IsAsciiLetter((char)text[at + 1]) || (at > 0 && Detectors.IsAlnum(text[at - 1]))) return false;
        if (!IbanLengths.TryGetValue(((text[at] & 0xDF) << 8) | (text[at + 1] & 0xDF), out int length)) return false;
        Span<byte> characters = stackalloc byte[34];
        int n = 0, i = at;
        for (; n < length && i < text.Length; i++)
        {
            byte c = text[i];
            if (Detectors.IsAlnum(c)) characters[n++] = c;
            else if (c is not ((byte)' ' or (byte)'-') || n == 0 || !Detectors.IsAlnum(text[i - 1])) return false;
        }
        if (n < length || (i < text.Length && Detectors.IsAlnum(text[i]))) return false;
        int remainder = 0;
        for (int k = 0; k < length; k++)
        {
            int c = characters[(k + 4) % length];
            remainder = c <= '9' ? (remainder * 10 + c - '0') % 97 : (remainder * 100 + (c & 0xDF) - 'A' + 10) % 97;
        }
        end = i;
        return remainder == 1;
    }

    private static bool IsFraction(ReadOnlySpan<byte> text, int at)
    {
        if (at < 2 || text[at - 1] != (byte)'.') return false;
        int whole = at - 1, first = Math.Max(0, at - 21);
        while (whole > first && Detectors.IsDigit(text[whole - 1])) whole--;
        return whole < at - 1 && (whole == 0 || !(Detectors.IsAlnum(text[whole - 1]) || text[whole - 1] is (byte)'.' or (byte)'_'));
    }

    // Groups of digits joined by single blanks or dashes; a number may begin at any group, so at this one. At most 19 digits are looked at.
    private static bool Card(ReadOnlySpan<byte> text, int at, int run, out int end)
    {
        end = at;
        if (run - at > MaxCardDigits) return false;
        // The fraction of a decimal number and the tail of a name such as "a4111" are no card numbers.
        if (at > 0 && (char.IsAsciiLetter((char)text[at - 1]) || (run - at >= 13 && IsFraction(text, at)))) return false;
        Span<byte> digits = stackalloc byte[MaxCardDigits];
        int n = 0, i = at;
        bool found = false;
        while (i < text.Length && n < MaxCardDigits + 1)
        {
            byte c = text[i];
            if (Detectors.IsDigit(c))
            {
                if (n == MaxCardDigits) break;
                digits[n++] = c;
                i++;
                if (i < text.Length && Detectors.IsDigit(text[i])) continue;
                if (i < text.Length && char.IsAsciiLetter((char)text[i])) break;
                if (IsCard(digits[..n]))
                {
                    found = true;
                    end = i;
                }
            }
            else if (c is (byte)' ' or (byte)'-' && i + 1 < text.Length && Detectors.IsDigit(text[i + 1]))
            {
                i++;
            }
            else
            {
                break;
            }
        }
        return found;
    }

    // Not inside a longer number, name, version, time or date.
    private static bool MayPrecede(byte edge, byte before, bool plus) => (char)edge switch
    {
        '+' or '@' => false,
        '.' or '-' => plus || !Detectors.IsAlnum(before),
        ':' or '/' => plus || !Detectors.IsDigit(before),
        _ => !Detectors.IsAlnum(edge),
    };

    // The international prefix written out, without separators: 0049170…
    private static bool IsDialled(ReadOnlySpan<byte> text, int at, int run) =>
        run - at is >= 11 and <= 15 && text[at] == (byte)'0' && text[at + 1] == (byte)'0' && text[at + 2] is >= (byte)'1' and <= (byte)'9'
        && (at == 0 || !Detectors.IsDigit(text[at - 1])) && (run == text.Length || !(Detectors.IsAlnum(text[run]) || text[run] is (byte)'_' or (byte)'-' or (byte)'.'));

    private static bool Phone(ReadOnlySpan<byte> text, int at, int run, int floor, out int start, out int end)
    {
        start = at;
        end = at;
        byte before = at > floor ? text[at - 1] : (byte)' ';
        bool plus = before == (byte)'+', open = before == (byte)'(';
        if (plus) start = at - 1;
        if (open) start = at - 1;
        if (open && start > floor && text[start - 1] == (byte)'+')
        {
            plus = true;
            start--;
        }
        if (start > floor && !MayPrecede(text[start - 1], start - 1 > floor ? text[start - 2] : (byte)' ', plus)) return false;
        if (!plus && !open && IsDialled(text, at, run))
        {
            end = run;
            return true;
        }
        if (!plus && !open && (run - at > 5 || (run - at == 1 && text[at] != (byte)'1'))) return false;

        // A national form begins with a trunk zero, an area of three digits, or 1 before one; and one group alone is none.
        if (!plus && !open && text[at] != (byte)'0' && !(run - at == 3 && text[at] >= (byte)'2') && !(run - at == 1 && text[at] == (byte)'1')) return false;
        if (!plus && !open && (run == text.Length || text[run] is not ((byte)' ' or (byte)'-' or (byte)'.' or (byte)'/' or (byte)'(' or (byte)')'))) return false;

        // The groups of digits and what stands between them; at most 15 digits (E.164).
        Span<int> groups = stackalloc int[16];
        Span<byte> separators = stackalloc byte[16];
        int count = 0, digits = 0, i = at;
        bool closed = !open, mixed = false;
        while (i < text.Length && digits <= 15 && count < groups.Length)
        {
            int from = i;
            while (i < text.Length && Detectors.IsDigit(text[i]) && i - from <= 15) i++;
            groups[count] = i - from;
            digits += i - from;
            end = i;
            int gap = i;
            byte separator = 0;
            while (gap < text.Length && gap - i < 3 && text[gap] is (byte)' ' or (byte)'-' or (byte)'.' or (byte)'/' or (byte)'(' or (byte)')')
            {
                if (text[gap] == (byte)')') closed = true;
                if (text[gap] == (byte)'(' && !plus && !(count == 0 && groups[0] <= 4)) break;
                if (separator is 0 or (byte)' ' or (byte)'(' or (byte)')') separator = text[gap];
                gap++;
            }
            separators[count++] = separator;
            if (gap == i || gap >= text.Length || !Detectors.IsDigit(text[gap])) break;
            if (count > 1 && separators[count - 2] != separator) mixed = true;
            i = gap;
        }
        if (i < text.Length && (Detectors.IsAlnum(text[i]) || text[i] is (byte)'_' or (byte)'@' or (byte)'=' || (!plus && text[i] == (byte)':' && i + 1 < text.Length && Detectors.IsDigit(text[i + 1])))) return false;
        if (!closed) return false;
        if (plus) return text[at] != (byte)'0' && digits is >= 8 and <= 15;
        if (count < 2) return false;

        int first = open ? 0 : groups[0] == 1 && text[at] == (byte)'1' ? 1 : 0;
        bool american = count - first == 3 && groups[first] == 3 && groups[first + 1] == 3 && groups[first + 2] == 4 && digits is 10 or 11;
        if (american)
        {
            byte area = text[first == 0 ? at : at + 2];
            if (area == (byte)'(') area = text[at + 3];
            if (area is >= (byte)'2' and <= (byte)'9') return true;
        }
        // A trunk zero and 9 to 12 digits, or 00 and a country: (030) 901820, 0171 234 5678, 01 23 45 67 89, 0049 30 901820.
        if (text[at] != (byte)'0' || (mixed && !open)) return false;
        bool abroad = groups[0] >= 2 && text[at + 1] == (byte)'0';
        if (abroad ? digits is < 10 or > 15 : digits is < 9 or > 12) return false;
        // Times and dates: 00.00.00, 01-02-2026 12.
        bool date = count >= 3 && groups[0] == 2 && groups[1] == 2 && groups[2] == 4;
        return !date && (groups[0] >= 3 || open || count >= 4 || groups[1] >= 6);
    }
}
