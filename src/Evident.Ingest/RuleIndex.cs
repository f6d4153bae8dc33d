using System.Buffers;
using System.Buffers.Binary;

namespace Evident.Ingest;

internal sealed record Shape(int Rule, RulePattern Pattern, bool NeedsDigit)
{
    /// <summary>Where the match at <paramref name="at"/> ends, or -1.</summary>
    internal int Match(ReadOnlySpan<byte> text, int at)
    {
        if (Rule == (int)CodeRule.PrivateKey) return Detectors.PrivateKey(text, at); // the pattern is only what one begins with
        int end = Pattern.Match(text, at);
        // Hyphenated words begin like some keys; a short match without a digit is one of those.
        return end < 0 || !NeedsDigit || end - at >= 36 || text[at..end].ContainsAnyInRange((byte)'0', (byte)'9') ? end : -1;
    }
}

/// <summary>A pattern that no run and no digit leads to: it is searched for by its own literal, which stands at an offset of the match, or by the bytes that it can begin with.</summary>
internal sealed record SearchedShape(Shape Shape, byte[] Literal, int Offset, SearchValues<byte>? First);

/// <summary>
/// The rules that are in force for one tenant, arranged by what the first level of the scan can see: patterns are tried only where a long run, a run of digits or
/// their own literal stands. Immutable, thread safe.
/// </summary>
internal sealed class RuleIndex
{
    private const int HeadSlots = 1 << 12;

    internal readonly bool[] On;
    internal readonly SecretNames Names;
    internal readonly bool AnyNationalId;

    private readonly List<Shape> shapes = [];
    private readonly ushort[][] headChains = new ushort[HeadSlots][]; // by the first three bytes of a literal that lies inside a run
    private readonly ushort[][] tails = new ushort[256][]; // by the last byte of a literal that ends where a run begins
    private readonly ushort[][] starts = new ushort[256][]; // by the first byte of a run, for patterns that begin with a class
    private readonly ushort[] numbers = [];
    private readonly int shortestNumber = int.MaxValue; // digits that one of them needs at least
    private readonly int[] tailLengths, certainRuns; // of each shape: what lies before its run, and how long the run is at least

    /// <summary>Patterns with nothing to be found by but their own literal, or not even that.</summary>
    internal readonly SearchedShape[] Searched;

    internal RuleIndex(bool[] on, SecretNames names, IEnumerable<Shape> patterns)
    {
        On = on;
        Names = names;
        AnyNationalId = on.AsSpan((int)CodeRule.UsSsn, (int)CodeRule.BrCpf - (int)CodeRule.UsSsn + 1).Contains(true);
        var searched = new List<SearchedShape>();
        // Longer literals first: the more precise shape has the first word.
        foreach (var shape in patterns.OrderByDescending(s => s.Pattern.Head.Length))
        {
            ushort id = checked((ushort)shapes.Count);
            shapes.Add(shape);
            switch (PlaceOf(shape.Pattern))
            {
                case PatternPlace.InsideRun: Append(ref headChains[HeadSlot(shape.Pattern.Head)], id); break;
                case PatternPlace.BeforeRun: Append(ref tails[shape.Pattern.Head[TailLength(shape.Pattern) - 1]], id); break;
                case PatternPlace.RunStart:
                    foreach (byte first in FirstBytes(shape.Pattern)) Append(ref starts[first], id);
                    break;
                case PatternPlace.Digits:
                    Append(ref numbers, id);
                    shortestNumber = Math.Min(shortestNumber, shape.Pattern.FirstLeast);
                    break;
                case PatternPlace.Literal: searched.Add(new SearchedShape(shape, shape.Pattern.Fixed(out int offset).ToArray(), offset, null)); break;
                default: searched.Add(new SearchedShape(shape, [], 0, SearchValues.Create(FirstBytes(shape.Pattern)))); break;
            }
        }
        tailLengths = new int[shapes.Count];
        certainRuns = new int[shapes.Count];
        for (int i = 0; i < shapes.Count; i++)
        {
            tailLengths[i] = TailLength(shapes[i].Pattern);
            certainRuns[i] = shapes[i].Pattern.CertainRun(tailLengths[i]);
        }
        Searched = [.. searched];
    }

    /// <summary>What a pattern can be found by; <c>Literal</c> stands at a certain place of the match.</summary>
    internal enum PatternPlace { InsideRun, BeforeRun, RunStart, Digits, Literal, Nothing }

    internal static PatternPlace PlaceOf(RulePattern pattern)
    {
        var head = pattern.Head;
        int tail = TailLength(pattern);
        if (tail > 0 && pattern.CertainRun(tail) >= KeyRuns.Shortest) return PatternPlace.BeforeRun;
        bool run = tail == 0 && pattern.CertainRun(0) >= KeyRuns.Shortest;
        if (run && head.Length >= 3) return PatternPlace.InsideRun;
        if (run && pattern.BoundBefore) return PatternPlace.RunStart;
        bool digits = head.IsEmpty && pattern.BoundBefore && Array.TrueForAll(pattern.FirstBytes, Detectors.IsDigit);
        if (!digits && pattern.Fixed(out _).Length >= 2) return PatternPlace.Literal;
        return digits ? PatternPlace.Digits : PatternPlace.Nothing;
    }

    /// <summary>How many of the literal's bytes lie before the run: up to its last byte that no run holds.</summary>
    private static int TailLength(RulePattern pattern)
    {
        for (int i = pattern.Head.Length; i > 0; i--)
            if (!KeyRuns.IsMember(pattern.Head[i - 1])) return i;
        return 0;
    }

    private static byte[] FirstBytes(RulePattern pattern) => pattern.Head.IsEmpty ? pattern.FirstBytes : [pattern.Head[0]];

    private static void Append(ref ushort[] chain, ushort id) => chain = [.. chain ?? [], id];

    private static int HeadSlot(ReadOnlySpan<byte> three) => HeadSlot((uint)(three[0] | (three[1] << 8) | (three[2] << 16)));

    private static int HeadSlot(uint three) => (int)(unchecked(three * 0x9E3779B1u) >> 20);

    /// <summary>The first match of a pattern that begins inside <c>[from, to)</c> of a run, if any.</summary>
    internal bool FindInRun(ReadOnlySpan<byte> text, int from, int to, out int start, out int end, out int rule)
    {
        end = rule = 0;
        for (start = from; start + 3 <= to; start++)
        {
            uint three = start + 4 <= text.Length
                ? BinaryPrimitives.ReadUInt32LittleEndian(text[start..]) & 0xFF_FFFF
                : (uint)(text[start] | (text[start + 1] << 8) | (text[start + 2] << 16));
            if (headChains[HeadSlot(three)] is not { } chain) continue;
            if (TryAll(chain, text, start, out end, out rule)) return true;
        }
        return false;
    }

    /// <summary>A match of a pattern whose literal ends at <paramref name="at"/>, where a run begins, or that begins there itself.</summary>
    /// <param name="length">Of the run.</param>
    internal bool FindAtRun(ReadOnlySpan<byte> text, int at, int length, int floor, out int start, out int end, out int rule)
    {
        end = rule = 0;
        start = at;
        if (at > floor && tails[text[at - 1]] is { } before)
        {
            foreach (ushort id in before)
            {
                start = at - tailLengths[id];
                if (certainRuns[id] > length || start < floor || (end = shapes[id].Match(text, start)) < 0) continue;
                rule = shapes[id].Rule;
                return true;
            }
            start = at;
        }
        if (starts[text[at]] is not { } chain) return false;
        foreach (ushort id in chain)
        {
            if (certainRuns[id] > length || (end = shapes[id].Match(text, at)) < 0) continue;
            rule = shapes[id].Rule;
            return true;
        }
        return false;
    }

    /// <summary>A match of a pattern that begins with the run of digits at <paramref name="at"/>.</summary>
    internal bool FindNumber(ReadOnlySpan<byte> text, int at, int length, out int end, out int rule)
    {
        end = at;
        rule = 0;
        return length >= shortestNumber && TryAll(numbers, text, at, out end, out rule);
    }

    private bool TryAll(ushort[] chain, ReadOnlySpan<byte> text, int at, out int end, out int rule)
    {
        rule = 0;
        end = -1;
        foreach (ushort id in chain)
        {
            end = shapes[id].Match(text, at);
            if (end < 0) continue;
            rule = shapes[id].Rule;
            return true;
        }
        return false;
    }
}
