using System.Text;
using Evident.Ingest;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// Debug sessions: while one is open, the payloads of its workflow are sealed unredacted. One person asks, a second one approves, it closes by itself; each step is in the ledger, durable,
/// before it takes effect, and a start finishes what a crash left between ledger and file (docs/privacy.md). An open session is one that the file and the ledger both tell of. Thread safe.
/// </summary>
/// <param name="capture">Gets those that are open.</param>
/// <param name="head">The newest durable ledger head.</param>
internal sealed class DebugSessions(
    StoreOptions options, FullCapture capture, StoreActs acts, Func<DebugSession, long> captured, IClock clock, Func<LedgerHead> head, Action<string, Exception?> log) : IDisposable
{
    public const int MaxMinutes = 1_440, MaxSessions = 16, MaxReasonBytes = StoreActs.MaxReasonBytes;

    private const string Opening = "open", Closing = "close";
    private const long RequestMillis = 24 * 3_600_000L; // a request that nobody approves lapses after this

    private readonly DebugSessionFile file = new(options.DataDirectory);
    private readonly DebugEntries entries = new(() => acts.Scope);
    private readonly SemaphoreSlim one = new(1); // a step is ledger and file together

    private DebugSession[] sessions = []; // replaced as a whole under 'one'; read by all

    /// <summary>Those that wait for approval and those that are open, oldest first.</summary>
    public IReadOnlyList<DebugSession> All => Array.FindAll(Volatile.Read(ref sessions), s => !s.IsOpen || !IsOver(s));

    /// <summary>Records the wish. Nothing is captured before a second person approves.</summary>
    /// <exception cref="DebugRefusedException">Names, minutes or reason are not possible, or there are too many sessions.</exception>
    public async Task<DebugSession> RequestAsync(DebugWish wish, string reason, Actor actor, CancellationToken cancellation)
    {
        byte[] words = Encoding.UTF8.GetBytes(reason.Trim());
        Check(wish, words.Length);
        await one.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (sessions.Length >= MaxSessions)
            {
                throw new DebugRefusedException($"there are {MaxSessions} debug sessions already; close one first.");
            }

            byte[] random = new byte[6];
            Sodium.RandomBytes(random);
            var session = new DebugSession
            {
                Id = "ds_" + Convert.ToHexStringLower(random), Wish = wish, Reason = options.Redaction.RedactorOf(wish.Tenant).Redact(reason.Trim()), RequestedBy = actor,
                Requested = clock.UnixMillis, LedgerSize = head().Size,
            };
            await Append(words, said => [entries.Requested(session, said!)]).ConfigureAwait(false); // a step that was begun is not given up
            Keep([.. sessions, session]); // a crash before this leaves a request in the ledger that nobody can approve
            return session;
        }
        finally
        {
            one.Release();
        }
    }

    /// <summary>Opens the session.</summary>
    /// <param name="singleOperator">The same person may approve; the entry says so.</param>
    /// <exception cref="DebugRefusedException">There is none, it is open, or its request is the approver's own or too old.</exception>
    public async Task<DebugSession> ApproveAsync(string id, bool singleOperator, Actor actor, CancellationToken cancellation)
    {
        await one.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            var asked = Find(id);
            if (asked.IsOpen)
            {
                throw new DebugRefusedException($"the debug session {id} is open already, until {Rfc3339.FormatMillis(asked.Until!.Value)}.");
            }

            if (clock.UnixMillis - asked.Requested >= RequestMillis)
            {
                throw new DebugRefusedException($"the debug session {id} was asked for more than 24 hours ago; ask again.");
            }

            if (asked.RequestedBy == actor && !singleOperator)
            {
                throw new DebugRefusedException($"{actor.Kind} {actor.Id} asked for the debug session {id}; another person has to approve it. Where there is none, say so with --single-operator; the ledger will name it.");
            }

            long now = clock.UnixMillis;
            var opened = asked with
            {
                ApprovedBy = actor, SingleOperator = singleOperator && asked.RequestedBy == actor, Opened = now, Until = checked(now + (asked.Wish.Minutes * 60_000L)), LedgerSize = head().Size,
            };
            Keep(Replaced(asked, asked with { Unfinished = Opening, LedgerSize = opened.LedgerSize }));
            try
            {
                await Append(null, _ => [entries.Approved(opened), entries.Opened(opened)]).ConfigureAwait(false);
            }
            catch (QueueFullException)
            {
                Keep(Replaced(asked, asked)); // nothing was recorded: it is still only asked for
                throw;
            }

            Keep(Replaced(asked, opened)); // from here on it captures
            return opened;
        }
        finally
        {
            one.Release();
        }
    }

    /// <summary>Ends an open session, or refuses one that is asked for.</summary>
    /// <exception cref="DebugRefusedException">There is none.</exception>
    public async Task<DebugSession> CloseAsync(string id, Actor actor, CancellationToken cancellation)
    {
        await one.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            var session = Find(id);
            long now = clock.UnixMillis;
            Keep(Replaced(session, session with { Unfinished = Closing, LedgerSize = head().Size })); // from here on it captures nothing, and when the entry is refused now, the writer comes back to it
            await Append(null, _ => [session.IsOpen ? entries.Closed(session, actor, "closed", captured(session), now) : entries.Rejected(session, actor, now)]).ConfigureAwait(false);
            Keep(Replaced(session, null));
            return session;
        }
        finally
        {
            one.Release();
        }
    }

    /// <summary>Some session is over, or closed and not recorded so, or some request was not approved in time.</summary>
    public bool IsDue
    {
        get
        {
            foreach (var session in Volatile.Read(ref sessions))
            {
                if (IsEnding(session))
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Ends what is over. On the writer thread between two groups: the ledger is its own.</summary>
    /// <returns>False when somebody takes a step at this moment; the next turn of the writer comes back to it.</returns>
    public bool CloseDue(LedgerLog ledger)
    {
        if (!one.Wait(0))
        {
            return false; // that step may wait for this very thread
        }

        try
        {
            foreach (var session in Array.FindAll(sessions, IsEnding))
            {
                End(ledger, session);
            }

            return true;
        }
        finally
        {
            one.Release();
        }
    }

    /// <summary>
    /// Before anything is accepted: takes back what is asked for and open, ends what ended meanwhile, and finishes the step that a crash interrupted. On the opening thread.
    /// </summary>
    public void Recover(LedgerLog ledger)
    {
        sessions = file.Read();
        foreach (var session in sessions)
        {
            bool Told(string step, string? until = null) => IsRecorded(ledger.Head.Size, session.LedgerSize, DebugEntries.Id(step, session), until);
            if (session.Unfinished == Opening)
            {
                // Recorded as open, but it never captured anything; or not recorded, and still only asked for.
                if (Told("opened"))
                {
                    End(ledger, session, "restart");
                }
                else
                {
                    Keep(Replaced(session, session with { Unfinished = null }));
                }
            }
            else if (Told(session.IsOpen ? "closed" : "rejected"))
            {
                Keep(Replaced(session, null));
            }
            else if (session.IsOpen && session.Unfinished is null && !Told("opened", Rfc3339.FormatMillis(session.Until!.Value)))
            {
                log($"'{DebugSessionFile.Name}' names an open debug session {session.Id} that the ledger does not know, or not so; it is not open", null);
                Keep(Replaced(session, null));
            }
            else if (IsEnding(session))
            {
                End(ledger, session);
            }
        }

        Keep(sessions);
    }

    public void Dispose() => one.Dispose();

    private bool IsOver(DebugSession session) => session.IsOpen ? capture.IsOver(session) : clock.UnixMillis - session.Requested >= RequestMillis;

    private bool IsEnding(DebugSession session) => session.Unfinished == Closing || (session.Unfinished is null && IsOver(session));

    private void End(LedgerLog ledger, DebugSession session) => End(ledger, session, !session.IsOpen ? null : IsOver(session) ? "expired" : "closed");

    // Without a cause: a request that nobody approved.
    private void End(LedgerLog ledger, DebugSession session, string? cause)
    {
        long now = clock.UnixMillis;
        Keep(Replaced(session, session with { Unfinished = Closing, LedgerSize = ledger.Head.Size }));
        ledger.Append([cause is null ? entries.Rejected(session, null, now) : entries.Closed(session, null, cause, captured(session), now)]);
        Keep(Replaced(session, null));
    }

    private DebugSession Find(string id) => Array.Find(sessions, s => s.Id == id && s.Unfinished is null && !(s.IsOpen && IsOver(s)))
        ?? throw new DebugRefusedException($"there is no debug session {id} that is asked for or open; 'evident debug list' shows those that are.");

    private DebugSession[] Replaced(DebugSession session, DebugSession? by)
    {
        var kept = new List<DebugSession>(sessions.Length);
        foreach (var known in sessions)
        {
            if (known.Id != session.Id)
            {
                kept.Add(known);
            }
            else if (by is not null)
            {
                kept.Add(by);
            }
        }

        return [.. kept];
    }

    private void Keep(DebugSession[] all)
    {
        capture.Keep(all); // what ends, ends before the file says so
        file.Write(all);
        Volatile.Write(ref sessions, all);
        capture.Set(all);
    }

    // With a time: only when the entry says that the session ends then.
    private bool IsRecorded(long size, long since, string id, string? until)
    {
        const int page = 4_096;
        var parser = new Lj1Parser();
        byte[] wanted = Encoding.ASCII.GetBytes(id);
        for (long from = since; from < size; from += page)
        {
            foreach (var line in LedgerReader.Read(Path.Combine(options.DataDirectory, "ledger"), from, page, size))
            {
                if (parser.Parse(line.Json.Span) == Lj1Error.None && parser.Text(line.Json.Span, "id"u8).SequenceEqual(wanted))
                {
                    var facts = new LedgerFacts();
                    return until is null || (facts.Read(line) && facts.Text("session"u8, "until"u8) == until);
                }
            }
        }

        return false;
    }

    private static void Check(DebugWish wish, int reasonBytes)
    {
        foreach (string name in (ReadOnlySpan<string>)[wish.Tenant, wish.Workflow, wish.Environment ?? "x"])
        {
            if (Encoding.UTF8.GetByteCount(name) > CapturePolicy.MaxNameBytes || name.AsSpan().IndexOfAnyInRange('\0', '\x1f') >= 0 || name.Trim() != name)
            {
                throw new DebugRefusedException($"tenant, workflow and environment have at most {CapturePolicy.MaxNameBytes} bytes, no control characters and no blanks at their ends.");
            }
        }

        if (wish.Workflow.TrimEnd('*').Length == 0 || wish.Environment?.Length == 0)
        {
            throw new DebugRefusedException("a debug session is for one workflow, or for all that begin with the same words.");
        }

        if (wish.Minutes is < 1 or > MaxMinutes)
        {
            throw new DebugRefusedException($"a debug session lasts 1 to {MaxMinutes} minutes.");
        }

        if (reasonBytes is 0 or > MaxReasonBytes)
        {
            throw new DebugRefusedException($"a debug session needs a reason of 1 to {MaxReasonBytes} bytes.");
        }
    }

    // With the reason sealed in the same group, where there is one.
    private Task Append(byte[]? reason, Func<SealedWords?, IReadOnlyList<EntryDraft>> drafts) =>
        acts.SubmitAsync("debug", "debug.reason", reason, said => new ActWork(drafts(said)));
}
