using System.Globalization;
using System.Text;

namespace Evident.Ledger;

/// <summary>Keys, and what rules K1 to K5 say of a closed group (docs/ledger-format.md sections 5, 6 and 9).</summary>
internal sealed partial class LedgerPass
{
    private const long AgeToleranceMillis = 60_000;
    private const int MaxEpochs = 10_000;

    private readonly byte[] lastTime = new byte[24];
    private readonly HashSet<long> unknownKeys = []; // epochs whose key a damaged or missing entry brings, which is said there
    private long epochEntries = long.MaxValue, epochMillis = long.MaxValue, epochStart, epochBootMono;
    private ulong epochBoot;
    private Digits32? originDigits; // null as well when it has not the form that an entry's log must have
    private (string Name, NoteKey? Key) first, second; // who signs the group that is concluded; no second name: one alone

    /// <summary>Origin of the ledger; empty until it is known.</summary>
    public string Origin { get; private set; } = "";

    /// <summary>The identity key, once entry 0 is found to hold the key that the origin names.</summary>
    public NoteKey? Identity { get; private set; }

    /// <summary>Public keys of the epochs seen so far, as far as they are known.</summary>
    public Dictionary<long, NoteKey> EpochKeys { get; } = [];

    public long Epoch { get; private set; } = 1;

    /// <summary>The newest 10,000 of them (27 years of days): what is older than that is checked as it is passed and not kept.</summary>
    public List<EpochSummary> Epochs { get; } = [];

    private void NameOrigin(string origin)
    {
        Origin = origin;
        byte[] text = Encoding.UTF8.GetBytes(origin);
        originDigits = LedgerFormat.IsOrigin(text) ? Digits32.Parse(text.AsSpan(text.Length - 32)) : null;
    }

    /// <summary>The line that was just added to the open group brings keys.</summary>
    private void TakeKeys(ReadOnlySpan<byte> line, ReadOnlySpan<byte> leaf, bool genesis)
    {
        int details = parser.Find(line, 0, genesis ? "genesis"u8 : "rotation"u8);
        if (!genesis)
        {
            group.Rotation ??= new KeyFacts(Key(line, details, "epoch_key"u8), Member(line, details, "custody"u8), Member(line, details, "reason"u8));
            return;
        }

        if (group.Genesis is null)
        {
            group.Genesis = new KeyFacts(Key(line, details, "epoch_key"u8), Member(line, details, "custody"u8), "genesis");
            group.GenesisLog = Encoding.ASCII.GetString(parser.Text(line, "log"u8));
            (group.EpochEntries, group.EpochMillis) = (Number(line, details, "epoch_entries"u8), Number(line, details, "epoch_ms"u8));
        }

        if (size == 1)
        {
            byte[] identity = Key(line, details, "identity_key"u8);
            NameOrigin(LedgerFormat.OriginOf(identity));
            Identity = new NoteKey(Origin, identity);
            EpochKeys[1] = new NoteKey(LedgerFormat.EpochKeyName(Origin, 1), group.Genesis.EpochKey);
            unknownKeys.Remove(1);
            GenesisHash = [.. leaf];
        }
    }

    private EntryFlaw TakeOrigin(in LineRecord line)
    {
        if (Origin.Length == 0)
        {
            byte[] name = [.. "evident.local/"u8, .. Encoding.ASCII.GetBytes(line.Log.ToString())];
            NameOrigin(Encoding.ASCII.GetString(name));
        }

        return line.Log == originDigits ? EntryFlaw.None : EntryFlaw.Log;
    }

    /// <summary>The epoch that signs the current entry's group, where a rotation may be in what is not here.</summary>
    private void FindEpoch(long signer, bool gap)
    {
        if ((unreadEpoch || gap) && signer != Epoch)
        {
            (Epoch, epochStart) = (signer, size - 1);
        }

        if ((unreadEpoch || (gap && segmentMissing)) && !EpochKeys.ContainsKey(signer))
        {
            unknownKeys.Add(signer);
        }
    }

    /// <summary>Everything that the group's checkpoint line shows.</summary>
    /// <param name="matches">The signed root is the root of the entries, taken as <paramref name="choice"/> says.</param>
    /// <param name="intact">And every line is the signed one.</param>
    /// <param name="unknown">No root can be computed here.</param>
    private void Conclude(LineGroup held, bool matches, bool intact, bool unknown, HashChoice choice)
    {
        SettleOrigin(held, intact);
        FindSigners(held.Rotation);
        bool sound = false, told = false;
        if (held.Note is null)
        {
            if (held.Rotation is not null && !held.Damaged)
            {
                Findings.Add(held.About(0, Verdict.KeyViolation, "a rotation that no checkpoint line signs (K2)."));
            }
        }
        else if (held.Note.Checkpoint is { Size: > 0 } other && other.Size != held.End)
        {
            Misplaced(held, other);
        }
        else if (CheckSignatures(held, held.Note, intact))
        {
            if (held.Note.Checkpoint is not { Size: > 0 } checkpoint)
            {
                Findings.Add(held.AboutNote(Verdict.Malformed, "checkpoint line: the signed text is no checkpoint."));
            }
            else
            {
                long seen = Findings.Count;
                if (matches)
                {
                    JudgeEpoch(held, choice);
                }
                else if (!unknown)
                {
                    told = held.OnlyLastDoubtful;
                    Findings.Add(told
                        ? held.About(held.Count - 1, Verdict.Altered, "the line was changed: the root that was signed is not reached, and every line before it is chained.")
                        : held.AboutNote(Verdict.Altered, "lines of this group were changed, removed or added: the root that was signed is not reached."));
                    treeLost = true;
                }

                sound = matches && Findings.Count == seen;
                Signer = second.Name.Length > 0 ? second.Key : first.Key;
                OnSigned?.Invoke(checkpoint.Size, checkpoint.Root);
            }
        }

        if (!told)
        {
            ReportBreaks(held, choice);
        }

        ReportFlaws(held, choice, last: told);

        if (held.Genesis is { } genesis && held.Start == 0 && EpochKeys.TryGetValue(1, out var opened))
        {
            List(new EpochSummary(1, 0, genesis.Custody, "ed25519:" + Convert.ToHexStringLower(opened.PublicKey), "genesis"));
        }

        if (held.Rotation is { } rotation)
        {
            Adopt(held.Start, rotation);
        }

        if (sound)
        {
            LastTime = Encoding.ASCII.GetString(lastTime);
            Snapshot(held.NotePlace.Segment, held.NotePlace.End, held.Note!.Checkpoint!.Root);
        }
    }

    /// <summary>Entry 0 names the origin by its identity key, unless that was changed or cannot be read: then the first checkpoint line does.</summary>
    private void SettleOrigin(LineGroup held, bool intact)
    {
        string noted = held.Note?.Checkpoint is { Size: > 0 } checkpoint ? checkpoint.Origin : "";
        if (held.Start == 0 && held.Genesis is not null && !intact && noted == held.GenesisLog && noted != Origin)
        {
            NameOrigin(noted);
            Identity = null;
            EpochKeys[1] = new NoteKey(LedgerFormat.EpochKeyName(Origin, 1), held.Genesis.EpochKey);
        }
        else if (Origin.Length == 0)
        {
            NameOrigin(noted);
            unknownKeys.Add(1);
        }
    }

    private void FindSigners(KeyFacts? rotation)
    {
        var key = EpochKeys.GetValueOrDefault(Epoch);
        first = rotation is { Reason: "key_lost" } ? (Origin, Identity) : (key is not null ? key.Name : LedgerFormat.EpochKeyName(Origin, Epoch), key);
        second = ("", null);
        if (rotation is not null)
        {
            var opened = new NoteKey(LedgerFormat.EpochKeyName(Origin, Epoch + 1), rotation.EpochKey);
            second = (opened.Name, opened);
        }
    }

    /// <summary>
    /// Rules K1 to K3: a checkpoint line is signed by the key of the current epoch and by nothing else; the group of a rotation entry by the old key (or,
    /// when that was lost, the identity key) and then the new one. True when all signatures are valid; false when they are not, which is
    /// reported, or cannot be checked, because what brings the key is damaged.
    /// </summary>
    private bool CheckSignatures(LineGroup held, NoteRecord read, bool intact)
    {
        var note = read.Note!;
        int found = note.Signatures.Count;
        string next = second.Name;
        if (held.Damaged && found == 2 && next.Length == 0)
        {
            next = note.Signatures[1].Name; // a malformed rotation
        }

        int due = next.Length > 0 ? 2 : 1;
        if (read.Checkpoint is { Size: > 0 } checkpoint && checkpoint.Origin != Origin)
        {
            return Accuse(Verdict.KeyViolation, $"it is for the origin '{checkpoint.Origin}'.");
        }

        if (found > due || (found == 2 && note.Signatures[0].Name == next && note.Signatures[1].Name == first.Name))
        {
            return Accuse(Verdict.Malformed, "its signature lines are not exactly those of this format in their order.");
        }

        bool known = true;
        for (int i = 0; i < due; i++)
        {
            var (name, key) = i == 0 ? first : (next, second.Key);
            if (i >= found || note.Signatures[i].Name != name)
            {
                return Accuse(Verdict.KeyViolation, Stranger(i < found ? note.Signatures[i].Name : "", name));
            }

            if (key is null)
            {
                if (!unknownKeys.Contains(Epoch) && !EpochKeys.ContainsKey(Epoch) && name != Origin)
                {
                    return Accuse(Verdict.KeyViolation, $"no rotation brought the key of {name} (K2).");
                }

                known = false;
            }
            else if (!key.Matches(note.Signatures[i]) && (i == 1 || held.Start == 0) && !intact)
            {
                Findings.Add(held.About(0, Verdict.Altered, $"the entry that brings the key of {name} was changed."));
                known = false;
                if (i == 1)
                {
                    second.Key = null;
                }
                else
                {
                    first.Key = null;
                    EpochKeys.Remove(Epoch);
                    unknownKeys.Add(Epoch);
                }
            }
            else if (!(i == 0 ? read.FirstIsBy(key) : key.Verifies(note.Signatures[i], note.Text)))
            {
                return Accuse(Verdict.KeyViolation, $"the signature of {name} is not valid for its text.");
            }
        }

        return known;

        bool Accuse(int code, string why)
        {
            Findings.Add(held.AboutNote(code, $"checkpoint line: {why}"));
            return false;
        }
    }

    private string Stranger(string signer, string due) =>
        signer.Length == 0 ? $"it lacks the signature of {due}."
        : EpochOf(signer) is { } epoch && epoch < Epoch ? $"it is signed by '{signer}', a closed epoch (K1, K3); {due} was due."
        : $"it is signed by '{signer}'; {due} was due.";

    /// <summary>The number of the epoch whose key has that name; null when it is none of this ledger's.</summary>
    private long? EpochOf(string name) =>
        name.Length > Origin.Length + 7 && name.StartsWith(Origin, StringComparison.Ordinal) && name.AsSpan(Origin.Length, 7).SequenceEqual("/epoch/")
        && long.TryParse(name.AsSpan(Origin.Length + 7), NumberStyles.None, CultureInfo.InvariantCulture, out long epoch) && LedgerFormat.EpochKeyName(Origin, epoch) == name
        ? epoch
        : null;

    /// <summary>The known key of that name, identity or epoch.</summary>
    internal NoteKey? KeyNamed(string name) => name == Origin ? Identity : EpochOf(name) is { } epoch ? EpochKeys.GetValueOrDefault(epoch) : null;

    /// <summary>A checkpoint line of another size than stands before it: it or entries were moved, removed or added; an invalid one was changed.</summary>
    private void Misplaced(LineGroup held, Checkpoint checkpoint)
    {
        foreach (var signature in held.Note!.Note!.Signatures)
        {
            if (KeyNamed(signature.Name) is not { } key)
            {
                continue;
            }

            if (!key.Verifies(signature, held.Note.Note.Text))
            {
                Findings.Add(held.AboutNote(Verdict.KeyViolation, $"checkpoint line: the signature of {key.Name} is not valid for its text."));
                return;
            }

            Signer = key;
            OnSigned?.Invoke(checkpoint.Size, checkpoint.Root);
        }

        Findings.Add(held.AboutNote(
            Verdict.Altered, $"the checkpoint is for {checkpoint.Size} entries, {held.End} stand before it: it or entries were moved, removed or added."));
    }

    /// <summary>K2, K4 and K5 on the entries that the signed root confirms.</summary>
    private void JudgeEpoch(LineGroup held, HashChoice choice)
    {
        bool alone = held.Count == 1 || held.CountRead() == 1;
        for (int i = 0; i < held.Count; i++)
        {
            ref var entry = ref held[i];
            bool rotation = (entry.Flags & MemberFlags.Rotation) != 0, genesis = (entry.Flags & MemberFlags.Genesis) != 0;
            if (!held.Is(i, MemberFlags.Entry) || held.TakesOther(i, choice))
            {
                continue;
            }

            if (((rotation || genesis) && !alone) || genesis != (entry.Position == 0))
            {
                Findings.Add(held.About(i, Verdict.KeyViolation, "genesis and rotation stand alone in their groups, genesis at entry 0 (K2)."));
            }

            if (entry.Epoch != Epoch + (rotation ? 1 : 0))
            {
                Findings.Add(held.About(i, Verdict.KeyViolation, $"epoch is {entry.Epoch}, epoch {Epoch} signs here (K2, K4)."));
            }

            if (genesis && entry.Position == 0)
            {
                (epochEntries, epochMillis) = (held.EpochEntries, held.EpochMillis);
            }

            if (rotation)
            {
                (epochStart, epochBoot) = (entry.Position, 0);
            }

            if (entry.Boot != epochBoot)
            {
                (epochBoot, epochBootMono) = (entry.Boot, entry.Mono);
            }

            if ((entry.Flags & MemberFlags.Clock) == 0
                && (entry.Position - epochStart >= epochEntries || entry.Mono - epochBootMono > Math.Min(epochMillis, LedgerFormat.MaxInteger) + AgeToleranceMillis))
            {
                Findings.Add(held.About(i, Verdict.KeyViolation, "the epoch is older or longer than the ledger allows: a rotation is missing (K5)."));
            }
        }
    }

    /// <summary>A rotation opens the next epoch, with a key that may be unknown because its entry was changed.</summary>
    private void Adopt(long seq, KeyFacts rotation)
    {
        Epoch++;
        unknownKeys.Remove(Epoch);
        if (second.Key is { } key)
        {
            EpochKeys[Epoch] = key;
            List(new EpochSummary(Epoch, seq, rotation.Custody, "ed25519:" + Convert.ToHexStringLower(key.PublicKey), rotation.Reason));
        }
        else
        {
            EpochKeys.Remove(Epoch);
            unknownKeys.Add(Epoch);
            List(new EpochSummary(Epoch, seq, "unknown", "", "unknown"));
        }
    }

    private void List(EpochSummary epoch)
    {
        if (Epochs.Count > 0 && epoch.Number <= Epochs[^1].Number)
        {
            return; // a repeated segment opens nothing new
        }

        if (Epochs.Count == MaxEpochs)
        {
            Epochs.RemoveAt(0);
        }

        Epochs.Add(epoch);
        EpochKeys.Remove(epoch.Number - MaxEpochs);
    }

    private byte[] Key(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        byte[] key = new byte[32];
        Hex.Decode(Encoding.ASCII.GetBytes(Member(line, parent, name)["ed25519:".Length..]), key);
        return key;
    }

    private string Member(ReadOnlySpan<byte> line, int parent, ReadOnlySpan<byte> name)
    {
        var node = parser.Nodes[parser.Find(line, parent, name)];
        return Encoding.ASCII.GetString(line.Slice(node.Start, node.Length));
    }

    internal static void ReadClaim(ReadOnlySpan<byte> line, Lj1Parser parser, Span<byte> hash)
    {
        var node = parser.Nodes[parser.Find(line, parser.Find(line, 0, "integrity"u8), "prev_hash"u8)];
        Hex.Decode(line.Slice(node.Start + LedgerFormat.HashPrefix.Length, 64), hash);
    }
}
