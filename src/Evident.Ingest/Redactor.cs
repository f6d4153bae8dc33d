using System.Buffers;
using System.Text;

namespace Evident.Ingest;

/// <summary>What the rules say of a text as a whole.</summary>
internal enum TextLook : byte
{
    /// <summary>No rule fires.</summary>
    Clean,

    /// <summary>Something is found where it stands.</summary>
    Plain,

    /// <summary>Something is found in what the text encodes.</summary>
    Hidden,
}

/// <summary>
/// Finds secrets and personal data in UTF-8 text by the rules of one tenant and puts their markers in their place. Linear time for any input; JSON inside strings, base64, escapes and percent-encoding are
/// looked into. Stateless, thread safe. <see cref="RuleSet"/> makes them.
/// </summary>
public sealed class Redactor
{
    /// <summary>How many encodings inside one another are looked into: JSON in a string in JSON, base64 of base64.</summary>
    internal const int MaxDepth = 4;

    private readonly byte[][] markers;

    /// <summary>The rules that ship with this build, as they are on without a configuration.</summary>
    public Redactor()
        : this(RuleSet.Default.Redactor) { }

    private Redactor(Redactor other) => (Rules, Index, markers, AwsAccessKeyRule) = (other.Rules, other.Index, other.markers, other.AwsAccessKeyRule);

    internal Redactor(RuleSet rules, RuleIndex index)
    {
        (Rules, Index) = (rules, index);
        markers = [.. rules.Rules.Select(rule => Encoding.ASCII.GetBytes(rule.Marker))];
        AwsAccessKeyRule = rules.IndexOf("aws_access_key");
    }

    /// <summary>The set that the rules are of.</summary>
    public RuleSet Rules { get; }

    internal RuleIndex Index { get; }

    internal int AwsAccessKeyRule { get; }

    internal ReadOnlySpan<byte> Marker(int rule) => markers[rule];

    /// <summary>No rule fires, neither on the text as it stands nor on what it encodes.</summary>
    public bool IsClean(ReadOnlySpan<byte> text) => Look(text) == TextLook.Clean;

    /// <summary>The text with every finding replaced; the same instance when there is none. For log lines and error replies.</summary>
    public string Redact(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        if (!JsonRedaction.LooksLikeJson(utf8) && IsClean(utf8)) return text;
        using var sink = new ByteSink();
        Redact(utf8, sink, new RedactionTally(Rules));
        return Encoding.UTF8.GetString(sink.Written);
    }

    /// <summary>The redacted bytes; what was found is added to the tally, which must be of the same rule set.</summary>
    public byte[] Redact(ReadOnlySpan<byte> text, RedactionTally tally)
    {
        ArgumentNullException.ThrowIfNull(tally);
        using var sink = new ByteSink();
        Redact(text, sink, tally);
        return sink.Written.ToArray();
    }

    internal TextLook Look(ReadOnlySpan<byte> text, int depth = 0)
    {
        if (text.Length < 4) return TextLook.Clean;
        var scan = new DetectorScan(this, text, stackalloc int[DetectorScan.SearchedInts(Index)], depth);
        int found = 0;
        while (scan.Next())
        {
            if (scan.IsEncoded) return TextLook.Hidden;
            found++;
        }
        var look = found > 0 ? TextLook.Plain : TextLook.Clean;
        if (!EncodedText.MayHide(text) || !TryReveal(text, depth, found, out byte[] plain, out _)) return look;
        ArrayPool<byte>.Shared.Return(plain);
        return TextLook.Hidden;
    }

    /// <summary>Writes the redacted text; JSON is redacted value by value and stays valid JSON; base64 that hides a secret is decoded and redacted.</summary>
    internal void Redact(ReadOnlySpan<byte> text, ByteSink sink, RedactionTally tally, int depth = 0)
    {
        if (depth < MaxDepth && JsonRedaction.LooksLikeJson(text) && JsonRedaction.TryRedact(this, text, sink, tally, depth)) return;
        RedactText(text, sink, tally, depth);
    }

    internal void RedactText(ReadOnlySpan<byte> text, ByteSink sink, RedactionTally tally, int depth = 0)
    {
        if (EncodedText.MayHide(text) && TryReveal(text, depth, Count(text, depth), out byte[] plain, out int length))
        {
            RedactPlain(plain.AsSpan(0, length), sink, tally, depth + 1);
            ArrayPool<byte>.Shared.Return(plain);
            return;
        }
        RedactPlain(text, sink, tally, depth);
    }

    private void RedactPlain(ReadOnlySpan<byte> text, ByteSink sink, RedactionTally tally, int depth)
    {
        var scan = new DetectorScan(this, text, stackalloc int[DetectorScan.SearchedInts(Index)], depth);
        int done = 0;
        while (scan.Next())
        {
            sink.Write(text[done..scan.Start]);
            done = scan.End;
            var found = text[scan.Start..scan.End];
            if (scan.IsEncoded)
            {
                byte[] decoded = EncodedText.Decode(found, out int length);
                Redact(decoded.AsSpan(0, length), sink, tally, depth + 1);
                ArrayPool<byte>.Shared.Return(decoded);
                continue;
            }
            sink.Write(markers[scan.Rule]);
            tally.Add(scan.Rule, found);
        }
        sink.Write(text[done..]);
    }

    // The reading of a text, without its escapes and percent-encoding, in which more is found than in the text as it stands; rented. It counts as one encoding more.
    private bool TryReveal(ReadOnlySpan<byte> text, int depth, int before, out byte[] plain, out int length)
    {
        plain = [];
        length = 0;
        for (int layer = 0; layer < EncodedText.MaxLayers; layer++)
        {
            bool changed = EncodedText.TryUnwrap(layer == 0 ? text : plain.AsSpan(0, length), out byte[] next, out int nextLength);
            if (layer > 0) ArrayPool<byte>.Shared.Return(plain);
            (plain, length) = (next, nextLength);
            if (!changed) break;
            if (Count(plain.AsSpan(0, length), depth + 1) > before) return true;
        }
        ArrayPool<byte>.Shared.Return(plain);
        return false;
    }

    private int Count(ReadOnlySpan<byte> text, int depth)
    {
        var scan = new DetectorScan(this, text, stackalloc int[DetectorScan.SearchedInts(Index)], depth);
        int count = 0;
        while (scan.Next()) count++;
        return count;
    }
}
