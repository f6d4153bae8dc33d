// The ledger, newest first: each entry hangs on the one before it, and every group ends in a signed checkpoint.
import { useEffect, useState } from 'preact/hooks';
import { api, type LedgerEntry, type LedgerHead } from './api.js';
import { announce, Copy, Failed, Notice, useWhileVisible } from './frame.js';
import { clock, day, exact, fullTime, parseTime, plural, short } from './format.js';
import { SideEffectMark } from './icons.js';
import { ledgerHref, runHref } from './route.js';

const pageSize = 50;

interface Loaded { head: LedgerHead; entries: LedgerEntry[] /* newest first */ }

export function LedgerPage({ entry }: { entry: number | null }) {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const [grown, setGrown] = useState(0);
  const [older, setOlder] = useState<'' | 'loading' | 'failed'>('');

  useEffect(() => {
    document.title = entry === null ? 'Ledger · Evident' : `Ledger #${entry} · Evident`;
    if (entry !== null && loaded?.entries.some((e) => e.seq === entry)) { show(entry); return; }
    const stop = new AbortController();
    (async () => {
      const head = await api.ledgerHead(stop.signal);
      const upTo = entry === null ? head.size : Math.min(head.size, entry + Math.floor(pageSize / 2));
      const from = Math.max(0, upTo - pageSize);
      const page = head.size === 0 ? { entries: [] } : await api.ledgerEntries(from, upTo - from, stop.signal);
      setLoaded({ head, entries: page.entries.sort((a, b) => b.seq - a.seq) });
      setFailed(null);
      setGrown(0);
      announce(`ledger, ${plural(head.size, 'entry', 'entries')}`);
      if (entry !== null) requestAnimationFrame(() => show(entry));
    })().catch((e: unknown) => { if (!stop.signal.aborted) setFailed(e); });
    return () => stop.abort();
  }, [entry, turn]);

  useWhileVisible(8000, async (signal) => {
    if (!loaded) return;
    const head = await api.ledgerHead(signal);
    setGrown(head.size - loaded.head.size);
  }, loaded?.head.size);

  if (failed && !loaded) return <Failed what="the ledger" error={failed} again={() => { setFailed(null); setTurn(turn + 1); }} />;
  if (!loaded) return <div class="skeleton" role="status" aria-label="reading the ledger">{Array.from({ length: 12 }, (_, i) => <i key={i} />)}</div>;
  const { head, entries } = loaded;
  const lowest = entries.at(-1)?.seq ?? 0;
  const newest = entries[0]?.seq ?? -1;
  const loadOlder = () => {
    setOlder('loading');
    const from = Math.max(0, lowest - pageSize);
    api.ledgerEntries(from, lowest - from)
      .then((page) => { setLoaded({ head, entries: [...entries, ...page.entries.sort((a, b) => b.seq - a.seq)] }); setOlder(''); })
      .catch(() => setOlder('failed'));
  };
  return (
    <div class="ledger">
      <div class="bar"><h1>Ledger</h1><span class="quiet">{plural(head.size, 'entry', 'entries')}, newest first</span>
        {newest < head.size - 1 && <a href={ledgerHref()}>to the newest</a>}
        {grown > 0 && <button type="button" class="pill" onClick={() => setTurn(turn + 1)}>{exact(grown)} new</button>}</div>
      <Head head={head} />
      {entries.length === 0 ? <Notice title="The ledger is empty."><p>Its first entry is written when the appliance starts on a new data directory.</p></Notice>
        : <ol class="thread" aria-label="entries, newest first">{entries.map((e, i) => {
          const above = entries[i - 1];
          const below = entries[i + 1];
          const date = day(parseTime(e.recorded));
          return (
            <>
              {(!above || day(parseTime(above.recorded)) !== date) && <li class="day" key={`d${date}`}>{date}</li>}
              {above && above.epoch !== e.epoch && <li class="knot epoch" key={`e${above.epoch}`}>epoch {above.epoch} begins: a new signing key</li>}
              {(!above || above.batch !== e.batch) && <li class="knot" key={`b${e.batch}`}><span>checkpoint</span> <span class="quiet">group {exact(e.batch)}, size {exact(e.seq + 1)}</span>
                {e.seq >= head.published_size && <span class="quiet"> · not yet published</span>}</li>}
              <Entry key={e.seq} entry={e} marked={e.seq === entry} fits={below ? below.integrity.this_hash === e.integrity.prev_hash : null} published={e.seq < head.published_size} />
            </>
          );
        })}</ol>}
      {lowest > 0 && entries.length > 0 && <p class="older"><button type="button" onClick={loadOlder} disabled={older === 'loading'}>
        {older === 'loading' ? 'Reading …' : older === 'failed' ? 'Older entries did not come. Try again' : 'Older'}</button></p>}
    </div>
  );
}

function show(seq: number): void {
  const element = document.getElementById(`entry-${seq}`);
  element?.scrollIntoView({ block: 'start' });
  element?.focus({ preventScroll: true });
}

function Head({ head }: { head: LedgerHead }) {
  return (
    <section class="ledgerhead" aria-label="head of the ledger">
      <dl class="facts">
        <dt>origin</dt><dd><Copy text={head.origin}><span class="mono">{head.origin}</span></Copy></dd>
        <dt>head</dt><dd><b>{exact(head.size)}</b> entries, root <Copy text={head.root}><span class="mono">{head.root}</span></Copy></dd>
        <dt>published</dt><dd>{head.published_size === head.size ? 'all of it' : `up to ${exact(head.published_size)}`}<span class="quiet">; epoch {head.epoch}</span></dd>
        <dt>identity</dt><dd><Copy text={head.identity_vkey}><span class="mono">{head.identity_vkey}</span></Copy></dd>
      </dl>
      <details>
        <summary>Check it without trusting this page</summary>
        <p>What stands here is what this appliance says about itself. Keep a published head on another machine, and let the verifier decide:</p>
        <pre>evident ledger head &gt; head.note{'\n'}evident verify DATA --known-head head.note</pre>
        <p>The newest checkpoint:</p>
        <div class="command"><pre>{head.checkpoint}</pre><Copy text={head.checkpoint} label="copy the checkpoint" /></div>
      </details>
    </section>
  );
}

/** What an entry says, in one line. */
function said(e: LedgerEntry): string {
  const parts = [e.action?.tool_name, e.action?.target, e.approval?.state && e.approval.state !== 'not_required' ? e.approval.state : '', e.policy?.name, e.policy?.decision].filter(Boolean);
  if (e.approval?.approver_id) parts.push(`by ${e.approval.approver_id}${e.approval.identity_source === 'claimed' ? ' (reported)' : ''}`);
  return parts.join(' · ') || (e.workflow_id ?? '');
}

function Entry({ entry: e, marked, fits, published }: { entry: LedgerEntry; marked: boolean; fits: boolean | null; published: boolean }) {
  const at = parseTime(e.recorded);
  return (
    <li id={`entry-${e.seq}`} tabIndex={-1} class={`entry ${marked ? 'marked' : ''} ${published ? '' : 'fresh'}`}>
      <details open={marked}>
        <summary>
          <span class="mono seq">#{e.seq}</span>
          <time dateTime={e.recorded} title={fullTime(at)}>{clock(at)}</time>
          <b class="type">{e.type}</b>
          <span class="said">{e.action?.side_effect_level && <SideEffectMark level={e.action.side_effect_level} word={false} />} {said(e)}{e.approval?.args_match === false && <span class="bad"> arguments differ</span>}</span>
          <span class="mono hash" title={e.integrity.this_hash}>{short(e.integrity.this_hash, 10)}</span>
        </summary>
        <dl class="facts">
          {e.run_id && <><dt>run</dt><dd><a class="mono" href={runHref(e.run_id, e.span_id ?? null)}>{e.run_id}</a></dd></>}
          <dt>entry</dt><dd><a class="mono" href={ledgerHref(e.seq)}>#{e.seq}</a> <span class="quiet">{e.id}</span></dd>
          <dt>recorded</dt><dd>{fullTime(at)} <span class="quiet">the appliance's clock</span></dd>
          <dt>this hash</dt><dd><Copy text={e.integrity.this_hash}><span class="mono wrap">{e.integrity.this_hash}</span></Copy></dd>
          <dt>hash before</dt><dd><Copy text={e.integrity.prev_hash}><span class="mono wrap">{e.integrity.prev_hash}</span></Copy></dd>
        </dl>
        <pre>{JSON.stringify(e, null, 2)}</pre>
      </details>
      {fits === false && <p class="bad" role="alert">The hash before entry #{e.seq} is not the hash of entry #{e.seq - 1}. Run <code>evident verify</code> now.</p>}
    </li>
  );
}
