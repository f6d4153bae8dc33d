using System.Globalization;
using System.Text;
using Evident.Ingest;
using Evident.Platform;
using Evident.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evident.Web;

/// <summary>How the appliance itself is: for the page, for a service manager and for Prometheus.</summary>
internal sealed class StatusEndpoints(StoreDoor door, WebCounters counters, BodyBudget budget, string version, long startedUnixMillis)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.Map("/api/v1/status", Api.Read(context => Api.WriteAsync(context, Status(), WebJson.Default.StatusView)));
        routes.Map("/healthz", Api.Read(HealthAsync));
        routes.Map("/readyz", Api.Read(ReadyAsync));
        routes.Map("/metrics", Api.Read(MetricsAsync));
    }

    internal StatusView Status()
    {
        if (door.Current is not { } store)
        {
            return new StatusView(version, "default", null, new VaultStatusView("sealed", null), null, null, null, Open: true, Rfc3339.FormatMillis(startedUnixMillis));
        }

        LedgerHeadView head = store.LedgerHead();
        IngestCounters ingest = store.Counters;
        ScrubStatus scrub = store.Scrub;
        return new StatusView(
            version,
            "default",
            new LedgerStatusView(
                head.Size, head.PublishedSize, head.PublishedTime, scrub.ScrubbedTo, scrub.Errors, head.Anchored?.Size, head.Anchored?.Time ?? head.Anchored?.Recorded),
            new VaultStatusView("open", store.Vault.PayloadBytes),
            new IngestStatusView(ingest.AcceptedSpans, ingest.DuplicateSpans, ingest.RejectedSpans, counters.RefusedRequests),
            Redaction(store),
            Capture(store),
            Open: true,
            Rfc3339.FormatMillis(startedUnixMillis));
    }

    private static RedactionStatusView Redaction(EvidentStore store)
    {
        var found = new SortedDictionary<string, long>(StringComparer.Ordinal);
        RuleSet rules = store.Redactions.Rules;
        long sum = 0;
        int inForce = 0;
        foreach (RedactionRule rule in rules.Rules)
        {
            inForce += rule.On ? 1 : 0;
            if (store.Redactions.Of(rule.Index) is > 0 and var count)
            {
                found[rule.Name] = count;
                sum += count;
            }
        }

        return new RedactionStatusView(rules.Version, HashText(rules.Hash), inForce, sum, found);
    }

    private static CaptureStatusView Capture(EvidentStore store)
    {
        CapturePolicy policy = store.Capture;
        var rules = new List<CaptureRuleView>();
        foreach (CaptureRule rule in policy.Rules)
        {
            rules.Add(new CaptureRuleView(rule.Tenant, rule.Workflow, rule.Environment, rule.Mode.ToName()));
        }

        var sessions = new List<DebugSessionView>();
        foreach (DebugSession session in store.DebugSessions)
        {
            sessions.Add(new DebugSessionView(
                session.Id, session.IsOpen ? "open" : "requested", session.Wish.Tenant, session.Wish.Workflow, session.Wish.Environment, session.Wish.Minutes, session.Reason,
                Named(session.RequestedBy), Rfc3339.FormatMillis(session.Requested), session.ApprovedBy is { } approver ? Named(approver) : null, session.SingleOperator, Time(session.Opened), Time(session.Until)));
        }

        return new CaptureStatusView(policy.Mode.ToName(), policy.UnnamedIsStrict ? "strict" : "mode", HashText(policy.Hash), rules, sessions);
    }

    private static string Named(Actor actor) => $"{actor.Kind} {actor.Id}";

    private static string? Time(long? unixMillis) => unixMillis is { } time ? Rfc3339.FormatMillis(time) : null;

    private static string HashText(byte[] hash) => "sha256:" + Convert.ToHexStringLower(hash);

    private Task HealthAsync(HttpContext context) => door.Current?.Ready == ReadyState.Failed
        ? ErrorReply.WriteAsync(
            context, StatusCodes.Status503ServiceUnavailable, "state_unknown", "The writer no longer knows its state; the process is stopping.")
        : PlainAsync(context, "ok\n");

    private Task ReadyAsync(HttpContext context) => door.Store.Ready == ReadyState.Ready
        ? PlainAsync(context, "ready\n")
        : ErrorReply.WriteAsync(
            context, StatusCodes.Status503ServiceUnavailable, "not_ready", "The appliance is stopping and takes nothing new.");

    private static Task PlainAsync(HttpContext context, string text)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(text, context.RequestAborted);
    }

    // Prometheus text format 0.0.4. Every label value is one of our own, so the number of series has a fixed bound.
    private Task MetricsAsync(HttpContext context)
    {
        var text = new StringBuilder(4096);

        Head(text, "evident_build_info", "gauge", "Constant 1; the label is the version that runs.");
        text.Append("evident_build_info{version=\"").Append(version).Append("\"} 1\n");
        Gauge(text, "evident_start_time_seconds", "Unix time of the start of the process.", startedUnixMillis / 1000);
        Gauge(text, "evident_ready", "1 when the appliance takes requests.", door.Current?.Ready == ReadyState.Ready ? 1 : 0);
        Gauge(text, "evident_vault_sealed", "1 while the vault is sealed and the store closed; the series of the store are left out.", door.Current is null ? 1 : 0);

        Head(text, "evident_ingest_requests_total", "counter", "Ingest requests answered with success or partial success.");
        Sample(text, "evident_ingest_requests_total", counters.AcceptedRequests);
        Head(text, "evident_requests_refused_total", "counter", "Ingest requests, and requests kept out by the Host, Origin and content-type rules, by status.");
        foreach ((int status, long count) in counters.RefusedByStatus)
        {
            Sample(text, string.Create(CultureInfo.InvariantCulture, $"evident_requests_refused_total{{status=\"{status}\"}}"), count);
        }

        Gauge(text, "evident_body_bytes_in_flight", "Bytes of request bodies held at this moment.", budget.Held);
        if (door.Current is { } store)
        {
            OfStore(text, store);
        }

        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return context.Response.WriteAsync(text.ToString(), context.RequestAborted);
    }

    private static void OfStore(StringBuilder text, EvidentStore store)
    {
        IngestCounters ingest = store.Counters;
        LedgerHeadView head = store.LedgerHead();
        Head(text, "evident_ingest_spans_total", "counter", "Spans by what became of them, since the start.");
        Sample(text, "evident_ingest_spans_total{result=\"accepted\"}", ingest.AcceptedSpans);
        Sample(text, "evident_ingest_spans_total{result=\"duplicate\"}", ingest.DuplicateSpans);
        Sample(text, "evident_ingest_spans_total{result=\"rejected\"}", ingest.RejectedSpans);

        Head(text, "evident_redactions_total", "counter", "Findings that were replaced, by rule, since the start; rules that never fired are left out.");
        foreach (RedactionRule rule in store.Redactions.Rules.Rules)
        {
            if (store.Redactions.Of(rule.Index) is > 0 and var count)
            {
                Sample(text, $"evident_redactions_total{{rule=\"{rule.Name}\"}}", count);
            }
        }

        Gauge(text, "evident_debug_sessions_open", "Debug sessions in which payloads are captured unredacted.", store.DebugSessions.Count(s => s.IsOpen));
        Gauge(text, "evident_ledger_entries", "Durable ledger entries.", head.Size);
        Gauge(text, "evident_ledger_published_entries", "Ledger entries under a published checkpoint.", head.PublishedSize);
        Gauge(text, "evident_ledger_scrubbed_entries", "Ledger entries read from the disk again since the start.", store.Scrub.ScrubbedTo);
        Gauge(text, "evident_ledger_scrub_errors", "Rounds of that reading that found damage, since the start.", store.Scrub.Errors);
        Gauge(text, "evident_vault_bytes", "Bytes of sealed payloads on disk.", store.Vault.PayloadBytes);
        Gauge(text, "evident_partitions_unavailable", "Trace partitions that cannot be read.", store.Partitions.Count(p => !p.Available));
    }

    private static void Gauge(StringBuilder text, string name, string help, long value)
    {
        Head(text, name, "gauge", help);
        Sample(text, name, value);
    }

    private static void Head(StringBuilder text, string name, string type, string help) =>
        text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    private static void Sample(StringBuilder text, string series, long value) =>
        text.Append(series).Append(' ').Append(value.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
