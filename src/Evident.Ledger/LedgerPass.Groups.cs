namespace Evident.Ledger;

/// <summary>Entries find their place, and groups are settled (docs/ledger-format.md sections 3, 4 and 9).</summary>
internal sealed partial class LedgerPass
{
    private MerkleFrontier tree = new(), before = new(); // of the settled groups; without the last of them
    private bool treeLost, beforeLost = true;

    /// <summary>A good entry: finds its place, settles the group before, joins the open one.</summary>
    private void ReadEntry(in LineRecord line, ReadOnlySpan<byte> leaf, ReadOnlySpan<byte> claim)
    {
        bool chained = lastKnown && claim.SequenceEqual(last);
        if (chained && unplaced && line.Seq > size && line.Seq - size <= 2L * unread)
        {
            size = line.Seq;
        }

        var flaw = EntryFlaw.None;
        long lost = 0;
        if (line.Seq != size)
        {
            if (!chained && line.Seq < size)
            {
                Findings.Add(AtLine(Verdict.Altered, $"entry {line.Seq} stands where entry {size} was expected: repeated or moved.", line.Seq, size));
                return;
            }

            if (chained)
            {
                flaw |= EntryFlaw.Seq;
            }
            else
            {
                lost = line.Seq - size;
                ReportGap(line.Seq, lost);
            }
        }

        flaw |= line.Batch == batch ? EntryFlaw.None : EnterBatch(line.Batch, lost > 0);
        flaw |= !chained && lost == 0 && lastKnown && closed is null && group.Count == 0 ? EntryFlaw.Chain : EntryFlaw.None;
        changedBefore = false;
        Settle(claim, lost == 0);
        flaw &= changedBefore ? ~EntryFlaw.Batch : flaw; // it may follow from what a changed line says
        if (lost > 0)
        {
            AddLost(lost);
        }

        if (group.Count == 0)
        {
            sources?.BeginGroup();
        }
        else
        {
            group.Claim(claim, same: chained);
        }

        Join(line, leaf, lost > 0, flaw);
        if (group.Count == LedgerFormat.MaxGroupEntries + 1 && !group.Damaged)
        {
            Findings.Add(AtLine(Verdict.Malformed, $"the group holds more than {LedgerFormat.MaxGroupEntries} entries.", size - 1, size - 1));
        }
    }

    private void ReportGap(long seq, long lost)
    {
        losses++;
        segmentMissing |= lineNumber == 1; // whole segments are out of place
        LoseTime();
        if (lost > 2L * unread)
        {
            Findings.Add(AtLine(Verdict.Altered, $"entries {size}..{seq - 1} are missing: entry {seq} follows.", size, seq));
        }
    }

    private EntryFlaw EnterBatch(long number, bool gap)
    {
        if (!batchKnown)
        {
            (batch, batchKnown) = (number, true);
            return EntryFlaw.None;
        }

        bool wrong = number < batch || !(unread > 0 || gap || number - batch <= batchSlack);
        if (number > batch && !group.IsEmpty)
        {
            Close(null); // its checkpoint line is lost
        }

        batch = number;
        return wrong ? EntryFlaw.Batch : EntryFlaw.None;
    }

    /// <summary>Entries whose lines are not here: two of them already lose the tree, and none is needed beyond.</summary>
    private void AddLost(long lost)
    {
        for (long i = Math.Max(lost - 2, 0); i < lost; i++)
        {
            group.Add(new GroupMember { Place = here, Position = size + i }, default);
        }

        size += lost;
    }

    /// <summary>The current line is entry number <see cref="size"/>.</summary>
    private void Join(in LineRecord line, ReadOnlySpan<byte> leaf, bool gap, EntryFlaw flaw)
    {
        var flags = MemberFlags.Read | MemberFlags.Entry;
        ReadOnlySpan<byte> text = default, type = default;
        if (line.OfLedger)
        {
            text = chunk.Line(at);
            _ = parser.Parse(text);
            type = parser.Text(text, "type"u8);
            flags |= type.SequenceEqual("ledger.epoch"u8) ? MemberFlags.Rotation : type.SequenceEqual("ledger.genesis"u8) ? MemberFlags.Genesis
                : type.SequenceEqual("ledger.clock"u8) ? MemberFlags.Clock : MemberFlags.None;
        }

        group.Add(new GroupMember { Place = here, Flags = flags, Position = size, Epoch = line.Epoch, Boot = line.Boot, Mono = line.Mono }, leaf);
        size++;
        if ((flags & (MemberFlags.Rotation | MemberFlags.Genesis)) != 0)
        {
            TakeKeys(text, leaf, (flags & MemberFlags.Genesis) != 0);
        }

        flaw |= TakeOrigin(line);
        FindEpoch(line.Epoch - ((flags & MemberFlags.Rotation) != 0 ? 1 : 0), gap);
        flaw |= line.HasScope ? CountScope(line) : EntryFlaw.None;
        if (flaw != EntryFlaw.None)
        {
            group.Flaw(flaw);
        }

        leaf.CopyTo(last);
        (lastKnown, unread, batchSlack, unreadEpoch, segmentMissing, unplaced) = (true, 0, 0, false, false, false);
        chunk.Recorded(at).CopyTo(lastTime);
        FirstTime ??= System.Text.Encoding.ASCII.GetString(lastTime);
        Observe(line, text, type);
    }

    private EntryFlaw CountScope(in LineRecord line)
    {
        if (!scopes.TryNext(line.Scope, out long due, out long lossesThen))
        {
            (due, lossesThen) = (scopesFromAnywhere || scopes.Full ? line.ScopeSeq : 0, 0);
        }

        scopes.Count(line.Scope, line.ScopeSeq + 1, losses);
        return line.ScopeSeq != due && (lossesThen == losses || line.ScopeSeq < due) ? EntryFlaw.Scope : EntryFlaw.None;
    }

    /// <summary>An entry of a part of which only the hash is there: the chain and the tree go through it.</summary>
    private void AddWithheld(ReadOnlySpan<byte> leaf)
    {
        Settle();
        Withheld++;
        if (size == 0)
        {
            Findings.Add(AtLine(Verdict.KeyViolation, "genesis is withheld (K2).", 0, 0));
        }

        if (unread > 0 && !unplaced)
        {
            group.Add(new GroupMember { Place = here, Position = size }, default); // nothing here says what the malformed line was
        }

        unplaced = unread > 0;
        group.Add(new GroupMember { Place = here, Flags = MemberFlags.Read, Position = size }, leaf);
        leaf.CopyTo(last);
        lastKnown = true;
        size++;
        LoseTime();
    }

    private void ReadCheckpoint(NoteRecord note)
    {
        if (group.IsEmpty)
        {
            Settle();
            Findings.Add(AtLine(Verdict.Altered, "a checkpoint line without entries before it.", -1, -1));
            return;
        }

        long signed = note.Checkpoint?.Size ?? 0;
        if (signed > size && signed - size <= 2L * unread)
        {
            AddLost(signed - size); // malformed lines stood for them
            lastKnown = false;
        }

        Close(note);
        (batchSlack, unread, unplaced) = (unread, 0, false);
    }

    private void Close(NoteRecord? note)
    {
        Settle();
        (group.Note, group.NotePlace, group.End, group.Batch) = (note, here, size, batch);
        (closed, group, spare) = (group, spare, null!);
        group.Begin(size);
        batch++;
        if (note is not null && closed.Plain && !treeLost && Reaches(closed, HashChoice.Own))
        {
            Settle(default, known: false, reached: true); // what the next entry says of it can only accuse the next entry
        }
    }

    /// <summary>A group never spans segments.</summary>
    private void EndSegment()
    {
        if (group.Count > 0 && !group.Damaged)
        {
            Findings.Add(LineGroup.About(here, Verdict.Altered, "these entries are not closed by a checkpoint line.", group.Start, size - 1));
        }

        if (group.Count > 0 && unread == 0)
        {
            Close(null);
        }
    }

    private void Settle() => Settle(default, known: false);

    /// <summary>Root, signatures and rules K1 to K5 of the closed group.</summary>
    /// <param name="claim">What the entry after it names for its last entry.</param>
    /// <param name="reached">Its own lines have just been found to have the signed root.</param>
    private void Settle(ReadOnlySpan<byte> claim, bool known, bool reached = false)
    {
        if (closed is not { } held)
        {
            return;
        }

        closed = null;
        if (known)
        {
            held.Claim(claim, same: false);
        }

        bool startLost = treeLost;
        bool matches = Recompute(held, reached, out var choice);
        bool intact = matches;
        for (int i = 0; i < held.Count && !held.Plain; i++)
        {
            changedBefore |= matches && held.Is(i, MemberFlags.Read) && held.TakesOther(i, choice);
            intact &= held.Is(i, MemberFlags.Read) && !held.TakesOther(i, choice);
        }

        if (changedBefore)
        {
            scopes.Clear(); // what changed lines say is not counted on
            scopesFromAnywhere = true;
        }

        Conclude(held, matches, intact, startLost || !(reached || held.IsComplete()), choice);
        sources?.Confirm();
        spare = held;
    }

    /// <summary>Entries that are not what the entry after them names; with a root that is reached it is known which of the two was changed.</summary>
    private void ReportBreaks(LineGroup held, HashChoice choice)
    {
        for (int i = 0; i < held.Count && !held.Plain; i++)
        {
            if (held.Is(i, MemberFlags.Read | MemberFlags.Differs))
            {
                Findings.Add(held.TakesOther(i, choice)
                    ? held.About(i, Verdict.Altered, "the line was changed: its hash is not the one that the next entry names.")
                    : i + 1 < held.Count ? held.About(i + 1, Verdict.Altered, "prev_hash is not the hash of the entry before.")
                    : AtLine(Verdict.Altered, "prev_hash is not the hash of the entry before.", held.End, held.End));
            }
        }
    }

    private static readonly (EntryFlaw Flaw, string Sentence)[] Sentences =
    [
        (EntryFlaw.Chain, "prev_hash is not the hash of the entry before."), (EntryFlaw.Seq, "seq is not the entry's place."),
        (EntryFlaw.Batch, "batch is not the number of this group: groups were merged, split, removed or added."), (EntryFlaw.Log, "log names another ledger."),
        (EntryFlaw.Scope, "scope_seq does not follow the scope's last number."),
    ];

    /// <summary>Flaws of lines that were not changed, and that do not follow from one that was: only the changed line is accused.</summary>
    /// <param name="last">The last line is accused already.</param>
    private void ReportFlaws(LineGroup held, HashChoice choice, bool last)
    {
        if (!held.AnyFlaw)
        {
            return;
        }

        for (int i = 0; i < held.Count - (last ? 1 : 0); i++)
        {
            if (changedBefore && (held.TakesOther(i, choice) || (i > 0 && held.TakesOther(i - 1, choice))))
            {
                continue;
            }

            foreach (var (flaw, sentence) in Sentences)
            {
                if ((held[i].Flaws & flaw) != 0 && !(changedBefore && flaw == EntryFlaw.Scope))
                {
                    Findings.Add(held.About(i, Verdict.Altered, sentence));
                }
            }
        }
    }

    /// <summary>
    /// The tree after the group: with the lines as they stand, else with the hashes that following entries name. False when none gives the signed root.
    /// </summary>
    private bool Recompute(LineGroup held, bool reached, out HashChoice choice)
    {
        choice = HashChoice.Traced;
        beforeLost = treeLost;
        if (treeLost)
        {
            held.Trace();
            return false;
        }

        bool complete = reached || held.IsComplete();
        if (reached || (held.Note is not null && complete && Reaches(held, HashChoice.Own)))
        {
            choice = HashChoice.Own;
            (tree, before) = (before, tree);
            return true;
        }

        held.Trace();
        foreach (var other in (ReadOnlySpan<HashChoice>)[HashChoice.Traced, HashChoice.Claimed])
        {
            if (held.Note is not null && complete && Reaches(held, other))
            {
                choice = other;
                (tree, before) = (before, tree);
                return true;
            }
        }

        if (complete)
        {
            Grow(held, HashChoice.Traced);
            (tree, before) = (before, tree);
        }
        else
        {
            before.CopyFrom(tree);
            treeLost = true;
        }

        return false;
    }

    /// <summary>Whether the group's lines, taken so, have the size and root of its checkpoint line; <see cref="before"/> then holds that tree.</summary>
    private bool Reaches(LineGroup held, HashChoice choice)
    {
        if (held.Note!.Checkpoint is not { } checkpoint || checkpoint.Size != tree.Size + held.Count)
        {
            return false;
        }

        Grow(held, choice);
        Span<byte> root = stackalloc byte[32];
        before.Root(root);
        return root.SequenceEqual(checkpoint.Root);
    }

    private void Grow(LineGroup held, HashChoice choice)
    {
        before.CopyFrom(tree);
        for (int i = 0; i < held.Count; i++)
        {
            before.Append(held.Hash(i, choice));
        }
    }

    /// <summary>The group was signed as it stands: the log can go on from here.</summary>
    private void Snapshot(string name, long offset, byte[] root)
    {
        (valid.Segment, valid.Offset, valid.Size, valid.Batch, valid.Epoch, valid.Root) = (name, offset, size, batch, Epoch, root);
        last.CopyTo(valid.Previous, 0);
        valid.Frontier.CopyFrom(tree);
    }
}
