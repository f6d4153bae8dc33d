using System.Text;

namespace Evident.Ledger;

internal sealed partial class LedgerPass
{
    private enum Signed { Valid, Unknown, Invalid, EntryDamaged }

    private const long AgeToleranceMillis = 60_000;
    private ulong epochBoot;
    private readonly byte[] lastTime = new byte[24];
    private string genesisLog = "", genesisCustody = "";
    private byte[]? genesisIdentity, genesisEpochKey;
    private long epochEntries = long.MaxValue, epochMillis = long.MaxValue, epochFirstSeq, epochFirstMono = -1;

    /// <summary>An epoch's key cannot be known because its rotation entry is damaged or missing: its signatures are not accused.</summary>
    private bool epochsUnsure;

    public bool EpochsUnsure => epochsUnsure;

    /// <summary>Lines are missing: the next valid entry tells the epoch.</summary>
    private bool epochFloats;

    private EntryFlaw TakeGenesis(ReadOnlySpan<byte> line)
    {
        int details = parser.Find(line, 0, "genesis"u8);
        genesisIdentity = Key(line, details, "identity_key"u8);
        genesisEpochKey = Key(line, details, "epoch_key"u8);
        genesisCustody = Member(line, details, "custody"u8);
        genesisLog = Encoding.ASCII.GetString(parser.Text(line, "log"u8));
        epochEntries = parser.Nodes[parser.Find(line, details, "epoch_entries"u8)].Integer;
        epochMillis = parser.Nodes[parser.Find(line, details, "epoch_ms"u8)].Integer;
        group.HasGenesis = true;
        GenesisHash = [.. leaf];
        return EntryFlaw.None;
    }

    /// <summary>
    /// Three places name the origin: entry 0's <c>log</c>, its identity key, and the first checkpoint line. Two of them that agree
    /// decide, so that a change in one of them is blamed on that one.
    /// </summary>
    private void SettleOrigin(string noted)
    {
        string derived = genesisIdentity is null ? "" : LedgerFormat.OriginOf(genesisIdentity);
        NameOrigin(genesisLog.Length > 0 && genesisLog == derived ? derived : noted);
        if (genesisIdentity is not null && derived == Origin)
        {
            Identity = new NoteKey(Origin, genesisIdentity);
        }

        if (genesisEpochKey is not null)
        {
            EpochKeys[1] = new NoteKey(LedgerFormat.EpochKeyName(Origin, 1), genesisEpochKey);
            Epochs.Add(new EpochSummary(1, 0, genesisCustody, "ed25519:" + Convert.ToHexStringLower(genesisEpochKey), "genesis"));
        }
        else
        {
            epochsUnsure |= lastMalformed || group.AnyMalformed;
        }
    }

    private void NameOrigin(string origin)
    {
        Origin = origin;
        byte[] text = Encoding.UTF8.GetBytes(origin);
        originDigits = LedgerFormat.IsOrigin(text) ? Digits32.Parse(text.AsSpan(text.Length - 32)) : null;
    }

    /// <summary>The first checkpoint line could not be read: entry 0 alone must do.</summary>
    private void SettleOriginUnnoted()
    {
        if (Origin.Length == 0)
        {
            SettleOrigin(genesisLog);
        }
    }

    private void LoseScopes()
    {
        KeepScopes();
        scopesUnsure = true;
        scopes.Clear();
    }

    /// <summary>What a torn tail did to the counts must not stay: the first change after the valid point keeps them as they were there.</summary>
    private void KeepScopes() => scopesAtValid ??= scopes.Copy();

    /// <summary>A torn rotation opened nothing.</summary>
    private void RestoreEpoch()
    {
        Epoch = valid.Epoch;
        Epochs.RemoveAll(e => e.Number > Epoch);
        for (long later = Epoch + 1; EpochKeys.Remove(later); later++)
        {
        }
    }

    /// <summary>Counters of the epoch and of scopes, and what the entry says about the appliance.</summary>
    /// <param name="text">The line, parsed, and its type; empty for an entry of another kind.</param>
    private EntryFlaw Remember(in LineRecord line, ReadOnlySpan<byte> text, ReadOnlySpan<byte> type, long seq)
    {
        var flaw = EntryFlaw.None;
        chunk.Recorded(at).CopyTo(lastTime);
        FirstTime ??= Encoding.ASCII.GetString(lastTime);
        if (line.HasScope)
        {
            bool known = scopes.TryNext(line.Scope, out long next);
            flaw |= line.ScopeSeq != (known ? next : 0) && !(!known && (scopesUnsure || scopes.Full)) ? EntryFlaw.Scope : 0;
            scopes.Count(line.Scope, line.ScopeSeq + 1);
        }

        long mono = line.Mono;
        bool opens = type.SequenceEqual("ledger.epoch"u8) || seq == 0;
        if (opens || epochFirstMono < 0 || line.Boot != epochBoot)
        {
            (epochBoot, epochFirstMono) = (line.Boot, mono);
        }

        if (!opens && !type.SequenceEqual("ledger.clock"u8) && (seq - epochFirstSeq >= epochEntries || mono - epochFirstMono > Math.Min(epochMillis, long.MaxValue / 2) + AgeToleranceMillis))
        {
            flaw |= EntryFlaw.Age;
        }

        return flaw | Observe(line, text, type);
    }

    /// <summary>About the current line.</summary>
    private Finding AtLine(int code, string sentence, long fromSeq, long toSeq) => new(
        code, sentence, segment.Name, lineNumber, chunk[at].Offset, chunk[at].End, fromSeq, toSeq);

    /// <summary>About the current checkpoint line and the entries of its group.</summary>
    private Finding AtLine(int code, string sentence) =>
        AtLine(code, sentence, group.Count > 0 ? group.FirstSeq : -1, group.Count > 0 ? expectedSeq - 1 : -1);

    private void ReadCheckpoint(NoteRecord read)
    {
        if (read.Note is not { } note)
        {
            SettleDisputed(null);
            Findings.Add(AtLine(Verdict.Malformed, $"checkpoint line: {read.Failure}"));
            SettleOriginUnnoted();
            AdoptRotation(null, entryTrusted: group.Count == 1);
            CloseUnchecked();
            lastMalformed = true; // what follows may have been run into this line
            return;
        }

        if (group.Count == 0)
        {
            if (lastMalformed)
            {
                // Its only entry was run into the malformed line.
                (treeLost, previousKnown, epochsUnsure) = (true, false, true);
                expectedSeq++;
                expectedBatch++;
                Epoch += note.Signatures.Count - 1;
            }
            else
            {
                SettleDisputed(null);
                Findings.Add(AtLine(Verdict.Altered, "a checkpoint line without entries before it."));
            }

            return;
        }

        if (Origin.Length == 0)
        {
            int end = note.Text.AsSpan().IndexOf((byte)'\n');
            SettleOrigin(Encoding.UTF8.GetString(note.Text.AsSpan(0, Math.Max(end, 0))));
        }

        SettleDisputed(null);
        before.CopyFrom(frontier);
        KeepHeadBeforeRotation();
        for (int i = 0; i < group.Count; i++)
        {
            frontier.Append(group.Leaf(i));
        }

        byte[] root = frontier.Root();
        var checkpoint = read.Checkpoint;
        bool sameRoot = checkpoint is not null && checkpoint.Root.AsSpan().SequenceEqual(root);
        var signed = Judge(read, note, sameRoot, out int code, out string why);
        lastMalformed = false;
        if (signed == Signed.Invalid)
        {
            Findings.Add(AtLine(code, $"checkpoint line: {why}"));
            AdoptRotation(note.Signatures.Count > 0 ? note : null, entryTrusted: sameRoot);
            CloseUnchecked(alreadyInTree: true);
        }
        else if (checkpoint is null)
        {
            Findings.Add(AtLine(Verdict.Malformed, "checkpoint line: the signed text is no checkpoint."));
            CloseUnchecked(alreadyInTree: true);
        }
        else if (checkpoint.Origin != Origin)
        {
            Findings.Add(AtLine(Verdict.KeyViolation, $"checkpoint line: it is for the origin '{checkpoint.Origin}'."));
            CloseUnchecked(alreadyInTree: true);
        }
        else
        {
            AdoptRotation(note, entryTrusted: signed != Signed.EntryDamaged && sameRoot);
            Compare(checkpoint, sameRoot, signed == Signed.Valid);
        }
    }

    private void Compare(Checkpoint checkpoint, bool sameRoot, bool trusted)
    {
        if (trusted)
        {
            OnSigned?.Invoke(checkpoint.Size, checkpoint.Root);
        }

        if (group.AnyMalformed && checkpoint.Size != expectedSeq)
        {
            // A malformed line stood for more or fewer entries than one; it is reported already.
            (treeLost, previousKnown, expectedSeq) = (true, false, checkpoint.Size);
            CloseUnchecked(alreadyInTree: true);
        }
        else if (!treeLost && checkpoint.Size != frontier.Size)
        {
            Findings.Add(AtLine(
                Verdict.Altered, $"the checkpoint is for {checkpoint.Size} entries, {frontier.Size} stand before it: entries were removed or added in this group."));

            treeLost = true;
            CloseUnchecked(alreadyInTree: true);
        }
        else if (!treeLost && !sameRoot)
        {
            (disputed, disputedRoot) = (group, checkpoint.Root);
            (group, spare) = (spare, disputed);
            group.Clear();
            expectedBatch++;
        }
        else
        {
            Confirm(checkpoint);
        }
    }

    /// <summary>The signed root is the root of these lines (or the tree was lost before): what they say was signed.</summary>
    private void Confirm(Checkpoint checkpoint)
    {
        long seen = Findings.Count;
        ReportFlaws(group, null);
        if (group.HasGenesis && (Identity is null || genesisLog != Origin))
        {
            Findings.Add(group.About(0, 0, Verdict.KeyViolation, "the origin is not the fingerprint of the identity key in entry 0."));
        }

        bool sound = Findings.Count == seen && !group.AnyMalformed;
        if (!sound)
        {
            KeepScopes();
        }

        scopes.Confirm();

        TakeNotes();
        expectedBatch = group.LastBatch >= 0 ? group.LastBatch + 1 : expectedBatch < 0 ? -1 : expectedBatch + 1;
        LastTime = Encoding.ASCII.GetString(lastTime);
        group.Clear();
        if (sound)
        {
            Snapshot(segment.Name, chunk[at].End, checkpoint.Root);
        }
    }

    private void Snapshot(string name, long offset, byte[] root)
    {
        valid.Segment = name;
        valid.Offset = offset;
        valid.Size = expectedSeq;
        valid.Batch = expectedBatch;
        valid.Epoch = Epoch;
        valid.Root = root;
        valid.TreeLost = treeLost;
        previous.CopyTo(valid.Previous, 0);
        valid.Frontier.CopyFrom(frontier);
        valid.Findings = Findings.Here();
        scopesAtValid = null;
    }

    /// <summary>Ends a group whose checkpoint says nothing: only what the chain itself shows is reported.</summary>
    private void CloseUnchecked(bool alreadyInTree = false)
    {
        if (!alreadyInTree)
        {
            for (int i = 0; i < group.Count; i++)
            {
                frontier.Append(group.Leaf(i));
            }
        }

        treeLost |= group.AnyMalformed;
        KeepScopes();
        if (group.AnyFlaw)
        {
            LoseScopes();
        }

        scopes.Confirm();

        for (int i = 0; i < group.Count; i++)
        {
            if (group.Is(i, EntryFlaw.Chain))
            {
                Findings.Add(group.About(Math.Max(i - 1, 0), i, Verdict.Altered, "the chain is broken here: one of these two lines was changed."));
                treeLost = true;
            }
        }

        group.Clear();
        expectedBatch = expectedBatch < 0 ? -1 : expectedBatch + 1;
    }

    private static readonly (EntryFlaw Flaw, int Code, string Sentence)[] Sentences =
    [
        (EntryFlaw.Chain, Verdict.Altered, "prev_hash is not the hash of the entry before, yet the group was signed so."),
        (EntryFlaw.Seq, Verdict.Altered, "seq is not the entry's position, yet the group was signed so."),
        (EntryFlaw.Batch, Verdict.Altered, "batch is not the number of this group: groups were merged, split, removed or added."),
        (EntryFlaw.Log, Verdict.Altered, "log names another ledger."),
        (EntryFlaw.Scope, Verdict.Altered, "scope_seq does not follow the scope's last number."),
        (EntryFlaw.Incarnation, Verdict.Altered, "found is not the head that this ledger had before the rotation in front of this incarnation."),
        (EntryFlaw.Epoch, Verdict.KeyViolation, "epoch is not the epoch whose key signs here (K4)."),
        (EntryFlaw.Misplaced, Verdict.KeyViolation, "a genesis or rotation entry is missing here, misplaced or not alone in its group (K2)."),
        (EntryFlaw.Age, Verdict.KeyViolation, "the epoch is older or longer than the ledger allows: a rotation is missing (K5)."),
    ];

    /// <param name="signed">Lines to leave out, and to look past: those that are not what was signed; null when all are.</param>
    private void ReportFlaws(OpenGroup held, byte[]?[]? signed)
    {
        if (!held.AnyFlaw)
        {
            return;
        }

        LoseScopes();
        foreach (var (flaw, code, sentence) in Sentences)
        {
            if (signed is not null && flaw is EntryFlaw.Scope or EntryFlaw.Age)
            {
                continue; // may follow from the changed line
            }

            for (int i = 0; i < held.Count; i++)
            {
                int from = i;
                while (i < held.Count && held.Is(i, flaw) && signed?[i] is null && (i == 0 || signed?[i - 1] is null))
                {
                    i++;
                }

                if (i > from)
                {
                    Findings.Add(held.About(from, i - 1, code, sentence));
                }
            }
        }
    }

    /// <summary>
    /// The last group's lines are not what was signed. Walks back from the hash that the next entry claims for the last one: a line
    /// whose hash is not the claimed one was changed, and its own claim is worth nothing. If the claimed hashes lead to the signed
    /// root, exactly those lines were changed and the tree goes on with the hashes that were signed.
    /// </summary>
    private void SettleDisputed(byte[]? nextClaim)
    {
        if (disputed is null)
        {
            return;
        }

        var held = disputed;
        disputed = null;
        LoseScopes();
        int count = held.Count;
        byte[]?[] signed = new byte[]?[count];
        byte[]? claimed = nextClaim is null ? null : [.. nextClaim];
        for (int i = count - 1; i >= 0; i--)
        {
            bool differs = claimed is not null && !held.Leaf(i).SequenceEqual(claimed);
            signed[i] = differs ? claimed : null;
            bool usable = !differs && !held.Is(i, EntryFlaw.Malformed | EntryFlaw.Withheld);
            claimed = usable ? held.Claim(i).ToArray() : null;
        }

        var tree = new MerkleFrontier();
        tree.CopyFrom(before);
        for (int i = 0; i < count; i++)
        {
            tree.Append(signed[i] ?? held.Leaf(i));
        }

        if (tree.Root().AsSpan().SequenceEqual(disputedRoot))
        {
            frontier.CopyFrom(tree);
            for (int i = 0; i < count; i++)
            {
                if (signed[i] is not null && !held.Is(i, EntryFlaw.Malformed))
                {
                    Findings.Add(held.About(i, i, Verdict.Altered, "the line was changed: its hash is not the one that was signed and that the next entry names."));
                }
            }

            ReportFlaws(held, signed);
            if (signed[count - 1] is { } last)
            {
                last.CopyTo(previous, 0);
            }

            return;
        }

        treeLost = true;
        if (held.AnyMalformed)
        {
            return; // reported already
        }

        int broken = -1, breaks = 0;
        for (int i = 1; i < count; i++)
        {
            if (held.Is(i, EntryFlaw.Chain))
            {
                (broken, breaks) = (i, breaks + 1);
            }
        }

        bool lastAlone = nextClaim is null && !held.AnyWithheld && (breaks == 0 || (breaks == 1 && broken == count - 1));
        Findings.Add(lastAlone
            ? held.About(count - 1, count - 1, Verdict.Altered, "the line was changed: the root that was signed is not reached, and every line before it is chained.")
            : held.About(0, count - 1, Verdict.Altered, "lines of this group were changed, removed or added: the root that was signed is not reached."));
    }
}
