using System.Globalization;

namespace Evident.Tests.Differential;

/// <summary>What somebody can do who holds keys of the ledger: everything is signed anew, so that only the forged thing is wrong.</summary>
internal static class Forgeries
{
    public static readonly (string Name, int Weight, Action<ForgedLedger, Random> Apply)[] All =
    [
        ("nothing", 1, static (_, _) => { }),
        ("edit an entry", 4, static (l, r) => Any(l, r, static e => e.Text = ForgedLedger.Set(e.Text, "id", "\"forged\""))),
        ("drop an entry", 4, static (l, r) => Group(l, r, (g, _) => g.Entries.RemoveAt(r.Next(g.Entries.Count)))),
        ("drop a group", 4, static (l, r) => l.Groups.RemoveAt(r.Next(l.Groups.Count))),
        ("cut off groups", 4, static (l, r) =>
        {
            int keep = 1 + r.Next(l.Groups.Count);
            l.Groups.RemoveRange(keep, l.Groups.Count - keep);
        }),
        ("move a group", 2, static (l, r) =>
        {
            var group = l.Groups[r.Next(l.Groups.Count)];
            l.Groups.Remove(group);
            l.Groups.Insert(r.Next(l.Groups.Count + 1), group);
        }),
        ("merge with the next group", 5, static (l, r) =>
        {
            int at = r.Next(l.Groups.Count);
            if (at + 1 < l.Groups.Count)
            {
                l.Groups[at].Entries.AddRange(l.Groups[at + 1].Entries);
                l.Groups.RemoveAt(at + 1);
            }
        }),
        ("split a group", 3, static (l, r) => Group(l, r, (g, i) =>
        {
            if (g.Entries.Count > 1)
            {
                var rest = new ForgedLedger.Group { Segment = g.Segment };
                rest.Entries.AddRange(g.Entries.Skip(1));
                g.Entries.RemoveRange(1, g.Entries.Count - 1);
                l.Groups.Insert(i + 1, rest);
            }
        })),
        ("repeat an entry in another group", 2, static (l, r) => Group(l, r, (g, _) => g.Entries.Add(l.Groups[r.Next(l.Groups.Count)].Entries is [var e, ..] ? e : g.Entries[0]))),
        ("an empty group", 2, static (l, r) => l.Groups.Insert(r.Next(l.Groups.Count + 1), new ForgedLedger.Group { Segment = l.Groups[^1].Segment })),
        ("no checkpoint line", 3, static (l, r) => Group(l, r, static (g, _) => g.NoCheckpoint = true)),
        ("a wrong root, signed", 3, static (l, r) => Group(l, r, static (g, _) => g.WrongRoot = true)),
        ("a wrong size, signed", 3, static (l, r) => Group(l, r, (g, _) => g.SizeOff = r.Next(5) - 2)),
        ("signed by another epoch's key", 6, static (l, r) => Group(l, r, (g, _) => { int k = r.Next(5); g.Signers = [(k, k)]; })),
        ("another key under the right name", 4, static (l, r) => Group(l, r, (g, _) => g.Signers = [(1 + r.Next(3), r.Next(5))])),
        ("two signatures", 5, static (l, r) => Group(l, r, (g, _) => { int a = r.Next(4), b = r.Next(4); g.Signers = [(a, a), (b, b)]; })),
        ("no signature", 2, static (l, r) => Group(l, r, static (g, _) => g.Signers = [])),
        ("a later part signed by one key", 4, static (l, r) =>
        {
            int from = r.Next(l.Groups.Count), key = r.Next(4);
            foreach (var group in l.Groups.Skip(from))
            {
                group.Signers = [(key, key)];
            }
        }),
        ("a rotation signed by one key", 6, static (l, r) => Rotation(l, r, (g, e, _) => g.Signers = r.Next(3) switch { 0 => [(e, e)], 1 => [(e + 1, e + 1)], _ => [(e + 1, e + 1), (e, e)] })),
        ("a rotation signed by identity and new key", 3, static (l, r) => Rotation(l, r, static (g, e, _) => g.Signers = [(0, 0), (e + 1, e + 1)])),
        ("a rotation with more signatures", 3, static (l, r) => Rotation(l, r, static (g, e, _) => g.Signers = [(e, e), (e + 1, e + 1), (0, 0)])),
        ("a rotation with an entry", 4, static (l, r) => Rotation(l, r, (g, _, at) =>
        {
            if (l.Groups[(at + 1) % l.Groups.Count].Entries is [var other, ..])
            {
                g.Entries.Insert(r.Next(2), new ForgedLedger.Entry(other.Text));
            }
        })),
        ("a rotation brings another key", 3, static (l, r) => Rotation(l, r, (g, _, _) => g.Entries[0].Force.Add(("epoch_key", $"\"{ForgedLedger.PublicKey(l.Key(1 + r.Next(5)))}\"")))),
        ("a rotation for another reason", 4, static (l, r) => Rotation(l, r, (g, _, _) => g.Entries[0].Force.Add(("reason", r.Next(2) == 0 ? "\"key_lost\"" : "\"unclean_start\"")))),
        ("a rotation is left out", 4, static (l, r) => Rotation(l, r, (_, _, at) => l.Groups.RemoveAt(at))),
        ("a rotation is repeated", 2, static (l, r) => Rotation(l, r, (g, _, at) => l.Groups.Insert(at, g))),
        ("a second genesis", 2, static (l, r) =>
        {
            var again = new ForgedLedger.Group { Segment = l.Groups[^1].Segment };
            again.Entries.Add(new ForgedLedger.Entry(l.Groups[0].Entries is [var e, ..] ? e.Text : ""));
            l.Groups.Insert(r.Next(1, l.Groups.Count + 1), again);
        }),
        ("a wrong number", 8, static (l, r) => Any(l, r, e => e.Force.Add((ByteMutations.Pick(["seq", "batch", "epoch", "scope_seq"], r)!, $"{r.Next(8)}")))),
        ("a wrong word", 6, static (l, r) => Any(l, r, e => e.Force.Add(ByteMutations.Pick([("log", "\"evident.local/" + new string('0', 32) + "\""),
            ("prev_hash", "\"sha256:" + new string('0', 64) + "\""), ("v", "2"), ("type", "\"alert.raised\""), ("id", "\"\""), ("scope", "\"" + new string('c', 32) + "\""), ("identity_key", $"\"{ForgedLedger.PublicKey(l.Key(2))}\""),
            ("epoch_key", $"\"{ForgedLedger.PublicKey(l.Key(4))}\""), ("epoch_key", "\"ed25519:" + new string('0', 64) + "\""), ("recorded", "\"2026-05-06T24:00:00.000Z\""), ("seq", "00")], r)))),
        ("limits of an epoch", 6, static (l, r) => Genesis(l, e => e.Force.Add(r.Next(2) == 0 ? ("epoch_entries", $"{r.Next(1, 9)}") : ("epoch_ms", $"{r.Next(1, 400) * 1000}")))),
        ("time passes", 6, static (l, r) => Later(l, r, "mono", r.Next(3) switch { 0 => 59_000, 1 => 400_000 + r.Next(500_000), _ => 90_000_000 })),
        ("another boot", 4, static (l, r) =>
        {
            string boot = $"\"{r.Next(1 << 20):x8}\"";
            foreach (var entry in l.Groups.Skip(r.Next(l.Groups.Count)).SelectMany(static g => g.Entries))
            {
                entry.Force.Add(("boot", boot));
            }
        }),
        ("the wall clock moves", 5, static (l, r) =>
        {
            string recorded = $"\"2026-05-0{r.Next(5, 8)}T06:0{r.Next(8)}:00.000Z\"";
            Any(l, r, e => e.Force.Add(("recorded", recorded)));
        }),
        ("a heartbeat's state", 5, static (l, r) => OfType(l, r, "ledger.heartbeat", e => e.Force.Add(r.Next(3) == 0 ? ("interval_ms", $"{r.Next(1, 400) * 1000}") : ("state", ByteMutations.Pick(["\"started\"", "\"running\"", "\"stopping\""], r)!)))),
        ("a counted record's number", 5, static (l, r) => OfType(l, r, "tool.call", e => e.Force.Add(("src_seq", $"{r.Next(7)}")))),
        ("a counted record's source", 3, static (l, r) => OfType(l, r, "tool.call", e => e.Force.Add(r.Next(2) == 0 ? ("src", "\"other\"") : ("workspace", "\"other\"")))),
        ("a seal's number", 3, static (l, r) => OfType(l, r, "ledger.traces", e => e.Force.Add(("first", $"{r.Next(20)}")))),
        ("a recovery's bytes", 2, static (l, r) => OfType(l, r, "ledger.recovery", e => e.Force.Add(("quarantined_bytes", $"{r.Next(2)}")))),
        ("an incarnation's numbers", 3, static (l, r) => OfType(l, r, "ledger.incarnation", e => e.Force.Add(r.Next(2) == 0 ? ("number", "2") : ("size", "2")))),
        ("another entry stands there", 3, static (l, r) => Any(l, r, e => e.Text = l.Groups[r.Next(l.Groups.Count)].Entries is [var other, ..] ? other.Text : e.Text)),
        ("segments are cut otherwise", 3, static (l, r) =>
        {
            int segment = 0;
            foreach (var group in l.Groups)
            {
                group.Segment = segment;
                segment += r.Next(3) == 0 ? 1 : 0;
            }
        }),
        ("an unknown signature", 2, static (l, r) => Group(l, r, static (g, _) => g.MoreSignatures = "\u2014 stranger.example/key AAAAAAAAAAAA\n")),
        ("another identity", 2, static (l, r) => l.Identity = 7),
    ];

    private static void Group(ForgedLedger ledger, Random random, Action<ForgedLedger.Group, int> change)
    {
        int at = random.Next(ledger.Groups.Count);
        if (ledger.Groups[at].Entries.Count > 0)
        {
            change(ledger.Groups[at], at);
        }
    }

    private static void Any(ForgedLedger ledger, Random random, Action<ForgedLedger.Entry> change) =>
        Group(ledger, random, (g, _) => change(g.Entries[random.Next(g.Entries.Count)]));

    private static void Genesis(ForgedLedger ledger, Action<ForgedLedger.Entry> change)
    {
        if (ledger.Groups[0].Entries is [var genesis, ..])
        {
            change(genesis);
        }
    }

    private static void OfType(ForgedLedger ledger, Random random, string type, Action<ForgedLedger.Entry> change)
    {
        if (ByteMutations.Pick([.. ledger.Groups.SelectMany(static g => g.Entries).Where(e => e.Is(type))], random) is { } entry)
        {
            change(entry);
        }
    }

    private static void Rotation(ForgedLedger ledger, Random random, Action<ForgedLedger.Group, int, int> change)
    {
        var at = Enumerable.Range(0, ledger.Groups.Count).Where(i => ledger.Groups[i].Entries is [var e, ..] && e.Is("ledger.epoch")).ToList();
        if (at.Count > 0)
        {
            int which = random.Next(at.Count);
            change(ledger.Groups[at[which]], which + 1, at[which]);
        }
    }

    /// <summary>From some group on, a clock shows more.</summary>
    private static void Later(ForgedLedger ledger, Random random, string member, long more)
    {
        foreach (var entry in ledger.Groups.Skip(random.Next(ledger.Groups.Count)).SelectMany(static g => g.Entries))
        {
            if (long.TryParse(ForgedLedger.Get(entry.Text, member), NumberStyles.None, CultureInfo.InvariantCulture, out long now))
            {
                entry.Text = ForgedLedger.Set(entry.Text, member, (now + more).ToString(CultureInfo.InvariantCulture));
            }
        }
    }
}
