// What is captured of whom, what redaction found, and where it stands on the record. Everything here is the status of the appliance, asked again now and then.
import { useEffect, useState } from 'preact/hooks';
import { api, isSealed, type Capture, type CaptureMode, type CaptureRule, type OpenStatus, type Status } from './api.js';
import { ago, bytes, exact, fullTime, parseTime, plural, short } from './format.js';
import { Copy, Failed, useNow, useWhileVisible } from './frame.js';
import { DebugSheet } from './debug.js';
import { Icon } from './icons.js';
import { ledgerHref } from './route.js';

/** What a mode makes of a payload: one word to name it, one sentence to explain it. */
const modes: Record<CaptureMode, [icon: string, word: string, what: string]> = {
  redacted: ['lock', 'redacted, sealed', 'the text after redaction, encrypted, until it expires'],
  structure: ['uncaptured', 'structure only', 'role, size and a fingerprint that nobody can try guesses against; no text'],
  opt_out: ['uncaptured', 'opted out', 'nothing: neither text nor size'],
  full: ['flag', 'in full', 'the text as sent, encrypted, for a day'],
};

export function PrivacyPage() {
  const [status, setStatus] = useState<Status | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const now = useNow();
  const ask = async (signal: AbortSignal) => { setStatus(await api.status(signal)); setFailed(null); };
  useEffect(() => {
    document.title = 'Privacy · Evident';
    const stop = new AbortController();
    ask(stop.signal).catch((e: unknown) => { if (!stop.signal.aborted) setFailed(e); });
    return () => stop.abort();
  }, [turn]);
  useWhileVisible(5_000, ask, 'privacy');
  if (!status) return failed ? <Failed what="the state of the appliance" error={failed} again={() => setTurn(turn + 1)} /> : <div class="skeleton" aria-busy="true">{Array.from({ length: 9 }, (_, i) => <i key={i} />)}</div>;
  if (isSealed(status)) return null; // the frame says so
  return (
    <article class="privacy">
      <div class="bar"><h1>Privacy</h1></div>
      <p class="claim">{claim(status.capture)}</p>
      <CaptureSheet capture={status.capture} />
      <DebugSheet sessions={status.capture.debug_sessions} now={now} />
      <RedactionSheet redaction={status.redaction} started={status.started} now={now} />
      <section aria-labelledby="kept-title">
        <h2 id="kept-title">Kept</h2>
        <dl class="keeps">
          <div><dt>sealed payloads</dt><dd><b>{bytes(status.vault.payloads_bytes)}</b> in the vault, which is {status.vault.state}; each look at one is in the ledger first: <a href={ledgerHref(null, { type: 'vault.' })}>who looked</a></dd></div>
          <div><dt>structure</dt><dd>steps, times, tools, models, token counts and codes, readable to whoever can query this appliance</dd></div>
          <div><dt>people</dt><dd>end users only as pseudonyms under their tenant's key; staff as opaque ids</dd></div>
          <div><dt>elsewhere</dt><dd>nothing: the appliance opens no outgoing connection</dd></div>
        </dl>
      </section>
    </article>
  );
}

function claim(capture: Capture) {
  const optedOut = capture.rules.filter((r) => r.mode === 'opt_out').length;
  const open = capture.debug_sessions.filter((s) => s.state === 'open').length;
  const rules = capture.rules.filter((r) => r.mode !== 'opt_out' && r.mode !== capture.mode).length;
  return (
    <><b>{capture.mode === 'structure' ? 'Payloads are not captured; the structure of runs is.' : 'Payloads are redacted, then sealed.'}</b>{' '}
      {rules > 0 && <>{plural(rules, 'rule says', 'rules say')} otherwise for some. </>}
      {open > 0 && <span class="amber">{plural(open, 'debug session')} {open === 1 ? 'captures' : 'capture'} in full at this moment. </span>}
      {optedOut > 0 && <>{plural(optedOut, 'tenant', 'tenants')} opted out. </>}</>
  );
}

function CaptureSheet({ capture }: { capture: Capture }) {
  const all: CaptureRule = { tenant: null, workflow: null, environment: null, mode: capture.mode };
  return (
    <section aria-labelledby="capture-title">
      <h2 id="capture-title">Captured</h2>
      <table class="rules">
        <thead><tr><th>of whom</th><th>mode</th><th class="means">kept of a payload</th></tr></thead>
        <tbody>{[...capture.rules, all].map((r, i) => {
          const [icon, word, what] = modes[r.mode];
          return <tr key={i}><td>{whom(r, capture.rules.length > 0)}</td><td class={`mode m-${r.mode}`}><Icon name={icon} />{word}</td><td class="means quiet">{what}</td></tr>;
        })}</tbody>
      </table>
      <p class="note quiet">
        {capture.rules.length > 0 && <>The strictest rule that matches counts. {capture.unnamed === 'strict' ? 'A step that does not name its tenant, workflow or environment is held to the strictest it might fall under. ' : 'A step that does not name what a rule asks for escapes that rule. '}</>}
        Policy <Copy text={capture.hash} label="copy the hash of the policy"><span class="mono">{short(capture.hash)}</span></Copy>, <a href={ledgerHref(null, { type: 'capture.policy' })}>its changes in the ledger</a>
      </p>
    </section>
  );
}

const whom = (r: CaptureRule, others: boolean) => {
  const parts: [string, string | null][] = [['tenant', r.tenant], ['workflow', r.workflow], ['environment', r.environment]];
  const said = parts.filter(([, name]) => name !== null);
  return said.length === 0 ? (others ? 'everyone else' : 'everyone') : said.map(([part, name]) => <span class="who" key={part}><span class="quiet">{part}</span> {name}</span>);
};

function RedactionSheet({ redaction, started, now }: { redaction: OpenStatus['redaction']; started: string; now: number }) {
  const found = Object.entries(redaction.rules).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const most = found[0]?.[1] ?? 1;
  return (
    <section aria-labelledby="redaction-title">
      <h2 id="redaction-title">Redacted</h2>
      <p><b class="num">{exact(redaction.found)}</b> {redaction.found === 1 ? 'finding' : 'findings'} replaced since <time title={fullTime(parseTime(started))}>the start, {ago(parseTime(started), now)}</time>, by {found.length} of {plural(redaction.in_force, 'rule')} in force.</p>
      {found.length > 0 && <ol class="found">{found.map(([rule, n]) => (
        <li key={rule}><span class="mono">{rule}</span><i style={{ '--part': n / most }} aria-hidden="true" /><span class="num">{exact(n)}</span></li>))}</ol>}
      <p class="note quiet">
        Rule set {redaction.version} <Copy text={redaction.hash} label="copy the hash of the rule set"><span class="mono">{short(redaction.hash)}</span></Copy>, <a href={ledgerHref(null, { type: 'redaction.rules' })}>its changes in the ledger</a>.{' '}
        On the appliance, <code>evident config --rules</code> prints every rule and <code>evident redact --dry-run FILE</code> tries them.
      </p>
    </section>
  );
}
