// Debug sessions: the banner that no page is without while one is open, and the list of those asked for and open.
import type { DebugSession } from './api.js';
import { ago, clock, duration, fullTime, parseTime, plural } from './format.js';
import { Copy, useNow } from './frame.js';
import { Icon } from './icons.js';
import { ledgerHref, privacyHref } from './route.js';

/** tenant acme, workflow refund-*, prod: whose payloads. */
export const whose = (s: DebugSession) => [s.tenant ? `tenant ${s.tenant}` : 'steps without a tenant', `workflow ${s.workflow}`, s.environment].filter(Boolean).join(', ');

/** asked for by uid 1000, approved by uid 0: who is responsible. One person alone is said to be one. */
export const responsible = (s: DebugSession) => s.single_operator ? `asked for and approved by ${s.requested_by} alone` : `asked for by ${s.requested_by}${s.approved_by ? `, approved by ${s.approved_by}` : ''}`;

/** Those that capture now: a session that is over is over on the page too, before the next answer says so. */
export const capturing = (sessions: readonly DebugSession[], now: number) => sessions.filter((s) => s.state === 'open' && s.until !== null && parseTime(s.until) > now);

export function DebugBanner({ sessions }: { sessions: readonly DebugSession[] }) {
  const now = useNow(1_000);
  const open = capturing(sessions, now);
  if (open.length === 0) return null;
  return (
    <section class="debugbanner" role="status" aria-label="debug session open">
      {open.map((s) => <p key={s.id}>
        <Icon name="eye" /><span><b>Payloads are captured unredacted</b> of {whose(s)} until <time title={fullTime(parseTime(s.until!))}>{clock(parseTime(s.until!))}</time>
          <span class="left num" aria-hidden="true"> ({duration(Math.ceil((parseTime(s.until!) - now) / 1000) * 1000)} left)</span>. “{s.reason}”, {responsible(s)}. <a href={privacyHref}>{s.id}</a></span>
      </p>)}
    </section>
  );
}

export function DebugSheet({ sessions, now }: { sessions: readonly DebugSession[]; now: number }) {
  const ask = "evident debug request --tenant TENANT --workflow WORKFLOW --minutes 30 --reason 'why'";
  return (
    <section aria-labelledby="debug-title">
      <h2 id="debug-title">Captured in full</h2>
      {sessions.length === 0
        ? <p>No debug session is open or asked for.</p>
        : <ul class="sessions">{sessions.map((s) => <Session key={s.id} s={s} now={now} />)}</ul>}
      <p class="note quiet">One person asks on the appliance, another approves, it closes by itself; what it captured is gone after a day. <a href={ledgerHref(null, { type: 'debug.' })}>All of them in the ledger</a></p>
      {sessions.length === 0 && <div class="command"><code>{ask}</code><Copy text={ask} label="copy the command" /></div>}
    </section>
  );
}

function Session({ s, now }: { s: DebugSession; now: number }) {
  const isOpen = capturing([s], now).length > 0;
  const command = isOpen ? `evident debug close ${s.id}` : `evident debug approve ${s.id}`;
  return (
    <li class={isOpen ? 'isopen' : ''}>
      <p class="state"><Icon name={isOpen ? 'eye' : 'timeout'} /><b>{isOpen ? 'open' : s.state === 'open' ? 'over' : 'waits for approval'}</b> <Copy text={s.id} label="copy the id"><span class="mono">{s.id}</span></Copy></p>
      <dl class="keeps">
        <div><dt>whose</dt><dd>{whose(s)}</dd></div>
        <div><dt>why</dt><dd>{s.reason}</dd></div>
        <div><dt>who</dt><dd>{responsible(s)}<span class="quiet">, {ago(parseTime(s.opened ?? s.requested), now)}</span></dd></div>
        <div><dt>how long</dt><dd>{s.until ? <>until <time>{fullTime(parseTime(s.until))}</time></> : `${plural(s.minutes, 'minute')} from the approval on`}</dd></div>
      </dl>
      <div class="command"><code>{command}</code><Copy text={command} label="copy the command" /></div>
    </li>
  );
}
