using Evident.Ingest;
using Evident.Platform;

namespace Evident.Store;

/// <summary>The debug sessions that capture at this moment, as the choke point asks for them. Thread safe: one writer, any number of readers.</summary>
internal sealed class FullCapture(IClock clock) : IFullCapture
{
    private sealed record Open(DebugSession Session, CaptureMatcher Matcher, long Deadline);

    private Open[] open = []; // replaced as a whole

    public bool IsOpen => Volatile.Read(ref open).Length > 0;

    public bool Covers(scoped in CaptureSubject subject)
    {
        if (subject.IsUnsure)
        {
            return false;
        }

        foreach (var one in Volatile.Read(ref open))
        {
            // The end counts by both clocks: one that is set back does not keep a session open.
            if (clock.MonotonicMillis < one.Deadline && !IsOver(one.Session) && (one.Session.Wish.Tenant.Length > 0 || subject.Tenant.IsEmpty) && one.Matcher.Covers(subject))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>By the wall clock; one that stands before the opening was set back, and tells nothing about how long the session has been open.</summary>
    public bool IsOver(DebugSession session) => clock.UnixMillis >= session.Until || clock.UnixMillis < session.Opened;

    /// <summary>From now on those of the list capture that are open and in no step; the others do not.</summary>
    public void Set(IReadOnlyList<DebugSession> sessions)
    {
        var before = Volatile.Read(ref open);
        var now = new List<Open>();
        foreach (var session in sessions)
        {
            if (session is { Until: { } until, Unfinished: null })
            {
                var rule = new CaptureRule(session.Wish.Tenant.Length == 0 ? null : session.Wish.Tenant, session.Wish.Workflow, session.Wish.Environment, CaptureMode.Full);
                now.Add(Array.Find(before, o => o.Session.Id == session.Id) ?? new Open(session, new CaptureMatcher(rule), checked(clock.MonotonicMillis + Math.Max(0, until - clock.UnixMillis))));
            }
        }

        Volatile.Write(ref open, [.. now]);
    }

    /// <summary>From now on none captures that is not in the list; none begins.</summary>
    public void Keep(IReadOnlyList<DebugSession> sessions)
    {
        var left = new List<Open>();
        foreach (var one in Volatile.Read(ref open))
        {
            foreach (var session in sessions)
            {
                if (session.Id == one.Session.Id && session.Unfinished is null)
                {
                    left.Add(one);
                }
            }
        }

        Volatile.Write(ref open, [.. left]);
    }
}
