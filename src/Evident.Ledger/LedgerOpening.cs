using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// Birth and start of a ledger. Everything is looked at before anything is changed; what is changed is changed in an order in which a
/// crash at any point leaves a state that the next start finishes:
/// <list type="number">
/// <item>directories; identity seed in <c>ledger-identity.new</c>; seed of epoch 1;</item>
/// <item>segment 0 with the genesis group (one write, one fdatasync);</item>
/// <item>published checkpoint of size 1, <c>genesis.note</c>, <c>head.a</c>;</item>
/// <item><c>ledger-identity.key</c>, then <c>ledger-identity.new</c> removed: from here on the ledger was born, and a missing segment
/// or head store is a loss that is refused, never a reason to begin again.</item>
/// </list>
/// Before step 4 nothing was acknowledged to anyone, so an unfinished segment 0 is written anew with the same keys.
/// </summary>
internal static class LedgerOpening
{
    public static LedgerLog Open(LedgerOptions options, LedgerResume? hint, LedgerHead? floor, IClock clock, out LedgerRecovery recovery)
    {
        var keys = new KeyFiles(options.KeysDirectory);
        if (!File.Exists(keys.Identity))
        {
            return Create(options, keys, floor, clock, out recovery);
        }

        using var seed = KeyFiles.Read(keys.Identity);
        using var probe = new SigningKey("probe", seed);
        string origin = LedgerFormat.OriginOf(probe.Public.PublicKey);
        var identity = new SigningKey(origin, seed);
        try
        {
            return Start(options, keys, identity, hint, floor, clock, out recovery);
        }
        catch
        {
            identity.Dispose();
            throw;
        }
    }

    private static LedgerLog Create(LedgerOptions options, KeyFiles keys, LedgerHead? floor, IClock clock, out LedgerRecovery recovery)
    {
        string segment = Path.Combine(options.Directory, LedgerFormat.SegmentName(0));
        bool begun = File.Exists(keys.UnbornIdentity);
        if (floor is { Size: > 0 })
        {
            throw new LedgerStateException($"another store remembers a ledger of {floor.Size} entries, but '{keys.Identity}' is missing. Restore the key directory.");
        }

        bool others = (Directory.Exists(options.Directory) && Directory.EnumerateFiles(options.Directory).Any())
            || (Directory.Exists(options.KeysDirectory) && keys.Epochs().Count > 0);
        if (!begun && others)
        {
            throw new LedgerStateException($"'{options.Directory}' or its key directory holds a ledger, but the identity key '{keys.Identity}' is missing. Restore the key directory.");
        }

        foreach (string directory in (string[])[options.KeysDirectory, options.Directory, .. Subdirectories(options.Directory)])
        {
            DurableDirectory.Create(directory);
        }

        var identitySeed = Seed(keys.UnbornIdentity, options);
        var epochSeed = Seed(keys.Epoch(1), options);
        using (identitySeed)
        using (epochSeed)
        using (var probe = new SigningKey("probe", identitySeed))
        {
            string origin = LedgerFormat.OriginOf(probe.Public.PublicKey);
            var identity = new SigningKey(origin, identitySeed);
            var epochKey = new SigningKey(LedgerFormat.EpochKeyName(origin, 1), epochSeed);
            foreach (string stale in (string[])[segment, Path.Combine(options.Directory, "head.a"), Path.Combine(options.Directory, "genesis.note"),
                Path.Combine(options.Directory, "checkpoints", LedgerFormat.PublishedName(1))])
            {
                DurableDirectory.Remove(stale); // of an unfinished birth: nothing rests on it
            }

            var heads = new HeadStore(options.Directory);
            var start = new LedgerStart(new MerkleFrontier(), new byte[32], 0, 1, 0, 0, new Dictionary<string, long>(), [], null, 0);
            var log = new LedgerLog(options, clock, keys, heads, identity, epochKey, start);
            log.WriteGenesis(Genesis(options, origin, identity, epochKey, clock));
            log.Publish();
            KeyFiles.Write(keys.Identity, identitySeed);
            DurableDirectory.Shred(keys.UnbornIdentity);
            recovery = new LedgerRecovery(true, true, 0, null, log.Head.Size);
            return log;
        }
    }

    private static EntryDraft Genesis(LedgerOptions options, string origin, SigningKey identity, SigningKey epochKey, IClock clock) =>
        LedgerLog.OwnEntry(origin, "ledger.genesis", 0, clock, b => b.Set("genesis", g => g
            .Set("identity_key", "ed25519:" + Convert.ToHexStringLower(identity.Public.PublicKey))
            .Set("epoch_key", "ed25519:" + Convert.ToHexStringLower(epochKey.Public.PublicKey))
            .Set("custody", "file")
            .Set("epoch_entries", options.EpochEntries)
            .Set("epoch_ms", options.EpochMillis)));

    private static string[] Subdirectories(string directory) =>
        [Path.Combine(directory, "checkpoints"), Path.Combine(directory, "anchors"), Path.Combine(directory, "quarantine")];

    private static SecretBytes Seed(string path, LedgerOptions options)
    {
        if (File.Exists(path))
        {
            return KeyFiles.Read(path);
        }

        var seed = options.NewSeed();
        KeyFiles.Write(path, seed);
        return seed;
    }

    private static LedgerLog Start(
        LedgerOptions options, KeyFiles keys, SigningKey identity, LedgerResume? hint, LedgerHead? floor, IClock clock, out LedgerRecovery recovery)
    {
        if (!Directory.Exists(options.Directory))
        {
            throw new LedgerStateException($"the ledger directory '{options.Directory}' is missing, though this ledger was born. Restore it, or accept the loss on purpose.");
        }

        var files = LedgerFiles.List(options.Directory);
        if (File.Exists(Path.Combine(options.Directory, LedgerFiles.PendingIncarnation)))
        {
            throw new LedgerStateException("the acceptance of a lost history was begun and not finished; run `evident ledger accept-incarnation` again.");
        }

        var heads = new HeadStore(options.Directory);
        heads.Load(identity.Public);
        var head = heads.Newest ?? throw new LedgerStateException($"the head store of '{options.Directory}' is missing, though this ledger was born.");

        // 1 look
        var pass = new LedgerPass(options.Directory);
        var signed = new Dictionary<long, byte[]> { [0] = Merkle.EmptyRoot };
        pass.OnSigned = (size, root) => Remember(signed, size, root, head.Size, floor?.Size);
        SignedNote? lastNote = Scan(options, keys, identity, files, pass, hint, head);
        Refuse(files, pass, identity);
        Compare(options.Directory, signed, pass, head.Size, head.Root, "the head store");
        if (floor is not null)
        {
            Compare(options.Directory, signed, pass, floor.Size, floor.Root, "another store");
        }

        if (files.Published.Count > 0 && files.Published[^1].Size > pass.Size)
        {
            throw RolledBack(pass.Size, files.Published[^1].Size, "checkpoints/");
        }

        var epochKey = EpochKey(keys, pass);
        var pending = files.Quarantined.Where(q => IsPending(q, head.Size) && !pass.Recovered.Contains(q)).ToList();
        bool clean = pass.Torn is null && pending.Count == 0 && head.Size == pass.Size;
        lastNote ??= Note(options.Directory, pass.Size);
        var start = Place(options, files, pass, lastNote.Signatures, clock);

        // 2 change: from here on a crash leaves what the next start finds and finishes
        Tidy(options, keys, pass.Epoch);
        if (pass.Torn is { } torn)
        {
            string moved = Quarantine(options.Directory, torn, pass.Size);
            if (!pending.Contains(moved))
            {
                pending.Add(moved);
            }
        }

        if (!clean)
        {
            start = Renew(options, start, pass);
        }

        var log = new LedgerLog(options, clock, keys, heads, identity, epochKey, start);
        long bytes = 0;
        bool keyLost = epochKey is null;
        if (!clean || keyLost)
        {
            var found = log.Head;
            log.Rotate("unclean_start");
            foreach (string? name in clean ? [] : pending.Count == 0 ? [null] : pending.Cast<string?>())
            {
                bytes += Record(log, options.Directory, found, name);
            }

            log.Publish();
        }

        recovery = new LedgerRecovery(false, clean, bytes, pending.Count > 0 ? pending[^1] : null, log.Head.Size, keyLost);
        return log;
    }

    /// <summary>What a crash may have left: directories that are missing, keys of other epochs, an unfinished copy of the last segment.</summary>
    internal static void Tidy(LedgerOptions options, KeyFiles keys, long epoch)
    {
        foreach (string directory in Subdirectories(options.Directory))
        {
            DurableDirectory.Create(directory);
        }

        DurableDirectory.Shred(keys.UnbornIdentity);
        foreach (long number in keys.Epochs())
        {
            if (number != epoch)
            {
                DurableDirectory.Shred(keys.Epoch(number)); // below: step 3 of a rotation; above: step 1 of one that signed nothing
            }
        }

        foreach (string unfinished in Directory.EnumerateFiles(options.Directory, "*" + LedgerFormat.SegmentSuffix + ".tmp"))
        {
            DurableDirectory.Remove(unfinished);
        }
    }

    /// <summary>
    /// After a stop that was not clean the active segment is written anew up to its last valid checkpoint line: what the page cache shows after a
    /// failed sync need not be on the disk. A sealed segment was synced before it was sealed.
    /// </summary>
    internal static LedgerStart Renew(LedgerOptions options, LedgerStart start, LedgerPass pass)
    {
        if (start.ActiveSegment is not { } name)
        {
            return start;
        }

        long length = pass.Torn is { } torn && torn.Segment == name ? torn.Offset : start.ActiveLength;
        DurableDirectory.Rewrite(Path.Combine(options.Directory, name), length);
        return start with { ActiveLength = length };
    }

    /// <summary>
    /// Reads the ledger, from the hint on when that can be trusted: its size and root are the head that the identity key signed, its
    /// frontier leads to that root, its last entry is on disk, and the epoch of that size is still the one we hold the key of.
    /// </summary>
    private static SignedNote? Scan(
        LedgerOptions options, KeyFiles keys, SigningKey identity, LedgerFiles files, LedgerPass pass, LedgerResume? hint, Checkpoint head)
    {
        if (hint is null || hint.Size != head.Size || !hint.Root.AsSpan().SequenceEqual(head.Root)
            || MerkleFrontier.FromHashes(hint.Size, hint.Frontier) is not { } tree || !tree.Root().AsSpan().SequenceEqual(head.Root)
            || LedgerReader.Locate(options.Directory, hint.Size) is not { } at || LedgerFormat.HashText(at.LastEntryHash) != hint.LastEntryHash
            || !SignedNote.TryParse(at.Note, out var note, out _) || !note.Text.AsSpan().SequenceEqual(head.Encode()))
        {
            pass.Run(files.Segments);
            return null;
        }

        string name = note.Signatures[^1].Name;
        string prefix = LedgerFormat.EpochKeyName(identity.Public.Name, 0)[..^1];
        if (!name.StartsWith(prefix, StringComparison.Ordinal)
            || !long.TryParse(name.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long epoch) || !File.Exists(keys.Epoch(epoch)))
        {
            pass.Run(files.Segments);
            return null;
        }

        using var seed = KeyFiles.Read(keys.Epoch(epoch));
        using var key = new SigningKey(name, seed);
        if (!key.Public.Verifies(note.Signatures[^1], note.Text))
        {
            pass.Run(files.Segments);
            return null;
        }

        pass.StartAt(hint, tree, identity.Public.Name, identity.Public, epoch, key.Public, at.Segment, at.OffsetAfter);
        pass.Run([.. files.Segments.Where(s => s.First >= at.Segment.First)], at.OffsetAfter);
        return pass.Size == hint.Size ? note : null;
    }

    private static void Remember(Dictionary<long, byte[]> signed, long size, byte[] root, long head, long? floor)
    {
        if (size == head || size == floor)
        {
            signed[size] = root;
        }
    }

    internal static void Refuse(LedgerFiles files, LedgerPass pass, SigningKey identity)
    {
        var worst = files.Findings.Concat(pass.Findings).Where(f => f.Code >= Verdict.RolledBack).MinBy(f => ((List<int>)[.. Verdict.Order]).IndexOf(f.Code));
        if (worst is not null)
        {
            throw new LedgerStateException(string.Create(
                CultureInfo.InvariantCulture,
                $"{Verdict.Word(worst.Code)}: {worst.Segment}{(worst.Line > 0 ? $", line {worst.Line}" : "")}: {worst.Sentence} Nothing was moved or signed; run `evident verify`."));
        }

        if (pass.Origin != identity.Public.Name)
        {
            throw new LedgerStateException($"the ledger is that of '{pass.Origin}', the identity key that of '{identity.Public.Name}'.");
        }
    }

    private static LedgerStateException RolledBack(long size, long known, string store) => new(
        $"ROLLED-BACK: the ledger ends at {size} entries, {store} knows {known}. Entries were lost or an old copy was restored; nothing was signed.");

    private static void Compare(string directory, Dictionary<long, byte[]> signed, LedgerPass pass, long size, byte[] root, string store)
    {
        if (size > pass.Size)
        {
            throw RolledBack(pass.Size, size, store);
        }

        byte[]? own = signed.GetValueOrDefault(size);
        if (own is null && LedgerReader.CheckpointAt(directory, size) is { } text
            && SignedNote.TryParse(Encoding.UTF8.GetBytes(text), out var note, out _) && Checkpoint.TryParse(note.Text, out var checkpoint))
        {
            own = checkpoint.Root; // before the place where the hint let the scan begin
        }

        if (own is null || !own.AsSpan().SequenceEqual(root))
        {
            throw new LedgerStateException($"FORKED: at {size} entries the ledger's root is not the one that {store} remembers. Nothing was signed.");
        }
    }

    /// <summary>Null when the key file is gone: the identity key then opens the next epoch.</summary>
    internal static SigningKey? EpochKey(KeyFiles keys, LedgerPass pass)
    {
        string path = keys.Epoch(pass.Epoch);
        if (!File.Exists(path))
        {
            return null;
        }

        using var seed = KeyFiles.Read(path);
        var key = new SigningKey(LedgerFormat.EpochKeyName(pass.Origin, pass.Epoch), seed);
        if (!pass.EpochKeys.TryGetValue(pass.Epoch, out var known) || !known.PublicKey.AsSpan().SequenceEqual(key.Public.PublicKey))
        {
            key.Dispose();
            throw new LedgerStateException($"'{path}' is not the key that the ledger names for epoch {pass.Epoch}.");
        }

        return key;
    }

    internal static SignedNote Note(string directory, long size) =>
        LedgerReader.Locate(directory, size) is { } place && SignedNote.TryParse(place.Note, out var note, out _)
            ? note
            : throw new LedgerStateException($"the checkpoint line of size {size} cannot be found again in '{directory}'.");

    /// <summary>The name of a quarantined tail starts with the size at which it was cut off.</summary>
    private static bool IsPending(string name, long headSize) =>
        name.EndsWith(".torn", StringComparison.Ordinal) && long.TryParse(name.AsSpan(0, 20), NumberStyles.None, CultureInfo.InvariantCulture, out long size) && size >= headSize;

    /// <summary>
    /// Copies the torn tail away (durable); <see cref="Renew"/> then writes the segment anew without it. The name follows from size and content, so
    /// that a crash in between makes the same file again.
    /// </summary>
    internal static string Quarantine(string directory, TornTail torn, long size)
    {
        string path = Path.Combine(directory, torn.Segment);
        byte[] bytes = new byte[torn.Length];
        using var file = DurableFile.OpenRead(path);
        _ = file.ReadAt(torn.Offset, bytes);
        string name = string.Create(CultureInfo.InvariantCulture, $"{size:D20}-{Convert.ToHexStringLower(SHA256.HashData(bytes))[..16]}.torn");
        DurableDirectory.ReplaceFile(Path.Combine(directory, "quarantine", name), bytes);
        return name;
    }

    internal static long Record(LedgerLog log, string directory, LedgerHead found, string? quarantined)
    {
        byte[] bytes = quarantined is null ? [] : File.ReadAllBytes(Path.Combine(directory, "quarantine", quarantined));
        log.Append([log.OwnEntry("ledger.recovery", log.Head.Size, b => b.Set("recovery", r =>
        {
            r.Set("prior_head", h => h.Set("size", found.Size).Set("root", LedgerFormat.HashText(found.Root)));
            r.Set("quarantined_bytes", bytes.Length);
            if (quarantined is not null)
            {
                r.Set("quarantine_file", quarantined).Set("quarantined_sha256", LedgerFormat.HashText(SHA256.HashData(bytes)));
            }
        }))]);
        return bytes.Length;
    }

    internal static LedgerStart Place(
        LedgerOptions options, LedgerFiles files, LedgerPass pass, IReadOnlyList<NoteSignature> signatures, IClock clock)
    {
        var last = files.Segments[^1];
        string path = Path.Combine(options.Directory, last.Name);
        bool writable = (File.GetAttributes(path) & FileAttributes.ReadOnly) == 0; // a sealed one is followed by the next
        var opened = LedgerReader.FirstOfEpoch(options.Directory, pass.Epoch, pass.Size);
        var parser = new Lj1Parser();
        _ = parser.Parse(opened.Json.Span);
        bool sameBoot = Encoding.ASCII.GetString(parser.Text(opened.Json.Span, "boot"u8)) == clock.BootId;
        _ = Rfc3339.TryParseMillis(Encoding.ASCII.GetString(parser.Text(opened.Json.Span, "recorded"u8)), out long recorded);
        long age = sameBoot ? clock.MonotonicMillis - parser.Integer(opened.Json.Span, "mono"u8) : Math.Max(0, clock.UnixMillis - recorded);
        return new LedgerStart(
            pass.Valid.Frontier, pass.Valid.Previous, pass.Valid.Batch, pass.Epoch, opened.Seq, age, pass.ScopeSeq, signatures,
            writable ? last.Name : null, new FileInfo(path).Length, LastReading(options.Directory, pass.Size));
    }

    /// <summary>
    /// Both clocks when the log last wrote an entry of its own, which is stamped at the moment of append; else those of the last entry. A clean stop ends with
    /// such an entry; a replay of an outbox may have written older ones behind it.
    /// </summary>
    private static ClockReading? LastReading(string directory, long size)
    {
        const int Window = 512;
        var parser = new Lj1Parser();
        ClockReading? reading = null;
        bool own = false;
        foreach (var line in LedgerReader.Read(directory, Math.Max(0, size - Window), Window, size))
        {
            _ = parser.Parse(line.Json.Span);
            bool self = parser.Text(line.Json.Span, "type"u8).StartsWith("ledger."u8);
            if ((self || !own) && Rfc3339.TryParseMillis(Encoding.ASCII.GetString(parser.Text(line.Json.Span, "recorded"u8)), out long wall))
            {
                own |= self;
                reading = new ClockReading(Encoding.ASCII.GetString(parser.Text(line.Json.Span, "boot"u8)), wall, parser.Integer(line.Json.Span, "mono"u8));
            }
        }

        return reading;
    }
}
