using System.Buffers;
using System.Buffers.Text;

namespace Evident.Ingest;

/// <summary>
/// The content gate of design section 3, default deny: decides for one value, key or name at a time whether it may stay in a trace and in which form. "Not kept" always
/// means that the caller seals it. Owns the text buffer that <see cref="CleanValue"/> points into; used by one thread at a time.
/// </summary>
internal sealed class ContentGate(RuleSet rules) : IDisposable
{
    internal const int MaxStructuralBytes = 256, MaxStructuralWords = 8, MaxTokenBytes = 64, MaxKeyBytes = 128, MaxNameBytes = 128, MaxReferenceBytes = 512;

    private static readonly SearchValues<byte> NameBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@#+-{}()*"u8);

    private static readonly SearchValues<byte> ReferenceBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:/@+=,-"u8);

    internal RedactionTally Tally { get; } = new(rules);

    /// <summary>The rules of the tenant of the span at hand.</summary>
    internal TenantRules Rules { get; set; } = rules.Everyone;

    internal Redactor Redactor => Rules.Redactor;

    /// <summary>What becomes of what is not kept of the span at hand.</summary>
    internal CaptureMode Mode { get; set; }

    /// <summary>No payload of the span at hand is captured: only canonical fields that are single words, numbers, and keys of the allow-list stay.</summary>
    internal bool IsStrict => Mode is CaptureMode.Structure or CaptureMode.OptOut;

    /// <summary>The scope of the span at hand: its keys make the pseudonyms.</summary>
    internal Scope Scope = null!;

    internal ByteSink Texts { get; } = new();

    internal StaffNames StaffNames { get; } = new(rules);

    internal ReadOnlySpan<byte> Text(in CleanValue value) => Texts.Written.Slice(value.Offset, value.Length);

    internal CleanValue Append(ReadOnlySpan<byte> text, ValueKind kind = ValueKind.Text)
    {
        Texts.Write(text);
        return new CleanValue(kind, 0, Texts.Length - text.Length, text.Length);
    }

    /// <summary>An attribute key may stay: grammar-clean, at most 128 bytes, no rule fires, and it names no secret that the value may be.</summary>
    internal bool KeepsKey(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (!LedgerText.IsToken(key, MaxKeyBytes)) return false;
        var verdict = Redactor.Index.Names.Judge(key);
        return verdict != NameVerdict.Secret && !(verdict == NameVerdict.Perhaps && SecretNames.LooksGenerated(value)) && Redactor.IsClean(key);
    }

    /// <summary>Where only allowed keys stay: this one does.</summary>
    internal bool Allows(ReadOnlySpan<byte> key) => !(Rules.AllowedOnly || IsStrict) || Rules.Allowed.Holds(key);

    /// <summary>Numbers, booleans and white-space-free tokens of at most 64 bytes stay, redacted; nothing else does.</summary>
    internal bool Unknown(SpanBatch batch, in DirtyAttribute attribute, out CleanValue value)
    {
        value = default;
        switch (attribute.Kind)
        {
            case ValueKind.Flag:
                value = new CleanValue(ValueKind.Flag, attribute.Bits, 0, 0);
                return true;
            case ValueKind.Integer:
                value = new CleanValue(ValueKind.Integer, attribute.Bits, 0, 0);
                return !IsPersonal(value);
            case ValueKind.Number:
                double number = attribute.Number;
                if (!double.IsFinite(number)) value = Append(JsonText.NonFinite(number));
                else value = new CleanValue(ValueKind.Number, attribute.Bits, 0, 0);
                return !IsPersonal(value);
            case ValueKind.Text:
                var text = batch.Bytes(attribute.Text);
                return LedgerText.IsToken(text, MaxTokenBytes) && TryRedact(text, ValueKind.Text, out value);
            default:
                return false;
        }
    }

    /// <summary>A number that is a card number or a national id.</summary>
    internal bool IsPersonal(in CleanValue value)
    {
        Span<byte> text = stackalloc byte[32];
        int length = value.Kind switch
        {
            ValueKind.Integer when value.Bits is > 99_999_999 or < -99_999_999 => JsonText.WriteInteger(value.Bits, text),
            ValueKind.Number => JsonText.WriteNumber(BitConverter.Int64BitsToDouble(value.Bits), text),
            _ => 0,
        };
        return NumberDetectors.Judge(text[..length], Redactor) is not null;
    }

    // False when something is found only in what the text encodes: the text is sealed then, and redacted there.
    private bool TryRedact(ReadOnlySpan<byte> text, ValueKind kind, out CleanValue value)
    {
        value = default;
        switch (Redactor.Look(text))
        {
            case TextLook.Clean:
                value = Append(text, kind);
                return true;
            case TextLook.Plain:
                int start = Texts.Length;
                Redactor.Redact(text, Texts, Tally);
                value = new CleanValue(kind, 0, start, Texts.Length - start);
                return true;
            default: return false;
        }
    }

    /// <summary>Known structure: short text of few words (one where nothing is captured), redacted; a list of tokens keeps its JSON form.</summary>
    internal bool Structural(SpanBatch batch, in DirtyAttribute attribute, out CleanValue value)
    {
        value = default;
        if (attribute.Kind is not (ValueKind.Text or ValueKind.Json)) return Unknown(batch, attribute, out value);
        var text = batch.Bytes(attribute.Text);
        return (attribute.Kind == ValueKind.Text || IsTokenList(text)) && StructuralText(text, attribute.Kind, out value);
    }

    internal bool StructuralText(ReadOnlySpan<byte> text, ValueKind kind, out CleanValue value)
    {
        value = default;
        if (text.IsEmpty || text.Length > MaxStructuralBytes || text.ContainsAnyInRange((byte)0, (byte)31) || text.Count((byte)' ') >= MaxStructuralWords) return false;
        if (IsStrict && kind == ValueKind.Text && !LedgerText.IsToken(text, MaxTokenBytes)) return false;
        return TryRedact(text, kind, out value) && value.Length <= MaxStructuralBytes;
    }

    /// <summary>A rendered list whose every element is a number, a flag or a string that is one token of at most 64 bytes: no element says more than a plain value may.</summary>
    internal static bool IsTokenList(ReadOnlySpan<byte> json)
    {
        if (json.Length < 2 || json[0] != (byte)'[' || json[^1] != (byte)']') return false;
        if (json.Length == 2) return true;
        foreach (var range in json[1..^1].Split((byte)','))
        {
            var element = json[1..^1][range];
            if (element is [(byte)'"', .., (byte)'"'] && element.Length > 2) element = element[1..^1];
            if (!LedgerText.IsToken(element, MaxTokenBytes)) return false;
        }
        return true;
    }

    /// <summary>The first element of such a list: what a field keeps of <c>["stop"]</c>; empty when it is no such list.</summary>
    internal static ReadOnlySpan<byte> FirstElement(ReadOnlySpan<byte> json)
    {
        if (!IsTokenList(json)) return default;
        var first = json[1..^1];
        int end = first.IndexOf((byte)',');
        return (end < 0 ? first : first[..end]).Trim((byte)'"');
    }

    /// <summary>
    /// A pointer to content that is kept elsewhere: an address without credentials, query and fragment (<c>?…</c> says that something was cut), redacted, or one token. Content in the form of an
    /// address (<c>data:</c>, percent-encoded text) is none.
    /// </summary>
    internal bool Reference(ReadOnlySpan<byte> text, out CleanValue value)
    {
        value = default;
        int scheme = text.IndexOf("://"u8);
        if (scheme <= 0) return !System.Text.Ascii.EqualsIgnoreCase(text[..Math.Min(5, text.Length)], "data:"u8) && LedgerText.IsToken(text, MaxTokenBytes) && TryRedact(text, ValueKind.Text, out value);
        int end = text.IndexOfAny((byte)'?', (byte)'#');
        var address = end < 0 ? text : text[..end];
        int host = scheme + 3;
        if (host > address.Length || address.Length > MaxReferenceBytes || address.IndexOfAnyExcept(ReferenceBytes) >= 0) return false;
        int slash = address[host..].IndexOf((byte)'/');
        int credentials = (slash < 0 ? address[host..] : address.Slice(host, slash)).LastIndexOf((byte)'@');
        int length = address.Length - credentials - 1;
        Span<byte> clean = stackalloc byte[MaxReferenceBytes];
        address[..host].CopyTo(clean);
        address[(host + credentials + 1)..].CopyTo(clean[host..]);
        if (!TryRedact(clean[..length], ValueKind.Text, out value)) return false;
        if (end < 0) return true;
        Texts.Write("?…"u8); // directly behind what was appended
        value = value with { Length = value.Length + "?…"u8.Length };
        return true;
    }

    /// <summary>An id stays when it may stand in a ledger entry; else its pseudonym stands.</summary>
    internal CleanValue Identifier(ReadOnlySpan<byte> text, ReadOnlySpan<byte> prefix) =>
        LedgerText.IsClean(text, Redactor) ? Append(text) : Pseudonymous(Scope.PseudonymKey, prefix, text);

    internal CleanValue User(ReadOnlySpan<byte> text) => Pseudonymous(Scope.PseudonymKey, "u_"u8, text);

    /// <summary>Opaque staff ids stay; anything like an address or a name of several words becomes a pseudonym that outlives shredding.</summary>
    internal CleanValue Staff(ReadOnlySpan<byte> text)
    {
        if (text.Length <= MaxTokenBytes && !text.Contains((byte)'@') && LedgerText.IsClean(text, Redactor)) return Append(text);
        var value = Pseudonymous(Scope.StaffKey, "s_"u8, text);
        if (!IsStrict) StaffNames.Add(Text(value), text, Redactor); // where nothing is captured, no name is either
        return value;
    }

    /// <summary>A sender's own hash can be guessed back for small values, so it is kept only under the scope's key.</summary>
    internal CleanValue Hash(ReadOnlySpan<byte> text)
    {
        int start = Texts.Length;
        Texts.Write("hmac-sha256:"u8);
        Span<byte> mac = stackalloc byte[32];
        System.Security.Cryptography.HMACSHA256.HashData(Scope.FingerprintKey, text, mac);
        HexText.Write(mac, Texts.Take(64));
        return new CleanValue(ValueKind.Text, 0, start, Texts.Length - start);
    }

    private CleanValue Pseudonymous(byte[] key, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> text)
    {
        int start = Texts.Length;
        Pseudonym.Write(key, prefix, text, Texts);
        return new CleanValue(ValueKind.Text, 0, start, Texts.Length - start);
    }

    /// <summary>A span or event name stays: at most five grammar-clean words behind a known operation, at most three otherwise, no detector fires.</summary>
    internal bool KeepsName(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty || name.Length > MaxNameBytes) return false;
        int words = 0;
        foreach (var range in name.Split((byte)' '))
        {
            var word = name[range];
            if (word.IsEmpty || word.IndexOfAnyExcept(NameBytes) >= 0) return false;
            words++;
        }
        return words <= (words > 3 && Meaning.KindOfName(name) == StepKind.Span ? 3 : 5) && Redactor.IsClean(name);
    }

    /// <summary>W3C tracestate members whose keys and values are clean tokens.</summary>
    internal bool KeepsTraceState(ReadOnlySpan<byte> state)
    {
        if (IsStrict || state.Length > 512) return false;
        foreach (var range in state.Split((byte)','))
        {
            var member = state[range].Trim((byte)' ');
            int equals = member.IndexOf((byte)'=');
            if (equals <= 0 || !LedgerText.IsToken(member[..equals], MaxTokenBytes) || !LedgerText.IsToken(member[(equals + 1)..], MaxTokenBytes)) return false;
        }
        return Redactor.IsClean(state);
    }

    /// <summary>A number for a numeric field or attribute, from int, double or numeric text.</summary>
    internal static bool TryNumber(SpanBatch batch, in DirtyAttribute attribute, out CleanValue value)
    {
        value = default;
        switch (attribute.Kind)
        {
            case ValueKind.Integer: value = new CleanValue(ValueKind.Integer, attribute.Bits, 0, 0); return true;
            case ValueKind.Number: value = new CleanValue(ValueKind.Number, attribute.Bits, 0, 0); return double.IsFinite(attribute.Number);
            case ValueKind.Text:
                var text = batch.Bytes(attribute.Text);
                if (text.Length > 32) return false;
                if (Utf8Parser.TryParse(text, out long whole, out int used) && used == text.Length)
                {
                    value = new CleanValue(ValueKind.Integer, whole, 0, 0);
                    return true;
                }
                if (!Utf8Parser.TryParse(text, out double number, out used) || used != text.Length || !double.IsFinite(number)) return false;
                value = new CleanValue(ValueKind.Number, BitConverter.DoubleToInt64Bits(number), 0, 0);
                return true;
            default: return false;
        }
    }

    internal static bool TryFlag(SpanBatch batch, in DirtyAttribute attribute, out CleanValue value)
    {
        value = default;
        long? flag = attribute.Kind switch
        {
            ValueKind.Flag => attribute.Bits,
            ValueKind.Integer when attribute.Bits is 0 or 1 => attribute.Bits,
            ValueKind.Text when System.Text.Ascii.EqualsIgnoreCase(batch.Bytes(attribute.Text), "true"u8) => 1,
            ValueKind.Text when System.Text.Ascii.EqualsIgnoreCase(batch.Bytes(attribute.Text), "false"u8) => 0,
            _ => null,
        };
        if (flag is null) return false;
        value = new CleanValue(ValueKind.Flag, flag.Value, 0, 0);
        return true;
    }

    public void Dispose()
    {
        Texts.Dispose();
        StaffNames.Dispose();
    }
}
