using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evident.Platform;

namespace Evident.Ledger;

/// <summary>
/// The one writer of a ledger. Not thread safe: the writer thread owns it, and the caller holds the lock of the data directory.
/// Everything it returns is durable. After any error in a write, a sync or a self-check it is poisoned: every later call throws
/// <see cref="LedgerPoisonedException"/>, because only a new start can tell what is on the disk.
/// </summary>
public sealed class LedgerLog : IDisposable
{
    private readonly LedgerOptions options;
    private readonly IClock clock;
    private readonly KeyFiles keys;
    private readonly HeadStore heads;
    private readonly SigningKey identity;
    private readonly GroupWriter writer = new();
    private readonly MerkleFrontier frontier = new();
    private readonly MerkleFrontier next = new();
    private readonly byte[] lastHash = new byte[32];
    private readonly Dictionary<string, long> scopeSeq;
    private readonly long[] openedAt = new long[2]; // first seq and monotonic time of the current epoch, as far as this run knows
    private SigningKey? epochKey; // null only between a start that found no key of the current epoch and the rotation that replaces it
    private ClockReading? seen;
    private ClockReading? stamp; // of the group that is written: one reading decides about a rotation and stands in the entries, or a process that sleeps in between would write an epoch that is too old
    private IReadOnlyList<NoteSignature> headSignatures;
    private ISegmentFile? active;
    private long activeLength;
    private long nextBatch;
    private Exception? poison;
    private bool closed;

    internal LedgerLog(LedgerOptions options, IClock clock, KeyFiles keys, HeadStore heads, SigningKey identity, SigningKey? epochKey, LedgerStart start)
    {
        (this.options, this.clock, this.keys, this.heads, this.identity, this.epochKey) = (options, clock, keys, heads, identity, epochKey);
        frontier.CopyFrom(start.Frontier);
        start.LastHash.CopyTo(lastHash, 0);
        scopeSeq = new Dictionary<string, long>(start.ScopeSeq, StringComparer.Ordinal);
        headSignatures = start.Signatures;
        seen = start.Seen;
        nextBatch = start.NextBatch;
        Epoch = checked((int)start.Epoch);
        Head = new LedgerHead(frontier.Size, frontier.Root());
        (openedAt[0], openedAt[1]) = (start.EpochFirstSeq, clock.MonotonicMillis - start.EpochAgeMillis);
        if (start.ActiveSegment is { } name)
        {
            active = options.Wrap(DurableFile.OpenAppend(Path.Combine(options.Directory, name)));
            activeLength = start.ActiveLength;
        }
    }

    /// <summary>
    /// Opens the ledger, creating it when it was never there, and finishes whatever a crash interrupted (docs/ledger-format.md,
    /// "Start"). After a stop that was not clean a new epoch is opened and a <c>ledger.recovery</c> entry written.
    /// </summary>
    /// <param name="floor">Newest head that another store remembers: less than it, or another root, is a rollback.</param>
    /// <exception cref="LedgerStateException">The files are not what the appliance left; nothing was moved, nothing signed.</exception>
    public static LedgerLog Open(LedgerOptions options, LedgerResume? hint, LedgerHead? floor, IClock clock, out LedgerRecovery recovery) =>
        LedgerOpening.Open(options, hint, floor, clock, out recovery);

    public string Origin => identity.Public.Name;

    /// <summary>The newest durable size and its root.</summary>
    public LedgerHead Head { get; private set; }

    /// <summary>Verifier key of the identity: what an auditor or a witness pins.</summary>
    public string IdentityVerifierKey => identity.Public.ToVerifierKey();

    public int Epoch { get; private set; }

    /// <summary>The newest published head, or null before the first.</summary>
    public LedgerHead? Published => heads.Newest is { } newest ? new LedgerHead(newest.Size, newest.Root) : null;

    /// <summary>
    /// Appends the drafts in order and returns when they are durable: one write and one fdatasync per group. More than
    /// <see cref="LedgerOptions.MaxGroupEntries"/> drafts make several groups.
    /// </summary>
    public IReadOnlyList<AppendedEntry> Append(IReadOnlyList<EntryDraft> drafts)
    {
        var appended = new List<AppendedEntry>(drafts.Count);
        for (int start = 0; start < drafts.Count; start += options.MaxGroupEntries)
        {
            NoticeClock();
            int count = Math.Min(options.MaxGroupEntries, drafts.Count - start);
            RotateWhenDue(count);
            WriteGroup(drafts, start, count, null, null, appended);
        }

        return appended;
    }

    /// <summary>Appends one entry that the appliance writes about itself; its id follows from its place in the ledger.</summary>
    public AppendedEntry AppendOwn(string type, Action<Lj1ObjectBuilder> fields)
    {
        NoticeClock();
        RotateWhenDue(1);
        var appended = new List<AppendedEntry>(1);
        WriteGroup([OwnEntry(type, Head.Size, fields)], 0, 1, null, null, appended);
        return appended[0];
    }

    /// <summary>Ids of the entries from <paramref name="size"/> on: what an outbox replay must not append again.</summary>
    public HashSet<string> IdsSince(long size)
    {
        ThrowIfUnusable();
        var ids = new HashSet<string>(StringComparer.Ordinal);
        var parser = new Lj1Parser();
        for (long from = size; from < Head.Size; from += 65_536)
        {
            foreach (var line in LedgerReader.Read(options.Directory, from, 65_536, Head.Size))
            {
                _ = parser.Parse(line.Json.Span);
                ids.Add(Encoding.ASCII.GetString(parser.Text(line.Json.Span, "id"u8)));
            }
        }

        return ids;
    }

    /// <summary>Publishes the durable head under both keys; does nothing when it is published already.</summary>
    public void Publish()
    {
        ThrowIfUnusable();
        if (heads.Newest is { } newest && newest.Size == Head.Size)
        {
            return;
        }

        try
        {
            heads.Publish(new Checkpoint(Origin, Head.Size, Head.Root), headSignatures, identity);
        }
        catch (IOException e)
        {
            throw Poison(e, $"publishing the head of size {Head.Size}");
        }
    }

    /// <summary>
    /// The note of an export's manifest: the identity key's signature over the fixed text that names this ledger and the manifest's SHA-256 (docs/evidence.md,
    /// section 5). No other text is signed so.
    /// </summary>
    public byte[] SignManifest(ReadOnlySpan<byte> sha256)
    {
        ThrowIfUnusable();
        byte[] text = BundleManifest.NoteText(Origin, sha256);
        return SignedNote.Encode(text, [identity.Sign(text)]);
    }

    /// <summary>The hint for the next start. It is of use only for a published size: call <see cref="Publish"/> first.</summary>
    public LedgerResume Resume() => new(
        Head.Size, Head.Root, frontier.ToHashes(), LedgerFormat.HashText(lastHash), nextBatch, new Dictionary<string, long>(scopeSeq, StringComparer.Ordinal));

    /// <summary>Clean stop: publishes the head, so that the next start finds head store and ledger equal.</summary>
    public LedgerResume Close()
    {
        Publish();
        closed = true;
        active?.Dispose();
        active = null;
        return Resume();
    }

    public void Dispose()
    {
        closed = true;
        active?.Dispose();
        active = null;
        epochKey?.Dispose();
        identity.Dispose();
    }

    /// <summary>Opens the next epoch.</summary>
    /// <remarks>
    /// 1 the new key is durable in <c>keys/</c>: a crash here leaves an unused key, destroyed at the next start.
    /// 2 the rotation group, signed by both keys, is durable: a crash here leaves both keys, and the next start does step 3.
    /// 3 the old key is overwritten, unlinked, and its directory synced; from here on nobody can sign for the old epoch.
    /// Where the old key is gone, the identity key signs in its place (reason <c>key_lost</c>).
    /// </remarks>
    internal void Rotate(string reason)
    {
        ThrowIfUnusable();
        if (epochKey is not null)
        {
            NoticeClock();
        }
        else
        {
            stamp = ReadClock();
        }

        int number = Epoch + 1;
        try
        {
            SigningKey fresh;
            using (var seed = options.NewSeed())
            {
                KeyFiles.Write(keys.Epoch(number), seed);
                fresh = new SigningKey(LedgerFormat.EpochKeyName(Origin, number), seed);
            }

            var old = epochKey;
            var entry = OwnEntry("ledger.epoch", Head.Size, b => b.Set("rotation", r => r
                .Set("epoch_key", "ed25519:" + Convert.ToHexStringLower(fresh.Public.PublicKey))
                .Set("custody", "file")
                .Set("reason", old is null ? "key_lost" : reason)));
            WriteGroup([entry], 0, 1, old ?? identity, fresh, []);
            old?.Dispose();
            DurableDirectory.Shred(keys.Epoch(number - 1));
        }
        catch (IOException e)
        {
            throw Poison(e, $"opening epoch {number}");
        }
    }

    /// <summary>An entry that the log itself writes; its id follows from its place, so that a repeated attempt repeats it.</summary>
    internal EntryDraft OwnEntry(string type, long seq, Action<Lj1ObjectBuilder> fields) => OwnEntry(Origin, type, seq, clock, fields);

    internal static EntryDraft OwnEntry(string origin, string type, long seq, IClock clock, Action<Lj1ObjectBuilder> fields)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{origin}\n{type}\n{seq}");
        string id = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(name)))[..32];
        return EntryDraft.Create(type, id, b =>
        {
            b.Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis));
            fields(b);
        });
    }

    /// <summary>The group of entry 0; the epoch key is that of epoch 1.</summary>
    internal void WriteGenesis(EntryDraft entry)
    {
        stamp = seen = ReadClock();
        WriteGroup([entry], 0, 1, null, null, []);
    }

    /// <summary>
    /// Section 8 of the format, "Clock": a wall clock that left the monotonic one, or that is behind the last boot's, is on the record
    /// before anything that is stamped with it. Recording never stops because of time.
    /// </summary>
    private void NoticeClock()
    {
        ThrowIfUnusable();
        var now = ReadClock();
        var last = seen ?? now;
        bool sameBoot = last.Boot == now.Boot;
        long mono = sameBoot ? Math.Max(0, now.Mono - last.Mono) : 0, wall = now.Wall - last.Wall;
        stamp = seen = now;
        if (sameBoot ? Math.Abs(wall - mono) > LedgerFormat.ClockToleranceMillis : wall < 0)
        {
            var entry = OwnEntry("ledger.clock", Head.Size, b => b.Set("clock", c => c
                .Set("before", Rfc3339.FormatMillis(last.Wall)).Set("after", Rfc3339.FormatMillis(now.Wall)).Set("mono_delta_ms", mono)));
            WriteGroup([entry], 0, 1, null, null, []);
        }
    }

    /// <summary>
    /// Before a rotation that another entry must follow at once: a jump of the clock is told now. Without a key of the current epoch nothing can be told yet; the rotation, which is a
    /// note of its own, then shows the jump.
    /// </summary>
    internal void SettleClock()
    {
        if (epochKey is not null)
        {
            NoticeClock();
        }
        else
        {
            seen = ReadClock();
        }
    }

    private ClockReading ReadClock() => new(clock.BootId, clock.UnixMillis, clock.MonotonicMillis);

    private void RotateWhenDue(int count)
    {
        ThrowIfUnusable();
        bool full = Head.Size + count - openedAt[0] > options.EpochEntries && Head.Size > openedAt[0] + 1;
        if (full || stamp!.Mono - openedAt[1] > options.EpochMillis)
        {
            Rotate(full ? "entries" : "age");
        }
    }

    /// <param name="old">Set for a rotation group: signs before <paramref name="fresh"/>, which then becomes the epoch's key.</param>
    private void WriteGroup(
        IReadOnlyList<EntryDraft> drafts, int start, int count, SigningKey? old, SigningKey? fresh, List<AppendedEntry> appended)
    {
        ThrowIfUnusable();
        try
        {
            writer.Clear();
            next.CopyFrom(frontier);
            int epoch = fresh is null ? Epoch : Epoch + 1;
            var place = new GroupWriter.Place(Origin, stamp!.Boot, nextBatch, epoch, stamp.Mono);
            Span<byte> previous = stackalloc byte[32];
            lastHash.CopyTo(previous);
            var counted = new Dictionary<string, long>(StringComparer.Ordinal);
            for (int i = 0; i < count; i++)
            {
                var draft = drafts[start + i];
                long number = -1;
                if (draft.Scope is { } scope)
                {
                    number = counted.TryGetValue(scope, out long own) ? own : scopeSeq.GetValueOrDefault(scope);
                    counted[scope] = number + 1;
                }

                writer.Add(draft, place, frontier.Size + i, number, previous);
                next.Append(writer.Leaf(i));
                appended.Add(new AppendedEntry(frontier.Size + i, draft.Id, LedgerFormat.HashText(writer.Leaf(i))));
            }

            BeforeSigning?.Invoke(writer);
            writer.CheckLeaves();
            byte[] root = next.Root();
            byte[] text = Checkpoint.Encode(Origin, next.Size, root);
            NoteSignature[] signatures = fresh is null ? [epochKey!.Sign(text)] : [old!.Sign(text), fresh.Sign(text)];
            writer.AddCheckpoint(SignedNote.Encode(text, signatures));

            RollWhenFull(writer.Bytes.Length);
            active!.WriteAt(activeLength, writer.Bytes);
            active.SyncData(); // this is the commit point: before it nothing was acknowledged, after it everything may be

            activeLength += writer.Bytes.Length;
            frontier.CopyFrom(next);
            previous.CopyTo(lastHash);
            foreach (var (scope, number) in counted)
            {
                scopeSeq[scope] = number;
            }

            Head = new LedgerHead(next.Size, root);
            headSignatures = signatures;
            nextBatch++;
            if (fresh is not null)
            {
                epochKey = fresh;
                Epoch = epoch;
                (openedAt[0], openedAt[1]) = (Head.Size - 1, stamp.Mono);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LedgerPoisonedException)
        {
            throw Poison(e, $"appending {count} entries after entry {Head.Size - 1}");
        }
    }

    /// <summary>Test seam: sees the encoded group before it is checked and signed.</summary>
    internal Action<GroupWriter>? BeforeSigning { get; set; }

    /// <summary>
    /// A group never spans segments. The full segment is sealed (durable, 0444) before the next one exists; a crash in between leaves
    /// a sealed last segment, or an empty new one, and the next start goes on from either.
    /// </summary>
    private void RollWhenFull(int bytes)
    {
        if (active is not null && (activeLength == 0 || activeLength + bytes <= options.SegmentBytes))
        {
            return;
        }

        active?.Seal();
        active?.Dispose();
        active = null;
        string path = Path.Combine(options.Directory, LedgerFormat.SegmentName(frontier.Size));
        active = options.Wrap(DurableFile.OpenAppend(path)); // makes its name durable
        activeLength = 0;
    }

    private LedgerPoisonedException Poison(Exception cause, string attempt)
    {
        poison = cause;
        active?.Dispose();
        active = null;
        return new LedgerPoisonedException($"{attempt} failed; what is on the disk is unknown until the next start: {cause.Message}", cause);
    }

    private void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(closed, this);
        if (poison is not null)
        {
            throw new LedgerPoisonedException($"the ledger is stopped since an earlier error: {poison.Message}", poison);
        }
    }
}

/// <summary>Where a log goes on: everything that follows from the entries up to the newest durable head.</summary>
internal sealed record LedgerStart(
    MerkleFrontier Frontier, byte[] LastHash, long NextBatch, long Epoch, long EpochFirstSeq, long EpochAgeMillis,
    IReadOnlyDictionary<string, long> ScopeSeq, IReadOnlyList<NoteSignature> Signatures, string? ActiveSegment, long ActiveLength, ClockReading? Seen = null);

/// <summary>Both clocks at one moment: boot, wall time in Unix milliseconds, milliseconds of that boot.</summary>
internal sealed record ClockReading(string Boot, long Wall, long Mono);
