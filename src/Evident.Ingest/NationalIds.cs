namespace Evident.Ingest;

/// <summary>
/// National identity, tax and insurance numbers, each with the check that its country defines. Off until the configuration names them: nine or eleven digits are often something else.
/// A number is looked for where a run of digits begins; letters of its form may stand before or between.
/// </summary>
internal static class NationalIds
{
    private const int MaxCharacters = 16;

    /// <param name="run">Where the run of digits that begins at <paramref name="at"/> ends.</param>
    internal static bool Find(ReadOnlySpan<byte> text, int at, int run, int floor, bool[] on, out int start, out int end, out CodeRule rule)
    {
        start = at;
        end = at;
        rule = CodeRule.UsSsn;
        // Letters that belong to the form: two (NINO), one (NIE), five (PAN), six (codice fiscale).
        int letters = at;
        while (letters > floor && at - letters < 7 && char.IsAsciiLetter((char)text[letters - 1])) letters--;
        if (letters == at && at - 3 >= floor && text[at - 1] == (byte)' ' && char.IsAsciiLetter((char)text[at - 2]) && char.IsAsciiLetter((char)text[at - 3])) letters = at - 3; // AB 12 34 56 C
        bool apart = at > floor && letters < at && text[at - 1] == (byte)' ';
        int before = apart ? 2 : at - letters;
        if (letters > floor && IsJoined(text, letters))
        {
            if (!apart) return false;
            before = 0; // the last two letters of a word
        }
        Span<byte> form = stackalloc byte[MaxCharacters + 8];
        if (before > 0)
        {
            if (Try(on, CodeRule.UkNino, before == 2 && Take(text, letters, 9, " ", form, out end) && IsNino(form), ref rule, ref start, letters)
                || Try(on, CodeRule.EsDni, before == 1 && Take(text, letters, 9, "-", form, out end) && IsNie(form), ref rule, ref start, letters)
                || Try(on, CodeRule.InPan, before == 5 && Take(text, letters, 10, "", form, out end) && IsPan(form), ref rule, ref start, letters)
                || Try(on, CodeRule.ItCodiceFiscale, before == 6 && Take(text, letters, 16, "", form, out end) && IsCodiceFiscale(form), ref rule, ref start, letters)) return true;
            if (!apart) return false;
        }
        if (at > floor && text[at - 1] is (byte)'.' or (byte)'-' or (byte)'+' or (byte)'/' && at - 1 > floor && Detectors.IsAlnum(text[at - 2])) return false;
        int length = run - at;
        return Try(on, CodeRule.FrNir, Take(text, at, 15, " ", form, out end) && IsNir(form), ref rule, ref start, at)
            || Try(on, CodeRule.ChAhv, Take(text, at, 13, ". ", form, out end) && IsAhv(form), ref rule, ref start, at)
            || Try(on, CodeRule.InAadhaar, Take(text, at, 12, " -", form, out end) && IsAadhaar(form), ref rule, ref start, at)
            || Try(on, CodeRule.SePersonnummer, IsPersonnummer(text, at, length, form, out end), ref rule, ref start, at)
            || Try(on, CodeRule.DeSteuerId, Take(text, at, 11, " ", form, out end) && IsSteuerId(form), ref rule, ref start, at)
            || Try(on, CodeRule.PlPesel, length == 11 && Take(text, at, 11, "", form, out end) && IsPesel(form), ref rule, ref start, at)
            || Try(on, CodeRule.BrCpf, Take(text, at, 11, ".-", form, out end) && IsCpf(form), ref rule, ref start, at)
            || Try(on, CodeRule.UsSsn, length == 3 && Take(text, at, 9, "- ", form, out end) && IsSsn(text, at, form), ref rule, ref start, at)
            || Try(on, CodeRule.EsDni, length == 8 && Take(text, at, 9, "-", form, out end) && IsDni(form), ref rule, ref start, at)
            || Try(on, CodeRule.NlBsn, Take(text, at, 9, ".", form, out end) && IsBsn(form), ref rule, ref start, at);
    }

    private static bool Try(bool[] on, CodeRule candidate, bool found, ref CodeRule rule, ref int start, int from)
    {
        if (!found || !on[(int)candidate]) return false;
        rule = candidate;
        start = from;
        return true;
    }

    private static bool IsJoined(ReadOnlySpan<byte> text, int at) => Detectors.IsAlnum(text[at - 1]) || text[at - 1] == (byte)'_';

    // Exactly so many letters and digits, with single separators between; nothing that goes on behind. Letters become capitals.
    private static bool Take(ReadOnlySpan<byte> text, int at, int count, string separators, Span<byte> form, out int end)
    {
        int n = 0, i = at;
        for (; n < count && i < text.Length; i++)
        {
            byte c = text[i];
            if (Detectors.IsAlnum(c)) form[n++] = c >= (byte)'a' ? (byte)(c - 32) : c;
            else if (n == 0 || !Detectors.IsAlnum(text[i - 1]) || !separators.Contains((char)c, StringComparison.Ordinal)) break;
        }
        end = i;
        form[n] = 0;
        return n == count && (i == text.Length || !(Detectors.IsAlnum(text[i]) || text[i] is (byte)'_' or (byte)'@'))
            && !(i + 1 < text.Length && text[i] is (byte)'.' or (byte)'-' && Detectors.IsAlnum(text[i + 1]));
    }

    private static bool Digits(ReadOnlySpan<byte> form, int from, int count) => form.Slice(from, count).IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0;

    private static bool Letters(ReadOnlySpan<byte> form, int from, int count) => form.Slice(from, count).IndexOfAnyExceptInRange((byte)'A', (byte)'Z') < 0;

    private static int Value(ReadOnlySpan<byte> digits)
    {
        int value = 0;
        foreach (byte c in digits) value = value * 10 + c - '0';
        return value;
    }

    private static bool IsDate(int month, int day) => month is >= 1 and <= 12 && day is >= 1 and <= 31;

    private static int Weighted(ReadOnlySpan<byte> digits, ReadOnlySpan<byte> weights)
    {
        int sum = 0;
        for (int i = 0; i < weights.Length; i++) sum += (digits[i] - '0') * (weights[i] - '0');
        return sum;
    }

    // 3-2-4 with the same separator; area not 000, 666 or 9xx, group and serial not zero.
    private static bool IsSsn(ReadOnlySpan<byte> text, int at, ReadOnlySpan<byte> form) =>
        Digits(form, 0, 9) && text[at + 3] == text[at + 6] && !Detectors.IsDigit(text[at + 3])
        && form[0] != (byte)'9' && Value(form[..3]) is not (0 or 666) && Value(form.Slice(3, 2)) != 0 && Value(form.Slice(5, 4)) != 0;

    private static bool IsNino(ReadOnlySpan<byte> form) =>
        Letters(form, 0, 2) && Digits(form, 2, 6) && form[8] is >= (byte)'A' and <= (byte)'D'
        && !"DFIQUV"u8.Contains(form[0]) && !"DFIOQUV"u8.Contains(form[1])
        && !(form[0] == 'B' && form[1] == 'G') && !(form[0] == 'G' && form[1] == 'B') && !(form[0] == 'K' && form[1] == 'N')
        && !(form[0] == 'N' && form[1] is (byte)'K' or (byte)'T') && !(form[0] == 'T' && form[1] == 'N') && !(form[0] == 'Z' && form[1] == 'Z');

    // Not beginning with 0; among the first ten digits one occurs two or three times; ISO 7064 mod 11,10.
    private static bool IsSteuerId(ReadOnlySpan<byte> form)
    {
        if (!Digits(form, 0, 11) || form[0] == (byte)'0') return false;
        Span<int> times = stackalloc int[10];
        times.Clear();
        int most = 0, repeated = 0, product = 10;
        for (int i = 0; i < 10; i++)
        {
            int d = form[i] - '0', sum = (d + product) % 10;
            product = (sum == 0 ? 10 : sum) * 2 % 11;
            if (++times[d] == 2) repeated++;
            most = Math.Max(most, times[d]);
        }
        int check = 11 - product;
        return repeated == 1 && most <= 3 && (check == 10 ? 0 : check) == form[10] - '0';
    }

    // Sex, year, month (also 20 to 42 and 50 to 99 for unknown ones), department (2A and 2B count as 19 and 18), commune, order, key.
    private static bool IsNir(ReadOnlySpan<byte> form)
    {
        if (form[0] is not ((byte)'1' or (byte)'2') || !Digits(form, 0, 6) || !Digits(form, 7, 8)) return false;
        int month = Value(form.Slice(3, 2));
        if (month == 0 || month is > 12 and < 20 || (form[6] is not ((byte)'A' or (byte)'B') && !Detectors.IsDigit(form[6]))) return false;
        long number = 0;
        for (int i = 0; i < 13; i++) number = number * 10 + (i == 6 && form[6] >= (byte)'A' ? 0 : form[i] - '0');
        if (form[6] == (byte)'A') number -= 1_000_000;
        if (form[6] == (byte)'B') number -= 2_000_000;
        return 97 - number % 97 == Value(form.Slice(13, 2));
    }

    private static bool IsDni(ReadOnlySpan<byte> form) => Digits(form, 0, 8) && form[8] == "TRWAGMYFPDXBNJZSQVHLCKE"u8[Value(form[..8]) % 23];

    private static bool IsNie(ReadOnlySpan<byte> form) =>
        form[0] is >= (byte)'X' and <= (byte)'Z' && Digits(form, 1, 7)
        && form[8] == "TRWAGMYFPDXBNJZSQVHLCKE"u8[((form[0] - 'X') * 10_000_000 + Value(form.Slice(1, 7))) % 23];

    private static bool IsBsn(ReadOnlySpan<byte> form) => Digits(form, 0, 9) && Value(form[..9]) > 9_999_999 && (Weighted(form, "98765432"u8) - (form[8] - '0')) % 11 == 0;

    // The month carries the century: 81 to 92, 1 to 12, 21 to 32, 41 to 52, 61 to 72.
    private static bool IsPesel(ReadOnlySpan<byte> form) =>
        Digits(form, 0, 11) && IsDate(Value(form.Slice(2, 2)) % 20, Value(form.Slice(4, 2))) && (10 - Weighted(form, "1379137913"u8) % 10) % 10 == form[10] - '0';

    // YYMMDD-NNNN, YYMMDD+NNNN, or twelve digits; coordination numbers add 60 to the day. Luhn over ten digits.
    private static bool IsPersonnummer(ReadOnlySpan<byte> text, int at, int length, Span<byte> form, out int end)
    {
        end = at;
        if (length is not (6 or 8 or 12)) return false;
        if (length != 12 && !(at + length < text.Length && text[at + length] is (byte)'-' or (byte)'+')) return false;
        int count = length == 6 ? 10 : 12;
        if (!Take(text, at, count, "-+", form, out end) || !Digits(form, 0, count)) return false;
        var ten = form[(count - 10)..count];
        if (count == 12 && Value(form[..2]) is not (18 or 19 or 20)) return false;
        int day = Value(ten.Slice(4, 2)), sum = 0;
        if (!IsDate(Value(ten.Slice(2, 2)), day > 60 ? day - 60 : day)) return false;
        for (int i = 0; i < 10; i++)
        {
            int d = (ten[i] - '0') * (i % 2 == 0 ? 2 : 1);
            sum += d > 9 ? d - 9 : d;
        }
        return sum % 10 == 0;
    }

    private static bool IsAhv(ReadOnlySpan<byte> form) =>
        Digits(form, 0, 13) && form[..3].SequenceEqual("756"u8) && (10 - Weighted(form, "131313131313"u8) % 10) % 10 == form[12] - '0';

    // The dihedral group D5: multiplication, and the permutation of the position.
    private static ReadOnlySpan<byte> DihedralProduct => "0123456789123406789523401789563401289567401239567859876043216598710432765982104387659321049876543210"u8;
    private static ReadOnlySpan<byte> DihedralPower => "01234567891576283094580379614289160435279453126870428657390127938064157046913258"u8;

    private static bool IsAadhaar(ReadOnlySpan<byte> form)
    {
        if (!Digits(form, 0, 12) || form[0] < (byte)'2') return false;
        int check = 0;
        for (int i = 0; i < 12; i++) check = DihedralProduct[check * 10 + DihedralPower[i % 8 * 10 + form[11 - i] - '0'] - '0'] - '0';
        return check == 0;
    }

    // The fourth letter says who holds it.
    private static bool IsPan(ReadOnlySpan<byte> form) => Letters(form, 0, 5) && Digits(form, 5, 4) && Letters(form, 9, 1) && "ABCFGHJLPT"u8.Contains(form[3]);

    private static bool IsCpf(ReadOnlySpan<byte> form)
    {
        if (!Digits(form, 0, 11) || form[..11].IndexOfAnyExcept(form[0]) < 0) return false;
        int first = 0, second = 0;
        for (int i = 0; i < 9; i++) first += (form[i] - '0') * (10 - i);
        first = first * 10 % 11 % 10;
        for (int i = 0; i < 10; i++) second += (form[i] - '0') * (11 - i);
        second = second * 10 % 11 % 10;
        return first == form[9] - '0' && second == form[10] - '0';
    }

    // What a character counts for at an odd place; at an even one a digit counts for itself and a letter for its place in the alphabet.
    private static ReadOnlySpan<byte> OddPlaces => [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

    // Digits may be replaced by the letters LMNPQRSTUV where two people would share one.
    private static bool IsCodiceFiscale(ReadOnlySpan<byte> form)
    {
        if (!Letters(form, 0, 6) || !"ABCDEHLMPRST"u8.Contains(form[8]) || !Letters(form, 11, 1) || !Letters(form, 15, 1)) return false;
        foreach (int i in (ReadOnlySpan<int>)[6, 7, 9, 10, 12, 13, 14])
            if (!Detectors.IsDigit(form[i]) && !"LMNPQRSTUV"u8.Contains(form[i])) return false;
        int sum = 0;
        for (int i = 0; i < 15; i++)
        {
            int value = Detectors.IsDigit(form[i]) ? form[i] - '0' : form[i] - 'A';
            sum += i % 2 == 0 ? OddPlaces[value] : value;
        }
        return form[15] - 'A' == sum % 26;
    }
}
