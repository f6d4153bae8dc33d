using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>A ledger that lost entries: what stands on the disk, and the newest head that is known to have existed.</summary>
/// <param name="KnownFrom">The file or store that knows the lost head.</param>
public sealed record LedgerLoss(string Origin, LedgerHead Found, string LastRecorded, LedgerHead Lost, string KnownFrom);

/// <summary>
/// The one way on for a ledger that is shorter than it was, or that another history took the place of (an old copy was restored): an operator accepts the
/// loss, and the ledger says so for ever (docs/ledger-format.md, section 8). The caller holds the lock of the data directory.
/// </summary>
public static class LedgerIncarnation
{
    private const string Header = "evident incarnation pending v1";

    /// <summary>Only looks.</summary>
    /// <param name="floor">Newest head that another store remembers.</param>
    /// <exception cref="LedgerStateException">Nothing is lost, or the files are damaged, which is no loss that can be accepted.</exception>
    public static LedgerLoss Survey(LedgerOptions options, LedgerHead? floor)
    {
        using var state = Read(options, floor);
        return state.Loss;
    }

    /// <summary>
    /// 1 <c>incarnation.pending</c> is durable: from here a start refuses until all of this is done, and this can be repeated;
    /// 2 the notes of the lost history are copied to <c>quarantine/</c> and removed;
    /// 3 <paramref name="forget"/> makes the other stores forget it;
    /// 4 rotation, <c>ledger.incarnation</c> and, for a torn tail, <c>ledger.recovery</c> are durable and published;
    /// 5 <c>incarnation.pending</c> is removed.
    /// </summary>
    /// <param name="loss">What <see cref="Survey"/> told and the operator has confirmed.</param>
    /// <param name="act">Sets the members of an act: actor and sealed reason.</param>
    /// <exception cref="LedgerStateException">What is lost is no longer what was confirmed.</exception>
    public static LedgerHead Accept(LedgerOptions options, LedgerLoss loss, LedgerHead? floor, IClock clock, Action forget, Action<Lj1ObjectBuilder> act)
    {
        using var state = Read(options, floor);
        if (state.Loss.Found.Size != loss.Found.Size || state.Loss.Lost.Size != loss.Lost.Size)
        {
            throw new LedgerStateException("the ledger is no longer what was confirmed; look at it again.");
        }

        string pending = Path.Combine(options.Directory, LedgerFiles.PendingIncarnation);
        DurableDirectory.ReplaceFile(pending, Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"{Header}\n{loss.Lost.Size}\n{LedgerFormat.HashText(loss.Lost.Root)}\n")), 0x1A4);
        LedgerOpening.Tidy(options, state.Keys, state.Pass.Epoch);
        foreach (string name in state.Contradicting)
        {
            byte[] note = HeadStore.ReadNote(Path.Combine(options.Directory, name));
            string moved = string.Create(CultureInfo.InvariantCulture, $"{SizeOf(note):D20}-{Convert.ToHexStringLower(SHA256.HashData(note))[..16]}{LedgerFormat.NoteSuffix}");
            DurableDirectory.ReplaceFile(Path.Combine(options.Directory, "quarantine", moved), note, 0x1A4);
            DurableDirectory.Remove(Path.Combine(options.Directory, name));
        }

        forget();
        var head = Append(options, state, clock, act);
        DurableDirectory.Remove(pending);
        return head;
    }

    private static LedgerHead Append(LedgerOptions options, State state, IClock clock, Action<Lj1ObjectBuilder> act)
    {
        var (pass, files) = (state.Pass, state.Files);
        var start = LedgerOpening.Place(options, files, pass, LedgerOpening.Note(options.Directory, pass.Size).Signatures, clock);
        string? torn = pass.Torn is { } tail ? LedgerOpening.Quarantine(options.Directory, tail, pass.Size) : null;
        start = LedgerOpening.Renew(options, start, pass);
        var heads = new HeadStore(options.Directory);
        heads.Load(state.Identity.Public);
        var identity = new SigningKey(state.Identity.Public.Name, state.Seed);
        using var log = new LedgerLog(options, clock, state.Keys, heads, identity, LedgerOpening.EpochKey(state.Keys, pass), start);
        log.SettleClock(); // no clock entry comes between the head that was found, the rotation and the incarnation
        var found = log.Head;
        if (!state.Done) // else a crash came between the entry and its publication
        {
            log.Rotate("operator");
            log.AppendOwn("ledger.incarnation", b =>
            {
                b.Set("incarnation", i => i
                    .Set("found", h => h.Set("size", found.Size).Set("root", LedgerFormat.HashText(found.Root)))
                    .Set("lost", h => h.Set("size", state.Loss.Lost.Size).Set("root", LedgerFormat.HashText(state.Loss.Lost.Root)))
                    .Set("number", state.Incarnations + 1));
                act(b);
            });
        }

        if (torn is not null)
        {
            LedgerOpening.Record(log, options.Directory, found, torn);
        }

        log.Publish();
        return log.Head;
    }

    private sealed record State(
        KeyFiles Keys, SecretBytes Seed, SigningKey Identity, LedgerFiles Files, LedgerPass Pass, LedgerLoss Loss, List<string> Contradicting, long Incarnations, bool Done) : IDisposable
    {
        public void Dispose()
        {
            Identity.Dispose();
            Seed.Dispose();
        }
    }

    private static State Read(LedgerOptions options, LedgerHead? floor)
    {
        var keys = new KeyFiles(options.KeysDirectory);
        if (!File.Exists(keys.Identity) || !Directory.Exists(options.Directory))
        {
            throw new LedgerStateException($"'{options.Directory}' or the identity key '{keys.Identity}' is missing; a ledger can go on only from what is left of it. Restore a copy first.");
        }

        var seed = KeyFiles.Read(keys.Identity);
        try
        {
            using var probe = new SigningKey("probe", seed);
            var identity = new SigningKey(LedgerFormat.OriginOf(probe.Public.PublicKey), seed);
            var files = LedgerFiles.List(options.Directory);
            var pass = new LedgerPass(options.Directory);
            var notes = Notes(options.Directory, files, identity.Public);
            var pending = Pending(options.Directory);
            var wanted = new HashSet<long>(notes.ConvertAll(n => n.Checkpoint.Size)) { floor?.Size ?? 0, pending?.Size ?? 0 };
            var signed = new Dictionary<long, byte[]> { [0] = Merkle.EmptyRoot };
            pass.OnSigned = (size, root) =>
            {
                if (wanted.Contains(size))
                {
                    signed[size] = root;
                }
            };
            pass.Run(files.Segments);
            LedgerOpening.Refuse(files, pass, identity);
            if (pass.Size == 0)
            {
                throw new LedgerStateException($"no complete group is left in '{options.Directory}'; there is nothing to go on from. Restore a copy first.");
            }

            LedgerHead? lost = null;
            string knownFrom = "";
            var contradicting = new List<string>();
            void Consider(LedgerHead head, string from)
            {
                if (lost is null || head.Size > lost.Size)
                {
                    (lost, knownFrom) = (head, from);
                }
            }

            bool Contained(long size, byte[] root) => signed.TryGetValue(size, out byte[]? own) && own.AsSpan().SequenceEqual(root);
            foreach (var (name, checkpoint) in notes)
            {
                if (!Contained(checkpoint.Size, checkpoint.Root))
                {
                    contradicting.Add(name);
                    Consider(new LedgerHead(checkpoint.Size, checkpoint.Root), name);
                }
            }

            if (floor is not null && !Contained(floor.Size, floor.Root))
            {
                Consider(floor, "the trace store");
            }

            if (pending is not null && !Contained(pending.Size, pending.Root))
            {
                Consider(pending, LedgerFiles.PendingIncarnation);
            }

            if (lost is null && pending is null)
            {
                throw new LedgerStateException($"nothing is lost: the ledger ends at {pass.Size} entries and contains every head that is known here. There is no loss to accept.");
            }

            var (count, last) = Incarnations(options.Directory, pass.Size);
            lost ??= pending!;
            bool done = pending is not null && last is not null && last.Size == pending.Size && last.Root.AsSpan().SequenceEqual(pending.Root);
            var loss = new LedgerLoss(identity.Public.Name, new LedgerHead(pass.Size, pass.Root), pass.LastTime ?? "", done ? pending! : lost, knownFrom);
            return new State(keys, seed, identity, files, pass, loss, contradicting, count, done);
        }
        catch
        {
            seed.Dispose();
            throw;
        }
    }

    /// <summary>Head store, published and filed notes that this identity signed.</summary>
    private static List<(string Name, Checkpoint Checkpoint)> Notes(string directory, LedgerFiles files, NoteKey identity)
    {
        List<string> names = ["head.a", "head.b"];
        foreach (var (_, name) in files.Published)
        {
            names.Add(name);
        }

        string anchors = Path.Combine(directory, "anchors");
        if (Directory.Exists(anchors))
        {
            foreach (string path in Directory.EnumerateFiles(anchors, "*" + LedgerFormat.NoteSuffix))
            {
                names.Add("anchors/" + Path.GetFileName(path));
            }
        }

        var notes = new List<(string, Checkpoint)>();
        foreach (string name in names)
        {
            string path = Path.Combine(directory, name);
            if (File.Exists(path) && SignedNote.TryParse(HeadStore.ReadNote(path), out var note, out _) && note.IsSignedBy(identity)
                && Checkpoint.TryParse(note.Text, out var checkpoint) && checkpoint.Origin == identity.Name)
            {
                notes.Add((name, checkpoint));
            }
        }

        return notes;
    }

    private static long SizeOf(byte[] note) =>
        SignedNote.TryParse(note, out var parsed, out _) && Checkpoint.TryParse(parsed.Text, out var checkpoint) ? checkpoint.Size : 0;

    private static LedgerHead? Pending(string directory)
    {
        string path = Path.Combine(directory, LedgerFiles.PendingIncarnation);
        if (!File.Exists(path))
        {
            return null;
        }

        string[] lines = Encoding.ASCII.GetString(HeadStore.ReadNote(path)).Split('\n');
        return lines.Length == 4 && lines[0] == Header && long.TryParse(lines[1], NumberStyles.None, CultureInfo.InvariantCulture, out long size)
            && lines[2].Length == LedgerFormat.HashPrefix.Length + 64
            ? new LedgerHead(size, Convert.FromHexString(lines[2].AsSpan(LedgerFormat.HashPrefix.Length)))
            : throw new LedgerStateException($"'{path}' is not what this appliance writes; remove it only when you know where it comes from.");
    }

    /// <summary>How many losses were accepted before, and the lost head of the newest.</summary>
    private static (long Count, LedgerHead? Last) Incarnations(string directory, long size)
    {
        const int Page = 1 << 16;
        var parser = new Lj1Parser();
        long count = 0;
        LedgerHead? last = null;
        for (long from = 0; from < size; from += Page)
        {
            foreach (var line in LedgerReader.Read(directory, from, Page, size))
            {
                var bytes = line.Json.Span;
                if (bytes.IndexOf("\"type\":\"ledger.incarnation\""u8) < 0)
                {
                    continue;
                }

                _ = parser.Parse(bytes);
                if (parser.Text(bytes, "type"u8).SequenceEqual("ledger.incarnation"u8))
                {
                    int lost = parser.Find(bytes, parser.Find(bytes, 0, "incarnation"u8), "lost"u8);
                    var root = parser.Nodes[parser.Find(bytes, lost, "root"u8)];
                    last = new LedgerHead(
                        parser.Nodes[parser.Find(bytes, lost, "size"u8)].Integer,
                        Convert.FromHexString(Encoding.ASCII.GetString(bytes.Slice(root.Start, root.Length))[LedgerFormat.HashPrefix.Length..]));
                    count++;
                }
            }
        }

        return (count, last);
    }
}
