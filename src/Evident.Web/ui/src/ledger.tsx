// The ledger, newest first. Without a filter it is read by number and nothing is left out; with one it is searched, and what lies between is said.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api, type LedgerEntry, type LedgerHead } from './api.js';
import { chainRows } from './chain.js';
import { ChainView } from './chain-view.js';
import { EntrySheet } from './entry-sheet.js';
import { announce, Failed, Notice, useNow, useWhileVisible } from './frame.js';
import { exact, plural } from './format.js';
import { LedgerCheckPanel } from './ledger-check.js';
import { LedgerFilters } from './ledger-filters.js';
import { LedgerHeadCard } from './ledger-head.js';
import { go, ledgerHref, type LedgerFilter, type LedgerPanel } from './route.js';

const pageSize = 100;

interface Loaded {
  key: string;
  at: LedgerHead; // when it was read: the thread does not move when the head does
  entries: LedgerEntry[]; // newest first
  next: string | null; // cursor of a search
  size: number;
  indexed: number;
  lookedTo: number;
  matches: number | null;
  counted: boolean; // all matches
}

const newestFirst = (entries: LedgerEntry[]) => entries.sort((a, b) => b.seq - a.seq);

async function read(filter: LedgerFilter, size: number, around: number | null, signal: AbortSignal): Promise<Omit<Loaded, 'key' | 'at'>> {
  if (Object.keys(filter).length > 0) {
    const page = await api.findEntries({ ...filter, limit: pageSize }, signal);
    return { entries: page.entries, next: page.next, size: page.size, indexed: page.indexed, lookedTo: page.looked_to, matches: page.matches ?? null, counted: page.matches_complete ?? false };
  }
  const upTo = around === null ? size : Math.min(size, around + Math.floor(pageSize / 3));
  const from = Math.max(0, upTo - pageSize);
  const page = size === 0 ? { entries: [] } : await api.ledgerEntries(from, upTo - from, signal);
  return { entries: newestFirst(page.entries), next: null, size, indexed: size, lookedTo: from, matches: size, counted: true };
}

export function LedgerPage({ entry, filter, show }: { entry: number | null; filter: LedgerFilter; show: LedgerPanel }) {
  const key = JSON.stringify(filter);
  const filtered = Object.keys(filter).length > 0;
  const [head, setHead] = useState<LedgerHead | null>(null);
  const [anchors, setAnchors] = useState<LedgerEntry[]>([]);
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [alone, setAlone] = useState<LedgerEntry | null>(null); // an entry that is asked for and is not in the list
  const [failed, setFailed] = useState<unknown>(null);
  const [more, setMore] = useState<'' | 'loading' | 'failed'>('');
  const [turn, setTurn] = useState(0);
  const [grown, setGrown] = useState(0);
  const now = useNow();

  const here = loaded?.key === key;
  const listed = entry === null ? null : here ? loaded.entries.find((e) => e.seq === entry) ?? null : null;
  const newest = loaded?.entries[0]?.seq ?? -1;
  const lowest = loaded?.entries.at(-1)?.seq ?? 0;

  useEffect(() => {
    document.title = entry === null ? 'Ledger · Evident' : `Ledger #${entry} · Evident`;
    if (here && (entry === null || filtered || (entry <= newest && entry >= lowest))) return;
    const stop = new AbortController();
    (async () => {
      const at = await api.ledgerHead(stop.signal);
      const [page, confirmed] = await Promise.all([
        read(filter, at.size, entry, stop.signal), at.anchored ? api.findEntries({ type: 'ledger.anchor', limit: 500 }, stop.signal) : Promise.resolve({ entries: [] }),
      ]);
      setHead(at);
      setAnchors(confirmed.entries);
      setLoaded({ ...page, key, at });
      setFailed(null);
      setGrown(0);
      setMore('');
      announce(filtered ? `${plural(page.matches ?? page.entries.length, 'entry', 'entries')} found` : `ledger, ${plural(at.size, 'entry', 'entries')}`);
    })().catch((e: unknown) => { if (!stop.signal.aborted) { setFailed(e); setLoaded(null); } });
    return () => stop.abort();
  }, [key, entry, turn]);

  // The entry of the address, when the list does not have it.
  useEffect(() => {
    setAlone(null);
    if (entry === null || !here || listed) return;
    const stop = new AbortController();
    api.ledgerEntries(entry, 1, stop.signal).then((page) => setAlone(page.entries[0] ?? null)).catch(() => undefined);
    return () => stop.abort();
  }, [entry, here, listed]);

  // Into view once it is there, unless it is already.
  useEffect(() => {
    if (!listed) return;
    const element = document.getElementById(`entry-${listed.seq}`);
    const box = element?.getBoundingClientRect();
    if (element && box && (box.top < 120 || box.bottom > innerHeight - 60)) element.scrollIntoView({ block: 'center' });
  }, [listed?.seq, here]);

  useWhileVisible(8000, async (signal) => {
    if (!head) return;
    const at = await api.ledgerHead(signal);
    setGrown(at.size - (loaded?.size ?? at.size));
    setHead(at);
  }, loaded?.size);

  const rows = useMemo(() => loaded ? chainRows({
    entries: loaded.entries, size: loaded.size, published: loaded.at.published_size, anchored: loaded.at.anchored?.size ?? 0, anchors, whole: loaded.key === '{}',
    interval: loaded.at.last_heartbeat?.interval_ms ?? null, open: entry,
  }) : [], [loaded, anchors, entry]);

  if (failed && !loaded) return <Failed what="the ledger" error={failed} again={() => { setFailed(null); setTurn(turn + 1); }} />;
  if (!head || !loaded) return <div class="skeleton" role="status" aria-label="reading the ledger">{Array.from({ length: 14 }, (_, i) => <i key={i} />)}</div>;

  const fetchMore = (how: () => Promise<Partial<Loaded> & { entries: LedgerEntry[] }>) => {
    setMore('loading');
    how().then((page) => { setLoaded((l) => (l && l.key === key ? { ...l, ...page } : l)); setMore(''); }).catch(() => setMore('failed'));
  };
  const older = () => fetchMore(async () => {
    if (filtered) {
      const page = await api.findEntries({ ...filter, limit: pageSize, cursor: loaded.next ?? '' });
      return { entries: [...loaded.entries, ...page.entries], next: page.next, lookedTo: page.looked_to };
    }
    const from = Math.max(0, lowest - pageSize);
    return { entries: [...loaded.entries, ...newestFirst((await api.ledgerEntries(from, lowest - from)).entries)], lookedTo: from };
  });
  const newer = () => fetchMore(async () => ({ entries: [...newestFirst((await api.ledgerEntries(newest + 1, Math.min(pageSize, loaded.size - newest - 1))).entries), ...loaded.entries] }));
  const toNewest = () => { setLoaded(null); setTurn(turn + 1); go(ledgerHref(null, filter, show)); };

  const open = entry === null ? null : listed ?? alone;
  const at = open ? loaded.entries.findIndex((e) => e.seq === open.seq) : -1;
  const neighbour = (step: number): number | null => (at >= 0 ? loaded.entries[at + step]?.seq ?? null : null);
  const hasOlder = filtered ? loaded.next !== null : lowest > 0 && loaded.entries.length > 0;
  const stopped = filtered && loaded.next !== null && loaded.lookedTo > 0 && loaded.lookedTo < lowest;
  return (
    <div class={`ledger ${open ? 'with-sheet' : ''}`}>
      <div class="column">
        <div class="bar"><h1>Ledger</h1>
          {grown > 0 && newest === loaded.size - 1 && <button type="button" class="pill" onClick={toNewest}>{exact(grown)} new</button>}
          {grown > 0 && newest !== loaded.size - 1 && <button type="button" class="link" onClick={toNewest}>{exact(grown)} new, to the newest</button>}</div>
        <LedgerHeadCard head={head} filter={filter} show={show} now={now} />
        {show === 'check' && <LedgerCheckPanel now={now} />}
        <LedgerFilters filter={filter} entries={loaded.entries} />
        <p class="tally quiet" aria-live="polite">
          {!filtered ? (newest < loaded.size - 1 ? <>entries #{exact(lowest)} to #{exact(newest)} of {exact(loaded.size)} · <button type="button" class="link" onClick={toNewest}>to the newest</button></> : `${plural(loaded.size, 'entry', 'entries')}, newest first`)
            : `${exact(loaded.matches ?? 0)}${loaded.counted ? '' : ' or more'} ${loaded.matches === 1 ? 'entry matches' : 'entries match'}, newest first`}
          {filtered && loaded.indexed < loaded.size && <span class="amber"> · the newest {plural(loaded.size - loaded.indexed, 'entry is', 'entries are')} not in the index yet</span>}
        </p>
        {newest < loaded.size - 1 && !filtered && <p class="older"><button type="button" onClick={newer} disabled={more === 'loading'}>{more === 'failed' ? 'Newer entries did not come. Try again' : 'Newer'}</button></p>}
        {loaded.size === 0 ? <Notice title="The ledger is empty."><p>Its first entry is written when the appliance starts on a new data directory.</p></Notice>
          : loaded.entries.length === 0 && !hasOlder ? <Notice title="No entry matches."><p>Remove a filter above, or <a href={ledgerHref()}>see all entries</a>.</p></Notice>
          : <div class={here ? '' : 'stale'} aria-busy={!here}><ChainView rows={rows} filter={filter} open={entry} now={now} /></div>}
        {stopped && <p class="older quiet">Every match down to #{exact(loaded.lookedTo)} is above. Older entries were not looked at yet.</p>}
        {hasOlder && <p class="older"><button type="button" onClick={older} disabled={more === 'loading'}>
          {more === 'loading' ? 'Reading …' : more === 'failed' ? 'Older entries did not come. Try again' : stopped ? 'Look further back' : 'Older'}</button></p>}
      </div>
      {open && <EntrySheet entry={open} head={head} filter={filter} now={now} newer={neighbour(-1)} older={neighbour(1)} onClose={() => go(ledgerHref(null, filter, show))} />}
    </div>
  );
}
