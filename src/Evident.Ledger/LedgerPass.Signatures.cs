namespace Evident.Ledger;

internal sealed partial class LedgerPass
{
    /// <summary>
    /// Rules K1 to K3: a checkpoint line is signed by the key of the current epoch and by nothing else; the group of a rotation entry
    /// by the old key (or, when that was lost, the identity key) and then the new one.
    /// </summary>
    private Signed Judge(NoteRecord read, SignedNote note, bool sameRoot, out int code, out string why)
    {
        (code, why) = (Verdict.KeyViolation, "");
        bool genesis = group.HasGenesis && group.FirstSeq == 0;
        bool rotation = group.Count == 1 && group.RotationKey is not null;
        bool maybe = group.Count == 1 && group.AnyMalformed && note.Signatures.Count == 2;
        string current = LedgerFormat.EpochKeyName(Origin, Epoch), following = LedgerFormat.EpochKeyName(Origin, Epoch + 1);
        string opener = rotation && group.RotationReason == "key_lost" ? Origin : current;
        string[] names = rotation || maybe ? [opener, following] : [current];
        if (note.Signatures.Count < names.Length)
        {
            why = $"it lacks the signature of {names[^1]}.";
            return Signed.Invalid;
        }

        if (note.Signatures.Count > names.Length || (names.Length == 2 && note.Signatures[0].Name == names[1] && note.Signatures[1].Name == names[0]))
        {
            (code, why) = (Verdict.Malformed, "its signature lines are not exactly those of this format in their order.");
            return Signed.Invalid;
        }

        for (int i = 0; i < names.Length; i++)
        {
            if (note.Signatures[i].Name != names[i])
            {
                bool closed = EpochKeys.Keys.Any(e => e < Epoch && LedgerFormat.EpochKeyName(Origin, e) == note.Signatures[i].Name);
                why = $"it is signed by '{note.Signatures[i].Name}'{(closed ? ", a closed epoch (K3)" : "")}; {names[i]} was due.";
                return Signed.Invalid;
            }
        }

        var key = opener == Origin ? Identity : EpochKeys.GetValueOrDefault(Epoch);
        if (key is null)
        {
            why = $"no entry introduced the key of epoch {Epoch} (K2).";
            return epochsUnsure || maybe ? Signed.Unknown : Signed.Invalid;
        }

        if (!read.FirstIsBy(key))
        {
            if (genesis && !sameRoot && !key.Matches(note.Signatures[0]))
            {
                return Signed.EntryDamaged; // entry 0 brings the key: key id and root agree that the entry is not the signed one
            }

            why = $"the signature of {names[0]} is not valid for its text.";
            return Signed.Invalid;
        }

        if (rotation && sameRoot && !new NoteKey(following, group.RotationKey).Verifies(note.Signatures[1], note.Text))
        {
            why = $"the signature of {following} is not valid for its text (K2).";
            return Signed.Invalid;
        }

        return Signed.Valid;
    }

    /// <summary>
    /// Moves on to the next epoch when this group opened one. The new key is taken when the entry that brings it is the signed one
    /// or when it signed this checkpoint itself; else the epoch goes on without a key to check against.
    /// </summary>
    private void AdoptRotation(SignedNote? note, bool entryTrusted)
    {
        bool rotation = group.Count == 1 && group.RotationKey is not null;
        bool maybe = group.Count == 1 && group.AnyMalformed && note is { Signatures.Count: 2 };
        if (group.HasGenesis && group.FirstSeq == 0 && !entryTrusted && note is not null
            && !(EpochKeys.TryGetValue(1, out var first) && first.Verifies(note.Signatures[0], note.Text)))
        {
            if (first is null || !first.Matches(note.Signatures[0]))
            {
                EpochKeys.Remove(1);
                epochsUnsure = true;
            }
        }

        if (!rotation && !maybe)
        {
            return;
        }

        Epoch++;
        epochFirstSeq = group.FirstSeq;
        string name = LedgerFormat.EpochKeyName(Origin, Epoch);
        var key = rotation ? new NoteKey(name, group.RotationKey) : null;
        if (key is not null && (entryTrusted || (note is { Signatures.Count: 2 } && key.Matches(note.Signatures[1]))))
        {
            EpochKeys[Epoch] = key;
            List(new EpochSummary(
                Epoch, group.FirstSeq, group.Custody, "ed25519:" + Convert.ToHexStringLower(key.PublicKey), group.RotationReason));
        }
        else
        {
            EpochKeys.Remove(Epoch);
            List(new EpochSummary(Epoch, group.FirstSeq, "unknown", "", "unknown"));
            epochsUnsure = true;
        }

        void List(EpochSummary epoch)
        {
            if (Epochs.Count == 0 || epoch.Number > Epochs[^1].Number)
            {
                if (Epochs.Count == MaxEpochs)
                {
                    Epochs.RemoveAt(0);
                }

                Epochs.Add(epoch); // a repeated segment opens nothing new
                EpochKeys.Remove(epoch.Number - MaxEpochs);
            }
        }
    }
}
