using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>
/// Refused looks at payloads in the ledger: the first of an actor and a cause at once, further ones within a minute as one entry with their number at its end (ledger-and-vault 3.13), so that whoever tries references cannot flood
/// the ledger. A crash loses the number of one minute. Thread safe.
/// </summary>
internal sealed class DeniedReads(StoreActs acts, IClock clock)
{
    public const long WindowMillis = 60_000;
    private const int MaxWindows = 1_024; // beyond them everything is told at once

    private sealed class Window(Actor actor, string cause, long monotonic)
    {
        public Actor Actor => actor;

        public string Cause => cause;

        public long Opened => monotonic;

        public long From, To, Count;
    }

    private readonly Dictionary<string, Window> windows = new(StringComparer.Ordinal);

    /// <summary>True when the refusal is told later, with others.</summary>
    public bool Folds(Actor actor, string cause)
    {
        lock (windows)
        {
            string key = $"{cause} {actor.Kind} {actor.Id}";
            if (windows.TryGetValue(key, out var open) && clock.MonotonicMillis - open.Opened < WindowMillis)
            {
                long now = clock.UnixMillis;
                open.From = open.Count == 0 ? now : open.From;
                (open.To, open.Count) = (now, open.Count + 1);
                return true;
            }

            if (open is null && windows.Count < MaxWindows)
            {
                windows[key] = new Window(actor, cause, clock.MonotonicMillis);
            }

            return false; // one whose minute is over is told by Flush
        }
    }

    /// <summary>Tells of the windows whose minute is over, or of all of them.</summary>
    /// <exception cref="StoreStoppedException">The store stops.</exception>
    public void Flush(bool all)
    {
        List<Window> over = [];
        lock (windows)
        {
            foreach (var (key, window) in windows)
            {
                if (all || clock.MonotonicMillis - window.Opened >= WindowMillis)
                {
                    over.Add(window);
                    windows.Remove(key);
                }
            }
        }

        foreach (var window in over)
        {
            if (window.Count > 0)
            {
                acts.RunAsync(window.Actor, null, (ledger, act) => ledger.AppendOwn("vault.denied", entry =>
                {
                    act(entry);
                    entry.Set("vault", denied => denied.Set("cause", window.Cause))
                        .Set("window", span => span.Set("from", Rfc3339.FormatMillis(window.From)).Set("to", Rfc3339.FormatMillis(window.To)).Set("count", window.Count));
                })).GetAwaiter().GetResult();
            }
        }
    }
}
