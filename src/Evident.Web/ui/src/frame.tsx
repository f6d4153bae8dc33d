// What stands around every view: rail, search, the state of the house, and the pieces all views share.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, isSealed, type Payload, type Status } from './api.js';
import { capturing, DebugBanner } from './debug.js';
import { ago, bytes, exact, parseTime, vaultCommand } from './format.js';
import { Icon } from './icons.js';
import { go, ledgerHref, privacyHref, runHref, runsHref, type Route } from './route.js';
import { SealedBanner, SealedView } from './sealed.js';

/** Calls back now and then while the tab is on show; never twice at once. */
export function useWhileVisible(everyMs: number, act: (signal: AbortSignal) => Promise<void>, key: unknown): void {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    let busy = false;
    const turn = async () => {
      if (busy) return;
      busy = true;
      if (!document.hidden) await latest.current(stop.signal).catch(() => undefined); // the next turn asks again
      busy = false;
      if (!stop.signal.aborted) timer = setTimeout(turn, everyMs);
    };
    timer = setTimeout(turn, everyMs);
    const shown = () => { if (!document.hidden) { clearTimeout(timer); void turn(); } };
    document.addEventListener('visibilitychange', shown);
    return () => { stop.abort(); clearTimeout(timer); document.removeEventListener('visibilitychange', shown); };
  }, [everyMs, key]);
}

/** A clock for relative times; one tick serves a whole page. */
export function useNow(everyMs = 10_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) setNow(Date.now()); }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

let live: HTMLElement | null = null;
/** Says something to those who do not see the page. */
export const announce = (text: string) => { if (live) live.textContent = text; };

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // plain http on another host than localhost has no clipboard interface
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'unseen';
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

export function Copy({ text, children, label = 'copy' }: { text: string; children?: ComponentChildren; label?: string }) {
  const [state, setState] = useState<'' | 'copied' | 'select it by hand'>('');
  useEffect(() => {
    if (!state) return;
    const timer = setTimeout(() => setState(''), 1600);
    return () => clearTimeout(timer);
  }, [state]);
  const act = async (event: Event) => {
    event.stopPropagation();
    const done = (await copy(text)) ? 'copied' : 'select it by hand';
    setState(done);
    announce(done);
  };
  return (
    <button type="button" class={`copy ${state ? 'did' : ''}`} onClick={act} title={`${label}: ${text}`}>
      {children}<span class="unseen">{children ? `, ${label}` : label}</span><Icon name={state === 'copied' ? 'success' : 'copy'} />
    </button>
  );
}

/** A state of a view that is not its content: one sentence, one next step. */
export const Notice = ({ title, children, bad = false }: { title: string; children?: ComponentChildren; bad?: boolean }) => (
  <div class="notice" role={bad ? 'alert' : 'status'}><h2>{title}</h2>{children}</div>
);

/** `what` completes "Could not read …". */
export function Failed({ what, error, again }: { what: string; error: unknown; again: () => void }) {
  const e = error instanceof ApiError ? error : new ApiError(0, 'page', error instanceof Error ? error.message : String(error));
  return (
    <Notice bad title={e.status === 404 ? 'Nothing here under this name.' : e.status === 403 ? `You may not see ${what}.` : `Could not read ${what}.`}>
      <p>{e.message}</p>
      <p><button type="button" onClick={again}>Try again</button> <a href="/">All runs</a></p>
    </Notice>
  );
}

let openSealed: (payload: Payload) => void = () => undefined;

/** "sealed, 4.2 kB, open": content is never on the page; the chip leads to the way to read it. What was not captured has no such way, and says so. */
export const PayloadChip = ({ payload, named = true }: { payload: Payload; named?: boolean }) => payload.ref === null ? (
  <span class="chip sealed uncaptured" title={`Not captured by policy: only its size and a fingerprint for comparing were kept.\n${payload.hash}`}>
    <Icon name="uncaptured" />{named && <b>{payload.role}</b>} not captured by policy, {bytes(payload.bytes)}
  </span>
) : (
  <button type="button" class="chip sealed" aria-haspopup="dialog" onClick={(e) => { e.stopPropagation(); openSealed(payload); }}>
    <Icon name="lock" />{named && <b>{payload.role}</b>} sealed, {bytes(payload.bytes)}, <u>open</u>
  </button>
);

function SealedDialog() {
  const box = useRef<HTMLDialogElement>(null);
  const [payload, setPayload] = useState<Payload | null>(null);
  const [reason, setReason] = useState('');
  useEffect(() => {
    openSealed = (p) => { setPayload(p); box.current?.showModal(); };
  }, []);
  const command = payload?.ref ? vaultCommand(payload.ref, reason.trim()) : '';
  return (
    <dialog ref={box} aria-labelledby="sealed-title" onClick={(e) => { if (e.target === box.current) box.current?.close(); }}>
      {payload && <form method="dialog">
        <h2 id="sealed-title"><Icon name="lock" /> {payload.role}, {payload.bytes > 0 && `${bytes(payload.bytes)}, `}sealed</h2>
        <p>Payloads open in the page once accounts exist. Until then the appliance opens them on its own machine, and writes who did and why into the ledger first.</p>
        <label>Reason <input value={reason} maxLength={200} placeholder="why you open it" onInput={(e) => setReason(e.currentTarget.value)} /></label>
        <div class="command"><code>{command}</code><Copy text={command} label="copy the command" /></div>
        <dl class="facts">
          {payload.ref && <><dt>reference</dt><dd><Copy text={payload.ref}>{payload.ref}</Copy></dd></>}
          {payload.hash && <><dt>fingerprint</dt><dd class="mono wrap">{payload.hash}</dd></>}
        </dl>
        <p class="ends"><button>Close</button></p>
      </form>}
    </dialog>
  );
}

const keys: [string, string][] = [
  ['/', 'filter'], ['?', 'this sheet'], ['↑ ↓', 'previous, next row'], ['← →', 'close, open a branch'], ['Enter', 'open the run or the step'],
  ['Esc', 'close the sheet, clear the filter'], ['Home End', 'first, last row'], ['a', 'logical view, all spans'], ['+ −', 'open, close all branches'],
];

function HelpSheet() {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      if ((e.target as Element).closest('input, textarea, select, dialog')) return;
      if (e.key === '?') { e.preventDefault(); box.current?.showModal(); }
      if (e.key === '/') {
        const field = document.querySelector<HTMLInputElement>('[data-filter]') ?? document.querySelector<HTMLInputElement>('[data-search]');
        if (field) { e.preventDefault(); field.focus(); field.select(); }
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <dialog ref={box} aria-labelledby="help-title" onClick={(e) => { if (e.target === box.current) box.current?.close(); }}>
      <form method="dialog">
        <h2 id="help-title">Keys</h2>
        <dl class="facts">{keys.map(([k, what]) => <><dt><kbd>{k}</kbd></dt><dd>{what}</dd></>)}</dl>
        <p class="ends"><button>Close</button></p>
      </form>
    </dialog>
  );
}

/** One field for everything that has a name: vault reference, trace, run, session, else text. */
async function find(text: string): Promise<void> {
  const wanted = text.trim();
  if (!wanted) return;
  if (/^vr_[0-9A-Za-z]{26}$/.test(wanted)) return openSealed({ role: 'payload', ref: wanted, hash: '', bytes: 0 });
  if (/^[0-9a-f]{32}$/i.test(wanted)) {
    const trace = await api.trace(wanted.toLowerCase()).catch(() => null);
    if (trace) return go(runHref(trace.run_id));
  }
  const [byRun, bySession] = await Promise.all([api.runs({ run: wanted, limit: 1 }), api.runs({ session: wanted, limit: 1 })]);
  if (byRun.runs[0]) return go(runHref(byRun.runs[0].run_id));
  go(runsHref(bySession.runs[0] ? { session: wanted } : { q: wanted }));
}

function House({ status }: { status: Status | null | undefined }) {
  const now = useNow();
  if (status === undefined) return <div class="house" />;
  if (status === null) return <div class="house" role="status"><span class="bad"><Icon name="failure" class="o-failure" /> no answer</span></div>;
  if (isSealed(status)) return <div class="house" aria-label="state of the appliance"><span class="open"><Icon name="lock" />vault sealed</span></div>;
  const { ledger, vault } = status;
  const published = ledger.published_time ? `, ${ago(parseTime(ledger.published_time), now)}` : '';
  const anchored = ledger.anchored_size !== null && ledger.anchored_time ? `anchored ${ago(parseTime(ledger.anchored_time), now)}` : 'not anchored';
  return (
    <div class="house" aria-label="state of the appliance">
      <a href={ledgerHref()} title={`${exact(ledger.size)} entries, published up to ${exact(ledger.published_size)}${published}; confirmed from outside: ${ledger.anchored_size === null ? 'none' : `up to ${exact(ledger.anchored_size)}`}`}>
        <Icon name="ledger" />{exact(ledger.size)}<span class="wide"> {ledger.size === 1 ? 'entry' : 'entries'} · {anchored}</span>
      </a>
      <span class="wide" title={`${bytes(vault.payloads_bytes)} of payloads`}><Icon name="lock" />vault {vault.state}<span class="wider"> · {bytes(vault.payloads_bytes)}</span></span>
      {capturing(status.capture.debug_sessions, now).length > 0 && <a class="open" href={privacyHref} title="A debug session is open: payloads are captured unredacted."><Icon name="eye" /><span class="wide">debug session open</span></a>}
      {status.open && <span class="open" title="Whoever reaches this address may read. Payloads stay sealed."><span class="wide">open, </span>no accounts</span>}
    </div>
  );
}

const places = [{ page: 'runs', name: 'Runs', to: runsHref() }, { page: 'ledger', name: 'Ledger', to: ledgerHref() }, { page: 'privacy', name: 'Privacy', to: privacyHref }] as const;

export function Frame({ route, children }: { route: Route; children: ComponentChildren }) {
  const [status, setStatus] = useState<Status | null | undefined>();
  const [sought, setSought] = useState('');
  const ask = async (signal?: AbortSignal) => setStatus(await api.status(signal).catch(() => (signal?.aborted ? undefined : null)));
  useEffect(() => { void ask(); }, []);
  useWhileVisible(10_000, ask, 'status');
  const here = route.page === 'run' ? 'runs' : route.page;
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to content</a>
      <header class="top">
        <a class="mark" href="/">Evident</a>
        <span class="workspace" title="workspace">{status?.workspace ?? ''}</span>
        <form class="search" role="search" onSubmit={(e) => { e.preventDefault(); find(sought).then(() => setSought('')).catch(() => go(runsHref({ q: sought.trim() }))); }}>
          <Icon name="search" />
          <input data-search type="search" aria-label="Find a run, session, trace or vault reference" placeholder="run, session, trace, vault ref" value={sought}
            autocomplete="off" spellcheck={false} onInput={(e) => setSought(e.currentTarget.value)} />
        </form>
        <House status={status} />
      </header>
      <nav class="rail" aria-label="Pages">
        {places.map((p) => <a href={p.to} key={p.page} aria-current={here === p.page ? 'page' : undefined}><Icon name={p.page} /><span>{p.name}</span></a>)}
      </nav>
      <main id="main" tabIndex={-1}>{status && isSealed(status) ? <><SealedBanner /><SealedView /></> : <><DebugBanner sessions={status?.capture.debug_sessions ?? []} />{children}</>}</main>
      <div class="unseen" aria-live="polite" ref={(e) => { live = e; }} />
      <SealedDialog />
      <HelpSheet />
    </>
  );
}
