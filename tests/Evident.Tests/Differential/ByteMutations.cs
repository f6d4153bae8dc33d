using System.Globalization;
using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Differential;

/// <summary>What happens to files without any key: bits, bytes, tails, lines, groups, segments, notes, names.</summary>
internal static class ByteMutations
{
    public delegate void Mutation(LedgerCase ledger, Random random);

    private static readonly byte[] Likely = "\n\0\r\"\\{}[],: 019azAZ=+/-"u8.ToArray();

    public static readonly (string Name, int Weight, Mutation Apply)[] All =
    [
        ("flip a bit of a segment", 14, static (c, r) => Edit(c, Pick(c.Segments(), r), b => Flip(b, r))),
        ("flip a bit of a note", 6, static (c, r) => Edit(c, Pick(c.Notes(), r), b => Flip(b, r))),
        ("change a byte of a segment", 6, static (c, r) => Edit(c, Pick(c.Segments(), r), b => Put(b, r, (byte)r.Next(256)))),
        ("change a byte of a segment to a likely one", 6, static (c, r) => Edit(c, Pick(c.Segments(), r), b => Put(b, r, Likely[r.Next(Likely.Length)]))),
        ("change a byte of a note to a likely one", 3, static (c, r) => Edit(c, Pick(c.Notes(), r), b => Put(b, r, Likely[r.Next(Likely.Length)]))),
        ("insert or remove a byte", 5, static (c, r) => Edit(c, Pick(c.Segments(), r), b => Insert(b, r))),
        ("cut the tail", 8, static (c, r) => Edit(c, Last(c), b => b[..^(1 + r.Next(Math.Min(b.Length, r.Next(4) == 0 ? 5000 : 700)))])),
        ("cut the tail of any file", 3, static (c, r) => Edit(c, Pick([.. c.Segments(), .. c.Notes()], r), b => b[..^(1 + r.Next(Math.Min(b.Length, 200)))])),
        ("append garbage", 3, static (c, r) => Edit(c, r.Next(3) == 0 ? Pick(c.Segments(), r) : Last(c), b => [.. b, .. Garbage(r)])),
        ("append NULs", 3, static (c, r) => Edit(c, r.Next(4) == 0 ? Pick([.. c.Segments(), .. c.Notes()], r) : Last(c), b => [.. b, .. new byte[1 + r.Next(1500)]])),
        ("append part of a line", 4, static (c, r) => Edit(c, Last(c), b => [.. b, .. Part(Last(c).Length > 0 ? Pick(c.Lines(Last(c)), r) ?? "x" : "x", r)])),
        ("holes in the last group", 8, static (c, r) => Holes(c, r)),
        ("delete a line", 6, static (c, r) => Lines(c, r, (l, i) => l.RemoveAt(i))),
        ("duplicate a line", 5, static (c, r) => Lines(c, r, (l, i) => l.Insert(i, l[i]))),
        ("swap two lines", 5, static (c, r) => Lines(c, r, (l, i) => (l[i], l[(i + 1) % l.Count]) = (l[(i + 1) % l.Count], l[i]))),
        ("move a line", 5, static (c, r) => Lines(c, r, (l, i) =>
        {
            string line = l[i];
            l.RemoveAt(i);
            l.Insert(r.Next(l.Count + 1), line);
        })),
        ("copy a line over another", 3, static (c, r) => Lines(c, r, (l, i) => l[i] = l[r.Next(l.Count)])),
        ("delete a group", 6, static (c, r) => Group(c, r, static (l, from, count) => l.RemoveRange(from, count))),
        ("duplicate a group", 3, static (c, r) => Group(c, r, static (l, from, count) => l.InsertRange(from, l.GetRange(from, count)))),
        ("move a group", 3, static (c, r) => Group(c, r, (l, from, count) =>
        {
            var group = l.GetRange(from, count);
            l.RemoveRange(from, count);
            l.InsertRange(r.Next(l.Count + 1), group);
        })),
        ("merge two groups", 5, static (c, r) => Checkpoints(c, r, static (l, i) => l.RemoveAt(i))),
        ("split a group", 3, static (c, r) => Checkpoints(c, r, (l, i) => l.Insert(Math.Max(0, i - 1 - r.Next(2)), l[i]))),
        ("exchange two checkpoint lines", 3, static (c, r) => Checkpoints(c, r, (l, i) =>
        {
            int j = l.FindIndex(r.Next(l.Count), static x => x.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
            if (j >= 0)
            {
                (l[i], l[j]) = (l[j], l[i]);
            }
        })),
        ("change a checkpoint line", 8, static (c, r) => Checkpoints(c, r, (l, i) => l[i] = ChangedCheckpoint(l[i], r))),
        ("change a member", 10, static (c, r) => Lines(c, r, (l, i) => l[i] = ChangedMember(l[i], r))),
        ("break the form of a line", 6, static (c, r) => Lines(c, r, (l, i) => l[i] = Deformed(l[i], r))),
        ("no line feed at the end", 2, static (c, r) => Edit(c, Pick(c.Segments(), r), static b => b.Length > 0 && b[^1] == '\n' ? b[..^1] : b)),
        ("remove the last lines", 5, static (c, r) =>
        {
            if (Last(c).Length == 0)
            {
                return;
            }

            var lines = c.Lines(Last(c));
            lines.RemoveRange(lines.Count - Math.Min(lines.Count, 1 + r.Next(4)), Math.Min(lines.Count, 1));
            c.SetLines(Last(c), lines);
        }),
        ("cut at a checkpoint line", 5, static (c, r) => Checkpoints(c, r, static (l, i) => l.RemoveRange(i + 1, l.Count - i - 1))),
        ("remove a segment", 4, static (c, r) => c.Files.Remove(Pick(c.Segments(), r) ?? "")),
        ("rename a segment", 4, static (c, r) => Rename(c, Pick(c.Segments(), r), "ledger/" + LedgerFormat.SegmentName(r.Next(30)))),
        ("copy a segment", 3, static (c, r) => Put(c, "ledger/" + LedgerFormat.SegmentName(r.Next(30)), Pick(c.Segments(), r))),
        ("empty a segment", 2, static (c, r) => Edit(c, Pick(c.Segments(), r), static _ => [])),
        ("an empty next segment", 2, static (c, r) => c.Files["ledger/" + LedgerFormat.SegmentName(r.Next(2) == 0 ? Entries(c) : r.Next(30))] = []),
        ("exchange two segments", 2, static (c, r) => Exchange(c, Pick(c.Segments(), r), Pick(c.Segments(), r))),
        ("join two segments", 2, static (c, r) => Join(c)),
        ("split a segment", 4, static (c, r) => Split(c, r)),
        ("remove a note", 4, static (c, r) => c.Files.Remove(Pick(c.Notes(), r) ?? "")),
        ("remove all heads", 3, static (c, r) =>
        {
            foreach (string note in c.Notes())
            {
                c.Files.Remove(note);
            }
        }),
        ("exchange two notes", 3, static (c, r) => Exchange(c, Pick(c.Notes(), r), Pick(c.Notes(), r))),
        ("copy a note to another size", 3, static (c, r) => Put(c, "ledger/checkpoints/" + LedgerFormat.PublishedName(r.Next(30)), Pick(c.Notes(), r))),
        ("change a note", 6, static (c, r) => Edit(c, Pick(c.Notes(), r), b => Encoding.Latin1.GetBytes(ChangedNote(Encoding.Latin1.GetString(b), "\n", r)))),
        ("a checkpoint line as a published note", 3, static (c, r) => UnpublishedNote(c, r)),
        ("an anchor", 3, static (c, r) => Put(c, $"ledger/anchors/{r.Next(30):D20}-0a1b2c3d.note", Pick(c.Notes(), r))),
        ("another file", 4, static (c, r) => c.Files["ledger/" + Pick(
        [
            "notes.txt", "00000000000000000000.jsonl.bak", "0.jsonl", "head.c", "head.a.tmp", "genesis.note.tmp", "checkpoints/x.note", "checkpoints/00000000000000000001.note.tmp",
            "checkpoints/1.note", "anchors/x", "anchors/00000000000000000001-0a1b2c3d.note.tmp", "quarantine/anything", "checkpoints/a/b", "extra/file", "incarnation.pending", "LOCK",
            Path.GetFileName(Pick(c.Segments(), r) ?? "x") + ".tmp", "range.json", "head.A", "00000000000000000000.JSONL", "quarantine/a/b",
        ], r)!] = "x\n"u8.ToArray()),
        ("a link", 3, static (c, r) => c.Files[Pick([.. c.Segments(), .. c.Notes(), "ledger/link", "ledger/checkpoints/link", "ledger/anchors/link", "ledger/quarantine/link",
            "ledger/head.a.tmp", "ledger/" + LedgerFormat.SegmentName(r.Next(30)), "ledger/checkpoints/" + LedgerFormat.PublishedName(r.Next(30))], r)!] = null),
        ("a folder in the place of a file", 2, static (c, r) =>
        {
            string file = Pick([.. c.Segments(), .. c.Notes(), "ledger/head.a.tmp"], r)!;
            c.Files.Remove(file);
            c.Folders.Add(file);
        }),
        ("a file in the place of a folder", 2, static (c, r) =>
        {
            string folder = Pick(["ledger/checkpoints", "ledger/anchors", "ledger/quarantine"], r)!;
            foreach (string file in c.Files.Keys.Where(f => f.StartsWith(folder + "/", StringComparison.Ordinal)).ToList())
            {
                c.Files.Remove(file);
            }

            c.Folders.Remove(folder);
            c.Files[folder] = "x\n"u8.ToArray();
        }),
    ];

    public static T? Pick<T>(IReadOnlyList<T> list, Random random) => list.Count == 0 ? default : list[random.Next(list.Count)];

    private static string Last(LedgerCase ledger) => ledger.Segments() is [.., var last] ? last : "";

    private static void Edit(LedgerCase ledger, string? file, Func<byte[], byte[]> change)
    {
        if (file is not null && ledger.Files.GetValueOrDefault(file) is { Length: > 0 } content)
        {
            ledger.Files[file] = change([.. content]);
        }
    }

    private static byte[] Flip(byte[] bytes, Random random)
    {
        bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
        return bytes;
    }

    private static byte[] Put(byte[] bytes, Random random, byte value)
    {
        bytes[random.Next(bytes.Length)] = value;
        return bytes;
    }

    private static byte[] Insert(byte[] bytes, Random random)
    {
        int at = random.Next(bytes.Length);
        return random.Next(2) == 0 ? [.. bytes[..at], bytes[random.Next(bytes.Length)], .. bytes[at..]] : [.. bytes[..at], .. bytes[(at + 1)..]];
    }

    private static byte[] Garbage(Random random)
    {
        string[] some = ["garbage\n", "garbage", "\n", "{}\n", "{\"checkpoint\":\"x\"}\n", "{", "{\"", "\0\n", "\r\n", "null\n", "{\"withheld\":\"sha256:" + new string('0', 64) + "\"}\n"];
        byte[] bytes = Encoding.UTF8.GetBytes(Pick(some, random)!);
        if (random.Next(4) == 0)
        {
            bytes = new byte[1 + random.Next(40)];
            random.NextBytes(bytes);
        }

        return bytes;
    }

    private static byte[] Part(string line, Random random) => Encoding.Latin1.GetBytes(line[..random.Next(1, line.Length + 1)]);

    private static void Lines(LedgerCase ledger, Random random, Action<List<string>, int> change)
    {
        if (Pick(ledger.Segments(), random) is { } segment && ledger.Lines(segment) is { Count: > 0 } lines)
        {
            change(lines, random.Next(lines.Count));
            ledger.SetLines(segment, lines);
        }
    }

    private static void Checkpoints(LedgerCase ledger, Random random, Action<List<string>, int> change)
    {
        if (Pick(ledger.Segments(), random) is not { } segment)
        {
            return;
        }

        var lines = ledger.Lines(segment);
        var at = Enumerable.Range(0, lines.Count).Where(i => lines[i].StartsWith("{\"checkpoint\"", StringComparison.Ordinal)).ToList();
        if (at.Count > 0)
        {
            change(lines, Pick(at, random));
            ledger.SetLines(segment, lines);
        }
    }

    private static void Group(LedgerCase ledger, Random random, Action<List<string>, int, int> change) => Checkpoints(ledger, random, (lines, end) =>
    {
        int start = end;
        while (start > 0 && !lines[start - 1].StartsWith("{\"checkpoint\"", StringComparison.Ordinal))
        {
            start--;
        }

        change(lines, start, end - start + 1);
    });

    /// <summary>Runs of NUL in what stands behind the last but one checkpoint line, mostly at sector borders, sometimes with a cut.</summary>
    private static void Holes(LedgerCase ledger, Random random)
    {
        if (ledger.Segments().Length == 0)
        {
            return;
        }

        string last = Last(ledger);
        var lines = ledger.Lines(last);
        int ends = lines.FindLastIndex(static l => l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
        int before = ends <= 0 ? -1 : lines.FindLastIndex(ends - 1, static l => l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
        int start = lines.Take(before + 1).Sum(static l => l.Length);
        byte[] bytes = [.. ledger.Files[last]!];
        if (random.Next(3) == 0)
        {
            bytes = bytes[..Math.Max(start, bytes.Length - random.Next(600))];
        }

        for (int holes = 1 + random.Next(2); holes > 0; holes--)
        {
            int from = random.Next(3) switch { 0 => start, 1 => (start + random.Next(Math.Max(1, bytes.Length - start)) + 511) / 512 * 512, _ => (start + 511) / 512 * 512 };
            int to = random.Next(3) switch { 0 => bytes.Length, 1 => (from / 512 * 512) + 512, _ => (from / 512 * 512) + (512 * random.Next(1, 4)) };
            from += random.Next(12) == 0 ? 1 : 0;
            to -= random.Next(12) == 0 ? 1 : 0;
            for (int i = from; i < Math.Min(to, bytes.Length); i++)
            {
                bytes[i] = 0;
            }
        }

        ledger.Files[last] = bytes;
    }

    private static long Entries(LedgerCase ledger) =>
        ledger.Segments().Sum(s => ledger.Lines(s).Count(static l => !l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal)));

    private static string ChangedMember(string line, Random random)
    {
        string member = Pick(["seq", "batch", "epoch", "scope_seq", "src_seq", "log", "prev_hash", "id", "mono", "recorded", "boot", "type", "v", "scope", "epoch_key", "identity_key",
            "reason", "interval_ms", "state", "quarantined_bytes", "size", "root", "bytes", "first"], random)!;
        string? now = ForgedLedger.Get(line, member);
        if (now is null)
        {
            member = Pick(["seq", "batch", "epoch", "id", "prev_hash"], random)!;
            now = ForgedLedger.Get(line, member);
        }

        if (now is null)
        {
            return line;
        }

        string[] values = long.TryParse(now, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
            ? [$"{number + 1}", $"{Math.Max(0, number - 1)}", "0", "1", "7", "9007199254740991", "9007199254740992", "-1", "01", "1.0", "1e3", "null", "true", "\"1\"", "33", "64"]
            : [now.Length < 2 ? now : now.Replace(now[^2], now[^2] == '0' ? '1' : '0'), "\"\"", "\"x\"", "\"" + now.Trim('"') + "0\"", "0", "\"ledger.epoch\"", "\"alert.closed\"", "\"2026-02-30T00:00:00.000Z\"",
                "\"sha256:" + new string('0', 64) + "\"", "\"operator\"", "\"key_lost\"", "\"stopping\"", "\"started\""];
        return ForgedLedger.Set(line, member, Pick(values, random)!);
    }

    private static string Deformed(string line, Random random) => random.Next(14) switch
    {
        0 => line.Replace(":", ": ", StringComparison.Ordinal),
        1 => line.Replace("\n", " \n", StringComparison.Ordinal),
        2 => line.Replace("\n", "\r\n", StringComparison.Ordinal),
        3 => line.Replace("{\"", "{\"x\":1,\"", StringComparison.Ordinal),
        4 => line.Replace("}\n", ",\"zz\":1}\n", StringComparison.Ordinal),
        5 => line.Replace("\"type\"", "\"typ\\u0065\"", StringComparison.Ordinal),
        6 => line.Replace("alert", "\\u0061lert", StringComparison.Ordinal),
        7 => line.Replace("\"v\":1", "\"v\":2", StringComparison.Ordinal),
        8 => line.Replace("\"v\":1", "\"v\":1,\"v\":1", StringComparison.Ordinal),
        9 => line.Replace("}\n", new string('x', 17_000) + "}\n", StringComparison.Ordinal),
        10 => "\n",
        11 => line.Replace("a", "\u00e9", StringComparison.Ordinal),
        12 => line.Replace("\n", "\n\n", StringComparison.Ordinal),
        _ => line.TrimEnd('\n'),
    };

    /// <summary>The note of a checkpoint line is one JSON string in it: line feeds are \n there.</summary>
    private static string ChangedCheckpoint(string line, Random random) => random.Next(8) switch
    {
        0 => line.Replace("{\"checkpoint\":\"", Pick(["{\"checkpoint\": \"", "{\"Checkpoint\":\"", "{\"checkpoints\":\"", "{ \"checkpoint\":\"", "{\"a\":1,\"checkpoint\":\"", "{\"checkpoint\":"], random)!, StringComparison.Ordinal),
        1 => line.Replace("\"}\n", Pick(["\"} \n", "\",\"v\":1}\n", "\"}", "}\n", "\"}\r\n", "\\n\"}\n", "\"}}\n"], random)!, StringComparison.Ordinal),
        2 => line.Replace("\\n", Pick(["\\u000a", "\\r\\n", "\\t", "\\n\\n", "\n"], random)!, StringComparison.Ordinal),
        3 => line.Replace("\\n\\n", Pick(["\\nextension\\n\\n", "\\n", "\\n\\n\\n", "\\n \\n"], random)!, StringComparison.Ordinal),
        _ => ChangedNote(line, "\\n", random),
    };

    /// <summary>Texts are Latin-1 of UTF-8 bytes: the em dash is e2 80 94.</summary>
    private static string ChangedNote(string note, string lf, Random random)
    {
        string[] lines = note.Split(lf);
        int signature = Array.FindIndex(lines, static l => l.StartsWith("\u00e2\u0080\u0094 ", StringComparison.Ordinal));
        if (signature < 3)
        {
            return note;
        }

        int last = Array.FindLastIndex(lines, static l => l.StartsWith("\u00e2\u0080\u0094 ", StringComparison.Ordinal));
        switch (random.Next(15))
        {
            case 0: lines[1] = Pick(["0", "1", "01", "x", "", "-1", "99999999999999999999", lines[1] + "0", " " + lines[1], "+1", "4096"], random)!; break;
            case 1: lines[2] = Pick([lines[2].TrimEnd('='), lines[2] + "=", lines[2].Replace('=', 'A'), "", lines[2] + "\n", " " + lines[2], lines[2][4..], lines[2].Replace('A', '-')], random)!; break;
            case 2: lines[2] = lines[2][..^2] + (char)(lines[2][^2] + 1) + "="; break;
            case 3: lines[0] = Pick([lines[0][..^1] + "0", lines[0] + "0", "", "evident.local/x", lines[0] + " "], random)!; break;
            case 4: (lines[signature], lines[last]) = (lines[last], lines[signature]); break;
            case 5: lines[signature] = lines[last]; break;
            case 6: lines = [.. lines[..signature], .. lines[(signature + 1)..]]; break;
            case 7: lines = [.. lines[..last], .. lines[(last + 1)..]]; break;
            case 8: lines = [.. lines[..(last + 1)], lines[random.Next(2) == 0 ? last : signature], .. lines[(last + 1)..]]; break;
            case 9: lines = [.. lines[..(last + 1)], "\u00e2\u0080\u0094 stranger.example/key AAAAAAAAAAAA", .. lines[(last + 1)..]]; break;
            case 10: lines = [.. lines[..signature], "\u00e2\u0080\u0094 stranger.example/key AAAAAAAAAAAA", .. lines[signature..]]; break;
            case 11: lines[signature] = lines[signature].Replace("\u00e2\u0080\u0094", Pick(["--", "-", "", "\u00e2\u0080\u0093"], random)!, StringComparison.Ordinal); break;
            case 12: lines[last] = Pick([lines[last] + "=", lines[last].TrimEnd('='), lines[last] + " ", lines[last].Replace(" ", "  ", StringComparison.Ordinal), lines[last][..^5], lines[last].Replace("epoch/", "epoch/0", StringComparison.Ordinal)], random)!; break;
            case 13: lines[last] = lines[last].Replace("/epoch/1", "/epoch/2", StringComparison.Ordinal); break;
            default: lines = [.. lines[..(last + 1)], .. Enumerable.Repeat("\u00e2\u0080\u0094 stranger.example/key AAAAAAAAAAAA", Pick([14, 98, 99, 100, 101], random)), .. lines[(last + 1)..]]; break;
        }

        return string.Join(lf, lines);
    }

    private static void Rename(LedgerCase ledger, string? from, string to)
    {
        if (from is not null)
        {
            byte[]? content = ledger.Files[from];
            ledger.Files.Remove(from);
            ledger.Files[to] = content;
        }
    }

    private static void Put(LedgerCase ledger, string to, string? from)
    {
        if (from is not null)
        {
            ledger.Files[to] = ledger.Files[from];
        }
    }

    private static void Exchange(LedgerCase ledger, string? a, string? b)
    {
        if (a is not null && b is not null)
        {
            (ledger.Files[a], ledger.Files[b]) = (ledger.Files[b], ledger.Files[a]);
        }
    }

    private static void Join(LedgerCase ledger)
    {
        if (ledger.Segments() is [var a, var b, ..])
        {
            ledger.Files[a] = [.. ledger.Files[a]!, .. ledger.Files[b]!];
            ledger.Files.Remove(b);
        }
    }

    /// <summary>At any line; the new segment is named by the first entry that follows, or wrongly.</summary>
    private static void Split(LedgerCase ledger, Random random)
    {
        if (Pick(ledger.Segments(), random) is not { } segment || ledger.Lines(segment) is not { Count: > 1 } lines)
        {
            return;
        }

        int at = random.Next(1, lines.Count);
        string? seq = lines.Skip(at).Select(static l => ForgedLedger.Get(l, "seq")).FirstOrDefault(static s => s is not null);
        if (long.TryParse(seq, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
        {
            ledger.SetLines(segment, lines.Take(at));
            ledger.SetLines("ledger/" + LedgerFormat.SegmentName(random.Next(5) == 0 ? number + 1 : number), lines.Skip(at));
        }
    }

    /// <summary>A size that was signed but never published, without the identity key's signature.</summary>
    private static void UnpublishedNote(LedgerCase ledger, Random random) => Checkpoints(ledger, random, (lines, i) =>
    {
        string note = lines[i]["{\"checkpoint\":\"".Length..].Replace("\"}\n", "", StringComparison.Ordinal).Replace("\\n", "\n", StringComparison.Ordinal);
        if (note.Split('\n') is [_, var size, ..] && long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
        {
            ledger.Files["ledger/checkpoints/" + LedgerFormat.PublishedName(number)] = Encoding.Latin1.GetBytes(note);
        }
    });
}
