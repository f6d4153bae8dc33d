// The chain as a thread, newest above: every entry hangs on the one below it; a ring is the checkpoint that signs the group under it.
import { useRef, useState } from 'preact/hooks';
import type { LedgerEntry } from './api.js';
import type { Row } from './chain.js';
import { actedBy, decidedBy, entryWords } from './entry-words.js';
import { ago, clock, duration, exact, fullTime, parseTime, plural, short } from './format.js';
import { Icon, SideEffectMark } from './icons.js';
import { ledgerHref, type LedgerFilter } from './route.js';

export function ChainView({ rows, filter, open, now }: { rows: readonly Row[]; filter: LedgerFilter; open: number | null; now: number }) {
  const list = useRef<HTMLOListElement>(null);
  const onKey = (e: KeyboardEvent) => {
    const step = e.key === 'ArrowDown' || e.key === 'j' ? 1 : e.key === 'ArrowUp' || e.key === 'k' ? -1 : 0;
    if (!step || e.ctrlKey || e.metaKey || e.altKey) return;
    const links = [...list.current!.querySelectorAll<HTMLElement>('a.e, button.e')];
    const next = links[links.indexOf(document.activeElement as HTMLElement) + step];
    if (next) { e.preventDefault(); next.focus(); next.scrollIntoView({ block: 'nearest' }); }
  };
  return (
    <>
      <div class="threadhead" aria-hidden><span>entry</span><span>received</span><span>type</span><span>what it says</span><span class="hash">this hash</span><span class="cp">checkpoint</span></div>
      <ol class="thread" ref={list} onKeyDown={onKey} aria-label="entries, newest first">
        {rows.map((r) => <RowView key={r.key} row={r} filter={filter} open={open} now={now} />)}
      </ol>
    </>
  );
}

function RowView({ row: r, filter, open, now }: { row: Row; filter: LedgerFilter; open: number | null; now: number }) {
  const on = `on-${r.ground}`;
  switch (r.kind) {
    case 'day': return <li class={`day ${on}`}>{r.text}</li>;
    case 'ground': return (
      <li class={`ground ${on}`}>
        <span>rests on this host's key alone{r.ground === 'fresh' && ', not published yet'}</span>
        <span class="quiet">{r.from === r.to ? `entry #${exact(r.from)}` : `entries #${exact(r.from)} to #${exact(r.to)}`}</span>
      </li>
    );
    case 'anchor': return <AnchorRow row={r} filter={filter} now={now} on={on} />;
    case 'gap': return <li class={`gap ${on}`}><span>{plural(r.entries, 'entry', 'entries')} between, not shown</span></li>;
    case 'silence': return <li class={`silence ${on}`}><Icon name="timeout" /> <b>silent for {duration(r.ms)}</b> <span class="quiet">no entry, not even a heartbeat, while the machine ran</span></li>;
    case 'beats': return <Beats entries={r.entries} filter={filter} open={open} on={on} />;
    case 'entry': return (
      <li class={`item ${on} ${r.top ? 'signed' : ''} ${r.entry.type === 'ledger.epoch' ? 'epoch' : r.entry.seq === 0 ? 'epoch genesis' : ''}`}>
        <Entry entry={r.entry} filter={filter} marked={r.entry.seq === open} top={r.top} />
        {r.fits === false && <p class="bad broken" role="alert"><Icon name="failure" class="o-failure" /> The hash before entry #{exact(r.entry.seq)} is not the hash of entry #{exact(r.entry.seq - 1)}. <a href={ledgerHref(null, {}, 'check')}>Verify now</a></p>}
      </li>
    );
  }
}

function AnchorRow({ row: r, filter, now, on }: { row: Row & { kind: 'anchor' }; filter: LedgerFilter; now: number; on: string }) {
  return (
    <li class={`anchor ${on}`}>
      <Icon name="anchor" />
      <div>
        {r.by.map((e) => {
          const a = e.anchor as { witness?: string; kind: string; time?: string };
          const at = parseTime(a.time ?? e.recorded);
          return <p key={e.seq}><b>{a.witness ?? a.kind}</b> confirmed the {plural(r.size, 'entry', 'entries')} below <time dateTime={a.time ?? e.recorded} title={fullTime(at)}>{ago(at, now)}</time> <a class="mono quiet" href={ledgerHref(e.seq, filter)}>#{exact(e.seq)}</a></p>;
        })}
      </div>
    </li>
  );
}

function Beats({ entries, filter, open, on }: { entries: readonly LedgerEntry[]; filter: LedgerFilter; open: number | null; on: string }) {
  const [spread, setSpread] = useState(false);
  const newest = entries[0]!;
  const oldest = entries.at(-1)!;
  return (
    <>
      <li class={`item beats ${on}`}>
        <button type="button" class="e" aria-expanded={spread} onClick={() => setSpread(!spread)}>
          <span class="mono seq">#{exact(newest.seq)}</span>
          <time>{clock(parseTime(newest.recorded))}</time>
          <span class="type"><Icon name="pulse" class="k-plumbing" />{plural(entries.length, 'heartbeat')}</span>
          <span class="said quiet">alive since {clock(parseTime(oldest.recorded))}, nothing to record; down to #{exact(oldest.seq)}</span>
          <span class="fold"><Icon name={spread ? 'up' : 'down'} /></span>
        </button>
      </li>
      {spread && entries.map((e) => <li key={e.seq} class={`item signed ${on}`}><Entry entry={e} filter={filter} marked={e.seq === open} top /></li>)}
    </>
  );
}

function Entry({ entry: e, filter, marked, top }: { entry: LedgerEntry; filter: LedgerFilter; marked: boolean; top: boolean }) {
  const at = parseTime(e.recorded);
  const w = entryWords(e);
  const who = decidedBy(e) || actedBy(e);
  return (
    <a id={`entry-${e.seq}`} class={`e t-${w.tone || 'plain'}`} href={ledgerHref(e.seq, filter)} aria-current={marked || undefined}
      aria-label={`entry ${e.seq}, ${e.type}, ${w.says}${who ? `, ${who}` : ''}, ${fullTime(at)}`}>
      <span class="mono seq">#{exact(e.seq)}</span>
      <time dateTime={e.recorded} title={fullTime(at)}>{clock(at)}</time>
      <span class="type" title={e.type}><Icon name={w.icon} class={`k-${w.hue}`} /><span class="word">{e.type}</span></span>
      <span class="said">
        {w.tone === 'bad' && e.type !== 'ledger.incarnation' && <Icon name="failure" class="o-failure" />}
        {e.action?.side_effect_level && <SideEffectMark level={e.action.side_effect_level} word={false} />}
        <span>{w.says}</span>
      </span>
      <span class="mono hash" title={e.integrity.this_hash}>{short(e.integrity.this_hash, 8)}</span>
      <span class="cp num" title={top ? `checkpoint of size ${e.seq + 1}: signs the whole ledger up to this entry, with the key of epoch ${e.epoch}` : undefined}>{top && exact(e.seq + 1)}</span>
    </a>
  );
}
